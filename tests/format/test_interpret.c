// SPDX-License-Identifier: Apache-2.0
// tests/format/test_interpret.c - the interpreter against a naive model of the language.
//
// The model shares nothing with the interpreter: it works out every element's address from
// the definition, reads and writes bytes, converts f16 by searching a table of all of its
// values, and rounds from double arithmetic (exact or made exact by rounding to odd).
#include <math.h>
#include <stdlib.h>

#include "runtime/interpret.h"
#include "tests/common/random_program.h"
#include "tests/common/suite.h"
#include "tests/format/harness.h"

enum { NAN32 = 0x7fc00000, NAN16 = 0x7e00 };

// ---- the model ----

static double half_value(uint32_t bits)
{
    uint32_t e = bits >> 10 & 31, m = bits & 1023;
    double v = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, (int)e - 25) : ldexp(m, -24);
    return bits & 0x8000 ? -v : v;
}

// Nearest of all finite halves, ties to the even one; 65520 and more is infinite.
static uint32_t half_bits(double v)
{
    uint32_t sign = signbit(v) ? 0x8000u : 0, low = 0, high = 0x7c00;

    v = fabs(v);
    if (isnan(v))
        return NAN16;
    if (v >= 65520)
        return sign | 0x7c00;
    while (high - low > 1) {
        uint32_t mid = (low + high) / 2;
        *(half_value(mid) <= v ? &low : &high) = mid;
    }
    double above = high == 0x7c00 ? 65536 : half_value(high);
    double under = v - half_value(low), over = above - v;
    return sign | (under < over || (under == over && low % 2 == 0) ? low : high);
}

static uint32_t float_bits(double v)
{
    return isnan(v) ? NAN32 : f32_to_bits((float)v);
}

// a * b + c with the last bit of a double set if it is inexact: correct when rounded again.
static double fused(double a, double b, double c)
{
    double p = a * b, s = p + c;
    if (!isfinite(s))
        return s;
    double z = s - p, error = (p - (s - z)) + (c - z);
    uint64_t bits;
    memcpy(&bits, &s, sizeof bits);
    if (error != 0 && bits % 2 == 0)
        s = nextafter(s, error > 0 ? INFINITY : -INFINITY);
    return s;
}

typedef struct Message {
    uint32_t *words;
    uint32_t n;
} Message;

typedef struct Model {
    const Op *op;
    const int32_t *data;
    const uint32_t *counter;
    uint8_t *memory;
    Message message[1 + PROGRAM_SOURCES]; // the destination's first
} Model;

static int64_t value(const Model *m, Scalar s)
{
    return s.kind == SCALAR_IMM    ? s.value
           : s.kind == SCALAR_DATA ? m->data[s.value]
                                   : m->data[s.value + (int64_t)m->counter[s.loop]];
}

static uint8_t *element_at(const Model *m, int operand, const int64_t index[PROGRAM_DIMS])
{
    const Operand *o = operand == 0 ? &m->op->dst : &m->op->src[operand - 1];
    int64_t size = o->dtype == DT_F16 ? 2 : 4;

    if (o->kind == OPERAND_COLOR) {
        int64_t n = 0;
        for (int k = 0; k < PROGRAM_DIMS - o->held; k++)
            n = n * value(m, m->op->extent[k]) + index[k];
        return (uint8_t *)m->message[operand].words + n * size;
    }
    int64_t at = value(m, o->base);
    for (int d = 0; d < m->op->depth; d++)
        at += value(m, o->step[d]) * m->counter[d];
    if (value(m, o->ring_pitch) != 0) {
        int64_t position = value(m, o->ring_offset);
        for (int d = 0; d < m->op->depth; d++)
            position += o->ring_coef[d] * (int64_t)m->counter[d];
        at += value(m, o->ring_pitch) * (position % value(m, o->ring_modulus));
    }
    for (int k = 0; k < PROGRAM_DIMS; k++)
        at += size * value(m, o->stride[k]) * index[k];
    return m->memory + at;
}

static double read_element(const Model *m, int operand, const int64_t index[PROGRAM_DIMS])
{
    const Operand *o = operand == 0 ? &m->op->dst : &m->op->src[operand - 1];
    uint32_t bits = 0;

    if (o->kind == OPERAND_FLOAT)
        return (double)o->value;
    memcpy(&bits, element_at(m, operand, index), o->dtype == DT_F16 ? 2 : 4);
    return o->dtype == DT_F16   ? half_value(bits)
           : o->dtype == DT_F32 ? (double)f32_from_bits(bits)
                                : (double)(int32_t)bits;
}

static void model_element(const Model *m, const int64_t index[PROGRAM_DIMS])
{
    const Op *op = m->op;
    double a = read_element(m, 1, index);
    double b = opcode_info[op->code].sources > 1 ? read_element(m, 2, index) : 0;
    double r = 0;
    uint32_t bits;

    if (op->code == OPCODE_COPY && op->src[0].dtype == DT_I32 && op->dst.dtype == DT_I32) {
        memcpy(&bits, element_at(m, 1, index), 4);
        memcpy(element_at(m, 0, index), &bits, 4);
        return;
    }
    switch ((Opcode)op->code) {
    case OPCODE_COPY:
        r = a;
        break;
    case OPCODE_ADD:
        r = a + b;
        break;
    case OPCODE_SUB:
        r = a - b;
        break;
    case OPCODE_MUL:
        r = a * b;
        break;
    case OPCODE_MIN:
        r = isnan(a) || isnan(b) ? NAN : a < b || (a == b && signbit(a)) ? a : b;
        break;
    case OPCODE_MAX:
        r = isnan(a) || isnan(b) ? NAN : a > b || (a == b && !signbit(a)) ? a : b;
        break;
    case OPCODE_MAC:
        r = fused(a, b, read_element(m, 0, index));
        break;
    case OPCODE_SELGT:
        r = read_element(m, a > b ? 3 : 0, index);
        break;
    case OPCODE_SELGE:
        r = read_element(m, a >= b ? 3 : 0, index);
        break;
    case OPCODE_SKIP:
    case OPCODE_LOOP:
    case OPCODE_END:
    case OPCODE_COUNT:
        return;
    }
    bits = float_bits(r); // f32 arithmetic, then one rounding to the destination
    if (op->dst.dtype == DT_F16)
        bits = half_bits((double)f32_from_bits(bits));
    if (op->dst.dtype == DT_I32)
        bits = isnan(r)            ? 0
               : r >= 2147483648.0 ? 0x7fffffff
               : r < -2147483648.0 ? 0x80000000
                                   : (uint32_t)(int32_t)nearbyint((double)(float)r);
    memcpy(element_at(m, 0, index), &bits, op->dst.dtype == DT_F16 ? 2 : 4);
}

static void model_run(const Model *m)
{
    int64_t i[PROGRAM_DIMS], n[PROGRAM_DIMS];

    for (int k = 0; k < PROGRAM_DIMS; k++)
        n[k] = value(m, m->op->extent[k]);
    for (i[0] = 0; i[0] < n[0]; i[0]++)
        for (i[1] = 0; i[1] < n[1]; i[1]++)
            for (i[2] = 0; i[2] < n[2]; i[2]++)
                for (i[3] = 0; i[3] < n[3]; i[3]++)
                    model_element(m, i);
}

// ---- random programs ----

static bool run_both(Arena *a, Rng *rng, const RandomProgram *p, uint8_t *model_memory)
{
    Cursor at = {0};

    for (; cursor_settle(&p->program, p->data, &at); at.pc++) {
        const Op *op = &p->program.ops[at.pc];
        ArenaMark mark = arena_mark(a);
        Model m = {op, p->data, at.counter, model_memory, {{0}}};
        const uint32_t *in[PROGRAM_SOURCES] = {0};
        uint32_t in_words[PROGRAM_SOURCES] = {0};
        uint32_t out_words = (uint32_t)op_message_words(op, &op->dst, p->data, at.counter);
        uint32_t *out = arena_array(a, uint32_t, out_words);
        const char *fault;

        m.message[0] = (Message){arena_array(a, uint32_t, out_words), out_words};
        random_words(rng, out, out_words);
        for (int k = 0; k < PROGRAM_SOURCES; k++) {
            in_words[k] = (uint32_t)op_message_words(op, &op->src[k], p->data, at.counter);
            uint32_t *words = arena_array(a, uint32_t, in_words[k]);
            random_words(rng, words, in_words[k]);
            m.message[1 + k] = (Message){words, in_words[k]};
            in[k] = words;
        }
        model_run(&m);
        if (!interpret_op(op, p->data, at.counter, p->memory, RANDOM_MEMORY, in, in_words, out,
                          out_words, &fault)) {
            printf("\noperation %u: %s\n", at.pc, fault);
            return false;
        }
        if (memcmp(p->memory, model_memory, RANDOM_MEMORY) != 0 ||
            (out_words > 0 && memcmp(out, m.message[0].words, out_words * sizeof *out) != 0)) {
            printf("\noperation %u differs\n", at.pc);
            return false;
        }
        arena_rewind(a, mark);
    }
    return true;
}

static void test_random(void)
{
    Rng rng = {2024};

    for (int i = 0; i < 600; i++) {
        Arena a = {0};
        RandomProgram p;
        random_class(&a, &rng, &p);
        uint8_t *memory = arena_array(&a, uint8_t, RANDOM_MEMORY);
        memcpy(memory, p.memory, RANDOM_MEMORY);
        bool same = run_both(&a, &rng, &p, memory);
        CU_ASSERT_TRUE(same);
        if (!same) {
            Text t = {0};
            program_print(&t, &p.program, (uint32_t)i, false);
            printf("%s", t.data);
            text_free(&t);
        }
        arena_free(&a);
    }
}

// ---- single operations ----

// One element: dst <- a, b (and the old destination), all words; f16 in the lower halves.
static uint32_t one(const char *code, const char *dt, const char *at, const char *bt, uint32_t old,
                    uint32_t x, uint32_t y)
{
    Arena a = {0};
    Class c;
    char *messages;
    uint32_t memory[4] = {old, x, y, 0};
    const uint32_t counter[PROGRAM_DEPTH] = {0};
    const char *fault = "";
    char *text =
        bt == NULL
            ? arena_printf(&a, "%s [1, 1, 1, 1] %s m[0 : 0 0 0 0] <- %s m[4 : 0 0 0 0]", code, dt,
                           at)
            : arena_printf(&a,
                           "%s [1, 1, 1, 1] %s m[0 : 0 0 0 0] <- %s m[4 : 0 0 0 0], "
                           "%s m[8 : 0 0 0 0]%s",
                           code, dt, at, bt, code[0] == 's' && code[1] == 'e' ? ", 0x1.8p+0" : "");

    if (!parse_ops(&a, text, &c, &messages))
        CU_FAIL_FATAL("does not parse");
    if (!interpret_op(&c.ops[0], NULL, counter, (uint8_t *)memory, 12, NULL, NULL, NULL, 0, &fault))
        CU_FAIL("fault");
    free(messages);
    arena_free(&a);
    return memory[0];
}

static void test_special_values(void)
{
    static const struct {
        const char *code, *dst, *a, *b;
        uint32_t old, x, y, result;
    } table[] = {
        // NaN is canonical wherever it is stored
        {"copy", "f32", "f32", NULL, 0, 0x7f800001, 0, NAN32},
        {"copy", "f32", "f32", NULL, 0, 0xffc12345, 0, NAN32},
        {"copy", "f16", "f16", NULL, 0, 0x7c01, 0, NAN16},
        {"copy", "f16", "f32", NULL, 0, 0xff800001, 0, NAN16},
        {"copy", "f32", "f16", NULL, 0, 0xfe01, 0, NAN32},
        {"copy", "i32", "i32", NULL, 0, 0x7f800001, 0, 0x7f800001},
        {"add", "f32", "f32", "f32", 0, 0x7f800000, 0xff800000, NAN32},
        {"mul", "f32", "f32", "f32", 0, 0x7f800000, 0x00000000, NAN32},
        {"mac", "f32", "f32", "f32", 0xffffffff, 0x3f800000, 0x3f800000, NAN32},
        {"selgt", "f32", "f32", "f32", 0xffffffff, 0, 0x3f800000, NAN32},
        // order of zeros, NaN propagates
        {"max", "f32", "f32", "f32", 0, 0x80000000, 0x00000000, 0x00000000},
        {"max", "f32", "f32", "f32", 0, 0x00000000, 0x80000000, 0x00000000},
        {"min", "f32", "f32", "f32", 0, 0x00000000, 0x80000000, 0x80000000},
        {"max", "f32", "f32", "f32", 0, 0xff800000, 0x7fc00001, NAN32},
        {"min", "f32", "f32", "f32", 0, 0x7fc00001, 0x3f800000, NAN32},
        // comparisons: 1.5 if taken, the old value if not; never with NaN
        {"selgt", "f32", "f32", "f32", 7, 0x3f800000, 0x3f800000, 7},
        {"selge", "f32", "f32", "f32", 7, 0x3f800000, 0x3f800000, 0x3fc00000},
        {"selge", "f32", "f32", "f32", 7, 0x80000000, 0x00000000, 0x3fc00000},
        {"selge", "f32", "f32", "f32", 7, NAN32, NAN32, 7},
        {"selgt", "f16", "f16", "f16", 7, 0x0002, 0x0001, 0x3e00},
        // one rounding of a multiply-accumulate: (1+e)^2 - (1+2e) = e^2; and of f16
        {"mac", "f32", "f32", "f32", 0xbf800002, 0x3f800001, 0x3f800001, 0x28800000},
        {"mac", "f32", "f16", "f16", 0x00000000, 0x3c01, 0x3c01, 0x3f804008},
        {"mac", "f32", "f16", "f32", 0x3f800000, 0x8001, 0x4b800000, 0x00000000},
        // subnormals stay
        {"mul", "f32", "f32", "f32", 0, 0x00800000, 0x3f000000, 0x00400000},
        {"mul", "f16", "f16", "f16", 0, 0x0400, 0x3800, 0x0200},
        {"add", "f32", "f32", "f32", 0, 0x00000001, 0x00000001, 0x00000002},
        // ties to even, overflow, underflow
        {"copy", "f16", "f32", NULL, 0, 0x3f801000, 0, 0x3c00},
        {"copy", "f16", "f32", NULL, 0, 0x3f803000, 0, 0x3c02},
        {"copy", "f16", "f32", NULL, 0, 0x477fefff, 0, 0x7bff},
        {"copy", "f16", "f32", NULL, 0, 0x477ff000, 0, 0x7c00},
        {"copy", "f16", "f32", NULL, 0, 0xb3000000, 0, 0x8000},
        {"copy", "f16", "f32", NULL, 0, 0x33000001, 0, 0x0001},
        {"add", "f32", "f32", "f32", 0, 0x7f7fffff, 0x7f7fffff, 0x7f800000},
        {"add", "f16", "f16", "f16", 0, 0x7bff, 0x4c00, 0x7c00},
        {"sub", "f32", "f32", "f32", 0, 0x3f800000, 0x3f800000, 0x00000000},
        // integers
        {"copy", "f32", "i32", NULL, 0, 0x01000001, 0, 0x4b800000},
        {"copy", "f32", "i32", NULL, 0, 0x80000000, 0, 0xcf000000},
        {"copy", "i32", "f32", NULL, 0, 0x40200000, 0, 2},
        {"copy", "i32", "f32", NULL, 0, 0xc0600000, 0, 0xfffffffc},
        {"copy", "i32", "f32", NULL, 0, 0x4f000000, 0, 0x7fffffff},
        {"copy", "i32", "f32", NULL, 0, 0xff800000, 0, 0x80000000},
        {"copy", "i32", "f32", NULL, 5, 0x7fc00000, 0, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint32_t r = one(table[i].code, table[i].dst, table[i].a, table[i].b, table[i].old,
                         table[i].x, table[i].y);
        if (r != table[i].result)
            printf("\n%zu: %s %08x %08x: %08x for %08x\n", i, table[i].code, table[i].x, table[i].y,
                   r, table[i].result);
        CU_ASSERT_EQUAL(r, table[i].result);
    }
}

typedef struct Bench { // one operation and all it needs
    Arena arena;
    Class c;
    int32_t data[16];
    uint32_t memory[64];
    uint32_t in[16], out[16];
    const char *fault;
} Bench;

static void set_up(Bench *b, const char *text)
{
    char *messages;

    *b = (Bench){.fault = ""};
    if (!parse_ops(&b->arena, text, &b->c, &messages)) {
        printf("\n%s", messages);
        CU_FAIL_FATAL("does not parse");
    }
    free(messages);
    for (uint32_t i = 0; i < 16; i++) {
        b->in[i] = f32_to_bits((float)(i + 1));
        b->out[i] = 0xdeadbeef;
    }
}

static bool run_bench(Bench *b, uint32_t in_words, uint32_t out_words)
{
    const uint32_t *in[PROGRAM_SOURCES] = {b->in, b->in, b->in};
    uint32_t words[PROGRAM_SOURCES] = {in_words, in_words, in_words};
    const uint32_t counter[PROGRAM_DEPTH] = {0};

    return interpret_op(&b->c.ops[0], b->data, counter, (uint8_t *)b->memory, sizeof b->memory, in,
                        words, b->out, out_words, &b->fault);
}

static void test_messages(void)
{
    Bench b;

    // held over the inner dimension: 1 1 1 2 2 2
    set_up(&b, "copy [1, 1, 2, 3] f32 m[0 : 0 0 3 1] <- f32 c0 held=1");
    CU_ASSERT_TRUE(run_bench(&b, 2, 0));
    for (uint32_t i = 0; i < 6; i++)
        CU_ASSERT_EQUAL(b.memory[i], f32_to_bits((float)(1 + i / 3)));
    arena_free(&b.arena);
    // the last word of an odd f16 message has zero above
    set_up(&b, "copy [1, 1, 1, 3] f16 c2 <- 0x1p+0");
    CU_ASSERT_TRUE(run_bench(&b, 0, 2));
    CU_ASSERT_EQUAL(b.out[0], 0x3c003c00);
    CU_ASSERT_EQUAL(b.out[1], 0x00003c00);
    CU_ASSERT_EQUAL(b.out[2], 0xdeadbeef);
    arena_free(&b.arena);
    // a running sum in place: every element meets the sum so far
    set_up(&b, "add [1, 1, 1, 4] f32 m[0 : 0 0 0 0] <- f32 m[0 : 0 0 0 0], f32 c0");
    CU_ASSERT_TRUE(run_bench(&b, 4, 0));
    CU_ASSERT_EQUAL(b.memory[0], f32_to_bits(10));
    arena_free(&b.arena);
    // order: a destination whose elements meet again keeps the last
    set_up(&b, "copy [1, 1, 2, 4] f32 m[0 : 0 0 2 1] <- f32 c0");
    CU_ASSERT_TRUE(run_bench(&b, 8, 0));
    CU_ASSERT_EQUAL(b.memory[2], f32_to_bits(5));
    arena_free(&b.arena);
    // skipped: nothing happens
    set_up(&b, "skip [1, 1, 1, 16] <- f32 c0");
    CU_ASSERT_TRUE(run_bench(&b, 16, 0));
    CU_ASSERT_EQUAL(b.memory[0], 0);
    arena_free(&b.arena);
}

static void test_faults(void)
{
    static const struct {
        const char *op, *fault;
        int32_t data[3];
    } table[] = {
        {"copy [1, 1, 1, d1] f32 m[d0 : 0 0 0 1] <- 0x1p+0", NULL, {252, 1, 0}},
        {"copy [1, 1, 1, d1] f32 m[d0 : 0 0 0 1] <- 0x1p+0", "beyond the memory", {256, 1, 0}},
        {"copy [1, 1, 1, d1] f32 m[d0 : 0 0 0 1] <- 0x1p+0", "beyond the memory", {252, 2, 0}},
        {"copy [1, 1, 1, d1] f32 m[d0 : 0 0 0 1] <- 0x1p+0", "beyond the memory", {-4, 1, 0}},
        {"copy [1, 1, 1, d1] f32 m[d0 : 0 0 0 1] <- 0x1p+0", NULL, {-4, 0, 0}},
        {"copy [1, 1, 1, d1] f32 m[d0 : 0 0 0 1] <- 0x1p+0", NULL, {4096, -3, 0}},
        {"copy [1, 1, 1, d1] f32 m[d0 : 0 0 0 1] <- 0x1p+0", "no multiple", {2, 1, 0}},
        {"copy [1, 1, 1, d1] f16 m[d0 : 0 0 0 1] <- 0x1p+0", "no multiple", {3, 1, 0}},
        {"copy [1, 1, 1, d1] f16 m[d0 : 0 0 0 1] <- 0x1p+0", NULL, {254, 1, 0}},
        {"copy [1, 1, 1, d1] f32 m[d0 : 0 0 0 -1] <- 0x1p+0", NULL, {8, 3, 0}},
        {"copy [1, 1, 1, d1] f32 m[d0 : 0 0 0 -1] <- 0x1p+0", "beyond the memory", {8, 4, 0}},
        {"copy [1, 1, 1, 2] f32 m[0 : 0 0 0 1] <- f32 m[d0 : 0 0 0 d1]", NULL, {128, 31, 0}},
        {"copy [1, 1, 1, 2] f32 m[0 : 0 0 0 1] <- f32 m[d0 : 0 0 0 d1]",
         "beyond the memory",
         {128, 32, 0}},
        {"copy [1, 1, 1, 2] f32 m[0 : 0 0 0 1] <- f32 m[d0 : 0 0 0 d1]",
         "beyond the memory",
         {128, INT32_MIN, 0}},
        {"copy [1, 1, d1, d1] f32 m[0 : 0 0 0 0] <- f32 m[d0 : 0 0 0 0]",
         "more than 2^32",
         {128, 65536, 0}},
        {"copy [d1, d1, d1, d1] f32 m[0 : 0 0 0 0] <- 0x1p+0",
         "more than 2^32",
         {128, INT32_MAX, 0}},
        {"copy [1, 1, 1, 1] f32 m[0 + 4*((d0) % d1) : 0 0 0 1] <- 0x1p+0", NULL, {5, 3, 0}},
        {"copy [1, 1, 1, 1] f32 m[0 + 4*((d0) % d1) : 0 0 0 1] <- 0x1p+0",
         "beyond the memory",
         {5, 0, 0}},
        {"copy [1, 1, 1, 1] f32 m[0 + 4*((d0) % d1) : 0 0 0 1] <- 0x1p+0",
         "beyond the memory",
         {-1, 3, 0}},
        {"copy [1, 1, 1, d0] f32 m[0 : 0 0 0 1] <- f32 c0", NULL, {8, 0, 0}},
        {"copy [1, 1, 1, d0] f32 m[0 : 0 0 0 1] <- f32 c0", "a message is too short", {9, 0, 0}},
        {"copy [1, 1, 1, d0] f32 m[0 : 0 0 0 1] <- f16 c0", NULL, {16, 0, 0}},
        {"copy [1, 1, 1, d0] f32 m[0 : 0 0 0 1] <- f16 c0", "a message is too short", {17, 0, 0}},
        {"copy [1, 1, 1, d0] f32 m[0 : 0 0 0 1] <- f32 c0", "without elements", {0, 0, 0}},
        {"copy [1, 1, d0, 4] f32 m[0 : 0 0 0 1] <- f32 c0 held=4", "without elements", {0, 0, 0}},
        {"skip [1, 1, 1, d0] <- f32 c0", "a message is too short", {9, 0, 0}},
        {"copy [1, 1, 1, d0] f32 c2 <- 0x1p+0", NULL, {4, 0, 0}},
        {"copy [1, 1, 1, d0] f32 c2 <- 0x1p+0", "a message has no room", {5, 0, 0}},
        {"copy [1, 1, 1, d0] f16 c2 <- 0x1p+0", "a message has no room", {9, 0, 0}},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        static const uint32_t zeros[64];
        Bench b;
        set_up(&b, table[i].op);
        memcpy(b.data, table[i].data, sizeof table[i].data);
        bool good = run_bench(&b, 8, 4);
        if (good != (table[i].fault == NULL) || (!good && !strstr(b.fault, table[i].fault)))
            printf("\n%zu %s: %s\n", i, table[i].op, b.fault);
        CU_ASSERT_EQUAL(good, table[i].fault == NULL);
        if (!good && table[i].fault != NULL) {
            CU_ASSERT_PTR_NOT_NULL(strstr(b.fault, table[i].fault));
            CU_ASSERT_EQUAL(memcmp(b.memory, zeros, sizeof zeros), 0);
            CU_ASSERT_EQUAL(b.out[0], 0xdeadbeef);
        }
        arena_free(&b.arena);
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"random programs against the model", test_random},
        {"special values", test_special_values},
        {"messages and order", test_messages},
        {"faults", test_faults},
        CU_TEST_INFO_NULL,
    };
    return suite_run("interpret", tests);
}
