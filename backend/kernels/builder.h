/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/builder.h - builds the program, data and memory map of one core.
 *
 * A generator adds channels, buffers, data words and operations; core_finish() lays the
 * memory out, patches addresses into the data words and counts bytes. Whatever differs
 * between the cores of a kernel is a data word, so that their text is the same. */
#ifndef WSEC_KERNELS_BUILDER_H
#define WSEC_KERNELS_BUILDER_H

#include "ir/support/vec.h"
#include "runtime/format/image.h"

/* What a constant buffer holds; fill_constant() of part.c knows how. */
typedef enum FillKind {
    FILL_NONE,   /* starts at zero */
    FILL_MATRIX, /* the core's block of the kernel's weights */
    FILL_BIAS,   /* of the core's results */
    FILL_MICRO,  /* the constant of a fused step */
    FILL_INDEX,  /* numbers of the core's features */
} FillKind;

typedef struct Buffer {
    const char *name;
    SegmentKind kind;
    uint32_t bytes, address;
    uint32_t phase; /* address % 8: operands that meet in one operation differ in it */
    FillKind fill;
    uint32_t fill_index; /* FILL_MICRO: which step */
    DType dtype;
} Buffer;

typedef enum WireKind { WIRE_INPUT, WIRE_OUTPUT, WIRE_CHAIN_IN, WIRE_CHAIN_OUT } WireKind;

typedef struct Wire { /* a channel of the class, as this core has it */
    WireKind kind;
    uint32_t index; /* INPUT, OUTPUT: which of the kernel's streams; CHAIN: own color */
    bool used;      /* by this core */
    uint32_t words; /* longest message */
    uint32_t slots;
    uint32_t ring; /* address */
} Wire;

typedef struct Patch {
    uint32_t word, buffer;
    int32_t offset;
} Patch;

typedef struct Core {
    Arena *arena; /* of what lasts; NULL in a fresh core */
    Arena *temp;  /* of tables while they are built */
    const Machine *machine;
    VEC(Op) ops;
    VEC(int32_t) data;
    VEC(Buffer) buffers;
    VEC(Wire) wires;
    VEC(Patch) patches;
    uint32_t depth;  /* open loops */
    uint32_t origin; /* of the operations added from here on */
    bool failed;     /* some count does not fit the format */
    Class class;     /* after core_finish() */
    uint32_t bytes;
    uint32_t code_bytes, data_address;
} Core;

typedef struct Dims {
    Scalar e[PROGRAM_DIMS]; /* outermost first */
} Dims;

#define ONE            IMM(1)
#define ZERO           IMM(0)
#define D1(a)          ((Dims){{ONE, ONE, ONE, (a)}})
#define D2(a, b)       ((Dims){{ONE, ONE, (a), (b)}})
#define D3(a, b, c)    ((Dims){{ONE, (a), (b), (c)}})
#define D4(a, b, c, d) ((Dims){{(a), (b), (c), (d)}})

/* A fresh core allocates on `a`; one that was used before keeps its storage. */
void core_start(Core *c, Arena *a, const Machine *m);

uint32_t core_buffer(Core *c, const char *name, SegmentKind kind, uint64_t bytes, uint32_t phase);
uint32_t core_wire(Core *c, WireKind kind, uint32_t index, bool used, uint32_t words,
                   uint32_t slots);

/* Data words. */
Scalar core_number(Core *c, int64_t value);
Scalar core_table(Core *c, const int64_t *value, uint32_t n, uint32_t depth);
Scalar core_address(Core *c, uint32_t buffer, int64_t offset);
Scalar core_addresses(Core *c, uint32_t buffer, const int64_t *offset, uint32_t n, uint32_t depth);

/* Operands. */
Operand op_none(void);
Operand op_mem(DType t, Scalar base, Scalar s3, Scalar s2, Scalar s1, Scalar s0);
Operand op_wire(DType t, uint32_t wire, uint32_t held);
Operand op_value(float v);

/* Operations; loops return their depth. */
uint32_t core_loop(Core *c, Scalar count);
void core_end(Core *c);
void core_op(Core *c, Opcode code, Dims dims, Operand dst, Operand a, Operand b);
void core_select(Core *c, Opcode code, Dims dims, Operand dst, Operand a, Operand b, Operand v);

bool core_finish(Core *c, const char **why);

#endif
