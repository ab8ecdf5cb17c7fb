// SPDX-License-Identifier: Apache-2.0
// Calls: of functions, which unroll in a frame of their own, of operators, whose arguments
// come from their signature in ops.def, and of what the language computes itself.
#include "frontend/expand.h"

#include <string.h>

#include "frontend/parse.h"

static const Span nowhere = {0};

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
    return suggest_word(x, word, names, c->formals->n);
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
            fail_at(x, at, nowhere, NULL, "an argument by position after one by name");
            return false;
        }
        if (!arg->name && i >= c->formals->n) {
            fail_at(x, at, c->defined, callee_note(x, c), "%s: takes %zu argument%s, there are %zu",
                    c->name, c->formals->n, c->formals->n == 1 ? "" : "s", call->as.call.args.n);
            return false;
        }
        Value v = eval_expr(x, arg->value);
        if (place < 0) {
            if (!is_silent(x, at))
                fail_at(x, at, c->defined, callee_note(x, c), "%s: no argument '%s'%s", c->name,
                        arg->name->text, suggest_formal(x, c, arg->name->text));
            ok = false;
        } else if (given[place]) {
            fail_at(x, at, out->span[place], "first given here", "%s: argument '%s' is given twice",
                    c->name, arg->name->text);
            ok = false;
        } else {
            if (v.kind == VALUE_TUPLE || v.kind == VALUE_KIND)
                v = fail_at(x, arg->value->span, nowhere, NULL, "expected one value, found %s",
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
        fail_at(x, call->span, c->defined, callee_note(x, c), "%s: argument '%s' is missing%s",
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
            out->value[i] = eval_expr(x, f->initial);
            out->span[i] = call;
        }
        bool operand =
            c->op < OP_COUNT && (op_info[c->op].flags & OPF_BINARY) && is_number(&out->value[i]);
        Subject subject = {c->name, "argument ", f->name.symbol->text};
        if (!operand)
            ok = check_annotation(x, f->annotation, &out->value[i], out->span[i], subject) && ok;
        if (c->op == OP_COUNT && !c->signature)
            bind_name(x, f->name.symbol, f->name.span, out->value[i])->formal = f;
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
        stop_expansion(
            x, call->span,
            arena_printf(x->arena,
                         "calls nested more than %d deep; does '%s' call itself for ever?",
                         CALL_MAX_DEPTH, c.name));
        return (Value){0};
    }
    Frame frame = {.name = c.name, .call = call->span, .caller = x->frame};
    x->frame = &frame;
    x->calls++;
    if (complete(x, &c, call->span, &actuals, given)) {
        size_t failures = x->failed.n;
        exec_body(x, &f->body);
        if (!frame.returned && !x->stopped && failures == x->failed.n)
            fail_at(x, f->name.span, nowhere, NULL, "'%s' returns nothing here", c.name);
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

Value eval_call(Expander *x, const Expr *e)
{
    Symbol *s = e->as.call.callee.symbol;
    if (s->function)
        return call_function(x, s->function, e);
    if (s->op >= 0 || s->builtin >= 0)
        return call_native(x, s, e);
    for (size_t i = 0; i < e->as.call.args.n; i++)
        eval_expr(x, e->as.call.args.data[i].value);
    Span at = e->as.call.callee.span;
    if (is_silent(x, at))
        return (Value){0};
    if (is_value(x, s))
        return fail_at(x, at, nowhere, NULL, "'%s' is a value, not a function", s->text);
    return fail_at(x, at, nowhere, NULL, "unknown function '%s'%s", s->text,
                   suggest_symbol(x, s->text, is_callable));
}
