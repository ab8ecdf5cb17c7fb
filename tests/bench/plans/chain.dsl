# A chain of `kernels` small layers with all that makes planning hard: skips over two layers, forks
# into two branches that an addition joins, and every so often a skip over ten layers. Widths
# differ, so that shapes and lanes do.
param T = f32, kernels = 30, width = 24, narrow = 16, wide = 40

fn skip(x, inner, name) {
    y = linear(relu(linear(x, inner, name = "{name}.in")), width, name = "{name}.out")
    return relu(x + y)
}

fn fork(x, name) {
    a = relu(linear(x, narrow, name = "{name}.a1"))
    b = relu(linear(x, wide, name = "{name}.b1"))
    return relu(linear(a, width, name = "{name}.a2") + linear(b, width, name = "{name}.b2"))
}

# Ten layers.
fn stage(x, name) {
    y = skip(x, wide, "{name}.s0")
    y = fork(y, "{name}.f0")
    y = relu(linear(y, width, name = "{name}.mid"))
    y = skip(y, narrow, "{name}.s1")
    y = linear(y, width, name = "{name}.end")
    return relu(x + y)
}

model chain(x: T[width]) -> y: T[width] {
    for i in 0..kernels / 10 {
        x = stage(x, "{i}")
    }
    y = x
}
