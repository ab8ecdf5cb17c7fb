/* SPDX-License-Identifier: Apache-2.0 */
/* tests/common/random_image.h - small random images for property tests.
 *
 * The checker accepts every one of them. They mix what networks do: cores with one program of
 * loops, tables and gated parts; f32, f16 and i32 messages of fixed and varying length;
 * multicasts, forks that rejoin, chains of partial sums with alternating colors, a reduction
 * that is broadcast back, line buffers addressed as rings, dropped messages, several host
 * ports and samples cut in messages. No state survives a sample. Same seed, same image. */
#ifndef WSE_TESTS_RANDOM_IMAGE_H
#define WSE_TESTS_RANDOM_IMAGE_H

#include "ir/support/rng.h"
#include "runtime/format/image.h"

/* 6 x 6 to 10 x 10 cores of 48 KB, WSE-2-like with random delays, widths and set-ups. */
Machine random_machine(Rng *rng);

/* False only if no image was found (does not happen for the seeds that tests use). */
bool random_image(Arena *a, Rng *rng, Image *result);

/* Gives the machine spare columns, and dead cores that these make up for: a tenth. */
void random_defects(Arena *a, Rng *rng, Image *image);

#endif
