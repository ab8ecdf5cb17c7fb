fn nothing(x) { y = relu(x) }
fn dup(a, b, a) = a
fn relu(x) = x
fn shape(x) = x
fn twice(x) = x
fn twice(x) = x + x
param p = 1, p = 2, f32 = 3
model m(x: f32[4], k: i32[3], n, o: f32[2] = 3, t: 4, x: f32[1]) -> (y, x, x) {
    p = 3
}
