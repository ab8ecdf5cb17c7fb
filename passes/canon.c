/* SPDX-License-Identifier: Apache-2.0 */
/* passes/canon.c - one form for equal things.
 *
 *   - matmul by a constant becomes a linear layer without bias, its weight transposed;
 *   - the constant of a commutative operation stands second;
 *   - an output that is an input (or a view of one) is copied: multiplied by one, which keeps
 *     every bit but a NaN's payload.
 * Linear in the graph and the transposed weights. */
#include "passes/passes.h"

#include "passes/rewrite.h"

static void matmul_to_linear(Graph *g, Node *n)
{
    const Node *w = n->in[1];
    int64_t k = w->type.extent[0], o = w->type.extent[1];
    Type type = {w->type.dtype, 2, {o, k}};
    float *value = NULL;
    if (w->value != NULL) {
        value = arena_array(g->arena, float, (size_t)(k * o));
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < o; j++)
                value[j * k + i] = w->value[i * o + j];
    }
    rewrite_node(g, n, OP_LINEAR, (Node *[]){n->in[0], rewrite_const(g, w, "T", type, value)}, 2);
}

static Node *copy_of(Graph *g, Node *x)
{
    static const float one = 1;
    Node *c = graph_const(g, x->span, NULL, (Type){.dtype = x->type.dtype}, &one);
    Node *mul = graph_add(g, OP_MUL, x->span, NULL, (Node *[]){x, c}, 2);
    mul->type = x->type;
    return mul;
}

bool pass_canon(PassContext *cx)
{
    Graph *g = cx->graph;
    size_t n_nodes = g->nodes.n;
    for (size_t i = 0; i < n_nodes; i++) {
        Node *n = g->nodes.data[i];
        if (n->op == OP_MATMUL && n->in[1]->op == OP_CONST)
            matmul_to_linear(g, n);
        if ((op_info[n->op].flags & OPF_COMMUTES) && n->in[0]->op == OP_CONST) {
            Node *constant = n->in[0];
            n->in[0] = n->in[1];
            n->in[1] = constant;
        }
    }
    for (size_t i = 0; i < g->outputs.n; i++) {
        const Node *root = g->outputs.data[i];
        while (op_info[root->op].flags & OPF_VIEW)
            root = root->in[0];
        if (root->op == OP_INPUT && root->type.dtype != DT_I32)
            g->outputs.data[i] = copy_of(g, g->outputs.data[i]);
    }
    graph_sweep(g);
    return true;
}
