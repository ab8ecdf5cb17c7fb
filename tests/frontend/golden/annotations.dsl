# Kinds and types on arguments, parameters and names; defaults that use earlier arguments.
param n: int = 4, scale: float = 2
fn pool(x: tensor, window: pair = 2, step: pair = window) = max_pool(x, window, step)
fn half(x: f32[4, 4, 1], int = 3) = x * 0.5
model m(image: f32[8, 8, 1]) -> (y: f32[2, 1, 1], z: f32[16]) {
    x: f32[n, n, 1] = pool(image)
    list = [n, n * n]
    d: int = len(list)
    y = pool(half(x), [2, 3], step = d) * scale
    z = reshape(x, list[1])
}
