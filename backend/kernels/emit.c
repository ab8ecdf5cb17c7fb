/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/emit.c - a plan with regions and routes becomes an image.
 *
 * Cores of a kernel are taken in rectangles of rows and columns of the same kind (block size,
 * place in the chain, parity). Only corners of a rectangle are built; whatever differs
 * between them has to be affine, else the rectangle is halved. So the cost is that of the
 * rectangles, besides copying every core's weights. Class texts are shared by equality. */
#include <stdlib.h>
#include <string.h>

#include "backend/kernels/emit.h"

static uint32_t add_origin(Emitter *e, const char *name, Span at)
{
    uint32_t line = 0, column = 0;
    if (at.file)
        diag_line_column(e->diag, at, &line, &column);
    for (size_t i = 0; i < e->origins.n; i++) {
        const Origin *o = &e->origins.data[i];
        if (o->line == line && o->column == column && strcmp(o->name, name) == 0)
            return (uint32_t)i;
    }
    Origin o = {name, line, column};
    vec_push(e->arena, &e->origins, o);
    return (uint32_t)e->origins.n - 1;
}

static uint32_t add_class(Emitter *e, const Class *c)
{
    uint64_t hash = class_hash(c);
    for (size_t i = 0; i < e->classes.n; i++)
        if (e->hashes.data[i] == hash && class_equal(&e->classes.data[i], c))
            return (uint32_t)i;
    Class copy = *c;
    copy.ops = arena_array(e->arena, Op, c->n_ops);
    memcpy(copy.ops, c->ops, c->n_ops * sizeof *c->ops);
    vec_push(e->arena, &e->classes, copy);
    vec_push(e->arena, &e->hashes, hash);
    return (uint32_t)e->classes.n - 1;
}

/* Room for n bytes of initial contents; returns the offset. */
static size_t add_data(Emitter *e, size_t n)
{
    size_t at = (e->data_bytes + 7) / 8 * 8;
    while (at + n > e->data_cap) {
        size_t cap = e->data_cap ? 2 * e->data_cap : 1 << 16;
        uint8_t *grown = arena_alloc(e->arena, cap, 1, 8);
        if (e->data_bytes)
            memcpy(grown, e->data, e->data_bytes);
        e->data = grown;
        e->data_cap = cap;
    }
    e->data_bytes = at + n;
    return at;
}

/* One kernel while its cores are emitted. */
typedef struct KernelEmitter {
    Emitter *e;
    Part part;
    Arena scratch;
    uint32_t *origins; /* of operations: kernel, then micro operations */
    uint32_t origin;
    uint32_t bytes; /* fullest core */
} KernelEmitter;

/* Names and places of operations, and the class's name. */
static void finish_text(KernelEmitter *k, Core *c)
{
    for (uint32_t i = 0; i < c->class.n_ops; i++)
        c->class.ops[i].origin = k->origins[c->class.ops[i].origin];
    c->class.name = k->part.kernel->name;
}

static bool same_map(const Core *a, const Core *b)
{
    if (a->buffers.n != b->buffers.n || a->wires.n != b->wires.n || a->data.n != b->data.n ||
        !class_equal(&a->class, &b->class))
        return false;
    for (size_t i = 0; i < a->buffers.n; i++)
        if (a->buffers.data[i].address != b->buffers.data[i].address ||
            a->buffers.data[i].bytes != b->buffers.data[i].bytes)
            return false;
    for (size_t i = 0; i < a->wires.n; i++) {
        const Wire *v = &a->wires.data[i], *w = &b->wires.data[i];
        if (v->kind != w->kind || v->index != w->index || v->used != w->used ||
            v->words != w->words || v->ring != w->ring)
            return false;
    }
    return true;
}

static Channel make_channel(const KernelEmitter *k, const Core *c, uint32_t i)
{
    const Kernel *kernel = k->part.kernel;
    const Stream *const *streams = (const Stream *const *)k->e->plan->streams.data;
    const Wire *w = &c->wires.data[i];
    Channel ch = {.color = -1};
    if (!w->used)
        return ch;
    switch (w->kind) {
    case WIRE_INPUT:
        ch.color = (int32_t)streams[kernel->in[w->index]]->color;
        break;
    case WIRE_OUTPUT:
        ch.color = (int32_t)streams[kernel->out[w->index]]->color;
        break;
    case WIRE_CHAIN_IN:
    case WIRE_CHAIN_OUT:
        ch.color = (int32_t)w->index;
        break;
    }
    if (!c->class.channel_is_out[i]) {
        ch.ring = w->ring;
        ch.slots = w->slots;
        ch.slot_words = w->words;
    }
    return ch;
}

static void add_segment(CoreRect *r, uint32_t address, uint32_t bytes, SegmentKind kind,
                        uint32_t origin)
{
    if (bytes)
        r->segments[r->n_segments++] = (Segment){address, bytes, kind, origin};
}

static int by_address(const void *a, const void *b)
{
    const Segment *x = a, *y = b;
    return x->address < y->address ? -1 : x->address > y->address;
}

static void make_segments(const KernelEmitter *k, const Core *c, CoreRect *r)
{
    const Part *p = &k->part;
    r->segments = arena_array(k->e->arena, Segment, 2 + c->buffers.n + c->wires.n);
    add_segment(r, p->machine->reserve_bytes, c->code_bytes, SEGMENT_CODE, k->origin);
    add_segment(r, c->data_address, 4 * (uint32_t)c->data.n, SEGMENT_DATA, k->origin);
    for (size_t i = 0; i < c->buffers.n; i++) {
        const Buffer *b = &c->buffers.data[i];
        Span at = p->kernel->span;
        if (b->bytes)
            add_segment(r, b->address, b->bytes, b->kind, add_origin(k->e, b->name, at));
    }
    for (size_t i = 0; i < c->wires.n; i++) {
        const Wire *w = &c->wires.data[i];
        if (w->used && !c->class.channel_is_out[i])
            add_segment(r, w->ring, 4 * w->words * w->slots, SEGMENT_RING,
                        w->kind == WIRE_INPUT
                            ? add_origin(k->e,
                                         k->e->plan->streams.data[p->kernel->in[w->index]]->name,
                                         p->kernel->span)
                            : k->origin);
    }
    qsort(r->segments, r->n_segments, sizeof *r->segments, by_address);
}

static void make_inits(const KernelEmitter *k, const Core *c, const Turned *t, Grid g, CoreRect *r)
{
    const Part *p = &k->part;
    Emitter *e = k->e;
    if (!e->has_weights)
        return;
    r->inits = arena_array(e->arena, Init, c->buffers.n);
    for (size_t n = 0; n < c->buffers.n; n++) {
        const Buffer *b = &c->buffers.data[n];
        if (b->fill == FILL_NONE || b->bytes == 0)
            continue;
        /* Weights depend on column and row, other constants on the row only. */
        uint32_t ni = b->fill == FILL_MATRIX ? g.nx : 1, nj = g.ny;
        size_t size = ((size_t)b->bytes + 7) / 8 * 8;
        size_t at = add_data(e, size * ni * nj);
        for (uint32_t j = 0; j < nj; j++)
            for (uint32_t i = 0; i < ni; i++)
                part_fill(p, b, g.x + i * g.sx, g.y + j * g.sy, e->data + at + size * (j * ni + i));
        int64_t pi = ni > 1 ? (int64_t)size : 0, pj = nj > 1 ? (int64_t)(size * ni) : 0;
        int64_t offset = (int64_t)at;
        if (t->flip_i) {
            offset += pi * (g.nx - 1);
            pi = -pi;
        }
        if (t->flip_j) {
            offset += pj * (g.ny - 1);
            pj = -pj;
        }
        r->inits[r->n_inits++] = (Init){b->address, b->bytes, (uint64_t)offset,
                                        t->swapped ? pj : pi, t->swapped ? pi : pj};
    }
}

static bool emit_cores(KernelEmitter *k, Grid g)
{
    Emitter *e = k->e;
    const Part *p = &k->part;
    uint32_t dx = (g.nx - 1) * g.sx, dy = (g.ny - 1) * g.sy;
    uint32_t corner[4][2] = {{g.x, g.y},
                             {g.x + (g.nx > 1 ? g.sx : 0), g.y},
                             {g.x, g.y + (g.ny > 1 ? g.sy : 0)},
                             {g.x + dx, g.y + dy}};
    Core core[4] = {0};
    const char *why;
    for (int i = 0; i < 4; i++)
        if (!part_core(&k->scratch, p, corner[i][0], corner[i][1], &core[i], &why))
            return diag_infeasible(e->diag, p->kernel->span,
                                   "kernel '%s' cannot be written as a core program: %s",
                                   p->kernel->name, why);
    bool affine = same_map(&core[0], &core[1]) && same_map(&core[0], &core[2]) &&
                  same_map(&core[0], &core[3]);
    for (uint32_t i = 0; affine && i < core[0].data.n; i++) {
        int64_t v = core[0].data.data[i], di = core[1].data.data[i] - v,
                dj = core[2].data.data[i] - v;
        affine = core[3].data.data[i] == v + di * (int64_t)(g.nx - 1) + dj * (int64_t)(g.ny - 1);
    }
    if (!affine) {
        Grid a = g, b = g;
        if (g.nx > 1) {
            a.nx = g.nx / 2;
            b.nx = g.nx - a.nx;
            b.x = g.x + a.nx * g.sx;
        } else {
            a.ny = g.ny / 2;
            b.ny = g.ny - a.ny;
            b.y = g.y + a.ny * g.sy;
        }
        return emit_cores(k, a) && emit_cores(k, b);
    }

    Core *c = &core[0];
    finish_text(k, c);
    if (c->bytes > k->bytes)
        k->bytes = c->bytes;
    Turned t = turn_grid(p->kernel, g);
    CoreRect r = {.grid = t.grid, .class_id = add_class(e, &c->class), .kernel = p->kernel->id};
    r.data = arena_array(e->arena, Affine, c->data.n);
    for (uint32_t i = 0; i < c->data.n; i++) {
        int32_t v = c->data.data[i], di = core[1].data.data[i] - v, dj = core[2].data.data[i] - v;
        if (t.flip_i) {
            v += (int32_t)(g.nx - 1) * di;
            di = -di;
        }
        if (t.flip_j) {
            v += (int32_t)(g.ny - 1) * dj;
            dj = -dj;
        }
        r.data[i] = (Affine){v, t.swapped ? dj : di, t.swapped ? di : dj};
    }
    r.channels = arena_array(e->arena, Channel, c->wires.n);
    for (uint32_t i = 0; i < c->wires.n; i++)
        r.channels[i] = make_channel(k, c, i);
    make_segments(k, c, &r);
    make_inits(k, c, &t, g, &r);
    vec_push(e->arena, &e->cores, r);
    arena_rewind(&k->scratch, (ArenaMark){0});
    return true;
}

/* Positions along one axis of equal kind, at steady steps. */
typedef struct Run {
    uint64_t kind;
    uint32_t begin, n, step;
    bool closed;
} Run;

typedef VEC(Run) RunVec;

/* Blocks of features repeat from group to group of the lanes. After how many positions they do, if
 * that makes fewer runs than to look for neighbors of equal size; else 1. */
static uint32_t run_period(const Part *p, bool columns)
{
    uint32_t lanes = columns ? p->shape.lanes_in : p->shape.lanes_out;
    uint32_t features = columns ? p->in[0].features : p->mid.features;
    uint32_t groups = lane_groups(lanes), each = lanes / groups;
    if (!kernel_is_matrix(p->kernel->kind) || features % lanes == 0 || features % groups ||
        each >= 2 * groups)
        return 1;
    return columns ? each * p->shape.split : each;
}

static void find_runs(Arena *a, const Part *p, uint32_t n, bool columns, RunVec *runs)
{
    uint32_t period = run_period(p, columns);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t kind = columns ? part_column_kind(p, i) : part_row_kind(p, i);
        bool found = false;
        for (size_t r = 0; r < runs->n && !found; r++) {
            Run *u = &runs->data[r];
            if (u->kind != kind || u->begin % period != i % period || u->closed)
                continue;
            if (u->n == 1) {
                u->step = i - u->begin;
                u->n = 2;
                found = true;
            } else if (i == u->begin + u->n * u->step) {
                u->n++;
                found = true;
            } else {
                u->closed = true;
            }
        }
        if (!found) {
            Run u = {kind, i, 1, 1, false};
            vec_push(a, runs, u);
        }
    }
}

static const char *shape_text(Arena *a, const Part *p)
{
    const Shape *s = &p->shape;
    uint32_t o = lane_size(p->mid.features, s->lanes_out, 0);
    uint32_t c = lane_size(p->in[0].features, s->lanes_in, 0);
    switch (p->form) {
    case FORM_DIRECT:
        return arena_printf(a, "%u x %u blocks of %u x %u", s->w, s->h, c, o);
    case FORM_ACCUMULATE:
        return arena_printf(a, "%u lanes x %u columns, %u rows: blocks of %u features x %u results",
                            s->lanes_in, s->split, s->h, c, o);
    case FORM_WINDOW:
        return arena_printf(a,
                            "%u lanes x %u columns, %u rows: %u channels x %u taps x %u "
                            "filters",
                            s->lanes_in, s->split, s->h, c,
                            part_taps(p, 0).rows * part_taps(p, 0).cols, o);
    case FORM_LINE:
    case FORM_REDUCE:
        return arena_printf(a, "%u lanes of %u features", s->lanes_in, c);
    case FORM_ADAPTER:
        return arena_printf(a, "%u to %u lanes in %u groups", s->lanes_in, s->lanes_out, p->groups);
    }
    return "";
}

static bool protocol_agrees(const Protocol *a, const Protocol *b)
{
    return a->dtype == b->dtype && a->rows == b->rows && a->cols == b->cols &&
           a->features == b->features && a->lanes == b->lanes && a->segs == b->segs;
}

static bool start_part(Emitter *e, const Kernel *k, Part *p)
{
    Protocol in[KERNEL_MAX_INPUTS];
    for (uint32_t i = 0; i < k->n_in; i++)
        in[i] = e->plan->streams.data[k->in[i]]->protocol;
    if (!part_make(e->arena, k, in, e->plan->machine, &k->shape, p))
        return diag_infeasible(e->diag, k->span, "kernel '%s' cannot be built: %s", k->name,
                               p->why);
    if (p->shape.w != k->shape.w || p->shape.h != k->shape.h)
        return diag_internal(e->diag, k->span,
                             "kernel '%s': the plan says %u x %u cores, not %u x "
                             "%u",
                             k->name, k->shape.w, k->shape.h, p->shape.w, p->shape.h);
    for (uint32_t i = 0; i < k->n_in; i++) {
        const Stream *s = e->plan->streams.data[k->in[i]];
        if (p->slots[i] < s->slots)
            p->slots[i] = s->slots;
        if (s->protocol.lanes != p->in[i].lanes)
            return diag_internal(e->diag, s->span, "stream '%s' has %u lanes, kernel '%s' takes %u",
                                 s->name, s->protocol.lanes, k->name, p->in[i].lanes);
    }
    for (uint32_t i = 0; i < k->n_out; i++) {
        const Stream *s = e->plan->streams.data[k->out[i]];
        if (!protocol_agrees(&s->protocol, &p->result))
            return diag_internal(e->diag, s->span,
                                 "stream '%s' does not carry what kernel '%s' sends: %u x %u x %u "
                                 "in %u segments on %u lanes against %u x %u x %u in %u on %u",
                                 s->name, k->name, s->protocol.rows, s->protocol.cols,
                                 s->protocol.features, s->protocol.segs, s->protocol.lanes,
                                 p->result.rows, p->result.cols, p->result.features, p->result.segs,
                                 p->result.lanes);
    }
    return true;
}

static uint32_t add_chain_stream(Emitter *e, const Part *p, uint32_t origin)
{
    const Kernel *k = p->kernel;
    const Protocol *c = p->form == FORM_REDUCE ? &p->result : &p->mid;
    uint32_t words = positions_of(c) * lane_size(c->features, p->shape.lanes_out, 0);
    StreamInfo s = {.name = arena_printf(e->arena, "partial results of %s", k->name),
                    .from = (int32_t)k->id,
                    .to = (int32_t)k->id,
                    .lanes = p->shape.lanes_out,
                    .messages = c->rows * (c->segs ? c->segs : 1),
                    .words = words,
                    .origin = origin,
                    .tensor = "",
                    .rows = c->rows,
                    .cols = c->cols,
                    .features = c->features,
                    .segs = c->segs ? c->segs : 1,
                    .dtype = DT_F32};
    vec_push(e->arena, &e->streams, s);
    return (uint32_t)e->streams.n - 1;
}

static bool emit_kernel(Emitter *e, const Kernel *k, Part *p, KernelInfo *info)
{
    KernelEmitter ke = {.e = e, .part = *p};
    ke.origin = add_origin(e, k->name, k->span);
    ke.origins = arena_array(e->arena, uint32_t, p->n_micros + 2);
    ke.origins[1] = ke.origin;
    for (uint32_t i = 0; i < p->n_micros; i++) {
        const Node *n = p->micros[i].node;
        ke.origins[2 + i] = add_origin(e, n->name ? n->name : op_info[n->op].text, n->span);
    }
    RunVec columns = {0}, rows = {0};
    find_runs(e->arena, p, p->shape.w, true, &columns);
    find_runs(e->arena, p, p->shape.h, false, &rows);
    bool ok = true;
    for (size_t j = 0; j < rows.n && ok; j++)
        for (size_t i = 0; i < columns.n && ok; i++) {
            const Run *c = &columns.data[i], *r = &rows.data[j];
            Grid g = {c->begin, r->begin, c->n, r->n, c->step, r->step};
            if (p->form == FORM_ADAPTER && !adapter_place(p, g.x, g.y).used)
                continue;
            ok = emit_cores(&ke, g);
        }
    arena_free(&ke.scratch);
    if (!ok)
        return false;
    const Machine *m = e->plan->machine;
    if (ke.bytes > m->sram_bytes)
        return diag_infeasible(e->diag, k->span,
                               "kernel '%s' needs %u bytes on a core with its rings; a core has %u",
                               k->name, ke.bytes, m->sram_bytes);
    uint32_t chain = 0;
    if (kernel_own_colors(k))
        chain = add_chain_stream(e, p, ke.origin);
    emit_kernel_routes(e, p, chain);
    *info = (KernelInfo){.name = k->name,
                         .kind = kernel_kind_text(k->kind),
                         .shape = shape_text(e->arena, p),
                         .x = k->x,
                         .y = k->y,
                         .origin = ke.origin,
                         .bytes = ke.bytes,
                         .turn = k->turn,
                         .mirror = k->mirror,
                         .lanes_in = k->shape.lanes_in,
                         .lanes_out = k->shape.lanes_out,
                         .split = p->shape.split};
    plan_extent(k, &info->w, &info->h);
    Part plain = *p;
    Kernel unmirrored = *k;
    unmirrored.mirror = false;
    plain.kernel = &unmirrored;
    uint32_t bytes;
    KernelTime time;
    Arena scratch = {0}, lasting = {0};
    Core work = {.arena = &lasting};
    ok = part_cost(&scratch, &work, &plain, &time, &bytes);
    info->cycles = time.cycles;
    info->compute = time.compute;
    arena_free(&scratch);
    arena_free(&lasting);
    return ok || diag_internal(e->diag, k->span, "kernel '%s' has no cost", k->name);
}

/* ---- host ---- */

/* The program of one port: its lane's messages, out of or into the tensor. */
static void port_program(Emitter *e, const Stream *s, uint32_t lane, Core *c)
{
    const Protocol *p = &s->protocol;
    bool sink = s->to == PLAN_HOST;
    uint32_t size = dtype_bytes(p->dtype);
    int64_t position = (int64_t)p->features * size, begin = lane_begin(p->features, p->lanes, lane);
    *c = (Core){0};
    core_start(c, e->arena, e->plan->machine);
    c->origin = add_origin(e, s->name, s->span);
    uint32_t wire = core_wire(c, sink ? WIRE_INPUT : WIRE_OUTPUT, 0, true, protocol_words(p), 1);
    uint32_t row = core_loop(c, core_number(c, p->rows));
    uint32_t seg = core_loop(c, core_number(c, p->segs));
    Operand mem = op_mem(p->dtype, ZERO, ZERO, ZERO, core_number(c, p->features), ONE);
    mem.step[row] = core_number(c, p->cols * position);
    Scalar px, n = core_number(c, lane_size(p->features, p->lanes, lane));
    if (p->cols % p->segs == 0) {
        px = core_number(c, p->cols / p->segs);
        mem.base = core_number(c, begin * size);
        mem.step[seg] = core_number(c, p->cols / p->segs * position);
    } else {
        int64_t *at = arena_array(e->arena, int64_t, p->segs);
        int64_t *many = arena_array(e->arena, int64_t, p->segs);
        for (uint32_t i = 0; i < p->segs; i++) {
            many[i] = block_size(p->cols, p->segs, i);
            at[i] = begin * size + block_begin(p->cols, p->segs, i) * position;
        }
        px = core_table(c, many, p->segs, seg);
        mem.base = core_table(c, at, p->segs, seg);
    }
    Operand color = op_wire(p->dtype, wire, 0);
    core_op(c, OPCODE_COPY, D2(px, n), sink ? mem : color, sink ? color : mem, op_none());
    core_end(c);
    core_end(c);
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

/* Cycles per word of a port: a word a cycle each if the host keeps up with all of them, else
 * shares by the words they carry. */
static void port_rate(const Machine *m, uint64_t ports, uint64_t all_words, uint64_t words, Port *p)
{
    p->p = p->q = 1;
    if (ports * m->host_words.den <= m->host_words.num)
        return;
    uint64_t num = all_words * m->host_words.den, den = words * m->host_words.num;
    if (num <= den)
        return;
    uint64_t g = gcd(num, den);
    num /= g;
    den /= g;
    while (num > UINT32_MAX || den > UINT32_MAX) { /* slower is safe */
        num = num / 2 + 1;
        den /= 2;
    }
    p->p = (uint32_t)num;
    p->q = (uint32_t)(den ? den : 1);
}

static uint64_t lane_words(const Protocol *p, uint32_t lane)
{
    uint64_t words = 0, n = lane_size(p->features, p->lanes, lane);
    for (uint32_t i = 0; i < p->segs; i++)
        words += (block_size(p->cols, p->segs, i) * n * dtype_bytes(p->dtype) + 3) / 4;
    return words * p->rows;
}

static bool emit_ports(Emitter *e)
{
    const Plan *plan = e->plan;
    uint64_t ports = 0, words = 0;
    for (size_t i = 0; i < plan->streams.n; i++) {
        const Stream *s = plan->streams.data[i];
        if (!stream_has_ports(s))
            continue;
        ports += s->protocol.lanes;
        for (uint32_t l = 0; l < s->protocol.lanes; l++)
            words += lane_words(&s->protocol, l);
    }
    for (size_t i = 0; i < plan->streams.n; i++) {
        const Stream *s = plan->streams.data[i];
        if (!stream_has_ports(s))
            continue;
        bool sink = s->to == PLAN_HOST;
        for (uint32_t l = 0; l < s->protocol.lanes; l++) {
            Core c;
            const char *why;
            port_program(e, s, l, &c);
            if (!core_finish(&c, &why))
                return diag_infeasible(e->diag, s->span, "host port of '%s': %s", s->name, why);
            c.class.name = sink ? "host sink" : "host source";
            Port p = {.is_sink = sink,
                      .side = s->port_side,
                      .y = s->port_y[l],
                      .color = s->color,
                      .tensor = s->tensor + (sink ? (uint32_t)plan->graph->inputs.n : 0),
                      .class_id = add_class(e, &c.class),
                      .data = c.data.data,
                      .stream = s->id};
            port_rate(plan->machine, ports, words, lane_words(&s->protocol, l), &p);
            vec_push(e->arena, &e->ports, p);
        }
    }
    return true;
}

static HostTensor host_tensor(Emitter *e, const Node *n, const char *name, bool is_output)
{
    HostTensor t = {.name = name,
                    .is_output = is_output,
                    .dtype = n->type.dtype,
                    .rank = (uint32_t)n->type.rank,
                    .origin = add_origin(e, name, n->span)};
    for (int i = 0; i < n->type.rank; i++)
        t.extent[i] = (uint32_t)n->type.extent[i];
    return t;
}

static void emit_stream(Emitter *e, const Stream *s)
{
    const Protocol *p = &s->protocol;
    StreamInfo i = {.name = s->name,
                    .from = s->from,
                    .to = s->to,
                    .lanes = p->lanes,
                    .color = s->color,
                    .messages = protocol_messages(p),
                    .words = protocol_words(p),
                    .origin = add_origin(e, s->name, s->span),
                    .tensor = s->node && s->node->name ? s->node->name : "",
                    .rows = p->rows,
                    .cols = p->cols,
                    .features = p->features,
                    .segs = p->segs,
                    .dtype = p->dtype,
                    .to_input = s->to_input,
                    .trunk = s->trunk ? s->trunk->id + 1 : 0,
                    .forks = s->forks};
    vec_push(e->arena, &e->streams, i);
}

void emit_rects(const Emitter *e, Image *image)
{
    image->cores = e->cores.data;
    image->n_cores = (uint32_t)e->cores.n;
    image->routes = e->routes.data;
    image->n_routes = (uint32_t)e->routes.n;
    image->ports = e->ports.data;
    image->n_ports = (uint32_t)e->ports.n;
}

bool kernels_emit(Arena *a, Diag *d, const Plan *plan, Image *image)
{
    Emitter *e = arena_new(a, Emitter);
    *e = (Emitter){.arena = a, .diag = d, .plan = plan, .has_weights = true};
    Origin none = {"", 0, 0};
    vec_push(a, &e->origins, none);
    for (size_t i = 0; i < plan->streams.n; i++)
        emit_stream(e, plan->streams.data[i]);

    size_t n = plan->kernels.n;
    Part *parts = arena_array(a, Part, n);
    KernelInfo *info = arena_array(a, KernelInfo, n);
    for (size_t i = 0; i < n; i++) {
        if (!start_part(e, plan->kernels.data[i], &parts[i]))
            return false;
        e->has_weights = e->has_weights && part_has_values(&parts[i]);
    }
    for (size_t i = 0; i < n; i++)
        if (!emit_kernel(e, plan->kernels.data[i], &parts[i], &info[i]))
            return false;
    for (size_t i = 0; i < plan->streams.n; i++)
        if (!emit_bundle(e, plan->streams.data[i]))
            return false;
    if (!emit_ports(e))
        return false;

    const Graph *g = plan->graph;
    image->n_tensors = (uint32_t)(g->inputs.n + g->outputs.n);
    image->tensors = arena_array(a, HostTensor, image->n_tensors);
    for (size_t i = 0; i < g->inputs.n; i++)
        image->tensors[i] = host_tensor(e, g->inputs.data[i], g->inputs.data[i]->name, false);
    for (size_t i = 0; i < g->outputs.n; i++)
        image->tensors[g->inputs.n + i] =
            host_tensor(e, g->outputs.data[i], g->output_names[i], true);

    image->machine = *plan->machine;
    if (plan->defects)
        image->defects = *plan->defects;
    image->model = g->name;
    if (!image->producer)
        image->producer = "wsec " WSEC_VERSION;
    if (!image->options)
        image->options = "";
    if (!image->source_name)
        image->source_name = "";
    if (!image->source)
        image->source = "";
    image->has_weights = e->has_weights;
    image->origins = e->origins.data;
    image->n_origins = (uint32_t)e->origins.n;
    image->classes = e->classes.data;
    image->n_classes = (uint32_t)e->classes.n;
    image->kernels = info;
    image->n_kernels = (uint32_t)n;
    image->streams = e->streams.data;
    image->n_streams = (uint32_t)e->streams.n;
    emit_rects(e, image);
    image->data = e->data;
    image->data_bytes = e->data_bytes;
    return true;
}
