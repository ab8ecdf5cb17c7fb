/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/insert.h - room among rectangles that stay where they are. */
#ifndef WSEC_PASSES_PACK_INSERT_H
#define WSEC_PASSES_PACK_INSERT_H

#include "ir/support/vec.h"
#include "passes/pack/pack.h"

/* The maximal empty rectangles of a grid, in a fixed order. */
typedef struct PackHoles {
    VEC(PackRect) free;
    VEC(PackRect) pieces, beside; /* scratch */
} PackHoles;

/* Takes a rectangle away from all of them; it may overlap what was taken before. */
void pack_occupy(Arena *a, PackHoles *holes, PackRect by);

/* All maximal empty rectangles of a w x h grid among n rectangles that may overlap, in a fixed
 * order; returns their number. */
uint32_t pack_holes(Arena *a, int32_t w, int32_t h, const PackRect *fixed, uint32_t n,
                    PackRect **holes);

/* Where in a hole a box of w x h has the shortest wire to some points (its centre's distance in
 * x and y); the hole's north-west corner if there are none. */
void pack_nearest(PackRect hole, int32_t w, int32_t h, const PackTerminal *points, uint32_t n,
                  int32_t *x, int32_t *y);

#endif
