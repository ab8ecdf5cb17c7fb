/* SPDX-License-Identifier: Apache-2.0 */
/* passes/constraints.h - what the user asks of a placement, and earlier placements, from XML.
 *
 * Both files have a shipped schema (constraints.xsd, placement.xsd). They are untrusted: every
 * number is bounded by the machine, names are looked up by the planner, which reports what it
 * cannot hold by `span`. */
#ifndef WSEC_PASSES_CONSTRAINTS_H
#define WSEC_PASSES_CONSTRAINTS_H

#include "ir/support/diag.h"
#include "ir/support/vec.h"
#include "ir/plan.h"

typedef struct Pin { /* the region's north-west corner; what is not given is free */
    const char *kernel;
    Span span;
    uint32_t x, y;
    bool has_size, has_turn, has_mirror;
    uint32_t w, h; /* on the fabric, after turning */
    uint32_t turn; /* quarter turns clockwise */
    bool mirror;
} Pin;

typedef struct AreaLimit {
    const char *kernel;
    Span span;
    uint32_t max_cores;
} AreaLimit;

typedef struct KeepOutWish {
    const char *name; /* may be "" */
    Span span;
    uint32_t x, y, w, h;
} KeepOutWish;

typedef struct Constraints {
    VEC(Pin) pins;
    VEC(AreaLimit) areas;
    VEC(KeepOutWish) keepouts;
} Constraints;

typedef struct EarlierKernel {
    uint32_t id; /* in its file */
    const char *name, *kind;
    const char *stream; /* that comes into an adapter: adapters are numbered, this lasts */
    uint32_t x, y;      /* of the region */
    uint32_t w, h;      /* on the fabric */
    uint32_t turn;
    bool mirror;
    uint32_t lanes_in, lanes_out, split;
} EarlierKernel;

typedef struct EarlierPlacement {
    const char *machine;
    VEC(EarlierKernel) kernels;
} EarlierPlacement;

bool constraints_read(Diag *d, Arena *a, const char *path, const Machine *m, Constraints *result);

/* Gives kernels their pins and areas and the plan its keep-outs; reports names of no kernel and
 * constraints that contradict each other. */
bool constraints_apply(Diag *d, Plan *plan, const Constraints *c);

bool placement_xml_read(Diag *d, Arena *a, const char *path, const Machine *m,
                        EarlierPlacement *result);

#endif
