// SPDX-License-Identifier: Apache-2.0
// tests/passes/test_defects.c - maps of dead cores: reading them, what is wrong with them and
// where, which end of a dead link dies, and the keep-outs they become.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ir/support/io.h"
#include "passes/defects.h"
#include "tests/common/capture.h"
#include "tests/common/suite.h"
#include "tests/common/test_machine.h"

static Machine machine(void)
{
    Machine m = test_machine();
    m.width = 20;
    m.height = 12;
    m.spare_columns = 4;
    return m;
}

// Reads <defects>body</defects>; what is said ends in *messages (freed by the caller).
static bool load(Arena *a, const char *body, Defects *result, char **messages, int *code)
{
    char path[] = "/tmp/wsec-defects-XXXXXX";
    int fd = mkstemp(path);
    const char *text = body[0] == '<' && strncmp(body, "<d", 2) == 0
                           ? body
                           : arena_printf(a, "<defects>\n%s\n</defects>\n", body);
    Machine *m = arena_new(a, Machine);
    *m = machine();
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_FATAL(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    Capture c;
    capture_begin(&c);
    bool good = defects_xml_read(&c.diag, a, path, m, result);
    *code = diag_exit_code(&c.diag);
    *messages = capture_take(&c);
    unlink(path);
    return good;
}

static void test_reading(void)
{
    Arena a = {0};
    Defects d;
    char *said;
    int code;
    CU_ASSERT_TRUE(load(&a,
                        "<hole x='3' y='2' w='6' h='2'/>\n<core x='23' y='11'/>\n"
                        "<core x='9' y='2'/>\n<core x='5' y='3'/><core x='0' y='2'/>",
                        &d, &said, &code));
    CU_ASSERT_STRING_EQUAL(said, "");
    free(said);
    static const DefectRun expected[] = {{2, 0, 1}, {2, 3, 7}, {3, 3, 6}, {11, 23, 1}};
    CU_ASSERT_EQUAL_FATAL(d.n, 4);
    for (uint32_t i = 0; i < d.n; i++)
        CU_ASSERT_TRUE(d.runs[i].y == expected[i].y && d.runs[i].x == expected[i].x &&
                       d.runs[i].n == expected[i].n);
    CU_ASSERT_TRUE(load(&a, "<defects/>", &d, &said, &code));
    CU_ASSERT_EQUAL(d.n, 0);
    free(said);
    arena_free(&a);
}

static void test_links(void)
{
    static const struct {
        const char *body;
        uint32_t n; // dead cores of single cores and links
        DefectRun last;
    } cases[] = {
        {"<link x='4' y='5' side='S'/>", 1, {5, 4, 1}},                             // as named
        {"<link x='4' y='6' side='N'/>", 1, {6, 4, 1}},                             //
        {"<core x='0' y='5'/><link x='4' y='5' side='S'/>", 2, {6, 4, 1}},          // fewer dead
        {"<core x='4' y='6'/><link x='4' y='5' side='S'/>", 1, {6, 4, 1}},          // one is dead
        {"<link x='4' y='5' side='E'/><link x='3' y='5' side='E'/>", 1, {5, 4, 1}}, // two, one end
        {"<link x='4' y='5' side='W'/><link x='9' y='5' side='S'/>", 2, {6, 9, 1}}, // in order
        {"<link x='4' y='5' side='W'/><link x='4' y='5' side='W'/>", 1, {5, 4, 1}}, // twice
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena a = {0};
        Defects d;
        char *said;
        int code;
        CU_ASSERT_TRUE_FATAL(load(&a, cases[i].body, &d, &said, &code));
        const DefectRun *last = &d.runs[d.n - 1];
        CU_ASSERT_EQUAL(d.n, cases[i].n);
        CU_ASSERT_TRUE(last->x == cases[i].last.x && last->y == cases[i].last.y &&
                       last->n == cases[i].last.n);
        free(said);
        arena_free(&a);
    }
}

static void test_errors(void)
{
    static const struct {
        const char *body, *said;
    } cases[] = {
        {"<core x='24' y='0'/>", ":2:1: error: core (24, 0) is not on the wafer"},
        {"<core x='0' y='0'/>\n  <core x='0' y='12'/>", ":3:3: error: core (0, 12) is not on"},
        {"<hole x='20' y='0' w='5' h='1'/>", "core (24, 0) is not on the wafer: plain has 24 "
                                             "columns, 4 of them spare, and 12 rows"},
        {"<core x='18446744073709551616' y='0'/>", "x of core must be a whole number"},
        {"<core x='4294967296' y='0'/>", "x of core is 4294967296, outside of 0 .. 8191"},
        {"<hole x='0' y='0' w='0' h='1'/>", "w of hole is 0, outside of 1 .. 8192"},
        {"<hole x='0' y='0' w='-1' h='1'/>", "w of hole must be a whole number, not '-1'"},
        {"<core x='1'/>", "core lacks the attribute 'y'"},
        {"<core x='1' y='1' z='1'/>", "unknown attribute 'z'"},
        {"<cor x='1' y='1'/>", "unknown element 'cor', did you mean 'core'?"},
        {"<link x='1' y='1'/>", "link lacks the attribute 'side'"},
        {"<link x='1' y='1' side='east'/>", "unknown side 'east'"},
        {"<link x='23' y='1' side='E'/>", "core (23, 1) has no neighbor on side E"},
        {"<link x='0' y='0' side='N'/>", "core (0, 0) has no neighbor on side N"},
        {"<core x='1' y='1'>", "error: XML: "},
        {"<defects", "error: XML: "},
        {"<!DOCTYPE defects [<!ENTITY a 'b'>]>", "a document type and entities are not allowed"},
        {"text", "error: XML: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena a = {0};
        Defects d;
        char *said;
        int code;
        CU_ASSERT_FALSE(load(&a, cases[i].body, &d, &said, &code));
        CU_ASSERT_EQUAL(code, EXIT_INPUT);
        bool right = strstr(said, cases[i].said) != NULL;
        CU_ASSERT_TRUE(right);
        if (!right)
            printf("\nexpected: %s\nsaid: %s", cases[i].said, said);
        free(said);
        arena_free(&a);
    }
}

// 2^21 runs at most, whatever few bytes ask for.
static void test_too_many(void)
{
    Arena a = {0};
    Defects d;
    char *said;
    int code;
    Text t = {0};
    text_add(&t, "<defects>");
    for (int i = 0; i <= DEFECTS_MAX_RUNS / 12; i++)
        text_add(&t, "<hole x='0' y='0' w='9' h='12'/>");
    text_add(&t, "</defects>");
    CU_ASSERT_FALSE(load(&a, t.data, &d, &said, &code));
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "more than 2097152 runs of dead cores"));
    free(said);
    text_free(&t);
    arena_free(&a);
}

static bool set(Arena *a, const char *body, Plan *plan, char **said, int *code)
{
    Machine *m = arena_new(a, Machine);
    Defects *d = arena_new(a, Defects);
    *m = machine();
    *plan = (Plan){.arena = a, .machine = m};
    CU_ASSERT_TRUE_FATAL(load(a, body, d, said, code));
    free(*said);
    Capture c;
    capture_begin(&c);
    bool good = plan_set_defects(&c.diag, plan, d);
    *code = diag_exit_code(&c.diag);
    *said = capture_take(&c);
    return good;
}

static void test_keepouts(void)
{
    Arena a = {0};
    Plan plan;
    char *said;
    int code;
    // A hole whose second row starts one column further west, and a row that loses two.
    CU_ASSERT_TRUE(set(&a,
                       "<core x='1' y='4'/><hole x='6' y='3' w='7' h='3'/>"
                       "<hole x='0' y='9' w='3' h='1'/><hole x='9' y='9' w='3' h='1'/>",
                       &plan, &said, &code));
    CU_ASSERT_STRING_EQUAL(said, "");
    free(said);
    CU_ASSERT_EQUAL_FATAL(plan.keepouts.n, 2);
    KeepOut *k = plan.keepouts.data;
    CU_ASSERT_TRUE(k[0].x == 5 && k[0].y == 3 && k[0].w == 8 && k[0].h == 3 && k[0].dead);
    CU_ASSERT_STRING_EQUAL(k[0].why, "hole of 8 x 3 dead cores");
    CU_ASSERT_TRUE(k[1].x == 18 && k[1].y == 9 && k[1].w == 2 && k[1].h == 1 && k[1].dead);
    CU_ASSERT_STRING_EQUAL(k[1].why, "rows 9 to 9: up to 2 more dead cores than spares");
    CU_ASSERT_TRUE(set(&a, "<core x='1' y='4'/>", &plan, &said, &code));
    CU_ASSERT_EQUAL(plan.keepouts.n, 0);
    free(said);
    CU_ASSERT_FALSE(set(&a, "<hole x='0' y='0' w='24' h='12'/>", &plan, &said, &code));
    CU_ASSERT_EQUAL(code, EXIT_INFEASIBLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "no core of this wafer works"));
    free(said);
    arena_free(&a);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"reading", test_reading},   {"links", test_links},        {"errors", test_errors},
        {"too many", test_too_many}, {"keep-outs", test_keepouts}, CU_TEST_INFO_NULL,
    };
    return suite_run("defects", tests);
}
