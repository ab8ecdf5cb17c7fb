// SPDX-License-Identifier: Apache-2.0
// runtime/format/program.c - the vector language as data: structure, rules, addresses.
//
// Everything here works on one class text and, where asked, one core's data words. Nothing
// trusts the numbers: products are taken with overflow checks or, for addresses, modulo 2^64
// (the user of an address compares it with the memory there is). Every function is linear
// in the operations it looks at, program_data_fits() also in the tables.
#include "runtime/format/program.h"

#include "ir/support/hash.h"

const OpcodeInfo opcode_info[OPCODE_COUNT] = {
#define OPCODE(id, text, sources, cost) [OPCODE_##id] = {text, sources, cost},
    OPCODE_LIST(OPCODE)
#undef OPCODE
};

// ---- structure ----

bool class_finish(Class *c, const char **why)
{
    uint32_t open[PROGRAM_DEPTH];
    uint32_t depth = 0;

    if (c->n_ops > PROGRAM_MAX_OPS) {
        *why = "more operations than a program may have";
        return false;
    }
    for (uint32_t i = 0; i < c->n_ops; i++) {
        Op *op = &c->ops[i];
        op->match = 0;
        if (op->code == OPCODE_END) {
            if (depth == 0) {
                *why = "end of a loop without its begin";
                return false;
            }
            depth--;
            op->match = (uint16_t)open[depth];
            c->ops[open[depth]].match = (uint16_t)i;
        }
        op->depth = (uint8_t)depth;
        if (op->code == OPCODE_LOOP) {
            if (depth == PROGRAM_DEPTH) {
                *why = "loops nest too deep";
                return false;
            }
            open[depth++] = i;
        }
    }
    if (depth != 0) {
        *why = "loop without its end";
        return false;
    }
    return true;
}

bool cursor_settle(const Class *c, const int32_t *data, Cursor *at)
{
    while (at->pc < c->n_ops) {
        const Op *op = &c->ops[at->pc];
        if (op->code == OPCODE_LOOP) {
            int32_t count = scalar_value(op->count, data, at->counter);
            if (count <= 0 || op->match == at->pc + 1) {
                at->pc = op->match + 1u;
                continue;
            }
            at->counter[op->depth] = 0;
            at->limit[op->depth] = (uint32_t)count;
            at->pc++;
        } else if (op->code == OPCODE_END) {
            if (at->counter[op->depth] + 1 < at->limit[op->depth]) {
                at->counter[op->depth]++;
                at->pc = op->match + 1u;
            } else {
                at->counter[op->depth] = at->limit[op->depth] = 0;
                at->pc++;
            }
        } else {
            return true;
        }
    }
    return false;
}

// ---- equality ----

// The fields of operands and operations that count, as a row of numbers: what equality and
// hash compare. Fields that a kind of operand does not use are left out.
enum { OPERAND_WORDS = 12 + 2 * PROGRAM_DEPTH + PROGRAM_DIMS };
enum { OP_WORDS = 2 + PROGRAM_DIMS + (1 + PROGRAM_SOURCES) * OPERAND_WORDS };

static uint64_t scalar_word(Scalar s)
{
    uint64_t loop = s.kind == SCALAR_TABLE ? s.loop : 0;
    return (uint64_t)s.kind << 40 | loop << 32 | (uint32_t)s.value;
}

static size_t operand_words(const Operand *o, uint64_t *w)
{
    size_t n = 0;
    w[n++] = o->kind;
    if (o->kind == OPERAND_NONE)
        return n;
    w[n++] = o->dtype;
    if (o->kind == OPERAND_COLOR) {
        w[n++] = o->channel;
        w[n++] = o->held;
    } else if (o->kind == OPERAND_FLOAT) {
        w[n++] = f32_to_bits(o->value);
    } else {
        w[n++] = scalar_word(o->base);
        for (int k = 0; k < PROGRAM_DIMS; k++)
            w[n++] = scalar_word(o->stride[k]);
        for (int d = 0; d < PROGRAM_DEPTH; d++)
            w[n++] = scalar_word(o->step[d]);
        w[n++] = scalar_word(o->ring_pitch);
        if (w[n - 1] == 0)
            return n;
        w[n++] = scalar_word(o->ring_offset);
        w[n++] = scalar_word(o->ring_modulus);
        for (int d = 0; d < PROGRAM_DEPTH; d++)
            w[n++] = (uint64_t)o->ring_coef[d];
    }
    return n;
}

static size_t op_words(const Op *op, uint64_t *w)
{
    size_t n = 0;
    w[n++] = op->code;
    if (op->code == OPCODE_END)
        return n;
    if (op->code == OPCODE_LOOP) {
        w[n++] = scalar_word(op->count);
        return n;
    }
    for (int k = 0; k < PROGRAM_DIMS; k++)
        w[n++] = scalar_word(op->extent[k]);
    n += operand_words(&op->dst, w + n);
    for (int k = 0; k < PROGRAM_SOURCES; k++)
        n += operand_words(&op->src[k], w + n);
    return n;
}

static bool words_equal(const uint64_t *x, size_t nx, const uint64_t *y, size_t ny)
{
    return nx == ny && memcmp(x, y, nx * sizeof *x) == 0;
}

bool operand_equal(const Operand *x, const Operand *y)
{
    uint64_t wx[OPERAND_WORDS], wy[OPERAND_WORDS];
    return words_equal(wx, operand_words(x, wx), wy, operand_words(y, wy));
}

bool class_equal(const Class *a, const Class *b)
{
    uint64_t wa[OP_WORDS], wb[OP_WORDS];

    if (a->n_data != b->n_data || a->n_channels != b->n_channels || a->n_ops != b->n_ops)
        return false;
    for (uint32_t i = 0; i < a->n_channels; i++) {
        if (a->channel_is_out[i] != b->channel_is_out[i])
            return false;
    }
    for (uint32_t i = 0; i < a->n_ops; i++) {
        if (!words_equal(wa, op_words(&a->ops[i], wa), wb, op_words(&b->ops[i], wb)))
            return false;
    }
    return true;
}

uint64_t class_hash(const Class *c)
{
    uint64_t w[OP_WORDS] = {c->n_data, c->n_channels, c->n_ops};
    uint64_t h = hash_bytes(0, w, 3 * sizeof *w);

    for (uint32_t i = 0; i < c->n_channels; i++) {
        w[0] = c->channel_is_out[i];
        h = hash_bytes(h, w, sizeof *w);
    }
    for (uint32_t i = 0; i < c->n_ops; i++)
        h = hash_bytes(h, w, op_words(&c->ops[i], w) * sizeof *w);
    return h;
}

// ---- addresses and counts ----

int64_t operand_address(const Operand *o, uint32_t depth, const int32_t *data,
                        const uint32_t *counter)
{
    uint64_t address = (uint64_t)(int64_t)scalar_value(o->base, data, counter);

    for (uint32_t d = 0; d < depth; d++)
        address += (uint64_t)(int64_t)scalar_value(o->step[d], data, counter) * counter[d];
    int32_t pitch = scalar_value(o->ring_pitch, data, counter);
    if (pitch != 0) {
        int64_t position = scalar_value(o->ring_offset, data, counter);
        int64_t modulus = scalar_value(o->ring_modulus, data, counter);
        if (position < 0 || modulus < 1)
            return INT64_MIN;
        for (uint32_t d = 0; d < depth; d++)
            position += (int64_t)o->ring_coef[d] * counter[d];
        address += (uint64_t)((int64_t)pitch * (position % modulus));
    }
    return (int64_t)address;
}

// Product of the first `dims` extents; 0 if any of all is below 1.
static uint64_t extents_product(const Op *op, int dims, const int32_t *data,
                                const uint32_t *counter)
{
    uint64_t n = 1;
    for (int k = 0; k < PROGRAM_DIMS; k++) {
        int32_t e = scalar_value(op->extent[k], data, counter);
        if (e <= 0)
            return 0;
        if (k < dims && __builtin_mul_overflow(n, (uint64_t)e, &n))
            n = UINT64_MAX;
    }
    return n;
}

uint64_t op_elements(const Op *op, const int32_t *data, const uint32_t *counter)
{
    return extents_product(op, PROGRAM_DIMS, data, counter);
}

uint64_t op_message_words(const Op *op, const Operand *o, const int32_t *data,
                          const uint32_t *counter)
{
    if (o->kind != OPERAND_COLOR)
        return 0;
    uint64_t n = extents_product(op, PROGRAM_DIMS - o->held, data, counter);
    return dtype_bytes((DType)o->dtype) == 2 ? n / 2 + n % 2 : n;
}

bool operand_range(const Op *op, const Operand *o, const int32_t *data, const uint32_t *counter,
                   int64_t *begin, int64_t *end)
{
    int64_t size = dtype_bytes((DType)o->dtype);
    int64_t low = operand_address(o, op->depth, data, counter);
    int64_t high;

    if (__builtin_add_overflow(low, size, &high))
        return false;
    for (int k = 0; k < PROGRAM_DIMS; k++) {
        int64_t last = (int64_t)scalar_value(op->extent[k], data, counter) - 1;
        int64_t reach;
        if (last <= 0)
            continue;
        if (__builtin_mul_overflow(size * scalar_value(o->stride[k], data, counter), last, &reach))
            return false;
        int64_t *side = reach < 0 ? &low : &high;
        if (__builtin_add_overflow(*side, reach, side))
            return false;
    }
    *begin = low;
    *end = high;
    return true;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static uint64_t strides_gcd(uint64_t g, const Op *op, const Operand *o, const int32_t *data,
                            const uint32_t *counter)
{
    for (int k = 0; k < PROGRAM_DIMS; k++) {
        int64_t stride = scalar_value(o->stride[k], data, counter);
        if (scalar_value(op->extent[k], data, counter) > 1)
            g = gcd(g, (uint64_t)(stride < 0 ? -stride : stride) * dtype_bytes((DType)o->dtype));
    }
    return g;
}

bool operands_disjoint(const Op *op, const Operand *x, const Operand *y, const int32_t *data,
                       const uint32_t *counter)
{
    int64_t xb, xe, yb, ye;

    if (op_elements(op, data, counter) == 0)
        return true;
    if (!operand_range(op, x, data, counter, &xb, &xe) ||
        !operand_range(op, y, data, counter, &yb, &ye))
        return false;
    if (xe <= yb || ye <= xb)
        return true;
    uint64_t g = strides_gcd(strides_gcd(0, op, x, data, counter), op, y, data, counter);
    if (g == 0)
        return false;
    // The ranges meet, so their begins are less than 2^63 apart in either order.
    uint64_t apart = xb > yb ? (uint64_t)xb - (uint64_t)yb : (uint64_t)yb - (uint64_t)xb;
    const Operand *first = xb > yb ? y : x, *second = xb > yb ? x : y;
    uint64_t r = apart % g;
    return r >= dtype_bytes((DType)first->dtype) && g - r >= dtype_bytes((DType)second->dtype);
}

bool program_data_fits(const Class *c, const int32_t *data, const char **why)
{
    int64_t most[PROGRAM_DEPTH] = {0}; // turns of the enclosing loops, at most
    uint32_t depth = 0;

    for (uint32_t i = 0; i < c->n_ops; i++) {
        const Op *op = &c->ops[i];
        const Scalar *list[5 + (1 + PROGRAM_SOURCES) * (4 + PROGRAM_DIMS + PROGRAM_DEPTH)];
        size_t n = 0;

        if (op->code == OPCODE_END) {
            depth--;
            continue;
        }
        if (op->code == OPCODE_LOOP) {
            list[n++] = &op->count;
        } else {
            for (int k = 0; k < PROGRAM_DIMS; k++)
                list[n++] = &op->extent[k];
            for (int s = -1; s < PROGRAM_SOURCES; s++) {
                const Operand *o = s < 0 ? &op->dst : &op->src[s];
                if (o->kind != OPERAND_MEM)
                    continue;
                list[n++] = &o->base;
                for (int k = 0; k < PROGRAM_DIMS; k++)
                    list[n++] = &o->stride[k];
                for (int d = 0; d < PROGRAM_DEPTH; d++)
                    list[n++] = &o->step[d];
                list[n++] = &o->ring_pitch;
                list[n++] = &o->ring_offset;
                list[n++] = &o->ring_modulus;
            }
        }
        for (size_t k = 0; k < n; k++) {
            if (list[k]->kind == SCALAR_TABLE && most[list[k]->loop] > 0 &&
                most[list[k]->loop] > (int64_t)c->n_data - list[k]->value) {
                *why = "a table is shorter than the count of its loop";
                return false;
            }
        }
        if (op->code == OPCODE_LOOP) {
            Scalar s = op->count;
            int64_t turns =
                s.kind == SCALAR_IMM ? s.value : data[s.kind == SCALAR_DATA ? s.value : 0];
            if (s.kind == SCALAR_TABLE) {
                turns = 0;
                for (int64_t k = 0; k < most[s.loop]; k++)
                    turns = data[s.value + k] > turns ? data[s.value + k] : turns;
            }
            most[depth++] = turns;
        }
    }
    return true;
}

// ---- rules ----

typedef struct Rules { // what the rules of one operation are checked against
    Arena *arena;
    const Class *c;
    const Op *op;
    uint32_t index;
    const char **why;
} Rules;

static const char *const operand_names[1 + PROGRAM_SOURCES] = {"destination", "source 1",
                                                               "source 2", "source 3"};

#define FAIL(r, ...) fail((r), arena_printf((r)->arena, __VA_ARGS__))

static bool fail(const Rules *r, const char *what)
{
    const char *text = r->op->code < OPCODE_COUNT ? opcode_info[r->op->code].text : "?";
    *r->why = arena_printf(r->arena, "operation %u (%s): %s", r->index, text, what);
    return false;
}

static bool scalar_ok(const Rules *r, Scalar s, const char *what)
{
    switch (s.kind) {
    case SCALAR_IMM:
        return true;
    case SCALAR_TABLE:
        if (s.loop >= r->op->depth)
            return FAIL(r, "%s: table of loop %u, but %u loops are around it", what, s.loop,
                        r->op->depth);
        break;
    case SCALAR_DATA:
        break;
    default:
        return FAIL(r, "%s: unknown kind of number %u", what, s.kind);
    }
    if (s.value < 0 || (uint32_t)s.value >= r->c->n_data)
        return FAIL(r, "%s: data word %d of %u", what, s.value, r->c->n_data);
    return true;
}

static bool count_ok(const Rules *r, Scalar s, int32_t least, const char *what)
{
    if (!scalar_ok(r, s, what))
        return false;
    if (s.kind == SCALAR_IMM && s.value < least)
        return FAIL(r, "%s is %d, below %d", what, s.value, least);
    return true;
}

static bool is_zero(Scalar s)
{
    return s.kind == SCALAR_IMM && s.value == 0;
}

static bool memory_ok(const Rules *r, const Operand *o, const char *name)
{
    const char *part = arena_printf(r->arena, "address of %s", name);

    if (!count_ok(r, o->base, 0, part))
        return false;
    if (o->base.kind == SCALAR_IMM && o->base.value % (int32_t)dtype_bytes((DType)o->dtype) != 0)
        return FAIL(r, "%s: %d is no multiple of %u", part, o->base.value,
                    dtype_bytes((DType)o->dtype));
    for (int k = 0; k < PROGRAM_DIMS; k++) {
        if (!scalar_ok(r, o->stride[k], arena_printf(r->arena, "stride of %s", name)))
            return false;
    }
    for (int d = 0; d < PROGRAM_DEPTH; d++) {
        if (!scalar_ok(r, o->step[d], part))
            return false;
        if (d >= r->op->depth && !is_zero(o->step[d]))
            return FAIL(r, "%s: step of loop %d, but %u loops are around it", part, d,
                        r->op->depth);
    }
    if (!scalar_ok(r, o->ring_pitch, part))
        return false;
    if (is_zero(o->ring_pitch))
        return true;
    if (!count_ok(r, o->ring_offset, 0, arena_printf(r->arena, "ring offset of %s", name)) ||
        !count_ok(r, o->ring_modulus, 1, arena_printf(r->arena, "ring modulus of %s", name)))
        return false;
    for (int d = 0; d < PROGRAM_DEPTH; d++) {
        if (o->ring_coef[d] < 0)
            return FAIL(r, "%s: ring coefficient %d is negative", part, o->ring_coef[d]);
        if (o->ring_coef[d] != 0 && d >= r->op->depth)
            return FAIL(r, "%s: ring coefficient of loop %d, but %u loops are around it", part, d,
                        r->op->depth);
    }
    return true;
}

static bool operand_ok(const Rules *r, const Operand *o, const char *name, bool is_dst)
{
    if (o->kind != OPERAND_NONE && o->dtype >= DT_COUNT)
        return FAIL(r, "%s: unknown element type %u", name, o->dtype);
    switch (o->kind) {
    case OPERAND_NONE:
        return true;
    case OPERAND_MEM:
        return memory_ok(r, o, name);
    case OPERAND_COLOR:
        if (o->channel >= r->c->n_channels)
            return FAIL(r, "%s: channel %u of %u", name, o->channel, r->c->n_channels);
        if (r->c->channel_is_out[o->channel] != is_dst)
            return FAIL(r, "%s: channel %u has the other direction", name, o->channel);
        if (o->held > (is_dst ? 0 : PROGRAM_DIMS))
            return FAIL(r, "%s: held over %u dimensions", name, o->held);
        return true;
    case OPERAND_FLOAT:
        if (is_dst)
            return FAIL(r, "%s is a constant", name);
        if (o->dtype != DT_F32)
            return FAIL(r, "%s: a constant is f32", name);
        if (o->value != o->value && f32_to_bits(o->value) != 0x7fc00000u)
            return FAIL(r, "%s: a NaN that is not the canonical one", name);
        return true;
    default:
        return FAIL(r, "%s: unknown kind of operand %u", name, o->kind);
    }
}

static bool has_type(const Operand *o, DType t)
{
    return o->kind != OPERAND_NONE && o->dtype == t;
}

// Which operands and element types an operation takes.
static bool shape_ok(const Rules *r)
{
    const Op *op = r->op;
    const OpcodeInfo *info = &opcode_info[op->code];
    bool control = op->code == OPCODE_LOOP || op->code == OPCODE_END;
    bool integer = has_type(&op->dst, DT_I32);

    for (int k = 0; k < PROGRAM_SOURCES; k++) {
        if ((op->src[k].kind != OPERAND_NONE) != (k < info->sources))
            return FAIL(r, "it has %u sources", info->sources);
        integer = integer || has_type(&op->src[k], DT_I32);
    }
    if ((op->dst.kind == OPERAND_NONE) != (control || op->code == OPCODE_SKIP))
        return FAIL(r, op->dst.kind == OPERAND_NONE ? "no destination" : "a destination");
    if (op->code == OPCODE_SKIP && op->src[0].kind != OPERAND_COLOR)
        return FAIL(r, "only messages are skipped");
    if ((op->code == OPCODE_MAC || op->code == OPCODE_SELGT || op->code == OPCODE_SELGE) &&
        op->dst.kind != OPERAND_MEM)
        return FAIL(r, "the destination is not memory");
    if (op->code == OPCODE_MAC && op->dst.dtype != DT_F32)
        return FAIL(r, "the sum is not f32");
    if (integer && op->code != OPCODE_SKIP) {
        if (op->code != OPCODE_COPY)
            return FAIL(r, "i32 elements are copied and skipped only");
        if (op->src[0].kind == OPERAND_FLOAT)
            return FAIL(r, "a constant is not copied to i32");
        if (has_type(&op->dst, DT_F16) || has_type(&op->src[0], DT_F16))
            return FAIL(r, "i32 and f16 do not convert");
    }
    return true;
}

// All scalars of the walk are immediates, so that its addresses follow from the text.
static bool is_fixed(const Op *op, const Operand *o)
{
    bool fixed = o->base.kind == SCALAR_IMM && is_zero(o->ring_pitch);
    for (int k = 0; k < PROGRAM_DIMS; k++)
        fixed = fixed && o->stride[k].kind == SCALAR_IMM && op->extent[k].kind == SCALAR_IMM;
    for (int d = 0; d < PROGRAM_DEPTH; d++)
        fixed = fixed && is_zero(o->step[d]);
    return fixed;
}

static bool pairs_ok(const Rules *r)
{
    const Op *op = r->op;
    static const uint32_t no_counter[PROGRAM_DEPTH];

    for (int x = -1; x < PROGRAM_SOURCES; x++) {
        const Operand *ox = x < 0 ? &op->dst : &op->src[x];
        for (int y = x + 1; y < PROGRAM_SOURCES; y++) {
            const Operand *oy = &op->src[y];
            if (ox->kind == OPERAND_COLOR && oy->kind == OPERAND_COLOR &&
                ox->channel == oy->channel)
                return FAIL(r, "channel %u is named twice", ox->channel);
            if (x < 0 && ox->kind == OPERAND_MEM && oy->kind == OPERAND_MEM &&
                !operand_equal(ox, oy) && is_fixed(op, ox) && is_fixed(op, oy) &&
                !operands_disjoint(op, ox, oy, NULL, no_counter))
                return FAIL(r, "the destination overlaps %s", operand_names[1 + y]);
        }
    }
    return true;
}

bool op_verify(Arena *a, const Class *c, uint32_t index, const char **why)
{
    const Op *op = &c->ops[index];
    Rules r = {a, c, op, index, why};
    bool empty = false, color = op->dst.kind == OPERAND_COLOR;

    if (op->code >= OPCODE_COUNT)
        return FAIL(&r, "unknown operation %u", op->code);
    if (!shape_ok(&r))
        return false;
    if (op->code == OPCODE_END)
        return true;
    if (op->code == OPCODE_LOOP)
        return count_ok(&r, op->count, 0, "count");
    for (int k = 0; k < PROGRAM_DIMS; k++) {
        if (!count_ok(&r, op->extent[k], 0, "extent"))
            return false;
        empty = empty || is_zero(op->extent[k]);
    }
    if (!operand_ok(&r, &op->dst, operand_names[0], true))
        return false;
    for (int k = 0; k < PROGRAM_SOURCES; k++) {
        if (!operand_ok(&r, &op->src[k], operand_names[1 + k], false))
            return false;
        color = color || op->src[k].kind == OPERAND_COLOR;
    }
    if (empty && color)
        return FAIL(&r, "a message without elements");
    return pairs_ok(&r);
}

bool program_verify(Arena *a, const Class *c, const char **why)
{
    if (c->n_data > PROGRAM_MAX_DATA) {
        *why = arena_printf(a, "%u data words, more than %d", c->n_data, PROGRAM_MAX_DATA);
        return false;
    }
    if (c->n_channels > PROGRAM_MAX_CHANNELS) {
        *why = arena_printf(a, "%u channels, more than %d", c->n_channels, PROGRAM_MAX_CHANNELS);
        return false;
    }
    for (uint32_t i = 0; i < c->n_ops; i++) {
        if (!op_verify(a, c, i, why))
            return false;
    }
    return true;
}
