/* SPDX-License-Identifier: Apache-2.0 */
/* tests/engines/wavelet.h - the fabric wavelet by wavelet, cycle by cycle: what the timing
 * rule of the engines is judged by.
 *
 * Independent of the product but for the image's structures, cursors, op_time() and the
 * interpreter: it follows the router configurations itself and has real queues.
 *   - Every router has a FIFO of 2 words per color (a color comes from one side), words in
 *     flight on the link included. A word leaves when all sides of a multicast have taken it.
 *   - A link passes a word a cycle; colors take turns (round robin).
 *   - A core has a queue of 4 words per incoming and per outgoing color.
 *   - An operation takes its elements one by one at the machine's width. It waits for the
 *     words it needs and for room for the words it makes.
 *   - Words of a color that the core does not wait for are landed in its ring at the copy
 *     width; while the core is busy each such cycle is lost to it. An operation that cannot
 *     keep up with its own input has it landed, too, once the queue is full.
 * Messages carry their sender's identity; a receiver verifies that it gets every word of a
 * message, in order. Values are computed when an operation is complete. */
#ifndef WSE_TESTS_WAVELET_H
#define WSE_TESTS_WAVELET_H

#include "runtime/format/image.h"

typedef struct WaveletResult {
    uint64_t first_result;          /* cycle at which the last sink has its first sample */
    uint64_t middle_result;         /* its samples / 2 */
    uint64_t cycles;                /* all samples */
    uint64_t first_start, last_end; /* of the first operation of a core, and the last */
    const char *fault;              /* NULL if all is well */
} WaveletResult;

/* False with a fault: no progress, or words that do not belong. Machine: hop, ramp >= 1. */
bool wavelet_run(Arena *a, const Image *image, uint64_t samples, const uint8_t *const *inputs,
                 uint8_t *const *outputs, WaveletResult *result);

#endif
