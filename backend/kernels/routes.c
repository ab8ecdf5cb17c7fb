/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/routes.c - router configurations: inside regions and along bundles.
 *
 * Inside a region everything is a few rectangles of the canonical frame. Along a bundle each
 * lane is walked segment by segment; pieces of neighboring lanes that look alike are merged
 * into one rectangle, so a straight bundle costs one. */
#include "backend/kernels/emit.h"

Turned turn_grid(const Kernel *k, Grid g)
{
    uint32_t x0, y0, x1, y1;
    plan_to_fabric(k, g.x, g.y, &x0, &y0);
    plan_to_fabric(k, g.x + (g.nx - 1) * g.sx, g.y + (g.ny - 1) * g.sy, &x1, &y1);
    Turned t = {.swapped = k->turn % 2 != 0};
    t.grid.x = x0 < x1 ? x0 : x1;
    t.grid.y = y0 < y1 ? y0 : y1;
    t.grid.nx = t.swapped ? g.ny : g.nx;
    t.grid.ny = t.swapped ? g.nx : g.ny;
    t.grid.sx = t.swapped ? g.sy : g.sx;
    t.grid.sy = t.swapped ? g.sx : g.sy;
    t.flip_i = t.swapped ? y0 > y1 : x0 > x1;
    t.flip_j = t.swapped ? x0 > x1 : y0 > y1;
    return t;
}

enum {
    TO_N = 1 << SIDE_N,
    TO_E = 1 << SIDE_E,
    TO_S = 1 << SIDE_S,
    TO_W = 1 << SIDE_W,
    TO_CORE = 1 << SIDE_RAMP,
};

typedef struct Inside { /* one kernel's routers of one color */
    Emitter *e;
    const Kernel *kernel;
    uint32_t color, stream;
} Inside;

static void inside(const Inside *w, Grid g, Side in, uint32_t out)
{
    if (g.nx == 0 || g.ny == 0)
        return;
    uint32_t turned = 0;
    for (int s = 0; s < SIDE_COUNT; s++)
        if (out >> s & 1)
            turned |= 1u << plan_side(w->kernel, (Side)s);
    RouteRect r = {turn_grid(w->kernel, g).grid, w->color, plan_side(w->kernel, in), turned,
                   w->stream};
    vec_push(w->e->arena, &w->e->routes, r);
}

/* A chain of n cores along one axis, `across` of them side by side: core i sends on color
 * i % 2 to core i + 1. */
static void chain_routes(Emitter *e, const Kernel *k, uint32_t stream, uint32_t n, uint32_t across,
                         bool down)
{
    for (uint32_t color = 0; color < 2; color++) {
        Inside w = {e, k, color, stream};
        uint32_t links = (n - 1 + 1 - color) / 2;
        if (down) {
            inside(&w, (Grid){0, color, across, links, 1, 2}, SIDE_RAMP, TO_S);
            inside(&w, (Grid){0, color + 1, across, links, 1, 2}, SIDE_N, TO_CORE);
        } else {
            inside(&w, (Grid){color, 0, links, across, 2, 1}, SIDE_RAMP, TO_E);
            inside(&w, (Grid){color + 1, 0, links, across, 2, 1}, SIDE_W, TO_CORE);
        }
    }
}

/* Stream i of those of the same source, which are few, host streams of one tensor too; NULL:
 * there are no more. */
static const Stream *of_source(const Plan *plan, const Stream *s, uint32_t i)
{
    if (s->from == PLAN_HOST)
        return i < plan->streams.n ? plan->streams.data[i] : NULL;
    const Kernel *from = plan->kernels.data[s->from];
    return i < from->n_out ? plan->streams.data[from->out[i]] : NULL;
}

/* Does the stream go on beyond this kernel, as the trunk of another one? */
static bool goes_on(const Emitter *e, uint32_t stream)
{
    const Stream *s = e->plan->streams.data[stream], *o;
    for (uint32_t i = 0; (o = of_source(e->plan, s, i)) != NULL; i++)
        if (o->trunk == s && !o->forks)
            return true;
    return false;
}

static void matrix_routes(Emitter *e, const Part *p, uint32_t chain)
{
    const Kernel *k = p->kernel;
    uint32_t w = p->shape.w, h = p->shape.h, split = p->shape.split, lanes = p->shape.lanes_in;
    Inside in = {e, k, e->plan->streams.data[k->in[0]]->color, k->in[0]};
    uint32_t on = goes_on(e, k->in[0]) ? TO_S : 0, south = h > 1 ? TO_S : 0;
    if (split == 1) {
        inside(&in, (Grid){0, 0, w, 1, 1, 1}, SIDE_N, TO_CORE | south | on);
    } else {
        inside(&in, (Grid){0, 0, lanes, 1, split, 1}, SIDE_N, TO_CORE | TO_E | south | on);
        for (uint32_t i = 1; i < split; i++)
            inside(&in, (Grid){i, 0, lanes, 1, split, 1}, SIDE_W,
                   TO_CORE | south | (i + 1 < split ? TO_E : 0));
    }
    if (h > 1) {
        inside(&in, (Grid){0, 1, w, h - 2, 1, 1}, SIDE_N, TO_CORE | TO_S);
        inside(&in, (Grid){0, h - 1, lanes, 1, split, 1}, SIDE_N, TO_CORE | on);
        for (uint32_t i = 1; i < split; i++)
            inside(&in, (Grid){i, h - 1, lanes, 1, split, 1}, SIDE_N, TO_CORE);
    }
    for (uint32_t i = 1; i < p->n_in; i++) {
        Inside pass = {e, k, e->plan->streams.data[k->in[i]]->color, k->in[i]};
        inside(&pass, (Grid){0, 0, w - 1, h, 1, 1}, SIDE_W, TO_E);
        inside(&pass, (Grid){w - 1, 0, 1, h, 1, 1}, SIDE_W,
               TO_CORE | (goes_on(e, k->in[i]) ? TO_E : 0));
    }
    chain_routes(e, k, chain, w, h, false);
}

static void adapter_routes(Emitter *e, const Part *p, uint32_t chain)
{
    const Kernel *k = p->kernel;
    uint32_t gi = group_in(p), go = group_out(p), pitch = gi > go ? gi : go;
    Inside in = {e, k, e->plan->streams.data[k->in[0]]->color, k->in[0]};
    uint32_t on = goes_on(e, k->in[0]) ? TO_E : 0;
    for (uint32_t g = 0; g < p->groups; g++) {
        uint32_t top = g * pitch;
        if (gi == 1 && go > 1) { /* the lane itself is multicast down the strip */
            inside(&in, (Grid){0, top, 1, 1, 1, 1}, SIDE_W, TO_CORE | TO_S | on);
            inside(&in, (Grid){0, top + 1, 1, go - 2, 1, 1}, SIDE_N, TO_CORE | TO_S);
            inside(&in, (Grid){0, top + go - 1, 1, 1, 1, 1}, SIDE_N, TO_CORE);
            continue;
        }
        inside(&in, (Grid){0, top, 1, gi, 1, 1}, SIDE_W, TO_CORE | on);
        if (on && go > 1)
            inside(&in, (Grid){1, top, 1, gi, 1, 1}, SIDE_W, TO_E);
        for (uint32_t i = 0; i + 1 < gi; i++) {
            Inside link = {e, k, i & 1, chain};
            inside(&link, (Grid){0, top + i, 1, 1, 1, 1}, SIDE_RAMP, TO_S);
            inside(&link, (Grid){0, top + i + 1, 1, 1, 1, 1}, SIDE_N, TO_CORE);
        }
        if (go == 1)
            continue;
        Inside cast = {e, k, (gi - 1) & 1, chain};
        uint32_t from = gi - 1;
        inside(&cast, (Grid){0, top + from, 1, 1, 1, 1}, SIDE_RAMP, TO_E);
        for (uint32_t i = 0; i < pitch; i++) {
            uint32_t out = i < go ? TO_CORE : 0;
            if (i <= from && i > 0)
                out |= TO_N;
            if (i >= from && i + 1 < go)
                out |= TO_S;
            Side side = i == from ? SIDE_W : i < from ? SIDE_S : SIDE_N;
            if (i <= from || i < go)
                inside(&cast, (Grid){1, top + i, 1, 1, 1, 1}, side, out);
        }
    }
}

void emit_kernel_routes(Emitter *e, const Part *p, uint32_t chain)
{
    const Kernel *k = p->kernel;
    switch (p->form) {
    case FORM_DIRECT:
    case FORM_ACCUMULATE:
    case FORM_WINDOW:
        matrix_routes(e, p, chain);
        break;
    case FORM_LINE:
    case FORM_REDUCE:
        for (uint32_t i = 0; i < p->n_in; i++) {
            Inside in = {e, k, e->plan->streams.data[k->in[i]]->color, k->in[i]};
            inside(&in, (Grid){0, 0, 1, p->shape.h, 1, 1}, SIDE_W,
                   TO_CORE | (goes_on(e, k->in[i]) ? TO_E : 0));
        }
        if (p->form == FORM_REDUCE)
            chain_routes(e, k, chain, p->shape.h, 1, true);
        break;
    case FORM_ADAPTER:
        adapter_routes(e, p, chain);
        break;
    }
}

/* ---- bundles ---- */

enum { MAX_PIECES = 64 };

typedef VEC(const Stream *) StreamVec;

typedef struct Pieces { /* rectangles that neighboring lanes may still extend, by place */
    Emitter *e;
    const Stream *stream;
    StreamVec forks; /* streams that leave this one's way */
    RouteRect open[MAX_PIECES];
    uint32_t n;    /* open ones */
    uint32_t next; /* place of the next piece of this lane */
} Pieces;

/* Joins equal lines at a steady distance along one axis. */
static bool join(uint32_t *at, uint32_t *n, uint32_t *step, uint32_t more)
{
    if (more == *at + (*n > 1 ? *n * *step : 0) || (*n > 1 && more + *step == *at)) {
        if (*n == 1)
            return false; /* the same line twice */
        if (more < *at)
            *at = more;
        ++*n;
        return true;
    }
    if (*n > 1)
        return false;
    *step = more > *at ? more - *at : *at - more;
    if (more < *at)
        *at = more;
    *n = 2;
    return true;
}

static bool extend(RouteRect *r, const RouteRect *with)
{
    Grid *g = &r->grid;
    const Grid *w = &with->grid;
    if (r->in != with->in || r->out != with->out)
        return false;
    if (w->ny == 1 && g->x == w->x && g->nx == w->nx && g->sx == w->sx)
        return join(&g->y, &g->ny, &g->sy, w->y);
    if (w->nx == 1 && g->y == w->y && g->ny == w->ny && g->sy == w->sy)
        return join(&g->x, &g->nx, &g->sx, w->x);
    return false;
}

static void piece(Pieces *p, Grid g, Side in, uint32_t out)
{
    RouteRect r = {g, p->stream->color, in, out, p->stream->id};
    uint32_t at = p->next++;
    if (at < p->n && extend(&p->open[at], &r))
        return;
    if (at >= MAX_PIECES) {
        vec_push(p->e->arena, &p->e->routes, r);
        return;
    }
    if (at < p->n)
        vec_push(p->e->arena, &p->e->routes, p->open[at]);
    else
        p->n = at + 1;
    p->open[at] = r;
}

/* The direction of travel into the consumer or out of the fabric. */
static Side last_side(Emitter *e, const Stream *s)
{
    if (s->to == PLAN_HOST)
        return s->port_side;
    const Kernel *to = e->plan->kernels.data[s->to];
    Edge in;
    kernel_edge_in(e->arena, to, s->to_input, &in);
    return plan_side(to, in.travel);
}

/* Sides by which streams fork from the lane at a router of its own way. */
static uint32_t forks_at(const Pieces *p, uint32_t lane, int64_t x, int64_t y)
{
    uint32_t out = 0;
    for (size_t i = 0; i < p->forks.n; i++) {
        const Stream *f = p->forks.data[i];
        if (f->start_x[lane] != x || f->start_y[lane] != y)
            continue;
        uint32_t k = 0;
        while (k < f->n_segments &&
               f->segments[k].to[lane] == (side_dx(f->segments[k].side) ? x : y))
            k++;
        out |= 1u << (k < f->n_segments ? f->segments[k].side : last_side(p->e, f));
    }
    return out;
}

/* n routers in a straight line from (x, y) on, cut where streams fork. */
static void line(Pieces *p, uint32_t lane, int64_t x, int64_t y, uint32_t n, Side in, Side out)
{
    int dx = side_dx(out), dy = side_dy(out);
    while (n > 0) {
        uint32_t forked = forks_at(p, lane, x, y), k = 1;
        while (k < n && (p->forks.n == 0 ||
                         (!forked && !forks_at(p, lane, x + dx * (int64_t)k, y + dy * (int64_t)k))))
            k++;
        Grid run = {(uint32_t)(dx < 0 ? x - (k - 1) : x),
                    (uint32_t)(dy < 0 ? y - (k - 1) : y),
                    dx ? k : 1,
                    dy ? k : 1,
                    1,
                    1};
        piece(p, run, in, 1u << out | forked);
        x += dx * (int64_t)k;
        y += dy * (int64_t)k;
        in = side_opposite(out);
        n -= k;
    }
}

bool emit_in_region(const Kernel *k, int64_t x, int64_t y)
{
    uint32_t w, h;
    plan_extent(k, &w, &h);
    return x >= k->x && x < (int64_t)k->x + w && y >= k->y && y < (int64_t)k->y + h;
}

static bool lane_ends_wrong(Emitter *e, const Stream *s, uint32_t lane, int64_t x, int64_t y)
{
    return diag_internal(e->diag, s->span,
                         "stream '%s': the route of lane %u ends at (%lld, %lld), not at its "
                         "place on the edge of the region",
                         s->name, lane, (long long)x, (long long)y);
}

/* Routers of one lane from (*x, *y) on, up to the last one, which is left by `last`. The first
 * one is somebody else's if it is configured already (passed). */
static bool lane_routers(Pieces *p, uint32_t lane, int64_t *x, int64_t *y, Side enters, Side last)
{
    const Stream *s = p->stream;
    bool passed = s->trunk != NULL;
    for (uint32_t i = 0; i < s->n_segments; i++) {
        Side side = s->segments[i].side;
        int dx = side_dx(side), dy = side_dy(side);
        int64_t to = s->segments[i].to[lane];
        int64_t moves = dx ? (to - *x) * dx : (to - *y) * dy;
        if (moves == 0)
            continue;
        if (moves < 0)
            return lane_ends_wrong(p->e, s, lane, *x, *y);
        if (!passed)
            line(p, lane, *x, *y, 1, enters, side);
        passed = false;
        enters = side_opposite(side);
        line(p, lane, *x + dx, *y + dy, (uint32_t)moves - 1, enters, side);
        *x += dx * moves;
        *y += dy * moves;
    }
    if (!passed)
        line(p, lane, *x, *y, 1, enters, last);
    return true;
}

/* The kernel that the own way begins at; NULL: a port, or a router of the trunk. */
static const Kernel *begins_at(const Plan *plan, const Stream *s)
{
    int32_t source = stream_source(s);
    return source == PLAN_HOST || s->forks ? NULL : plan->kernels.data[source];
}

bool emit_bundle(Emitter *e, const Stream *s)
{
    const Plan *plan = e->plan;
    const Kernel *from = begins_at(plan, s);
    const Kernel *to = s->to == PLAN_HOST ? NULL : plan->kernels.data[s->to];
    Edge out = {0}, in = {0};
    if (s->trunk && from)
        kernel_edge_in(e->arena, from, s->trunk->to_input, &out);
    else if (from)
        kernel_edge_out(e->arena, from, &out);
    if (to)
        kernel_edge_in(e->arena, to, s->to_input, &in);
    uint32_t lanes = s->protocol.lanes;
    if ((from && out.lanes != lanes) || (to && in.lanes != lanes))
        return diag_internal(e->diag, s->span, "stream '%s' has %u lanes, its ends %u and %u",
                             s->name, lanes, out.lanes, in.lanes);
    Side last = last_side(e, s);
    Pieces p = {.e = e, .stream = s};
    const Stream *o;
    for (uint32_t i = 0; (o = of_source(plan, s, i)) != NULL; i++)
        if (o->trunk == s && o->forks)
            vec_push(e->arena, &p.forks, o);
    for (uint32_t l = 0; l < lanes; l++) {
        int64_t x = s->start_x[l], y = s->start_y[l];
        p.next = 0;
        if (from) {
            uint32_t fx, fy;
            kernel_edge_place(from, &out, true, l, &fx, &fy);
            if (fx != x || fy != y)
                return lane_ends_wrong(e, s, l, x, y);
        }
        if (stream_enters(s) && to && emit_in_region(to, x, y))
            continue; /* the port's router is the consumer's own */
        if (!lane_routers(&p, l, &x, &y, from ? SIDE_RAMP : s->port_side, last))
            return false;
        if (to) {
            uint32_t fx, fy;
            kernel_edge_place(to, &in, false, l, &fx, &fy);
            if (x + side_dx(last) != fx || y + side_dy(last) != fy)
                return lane_ends_wrong(e, s, l, x, y);
        } else if (x != (last == SIDE_W ? 0 : (int64_t)plan->machine->width - 1) ||
                   y != s->port_y[l]) {
            return lane_ends_wrong(e, s, l, x, y);
        }
    }
    for (uint32_t i = 0; i < p.n; i++)
        vec_push(e->arena, &e->routes, p.open[i]);
    return true;
}
