/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/rows.c - the constructive start: kernels in order of the data in rows that run
 * to and fro. For every number of rows the kernels are dealt out by area, the curves of the
 * tree give the shapes, and bisection over the ladder of time limits the least that fits; some
 * looser limits are tried where wire weighs. O(rows * log levels) evaluations. */
#include <stdlib.h>
#include <string.h>

#include "passes/pack/search.h"

enum { MAX_ROWS = 24 };

static int32_t join(State *t, int32_t *unused, int32_t a, int32_t b, bool stacked)
{
    if (a < 0)
        return b;
    int32_t v = (*unused)++;
    t->nodes[v] = (Node){.parent = -1, .child = {a, b}, .stacked = stacked, .align = 1};
    t->nodes[a].parent = t->nodes[b].parent = v;
    return v;
}

/* Nodes first .. first + count as a balanced tree. */
static int32_t join_range(State *t, int32_t *unused, const int32_t *nodes, uint32_t count,
                          bool stacked)
{
    if (count == 1)
        return nodes[0];
    int32_t a = join_range(t, unused, nodes, count / 2, stacked);
    int32_t b = join_range(t, unused, nodes + count / 2, count - count / 2, stacked);
    return join(t, unused, a, b, stacked);
}

static void build_rows(const Search *s, State *t, const double *area, double total, uint32_t rows,
                       int32_t *list)
{
    int32_t unused = (int32_t)s->n, row_nodes[MAX_ROWS];
    uint32_t n_rows = 0, done = 0;
    double sum = 0;
    for (uint32_t row = 0; row < rows && done < s->n; row++) {
        uint32_t count = 0;
        while (done < s->n && (row == rows - 1 || count == 0 ||
                               sum + area[s->order[done]] / 2 <= total * (row + 1) / rows)) {
            sum += area[s->order[done]];
            list[count++] = (int32_t)s->order[done++];
        }
        for (uint32_t i = 0; row % 2 && i < count / 2; i++) {
            int32_t k = list[i];
            list[i] = list[count - 1 - i];
            list[count - 1 - i] = k;
        }
        row_nodes[n_rows++] = join_range(t, &unused, list, count, false);
    }
    t->root = join_range(t, &unused, row_nodes, n_rows, true);
    t->nodes[t->root].parent = -1;
}

static int compare_states(const void *a, const void *b)
{
    const State *x = *(State *const *)a, *y = *(State *const *)b;
    if ((x->over > 0) != (y->over > 0))
        return x->over > 0 ? 1 : -1;
    return x->cost < y->cost ? -1 : x->cost > y->cost;
}

uint32_t rows_start(Search *s, Arena *a, State **starts, uint32_t max, double seconds)
{
    Arena scratch = {0};
    const PackProblem *p = s->problem;
    uint32_t n = s->n, n_starts = 0;
    double *area = arena_array(&scratch, double, n), total = 0, begin = pack_now();
    int32_t *list = arena_array(&scratch, int32_t, n);
    Curves *c = curves_create(&scratch, s);
    State *t = state_create(&scratch, n), *best = state_create(&scratch, n);
    for (uint32_t k = 0; k < n; k++) {
        t->nodes[k] = (Node){.parent = -1, .child = {-1, -1}};
        t->leaves[k] = (Leaf){0};
    }
    uint32_t least = 0; /* the level at which every kernel has a shape */
    for (uint32_t high = LEVEL_COUNT - 1; least < high;) {
        uint32_t mid = (least + high) / 2;
        const Curve *curves = search_curves(s, mid);
        bool all = true;
        for (uint32_t k = 0; k < p->n_classes && all; k++)
            all = curves[k].across[s->side] != EXTENT_NONE;
        if (all)
            high = mid;
        else
            least = mid + 1;
    }
    const Curve *curves = search_curves(s, least);
    for (uint32_t k = 0; k < n; k++) {
        double least_area = 1e300;
        for (int32_t h = 1; h <= s->side; h++) {
            double v = (double)h * curves[p->class_of[k]].across[h];
            if (v < least_area)
                least_area = v;
        }
        total += area[k] = least_area;
    }
    for (uint32_t rows = 1; rows <= MAX_ROWS && rows <= n && n_starts < max; rows++) {
        if (rows > 1 && seconds > 0 && pack_now() - begin > seconds)
            break;
        build_rows(s, t, area, total, rows, list);
        uint32_t low = least, high = LEVEL_COUNT - 1;
        while (low < high) {
            uint32_t mid = (low + high) / 2;
            curves_update(s, c, NULL, t, mid);
            curves_keep(c);
            if (t->over == 0)
                high = mid;
            else
                low = mid + 1;
        }
        bool found = false;
        for (uint32_t level = low, step = 1; level < LEVEL_COUNT; level += step, step *= 2) {
            curves_update(s, c, NULL, t, level);
            curves_keep(c);
            if (t->cost < 1e300 && (!found || t->cost < best->cost)) {
                state_copy(best, t, n);
                found = true;
            }
        }
        if (!found)
            continue;
        starts[n_starts] = state_create(a, n);
        state_copy(starts[n_starts++], best, n);
    }
    qsort(starts, n_starts, sizeof(State *), compare_states);
    arena_free(&scratch);
    return n_starts;
}
