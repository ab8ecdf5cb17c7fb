/* SPDX-License-Identifier: Apache-2.0 */
/* ir/infer.c - the operator table and the type rule of every operator.
 *
 * A rule looks at the inputs' types and the attributes, sets n->type, and otherwise reports
 * what was needed and what there was, with the operands' own places as notes. Rules also
 * bring attributes into their final form (pool stride 0 becomes the window, a -1 in a shape
 * its extent). Extents are bounded by TYPE_MAX_EXTENT and elements by TYPE_MAX_ELEMENTS,
 * which keeps all later arithmetic on sizes within 64 bits. */
#include "ir/graph.h"

#include <string.h>

static const char *op_text(const Node *n)
{
    return op_info[n->op].text;
}

static const char *text_of(Diag *d, const Node *operand)
{
    return type_text(&d->arena, &operand->type);
}

static void note_operand(Diag *d, const Node *n, uint32_t k, const char *what)
{
    const Node *in = n->in[k];
    if (in->name != NULL)
        diag_note(d, in->span, "%s '%s' is %s", what, in->name, text_of(d, in));
    else
        diag_note(d, in->span, "%s is %s", what, text_of(d, in));
}

/* The type so far must be one that everything after can count with. */
static bool check_result(Diag *d, const Node *n)
{
    int64_t elements = 1;
    for (int i = 0; i < n->type.rank; i++) {
        int64_t e = n->type.extent[i];
        if (e < 1 || e > TYPE_MAX_EXTENT)
            return diag_error(d, n->span, "%s: extent %lld of axis %d is out of range: 1 to %d",
                              op_text(n), (long long)e, i, TYPE_MAX_EXTENT);
        elements *= e; /* below 2^54 */
        if (elements > TYPE_MAX_ELEMENTS)
            return diag_error(d, n->span, "%s: %s has more than %d elements", op_text(n),
                              type_text(&d->arena, &n->type), TYPE_MAX_ELEMENTS);
    }
    return true;
}

static bool check_count(Diag *d, const Node *n, uint32_t least, uint32_t most)
{
    if (n->n_in >= least && n->n_in <= most)
        return true;
    if (least == most)
        return diag_error(d, n->span, "%s: takes %u operands, there are %u", op_text(n), least,
                          n->n_in);
    return diag_error(d, n->span, "%s: takes %u to %u operands, there are %u", op_text(n), least,
                      most, n->n_in);
}

/* All operands of one floating type. */
static bool check_dtypes(Diag *d, const Node *n)
{
    for (uint32_t k = 0; k < n->n_in; k++) {
        if (n->in[k]->type.dtype == DT_I32) {
            diag_error(d, n->span, "%s: operands are f32 or f16, operand %u is i32", op_text(n),
                       k + 1);
            diag_note(d, n->in[k]->span,
                      n->in[k]->op == OP_ARGMAX ? "the result of argmax can only be an output"
                                                : "defined here");
            return false;
        }
        if (n->in[k]->type.dtype != n->in[0]->type.dtype) {
            diag_error(d, n->span, "%s: element types differ: %s against %s", op_text(n),
                       dtype_name(n->in[0]->type.dtype), dtype_name(n->in[k]->type.dtype));
            note_operand(d, n, k, "operand");
            return false;
        }
    }
    return true;
}

static bool check_image(Diag *d, const Node *n)
{
    if (n->in[0]->type.rank == 3)
        return true;
    diag_error(d, n->span, "%s: needs an image [H, W, C], operand is %s", op_text(n),
               text_of(d, n->in[0]));
    note_operand(d, n, 0, "operand");
    return false;
}

static bool check_has_axis(Diag *d, const Node *n)
{
    if (n->in[0]->type.rank >= 1)
        return true;
    return diag_error(d, n->span, "%s: operand is a scalar, needs at least one axis", op_text(n));
}

/* Operand k must have just this shape. */
static bool check_shape(Diag *d, const Node *n, uint32_t k, const char *what, int rank,
                        const int64_t *extent)
{
    Type want = {.dtype = n->in[k]->type.dtype, .rank = rank};
    memcpy(want.extent, extent, (size_t)rank * sizeof *extent);
    if (type_equal(&want, &n->in[k]->type))
        return true;
    diag_error(d, n->span, "%s: %s must be %s, is %s", op_text(n), what,
               type_text(&d->arena, &want), text_of(d, n->in[k]));
    note_operand(d, n, k, what);
    return false;
}

/* Result extents of a window that slides over rows and columns of in[0]. */
static bool slide(Diag *d, Node *n)
{
    static const char *const axis_name[2] = {"rows", "columns"};
    for (int i = 0; i < 2; i++) {
        int64_t size = n->in[0]->type.extent[i];
        int64_t k = n->attr.kernel[i], s = n->attr.stride[i], p = n->attr.padding[i];
        if (k < 1 || k > TYPE_MAX_EXTENT)
            return diag_error(d, n->span, "%s: kernel of %lld %s is out of range: 1 to %d",
                              op_text(n), (long long)k, axis_name[i], TYPE_MAX_EXTENT);
        if (s < 1 || s > TYPE_MAX_EXTENT)
            return diag_error(d, n->span, "%s: stride of %lld %s is out of range: 1 to %d",
                              op_text(n), (long long)s, axis_name[i], TYPE_MAX_EXTENT);
        if (p < 0 || p >= k)
            return diag_error(d, n->span,
                              "%s: padding of %lld %s is out of range: 0 to %lld, below the "
                              "kernel's %lld",
                              op_text(n), (long long)p, axis_name[i], (long long)k - 1,
                              (long long)k);
        if (size + 2 * p < k) {
            diag_error(d, n->span, "%s: kernel has %lld %s, the padded image only %lld", op_text(n),
                       (long long)k, axis_name[i], (long long)(size + 2 * p));
            note_operand(d, n, 0, "image");
            return false;
        }
        n->type.extent[i] = (size + 2 * p - k) / s + 1;
    }
    n->type.dtype = n->in[0]->type.dtype;
    n->type.rank = 3;
    return true;
}

static bool infer_declared(Diag *d, Node *n)
{
    if (!check_count(d, n, 0, 0))
        return false;
    if (n->type.rank < 0 || n->type.rank > TYPE_MAX_RANK)
        return diag_error(d, n->span, "%s: rank %d is out of range: 0 to %d", op_text(n),
                          n->type.rank, TYPE_MAX_RANK);
    if (n->op == OP_INPUT && n->type.rank == 0)
        return diag_error(d, n->span, "input: a scalar; an input has at least one axis");
    return check_result(d, n);
}

static bool infer_conv2d(Diag *d, Node *n)
{
    if (!check_count(d, n, n->attr.has_bias ? 3 : 2, n->attr.has_bias ? 3 : 2) ||
        !check_dtypes(d, n) || !check_image(d, n) || !slide(d, n))
        return false;
    int64_t c = n->in[0]->type.extent[2];
    int64_t o = n->in[1]->type.rank ? n->in[1]->type.extent[0] : 1;
    n->type.extent[2] = o;
    return check_shape(d, n, 1, "weight", 4,
                       (int64_t[]){o, c, n->attr.kernel[0], n->attr.kernel[1]}) &&
           (!n->attr.has_bias || check_shape(d, n, 2, "bias", 1, &o)) && check_result(d, n);
}

static bool infer_linear(Diag *d, Node *n)
{
    if (!check_count(d, n, n->attr.has_bias ? 3 : 2, n->attr.has_bias ? 3 : 2) ||
        !check_dtypes(d, n) || !check_has_axis(d, n))
        return false;
    int64_t k = type_features(&n->in[0]->type);
    int64_t o = n->in[1]->type.rank ? n->in[1]->type.extent[0] : 1;
    n->type = n->in[0]->type;
    n->type.extent[n->type.rank - 1] = o;
    return check_shape(d, n, 1, "weight", 2, (int64_t[]){o, k}) &&
           (!n->attr.has_bias || check_shape(d, n, 2, "bias", 1, &o)) && check_result(d, n);
}

static bool infer_matmul(Diag *d, Node *n)
{
    if (!check_count(d, n, 2, 2) || !check_dtypes(d, n) || !check_has_axis(d, n))
        return false;
    const Type *x = &n->in[0]->type, *w = &n->in[1]->type;
    if (w->rank != 2) {
        diag_error(d, n->span, "matmul: right operand must be [K, N], is %s", text_of(d, n->in[1]));
        note_operand(d, n, 1, "right operand");
        return false;
    }
    if (type_features(x) != w->extent[0]) {
        diag_error(d, n->span, "matmul: inner extents differ: %lld against %lld",
                   (long long)type_features(x), (long long)w->extent[0]);
        note_operand(d, n, 0, "left operand");
        note_operand(d, n, 1, "right operand");
        return false;
    }
    n->type = *x;
    n->type.extent[x->rank - 1] = w->extent[1];
    return check_result(d, n);
}

static bool infer_batch_norm(Diag *d, Node *n)
{
    static const char *const what[] = {"x", "weight", "bias", "running_mean", "running_var"};
    if (!check_count(d, n, 5, 5) || !check_dtypes(d, n) || !check_has_axis(d, n))
        return false;
    int64_t c = type_features(&n->in[0]->type);
    for (uint32_t k = 1; k < 5; k++)
        if (!check_shape(d, n, k, what[k], 1, &c))
            return false;
    if (!(n->attr.eps >= 0 && n->attr.eps <= 1))
        return diag_error(d, n->span, "batch_norm: eps %g is out of range: 0 to 1", n->attr.eps);
    n->type = n->in[0]->type;
    return check_result(d, n);
}

static bool infer_pool(Diag *d, Node *n)
{
    if (!check_count(d, n, 1, 1) || !check_dtypes(d, n) || !check_image(d, n))
        return false;
    for (int i = 0; i < 2; i++)
        if (n->attr.stride[i] == 0)
            n->attr.stride[i] = n->attr.kernel[i];
    if (!slide(d, n))
        return false;
    for (int i = 0; i < 2; i++)
        if (2 * n->attr.padding[i] > n->attr.kernel[i])
            return diag_error(d, n->span, "%s: padding %lld is more than half of the kernel's %lld",
                              op_text(n), (long long)n->attr.padding[i],
                              (long long)n->attr.kernel[i]);
    n->type.extent[2] = n->in[0]->type.extent[2];
    return check_result(d, n);
}

static bool infer_global_pool(Diag *d, Node *n)
{
    if (!check_count(d, n, 1, 1) || !check_dtypes(d, n) || !check_image(d, n))
        return false;
    n->type = (Type){n->in[0]->type.dtype, 1, {n->in[0]->type.extent[2]}};
    return true;
}

static bool infer_broadcast(Diag *d, Node *n)
{
    if (!check_count(d, n, 2, 2) || !check_dtypes(d, n))
        return false;
    const Type *a = &n->in[0]->type, *b = &n->in[1]->type;
    Type r = {.dtype = a->dtype, .rank = a->rank > b->rank ? a->rank : b->rank};
    for (int i = 1; i <= r.rank; i++) { /* from the last axis */
        int64_t ea = i <= a->rank ? a->extent[a->rank - i] : 1;
        int64_t eb = i <= b->rank ? b->extent[b->rank - i] : 1;
        if (ea != eb && ea != 1 && eb != 1) {
            diag_error(d, n->span,
                       "%s: shapes do not broadcast: axis %d from the end has %lld against %lld",
                       op_text(n), i, (long long)ea, (long long)eb);
            note_operand(d, n, 0, "left operand");
            note_operand(d, n, 1, "right operand");
            return false;
        }
        r.extent[r.rank - i] = ea > eb ? ea : eb;
    }
    n->type = r;
    return check_result(d, n);
}

static bool infer_same(Diag *d, Node *n)
{
    if (!check_count(d, n, 1, 1) || !check_dtypes(d, n))
        return false;
    n->type = n->in[0]->type;
    return true;
}

static bool infer_reduce(Diag *d, Node *n)
{
    if (!check_count(d, n, 1, 1) || !check_dtypes(d, n) || !check_has_axis(d, n))
        return false;
    n->type = n->in[0]->type;
    n->type.extent[n->type.rank - 1] = 1;
    return true;
}

static bool infer_argmax(Diag *d, Node *n)
{
    if (!infer_reduce(d, n))
        return false;
    n->type.dtype = DT_I32;
    return true;
}

static bool infer_reshape(Diag *d, Node *n)
{
    if (!check_count(d, n, 1, 1))
        return false;
    int rank = n->attr.shape_rank, open = -1;
    if (rank < 1 || rank > TYPE_MAX_RANK)
        return diag_error(d, n->span, "reshape: rank %d is out of range: 1 to %d", rank,
                          TYPE_MAX_RANK);
    int64_t have = type_elements(&n->in[0]->type);
    n->type = (Type){.dtype = n->in[0]->type.dtype, .rank = rank};
    for (int i = 0; i < rank; i++) {
        n->type.extent[i] = n->attr.shape[i];
        if (n->attr.shape[i] != -1)
            continue;
        if (open >= 0)
            return diag_error(d, n->span, "reshape: more than one extent is -1");
        open = i;
        n->type.extent[i] = 1;
    }
    if (!check_result(d, n))
        return false;
    if (open >= 0) {
        n->type.extent[open] = have / type_elements(&n->type);
        if (n->type.extent[open] < 1)
            n->type.extent[open] = 1;
    }
    if (type_elements(&n->type) != have) {
        diag_error(d, n->span, "reshape: the new shape has %lld elements, the operand has %lld",
                   (long long)type_elements(&n->type), (long long)have);
        note_operand(d, n, 0, "operand");
        return false;
    }
    memcpy(n->attr.shape, n->type.extent, sizeof n->attr.shape);
    return check_result(d, n);
}

static bool infer_flatten(Diag *d, Node *n)
{
    if (!check_count(d, n, 1, 1) || !check_has_axis(d, n))
        return false;
    const char *order = n->attr.order;
    if (order == NULL || strlen(order) != 3 || strspn(order, "hwc") != 3 || order[0] == order[1] ||
        order[1] == order[2] || order[0] == order[2])
        return diag_error(d, n->span, "flatten: order \"%.16s\" is not an order of \"hwc\"",
                          order ? order : "");
    if (n->in[0]->type.rank != 3 && strcmp(order, "hwc") != 0) {
        diag_error(d, n->span, "flatten: order \"%s\" needs an image [H, W, C], operand is %s",
                   order, text_of(d, n->in[0]));
        note_operand(d, n, 0, "operand");
        return false;
    }
    n->type = (Type){n->in[0]->type.dtype, 1, {type_elements(&n->in[0]->type)}};
    return check_result(d, n);
}

static bool infer_transpose(Diag *d, Node *n)
{
    if (!check_count(d, n, 1, 1))
        return false;
    const Type *x = &n->in[0]->type;
    if (n->attr.shape_rank != x->rank) {
        diag_error(d, n->span, "transpose: %d axes given, the operand has %d", n->attr.shape_rank,
                   x->rank);
        note_operand(d, n, 0, "operand");
        return false;
    }
    unsigned seen = 0;
    n->type = *x;
    for (int i = 0; i < x->rank; i++) {
        int64_t axis = n->attr.shape[i];
        if (axis < 0 || axis >= x->rank)
            return diag_error(d, n->span, "transpose: axis %lld is out of range: 0 to %d",
                              (long long)axis, x->rank - 1);
        if (seen & 1u << axis)
            return diag_error(d, n->span, "transpose: axis %lld is given twice", (long long)axis);
        seen |= 1u << axis;
        n->type.extent[i] = x->extent[axis];
    }
    return true;
}

const OpInfo op_info[OP_COUNT] = {
#define OP(id, text, signature, flags, infer, doc) {text, signature, doc, flags, infer},
#include "ir/ops.def"
};
