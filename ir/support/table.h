/* SPDX-License-Identifier: Apache-2.0 */
/* ir/support/table.h - small tables, printed for people (aligned columns) or for programs
 * (JSON: an array of objects, one a row), from the same cells. */
#ifndef WSEC_SUPPORT_TABLE_H
#define WSEC_SUPPORT_TABLE_H

#include <stdint.h>

#include "ir/support/arena.h"
#include "ir/support/text.h"

enum { TABLE_MAX_COLUMNS = 16 };

typedef struct Table {
    Arena *arena;
    const char *name; /* JSON key and heading */
    const char *column[TABLE_MAX_COLUMNS];
    size_t n_columns;
    struct TableCell {
        const char *text;
        bool is_number;
    } * cells;
    size_t n_cells, cap_cells;
} Table;

/* columns: names separated by '|', e.g. "kernel|x|y". */
Table table_begin(Arena *a, const char *name, const char *columns);
void table_string(Table *t, const char *s); /* NULL prints as nothing */
void table_count(Table *t, uint64_t n);
void table_number(Table *t, double v, int digits);
void table_printf(Table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

void table_print(Text *out, const Table *t);
void table_json(Text *out, const Table *t); /* "name": [{...}, ...] without a comma after it */

#endif
