/* SPDX-License-Identifier: Apache-2.0 */
/* tests/passes/test_machine.c - machine descriptions: presets, errors and where they stand. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "passes/embedded.h"
#include "passes/passes.h"
#include "tests/common/capture.h"
#include "tests/common/suite.h"

/* Loads a text as a file; everything said ends in *messages (freed by the caller). */
static bool load(const char *text, size_t len, Machine *m, char **messages, int *code)
{
    char path[] = "/tmp/wsec-machine-XXXXXX";
    int fd = mkstemp(path);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_FATAL(write(fd, text, len) == (ssize_t)len);
    close(fd);
    Capture c;
    capture_begin(&c);
    bool good = machine_load(&c.diag, path, m);
    *code = diag_exit_code(&c.diag);
    *messages = capture_take(&c);
    unlink(path);
    return good;
}

static const char *preset(const char *name)
{
    for (const EmbeddedFile *f = embedded_files; f->name; f++)
        if (strcmp(f->name, name) == 0)
            return f->text;
    return "";
}

/* The wse2 preset with `from` replaced by `to` must be refused with this text. */
static void refuse(const char *from, const char *to, const char *expected)
{
    const char *text = preset("wse2.xml"), *at = strstr(text, from);
    CU_ASSERT_FATAL(at != NULL);
    Text t = {0};
    text_add_bytes(&t, text, (size_t)(at - text));
    text_add(&t, to);
    text_add(&t, at + strlen(from));
    char *messages = NULL;
    int code;
    Machine m;
    CU_ASSERT_FALSE(load(t.data, t.len, &m, &messages, &code));
    CU_ASSERT_EQUAL(code, EXIT_INPUT);
    if (!strstr(messages, expected))
        printf("\nexpected: %s\nsaid: %s", expected, messages);
    CU_ASSERT_PTR_NOT_NULL(strstr(messages, expected));
    CU_ASSERT_PTR_NOT_NULL(strstr(messages, "/tmp/wsec-machine-")); /* a place */
    free(messages);
    text_free(&t);
}

static void test_presets(void)
{
    Diag d;
    Machine m, tiny;
    diag_init(&d, "test");
    CU_ASSERT_TRUE(machine_load(&d, "wse2", &m));
    CU_ASSERT_EQUAL(m.width * m.height, 745500);
    CU_ASSERT_EQUAL(m.sram_bytes, 49152);
    CU_ASSERT_EQUAL(m.cost[COST_MAC][DT_F32].width.num * 25,
                    m.cost[COST_MAC][DT_F32].width.den * 12);
    CU_ASSERT_EQUAL(m.cost[COST_MAC][DT_F16].width.num, 2);
    CU_ASSERT_STRING_EQUAL(m.name, "wse2");
    CU_ASSERT_TRUE(machine_load(&d, "tiny-8x8", &tiny));
    CU_ASSERT_EQUAL(tiny.width, 8);
    CU_ASSERT_EQUAL(memcmp(m.cost, tiny.cost, sizeof m.cost), 0);
    CU_ASSERT_TRUE(machine_load(&d, "wse2-64x64", &tiny));
    CU_ASSERT_EQUAL(tiny.ports_west, 60);
    CU_ASSERT_EQUAL(diag_exit_code(&d), EXIT_OK);
    diag_finish(&d);
}

static void test_names(void)
{
    Capture c;
    Machine m;
    capture_begin(&c);
    CU_ASSERT_FALSE(machine_load(&c.diag, "wse3", &m));
    CU_ASSERT_FALSE(machine_load(&c.diag, "", &m));
    CU_ASSERT_FALSE(machine_load(&c.diag, "machine", &m));
    CU_ASSERT_FALSE(machine_load(&c.diag, "/tmp", &m));
    CU_ASSERT_FALSE(machine_load(&c.diag, "/nowhere/there.xml", &m));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), "unknown machine 'wse3', did you mean 'wse2'?"));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), "known are tiny-8x8, wse2-64x64, wse2"));
    machine_list(c.diag.out);
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), "750 x 994"));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), "tiny-8x8  "));
    capture_end(&c);
}

static void test_errors(void)
{
    refuse("<fabric width", "<fabric widht", "unknown attribute 'widht', did you mean 'width'?");
    refuse("width=\"750\"", "width=\"7500\"", "width of fabric is 7500, outside of 1 .. 4096");
    refuse("width=\"750\"", "width=\"-1\"", "must be a whole number");
    refuse("width=\"750\"", "width=\"99999999999999999999999\"", "must be a whole number");
    refuse("width=\"750\" ", "", "fabric lacks the attribute 'width'");
    refuse("<router", "<ruoter", "unknown element 'ruoter', did you mean 'router'?");
    refuse("<host ports-west=\"60\" ports-east=\"60\" words=\"44\"/>", "",
           "lacks the element 'host'");
    refuse("</machine>", "<host ports-west=\"1\" ports-east=\"1\" words=\"1\"/></machine>",
           "host is given twice");
    refuse("width=\"12/25\"", "width=\"12/0\"", "both parts of a fraction");
    refuse("width=\"12/25\"", "width=\"0.48\"", "a fraction n/d");
    refuse("class=\"mac\" type=\"f16\"", "class=\"mac\" type=\"f32\"", "mac f32 is given twice");
    refuse("class=\"mac\" type=\"f16\"", "class=\"mack\" type=\"f16\"", "did you mean 'mac'?");
    refuse("reserve=\"6144\"", "reserve=\"49152\"", "leaves nothing of 49152");
    refuse("reserved-colors=\"3\"", "reserved-colors=\"24\"", "leave none of 24");
    refuse("hop=\"1\"", "hop=\"0\"", "hop of router is 0, outside of 1 .. 1000");
    refuse("ports-west=\"60\"", "ports-west=\"1000\"", "one port a row at most");
    refuse("name=\"wse2\"", "name=\"a b\"", "XML: ");
    refuse("<machine name=\"wse2\">", "<engine name=\"wse2\">", "XML: ");
    refuse("<router", "stray<router", "XML: ");
    refuse("<machine", "<!DOCTYPE machine [<!ENTITY a \"b\">]><machine",
           "a document type and entities are not allowed");
}

static void test_several(void)
{
    const char text[] = "<machine name=\"m\">\n  <fabric width=\"0\" height=\"x\"/>\n"
                        "  <!-- <fabric width=\"no\"/> -->\n  <memory byts=\"1\"/>\n</machine>\n";
    char *messages = NULL;
    int code;
    Machine m;
    CU_ASSERT_FALSE(load(text, sizeof text - 1, &m, &messages, &code));
    CU_ASSERT_PTR_NOT_NULL(strstr(messages, ":2:11: error: width of fabric is 0"));
    CU_ASSERT_PTR_NOT_NULL(strstr(messages, ":2:21: error: height of fabric must be"));
    CU_ASSERT_PTR_NOT_NULL(strstr(messages, ":4:11: error: unknown attribute 'byts'"));
    CU_ASSERT_PTR_NOT_NULL(strstr(messages, "lacks the element 'router'"));
    free(messages);
}

static void test_hostile(void)
{
    char *messages = NULL;
    int code;
    Machine m;
    /* Everything that is cut off is refused, and nothing crashes. */
    const char *text = preset("tiny-8x8.xml");
    size_t len = strlen(text), end = (size_t)(strstr(text, "</machine>") - text) + 9;
    for (size_t n = 0; n <= end; n += 37) {
        CU_ASSERT_FALSE(load(text, n, &m, &messages, &code));
        CU_ASSERT_EQUAL(code, EXIT_INPUT);
        free(messages);
    }
    /* NUL bytes, and a file above the limit. */
    CU_ASSERT_FALSE(load("<machine/>\0<x/>", 15, &m, &messages, &code));
    free(messages);
    size_t big = (1 << 20) + 1;
    char *spaces = malloc(big);
    memset(spaces, ' ', big);
    memcpy(spaces, text, len);
    CU_ASSERT_FALSE(load(spaces, big, &m, &messages, &code));
    free(messages);
    /* Deeply nested. */
    for (size_t i = 0; i + 3 <= 300000; i += 3)
        memcpy(spaces + i, "<a>", 3);
    CU_ASSERT_FALSE(load(spaces, 300000, &m, &messages, &code));
    free(messages);
    free(spaces);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"presets", test_presets},        {"names", test_names},     {"errors", test_errors},
        {"several errors", test_several}, {"hostile", test_hostile}, CU_TEST_INFO_NULL,
    };
    return suite_run("machine", tests);
}
