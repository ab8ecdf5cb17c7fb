/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/engine.h - the engines that simulate time: core (values and times) and times.
 *
 * Both are one event loop over the timing rule (engine.c states it). With `values` every
 * core has its own SRAM and its operations are executed by the interpreter; without, only
 * times are computed, and periods may be skipped. Cycles of both are equal. */
#ifndef WSE_RUNTIME_ENGINE_H
#define WSE_RUNTIME_ENGINE_H

#include "runtime/fabric.h"

typedef enum EngineStatus {
    ENGINE_DONE,
    ENGINE_DEADLOCK, /* cores wait for each other; only an unchecked image can do that */
    ENGINE_LIMIT,    /* an operation would have ended after cycles_limit */
    ENGINE_FAULT,    /* an operation left its memory, a message did not fit ... */
    ENGINE_INTERRUPTED
} EngineStatus;

typedef struct EngineOptions {
    bool values;       /* the core engine */
    bool skip_periods; /* times only: jump ahead once the whole state repeats */
    bool all_links;    /* every link is an event of its own, also links that one lane has
                          for itself; slower, same cycles (tests) */
    uint64_t samples;
    uint64_t cycles_limit;                                               /* 0: none */
    void (*progress)(void *arg, uint64_t samples_done, uint64_t cycles); /* or NULL */
    void *progress_arg;
    volatile int *interrupt; /* or NULL; read now and then, non-zero stops the run */
} EngineOptions;

typedef struct EngineResult {
    EngineStatus status;
    const char *fault;     /* what happened, where status is not ENGINE_DONE; else NULL */
    uint64_t cycles;       /* end of the last operation of a sink (of any node, if there is no
                              sink): the arrival of the last result */
    uint64_t first_result; /* the same of the first sample */
    uint64_t period_num, period_den; /* cycles per sample in steady state, in lowest terms:
                            of the slowest component's period where one was found and
                            skipped, else measured over the second half of the samples */
    bool period_exact;               /* a period was found: the whole state repeats with it */
    uint64_t operations;             /* executed on the fabric, ports included */
    uint64_t simulated_operations;   /* of these, not skipped as repetitions */
    uint64_t words_hopped;           /* words x links from router to router */
    uint64_t *node_busy;             /* by node: set-up, durations and landings, cycles */
    uint64_t *node_waiting;          /* by node: up to its last operation's end, not busy */
    uint64_t *node_operations;
    uint64_t *link_words; /* by link: words over the whole run */
} EngineResult;

/* inputs[t], outputs[t] by tensor index: samples x bytes of tensor t, in its dtype; NULL for
 * tensors of the other direction, both NULL without values. False unless ENGINE_DONE.
 * Results live on the arena; costs grow with used cores and links. */
bool engine_run(Arena *a, const Fabric *f, const EngineOptions *options,
                const uint8_t *const *inputs, uint8_t *const *outputs, EngineResult *result);

#endif
