// SPDX-License-Identifier: Apache-2.0
// tests/format/test_cost.c - the cost tables, by hand.
#include <stdlib.h>

#include "tests/common/random_program.h"
#include "tests/common/suite.h"
#include "tests/format/harness.h"

static const uint32_t none[PROGRAM_DEPTH];

typedef struct Case {
    const char *op;
    uint32_t setup, duration;
} Case;

// Banks of 2 bytes: operands 8 bytes apart start in the same half, 4 bytes apart do not.
static const Case cases[] = {
    // set-up + elements; twice that with a bank conflict
    {"mul [1, 1, 1, 1024] f32 m[0 : 0 0 0 1] <- f32 m[8192 : 0 0 0 1], f32 m[16388 : 0 0 0 1]", 6,
     1024},
    {"mul [1, 1, 1, 1024] f32 m[0 : 0 0 0 1] <- f32 m[8192 : 0 0 0 1], f32 m[16384 : 0 0 0 1]", 6,
     2048},
    {"mul [1, 1, 1, 1024] f32 m[0 : 0 0 0 1] <- f32 m[8192 : 0 0 0 1], f32 m[16392 : 0 0 0 1]", 6,
     2048},
    {"mul [1, 1, 1, 1024] f16 m[0 : 0 0 0 1] <- f16 m[8192 : 0 0 0 1], f16 m[16386 : 0 0 0 1]", 6,
     512},
    // no conflict: one source does not move, is a constant or a message; the destination
    {"mul [1, 1, 1, 64] f32 m[0 : 0 0 0 1] <- f32 m[8192 : 0 0 0 1], f32 m[16384 : 0 0 0 0]", 6,
     64},
    {"mul [1, 1, 4, 1] f32 m[0 : 0 0 1 0] <- f32 m[8192 : 0 0 1 0], f32 m[16384 : 0 0 0 9]", 6, 4},
    {"mul [1, 1, 1, 64] f32 m[0 : 0 0 0 1] <- f32 m[8192 : 0 0 0 1], 0x1p+0", 6, 64},
    {"mul [1, 1, 1, 64] f32 m[0 : 0 0 0 1] <- f32 m[8192 : 0 0 0 1], f32 c0", 6, 64},
    {"add [1, 1, 1, 64] f32 m[0 : 0 0 0 1] <- f32 m[0 : 0 0 0 1], f32 m[4100 : 0 0 0 1]", 6, 64},
    {"selgt [1, 1, 1, 64] f32 m[0 : 0 0 0 1] <- f32 m[4096 : 0 0 0 1], f32 m[8196 : 0 0 0 1], "
     "f32 m[16388 : 0 0 0 1]",
     6, 128},
    // multiply-accumulate: n / 0.48, by the sources; f16 sources 2 a cycle
    {"mac [1, 1, 1, 48] f32 m[0 : 0 0 0 1] <- f32 m[8192 : 0 0 0 1], f32 c0 held=1", 6, 100},
    {"mac [1, 1, 1, 49] f32 m[0 : 0 0 0 1] <- f32 m[8192 : 0 0 0 1], f32 c0 held=1", 6, 103},
    {"mac [1, 1, 4, 49] f32 m[0 : 0 0 0 1] <- f16 m[8192 : 0 0 49 1], f16 c0 held=1", 6, 98},
    {"mac [1, 1, 1, 48] f32 m[0 : 0 0 0 1] <- f16 m[8192 : 0 0 0 1], f32 c0 held=1", 6, 100},
    {"mac [1, 1, 1, 48] f32 m[0 : 0 0 0 1] <- f16 m[8192 : 0 0 0 1], 0x1p+0", 6, 24},
    {"mac [1, 1, 1, 48] f32 m[0 : 0 0 0 1] <- f32 m[4096 : 0 0 0 1], f32 m[8192 : 0 0 0 1]", 6,
     200},
    // the widest type counts
    {"copy [1, 1, 1, 64] f16 m[0 : 0 0 0 1] <- f16 m[4096 : 0 0 0 1]", 6, 32},
    {"copy [1, 1, 1, 64] f16 m[0 : 0 0 0 1] <- f32 m[4096 : 0 0 0 1]", 6, 64},
    {"copy [1, 1, 1, 64] f16 m[0 : 0 0 0 1] <- 0x0p+0", 6, 32},
    // stride rule; innermost dimension of more than one element
    {"copy [1, 1, 1, 64] f16 m[0 : 0 0 0 0] <- f16 m[4096 : 0 0 0 2]", 6, 32},
    {"copy [1, 1, 1, 64] f16 m[0 : 0 0 0 1] <- f16 m[4096 : 0 0 0 5]", 6, 32},
    {"copy [1, 1, 1, 64] f16 m[0 : 0 0 0 1] <- f16 m[4096 : 0 0 0 -6]", 6, 32},
    {"copy [1, 1, 1, 64] f16 m[0 : 0 0 0 1] <- f16 m[4096 : 0 0 0 -1]", 6, 32},
    {"copy [1, 1, 1, 64] f16 m[0 : 0 0 0 1] <- f16 m[4096 : 0 0 0 8]", 6, 64},
    {"copy [1, 1, 1, 64] f16 m[0 : 0 0 0 16] <- f16 m[4096 : 0 0 0 1]", 6, 64},
    {"copy [1, 1, 1, 64] f16 m[0 : 0 0 0 1] <- f16 m[4096 : 0 0 0 4]", 6, 64},
    {"copy [1, 1, 1, 64] f16 m[0 : 0 0 0 8] <- f16 m[4096 : 0 0 0 4]", 6, 64},
    {"copy [1, 1, 1, 64] f32 m[0 : 0 0 0 12] <- f32 m[4096 : 0 0 0 8]", 6, 128},
    {"copy [1, 1, 64, 1] f16 m[0 : 0 0 8 0] <- f16 m[4096 : 0 0 1 4]", 6, 64},
    {"copy [1, 1, 4, 16] f16 m[0 : 0 0 8 1] <- f16 m[4096 : 0 0 16 1]", 6, 32},
    {"copy [1, 1, 1, 1] f16 m[0 : 8 8 8 8] <- f16 m[4096 : 0 0 16 8]", 6, 1},
    // words of a message; at least 1
    {"copy [1, 1, 1, 64] f32 c2 <- f16 c0", 6, 64},
    {"copy [1, 1, 1, 63] f16 c2 <- f16 c0", 6, 32},
    {"skip [1, 1, 1, 1] <- f16 c0", 6, 1},
    {"copy [1, 1, 1, 0] f16 m[0 : 0 0 0 1] <- f16 m[4096 : 0 0 0 1]", 0, 0},
    {"copy [1, 1, d0, 5] f16 m[0 : 0 0 0 1] <- f16 m[4096 : 0 0 0 1]", 0, 0},
};

static OpTime time_of(const Machine *m, const Op *op, const int32_t *data)
{
    return op_time(m, op, data, none);
}

static void check(const Machine *m, const char *text, uint32_t at, const int32_t *data,
                  uint32_t setup, uint32_t duration)
{
    Arena a = {0};
    Class c;
    char *messages;

    if (!parse_ops(&a, text, &c, &messages)) {
        printf("\n%s", messages);
        CU_FAIL("a case does not parse");
    } else {
        OpTime t = time_of(m, &c.ops[at], data);
        if (t.setup != setup || t.duration != duration)
            printf("\n%s\nset-up %u for %u, duration %u for %u\n", text, t.setup, setup, t.duration,
                   duration);
        CU_ASSERT_EQUAL(t.setup, setup);
        CU_ASSERT_EQUAL(t.duration, duration);
    }
    free(messages);
    arena_free(&a);
}

static void test_by_hand(void)
{
    const Machine m = plain_machine();
    const int32_t data[16] = {0};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(&m, cases[i].op, 0, data, cases[i].setup, cases[i].duration);
}

static void test_fast_widths(void)
{
    Machine m = plain_machine();
    const int32_t data[16] = {0};

    for (int c = 0; c < COST_COUNT; c++)
        m.cost[c][DT_F16].width = (Fraction){7, 2};
    // 64 elements: at 3.5, at 2, at 1, at 3.5 doubled
    check(&m, "copy [1, 1, 1, 64] f16 m[0 : 0 0 0 1] <- f16 m[4096 : 0 0 0 3]", 0, data, 6, 19);
    check(&m, "copy [1, 1, 1, 64] f16 m[0 : 0 0 0 1] <- f16 m[4096 : 0 0 0 7]", 0, data, 6, 32);
    check(&m, "copy [1, 1, 1, 64] f16 m[0 : 0 0 0 9] <- f16 m[4096 : 0 0 0 1]", 0, data, 6, 32);
    check(&m, "copy [1, 1, 1, 64] f16 m[0 : 0 0 0 8] <- f16 m[4096 : 0 0 0 7]", 0, data, 6, 64);
    check(&m, "copy [1, 1, 1, 64] f16 m[0 : 0 0 0 4] <- f16 m[4096 : 0 0 0 1]", 0, data, 6, 37);
    // the words of a message limit it too
    check(&m, "copy [1, 1, 1, 64] f16 m[0 : 0 0 0 1] <- f16 c0", 0, data, 6, 32);
    // 1.94 on a conflict of f16: ceil(64 * 2/7 * 1.94)
    m.cost[COST_ADD][DT_F16].conflict = (Fraction){194, 100};
    check(&m, "add [1, 1, 1, 64] f16 m[0 : 0 0 0 1] <- f16 m[256 : 0 0 0 2], f16 m[512 : 0 0 0 2]",
          0, data, 6, 36);
}

static void test_setup(void)
{
    const Machine m = plain_machine();
    const int32_t data[16] = {0, 4};
#define IN_LOOP(address) "loop 2 { copy [1, 1, 1, 8] f32 m[" address " : 0 0 0 1] <- f32 c0 }"

    check(&m, IN_LOOP("0"), 1, data, 6, 8);
    check(&m, IN_LOOP("0 + 4*i0"), 1, data, 20, 8);
    check(&m, IN_LOOP("0 + d0*i0"), 1, data, 6, 8); // a step of 0 on this core
    check(&m, IN_LOOP("0 + d1*i0"), 1, data, 20, 8);
    check(&m, IN_LOOP("d0[i0]"), 1, data, 20, 8);
    check(&m, IN_LOOP("0 + 4*((0) % 3)"), 1, data, 6, 8);
    check(&m, IN_LOOP("0 + 4*((0 + 1*i0) % 3)"), 1, data, 20, 8);
    check(&m, IN_LOOP("0 + d0*((0 + 1*i0) % 3)"), 1, data, 6, 8);
    check(&m, IN_LOOP("0 + 4*((d0[i0]) % 3)"), 1, data, 20, 8);
    check(&m, "loop 2 { copy [1, 1, 1, 8] f32 m[0 : 0 0 0 1] <- f32 m[64 + 4*i0 : 0 0 0 1] }", 1,
          data, 20, 8);
    check(&m, "loop 2 { copy [1, 1, 1, d1[i0]] f32 m[0 : 0 0 0 1] <- f32 c0 }", 1, data, 6, 4);
}

static void test_totals(void)
{
    Arena a = {0};
    const Machine m = plain_machine();
    const int32_t data[16] = {[0] = 1000000, [1] = 3, [4] = 2, [5] = 0, [6] = 5};
    ProgramTotals t;
    Class c;
    char *messages;

    CU_ASSERT_TRUE_FATAL(
        parse_ops(&a,
                  "copy [1, 1, 1, 8] f32 m[0 : 0 0 0 1] <- f32 c0\n"
                  "loop d0 { loop d0 { add [1, 1, 1, 10] f32 c2 <- f32 c1, 0x1p+0 "
                  "} }\n"
                  "loop d1 { copy [1, 1, 1, d4[i0]] f16 m[0 + 2*i0 : 0 0 0 1] <- "
                  "f16 m[64 : 0 0 0 1] loop d4[i0] { skip [1, 1, 1, 5] <- f16 c0 } "
                  "}",
                  &c, &messages));
    free(messages);
    CU_ASSERT_TRUE(program_totals(&m, &c, data, &t));
    uint64_t square = (uint64_t)1000000 * 1000000;
    // copies of 2, 0 and 5 elements with the longer set-up; 7 skips of 3 words
    CU_ASSERT_EQUAL(t.cycles, 6 + 8 + square * (6 + 10) + (20 + 1) + (20 + 3) + 7 * (6 + 3));
    CU_ASSERT_EQUAL(t.setup, 6 + square * 6 + 40 + 7 * 6);
    CU_ASSERT_EQUAL(t.ops, 1 + square + 2 + 7);
    CU_ASSERT_EQUAL(t.landing, 4 + square * 5 + 7 * 1);
    CU_ASSERT_EQUAL(t.elements[COST_COPY], 8 + 7 + 7 * 5);
    CU_ASSERT_EQUAL(t.elements[COST_ADD], square * 10);
    CU_ASSERT_EQUAL(t.words_in[0], 8 + 7 * 3);
    CU_ASSERT_EQUAL(t.messages_in[0], 8);
    CU_ASSERT_EQUAL(t.longest[0], 8);
    CU_ASSERT_EQUAL(t.words_in[1], square * 10);
    CU_ASSERT_EQUAL(t.words_in[2], square * 10);
    CU_ASSERT_EQUAL(t.messages_in[3], 0);
    arena_free(&a);
}

// Totals equal the sum over a walk of every turn.
static void test_totals_random(void)
{
    const Machine m = plain_machine();
    Rng rng = {3};

    for (int i = 0; i < 300; i++) {
        Arena a = {0};
        RandomProgram p;
        ProgramTotals t;
        Cursor at = {0};
        uint64_t cycles = 0, setup = 0, ops = 0;
        random_class(&a, &rng, &p);
        for (; cursor_settle(&p.program, p.data, &at); at.pc++) {
            const Op *op = &p.program.ops[at.pc];
            OpTime time = op_time(&m, op, p.data, at.counter);
            cycles += time.setup + time.duration;
            setup += time.setup;
            ops += op_elements(op, p.data, at.counter) > 0;
        }
        CU_ASSERT_TRUE_FATAL(program_totals(&m, &p.program, p.data, &t));
        CU_ASSERT_EQUAL(t.cycles, cycles);
        CU_ASSERT_EQUAL(t.setup, setup);
        CU_ASSERT_EQUAL(t.ops, ops);
        for (int k = 0; k < PROGRAM_MAX_CHANNELS; k++) {
            CU_ASSERT_EQUAL(t.words_in[k], p.total_words[k]);
            CU_ASSERT_EQUAL(t.messages_in[k], p.n_messages[k]);
        }
        arena_free(&a);
    }
}

// Loops that would have to be walked for ever end in a refusal.
static void test_totals_bounded(void)
{
    const Machine m = plain_machine();
    Arena a = {0};
    int32_t *data = arena_array(&a, int32_t, PROGRAM_MAX_DATA);
    ProgramTotals t;
    Class c = class_of(&a, "class 0 \"\" data=12288 { loop d0 { loop d0 { loop d0 { loop d0 {\n"
                           "copy [1, 1, d0[i0], d0[i1]] f32 m[d0[i2] : 0 0 0 1] <- 0x1p+0\n"
                           "copy [1, 1, d0[i3], 1] f32 m[0 : 0 0 0 1] <- 0x1p+0 } } } } }");
    for (int i = 0; i < PROGRAM_MAX_DATA; i++)
        data[i] = PROGRAM_MAX_DATA;
    CU_ASSERT_FALSE(program_totals(&m, &c, data, &t));
    data[0] = 3;
    CU_ASSERT_TRUE(program_totals(&m, &c, data, &t));
    arena_free(&a);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"durations by hand", test_by_hand},
        {"fast widths", test_fast_widths},
        {"set-up", test_setup},
        {"totals", test_totals},
        {"totals of random programs", test_totals_random},
        {"totals are bounded", test_totals_bounded},
        CU_TEST_INFO_NULL,
    };
    return suite_run("cost", tests);
}
