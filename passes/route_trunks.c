/* SPDX-License-Identifier: Apache-2.0 */
/* passes/route_trunks.c - one stream to several kernels: multicast.
 *
 * Lanes of a bundle lie side by side. Were three of them to lead from one kernel to two others
 * as three trees of one color, with no router in common, contracting the three kernels to
 * points would draw K(3,3) in the plane; so bundles cannot fork on open ground. They can go
 * on: a kernel passes the lanes of an input on straight, out of its far side, while its cores
 * take what they need. So a tree is a stream, its trunk, and at most one other that goes on
 * from the trunk's consumer, and so on: one color, one send, one queue, and the words cross
 * the first way once.
 *
 * Done when all streams have ways of their own: each may be given up for one that goes on from
 * another stream of its source, if that is not much longer and nothing is shared. Cost: ways
 * times pairs of streams of one source. */
#include <string.h>

#include "passes/routing.h"

enum { DETOUR = 64 };

const Stream *stream_root(const Stream *s)
{
    while (s->trunk)
        s = s->trunk;
    return s;
}

/* Streams of one source: those of a kernel, or all if it is the host. */
static const uint32_t *siblings(const Plan *plan, const Stream *s, uint32_t *n)
{
    if (s->from == PLAN_HOST) {
        *n = (uint32_t)plan->streams.n;
        return NULL;
    }
    *n = plan->kernels.data[s->from]->n_out;
    return plan->kernels.data[s->from]->out;
}

Stream *route_branch(const Plan *plan, const Stream *s)
{
    uint32_t n;
    const uint32_t *ids = siblings(plan, s, &n);
    for (uint32_t i = 0; i < n; i++) {
        Stream *b = plan->streams.data[ids ? ids[i] : i];
        if (b->trunk && b->trunk->id == s->id) /* s may be a copy that tries a way */
            return b;
    }
    return NULL;
}

static bool same_protocol(const Protocol *a, const Protocol *b)
{
    return a->dtype == b->dtype && a->rows == b->rows && a->cols == b->cols &&
           a->features == b->features && a->lanes == b->lanes && a->segs == b->segs;
}

/* May s go on from where t ends? An adapter's lanes do not run straight through it. */
static bool may_carry(const Plan *plan, const Stream *t, const Stream *s)
{
    if (t == s || t->from != s->from || t->to == PLAN_HOST ||
        !same_protocol(&t->protocol, &s->protocol) ||
        (s->from == PLAN_HOST && (t->tensor != s->tensor || t->node != s->node)))
        return false;
    for (const Stream *u = t; u; u = u->trunk)
        if (u == s)
            return false;
    return plan->kernels.data[t->to]->kind != KERNEL_ADAPTER && !route_branch(plan, t);
}

/* Colors that a tree could have as it lies. */
static uint32_t tree_colors(const Router *r, const Stream *root)
{
    uint32_t mask = router_usable_colors(r);
    for (const Stream *s = root; s; s = route_branch(r->plan, s)) {
        const SlotVec *slots = &r->index->of_stream[s->id];
        for (size_t i = 0; i < slots->n; i++) {
            Meet m = meet_begin(r, r->taken.data[slots->data[i]].box);
            for (const Taken *t; (t = meet_next(&m)) != NULL;)
                if (t->stream < 0 || stream_root(r->plan->streams.data[t->stream]) != root)
                    mask &= ~t->colors;
        }
    }
    return mask;
}

static void recolor_tree(Router *r, Stream *root, uint32_t color)
{
    for (Stream *s = root; s; s = route_branch(r->plan, s))
        router_recolor(r, s, color);
}

/* s, whose own way has been given back, on from t, in a color that the whole tree can have. */
static bool go_on(Router *r, Stream *s, Stream *t, uint64_t below)
{
    Stream *root = t;
    while (root->trunk)
        root = root->trunk;
    uint32_t now = 1u << root->color;
    uint32_t mask = root->color_fixed ? now : tree_colors(r, root) | now;
    Price p;
    s->trunk = t;
    r->index->tree_colors = mask;
    bool good = route_ways(r, s, 0, PRICE_NEVER, below, &p);
    r->index->tree_colors = 0;
    if (!good)
        s->trunk = NULL;
    else if (s->color != root->color)
        recolor_tree(r, root, s->color);
    return good;
}

static bool give_up(Router *r, Stream *s)
{
    uint32_t n;
    const uint32_t *ids = siblings(r->plan, s, &n);
    if (s->trunk || route_branch(r->plan, s) || s->color_fixed)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        Stream *t = r->plan->streams.data[ids ? ids[i] : i];
        if (!may_carry(r->plan, t, s))
            continue;
        Stream own = *s;
        router_release(r, s);
        if (go_on(r, s, t, 2 * (uint64_t)stream_hops(&own) + DETOUR)) {
            router_take_stream(r, s);
            return true;
        }
        *s = own;
        router_take_stream(r, s);
    }
    return false;
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
    for (size_t i = 0; i < plan->streams.n; i++)
        plan->streams.data[i]->trunk = NULL;
    for (size_t i = 0; i < plan->kernels.n; i++)
        plan->kernels.data[i]->n_branches = 0;
}

void route_trunks(Router *r)
{
    Plan *plan = r->plan;
    for (size_t i = 0; i < plan->kernels.n; i++) {
        Kernel *k = plan->kernels.data[i];
        for (uint32_t o = 0; o < k->n_out && k->n_out > 1; o++)
            give_up(r, plan->streams.data[k->out[o]]);
        order_outputs(plan, k);
    }
    for (size_t i = 0; i < plan->streams.n; i++)
        if (plan->streams.data[i]->from == PLAN_HOST)
            give_up(r, plan->streams.data[i]);
}
