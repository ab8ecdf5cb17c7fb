/* SPDX-License-Identifier: Apache-2.0 */
/* tests/ops/test_ops.c - every operator of ir/ops.def runs on the fabric.
 *
 * Walks op_info[]: an operator without a case fails the test (leaves carry the cases'
 * inputs and weights; views are tried in front of linear and matmul). Each case goes from
 * its text through all stages to the bytes of an image, in f32 and f16, at two ragged shapes
 * and, through the limit on cores, with two numbers of lanes. The core engine and the values
 * engine must agree bit for bit, and both with the reference evaluator, run on a graph that
 * no pass has touched, within the tolerance of the case.
 *
 * Tolerances are in units in the last place of the output's type, either of the element
 * itself (one rounding: 0.5; exact: 0) or, where terms of both signs are summed and may
 * cancel, of the largest element of the output. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/kernels/kernel.h"
#include "frontend/frontend.h"
#include "ir/eval.h"
#include "ir/support/rng.h"
#include "passes/passes.h"
#include "runtime/check.h"
#include "runtime/engine.h"
#include "runtime/values.h"
#include "tests/common/suite.h"

enum { SAMPLES = 3 };

typedef struct Case {
    Opkind op;
    double ulps[2]; /* f32, f16 */
    bool of_largest;
    const char *text; /* of T, h, w, c and s */
} Case;

#define IMAGE  "model m(x: T[h, w, c]) -> y "
#define TWO    "model m(x: T[h, w, c], z: T[h, w, c]) -> y "
#define TOKENS "model m(x: T[h, c]) -> y "
#define VECTOR "model m(x: T[h * c]) -> y "

static const Case cases[] = {
    {OP_CONV2D,
     {16, 1},
     true,
     IMAGE "{ y = conv2d(x, c + 2, kernel = [3, 2], stride = s, padding = [1, 0], name = \"k\") }"},
    {OP_CONV2D,
     {16, 1},
     true,
     IMAGE "{ y = conv2d(x, c + 1, kernel = 1, bias = false, name = \"k\") }"},
    {OP_LINEAR, {16, 1}, true, VECTOR "{ y = linear(x, w, name = \"k\") }"},
    {OP_LINEAR, {16, 1}, true, TOKENS "{ y = linear(x, w, bias = false, name = \"k\") }"},
    {OP_LINEAR, {16, 1}, true, IMAGE "{ y = linear(x, h, name = \"k\") }"},
    {OP_MATMUL, {16, 1}, true, TOKENS "{ y = matmul(x, weight(\"k\", T[c, w])) }"},
    {OP_BATCH_NORM, {4, 3}, true, IMAGE "{ y = batch_norm(x, name = \"k\") }"},
    {OP_BATCH_NORM, {4, 3}, true, TOKENS "{ y = batch_norm(x, name = \"k\") }"},
    {OP_MAX_POOL, {0, 0}, false, IMAGE "{ y = max_pool(x, 3, stride = s, padding = 1) }"},
    {OP_AVG_POOL, {4, 1}, true, IMAGE "{ y = avg_pool(x, [2, 3], stride = s, padding = [0, 1]) }"},
    {OP_GLOBAL_MAX_POOL, {0, 0}, false, IMAGE "{ y = global_max_pool(x) }"},
    {OP_GLOBAL_AVG_POOL, {16, 1}, true, IMAGE "{ y = global_avg_pool(x) }"},
    {OP_ADD, {0.5, 0.5}, false, TWO "{ y = x + z }"},
    {OP_ADD, {0.5, 0.5}, false, IMAGE "{ y = x + weight(\"k\", T[c]) }"},
    {OP_SUB, {0.5, 0.5}, false, TWO "{ y = x - z }"},
    {OP_SUB, {0.5, 0.5}, false, TOKENS "{ y = 0.75 - x }"},
    {OP_MUL, {0.5, 0.5}, false, TWO "{ y = x * z }"},
    {OP_MUL, {0.5, 0.5}, false, TOKENS "{ y = x * weight(\"k\", T[h, 1]) }"},
    {OP_MIN, {0, 0}, false, TWO "{ y = min(x, z) }"},
    {OP_MIN, {0, 0}, false, VECTOR "{ y = min(x, 0.25) }"},
    {OP_MAX, {0, 0}, false, TWO "{ y = max(x, z) }"},
    {OP_MAX, {0, 0}, false, IMAGE "{ y = max(weight(\"k\", T[h, w, c]), x) }"},
    {OP_RELU, {0, 0}, false, IMAGE "{ y = relu(x) }"},
    {OP_RELU, {0, 0}, false, VECTOR "{ y = relu(x) }"},
    {OP_SUM, {16, 1}, true, IMAGE "{ y = sum(x) }"},
    {OP_SUM, {16, 1}, true, VECTOR "{ y = sum(x) }"},
    {OP_MEAN, {16, 1}, true, IMAGE "{ y = mean(x) }"},
    {OP_MEAN, {16, 1}, true, VECTOR "{ y = mean(x) }"},
    {OP_REDUCE_MAX, {0, 0}, false, IMAGE "{ y = reduce_max(x) }"},
    {OP_REDUCE_MAX, {0, 0}, false, VECTOR "{ y = reduce_max(x) }"},
    {OP_ARGMAX, {0, 0}, false, IMAGE "{ y = argmax(x) }"},
    {OP_ARGMAX, {0, 0}, false, VECTOR "{ y = argmax(x) }"},
    {OP_RESHAPE,
     {16, 1},
     true,
     IMAGE "{ y = linear(reshape(relu(x), [h * w * c]), 5, name = \"k\") }"},
    {OP_RESHAPE,
     {16, 1},
     true,
     IMAGE "{ y = matmul(reshape(relu(x), [1, h * w * c]), weight(\"k\", T[h * w * c, 4])) }"},
    {OP_FLATTEN,
     {16, 1},
     true,
     IMAGE "{ y = linear(flatten(relu(x), order = \"chw\"), 5, name = \"k\") }"},
    {OP_FLATTEN,
     {16, 1},
     true,
     IMAGE "{ y = matmul(flatten(relu(x)), weight(\"k\", T[h * w * c, 4])) }"},
    {OP_TRANSPOSE,
     {16, 1},
     true,
     IMAGE "{ y = linear(flatten(transpose(relu(x), [1, 2, 0])), 5, name = \"k\") }"},
    {OP_TRANSPOSE,
     {16, 1},
     true,
     TOKENS "{ y = matmul(flatten(transpose(relu(x), [1, 0])), "
            "transpose(weight(\"k\", T[4, h * c]), [1, 0])) }"},
};
enum { N_CASES = sizeof cases / sizeof *cases };

#undef IMAGE
#undef TWO
#undef TOKENS
#undef VECTOR

static const char params[] = "param T = f32, h = 1, w = 1, c = 1, s = 1\n";

static const Define shapes[2][4] = {
    {{"h", "7"}, {"w", "9"}, {"c", "13"}, {"s", "1"}},
    {{"h", "6"}, {"w", "11"}, {"c", "7"}, {"s", "2"}},
};

/* From few to many, until two numbers of lanes have been seen. */
static const uint32_t core_limits[] = {3, 400, 40, 12, 120};

typedef struct Run {
    Arena arena;
    Diag diag;
    char *messages;
    size_t messages_len;
} Run;

static void run_begin(Run *r)
{
    memset(r, 0, sizeof *r);
    diag_init(&r->diag, "test");
    r->diag.out = open_memstream(&r->messages, &r->messages_len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(r->diag.out);
}

static void run_end(Run *r)
{
    fclose(r->diag.out);
    free(r->messages);
    r->diag.out = NULL;
    diag_finish(&r->diag);
    arena_free(&r->arena);
}

static void put(uint8_t *bytes, DType t, int64_t i, double v)
{
    float f = (float)v;
    uint16_t h = f16_from_f64(v);
    if (t == DT_F16)
        memcpy(bytes + 2 * i, &h, 2);
    else
        memcpy(bytes + 4 * i, &f, 4);
}

static double get(const uint8_t *bytes, DType t, int64_t i)
{
    uint16_t h;
    float f;
    int32_t n;
    if (t == DT_F16) {
        memcpy(&h, bytes + 2 * i, 2);
        return f32_from_f16(h);
    }
    if (t == DT_F32) {
        memcpy(&f, bytes + 4 * i, 4);
        return f;
    }
    memcpy(&n, bytes + 4 * i, 4);
    return n;
}

/* Weights of a graph as it comes from its text: the same for every graph of that text. */
static void fill_weights(Arena *a, Graph *g)
{
    Rng rng = {11};
    for (size_t i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.data[i];
        if (n->op != OP_CONST || !n->is_weight)
            continue;
        int64_t count = type_elements(&n->type);
        double scale = 1.7 / sqrt((double)(n->type.rank > 1 ? count / n->type.extent[0] : 3));
        bool positive = n->name && strstr(n->name, "running_var");
        float *v = arena_array(a, float, (size_t)count);
        for (int64_t j = 0; j < count; j++) {
            double x = positive ? 0.5 + rng_unit(&rng) : (2 * rng_unit(&rng) - 1) * scale;
            v[j] = n->type.dtype == DT_F16 ? f32_from_f16(f16_from_f64(x)) : (float)x;
        }
        n->value = v;
    }
}

static bool graph_of(Run *r, const char *text, const Define *defines, size_t n, Graph **g)
{
    if (!frontend_compile_text(&r->arena, &r->diag, "case.dsl", text, strlen(text), defines, n, g))
        return false;
    fill_weights(&r->arena, *g);
    return true;
}

/* From a graph to an image that the checker has accepted as bytes. */
static bool compile(Run *r, Graph *g, const Machine *m, uint32_t max_cores, uint32_t *lanes,
                    Bytes *bytes, Fabric *fabric)
{
    PassContext cx = {.diag = &r->diag,
                      .graph = g,
                      .machine = m,
                      .arena = &r->arena,
                      .options = {.max_cores = max_cores, .slack = 0.05}};
    PipelineOptions options = {.verify_each = true};
    PipelineTimes times = {0};
    Image image = {0}, *again = arena_new(&r->arena, Image);
    if (!pipeline_run(&cx, &options, &times) || !kernels_emit(&r->arena, &r->diag, cx.plan, &image))
        return false;
    *lanes = 0;
    for (size_t i = 0; i < cx.plan->streams.n; i++)
        *lanes += cx.plan->streams.data[i]->protocol.lanes;
    image_write(&image, bytes);
    return image_read(&r->arena, &r->diag, "case.wse", *bytes, again) &&
           check_image(&r->arena, &r->diag, again, fabric);
}

static double ulp(DType t, double v)
{
    int e;
    frexp(v, &e);
    if (t == DT_F16)
        return ldexp(1, (e < -13 ? -13 : e) - 11);
    return ldexp(1, (e < -125 ? -125 : e) - 24);
}

/* The largest error in ulps; infinity for a NaN or a wrong index. */
static double compare(const uint8_t *got, const double *want, const Type *t, int64_t first,
                      bool of_largest)
{
    int64_t n = type_elements(t);
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(want[i]));
    for (int64_t i = 0; i < n; i++) {
        double g = get(got, t->dtype, first + i);
        double error = fabs(g - want[i]);
        if (error == 0)
            continue;
        error =
            t->dtype == DT_I32 ? INFINITY : error / ulp(t->dtype, of_largest ? largest : want[i]);
        if (!(error <= worst))
            worst = isnan(error) ? INFINITY : error;
    }
    return worst;
}

/* Both engines on the image against the evaluator on the graph as written. */
static double execute(Run *r, const Case *c, const Fabric *f, const Graph *reference)
{
    Arena *a = &r->arena;
    size_t n_in = reference->inputs.n;
    const Type *out_type = &reference->outputs.data[0]->type;
    const uint8_t **in = arena_array(a, const uint8_t *, n_in + 1);
    uint8_t **core = arena_array(a, uint8_t *, n_in + 1);
    uint8_t **values = arena_array(a, uint8_t *, n_in + 1);
    size_t n_out = (size_t)type_elements(out_type) * SAMPLES;
    Rng rng = {23};

    for (size_t k = 0; k < n_in; k++) {
        const Type *t = &reference->inputs.data[k]->type;
        int64_t n = type_elements(t) * SAMPLES;
        uint8_t *bytes = arena_alloc(a, (size_t)n, 4, 8);
        for (int64_t i = 0; i < n; i++)
            put(bytes, t->dtype, i, 2 * rng_unit(&rng) - 0.75); /* sums do not vanish */
        in[k] = bytes;
    }
    core[n_in] = arena_alloc(a, n_out, 4, 8);
    values[n_in] = arena_alloc(a, n_out, 4, 8);

    EngineOptions engine = {.values = true, .samples = SAMPLES, .cycles_limit = 1ull << 32};
    EngineResult result;
    if (!engine_run(a, f, &engine, in, core, &result)) {
        printf("core engine: %s\n", result.fault ? result.fault : "failed");
        return INFINITY;
    }
    ValuesOptions options = {.threads = 1, .samples = SAMPLES};
    if (!values_run(a, &r->diag, f, &options, in, values))
        return INFINITY;
    CU_ASSERT_EQUAL(memcmp(core[n_in], values[n_in], n_out * dtype_bytes(out_type->dtype)), 0);

    double worst = 0;
    for (int s = 0; s < SAMPLES; s++) {
        const double **x = arena_array(a, const double *, n_in);
        double **node = arena_array(a, double *, reference->nodes.n);
        for (size_t k = 0; k < n_in; k++) {
            const Type *t = &reference->inputs.data[k]->type;
            int64_t n = type_elements(t);
            double *v = arena_array(a, double, (size_t)n);
            for (int64_t i = 0; i < n; i++)
                v[i] = get(in[k], t->dtype, s * n + i);
            x[k] = v;
        }
        if (!eval_graph(a, &r->diag, reference, x, node))
            return INFINITY;
        double error = compare(core[n_in], node[reference->outputs.data[0]->id], out_type,
                               s * type_elements(out_type), c->of_largest);
        worst = fmax(worst, error);
    }
    return worst;
}

/* One case at one shape and type, with two numbers of lanes. Returns the largest error. */
static double run_case(const Case *c, int shape, int type, const Machine *machine)
{
    static const char *const type_names[2] = {"f32", "f16"};
    Define defines[5];
    char text[1024];
    uint32_t lanes[2] = {0, 0};
    int n_lanes = 0;
    double worst = 0;

    memcpy(defines, shapes[shape], sizeof shapes[shape]);
    defines[4] = (Define){"T", type_names[type]};
    snprintf(text, sizeof text, "%s%s", params, c->text);
    for (size_t i = 0; i < sizeof core_limits / sizeof *core_limits && n_lanes < 2; i++) {
        Run r;
        Graph *reference, *graph;
        Fabric fabric;
        Bytes bytes = {0};
        uint32_t now = 0;
        run_begin(&r);
        bool ok = graph_of(&r, text, defines, 5, &reference) &&
                  graph_of(&r, text, defines, 5, &graph) &&
                  compile(&r, graph, machine, core_limits[i], &now, &bytes, &fabric);
        if (ok && (n_lanes == 0 || lanes[0] != now)) {
            lanes[n_lanes++] = now;
            worst = fmax(worst, execute(&r, c, &fabric, reference));
        }
        fflush(r.diag.out);
        if (!ok && !r.diag.infeasible) {
            printf("\n  %s:\n%s", c->text, r.messages);
            worst = INFINITY;
        }
        bytes_free(&bytes);
        run_end(&r);
    }
    if (n_lanes < 2)
        printf("\n  %s: no two numbers of lanes\n", c->text);
    CU_ASSERT_EQUAL(n_lanes, 2);
    return worst;
}

static void every_operator(void)
{
    Diag d;
    Machine machine;
    diag_init(&d, "test");
    CU_ASSERT_TRUE_FATAL(machine_load(&d, "wse2-64x64", &machine));
    printf("\n  operator          f32 ulps (limit)  f16 ulps (limit)  of\n");
    for (int op = 0; op < OP_COUNT; op++) {
        int n = 0;
        for (const Case *c = cases; c < cases + N_CASES; c++) {
            if (c->op != (Opkind)op)
                continue;
            n++;
            double worst[2] = {0, 0};
            for (int type = 0; type < 2; type++) {
                for (int shape = 0; shape < 2; shape++)
                    worst[type] = fmax(worst[type], run_case(c, shape, type, &machine));
                CU_ASSERT_TRUE(worst[type] <= c->ulps[type]);
            }
            printf("  %-16s %9.2f (%4.1f)  %9.2f (%4.1f)  %s\n", op_info[op].text, worst[0],
                   c->ulps[0], worst[1], c->ulps[1], c->of_largest ? "largest" : "element");
            if (!(worst[0] <= c->ulps[0] && worst[1] <= c->ulps[1]))
                printf("    ^ %s\n", c->text);
        }
        bool leaf = (op_info[op].flags & OPF_LEAF) != 0;
        if (!n && !leaf)
            printf("  %s: no case\n", op_info[op].text);
        CU_ASSERT_TRUE(n > 0 || leaf);
    }
    diag_finish(&d);
}

/* ---- what cannot go on the fabric: everything at once, each with its line ---- */

static void all_at_once(void)
{
    static const char text[] =
        "model m(x: f32[4, 6], z: f32[6, 5], u: f32[3, 2]) -> (a, b, c, d) {\n"
        "    a = matmul(x,\n"
        "               relu(z))\n"
        "    b = linear(transpose(relu(x), [1, 0]), 5, name = \"t\")\n"
        "    c = x + max(relu(reduce_max(x)), 0.5)\n"
        "    d = linear(x, 3, name = \"k\")\n"
        "    d = matmul(relu(d), relu(u))\n"
        "}\n";
    static const char *const want[] = {
        "case.dsl:2:9: error: matmul: a product of two computed tensors",
        "case.dsl:4:16: error: transpose from f32[4, 6] to f32[6, 4]",
        "case.dsl:5:9: error: add: this broadcast cannot go on the fabric",
        "case.dsl:7:9: error: matmul: a product of two computed tensors",
    };
    Run r;
    Graph *g;
    Machine machine;
    Bytes bytes = {0};
    Fabric fabric;
    uint32_t lanes;
    run_begin(&r);
    CU_ASSERT_TRUE_FATAL(machine_load(&r.diag, "wse2-64x64", &machine));
    CU_ASSERT_TRUE_FATAL(graph_of(&r, text, NULL, 0, &g));
    CU_ASSERT_FALSE(compile(&r, g, &machine, 0, &lanes, &bytes, &fabric));
    fflush(r.diag.out);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        bool there = strstr(r.messages, want[i]) != NULL;
        if (!there)
            printf("\n  missing: %s\n  in:\n%s", want[i], r.messages);
        CU_ASSERT_TRUE(there);
    }
    CU_ASSERT_EQUAL(r.diag.n_errors, 4);
    CU_ASSERT_EQUAL(diag_exit_code(&r.diag), EXIT_INPUT);
    run_end(&r);
}

/* A position's features that no core can hold: how much too much, and what takes it. */
static void too_big(void)
{
    static const char text[] = "model m(x: f32[2, 30000, 3]) -> y {\n"
                               "    y = conv2d(x, 4, kernel = 3, padding = 1, name = \"wide\")\n"
                               "}\n";
    Run r;
    Graph *g;
    Machine machine;
    Bytes bytes = {0};
    Fabric fabric;
    uint32_t lanes;
    run_begin(&r);
    CU_ASSERT_TRUE_FATAL(machine_load(&r.diag, "wse2-64x64", &machine));
    CU_ASSERT_TRUE_FATAL(graph_of(&r, text, NULL, 0, &g));
    CU_ASSERT_FALSE(compile(&r, g, &machine, 0, &lanes, &bytes, &fabric));
    fflush(r.diag.out);
    CU_ASSERT_EQUAL(diag_exit_code(&r.diag), EXIT_INFEASIBLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(r.messages, "case.dsl:2:"));
    CU_ASSERT_PTR_NOT_NULL(strstr(r.messages, "'wide'"));
    run_end(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"every operator of the table, on the fabric", every_operator},
        {"what cannot go on the fabric, all at once", all_at_once},
        {"what does not fit", too_big},
        CU_TEST_INFO_NULL,
    };
    return suite_run("operators", tests);
}
