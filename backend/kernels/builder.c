/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/builder.c - builds the program, data and memory map of one core.
 *
 * Memory from low to high: reserve, code, data words, constants, buffers, rings. Constants
 * come together so that one initialisation covers them. Buffers keep the phase they ask for
 * (address modulo 8), which is what keeps the two sources of an operation in different
 * halves of the banks. */
#include "backend/kernels/builder.h"

void core_start(Core *c, Arena *a, const Machine *m)
{
    if (!c->arena)
        c->arena = a;
    c->temp = a;
    c->machine = m;
    c->ops.n = c->data.n = c->buffers.n = c->wires.n = c->patches.n = 0;
    c->depth = c->origin = 0;
    c->failed = false;
    c->class = (Class){0};
}

uint32_t core_buffer(Core *c, const char *name, SegmentKind kind, uint64_t bytes, uint32_t phase)
{
    if (bytes > INT32_MAX / 4) {
        c->failed = true;
        bytes = INT32_MAX / 4;
    }
    Buffer b = {.name = name, .kind = kind, .bytes = (uint32_t)bytes, .phase = phase};
    vec_push(c->arena, &c->buffers, b);
    return (uint32_t)c->buffers.n - 1;
}

uint32_t core_wire(Core *c, WireKind kind, uint32_t index, bool used, uint32_t words,
                   uint32_t slots)
{
    Wire w = {.kind = kind, .index = index, .used = used, .words = words, .slots = slots};
    vec_push(c->arena, &c->wires, w);
    return (uint32_t)c->wires.n - 1;
}

static uint32_t add_word(Core *c, int64_t value)
{
    if (value < INT32_MIN || value > INT32_MAX || c->data.n >= PROGRAM_MAX_DATA) {
        c->failed = true;
        value = 0;
    }
    if (c->data.n < PROGRAM_MAX_DATA)
        vec_push(c->arena, &c->data, (int32_t)value);
    return (uint32_t)c->data.n - 1;
}

Scalar core_number(Core *c, int64_t value)
{
    return DATA((int32_t)add_word(c, value));
}

Scalar core_table(Core *c, const int64_t *value, uint32_t n, uint32_t depth)
{
    uint32_t first = (uint32_t)c->data.n;
    for (uint32_t i = 0; i < n; i++)
        add_word(c, value[i]);
    return TABLE((int32_t)first, (uint8_t)depth);
}

static uint32_t add_address(Core *c, uint32_t buffer, int64_t offset)
{
    uint32_t word = add_word(c, 0);
    if (offset < INT32_MIN || offset > INT32_MAX) {
        c->failed = true;
        offset = 0;
    }
    Patch p = {word, buffer, (int32_t)offset};
    vec_push(c->arena, &c->patches, p);
    return word;
}

Scalar core_address(Core *c, uint32_t buffer, int64_t offset)
{
    return DATA((int32_t)add_address(c, buffer, offset));
}

Scalar core_addresses(Core *c, uint32_t buffer, const int64_t *offset, uint32_t n, uint32_t depth)
{
    uint32_t first = (uint32_t)c->data.n;
    for (uint32_t i = 0; i < n; i++)
        add_address(c, buffer, offset[i]);
    return TABLE((int32_t)first, (uint8_t)depth);
}

Operand op_none(void)
{
    return (Operand){.kind = OPERAND_NONE};
}

Operand op_mem(DType t, Scalar base, Scalar s3, Scalar s2, Scalar s1, Scalar s0)
{
    return (Operand){
        .kind = OPERAND_MEM, .dtype = (uint8_t)t, .base = base, .stride = {s3, s2, s1, s0}};
}

Operand op_wire(DType t, uint32_t wire, uint32_t held)
{
    return (Operand){.kind = OPERAND_COLOR,
                     .dtype = (uint8_t)t,
                     .channel = (uint8_t)wire,
                     .held = (uint8_t)held};
}

Operand op_value(float v)
{
    return (Operand){.kind = OPERAND_FLOAT, .dtype = DT_F32, .value = v};
}

static Op *add_op(Core *c, Opcode code)
{
    Op op = {.code = (uint8_t)code, .origin = c->origin, .count = ONE};
    for (int i = 0; i < PROGRAM_DIMS; i++)
        op.extent[i] = ONE;
    vec_push(c->arena, &c->ops, op);
    return &c->ops.data[c->ops.n - 1];
}

uint32_t core_loop(Core *c, Scalar count)
{
    add_op(c, OPCODE_LOOP)->count = count;
    return c->depth++;
}

void core_end(Core *c)
{
    add_op(c, OPCODE_END);
    c->depth--;
}

void core_select(Core *c, Opcode code, Dims dims, Operand dst, Operand a, Operand b, Operand v)
{
    Op *op = add_op(c, code);
    for (int i = 0; i < PROGRAM_DIMS; i++)
        op->extent[i] = dims.e[i];
    op->dst = dst;
    op->src[0] = a;
    op->src[1] = b;
    op->src[2] = v;
}

void core_op(Core *c, Opcode code, Dims dims, Operand dst, Operand a, Operand b)
{
    core_select(c, code, dims, dst, a, b, op_none());
}

static uint32_t align_to(uint32_t address, uint32_t phase)
{
    return (address + 7 - phase) / 8 * 8 + phase;
}

static void place_buffers(Core *c, SegmentKind kind, uint64_t *at)
{
    for (size_t i = 0; i < c->buffers.n; i++) {
        Buffer *b = &c->buffers.data[i];
        if (b->kind != kind || b->bytes == 0)
            continue;
        b->address = align_to((uint32_t)*at, b->phase);
        *at = (uint64_t)b->address + b->bytes;
        if (*at > INT32_MAX / 2) {
            c->failed = true;
            *at = INT32_MAX / 2;
        }
    }
}

bool core_finish(Core *c, const char **why)
{
    c->class.n_ops = (uint32_t)c->ops.n;
    c->class.ops = c->ops.data;
    c->class.n_data = (uint32_t)c->data.n;
    c->class.n_channels = (uint32_t)c->wires.n;
    *why = "more than the program format holds";
    if (c->wires.n > PROGRAM_MAX_CHANNELS || c->ops.n > PROGRAM_MAX_OPS)
        return false;
    for (size_t i = 0; i < c->wires.n; i++) {
        WireKind k = c->wires.data[i].kind;
        c->class.channel_is_out[i] = k == WIRE_OUTPUT || k == WIRE_CHAIN_OUT;
    }
    if (!class_finish(&c->class, why))
        return false;

    c->code_bytes = c->class.n_ops * c->machine->op_bytes;
    c->data_address = align_to(c->machine->reserve_bytes + c->code_bytes, 0);
    uint64_t at = c->data_address + 4 * c->data.n;
    place_buffers(c, SEGMENT_WEIGHTS, &at);
    place_buffers(c, SEGMENT_BUFFER, &at);
    for (size_t i = 0; i < c->wires.n; i++) {
        Wire *w = &c->wires.data[i];
        if (!w->used || c->class.channel_is_out[i])
            continue;
        w->ring = align_to((uint32_t)at, 0);
        at = w->ring + (uint64_t)w->words * w->slots * 4;
        if (at > INT32_MAX / 2) {
            c->failed = true;
            at = INT32_MAX / 2;
        }
    }
    c->bytes = (uint32_t)at;
    for (size_t i = 0; i < c->patches.n; i++) {
        const Patch *p = &c->patches.data[i];
        const Buffer *b = &c->buffers.data[p->buffer];
        c->data.data[p->word] = b->bytes ? (int32_t)b->address + p->offset : 0;
    }
    if (c->failed)
        *why = "more than a core's memory could ever hold";
    return !c->failed;
}
