/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/insert.c - maximal empty rectangles (Jylanki, "A thousand ways to pack the bin",
 * 2010, MAXRECTS): every fixed rectangle cuts the empty ones that it meets into up to four,
 * and those that lie in another are dropped. A piece touches what cut it, and so does a hole that
 * it lies in. O(fixed x holes), and for the holes that touch a rectangle their number squared. */
#include "passes/pack/insert.h"

#include <stdlib.h>

static bool holds(PackRect a, PackRect b)
{
    return a.x <= b.x && a.y <= b.y && a.x + a.w >= b.x + b.w && a.y + a.h >= b.y + b.h;
}

static bool meet(PackRect a, PackRect b)
{
    return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

static void add_piece(Arena *a, PackHoles *holes, PackRect r)
{
    if (r.w > 0 && r.h > 0)
        vec_push(a, &holes->pieces, r);
}

static void cut(Arena *a, PackHoles *q, PackRect hole, PackRect by)
{
    add_piece(a, q, (PackRect){hole.x, hole.y, by.x - hole.x, hole.h});
    add_piece(a, q, (PackRect){by.x + by.w, hole.y, hole.x + hole.w - by.x - by.w, hole.h});
    add_piece(a, q, (PackRect){hole.x, hole.y, hole.w, by.y - hole.y});
    add_piece(a, q, (PackRect){hole.x, by.y + by.h, hole.w, hole.y + hole.h - by.y - by.h});
}

void pack_occupy(Arena *a, PackHoles *q, PackRect by)
{
    const PackRect reach = {by.x - 1, by.y - 1, by.w + 2, by.h + 2};
    size_t kept = 0;
    q->pieces.n = q->beside.n = 0;
    for (size_t k = 0; k < q->free.n; k++) {
        PackRect r = q->free.data[k];
        if (meet(r, by)) {
            cut(a, q, r, by);
            continue;
        }
        q->free.data[kept++] = r;
        if (meet(r, reach))
            vec_push(a, &q->beside, r);
    }
    q->free.n = kept;
    for (size_t k = 0; k < q->pieces.n; k++) {
        PackRect r = q->pieces.data[k];
        bool lies = false;
        for (size_t j = 0; j < q->pieces.n && !lies; j++)
            lies = j != k && holds(q->pieces.data[j], r) && (j < k || !holds(r, q->pieces.data[j]));
        for (size_t j = 0; j < q->beside.n && !lies; j++)
            lies = holds(q->beside.data[j], r);
        if (!lies)
            vec_push(a, &q->free, r);
    }
}

uint32_t pack_holes(Arena *a, int32_t w, int32_t h, const PackRect *fixed, uint32_t n,
                    PackRect **result)
{
    PackHoles holes = {0};
    vec_push(a, &holes.free, ((PackRect){0, 0, w, h}));
    for (uint32_t i = 0; i < n; i++)
        pack_occupy(a, &holes, fixed[i]);
    *result = holes.free.data;
    return (uint32_t)holes.free.n;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The median of the points along an axis, as a corner of the box within the hole. */
static int32_t median(const PackTerminal *points, uint32_t n, bool along_x, int32_t at,
                      int32_t free, int32_t size)
{
    enum { MOST = 64 };
    double v[MOST];
    uint32_t count = 0;
    for (uint32_t i = 0; i < n && count < MOST; i++)
        if (!(along_x ? points[i].any_x : points[i].any_y))
            v[count++] = along_x ? points[i].x : points[i].y;
    if (count == 0)
        return at;
    qsort(v, count, sizeof *v, by_value);
    double want = v[count / 2] - (size - 1) / 2.0 - at;
    return want <= 0 ? at : want >= free ? at + free : at + (int32_t)want;
}

void pack_nearest(PackRect hole, int32_t w, int32_t h, const PackTerminal *points, uint32_t n,
                  int32_t *x, int32_t *y)
{
    *x = median(points, n, true, hole.x, hole.w - w, w);
    *y = median(points, n, false, hole.y, hole.h - h, h);
}
