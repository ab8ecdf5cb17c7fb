/* SPDX-License-Identifier: Apache-2.0 */
/* tests/kernels/test_networks.c - chains of kernels through the planner, adapters, and the
 * estimate of a kernel's cycles against the simulated period. */
#include "bench.h"

#include <math.h>
#include <string.h>

#include "tests/common/suite.h"

typedef Node *Build(Bench *b);

static void network(const char *label, Build *build, uint32_t max_cores)
{
    for (int t = 0; t < 2; t++) {
        Bench b;
        bench_begin(&b, label, "wse2-64x64", t ? DT_F16 : DT_F32);
        g_output(&b, build(&b));
        double error = bench_plan(&b, max_cores) ? bench_run(&b, 4) : -1;
        if (!(error >= 0 && error < 1))
            printf("\n  %s, %s, %u cores: %g\n", label, dtype_name(b.dtype), max_cores, error);
        CU_ASSERT_TRUE(error >= 0 && error < 1);
        bench_end(&b);
    }
}

static Node *mlp(Bench *b)
{
    Node *x = g_unary(b, OP_RELU, g_linear(b, g_input(b, 60, 0, 0), 33));
    x = g_unary(b, OP_RELU, g_linear(b, x, 21));
    return g_linear(b, x, 10);
}

static Node *residual_mlp(Bench *b)
{
    Node *x = g_unary(b, OP_RELU, g_linear(b, g_input(b, 40, 0, 0), 24));
    for (int i = 0; i < 2; i++) {
        Node *y = g_unary(b, OP_RELU, g_linear(b, x, 24));
        x = g_unary(b, OP_RELU, g_binary(b, OP_ADD, g_linear(b, y, 24), x));
    }
    return g_unary(b, OP_ARGMAX, g_linear(b, x, 10));
}

static Node *small_lenet(Bench *b)
{
    Node *x = g_unary(b, OP_RELU, g_conv(b, g_input(b, 14, 14, 1), 4, 5, 1, 2));
    x = g_pool(b, OP_MAX_POOL, x, 2, 0, 0);
    x = g_unary(b, OP_RELU, g_conv(b, x, 6, 3, 1, 0));
    x = g_pool(b, OP_MAX_POOL, x, 2, 0, 0);
    x = g_unary(b, OP_RELU, g_linear(b, g_flatten(b, x, "chw"), 20));
    return g_linear(b, x, 10);
}

static Node *residual_convs(Bench *b)
{
    Node *x = g_unary(b, OP_RELU, g_norm(b, g_conv(b, g_input(b, 9, 9, 3), 8, 3, 1, 1)));
    Node *y = g_unary(b, OP_RELU, g_conv(b, x, 8, 3, 1, 1));
    x = g_unary(b, OP_RELU, g_binary(b, OP_ADD, g_conv(b, y, 8, 3, 1, 1), x));
    y = g_conv(b, x, 12, 1, 2, 0);
    x = g_unary(b, OP_RELU, g_binary(b, OP_ADD, g_conv(b, x, 12, 3, 2, 1), y));
    return g_linear(b, g_pool(b, OP_GLOBAL_AVG_POOL, x, 0, 0, 0), 10);
}

static Node *tokens(Bench *b)
{
    Node *x = g_input(b, 6, 16, 0);
    Node *y = g_linear(b, g_unary(b, OP_RELU, g_linear(b, x, 40)), 16);
    x = g_binary(b, OP_ADD, x, y);
    return g_unary(b, OP_REDUCE_MAX, g_binary(b, OP_MUL, x, g_const(b, 16, 0, 0)));
}

static void networks(void)
{
    static const uint32_t cores[] = {30, 200, 900};
    for (int i = 0; i < 3; i++) {
        network("mlp", mlp, cores[i]);
        network("residual mlp", residual_mlp, cores[i]);
        network("lenet", small_lenet, cores[i]);
        network("residual convolutions", residual_convs, cores[i]);
        network("tokens", tokens, cores[i]);
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {{"networks through the planner", networks},
                                        CU_TEST_INFO_NULL};
    return suite_run("kernel networks", tests);
}
