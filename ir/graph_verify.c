/* SPDX-License-Identifier: Apache-2.0 */
/* ir/graph_verify.c - what holds for a graph between any two passes.
 *
 * Ids are positions; inputs stand before their users; inputs and outputs are listed; types
 * and attributes are what inference makes of them, attributes of other operators are zero;
 * values of f16 constants are f16 numbers; after fusion every computing node has a kernel.
 * A violation is a fault of the pass named `after`, never of the user: an internal error.
 * Linear in nodes, edges and constants' elements. */
#include "ir/graph.h"

#include <stdlib.h>
#include <string.h>

typedef struct Verifier {
    Diag *d;
    const Graph *g;
    const char *after;
} Verifier;

static bool broken(const Verifier *v, const Node *n, const char *what)
{
    return diag_internal(v->d, n->span, "after %s: %%%u %s: %s", v->after, n->id,
                         n->op < OP_COUNT ? op_info[n->op].text : "?", what);
}

/* All attributes but the operator's own must be zero bytes. */
static bool only_own_attributes(const Node *n)
{
    Node rest;
    static const size_t size[] = {
        [ATTR_PAIR] = 2 * sizeof(int64_t), [ATTR_FLOAT] = sizeof(double),
        [ATTR_STRING] = sizeof(char *),    [ATTR_SHAPE] = TYPE_MAX_RANK * sizeof(int64_t),
        [ATTR_BOOL] = sizeof(bool),
    };
    memcpy(&rest, n, sizeof rest);
    for (size_t i = 0; i < n_node_attributes; i++) {
        if (node_attributes[i].op != n->op)
            continue;
        memset((char *)&rest + node_attributes[i].offset, 0, size[node_attributes[i].kind]);
        if (node_attributes[i].kind == ATTR_SHAPE)
            rest.attr.shape_rank = 0;
    }
    const char *bytes = (const char *)&rest.attr;
    for (size_t i = 0; i < sizeof rest.attr; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* Infers a copy; what the rule has to say goes into the internal error. */
static bool check_type(const Verifier *v, const Node *n)
{
    Node copy = *n;
    Text message = {0};
    char *said = NULL;
    size_t len = 0;
    Diag scratch;

    diag_init(&scratch, "inference");
    scratch.out = open_memstream(&said, &len);
    bool ok = op_info[n->op].infer(&scratch, &copy);
    fclose(scratch.out);
    if (!ok)
        text_printf(&message, "does not infer: %s", said);
    else if (!type_equal(&copy.type, &n->type))
        text_printf(&message, "has type %s, inferred is %s", type_text(&scratch.arena, &n->type),
                    type_text(&scratch.arena, &copy.type));
    ok = message.data == NULL || broken(v, n, message.data);
    text_free(&message);
    free(said);
    diag_finish(&scratch);
    return ok;
}

static bool check_value(const Verifier *v, const Node *n)
{
    if (n->op != OP_CONST)
        return (n->value == NULL && !n->is_weight) || broken(v, n, "carries values");
    if (n->type.dtype == DT_I32)
        return broken(v, n, "constants are f32 or f16");
    if (n->is_weight && n->name == NULL)
        return broken(v, n, "a weight without a name");
    if (n->value == NULL || n->type.dtype != DT_F16)
        return true;
    int64_t elements = type_elements(&n->type);
    for (int64_t i = 0; i < elements; i++)
        if (n->value[i] == n->value[i] && f32_from_f16(f16_from_f32(n->value[i])) != n->value[i])
            return broken(v, n, "a value is not a number of f16");
    return true;
}

static bool check_node(const Verifier *v, size_t i, bool fused)
{
    const Node *n = v->g->nodes.data[i];
    if (n->id != i)
        return broken(v, n, "id is not its position");
    if (n->op >= OP_COUNT)
        return broken(v, n, "no such operator");
    for (uint32_t k = 0; k < n->n_in; k++)
        if (n->in[k] == NULL || n->in[k]->id >= i || v->g->nodes.data[n->in[k]->id] != n->in[k])
            return broken(v, n, "an operand does not stand before it");
    if (!only_own_attributes(n))
        return broken(v, n, "an attribute of another operator is set");
    bool computes = !(op_info[n->op].flags & (OPF_LEAF | OPF_VIEW));
    if ((n->kernel != UINT32_MAX) != (fused && computes))
        return broken(v, n, computes ? "belongs to no kernel" : "belongs to a kernel");
    return check_type(v, n) && check_value(v, n);
}

bool graph_verify(Diag *d, const Graph *g, const char *after)
{
    Verifier v = {d, g, after};
    size_t n_inputs = 0;
    bool fused = false, ok = true;

    for (size_t i = 0; i < g->nodes.n; i++)
        fused |= g->nodes.data[i]->kernel != UINT32_MAX;
    for (size_t i = 0; i < g->nodes.n; i++) {
        if (!check_node(&v, i, fused))
            return false; /* what follows would lean on it */
        n_inputs += g->nodes.data[i]->op == OP_INPUT;
    }
    if (n_inputs != g->inputs.n)
        return diag_internal(d, (Span){0}, "after %s: %zu input nodes, %zu inputs", after, n_inputs,
                             g->inputs.n);
    for (size_t i = 0; i < g->inputs.n; i++) {
        const Node *n = g->inputs.data[i];
        if (n->id >= g->nodes.n || g->nodes.data[n->id] != n || n->op != OP_INPUT ||
            n->name == NULL)
            ok = broken(&v, n, "is not an input of the graph");
        for (size_t k = 0; k < i; k++)
            if (g->inputs.data[k] == n)
                ok = broken(&v, n, "is listed twice");
    }
    if (g->outputs.n == 0)
        return diag_internal(d, (Span){0}, "after %s: no output", after);
    for (size_t i = 0; i < g->outputs.n; i++) {
        const Node *n = g->outputs.data[i];
        if (n->id >= g->nodes.n || g->nodes.data[n->id] != n || g->output_names[i] == NULL)
            ok = broken(&v, n, "is not an output of the graph");
    }
    return ok;
}
