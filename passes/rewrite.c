/* SPDX-License-Identifier: Apache-2.0 */
/* passes/rewrite.c - new constants and nodes that change their operator in place. */
#include "passes/rewrite.h"

#include <string.h>

float rewrite_round(DType t, double v)
{
    return t == DT_F16 ? f32_from_f16(f16_from_f64(v)) : f32_canonical((float)v);
}

Node *rewrite_const(Graph *g, const Node *from, const char *suffix, Type type, const float *value)
{
    const char *name = arena_printf(g->arena, "%s.%s", from->name ? from->name : "const", suffix);
    return graph_const(g, from->span, name, type, value);
}

void rewrite_node(Graph *g, Node *n, Opkind op, Node *const *in, uint32_t n_in)
{
    n->op = op;
    n->n_in = n_in;
    n->in = arena_array(g->arena, Node *, n_in);
    for (uint32_t i = 0; i < n_in; i++)
        n->in[i] = in[i];
    memset(&n->attr, 0, sizeof n->attr);
}
