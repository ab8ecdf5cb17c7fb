/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/rows.c - the constructive start: kernels in order of the data in rows that run
 * to and fro, by dynamic programming over the order: for a time limit and a number of rows the
 * splits with the least sum of row heights, where the kernels of a row take their narrowest
 * shapes for its height. A ladder of limits is tried, finely near the best. For a limit
 * O(side * n + n * kernels in a row * (log side + rows)). */
#include <stdlib.h>
#include <string.h>

#include "passes/pack/search.h"

enum { MAX_ROWS = 24 };

/* Nodes first .. first + count as a balanced tree. */
static int32_t join_range(State *t, int32_t *unused, const int32_t *nodes, uint32_t count,
                          bool stacked)
{
    if (count == 1)
        return nodes[0];
    int32_t a = join_range(t, unused, nodes, count / 2, stacked);
    int32_t b = join_range(t, unused, nodes + count / 2, count - count / 2, stacked);
    return tree_join(t, unused, a, b, stacked);
}

/* Two rows over each other of least width for kernels begin .. end. */
typedef struct Pair {
    int32_t width, h; /* of the first row */
    uint32_t split;
} Pair;

typedef struct Rows {
    Search *s;
    uint32_t n;
    int32_t *prefix; /* widths of kernels before i in the order, at every height */
    int32_t *height; /* of rows that end before j, by the row's first kernel and length */
    uint32_t longest;
    int32_t *best; /* least height of r rows up to kernel i */
    uint32_t *from;
    uint32_t *count; /* of kernels, by class */
    Pair *pairs[2];
    State *state, *kept[MAX_ROWS + 1];
    uint32_t kept_level[MAX_ROWS + 1];
    bool has[MAX_ROWS + 1];
    double lowest;
    Meter meter;
} Rows;

enum { TOO_HIGH = 1 << 28 };

static int32_t row_width(const Rows *q, uint32_t begin, uint32_t end, int32_t h)
{
    const int32_t *at = q->prefix + (size_t)h * (q->n + 1);
    return at[end] - at[begin];
}

/* The least height at which kernels begin .. end fit beside each other; TOO_HIGH if none. */
static int32_t row_height(const Rows *q, uint32_t begin, uint32_t end, int32_t least)
{
    const PackProblem *p = q->s->problem;
    int32_t low = least, high = p->h;
    if (least > p->h || row_width(q, begin, end, high) > p->w)
        return TOO_HIGH;
    while (low < high) {
        int32_t mid = (low + high) / 2;
        if (row_width(q, begin, end, mid) <= p->w)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/* Kernels begin .. end of the order side by side, in their narrowest shapes for a height. */
static int32_t build_row(const Search *s, State *t, const Curve *curves, Row row, bool backwards,
                         int32_t *unused)
{
    uint32_t count = row.end - row.begin;
    for (uint32_t i = row.begin; i < row.end; i++) {
        uint32_t k = s->order[i];
        const Curve *c = &curves[s->problem->class_of[k]];
        const Leaf *leaf = &c->points[c->point[row.h]];
        t->leaves[k] = *leaf;
        t->nodes[k] = (Node){.parent = -1, .child = {-1, -1}, .stacked = row.up && i == row.begin};
        t->nodes[k].w = leaf->turned ? leaf->h : leaf->w;
        t->nodes[k].h = leaf->turned ? leaf->w : leaf->h;
    }
    return tree_join_kernels(t, unused, s->order + row.begin, count, false, backwards);
}

void rows_build(const Search *s, State *t, const Curve *curves, const Row *rows, uint32_t n_rows,
                bool to_and_fro)
{
    Arena scratch = {0};
    int32_t *nodes = arena_array(&scratch, int32_t, n_rows), unused = (int32_t)s->n;
    for (uint32_t i = 0; i < n_rows; i++)
        nodes[i] = build_row(s, t, curves, rows[i], to_and_fro && i % 2, &unused);
    t->root = join_range(t, &unused, nodes, n_rows, true);
    t->nodes[t->root].parent = -1;
    for (int32_t i = (int32_t)s->n; i < unused && s->problem->n_keepouts; i++)
        t->nodes[i].align = 0; /* as shelves were filled */
    arena_free(&scratch);
}

static void finish(Rows *q, int32_t root, uint32_t level, uint32_t slot)
{
    State *t = q->state;
    t->root = root;
    t->nodes[root].parent = -1;
    t->limit = q->s->limits[level];
    tree_size_all(t);
    tree_measure(q->s, t);
    if (q->has[slot] && t->cost >= q->kept[slot]->cost)
        return;
    state_copy(q->kept[slot], t, q->n);
    q->kept_level[slot] = level;
    q->has[slot] = true;
    if (t->over == 0 && t->cost < q->lowest)
        q->lowest = t->cost;
}

static void build(Rows *q, uint32_t rows, uint32_t level, const Curve *curves)
{
    Row row[MAX_ROWS];
    for (uint32_t i = rows, end = q->n; i-- > 0;) {
        uint32_t begin = q->from[(size_t)(i + 1) * (q->n + 1) + end];
        row[i] =
            (Row){begin, end, q->height[(size_t)begin * q->longest + (end - begin - 1)], false};
        end = begin;
    }
    rows_build(q->s, q->state, curves, row, rows, true);
    finish(q, q->state->root, level, rows);
}

static Pair pair_rows(const Rows *q, uint32_t begin, uint32_t end)
{
    int32_t total = q->s->problem->h;
    Pair best = {.width = begin == end ? 0 : TOO_HIGH, .split = end};
    for (uint32_t m = begin + 1; m < end; m++) {
        int32_t low = 1, high = total - 1;
        while (low < high) { /* the first row gets narrower with h, the second wider */
            int32_t mid = (low + high) / 2;
            if (row_width(q, begin, m, mid) <= row_width(q, m, end, total - mid))
                high = mid;
            else
                low = mid + 1;
        }
        for (int32_t h = low > 1 ? low - 1 : low; h <= low; h++) {
            int32_t a = row_width(q, begin, m, h), b = row_width(q, m, end, total - h);
            if ((a > b ? a : b) < best.width)
                best = (Pair){a > b ? a : b, h, m};
        }
    }
    return best;
}

static int32_t build_pair(Rows *q, const Curve *curves, uint32_t begin, uint32_t end, Pair pair,
                          bool backwards, int32_t *unused)
{
    Row low = {begin, pair.split, pair.h, false};
    Row high = {pair.split, end, q->s->problem->h - pair.h, false};
    int32_t a = build_row(q->s, q->state, curves, low, backwards, unused);
    int32_t b = build_row(q->s, q->state, curves, high, !backwards, unused);
    return tree_join(q->state, unused, a, b, true);
}

/* One row in the middle, over the whole height, where kernels are narrowest and wires shortest,
 * and two rows over each other for the rest on its left and right; the widest middle that
 * fits. */
static void try_middle(Rows *q, uint32_t level, const Curve *curves)
{
    const PackProblem *p = q->s->problem;
    uint32_t n = q->n, best_i = n + 1, best_j = 0;
    double best = 1e300;
    for (uint32_t i = 0; i <= n; i++) {
        q->pairs[0][i] = pair_rows(q, 0, i);
        q->pairs[1][i] = pair_rows(q, i, n);
    }
    for (uint32_t i = 0; i <= n; i++)
        for (uint32_t j = i + 1; j <= n; j++) {
            int32_t row = row_width(q, i, j, p->h);
            int32_t pairs = q->pairs[0][i].width + q->pairs[1][j].width;
            if (pairs >= TOO_HIGH || pairs + row > p->w)
                continue;
            /* Edges run along the rows, some over others, and from row to row. */
            double wire = (double)(row + 2 * pairs) * (q->s->n_edges + 1) / n +
                          0.75 * p->h * ((i > 0) + (j < n));
            if (wire >= best)
                continue;
            best = wire;
            best_i = i;
            best_j = j;
        }
    if (best_i > n)
        return;
    int32_t unused = (int32_t)n, parts[3];
    uint32_t n_parts = 0;
    if (best_i > 0)
        parts[n_parts++] = build_pair(q, curves, 0, best_i, q->pairs[0][best_i], true, &unused);
    parts[n_parts++] =
        build_row(q->s, q->state, curves, (Row){best_i, best_j, p->h, false}, false, &unused);
    if (best_j < n)
        parts[n_parts++] = build_pair(q, curves, best_j, n, q->pairs[1][best_j], false, &unused);
    finish(q, join_range(q->state, &unused, parts, n_parts, false), level, 0);
}

static bool try_curves(Rows *q, uint32_t level, const Curve *curves)
{
    const Search *s = q->s;
    const PackProblem *p = s->problem;
    uint32_t n = q->n;
    double area = 0;
    for (uint32_t c = 0; c < p->n_classes; c++) {
        int32_t least = INT32_MAX;
        for (int32_t h = 1; h <= p->h; h++)
            if (curves[c].across[h] < EXTENT_NONE && h * curves[c].across[h] < least)
                least = h * curves[c].across[h];
        if (least == INT32_MAX)
            return false;
        area += (double)least * q->count[c];
    }
    if (area > (double)p->w * p->h)
        return false;
    for (int32_t h = 0; h <= p->h; h++) {
        int32_t *at = q->prefix + (size_t)h * (n + 1);
        for (uint32_t i = 0; i < n; i++)
            at[i + 1] = at[i] + curves[p->class_of[s->order[i]]].across[h];
    }
    for (uint32_t i = 0; i < n; i++) {
        int32_t h = 1;
        for (uint32_t len = 1; len <= q->longest; len++) {
            h = h < TOO_HIGH && i + len <= n ? row_height(q, i, i + len, h) : TOO_HIGH;
            q->height[(size_t)i * q->longest + len - 1] = h;
        }
    }
    bool any = false;
    for (uint32_t r = 0; r <= MAX_ROWS; r++) {
        for (uint32_t j = 0; j <= n; j++) {
            int32_t *best = &q->best[(size_t)r * (n + 1) + j];
            *best = r == 0 && j == 0 ? 0 : TOO_HIGH;
            for (uint32_t len = 1; r > 0 && len <= j && len <= q->longest; len++) {
                int32_t h = q->height[(size_t)(j - len) * q->longest + len - 1];
                if (h == TOO_HIGH)
                    break;
                int32_t sum = q->best[(size_t)(r - 1) * (n + 1) + j - len] + h;
                if (sum < *best) {
                    *best = sum;
                    q->from[(size_t)r * (n + 1) + j] = j - len;
                }
            }
        }
        if (q->best[(size_t)r * (n + 1) + n] > p->h)
            continue;
        any = true;
        build(q, r, level, curves);
    }
    try_middle(q, level, curves);
    return any;
}

static bool try_level(Rows *q, uint32_t level)
{
    double n = q->n, row = q->longest;
    for (uint32_t c = 0; c < q->s->problem->n_classes; c++)
        q->meter.steps += 20.0 * q->s->classes[c].n_lean;
    q->meter.steps += q->s->side * n + (12 + MAX_ROWS) * n * row + 20 * n * n;
    return try_curves(q, level, search_curves(q->s, level));
}

/* One row of kernels that all have the same signature. */
typedef struct Uniform {
    uint32_t *family; /* by class */
    Leaf *leaf;
    int32_t *along;
    int32_t *center; /* doubled, by kernel */
    double time, wire;
} Uniform;

static bool find_uniform(const Search *s, Uniform *u, const uint32_t *in)
{
    for (uint32_t c = 0; c < s->problem->n_classes; c++)
        if (!class_find(&s->classes[c], in, &u->family[c]) ||
            memcmp(s->classes[c].families[u->family[c]].in, in, PACK_SIGNATURE * sizeof *in) != 0)
            return false;
    return true;
}

static bool size_uniform(const Search *s, Uniform *u, double limit)
{
    const PackProblem *p = s->problem;
    u->time = u->wire = 0;
    for (uint32_t c = 0; c < p->n_classes; c++) {
        PackShape shape;
        if (!class_shape(s, c, u->family[c], limit, &shape))
            return false;
        bool turned = shape.h > p->h || (shape.h < shape.w && shape.w <= p->h);
        if ((turned ? shape.w : shape.h) > p->h)
            return false;
        u->leaf[c] = leaf_of(&s->classes[c], u->family[c], turned, &shape);
        u->along[c] = turned ? shape.h : shape.w;
        u->time = shape.time > u->time ? shape.time : u->time;
    }
    int32_t at = 0;
    for (uint32_t k = 0; k < s->n && at <= p->w; k++) {
        int32_t w = u->along[p->class_of[s->order[k]]];
        u->center[s->order[k]] = 2 * at + w;
        at += w;
    }
    for (uint32_t e = 0; e < s->n_edges; e++)
        u->wire +=
            s->edges[e].weight * abs(u->center[s->edges[e].from] - u->center[s->edges[e].to]) / 2;
    return at <= p->w;
}

static void build_uniform(Rows *q, const Uniform *u)
{
    int32_t unused = (int32_t)q->n;
    for (uint32_t k = 0; k < q->n; k++) {
        const Leaf *l = &u->leaf[q->s->problem->class_of[k]];
        q->state->leaves[k] = *l;
        q->state->nodes[k] = (Node){.parent = -1, .child = {-1, -1}};
        q->state->nodes[k].w = l->turned ? l->h : l->w;
        q->state->nodes[k].h = l->turned ? l->w : l->h;
    }
    uint32_t level = search_level(q->s, u->time);
    if (level + 1 < LEVEL_COUNT)
        finish(q, tree_join_kernels(q->state, &unused, q->s->order, q->n, false, false), level + 1,
               1);
}

/* No adapters at all: for every signature all times from the longest that may still pay down to
 * where the row gets too wide. Wire only grows as the time falls: so the next one to try has to
 * make up for what there is already. */
static void try_uniform(Rows *q)
{
    Arena arena = {0};
    const Search *s = q->s;
    const PackProblem *p = s->problem;
    const Class *first = &s->classes[0];
    Uniform u = {.family = arena_array(&arena, uint32_t, p->n_classes),
                 .leaf = arena_array(&arena, Leaf, p->n_classes),
                 .along = arena_array(&arena, int32_t, p->n_classes),
                 .center = arena_array(&arena, int32_t, q->n)};
    for (uint32_t i = 0; i < first->n && !meter_spent(&q->meter); i++) {
        if (!find_uniform(s, &u, first->families[i].in))
            continue;
        for (double limit = q->lowest / p->time; size_uniform(s, &u, limit);) {
            q->meter.steps += 30.0 * p->n_classes + 4.0 * q->n;
            if (p->time * u.time + p->wire * u.wire < q->lowest)
                build_uniform(q, &u);
            double most = (q->lowest - p->wire * u.wire) / p->time;
            limit = u.time * (1 - 1e-9) < most ? u.time * (1 - 1e-9) : most;
        }
    }
    arena_free(&arena);
}

static int compare_states(const void *a, const void *b)
{
    const State *x = *(State *const *)a, *y = *(State *const *)b;
    if ((x->over > 0) != (y->over > 0))
        return x->over > 0 ? 1 : -1;
    return x->cost < y->cost ? -1 : x->cost > y->cost;
}

uint32_t rows_start(Search *s, Arena *a, State **starts, uint32_t max, const Budget *b)
{
    Arena scratch = {0};
    const PackProblem *p = s->problem;
    uint32_t n = s->n, n_starts = 0;
    Rows q = {.s = s,
              .n = n,
              .longest = n < (uint32_t)p->w ? n : (uint32_t)p->w,
              .lowest = 1e300,
              .meter = meter_start(b)};
    q.prefix = arena_array(&scratch, int32_t, ((size_t)p->h + 1) * (n + 1));
    q.height = arena_array(&scratch, int32_t, (size_t)n * q.longest);
    q.best = arena_array(&scratch, int32_t, (MAX_ROWS + 1) * ((size_t)n + 1));
    q.from = arena_array(&scratch, uint32_t, (MAX_ROWS + 1) * ((size_t)n + 1));
    q.state = state_create(&scratch, n);
    for (unsigned i = 0; i < 2; i++)
        q.pairs[i] = arena_array(&scratch, Pair, (size_t)n + 1);
    q.count = arena_array(&scratch, uint32_t, p->n_classes);
    for (uint32_t k = 0; k < n; k++)
        q.count[p->class_of[k]]++;
    for (uint32_t r = 0; r <= MAX_ROWS; r++)
        q.kept[r] = state_create(a, n);
    uint32_t tried = 0;
    for (uint32_t level = 0, step = 1; level < LEVEL_COUNT; level += step) {
        if (p->time * s->limits[level] > q.lowest || (n_starts > 0 && meter_spent(&q.meter)))
            break;
        if (try_level(&q, level))
            n_starts = 1;
        if (++tried > 60)
            step += 1 + step / 8;
    }
    uint32_t near = MAX_ROWS + 1; /* the best of all, refined */
    for (uint32_t r = 0; r <= MAX_ROWS; r++)
        if (q.has[r] && (near > MAX_ROWS || q.kept[r]->cost < q.kept[near]->cost))
            near = r;
    for (uint32_t i = 0; near <= MAX_ROWS && i < 7; i++) {
        uint32_t level = q.kept_level[near] + i;
        if (level >= 3 && level < LEVEL_COUNT + 3)
            try_level(&q, level - 3);
    }
    if (p->adapter > 0) { /* as much again */
        q.meter = meter_start(b);
        try_uniform(&q);
    }
    n_starts = 0;
    for (uint32_t r = 0; r <= MAX_ROWS && n_starts < max; r++)
        if (q.has[r])
            starts[n_starts++] = q.kept[r];
    if (n_starts)
        qsort(starts, n_starts, sizeof(State *), compare_states);
    arena_free(&scratch);
    return n_starts;
}
