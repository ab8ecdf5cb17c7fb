// SPDX-License-Identifier: Apache-2.0
// runtime/format/defects.c - from dead cores to shifts and missing columns.
//
// Each run becomes a mark, and so does the end of a row that shifts by more than its spares.
// Marks of a row stand at growing columns, as runs are apart. Linear in the runs; sorting them
// is n log n; a question is a bisection of one row.
#include "runtime/format/defects.h"

#include <stdlib.h>

static uint32_t physical_width(const Machine *m)
{
    return m->width + m->spare_columns;
}

bool defects_sound(const Machine *m, const Defects *d, uint32_t *run)
{
    for (*run = 0; *run < d->n; ++*run) {
        const DefectRun *r = &d->runs[*run], *before = r - 1;
        if (r->n == 0 || r->y >= m->height || (uint32_t)r->x + r->n > physical_width(m))
            return false;
        if (*run > 0 &&
            (before->y > r->y || (before->y == r->y && (uint32_t)before->x + before->n >= r->x)))
            return false;
    }
    return true;
}

static int by_place(const void *a, const void *b)
{
    const DefectRun *p = a, *q = b;
    if (p->y != q->y)
        return p->y < q->y ? -1 : 1;
    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    return p->n < q->n ? -1 : p->n > q->n;
}

void defects_normalise(Defects *d)
{
    uint32_t n = 0;

    if (d->n == 0)
        return;
    qsort(d->runs, d->n, sizeof *d->runs, by_place);
    for (uint32_t i = 1; i < d->n; i++) {
        DefectRun *last = &d->runs[n];
        const DefectRun *r = &d->runs[i];
        uint32_t end = (uint32_t)last->x + last->n;
        if (r->y != last->y || r->x > end)
            d->runs[++n] = *r;
        else if ((uint32_t)r->x + r->n > end)
            last->n = (uint16_t)(r->x + r->n - last->x);
    }
    d->n = n + 1;
}

const DefectMap *defect_map(Arena *a, const Machine *m, const Defects *d)
{
    uint32_t n = 0, k = 0;

    if (d->n == 0)
        return NULL;
    DefectMap *map = arena_new(a, DefectMap);
    map->height = m->height;
    map->row = arena_array(a, uint32_t, (size_t)m->height + 1);
    map->marks = arena_array(a, DefectMark, (size_t)d->n + m->height);
    for (uint32_t y = 0; y < m->height; y++) {
        uint32_t shift = 0;
        map->row[y] = n;
        for (; k < d->n && d->runs[k].y == y; k++) {
            const DefectRun *r = &d->runs[k];
            DefectMark *mark = &map->marks[n++];
            mark->at = (uint16_t)(r->x - shift);
            if (r->n <= DEFECT_SKIP)
                shift += r->n;
            else
                mark->missing = r->n;
            mark->shift = (uint16_t)shift;
        }
        if (shift > m->spare_columns) {
            DefectMark end = {.at = (uint16_t)(physical_width(m) - shift),
                              .shift = (uint16_t)shift,
                              .missing = (uint16_t)(shift - m->spare_columns)};
            map->marks[n++] = end;
        }
    }
    map->row[m->height] = n;
    return map;
}

// The last mark of row y that does not stand after column x; NULL if there is none.
static const DefectMark *mark_at(const DefectMap *map, uint32_t x, uint32_t y)
{
    uint32_t first = map->row[y], low = first, high = map->row[y + 1];

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (map->marks[middle].at <= x)
            low = middle + 1;
        else
            high = middle;
    }
    return low > first ? &map->marks[low - 1] : NULL;
}

uint32_t defect_shift(const DefectMap *map, uint32_t x, uint32_t y)
{
    const DefectMark *mark = map ? mark_at(map, x, y) : NULL;
    return mark ? mark->shift : 0;
}

bool defect_missing(const DefectMap *map, uint32_t x, uint32_t y)
{
    const DefectMark *mark = map ? mark_at(map, x, y) : NULL;
    return mark && x - mark->at < mark->missing;
}

uint32_t defect_hops(const DefectMap *map, uint32_t x0, uint32_t y0, uint32_t x1, uint32_t y1)
{
    uint32_t p = defect_shift(map, x0, y0), q = defect_shift(map, x1, y1);
    return 1 + (p > q ? p - q : q - p);
}
