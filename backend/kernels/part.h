/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/part.h - a kernel cut for one shape: everything the generators need.
 *
 * part_make() turns anchor and fused steps into a short list of micro operations around at
 * most one pooling stage and works out the schedule of rows. The generators then build single
 * cores from it: part_core() is the only truth about what a core runs and holds; shapes,
 * memory reports and the image all come from it. */
#ifndef WSEC_KERNELS_PART_H
#define WSEC_KERNELS_PART_H

#include "backend/kernels/builder.h"
#include "backend/kernels/kernel.h"

enum { PART_MAX_MICROS = 64, PART_SLOTS = 2 };

typedef enum Form {
    FORM_DIRECT,     /* matrix, message by message: linear, matmul, 1 x 1 convolution */
    FORM_ACCUMULATE, /* matrix over all positions: linear after flatten */
    FORM_WINDOW,     /* matrix, line buffer: convolution */
    FORM_LINE,       /* no matrix */
    FORM_REDUCE,
    FORM_ADAPTER,
} Form;

typedef enum MicroOperand {
    MICRO_FLOAT,   /* one number, part of the text */
    MICRO_FEATURE, /* constant, one number a feature */
    MICRO_FULL,    /* constant, rows x cols x features */
    MICRO_STREAM,  /* a second stream, message by message or row by row */
    MICRO_HELD,    /* a second stream of one message: one number a feature */
} MicroOperand;

typedef struct Micro { /* running value = code(running value, operand) */
    Opcode code;
    bool swapped; /* code(operand, running value) */
    MicroOperand operand;
    float value;          /* FLOAT */
    uint32_t stream;      /* STREAM, HELD: index among the kernel's inputs */
    const Node *node;     /* where it comes from: span, and the constant's holder */
    const Node *constant; /* FEATURE, FULL */
    DType dtype;          /* of the constant's buffer */
} Micro;

typedef struct Pool {
    bool present, global, average;
    float start; /* of its sums or maxima: a relu before a maximum is a maximum from 0 */
    uint32_t kernel[2], stride[2], padding[2];
    const Node *node;
} Pool;

typedef struct Part {
    Arena *arena;
    const Kernel *kernel;
    const Machine *machine;
    Shape shape;
    Form form;
    Protocol in[KERNEL_MAX_INPUTS];    /* lanes filled in */
    uint32_t slots[KERNEL_MAX_INPUTS]; /* ring capacities; PART_SLOTS unless set otherwise */
    uint32_t n_in;
    Protocol mid;    /* what the anchor makes (before pooling) */
    Protocol result; /* what the kernel sends */
    uint32_t n_out;
    Micro *micros; /* [0, n_before) before the pool, the others after it */
    uint32_t n_micros, n_before;
    Pool pool;
    /* matrix */
    uint32_t kernel_size[2], stride[2], padding[2];
    const Node *weights, *bias; /* bias NULL: none; the first column's sums start with it */
    /* adapter */
    uint32_t groups;
    const char *why; /* not legal: because */
} Part;

/* False, with part->why, where the kernel or the shape cannot be built. Needs of shape:
 * lanes_in, lanes_out, split, segs_out; w and h are filled in. */
bool part_make(Arena *a, const Kernel *k, const Protocol *protocol_in, const Machine *m,
               const Shape *shape, Part *part);

/* Which lane a canonical column (matrix inputs) or row belongs to. */
uint32_t part_lane_in(const Part *p, uint32_t cx, uint32_t cy);
uint32_t part_lane_out(const Part *p, uint32_t cx, uint32_t cy);

/* The core at canonical (cx, cy); false with *why if the format cannot hold it. *core is
 * zeroed, or was used before. */
bool part_core(Arena *a, const Part *p, uint32_t cx, uint32_t cy, Core *core, const char **why);

/* Equal for cores that differ in lane numbers only: what rectangles are made of. */
uint64_t part_column_kind(const Part *p, uint32_t cx);
uint64_t part_row_kind(const Part *p, uint32_t cy);

/* Writes the initial contents of a constant buffer of the core at (cx, cy). */
void part_fill(const Part *p, const Buffer *b, uint32_t cx, uint32_t cy, uint8_t *out);
bool part_has_values(const Part *p);

/* Totals and bytes of the slowest and the fullest core. False if one cannot be built. `work`
 * is storage to build in: fresh, or with an arena that outlives this. */
bool part_cost(Arena *a, Core *work, const Part *p, KernelTime *time, uint32_t *bytes);

/* Messages of input `input` taken in before the first result leaves. */
uint32_t part_lead(const Part *p, uint32_t input);

/* Generators, by form. */
void build_rows(const Part *p, Core *c, uint32_t cx, uint32_t cy);
void build_accumulate(const Part *p, Core *c, uint32_t cx, uint32_t cy);
void build_reduce(const Part *p, Core *c, uint32_t cx, uint32_t cy);
void build_adapter(const Part *p, Core *c, uint32_t cx, uint32_t cy);

/* Columns of a lane take its messages in turns, so that all are busy at once. */
static inline bool part_takes(const Part *p, uint32_t cx, uint32_t message)
{
    return message % p->shape.split == cx % p->shape.split;
}

/* The taps of a window that a column multiplies: tap rows are dealt first; with more columns
 * than tap rows, each row's taps are. */
typedef struct Taps {
    uint32_t row, rows, col, cols;
} Taps;
Taps part_taps(const Part *p, uint32_t cx);

/* Words of a message of so many elements. */
static inline uint32_t words_of(DType t, uint64_t elements)
{
    return (uint32_t)((elements * dtype_bytes(t) + 3) / 4);
}

/* Longest message of a protocol in positions. */
static inline uint32_t positions_of(const Protocol *p)
{
    return block_size(p->cols, p->segs, 0);
}

/* Timeline of a row kernel: one step a (virtual) input row. See rows.c. */
typedef struct Timeline {
    uint32_t steps;
    uint32_t first_row; /* step of virtual row 0 */
    uint32_t stride;    /* steps per row of the middle */
    uint32_t mid_first; /* step at which row 0 of the middle is computed */
    uint32_t tail;      /* input rows left over, dropped */
    int64_t pool_first; /* step of virtual row 0 of the pool */
} Timeline;
Timeline part_timeline(const Part *p);
bool timeline_receives(const Part *p, const Timeline *t, uint32_t step);
bool timeline_fills(const Part *p, const Timeline *t, uint32_t step);
bool timeline_computes(const Part *p, const Timeline *t, uint32_t step);
bool timeline_pool_fills(const Part *p, const Timeline *t, uint32_t step);
bool timeline_emits(const Part *p, const Timeline *t, uint32_t step);

/* Where a core of an adapter stands: in which group, and which of its column there. */
typedef enum AdapterColumn { ADAPTER_GATHER, ADAPTER_SCATTER } AdapterColumn;
typedef struct AdapterPlace {
    AdapterColumn column;
    uint32_t group, index;
    uint32_t size; /* cores of the column in a group */
    bool used;     /* false: only passes words on */
} AdapterPlace;
AdapterPlace adapter_place(const Part *p, uint32_t cx, uint32_t cy);

/* Groups of an adapter for so many features, and lanes of one. */
uint32_t adapter_groups(uint32_t features, uint32_t a, uint32_t b);
static inline uint32_t group_in(const Part *p)
{
    return p->shape.lanes_in / p->groups;
}
static inline uint32_t group_out(const Part *p)
{
    return p->shape.lanes_out / p->groups;
}

#endif
