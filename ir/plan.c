/* SPDX-License-Identifier: Apache-2.0 */
/* ir/plan.c - geometry of kernels, protocols of tensors, and the plan's text.
 *
 * A region is the canonical w x h frame, mirrored left to right if asked, then turned
 * clockwise. With y to the south one clockwise turn takes (x, y) of a w x h frame to
 * (h - 1 - y, x) of an h x w frame, and every side to the next one in the order N E S W. */
#include "ir/plan.h"

#include <inttypes.h>

void plan_extent(const Kernel *k, uint32_t *w, uint32_t *h)
{
    bool odd = k->turn % 2 != 0;
    *w = odd ? k->shape.h : k->shape.w;
    *h = odd ? k->shape.w : k->shape.h;
}

void plan_to_fabric(const Kernel *k, uint32_t cx, uint32_t cy, uint32_t *x, uint32_t *y)
{
    uint32_t w = k->shape.w, h = k->shape.h;
    uint32_t px = k->mirror ? w - 1 - cx : cx, py = cy;
    for (uint32_t i = 0; i < k->turn % 4; i++) {
        uint32_t t = px;
        px = h - 1 - py;
        py = t;
        t = w;
        w = h;
        h = t;
    }
    *x = k->x + px;
    *y = k->y + py;
}

Side plan_side(const Kernel *k, Side canonical)
{
    if (canonical == SIDE_RAMP)
        return SIDE_RAMP;
    Side s = canonical;
    if (k->mirror && (s == SIDE_E || s == SIDE_W))
        s = side_opposite(s);
    return (Side)((s + k->turn) % 4);
}

bool protocol_of(const Type *t, uint32_t lanes, uint32_t segs, Protocol *result)
{
    if (t->rank < 1 || t->rank > 3)
        return false;
    *result = (Protocol){
        .dtype = t->dtype,
        .rows = t->rank >= 2 ? (uint32_t)t->extent[0] : 1,
        .cols = t->rank == 3 ? (uint32_t)t->extent[1] : 1,
        .features = (uint32_t)t->extent[t->rank - 1],
        .lanes = lanes,
        .segs = segs,
    };
    return true;
}

uint32_t plan_order(const Plan *p, bool deep, uint32_t *order)
{
    Arena a = {0};
    uint32_t n = (uint32_t)p->kernels.n, first = 0, end = 0, count = 0;
    uint32_t *missing = arena_array(&a, uint32_t, n), *ready = arena_array(&a, uint32_t, n);
    for (size_t i = 0; i < p->streams.n; i++) {
        const Stream *s = p->streams.data[i];
        if (s->from != PLAN_HOST && s->to != PLAN_HOST)
            missing[s->to]++;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = deep ? n - 1 - i : i;
        if (missing[k] == 0)
            ready[end++] = k;
    }
    while (first < end) {
        const Kernel *k = p->kernels.data[deep ? ready[--end] : ready[first++]];
        order[count++] = k->id;
        for (uint32_t o = 0; o < k->n_out; o++) {
            int32_t to = p->streams.data[k->out[deep ? k->n_out - 1 - o : o]]->to;
            if (to != PLAN_HOST && --missing[to] == 0)
                ready[end++] = (uint32_t)to;
        }
    }
    arena_free(&a);
    return count;
}

uint32_t protocol_words(const Protocol *p)
{
    uint64_t elements =
        (uint64_t)block_size(p->cols, p->segs, 0) * lane_size(p->features, p->lanes, 0);
    return (uint32_t)((elements * dtype_bytes(p->dtype) + 3) / 4);
}

uint32_t protocol_messages(const Protocol *p)
{
    return p->rows * p->segs;
}

bool protocol_same_form(const Type *a, const Type *b)
{
    Protocol p, q;
    return protocol_of(a, 1, 1, &p) && protocol_of(b, 1, 1, &q) && p.dtype == q.dtype &&
           p.rows == q.rows && p.cols == q.cols && p.features == q.features;
}

Node *plan_source(const Node *n)
{
    while ((op_info[n->op].flags & OPF_VIEW) && n->in[0]->op != OP_INPUT)
        n = n->in[0];
    return (Node *)n;
}

uint32_t plan_chain_operand(const Node *n, const Node *prev)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        const Node *in = n->in[i];
        if (prev != NULL ? in == prev
                         : in->op != OP_CONST && protocol_same_form(&in->type, &n->type))
            return i;
    }
    return 0;
}

KernelKind kernel_kind_of(const Node *anchor)
{
    if (anchor->op == OP_CONV2D)
        return KERNEL_CONV;
    if (op_info[anchor->op].flags & OPF_KERNEL)
        return KERNEL_MATVEC;
    return op_info[anchor->op].flags & OPF_REDUCE ? KERNEL_REDUCE : KERNEL_LINE;
}

static const char *const kind_text[KERNEL_KIND_COUNT] = {
    [KERNEL_MATVEC] = "matvec", [KERNEL_CONV] = "conv",       [KERNEL_LINE] = "line",
    [KERNEL_REDUCE] = "reduce", [KERNEL_ADAPTER] = "adapter",
};

const char *kernel_kind_text(KernelKind kind)
{
    return kind_text[kind];
}

static void print_kernel(Text *t, const Kernel *k)
{
    text_printf(t, "kernel %u \"%s\" %s", k->id, k->name, kind_text[k->kind]);
    if (k->anchor != NULL)
        text_printf(t, " %%%u %s", k->anchor->id, op_info[k->anchor->op].text);
    for (uint32_t i = 0; i < k->n_steps; i++)
        text_printf(t, ", %%%u %s", k->steps[i]->id, op_info[k->steps[i]->op].text);
    text_add(t, "\n ");
    for (uint32_t i = 0; i < k->n_in; i++)
        text_printf(t, " in%u=s%u", i, k->in[i]);
    for (uint32_t i = 0; i < k->n_out; i++)
        text_printf(t, " out%u=s%u", i, k->out[i]);
    text_add(t, "\n");
    if (k->shape.w == 0)
        return; /* not sized yet */
    uint32_t w, h;
    plan_extent(k, &w, &h);
    text_printf(t,
                "  %u x %u at (%u, %u) turn %u%s, lanes %u -> %u, split %u, segs %u, "
                "%" PRIu64 " cycles, %u bytes\n",
                w, h, k->x, k->y, k->turn, k->mirror ? " mirrored" : "", k->shape.lanes_in,
                k->shape.lanes_out, k->shape.split, k->shape.segs_out, k->shape.cycles,
                k->shape.bytes);
}

static void print_lanes(Text *t, const uint32_t *v, uint32_t lanes)
{
    for (uint32_t i = 0; v != NULL && i < lanes; i++)
        text_printf(t, "%s%u", i ? "," : "", v[i]);
}

static void print_end(Text *t, int32_t kernel)
{
    if (kernel == PLAN_HOST)
        text_add(t, "host");
    else
        text_printf(t, "k%d", kernel);
}

static void print_stream(Text *t, const Stream *s)
{
    static const char side[] = "NESWR";
    const Protocol *p = &s->protocol;
    text_printf(t, "stream %u \"%s\" ", s->id, s->name);
    print_end(t, s->from);
    text_add(t, " -> ");
    print_end(t, s->to);
    if (s->to != PLAN_HOST)
        text_printf(t, ".%u", s->to_input);
    text_printf(t, " %%%u: %u x %u x %u %s, lanes %u, segs %u, slots %u\n", s->node->id, p->rows,
                p->cols, p->features, dtype_name(p->dtype), p->lanes, p->segs, s->slots);
    if (s->start_x == NULL)
        return; /* not routed yet */
    text_printf(t, "  color %u", s->color);
    if (s->trunk)
        text_printf(t, ", %s stream %u", s->forks ? "forks from" : "goes on from", s->trunk->id);
    if (s->port_y != NULL) {
        text_printf(t, ", port %c ", side[s->port_side]);
        print_lanes(t, s->port_y, p->lanes);
    }
    text_add(t, ", from x ");
    print_lanes(t, s->start_x, p->lanes);
    text_add(t, " y ");
    print_lanes(t, s->start_y, p->lanes);
    for (uint32_t i = 0; i < s->n_segments; i++) {
        text_printf(t, ", %c ", side[s->segments[i].side]);
        print_lanes(t, s->segments[i].to, p->lanes);
    }
    text_add(t, "\n");
}

void plan_print(Text *t, const Plan *p)
{
    text_printf(t, "plan \"%s\"%s%s\n", p->graph->name, p->machine ? " for " : "",
                p->machine ? p->machine->name : "");
    for (size_t i = 0; i < p->kernels.n; i++)
        print_kernel(t, p->kernels.data[i]);
    for (size_t i = 0; i < p->streams.n; i++)
        print_stream(t, p->streams.data[i]);
    if (p->why != NULL)
        text_printf(t, "why: %s\n", p->why);
}
