/* SPDX-License-Identifier: Apache-2.0 */
/* tests/common/random_program.h - random legal programs, for tests that compare executors.
 *
 * Every opcode, element type, number of dimensions, kind of scalar, steps, ring terms,
 * tables, loops (of 0 turns too), held messages, odd f16 messages, destinations that are a
 * source or lie between its elements, constants and contents of every kind of float. The
 * same seed gives the same program on every host. */
#ifndef WSE_TESTS_RANDOM_PROGRAM_H
#define WSE_TESTS_RANDOM_PROGRAM_H

#include "ir/support/rng.h"
#include "runtime/format/program.h"

enum { RANDOM_MEMORY = 16384 };

typedef struct RandomProgram {
    Class program;                             /* finished and verified */
    int32_t *data;                             /* fits */
    uint8_t *memory;                           /* RANDOM_MEMORY bytes: initial contents */
    uint32_t n_messages[PROGRAM_MAX_CHANNELS]; /* of one iteration, by channel */
    uint32_t *words[PROGRAM_MAX_CHANNELS];     /* their lengths in order */
    uint32_t total_words[PROGRAM_MAX_CHANNELS];
} RandomProgram;

void random_class(Arena *a, Rng *rng, RandomProgram *result);

/* Contents of a message or of memory: floats of all kinds, f16 pairs, any bits. */
void random_words(Rng *rng, uint32_t *words, size_t n);

#endif
