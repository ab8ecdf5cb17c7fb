/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/holes.c - a placement for grids in which rows do not fit, mostly for keep-outs:
 * kernels, the largest first, each into a corner of one of the largest free rectangles (Jylanki,
 * A Thousand Ways to Pack the Bin, 2010: MaxRects) in the smallest shape that fits any of them;
 * the least time limit for which all find room, by halving. It has no tree, only positions.
 * O(kernels * free rectangles * (shapes + free rectangles)) for a limit. */
#include <stdlib.h>

#include "passes/pack/insert.h"
#include "passes/pack/search.h"

enum { MOST_KERNELS = 1000 };

struct Sized {
    uint32_t kernel;
    int64_t area; /* least */
};

typedef struct Holes {
    Search *s;
    Arena arena;
    PackHoles holes;
    struct Sized *order;
} Holes;

static int compare_sized(const void *a, const void *b)
{
    const struct Sized *x = a, *y = b;
    if (x->area != y->area)
        return x->area > y->area ? -1 : 1;
    return (x->kernel > y->kernel) - (x->kernel < y->kernel);
}

/* The smallest shape that fits a free rectangle, where it leaves the thinnest rest. */
static bool choose(const Holes *q, const Curve *c, PackRect *at, const Leaf **leaf)
{
    int64_t best_area = INT64_MAX;
    int32_t best_rest = 0;
    for (uint32_t i = 0; i < c->n_points; i++) {
        const Leaf *l = &c->points[i];
        int32_t w = l->turned ? l->h : l->w, h = l->turned ? l->w : l->h;
        int64_t area = (int64_t)w * h;
        if (area > best_area)
            continue;
        for (size_t j = 0; j < q->holes.free.n; j++) {
            PackRect f = q->holes.free.data[j];
            if (f.w < w || f.h < h)
                continue;
            int32_t rest = f.w - w < f.h - h ? f.w - w : f.h - h;
            if (area < best_area || rest < best_rest) {
                best_area = area;
                best_rest = rest;
                *at = (PackRect){f.x, f.y, w, h};
                *leaf = l;
            }
        }
    }
    return best_area < INT64_MAX;
}

static bool fill(Holes *q, double limit, State *t)
{
    const PackProblem *p = q->s->problem;
    Arena scratch = {0};
    const Curve *curves = curves_make(q->s, &scratch, limit);
    bool ok = true;
    for (uint32_t k = 0; k < q->s->n && ok; k++) {
        const Curve *c = &curves[p->class_of[k]];
        int64_t least = INT64_MAX;
        for (uint32_t i = 0; i < c->n_points; i++) {
            int64_t area = (int64_t)c->points[i].w * c->points[i].h;
            least = area < least ? area : least;
        }
        ok = c->n_points > 0;
        q->order[k] = (struct Sized){k, least};
    }
    qsort(q->order, q->s->n, sizeof *q->order, compare_sized);
    q->holes.free.n = 0;
    vec_push(&q->arena, &q->holes.free, ((PackRect){0, 0, p->w, p->h}));
    for (uint32_t i = 0; i < p->n_keepouts; i++)
        pack_occupy(&q->arena, &q->holes, p->keepouts[i]);
    for (uint32_t i = 0; i < q->s->n && ok; i++) {
        uint32_t k = q->order[i].kernel;
        PackRect at;
        const Leaf *leaf;
        ok = choose(q, &curves[p->class_of[k]], &at, &leaf);
        if (!ok)
            break;
        t->leaves[k] = *leaf;
        t->nodes[k] = (Node){.parent = -1, .child = {-1, -1}};
        t->nodes[k].w = at.w;
        t->nodes[k].h = at.h;
        t->nodes[k].x = at.x;
        t->nodes[k].y = at.y;
        pack_occupy(&q->arena, &q->holes, at);
    }
    arena_free(&scratch);
    return ok;
}

State *holes_start(Search *s, Arena *a)
{
    if (s->n > MOST_KERNELS)
        return NULL;
    Holes q = {.s = s};
    q.order = arena_array(&q.arena, struct Sized, s->n);
    State *t = state_create(a, s->n), *best = state_create(a, s->n);
    uint32_t high = 0, low = 0;
    while (!fill(&q, s->limits[high], best)) {
        if (high == LEVEL_COUNT - 1) {
            arena_free(&q.arena);
            return NULL;
        }
        low = high + 1;
        high = high * 2 + 16 < LEVEL_COUNT ? high * 2 + 16 : LEVEL_COUNT - 1;
    }
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (fill(&q, s->limits[mid], t)) {
            state_copy(best, t, s->n);
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    best->limit = s->limits[high];
    best->root = -1;
    positions_measure(s, best);
    arena_free(&q.arena);
    return best;
}
