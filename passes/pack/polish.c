/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/polish.c - shorter wire at no other change: kernels, and the kernels of a subtree
 * together, move along x or y within the free space around them to where the wire is least (the
 * weighted median of what they are connected to), until nothing moves. O(n^2) a round for the
 * leaves and a factor of the tree's depth more with subtrees. */
#include <stdlib.h>

#include "passes/pack/search.h"

typedef struct Polish {
    const Search *s;
    const State *t;
    int32_t *at[2], *size[2]; /* by axis and kernel */
    bool *inside;
    struct Wish {
        int32_t shift; /* doubled */
        double weight;
    } * wishes;
} Polish;

static int compare_wishes(const void *a, const void *b)
{
    const struct Wish *x = a, *y = b;
    return (x->shift > y->shift) - (x->shift < y->shift);
}

static void gather(Polish *q, int32_t node)
{
    const Node *v = &q->t->nodes[node];
    if (v->child[0] < 0) {
        q->inside[node] = true;
        return;
    }
    gather(q, v->child[0]);
    gather(q, v->child[1]);
}

/* How far the group may go, against an obstacle that it may meet. */
static void stop_at(const Polish *q, unsigned axis, uint32_t k, const int32_t *at,
                    const int32_t *size, int32_t *low, int32_t *high)
{
    unsigned across = 1 - axis;
    if (q->at[across][k] >= at[across] + size[across] ||
        at[across] >= q->at[across][k] + q->size[across][k])
        return;
    int32_t up = at[axis] - q->at[axis][k] - q->size[axis][k];
    int32_t down = at[axis] + size[axis] - q->at[axis][k];
    if (up >= 0 && up < *high)
        *high = up;
    if (down <= 0 && down > *low)
        *low = down;
}

static bool shift_group(Polish *q, unsigned axis)
{
    const PackProblem *p = q->s->problem;
    uint32_t n = q->s->n, n_wishes = 0;
    double total = 0;
    for (uint32_t e = 0; e < p->n_edges; e++) {
        uint32_t a = p->edges[e].from, b = p->edges[e].to;
        if (q->inside[a] == q->inside[b])
            continue;
        if (q->inside[b]) {
            uint32_t k = a;
            a = b;
            b = k;
        }
        int32_t d = 2 * (q->at[axis][b] - q->at[axis][a]) + q->size[axis][b] - q->size[axis][a];
        q->wishes[n_wishes++] = (struct Wish){d, p->edges[e].weight};
        total += p->edges[e].weight;
    }
    if (n_wishes == 0)
        return false;
    qsort(q->wishes, n_wishes, sizeof *q->wishes, compare_wishes);
    double sum = 0;
    uint32_t i = 0;
    while (i + 1 < n_wishes && (sum += q->wishes[i].weight) * 2 < total)
        i++;
    int32_t want = q->wishes[i].shift / 2, low = INT32_MIN, high = INT32_MAX;
    if (want == 0)
        return false;
    int32_t extent[2] = {p->w, p->h};
    for (uint32_t k = 0; k < n; k++) {
        if (!q->inside[k])
            continue;
        if (-q->at[axis][k] > low)
            low = -q->at[axis][k];
        int32_t room = extent[axis] - q->at[axis][k] - q->size[axis][k];
        if (room < high)
            high = room;
        for (uint32_t j = 0; j < n; j++)
            if (!q->inside[j])
                stop_at(q, axis, k, (int32_t[2]){q->at[0][j], q->at[1][j]},
                        (int32_t[2]){q->size[0][j], q->size[1][j]}, &low, &high);
        for (uint32_t j = 0; j < p->n_keepouts; j++) {
            PackRect r = p->keepouts[j];
            stop_at(q, axis, k, (int32_t[2]){r.x, r.y}, (int32_t[2]){r.w, r.h}, &low, &high);
        }
    }
    int32_t shift = want < low ? low : want > high ? high : want;
    double change = 0;
    for (uint32_t j = 0; j < n_wishes; j++)
        change +=
            q->wishes[j].weight * (abs(q->wishes[j].shift - 2 * shift) - abs(q->wishes[j].shift));
    if (change >= 0)
        return false;
    for (uint32_t k = 0; k < n; k++)
        if (q->inside[k])
            q->at[axis][k] += shift;
    return true;
}

void polish(const Search *s, const State *t, PackPlace *places, double *wire)
{
    Arena arena = {0};
    const PackProblem *p = s->problem;
    uint32_t n = s->n, groups = n <= 200 ? 2 * n - 1 : n;
    Polish q = {.s = s, .t = t};
    for (unsigned axis = 0; axis < 2; axis++) {
        q.at[axis] = arena_array(&arena, int32_t, n);
        q.size[axis] = arena_array(&arena, int32_t, n);
    }
    q.inside = arena_array(&arena, bool, n);
    q.wishes = arena_alloc(&arena, p->n_edges, sizeof *q.wishes, alignof(struct Wish));
    for (uint32_t k = 0; k < n; k++) {
        q.at[0][k] = t->nodes[k].x;
        q.at[1][k] = t->nodes[k].y;
        q.size[0][k] = t->nodes[k].w;
        q.size[1][k] = t->nodes[k].h;
    }
    bool moved = p->n_edges > 0;
    for (unsigned round = 0; moved && round < 50; round++) {
        moved = false;
        for (uint32_t g = 0; g < groups; g++) {
            for (uint32_t k = 0; k < n; k++)
                q.inside[k] = false;
            gather(&q, (int32_t)g);
            for (unsigned axis = 0; axis < 2; axis++)
                moved |= shift_group(&q, axis);
        }
    }
    double sum = 0;
    for (uint32_t e = 0; e < p->n_edges; e++)
        for (unsigned axis = 0; axis < 2; axis++) {
            uint32_t a = p->edges[e].from, b = p->edges[e].to;
            sum += p->edges[e].weight *
                   abs(2 * (q.at[axis][a] - q.at[axis][b]) + q.size[axis][a] - q.size[axis][b]);
        }
    *wire = sum / 2;
    for (uint32_t k = 0; k < n; k++) {
        const Leaf *l = &t->leaves[k];
        places[k].x = q.at[0][k];
        places[k].y = q.at[1][k];
        places[k].family = l->family;
        places[k].turned = l->turned;
        PackShape shape;
        if (p->model->shape(p->model->self, p->class_of[k], l->family, l->time, &shape))
            places[k].shape = shape;
    }
    arena_free(&arena);
}
