// SPDX-License-Identifier: Apache-2.0
// Checks the bytes, runs the grammar, and lays out lines: a line end counts only where a
// statement can end. It is dropped inside ( ) and [ ], after and before an infix operator,
// after "," and "{", and before "{", "}" and "else". Work is linear in the text.
#include "frontend/parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"
#include "grammar.h"
#define YYSTYPE DSL_STYPE
#define YYLTYPE Span
#include "lexer.h"

int dsl_scan(DSL_STYPE *value, Span *at, void *scanner);
int dsl_lex(DSL_STYPE *value, Span *at, Parser *parser);

// Well-formed sequences as in table 3-7 of the Unicode standard.
static size_t utf8_sequence(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n > left)
        return 0;
    unsigned lowest = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned highest = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < lowest || s[1] > highest)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

size_t utf8_valid_prefix(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        size_t n = utf8_sequence((const unsigned char *)text + at, len - at);
        if (n == 0)
            break;
        at += n;
    }
    return at;
}

static int digit_value(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

bool literal_int(const char *text, size_t len, int64_t *result)
{
    bool hex = len > 2 && text[0] == '0' && (text[1] | 0x20) == 'x';
    int64_t value = 0;
    bool fits = true;
    for (size_t i = hex ? 2 : 0; i < len; i++)
        if (text[i] != '_')
            fits = fits && !__builtin_mul_overflow(value, hex ? 16 : 10, &value) &&
                   !__builtin_add_overflow(value, digit_value(text[i]), &value);
    *result = fits ? value : 0;
    return fits;
}

bool literal_float(const char *text, size_t len, double *result)
{
    char digits[512];
    size_t n = 0;
    *result = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '_')
            continue;
        if (n + 1 == sizeof digits)
            return false;
        digits[n++] = text[i];
    }
    digits[n] = '\0';
    double value = strtod(digits, NULL);
    if (!isfinite(value))
        return false;
    *result = value;
    return true;
}

static bool is_infix(int token)
{
    switch (token) {
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
    case '<':
    case '>':
    case DSL_EQ:
    case DSL_NE:
    case DSL_LE:
    case DSL_GE:
    case DSL_AND:
    case DSL_OR:
    case DSL_ARROW:
        return true;
    }
    return false;
}

static bool continues_after(int token)
{
    return is_infix(token) || token == ',' || token == '{' || token == '\n' || token == ';' ||
           token == DSL_START_FILE;
}

static bool continues_before(int token)
{
    return is_infix(token) || token == '{' || token == '}' || token == ')' || token == ']' ||
           token == DSL_ELSE || token == DSL_END;
}

// Keywords that never stand inside ( ) or [ ]: something was not closed.
static bool begins_statement(int token)
{
    return token == DSL_RETURN || token == DSL_FOR || token == DSL_FN || token == DSL_MODEL ||
           token == DSL_PARAM;
}

static int deliver(Parser *p, int token)
{
    if (token == '(' || token == '[') {
        p->groups++;
    } else if ((token == ')' || token == ']') && p->groups > 0) {
        p->groups--;
    } else if (token == '{' && p->groups > 0) {
        p->group_braces++;
    } else if (token == '}' && p->groups > 0 && p->group_braces-- == 0) {
        p->groups = p->group_braces = 0; // a block ends: what was open was not closed
    }
    p->previous = token;
    return token;
}

static int hold(Parser *p, int token, const DSL_STYPE *value, Span at)
{
    p->pending = token;
    p->pending_span = at;
    *(DSL_STYPE *)p->pending_value = *value;
    return deliver(p, '\n');
}

int dsl_lex(DSL_STYPE *value, Span *at, Parser *parser)
{
    Parser *p = parser;
    if (p->start) {
        int start = p->start;
        p->start = 0;
        *at = (Span){p->file, 0, 0};
        return deliver(p, start);
    }
    if (p->pending >= 0) {
        int token = p->pending;
        p->pending = -1;
        *at = p->pending_span;
        *value = *(DSL_STYPE *)p->pending_value;
        return deliver(p, token);
    }
    int token = p->fatal ? DSL_END : dsl_scan(value, at, p->scanner);
    p->line_start = token == '\n';
    Span line_end = *at;
    while (token == '\n')
        token = dsl_scan(value, at, p->scanner);
    if (p->fatal)
        return DSL_END;
    if (token == DSL_END)
        *at = (Span){p->file, p->at, p->at};
    if (p->line_start && begins_statement(token))
        p->groups = p->group_braces = 0;
    if (!p->line_start || p->groups > 0 || continues_after(p->previous) || continues_before(token))
        return deliver(p, token);
    Span next = *at;
    *at = line_end;
    return hold(p, token, value, next);
}

static bool run(Parser *p, size_t begin, size_t len, int start)
{
    DSL_STYPE pending;
    unsigned errors = p->diag->n_errors;
    p->start = start;
    p->pending = -1;
    p->pending_value = &pending;
    p->at = (uint32_t)begin;
    if (dsl_scan_lex_init_extra(p, &p->scanner) != 0)
        return diag_internal(p->diag, (Span){0}, "out of memory");
    dsl_scan__scan_bytes(p->text + begin, (int)(len - begin), p->scanner);
    if (dsl_parse(p) != 0 && p->diag->n_errors == errors)
        diag_internal(p->diag, (Span){p->file, 0, 0}, "the parser stopped without a message");
    dsl_scan_lex_destroy(p->scanner);
    return p->diag->n_errors == errors;
}

bool parse_model(Arena *a, Diag *d, uint32_t file, Ast *ast)
{
    const Source *s = &d->sources[file - 1];
    if (s->len >= 4 && memcmp(s->text,
                              "\x7f"
                              "ELF",
                              4) == 0)
        return diag_error(d, (Span){0},
                          "'%s' is an image or another program, no model; images are for wse-run, "
                          "--relink, --yield-sweep and --check-native",
                          s->name);
    const char *nul = memchr(s->text, '\0', s->len);
    if (nul) {
        uint32_t at = (uint32_t)(nul - s->text);
        return diag_error(d, (Span){file, at, at + 1}, "NUL byte at offset %u: this is not text",
                          at);
    }
    uint32_t valid = (uint32_t)utf8_valid_prefix(s->text, s->len);
    if (valid < s->len)
        return diag_error(d, (Span){file, valid, valid + 1},
                          "invalid UTF-8 at offset %u: byte 0x%02x", valid,
                          (unsigned char)s->text[valid]);
    Parser p = {.arena = a, .diag = d, .ast = ast, .file = file, .text = s->text};
    size_t mark = s->len >= 3 && memcmp(s->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    return run(&p, mark, s->len, DSL_START_FILE);
}

FormalVec parse_signature(Arena *a, Diag *d, Ast *ast, const char *signature)
{
    Parser p = {.arena = a, .diag = d, .ast = ast, .text = signature};
    run(&p, 0, strlen(signature), DSL_START_SIGNATURE);
    return p.signature;
}
