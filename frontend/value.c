// SPDX-License-Identifier: Apache-2.0
// Compile-time values: their kinds, words for messages, annotations; errors with the calls
// that led to them. A place reports only once, however often it is evaluated.
#include "frontend/expand.h"

#include <stdarg.h>
#include <string.h>

enum { SHOWN_CALLS = 8, MAX_FAILURES = 50, MAX_CANDIDATES = 1000, MAX_SCANNED = 1 << 15 };

static const Span nowhere = {0};

bool is_silent(const Expander *x, Span at)
{
    if (x->stopped)
        return true;
    for (size_t i = 0; i < x->failed.n; i++)
        if (memcmp(&x->failed.data[i], &at, sizeof at) == 0)
            return true;
    return false;
}

Value follow_error(Expander *x, Span at)
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

Value fail_at(Expander *x, Span at, Span also, const char *note, const char *format, ...)
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
    return follow_error(x, at);
}

bool stop_expansion(Expander *x, Span at, const char *why)
{
    if (!x->stopped)
        fail_at(x, at, nowhere, NULL, "%s", why);
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

bool is_callable(const Expander *x, const Symbol *s)
{
    (void)x;
    return s->function || s->op >= 0 || s->builtin >= 0;
}

bool is_value(const Expander *x, const Symbol *s)
{
    return (s->local && s->local->frame == x->frame) || s->param || s->dtype >= 0;
}

bool is_param(const Expander *x, const Symbol *s)
{
    (void)x;
    return s->param != NULL;
}

const char *suggest_word(Expander *x, const char *word, const char *const *names, size_t n)
{
    // Of a name of one letter every other one is near.
    const char *nearest = strlen(word) > 1 ? text_nearest(word, names, n) : NULL;
    return nearest ? arena_printf(x->arena, "; did you mean '%s'?", nearest) : "";
}

const char *suggest_symbol(Expander *x, const char *word, Eligible eligible)
{
    const char *names[MAX_CANDIDATES];
    size_t n = 0;
    const SymbolTable *t = &x->ast->symbols;
    for (size_t i = 0; i < t->cap && i < MAX_SCANNED && n < MAX_CANDIDATES; i++)
        if (t->slots[i] && eligible(x, t->slots[i]))
            names[n++] = t->slots[i]->text;
    return suggest_word(x, word, names, n);
}

Value int_value(int64_t v)
{
    return (Value){.kind = VALUE_INT, .as.integer = v};
}

Value bool_value(bool v)
{
    return (Value){.kind = VALUE_BOOL, .as.boolean = v};
}

bool is_number(const Value *v)
{
    return v->kind == VALUE_INT || v->kind == VALUE_FLOAT;
}

double number_of(const Value *v)
{
    return v->kind == VALUE_INT ? (double)v->as.integer : v->as.number;
}

Value list_value(Expander *x, size_t n)
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

static const char *subject_text(Expander *x, const Subject *s)
{
    return arena_printf(x->arena, "%s%s%s'%s'", s->owner ? s->owner : "", s->owner ? ": " : "",
                        s->role, s->name);
}

bool check_annotation(Expander *x, const Expr *annotation, Value *v, Span at, Subject subject)
{
    if (!annotation || v->kind == VALUE_ERROR)
        return v->kind != VALUE_ERROR;
    // The words for kinds mean just that here, whatever a local of that name is.
    bool is_word = annotation->kind == EXPR_NAME && annotation->as.name->kind >= 0;
    Value a = is_word ? (Value){.kind = VALUE_KIND, .as.kind = (Kind)annotation->as.name->kind}
                      : eval_expr(x, annotation);
    if (a.kind == VALUE_ERROR)
        return false;
    if (a.kind == VALUE_KIND) {
        Value given = *v;
        if (as_kind(x, a.as.kind, v))
            return true;
        fail_at(x, at, nowhere, NULL, "%s must be %s, is %s", subject_text(x, &subject),
                kind_phrase[a.as.kind], value_describe(x, &given));
        return false;
    }
    if (a.kind != VALUE_TYPE) {
        fail_at(x, annotation->span, nowhere, NULL, "expected a type such as f32[10], found %s",
                value_describe(x, &a));
        return false;
    }
    if (v->kind == VALUE_TENSOR && type_equal(&v->as.node->type, a.as.type))
        return true;
    Span declared = annotation->span;
    fail_at(x, at, declared, "declared here", "%s must be %s, is %s", subject_text(x, &subject),
            type_text(x->arena, a.as.type), value_describe(x, v));
    return false;
}
