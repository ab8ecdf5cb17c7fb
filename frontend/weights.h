/* SPDX-License-Identifier: Apache-2.0 */
/* frontend/weights.h - values for the weights that a graph declares. */
#ifndef WSEC_FRONTEND_WEIGHTS_H
#define WSEC_FRONTEND_WEIGHTS_H

#include "ir/graph.h"

/* Sets node->value of every weight of g from these sources:
 *
 *   FILE.safetensors   tensors of type F16, BF16, F32 or F64, by name
 *   NAME=FILE.npy      one array
 *   random:SEED        what the files do not have: He-normal for rank 2 and more (He et al.,
 *                      ICCV 2015), zero biases, identity norms. A weight's values depend on
 *                      the seed and its own name and type only
 *   none               values stay NULL; stands alone
 *
 * Values are converted to the declared type with one rounding. Missing, unexpected and
 * mismatched weights are listed together, with the places of their declarations; only
 * PyTorch's counters NAME.num_batches_tracked may be there unasked. */
bool weights_load(Diag *d, Arena *a, Graph *g, const char *const *specs, size_t n);

#endif
