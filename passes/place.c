/* SPDX-License-Identifier: Apache-2.0 */
/* passes/place.c - rectangles on the fabric, with the router as the oracle.
 *
 * Kernels are placed in topological order. Candidates for the next one are all orientations at
 * corners and lane alignments that the regions placed so far suggest (on small fabrics every
 * position), ranked by estimated wire and by growth of the area in use. The best of them are
 * tried: the kernel is put there and its streams are routed; what cannot be routed is no
 * candidate. A bounded depth-first search goes back where nothing fits. Sound, complete
 * enough for small networks, and replaceable: shapes, edges and costs in, rectangles out. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "passes/planner.h"

enum {
    SMALL_FABRIC = 1024, /* cores: every position is tried */
    MAX_CANDIDATES = 1 << 16,
    MAX_COORDINATES = 160,
    RECENT = 6, /* regions that offer corners, beside the producers' */
    PLACE_VARIANTS = 5,
};

typedef struct Candidate {
    uint32_t x, y;
    uint8_t turn;
    bool mirror;
    uint32_t cost;
} Candidate;

typedef struct Placer {
    Arena *arena;
    Plan *plan;
    Router *router;
    Kernel **order;
    uint32_t n;
    bool *placed;    /* by kernel id */
    Candidate *list; /* of the kernel being placed; done with before the next one */
    Box used;        /* hull of the regions placed */
    unsigned tries;  /* routed candidates left */
    unsigned branch; /* candidates routed per kernel and visit */
    int32_t spare;   /* more gap between kernels */
    uint32_t deepest;
    RouteFailure failure; /* of the deepest */
} Placer;

/* Topological order over streams, lowest id first among the ready. */
static void order_kernels(Placer *p)
{
    uint32_t n = (uint32_t)p->plan->kernels.n;
    bool *done = arena_array(p->arena, bool, n);
    p->order = arena_array(p->arena, Kernel *, n);
    while (p->n < n) {
        uint32_t before = p->n;
        /* The successor of the last one first: chains stay together. */
        for (uint32_t pass = 0; pass < 2 && p->n == before; pass++) {
            for (uint32_t i = 0; i < n && p->n == before; i++) {
                Kernel *k = p->plan->kernels.data[i];
                bool ready = !done[i], next = false;
                for (uint32_t j = 0; j < k->n_in; j++) {
                    int32_t from = p->plan->streams.data[k->in[j]]->from;
                    ready = ready && (from == PLAN_HOST || done[from]);
                    next = next || (before && from == (int32_t)p->order[before - 1]->id);
                }
                if (ready && (next || pass == 1)) {
                    done[i] = true;
                    p->order[p->n++] = k;
                }
            }
        }
        if (p->n == before)
            return; /* a cycle: plans have none; the rest stays unplaced and is noticed */
    }
}

static int cheaper(const void *a, const void *b)
{
    const Candidate *p = a, *q = b;
    if (p->cost != q->cost)
        return p->cost < q->cost ? -1 : 1;
    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    if (p->y != q->y)
        return p->y < q->y ? -1 : 1;
    if (p->turn != q->turn)
        return p->turn < q->turn ? -1 : 1;
    return (int)p->mirror - (int)q->mirror;
}

typedef struct Coordinates {
    unsigned n;
    int32_t at[MAX_COORDINATES];
} Coordinates;

static void coordinate(Coordinates *c, int32_t at, int32_t size, int32_t extent)
{
    if (at < 0 || at + size > extent || c->n == MAX_COORDINATES)
        return;
    for (unsigned i = 0; i < c->n; i++)
        if (c->at[i] == at)
            return;
    c->at[c->n++] = at;
}

static void beside(Coordinates *c, int32_t lo, int32_t hi, int32_t size, int32_t extent,
                   int32_t lanes, int32_t spare)
{
    const int32_t gap[] = {0, 1, lanes, lanes + 2, 2 * lanes + 2};
    for (unsigned i = 0; i < sizeof gap / sizeof gap[0]; i++) {
        coordinate(c, hi + 1 + gap[i] + spare, size, extent);
        coordinate(c, lo - gap[i] - spare - size, size, extent);
    }
    coordinate(c, lo, size, extent);
    coordinate(c, hi - size + 1, size, extent);
}

/* Hops and turns that a stream from one edge to another will about need. */
static uint32_t wire_estimate(Side ds, int32_t sx, int32_t sy, Side de, int32_t ex, int32_t ey,
                              uint32_t lanes)
{
    int32_t dx = ex - sx, dy = ey - sy;
    int32_t along = dx * side_dx(ds) + dy * side_dy(ds);
    int32_t into = dx * side_dx(de) + dy * side_dy(de);
    uint32_t turns;
    if (ds == de)
        turns = along <= 0 ? 4 : (dx == 0 || dy == 0) ? 0 : 2;
    else if (side_opposite(ds) == de)
        turns = 2;
    else
        turns = along > 0 && into > 0 ? 1 : 3;
    return (uint32_t)(abs(dx) + abs(dy)) + turns * (lanes / 2 + 2);
}

static void middle(Router *r, const Kernel *k, int input, Side *travel, int32_t *x, int32_t *y,
                   uint32_t *lanes)
{
    const FabricEdge *e = router_edge(r, k, input);
    *travel = e->travel;
    *lanes = e->lanes;
    *x = (int32_t)k->x + (e->x[0] + e->x[e->lanes - 1]) / 2;
    *y = (int32_t)k->y + (e->y[0] + e->y[e->lanes - 1]) / 2;
}

static uint32_t candidate_cost(Placer *p, const Kernel *k)
{
    uint32_t cost = 0;
    Box b = plan_box(k);
    const Machine *m = p->plan->machine;
    for (uint32_t i = 0; i < k->n_in; i++) {
        const Stream *s = p->plan->streams.data[k->in[i]];
        Side ds, de;
        int32_t sx, sy, ex, ey;
        uint32_t lanes;
        middle(p->router, k, (int)i, &de, &ex, &ey, &lanes);
        if (s->from == PLAN_HOST) {
            bool west = ex < (int32_t)m->width / 2;
            cost += wire_estimate(west ? SIDE_E : SIDE_W, west ? -1 : (int32_t)m->width, ey, de, ex,
                                  ey, lanes);
        } else {
            middle(p->router, p->plan->kernels.data[s->from], -1, &ds, &sx, &sy, &lanes);
            cost += wire_estimate(ds, sx, sy, de, ex, ey, lanes);
        }
    }
    for (uint32_t i = 0; i < k->n_out; i++) {
        if (p->plan->streams.data[k->out[i]]->to == PLAN_HOST) {
            int32_t west = b.x0, east = (int32_t)m->width - 1 - b.x1;
            cost += (uint32_t)(west < east ? west : east);
        }
    }
    if (p->used.x1 >= p->used.x0) {
        Box u = p->used;
        int32_t w = (b.x1 > u.x1 ? b.x1 : u.x1) - (b.x0 < u.x0 ? b.x0 : u.x0);
        int32_t h = (b.y1 > u.y1 ? b.y1 : u.y1) - (b.y0 < u.y0 ? b.y0 : u.y0);
        cost += (uint32_t)((w - (u.x1 - u.x0)) + (h - (u.y1 - u.y0)));
    }
    return cost;
}

static bool small_fabric(const Machine *m)
{
    return m->width * m->height <= SMALL_FABRIC;
}

static bool region_free(const Placer *p, const Kernel *k)
{
    Box b = plan_box(k);
    for (uint32_t i = 0; i < p->n; i++)
        if (p->placed[p->order[i]->id] && box_meet(b, plan_box(p->order[i])))
            return false;
    return true;
}

/* Candidate coordinates along one axis for a region of that size. */
static void coordinates(Placer *p, const Kernel *k, uint32_t depth, bool along_x, int32_t size,
                        Coordinates *c)
{
    const Machine *m = p->plan->machine;
    int32_t extent = (int32_t)(along_x ? m->width : m->height);
    c->n = 0;
    if (small_fabric(m)) {
        for (int32_t at = 0; at + size <= extent; at++)
            coordinate(c, at, size, extent);
        return;
    }
    int32_t lanes = (int32_t)(k->n_in ? p->plan->streams.data[k->in[0]]->protocol.lanes : 1);
    for (uint32_t i = 0; i < k->n_in; i++) {
        const Stream *s = p->plan->streams.data[k->in[i]];
        if (s->from == PLAN_HOST) {
            coordinate(c, 0, size, extent);
            coordinate(c, 1, size, extent);
            coordinate(c, lanes + 1, size, extent);
            coordinate(c, (extent - size) / 2, size, extent);
            continue;
        }
        /* The first or the last lane straight on: all others shift to one side. */
        const Kernel *from = p->plan->kernels.data[s->from];
        const FabricEdge *out = router_edge(p->router, from, -1);
        const FabricEdge *in = router_edge(p->router, k, (int)i);
        const int32_t *sc = along_x ? out->x : out->y, *ec = along_x ? in->x : in->y;
        uint32_t n = in->lanes;
        int32_t base = (int32_t)(along_x ? from->x : from->y);
        coordinate(c, base + sc[0] - ec[0], size, extent);
        coordinate(c, base + sc[n - 1] - ec[n - 1], size, extent);
        Box b = plan_box(from);
        beside(c, along_x ? b.x0 : b.y0, along_x ? b.x1 : b.y1, size, extent, lanes, p->spare);
    }
    for (uint32_t i = depth; i > 0 && depth - i < RECENT; i--) {
        Box b = plan_box(p->order[i - 1]);
        beside(c, along_x ? b.x0 : b.y0, along_x ? b.x1 : b.y1, size, extent, lanes, p->spare);
    }
    if (depth)
        beside(c, along_x ? p->used.x0 : p->used.y0, along_x ? p->used.x1 : p->used.y1, size,
               extent, lanes, p->spare);
}

static uint32_t candidates(Placer *p, Kernel *k, uint32_t depth, Candidate *list)
{
    uint32_t n = 0;
    for (uint8_t o = 0; o < 8; o++) {
        k->turn = o / 2;
        k->mirror = o % 2;
        uint32_t w, h;
        plan_extent(k, &w, &h);
        Coordinates xs, ys;
        coordinates(p, k, depth, true, (int32_t)w, &xs);
        coordinates(p, k, depth, false, (int32_t)h, &ys);
        for (unsigned i = 0; i < xs.n; i++) {
            for (unsigned j = 0; j < ys.n && n < MAX_CANDIDATES; j++) {
                k->x = (uint32_t)xs.at[i];
                k->y = (uint32_t)ys.at[j];
                if (region_free(p, k))
                    list[n++] =
                        (Candidate){k->x, k->y, (uint8_t)k->turn, k->mirror, candidate_cost(p, k)};
            }
        }
    }
    qsort(list, n, sizeof *list, cheaper);
    return n;
}

/* Streams that have both ends now. */
static bool route_streams(Placer *p, const Kernel *k, uint32_t *cost)
{
    *cost = 0;
    for (uint32_t i = 0; i < k->n_in + k->n_out; i++) {
        Stream *s = p->plan->streams.data[i < k->n_in ? k->in[i] : k->out[i - k->n_in]];
        if (i >= k->n_in && s->to != PLAN_HOST)
            continue;
        uint32_t one;
        if (!router_add_stream(p->router, s, 0, &one))
            return false;
        *cost += one;
    }
    return true;
}

static bool place_from(Placer *p, uint32_t depth)
{
    enum { KEEP = 3 };
    if (depth == p->n) {
        /* Every region is known now: the streams once more, in the order they will have. */
        Router *r;
        Arena a = {0};
        bool good = plan_route(p->plan, &a, p->router->limit, &r);
        if (!good)
            p->failure = r->failure;
        arena_free(&a);
        /* As much work as placing every kernel once. */
        p->tries -= p->tries < p->n ? p->tries : p->n;
        return good;
    }
    Kernel *k = p->order[depth];
    Candidate *list = p->list;
    uint32_t n = candidates(p, k, depth, list), kept = 0;
    Candidate best[KEEP];
    RouterMark before = router_mark(p->router);
    for (uint32_t i = 0, tried = 0; i < n && tried < p->branch && p->tries > 0; i++) {
        /* Estimates are lower bounds but for turns: far worse ones need no look. */
        if (kept == KEEP && list[i].cost > best[KEEP - 1].cost)
            break;
        uint32_t cost;
        k->x = list[i].x;
        k->y = list[i].y;
        k->turn = list[i].turn;
        k->mirror = list[i].mirror;
        router_add_kernel(p->router, k);
        bool good = route_streams(p, k, &cost);
        if (!good && depth >= p->deepest) {
            p->deepest = depth;
            p->failure = p->router->failure;
        }
        router_rewind(p->router, before);
        tried++;
        p->tries--;
        if (!good)
            continue;
        Candidate c = list[i];
        c.cost = cost + candidate_cost(p, k);
        bool full = kept == KEEP;
        uint32_t at = full ? KEEP - 1 : kept++;
        if (full && best[at].cost <= c.cost)
            continue;
        best[at] = c;
        for (; at > 0 && best[at].cost < best[at - 1].cost; at--) {
            Candidate t = best[at];
            best[at] = best[at - 1];
            best[at - 1] = t;
        }
    }
    Box used = p->used;
    for (uint32_t i = 0; i < kept; i++) {
        uint32_t cost;
        k->x = best[i].x;
        k->y = best[i].y;
        k->turn = best[i].turn;
        k->mirror = best[i].mirror;
        router_add_kernel(p->router, k);
        route_streams(p, k, &cost);
        Box b = plan_box(k);
        if (used.x1 < used.x0)
            p->used = b;
        else
            p->used = (Box){b.x0 < used.x0 ? b.x0 : used.x0, b.y0 < used.y0 ? b.y0 : used.y0,
                            b.x1 > used.x1 ? b.x1 : used.x1, b.y1 > used.y1 ? b.y1 : used.y1};
        p->placed[k->id] = true;
        if (place_from(p, depth + 1))
            return true;
        p->placed[k->id] = false;
        p->used = used;
        router_rewind(p->router, before);
        if (p->tries == 0)
            return false;
    }
    return false;
}

uint64_t plan_link_limit(const Plan *plan, unsigned step)
{
    uint64_t target = plan_target(plan);
    return step == 0 ? target : step == 1 ? 2 * target : UINT64_MAX / 4;
}

bool plan_place(PassContext *cx, unsigned variant, PlaceFailure *failure)
{
    static const struct {
        unsigned tries; /* per kernel */
        unsigned branch;
        int32_t spare;
        unsigned limit;
    } variants[PLACE_VARIANTS] = {
        {60, 24, 0, 0}, {80, 48, 2, 0}, {150, 100, 0, 1}, {400, 300, 0, 2}, {200, 100, 6, 2}};
    Arena a = {0};
    Placer p = {.arena = &a,
                .plan = cx->plan,
                .used = {0, 0, -1, -1},
                .tries = variants[variant].tries * (unsigned)cx->plan->kernels.n,
                .branch = variants[variant].branch,
                .spare = variants[variant].spare};
    p.placed = arena_array(&a, bool, cx->plan->kernels.n);
    p.list = arena_array(&a, Candidate, MAX_CANDIDATES);
    p.router = router_create(&a, cx->plan, plan_link_limit(cx->plan, variants[variant].limit));
    order_kernels(&p);
    bool good = p.n == cx->plan->kernels.n && place_from(&p, 0);
    if (!good)
        *failure =
            (PlaceFailure){p.n ? p.order[p.deepest < p.n ? p.deepest : p.n - 1] : NULL, p.failure};
    /* The ways found were trials; routing finds them anew with all regions known. */
    for (size_t i = 0; i < cx->plan->streams.n; i++) {
        Stream *s = cx->plan->streams.data[i];
        s->start_x = s->start_y = s->port_y = NULL;
        s->segments = NULL;
        s->n_segments = s->color = 0;
    }
    arena_free(&a);
    return good;
}

/* A dense or narrow choice of shapes may not pack: then fewer cores are asked for. */
bool pass_place(PassContext *cx)
{
    Plan *plan = cx->plan;
    PlaceFailure failure = {0};
    uint64_t cores = plan_cores(plan), first = cores, least;
    bool small = small_fabric(plan->machine);
    for (unsigned shrink = 0; shrink < 8; shrink++) {
        for (unsigned variant = 0; variant < PLACE_VARIANTS; variant++) {
            /* Gaps mean nothing where every position is tried. */
            bool gaps = variant == 1 || variant == 4;
            if (!(gaps && small) && plan_place(cx, variant, &failure))
                return true;
        }
        uint64_t budget = cores * 4 / 5;
        if (!plan_size(cx, budget, false, &least))
            break;
        cores = plan_cores(plan);
    }
    const Machine *m = plan->machine;
    const Kernel *k = failure.kernel;
    Span at = k ? k->span : (Span){0, 0, 0};
    diag_infeasible(cx->diag, at,
                    "no placement found: %zu kernels of %" PRIu64
                    " cores in all (first try %" PRIu64 ") on %u x %u = %" PRIu64 " cores",
                    plan->kernels.n, cores, first, m->width, m->height,
                    (uint64_t)m->width * m->height);
    if (k)
        diag_note(cx->diag, k->span, "stuck at kernel '%s' (%u x %u cores, %u lanes in, %u out)",
                  k->name, k->shape.w, k->shape.h, k->shape.lanes_in, k->shape.lanes_out);
    route_explain(cx, &failure.route);
    for (size_t i = 0; i < plan->kernels.n; i++) {
        const Kernel *o = plan->kernels.data[i];
        diag_note(cx->diag, (Span){0, 0, 0}, "kernel '%s' takes %u x %u cores", o->name, o->shape.w,
                  o->shape.h);
    }
    return false;
}
