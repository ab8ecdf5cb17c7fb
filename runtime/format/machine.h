/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/format/machine.h - the wafer as the compiler, the checker and the engines see it.
 *
 * Filled from XML by passes/machine_xml.c, stored whole in the image; the runtime never
 * reads XML. All times are cycles, sizes bytes, words are 32 bits. */
#ifndef WSE_FORMAT_MACHINE_H
#define WSE_FORMAT_MACHINE_H

#include <stdint.h>

#include "ir/support/dtype.h"

enum {
    MACHINE_MAX_COLORS = 32,
    MACHINE_MAX_EXTENT = 4096,
    MACHINE_NAME = 64,
};

typedef struct Fraction {
    uint32_t num, den; /* den > 0 */
} Fraction;

/* How an operation is charged: its class (cost.c maps opcodes to these). */
typedef enum CostClass {
    COST_COPY,   /* copy, fill, convert, receive, send */
    COST_ADD,    /* add, subtract */
    COST_MUL,    /* multiply */
    COST_MAC,    /* multiply-accumulate into f32 */
    COST_MINMAX, /* min, max */
    COST_SELECT, /* compare-select */
    COST_COUNT
} CostClass;

typedef struct OpCost {
    Fraction width;    /* elements a cycle, > 0 */
    Fraction conflict; /* factor on the duration when two memory sources fall in the same
                          half of the banks (bank % 4 equal); >= 1 */
} OpCost;

typedef struct Machine {
    char name[MACHINE_NAME];
    uint32_t width, height; /* usable cores: x in [0, width), y in [0, height) */
    uint32_t spare_columns; /* spare physical cores of each row */
    uint64_t clock_hz;

    uint32_t sram_bytes;    /* of a core, 49152 on a WSE-2 */
    uint32_t reserve_bytes; /* of that, kept for the machine's own code */
    uint32_t op_bytes;      /* code bytes of one operation of a program: 16 */
    uint32_t banks, bank_bytes;

    uint32_t setup;      /* cycles before each operation: 6 */
    uint32_t setup_loop; /* more where an operand's address depends on a loop counter: 14 */
    uint32_t latency;    /* l of the timing rule: 1 */
    OpCost cost[COST_COUNT][DT_COUNT]; /* by class and the widest operand type */
    Fraction landing;                  /* w: words a cycle that background transfers land */

    uint32_t colors;                /* 24; numbers 0 .. colors - 1 */
    uint32_t reserved_colors;       /* of those, the highest ones are not ours: 3 */
    uint32_t queues_in, queues_out; /* of a core, each bound to one color: 7, 5 */
    uint32_t hop;                   /* cycles from router to router */
    uint32_t ramp;                  /* cycles from core to its router, and back */

    uint32_t ports_west, ports_east; /* host ports of each edge, any rows, one a row */
    Fraction host_words;             /* words a cycle, both directions, all ports together */
} Machine;

#endif
