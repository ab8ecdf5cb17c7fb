# -D clases=3 -D T=4 -D bias=yes -D eps=fast -D depth=99999999999999999999 -D name=ok
param T = f32, classes = 10, bias = true, eps = 1e-5, depth = 3, name = "fc"
model m(x: T[classes]) -> y {
    y = batch_norm(linear(x, depth, bias, name = name), eps, name = "{name}.bn")
}
