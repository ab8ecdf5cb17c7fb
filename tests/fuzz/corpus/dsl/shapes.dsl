param T = f32
fn conv(x, channels, name) {
    return conv2d(x, channels, kernel = 9, name = name)
}
fn twice(x, name) {
    return conv(conv(x, 4, "{name}.a"), 4, "{name}.b")
}
model m(image: T[10, 10, 3], v: T[7], half: f16[7]) -> (y: T[7], z: T[8], w) {
    a = twice(image, "c")
    b = v + half
    c = v + weight("five", T[5])
    d = matmul(v, weight("w", T[8, 2]))
    e = weight("w", T[2, 8])
    f = max_pool(v, 2)
    g = flatten(image, order = "cwx")
    h = reshape(image, [3, 10])
    i = transpose(image, [0, 1])
    j = argmax(v) + 1
    k: T[7] = image
    l = linear(v, 0, name = "l")
    n = linear(v, 3, name = "bad name")
    o = weight("w2", T[0])
    p = weight("w3", 3)
    q = weight("w4", T[1, 2, 3, 4, 5])
    r = reshape(v, [1, 1, 1, 1, 7])
    s = weight("w5", i32[3])
    y = v
    z = v
    w = 3
}
