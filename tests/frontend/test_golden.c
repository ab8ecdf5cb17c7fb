// SPDX-License-Identifier: Apache-2.0
// Golden files: every golden/NAME.dsl is compiled, and what is said and the graph that comes
// out must be golden/NAME.txt byte for byte; the examples' are golden/example-NAME.txt. A first
// line "# -D a=b -D c=d" sets parameters. With --update the .txt files are written instead (look at
// them before they go in).
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"
#include "ir/support/io.h"
#include "tests/common/suite.h"
#include "tests/ir/graph_testing.h"

enum { MAX_CASES = 200, MAX_DEFINES = 8 };

static bool update;

static size_t read_defines(Arena *a, const char *text, Define *result)
{
    size_t n = 0, len = strcspn(text, "\n");
    if (strncmp(text, "# -D ", 5) != 0)
        return 0;
    char *line = arena_strdup(a, text, len);
    for (char *at = line; n < MAX_DEFINES && (at = strstr(at, "-D ")) != NULL; n++) {
        char *name = at + 3, *equals = strchr(name, '=');
        at = equals + 1 + strcspn(equals + 1, " ");
        if (*at)
            *at++ = '\0';
        *equals = '\0';
        result[n] = (Define){name, equals + 1};
    }
    return n;
}

static void run_golden(const char *folder, const char *file, const char *prefix)
{
    Capture c;
    capture_begin(&c);
    c.diag.max_errors = 100;
    Bytes source = {0}, expected = {0};
    const char *path = arena_printf(&c.arena, "%s/%s", folder, file);
    const char *golden =
        arena_printf(&c.arena, GOLDEN_FOLDER "/%s%.*s.txt", prefix, (int)strlen(file) - 4, file);
    CU_ASSERT_TRUE_FATAL(io_read(&c.diag, path, 0, &source));
    const char *text = arena_strdup(&c.arena, (const char *)source.data, source.len);
    Define defines[MAX_DEFINES];
    size_t n = read_defines(&c.arena, text, defines);
    Graph *g;
    Text got = {0};
    if (frontend_compile_text(&c.arena, &c.diag, file, text, source.len, defines, n, &g)) {
        CU_ASSERT_TRUE(graph_verify(&c.diag, g, "frontend"));
        graph_print(&got, g, false);
    }
    Text all = {0};
    text_add(&all, said(&c));
    text_add(&all, got.data ? got.data : "");
    Diag plain;
    diag_init(&plain, "test");
    if (update) {
        CU_ASSERT_TRUE(io_write(&plain, golden, all.data, all.len));
    } else if (io_read(&plain, golden, 0, &expected)) {
        check_text(arena_strdup(&c.arena, (const char *)expected.data, expected.len), all.data);
    } else {
        CU_FAIL("no golden file");
    }
    diag_finish(&plain);
    bytes_free(&source);
    bytes_free(&expected);
    text_free(&got);
    text_free(&all);
    capture_end(&c);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void run_folder(const char *path, const char *prefix, int at_least)
{
    char *names[MAX_CASES];
    int n = 0;
    DIR *folder = opendir(path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(folder);
    for (struct dirent *e; n < MAX_CASES && (e = readdir(folder)) != NULL;) {
        size_t len = strlen(e->d_name);
        if (len > 4 && strcmp(e->d_name + len - 4, ".dsl") == 0)
            names[n++] = strdup(e->d_name);
    }
    closedir(folder);
    CU_ASSERT_TRUE(n >= at_least);
    qsort(names, (size_t)n, sizeof *names, by_name);
    for (int i = 0; i < n; i++) {
        run_golden(path, names[i], prefix);
        free(names[i]);
    }
}

static void test_golden(void)
{
    run_folder(GOLDEN_FOLDER, "", 20);
}

static void test_examples(void)
{
    run_folder(EXAMPLES_FOLDER, "example-", 4);
}

int main(int argc, char **argv)
{
    update = argc > 1 && strcmp(argv[1], "--update") == 0;
    static const CU_TestInfo tests[] = {
        {"golden files", test_golden},
        {"examples", test_examples},
        CU_TEST_INFO_NULL,
    };
    return suite_run("frontend.golden", tests);
}
