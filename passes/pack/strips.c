/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/strips.c - a constructive start of few, long strips.
 *
 * Kernels in order of the data are cut into up to three runs. The first run becomes a strip along
 * one side of the grid, its kernels as long as the side and as thin as that lets them be; the
 * second a strip along the neighbouring side of what is left, the third fills the rest. Wire
 * runs across the strips, so what counts is their thickness: a row over the whole grid is the
 * shortest, and where the kernels do not all fit into it because thicknesses are integers, a
 * stack of the last ones beside the row adds far less wire than a second row of all.
 *
 * For a ladder of time limits and both orders the cut with the least thickness is built, every
 * strip on either side and in either direction. O(n^2 + side * n) a limit. */
#include <string.h>

#include "passes/pack/search.h"

enum { MAX_STRIPS = 3, MAX_KERNELS = 300 };

typedef struct Cut {
    uint32_t end[MAX_STRIPS]; /* of the runs, in the order */
    int32_t length[MAX_STRIPS];
    int64_t thickness; /* of all strips */
} Cut;

typedef struct Strips {
    Search *s;
    uint32_t n;
    int32_t *prefix; /* thicknesses of the kernels before i, at every length */
    uint32_t *order;
    State *state, *kept[2 * MAX_STRIPS];
    bool has[2 * MAX_STRIPS];
    double lowest;
} Strips;

static int32_t thickness(const Strips *q, uint32_t begin, uint32_t end, int32_t length)
{
    const int32_t *at = q->prefix + (size_t)length * (q->n + 1);
    return at[end] - at[begin];
}

/* The cuts of 1 .. MAX_STRIPS strips with the least thickness; `side[0]` is the length of the first
 * strip. thickness < 0: there is none. */
static void best_cuts(const Strips *q, const int32_t *side, Cut *best)
{
    uint32_t n = q->n;
    for (unsigned i = 0; i < MAX_STRIPS; i++)
        best[i].thickness = -1;
    for (uint32_t i = 1; i <= n; i++) {
        int32_t first = thickness(q, 0, i, side[0]), left = side[1] - first;
        if (left < (i < n))
            break;
        for (uint32_t j = i; j <= n; j++) {
            int32_t second = j > i ? thickness(q, i, j, left) : 0, rest = side[0] - second;
            if (rest < (j < n))
                break;
            int32_t third = j < n ? thickness(q, j, n, rest) : 0;
            Cut c = {{i, j, n}, {side[0], left, rest}, (int64_t)first + second + third};
            Cut *b = &best[(j > i) + (j < n)];
            if (third <= left && (j > i || j == n) &&
                (b->thickness < 0 || c.thickness < b->thickness))
                *b = c;
        }
    }
}

static int32_t join(State *t, int32_t *unused, int32_t a, int32_t b, bool stacked)
{
    int32_t v = (*unused)++;
    t->nodes[v] = (Node){.parent = -1, .child = {a, b}, .stacked = stacked, .align = 1};
    t->nodes[a].parent = t->nodes[b].parent = v;
    return v;
}

/* Kernels begin .. end of the order as a balanced tree. */
static int32_t join_run(const Strips *q, int32_t *unused, uint32_t begin, uint32_t end,
                        bool stacked, bool backwards)
{
    if (end - begin == 1)
        return (int32_t)q->order[begin];
    uint32_t mid = begin + (end - begin) / 2;
    int32_t a = join_run(q, unused, begin, mid, stacked, backwards);
    int32_t b = join_run(q, unused, mid, end, stacked, backwards);
    return join(q->state, unused, backwards ? b : a, backwards ? a : b, stacked);
}

/* `flips`: two bits a strip, on the far side and backwards. */
static void build(Strips *q, const Curve *curves, uint32_t level, const Cut *c, unsigned strips,
                  bool stacked, unsigned flips)
{
    State *t = q->state;
    int32_t unused = (int32_t)q->n, part[MAX_STRIPS];
    for (unsigned i = 0; i < strips; i++) {
        uint32_t begin = i ? c->end[i - 1] : 0;
        bool stack = stacked != (i % 2 == 1);
        for (uint32_t o = begin; o < c->end[i]; o++) {
            uint32_t k = q->order[o];
            const Curve *curve = &curves[q->s->problem->class_of[k]];
            Leaf leaf = curve->points[curve->point[c->length[i]]];
            leaf.turned = leaf.turned != stack;
            t->leaves[k] = leaf;
            t->nodes[k] = (Node){.parent = -1, .child = {-1, -1}};
            t->nodes[k].w = leaf.turned ? leaf.h : leaf.w;
            t->nodes[k].h = leaf.turned ? leaf.w : leaf.h;
        }
        part[i] = join_run(q, &unused, begin, c->end[i], stack, flips >> (2 * i) & 1);
    }
    int32_t root = part[strips - 1];
    for (unsigned i = strips - 1; i-- > 0;) {
        bool far = flips >> (2 * i + 1) & 1;
        root =
            join(t, &unused, far ? root : part[i], far ? part[i] : root, stacked != (i % 2 == 1));
    }
    t->root = root;
    t->nodes[root].parent = -1;
    t->limit = q->s->limits[level];
    tree_size_all(t);
    tree_measure(q->s, t);
    const PackProblem *p = q->s->problem;
    if (p->adapter > 0 && t->over == 0 && p->time * t->time + p->wire * t->wire < q->lowest)
        repair(q->s, t);
    unsigned slot = 2 * (strips - 1) + stacked;
    if (q->has[slot] && t->cost >= q->kept[slot]->cost)
        return;
    state_copy(q->kept[slot], t, q->n);
    q->has[slot] = true;
    if (t->over == 0 && t->cost < q->lowest)
        q->lowest = t->cost;
}

static void try_order(Strips *q, const Curve *curves, uint32_t level)
{
    const PackProblem *p = q->s->problem;
    int32_t longer = p->w > p->h ? p->w : p->h;
    for (int32_t length = 1; length <= longer; length++) {
        int32_t *at = q->prefix + (size_t)length * (q->n + 1);
        for (uint32_t i = 0; i < q->n; i++)
            at[i + 1] = at[i] + curves[p->class_of[q->order[i]]].across[length];
    }
    for (unsigned stacked = 0; stacked < 2; stacked++) {
        Cut cuts[MAX_STRIPS];
        int32_t side[2] = {stacked ? p->w : p->h, stacked ? p->h : p->w};
        best_cuts(q, side, cuts);
        for (unsigned i = 0; i < MAX_STRIPS; i++)
            for (unsigned flips = 0; cuts[i].thickness >= 0 && flips < 1u << (2 * i + 1); flips++)
                build(q, curves, level, &cuts[i], i + 1, stacked, flips);
    }
}

static void reverse(uint32_t *v, uint32_t n)
{
    for (uint32_t i = 0; i < n / 2; i++) {
        uint32_t k = v[i];
        v[i] = v[n - 1 - i];
        v[n - 1 - i] = k;
    }
}

/* All kernels from a group of families that agree in all but one component of the signature,
 * where adapters weigh. */
static void try_group(Strips *q, const uint32_t *group, double until)
{
    Arena arena = {0};
    Search *s = q->s;
    for (uint32_t level = 0; level < LEVEL_COUNT; level += 8) {
        if (s->problem->time * s->limits[level] > q->lowest || (until > 0 && pack_now() > until))
            break;
        ArenaMark mark = arena_mark(&arena);
        const Curve *curves = curves_make(s, &arena, s->limits[level], group);
        for (unsigned turn = 0; turn < 2; turn++, reverse(q->order, s->n))
            try_order(q, curves, level);
        arena_rewind(&arena, mark);
    }
    arena_free(&arena);
}

static void try_groups(Strips *q, double until)
{
    const Search *s = q->s;
    const Class *first = &s->classes[0];
    for (uint32_t i = 0; i < first->n; i++) {
        const uint32_t *group = first->families[first->by_key[i]].in;
        uint32_t begin, common = 1;
        if (i > 0 && first->keys[i] >> 20 == first->keys[i - 1] >> 20)
            continue;
        for (uint32_t c = 0; c < s->problem->n_classes && common; c++)
            common = class_group(&s->classes[c], group, &begin);
        if (common)
            try_group(q, group, until);
    }
}

uint32_t strips_start(Search *s, Arena *a, State **starts, double seconds)
{
    Arena scratch = {0};
    const PackProblem *p = s->problem;
    double begin = pack_now();
    size_t longer = (size_t)(p->w > p->h ? p->w : p->h);
    Strips q = {.s = s, .n = s->n, .lowest = 1e300};
    if (s->n > MAX_KERNELS)
        return 0;
    q.prefix = arena_array(&scratch, int32_t, (longer + 1) * (s->n + 1));
    q.order = arena_array(&scratch, uint32_t, s->n);
    memcpy(q.order, s->order, s->n * sizeof *q.order);
    q.state = state_create(&scratch, s->n);
    for (unsigned i = 0; i < 2 * MAX_STRIPS; i++)
        q.kept[i] = state_create(a, s->n);
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        if (p->time * s->limits[level] > q.lowest || (seconds > 0 && pack_now() - begin > seconds))
            break;
        for (unsigned turn = 0; turn < 2; turn++, reverse(q.order, s->n))
            try_order(&q, search_curves(s, level), level);
    }
    if (p->adapter > 0)
        try_groups(&q, seconds > 0 ? begin + 2 * seconds : 0);
    uint32_t n_starts = 0;
    for (unsigned i = 0; i < 2 * MAX_STRIPS; i++)
        if (q.has[i])
            starts[n_starts++] = q.kept[i];
    arena_free(&scratch);
    return n_starts;
}
