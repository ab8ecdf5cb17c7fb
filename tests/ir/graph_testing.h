/* SPDX-License-Identifier: Apache-2.0 */
/* tests/ir/graph_testing.h - what tests of graphs and graph passes share. */
#ifndef WSEC_GRAPH_TESTING_H
#define WSEC_GRAPH_TESTING_H

#include <CUnit/CUnit.h>

#include "ir/eval.h"
#include "ir/graph.h"
#include "ir/support/rng.h"
#include "tests/common/capture.h"

/* A graph from text ("test.wir"); NULL if it is rejected. */
Graph *graph_from(Capture *c, const char *text);

/* Prints both and compares; on a difference shows them. */
void check_text(const char *expected, const char *got);
void check_graph(const Graph *g, const char *expected);

/* A random graph of about n operations with random weights. With `views` it also has
 * reshapes, flattens and transposes at places where they may not be possible on a fabric. */
Graph *random_graph(Arena *a, Rng *r, DType dtype, unsigned n, bool views);

/* Values for all constants without any, by name and seed. */
void fill_constants(Graph *g, uint64_t seed);

/* Evaluates with seeded inputs: outputs of the graph one after the other. */
double *evaluate(Arena *a, Diag *d, const Graph *g, uint64_t seed, size_t *n);

#endif
