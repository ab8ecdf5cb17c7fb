// SPDX-License-Identifier: Apache-2.0
// Expansion: statements, parameters and the model. Functions and loops unroll, what is known
// at compile time is computed, tensors become nodes. A failed statement leaves VALUE_ERROR,
// which spreads without further messages, and the next one is evaluated: one run shows many
// errors.
#include "frontend/expand.h"

#include <string.h>

#include "frontend/parse.h"

enum { MAX_WARNINGS = 20 };

static const Span nowhere = {0};

static void assign(Expander *x, Stmt *s, const Name *name, Value value)
{
    Symbol *symbol = name->symbol;
    Binding *b = find_local(x, symbol);
    if (b && b->loop_variable) {
        fail_at(x, name->span, b->span, "the loop's variable",
                "'%s' counts a loop and is not assigned", symbol->text);
        return;
    }
    if (!b && symbol->param) {
        fail_at(x, name->span, symbol->param->formal.name.span, "declared here",
                "'%s' is a parameter of the file and is not assigned; choose another name",
                symbol->text);
        return;
    }
    if (symbol->dtype >= 0) {
        fail_at(x, name->span, nowhere, NULL, "'%s' is a dtype; choose another name", symbol->text);
        return;
    }
    if (!b)
        b = bind_name(x, symbol, name->span, value);
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
    Value v = eval_expr(x, s->as.assign.value);
    Span at = s->as.assign.value->span;
    if (x->graph->nodes.n > nodes && (v.kind == VALUE_TENSOR || v.kind == VALUE_TUPLE))
        s->as.assign.computed = true;
    if (v.kind == VALUE_KIND)
        v = fail_at(x, at, nowhere, NULL, "expected a value, found %s", value_describe(x, &v));
    if (targets->n == 1) {
        if (v.kind == VALUE_TUPLE)
            v = fail_at(x, at, nowhere, NULL, "one name for %zu results; write a, b = ...",
                        v.as.list.n);
        Subject subject = {NULL, "", targets->data[0].symbol->text};
        if (!check_annotation(x, s->as.assign.annotation, &v, at, subject))
            v = (Value){0};
        assign(x, s, &targets->data[0], v);
        return;
    }
    bool several = v.kind == VALUE_TUPLE || v.kind == VALUE_LIST;
    if (v.kind != VALUE_ERROR && (!several || v.as.list.n != targets->n))
        v = fail_at(x, at, nowhere, NULL, "%zu names for %s", targets->n, value_describe(x, &v));
    for (size_t i = 0; i < targets->n; i++)
        assign(x, s, &targets->data[i], v.kind == VALUE_ERROR ? (Value){0} : v.as.list.items[i]);
}

static void exec_return(Expander *x, const Stmt *s)
{
    if (!x->frame->name) {
        fail_at(x, s->span, nowhere, NULL,
                "a model returns nothing; it sets the names after '->' instead");
        return;
    }
    Value v;
    if (s->as.values.n == 1) {
        v = eval_expr(x, s->as.values.data[0]);
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
    exec_body(x, &s->as.loop.body);
    return !x->frame->returned && !x->stopped && x->failed.n == failures;
}

static bool loop_bound(Expander *x, const Expr *e, int64_t *result)
{
    Value v = eval_expr(x, e);
    if (v.kind != VALUE_INT && v.kind != VALUE_ERROR)
        fail_at(x, e->span, nowhere, NULL, "a loop's bound is an integer, this is %s",
                value_describe(x, &v));
    *result = v.as.integer;
    return v.kind == VALUE_INT;
}

static void exec_for(Expander *x, Stmt *s)
{
    Name var = s->as.loop.var;
    Binding *hidden = find_local(x, var.symbol);
    if (hidden) {
        fail_at(x, var.span, hidden->span, "first defined here",
                "'%s' is in use; choose another name for the loop's variable", var.symbol->text);
        return;
    }
    int64_t from = 0, to = 0;
    Value list = {0};
    if (s->as.loop.to) {
        if (!loop_bound(x, s->as.loop.from, &from) || !loop_bound(x, s->as.loop.to, &to))
            return;
    } else {
        list = eval_expr(x, s->as.loop.from);
        if (list.kind == VALUE_ERROR)
            return;
        if (list.kind != VALUE_LIST) {
            fail_at(x, s->as.loop.from->span, nowhere, NULL,
                    "a loop runs over a list or a range such as 0..4; this is %s",
                    value_describe(x, &list));
            return;
        }
        to = (int64_t)list.as.list.n;
    }
    Binding *b = bind_name(x, var.symbol, var.span, int_value(0));
    b->loop_variable = true;
    for (int64_t i = from; i < to && enter_step(x, s->span); i++) {
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
        exec_body(x, yes ? &s->as.branch.yes : &s->as.branch.no);
}

void exec_body(Expander *x, const StmtVec *body)
{
    for (size_t i = 0; i < body->n && !x->frame->returned; i++) {
        Stmt *s = body->data[i];
        if (!enter_step(x, s->span))
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
        return "a dtype, f32 or f16";
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

void expand_params(Expander *x, const Define *defines, size_t n_defines)
{
    for (size_t i = 0; i < x->ast->params.n; i++) {
        Param *p = x->ast->params.data[i];
        const char *name = p->formal.name.symbol->text;
        Span at = p->formal.name.span;
        p->value = arena_new(x->arena, Value);
        if (!p->formal.initial) {
            fail_at(x, at, nowhere, NULL, "parameter '%s' has no default; write %s = ...", name,
                    name);
        } else {
            Value v = eval_expr(x, p->formal.initial);
            if (v.kind == VALUE_KIND)
                v = fail_at(x, at, nowhere, NULL, "expected a value, found %s",
                            value_describe(x, &v));
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
        fail_at(x, formals->data[MAX_FORMALS].name.span, nowhere, NULL,
                "%zu %ss; there may be at most %d", formals->n, what, (int)MAX_FORMALS);
        return false;
    }
    for (size_t i = 0; i < formals->n; i++) {
        Name name = formals->data[i].name;
        for (size_t k = 0; k < i; k++)
            if (formals->data[k].name.symbol == name.symbol) {
                fail_at(x, name.span, formals->data[k].name.span, "first here",
                        "%s '%s' is declared twice", what, name.symbol->text);
                ok = false;
            }
        if (name.symbol->dtype >= 0) {
            fail_at(x, name.span, nowhere, NULL, "'%s' is a dtype; choose another name",
                    name.symbol->text);
            ok = false;
        }
    }
    return ok;
}

static void bind_input(Expander *x, Formal *f)
{
    const char *name = f->name.symbol->text;
    Binding *b = bind_name(x, f->name.symbol, f->name.span, (Value){0});
    b->formal = f;
    if (f->initial) {
        fail_at(x, f->initial->span, nowhere, NULL, "an input has no default");
        return;
    }
    if (!f->annotation) {
        fail_at(x, f->name.span, nowhere, NULL, "input '%s' needs a type, as in %s: f32[784]", name,
                name);
        return;
    }
    Value type = eval_expr(x, f->annotation);
    if (type.kind == VALUE_ERROR)
        return;
    if (type.kind != VALUE_TYPE) {
        fail_at(x, f->annotation->span, nowhere, NULL, "expected a type such as f32[784], found %s",
                value_describe(x, &type));
        return;
    }
    if (type.as.type->dtype == DT_I32) {
        fail_at(x, f->annotation->span, nowhere, NULL, "an input is f32 or f16, not i32");
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
            fail_at(x, f->name.span, nowhere, NULL, "output '%s' is never set%s", s->text, near);
            continue;
        }
        Value v = eval_name(x, s, f->name.span);
        if (v.kind != VALUE_ERROR && v.kind != VALUE_TENSOR)
            v = fail_at(x, f->name.span, find_local(x, s)->span, "set here",
                        "output '%s' must be a tensor, is %s", s->text, value_describe(x, &v));
        if (!check_annotation(x, f->annotation, &v, f->name.span,
                              (Subject){NULL, "output ", s->text}))
            continue;
        g->output_names[g->outputs.n] = arena_strdup(g->arena, s->text, s->len);
        vec_push(g->arena, &g->outputs, v.as.node);
    }
}

static void warn_at(Expander *x, const Name *name, const char *what)
{
    if (x->warnings++ < MAX_WARNINGS)
        diag_warning(x->diag, name->span, "%s '%s' is never used", what, name->symbol->text);
}

// Assignments that made a tensor which no one read.
static void warn_unused(Expander *x, const StmtVec *body)
{
    for (size_t i = 0; i < body->n; i++) {
        const Stmt *s = body->data[i];
        switch (s->kind) {
        case STMT_ASSIGN:
            if (s->as.assign.computed && !s->as.assign.used)
                warn_at(x, &s->as.assign.targets.data[0], "the value given to");
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
    for (size_t i = 0; i < x->ast->params.n; i++)
        if (!x->ast->params.data[i]->formal.name.symbol->mentioned)
            warn_at(x, &x->ast->params.data[i]->formal.name, "parameter");
    for (size_t i = 0; i < m->inputs.n; i++)
        if (!m->inputs.data[i].used)
            warn_at(x, &m->inputs.data[i].name, "input");
    for (size_t i = 0; i < x->ast->functions.n; i++)
        warn_unused(x, &x->ast->functions.data[i]->body);
    warn_unused(x, &m->body);
    if (x->warnings > MAX_WARNINGS)
        diag_warning(x->diag, nowhere, "and %u more such warnings", x->warnings - MAX_WARNINGS);
}

bool expand(Expander *x, const Define *defines, size_t n_defines)
{
    unsigned errors = x->diag->n_errors;
    Model *m = x->model;
    for (size_t i = 0; i < x->ast->functions.n; i++)
        check_distinct(x, &x->ast->functions.data[i]->formals, "argument");
    Frame frame = {0};
    expand_params(x, defines, n_defines);
    x->frame = &frame;
    if (check_distinct(x, &m->inputs, "input") && check_distinct(x, &m->outputs, "output")) {
        for (size_t i = 0; i < m->inputs.n; i++)
            bind_input(x, &m->inputs.data[i]);
        exec_body(x, &m->body);
        if (!x->stopped)
            take_outputs(x, m);
    }
    leave_frame(x);
    if (x->diag->n_errors == errors)
        warn(x, m);
    return x->diag->n_errors == errors;
}
