// SPDX-License-Identifier: Apache-2.0
// Expressions. Integers are 64 bits and checked, floats are doubles and stay finite; an
// arithmetic operator with a tensor becomes a node. Every evaluated expression is a step;
// steps, depth and string sizes are bounded, so that work is linear in the bounds.
#include "frontend/expand.h"

#include <math.h>
#include <string.h>

enum { MAX_LIST_NESTING = 8, BYTES_PER_STEP = 64 };

static const Span nowhere = {0};

Binding *find_local(const Expander *x, const Symbol *s)
{
    return s->local && s->local->frame == x->frame ? s->local : NULL;
}

Binding *bind_name(Expander *x, Symbol *s, Span span, Value value)
{
    Binding *b = arena_new(x->arena, Binding);
    *b = (Binding){.symbol = s,
                   .shadowed = s->local,
                   .next = x->frame->bindings,
                   .frame = x->frame,
                   .value = value,
                   .span = span};
    x->frame->bindings = b;
    s->local = b;
    return b;
}

void leave_frame(Expander *x)
{
    // Newest first, so that each symbol ends with what it meant before.
    for (Binding *b = x->frame->bindings; b; b = b->next)
        if (b->symbol->local == b)
            b->symbol->local = b->shadowed;
    x->frame = x->frame->caller;
}

Value eval_name(Expander *x, Symbol *s, Span at)
{
    Binding *b = find_local(x, s);
    if (b) {
        if (b->stmt)
            b->stmt->as.assign.used = true;
        if (b->formal)
            b->formal->used = true;
        return b->value;
    }
    if (s->param) {
        if (s->param->ready)
            return *s->param->value;
        return fail_at(x, at, s->param->formal.name.span, "declared here",
                       "parameter '%s' is used before its declaration", s->text);
    }
    if (s->dtype >= 0)
        return (Value){.kind = VALUE_DTYPE, .as.dtype = (DType)s->dtype};
    if (s->kind >= 0)
        return (Value){.kind = VALUE_KIND, .as.kind = (Kind)s->kind};
    if (is_silent(x, at))
        return (Value){0};
    if (is_callable(x, s))
        return fail_at(x, at, nowhere, NULL, "'%s' is a function; call it: %s(...)", s->text,
                       s->text);
    return fail_at(x, at, nowhere, NULL, "unknown name '%s'%s", s->text,
                   suggest_symbol(x, s->text, is_value));
}

static Value compute_int(Expander *x, const Expr *e, int64_t a, int64_t b)
{
    int64_t r = 0;
    bool overflow = false;
    Operator op = e->as.binary.op;
    if (op == OPERATOR_ADD) {
        overflow = __builtin_add_overflow(a, b, &r);
    } else if (op == OPERATOR_SUB) {
        overflow = __builtin_sub_overflow(a, b, &r);
    } else if (op == OPERATOR_MUL) {
        overflow = __builtin_mul_overflow(a, b, &r);
    } else if (b == 0) {
        return fail_at(x, e->span, nowhere, NULL, "division of %lld by zero", (long long)a);
    } else if (b == -1) { // INT64_MIN / -1 and % -1
        overflow = op == OPERATOR_DIV && __builtin_sub_overflow(0, a, &r);
    } else { // floor division, and the remainder that belongs to it
        int64_t q = a / b, m = a % b;
        bool below = m != 0 && (m < 0) != (b < 0);
        r = op == OPERATOR_DIV ? q - below : m + (below ? b : 0);
    }
    if (overflow)
        return fail_at(x, e->span, nowhere, NULL,
                       "integer overflow: %lld %c %lld needs more than 64 "
                       "bits",
                       (long long)a,
                       op == OPERATOR_ADD   ? '+'
                       : op == OPERATOR_SUB ? '-'
                       : op == OPERATOR_MUL ? '*'
                                            : '/',
                       (long long)b);
    return int_value(r);
}

static Value compute_float(Expander *x, const Expr *e, double a, double b)
{
    double r = 0;
    Operator op = e->as.binary.op;
    if ((op == OPERATOR_DIV || op == OPERATOR_MOD) && b == 0)
        return fail_at(x, e->span, nowhere, NULL, "division of %g by zero", a);
    if (op == OPERATOR_ADD)
        r = a + b;
    else if (op == OPERATOR_SUB)
        r = a - b;
    else if (op == OPERATOR_MUL)
        r = a * b;
    else if (op == OPERATOR_DIV)
        r = a / b;
    else
        r = a - b * floor(a / b);
    if (!isfinite(r))
        return fail_at(x, e->span, nowhere, NULL, "the result is beyond the range of a double");
    return (Value){.kind = VALUE_FLOAT, .as.number = r};
}

// Calls an operator that has an infix form.
static Value tensor_arithmetic(Expander *x, const Expr *e, Value a, Value b)
{
    Operator op = e->as.binary.op;
    if (op == OPERATOR_DIV || op == OPERATOR_MOD)
        return fail_at(x, e->span, nowhere, NULL,
                       "tensors are not divided; multiply by the reciprocal, as in x * (1.0 / 8)");
    FormalVec formals = {.data = (Formal[2]){{.used = true}, {.used = true}}, .n = 2};
    Actuals actuals = {(Value[]){a, b},
                       (Span[]){e->as.binary.left->span, e->as.binary.right->span}};
    return lower_op(x,
                    op == OPERATOR_ADD   ? OP_ADD
                    : op == OPERATOR_SUB ? OP_SUB
                                         : OP_MUL,
                    e->span, &formals, &actuals);
}

// Equality of compile-time values; every comparison is a step, since lists may be shared.
static bool equal(Expander *x, const Expr *e, const Value *a, const Value *b)
{
    if (x->stopped || ++x->steps > EXPAND_MAX_STEPS)
        return stop_expansion(x, e->span, "comparing these lists takes too long");
    if (is_number(a) && is_number(b))
        return a->kind == VALUE_INT && b->kind == VALUE_INT ? a->as.integer == b->as.integer
                                                            : number_of(a) == number_of(b);
    if (a->kind != b->kind) {
        fail_at(x, e->span, nowhere, NULL, "cannot compare %s with %s", value_describe(x, a),
                value_describe(x, b));
        return false;
    }
    switch (a->kind) {
    case VALUE_BOOL:
        return a->as.boolean == b->as.boolean;
    case VALUE_STRING:
        return a->as.text.len == b->as.text.len &&
               memcmp(a->as.text.data, b->as.text.data, a->as.text.len) == 0;
    case VALUE_DTYPE:
        return a->as.dtype == b->as.dtype;
    case VALUE_TYPE:
        return type_equal(a->as.type, b->as.type);
    case VALUE_LIST:
        if (a->as.list.n != b->as.list.n)
            return false;
        for (size_t i = 0; i < a->as.list.n; i++)
            if (!equal(x, e, &a->as.list.items[i], &b->as.list.items[i]))
                return false;
        return true;
    case VALUE_TENSOR:
    case VALUE_TUPLE:
    case VALUE_KIND:
    case VALUE_ERROR:
    case VALUE_INT:
    case VALUE_FLOAT:
        break;
    }
    fail_at(x, e->span, nowhere, NULL, "%s cannot be compared at compile time",
            value_describe(x, a));
    return false;
}

static Value compare(Expander *x, const Expr *e, const Value *a, const Value *b)
{
    Operator op = e->as.binary.op;
    if (op == OPERATOR_EQ || op == OPERATOR_NE) {
        size_t before = x->failed.n;
        bool same = equal(x, e, a, b);
        if (x->stopped || x->failed.n != before)
            return (Value){0};
        return bool_value(same == (op == OPERATOR_EQ));
    }
    if (!is_number(a) || !is_number(b))
        return fail_at(x, e->span, nowhere, NULL, "cannot order %s and %s", value_describe(x, a),
                       value_describe(x, b));
    bool ints = a->kind == VALUE_INT && b->kind == VALUE_INT;
    bool less = ints ? a->as.integer < b->as.integer : number_of(a) < number_of(b);
    bool more = ints ? a->as.integer > b->as.integer : number_of(a) > number_of(b);
    return bool_value(op == OPERATOR_LT   ? less
                      : op == OPERATOR_GT ? more
                      : op == OPERATOR_LE ? !more
                                          : !less);
}

bool eval_condition(Expander *x, const Expr *e, bool *result)
{
    Value v = eval_expr(x, e);
    if (v.kind == VALUE_TENSOR)
        fail_at(x, e->span, nowhere, NULL, "a condition is known at compile time; this is %s",
                value_describe(x, &v));
    else if (v.kind != VALUE_BOOL && v.kind != VALUE_ERROR)
        fail_at(x, e->span, nowhere, NULL, "expected true or false, found %s",
                value_describe(x, &v));
    *result = v.kind == VALUE_BOOL && v.as.boolean;
    return v.kind == VALUE_BOOL;
}

static Value eval_binary(Expander *x, const Expr *e)
{
    Operator op = e->as.binary.op;
    if (op == OPERATOR_AND || op == OPERATOR_OR) {
        bool left, right;
        if (!eval_condition(x, e->as.binary.left, &left))
            return (Value){0};
        if (left == (op == OPERATOR_OR))
            return bool_value(left);
        return eval_condition(x, e->as.binary.right, &right) ? bool_value(right) : (Value){0};
    }
    Value a = eval_expr(x, e->as.binary.left), b = eval_expr(x, e->as.binary.right);
    if (a.kind == VALUE_ERROR || b.kind == VALUE_ERROR)
        return (Value){0};
    if (op >= OPERATOR_EQ && op <= OPERATOR_GE)
        return compare(x, e, &a, &b);
    if (a.kind == VALUE_INT && b.kind == VALUE_INT)
        return compute_int(x, e, a.as.integer, b.as.integer);
    if (is_number(&a) && is_number(&b))
        return compute_float(x, e, number_of(&a), number_of(&b));
    if ((a.kind == VALUE_TENSOR || is_number(&a)) && (b.kind == VALUE_TENSOR || is_number(&b)))
        return tensor_arithmetic(x, e, a, b);
    return fail_at(x, e->span, nowhere, NULL, "cannot compute with %s and %s%s",
                   value_describe(x, &a), value_describe(x, &b),
                   a.kind == VALUE_STRING || b.kind == VALUE_STRING
                       ? "; strings are built like \"block.{i}\""
                       : "");
}

static Value eval_unary(Expander *x, const Expr *e)
{
    if (e->as.binary.op == OPERATOR_NOT) {
        bool v;
        return eval_condition(x, e->as.binary.left, &v) ? bool_value(!v) : (Value){0};
    }
    Value v = eval_expr(x, e->as.binary.left);
    switch (v.kind) {
    case VALUE_ERROR:
        return v;
    case VALUE_INT:
        if (v.as.integer == INT64_MIN)
            return fail_at(x, e->span, nowhere, NULL,
                           "integer overflow: -(%lld) needs more than 64 "
                           "bits",
                           (long long)v.as.integer);
        return int_value(-v.as.integer);
    case VALUE_FLOAT:
        v.as.number = -v.as.number;
        return v;
    case VALUE_TENSOR: {
        Expr product = *e; // -x is x * -1
        product.as.binary.op = OPERATOR_MUL;
        product.as.binary.right = product.as.binary.left;
        return tensor_arithmetic(x, &product, v, int_value(-1));
    }
    case VALUE_BOOL:
    case VALUE_STRING:
    case VALUE_DTYPE:
    case VALUE_TYPE:
    case VALUE_KIND:
    case VALUE_LIST:
    case VALUE_TUPLE:
        break;
    }
    return fail_at(x, e->span, nowhere, NULL, "cannot negate %s", value_describe(x, &v));
}

static bool add_piece(Expander *x, Text *t, const Expr *e)
{
    if (e->kind == EXPR_TEXT) {
        text_add_bytes(t, e->as.text.data, e->as.text.len);
        return true;
    }
    Value v = eval_expr(x, e);
    switch (v.kind) {
    case VALUE_ERROR:
        return false;
    case VALUE_INT:
        text_printf(t, "%lld", (long long)v.as.integer);
        return true;
    case VALUE_FLOAT:
        text_printf(t, "%g", v.as.number);
        return true;
    case VALUE_BOOL:
        text_add(t, v.as.boolean ? "true" : "false");
        return true;
    case VALUE_STRING:
        text_add_bytes(t, v.as.text.data, v.as.text.len);
        return true;
    case VALUE_DTYPE:
        text_add(t, dtype_name(v.as.dtype));
        return true;
    case VALUE_TYPE:
    case VALUE_KIND:
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_TENSOR:
        break;
    }
    fail_at(x, e->span, nowhere, NULL, "%s cannot be part of a string", value_describe(x, &v));
    return false;
}

static Value eval_string(Expander *x, const Expr *e)
{
    Text t = {0};
    Value v = {.kind = VALUE_STRING};
    for (size_t i = 0; i < e->as.parts.n && v.kind == VALUE_STRING; i++) {
        if (!add_piece(x, &t, e->as.parts.data[i]))
            v = (Value){0};
        else if (t.len > STRING_MAX_BYTES)
            v = fail_at(x, e->span, nowhere, NULL, "a string of more than %d bytes",
                        STRING_MAX_BYTES);
    }
    if (v.kind == VALUE_STRING) {
        v.as.text.data = arena_strdup(x->arena, t.data ? t.data : "", t.len);
        v.as.text.len = t.len;
        x->steps += (uint32_t)(t.len / BYTES_PER_STEP);
    }
    text_free(&t);
    return v;
}

// An item of a list or of several results.
static bool eval_item(Expander *x, const Expr *e, Value *list, Value *item)
{
    *item = eval_expr(x, e);
    if (item->kind == VALUE_LIST && item->as.list.nesting >= list->as.list.nesting)
        list->as.list.nesting = item->as.list.nesting + 1;
    if (item->kind == VALUE_TUPLE || item->kind == VALUE_KIND)
        *item = fail_at(x, e->span, nowhere, NULL, "expected one value, found %s",
                        value_describe(x, item));
    return item->kind != VALUE_ERROR;
}

Value eval_list(Expander *x, const ExprVec *items, Span at)
{
    Value v = list_value(x, items->n);
    bool ok = true;
    for (size_t i = 0; i < items->n; i++)
        ok = eval_item(x, items->data[i], &v, &v.as.list.items[i]) && ok;
    if (ok && v.as.list.nesting > MAX_LIST_NESTING)
        return fail_at(x, at, nowhere, NULL, "lists nested more than %d deep", MAX_LIST_NESTING);
    return ok ? v : (Value){0};
}

// dtype[extents]: a type.
static Value eval_type(Expander *x, const Expr *e, DType dtype)
{
    Type *t = arena_new(x->arena, Type);
    t->dtype = dtype;
    Value extents = eval_list(x, &e->as.index.items, e->span);
    if (extents.kind == VALUE_ERROR)
        return extents;
    if (extents.as.list.n > TYPE_MAX_RANK)
        return fail_at(x, e->span, nowhere, NULL, "a tensor has at most %d axes, this type has %zu",
                       TYPE_MAX_RANK, extents.as.list.n);
    for (; t->rank < (int)extents.as.list.n; t->rank++) {
        const Value *v = &extents.as.list.items[t->rank];
        Span at = e->as.index.items.data[t->rank]->span;
        if (v->kind != VALUE_INT)
            return fail_at(x, at, nowhere, NULL, "an extent is an integer, this is %s",
                           value_describe(x, v));
        if (v->as.integer < 1 || v->as.integer > TYPE_MAX_EXTENT)
            return fail_at(x, at, nowhere, NULL, "extent %lld is out of range: 1 to %d",
                           (long long)v->as.integer, TYPE_MAX_EXTENT);
        t->extent[t->rank] = v->as.integer;
    }
    if (type_elements(t) > TYPE_MAX_ELEMENTS)
        return fail_at(x, e->span, nowhere, NULL, "%s has more than %d elements",
                       type_text(x->arena, t), TYPE_MAX_ELEMENTS);
    return (Value){.kind = VALUE_TYPE, .as.type = t};
}

static Value eval_index(Expander *x, const Expr *e)
{
    Value base = eval_expr(x, e->as.index.base);
    if (base.kind == VALUE_ERROR)
        return base;
    if (base.kind == VALUE_DTYPE)
        return eval_type(x, e, base.as.dtype);
    if (base.kind != VALUE_LIST)
        return fail_at(x, e->span, nowhere, NULL, "cannot index %s%s", value_describe(x, &base),
                       base.kind == VALUE_TENSOR ? "; tensors are used whole" : "");
    if (e->as.index.items.n != 1)
        return fail_at(x, e->span, nowhere, NULL, "a list takes one index, there are %zu",
                       e->as.index.items.n);
    const Expr *index = e->as.index.items.data[0];
    Value i = eval_expr(x, index);
    if (i.kind == VALUE_ERROR)
        return i;
    if (i.kind != VALUE_INT)
        return fail_at(x, index->span, nowhere, NULL, "an index is an integer, this is %s",
                       value_describe(x, &i));
    int64_t n = (int64_t)base.as.list.n;
    if (i.as.integer < -n || i.as.integer >= n)
        return fail_at(x, index->span, nowhere, NULL, "index %lld is outside of the list of %lld",
                       (long long)i.as.integer, (long long)n);
    return base.as.list.items[i.as.integer < 0 ? i.as.integer + n : i.as.integer];
}

static Value eval_kind(Expander *x, const Expr *e)
{
    switch (e->kind) {
    case EXPR_INT:
        return int_value(e->as.integer);
    case EXPR_FLOAT:
        return (Value){.kind = VALUE_FLOAT, .as.number = e->as.number};
    case EXPR_BOOL:
        return bool_value(e->as.boolean);
    case EXPR_TEXT: // a piece of a string; see add_piece()
        break;
    case EXPR_STRING:
        return eval_string(x, e);
    case EXPR_NAME:
        return eval_name(x, e->as.name, e->span);
    case EXPR_LIST:
        return eval_list(x, &e->as.parts, e->span);
    case EXPR_UNARY:
        return eval_unary(x, e);
    case EXPR_BINARY:
        return eval_binary(x, e);
    case EXPR_CALL:
        return eval_call(x, e);
    case EXPR_INDEX:
        return eval_index(x, e);
    case EXPR_IF: {
        bool yes;
        if (!eval_condition(x, e->as.cond.condition, &yes))
            return (Value){0};
        return eval_expr(x, yes ? e->as.cond.yes : e->as.cond.no);
    }
    }
    return (Value){0};
}

bool enter_step(Expander *x, Span at)
{
    if (x->stopped)
        return false;
    if (++x->steps > EXPAND_MAX_STEPS)
        return stop_expansion(x, at,
                              arena_printf(x->arena,
                                           "expansion takes more than %d steps; is a loop "
                                           "too long?",
                                           EXPAND_MAX_STEPS));
    if (x->depth == EVAL_MAX_DEPTH)
        return stop_expansion(
            x, at, arena_printf(x->arena, "expansion is nested more than %d deep", EVAL_MAX_DEPTH));
    x->depth++;
    return true;
}

Value eval_expr(Expander *x, const Expr *e)
{
    if (!enter_step(x, e->span))
        return (Value){0};
    Value v = eval_kind(x, e);
    x->depth--;
    return v;
}
