/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/format/defects.h - dead cores of a wafer, mapped out below the program.
 *
 * A row has width + spare_columns physical cores; a program sees `width` of them, its logical
 * columns. Compiler, checker and engines all take the mapping from here; nothing else knows.
 *
 *   - A *run* is a longest sequence of dead cores next to each other in a row. A run of at
 *     most DEFECT_SKIP cores is skipped: the row shifts by its length from there on. A longer
 *     one is a hole: it keeps its columns, and these are missing.
 *   - shift(x, y), of logical column x of row y: how many skipped cores lie west of it. It
 *     stands at physical column x + shift(x, y). Columns for which that is not on the wafer,
 *     the last ones of a row with more skipped cores than spares, are missing too.
 *   - A hop between neighbors p and q costs 1 + |shift(p) - shift(q)| hops of a perfect wafer,
 *     whether along a row (the dead cores it passes over) or a column (the way back to the
 *     column). That many routers it passes; the links it borrows for that are not charged.
 *     A host port's link costs one.
 *
 * A missing core neither runs nor routes. A row's marks are found by bisection; what is asked
 * most, a wafer without defects, has no map at all (NULL). */
#ifndef WSE_FORMAT_DEFECTS_H
#define WSE_FORMAT_DEFECTS_H

#include <stdbool.h>

#include "ir/support/arena.h"
#include "runtime/format/machine.h"

enum { DEFECT_SKIP = 4 };

typedef struct DefectRun { /* dead cores: physical columns x .. x + n - 1 of row y */
    uint16_t y, x, n;
} DefectRun;

/* By y, then x, longest ones: those of a row neither meet nor touch. */
typedef struct Defects {
    uint32_t n;
    DefectRun *runs;
} Defects;

typedef struct DefectMark { /* valid from a logical column on, up to the row's next mark */
    uint16_t at, shift;
    uint16_t missing; /* so many columns from `at` on */
} DefectMark;

typedef struct DefectMap {
    uint32_t height;
    uint32_t *row; /* height + 1: where a row's marks begin */
    DefectMark *marks;
} DefectMap;

/* Are runs in order, apart, and on the wafer? If not, *run is the first that is not. */
bool defects_sound(const Machine *m, const Defects *d, uint32_t *run);

/* Sorts runs by row and column and joins those that meet or touch. */
void defects_normalise(Defects *d);

/* NULL if there are none. They must be sound. */
const DefectMap *defect_map(Arena *a, const Machine *m, const Defects *d);

/* Logical (x, y), within the machine's extents; map may be NULL. */
uint32_t defect_shift(const DefectMap *map, uint32_t x, uint32_t y);
bool defect_missing(const DefectMap *map, uint32_t x, uint32_t y);
/* What the hop between two neighbors costs, in hops. */
uint32_t defect_hops(const DefectMap *map, uint32_t x0, uint32_t y0, uint32_t x1, uint32_t y1);

#endif
