# What was not closed, and what stands at the wrong level.
fn f(x) {
    y = relu(
        x,
        3
    z = relu(x)
    return z
}
fn g(x) {
    for i in 0..3 z { y = x }
    if (x { y = 1 }
    y = if x y { 1 } else { 2 }
    else { }
    return y
}
model m(x: f32[4]) {
    y = x
}
model n(x: f32[4]) -> y {
    y = f(x)
