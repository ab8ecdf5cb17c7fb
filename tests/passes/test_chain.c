/* SPDX-License-Identifier: Apache-2.0 */
/* tests/passes/test_chain.c - random networks through everything: graph passes, planner,
 * kernels, checker and core engine, against the reference evaluator. */
#include "tests/common/suite.h"
#include "tests/ir/graph_testing.h"
#include "tests/kernels/bench.h"

/* Errors are counted in the bench's tolerance per element; sums that cancel need some more. */
enum { CANCELLATION = 40 };

static void networks(DType dtype, uint64_t first, uint64_t count)
{
    unsigned ran = 0, branches = 0, forks = 0; /* of streams of trees: those that fork */
    for (uint64_t seed = first; seed < first + count; seed++) {
        Capture c; /* takes what is said about networks that cannot go on the fabric */
        Bench b;
        Rng r = {seed * 7919 + 1};
        char label[32];
        snprintf(label, sizeof label, "random %s %u", dtype_name(dtype), (unsigned)seed);
        capture_begin(&c);
        bench_begin(&b, label, "wse2-64x64", dtype);
        b.diag.out = c.diag.out;
        b.graph = random_graph(&b.arena, &r, dtype, 2 + rng_below(&r, 12), seed % 3 == 0);
        b.cx.graph = b.graph;
        if (bench_plan(&b, 0)) {
            double error = bench_run(&b, 2);
            CU_ASSERT_TRUE(error >= 0 && error < CANCELLATION);
            if (!(error >= 0 && error < CANCELLATION))
                fprintf(stderr, "\n%s: error %g\n%s\n", label, error, said(&c));
            ran++;
            for (size_t i = 0; i < b.cx.plan->streams.n; i++) {
                branches += b.cx.plan->streams.data[i]->trunk != NULL;
                forks += b.cx.plan->streams.data[i]->forks;
            }
        } else {
            CU_ASSERT_EQUAL(diag_exit_code(&b.diag), EXIT_INPUT);
            if (diag_exit_code(&b.diag) != EXIT_INPUT)
                fprintf(stderr, "\n%s: %s\n", label, said(&c));
        }
        bench_end(&b);
        capture_end(&c);
    }
    CU_ASSERT_TRUE(ran > count * 3 / 4);
    printf("%u networks, %u branches, %u of them forks ", ran, branches, forks);
    CU_ASSERT_TRUE(branches > count / 6 && forks > 0);
}

static void in_f32(void)
{
    networks(DT_F32, 0, 120);
}

static void in_f16(void)
{
    networks(DT_F16, 1000, 80);
}

/* Chains that fill the fabric, odd numbers of kernels: as fast as planned, near to their bound. */
static void in_rows(void)
{
    static const unsigned layers[] = {5, 7, 9, 11};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        Bench b;
        char label[32];
        snprintf(label, sizeof label, "%u layers", layers[i]);
        bench_begin(&b, label, "wse2-64x64", DT_F32);
        Node *x = g_input(&b, 128, 0, 0);
        for (unsigned k = 0; k < layers[i]; k++)
            x = g_linear(&b, x, 128);
        g_output(&b, x);
        CU_ASSERT_TRUE_FATAL(bench_plan(&b, 0));
        const Plan *plan = b.cx.plan;
        uint64_t cycles = plan_target(plan);
        CU_ASSERT_TRUE(cycles >= plan->shapes_bound && cycles * 100 <= plan->shapes_bound * 115);
        double error = bench_run(&b, 2);
        CU_ASSERT_TRUE(error >= 0 && error < CANCELLATION);
        double period = bench_period(&b, 64);
        CU_ASSERT_TRUE(period <= 1.02 * (double)cycles);
        bench_end(&b);
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"f32", in_f32},
        {"f16", in_f16},
        {"chains that fill the fabric", in_rows},
        CU_TEST_INFO_NULL,
    };
    return suite_run("random networks", tests);
}
