/* SPDX-License-Identifier: Apache-2.0 */
/* tests/ir/graph_testing.c - see the header. Random graphs grow a pool of values: each step
 * draws an operator and operands that fit its rule, so that every graph is well typed. */
#include "tests/ir/graph_testing.h"

#include <stdlib.h>
#include <string.h>

Graph *graph_from(Capture *c, const char *text)
{
    uint32_t file = diag_add_source(&c->diag, "test.wir", text, strlen(text));
    return graph_parse(&c->arena, &c->diag, file);
}

void check_text(const char *expected, const char *got)
{
    CU_ASSERT_STRING_EQUAL(got, expected);
    if (strcmp(got, expected) != 0)
        fprintf(stderr, "\n--- expected\n%s--- got\n%s---\n", expected, got);
}

void check_graph(const Graph *g, const char *expected)
{
    Text t = {0};
    graph_print(&t, g, false);
    check_text(expected, t.data);
    text_free(&t);
}

/* ---- random graphs ---- */

typedef struct Maker {
    Graph *g;
    Rng *r;
    Diag diag;
    NodeVec pool;
    unsigned names;
    DType dtype;
    bool views;
} Maker;

static int64_t between(Maker *m, int64_t least, int64_t most)
{
    return least + rng_below(m->r, (uint32_t)(most - least + 1));
}

static Node *constant(Maker *m, Type t, const char *suffix, bool positive)
{
    int64_t n = type_elements(&t);
    float *v = arena_array(m->g->arena, float, (size_t)n);
    for (int64_t i = 0; i < n; i++)
        v[i] = positive ? 0.5f + (float)rng_unit(m->r) : (float)(0.4 * rng_normal(m->r));
    for (int64_t i = 0; t.dtype == DT_F16 && i < n; i++)
        v[i] = f32_from_f16(f16_from_f32(v[i]));
    Node *c =
        graph_const(m->g, (Span){0}, arena_printf(m->g->arena, "l%u.%s", m->names, suffix), t, v);
    c->is_weight = true;
    return c;
}

static Node *finish(Maker *m, Node *n)
{
    if (!op_info[n->op].infer(&m->diag, n))
        abort(); /* the generator itself is wrong */
    if (rng_below(m->r, 2) || (op_info[n->op].flags & OPF_LAYER))
        n->name = arena_printf(m->g->arena, "v%u", m->names);
    m->names++;
    return n;
}

static Node *any(Maker *m, int rank)
{
    for (int tries = 0; tries < 20; tries++) {
        Node *n = m->pool.data[rng_below(m->r, (uint32_t)m->pool.n)];
        /* mostly the latest value, so that chains come about */
        if (rng_below(m->r, 3))
            n = m->pool.data[m->pool.n - 1];
        if (rank == 0 || n->type.rank == rank)
            return n;
    }
    return NULL;
}

static void set_window(Maker *m, Node *n, const Node *x)
{
    for (int i = 0; i < 2; i++) {
        int64_t most = x->type.extent[i] < 3 ? x->type.extent[i] : 3;
        n->attr.kernel[i] = between(m, 1, most);
        n->attr.stride[i] = between(m, 1, 2);
        n->attr.padding[i] = between(m, 0, n->attr.kernel[i] / 2);
    }
}

static Node *make_layer(Maker *m, Opkind op, Node *x)
{
    int64_t c = type_features(&x->type), o = between(m, 1, 6);
    bool bias = rng_below(m->r, 2);
    Node *n = graph_add(m->g, op, (Span){0}, NULL, (Node *[]){x, x, x}, bias ? 3 : 2);
    n->attr.has_bias = bias;
    Type w = {m->dtype, 2, {o, c}};
    if (op == OP_CONV2D) {
        set_window(m, n, x);
        w = (Type){m->dtype, 4, {o, c, n->attr.kernel[0], n->attr.kernel[1]}};
    }
    n->in[1] = constant(m, w, "weight", false);
    if (bias)
        n->in[2] = constant(m, (Type){m->dtype, 1, {o}}, "bias", false);
    return finish(m, n);
}

static Node *make_matmul(Maker *m, Node *x)
{
    int64_t k = type_features(&x->type), o = between(m, 1, 6);
    Node *w;
    if (rng_below(m->r, 2)) { /* through a transpose of the weight */
        Node *t = constant(m, (Type){m->dtype, 2, {o, k}}, "weight", false);
        w = graph_add(m->g, OP_TRANSPOSE, (Span){0}, NULL, &t, 1);
        w->attr.shape_rank = 2;
        w->attr.shape[0] = 1;
        finish(m, w);
    } else {
        w = constant(m, (Type){m->dtype, 2, {k, o}}, "weight", false);
    }
    return finish(m, graph_add(m->g, OP_MATMUL, (Span){0}, NULL, (Node *[]){x, w}, 2));
}

static Node *make_norm(Maker *m, Node *x)
{
    Type c = {m->dtype, 1, {type_features(&x->type)}};
    Node *in[5] = {x, constant(m, c, "weight", false), constant(m, c, "bias", false),
                   constant(m, c, "running_mean", false), constant(m, c, "running_var", true)};
    Node *n = graph_add(m->g, OP_BATCH_NORM, (Span){0}, NULL, in, 5);
    n->attr.eps = 1e-5;
    return finish(m, n);
}

static Node *make_binary(Maker *m, Node *x)
{
    Node *y = NULL;
    unsigned how = rng_below(m->r, 4);
    for (size_t i = 0; how == 0 && i < m->pool.n; i++)
        if (type_equal(&m->pool.data[i]->type, &x->type) && rng_below(m->r, 2))
            y = m->pool.data[i];
    if (y == NULL) {
        Type t = {m->dtype, 0, {0}};
        if (how >= 2)
            t = (Type){m->dtype, 1, {type_features(&x->type)}};
        if (how == 3)
            t = x->type;
        y = constant(m, t, "constant", false);
        y->is_weight = false;
        y->name = NULL;
    }
    Opkind op = (Opkind)(OP_ADD + rng_below(m->r, OP_MAX - OP_ADD + 1));
    bool swap = rng_below(m->r, 2);
    return finish(m,
                  graph_add(m->g, op, (Span){0}, NULL, (Node *[]){swap ? y : x, swap ? x : y}, 2));
}

static Node *make_view(Maker *m, Node *x)
{
    static const char *const orders[] = {"hwc", "chw", "whc", "cwh", "hcw", "wch"};
    Node *n;
    switch (rng_below(m->r, 3)) {
    case 0:
        n = graph_add(m->g, OP_FLATTEN, (Span){0}, NULL, &x, 1);
        n->attr.order = orders[x->type.rank == 3 ? rng_below(m->r, 6) : 0];
        break;
    case 1:
        n = graph_add(m->g, OP_RESHAPE, (Span){0}, NULL, &x, 1);
        n->attr.shape_rank = 2;
        n->attr.shape[0] = rng_below(m->r, 2) ? 1 : x->type.extent[0];
        n->attr.shape[1] = -1;
        break;
    default:
        n = graph_add(m->g, OP_TRANSPOSE, (Span){0}, NULL, &x, 1);
        n->attr.shape_rank = x->type.rank;
        for (int i = 0; i < x->type.rank; i++)
            n->attr.shape[i] = x->type.rank - 1 - i;
        break;
    }
    return finish(m, n);
}

static Node *make_flat_linear(Maker *m, Node *x)
{
    Node *n = graph_add(m->g, OP_FLATTEN, (Span){0}, NULL, &x, 1);
    n->attr.order = rng_below(m->r, 2) ? "chw" : "hwc";
    finish(m, n);
    if (rng_below(m->r, 3) == 0)
        n = finish(m, graph_add(m->g, OP_RELU, (Span){0}, NULL, &n, 1));
    return make_layer(m, OP_LINEAR, n);
}

static Node *make_pool(Maker *m, Node *x)
{
    bool global = rng_below(m->r, 3) == 0;
    Opkind op = (Opkind)((global ? OP_GLOBAL_MAX_POOL : OP_MAX_POOL) + rng_below(m->r, 2));
    Node *n = graph_add(m->g, op, (Span){0}, NULL, &x, 1);
    if (!global)
        set_window(m, n, x);
    return finish(m, n);
}

static Node *step(Maker *m)
{
    unsigned draw = rng_below(m->r, m->views ? 18 : 16);
    Node *x = any(m, draw < 6 ? 3 : 0);
    if (x == NULL || type_elements(&x->type) > 4000)
        return NULL;
    if (draw < 3)
        return make_layer(m, OP_CONV2D, x);
    if (draw < 5)
        return make_pool(m, x);
    if (draw < 6)
        return make_flat_linear(m, x);
    if (draw < 7)
        return make_layer(m, OP_LINEAR, x);
    if (draw < 8)
        return make_matmul(m, x);
    if (draw < 10)
        return make_norm(m, x);
    if (draw < 12)
        return make_binary(m, x);
    if (draw < 15)
        return finish(m, graph_add(m->g, OP_RELU, (Span){0}, NULL, &x, 1));
    if (draw < 16)
        return finish(
            m, graph_add(m->g, (Opkind)(OP_SUM + rng_below(m->r, 3)), (Span){0}, NULL, &x, 1));
    return make_view(m, x);
}

Graph *random_graph(Arena *a, Rng *r, DType dtype, unsigned n, bool views)
{
    Maker m = {.g = graph_create(a, "random"), .r = r, .dtype = dtype, .views = views};
    diag_init(&m.diag, "random graph");
    unsigned n_inputs = 1 + rng_below(r, 2);
    for (unsigned i = 0; i < n_inputs; i++) {
        Node *in = graph_add(m.g, OP_INPUT, (Span){0}, i ? "b" : "a", NULL, 0);
        in->type = i ? (Type){dtype, 1, {between(&m, 1, 9)}}
                     : (Type){dtype, 3, {between(&m, 2, 7), between(&m, 2, 7), between(&m, 1, 4)}};
        vec_push(a, &m.g->inputs, in);
        vec_push(a, &m.pool, in);
    }
    for (unsigned i = 0; i < n; i++) {
        Node *made = step(&m);
        if (made != NULL)
            vec_push(a, &m.pool, made);
    }
    unsigned n_outputs = 1 + rng_below(r, 2);
    m.g->output_names = arena_array(a, const char *, n_outputs);
    for (unsigned i = 0; i < n_outputs; i++) {
        Node *out = i ? m.pool.data[rng_below(r, (uint32_t)m.pool.n)] : m.pool.data[m.pool.n - 1];
        vec_push(a, &m.g->outputs, out);
        m.g->output_names[i] = arena_printf(a, "out%u", i);
    }
    graph_sweep(m.g);
    diag_finish(&m.diag);
    return m.g;
}

void fill_constants(Graph *g, uint64_t seed)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.data[i];
        if (n->op != OP_CONST || n->value != NULL)
            continue;
        Rng r = {seed + n->id};
        size_t count = (size_t)type_elements(&n->type);
        float *v = arena_array(g->arena, float, count);
        for (size_t k = 0; k < count; k++) {
            v[k] = (float)(0.5 + rng_unit(&r));
            if (n->type.dtype == DT_F16)
                v[k] = f32_from_f16(f16_from_f32(v[k]));
        }
        n->value = v;
    }
}

double *evaluate(Arena *a, Diag *d, const Graph *g, uint64_t seed, size_t *n)
{
    Rng r = {seed};
    const double **in = arena_array(a, const double *, g->inputs.n);
    double **result = arena_array(a, double *, g->nodes.n);
    VEC(double) all = {0};
    for (size_t i = 0; i < g->inputs.n; i++) {
        size_t count = (size_t)type_elements(&g->inputs.data[i]->type);
        double *v = arena_array(a, double, count);
        for (size_t k = 0; k < count; k++)
            v[k] = rng_normal(&r);
        in[i] = v;
    }
    *n = 0;
    if (!eval_graph(a, d, g, in, result))
        return NULL;
    for (size_t i = 0; i < g->outputs.n; i++) {
        const Node *o = g->outputs.data[i];
        int64_t count = type_elements(&o->type);
        for (int64_t k = 0; k < count; k++)
            vec_push(a, &all, result[o->id][k]);
    }
    *n = all.n;
    return all.data;
}
