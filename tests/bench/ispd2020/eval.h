/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/ispd2020/eval.h - scores a solution of the contest from its text alone. */
#ifndef WSEC_BENCH_CONTEST_EVAL_H
#define WSEC_BENCH_CONTEST_EVAL_H

#include "tests/bench/ispd2020/kgraph.h"

typedef struct EvalPlaced {
    uint32_t node;
    int64_t x, y, w, h; /* as placed */
    double time;
    bool turned;
} EvalPlaced;

typedef struct EvalResult {
    double time, wire, score;
    uint64_t adapters;
    EvalPlaced *placed; /* by kernel, in the order of the graph's nodes */
    uint32_t n_placed;
    uint8_t *mismatches; /* by edge: how many adapters it needs */
} EvalResult;

/* False, and a message at the place in the text, for anything that is not a legal solution. */
bool eval_solution(Arena *a, Diag *d, const Kgraph *g, const char *name, const char *text,
                   size_t len, EvalResult *result);

#endif
