// SPDX-License-Identifier: Apache-2.0
// Weights from safetensors and npy files, from a seed; what does not fit is listed in one go.
// Hostile safetensors: every prefix and many changed bytes of a good file.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/frontend.h"
#include "frontend/safetensors.h"
#include "frontend/weights.h"
#include "ir/support/npy.h"
#include "tests/common/suite.h"
#include "tests/ir/graph_testing.h"

static const char model[] = "param T = f32\n"
                            "model m(x: T[2]) -> y {\n"
                            "    y = linear(x, 3, name = \"fc\") * weight(\"scale\", T[3])\n"
                            "}\n";

// A folder for the files of one test, removed at its end.
typedef struct Files {
    Capture c;
    char folder[32];
    char path[4][64];
    int n;
} Files;

static void files_begin(Files *f)
{
    *f = (Files){.folder = "/tmp/wsec-test-XXXXXX"};
    capture_begin(&f->c);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(f->folder));
}

static void files_end(Files *f)
{
    for (int i = 0; i < f->n; i++)
        unlink(f->path[i]);
    rmdir(f->folder);
    capture_end(&f->c);
}

static const char *add_file(Files *f, const char *name, const void *bytes, size_t len)
{
    char *path = f->path[f->n++];
    snprintf(path, sizeof f->path[0], "%s/%s", f->folder, name);
    CU_ASSERT_TRUE_FATAL(io_write(&f->c.diag, path, bytes, len));
    return path;
}

static void add_header(Text *t, const char *header)
{
    uint64_t n = strlen(header);
    for (int i = 0; i < 8; i++)
        text_add_bytes(t, &(uint8_t){(uint8_t)(n >> 8 * i)}, 1);
    text_add(t, header);
}

// A header and `bytes` bytes of data (of `data`, or zero).
static const char *add_safetensors(Files *f, const char *name, const char *header, const void *data,
                                   size_t bytes)
{
    Text t = {0};
    add_header(&t, header);
    for (size_t i = 0; i < bytes; i++)
        text_add_bytes(&t, data ? (const char *)data + i : "", 1);
    const char *path = add_file(f, name, t.data, t.len);
    text_free(&t);
    return path;
}

static Graph *compile(Files *f, const char *text, const char *dtype)
{
    Graph *g;
    Define define = {"T", dtype};
    CU_ASSERT_TRUE_FATAL(frontend_compile_text(&f->c.arena, &f->c.diag, "m.dsl", text, strlen(text),
                                               &define, 1, &g));
    return g;
}

static const Node *weight(const Graph *g, const char *name)
{
    for (size_t i = 0; i < g->nodes.n; i++)
        if (g->nodes.data[i]->is_weight && strcmp(g->nodes.data[i]->name, name) == 0)
            return g->nodes.data[i];
    CU_FAIL_FATAL("no such weight");
    return NULL;
}

static const char good_header[] =
    "{\"__metadata__\": {\"format\": \"pt\"}, "
    "\"fc.weight\": {\"dtype\": \"F32\", \"shape\": [3, 2], \"data_offsets\": [0, 24]}, "
    "\"fc.bias\":{\"shape\":[3],\"dtype\":\"F16\",\"data_offsets\":[24,30]},"
    "\"bn.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[36,44]},"
    "\"scale\": {\"dtype\": \"BF16\", \"shape\": [3], \"data_offsets\": [30, 36]}}  ";

static const uint8_t good_data[44] = {
    0,    0,    0x80, 0x3f, 0,    0,    0, 0x40, 0,    0,    0x40, 0x40, /* 1 2 3 */
    0,    0,    0x80, 0xbf, 0,    0,    0, 0x3f, 0xcd, 0xcc, 0xcc, 0x3d, /* -1 0.5 0.1 */
    0x00, 0x3c, 0x00, 0xc0, 0x00, 0x38,                                  /* 1 -2 0.5 */
    0x80, 0x3f, 0x00, 0x40, 0x40, 0xc0,                                  /* 1 2 -3 */
};

static void test_safetensors(void)
{
    Files f;
    files_begin(&f);
    const char *path =
        add_safetensors(&f, "a.safetensors", good_header, good_data, sizeof good_data);
    Graph *g = compile(&f, model, "f32");
    CU_ASSERT_TRUE(weights_load(&f.c.diag, &f.c.arena, g, &path, 1));
    static const float w[] = {1, 2, 3, -1, 0.5f, 0.1f}, b[] = {1, -2, 0.5f}, s[] = {1, 2, -3};
    CU_ASSERT_EQUAL(memcmp(weight(g, "fc.weight")->value, w, sizeof w), 0);
    CU_ASSERT_EQUAL(memcmp(weight(g, "fc.bias")->value, b, sizeof b), 0);
    CU_ASSERT_EQUAL(memcmp(weight(g, "scale")->value, s, sizeof s), 0);
    check_text("", said(&f.c));
    files_end(&f);
}

static void test_rounding(void)
{
    Files f;
    files_begin(&f);
    const char *path =
        add_safetensors(&f, "a.safetensors", good_header, good_data, sizeof good_data);
    Graph *g = compile(&f, model, "f16");
    CU_ASSERT_TRUE(weights_load(&f.c.diag, &f.c.arena, g, &path, 1));
    CU_ASSERT_EQUAL(weight(g, "fc.weight")->value[5], f32_from_f16(0x2e66)); // 0.1
    check_text("test: note: values of 1 weights were rounded to their declared type\n", said(&f.c));
    files_end(&f);
}

static void test_infinite(void)
{
    Files f;
    files_begin(&f);
    uint8_t data[sizeof good_data];
    memcpy(data, good_data, sizeof data);
    data[3] = 0x7f; // 1 becomes 1.7e38, beyond f16
    const char *path = add_safetensors(&f, "a.safetensors", good_header, data, sizeof data);
    Graph *g = compile(&f, model, "f16");
    CU_ASSERT_TRUE(weights_load(&f.c.diag, &f.c.arena, g, &path, 1));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&f.c), "weight 'fc.weight' has 1 values of "));
    files_end(&f);
}

static void test_npy(void)
{
    Files f;
    files_begin(&f);
    const char *st = add_safetensors(
        &f, "a.safetensors",
        "{\"fc.weight\": {\"dtype\": \"F32\", \"shape\": [3, 2], \"data_offsets\": [0, 24]}}",
        good_data, 24);
    const char *path = add_file(&f, "b.npy", "", 0);
    static const float bias[3] = {4, 5, 6};
    CU_ASSERT_TRUE(npy_write(&f.c.diag, path, DT_F32, 1, (uint64_t[]){3}, bias));
    const char *specs[] = {st, arena_printf(&f.c.arena, "fc.bias=%s", path), "random:7"};
    Graph *g = compile(&f, model, "f32");
    CU_ASSERT_TRUE(weights_load(&f.c.diag, &f.c.arena, g, specs, 3));
    CU_ASSERT_EQUAL(memcmp(weight(g, "fc.bias")->value, bias, sizeof bias), 0);
    CU_ASSERT_EQUAL(weight(g, "scale")->value[2], 1.0f); // random: a scale is 1
    check_text("", said(&f.c));
    files_end(&f);
}

static void test_listing(void)
{
    Files f;
    files_begin(&f);
    add_safetensors(&f, "a.safetensors",
                    "{\"fc.weight\": {\"dtype\": \"F32\", \"shape\": [2, 3], "
                    "\"data_offsets\": [0, 24]}, \"fc.bais\": {\"dtype\": \"F32\", \"shape\": [3],"
                    " \"data_offsets\": [0, 12]}, \"scale\": {\"dtype\": \"I32\", \"shape\": [3],"
                    " \"data_offsets\": [0, 12]}}",
                    NULL, 24);
    CU_ASSERT_EQUAL_FATAL(chdir(f.folder), 0);
    const char *spec = "a.safetensors";
    Graph *g = compile(&f, model, "f32");
    CU_ASSERT_FALSE(weights_load(&f.c.diag, &f.c.arena, g, &spec, 1));
    CU_ASSERT_EQUAL(f.c.diag.n_errors, 1);
    check_text(
        "test: error: the weights do not fit the model: 1 missing, 2 mismatched, 1 unexpected\n"
        "m.dsl:3:9: note: mismatched: 'fc.weight' is declared f32[3, 2], 'a.safetensors' has F32 "
        "[2, 3]\n"
        "    3 |     y = linear(x, 3, name = \"fc\") * weight(\"scale\", T[3])\n"
        "      |         ^~~~~~~~~~~~~~~~~~~~~~~~~\n"
        "m.dsl:3:9: note: missing: 'fc.bias' f32[3]; there is 'fc.bais'\n"
        "    3 |     y = linear(x, 3, name = \"fc\") * weight(\"scale\", T[3])\n"
        "      |         ^~~~~~~~~~~~~~~~~~~~~~~~~\n"
        "m.dsl:3:37: note: mismatched: 'scale' is declared f32[3], 'a.safetensors' has I32 [3], "
        "which is no floating type that is read\n"
        "    3 |     y = linear(x, 3, name = \"fc\") * weight(\"scale\", T[3])\n"
        "      |                                     ^~~~~~~~~~~~~~~~~~~~~\n"
        "test: note: unexpected: 'fc.bais' F32 [3] in 'a.safetensors'\n",
        said(&f.c));
    CU_ASSERT_EQUAL(chdir("/"), 0);
    files_end(&f);
}

static void test_random(void)
{
    static const char text[] =
        "param T = f32\nmodel m(x: T[200]) -> y {\n"
        "    x = batch_norm(linear(x, 100, name = \"fc\"), name = \"bn\")\n"
        "    y = matmul(x, weight(\"w\", T[100, 50])) + weight(\"b\", T[50])\n}\n";
    Files f;
    files_begin(&f);
    const char *seed = "random:1", *other = "random:2";
    Graph *a = compile(&f, text, "f32"), *b = compile(&f, text, "f32"),
          *c = compile(&f, text, "f16");
    CU_ASSERT_TRUE(weights_load(&f.c.diag, &f.c.arena, a, &seed, 1));
    CU_ASSERT_TRUE(weights_load(&f.c.diag, &f.c.arena, b, &other, 1));
    CU_ASSERT_TRUE(weights_load(&f.c.diag, &f.c.arena, c, &seed, 1));
    const float *w = weight(a, "fc.weight")->value, *v = weight(a, "w")->value;
    CU_ASSERT_NOT_EQUAL(memcmp(w, weight(b, "fc.weight")->value, 20000 * sizeof *w), 0);
    double squares[2] = {0}, sum = 0;
    for (int i = 0; i < 20000; i++) {
        squares[0] += (double)w[i] * (double)w[i];
        sum += (double)w[i];
        CU_ASSERT_EQUAL_FATAL(weight(c, "fc.weight")->value[i], f32_from_f16(f16_from_f32(w[i])));
    }
    for (int i = 0; i < 5000; i++)
        squares[1] += (double)v[i] * (double)v[i];
    CU_ASSERT_DOUBLE_EQUAL(squares[0] / 20000, 2.0 / 200, 0.0005); // variance 2 / fan_in
    CU_ASSERT_DOUBLE_EQUAL(squares[1] / 5000, 2.0 / 100, 0.002);
    CU_ASSERT_DOUBLE_EQUAL(sum / 20000, 0, 0.003);
    static const struct {
        const char *name;
        float value;
    } constant[] = {{"fc.bias", 0}, {"bn.weight", 1},       {"bn.bias", 0},
                    {"b", 0},       {"bn.running_mean", 0}, {"bn.running_var", 1}};
    for (size_t i = 0; i < sizeof constant / sizeof constant[0]; i++)
        for (int k = 0; k < 50; k++)
            CU_ASSERT_EQUAL_FATAL(weight(a, constant[i].name)->value[k], constant[i].value);
    check_text("", said(&f.c));
    files_end(&f);
}

static void test_specs(void)
{
    static const struct {
        const char *specs[2];
        int n;
        const char *expected; /* NULL: good */
    } table[] = {
        {{"none"}, 1, NULL},
        {{"random:18446744073709551615"}, 1, NULL},
        {{"random:18446744073709551616"}, 1, "the seed is an integer below 2^64"},
        {{"random:"}, 1, "the seed is an integer"},
        {{"random:1x"}, 1, "the seed is an integer"},
        {{"random:1", "random:2"}, 2, "a second seed"},
        {{"none", "random:1"}, 2, "stands alone"},
        {{"weights.pt"}, 1, "give FILE.safetensors, NAME=FILE.npy, random:SEED or none"},
        {{"/nonexistent.safetensors"}, 1, "No such file"},
        {{"a=/nonexistent.npy"}, 1, "No such file"},
        {{NULL}, 0, "declares 3 weights; give"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        Files f;
        files_begin(&f);
        Graph *g = compile(&f, model, "f32");
        bool ok = weights_load(&f.c.diag, &f.c.arena, g, table[i].specs, (size_t)table[i].n);
        CU_ASSERT_EQUAL(ok, table[i].expected == NULL);
        const char *text = said(&f.c);
        if (table[i].expected && !strstr(text, table[i].expected)) {
            printf("expected: %s\ngot: %s", table[i].expected, text);
            CU_FAIL("message");
        }
        files_end(&f);
    }
}

#define TENSOR(dtype, shape, offsets)                                                              \
    "{\"a\": {\"dtype\": \"" dtype "\", \"shape\": " shape ", \"data_offsets\": " offsets "}}"

static void test_bad_headers(void)
{
    static const struct {
        const char *header, *expected;
    } table[] = {
        {"", "expected '{'"},
        {"[]", "expected '{'"},
        {"{\"a\": 3}", "expected '{'"},
        {"{\"a\": {}}", "expected '\"'"},
        {"{\"a\": {\"dtype\": \"F32\"}}", "needs dtype, shape and data_offsets"},
        {"{\"a", "a string is not closed"},
        {"{\"a\\", "a string is not closed"},
        {"{\"a\\q\"", "wrong escape"},
        {"{\"a\\u00\"", "truncated escape"},
        {"{\"a\\u0000\"", "a character that no name has"},
        {"{\"__metadata__\": {\"x\": [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}}", "nested too"},
        {TENSOR("F32", "[2]", "[0, 8]") "x", "something follows"},
        {TENSOR("F32", "[3]", "[0, 8]"), "has 8 bytes, its shape and type need 12"},
        {TENSOR("F32", "[2]", "[8, 0]"), "said to stand at bytes 8 to 0"},
        {TENSOR("F32", "[8]", "[0, 32]"), "said to stand at bytes 0 to 32"},
        {TENSOR("F32", "[2]", "[18446744073709551608, 0]"), "said to stand at"},
        {TENSOR("F32", "[2]", "[0, 18446744073709551616]"), "needs more than 64 bits"},
        {TENSOR("F32", "[4294967296, 4294967296]", "[0, 8]"), "more than 2^64 elements"},
        {TENSOR("F32", "[4611686018427387905]", "[0, 4]"), "its shape and type need"},
        {TENSOR("F32", "[1,1,1,1,1,1,1,1,2]", "[0, 8]"), "too many axes"},
        {TENSOR("F32", "[-2]", "[0, 8]"), "expected an integer"},
        {TENSOR("F33", "[2]", "[0, 8]"), "unknown type 'F33'"},
        {TENSOR("F32", "[2 2]", "[0, 8]"), "expected ']'"},
        {"{\"a\": {\"dtype\": \"F32\", \"dtype\": \"F32\"}}", "member given twice"},
        {"{\"a\": {\"dtype\": \"U8\", \"shape\": [], \"data_offsets\": [0, 1]}, "
         "\"\\u0061\": {\"dtype\": \"U8\", \"shape\": [], \"data_offsets\": [0, 1]}}",
         "tensor 'a' is there twice"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        Capture c;
        capture_begin(&c);
        Text t = {0};
        add_header(&t, table[i].header);
        text_add(&t, "12345678");
        StoredTensorVec tensors = {0};
        CU_ASSERT_FALSE(
            safetensors_parse(&c.diag, &c.arena, "t", (Bytes){(uint8_t *)t.data, t.len}, &tensors));
        const char *text = said(&c);
        if (!strstr(text, table[i].expected)) {
            printf("expected: %s\ngot: %s", table[i].expected, text);
            CU_FAIL("message");
        }
        text_free(&t);
        capture_end(&c);
    }
}

// Reads of what is accepted stay within the bytes (the sanitizers see to it).
static void parse_and_read(const uint8_t *bytes, size_t len, bool expected_bad)
{
    Capture c;
    capture_begin(&c);
    uint8_t *copy = malloc(len ? len : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    memcpy(copy, bytes, len);
    StoredTensorVec tensors = {0};
    bool ok = safetensors_parse(&c.diag, &c.arena, "t", (Bytes){copy, len}, &tensors);
    CU_ASSERT_EQUAL(ok, c.diag.n_errors == 0);
    CU_ASSERT_FALSE(ok && expected_bad);
    volatile double sum = 0;
    for (size_t i = 0; ok && i < tensors.n; i++)
        for (uint64_t k = 0; k < tensors.data[i].n; k++)
            sum += stored_get(&tensors.data[i], k);
    free(copy);
    said(&c);
    capture_end(&c);
}

static void test_mutations(void)
{
    Text t = {0};
    add_header(&t, good_header);
    text_add_bytes(&t, good_data, sizeof good_data);
    for (size_t i = 0; i < t.len; i++)
        parse_and_read((const uint8_t *)t.data, i, true);
    static const char bytes[] = "\"{}[],:9-\\u\377";
    for (size_t i = 0; i < 8 + strlen(good_header); i++)
        for (size_t k = 0; k < sizeof bytes; k++) {
            char was = t.data[i];
            t.data[i] = bytes[k];
            parse_and_read((const uint8_t *)t.data, t.len, false);
            t.data[i] = was;
        }
    text_free(&t);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"safetensors", test_safetensors},
        {"rounding", test_rounding},
        {"infinite", test_infinite},
        {"npy", test_npy},
        {"listing", test_listing},
        {"random", test_random},
        {"specs", test_specs},
        {"bad headers", test_bad_headers},
        {"mutations", test_mutations},
        CU_TEST_INFO_NULL,
    };
    return suite_run("frontend.weights", tests);
}
