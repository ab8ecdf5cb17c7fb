fn nothing(x) { y = relu(x) }
fn pair(x) { return x, relu(x) }
fn forever(x) = forever(x)
param p = 1
model m(x: f32[4], k: i32[3], n, o: f32[2] = 3, t: 4, s: f32[]) -> (y, q, r) {
    p = 3
    f16 = x
    a = nothing(x)
    b = pair(x)
    c, d, e = pair(x)
    f, g = x
    for i in 0..3 { i = 4 }
    for x in [1, 2] { }
    for i in x { }
    for i in 0..1.5 { }
    if x { y = x }
    if 1 { y = x }
    h: 3 = x
    l: int = 2.5
    j = [pair(x)]
    return x
    y = 3
    r = forever(x)
}
