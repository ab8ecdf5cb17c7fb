/* SPDX-License-Identifier: Apache-2.0 */
/* passes/wave.h - kernels in rows on the fabric: what the makers of pairs of rows (wave.c) and
 * of single rows (single.c) share. */
#ifndef WSEC_PASSES_WAVE_H
#define WSEC_PASSES_WAVE_H

#include "passes/arrange.h"

enum { WAVE_ROWS = 64, SINGLE_LEAST = 16 }; /* rows; lanes along a single one */

typedef struct Slot { /* u along the rows, v across */
    int32_t u, v, w, h;
} Slot;

typedef struct Past { /* a column begins no earlier in a band */
    uint32_t band;
    int32_t u;
} Past;

typedef struct Layout {
    const Plan *plan;
    Slot *slot; /* by kernel; adapters by their stream, behind the kernels; then second ones */
    int32_t length, height; /* of the fabric along and across */
    uint32_t bands;
    int32_t top[WAVE_ROWS + 1]; /* where a band begins, the end of the last one behind */
    int32_t upper;              /* height of the upper row of a band */
    bool transposed, single;
    /* What is in the way: keep-outs, then kernels that are pinned. */
    Slot *blocked;
    uint32_t n_blocked;
    const Slot *hit; /* what the last item met; NULL: the end of the fabric */
    bool duck;       /* rows get lower beside what is in the way, if that leaves half of them */
    bool again;      /* the layout failed, but limits have changed: choose anew */
    RowOf *rows;
    Past *past; /* by item */
    /* Of single rows. */
    const LaneSet *common;     /* lanes that what forks and joins may have */
    uint32_t features;         /* of that */
    uint32_t along[WAVE_ROWS]; /* lanes, by row */
    uint32_t *position;        /* in the order, by kernel */
    int32_t *before;           /* where the row was when an item of the order was to come */
    uint32_t *narrow; /* by stream: lanes on the way from row to row; 0: as many as elsewhere */
    int32_t inset[WAVE_ROWS]; /* by row: what is before it, for strips across */
    int32_t margin;           /* kept free at both ends for streams of the host to turn */
    /* The column being filled. */
    uint32_t band;
    int32_t u;          /* where it begins, in the direction of the band */
    int32_t begin, end; /* v of the last item */
    int32_t width;
    uint32_t entered; /* the item that leads into it */
    bool first;       /* nothing is in the band yet */
    bool down;        /* away from the item that leads into the column */
    bool open;        /* its results go across */
} Layout;

/* Where a column that met something may begin. */
static inline int32_t wave_beyond(const Layout *l)
{
    return l->band % 2 ? l->length - l->hit->u : l->hit->u + l->hit->w;
}

/* Puts a box of w x h at distance u from where the band begins. */
bool wave_put(Layout *l, uint32_t item, int32_t u, int32_t v, int32_t w, int32_t h);
/* Lanes that cut the features evenly or in groups, so that few lanes can take them from row to row:
 * an adapter to as many lanes as there are groups works on a group at a time. */
static inline bool wave_suits(uint32_t features, uint32_t lanes)
{
    return lanes >= SINGLE_LEAST && (features % lanes == 0 || lane_groups(lanes) >= LEAST_GROUPS);
}
/* single.c: cuts the fabric into so many rows for `along` lanes, the rest into rows for fewer that
 * suit, as many lanes as there is room for; false if so many do not fit. */
bool single_rows(Layout *l, uint32_t along, uint32_t count);
/* For a chain: so many rows of a height but for the first, or the last, which has what is left;
 * false if that is much more or less. */
bool single_chain_rows(Layout *l, uint32_t height, uint32_t count, bool last);
/* The kernels from place `from` of the order on are to stand in this row. */
void single_assign(const Sizing *z, Layout *l, const uint32_t *order, uint32_t from, uint32_t row);
/* All items in order, in rows one after the other; false if they do not fit, or are to be
 * chosen anew for other rows. */
bool single_lay_out(Sizing *z, Layout *l, const uint32_t *order, uint64_t T);

#endif
