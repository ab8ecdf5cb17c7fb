/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/rows.c - programs of matrix and line kernels.
 *
 * Row kernels walk a timeline; one step may receive an input row, fill a padding row of the
 * line buffer, compute a row of the middle (the anchor's result), fill a padding row of the
 * pool's ring and emit a row of the result. Which of these happen at a step are tables of
 * counts. Steps are chosen so that every row number is affine in the step, which is all that
 * addresses can be: with stride s a row of the middle comes every s steps, and rings of R
 * rows are addressed with a pitch of 1/s and modulus s*R.
 *
 * At most four loops nest: step, row, segment, tap row. */
#include "backend/kernels/part.h"

Timeline part_timeline(const Part *p)
{
    const Pool *q = &p->pool;
    Timeline t = {.stride = p->stride[0]};
    uint32_t kh = p->kernel_size[0];
    uint32_t rows = (p->mid.rows - 1) * t.stride + kh; /* virtual input rows */
    if (q->present && !q->global && t.stride * q->padding[0] > kh - 1)
        t.first_row = t.stride * q->padding[0] - (kh - 1);
    t.mid_first = t.first_row + kh - 1;
    t.steps = t.first_row + rows;
    if (q->present && !q->global) {
        t.pool_first = (int64_t)t.mid_first - (int64_t)t.stride * q->padding[0];
        uint32_t need = (p->result.rows - 1) * q->stride[0] + q->kernel[0];
        uint32_t until = (uint32_t)t.pool_first + t.stride * (need - 1) + 1;
        if (until > t.steps)
            t.steps = until;
    }
    uint32_t last = t.first_row + p->padding[0] + p->in[0].rows;
    t.tail = last > t.steps ? last - t.steps : 0;
    return t;
}

bool timeline_receives(const Part *p, const Timeline *t, uint32_t step)
{
    int64_t row = (int64_t)step - t->first_row - p->padding[0];
    return row >= 0 && row < p->in[0].rows;
}

bool timeline_fills(const Part *p, const Timeline *t, uint32_t step)
{
    return step >= t->first_row && !timeline_receives(p, t, step);
}

bool timeline_computes(const Part *p, const Timeline *t, uint32_t step)
{
    return step >= t->mid_first && (step - t->mid_first) % t->stride == 0 &&
           (step - t->mid_first) / t->stride < p->mid.rows;
}

/* Virtual row of the pool that is complete after a step, or -1. */
static int64_t pool_row(const Part *p, const Timeline *t, uint32_t step)
{
    uint32_t need = (p->result.rows - 1) * p->pool.stride[0] + p->pool.kernel[0];
    int64_t d = (int64_t)step - t->pool_first;
    return d >= 0 && d % t->stride == 0 && d / t->stride < need ? d / t->stride : -1;
}

bool timeline_pool_fills(const Part *p, const Timeline *t, uint32_t step)
{
    int64_t row = pool_row(p, t, step);
    return row >= 0 && (row < p->pool.padding[0] || row - p->pool.padding[0] >= p->mid.rows);
}

bool timeline_emits(const Part *p, const Timeline *t, uint32_t step)
{
    int64_t row = pool_row(p, t, step);
    return row >= p->pool.kernel[0] - 1 && (row - (p->pool.kernel[0] - 1)) % p->pool.stride[0] == 0;
}

typedef bool StepTest(const Part *p, const Timeline *t, uint32_t step);

/* A table of 0 and 1 over the steps, for loop counts. */
static Scalar step_table(Core *c, const Part *p, const Timeline *t, StepTest *test, bool here)
{
    int64_t *value = arena_array(c->temp, int64_t, t->steps);
    for (uint32_t i = 0; i < t->steps; i++)
        value[i] = here && test(p, t, i);
    return core_table(c, value, t->steps, 0);
}

/* Where micro operations stand: message `seg` of a row that comes every `stride` steps from
 * step `first`. */
typedef struct Walk {
    int seg; /* depth of the segment loop, -1: one message a row */
    uint32_t cols, segs;
    Scalar px;
    int64_t first;
    uint32_t stride;
    bool rows;
} Walk;

static Scalar segment_size(Core *c, uint32_t cols, uint32_t segs, uint32_t depth)
{
    if (cols % segs == 0)
        return core_number(c, cols / segs);
    int64_t *size = arena_array(c->temp, int64_t, segs);
    for (uint32_t i = 0; i < segs; i++)
        size[i] = block_size(cols, segs, i);
    return core_table(c, size, segs, depth);
}

/* base and step of an operand whose position `offset` bytes into the buffer advances by
 * `unit` bytes with every position of the row. */
static void segment_address(Core *c, Operand *o, uint32_t buffer, int64_t offset, uint64_t unit,
                            const Walk *w)
{
    if (w->seg < 0) {
        o->base = core_address(c, buffer, offset);
    } else if (w->cols % w->segs == 0) {
        o->base = core_address(c, buffer, offset);
        o->step[w->seg] = core_number(c, (int64_t)(w->cols / w->segs * unit));
    } else {
        int64_t *at = arena_array(c->temp, int64_t, w->segs);
        for (uint32_t i = 0; i < w->segs; i++)
            at[i] = offset + (int64_t)(block_begin(w->cols, w->segs, i) * unit);
        o->base = core_addresses(c, buffer, at, w->segs, (uint32_t)w->seg);
    }
}

static Walk walk_row(Core *c, uint32_t cols, uint32_t segs)
{
    Walk w = {.seg = -1, .cols = cols, .segs = segs};
    if (segs > 1)
        w.seg = (int)core_loop(c, core_number(c, segs));
    w.px = segment_size(c, cols, segs, w.seg < 0 ? 0 : (uint32_t)w.seg);
    return w;
}

static void end_row(Core *c, const Walk *w)
{
    if (w->seg >= 0)
        core_end(c);
}

/* What the fused steps need of this core. */
typedef struct Steps {
    const Part *p;
    bool here; /* this core runs them */
    Scalar o;  /* its features */
    uint32_t n_o;
    uint32_t wire[KERNEL_MAX_INPUTS], held[KERNEL_MAX_INPUTS], row[KERNEL_MAX_INPUTS];
    bool by_row[KERNEL_MAX_INPUTS]; /* the whole row is received before its segments */
    uint32_t constant[PART_MAX_MICROS];
    uint32_t out[KERNEL_MAX_OUTPUTS];
} Steps;

static void start_steps(Core *c, Steps *s, const Part *p, bool here, uint32_t n_o, Scalar o)
{
    *s = (Steps){.p = p, .here = here, .n_o = n_o, .o = o};
    for (uint32_t i = 0; i < p->n_micros; i++) {
        const Micro *m = &p->micros[i];
        const Protocol *at = i < p->n_before ? &p->mid : &p->result;
        if (m->operand == MICRO_STREAM || m->operand == MICRO_HELD) {
            const Protocol *in = &p->in[m->stream];
            uint64_t px = positions_of(in);
            s->wire[m->stream] = core_wire(c, WIRE_INPUT, m->stream, here,
                                           words_of(in->dtype, px * n_o), p->slots[m->stream]);
            if (m->operand == MICRO_HELD)
                s->held[m->stream] = core_buffer(c, m->node->name ? m->node->name : "operand",
                                                 SEGMENT_BUFFER, here ? 4ull * n_o : 0, 0);
            s->by_row[m->stream] = m->operand == MICRO_STREAM && in->segs != at->segs;
            if (s->by_row[m->stream])
                s->row[m->stream] =
                    core_buffer(c, "row of the second operand", SEGMENT_BUFFER,
                                here ? (uint64_t)in->cols * n_o * dtype_bytes(in->dtype) : 0, 0);
        } else if (m->operand == MICRO_FEATURE || m->operand == MICRO_FULL) {
            uint64_t n = n_o;
            if (m->operand == MICRO_FULL) {
                Timeline t = part_timeline(p);
                uint64_t unit =
                    4ull * t.stride * (i < p->n_before || !p->pool.present ? 1 : p->pool.stride[0]);
                n = ((uint64_t)at->cols * n_o + unit - 1) / unit * unit * at->rows;
            }
            const char *name = m->constant->name ? m->constant->name : "constant";
            s->constant[i] =
                core_buffer(c, name, SEGMENT_WEIGHTS, here ? n * dtype_bytes(m->dtype) : 0, 0);
            Buffer *b = &c->buffers.data[s->constant[i]];
            b->fill = FILL_MICRO;
            b->fill_index = i;
            b->dtype = m->dtype;
        }
    }
    for (uint32_t i = 0; i < p->n_out; i++)
        s->out[i] =
            core_wire(c, WIRE_OUTPUT, i, here,
                      words_of(p->result.dtype, (uint64_t)positions_of(&p->result) * n_o), 0);
}

/* Operands of one value a feature are received once a sample. */
static void receive_held(Core *c, const Steps *s)
{
    for (uint32_t i = 0; i < s->p->n_micros; i++) {
        const Micro *m = &s->p->micros[i];
        if (m->operand != MICRO_HELD)
            continue;
        c->origin = 2 + i;
        core_op(c, OPCODE_COPY, D1(s->o),
                op_mem(DT_F32, core_address(c, s->held[m->stream], 0), ZERO, ZERO, ZERO, ONE),
                op_wire(s->p->in[m->stream].dtype, s->wire[m->stream], 0), op_none());
    }
}

static bool needs_rows(const Steps *s, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        if (s->p->micros[i].operand == MICRO_STREAM && s->by_row[s->p->micros[i].stream])
            return true;
    return false;
}

/* Second operands that come in other segments than ours are received row by row. */
static void receive_rows(Core *c, const Steps *s, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        const Micro *m = &s->p->micros[i];
        if (m->operand != MICRO_STREAM || !s->by_row[m->stream])
            continue;
        const Protocol *in = &s->p->in[m->stream];
        c->origin = 2 + i;
        Walk w = walk_row(c, in->cols, in->segs);
        Operand dst = op_mem(in->dtype, ZERO, ZERO, ZERO, s->o, ONE);
        segment_address(c, &dst, s->row[m->stream], 0, (uint64_t)s->n_o * dtype_bytes(in->dtype),
                        &w);
        core_op(c, OPCODE_COPY, D2(w.px, s->o), dst, op_wire(in->dtype, s->wire[m->stream], 0),
                op_none());
        end_row(c, &w);
    }
}

static Operand micro_operand(Core *c, const Steps *s, uint32_t i, const Walk *w)
{
    const Micro *m = &s->p->micros[i];
    Operand o = op_mem(m->dtype, ZERO, ZERO, ZERO, s->o, ONE);
    uint64_t size = dtype_bytes(m->dtype);
    switch (m->operand) {
    case MICRO_FLOAT:
        return op_value(m->value);
    case MICRO_FEATURE:
        o.base = core_address(c, s->constant[i], 0);
        o.stride[2] = ZERO;
        return o;
    case MICRO_FULL: {
        const Protocol *at = i < s->p->n_before ? &s->p->mid : &s->p->result;
        uint64_t pitch = c->buffers.data[s->constant[i]].bytes / at->rows;
        int64_t offset = 0;
        if (w->rows) {
            int64_t step = (int64_t)(pitch / w->stride);
            o.step[0] = core_number(c, step);
            offset = -w->first * step;
        }
        segment_address(c, &o, s->constant[i], offset, s->n_o * size, w);
        return o;
    }
    case MICRO_STREAM: {
        const Protocol *in = &s->p->in[m->stream];
        if (!s->by_row[m->stream])
            return op_wire(in->dtype, s->wire[m->stream], 0);
        o.dtype = (uint8_t)in->dtype;
        segment_address(c, &o, s->row[m->stream], 0, (uint64_t)s->n_o * dtype_bytes(in->dtype), w);
        return o;
    }
    case MICRO_HELD:
        o.dtype = DT_F32;
        o.base = core_address(c, s->held[m->stream], 0);
        o.stride[2] = ZERO;
        return o;
    }
    return op_none();
}

/* running, after micro operations [from, to) (and, before them, + chain), goes to `final`
 * or, where that is NULL, stays in acc. Returns where the value is. */
static Operand run_micros(Core *c, const Steps *s, const Operand *chain, Operand running,
                          Operand acc, uint32_t from, uint32_t to, const Walk *w,
                          const Operand *final)
{
    Dims dims = D2(w->px, s->o);
    uint32_t left = to - from + (chain != NULL);
    if (chain) {
        left--;
        Operand dst = left == 0 && final ? *final : acc;
        core_op(c, OPCODE_ADD, dims, dst, *chain, running);
        running = acc;
        if (left == 0)
            return dst;
    }
    for (uint32_t i = from; i < to; i++) {
        const Micro *m = &s->p->micros[i];
        c->origin = 2 + i;
        Operand other = micro_operand(c, s, i, w);
        Operand dst = --left == 0 && final ? *final : acc;
        core_op(c, m->code, dims, dst, m->swapped ? other : running, m->swapped ? running : other);
        running = dst;
    }
    c->origin = 1;
    if (from == to && final) {
        core_op(c, OPCODE_COPY, dims, *final, running, op_none());
        return *final;
    }
    return running;
}

/* run_micros with the kernel's outputs as the final place. */
static void run_and_send(Core *c, const Steps *s, const Operand *chain, Operand running,
                         Operand acc, uint32_t from, uint32_t to, const Walk *w)
{
    const Part *p = s->p;
    if (p->n_out == 1) {
        Operand final = op_wire(p->result.dtype, s->out[0], 0);
        run_micros(c, s, chain, running, acc, from, to, w, &final);
        return;
    }
    Operand value = run_micros(c, s, chain, running, acc, from, to, w,
                               running.kind == OPERAND_COLOR ? &acc : NULL);
    for (uint32_t i = 0; i < p->n_out; i++)
        core_op(c, OPCODE_COPY, D2(w->px, s->o), op_wire(p->result.dtype, s->out[i], 0), value,
                op_none());
}

typedef struct Chain { /* of partial sums along a row of a matrix kernel */
    bool present;
    uint32_t in, out;
    Scalar is_first, is_mid, is_last;
} Chain;

static Chain start_chain(Core *c, const Part *p, uint32_t cx, uint64_t elements)
{
    Chain ch = {.present = p->shape.w > 1};
    if (!ch.present)
        return ch;
    bool first = cx == 0, last = cx == p->shape.w - 1;
    uint32_t words = (uint32_t)elements;
    ch.in = core_wire(c, WIRE_CHAIN_IN, (cx + 1) & 1, !first, words, PART_SLOTS);
    ch.out = core_wire(c, WIRE_CHAIN_OUT, cx & 1, !last, words, 0);
    ch.is_first = core_number(c, first);
    ch.is_mid = core_number(c, !first && !last);
    ch.is_last = core_number(c, last);
    return ch;
}

/* What every column but the last does with its sums. */
static void pass_on(Core *c, const Chain *ch, Dims dims, Operand acc)
{
    if (!ch->present)
        return;
    core_loop(c, ch->is_first);
    core_op(c, OPCODE_COPY, dims, op_wire(DT_F32, ch->out, 0), acc, op_none());
    core_end(c);
    core_loop(c, ch->is_mid);
    core_op(c, OPCODE_ADD, dims, op_wire(DT_F32, ch->out, 0), op_wire(DT_F32, ch->in, 0), acc);
    core_end(c);
}

static void open_last(Core *c, const Chain *ch)
{
    if (ch->present)
        core_loop(c, ch->is_last);
}

static void close_last(Core *c, const Chain *ch)
{
    if (ch->present)
        core_end(c);
}

static uint32_t matrix_buffer(Core *c, const Part *p, uint64_t elements)
{
    uint32_t b = core_buffer(c, p->weights->name ? p->weights->name : "weights", SEGMENT_WEIGHTS,
                             elements * dtype_bytes(p->weights->type.dtype), 0);
    c->buffers.data[b].fill = FILL_MATRIX;
    c->buffers.data[b].dtype = p->weights->type.dtype;
    return b;
}

/* What sums start from: the bias in the first column, zero in the others; so the last column,
 * which has the fused steps to do, is spared one operation a message. */
static Operand start_of_sums(Core *c, const Part *p, uint32_t cx, uint32_t n_o)
{
    if (!p->bias)
        return op_value(0.0f);
    bool here = cx == 0;
    DType t = p->bias->type.dtype;
    uint32_t bias = core_buffer(c, p->bias->name ? p->bias->name : "bias", SEGMENT_WEIGHTS,
                                here ? (uint64_t)n_o * dtype_bytes(t) : 0, 0);
    c->buffers.data[bias].fill = FILL_BIAS;
    c->buffers.data[bias].dtype = t;
    uint32_t zero = core_buffer(c, "zero", SEGMENT_BUFFER, here ? 0 : 4, 0);
    return op_mem(t, core_address(c, here ? bias : zero, 0), ZERO, ZERO, ZERO,
                  core_number(c, here));
}

static Operand pool_start(const Part *p)
{
    return op_value(p->pool.start);
}

static Opcode pool_code(const Part *p)
{
    return p->pool.average ? OPCODE_ADD : OPCODE_MAX;
}

/* Ring of the line buffer or the pool: rows at pitch/stride every step. */
static void ring_term(Core *c, Operand *o, uint64_t pitch, uint32_t rows, uint32_t stride,
                      int64_t offset)
{
    int64_t modulus = (int64_t)rows * stride;
    o->ring_pitch = core_number(c, (int64_t)(pitch / stride));
    o->ring_modulus = core_number(c, modulus);
    o->ring_offset = core_number(c, ((offset % modulus) + modulus) % modulus);
    o->ring_coef[0] = 1;
}

/* A core of a row kernel as it is built. */
typedef struct Rows {
    const Part *p;
    Core *c;
    Timeline t;
    bool matrix, window, pooled; /* pooled: by windows, not global */
    bool last;                   /* has the fused steps to do */
    uint32_t cx, n_o, n_c;       /* features of a result and of an input lane */
    Scalar o;
    uint32_t x; /* wire */
    Taps taps;
    Chain ch;
    Steps s;
    Operand acc, out, start; /* running sums; pooled values; what sums start from */
    Scalar n_in;             /* matrix: tap, feature */
    uint64_t block;          /* weights of a tap row */
    uint32_t weights;
    /* Rings of rows: of the input, of what is pooled. */
    uint32_t line, pool;
    uint64_t line_cols, line_pitch, pool_cols, pool_pitch;
} Rows;

static void line_buffer(Rows *r)
{
    const Part *p = r->p;
    const Protocol *in = &p->in[0];
    r->line_cols = (uint64_t)(p->mid.cols - 1) * p->stride[1] + p->kernel_size[1];
    if (r->line_cols < (uint64_t)in->cols + p->padding[1])
        r->line_cols = (uint64_t)in->cols + p->padding[1];
    r->line_pitch = (r->line_cols * r->n_c * dtype_bytes(in->dtype) + 7) / 8 * 8;
    r->line =
        core_buffer(r->c, "line buffer", SEGMENT_BUFFER, r->line_pitch * p->kernel_size[0], 4);
}

/* Line kernels need room for the running value only where one operation is not enough. */
static void sums_buffer(Rows *r)
{
    const Part *p = r->p;
    const Pool *q = &p->pool;
    bool roomy = r->matrix || p->n_before > 1 || (q->global && p->n_before > 0) ||
                 (!q->present && p->n_out > 1);
    uint32_t buffer = core_buffer(r->c, r->matrix ? "sums" : "value", SEGMENT_BUFFER,
                                  roomy ? 4ull * positions_of(&p->mid) * r->n_o : 0, 4);
    r->acc = op_mem(DT_F32, ZERO, ZERO, ZERO, r->o, ONE);
    if (roomy)
        r->acc.base = core_address(r->c, buffer, 0);
}

static void pool_buffers(Rows *r)
{
    const Part *p = r->p;
    const Pool *q = &p->pool;
    uint32_t pooled = 0;
    if (q->present)
        pooled = core_buffer(r->c, "pooled", SEGMENT_BUFFER,
                             r->last ? 4ull * positions_of(&p->result) * r->n_o : 0, 4);
    if (r->pooled) {
        r->pool_cols = (uint64_t)(p->result.cols - 1) * q->stride[1] + q->kernel[1];
        if (r->pool_cols < (uint64_t)p->mid.cols + q->padding[1])
            r->pool_cols = (uint64_t)p->mid.cols + q->padding[1];
        uint64_t unit = 8ull * r->t.stride;
        r->pool_pitch = (r->pool_cols * r->n_o * 4 + unit - 1) / unit * unit;
        r->pool = core_buffer(r->c, "pool rows", SEGMENT_BUFFER,
                              r->last ? r->pool_pitch * q->kernel[0] : 0, 0);
    }
    r->out = op_mem(DT_F32, ZERO, ZERO, ZERO, q->global ? ZERO : r->o, ONE);
    if (q->present)
        r->out.base = core_address(r->c, pooled, 0);
}

/* Wires and memory, in the order in which they lie. */
static void begin_core(Rows *r, uint32_t cy)
{
    const Part *p = r->p;
    Core *c = r->c;
    const Protocol *in = &p->in[0];
    r->n_o = lane_size(p->mid.features, p->shape.lanes_out, part_lane_out(p, r->cx, cy));
    r->n_c = lane_size(in->features, p->shape.lanes_in, part_lane_in(p, r->cx, cy));
    r->o = core_number(c, r->n_o);
    r->taps = part_taps(p, r->cx);
    r->n_in = core_number(c, (int64_t)r->n_c * r->taps.cols);
    r->x = core_wire(c, WIRE_INPUT, 0, true,
                     words_of(in->dtype, (uint64_t)positions_of(in) * r->n_c), p->slots[0]);
    if (r->matrix)
        r->ch = start_chain(c, p, r->cx, (uint64_t)positions_of(&p->mid) * r->n_o);
    start_steps(c, &r->s, p, r->last, r->n_o, r->o);
    r->block = (uint64_t)r->n_c * r->taps.cols * r->n_o;
    r->weights = r->matrix ? matrix_buffer(c, p, r->taps.rows * r->block) : 0;
    r->start = r->matrix ? start_of_sums(c, p, r->cx, r->n_o) : op_none();
    if (r->window)
        line_buffer(r);
    sums_buffer(r);
    pool_buffers(r);
}

static bool holds_operands(const Part *p)
{
    for (uint32_t i = 0; i < p->n_micros; i++)
        if (p->micros[i].operand == MICRO_HELD)
            return true;
    return false;
}

static void begin_sample(Rows *r)
{
    const Pool *q = &r->p->pool;
    Core *c = r->c;
    /* Padding columns of a maximum pool: rows that come in leave them alone. */
    bool borders = r->pooled && !q->average && q->padding[1] > 0;
    if (!holds_operands(r->p) && !q->global && !borders)
        return;
    open_last(c, &r->ch);
    receive_held(c, &r->s);
    if (q->global)
        core_op(c, OPCODE_COPY, D1(r->o), r->out, pool_start(r->p), op_none());
    if (borders)
        core_op(c, OPCODE_COPY, D1(core_number(c, (int64_t)(r->pool_pitch / 4 * q->kernel[0]))),
                op_mem(DT_F32, core_address(c, r->pool, 0), ZERO, ZERO, ZERO, ONE),
                pool_start(r->p), op_none());
    close_last(c, &r->ch);
}

/* A row of the input into the line buffer, or one of padding. */
static void receive_row(Rows *r)
{
    const Part *p = r->p;
    const Protocol *in = &p->in[0];
    Core *c = r->c;
    uint32_t in_bytes = dtype_bytes(in->dtype), kh = p->kernel_size[0];
    core_loop(c, step_table(c, p, &r->t, timeline_receives, true));
    Walk w = walk_row(c, in->cols, in->segs);
    Scalar n = core_number(c, r->n_c);
    Operand dst = op_mem(in->dtype, ZERO, ZERO, ZERO, n, ONE);
    segment_address(c, &dst, r->line, (int64_t)p->padding[1] * r->n_c * in_bytes,
                    (uint64_t)r->n_c * in_bytes, &w);
    ring_term(c, &dst, r->line_pitch, kh, 1, -(int64_t)r->t.first_row);
    core_op(c, OPCODE_COPY, D2(w.px, n), dst, op_wire(in->dtype, r->x, 0), op_none());
    end_row(c, &w);
    core_end(c);
    if (p->padding[0] > 0) {
        core_loop(c, step_table(c, p, &r->t, timeline_fills, true));
        Operand row = op_mem(in->dtype, core_address(c, r->line, 0), ZERO, ZERO, ZERO, ONE);
        ring_term(c, &row, r->line_pitch, kh, 1, -(int64_t)r->t.first_row);
        core_op(c, OPCODE_COPY, D1(core_number(c, (int64_t)r->line_cols * r->n_c)), row,
                op_value(0.0f), op_none());
        core_end(c);
    }
}

/* The core's part of a message's sums, and on with them. */
static void multiply(Rows *r, const Walk *w, Dims message)
{
    const Part *p = r->p;
    const Protocol *in = &p->in[0];
    Core *c = r->c;
    DType wt = p->weights->type.dtype;
    core_op(c, OPCODE_COPY, message, r->acc, r->start, op_none());
    Operand sums = r->acc;
    Operand matrix = op_mem(wt, core_address(c, r->weights, 0), ZERO, ZERO, r->o, ONE);
    sums.stride[1] = r->o;
    sums.stride[2] = ZERO;
    Dims dims = D3(w->px, r->n_in, r->o);
    if (r->window) {
        uint32_t depth = core_loop(c, core_number(c, r->taps.rows));
        uint64_t unit = (uint64_t)r->n_c * dtype_bytes(in->dtype);
        matrix.step[depth] = core_number(c, (int64_t)(r->block * dtype_bytes(wt)));
        Operand source = op_mem(in->dtype, ZERO, ZERO,
                                core_number(c, (int64_t)p->stride[1] * r->n_c), ONE, ZERO);
        segment_address(c, &source, r->line, (int64_t)(r->taps.col * unit), p->stride[1] * unit, w);
        ring_term(c, &source, r->line_pitch, p->kernel_size[0], 1,
                  (int64_t)r->taps.row + 1 - (int64_t)r->t.first_row);
        source.ring_coef[depth] = 1;
        core_op(c, OPCODE_MAC, dims, sums, matrix, source);
        core_end(c);
    } else {
        core_op(c, OPCODE_MAC, dims, sums, matrix, op_wire(in->dtype, r->x, 1));
    }
    pass_on(c, &r->ch, message, r->acc);
}

/* A message of the middle goes through the steps before the pool, then out or into the pool. */
static void finish_message(Rows *r, const Walk *w, Dims message, Operand running)
{
    const Pool *q = &r->p->pool;
    Core *c = r->c;
    uint32_t before = r->p->n_before;
    Operand chain = op_wire(DT_F32, r->ch.in, 0);
    const Operand *add = r->ch.present ? &chain : NULL;
    if (!q->present) {
        run_and_send(c, &r->s, add, running, r->acc, 0, before, w);
    } else if (q->global) {
        Operand value = run_micros(c, &r->s, add, running, r->acc, 0, before, w, NULL);
        core_op(c, pool_code(r->p), message, r->out, r->out, value);
    } else {
        Operand row = op_mem(DT_F32, ZERO, ZERO, ZERO, r->o, ONE);
        segment_address(c, &row, r->pool, (int64_t)q->padding[1] * r->n_o * 4, (uint64_t)r->n_o * 4,
                        w);
        ring_term(c, &row, r->pool_pitch, q->kernel[0], r->t.stride, -r->t.pool_first);
        run_micros(c, &r->s, add, running, r->acc, 0, before, w, &row);
    }
}

/* A row of the middle. */
static void compute_row(Rows *r)
{
    const Part *p = r->p;
    Core *c = r->c;
    bool gated = r->window || r->pooled;
    if (gated)
        core_loop(c, step_table(c, p, &r->t, timeline_computes, true));
    if (needs_rows(&r->s, 0, p->n_before)) {
        open_last(c, &r->ch);
        receive_rows(c, &r->s, 0, p->n_before);
        close_last(c, &r->ch);
    }
    Walk w = walk_row(c, p->mid.cols, p->mid.segs);
    w.rows = true;
    w.first = r->t.mid_first;
    w.stride = r->t.stride;
    Dims message = D2(w.px, r->o);
    if (r->matrix)
        multiply(r, &w, message);
    open_last(c, &r->ch);
    finish_message(r, &w, message, r->matrix ? r->acc : op_wire(p->in[0].dtype, r->x, 0));
    close_last(c, &r->ch);
    end_row(c, &w);
    if (gated)
        core_end(c);
}

static void pad_pool(Rows *r)
{
    const Pool *q = &r->p->pool;
    Core *c = r->c;
    core_loop(c, step_table(c, r->p, &r->t, timeline_pool_fills, r->last));
    Operand row = op_mem(DT_F32, core_address(c, r->pool, 0), ZERO, ZERO, ZERO, ONE);
    ring_term(c, &row, r->pool_pitch, q->kernel[0], r->t.stride, -r->t.pool_first);
    core_op(c, OPCODE_COPY, D1(core_number(c, (int64_t)r->pool_cols * r->n_o)), row,
            pool_start(r->p), op_none());
    core_end(c);
}

/* A row of the result out of the rows of the pool. */
static void emit_pooled(Rows *r)
{
    const Part *p = r->p;
    const Pool *q = &p->pool;
    Core *c = r->c;
    core_loop(c, step_table(c, p, &r->t, timeline_emits, r->last));
    receive_rows(c, &r->s, p->n_before, p->n_micros);
    Walk e = walk_row(c, p->result.cols, p->result.segs);
    e.rows = true;
    e.first = r->t.pool_first + (int64_t)r->t.stride * (q->kernel[0] - 1);
    e.stride = r->t.stride * q->stride[0];
    core_op(c, OPCODE_COPY, D2(e.px, r->o), r->out, pool_start(p), op_none());
    /* All rows of the ring are the window's, in whatever order. */
    Operand sums = r->out;
    sums.stride[0] = sums.stride[1] = ZERO;
    Scalar across = core_number(c, (int64_t)q->stride[1] * r->n_o);
    Operand source =
        op_mem(DT_F32, ZERO, core_number(c, (int64_t)(r->pool_pitch / 4)), r->o, across, ONE);
    segment_address(c, &source, r->pool, 0, (uint64_t)q->stride[1] * r->n_o * 4, &e);
    core_op(c, pool_code(p),
            D4(core_number(c, q->kernel[0]), core_number(c, q->kernel[1]), e.px, r->o), sums, sums,
            source);
    run_and_send(c, &r->s, NULL, r->out, r->out, p->n_before, p->n_micros, &e);
    end_row(c, &e);
    core_end(c);
}

/* Rows that no window reaches. */
static void skip_rest(Rows *r)
{
    const Protocol *in = &r->p->in[0];
    Core *c = r->c;
    core_loop(c, core_number(c, (int64_t)r->t.tail));
    Walk rest = walk_row(c, in->cols, in->segs);
    core_op(c, OPCODE_SKIP, D2(rest.px, core_number(c, r->n_c)), op_none(),
            op_wire(in->dtype, r->x, 0), op_none());
    end_row(c, &rest);
    core_end(c);
}

static void send_global(Rows *r)
{
    const Part *p = r->p;
    Walk e = {.seg = -1, .cols = 1, .segs = 1, .px = ONE};
    open_last(r->c, &r->ch);
    receive_rows(r->c, &r->s, p->n_before, p->n_micros);
    run_and_send(r->c, &r->s, NULL, r->out, r->out, p->n_before, p->n_micros, &e);
    close_last(r->c, &r->ch);
}

void build_rows(const Part *p, Core *c, uint32_t cx, uint32_t cy)
{
    bool matrix = p->form != FORM_LINE;
    Rows r = {.p = p,
              .c = c,
              .t = part_timeline(p),
              .matrix = matrix,
              .window = p->form == FORM_WINDOW,
              .pooled = p->pool.present && !p->pool.global,
              .last = !matrix || cx == p->shape.w - 1,
              .cx = cx};
    begin_core(&r, cy);
    begin_sample(&r);
    core_loop(c, core_number(c, r.t.steps));
    if (r.window)
        receive_row(&r);
    compute_row(&r);
    if (r.pooled && p->pool.padding[0] > 0)
        pad_pool(&r);
    if (r.pooled)
        emit_pooled(&r);
    core_end(c);
    if (r.window && r.t.tail)
        skip_rest(&r);
    if (p->pool.global)
        send_global(&r);
}

void build_accumulate(const Part *p, Core *c, uint32_t cx, uint32_t cy)
{
    const Protocol *in = &p->in[0];
    bool last = cx == p->shape.w - 1;
    uint32_t n_o = lane_size(p->mid.features, p->shape.lanes_out, part_lane_out(p, cx, cy));
    uint32_t n_c = lane_size(in->features, p->shape.lanes_in, part_lane_in(p, cx, cy));
    uint32_t messages = in->rows * in->segs;
    uint32_t split = p->shape.split;
    bool even = in->cols % in->segs == 0;

    Scalar o = core_number(c, n_o);
    uint32_t x = core_wire(c, WIRE_INPUT, 0, true,
                           words_of(in->dtype, (uint64_t)positions_of(in) * n_c), p->slots[0]);
    Chain ch = start_chain(c, p, cx, n_o);
    Steps s;
    start_steps(c, &s, p, last, n_o, o);
    /* By message: its elements, where its weights are, whether it is ours. */
    int64_t *at = arena_array(c->temp, int64_t, messages);
    int64_t *size = arena_array(c->temp, int64_t, messages);
    int64_t *mine = arena_array(c->temp, int64_t, messages);
    int64_t *others = arena_array(c->temp, int64_t, messages);
    uint64_t positions = 0;
    DType wt = p->weights->type.dtype;
    for (uint32_t i = 0; i < messages; i++) {
        uint32_t px = block_size(in->cols, in->segs, i % in->segs);
        at[i] = (int64_t)(positions * n_c * n_o * dtype_bytes(wt));
        size[i] = (int64_t)px * n_c;
        mine[i] = part_takes(p, cx, i);
        others[i] = !mine[i];
        positions += mine[i] ? px : 0;
    }
    uint32_t weights = matrix_buffer(c, p, positions * n_c * n_o);
    uint32_t buffer = core_buffer(c, "sums", SEGMENT_BUFFER, 4ull * n_o, 4);
    Operand acc = op_mem(DT_F32, core_address(c, buffer, 0), ZERO, ZERO, o, ONE);

    if (holds_operands(p)) {
        open_last(c, &ch);
        receive_held(c, &s);
        close_last(c, &ch);
    }
    core_op(c, OPCODE_COPY, D1(o), acc, start_of_sums(c, p, cx, n_o), op_none());
    uint32_t depth = core_loop(c, core_number(c, messages));
    Scalar elements = even ? core_number(c, size[0]) : core_table(c, size, messages, depth);
    Operand matrix = op_mem(wt, ZERO, ZERO, ZERO, o, ONE), sums = acc;
    sums.stride[2] = ZERO;
    if (even && split == 1) {
        matrix.base = core_address(c, weights, 0);
        matrix.step[depth] = core_number(c, size[0] * n_o * dtype_bytes(wt));
    } else {
        matrix.base = core_addresses(c, weights, at, messages, depth);
    }
    if (split > 1)
        core_loop(c, core_table(c, mine, messages, depth));
    core_op(c, OPCODE_MAC, D2(elements, o), sums, matrix, op_wire(in->dtype, x, 1));
    if (split > 1) {
        core_end(c);
        core_loop(c, core_table(c, others, messages, depth));
        core_op(c, OPCODE_SKIP, D1(elements), op_none(), op_wire(in->dtype, x, 0), op_none());
        core_end(c);
    }
    core_end(c);
    pass_on(c, &ch, D2(ONE, o), acc);
    open_last(c, &ch);
    Operand chain = op_wire(DT_F32, ch.in, 0);
    Walk w = {.seg = -1, .cols = 1, .segs = 1, .px = ONE};
    run_and_send(c, &s, ch.present ? &chain : NULL, acc, acc, 0, p->n_micros, &w);
    close_last(c, &ch);
}
