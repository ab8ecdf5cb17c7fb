model m(x: f32[4]) -> y { y = x }
# ÿþ
