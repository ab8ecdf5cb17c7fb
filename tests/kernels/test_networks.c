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
    static const uint32_t cores[] = {30, 600};
    for (int i = 0; i < 2; i++) {
        network("mlp", mlp, cores[i]);
        network("residual mlp", residual_mlp, cores[i]);
        network("lenet", small_lenet, cores[i]);
        network("residual convolutions", residual_convs, cores[i]);
        network("tokens", tokens, cores[i]);
    }
}

/* ---- every operator of the table ---- */

static Opkind op_now;
static int shape_now;

static Node *one_operator(Bench *b)
{
    static const int64_t image[2][3] = {{7, 9, 5}, {6, 11, 3}}, tokens_of[2][2] = {{3, 13}, {5, 7}};
    const int64_t *i = image[shape_now], *t = tokens_of[shape_now];
    switch (op_now) {
    case OP_INPUT:
    case OP_CONST:
        return g_binary(b, OP_ADD, g_input(b, t[0], t[1], 0), g_const(b, t[1], 0, 0));
    case OP_CONV2D:
        return g_conv(b, g_input(b, i[0], i[1], i[2]), 4, 3, 1 + shape_now, 1);
    case OP_LINEAR:
        return g_linear(b, g_input(b, t[0], t[1], 0), 9);
    case OP_MATMUL:
        return g_binary(b, OP_MATMUL, g_input(b, t[0], t[1], 0), g_const(b, t[1], 6, 0));
    case OP_BATCH_NORM:
        return g_norm(b, g_input(b, i[0], i[1], i[2]));
    case OP_MAX_POOL:
    case OP_AVG_POOL:
        return g_pool(b, op_now, g_input(b, i[0], i[1], i[2]), 3, 2, 1);
    case OP_GLOBAL_MAX_POOL:
    case OP_GLOBAL_AVG_POOL:
        return g_pool(b, op_now, g_input(b, i[0], i[1], i[2]), 0, 0, 0);
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_MIN:
    case OP_MAX:
        return g_binary(b, op_now, g_input(b, i[0], i[1], i[2]), g_input(b, i[0], i[1], i[2]));
    case OP_RELU:
    case OP_SUM:
    case OP_MEAN:
    case OP_REDUCE_MAX:
    case OP_ARGMAX:
        return g_unary(b, op_now, g_input(b, i[0], i[1], i[2]));
    case OP_RESHAPE:
    case OP_TRANSPOSE: {
        Node *x = g_unary(b, OP_RELU, g_input(b, i[0], i[1], i[2]));
        if (op_now == OP_TRANSPOSE)
            x = g_view(b, op_now, x, 2, 0, 1);
        return g_linear(b, g_view(b, OP_RESHAPE, x, i[0] * i[1] * i[2], 0, 0), 5);
    }
    case OP_FLATTEN:
        return g_linear(b, g_flatten(b, g_unary(b, OP_RELU, g_input(b, i[0], i[1], i[2])), "chw"),
                        5);
    case OP_COUNT:
        break;
    }
    return NULL;
}

static void operators(void)
{
    for (op_now = 0; op_now < OP_COUNT; op_now++)
        for (shape_now = 0; shape_now < 2; shape_now++) {
            network(op_info[op_now].text, one_operator, 8);
            network(op_info[op_now].text, one_operator, 400);
        }
}

/* ---- the estimate against the simulated period of the kernel alone ---- */

static Node *fc_784(Bench *b)
{
    return g_unary(b, OP_RELU, g_linear(b, g_input(b, 784, 0, 0), 128));
}
static Node *fc_128(Bench *b)
{
    return g_linear(b, g_input(b, 128, 0, 0), 10);
}
static Node *fc_tokens(Bench *b)
{
    return g_linear(b, g_input(b, 12, 64, 0), 48);
}
static Node *lenet_conv1(Bench *b)
{
    return g_pool(b, OP_MAX_POOL, g_unary(b, OP_RELU, g_conv(b, g_input(b, 28, 28, 1), 6, 5, 1, 2)),
                  2, 0, 0);
}
static Node *lenet_conv2(Bench *b)
{
    return g_pool(b, OP_MAX_POOL,
                  g_unary(b, OP_RELU, g_conv(b, g_input(b, 14, 14, 6), 16, 5, 1, 2)), 2, 0, 0);
}
static Node *conv_3x3(Bench *b)
{
    return g_conv(b, g_input(b, 14, 14, 16), 16, 3, 1, 1);
}
static Node *conv_1x1(Bench *b)
{
    return g_conv(b, g_input(b, 14, 14, 16), 32, 1, 1, 0);
}
static Node *pool_alone(Bench *b)
{
    return g_pool(b, OP_MAX_POOL, g_input(b, 28, 28, 8), 2, 0, 0);
}
static Node *sum_alone(Bench *b)
{
    return g_unary(b, OP_SUM, g_input(b, 16, 16, 12));
}
static Node *join_alone(Bench *b)
{
    return g_unary(b, OP_RELU, g_binary(b, OP_ADD, g_input(b, 14, 14, 8), g_input(b, 14, 14, 8)));
}

static void estimates(void)
{
    static const struct {
        const char *name;
        Build *build;
        Place at;
    } cases[] = {
        {"linear 784 -> 128", fc_784, {.lanes_in = 28, .lanes_out = 16, .split = 1}},
        {"linear 784 -> 128", fc_784, {.lanes_in = 7, .lanes_out = 32, .split = 1}},
        {"linear 128 -> 10", fc_128, {.lanes_in = 8, .lanes_out = 5, .split = 1}},
        {"linear 12 x 64 -> 48", fc_tokens, {.lanes_in = 8, .lanes_out = 6, .split = 1}},
        {"LeNet conv1 and pool", lenet_conv1, {.lanes_in = 1, .lanes_out = 6, .split = 1}},
        {"LeNet conv1 and pool", lenet_conv1, {.lanes_in = 1, .lanes_out = 6, .split = 5}},
        {"LeNet conv2 and pool", lenet_conv2, {.lanes_in = 6, .lanes_out = 8, .split = 5}},
        {"conv 3x3 16 -> 16", conv_3x3, {.lanes_in = 8, .lanes_out = 8, .split = 1}},
        {"conv 3x3 16 -> 16", conv_3x3, {.lanes_in = 4, .lanes_out = 8, .split = 3}},
        {"conv 1x1 16 -> 32", conv_1x1, {.lanes_in = 4, .lanes_out = 8, .split = 1}},
        {"max_pool", pool_alone, {.lanes_in = 4, .lanes_out = 4, .split = 1}},
        {"sum", sum_alone, {.lanes_in = 4, .lanes_out = 1, .split = 1}},
        {"add and relu", join_alone, {.lanes_in = 4, .lanes_out = 4, .split = 1}},
    };
    printf("\n  kernel                 type  lanes     split  estimate    period   ratio\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int t = 0; t < 2; t++) {
            Bench b;
            Place at = cases[i].at;
            at.segs_in = at.segs_out = 1;
            bench_begin(&b, cases[i].name, "wse2", t ? DT_F16 : DT_F32);
            g_output(&b, cases[i].build(&b));
            double period = bench_place(&b, at) ? bench_period(&b, 16) : -1;
            CU_ASSERT_TRUE(period > 0);
            if (period > 0) {
                uint64_t estimate = b.cx.plan->kernels.data[0]->shape.cycles;
                double ratio = period / (double)estimate;
                CU_ASSERT_DOUBLE_EQUAL(ratio, 1.0, 0.05);
                printf("  %-22s %-4s  %3u -> %-3u %4u %9llu %9.1f  %6.3f\n", cases[i].name,
                       dtype_name(b.dtype), at.lanes_in, at.lanes_out, at.split,
                       (unsigned long long)estimate, period, ratio);
            }
            bench_end(&b);
        }
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {{"networks through the planner", networks},
                                        {"every operator", operators},
                                        {"estimates", estimates},
                                        CU_TEST_INFO_NULL};
    return suite_run("kernel networks", tests);
}
