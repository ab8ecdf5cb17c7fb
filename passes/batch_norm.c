/* SPDX-License-Identifier: Apache-2.0 */
/* passes/batch_norm.c - batch norm (inference) disappears.
 *
 * With s = weight / sqrt(running_var + eps) and t = bias - running_mean * s it is s x + t per
 * feature. Where x comes from a conv2d or linear that nothing else uses, s and t go into its
 * weight and bias; elsewhere the norm becomes a multiplication and an addition by constants.
 * Computed in double and rounded once to the weights' type. The value keeps the norm's name.
 * Linear in the sizes of the constants. */
#include "passes/passes.h"

#include <math.h>

#include "passes/rewrite.h"

/* s and t in double, or NULL where values are unknown. */
static double *scale_shift(Arena *a, const Node *bn)
{
    int64_t c = type_features(&bn->type);
    for (uint32_t k = 1; k < 5; k++)
        if (bn->in[k]->value == NULL)
            return NULL;
    double *st = arena_array(a, double, 2 * (size_t)c);
    for (int64_t i = 0; i < c; i++) {
        st[i] = (double)bn->in[1]->value[i] / sqrt((double)bn->in[4]->value[i] + bn->attr.eps);
        st[c + i] = (double)bn->in[2]->value[i] - (double)bn->in[3]->value[i] * st[i];
    }
    return st;
}

static void into_weights(Graph *g, Node *bn, const double *st)
{
    const Node *p = bn->in[0];
    const Node *w = p->in[1], *b = p->attr.has_bias ? p->in[2] : NULL;
    int64_t c = type_features(&bn->type), per = type_elements(&w->type) / c;
    DType t = w->type.dtype;
    float *new_w = NULL, *new_b = NULL;

    if (st != NULL && w->value != NULL && (b == NULL || b->value != NULL)) {
        new_w = arena_array(g->arena, float, (size_t)(c * per));
        new_b = arena_array(g->arena, float, (size_t)c);
        for (int64_t o = 0; o < c; o++) {
            for (int64_t i = 0; i < per; i++)
                new_w[o * per + i] = rewrite_round(t, (double)w->value[o * per + i] * st[o]);
            new_b[o] = rewrite_round(t, (b ? (double)b->value[o] * st[o] : 0) + st[c + o]);
        }
    }
    Node *in[3] = {p->in[0], rewrite_const(g, w, "norm", w->type, new_w),
                   rewrite_const(g, bn->in[2], "norm", bn->in[2]->type, new_b)};
    rewrite_node(g, bn, p->op, in, 3);
    bn->attr = p->attr;
    bn->attr.has_bias = true;
    bn->span = p->span; /* where the kernel is looked for */
}

static void into_mul_add(Graph *g, Node *bn, const double *st)
{
    int64_t c = type_features(&bn->type);
    float *value[2] = {NULL, NULL};
    for (int k = 0; k < 2 && st != NULL; k++) {
        value[k] = arena_array(g->arena, float, (size_t)c);
        for (int64_t i = 0; i < c; i++)
            value[k][i] = rewrite_round(bn->type.dtype, st[k * c + i]);
    }
    Node *scale = rewrite_const(g, bn->in[1], "norm", bn->in[1]->type, value[0]);
    Node *shift = rewrite_const(g, bn->in[2], "norm", bn->in[2]->type, value[1]);
    Node *mul = graph_add(g, OP_MUL, bn->span, NULL, (Node *[]){bn->in[0], scale}, 2);
    mul->type = bn->type;
    rewrite_node(g, bn, OP_ADD, (Node *[]){mul, shift}, 2);
}

bool pass_batch_norm(PassContext *cx)
{
    Graph *g = cx->graph;
    Arena scratch = {0};
    uint32_t *uses = graph_use_counts(g, &scratch);
    size_t n_nodes = g->nodes.n;

    for (size_t i = 0; i < n_nodes; i++) {
        Node *n = g->nodes.data[i];
        bool constant = n->op == OP_BATCH_NORM;
        for (uint32_t k = 1; constant && k < n->n_in; k++)
            constant = n->in[k]->op == OP_CONST;
        if (!constant)
            continue; /* computed statistics: legal reports them */
        const Node *x = n->in[0];
        double *st = scale_shift(&scratch, n);
        bool layer = (x->op == OP_CONV2D || x->op == OP_LINEAR) && uses[x->id] == 1;
        for (uint32_t k = 1; layer && k < x->n_in; k++)
            layer = x->in[k]->op == OP_CONST;
        if (layer)
            into_weights(g, n, st);
        else
            into_mul_add(g, n, st);
    }
    arena_free(&scratch);
    graph_sweep(g);
    return true;
}
