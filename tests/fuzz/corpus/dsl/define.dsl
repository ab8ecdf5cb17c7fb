# -D T=f16 -D classes=3 -D bias=false -D eps=0.25 -D name=head -D shift=-2
param T = f32, classes = 10, bias = true, eps = 1e-5, name = "fc", shift = 0.5
model m(x: T[4 * classes]) -> y: T[classes] {
    y = batch_norm(linear(x, classes, bias, name = name), eps, name = "{name}.bn") + shift
}
