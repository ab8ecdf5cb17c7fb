# The same name and shape again is the same weight.
model siamese(a: f32[3], b: f32[3]) -> d {
    d = linear(a, 2, name = "fc") - linear(b, 2, name = "fc")
}
