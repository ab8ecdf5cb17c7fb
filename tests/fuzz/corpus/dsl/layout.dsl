# Line ends, separators, else on its own line, a body on one line.
model m(x: f32[4],
        k: f32[4],) -> (
    y,
    z: f32[4],
)
{
    a = 3; y = relu(
        x
    )
    + 1
      * 2
    if a == 1 {
        z = x
    }
    else if a == 2 { z = y } else
    {
        z = max(y,
                k)
    }
    z *= 3
}
