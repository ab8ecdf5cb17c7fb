// SPDX-License-Identifier: Apache-2.0
// Element types and conversions, in integer arithmetic: the same bits on every host.
#include "ir/support/dtype.h"

static const char *const names[DT_COUNT] = {
    [DT_F32] = "f32",
    [DT_F16] = "f16",
    [DT_I32] = "i32",
};

const char *dtype_name(DType t)
{
    return names[t];
}

bool dtype_from_name(const char *name, DType *result)
{
    for (int t = 0; t < DT_COUNT; t++) {
        if (strcmp(name, names[t]) == 0) {
            *result = (DType)t;
            return true;
        }
    }
    return false;
}

float f32_from_f16(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
    uint32_t exponent = (bits >> 10) & 0x1fu, mantissa = bits & 0x3ffu;
    if (exponent == 0x1f)
        return f32_from_bits(mantissa ? 0x7fc00000u : sign | 0x7f800000u);
    if (exponent == 0) { // zero or subnormal: exact as an integer times 2^-24
        float magnitude = (float)mantissa * 0x1p-24f;
        return f32_from_bits(sign | f32_to_bits(magnitude));
    }
    return f32_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t f16_from_f64(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 48 & 0x8000u);
    int exponent = (int)(bits >> 52 & 0x7ff);
    uint64_t mantissa = bits & 0xfffffffffffffu;
    if (exponent == 0x7ff)
        return mantissa ? 0x7e00u : (uint16_t)(sign | 0x7c00u);
    exponent -= 1023;
    if (exponent > 15)
        return (uint16_t)(sign | 0x7c00u);
    if (exponent < -25) // below half of the smallest subnormal
        return sign;
    mantissa |= (uint64_t)1 << 52;
    // Keep 11 bits of a normal number, fewer of a subnormal one.
    int drop = exponent >= -14 ? 42 : 42 + (-14 - exponent);
    uint64_t kept = mantissa >> drop, rest = mantissa & (((uint64_t)1 << drop) - 1);
    uint64_t half = (uint64_t)1 << (drop - 1);
    kept += rest > half || (rest == half && (kept & 1));
    if (exponent >= -14) // a carry out of the mantissa moves into the exponent by itself
        kept += (uint64_t)(exponent + 14) << 10;
    return (uint16_t)(sign | kept);
}

uint16_t f16_from_f32(float value)
{
    return f16_from_f64((double)value);
}

int32_t i32_from_f32(float value)
{
    if (value != value)
        return 0;
    if (value >= 0x1p31f)
        return INT32_MAX;
    if (value <= -0x1p31f)
        return INT32_MIN;
    int32_t whole = (int32_t)value; // toward zero
    float rest = value - (float)whole;
    if (rest > 0.5f || (rest == 0.5f && (whole & 1)))
        return whole + 1;
    if (rest < -0.5f || (rest == -0.5f && (whole & 1)))
        return whole - 1;
    return whole;
}
