/* SPDX-License-Identifier: Apache-2.0 */
/* passes/explain.h - why a kernel has the shape it has: what the report and --explain show. */
#ifndef WSEC_PASSES_EXPLAIN_H
#define WSEC_PASSES_EXPLAIN_H

#include "passes/planner.h"

/* What became of a shape, in the order of its rank. FATE(id, word) */
#define SHAPE_FATE_LIST(FATE)                                                                      \
    FATE(CHOSEN, "chosen")                                                                         \
    FATE(EQUAL, "as good")                                                                         \
    FATE(LARGE, "more cores")                                                                      \
    FATE(SLOW, "too slow")                                                                         \
    FATE(BUDGET, "over the cores allowed")                                                         \
    FATE(LANES, "lanes do not join")                                                               \
    FATE(MESSAGES, "other messages")                                                               \
    FATE(FORBIDDEN, "against a constraint")                                                        \
    FATE(FABRIC, "wider than the fabric")                                                          \
    FATE(MEMORY, "too much memory")

typedef enum ShapeFate {
#define FATE(id, word) FATE_##id,
    SHAPE_FATE_LIST(FATE)
#undef FATE
        FATE_COUNT
} ShapeFate;

typedef struct ShapeVerdict {
    Shape shape;
    ShapeFate fate;
    uint64_t adapter_cores;   /* of all adapters that its lanes need */
    uint64_t adapter_cycles;  /* of the slowest of them */
    uint32_t from, to;        /* the lanes that one joins */
    uint32_t adapter_bytes;   /* of a core of it, if they are too many */
    const char *adapter_edge; /* the other end of it */
    const char *constraint;   /* the one it is against */
} ShapeVerdict;

typedef struct KernelStory {
    const PassContext *cx;
    const Kernel *kernel;
    bool sized;      /* shapes were chosen: there is a target */
    uint64_t target; /* cycles a sample of the network */
    uint64_t others; /* of all but this kernel */
    KernelTime time;
    const char *limit;        /* "compute", "waits" ... */
    const char *limit_text;   /* the same in a sentence */
    VEC(ShapeVerdict) shapes; /* ranked; empty for adapters */
    uint32_t counts[FATE_COUNT];
} KernelStory;

/* Only `limit` and `limit_text`, and with `shapes` all of it. */
void kernel_story(Arena *a, const PassContext *cx, const Kernel *k, bool shapes,
                  KernelStory *result);
/* The verdict in words. */
const char *verdict_text(Arena *a, const KernelStory *s, const ShapeVerdict *v);

/* The next faster and the next smaller shapes, with any lanes and with those of the chosen
 * one: at most MAX_NEAR of them, by their places in s->shapes. */
enum { MAX_NEAR = 5 };
unsigned story_near(const KernelStory *s, size_t near[MAX_NEAR]);

const char *kernel_operators(Arena *a, const Kernel *k); /* "linear+relu" */
const char *kernel_stance(Arena *a, const Kernel *k);    /* "turned once, mirrored", or "" */

#endif
