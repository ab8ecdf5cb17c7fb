/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/pack.h - sizes kernels and places them on a grid.
 *
 * A problem is a grid with keep-outs, kernels of some classes, edges between them, and
 * weights: score = time * (slowest kernel) + wire * (sum over edges of the L1 distance of the
 * centres) + adapter * (components in which the signatures at both ends of an edge differ).
 * What a kernel may look like is known to a cost model only. Its shapes come in families: the
 * shapes of a family have the same height and signatures, and the more time there is the
 * narrower they are. A model with a plain list of shapes makes every shape a family of its own.
 *
 * The result depends on the problem, the seed and the effort, not on threads or the machine;
 * with a time limit it depends on the machine too. Costs grow with kernels and edges, never
 * with the cores of the grid. */
#ifndef WSEC_PASSES_PACK_H
#define WSEC_PASSES_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/support/arena.h"

enum { PACK_SIGNATURE = 3, PACK_MAX_SIDE = 4096 };

typedef struct PackShape {
    int32_t w, h;
    double time;
    uint64_t memory;
} PackShape;

typedef struct PackFamily {
    int32_t h;
    uint32_t in[PACK_SIGNATURE], out[PACK_SIGNATURE]; /* below 2^20 */
    bool spare; /* never smaller than another family; of use for its signature only */
} PackFamily;

typedef struct PackModel {
    const void *self;
    /* The families of a class; the array belongs to the model. */
    uint32_t (*families)(const void *self, uint32_t class_index, const PackFamily **list);
    /* The narrowest shape of a family that takes at most `limit`, or false. What does not fit
     * the memory is no shape. Narrower or equal, never wider, as the limit grows. */
    bool (*shape)(const void *self, uint32_t class_index, uint32_t family, double limit,
                  PackShape *result);
    /* May be NULL. The same for a variant of a family: the last numbers of its signatures are
     * `in` and `out`. Never smaller than the family's own shape; false if there is none. */
    bool (*variant)(const void *self, uint32_t class_index, uint32_t family, uint32_t in,
                    uint32_t out, double limit, PackShape *result);
    /* May be NULL. A shape of the same family or variant, wider by as little as can be and not
     * slower; false if there is none. A kernel of another parity may have its centre where its
     * neighbours' are. */
    bool (*wider)(const void *self, uint32_t class_index, uint32_t family, uint32_t in,
                  uint32_t out, const PackShape *than, PackShape *result);
} PackModel;

typedef struct PackRect {
    int32_t x, y, w, h;
} PackRect;

typedef struct PackEdge {
    uint32_t from, to; /* kernels; from n_kernels on, terminals */
    bool to_out;       /* the signature it meets at `to` is that kernel's `out`, not its `in` */
    double weight;     /* multiplies the wire */
} PackEdge;

/* A point that edges may end at: a host port, a kernel that stands fixed (and is a keep-out).
 * Edges to it have no adapters. `any_x` (`any_y`): only the distance in the other direction
 * counts. */
typedef struct PackTerminal {
    double x, y;
    bool any_x, any_y;
} PackTerminal;

typedef struct PackProblem {
    const PackModel *model;
    int32_t w, h; /* of the grid */
    uint32_t n_classes, n_kernels, n_edges, n_terminals, n_keepouts;
    const uint32_t *class_of; /* by kernel */
    const PackEdge *edges;
    const PackTerminal *terminals;
    const PackRect *keepouts;   /* may overlap; no kernel covers any part of one */
    double time, wire, adapter; /* weights of the objective, none negative, time positive */
} PackProblem;

typedef struct PackPlace {
    int32_t x, y;
    uint32_t family;
    uint32_t in, out; /* last numbers of the signatures: the family's own, or a variant's */
    PackShape shape;  /* before turning */
    bool turned;      /* by 90 degrees: takes shape.h x shape.w cores */
} PackPlace;

typedef struct PackProgress {
    double seconds, score, bound;
} PackProgress;

typedef struct PackOptions {
    uint64_t seed;
    double seconds;   /* time limit, 0: none */
    uint64_t effort;  /* millions of steps; 0: the default, or none if there is a time limit */
    uint32_t threads; /* 0 is 1 */
    /* A placement to begin with, by kernel, beside those the engine makes itself; or NULL. Of
     * families' own shapes and numbers. */
    const PackPlace *start;
    void (*progress)(void *self, const PackProgress *p); /* may be NULL */
    void *progress_self;
} PackOptions;

typedef enum PackStatus { PACK_PLACED, PACK_NO_SHAPE, PACK_TOO_FULL } PackStatus;

typedef struct PackResult {
    PackStatus status;
    uint32_t kernel;             /* PACK_NO_SHAPE: of which kernel no shape fits the grid at all */
    PackPlace *places;           /* by kernel */
    double time, wire, adapters; /* unweighted */
    double score;
    double bound;   /* proved: no placement has a lower score */
    double seconds; /* until the score was reached */
} PackResult;

/* Deterministic but for time limits. Everything in the result lives on the arena. */
void pack_place(Arena *a, const PackProblem *problem, const PackOptions *options,
                PackResult *result);

/* The proved lower bound alone. */
double pack_bound(const PackProblem *problem);

#endif
