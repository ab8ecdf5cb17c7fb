# A multilayer perceptron for 28 x 28 images: 784-128-10.
param T = f32, hidden = 128, classes = 10

model mlp(image: T[784]) -> scores: T[classes] {
    x = relu(linear(image, hidden, name = "fc1"))
    scores = linear(x, classes, name = "fc2")
}
