/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/exact.c - families along strips, exactly.
 *
 * What is to be chosen is the cheapest path through the options of kernels in order, thickness
 * and adapters priced, while the thicknesses of a strip sum up to at most its room: a shortest
 * path with a resource. A price on the resource (Lagrange) alone finds the paths on the hull of
 * cost over thickness and misses those between, which may be many adapters cheaper. So the gap
 * is closed (Handler and Zang, Networks 10, 1980): at the best price of the resource every option
 * gets a lower bound on all paths through it, from a pass forwards and one backwards; those with
 * a bound above the best path known are dropped (few are left of thousands); and a dynamic
 * program over the rest and all sums of thicknesses gives the best path.
 *
 * Before that, options near to a best path get variants whose last number agrees with one of
 * the kernels beside them, if the model has such. Edges between kernels that are no neighbours in
 * the order see the kernels as they were. O(options * subsets) a pass,
 * O(options left * room * subsets) at the end. */
#include <math.h>
#include <string.h>

#include "ir/support/vec.h"
#include "passes/pack/search.h"

enum { PASSES = 12, MAX_VARIED = 3000, MAX_CELLS = 1000000, FAR = 4 };

typedef struct Choice {
    Leaf leaf; /* of a variant of leaf.family if the last numbers are not that one's */
    int32_t thickness;
    double extra;         /* adapters at edges to kernels elsewhere */
    double ahead, behind; /* least costs of paths up to here and from here on, both with this one */
    uint32_t before;
} Choice;

typedef struct Stage { /* a kernel */
    uint32_t kernel, strip;
    const PackEdge *edge; /* to the one before; NULL if there is none */
    Choice *list;
    uint32_t n;
} Stage;

typedef struct Path {
    Search *s;
    const Exact *e;
    Arena arena;
    Stage *stages;
    uint32_t n;
    Agreements met;
    double price[MAX_STRIPS]; /* of the room of a strip, over what thickness costs anyway */
    double cost;              /* of the best known path that fits */
    uint32_t *best;           /* that path: choices by stage */
    bool found;
} Path;

/* The last number of a signature. */
static uint32_t last_of(uint64_t signature)
{
    return (uint32_t)(signature & 0xfffff);
}

static double own(const Path *q, const Stage *g, const Choice *c)
{
    return (q->e->price_of[g->kernel] + q->price[g->strip]) * c->thickness + c->extra;
}

static double rooms(const Path *q)
{
    double sum = 0;
    for (uint32_t i = 0; i < q->e->n_strips; i++)
        sum += q->price[i] * q->e->strips[i].room;
    return sum;
}

static void count_pass(Path *q)
{
    for (uint32_t o = 0; o < q->n; o++)
        q->e->meter->steps += 20.0 * AGREE_SUBSETS * q->stages[o].n;
}

/* Sets `ahead` and `before`; the last choice of the cheapest path. */
static uint32_t pass_ahead(Path *q)
{
    count_pass(q);
    for (uint32_t o = 0; o < q->n; o++) {
        Stage *g = &q->stages[o];
        const Stage *last = o ? &q->stages[o - 1] : NULL;
        double least = o ? 1e300 : 0;
        uint32_t cheapest = 0;
        q->met.stamp++;
        for (uint32_t j = 0; last && j < last->n; j++) {
            if (g->edge)
                agreements_offer(&q->met, signature_at(g->edge, last->kernel, &last->list[j].leaf),
                                 last->list[j].ahead, j);
            if (last->list[j].ahead < least) {
                least = last->list[j].ahead;
                cheapest = j;
            }
        }
        for (uint32_t j = 0; j < g->n; j++) {
            Choice *c = &g->list[j];
            c->before = cheapest;
            c->ahead =
                own(q, g, c) +
                (g->edge ? agreements_least(&q->met, signature_at(g->edge, g->kernel, &c->leaf),
                                            &c->before)
                         : least);
        }
    }
    const Stage *end = &q->stages[q->n - 1];
    uint32_t best = 0;
    for (uint32_t j = 1; j < end->n; j++)
        if (end->list[j].ahead < end->list[best].ahead)
            best = j;
    return best;
}

static void pass_behind(Path *q)
{
    count_pass(q);
    for (uint32_t o = q->n; o-- > 0;) {
        Stage *g = &q->stages[o];
        const Stage *next = o + 1 < q->n ? &q->stages[o + 1] : NULL;
        double least = next ? 1e300 : 0;
        uint32_t unused;
        q->met.stamp++;
        for (uint32_t j = 0; next && j < next->n; j++) {
            if (next->edge)
                agreements_offer(&q->met,
                                 signature_at(next->edge, next->kernel, &next->list[j].leaf),
                                 next->list[j].behind, j);
            if (next->list[j].behind < least)
                least = next->list[j].behind;
        }
        for (uint32_t j = 0; j < g->n; j++) {
            Choice *c = &g->list[j];
            c->behind = own(q, g, c) +
                        (next && next->edge
                             ? agreements_least(
                                   &q->met, signature_at(next->edge, g->kernel, &c->leaf), &unused)
                             : least);
        }
    }
}

/* Follows the path that ends in `last`: sums of thicknesses by strip, and the path itself if it
 * fits and is the best so far. */
static void follow(Path *q, uint32_t last, int64_t *sums, uint32_t *path)
{
    memset(sums, 0, MAX_STRIPS * sizeof *sums);
    double cost = q->stages[q->n - 1].list[last].ahead;
    bool fits = true;
    for (uint32_t o = q->n; o-- > 0; last = q->stages[o].list[path[o]].before) {
        path[o] = last;
        sums[q->stages[o].strip] += q->stages[o].list[last].thickness;
        if (o == 0)
            break;
    }
    for (uint32_t i = 0; i < q->e->n_strips; i++) {
        cost -= q->price[i] * (double)sums[i];
        fits = fits && sums[i] <= q->e->strips[i].room;
    }
    if (fits && (!q->found || cost < q->cost)) {
        q->found = true;
        q->cost = cost;
        memcpy(q->best, path, q->n * sizeof *path);
    }
}

/* The best prices of the rooms, by bisection in all strips at once; returns the bound there. */
static double find_prices(Path *q)
{
    double low[MAX_STRIPS] = {0}, high[MAX_STRIPS], at[MAX_STRIPS] = {0}, bound = -1e300;
    uint32_t *path = arena_array(&q->arena, uint32_t, q->n);
    int64_t sums[MAX_STRIPS];
    double most = 0;
    for (uint32_t o = 0; o < q->n; o++)
        if (q->e->price_of[q->stages[o].kernel] > most)
            most = q->e->price_of[q->stages[o].kernel];
    for (uint32_t i = 0; i < MAX_STRIPS; i++)
        high[i] = 32 * most + q->s->problem->adapter;
    for (unsigned pass = 0; pass < PASSES; pass++) {
        for (uint32_t i = 0; i < q->e->n_strips; i++)
            q->price[i] = pass ? (low[i] + high[i]) / 2 : 0;
        uint32_t last = pass_ahead(q);
        double here = q->stages[q->n - 1].list[last].ahead - rooms(q);
        if (here > bound) {
            bound = here;
            memcpy(at, q->price, sizeof at);
        }
        follow(q, last, sums, path);
        bool fits = true;
        for (uint32_t i = 0; i < q->e->n_strips; i++) {
            bool fit = sums[i] <= q->e->strips[i].room;
            fits = fits && fit;
            if (pass || fit)
                *(fit ? &high[i] : &low[i]) = q->price[i];
        }
        if (pass == 0 && fits)
            break;
    }
    memcpy(q->price, at, sizeof at);
    return bound;
}

/* Drops choices that are on no path below `most`. */
static uint32_t drop(Path *q, double most)
{
    uint32_t left = 0;
    pass_ahead(q);
    pass_behind(q);
    most += rooms(q) + 1e-9 * fabs(most); /* sums differ by rounding */
    for (uint32_t o = 0; o < q->n; o++) {
        Stage *g = &q->stages[o];
        uint32_t n = 0;
        for (uint32_t j = 0; j < g->n; j++) {
            const Choice *c = &g->list[j];
            if (q->found && q->best[o] == j)
                q->best[o] = n;
            else if (c->ahead + c->behind - own(q, g, c) > most)
                continue;
            g->list[n++] = *c;
        }
        g->n = n;
        left += n;
    }
    return left;
}

static double extra_of(const Path *q, const uint32_t *at, uint32_t o, const Leaf *leaf)
{
    const Search *s = q->s;
    uint32_t k = q->stages[o].kernel, n = 0;
    for (uint32_t i = s->edge_begin[k]; i < s->edge_begin[k + 1]; i++) {
        const PackEdge *e = &s->edges[s->edge_of[i]];
        uint32_t other = e->from == k ? e->to : e->from, p = at[other];
        bool beside = e == q->stages[o].edge || (o + 1 < q->n && e == q->stages[o + 1].edge);
        if (!beside && other != k)
            n += key_difference(signature_at(e, k, leaf), signature_at(e, other, &q->e->leaves[p]));
    }
    return n * s->problem->adapter;
}

static void begin(Path *q, uint32_t *at)
{
    const Search *s = q->s;
    const Exact *e = q->e;
    uint32_t most = 0;
    for (uint32_t o = 0, i = 0; o < q->n; o++) {
        while (i + 1 < e->n_strips && o >= e->strips[i].end)
            i++;
        at[e->order[o]] = o;
        q->stages[o] = (Stage){.kernel = e->order[o], .strip = i};
    }
    for (uint32_t o = 1; o < q->n; o++) {
        uint32_t k = e->order[o];
        for (uint32_t i = s->edge_begin[k]; i < s->edge_begin[k + 1]; i++) {
            const PackEdge *edge = &s->edges[s->edge_of[i]];
            if (edge->from == e->order[o - 1] || edge->to == e->order[o - 1])
                q->stages[o].edge = edge;
        }
    }
    for (uint32_t o = 0; o < q->n; o++) {
        Stage *g = &q->stages[o];
        const Options *from = &e->options[g->kernel];
        g->list = arena_alloc(&q->arena, from->n, sizeof *g->list, alignof(Choice));
        g->n = from->n;
        most = g->n > most ? g->n : most;
        for (uint32_t j = 0; j < g->n; j++) {
            const Leaf *l = &from->list[j].leaf;
            g->list[j] = (Choice){.leaf = *l,
                                  .thickness = leaf_thickness(l, e->strips[g->strip].stacked),
                                  .extra = extra_of(q, at, o, l)};
        }
    }
    agreements_create(&q->met, &q->arena, s->problem->adapter, most);
}

/* ---- variants ---- */

typedef VEC(Choice) ChoiceVec;

static void offer_variant(Path *q, const uint32_t *at, uint32_t o, const Choice *of, uint32_t in,
                          uint32_t out, ChoiceVec *list)
{
    const PackModel *m = q->s->problem->model;
    const Stage *g = &q->stages[o];
    PackShape shape;
    uint32_t class_index = q->s->problem->class_of[g->kernel];
    if (of->leaf.family >= q->s->classes[class_index].n ||
        (in == last_of(of->leaf.in) && out == last_of(of->leaf.out)) ||
        !m->variant(m->self, class_index, of->leaf.family, in, out, q->e->limit, &shape))
        return;
    Choice c = *of;
    c.leaf.in = (of->leaf.in & ~0xfffffull) | in;
    c.leaf.out = (of->leaf.out & ~0xfffffull) | out;
    c.leaf.w = shape.w;
    c.leaf.h = shape.h;
    c.leaf.time = shape.time;
    const ExactStrip *strip = &q->e->strips[g->strip];
    if (leaf_thickness(&c.leaf, !strip->stacked) > strip->length)
        return;
    c.thickness = leaf_thickness(&c.leaf, strip->stacked);
    c.extra = extra_of(q, at, o, &c.leaf);
    vec_push(&q->arena, list, c);
}

/* The last numbers that choices of a stage show at an edge, each once. */
static uint32_t numbers_at(const Stage *g, const PackEdge *e, uint32_t *numbers, uint64_t *seen)
{
    uint32_t n = 0;
    for (uint32_t j = 0; j < g->n; j++) {
        uint32_t x = last_of(signature_at(e, g->kernel, &g->list[j].leaf));
        if (!(seen[x / 64] >> x % 64 & 1))
            numbers[n++] = x;
        seen[x / 64] |= 1ull << x % 64;
    }
    for (uint32_t i = 0; i < n; i++)
        seen[numbers[i] / 64] = 0;
    return n;
}

static void add_variants(Path *q, const uint32_t *at)
{
    uint64_t *seen = arena_array(&q->arena, uint64_t, (1 << 20) / 64);
    uint32_t most = 0;
    for (uint32_t o = 0; o < q->n; o++)
        most = q->stages[o].n > most ? q->stages[o].n : most;
    uint32_t *numbers = arena_array(&q->arena, uint32_t, most);
    ChoiceVec *more = arena_array(&q->arena, ChoiceVec, q->n);
    for (uint32_t o = 0; o < q->n; o++) {
        const Stage *g = &q->stages[o];
        for (unsigned side = 0; side < 2; side++) {
            if (side ? o + 1 == q->n : o == 0)
                continue;
            const PackEdge *e = side ? q->stages[o + 1].edge : g->edge;
            if (!e)
                continue;
            uint32_t n = numbers_at(side ? g + 1 : g - 1, e, numbers, seen);
            bool out = e->from == g->kernel || e->to_out;
            q->e->meter->steps += 30.0 * g->n * n;
            for (uint32_t j = 0; j < g->n; j++)
                for (uint32_t i = 0; i < n; i++)
                    offer_variant(q, at, o, &g->list[j],
                                  out ? last_of(g->list[j].leaf.in) : numbers[i],
                                  out ? numbers[i] : last_of(g->list[j].leaf.out), &more[o]);
        }
    }
    most = 0;
    for (uint32_t o = 0; o < q->n; o++) {
        Stage *g = &q->stages[o];
        Choice *all = arena_alloc(&q->arena, g->n + more[o].n, sizeof *all, alignof(Choice));
        memcpy(all, g->list, g->n * sizeof *all);
        if (more[o].n)
            memcpy(all + g->n, more[o].data, more[o].n * sizeof *all);
        g->list = all;
        g->n += (uint32_t)more[o].n;
        most = g->n > most ? g->n : most;
    }
    agreements_create(&q->met, &q->arena, q->s->problem->adapter, most);
}

/* ---- all sums of thicknesses ---- */

typedef struct Cell { /* the cheapest path to a choice at a sum of thicknesses in its strip */
    double cost;
    uint32_t before;
} Cell;

typedef struct Sums {
    size_t width;   /* of a row of cells, one for every sum */
    Cell ***cells;  /* by stage and choice */
    uint32_t **end; /* by stage and choice: the cheapest sum, where a strip ends; else NULL */
} Sums;

static Cell *new_cells(Arena *a, size_t width)
{
    Cell *c = arena_alloc(a, width, sizeof *c, alignof(Cell));
    for (size_t x = 0; x < width; x++)
        c[x] = (Cell){1e300, 0};
    return c;
}

/* The cheapest of choices that agree in a subset of components, by sum: a group's number is
 * what its slot says. Without an edge all are one group. */
static Cell **make_groups(Path *q, Arena *a, const Stage *last, const PackEdge *e,
                          Cell *const *cells, size_t width)
{
    Cell **groups = arena_array(a, Cell *, (size_t)last->n * AGREE_SUBSETS);
    uint32_t n = 0;
    q->met.stamp++;
    for (uint32_t j = 0; j < last->n; j++)
        for (unsigned subset = e ? 0 : AGREE_SUBSETS - 1; subset < AGREE_SUBSETS; subset++) {
            uint64_t key = e ? signature_at(e, last->kernel, &last->list[j].leaf) : 0;
            AgreeSlot *slot = agreements_slot(&q->met, key, subset);
            if (slot->option == UINT32_MAX) {
                groups[n] = new_cells(a, width);
                slot->option = n++;
            }
            Cell *g = groups[slot->option];
            for (size_t x = 0; x < width; x++)
                if (cells[j][x].cost < g[x].cost)
                    g[x] = (Cell){cells[j][x].cost, j};
        }
    return groups;
}

static void fill_cells(Path *q, const Stage *g, const Choice *c, Cell *const *groups, Cell *cells)
{
    double cost = q->e->price_of[g->kernel] * c->thickness + c->extra;
    size_t end = (size_t)q->e->strips[g->strip].room + 1, by = (size_t)c->thickness;
    if (!groups && by < end)
        cells[by].cost = cost;
    if (!groups)
        return;
    for (unsigned subset = g->edge ? 0 : AGREE_SUBSETS - 1; subset < AGREE_SUBSETS; subset++) {
        uint64_t key = g->edge ? signature_at(g->edge, g->kernel, &c->leaf) : 0;
        uint32_t at = agreements_slot(&q->met, key, subset)->option;
        double more = cost + agreements_price(&q->met, subset);
        for (size_t x = 0; at != UINT32_MAX && x + by < end; x++)
            if (groups[at][x].cost + more < cells[x + by].cost)
                cells[x + by] = (Cell){groups[at][x].cost + more, groups[at][x].before};
    }
}

/* A strip begins at no sum, wherever the one before has ended. */
static uint32_t *end_strip(Path *q, const Stage *g, Cell *const *cells, size_t width)
{
    uint32_t *end = arena_array(&q->arena, uint32_t, g->n);
    for (uint32_t j = 0; j < g->n; j++) {
        for (uint32_t x = 1; x < width; x++)
            if (cells[j][x].cost < cells[j][end[j]].cost)
                end[j] = x;
        double least = cells[j][end[j]].cost;
        for (size_t x = 0; x < width; x++)
            cells[j][x].cost = x ? 1e300 : least;
    }
    return end;
}

static void keep_cheapest(Path *q, const Sums *t)
{
    const Stage *last = &q->stages[q->n - 1];
    uint32_t at = 0;
    for (uint32_t j = 1; j < last->n; j++)
        if (t->cells[q->n - 1][j][0].cost < t->cells[q->n - 1][at][0].cost)
            at = j;
    double cost = t->cells[q->n - 1][at][0].cost;
    if (cost >= (q->found ? q->cost : 1e299))
        return;
    q->found = true;
    q->cost = cost;
    for (uint32_t o = q->n, sum = 0; o-- > 0;) {
        if (t->end[o])
            sum = t->end[o][at];
        q->best[o] = at;
        uint32_t before = t->cells[o][at][sum].before;
        sum -= (uint32_t)q->stages[o].list[at].thickness;
        at = before;
    }
}

static size_t widest_row(const Exact *e)
{
    int32_t room = 0;
    for (uint32_t i = 0; i < e->n_strips; i++)
        room = e->strips[i].room > room ? e->strips[i].room : room;
    return (size_t)room + 1;
}

static void try_all_sums(Path *q, size_t width)
{
    Arena scratch = {0};
    Sums t = {.width = width,
              .cells = arena_array(&q->arena, Cell **, q->n),
              .end = arena_array(&q->arena, uint32_t *, q->n)};
    for (uint32_t o = 0; o < q->n; o++) {
        const Stage *g = &q->stages[o];
        q->e->meter->steps += 3.0 * AGREE_SUBSETS * (double)t.width * g->n;
        Cell **groups =
            o ? make_groups(q, &scratch, g - 1, g->edge, t.cells[o - 1], t.width) : NULL;
        t.cells[o] = arena_array(&q->arena, Cell *, g->n);
        for (uint32_t j = 0; j < g->n; j++) {
            t.cells[o][j] = new_cells(&q->arena, t.width);
            fill_cells(q, g, &g->list[j], groups, t.cells[o][j]);
        }
        if (o + 1 == q->n || g->strip != g[1].strip)
            t.end[o] = end_strip(q, g, t.cells[o], t.width);
        arena_free(&scratch);
    }
    keep_cheapest(q, &t);
}

bool exact_choose(Search *s, const Exact *e)
{
    Path q = {.s = s, .e = e, .n = s->n};
    double adapter = s->problem->adapter;
    if (e->n_strips > MAX_STRIPS)
        return false;
    q.stages = arena_array(&q.arena, Stage, q.n);
    q.best = arena_array(&q.arena, uint32_t, q.n);
    uint32_t *at = arena_array(&q.arena, uint32_t, q.n);
    begin(&q, at);
    double bound = find_prices(&q);
    uint32_t left = drop(&q, (q.found ? q.cost : bound + FAR * adapter) + adapter);
    if (s->problem->model->variant && left <= MAX_VARIED && !meter_spent(e->meter)) {
        add_variants(&q, at);
        bound = find_prices(&q);
    }
    left = drop(&q, q.found ? q.cost : bound + FAR * adapter);
    size_t width = widest_row(e);
    if (left * width <= MAX_CELLS && !meter_spent(e->meter))
        try_all_sums(&q, width);
    for (uint32_t o = 0; q.found && o < q.n; o++) {
        const Choice *c = &q.stages[o].list[q.best[o]];
        e->leaves[o] = c->leaf;
        q.found = class_variant(s, s->problem->class_of[q.stages[o].kernel], c->leaf.family,
                                last_of(c->leaf.in), last_of(c->leaf.out), &e->leaves[o].family);
    }
    arena_free(&q.arena);
    return q.found;
}
