param n: string = 4
fn f(x: f32[4], k: int, s: shape = 1) = relu(x)
fn g(x: 3) = x
model m(image: f32[8]) -> y {
    a = f(image, 1)
    b = f(relu(image), k = 1.5)
    c = f(weight("w", f32[4]), 2, s = [1, 2.5])
    d = f(3, 3)
    e = g(image)
    h: nothing = image
    y = image
}
