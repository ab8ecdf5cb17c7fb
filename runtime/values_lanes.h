/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/values_lanes.h - which routes are a stream's lanes, in order. */
#ifndef WSE_RUNTIME_VALUES_LANES_H
#define WSE_RUNTIME_VALUES_LANES_H

#include "runtime/fabric.h"

typedef struct Lanes {
    uint32_t n;
    uint32_t *route; /* by lane: lane 0 is the leftmost seen in the direction of travel */
} Lanes;

/* False, with an error, if the stream does not exist or has no routes. */
bool stream_lanes(Arena *a, Diag *d, const Fabric *f, uint32_t stream, Lanes *result);

#endif
