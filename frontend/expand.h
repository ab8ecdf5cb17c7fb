/* SPDX-License-Identifier: Apache-2.0 */
/* frontend/expand.h - compile-time values and the state of expansion, shared by the
 * files that expand the tree. */
#ifndef WSEC_FRONTEND_EXPAND_H
#define WSEC_FRONTEND_EXPAND_H

#include "frontend/ast.h"
#include "frontend/frontend.h"

typedef enum ValueKind {
    VALUE_ERROR, /* reported already; spreads silently */
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_BOOL,
    VALUE_STRING,
    VALUE_DTYPE,
    VALUE_TYPE,
    VALUE_KIND, /* the word "int", "tensor" ... in an annotation */
    VALUE_LIST,
    VALUE_TUPLE, /* several results of a function */
    VALUE_TENSOR,
} ValueKind;

typedef struct Value Value;
struct Value {
    ValueKind kind;
    union {
        int64_t integer;
        double number;
        bool boolean;
        struct {
            const char *data;
            size_t len;
        } text;
        DType dtype;
        const Type *type;
        Kind kind;
        struct {
            Value *items;
            size_t n;
            int nesting;
        } list;
        Node *node;
    } as;
};

/* A name in a function's or the model's body. */
struct Binding {
    Symbol *symbol;
    Binding *shadowed; /* what the symbol meant before, in a caller */
    Binding *next;     /* of the frame */
    struct Frame *frame;
    Value value;
    Span span;
    Stmt *stmt;     /* the assignment it comes from, or NULL */
    Formal *formal; /* the argument it comes from, or NULL */
    bool loop_variable;
};

typedef struct Frame {
    const char *name; /* of the function; NULL: the model */
    Span call;
    struct Frame *caller;
    Binding *bindings;
    bool returned;
    Value result;
} Frame;

typedef struct Expander {
    Arena *arena; /* the front end's own */
    Diag *diag;
    Ast *ast;
    Model *model;
    Graph *graph;
    Frame *frame; /* NULL: parameters */
    unsigned depth, calls;
    uint32_t steps, warnings;
    bool stopped;     /* a limit was reached: nothing more is evaluated or reported */
    VEC(Span) failed; /* places that have reported an error */
    FormalVec op_formals[OP_COUNT], builtin_formals[BUILTIN_COUNT]; /* parsed when first used */
    bool op_parsed[OP_COUNT], builtin_parsed[BUILTIN_COUNT];
} Expander;

/* Arguments of a call, in the order of the formals. */
enum { MAX_FORMALS = 64 };
typedef struct Actuals {
    Value *value;
    Span *span; /* of the argument; of the call where the default is used */
} Actuals;

/* Reports an error, then `note` at `also` (no note if NULL), then the calls that led here. A
 * place reports once. */
Value fail_at(Expander *x, Span at, Span also, const char *note, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* After an error at this place that was reported elsewhere: the calls that led here. */
Value follow_error(Expander *x, Span at);
/* Nothing is to be reported there (any more). */
bool is_silent(const Expander *x, Span at);

/* Reports once and ends the expansion: a limit was reached. False. */
bool stop_expansion(Expander *x, Span at, const char *why);

/* "the integer 3", "the tensor f32[28, 28, 1]" */
const char *value_describe(Expander *x, const Value *v);

/* "; did you mean 'x'?", or "" if nothing is near. */
const char *suggest_word(Expander *x, const char *word, const char *const *names, size_t n);
typedef bool (*Eligible)(const Expander *x, const Symbol *s);
const char *suggest_symbol(Expander *x, const char *word, Eligible eligible);
bool is_callable(const Expander *x, const Symbol *s);
bool is_value(const Expander *x, const Symbol *s);
bool is_param(const Expander *x, const Symbol *s);

Value int_value(int64_t v);
Value bool_value(bool v);
Value list_value(Expander *x, size_t n);
bool is_number(const Value *v); /* an integer or a float */
double number_of(const Value *v);

/* What an annotation speaks of, for messages: "conv2d: argument 'stride'". */
typedef struct Subject {
    const char *owner, *role, *name;
} Subject;

/* Brings v into the form that the annotation (or NULL) asks for, or reports. */
bool check_annotation(Expander *x, const Expr *annotation, Value *v, Span at, Subject subject);

Binding *find_local(const Expander *x, const Symbol *s);
Binding *bind_name(Expander *x, Symbol *s, Span span, Value value);
void leave_frame(Expander *x);

/* eval.c. enter_step() counts a step and a level; x->depth-- leaves the level. */
bool enter_step(Expander *x, Span at);
Value eval_expr(Expander *x, const Expr *e);
Value eval_name(Expander *x, Symbol *s, Span at);
Value eval_list(Expander *x, const ExprVec *items, Span at);
bool eval_condition(Expander *x, const Expr *e, bool *result);

/* call.c */
Value eval_call(Expander *x, const Expr *e);

/* expand.c */
void exec_body(Expander *x, const StmtVec *body);
void expand_params(Expander *x, const Define *defines, size_t n_defines);
bool expand(Expander *x, const Define *defines, size_t n_defines);

/* lower.c: one operator call. */
Value lower_op(Expander *x, Opkind op, Span call, const FormalVec *formals, Actuals *actuals);
/* A weight of this name; the same name again gives the same node if the types agree. */
Value lower_weight(Expander *x, Span at, const char *name, size_t len, const Type *type);
/* A model's input. */
Node *lower_input(Expander *x, Span at, const char *name, const Type *type);

#endif
