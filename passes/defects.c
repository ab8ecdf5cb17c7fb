// SPDX-License-Identifier: Apache-2.0
// passes/defects.c - dead cores and links to runs, runs to keep-outs of the planner.
//
// Keep-outs: missing columns are intervals of rows. An interval that meets one of the row above
// belongs to the same box, which grows around both; as rows differ by a few shifts only, boxes
// are little larger than what is missing, and the checker judges by single cores. Linear in
// runs, but for the boxes that are open in a row.
#include "passes/defects.h"

#include <string.h>

#define NOWHERE ((Span){0, 0, 0})

static bool bit(const uint64_t *bits, size_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

static void add_links(Arena *a, const Machine *m, const DefectList *list, Defects *d)
{
    ArenaMark before = arena_mark(a);
    size_t width = (size_t)m->width + m->spare_columns, cores = width * m->height;
    uint64_t *dead = arena_array(a, uint64_t, cores / 64 + 1);
    uint32_t *in_row = arena_array(a, uint32_t, m->height);
    uint32_t n = d->n;

    for (uint32_t i = 0; i < n; i++) {
        const DefectRun *r = &d->runs[i];
        in_row[r->y] += r->n;
        for (size_t k = r->y * width + r->x; k < r->y * width + r->x + r->n; k++)
            dead[k / 64] |= (uint64_t)1 << k % 64;
    }
    for (size_t i = 0; i < list->links.n; i++) {
        const DeadLink *l = &list->links.data[i];
        uint32_t x = l->x + (uint32_t)side_dx(l->side), y = l->y + (uint32_t)side_dy(l->side);
        if (bit(dead, l->y * width + l->x) || bit(dead, y * width + x))
            continue;
        bool other = in_row[y] < in_row[l->y];
        DefectRun r = {(uint16_t)(other ? y : l->y), (uint16_t)(other ? x : l->x), 1};
        size_t k = r.y * width + r.x;
        dead[k / 64] |= (uint64_t)1 << k % 64;
        in_row[r.y]++;
        d->runs[d->n++] = r;
    }
    arena_rewind(a, before);
    defects_normalise(d);
}

void defects_from_list(Arena *a, const Machine *m, const DefectList *list, Defects *result)
{
    result->n = (uint32_t)list->runs.n;
    result->runs = arena_array(a, DefectRun, list->runs.n + list->links.n);
    if (list->runs.n > 0)
        memcpy(result->runs, list->runs.data, list->runs.n * sizeof *result->runs);
    defects_normalise(result);
    if (list->links.n > 0)
        add_links(a, m, list, result);
}

/* A number with this mean. */
static uint32_t draw_count(Rng *rng, double mean)
{
    return (uint32_t)(mean + rng_unit(rng));
}

void defects_random(Arena *a, const Machine *m, uint64_t seed, double rate, Defects *result)
{
    DefectList list = {0};
    Rng rng = {seed};
    uint32_t width = m->width + m->spare_columns, height = m->height;
    double cores = (double)width * height;
    uint32_t n_cores = draw_count(&rng, rate * cores),
             n_links = draw_count(&rng, rate * cores / 10);

    for (uint32_t i = 0; i < n_cores; i++) {
        DefectRun r = {(uint16_t)rng_below(&rng, height), (uint16_t)rng_below(&rng, width), 1};
        vec_push(a, &list.runs, r);
    }
    for (uint32_t i = 0; i < n_links && width > 1 && height > 1; i++) {
        DeadLink l = {rng_below(&rng, width - 1), rng_below(&rng, height - 1),
                      rng_below(&rng, 2) ? SIDE_E : SIDE_S};
        vec_push(a, &list.links, l);
    }
    uint32_t side = DEFECT_SKIP + 1 + rng_below(&rng, DEFECTS_HOLE_MOST - DEFECT_SKIP);
    bool hole = rng_below(&rng, DEFECTS_HOLE_CHANCE) == 0 && side <= width && side <= height;
    uint32_t x = hole ? rng_below(&rng, width - side + 1) : 0;
    uint32_t y = hole ? rng_below(&rng, height - side + 1) : 0;
    for (uint32_t i = 0; hole && i < side; i++) {
        DefectRun r = {(uint16_t)(y + i), (uint16_t)x, (uint16_t)side};
        vec_push(a, &list.runs, r);
    }
    defects_from_list(a, m, &list, result);
}

typedef struct Missing { /* columns x0 .. x1 - 1 of a row; or the rows of a box so far */
    uint32_t x0, x1, y0, y1;
    bool hole; /* else the end of a row */
} Missing;

typedef struct Boxes {
    Arena *arena;
    const Machine *machine;
    Plan *plan;
    VEC(Missing) open; /* that reach the row above, or this one */
} Boxes;

static bool close_box(Boxes *b, const Missing *m)
{
    const char *why =
        m->hole ? arena_printf(b->arena, "hole of %u x %u dead cores", m->x1 - m->x0, m->y1 - m->y0)
                : arena_printf(b->arena, "rows %u to %u: up to %u more dead cores than spares",
                               m->y0, m->y1 - 1, m->x1 - m->x0);
    KeepOut k = {m->x0, m->y0, m->x1 - m->x0, m->y1 - m->y0, true, why};
    if (b->plan->keepouts.n >= DEFECTS_MAX_KEEPOUTS)
        return false;
    vec_push(b->arena, &b->plan->keepouts, k);
    return true;
}

static void add_missing(Boxes *b, Missing m)
{
    for (size_t i = 0; i < b->open.n; i++) {
        Missing *o = &b->open.data[i];
        if (m.x0 >= o->x1 || o->x0 >= m.x1 || m.hole != o->hole)
            continue;
        o->x0 = m.x0 < o->x0 ? m.x0 : o->x0;
        o->x1 = m.x1 > o->x1 ? m.x1 : o->x1;
        o->y1 = m.y1;
        return;
    }
    vec_push(b->arena, &b->open, m);
}

/* Closes the boxes that end above row y. */
static bool close_above(Boxes *b, uint32_t y)
{
    size_t n = 0;
    for (size_t i = 0; i < b->open.n; i++) {
        Missing m = b->open.data[i];
        if (m.y1 > y)
            b->open.data[n++] = m;
        else if (!close_box(b, &m))
            return false;
    }
    b->open.n = n;
    return true;
}

static bool add_keepouts(Boxes *b, const DefectMap *map)
{
    uint32_t width = b->machine->width;

    for (uint32_t y = 0; y < b->machine->height; y++) {
        for (uint32_t k = map->row[y]; k < map->row[y + 1]; k++) {
            const DefectMark *mark = &map->marks[k];
            uint32_t end = (uint32_t)mark->at + mark->missing;
            bool last = k + 1 == map->row[y + 1] && mark->shift > b->machine->spare_columns;
            if (mark->missing == 0 || mark->at >= width)
                continue;
            add_missing(b, (Missing){mark->at, end < width ? end : width, y, y + 1, !last});
        }
        if (!close_above(b, y) || b->open.n > DEFECTS_MAX_KEEPOUTS)
            return false;
    }
    return close_above(b, UINT32_MAX);
}

static bool any_core(const Machine *m, const DefectMap *map)
{
    for (uint32_t y = 0; y < m->height; y++) {
        uint32_t missing = 0;
        for (uint32_t k = map->row[y]; k < map->row[y + 1] && map->marks[k].at < m->width; k++) {
            uint32_t end = (uint32_t)map->marks[k].at + map->marks[k].missing;
            missing += (end < m->width ? end : m->width) - map->marks[k].at;
        }
        if (missing < m->width)
            return true;
    }
    return false;
}

bool plan_set_defects(Diag *d, Plan *plan, const Defects *defects)
{
    Boxes b = {.arena = plan->arena, .machine = plan->machine, .plan = plan};
    const DefectMap *map = defects ? defect_map(plan->arena, plan->machine, defects) : NULL;

    if (!map)
        return true;
    plan->defects = defects;
    if (!any_core(plan->machine, map))
        return diag_infeasible(d, NOWHERE, "no core of this wafer works");
    if (!add_keepouts(&b, map))
        return diag_infeasible(d, NOWHERE,
                               "this wafer has more than %d separate holes and ends of rows "
                               "without cores; the planner works around so many at most",
                               DEFECTS_MAX_KEEPOUTS);
    return true;
}
