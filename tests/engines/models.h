/* SPDX-License-Identifier: Apache-2.0 */
/* tests/engines/models.h - small fabrics with known behaviour, written by hand on a machine
 * with the parameters of the wse2 preset. */
#ifndef WSE_TESTS_MODELS_H
#define WSE_TESTS_MODELS_H

#include "runtime/format/image.h"

/* A row of p cores. The first one's b words go to all others at once, or from core to core,
 * each adding its own. With `port` the last core's sums leave to a host port at its end, so
 * that results can be seen. Every receiver has `slots` messages of room. */
Image model_broadcast(Arena *a, uint32_t p, uint32_t b, uint32_t slots);
Image model_chain(Arena *a, uint32_t p, uint32_t b, uint32_t slots, bool port);

/* y = W x on w x h cores with blocks of k x o: w cores north of the kernel send x, h ports
 * to the east receive y. Random weights. */
Image model_matvec(Arena *a, uint32_t w, uint32_t h, uint32_t k, uint32_t o, uint32_t slots);

/* Two cores, each receives before it sends: a deadlock that no checker would let pass. */
Image model_deadlock(Arena *a);

/* One core whose program leaves its memory. */
Image model_fault(Arena *a);

#endif
