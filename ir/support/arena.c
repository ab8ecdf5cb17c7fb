// SPDX-License-Identifier: Apache-2.0
// Bump allocation: a chain of blocks, each at least twice as large as the one before up to
// 1 MiB; a request above that gets a block of its own size.
#include "ir/support/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/vec.h"

enum { FIRST_BLOCK = 4096, LARGEST_STEP = 1 << 20, SHORT_TEXT = 256 };

struct ArenaBlock {
    ArenaBlock *next;
    char *end;
    char *used; // up to here, once another block is the head
    size_t size;
};

static _Noreturn void exhausted(void)
{
    fputs("out of memory\n", stderr);
    abort();
}

static void add_block(Arena *a, size_t need)
{
    size_t size = a->head ? a->head->size * 2 : FIRST_BLOCK;
    if (size > LARGEST_STEP)
        size = LARGEST_STEP;
    if (size < need)
        size = need;
    if (size > SIZE_MAX - sizeof(ArenaBlock))
        exhausted();
    // calloc hands out fresh zero pages for large blocks, so zeroing costs nothing there.
    ArenaBlock *b = calloc(1, sizeof(ArenaBlock) + size);
    if (!b)
        exhausted();
    b->next = a->head;
    b->size = size;
    b->end = (char *)(b + 1) + size;
    if (a->head)
        a->head->used = a->cur;
    a->head = b;
    a->cur = (char *)(b + 1);
    a->end = b->end;
}

void *arena_alloc(Arena *a, size_t count, size_t size, size_t align)
{
    if (size != 0 && count > (SIZE_MAX / 2) / size)
        exhausted();
    size_t n = count * size;
    size_t pad = (size_t)(-(uintptr_t)a->cur) & (align - 1);
    if (!a->cur || (size_t)(a->end - a->cur) < n + pad) {
        add_block(a, n + align);
        pad = (size_t)(-(uintptr_t)a->cur) & (align - 1);
    }
    void *p = a->cur + pad;
    a->cur += pad + n;
    return p;
}

char *arena_strdup(Arena *a, const char *s, size_t len)
{
    char *copy = arena_alloc(a, len + 1, 1, 1);
    if (len)
        memcpy(copy, s, len);
    return copy;
}

char *arena_printf(Arena *a, const char *format, ...)
{
    char start[SHORT_TEXT];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(start, sizeof start, format, ap);
    va_end(ap);
    if (n < 0)
        return arena_strdup(a, "", 0);
    if ((size_t)n < sizeof start)
        return arena_strdup(a, start, (size_t)n);
    char *s = arena_alloc(a, (size_t)n + 1, 1, 1);
    va_start(ap, format);
    vsnprintf(s, (size_t)n + 1, format, ap);
    va_end(ap);
    return s;
}

ArenaMark arena_mark(const Arena *a)
{
    return (ArenaMark){a->head, a->cur};
}

void arena_rewind(Arena *a, ArenaMark mark)
{
    char *used = a->cur;
    while (a->head != mark.head) {
        ArenaBlock *b = a->head;
        a->head = b->next;
        used = a->head ? a->head->used : NULL;
        free(b);
    }
    a->end = a->head ? a->head->end : NULL;
    if (mark.cur) // memory is handed out zeroed again
        memset(mark.cur, 0, (size_t)(used - mark.cur));
    a->cur = mark.cur;
}

void arena_free(Arena *a)
{
    arena_rewind(a, (ArenaMark){0});
}

void *vec_grow(Arena *a, void *data, size_t n, size_t *cap, size_t size)
{
    size_t grown = *cap ? *cap * 2 : 8;
    void *p = arena_alloc(a, grown, size, alignof(max_align_t));
    if (n)
        memcpy(p, data, n * size);
    *cap = grown;
    return p;
}
