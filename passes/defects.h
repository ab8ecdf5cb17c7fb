/* SPDX-License-Identifier: Apache-2.0 */
/* passes/defects.h - maps of dead cores: from XML, at random, and what the planner sees of them
 * (runtime/format/defects.h says what they mean). */
#ifndef WSEC_PASSES_DEFECTS_H
#define WSEC_PASSES_DEFECTS_H

#include "ir/plan.h"
#include "ir/support/rng.h"

enum { DEFECTS_MAX_RUNS = 1 << 21, DEFECTS_MAX_KEEPOUTS = 4096 };

/* What is dead on one wafer. Coordinates are physical. */
typedef struct DeadLink { /* between a core and its neighbor on that side */
    uint32_t x, y;
    Side side;
} DeadLink;

typedef struct DefectList {
    VEC(DefectRun) runs; /* in any order, may overlap */
    VEC(DeadLink) links;
} DefectList;

/* Sorts and joins runs. A dead link becomes a dead core at one of its ends, unless one is dead
 * already: at that in the row with fewer dead cores, the core it is named by if they are equal.
 * Links count in their order. */
void defects_from_list(Arena *a, const Machine *m, const DefectList *list, Defects *result);

/* A made-up wafer of a machine: rate x cores dead cores and a tenth as many dead links, each at a
 * place drawn evenly (one drawn twice dies once), and with one chance in DEFECTS_HOLE_CHANCE a
 * square hole of DEFECT_SKIP + 1 .. DEFECTS_HOLE_MOST cores a side. */
enum { DEFECTS_HOLE_CHANCE = 8, DEFECTS_HOLE_MOST = 32 };
void defects_random(Arena *a, const Machine *m, uint64_t seed, double rate, Defects *result);

/* A file after defects.xsd. */
bool defects_xml_read(Diag *d, Arena *a, const char *path, const Machine *m, Defects *result);

/* Gives the plan its wafer: missing cores become keep-outs, boxes around each hole and around
 * the ends of neighboring rows that lost more than their spares. False with a message if there
 * are too many of them, or no core is left. */
bool plan_set_defects(Diag *d, Plan *plan, const Defects *defects);

/* New places and ways for a plan that was made for another wafer: kernels keep their
 * shape, and only those on missing cores move and turn, if that is enough. False with a message
 * (EXIT_INFEASIBLE) if nothing was found. */
bool plan_relink(Diag *d, Plan *plan, uint32_t *n_moved);

#endif
