/* SPDX-License-Identifier: Apache-2.0 */
/* tests/passes/test_graph_passes.c - every graph pass: a golden before and after, and on random
 * graphs that no pass changes what the network computes. */
#include "passes/passes.h"
#include "tests/common/suite.h"
#include "tests/ir/graph_testing.h"

#include <math.h>
#include <string.h>

typedef bool (*Pass)(PassContext *cx);

/* Runs passes on a graph text; the result must be `after` (not looked at if NULL). */
static Graph *run(Capture *c, const Pass *passes, size_t n, const char *before, const char *after)
{
    Graph *g = graph_from(c, before);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    PassContext cx = {.diag = &c->diag, .graph = g, .arena = &c->arena};
    for (size_t i = 0; i < n; i++) {
        CU_ASSERT_TRUE(passes[i](&cx));
        CU_ASSERT_TRUE(graph_verify(&c->diag, g, "the pass"));
    }
    if (after != NULL)
        check_graph(g, after);
    CU_ASSERT_STRING_EQUAL(said(c), "");
    return g;
}

static void golden(Pass pass, const char *before, const char *after)
{
    Capture c;
    capture_begin(&c);
    run(&c, &pass, 1, before, after);
    capture_end(&c);
}

static void fold(void)
{
    golden(pass_fold,
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[2]\n"
           "  %1 = const [1, 2, 3, 4] : f32[2, 2]\n"
           "  %2 = transpose(%1) {axes = [1, 0]} : f32[2, 2]\n"
           "  %3 = const [0x1p+1] : f32[]\n"
           "  %4 = mul(%2, %3) \"w\" : f32[2, 2]\n"
           "  %5 = const @unknown : f32[2]\n"
           "  %6 = relu(%5) : f32[2]\n"
           "  %7 = linear(%0, %4, %6) {bias = true} : f32[2]\n"
           "  output \"y\" = %7\n"
           "}\n",
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[2]\n"
           "  %1 = const [0x1p+1, 0x1.8p+2, 0x1p+2, 0x1p+3] \"w\" : f32[2, 2]\n"
           "  %2 = const ~unknown.relu : f32[2]\n"
           "  %3 = linear(%0, %1, %2) {bias = true} : f32[2]\n"
           "  output \"y\" = %3\n"
           "}\n");
    /* one rounding to the type */
    golden(pass_fold,
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f16[1]\n"
           "  %1 = const [0x1p+0] : f16[1]\n"
           "  %2 = const [0x1.ffcp-12] : f16[1]\n"
           "  %3 = add(%1, %2) : f16[1]\n"
           "  %4 = add(%0, %3) : f16[1]\n"
           "  output \"y\" = %4\n"
           "}\n",
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f16[1]\n"
           "  %1 = const [0x1p+0] : f16[1]\n"
           "  %2 = add(%0, %1) : f16[1]\n"
           "  output \"y\" = %2\n"
           "}\n");
}

static void cse(void)
{
    golden(pass_cse,
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[2]\n"
           "  %1 = const @w : f32[2]\n"
           "  %2 = const @w : f32[2]\n"
           "  %3 = const [0x1p+0] : f32[1]\n"
           "  %4 = const [0x1p+0] : f32[]\n"
           "  %5 = const [0x1p+0] : f32[1]\n"
           "  %6 = add(%0, %1) : f32[2]\n"
           "  %7 = add(%2, %0) \"sum\" : f32[2]\n"
           "  %8 = sub(%0, %1) : f32[2]\n"
           "  %9 = sub(%1, %0) : f32[2]\n"
           "  %10 = mul(%6, %3) : f32[2]\n"
           "  %11 = mul(%7, %5) : f32[2]\n"
           "  %12 = mul(%7, %4) : f32[2]\n"
           "  output \"a\" = %8\n"
           "  output \"b\" = %9\n"
           "  output \"c\" = %10\n"
           "  output \"d\" = %11\n"
           "  output \"e\" = %12\n"
           "}\n",
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[2]\n"
           "  %1 = const @w : f32[2]\n"
           "  %2 = const [0x1p+0] : f32[1]\n"
           "  %3 = const [0x1p+0] : f32[]\n"
           "  %4 = add(%0, %1) \"sum\" : f32[2]\n"
           "  %5 = sub(%0, %1) : f32[2]\n"
           "  %6 = sub(%1, %0) : f32[2]\n"
           "  %7 = mul(%4, %2) : f32[2]\n"
           "  %8 = mul(%4, %3) : f32[2]\n"
           "  output \"a\" = %5\n"
           "  output \"b\" = %6\n"
           "  output \"c\" = %7\n"
           "  output \"d\" = %7\n"
           "  output \"e\" = %8\n"
           "}\n");
    /* attributes tell nodes apart */
    golden(pass_cse,
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[2, 2, 1]\n"
           "  %1 = flatten(%0) {order = \"hwc\"} : f32[4]\n"
           "  %2 = flatten(%0) {order = \"whc\"} : f32[4]\n"
           "  %3 = flatten(%0) {order = \"hwc\"} : f32[4]\n"
           "  output \"a\" = %1\n"
           "  output \"b\" = %2\n"
           "  output \"c\" = %3\n"
           "}\n",
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[2, 2, 1]\n"
           "  %1 = flatten(%0) {order = \"hwc\"} : f32[4]\n"
           "  %2 = flatten(%0) {order = \"whc\"} : f32[4]\n"
           "  output \"a\" = %1\n"
           "  output \"b\" = %2\n"
           "  output \"c\" = %1\n"
           "}\n");
}

static void dce(void)
{
    golden(pass_dce,
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[2]\n"
           "  %1 = input \"unused\" : f32[2]\n"
           "  %2 = relu(%1) : f32[2]\n"
           "  %3 = relu(%0) : f32[2]\n"
           "  %4 = add(%2, %3) : f32[2]\n"
           "  output \"y\" = %3\n"
           "}\n",
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[2]\n"
           "  %1 = input \"unused\" : f32[2]\n"
           "  %2 = relu(%0) : f32[2]\n"
           "  output \"y\" = %2\n"
           "}\n");
}

#define NORM_OF(x, out)                                                                            \
    "  %3 = const [0x1p+2, 0x1p+3] \"n.weight\" : f32[2]\n"                                        \
    "  %4 = const [0x1p+0, 0x1p+1] \"n.bias\" : f32[2]\n"                                          \
    "  %5 = const [0x1p+1, 0x1p+1] : f32[2]\n"                                                     \
    "  %6 = const [0x1.8p+1, 0x1.ep+3] : f32[2]\n"                                                 \
    "  %7 = batch_norm(" x ", %3, %4, %5, %6) \"n\" {eps = 0x1p+0} : f32[" out "]\n"

static void batch_norm(void)
{
    /* scale 4 / 2 and 8 / 4, shift 1 - 2 * 2 and 2 - 2 * 2 */
    golden(pass_batch_norm,
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[1]\n"
           "  %1 = const [0x1p+0, 0x1.8p+1] \"fc.weight\" : f32[2, 1]\n"
           "  %2 = linear(%0, %1) \"fc\" {bias = false} : f32[2]\n" NORM_OF(
               "%2", "2") "  output \"y\" = %7\n"
                          "}\n",
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[1]\n"
           "  %1 = const [0x1p+1, 0x1.8p+2] \"fc.weight.norm\" : f32[2, 1]\n"
           "  %2 = const [-0x1.8p+1, -0x1p+1] \"n.bias.norm\" : f32[2]\n"
           "  %3 = linear(%0, %1, %2) \"n\" {bias = true} : f32[2]\n"
           "  output \"y\" = %3\n"
           "}\n");
    /* the layer's own result is used too: scale and shift */
    golden(pass_batch_norm,
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[1]\n"
           "  %1 = const [0x1p+0, 0x1.8p+1] \"fc.weight\" : f32[2, 1]\n"
           "  %2 = linear(%0, %1) \"fc\" {bias = false} : f32[2]\n" NORM_OF(
               "%2", "2") "  output \"y\" = %7\n"
                          "  output \"z\" = %2\n"
                          "}\n",
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[1]\n"
           "  %1 = const [0x1p+0, 0x1.8p+1] \"fc.weight\" : f32[2, 1]\n"
           "  %2 = linear(%0, %1) \"fc\" {bias = false} : f32[2]\n"
           "  %3 = const [0x1p+1, 0x1p+1] \"n.weight.norm\" : f32[2]\n"
           "  %4 = mul(%2, %3) : f32[2]\n"
           "  %5 = const [-0x1.8p+1, -0x1p+1] \"n.bias.norm\" : f32[2]\n"
           "  %6 = add(%4, %5) \"n\" : f32[2]\n"
           "  output \"y\" = %6\n"
           "  output \"z\" = %2\n"
           "}\n");
    /* without weights: planned the same */
    golden(pass_batch_norm,
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[4, 4, 1]\n"
           "  %1 = const @c.weight : f32[2, 1, 1, 1]\n"
           "  %2 = const @c.bias : f32[2]\n"
           "  %3 = conv2d(%0, %1, %2) \"c\" {kernel = [1, 1], stride = [1, 1], padding = [0, 0], "
           "bias = true} : f32[4, 4, 2]\n"
           "  %4 = batch_norm(%3, %2, %2, %2, %2) \"n\" {eps = 0x0p+0} : f32[4, 4, 2]\n"
           "  output \"y\" = %4\n"
           "}\n",
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[4, 4, 1]\n"
           "  %1 = const ~c.weight.norm : f32[2, 1, 1, 1]\n"
           "  %2 = const ~c.bias.norm : f32[2]\n"
           "  %3 = conv2d(%0, %1, %2) \"n\" {kernel = [1, 1], stride = [1, 1], padding = [0, 0], "
           "bias = true} : f32[4, 4, 2]\n"
           "  output \"y\" = %3\n"
           "}\n");
}

static void canon(void)
{
    golden(pass_canon,
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[2]\n"
           "  %1 = const [1, 2, 3, 4, 5, 6] \"w\" : f32[2, 3]\n"
           "  %2 = matmul(%0, %1) \"h\" : f32[3]\n"
           "  %3 = const [0x1p+0] : f32[]\n"
           "  %4 = add(%3, %2) : f32[3]\n"
           "  %5 = sub(%3, %4) : f32[3]\n"
           "  output \"y\" = %5\n"
           "  output \"x\" = %0\n"
           "}\n",
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[2]\n"
           "  %1 = const [0x1p+0, 0x1p+2, 0x1p+1, 0x1.4p+2, 0x1.8p+1, 0x1.8p+2] \"w.T\" : f32[3, "
           "2]\n"
           "  %2 = linear(%0, %1) \"h\" {bias = false} : f32[3]\n"
           "  %3 = const [0x1p+0] : f32[]\n"
           "  %4 = add(%2, %3) : f32[3]\n"
           "  %5 = sub(%3, %4) : f32[3]\n"
           "  %6 = const [0x1p+0] : f32[]\n"
           "  %7 = mul(%0, %6) : f32[2]\n"
           "  output \"y\" = %5\n"
           "  output \"x\" = %7\n"
           "}\n");
}

static void views(void)
{
    /* chw flatten, relu behind it: relu moves above, the order goes into the weight */
    golden(pass_views,
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[1, 2, 2]\n"
           "  %1 = relu(%0) : f32[1, 2, 2]\n"
           "  %2 = flatten(%1) {order = \"chw\"} : f32[4]\n"
           "  %3 = const [0x1p-1] : f32[1]\n"
           "  %4 = mul(%2, %3) \"half\" : f32[4]\n"
           "  %5 = const [1, 2, 3, 4] \"w\" : f32[1, 4]\n"
           "  %6 = linear(%4, %5) \"y\" {bias = false} : f32[1]\n"
           "  output \"y\" = %6\n"
           "}\n",
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[1, 2, 2]\n"
           "  %1 = relu(%0) : f32[1, 2, 2]\n"
           "  %2 = const [0x1p-1] : f32[1]\n"
           "  %3 = mul(%1, %2) : f32[1, 2, 2]\n"
           "  %4 = reshape(%3) {shape = [4]} : f32[4]\n"
           "  %5 = const [0x1p+0, 0x1.8p+1, 0x1p+1, 0x1p+2] \"w.hwc\" : f32[1, 4]\n"
           "  %6 = linear(%4, %5) \"y\" {bias = false} : f32[1]\n"
           "  output \"y\" = %6\n"
           "}\n");
    /* what cancels disappears; what is over stays a transpose */
    golden(pass_views,
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[2, 3]\n"
           "  %1 = transpose(%0) {axes = [1, 0]} : f32[3, 2]\n"
           "  %2 = transpose(%1) {axes = [1, 0]} : f32[2, 3]\n"
           "  %3 = flatten(%2) {order = \"hwc\"} : f32[6]\n"
           "  %4 = reshape(%3) {shape = [1, 6]} : f32[1, 6]\n"
           "  %5 = reshape(%1) {shape = [6]} : f32[6]\n"
           "  output \"a\" = %2\n"
           "  output \"b\" = %4\n"
           "  output \"c\" = %5\n"
           "}\n",
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[2, 3]\n"
           "  %1 = transpose(%0) {axes = [1, 0]} : f32[3, 2]\n"
           "  %2 = reshape(%0) {shape = [1, 6]} : f32[1, 6]\n"
           "  %3 = reshape(%1) {shape = [6]} : f32[6]\n"
           "  output \"a\" = %0\n"
           "  output \"b\" = %2\n"
           "  output \"c\" = %3\n"
           "}\n");
    /* a permutation of features alike at every position, before a linear over the tokens */
    golden(pass_views,
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[2, 4]\n"
           "  %1 = reshape(%0) {shape = [2, 2, 2]} : f32[2, 2, 2]\n"
           "  %2 = transpose(%1) {axes = [0, 2, 1]} : f32[2, 2, 2]\n"
           "  %3 = reshape(%2) {shape = [2, 4]} : f32[2, 4]\n"
           "  %4 = const [1, 2, 3, 4] \"w\" : f32[1, 4]\n"
           "  %5 = linear(%3, %4) \"y\" {bias = false} : f32[2, 1]\n"
           "  output \"y\" = %5\n"
           "}\n",
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[2, 4]\n"
           "  %1 = const [0x1p+0, 0x1.8p+1, 0x1p+1, 0x1p+2] \"w.hwc\" : f32[1, 4]\n"
           "  %2 = linear(%0, %1) \"y\" {bias = false} : f32[2, 1]\n"
           "  output \"y\" = %2\n"
           "}\n");
}

static void legal(void)
{
    Capture c;
    capture_begin(&c);
    Graph *g = graph_from(&c, "graph \"g\" {\n"
                              "  %0 = input \"x\" : f32[4, 4]\n"
                              "  %1 = input \"v\" : f32[4, 4, 1]\n"
                              "  %2 = matmul(%0, %0) : f32[4, 4]\n"
                              "  %3 = sum(%2) : f32[4, 1]\n"
                              "  %4 = sub(%2, %3) : f32[4, 4]\n"
                              "  %5 = transpose(%4) {axes = [1, 0]} : f32[4, 4]\n"
                              "  %6 = relu(%5) : f32[4, 4]\n"
                              "  %7 = reshape(%6) {shape = [2, 8]} : f32[2, 8]\n"
                              "  %8 = relu(%7) : f32[2, 8]\n"
                              "  %9 = reshape(%8) {shape = [1, 2, 2, 4]} : f32[1, 2, 2, 4]\n"
                              "  %10 = relu(%9) : f32[1, 2, 2, 4]\n"
                              "  %11 = const @w : f32[4]\n"
                              "  %12 = reshape(%5) {shape = [16]} : f32[16]\n"
                              "  %13 = reshape(%5) {shape = [4, 1, 4]} : f32[4, 1, 4]\n"
                              "  %14 = relu(%13) : f32[4, 1, 4]\n"
                              "  output \"y\" = %10\n"
                              "  output \"w\" = %11\n"
                              "  output \"t\" = %5\n"
                              "  output \"r\" = %12\n"
                              "  output \"u\" = %14\n"
                              "}\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    PassContext cx = {.diag = &c.diag, .graph = g, .arena = &c.arena};
    CU_ASSERT_FALSE(pass_legal(&cx));
    static const char *const want[] = {
        "test.wir:4:4: error: matmul: a product of two computed tensors",
        "test.wir:6:4: error: sub: this broadcast cannot go on the fabric",
        "test.wir:7:4: error: transpose from f32[4, 4] to f32[4, 4] cannot go on the fabric",
        "test.wir:9:4: error: reshape from f32[4, 4] to f32[2, 8] cannot go on the fabric",
        "test.wir:11:4: error: reshape from f32[2, 8] to f32[1, 2, 2, 4] cannot go on the fabric",
        "test.wir:12:4: error: relu: f32[1, 2, 2, 4] cannot go on the fabric",
        "test.wir:13:4: error: output 'w' is a constant",
        "test.wir:7:4: error: transpose of an output cannot go on the fabric",
        "test.wir:14:4: error: reshape of an output cannot go on the fabric",
        "test.wir:15:4: error: reshape from f32[4, 4] to f32[4, 1, 4] cannot go on the fabric",
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), want[i]));
        if (strstr(said(&c), want[i]) == NULL)
            fprintf(stderr, "\nwanted \"%s\" in:\n%s\n", want[i], said(&c));
    }
    CU_ASSERT_EQUAL(c.diag.n_errors, sizeof want / sizeof want[0]);
    CU_ASSERT_EQUAL(diag_exit_code(&c.diag), EXIT_INPUT);
    capture_end(&c);
}

#define CONV(id, x, w, name, type, k)                                                              \
    "  %" id " = conv2d(%" x ", %" w ") \"" name "\" {kernel = [3, 3], stride = [1, 1], padding "  \
    "= [1, 1], bias = false} : " type k "\n"
#define TYPE8 "f32[8, 8, 4]"

/* A residual block with a pool, a head with a flatten, and a second output inside: as text
 * with or without the kernels that fuse assigns. */
#define RESIDUAL(k0, k1, k2, k3, k4)                                                               \
    "graph \"g\" {\n"                                                                              \
    "  %0 = input \"x\" : " TYPE8 "\n"                                                             \
    "  %1 = const @c1.weight : f32[4, 4, 3, 3]\n" CONV(                                            \
        "2", "0", "1", "c1", TYPE8,                                                                \
        k0) "  %3 = relu(%2) : " TYPE8 k0 "\n"                                                     \
            "  %4 = const @c2.weight : f32[4, 4, 3, 3]\n" CONV(                                    \
                "5", "3", "4", "c2", TYPE8,                                                        \
                k1) "  %6 = add(%0, %5) : " TYPE8 k1 "\n"                                          \
                    "  %7 = relu(%6) : " TYPE8 k1 "\n"                                             \
                    "  %8 = max_pool(%7) {kernel = [2, 2], stride = [2, 2], padding = [0, 0]} : "  \
                    "f32[4, 4, 4]" k1 "\n"                                                         \
                    "  %9 = reshape(%8) {shape = [64]} : f32[64]\n"                                \
                    "  %10 = const @fc.weight : f32[5, 64]\n"                                      \
                    "  %11 = linear(%9, %10) \"logits\" {bias = false} : f32[5]" k2 "\n"           \
                    "  %12 = argmax(%11) : i32[1]" k3 "\n"                                         \
                    "  %13 = relu(%11) : f32[5]" k4 "\n"                                           \
                    "  output \"best\" = %12\n"                                                    \
                    "  output \"logits\" = %11\n"                                                  \
                    "  output \"positive\" = %13\n"                                                \
                    "}\n"

static const char fused[] =
    RESIDUAL(" kernel=0", " kernel=1", " kernel=2", " kernel=3", " kernel=4");

#define HELD(k0, k1, k2, k3)                                                                       \
    "graph \"g\" {\n"                                                                              \
    "  %0 = input \"x\" : " TYPE8 "\n"                                                             \
    "  %1 = input \"v\" : f32[4]\n"                                                                \
    "  %2 = const @c.weight : f32[4, 4, 3, 3]\n" CONV(                                             \
        "3", "0", "2", "c", TYPE8,                                                                 \
        k0) "  %4 = mul(%3, %1) : " TYPE8 k1 "\n"                                                  \
            "  %5 = mul(%4, %1) : " TYPE8 k1 "\n"                                                  \
            "  %6 = avg_pool(%5) {kernel = [1, 1], stride = [1, 1], padding = [0, 0]} : " TYPE8 k2 \
            "\n"                                                                                   \
            "  %7 = add(%6, %0) : " TYPE8 k3 "\n"                                                  \
            "  output \"y\" = %7\n"                                                                \
            "}\n"

static void fuse(void)
{
    golden(pass_fuse, RESIDUAL("", "", "", "", ""), fused);
    /* x * x uses its operand twice: a kernel of its own with two streams */
    golden(pass_fuse,
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[4]\n"
           "  %1 = relu(%0) : f32[4]\n"
           "  %2 = mul(%1, %1) : f32[4]\n"
           "  %3 = sum(%2) : f32[1]\n"
           "  %4 = relu(%3) : f32[1]\n"
           "  output \"y\" = %4\n"
           "}\n",
           "graph \"g\" {\n"
           "  %0 = input \"x\" : f32[4]\n"
           "  %1 = relu(%0) : f32[4] kernel=0\n"
           "  %2 = mul(%1, %1) : f32[4] kernel=1\n"
           "  %3 = sum(%2) : f32[1] kernel=2\n"
           "  %4 = relu(%3) : f32[1] kernel=3\n"
           "  output \"y\" = %4\n"
           "}\n");
    /* a held operand joins line kernels only; no residual behind a pool */
    golden(pass_fuse, HELD("", "", "", ""),
           HELD(" kernel=0", " kernel=1", " kernel=2", " kernel=3"));
}

/* Where both operands could take the step, the later one does; the other one is its second
 * stream. */
static void fuse_later(void)
{
    Capture c;
    capture_begin(&c);
    Graph *g = run(&c, (Pass[]){pass_fuse}, 1,
                   "graph \"g\" {\n"
                   "  %0 = input \"x\" : f32[4]\n"
                   "  %1 = const @a.weight : f32[4, 4]\n"
                   "  %2 = linear(%0, %1) {bias = false} : f32[4]\n"
                   "  %3 = const @b.weight : f32[4, 4]\n"
                   "  %4 = linear(%0, %3) {bias = false} : f32[4]\n"
                   "  %5 = sub(%4, %2) : f32[4]\n"
                   "  output \"y\" = %5\n"
                   "}\n",
                   NULL);
    CU_ASSERT_EQUAL(g->nodes.data[2]->kernel, 0);
    CU_ASSERT_EQUAL(g->nodes.data[4]->kernel, 1);
    CU_ASSERT_EQUAL(g->nodes.data[5]->kernel, 1);
    capture_end(&c);
}

/* A long chain of passes does not all hang on a kernel that has little else to do. */
static void fuse_cost(void)
{
    Capture c;
    Text t = {0};
    capture_begin(&c);
    text_add(&t, "graph \"g\" { %0 = input \"x\" : f32[2] %1 = const @w : f32[2, 2]"
                 " %2 = linear(%0, %1) {bias = false} : f32[2]");
    for (int i = 3; i < 23; i++)
        text_printf(&t, " %%%d = add(%%%d, %%0) : f32[2] %%%d = relu(%%%d) : f32[2]", 2 * i - 3,
                    2 * i - 4, 2 * i - 2, 2 * i - 3);
    text_add(&t, " output \"y\" = %42 }");
    Graph *g = run(&c, (Pass[]){pass_fuse}, 1, t.data, NULL);
    unsigned in_first = 0, last = 0;
    for (size_t i = 0; i < g->nodes.n; i++) {
        in_first += g->nodes.data[i]->kernel == 0;
        if (g->nodes.data[i]->kernel != UINT32_MAX)
            last = g->nodes.data[i]->kernel;
    }
    CU_ASSERT_EQUAL(in_first, 1 + 4); /* LEAST_PASSES */
    CU_ASSERT_TRUE(last >= 5);
    text_free(&t);
    capture_end(&c);
}

static void partition(void)
{
    Capture c;
    Text t = {0};
    capture_begin(&c);
    Graph *g = graph_from(&c, fused);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    PassContext cx = {.diag = &c.diag, .graph = g, .arena = &c.arena};
    CU_ASSERT_TRUE_FATAL(pass_partition(&cx));
    plan_print(&t, cx.plan);
    check_text("plan \"g\"\n"
               "kernel 0 \"c1\" conv %2 conv2d, %3 relu\n"
               "  in0=s0 out0=s1\n"
               "kernel 1 \"c2\" conv %5 conv2d, %6 add, %7 relu, %8 max_pool\n"
               "  in0=s1 in1=s2 out0=s3\n"
               "kernel 2 \"fc\" matvec %11 linear\n"
               "  in0=s3 out0=s4 out1=s5 out2=s7\n"
               "kernel 3 \"argmax_12\" reduce %12 argmax\n"
               "  in0=s4 out0=s6\n"
               "kernel 4 \"relu_13\" line %13 relu\n"
               "  in0=s5 out0=s8\n"
               "stream 0 \"x -> c1\" host -> k0.0 %0: 8 x 8 x 4 f32, lanes 0, segs 1, slots 2\n"
               "stream 1 \"c1 -> c2\" k0 -> k1.0 %3: 8 x 8 x 4 f32, lanes 0, segs 1, slots 2\n"
               "stream 2 \"x -> c2\" host -> k1.1 %0: 8 x 8 x 4 f32, lanes 0, segs 1, slots 2\n"
               "stream 3 \"c2 -> fc\" k1 -> k2.0 %8: 4 x 4 x 4 f32, lanes 0, segs 1, slots 2\n"
               "stream 4 \"fc -> argmax_12\" k2 -> k3.0 %11: 1 x 1 x 5 f32, lanes 0, segs 1, "
               "slots 2\n"
               "stream 5 \"fc -> relu_13\" k2 -> k4.0 %11: 1 x 1 x 5 f32, lanes 0, segs 1, slots "
               "2\n"
               "stream 6 \"argmax_12 -> best\" k3 -> host %12: 1 x 1 x 1 i32, lanes 0, segs 1, "
               "slots 2\n"
               "stream 7 \"fc -> logits\" k2 -> host %11: 1 x 1 x 5 f32, lanes 0, segs 1, slots "
               "2\n"
               "stream 8 \"relu_13 -> positive\" k4 -> host %13: 1 x 1 x 5 f32, lanes 0, segs 1, "
               "slots 2\n",
               t.data);
    CU_ASSERT_EQUAL(cx.plan->streams.data[8]->tensor, 2);
    text_free(&t);
    capture_end(&c);
}

/* The host streams a reshaped input as it is reshaped, and takes a reshaped output back. */
static void partition_host_views(void)
{
    Capture c;
    capture_begin(&c);
    Graph *g = graph_from(&c, "graph \"g\" {\n"
                              "  %0 = input \"x\" : f32[2, 1, 2, 2]\n"
                              "  %1 = reshape(%0) {shape = [2, 4]} : f32[2, 4]\n"
                              "  %2 = relu(%1) : f32[2, 4] kernel=0\n"
                              "  %3 = reshape(%2) {shape = [8]} : f32[8]\n"
                              "  output \"y\" = %3\n"
                              "}\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    PassContext cx = {.diag = &c.diag, .graph = g, .arena = &c.arena};
    CU_ASSERT_TRUE(pass_legal(&cx));
    CU_ASSERT_TRUE_FATAL(pass_partition(&cx));
    CU_ASSERT_EQUAL_FATAL(cx.plan->streams.n, 2);
    const Stream *in = cx.plan->streams.data[0], *out = cx.plan->streams.data[1];
    CU_ASSERT_EQUAL(in->from, PLAN_HOST);
    CU_ASSERT_EQUAL(in->tensor, 0);
    CU_ASSERT_TRUE(in->protocol.rows == 2 && in->protocol.features == 4);
    CU_ASSERT_EQUAL(out->to, PLAN_HOST);
    CU_ASSERT_PTR_EQUAL(out->node, g->nodes.data[2]);
    CU_ASSERT_STRING_EQUAL(in->name, "x -> relu_2");
    capture_end(&c);
}

static void partition_fan_out(void)
{
    Capture c;
    Text t = {0};
    capture_begin(&c);
    text_add(&t, "graph \"g\" { %0 = input \"x\" : f32[2] %1 = relu(%0) \"r\" : f32[2] kernel=0");
    for (int i = 2; i < 7; i++)
        text_printf(&t, " %%%d = sum(%%1) : f32[1] kernel=%d", i, i - 1);
    for (int i = 2; i < 7; i++)
        text_printf(&t, " output \"y%d\" = %%%d", i, i);
    text_add(&t, " }");
    Graph *g = graph_from(&c, t.data);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    PassContext cx = {.diag = &c.diag, .graph = g, .arena = &c.arena};
    CU_ASSERT_FALSE(pass_partition(&cx));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), "r: the value goes to 5 receivers, a core sends at "
                                            "most 4 copies"));
    text_free(&t);
    capture_end(&c);
}

/* ---- on random graphs ---- */

static const struct {
    const char *name;
    Pass run;
} graph_passes[] = {
    {"fold", pass_fold},   {"cse", pass_cse},
    {"dce", pass_dce},     {"batch_norm", pass_batch_norm},
    {"canon", pass_canon}, {"views", pass_views},
    {"legal", pass_legal}, {"fuse", pass_fuse},
};

static bool close_to(const double *a, const double *b, size_t n, double tolerance)
{
    double most = 1;
    for (size_t i = 0; i < n; i++)
        most = fabs(a[i]) > most ? fabs(a[i]) : most;
    for (size_t i = 0; i < n; i++)
        if (!(fabs(a[i] - b[i]) <= tolerance * most))
            return false;
    return true;
}

/* Streams carry row-major order: no view that is left may change it. */
static void check_views(const Graph *g)
{
    for (size_t i = 0; i < g->nodes.n; i++)
        CU_ASSERT_TRUE(!(op_info[g->nodes.data[i]->op].flags & OPF_VIEW) ||
                       g->nodes.data[i]->op == OP_RESHAPE);
}

/* What ir/plan.h promises to the kernels. */
static void check_plan(const Plan *p)
{
    for (size_t i = 0; i < p->kernels.n; i++) {
        const Kernel *k = p->kernels.data[i];
        const Node *prev = k->anchor;
        uint32_t streams = 1, pools = (op_info[prev->op].flags & OPF_POOL) != 0;
        if ((op_info[prev->op].flags & OPF_BINARY) && prev->in[0]->op != OP_CONST)
            streams += prev->in[1]->op != OP_CONST;
        for (uint32_t j = 0; j < k->n_steps; j++) {
            const Node *n = k->steps[j];
            uint32_t at = plan_chain_operand(n, prev);
            CU_ASSERT_PTR_EQUAL_FATAL(n->in[at], prev);
            CU_ASSERT_NOT_EQUAL(k->kind, KERNEL_REDUCE);
            if (op_info[n->op].flags & OPF_BINARY) {
                bool second = n->in[1 - at]->op != OP_CONST;
                streams += second;
                CU_ASSERT_FALSE(second && pools > 0);
                if (second && k->kind != KERNEL_LINE)
                    CU_ASSERT_TRUE(protocol_same_form(&n->in[1 - at]->type, &n->type));
            } else if (n->op != OP_RELU) {
                CU_ASSERT_TRUE(n->op == OP_MAX_POOL || n->op == OP_AVG_POOL);
                CU_ASSERT_EQUAL(k->kind, KERNEL_CONV);
                pools++;
            }
            prev = n;
        }
        CU_ASSERT_PTR_EQUAL(prev, k->result);
        CU_ASSERT_TRUE(pools <= 1);
        CU_ASSERT_EQUAL_FATAL(k->n_in, streams);
        const Protocol *in = &p->streams.data[k->in[0]]->protocol;
        if (k->kind == KERNEL_MATVEC) {
            int64_t columns = k->anchor->in[1]->type.extent[1];
            CU_ASSERT_TRUE(in->features == columns ||
                           (int64_t)in->rows * in->cols * in->features == columns);
        }
        for (uint32_t j = 0; j < k->n_in; j++) {
            const Stream *s = p->streams.data[k->in[j]];
            CU_ASSERT_TRUE(s->to == (int32_t)i && s->to_input == j && s->from < (int32_t)i);
        }
        for (size_t j = 0; j < i; j++)
            CU_ASSERT_STRING_NOT_EQUAL(p->kernels.data[j]->name, k->name);
    }
}

static void random_graphs(void)
{
    unsigned planned = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        Capture c;
        Rng r = {seed * 77 + 5};
        DType dtype = seed % 5 == 0 ? DT_F16 : DT_F32;
        size_t n_before, n_after;
        capture_begin(&c);
        Graph *g = random_graph(&c.arena, &r, dtype, 2 + rng_below(&r, 14), seed % 2);
        PassContext cx = {.diag = &c.diag, .graph = g, .arena = &c.arena};
        double *before = evaluate(&c.arena, &c.diag, g, seed, &n_before);
        CU_ASSERT_PTR_NOT_NULL_FATAL(before);
        bool legal_so_far = true;
        for (size_t i = 0; legal_so_far && i < sizeof graph_passes / sizeof graph_passes[0]; i++) {
            legal_so_far = graph_passes[i].run(&cx);
            CU_ASSERT_TRUE(legal_so_far || graph_passes[i].run == pass_legal);
            CU_ASSERT_TRUE_FATAL(graph_verify(&c.diag, g, graph_passes[i].name));
            double *after = evaluate(&c.arena, &c.diag, g, seed, &n_after);
            CU_ASSERT_EQUAL_FATAL(n_after, n_before);
            bool same = close_to(before, after, n_before, dtype == DT_F16 ? 2e-2 : 1e-4);
            CU_ASSERT_TRUE(same);
            if (!same)
                fprintf(stderr, "\nseed %u: values differ after %s\n", (unsigned)seed,
                        graph_passes[i].name);
            Text text = {0};
            graph_print(&text, g, false);
            Graph *again = graph_from(&c, text.data);
            CU_ASSERT_PTR_NOT_NULL_FATAL(again);
            check_graph(again, text.data);
            text_free(&text);
        }
        if (legal_so_far && pass_partition(&cx)) {
            planned++;
            check_views(g);
            check_plan(cx.plan);
        }
        capture_end(&c);
    }
    CU_ASSERT_TRUE(planned > 100); /* else the test looks at too little */
}

/* The plan does not depend on whether the weights' values are known. */
static void without_values(void)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        Text plan[2] = {{0}, {0}};
        for (int known = 0; known < 2; known++) {
            Capture c;
            Rng r = {seed};
            capture_begin(&c);
            Graph *g = random_graph(&c.arena, &r, DT_F32, 10, false);
            PassContext cx = {.diag = &c.diag, .graph = g, .arena = &c.arena};
            for (size_t i = 0; !known && i < g->nodes.n; i++)
                if (g->nodes.data[i]->is_weight)
                    g->nodes.data[i]->value = NULL;
            bool ok = true;
            for (size_t i = 0; ok && i < sizeof graph_passes / sizeof graph_passes[0]; i++)
                ok = graph_passes[i].run(&cx);
            if (ok && pass_partition(&cx))
                plan_print(&plan[known], cx.plan);
            else
                text_add(&plan[known], "not possible");
            capture_end(&c);
        }
        check_text(plan[0].data, plan[1].data);
        text_free(&plan[0]);
        text_free(&plan[1]);
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"fold", fold},
        {"cse", cse},
        {"dce", dce},
        {"batch_norm", batch_norm},
        {"canon", canon},
        {"views", views},
        {"legal", legal},
        {"fuse", fuse},
        {"fuse takes the later", fuse_later},
        {"fuse cost", fuse_cost},
        {"partition", partition},
        {"partition of host views", partition_host_views},
        {"partition fan-out", partition_fan_out},
        {"random graphs", random_graphs},
        {"without values", without_values},
        CU_TEST_INFO_NULL,
    };
    return suite_run("graph passes", tests);
}
