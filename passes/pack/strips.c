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
 * strip on either side and in either direction; where adapters cost, families are chosen for
 * few of them, and exactly so (exact.c) for the best cuts of all. O(n^2 + side * n) a limit. */
#include <stdlib.h>
#include <string.h>

#include "ir/support/vec.h"
#include "passes/pack/search.h"

#define FOR_CUTS 0.7 /* part of the budget; the rest is for exact.c */

enum {
    MAX_KERNELS = 300,
    MAX_ROUNDS = 8,
    MAX_POPULAR = 200,
    MAX_CHEAPEST = 8,
    MAX_ADAPTED = 2,
    MAX_EXACT = 6
};

typedef struct Cut {
    uint32_t end[MAX_STRIPS]; /* of the runs, in the order */
    int32_t length[MAX_STRIPS];
    int64_t thickness; /* of all strips */
    int32_t room;      /* for the first strip */
    unsigned strips;
    double base; /* what it costs without adapters */
} Cut;

/* A cut that has been adapted: at a longer time the same one is no better. */
typedef struct Tried {
    Cut cut;
    uint32_t level;
    bool stacked, backwards;
    double cost; /* the least */
    Cut best;    /* how that came: `cut` with more room */
    size_t number;
} Tried;

typedef struct Kind { /* of a start */
    unsigned strips;
    bool stacked;
    double time;
} Kind;

typedef struct Strips {
    Search *s;
    Arena arena, scratch;
    uint32_t n;
    int32_t *prefix; /* thicknesses of the kernels before i, at every length */
    uint32_t *order;
    Cut *cuts;
    Leaf *leaves; /* by place in the order */
    Options *options;
    uint32_t *chosen;
    uint32_t *count;  /* of kernels, by class */
    double *price_of; /* what one more in thickness costs in wire, by kernel */
    double price;     /* the mean */
    State *state, *kept[STRIPS_STARTS];
    Kind kind[STRIPS_STARTS];
    unsigned n_kept;
    bool backwards; /* the order is reversed */
    VEC(Tried) tried;
    double lowest; /* cost that fits */
    double least;  /* cost of the builds since this was reset */
    Meter meter;
} Strips;

static int32_t thickness(const Strips *q, uint32_t begin, uint32_t end, int32_t length)
{
    const int32_t *at = q->prefix + (size_t)length * (q->n + 1);
    return at[end] - at[begin];
}

/* The cut into three strips with the least thickness, and all into one and two; `side[0]` is
 * the length of the first strip. Returns how many there are. */
static uint32_t find_cuts(const Strips *q, const int32_t *side, Cut *cuts)
{
    uint32_t n = q->n, n_cuts = 0;
    Cut best = {.thickness = -1};
    for (uint32_t i = 1; i <= n; i++) {
        int32_t first = thickness(q, 0, i, side[0]), left = side[1] - first;
        if (left < (i < n))
            break;
        for (uint32_t j = i; j <= n; j++) {
            int32_t second = j > i ? thickness(q, i, j, left) : 0, rest = side[0] - second;
            if (rest < (j < n))
                break;
            int32_t third = j < n ? thickness(q, j, n, rest) : 0;
            Cut c = {{i, j, n}, {side[0], left, rest},  (int64_t)first + second + third,
                     first,     1u + (j > i) + (j < n), 0};
            if (third > left || (j == i && j < n))
                continue;
            if (c.strips < MAX_STRIPS)
                cuts[n_cuts++] = c;
            else if (best.thickness < 0 || c.thickness < best.thickness)
                best = c;
        }
    }
    if (best.thickness >= 0)
        cuts[n_cuts++] = best;
    return n_cuts;
}

static bool is_stack(bool first_stacked, unsigned strip)
{
    return first_stacked != (strip % 2 == 1);
}

static void curve_leaves(Strips *q, const Curve *curves, const Cut *c, bool stacked)
{
    for (uint32_t o = 0, i = 0; o < q->n; o++) {
        while (i + 1 < c->strips && o >= c->end[i])
            i++;
        const Curve *curve = &curves[q->s->problem->class_of[q->order[o]]];
        q->leaves[o] = curve->points[curve->point[c->length[i]]];
        q->leaves[o].turned = q->leaves[o].turned != is_stack(stacked, i);
    }
}

/* Two starts are alike if they have as many strips in the same direction and their times are
 * within 5 %: annealing that goes on from one seldom gets to the other's time. Keeps the best of
 * those that are alike. */
static void keep(Strips *q, unsigned strips, bool stacked)
{
    const State *t = q->state;
    Kind is = {strips, stacked, t->time};
    unsigned at = 0, worst = 0;
    for (; at < q->n_kept; at++) {
        const Kind *k = &q->kind[at];
        if (k->strips == strips && k->stacked == stacked && k->time < 1.05 * t->time &&
            t->time < 1.05 * k->time)
            break;
        if (q->kept[at]->cost > q->kept[worst]->cost)
            worst = at;
    }
    if (at == STRIPS_STARTS)
        at = worst;
    if (at < q->n_kept && t->cost >= q->kept[at]->cost)
        return;
    q->n_kept += at == q->n_kept;
    q->kind[at] = is;
    state_copy(q->kept[at], t, q->n);
    if (t->over == 0 && t->cost < q->lowest)
        q->lowest = t->cost;
}

/* `flips`: two bits a strip, on the far side and backwards. `leaves`: by place in the order. */
static double build(Strips *q, const Leaf *leaves, uint32_t level, const Cut *c, bool stacked,
                    unsigned flips)
{
    const PackProblem *p = q->s->problem;
    unsigned strips = c->strips;
    State *t = q->state;
    q->meter.steps += 60.0 * q->n + 10.0 * q->s->n_edges;
    int32_t unused = (int32_t)q->n, part[MAX_STRIPS];
    for (unsigned i = 0; i < strips; i++) {
        uint32_t begin = i ? c->end[i - 1] : 0;
        for (uint32_t o = begin; o < c->end[i]; o++) {
            uint32_t k = q->order[o];
            const Leaf *leaf = &leaves[o];
            t->leaves[k] = *leaf;
            t->nodes[k] = (Node){.parent = -1, .child = {-1, -1}};
            t->nodes[k].w = leaf->turned ? leaf->h : leaf->w;
            t->nodes[k].h = leaf->turned ? leaf->w : leaf->h;
        }
        part[i] = tree_join_kernels(t, &unused, q->order + begin, c->end[i] - begin,
                                    is_stack(stacked, i), flips >> (2 * i) & 1);
    }
    int32_t root = part[strips - 1];
    for (unsigned i = strips - 1; i-- > 0;) {
        bool far = flips >> (2 * i + 1) & 1;
        root =
            tree_join(t, &unused, far ? root : part[i], far ? part[i] : root, is_stack(stacked, i));
    }
    t->root = root;
    t->nodes[root].parent = -1;
    t->limit = q->s->limits[level];
    tree_size_all(t);
    tree_measure(q->s, t);
    q->least = t->cost < q->least ? t->cost : q->least;
    keep(q, strips, stacked);
    return p->time * t->time + p->wire * t->wire;
}

/* Returns the least cost without adapters. */
static double build_all(Strips *q, const Leaf *leaves, uint32_t level, const Cut *c, bool stacked)
{
    double least = 1e300;
    for (unsigned flips = 0; flips < 1u << (2 * c->strips - 1); flips++) {
        double base = build(q, leaves, level, c, stacked, flips);
        least = base < least ? base : least;
    }
    return least;
}

/* ---- adapters ---- */

/* A signature and how much use it is to all kernels together: one for everybody who could have
 * it at no price, less for those who would pay. */
typedef struct Popular {
    uint64_t key;
    double use;
} Popular;

static int compare_keys(const void *a, const void *b)
{
    const Popular *x = a, *y = b;
    return x->key < y->key ? -1 : x->key > y->key;
}

static int compare_use(const void *a, const void *b)
{
    const Popular *x = a, *y = b;
    return x->use != y->use ? (x->use > y->use ? -1 : 1) : compare_keys(a, b);
}

/* Leaves only options with one of the most popular signatures, and some of the cheapest. */
static void keep_popular(const Strips *q, Arena *a, Options *of_class)
{
    const PackProblem *p = q->s->problem;
    size_t n = 0, kept = 0;
    for (uint32_t c = 0; c < p->n_classes; c++)
        n += of_class[c].n;
    if (n == 0)
        return;
    Popular *list = arena_array(a, Popular, n);
    n = 0;
    for (uint32_t c = 0; c < p->n_classes; c++)
        for (uint32_t i = 0; i < of_class[c].n; i++) {
            const Option *o = &of_class[c].list[i];
            double share = 1 - (o->price - of_class[c].least) / (p->adapter * PACK_SIGNATURE);
            list[n++] = (Popular){o->leaf.in, q->count[c] * share};
        }
    qsort(list, n, sizeof *list, compare_keys);
    for (size_t i = 0; i < n; i++)
        if (kept && list[kept - 1].key == list[i].key)
            list[kept - 1].use += list[i].use;
        else
            list[kept++] = list[i];
    qsort(list, kept, sizeof *list, compare_use);
    if (kept > MAX_POPULAR)
        kept = MAX_POPULAR;
    qsort(list, kept, sizeof *list, compare_keys);
    for (uint32_t c = 0; c < p->n_classes; c++) {
        Options *o = &of_class[c];
        uint32_t left = 0, cheapest = 0;
        for (uint32_t i = 0; i < o->n; i++) {
            Popular key = {o->list[i].leaf.in, 0};
            if (bsearch(&key, list, kept, sizeof *list, compare_keys) ||
                (o->list[i].price <= of_class[c].least && cheapest++ < MAX_CHEAPEST))
                o->list[left++] = o->list[i];
        }
        o->n = left;
    }
}

/* The options of all classes in one strip that may pay. */
static Options *strip_options(Strips *q, Arena *a, uint32_t level, int32_t length, bool stack)
{
    const PackProblem *p = q->s->problem;
    Options *result = arena_array(a, Options, p->n_classes);
    Slit slit = {.limit = q->s->limits[level],
                 .w = stack ? length : p->w,
                 .h = stack ? p->h : length,
                 .price_w = stack ? 0 : q->price,
                 .price_h = stack ? q->price : 0};
    for (uint32_t c = 0; c < p->n_classes; c++) {
        q->meter.steps += 40.0 * q->s->classes[c].n;
        options_make(q->s, a, c, &slit, p->adapter * PACK_SIGNATURE, &result[c]);
    }
    return result;
}

/* Each kernel's own copy, since costs differ. */
static void give_options(Strips *q, Arena *a, const Options *of_class, uint32_t begin, uint32_t end)
{
    for (uint32_t o = begin; o < end; o++) {
        uint32_t k = q->order[o];
        const Options *from = &of_class[q->s->problem->class_of[k]];
        Options *to = &q->options[k];
        *to = (Options){arena_alloc(a, from->n, sizeof *to->list, alignof(Option)), from->n, 0};
        for (uint32_t i = 0; i < from->n; i++) {
            to->list[i] = from->list[i];
            to->list[i].price *= q->price > 0 ? q->price_of[k] / q->price : 1;
        }
    }
}

/* Room for the thickness of strip i. */
static int32_t room_of(const Strips *q, const Cut *c, bool stacked, unsigned i)
{
    const PackProblem *p = q->s->problem;
    if (i == 0)
        return c->strips > 1 ? c->room : stacked ? p->h : p->w;
    return i == 1 ? c->length[0] - (c->strips > 2 ? c->length[2] : 0) : c->length[1];
}

/* Families by their thickness and adapters, at a price of thickness that rises in a strip until
 * that is thin enough; false if it never is. */
static bool adapt(Strips *q, uint32_t level, const Cut *c, bool stacked)
{
    unsigned strips = c->strips;
    Arena *a = &q->scratch;
    ArenaMark mark = arena_mark(a);
    for (unsigned i = 0; i < strips; i++) {
        uint32_t begin = i ? c->end[i - 1] : 0;
        Options *of_class = strip_options(q, a, level, c->length[i], is_stack(stacked, i));
        keep_popular(q, a, of_class);
        give_options(q, a, of_class, begin, c->end[i]);
    }
    for (uint32_t o = 0; o < q->n; o++) {
        uint32_t k = q->order[o];
        q->chosen[k] = 0;
        if (q->options[k].n == 0) {
            arena_rewind(a, mark);
            return false;
        }
        for (uint32_t i = 1; i < q->options[k].n; i++)
            if (q->options[k].list[i].price < q->options[k].list[q->chosen[k]].price)
                q->chosen[k] = i;
    }
    bool fits = false;
    for (unsigned round = 0; round < MAX_ROUNDS && !fits && !meter_spent(&q->meter); round++) {
        choose_families(q->s, q->options, q->chosen);
        for (uint32_t k = 0; k < q->n; k++)
            q->meter.steps += 400.0 * q->options[k].n;
        fits = true;
        for (unsigned i = 0; i < strips; i++) {
            int32_t sum = 0;
            uint32_t begin = i ? c->end[i - 1] : 0;
            for (uint32_t o = begin; o < c->end[i]; o++) {
                const Option *is = &q->options[q->order[o]].list[q->chosen[q->order[o]]];
                q->leaves[o] = is->leaf;
                sum += leaf_thickness(&is->leaf, is_stack(stacked, i));
            }
            if (sum <= room_of(q, c, stacked, i))
                continue;
            fits = false;
            for (uint32_t o = begin; o < c->end[i]; o++)
                for (uint32_t x = 0; x < q->options[q->order[o]].n; x++)
                    q->options[q->order[o]].list[x].price *= 2;
        }
    }
    if (fits)
        build_all(q, q->leaves, level, c, stacked);
    arena_rewind(a, mark);
    return fits;
}

static bool has_tried(Strips *q, uint32_t level, const Cut *c, bool stacked)
{
    for (size_t i = 0; i < q->tried.n; i++) {
        const Tried *t = &q->tried.data[i];
        if (t->level <= level && t->cut.strips == c->strips && t->stacked == stacked &&
            t->backwards == q->backwards && t->cut.thickness == c->thickness &&
            t->cut.room == c->room && t->cut.end[0] == c->end[0] && t->cut.end[1] == c->end[1])
            return true;
    }
    Tried is = {*c, level, stacked, q->backwards, 1e300, *c, q->tried.n};
    vec_push(&q->arena, &q->tried, is);
    return false;
}

/* The first strip may be somewhat thicker than it has to be: more room for agreement. */
static void adapt_cut(Strips *q, uint32_t level, const Cut *cut, bool stacked)
{
    unsigned strips = cut->strips;
    static const int32_t more[] = {0, 6, 20};
    const PackProblem *p = q->s->problem;
    int32_t side = stacked ? p->h : p->w;
    if (has_tried(q, level, cut, stacked))
        return;
    for (unsigned i = 0; i < (strips == 2 ? sizeof more / sizeof *more : 1); i++) {
        Cut c = *cut;
        c.room += more[i];
        if (strips > 1)
            c.length[1] = side - c.room;
        if (strips > 1 &&
            (c.length[1] < 1 || thickness(q, c.end[0], c.end[1], c.length[1]) > c.length[0]))
            break;
        q->least = 1e300;
        adapt(q, level, &c, stacked);
        Tried *t = &q->tried.data[q->tried.n - 1];
        if (q->least < t->cost) {
            t->cost = q->least;
            t->best = c;
        }
    }
}

static int compare_tried(const void *a, const void *b)
{
    const Tried *x = a, *y = b;
    if (x->cost != y->cost)
        return x->cost < y->cost ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

/* From where adapt() ends: edges between kernels that are no neighbours see those families. */
static void exactly(Strips *q, const Tried *t)
{
    Arena *a = &q->scratch;
    const Cut *c = &t->best;
    if (!adapt(q, t->level, c, t->stacked))
        return;
    ArenaMark mark = arena_mark(a);
    ExactStrip strips[MAX_STRIPS];
    for (unsigned i = 0; i < c->strips; i++) {
        bool stack = is_stack(t->stacked, i);
        strips[i] = (ExactStrip){c->end[i], room_of(q, c, t->stacked, i), c->length[i], stack};
        Options *of_class = strip_options(q, a, t->level, c->length[i], stack);
        for (uint32_t o = i ? c->end[i - 1] : 0; o < c->end[i]; o++) {
            Options *of = &q->options[q->order[o]];
            *of = of_class[q->s->problem->class_of[q->order[o]]];
        }
    }
    Exact e = {.order = q->order,
               .strips = strips,
               .n_strips = c->strips,
               .price_of = q->price_of,
               .limit = q->s->limits[t->level],
               .options = q->options,
               .leaves = q->leaves,
               .meter = &q->meter};
    if (exact_choose(q->s, &e))
        build_all(q, q->leaves, t->level, c, t->stacked);
    arena_rewind(a, mark);
}

static int compare_cuts(const void *a, const void *b)
{
    const Cut *x = a, *y = b;
    if (x->base != y->base)
        return x->base < y->base ? -1 : 1;
    if (x->end[0] != y->end[0])
        return x->end[0] < y->end[0] ? -1 : 1;
    return (x->end[1] > y->end[1]) - (x->end[1] < y->end[1]);
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
    /* On a square grid the other way round is the same. */
    for (unsigned stacked = 0; stacked < (p->w == p->h && !p->n_keepouts ? 1 : 2); stacked++) {
        int32_t side[2] = {stacked ? p->w : p->h, stacked ? p->h : p->w};
        uint32_t n = find_cuts(q, side, q->cuts);
        q->meter.steps += 2.0 * longer * q->n + 10.0 * q->n * q->n;
        for (uint32_t i = 0; i < n; i++) {
            q->cuts[i].base = 1e300;
            if (q->lowest < 1e300 && meter_spent(&q->meter))
                continue;
            curve_leaves(q, curves, &q->cuts[i], stacked);
            q->cuts[i].base = build_all(q, q->leaves, level, &q->cuts[i], stacked);
        }
        if (p->adapter > 0 && n > 0)
            qsort(q->cuts, n, sizeof *q->cuts, compare_cuts);
        for (uint32_t i = 0; p->adapter > 0 && i < n && i < MAX_ADAPTED && !meter_spent(&q->meter);
             i++)
            if (q->cuts[i].base < q->lowest)
                adapt_cut(q, level, &q->cuts[i], stacked);
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

/* A strip that gets thicker at a kernel makes all edges longer that lead over it, and by half
 * those that end there. */
static void find_prices(Strips *q)
{
    const PackProblem *p = q->s->problem;
    uint32_t *at = arena_array(&q->arena, uint32_t, q->n);
    q->price_of = arena_array(&q->arena, double, q->n);
    for (uint32_t o = 0; o < q->n; o++)
        at[q->order[o]] = o;
    for (uint32_t e = 0; e < q->s->n_edges; e++) {
        uint32_t a = at[q->s->edges[e].from], b = at[q->s->edges[e].to];
        double half = p->wire * q->s->edges[e].weight / 2;
        for (uint32_t o = a < b ? a : b; o <= (a < b ? b : a); o++)
            q->price_of[q->order[o]] += o == a || o == b ? half : 2 * half;
    }
    for (uint32_t o = 0; o < q->n; o++)
        q->price += q->price_of[o] / q->n;
}

uint32_t strips_start(Search *s, Arena *a, State **starts, const Budget *b)
{
    const PackProblem *p = s->problem;
    size_t longer = (size_t)(p->w > p->h ? p->w : p->h);
    Budget most = {b->steps * FOR_CUTS, b->seconds * FOR_CUTS};
    Strips q = {.s = s, .n = s->n, .lowest = 1e300, .meter = meter_start(&most)};
    if (s->n > MAX_KERNELS)
        return 0;
    q.prefix = arena_array(&q.arena, int32_t, (longer + 1) * (s->n + 1));
    q.order = arena_array(&q.arena, uint32_t, s->n);
    memcpy(q.order, s->order, s->n * sizeof *q.order);
    q.state = state_create(&q.arena, s->n);
    for (unsigned i = 0; i < STRIPS_STARTS; i++)
        q.kept[i] = state_create(a, s->n);
    q.cuts = arena_array(&q.arena, Cut, (size_t)s->n + 1);
    q.leaves = arena_array(&q.arena, Leaf, s->n);
    q.options = arena_array(&q.arena, Options, s->n);
    q.chosen = arena_array(&q.arena, uint32_t, s->n);
    q.count = arena_array(&q.arena, uint32_t, p->n_classes);
    for (uint32_t k = 0; k < s->n; k++)
        q.count[p->class_of[k]]++;
    find_prices(&q);
    /* Coarsely first: a low score early spares most of the fine steps. */
    for (uint32_t step = 16; step > 0; step /= 4)
        for (uint32_t level = 0; level < LEVEL_COUNT; level += step) {
            if (step < 16 && level % (4 * step) == 0)
                continue;
            if (p->time * s->limits[level] > q.lowest || meter_spent(&q.meter))
                break;
            for (unsigned turn = 0; turn < 2; turn++) {
                try_order(&q, search_curves(s, level), level);
                reverse(q.order, s->n);
                q.backwards = !q.backwards;
            }
        }
    if (q.tried.n)
        qsort(q.tried.data, q.tried.n, sizeof *q.tried.data, compare_tried);
    q.meter.budget = *b;
    for (size_t i = 0, done = 0; i < q.tried.n && done < MAX_EXACT; i++) {
        if (meter_spent(&q.meter))
            break;
        if (i > 0 && q.tried.data[i].cost == q.tried.data[i - 1].cost)
            continue; /* the same at another limit */
        done++;
        if (q.tried.data[i].backwards != q.backwards) {
            reverse(q.order, s->n);
            q.backwards = !q.backwards;
        }
        exactly(&q, &q.tried.data[i]);
    }
    uint32_t n_starts = 0;
    for (unsigned i = 0; i < q.n_kept; i++)
        starts[n_starts++] = q.kept[i];
    arena_free(&q.arena);
    arena_free(&q.scratch);
    return n_starts;
}
