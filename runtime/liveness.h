/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/liveness.h - the proof that no timing can deadlock an image, and the words for
 * what waits for what.
 *
 * A placed network is a cyclo-static dataflow graph with bounded channels (Bilsen et al.,
 * "Cyclo-static dataflow", 1996). It is executed by counts alone for one iteration of every
 * program: a message leaves only when every receiver's ring has room for all of it. If the
 * iteration ends with every program at its start and every ring empty, it can be repeated
 * for ever, and because such a graph is determinate, no other order of execution can get
 * stuck either. */
#ifndef WSE_RUNTIME_LIVENESS_H
#define WSE_RUNTIME_LIVENESS_H

#include "ir/support/text.h"
#include "runtime/fabric.h"

enum {
    WALK_LIMIT = 1 << 28 /* operations and loop turns of one iteration of a program */
};

/* Counts balance on every branch, messages fit, and one iteration ends. Programs must have
 * passed the checks of their text and data. Reports to d. */
bool liveness_check(Diag *d, const Fabric *f);

typedef enum LivenessWaitKind {
    WAIT_NONE,    /* not waiting */
    WAIT_MESSAGE, /* for a message on `channel` */
    WAIT_ROOM     /* to send on `channel`, for room at `receiver` of its route */
} LivenessWaitKind;

typedef struct LivenessWait {
    uint8_t kind; /* LivenessWaitKind */
    uint8_t channel;
    uint32_t receiver;
} LivenessWait;

/* Adds the cycle of waiting nodes, one a line, in the words of the source; or the chain up
 * to a node that does not wait, if there is no cycle. `waits` has one entry a node. */
void liveness_describe_wait(Text *t, const Fabric *f, const LivenessWait *waits);

#endif
