/* SPDX-License-Identifier: Apache-2.0 */
/* passes/bounds.c - what no plan on this machine can be faster than, in cycles a sample.
 *
 * compute: every multiply-accumulate whose input is not padding, and every element of an
 *   elementwise operation, reduction or pool, passes some core's unit once, at no more than the
 *   machine's width; the work divided by all cores.
 * memory: every resident weight is read from its core's memory at least once a sample, by an
 *   operation that is no faster than the machine's multiply-accumulate of that type.
 * host: every word of input and output passes the ports, at their bandwidth.
 * shapes: the least time for which shapes of all kernels, and the adapters that lanes ask for,
 *   take no more cores than are allowed (sizing_bound; on what was planned, not fewer cores).
 * Each is rounded up only once, at the end: a bound on any schedule. */
#include "passes/planner.h"

/* Sum over results along one axis of the taps that fall inside of the image. */
static uint64_t valid_taps(int64_t extent, int64_t results, int64_t kernel, int64_t stride,
                           int64_t padding)
{
    uint64_t n = 0;
    for (int64_t o = 0; o < results; o++) {
        int64_t lo = o * stride - padding, hi = lo + kernel;
        lo = lo < 0 ? 0 : lo;
        hi = hi > extent ? extent : hi;
        n += hi > lo ? (uint64_t)(hi - lo) : 0;
    }
    return n;
}

static uint64_t macs(const Node *n)
{
    const Type *x = &n->in[0]->type, *y = &n->type;
    if (n->op == OP_CONV2D) {
        uint64_t taps[2];
        for (int i = 0; i < 2; i++)
            taps[i] = valid_taps(x->extent[i], y->extent[i], n->attr.kernel[i], n->attr.stride[i],
                                 n->attr.padding[i]);
        return taps[0] * taps[1] * (uint64_t)(type_features(x) * type_features(y));
    }
    return (uint64_t)(type_positions(x) * type_features(x) * type_features(y));
}

static uint64_t at_width(uint64_t elements, Fraction width)
{
    return elements / width.num * width.den + elements % width.num * width.den / width.num;
}

static uint64_t node_cycles(const Node *n, const Machine *m)
{
    uint32_t flags = op_info[n->op].flags;
    uint64_t results = (uint64_t)type_elements(&n->type);
    if (flags & OPF_KERNEL)
        return at_width(macs(n), m->cost[COST_MAC][n->in[0]->type.dtype].width);
    DType t = n->type.dtype;
    if (flags & OPF_REDUCE) {
        uint64_t all = (uint64_t)type_elements(&n->in[0]->type);
        CostClass c = n->op == OP_SUM || n->op == OP_MEAN ? COST_ADD : COST_MINMAX;
        return at_width(all - results, m->cost[c][n->in[0]->type.dtype].width);
    }
    if (flags & (OPF_EW | OPF_POOL)) {
        /* Any of these runs in one of the three classes; the widest is the bound. */
        Fraction w = m->cost[COST_ADD][t].width;
        const CostClass others[] = {COST_MUL, COST_MINMAX};
        for (int i = 0; i < 2; i++) {
            Fraction o = m->cost[others[i]][t].width;
            if ((uint64_t)o.num * w.den > (uint64_t)w.num * o.den)
                w = o;
        }
        return at_width(results, w);
    }
    return 0;
}

Bounds plan_bounds(const Plan *p, uint32_t max_cores)
{
    const Machine *m = p->machine;
    uint64_t cores = (uint64_t)m->width * m->height, work = 0, reads = 0;
    if (max_cores && max_cores < cores)
        cores = max_cores;
    for (size_t i = 0; i < p->kernels.n; i++) {
        const Kernel *k = p->kernels.data[i];
        if (!k->anchor)
            continue;
        work += node_cycles(k->anchor, m);
        for (uint32_t s = 0; s < k->n_steps; s++)
            work += node_cycles(k->steps[s], m);
        if (op_info[k->anchor->op].flags & OPF_KERNEL) {
            const Type *w = &k->anchor->in[1]->type;
            reads += at_width((uint64_t)type_elements(w), m->cost[COST_MAC][w->dtype].width);
        }
    }
    Fraction f = m->host_words;
    return (Bounds){.compute = (work + cores - 1) / cores,
                    .memory = (reads + cores - 1) / cores,
                    .host = (plan_host_words(p) * f.den + f.num - 1) / f.num,
                    .shapes = max_cores ? 0 : p->shapes_bound};
}
