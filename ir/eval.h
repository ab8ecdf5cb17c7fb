/* SPDX-License-Identifier: Apache-2.0 */
/* ir/eval.h - the reference evaluator: double precision, straightforward loops.
 *
 * Intermediate tensors are kept in double and not rounded to their dtype (the reference is
 * the mathematics of the network with its weights as stored). */
#ifndef WSEC_IR_EVAL_H
#define WSEC_IR_EVAL_H

#include "ir/graph.h"

/* Evaluates one sample. inputs[k]: type_elements doubles of graph->inputs.data[k].
 * result[id] is set for every node to its elements (on the arena). */
bool eval_graph(Arena *a, Diag *d, const Graph *g, const double *const *inputs, double **result);

/* One node from its inputs' values; also used by constant folding. */
void eval_node(const Node *n, const double *const *in, double *out);

#endif
