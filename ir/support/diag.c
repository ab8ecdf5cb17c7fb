// SPDX-License-Identifier: Apache-2.0
// Diagnostics with the source line and a caret under the span.
#include "ir/support/diag.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/vec.h"

enum { WIDEST_LINE = 160, DEFAULT_MAX_ERRORS = 20 };

void diag_init(Diag *d, const char *tool)
{
    *d = (Diag){.tool = tool};
}

void diag_finish(Diag *d)
{
    arena_free(&d->arena);
    *d = (Diag){0};
}

uint32_t diag_add_source(Diag *d, const char *name, const char *text, size_t len)
{
    Source s = {
        .name = arena_strdup(&d->arena, name, strlen(name)),
        .text = arena_strdup(&d->arena, text, len),
        .len = (uint32_t)len,
    };
    uint32_t lines = 1;
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    s.line_begin = arena_array(&d->arena, uint32_t, lines);
    s.n_lines = 1;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\n')
            s.line_begin[s.n_lines++] = (uint32_t)i + 1;
    if (d->n_sources == d->cap_sources)
        d->sources =
            vec_grow(&d->arena, d->sources, d->n_sources, &d->cap_sources, sizeof *d->sources);
    d->sources[d->n_sources++] = s;
    return (uint32_t)d->n_sources;
}

static const Source *source_of(const Diag *d, Span at)
{
    return at.file && at.file <= d->n_sources ? &d->sources[at.file - 1] : NULL;
}

static uint32_t line_index(const Source *s, uint32_t offset)
{
    uint32_t lo = 0, hi = s->n_lines;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->line_begin[mid] <= offset)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

void diag_line_column(const Diag *d, Span at, uint32_t *line, uint32_t *column)
{
    const Source *s = source_of(d, at);
    *line = *column = 0;
    if (!s)
        return;
    uint32_t l = line_index(s, at.begin);
    *line = l + 1;
    *column = at.begin - s->line_begin[l] + 1;
}

// The line of the span with a caret; long lines are shown as a window around it.
static void print_line(FILE *out, const Source *s, Span at, const char *bold, const char *plain)
{
    uint32_t l = line_index(s, at.begin);
    uint32_t begin = s->line_begin[l];
    uint32_t end = l + 1 < s->n_lines ? s->line_begin[l + 1] - 1 : s->len;
    uint32_t from = begin, to = end;
    if (end - begin > WIDEST_LINE) {
        from = at.begin > begin + WIDEST_LINE / 2 ? at.begin - WIDEST_LINE / 2 : begin;
        to = from + WIDEST_LINE < end ? from + WIDEST_LINE : end;
        // Do not cut inside a UTF-8 sequence.
        while (from > begin && (s->text[from] & 0xc0) == 0x80)
            from--;
        while (to < end && (s->text[to] & 0xc0) == 0x80)
            to++;
    }
    fprintf(out, "%5u | %s", l + 1, from > begin ? "..." : "");
    for (uint32_t i = from; i < to; i++) {
        unsigned char c = (unsigned char)s->text[i];
        fputc(c == '\t' ? ' ' : c < 0x20 || c == 0x7f ? '?' : c, out);
    }
    fprintf(out, "%s\n      | %s", to < end ? "..." : "", from > begin ? "   " : "");
    for (uint32_t i = from; i < at.begin && i < to; i++)
        if ((s->text[i] & 0xc0) != 0x80)
            fputc(' ', out);
    fputs(bold, out);
    fputc('^', out);
    for (uint32_t i = at.begin + 1; i < at.end && i < to; i++)
        if ((s->text[i] & 0xc0) != 0x80)
            fputc('~', out);
    fprintf(out, "%s\n", plain);
}

static void print(Diag *d, Span at, const char *kind, const char *color, const char *format,
                  va_list ap)
{
    FILE *out = d->out ? d->out : stderr;
    const Source *s = source_of(d, at);
    const char *bold = d->color ? "\033[1m" : "", *plain = d->color ? "\033[0m" : "";
    const char *tint = d->color ? color : "";
    if (s) {
        uint32_t line, column;
        diag_line_column(d, at, &line, &column);
        fprintf(out, "%s%s:%u:%u: ", bold, s->name, line, column);
    } else {
        fprintf(out, "%s%s: ", bold, d->tool ? d->tool : "wsec");
    }
    fprintf(out, "%s%s:%s ", tint, kind, plain);
    vfprintf(out, format, ap);
    fputc('\n', out);
    if (s)
        print_line(out, s, at, tint, plain);
}

static void report_error(Diag *d, Span at, const char *kind, const char *format, va_list ap)
{
    unsigned limit = d->max_errors ? d->max_errors : DEFAULT_MAX_ERRORS;
    if (d->n_errors < limit)
        print(d, at, kind, "\033[1;31m", format, ap);
    else if (d->n_errors == limit)
        fprintf(d->out ? d->out : stderr, "%s: more errors follow; only the first %u are shown\n",
                d->tool ? d->tool : "wsec", limit);
    d->n_errors++;
}

#define FORWARD(call)                                                                              \
    va_list ap;                                                                                    \
    va_start(ap, format);                                                                          \
    call;                                                                                          \
    va_end(ap)

bool diag_error(Diag *d, Span at, const char *format, ...)
{
    FORWARD(report_error(d, at, "error", format, ap));
    return false;
}

bool diag_infeasible(Diag *d, Span at, const char *format, ...)
{
    FORWARD(report_error(d, at, "error", format, ap));
    d->infeasible = true;
    return false;
}

bool diag_internal(Diag *d, Span at, const char *format, ...)
{
    FORWARD(report_error(d, at, "internal error", format, ap));
    d->internal = true;
    return false;
}

bool diag_fault(Diag *d, Span at, const char *format, ...)
{
    FORWARD(report_error(d, at, "error", format, ap));
    d->fault = true;
    return false;
}

void diag_warning(Diag *d, Span at, const char *format, ...)
{
    FORWARD(print(d, at, "warning", "\033[1;35m", format, ap));
}

void diag_note(Diag *d, Span at, const char *format, ...)
{
    unsigned limit = d->max_errors ? d->max_errors : DEFAULT_MAX_ERRORS;
    if (d->n_errors > limit)
        return; // it belongs to an error that was not shown
    FORWARD(print(d, at, "note", "\033[1;36m", format, ap));
}

#undef FORWARD

int diag_exit_code(const Diag *d)
{
    if (d->internal)
        return EXIT_INTERNAL;
    if (d->usage)
        return EXIT_USAGE;
    if (d->fault)
        return EXIT_FAULT;
    if (d->n_errors == 0)
        return EXIT_OK;
    return d->infeasible ? EXIT_INFEASIBLE : EXIT_INPUT;
}
