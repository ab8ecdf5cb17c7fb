/* SPDX-License-Identifier: Apache-2.0 */
/* tests/format/harness.h - what the tests of runtime/format share: classes from text, a
 * machine with plain numbers. */
#ifndef WSE_TESTS_FORMAT_HARNESS_H
#define WSE_TESTS_FORMAT_HARNESS_H

#include "runtime/format/image.h"
#include "tests/common/capture.h"

/* Parses a class text that must be right. */
Class class_of(Arena *a, const char *text);

/* Parses `ops`, operations over data=16 and channels 0, 1 in, 2, 3 out. False if they are not
 * right. What was said is in *messages, for free(). */
bool parse_ops(Arena *a, const char *ops, Class *c, char **messages);

/* setup 6, setup_loop 14, landing 2 words a cycle; width of f32: copy, add, mul, min/max,
 * select 1, mac 48/100; of f16 twice that, mac 2; conflict factor 2. 8 banks of 2 bytes. */
Machine plain_machine(void);

#endif
