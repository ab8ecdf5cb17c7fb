# Residual blocks so large that some fill a wafer.
param T = f16, blocks = 4, width = 2048, inner = 4096

fn block(x, name) {
    y = linear(relu(linear(x, inner, name = "{name}.in")), width, name = "{name}.out")
    return relu(x + y)
}

model residual(x: T[width]) -> y: T[width] {
    for i in 0..blocks {
        x = block(x, "b{i}")
    }
    y = x
}
