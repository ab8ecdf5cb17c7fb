# One layer, small enough for an 8 x 8 fabric.
param T = f32

model onelayer(x: T[64]) -> y: T[32] {
    y = relu(linear(x, 32, name = "fc"))
}
