/* SPDX-License-Identifier: Apache-2.0 */
/* ir/support/rng.h - SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): small, seeded, and the
 * same on every host. */
#ifndef WSEC_SUPPORT_RNG_H
#define WSEC_SUPPORT_RNG_H

#include <stdint.h>

typedef struct Rng {
    uint64_t state;
} Rng;

static inline uint64_t rng_next(Rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in [0, n), n > 0 (bias below 2^-32 for n < 2^32). */
static inline uint32_t rng_below(Rng *r, uint32_t n)
{
    return (uint32_t)(((rng_next(r) >> 32) * n) >> 32);
}

/* Uniform in [0, 1). */
static inline double rng_unit(Rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1p-53;
}

double rng_normal(Rng *r); /* standard normal: sum of 12 uniforms less 6; no libm */

#endif
