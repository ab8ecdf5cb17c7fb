// SPDX-License-Identifier: Apache-2.0
// runtime/format/program_cost.c - what an operation costs, and a whole iteration.
//
// Set-up = machine.setup, plus machine.setup_loop if the address of a memory operand changes
// with a loop: a step that is not 0 on this core, a ring coefficient, or a table in the
// address.
//
// Duration d = ceil(elements / width * factors), at least 1, and never less than the words
// of a message received or sent. Width and bank factor are those of the operation's cost
// class and of its widest operand (f32 before i32 before f16; constants do not count); a
// multiply-accumulate goes by its sources, since its sum is f32 always. Factors:
//
//   Stride rule. The innermost dimension of more than one element counts. For a memory
//   operand's stride s in elements there (16-bit words; wider elements are counted alike):
//     s is 0 or 1, or |s| % 8 in {2, 3, 5, 6}   full width
//     |s| % 8 in {1, 7}                         width at most 2
//     |s| % 8 == 0                              width at most 1
//     |s| % 8 == 4                              duration doubled
//   Every memory operand is looked at, the destination too; the slowest decides.
//
//   Bank rule. If two memory sources both move (a stride other than 0 in a dimension of more
//   than one element) and the banks they start in, base / bank_bytes % banks, are equal
//   modulo 4, the duration is multiplied by `conflict`. The destination does not count, nor
//   do the steps and ring terms of the address: so a time depends on a loop's counter
//   through tables only.
//
// Exact rational arithmetic on 128 bits; times stop at 2^32 - 1. program_totals() walks a
// loop's body once if no table in it is picked by that loop, else once for each turn.
#include "runtime/format/program.h"

__extension__ typedef unsigned __int128 U128;

static DType widest(const Op *op)
{
    bool f32 = false, i32 = false;
    for (int k = op->code == OPCODE_MAC ? 0 : -1; k < PROGRAM_SOURCES; k++) {
        const Operand *o = k < 0 ? &op->dst : &op->src[k];
        if (o->kind != OPERAND_MEM && o->kind != OPERAND_COLOR)
            continue;
        f32 = f32 || o->dtype == DT_F32;
        i32 = i32 || o->dtype == DT_I32;
    }
    return f32 ? DT_F32 : i32 ? DT_I32 : DT_F16;
}

static bool address_loops(const Op *op, const Operand *o, const int32_t *data,
                          const uint32_t *counter)
{
    bool ring = scalar_value(o->ring_pitch, data, counter) != 0;

    if (o->base.kind == SCALAR_TABLE || o->ring_pitch.kind == SCALAR_TABLE)
        return true;
    if (ring && (o->ring_offset.kind == SCALAR_TABLE || o->ring_modulus.kind == SCALAR_TABLE))
        return true;
    for (uint32_t d = 0; d < op->depth; d++) {
        if (o->step[d].kind == SCALAR_TABLE || scalar_value(o->step[d], data, counter) != 0 ||
            (ring && o->ring_coef[d] != 0))
            return true;
    }
    return false;
}

static bool moves(const Op *op, const Operand *o, const int32_t *data, const uint32_t *counter)
{
    for (int k = 0; k < PROGRAM_DIMS; k++) {
        if (scalar_value(op->extent[k], data, counter) > 1 &&
            scalar_value(o->stride[k], data, counter) != 0)
            return true;
    }
    return false;
}

static bool banks_conflict(const Machine *m, const Op *op, const int32_t *data,
                           const uint32_t *counter)
{
    uint32_t half[PROGRAM_SOURCES];
    int n = 0;

    for (int k = 0; k < PROGRAM_SOURCES; k++) {
        const Operand *o = &op->src[k];
        if (o->kind != OPERAND_MEM || !moves(op, o, data, counter))
            continue;
        half[n] = (uint32_t)scalar_value(o->base, data, counter) / m->bank_bytes % m->banks % 4;
        for (int i = 0; i < n; i++) {
            if (half[i] == half[n])
                return true;
        }
        n++;
    }
    return false;
}

// Cycles of `elements` at a width, limited and doubled as the stride of one operand wants.
static U128 stride_cycles(Fraction width, uint64_t factor, uint64_t scale, int32_t stride,
                          uint64_t elements)
{
    uint64_t num = width.num, den = width.den, limit = 0;
    uint32_t s = stride < 0 ? 0u - (uint32_t)stride : (uint32_t)stride;

    if (stride != 0 && stride != 1) {
        if (s % 8 == 1 || s % 8 == 7)
            limit = 2;
        else if (s % 8 == 0)
            limit = 1;
        else if (s % 8 == 4)
            factor *= 2;
    }
    if (limit != 0 && num > limit * den) {
        num = limit;
        den = 1;
    }
    U128 top = (U128)elements * den * factor, bottom = (U128)num * scale;
    return top / bottom + (top % bottom != 0);
}

OpTime op_time(const Machine *m, const Op *op, const int32_t *data, const uint32_t *counter)
{
    const OpCost *cost = &m->cost[opcode_info[op->code].cost][widest(op)];
    uint64_t n = op_elements(op, data, counter);
    uint64_t factor = 1, scale = 1;
    OpTime time = {m->setup, 1};

    if (n == 0)
        return (OpTime){0, 0};
    if (n > (uint64_t)1 << 48) // far beyond the largest time; keeps the products in 128 bits
        n = (uint64_t)1 << 48;
    if (banks_conflict(m, op, data, counter)) {
        factor = cost->conflict.num;
        scale = cost->conflict.den;
    }
    int inner = PROGRAM_DIMS - 1;
    while (inner > 0 && scalar_value(op->extent[inner], data, counter) == 1)
        inner--;

    U128 cycles = stride_cycles(cost->width, factor, scale, 1, n);
    for (int k = -1; k < PROGRAM_SOURCES; k++) {
        const Operand *o = k < 0 ? &op->dst : &op->src[k];
        U128 least = op_message_words(op, o, data, counter);
        if (o->kind == OPERAND_MEM) {
            int32_t stride = scalar_value(op->extent[inner], data, counter) > 1
                                 ? scalar_value(o->stride[inner], data, counter)
                                 : 1;
            least = stride_cycles(cost->width, factor, scale, stride, n);
            if (time.setup == m->setup && address_loops(op, o, data, counter))
                time.setup += m->setup_loop;
        }
        if (cycles < least)
            cycles = least;
    }
    time.duration = cycles > UINT32_MAX ? UINT32_MAX : (uint32_t)cycles;
    return time;
}

// ---- totals ----

enum { MAX_STEPS = 1 << 22 };

typedef struct Walk {
    const Machine *m;
    const Class *c;
    const int32_t *data;
    ProgramTotals *totals;
    bool varies[PROGRAM_MAX_OPS]; // of a LOOP: a table below is picked by its counter
    uint32_t counter[PROGRAM_DEPTH];
    uint32_t steps;
} Walk;

static void mark(Walk *w, const uint32_t *open, Scalar s)
{
    if (s.kind == SCALAR_TABLE)
        w->varies[open[s.loop]] = true;
}

static void mark_varying(Walk *w)
{
    uint32_t open[PROGRAM_DEPTH] = {0};

    for (uint32_t i = 0; i < w->c->n_ops; i++) {
        const Op *op = &w->c->ops[i];
        if (op->code == OPCODE_LOOP) {
            open[op->depth] = i;
            mark(w, open, op->count);
            continue;
        }
        if (op->code == OPCODE_END)
            continue;
        for (int k = 0; k < PROGRAM_DIMS; k++)
            mark(w, open, op->extent[k]);
        for (int s = -1; s < PROGRAM_SOURCES; s++) {
            const Operand *o = s < 0 ? &op->dst : &op->src[s];
            if (o->kind != OPERAND_MEM)
                continue;
            mark(w, open, o->base);
            for (int k = 0; k < PROGRAM_DIMS; k++)
                mark(w, open, o->stride[k]);
        }
    }
}

// *sum += n * times
static bool add(uint64_t *sum, uint64_t n, uint64_t times)
{
    return !__builtin_mul_overflow(n, times, &n) && !__builtin_add_overflow(*sum, n, sum);
}

static bool add_op(Walk *w, const Op *op, uint64_t times)
{
    ProgramTotals *t = w->totals;
    uint64_t n = op_elements(op, w->data, w->counter);
    OpTime time = op_time(w->m, op, w->data, w->counter);

    if (n == 0)
        return true;
    if (!add(&t->cycles, (uint64_t)time.setup + time.duration, times) ||
        !add(&t->setup, time.setup, times) || !add(&t->ops, 1, times) ||
        !add(&t->elements[opcode_info[op->code].cost], n, times))
        return false;
    for (int k = -1; k < PROGRAM_SOURCES; k++) {
        const Operand *o = k < 0 ? &op->dst : &op->src[k];
        if (o->kind != OPERAND_COLOR)
            continue;
        uint64_t words = op_message_words(op, o, w->data, w->counter);
        if (words > UINT32_MAX || !add(&t->words_in[o->channel], words, times) ||
            !add(&t->messages_in[o->channel], 1, times))
            return false;
        if (k >= 0 && !add(&t->landing, words * w->m->landing.den / w->m->landing.num, times))
            return false;
        if (t->longest[o->channel] < words)
            t->longest[o->channel] = (uint32_t)words;
    }
    return true;
}

static bool add_range(Walk *w, uint32_t begin, uint32_t end, uint64_t times)
{
    for (uint32_t i = begin; i < end; i++) {
        const Op *op = &w->c->ops[i];
        if (w->steps++ == MAX_STEPS)
            return false;
        if (op->code != OPCODE_LOOP) {
            if (!add_op(w, op, times))
                return false;
            continue;
        }
        int32_t count = scalar_value(op->count, w->data, w->counter);
        uint64_t turns = count > 0 ? (uint64_t)count : 0, inner = times;
        uint32_t walked = (uint32_t)turns;
        if (!w->varies[i]) {
            if (__builtin_mul_overflow(times, turns, &inner))
                return false;
            walked = turns > 0;
        }
        for (uint32_t k = 0; k < walked; k++) {
            w->counter[op->depth] = k;
            if (w->steps++ == MAX_STEPS || !add_range(w, i + 1u, op->match, inner))
                return false;
        }
        w->counter[op->depth] = 0;
        i = op->match;
    }
    return true;
}

bool program_totals(const Machine *m, const Class *c, const int32_t *data, ProgramTotals *result)
{
    Walk w = {.m = m, .c = c, .data = data, .totals = result};
    const char *why;

    *result = (ProgramTotals){0};
    if (c->n_ops > PROGRAM_MAX_OPS || !program_data_fits(c, data, &why))
        return false;
    mark_varying(&w);
    return add_range(&w, 0, c->n_ops, 1);
}
