/* SPDX-License-Identifier: Apache-2.0 */
/* ir/eval.c - the reference evaluator.
 *
 * Plain loops in double, independent of how the fabric computes: no blocks, no rounding of
 * intermediates. Two liberties for speed: sums of products run as four partial sums, and a
 * convolution copies its weights to [kh][kw][C][O] so that the innermost loop is contiguous.
 * max and min propagate NaN and order -0 below +0, as on the fabric. Time is the number of
 * multiply-adds; memory the sum of all tensors of one sample. */
#include "ir/eval.h"

#include <math.h>
#include <string.h>

enum { MAX_OPERANDS = 5 }; /* batch_norm; inference admits no more */

static double max2(double a, double b)
{
    if (a != a || b != b)
        return (double)NAN;
    if (a == b)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}

static double min2(double a, double b)
{
    if (a != a || b != b)
        return (double)NAN;
    if (a == b)
        return signbit(a) ? a : b;
    return a < b ? a : b;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double s[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            s[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        s[0] += a[i] * b[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static void eval_conv2d(const Node *n, const double *const *in, double *out)
{
    const Type *xt = &n->in[0]->type;
    int64_t height = xt->extent[0], width = xt->extent[1], c_in = xt->extent[2];
    int64_t h_out = n->type.extent[0], w_out = n->type.extent[1], c_out = n->type.extent[2];
    int64_t kh = n->attr.kernel[0], kw = n->attr.kernel[1], taps = kh * kw;
    Arena scratch = {0};
    double *w = arena_array(&scratch, double, (size_t)(taps * c_in * c_out));

    for (int64_t o = 0; o < c_out; o++)
        for (int64_t c = 0; c < c_in; c++)
            for (int64_t t = 0; t < taps; t++)
                w[(t * c_in + c) * c_out + o] = in[1][(o * c_in + c) * taps + t];
    for (int64_t y = 0; y < h_out; y++)
        for (int64_t x = 0; x < w_out; x++) {
            double *acc = out + (y * w_out + x) * c_out;
            for (int64_t o = 0; o < c_out; o++)
                acc[o] = n->attr.has_bias ? in[2][o] : 0;
            for (int64_t r = 0; r < kh; r++)
                for (int64_t s = 0; s < kw; s++) {
                    int64_t iy = y * n->attr.stride[0] + r - n->attr.padding[0];
                    int64_t ix = x * n->attr.stride[1] + s - n->attr.padding[1];
                    if (iy < 0 || iy >= height || ix < 0 || ix >= width)
                        continue;
                    const double *px = in[0] + (iy * width + ix) * c_in;
                    const double *tap = w + (r * kw + s) * c_in * c_out;
                    for (int64_t c = 0; c < c_in; c++)
                        for (int64_t o = 0; o < c_out; o++)
                            acc[o] += px[c] * tap[c * c_out + o];
                }
        }
    arena_free(&scratch);
}

static void eval_linear(const Node *n, const double *const *in, double *out)
{
    int64_t rows = type_positions(&n->type), n_out = type_features(&n->type);
    int64_t k = type_features(&n->in[0]->type);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < n_out; o++)
            out[r * n_out + o] =
                dot(in[0] + r * k, in[1] + o * k, k) + (n->attr.has_bias ? in[2][o] : 0);
}

static void eval_matmul(const Node *n, const double *const *in, double *out)
{
    int64_t rows = type_positions(&n->type), n_out = type_features(&n->type);
    int64_t k = type_features(&n->in[0]->type);
    for (int64_t r = 0; r < rows; r++) {
        double *acc = out + r * n_out;
        memset(acc, 0, (size_t)n_out * sizeof *acc);
        for (int64_t i = 0; i < k; i++)
            for (int64_t o = 0; o < n_out; o++)
                acc[o] += in[0][r * k + i] * in[1][i * n_out + o];
    }
}

static void eval_batch_norm(const Node *n, const double *const *in, double *out)
{
    int64_t rows = type_positions(&n->type), c = type_features(&n->type);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < c; i++)
            out[r * c + i] =
                (in[0][r * c + i] - in[3][i]) / sqrt(in[4][i] + n->attr.eps) * in[1][i] + in[2][i];
}

static void eval_pool(const Node *n, const double *x, double *out)
{
    const Type *xt = &n->in[0]->type;
    int64_t height = xt->extent[0], width = xt->extent[1], c_in = xt->extent[2];
    int64_t kh = n->attr.kernel[0], kw = n->attr.kernel[1];
    bool max = n->op == OP_MAX_POOL;
    for (int64_t y = 0; y < n->type.extent[0]; y++)
        for (int64_t col = 0; col < n->type.extent[1]; col++)
            for (int64_t c = 0; c < c_in; c++) {
                double acc = max ? -(double)INFINITY : 0;
                for (int64_t r = 0; r < kh; r++)
                    for (int64_t s = 0; s < kw; s++) {
                        int64_t iy = y * n->attr.stride[0] + r - n->attr.padding[0];
                        int64_t ix = col * n->attr.stride[1] + s - n->attr.padding[1];
                        if (iy < 0 || iy >= height || ix < 0 || ix >= width)
                            continue;
                        double v = x[(iy * width + ix) * c_in + c];
                        acc = max ? max2(acc, v) : acc + v;
                    }
                *out++ = max ? acc : acc / (double)(kh * kw);
            }
}

static void eval_global_pool(const Node *n, const double *x, double *out)
{
    int64_t positions = type_positions(&n->in[0]->type), c = type_features(&n->type);
    for (int64_t i = 0; i < c; i++) {
        double acc = n->op == OP_GLOBAL_MAX_POOL ? -(double)INFINITY : 0;
        for (int64_t p = 0; p < positions; p++)
            acc = n->op == OP_GLOBAL_MAX_POOL ? max2(acc, x[p * c + i]) : acc + x[p * c + i];
        out[i] = n->op == OP_GLOBAL_MAX_POOL ? acc : acc / (double)positions;
    }
}

static double combine(Opkind op, double a, double b)
{
    return op == OP_ADD   ? a + b
           : op == OP_SUB ? a - b
           : op == OP_MUL ? a * b
           : op == OP_MIN ? min2(a, b)
                          : max2(a, b);
}

static void eval_binary(const Node *n, const double *const *in, double *out)
{
    /* Strides of each operand over the result's axes; 0 where it is broadcast. */
    int64_t stride[2][TYPE_MAX_RANK] = {{0}}, index[TYPE_MAX_RANK] = {0}, at[2] = {0};
    int rank = n->type.rank;
    for (int k = 0; k < 2; k++) {
        const Type *t = &n->in[k]->type;
        int64_t s = 1;
        for (int i = t->rank - 1; i >= 0; i--) {
            stride[k][i + rank - t->rank] = t->extent[i] == 1 ? 0 : s;
            s *= t->extent[i];
        }
    }
    int64_t elements = type_elements(&n->type);
    for (int64_t e = 0; e < elements; e++) {
        out[e] = combine(n->op, in[0][at[0]], in[1][at[1]]);
        for (int i = rank - 1; i >= 0; i--) {
            at[0] += stride[0][i];
            at[1] += stride[1][i];
            if (++index[i] < n->type.extent[i])
                break;
            index[i] = 0;
            at[0] -= stride[0][i] * n->type.extent[i];
            at[1] -= stride[1][i] * n->type.extent[i];
        }
    }
}

static void eval_reduce(const Node *n, const double *x, double *out)
{
    int64_t rows = type_positions(&n->in[0]->type), d = type_features(&n->in[0]->type);
    for (int64_t r = 0; r < rows; r++, x += d) {
        double acc = x[0];
        int64_t best = 0;
        for (int64_t i = 1; i < d; i++) {
            if (x[i] > x[best])
                best = i;
            acc = n->op == OP_REDUCE_MAX ? max2(acc, x[i]) : acc + x[i];
        }
        out[r] = n->op == OP_ARGMAX ? (double)best : n->op == OP_MEAN ? acc / (double)d : acc;
    }
}

/* out[i0][i1][i2][i3] = x at the same index with axes permuted. */
static void permute(const Type *xt, const int *axes, const double *x, double *out)
{
    int64_t stride[TYPE_MAX_RANK], step[TYPE_MAX_RANK] = {0}, extent[TYPE_MAX_RANK];
    int64_t s = 1;
    for (int i = xt->rank - 1; i >= 0; i--) {
        stride[i] = s;
        s *= xt->extent[i];
    }
    for (int i = 0; i < TYPE_MAX_RANK; i++) { /* right-aligned, extent 1 in front */
        int axis = i - (TYPE_MAX_RANK - xt->rank);
        extent[i] = axis < 0 ? 1 : xt->extent[axes[axis]];
        step[i] = axis < 0 ? 0 : stride[axes[axis]];
    }
    for (int64_t a = 0; a < extent[0]; a++)
        for (int64_t b = 0; b < extent[1]; b++)
            for (int64_t c = 0; c < extent[2]; c++)
                for (int64_t d = 0; d < extent[3]; d++)
                    *out++ = x[a * step[0] + b * step[1] + c * step[2] + d * step[3]];
}

static int axis_of(char letter)
{
    return letter == 'h' ? 0 : letter == 'w' ? 1 : 2;
}

void eval_node(const Node *n, const double *const *in, double *out)
{
    int64_t elements = type_elements(&n->type);
    int axes[TYPE_MAX_RANK] = {0};

    switch (n->op) {
    case OP_INPUT:
    case OP_CONST: /* leaves: the caller's */
    case OP_COUNT:
        break;
    case OP_CONV2D:
        eval_conv2d(n, in, out);
        break;
    case OP_LINEAR:
        eval_linear(n, in, out);
        break;
    case OP_MATMUL:
        eval_matmul(n, in, out);
        break;
    case OP_BATCH_NORM:
        eval_batch_norm(n, in, out);
        break;
    case OP_MAX_POOL:
    case OP_AVG_POOL:
        eval_pool(n, in[0], out);
        break;
    case OP_GLOBAL_MAX_POOL:
    case OP_GLOBAL_AVG_POOL:
        eval_global_pool(n, in[0], out);
        break;
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_MIN:
    case OP_MAX:
        eval_binary(n, in, out);
        break;
    case OP_RELU:
        for (int64_t i = 0; i < elements; i++)
            out[i] = max2(in[0][i], 0);
        break;
    case OP_SUM:
    case OP_MEAN:
    case OP_REDUCE_MAX:
    case OP_ARGMAX:
        eval_reduce(n, in[0], out);
        break;
    case OP_RESHAPE:
        memcpy(out, in[0], (size_t)elements * sizeof *out);
        break;
    case OP_FLATTEN:
        for (int i = 0; i < n->in[0]->type.rank; i++)
            axes[i] = n->in[0]->type.rank == 3 ? axis_of(n->attr.order[i]) : i;
        permute(&n->in[0]->type, axes, in[0], out);
        break;
    case OP_TRANSPOSE:
        for (int i = 0; i < n->attr.shape_rank; i++)
            axes[i] = (int)n->attr.shape[i];
        permute(&n->in[0]->type, axes, in[0], out);
        break;
    }
}

bool eval_prepare(Arena *a, Diag *d, const Graph *g, double **result)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.data[i];
        size_t count = (size_t)type_elements(&n->type);
        result[n->id] = arena_array(a, double, count);
        if (n->op != OP_CONST)
            continue;
        if (n->value == NULL)
            return diag_error(d, n->span, "weight '%s' has no values: give --weights",
                              n->name ? n->name : "(folded)");
        for (size_t k = 0; k < count; k++)
            result[n->id][k] = (double)n->value[k];
    }
    return true;
}

void eval_run(const Graph *g, const double *const *inputs, double **result)
{
    for (size_t i = 0; i < g->inputs.n; i++) {
        const Node *n = g->inputs.data[i];
        memcpy(result[n->id], inputs[i], (size_t)type_elements(&n->type) * sizeof(double));
    }
    for (size_t i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.data[i];
        const double *in[MAX_OPERANDS];
        if (op_info[n->op].flags & OPF_LEAF)
            continue;
        for (uint32_t k = 0; k < n->n_in; k++)
            in[k] = result[n->in[k]->id];
        eval_node(n, in, result[n->id]);
    }
}

bool eval_graph(Arena *a, Diag *d, const Graph *g, const double *const *inputs, double **result)
{
    if (!eval_prepare(a, d, g, result))
        return false;
    eval_run(g, inputs, result);
    return true;
}
