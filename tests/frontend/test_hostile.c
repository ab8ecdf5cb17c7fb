// SPDX-License-Identifier: Apache-2.0
// Text that is made to hurt: deep, long, wide, endless. Each gives a clear message, in time
// that grows with the text, within bounded memory.
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"
#include "tests/common/suite.h"
#include "tests/ir/graph_testing.h"

enum { MANY = 100000 };

typedef struct Hostile {
    const char *before, *repeated; /* repeated `times`; a %d in it is the number */
    int times;
    const char *between, *closing; /* closing repeated as often */
    const char *after;
    const char *expected; /* part of what is said; NULL: it compiles */
} Hostile;

static void add_repeated(Text *t, const char *piece, int times)
{
    for (int i = 0; i < times; i++)
        if (strstr(piece, "%d"))
            text_printf(t, "%.*s%d%s", (int)(strstr(piece, "%d") - piece), piece, i,
                        strstr(piece, "%d") + 2);
        else
            text_add(t, piece);
}

static bool says(const char *source, size_t len, const char *expected)
{
    Capture c;
    capture_begin(&c);
    Graph *g;
    bool ok = frontend_compile_text(&c.arena, &c.diag, "t.dsl", source, len, NULL, 0, &g);
    const char *text = said(&c);
    bool as_expected = expected ? !ok && strstr(text, expected) : ok && text[0] == '\0';
    if (!as_expected)
        printf("expected: %s\ngot: %.1000s\n", expected ? expected : "nothing", text);
    capture_end(&c);
    return as_expected;
}

#define MODEL "model m(x: f32[4]) -> y {\n"

static const Hostile cases[] = {
    {MODEL "y = ", "(", MANY, "x", ")", "\n}\n", "nested too deeply"},
    {MODEL "y = ", "(", 3000, "x", ")", "\n}\n", NULL},
    {MODEL "y = ", "[", MANY, "", "", "\n}\n", "nested too deeply"},
    {MODEL "y = ", "-", MANY, "x", "", "\n}\n", "nested too deeply"},
    {MODEL "y = ", "not ", MANY, "x", "", "\n}\n", "nested too deeply"},
    {MODEL "y = ", "relu(", MANY, "x", ")", "\n}\n", "nested too deeply"},
    {MODEL "y = ", "relu(", 240, "x", ")", "\n}\n", NULL},
    {MODEL "y = ", "relu(", 260, "x", ")", "\n}\n", "nested more than 250 deep"},
    {MODEL "y = x", " + x", MANY, "", "", "\n}\n", "nested more than 250 deep"},
    {MODEL "y = x", "[0]", MANY, "", "", "\n}\n", "nested more than 250 deep"},
    {MODEL "y = ", "\"{", MANY, "", "", "\n}\n", "strings are nested more than 8 deep"},
    {MODEL, "if true {", MANY, "", "}", "\ny = x\n}\n", "nested too deeply"},
    {MODEL, "for i%d in 0..2 {", 300, "", "}", "\ny = x\n}\n", "more than 1000000 steps"},
    {MODEL, "if true { y = x } else ", 3000, "{ }", "", "\n}\n", "nested too deeply"},
    {MODEL "y = x\nfor i in 0..", "9", 18, " { }\n", "", "}\n", "more than 1000000 steps"},
    {MODEL "y = x\nfor i in 0..", "9", 30, " { }\n", "", "}\n", "does not fit 64 bits"},
    {MODEL "y = x\nfor i in 0..100000 { for j in 0..100000 {", " y += 1 ", 1, "", "", "} }\n}\n",
     "more than 1000000 steps"},
    {MODEL "y = x * ", "9", MANY, "", "", "\n}\n", "does not fit 64 bits"},
    {MODEL "y = x * 0.", "1", MANY, "", "", "\n}\n", "beyond the range of a double"},
    {MODEL "y = ", "a", 10 * MANY, "", "", "\n}\n", "a name of 1000000 bytes"},
    {MODEL "y = weight(\"", "a", 300, "", "", "\", f32[4])\n}\n", "cannot name a weight"},
    {MODEL "y = weight(\"", "a", MANY, "", "", "\", f32[4])\n}\n", "more than 4096 bytes"},
    {MODEL "y = x\ns = \"abc\"\n", "s = \"{s}{s}\"\n", 40, "", "", "}\n", "more than 4096 bytes"},
    {MODEL "y = x\nl = [1]\n", "l = [l, l]\n", 40, "", "", "}\n", "nested more than 8 deep"},
    {MODEL "y = x\n", "a%d = foo%d(x)\n", MANY, "", "", "}\n", "only the first 20 are shown"},
    {MODEL "y = x\n", "a%d = = x\n", MANY, "", "", "}\n", "only the first 20 are shown"},
    {MODEL "y = x\n", "a%d = 1\n", MANY, "", "", "}\n", NULL},
    {MODEL "y = relu(", "a%d = 1, ", MANY, "", "", ")\n}\n", "no argument 'a0'"},
    {"fn f(", "a%d, ", MANY, "", "", ") = 1\n" MODEL "y = x\n}\n", "there may be at most 64"},
    {"fn f(", "x, ", 3, "", "", ") = 1\n" MODEL "y = x\n}\n", "declared twice"},
    {"fn f(x) = f(x)\n" MODEL "y = ", "f(", 2, "x", ")", "\n}\n", "calls nested more than 64 deep"},
    {"fn f(x) = ", "f(", 200, "x", ")", "\n" MODEL "y = f(x)\n}\n", "nested more than"},
    {"", "\n", MANY, "", "", "", "declares no model"},
    {"", "}", MANY, "", "", "", "unexpected '}'"},
    {"", "{", MANY, "", "", "", "unexpected '{'"},
    {"", "\"", MANY, "", "", "", "unexpected"},
    {"model ", "model ", MANY, "", "", "", "unexpected 'model'"},
    {MODEL "y = x\n}\n", "#", 2 * MANY, "", "", "", NULL},
};

static void test_made_to_hurt(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const Hostile *h = &cases[i];
        Text t = {0};
        text_add(&t, h->before);
        add_repeated(&t, h->repeated, h->times);
        text_add(&t, h->between);
        add_repeated(&t, h->closing, h->times);
        text_add(&t, h->after);
        bool good = says(t.data, t.len, h->expected);
        if (!good)
            printf("case %zu\n", i);
        CU_ASSERT_TRUE(good);
        text_free(&t);
    }
}

static void test_bytes(void)
{
    static const char nul[] = "model m(x: f32[4]) -> y { y = x }\0";
    CU_ASSERT_TRUE(says(nul, sizeof nul - 1, "NUL byte at offset 33"));
    static const struct {
        const char *bytes, *expected;
    } table[] = {
        {"# \xff\n", "byte 0xff"},
        {"# \xc0\x80\n", "byte 0xc0"},
        {"# \xed\xa0\x80\n", "byte 0xed"},
        {"# \xf4\x90\x80\x80\n", "byte 0xf4"},
        {"# \xe2\x82", "byte 0xe2"},
        {"# \xe2\x82\xac is fine\n", "declares no model"},
        {"# \x80\n", "byte 0x80"},
        {"\x01\n", "control character 0x01"},
        {"", "is empty"},
        {"\xef\xbb\xbf", "declares no model"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        CU_ASSERT_TRUE(says(table[i].bytes, strlen(table[i].bytes), table[i].expected));
    const char *marked = "\xef\xbb\xbf" MODEL "\ty = x\r\n}\r\n";
    CU_ASSERT_TRUE(says(marked, strlen(marked), NULL));
}

// Every prefix of a good model, and every byte of it changed, ends with a message or a graph.
static void test_mutations(void)
{
    static const char good[] = "param T = f32, n = 2\nfn f(x, k = 3) { return relu(x) - k }\n"
                               "model m(x: T[4]) -> (y, z: T[4]) {\n    y = x\n"
                               "    for i in 0..n { y = f(y, k = i) * 0.5 }\n"
                               "    z = if n > 1 and true { y } else { x }\n"
                               "    z = linear(z, 4, name = \"a.{n + 1}\")\n}\n";
    static const char bytes[] = "\n \"(){}[],.=+-0a#%;\\";
    size_t len = strlen(good);
    CU_ASSERT_TRUE(says(good, len, NULL));
    for (size_t i = 0; i < len; i++)
        for (size_t k = 0; k < sizeof bytes; k++) {
            char text[sizeof good];
            memcpy(text, good, sizeof good);
            text[i] = bytes[k];
            size_t n = bytes[k] ? len : i; // the NUL at the end of the list: cut there
            Capture c;
            capture_begin(&c);
            Graph *g;
            bool ok = frontend_compile_text(&c.arena, &c.diag, "t", text, n, NULL, 0, &g);
            CU_ASSERT_EQUAL(ok, c.diag.n_errors == 0);
            CU_ASSERT_FALSE(c.diag.internal);
            CU_ASSERT_TRUE(!ok || graph_verify(&c.diag, g, "frontend"));
            said(&c);
            capture_end(&c);
        }
}

static void test_files(void)
{
    static const struct {
        const char *path, *expected;
    } table[] = {{"/", "it is a directory"}, {"/nonexistent.dsl", "No such file"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        Capture c;
        capture_begin(&c);
        Graph *g;
        CU_ASSERT_FALSE(frontend_compile(&c.arena, &c.diag, table[i].path, NULL, 0, &g));
        CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), table[i].expected));
        capture_end(&c);
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"made to hurt", test_made_to_hurt},
        {"bytes", test_bytes},
        {"mutations", test_mutations},
        {"files", test_files},
        CU_TEST_INFO_NULL,
    };
    return suite_run("frontend.hostile", tests);
}
