/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/reduce.c - reductions over the features.
 *
 * Every core reduces its features of each position; partial results run down the strip from
 * row 0 and leave from the last row. Argmax carries pairs (value, index); indices are exact
 * as f32 (features < 2^24) and become i32 when sent. Of equal values the lowest index wins:
 * within a core by walking the features downwards with >=, along the strip by > or >=
 * according to which of the two has the lower indices. */
#include "backend/kernels/part.h"

typedef struct Strip {
    bool first, last, chained;
    uint32_t in, out;
} Strip;

static Strip start_strip(Core *c, const Part *p, uint32_t cy, uint32_t words)
{
    Strip s = {cy == 0, cy == p->shape.h - 1, p->shape.h > 1, 0, 0};
    if (s.chained) {
        s.in = core_wire(c, WIRE_CHAIN_IN, (cy + 1) & 1, !s.first, words, PART_SLOTS);
        s.out = core_wire(c, WIRE_CHAIN_OUT, cy & 1, !s.last, words, 0);
    }
    return s;
}

/* Loop that runs once where `here`, or nothing where the kernel is one core. */
static void open_if(Core *c, const Strip *s, bool here)
{
    if (s->chained)
        core_loop(c, core_number(c, here));
}

static void close_if(Core *c, const Strip *s)
{
    if (s->chained)
        core_end(c);
}

static void build_argmax(const Part *p, Core *c, const Strip *s, uint32_t x, uint32_t n_c,
                         Scalar px, const uint32_t *out)
{
    const Protocol *in = &p->in[0];
    uint32_t most = positions_of(in);
    uint32_t size = dtype_bytes(in->dtype);
    Scalar n = core_number(c, n_c);
    uint32_t values = core_buffer(c, "values", SEGMENT_BUFFER, (uint64_t)most * n_c * size, 0);
    uint32_t best = core_buffer(c, "best", SEGMENT_BUFFER, 8ull * most, 4);
    uint32_t other = core_buffer(c, "best of the cores before", SEGMENT_BUFFER,
                                 s->chained && !s->first ? 8ull * most : 0, 0);
    uint32_t index = core_buffer(c, "feature numbers", SEGMENT_WEIGHTS, 4ull * n_c, 0);
    c->buffers.data[index].fill = FILL_INDEX;
    c->buffers.data[index].dtype = DT_F32;

    Operand all = op_mem(in->dtype, core_address(c, values, 0), ZERO, ZERO, n, ONE);
    Operand down = op_mem(in->dtype, core_address(c, values, (int64_t)(n_c - 1) * size), ZERO, ZERO,
                          n, IMM(-1));
    Operand numbers =
        op_mem(DT_F32, core_address(c, index, 4 * ((int64_t)n_c - 1)), ZERO, ZERO, ZERO, IMM(-1));
    /* [position][value, index]; the same pair for every feature of a position */
    Operand best_value = op_mem(DT_F32, core_address(c, best, 0), ZERO, ZERO, IMM(2), ZERO);
    Operand best_index = op_mem(DT_F32, core_address(c, best, 4), ZERO, ZERO, IMM(2), ZERO);
    Dims each = D2(px, n), pairs = D2(px, ONE);

    core_op(c, OPCODE_COPY, each, all, op_wire(in->dtype, x, 0), op_none());
    core_op(c, OPCODE_COPY, pairs, best_value, op_value(f32_from_bits(0xff800000u)), op_none());
    core_op(c, OPCODE_MAX, each, best_value, best_value, all);
    core_select(c, OPCODE_SELGE, each, best_index, down, best_value, numbers);
    Operand whole = op_mem(DT_F32, core_address(c, best, 0), ZERO, ZERO, IMM(2), ONE);
    Dims message = D2(px, IMM(2));
    if (s->chained) {
        core_loop(c, core_number(c, !s->first));
        Operand other_value = op_mem(DT_F32, core_address(c, other, 0), ZERO, ZERO, IMM(2), ZERO);
        Operand other_index = op_mem(DT_F32, core_address(c, other, 4), ZERO, ZERO, IMM(2), ZERO);
        Operand received = op_mem(DT_F32, core_address(c, other, 0), ZERO, ZERO, IMM(2), ONE);
        core_op(c, OPCODE_COPY, message, received, op_wire(DT_F32, s->in, 0), op_none());
        /* Mirrored strips meet the higher lanes first. */
        core_select(c, p->kernel->mirror ? OPCODE_SELGT : OPCODE_SELGE, pairs, best_index,
                    other_value, best_value, other_index);
        core_op(c, OPCODE_MAX, pairs, best_value, best_value, other_value);
        core_end(c);
        core_loop(c, core_number(c, !s->last));
        core_op(c, OPCODE_COPY, message, op_wire(DT_F32, s->out, 0), whole, op_none());
        core_end(c);
    }
    open_if(c, s, s->last);
    for (uint32_t i = 0; i < p->n_out; i++)
        core_op(c, OPCODE_COPY, pairs, op_wire(DT_I32, out[i], 0), best_index, op_none());
    close_if(c, s);
}

void build_reduce(const Part *p, Core *c, uint32_t cx, uint32_t cy)
{
    const Protocol *in = &p->in[0];
    const Node *n = p->kernel->anchor;
    bool argmax = n->op == OP_ARGMAX, maximum = n->op == OP_REDUCE_MAX;
    uint32_t most = positions_of(in);
    uint32_t n_c = lane_size(in->features, p->shape.lanes_in, part_lane_in(p, cx, cy));
    uint32_t x =
        core_wire(c, WIRE_INPUT, 0, true, words_of(in->dtype, (uint64_t)most * n_c), p->slots[0]);
    Strip s = start_strip(c, p, cy, argmax ? 2 * most : most);
    uint32_t out[KERNEL_MAX_OUTPUTS];
    for (uint32_t i = 0; i < p->n_out; i++)
        out[i] = core_wire(c, WIRE_OUTPUT, i, s.last, words_of(p->result.dtype, most), 0);

    core_loop(c, core_number(c, in->rows));
    uint32_t depth = 0;
    if (in->segs > 1)
        depth = core_loop(c, core_number(c, in->segs));
    Scalar px;
    if (in->cols % in->segs == 0) {
        px = core_number(c, in->cols / in->segs);
    } else {
        int64_t *size = arena_array(c->temp, int64_t, in->segs);
        for (uint32_t i = 0; i < in->segs; i++)
            size[i] = block_size(in->cols, in->segs, i);
        px = core_table(c, size, in->segs, depth);
    }
    if (argmax) {
        build_argmax(p, c, &s, x, n_c, px, out);
    } else {
        Opcode code = maximum ? OPCODE_MAX : OPCODE_ADD;
        uint32_t buffer = core_buffer(c, "partial results", SEGMENT_BUFFER, 4ull * most, 4);
        Operand acc = op_mem(DT_F32, core_address(c, buffer, 0), ZERO, ZERO, ONE, ZERO);
        Dims one = D2(px, ONE);
        core_op(c, OPCODE_COPY, one, acc, op_value(maximum ? f32_from_bits(0xff800000u) : 0.0f),
                op_none());
        core_op(c, code, D2(px, core_number(c, n_c)), acc, acc, op_wire(in->dtype, x, 0));
        if (s.chained) {
            core_loop(c, core_number(c, s.first));
            core_op(c, OPCODE_COPY, one, op_wire(DT_F32, s.out, 0), acc, op_none());
            core_end(c);
            core_loop(c, core_number(c, !s.first && !s.last));
            core_op(c, code, one, op_wire(DT_F32, s.out, 0), op_wire(DT_F32, s.in, 0), acc);
            core_end(c);
        }
        open_if(c, &s, s.last);
        if (s.chained)
            core_op(c, code, one, acc, op_wire(DT_F32, s.in, 0), acc);
        if (n->op == OP_MEAN)
            core_op(c, OPCODE_MUL, one, acc, acc, op_value((float)(1.0 / in->features)));
        for (uint32_t i = 0; i < p->n_out; i++)
            core_op(c, OPCODE_COPY, one, op_wire(p->result.dtype, out[i], 0), acc, op_none());
        close_if(c, &s);
    }
    if (in->segs > 1)
        core_end(c);
    core_end(c);
}
