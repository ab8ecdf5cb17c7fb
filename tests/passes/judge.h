/* SPDX-License-Identifier: Apache-2.0 */
/* tests/passes/judge.h - is a plan one that can stand on the fabric?
 *
 * The judge knows only the frames of ir/plan.h and shares no code with placer and router:
 * regions disjoint and off keep-outs, pins kept; one stream a router and color, lanes
 * continuous from core to core (those that go on from another stream: from the far side of its
 * consumer, those that fork: from a router of the same lane), over no dead core and no kernel
 * with that color of its own; one port a row, lane 0 leftmost; no link above the limit unless
 * one stream has it alone. What is wrong is printed, the first five times. */
#ifndef WSEC_TESTS_JUDGE_H
#define WSEC_TESTS_JUDGE_H

#include "passes/planner.h"

bool judged_good(Plan *p, uint64_t limit);

/* Where lane l of a kernel's edge stands on the fabric and how it travels there: of an input, or
 * of the result if `input` is negative. */
void edge_at(Plan *p, const Kernel *k, int input, uint32_t l, int *x, int *y, Side *travel);

#endif
