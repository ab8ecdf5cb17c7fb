/* SPDX-License-Identifier: Apache-2.0 */
/* ir/graph.c - building and rewriting graphs; types; the table of node attributes.
 *
 * Passes change nodes in place or append new ones; an appended node may stand behind its
 * users until graph_sweep() restores a topological order. The order is stable: nodes that
 * already stand in order keep it, so that dumps before and after a pass compare well.
 * Everything is linear in nodes + edges but graph_replace_uses(), which scans the graph. */
#include "ir/graph.h"

#include <stddef.h>
#include <string.h>

const AttrInfo node_attributes[] = {
    {OP_CONV2D, "kernel", ATTR_PAIR, offsetof(Node, attr.kernel)},
    {OP_CONV2D, "stride", ATTR_PAIR, offsetof(Node, attr.stride)},
    {OP_CONV2D, "padding", ATTR_PAIR, offsetof(Node, attr.padding)},
    {OP_CONV2D, "bias", ATTR_BOOL, offsetof(Node, attr.has_bias)},
    {OP_LINEAR, "bias", ATTR_BOOL, offsetof(Node, attr.has_bias)},
    {OP_BATCH_NORM, "eps", ATTR_FLOAT, offsetof(Node, attr.eps)},
    {OP_MAX_POOL, "kernel", ATTR_PAIR, offsetof(Node, attr.kernel)},
    {OP_MAX_POOL, "stride", ATTR_PAIR, offsetof(Node, attr.stride)},
    {OP_MAX_POOL, "padding", ATTR_PAIR, offsetof(Node, attr.padding)},
    {OP_AVG_POOL, "kernel", ATTR_PAIR, offsetof(Node, attr.kernel)},
    {OP_AVG_POOL, "stride", ATTR_PAIR, offsetof(Node, attr.stride)},
    {OP_AVG_POOL, "padding", ATTR_PAIR, offsetof(Node, attr.padding)},
    {OP_RESHAPE, "shape", ATTR_SHAPE, offsetof(Node, attr.shape)},
    {OP_FLATTEN, "order", ATTR_STRING, offsetof(Node, attr.order)},
    {OP_TRANSPOSE, "axes", ATTR_SHAPE, offsetof(Node, attr.shape)},
};
const size_t n_node_attributes = sizeof node_attributes / sizeof node_attributes[0];

int64_t type_elements(const Type *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(n, t->extent[i], &n))
            return INT64_MAX;
    return n;
}

bool type_equal(const Type *a, const Type *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->extent[i] != b->extent[i])
            return false;
    return true;
}

const char *type_text(Arena *a, const Type *t)
{
    char dims[TYPE_MAX_RANK * 24 + 4];
    size_t n = 0;
    for (int i = 0; i < t->rank; i++)
        n += (size_t)snprintf(dims + n, sizeof dims - n, "%s%lld", i ? ", " : "",
                              (long long)t->extent[i]);
    dims[n] = '\0';
    return arena_printf(a, "%s[%s]", dtype_name(t->dtype), dims);
}

Graph *graph_create(Arena *a, const char *name)
{
    Graph *g = arena_new(a, Graph);
    g->arena = a;
    g->name = arena_strdup(a, name, strlen(name));
    return g;
}

Node *graph_add(Graph *g, Opkind op, Span span, const char *name, Node *const *in, uint32_t n_in)
{
    Node *n = arena_new(g->arena, Node);
    n->id = (uint32_t)g->nodes.n;
    n->op = op;
    n->span = span;
    n->name = name;
    n->n_in = n_in;
    n->in = arena_array(g->arena, Node *, n_in);
    for (uint32_t i = 0; i < n_in; i++)
        n->in[i] = in[i];
    n->kernel = UINT32_MAX;
    vec_push(g->arena, &g->nodes, n);
    return n;
}

Node *graph_const(Graph *g, Span span, const char *name, Type type, const float *value)
{
    Node *n = graph_add(g, OP_CONST, span, name, NULL, 0);
    n->type = type;
    n->value = value;
    return n;
}

void graph_replace_uses(Graph *g, Node *old, Node *with)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.data[i];
        for (uint32_t k = 0; k < n->n_in; k++)
            if (n->in[k] == old)
                n->in[k] = with;
    }
    for (size_t i = 0; i < g->outputs.n; i++)
        if (g->outputs.data[i] == old)
            g->outputs.data[i] = with;
}

typedef struct Frame {
    Node *node;
    uint32_t next; /* input to visit next */
} Frame;

/* Appends n to order behind everything it needs: depth first, with a stack of its own
 * (graphs may be thousands of nodes deep). */
static void visit(Arena *scratch, Node *start, bool *seen, NodeVec *order, Arena *a)
{
    VEC(Frame) stack = {0};
    if (seen[start->id])
        return;
    seen[start->id] = true;
    vec_push(scratch, &stack, ((Frame){start, 0}));
    while (stack.n > 0) {
        Frame *top = &stack.data[stack.n - 1];
        if (top->next < top->node->n_in) {
            Node *in = top->node->in[top->next++];
            if (!seen[in->id]) {
                seen[in->id] = true;
                vec_push(scratch, &stack, ((Frame){in, 0}));
            }
        } else {
            vec_push(a, order, top->node);
            stack.n--;
        }
    }
}

void graph_sweep(Graph *g)
{
    Arena scratch = {0};
    size_t n = g->nodes.n;
    bool *live = arena_array(&scratch, bool, n), *seen = arena_array(&scratch, bool, n);
    NodeVec reached = {0}, order = {0};

    for (size_t i = 0; i < n; i++)
        g->nodes.data[i]->id = (uint32_t)i;
    for (size_t i = 0; i < g->outputs.n; i++)
        visit(&scratch, g->outputs.data[i], seen, &reached, &scratch);
    for (size_t i = 0; i < reached.n; i++)
        live[reached.data[i]->id] = true;
    for (size_t i = 0; i < g->inputs.n; i++)
        live[g->inputs.data[i]->id] = true;

    memset(seen, 0, n * sizeof *seen);
    for (size_t i = 0; i < n; i++)
        if (live[i])
            visit(&scratch, g->nodes.data[i], seen, &order, g->arena);
    for (size_t i = 0; i < order.n; i++)
        order.data[i]->id = (uint32_t)i;
    g->nodes = order;
    arena_free(&scratch);
}

uint32_t *graph_use_counts(const Graph *g, Arena *a)
{
    uint32_t *uses = arena_array(a, uint32_t, g->nodes.n);
    for (size_t i = 0; i < g->nodes.n; i++)
        for (uint32_t k = 0; k < g->nodes.data[i]->n_in; k++)
            uses[g->nodes.data[i]->in[k]->id]++;
    for (size_t i = 0; i < g->outputs.n; i++)
        uses[g->outputs.data[i]->id]++;
    return uses;
}
