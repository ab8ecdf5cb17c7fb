// SPDX-License-Identifier: Apache-2.0
// A growing text on the heap; edit distance for suggestions.
#include "ir/support/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(Text *t, size_t more)
{
    if (t->cap - t->len > more)
        return;
    size_t cap = t->cap ? t->cap : 256;
    while (cap - t->len <= more) {
        if (cap > SIZE_MAX / 2)
            abort();
        cap *= 2;
    }
    char *data = realloc(t->data, cap);
    if (!data) {
        fputs("out of memory\n", stderr);
        abort();
    }
    t->data = data;
    t->cap = cap;
}

void text_add_bytes(Text *t, const void *bytes, size_t n)
{
    reserve(t, n);
    if (n)
        memcpy(t->data + t->len, bytes, n);
    t->len += n;
    t->data[t->len] = '\0';
}

void text_add(Text *t, const char *s)
{
    text_add_bytes(t, s, strlen(s));
}

void text_vprintf(Text *t, const char *format, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    reserve(t, 1);
    size_t room = t->cap - t->len;
    int n = vsnprintf(t->data + t->len, room, format, ap);
    if (n >= 0 && (size_t)n >= room) {
        reserve(t, (size_t)n + 1);
        vsnprintf(t->data + t->len, (size_t)n + 1, format, again);
    }
    if (n > 0)
        t->len += (size_t)n;
    t->data[t->len] = '\0';
    va_end(again);
}

void text_printf(Text *t, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    text_vprintf(t, format, ap);
    va_end(ap);
}

// Length of the UTF-8 sequence at s, or 0 if it is not a valid one.
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
    bool beyond = s[0] == 0xf4 && s[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : n;
}

void text_json_string(Text *t, const char *s)
{
    text_add(t, "\"");
    for (const unsigned char *p = (const unsigned char *)s; *p;) {
        size_t n = utf8_length(p);
        if (n == 0) {
            text_add(t, "\\ufffd");
            p++;
        } else if (*p == '"' || *p == '\\') {
            text_printf(t, "\\%c", *p);
            p++;
        } else if (*p < 0x20) {
            text_printf(t, "\\u%04x", *p);
            p++;
        } else {
            text_add_bytes(t, p, n);
            p += n;
        }
    }
    text_add(t, "\"");
}

void text_free(Text *t)
{
    free(t->data);
    *t = (Text){0};
}

enum { LONGEST_WORD = 64 };

size_t text_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > LONGEST_WORD || m > LONGEST_WORD)
        return SIZE_MAX;
    size_t row[3][LONGEST_WORD + 1];
    for (size_t j = 0; j <= m; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3], *above = row[(i + 2) % 3], *above2 = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above2[j - 2] + 1 < best)
                best = above2[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[n % 3][m];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t n)
{
    size_t limit = strlen(word) / 3 + 1;
    const char *best = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t d = text_distance(word, candidates[i]);
        if (d < limit || (d == limit && !best)) {
            best = candidates[i];
            limit = d;
        }
    }
    return best;
}
