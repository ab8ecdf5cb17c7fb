/* SPDX-License-Identifier: Apache-2.0 */
/* ir/support/dtype.h - element types and their conversions.
 *
 * All conversions round to nearest even and keep subnormals; a NaN becomes the canonical
 * quiet NaN (0x7fc00000 for f32, 0x7e00 for f16). f32 -> i32 rounds to nearest even and
 * saturates, NaN gives 0. */
#ifndef WSEC_SUPPORT_DTYPE_H
#define WSEC_SUPPORT_DTYPE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef enum DType { DT_F32, DT_F16, DT_I32, DT_COUNT } DType;

static inline unsigned dtype_bytes(DType t)
{
    return t == DT_F16 ? 2u : 4u;
}

const char *dtype_name(DType t); /* "f32" */
bool dtype_from_name(const char *name, DType *result);

float f32_from_f16(uint16_t bits);
uint16_t f16_from_f32(float value);
uint16_t f16_from_f64(double value); /* one rounding only */
int32_t i32_from_f32(float value);

static inline float f32_from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t f32_to_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float f32_canonical(float f)
{
    return f != f ? f32_from_bits(0x7fc00000u) : f;
}

/* max and min propagate NaN and order -0 below +0. */
static inline float f32_max(float a, float b)
{
    if (a != a || b != b)
        return f32_from_bits(0x7fc00000u);
    if (a == b)
        return f32_from_bits(f32_to_bits(a) & f32_to_bits(b));
    return a > b ? a : b;
}

static inline float f32_min(float a, float b)
{
    if (a != a || b != b)
        return f32_from_bits(0x7fc00000u);
    if (a == b)
        return f32_from_bits(f32_to_bits(a) | f32_to_bits(b));
    return a < b ? a : b;
}

#endif
