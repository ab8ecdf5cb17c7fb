/* SPDX-License-Identifier: Apache-2.0 */
/* passes/route_trunks.c - one stream to several kernels: multicast.
 *
 * A tree has one color, one send and one queue, and its words cross what its branches have in
 * common once. A branch begins in one of two ways. It goes on: a kernel passes the lanes of an
 * input on straight, out of its far side, while its cores take what they need. Or it forks:
 * each lane leaves the trunk's own way at a router of its own (route_maze.c), which sends words
 * out by two sides.
 *
 * All lanes of a stream have one color, so lanes of a tree have no router in common. Were three
 * of them to lead from one kernel to two others on open ground, contracting the three kernels to
 * points would draw K(3,3) in the plane; so only streams of up to two lanes fork. (Different
 * streams do cross in a router, which takes one color across and another one down; for lanes
 * of a bundle to do so would take a color for every two of them, at every core that they feed.) A
 * fork out of the back of the sender is none either: lanes there are in the wrong order.
 *
 * Done when all streams have ways of their own: of those of a source, one after the other is
 * given up for the shortest branch that there is, if that is not much longer and nothing is shared.
 * So sinks join the tree so far, the nearest first, as in PathFinder and in Takahashi and
 * Matsuyama's Steiner trees (Math. Japonica 24, 1980). Cost: ways times triples of streams of one
 * source. */
#include <string.h>

#include "passes/routing.h"

enum { DETOUR = 64, MAX_FORKED = 2 };

const Stream *stream_root(const Stream *s)
{
    while (s->trunk)
        s = s->trunk;
    return s;
}

/* The next of the streams of a source: those of a kernel, or all if it is the host; NULL behind
 * the last. */
static Stream *next_sibling(const Plan *plan, const Stream *s, uint32_t *i)
{
    const Kernel *from = s->from == PLAN_HOST ? NULL : plan->kernels.data[s->from];
    if (*i >= (from ? from->n_out : plan->streams.n))
        return NULL;
    uint32_t at = (*i)++;
    return plan->streams.data[from ? from->out[at] : at];
}

Stream *route_tree(const Plan *plan, const Stream *root, uint32_t *i)
{
    Stream *s = next_sibling(plan, root, i);
    while (s && stream_root(s)->id != root->id) /* root may be a copy that tries a way */
        s = next_sibling(plan, root, i);
    return s;
}

Stream *route_forks(const Plan *plan, const Stream *s, uint32_t *i)
{
    Stream *f = next_sibling(plan, s, i);
    while (f && !(f->forks && f->trunk->id == s->id))
        f = next_sibling(plan, s, i);
    return f;
}

bool stream_before(const Stream *t, const Stream *s)
{
    while (t && t->id != s->id)
        t = t->trunk;
    return t == NULL;
}

static bool has_branch(const Plan *plan, const Stream *s, bool forks)
{
    const Stream *o, *root = stream_root(s);
    for (uint32_t i = 0; (o = route_tree(plan, root, &i)) != NULL;)
        if (o->trunk && o->trunk->id == s->id && o->forks == forks)
            return true;
    return false;
}

static bool same_protocol(const Protocol *a, const Protocol *b)
{
    return a->dtype == b->dtype && a->rows == b->rows && a->cols == b->cols &&
           a->features == b->features && a->lanes == b->lanes && a->segs == b->segs;
}

/* May s be a branch of t? */
static bool may_carry(const Plan *plan, const Stream *t, const Stream *s, bool forks)
{
    if (t->from != s->from || !same_protocol(&t->protocol, &s->protocol) ||
        (s->from == PLAN_HOST && (t->tensor != s->tensor || t->node != s->node)))
        return false;
    if (!stream_before(t, s))
        return false;
    if (forks)
        return s->protocol.lanes <= MAX_FORKED && t->n_segments > 0;
    return t->to != PLAN_HOST && !has_branch(plan, t, false);
}

/* Colors that a tree could have as it lies; none if it meets the other one. */
static uint32_t tree_colors(const Router *r, const Stream *root, const Stream *other)
{
    uint32_t mask = root->color_fixed ? 1u << root->color : router_usable_colors(r);
    const Stream *s;
    for (uint32_t k = 0; (s = route_tree(r->plan, root, &k)) != NULL;) {
        const SlotVec *slots = &r->index->of_stream[s->id];
        for (size_t i = 0; i < slots->n; i++) {
            Meet m = meet_begin(r, r->taken.data[slots->data[i]].box);
            for (const Taken *t; (t = meet_next(&m)) != NULL;) {
                const Stream *at =
                    t->stream < 0 ? NULL : stream_root(r->plan->streams.data[t->stream]);
                if (at == other && at)
                    return 0;
                if (at != root)
                    mask &= ~t->colors;
            }
        }
    }
    return mask;
}

/* A stream as a branch, and what its own way costs then. */
typedef struct Branch {
    Stream *s, way;
    uint64_t cost;
} Branch;

/* s, whose own way has been given back, as a branch of t, if it is better than what is known.
 * What goes on from s does so then, too. */
static void try_branch(Router *r, Stream *s, Stream *t, bool forks, Branch *best)
{
    uint64_t most = 2 * (uint64_t)stream_hops(s) + DETOUR;
    most = best->s && best->cost < most ? best->cost : most;
    Price p = {0};
    Branch b = {.s = s, .way = *s};
    b.way.trunk = t;
    b.way.forks = forks;
    bool found = false;
    r->index->tree_colors = tree_colors(r, stream_root(t), s) & tree_colors(r, s, stream_root(t));
    if (r->index->tree_colors == 0)
        return;
    if (forks)
        found = route_maze(r, &b.way, PRICE_NEVER, most, &p);
    for (unsigned effort = 0; effort < 2 && !found; effort++)
        found = route_ways(r, &b.way, effort, PRICE_NEVER, most, &p);
    r->index->tree_colors = 0;
    if (!found)
        return;
    b.cost = p.hops;
    *best = b;
}

/* The branch that one more of the streams of a source should be. */
static bool find_branch(Router *r, const Stream *of, Branch *best)
{
    const Plan *plan = r->plan;
    *best = (Branch){0};
    uint32_t i = 0;
    for (Stream *s; (s = next_sibling(plan, of, &i));) {
        if (s->from != of->from || s->trunk || s->color_fixed || !router_lies(r, s) ||
            has_branch(plan, s, true))
            continue;
        bool lies = true;
        uint32_t k = 0;
        for (Stream *t; (t = next_sibling(plan, of, &k));) {
            for (unsigned forks = 0; forks < 2; forks++) {
                if (t == s || !router_lies(r, t) || !may_carry(plan, t, s, forks != 0))
                    continue;
                if (lies)
                    router_release(r, s);
                lies = false;
                try_branch(r, s, t, forks != 0, best);
            }
        }
        if (!lies)
            router_take_stream(r, s);
    }
    return best->s != NULL;
}

static bool grow_trees(Router *r, const Stream *of)
{
    bool grown = false;
    for (Branch b; find_branch(r, of, &b);) {
        Stream *member;
        router_release(r, b.s);
        *b.s = b.way;
        router_take_stream(r, b.s);
        for (uint32_t i = 0; (member = route_tree(r->plan, stream_root(b.s), &i)) != NULL;)
            router_recolor(r, member, b.way.color);
        grown = true;
    }
    return grown;
}

/* Those that are sent come first: the kernel's programs count them. */
static void order_outputs(const Plan *plan, Kernel *k)
{
    uint32_t own = 0, branches = 0, rest[KERNEL_MAX_OUTPUTS];
    for (uint32_t i = 0; i < k->n_out; i++) {
        if (plan->streams.data[k->out[i]]->trunk)
            rest[branches++] = k->out[i];
        else
            k->out[own++] = k->out[i];
    }
    memcpy(k->out + own, rest, branches * sizeof *rest);
    k->n_branches = branches;
}

void route_forget_trunks(Plan *plan)
{
    for (size_t i = 0; i < plan->streams.n; i++) {
        plan->streams.data[i]->trunk = NULL;
        plan->streams.data[i]->forks = false;
    }
    for (size_t i = 0; i < plan->kernels.n; i++)
        plan->kernels.data[i]->n_branches = 0;
}

bool route_trunks(Router *r)
{
    Plan *plan = r->plan;
    bool grown = false;
    for (size_t i = 0; i < plan->kernels.n; i++) {
        Kernel *k = plan->kernels.data[i];
        if (k->n_out > 1)
            grown = grow_trees(r, plan->streams.data[k->out[0]]) || grown;
        order_outputs(plan, k);
    }
    for (size_t i = 0; i < plan->streams.n; i++) {
        if (plan->streams.data[i]->from == PLAN_HOST) {
            grown = grow_trees(r, plan->streams.data[i]) || grown;
            break;
        }
    }
    return grown;
}
