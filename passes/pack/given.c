/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/given.c - a placement from outside as a start: a slicing tree near to it.
 *
 * A set of kernels is cut in two where no kernel stands on the line, as near to the middle of
 * the set as can be; where there is no such line (a pinwheel) the one that the kernels cross
 * least, and the tree moves them apart. So what was cut from rectangles comes back as it was
 * but for free room between kernels, and anything else as something like it (slicing trees:
 * Otten, DAC 1982). O(n log n) a depth of the tree. */
#include <stdlib.h>

#include "passes/pack/search.h"

typedef struct Item {
    uint32_t kernel;
    int32_t low[2], high[2]; /* by axis */
} Item;

typedef struct Cut {
    unsigned axis;
    uint32_t at;     /* so many go below */
    int32_t crossed; /* by so much; 0: by nothing */
    uint32_t off;    /* from the middle */
} Cut;

static int compare_on(const Item *a, const Item *b, unsigned axis)
{
    if (a->low[axis] + a->high[axis] != b->low[axis] + b->high[axis])
        return a->low[axis] + a->high[axis] < b->low[axis] + b->high[axis] ? -1 : 1;
    return (a->kernel > b->kernel) - (a->kernel < b->kernel);
}

static int by_x(const void *a, const void *b)
{
    return compare_on(a, b, 0);
}

static int by_y(const void *a, const void *b)
{
    return compare_on(a, b, 1);
}

static void sort_items(Item *items, uint32_t n, unsigned axis)
{
    qsort(items, n, sizeof *items, axis ? by_y : by_x);
}

/* The best cut across an axis along which the items are sorted. */
static void look_for_cuts(const Item *items, uint32_t n, unsigned axis, int32_t *low, Cut *best)
{
    for (uint32_t i = n; i-- > 1;)
        low[i] = i + 1 < n && low[i + 1] < items[i].low[axis] ? low[i + 1] : items[i].low[axis];
    int32_t high = items[0].high[axis];
    for (uint32_t i = 1; i < n; i++) {
        Cut c = {axis, i, high > low[i] ? high - low[i] : 0, i > n - i ? 2 * i - n : n - 2 * i};
        if (best->at == 0 || c.crossed < best->crossed ||
            (c.crossed == best->crossed && c.off < best->off))
            *best = c;
        high = items[i].high[axis] > high ? items[i].high[axis] : high;
    }
}

/* What the items cover; into items[0]'s place in the result. */
static Item around(const Item *items, uint32_t n)
{
    Item all = items[0];
    for (uint32_t i = 1; i < n; i++)
        for (unsigned axis = 0; axis < 2; axis++) {
            all.low[axis] = items[i].low[axis] < all.low[axis] ? items[i].low[axis] : all.low[axis];
            all.high[axis] =
                items[i].high[axis] > all.high[axis] ? items[i].high[axis] : all.high[axis];
        }
    return all;
}

/* The alignment of the shorter of two that stand next to each other that is nearest to how
 * they stand. */
static uint8_t alignment(const Item *a, const Item *b, unsigned across)
{
    int32_t long_a = a->high[across] - a->low[across], long_b = b->high[across] - b->low[across];
    const Item *large = long_a >= long_b ? a : b, *small = long_a >= long_b ? b : a;
    int32_t rest = abs(long_a - long_b), at = small->low[across] - large->low[across];
    return at * 4 <= rest ? 0 : at * 4 >= 3 * rest ? 2 : 1;
}

static int32_t slice(State *t, int32_t *unused, Item *items, uint32_t n, int32_t *low)
{
    if (n == 1)
        return (int32_t)items[0].kernel;
    Cut best = {0};
    for (unsigned axis = 0; axis < 2; axis++) {
        sort_items(items, n, axis);
        look_for_cuts(items, n, axis, low, &best);
    }
    sort_items(items, n, best.axis);
    Item a = around(items, best.at), b = around(items + best.at, n - best.at);
    int32_t first = slice(t, unused, items, best.at, low);
    int32_t second = slice(t, unused, items + best.at, n - best.at, low);
    int32_t v = tree_join(t, unused, first, second, best.axis == 1);
    t->nodes[v].align = alignment(&a, &b, !best.axis);
    return v;
}

State *given_start(Search *s, Arena *a, const PackPlace *places)
{
    Arena scratch = {0};
    State *t = state_create(a, s->n);
    Item *items = arena_array(&scratch, Item, s->n);
    int32_t *low = arena_array(&scratch, int32_t, s->n), unused = (int32_t)s->n;
    t->limit = 0;
    for (uint32_t k = 0; k < s->n; k++) {
        const PackPlace *p = &places[k];
        const Class *c = &s->classes[s->problem->class_of[k]];
        int32_t w = p->turned ? p->shape.h : p->shape.w, h = p->turned ? p->shape.w : p->shape.h;
        t->leaves[k] = leaf_of(c, p->family, p->turned, &p->shape);
        t->nodes[k] = (Node){.parent = -1, .child = {-1, -1}, .w = w, .h = h};
        items[k] = (Item){k, {p->x, p->y}, {p->x + w, p->y + h}};
        t->limit = p->shape.time > t->limit ? p->shape.time : t->limit;
    }
    t->root = slice(t, &unused, items, s->n, low);
    t->nodes[t->root].parent = -1;
    tree_size_all(t);
    tree_measure(s, t);
    arena_free(&scratch);
    return t;
}
