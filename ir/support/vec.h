/* SPDX-License-Identifier: Apache-2.0 */
/* ir/support/vec.h - typed growable arrays that live on an arena.
 *
 *     typedef VEC(uint32_t) IdVec;
 *     IdVec v = {0};
 *     vec_push(arena, &v, 7);
 *     for (size_t i = 0; i < v.n; i++) use(v.data[i]);
 *
 * Growth doubles and copies; the old block stays on the arena until that is rewound. */
#ifndef WSEC_SUPPORT_VEC_H
#define WSEC_SUPPORT_VEC_H

#include "ir/support/arena.h"

#define VEC(T)                                                                                     \
    struct {                                                                                       \
        T *data;                                                                                   \
        size_t n, cap;                                                                             \
    }

void *vec_grow(Arena *a, void *data, size_t n, size_t *cap, size_t size);

#define vec_push(a, v, item)                                                                       \
    do {                                                                                           \
        if ((v)->n == (v)->cap)                                                                    \
            (v)->data = vec_grow((a), (v)->data, (v)->n, &(v)->cap, sizeof *(v)->data);            \
        (v)->data[(v)->n++] = (item);                                                              \
    } while (0)

#endif
