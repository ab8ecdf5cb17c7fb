param a = , b = 2
fn f(x { return x }
x = 3
fn g(x) {
    y = relu(x
    return y
}
fn h(x) {
    y = x +
    z = (x * )
    w = linear(x 3)
    return = 4
    for i 0..3 { }
    v = if x { 1 }
    u = 3x
    t = x.y
    s = x && y
    r = 'a'
}
model m(x: f32[2 2]) -> y {
    y = x
}
model = 3
