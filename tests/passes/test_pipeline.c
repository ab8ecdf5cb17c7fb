/* SPDX-License-Identifier: Apache-2.0 */
/* tests/passes/test_pipeline.c - the runner of passes: dumps, order, times, unknown names. */
#include "passes/passes.h"
#include "tests/ir/graph_testing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/support/io.h"
#include "tests/common/suite.h"

static const char model[] = "graph \"g\" {\n"
                            "  %0 = input \"x\" : f32[2]\n"
                            "  %1 = const @fc.weight : f32[3, 2]\n"
                            "  %2 = linear(%0, %1) \"y\" {bias = false} : f32[3]\n"
                            "  output \"y\" = %2\n"
                            "}\n";

typedef struct Run {
    Capture c;
    PassContext cx;
    PipelineOptions options;
    PipelineTimes times;
    char *out;
    size_t len;
} Run;

static void begin(Run *r)
{
    memset(r, 0, sizeof *r);
    capture_begin(&r->c);
    r->cx.diag = &r->c.diag;
    r->cx.arena = &r->c.arena;
    r->cx.graph = graph_from(&r->c, model);
    CU_ASSERT_PTR_NOT_NULL_FATAL(r->cx.graph);
    r->options.out = open_memstream(&r->out, &r->len);
    r->options.verify_each = true;
    r->options.stop_after = "partition";
}

static bool run(Run *r)
{
    bool ok = pipeline_run(&r->cx, &r->options, &r->times);
    fflush(r->options.out);
    return ok;
}

static void end(Run *r)
{
    fclose(r->options.out);
    free(r->out);
    capture_end(&r->c);
}

static void dumps(void)
{
    Run r;
    begin(&r);
    r.options.print_after = "fuse";
    CU_ASSERT_TRUE(run(&r));
    CU_ASSERT_PTR_NOT_NULL(strstr(r.out, "# after fuse\ngraph \"g\" {\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(r.out, ": f32[3] kernel=0 loc(1:"));
    CU_ASSERT_PTR_NULL(strstr(r.out, "# after fold"));
    end(&r);

    begin(&r);
    r.options.print_after = "all";
    r.options.time_passes = true;
    CU_ASSERT_TRUE(run(&r));
    const char *fold = strstr(r.out, "# after fold\n");
    const char *plan = strstr(r.out, "# after partition\nplan \"g\"\nkernel 0 \"fc\" matvec");
    CU_ASSERT_TRUE(fold != NULL && plan != NULL && fold < plan);
    CU_ASSERT_PTR_NOT_NULL(strstr(r.out, " ms\n"));
    CU_ASSERT_STRING_EQUAL(r.times.pass[0].name, "fold");
    CU_ASSERT_STRING_EQUAL(r.times.pass[r.times.n - 1].name, "partition");
    end(&r);
}

static void stop(void)
{
    Run r;
    begin(&r);
    r.options.stop_after = "fuse";
    CU_ASSERT_TRUE(run(&r));
    CU_ASSERT_PTR_NULL(r.cx.plan);
    CU_ASSERT_EQUAL(r.cx.graph->nodes.data[2]->kernel, 0);
    end(&r);
}

static void unknown(void)
{
    Run r;
    begin(&r);
    r.options.print_after = "fsue";
    CU_ASSERT_FALSE(run(&r));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(said(&r.c), "--print-after: unknown pass 'fsue'; did you mean 'fuse'?"));
    CU_ASSERT_EQUAL(r.times.n, 0);
    end(&r);
}

static void temps(void)
{
    char folder[] = "/tmp/wsec-pipeline-XXXXXX";
    Run r;
    Bytes bytes;
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    begin(&r);
    r.options.save_temps = folder;
    CU_ASSERT_TRUE(run(&r));
    const char *last = NULL;
    for (unsigned i = 0; i < r.times.n; i++) {
        bool planned = i + 1 == r.times.n;
        char *path = arena_printf(&r.c.arena, "%s/%02u-%s.%s", folder, i + 1, r.times.pass[i].name,
                                  planned ? "plan" : "wir");
        CU_ASSERT_TRUE_FATAL(io_read(&r.c.diag, path, 0, &bytes));
        CU_ASSERT_TRUE(bytes.len > 0);
        if (!planned) { /* each is a graph that reads back */
            uint32_t file = diag_add_source(&r.c.diag, path, (char *)bytes.data, bytes.len);
            CU_ASSERT_PTR_NOT_NULL(graph_parse(&r.c.arena, &r.c.diag, file));
        }
        bytes_free(&bytes);
        unlink(path);
        last = path;
    }
    CU_ASSERT_PTR_NOT_NULL(last);
    CU_ASSERT_EQUAL(rmdir(folder), 0);
    r.options.save_temps = "/nowhere/there"; /* only the last folder is made */
    CU_ASSERT_FALSE(pipeline_run(&r.cx, &r.options, &r.times));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&r.c), "cannot make '/nowhere/there'"));
    end(&r);
}

static void broken(void)
{
    Run r;
    begin(&r);
    r.cx.graph->nodes.data[2]->type.extent[0] = 4;
    CU_ASSERT_FALSE(run(&r));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&r.c), "after the front end"));
    CU_ASSERT_EQUAL(diag_exit_code(&r.c.diag), EXIT_INTERNAL);
    end(&r);
}

/* Kernels of one layer's weights are numbered, past names that are taken. */
static void names(void)
{
    static const char text[] = "graph \"g\" {\n"
                               "  %0 = input \"x\" : f32[2]\n"
                               "  %1 = const @fc.weight : f32[2, 2]\n"
                               "  %2 = const @fc_2.weight : f32[2, 2]\n"
                               "  %3 = linear(%0, %1) {bias = false} : f32[2]\n"
                               "  %4 = linear(%3, %2) {bias = false} : f32[2]\n"
                               "  %5 = linear(%4, %1) {bias = false} : f32[2]\n"
                               "  %6 = linear(%5, %2) {bias = false} : f32[2]\n"
                               "  %7 = linear(%6, %1) {bias = false} : f32[2]\n"
                               "  output \"y\" = %7\n"
                               "}\n";
    static const char *const expected[] = {"fc", "fc_2", "fc_3", "fc_2_2", "fc_4"};
    Run r;
    begin(&r);
    r.cx.graph = graph_from(&r.c, text);
    CU_ASSERT_TRUE(run(&r));
    CU_ASSERT_EQUAL_FATAL(r.cx.plan->kernels.n, 5);
    for (size_t i = 0; i < 5; i++)
        CU_ASSERT_STRING_EQUAL(r.cx.plan->kernels.data[i]->name, expected[i]);
    end(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"dumps", dumps},         {"stop after", stop}, {"unknown pass", unknown}, {"temps", temps},
        {"broken graph", broken}, {"names", names},     CU_TEST_INFO_NULL,
    };
    return suite_run("pipeline", tests);
}
