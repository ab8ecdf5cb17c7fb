/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/levels.c - families by signature, and Pareto curves of all classes for a ladder
 * of time limits, made when first asked for (a curve depends on its limit only, so it does not
 * matter which thread asks). O(families + side) for a class and level. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/pack/search.h"

uint64_t signature_key(const uint32_t *signature)
{
    uint64_t key = 0;
    for (unsigned i = 0; i < PACK_SIGNATURE; i++)
        key = key << 20 | (signature[i] & 0xfffff);
    return key;
}

typedef struct Keyed {
    uint64_t key;
    uint32_t family;
} Keyed;

static int compare_keyed(const void *a, const void *b)
{
    const Keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->family < y->family ? -1 : x->family > y->family;
}

/* Numbers that some family which is not spare has at a place of its signature. */
typedef struct Wanted {
    uint64_t *bits[PACK_SIGNATURE];
} Wanted;

enum { COMPONENTS = 1 << 20 };

static void want(Wanted *w, const uint32_t *signature)
{
    for (unsigned i = 0; i < PACK_SIGNATURE; i++)
        w->bits[i][(signature[i] & (COMPONENTS - 1)) / 64] |= 1ull << signature[i] % 64;
}

static bool is_wanted(const Wanted *w, const uint32_t *signature)
{
    bool all = true;
    for (unsigned i = 0; i < PACK_SIGNATURE; i++)
        all = all && w->bits[i][(signature[i] & (COMPONENTS - 1)) / 64] >> signature[i] % 64 & 1;
    return all;
}

/* Spare families are found by their signature if others that are not have its numbers, too: what
 * agrees in a number that is spare everywhere would agree in the next smaller one as well. */
static void class_init(Arena *a, const Wanted *wanted, Class *c)
{
    Keyed *k = malloc((c->n ? c->n : 1) * sizeof *k);
    if (!k)
        abort();
    uint32_t most = c->n + MAX_VARIANTS;
    c->lean = arena_array(a, uint32_t, c->n);
    c->base = arena_array(a, uint32_t, MAX_VARIANTS);
    c->in = arena_array(a, uint64_t, most);
    c->out = arena_array(a, uint64_t, most);
    c->keys = arena_array(a, uint64_t, most);
    c->by_key = arena_array(a, uint32_t, most);
    for (uint32_t i = 0; i < c->n; i++) {
        if (!c->families[i].spare)
            c->lean[c->n_lean++] = i;
        c->in[i] = signature_key(c->families[i].in);
        c->out[i] = signature_key(c->families[i].out);
        if (!c->families[i].spare ||
            (is_wanted(wanted, c->families[i].in) && is_wanted(wanted, c->families[i].out)))
            k[c->n_keys++] = (Keyed){c->in[i], i};
    }
    qsort(k, c->n_keys, sizeof *k, compare_keyed);
    for (uint32_t i = 0; i < c->n_keys; i++) {
        c->keys[i] = k[i].key;
        c->by_key[i] = k[i].family;
    }
    free(k);
}

bool class_shape(const Search *s, uint32_t class_index, uint32_t family, double limit,
                 PackShape *result)
{
    const PackModel *m = s->problem->model;
    const Class *c = &s->classes[class_index];
    if (family < c->n)
        return m->shape(m->self, class_index, family, limit, result);
    const PackFamily *f = &c->families[family];
    return m->variant(m->self, class_index, c->base[family - c->n], f->in[PACK_SIGNATURE - 1],
                      f->out[PACK_SIGNATURE - 1], limit, result);
}

bool class_variant(Search *s, uint32_t class_index, uint32_t family, uint32_t in, uint32_t out,
                   uint32_t *is)
{
    Class *c = &s->classes[class_index];
    PackFamily v = c->families[family];
    *is = family;
    if (v.in[PACK_SIGNATURE - 1] == in && v.out[PACK_SIGNATURE - 1] == out)
        return true;
    v.in[PACK_SIGNATURE - 1] = in;
    v.out[PACK_SIGNATURE - 1] = out;
    v.spare = true;
    uint64_t key_in = signature_key(v.in), key_out = signature_key(v.out);
    for (*is = c->n; *is < c->n + c->n_variants; ++*is)
        if (c->base[*is - c->n] == family && c->in[*is] == key_in && c->out[*is] == key_out)
            return true;
    if (c->n_variants == MAX_VARIANTS)
        return false;
    uint32_t at = c->n_keys++;
    c->base[c->n_variants++] = family;
    c->families[*is] = v;
    c->in[*is] = key_in;
    c->out[*is] = key_out;
    for (; at > 0 && c->keys[at - 1] > key_in; at--) {
        c->keys[at] = c->keys[at - 1];
        c->by_key[at] = c->by_key[at - 1];
    }
    c->keys[at] = key_in;
    c->by_key[at] = *is;
    return true;
}

bool class_find(const Class *c, const uint32_t *in, uint32_t *family)
{
    uint64_t key = signature_key(in);
    uint32_t low = 0, high = c->n_keys;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (c->keys[mid] < key)
            low = mid + 1;
        else
            high = mid;
    }
    bool below = low > 0 && c->keys[low - 1] >> 20 == key >> 20;
    bool above = low < c->n_keys && c->keys[low] >> 20 == key >> 20;
    if (!below && !above)
        return false;
    if (above && below && c->keys[low] != key && key - c->keys[low - 1] < c->keys[low] - key)
        above = false;
    *family = c->by_key[above ? low : low - 1];
    return true;
}

static void topological(Search *s)
{
    uint32_t n = s->n, *missing = arena_array(&s->arena, uint32_t, n);
    uint32_t *stack = arena_array(&s->arena, uint32_t, n), depth = 0, count = 0;
    bool *done = arena_array(&s->arena, bool, n);
    for (uint32_t e = 0; e < s->n_edges; e++)
        missing[s->edges[e].to]++;
    for (uint32_t next = 0; count < n;) {
        if (depth == 0) { /* a source; on a cycle any kernel */
            uint32_t found = n;
            for (uint32_t k = next; k < n && found == n; k++)
                if (!done[k] && missing[k] == 0)
                    found = k;
            for (uint32_t k = 0; k < n && found == n; k++)
                if (!done[k])
                    found = k;
            done[found] = true;
            stack[depth++] = found;
        }
        uint32_t k = stack[--depth];
        s->order[count++] = k;
        for (uint32_t i = s->edge_begin[k]; i < s->edge_begin[k + 1]; i++) {
            const PackEdge *e = &s->edges[s->edge_of[i]];
            if (e->from == k && missing[e->to] && --missing[e->to] == 0 && !done[e->to]) {
                done[e->to] = true;
                stack[depth++] = e->to;
            }
        }
    }
}

/* Counts of elements to where each begins. */
static void counts_to_begins(uint32_t *count, uint32_t n)
{
    for (uint32_t k = 0, sum = 0; k <= n; k++) {
        uint32_t here = k < n ? count[k] : 0;
        count[k] = sum;
        sum += here;
    }
}

/* Edges between kernels, those to terminals, and the wire of those between terminals. */
static void split_edges(Search *s)
{
    const PackProblem *p = s->problem;
    Arena *a = &s->arena;
    uint32_t n = s->n, *fill = arena_array(a, uint32_t, n),
             *fill_ties = arena_array(a, uint32_t, n);
    s->edges = arena_alloc(a, p->n_edges, sizeof *s->edges, alignof(PackEdge));
    s->ties = arena_alloc(a, p->n_edges, sizeof *s->ties, alignof(Tie));
    s->edge_begin = arena_array(a, uint32_t, n + 1);
    s->tie_begin = arena_array(a, uint32_t, n + 1);
    for (uint32_t i = 0; i < p->n_edges; i++) {
        const PackEdge *e = &p->edges[i];
        if (e->from < n && e->to < n)
            s->edges[s->n_edges++] = *e;
        for (unsigned end = 0; end < 2; end++) {
            uint32_t k = end ? e->to : e->from;
            if (k < n)
                (e->from < n && e->to < n ? s->edge_begin : s->tie_begin)[k]++;
        }
    }
    s->pull = arena_array(a, double, n);
    for (uint32_t i = 0; i < s->n_edges; i++)
        if (s->edges[i].from != s->edges[i].to) {
            s->pull[s->edges[i].from] += s->edges[i].weight / 2;
            s->pull[s->edges[i].to] += s->edges[i].weight / 2;
        }
    counts_to_begins(s->edge_begin, n);
    counts_to_begins(s->tie_begin, n);
    s->n_ties = s->tie_begin[n];
    s->edge_of = arena_array(a, uint32_t, 2 * (size_t)s->n_edges);
    for (uint32_t e = 0; e < s->n_edges; e++) {
        uint32_t from = s->edges[e].from, to = s->edges[e].to;
        s->edge_of[s->edge_begin[from] + fill[from]++] = e;
        s->edge_of[s->edge_begin[to] + fill[to]++] = e;
    }
    for (uint32_t i = 0; i < p->n_edges; i++) {
        const PackEdge *e = &p->edges[i];
        uint32_t k = e->from < n ? e->from : e->to, other = e->from < n ? e->to : e->from;
        if (other < n)
            continue;
        const PackTerminal *t = &p->terminals[other - n];
        if (k < n) {
            s->ties[s->tie_begin[k] + fill_ties[k]++] =
                (Tie){k, 2 * t->x, 2 * t->y, t->any_x, t->any_y, e->weight};
            continue;
        }
        const PackTerminal *u = &p->terminals[k - n];
        double dx = t->any_x || u->any_x ? 0 : fabs(t->x - u->x);
        double dy = t->any_y || u->any_y ? 0 : fabs(t->y - u->y);
        s->fixed_wire += e->weight * (dx + dy);
    }
}

Leaf leaf_of(const Class *c, uint32_t family, bool turned, const PackShape *shape)
{
    return (Leaf){family, turned, shape->time, shape->w, shape->h, c->in[family], c->out[family]};
}

bool search_init(Search *s, const PackProblem *p, double least_time)
{
    Arena *a = &s->arena;
    s->problem = p;
    s->n = p->n_kernels;
    s->side = (p->w > p->h ? p->w : p->h) * 5 / 4 + 1;
    s->classes = arena_array(a, Class, p->n_classes);
    Arena scratch = {0};
    Wanted wanted;
    for (unsigned i = 0; i < PACK_SIGNATURE; i++)
        wanted.bits[i] = arena_array(&scratch, uint64_t, COMPONENTS / 64);
    for (uint32_t c = 0; c < p->n_classes; c++) {
        Class *k = &s->classes[c];
        const PackFamily *list;
        k->n = p->model->families(p->model->self, c, &list);
        k->families =
            arena_alloc(a, (size_t)k->n + MAX_VARIANTS, sizeof *list, alignof(PackFamily));
        memcpy(k->families, list, k->n * sizeof *list);
        for (uint32_t f = 0; f < k->n; f++)
            if (!k->families[f].spare) {
                want(&wanted, k->families[f].in);
                want(&wanted, k->families[f].out);
            }
    }
    for (uint32_t c = 0; c < p->n_classes; c++)
        class_init(a, &wanted, &s->classes[c]);
    arena_free(&scratch);
    split_edges(s);
    s->order = arena_array(a, uint32_t, s->n);
    topological(s);
    /* Coarser where curves of a level take much memory. */
    double limit = least_time, ratio = p->n_classes <= 50 ? 1.002 : 1.01;
    for (uint32_t i = 0; i < LEVEL_COUNT; i++, limit *= ratio)
        s->limits[i] = limit;
    return pthread_mutex_init(&s->lock, NULL) == 0;
}

void search_finish(Search *s)
{
    pthread_mutex_destroy(&s->lock);
    arena_free(&s->arena);
}

uint32_t search_level(const Search *s, double limit)
{
    uint32_t low = 0, high = LEVEL_COUNT;
    while (high - low > 1) {
        uint32_t mid = (low + high) / 2;
        if (s->limits[mid] <= limit)
            low = mid;
        else
            high = mid;
    }
    return low;
}

static void curve_offer(Curve *c, Leaf *at, int32_t side, int32_t along, int32_t across, Leaf leaf)
{
    if (along <= side && across <= side && across < c->across[along]) {
        c->across[along] = (int16_t)across;
        at[along] = leaf;
    }
}

/* Of the families of a class that are not spare. `at` has room for side + 1. */
static void curve_make(const Search *s, Arena *a, double limit, uint32_t class_index, Leaf *at,
                       Curve *c)
{
    const Class *class_of = &s->classes[class_index];
    size_t extents = (size_t)s->side + 1;
    int16_t *across = arena_array(a, int16_t, extents);
    c->point = arena_array(a, uint16_t, extents);
    for (size_t i = 0; i < extents; i++)
        across[i] = EXTENT_NONE;
    c->across = across;
    for (uint32_t i = 0; i < class_of->n_lean; i++) {
        uint32_t family = class_of->lean[i];
        PackShape shape;
        if (!class_shape(s, class_index, family, limit, &shape))
            continue;
        Leaf leaf = leaf_of(class_of, family, false, &shape);
        curve_offer(c, at, s->side, shape.h, shape.w, leaf);
        leaf.turned = true;
        curve_offer(c, at, s->side, shape.w, shape.h, leaf);
    }
    for (size_t i = 1; i < extents; i++)
        c->n_points += across[i] < EXTENT_NONE;
    c->points = arena_array(a, Leaf, c->n_points);
    c->n_points = 0;
    for (size_t i = 1; i < extents; i++)
        if (across[i - 1] <= across[i]) {
            across[i] = across[i - 1];
            c->point[i] = c->point[i - 1];
        } else {
            c->point[i] = (uint16_t)c->n_points;
            c->points[c->n_points++] = at[i];
        }
}

static Leaf *points_room(const Search *s)
{
    Leaf *at = malloc(((size_t)s->side + 1) * sizeof *at);
    if (!at)
        abort();
    return at;
}

Curve *curves_make(const Search *s, Arena *a, double limit)
{
    Curve *curves = arena_array(a, Curve, s->problem->n_classes);
    Leaf *at = points_room(s);
    for (uint32_t c = 0; c < s->problem->n_classes; c++)
        curve_make(s, a, limit, c, at, &curves[c]);
    free(at);
    return curves;
}

/* Makes the curves first .. first + count of a level that are not there yet. */
static const Curve *ask(Search *s, uint32_t level, uint32_t first, uint32_t count)
{
    pthread_mutex_lock(&s->lock);
    Level *l = &s->levels[level];
    Leaf *at = NULL;
    if (!l->curves)
        l->curves = arena_array(&s->arena, Curve, s->problem->n_classes);
    for (uint32_t c = first; c < first + count; c++)
        if (!l->curves[c].across) {
            at = at ? at : points_room(s);
            curve_make(s, &s->arena, s->limits[level], c, at, &l->curves[c]);
        }
    pthread_mutex_unlock(&s->lock);
    free(at);
    return l->curves;
}

const Curve *search_curves(Search *s, uint32_t level)
{
    return ask(s, level, 0, s->problem->n_classes);
}

const Curve *search_curve(Search *s, uint32_t level, uint32_t class_index)
{
    return &ask(s, level, class_index, 1)[class_index];
}
