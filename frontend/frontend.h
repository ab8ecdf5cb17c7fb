/* SPDX-License-Identifier: Apache-2.0 */
/* frontend/frontend.h - from the text of a model to its graph.
 *
 * The language is described in docs/language.md. Text is untrusted: every bound is checked
 * and every failure is a diagnostic. */
#ifndef WSEC_FRONTEND_H
#define WSEC_FRONTEND_H

#include "ir/graph.h"

/* -D name=value */
typedef struct Define {
    const char *name, *value;
} Define;

enum {
    SOURCE_MAX_BYTES = 16 << 20,
    EXPRESSION_MAX_DEPTH = 250, /* operators and calls within each other */
    EVAL_MAX_DEPTH = 1000,      /* the same plus blocks, through all active calls */
    CALL_MAX_DEPTH = 64,        /* functions that call each other */
    EXPAND_MAX_STEPS = 1000000, /* statements and expressions evaluated */
    STRING_MAX_BYTES = 4096,    /* a string at compile time */
    IDENTIFIER_MAX_BYTES = 255,
};

/* Compiles the file at path ("-" is standard input). On success the graph is on `a`; on
 * failure errors are in d. Warnings are given in both cases. */
bool frontend_compile(Arena *a, Diag *d, const char *path, const Define *defines, size_t n_defines,
                      Graph **result);

/* The same from memory; `name` stands for the file in diagnostics. */
bool frontend_compile_text(Arena *a, Diag *d, const char *name, const char *text, size_t len,
                           const Define *defines, size_t n_defines, Graph **result);

/* The parameters of a model that compiles, with these values: for who wants to vary them. */
typedef struct ParamValue {
    const char *name;
    enum { PARAM_INT, PARAM_DTYPE, PARAM_OTHER } kind;
    int64_t value; /* of PARAM_INT, or a DType */
} ParamValue;
typedef VEC(ParamValue) ParamValueVec;
bool frontend_params(Arena *a, Diag *d, const char *name, const char *text, size_t len,
                     const Define *defines, size_t n_defines, ParamValueVec *result);

#endif
