// SPDX-License-Identifier: Apache-2.0
// Operator calls as nodes of the graph. Attributes are set by the table of ir/graph.c;
// layers declare their weights here, named and laid out as PyTorch's modules have them.
#include "frontend/expand.h"

#include <math.h>
#include <string.h>

static const Span nowhere = {0};

static Value tensor_value(Node *n)
{
    return (Value){.kind = VALUE_TENSOR, .as.node = n};
}

// Infers a node's type. The rule reports its own errors; the calls that led here follow.
static Value infer(Expander *x, Node *n)
{
    if (is_silent(x, n->span))
        return (Value){0};
    if (op_info[n->op].infer(x->diag, n))
        return tensor_value(n);
    return follow_error(x, n->span);
}

Node *lower_input(Expander *x, Span at, const char *name, const Type *type)
{
    Node *n = graph_add(x->graph, OP_INPUT, at, arena_strdup(x->graph->arena, name, strlen(name)),
                        NULL, 0);
    n->type = *type;
    vec_push(x->graph->arena, &x->graph->inputs, n);
    return infer(x, n).kind == VALUE_TENSOR ? n : NULL;
}

static bool is_weight_name(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.' || c == '-' || c == '/'))
            return false;
    }
    return len > 0 && len <= IDENTIFIER_MAX_BYTES;
}

Value lower_weight(Expander *x, Span at, const char *name, size_t len, const Type *type)
{
    if (!is_weight_name(name, len))
        return fail_at(x, at, nowhere, NULL,
                       "\"%.60s\" cannot name a weight: 1 to %d letters, digits and _ . - /", name,
                       IDENTIFIER_MAX_BYTES);
    Symbol *s = symbol_intern(&x->ast->symbols, name, len);
    if (s->weight) {
        if (type_equal(&s->weight->type, type))
            return tensor_value(s->weight);
        return fail_at(x, at, s->weight->span, "first declared here",
                       "weight '%s' is %s here and %s before", s->text, type_text(x->arena, type),
                       type_text(x->arena, &s->weight->type));
    }
    Node *n = graph_const(x->graph, at, arena_strdup(x->graph->arena, name, len), *type, NULL);
    n->is_weight = true;
    Value v = infer(x, n);
    if (v.kind == VALUE_TENSOR)
        s->weight = n;
    return v;
}

// A number as the other operand's constant.
static Value literal(Expander *x, Span at, const Value *number, DType dtype)
{
    double v = number->kind == VALUE_INT ? (double)number->as.integer : number->as.number;
    float *stored = arena_new(x->graph->arena, float);
    *stored = dtype == DT_F16 ? f32_from_f16(f16_from_f64(v)) : (float)v;
    if (!isfinite(*stored))
        return fail_at(x, at, nowhere, NULL, "%g is beyond the range of %s", v, dtype_name(dtype));
    return tensor_value(graph_const(x->graph, at, NULL, (Type){.dtype = dtype}, stored));
}

static void set_attribute(Expander *x, Node *n, const AttrInfo *info, const Value *v)
{
    void *field = (char *)n + info->offset;
    switch (info->kind) {
    case ATTR_PAIR:
    case ATTR_SHAPE:
        for (size_t i = 0; i < v->as.list.n; i++)
            ((int64_t *)field)[i] = v->as.list.items[i].as.integer;
        if (info->kind == ATTR_SHAPE)
            n->attr.shape_rank = (int)v->as.list.n;
        break;
    case ATTR_FLOAT:
        *(double *)field = v->as.number;
        break;
    case ATTR_BOOL:
        *(bool *)field = v->as.boolean;
        break;
    case ATTR_STRING:
        *(const char **)field = arena_strdup(x->graph->arena, v->as.text.data, v->as.text.len);
        break;
    }
}

static const Value *actual(const FormalVec *formals, const Actuals *actuals, const char *name,
                           Span *span)
{
    for (size_t i = 0; i < formals->n; i++)
        if (strcmp(formals->data[i].name.symbol->text, name) == 0) {
            if (span)
                *span = actuals->span[i];
            return &actuals->value[i];
        }
    return NULL;
}

enum { MAX_OPERANDS = 5 };

typedef struct Operands {
    Node *node[MAX_OPERANDS];
    uint32_t n;
} Operands;

// Declares "NAME.what" and appends it to the operands.
static bool add_weight(Expander *x, Operands *o, Span at, const Value *name, const char *what,
                       const Type *type)
{
    const char *full = arena_printf(x->arena, "%s.%s", name->as.text.data, what);
    Value v = lower_weight(x, at, full, strlen(full), type);
    if (v.kind != VALUE_TENSOR)
        return false;
    o->node[o->n++] = v.as.node;
    return true;
}

// An extent of a weight from an argument.
static bool extent_of(Expander *x, Opkind op, const FormalVec *formals, const Actuals *actuals,
                      const char *name, int64_t *result)
{
    Span at;
    *result = actual(formals, actuals, name, &at)->as.integer;
    if (*result >= 1 && *result <= TYPE_MAX_EXTENT)
        return true;
    fail_at(x, at, nowhere, NULL, "%s: %s is %lld, must be 1 to %d", op_info[op].text, name,
            (long long)*result, TYPE_MAX_EXTENT);
    return false;
}

static bool add_layer_weights(Expander *x, Opkind op, Span at, const FormalVec *formals,
                              const Actuals *actuals, Operands *o)
{
    const Value *name = actual(formals, actuals, "name", NULL);
    const Value *bias = actual(formals, actuals, "bias", NULL);
    Type in = o->node[0]->type;
    Type weight = {.dtype = in.dtype}, vector = {.dtype = in.dtype, .rank = 1};
    if (op == OP_CONV2D) {
        const Value *kernel = actual(formals, actuals, "kernel", NULL);
        weight.rank = 4;
        weight.extent[1] = type_features(&in);
        weight.extent[2] = kernel->as.list.items[0].as.integer;
        weight.extent[3] = kernel->as.list.items[1].as.integer;
        if (!extent_of(x, op, formals, actuals, "channels", &weight.extent[0]))
            return false;
        vector.extent[0] = weight.extent[0];
    } else if (op == OP_LINEAR) {
        weight.rank = 2;
        weight.extent[1] = type_features(&in);
        if (!extent_of(x, op, formals, actuals, "features", &weight.extent[0]))
            return false;
        vector.extent[0] = weight.extent[0];
    } else {
        vector.extent[0] = type_features(&in);
        return add_weight(x, o, at, name, "weight", &vector) &&
               add_weight(x, o, at, name, "bias", &vector) &&
               add_weight(x, o, at, name, "running_mean", &vector) &&
               add_weight(x, o, at, name, "running_var", &vector);
    }
    return add_weight(x, o, at, name, "weight", &weight) &&
           (!bias->as.boolean || add_weight(x, o, at, name, "bias", &vector));
}

Value lower_op(Expander *x, Opkind op, Span call, const FormalVec *formals, Actuals *actuals)
{
    Operands o = {0};
    DType dtype = DT_F32;
    uint32_t n_tensors = 0;
    for (size_t i = 0; i < formals->n; i++)
        if (actuals->value[i].kind == VALUE_TENSOR && n_tensors++ == 0)
            dtype = actuals->value[i].as.node->type.dtype;
    if (n_tensors == 0)
        return fail_at(x, call, nowhere, NULL, "%s: needs a tensor, both operands are numbers",
                       op_info[op].text);
    for (size_t i = 0; i < formals->n && o.n < 2; i++) {
        if ((op_info[op].flags & OPF_BINARY) && is_number(&actuals->value[i]))
            actuals->value[i] = literal(x, actuals->span[i], &actuals->value[i], dtype);
        if (actuals->value[i].kind == VALUE_ERROR)
            return actuals->value[i];
        if (actuals->value[i].kind == VALUE_TENSOR)
            o.node[o.n++] = actuals->value[i].as.node;
    }
    const char *name = NULL;
    if (op_info[op].flags & OPF_LAYER) {
        const Value *v = actual(formals, actuals, "name", NULL);
        name = arena_strdup(x->graph->arena, v->as.text.data, v->as.text.len);
        if (!add_layer_weights(x, op, call, formals, actuals, &o))
            return (Value){0};
    }
    Node *n = graph_add(x->graph, op, call, name, o.node, o.n);
    for (size_t i = 0; i < n_node_attributes; i++)
        if (node_attributes[i].op == op)
            set_attribute(x, n, &node_attributes[i],
                          actual(formals, actuals, node_attributes[i].name, NULL));
    return infer(x, n);
}
