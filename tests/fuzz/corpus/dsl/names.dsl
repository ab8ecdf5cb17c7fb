fn block(x, channels) {
    y = rellu(x)
    return linear(x, chanels, name = "a")
}
param depth = 2
model m(image: f32[28, 28, 1]) -> (y, z) {
    a = block(image, 3)
    b = blok(image, 3)
    c = imag + 1
    d = conv2d(image, chanels = 3, kernel = 3, name = "x")
    e = conv2d(image, 3, kernel = 3, kernel = 5, name = "x")
    f = conv2d(image, 3)
    g = linear(image, 10)
    h = relu(image, 2)
    i = depth(3)
    j = relu
    k = float + 1
    l = linear(features = 3, image)
    m = max_pool(image, kernel = [2, 2, 2])
    n = max_pool(image, kernel = "2")
    y = image
    zz = image
}
