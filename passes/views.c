/* SPDX-License-Identifier: Apache-2.0 */
/* passes/views.c - reshapes, flattens and transposes disappear into weights or become views
 * that move nothing.
 *
 * Every chain of views is a permutation of its root's elements, found by sending the elements'
 * indices through the reference evaluator. Then
 *   - relu, and operations with a one-element constant, move above a view that moves
 *     elements, so that only layers stand behind those;
 *   - a linear layer takes a permutation of its features into the columns of its weight
 *     (where the weight has no values only its name changes);
 *   - a chain that keeps the row-major order becomes one reshape of the root, or nothing.
 * What is left of FLATTEN and TRANSPOSE cannot be folded; legal reports it. Views of
 * constants were folded by their values before. Time: elements of the views. */
#include "passes/passes.h"

#include "ir/eval.h"
#include "passes/rewrite.h"

typedef struct View {
    Node *root;        /* NULL: not a view */
    const double *map; /* element e of the view is element map[e] of the root */
    bool identity;
} View;

static bool is_view(const Node *n)
{
    return (op_info[n->op].flags & OPF_VIEW) != 0;
}

static void find_view(Arena *a, const Node *n, View *views)
{
    View *v = &views[n->id];
    Node *in = n->in[0];
    size_t elements = (size_t)type_elements(&n->type);
    double *from = NULL, *map = arena_array(a, double, elements);

    if (is_view(in)) {
        v->root = views[in->id].root;
        eval_node(n, &views[in->id].map, map);
    } else {
        v->root = in;
        from = arena_array(a, double, elements);
        for (size_t i = 0; i < elements; i++)
            from[i] = (double)i;
        eval_node(n, (const double *const *)&from, map);
    }
    v->map = map;
    v->identity = true;
    for (size_t i = 0; i < elements; i++)
        v->identity &= map[i] == (double)i;
}

/* ---- moving elementwise operations above views ---- */

static bool moves_elements(const Node *n)
{
    Arena scratch = {0};
    VEC(const Node *) chain = {0};
    uint32_t last = 0;
    for (const Node *v = n; is_view(v); v = v->in[0]) {
        vec_push(&scratch, &chain, v);
        last = v->id > last ? v->id : last;
    }
    View *views = arena_array(&scratch, View, (size_t)last + 1);
    for (size_t i = chain.n; i-- > 0;)
        find_view(&scratch, chain.data[i], views);
    const View *v = &views[n->id];
    bool still =
        v->identity && (v->root->op == OP_INPUT || protocol_same_form(&v->root->type, &n->type));
    arena_free(&scratch);
    return !still;
}

/* The operand of n that is a view n may move above, or -1. */
static int view_operand(const Node *n)
{
    int at = -1;
    if (n->op == OP_RELU)
        at = 0;
    else if (op_info[n->op].flags & OPF_BINARY)
        for (int k = 0; k < 2; k++)
            if (n->in[1 - k]->op == OP_CONST && type_elements(&n->in[1 - k]->type) == 1 &&
                n->in[1 - k]->type.rank <= n->in[k]->type.rank)
                at = k;
    return at >= 0 && is_view(n->in[at]) && moves_elements(n->in[at]) ? at : -1;
}

/* n = op(view(x)) becomes n = view(op(x)); the value, and so the name, stays with n, places
 * with operations. */
static Node *move_above(Graph *g, Node *n, int at)
{
    const Node *view = n->in[at];
    Node *above = graph_add(g, n->op, n->span, NULL, n->in, n->n_in);
    above->in[at] = view->in[0];
    above->type = view->in[0]->type;
    for (uint32_t k = 0; k < n->n_in; k++) /* a scalar, so that the rank cannot grow */
        if ((int)k != at && above->in[k]->type.rank > above->type.rank) {
            Type scalar = {.dtype = above->type.dtype};
            above->in[k] = graph_const(g, n->in[k]->span, n->in[k]->name, scalar, n->in[k]->value);
        }
    rewrite_node(g, n, view->op, &above, 1);
    n->attr = view->attr;
    n->span = view->span;
    return above;
}

static void move_elementwise(Graph *g)
{
    size_t n_nodes = g->nodes.n;
    for (size_t i = 0; i < n_nodes; i++) {
        Node *n = g->nodes.data[i];
        for (int at; (at = view_operand(n)) >= 0;)
            n = move_above(g, n, at);
    }
    graph_sweep(g);
}

/* ---- linear layers ---- */

/* The permutation of features that the view applies at every position alike: feature j of the
 * view is feature map[j] of the same position, counted in runs of K elements of the root. */
static bool permutes_features(const View *v, int64_t positions, int64_t k)
{
    for (int64_t t = 0; t < positions; t++)
        for (int64_t j = 0; j < k; j++)
            if (v->map[t * k + j] != v->map[j] + (double)(t * k))
                return false;
    return true;
}

static Node *reshape_of(Graph *g, Node *view, Node *root)
{
    if (type_equal(&root->type, &view->type))
        return root;
    Node *n = graph_add(g, OP_RESHAPE, view->span, view->name, &root, 1);
    n->type = view->type;
    n->attr.shape_rank = view->type.rank;
    for (int i = 0; i < view->type.rank; i++)
        n->attr.shape[i] = view->type.extent[i];
    return n;
}

static void absorb(Graph *g, Node *linear, const View *v)
{
    const Node *w = linear->in[1];
    int64_t n_out = w->type.extent[0], k = w->type.extent[1];
    if (!permutes_features(v, type_positions(&linear->type), k))
        return;
    float *value = NULL;
    if (w->value != NULL) {
        value = arena_array(g->arena, float, (size_t)(n_out * k));
        for (int64_t o = 0; o < n_out; o++)
            for (int64_t j = 0; j < k; j++)
                value[o * k + (int64_t)v->map[j]] = w->value[o * k + j];
    }
    Node *root = reshape_of(g, linear->in[0], v->root);
    root->name = root == v->root ? root->name : NULL; /* the view's name is of another order */
    linear->in[0] = root;
    linear->in[1] = rewrite_const(g, w, "hwc", w->type, value);
}

bool pass_views(PassContext *cx)
{
    Graph *g = cx->graph;
    Arena scratch = {0};

    move_elementwise(g);
    size_t n_nodes = g->nodes.n;
    View *views = arena_array(&scratch, View, n_nodes);
    for (size_t i = 0; i < n_nodes; i++) {
        Node *n = g->nodes.data[i];
        if (is_view(n))
            find_view(&scratch, n, views);
        else if (n->op == OP_LINEAR && n->in[1]->op == OP_CONST && is_view(n->in[0]) &&
                 !views[n->in[0]->id].identity)
            absorb(g, n, &views[n->in[0]->id]);
    }
    for (size_t i = 0; i < n_nodes; i++) {
        Node *n = g->nodes.data[i];
        if (views[i].root == NULL || !views[i].identity)
            continue;
        if (type_equal(&n->type, &views[i].root->type)) {
            graph_replace_uses(g, n, views[i].root);
        } else {
            rewrite_node(g, n, OP_RESHAPE, &views[i].root, 1);
            n->attr.shape_rank = n->type.rank;
            for (int k = 0; k < n->type.rank; k++)
                n->attr.shape[k] = n->type.extent[k];
        }
    }
    arena_free(&scratch);
    graph_sweep(g);
    return true;
}
