model m(x: f32[4]) -> y {
    a = "not closed
    b = "lone } brace"
    c = "unknown \n escape"
    d = "{x"
    e = "{}"
    f = "ok {{ }} \" \\"
    y = ä
}
