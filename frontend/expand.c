// SPDX-License-Identifier: Apache-2.0
// Expansion: an evaluator of the tree. Numbers, strings and types are computed, tensors are
// nodes of the graph, functions and loops unroll. Every evaluated statement and expression
// is a step; steps, depth and string sizes are bounded, so work is linear in the bound.
//
// A failed part has the value VALUE_ERROR, which spreads without further messages, and
// evaluation goes on with the next statement: one run shows many errors. A place reports
// only once, however often it is evaluated.
#include "frontend/expand.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "frontend/parse.h"

enum { SHOWN_CALLS = 8, MAX_FAILURES = 200, MAX_CANDIDATES = 1000, MAX_LIST_NESTING = 8,
       BYTES_PER_STEP = 64 };

static const Span nowhere = {0};

static Value eval(Expander *x, const Expr *e);
static void exec(Expander *x, const StmtVec *body);

// ---- reporting

bool is_silent(const Expander *x, Span at)
{
    if (x->stopped)
        return true;
    for (size_t i = 0; i < x->failed.n; i++)
        if (memcmp(&x->failed.data[i], &at, sizeof at) == 0)
            return true;
    return false;
}

Value follow(Expander *x, Span at)
{
    unsigned shown = 0;
    for (const Frame *f = x->frame; f && f->name; f = f->caller)
        if (++shown <= SHOWN_CALLS)
            diag_note(x->diag, f->call, "in call to '%s'", f->name);
    if (shown > SHOWN_CALLS)
        diag_note(x->diag, nowhere, "and %u more calls", shown - SHOWN_CALLS);
    vec_push(x->arena, &x->failed, at);
    if (x->failed.n >= MAX_FAILURES)
        x->stopped = true;
    return (Value){0};
}

Value fail(Expander *x, Span at, Span also, const char *note, const char *format, ...)
{
    if (is_silent(x, at))
        return (Value){0};
    Text t = {0};
    va_list ap;
    va_start(ap, format);
    text_vprintf(&t, format, ap);
    va_end(ap);
    diag_error(x->diag, at, "%s", t.data);
    text_free(&t);
    if (note)
        diag_note(x->diag, also, "%s", note);
    return follow(x, at);
}

static bool stop(Expander *x, Span at, const char *why)
{
    if (!x->stopped)
        fail(x, at, nowhere, NULL, "%s", why);
    x->stopped = true;
    return false;
}

const char *value_describe(Expander *x, const Value *v)
{
    switch (v->kind) {
    case VALUE_ERROR:
        return "an error";
    case VALUE_INT:
        return arena_printf(x->arena, "the integer %lld", (long long)v->as.integer);
    case VALUE_FLOAT:
        return arena_printf(x->arena, "the number %g", v->as.number);
    case VALUE_BOOL:
        return v->as.boolean ? "true" : "false";
    case VALUE_STRING:
        return arena_printf(x->arena, "the string \"%.40s\"", v->as.text.data);
    case VALUE_DTYPE:
        return arena_printf(x->arena, "the dtype %s", dtype_name(v->as.dtype));
    case VALUE_TYPE:
        return arena_printf(x->arena, "the type %s", type_text(x->arena, v->as.type));
    case VALUE_KIND:
        return arena_printf(x->arena, "the word '%s'", kind_text[v->as.kind]);
    case VALUE_LIST:
        return arena_printf(x->arena, "a list of %zu", v->as.list.n);
    case VALUE_TUPLE:
        return arena_printf(x->arena, "%zu results of a function", v->as.list.n);
    case VALUE_TENSOR:
        return arena_printf(x->arena, "the tensor %s", type_text(x->arena, &v->as.node->type));
    }
    return "";
}

// The nearest name that could stand here, as "; did you mean 'x'?" or "".
typedef bool (*Eligible)(const Expander *x, const Symbol *s);

static bool is_callable(const Expander *x, const Symbol *s)
{
    (void)x;
    return s->function || s->op >= 0 || s->builtin >= 0;
}

static bool is_value(const Expander *x, const Symbol *s)
{
    return (s->local && s->local->frame == x->frame) || s->param || s->dtype >= 0;
}

static bool is_param(const Expander *x, const Symbol *s)
{
    (void)x;
    return s->param != NULL;
}

static const char *suggest(Expander *x, const char *word, const char *const *names, size_t n)
{
    const char *nearest = text_nearest(word, names, n);
    return nearest ? arena_printf(x->arena, "; did you mean '%s'?", nearest) : "";
}

static const char *suggest_symbol(Expander *x, const char *word, Eligible eligible)
{
    const char *names[MAX_CANDIDATES];
    size_t n = 0;
    const SymbolTable *t = &x->ast->symbols;
    for (size_t i = 0; i < t->cap && n < MAX_CANDIDATES; i++)
        if (t->slots[i] && eligible(x, t->slots[i]))
            names[n++] = t->slots[i]->text;
    return suggest(x, word, names, n);
}

// ---- conversions

static Value int_value(int64_t v)
{
    return (Value){.kind = VALUE_INT, .as.integer = v};
}

static Value bool_value(bool v)
{
    return (Value){.kind = VALUE_BOOL, .as.boolean = v};
}

static bool is_number(const Value *v)
{
    return v->kind == VALUE_INT || v->kind == VALUE_FLOAT;
}

static double number_of(const Value *v)
{
    return v->kind == VALUE_INT ? (double)v->as.integer : v->as.number;
}

static Value list_value(Expander *x, size_t n)
{
    Value v = {.kind = VALUE_LIST};
    v.as.list.items = arena_array(x->arena, Value, n);
    v.as.list.n = n;
    return v;
}

static bool is_list_of_int(const Value *v)
{
    if (v->kind != VALUE_LIST)
        return false;
    for (size_t i = 0; i < v->as.list.n; i++)
        if (v->as.list.items[i].kind != VALUE_INT)
            return false;
    return true;
}

static Value repeat(Expander *x, Value item, size_t n)
{
    Value v = list_value(x, n);
    for (size_t i = 0; i < n; i++)
        v.as.list.items[i] = item;
    return v;
}

// v as this kind, in the form that the kind promises. False: it is none.
static bool as_kind(Expander *x, Kind kind, Value *v)
{
    switch (kind) {
    case KIND_TENSOR:
        return v->kind == VALUE_TENSOR;
    case KIND_INT:
        return v->kind == VALUE_INT;
    case KIND_FLOAT:
        if (is_number(v))
            *v = (Value){.kind = VALUE_FLOAT, .as.number = number_of(v)};
        return v->kind == VALUE_FLOAT;
    case KIND_BOOL:
        return v->kind == VALUE_BOOL;
    case KIND_STRING:
        return v->kind == VALUE_STRING;
    case KIND_DTYPE:
        return v->kind == VALUE_DTYPE;
    case KIND_TYPE:
        return v->kind == VALUE_TYPE;
    case KIND_LIST:
        return v->kind == VALUE_LIST;
    case KIND_PAIR:
        if (v->kind == VALUE_INT)
            *v = repeat(x, *v, 2);
        return is_list_of_int(v) && v->as.list.n == 2;
    case KIND_SHAPE:
        if (v->kind == VALUE_INT)
            *v = repeat(x, *v, 1);
        return is_list_of_int(v) && v->as.list.n <= TYPE_MAX_RANK;
    case KIND_COUNT:
        break;
    }
    return false;
}

// What an annotation speaks of, for messages: "conv2d: argument 'stride'".
typedef struct Subject {
    const char *owner, *role, *name;
} Subject;

static const char *subject_text(Expander *x, const Subject *s)
{
    return arena_printf(x->arena, "%s%s%s'%s'", s->owner ? s->owner : "", s->owner ? ": " : "",
                        s->role, s->name);
}

static bool check_annotation(Expander *x, const Expr *annotation, Value *v, Span at,
                             Subject subject)
{
    if (!annotation || v->kind == VALUE_ERROR)
        return v->kind != VALUE_ERROR;
    Value a = eval(x, annotation);
    if (a.kind == VALUE_ERROR)
        return false;
    if (a.kind == VALUE_KIND) {
        Value given = *v;
        if (as_kind(x, a.as.kind, v))
            return true;
        fail(x, at, nowhere, NULL, "%s must be %s, is %s", subject_text(x, &subject), kind_phrase[a.as.kind],
             value_describe(x, &given));
        return false;
    }
    if (a.kind != VALUE_TYPE) {
        fail(x, annotation->span, nowhere, NULL, "expected a type such as f32[10], found %s",
             value_describe(x, &a));
        return false;
    }
    if (v->kind == VALUE_TENSOR && type_equal(&v->as.node->type, a.as.type))
        return true;
    Span declared = annotation->span;
    fail(x, at, declared, "declared here", "%s must be %s, is %s", subject_text(x, &subject),
         type_text(x->arena, a.as.type), value_describe(x, v));
    return false;
}

// ---- names

static Binding *find_local(const Expander *x, const Symbol *s)
{
    return s->local && s->local->frame == x->frame ? s->local : NULL;
}

static Binding *bind(Expander *x, Symbol *s, Span span, Value value)
{
    Binding *b = arena_new(x->arena, Binding);
    *b = (Binding){.symbol = s, .shadowed = s->local, .next = x->frame->bindings,
                   .frame = x->frame, .value = value, .span = span};
    x->frame->bindings = b;
    s->local = b;
    return b;
}

static void leave_frame(Expander *x)
{
    // Newest first, so that each symbol ends with what it meant before.
    for (Binding *b = x->frame->bindings; b; b = b->next)
        if (b->symbol->local == b)
            b->symbol->local = b->shadowed;
    x->frame = x->frame->caller;
}

static Value eval_name(Expander *x, Symbol *s, Span at)
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
        return fail(x, at, s->param->formal.name.span, "declared here",
                    "parameter '%s' is used before its declaration", s->text);
    }
    if (s->dtype >= 0)
        return (Value){.kind = VALUE_DTYPE, .as.dtype = (DType)s->dtype};
    if (s->kind >= 0)
        return (Value){.kind = VALUE_KIND, .as.kind = (Kind)s->kind};
    if (is_silent(x, at))
        return (Value){0};
    if (is_callable(x, s))
        return fail(x, at, nowhere, NULL, "'%s' is a function; call it: %s(...)", s->text, s->text);
    return fail(x, at, nowhere, NULL, "unknown name '%s'%s", s->text,
                suggest_symbol(x, s->text, is_value));
}

// ---- arithmetic

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
        return fail(x, e->span, nowhere, NULL, "division of %lld by zero", (long long)a);
    } else if (b == -1) { // INT64_MIN / -1 and % -1
        overflow = op == OPERATOR_DIV && __builtin_sub_overflow(0, a, &r);
    } else { // floor division, and the remainder that belongs to it
        int64_t q = a / b, m = a % b;
        bool below = m != 0 && (m < 0) != (b < 0);
        r = op == OPERATOR_DIV ? q - below : m + (below ? b : 0);
    }
    if (overflow)
        return fail(x, e->span, nowhere, NULL, "integer overflow: %lld %c %lld needs more than 64 "
                    "bits", (long long)a,
                    op == OPERATOR_ADD ? '+' : op == OPERATOR_SUB ? '-' :
                    op == OPERATOR_MUL ? '*' : '/', (long long)b);
    return int_value(r);
}

static Value compute_float(Expander *x, const Expr *e, double a, double b)
{
    double r = 0;
    Operator op = e->as.binary.op;
    if ((op == OPERATOR_DIV || op == OPERATOR_MOD) && b == 0)
        return fail(x, e->span, nowhere, NULL, "division of %g by zero", a);
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
        return fail(x, e->span, nowhere, NULL, "the result is beyond the range of a double");
    return (Value){.kind = VALUE_FLOAT, .as.number = r};
}

// Calls an operator that has an infix form.
static Value tensor_arithmetic(Expander *x, const Expr *e, Value a, Value b)
{
    Operator op = e->as.binary.op;
    if (op == OPERATOR_DIV || op == OPERATOR_MOD)
        return fail(x, e->span, nowhere, NULL,
                    "tensors are not divided; multiply by the reciprocal, as in x * (1.0 / 8)");
    FormalVec formals = {.data = (Formal[2]){{.used = true}, {.used = true}}, .n = 2};
    Actuals actuals = {(Value[]){a, b},
                       (Span[]){e->as.binary.left->span, e->as.binary.right->span}};
    return lower_op(x, op == OPERATOR_ADD ? OP_ADD : op == OPERATOR_SUB ? OP_SUB : OP_MUL, e->span,
                    &formals, &actuals);
}

// Equality of compile-time values; every comparison is a step, since lists may be shared.
static bool equal(Expander *x, const Expr *e, const Value *a, const Value *b)
{
    if (x->stopped || ++x->steps > EXPAND_MAX_STEPS)
        return stop(x, e->span, "comparing these lists takes too long");
    if (is_number(a) && is_number(b))
        return a->kind == VALUE_INT && b->kind == VALUE_INT ? a->as.integer == b->as.integer
                                                            : number_of(a) == number_of(b);
    if (a->kind != b->kind) {
        fail(x, e->span, nowhere, NULL, "cannot compare %s with %s", value_describe(x, a),
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
    fail(x, e->span, nowhere, NULL, "%s cannot be compared at compile time", value_describe(x, a));
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
        return fail(x, e->span, nowhere, NULL, "cannot order %s and %s", value_describe(x, a),
                    value_describe(x, b));
    bool ints = a->kind == VALUE_INT && b->kind == VALUE_INT;
    bool less = ints ? a->as.integer < b->as.integer : number_of(a) < number_of(b);
    bool more = ints ? a->as.integer > b->as.integer : number_of(a) > number_of(b);
    return bool_value(op == OPERATOR_LT ? less : op == OPERATOR_GT ? more :
                      op == OPERATOR_LE ? !more : !less);
}

static bool eval_condition(Expander *x, const Expr *e, bool *result)
{
    Value v = eval(x, e);
    if (v.kind == VALUE_TENSOR)
        fail(x, e->span, nowhere, NULL, "a condition is known at compile time; this is %s",
             value_describe(x, &v));
    else if (v.kind != VALUE_BOOL && v.kind != VALUE_ERROR)
        fail(x, e->span, nowhere, NULL, "expected true or false, found %s", value_describe(x, &v));
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
    Value a = eval(x, e->as.binary.left), b = eval(x, e->as.binary.right);
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
    return fail(x, e->span, nowhere, NULL, "cannot compute with %s and %s%s", value_describe(x, &a),
                value_describe(x, &b),
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
    Value v = eval(x, e->as.binary.left);
    switch (v.kind) {
    case VALUE_ERROR:
        return v;
    case VALUE_INT:
        if (v.as.integer == INT64_MIN)
            return fail(x, e->span, nowhere, NULL, "integer overflow: -(%lld) needs more than 64 "
                        "bits", (long long)v.as.integer);
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
    return fail(x, e->span, nowhere, NULL, "cannot negate %s", value_describe(x, &v));
}

// ---- other expressions

static bool add_piece(Expander *x, Text *t, const Expr *e)
{
    if (e->kind == EXPR_TEXT) {
        text_add_bytes(t, e->as.text.data, e->as.text.len);
        return true;
    }
    Value v = eval(x, e);
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
    fail(x, e->span, nowhere, NULL, "%s cannot be part of a string", value_describe(x, &v));
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
            v = fail(x, e->span, nowhere, NULL, "a string of more than %d bytes", STRING_MAX_BYTES);
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
    *item = eval(x, e);
    if (item->kind == VALUE_LIST && item->as.list.nesting >= list->as.list.nesting)
        list->as.list.nesting = item->as.list.nesting + 1;
    if (item->kind == VALUE_TUPLE || item->kind == VALUE_KIND)
        *item = fail(x, e->span, nowhere, NULL, "expected one value, found %s",
                     value_describe(x, item));
    return item->kind != VALUE_ERROR;
}

static Value eval_list(Expander *x, const ExprVec *items, Span at)
{
    Value v = list_value(x, items->n);
    bool ok = true;
    for (size_t i = 0; i < items->n; i++)
        ok = eval_item(x, items->data[i], &v, &v.as.list.items[i]) && ok;
    if (ok && v.as.list.nesting > MAX_LIST_NESTING)
        return fail(x, at, nowhere, NULL, "lists nested more than %d deep", MAX_LIST_NESTING);
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
        return fail(x, e->span, nowhere, NULL, "a tensor has at most %d axes, this type has %zu",
                    TYPE_MAX_RANK, extents.as.list.n);
    for (; t->rank < (int)extents.as.list.n; t->rank++) {
        const Value *v = &extents.as.list.items[t->rank];
        Span at = e->as.index.items.data[t->rank]->span;
        if (v->kind != VALUE_INT)
            return fail(x, at, nowhere, NULL, "an extent is an integer, this is %s",
                        value_describe(x, v));
        if (v->as.integer < 1 || v->as.integer > TYPE_MAX_EXTENT)
            return fail(x, at, nowhere, NULL, "extent %lld is out of range: 1 to %d",
                        (long long)v->as.integer, TYPE_MAX_EXTENT);
        t->extent[t->rank] = v->as.integer;
    }
    if (type_elements(t) > TYPE_MAX_ELEMENTS)
        return fail(x, e->span, nowhere, NULL, "%s has more than %d elements",
                    type_text(x->arena, t), TYPE_MAX_ELEMENTS);
    return (Value){.kind = VALUE_TYPE, .as.type = t};
}

static Value eval_index(Expander *x, const Expr *e)
{
    Value base = eval(x, e->as.index.base);
    if (base.kind == VALUE_ERROR)
        return base;
    if (base.kind == VALUE_DTYPE)
        return eval_type(x, e, base.as.dtype);
    if (base.kind != VALUE_LIST)
        return fail(x, e->span, nowhere, NULL, "cannot index %s%s", value_describe(x, &base),
                    base.kind == VALUE_TENSOR ? "; tensors are used whole" : "");
    if (e->as.index.items.n != 1)
        return fail(x, e->span, nowhere, NULL, "a list takes one index, there are %zu",
                    e->as.index.items.n);
    const Expr *index = e->as.index.items.data[0];
    Value i = eval(x, index);
    if (i.kind == VALUE_ERROR)
        return i;
    if (i.kind != VALUE_INT)
        return fail(x, index->span, nowhere, NULL, "an index is an integer, this is %s",
                    value_describe(x, &i));
    int64_t n = (int64_t)base.as.list.n;
    if (i.as.integer < -n || i.as.integer >= n)
        return fail(x, index->span, nowhere, NULL, "index %lld is outside of the list of %lld",
                    (long long)i.as.integer, (long long)n);
    return base.as.list.items[i.as.integer < 0 ? i.as.integer + n : i.as.integer];
}

// ---- calls

typedef struct Callee {
    const char *name;
    const FormalVec *formals;
    Span defined;          /* of a function; nowhere for an operator */
    const char *signature; /* of an operator, for messages */
    Opkind op;             /* OP_COUNT: not an operator */
} Callee;

static const char *callee_note(Expander *x, const Callee *c)
{
    return c->signature ? arena_printf(x->arena, "%s(%s)", c->name, c->signature) : "defined here";
}

static int find_formal(const Callee *c, const Symbol *name)
{
    for (size_t i = 0; i < c->formals->n; i++)
        if (c->formals->data[i].name.symbol == name)
            return (int)i;
    return -1;
}

static const char *suggest_formal(Expander *x, const Callee *c, const char *word)
{
    const char *names[MAX_FORMALS];
    for (size_t i = 0; i < c->formals->n; i++)
        names[i] = c->formals->data[i].name.symbol->text;
    return suggest(x, word, names, c->formals->n);
}

// Evaluates the arguments written in the call, in the order written, and finds their places.
static bool place_arguments(Expander *x, const Callee *c, const Expr *call, Actuals *out,
                            bool *given)
{
    bool ok = true, named = false;
    for (size_t i = 0; i < call->as.call.args.n; i++) {
        const Arg *arg = &call->as.call.args.data[i];
        Span at = arg->name ? arg->name_span : arg->value->span;
        int place = arg->name ? find_formal(c, arg->name) : (int)i;
        named = named || arg->name;
        if (!arg->name && named) {
            fail(x, at, nowhere, NULL, "an argument by position after one by name");
            return false;
        }
        if (!arg->name && i >= c->formals->n) {
            fail(x, at, c->defined, callee_note(x, c), "%s: takes %zu argument%s, there are %zu",
                 c->name, c->formals->n, c->formals->n == 1 ? "" : "s", call->as.call.args.n);
            return false;
        }
        Value v = eval(x, arg->value);
        if (place < 0) {
            if (!is_silent(x, at))
                fail(x, at, c->defined, callee_note(x, c), "%s: no argument '%s'%s", c->name,
                     arg->name->text, suggest_formal(x, c, arg->name->text));
            ok = false;
        } else if (given[place]) {
            fail(x, at, out->span[place], "first given here", "%s: argument '%s' is given twice",
                 c->name, arg->name->text);
            ok = false;
        } else {
            if (v.kind == VALUE_TUPLE || v.kind == VALUE_KIND)
                v = fail(x, arg->value->span, nowhere, NULL, "expected one value, found %s",
                         value_describe(x, &v));
            given[place] = true;
            out->value[place] = v;
            out->span[place] = arg->value->span;
            ok = ok && v.kind != VALUE_ERROR;
        }
    }
    return ok;
}

static bool check_missing(Expander *x, const Callee *c, const Expr *call, const bool *given)
{
    for (size_t i = 0; i < c->formals->n; i++) {
        const Formal *f = &c->formals->data[i];
        if (given[i] || f->initial)
            continue;
        bool names_weights = c->op < OP_COUNT && (op_info[c->op].flags & OPF_LAYER) &&
                             strcmp(f->name.symbol->text, "name") == 0;
        fail(x, call->span, c->defined, callee_note(x, c), "%s: argument '%s' is missing%s",
             c->name, f->name.symbol->text,
             names_weights ? "; it names the layer's weights, as in name = \"fc1\"" : "");
        return false;
    }
    return true;
}

// Defaults and annotations of what is bound; a function's are evaluated in its own frame.
static bool complete(Expander *x, const Callee *c, Span call, Actuals *out, const bool *given)
{
    bool ok = true;
    for (size_t i = 0; i < c->formals->n; i++) {
        Formal *f = &c->formals->data[i];
        if (!given[i]) {
            out->value[i] = eval(x, f->initial);
            out->span[i] = call;
        }
        bool operand = c->op < OP_COUNT && (op_info[c->op].flags & OPF_BINARY) &&
                       is_number(&out->value[i]);
        Subject subject = {c->name, "argument ", f->name.symbol->text};
        if (!operand)
            ok = check_annotation(x, f->annotation, &out->value[i], out->span[i], subject) && ok;
        if (c->op == OP_COUNT && !c->signature)
            bind(x, f->name.symbol, f->name.span, out->value[i])->formal = f;
    }
    return ok;
}

static Actuals new_actuals(Expander *x, const FormalVec *formals)
{
    return (Actuals){arena_array(x->arena, Value, formals->n),
                     arena_array(x->arena, Span, formals->n)};
}

static Value call_function(Expander *x, Function *f, const Expr *call)
{
    Actuals actuals = new_actuals(x, &f->formals);
    bool given[MAX_FORMALS] = {0};
    Callee c = {f->name.symbol->text, &f->formals, f->name.span, NULL, OP_COUNT};
    if (f->formals.n > MAX_FORMALS || !place_arguments(x, &c, call, &actuals, given) ||
        !check_missing(x, &c, call, given))
        return (Value){0};
    if (x->calls == CALL_MAX_DEPTH) {
        stop(x, call->span,
             arena_printf(x->arena, "calls nested more than %d deep; does '%s' call itself for ever?",
                          CALL_MAX_DEPTH, c.name));
        return (Value){0};
    }
    Frame frame = {.name = c.name, .call = call->span, .caller = x->frame};
    x->frame = &frame;
    x->calls++;
    if (complete(x, &c, call->span, &actuals, given)) {
        size_t failures = x->failed.n;
        exec(x, &f->body);
        if (!frame.returned && !x->stopped && failures == x->failed.n)
            fail(x, f->name.span, nowhere, NULL, "'%s' returns nothing here", c.name);
    }
    x->calls--;
    leave_frame(x);
    return frame.returned ? frame.result : (Value){0};
}

static Value call_builtin(Expander *x, Builtin which, const Expr *call, const Actuals *actuals)
{
    const Value *v = actuals->value;
    switch (which) {
    case BUILTIN_WEIGHT:
        return lower_weight(x, call->span, v[0].as.text.data, v[0].as.text.len, v[1].as.type);
    case BUILTIN_SHAPE: {
        const Type *t = &v[0].as.node->type;
        Value list = list_value(x, (size_t)t->rank);
        for (int i = 0; i < t->rank; i++)
            list.as.list.items[i] = int_value(t->extent[i]);
        return list;
    }
    case BUILTIN_DTYPE:
        return (Value){.kind = VALUE_DTYPE, .as.dtype = v[0].as.node->type.dtype};
    case BUILTIN_LEN:
        return int_value((int64_t)v[0].as.list.n);
    case BUILTIN_COUNT:
        break;
    }
    return (Value){0};
}

// min and max of two numbers are numbers.
static bool fold_numbers(Opkind op, const Actuals *actuals, Value *result)
{
    const Value *v = actuals->value;
    if ((op != OP_MIN && op != OP_MAX) || !is_number(&v[0]) || !is_number(&v[1]))
        return false;
    bool ints = v[0].kind == VALUE_INT && v[1].kind == VALUE_INT;
    bool less = ints ? v[0].as.integer < v[1].as.integer : number_of(&v[0]) < number_of(&v[1]);
    *result = v[less == (op == OP_MIN) ? 0 : 1];
    return true;
}

static Value call_native(Expander *x, const Symbol *s, const Expr *call)
{
    bool is_op = s->op >= 0;
    FormalVec *formals = is_op ? &x->op_formals[s->op] : &x->builtin_formals[s->builtin];
    bool *parsed = is_op ? &x->op_parsed[s->op] : &x->builtin_parsed[s->builtin];
    const char *signature = is_op ? op_info[s->op].signature : builtin_signature[s->builtin];
    if (!*parsed)
        *formals = parse_signature(x->arena, x->diag, x->ast, signature);
    *parsed = true;
    Actuals actuals = new_actuals(x, formals);
    bool given[MAX_FORMALS] = {0};
    Callee c = {s->text, formals, nowhere, signature, is_op ? (Opkind)s->op : OP_COUNT};
    if (!place_arguments(x, &c, call, &actuals, given) || !check_missing(x, &c, call, given) ||
        !complete(x, &c, call->span, &actuals, given))
        return (Value){0};
    if (!is_op)
        return call_builtin(x, (Builtin)s->builtin, call, &actuals);
    Value folded;
    if (fold_numbers(c.op, &actuals, &folded))
        return folded;
    return lower_op(x, c.op, call->span, formals, &actuals);
}

static Value eval_call(Expander *x, const Expr *e)
{
    Symbol *s = e->as.call.callee.symbol;
    if (s->function)
        return call_function(x, s->function, e);
    if (s->op >= 0 || s->builtin >= 0)
        return call_native(x, s, e);
    for (size_t i = 0; i < e->as.call.args.n; i++)
        eval(x, e->as.call.args.data[i].value);
    Span at = e->as.call.callee.span;
    if (is_silent(x, at))
        return (Value){0};
    if (is_value(x, s))
        return fail(x, at, nowhere, NULL, "'%s' is a value, not a function", s->text);
    return fail(x, at, nowhere, NULL, "unknown function '%s'%s", s->text,
                suggest_symbol(x, s->text, is_callable));
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
        return eval(x, yes ? e->as.cond.yes : e->as.cond.no);
    }
    }
    return (Value){0};
}

static bool enter(Expander *x, Span at)
{
    if (x->stopped)
        return false;
    if (++x->steps > EXPAND_MAX_STEPS)
        return stop(x, at, arena_printf(x->arena, "expansion takes more than %d steps; is a loop "
                                        "too long?", EXPAND_MAX_STEPS));
    if (x->depth == EVAL_MAX_DEPTH)
        return stop(x, at, arena_printf(x->arena, "expansion is nested more than %d deep",
                                        EVAL_MAX_DEPTH));
    x->depth++;
    return true;
}

static Value eval(Expander *x, const Expr *e)
{
    if (!enter(x, e->span))
        return (Value){0};
    Value v = eval_kind(x, e);
    x->depth--;
    return v;
}

// ---- statements

static void assign(Expander *x, Stmt *s, const Name *name, Value value)
{
    Symbol *symbol = name->symbol;
    Binding *b = find_local(x, symbol);
    if (b && b->loop_variable) {
        fail(x, name->span, b->span, "the loop's variable", "'%s' counts a loop and is not assigned",
             symbol->text);
        return;
    }
    if (!b && symbol->param) {
        fail(x, name->span, symbol->param->formal.name.span, "declared here",
             "'%s' is a parameter of the file and is not assigned; choose another name",
             symbol->text);
        return;
    }
    if (symbol->dtype >= 0) {
        fail(x, name->span, nowhere, NULL, "'%s' is a dtype; choose another name", symbol->text);
        return;
    }
    if (!b)
        b = bind(x, symbol, name->span, value);
    b->value = value;
    b->span = name->span;
    b->stmt = s;
    b->formal = NULL;
    if (value.kind == VALUE_TENSOR && !value.as.node->name)
        value.as.node->name = arena_strdup(x->graph->arena, symbol->text, symbol->len);
}

static void exec_assign(Expander *x, Stmt *s)
{
    const NameVec *targets = &s->as.assign.targets;
    size_t nodes = x->graph->nodes.n;
    Value v = eval(x, s->as.assign.value);
    Span at = s->as.assign.value->span;
    if (x->graph->nodes.n > nodes && (v.kind == VALUE_TENSOR || v.kind == VALUE_TUPLE))
        s->as.assign.computed = true;
    if (v.kind == VALUE_KIND)
        v = fail(x, at, nowhere, NULL, "expected a value, found %s", value_describe(x, &v));
    if (targets->n == 1) {
        if (v.kind == VALUE_TUPLE)
            v = fail(x, at, nowhere, NULL, "one name for %zu results; write a, b = ...",
                     v.as.list.n);
        Subject subject = {NULL, "", targets->data[0].symbol->text};
        if (!check_annotation(x, s->as.assign.annotation, &v, at, subject))
            v = (Value){0};
        assign(x, s, &targets->data[0], v);
        return;
    }
    bool several = v.kind == VALUE_TUPLE || v.kind == VALUE_LIST;
    if (v.kind != VALUE_ERROR && (!several || v.as.list.n != targets->n))
        v = fail(x, at, nowhere, NULL, "%zu names for %s", targets->n, value_describe(x, &v));
    for (size_t i = 0; i < targets->n; i++)
        assign(x, s, &targets->data[i],
               v.kind == VALUE_ERROR ? (Value){0} : v.as.list.items[i]);
}

static void exec_return(Expander *x, const Stmt *s)
{
    if (!x->frame->name) {
        fail(x, s->span, nowhere, NULL,
             "a model returns nothing; it sets the names after '->' instead");
        return;
    }
    Value v;
    if (s->as.values.n == 1) {
        v = eval(x, s->as.values.data[0]);
    } else {
        v = eval_list(x, &s->as.values, s->span);
        if (v.kind == VALUE_LIST)
            v.kind = VALUE_TUPLE;
    }
    x->frame->returned = true;
    x->frame->result = v;
}

// One turn of a loop. False: leave it (returned, or the body has failed).
static bool turn(Expander *x, const Stmt *s, Binding *variable, Value value)
{
    size_t failures = x->failed.n;
    variable->value = value;
    exec(x, &s->as.loop.body);
    return !x->frame->returned && !x->stopped && x->failed.n == failures;
}

static bool loop_bound(Expander *x, const Expr *e, int64_t *result)
{
    Value v = eval(x, e);
    if (v.kind != VALUE_INT && v.kind != VALUE_ERROR)
        fail(x, e->span, nowhere, NULL, "a loop's bound is an integer, this is %s",
             value_describe(x, &v));
    *result = v.as.integer;
    return v.kind == VALUE_INT;
}

static void exec_for(Expander *x, Stmt *s)
{
    Name var = s->as.loop.var;
    Binding *hidden = find_local(x, var.symbol);
    if (hidden) {
        fail(x, var.span, hidden->span, "first defined here",
             "'%s' is in use; choose another name for the loop's variable", var.symbol->text);
        return;
    }
    int64_t from = 0, to = 0;
    Value list = {0};
    if (s->as.loop.to) {
        if (!loop_bound(x, s->as.loop.from, &from) || !loop_bound(x, s->as.loop.to, &to))
            return;
    } else {
        list = eval(x, s->as.loop.from);
        if (list.kind == VALUE_ERROR)
            return;
        if (list.kind != VALUE_LIST) {
            fail(x, s->as.loop.from->span, nowhere, NULL,
                 "a loop runs over a list or a range such as 0..4; this is %s",
                 value_describe(x, &list));
            return;
        }
        to = (int64_t)list.as.list.n;
    }
    Binding *b = bind(x, var.symbol, var.span, int_value(0));
    b->loop_variable = true;
    for (int64_t i = from; i < to && enter(x, s->span); i++) {
        bool more = turn(x, s, b, list.kind == VALUE_LIST ? list.as.list.items[i] : int_value(i));
        x->depth--;
        if (!more)
            break;
    }
    var.symbol->local = b->shadowed; // the variable ends with the loop
}

static void exec_if(Expander *x, const Stmt *s)
{
    bool yes;
    if (eval_condition(x, s->as.branch.condition, &yes))
        exec(x, yes ? &s->as.branch.yes : &s->as.branch.no);
}

static void exec(Expander *x, const StmtVec *body)
{
    for (size_t i = 0; i < body->n && !x->frame->returned; i++) {
        Stmt *s = body->data[i];
        if (!enter(x, s->span))
            return;
        switch (s->kind) {
        case STMT_ASSIGN:
            exec_assign(x, s);
            break;
        case STMT_RETURN:
            exec_return(x, s);
            break;
        case STMT_FOR:
            exec_for(x, s);
            break;
        case STMT_IF:
            exec_if(x, s);
            break;
        }
        x->depth--;
    }
}

// ---- parameters, the model, warnings

// The text of -D as a value of the default's kind.
static bool parse_define(const char *text, Value *v)
{
    size_t len = strlen(text), sign = text[0] == '-';
    size_t digits = strspn(text + sign, "0123456789_");
    bool integer = digits > 0 && text[sign] != '_' && sign + digits == len;
    switch (v->kind) {
    case VALUE_INT:
        if (!integer || !literal_int(text + sign, digits, &v->as.integer))
            return false;
        v->as.integer = sign ? -v->as.integer : v->as.integer;
        return true;
    case VALUE_FLOAT:
        if (!strpbrk(text, "0123456789") || strspn(text, "0123456789_.eE+-") != len ||
            !literal_float(text, len, &v->as.number))
            return false;
        return true;
    case VALUE_BOOL:
        v->as.boolean = strcmp(text, "true") == 0;
        return v->as.boolean || strcmp(text, "false") == 0;
    case VALUE_STRING:
        v->as.text.data = text;
        v->as.text.len = len;
        return len <= STRING_MAX_BYTES && utf8_valid_prefix(text, len) == len;
    case VALUE_DTYPE:
        return dtype_from_name(text, &v->as.dtype);
    case VALUE_ERROR:
    case VALUE_TYPE:
    case VALUE_KIND:
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_TENSOR:
        break;
    }
    return false;
}

static const char *define_kind(const Value *v)
{
    switch (v->kind) {
    case VALUE_INT:
        return "an integer";
    case VALUE_FLOAT:
        return "a number";
    case VALUE_BOOL:
        return "true or false";
    case VALUE_STRING:
        return "a string of valid UTF-8";
    case VALUE_DTYPE:
        return "a dtype";
    case VALUE_ERROR:
    case VALUE_TYPE:
    case VALUE_KIND:
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_TENSOR:
        break;
    }
    return "set in the file";
}

static void set_params(Expander *x, const Define *defines, size_t n_defines)
{
    for (size_t i = 0; i < x->ast->params.n; i++) {
        Param *p = x->ast->params.data[i];
        const char *name = p->formal.name.symbol->text;
        Span at = p->formal.name.span;
        p->value = arena_new(x->arena, Value);
        if (!p->formal.initial) {
            fail(x, at, nowhere, NULL, "parameter '%s' has no default; write %s = ...", name, name);
        } else {
            Value v = eval(x, p->formal.initial);
            if (v.kind == VALUE_KIND)
                v = fail(x, at, nowhere, NULL, "expected a value, found %s", value_describe(x, &v));
            if (check_annotation(x, p->formal.annotation, &v, p->formal.initial->span,
                                 (Subject){NULL, "parameter ", name}))
                *p->value = v;
        }
        for (size_t k = 0; k < n_defines; k++) {
            if (strcmp(defines[k].name, name) != 0 || p->value->kind == VALUE_ERROR)
                continue;
            Value v = *p->value;
            if (parse_define(defines[k].value, &v)) {
                *p->value = v;
            } else if (!is_silent(x, nowhere)) {
                diag_error(x->diag, nowhere, "-D %s=%s: parameter '%s' is %s", name,
                           defines[k].value, name, define_kind(&v));
                diag_note(x->diag, at, "declared here");
            }
        }
        p->ready = true;
    }
    for (size_t k = 0; k < n_defines; k++) {
        const Symbol *s = symbol_intern(&x->ast->symbols, defines[k].name, strlen(defines[k].name));
        if (!s->param)
            diag_error(x->diag, nowhere, "-D %s=%s: the model has no parameter '%s'%s",
                       defines[k].name, defines[k].value, s->text,
                       suggest_symbol(x, s->text, is_param));
    }
}

static bool check_distinct(Expander *x, const FormalVec *formals, const char *what)
{
    bool ok = true;
    if (formals->n > MAX_FORMALS) {
        fail(x, formals->data[MAX_FORMALS].name.span, nowhere, NULL,
             "%zu %ss; there may be at most %d", formals->n, what, (int)MAX_FORMALS);
        return false;
    }
    for (size_t i = 0; i < formals->n; i++) {
        Name name = formals->data[i].name;
        for (size_t k = 0; k < i; k++)
            if (formals->data[k].name.symbol == name.symbol) {
                fail(x, name.span, formals->data[k].name.span, "first here",
                     "%s '%s' is declared twice", what, name.symbol->text);
                ok = false;
            }
        if (name.symbol->dtype >= 0) {
            fail(x, name.span, nowhere, NULL, "'%s' is a dtype; choose another name",
                 name.symbol->text);
            ok = false;
        }
    }
    return ok;
}

static void bind_input(Expander *x, Formal *f)
{
    const char *name = f->name.symbol->text;
    Binding *b = bind(x, f->name.symbol, f->name.span, (Value){0});
    b->formal = f;
    if (f->initial) {
        fail(x, f->initial->span, nowhere, NULL, "an input has no default");
        return;
    }
    if (!f->annotation) {
        fail(x, f->name.span, nowhere, NULL, "input '%s' needs a type, as in %s: f32[784]", name,
             name);
        return;
    }
    Value type = eval(x, f->annotation);
    if (type.kind == VALUE_ERROR)
        return;
    if (type.kind != VALUE_TYPE) {
        fail(x, f->annotation->span, nowhere, NULL, "expected a type such as f32[784], found %s",
             value_describe(x, &type));
        return;
    }
    if (type.as.type->dtype == DT_I32) {
        fail(x, f->annotation->span, nowhere, NULL, "an input is f32 or f16, not i32");
        return;
    }
    Node *n = lower_input(x, f->name.span, name, type.as.type);
    if (n)
        b->value = (Value){.kind = VALUE_TENSOR, .as.node = n};
}

static void take_outputs(Expander *x, const Model *m)
{
    Graph *g = x->graph;
    g->output_names = arena_array(g->arena, const char *, m->outputs.n);
    for (size_t i = 0; i < m->outputs.n; i++) {
        const Formal *f = &m->outputs.data[i];
        Symbol *s = f->name.symbol;
        if (!find_local(x, s)) {
            const char *near = suggest_symbol(x, s->text, is_value);
            fail(x, f->name.span, nowhere, NULL, "output '%s' is never set%s", s->text, near);
            continue;
        }
        Value v = eval_name(x, s, f->name.span);
        if (v.kind != VALUE_ERROR && v.kind != VALUE_TENSOR)
            v = fail(x, f->name.span, find_local(x, s)->span, "set here",
                     "output '%s' must be a tensor, is %s", s->text, value_describe(x, &v));
        if (!check_annotation(x, f->annotation, &v, f->name.span,
                              (Subject){NULL, "output ", s->text}))
            continue;
        g->output_names[g->outputs.n] = arena_strdup(g->arena, s->text, s->len);
        vec_push(g->arena, &g->outputs, v.as.node);
    }
}

static void warn_unused(Expander *x, const StmtVec *body)
{
    for (size_t i = 0; i < body->n; i++) {
        const Stmt *s = body->data[i];
        switch (s->kind) {
        case STMT_ASSIGN:
            if (s->as.assign.computed && !s->as.assign.used)
                diag_warning(x->diag, s->as.assign.targets.data[0].span,
                             "the value given to '%s' is never used",
                             s->as.assign.targets.data[0].symbol->text);
            break;
        case STMT_FOR:
            warn_unused(x, &s->as.loop.body);
            break;
        case STMT_IF:
            warn_unused(x, &s->as.branch.yes);
            warn_unused(x, &s->as.branch.no);
            break;
        case STMT_RETURN:
            break;
        }
    }
}

static void warn(Expander *x, const Model *m)
{
    for (size_t i = 0; i < x->ast->params.n; i++) {
        Name name = x->ast->params.data[i]->formal.name;
        if (!name.symbol->mentioned)
            diag_warning(x->diag, name.span, "parameter '%s' is never used", name.symbol->text);
    }
    for (size_t i = 0; i < m->inputs.n; i++)
        if (!m->inputs.data[i].used)
            diag_warning(x->diag, m->inputs.data[i].name.span, "input '%s' is never used",
                         m->inputs.data[i].name.symbol->text);
    for (size_t i = 0; i < x->ast->functions.n; i++)
        warn_unused(x, &x->ast->functions.data[i]->body);
    warn_unused(x, &m->body);
}

bool expand(Expander *x, const Define *defines, size_t n_defines)
{
    unsigned errors = x->diag->n_errors;
    Model *m = x->model;
    for (size_t i = 0; i < x->ast->functions.n; i++)
        check_distinct(x, &x->ast->functions.data[i]->formals, "argument");
    Frame frame = {0};
    set_params(x, defines, n_defines);
    x->frame = &frame;
    if (check_distinct(x, &m->inputs, "input") && check_distinct(x, &m->outputs, "output")) {
        for (size_t i = 0; i < m->inputs.n; i++)
            bind_input(x, &m->inputs.data[i]);
        exec(x, &m->body);
        if (!x->stopped)
            take_outputs(x, m);
    }
    leave_frame(x);
    if (x->diag->n_errors == errors)
        warn(x, m);
    return x->diag->n_errors == errors;
}
