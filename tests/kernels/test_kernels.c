/* SPDX-License-Identifier: Apache-2.0 */
/* tests/kernels/test_kernels.c - every kernel alone: shapes, orientations, element types. */
#include "bench.h"

#include "tests/common/suite.h"

static const char machine[] = "wse2-64x64";

/* All orientations and both types in turn, so that the number of runs stays small. */
typedef Node *Build(Bench *b);

static unsigned n_run;
static unsigned turn_of_next;

static void run(const char *label, Build *build, Place at)
{
    for (int t = 0; t < 2; t++) {
        Bench b;
        bench_begin(&b, label, machine, t ? DT_F16 : DT_F32);
        g_output(&b, build(&b));
        at.turn = turn_of_next % 4;
        at.mirror = turn_of_next / 4 % 2;
        turn_of_next += 3;
        if (!at.split)
            at.split = 1;
        if (!at.segs_in)
            at.segs_in = 1;
        if (!at.segs_out)
            at.segs_out = 1;
        double error = bench_place(&b, at) ? bench_run(&b, 3) : -1;
        if (!(error >= 0 && error < 1))
            printf("\n  %s, %s: lanes %u -> %u, split %u, segs %u -> %u, turn %u%s: %g\n", label,
                   dtype_name(b.dtype), at.lanes_in, at.lanes_out, at.split, at.segs_in,
                   at.segs_out, at.turn, at.mirror ? " mirrored" : "", error);
        CU_ASSERT_TRUE(error >= 0 && error < 1);
        n_run++;
        bench_end(&b);
    }
}

static Node *vector_linear(Bench *b)
{
    return g_linear(b, g_input(b, 23, 0, 0), 13);
}
static Node *vector_linear_relu(Bench *b)
{
    return g_unary(b, OP_RELU, vector_linear(b));
}
static Node *grouped_linear(Bench *b)
{
    return g_linear(b, g_input(b, 40, 0, 0), 28);
}
static Node *tokens_linear(Bench *b)
{
    return g_unary(b, OP_RELU, g_linear(b, g_input(b, 5, 11, 0), 7));
}
static Node *linear_residual(Bench *b)
{
    Node *x = g_linear(b, g_input(b, 4, 9, 0), 6);
    return g_unary(b, OP_RELU, g_binary(b, OP_ADD, x, g_input(b, 4, 6, 0)));
}

static void matvec(void)
{
    for (uint32_t in = 1; in <= 5; in += 2)
        for (uint32_t out = 1; out <= 4; out += 3)
            run("linear", vector_linear, (Place){.lanes_in = in, .lanes_out = out});
    run("linear", vector_linear, (Place){.lanes_in = 23, .lanes_out = 13});
    run("linear", vector_linear, (Place){.lanes_in = 2, .lanes_out = 13});
    /* Groups of lanes with uneven blocks, which repeat: 8 of 3, 4 of 5; 2 of 3. */
    run("grouped", grouped_linear, (Place){.lanes_in = 24, .lanes_out = 20});
    run("grouped", grouped_linear, (Place){.lanes_in = 6, .lanes_out = 24});
    run("linear relu", vector_linear_relu, (Place){.lanes_in = 4, .lanes_out = 3});
    run("linear relu", vector_linear_relu, (Place){.lanes_in = 1, .lanes_out = 1});
    run("tokens", tokens_linear, (Place){.lanes_in = 3, .lanes_out = 2});
    run("tokens", tokens_linear, (Place){.lanes_in = 11, .lanes_out = 7});
    for (uint32_t in = 1; in <= 3; in++)
        run("residual", linear_residual, (Place){.lanes_in = in, .lanes_out = 4});
}

static Node *image_linear(Bench *b)
{
    return g_linear(b, g_flatten(b, g_unary(b, OP_RELU, g_input(b, 4, 5, 7)), "hwc"), 6);
}
static Node *image_linear_chw(Bench *b)
{
    Node *x = g_flatten(b, g_unary(b, OP_RELU, g_input(b, 4, 5, 7)), "chw");
    return g_unary(b, OP_RELU, g_linear(b, x, 6));
}

static void accumulate(void)
{
    Build *all[] = {image_linear, image_linear_chw};
    for (int i = 0; i < 2; i++) {
        run("flat", all[i], (Place){.lanes_in = 1, .lanes_out = 1});
        run("flat", all[i], (Place){.lanes_in = 2, .lanes_out = 5, .split = 3});
        run("flat", all[i], (Place){.lanes_in = 3, .lanes_out = 4, .split = 3, .segs_in = 2});
        run("flat", all[i], (Place){.lanes_in = 7, .lanes_out = 2, .split = 4, .segs_in = 5});
    }
}

static Node *conv3(Bench *b)
{
    return g_conv(b, g_input(b, 7, 9, 5), 6, 3, 1, 1);
}
static Node *conv5(Bench *b)
{
    return g_unary(b, OP_RELU, g_conv(b, g_input(b, 9, 8, 3), 4, 5, 1, 0));
}
static Node *conv_stride(Bench *b)
{
    return g_conv(b, g_input(b, 8, 11, 3), 5, 3, 2, 1);
}
static Node *conv_1x1(Bench *b)
{
    return g_unary(b, OP_RELU, g_conv(b, g_input(b, 4, 6, 7), 5, 1, 1, 0));
}
static Node *conv_1x1_stride(Bench *b)
{
    return g_conv(b, g_input(b, 5, 6, 4), 5, 1, 2, 0);
}
static Node *conv_residual(Bench *b)
{
    Node *x = g_conv(b, g_input(b, 6, 7, 4), 5, 3, 1, 1);
    return g_unary(b, OP_RELU, g_binary(b, OP_ADD, x, g_input(b, 6, 7, 5)));
}

static void conv(void)
{
    run("conv 3x3", conv3, (Place){.lanes_in = 2, .lanes_out = 3, .split = 9, .segs_out = 2});
    run("conv 5x5", conv5, (Place){.lanes_in = 1, .lanes_out = 4, .split = 15});
    run("conv stride 2", conv_stride, (Place){.lanes_in = 3, .lanes_out = 2, .split = 6});
    Build *all[] = {conv3, conv5, conv_stride, conv_1x1, conv_1x1_stride, conv_residual};
    static const char *const name[] = {"conv 3x3", "conv 5x5",          "conv stride 2",
                                       "conv 1x1", "conv 1x1 stride 2", "conv residual"};
    for (int i = 0; i < 6; i++) {
        bool window = i != 3, one = i == 4;
        run(name[i], all[i], (Place){.lanes_in = 1, .lanes_out = 1});
        run(name[i], all[i],
            (Place){.lanes_in = 2, .lanes_out = 3, .split = window && !one ? 3 : 1});
        run(name[i], all[i],
            (Place){.lanes_in = 3,
                    .lanes_out = 4,
                    .segs_in = 2,
                    .segs_out = window ? 3 : 2,
                    .split = window && !one ? 2 : 1});
    }
}

/* Pooling behind a convolution, and as a kernel of its own. */
static Node *conv_pool(Bench *b)
{
    return g_pool(b, OP_MAX_POOL, g_unary(b, OP_RELU, g_conv(b, g_input(b, 8, 9, 3), 5, 3, 1, 1)),
                  2, 0, 0);
}
static Node *conv_pool_overlap(Bench *b)
{
    return g_pool(b, OP_MAX_POOL, g_conv(b, g_input(b, 9, 11, 3), 5, 3, 2, 1), 3, 2, 1);
}
static Node *conv_avg(Bench *b)
{
    Node *x = g_pool(b, OP_AVG_POOL, g_conv(b, g_input(b, 8, 8, 3), 4, 1, 1, 0), 3, 2, 1);
    return g_unary(b, OP_RELU, g_binary(b, OP_ADD, x, g_const(b, 4, 0, 0)));
}
static Node *max_pool(Bench *b)
{
    return g_pool(b, OP_MAX_POOL, g_input(b, 7, 9, 5), 2, 0, 0);
}
static Node *max_pool_overlap(Bench *b)
{
    return g_pool(b, OP_MAX_POOL, g_input(b, 7, 10, 5), 3, 2, 1);
}
static Node *avg_pool_overlap(Bench *b)
{
    return g_pool(b, OP_AVG_POOL, g_input(b, 6, 8, 5), 3, 1, 1);
}
static Node *global_max(Bench *b)
{
    return g_pool(b, OP_GLOBAL_MAX_POOL, g_input(b, 5, 6, 7), 0, 0, 0);
}
static Node *global_avg(Bench *b)
{
    return g_unary(b, OP_RELU, g_pool(b, OP_GLOBAL_AVG_POOL, g_input(b, 5, 6, 7), 0, 0, 0));
}

static void pools(void)
{
    Build *fused[] = {conv_pool, conv_pool_overlap, conv_avg};
    static const char *const name[] = {"conv max_pool", "conv max_pool 3x3", "conv avg_pool"};
    for (int i = 0; i < 3; i++) {
        uint32_t split = i < 2 ? 2 : 1;
        run(name[i], fused[i], (Place){.lanes_in = 1, .lanes_out = 1});
        run(name[i], fused[i], (Place){.lanes_in = 3, .lanes_out = 4, .split = split});
        run(name[i], fused[i], (Place){.lanes_in = 2, .lanes_out = 3, .segs_in = 2, .segs_out = 3});
    }
    Build *alone[] = {max_pool, max_pool_overlap, avg_pool_overlap, global_max, global_avg};
    static const char *const alone_name[] = {"max_pool", "max_pool 3x3", "avg_pool 3x3",
                                             "global_max_pool", "global_avg_pool"};
    for (int i = 0; i < 5; i++)
        for (uint32_t lanes = 1; lanes <= 5; lanes += 2)
            run(alone_name[i], alone[i],
                (Place){.lanes_in = lanes,
                        .lanes_out = lanes,
                        .segs_in = 1 + lanes / 2,
                        .segs_out = lanes == 3 ? 2 : 1});
}

/* Elementwise: every operator, with constants of every kind and with a second stream. */
static Opkind ew_op;
static int ew_kind;
static Node *elementwise(Bench *b)
{
    Node *x = g_input(b, 4, 5, 6), *y = NULL;
    switch (ew_kind) {
    case 0:
        y = g_number(b, 0.25f);
        break;
    case 1:
        y = g_const(b, 6, 0, 0);
        break;
    case 2:
        y = g_const(b, 4, 5, 6);
        break;
    case 3:
        y = g_const(b, 4, 1, 1);
        break;
    case 4:
        y = g_input(b, 4, 5, 6);
        break;
    case 5:
        y = g_input(b, 6, 0, 0);
        break;
    }
    return ew_op == OP_SUB && ew_kind % 2 ? g_binary(b, ew_op, y, x) : g_binary(b, ew_op, x, y);
}
static Node *chain_of_steps(Bench *b)
{
    Node *x = g_binary(b, OP_MUL, g_input(b, 3, 8, 0), g_const(b, 8, 0, 0));
    x = g_binary(b, OP_ADD, x, g_const(b, 3, 8, 0));
    x = g_binary(b, OP_SUB, g_number(b, 1), x);
    return g_norm(b, g_unary(b, OP_RELU, x));
}
static Node *norm(Bench *b)
{
    return g_norm(b, g_input(b, 3, 4, 5));
}

static void lines(void)
{
    static const Opkind ops[] = {OP_ADD, OP_SUB, OP_MUL, OP_MIN, OP_MAX};
    for (int i = 0; i < 5; i++)
        for (ew_kind = 0; ew_kind < 6; ew_kind++) {
            ew_op = ops[i];
            uint32_t lanes = 1 + (uint32_t)(i + ew_kind) % 4;
            run(op_info[ew_op].text, elementwise,
                (Place){.lanes_in = lanes, .lanes_out = lanes, .segs_in = 1 + (uint32_t)i % 3});
        }
    for (uint32_t lanes = 1; lanes <= 4; lanes += 3) {
        run("steps", chain_of_steps, (Place){.lanes_in = lanes, .lanes_out = lanes});
        run("batch_norm", norm, (Place){.lanes_in = lanes, .lanes_out = lanes, .segs_in = 2});
    }
}

static Opkind reduction;
static Node *reduce_vector(Bench *b)
{
    return g_unary(b, reduction, g_input(b, 11, 0, 0));
}
static Node *reduce_image(Bench *b)
{
    return g_unary(b, reduction, g_input(b, 3, 5, 7));
}

static void reductions(void)
{
    static const Opkind ops[] = {OP_SUM, OP_MEAN, OP_REDUCE_MAX, OP_ARGMAX};
    for (int i = 0; i < 4; i++) {
        reduction = ops[i];
        for (uint32_t lanes = 1; lanes <= 7; lanes += lanes) {
            run(op_info[reduction].text, reduce_vector, (Place){.lanes_in = lanes, .lanes_out = 1});
            run(op_info[reduction].text, reduce_image,
                (Place){.lanes_in = lanes, .lanes_out = 1, .segs_in = 1 + lanes / 2});
        }
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {{"linear on vectors and tokens", matvec},
                                        {"linear over images", accumulate},
                                        {"convolution", conv},
                                        {"pooling", pools},
                                        {"elementwise", lines},
                                        {"reductions", reductions},
                                        CU_TEST_INFO_NULL};
    int bad = suite_run("kernels", tests);
    printf("%u kernels run\n", n_run);
    return bad;
}
