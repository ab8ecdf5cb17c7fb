// SPDX-License-Identifier: Apache-2.0
// tests/common/random_image.c - grows a random dataflow graph block by block on a small fabric.
//
// A stream has one source and a fixed sequence of message lengths a sample; a block takes some
// of the streams there are and makes new ones, so counts balance by construction and the graph
// has no cycles but those inside a block. Streams left over at the end go to host ports. Routes
// are dimension-ordered (x first or y first), whose union from one source is a tree; a color is
// any that is free on all its routers. Rings get 1 to 3 slots; where that can deadlock (a fork
// that rejoins), each gets room for a whole sample, which can't.

#include "tests/common/random_image.h"

#include <stdio.h>
#include <stdlib.h>

#include "ir/support/vec.h"
#include "runtime/check.h"
#include "tests/common/test_machine.h"

enum {
    MAX_MESSAGES = 6,
    MAX_LENGTH = 12,
    CODE_ROOM = 2048, // bytes after the reserve, for code
    DATA_ROOM = 1024,
    EXTENT_X = 10, // most columns, and rows
};

typedef struct End { // where a stream begins or ends
    uint32_t x, y;
    int core, port; // one of them, the other is -1
    uint32_t channel;
} End;

typedef struct Flow { // a stream while it is built
    const char *name;
    DType type;
    uint32_t k, n[MAX_MESSAGES]; // messages a sample, elements of each
    bool fixed;                  // all n equal
    int prefer;                  // color, -1: any
    End source;
    VEC(End) to;
    uint32_t color;
} Flow;

typedef struct Cell { // a core while it is built
    uint32_t x, y, kernel;
    Class c;
    VEC(Op) ops;
    VEC(int32_t) data;
    Channel channels[PROGRAM_MAX_CHANNELS];
    int flow[PROGRAM_MAX_CHANNELS]; // of an incoming channel
    VEC(Segment) segments;
    VEC(Init) inits;
    uint32_t top; // of the memory in use
} Cell;

typedef struct Maker {
    Arena *a;
    Rng *rng;
    Machine m;
    bool wide; // rings hold a whole sample
    VEC(Flow *) flows;
    VEC(Cell *) cells;
    VEC(KernelInfo) kernels;
    VEC(HostTensor) tensors;
    VEC(Port) ports;
    VEC(Class) classes;
    VEC(RouteRect) routes;
    VEC(CoreRect) rects;
    VEC(Origin) origins;
    VEC(uint8_t) weights;
    bool used[EXTENT_X][EXTENT_X];
    uint32_t colors[EXTENT_X][EXTENT_X]; // in use, a set
    bool port_used[SIDE_COUNT][EXTENT_X];
} Maker;

static uint32_t below(Maker *k, uint32_t n)
{
    return rng_below(k->rng, n);
}

static bool chance(Maker *k, uint32_t percent)
{
    return below(k, 100) < percent;
}

Machine random_machine(Rng *rng)
{
    Machine m = test_machine();
    m.width = 6 + rng_below(rng, 5);
    m.height = 6 + rng_below(rng, 5);
    m.setup = rng_below(rng, 8);
    m.setup_loop = rng_below(rng, 16);
    m.latency = rng_below(rng, 3);
    m.landing.num = 1 + rng_below(rng, 3);
    m.landing.den = 1 + rng_below(rng, 2);
    m.hop = 1 + rng_below(rng, 2);
    m.ramp = rng_below(rng, 3);
    m.ports_west = m.ports_east = EXTENT_X;
    m.host_words = (Fraction){2 * EXTENT_X, 1};
    snprintf(m.name, sizeof m.name, "random-%ux%u", m.width, m.height);
    for (int c = 0; c < COST_COUNT; c++) {
        for (int t = 0; t < DT_COUNT; t++) {
            m.cost[c][t].width = (Fraction){1 + rng_below(rng, 4), 1 + rng_below(rng, 3)};
            m.cost[c][t].conflict = (Fraction){2 + rng_below(rng, 2), 2};
        }
    }
    return m;
}

// ---- cells ----

static uint32_t origin(Maker *k, const char *name)
{
    Origin o = {name, 1 + (uint32_t)k->origins.n, 1};
    vec_push(k->a, &k->origins, o);
    return (uint32_t)k->origins.n - 1;
}

// A free run of w cores in a row, taken as one kernel's region.
static bool take_cells(Maker *k, uint32_t w, const char *kind, Cell **cells)
{
    for (int attempt = 0; attempt < 50; attempt++) {
        uint32_t x = below(k, k->m.width - w + 1), y = below(k, k->m.height);
        bool is_free = true;
        for (uint32_t i = 0; i < w; i++)
            is_free = is_free && !k->used[y][x + i];
        if (!is_free)
            continue;
        const char *name = arena_printf(k->a, "%s%zu", kind, k->kernels.n);
        KernelInfo info = {.name = name,
                           .kind = kind,
                           .shape = "",
                           .x = x,
                           .y = y,
                           .w = w,
                           .h = 1,
                           .origin = origin(k, name)};
        vec_push(k->a, &k->kernels, info);
        for (uint32_t i = 0; i < w; i++) {
            Cell *c = arena_new(k->a, Cell);
            c->x = x + i;
            c->y = y;
            c->kernel = (uint32_t)k->kernels.n - 1;
            c->top = k->m.reserve_bytes + CODE_ROOM + DATA_ROOM;
            c->c.name = name;
            k->used[y][x + i] = true;
            vec_push(k->a, &k->cells, c);
            cells[i] = c;
        }
        return true;
    }
    return false;
}

static int cell_index(const Maker *k, const Cell *c)
{
    int i = 0;
    while (k->cells.data[i] != c)
        i++;
    return i;
}

static uint32_t channel(Cell *c, bool out)
{
    uint32_t id = c->c.n_channels++;
    c->c.channel_is_out[id] = out;
    c->channels[id] = (Channel){.color = -1};
    c->flow[id] = -1;
    return id;
}

static uint32_t allot(Maker *k, Cell *c, SegmentKind kind, uint32_t bytes)
{
    Segment s = {c->top, bytes, kind, k->kernels.data[c->kernel].origin};
    vec_push(k->a, &c->segments, s);
    c->top += (bytes + 15) & ~15u;
    return s.address;
}

static uint32_t buffer(Maker *k, Cell *c, DType t, uint32_t n)
{
    return allot(k, c, SEGMENT_BUFFER, n * dtype_bytes(t));
}

// Random numbers in [-1, 1).
static uint32_t weights(Maker *k, Cell *c, DType t, uint32_t n)
{
    uint32_t bytes = n * dtype_bytes(t), at = allot(k, c, SEGMENT_WEIGHTS, bytes);
    Init init = {.address = at, .bytes = bytes, .offset = k->weights.n};
    vec_push(k->a, &c->inits, init);
    for (uint32_t i = 0; i < n; i++) {
        float v = (float)(2 * rng_unit(k->rng) - 1);
        uint32_t bits = t == DT_F16 ? f16_from_f32(v) : f32_to_bits(v);
        for (uint32_t b = 0; b < dtype_bytes(t); b++)
            vec_push(k->a, &k->weights, (uint8_t)(bits >> (8 * b)));
    }
    return at;
}

static Scalar word(Maker *k, Cell *c, int32_t v)
{
    vec_push(k->a, &c->data, v);
    return DATA((int32_t)c->data.n - 1);
}

static Scalar number(Maker *k, Cell *c, int32_t v)
{
    return chance(k, 40) ? word(k, c, v) : IMM(v);
}

static Scalar table(Maker *k, Cell *c, const uint32_t *v, uint32_t n)
{
    Scalar s = TABLE((int32_t)c->data.n, 0);
    for (uint32_t i = 0; i < n; i++)
        vec_push(k->a, &c->data, (int32_t)v[i]);
    return s;
}

// The length of message i0 of a stream.
static Scalar length(Maker *k, Cell *c, const Flow *f)
{
    return f->fixed && chance(k, 70) ? number(k, c, (int32_t)f->n[0]) : table(k, c, f->n, f->k);
}

// ---- operations ----

static Operand mem(DType t, Scalar base, int32_t stride)
{
    Operand o = {.kind = OPERAND_MEM, .dtype = (uint8_t)t, .base = base};
    o.stride[PROGRAM_DIMS - 1] = IMM(stride);
    return o;
}

static Operand color(DType t, uint32_t ch)
{
    return (Operand){.kind = OPERAND_COLOR, .dtype = (uint8_t)t, .channel = (uint8_t)ch};
}

static Operand constant(float v)
{
    return (Operand){.kind = OPERAND_FLOAT, .dtype = DT_F32, .value = v};
}

static Op *op2(Maker *k, Cell *c, Opcode code, Scalar n, Operand dst, Operand a, Operand b)
{
    Op op = {.code = (uint8_t)code,
             .extent = {IMM(1), IMM(1), IMM(1), n},
             .dst = dst,
             .src = {a, b},
             .origin = k->kernels.data[c->kernel].origin};
    vec_push(k->a, &c->ops, op);
    return &c->ops.data[c->ops.n - 1];
}

static Op *op1(Maker *k, Cell *c, Opcode code, Scalar n, Operand dst, Operand a)
{
    return op2(k, c, code, n, dst, a, (Operand){0});
}

static void loop(Maker *k, Cell *c, Scalar count)
{
    Op op = {.code = OPCODE_LOOP, .count = count};
    vec_push(k->a, &c->ops, op);
}

static void end(Maker *k, Cell *c)
{
    Op op = {.code = OPCODE_END};
    vec_push(k->a, &c->ops, op);
}

// ---- streams ----

static Flow *flow(Maker *k, DType t, uint32_t count, const uint32_t *n)
{
    Flow *f = arena_new(k->a, Flow);
    f->name = arena_printf(k->a, "stream %zu", k->flows.n);
    f->type = t;
    f->k = count;
    f->fixed = true;
    f->prefer = -1;
    for (uint32_t i = 0; i < count; i++) {
        f->n[i] = n[i];
        f->fixed = f->fixed && n[i] == n[0];
    }
    vec_push(k->a, &k->flows, f);
    return f;
}

static uint32_t longest(const Flow *f)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->k; i++)
        n = f->n[i] > n ? f->n[i] : n;
    return n;
}

// A core takes a stream on a new channel, or on one that is there.
static uint32_t take_on(Maker *k, Flow *f, Cell *c, uint32_t ch)
{
    End e = {c->x, c->y, cell_index(k, c), -1, ch};
    vec_push(k->a, &f->to, e);
    c->channels[ch].color = 0; // in use; numbers come later
    for (size_t i = 0; i < k->flows.n; i++)
        c->flow[ch] = k->flows.data[i] == f ? (int)i : c->flow[ch];
    return ch;
}

static uint32_t take(Maker *k, Flow *f, Cell *c)
{
    return take_on(k, f, c, channel(c, false));
}

static void give_on(Maker *k, Flow *f, Cell *c, uint32_t ch)
{
    f->source = (End){c->x, c->y, cell_index(k, c), -1, ch};
    c->channels[ch].color = 0;
}

static uint32_t give(Maker *k, Flow *f, Cell *c)
{
    uint32_t ch = channel(c, true);
    give_on(k, f, c, ch);
    return ch;
}

// Some stream with room for one more receiver; equal to `like` in lengths if that is given.
static Flow *any_flow(Maker *k, const Flow *like)
{
    for (int attempt = 0; attempt < 30; attempt++) {
        Flow *f = k->flows.data[below(k, (uint32_t)k->flows.n)];
        bool fits = f->to.n < 4 && f->prefer < 0 && f != like;
        if (like)
            fits = fits && f->k == like->k && memcmp(f->n, like->n, sizeof f->n) == 0;
        if (fits)
            return f;
    }
    return NULL;
}

static DType any_float(Maker *k)
{
    return chance(k, 50) ? DT_F32 : DT_F16;
}

// ---- host ports ----

static bool take_port(Maker *k, Port *p)
{
    for (int attempt = 0; attempt < 50; attempt++) {
        p->side = chance(k, 50) ? SIDE_W : SIDE_E;
        p->y = below(k, k->m.height);
        if (k->port_used[p->side][p->y])
            continue;
        k->port_used[p->side][p->y] = true;
        return true;
    }
    return false;
}

// A port that copies a stream from or to the tensor of all its messages, one after another.
static bool add_port(Maker *k, Flow *f, bool sink, int tensor)
{
    Port p = {.is_sink = sink, .p = 1 + below(k, 3), .q = 1, .color = 0};
    if (!take_port(k, &p))
        return false;
    uint32_t total = 0, bytes = dtype_bytes(f->type), offset[MAX_MESSAGES];
    for (uint32_t i = 0; i < f->k; i++) {
        offset[i] = total * bytes;
        total += f->n[i];
    }
    if (tensor < 0) {
        const char *name = arena_printf(k->a, sink ? "y%zu" : "x%zu", k->tensors.n);
        HostTensor t = {.name = name,
                        .is_output = sink,
                        .dtype = f->type,
                        .rank = 1,
                        .extent = {total},
                        .origin = origin(k, name)};
        if (f->fixed && chance(k, 70)) {
            t.rank = 2;
            t.extent[0] = f->k;
            t.extent[1] = f->n[0];
        }
        vec_push(k->a, &k->tensors, t);
        tensor = (int)k->tensors.n - 1;
    }
    p.tensor = (uint32_t)tensor;
    Cell program = {.c = {.name = "port"}};
    uint32_t ch = channel(&program, !sink);
    loop(k, &program, number(k, &program, (int32_t)f->k));
    Operand memory;
    if (f->fixed && chance(k, 50)) {
        memory = mem(f->type, IMM(0), 1);
        memory.step[0] = IMM((int32_t)(f->n[0] * bytes));
    } else {
        memory = mem(f->type, table(k, &program, offset, f->k), 1);
    }
    Scalar n = table(k, &program, f->n, f->k);
    Operand message = color(f->type, ch);
    Op op = {.code = OPCODE_COPY,
             .extent = {IMM(1), IMM(1), IMM(1), n},
             .dst = sink ? memory : message,
             .src = {sink ? message : memory}};
    vec_push(k->a, &program.ops, op);
    end(k, &program);
    program.c.ops = program.ops.data;
    program.c.n_ops = (uint32_t)program.ops.n;
    program.c.n_data = (uint32_t)program.data.n;
    p.class_id = (uint32_t)k->classes.n;
    p.data = program.data.data;
    vec_push(k->a, &k->classes, program.c);
    End e = {p.side == SIDE_W ? 0 : k->m.width - 1, p.y, -1, (int)k->ports.n, 0};
    if (sink)
        vec_push(k->a, &f->to, e);
    else
        f->source = e;
    vec_push(k->a, &k->ports, p);
    return true;
}

static bool add_input(Maker *k)
{
    uint32_t n[MAX_MESSAGES], count = 1 + below(k, MAX_MESSAGES);
    n[0] = 1 + below(k, MAX_LENGTH);
    bool fixed = chance(k, 60);
    for (uint32_t i = 1; i < count; i++)
        n[i] = fixed ? n[0] : 1 + below(k, MAX_LENGTH);
    DType t = any_float(k);
    if (!add_port(k, flow(k, t, count, n), false, -1)) {
        k->flows.n--;
        return false;
    }
    if (chance(k, 20)) { // the same tensor once more
        Flow *again = flow(k, t, count, n);
        if (!add_port(k, again, false, (int)k->tensors.n - 1))
            k->flows.n--;
    }
    return true;
}

// ---- blocks ----

// f(x), message by message: straight from color to color, or through memory.
static bool add_map(Maker *k)
{
    static const Opcode codes[] = {OPCODE_ADD, OPCODE_SUB, OPCODE_MUL, OPCODE_MIN, OPCODE_MAX};
    Flow *x = any_flow(k, NULL);
    Cell *c;
    if (!x || !take_cells(k, 1, "map", &c))
        return false;
    DType t = any_float(k), inside = any_float(k);
    Flow *y = flow(k, t, x->k, x->n);
    uint32_t in = take(k, x, c), out = give(k, y, c);
    Scalar n = length(k, c, x);
    uint32_t w = weights(k, c, inside, MAX_LENGTH), b = buffer(k, c, inside, MAX_LENGTH);
    Opcode code = codes[below(k, 5)];
    loop(k, c, number(k, c, (int32_t)x->k));
    if (chance(k, 40) && x->type != DT_I32) {
        op2(k, c, code, n, color(t, out), color(x->type, in), mem(inside, IMM((int32_t)w), 1));
    } else {
        DType stored = x->type == DT_I32 ? DT_F32 : inside;
        if (stored != inside)
            b = buffer(k, c, stored, MAX_LENGTH);
        Operand m = mem(stored, number(k, c, (int32_t)b), 1);
        op1(k, c, OPCODE_COPY, n, m, color(x->type, in));
        loop(k, c, number(k, c, (int32_t)below(k, 3))); // a part that may be left out
        op2(k, c, code, n, m, m, constant((float)below(k, 4) - 1.5f));
        op2(k, c, OPCODE_SELGE, n, m, constant(0.25f), m)->src[2] = mem(inside, IMM((int32_t)w), 1);
        end(k, c);
        op2(k, c, OPCODE_MUL, IMM(0), m, m, m); // no elements: does nothing
        op1(k, c, OPCODE_COPY, n, color(t, out), m);
    }
    end(k, c);
    return true;
}

// To integers and on as integers.
static bool add_integers(Maker *k)
{
    Flow *x = any_flow(k, NULL);
    Cell *c;
    if (!x || x->type == DT_F16 || !take_cells(k, 1, "int", &c))
        return false;
    Flow *y = flow(k, DT_I32, x->k, x->n);
    uint32_t in = take(k, x, c), out = give(k, y, c);
    Scalar n = length(k, c, x);
    loop(k, c, IMM((int32_t)x->k));
    op1(k, c, OPCODE_COPY, n, color(DT_I32, out), color(x->type, in));
    end(k, c);
    return true;
}

// All messages of a sample summed up (over the common length), sent once or twice.
static bool add_sum(Maker *k)
{
    Flow *x = any_flow(k, NULL);
    Cell *c;
    if (!x || x->type == DT_I32 || !take_cells(k, 1, "sum", &c))
        return false;
    DType t = any_float(k);
    uint32_t n[2] = {longest(x), longest(x)}, times = 1 + below(k, 2);
    Flow *y = flow(k, t, times, n);
    uint32_t in = take(k, x, c), out = give(k, y, c);
    uint32_t at = buffer(k, c, DT_F32, MAX_LENGTH);
    Operand sum = mem(DT_F32, number(k, c, (int32_t)at), 1);
    Scalar all = number(k, c, (int32_t)n[0]);
    op1(k, c, OPCODE_COPY, all, sum, constant(0));
    loop(k, c, number(k, c, (int32_t)x->k));
    op2(k, c, chance(k, 50) ? OPCODE_ADD : OPCODE_MAX, length(k, c, x), sum, sum,
        color(x->type, in));
    end(k, c);
    loop(k, c, number(k, c, (int32_t)times));
    op1(k, c, OPCODE_COPY, all, color(t, out), sum);
    end(k, c);
    return true;
}

// Two streams of equal lengths, added message by message, in one of two orders.
static bool add_join(Maker *k)
{
    Flow *x = any_flow(k, NULL), *z = x ? any_flow(k, x) : NULL;
    Cell *c;
    if (!z || x->type == DT_I32 || z->type == DT_I32 || !take_cells(k, 1, "join", &c))
        return false;
    DType t = any_float(k);
    Flow *y = flow(k, t, x->k, x->n);
    uint32_t in = take(k, x, c), in2 = take(k, z, c), out = give(k, y, c);
    Scalar n = length(k, c, x);
    uint32_t at = buffer(k, c, DT_F32, MAX_MESSAGES * MAX_LENGTH);
    if (chance(k, 50)) { // as they come
        loop(k, c, number(k, c, (int32_t)x->k));
        op2(k, c, OPCODE_ADD, n, color(t, out), color(x->type, in), color(z->type, in2));
        end(k, c);
        return true;
    }
    Operand m = mem(DT_F32, number(k, c, (int32_t)at), 1); // all of one, then all of the other
    m.step[0] = number(k, c, 4 * MAX_LENGTH);
    loop(k, c, number(k, c, (int32_t)x->k));
    op1(k, c, OPCODE_COPY, n, m, color(x->type, in));
    end(k, c);
    loop(k, c, number(k, c, (int32_t)x->k));
    op2(k, c, OPCODE_SUB, n, color(t, out), m, color(z->type, in2));
    end(k, c);
    return true;
}

// Some messages pass, the others are dropped: a table of the core says which.
static bool add_pick(Maker *k)
{
    Flow *x = any_flow(k, NULL);
    Cell *c;
    if (!x || x->type == DT_I32 || !take_cells(k, 1, "pick", &c))
        return false;
    uint32_t yes[MAX_MESSAGES], no[MAX_MESSAGES], n[MAX_MESSAGES], count = 0;
    uint32_t surely = below(k, x->k);
    for (uint32_t i = 0; i < x->k; i++) {
        yes[i] = i == surely || chance(k, 50);
        no[i] = !yes[i];
        if (yes[i])
            n[count++] = x->n[i];
    }
    Flow *y = flow(k, x->type, count, n);
    uint32_t in = take(k, x, c), out = give(k, y, c);
    Scalar len = length(k, c, x);
    loop(k, c, number(k, c, (int32_t)x->k));
    loop(k, c, table(k, c, yes, x->k));
    op1(k, c, OPCODE_COPY, len, color(x->type, out), color(x->type, in));
    end(k, c);
    loop(k, c, table(k, c, no, x->k));
    op1(k, c, OPCODE_SKIP, len, (Operand){0}, color(x->type, in));
    end(k, c);
    end(k, c);
    return true;
}

// A line buffer of R rows, addressed as a ring: each result is the sum of the last R messages,
// rows before the first being zero.
static bool add_line_buffer(Maker *k)
{
    Flow *x = any_flow(k, NULL);
    Cell *c;
    if (!x || x->type == DT_I32 || !take_cells(k, 1, "lines", &c))
        return false;
    int32_t rows = 2 + (int32_t)below(k, 2), w = (int32_t)longest(x);
    DType t = any_float(k), inside = any_float(k);
    int32_t pitch = w * (int32_t)dtype_bytes(inside);
    uint32_t n[MAX_MESSAGES];
    for (uint32_t i = 0; i < x->k; i++)
        n[i] = (uint32_t)w;
    Flow *y = flow(k, t, x->k, n);
    uint32_t in = take(k, x, c), out = give(k, y, c);
    int32_t lines = (int32_t)buffer(k, c, inside, (uint32_t)(rows * w));
    int32_t sum = (int32_t)buffer(k, c, DT_F32, (uint32_t)w);
    op1(k, c, OPCODE_COPY, number(k, c, rows * w), mem(inside, IMM(lines), 1), constant(0));
    loop(k, c, number(k, c, (int32_t)x->k));
    Operand line = mem(inside, IMM(lines), 1);
    line.ring_pitch = number(k, c, pitch);
    line.ring_offset = IMM(0);
    line.ring_modulus = number(k, c, rows);
    line.ring_coef[0] = 1;
    op1(k, c, OPCODE_COPY, length(k, c, x), line, color(x->type, in));
    op1(k, c, OPCODE_COPY, IMM(w), mem(DT_F32, IMM(sum), 1), constant(0));
    loop(k, c, IMM(rows));
    line.ring_offset = word(k, c, 1);
    line.ring_coef[1] = 1;
    op2(k, c, OPCODE_ADD, IMM(w), mem(DT_F32, IMM(sum), 1), mem(DT_F32, IMM(sum), 1), line);
    end(k, c);
    op1(k, c, OPCODE_COPY, IMM(w), color(t, out), mem(DT_F32, IMM(sum), 1));
    end(k, c);
    return true;
}

// Every message in two halves, on two streams: the first features and the rest.
static bool add_split(Maker *k)
{
    Flow *x = any_flow(k, NULL);
    Cell *c;
    if (!x || x->type == DT_I32 || !x->fixed || x->n[0] < 2 || !take_cells(k, 1, "split", &c))
        return false;
    uint32_t lo[MAX_MESSAGES], hi[MAX_MESSAGES];
    for (uint32_t i = 0; i < x->k; i++) {
        lo[i] = x->n[0] / 2;
        hi[i] = x->n[0] - lo[i];
    }
    Flow *y = flow(k, x->type, x->k, lo), *z = flow(k, x->type, x->k, hi);
    uint32_t in = take(k, x, c), out = give(k, y, c), out2 = give(k, z, c);
    int32_t at = (int32_t)buffer(k, c, x->type, MAX_LENGTH);
    int32_t half = at + (int32_t)(lo[0] * dtype_bytes(x->type));
    loop(k, c, number(k, c, (int32_t)x->k));
    op1(k, c, OPCODE_COPY, length(k, c, x), mem(x->type, IMM(at), 1), color(x->type, in));
    op1(k, c, OPCODE_COPY, number(k, c, (int32_t)lo[0]), color(x->type, out),
        mem(x->type, IMM(at), 1));
    op1(k, c, OPCODE_COPY, number(k, c, (int32_t)hi[0]), color(x->type, out2),
        mem(x->type, number(k, c, half), 1));
    end(k, c);
    return true;
}

// One cell of a chain of partial sums. All cells have one text: what differs is data.
static void chain_cell(Maker *k, Cell *c, Flow *x, uint32_t o, DType stored, DType result,
                       bool first, bool last)
{
    for (uint32_t i = 0; i < 4; i++)
        channel(c, i >= 2);
    take_on(k, x, c, 0);
    int32_t w = (int32_t)weights(k, c, stored, MAX_LENGTH * o);
    int32_t acc = (int32_t)buffer(k, c, DT_F32, o), row = (int32_t)o;
    Operand sum = mem(DT_F32, IMM(acc), 1);
    loop(k, c, IMM((int32_t)x->k));
    op1(k, c, OPCODE_COPY, IMM(row), sum, constant(0));
    Operand held = color(x->type, 0), matrix = mem(stored, word(k, c, w), 1);
    held.held = 1;
    matrix.stride[2] = IMM(row);
    op2(k, c, OPCODE_MAC, IMM(row), sum, matrix, held)->extent[2] = table(k, c, x->n, x->k);
    loop(k, c, word(k, c, first && !last));
    op1(k, c, OPCODE_COPY, IMM(row), color(DT_F32, 2), sum);
    end(k, c);
    loop(k, c, word(k, c, !first && !last));
    op2(k, c, OPCODE_ADD, IMM(row), color(DT_F32, 2), color(DT_F32, 1), sum);
    end(k, c);
    loop(k, c, word(k, c, !first && last));
    op2(k, c, OPCODE_ADD, IMM(row), sum, color(DT_F32, 1), sum);
    end(k, c);
    loop(k, c, word(k, c, last));
    op2(k, c, OPCODE_MAX, IMM(row), color(result, 3), sum, constant(-1));
    end(k, c);
    end(k, c);
}

// A matrix cut over cores in a row: x is multicast, partial sums run along.
static bool add_chain(Maker *k)
{
    Flow *x = any_flow(k, NULL);
    Cell *cells[6];
    uint32_t w = 1 + below(k, 6);
    if (!x || x->type == DT_I32 || x->to.n > 1 || !take_cells(k, w, "chain", cells))
        return false;
    uint32_t o = 1 + below(k, MAX_LENGTH), n[MAX_MESSAGES];
    DType stored = any_float(k), result = any_float(k);
    for (uint32_t i = 0; i < x->k; i++)
        n[i] = o;
    for (uint32_t i = 0; i < w; i++)
        chain_cell(k, cells[i], x, o, stored, result, i == 0, i + 1 == w);
    for (uint32_t i = 0; i + 1 < w; i++) {
        Flow *partial = flow(k, DT_F32, x->k, n);
        partial->prefer = (int)(i % 2);
        give_on(k, partial, cells[i], 2);
        take_on(k, partial, cells[i + 1], 1);
    }
    give_on(k, flow(k, result, x->k, n), cells[w - 1], 3);
    return true;
}

// Two cores send what they have to a third between them, which adds and sends the sum back to
// both; one of them passes it on.
static bool add_feedback(Maker *k)
{
    Flow *x = any_flow(k, NULL);
    Cell *cells[3];
    if (!x || x->type == DT_I32 || x->to.n > 1 || !take_cells(k, 3, "allreduce", cells))
        return false;
    DType t = any_float(k);
    Flow *to[2], *back = flow(k, DT_F32, x->k, x->n);
    back->prefer = 2;
    uint32_t in[2], out;
    for (int i = 0; i < 2; i++) {
        to[i] = flow(k, DT_F32, x->k, x->n);
        to[i]->prefer = 3 + i;
        in[i] = take(k, to[i], cells[1]);
    }
    out = give(k, back, cells[1]);
    Scalar n = length(k, cells[1], x);
    loop(k, cells[1], number(k, cells[1], (int32_t)x->k));
    op2(k, cells[1], OPCODE_ADD, n, color(DT_F32, out), color(DT_F32, in[0]), color(DT_F32, in[1]));
    end(k, cells[1]);
    Flow *y = flow(k, t, x->k, x->n);
    for (int i = 0; i < 2; i++) {
        Cell *c = cells[2 * i];
        uint32_t first = take(k, x, c), send = give(k, to[i], c), again = take(k, back, c);
        n = length(k, c, x);
        Operand scale = mem(DT_F32, IMM((int32_t)weights(k, c, DT_F32, MAX_LENGTH)), 1);
        loop(k, c, number(k, c, (int32_t)x->k));
        op2(k, c, OPCODE_MUL, n, color(DT_F32, send), color(x->type, first), scale);
        if (i == 0)
            op1(k, c, OPCODE_COPY, n, color(t, give(k, y, c)), color(DT_F32, again));
        else
            op1(k, c, OPCODE_SKIP, n, (Operand){0}, color(DT_F32, again));
        end(k, c);
    }
    return true;
}

// ---- routes ----

typedef struct Node { // of a route while it is built
    int in;           // side, -1: not on it
    uint32_t out;
} Node;

static uint32_t toward(uint32_t from, uint32_t to, uint32_t less, uint32_t more)
{
    return to < from ? less : more;
}

static bool route_flow(Maker *k, Flow *f)
{
    Node nodes[EXTENT_X][EXTENT_X];
    for (uint32_t y = 0; y < EXTENT_X; y++) {
        for (uint32_t x = 0; x < EXTENT_X; x++)
            nodes[y][x] = (Node){-1, 0};
    }
    bool x_first = chance(k, 60);
    const End *s = &f->source;
    nodes[s->y][s->x].in = s->port >= 0 ? (int)k->ports.data[s->port].side : SIDE_RAMP;
    for (size_t i = 0; i < f->to.n; i++) {
        const End *t = &f->to.data[i];
        uint32_t x = s->x, y = s->y;
        while (x != t->x || y != t->y) {
            bool along_x = x != t->x && (x_first || y == t->y);
            Side side =
                (Side)(along_x ? toward(x, t->x, SIDE_W, SIDE_E) : toward(y, t->y, SIDE_N, SIDE_S));
            nodes[y][x].out |= 1u << side;
            x = (uint32_t)((int)x + side_dx(side));
            y = (uint32_t)((int)y + side_dy(side));
            nodes[y][x].in = (int)side_opposite(side);
        }
        uint32_t last = t->port >= 0 ? k->ports.data[t->port].side : (uint32_t)SIDE_RAMP;
        if ((int)last == nodes[y][x].in)
            return false; // it would go back to where it came from
        nodes[y][x].out |= 1u << last;
    }
    uint32_t taken = 0;
    for (uint32_t y = 0; y < k->m.height; y++) {
        for (uint32_t x = 0; x < k->m.width; x++)
            taken |= nodes[y][x].in >= 0 ? k->colors[y][x] : 0;
    }
    uint32_t n_colors = k->m.colors - k->m.reserved_colors, c = below(k, n_colors);
    if (f->prefer >= 0)
        c = (uint32_t)f->prefer;
    for (uint32_t i = 0; i < n_colors && taken >> c & 1; i++)
        c = (c + 1) % n_colors;
    if (taken >> c & 1)
        return false;
    f->color = c;
    uint32_t id = 0;
    while (k->flows.data[id] != f)
        id++;
    for (uint32_t y = 0; y < k->m.height; y++) {
        for (uint32_t x = 0; x < k->m.width; x++) {
            Node n = nodes[y][x];
            if (n.in < 0)
                continue;
            k->colors[y][x] |= 1u << c;
            RouteRect *last = k->routes.n ? &k->routes.data[k->routes.n - 1] : NULL;
            if (last && last->stream == id && last->grid.y == y &&
                last->grid.x + last->grid.nx == x && last->in == (uint32_t)n.in &&
                last->out == n.out) {
                last->grid.nx++;
                continue;
            }
            RouteRect r = {{x, y, 1, 1, 1, 1}, c, (uint32_t)n.in, n.out, id};
            vec_push(k->a, &k->routes, r);
        }
    }
    return true;
}

// Gives channels their colors and rings.
static void finish_flow(Maker *k, const Flow *f)
{
    uint32_t bytes = dtype_bytes(f->type), words = (longest(f) * bytes + 3) / 4;
    uint32_t slots = k->wide ? f->k : f->prefer >= 0 ? 2 : 1 + below(k, 3);
    if (f->source.port >= 0)
        k->ports.data[f->source.port].color = f->color;
    else
        k->cells.data[f->source.core]->channels[f->source.channel].color = (int32_t)f->color;
    for (size_t i = 0; i < f->to.n; i++) {
        const End *e = &f->to.data[i];
        if (e->port >= 0) {
            k->ports.data[e->port].color = f->color;
            continue;
        }
        Cell *c = k->cells.data[e->core];
        Channel *ch = &c->channels[e->channel];
        ch->color = (int32_t)f->color;
        ch->slots = slots;
        ch->slot_words = words;
        ch->ring = allot(k, c, SEGMENT_RING, ch->slots * words * 4);
    }
}

// ---- cores to rectangles ----

static uint32_t class_of(Maker *k, Class *c)
{
    for (uint32_t i = 0; i < k->classes.n; i++) {
        if (class_equal(&k->classes.data[i], c))
            return i;
    }
    vec_push(k->a, &k->classes, *c);
    return (uint32_t)k->classes.n - 1;
}

static void finish_cell(Maker *k, Cell *c)
{
    const char *why = "";
    c->c.ops = c->ops.data;
    c->c.n_ops = (uint32_t)c->ops.n;
    c->c.n_data = (uint32_t)c->data.n;
    if (!class_finish(&c->c, &why))
        fprintf(stderr, "random image: %s\n", why);
    uint32_t at = k->m.reserve_bytes, origin_id = k->kernels.data[c->kernel].origin;
    Segment code = {at, c->c.n_ops * k->m.op_bytes, SEGMENT_CODE, origin_id};
    Segment data = {at + CODE_ROOM, 4 * c->c.n_data, SEGMENT_DATA, origin_id};
    vec_push(k->a, &c->segments, code);
    if (data.bytes)
        vec_push(k->a, &c->segments, data);
    CoreRect r = {.grid = {c->x, c->y, 1, 1, 1, 1},
                  .class_id = class_of(k, &c->c),
                  .kernel = c->kernel,
                  .channels = c->channels,
                  .segments = c->segments.data,
                  .n_segments = (uint32_t)c->segments.n,
                  .inits = c->inits.data,
                  .n_inits = (uint32_t)c->inits.n};
    r.data = arena_array(k->a, Affine, (size_t)c->c.n_data + 1);
    for (uint32_t i = 0; i < c->c.n_data; i++)
        r.data[i].value = c->data.data[i];
    vec_push(k->a, &k->rects, r);
}

// Whether core b continues rectangle a to the east, as its core number a->grid.nx.
static bool continues(const Maker *k, const CoreRect *a, const CoreRect *b)
{
    const Class *c = &k->classes.data[a->class_id];
    uint32_t step = b->grid.x - (a->grid.x + (a->grid.nx - 1) * a->grid.sx), n = a->grid.nx;
    if (a->class_id != b->class_id || a->kernel != b->kernel || a->grid.y != b->grid.y ||
        b->grid.x <= a->grid.x || (n > 1 && step != a->grid.sx) || a->n_segments != b->n_segments ||
        a->n_inits != b->n_inits ||
        memcmp(a->channels, b->channels, c->n_channels * sizeof *a->channels) != 0 ||
        memcmp(a->segments, b->segments, a->n_segments * sizeof *a->segments) != 0)
        return false;
    for (uint32_t i = 0; i < c->n_data; i++) {
        if (n > 1 && b->data[i].value != a->data[i].value + (int32_t)n * a->data[i].di)
            return false;
    }
    for (uint32_t i = 0; i < a->n_inits; i++) {
        int64_t pitch = (int64_t)b->inits[i].offset - (int64_t)a->inits[i].offset;
        if (a->inits[i].bytes != b->inits[i].bytes || a->inits[i].address != b->inits[i].address ||
            (n > 1 && pitch != (int64_t)n * a->inits[i].pitch_i))
            return false;
    }
    return true;
}

// Joins cores of a kernel to rectangles with steps, greedily.
static void merge_rects(Maker *k)
{
    for (size_t i = 0; i < k->rects.n; i++) {
        CoreRect *a = &k->rects.data[i];
        const Class *c = &k->classes.data[a->class_id];
        for (size_t j = i + 1; j < k->rects.n; j++) {
            CoreRect *b = &k->rects.data[j];
            if (!continues(k, a, b))
                continue;
            if (a->grid.nx == 1) {
                a->grid.sx = b->grid.x - a->grid.x;
                for (uint32_t d = 0; d < c->n_data; d++)
                    a->data[d].di = b->data[d].value - a->data[d].value;
                for (uint32_t d = 0; d < a->n_inits; d++)
                    a->inits[d].pitch_i = (int64_t)b->inits[d].offset - (int64_t)a->inits[d].offset;
            }
            a->grid.nx++;
            for (size_t m = j + 1; m < k->rects.n; m++)
                k->rects.data[m - 1] = k->rects.data[m];
            k->rects.n--;
            j--;
        }
    }
}

static bool drain(Maker *k)
{
    size_t n = k->flows.n;
    for (size_t i = 0; i < n; i++) {
        if (k->flows.data[i]->to.n == 0 && !add_port(k, k->flows.data[i], true, -1))
            return false;
    }
    return true;
}

static void to_image(Maker *k, Image *image)
{
    StreamInfo *streams = arena_array(k->a, StreamInfo, k->flows.n + 1);
    for (size_t i = 0; i < k->flows.n; i++) {
        const Flow *f = k->flows.data[i];
        const End *s = &f->source, *t = &f->to.data[0];
        uint32_t words = (longest(f) * dtype_bytes(f->type) + 3) / 4;
        streams[i] =
            (StreamInfo){.name = f->name,
                         .tensor = "",
                         .lanes = 1,
                         .color = f->color,
                         .messages = f->k,
                         .from = s->core >= 0 ? (int32_t)k->cells.data[s->core]->kernel : -1,
                         .to = t->core >= 0 ? (int32_t)k->cells.data[t->core]->kernel : -1,
                         .words = words,
                         .origin = origin(k, f->name),
                         .rows = f->k,
                         .cols = 1,
                         .features = longest(f),
                         .segs = 1,
                         .dtype = f->type};
        if (s->port >= 0)
            k->ports.data[s->port].stream = (uint32_t)i;
        for (size_t e = 0; e < f->to.n; e++) {
            if (f->to.data[e].port >= 0)
                k->ports.data[f->to.data[e].port].stream = (uint32_t)i;
        }
    }
    for (uint32_t i = 0; i < k->classes.n; i++) {
        const char *why = "";
        if (!class_finish(&k->classes.data[i], &why))
            fprintf(stderr, "random image: %s\n", why);
    }
    *image = (Image){.machine = k->m,
                     .producer = "random_image",
                     .options = "",
                     .model = "random",
                     .source_name = "random.dsl",
                     .source = "",
                     .has_weights = true,
                     .origins = k->origins.data,
                     .n_origins = (uint32_t)k->origins.n,
                     .classes = k->classes.data,
                     .n_classes = (uint32_t)k->classes.n,
                     .kernels = k->kernels.data,
                     .n_kernels = (uint32_t)k->kernels.n,
                     .streams = streams,
                     .n_streams = (uint32_t)k->flows.n,
                     .cores = k->rects.data,
                     .n_cores = (uint32_t)k->rects.n,
                     .routes = k->routes.data,
                     .n_routes = (uint32_t)k->routes.n,
                     .tensors = k->tensors.data,
                     .n_tensors = (uint32_t)k->tensors.n,
                     .ports = k->ports.data,
                     .n_ports = (uint32_t)k->ports.n,
                     .data = k->weights.data,
                     .data_bytes = k->weights.n,
                     .native = {.cpu = ""}};
}

// One attempt. The checker's messages go to `log`.
static bool make(Arena *a, Rng *rng, bool wide, uint32_t blocks, FILE *log, Image *image)
{
    static bool (*const adders[])(Maker *) = {
        add_map,  add_map,         add_integers, add_sum,   add_join,     add_join,
        add_pick, add_line_buffer, add_split,    add_chain, add_feedback,
    };
    Maker *k = arena_new(a, Maker);
    *k = (Maker){.a = a, .rng = rng, .m = random_machine(rng), .wide = wide};
    origin(k, "");
    k->origins.data[0] = (Origin){"", 0, 0};
    bool good = add_input(k);
    if (good && chance(k, 50))
        add_input(k);
    for (uint32_t i = 0; good && i < blocks; i++)
        adders[below(k, sizeof adders / sizeof *adders)](k);
    good = good && k->cells.n > 0 && drain(k);
    for (size_t i = 0; good && i < k->flows.n; i++)
        good = route_flow(k, k->flows.data[i]);
    for (size_t i = 0; good && i < k->flows.n; i++)
        finish_flow(k, k->flows.data[i]);
    for (size_t i = 0; good && i < k->cells.n; i++)
        finish_cell(k, k->cells.data[i]);
    if (!good)
        return false;
    merge_rects(k);
    to_image(k, image);
    Diag d;
    diag_init(&d, "random_image");
    d.out = log;
    Fabric f;
    good = check_image(a, &d, image, &f);
    diag_finish(&d);
    return good;
}

bool random_image(Arena *a, Rng *rng, Image *result)
{
    char *messages = NULL;
    size_t len = 0;
    FILE *log = open_memstream(&messages, &len);
    bool good = false;
    for (int attempt = 0; log && attempt < 100 && !good; attempt++) {
        Rng start = {rng_next(rng)}, again = start;
        uint32_t blocks = 1 + rng_below(rng, 14);
        rewind(log);
        good = make(a, &start, false, blocks, log, result);
        if (!good) // the same with rings that hold a whole sample
            good = make(a, &again, true, blocks, log, result);
    }
    if (log)
        fclose(log);
    if (!good)
        fprintf(stderr, "random_image: %s\n", messages ? messages : "no log");
    free(messages);
    return good;
}

void random_defects(Arena *a, Rng *rng, Image *image)
{
    Machine *m = &image->machine;
    Defects *d = &image->defects;

    m->spare_columns = 2 * DEFECT_SKIP;
    uint32_t width = m->width + m->spare_columns;
    d->runs = arena_array(a, DefectRun, (size_t)width * m->height);
    for (uint32_t y = 0; y < m->height; y++) {
        uint32_t dead = 0, row = 0; // cores; the latest ones, next to each other
        for (uint32_t x = 0; x < width; x++) {
            bool dies = dead < m->spare_columns && row < DEFECT_SKIP && rng_below(rng, 10) == 0;
            dead += dies;
            row = dies ? row + 1 : 0;
            if (dies)
                d->runs[d->n++] = (DefectRun){(uint16_t)y, (uint16_t)x, 1};
        }
    }
    defects_normalise(d);
}
