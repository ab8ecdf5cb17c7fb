// SPDX-License-Identifier: Apache-2.0
// tests/common/random_program.c - random legal programs.
//
// Memory is cut into slots; a destination lies in a slot of its own, so operands are
// disjoint unless they are meant to be equal or interleaved. For every address term the
// range of its values over all loop turns is known when it is made, and the base is chosen
// last so that the whole fits into the slot.
#include "tests/common/random_program.h"

#include <stdio.h>
#include <stdlib.h>

#include "ir/support/vec.h"

enum { SLOT_BYTES = 1024, SLOTS = RANDOM_MEMORY / SLOT_BYTES, MOST_TURNS = 3 };

typedef struct Range {
    int32_t low, high;
} Range;

typedef struct Generator {
    Arena *arena;
    Rng *rng;
    Class *c;
    VEC(Op) ops;
    VEC(int32_t) data;
    uint32_t depth;
    int32_t turns[PROGRAM_DEPTH]; // of the enclosing loops, at most
} Generator;

static bool chance(Generator *g, uint32_t percent)
{
    return rng_below(g->rng, 100) < percent;
}

static int32_t between(Generator *g, int32_t low, int32_t high)
{
    return low + (int32_t)rng_below(g->rng, (uint32_t)(high - low + 1));
}

// A number whose values are multiples of `unit` in [low, high] (in units); *range is what
// they really reach, in bytes or whatever they are.
static Scalar number(Generator *g, int32_t low, int32_t high, int32_t unit, Range *range)
{
    int32_t value = between(g, low, high) * unit;

    *range = (Range){value, value};
    if (chance(g, 50))
        return IMM(value);
    int32_t at = (int32_t)g->data.n;
    if (g->depth == 0 || chance(g, 60)) {
        vec_push(g->arena, &g->data, value);
        return DATA(at);
    }
    uint32_t loop = rng_below(g->rng, g->depth);
    for (int32_t k = 0; k == 0 || k < g->turns[loop]; k++) {
        value = between(g, low, high) * unit;
        range->low = k == 0 || value < range->low ? value : range->low;
        range->high = k == 0 || value > range->high ? value : range->high;
        vec_push(g->arena, &g->data, value);
    }
    return TABLE(at, (uint8_t)loop);
}

static void widen(Range *sum, Range factor, int32_t most)
{
    sum->low += factor.low < 0 ? factor.low * most : 0;
    sum->high += factor.high > 0 ? factor.high * most : 0;
}

static Operand memory_operand(Generator *g, DType type, const Range extent[PROGRAM_DIMS],
                              uint32_t slot)
{
    static const int32_t reach[] = {9, 3, 1, 0};
    const int32_t size = (int32_t)dtype_bytes(type);

    for (size_t attempt = 0;; attempt++) {
        // The last attempts take small strides only, and always fit.
        int32_t most = reach[attempt < 6 ? attempt / 2 : 3];
        int32_t steps = attempt < 6 ? 4 : 0;
        Operand o = {.kind = OPERAND_MEM, .dtype = (uint8_t)type};
        Range sum = {0, 0}, r;
        size_t mark = g->data.n;

        for (int k = PROGRAM_DIMS - 1; k >= 0; k--) {
            int32_t unit = k == PROGRAM_DIMS - 1 && chance(g, 70) ? most > 0 : 0;
            o.stride[k] = unit ? IMM(1) : number(g, chance(g, 30) ? -most : 0, most, 1, &r);
            if (unit)
                r = (Range){1, 1};
            widen(&sum, (Range){r.low * size, r.high * size}, extent[k].high - 1);
        }
        for (uint32_t d = 0; d < g->depth; d++) {
            if (!chance(g, 50))
                continue;
            o.step[d] = number(g, chance(g, 30) ? -steps : 0, 2 * steps, size, &r);
            widen(&sum, r, g->turns[d] > 0 ? g->turns[d] - 1 : 0);
        }
        if (chance(g, 30)) {
            Range modulus, offset;
            o.ring_pitch = number(g, -steps, 4 * steps, size, &r);
            o.ring_modulus = number(g, 1, 4, 1, &modulus);
            o.ring_offset = number(g, 0, 6, 1, &offset);
            for (uint32_t d = 0; d < g->depth; d++)
                o.ring_coef[d] = (int8_t)between(g, 0, 2);
            widen(&sum, r, modulus.high - 1);
        }
        // One element is left free behind, for operands that lie between the elements.
        int32_t low = (int32_t)slot * SLOT_BYTES - sum.low;
        int32_t high = (int32_t)(slot + 1) * SLOT_BYTES - 2 * size - sum.high;
        if (low <= high) {
            o.base = number(g, (low + size - 1) / size, high / size, size, &r);
            return o;
        }
        g->data.n = mark;
    }
}

static float any_float(Rng *rng)
{
    static const uint32_t special[] = {
        0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000,
        0x7fc00000, 0x00000001, 0x80000001, 0x007fffff, 0x00800000, 0x7f7fffff,
        0x33800000, 0x38800000, 0x387fc000, 0x477fe000, 0x477ff000, 0x4f000000,
    };
    if (rng_below(rng, 2) == 0)
        return (float)(rng_unit(rng) * 8 - 4);
    return f32_from_bits(special[rng_below(rng, sizeof special / sizeof special[0])]);
}

void random_words(Rng *rng, uint32_t *words, size_t n)
{
    static const uint16_t half[] = {0x0000, 0x8000, 0x3c00, 0xbc00, 0x7c00, 0xfc00, 0x7e00,
                                    0x7d01, 0xfe03, 0x0001, 0x8001, 0x03ff, 0x0400, 0x7bff};
    for (size_t i = 0; i < n; i++) {
        switch (rng_below(rng, 6)) {
        case 0:
            words[i] = (uint32_t)rng_next(rng);
            break;
        case 1: // NaN with a payload, quiet or signalling
            words[i] = 0x7f800001u | ((uint32_t)rng_next(rng) & 0x807fffffu);
            break;
        case 2:
            words[i] = half[rng_below(rng, 14)] | (uint32_t)half[rng_below(rng, 14)] << 16;
            break;
        case 3:
            words[i] = f16_from_f32((float)(rng_unit(rng) * 8 - 4)) |
                       (uint32_t)f16_from_f32((float)(rng_unit(rng) * 8 - 4)) << 16;
            break;
        default:
            words[i] = f32_to_bits(any_float(rng));
            break;
        }
    }
}

static Operand color_operand(Generator *g, DType type, uint8_t channel, bool is_dst)
{
    return (Operand){.kind = OPERAND_COLOR,
                     .dtype = (uint8_t)type,
                     .channel = channel,
                     .held = !is_dst && chance(g, 40) ? (uint8_t)between(g, 0, 4) : 0};
}

// A source, or a destination that lies between the elements of `o`: shifted by one element,
// with all strides even.
static bool shift(Operand *o)
{
    if (o->base.kind != SCALAR_IMM)
        return false;
    for (int k = 0; k < PROGRAM_DIMS; k++) {
        if (o->stride[k].kind != SCALAR_IMM || o->stride[k].value % 2 != 0)
            return false;
    }
    o->base.value += (int32_t)dtype_bytes((DType)o->dtype);
    return true;
}

static DType any_type(Generator *g)
{
    return chance(g, 50) ? DT_F32 : DT_F16;
}

static void operation(Generator *g)
{
    Op op = {.code = (uint8_t)rng_below(g->rng, OPCODE_LOOP)};
    bool selects = op.code == OPCODE_SELGT || op.code == OPCODE_SELGE;
    bool integer = op.code == OPCODE_COPY && chance(g, 30);
    bool colors = op.code == OPCODE_SKIP || chance(g, 60);
    uint32_t slot = rng_below(g->rng, SLOTS), used = 0;
    Range extent[PROGRAM_DIMS];

    int dims = between(g, 0, PROGRAM_DIMS);
    for (int k = 0; k < PROGRAM_DIMS; k++) {
        int32_t high = k + dims < PROGRAM_DIMS ? 1 : k == PROGRAM_DIMS - 1 ? 20 : 4;
        bool empty = !colors && chance(g, 5);
        op.extent[k] = number(g, empty ? 0 : 1, empty ? 1 : high, 1, &extent[k]);
    }

    if (op.code != OPCODE_SKIP) {
        DType type = op.code == OPCODE_MAC ? DT_F32
                     : integer             ? (chance(g, 50) ? DT_I32 : DT_F32)
                                           : any_type(g);
        uint8_t out = (uint8_t)(g->c->n_channels / 2 + rng_below(g->rng, 2));
        if (colors && op.code != OPCODE_MAC && !selects && chance(g, 50) && g->c->n_channels > 0)
            op.dst = color_operand(g, type, out, true);
        else
            op.dst = memory_operand(g, type, extent, slot);
    }
    for (int k = 0; k < opcode_info[op.code].sources; k++) {
        DType type =
            integer ? (op.dst.dtype == DT_I32 && chance(g, 50) ? DT_F32 : DT_I32) : any_type(g);
        uint8_t channel = (uint8_t)rng_below(g->rng, PROGRAM_MAX_CHANNELS / 4);
        bool skip = op.code == OPCODE_SKIP;
        if (skip ||
            (colors && chance(g, 50) && channel < g->c->n_channels / 2 && !(used >> channel & 1))) {
            channel = skip ? (uint8_t)rng_below(g->rng, g->c->n_channels / 2) : channel;
            used |= 1u << channel;
            op.src[k] = color_operand(g, skip && chance(g, 30) ? DT_I32 : type, channel, false);
        } else if (!integer && chance(g, 20)) {
            op.src[k] =
                (Operand){.kind = OPERAND_FLOAT, .dtype = DT_F32, .value = any_float(g->rng)};
        } else if (op.dst.kind == OPERAND_MEM && chance(g, 30)) {
            op.src[k] = op.dst;
            if (chance(g, 50) && !shift(&op.src[k]))
                op.src[k] = op.dst;
        } else {
            uint32_t other = (slot + 1 + rng_below(g->rng, SLOTS - 1)) % SLOTS;
            op.src[k] = memory_operand(g, type, extent, other);
        }
    }
    vec_push(g->arena, &g->ops, op);
}

static void block(Generator *g)
{
    for (int32_t n = between(g, 1, 3); n > 0; n--) {
        if (g->depth == PROGRAM_DEPTH || !chance(g, 35)) {
            operation(g);
            continue;
        }
        Range turns;
        Op loop = {.code = OPCODE_LOOP};
        loop.count = number(g, 0, MOST_TURNS, 1, &turns);
        vec_push(g->arena, &g->ops, loop);
        g->turns[g->depth++] = turns.high;
        if (!chance(g, 5))
            block(g);
        g->depth--;
        vec_push(g->arena, &g->ops, (Op){.code = OPCODE_END});
    }
}

static void list_messages(Arena *a, RandomProgram *p)
{
    Cursor at = {0};
    struct {
        VEC(uint32_t) words;
    } list[PROGRAM_MAX_CHANNELS] = {{{0}}};

    for (; cursor_settle(&p->program, p->data, &at); at.pc++) {
        const Op *op = &p->program.ops[at.pc];
        for (int k = -1; k < PROGRAM_SOURCES; k++) {
            const Operand *o = k < 0 ? &op->dst : &op->src[k];
            if (o->kind != OPERAND_COLOR)
                continue;
            uint32_t words = (uint32_t)op_message_words(op, o, p->data, at.counter);
            vec_push(a, &list[o->channel].words, words);
            p->total_words[o->channel] += words;
        }
    }
    for (int k = 0; k < PROGRAM_MAX_CHANNELS; k++) {
        p->words[k] = list[k].words.data;
        p->n_messages[k] = (uint32_t)list[k].words.n;
    }
}

void random_class(Arena *a, Rng *rng, RandomProgram *result)
{
    Generator g = {.arena = a, .rng = rng, .c = &result->program};
    const char *why = "";

    *result = (RandomProgram){0};
    g.c->name = "random";
    g.c->n_channels = 4; // two in, two out
    g.c->channel_is_out[2] = g.c->channel_is_out[3] = true;
    block(&g);
    block(&g);
    g.c->ops = g.ops.data;
    g.c->n_ops = (uint32_t)g.ops.n;
    g.c->n_data = (uint32_t)g.data.n;
    result->data = g.data.data;
    result->memory = arena_array(a, uint8_t, RANDOM_MEMORY);
    for (size_t i = 0; i < RANDOM_MEMORY; i += 4) {
        uint32_t word;
        random_words(rng, &word, 1);
        memcpy(result->memory + i, &word, sizeof word);
    }
    if (!class_finish(g.c, &why) || !program_verify(a, g.c, &why) ||
        !program_data_fits(g.c, result->data, &why)) {
        fprintf(stderr, "a random program is not legal: %s\n", why);
        abort();
    }
    list_messages(a, result);
}
