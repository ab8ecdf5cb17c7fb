/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/shelves.c - starts for many kernels and for grids with keep-outs.
 *
 * Without keep-outs: rows of the least sum of heights by dynamic programming over the order, as
 * in rows.c but with a price for a row instead of their number, so that time and memory are
 * O(n * kernels in a row). With keep-outs: kernels in order onto shelves of one height, each as
 * far left as keep-outs let it, the next shelf when one is full; many heights are tried. Both
 * for the least time limit that allows it, by halving, and some looser ones. */
#include <string.h>

#include "passes/pack/search.h"

enum { MOST_SHELVES = 48, LOOSER = 6 };

typedef struct Shelves {
    Search *s;
    Arena scratch;
    State *state, *best;
    bool has;
    Row *rows;
    uint32_t n_rows;
    int32_t *prefix; /* widths of kernels before i in the order, at every height */
    double *sum;     /* least cost of rows up to kernel i */
    uint32_t *from;
    int32_t *height; /* of the last row up to kernel i */
} Shelves;

static void keep(Shelves *q, double limit, const Curve *curves, bool to_and_fro)
{
    rows_build(q->s, q->state, curves, q->rows, q->n_rows, to_and_fro);
    q->state->limit = limit;
    tree_size_all(q->state);
    tree_measure(q->s, q->state);
    if (q->state->over > 0 || (q->has && q->state->cost >= q->best->cost))
        return;
    state_copy(q->best, q->state, q->s->n);
    q->has = true;
}

static int32_t row_width(const Shelves *q, uint32_t begin, uint32_t end, int32_t h)
{
    const int32_t *at = q->prefix + (size_t)h * (q->s->n + 1);
    return at[end] - at[begin];
}

static bool split_rows(Shelves *q, double price)
{
    const PackProblem *p = q->s->problem;
    uint32_t n = q->s->n;
    for (uint32_t end = 1; end <= n; end++) {
        int32_t h = 1;
        q->sum[end] = 1e300;
        for (uint32_t begin = end; begin-- > 0;) {
            for (int32_t step = 1; h <= p->h && row_width(q, begin, end, h) > p->w;) {
                bool far = h + step <= p->h && row_width(q, begin, end, h + step) > p->w;
                h += far ? step : 1;
                step = far ? 2 * step : 1;
            }
            if (h > p->h)
                break;
            if (q->sum[begin] + h + price < q->sum[end]) {
                q->sum[end] = q->sum[begin] + h + price;
                q->from[end] = begin;
                q->height[end] = h;
            }
        }
    }
    if (q->sum[n] >= 1e300)
        return false;
    int64_t total = 0;
    q->n_rows = 0;
    for (uint32_t end = n; end > 0; end = q->from[end]) {
        q->rows[q->n_rows++] = (Row){q->from[end], end, q->height[end], false};
        total += q->height[end];
    }
    for (uint32_t i = 0; i < q->n_rows / 2; i++) {
        Row r = q->rows[i];
        q->rows[i] = q->rows[q->n_rows - 1 - i];
        q->rows[q->n_rows - 1 - i] = r;
    }
    return total <= p->h;
}

static bool try_rows(Shelves *q, double limit, const Curve *curves)
{
    const Search *s = q->s;
    uint32_t n = s->n;
    for (int32_t h = 0; h <= s->problem->h; h++) {
        int32_t *at = q->prefix + (size_t)h * (n + 1);
        for (uint32_t i = 0; i < n; i++)
            at[i + 1] = at[i] + curves[s->problem->class_of[s->order[i]]].across[h];
    }
    if (!split_rows(q, 0))
        return false;
    keep(q, limit, curves, true);
    for (double price = 4; split_rows(q, price) && price < s->problem->h; price *= 4)
        keep(q, limit, curves, true);
    return true;
}

/* Slides a box right (or up) past all keep-outs. */
static void slide(const PackProblem *p, PackRect *b, bool up)
{
    for (uint32_t i = 0; i < p->n_keepouts && b->x <= p->w && b->y <= p->h; i++) {
        PackRect r = p->keepouts[i];
        if (r.x >= b->x + b->w || b->x >= r.x + r.w || r.y >= b->y + b->h || b->y >= r.y + r.h)
            continue;
        if (up)
            b->y = r.y + r.h;
        else
            b->x = r.x + r.w;
        i = UINT32_MAX; /* from the first again */
    }
}

static bool fill_shelves(Shelves *q, const Curve *curves, int32_t h)
{
    const PackProblem *p = q->s->problem;
    int32_t x = 0, y = 0, top = 0;
    q->n_rows = 0;
    for (uint32_t i = 0; i < q->s->n; i++) {
        const Curve *c = &curves[p->class_of[q->s->order[i]]];
        if (c->across[h] >= EXTENT_NONE)
            return false;
        const Leaf *l = &c->points[c->point[h]];
        PackRect b = {x, y, l->turned ? l->h : l->w, l->turned ? l->w : l->h};
        slide(p, &b, false);
        if (i == 0 || b.x + b.w > p->w) { /* a new shelf; its first kernel may go up instead */
            y = top;
            b.x = 0;
            b.y = y;
            slide(p, &b, false);
            bool up = b.x + b.w > p->w;
            if (up) {
                b.x = 0;
                slide(p, &b, true);
            }
            if (q->n_rows)
                q->rows[q->n_rows - 1].end = i;
            q->rows[q->n_rows++] = (Row){.begin = i, .h = h, .up = up};
        }
        x = b.x + b.w;
        top = b.y + b.h > top ? b.y + b.h : top;
        if (x > p->w || top > p->h)
            return false;
    }
    q->rows[q->n_rows - 1].end = q->s->n;
    return true;
}

static bool try_shelves(Shelves *q, double limit, const Curve *curves)
{
    int32_t total = q->s->problem->h, last = 0;
    bool any = false;
    for (int32_t i = 1; i <= MOST_SHELVES; i++) {
        int32_t h = total / i;
        if (h == last || h < 1)
            continue;
        last = h;
        if (fill_shelves(q, curves, h)) {
            keep(q, limit, curves, false);
            any = true;
        }
    }
    return any;
}

static bool try_level(Shelves *q, uint32_t level)
{
    double limit = q->s->limits[level];
    ArenaMark mark = arena_mark(&q->scratch);
    const Curve *curves = curves_make(q->s, &q->scratch, limit);
    bool ok =
        q->s->problem->n_keepouts ? try_shelves(q, limit, curves) : try_rows(q, limit, curves);
    arena_rewind(&q->scratch, mark);
    return ok;
}

State *shelves_start(Search *s, Arena *a)
{
    Shelves q = {.s = s};
    size_t n = s->n;
    q.state = state_create(&q.scratch, s->n);
    q.best = state_create(a, s->n);
    q.rows = arena_array(&q.scratch, Row, n);
    if (s->problem->n_keepouts == 0) {
        q.prefix = arena_array(&q.scratch, int32_t, ((size_t)s->problem->h + 1) * (n + 1));
        q.sum = arena_array(&q.scratch, double, n + 1);
        q.from = arena_array(&q.scratch, uint32_t, n + 1);
        q.height = arena_array(&q.scratch, int32_t, n + 1);
    }
    uint32_t low = 0, high = 0;
    bool ok = try_level(&q, high);
    while (!ok && high < LEVEL_COUNT - 1) {
        low = high + 1;
        high = high * 2 + 16 < LEVEL_COUNT ? high * 2 + 16 : LEVEL_COUNT - 1;
        ok = try_level(&q, high);
    }
    while (ok && low < high) {
        uint32_t mid = (low + high) / 2;
        if (try_level(&q, mid))
            high = mid;
        else
            low = mid + 1;
    }
    for (uint32_t i = 1; q.has && i <= LOOSER; i++) {
        uint32_t level = high + 4 * i * i;
        if (level < LEVEL_COUNT && s->problem->time * s->limits[level] < q.best->cost)
            try_level(&q, level);
    }
    arena_free(&q.scratch);
    return q.has ? q.best : NULL;
}
