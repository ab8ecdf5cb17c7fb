/* SPDX-License-Identifier: Apache-2.0 */
/* ir/support/arena.h - bump allocation with one lifetime.
 *
 * Memory is zeroed and never moves. Allocation does not fail: on exhaustion, or where
 * count * size overflows, the process prints one line and aborts (a compiler has nothing
 * better to do; readers of untrusted files bound their counts before they allocate).
 * A zero-initialised Arena is ready to use; arena_free() may be called twice.
 * Not thread-safe. */
#ifndef WSEC_SUPPORT_ARENA_H
#define WSEC_SUPPORT_ARENA_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ArenaBlock ArenaBlock;

typedef struct Arena {
    ArenaBlock *head;
    char *cur, *end;
} Arena;

typedef struct ArenaMark {
    ArenaBlock *head;
    char *cur;
} ArenaMark;

void *arena_alloc(Arena *a, size_t count, size_t size, size_t align);
char *arena_strdup(Arena *a, const char *s, size_t len); /* adds a terminating NUL */
char *arena_printf(Arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
ArenaMark arena_mark(const Arena *a);
void arena_rewind(Arena *a, ArenaMark mark); /* frees what came after the mark */
void arena_free(Arena *a);

#define arena_new(a, T)      ((T *)arena_alloc((a), 1, sizeof(T), alignof(T)))
#define arena_array(a, T, n) ((T *)arena_alloc((a), (n), sizeof(T), alignof(T)))

#endif
