/* SPDX-License-Identifier: Apache-2.0 */
/* passes/size.c - one shape for every kernel, adapters between what does not agree.
 *
 * Throughput: binary search for the least cycles a sample T such that the cheapest choice of
 * shapes no slower than T (choose.c) fits in the budget of cores; then the fewest cores within
 * the slack of it. Never faster than the host's ports deliver. Latency: the same with the sum
 * of cycles as cost and the lowest price per core with which the budget holds. What takes more
 * than half of the fabric is contested: there area alone does not say what can be placed, and
 * place.c searches again over what packs. Cost: a choice times log of the number of shapes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "passes/sizing.h"

enum { LATENCY_SCALE = 1 << 10 };

uint32_t plan_core_limit(const PassContext *cx)
{
    uint32_t all = cx->machine->width * cx->machine->height;
    uint32_t want = cx->options.max_cores;
    return want && want < all ? want : all;
}

uint32_t plan_cores(const Plan *plan)
{
    uint32_t n = 0;
    for (size_t i = 0; i < plan->kernels.n; i++)
        n += plan->kernels.data[i]->shape.w * plan->kernels.data[i]->shape.h;
    return n;
}

/* Second operands of a matrix kernel are added to its results, lane by lane. */
uint32_t plan_lanes_needed(const Kernel *k, uint32_t input, const Shape *s)
{
    bool matrix = kernel_is_matrix(k->kind);
    return matrix && input > 0 ? s->lanes_out : s->lanes_in;
}

uint32_t plan_port_lanes(uint32_t features, uint32_t lanes, uint32_t most)
{
    uint32_t of = lanes;
    if (lanes > most && features % lanes && lane_groups(lanes) > 1)
        of = lane_groups(lanes);
    for (uint32_t d = of < most ? of : most; d > 1; d--)
        if (of % d == 0)
            return d;
    return 1;
}

static uint32_t host_streams(const Plan *plan)
{
    uint32_t n = 0;
    for (size_t i = 0; i < plan->streams.n; i++) {
        const Stream *s = plan->streams.data[i];
        n += (s->from == PLAN_HOST) + (s->to == PLAN_HOST);
    }
    return n;
}

/* Streams share the two sides evenly; with ports on one side only they all share that. */
uint32_t plan_host_lanes(const Plan *plan)
{
    uint32_t west = plan->machine->ports_west, east = plan->machine->ports_east;
    uint32_t few = west < east ? west : east, many = west < east ? east : west;
    uint32_t streams = host_streams(plan);
    if (!streams)
        return 0;
    return few ? few / ((streams + 1) / 2) : many / streams;
}

/* Cycles a sample that the ports take. */
static uint64_t host_cycles(const Plan *plan)
{
    Fraction f = plan->machine->host_words;
    return (plan_host_words(plan) * f.den + f.num - 1) / f.num;
}

/* ---- adapters ---- */

void sizing_bare(Plan *plan)
{
    while (plan->kernels.n && plan->kernels.data[plan->kernels.n - 1]->kind == KERNEL_ADAPTER) {
        const Kernel *k = plan->kernels.data[plan->kernels.n - 1];
        Stream *in = plan->streams.data[k->in[0]];
        const Stream *out = plan->streams.data[k->out[0]];
        in->to = out->to;
        in->to_input = out->to_input;
        if (in->to != PLAN_HOST)
            plan->kernels.data[in->to]->in[in->to_input] = in->id;
        plan->kernels.n--;
        plan->streams.n--;
    }
}

static void insert_adapter(Sizing *z, Stream *s, Shape shape)
{
    Plan *plan = z->plan;
    Protocol in = s->protocol;
    in.lanes = shape.lanes_in;
    Kernel *k = adapter_kernel(z->arena, s, &shape);
    k->id = (uint32_t)plan->kernels.n;
    k->name = arena_printf(z->arena, "adapter%u", k->id);
    kernel_shape(z->arena, k, &in, z->cx->machine, &shape);
    k->shape = shape;
    Stream *rest = arena_new(z->arena, Stream);
    *rest = *s;
    rest->id = (uint32_t)plan->streams.n;
    rest->name = arena_printf(z->arena, "%s (%u lanes)", s->name, shape.lanes_out);
    rest->from = (int32_t)k->id;
    rest->protocol.lanes = shape.lanes_out;
    if (s->to != PLAN_HOST)
        plan->kernels.data[s->to]->in[s->to_input] = rest->id;
    s->to = (int32_t)k->id;
    s->to_input = 0;
    s->protocol.lanes = shape.lanes_in;
    k->in[0] = s->id;
    k->out[0] = rest->id;
    vec_push(z->arena, &plan->kernels, k);
    vec_push(z->arena, &plan->streams, rest);
}

void sizing_apply(Sizing *z)
{
    sizing_bare(z->plan);
    for (uint32_t k = 0; k < z->n; k++) {
        Choice *c = &z->choice[k];
        c->kernel->shape = *sizing_chosen(z, (int32_t)k);
        c->kernel->shape.cycles = sizing_cycles(z, c->class_of, c->chosen);
    }
    for (size_t i = 0; i < z->n_streams; i++) {
        Stream *s = z->plan->streams.data[i];
        Shape shape, strip[2];
        bool adapt = sizing_adapter(z, s, &shape);
        s->protocol.lanes = shape.lanes_in;
        s->slots = 2;
        if (z->narrow && z->narrow[i] && sizing_fold(z, s, z->narrow[i], SIZE_NEVER - 1, strip)) {
            insert_adapter(z, s, strip[0]);
            insert_adapter(z, z->plan->streams.data[z->plan->streams.n - 1], strip[1]);
        } else if (adapt) {
            insert_adapter(z, s, shape);
        }
    }
}

/* ---- the search ---- */

/* What keeps the fastest choice from being faster; the slack comes after. */
void sizing_explain(Sizing *z)
{
    const Kernel *k = NULL;
    uint64_t worst = sizing_slowest(z, &k);
    Arena *a = z->cx->arena;
    if (!k)
        return;
    if (worst <= z->host_cycles) {
        z->plan->why =
            arena_printf(a, "the host ports: %" PRIu64 " words a sample take %" PRIu64 " cycles",
                         plan_host_words(z->plan), z->host_cycles);
        return;
    }
    bool faster = false;
    const Choice *c = &z->choice[k->id];
    for (uint32_t i = 0; i < c->class_of->shapes.n; i++)
        faster = faster || sizing_cycles(z, c->class_of, i) < worst;
    z->plan->why = arena_printf(a, "kernel '%s', %" PRIu64 " cycles at best: %s", k->name, worst,
                                faster ? "faster shapes of it take more cores than allowed"
                                       : "no shape of it is faster");
}

static int by_value(const void *a, const void *b)
{
    uint64_t p = *(const uint64_t *)a, q = *(const uint64_t *)b;
    return p < q ? -1 : p > q;
}

uint64_t *sizing_times(Sizing *z, Arena *a, size_t *n)
{
    size_t total = 0;
    for (size_t c = 0; c < z->classes.n; c++)
        total += z->classes.data[c]->shapes.n;
    uint64_t *times = arena_array(a, uint64_t, total);
    *n = 0;
    for (size_t i = 0; i < z->classes.n; i++) {
        const KernelClass *c = z->classes.data[i];
        for (size_t k = 0; k < c->shapes.n; k++)
            times[(*n)++] = sizing_cycles(z, c, (uint32_t)k);
    }
    qsort(times, *n, sizeof *times, by_value);
    total = *n;
    *n = 0;
    for (size_t i = 0; i < total; i++)
        if (i == 0 || times[i] != times[*n - 1])
            times[(*n)++] = times[i];
    return times;
}

uint64_t sizing_bound(Sizing *z, uint64_t cores)
{
    Arena a = {0};
    size_t n, lo = 0;
    bool before = z->once;
    z->once = true;
    uint64_t *times = sizing_times(z, &a, &n);
    for (size_t hi = n; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        if (sizing_relaxed(z, times[mid]) <= cores)
            hi = mid;
        else
            lo = mid + 1;
    }
    uint64_t bound = lo < n ? times[lo] : n ? times[n - 1] : 0;
    arena_free(&a);
    z->once = before;
    return bound > z->host_cycles ? bound : z->host_cycles;
}

static bool fits(Sizing *z, uint64_t T, uint64_t budget)
{
    uint64_t cores;
    return sizing_solve(z, T, &cores) < SIZE_NEVER && cores <= budget;
}

static bool size_throughput(Sizing *z, uint64_t budget, double slack)
{
    size_t n;
    uint64_t *times = sizing_times(z, z->arena, &n);
    size_t lo = 0, hi = n - 1; /* the slowest of all is feasible, or nothing is */
    if (!fits(z, times[hi], budget)) {
        /* Adapters may be slower than every kernel. */
        if (!fits(z, SIZE_NEVER - 1, budget))
            return false;
        sizing_explain(z);
        return true;
    }
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (fits(z, times[mid], budget))
            hi = mid;
        else
            lo = mid + 1;
    }
    if (!fits(z, times[hi], budget))
        return false;
    sizing_explain(z);
    uint64_t best = times[hi] > z->host_cycles ? times[hi] : z->host_cycles;
    uint64_t target = best + (uint64_t)((double)best * slack);
    if (fits(z, target, budget))
        return true;
    return fits(z, times[hi], budget);
}

/* The core price rises until the choice fits the budget, then falls as far as it may. Prices
 * reach only the convex hull of what there is: the fastest pipeline may be the better one. */
static bool size_latency(Sizing *z, uint64_t budget, double slack)
{
    enum { BISECTIONS = 10 };
    bool pipeline = size_throughput(z, budget, slack);
    uint64_t sum = pipeline ? z->sum : UINT64_MAX, high = 1;
    z->cycles_price = LATENCY_SCALE;
    for (z->core_price = high; !fits(z, SIZE_NEVER - 1, budget); z->core_price = high) {
        high *= 2;
        if (high > (uint64_t)1 << 40) {
            z->core_price = 1;
            z->cycles_price = 0;
            return pipeline && size_throughput(z, budget, slack);
        }
    }
    uint64_t low = high / 2;
    for (unsigned i = 0; i < BISECTIONS && low + 1 < high; i++) {
        uint64_t mid = low + (high - low) / 2;
        z->core_price = mid;
        if (fits(z, SIZE_NEVER - 1, budget))
            high = mid;
        else
            low = mid;
    }
    z->core_price = high;
    bool better = fits(z, SIZE_NEVER - 1, budget) && z->sum < sum;
    if (better)
        sizing_explain(z);
    z->core_price = 1;
    z->cycles_price = 0;
    return better || size_throughput(z, budget, slack);
}

bool sizing_fit(Sizing *z, uint64_t budget, double slack)
{
    if (z->cx->options.latency)
        return size_latency(z, budget, slack);
    return size_throughput(z, budget, slack);
}

/* ---- the pass ---- */

Sizing *sizing_create(PassContext *cx, bool report)
{
    Plan *plan = cx->plan;
    sizing_bare(plan);
    Sizing *z = arena_new(cx->arena, Sizing);
    *z = (Sizing){.cx = cx, .arena = cx->arena, .plan = plan, .core_price = 1};
    z->n = (uint32_t)plan->kernels.n;
    z->n_streams = plan->streams.n;
    z->choice = arena_array(z->arena, Choice, z->n);
    z->segs = arena_array(z->arena, uint32_t, z->n_streams);
    z->table = arena_array(z->arena, AdapterTable *, z->n_streams);
    for (uint32_t k = 0; k < z->n; k++)
        z->choice[k].kernel = plan->kernels.data[k];
    for (size_t i = 0; i < z->n_streams; i++) {
        const Stream *s = plan->streams.data[i];
        if (s->to == PLAN_HOST || s->to_input == 0)
            continue;
        z->joins = z->choice[s->to].joins = true;
        if (s->from != PLAN_HOST)
            z->choice[s->from].joins = true;
    }
    z->order = arena_array(z->arena, uint32_t, z->n);
    plan_order(plan, false, z->order);
    z->in_lanes = z->out_lanes = plan_host_lanes(plan);
    if (!sizing_classes(z, report))
        return NULL;
    z->host_cycles = host_cycles(plan);
    if (z->in_lanes == 0) {
        if (report)
            diag_infeasible(cx->diag, (Span){0, 0, 0},
                            "%u host streams need a port each; there are %u", host_streams(plan),
                            cx->machine->ports_west + cx->machine->ports_east);
        return NULL;
    }
    sizing_tables(z);
    return z;
}

/* The least cores for multiples of the fastest time. */
static void find_curve(Sizing *z)
{
    static const unsigned percent[] = {100, 125, 150, 200, 300, 400, 800, 1600};
    const Kernel *which = NULL;
    if (!size_throughput(z, plan_core_limit(z->cx), z->cx->options.slack))
        return;
    uint64_t best = sizing_slowest(z, &which), before = UINT64_MAX, cores;
    best = best > z->host_cycles ? best : z->host_cycles;
    for (unsigned i = 0; i < sizeof percent / sizeof percent[0]; i++) {
        if (sizing_solve(z, best * percent[i] / 100, &cores) >= SIZE_NEVER || cores >= before)
            continue;
        before = cores;
        uint64_t cycles = sizing_slowest(z, &which);
        SizePoint point = {cores, cycles > z->host_cycles ? cycles : z->host_cycles};
        vec_push(z->cx->arena, &z->plan->curve, point);
    }
}

void plan_note_largest(PassContext *cx, const char *how)
{
    enum { SHOWN = 10 };
    const Plan *plan = cx->plan;
    const Kernel *largest[SHOWN + 1];
    size_t n = 0;
    for (size_t i = 0; i < plan->kernels.n; i++) {
        const Kernel *k = plan->kernels.data[i];
        size_t at = n < SHOWN ? n++ : SHOWN;
        for (; at > 0 && (uint64_t)largest[at - 1]->shape.w * largest[at - 1]->shape.h <
                             (uint64_t)k->shape.w * k->shape.h;
             at--)
            largest[at] = largest[at - 1];
        largest[at] = k;
    }
    for (size_t i = 0; i < n; i++)
        diag_note(cx->diag, (Span){0, 0, 0}, "kernel '%s' takes %u x %u cores%s", largest[i]->name,
                  largest[i]->shape.w, largest[i]->shape.h, how);
    if (plan->kernels.n > n)
        diag_note(cx->diag, (Span){0, 0, 0}, "and %zu kernels that take no more",
                  plan->kernels.n - n);
}

static void report_total(Sizing *z, uint64_t limit)
{
    bool room = limit < plan_core_limit(z->cx); /* is what there is too little of */
    uint64_t least;
    Diag *d = z->cx->diag;
    if (sizing_solve(z, SIZE_NEVER - 1, &least) >= SIZE_NEVER)
        diag_infeasible(d, (Span){0, 0, 0},
                        "no choice of shapes agrees on lanes: every adapter between some of the "
                        "kernels needs more memory than a core has");
    else
        diag_infeasible(d, (Span){0, 0, 0},
                        "the network needs %" PRIu64 " cores at least, %s%s%" PRIu64 "%s: %" PRIu64
                        " too many",
                        least, room ? plan_keepouts_text(z->plan) : "", room ? " leave " : "",
                        limit, room ? "" : " may be used", least > limit ? least - limit : 0);
    if (room)
        plan_note_keepouts(d, z->cx->options.constraints);
    for (uint32_t i = 0; i < z->n; i++)
        z->choice[i].kernel->shape = *sizing_chosen(z, (int32_t)i);
    plan_note_largest(z->cx, " at least");
    sizing_note_pins(z);
}

bool pass_size(PassContext *cx)
{
    if (!cx->plan->kernels.n)
        return diag_infeasible(cx->diag, (Span){0, 0, 0},
                               "nothing to compute: the outputs are inputs or constants");
    Sizing *z = sizing_create(cx, true);
    cx->plan->sizing = z;
    if (!z)
        return false;
    if (!sizing_constrain(z))
        return false;
    if (cx->options.curve)
        find_curve(z);
    uint64_t limit = plan_core_limit(cx), room = plan_free_cores(cx->plan);
    if (room < limit)
        limit = room;
    if (!sizing_fit(z, limit, cx->options.slack)) {
        report_total(z, limit);
        return false;
    }
    const Kernel *which = NULL;
    uint64_t target = sizing_slowest(z, &which);
    cx->plan->shapes_bound = sizing_bound(z, limit);
    sizing_keep(z, target);
    sizing_apply(z);
    return true;
}
