/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/published.c - costs of operations on the wse2 preset against published cycles.
 *
 * GEMM: pr0f3ss/SpMM_Cerebras (2023), compute phase, Kt x M calls of fmacs of Nt elements in
 * two nested loops; their average cycles. fmuls: one call, same source. The tables of
 * docs/fidelity.md are what this prints. */
#include <math.h>
#include <string.h>

#include "passes/passes.h"
#include "runtime/format/program.h"
#include "tests/common/suite.h"

/* Set-up and duration of the `at`-th operation of a text. */
static double cycles_of(const char *ops, uint32_t at)
{
    Arena a = {0};
    Diag d;
    Machine m;
    Class c;
    char text[512];
    double cycles = -1;
    static const uint32_t counters[PROGRAM_DEPTH] = {0};
    int n = snprintf(text, sizeof text, "class 0 \"c\" data=0 {\n%s\n}\n", ops);
    diag_init(&d, "test");
    if (machine_load(&d, "wse2", &m) &&
        program_parse(&a, &d, diag_add_source(&d, "op", text, (size_t)n), &c)) {
        OpTime t = op_time(&m, &c.ops[at], NULL, counters);
        cycles = (double)t.setup + t.duration;
    }
    diag_finish(&d);
    arena_free(&a);
    return cycles;
}

static void gemm(void)
{
    static const struct {
        const char *cores;
        double calls, cycles;
        int length;
    } cases[] = {
        {"2 x 2", 256, 9756, 8},       {"2 x 2", 1024, 38844, 8},     {"2 x 2", 1024, 88795, 32},
        {"2 x 2", 4096, 357853, 32},   {"16 x 12", 3072, 476866, 64}, {"16 x 48", 3072, 477315, 64},
        {"128 x 8", 512, 150760, 128}, {"512 x 8", 512, 150759, 128},
    };
    printf("\n  cores      calls x length   measured      ours   ratio\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char op[256];
        snprintf(op, sizeof op,
                 "loop 9 { mac [1, 1, 1, %d] f32 m[8192 + 4*i0 : 0 0 0 1] <- "
                 "f32 m[16384 + 4*i0 : 0 0 0 1], f32 m[24576 + 4*i0 : 0 0 0 0] }",
                 cases[i].length);
        double ours = cases[i].calls * cycles_of(op, 1);
        printf("  %-8s %7.0f x %-6d %10.0f %9.0f   %.3f\n", cases[i].cores, cases[i].calls,
               cases[i].length, cases[i].cycles, ours, ours / cases[i].cycles);
        CU_ASSERT_TRUE(fabs(ours / cases[i].cycles - 1) < 0.05);
    }
}

static void multiply(void)
{
    static const struct {
        int n, second; /* address of the second source: whether the banks conflict */
        double cycles;
    } cases[] = {
        {5124, 24596, 5130}, {5124, 24592, 10254}, {1028, 24596, 1034}, {1028, 24592, 2062}};
    printf("\n  fmuls      n   banks     measured      ours\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char op[256];
        snprintf(op, sizeof op,
                 "mul [1, 1, 1, %d] f32 m[4096 : 0 0 0 1] <- f32 m[4096 : 0 0 0 1], "
                 "f32 m[%d : 0 0 0 1]",
                 cases[i].n, cases[i].second);
        double ours = cycles_of(op, 0);
        printf("  %10d   %-9s %8.0f %9.0f\n", cases[i].n,
               cases[i].second % 8 == 4 ? "apart" : "conflict", cases[i].cycles, ours);
        CU_ASSERT_TRUE(fabs(ours / cases[i].cycles - 1) < 0.05);
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"GEMM of fmacs", gemm}, {"fmuls and banks", multiply}, CU_TEST_INFO_NULL};
    return suite_run("published costs", tests);
}
