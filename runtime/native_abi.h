/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/native_abi.h - the calling convention of native code.
 *
 * One function per class. It runs `iterations` whole iterations of the class's program on
 * each of `n` cores. Messages of an incoming channel lie densely packed in channel[k], in
 * order, each starting at a word; the function reads them and advances the pointer past what
 * it read. Outgoing messages are written densely to channel[k], which is advanced. There
 * are no rings here: values do not depend on how long a message waits. All input of the
 * iterations must be there, and room for all output. The function makes no calls out of the
 * code, uses no writable memory but what it is given and its stack, and does not touch
 * MXCSR.
 *
 * Vectors may read up to NATIVE_SLACK bytes behind the memory of a core and behind the
 * messages of a channel, and write back there what they read. */
#ifndef WSE_RUNTIME_NATIVE_ABI_H
#define WSE_RUNTIME_NATIVE_ABI_H

#include <stdint.h>

#include "runtime/format/program.h"

enum { NATIVE_SLACK = 256 };

typedef struct NativeCore {
    uint8_t *memory;     /* SRAM of the core: addresses of operands count from here */
    const int32_t *data; /* its data words */
    uint32_t *channel[PROGRAM_MAX_CHANNELS]; /* next word to read or to write */
} NativeCore;

typedef void (*NativeClassFn)(NativeCore *cores, uint64_t n, uint64_t iterations);

#endif
