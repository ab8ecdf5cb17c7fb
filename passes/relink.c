// SPDX-License-Identifier: Apache-2.0
// passes/relink.c - new places and ways for a finished plan whose wafer has holes.
//
// Kernels keep their shape, and their orientation while that works. First only those move that
// stand on missing cores, then one by one also those whose streams found no way, then all by the
// same distance, then each by itself. A place is a corner beside something that is
// there already (as in bottom-left packing), or beside the tracks of a bundle along it, judged by
// the distance to the kernels its streams come from and go to; the router decides, asked for ways
// in closed form first, one stream after the other, and for all it can do where that fails. What is
// tried grows from tight to roomy and from the best place to others, so the first plan that routes
// moves little. Each try costs kernels times (lines x lines of places) and one routing.
#include <stdlib.h>
#include <string.h>

#include "passes/defects.h"
#include "passes/planner.h"

enum {
    MAX_LINES = 48,  /* candidates for a coordinate */
    N_ROOMS = 6,     /* widths of free space around a kernel that are tried, */
    RANKS = 6,       /* and places for each, */
    APART = 4,       /* so far from each other at least */
    MAX_SHIFTS = 40, /* distances for all kernels together */
    MODES = 8,       /* ways to turn: none, all that move by the same quarters, each by its own */
    LIMIT_STEPS = 3, /* of plan_link_limit() */
    MORE = 4,        /* kernels that may move besides those that must */
    TURNS = 3,       /* orders of streams */
    FEW = 8,         /* moving kernels, for which all that the router can do is worth its time */
};

typedef struct Relink {
    Plan *plan;
    Arena scratch;
    Box *old;        /* where kernels stood, */
    uint32_t *turn;  /* and how */
    unsigned mode;   /* quarter turns of what moves; from 4 on drawn for each kernel */
    bool *placed;    /* by kernel: stays, or has got its place */
    bool *stays;     /* by kernel: not to be moved */
    uint32_t *blame; /* by kernel: tries in which one of its streams had no way */
    bool overload;   /* a way was refused for its load: a higher limit may help */
    bool thorough;   /* all of the router */
    Router *router;
    unsigned tries, routed; /* placements looked for, and found: then the router was asked */
} Relink;

static Box keepout_box(const KeepOut *k)
{
    return (Box){(int32_t)k->x, (int32_t)k->y, (int32_t)(k->x + k->w) - 1,
                 (int32_t)(k->y + k->h) - 1};
}

static bool on_wafer(const Plan *plan, Box b)
{
    return b.x0 >= 0 && b.y0 >= 0 && b.x1 < (int32_t)plan->machine->width &&
           b.y1 < (int32_t)plan->machine->height;
}

static bool clear_of_keepouts(const Plan *plan, Box b)
{
    for (size_t i = 0; i < plan->keepouts.n; i++)
        if (box_meet(b, keepout_box(&plan->keepouts.data[i])))
            return false;
    return on_wafer(plan, b);
}

static bool is_free(const Relink *r, const Kernel *k, Box b, int32_t room)
{
    Box wide = {b.x0 - room, b.y0 - room, b.x1 + room, b.y1 + room};
    for (size_t i = 0; i < r->plan->kernels.n; i++)
        if (i != k->id && r->placed[i] && box_meet(wide, plan_box(r->plan->kernels.data[i])))
            return false;
    return clear_of_keepouts(r->plan, b);
}

static uint32_t distance(int32_t a0, int32_t a1, int32_t b0, int32_t b1)
{
    int32_t d = (a0 + a1) - (b0 + b1);
    return (uint32_t)(d < 0 ? -d : d);
}

/* Wires to what is placed and the way from the old place, the latter as a tie-breaker. */
static uint64_t place_cost(const Relink *r, const Kernel *k, Box b)
{
    const Plan *plan = r->plan;
    Box was = r->old[k->id];
    uint64_t cost = distance(b.x0, b.x1, was.x0, was.x1) + distance(b.y0, b.y1, was.y0, was.y1);
    for (uint32_t i = 0; i < k->n_in + k->n_out; i++) {
        const Stream *s = plan->streams.data[i < k->n_in ? k->in[i] : k->out[i - k->n_in]];
        int32_t other = i < k->n_in ? stream_source(s) : s->to,
                width = (int32_t)plan->machine->width;
        if (other == PLAN_HOST) {
            int32_t edge = b.x0 < width - 1 - b.x1 ? b.x0 : width - 1 - b.x1;
            cost += 2 * (uint64_t)edge * s->protocol.lanes;
        } else if (r->placed[other] && (uint32_t)other != k->id) {
            Box at = plan_box(plan->kernels.data[other]);
            cost += ((uint64_t)distance(b.x0, b.x1, at.x0, at.x1) +
                     distance(b.y0, b.y1, at.y0, at.y1)) *
                    s->protocol.lanes;
        }
    }
    return cost;
}

/* Candidates for a coordinate of the corner, nearest to `wish` first. */
typedef struct Lines {
    int32_t at[MAX_LINES], wish;
    unsigned n;
} Lines;

static void add_line(Lines *l, int32_t at)
{
    uint32_t far = distance(at, at, l->wish, l->wish);
    unsigned i = l->n;
    for (unsigned k = 0; k < l->n; k++)
        if (l->at[k] == at)
            return;
    while (i > 0 && distance(l->at[i - 1], l->at[i - 1], l->wish, l->wish) > far)
        i--;
    if (i == MAX_LINES)
        return;
    l->n += l->n < MAX_LINES;
    memmove(&l->at[i + 1], &l->at[i], (l->n - 1 - i) * sizeof *l->at);
    l->at[i] = at;
}

static void add_beside(Lines *l, int32_t from, int32_t to, int32_t extent, int32_t room)
{
    add_line(l, to + 1 + room);
    add_line(l, from - extent - room);
    add_line(l, from);
    add_line(l, to - extent + 1);
}

/* The middle of what the kernel's streams lead to, or where it was. */
static void wish_of(const Relink *r, const Kernel *k, int32_t *x, int32_t *y)
{
    Box b = r->old[k->id];
    int64_t sum_x = b.x0, sum_y = b.y0, n = 1;
    for (uint32_t i = 0; i < k->n_in + k->n_out; i++) {
        const Stream *s = r->plan->streams.data[i < k->n_in ? k->in[i] : k->out[i - k->n_in]];
        int32_t other = i < k->n_in ? stream_source(s) : s->to;
        if (other == PLAN_HOST || !r->placed[other])
            continue;
        Box at = plan_box(r->plan->kernels.data[other]);
        sum_x += (at.x0 + at.x1 - (b.x1 - b.x0)) / 2;
        sum_y += (at.y0 + at.y1 - (b.y1 - b.y0)) / 2;
        n++;
    }
    *x = (int32_t)(sum_x / n);
    *y = (int32_t)(sum_y / n);
}

typedef struct Spot {
    uint64_t cost;
    int32_t x, y;
} Spot;

static int by_cost(const void *p, const void *q)
{
    const Spot *a = p, *b = q;
    if (a->cost != b->cost)
        return a->cost < b->cost ? -1 : 1;
    if (a->y != b->y)
        return a->y < b->y ? -1 : 1;
    return (a->x > b->x) - (a->x < b->x);
}

/* The rank-best of n sorted spots, of such as lie apart: a cell further is no other place. */
static const Spot *pick(const Spot *spots, size_t n, unsigned rank, int32_t apart)
{
    const Spot *chosen[RANKS];
    unsigned have = 0;
    for (size_t i = 0; i < n && have <= rank; i++) {
        bool near = false;
        for (unsigned k = 0; k < have && !near; k++)
            near = abs(spots[i].x - chosen[k]->x) < apart && abs(spots[i].y - chosen[k]->y) < apart;
        if (!near)
            chosen[have++] = &spots[i];
    }
    return have > 0 ? chosen[have - 1] : NULL;
}

/* Puts a kernel to its rank-best place with so much room around it. */
static bool place_one(Relink *r, Kernel *k, int32_t room, unsigned rank)
{
    Box was = r->old[k->id];
    uint32_t ew, eh;
    plan_extent(k, &ew, &eh);
    int32_t w = (int32_t)ew, h = (int32_t)eh;
    Lines xs = {.n = 0}, ys = {.n = 0};
    Spot spots[MAX_LINES * MAX_LINES];
    size_t n = 0;

    wish_of(r, k, &xs.wish, &ys.wish);
    add_line(&xs, was.x0);
    add_line(&ys, was.y0);
    add_beside(&xs, 0, (int32_t)r->plan->machine->width - 1, w, room);
    add_beside(&ys, 0, (int32_t)r->plan->machine->height - 1, h, room);
    for (size_t i = 0; i < r->plan->keepouts.n; i++) {
        Box b = keepout_box(&r->plan->keepouts.data[i]);
        add_beside(&xs, b.x0, b.x1, w, room);
        add_beside(&ys, b.y0, b.y1, h, room);
    }
    for (size_t i = 0; i < r->plan->kernels.n; i++) {
        Box b = plan_box(r->plan->kernels.data[i]);
        if (i == k->id || !r->placed[i])
            continue;
        add_beside(&xs, b.x0, b.x1, w, room);
        add_beside(&ys, b.y0, b.y1, h, room);
    }
    for (unsigned i = 0; i < xs.n; i++) {
        for (unsigned j = 0; j < ys.n; j++) {
            Box b = {xs.at[i], ys.at[j], xs.at[i] + w - 1, ys.at[j] + h - 1};
            if (is_free(r, k, b, room))
                spots[n++] = (Spot){place_cost(r, k, b), b.x0, b.y0};
        }
    }
    qsort(spots, n, sizeof *spots, by_cost);
    const Spot *s = pick(spots, n, rank, APART + room);
    if (!s)
        return false;
    k->x = (uint32_t)s->x;
    k->y = (uint32_t)s->y;
    r->placed[k->id] = true;
    return true;
}

/* Streams one after the other, those of the host first; one without a way goes to the front. */
static bool route_in_turn(Relink *r, uint64_t limit)
{
    Plan *plan = r->plan;
    size_t n = plan->streams.n, done = 0, k = 0;
    Stream **order = arena_array(&r->scratch, Stream *, n + 1);
    for (int host = 1; host >= 0; host--)
        for (size_t i = 0; i < n; i++)
            if ((plan->streams.data[i]->from == PLAN_HOST ||
                 plan->streams.data[i]->to == PLAN_HOST) == host)
                order[k++] = plan->streams.data[i];
    for (unsigned turn = 0; turn < TURNS && done < n; turn++) {
        r->router = router_create(plan->arena, plan, limit);
        for (size_t i = 0; i < plan->kernels.n; i++)
            router_add_kernel(r->router, plan->kernels.data[i]);
        bool found = true;
        for (done = 0; done < n && found; done += found) {
            uint32_t cost;
            found = false;
            for (unsigned effort = 0; effort <= 2 && !found; effort++)
                found = router_add_stream(r->router, order[done], effort, &cost);
        }
        if (done == n)
            break;
        Stream *first = order[done];
        memmove(order + 1, order, done * sizeof *order);
        order[0] = first;
    }
    return done == n;
}

static bool route(Relink *r, unsigned step)
{
    uint64_t limit = plan_link_limit(r->plan, step);
    r->routed++;
    if (r->thorough ? plan_route(r->plan, r->plan->arena, limit, &r->router)
                    : route_in_turn(r, limit))
        return true;
    const RouteFailure *f = &r->router->failure;
    r->overload = r->overload || f->no_link > 0;
    if (f->stream < r->plan->streams.n) {
        const Stream *s = r->plan->streams.data[f->stream];
        if (stream_source(s) != PLAN_HOST)
            r->blame[stream_source(s)]++;
        if (s->to != PLAN_HOST)
            r->blame[s->to]++;
    }
    return false;
}

/* Everything where it was; those that do not stay turned, to be placed. Returns how many. */
static uint32_t lift(Relink *r, Rng *rng)
{
    uint32_t moving = 0;
    for (uint32_t i = 0; i < r->plan->kernels.n; i++) {
        Kernel *k = r->plan->kernels.data[i];
        k->x = (uint32_t)r->old[i].x0;
        k->y = (uint32_t)r->old[i].y0;
        k->turn = r->turn[i];
        r->placed[i] = r->stays[i];
        if (r->stays[i])
            continue;
        k->turn = (k->turn + (r->mode < 4 ? r->mode : rng_below(rng, 4))) % 4;
        moving++;
    }
    return moving;
}

/* Moves the kernels that do not stay. */
static bool try_moves(Relink *r, unsigned step)
{
    Plan *plan = r->plan;
    uint32_t lanes = 1, n = (uint32_t)plan->kernels.n;
    unsigned ranks = r->thorough ? 1 : r->mode > 0 ? 2 : RANKS;
    Rng rng = {r->mode};
    for (size_t i = 0; i < plan->streams.n; i++)
        if (plan->streams.data[i]->protocol.lanes > lanes)
            lanes = plan->streams.data[i]->protocol.lanes;
    const int32_t rooms[N_ROOMS] = {
        0, 1, 3, (int32_t)lanes / 2, (int32_t)lanes, 2 * (int32_t)lanes};
    for (unsigned t = 0; t < N_ROOMS * ranks; t++) {
        int32_t room = rooms[t % N_ROOMS];
        uint32_t moving = lift(r, &rng);
        bool good = true;
        for (uint32_t i = 0; good && i < n; i++)
            if (!r->placed[i])
                good = place_one(r, plan->kernels.data[i], room, t / N_ROOMS);
        if (r->thorough && moving > FEW)
            return false;
        r->tries++;
        if (good && route(r, step))
            return true;
        if (moving == 0) /* only ways were missing: every other try is this one */
            return false;
    }
    return false;
}

/* Moves all kernels by the same distance, the shortest first. */
static bool try_shift(Relink *r, unsigned step)
{
    Plan *plan = r->plan;
    Lines xs = {.n = 0}, ys = {.n = 0};
    Spot spots[MAX_LINES * MAX_LINES];
    size_t n = 0;
    add_line(&xs, 0);
    add_line(&ys, 0);
    for (size_t i = 0; i < plan->keepouts.n; i++) {
        Box b = keepout_box(&plan->keepouts.data[i]);
        for (size_t k = 0; k < plan->kernels.n; k++) {
            Box was = r->old[k];
            add_line(&xs, b.x1 + 1 - was.x0);
            add_line(&xs, b.x0 - 1 - was.x1);
            add_line(&ys, b.y1 + 1 - was.y0);
            add_line(&ys, b.y0 - 1 - was.y1);
        }
    }
    for (unsigned i = 0; i < xs.n * ys.n; i++) {
        int32_t dx = xs.at[i / ys.n], dy = ys.at[i % ys.n];
        bool good = true;
        for (size_t k = 0; good && k < plan->kernels.n; k++) {
            Box b = r->old[k];
            good = clear_of_keepouts(plan, (Box){b.x0 + dx, b.y0 + dy, b.x1 + dx, b.y1 + dy});
        }
        if (good)
            spots[n++] = (Spot){(uint64_t)abs(dx) + (uint64_t)abs(dy), dx, dy};
    }
    qsort(spots, n, sizeof *spots, by_cost);
    for (size_t t = 0; t < n && t < (r->thorough ? N_ROOMS : MAX_SHIFTS); t++) {
        for (size_t k = 0; k < plan->kernels.n; k++) {
            plan->kernels.data[k]->x = (uint32_t)(r->old[k].x0 + spots[t].x);
            plan->kernels.data[k]->y = (uint32_t)(r->old[k].y0 + spots[t].y);
            plan->kernels.data[k]->turn = r->turn[k];
        }
        r->tries++;
        if (route(r, step))
            return true;
    }
    return false;
}

static bool try_limits(Relink *r, bool (*attempt)(Relink *r, unsigned step))
{
    r->overload = false;
    for (unsigned step = 0; step < LIMIT_STEPS && (step == 0 || r->overload); step++)
        if (attempt(r, step))
            return true;
    return false;
}

/* Ways in closed form in all modes, then all that the router can do without turns. */
static bool try_all(Relink *r, bool (*attempt)(Relink *r, unsigned step), unsigned modes)
{
    r->thorough = false;
    for (r->mode = 0; r->mode < modes; r->mode++)
        if (try_limits(r, attempt))
            return true;
    r->thorough = true;
    r->mode = 0;
    return try_limits(r, attempt);
}

/* One more kernel may move: of those that stay, the one in the way most often. */
static bool free_one(Relink *r)
{
    size_t n = r->plan->kernels.n, worst = n;
    for (size_t i = 0; i < n; i++)
        if (r->stays[i] && r->blame[i] > 0 && (worst == n || r->blame[i] > r->blame[worst]))
            worst = i;
    if (worst == n)
        return false;
    r->stays[worst] = false;
    memset(r->blame, 0, n * sizeof *r->blame);
    return true;
}

static bool search(Relink *r)
{
    for (unsigned more = 0; more <= MORE; more++) {
        if (try_all(r, try_moves, 4))
            return true;
        if (!free_one(r))
            break;
    }
    if (try_all(r, try_shift, 1))
        return true;
    memset(r->stays, 0, r->plan->kernels.n * sizeof *r->stays);
    return try_all(r, try_moves, MODES);
}

static bool explain(Diag *d, const Relink *r)
{
    const Plan *plan = r->plan;
    diag_infeasible(d, (Span){0, 0, 0},
                    "the network cannot be placed and routed around the missing cores of this "
                    "wafer; %u placements were looked for, %u found and routed in vain",
                    r->tries, r->routed);
    for (size_t i = 0; i < plan->kernels.n; i++) {
        const Kernel *k = plan->kernels.data[i];
        Box b = r->old[i];
        for (size_t n = 0; n < plan->keepouts.n; n++) {
            const KeepOut *o = &plan->keepouts.data[n];
            if (!box_meet(b, keepout_box(o)))
                continue;
            diag_note(d, k->span,
                      "kernel '%s' of %d x %d cores at (%d, %d) stands on: %s at (%u, %u)", k->name,
                      b.x1 - b.x0 + 1, b.y1 - b.y0 + 1, b.x0, b.y0, o->why, o->x, o->y);
        }
    }
    if (r->router && r->router->failure.stream < plan->streams.n) {
        const Stream *s = plan->streams.data[r->router->failure.stream];
        diag_note(d, s->span, "the last placement had no way for stream '%s'", s->name);
    }
    return false;
}

bool plan_relink(Diag *d, Plan *plan, uint32_t *n_moved)
{
    Relink r = {.plan = plan};
    size_t n = plan->kernels.n;
    r.old = arena_array(&r.scratch, Box, n + 1);
    r.turn = arena_array(&r.scratch, uint32_t, n + 1);
    r.placed = arena_array(&r.scratch, bool, n + 1);
    r.stays = arena_array(&r.scratch, bool, n + 1);
    r.blame = arena_array(&r.scratch, uint32_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        r.old[i] = plan_box(plan->kernels.data[i]);
        r.turn[i] = plan->kernels.data[i]->turn;
        r.stays[i] = clear_of_keepouts(plan, r.old[i]);
    }
    bool good = search(&r) || explain(d, &r);
    *n_moved = 0;
    for (size_t i = 0; i < n; i++) {
        const Kernel *k = plan->kernels.data[i];
        *n_moved +=
            (int32_t)k->x != r.old[i].x0 || (int32_t)k->y != r.old[i].y0 || k->turn != r.turn[i];
    }
    arena_free(&r.scratch);
    return good;
}
