/* SPDX-License-Identifier: Apache-2.0 */
/* passes/fuse.c - groups nodes into kernels (node->kernel).
 *
 * In topological order every computing node either joins the group that produces the value it
 * transforms, or anchors a new one. It joins where nothing else uses that value (so groups are
 * chains and cannot form a cycle), where the generators can apply it as a step (the list
 * stands in ir/plan.h), and where it pays:
 *
 *   A step of its own kernel costs a strip of cores, one per lane, and for each element a
 *   receive and a send there and a send here. As a step it costs the last column of cores one
 *   pass over its block of the result. With K multiply-accumulates per result spread over
 *   some columns, passes hide behind them: a matrix kernel takes K / 16 passes, but at least 4
 *   and at most 16, a line kernel LINE_PASSES (lanes can be added there). A pool's ring of
 *   rows, for one feature, must stay within POOL_RING bytes.
 *
 * Of two operands that both qualify the later one takes the step: the other one, the short
 * way of a residual, is ready by then. Kernels are numbered in the order of their last nodes,
 * which is topological. Linear. */
#include "passes/passes.h"

enum {
    LEAST_PASSES = 4,
    MACS_PER_PASS = 16,
    MOST_PASSES = 16, /* each is code in 48 KB, too */
    LINE_PASSES = 8,
    MAX_STREAMS = 4, /* into one kernel; below KERNEL_MAX_INPUTS and the queues of a core */
    POOL_RING = 8192,
};

typedef struct Group {
    KernelKind kind;
    const Node *last;
    bool pooled;
    uint32_t streams;
    int64_t passes, most_passes;
} Group;

typedef struct Fuser {
    Arena *scratch;
    const uint32_t *uses;
    VEC(Group) groups;
} Fuser;

static bool is_pool_step(const Node *n)
{
    return n->op == OP_MAX_POOL || n->op == OP_AVG_POOL;
}

static Group new_group(const Node *n)
{
    Group g = {.kind = kernel_kind_of(n), .last = n, .streams = 1, .most_passes = LINE_PASSES};
    if (kernel_is_matrix(g.kind)) {
        int64_t macs = type_elements(&n->in[1]->type) / type_features(&n->type);
        g.most_passes = macs / MACS_PER_PASS;
        if (g.most_passes < LEAST_PASSES)
            g.most_passes = LEAST_PASSES;
        if (g.most_passes > MOST_PASSES)
            g.most_passes = MOST_PASSES;
        g.passes = n->attr.has_bias ? 1 : 0;
    } else if (g.kind == KERNEL_REDUCE) {
        g.most_passes = 0;
    } else {
        g.pooled = (op_info[n->op].flags & OPF_POOL) != 0;
        if (op_info[n->op].flags & OPF_BINARY)
            g.streams += n->in[0]->op != OP_CONST && n->in[1]->op != OP_CONST;
    }
    return g;
}

static bool pool_fits(const Node *n)
{
    int64_t width = n->in[0]->type.extent[1] + 2 * n->attr.padding[1];
    return n->attr.kernel[0] * width * 4 <= POOL_RING;
}

/* Can n be the next step of the group that ends in its operand k? */
static bool can_join(const Fuser *f, const Node *n, uint32_t k)
{
    const Node *prev = n->in[k];
    if (prev->kernel == UINT32_MAX || f->uses[prev->id] != 1)
        return false;
    const Group *g = &f->groups.data[prev->kernel];
    if (g->passes >= g->most_passes)
        return false;
    if (is_pool_step(n))
        return g->kind == KERNEL_CONV && !g->pooled && pool_fits(n);
    if (n->op == OP_RELU)
        return true;
    if (!(op_info[n->op].flags & OPF_BINARY) || !protocol_same_form(&prev->type, &n->type))
        return false;
    const Node *other = n->in[1 - k];
    if (other->op == OP_CONST)
        return true;
    return !g->pooled && g->streams < MAX_STREAMS &&
           (g->kind == KERNEL_LINE || protocol_same_form(&other->type, &n->type));
}

static uint32_t group_of(Fuser *f, const Node *n)
{
    const Node *best = NULL;
    uint32_t operand = 0;
    for (uint32_t k = 0; k < n->n_in; k++)
        if (can_join(f, n, k) && (best == NULL || n->in[k]->id > best->id)) {
            best = n->in[k];
            operand = k;
        }
    if (best == NULL) {
        vec_push(f->scratch, &f->groups, new_group(n));
        return (uint32_t)f->groups.n - 1;
    }
    Group *g = &f->groups.data[best->kernel];
    g->last = n;
    g->passes++;
    g->pooled |= is_pool_step(n);
    if (op_info[n->op].flags & OPF_BINARY)
        g->streams += n->in[1 - operand]->op != OP_CONST;
    return best->kernel;
}

bool pass_fuse(PassContext *cx)
{
    const Graph *g = cx->graph;
    Arena scratch = {0};
    Fuser f = {.scratch = &scratch, .uses = graph_use_counts(g, &scratch)};

    for (size_t i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.data[i];
        if (!(op_info[n->op].flags & (OPF_LEAF | OPF_VIEW)))
            n->kernel = group_of(&f, n);
    }
    uint32_t *number = arena_array(&scratch, uint32_t, f.groups.n), next = 0;
    for (size_t i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.data[i];
        if (n->kernel != UINT32_MAX && f.groups.data[n->kernel].last == n)
            number[n->kernel] = next++;
    }
    for (size_t i = 0; i < g->nodes.n; i++)
        if (g->nodes.data[i]->kernel != UINT32_MAX)
            g->nodes.data[i]->kernel = number[g->nodes.data[i]->kernel];
    arena_free(&scratch);
    return true;
}
