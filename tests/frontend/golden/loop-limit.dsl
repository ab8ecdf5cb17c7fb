model m(x: f32[4]) -> y {
    y = x
    for i in 0..1000000000 { }
}
