/* SPDX-License-Identifier: Apache-2.0 */
/* passes/place.c - rectangles on the fabric, with the router as the judge.
 *
 * Where kernels stand is found by arrange.c from what streams would about cost, then all
 * streams are routed. A stream that finds no way gets more room for its turns
 * and all begins anew, a bounded number of times. A network that takes a good part of the fabric
 * fills it in rows (wave.c), if that is faster. What was found is a start for the engine of
 * passes/pack, which chooses shapes and places anew (kernel_model.c); what it comes to is taken
 * if it is no slower, takes no more cores, costs less in streams, and routes. What still has no
 * place is sized for fewer cores, as long as that is faster than the rows; for few kernels the
 * engine itself chooses shapes, for one time after the other. With an earlier placement kernels
 * stay where they were; where that does not do, those around what is new are let go, ring by ring.
 */
#include <inttypes.h>
#include <string.h>

#include "passes/arrange.h"

enum { TRIES = 6, ROUNDS = 8, RINGS = 4, MANY = 1000, TESTED = 400, TESTS = 400 };
enum { SHRINKS = 16 };                                /* sizes that are tried */
enum { FEW = 16, CLIMB_STEPS = 64, SLACK_PARTS = 4 }; /* kernels; from one time to the next */
enum { GOOD_PART = 8 };                               /* of the fabric, and keep-outs are named */

/* The ways found were trials; routing finds them anew. */
static void clear_ways(Plan *plan)
{
    for (size_t i = 0; i < plan->streams.n; i++) {
        Stream *s = plan->streams.data[i];
        s->start_x = s->start_y = s->port_y = NULL;
        s->segments = NULL;
        s->n_segments = 0;
        if (!s->color_fixed)
            s->color = 0;
    }
}

bool plan_routed(Plan *plan, uint64_t limit, RouteFailure *failure)
{
    Arena a = {0};
    Router *r = NULL;
    bool good = plan_route(plan, &a, limit, &r);
    *failure = r->failure;
    if (good && plan->sizing && plan->sizing->once) /* where trees were counted on */
        good = plan_routed_target(plan) <= plan_target(plan);
    clear_ways(plan);
    arena_free(&a);
    return good;
}

typedef struct PlaceFailure {
    const Kernel *pinned; /* has no place at its pin */
    bool routed;          /* there was a placement, but no ways */
    RouteFailure route;
} PlaceFailure;

/* A plan's choice of shapes, and where its kernels stand. */
typedef struct Standing {
    uint32_t *chosen; /* by kernel that is no adapter; NULL: shapes stay */
    Kernel *kernels;
    uint32_t in_lanes, out_lanes; /* of the host */
    const uint32_t *narrow;
    bool once;
    const char *why; /* it is not faster */
    uint64_t cycles, cores, cost;
} Standing;

static Standing take_down(Arena *a, const Plan *plan, uint64_t cost)
{
    const Sizing *z = plan->sizing;
    Standing s = {.kernels = arena_array(a, Kernel, plan->kernels.n),
                  .why = plan->why,
                  .cycles = plan_target(plan),
                  .cores = plan_cores(plan),
                  .cost = cost};
    for (size_t i = 0; i < plan->kernels.n; i++)
        s.kernels[i] = *plan->kernels.data[i];
    if (!z)
        return s;
    s.chosen = arena_array(a, uint32_t, z->n);
    s.in_lanes = z->in_lanes;
    s.out_lanes = z->out_lanes;
    s.narrow = z->narrow;
    s.once = z->once;
    for (uint32_t k = 0; k < z->n; k++)
        s.chosen[k] = z->choice[k].chosen;
    return s;
}

static void put_back(Plan *plan, const Standing *s)
{
    Sizing *z = plan->sizing;
    plan->why = s->why;
    if (z) {
        sizing_ports(z, s->in_lanes, s->out_lanes);
        z->narrow = s->narrow;
        z->once = s->once;
        for (uint32_t k = 0; k < z->n; k++)
            z->choice[k].chosen = s->chosen[k];
        sizing_apply(z);
    }
    for (size_t i = 0; i < plan->kernels.n; i++) {
        Kernel *k = plan->kernels.data[i];
        k->x = s->kernels[i].x;
        k->y = s->kernels[i].y;
        k->turn = s->kernels[i].turn;
        k->mirror = s->kernels[i].mirror;
    }
}

static bool is_better(const Plan *plan, uint64_t cost, const Standing *s)
{
    if (plan_target(plan) > s->cycles)
        return false;
    if ((cost >= ARRANGE_BAD) != (s->cost >= ARRANGE_BAD))
        return s->cost >= ARRANGE_BAD;
    if (plan_target(plan) < s->cycles)
        return true;
    return plan_cores(plan) <= s->cores && cost < s->cost;
}

/* What the engine has put on the fabric, with its adapters; false: there is no room for them. */
static bool stand(Arrange *g)
{
    uint32_t *order = arena_array(g->arena, uint32_t, g->n), n = plan_order(g->plan, true, order);
    if (!arrange_insert(g, order, n))
        return false;
    arrange_orient(g, order, n);
    arrange_improve(g, order, n, ROUNDS);
    return true;
}

bool place_refine(const PassContext *cx, const Arrange *now, uint64_t cost, uint64_t limit,
                  bool asked)
{
    Arena a = {0};
    Plan *plan = now->plan;
    Standing before = take_down(&a, plan, cost);
    Arrange *g = place_by_engine(cx, &a, now, asked);
    RouteFailure failure;
    bool good = g && stand(g) && plan_cores(plan) <= plan_core_limit(cx) &&
                is_better(plan, arrange_total(g), &before) && plan_routed(plan, limit, &failure);
    if (g && !good)
        put_back(plan, &before);
    arena_free(&a);
    return good;
}

/* More room for what was in trouble. What has no way as it stands is to be tested first, if the
 * kernels are few. */
static void give_room(const Plan *plan, const RouteFailure *f, bool few, bool trunks,
                      uint32_t *room, uint32_t *tests)
{
    for (uint32_t i = 0; i < f->n_troubles; i++) {
        const RouteTrouble *what = &f->trouble[i];
        bool no_way = what->box.x1 < what->box.x0 && few;
        const Stream *s = plan->streams.data[what->stream];
        for (; s; s = trunks ? s->trunk : NULL) {
            if (!no_way || tests[s->id])
                room[s->id] += 1 + room[s->id] / 2;
            if (no_way)
                tests[s->id] = TESTS;
        }
    }
}

/* Shapes as they are; links that carry at most `limit`; what was there before stays, but for
 * what is near to something new. */
static bool place_near(PassContext *cx, uint64_t limit, unsigned ring, uint32_t *kept,
                       PlaceFailure *failure)
{
    Arena a = {0};
    Plan *plan = cx->plan;
    uint32_t *order = arena_array(&a, uint32_t, plan->kernels.n), n = plan_order(plan, true, order);
    uint32_t *room = NULL;
    uint32_t *tests = NULL;
    bool good = false;
    *kept = 0;
    unsigned tries = n > MANY ? 2 : TRIES; /* of many kernels some always stand badly */
    /* Of a finished image once more, with room for the trunks of what was in trouble, too. */
    unsigned all = plan->programs_given && ring == RINGS ? 2 * tries : tries;
    Arrange *g = NULL;
    for (unsigned t = 0; t < all && !good; t++) {
        g = arrange_create(&a, plan);
        if (room && t != tries) {
            g->room = room;
            g->tests = tests;
        }
        room = g->room;
        tests = g->tests;
        const Kernel *pinned = NULL;
        if (!arrange_pins(g, &pinned)) {
            failure->pinned = pinned;
            arena_free(&a);
            return false;
        }
        if (ring < RINGS)
            *kept = arrange_keep(g, cx, ring);
        if (!arrange_insert(g, order, n))
            break;
        arrange_improve(g, order, n, ROUNDS);
        if (ring < RINGS && !arrange_tested(g))
            break;
        good = plan_routed(plan, limit, &failure->route);
        failure->routed = true;
        if (!good)
            give_room(plan, &failure->route, n <= TESTED, t >= tries, room, tests);
    }
    if (ring == RINGS)
        good = place_refine(cx, g, good ? arrange_total(g) : UINT64_MAX, limit, false) || good;
    arena_free(&a);
    return good;
}

static bool place(PassContext *cx, uint64_t limit, PlaceFailure *failure)
{
    uint32_t kept = 1;
    for (unsigned ring = 0; cx->options.earlier && ring < RINGS && kept > 0; ring++)
        if (place_near(cx, limit, ring, &kept, failure))
            return true;
    return place_near(cx, limit, RINGS, &kept, failure);
}

uint64_t plan_link_limit(const Plan *plan, unsigned step)
{
    uint64_t target = plan_target(plan);
    return step == 0 ? target : step == 1 ? 2 * target : UINT64_MAX / 4;
}

static void report_failure(PassContext *cx, const PlaceFailure *failure, uint64_t first)
{
    const Plan *plan = cx->plan;
    const Machine *m = plan->machine;
    uint64_t cores = plan_cores(plan), all = (uint64_t)m->width * m->height;
    if (failure->pinned) {
        const Pin *p = failure->pinned->pin;
        diag_infeasible(
            cx->diag, p->span, "kernel '%s' of %u x %u cores finds no place at its pin (%u, %u)",
            failure->pinned->name, failure->pinned->shape.w, failure->pinned->shape.h, p->x, p->y);
        for (size_t i = 0; i < plan->kernels.n; i++) {
            const Kernel *k = plan->kernels.data[i];
            if (k->pin && k != failure->pinned)
                diag_note(cx->diag, k->pin->span,
                          "kernel '%s' is pinned to (%u, %u), %u x %u cores", k->name, k->pin->x,
                          k->pin->y, k->shape.w, k->shape.h);
        }
        return;
    }
    diag_infeasible(cx->diag, (Span){0, 0, 0},
                    "no placement found: %zu kernels of %" PRIu64
                    " cores in all (first try %" PRIu64 ") on %u x %u = %" PRIu64 " cores",
                    plan->kernels.n, cores, first, m->width, m->height, all);
    uint64_t taken = all - plan_free_cores(plan);
    if (taken * GOOD_PART >= all) {
        diag_note(cx->diag, (Span){0, 0, 0}, "%s take %" PRIu64 " of the cores",
                  plan_keepouts_text(plan), taken);
        plan_note_keepouts(cx->diag, cx->options.constraints);
    }
    if (failure->routed)
        route_explain(cx, &failure->route);
    plan_note_largest(cx, "");
}

/* Rows that fill the fabric, for a network that would take a good part of it; only if they
 * are faster than `below`. */
static bool fill(PassContext *cx, uint64_t below)
{
    Plan *plan = cx->plan;
    Arena a = {0};
    sizing_bare(plan);
    uint32_t *order = arena_array(&a, uint32_t, plan->kernels.n);
    bool good = plan_order(plan, true, order) == plan->kernels.n && place_wave(cx, order, below);
    arena_free(&a);
    return good;
}

static bool short_of_links(const RouteFailure *f)
{
    for (uint32_t i = 0; i < f->n_troubles; i++)
        if (f->trouble[i].box.x1 >= f->trouble[i].box.x0 && f->trouble[i].side != SIDE_RAMP)
            return true;
    return false;
}

/* What is to be small: cycles of the slowest kernel or of all. */
static uint64_t objective(const PassContext *cx)
{
    uint64_t sum = 0;
    if (!cx->options.latency)
        return plan_target(cx->plan);
    for (size_t i = 0; i < cx->plan->kernels.n; i++)
        sum += cx->plan->kernels.data[i]->shape.cycles;
    return sum;
}

/* Links may carry more where they are in the way; `tried`: not more has been tried. */
static bool place_so(PassContext *cx, bool tried, PlaceFailure *failure)
{
    for (unsigned step = tried ? 1 : 0; step < 3; step++) {
        if (step > 0 && !(failure->routed && short_of_links(&failure->route)))
            return false;
        failure->routed = false;
        if (place(cx, plan_link_limit(cx->plan, step), failure))
            return true;
    }
    return false;
}

/* What does not pack is asked for with fewer cores, as long as that is faster than `below`. */
static bool shrink(PassContext *cx, bool tried, uint64_t below, PlaceFailure *failure)
{
    Plan *plan = cx->plan;
    for (unsigned times = 0; times < SHRINKS && objective(cx) < below; times++) {
        if (place_so(cx, times == 0 && tried, failure))
            return true;
        if (plan->programs_given ||
            !sizing_fit(plan->sizing, plan_cores(plan) * (failure->routed ? 9 : 8) / 10,
                        cx->options.slack))
            break;
        sizing_apply(plan->sizing);
    }
    return false;
}

/* Sizes are chosen without what rows asked for. */
static void forget_rows(Sizing *z)
{
    z->narrow = NULL;
    z->once = false;
    sizing_ports(z, plan_host_lanes(z->plan), plan_host_lanes(z->plan));
}

/* Ways to choose shapes for a time: what the engine packs with some tracks, or the fewest cores. */
static const EngineTracks ways[] = {TRACKS_NONE, TRACKS_BETWEEN, TRACKS_FEWER};
enum { BY_SIZE = sizeof ways / sizeof *ways, WAYS };

typedef struct Climb {
    uint64_t below; /* what there is already */
    uint32_t last[WAYS][FEW];
} Climb;

static bool chosen_before(const Sizing *z, uint32_t last[FEW])
{
    bool same = true;
    for (uint32_t k = 0; k < z->n; k++) {
        same = same && last[k] == z->choice[k].chosen;
        last[k] = z->choice[k].chosen;
    }
    return same;
}

/* Shapes as they are, where streams are short, with more and more room for those that have no way
 * otherwise; or wherever the engine packs them, adapters, too. The router is not asked where that
 * is hopeless. */
static bool insert_all(PassContext *cx, Arena *a)
{
    Plan *plan = cx->plan;
    uint32_t *room = NULL, *tests = NULL;
    for (unsigned t = 0; t < TRIES; t++) {
        Arrange *g = arrange_create(a, plan);
        const Kernel *pinned;
        RouteFailure failure;
        g->room = room = room ? room : g->room;
        g->tests = tests = tests ? tests : g->tests;
        if (!arrange_pins(g, &pinned) || !stand(g))
            return false;
        uint64_t limit = plan_link_limit(plan, 0);
        bool hopeful = arrange_total(g) < ARRANGE_BAD;
        if (hopeful && plan_routed(plan, limit, &failure))
            return true;
        if (hopeful)
            give_room(plan, &failure, true, false, room, tests);
        for (size_t i = 0; i < plan->streams.n && !hopeful; i++)
            if (stream_estimate(g, plan->streams.data[i]) >= ARRANGE_BAD)
                room[i] += 1 + room[i] / 2;
        if (t == 0 && place_refine(cx, g, UINT64_MAX, limit, false))
            return true;
    }
    return false;
}

/* Shapes that are no slower than T: where the engine has put them, and, if they were not tried
 * before, where streams are short. */
static bool climb_to(PassContext *cx, Climb *c, uint64_t T, unsigned way)
{
    Arena a = {0};
    Plan *plan = cx->plan;
    const Kernel *pinned;
    RouteFailure unused;
    if (sizing_solve(plan->sizing, T, NULL) >= SIZE_NEVER)
        return false;
    sizing_apply(plan->sizing); /* pins have the sizes of this choice in any case */
    Arrange *g = NULL;
    bool good = true;
    if (way < BY_SIZE) {
        sizing_bare(plan);
        g = arrange_create(&a, plan);
        g = arrange_pins(g, &pinned) ? place_anew(cx, &a, g, T, ways[way]) : NULL;
        good = g != NULL;
    }
    good = good && objective(cx) < c->below && plan_cores(plan) <= plan_core_limit(cx);
    bool known = good && chosen_before(plan->sizing, c->last[way]);
    good = good && ((g && stand(g) && arrange_total(g) < ARRANGE_BAD &&
                     plan_routed(plan, plan_link_limit(plan, 0), &unused)) ||
                    (!known && insert_all(cx, &a)));
    arena_free(&a);
    return good;
}

/* Fewer cores, if a plan may be somewhat slower than the fastest that was found. */
static void spend_slack(PassContext *cx)
{
    Arena a = {0};
    Plan *plan = cx->plan;
    Standing fast = take_down(&a, plan, 0);
    double spare = (double)fast.cycles * cx->options.slack;
    bool good = false;
    for (unsigned part = SLACK_PARTS; part > 0 && !good; part--) {
        uint64_t T = fast.cycles + (uint64_t)(spare * part / SLACK_PARTS);
        if (sizing_solve(plan->sizing, T, NULL) >= SIZE_NEVER)
            continue;
        sizing_apply(plan->sizing);
        good = plan_cores(plan) < fast.cores && insert_all(cx, &a) && plan_target(plan) <= T &&
               plan_cores(plan) < fast.cores;
    }
    if (!good)
        put_back(plan, &fast);
    arena_free(&a);
}

/* Of few kernels any choice may pack that is faster than `below`: time after time, the fastest
 * first. */
static bool climb(PassContext *cx, uint64_t below)
{
    const Plan *plan = cx->plan;
    Climb c = {.below = below};
    memset(c.last, 0xff, sizeof c.last);
    uint64_t end = plan_target(plan);
    for (uint64_t T = plan->shapes_bound; T <= end; T += 1 + T / CLIMB_STEPS)
        for (unsigned way = cx->options.latency ? BY_SIZE : 0; way < WAYS; way++)
            if (climb_to(cx, &c, T, way)) {
                sizing_explain(plan->sizing);
                if (!cx->options.latency && cx->options.slack > 0)
                    spend_slack(cx);
                return true;
            }
    return false;
}

/* The shapes and places of the earlier placement, if they are not slower than `most`. */
static bool go_back(PassContext *cx, uint64_t target, uint64_t most)
{
    Plan *plan = cx->plan;
    PlaceFailure unused = {0};
    if (!sizing_keep(plan->sizing, target))
        return false;
    sizing_apply(plan->sizing);
    return objective(cx) <= most && place(cx, plan_link_limit(plan, 0), &unused);
}

/* What else there is when the first choice did not pack and coarse steps found another. */
static void look_between(PassContext *cx)
{
    Arena a = {0};
    Plan *plan = cx->plan;
    if (plan->sizing->n <= FEW) {
        Standing coarse = take_down(&a, plan, 0);
        uint64_t most = objective(cx);
        forget_rows(plan->sizing);
        if (!climb(cx, most))
            put_back(plan, &coarse);
    }
    if (cx->options.earlier) {
        Standing found = take_down(&a, plan, 0);
        uint64_t most = objective(cx);
        forget_rows(plan->sizing);
        if (!go_back(cx, found.cycles, most))
            put_back(plan, &found);
    }
    arena_free(&a);
}

/* The engine once more, from the plan as it is, as long as the user wants. */
static void search_on(PassContext *cx)
{
    Arena a = {0};
    Arrange *g = arrange_as_is(&a, cx->plan);
    place_refine(cx, g, arrange_total(g), plan_link_limit(cx->plan, 0), true);
    arena_free(&a);
}

bool pass_place(PassContext *cx)
{
    Arena a = {0};
    Plan *plan = cx->plan;
    Sizing *z = plan->sizing;
    PlaceFailure failure = {0};
    Standing rows = {0};
    uint64_t rows_objective = SIZE_NEVER;
    bool latency = cx->options.latency;
    uint64_t first = plan_cores(plan), first_target = plan_target(plan);
    bool contested = first * 4 >= (uint64_t)cx->machine->width * cx->machine->height;
    bool good = place(cx, plan_link_limit(plan, 0), &failure), tried = true;
    if (contested && !plan->programs_given) {
        bool done = good && !latency; /* if rows are faster than that */
        bool filled = fill(cx, done ? plan_target(plan) : SIZE_NEVER);
        if (filled && !done) {
            rows = take_down(&a, plan, 0);
            rows_objective = objective(cx);
        }
        if (!filled || !done) {
            forget_rows(z);
            if (sizing_fit(z, first, cx->options.slack))
                sizing_apply(z);
            /* With finer shapes there may be another choice. */
            tried = !good && plan_cores(plan) == first && plan_target(plan) == first_target;
            good = false;
        }
    }
    bool at_once = good;
    good = good || shrink(cx, tried, rows_objective, &failure);
    if (!good && rows_objective < SIZE_NEVER) {
        put_back(plan, &rows);
        good = true;
    }
    if (good && !at_once && z)
        look_between(cx);
    if (!good)
        report_failure(cx, &failure, first);
    else if (cx->options.effort || cx->options.time_limit > 0)
        search_on(cx);
    arena_free(&a);
    return good;
}
