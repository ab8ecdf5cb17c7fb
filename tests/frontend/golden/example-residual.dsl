# A residual MLP: each block adds what two linear layers make of its input.
param T = f32, width = 128, blocks = 1, classes = 10

fn block(x, name) {
    y = relu(linear(x, width, name = "{name}.fc1"))
    y = linear(y, width, name = "{name}.fc2")
    return relu(x + y)
}

model residual(image: T[784]) -> scores: T[classes] {
    x = relu(linear(image, width, name = "stem"))
    for i in 0..blocks {
        x = block(x, "blocks.{i}")
    }
    scores = linear(x, classes, name = "head")
}
