/* SPDX-License-Identifier: Apache-2.0 */
/* passes/route_colors.c - colors for ways that are given.
 *
 * Two streams that use a router in common must differ: an edge of the conflict graph, found
 * exactly as the boxes are. A stream may not have the own colors of kernels that it passes, so
 * each has a mask. DSATUR (Brelaz, CACM 22(4), 1979): the stream with the fewest colors left
 * is next, of those the one with the most neighbors, and takes the lowest; given colors come
 * first. What is left without one keeps a color that the fewest neighbors have. Cost:
 * conflicts + streams^2 / 64 or less. */
#include <string.h>

#include "passes/routing.h"

typedef VEC(uint32_t) IdVec;

typedef struct Coloring {
    Router *r;
    Arena *arena;
    uint32_t n;
    uint32_t *mask;  /* colors left, by stream */
    IdVec *conflict; /* neighbors, by stream */
    bool *done;
} Coloring;

/* Streams of a tree are one for this: the first of them stands for all. */
static uint32_t node_of(const Coloring *c, uint32_t stream)
{
    return stream_root(c->r->plan->streams.data[stream])->id;
}

static void find_conflicts(Coloring *c)
{
    Router *r = c->r;
    uint32_t usable = router_usable_colors(r);
    int32_t *seen = arena_array(c->arena, int32_t, c->n);
    for (uint32_t s = 0; s < c->n; s++)
        c->mask[s] = usable;
    for (uint32_t s = 0; s < c->n; s++) {
        const SlotVec *slots = &r->index->of_stream[s];
        uint32_t node = node_of(c, s);
        seen[node] = (int32_t)s + 1;
        for (size_t i = 0; i < slots->n; i++) {
            Meet m = meet_begin(r, r->taken.data[slots->data[i]].box);
            for (const Taken *t; (t = meet_next(&m)) != NULL;) {
                if (t->history)
                    continue;
                if (t->stream < 0) {
                    c->mask[node] &= ~t->colors;
                    continue;
                }
                uint32_t other = node_of(c, (uint32_t)t->stream);
                if (seen[other] != (int32_t)s + 1)
                    vec_push(c->arena, &c->conflict[node], other);
                seen[other] = (int32_t)s + 1;
            }
        }
    }
}

static unsigned bits(uint32_t mask)
{
    unsigned n = 0;
    for (; mask; mask &= mask - 1)
        n++;
    return n;
}

static bool give(Coloring *c, Stream *s, uint32_t color)
{
    bool alone = true;
    c->done[s->id] = true;
    for (size_t i = 0; i < c->conflict[s->id].n; i++) {
        uint32_t o = c->conflict[s->id].data[i];
        alone = alone && !(c->done[o] && c->r->plan->streams.data[o]->color == color);
        c->mask[o] &= ~(1u << color);
    }
    Stream *b;
    for (uint32_t i = 0; (b = route_tree(c->r->plan, s, &i)) != NULL;)
        router_recolor(c->r, b, color);
    return alone;
}

static uint32_t least_used(const Coloring *c, const Stream *s, uint32_t allowed)
{
    uint32_t uses[32] = {0}, best = s->color;
    for (size_t i = 0; i < c->conflict[s->id].n; i++)
        if (c->done[c->conflict[s->id].data[i]])
            uses[c->r->plan->streams.data[c->conflict[s->id].data[i]]->color]++;
    for (uint32_t k = 0; k < 32; k++)
        if (allowed >> k & 1 && (!(allowed >> best & 1) || uses[k] < uses[best]))
            best = k;
    return best;
}

bool route_colors(Router *r)
{
    Arena arena = {0};
    Plan *plan = r->plan;
    uint32_t n = (uint32_t)plan->streams.n;
    Coloring c = {r,
                  &arena,
                  n,
                  arena_array(&arena, uint32_t, n),
                  arena_array(&arena, IdVec, n),
                  arena_array(&arena, bool, n)};
    find_conflicts(&c);
    uint32_t *allowed = arena_array(&arena, uint32_t, n);
    memcpy(allowed, c.mask, n * sizeof *allowed);
    bool good = true;
    for (uint32_t i = 0; i < n; i++)
        if (plan->streams.data[i]->color_fixed)
            good = give(&c, plan->streams.data[i], plan->streams.data[i]->color) && good;
    for (;;) {
        uint32_t next = n;
        unsigned fewest = 0;
        for (uint32_t i = 0; i < n; i++) {
            unsigned left = bits(c.mask[i]);
            if (c.done[i] || node_of(&c, i) != i || r->index->of_stream[i].n == 0)
                continue;
            if (next < n && left > fewest)
                continue;
            if (next == n || left < fewest || c.conflict[i].n > c.conflict[next].n) {
                next = i;
                fewest = left;
            }
        }
        if (next == n)
            break;
        Stream *s = plan->streams.data[next];
        uint32_t color = 0;
        while (color < 32 && !(c.mask[next] >> color & 1))
            color++;
        if (color == 32)
            color = least_used(&c, s, allowed[next]);
        good = give(&c, s, color) && good;
    }
    arena_free(&arena);
    return good;
}
