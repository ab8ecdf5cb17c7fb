/* SPDX-License-Identifier: Apache-2.0 */
/* passes/routing.h - what the files of the router share.
 *
 * What is taken of the fabric is a set of boxes of routers, each with the colors in use and,
 * if words leave its routers by a side, how many a sample. They lie in buckets of
 * BUCKET x BUCKET routers, so asking what meets a box costs what is near it. Three kinds:
 * what never moves (kernels' own colors and chains, dead cores), what streams use, and the
 * history of places that too many wanted. */
#ifndef WSEC_PASSES_ROUTING_H
#define WSEC_PASSES_ROUTING_H

#include "passes/planner.h"

enum { BUCKET = 16, MAX_TURNS = 4, TURN_CHARGE = 2 };
#define PRICE_NEVER (UINT64_MAX / 4)

typedef struct Piece { /* a box of routers that a stream leaves by `side` */
    Box box;
    Side side; /* SIDE_RAMP: it ends there */
    bool fork; /* routers of its trunk: they have its color already */
} Piece;
typedef VEC(Piece) PieceVec;

typedef VEC(uint32_t) SlotVec;

struct RouteIndex {
    int32_t nx, ny;
    SlotVec *bucket;
    SlotVec *of_stream;      /* slots of `taken`, by stream */
    SlotVec free;            /* slots */
    int32_t *port[2];        /* W, E: by row, the stream that has it, or -1 */
    VEC(const Taken *) near; /* scratch: what meets a box */
    PieceVec pieces, forks;  /* scratch */
    VEC(int64_t) events;     /* scratch */
    int32_t *x, *y;          /* scratch: where lanes are */
    uint32_t lanes;          /* room in x and y */
    int64_t maze_steps;      /* left for lanes one by one */
    uint32_t tree_colors;    /* not 0: what the tree that grows could be painted in */
};

/* ---- route_index.c ---- */

typedef struct Meet { /* walks over what meets a box, each once */
    const Router *r;
    Box box;
    int32_t x0, x1, y1, x, y;
    size_t i;
} Meet;
Meet meet_begin(const Router *r, Box box);
const Taken *meet_next(Meet *m);

Box box_hull(int32_t x0, int32_t y0, int32_t x1, int32_t y1);
Box box_join(Box a, Box b);
static inline bool side_horizontal(Side s)
{
    return s == SIDE_E || s == SIDE_W;
}
static inline int side_forward(Side s) /* does the coordinate grow */
{
    return s == SIDE_E || s == SIDE_S ? 1 : -1;
}
static inline int side_rightward(Side s) /* does the track's coordinate grow to the right */
{
    return s == SIDE_E || s == SIDE_N ? 1 : -1;
}

uint32_t router_take(Router *r, Taken t); /* its slot, UINT32_MAX for an empty box */
void router_drop(Router *r, uint32_t slot);
/* Takes all that a stream uses as its fields say; router_release gives it back. */
void router_take_stream(Router *r, const Stream *s);
void router_release(Router *r, const Stream *s);
void router_recolor(Router *r, Stream *s, uint32_t color);
void router_forget(Router *r);                                   /* the history */
static inline bool router_lies(const Router *r, const Stream *s) /* has it got a way */
{
    return r->index->of_stream[s->id].n > 0;
}
/* Routers along the way by the side they are left by. Few-piece bundles: staircases are cut
 * into at most MAX_STEPS boxes; others exactly. Valid until the next call. */
const PieceVec *router_pieces(Router *r, const Stream *s);
/* The ends of a stream in its kernels: the cores that send, the region that receives. */
Box router_out_edge(Router *r, const Stream *s);
Box router_in_region(const Router *r, const Stream *s);
/* Most words that leave a router of the box by a side, those of stream `but` not counted;
 * any sum <= stop stands for itself. *where, if not NULL: one router that has it. */
uint64_t router_most(Router *r, Box box, Side side, int32_t but, uint64_t stop, Box *where);
uint32_t router_usable_colors(const Router *r); /* mask */
bool router_port_free(const Router *r, Side side, int32_t y);
uint32_t router_ports_left(const Router *r, Side side);

/* ---- route_ways.c, route_maze.c ---- */

typedef struct Price {
    uint64_t hops;  /* and turns */
    uint64_t share; /* for what others use, too; 0: nothing is over-used */
    uint32_t color;
} Price;

/* What a way as it stands in the stream's fields would cost now; share: the price of one
 * use too many, PRICE_NEVER: none is allowed. False if it is not possible at any price. */
typedef struct Pricing {
    uint32_t colors;     /* that it may have at all */
    uint32_t hard;       /* colors that are never to be had at the ends */
    uint64_t shared[32]; /* by color, at the ends */
    uint64_t words;      /* of the stream, at most the limit */
} Pricing;
void pricing_begin(Router *r, const Stream *s, uint64_t share, Pricing *p);
bool pricing_of(Router *r, const Stream *s, const Pricing *at_ends, uint64_t share, uint64_t below,
                Price *result);

/* A router where a lane may begin that forks, and the travel into it. */
typedef struct Seed {
    int32_t x, y;
    Side in;
} Seed;
typedef VEC(Seed) SeedVec;

typedef struct Ends {
    uint32_t n;
    Side ds, de;
    int32_t s_along, e_along;   /* all lanes start and end on one line: the source cores,
                                   and the last routers before the consumer */
    int32_t *s_cross, *e_cross; /* by lane */
    Box producer, consumer;     /* not to be passed over; empty for the host */
    int32_t width, height;
    SeedVec *seeds; /* of a stream that forks, by lane; then the start above does not count */
} Ends;
typedef VEC(Ends) EndsVec;

/* All routers of a lane's own way, from its start or behind it up to the last one. */
void route_lane_routers(const Stream *s, uint32_t lane, Arena *a, SeedVec *all);

/* The ends in kernels; those at the host are left open. False if they do not agree. */
bool route_kernel_ends(Router *r, Arena *a, const Stream *s, Ends *e);
/* The last routers before the consumer; empty for the host. */
Box route_door(Router *r, const Stream *s);
/* The host's end of a stream that enters (in) or leaves the fabric by those rows. */
void route_set_port(Ends *e, bool in, Side side, int32_t *rows);
/* All pairs of ends a stream may have: one, or one a choice of ports. */
void route_ends(Router *r, Arena *a, const Stream *s, EndsVec *all);

/* The cheapest way in closed form, of those that cost less than `below`; effort 0 .. 2: how many
 * turns and tracks are tried. Sets the stream's fields. The stream has been released. */
bool route_ways(Router *r, Stream *s, unsigned effort, uint64_t share, uint64_t below,
                Price *price);
/* Lanes that go each their own way: the cells of a window, from the first router behind the
 * core or port that sends (or the router where the lane forks) to the last one before the kernel
 * or port that receives. */
typedef struct LanePaths {
    const Ends *ends;
    uint32_t lanes;
    int32_t x0, y0, w; /* of the window; a cell is (y - y0) * w + x - x0 */
    uint32_t **path;   /* by lane */
    uint32_t *length;  /* by lane */
} LanePaths;
void route_set_paths(const LanePaths *p, Arena *a, Stream *s);
void route_first_cell(const Ends *e, uint32_t lane, int32_t *x, int32_t *y);
void route_last_cell(const Ends *e, uint32_t lane, int32_t *x, int32_t *y);

/* Lane by lane, if it is cheaper than `below`. */
bool route_maze(Router *r, Stream *s, uint64_t share, uint64_t below, Price *price);

/* ---- route_colors.c, route_trunks.c, route_cut.c, route_small.c ---- */

/* Is there a straight line that more lanes have to cross than can? Then failure.cut has it. */
bool route_cut(Router *r);

/* The stream of a tree that its source sends. */
const Stream *stream_root(const Stream *s);
/* Stream *i or later of those of the source of s whose tree is that of `root`; *i is left
 * behind it. NULL: no more. */
Stream *route_tree(const Plan *plan, const Stream *root, uint32_t *i);
/* The same for streams that fork from s. */
Stream *route_forks(const Plan *plan, const Stream *s, uint32_t *i);
/* Is t no branch of s, so that s could be one of t? */
bool stream_before(const Stream *t, const Stream *s);
/* Makes trees of streams of one source where there are ways; is there any? */
bool route_trunks(Router *r);
void route_forget_trunks(Plan *plan);

/* Colors for all ways as they are; false if some stream shares its color with another one. */
bool route_colors(Router *r);
/* Small cases by trying everything: sets all streams' fields. False if there is no solution
 * (*proved), or the case is not small, or it took too long. */
bool route_small(Router *r, bool *proved);

#endif
