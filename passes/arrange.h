/* SPDX-License-Identifier: Apache-2.0 */
/* passes/arrange.h - kernels on the fabric in their orientations, and what streams between
 * them would about cost. */
#ifndef WSEC_PASSES_ARRANGE_H
#define WSEC_PASSES_ARRANGE_H

#include "passes/pack/pack.h"
#include "passes/sizing.h"

/* An edge of a kernel in some orientation: the cells of the first and the last lane, from the
 * region's corner. */
typedef struct EdgeLine {
    Side travel;
    uint32_t lanes;
    int32_t x0, y0, x1, y1;
    int32_t pitch; /* between neighboring lanes; 0: uneven */
    bool known;
} EdgeLine;

typedef struct KernelLines {
    EdgeLine edge[8][2 * KERNEL_MAX_INPUTS + 1]; /* by orientation and arrange_line()'s end */
} KernelLines;

typedef VEC(uint32_t) IdVec;

/* Where kernels stand is in Kernel: x, y, turn, mirror. */
typedef struct Arrange {
    Arena *arena;
    Plan *plan;
    uint32_t n;
    bool *placed, *fixed; /* by kernel; what is fixed is not moved */
    KernelLines *lines;
    bool *mirror;    /* by kernel, as its programs are made; NULL: there are none yet */
    uint32_t *room;  /* by stream: tracks wanted where it turns; more than its lanes are to be
                        left free in any case */
    uint32_t *tests; /* by stream: so often may the router say that its ends as they stand have no
                        way; 0: it is not asked */
    IdVec *out;      /* by kernel: streams that it is the source of */
    IdVec *bins;     /* kernels by parts of the fabric */
    uint32_t bins_x, bins_y;
} Arrange;

Arrange *arrange_create(Arena *a, Plan *plan); /* nothing is placed */
Arrange *arrange_as_is(Arena *a, Plan *plan);  /* all kernels are, where they stand */
/* An end of streams at a kernel: an input, LINE_RESULT, or LINE_BEYOND + an input: where its lanes
 * go on behind the kernel. */
enum { LINE_RESULT = KERNEL_MAX_INPUTS, LINE_BEYOND = KERNEL_MAX_INPUTS + 1 };
const EdgeLine *arrange_line(Arrange *g, const Kernel *k, unsigned end);
/* Cores in front of an edge, towards `front`, up to the first that are dead, if there are any. */
int32_t arrange_front(const Plan *plan, const Kernel *k, const EdgeLine *e, Side front);
/* Where a stream leaves from: its kernel, and the end there. Trunks that may be chosen anew count
 * for nothing. */
int32_t arrange_source(const Arrange *g, const Stream *s);
unsigned arrange_source_end(const Arrange *g, const Stream *s);
/* Is it one of a tree that forks and has to: its lanes lead around its consumers. */
bool arrange_forks(const Plan *plan, const Stream *s);
/* Hops, turns and the impossible, all streams. */
uint64_t arrange_total(Arrange *g);
/* Is there room for the kernel as it stands. */
bool arrange_free(const Arrange *g, const Kernel *k);
void arrange_put(Arrange *g, Kernel *k);
void arrange_take(Arrange *g, Kernel *k);
/* ends.c: a stream as its ends stand; ARRANGE_BAD and more if it has no way. */
uint64_t stream_estimate(Arrange *g, const Stream *s);

/* kernel_model.c: shapes no slower and places for all kernels from the placement engine, which
 * begins with the plan as it stands if all is placed, with the effort and the time that the user
 * `asked` for or little of its own. Writes shapes, adapters and regions into
 * the plan; new adapters have no place yet. NULL: the engine has none, nothing is changed. */
Arrange *place_by_engine(const PassContext *cx, Arena *on, const Arrange *g, bool asked);
/* What is kept free beside kernels for lanes to turn. */
typedef enum EngineTracks {
    TRACKS_NONE,
    TRACKS_BETWEEN, /* for the fewer of a kernel's lanes, in or out, if not the host's */
    TRACKS_FEWER,   /* for those in any case */
    TRACKS_ALL
} EngineTracks;
/* kernel_model.c: shapes no slower than T, and places, for all kernels of a plan without adapters
 * but those that are pinned; what is at the host needs none. The rest as above. */
Arrange *place_anew(const PassContext *cx, Arena *on, const Arrange *g, uint64_t T,
                    EngineTracks tracks);
/* place.c: the engine goes on from the plan as it stands, at that cost of its streams
 * (UINT64_MAX: it cannot stay so). True: what it found is better and all streams have a way;
 * else the plan is as it was. */
bool place_refine(const PassContext *cx, const Arrange *now, uint64_t cost, uint64_t limit,
                  bool asked);
/* wave.c: fills the fabric with rows of kernels, for the least time of the slowest; leaves the
 * choice in the plan and the kernels on their regions, with ways found for all streams. */
bool place_wave(PassContext *cx, const uint32_t *order, uint64_t below);
/* place.c: can all streams be routed, in trees if the sizes count on that; the ways are forgotten
 * again. */
bool plan_routed(Plan *plan, uint64_t limit, RouteFailure *failure);

#define ARRANGE_BAD ((uint64_t)1 << 32)

/* Places all that are not placed, in topological order, each where its streams are shortest;
 * false if there is no room. */
/* Puts down what is pinned; false: *one has no place at its pin, free of the others. */
bool arrange_pins(Arrange *g, const Kernel **one);
/* Puts down kernels where they were in an earlier placement, if shape and place are still to be
 * had, but for those within `ring` streams of one that is not; they are fixed. How many. */
uint32_t arrange_keep(Arrange *g, const PassContext *cx, unsigned ring);
bool arrange_insert(Arrange *g, const uint32_t *order, uint32_t n);
/* Have all streams a way that the router was asked about. */
bool arrange_tested(Arrange *g);
/* Moves kernels while that makes streams shorter, at most so many rounds. */
void arrange_improve(Arrange *g, const uint32_t *order, uint32_t n, unsigned rounds);
/* Only turns and mirrors, for kernels whose regions stay. */
void arrange_orient(Arrange *g, const uint32_t *order, uint32_t n);

#endif
