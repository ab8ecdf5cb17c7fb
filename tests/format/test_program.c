// SPDX-License-Identifier: Apache-2.0
// tests/format/test_program.c - text form, rules, addresses and walking of class texts.
#include <stdlib.h>

#include "tests/common/random_program.h"
#include "tests/common/suite.h"
#include "tests/format/harness.h"

#define D   "f32 m[0 : 0 0 0 1] <- "
#define ONE "[1, 1, 1, 4] "

static void expect_same_text(Arena *a, const char *text, const Class *c)
{
    Text again = {0};
    Class back = class_of(a, text);

    program_print(&again, &back, 3, true);
    CU_ASSERT_STRING_EQUAL(again.data, text);
    CU_ASSERT_TRUE(class_equal(&back, c));
    CU_ASSERT_EQUAL(class_hash(&back), class_hash(c));
    text_free(&again);
}

static void test_golden(void)
{
    Arena a = {0};
    Diag d;
    Bytes file;

    diag_init(&d, "test");
    CU_ASSERT_TRUE_FATAL(io_read(&d, GOLDEN_DIR "/all_forms.class", 0, &file));
    char *text = arena_strdup(&a, (const char *)file.data, file.len);
    Class c = class_of(&a, text);
    CU_ASSERT_STRING_EQUAL(c.name, "conv1 \"core\" \\ \xc3\xa9");
    CU_ASSERT_EQUAL(c.ops[1].origin, UINT32_MAX);
    expect_same_text(&a, text, &c);
    bytes_free(&file);
    diag_finish(&d);
    arena_free(&a);
}

static void test_random_round_trip(void)
{
    Rng rng = {11};

    for (int i = 0; i < 300; i++) {
        Arena a = {0};
        RandomProgram p;
        Text text = {0};
        random_class(&a, &rng, &p);
        for (uint32_t k = 0; k < p.program.n_ops; k++)
            p.program.ops[k].origin = p.program.ops[k].code == OPCODE_END ? 0 : k % 3;
        program_print(&text, &p.program, 3, true);
        expect_same_text(&a, text.data, &p.program);
        text_free(&text);
        arena_free(&a);
    }
}

static void test_equality(void)
{
    Arena a = {0};
    const char *text = "class 0 \"x\" data=4 {\n channel 0 in\n"
                       "loop d1 { mac [1, 1, 1, 8] f32 m[0 + 4*i0 : 0 0 0 1] <- "
                       "f32 m[64 : 0 0 0 1], f32 c0 }\n}";
    static const char *const others[][2] = {
        {"data=4", "data=5"},
        {"loop d1", "loop d2"},
        {"1, 8", "1, 9"},
        {"4*i0", "8*i0"},
        {"m[64", "m[68"},
        {"64 : 0 0 0 1", "64 : 0 0 0 2"},
        {"c0", "c0 held=1"},
        {"f32 c0", "f16 c0"},
        {"f32 c0", "0x1p+0"},
        {"mac", "add"},
        {"channel 0 in\n", "channel 0 in\n channel 1 in\n"},
    };
    Class x = class_of(&a, text), named = x;

    named.name = "y";
    CU_ASSERT_TRUE(class_equal(&x, &named));
    CU_ASSERT_EQUAL(class_hash(&x), class_hash(&named));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const char *at = strstr(text, others[i][0]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(at);
        Class y = class_of(&a, arena_printf(&a, "%.*s%s%s", (int)(at - text), text, others[i][1],
                                            at + strlen(others[i][0])));
        CU_ASSERT_FALSE(class_equal(&x, &y));
        CU_ASSERT_NOT_EQUAL(class_hash(&x), class_hash(&y));
    }
    arena_free(&a);
}

// Texts that are refused, with a piece of the message.
static const char *const refused[][2] = {
    // the grammar
    {"loop 2 {", "found the end of the text"},
    {"}\n}", "expected the end of the text, found '}'"},
    {"jump", "expected an operation or '}', found 'jump'"},
    {"copy [1, 1, 1] " D "f32 c0", "expected ',', found ']'"},
    {"copy " ONE D "f32 q0", "expected m[...] or a channel such as c0, found 'q0'"},
    {"copy " ONE D "f64 c0", "expected an operand"},
    {"copy " ONE D "1.5", "expected an operand"},
    {"copy " ONE D "0x1.0000001p+0", "expected an f32 constant in hexadecimal"},
    {"copy " ONE D "0x1p+200", "expected an f32 constant in hexadecimal"},
    {"copy " ONE D "0x1q", "expected an f32 constant in hexadecimal"},
    {"copy [1, 1, 1, 4294967296] " D "f32 c0", "expected a number from -2147483648"},
    {"copy [1, 1, 1, dx] " D "f32 c0", "expected a number or a data word such as d3"},
    {"copy " ONE "f32 m[0 + 4*i9 : 0 0 0 1] <- f32 c0", "expected a loop counter i0 .. i3"},
    {"copy " ONE D "f32 c0 held=5", "expected dimensions from 0 to 4"},
    {"copy " ONE "f32 m[0 : 0 0 1] <- f32 c0", "expected a number or a data word"},
    {"copy " ONE D "f32 c99", "expected m[...] or a channel"},
    // loops
    {"loop 1 { loop 1 { loop 1 { loop 1 { loop 1 {\n}}}}}", "loops nest too deep"},
    {"loop -1 {\n}", "count is -1, below 0"},
    {"loop d16 {\n}", "count: data word 16 of 16"},
    {"loop d0[i0] {\n}", "count: table of loop 0, but 0 loops are around it"},
    // numbers
    {"copy [-1, 1, 1, 4] " D "f32 c0", "extent is -1, below 0"},
    {"copy [1, 1, 1, d99] " D "f32 c0", "extent: data word 99 of 16"},
    {"copy [1, 1, 1, d0[i1]] " D "f32 c0", "extent: table of loop 1"},
    {"copy [1, 1, 1, 0] " D "f32 c0", "a message without elements"},
    {"copy " ONE "f32 m[2 : 0 0 0 1] <- f32 c0", "2 is no multiple of 4"},
    {"copy " ONE "f16 m[1 : 0 0 0 1] <- f32 c0", "1 is no multiple of 2"},
    {"copy " ONE "f32 m[-4 : 0 0 0 1] <- f32 c0", "address of destination is -4, below 0"},
    {"copy " ONE "f32 m[d16 : 0 0 0 1] <- f32 c0", "address of destination: data word 16"},
    {"copy " ONE "f32 m[0 : 0 0 0 d77] <- f32 c0", "stride of destination: data word 77"},
    {"copy " ONE "f32 m[0 + 4*i0 : 0 0 0 1] <- f32 c0", "step of loop 0, but 0 loops"},
    {"copy " ONE "f32 m[0 + 4*((0) % 0) : 0 0 0 1] <- f32 c0", "ring modulus of destination is 0"},
    {"copy " ONE "f32 m[0 + 4*((-1) % 2) : 0 0 0 1] <- f32 c0", "ring offset of destination is -1"},
    {"copy " ONE "f32 m[0 + 4*((1 + 1*i0) % 2) : 0 0 0 1] <- f32 c0", "coefficient of loop 0"},
    // channels
    {"copy " ONE D "f32 c4", "channel 4 of 4"},
    {"copy " ONE D "f32 c2", "channel 2 has the other direction"},
    {"copy " ONE "f32 c0 <- f32 m[0 : 0 0 0 1]", "channel 0 has the other direction"},
    {"copy " ONE "f32 c2 held=1 <- f32 c0", "destination: held over 1 dimensions"},
    {"add " ONE D "f32 c0, f32 c0", "channel 0 is named twice"},
    // operands of an opcode
    {"skip " ONE "<- f32 m[0 : 0 0 0 1]", "only messages are skipped"},
    {"copy " ONE "0x1p+0 <- f32 c0", "destination is a constant"},
    {"mac " ONE "f32 c2 <- f32 c0, f32 c1", "the destination is not memory"},
    {"mac " ONE "f16 m[0 : 0 0 0 1] <- f16 c0, f16 c1", "the sum is not f32"},
    {"selgt " ONE "f32 c2 <- f32 c0, f32 c1, 0x1p+0", "the destination is not memory"},
    {"selge " ONE "f32 c2 <- f32 c0, f32 c1, 0x1p+0", "the destination is not memory"},
    {"add " ONE "i32 m[0 : 0 0 0 1] <- i32 c0, i32 c1", "copied and skipped only"},
    {"copy " ONE "i32 m[0 : 0 0 0 1] <- 0x1p+0", "a constant is not copied to i32"},
    {"copy " ONE "i32 m[0 : 0 0 0 1] <- f16 c0", "i32 and f16 do not convert"},
    {"copy " ONE "f16 m[0 : 0 0 0 1] <- i32 c0", "i32 and f16 do not convert"},
    // overlap
    {"copy " ONE D "f32 m[4 : 0 0 0 1]", "the destination overlaps source 1"},
    {"copy " ONE D "f16 m[0 : 0 0 0 1]", "the destination overlaps source 1"},
    {"mac " ONE D "f32 c0, f32 m[8 : 0 0 0 -1]", "the destination overlaps source 2"},
    {"copy [1, 1, 2, 2] f32 m[0 : 0 0 2 4] <- f32 m[8 : 0 0 2 4]", "overlaps source 1"},
};

static void test_refused(void)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        Arena a = {0};
        Class c;
        char *messages;
        bool good = parse_ops(&a, refused[i][0], &c, &messages);
        if (good || strstr(messages, refused[i][1]) == NULL)
            printf("\n%s\nwanted: %s\ngot: %s\n", refused[i][0], refused[i][1], messages);
        CU_ASSERT_FALSE(good);
        CU_ASSERT_PTR_NOT_NULL(strstr(messages, refused[i][1]));
        free(messages);
        arena_free(&a);
    }
}

static void test_accepted(void)
{
    static const char *const texts[] = {
        "",
        "# nothing",
        "loop 0 {\n}",
        "copy " ONE D "f32 m[16 : 0 0 0 1]",
        "copy " ONE D "f32 m[0 : 0 0 0 1]",                           // in place
        "copy [1, 1, 2, 4] f32 m[0 : 0 0 8 2] <- f32 m[4 : 0 0 8 2]", // interleaved
        "copy [1, 1, 1, 0] " D "f32 m[4 : 0 0 0 1]",                  // no elements, no overlap
        "copy " ONE D "f32 m[d0 : 0 0 0 1]",                          // a core's data decides
        "skip " ONE "<- i32 c0",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        Arena a = {0};
        Class c;
        char *messages;
        bool good = parse_ops(&a, texts[i], &c, &messages);
        if (!good)
            printf("\n%s\n%s\n", texts[i], messages);
        CU_ASSERT_TRUE(good);
        free(messages);
        arena_free(&a);
    }
}

static void test_caret(void)
{
    Arena a = {0};
    Class c;
    char *messages;

    CU_ASSERT_FALSE(
        parse_ops(&a, "  mac [1, 1, 1, 4] f32 m[0 : 0 0 0 1] <- f32 c7, f32 c1", &c, &messages));
    CU_ASSERT_STRING_EQUAL(messages,
                           "t:6:3: error: operation 0 (mac): source 1: channel 7 of 4\n"
                           "    6 |   mac [1, 1, 1, 4] f32 m[0 : 0 0 0 1] <- f32 c7, f32 c1\n"
                           "      |   ^~~\n");
    free(messages);
    CU_ASSERT_FALSE(parse_ops(&a, "  copy [1, 1, 1, 4] f32 c2 f32 c0", &c, &messages));
    CU_ASSERT_STRING_EQUAL(messages, "t:6:28: error: expected '<-', found 'f32'\n"
                                     "    6 |   copy [1, 1, 1, 4] f32 c2 f32 c0\n"
                                     "      |                            ^~~\n");
    free(messages);
    arena_free(&a);
}

// What only a hostile file can hold: fields no text expresses.
static void test_hostile_fields(void)
{
    Arena a = {0};
    Class c;
    char *messages;
    const char *why = "";
    Op bad;

    CU_ASSERT_TRUE_FATAL(
        parse_ops(&a, "loop 2 { add " ONE D "f32 m[64 + 4*i0 + 4*((1) % 2) : 0 0 0 1], f32 c0 }",
                  &c, &messages));
    free(messages);
    const Op good = c.ops[1];
#define EXPECT(statement, text)                                                                    \
    do {                                                                                           \
        bad = good;                                                                                \
        statement;                                                                                 \
        c.ops[1] = bad;                                                                            \
        CU_ASSERT_FALSE(program_verify(&a, &c, &why));                                             \
        CU_ASSERT_PTR_NOT_NULL(strstr(why, text));                                                 \
    } while (0)
    EXPECT(bad.code = OPCODE_COUNT, "unknown operation");
    EXPECT(bad.code = 255, "unknown operation");
    EXPECT(bad.dst.kind = 9, "unknown kind of operand 9");
    EXPECT(bad.dst.kind = OPERAND_NONE, "no destination");
    EXPECT(bad.dst.dtype = DT_COUNT, "unknown element type");
    EXPECT(bad.src[1].dtype = 77, "unknown element type");
    EXPECT(bad.src[1].kind = OPERAND_NONE, "it has 2 sources");
    EXPECT(bad.src[2] = bad.src[1], "it has 2 sources");
    EXPECT(bad.src[1].held = 200, "held over 200");
    EXPECT(bad.extent[0].kind = 3, "unknown kind of number");
    EXPECT(bad.src[0].ring_coef[0] = -1, "ring coefficient -1");
    EXPECT(bad.src[0].step[3] = IMM(4), "step of loop 3");
    EXPECT(bad.src[0].base = DATA(-1), "data word -1 of 16");
    EXPECT((bad.src[1] = (Operand){.kind = OPERAND_FLOAT, .dtype = DT_F16}), "a constant is f32");
    EXPECT((bad.src[1] = (Operand){.kind = OPERAND_FLOAT, .value = f32_from_bits(0x7fc00001)}),
           "NaN that is not the canonical one");
    EXPECT((bad.code = OPCODE_SKIP, bad.src[0] = bad.src[1], bad.src[1].kind = OPERAND_NONE),
           "a destination");
    c.ops[1] = good;
    CU_ASSERT_TRUE(program_verify(&a, &c, &why));
    c.ops[0].dst = good.dst;
    CU_ASSERT_FALSE(program_verify(&a, &c, &why));
    c.ops[0].dst.kind = OPERAND_NONE;
    c.n_data = PROGRAM_MAX_DATA + 1;
    CU_ASSERT_FALSE(program_verify(&a, &c, &why));
    c.n_data = 16;
    c.n_channels = PROGRAM_MAX_CHANNELS + 1;
    CU_ASSERT_FALSE(program_verify(&a, &c, &why));
    c.ops[1].code = OPCODE_END;
    CU_ASSERT_FALSE(class_finish(&c, &why));
    c.ops[1].code = c.ops[2].code = OPCODE_LOOP;
    CU_ASSERT_FALSE(class_finish(&c, &why));
    c.n_ops = PROGRAM_MAX_OPS + 1;
    CU_ASSERT_FALSE(class_finish(&c, &why));
    arena_free(&a);
}

static void test_data_fits(void)
{
    Arena a = {0};
    char *messages;
    const char *why = "";
    Class c;
    int32_t data[16] = {[0] = 4, [10] = 1, [11] = 6, [15] = 1};

    CU_ASSERT_TRUE_FATAL(parse_ops(
        &a, "loop d0 { loop d10[i0] { copy [1, 1, 1, d9[i1]] " D "f32 m[64 : 0 0 0 1] } }", &c,
        &messages));
    free(messages);
    CU_ASSERT_TRUE(program_data_fits(&c, data, &why)); // words 9 .. 14
    data[12] = 7;                                      // 9 .. 15
    CU_ASSERT_TRUE(program_data_fits(&c, data, &why));
    data[13] = 8;
    CU_ASSERT_FALSE(program_data_fits(&c, data, &why));
    data[0] = 3; // the 8 is not picked
    CU_ASSERT_TRUE(program_data_fits(&c, data, &why));
    data[0] = 7; // table of counts ends behind the data
    CU_ASSERT_FALSE(program_data_fits(&c, data, &why));
    data[0] = INT32_MAX;
    CU_ASSERT_FALSE(program_data_fits(&c, data, &why));
    data[0] = -5;
    CU_ASSERT_TRUE(program_data_fits(&c, data, &why));
    arena_free(&a);
}

static void test_cursor(void)
{
    Arena a = {0};
    char *messages;
    Class c;
    int32_t data[16] = {2, 0, 1, 3};
    // Turns of the inner loop: d1[i0] = 0, 1, then an empty loop and one of 0 turns.
    static const uint32_t steps[][3] = {{1, 0, 0}, {1, 1, 0}, {3, 1, 0}, {10, 0, 0}};
    Cursor at = {0};
    size_t n = 0;

    CU_ASSERT_TRUE_FATAL(
        parse_ops(&a,
                  "loop d0 { skip " ONE "<- f32 c0 loop d1[i0] { skip " ONE "<- f32 c0 }\n}"
                  "loop 1000000 {\n} loop 0 { skip " ONE "<- f32 c1 } skip " ONE "<- f32 c1",
                  &c, &messages));
    free(messages);
    CU_ASSERT_EQUAL(c.ops[0].match, 5);
    CU_ASSERT_EQUAL(c.ops[4].match, 2);
    CU_ASSERT_EQUAL(c.ops[3].depth, 2);
    CU_ASSERT_EQUAL(c.ops[4].depth, 1);
    for (; cursor_settle(&c, data, &at); at.pc++, n++) {
        CU_ASSERT_TRUE_FATAL(n < 4);
        CU_ASSERT_EQUAL(at.pc, n == 3 ? c.n_ops - 1 : steps[n][0]);
        CU_ASSERT_EQUAL(at.counter[0], steps[n][1]);
        CU_ASSERT_EQUAL(at.counter[1], steps[n][2]);
    }
    CU_ASSERT_EQUAL(n, 4);
    CU_ASSERT_EQUAL(at.pc, c.n_ops);
    CU_ASSERT_EQUAL(at.limit[0], 0);
    arena_free(&a);
}

static void test_addresses(void)
{
    Arena a = {0};
    char *messages;
    Class c;
    int32_t data[16] = {100, 3, -8, 7, 5};
    const uint32_t counter[PROGRAM_DEPTH] = {3, 2};
    int64_t begin, end;

    CU_ASSERT_TRUE_FATAL(parse_ops(
        &a,
        "loop 9 { loop 9 { copy [2, 1, d1, 5] f16 m[d0 + d2*i0 + 4*i1 + 6*((d4 + 2*i0 + 1*i1) % "
        "d3) : 11 99 -4 1] <- f16 c0 held=1 } }",
        &c, &messages));
    free(messages);
    const Op *op = &c.ops[2];
    // 100 - 8*3 + 4*2 + 6*((5 + 2*3 + 2) % 7) = 84 + 36
    CU_ASSERT_EQUAL(operand_address(&op->dst, 2, data, counter), 120);
    CU_ASSERT_TRUE(operand_range(op, &op->dst, data, counter, &begin, &end));
    CU_ASSERT_EQUAL(begin, 120 - 2 * 4 * 2);
    CU_ASSERT_EQUAL(end, 120 + 2 * (11 + 4) + 2);
    CU_ASSERT_EQUAL(op_elements(op, data, counter), 30);
    CU_ASSERT_EQUAL(op_message_words(op, &op->src[0], data, counter), 3);
    CU_ASSERT_EQUAL(op_message_words(op, &op->dst, data, counter), 0);
    data[1] = 0;
    CU_ASSERT_EQUAL(op_elements(op, data, counter), 0);
    CU_ASSERT_EQUAL(op_message_words(op, &op->src[0], data, counter), 0);
    data[1] = -7;
    CU_ASSERT_EQUAL(op_elements(op, data, counter), 0);
    data[3] = 0;
    CU_ASSERT_EQUAL(operand_address(&op->dst, 2, data, counter), INT64_MIN);
    data[3] = 7;
    data[4] = -1;
    CU_ASSERT_EQUAL(operand_address(&op->dst, 2, data, counter), INT64_MIN);
    arena_free(&a);
}

static void test_extreme_numbers(void)
{
    Arena a = {0};
    char *messages;
    Class c;
    int32_t data[16] = {INT32_MAX, INT32_MIN};
    const uint32_t counter[PROGRAM_DEPTH] = {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX};
    int64_t begin, end;

    CU_ASSERT_TRUE_FATAL(parse_ops(
        &a,
        "loop d0 { loop d0 { loop d0 { loop d0 { copy [d0, d0, d0, d0] f32 m[d0 + d0*i0 + d0*i1 + "
        "d0*i2 + d0*i3 + d0*((d0 + 127*i0) % d0) : d0 d0 d0 d1] <- f32 c0 } } } }",
        &c, &messages));
    free(messages);
    const Op *op = &c.ops[4];
    CU_ASSERT_EQUAL(op_elements(op, data, counter), UINT64_MAX);
    CU_ASSERT_EQUAL(op_message_words(op, &op->src[0], data, counter), UINT64_MAX);
    CU_ASSERT_FALSE(operand_range(op, &op->dst, data, counter, &begin, &end));
    CU_ASSERT_FALSE(operands_disjoint(op, &op->dst, &op->dst, data, counter));
    const Machine m = plain_machine();
    CU_ASSERT_EQUAL(op_time(&m, op, data, counter).duration, UINT32_MAX);
    ProgramTotals totals;
    CU_ASSERT_FALSE(program_totals(&m, &c, data, &totals));
    arena_free(&a);
}

// Against marking every byte.
static void test_disjoint(void)
{
    Rng rng = {5};
    static const uint32_t none[PROGRAM_DEPTH];
    int meet = 0, apart = 0;

    for (int i = 0; i < 20000; i++) {
        Op op = {.code = OPCODE_COPY};
        Operand o[2];
        static bool touched[2][4096];
        memset(touched, 0, sizeof touched);
        for (int k = 0; k < PROGRAM_DIMS; k++)
            op.extent[k] =
                IMM((int32_t)(rng_below(&rng, 40) > 0) * (1 + (int32_t)rng_below(&rng, 3)));
        for (int j = 0; j < 2; j++) {
            o[j] = (Operand){.kind = OPERAND_MEM, .dtype = (uint8_t)rng_below(&rng, 2)};
            int32_t size = (int32_t)dtype_bytes((DType)o[j].dtype),
                    unit = 1 + (int32_t)rng_below(&rng, 4);
            o[j].base = IMM(size * (int32_t)(256 + rng_below(&rng, 64)));
            for (int k = 0; k < PROGRAM_DIMS; k++)
                o[j].stride[k] = IMM(unit * (int32_t)(rng_below(&rng, 9) - 4));
            for (int e = 0; e < 256; e++) {
                int at = 0, index[4] = {e & 3, e >> 2 & 3, e >> 4 & 3, e >> 6};
                bool in = true;
                for (int k = 0; k < PROGRAM_DIMS; k++) {
                    in = in && index[k] < op.extent[k].value;
                    at += o[j].stride[k].value * index[k];
                }
                for (int b = 0; in && b < size; b++)
                    touched[j][o[j].base.value + at * size + b] = true;
            }
        }
        bool common = false;
        for (int b = 0; b < 4096; b++)
            common = common || (touched[0][b] && touched[1][b]);
        bool disjoint = operands_disjoint(&op, &o[0], &o[1], NULL, none);
        CU_ASSERT_FALSE(disjoint && common);
        meet += common;
        apart += disjoint;
    }
    CU_ASSERT_TRUE(meet > 2000 && apart > 2000);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"golden text", test_golden},
        {"random round trip", test_random_round_trip},
        {"equality and hash", test_equality},
        {"texts refused", test_refused},
        {"texts accepted", test_accepted},
        {"caret", test_caret},
        {"hostile fields", test_hostile_fields},
        {"tables within data", test_data_fits},
        {"cursor", test_cursor},
        {"addresses", test_addresses},
        {"extreme numbers", test_extreme_numbers},
        {"disjoint operands", test_disjoint},
        CU_TEST_INFO_NULL,
    };
    return suite_run("program", tests);
}
