/* SPDX-License-Identifier: Apache-2.0 */
/* tests/ir/test_verify.c - the verifier finds broken graphs and names the pass. */
#include "tests/common/suite.h"
#include "tests/ir/graph_testing.h"

#include <string.h>

static const char good[] = "graph \"g\" {\n"
                           "  %0 = input \"x\" : f16[4, 3]\n"
                           "  %1 = const [0x1p+0, 0x1.8p+0, 0x1p+1] : f16[3]\n"
                           "  %2 = add(%0, %1) : f16[4, 3]\n"
                           "  %3 = flatten(%2) {order = \"hwc\"} : f16[12]\n"
                           "  %4 = relu(%3) : f16[12]\n"
                           "  output \"y\" = %4\n"
                           "}\n";

/* Breaks the good graph by `spoil` and wants the message. */
static void rejects(void (*spoil)(Graph *g), const char *message)
{
    Capture c;
    capture_begin(&c);
    Graph *g = graph_from(&c, good);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    CU_ASSERT_TRUE(graph_verify(&c.diag, g, "reading"));
    spoil(g);
    CU_ASSERT_FALSE(graph_verify(&c.diag, g, "testing"));
    CU_ASSERT_EQUAL(diag_exit_code(&c.diag), EXIT_INTERNAL);
    bool found = strstr(said(&c), message) != NULL && strstr(said(&c), "after testing") != NULL;
    CU_ASSERT_TRUE(found);
    if (!found)
        fprintf(stderr, "\nwanted \"%s\" in:\n%s\n", message, said(&c));
    capture_end(&c);
}

static void wrong_id(Graph *g)
{
    g->nodes.data[2]->id = 7;
}

static void wrong_order(Graph *g)
{
    Node *t = g->nodes.data[3];
    g->nodes.data[3] = g->nodes.data[4];
    g->nodes.data[4] = t;
    g->nodes.data[3]->id = 3;
    g->nodes.data[4]->id = 4;
}

static void foreign_operand(Graph *g)
{
    Node *copy = arena_new(g->arena, Node);
    *copy = *g->nodes.data[0];
    g->nodes.data[2]->in[0] = copy;
}

static void wrong_type(Graph *g)
{
    g->nodes.data[4]->type.extent[0] = 11;
}

static void bad_attribute(Graph *g)
{
    g->nodes.data[3]->attr.order = "chw";
}

static void foreign_attribute(Graph *g)
{
    g->nodes.data[4]->attr.kernel[0] = 3;
}

static void value_on_op(Graph *g)
{
    g->nodes.data[4]->value = g->nodes.data[1]->value;
}

static void not_f16(Graph *g)
{
    static const float v[3] = {1, 2, 0.1f};
    g->nodes.data[1]->value = v;
}

static void half_fused(Graph *g)
{
    g->nodes.data[4]->kernel = 0;
}

static void fused_view(Graph *g)
{
    g->nodes.data[2]->kernel = g->nodes.data[3]->kernel = g->nodes.data[4]->kernel = 0;
}

static void no_output(Graph *g)
{
    g->outputs.n = 0;
}

static void strange_output(Graph *g)
{
    Node *copy = arena_new(g->arena, Node);
    *copy = *g->nodes.data[4];
    g->outputs.data[0] = copy;
}

static void lost_input(Graph *g)
{
    g->inputs.n = 0;
}

static void strange_input(Graph *g)
{
    g->inputs.data[0] = g->nodes.data[1];
}

static void missing_operand(Graph *g)
{
    g->nodes.data[2]->n_in = 1;
}

static void broken_graphs(void)
{
    rejects(wrong_id, "id is not its position");
    rejects(wrong_order, "does not stand before it");
    rejects(foreign_operand, "does not stand before it");
    rejects(wrong_type, "has type f16[11], inferred is f16[12]");
    rejects(bad_attribute, "needs an image");
    rejects(foreign_attribute, "an attribute of another operator");
    rejects(value_on_op, "carries values");
    rejects(not_f16, "not a number of f16");
    rejects(half_fused, "belongs to no kernel");
    rejects(fused_view, "belongs to a kernel");
    rejects(no_output, "no output");
    rejects(strange_output, "is not an output");
    rejects(lost_input, "1 input nodes, 0 inputs");
    rejects(strange_input, "is not an input");
    rejects(missing_operand, "takes 2 operands, there are 1");
}

/* Sweeping drops what is dead, keeps inputs and order, and sorts what was appended. */
static void sweep(void)
{
    Capture c;
    capture_begin(&c);
    Graph *g = graph_from(&c, good);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    Node *add = g->nodes.data[2];
    Node *relu = graph_add(g, OP_RELU, add->span, NULL, &add->in[0], 1);
    relu->type = add->type;
    add->in[0] = relu; /* appended behind its user */
    graph_add(g, OP_RELU, add->span, "dead", &add, 1)->type = add->type;
    graph_sweep(g);
    CU_ASSERT_TRUE(graph_verify(&c.diag, g, "sweep"));
    check_graph(g, "graph \"g\" {\n"
                   "  %0 = input \"x\" : f16[4, 3]\n"
                   "  %1 = const [0x1p+0, 0x1.8p+0, 0x1p+1] : f16[3]\n"
                   "  %2 = relu(%0) : f16[4, 3]\n"
                   "  %3 = add(%2, %1) : f16[4, 3]\n"
                   "  %4 = flatten(%3) {order = \"hwc\"} : f16[12]\n"
                   "  %5 = relu(%4) : f16[12]\n"
                   "  output \"y\" = %5\n"
                   "}\n");
    graph_replace_uses(g, g->nodes.data[5], g->nodes.data[4]);
    graph_sweep(g);
    CU_ASSERT_EQUAL(g->nodes.n, 5);
    CU_ASSERT_PTR_EQUAL(g->outputs.data[0], g->nodes.data[4]);
    uint32_t *uses = graph_use_counts(g, &c.arena);
    CU_ASSERT_EQUAL(uses[4], 1);
    capture_end(&c);
}

/* Thousands of nodes in a row must not need a deep stack. */
static void deep(void)
{
    Capture c;
    capture_begin(&c);
    Graph *g = graph_create(&c.arena, "deep");
    Node *x = graph_add(g, OP_INPUT, (Span){0}, "x", NULL, 0);
    x->type = (Type){DT_F32, 1, {1}};
    vec_push(&c.arena, &g->inputs, x);
    for (int i = 0; i < 200000; i++) {
        x = graph_add(g, OP_RELU, (Span){0}, NULL, &x, 1);
        x->type = x->in[0]->type;
    }
    vec_push(&c.arena, &g->outputs, x);
    static const char *name = "y";
    g->output_names = &name;
    for (size_t i = 0, j = g->nodes.n - 1; i < j; i++, j--) { /* worst order */
        Node *t = g->nodes.data[i];
        g->nodes.data[i] = g->nodes.data[j];
        g->nodes.data[j] = t;
    }
    graph_sweep(g);
    CU_ASSERT_EQUAL(g->nodes.n, 200001);
    CU_ASSERT_PTR_EQUAL(g->nodes.data[200000], x);
    capture_end(&c);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"broken graphs", broken_graphs},
        {"sweep", sweep},
        {"deep graph", deep},
        CU_TEST_INFO_NULL,
    };
    return suite_run("verifier", tests);
}
