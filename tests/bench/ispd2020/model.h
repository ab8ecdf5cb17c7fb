/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/ispd2020/model.h - the contest's kernels as a cost model of passes/pack. */
#ifndef WSEC_BENCH_CONTEST_MODEL_H
#define WSEC_BENCH_CONTEST_MODEL_H

#include "ir/support/text.h"
#include "passes/pack/pack.h"
#include "tests/bench/ispd2020/kgraph.h"

typedef struct ContestModel ContestModel;

/* The problem of a graph; node_of gives the node of every kernel of the problem. */
ContestModel *contest_model(Arena *a, const Kgraph *g, PackModel *model, PackProblem *problem,
                            const uint32_t **node_of);

/* The solution in the contest's format. */
void contest_write(Text *t, const Kgraph *g, const ContestModel *m, const PackProblem *p,
                   const uint32_t *node_of, const PackPlace *places);

#endif
