/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/values.h - the values engine: what a placed program computes, without time.
 *
 * Executes every core's program over buffers that stand for the channels: a route is one
 * buffer with several readers. Cores run whole iterations of a batch of samples at a time, in
 * topological order; cores that feed each other back run operation by operation. The same
 * bits for any number of threads, any batch, native or interpreted; and the same as the core
 * engine's. */
#ifndef WSE_RUNTIME_VALUES_H
#define WSE_RUNTIME_VALUES_H

#include "runtime/fabric.h"

/* Records all messages of a stream. Filled by values_run(). */
typedef struct ValuesTap {
    uint32_t stream; /* given */
    uint32_t n_lanes;
    uint64_t *lane_words; /* by lane: words of a sample */
    uint32_t **words;     /* by lane, samples x lane_words; on the arena */
} ValuesTap;

typedef struct ValuesOptions {
    bool native;      /* native code in the sandbox where both can be had (else a warning
                         says what is missing), or the interpreter */
    unsigned threads; /* workers; 0 is 1, at most 64 are used */
    uint64_t samples;
    uint64_t batch;          /* samples at a time; 0: chosen for bounded memory */
    volatile int *interrupt; /* non-zero ends the run; or NULL */
    void (*progress)(void *arg, uint64_t samples_done); /* one call at a time; or NULL */
    void *progress_arg;
    ValuesTap *taps;
    uint32_t n_taps;
} ValuesOptions;

/* inputs[t], outputs[t] by tensor index: samples x bytes of tensor t, in its dtype; NULL for
 * tensors of the other direction. False if it ended early: a fault, reported to d, or an
 * interrupt, which is not. */
bool values_run(Arena *a, Diag *d, const Fabric *f, const ValuesOptions *options,
                const uint8_t *const *inputs, uint8_t *const *outputs);

/* Puts the lanes of a tapped stream together: result[sample][row][col][feature]. False, with
 * an error, if the stream does not carry a tensor as StreamInfo says. */
bool values_tap_tensor(Diag *d, const Fabric *f, const ValuesTap *tap, uint64_t samples,
                       float *result);

#endif
