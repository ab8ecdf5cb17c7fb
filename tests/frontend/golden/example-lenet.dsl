# LeNet-5 for 28 x 28 grey images; the weights come from a PyTorch module with the same names.
#   wsec lenet.dsl -D T=f16
param T = f32, classes = 10

fn block(x, channels, name) = max_pool(relu(conv2d(x, channels, kernel = 5, padding = 2, name = name)), 2)

model lenet(image: T[28, 28, 1]) -> scores: T[classes] {
    x = block(image, 6, "conv1")
    x = block(x, 16, "conv2")
    x = relu(linear(flatten(x, order = "chw"), 120, name = "fc1"))
    x = relu(linear(x, 84, name = "fc2"))
    scores = linear(x, classes, name = "fc3")
}
