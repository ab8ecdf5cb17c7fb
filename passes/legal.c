/* SPDX-License-Identifier: Apache-2.0 */
/* passes/legal.c - lists every place of the model that cannot go on the fabric, all at once.
 *
 * After this pass the statements in ir/plan.h about what kernels are given hold. Nothing is
 * changed. Linear. */
#include "passes/passes.h"

static bool is_view(const Node *n)
{
    return (op_info[n->op].flags & OPF_VIEW) != 0;
}

/* Do all views from here to the source keep the order of elements? */
static bool keeps_order(const Node *view)
{
    for (const Node *source = plan_source(view); view != source; view = view->in[0])
        if (view->op != OP_RESHAPE)
            return false;
    return !is_view(view) || view->op == OP_RESHAPE;
}

static const char *op_text(const Node *n)
{
    return op_info[n->op].text;
}

/* The tensors that streams carry. */
static bool check_form(Diag *d, const Node *n)
{
    if (n->type.rank >= 1 && n->type.rank <= 3)
        return true;
    return diag_error(d, n->span,
                      "%s: %s cannot go on the fabric: streams carry [D], [T, D] or [H, W, C]",
                      op_text(n), type_text(&d->arena, &n->type));
}

static bool one_position(const Type *t)
{
    return type_positions(t) == 1;
}

/* Elementwise: one operand has the result's form; the other is a constant, has it too, or is
 * one position of all features. */
static bool check_binary(Diag *d, const Node *n)
{
    bool full = false, fits = true;
    for (uint32_t k = 0; k < n->n_in; k++) {
        const Node *in = n->in[k];
        if (in->op == OP_CONST)
            continue;
        bool same = protocol_same_form(&in->type, &n->type);
        full |= same;
        fits &= same ||
                (one_position(&in->type) && type_features(&in->type) == type_features(&n->type));
    }
    if (full && fits)
        return true;
    diag_error(d, n->span,
               "%s: this broadcast cannot go on the fabric: one computed operand must have the "
               "result's shape %s, another one that shape or one position of its features",
               op_text(n), type_text(&d->arena, &n->type));
    for (uint32_t k = 0; k < n->n_in; k++)
        if (n->in[k]->op != OP_CONST)
            diag_note(d, n->in[k]->span, "operand is %s", type_text(&d->arena, &n->in[k]->type));
    return false;
}

static bool check_weights(Diag *d, const Node *n)
{
    for (uint32_t k = 1; k < n->n_in; k++)
        if (n->in[k]->op != OP_CONST) {
            diag_error(d, n->span,
                       "%s: a product of two computed tensors cannot go on the fabric: operand %u "
                       "must be a weight",
                       op_text(n), k + 1);
            diag_note(d, n->in[k]->span, "computed here");
            return false;
        }
    if (n->in[0]->op == OP_CONST)
        return diag_error(d, n->span, "%s: operand 1 is a constant; on the fabric it is computed",
                          op_text(n));
    return true;
}

/* A view that stands between n and its operand's source must move nothing there. */
static bool check_view(Diag *d, const Node *n, const Node *view, bool *reported)
{
    const Node *source = plan_source(view);
    if (reported[view->id])
        return true;
    if (keeps_order(view)) {
        bool whole = n->op == OP_LINEAR && one_position(&view->type);
        if (source == view || source->op == OP_INPUT || whole ||
            protocol_same_form(&source->type, &view->type))
            return true;
    }
    reported[view->id] = true;
    diag_error(d, view->span,
               "%s from %s to %s cannot go on the fabric: it moves elements between positions, "
               "which only a linear layer over the whole tensor takes into its weights",
               op_text(view), type_text(&d->arena, &view->in[0]->type),
               type_text(&d->arena, &view->type));
    diag_note(d, n->span, "used by %s", op_text(n));
    return false;
}

static bool check_node(Diag *d, const Node *n, bool *reported)
{
    uint32_t flags = op_info[n->op].flags;
    bool ok = true;
    if ((flags & (OPF_LEAF | OPF_VIEW)) != 0)
        return true; /* by their users */
    for (uint32_t k = 0; k < n->n_in; k++) {
        if (is_view(n->in[k]))
            ok &= check_view(d, n, n->in[k], reported);
        const Node *source = plan_source(n->in[k]);
        if (source->op == OP_INPUT || is_view(source))
            ok &= check_form(d, source);
    }
    if (!check_form(d, n))
        return false;
    if (flags & (OPF_KERNEL | OPF_LAYER))
        ok &= check_weights(d, n);
    if (flags & OPF_BINARY)
        ok &= check_binary(d, n);
    return ok;
}

static bool check_output(Diag *d, const Graph *g, size_t i)
{
    const Node *n = g->outputs.data[i];
    if (!keeps_order(n))
        return diag_error(d, n->span,
                          "%s of an output cannot go on the fabric: it moves elements; return the "
                          "tensor as it is",
                          op_text(n));
    const Node *source = plan_source(n);
    if (source->op == OP_CONST || (source->op == OP_ARGMAX && source->in[0]->op == OP_CONST))
        return diag_error(d, n->span, "output '%s' is a constant: nothing would compute it",
                          g->output_names[i]);
    if (source->op == OP_INPUT || is_view(source))
        return diag_error(d, n->span,
                          "output '%s' is an input of type %s: nothing would compute it",
                          g->output_names[i], dtype_name(n->type.dtype));
    return true;
}

bool pass_legal(PassContext *cx)
{
    const Graph *g = cx->graph;
    Arena scratch = {0};
    bool *reported = arena_array(&scratch, bool, g->nodes.n), ok = true;
    for (size_t i = 0; i < g->nodes.n; i++)
        ok &= check_node(cx->diag, g->nodes.data[i], reported);
    for (size_t i = 0; i < g->outputs.n; i++)
        ok &= check_output(cx->diag, g, i);
    arena_free(&scratch);
    return ok;
}
