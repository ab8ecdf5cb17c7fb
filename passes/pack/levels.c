/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/levels.c - families by signature, and Pareto curves of all classes for a ladder
 * of time limits, made when first asked for (a curve depends on its limit only, so it does not
 * matter which thread asks). O(families + side) for a class and level. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/pack/search.h"

static uint64_t key_of(const uint32_t *signature)
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

static void class_init(Arena *a, Class *c)
{
    Keyed *k = malloc((c->n ? c->n : 1) * sizeof *k);
    if (!k)
        abort();
    c->lean = arena_array(a, uint32_t, c->n);
    c->keys = arena_array(a, uint64_t, c->n);
    c->by_key = arena_array(a, uint32_t, c->n);
    for (uint32_t i = 0; i < c->n; i++) {
        if (!c->families[i].spare)
            c->lean[c->n_lean++] = i;
        k[i] = (Keyed){key_of(c->families[i].in), i};
    }
    qsort(k, c->n, sizeof *k, compare_keyed);
    for (uint32_t i = 0; i < c->n; i++) {
        c->keys[i] = k[i].key;
        c->by_key[i] = k[i].family;
    }
    free(k);
}

bool class_find(const Class *c, const uint32_t *in, uint32_t *family)
{
    uint64_t key = key_of(in);
    uint32_t low = 0, high = c->n;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (c->keys[mid] < key)
            low = mid + 1;
        else
            high = mid;
    }
    bool below = low > 0 && c->keys[low - 1] >> 20 == key >> 20;
    bool above = low < c->n && c->keys[low] >> 20 == key >> 20;
    if (!below && !above)
        return false;
    if (above && below && c->keys[low] != key && key - c->keys[low - 1] < c->keys[low] - key)
        above = false;
    *family = c->by_key[above ? low : low - 1];
    return true;
}

static void topological(Search *s)
{
    const PackProblem *p = s->problem;
    uint32_t n = s->n, *missing = arena_array(&s->arena, uint32_t, n);
    uint32_t *stack = arena_array(&s->arena, uint32_t, n), depth = 0, count = 0;
    bool *done = arena_array(&s->arena, bool, n);
    for (uint32_t e = 0; e < p->n_edges; e++)
        missing[p->edges[e].to]++;
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
            const PackEdge *e = &p->edges[s->edge_of[i]];
            if (e->from == k && missing[e->to] && --missing[e->to] == 0 && !done[e->to]) {
                done[e->to] = true;
                stack[depth++] = e->to;
            }
        }
    }
}

bool search_init(Search *s, const PackProblem *p, double least_time)
{
    Arena *a = &s->arena;
    s->problem = p;
    s->n = p->n_kernels;
    s->side = (p->w > p->h ? p->w : p->h) * 5 / 4 + 1;
    s->classes = arena_array(a, Class, p->n_classes);
    for (uint32_t c = 0; c < p->n_classes; c++) {
        s->classes[c].n = p->model->families(p->model->self, c, &s->classes[c].families);
        class_init(a, &s->classes[c]);
    }
    s->edge_begin = arena_array(a, uint32_t, s->n + 1);
    s->edge_of = arena_array(a, uint32_t, 2 * (size_t)p->n_edges);
    for (uint32_t e = 0; e < p->n_edges; e++) {
        s->edge_begin[p->edges[e].from]++;
        s->edge_begin[p->edges[e].to]++;
    }
    for (uint32_t k = 0, sum = 0; k <= s->n; k++) {
        uint32_t count = k < s->n ? s->edge_begin[k] : 0;
        s->edge_begin[k] = sum;
        sum += count;
    }
    uint32_t *fill = arena_array(a, uint32_t, s->n);
    for (uint32_t e = 0; e < p->n_edges; e++) {
        uint32_t from = p->edges[e].from, to = p->edges[e].to;
        s->edge_of[s->edge_begin[from] + fill[from]++] = e;
        s->edge_of[s->edge_begin[to] + fill[to]++] = e;
    }
    s->order = arena_array(a, uint32_t, s->n);
    topological(s);
    double limit = least_time;
    for (uint32_t i = 0; i < LEVEL_COUNT; i++, limit *= 1.002)
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

uint32_t class_group(const Class *c, const uint32_t *in, uint32_t *first)
{
    uint64_t group = key_of(in) >> 20;
    uint32_t low = 0, high = c->n, end;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (c->keys[mid] >> 20 < group)
            low = mid + 1;
        else
            high = mid;
    }
    for (end = low; end < c->n && c->keys[end] >> 20 == group; end++)
        ;
    *first = low;
    return end - low;
}

Curve *curves_make(const Search *s, Arena *a, double limit, const uint32_t *group)
{
    const PackProblem *p = s->problem;
    size_t extents = (size_t)s->side + 1;
    Curve *curves = arena_array(a, Curve, p->n_classes);
    Leaf *at = malloc(extents * sizeof *at);
    if (!at)
        abort();
    for (uint32_t k = 0; k < p->n_classes; k++) {
        Curve *c = &curves[k];
        c->across = arena_array(a, int16_t, extents);
        c->point = arena_array(a, uint16_t, extents);
        for (size_t i = 0; i < extents; i++)
            c->across[i] = EXTENT_NONE;
        const Class *class_of = &s->classes[k];
        uint32_t first = 0, count = group ? class_group(class_of, group, &first) : class_of->n_lean;
        for (uint32_t i = first; i < first + count; i++) {
            uint32_t family = group ? class_of->by_key[i] : class_of->lean[i];
            PackShape shape;
            if (!p->model->shape(p->model->self, k, family, limit, &shape))
                continue;
            Leaf leaf = {family, false, shape.time, shape.w, shape.h};
            curve_offer(c, at, s->side, shape.h, shape.w, leaf);
            leaf.turned = true;
            curve_offer(c, at, s->side, shape.w, shape.h, leaf);
        }
        uint32_t n = 0;
        for (size_t i = 1; i < extents; i++)
            n += c->across[i] < EXTENT_NONE;
        c->points = arena_array(a, Leaf, n);
        n = 0;
        for (size_t i = 1; i < extents; i++)
            if (c->across[i - 1] <= c->across[i]) {
                c->across[i] = c->across[i - 1];
                c->point[i] = c->point[i - 1];
            } else {
                c->point[i] = (uint16_t)n;
                c->points[n++] = at[i];
            }
    }
    free(at);
    return curves;
}

const Curve *search_curves(Search *s, uint32_t level)
{
    pthread_mutex_lock(&s->lock);
    if (!s->levels[level].curves)
        s->levels[level].curves = curves_make(s, &s->arena, s->limits[level], NULL);
    const Curve *result = s->levels[level].curves;
    pthread_mutex_unlock(&s->lock);
    return result;
}
