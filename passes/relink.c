// SPDX-License-Identifier: Apache-2.0
// passes/relink.c - new places and ways for a finished plan whose wafer has holes.
//
// The planner's own passes, with the plan as it stands as the earlier placement: kernels keep
// shapes and mirrors, their programs are made for them; those on missing cores move and turn
// first, then those around them, ring by ring, then all (place.c, which judges by routing).
// Costs are those of placing and routing.
#include "passes/defects.h"
#include "passes/arrange.h"

static EarlierPlacement *as_it_stands(const Plan *plan)
{
    EarlierPlacement *e = arena_new(plan->arena, EarlierPlacement);
    for (size_t i = 0; i < plan->kernels.n; i++) {
        EarlierKernel was = plan_as_earlier(plan, plan->kernels.data[i]);
        vec_push(plan->arena, &e->kernels, was);
    }
    return e;
}

static void explain(Diag *d, const Plan *plan, const EarlierPlacement *before)
{
    diag_note(d, (Span){0, 0, 0},
              "kernels of an image keep their shapes; a new compile may choose others");
    for (size_t i = 0; i < plan->kernels.n; i++) {
        const EarlierKernel *k = &before->kernels.data[i];
        for (size_t n = 0; n < plan->keepouts.n; n++) {
            const KeepOut *o = &plan->keepouts.data[n];
            if (k->x < o->x + o->w && o->x < k->x + k->w && k->y < o->y + o->h &&
                o->y < k->y + k->h)
                diag_note(d, plan->kernels.data[i]->span,
                          "kernel '%s' of %u x %u cores at (%u, %u) stands on: %s at (%u, %u)",
                          k->name, k->w, k->h, k->x, k->y, o->why, o->x, o->y);
        }
    }
}

bool plan_relink(Diag *d, Plan *plan, uint32_t *n_moved)
{
    PassContext cx = {.diag = d, .plan = plan, .machine = plan->machine, .arena = plan->arena};
    EarlierPlacement *before = as_it_stands(plan);
    uint32_t *order = arena_array(plan->arena, uint32_t, plan->kernels.n);
    cx.options.earlier = before;
    if (plan_order(plan, true, order) < plan->kernels.n)
        return diag_error(d, (Span){0, 0, 0},
                          "kernels of the image feed each other in a circle; it was not written "
                          "by this version of wsec");
    if (!pass_place(&cx) || !pass_route(&cx)) {
        explain(d, plan, before);
        return false;
    }
    *n_moved = 0;
    for (size_t i = 0; i < plan->kernels.n; i++) {
        const Kernel *k = plan->kernels.data[i];
        const EarlierKernel *was = &before->kernels.data[i];
        *n_moved += k->x != was->x || k->y != was->y || k->turn != was->turn;
    }
    return true;
}
