/* SPDX-License-Identifier: Apache-2.0 */
/* tests/common/test_machine.h - a machine of plain numbers for tests, which change what
 * matters to them: 8 x 8 cores of 48 KB, set-up 6 and 14, latency 1, every operation one
 * element a cycle and two of a landing message, hop 1, ramp 2, 4 + 4 host ports. */
#ifndef WSEC_TESTS_TEST_MACHINE_H
#define WSEC_TESTS_TEST_MACHINE_H

#include "runtime/format/machine.h"

static inline Machine test_machine(void)
{
    Machine m = {.name = "plain",
                 .width = 8,
                 .height = 8,
                 .clock_hz = 850000000,
                 .sram_bytes = 49152,
                 .reserve_bytes = 2048,
                 .op_bytes = 16,
                 .banks = 8,
                 .bank_bytes = 6144,
                 .setup = 6,
                 .setup_loop = 14,
                 .latency = 1,
                 .landing = {2, 1},
                 .colors = 24,
                 .reserved_colors = 3,
                 .queues_in = 7,
                 .queues_out = 5,
                 .hop = 1,
                 .ramp = 2,
                 .ports_west = 4,
                 .ports_east = 4,
                 .host_words = {4, 1}};
    for (int c = 0; c < COST_COUNT; c++)
        for (int t = 0; t < DT_COUNT; t++)
            m.cost[c][t] = (OpCost){.width = {1, 1}, .conflict = {1, 1}};
    return m;
}

#endif
