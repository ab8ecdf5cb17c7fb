// SPDX-License-Identifier: Apache-2.0
// Constraints and the kernels they name: who is meant, and what contradicts what.
//
// Each kernel gets its pin and its area; keep-outs go to those of the plan. What can be seen from
// the constraints alone is reported here, before anything is planned: names of no kernel, pins on
// each other, on keep-outs or dead cores, pins larger than their area, keep-outs that leave fewer
// cores than there are kernels. Pins times what they may meet; both are few.
#include <stdlib.h>
#include <string.h>

#include "ir/support/text.h"
#include "passes/defects.h"
#include "passes/planner.h"

static Kernel *find_kernel(const Plan *p, const char *name)
{
    for (size_t i = 0; i < p->kernels.n; i++)
        if (strcmp(p->kernels.data[i]->name, name) == 0)
            return p->kernels.data[i];
    return NULL;
}

static void unknown_kernel(Diag *d, const Plan *p, Span at, const char *name)
{
    enum { MOST = 16 };
    size_t n = p->kernels.n;
    Arena a = {0};
    const char **known = arena_array(&a, const char *, n + 1);
    Text list = {0};
    for (size_t i = 0; i < n; i++) {
        known[i] = p->kernels.data[i]->name;
        if (i < MOST)
            text_printf(&list, "%s%s", i ? ", " : "", known[i]);
    }
    const char *near = text_nearest(name, known, n);
    if (near)
        diag_error(d, at, "unknown kernel '%.64s', did you mean '%s'?", name, near);
    else
        diag_error(d, at, "unknown kernel '%.64s'", name);
    if (!near)
        diag_note(d, at, "kernels are: %s%s", list.data ? list.data : "none",
                  n > MOST ? " ..." : "");
    text_free(&list);
    arena_free(&a);
}

// Its region, or of an extent that is free, the corner.
static Box pin_box(const Pin *p)
{
    return (Box){(int32_t)p->x, (int32_t)p->y, (int32_t)(p->x + (p->has_size ? p->w : 1)) - 1,
                 (int32_t)(p->y + (p->has_size ? p->h : 1)) - 1};
}

static void check_areas(Diag *d, const Plan *p)
{
    for (size_t i = 0; i < p->kernels.n; i++) {
        const Kernel *k = p->kernels.data[i];
        if (!k->pin || !k->area || !k->pin->has_size)
            continue;
        if (k->pin->w * k->pin->h <= k->area->max_cores)
            continue;
        diag_infeasible(d, k->pin->span, "kernel '%.64s' is pinned to %u cores, its area is %u",
                        k->name, k->pin->w * k->pin->h, k->area->max_cores);
        diag_note(d, k->area->span, "the area of '%.64s'", k->name);
    }
}

static void check_pins(Diag *d, const Plan *p, const Constraints *c)
{
    for (size_t i = 0; i < c->pins.n; i++) {
        const Pin *pin = &c->pins.data[i];
        Box at = pin_box(pin);
        for (size_t k = 0; k < i; k++) {
            const Pin *other = &c->pins.data[k];
            if (!box_meet(at, pin_box(other)))
                continue;
            diag_infeasible(d, pin->span, "the pins of kernels '%.64s' and '%.64s' overlap",
                            other->kernel, pin->kernel);
            diag_note(d, other->span, "the pin of '%.64s'", other->kernel);
        }
        for (size_t k = 0; k < p->keepouts.n; k++) {
            const KeepOut *o = &p->keepouts.data[k];
            if (box_meet(at, keepout_box(o)))
                diag_infeasible(d, pin->span,
                                "the pin of kernel '%.64s' takes cores of (%u, %u) .. (%u, %u), %s",
                                pin->kernel, o->x, o->y, o->x + o->w - 1, o->y + o->h - 1, o->why);
        }
    }
}

// ---- keep-outs and the room that they leave ----

static int by_column(const void *a, const void *b)
{
    const KeepOut *p = a, *q = b;
    return (p->x > q->x) - (p->x < q->x);
}

uint32_t plan_free_cores(const Plan *p)
{
    Arena a = {0};
    uint32_t cores = p->machine->width * p->machine->height;
    KeepOut *all = arena_array(&a, KeepOut, p->keepouts.n + 1);
    for (size_t i = 0; i < p->keepouts.n; i++)
        all[i] = p->keepouts.data[i];
    qsort(all, p->keepouts.n, sizeof *all, by_column);
    for (uint32_t y = 0; y < p->machine->height; y++) {
        uint32_t seen = 0; // columns of this row; keep-outs may overlap
        for (size_t i = 0; i < p->keepouts.n; i++) {
            const KeepOut *k = &all[i];
            if (y < k->y || y >= k->y + k->h || k->x + k->w <= seen)
                continue;
            cores -= k->x + k->w - (k->x > seen ? k->x : seen);
            seen = k->x + k->w;
        }
    }
    arena_free(&a);
    return cores;
}

const char *plan_keepouts_text(const Plan *p)
{
    bool dead = false, wished = false;
    for (size_t i = 0; i < p->keepouts.n; i++)
        *(p->keepouts.data[i].dead ? &dead : &wished) = true;
    return dead && wished ? "keep-outs and dead cores" : dead ? "dead cores" : "keep-outs";
}

void plan_note_keepouts(Diag *d, const Constraints *c)
{
    enum { MOST = 8 };
    for (size_t i = 0; c && i < c->keepouts.n && i < MOST; i++) {
        const KeepOutWish *o = &c->keepouts.data[i];
        diag_note(d, o->span, "keep-out%s%.64s%s takes %u x %u cores", *o->name ? " '" : "",
                  o->name, *o->name ? "'" : "", o->w, o->h);
    }
    if (c && c->keepouts.n > MOST)
        diag_note(d, c->keepouts.data[MOST].span, "and %zu keep-outs from here on",
                  c->keepouts.n - MOST);
}

static void check_room(Diag *d, const Plan *p, const Constraints *c)
{
    uint32_t room = plan_free_cores(p);
    if (room >= p->kernels.n)
        return;
    diag_infeasible(
        d, (Span){0, 0, 0}, "%s leave %u of %u x %u cores; %zu kernels need a core each at least",
        plan_keepouts_text(p), room, p->machine->width, p->machine->height, p->kernels.n);
    plan_note_keepouts(d, c);
}

bool constraints_apply(Diag *d, Plan *plan, const Constraints *c)
{
    unsigned before = d->n_errors;
    for (size_t i = 0; i < c->pins.n; i++) {
        const Pin *pin = &c->pins.data[i];
        Kernel *k = find_kernel(plan, pin->kernel);
        if (k)
            k->pin = pin;
        else
            unknown_kernel(d, plan, pin->span, pin->kernel);
    }
    for (size_t i = 0; i < c->areas.n; i++) {
        const AreaLimit *area = &c->areas.data[i];
        Kernel *k = find_kernel(plan, area->kernel);
        if (k)
            k->area = area;
        else
            unknown_kernel(d, plan, area->span, area->kernel);
    }
    for (size_t i = 0; i < c->keepouts.n; i++) {
        const KeepOutWish *o = &c->keepouts.data[i];
        const char *why =
            *o->name ? arena_printf(plan->arena, "keep-out '%.64s'", o->name) : "a keep-out";
        vec_push(plan->arena, &plan->keepouts, ((KeepOut){o->x, o->y, o->w, o->h, false, why}));
    }
    if (plan->keepouts.n > DEFECTS_MAX_KEEPOUTS)
        return diag_error(d, c->keepouts.data[0].span, "%zu keep-outs, at most %d are handled",
                          plan->keepouts.n, DEFECTS_MAX_KEEPOUTS);
    if (d->n_errors == before) {
        check_areas(d, plan);
        check_pins(d, plan, c);
        check_room(d, plan, c);
    }
    return d->n_errors == before;
}
