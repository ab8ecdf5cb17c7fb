/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/format/program.h - the vector language: what a core runs.
 *
 * A program is a cyclic list of operations with counted loops. One execution of the whole
 * list is an iteration (one sample); the core repeats it for ever. A program never looks at
 * data to decide what to do next. All cores that run the same program text are one class;
 * chain position, colors, block sizes, image borders and addresses are data of the core.
 *
 * Numbers (Scalar) are an immediate, a data word of the core, or a data word picked by a
 * loop counter (a table: row schedules of a convolution).
 *
 * An operation walks up to 4 extents, outermost first, and for every index computes one
 * element, strictly in that order: read the sources, compute, round, write, next. An
 * operation one of whose extents is 0 (or below) does nothing, takes no time, and must have
 * no color operand. Opcodes, on elements (f16 operands are widened exactly, arithmetic is
 * f32, the result is rounded once where it is stored or sent; a NaN is stored and sent
 * canonical, by copies too):
 *
 *     copy    dst = a                  also receive, send, fill, convert
 *     add     dst = a + b              with dst == a a running sum; also receive-add-forward
 *     sub     dst = a - b
 *     mul     dst = a * b
 *     min max dst = min/max(a, b)      NaN propagates, -0 below +0
 *     mac     dst = fma(a, b, dst)     dst is f32 memory; one rounding
 *     selgt   dst = a > b ? c : dst    dst is memory, stored whichever way it goes
 *     selge   dst = a >= b ? c : dst
 *     loop n  ... end                  counted; depth at most 4; n may be 0
 *     skip    (no dst) = a             receives a message and drops it
 *
 * i32 elements: copy (i32 -> i32, bits as they are, or to and from f32) and skip only,
 * through memory or colors.
 *
 * Operands
 *   memory  address in bytes = base + sum_d step[d] * counter[d]
 *                  + pitch * ((offset + sum_d coef[d] * counter[d]) mod modulus)   (if ring)
 *                  + bytes(dtype) * sum_k stride[k] * index[k]
 *           d runs over the enclosing loops, outermost first.
 *   color   names a channel of the class. A source receives exactly one message, whose
 *           elements are met in order; over the innermost `held` dimensions the element is
 *           held. A destination sends exactly one message of all the elements, in order.
 *           A message of n elements takes ceil(n * bytes / 4) words; the last word of an odd
 *           f16 message has zero in its upper half. A message has at least 1 element.
 *   float   a constant
 *
 * Rules the verifier enforces (program_verify): a destination in memory either is
 * disjoint (operands_disjoint) from a source in memory or has the same descriptor (decided
 * from the text where all of it is immediate; the checker decides it for a core's data); no
 * two color operands of one operation name the same channel; at most one color destination;
 * loops balance; every channel has one direction; dst == NONE for skip only; float
 * constants are f32 and a NaN among them canonical.
 *
 * Text form, one operation a line (program_print, program_parse; golden tests):
 *
 *     class 3 "conv1 core" data=12 {
 *       channel 0 in
 *       channel 1 out
 *       loop d0 {
 *         mac [d1, 1, d2, 6] f32 m[d3 + 24*i0 : 0 0 d4 1] <- f16 m[d5 : 0 0 1 9], f16 c0 held=1
 *         max [1, 1, 1, d6[i0]] f32 m[64 : 0 0 0 1] <- f32 m[64 : 0 0 0 1], 0x1.8p+1 @7
 *         copy [1, 1, 1, 5] f32 c1 <- f32 m[0 + 20*((d7 + 1*i0) % 3) : 0 0 0 1]
 *       }
 *     }
 *
 *     class   = "class" index string "data" "=" number "{" channel* op* "}"
 *     channel = "channel" number ("in" | "out")            numbered from 0 upwards
 *     op      = "loop" scalar "{" op* "}" ["@" number]
 *             | "skip" extents "<-" operand ["@" number]
 *             | opcode extents operand "<-" operand ("," operand)* ["@" number]
 *     extents = "[" scalar "," scalar "," scalar "," scalar "]"
 *     scalar  = number                                     an immediate, may be negative
 *             | "d" number                                 data word
 *             | "d" number "[" "i" number "]"              data word number + counter
 *     operand = dtype "m" "[" scalar term* ":" scalar scalar scalar scalar "]"
 *             | dtype "c" number ["held" "=" number]
 *             | float                                      hexadecimal, "inf", "-inf", "nan"
 *     term    = "+" scalar "*" "i" number                  step of a loop, outermost first
 *             | "+" scalar "*" "(" "(" scalar ("+" number "*" "i" number)* ")" "%" scalar ")"
 *
 * i0 is the counter of the outermost loop. Steps, ring terms and `held` that are immediate 0
 * are not written. "@" gives the operation's origin. "#" begins a comment up to the line's
 * end. Strings escape \" and \\ with a backslash and other bytes below space or above ~ as
 * \xHH. Printing what was printed and parsed gives the same bytes.
 */
#ifndef WSE_FORMAT_PROGRAM_H
#define WSE_FORMAT_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"
#include "ir/support/dtype.h"
#include "ir/support/text.h"
#include "runtime/format/machine.h"

enum {
    PROGRAM_DIMS = 4,
    PROGRAM_DEPTH = 4,
    PROGRAM_SOURCES = 3,
    PROGRAM_MAX_OPS = 4096,
    PROGRAM_MAX_DATA = 12288, /* words: 48 KB */
    PROGRAM_MAX_CHANNELS = 16,
};

typedef enum ScalarKind { SCALAR_IMM, SCALAR_DATA, SCALAR_TABLE } ScalarKind;

typedef struct Scalar {
    uint8_t kind;  /* ScalarKind */
    uint8_t loop;  /* TABLE: depth of the enclosing loop whose counter picks the word */
    int32_t value; /* IMM: the number; DATA: index of the data word; TABLE: index of word 0 */
} Scalar;

#define IMM(v)      ((Scalar){SCALAR_IMM, 0, (v)})
#define DATA(i)     ((Scalar){SCALAR_DATA, 0, (i)})
#define TABLE(i, d) ((Scalar){SCALAR_TABLE, (d), (i)})

typedef enum OperandKind { OPERAND_NONE, OPERAND_MEM, OPERAND_COLOR, OPERAND_FLOAT } OperandKind;

typedef struct Operand {
    uint8_t kind;    /* OperandKind */
    uint8_t dtype;   /* DType */
    uint8_t channel; /* COLOR */
    uint8_t held;    /* COLOR source */
    float value;     /* FLOAT */
    /* MEM */
    Scalar base;                     /* bytes, multiple of the element's size */
    Scalar stride[PROGRAM_DIMS];     /* elements */
    Scalar step[PROGRAM_DEPTH];      /* bytes */
    Scalar ring_pitch;               /* bytes; IMM 0: no ring term */
    Scalar ring_offset;              /* >= 0 */
    Scalar ring_modulus;             /* > 0 where pitch != 0 */
    int8_t ring_coef[PROGRAM_DEPTH]; /* >= 0 */
} Operand;

/* OPCODE(ID, text, sources, cost class) */
#define OPCODE_LIST(OPCODE)                                                                        \
    OPCODE(COPY, "copy", 1, COST_COPY)                                                             \
    OPCODE(ADD, "add", 2, COST_ADD)                                                                \
    OPCODE(SUB, "sub", 2, COST_ADD)                                                                \
    OPCODE(MUL, "mul", 2, COST_MUL)                                                                \
    OPCODE(MIN, "min", 2, COST_MINMAX)                                                             \
    OPCODE(MAX, "max", 2, COST_MINMAX)                                                             \
    OPCODE(MAC, "mac", 2, COST_MAC)                                                                \
    OPCODE(SELGT, "selgt", 3, COST_SELECT)                                                         \
    OPCODE(SELGE, "selge", 3, COST_SELECT)                                                         \
    OPCODE(SKIP, "skip", 1, COST_COPY)                                                             \
    OPCODE(LOOP, "loop", 0, COST_COPY)                                                             \
    OPCODE(END, "end", 0, COST_COPY)

typedef enum Opcode {
#define OPCODE(id, text, sources, cost) OPCODE_##id,
    OPCODE_LIST(OPCODE)
#undef OPCODE
        OPCODE_COUNT
} Opcode;

typedef struct OpcodeInfo {
    const char *text;
    uint8_t sources;
    uint8_t cost; /* CostClass */
} OpcodeInfo;

extern const OpcodeInfo opcode_info[OPCODE_COUNT];

typedef struct Op {
    uint8_t code;    /* Opcode */
    uint8_t depth;   /* number of enclosing loops; set by class_finish() */
    uint16_t match;  /* LOOP: index of its END, END: of its LOOP; set by class_finish() */
    uint32_t origin; /* index into Image.origins (name and place in the source), or 0 */
    Scalar extent[PROGRAM_DIMS]; /* outermost first; unused ones are IMM 1 in front */
    Scalar count;                /* LOOP */
    Operand dst, src[PROGRAM_SOURCES];
} Op;

typedef struct Class {
    const char *name;
    uint32_t n_data; /* data words of a core of this class */
    uint32_t n_channels;
    bool channel_is_out[PROGRAM_MAX_CHANNELS];
    uint32_t n_ops;
    Op *ops;
} Class;

/* Fills depth and match. False, with *why, if loops do not balance or nest too deep. */
bool class_finish(Class *c, const char **why);

/* Everything about the text alone (not a core's data). False with a message in *why (on
 * the arena). Call after class_finish(). */
bool program_verify(Arena *a, const Class *c, const char **why);

/* The part of program_verify() that concerns one operation. */
bool op_verify(Arena *a, const Class *c, uint32_t index, const char **why);

/* A core's data against the text: every table that a loop walks lies within the n_data
 * words. Everything below that takes data, and the interpreter, relies on it. */
bool program_data_fits(const Class *c, const int32_t *data, const char **why);

void program_print(Text *t, const Class *c, uint32_t index, bool origins);
bool program_parse(Arena *a, Diag *d, uint32_t file, Class *result); /* one class */

/* Equality and hash of the text (name and origins left out): classes are shared by it. */
bool class_equal(const Class *a, const Class *b);
uint64_t class_hash(const Class *c);

/* ---- execution state shared by every walker of a program ---- */

typedef struct Cursor { /* where a core stands */
    uint32_t pc;
    uint32_t counter[PROGRAM_DEPTH];
    uint32_t limit[PROGRAM_DEPTH]; /* counts of the loops entered */
} Cursor;

/* Moves the cursor to the next operation that is not LOOP or END, entering and leaving
 * loops; at the end of the list sets pc = n_ops and returns false (the iteration is over).
 * A fresh iteration starts from a zeroed cursor; after executing ops[pc] do pc++ and call
 * again. Data must have n_data words. Empty loops are left at once; at most 2^32 loop
 * turns without an operation are the caller's risk only if check found none. */
bool cursor_settle(const Class *c, const int32_t *data, Cursor *at);

static inline int32_t scalar_value(Scalar s, const int32_t *data, const uint32_t *counter)
{
    switch (s.kind) {
    case SCALAR_IMM:
        return s.value;
    case SCALAR_DATA:
        return data[s.value];
    default:
        return data[s.value + (int32_t)counter[s.loop]];
    }
}

/* Byte address of element 0 of a memory operand, modulo 2^64; INT64_MIN where there is none
 * (ring with an offset below 0 or a modulus below 1). */
int64_t operand_address(const Operand *o, uint32_t depth, const int32_t *data,
                        const uint32_t *counter);

/* The bytes [*begin, *end) that a memory operand touches here, if the operation has
 * elements; both ends are really touched. False where there is no such range in 64 bits. */
bool operand_range(const Op *op, const Operand *o, const int32_t *data, const uint32_t *counter,
                   int64_t *begin, int64_t *end);

/* True only if two memory operands of an operation touch no common byte here: their ranges
 * do not meet, or both keep to different residues modulo all their strides (interleaved).
 * Or the operation has no elements. */
bool operands_disjoint(const Op *op, const Operand *x, const Operand *y, const int32_t *data,
                       const uint32_t *counter);

/* All fields that count for their kind are equal. */
bool operand_equal(const Operand *x, const Operand *y);

/* Elements of an operation at this point, and words of its message on an operand (0 if that
 * is no color). Both stop at UINT64_MAX. */
uint64_t op_elements(const Op *op, const int32_t *data, const uint32_t *counter);
uint64_t op_message_words(const Op *op, const Operand *o, const int32_t *data,
                          const uint32_t *counter);

/* Set-up and duration (d >= 1, and never less than the words on any one color) of the
 * timing rule, by the machine's tables, stride and bank rules (program_cost.c states them).
 * Both are 0 if the operation has no elements. Never depends on loop counters but through
 * tables. */
typedef struct OpTime {
    uint32_t setup, duration;
} OpTime;

OpTime op_time(const Machine *m, const Op *op, const int32_t *data, const uint32_t *counter);

/* Totals of one iteration of a core, without any waiting. cycles + landing is the time of a
 * core whose messages all arrive while it is busy with others. Loops whose bodies do not
 * depend on the counter are multiplied, not walked. False if a table lies beyond the data,
 * a total exceeds 64 bits or more than 2^22 steps would have to be walked. */
typedef struct ProgramTotals {
    uint64_t cycles;  /* set-ups and durations */
    uint64_t setup;   /* the set-up part of them */
    uint64_t landing; /* words / landing width of every message received, rounded down */
    uint64_t ops;
    uint64_t elements[COST_COUNT];
    uint64_t words_in[PROGRAM_MAX_CHANNELS];    /* by channel, both directions */
    uint64_t messages_in[PROGRAM_MAX_CHANNELS]; /* by channel, both directions */
    uint32_t longest[PROGRAM_MAX_CHANNELS];     /* longest message, words */
} ProgramTotals;

bool program_totals(const Machine *m, const Class *c, const int32_t *data, ProgramTotals *result);

#endif
