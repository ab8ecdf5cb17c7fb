/* SPDX-License-Identifier: Apache-2.0 */
/* tests/kernels/bench.c - see bench.h. */
#include "bench.h"

#include <math.h>
#include <string.h>

#define PASS(id, doc) bool pass_##id(PassContext *cx);
#include "passes/passes.def"
#undef PASS

void bench_begin(Bench *b, const char *label, const char *machine, DType dtype)
{
    memset(b, 0, sizeof *b);
    diag_init(&b->diag, "test");
    b->label = label;
    b->dtype = dtype;
    b->rng.state = 7;
    CU_ASSERT_TRUE_FATAL(machine_load(&b->diag, machine, &b->machine));
    b->graph = graph_create(&b->arena, label);
    b->cx = (PassContext){.diag = &b->diag,
                          .graph = b->graph,
                          .machine = &b->machine,
                          .arena = &b->arena,
                          .options = {.slack = 0.05}};
}

void bench_end(Bench *b)
{
    diag_finish(&b->diag);
    arena_free(&b->arena);
}

static Type type_of(DType t, int64_t d0, int64_t d1, int64_t d2)
{
    Type r = {.dtype = t, .extent = {d0, d1, d2}};
    while (r.rank < 3 && r.extent[r.rank] > 0)
        r.rank++;
    return r;
}

static Node *finish(Bench *b, Node *n)
{
    CU_ASSERT_TRUE_FATAL(op_info[n->op].infer(&b->diag, n));
    return n;
}

Node *g_input(Bench *b, int64_t d0, int64_t d1, int64_t d2)
{
    const char *name = arena_printf(&b->arena, "in%zu", b->graph->inputs.n);
    Node *n = graph_add(b->graph, OP_INPUT, (Span){0}, name, NULL, 0);
    n->type = type_of(b->dtype, d0, d1, d2);
    bool listed = false;
    for (size_t i = 0; i < b->graph->inputs.n; i++)
        listed = listed || b->graph->inputs.data[i] == n;
    if (!listed)
        vec_push(&b->arena, &b->graph->inputs, n);
    return n;
}

static float number(Bench *b, double scale)
{
    float v = (float)((2 * rng_unit(&b->rng) - 1) * scale);
    return b->dtype == DT_F16 ? f32_from_f16(f16_from_f32(v)) : v;
}

static Node *constant(Bench *b, Type t, double scale, double offset)
{
    int64_t n = type_elements(&t);
    float *v = arena_array(&b->arena, float, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        v[i] = number(b, scale) + (float)offset;
        if (b->dtype == DT_F16)
            v[i] = f32_from_f16(f16_from_f32(v[i]));
    }
    const char *name = arena_printf(&b->arena, "c%zu", b->graph->nodes.n);
    return graph_const(b->graph, (Span){0}, name, t, v);
}

Node *g_const(Bench *b, int64_t d0, int64_t d1, int64_t d2)
{
    return constant(b, type_of(b->dtype, d0, d1, d2), 1.0, 0.0);
}

Node *g_number(Bench *b, float value)
{
    float *v = arena_new(&b->arena, float);
    *v = value;
    return graph_const(b->graph, (Span){0}, NULL, (Type){.dtype = b->dtype}, v);
}

Node *g_conv(Bench *b, Node *x, int64_t channels, int64_t kernel, int64_t stride, int64_t padding)
{
    int64_t c = x->type.extent[2];
    Type t = {b->dtype, 4, {channels, c, kernel, kernel}};
    Node *in[3] = {x, constant(b, t, 1.7 / sqrt((double)(c * kernel * kernel)), 0),
                   constant(b, type_of(b->dtype, channels, 0, 0), 0.5, 0)};
    Node *n = graph_add(b->graph, OP_CONV2D, (Span){0}, NULL, in, 3);
    n->attr.has_bias = true;
    for (int i = 0; i < 2; i++) {
        n->attr.kernel[i] = kernel;
        n->attr.stride[i] = stride;
        n->attr.padding[i] = padding;
    }
    return finish(b, n);
}

Node *g_linear(Bench *b, Node *x, int64_t features)
{
    int64_t k = type_features(&x->type);
    Type t = {b->dtype, 2, {features, k}};
    Node *in[3] = {x, constant(b, t, 1.7 / sqrt((double)k), 0),
                   constant(b, type_of(b->dtype, features, 0, 0), 0.5, 0)};
    Node *n = graph_add(b->graph, OP_LINEAR, (Span){0}, NULL, in, 3);
    n->attr.has_bias = true;
    return finish(b, n);
}

Node *g_pool(Bench *b, Opkind op, Node *x, int64_t kernel, int64_t stride, int64_t padding)
{
    Node *n = graph_add(b->graph, op, (Span){0}, NULL, &x, 1);
    if (op == OP_MAX_POOL || op == OP_AVG_POOL)
        for (int i = 0; i < 2; i++) {
            n->attr.kernel[i] = kernel;
            n->attr.stride[i] = stride;
            n->attr.padding[i] = padding;
        }
    return finish(b, n);
}

Node *g_unary(Bench *b, Opkind op, Node *x)
{
    return finish(b, graph_add(b->graph, op, (Span){0}, NULL, &x, 1));
}

Node *g_binary(Bench *b, Opkind op, Node *x, Node *y)
{
    Node *in[2] = {x, y};
    return finish(b, graph_add(b->graph, op, (Span){0}, NULL, in, 2));
}

Node *g_flatten(Bench *b, Node *x, const char *order)
{
    Node *n = graph_add(b->graph, OP_FLATTEN, (Span){0}, NULL, &x, 1);
    n->attr.order = order;
    return finish(b, n);
}

Node *g_view(Bench *b, Opkind op, Node *x, int64_t d0, int64_t d1, int64_t d2)
{
    Node *n = graph_add(b->graph, op, (Span){0}, NULL, &x, 1);
    n->attr.shape[0] = d0;
    n->attr.shape[1] = d1;
    n->attr.shape[2] = d2;
    n->attr.shape_rank = op == OP_TRANSPOSE ? x->type.rank : type_of(DT_F32, d0, d1, d2).rank;
    return finish(b, n);
}

Node *g_norm(Bench *b, Node *x)
{
    Type t = type_of(b->dtype, type_features(&x->type), 0, 0);
    Node *in[5] = {x, constant(b, t, 0.5, 1), constant(b, t, 1, 0), constant(b, t, 0.3, 0),
                   constant(b, t, 0.4, 1)};
    Node *n = graph_add(b->graph, OP_BATCH_NORM, (Span){0}, NULL, in, 5);
    n->attr.eps = 1e-5;
    return finish(b, n);
}

void g_output(Bench *b, Node *x)
{
    Graph *g = b->graph;
    const char **names = arena_array(&b->arena, const char *, g->outputs.n + 1);
    for (size_t i = 0; i < g->outputs.n; i++)
        names[i] = g->output_names[i];
    names[g->outputs.n] = arena_printf(&b->arena, "out%zu", g->outputs.n);
    g->output_names = names;
    vec_push(&b->arena, &g->outputs, x);
}

bool bench_partition(Bench *b)
{
    graph_sweep(b->graph);
    return graph_verify(&b->diag, b->graph, "building") && pass_fold(&b->cx) && pass_cse(&b->cx) &&
           pass_dce(&b->cx) && pass_batch_norm(&b->cx) && pass_canon(&b->cx) &&
           pass_views(&b->cx) && pass_legal(&b->cx) && pass_fuse(&b->cx) && pass_partition(&b->cx);
}

bool bench_place(Bench *b, Place at)
{
    if (!bench_partition(b))
        return false;
    Plan *plan = b->cx.plan;
    if (plan->kernels.n < 1 || plan->kernels.n > 2) {
        printf("%s: %zu kernels instead of one\n", b->label, plan->kernels.n);
        return false;
    }
    for (size_t i = 0; i < plan->kernels.n; i++) {
        /* Of two the first is a line kernel that feeds the one at hand. */
        Kernel *k = plan->kernels.data[i];
        bool feeds = i + 1 < plan->kernels.n;
        Protocol in[KERNEL_MAX_INPUTS];
        for (uint32_t j = 0; j < k->n_in; j++) {
            Protocol *p = &plan->streams.data[k->in[j]]->protocol;
            p->lanes = j ? at.lanes_out : at.lanes_in;
            if (plan->streams.data[k->in[j]]->from == PLAN_HOST)
                p->segs = at.segs_in <= p->cols ? at.segs_in : p->cols;
            in[j] = *p;
        }
        k->shape = (Shape){.lanes_in = at.lanes_in,
                           .lanes_out = at.lanes_out,
                           .split = at.split,
                           .segs_out = at.segs_out};
        if (feeds)
            k->shape = (Shape){.lanes_in = at.lanes_in, .lanes_out = at.lanes_in, .split = 1};
        if (!kernel_shape(&b->arena, k, in, &b->machine, &k->shape)) {
            printf("%s: shape refused\n", b->label);
            return false;
        }
        for (uint32_t j = 0; j < k->n_out; j++) {
            Protocol *p = &plan->streams.data[k->out[j]]->protocol;
            p->lanes = k->shape.lanes_out;
            p->segs = k->shape.segs_out;
        }
        k->x = b->machine.width / 2 - (feeds ? 12 + at.lanes_in : 8);
        k->y = at.y ? at.y : b->machine.height / 2 - 8;
        if (!feeds) {
            k->turn = at.turn;
            k->mirror = at.mirror;
        }
    }
    return pass_route(&b->cx);
}

bool bench_plan(Bench *b, uint32_t max_cores)
{
    b->cx.options.max_cores = max_cores;
    return bench_partition(b) && pass_size(&b->cx) && pass_place(&b->cx) && pass_route(&b->cx) &&
           pass_buffers(&b->cx);
}

static void put(uint8_t *out, DType t, int64_t i, double v)
{
    if (t == DT_F16) {
        uint16_t h = f16_from_f64(v);
        memcpy(out + 2 * i, &h, 2);
    } else {
        float f = (float)v;
        memcpy(out + 4 * i, &f, 4);
    }
}

static double get(const uint8_t *in, DType t, int64_t i)
{
    uint16_t h;
    float f;
    int32_t n;
    switch (t) {
    case DT_F16:
        memcpy(&h, in + 2 * i, 2);
        return f32_from_f16(h);
    case DT_F32:
        memcpy(&f, in + 4 * i, 4);
        return f;
    case DT_I32:
    case DT_COUNT:
        break;
    }
    memcpy(&n, in + 4 * i, 4);
    return n;
}

static bool emit(Bench *b)
{
    return b->fabric.image || (kernels_emit(&b->arena, &b->diag, b->cx.plan, &b->image) &&
                               check_image(&b->arena, &b->diag, &b->image, &b->fabric));
}

double bench_run(Bench *b, uint64_t samples)
{
    if (!emit(b))
        return -1;
    const Graph *g = b->graph;
    size_t n_in = g->inputs.n, n_out = g->outputs.n;
    const uint8_t **in = arena_array(&b->arena, const uint8_t *, n_in + n_out);
    uint8_t **out = arena_array(&b->arena, uint8_t *, n_in + n_out);
    for (size_t i = 0; i < n_in; i++) {
        int64_t n = type_elements(&g->inputs.data[i]->type) * (int64_t)samples;
        uint8_t *bytes = arena_alloc(&b->arena, (size_t)n, 4, 8);
        for (int64_t j = 0; j < n; j++)
            put(bytes, b->dtype, j, number(b, 1.0));
        in[i] = bytes;
    }
    for (size_t i = 0; i < n_out; i++)
        out[n_in + i] = arena_alloc(
            &b->arena, (size_t)type_elements(&g->outputs.data[i]->type) * samples, 4, 8);
    EngineOptions options = {.values = true, .samples = samples, .cycles_limit = 1ull << 32};
    EngineResult r;
    if (!engine_run(&b->arena, &b->fabric, &options, in, out, &r)) {
        printf("%s: %s\n", b->label, r.fault ? r.fault : "engine failed");
        return -1;
    }
    double worst = 0;
    for (uint64_t s = 0; s < samples; s++) {
        const double **x = arena_array(&b->arena, const double *, n_in);
        for (size_t i = 0; i < n_in; i++) {
            int64_t n = type_elements(&g->inputs.data[i]->type);
            double *v = arena_array(&b->arena, double, (size_t)n);
            for (int64_t j = 0; j < n; j++)
                v[j] = get(in[i], b->dtype, (int64_t)s * n + j);
            x[i] = v;
        }
        double **result = arena_array(&b->arena, double *, g->nodes.n);
        if (!eval_graph(&b->arena, &b->diag, g, x, result))
            return -1;
        for (size_t i = 0; i < n_out; i++) {
            const Node *y = g->outputs.data[i];
            int64_t n = type_elements(&y->type);
            for (int64_t j = 0; j < n; j++) {
                double want = result[y->id][j];
                double got = get(out[n_in + i], y->type.dtype, (int64_t)s * n + j);
                double tolerance = y->type.dtype == DT_I32 ? 0.5
                                   : b->dtype == DT_F16    ? 4e-3 * fabs(want) + 4e-3
                                                           : 1e-5 * fabs(want) + 1e-5;
                double error = fabs(got - want) / tolerance;
                if (!(error < 1) && !(worst >= 1))
                    printf("%s: output %zu, sample %llu, element %lld: %g, not %g\n", b->label, i,
                           (unsigned long long)s, (long long)j, got, want);
                if (!(error <= worst))
                    worst = error;
            }
        }
    }
    return worst;
}

double bench_period(Bench *b, uint64_t samples)
{
    if (!emit(b))
        return -1;
    EngineOptions options = {.skip_periods = true, .samples = samples};
    EngineResult r;
    if (!engine_run(&b->arena, &b->fabric, &options, NULL, NULL, &r))
        return -1;
    return (double)r.period_num / (double)r.period_den;
}
