/* SPDX-License-Identifier: Apache-2.0 */
/* tests/ir/test_eval.c - the evaluator against values worked out by hand, and against second
 * loops written element by element from the operators' definitions. */
#include "tests/common/suite.h"
#include "tests/ir/graph_testing.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Evaluates the only output of a graph text whose one input gets these values. */
static void expect(const char *text, const double *in, size_t n, const double *want)
{
    Capture c;
    capture_begin(&c);
    Graph *g = graph_from(&c, text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    double **result = arena_array(&c.arena, double *, g->nodes.n);
    CU_ASSERT_TRUE(eval_graph(&c.arena, &c.diag, g, (const double *const *)&in, result));
    const Node *out = g->outputs.data[0];
    CU_ASSERT_EQUAL_FATAL((size_t)type_elements(&out->type), n);
    for (size_t i = 0; i < n; i++) {
        double got = result[out->id][i];
        CU_ASSERT_TRUE(got == want[i] || (got != got && want[i] != want[i]));
        CU_ASSERT_EQUAL(!signbit(got) || got != got, !signbit(want[i]) || want[i] != want[i]);
    }
    capture_end(&c);
}

#define D(...)                                                                                     \
    (const double[])                                                                               \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void by_hand(void)
{
    expect("graph \"g\" { %0 = input \"x\" : f32[3] %1 = const [1, 2, 3, -1, 0, 1] : f32[2, 3]"
           " %2 = const [10, 20] : f32[2]"
           " %3 = linear(%0, %1, %2) {bias = true} : f32[2] output \"y\" = %3 }",
           D(1, 2, 4), 2, D(10 + 1 + 4 + 12, 20 - 1 + 4));
    expect("graph \"g\" { %0 = input \"x\" : f32[1, 3] %1 = const [1, 2, 3, -1, 0, 1] : f32[3, 2]"
           " %2 = matmul(%0, %1) : f32[1, 2] output \"y\" = %2 }",
           D(1, 2, 4), 2, D(1 + 6 + 0, 2 - 2 + 4));
    /* a 2 x 2 sum over a 2 x 3 image with a column of padding at each side, stride 1 x 2 */
    expect("graph \"g\" { %0 = input \"x\" : f32[2, 3, 1] %1 = const [1, 1, 1, 1] : f32[1, 1, 2, 2]"
           " %2 = conv2d(%0, %1) {kernel = [2, 2], stride = [1, 2], padding = [0, 1], bias = "
           "false} : f32[1, 2, 1] output \"y\" = %2 }",
           D(1, 2, 3, 4, 5, 6), 2, D(1 + 4, 2 + 3 + 5 + 6));
    expect("graph \"g\" { %0 = input \"x\" : f32[1, 2] %1 = const [3, 5] : f32[2]"
           " %2 = const [1, 2] : f32[2] %3 = const [4, 0] : f32[2] %4 = const [3, 15] : f32[2]"
           " %5 = batch_norm(%0, %1, %2, %3, %4) {eps = 0x1p+0} : f32[1, 2] output \"y\" = %5 }",
           D(6, 8), 2, D((6 - 4) / 2.0 * 3 + 1, 8 / 4.0 * 5 + 2));
    expect("graph \"g\" { %0 = input \"x\" : f32[2, 2, 1] %1 = max_pool(%0) {kernel = [2, 2],"
           " stride = [1, 1], padding = [1, 0]} : f32[3, 1, 1] output \"y\" = %1 }",
           D(-1, -2, -3, -4), 3, D(-1, -1, -3));
    expect("graph \"g\" { %0 = input \"x\" : f32[2, 2, 1] %1 = avg_pool(%0) {kernel = [2, 2],"
           " stride = [1, 1], padding = [1, 0]} : f32[3, 1, 1] output \"y\" = %1 }",
           D(-1, -2, -3, -4), 3, D(-0.75, -2.5, -1.75));
    expect("graph \"g\" { %0 = input \"x\" : f32[2, 1, 2] %1 = global_max_pool(%0) : f32[2]"
           " output \"y\" = %1 }",
           D(1, -4, 3, -2), 2, D(3, -2));
    expect("graph \"g\" { %0 = input \"x\" : f32[2, 1, 2] %1 = global_avg_pool(%0) : f32[2]"
           " output \"y\" = %1 }",
           D(1, -4, 3, -2), 2, D(2, -3));
    expect("graph \"g\" { %0 = input \"x\" : f32[2, 3] %1 = argmax(%0) : i32[2, 1]"
           " output \"y\" = %1 }",
           D(7, 9, 9, 1, 0, 1), 2, D(1, 0));
    expect("graph \"g\" { %0 = input \"x\" : f32[2, 2] %1 = mean(%0) : f32[2, 1]"
           " output \"y\" = %1 }",
           D(7, 9, 1, 0), 2, D(8, 0.5));
    expect("graph \"g\" { %0 = input \"x\" : f32[1, 2, 2] %1 = flatten(%0) {order = \"chw\"} :"
           " f32[4] output \"y\" = %1 }",
           D(1, 2, 3, 4), 4, D(1, 3, 2, 4));
}

static void special_values(void)
{
    double nan = (double)NAN;
    expect("graph \"g\" { %0 = input \"x\" : f32[4] %1 = relu(%0) : f32[4] output \"y\" = %1 }",
           D(-0.0, -1, nan, 2), 4, D(0.0, 0.0, nan, 2));
    expect("graph \"g\" { %0 = input \"x\" : f32[4] %1 = const [0x0p+0, -0x0p+0, 1, nan] : f32[4]"
           " %2 = max(%0, %1) : f32[4] output \"y\" = %2 }",
           D(-0.0, -0.0, nan, 2), 4, D(0.0, -0.0, nan, nan));
    expect("graph \"g\" { %0 = input \"x\" : f32[4] %1 = const [0x0p+0, 0x0p+0, 1, nan] : f32[4]"
           " %2 = min(%0, %1) : f32[4] output \"y\" = %2 }",
           D(-0.0, 0.0, nan, 2), 4, D(-0.0, 0.0, nan, nan));
    expect("graph \"g\" { %0 = input \"x\" : f32[3] %1 = reduce_max(%0) : f32[1]"
           " output \"y\" = %1 }",
           D(1, nan, 3), 1, D(nan));
}

/* ---- second loops: one result element from the definition, indices from scratch ---- */

static int64_t offset(const Type *t, const int64_t *index)
{
    int64_t at = 0;
    for (int i = 0; i < t->rank; i++)
        at = at * t->extent[i] + index[i];
    return at;
}

static void unravel(const Type *t, int64_t at, int64_t *index)
{
    for (int i = t->rank - 1; i >= 0; i--) {
        index[i] = at % t->extent[i];
        at /= t->extent[i];
    }
}

/* Value of operand k of a broadcast at a result index. */
static double broadcast(const Node *n, double *const *v, uint32_t k, const int64_t *index)
{
    const Type *t = &n->in[k]->type;
    int64_t at[TYPE_MAX_RANK];
    for (int i = 0; i < t->rank; i++)
        at[i] = t->extent[i] == 1 ? 0 : index[n->type.rank - t->rank + i];
    return v[n->in[k]->id][offset(t, at)];
}

static double window(const Node *n, double *const *v, const int64_t *index)
{
    const Type *xt = &n->in[0]->type;
    bool conv = n->op == OP_CONV2D, max = n->op == OP_MAX_POOL;
    double acc = max ? -(double)INFINITY : 0;
    for (int64_t r = 0; r < n->attr.kernel[0]; r++)
        for (int64_t s = 0; s < n->attr.kernel[1]; s++)
            for (int64_t c = 0; c < (conv ? xt->extent[2] : 1); c++) {
                int64_t at[3] = {index[0] * n->attr.stride[0] - n->attr.padding[0] + r,
                                 index[1] * n->attr.stride[1] - n->attr.padding[1] + s,
                                 conv ? c : index[2]};
                bool inside =
                    at[0] >= 0 && at[0] < xt->extent[0] && at[1] >= 0 && at[1] < xt->extent[1];
                double x = inside ? v[n->in[0]->id][offset(xt, at)] : 0;
                int64_t wat[4] = {index[2], c, r, s};
                if (conv)
                    acc += x * v[n->in[1]->id][offset(&n->in[1]->type, wat)];
                else if (max)
                    acc = inside && x > acc ? x : acc;
                else
                    acc += x / (double)(n->attr.kernel[0] * n->attr.kernel[1]);
            }
    return conv && n->attr.has_bias ? acc + v[n->in[2]->id][index[2]] : acc;
}

static double product(const Node *n, double *const *v, int64_t *index)
{
    const Type *xt = &n->in[0]->type;
    int last = n->type.rank - 1;
    int64_t o = index[last];
    double acc = 0;
    for (int64_t k = 0; k < type_features(xt); k++) {
        int64_t wat[2] = {n->op == OP_LINEAR ? o : k, n->op == OP_LINEAR ? k : o};
        index[last] = k;
        acc += v[n->in[0]->id][offset(xt, index)] * v[n->in[1]->id][offset(&n->in[1]->type, wat)];
    }
    return n->op == OP_LINEAR && n->attr.has_bias ? acc + v[n->in[2]->id][o] : acc;
}

static double reduce(const Node *n, double *const *v, int64_t *index)
{
    const Type *xt = &n->in[0]->type;
    double sum = 0, best = -(double)INFINITY;
    for (int64_t k = 0; k < type_features(xt); k++) {
        index[n->type.rank - 1] = k;
        double x = v[n->in[0]->id][offset(xt, index)];
        sum += x;
        best = x > best ? x : best;
    }
    return n->op == OP_REDUCE_MAX ? best : n->op == OP_MEAN ? sum / (double)type_features(xt) : sum;
}

static double global(const Node *n, double *const *v, int64_t c)
{
    const Type *xt = &n->in[0]->type;
    double sum = 0, best = -(double)INFINITY;
    for (int64_t y = 0; y < xt->extent[0]; y++)
        for (int64_t x = 0; x < xt->extent[1]; x++) {
            double e = v[n->in[0]->id][offset(xt, (int64_t[]){y, x, c})];
            sum += e;
            best = e > best ? e : best;
        }
    return n->op == OP_GLOBAL_MAX_POOL ? best : sum / (double)(xt->extent[0] * xt->extent[1]);
}

static double view(const Node *n, double *const *v, int64_t at, const int64_t *index)
{
    const Type *xt = &n->in[0]->type;
    int64_t from[TYPE_MAX_RANK] = {0};
    if (n->op == OP_RESHAPE || (n->op == OP_FLATTEN && xt->rank != 3))
        return v[n->in[0]->id][at];
    for (int i = xt->rank - 1; i >= 0; i--) {
        int64_t axis =
            n->op == OP_TRANSPOSE ? n->attr.shape[i] : strchr("hwc", n->attr.order[i]) - "hwc";
        if (n->op == OP_TRANSPOSE) {
            from[axis] = index[i];
        } else {
            from[axis] = at % xt->extent[axis];
            at /= xt->extent[axis];
        }
    }
    return v[n->in[0]->id][offset(xt, from)];
}

static double second(const Node *n, double *const *v, int64_t at)
{
    int64_t index[TYPE_MAX_RANK] = {0};
    unravel(&n->type, at, index);
    double a = n->n_in > 0 && (op_info[n->op].flags & OPF_EW) ? broadcast(n, v, 0, index) : 0;
    double b = op_info[n->op].flags & OPF_BINARY ? broadcast(n, v, 1, index) : 0;
    switch (n->op) {
    case OP_CONV2D:
    case OP_MAX_POOL:
    case OP_AVG_POOL:
        return window(n, v, index);
    case OP_LINEAR:
    case OP_MATMUL:
        return product(n, v, index);
    case OP_BATCH_NORM:
        return (a - broadcast(n, v, 3, index)) / sqrt(broadcast(n, v, 4, index) + n->attr.eps) *
                   broadcast(n, v, 1, index) +
               broadcast(n, v, 2, index);
    case OP_GLOBAL_MAX_POOL:
    case OP_GLOBAL_AVG_POOL:
        return global(n, v, at);
    case OP_ADD:
        return a + b;
    case OP_SUB:
        return a - b;
    case OP_MUL:
        return a * b;
    case OP_MIN:
        return a < b ? a : b;
    case OP_MAX:
        return a > b ? a : b;
    case OP_RELU:
        return a > 0 ? a : 0;
    case OP_SUM:
    case OP_MEAN:
    case OP_REDUCE_MAX:
        return reduce(n, v, index);
    case OP_RESHAPE:
    case OP_FLATTEN:
    case OP_TRANSPOSE:
        return view(n, v, at, index);
    case OP_ARGMAX: /* by hand above */
    case OP_INPUT:
    case OP_CONST:
    case OP_COUNT:
        break;
    }
    return v[n->id][at];
}

static void second_loops(void)
{
    unsigned seen[OP_COUNT] = {0};
    for (uint64_t seed = 0; seed < 300; seed++) {
        Capture c;
        Rng r = {seed};
        capture_begin(&c);
        Graph *g = random_graph(&c.arena, &r, DT_F32, 12, true);
        double **v = arena_array(&c.arena, double *, g->nodes.n);
        const double **in = arena_array(&c.arena, const double *, g->inputs.n);
        for (size_t i = 0; i < g->inputs.n; i++) {
            size_t count = (size_t)type_elements(&g->inputs.data[i]->type);
            double *x = arena_array(&c.arena, double, count);
            for (size_t k = 0; k < count; k++)
                x[k] = rng_normal(&r);
            in[i] = x;
        }
        CU_ASSERT_TRUE_FATAL(eval_graph(&c.arena, &c.diag, g, in, v));
        for (size_t i = 0; i < g->nodes.n; i++) {
            const Node *n = g->nodes.data[i];
            int64_t elements = type_elements(&n->type);
            unsigned bad = 0;
            seen[n->op]++;
            for (int64_t k = 0; k < elements; k++) {
                double want = second(n, v, k);
                bad += !(fabs(v[n->id][k] - want) <= 1e-9 * (1 + fabs(want)));
            }
            CU_ASSERT_EQUAL(bad, 0);
            if (bad)
                fprintf(stderr, "\nseed %u: %s differs at %u elements\n", (unsigned)seed,
                        op_info[n->op].text, bad);
        }
        capture_end(&c);
    }
    for (unsigned op = 0; op < OP_COUNT; op++) /* nobody escapes */
        CU_ASSERT_TRUE(seen[op] > 0 || op == OP_ARGMAX);
}

static void without_values(void)
{
    Capture c;
    capture_begin(&c);
    Graph *g = graph_from(&c, "graph \"g\" { %0 = input \"x\" : f32[1] %1 = const @w : f32[1]"
                              " %2 = add(%0, %1) : f32[1] output \"y\" = %2 }");
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    double x = 1, *result[3];
    const double *in = &x;
    CU_ASSERT_FALSE(eval_graph(&c.arena, &c.diag, g, &in, result));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), "weight 'w' has no values"));
    capture_end(&c);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"by hand", by_hand},
        {"special values", special_values},
        {"second loops", second_loops},
        {"without values", without_values},
        CU_TEST_INFO_NULL,
    };
    return suite_run("evaluator", tests);
}
