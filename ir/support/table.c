// SPDX-License-Identifier: Apache-2.0
// Small tables: cells are kept as text and laid out when printed.
#include "ir/support/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ir/support/vec.h"

Table table_begin(Arena *a, const char *name, const char *columns)
{
    Table t = {.arena = a, .name = name};
    for (const char *p = columns; t.n_columns < TABLE_MAX_COLUMNS;) {
        const char *bar = strchr(p, '|');
        t.column[t.n_columns++] = arena_strdup(a, p, bar ? (size_t)(bar - p) : strlen(p));
        if (!bar)
            break;
        p = bar + 1;
    }
    return t;
}

static void add(Table *t, const char *text, bool is_number)
{
    if (t->n_cells == t->cap_cells)
        t->cells = vec_grow(t->arena, t->cells, t->n_cells, &t->cap_cells, sizeof *t->cells);
    t->cells[t->n_cells++] = (struct TableCell){text, is_number};
}

void table_string(Table *t, const char *s)
{
    add(t, s ? arena_strdup(t->arena, s, strlen(s)) : "", false);
}

void table_count(Table *t, uint64_t n)
{
    add(t, arena_printf(t->arena, "%" PRIu64, n), true);
}

void table_number(Table *t, double v, int digits)
{
    add(t, arena_printf(t->arena, "%.*f", digits, v), true);
}

void table_printf(Table *t, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    Text text = {0};
    text_vprintf(&text, format, ap);
    va_end(ap);
    table_string(t, text.data);
    text_free(&text);
}

// Columns on the screen of UTF-8 text, near enough: one a character.
static size_t width_of(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += (*s & 0xc0) != 0x80;
    return n;
}

void table_print(Text *out, const Table *t)
{
    size_t width[TABLE_MAX_COLUMNS];
    bool right[TABLE_MAX_COLUMNS];
    for (size_t c = 0; c < t->n_columns; c++) {
        width[c] = width_of(t->column[c]);
        right[c] = t->n_cells > c;
    }
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t c = i % t->n_columns, w = width_of(t->cells[i].text);
        width[c] = w > width[c] ? w : width[c];
        right[c] = right[c] && t->cells[i].is_number;
    }
    for (size_t i = 0; i < t->n_columns + t->n_cells; i++) {
        size_t c = i % t->n_columns;
        const char *s = i < t->n_columns ? t->column[c] : t->cells[i - t->n_columns].text;
        size_t pad = width[c] - width_of(s);
        bool last = c + 1 == t->n_columns;
        if (right[c])
            text_printf(out, "%*s", (int)pad, "");
        text_add(out, s);
        if (!right[c] && !last)
            text_printf(out, "%*s", (int)pad, "");
        text_add(out, last ? "\n" : "  ");
    }
}

void table_json(Text *out, const Table *t)
{
    text_json_string(out, t->name);
    text_add(out, ": [");
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t c = i % t->n_columns;
        text_add(out, c > 0 ? ", " : i > 0 ? "},\n    {" : "\n    {");
        text_json_string(out, t->column[c]);
        text_add(out, ": ");
        if (t->cells[i].is_number)
            text_add(out, t->cells[i].text);
        else
            text_json_string(out, t->cells[i].text);
    }
    text_add(out, t->n_cells ? "}\n  ]" : "]");
}
