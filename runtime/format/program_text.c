// SPDX-License-Identifier: Apache-2.0
// runtime/format/program_text.c - the text form of a class: printer and parser.
//
// The grammar stands in program.h. A recursive-descent parser over a one-token scanner; it
// stops at the first error, reported with the place of the token that did not fit. What it
// returns has passed class_finish() and program_verify(). Printing what was parsed from a
// printed text gives the same bytes: numbers are printed in one way only, constants as
// hexadecimal (C's %a, exact).
#include "runtime/format/program.h"

#include <stdlib.h>

#include "ir/support/vec.h"

// ---- printing ----

static void print_string(Text *t, const char *s)
{
    text_add(t, "\"");
    for (; s != NULL && *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            text_printf(t, "\\%c", c);
        else if (c < ' ' || c > '~')
            text_printf(t, "\\x%02x", c);
        else
            text_printf(t, "%c", c);
    }
    text_add(t, "\"");
}

static void print_scalar(Text *t, Scalar s)
{
    switch ((ScalarKind)s.kind) {
    case SCALAR_IMM:
        text_printf(t, "%d", s.value);
        return;
    case SCALAR_DATA:
        text_printf(t, "d%d", s.value);
        return;
    case SCALAR_TABLE:
        text_printf(t, "d%d[i%u]", s.value, s.loop);
        return;
    }
}

static bool is_zero(Scalar s)
{
    return s.kind == SCALAR_IMM && s.value == 0;
}

static void print_memory(Text *t, const Operand *o)
{
    text_printf(t, "%s m[", dtype_name((DType)o->dtype));
    print_scalar(t, o->base);
    for (int d = 0; d < PROGRAM_DEPTH; d++) {
        if (is_zero(o->step[d]))
            continue;
        text_add(t, " + ");
        print_scalar(t, o->step[d]);
        text_printf(t, "*i%d", d);
    }
    if (!is_zero(o->ring_pitch)) {
        text_add(t, " + ");
        print_scalar(t, o->ring_pitch);
        text_add(t, "*((");
        print_scalar(t, o->ring_offset);
        for (int d = 0; d < PROGRAM_DEPTH; d++) {
            if (o->ring_coef[d] != 0)
                text_printf(t, " + %d*i%d", o->ring_coef[d], d);
        }
        text_add(t, ") % ");
        print_scalar(t, o->ring_modulus);
        text_add(t, ")");
    }
    text_add(t, " :");
    for (int k = 0; k < PROGRAM_DIMS; k++) {
        text_add(t, " ");
        print_scalar(t, o->stride[k]);
    }
    text_add(t, "]");
}

static void print_operand(Text *t, const Operand *o)
{
    switch ((OperandKind)o->kind) {
    case OPERAND_NONE:
        return;
    case OPERAND_MEM:
        print_memory(t, o);
        return;
    case OPERAND_COLOR:
        text_printf(t, "%s c%u", dtype_name((DType)o->dtype), o->channel);
        if (o->held != 0)
            text_printf(t, " held=%u", o->held);
        return;
    case OPERAND_FLOAT:
        if (o->value != o->value)
            text_add(t, "nan"); // "%a" would print the sign
        else
            text_printf(t, "%a", (double)o->value);
        return;
    }
}

static void print_op(Text *t, const Op *op, bool origins)
{
    text_printf(t, "%*s", (int)(2 + 2 * op->depth), "");
    if (op->code == OPCODE_END) {
        text_add(t, "}\n");
        return;
    }
    text_add(t, opcode_info[op->code].text);
    text_add(t, " ");
    if (op->code == OPCODE_LOOP) {
        print_scalar(t, op->count);
        text_add(t, " {");
    } else {
        for (int k = 0; k < PROGRAM_DIMS; k++) {
            text_add(t, k == 0 ? "[" : ", ");
            print_scalar(t, op->extent[k]);
        }
        text_add(t, op->dst.kind == OPERAND_NONE ? "]" : "] ");
        print_operand(t, &op->dst);
        for (int k = 0; k < opcode_info[op->code].sources; k++) {
            text_add(t, k == 0 ? " <- " : ", ");
            print_operand(t, &op->src[k]);
        }
    }
    if (origins && op->origin != 0)
        text_printf(t, " @%u", op->origin);
    text_add(t, "\n");
}

void program_print(Text *t, const Class *c, uint32_t index, bool origins)
{
    text_printf(t, "class %u ", index);
    print_string(t, c->name);
    text_printf(t, " data=%u {\n", c->n_data);
    for (uint32_t k = 0; k < c->n_channels; k++)
        text_printf(t, "  channel %u %s\n", k, c->channel_is_out[k] ? "out" : "in");
    for (uint32_t i = 0; i < c->n_ops; i++)
        print_op(t, &c->ops[i], origins);
    text_add(t, "}\n");
}

// ---- parsing ----

typedef enum TokenKind {
    TOKEN_END,
    TOKEN_WORD,   // letters and digits, a letter first
    TOKEN_NUMBER, // decimal
    TOKEN_FLOAT,  // hexadecimal, or -inf
    TOKEN_STRING,
    TOKEN_ARROW,
    TOKEN_CHAR // any other single character
} TokenKind;

typedef struct Parser {
    Arena *arena;
    Diag *diag;
    uint32_t file;
    const char *text;
    uint32_t len;
    TokenKind kind; // the token looked at: its kind and place
    uint32_t begin, end;
    VEC(Op) ops;
    VEC(Span) spans; // of each operation
} Parser;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}

static Span here(const Parser *p)
{
    return (Span){p->file, p->begin, p->end};
}

static bool expected(Parser *p, const char *what)
{
    if (p->kind == TOKEN_END)
        return diag_error(p->diag, here(p), "expected %s, found the end of the text", what);
    return diag_error(p->diag, here(p), "expected %s, found '%.*s'", what,
                      (int)(p->end - p->begin < 40 ? p->end - p->begin : 40), p->text + p->begin);
}

static void next(Parser *p)
{
    uint32_t i = p->end;
    char c;

    while (i < p->len && (p->text[i] == ' ' || p->text[i] == '\n' || p->text[i] == '\t' ||
                          p->text[i] == '\r' || p->text[i] == '#')) {
        if (p->text[i] == '#') {
            while (i < p->len && p->text[i] != '\n')
                i++;
        } else {
            i++;
        }
    }
    p->begin = i;
    if (i == p->len) {
        p->kind = TOKEN_END;
        p->end = i;
        return;
    }
    c = p->text[i++];
    if (is_digit(c) || (c == '-' && i < p->len && is_word(p->text[i]))) {
        p->kind = c != '-' || is_digit(p->text[i]) ? TOKEN_NUMBER : TOKEN_FLOAT;
        for (; i < p->len; i++) {
            char d = p->text[i];
            if (d == 'x')
                p->kind = TOKEN_FLOAT;
            bool exponent = p->kind == TOKEN_FLOAT &&
                            (d == '.' || ((d == '+' || d == '-') && p->text[i - 1] == 'p'));
            if (!is_word(d) && !exponent)
                break;
        }
    } else if (is_word(c)) {
        p->kind = TOKEN_WORD;
        while (i < p->len && is_word(p->text[i]))
            i++;
    } else if (c == '"') {
        p->kind = TOKEN_STRING;
        while (i < p->len && p->text[i] != '"' && p->text[i] != '\n')
            i += p->text[i] == '\\' && i + 1 < p->len && p->text[i + 1] != '\n' ? 2 : 1;
        i += i < p->len && p->text[i] == '"';
    } else if (c == '<' && i < p->len && p->text[i] == '-') {
        p->kind = TOKEN_ARROW;
        i++;
    } else {
        p->kind = TOKEN_CHAR;
    }
    p->end = i;
}

static bool is_text(const Parser *p, TokenKind kind, const char *s)
{
    return p->kind == kind && strlen(s) == p->end - p->begin &&
           memcmp(p->text + p->begin, s, p->end - p->begin) == 0;
}

static bool accept_char(Parser *p, const char *c)
{
    if (!is_text(p, TOKEN_CHAR, c))
        return false;
    next(p);
    return true;
}

static bool expect_char(Parser *p, const char *c)
{
    return accept_char(p, c) || expected(p, arena_printf(p->arena, "'%s'", c));
}

static bool accept_word(Parser *p, const char *word)
{
    if (!is_text(p, TOKEN_WORD, word))
        return false;
    next(p);
    return true;
}

static bool expect_word(Parser *p, const char *word)
{
    return accept_word(p, word) || expected(p, arena_printf(p->arena, "'%s'", word));
}

// A decimal number of `len` characters within bounds; false without a message.
static bool decimal(const char *s, uint32_t len, int64_t low, int64_t high, int64_t *value)
{
    bool negative = len > 0 && s[0] == '-';
    int64_t v = 0;

    if (len == negative)
        return false;
    for (uint32_t i = negative; i < len; i++) {
        if (!is_digit(s[i]) || v > INT64_C(0x1000000000))
            return false;
        v = v * 10 + (s[i] - '0');
    }
    *value = negative ? -v : v;
    return *value >= low && *value <= high;
}

static bool parse_number(Parser *p, int64_t low, int64_t high, int64_t *value, const char *what)
{
    if (p->kind != TOKEN_NUMBER)
        return expected(p, what);
    if (!decimal(p->text + p->begin, p->end - p->begin, low, high, value))
        return diag_error(p->diag, here(p), "expected %s from %lld to %lld, found '%.*s'", what,
                          (long long)low, (long long)high, (int)(p->end - p->begin),
                          p->text + p->begin);
    next(p);
    return true;
}

// A word of one letter and a number: d12, i0, c3.
static bool accept_indexed(Parser *p, char letter, int64_t high, int64_t *value)
{
    if (p->kind != TOKEN_WORD || p->text[p->begin] != letter ||
        !decimal(p->text + p->begin + 1, p->end - p->begin - 1, 0, high, value))
        return false;
    next(p);
    return true;
}

static bool parse_counter(Parser *p, int64_t *loop)
{
    return accept_indexed(p, 'i', PROGRAM_DEPTH - 1, loop) ||
           expected(p, "a loop counter i0 .. i3");
}

static bool parse_scalar(Parser *p, Scalar *s)
{
    int64_t value, loop;

    if (p->kind == TOKEN_NUMBER) {
        if (!parse_number(p, INT32_MIN, INT32_MAX, &value, "a number"))
            return false;
        *s = IMM((int32_t)value);
        return true;
    }
    if (!accept_indexed(p, 'd', PROGRAM_MAX_DATA, &value))
        return expected(p, "a number or a data word such as d3");
    *s = DATA((int32_t)value);
    if (accept_char(p, "[")) {
        if (!parse_counter(p, &loop) || !expect_char(p, "]"))
            return false;
        *s = TABLE((int32_t)value, (uint8_t)loop);
    }
    return true;
}

static bool parse_ring(Parser *p, Operand *o)
{
    int64_t coef, loop;

    if (!expect_char(p, "(") || !parse_scalar(p, &o->ring_offset))
        return false;
    while (accept_char(p, "+")) {
        if (!parse_number(p, 0, INT8_MAX, &coef, "a coefficient") || !expect_char(p, "*") ||
            !parse_counter(p, &loop))
            return false;
        o->ring_coef[loop] = (int8_t)coef;
    }
    return expect_char(p, ")") && expect_char(p, "%") && parse_scalar(p, &o->ring_modulus) &&
           expect_char(p, ")");
}

static bool parse_memory(Parser *p, Operand *o)
{
    int64_t loop;
    Scalar s;

    o->kind = OPERAND_MEM;
    if (!expect_char(p, "[") || !parse_scalar(p, &o->base))
        return false;
    while (accept_char(p, "+")) {
        if (!parse_scalar(p, &s) || !expect_char(p, "*"))
            return false;
        if (accept_char(p, "(")) {
            o->ring_pitch = s;
            if (!parse_ring(p, o))
                return false;
        } else {
            if (!parse_counter(p, &loop))
                return false;
            o->step[loop] = s;
        }
    }
    if (!expect_char(p, ":"))
        return false;
    for (int k = 0; k < PROGRAM_DIMS; k++) {
        if (!parse_scalar(p, &o->stride[k]))
            return false;
    }
    return expect_char(p, "]");
}

static bool parse_constant(Parser *p, Operand *o)
{
    char word[64];
    char *end;
    uint32_t len = p->end - p->begin;

    if (len >= sizeof word)
        return expected(p, "a constant");
    memcpy(word, p->text + p->begin, len);
    word[len] = '\0';
    o->kind = OPERAND_FLOAT;
    o->dtype = DT_F32;
    if (strcmp(word, "nan") == 0) {
        o->value = f32_from_bits(0x7fc00000u);
    } else {
        double value = strtod(word, &end);
        o->value = (float)value;
        if (*end != '\0' || (double)o->value != value)
            return expected(p, "an f32 constant in hexadecimal");
    }
    next(p);
    return true;
}

static bool parse_operand(Parser *p, Operand *o)
{
    int64_t number;

    *o = (Operand){0};
    if (p->kind == TOKEN_FLOAT || is_text(p, TOKEN_WORD, "inf") || is_text(p, TOKEN_WORD, "nan"))
        return parse_constant(p, o);
    for (o->dtype = 0; o->dtype < DT_COUNT && !accept_word(p, dtype_name((DType)o->dtype));)
        o->dtype++;
    if (o->dtype == DT_COUNT)
        return expected(p, "an operand: f32, f16, i32 or a hexadecimal constant");
    if (accept_word(p, "m"))
        return parse_memory(p, o);
    if (!accept_indexed(p, 'c', PROGRAM_MAX_CHANNELS - 1, &number))
        return expected(p, "m[...] or a channel such as c0");
    o->kind = OPERAND_COLOR;
    o->channel = (uint8_t)number;
    if (accept_word(p, "held")) {
        if (!expect_char(p, "=") || !parse_number(p, 0, PROGRAM_DIMS, &number, "dimensions"))
            return false;
        o->held = (uint8_t)number;
    }
    return true;
}

static bool parse_operands(Parser *p, Op *op)
{
    for (int k = 0; k < PROGRAM_DIMS; k++) {
        if (!expect_char(p, k == 0 ? "[" : ",") || !parse_scalar(p, &op->extent[k]))
            return false;
    }
    if (!expect_char(p, "]"))
        return false;
    if (op->code != OPCODE_SKIP && !parse_operand(p, &op->dst))
        return false;
    if (p->kind != TOKEN_ARROW)
        return expected(p, "'<-'");
    next(p);
    for (int k = 0; k < opcode_info[op->code].sources; k++) {
        if ((k > 0 && !expect_char(p, ",")) || !parse_operand(p, &op->src[k]))
            return false;
    }
    return true;
}

static bool parse_op(Parser *p)
{
    Op op = {.code = OPCODE_END};
    int64_t origin = 0;
    Span at = here(p);

    if (!accept_char(p, "}")) {
        for (op.code = 0; op.code < OPCODE_END && !accept_word(p, opcode_info[op.code].text);)
            op.code++;
        if (op.code == OPCODE_END)
            return expected(p, "an operation or '}'");
        if (op.code == OPCODE_LOOP) {
            if (!parse_scalar(p, &op.count) || !expect_char(p, "{"))
                return false;
        } else if (!parse_operands(p, &op)) {
            return false;
        }
        if (accept_char(p, "@") && !parse_number(p, 0, UINT32_MAX, &origin, "an origin"))
            return false;
    }
    op.origin = (uint32_t)origin;
    if (p->ops.n == PROGRAM_MAX_OPS)
        return diag_error(p->diag, at, "more than %d operations", PROGRAM_MAX_OPS);
    vec_push(p->arena, &p->ops, op);
    vec_push(p->arena, &p->spans, at);
    return true;
}

static int hex_digit(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_string(Parser *p, const char **result)
{
    if (p->kind != TOKEN_STRING)
        return expected(p, "a name in quotes");
    if (p->end - p->begin < 2 || p->text[p->end - 1] != '"')
        return diag_error(p->diag, here(p), "name without its closing quote");
    char *s = arena_strdup(p->arena, p->text + p->begin + 1, p->end - p->begin - 2);
    char *out = s;
    *result = s;
    for (; *s != '\0'; s++) {
        if (*s != '\\') {
            *out++ = *s;
        } else if (s[1] == '"' || s[1] == '\\') {
            *out++ = *++s;
        } else if (s[1] == 'x' && hex_digit(s[2]) >= 0 && hex_digit(s[3]) >= 0 &&
                   (s[2] != '0' || s[3] != '0')) {
            *out++ = (char)(hex_digit(s[2]) * 16 + hex_digit(s[3]));
            s += 3;
        } else {
            return diag_error(p->diag, here(p), "unknown escape in a name");
        }
    }
    *out = '\0';
    next(p);
    return true;
}

static bool parse_class(Parser *p, Class *c)
{
    int64_t number;

    if (!expect_word(p, "class") || !parse_number(p, 0, UINT32_MAX, &number, "an index") ||
        !parse_string(p, &c->name) || !expect_word(p, "data") || !expect_char(p, "=") ||
        !parse_number(p, 0, PROGRAM_MAX_DATA, &number, "a number of data words") ||
        !expect_char(p, "{"))
        return false;
    c->n_data = (uint32_t)number;
    while (accept_word(p, "channel")) {
        if (c->n_channels == PROGRAM_MAX_CHANNELS)
            return diag_error(p->diag, here(p), "more than %d channels", PROGRAM_MAX_CHANNELS);
        if (!parse_number(p, c->n_channels, c->n_channels, &number, "the channel's number"))
            return false;
        c->channel_is_out[c->n_channels] = accept_word(p, "out");
        if (!c->channel_is_out[c->n_channels++] && !expect_word(p, "in"))
            return false;
    }
    for (uint32_t depth = 1; depth > 0;) {
        if (depth == 1 && is_text(p, TOKEN_CHAR, "}")) {
            next(p);
            break;
        }
        if (!parse_op(p))
            return false;
        const Op *last = &p->ops.data[p->ops.n - 1];
        depth += last->code == OPCODE_LOOP;
        depth -= last->code == OPCODE_END;
    }
    return p->kind == TOKEN_END || expected(p, "the end of the text");
}

bool program_parse(Arena *a, Diag *d, uint32_t file, Class *result)
{
    const Source *source = &d->sources[file - 1];
    Parser p = {.arena = a, .diag = d, .file = file, .text = source->text, .len = source->len};
    const char *why;

    *result = (Class){0};
    next(&p);
    if (!parse_class(&p, result))
        return false;
    result->ops = p.ops.data;
    result->n_ops = (uint32_t)p.ops.n;
    if (!class_finish(result, &why))
        return diag_error(d, (Span){file, 0, 0}, "%s", why);
    for (uint32_t i = 0; i < result->n_ops; i++) {
        if (!op_verify(a, result, i, &why))
            return diag_error(d, p.spans.data[i], "%s", why);
    }
    return true;
}
