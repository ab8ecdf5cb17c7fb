/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/ispd2020/kgraph.h - reader of the contest's graphs. */
#ifndef WSEC_BENCH_KGRAPH_H
#define WSEC_BENCH_KGRAPH_H

#include "ir/support/diag.h"

typedef enum KgraphType {
    KGRAPH_INPUT,
    KGRAPH_OUTPUT,
    KGRAPH_CONV,
    KGRAPH_DBLOCK,
    KGRAPH_CBLOCK
} KgraphType;

/* Formal arguments; blocks have H, W and F (in C) only. */
typedef struct KgraphNode {
    KgraphType type;
    uint32_t id;
    const char *name;
    uint32_t H, W, R, S, C, K, T, U;
    Span span;
} KgraphNode;

typedef struct KgraphEdge {
    uint32_t from, to; /* indices of nodes */
} KgraphEdge;

typedef struct Kgraph {
    const char *test; /* may be NULL */
    uint32_t width, height, memlimit;
    double wdeltat, wlength, wadapter;
    KgraphNode *nodes;
    uint32_t n_nodes;
    KgraphEdge *edges;
    uint32_t n_edges;
} Kgraph;

/* Errors go to d. Everything in the graph lives on the arena. */
bool kgraph_read(Arena *a, Diag *d, const char *path, Kgraph *g);
bool kgraph_parse(Arena *a, Diag *d, const char *name, const char *text, size_t len, Kgraph *g);

#endif
