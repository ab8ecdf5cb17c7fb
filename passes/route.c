/* SPDX-License-Identifier: Apache-2.0 */
/* passes/route.c - bundles of lanes, in closed form.
 *
 * A way of a bundle is a sequence of up to five straight segments: straight, one turn, a
 * shift, a U, and what goes around something. Every segment but the first and the last runs
 * on neighboring tracks whose place is free; candidates for it are the sides of the regions
 * at hand. On every segment lane 0 is the leftmost track, so turns are nested and lanes never
 * cross at a turn; segments that do not follow each other must not meet, except the two
 * parallel ones of a shift in one direction (there each lane moves to the same side, so lane
 * k's second part begins beyond the end of what it could meet).
 *
 * A host port is an edge of a kernel that stands just outside the fabric. The colors that
 * meet a candidate's boxes are not free for it; the lowest free one is taken. Links are
 * charged with the words a sample of all lanes that use them. Boxes around nested turns are
 * larger than what is used: sound, never exact. Cost: ways x boxes x lanes. */
#include <inttypes.h>
#include <string.h>

#include "passes/planner.h"

enum { MAX_TURNS = 4, MAX_TRACKS = 512, MAX_PORT_CHOICES = 64, TURN_CHARGE = 2 };

struct KernelEdges {
    FabricEdge edge[8][KERNEL_MAX_INPUTS + 1]; /* by orientation; out last */
};

Box plan_box(const Kernel *k)
{
    uint32_t w, h;
    plan_extent(k, &w, &h);
    return (Box){(int32_t)k->x, (int32_t)k->y, (int32_t)(k->x + w) - 1, (int32_t)(k->y + h) - 1};
}

uint64_t stream_words(const Stream *s)
{
    return (uint64_t)protocol_words(&s->protocol) * protocol_messages(&s->protocol);
}

uint64_t plan_host_words(const Plan *plan)
{
    uint64_t words = 0;
    for (size_t i = 0; i < plan->streams.n; i++) {
        const Stream *s = plan->streams.data[i];
        const Protocol *p = &s->protocol;
        if (s->from == PLAN_HOST || s->to == PLAN_HOST)
            words += ((uint64_t)p->rows * p->cols * p->features * dtype_bytes(p->dtype) + 3) / 4;
    }
    return words;
}

uint64_t plan_target(const Plan *plan)
{
    Fraction f = plan->machine->host_words;
    uint64_t target = (plan_host_words(plan) * f.den + f.num - 1) / f.num;
    for (size_t i = 0; i < plan->kernels.n; i++)
        if (plan->kernels.data[i]->shape.cycles > target)
            target = plan->kernels.data[i]->shape.cycles;
    return target;
}

static void take(Router *r, Box box, uint32_t colors, Side side, uint64_t words, int32_t stream)
{
    Taken t = {.box = box, .colors = colors, .stream = stream};
    if (side != SIDE_RAMP)
        t.load[side] = words;
    vec_push(r->arena, &r->taken, t);
}

Router *router_create(Arena *a, Plan *plan, uint64_t limit)
{
    Router *r = arena_new(a, Router);
    r->arena = a;
    r->plan = plan;
    r->limit = limit;
    r->edges = arena_array(a, KernelEdges, plan->kernels.n);
    for (size_t i = 0; i < plan->keepouts.n; i++) {
        const KeepOut *k = &plan->keepouts.data[i];
        Box box = {(int32_t)k->x, (int32_t)k->y, (int32_t)(k->x + k->w) - 1,
                   (int32_t)(k->y + k->h) - 1};
        if (k->dead)
            take(r, box, UINT32_MAX, SIDE_RAMP, 0, -1);
    }
    return r;
}

RouterMark router_mark(const Router *r)
{
    return (RouterMark){r->taken.n, r->ports.n};
}

void router_rewind(Router *r, RouterMark mark)
{
    r->taken.n = mark.taken;
    r->ports.n = mark.ports;
}

void router_add_kernel(Router *r, const Kernel *k)
{
    /* Partial sums are f32, one word each, for every position of the anchor's result. */
    uint64_t words = 0;
    Side side = SIDE_RAMP;
    if (k->anchor && (k->kind == KERNEL_MATVEC || k->kind == KERNEL_CONV) && k->shape.w > 1) {
        words = (uint64_t)type_positions(&k->anchor->type) *
                block_size((uint32_t)type_features(&k->anchor->type), k->shape.lanes_out, 0);
        side = plan_side(k, SIDE_E);
    } else if (k->anchor && k->kind == KERNEL_REDUCE && k->shape.h > 1) {
        words = 2 * (uint64_t)type_positions(&k->anchor->type);
        side = plan_side(k, SIDE_S);
    }
    take(r, plan_box(k), kernel_own_colors(k), side, words, -1);
}

const FabricEdge *router_edge(Router *r, const Kernel *k, int input)
{
    unsigned orientation = k->turn * 2 + (k->mirror ? 1 : 0);
    unsigned which = input < 0 ? KERNEL_MAX_INPUTS : (unsigned)input;
    FabricEdge *e = &r->edges[k->id].edge[orientation][which];
    if (!e->known) {
        Edge c = {0};
        Kernel at = *k;
        at.x = at.y = 0;
        if (input < 0)
            kernel_edge_out(r->arena, k, &c);
        else
            kernel_edge_in(r->arena, k, (uint32_t)input, &c);
        e->known = true;
        e->lanes = c.lanes;
        e->travel = plan_side(k, c.travel);
        e->x = arena_array(r->arena, int32_t, c.lanes);
        e->y = arena_array(r->arena, int32_t, c.lanes);
        for (uint32_t l = 0; l < c.lanes; l++) {
            uint32_t cx, cy, fx, fy;
            /* Going out the far side is crossed, going in the near one. */
            bool far = (c.travel == SIDE_E || c.travel == SIDE_S) == (input < 0);
            if (c.travel == SIDE_E || c.travel == SIDE_W) {
                cx = far ? k->shape.w - 1 : 0;
                cy = c.position[l];
            } else {
                cx = c.position[l];
                cy = far ? k->shape.h - 1 : 0;
            }
            plan_to_fabric(&at, cx, cy, &fx, &fy);
            e->x[l] = (int32_t)fx;
            e->y[l] = (int32_t)fy;
        }
    }
    return e;
}

/* ---- ways ---- */

static bool horizontal(Side s)
{
    return s == SIDE_E || s == SIDE_W;
}
static int forward(Side s) /* does the coordinate grow */
{
    return s == SIDE_E || s == SIDE_S ? 1 : -1;
}
static int rightward(Side s) /* does the track's coordinate grow to the right of travel */
{
    return s == SIDE_E || s == SIDE_N ? 1 : -1;
}

typedef struct Ends {
    uint32_t n;
    Side ds, de;
    int32_t s_along, e_along;   /* all lanes start and end on one line: the source cores,
                                   and the last routers before the consumer */
    int32_t *s_cross, *e_cross; /* by lane */
    Box producer, consumer;     /* not to be passed over; empty for the host */
    Box out_edge, in_region;    /* where the color has to be free too */
    int32_t width, height;
} Ends;

typedef struct Way {
    unsigned turns;
    Side side[MAX_TURNS + 1];
    int32_t base[MAX_TURNS + 1]; /* track of lane 0 on the inner segments */
    uint32_t cost;
} Way;

static int32_t track(const Ends *e, const Way *w, unsigned i, uint32_t lane)
{
    if (i == 0)
        return e->s_cross[lane];
    if (i == w->turns)
        return e->e_cross[lane];
    return w->base[i] + rightward(w->side[i]) * (int32_t)lane;
}

static int32_t begin_of(const Ends *e, const Way *w, unsigned i, uint32_t lane)
{
    return i == 0 ? e->s_along : track(e, w, i - 1, lane);
}

static int32_t end_of(const Ends *e, const Way *w, unsigned i, uint32_t lane)
{
    return i == w->turns ? e->e_along : track(e, w, i + 1, lane);
}

static Box hull(int32_t x0, int32_t y0, int32_t x1, int32_t y1)
{
    return (Box){x0 < x1 ? x0 : x1, y0 < y1 ? y0 : y1, x0 < x1 ? x1 : x0, y0 < y1 ? y1 : y0};
}

static Box join(Box a, Box b)
{
    return (Box){a.x0 < b.x0 ? a.x0 : b.x0, a.y0 < b.y0 ? a.y0 : b.y0, a.x1 > b.x1 ? a.x1 : b.x1,
                 a.y1 > b.y1 ? a.y1 : b.y1};
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
            from += forward(w->side[0]);
        Box b = horizontal(w->side[i]) ? hull(from, t, to, t) : hull(t, from, t, to);
        all = k ? join(all, b) : b;
    }
    return all;
}

/* Does the way exist: every lane runs forward on every segment, stays on the fabric, keeps off
 * its own kernels and off itself. Sets the cost. */
static bool way_possible(const Ends *e, Way *w)
{
    uint64_t length = 0;
    for (unsigned i = 0; i <= w->turns; i++) {
        int f = forward(w->side[i]);
        int32_t least = i == 0 && w->turns > 0 ? 1 : 0;
        /* Tracks are affine in the lane but for the first and last segment's. */
        bool ends_only = (i == 0 || i > 1) && i + 1 < w->turns;
        for (uint32_t l = 0; l < e->n; l += ends_only && e->n > 1 ? e->n - 1 : 1) {
            int32_t run = f * (end_of(e, w, i, l) - begin_of(e, w, i, l));
            if (run < least)
                return false;
            if (l == 0 || l == e->n - 1)
                length += (uint64_t)run;
        }
    }
    if (w->turns == 0)
        for (uint32_t l = 0; l < e->n; l++)
            if (e->s_cross[l] != e->e_cross[l])
                return false;
    if (e->n == 1)
        length *= 2;
    w->cost = (uint32_t)(length / 2) + TURN_CHARGE * w->turns;
    if (w->turns == 0 && e->s_along == e->e_along)
        return true; /* regions touch: no router between */
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

/* The fullest link by side d inside of the box: a maximum lies at a left and a top border. */
static uint64_t peak_load(const Router *r, Box box, Side d, uint64_t stop)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < r->taken.n; i++)
        if (r->taken.data[i].load[d] && box_meet(box, r->taken.data[i].box))
            sum += r->taken.data[i].load[d];
    if (sum <= stop)
        return sum;
    uint64_t peak = 0;
    for (size_t i = 0; i <= r->taken.n; i++) {
        for (size_t j = 0; j <= r->taken.n; j++) {
            int32_t x = i ? r->taken.data[i - 1].box.x0 : box.x0;
            int32_t y = j ? r->taken.data[j - 1].box.y0 : box.y0;
            if ((i && r->taken.data[i - 1].load[d] == 0) ||
                (j && r->taken.data[j - 1].load[d] == 0))
                continue;
            x = x < box.x0 ? box.x0 : x;
            y = y < box.y0 ? box.y0 : y;
            Box at = {x, y, x, y};
            if (!box_meet(at, box))
                continue;
            uint64_t here = 0;
            for (size_t k = 0; k < r->taken.n; k++)
                if (box_meet(at, r->taken.data[k].box))
                    here += r->taken.data[k].load[d];
            peak = here > peak ? here : peak;
        }
    }
    return peak;
}

static uint32_t colors_at(const Router *r, Box box)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < r->taken.n; i++)
        if (box_meet(box, r->taken.data[i].box))
            mask |= r->taken.data[i].colors;
    return mask;
}

static bool way_free(Router *r, const Ends *e, const Way *w, uint64_t words, uint32_t *color)
{
    uint32_t mask = colors_at(r, e->out_edge) | colors_at(r, e->in_region);
    bool touching = w->turns == 0 && e->s_along == e->e_along;
    r->failure.shapes++;
    for (unsigned i = 0; i <= w->turns && !touching; i++) {
        Box b = segment_box(e, w, i);
        mask |= colors_at(r, b);
        uint64_t load = peak_load(r, b, w->side[i], r->limit - words) + words;
        if (load > r->limit) {
            r->failure.no_link++;
            r->failure.load = load;
            return false;
        }
    }
    const Machine *m = r->plan->machine;
    for (uint32_t c = 0; c < m->colors - m->reserved_colors; c++) {
        if (!(mask >> c & 1)) {
            *color = c;
            return true;
        }
    }
    r->failure.no_color++;
    r->failure.colors = mask;
    return false;
}

/* Candidates for the lowest coordinate of n neighboring tracks, along x or y. */
typedef struct Tracks {
    unsigned n;
    int32_t lo[MAX_TRACKS];
} Tracks;

static void track_add(Tracks *t, int32_t lo, int32_t n, int32_t extent)
{
    if (lo < 0 || lo + n > extent || t->n == MAX_TRACKS)
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
    int far = effort == 0 ? 1 : 3;
    t->n = 0;
    for (int i = 0; i < 2; i++)
        if (along_x)
            tracks_beside(t, b[i].x0, b[i].x1, n, extent, far);
        else
            tracks_beside(t, b[i].y0, b[i].y1, n, extent, far);
    track_add(t, 0, n, extent);
    track_add(t, extent - n, n, extent);
    if (effort < 2)
        return;
    for (size_t i = 0; i < r->plan->kernels.n && t->n < 64; i++) {
        const Kernel *k = r->plan->kernels.data[i];
        Box at = plan_box(k);
        if (along_x)
            tracks_beside(t, at.x0, at.x1, n, extent, 1);
        else
            tracks_beside(t, at.y0, at.y1, n, extent, 1);
    }
}

typedef struct Search {
    Router *r;
    const Ends *ends;
    uint64_t words;
    Tracks tracks[2]; /* of horizontal segments (y), of vertical ones (x) */
    bool found;
    Way best;
    uint32_t color;
} Search;

static void search_way(Search *s, Way *w)
{
    uint32_t color;
    if (!way_possible(s->ends, w) || (s->found && w->cost >= s->best.cost))
        return;
    if (!way_free(s->r, s->ends, w, s->words, &color))
        return;
    s->found = true;
    s->best = *w;
    s->color = color;
}

static void search_bases(Search *s, Way *w, unsigned i)
{
    if (i == w->turns) {
        search_way(s, w);
        return;
    }
    const Tracks *t = &s->tracks[!horizontal(w->side[i])];
    for (unsigned k = 0; k < t->n; k++) {
        int32_t n = (int32_t)s->ends->n;
        w->base[i] = rightward(w->side[i]) > 0 ? t->lo[k] : t->lo[k] + n - 1;
        /* The segment before this one must lead forward to it. */
        int32_t from = begin_of(s->ends, w, i - 1, 0);
        if (forward(w->side[i - 1]) * (w->base[i] - from) >= 0)
            search_bases(s, w, i + 1);
    }
}

static void search_turns(Search *s, unsigned turns)
{
    const Ends *e = s->ends;
    if ((turns % 2 == 0) != (horizontal(e->ds) == horizontal(e->de)))
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
        search_bases(s, &w, turns > 1 ? 1 : turns);
    }
}

/* All ways between two given edges, fewest turns first; more turns are only looked at
 * while there is nothing yet. */
static void search_ends(Search *s, unsigned max_turns)
{
    for (unsigned turns = 0; turns <= max_turns; turns++) {
        search_turns(s, turns);
        if (s->found && turns >= 2)
            break;
    }
}

/* Lane 0 must be the leftmost: coordinates grow or fall strictly with the lane. */
static bool handed(const int32_t *cross, uint32_t n, Side travel)
{
    for (uint32_t l = 1; l < n; l++)
        if (rightward(travel) * (cross[l] - cross[l - 1]) <= 0)
            return false;
    return true;
}

static bool port_free(const Router *r, Side side, int32_t y)
{
    for (size_t i = 0; i < r->ports.n; i++)
        if (r->ports.data[i].side == side && r->ports.data[i].y == y)
            return false;
    return true;
}

static uint32_t ports_left(const Router *r, Side side)
{
    uint32_t used = 0;
    for (size_t i = 0; i < r->ports.n; i++)
        used += r->ports.data[i].side == side;
    uint32_t all = side == SIDE_W ? r->plan->machine->ports_west : r->plan->machine->ports_east;
    return all > used ? all - used : 0;
}

static bool rows_free(const Router *r, Side side, int32_t lo, int32_t n)
{
    for (int32_t y = lo; y < lo + n; y++)
        if (!port_free(r, side, y))
            return false;
    return true;
}

/* Lowest rows of runs of n free port rows near the wanted ones. */
static void port_rows(const Router *r, Side side, Box near, int32_t n, int32_t height, Tracks *t)
{
    int32_t want[] = {near.y0 - n, near.y1 + 1, near.y0, near.y1 - n + 1, 0, height - n};
    t->n = 0;
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

/* Where the lanes of an edge stand on the fabric: one line across their travel, and each
 * lane's track. False if lane 0 is not the leftmost. */
static bool edge_lanes(const Kernel *k, const FabricEdge *edge, int32_t *along, int32_t *cross)
{
    for (uint32_t l = 0; l < edge->lanes; l++) {
        int32_t x = (int32_t)k->x + edge->x[l], y = (int32_t)k->y + edge->y[l];
        cross[l] = horizontal(edge->travel) ? y : x;
        if (l == 0)
            *along = horizontal(edge->travel) ? x : y;
    }
    return handed(cross, edge->lanes, edge->travel);
}

/* The host's end of a stream that enters (in) or leaves the fabric by those rows. */
static void set_port(Ends *e, bool in, Side side, int32_t *rows)
{
    int32_t outside = side == SIDE_W ? -1 : e->width;
    Box port = hull(outside, rows[0], outside, rows[e->n - 1]);
    if (in) {
        e->ds = side_opposite(side);
        e->s_along = outside;
        e->s_cross = rows;
        e->producer = port;
    } else {
        e->de = side;
        e->e_along = outside - forward(side);
        e->e_cross = rows;
        e->consumer = port;
    }
}

static void search_tracks(Search *s, unsigned effort, unsigned max_turns)
{
    tracks_find(s->r, s->ends, false, effort, &s->tracks[0]);
    tracks_find(s->r, s->ends, true, effort, &s->tracks[1]);
    search_ends(s, max_turns);
}

/* Tries both sides of the fabric, and on each the rows straight on from the kernel's lanes
 * and runs of free rows. The best side and rows are left in *port_side and port_rows. */
static void search_ports(Search *best, bool in, unsigned effort, Side *port_side, int32_t *port_row)
{
    Router *r = best->r;
    const Ends *e = best->ends;
    uint32_t n = e->n;
    const int32_t *inner = in ? e->e_cross : e->s_cross;
    Side inner_side = in ? e->de : e->ds;
    int32_t *rows = arena_array(r->arena, int32_t, n);
    r->failure.no_ports = true;
    for (unsigned which = 0; which < 2; which++) {
        Side side = which == 0 ? SIDE_W : SIDE_E;
        Side travel = in ? side_opposite(side) : side;
        if (ports_left(r, side) < n || n > r->plan->machine->height)
            continue;
        r->failure.no_ports = false;
        Tracks runs;
        port_rows(r, side, in ? e->consumer : e->producer, (int32_t)n, e->height, &runs);
        for (unsigned c = 0; c <= runs.n; c++) {
            bool good = true;
            for (uint32_t l = 0; l < n; l++) {
                if (c == 0)
                    rows[l] = inner_side == travel ? inner[l] : -1;
                else
                    rows[l] = runs.lo[c - 1] + (int32_t)(rightward(travel) > 0 ? l : n - 1 - l);
                good = good && rows[l] >= 0 && port_free(r, side, rows[l]);
            }
            if (!good)
                continue;
            Ends at = *e;
            set_port(&at, in, side, rows);
            Search try = *best;
            try.ends = &at;
            search_tracks(&try, effort, 3);
            if (try.found && (!best->found || try.best.cost < best->best.cost)) {
                best->found = true;
                best->best = try.best;
                best->color = try.color;
                *port_side = side;
                memcpy(port_row, rows, n * sizeof *rows);
            }
        }
    }
}

/* Writes a way into the stream. */
static void set_way(Router *r, Stream *s, const Ends *e, const Way *w)
{
    bool touching = w->turns == 0 && e->s_along == e->e_along;
    /* A port's edge router is one step in from where the port itself stands. */
    int32_t along = e->s_along + (s->from == PLAN_HOST ? forward(e->ds) : 0);
    s->start_x = arena_array(r->arena, uint32_t, e->n);
    s->start_y = arena_array(r->arena, uint32_t, e->n);
    for (uint32_t l = 0; l < e->n; l++) {
        s->start_x[l] = (uint32_t)(horizontal(e->ds) ? along : e->s_cross[l]);
        s->start_y[l] = (uint32_t)(horizontal(e->ds) ? e->s_cross[l] : along);
    }
    s->n_segments = touching ? 0 : w->turns + 1;
    s->segments = arena_array(r->arena, BundleSegment, s->n_segments);
    for (unsigned i = 0; i < s->n_segments; i++) {
        s->segments[i].side = w->side[i];
        s->segments[i].to = arena_array(r->arena, uint32_t, e->n);
        for (uint32_t l = 0; l < e->n; l++)
            s->segments[i].to[l] = (uint32_t)end_of(e, w, i, l);
    }
}

bool router_add_stream(Router *r, Stream *s, unsigned effort, uint32_t *cost)
{
    const Kernel *from = s->from == PLAN_HOST ? NULL : r->plan->kernels.data[s->from];
    const Kernel *to = s->to == PLAN_HOST ? NULL : r->plan->kernels.data[s->to];
    const FabricEdge *out = from ? router_edge(r, from, -1) : NULL;
    const FabricEdge *in = to ? router_edge(r, to, (int)s->to_input) : NULL;
    uint32_t n = s->protocol.lanes;
    r->failure = (RouteFailure){.stream = s->id};
    if ((out && out->lanes != n) || (in && in->lanes != n))
        return false;
    ArenaMark mark = arena_mark(r->arena); /* edges are kept, ways not taken are not */
    Box none = {0, 0, -1, -1};
    Ends e = {.n = n,
              .width = (int32_t)r->plan->machine->width,
              .height = (int32_t)r->plan->machine->height,
              .s_cross = arena_array(r->arena, int32_t, n),
              .e_cross = arena_array(r->arena, int32_t, n),
              .producer = none,
              .consumer = none,
              .out_edge = none,
              .in_region = none};
    Search search = {.r = r, .ends = &e, .words = stream_words(s)};
    Side port_side = SIDE_W;
    int32_t *port_row = from && to ? NULL : arena_array(r->arena, int32_t, n);
    bool good = true;
    if (from) {
        good = edge_lanes(from, out, &e.s_along, e.s_cross);
        e.ds = out->travel;
        e.producer = plan_box(from);
        e.out_edge = hull((int32_t)from->x + out->x[0], (int32_t)from->y + out->y[0],
                          (int32_t)from->x + out->x[n - 1], (int32_t)from->y + out->y[n - 1]);
    }
    if (to) {
        good = edge_lanes(to, in, &e.e_along, e.e_cross) && good;
        e.de = in->travel;
        e.e_along -= forward(e.de);
        e.consumer = e.in_region = plan_box(to);
    }
    if (search.words > r->limit)
        search.words = r->limit; /* alone on its links it is as fast as it can be */
    if (good && port_row)
        search_ports(&search, !from, effort, &port_side, port_row);
    else if (good)
        search_tracks(&search, effort, effort == 0 ? 3 : MAX_TURNS);
    if (!search.found) {
        arena_rewind(r->arena, mark);
        return false;
    }

    const Way *w = &search.best;
    uint64_t words = stream_words(s);
    uint32_t bit = 1u << search.color;
    s->color = search.color;
    s->port_y = NULL;
    if (port_row) {
        set_port(&e, !from, port_side, port_row);
        s->port_side = port_side;
        s->port_y = arena_array(r->arena, uint32_t, n);
        for (uint32_t l = 0; l < n; l++) {
            PortUse use = {port_side, port_row[l], (int32_t)s->id};
            s->port_y[l] = (uint32_t)port_row[l];
            vec_push(r->arena, &r->ports, use);
        }
    }
    set_way(r, s, &e, w);
    for (unsigned i = 0; i < s->n_segments; i++)
        take(r, segment_box(&e, w, i), bit, w->side[i], words, (int32_t)s->id);
    if (from)
        take(r, e.out_edge, bit, e.ds, words, (int32_t)s->id);
    if (to)
        take(r, e.in_region, bit, e.de, words, (int32_t)s->id);
    *cost = w->cost;
    return true;
}

uint64_t router_peak(const Router *r, Box *where, Side *side)
{
    uint64_t peak = 0;
    for (Side d = SIDE_N; d <= SIDE_W; d++) {
        for (size_t i = 0; i < r->taken.n; i++) {
            if (r->taken.data[i].load[d] == 0)
                continue;
            uint64_t here = peak_load(r, r->taken.data[i].box, d, peak);
            if (here > peak) {
                peak = here;
                *where = r->taken.data[i].box;
                *side = d;
            }
        }
    }
    return peak;
}

uint64_t router_load(const Router *r, Box box, Side side)
{
    return peak_load(r, box, side, 0);
}

/* ---- routed streams ---- */

static void lane_at(const Stream *s, uint32_t lane, uint32_t segment, int32_t *x, int32_t *y)
{
    *x = (int32_t)s->start_x[lane];
    *y = (int32_t)s->start_y[lane];
    for (uint32_t i = 0; i < segment; i++)
        *(horizontal(s->segments[i].side) ? x : y) = (int32_t)s->segments[i].to[lane];
}

Box stream_box(const Stream *s, uint32_t segment)
{
    Box all = {0, 0, -1, -1};
    for (unsigned k = 0; k < 2; k++) {
        uint32_t lane = k ? s->protocol.lanes - 1 : 0;
        int32_t x0, y0, x1, y1;
        lane_at(s, lane, segment, &x0, &y0);
        lane_at(s, lane, segment + 1, &x1, &y1);
        all = k ? join(all, hull(x0, y0, x1, y1)) : hull(x0, y0, x1, y1);
    }
    return all;
}

uint32_t stream_hops(const Stream *s)
{
    uint32_t most = 0;
    for (uint32_t l = 0; l < s->protocol.lanes; l++) {
        uint32_t hops = 1;
        for (uint32_t i = 0; i < s->n_segments; i++) {
            int32_t x0, y0, x1, y1;
            lane_at(s, l, i, &x0, &y0);
            lane_at(s, l, i + 1, &x1, &y1);
            hops += (uint32_t)((x1 > x0 ? x1 - x0 : x0 - x1) + (y1 > y0 ? y1 - y0 : y0 - y1));
        }
        most = hops > most ? hops : most;
    }
    return most;
}

void router_add_routed(Router *r, const Stream *s)
{
    uint64_t words = stream_words(s);
    for (uint32_t i = 0; i < s->n_segments; i++)
        take(r, stream_box(s, i), 1u << s->color, s->segments[i].side, words, (int32_t)s->id);
    if (s->to != PLAN_HOST) {
        const Kernel *k = r->plan->kernels.data[s->to];
        const FabricEdge *edge = router_edge(r, k, (int)s->to_input);
        take(r, plan_box(k), 1u << s->color, edge->travel, words, (int32_t)s->id);
    }
}

/* ---- the pass ---- */

/* Streams in the order of `order`; a stream that fails is moved to the front and all
 * starts over (rip-up by restart), until one fails a second time at the front. */
bool plan_route(Plan *plan, Arena *a, uint64_t limit, Router **router)
{
    size_t n = plan->streams.n;
    uint32_t *order = arena_array(a, uint32_t, n);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t round = 0; round <= 2 * n; round++) {
        Router *r = router_create(a, plan, limit);
        for (size_t i = 0; i < plan->kernels.n; i++)
            router_add_kernel(r, plan->kernels.data[i]);
        size_t i = 0;
        for (; i < n; i++) {
            uint32_t cost;
            Stream *s = plan->streams.data[order[i]];
            bool good = false;
            for (unsigned effort = 0; effort <= 2 && !good; effort++)
                good = router_add_stream(r, s, effort, &cost);
            if (!good)
                break;
        }
        *router = r;
        if (i == n)
            return true;
        if (i == 0)
            return false;
        uint32_t id = order[i];
        memmove(order + 1, order, i * sizeof *order);
        order[0] = id;
    }
    return false;
}

void route_explain(PassContext *cx, const RouteFailure *f)
{
    const Plan *plan = cx->plan;
    if (f->stream >= plan->streams.n)
        return;
    const Stream *s = plan->streams.data[f->stream];
    uint32_t usable = plan->machine->colors - plan->machine->reserved_colors;
    if (f->no_ports) {
        diag_note(cx->diag, s->span,
                  "stream '%s' needs %u host ports on one side; west has %u, east %u, and others "
                  "are in use",
                  s->name, s->protocol.lanes, plan->machine->ports_west, plan->machine->ports_east);
        return;
    }
    diag_note(cx->diag, s->span,
              "stream '%s' of %u lanes: %u ways fit the regions, %u had none of the %u colors "
              "free, %u an overloaded link",
              s->name, s->protocol.lanes, f->shapes, f->no_color, usable, f->no_link);
    if (f->no_color)
        diag_note(cx->diag, s->span, "colors in use on the last way tried: mask 0x%x", f->colors);
    if (f->no_link)
        diag_note(cx->diag, s->span,
                  "a link would carry %" PRIu64 " words a sample; the slowest kernel takes %" PRIu64
                  " cycles",
                  f->load, plan_target(plan));
}

static bool check_queues(PassContext *cx)
{
    const Machine *m = cx->plan->machine;
    unsigned before = cx->diag->n_errors;
    for (size_t i = 0; i < cx->plan->kernels.n; i++) {
        const Kernel *k = cx->plan->kernels.data[i];
        /* A chain takes one queue in at a core and one out, the core that sends results has
         * no next link. */
        uint32_t chain = kernel_own_colors(k) ? 1 : 0;
        uint32_t in = k->n_in + chain, out = k->n_out > chain ? k->n_out : chain;
        if (in > m->queues_in || out > m->queues_out)
            diag_infeasible(cx->diag, k->span,
                            "kernel '%s' needs %u incoming and %u outgoing queues on a core; the "
                            "machine has %u and %u",
                            k->name, in, out, m->queues_in, m->queues_out);
    }
    return cx->diag->n_errors == before;
}

bool pass_route(PassContext *cx)
{
    Router *r = NULL;
    if (!check_queues(cx))
        return false;
    for (unsigned step = 0; step < 3; step++) {
        if (!plan_route(cx->plan, cx->arena, plan_link_limit(cx->plan, step), &r))
            continue;
        Box where = {0};
        Side side = SIDE_N;
        uint64_t peak = router_peak(r, &where, &side), target = plan_target(cx->plan);
        if (peak > target)
            cx->plan->why = arena_printf(cx->arena,
                                         "the fullest link, at (%d, %d), carries up to %" PRIu64
                                         " words a sample",
                                         where.x0, where.y0, peak);
        return true;
    }
    const Stream *s = cx->plan->streams.data[r->failure.stream];
    diag_infeasible(cx->diag, s->span, "stream '%s' cannot be routed", s->name);
    route_explain(cx, &r->failure);
    return false;
}
