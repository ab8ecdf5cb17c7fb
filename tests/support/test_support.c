// SPDX-License-Identifier: Apache-2.0
// The support library: conversions against a search over all values, digests against published
// vectors, diagnostics word for word, files that fail.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/support/dtype.h"
#include "ir/support/hash.h"
#include "ir/support/npy.h"
#include "ir/support/options.h"
#include "ir/support/rng.h"
#include "ir/support/samples.h"
#include "ir/support/table.h"
#include "ir/support/vec.h"
#include "tests/common/suite.h"

// The f16 nearest to v by search over all finite values: slow, obviously right.
static uint16_t nearest_f16(double v)
{
    uint16_t best = 0;
    double best_distance = INFINITY;
    for (uint32_t h = 0; h < 0x7c00; h++) {
        double distance = fabs((double)f32_from_f16((uint16_t)h) - fabs(v));
        if (distance < best_distance || (distance == best_distance && (h & 1) == 0)) {
            best = (uint16_t)h;
            best_distance = distance;
        }
    }
    if (fabs(v) >= 65520) // half a step above the largest finite value rounds up
        best = 0x7c00;
    return (uint16_t)(best | (signbit(v) ? 0x8000 : 0));
}

static void test_f16(void)
{
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = f32_from_f16((uint16_t)h);
        uint16_t expected = (h & 0x7fff) > 0x7c00 ? 0x7e00 : (uint16_t)h;
        CU_ASSERT_EQUAL(f16_from_f32(f), expected);
    }
    CU_ASSERT_EQUAL(f32_from_f16(0x3c00), 1.0f);
    CU_ASSERT_EQUAL(f32_from_f16(0x0001), 0x1p-24f);
    CU_ASSERT_EQUAL(f32_from_f16(0xfbff), -65504.0f);
    Rng r = {7};
    for (int i = 0; i < 300; i++) {
        double v = ldexp(rng_unit(&r) - 0.5, (int)rng_below(&r, 46) - 28);
        CU_ASSERT_EQUAL(f16_from_f64(v), nearest_f16(v));
    }
    // Ties: halfway between neighbours, to the even one; at subnormals, and up to infinity.
    CU_ASSERT_EQUAL(f16_from_f64(0x1p-25), 0);
    CU_ASSERT_EQUAL(f16_from_f64(0x1.8p-24), 2);
    CU_ASSERT_EQUAL(f16_from_f64(0x1.002p0), 0x3c00);
    CU_ASSERT_EQUAL(f16_from_f64(0x1.006p0), 0x3c02);
    CU_ASSERT_EQUAL(f16_from_f64(65519.999), 0x7bff);
    CU_ASSERT_EQUAL(f16_from_f64(65520), 0x7c00);
    CU_ASSERT_EQUAL(f16_from_f64(-INFINITY), 0xfc00);
    // One rounding: via f32 this would round twice, to 0x3c00.
    CU_ASSERT_EQUAL(f16_from_f64(0x1.0020000000001p0), 0x3c01);
}

static void test_i32_minmax(void)
{
    CU_ASSERT_EQUAL(i32_from_f32(2.5f), 2);
    CU_ASSERT_EQUAL(i32_from_f32(3.5f), 4);
    CU_ASSERT_EQUAL(i32_from_f32(-2.5f), -2);
    CU_ASSERT_EQUAL(i32_from_f32(-2.51f), -3);
    CU_ASSERT_EQUAL(i32_from_f32(3e9f), INT32_MAX);
    CU_ASSERT_EQUAL(i32_from_f32(-INFINITY), INT32_MIN);
    CU_ASSERT_EQUAL(i32_from_f32(NAN), 0);
    CU_ASSERT_EQUAL(f32_to_bits(f32_max(-0.0f, 0.0f)), 0);
    CU_ASSERT_EQUAL(f32_to_bits(f32_min(0.0f, -0.0f)), 0x80000000u);
    CU_ASSERT_EQUAL(f32_to_bits(f32_max(NAN, 1)), 0x7fc00000u);
    CU_ASSERT_EQUAL(f32_to_bits(f32_canonical(f32_from_bits(0xffc12345u))), 0x7fc00000u);
}

static void check_sha(const char *text, size_t repeat, const char *expected)
{
    Sha256 s;
    uint8_t digest[32];
    char hex[65];
    sha256_init(&s);
    for (size_t i = 0; i < repeat; i++)
        sha256_add(&s, text, strlen(text));
    sha256_finish(&s, digest);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    CU_ASSERT_STRING_EQUAL(hex, expected);
}

// Vectors of FIPS 180-4's examples.
static void test_sha256(void)
{
    check_sha("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_sha("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_sha("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_sha("aaaaaaaaaa", 100000,
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_arena(void)
{
    Arena a = {0};
    uint32_t *first = arena_array(&a, uint32_t, 10);
    first[9] = 5;
    ArenaMark mark = arena_mark(&a);
    char *big = arena_alloc(&a, 3 << 20, 1, 64);
    CU_ASSERT_EQUAL((uintptr_t)big % 64, 0);
    memset(big, 1, 3 << 20);
    arena_rewind(&a, mark);
    unsigned char *again = arena_alloc(&a, 4000, 1, 1);
    bool zero = true;
    for (int i = 0; i < 4000; i++)
        zero = zero && again[i] == 0;
    CU_ASSERT_TRUE(zero);
    CU_ASSERT_EQUAL(first[9], 5);
    /* Within a block, and from several back into one in which something came after the mark. */
    for (size_t many = 1; many < 100; many += 98) {
        arena_rewind(&a, mark);
        for (size_t i = 0; i < many; i++)
            memset(arena_alloc(&a, 900, 1, 1), 1, 900);
        arena_rewind(&a, mark);
        again = arena_alloc(&a, 4000, 1, 1);
        for (int i = 0; i < 4000; i++)
            zero = zero && again[i] == 0;
        CU_ASSERT_TRUE(zero);
    }
    struct {
        int *data;
        size_t n, cap;
    } v = {0};
    for (int i = 0; i < 1000; i++)
        vec_push(&a, &v, i);
    CU_ASSERT_EQUAL(v.n, 1000);
    CU_ASSERT_EQUAL(v.data[999], 999);
    arena_free(&a);
    arena_free(&a);
}

static void read_back(FILE *f, char *text, size_t size)
{
    rewind(f);
    text[fread(text, 1, size - 1, f)] = '\0';
    fclose(f);
}

static void test_diag(void)
{
    Diag d;
    char text[2048];
    diag_init(&d, "tool");
    d.out = tmpfile();
    const char *source = "a = 1\n\tx = matmul(y)\nlast";
    Span at = {diag_add_source(&d, "m.dsl", source, strlen(source)), 11, 20};
    CU_ASSERT_FALSE(diag_error(&d, at, "matmul: %d argument", 1));
    diag_note(&d, (Span){1, 21, 25}, "here");
    diag_warning(&d, (Span){0}, "general");
    CU_ASSERT_EQUAL(diag_exit_code(&d), EXIT_INPUT);
    diag_infeasible(&d, (Span){1, 25, 25}, "at the end");
    CU_ASSERT_EQUAL(diag_exit_code(&d), EXIT_INFEASIBLE);
    read_back(d.out, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "m.dsl:2:6: error: matmul: 1 argument\n"
                                 "    2 |  x = matmul(y)\n"
                                 "      |      ^~~~~~~~~\n"
                                 "m.dsl:3:1: note: here\n"
                                 "    3 | last\n"
                                 "      | ^~~~\n"
                                 "tool: warning: general\n"
                                 "m.dsl:3:5: error: at the end\n"
                                 "    3 | last\n"
                                 "      |     ^\n");
    diag_finish(&d);
}

static void test_diag_limit(void)
{
    Diag d;
    char text[4096];
    diag_init(&d, "tool");
    d.out = tmpfile();
    d.max_errors = 2;
    for (int i = 0; i < 5; i++) {
        diag_error(&d, (Span){0}, "error %d", i);
        diag_note(&d, (Span){0}, "note %d", i);
    }
    read_back(d.out, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "tool: error: error 0\ntool: note: note 0\n"
                                 "tool: error: error 1\ntool: note: note 1\n"
                                 "tool: more errors follow; only the first 2 are shown\n");
    CU_ASSERT_EQUAL(d.n_errors, 5);
    diag_finish(&d);
}

static void test_text(void)
{
    Text t = {0};
    text_json_string(&t, "a\"b\\\n\xc3\xa9\xff\xed\xa0\x80");
    CU_ASSERT_STRING_EQUAL(t.data, "\"a\\\"b\\\\\\u000a\xc3\xa9\\ufffd\\ufffd\\ufffd\\ufffd\"");
    text_free(&t);
    CU_ASSERT_EQUAL(text_distance("kernel", "kernle"), 1);
    CU_ASSERT_EQUAL(text_distance("", "abc"), 3);
    const char *words[] = {"stride", "padding", "kernel"};
    CU_ASSERT_PTR_EQUAL(text_nearest("pading", words, 3), words[1]);
    CU_ASSERT_PTR_NULL(text_nearest("unrelated", words, 3));
    Arena a = {0};
    Table table = table_begin(&a, "things", "name|n");
    table_string(&table, "x");
    table_count(&table, 100);
    table_string(&table, "longer");
    table_count(&table, 7);
    table_print(&t, &table);
    CU_ASSERT_STRING_EQUAL(t.data, "name      n\nx       100\nlonger    7\n");
    text_free(&t);
    table_json(&t, &table);
    CU_ASSERT_STRING_EQUAL(t.data, "\"things\": [\n    {\"name\": \"x\", \"n\": 100},\n"
                                   "    {\"name\": \"longer\", \"n\": 7}\n  ]");
    text_free(&t);
    arena_free(&a);
}

typedef struct Scratch {
    char dir[32];
    char path[64];
    Diag d;
    char text[65536];
} Scratch;

static void scratch_init(Scratch *s)
{
    strcpy(s->dir, "/tmp/wsec-test-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(s->dir));
    snprintf(s->path, sizeof s->path, "%s/file", s->dir);
    diag_init(&s->d, "tool");
    s->d.out = tmpfile();
    s->d.max_errors = 10000;
}

static void scratch_finish(Scratch *s)
{
    read_back(s->d.out, s->text, sizeof s->text);
    unlink(s->path);
    CU_ASSERT_EQUAL(rmdir(s->dir), 0); // fails if anything was left behind
    diag_finish(&s->d);
}

static void test_io(void)
{
    Scratch s;
    Bytes b;
    scratch_init(&s);
    CU_ASSERT_TRUE(io_write(&s.d, s.path, "hello", 5));
    CU_ASSERT_TRUE(io_read(&s.d, s.path, 0, &b));
    CU_ASSERT_EQUAL(b.len, 5);
    CU_ASSERT_EQUAL(memcmp(b.data, "hello", 5), 0);
    bytes_free(&b);
    CU_ASSERT_FALSE(io_read(&s.d, s.path, 4, &b));
    CU_ASSERT_FALSE(io_read(&s.d, s.dir, 0, &b));
    CU_ASSERT_FALSE(io_read(&s.d, "/nonexistent", 0, &b));
    CU_ASSERT_FALSE(io_write(&s.d, "/nonexistent/file", "x", 1));
    CU_ASSERT_FALSE(io_write(&s.d, "/dev/full", "x", 1));
    CU_ASSERT_TRUE(io_write(&s.d, "/dev/null", "x", 1));
    CU_ASSERT_FALSE(io_write(&s.d, s.dir, "x", 1)); // a directory cannot be replaced
    scratch_finish(&s);
    CU_ASSERT_PTR_NOT_NULL(strstr(s.text, "larger than 4 bytes"));
    CU_ASSERT_PTR_NOT_NULL(strstr(s.text, "is a directory"));
    CU_ASSERT_PTR_NOT_NULL(strstr(s.text, "cannot open '/nonexistent': No such file"));
    CU_ASSERT_PTR_NOT_NULL(strstr(s.text, "cannot write '/dev/full': No space left"));
}

static void test_npy(void)
{
    Scratch s;
    Npy a;
    scratch_init(&s);
    float data[6] = {0, 1.5f, -2, 3, 4, INFINITY};
    uint64_t extent[2] = {2, 3};
    CU_ASSERT_TRUE(npy_write(&s.d, s.path, DT_F32, 2, extent, data));
    CU_ASSERT_TRUE_FATAL(npy_read(&s.d, s.path, &a));
    CU_ASSERT_EQUAL(a.rank, 2);
    CU_ASSERT_EQUAL(a.extent[1], 3);
    CU_ASSERT_EQUAL(npy_get(&a, 1), 1.5);
    npy_finish(&a);
    // Every truncation is refused.
    Bytes file;
    CU_ASSERT_TRUE_FATAL(io_read(&s.d, s.path, 0, &file));
    for (size_t len = 0; len < file.len; len++) {
        CU_ASSERT_TRUE(io_write(&s.d, s.path, file.data, len));
        CU_ASSERT_FALSE(npy_read(&s.d, s.path, &a));
    }
    bytes_free(&file);
    TensorSpec t = {"x", DT_F16, 1, {3}};
    uint64_t n;
    uint8_t *samples;
    CU_ASSERT_TRUE(npy_write(&s.d, s.path, DT_F32, 2, extent, data));
    CU_ASSERT_TRUE_FATAL(samples_read(&s.d, &t, s.path, &n, &samples));
    CU_ASSERT_EQUAL(n, 2);
    CU_ASSERT_EQUAL(samples_get(DT_F16, samples, 2), -2);
    free(samples);
    t.extent[0] = 4;
    CU_ASSERT_FALSE(samples_read(&s.d, &t, s.path, &n, &samples));
    size_t index;
    const char *path;
    TensorSpec two[2] = {t, {"y", DT_F32, 1, {3}}};
    CU_ASSERT_TRUE(samples_match(&s.d, "input", two, 2, "y=a=b", &index, &path));
    CU_ASSERT_EQUAL(index, 1);
    CU_ASSERT_STRING_EQUAL(path, "a=b");
    CU_ASSERT_FALSE(samples_match(&s.d, "input", two, 2, "z=a", &index, &path));
    CU_ASSERT_FALSE(samples_match(&s.d, "input", two, 2, "a", &index, &path));
    scratch_finish(&s);
    CU_ASSERT_PTR_NOT_NULL(strstr(s.text, "has shape [2, 3]; a sample of 'x' has [4]"));
}

typedef struct Options {
    bool flag;
    const char *word;
    StringList list;
    uint64_t count;
    double number;
} Options;

static const OptionSpec specs[] = {
    {"flag", 'f', OPTION_FLAG, "", "a flag", offsetof(Options, flag)},
    {"word", 'w', OPTION_STRING, "W", "a word", offsetof(Options, word)},
    {"list", 'D', OPTION_LIST, "L", "a list", offsetof(Options, list)},
    {"count", 0, OPTION_COUNT, "N", "a count", offsetof(Options, count)},
    {"number", 0, OPTION_NUMBER, "X", "a number", offsetof(Options, number)},
};

static bool parse(Options *o, StringList *arguments, Arena *a, int argc, char **argv)
{
    *o = (Options){0};
    *arguments = (StringList){0};
    return options_parse(a, "tool", specs, 5, o, arguments, argc, argv);
}

static void test_options(void)
{
    Arena a = {0};
    Options o;
    StringList rest;
    const char *good[] = {"tool", "-Da=1", "-f",           "--list", "b",  "--count=12", "-w",
                          "x",    "in",    "--number=0.5", "-",      "--", "-z"};
    CU_ASSERT_TRUE(parse(&o, &rest, &a, 13, (char **)good));
    CU_ASSERT_TRUE(o.flag);
    CU_ASSERT_EQUAL(o.list.n, 2);
    CU_ASSERT_STRING_EQUAL(o.list.data[0], "a=1");
    CU_ASSERT_EQUAL(o.count, 12);
    CU_ASSERT_EQUAL(o.number, 0.5);
    CU_ASSERT_STRING_EQUAL(o.word, "x");
    CU_ASSERT_EQUAL(rest.n, 3);
    CU_ASSERT_STRING_EQUAL(rest.data[2], "-z");
    const char *bad[][2] = {{"tool", "--flga"},       {"tool", "-q"},
                            {"tool", "--count=-1"},   {"tool", "--count=1x"},
                            {"tool", "--number=nan"}, {"tool", "--flag=1"},
                            {"tool", "--word"},       {"tool", "--count=99999999999999999999"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_FALSE(parse(&o, &rest, &a, 2, (char **)bad[i]));
    arena_free(&a);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"f16", test_f16},          {"i32, min, max", test_i32_minmax},
        {"sha256", test_sha256},    {"arena", test_arena},
        {"diag", test_diag},        {"diag limit", test_diag_limit},
        {"text, table", test_text}, {"io", test_io},
        {"npy, samples", test_npy}, {"options", test_options},
        CU_TEST_INFO_NULL,
    };
    return suite_run("support", tests);
}
