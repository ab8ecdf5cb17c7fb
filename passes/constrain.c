/* SPDX-License-Identifier: Apache-2.0 */
/* passes/constrain.c - the effect of constraints and of an earlier placement on shapes.
 *
 * Constraints and kernels to be kept where they were leave fewer shapes to choose from. What
 * cannot hold is reported with all that is in conflict. Of an earlier placement a kernel is
 * kept if its name, its kind and its shape are still there and the shape is fast enough for
 * the network as it is now. O(constraints x kernels + shapes); of an earlier placement
 * O(kernels^2). */
#include <inttypes.h>
#include <string.h>

#include "passes/sizing.h"

bool sizing_pin_takes(const Plan *plan, const Pin *p, const Shape *s, Box *box)
{
    const Machine *m = plan->machine;
    for (unsigned turn = 0; turn < 2; turn++) {
        uint32_t w = turn ? s->h : s->w, h = turn ? s->w : s->h;
        if ((p->has_turn && p->turn % 2 != turn) || (p->has_size && (p->w != w || p->h != h)) ||
            p->x + w > m->width || p->y + h > m->height)
            continue;
        *box =
            (Box){(int32_t)p->x, (int32_t)p->y, (int32_t)(p->x + w) - 1, (int32_t)(p->y + h) - 1};
        return true;
    }
    return false;
}

/* Shapes of a kernel that its constraints leave; reports if there are none. */
static bool allow(Sizing *z, uint32_t k, const Pin *pin, const AreaLimit *area)
{
    Choice *c = &z->choice[k];
    const ShapeVec *shapes = &c->class_of->shapes;
    uint8_t *allowed = arena_array(z->arena, uint8_t, shapes->n);
    uint32_t left = 0, small = UINT32_MAX;
    const KeepOut *hit = NULL;
    bool fits = false;
    for (size_t i = 0; i < shapes->n; i++) {
        const Shape *s = &shapes->data[i];
        Box b;
        small = s->w * s->h < small ? s->w * s->h : small;
        if (area && s->w * s->h > area->max_cores)
            continue;
        bool good = !pin || sizing_pin_takes(z->plan, pin, s, &b);
        fits = fits || good;
        for (size_t o = 0; o < z->plan->keepouts.n && good && pin; o++)
            if (box_meet(b, keepout_box(&z->plan->keepouts.data[o]))) {
                hit = &z->plan->keepouts.data[o];
                good = false;
            }
        allowed[i] = good;
        left += good;
    }
    c->allowed = allowed;
    if (left)
        return true;
    const char *name = c->kernel->name;
    const Machine *m = z->cx->machine;
    Diag *d = z->cx->diag;
    if (area && area->max_cores < small)
        diag_infeasible(d, area->span,
                        "kernel '%s' may take %u cores at most; its smallest shape takes %u", name,
                        area->max_cores, small);
    else if (pin && hit)
        diag_infeasible(d, pin->span, "kernel '%s' is pinned to (%u, %u), on %s", name, pin->x,
                        pin->y, hit->why);
    else if (pin && pin->has_size)
        diag_infeasible(d, pin->span,
                        "kernel '%s' is pinned to %u x %u cores at (%u, %u) of %u x %u%s: no shape "
                        "of it is like that",
                        name, pin->w, pin->h, pin->x, pin->y, m->width, m->height,
                        area ? " and its area limited" : "");
    else if (pin)
        diag_infeasible(d, pin->span,
                        "kernel '%s' is pinned to (%u, %u) of %u x %u: no shape of it ends on the "
                        "fabric%s",
                        name, pin->x, pin->y, m->width, m->height,
                        area ? " within its limited area" : "");
    if (pin && area && area->max_cores >= small)
        diag_note(d, area->span, "kernel '%s' may take %u cores at most", name, area->max_cores);
    return false;
}

void sizing_note_pins(const Sizing *z)
{
    for (uint32_t k = 0; k < z->n; k++) {
        const Pin *pin = z->choice[k].kernel->pin;
        if (pin && pin->has_size)
            diag_note(z->cx->diag, pin->span, "kernel '%s' is pinned to %u x %u cores", pin->kernel,
                      pin->w, pin->h);
    }
}

/* Pins with a size take that in any case. */
static bool pins_in_limit(Sizing *z)
{
    Diag *d = z->cx->diag;
    uint32_t limit = plan_core_limit(z->cx);
    uint64_t cores = 0;
    unsigned n = 0;
    const Pin *first = NULL;
    for (uint32_t k = 0; k < z->n; k++) {
        const Pin *pin = z->choice[k].kernel->pin;
        if (!pin || !pin->has_size)
            continue;
        cores += (uint64_t)pin->w * pin->h;
        first = n++ ? first : pin;
    }
    if (cores <= limit)
        return true;
    if (n == 1)
        return diag_infeasible(d, first->span,
                               "kernel '%s' is pinned to %u x %u = %" PRIu64
                               " cores, more than --max-cores=%u",
                               first->kernel, first->w, first->h, cores, limit);
    diag_infeasible(d, first->span,
                    "%u kernels are pinned to %" PRIu64 " cores in all, more than --max-cores=%u",
                    n, cores, limit);
    sizing_note_pins(z);
    return false;
}

bool sizing_constrain(Sizing *z)
{
    bool good = true;
    if (!pins_in_limit(z))
        return false;
    for (uint32_t k = 0; k < z->n; k++) {
        const Kernel *kernel = z->choice[k].kernel;
        z->choice[k].allowed = NULL;
        if (kernel->pin || kernel->area)
            good = allow(z, k, kernel->pin, kernel->area) && good;
    }
    return good;
}

/* ---- an earlier placement ---- */

/* Adapters go by what they stand between, and where several do by their order. */
static const char *lasting_name(const Plan *p, const Kernel *k)
{
    return k->kind == KERNEL_ADAPTER ? p->streams.data[k->in[0]]->name : k->name;
}

EarlierKernel plan_as_earlier(const Plan *p, const Kernel *k)
{
    EarlierKernel e = {.name = k->name,
                       .kind = kernel_kind_text(k->kind),
                       .stream = k->n_in ? p->streams.data[k->in[0]]->name : "",
                       .x = k->x,
                       .y = k->y,
                       .turn = k->turn,
                       .mirror = k->mirror,
                       .lanes_in = k->shape.lanes_in,
                       .lanes_out = k->shape.lanes_out,
                       .split = k->shape.split};
    plan_extent(k, &e.w, &e.h);
    return e;
}

const EarlierKernel *plan_earlier(const PassContext *cx, const Kernel *k)
{
    const EarlierPlacement *e = cx->options.earlier;
    const Plan *p = cx->plan;
    bool adapter = k->kind == KERNEL_ADAPTER;
    const char *name = lasting_name(p, k);
    unsigned before = 0;
    for (size_t i = 0; e && adapter && i < k->id; i++)
        before += p->kernels.data[i]->kind == KERNEL_ADAPTER &&
                  strcmp(lasting_name(p, p->kernels.data[i]), name) == 0;
    for (size_t i = 0; e && i < e->kernels.n; i++) {
        const EarlierKernel *was = &e->kernels.data[i];
        if (strcmp(was->kind, kernel_kind_text(k->kind)) == 0 &&
            strcmp(adapter ? was->stream : was->name, name) == 0 && before-- == 0)
            return was;
    }
    return NULL;
}

bool plan_same_shape(const EarlierKernel *e, const Shape *s)
{
    bool turned = e->turn % 2;
    return e->lanes_in == s->lanes_in && e->lanes_out == s->lanes_out && e->split == s->split &&
           (turned ? e->h : e->w) == s->w && (turned ? e->w : e->h) == s->h;
}

/* Keeps shapes that were there and take at most T; where lanes then do not join, neighbors of
 * what is new are let go, then all. */
bool sizing_keep(Sizing *z, uint64_t T)
{
    if (!z->cx->options.earlier)
        return false;
    const uint8_t **before = arena_array(z->arena, const uint8_t *, z->n);
    int32_t *kept = arena_array(z->arena, int32_t, z->n);
    for (uint32_t k = 0; k < z->n; k++) {
        const Choice *c = &z->choice[k];
        const EarlierKernel *e = plan_earlier(z->cx, c->kernel);
        before[k] = c->allowed;
        kept[k] = -1;
        for (size_t i = 0; e && i < c->class_of->shapes.n; i++)
            if (plan_same_shape(e, &c->class_of->shapes.data[i]) &&
                c->class_of->shapes.data[i].cycles <= T && (!before[k] || before[k][i]))
                kept[k] = (int32_t)i;
    }
    uint64_t cores;
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t k = 0; k < z->n; k++) {
            Choice *c = &z->choice[k];
            bool keep = kept[k] >= 0 && round < 2;
            for (uint32_t i = 0; keep && round == 1 && i < c->kernel->n_in + c->kernel->n_out;
                 i++) {
                bool in = i < c->kernel->n_in;
                uint32_t id = in ? c->kernel->in[i] : c->kernel->out[i - c->kernel->n_in];
                const Stream *s = z->plan->streams.data[id];
                int32_t other = in ? s->from : s->to;
                keep = other == PLAN_HOST || kept[other] >= 0;
            }
            c->allowed = before[k];
            if (!keep)
                continue;
            uint8_t *only = arena_array(z->arena, uint8_t, c->class_of->shapes.n);
            only[kept[k]] = 1;
            c->allowed = only;
        }
        if (sizing_solve(z, T, &cores) < SIZE_NEVER && cores <= plan_core_limit(z->cx))
            return round < 2;
    }
    return false;
}
