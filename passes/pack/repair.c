/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/repair.c - fewer adapters at the same place and time.
 *
 * Every kernel has a slot: its box, extended across its parent's direction as far as the parent's
 * slot goes. Whatever family fits the slot and is no slower than the slowest kernel may be
 * taken instead. Along the order of the kernels the choice with the least adapters is found
 * by dynamic programming (Viterbi, IEEE Trans. Information Theory 13, 1967), with the kernels
 * at the other ends of edges that are not between neighbours in the order as they are;
 * repeated until nothing gets better. O(kernels * choices of neighbours) a round. */
#include <string.h>

#include "passes/pack/search.h"

enum { ROUNDS = 6, MAX_CHOICES = 1024 };

typedef struct Choice {
    Leaf leaf;
    const PackFamily *family;
    uint32_t cost;   /* adapters up to here, if this one is taken */
    uint32_t before; /* the best choice of the kernel before */
} Choice;

typedef struct Repair {
    const Search *s;
    State *t;
    Choice **choices;          /* by kernel */
    uint32_t *n, *chosen, *at; /* by kernel; `at`: its place in the order */
} Repair;

static uint32_t differences(const uint32_t *a, const uint32_t *b)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < PACK_SIGNATURE; i++)
        n += a[i] != b[i];
    return n;
}

static bool same_ends(const PackFamily *a, const PackFamily *b)
{
    return differences(a->in, b->in) + differences(a->out, b->out) == 0;
}

static void collect(Repair *r, Arena *a, uint32_t kernel, int32_t w, int32_t h)
{
    const PackProblem *p = r->s->problem;
    const Class *c = &r->s->classes[p->class_of[kernel]];
    const Leaf now = r->t->leaves[kernel];
    Choice *list = arena_alloc(a, MAX_CHOICES, sizeof *list, alignof(Choice));
    uint32_t n = 0;
    list[n++] = (Choice){.leaf = now, .family = &c->families[now.family]};
    for (uint32_t f = 0; f < c->n && n < MAX_CHOICES; f++) {
        const PackFamily *family = &c->families[f];
        PackShape shape;
        if (family->h > (w > h ? w : h) || f == now.family ||
            !p->model->shape(p->model->self, p->class_of[kernel], f, r->t->time, &shape))
            continue;
        bool upright = shape.w <= w && shape.h <= h, turned = shape.h <= w && shape.w <= h;
        if (!upright && !turned)
            continue;
        Leaf leaf = {f, upright && turned ? now.turned : turned, shape.time, shape.w, shape.h};
        list[n++] = (Choice){.leaf = leaf, .family = family};
    }
    /* The first of equal signatures will do. */
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = 0;
        while (j < kept && !same_ends(list[i].family, list[j].family))
            j++;
        if (j == kept)
            list[kept++] = list[i];
    }
    r->choices[kernel] = list;
    r->n[kernel] = kept;
}

static void collect_below(Repair *r, Arena *a, int32_t node, int32_t w, int32_t h)
{
    const Node *v = &r->t->nodes[node];
    if (v->child[0] < 0) {
        collect(r, a, (uint32_t)node, w, h);
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        const Node *c = &r->t->nodes[v->child[i]];
        collect_below(r, a, v->child[i], v->stacked ? w : c->w, v->stacked ? c->h : h);
    }
}

/* Adapters at edges of a kernel with the choice `c`; only those to `other`, or only those to
 * kernels that are no neighbours in the order. */
static uint32_t edge_cost(const Repair *r, uint32_t kernel, const Choice *c, int32_t other,
                          const Choice *of_other)
{
    uint32_t cost = 0;
    for (uint32_t i = r->s->edge_begin[kernel]; i < r->s->edge_begin[kernel + 1]; i++) {
        const PackEdge *e = &r->s->edges[r->s->edge_of[i]];
        uint32_t end = e->from == kernel ? e->to : e->from;
        bool beside = r->at[end] + 1 == r->at[kernel] || r->at[kernel] + 1 == r->at[end];
        if (other >= 0 ? end != (uint32_t)other : beside)
            continue;
        const PackFamily *f =
            other >= 0 ? of_other->family : r->choices[end][r->chosen[end]].family;
        const PackFamily *from = e->from == kernel ? c->family : f;
        const PackFamily *to = e->from == kernel ? f : c->family;
        cost += differences(from->out, e->to_out ? to->out : to->in);
    }
    return cost;
}

static void round_of_choices(Repair *r)
{
    const Search *s = r->s;
    for (uint32_t o = 0; o < s->n; o++) {
        uint32_t k = s->order[o], last = o ? s->order[o - 1] : 0;
        for (uint32_t i = 0; i < r->n[k]; i++) {
            Choice *c = &r->choices[k][i];
            uint32_t best = o ? UINT32_MAX : 0;
            for (uint32_t j = 0; o && j < r->n[last]; j++) {
                const Choice *b = &r->choices[last][j];
                if (b->cost >= best)
                    continue;
                uint32_t cost = b->cost + edge_cost(r, k, c, (int32_t)last, b);
                if (cost < best) {
                    best = cost;
                    c->before = j;
                }
            }
            c->cost = best + edge_cost(r, k, c, -1, NULL);
        }
    }
    uint32_t last = s->order[s->n - 1], best = 0;
    for (uint32_t i = 1; i < r->n[last]; i++)
        if (r->choices[last][i].cost < r->choices[last][best].cost)
            best = i;
    for (uint32_t o = s->n; o-- > 0;) {
        uint32_t k = s->order[o];
        r->chosen[k] = best;
        best = r->choices[k][best].before;
    }
}

bool repair(const Search *s, State *t)
{
    Arena a = {0};
    const PackProblem *p = s->problem;
    uint32_t n = s->n;
    Repair r = {.s = s, .t = t};
    State *now = state_create(&a, n);
    r.choices = arena_array(&a, Choice *, n);
    r.n = arena_array(&a, uint32_t, n);
    r.chosen = arena_array(&a, uint32_t, n);
    r.at = arena_array(&a, uint32_t, n);
    for (uint32_t o = 0; o < n; o++)
        r.at[s->order[o]] = o;
    const Node *root = &t->nodes[t->root];
    collect_below(&r, &a, t->root, root->w > p->w ? root->w : p->w,
                  root->h > p->h ? root->h : p->h);
    state_copy(now, t, n);
    bool better = false, again = true;
    for (unsigned round = 0; round < ROUNDS && again; round++) {
        round_of_choices(&r);
        for (uint32_t k = 0; k < n; k++) {
            const Leaf *l = &r.choices[k][r.chosen[k]].leaf;
            now->leaves[k] = *l;
            now->nodes[k].w = l->turned ? l->h : l->w;
            now->nodes[k].h = l->turned ? l->w : l->h;
        }
        tree_size_all(now);
        tree_measure(s, now);
        again = now->cost < t->cost;
        if (again) {
            state_copy(t, now, n);
            better = true;
        }
    }
    arena_free(&a);
    return better;
}
