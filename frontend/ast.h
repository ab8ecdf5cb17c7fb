/* SPDX-License-Identifier: Apache-2.0 */
/* frontend/ast.h - names and the syntax tree.
 *
 * A symbol is one spelling and everything it stands for, so that a look-up is a pointer
 * read. Values (locals, parameters, dtypes, kinds) and callables (functions, operators,
 * built-ins) are two name spaces; weights are a third. The tree lives on the front end's own
 * arena and dies after expansion. */
#ifndef WSEC_FRONTEND_AST_H
#define WSEC_FRONTEND_AST_H

#include "ir/graph.h"

typedef struct Expr Expr;
typedef struct Stmt Stmt;
typedef struct Symbol Symbol;
typedef struct Binding Binding;

typedef VEC(Expr *) ExprVec;
typedef VEC(Stmt *) StmtVec;

/* Kinds a value, an argument or a parameter can be said to have: KIND(id, text, phrase). */
#define KIND_TABLE(KIND)                                                                           \
    KIND(TENSOR, "tensor", "a tensor")                                                             \
    KIND(INT, "int", "an integer")                                                                 \
    KIND(FLOAT, "float", "a number")                                                               \
    KIND(BOOL, "bool", "true or false")                                                            \
    KIND(STRING, "string", "a string")                                                             \
    KIND(DTYPE, "dtype", "a dtype")                                                                \
    KIND(TYPE, "type", "a tensor type")                                                            \
    KIND(LIST, "list", "a list")                                                                   \
    KIND(PAIR, "pair", "an integer or a list of two integers")                                     \
    KIND(SHAPE, "shape", "a list of at most 4 integers")

typedef enum Kind {
#define KIND(id, text, phrase) KIND_##id,
    KIND_TABLE(KIND)
#undef KIND
        KIND_COUNT
} Kind;

/* Functions that are computed at compile time: BUILTIN(id, text, signature). */
#define BUILTIN_TABLE(BUILTIN)                                                                     \
    BUILTIN(WEIGHT, "weight", "name: string, type: type")                                          \
    BUILTIN(SHAPE, "shape", "x: tensor")                                                           \
    BUILTIN(DTYPE, "dtype", "x: tensor")                                                           \
    BUILTIN(LEN, "len", "list: list")

typedef enum Builtin {
#define BUILTIN(id, text, signature) BUILTIN_##id,
    BUILTIN_TABLE(BUILTIN)
#undef BUILTIN
        BUILTIN_COUNT
} Builtin;

typedef enum Operator {
    OPERATOR_OR,
    OPERATOR_AND,
    OPERATOR_NOT,
    OPERATOR_EQ,
    OPERATOR_NE,
    OPERATOR_LT,
    OPERATOR_LE,
    OPERATOR_GT,
    OPERATOR_GE,
    OPERATOR_ADD,
    OPERATOR_SUB,
    OPERATOR_MUL,
    OPERATOR_DIV,
    OPERATOR_MOD,
    OPERATOR_NEG,
} Operator;

typedef struct Name {
    Symbol *symbol;
    Span span;
} Name;
typedef VEC(Name) NameVec;

typedef struct Arg {
    Symbol *name; /* NULL: by position */
    Span name_span;
    Expr *value;
} Arg;
typedef VEC(Arg) ArgVec;

typedef enum ExprKind {
    EXPR_INT,
    EXPR_FLOAT,
    EXPR_BOOL,
    EXPR_TEXT,
    EXPR_STRING,
    EXPR_NAME,
    EXPR_LIST,
    EXPR_UNARY,
    EXPR_BINARY,
    EXPR_CALL,
    EXPR_INDEX,
    EXPR_IF,
} ExprKind;

struct Expr {
    ExprKind kind;
    uint32_t depth; /* 1 + that of the deepest part */
    Span span;
    union {
        int64_t integer;
        double number;
        bool boolean;
        struct {
            const char *data;
            size_t len;
        } text;
        ExprVec parts; /* EXPR_STRING: text and {expressions}; EXPR_LIST: items */
        Symbol *name;
        struct {
            Operator op;
            Span op_span;
            Expr *left, *right;
        } binary; /* unary: left */
        struct {
            Name callee;
            ArgVec args;
        } call;
        struct {
            Expr *base;
            ExprVec items;
        } index;
        struct {
            Expr *condition, *yes, *no;
        } cond;
    } as;
};

/* A parameter of a function, an input of a model, an argument of an operator's signature. */
typedef struct Formal {
    Name name;
    Expr *annotation; /* or NULL */
    Expr *initial;    /* or NULL: required */
    bool used;
} Formal;
typedef VEC(Formal) FormalVec;

typedef enum StmtKind { STMT_ASSIGN, STMT_RETURN, STMT_FOR, STMT_IF } StmtKind;

struct Stmt {
    StmtKind kind;
    Span span;
    union {
        struct {
            NameVec targets;
            Expr *annotation, *value;
            bool computed, used; /* made a tensor; it was read */
        } assign;
        ExprVec values; /* return */
        struct {
            Name var;
            Expr *from, *to;
            StmtVec body;
        } loop; /* to NULL: over a list */
        struct {
            Expr *condition;
            StmtVec yes, no;
        } branch;
    } as;
};

typedef struct Param {
    Formal formal;
    bool ready;
    struct Value *value;
} Param;

typedef struct Function {
    Name name;
    FormalVec formals;
    StmtVec body;
    bool called;
} Function;
typedef VEC(Function *) FunctionVec;

typedef struct Model {
    Name name;
    FormalVec inputs, outputs;
    StmtVec body;
} Model;

typedef VEC(Param *) ParamVec;
typedef VEC(Model *) ModelVec;

struct Symbol {
    const char *text;
    size_t len;
    Function *function;
    Param *param;
    Binding *local; /* of the innermost active call that has one */
    Node *weight;
    int8_t op, builtin, kind, dtype; /* -1: not one */
    bool mentioned;                  /* an expression names it */
    uint32_t n_values; /* values of the graph that bear the name; set when it is complete */
};

typedef struct SymbolTable {
    Arena *arena;
    Symbol **slots; /* open addressing, power of two */
    size_t n, cap;
} SymbolTable;

typedef struct Ast {
    SymbolTable symbols;
    ParamVec params;
    FunctionVec functions;
    ModelVec models;
} Ast;

/* Predeclared names are in the table already. */
void symbols_init(SymbolTable *t, Arena *a);
Symbol *symbol_intern(SymbolTable *t, const char *text, size_t len);

Expr *expr_new(Arena *a, ExprKind kind, Span span);
Expr *expr_binary(Arena *a, Operator op, Span op_span, Expr *left, Expr *right);

extern const char *const kind_text[KIND_COUNT];
extern const char *const kind_phrase[KIND_COUNT];
extern const char *const builtin_signature[BUILTIN_COUNT];

#endif
