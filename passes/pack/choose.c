/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/choose.c - families for few adapters.
 *
 * Every kernel has a list of options, each at a price. Along the order of the kernels the choice
 * with the least prices and adapters together is found by dynamic programming (Viterbi, IEEE
 * Trans. Information Theory 13, 1967); kernels at the other ends of edges that are not between
 * neighbours in the order stay as they are, and rounds are repeated until nothing changes.
 * O(options * subsets of a signature) a round.
 *
 * repair() gives every kernel the families that fit its slot: its box, extended across its
 * parent's direction as far as the parent's slot goes, if they are no slower than the slowest
 * kernel. */
#include <stdlib.h>
#include <string.h>

#include "ir/support/vec.h"
#include "passes/pack/search.h"

enum { ROUNDS = 6 };

typedef struct Chooser {
    const Search *s;
    const Options *options; /* by kernel */
    uint32_t *at;           /* place in the order, by kernel */
    uint32_t *chosen;
    Agreements met;
} Chooser;

/* Adapters at edges of a kernel with the option `c`: only those to `other`, or (-1) only those
 * to kernels that are no neighbours in the order. */
static double adapters(const Chooser *q, uint32_t kernel, const Option *c, int32_t other,
                       const Option *of_other)
{
    const PackProblem *p = q->s->problem;
    uint32_t n = 0;
    for (uint32_t i = q->s->edge_begin[kernel]; i < q->s->edge_begin[kernel + 1]; i++) {
        const PackEdge *e = &q->s->edges[q->s->edge_of[i]];
        uint32_t end = e->from == kernel ? e->to : e->from;
        bool beside = q->at[end] + 1 == q->at[kernel] || q->at[kernel] + 1 == q->at[end];
        if (other >= 0 ? end != (uint32_t)other : beside)
            continue;
        const Option *o = other >= 0 ? of_other : &q->options[end].list[q->chosen[end]];
        n += key_difference(signature_at(e, kernel, &c->leaf), signature_at(e, end, &o->leaf));
    }
    return p->adapter * n;
}

void agreements_create(Agreements *t, Arena *a, double adapter, uint32_t most)
{
    *t = (Agreements){.adapter = adapter, .mask = 1};
    while (t->mask < most << (PACK_SIGNATURE + 2)) /* of both sides, at most half full */
        t->mask = 2 * t->mask + 1;
    t->slots = arena_array(a, AgreeSlot, (size_t)t->mask + 1);
}

AgreeSlot *agreements_slot(Agreements *t, uint64_t signature, unsigned subset)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < PACK_SIGNATURE; i++)
        mask = mask << 20 | (subset >> i & 1 ? 0xfffff : 0);
    uint64_t key = (signature & mask) | (uint64_t)(subset + 1) << 60;
    uint32_t at = (uint32_t)((key * 0x9e3779b97f4a7c15) >> 32) & t->mask;
    while (t->slots[at].stamp == t->stamp && t->slots[at].key != key)
        at = (at + 1) & t->mask;
    if (t->slots[at].stamp != t->stamp)
        t->slots[at] =
            (AgreeSlot){.stamp = t->stamp, .key = key, .option = UINT32_MAX, .cost = 1e300};
    return &t->slots[at];
}

double agreements_price(const Agreements *t, unsigned subset)
{
    double price = 0;
    for (unsigned b = 0; b < PACK_SIGNATURE; b++)
        price += subset >> b & 1 ? 0 : t->adapter;
    return price;
}

void agreements_offer(Agreements *t, uint64_t signature, double cost, uint32_t option)
{
    for (unsigned subset = 0; subset < AGREE_SUBSETS; subset++) {
        AgreeSlot *slot = agreements_slot(t, signature, subset);
        if (cost < slot->cost) {
            slot->cost = cost;
            slot->option = option;
        }
    }
}

double agreements_least(Agreements *t, uint64_t signature, uint32_t *option)
{
    double best = 1e300;
    for (unsigned subset = 0; subset < AGREE_SUBSETS; subset++) {
        const AgreeSlot *slot = agreements_slot(t, signature, subset);
        double cost = slot->cost + agreements_price(t, subset);
        if (cost < best) {
            best = cost;
            *option = slot->option;
        }
    }
    return best;
}

static void step_along(Chooser *q, const PackEdge *e, uint32_t k, uint32_t last)
{
    const Options *to = &q->options[k], *from = &q->options[last];
    q->met.stamp++;
    for (uint32_t j = 0; j < from->n; j++)
        agreements_offer(&q->met, signature_at(e, last, &from->list[j].leaf), from->list[j].cost,
                         j);
    for (uint32_t i = 0; i < to->n; i++) {
        Option *c = &to->list[i];
        double best = agreements_least(&q->met, signature_at(e, k, &c->leaf), &c->before);
        c->cost = best + c->price + adapters(q, k, c, -1, NULL);
    }
}

static void step(Chooser *q, uint32_t k, uint32_t last)
{
    const Search *s = q->s;
    const Options *to = &q->options[k], *from = &q->options[last];
    const PackEdge *edge = NULL;
    uint32_t edges = 0;
    for (uint32_t i = s->edge_begin[k]; i < s->edge_begin[k + 1]; i++) {
        const PackEdge *e = &s->edges[s->edge_of[i]];
        if (e->from == last || e->to == last) {
            edge = e;
            edges++;
        }
    }
    if (edges == 1) {
        step_along(q, edge, k, last);
        return;
    }
    for (uint32_t i = 0; i < to->n; i++) { /* none: all come from the cheapest; several are rare */
        Option *c = &to->list[i];
        double best = 1e300;
        for (uint32_t j = 0; j < from->n; j++) {
            const Option *b = &from->list[j];
            if (b->cost >= best)
                continue;
            double cost = b->cost + adapters(q, k, c, (int32_t)last, b);
            if (cost < best) {
                best = cost;
                c->before = j;
            }
        }
        c->cost = best + c->price + adapters(q, k, c, -1, NULL);
    }
}

static bool choose_once(Chooser *q)
{
    const Search *s = q->s;
    uint32_t first = s->order[0], last = s->order[s->n - 1], best = 0;
    for (uint32_t i = 0; i < q->options[first].n; i++) {
        Option *c = &q->options[first].list[i];
        c->cost = c->price + adapters(q, first, c, -1, NULL);
    }
    for (uint32_t o = 1; o < s->n; o++)
        step(q, s->order[o], s->order[o - 1]);
    for (uint32_t i = 1; i < q->options[last].n; i++)
        if (q->options[last].list[i].cost < q->options[last].list[best].cost)
            best = i;
    bool changed = false;
    for (uint32_t o = s->n; o-- > 0;) {
        uint32_t k = s->order[o];
        changed = changed || q->chosen[k] != best;
        q->chosen[k] = best;
        best = q->options[k].list[best].before;
    }
    return changed;
}

void choose_families(const Search *s, const Options *options, uint32_t *chosen)
{
    Arena a = {0};
    uint32_t most = 0;
    Chooser q = {.s = s, .options = options, .chosen = chosen};
    q.at = arena_array(&a, uint32_t, s->n);
    for (uint32_t o = 0; o < s->n; o++) {
        q.at[s->order[o]] = o;
        most = options[o].n > most ? options[o].n : most;
    }
    agreements_create(&q.met, &a, s->problem->adapter, most);
    for (unsigned round = 0; round < ROUNDS && choose_once(&q); round++)
        ;
    arena_free(&a);
}

/* ---- options ---- */

static bool same_signatures(const Leaf *a, const Leaf *b)
{
    return a->in == b->in && a->out == b->out;
}

/* The cheaper way round of a family that fits, or false. */
static bool option_of(const Search *s, uint32_t class_index, uint32_t f, const Slit *slit,
                      Option *result)
{
    const PackFamily *family = &s->classes[class_index].families[f];
    PackShape shape;
    if (family->h > (slit->w > slit->h ? slit->w : slit->h) ||
        !class_shape(s, class_index, f, slit->limit, &shape))
        return false;
    bool upright = shape.w <= slit->w && shape.h <= slit->h;
    bool turned = shape.h <= slit->w && shape.w <= slit->h;
    if (!upright && !turned)
        return false;
    double price[2] = {slit->price_w * shape.w + slit->price_h * shape.h,
                       slit->price_w * shape.h + slit->price_h * shape.w};
    bool turn = !upright || (turned && price[1] < price[0]);
    *result =
        (Option){.leaf = leaf_of(&s->classes[class_index], f, turn, &shape), .price = price[turn]};
    return true;
}

void options_make(const Search *s, Arena *a, uint32_t class_index, const Slit *slit, double most,
                  Options *result)
{
    const Class *c = &s->classes[class_index];
    VEC(Option) list = {0};
    Option option;
    double least = 1e300;
    for (uint32_t i = 0; i < c->n_keys; i++) {
        if (!option_of(s, class_index, c->by_key[i], slit, &option) || option.price > least + most)
            continue;
        least = option.price < least ? option.price : least;
        Option *last = list.n ? &list.data[list.n - 1] : NULL;
        if (!last || !same_signatures(&last->leaf, &option.leaf))
            vec_push(a, &list, option);
        else if (option.price < last->price)
            *last = option;
    }
    size_t n = 0;
    for (size_t i = 0; i < list.n; i++)
        if (list.data[i].price <= least + most)
            list.data[n++] = list.data[i];
    list.n = n;
    *result = (Options){list.data, (uint32_t)list.n, least};
}

/* ---- repair ---- */

static void slots_below(const Search *s, Arena *a, const State *t, int32_t node, int32_t w,
                        int32_t h, Options *options)
{
    const Node *v = &t->nodes[node];
    if (v->child[0] < 0) {
        Slit slit = {.limit = t->time, .w = w, .h = h};
        options_make(s, a, s->problem->class_of[node], &slit, 0, &options[node]);
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        const Node *c = &t->nodes[v->child[i]];
        slots_below(s, a, t, v->child[i], v->stacked ? w : c->w, v->stacked ? c->h : h, options);
    }
}

bool repair(const Search *s, State *t)
{
    Arena a = {0};
    const PackProblem *p = s->problem;
    uint32_t n = s->n, *chosen = arena_array(&a, uint32_t, n);
    Options *options = arena_array(&a, Options, n);
    State *now = state_create(&a, n);
    const Node *root = &t->nodes[t->root];
    slots_below(s, &a, t, t->root, root->w > p->w ? root->w : p->w, root->h > p->h ? root->h : p->h,
                options);
    for (uint32_t k = 0; k < n; k++) {
        while (chosen[k] < options[k].n &&
               !same_signatures(&options[k].list[chosen[k]].leaf, &t->leaves[k]))
            chosen[k]++;
        if (chosen[k] == options[k].n) { /* what is there fits, unless the model is unsteady */
            arena_free(&a);
            return false;
        }
    }
    state_copy(now, t, n);
    choose_families(s, options, chosen);
    for (uint32_t k = 0; k < n; k++) {
        const Leaf *l = &options[k].list[chosen[k]].leaf;
        if (same_signatures(l, &t->leaves[k]))
            continue; /* as it was */
        now->leaves[k] = *l;
        now->nodes[k].w = l->turned ? l->h : l->w;
        now->nodes[k].h = l->turned ? l->w : l->h;
    }
    tree_size_all(now);
    tree_measure(s, now);
    bool better = now->cost < t->cost;
    if (better)
        state_copy(t, now, n);
    arena_free(&a);
    return better;
}
