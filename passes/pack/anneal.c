/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/anneal.c - simulated annealing (Kirkpatrick, Gelatt, Vecchi, Science 220, 1983)
 * of slicing trees, in two ways: with an explicit shape for every kernel (cheap, and the only
 * way where wire and adapters weigh), and with all shapes at once through the curves of the
 * tree (where the slowest kernel weighs). The time limit is part of the state in both.
 *
 * The cooling is geometric over the budget. Nothing but the clock of a budget in seconds makes
 * two runs differ: random numbers, their logarithms and all costs are computed alike on every
 * host. O(kernels + edges) for a move. */
#include <math.h>
#include <string.h>

#include "passes/pack/search.h"

enum { STAGES = 128 };

typedef struct Run {
    Search *s;
    const PackProblem *p;
    uint32_t n, n_nodes;
    Rng rng;
    Marks marks;
    Curves *curves;
    State *now, *next;
    uint32_t level;     /* of now, by curves */
    uint32_t new_level; /* of next */
    bool resize_all;    /* more changed than is marked */
    uint32_t *walk;
} Run;

static uint32_t below(Run *r, uint32_t n)
{
    return rng_below(&r->rng, n);
}

/* Exponentially distributed with mean 1. */
static double exponential(Rng *rng)
{
    double u = rng_unit(rng), log2 = 0;
    if (u < 0x1p-50)
        u = 0x1p-50;
    while (u < 0.5) {
        u *= 2;
        log2 -= 1;
    }
    double z = (u - 1) / (u + 1), z2 = z * z; /* ln u = 2 (z + z^3/3 + z^5/5 ...) */
    return -(log2 * 0.6931471805599453 + 2 * z * (1 + z2 * (1.0 / 3 + z2 * (0.2 + z2 / 7))));
}

static void link_child(State *t, int32_t parent, int32_t old, int32_t child)
{
    if (parent < 0)
        t->root = child;
    else
        t->nodes[parent].child[t->nodes[parent].child[1] == old] = child;
    t->nodes[child].parent = parent;
}

static bool is_below(const State *t, int32_t node, int32_t above)
{
    while (node >= 0 && node != above)
        node = t->nodes[node].parent;
    return node >= 0;
}

static bool swap_nodes(Run *r, int32_t a, int32_t b)
{
    State *t = r->next;
    if (a == b || is_below(t, a, b) || is_below(t, b, a))
        return false;
    int32_t pa = t->nodes[a].parent, pb = t->nodes[b].parent;
    if (pa == pb) {
        int32_t *child = t->nodes[pa].child, c = child[0];
        child[0] = child[1];
        child[1] = c;
    } else {
        link_child(t, pa, a, b);
        link_child(t, pb, b, a);
    }
    tree_mark(&r->marks, t, pa);
    tree_mark(&r->marks, t, pb);
    return true;
}

/* Takes a subtree out and puts it beside or on top of another node. */
static bool regraft(Run *r, int32_t node, int32_t target)
{
    State *t = r->next;
    int32_t joint = t->nodes[node].parent;
    if (joint < 0 || target == joint || target == node || is_below(t, target, node))
        return false;
    int32_t other = t->nodes[joint].child[t->nodes[joint].child[0] == node];
    int32_t above = t->nodes[joint].parent;
    link_child(t, above, joint, other);
    tree_mark(&r->marks, t, above);
    link_child(t, t->nodes[target].parent, target, joint);
    unsigned side = below(r, 2);
    t->nodes[joint].child[side] = node;
    t->nodes[joint].child[!side] = target;
    t->nodes[node].parent = t->nodes[target].parent = joint;
    t->nodes[joint].stacked = below(r, 2);
    t->nodes[joint].align = (uint8_t)below(r, 3);
    tree_mark(&r->marks, t, joint);
    return true;
}

static int32_t random_node(Run *r)
{
    return (int32_t)(below(r, 10) < 7 ? below(r, r->n) : below(r, r->n_nodes));
}

static int32_t random_inner(Run *r)
{
    return (int32_t)(r->n + below(r, r->n - 1));
}

/* A kernel at the other end of an edge, or any. */
static uint32_t neighbour(Run *r, uint32_t kernel)
{
    const Search *s = r->s;
    uint32_t degree = s->edge_begin[kernel + 1] - s->edge_begin[kernel];
    if (degree == 0)
        return below(r, r->n);
    const PackEdge *e = &s->edges[s->edge_of[s->edge_begin[kernel] + below(r, degree)]];
    return e->from == kernel ? e->to : e->from;
}

static void mirror_below(Run *r, int32_t node, bool stacked)
{
    Node *v = &r->next->nodes[node];
    if (v->child[0] < 0)
        return;
    if (v->stacked == stacked) {
        int32_t c = v->child[0];
        v->child[0] = v->child[1];
        v->child[1] = c;
    } else {
        v->align = (uint8_t)(2 - v->align);
    }
    mirror_below(r, v->child[0], stacked);
    mirror_below(r, v->child[1], stacked);
}

static bool turn_below(Run *r, int32_t node)
{
    Node *v = &r->next->nodes[node];
    int32_t w = v->w;
    v->w = v->h;
    v->h = w;
    if (v->child[0] < 0) {
        r->next->leaves[node].turned = !r->next->leaves[node].turned;
        return true;
    }
    v->stacked = !v->stacked;
    return turn_below(r, v->child[0]) && turn_below(r, v->child[1]);
}

static bool move_tree(Run *r)
{
    State *t = r->next;
    uint32_t choice = below(r, 100);
    if (choice < 25) {
        uint32_t a = below(r, r->n);
        uint32_t b = below(r, 2) ? below(r, r->n) : neighbour(r, neighbour(r, a));
        return swap_nodes(r, (int32_t)a, (int32_t)b);
    }
    if (choice < 35)
        return swap_nodes(r, random_node(r), random_node(r));
    if (choice < 65) {
        int32_t node = random_node(r), target;
        if (node < (int32_t)r->n && below(r, 10) < 7) {
            target = (int32_t)neighbour(r, (uint32_t)node);
            while (below(r, 3) == 0 && t->nodes[target].parent >= 0)
                target = t->nodes[target].parent;
        } else {
            target = random_node(r);
        }
        return regraft(r, node, target);
    }
    int32_t node = random_inner(r);
    Node *v = &t->nodes[node];
    if (choice < 75) {
        v->stacked = !v->stacked;
        tree_mark(&r->marks, t, node);
        return true;
    }
    if (choice < 82)
        return swap_nodes(r, v->child[0], v->child[1]);
    if (choice < 92) {
        v->align = (uint8_t)((v->align + 1 + below(r, 2)) % 3);
        tree_mark(&r->marks, t, node);
        return true;
    }
    if (choice < 96) {
        mirror_below(r, node, below(r, 2));
        r->resize_all = true;
        return true;
    }
    r->resize_all = true;
    return turn_below(r, node);
}

static bool set_signature(Run *r, uint32_t kernel, const uint32_t *in, bool turned)
{
    uint32_t family;
    if (!class_find(&r->s->classes[r->p->class_of[kernel]], in, &family) ||
        !leaf_set(r->s, r->next, kernel, family, turned))
        return false;
    tree_mark(&r->marks, r->next, (int32_t)kernel);
    return true;
}

static const PackFamily *family_of(const Run *r, uint32_t kernel)
{
    return &r->s->classes[r->p->class_of[kernel]].families[r->next->leaves[kernel].family];
}

/* One signature for kernels along a walk over edges. */
static bool move_segment(Run *r)
{
    uint32_t k = below(r, r->n), len = 2 + below(r, below(r, 3) ? 6 : r->n), done = 0;
    const PackFamily *f = family_of(r, k);
    bool turned = r->next->leaves[k].turned;
    uint32_t in[PACK_SIGNATURE];
    memcpy(in, f->out, sizeof in);
    if (below(r, 2)) {
        const Class *c = &r->s->classes[r->p->class_of[k]];
        uint32_t family = c->lean[below(r, c->n_lean)];
        memcpy(in, c->families[family].in, sizeof in);
    }
    for (uint32_t i = 0; i < len; i++) {
        done += set_signature(r, k, in, turned);
        uint32_t degree = r->s->edge_begin[k + 1] - r->s->edge_begin[k], next = k;
        for (uint32_t j = 0; j < degree; j++) { /* on along the edges, else anywhere near */
            const PackEdge *e = &r->s->edges[r->s->edge_of[r->s->edge_begin[k] + j]];
            if (e->from == k && (next == k || below(r, 2)))
                next = e->to;
        }
        if (next == k)
            break;
        k = next;
    }
    r->resize_all = true;
    return done > 0;
}

/* Wider than it has to be: a kernel of another parity has its centre where its neighbours'
 * are. */
static bool widen(Run *r, uint32_t k)
{
    State *t = r->next;
    Leaf *l = &t->leaves[k];
    double limit = t->limit;
    t->limit = l->time * (1 - 1e-9);
    bool ok = leaf_set(r->s, t, k, l->family, l->turned);
    t->limit = limit;
    if (ok)
        tree_mark(&r->marks, t, (int32_t)k);
    return ok;
}

static bool move_shape(Run *r)
{
    State *t = r->next;
    const Search *s = r->s;
    uint32_t k = below(r, r->n), family = t->leaves[k].family, choice = below(r, 100);
    const Class *c = &s->classes[r->p->class_of[k]];
    bool turned = t->leaves[k].turned;
    uint32_t in[PACK_SIGNATURE];
    memcpy(in, family_of(r, k)->in, sizeof in);
    if (choice < 5 && r->p->n_keepouts) {
        t->nodes[k].stacked = !t->nodes[k].stacked;
        return true;
    }
    if (choice < 8)
        return widen(r, k);
    if (choice < 13) {
        turned = !turned;
    } else if (choice < 20) {
        family = c->lean[below(r, c->n_lean)];
    } else if (choice < 45) { /* the best for some height, near the old one or a sibling's */
        const Node *v = &t->nodes[k];
        int32_t h = v->h;
        uint32_t near = below(r, 4);
        if (near == 0 && v->parent >= 0)
            h = t->nodes[v->parent].h;
        else if (near == 1)
            h = t->nodes[neighbour(r, k)].h;
        else if (near == 2)
            h += (int32_t)below(r, 33) - 16;
        else
            h = 1 + (int32_t)below(r, (uint32_t)r->p->h);
        bool along = below(r, 4) == 0; /* the width instead */
        if (along)
            h += v->w - v->h;
        const Curve *curve = search_curve(r->s, search_level(s, t->limit), r->p->class_of[k]);
        if (h < 1 || h > s->side || curve->across[h] == EXTENT_NONE)
            return false;
        const Leaf *leaf = &curve->points[curve->point[h]];
        family = leaf->family;
        turned = leaf->turned != along;
    } else if (choice < 85) { /* as a neighbour, or near to that */
        uint32_t other = neighbour(r, k);
        const uint32_t *from = family_of(r, other)->out;
        if (choice < 65)
            memcpy(in, from, sizeof in);
        else if (choice < 75)
            memcpy(in, from, (PACK_SIGNATURE - 1) * sizeof *in);
        else
            in[PACK_SIGNATURE - 1] = from[PACK_SIGNATURE - 1];
        if (below(r, 2))
            turned = t->leaves[other].turned;
        return set_signature(r, k, in, turned);
    } else {
        uint32_t *last = &in[PACK_SIGNATURE - 1], step = 1 + below(r, 3);
        if (below(r, 2))
            *last += step;
        else if (*last > step)
            *last -= step;
        return set_signature(r, k, in, turned);
    }
    if (family == t->leaves[k].family && turned == t->leaves[k].turned)
        return false;
    tree_mark(&r->marks, t, (int32_t)k);
    return leaf_set(s, t, k, family, turned);
}

static bool move_limit(Run *r)
{
    State *t = r->next;
    uint32_t choice = below(r, 4);
    double u = rng_unit(&r->rng);
    if (choice == 0)
        t->limit = t->time * (1 - 1e-9);
    else if (choice == 1)
        t->limit *= 1 - u * u * 0.1;
    else
        t->limit *= 1 + u * u * 0.1;
    for (uint32_t k = 0; k < r->n; k++)
        if (!leaf_set(r->s, t, k, t->leaves[k].family, t->leaves[k].turned))
            return false;
    r->resize_all = true;
    return true;
}

static bool propose_explicit(Run *r, double most)
{
    uint32_t choice = r->n > 1 ? below(r, 100) : 45 + below(r, 40); /* one kernel: no tree */
    bool ok = choice < 45   ? move_tree(r)
              : choice < 85 ? move_shape(r)
              : choice < 93 ? move_segment(r)
                            : move_limit(r);
    if (!ok)
        return false;
    if (r->resize_all)
        tree_size_all(r->next);
    else
        tree_size_marked(&r->marks, r->next);
    return tree_measure_below(r->s, r->next, most);
}

static bool propose_by_curves(Run *r, double *work)
{
    r->new_level = r->level;
    if (below(r, 25) == 0) {
        int32_t step = 1 + (int32_t)below(r, 1 + below(r, 12));
        int32_t level = (int32_t)r->level + (below(r, 2) ? step : -step);
        if (level < 0 || level >= LEVEL_COUNT)
            return false;
        r->new_level = (uint32_t)level;
        r->resize_all = true;
    } else if (!move_tree(r)) {
        return false;
    }
    *work +=
        r->s->side / 2 *
        curves_update(r->s, r->curves, r->resize_all ? NULL : &r->marks, r->next, r->new_level);
    return true;
}

static void take(Run *r, Anneal *a)
{
    State *t = r->now;
    r->now = r->next;
    r->next = t;
    if (r->now->over == 0 && (a->best->over > 0 || r->now->score < a->best->score))
        state_copy(a->best, r->now, r->n);
}

void anneal_run(Search *s, Anneal *a)
{
    Arena arena = {0};
    Run r = {.s = s, .p = s->problem, .n = s->n, .n_nodes = 2 * s->n - 1, .rng = {a->seed}};
    r.marks.of = arena_array(&arena, uint32_t, r.n_nodes);
    r.now = state_create(&arena, r.n);
    r.next = state_create(&arena, r.n);
    state_copy(r.now, a->start, r.n);
    state_copy(a->best, a->start, r.n);
    a->late = HUGE_VAL;
    if (a->by_curves) {
        r.curves = curves_create(&arena, s);
        r.level = search_level(s, r.now->limit * (1 + 1e-9));
        state_copy(r.next, r.now, r.n);
        curves_update(s, r.curves, NULL, r.next, r.level);
        curves_keep(r.curves);
        take(&r, a);
    }
    double begin = clock_now(), steps = 0,
           move_steps = 80 + 4.0 * r.n_nodes + s->n_edges + s->n_ties;
    move_steps += (double)s->problem->n_keepouts * r.n;
    double temperature = a->start->cost * a->hot;
    double ratio = a->cold / a->hot; /* to the power 1 / STAGES, by roots: exact everywhere */
    double charge = 1, growth = 64;
    for (unsigned i = 1; i < STAGES; i *= 2) {
        ratio = sqrt(ratio);
        growth = sqrt(growth);
    }
    for (unsigned stage = 0; stage < STAGES; stage++, temperature *= ratio) {
        /* At first not much more than the time it takes to make kernels as much smaller; in the
         * end what does not fit is worth nothing. */
        r.now->charge = 1.2 * charge;
        charge *= growth;
        r.now->cost = r.now->score * (1 + r.now->charge * r.now->over);
        double end_steps = a->budget.steps * (stage + 1) / STAGES;
        double end_time = begin + a->budget.seconds * (stage + 1) / STAGES;
        for (unsigned i = 0;; i++) {
            if (a->budget.steps > 0 && steps >= end_steps)
                break;
            if (a->budget.seconds > 0 && i % 64 == 0 && clock_now() >= end_time)
                break;
            steps += 40;
            state_copy(r.next, r.now, r.n);
            r.marks.stamp++;
            r.resize_all = false;
            bool ok = r.n > 1 || !a->by_curves;
            double most = r.now->cost + temperature * exponential(&r.rng);
            steps += move_steps;
            ok = ok && (a->by_curves ? propose_by_curves(&r, &steps) : propose_explicit(&r, most));
            if (ok && r.next->cost < most) {
                take(&r, a);
                r.level = r.new_level;
                if (r.now->over == 0 && stage >= STAGES * 3 / 4 && r.now->cost < a->late)
                    a->late = r.now->cost;
                if (r.curves)
                    curves_keep(r.curves);
            } else if (r.curves) {
                curves_undo(r.curves);
            }
        }
    }
    arena_free(&arena);
}
