// SPDX-License-Identifier: Apache-2.0
// runtime/interpret.c - bounds-checked execution of one operation.
//
// Memory operands, messages and constants all become one thing first: a View, a pointer and
// a stride in bytes for each dimension. The bytes an affine walk touches reach exactly from
// its lowest to its highest address, so one check before the walk decides what a check of
// each element would. Then unused dimensions are dropped, dimensions that are one walk for
// every operand are joined, and the two innermost loops run in a function specialised by
// opcode for the common types; all of them come from the one element() below.
//
// Cost: O(elements), and some 100 ns an operation.
#include "runtime/interpret.h"

#include <math.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "memory and messages are little-endian images"
#endif

#define INLINE static inline __attribute__((always_inline))

enum { OPERANDS = 1 + PROGRAM_SOURCES }; // the destination is number 0

typedef struct View {
    uint8_t *at;
    ptrdiff_t stride[PROGRAM_DIMS]; // bytes
    DType type;
} View;

// The two innermost dimensions of all operands: extents, pointers, strides.
typedef struct Tile {
    ptrdiff_t n[2];
    uint8_t *at[OPERANDS];
    ptrdiff_t stride[OPERANDS][2];
    DType type[OPERANDS];
} Tile;

// ---- elements ----

INLINE float load(DType type, const uint8_t *at)
{
    uint16_t half;
    float f;
    int32_t i;

    switch (type) {
    case DT_F16:
        memcpy(&half, at, sizeof half);
        return f32_from_f16(half);
    case DT_I32:
        memcpy(&i, at, sizeof i);
        return (float)i;
    case DT_F32:
    case DT_COUNT:
        break;
    }
    memcpy(&f, at, sizeof f);
    return f;
}

INLINE void store(DType type, uint8_t *at, float f)
{
    uint16_t half;
    int32_t i;

    switch (type) {
    case DT_F16:
        half = f16_from_f32(f);
        memcpy(at, &half, sizeof half);
        return;
    case DT_I32:
        i = i32_from_f32(f);
        memcpy(at, &i, sizeof i);
        return;
    case DT_F32:
    case DT_COUNT:
        break;
    }
    f = f32_canonical(f);
    memcpy(at, &f, sizeof f);
}

INLINE void element(Opcode code, const DType type[OPERANDS], uint8_t *const at[OPERANDS])
{
    float a = load(type[1], at[1]);
    float b = opcode_info[code].sources > 1 ? load(type[2], at[2]) : 0;

    switch (code) {
    case OPCODE_COPY:
        if (type[0] == DT_I32 && type[1] == DT_I32)
            memcpy(at[0], at[1], 4);
        else
            store(type[0], at[0], a);
        return;
    case OPCODE_ADD:
        store(type[0], at[0], a + b);
        return;
    case OPCODE_SUB:
        store(type[0], at[0], a - b);
        return;
    case OPCODE_MUL:
        store(type[0], at[0], a * b);
        return;
    case OPCODE_MIN:
        store(type[0], at[0], f32_min(a, b));
        return;
    case OPCODE_MAX:
        store(type[0], at[0], f32_max(a, b));
        return;
    case OPCODE_MAC:
        store(type[0], at[0], fmaf(a, b, load(type[0], at[0])));
        return;
    case OPCODE_SELGT:
        store(type[0], at[0], a > b ? load(type[3], at[3]) : load(type[0], at[0]));
        return;
    case OPCODE_SELGE:
        store(type[0], at[0], a >= b ? load(type[3], at[3]) : load(type[0], at[0]));
        return;
    case OPCODE_SKIP:
    case OPCODE_LOOP:
    case OPCODE_END:
    case OPCODE_COUNT:
        return;
    }
}

// ---- tiles ----

// Runs a tile in order. Where code, types and inner strides are constants at the call, the
// compiler makes vectors of the inner loop.
INLINE void tile(Opcode code, DType t0, DType t1, DType t2, DType t3, const Tile *t, ptrdiff_t s0,
                 ptrdiff_t s1, ptrdiff_t s2, ptrdiff_t s3)
{
    const DType type[OPERANDS] = {t0, t1, t2, t3};
    const ptrdiff_t rows = t->n[0], n = t->n[1];

    for (ptrdiff_t i = 0; i < rows; i++) {
        uint8_t *const row[OPERANDS] = {
            t->at[0] + i * t->stride[0][0], t->at[1] + i * t->stride[1][0],
            t->at[2] + i * t->stride[2][0], t->at[3] + i * t->stride[3][0]};
        for (ptrdiff_t j = 0; j < n; j++) {
            uint8_t *const at[OPERANDS] = {row[0] + j * s0, row[1] + j * s1, row[2] + j * s2,
                                           row[3] + j * s3};
            element(code, type, at);
        }
    }
}

// All operands of one type, with the inner strides that are common.
INLINE void uniform_tile(Opcode code, DType t0, DType type, const Tile *t)
{
    const ptrdiff_t size0 = dtype_bytes(t0), size = dtype_bytes(type);
    const ptrdiff_t s0 = t->stride[0][1], s1 = t->stride[1][1], s2 = t->stride[2][1];

    if (s0 == size0 && s1 == size && s2 == size)
        tile(code, t0, type, type, type, t, size0, size, size, 0);
    else if (s0 == size0 && s1 == size && s2 == 0)
        tile(code, t0, type, type, type, t, size0, size, 0, 0);
    else if (s0 == size0 && s1 == 0 && s2 == size)
        tile(code, t0, type, type, type, t, size0, 0, size, 0);
    else
        tile(code, t0, type, type, type, t, s0, s1, s2, t->stride[3][1]);
}

INLINE void mac_tile(const Tile *t)
{
    const ptrdiff_t s0 = t->stride[0][1], s1 = t->stride[1][1], s2 = t->stride[2][1];

    if (t->type[1] == DT_F32 && t->type[2] == DT_F32)
        uniform_tile(OPCODE_MAC, DT_F32, DT_F32, t);
    else if (t->type[1] == DT_F16 && t->type[2] == DT_F16)
        uniform_tile(OPCODE_MAC, DT_F32, DT_F16, t);
    else
        tile(OPCODE_MAC, DT_F32, t->type[1], t->type[2], DT_F32, t, s0, s1, s2, 0);
}

// fmaf() is a call in the plain instruction set and one instruction on most machines; it is
// exact in both.
#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void mac_tile_fma(const Tile *t)
{
    mac_tile(t);
}

static bool has_fma(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#else
static void mac_tile_fma(const Tile *t)
{
    mac_tile(t);
}

static bool has_fma(void)
{
    return true;
}
#endif

static void mac_tile_plain(const Tile *t)
{
    mac_tile(t);
}

static void any_tile(Opcode code, const Tile *t)
{
    tile(code, t->type[0], t->type[1], t->type[2], t->type[3], t, t->stride[0][1], t->stride[1][1],
         t->stride[2][1], t->stride[3][1]);
}

static void run_tile(Opcode code, const Tile *t)
{
    bool f32 = t->type[0] == DT_F32 && t->type[1] == DT_F32 && t->type[2] == DT_F32;

    if (code == OPCODE_MAC)
        (has_fma() ? mac_tile_fma : mac_tile_plain)(t);
    else if (f32 && code == OPCODE_COPY)
        uniform_tile(OPCODE_COPY, DT_F32, DT_F32, t);
    else if (f32 && code == OPCODE_ADD)
        uniform_tile(OPCODE_ADD, DT_F32, DT_F32, t);
    else if (f32 && code == OPCODE_MUL)
        uniform_tile(OPCODE_MUL, DT_F32, DT_F32, t);
    else if (f32 && code == OPCODE_MAX)
        uniform_tile(OPCODE_MAX, DT_F32, DT_F32, t);
    else
        any_tile(code, t);
}

// ---- operations ----

static void run(const Op *op, const ptrdiff_t extent[PROGRAM_DIMS], const View view[OPERANDS])
{
    // Dimensions of one index are dropped, and an outer one is joined to the one inside it
    // where all operands walk both as one.
    ptrdiff_t n[PROGRAM_DIMS];
    ptrdiff_t stride[PROGRAM_DIMS][OPERANDS];
    int dims = 0;
    for (int k = 0; k < PROGRAM_DIMS; k++) {
        if (extent[k] == 1)
            continue;
        bool joins = dims > 0;
        for (int o = 0; joins && o < OPERANDS; o++)
            joins = stride[dims - 1][o] == extent[k] * view[o].stride[k];
        if (joins)
            dims--;
        n[dims] = joins ? n[dims] * extent[k] : extent[k];
        for (int o = 0; o < OPERANDS; o++)
            stride[dims][o] = view[o].stride[k];
        dims++;
    }

    // Right-aligned again: `outer` walks, the last two are the tile.
    ptrdiff_t outer[2] = {1, 1}, outer_stride[2][OPERANDS] = {{0}};
    Tile t = {.n = {1, 1}};
    for (int o = 0; o < OPERANDS; o++)
        t.type[o] = view[o].type;
    for (int k = 0; k < dims; k++) {
        int place = PROGRAM_DIMS - dims + k;
        *(place < 2 ? &outer[place] : &t.n[place - 2]) = n[k];
        for (int o = 0; o < OPERANDS; o++)
            *(place < 2 ? &outer_stride[place][o] : &t.stride[o][place - 2]) = stride[k][o];
    }
    for (ptrdiff_t i = 0; i < outer[0]; i++) {
        for (ptrdiff_t j = 0; j < outer[1]; j++) {
            for (int o = 0; o < OPERANDS; o++)
                t.at[o] = view[o].at + i * outer_stride[0][o] + j * outer_stride[1][o];
            run_tile((Opcode)op->code, &t);
        }
    }
}

static bool view_memory(const Op *op, const Operand *o, const int32_t *data,
                        const uint32_t *counter, uint8_t *memory, uint32_t memory_bytes, View *view,
                        const char **fault)
{
    int64_t begin, end;
    int64_t address = operand_address(o, op->depth, data, counter);
    unsigned size = dtype_bytes((DType)o->dtype);

    if (!operand_range(op, o, data, counter, &begin, &end) || begin < 0 || end > memory_bytes) {
        *fault = "an operand reaches beyond the memory";
        return false;
    }
    if (address % size != 0) {
        *fault = "an operand's address is no multiple of its element";
        return false;
    }
    view->at = memory + address;
    for (int k = 0; k < PROGRAM_DIMS; k++)
        view->stride[k] = (ptrdiff_t)scalar_value(o->stride[k], data, counter) * size;
    return true;
}

// A message's elements follow each other; over the innermost `held` dimensions one is held.
static void view_message(const Operand *o, const ptrdiff_t extent[PROGRAM_DIMS], uint8_t *message,
                         View *view)
{
    ptrdiff_t stride = dtype_bytes((DType)o->dtype);
    view->at = message;
    for (int k = PROGRAM_DIMS - 1 - o->held; k >= 0; k--) {
        view->stride[k] = stride;
        stride *= extent[k];
    }
}

bool interpret_op(const Op *op, const int32_t *data, const uint32_t *counter, uint8_t *memory,
                  uint32_t memory_bytes, const uint32_t *const in[PROGRAM_SOURCES],
                  const uint32_t in_words[PROGRAM_SOURCES], uint32_t *out, uint32_t out_words,
                  const char **fault)
{
    static const uint8_t nothing[4];
    View view[OPERANDS] = {{0}};
    ptrdiff_t extent[PROGRAM_DIMS];
    uint64_t elements = op_elements(op, data, counter), sent = 0;
    bool empty = elements == 0;

    if (elements > UINT32_MAX) {
        *fault = "an operation of more than 2^32 elements";
        return false;
    }
    for (int k = 0; k < PROGRAM_DIMS; k++)
        extent[k] = scalar_value(op->extent[k], data, counter);
    for (int s = 0; s < OPERANDS; s++) {
        const Operand *o = s == 0 ? &op->dst : &op->src[s - 1];
        View *v = &view[s];
        v->type = (DType)o->dtype;
        switch ((OperandKind)o->kind) {
        case OPERAND_NONE:
            v->at = (uint8_t *)nothing; // never written: no operation has no destination
            v->type = view[0].type;
            break;
        case OPERAND_FLOAT:
            v->at = (uint8_t *)&o->value;
            break;
        case OPERAND_MEM:
            if (!empty && !view_memory(op, o, data, counter, memory, memory_bytes, v, fault))
                return false;
            break;
        case OPERAND_COLOR: {
            uint64_t words = op_message_words(op, o, data, counter);
            if (empty) {
                *fault = "a message without elements";
                return false;
            }
            if (words > (s == 0 ? out_words : in_words[s - 1])) {
                *fault = s == 0 ? "a message has no room" : "a message is too short";
                return false;
            }
            sent = s == 0 ? words : sent;
            view_message(o, extent, s == 0 ? (uint8_t *)out : (uint8_t *)in[s - 1], v);
            break;
        }
        }
    }
    if (empty || op->code == OPCODE_SKIP)
        return true;
    if (sent > 0)
        out[sent - 1] = 0; // the upper half of an odd f16 message's last word
    run(op, extent, view);
    return true;
}
