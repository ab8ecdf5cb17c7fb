/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/kernel.h - kernels are generators of core programs.
 *
 * The planner asks for shapes, edges and colors; kernels_emit() turns a finished plan into
 * the image's classes, rectangles, weights, routers and ports. Costs and memory come from the
 * very programs that will run (program_totals), so they cannot drift apart. No LLVM. */
#ifndef WSEC_BACKEND_KERNEL_H
#define WSEC_BACKEND_KERNEL_H

#include "ir/plan.h"

typedef VEC(Shape) ShapeVec;

/* Every sensible shape of a kernel: none has at once fewer or equal cores, cycles and the same
 * lanes as another; memory fits; at most max_cores cores. protocol_in[i] gives rows, cols,
 * features, dtype and segs of each input (lanes are chosen here). If nothing fits, result
 * stays empty and *nearest is the shape that comes nearest (its bytes say by how much it
 * fails). */
void kernel_shapes(Arena *a, const Kernel *k, const Protocol *protocol_in, const Machine *m,
                   uint32_t max_cores, ShapeVec *result, Shape *nearest);

/* For a shape given by hand (tests, adapters): fills w, h, cycles, bytes. False if such a
 * shape is not legal for the kernel at all. */
bool kernel_shape(Arena *a, const Kernel *k, const Protocol *protocol_in, const Machine *m,
                  Shape *shape);

/* What the slowest core's cycles a sample are made of; the rest moves words. */
typedef struct KernelTime {
    uint64_t cycles;
    uint64_t compute; /* multiply-accumulates at the machine's width */
    uint64_t setup, landing;
} KernelTime;
bool kernel_time(const Kernel *k, const Protocol *protocol_in, const Machine *m, const Shape *shape,
                 KernelTime *result);

/* Ranked memory map of the fullest core for this shape, for "does not fit" messages and
 * reports: names from the source. */
typedef struct MemoryItem {
    const char *name;
    SegmentKind kind;
    uint32_t bytes;
} MemoryItem;
typedef VEC(MemoryItem) MemoryItemVec;
void kernel_memory(Arena *a, const Kernel *k, const Protocol *protocol_in, const Machine *m,
                   const Shape *shape, MemoryItemVec *result);

/* Where lanes enter or leave: canonical coordinates, to be mapped by plan_to_fabric(). Which
 * lane stands where already follows k->mirror (lane 0 is the leftmost in the direction of
 * travel once the region is mirrored and turned). */
typedef struct Edge {
    Side travel; /* direction of travel while crossing the edge */
    uint32_t lanes;
    uint32_t *position; /* by lane: column (travel N or S) or row (E or W) */
} Edge;
/* input: index among k->in. Residual operands of matrix kernels enter at the west edge, pass
 * over the kernel along the rows and are delivered at column w-1. */
void kernel_edge_in(Arena *a, const Kernel *k, uint32_t input, Edge *result);
void kernel_edge_out(Arena *a, const Kernel *k, Edge *result);
/* Fabric position of a lane at an edge, or where it leaves the kernel by the far side. */
static inline void kernel_edge_place(const Kernel *k, const Edge *edge, bool leaves, uint32_t lane,
                                     uint32_t *x, uint32_t *y)
{
    uint32_t at = edge->position[lane];
    if (edge->travel == SIDE_S || edge->travel == SIDE_N)
        plan_to_fabric(k, at, leaves == (edge->travel == SIDE_S) ? k->shape.h - 1 : 0, x, y);
    else
        plan_to_fabric(k, leaves == (edge->travel == SIDE_E) ? k->shape.w - 1 : 0, at, x, y);
}

/* Colors that the kernel uses inside its region for its own chains (bit mask, from the
 * lowest colors: at most 2). The colors of its streams are disjoint from these. */
uint32_t kernel_own_colors(const Kernel *k);

/* Messages (of input `input`) that the kernel takes in before its first result leaves, and
 * the first result's delay in cycles: for ring capacities of forks that rejoin. */
void kernel_delay(const Kernel *k, const Protocol *protocol_in, const Machine *m, uint32_t input,
                  uint32_t *messages, uint64_t *cycles);

/* Cycles by which the last core of a chain takes a message of input `input` later than the
 * first: the way of a partial sum along the chain. The rings of that input need room for what
 * the first core takes meanwhile, or the chain never runs at its full pace. */
uint64_t kernel_skew(const Kernel *k, const Protocol *protocol_in, const Machine *m,
                     uint32_t input);

/* The whole image but native code, from a plan with regions and routes. Names come from the
 * graph; weights are rounded to their dtype, permuted and cut here (images without values get
 * has_weights = false). Class texts are shared. */
bool kernels_emit(Arena *a, Diag *d, const Plan *plan, Image *image);

#endif
