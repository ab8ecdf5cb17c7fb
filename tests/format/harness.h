/* SPDX-License-Identifier: Apache-2.0 */
/* tests/format/harness.h - what the tests of runtime/format share: classes from text, the
 * messages of a Diag as a string, a machine with plain numbers, the CUnit runner. */
#ifndef WSE_TESTS_FORMAT_HARNESS_H
#define WSE_TESTS_FORMAT_HARNESS_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

#include "runtime/format/image.h"

/* A Diag whose messages are kept; harness_messages() closes it and returns them (heap). */
typedef struct Messages {
    Diag diag;
    char *text;
    size_t len;
} Messages;

void messages_open(Messages *m);
char *messages_close(Messages *m);

/* Parses a class text that must be right. */
Class class_of(Arena *a, const char *text);

/* Parses `ops`, operations over data=16 and channels 0, 1 in, 2, 3 out. False with the
 * messages if they are not. */
bool parse_ops(Arena *a, const char *ops, Class *c, char **messages);

/* setup 6, setup_loop 14, landing 2 words a cycle; width of f32: copy, add, mul, min/max,
 * select 1, mac 48/100; of f16 twice that, mac 2; conflict factor 2. 8 banks of 2 bytes. */
Machine plain_machine(void);

/* Runs one suite; the exit code of main. */
int run_suite(const char *name, const CU_TestInfo *tests);

#endif
