// SPDX-License-Identifier: Apache-2.0
// Symbols (open addressing with linear probing, at most half full) and tree nodes.
#include "frontend/ast.h"

#include <string.h>

#include "ir/support/hash.h"

#define KIND(id, text, phrase) text,
const char *const kind_text[KIND_COUNT] = {KIND_TABLE(KIND)};
#undef KIND
#define KIND(id, text, phrase) phrase,
const char *const kind_phrase[KIND_COUNT] = {KIND_TABLE(KIND)};
#undef KIND
#define BUILTIN(id, text, signature) signature,
const char *const builtin_signature[BUILTIN_COUNT] = {BUILTIN_TABLE(BUILTIN)};
#undef BUILTIN
#define BUILTIN(id, text, signature) text,
static const char *const builtin_text[BUILTIN_COUNT] = {BUILTIN_TABLE(BUILTIN)};
#undef BUILTIN

enum { FIRST_SLOTS = 256 };

static Symbol **find_slot(Symbol **slots, size_t cap, const char *text, size_t len)
{
    size_t i = (size_t)hash_bytes(0, text, len) & (cap - 1);
    while (slots[i] && (slots[i]->len != len || memcmp(slots[i]->text, text, len) != 0))
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

Symbol *symbol_intern(SymbolTable *t, const char *text, size_t len)
{
    Symbol **slot = find_slot(t->slots, t->cap, text, len);
    if (*slot)
        return *slot;
    Symbol *s = arena_new(t->arena, Symbol);
    *s = (Symbol){.text = arena_strdup(t->arena, text, len),
                  .len = len,
                  .op = -1,
                  .builtin = -1,
                  .kind = -1,
                  .dtype = -1};
    *slot = s;
    if (++t->n * 2 > t->cap) {
        Symbol **grown = arena_array(t->arena, Symbol *, t->cap * 2);
        for (size_t i = 0; i < t->cap; i++)
            if (t->slots[i])
                *find_slot(grown, t->cap * 2, t->slots[i]->text, t->slots[i]->len) = t->slots[i];
        t->slots = grown;
        t->cap *= 2;
    }
    return s;
}

void symbols_init(SymbolTable *t, Arena *a)
{
    *t = (SymbolTable){
        .arena = a, .cap = FIRST_SLOTS, .slots = arena_array(a, Symbol *, FIRST_SLOTS)};
    for (int i = 0; i < OP_COUNT; i++)
        if (!(op_info[i].flags & OPF_LEAF))
            symbol_intern(t, op_info[i].text, strlen(op_info[i].text))->op = (int8_t)i;
    for (int i = 0; i < BUILTIN_COUNT; i++)
        symbol_intern(t, builtin_text[i], strlen(builtin_text[i]))->builtin = (int8_t)i;
    for (int i = 0; i < KIND_COUNT; i++)
        symbol_intern(t, kind_text[i], strlen(kind_text[i]))->kind = (int8_t)i;
    for (int i = 0; i < DT_COUNT; i++) {
        const char *text = dtype_name((DType)i);
        symbol_intern(t, text, strlen(text))->dtype = (int8_t)i;
    }
}

Expr *expr_new(Arena *a, ExprKind kind, Span span)
{
    Expr *e = arena_new(a, Expr);
    e->kind = kind;
    e->span = span;
    e->depth = 1;
    return e;
}

Expr *expr_binary(Arena *a, Operator op, Span op_span, Expr *left, Expr *right)
{
    Expr *e = expr_new(a, right ? EXPR_BINARY : EXPR_UNARY,
                       span_join(op_span, span_join(left->span, right ? right->span : op_span)));
    e->as.binary.op = op;
    e->as.binary.op_span = op_span;
    e->as.binary.left = left;
    e->as.binary.right = right;
    return e;
}
