# -D depth=2 -D T=f16
param T = f16, depth = 4, width = 256, dropout = 0.5
fn layer(x, n, name) = relu(linear(x, n, name = name))
fn split2(x) { return relu(x), -x }
model stack(x: T[width], k: T[2]) -> (y: T[10], z) {
    widths = [64, 32, 16]
    for i in 0..depth { x = layer(x, width, "net.{2 * i}") }
    for w in widths { x = layer(x, w, "w{w}") }
    y = linear(x, 10, name = "net.{2 * depth}")
    a, b = split2(y)
    z = 1 - max(a, 0) * 0.5 + b
    q = relu(z)
    s = len(widths) % -2
    n = min(3, 2.5)
}
