/* SPDX-License-Identifier: Apache-2.0 */
/* passes/ends.c - what a stream between two edges would about cost, in closed form.
 *
 * Seen in the direction in which lanes leave the producer there are three cases: the consumer
 * takes them in the same direction, across, or against it. Each has a shortest form (straight
 * or shifted, one turn, a U), possible if its tracks have room between the edges; else the
 * bundle has to go around, which takes room for all its lanes in front of both edges. What
 * other kernels stand in between does not matter: lanes pass over them. Hops and turns are
 * weighted by lanes; what has no way at all costs ARRANGE_BAD. O(1) a stream.
 *
 * Streams of a finished image that form a tree with forks (route_trunks.c) have to form one again:
 * their lanes lead around consumers, which want free cores on all sides. */
#include <stdlib.h>

#include "passes/arrange.h"

enum {
    LANE_WEIGHT = 4,  /* so that narrow streams, too, are kept short */
    TURNS_BACK = 256, /* of a tree that forks */
    HEMMED_IN = 64,   /* of one, a core */
};

/* ---- edges ---- */

static int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}
static int32_t most(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static void find_line(Arrange *g, const Kernel *k, unsigned end, EdgeLine *line)
{
    ArenaMark mark = arena_mark(g->arena);
    Edge e = {0};
    Kernel at = *k;
    at.x = at.y = 0;
    bool leaves = end >= LINE_RESULT;
    if (end == LINE_RESULT)
        kernel_edge_out(g->arena, k, &e);
    else
        kernel_edge_in(g->arena, k, leaves ? end - LINE_BEYOND : end, &e);
    *line = (EdgeLine){.known = true, .lanes = e.lanes, .travel = plan_side(k, e.travel)};
    for (unsigned i = 0; i < 2; i++) {
        uint32_t x, y;
        kernel_edge_place(&at, &e, leaves, i ? e.lanes - 1 : 0, &x, &y);
        *(i ? &line->x1 : &line->x0) = (int32_t)x;
        *(i ? &line->y1 : &line->y0) = (int32_t)y;
    }
    int32_t pitch = e.lanes > 1 ? (int32_t)e.position[1] - (int32_t)e.position[0] : 1;
    line->pitch = abs(pitch);
    for (uint32_t l = 1; l < e.lanes; l++)
        if ((int32_t)e.position[l] - (int32_t)e.position[l - 1] != pitch)
            line->pitch = 0;
    arena_rewind(g->arena, mark);
}

const EdgeLine *arrange_line(Arrange *g, const Kernel *k, unsigned end)
{
    EdgeLine *e = &g->lines[k->id].edge[k->turn * 2 + (k->mirror ? 1 : 0)][end];
    if (!e->known)
        find_line(g, k, end, e);
    return e;
}

int32_t arrange_source(const Arrange *g, const Stream *s)
{
    return g->plan->programs_given ? stream_source(s) : s->from;
}

unsigned arrange_source_end(const Arrange *g, const Stream *s)
{
    bool passed = g->plan->programs_given && s->trunk && !s->forks;
    return passed ? LINE_BEYOND + s->trunk->to_input : LINE_RESULT;
}

bool arrange_forks(const Plan *plan, const Stream *s)
{
    if (!plan->programs_given || s->from == PLAN_HOST)
        return false;
    const Kernel *from = plan->kernels.data[s->from];
    for (uint32_t i = 0; i < from->n_out; i++)
        if (plan->streams.data[from->out[i]]->forks)
            return true;
    return false;
}

int32_t arrange_front(const Plan *plan, const Kernel *k, const EdgeLine *e, Side front)
{
    int32_t best = INT32_MAX, x = (int32_t)k->x, y = (int32_t)k->y;
    int32_t x0 = x + least(e->x0, e->x1), x1 = x + most(e->x0, e->x1);
    int32_t y0 = y + least(e->y0, e->y1), y1 = y + most(e->y0, e->y1);
    for (size_t i = 0; i < plan->keepouts.n; i++) {
        const KeepOut *o = &plan->keepouts.data[i];
        int32_t ox0 = (int32_t)o->x, ox1 = ox0 + (int32_t)o->w - 1;
        int32_t oy0 = (int32_t)o->y, oy1 = oy0 + (int32_t)o->h - 1;
        bool along_y = front == SIDE_N || front == SIDE_S;
        if (!o->dead || (along_y ? ox0 > x1 || ox1 < x0 : oy0 > y1 || oy1 < y0))
            continue;
        int32_t free = front == SIDE_N   ? y0 - oy1 - 1
                       : front == SIDE_S ? oy0 - y1 - 1
                       : front == SIDE_W ? x0 - ox1 - 1
                                         : ox0 - x1 - 1;
        if (free >= 0 && free < best)
            best = free;
    }
    return best;
}

/* ---- frames ---- */

typedef struct Point {
    int32_t x, y;
} Point;

/* Turns `travel` to the east; what lies to its right stays there. */
static Point to_east(Side travel, int32_t x, int32_t y)
{
    switch (travel) {
    case SIDE_S:
        return (Point){y, -x};
    case SIDE_W:
        return (Point){-x, -y};
    case SIDE_N:
        return (Point){-y, x};
    case SIDE_E:
    case SIDE_RAMP:
    case SIDE_COUNT:
        break;
    }
    return (Point){x, y};
}

static Box hull(Point a, Point b)
{
    return (Box){a.x < b.x ? a.x : b.x, a.y < b.y ? a.y : b.y, a.x > b.x ? a.x : b.x,
                 a.y > b.y ? a.y : b.y};
}

static Box box_to_east(Side travel, Box b)
{
    return hull(to_east(travel, b.x0, b.y0), to_east(travel, b.x1, b.y1));
}

/* A stream seen with its lanes leaving to the east. */
typedef struct View {
    unsigned turn; /* of the consumer's travel, in quarters clockwise */
    Box out, in;   /* cells of the lanes */
    Point out0, in0;
    bool even; /* both edges have their lanes at the same steps */
    Box producer, consumer, fabric;
    int32_t room, clear;       /* tracks for turns; cores to be left free between the edges */
    int32_t wall_out, wall_in; /* cores in front of the edges up to some that are dead */
} View;

static Box flip(Box b)
{
    return (Box){b.x0, -b.y1, b.x1, -b.y0};
}

static View look(const Plan *plan, const EdgeLine *a, const Kernel *from, const EdgeLine *b,
                 const Kernel *to, uint32_t room)
{
    Side d = a->travel;
    int32_t ax = (int32_t)from->x, ay = (int32_t)from->y;
    int32_t bx = (int32_t)to->x, by = (int32_t)to->y;
    View v = {.turn = ((unsigned)b->travel + 4 - (unsigned)d) % 4,
              .room = (int32_t)room,
              .clear = (int32_t)(room - a->lanes),
              .wall_out = arrange_front(plan, from, a, a->travel),
              .wall_in = arrange_front(plan, to, b, side_opposite(b->travel))};
    v.out0 = to_east(d, ax + a->x0, ay + a->y0);
    v.in0 = to_east(d, bx + b->x0, by + b->y0);
    v.out = hull(v.out0, to_east(d, ax + a->x1, ay + a->y1));
    v.in = hull(v.in0, to_east(d, bx + b->x1, by + b->y1));
    v.even = a->lanes == b->lanes && a->pitch == b->pitch && a->pitch > 0;
    v.producer = box_to_east(d, plan_box(from));
    v.consumer = box_to_east(d, plan_box(to));
    const Machine *m = plan->machine;
    v.fabric = box_to_east(d, (Box){0, 0, (int32_t)m->width - 1, (int32_t)m->height - 1});
    if (v.turn == 3) {
        v.turn = 1;
        v.out = flip(v.out);
        v.in = flip(v.in);
        v.producer = flip(v.producer);
        v.consumer = flip(v.consumer);
        v.fabric = flip(v.fabric);
    }
    return v;
}

static bool rows_meet(Box a, Box b)
{
    return a.y0 <= b.y1 && b.y0 <= a.y1;
}
static bool columns_meet(Box a, Box b)
{
    return a.x0 <= b.x1 && b.x0 <= a.x1;
}

/* Free tracks in front of the edges, up to the partner or the end of the fabric. */
static int32_t room_out(const View *v)
{
    int32_t r = least(v->fabric.x1 - v->out.x1, v->wall_out);
    if (rows_meet(v->out, v->consumer) && v->consumer.x0 > v->out.x1)
        r = least(r, v->consumer.x0 - v->out.x1 - 1);
    return r;
}

static int32_t room_in(const View *v)
{
    if (v->turn == 1) {
        int32_t r = least(v->in.y0 - v->fabric.y0, v->wall_in);
        if (columns_meet(v->in, v->producer) && v->producer.y1 < v->in.y0)
            r = least(r, v->in.y0 - v->producer.y1 - 1);
        return r;
    }
    bool same = v->turn == 0;
    int32_t r = same ? v->in.x0 - v->fabric.x0 : v->fabric.x1 - v->in.x1;
    r = least(r, v->wall_in);
    if (rows_meet(v->in, v->producer)) {
        if (same && v->producer.x1 < v->in.x0)
            r = least(r, v->in.x0 - v->producer.x1 - 1);
        if (!same && v->producer.x0 > v->in.x1)
            r = least(r, v->producer.x0 - v->in.x1 - 1);
    }
    return r;
}

static int32_t distance(const View *v)
{
    return (abs(v->in.x0 + v->in.x1 - v->out.x0 - v->out.x1) +
            abs(v->in.y0 + v->in.y1 - v->out.y0 - v->out.y1)) /
           2;
}

static uint64_t turns_cost(const View *v, unsigned turns)
{
    return turns * ((uint64_t)v->room / 2 + 2);
}

/* The shortest form, if there is room for it; SIZE_NEVER if not. */
static uint64_t direct(const View *v)
{
    int32_t between = v->in.x0 - v->out.x1 - 1;
    int32_t wanted = between >= 0 && between < v->room && v->turn < 2 ? between : v->room;
    if (v->wall_out < wanted || v->wall_in < wanted)
        return SIZE_NEVER;
    switch (v->turn) {
    case 0:
        if (v->even && v->in0.y == v->out0.y && between >= v->clear)
            return (uint64_t)between;
        if (between >= v->room)
            return (uint64_t)distance(v) + turns_cost(v, 2);
        return SIZE_NEVER;
    case 1:
        if (between >= v->clear && v->in.y0 > v->out.y1 + v->clear)
            return (uint64_t)distance(v) + turns_cost(v, 1);
        return SIZE_NEVER;
    default: {
        int32_t end = most(v->in.x1, v->out.x1);
        bool meets =
            v->in.x1 > v->out.x1 ? rows_meet(v->out, v->consumer) : rows_meet(v->in, v->producer);
        if (v->fabric.x1 - end < v->room || meets)
            return SIZE_NEVER;
        return (uint64_t)(2 * end - v->in.x1 - v->out.x1 + abs(v->in.y0 - v->out.y0)) +
               turns_cost(v, 2);
    }
    }
}

static uint64_t around(const View *v)
{
    int32_t missing = most(0, v->room - room_out(v)) + most(0, v->room - room_in(v));
    uint64_t cost = (uint64_t)distance(v) + turns_cost(v, v->turn == 1 ? 3 : 4);
    Box p = v->producer, c = v->consumer;
    cost +=
        (uint64_t)(least(p.x1 - p.x0, p.y1 - p.y0) + least(c.x1 - c.x0, c.y1 - c.y0) + 2 * v->room);
    return missing ? ARRANGE_BAD + 16 * (uint64_t)missing + cost : cost;
}

/* From a port to an edge or the other way: straight on from the side, or with turns. */
static uint64_t host_estimate(const Plan *plan, const EdgeLine *e, const Kernel *k, bool in,
                              uint32_t room)
{
    const Machine *m = plan->machine;
    Box b = plan_box(k);
    int32_t x = b.x0 + (e->x0 + e->x1) / 2, n = (int32_t)room;
    uint64_t best = SIZE_NEVER;
    for (unsigned west = 0; west < 2; west++) {
        if ((west ? m->ports_west : m->ports_east) < e->lanes)
            continue;
        Side outward = west ? SIDE_W : SIDE_E;
        Side travel = in ? side_opposite(outward) : outward;
        int32_t hops = west ? x : (int32_t)m->width - 1 - x;
        /* Tracks in front of the edge, up to the end of the fabric. */
        Side front = in ? side_opposite(e->travel) : e->travel;
        int32_t y = b.y0 + e->y0, free = 0;
        switch (front) {
        case SIDE_N:
            free = y;
            break;
        case SIDE_S:
            free = (int32_t)m->height - 1 - y;
            break;
        case SIDE_W:
            free = b.x0;
            break;
        case SIDE_E:
        case SIDE_RAMP:
        case SIDE_COUNT:
            free = (int32_t)m->width - 1 - b.x1;
            break;
        }
        unsigned turns = e->travel == travel ? 0 : e->travel == side_opposite(travel) ? 2 : 1;
        int32_t wall = arrange_front(plan, k, e, front);
        if (turns == 0 && wall < hops)
            turns = 2;
        free = least(free, wall);
        uint64_t cost = (uint64_t)hops + turns * ((uint64_t)n / 2 + 2);
        if (turns == 2)
            cost += (uint64_t)(b.x1 - b.x0 + 2 * n);
        int32_t want = turns > 0 ? n : n - (int32_t)e->lanes;
        if (free < want)
            cost += ARRANGE_BAD + 16 * (uint64_t)(want - free);
        best = cost < best ? cost : best;
    }
    return best < SIZE_NEVER ? best : ARRANGE_BAD;
}

/* Cores between two kernels. */
static int32_t gap(Box a, Box b)
{
    return most(most(a.x0 - b.x1, b.x0 - a.x1), most(a.y0 - b.y1, b.y0 - a.y1)) - 1;
}

/* Cores that are missing around the consumer of a tree that forks, up to the border and to the
 * other kernels of the tree, for all lanes to lead around it. */
static uint64_t hemmed_in(const Arrange *g, const Stream *s)
{
    const Machine *m = g->plan->machine;
    const Kernel *from = g->plan->kernels.data[s->from];
    Box b = plan_box(g->plan->kernels.data[s->to]);
    int32_t n = (int32_t)s->protocol.lanes;
    int32_t missing = most(0, n - b.x0) + most(0, n - b.y0) +
                      most(0, n - ((int32_t)m->width - 1 - b.x1)) +
                      most(0, n - ((int32_t)m->height - 1 - b.y1));
    if (g->placed[s->from])
        missing += most(0, n - gap(b, plan_box(from)));
    for (uint32_t i = 0; i < from->n_out; i++) {
        int32_t other = g->plan->streams.data[from->out[i]]->to;
        if (other != PLAN_HOST && other != s->to && g->placed[other])
            missing += most(0, n - gap(b, plan_box(g->plan->kernels.data[other])));
    }
    return (uint64_t)missing;
}

uint64_t stream_estimate(Arrange *g, const Stream *s)
{
    int32_t source = arrange_source(g, s);
    unsigned end = arrange_source_end(g, s);
    const Kernel *from = source == PLAN_HOST ? NULL : g->plan->kernels.data[source];
    const Kernel *to = s->to == PLAN_HOST ? NULL : g->plan->kernels.data[s->to];
    bool forks = arrange_forks(g->plan, s);
    uint32_t room = g->room[s->id];
    uint64_t cost;
    if (from && to) {
        View v = look(g->plan, arrange_line(g, from, end), from, arrange_line(g, to, s->to_input),
                      to, room);
        cost = direct(&v);
        if (cost >= SIZE_NEVER)
            cost = around(&v);
        /* Lanes that turn back shut in the inner ones. */
        if (v.turn == 2 && forks)
            cost += TURNS_BACK;
    } else if (to) {
        cost = host_estimate(g->plan, arrange_line(g, to, s->to_input), to, true, room);
    } else {
        cost = host_estimate(g->plan, arrange_line(g, from, end), from, false, room);
    }
    if (to && forks)
        cost += HEMMED_IN * hemmed_in(g, s);
    uint64_t bad = cost >= ARRANGE_BAD ? ARRANGE_BAD : 0;
    return bad * 64 + (cost - bad) * (s->protocol.lanes + LANE_WEIGHT);
}
