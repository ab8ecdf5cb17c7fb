# ResNet-style
param T = f32, classes = 10, depth = 2

fn conv_bn(x, channels, name, kernel = 3, stride = 1) {
    y = conv2d(x, channels, kernel, stride, padding = kernel / 2, bias = false, name = "{name}.conv")
    return batch_norm(y, name = "{name}.bn")
}

fn basic(x, channels, name, stride = 1) {
    y = relu(conv_bn(x, channels, "{name}.0", stride = stride))
    y = conv_bn(y, channels, "{name}.1")
    if stride != 1 or shape(x)[-1] != channels {
        x = conv_bn(x, channels, "{name}.down", kernel = 1, stride = stride)
    }
    return relu(x + y)
}

model resnet(image: T[32, 32, 3]) -> (scores: T[classes], top) {
    x = relu(conv_bn(image, 16, "stem"))
    for w in [16, 32] {
        for i in 0..depth {
            x = basic(x, w, "layer{w}.{i}", stride = if w > 16 and i == 0 { 2 } else { 1 })
        }
    }
    scores = linear(global_avg_pool(x), classes, name = "fc")
    top = argmax(scores)
}
