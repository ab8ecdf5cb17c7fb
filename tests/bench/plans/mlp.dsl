# Layers of one width, nothing else: where the wafer is full, all is sizing and packing.
param T = f32, layers = 4, width = 4096

model mlp(x: T[width]) -> y: T[width] {
    for i in 0..layers {
        x = relu(linear(x, width, name = "fc{i}"))
    }
    y = x
}
