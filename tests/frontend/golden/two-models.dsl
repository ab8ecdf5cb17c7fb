model a(x: f32[1]) -> y { y = x }
model b(x: f32[1]) -> y { y = x }
