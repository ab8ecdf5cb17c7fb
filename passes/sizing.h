/* SPDX-License-Identifier: Apache-2.0 */
/* passes/sizing.h - what the parts of sizing share, and what placement asks of it.
 *
 * Kernels that cost the same whatever their weights form a class: its shapes are found once.
 * Streams between the same classes share a table of adapters, filled as it is asked. */
#ifndef WSEC_PASSES_SIZING_H
#define WSEC_PASSES_SIZING_H

#include "passes/planner.h"

enum { LEAST_GROUPS = 16 }; /* that lanes which cut features unevenly should have (plan.h) */
#define SIZE_NEVER (UINT64_MAX / 8) /* a cost that cannot be had */

typedef struct LaneSet {
    uint32_t n;
    const uint32_t *of; /* ascending */
} LaneSet;

typedef struct KernelClass {
    const char *key;    /* all that its shapes depend on */
    ShapeVec shapes;    /* that fit the fabric; all with segments as its streams have them */
    uint32_t *in, *out; /* by shape: places of its lanes in the sets below */
    LaneSet lanes_in, lanes_out;
    uint64_t *once; /* by shape: cycles if all streams out are one tree; NULL: there is one only */
    Protocol protocol[KERNEL_MAX_INPUTS];
    Shape nearest; /* if there are none */
    bool any;      /* if there are none: some would be there on a wider fabric */
    bool host_in, host_out;
    bool fine; /* with all cuts, not the usual steps only */
    uint32_t id;
} KernelClass;

typedef struct AdapterCell {
    uint32_t least;         /* what it takes in any case; 0: not known, or none is needed */
    uint32_t cycles, cores; /* cycles 0: not asked yet; UINT32_MAX: not to be built */
} AdapterCell;

typedef struct AdapterTable {
    const char *key;
    LaneSet from, to; /* one entry, 0, for the host */
    AdapterCell *cell;
} AdapterTable;

typedef struct RowOf {      /* where a kernel is to stand, when rows fill the fabric */
    uint32_t height, width; /* at most */
    uint32_t price;         /* of a core of width: the height of the row; 0: not in a row */
    bool turned;
    bool alone;     /* its column has no other kernel */
    uint32_t along; /* lanes out of all kernels here that fork or join; 0: any */
} RowOf;

typedef struct Choice {
    Kernel *kernel;
    KernelClass *class_of;
    const uint8_t *allowed; /* by shape; NULL: all */
    uint32_t chosen, kept;
    bool joins;             /* has an edge outside of the tree of first inputs */
    uint64_t *down;         /* cost of what its results feed, by lanes out */
    uint64_t *best;         /* of itself and that, by lanes in */
    uint32_t n_able, *able; /* shapes that are to be had at the time looked at, */
    uint64_t *own;          /* and what they cost */
} Choice;

typedef struct Sizing {
    PassContext *cx;
    Arena *arena;
    Plan *plan;
    uint32_t n;      /* kernels, without adapters */
    Choice *choice;  /* by kernel */
    bool joins;      /* one of them does */
    uint32_t *order; /* topological */
    uint32_t *segs;  /* by stream */
    VEC(KernelClass *) classes;
    VEC(AdapterTable *) tables;
    AdapterTable **table;         /* by stream */
    size_t n_streams;             /* without those of adapters */
    uint32_t in_lanes, out_lanes; /* the most of a stream from and to the host */
    uint64_t host_cycles;
    /* The cost of a choice: cores and cycles at these prices; with rows, the columns that
     * matrix kernels take of their rows, times the height. */
    uint64_t cycles_price, core_price;
    const RowOf *rows; /* by kernel, or NULL */
    bool once;         /* streams of one kernel count as one tree, as routing mostly makes them */
    uint32_t common;   /* not 0: lanes out of all kernels that fork or join */
    const uint32_t *narrow; /* by stream: lanes between two adapters, from row to row; 0 or
                               NULL: none */
    uint64_t sum;           /* cycles of all kernels and adapters of the last choice */
} Sizing;

/* classes.c: false if some kernel has no shape, which is reported. */
bool sizing_classes(Sizing *z, bool report);
/* All cuts of matrix kernels, for shapes of about `cycles`. */
void sizing_refine(Sizing *z, uint64_t cycles);
void sizing_tables(Sizing *z);
/* Sorts them in place, each once. */
LaneSet sizing_lane_set(uint32_t *of, size_t n);
/* Where a set has so many lanes; its size if nowhere. */
uint32_t sizing_lane_index(const LaneSet *set, uint32_t lanes);
/* How many lanes a stream from and to the host has at most. Takes adapters out. */
void sizing_ports(Sizing *z, uint32_t in, uint32_t out);

/* choose.c: the cheapest choice with no kernel or adapter slower than T; its cost, or
 * SIZE_NEVER. Cores of the choice in any case in *cores. */
uint64_t sizing_solve(Sizing *z, uint64_t T, uint64_t *cores);
/* What no choice can cost less than: streams into second inputs are left out. */
uint64_t sizing_relaxed(Sizing *z, uint64_t T);
uint64_t sizing_cycles(const Sizing *z, const KernelClass *k, uint32_t shape);
const Shape *sizing_chosen(const Sizing *z, int32_t kernel);
uint64_t sizing_slowest(const Sizing *z, const Kernel **which);
/* The strip that a stream needs as its ends are chosen; false if none. */
bool sizing_adapter(const Sizing *z, const Stream *s, Shape *shape);
void sizing_strip(Sizing *z, const Stream *s, Shape *shape); /* then its extent, too */
/* The strips around a stream that is narrowed to so many lanes in between, its ends as chosen;
 * false if they take longer than T. */
bool sizing_fold(Sizing *z, const Stream *s, uint32_t lanes, uint64_t T, Shape strip[2]);

/* constrain.c: what pins and areas leave; false, with what is in conflict, if nothing. */
bool sizing_constrain(Sizing *z);
void sizing_note_pins(const Sizing *z); /* that give a size */
/* Does a shape stand at a pin within the fabric, in some orientation that the pin allows. */
bool sizing_pin_takes(const Plan *plan, const Pin *p, const Shape *s, Box *box);
/* Keeps what it can of the shapes of an earlier placement within T; false: no choice made. */
bool sizing_keep(Sizing *z, uint64_t T);
const EarlierKernel *plan_earlier(const PassContext *cx, const Kernel *k);
EarlierKernel plan_as_earlier(const Plan *p, const Kernel *k); /* as it stands */
bool plan_same_shape(const EarlierKernel *e, const Shape *s);

/* size.c */
void sizing_bare(Plan *plan); /* takes adapters out; choices are made without */
Sizing *sizing_create(PassContext *cx, bool report);
/* By the objective, with at most so many cores; fewer if it costs no more than a part `slack` of
 * the speed. */
bool sizing_fit(Sizing *z, uint64_t budget, double slack);
Kernel *adapter_kernel(Arena *a, const Stream *s, const Shape *shape);
/* Ascending times of all shapes, without repetitions. */
uint64_t *sizing_times(Sizing *z, Arena *a, size_t *n);
/* Writes the choice into the plan and puts adapters in; takes earlier ones out first. */
void sizing_apply(Sizing *z);
void sizing_explain(Sizing *z);
/* The least time for which shapes and the adapters between them can take at most so many
 * cores at all: no choice among the shapes is faster. */
uint64_t sizing_bound(Sizing *z, uint64_t cores);

#endif
