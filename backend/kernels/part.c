/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/part.c - cuts a kernel for a shape: micro operations, protocols, schedule
 * of rows, and the contents of constant buffers.
 *
 * Everything here is closed form in the kernel's extents; nothing depends on the number of
 * cores but part_fill(), which copies the weights of one. */
#include "backend/kernels/part.h"

static bool illegal(Part *p, const char *why)
{
    p->why = why;
    return false;
}

static Micro *add_micro(Part *p, Opcode code, const Node *node)
{
    if (p->n_micros == PART_MAX_MICROS)
        return NULL;
    Micro *m = &p->micros[p->n_micros++];
    *m = (Micro){.code = code, .node = node, .dtype = DT_F32};
    return m;
}

static bool matches(const Protocol *p, const Protocol *like)
{
    return p->rows == like->rows && p->cols == like->cols && p->features == like->features;
}

/* A stream whose messages are single positions can be read with any split in rows. */
static bool view_as(Protocol *p, const Protocol *like)
{
    if (matches(p, like))
        return true;
    if (p->features != like->features || p->segs != p->cols ||
        (uint64_t)p->rows * p->cols != (uint64_t)like->rows * like->cols)
        return false;
    p->rows = like->rows;
    p->cols = p->segs = like->cols;
    return true;
}

/* How a constant operand varies over a node's result. */
static bool constant_micro(Part *p, Micro *m, const Node *value, const Node *node)
{
    const Type *t = &value->type, *r = &node->type;
    if (t->rank > r->rank)
        return illegal(p, "a constant has more axes than the value it meets");
    bool features = false, positions = false;
    for (int i = 0; i < t->rank; i++) {
        int64_t extent = t->extent[i];
        if (extent != 1 && extent != r->extent[r->rank - t->rank + i])
            return illegal(p, "a constant would enlarge the value it meets");
        if (extent != 1 && i == t->rank - 1)
            features = true;
        else if (extent != 1)
            positions = true;
    }
    m->constant = value;
    m->dtype = value->type.dtype;
    m->operand = positions ? MICRO_FULL : features ? MICRO_FEATURE : MICRO_FLOAT;
    if (m->operand == MICRO_FLOAT)
        m->value = value->value ? value->value[0] : 0.0f;
    return true;
}

static bool stream_micro(Part *p, Micro *m, uint32_t stream, const Protocol *here)
{
    Protocol *s = &p->in[stream];
    m->stream = stream;
    if (view_as(s, here)) {
        m->operand = MICRO_STREAM;
        return true;
    }
    if (s->rows == 1 && s->cols == 1 && s->features == here->features) {
        m->operand = MICRO_HELD;
        return true;
    }
    return illegal(p, "a second operand that is not a constant has to have the same shape, or one "
                      "value a feature");
}

static bool binary_code(Opkind op, Opcode *code)
{
    switch ((int)op) {
    case OP_ADD:
        *code = OPCODE_ADD;
        return true;
    case OP_SUB:
        *code = OPCODE_SUB;
        return true;
    case OP_MUL:
        *code = OPCODE_MUL;
        return true;
    case OP_MIN:
        *code = OPCODE_MIN;
        return true;
    case OP_MAX:
        *code = OPCODE_MAX;
        return true;
    }
    return false;
}

static bool pool_step(Part *p, const Node *n)
{
    if (p->pool.present)
        return illegal(p, "one kernel holds one pooling stage");
    Pool *q = &p->pool;
    q->present = true;
    q->node = n;
    q->global = n->op == OP_GLOBAL_MAX_POOL || n->op == OP_GLOBAL_AVG_POOL;
    q->average = n->op == OP_AVG_POOL || n->op == OP_GLOBAL_AVG_POOL;
    q->start = q->average ? 0.0f : f32_from_bits(0xff800000u);
    for (int i = 0; i < 2; i++) {
        q->kernel[i] = (uint32_t)n->attr.kernel[i];
        q->stride[i] = (uint32_t)(n->attr.stride[i] ? n->attr.stride[i] : n->attr.kernel[i]);
        q->padding[i] = (uint32_t)n->attr.padding[i];
    }
    p->n_before = p->n_micros;
    if (q->average) {
        Micro *m = add_micro(p, OPCODE_MUL, n);
        if (!m)
            return illegal(p, "too many fused steps");
        double count =
            q->global ? (double)p->mid.rows * p->mid.cols : (double)q->kernel[0] * q->kernel[1];
        m->operand = MICRO_FLOAT;
        m->value = (float)(1.0 / count);
    }
    return true;
}

/* One fused node; prev is the node whose value runs, NULL for a line kernel's anchor; *next
 * is the next unused stream. */
static bool add_step(Part *p, const Node *n, const Node *prev, uint32_t *next)
{
    Protocol here;
    if (op_info[n->op].flags & OPF_POOL)
        return pool_step(p, n);
    if (!protocol_of(&n->type, p->shape.lanes_out, 1, &here))
        return illegal(p, "the value has no form as a stream (rank 1 to 3)");
    Opcode code = OPCODE_MAX;
    if (n->op != OP_RELU && !binary_code(n->op, &code))
        return illegal(p, "this operation cannot be a fused step");
    Micro *m = add_micro(p, code, n);
    if (!m)
        return illegal(p, "too many fused steps");
    if (n->op == OP_RELU)
        return true; /* with the number 0 */
    uint32_t runs = plan_chain_operand(n, prev);
    const Node *other = n->in[1 - runs];
    m->swapped = runs == 1;
    if (other->op == OP_CONST)
        return constant_micro(p, m, other, n);
    if (*next >= p->n_in)
        return illegal(p, "a second operand has no stream");
    return stream_micro(p, m, (*next)++, &here);
}

/* max(pool(x), c) is the pool that starts from c: a relu just before a maximum is free. */
static void start_maximum(Part *p)
{
    Pool *q = &p->pool;
    if (!q->present || q->average || p->n_before == 0)
        return;
    const Micro *m = &p->micros[p->n_before - 1];
    if (m->code != OPCODE_MAX || m->operand != MICRO_FLOAT || m->value != m->value)
        return;
    q->start = m->value;
    p->n_before--;
    p->n_micros--;
    for (uint32_t i = p->n_before; i < p->n_micros; i++)
        p->micros[i] = p->micros[i + 1];
}

static bool add_steps(Part *p)
{
    const Kernel *k = p->kernel;
    const Node *prev = k->anchor;
    uint32_t next = 1;
    if (p->form == FORM_LINE) {
        if (!add_step(p, k->anchor, NULL, &next))
            return false;
    } else if (p->form != FORM_REDUCE && k->anchor->attr.has_bias) {
        p->bias = k->anchor->in[2];
    }
    for (uint32_t i = 0; i < k->n_steps; i++) {
        if (!add_step(p, k->steps[i], prev, &next))
            return false;
        prev = k->steps[i];
    }
    if (!p->pool.present)
        p->n_before = p->n_micros;
    start_maximum(p);
    return true;
}

static bool make_matrix(Part *p)
{
    const Node *n = p->kernel->anchor;
    const Shape *s = &p->shape;
    p->weights = n->in[1];
    if (p->weights->op != OP_CONST)
        return illegal(p, "the matrix has to be a constant: both operands come from activations");
    p->in[0].lanes = s->lanes_in;
    Protocol source;
    if (!protocol_of(&n->in[0]->type, s->lanes_in, 1, &source) ||
        !protocol_of(&n->type, s->lanes_out, 1, &p->mid))
        return illegal(p, "the value has no form as a stream (rank 1 to 3)");
    if (n->op == OP_CONV2D) {
        if (!view_as(&p->in[0], &source))
            return illegal(p, "the image does not arrive in the order the convolution needs");
        for (int i = 0; i < 2; i++) {
            p->kernel_size[i] = (uint32_t)n->attr.kernel[i];
            p->stride[i] = (uint32_t)(n->attr.stride[i] ? n->attr.stride[i] : 1);
            p->padding[i] = (uint32_t)n->attr.padding[i];
        }
        bool plain = true;
        for (int i = 0; i < 2; i++)
            plain = plain && p->kernel_size[i] == 1 && p->stride[i] == 1 && p->padding[i] == 0;
        p->form = plain ? FORM_DIRECT : FORM_WINDOW;
    } else if (source.features == p->in[0].features) {
        if (!view_as(&p->in[0], &source))
            return illegal(p, "the operand does not arrive in the order the product needs");
        p->form = FORM_DIRECT;
    } else {
        uint64_t all = (uint64_t)p->in[0].rows * p->in[0].cols * p->in[0].features;
        if (source.rows != 1 || source.cols != 1 || all != source.features)
            return illegal(p, "the operand does not arrive in the order the product needs");
        p->form = FORM_ACCUMULATE;
    }
    /* While a column is at its message, those of the others have to get past it. */
    if (p->form == FORM_ACCUMULATE && s->split > 1)
        p->slots[0] = s->split + 1;
    uint32_t kh = p->kernel_size[0], split = s->split;
    bool fair = true;
    if (p->form == FORM_DIRECT)
        fair = split == 1;
    else if (p->form == FORM_ACCUMULATE)
        fair = split <= p->in[0].rows * p->in[0].segs;
    else if (split > kh)
        fair = split % kh == 0 && split / kh <= p->kernel_size[1];
    if (!fair)
        return illegal(p, "a lane's work cannot be dealt over so many columns");
    p->shape.w = s->lanes_in * s->split;
    p->shape.h = s->lanes_out;
    return true;
}

/* The most groups in which the borders of both cuts coincide. */
uint32_t adapter_groups(uint32_t features, uint32_t a, uint32_t b)
{
    for (uint32_t g = a < b ? a : b; g > 1; g--) {
        bool fits = a % g == 0 && b % g == 0;
        for (uint32_t q = 1; fits && q < g; q++)
            fits = lane_begin(features, a, q * (a / g)) == lane_begin(features, b, q * (b / g));
        if (fits)
            return g;
    }
    return 1;
}

static bool make_adapter(Part *p)
{
    const Shape *s = &p->shape;
    p->form = FORM_ADAPTER;
    p->in[0].lanes = s->lanes_in;
    p->mid = p->result = p->in[0];
    p->result.lanes = s->lanes_out;
    p->shape.segs_out = p->in[0].segs;
    if (s->lanes_in > p->in[0].features || s->lanes_out > p->in[0].features)
        return illegal(p, "more lanes than features");
    p->groups = adapter_groups(p->in[0].features, s->lanes_in, s->lanes_out);
    p->shape.split = 1;
    p->shape.w = group_in(p) > 1 && group_out(p) > 1 ? 2 : 1;
    p->shape.h = s->lanes_in > s->lanes_out ? s->lanes_in : s->lanes_out;
    return true;
}

static bool make_strip(Part *p)
{
    const Node *n = p->kernel->anchor;
    p->form = p->kernel->kind == KERNEL_REDUCE ? FORM_REDUCE : FORM_LINE;
    if (!p->shape.lanes_out)
        p->shape.lanes_out = p->form == FORM_REDUCE ? 1 : p->shape.lanes_in;
    if (p->form == FORM_LINE ? p->shape.lanes_out != p->shape.lanes_in : p->shape.lanes_out != 1)
        return illegal(p, "a line kernel keeps its lanes, a reduction leaves by one");
    p->shape.split = 1;
    p->shape.w = 1;
    p->shape.h = p->shape.lanes_in;
    const Node *of = n;
    if (op_info[n->op].flags & (OPF_POOL | OPF_REDUCE))
        of = n->in[0];
    if (!protocol_of(&of->type, p->shape.lanes_in, 1, &p->mid))
        return illegal(p, "the value has no form as a stream (rank 1 to 3)");
    if (p->form == FORM_REDUCE || (op_info[n->op].flags & OPF_POOL)) {
        if (!view_as(&p->in[0], &p->mid))
            return illegal(p, "the operand does not arrive in the order the kernel needs");
    }
    return true;
}

bool part_make(Arena *a, const Kernel *k, const Protocol *protocol_in, const Machine *m,
               const Shape *shape, Part *p)
{
    *p = (Part){.arena = a, .kernel = k, .machine = m, .shape = *shape};
    p->micros = arena_array(a, Micro, PART_MAX_MICROS);
    for (int i = 0; i < 2; i++)
        p->kernel_size[i] = p->stride[i] = 1;
    p->n_in = k->n_in ? k->n_in : 1;
    p->n_out = k->n_out > k->n_branches ? k->n_out - k->n_branches : 1;
    if (p->n_in > KERNEL_MAX_INPUTS || p->n_out > KERNEL_MAX_OUTPUTS)
        return illegal(p, "more streams than a kernel can have");
    for (uint32_t i = 0; i < p->n_in; i++) {
        p->in[i] = protocol_in[i];
        p->in[i].lanes = i ? shape->lanes_out : shape->lanes_in;
        p->slots[i] = PART_SLOTS;
        if (p->in[i].segs < 1 || p->in[i].segs > p->in[i].cols)
            p->in[i].segs = 1;
    }
    if (!shape->split)
        p->shape.split = 1;
    if (shape->lanes_in < 1 || shape->lanes_in > protocol_in[0].features)
        return illegal(p, "more lanes than features");
    bool ok = false;
    switch (k->kind) {
    case KERNEL_MATVEC:
    case KERNEL_CONV:
        ok = make_matrix(p);
        break;
    case KERNEL_LINE:
    case KERNEL_REDUCE:
        ok = make_strip(p);
        break;
    case KERNEL_ADAPTER:
        return make_adapter(p);
    case KERNEL_KIND_COUNT:
        break;
    }
    if (!ok || !add_steps(p))
        return false;
    if (p->form == FORM_REDUCE && (p->n_micros || p->pool.present))
        return illegal(p, "a reduction has no fused steps");

    if (p->form == FORM_LINE && !view_as(&p->in[0], &p->mid))
        return illegal(p, "an operand would have to be enlarged along rows or columns");

    /* Segments. Message by message kernels keep them, pools and line buffers choose. */
    const Node *last = k->n_steps ? k->steps[k->n_steps - 1] : k->anchor;
    if (!protocol_of(&last->type, p->shape.lanes_out, 1, &p->result))
        return illegal(p, "the value has no form as a stream (rank 1 to 3)");
    if (p->shape.lanes_out < 1 || p->shape.lanes_out > p->result.features)
        return illegal(p, "more lanes than features");
    uint32_t wish = p->shape.segs_out ? p->shape.segs_out : 1;
    if (wish > p->result.cols)
        wish = p->result.cols;
    switch (p->form) {
    case FORM_DIRECT:
    case FORM_LINE:
    case FORM_REDUCE:
        p->mid.segs = p->in[0].segs;
        break;
    case FORM_WINDOW:
        p->mid.segs = wish;
        if (p->pool.present && p->pool.global) {
            uint32_t o = lane_size(p->mid.features, p->shape.lanes_out, 0);
            p->mid.segs = (uint32_t)(((uint64_t)p->mid.cols * o + 1023) / 1024);
            if (p->mid.segs > p->mid.cols)
                p->mid.segs = p->mid.cols;
        }
        break;
    case FORM_ACCUMULATE:
    case FORM_ADAPTER:
        break;
    }
    p->result.segs = p->pool.present ? wish : p->mid.segs;
    if (p->pool.present && p->pool.global)
        p->result.segs = 1;
    p->shape.segs_out = p->result.segs;
    return true;
}

Taps part_taps(const Part *p, uint32_t cx)
{
    uint32_t kh = p->kernel_size[0], kw = p->kernel_size[1], split = p->shape.split;
    uint32_t at = cx % split, parts = split > kh ? split / kh : 1;
    if (parts == 1)
        return (Taps){block_begin(kh, split, at), block_size(kh, split, at), 0, kw};
    return (Taps){at / parts, 1, block_begin(kw, parts, at % parts),
                  block_size(kw, parts, at % parts)};
}

uint32_t part_lane_in(const Part *p, uint32_t cx, uint32_t cy)
{
    bool mirror = p->kernel->mirror;
    uint32_t lanes = p->shape.lanes_in;
    if (p->form == FORM_LINE || p->form == FORM_REDUCE)
        return mirror ? lanes - 1 - cy : cy;
    uint32_t group = cx / p->shape.split; /* travelling south, left is east */
    return mirror ? group : lanes - 1 - group;
}

uint32_t part_lane_out(const Part *p, uint32_t cx, uint32_t cy)
{
    (void)cx;
    if (p->form == FORM_REDUCE)
        return 0;
    return p->kernel->mirror ? p->shape.lanes_out - 1 - cy : cy;
}

bool part_core(Arena *a, const Part *p, uint32_t cx, uint32_t cy, Core *core, const char **why)
{
    core_start(core, a, p->machine);
    core->origin = 1;
    switch (p->form) {
    case FORM_DIRECT:
    case FORM_WINDOW:
    case FORM_LINE:
        build_rows(p, core, cx, cy);
        break;
    case FORM_ACCUMULATE:
        build_accumulate(p, core, cx, cy);
        break;
    case FORM_REDUCE:
        build_reduce(p, core, cx, cy);
        break;
    case FORM_ADAPTER:
        build_adapter(p, core, cx, cy);
        break;
    }
    return core_finish(core, why);
}

static uint64_t place_kind(uint32_t at, uint32_t n)
{
    return (uint64_t)((at == 0) + 2 * (at == n - 1)) << 1 | (at & 1);
}

uint64_t part_column_kind(const Part *p, uint32_t cx)
{
    switch (p->form) {
    case FORM_DIRECT:
    case FORM_WINDOW:
    case FORM_ACCUMULATE:
        return (uint64_t)lane_size(p->in[0].features, p->shape.lanes_in, part_lane_in(p, cx, 0))
                   << 32 |
               (uint64_t)(cx % p->shape.split) << 8 | place_kind(cx, p->shape.w);
    case FORM_LINE:
    case FORM_REDUCE:
    case FORM_ADAPTER:
        break;
    }
    return cx;
}

uint64_t part_row_kind(const Part *p, uint32_t cy)
{
    switch (p->form) {
    case FORM_DIRECT:
    case FORM_WINDOW:
    case FORM_ACCUMULATE:
    case FORM_LINE:
        return lane_size(p->mid.features, p->shape.lanes_out, part_lane_out(p, 0, cy));
    case FORM_REDUCE:
        return (uint64_t)lane_size(p->in[0].features, p->shape.lanes_in, part_lane_in(p, 0, cy))
                   << 8 |
               place_kind(cy, p->shape.h);
    case FORM_ADAPTER:
        break;
    }
    return cy;
}

bool part_has_values(const Part *p)
{
    if ((p->weights && !p->weights->value) || (p->bias && !p->bias->value))
        return false;
    for (uint32_t i = 0; i < p->n_micros; i++) {
        const Micro *m = &p->micros[i];
        if (m->constant && !m->constant->value)
            return false;
    }
    return true;
}

static void put(uint8_t *out, uint64_t i, DType t, double v)
{
    if (t == DT_F16) {
        uint16_t bits = f16_from_f64(v);
        memcpy(out + 2 * i, &bits, 2);
    } else {
        float f = f32_canonical((float)v);
        memcpy(out + 4 * i, &f, 4);
    }
}

static void fill_matrix(const Part *p, const Buffer *b, uint32_t cx, uint32_t cy, uint8_t *out)
{
    const float *w = p->weights->value; /* conv2d [o][c][r][s], linear [o][k] */
    const Protocol *in = &p->in[0];
    uint32_t lane = part_lane_in(p, cx, cy), row = part_lane_out(p, cx, cy);
    uint32_t c0 = lane_begin(in->features, p->shape.lanes_in, lane);
    uint32_t nc = lane_size(in->features, p->shape.lanes_in, lane);
    uint32_t o0 = lane_begin(p->mid.features, p->shape.lanes_out, row);
    uint32_t no = lane_size(p->mid.features, p->shape.lanes_out, row);
    uint64_t at = 0;
    if (p->form == FORM_WINDOW) {
        uint32_t kh = p->kernel_size[0], kw = p->kernel_size[1];
        Taps t = part_taps(p, cx);
        for (uint32_t r = t.row; r < t.row + t.rows; r++)
            for (uint32_t s = t.col; s < t.col + t.cols; s++)
                for (uint32_t c = c0; c < c0 + nc; c++)
                    for (uint32_t o = o0; o < o0 + no; o++)
                        put(out, at++, b->dtype,
                            w[(((uint64_t)o * in->features + c) * kh + r) * kw + s]);
        return;
    }
    if (p->form == FORM_DIRECT) {
        for (uint32_t c = c0; c < c0 + nc; c++)
            for (uint32_t o = o0; o < o0 + no; o++)
                put(out, at++, b->dtype, w[(uint64_t)o * in->features + c]);
        return;
    }
    /* Accumulating: this column's messages, position by position. */
    uint32_t messages = in->rows * in->segs;
    uint64_t n_in = (uint64_t)in->rows * in->cols * in->features;
    for (uint32_t m = 0; m < messages; m++) {
        if (!part_takes(p, cx, m))
            continue;
        uint64_t begin =
            (uint64_t)(m / in->segs) * in->cols + block_begin(in->cols, in->segs, m % in->segs);
        uint64_t end = begin + block_size(in->cols, in->segs, m % in->segs);
        for (uint64_t q = begin; q < end; q++)
            for (uint32_t c = c0; c < c0 + nc; c++) {
                uint64_t k = q * in->features + c;
                for (uint32_t o = o0; o < o0 + no; o++)
                    put(out, at++, b->dtype, w[o * n_in + k]);
            }
    }
}

static void fill_micro(const Part *p, const Buffer *b, uint32_t cx, uint32_t cy, uint8_t *out)
{
    const Micro *m = &p->micros[b->fill_index];
    const Protocol *at = b->fill_index < p->n_before ? &p->mid : &p->result;
    uint32_t lane = part_lane_out(p, cx, cy);
    uint32_t features = p->form == FORM_REDUCE ? 1 : at->features;
    uint32_t o0 = lane_begin(features, p->shape.lanes_out, lane);
    uint32_t no = lane_size(features, p->shape.lanes_out, lane);
    const Type *t = &m->constant->type;
    if (m->operand == MICRO_FEATURE) {
        for (uint32_t i = 0; i < no; i++)
            put(out, i, b->dtype, m->constant->value[type_features(t) == 1 ? 0 : o0 + i]);
        return;
    }
    /* Full: rows x cols x features, from any broadcast form. Axes of the result from the
     * right: features, then cols for images, then rows. Rows are padded to the pitch. */
    int rank = m->node->type.rank;
    uint64_t pitch = b->bytes / at->rows / dtype_bytes(b->dtype);
    memset(out, 0, b->bytes);
    for (uint32_t y = 0; y < at->rows; y++)
        for (uint32_t x = 0; x < at->cols; x++)
            for (uint32_t i = 0; i < no; i++) {
                uint32_t index[3] = {y, x, o0 + i};
                uint64_t from = 0;
                for (int d = 0; d < t->rank; d++) {
                    int axis = rank - t->rank + d; /* of the result */
                    uint32_t v = axis == rank - 1 ? index[2] : axis == 0 ? index[0] : index[1];
                    from = from * (uint64_t)t->extent[d] + (t->extent[d] == 1 ? 0 : v);
                }
                put(out, y * pitch + (uint64_t)x * no + i, b->dtype, m->constant->value[from]);
            }
}

void part_fill(const Part *p, const Buffer *b, uint32_t cx, uint32_t cy, uint8_t *out)
{
    switch (b->fill) {
    case FILL_NONE:
        memset(out, 0, b->bytes);
        break;
    case FILL_MATRIX:
        fill_matrix(p, b, cx, cy, out);
        break;
    case FILL_BIAS: {
        uint32_t lane = part_lane_out(p, cx, cy);
        uint32_t begin = lane_begin(p->mid.features, p->shape.lanes_out, lane);
        for (uint32_t i = 0; i < b->bytes / dtype_bytes(b->dtype); i++)
            put(out, i, b->dtype, p->bias->value[begin + i]);
        break;
    }
    case FILL_MICRO:
        fill_micro(p, b, cx, cy, out);
        break;
    case FILL_INDEX: {
        uint32_t lane = part_lane_in(p, cx, cy);
        uint32_t begin = lane_begin(p->in[0].features, p->shape.lanes_in, lane);
        for (uint32_t i = 0; i < b->bytes / dtype_bytes(b->dtype); i++)
            put(out, i, b->dtype, begin + i);
        break;
    }
    }
}
