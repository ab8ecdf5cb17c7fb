/* SPDX-License-Identifier: Apache-2.0 */
/* passes/rewrite.h - what several graph passes need to make new constants. */
#ifndef WSEC_REWRITE_H
#define WSEC_REWRITE_H

#include "ir/graph.h"

/* The value rounded to the precision of t, NaN canonical. */
float rewrite_round(DType t, double v);

/* A constant derived from `from`: its place, its name with ".suffix". value may be NULL
 * (weights not given). Appended; sweep afterwards. */
Node *rewrite_const(Graph *g, const Node *from, const char *suffix, Type type, const float *value);

/* Turns n into a node of another operator in place; users, type, name and place stay. */
void rewrite_node(Graph *g, Node *n, Opkind op, Node *const *in, uint32_t n_in);

#endif
