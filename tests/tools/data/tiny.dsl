# Two layers and a residual, small enough for 8 x 8 cores; as an example of much in few lines.
param T = f32, width = 16

model tiny(x: T[24]) -> y: T[8] {
    a = relu(linear(x, width, name = "a"))
    b = relu(a + linear(a, width, name = "b"))
    y = linear(b, 8, name = "c")
}
