/* SPDX-License-Identifier: Apache-2.0 */
/* tests/ir/test_text.c - the text form of graphs reads back byte for byte. */
#include "tests/common/suite.h"
#include "tests/ir/graph_testing.h"

#include <string.h>

static const char every_op[] =
    "graph \"every op\" {\n"
    "  %0 = input \"image\" : f32[6, 5, 2]\n"
    "  %1 = const @conv1.weight : f32[3, 2, 3, 3]\n"
    "  %2 = const @\"odd name\\u000a\" : f32[3]\n"
    "  %3 = conv2d(%0, %1, %2) \"conv1\" {kernel = [3, 3], stride = [1, 1], padding = [1, 1], "
    "bias = true} : f32[6, 5, 3] kernel=0\n"
    "  %4 = const [0x1p-1, -0x0p+0, nan] \"half\" : f32[3]\n"
    "  %5 = const ~conv1.weight.norm : f32[3]\n"
    "  %6 = batch_norm(%3, %4, %5, %5, %5) {eps = 0x1.4f8b588e368f1p-17} : f32[6, 5, 3]\n"
    "  %7 = max_pool(%6) {kernel = [2, 2], stride = [2, 2], padding = [0, 0]} : f32[3, 2, 3]\n"
    "  %8 = avg_pool(%6) {kernel = [2, 3], stride = [2, 2], padding = [1, 1]} : f32[4, 3, 3]\n"
    "  %9 = global_max_pool(%7) : f32[3]\n"
    "  %10 = global_avg_pool(%8) : f32[3]\n"
    "  %11 = add(%9, %10) : f32[3]\n"
    "  %12 = sub(%11, %5) : f32[3]\n"
    "  %13 = mul(%12, %11) : f32[3]\n"
    "  %14 = min(%13, %12) : f32[3]\n"
    "  %15 = const [-0x1.8p+1] : f32[]\n"
    "  %16 = max(%14, %15) : f32[3]\n"
    "  %17 = relu(%16) : f32[3]\n"
    "  %18 = sum(%17) : f32[1]\n"
    "  %19 = mean(%7) : f32[3, 2, 1]\n"
    "  %20 = reduce_max(%17) : f32[1]\n"
    "  %21 = argmax(%17) \"best\" : i32[1]\n"
    "  %22 = flatten(%7) {order = \"chw\"} : f32[18]\n"
    "  %23 = reshape(%22) {shape = [2, 9]} : f32[2, 9]\n"
    "  %24 = transpose(%23) {axes = [1, 0]} : f32[9, 2]\n"
    "  %25 = const @fc.weight : f32[4, 2]\n"
    "  %26 = linear(%24, %25) \"fc\" {bias = false} : f32[9, 4]\n"
    "  %27 = const ~w : f32[4, 7]\n"
    "  %28 = matmul(%26, %27) : f32[9, 7]\n"
    "  output \"y\" = %28\n"
    "  output \"best\" = %21\n"
    "  output \"s\" = %18\n"
    "}\n";

static void round_trip(void)
{
    Capture c;
    capture_begin(&c);
    Graph *g = graph_from(&c, every_op);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    check_graph(g, every_op);
    CU_ASSERT_EQUAL(g->nodes.data[1]->is_weight, true);
    CU_ASSERT_EQUAL(g->nodes.data[5]->is_weight, false);
    CU_ASSERT_STRING_EQUAL(g->nodes.data[2]->name, "odd name\n");
    unsigned seen = 0;
    for (size_t i = 0; i < g->nodes.n; i++)
        seen |= 1u << g->nodes.data[i]->op;
    /* every operator of the table occurs */
    CU_ASSERT_EQUAL(seen, (1u << OP_COUNT) - 1);
    CU_ASSERT_STRING_EQUAL(said(&c), "");
    capture_end(&c);
}

static void spans(void)
{
    static const char text[] = "graph \"s\" {\n"
                               "  %0 = input \"x\" : f16[3] loc(1:0-4)\n"
                               "  %1 = relu(%0) : f16[3] kernel=2 loc(1:5-9)\n"
                               "  output \"y\" = %1\n"
                               "}\n";
    Capture c;
    Text t = {0};
    capture_begin(&c);
    CU_ASSERT_EQUAL(diag_add_source(&c.diag, "model.dsl", "x = relu(y)", 11), 1);
    Graph *g = graph_from(&c, text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    graph_print(&t, g, true);
    check_text(text, t.data);
    CU_ASSERT_EQUAL(g->nodes.data[1]->span.begin, 5);
    CU_ASSERT_EQUAL(g->nodes.data[1]->kernel, 2);
    text_free(&t);
    capture_end(&c);
}

static void random_round_trip(void)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        Capture c;
        Text first = {0};
        Rng r = {seed};
        capture_begin(&c);
        graph_print(
            &first,
            random_graph(&c.arena, &r, seed % 2 ? DT_F32 : DT_F16, 2 + rng_below(&r, 25), true),
            false);
        Graph *again = graph_from(&c, first.data);
        CU_ASSERT_PTR_NOT_NULL_FATAL(again);
        check_graph(again, first.data);
        CU_ASSERT_TRUE(graph_verify(&c.diag, again, "reading"));
        CU_ASSERT_STRING_EQUAL(said(&c), "");
        text_free(&first);
        capture_end(&c);
    }
}

static void rejects(const char *body, const char *message)
{
    Capture c;
    capture_begin(&c);
    char *text = arena_printf(&c.arena, "graph \"g\" {\n%s", body);
    CU_ASSERT_PTR_NULL(graph_from(&c, text));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), message));
    if (strstr(said(&c), message) == NULL)
        fprintf(stderr, "\nwanted \"%s\" in:\n%s\n", message, said(&c));
    capture_end(&c);
}

static void errors(void)
{
    rejects("%0 = input \"x\" : f32[3]\n%2 = relu(%0) : f32[3]\n}", "%2 where %1 comes next");
    rejects("%0 = relu(%0) : f32[3]\n}", "uses itself");
    rejects("%0 = relu(%1) : f32[3]\n}", "%1 is not defined yet");
    rejects("%0 = input \"x\" : f64[3]\n}", "expected a type");
    rejects("%0 = input \"x\" : f32[0]\n}", "extent 0 of axis 0");
    rejects("%0 = input \"x\" : f32[99999999]\n}", "extent 99999999 of axis 0");
    rejects("%0 = input \"x\" : f32[1, 1, 1, 1, 1]\n}", "more than 4 extents");
    rejects("%0 = input : f32[1]\n}", "expected a quoted name");
    rejects("%0 = blur \"x\" : f32[1]\n}", "unknown operator 'blur'");
    rejects("%0 = const [0x1p0, 1] : f32[3]\n}", "2 elements, the type has 3");
    rejects("%0 = const [zero] : f32[1]\n}", "expected a number");
    rejects("%0 = input \"x\" : f32[3]\n%1 = relu(%0) : f32[4]\n}",
            "the type says f32[4], inferred is f32[3]");
    rejects("%0 = input \"x\" : f32[3]\n%1 = relu(%0) : f32[3] loc(7:0-1)\n}", "no such place");
    rejects("%0 = input \"x : f32[3]\n}", "not closed");
    rejects("%0 = input \"x\\q\" : f32[3]\n}", "malformed escape");
    rejects("%0 = input \"x\" : f32[3]\noutput \"y\" = %3\n}", "%3 is not defined yet");
    rejects("%0 = input \"x\" : f32[3]\noutput \"y\" = %0\n} more", "text behind");
    rejects("%0 = input \"x\" : f32[3]", "expected 'output'");
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"every operator", round_trip}, {"places", spans}, {"random graphs", random_round_trip},
        {"malformed text", errors},     CU_TEST_INFO_NULL,
    };
    return suite_run("graph text", tests);
}
