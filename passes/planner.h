/* SPDX-License-Identifier: Apache-2.0 */
/* passes/planner.h - what sizing, placement and routing share; nobody else includes it.
 *
 * The router keeps what is taken of the fabric as boxes: kernels' regions and pieces of
 * bundles, each with its colors and the words a sample that leave every router of it by a
 * side (routing.h). It judges whole placements; nothing here has a cell per core, so costs
 * grow with kernels and streams. */
#ifndef WSEC_PASSES_PLANNER_H
#define WSEC_PASSES_PLANNER_H

#include "backend/kernels/kernel.h"
#include "passes/passes.h"

typedef struct Box {
    int32_t x0, y0, x1, y1; /* inclusive; empty if x1 < x0 */
} Box;

static inline bool box_meet(Box a, Box b)
{
    return a.x0 <= b.x1 && b.x0 <= a.x1 && a.y0 <= b.y1 && b.y0 <= a.y1;
}
Box plan_box(const Kernel *k); /* its region */

static inline Box keepout_box(const KeepOut *k)
{
    return (Box){(int32_t)k->x, (int32_t)k->y, (int32_t)(k->x + k->w) - 1,
                 (int32_t)(k->y + k->h) - 1};
}

typedef struct Taken {
    Box box;
    uint32_t colors;  /* in use somewhere in the box */
    Side side;        /* by which words leave its routers; SIDE_RAMP: by none */
    uint64_t words;   /* a sample, on each such link */
    int32_t stream;   /* -1: a kernel's own, or dead cores */
    uint32_t history; /* not 0: the price of a place that was wanted by too many */
} Taken;

typedef struct PortUse {
    Side side;
    int32_t y;
    int32_t stream;
} PortUse;

/* Where too many meet: the box of routers, the side of the link, or SIDE_RAMP for colors.
 * An empty box: the stream has no way at all. */
typedef struct RouteTrouble {
    uint32_t stream;
    Box box;
    Side side;
    uint64_t demand, capacity; /* words a sample; streams of one color */
} RouteTrouble;

/* More lanes than can cross a straight line over the whole fabric. */
typedef struct RouteCut {
    uint64_t lanes, words; /* that have to cross; no lanes: there is no such line; no words:
                              lanes of one stream, each of which takes a link of its own */
    uint64_t links, room;  /* how many there are, lanes that they hold */
    uint64_t limit;        /* words a sample on a link */
    int32_t at;            /* the last row or column before the line, */
    Side side;             /* which is crossed in this direction */
    uint32_t stream;       /* one of those */
} RouteCut;

enum { ROUTE_TROUBLES = 8 };

/* Why streams could not be routed, for messages: the first of them, what stayed over-used at
 * the end, and what was tried. */
typedef struct RouteFailure {
    uint32_t stream, n_streams;
    uint32_t n_troubles; /* listed */
    RouteTrouble trouble[ROUTE_TROUBLES];
    uint32_t rounds, ways, no_color, no_link, mazes;
    bool no_ports;
    RouteCut cut;
    bool proved; /* everything was tried: there is no solution */
} RouteFailure;

/* The edge of a kernel in its orientation: the cells of the lanes, and the travel there. */
typedef struct FabricEdge {
    bool known;
    Side travel;
    uint32_t lanes;
    int32_t *x, *y; /* relative to the region's corner */
} FabricEdge;

typedef struct KernelEdges KernelEdges;
typedef struct RouteIndex RouteIndex;

typedef struct Router {
    Arena *arena; /* of everything it allocates, streams' lanes included */
    Plan *plan;
    VEC(Taken) taken;
    VEC(PortUse) ports;
    KernelEdges *edges; /* by kernel and orientation, asked once */
    RouteIndex *index;  /* of what is taken, by place */
    uint64_t limit;     /* words a sample on a link */
    RouteFailure failure;
} Router;

Router *router_create(Arena *a, Plan *plan, uint64_t limit);
void router_add_kernel(Router *r, const Kernel *k); /* its region, once placed */
/* The cheapest way that shares nothing with what is there. *cost: hops of a lane and a
 * charge per turn. effort 0 .. 2: how many turns and tracks are tried. */
bool router_add_stream(Router *r, Stream *s, unsigned effort, uint32_t *cost);
const FabricEdge *router_edge(Router *r, const Kernel *k, int input); /* -1: its result's */
/* Takes what a routed stream uses, for reports. */
void router_add_routed(Router *r, const Stream *s);
/* The fullest link that words leave a box by, in words a sample; and of all. */
uint64_t router_load(Router *r, Box box, Side side);
uint64_t router_peak(Router *r, Box *where, Side *side);

/* All streams of a placed plan, by negotiation (route.c). If it is false, (*router)->failure
 * says what stood in the way. */
bool plan_route(Plan *plan, Arena *a, uint64_t limit, Router **router);
/* plan_target() of a routed plan, with every kernel sending as often as its trees ask for. */
uint64_t plan_routed_target(const Plan *plan);
uint64_t plan_host_words(const Plan *plan);
uint64_t stream_words(const Stream *s); /* of the fullest lane, a sample */
uint32_t stream_hops(const Stream *s);  /* of the longest lane, between the two kernels */
/* Routers of a segment of a routed stream, the start included in the first. */
Box stream_box(const Stream *s, uint32_t segment);
uint32_t plan_core_limit(const PassContext *cx);
uint32_t plan_free_cores(const Plan *p); /* not kept out, not dead */
/* What takes the others, for messages, and notes on where it is asked for. */
const char *plan_keepouts_text(const Plan *p);
void plan_note_keepouts(Diag *d, const Constraints *c);
/* Notes on the largest kernels as they are sized now; `how` is put behind the cores. */
void plan_note_largest(PassContext *cx, const char *how);
/* Lanes that a kernel of this shape takes in by its input. */
uint32_t plan_lanes_needed(const Kernel *k, uint32_t input, const Shape *s);
uint32_t plan_host_lanes(const Plan *plan); /* the most of one host stream */
/* The most that divide `lanes`; of lanes that cut the features unevenly, the groups. */
uint32_t plan_port_lanes(uint32_t features, uint32_t lanes, uint32_t most);

/* Words a sample that links may carry: the target, twice that, any. */
uint64_t plan_link_limit(const Plan *plan, unsigned step);
void route_explain(PassContext *cx, const RouteFailure *f); /* notes behind an error */

/* A copy that may stand in XML once escaped: control characters and bytes that are no UTF-8
 * become question marks. */
const char *xml_safe(Arena *a, const char *s);

#endif
