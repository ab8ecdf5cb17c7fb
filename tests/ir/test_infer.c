/* SPDX-License-Identifier: Apache-2.0 */
/* tests/ir/test_infer.c - shape rules: what they give, and what they say when they can't. */
#include "tests/common/suite.h"
#include "tests/ir/graph_testing.h"

#include <string.h>

/* Infers one operator in a graph text, where the text puts place and notes. */
static void gives(const char *body, const char *message)
{
    Capture c;
    capture_begin(&c);
    char *text = arena_printf(&c.arena, "graph \"g\" {\n%s\n}\n", body);
    Graph *g = graph_from(&c, text);
    bool good = message[0] == '\0' ? g != NULL && said(&c)[0] == '\0'
                                   : g == NULL && strstr(said(&c), message) != NULL;
    CU_ASSERT_TRUE(good);
    if (!good)
        fprintf(stderr, "\nwanted \"%s\" in:\n%s\n", message, said(&c));
    capture_end(&c);
}

#define IMAGE "%0 = input \"x\" : f32[7, 6, 2]\n%1 = const @w : f32[4, 2, 3, 3]\n"
#define CONV  "%2 = conv2d(%0, %1) {kernel = [3, 3], stride = "

static void conv(void)
{
    gives(IMAGE CONV "[1, 1], padding = [0, 0], bias = false} : f32[5, 4, 4]", "");
    gives(IMAGE CONV "[2, 3], padding = [1, 2], bias = false} : f32[4, 3, 4]", "");
    gives(IMAGE CONV "[0, 1], padding = [0, 0], bias = false} : f32[5, 4, 4]",
          "stride of 0 rows is out of range");
    gives(IMAGE CONV "[1, 1], padding = [0, 3], bias = false} : f32[5, 4, 4]",
          "padding of 3 columns is out of range: 0 to 2");
    gives("%0 = input \"x\" : f32[2, 6, 2]\n%1 = const @w : f32[4, 2, 3, 3]\n" CONV
          "[1, 1], padding = [0, 0], bias = false} : f32[1, 4, 4]",
          "kernel has 3 rows, the padded image only 2");
    gives("%0 = input \"x\" : f32[6, 6, 5]\n%1 = const @w : f32[4, 2, 3, 3]\n" CONV
          "[1, 1], padding = [0, 0], bias = false} : f32[4, 4, 4]",
          "weight must be f32[4, 5, 3, 3], is f32[4, 2, 3, 3]");
    gives("%0 = input \"x\" : f32[6, 6]\n%1 = const @w : f32[4, 2, 3, 3]\n" CONV
          "[1, 1], padding = [0, 0], bias = false} : f32[4, 4, 4]",
          "needs an image [H, W, C], operand is f32[6, 6]");
    gives(IMAGE CONV "[1, 1], padding = [0, 0], bias = true} : f32[5, 4, 4]",
          "takes 3 operands, there are 2");
}

static void layers(void)
{
    gives("%0 = input \"x\" : f16[5, 3]\n%1 = const @w : f16[4, 3]\n"
          "%2 = linear(%0, %1) {bias = false} : f16[5, 4]",
          "");
    gives("%0 = input \"x\" : f32[5, 3]\n%1 = const @w : f32[4, 2]\n"
          "%2 = linear(%0, %1) {bias = false} : f32[5, 4]",
          "weight must be f32[4, 3], is f32[4, 2]");
    gives("%0 = input \"x\" : f32[3]\n%1 = const @w : f16[4, 3]\n"
          "%2 = linear(%0, %1) {bias = false} : f32[4]",
          "element types differ: f32 against f16");
    gives("%0 = input \"x\" : f32[2, 3]\n%1 = const @w : f32[3, 4]\n"
          "%2 = matmul(%0, %1) : f32[2, 4]",
          "");
    gives("%0 = input \"x\" : f32[2, 3]\n%1 = const @w : f32[3]\n%2 = matmul(%0, %1) : f32[2]",
          "right operand must be [K, N], is f32[3]");
    gives("%0 = input \"x\" : f32[2, 3]\n%1 = const @w : f32[2]\n"
          "%2 = batch_norm(%0, %1, %1, %1, %1) {eps = 0x0p+0} : f32[2, 3]",
          "weight must be f32[3], is f32[2]");
    gives("%0 = input \"x\" : f32[2, 3]\n%1 = const @w : f32[3]\n"
          "%2 = batch_norm(%0, %1, %1, %1, %1) {eps = -0x1p+0} : f32[2, 3]",
          "eps -1 is out of range");
}

static void carets(void)
{
    Capture c;
    capture_begin(&c);
    CU_ASSERT_PTR_NULL(graph_from(&c, "graph \"g\" {\n"
                                      "  %0 = input \"x\" : f32[784]\n"
                                      "  %1 = const @w1 : f32[512, 256]\n"
                                      "  %2 = matmul(%0, %1) \"h\" : f32[256]\n"
                                      "}\n"));
    check_text("test.wir:4:4: error: matmul: inner extents differ: 784 against 512\n"
               "    4 |   %2 = matmul(%0, %1) \"h\" : f32[256]\n"
               "      |    ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n"
               "test.wir:2:4: note: left operand 'x' is f32[784]\n"
               "    2 |   %0 = input \"x\" : f32[784]\n"
               "      |    ^~~~~~~~~~~~~~~~~~~~~~~~\n"
               "test.wir:3:4: note: right operand 'w1' is f32[512, 256]\n"
               "    3 |   %1 = const @w1 : f32[512, 256]\n"
               "      |    ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n",
               said(&c));
    capture_end(&c);
}

static void pools(void)
{
    gives("%0 = input \"x\" : f32[7, 6, 2]\n"
          "%1 = max_pool(%0) {kernel = [3, 2], stride = [0, 0], padding = [0, 0]} : f32[2, 3, 2]",
          "");
    gives("%0 = input \"x\" : f32[7, 6, 2]\n"
          "%1 = avg_pool(%0) {kernel = [3, 3], stride = [2, 2], padding = [2, 1]} : f32[2, 3, 2]",
          "padding 2 is more than half of the kernel's 3");
    gives("%0 = input \"x\" : f32[7, 6, 2]\n%1 = global_avg_pool(%0) : f32[2]", "");
    gives("%0 = input \"x\" : f32[7, 6]\n%1 = global_max_pool(%0) : f32[6]", "needs an image");
}

static void elementwise(void)
{
    gives("%0 = input \"x\" : f32[7, 1, 2]\n%1 = input \"y\" : f32[6, 1]\n"
          "%2 = add(%0, %1) : f32[7, 6, 2]",
          "");
    gives("%0 = input \"x\" : f32[3, 4]\n%1 = input \"y\" : f32[5]\n%2 = sub(%0, %1) : f32[3, 5]",
          "axis 1 from the end has 4 against 5");
    gives("%0 = input \"x\" : f32[3]\n%1 = argmax(%0) : i32[1]\n%2 = relu(%1) : i32[1]",
          "operands are f32 or f16, operand 1 is i32");
    gives("%0 = input \"x\" : f32[2, 9]\n%1 = sum(%0) : f32[2, 1]\n%2 = argmax(%0) : i32[2, 1]",
          "");
    /* 2^24 x 2^24 elements must be noticed, not wrapped */
    gives("%0 = input \"x\" : f32[16777216, 1]\n%1 = input \"y\" : f32[1, 16777216]\n"
          "%2 = add(%0, %1) : f32[1]",
          "more than 1073741824 elements");
}

static void views(void)
{
    gives("%0 = input \"x\" : f32[7, 6, 2]\n%1 = reshape(%0) {shape = [12, 7]} : f32[12, 7]", "");
    gives("%0 = input \"x\" : f32[7, 6, 2]\n%1 = reshape(%0) {shape = [12, 8]} : f32[12, 8]",
          "the new shape has 96 elements, the operand has 84");
    gives("%0 = input \"x\" : f32[7, 6, 2]\n%1 = flatten(%0) {order = \"cwh\"} : f32[84]", "");
    gives("%0 = input \"x\" : f32[7, 6, 2]\n%1 = flatten(%0) {order = \"cww\"} : f32[84]",
          "order \"cww\" is not an order of \"hwc\"");
    gives("%0 = input \"x\" : f32[7, 6]\n%1 = flatten(%0) {order = \"chw\"} : f32[42]",
          "order \"chw\" needs an image");
    gives("%0 = input \"x\" : f32[7, 6, 2]\n"
          "%1 = transpose(%0) {axes = [2, 0, 1]} : f32[2, 7, 6]",
          "");
    gives("%0 = input \"x\" : f32[7, 6]\n%1 = transpose(%0) {axes = [1, 1]} : f32[6, 6]",
          "axis 1 is given twice");
    gives("%0 = input \"x\" : f32[7, 6]\n%1 = transpose(%0) {axes = [2, 1]} : f32[6, 6]",
          "axis 2 is out of range: 0 to 1");
    gives("%0 = input \"x\" : f32[7, 6]\n%1 = transpose(%0) {axes = [0]} : f32[7]",
          "1 axes given, the operand has 2");
}

/* -1 stands for what is left; only the front end makes it. */
static void open_extent(void)
{
    Capture c;
    capture_begin(&c);
    Graph *g = graph_create(&c.arena, "g");
    Node *x = graph_add(g, OP_INPUT, (Span){0}, "x", NULL, 0);
    x->type = (Type){DT_F32, 2, {6, 4}};
    Node *n = graph_add(g, OP_RESHAPE, (Span){0}, NULL, &x, 1);
    n->attr.shape_rank = 2;
    n->attr.shape[0] = -1;
    n->attr.shape[1] = 8;
    CU_ASSERT_TRUE(op_info[OP_RESHAPE].infer(&c.diag, n));
    CU_ASSERT_EQUAL(n->type.extent[0], 3);
    CU_ASSERT_EQUAL(n->attr.shape[0], 3);
    n->attr.shape[0] = -1;
    n->attr.shape[1] = 7;
    CU_ASSERT_FALSE(op_info[OP_RESHAPE].infer(&c.diag, n));
    n->attr.shape[0] = n->attr.shape[1] = -1;
    CU_ASSERT_FALSE(op_info[OP_RESHAPE].infer(&c.diag, n));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), "more than one extent is -1"));
    capture_end(&c);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"conv2d", conv},
        {"layers", layers},
        {"carets", carets},
        {"pools", pools},
        {"elementwise", elementwise},
        {"views", views},
        {"open extent", open_extent},
        CU_TEST_INFO_NULL,
    };
    return suite_run("inference", tests);
}
