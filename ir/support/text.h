/* SPDX-License-Identifier: Apache-2.0 */
/* ir/support/text.h - a growing text on the heap, for printers and reports. */
#ifndef WSEC_SUPPORT_TEXT_H
#define WSEC_SUPPORT_TEXT_H

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>

typedef struct Text {
    char *data; /* NUL-terminated once anything was added, else NULL */
    size_t len, cap;
} Text;

void text_add(Text *t, const char *s);
void text_add_bytes(Text *t, const void *bytes, size_t n);
void text_printf(Text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(Text *t, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));
void text_json_string(Text *t, const char *s); /* quoted and escaped; invalid UTF-8 as U+FFFD */
void text_free(Text *t);

/* Edit distance (Damerau-Levenshtein, restricted), for "did you mean". */
size_t text_distance(const char *a, const char *b);

/* The best of n candidates for a misspelt word, or NULL if none is near. */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);

#endif
