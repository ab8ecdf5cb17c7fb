/* SPDX-License-Identifier: Apache-2.0 */
/* ir/support/diag.h - sources, spans, and diagnostics with a caret.
 *
 *     mlp.dsl:7:9: error: matmul: inner extents differ: 784 against 512
 *         7 |     h = matmul(x, w1)
 *           |         ^~~~~~~~~~~~~
 *     mlp.dsl:4:12: note: right operand has shape [512, 256]
 *
 * A Span is a range of bytes of one source; lines and columns are worked out when
 * printing. Span {0, 0, 0} (file 0) means "no place": only the message is printed, after
 * the tool's name. Messages are lower case, no full stop; they say with numbers what is
 * wrong, what was needed and what there was. */
#ifndef WSEC_SUPPORT_DIAG_H
#define WSEC_SUPPORT_DIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ir/support/arena.h"

typedef struct Span {
    uint32_t file;       /* 1-based index of a source; 0 is no place */
    uint32_t begin, end; /* byte offsets, end exclusive */
} Span;

static inline Span span_join(Span a, Span b)
{
    if (a.file == 0)
        return b;
    if (b.file == 0 || a.file != b.file)
        return a;
    return (Span){a.file, a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end};
}

typedef struct Source {
    const char *name;
    const char *text; /* NUL after the last byte */
    uint32_t len;
    uint32_t *line_begin; /* offset of each line */
    uint32_t n_lines;
} Source;

typedef struct Diag {
    Arena arena;
    const char *tool; /* printed where there is no place */
    FILE *out;        /* stderr if NULL */
    bool color;
    Source *sources;
    size_t n_sources, cap_sources;
    unsigned n_errors;
    unsigned max_errors; /* further errors are counted, not printed; 0 means 20 */
    bool infeasible;     /* an error of "cannot be implemented": exit 3 instead of 1 */
    bool internal;       /* an internal error was reported: exit 4 */
    bool usage;          /* wrong use was reported: exit 2 */
    bool fault;          /* a fault in a run was reported: exit 5 */
} Diag;

/* Exit codes of all tools, documented in README.md. */
enum {
    EXIT_OK = 0,
    EXIT_INPUT = 1,      /* errors in what was given */
    EXIT_USAGE = 2,      /* wrong use */
    EXIT_INFEASIBLE = 3, /* cannot be implemented on this machine */
    EXIT_INTERNAL = 4,
    EXIT_FAULT = 5, /* fault in a run: deadlock, limit, mismatch */
    EXIT_INTERRUPTED = 130
};

void diag_init(Diag *d, const char *tool);
void diag_finish(Diag *d);

/* Adds a source; name and text are copied. Returns its file number. */
uint32_t diag_add_source(Diag *d, const char *name, const char *text, size_t len);

/* All return false, so that `return diag_error(...)` reads well. */
bool diag_error(Diag *d, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool diag_infeasible(Diag *d, Span at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool diag_internal(Diag *d, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A fault in a run: deadlock, limit, mismatch. */
bool diag_fault(Diag *d, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_warning(Diag *d, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_note(Diag *d, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* 1-based line and column (in bytes) of a place. */
void diag_line_column(const Diag *d, Span at, uint32_t *line, uint32_t *column);

/* EXIT_OK, or the code that the errors so far call for. */
int diag_exit_code(const Diag *d);

#endif
