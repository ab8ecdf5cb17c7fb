/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/interpret.h - bounds-checked execution of one operation of the vector language.
 *
 * This is the judge of values: exactly the numerics of runtime/format/program.h, every
 * memory access within `memory_bytes`, every message read or written within its words. It
 * trusts the class text (class_finish, program_verify) and that tables lie within the data
 * (program_data_fits), and nothing else. */
#ifndef WSE_RUNTIME_INTERPRET_H
#define WSE_RUNTIME_INTERPRET_H

#include "runtime/format/program.h"

/* Executes an operation other than LOOP and END at the loop counters given.
 *
 * in[k] holds the message of source k if that is a color (in_words[k] words are there, at
 * least as many as the message has), `out` takes the message of a color destination
 * (out_words words of room). Unused ones may be NULL and 0. Messages may not overlap what
 * the operation writes.
 *
 * False on a violation, with a static text in *fault; nothing was written then. */
bool interpret_op(const Op *op, const int32_t *data, const uint32_t *counter, uint8_t *memory,
                  uint32_t memory_bytes, const uint32_t *const in[PROGRAM_SOURCES],
                  const uint32_t in_words[PROGRAM_SOURCES], uint32_t *out, uint32_t out_words,
                  const char **fault);

#endif
