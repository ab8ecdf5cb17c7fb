/* SPDX-License-Identifier: Apache-2.0 */
/* passes/route_ways.c - bundles of lanes, in closed form.
 *
 * A way of a bundle is a sequence of up to five straight segments: straight, one turn, a
 * shift, a U, and what goes around something. Every segment but the first and the last runs
 * on neighboring tracks; candidates for it are beside the regions at hand. On every segment
 * lane 0 is the leftmost track, so turns are nested and lanes never cross at a turn; segments
 * that do not follow each other must not meet, except the two parallel ones of a shift in one
 * direction (there each lane moves to the same side, so lane k's second part begins beyond
 * the end of what it could meet). A host port is an edge of a kernel that stands just
 * outside the fabric.
 *
 * Candidates are listed with what they cost alone, sorted, and looked at in that order until
 * none can be cheaper than the best, whose price holds what it shares with others. Cost:
 * tracks^turns to list them, what is near for the few that are priced. */
#include <stdlib.h>
#include <string.h>

#include "passes/routing.h"

enum { MAX_TRACKS = 64, MAX_CANDIDATES = 1 << 16, MAX_PRICED = 256 };

typedef struct Way {
    unsigned turns;
    Side side[MAX_TURNS + 1];
    int32_t base[MAX_TURNS + 1]; /* track of lane 0 on the inner segments */
} Way;

typedef struct Candidate {
    Way way;
    uint32_t ends, cost, number;
} Candidate;

static int32_t track(const Ends *e, const Way *w, unsigned i, uint32_t lane)
{
    if (i == 0)
        return e->s_cross[lane];
    if (i == w->turns)
        return e->e_cross[lane];
    return w->base[i] + side_rightward(w->side[i]) * (int32_t)lane;
}

static int32_t begin_of(const Ends *e, const Way *w, unsigned i, uint32_t lane)
{
    return i == 0 ? e->s_along : track(e, w, i - 1, lane);
}

static int32_t end_of(const Ends *e, const Way *w, unsigned i, uint32_t lane)
{
    return i == w->turns ? e->e_along : track(e, w, i + 1, lane);
}

/* All routers of segment i, corners included, the source core not. */
static Box segment_box(const Ends *e, const Way *w, unsigned i)
{
    Box all = {0, 0, -1, -1};
    for (unsigned k = 0; k < 2; k++) {
        uint32_t lane = k ? e->n - 1 : 0;
        int32_t from = begin_of(e, w, i, lane), to = end_of(e, w, i, lane);
        int32_t t = track(e, w, i, lane);
        if (i == 0)
            from += side_forward(w->side[0]);
        Box b = side_horizontal(w->side[i]) ? box_hull(from, t, to, t) : box_hull(t, from, t, to);
        all = k ? box_join(all, b) : b;
    }
    return all;
}

static bool touching(const Ends *e, const Way *w)
{
    return w->turns == 0 && e->s_along == e->e_along;
}

/* Do the outermost lanes run forward on every segment; what the way costs alone. */
static bool way_runs(const Ends *e, const Way *w, uint32_t *cost)
{
    uint64_t length = 0;
    for (unsigned i = 0; i <= w->turns; i++) {
        int32_t least = i == 0 && w->turns > 0 ? 1 : 0;
        for (unsigned k = 0; k < 2; k++) {
            uint32_t l = k ? e->n - 1 : 0;
            int32_t run = side_forward(w->side[i]) * (end_of(e, w, i, l) - begin_of(e, w, i, l));
            if (run < least)
                return false;
            length += (uint64_t)run;
        }
    }
    *cost = (uint32_t)(length / 2) + TURN_CHARGE * w->turns;
    return true;
}

/* Does the way exist: every lane runs forward on every segment, stays on the fabric, keeps off
 * its own kernels and off itself. */
static bool way_possible(const Ends *e, const Way *w)
{
    if (w->turns == 0)
        for (uint32_t l = 0; l < e->n; l++)
            if (e->s_cross[l] != e->e_cross[l])
                return false;
    /* Inner tracks are affine in the lane, those of the ends need not be. */
    for (unsigned i = 0; i <= w->turns; i++) {
        int32_t least = i == 0 && w->turns > 0 ? 1 : 0;
        if (i > 1 && i + 1 < w->turns)
            continue;
        for (uint32_t l = 0; l < e->n; l++)
            if (side_forward(w->side[i]) * (end_of(e, w, i, l) - begin_of(e, w, i, l)) < least)
                return false;
    }
    if (touching(e, w))
        return true; /* no router between */
    Box box[MAX_TURNS + 1];
    for (unsigned i = 0; i <= w->turns; i++) {
        box[i] = segment_box(e, w, i);
        if (box[i].x0 < 0 || box[i].y0 < 0 || box[i].x1 >= e->width || box[i].y1 >= e->height)
            return false;
        if (box_meet(box[i], e->producer) || box_meet(box[i], e->consumer))
            return false;
    }
    for (unsigned i = 0; i <= w->turns; i++) {
        for (unsigned j = i + 2; j <= w->turns; j++) {
            bool shift = j == i + 2 && w->side[i] == w->side[j];
            if (!shift && box_meet(box[i], box[j]))
                return false;
        }
    }
    return true;
}

/* ---- prices ---- */

static void add_price(uint64_t *sum, uint64_t more)
{
    *sum = *sum + more < PRICE_NEVER ? *sum + more : PRICE_NEVER;
}

/* What others there do to each color, and the history of the box. */
static void meet_colors(const Router *r, Box box, Side side, uint64_t share, const Stream *self,
                        uint32_t *hard, uint64_t *by_color, uint64_t *history)
{
    Meet m = meet_begin(r, box);
    for (const Taken *t; (t = meet_next(&m)) != NULL;) {
        if (t->history && t->colors == 0 && t->side == side) {
            add_price(history, t->history);
        } else if (t->history == 0 && t->stream < 0) {
            *hard |= t->colors;
        } else if (t->colors && t->stream >= 0 && t->stream != (int32_t)self->id && self->trunk &&
                   stream_root(r->plan->streams.data[t->stream]) == stream_root(self)) {
            *hard = UINT32_MAX; /* a tree does not meet itself, whatever its color */
        } else if (t->stream != (int32_t)self->id) {
            for (uint32_t mask = t->colors, c = 0; mask; mask >>= 1, c++)
                if (mask & 1)
                    add_price(&by_color[c], t->history ? t->history : share);
        }
    }
}

/* Colors of kernels and of what is dead. */
static uint32_t kernel_colors(const Router *r, Box box)
{
    uint32_t colors = 0;
    Meet m = meet_begin(r, box);
    for (const Taken *t; (t = meet_next(&m)) != NULL;)
        colors |= t->stream < 0 && !t->history ? t->colors : 0;
    return colors;
}

void pricing_begin(Router *r, const Stream *s, uint64_t share, Pricing *p)
{
    uint64_t words = stream_words(s), none = 0;
    *p = (Pricing){.words = words < r->limit ? words : r->limit, .colors = router_usable_colors(r)};
    /* A tree has one color, that of what lies of it, free at the ends of what does not yet. */
    const Stream *root = stream_root(s), *o;
    if (s->color_fixed)
        p->colors = 1u << s->color;
    else if (r->index->tree_colors)
        p->colors = r->index->tree_colors;
    else
        for (uint32_t i = 0; (o = route_tree(r->plan, root, &i)) != NULL;)
            if (o->id != s->id && router_lies(r, o))
                p->colors = 1u << o->color;
            else if (o->id != s->id)
                p->hard |= kernel_colors(r, router_out_edge(r, o)) |
                           kernel_colors(r, router_in_region(r, o));
    /* Alone on its links a stream is as fast as it can be, so the limit is enough for it. */
    meet_colors(r, router_out_edge(r, s), SIDE_RAMP, share, s, &p->hard, p->shared, &none);
    meet_colors(r, router_in_region(r, s), SIDE_RAMP, share, s, &p->hard, p->shared, &none);
}

bool pricing_of(Router *r, const Stream *s, const Pricing *at_ends, uint64_t share, uint64_t below,
                Price *result)
{
    uint32_t hard = at_ends->hard;
    uint64_t by_color[32], links = 0;
    memcpy(by_color, at_ends->shared, sizeof by_color);
    const PieceVec *pieces = router_pieces(r, s);
    r->failure.ways++;
    for (size_t i = 0; i < pieces->n; i++) {
        Piece p = pieces->data[i];
        if (!p.fork)
            meet_colors(r, p.box, p.side, share, s, &hard, by_color, &links);
        uint64_t stop = r->limit - at_ends->words;
        uint64_t load = router_most(r, p.box, p.side, (int32_t)s->id, stop, NULL);
        if (load > stop) {
            r->failure.no_link++;
            uint64_t times = r->limit ? 1 + 4 * ((load - stop) / 4) / (r->limit / 4 + 1) : 1;
            add_price(&links, share < PRICE_NEVER / 1024 / times ? share * times : PRICE_NEVER);
        }
        if (links >= below)
            return false;
    }
    uint64_t best = PRICE_NEVER;
    for (uint32_t c = 0; c < 32; c++) {
        if ((at_ends->colors & ~hard) >> c & 1 && by_color[c] < best) {
            best = by_color[c];
            result->color = c;
        }
    }
    if (best > 0)
        r->failure.no_color++;
    result->share = links;
    add_price(&result->share, best);
    return result->share < below && result->share < PRICE_NEVER;
}

/* ---- tracks ---- */

/* Candidates for the lowest coordinate of n neighboring tracks, along x or y. */
typedef struct Tracks {
    unsigned n, most;
    int32_t lo[MAX_TRACKS];
} Tracks;

static void track_add(Tracks *t, int32_t lo, int32_t n, int32_t extent)
{
    if (lo < 0 || lo + n > extent || t->n == t->most)
        return;
    for (unsigned i = 0; i < t->n; i++)
        if (t->lo[i] == lo)
            return;
    t->lo[t->n++] = lo;
}

static void tracks_beside(Tracks *t, int32_t from, int32_t to, int32_t n, int32_t extent, int far)
{
    for (int k = 0; k <= far; k++) {
        track_add(t, to + 1 + k * n, n, extent);
        track_add(t, from - n - k * n, n, extent);
    }
}

static void tracks_find(const Router *r, const Ends *e, bool along_x, unsigned effort, Tracks *t)
{
    int32_t n = (int32_t)e->n, extent = along_x ? e->width : e->height;
    Box b[2] = {e->producer, e->consumer};
    int far = effort == 0 ? 1 : effort == 1 ? 3 : 2;
    t->n = 0;
    t->most = effort < 2 ? MAX_TRACKS : 20;
    for (int i = 0; i < 2; i++)
        if (along_x)
            tracks_beside(t, b[i].x0, b[i].x1, n, extent, far);
        else
            tracks_beside(t, b[i].y0, b[i].y1, n, extent, far);
    if (effort == 1) { /* in the middle between the two */
        int32_t lo = along_x ? b[0].x0 + b[1].x0 : b[0].y0 + b[1].y0;
        track_add(t, lo / 2, n, extent);
    }
    track_add(t, 0, n, extent);
    track_add(t, extent - n, n, extent);
    if (effort < 2)
        return;
    /* Beside what is fixed near the way: other kernels and dead cores. */
    Box near = box_join(b[0], b[1]);
    near = (Box){near.x0 - n, near.y0 - n, near.x1 + n, near.y1 + n};
    Meet m = meet_begin(r, near);
    for (const Taken *k; t->n < t->most && (k = meet_next(&m)) != NULL;)
        if (k->stream < 0 && k->history == 0)
            tracks_beside(t, along_x ? k->box.x0 : k->box.y0, along_x ? k->box.x1 : k->box.y1, n,
                          extent, 0);
}

/* ---- the list ---- */

typedef struct Search {
    Router *r;
    Arena *scratch;
    const Ends *ends;
    uint32_t number;  /* of those ends */
    uint64_t below;   /* no use above this cost */
    Tracks tracks[2]; /* of horizontal segments (y), of vertical ones (x) */
    VEC(Candidate) list;
} Search;

static void list_way(Search *s, const Way *w)
{
    Candidate c = {.way = *w, .ends = s->number, .number = (uint32_t)s->list.n};
    if (s->list.n < MAX_CANDIDATES && way_runs(s->ends, w, &c.cost) && c.cost < s->below)
        vec_push(s->scratch, &s->list, c);
}

static void list_bases(Search *s, Way *w, unsigned i)
{
    if (i == w->turns) {
        list_way(s, w);
        return;
    }
    const Tracks *t = &s->tracks[!side_horizontal(w->side[i])];
    for (unsigned k = 0; k < t->n; k++) {
        int32_t n = (int32_t)s->ends->n;
        w->base[i] = side_rightward(w->side[i]) > 0 ? t->lo[k] : t->lo[k] + n - 1;
        /* The segment before this one must lead forward to it. */
        int32_t from = begin_of(s->ends, w, i - 1, 0);
        if (side_forward(w->side[i - 1]) * (w->base[i] - from) >= 0)
            list_bases(s, w, i + 1);
    }
}

static void list_turns(Search *s, unsigned turns)
{
    const Ends *e = s->ends;
    if ((turns % 2 == 0) != (side_horizontal(e->ds) == side_horizontal(e->de)))
        return;
    if (turns == 0 && e->ds != e->de)
        return;
    unsigned inner = turns > 1 ? turns - 1 : 0;
    for (unsigned choice = 0; choice < 1u << inner; choice++) {
        Way w = {.turns = turns};
        w.side[0] = e->ds;
        for (unsigned i = 1; i < turns; i++) {
            unsigned turn = choice >> (i - 1) & 1 ? 1 : 3;
            w.side[i] = (Side)((w.side[i - 1] + turn) % 4);
        }
        w.side[turns] = e->de;
        /* The last inner segment must be at a right angle to the last one. */
        if (turns == 0 || side_horizontal(w.side[turns - 1]) != side_horizontal(e->de))
            list_bases(s, &w, turns > 1 ? 1 : turns);
    }
}

static void list_ends(Search *s, unsigned effort)
{
    tracks_find(s->r, s->ends, false, effort, &s->tracks[0]);
    tracks_find(s->r, s->ends, true, effort, &s->tracks[1]);
    for (unsigned turns = 0; turns <= (effort < 2 ? 3 : MAX_TURNS); turns++)
        list_turns(s, turns);
}

static int by_cost(const void *a, const void *b)
{
    const Candidate *p = a, *q = b;
    if (p->cost != q->cost)
        return p->cost < q->cost ? -1 : 1;
    return p->number < q->number ? -1 : p->number > q->number;
}

/* ---- ends ---- */

/* Lane 0 must be the leftmost: coordinates grow or fall strictly with the lane. */
static bool handed(const int32_t *cross, uint32_t n, Side travel)
{
    for (uint32_t l = 1; l < n; l++)
        if (side_rightward(travel) * (cross[l] - cross[l - 1]) <= 0)
            return false;
    return true;
}

/* Where the lanes of an edge stand on the fabric: one line across their travel, and each
 * lane's track. False if lane 0 is not the leftmost. */
static bool edge_lanes(const Kernel *k, const FabricEdge *edge, int32_t *along, int32_t *cross)
{
    for (uint32_t l = 0; l < edge->lanes; l++) {
        int32_t x = (int32_t)k->x + edge->x[l], y = (int32_t)k->y + edge->y[l];
        cross[l] = side_horizontal(edge->travel) ? y : x;
        if (l == 0)
            *along = side_horizontal(edge->travel) ? x : y;
    }
    return handed(cross, edge->lanes, edge->travel);
}

void route_set_port(Ends *e, bool in, Side side, int32_t *rows)
{
    int32_t outside = side == SIDE_W ? -1 : e->width;
    Box port = box_hull(outside, rows[0], outside, rows[e->n - 1]);
    if (in) {
        e->ds = side_opposite(side);
        e->s_along = outside;
        e->s_cross = rows;
        e->producer = port;
    } else {
        e->de = side;
        e->e_along = outside - side_forward(side);
        e->e_cross = rows;
        e->consumer = port;
    }
}

static bool rows_free(const Router *r, Side side, int32_t lo, int32_t n)
{
    for (int32_t y = lo; y < lo + n; y++)
        if (!router_port_free(r, side, y))
            return false;
    return true;
}

/* Lowest rows of runs of n free port rows near the wanted ones. */
static void port_rows(const Router *r, Side side, Box near, int32_t n, int32_t height, Tracks *t)
{
    int32_t want[] = {near.y0 - n, near.y1 + 1, near.y0, near.y1 - n + 1, 0, height - n};
    t->n = 0;
    t->most = MAX_TRACKS;
    for (unsigned i = 0; i < sizeof want / sizeof want[0]; i++) {
        int32_t lo = want[i] < 0 ? 0 : want[i] > height - n ? height - n : want[i];
        for (int dir = -1; dir <= 1; dir += 2) {
            int32_t at = lo;
            while (at >= 0 && at + n <= height && !rows_free(r, side, at, n))
                at += dir;
            track_add(t, at, n, height);
        }
    }
}

/* n free rows near a row, with gaps between. */
static bool rows_anywhere(const Router *r, Side side, int32_t near, const Ends *e, int32_t *rows)
{
    int32_t n = (int32_t)e->n, k = 0, from = near > n ? near - n : 0;
    for (int32_t y = from; y < e->height && k < n; y++)
        if (router_port_free(r, side, y))
            rows[k++] = y;
    for (int32_t y = from - 1; k < n && y >= 0; y--) {
        if (!router_port_free(r, side, y))
            continue;
        memmove(rows + 1, rows, (size_t)k * sizeof *rows);
        rows[0] = y;
        k++;
    }
    return k == n;
}

/* Both sides of the fabric, and on each the rows straight on from the kernel's lanes, runs of
 * free rows, and any free ones. */
static void list_port(Router *r, Arena *a, const Ends *base, bool in, Side side,
                      const int32_t *rows, EndsVec *all)
{
    Ends at = *base;
    int32_t *own = arena_array(a, int32_t, base->n);
    for (uint32_t l = 0; l < base->n; l++) {
        own[l] = rows[l];
        if (rows[l] < 0 || rows[l] >= base->height || !router_port_free(r, side, rows[l]))
            return;
    }
    if (!handed(own, base->n, in ? side_opposite(side) : side))
        return;
    route_set_port(&at, in, side, own);
    vec_push(a, all, at);
}

static void list_ports(Router *r, Arena *a, const Ends *base, bool in, EndsVec *all)
{
    uint32_t n = base->n;
    Side inner_side = in ? base->de : base->ds;
    Box inner = in ? base->consumer : base->producer;
    int32_t *rows = arena_array(a, int32_t, n);
    r->failure.no_ports = true;
    for (unsigned which = 0; which < 2; which++) {
        Side side = which == 0 ? SIDE_W : SIDE_E, travel = in ? side_opposite(side) : side;
        if (router_ports_left(r, side) < n || n > r->plan->machine->height)
            continue;
        r->failure.no_ports = false;
        if (inner_side == travel)
            list_port(r, a, base, in, side, in ? base->e_cross : base->s_cross, all);
        Tracks runs;
        port_rows(r, side, inner, (int32_t)n, base->height, &runs);
        for (unsigned c = 0; c < runs.n; c++) {
            for (uint32_t l = 0; l < n; l++)
                rows[l] = runs.lo[c] + (int32_t)(side_rightward(travel) > 0 ? l : n - 1 - l);
            list_port(r, a, base, in, side, rows, all);
        }
        if (runs.n == 0 && rows_anywhere(r, side, (inner.y0 + inner.y1) / 2, base, rows)) {
            for (uint32_t l = 0; side_rightward(travel) < 0 && l < n / 2; l++) {
                int32_t t = rows[l];
                rows[l] = rows[n - 1 - l];
                rows[n - 1 - l] = t;
            }
            list_port(r, a, base, in, side, rows, all);
        }
    }
}

bool route_kernel_ends(Router *r, Arena *a, const Stream *s, Ends *e)
{
    int32_t source = stream_source(s);
    const Kernel *from = source == PLAN_HOST ? NULL : r->plan->kernels.data[source];
    const Kernel *to = s->to == PLAN_HOST ? NULL : r->plan->kernels.data[s->to];
    bool passed = s->trunk && !s->forks;
    int which = passed ? (int)s->trunk->to_input : -1;
    const FabricEdge *out = from ? router_edge(r, from, which) : NULL;
    const FabricEdge *in = to ? router_edge(r, to, (int)s->to_input) : NULL;
    uint32_t n = s->protocol.lanes;
    Box none = {0, 0, -1, -1};
    *e = (Ends){.n = n,
                .width = (int32_t)r->plan->machine->width,
                .height = (int32_t)r->plan->machine->height,
                .s_cross = arena_array(a, int32_t, n),
                .e_cross = arena_array(a, int32_t, n),
                .producer = none,
                .consumer = none};
    if ((out && out->lanes != n) || (in && in->lanes != n))
        return false;
    bool good = true;
    if (from) {
        good = edge_lanes(from, out, &e->s_along, e->s_cross);
        e->ds = out->travel;
        e->producer = plan_box(from);
        Box b = e->producer;
        if (passed) /* out by the far side */
            e->s_along = e->ds == SIDE_E   ? b.x1
                         : e->ds == SIDE_W ? b.x0
                         : e->ds == SIDE_S ? b.y1
                                           : b.y0;
    }
    if (to) {
        good = edge_lanes(to, in, &e->e_along, e->e_cross) && good;
        e->de = in->travel;
        e->e_along -= side_forward(e->de);
        e->consumer = plan_box(to);
    }
    if (s->forks && router_lies(r, s->trunk)) {
        e->seeds = arena_array(a, SeedVec, n);
        for (uint32_t l = 0; l < n; l++)
            route_lane_routers(s->trunk, l, a, &e->seeds[l]);
    }
    return good;
}

Box route_door(Router *r, const Stream *s)
{
    Arena a = {0};
    Ends e;
    Box door = {0, 0, -1, -1};
    if (s->to != PLAN_HOST && route_kernel_ends(r, &a, s, &e)) {
        int32_t x0, y0, x1, y1;
        route_last_cell(&e, 0, &x0, &y0);
        route_last_cell(&e, e.n - 1, &x1, &y1);
        door = box_hull(x0, y0, x1, y1);
    }
    arena_free(&a);
    return door;
}

void route_ends(Router *r, Arena *a, const Stream *s, EndsVec *all)
{
    Ends e;
    if (!route_kernel_ends(r, a, s, &e))
        return;
    if (stream_has_ports(s))
        list_ports(r, a, &e, s->to != PLAN_HOST, all);
    else
        vec_push(a, all, e);
}

/* ---- streams ---- */

/* Writes a way into fields that have room for it. */
static void set_way(Stream *s, const Ends *e, const Way *w)
{
    /* A port's edge router is one step in from where the port itself stands. */
    bool in = stream_enters(s);
    int32_t along = e->s_along + (in ? side_forward(e->ds) : 0);
    for (uint32_t l = 0; l < e->n; l++) {
        s->start_x[l] = (uint32_t)(side_horizontal(e->ds) ? along : e->s_cross[l]);
        s->start_y[l] = (uint32_t)(side_horizontal(e->ds) ? e->s_cross[l] : along);
        if (s->port_y)
            s->port_y[l] = (uint32_t)(in ? e->s_cross[l] : e->e_cross[l]);
    }
    s->port_side = in ? side_opposite(e->ds) : e->de;
    s->n_segments = touching(e, w) ? 0 : w->turns + 1;
    for (unsigned i = 0; i < s->n_segments; i++) {
        s->segments[i].side = w->side[i];
        for (uint32_t l = 0; l < e->n; l++)
            s->segments[i].to[l] = (uint32_t)end_of(e, w, i, l);
    }
}

static void make_room(Arena *a, Stream *s, unsigned segments)
{
    uint32_t n = s->protocol.lanes;
    s->start_x = arena_array(a, uint32_t, n);
    s->start_y = arena_array(a, uint32_t, n);
    s->port_y = stream_has_ports(s) ? arena_array(a, uint32_t, n) : NULL;
    s->segments = arena_array(a, BundleSegment, segments);
    for (unsigned i = 0; i < segments; i++)
        s->segments[i].to = arena_array(a, uint32_t, n);
}

bool route_ways(Router *r, Stream *s, unsigned effort, uint64_t share, uint64_t below, Price *price)
{
    if (s->forks) /* where is open: route_maze() */
        return false;
    Arena scratch = {0};
    Search search = {.r = r, .scratch = &scratch, .below = below};
    EndsVec ends = {0};
    route_ends(r, &scratch, s, &ends);
    for (uint32_t i = 0; i < ends.n; i++) {
        search.ends = &ends.data[i];
        search.number = i;
        list_ends(&search, effort);
    }
    if (search.list.n)
        qsort(search.list.data, search.list.n, sizeof *search.list.data, by_cost);
    Stream try = *s;
    make_room(&scratch, &try, MAX_TURNS + 1);
    Pricing at_ends;
    pricing_begin(r, s, share, &at_ends);
    const Candidate *best = NULL;
    uint64_t least = below;
    unsigned priced = 0;
    for (size_t i = 0; i < search.list.n && (priced < MAX_PRICED || !best); i++) {
        const Candidate *c = &search.list.data[i];
        const Ends *e = &ends.data[c->ends];
        Price p;
        if (c->cost >= least)
            break;
        if (!way_possible(e, &c->way))
            continue;
        set_way(&try, e, &c->way);
        priced++;
        if (!pricing_of(r, &try, &at_ends, share, least - c->cost, &p))
            continue;
        best = c;
        *price = p;
        price->hops = c->cost;
        least = p.share + c->cost;
    }
    if (best) {
        make_room(r->arena, s, best->way.turns + 1);
        set_way(s, &ends.data[best->ends], &best->way);
        s->color = price->color;
    }
    arena_free(&scratch);
    return best != NULL;
}
