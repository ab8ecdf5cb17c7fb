/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/adapter.c - changes the number of lanes of a stream.
 *
 * Lanes fall into groups where both cuts of the features coincide. In a group the cores of
 * the gathering column pass growing messages down until the last one holds all features of
 * the group, position by position; that message is multicast to the scattering column, where
 * each core sends its slice. A group stands in max(lanes in, lanes out) rows of the strip;
 * either column is left out where it would be one core a group. */
#include "backend/kernels/part.h"

static void build_messages(Core *c, const Protocol *in, Scalar *px)
{
    core_loop(c, core_number(c, in->rows));
    uint32_t depth = core_loop(c, core_number(c, in->segs));
    if (in->cols % in->segs == 0) {
        *px = core_number(c, in->cols / in->segs);
        return;
    }
    int64_t *size = arena_array(c->temp, int64_t, in->segs);
    for (uint32_t i = 0; i < in->segs; i++)
        size[i] = block_size(in->cols, in->segs, i);
    *px = core_table(c, size, in->segs, depth);
}

AdapterPlace adapter_place(const Part *p, uint32_t cx, uint32_t cy)
{
    uint32_t gi = group_in(p), go = group_out(p), pitch = gi > go ? gi : go;
    AdapterPlace a = {.group = cy / pitch, .index = cy % pitch};
    bool gathers = gi > 1 || go == 1;
    a.column = gathers && cx == 0 ? ADAPTER_GATHER : ADAPTER_SCATTER;
    a.size = a.column == ADAPTER_GATHER ? gi : go;
    a.used = a.index < a.size;
    return a;
}

/* Lane of the core at `index` of a group: canonical rows run against the lanes if mirrored. */
static uint32_t lane_of(const Part *p, const AdapterPlace *a, uint32_t lanes)
{
    uint32_t at = a->group * a->size + a->index;
    return p->kernel->mirror ? lanes - 1 - at : at;
}

void build_adapter(const Part *p, Core *c, uint32_t cx, uint32_t cy)
{
    const Protocol *in = &p->in[0];
    DType t = in->dtype;
    uint32_t most = positions_of(in), gi = group_in(p), go = group_out(p);
    AdapterPlace a = adapter_place(p, cx, cy);
    uint32_t own_group = p->kernel->mirror ? p->groups - 1 - a.group : a.group;
    uint32_t begin = lane_begin(in->features, p->shape.lanes_in, own_group * gi);
    uint32_t end = lane_begin(in->features, p->shape.lanes_in, (own_group + 1) * gi);
    Scalar px, n_all;
    if (a.column == ADAPTER_SCATTER) {
        uint32_t lane = lane_of(p, &a, p->shape.lanes_out);
        uint32_t first = lane_begin(in->features, p->shape.lanes_out, lane);
        uint32_t size = lane_size(in->features, p->shape.lanes_out, lane);
        uint32_t all = end - begin;
        bool from_stream = gi == 1;
        uint32_t x =
            core_wire(c, from_stream ? WIRE_INPUT : WIRE_CHAIN_IN, (gi - 1) & 1, true,
                      words_of(t, (uint64_t)most * all), from_stream ? p->slots[0] : PART_SLOTS);
        if (from_stream)
            c->wires.data[x].index = 0;
        uint32_t out[KERNEL_MAX_OUTPUTS];
        for (uint32_t i = 0; i < p->n_out; i++)
            out[i] = core_wire(c, WIRE_OUTPUT, i, true, words_of(t, (uint64_t)most * size), 0);
        uint32_t buffer =
            core_buffer(c, "message", SEGMENT_BUFFER, (uint64_t)most * all * dtype_bytes(t), 0);
        n_all = core_number(c, all);
        Scalar n = core_number(c, size);
        build_messages(c, in, &px);
        core_op(c, OPCODE_COPY, D2(px, n_all),
                op_mem(t, core_address(c, buffer, 0), ZERO, ZERO, n_all, ONE), op_wire(t, x, 0),
                op_none());
        Operand slice =
            op_mem(t, core_address(c, buffer, (int64_t)(first - begin) * dtype_bytes(t)), ZERO,
                   ZERO, n_all, ONE);
        for (uint32_t i = 0; i < p->n_out; i++)
            core_op(c, OPCODE_COPY, D2(px, n), op_wire(t, out[i], 0), slice, op_none());
        core_end(c);
        core_end(c);
        return;
    }

    /* Gather: features of the cores before (`had`), then with our own. */
    uint32_t lane = lane_of(p, &a, p->shape.lanes_in);
    uint32_t first = lane_begin(in->features, p->shape.lanes_in, lane);
    uint32_t size = lane_size(in->features, p->shape.lanes_in, lane);
    uint32_t had = p->kernel->mirror ? end - first - size : first - begin, all = had + size;
    bool starts = a.index == 0, ends = a.index == gi - 1;
    bool sends_out = ends && go == 1;
    uint32_t x = core_wire(c, WIRE_INPUT, 0, true, words_of(t, (uint64_t)most * size), p->slots[0]);
    uint32_t chain_in = core_wire(c, WIRE_CHAIN_IN, (a.index + 1) & 1, !starts,
                                  words_of(t, (uint64_t)most * had), PART_SLOTS);
    uint32_t chain_out =
        core_wire(c, WIRE_CHAIN_OUT, a.index & 1, !sends_out, words_of(t, (uint64_t)most * all), 0);
    uint32_t out[KERNEL_MAX_OUTPUTS];
    for (uint32_t i = 0; i < p->n_out; i++)
        out[i] = core_wire(c, WIRE_OUTPUT, i, sends_out, words_of(t, (uint64_t)most * all), 0);
    uint32_t buffer =
        core_buffer(c, "message", SEGMENT_BUFFER, (uint64_t)most * all * dtype_bytes(t), 0);
    n_all = core_number(c, all);
    Scalar n = core_number(c, size), before = core_number(c, had);
    uint32_t own_at = p->kernel->mirror ? 0 : had, had_at = p->kernel->mirror ? size : 0;
    Operand own = op_mem(t, core_address(c, buffer, (int64_t)own_at * dtype_bytes(t)), ZERO, ZERO,
                         n_all, ONE);
    Operand others = op_mem(t, core_address(c, buffer, (int64_t)had_at * dtype_bytes(t)), ZERO,
                            ZERO, n_all, ONE);
    Operand message = op_mem(t, core_address(c, buffer, 0), ZERO, ZERO, n_all, ONE);
    Scalar does_receive = core_number(c, !starts), does_pass = core_number(c, !sends_out),
           does_send = core_number(c, sends_out);
    build_messages(c, in, &px);
    core_op(c, OPCODE_COPY, D2(px, n), own, op_wire(t, x, 0), op_none());
    core_loop(c, does_receive);
    core_op(c, OPCODE_COPY, D2(px, before), others, op_wire(t, chain_in, 0), op_none());
    core_end(c);
    core_loop(c, does_pass);
    core_op(c, OPCODE_COPY, D2(px, n_all), op_wire(t, chain_out, 0), message, op_none());
    core_end(c);
    core_loop(c, does_send);
    for (uint32_t i = 0; i < p->n_out; i++)
        core_op(c, OPCODE_COPY, D2(px, n_all), op_wire(t, out[i], 0), message, op_none());
    core_end(c);
    core_end(c);
    core_end(c);
}
