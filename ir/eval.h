/* SPDX-License-Identifier: Apache-2.0 */
/* ir/eval.h - the reference evaluator: double precision, straightforward loops.
 *
 * Intermediate tensors are kept in double and not rounded to their dtype (the reference is
 * the mathematics of the network with its weights as stored). */
#ifndef WSEC_IR_EVAL_H
#define WSEC_IR_EVAL_H

#include "ir/graph.h"

/* For many samples: prepare once, run for each. eval_prepare() allocates result[id] for every
 * node and fills in the constants; false, with a message, if weights are missing.
 * inputs[k]: type_elements doubles of graph->inputs.data[k]. */
bool eval_prepare(Arena *a, Diag *d, const Graph *g, double **result);
void eval_run(const Graph *g, const double *const *inputs, double **result);

/* Both, for one sample. */
bool eval_graph(Arena *a, Diag *d, const Graph *g, const double *const *inputs, double **result);

/* One node from its inputs' values; also used by constant folding. */
void eval_node(const Node *n, const double *const *in, double *out);

#endif
