/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/polish.c - shorter wire at no other change: kernels, and the kernels of a subtree
 * together, or those in line with each other, move along x or y within the free space around them
 * to where the wire is least (the weighted median of what they are connected to), until nothing
 * moves. Then kernels take wider
 * shapes where there is room for them and the wire is shorter: where sizes are odd beside even
 * ones, centres are half a core off. One is tried alone and together with those it is connected
 * to whose centres have the same parity, each such group once a round. O(n^2) a round; a factor of
 * the tree's depth more with subtrees, which large problems go without. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/pack/search.h"

enum { MOST_FOR_SUBTREES = 200, MOST_FOR_MANY_ROUNDS = 1000, WIDER_ROUNDS = 4 };

typedef struct Polish {
    const Search *s;
    const State *t;
    int32_t *at[2], *size[2]; /* by axis and kernel */
    PackPlace *places;        /* but for where */
    bool *inside;
    bool *seen[2]; /* by axis: in a group of this round */
    uint32_t *group, n_group;
    struct Wish {
        double shift; /* doubled */
        double weight;
    } * wishes;
} Polish;

static int compare_wishes(const void *a, const void *b)
{
    const struct Wish *x = a, *y = b;
    if (x->shift != y->shift)
        return x->shift < y->shift ? -1 : 1;
    return (x->weight > y->weight) - (x->weight < y->weight);
}

static void gather(Polish *q, int32_t node)
{
    const Node *v = &q->t->nodes[node];
    if (node < (int32_t)q->s->n) {
        q->group[q->n_group++] = (uint32_t)node;
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

/* Where the ends of the group's wires outside it are, from the wires' ends inside. */
static uint32_t wishes_of(Polish *q, unsigned axis)
{
    const Search *s = q->s;
    uint32_t n = 0;
    for (uint32_t g = 0; g < q->n_group; g++) {
        uint32_t k = q->group[g];
        int32_t center = 2 * q->at[axis][k] + q->size[axis][k];
        for (uint32_t i = s->edge_begin[k]; i < s->edge_begin[k + 1]; i++) {
            const PackEdge *e = &s->edges[s->edge_of[i]];
            uint32_t other = e->from == k ? e->to : e->from;
            if (!q->inside[other])
                q->wishes[n++] = (struct Wish){
                    2 * q->at[axis][other] + q->size[axis][other] - center, e->weight};
        }
        for (uint32_t i = s->tie_begin[k]; i < s->tie_begin[k + 1]; i++) {
            const Tie *t = &s->ties[i];
            if (!(axis ? t->any_y : t->any_x))
                q->wishes[n++] = (struct Wish){(axis ? t->y2 : t->x2) - center, t->weight};
        }
    }
    return n;
}

static double wish_cost(const Polish *q, uint32_t n, double shift)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += q->wishes[i].weight * fabs(q->wishes[i].shift - 2 * shift);
    return sum;
}

static bool shift_group(Polish *q, unsigned axis)
{
    const PackProblem *p = q->s->problem;
    uint32_t n = q->s->n, n_wishes = wishes_of(q, axis);
    double total = 0, sum = 0;
    if (n_wishes == 0)
        return false;
    qsort(q->wishes, n_wishes, sizeof *q->wishes, compare_wishes);
    for (uint32_t i = 0; i < n_wishes; i++)
        total += q->wishes[i].weight;
    uint32_t median = 0;
    while (median + 1 < n_wishes && (sum += q->wishes[median].weight) * 2 < total)
        median++;
    double wish = q->wishes[median].shift / 2;
    wish = wish > PACK_MAX_SIDE ? PACK_MAX_SIDE : wish < -PACK_MAX_SIDE ? -PACK_MAX_SIDE : wish;
    double down = floor(wish), up = ceil(wish);
    int32_t want = (int32_t)(wish_cost(q, n_wishes, up) < wish_cost(q, n_wishes, down) ? up : down);
    int32_t low = INT32_MIN, high = INT32_MAX, extent[2] = {p->w, p->h};
    if (want == 0)
        return false;
    for (uint32_t g = 0; g < q->n_group; g++) {
        uint32_t k = q->group[g];
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
    if (wish_cost(q, n_wishes, shift) >= wish_cost(q, n_wishes, 0))
        return false;
    for (uint32_t g = 0; g < q->n_group; g++)
        q->at[axis][q->group[g]] += shift;
    return true;
}

/* Into the group: k and kernels from there along edges whose centres on an axis are the same, or
 * have the same parity only. */
static void gather_alike(Polish *q, unsigned axis, uint32_t k, bool parity)
{
    const Search *s = q->s;
    int32_t center = 2 * q->at[axis][k] + q->size[axis][k];
    q->n_group = 0;
    q->group[q->n_group++] = k;
    q->inside[k] = true;
    for (uint32_t g = 0; g < q->n_group; g++) {
        uint32_t of = q->group[g];
        q->seen[axis][of] = true;
        for (uint32_t i = s->edge_begin[of]; i < s->edge_begin[of + 1]; i++) {
            const PackEdge *e = &s->edges[s->edge_of[i]];
            uint32_t other = e->from == of ? e->to : e->from;
            int32_t off = 2 * q->at[axis][other] + q->size[axis][other] - center;
            if (q->inside[other] || (parity ? off % 2 : off))
                continue;
            q->inside[other] = true;
            q->group[q->n_group++] = other;
        }
    }
}

static void begin_groups(Polish *q)
{
    for (unsigned axis = 0; axis < 2; axis++)
        memset(q->seen[axis], 0, q->s->n * sizeof *q->seen[axis]);
}

static void leave_group(Polish *q)
{
    for (uint32_t g = 0; g < q->n_group; g++)
        q->inside[q->group[g]] = false;
}

static void shift_all(Polish *q)
{
    uint32_t n = q->s->n;
    uint32_t groups = n <= MOST_FOR_SUBTREES && q->t->root >= 0 ? 2 * n - 1 : n;
    unsigned rounds = n <= MOST_FOR_MANY_ROUNDS ? 50 : 5;
    bool moved = q->s->n_edges + q->s->n_ties > 0;
    for (unsigned round = 0; moved && round < rounds; round++) {
        moved = false;
        for (uint32_t g = 0; g < groups; g++) {
            q->n_group = 0;
            gather(q, (int32_t)g);
            for (uint32_t i = 0; i < q->n_group; i++)
                q->inside[q->group[i]] = true;
            for (unsigned axis = 0; axis < 2; axis++)
                moved |= shift_group(q, axis);
            leave_group(q);
        }
        begin_groups(q);
        for (uint32_t k = 0; groups > n && k < n; k++)
            for (unsigned axis = 0; axis < 2; axis++) {
                if (q->seen[axis][k])
                    continue;
                gather_alike(q, axis, k, false);
                moved |= q->n_group > 1 && shift_group(q, axis);
                leave_group(q);
            }
    }
}

static double wire_of(Polish *q)
{
    const Search *s = q->s;
    double sum = 0;
    for (uint32_t i = 0; i < s->n_edges; i++)
        for (unsigned axis = 0; axis < 2; axis++) {
            uint32_t a = s->edges[i].from, b = s->edges[i].to;
            sum += s->edges[i].weight *
                   abs(2 * (q->at[axis][a] - q->at[axis][b]) + q->size[axis][a] - q->size[axis][b]);
        }
    for (uint32_t i = 0; i < s->n_ties; i++) {
        const Tie *t = &s->ties[i];
        uint32_t k = t->kernel;
        double dx = t->any_x ? 0 : t->x2 - 2 * q->at[0][k] - q->size[0][k];
        double dy = t->any_y ? 0 : t->y2 - 2 * q->at[1][k] - q->size[1][k];
        sum += t->weight * (fabs(dx) + fabs(dy));
    }
    return sum / 2 + s->fixed_wire;
}

/* ---- wider shapes ---- */

static bool apart_on(const Polish *q, unsigned axis, uint32_t k, int32_t at, int32_t size)
{
    return q->at[axis][k] >= at + size || at >= q->at[axis][k] + q->size[axis][k];
}

static bool is_free(const Polish *q, uint32_t k)
{
    const PackProblem *p = q->s->problem;
    if (q->at[0][k] < 0 || q->at[1][k] < 0 || q->at[0][k] + q->size[0][k] > p->w ||
        q->at[1][k] + q->size[1][k] > p->h)
        return false;
    for (uint32_t j = 0; j < q->s->n; j++)
        if (j != k && !apart_on(q, 0, k, q->at[0][j], q->size[0][j]) &&
            !apart_on(q, 1, k, q->at[1][j], q->size[1][j]))
            return false;
    for (uint32_t j = 0; j < p->n_keepouts; j++) {
        const PackRect *r = &p->keepouts[j];
        if (!apart_on(q, 0, k, r->x, r->w) && !apart_on(q, 1, k, r->y, r->h))
            return false;
    }
    return true;
}

/* Takes the next wider shape, more of it before the old one or behind. */
static bool widen_one(Polish *q, uint32_t k, bool before)
{
    const PackModel *m = q->s->problem->model;
    PackPlace *at = &q->places[k];
    PackShape next;
    unsigned axis = at->turned;
    if (!m->wider(m->self, q->s->problem->class_of[k], at->family, at->in, at->out, &at->shape,
                  &next))
        return false;
    int32_t more = next.w - at->shape.w;
    q->size[axis][k] += more;
    q->at[axis][k] -= before ? more - more / 2 : more / 2;
    at->shape = next;
    return is_free(q, k);
}

/* The group's kernels that grow along an axis all take wider shapes, or none. */
static bool widen_group(Polish *q, unsigned axis, double *wire)
{
    Arena a = {0};
    int32_t *at = arena_array(&a, int32_t, q->n_group);
    PackShape *shapes = arena_array(&a, PackShape, q->n_group);
    bool better = false;
    for (unsigned before = 0; before < 2 && !better; before++) {
        uint32_t done = 0;
        bool ok = true;
        for (; ok && done < q->n_group; done++) {
            uint32_t k = q->group[done];
            at[done] = q->at[axis][k];
            shapes[done] = q->places[k].shape;
            ok = q->places[k].turned != axis || widen_one(q, k, before);
        }
        double now = ok ? wire_of(q) : *wire;
        better = now < *wire;
        if (better)
            *wire = now;
        for (uint32_t g = 0; !better && g < done; g++) {
            uint32_t k = q->group[g];
            q->size[axis][k] -=
                q->places[k].turned == axis ? q->places[k].shape.w - shapes[g].w : 0;
            q->places[k].shape = shapes[g];
            q->at[axis][k] = at[g];
        }
    }
    arena_free(&a);
    return better;
}

static void widen_all(Polish *q)
{
    double wire = wire_of(q);
    bool better = q->s->problem->model->wider && q->s->n <= MOST_FOR_MANY_ROUNDS;
    for (unsigned round = 0; better && round < WIDER_ROUNDS; round++) {
        better = false;
        begin_groups(q);
        for (uint32_t k = 0; k < q->s->n; k++) {
            unsigned axis = q->places[k].turned;
            q->group[0] = k;
            q->n_group = 1;
            bool done = widen_group(q, axis, &wire);
            if (!done && !q->seen[axis][k]) {
                gather_alike(q, axis, k, true);
                leave_group(q);
                done = q->n_group > 1 && widen_group(q, axis, &wire);
            }
            better |= done;
        }
        if (better) {
            shift_all(q);
            wire = wire_of(q);
        }
    }
}

void polish(const Search *s, const State *t, PackPlace *places, double *wire)
{
    Arena arena = {0};
    const PackProblem *p = s->problem;
    uint32_t n = s->n;
    Polish q = {.s = s, .t = t, .places = places};
    for (unsigned axis = 0; axis < 2; axis++) {
        q.at[axis] = arena_array(&arena, int32_t, n);
        q.size[axis] = arena_array(&arena, int32_t, n);
        q.seen[axis] = arena_array(&arena, bool, n);
    }
    q.inside = arena_array(&arena, bool, n);
    q.group = arena_array(&arena, uint32_t, n);
    q.wishes =
        arena_alloc(&arena, 2 * (size_t)s->n_edges + s->n_ties, sizeof *q.wishes, alignof(double));
    for (uint32_t k = 0; k < n; k++) {
        q.at[0][k] = t->nodes[k].x;
        q.at[1][k] = t->nodes[k].y;
        q.size[0][k] = t->nodes[k].w;
        q.size[1][k] = t->nodes[k].h;
    }
    shift_all(&q);
    for (uint32_t k = 0; k < n; k++) {
        const Leaf *l = &t->leaves[k];
        const Class *c = &s->classes[p->class_of[k]];
        const PackFamily *f = &c->families[l->family];
        places[k].family = l->family < c->n ? l->family : c->base[l->family - c->n];
        places[k].in = f->in[PACK_SIGNATURE - 1];
        places[k].out = f->out[PACK_SIGNATURE - 1];
        places[k].turned = l->turned;
        PackShape shape;
        if (class_shape(s, p->class_of[k], l->family, l->time, &shape))
            places[k].shape = shape;
    }
    widen_all(&q);
    *wire = wire_of(&q);
    for (uint32_t k = 0; k < n; k++) {
        places[k].x = q.at[0][k];
        places[k].y = q.at[1][k];
    }
    arena_free(&arena);
}
