/* SPDX-License-Identifier: Apache-2.0 */
/* tests/common/capture.h - diagnostics that are kept as text instead of printed, and an arena
 * of the same life. */
#ifndef WSEC_TESTS_CAPTURE_H
#define WSEC_TESTS_CAPTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"

typedef struct Capture {
    Diag diag; /* of the program "test" */
    Arena arena;
    char *text;
    size_t len;
} Capture;

static inline void capture_begin(Capture *c)
{
    *c = (Capture){.text = NULL};
    diag_init(&c->diag, "test");
    c->diag.out = open_memstream(&c->text, &c->len);
    if (!c->diag.out)
        abort();
}

/* What was said until now; valid until more is said. */
static inline const char *said(Capture *c)
{
    fflush(c->diag.out);
    return c->text;
}

/* Ends and hands over what was said, for free(). */
static inline char *capture_take(Capture *c)
{
    fclose(c->diag.out);
    diag_finish(&c->diag);
    arena_free(&c->arena);
    return c->text;
}

static inline void capture_end(Capture *c)
{
    free(capture_take(c));
}

#endif
