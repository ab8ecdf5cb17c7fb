/* SPDX-License-Identifier: Apache-2.0 */
/* tests/check/mutations.h - ways to spoil the good images of hand_images.h, and the rule that
 * has to notice. */
#ifndef WSE_TESTS_MUTATIONS_H
#define WSE_TESTS_MUTATIONS_H

#include "runtime/check.h"

typedef struct Mutation {
    CheckRule rule;
    const char *name;        /* of the function that spoils it */
    Image (*make)(Arena *a); /* the good image */
    void (*spoil)(Image *image);
} Mutation;

extern const Mutation mutations[];
extern const size_t n_mutations;

#endif
