/* SPDX-License-Identifier: Apache-2.0 */
/* frontend/parse.h - text to tree; shared by scanner, grammar and layout. */
#ifndef WSEC_FRONTEND_PARSE_H
#define WSEC_FRONTEND_PARSE_H

#include "frontend/ast.h"

enum { STRING_MAX_NESTING = 8 };

typedef struct Parser {
    Arena *arena;
    Diag *diag;
    Ast *ast;
    FormalVec signature; /* result where an operator's signature is parsed */
    uint32_t file;       /* 0 for a signature */
    const char *text;
    bool fatal; /* reported something that ends the parse */
    /* scanner */
    void *scanner;
    uint32_t at;                    /* offset of the next token */
    int braces[STRING_MAX_NESTING]; /* open braces in each interpolation we are inside of */
    int nesting;
    /* layout: one token of look-ahead to drop line ends that end nothing */
    int start;        /* first token: which grammar; 0 once given */
    int groups;       /* open ( and [ */
    int group_braces; /* open { within them */
    int previous;
    bool line_start; /* a line end stood before the latest token */
    int pending;     /* a token read ahead, or -1 */
    Span pending_span;
    void *pending_value; /* a DSL_STYPE */
} Parser;

/* Adds what the text declares to ast. False if there were errors (all are reported). */
bool parse_model(Arena *a, Diag *d, uint32_t file, Ast *ast);

/* The arguments of an operator: "x: tensor, stride: pair = 1". */
FormalVec parse_signature(Arena *a, Diag *d, Ast *ast, const char *signature);

/* Length of the valid UTF-8 prefix of text. */
size_t utf8_valid_prefix(const char *text, size_t len);

/* An integer or float literal without sign; underscores between digits are dropped. False
 * if it does not fit. */
bool literal_int(const char *text, size_t len, int64_t *result);
bool literal_float(const char *text, size_t len, double *result);

#endif
