/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/bound.c - a proved lower bound of the score.
 *
 * Let a placement have its slowest kernel at time t. Every kernel then has a shape with time
 * at most t, so
 *   - the least areas of such shapes, summed, fit the free grid: t >= t0, the least time for
 *     which they do (and for which every kernel has a shape that fits the grid at all);
 *   - boxes that do not overlap have centres at least half the sum of their extents apart in x
 *     or in y, so an edge is at least as long as half the sum of the least sides s(t) of both.
 * Hence score >= min over t >= t0 of time * t + wire * sum weight * (s_a(t) + s_b(t)) / 2. Both
 * least areas and least sides fall with t: over an interval [a, b] the value is at least that
 * of time at a and wire at b; intervals are halved until this is near the minimum. Least sides
 * are over all families, spare ones included, so that nothing rests on which of them are kept
 * for the search. Adapters count as none. */
#include <stdlib.h>

#include "passes/pack/search.h"

#define MOST_TIME 1e18 /* nothing takes longer */

typedef struct Least {
    double area, wire;
    bool possible;
} Least;

typedef struct Bound {
    Arena arena;
    const PackProblem *p;
    double *degree; /* sum of the weights of edges at kernels, by class */
    uint32_t *count;
    double lowest; /* the least value found at any time */
} Bound;

/* The least area and side of a class's shapes that fit the grid; false if there is none. */
static bool class_least(const PackProblem *p, uint32_t c, double limit, double *area, int32_t *side)
{
    int32_t longer = p->w > p->h ? p->w : p->h, shorter = p->w > p->h ? p->h : p->w;
    const PackFamily *families;
    uint32_t n = p->model->families(p->model->self, c, &families);
    *area = 1e300;
    *side = INT32_MAX;
    for (uint32_t f = 0; f < n; f++) {
        PackShape s;
        if (!p->model->shape(p->model->self, c, f, limit, &s))
            continue;
        int32_t large = s.w > s.h ? s.w : s.h, small = s.w > s.h ? s.h : s.w;
        if (large > longer || small > shorter)
            continue;
        if ((double)s.w * s.h < *area)
            *area = (double)s.w * s.h;
        if (small < *side)
            *side = small;
    }
    return *side < INT32_MAX;
}

bool bound_has_shape(const PackProblem *p, uint32_t kernel)
{
    double area;
    int32_t side;
    return class_least(p, p->class_of[kernel], MOST_TIME, &area, &side);
}

static Least least_at(const Bound *b, double limit)
{
    const PackProblem *p = b->p;
    Least r = {.possible = true};
    for (uint32_t c = 0; c < p->n_classes; c++) {
        double area;
        int32_t side;
        if (b->count[c] == 0)
            continue;
        if (!class_least(p, c, limit, &area, &side)) {
            r.possible = false;
            return r;
        }
        r.area += area * b->count[c];
        r.wire += b->degree[c] * side / 2;
    }
    return r;
}

static void bound_init(Bound *b, const PackProblem *p)
{
    *b = (Bound){.p = p, .lowest = 1e300};
    b->degree = arena_array(&b->arena, double, p->n_classes);
    b->count = arena_array(&b->arena, uint32_t, p->n_classes);
    for (uint32_t k = 0; k < p->n_kernels; k++)
        b->count[p->class_of[k]]++;
    for (uint32_t e = 0; e < p->n_edges; e++) {
        uint32_t from = p->edges[e].from, to = p->edges[e].to;
        if (from == to || from >= p->n_kernels || to >= p->n_kernels)
            continue;
        b->degree[p->class_of[from]] += p->edges[e].weight;
        b->degree[p->class_of[to]] += p->edges[e].weight;
    }
}

static int compare_keepouts(const void *a, const void *b)
{
    const PackRect *x = a, *y = b;
    return (x->y > y->y) - (x->y < y->y);
}

static int compare_extents(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* What keep-outs, which may overlap, leave of the grid: strips between the x at which one
 * begins or ends, in each the union of intervals of y. O(keepouts^2). */
static double free_area(const PackProblem *p)
{
    Arena arena = {0};
    uint32_t n = 0, n_cuts = 0;
    PackRect *in = arena_array(&arena, PackRect, p->n_keepouts);
    int32_t *cuts = arena_array(&arena, int32_t, 2 * (size_t)p->n_keepouts);
    for (uint32_t i = 0; i < p->n_keepouts; i++) {
        PackRect r = p->keepouts[i];
        int64_t x1 = (int64_t)r.x + r.w, y1 = (int64_t)r.y + r.h;
        int32_t x0 = r.x > 0 ? r.x : 0, y0 = r.y > 0 ? r.y : 0;
        x1 = x1 < p->w ? x1 : p->w;
        y1 = y1 < p->h ? y1 : p->h;
        if (x1 <= x0 || y1 <= y0)
            continue;
        in[n++] = (PackRect){x0, y0, (int32_t)(x1 - x0), (int32_t)(y1 - y0)};
        cuts[n_cuts++] = x0;
        cuts[n_cuts++] = (int32_t)x1;
    }
    if (n) {
        qsort(in, n, sizeof *in, compare_keepouts);
        qsort(cuts, n_cuts, sizeof *cuts, compare_extents);
    }
    double area = (double)p->w * p->h;
    for (uint32_t i = 0; i + 1 < n_cuts; i++) {
        int32_t covered = 0, top = 0;
        for (uint32_t j = 0; j < n && cuts[i] < cuts[i + 1]; j++) {
            PackRect r = in[j];
            if (r.x > cuts[i] || r.x + r.w <= cuts[i] || r.y + r.h <= top)
                continue;
            covered += r.y + r.h - (r.y > top ? r.y : top);
            top = r.y + r.h;
        }
        area -= (double)covered * (cuts[i + 1] - cuts[i]);
    }
    arena_free(&arena);
    return area;
}

static double least_time(const Bound *b)
{
    const PackProblem *p = b->p;
    double space = free_area(p), low = 0, high = 1;
    for (;; low = high, high *= 8) {
        Least l = least_at(b, high);
        if (l.possible && l.area <= space)
            break;
        if (high > MOST_TIME)
            return -1;
    }
    while (high > low * 1.0002 + 1e-9) {
        double mid = (low + high) / 2;
        Least l = least_at(b, mid);
        if (l.possible && l.area <= space)
            high = mid;
        else
            low = mid;
    }
    return low;
}

double bound_least_time(const PackProblem *p)
{
    Bound b;
    bound_init(&b, p);
    double result = least_time(&b);
    arena_free(&b.arena);
    return result;
}

static double lower(Bound *b, double t0, double t1, double wire1, unsigned depth)
{
    const PackProblem *p = b->p;
    double value = p->time * t0 + p->wire * wire1;
    if (depth == 0 || value >= b->lowest * 0.999)
        return value;
    double mid = (t0 + t1) / 2, wire = least_at(b, mid).wire;
    if (p->time * mid + p->wire * wire < b->lowest)
        b->lowest = p->time * mid + p->wire * wire;
    double left = lower(b, t0, mid, wire, depth - 1);
    double right = lower(b, mid, t1, wire1, depth - 1);
    return left < right ? left : right;
}

double pack_bound(const PackProblem *p)
{
    Bound b;
    bound_init(&b, p);
    double t0 = least_time(&b), result = 0;
    if (t0 >= 0 && p->wire == 0) {
        result = p->time * t0;
    } else if (t0 >= 0) {
        /* From t1 on the slowest kernel alone costs more than t0 with its wire. */
        double first = t0 * 1.0003 + 1e-9, wire = least_at(&b, first).wire;
        b.lowest = p->time * first + p->wire * wire;
        double t1 = b.lowest / p->time;
        result = lower(&b, t0, t1, least_at(&b, t1).wire, 12);
        if (p->time * t1 < result)
            result = p->time * t1;
    }
    arena_free(&b.arena);
    return result;
}
