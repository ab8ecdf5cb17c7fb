# Compile-time values, shown as extents.
model m(x: f32[1]) -> (a, b, c, d, e, f, g) {
    a = x + weight("floor.{-7 / 2}.{-7 % 2}.{7 / -2}.{7 % -2}", f32[7 / 2])
    b = x + weight("cmp.{1 < 2 and not (2 <= 1)}.{1.5}.{f16}", f32[if 1.0 == 1 { 2 } else { 3 }])
    list = [3, [4, 5], "six"]
    c = x + weight("list.{list[-1]}.{len(list)}", f32[list[1][0], list[1][1]])
    d = x + weight("braces.{max(1, 2)}{min(0x10, 1_000)}", f32[shape(c)[0] * 2])
    D = dtype(d)
    e = x + weight("dtype.{D}.{D == f32}", D[2])
    n = if "{{1}}" == "{{{1}}}" { 0 } else { 100 }
    for i in 0..4 {
        if i % 2 == 0 { n += i } else { n -= 1 }
    }
    f = x + weight("loop.{n}", f32[3])
    for i in 3..0 { f = relu(f) }
    p, q = [1, 2]
    g = (x - p) * q
}
