/* SPDX-License-Identifier: Apache-2.0 */
/* passes/size.c - one shape for every kernel, adapters between what does not agree.
 *
 * Throughput: binary search for the least cycles a sample T such that the cheapest choice of
 * shapes no slower than T fits in the budget of cores; then the fewest cores within the slack
 * of it. Never faster than the host's ports deliver. The cheapest choice for a given T is a
 * dynamic program over the tree that first inputs form (a kernel's parent feeds its input 0),
 * by lanes; other edges, residuals, join in by descent, kernel by kernel, until nothing gets
 * better. Adapters are costed by the size of their strip and checked against their true
 * cycles when chosen; those that are too slow are forbidden and the choice is made anew.
 * Latency: the same with the sum of cycles as cost and the lowest price per core with which
 * the budget holds. Cost: shapes + lanes^2 a stream, times log of the number of shapes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "passes/planner.h"

enum { MAX_ROUNDS = 40, SWEEPS = 4, LATENCY_SCALE = 1 << 10 };

static const uint64_t NEVER = UINT64_MAX / 8;

typedef struct Forbidden {
    uint32_t stream, from, to; /* an adapter that is not to be had within `cycles` */
    uint64_t cycles;           /* what it takes; NEVER: not buildable */
} Forbidden;

typedef struct LaneCost {
    uint32_t lanes;
    uint64_t cost;
} LaneCost;

typedef struct Choice {
    Kernel *kernel;
    ShapeVec shapes;
    uint64_t *cost; /* of the tree below, by shape */
    uint32_t chosen;
    LaneCost *by_lanes; /* least cost by lanes of input 0 */
    uint32_t n_by_lanes;
} Choice;

typedef struct Sizer {
    PassContext *cx;
    Arena *arena;
    Plan *plan;
    Choice *choice; /* by kernel id */
    uint32_t n;
    uint32_t *order; /* topological */
    uint32_t host_lanes;
    VEC(Forbidden) forbidden;
    uint64_t cycles_price, core_price;
    uint64_t sum; /* cycles of all kernels and adapters of the last choice */
} Sizer;

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
    bool matrix = k->kind == KERNEL_MATVEC || k->kind == KERNEL_CONV;
    return matrix && input > 0 ? s->lanes_out : s->lanes_in;
}

uint32_t plan_port_lanes(uint32_t n, uint32_t cap)
{
    for (uint32_t d = n < cap ? n : cap; d > 1; d--)
        if (n % d == 0)
            return d;
    return 1;
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

static uint64_t adapter_cores(uint32_t a, uint32_t b)
{
    uint32_t g = gcd(a, b), h = a > b ? a : b;
    return g == a || g == b ? h : 2 * (uint64_t)h;
}

/* Cost of joining `from` lanes to `to`; for host ends the port's lanes are free up to a cap. */
static uint64_t edge_cost(const Sizer *z, const Stream *s, uint32_t from, uint32_t to, uint64_t T)
{
    if (s->from == PLAN_HOST)
        from = plan_port_lanes(to, z->host_lanes);
    if (s->to == PLAN_HOST)
        to = plan_port_lanes(from, z->host_lanes);
    if (from == to)
        return 0;
    for (size_t i = 0; i < z->forbidden.n; i++) {
        Forbidden f = z->forbidden.data[i];
        if (f.stream == s->id && f.from == from && f.to == to && f.cycles > T)
            return NEVER;
    }
    uint64_t cores = adapter_cores(from, to);
    /* One more kernel on the way costs about what receiving and sending its words does. */
    return cores * z->core_price + 2 * stream_words(s) * z->cycles_price / from;
}

static uint64_t own_cost(const Sizer *z, const Shape *s)
{
    return (uint64_t)s->w * s->h * z->core_price + s->cycles * z->cycles_price;
}

static uint64_t add_cost(uint64_t a, uint64_t b)
{
    return a + b < NEVER ? a + b : NEVER;
}

static const Shape *chosen(const Sizer *z, int32_t kernel)
{
    const Choice *c = &z->choice[kernel];
    return &c->shapes.data[c->chosen];
}

/* Cost of a kernel with a shape, and of all its edges as its neighbors are now. */
static uint64_t local_cost(const Sizer *z, const Choice *c, const Shape *s, uint64_t T)
{
    const Kernel *k = c->kernel;
    uint64_t cost = s->cycles > T ? NEVER : own_cost(z, s);
    for (uint32_t i = 0; i < k->n_in; i++) {
        const Stream *in = z->plan->streams.data[k->in[i]];
        uint32_t from = in->from == PLAN_HOST ? 0 : chosen(z, in->from)->lanes_out;
        cost = add_cost(cost, edge_cost(z, in, from, plan_lanes_needed(k, i, s), T));
    }
    for (uint32_t i = 0; i < k->n_out; i++) {
        const Stream *out = z->plan->streams.data[k->out[i]];
        uint32_t to = 0;
        if (out->to != PLAN_HOST)
            to = plan_lanes_needed(z->choice[out->to].kernel, out->to_input, chosen(z, out->to));
        cost = add_cost(cost, edge_cost(z, out, s->lanes_out, to, T));
    }
    return cost;
}

static void collect_lanes(Choice *c)
{
    c->n_by_lanes = 0;
    for (size_t i = 0; i < c->shapes.n; i++) {
        uint32_t lanes = plan_lanes_needed(c->kernel, 0, &c->shapes.data[i]), k = 0;
        while (k < c->n_by_lanes && c->by_lanes[k].lanes != lanes)
            k++;
        if (k == c->n_by_lanes)
            c->by_lanes[c->n_by_lanes++] = (LaneCost){lanes, NEVER};
        if (c->cost[i] < c->by_lanes[k].cost)
            c->by_lanes[k].cost = c->cost[i];
    }
}

/* Least cost of the tree below when `lanes` come in by a stream. */
static uint64_t below(const Sizer *z, const Stream *s, uint32_t from, uint64_t T)
{
    const Choice *c = &z->choice[s->to];
    uint64_t best = NEVER;
    for (uint32_t i = 0; i < c->n_by_lanes; i++) {
        uint64_t cost =
            add_cost(c->by_lanes[i].cost, edge_cost(z, s, from, c->by_lanes[i].lanes, T));
        best = cost < best ? cost : best;
    }
    return best;
}

static void choose_tree(Sizer *z, uint64_t T)
{
    for (uint32_t o = z->n; o-- > 0;) {
        Choice *c = &z->choice[z->order[o]];
        for (size_t i = 0; i < c->shapes.n; i++) {
            const Shape *s = &c->shapes.data[i];
            c->cost[i] = s->cycles > T ? NEVER : own_cost(z, s);
            for (uint32_t j = 0; j < c->kernel->n_out && c->cost[i] < NEVER; j++) {
                const Stream *out = z->plan->streams.data[c->kernel->out[j]];
                if (out->to == PLAN_HOST)
                    c->cost[i] = add_cost(c->cost[i], edge_cost(z, out, s->lanes_out, 0, T));
                else if (out->to_input == 0)
                    c->cost[i] = add_cost(c->cost[i], below(z, out, s->lanes_out, T));
            }
        }
        collect_lanes(c);
    }
    for (uint32_t o = 0; o < z->n; o++) {
        Choice *c = &z->choice[z->order[o]];
        const Stream *in = z->plan->streams.data[c->kernel->in[0]];
        uint32_t from = in->from == PLAN_HOST ? 0 : chosen(z, in->from)->lanes_out;
        uint64_t best = UINT64_MAX;
        for (uint32_t i = 0; i < c->shapes.n; i++) {
            const Shape *s = &c->shapes.data[i];
            uint64_t cost =
                add_cost(c->cost[i], edge_cost(z, in, from, plan_lanes_needed(c->kernel, 0, s), T));
            if (cost < best || (cost == best && s->cycles < c->shapes.data[c->chosen].cycles)) {
                best = cost;
                c->chosen = i;
            }
        }
    }
    for (unsigned sweep = 0, moved = 1; sweep < SWEEPS && moved; sweep++) {
        moved = 0;
        for (uint32_t k = 0; k < z->n; k++) {
            Choice *c = &z->choice[k];
            uint64_t best = local_cost(z, c, &c->shapes.data[c->chosen], T);
            for (uint32_t i = 0; i < c->shapes.n; i++) {
                uint64_t cost = local_cost(z, c, &c->shapes.data[i], T);
                if (cost < best) {
                    best = cost;
                    c->chosen = i;
                    moved = 1;
                }
            }
        }
    }
}

/* The strip that changes lanes, if there has to be one. */
static bool adapter_needed(const Sizer *z, const Stream *s, Shape *shape)
{
    uint32_t from = 0, to = 0;
    if (s->from != PLAN_HOST)
        from = chosen(z, s->from)->lanes_out;
    if (s->to != PLAN_HOST)
        to = plan_lanes_needed(z->choice[s->to].kernel, s->to_input, chosen(z, s->to));
    if (s->from == PLAN_HOST)
        from = plan_port_lanes(to, z->host_lanes);
    if (s->to == PLAN_HOST)
        to = plan_port_lanes(from, z->host_lanes);
    *shape = (Shape){.lanes_in = from, .lanes_out = to, .split = 1};
    return from != to;
}

static Kernel *adapter_kernel(Arena *a, const Stream *s, const Shape *shape)
{
    Kernel *k = arena_new(a, Kernel);
    k->kind = KERNEL_ADAPTER;
    k->span = s->span;
    k->result = s->node;
    k->n_in = k->n_out = 1;
    k->shape = *shape;
    return k;
}

static uint32_t stream_segs(const Sizer *z, const Stream *s)
{
    return s->from == PLAN_HOST ? s->protocol.segs : chosen(z, s->from)->segs_out;
}

/* Chooses for T; UINT64_MAX if not possible. Adapters that turn out too slow are forbidden. */
static uint64_t solve(Sizer *z, uint64_t T)
{
    for (unsigned round = 0; round < MAX_ROUNDS; round++) {
        choose_tree(z, T);
        uint64_t cores = 0;
        bool again = false;
        z->sum = 0;
        for (uint32_t k = 0; k < z->n; k++) {
            const Shape *s = chosen(z, (int32_t)k);
            if (s->cycles > T)
                return UINT64_MAX;
            cores += (uint64_t)s->w * s->h;
            z->sum += s->cycles;
        }
        for (size_t i = 0; i < z->plan->streams.n; i++) {
            const Stream *s = z->plan->streams.data[i];
            Shape shape;
            if (!adapter_needed(z, s, &shape))
                continue;
            Protocol in = s->protocol;
            in.lanes = shape.lanes_in;
            in.segs = stream_segs(z, s);
            shape.segs_out = in.segs;
            Forbidden f = {s->id, shape.lanes_in, shape.lanes_out, NEVER};
            ArenaMark mark = arena_mark(z->arena);
            Kernel *k = adapter_kernel(z->arena, s, &shape);
            bool good = kernel_shape(z->arena, k, &in, z->cx->machine, &shape) &&
                        shape.bytes <= z->cx->machine->sram_bytes;
            if (good)
                f.cycles = shape.cycles;
            arena_rewind(z->arena, mark);
            if (!good || shape.cycles > T) {
                for (size_t j = 0; j < z->forbidden.n; j++) {
                    Forbidden g = z->forbidden.data[j];
                    if (g.stream == f.stream && g.from == f.from && g.to == f.to &&
                        g.cycles == f.cycles)
                        return UINT64_MAX; /* chosen although forbidden: nothing else there */
                }
                vec_push(z->arena, &z->forbidden, f);
                again = true;
            }
            cores += (uint64_t)shape.w * shape.h;
            z->sum += shape.cycles;
        }
        if (!again)
            return cores;
    }
    return UINT64_MAX;
}

static int by_value(const void *a, const void *b)
{
    uint64_t p = *(const uint64_t *)a, q = *(const uint64_t *)b;
    return p < q ? -1 : p > q;
}

/* ---- shapes ---- */

static void report_kernel(Sizer *z, const Kernel *k, const Protocol *in, const Shape *nearest)
{
    const Machine *m = z->cx->machine;
    Diag *d = z->cx->diag;
    Span none = {0, 0, 0}; /* the place has been shown */
    if (nearest->w == 0) {
        diag_infeasible(d, k->span, "kernel '%s' has no form that can be built", k->name);
        return;
    }
    uint32_t cores = nearest->w * nearest->h;
    if (nearest->bytes > m->sram_bytes) {
        diag_infeasible(d, k->span,
                        "kernel '%s' needs %u bytes a core even on %u x %u cores; a core has %u: "
                        "%u bytes too many",
                        k->name, nearest->bytes, nearest->w, nearest->h, m->sram_bytes,
                        nearest->bytes - m->sram_bytes);
        MemoryItemVec items = {0};
        kernel_memory(z->arena, k, in, m, nearest, &items);
        for (size_t i = 0; i < items.n && i < 8; i++)
            diag_note(d, none, "%8u bytes: %s", items.data[i].bytes, items.data[i].name);
    } else {
        diag_infeasible(
            d, k->span, "kernel '%s' needs %u cores (%u x %u) at least; %u may be used on %u x %u",
            k->name, cores, nearest->w, nearest->h, plan_core_limit(z->cx), m->width, m->height);
    }
}

static bool fits_fabric(const Machine *m, const Shape *s)
{
    return (s->w <= m->width && s->h <= m->height) || (s->h <= m->width && s->w <= m->height);
}

/* Shapes of all kernels. Messages are whole rows unless memory asks for shorter ones: then
 * every stream at that kernel is cut finer and all begin anew. */
static bool find_shapes(Sizer *z, bool report)
{
    const Machine *m = z->cx->machine;
    Plan *plan = z->plan;
    uint32_t *segs = arena_array(z->arena, uint32_t, plan->streams.n);
    bool *hopeless = arena_array(z->arena, bool, z->n); /* said once, the others looked at */
    for (size_t i = 0; i < plan->streams.n; i++)
        segs[i] = 1;
    bool again = true, good = true;
    while (again) {
        again = false;
        for (uint32_t o = 0; o < z->n && !again; o++) {
            Choice *c = &z->choice[z->order[o]];
            const Kernel *k = c->kernel;
            if (hopeless[k->id])
                continue;
            Protocol in[KERNEL_MAX_INPUTS];
            for (uint32_t i = 0; i < k->n_in; i++)
                protocol_of(&plan->streams.data[k->in[i]]->node->type, 1, segs[k->in[i]], &in[i]);
            ShapeVec all = {0};
            Shape nearest = {0};
            kernel_shapes(z->arena, k, in, m, plan_core_limit(z->cx), &all, &nearest);
            c->shapes.n = 0;
            uint32_t want = k->n_out ? segs[k->out[0]] : 1, least = UINT32_MAX;
            for (size_t i = 0; i < all.n; i++) {
                const Shape *s = &all.data[i];
                if (!fits_fabric(m, s))
                    continue;
                if (s->segs_out == want)
                    vec_push(z->arena, &c->shapes, *s);
                else if (s->segs_out > want && s->segs_out < least)
                    least = s->segs_out;
            }
            if (c->shapes.n)
                continue;
            if (least != UINT32_MAX) {
                for (uint32_t i = 0; i < k->n_out; i++)
                    segs[k->out[i]] = least;
                again = true;
                continue;
            }
            /* Shorter messages of the image rows that come in. */
            for (uint32_t i = 0; i < k->n_in; i++) {
                const Stream *s = plan->streams.data[k->in[i]];
                if (in[i].segs >= in[i].cols)
                    continue;
                uint32_t finer = in[i].segs * 2 < in[i].cols ? in[i].segs * 2 : in[i].cols;
                again = true;
                segs[s->id] = finer;
                if (s->from != PLAN_HOST) {
                    const Kernel *from = plan->kernels.data[s->from];
                    for (uint32_t j = 0; j < from->n_out; j++)
                        segs[from->out[j]] = finer;
                }
            }
            if (again)
                continue;
            hopeless[k->id] = true;
            good = false;
            if (report) {
                if (all.n) /* shapes there are, but none is as narrow as the fabric */
                    nearest = all.data[0];
                report_kernel(z, k, in, &nearest);
            }
        }
    }
    for (size_t i = 0; i < plan->streams.n && good; i++) {
        Stream *s = plan->streams.data[i];
        protocol_of(&s->node->type, 1, segs[i], &s->protocol);
    }
    for (uint32_t k = 0; k < z->n && good; k++) {
        Choice *c = &z->choice[k];
        c->cost = arena_array(z->arena, uint64_t, c->shapes.n);
        c->by_lanes = arena_array(z->arena, LaneCost, c->shapes.n);
    }
    return good;
}

/* ---- adapters ---- */

static void remove_adapters(Plan *plan)
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

static void insert_adapter(Sizer *z, Stream *s, Shape shape)
{
    Plan *plan = z->plan;
    Arena *a = z->cx->arena;
    Protocol in = s->protocol;
    in.lanes = shape.lanes_in;
    shape.segs_out = in.segs;
    Kernel *k = adapter_kernel(a, s, &shape);
    k->id = (uint32_t)plan->kernels.n;
    k->name = arena_printf(a, "adapter%u", k->id);
    kernel_shape(z->arena, k, &in, z->cx->machine, &shape);
    k->shape = shape;
    Stream *rest = arena_new(a, Stream);
    *rest = *s;
    rest->id = (uint32_t)plan->streams.n;
    rest->name = arena_printf(a, "%s (%u lanes)", s->name, shape.lanes_out);
    rest->from = (int32_t)k->id;
    rest->protocol.lanes = shape.lanes_out;
    if (s->to != PLAN_HOST)
        plan->kernels.data[s->to]->in[s->to_input] = rest->id;
    s->to = (int32_t)k->id;
    s->to_input = 0;
    s->protocol.lanes = shape.lanes_in;
    k->in[0] = s->id;
    k->out[0] = rest->id;
    vec_push(a, &plan->kernels, k);
    vec_push(a, &plan->streams, rest);
}

static void apply(Sizer *z)
{
    size_t n = z->plan->streams.n;
    for (uint32_t k = 0; k < z->n; k++)
        z->choice[k].kernel->shape = *chosen(z, (int32_t)k);
    for (size_t i = 0; i < n; i++) {
        Stream *s = z->plan->streams.data[i];
        Shape shape;
        bool adapt = adapter_needed(z, s, &shape);
        s->protocol.segs = stream_segs(z, s);
        s->protocol.lanes = shape.lanes_in;
        s->slots = 2;
        if (adapt)
            insert_adapter(z, s, shape);
    }
}

/* ---- the search ---- */

static void order_kernels(Sizer *z)
{
    bool *done = arena_array(z->arena, bool, z->n);
    uint32_t n = 0, before = 1;
    while (n != before) {
        before = n;
        for (uint32_t i = 0; i < z->n; i++) {
            const Kernel *k = z->plan->kernels.data[i];
            bool ready = !done[i];
            for (uint32_t j = 0; j < k->n_in; j++) {
                int32_t from = z->plan->streams.data[k->in[j]]->from;
                ready = ready && (from == PLAN_HOST || done[from]);
            }
            if (ready) {
                done[i] = true;
                z->order[n++] = i;
            }
        }
    }
}

static uint64_t slowest(const Sizer *z, const Kernel **which)
{
    uint64_t worst = 0;
    for (uint32_t k = 0; k < z->n; k++) {
        if (chosen(z, (int32_t)k)->cycles > worst) {
            worst = chosen(z, (int32_t)k)->cycles;
            *which = z->choice[k].kernel;
        }
    }
    return worst;
}

/* What keeps the fastest choice from being faster; the slack comes after. */
static void explain(Sizer *z, uint64_t host)
{
    const Kernel *k = NULL;
    uint64_t worst = slowest(z, &k);
    Arena *a = z->cx->arena;
    if (!k)
        return;
    if (worst <= host) {
        z->plan->why =
            arena_printf(a, "the host ports: %" PRIu64 " words a sample take %" PRIu64 " cycles",
                         plan_host_words(z->plan), host);
        return;
    }
    bool faster = false;
    for (size_t i = 0; i < z->choice[k->id].shapes.n; i++)
        faster = faster || z->choice[k->id].shapes.data[i].cycles < worst;
    z->plan->why = arena_printf(a, "kernel '%s', %" PRIu64 " cycles at best: %s", k->name, worst,
                                faster ? "faster shapes of it take more cores than allowed"
                                       : "no shape of it is faster");
}

static bool size_throughput(Sizer *z, uint64_t budget, uint64_t host)
{
    size_t n = 0, total = 0;
    for (uint32_t k = 0; k < z->n; k++)
        total += z->choice[k].shapes.n;
    uint64_t *times = arena_array(z->arena, uint64_t, total);
    for (uint32_t k = 0; k < z->n; k++)
        for (size_t i = 0; i < z->choice[k].shapes.n; i++)
            times[n++] = z->choice[k].shapes.data[i].cycles;
    qsort(times, n, sizeof *times, by_value);
    size_t lo = 0, hi = n - 1; /* the slowest of all is feasible, or nothing is */
    if (solve(z, times[hi]) > budget) {
        /* Adapters may be slower than every kernel. */
        if (solve(z, NEVER - 1) > budget)
            return false;
        explain(z, host);
        return true;
    }
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (solve(z, times[mid]) <= budget)
            hi = mid;
        else
            lo = mid + 1;
    }
    if (solve(z, times[hi]) > budget)
        return false;
    explain(z, host);
    uint64_t best = times[hi] > host ? times[hi] : host;
    uint64_t target = best + (uint64_t)((double)best * z->cx->options.slack);
    if (solve(z, target) <= budget)
        return true;
    return solve(z, times[hi]) <= budget;
}

/* The core price rises until the choice fits the budget, then falls as far as it may. Prices
 * reach only the convex hull of what there is: the fastest pipeline may be the better one. */
static bool size_latency(Sizer *z, uint64_t budget, uint64_t host)
{
    enum { BISECTIONS = 10 };
    bool pipeline = size_throughput(z, budget, host);
    uint64_t sum = pipeline ? z->sum : UINT64_MAX, high = 1;
    z->cycles_price = LATENCY_SCALE;
    for (z->core_price = high; solve(z, NEVER - 1) > budget; z->core_price = high) {
        high *= 2;
        if (high > (uint64_t)1 << 40)
            return false;
    }
    uint64_t low = high / 2;
    for (unsigned i = 0; i < BISECTIONS && low + 1 < high; i++) {
        uint64_t mid = low + (high - low) / 2;
        z->core_price = mid;
        if (solve(z, NEVER - 1) <= budget)
            high = mid;
        else
            low = mid;
    }
    z->core_price = high;
    if (solve(z, NEVER - 1) <= budget && z->sum < sum) {
        explain(z, host);
        return true;
    }
    z->core_price = 1;
    z->cycles_price = 0;
    return size_throughput(z, budget, host);
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

/* Cycles a sample that the ports take. */
static uint64_t host_cycles(const Plan *plan)
{
    Fraction f = plan->machine->host_words;
    return (plan_host_words(plan) * f.den + f.num - 1) / f.num;
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

static Sizer sizer(PassContext *cx, Arena *scratch)
{
    Plan *plan = cx->plan;
    Sizer z = {.cx = cx, .arena = scratch, .plan = plan, .core_price = 1};
    z.n = (uint32_t)plan->kernels.n;
    z.choice = arena_array(scratch, Choice, z.n);
    z.order = arena_array(scratch, uint32_t, z.n);
    for (uint32_t k = 0; k < z.n; k++)
        z.choice[k].kernel = plan->kernels.data[k];
    order_kernels(&z);
    z.host_lanes = plan_host_lanes(plan);
    return z;
}

bool plan_size(PassContext *cx, uint64_t budget, bool report, uint64_t *least)
{
    Arena scratch = {0};
    Plan *plan = cx->plan;
    remove_adapters(plan);
    Sizer z = sizer(cx, &scratch);
    *least = 0;
    bool good = find_shapes(&z, report);
    if (good) {
        uint64_t host = host_cycles(plan);
        good = z.host_lanes > 0;
        if (!good && report)
            diag_infeasible(cx->diag, (Span){0, 0, 0},
                            "%u host streams need a port each; there are %u", host_streams(plan),
                            cx->machine->ports_west + cx->machine->ports_east);
        if (good) {
            good = cx->options.latency ? size_latency(&z, budget, host)
                                       : size_throughput(&z, budget, host);
            if (good) {
                apply(&z);
            } else {
                z.core_price = 1;
                z.cycles_price = 0;
                *least = solve(&z, NEVER - 1);
                for (uint32_t k = 0; k < z.n; k++) /* for the message */
                    z.choice[k].kernel->shape = *chosen(&z, (int32_t)k);
            }
        }
    }
    arena_free(&scratch);
    return good;
}

/* The least cores for multiples of the fastest time, with a sizer of its own, so that the plan
 * is the same whether somebody asks for its report or not. */
static void find_curve(PassContext *cx)
{
    static const unsigned percent[] = {100, 125, 150, 200, 300, 400, 800, 1600};
    Arena scratch = {0};
    Plan *plan = cx->plan;
    Sizer z = sizer(cx, &scratch);
    const Kernel *which = NULL;
    uint64_t host = host_cycles(plan);
    if (z.host_lanes > 0 && find_shapes(&z, false) &&
        size_throughput(&z, plan_core_limit(cx), host)) {
        uint64_t best = slowest(&z, &which), before = UINT64_MAX;
        best = best > host ? best : host;
        for (unsigned i = 0; i < sizeof percent / sizeof percent[0]; i++) {
            uint64_t cores = solve(&z, best * percent[i] / 100);
            if (cores >= before)
                continue;
            before = cores;
            uint64_t cycles = slowest(&z, &which);
            SizePoint point = {cores, cycles > host ? cycles : host};
            vec_push(cx->arena, &plan->curve, point);
        }
    }
    arena_free(&scratch);
}

static void report_total(PassContext *cx, uint64_t least)
{
    uint32_t limit = plan_core_limit(cx);
    const Plan *plan = cx->plan;
    if (least == UINT64_MAX)
        diag_infeasible(cx->diag, (Span){0, 0, 0},
                        "no choice of shapes agrees on lanes: every adapter between some of the "
                        "kernels needs more memory than a core has");
    else
        diag_infeasible(cx->diag, (Span){0, 0, 0},
                        "the network needs %" PRIu64 " cores at least, %u may be used: %" PRIu64
                        " too many",
                        least, limit, least - limit);
    for (size_t i = 0; i < plan->kernels.n; i++) {
        const Kernel *k = plan->kernels.data[i];
        diag_note(cx->diag, (Span){0, 0, 0}, "kernel '%s' takes %u x %u cores at least", k->name,
                  k->shape.w, k->shape.h);
    }
}

/* Rectangles and wires between them do not fill a fabric: sparse plans are tried first. */
bool pass_size(PassContext *cx)
{
    static const unsigned percent[] = {50, 70, 85, 100};
    uint64_t area = (uint64_t)cx->machine->width * cx->machine->height, least = 0;
    uint64_t limit = plan_core_limit(cx), last = 0;
    if (!cx->plan->kernels.n)
        return diag_infeasible(cx->diag, (Span){0, 0, 0},
                               "nothing to compute: the outputs are inputs or constants");
    if (cx->options.curve)
        find_curve(cx);
    for (unsigned i = 0; i < sizeof percent / sizeof percent[0]; i++) {
        uint64_t budget = area * percent[i] / 100;
        budget = budget < limit ? budget : limit;
        if (budget == last)
            continue;
        last = budget;
        if (plan_size(cx, budget, i == 0, &least))
            return true;
        if (least == 0)
            return false; /* some kernel alone: reported */
    }
    report_total(cx, least);
    return false;
}
