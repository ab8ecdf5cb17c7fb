/* SPDX-License-Identifier: Apache-2.0 */
/* passes/fold.c - constant folding.
 *
 * An operation all of whose operands are constants becomes a constant: the reference
 * evaluator's value, rounded once to the type. Where weights were not given (value NULL) the
 * result is a constant of unknown value, so that everything is planned the same. Linear in
 * nodes plus the work of the folded operations. */
#include "passes/passes.h"

#include "ir/eval.h"
#include "passes/rewrite.h"

static bool all_const(const Node *n, bool *known)
{
    *known = true;
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i]->op != OP_CONST)
            return false;
        *known &= n->in[i]->value != NULL;
    }
    return n->n_in > 0;
}

static const float *value_of(Arena *a, const Node *n)
{
    Arena scratch = {0};
    size_t elements = (size_t)type_elements(&n->type);
    const double **in = arena_array(&scratch, const double *, n->n_in);
    double *out = arena_array(&scratch, double, elements);
    float *result = arena_array(a, float, elements);

    for (uint32_t i = 0; i < n->n_in; i++) {
        size_t count = (size_t)type_elements(&n->in[i]->type);
        double *v = arena_array(&scratch, double, count);
        for (size_t k = 0; k < count; k++)
            v[k] = (double)n->in[i]->value[k];
        in[i] = v;
    }
    eval_node(n, in, out);
    for (size_t k = 0; k < elements; k++)
        result[k] = rewrite_round(n->type.dtype, out[k]);
    arena_free(&scratch);
    return result;
}

static const char *name_of(Arena *a, const Node *n)
{
    if (n->name != NULL)
        return n->name;
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i]->name != NULL)
            return arena_printf(a, "%s.%s", n->in[i]->name, op_info[n->op].text);
    return NULL;
}

bool pass_fold(PassContext *cx)
{
    Graph *g = cx->graph;
    for (size_t i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.data[i];
        bool known;
        if (n->type.dtype == DT_I32 || !all_const(n, &known))
            continue; /* an argmax of constants ends as an output and is reported there */
        const float *value = known ? value_of(g->arena, n) : NULL;
        n->name = name_of(g->arena, n);
        rewrite_node(g, n, OP_CONST, NULL, 0);
        n->value = value;
    }
    graph_sweep(g);
    return true;
}
