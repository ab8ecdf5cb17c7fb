// SPDX-License-Identifier: Apache-2.0
// runtime/check.c - memory maps, programs with every core's data, and host ports.
//
// Memory maps are checked once a rectangle, programs once for each distinct set of data words
// in it. Numbers of a program are bounded by intervals (a loop counter lies in [0, count), a
// table entry between the least and the greatest that its loop can pick): one pass over the
// text, whatever the loop counts. Intervals only widen, so what they accept is right; what
// they don't (numbers that are correlated, say a row that is skipped where its address would
// be out of bounds) is decided by walking the iteration operation by operation.

#include "runtime/check.h"

#include <inttypes.h>
#include <stdlib.h>

#include "ir/support/text.h"
#include "runtime/liveness.h"
#include "runtime/walk.h"

const CheckInfo check_info[CHECK_COUNT] = {
#define CHECK(id, tag, doc) {tag, doc},
#include "runtime/checks.def"
};

enum { ENOUGH = 20 };

static const uint64_t max_steps = (uint64_t)1 << 30; // of all passes and walks of an image
static const int64_t far = (int64_t)1 << 58;         // beyond every memory; a few still add up

typedef struct Checker {
    Diag *d;
    unsigned errors_before;
    Arena scratch;
    const Image *image;
    const Machine *m;
    const Fabric *f;
    uint64_t steps;
} Checker;

// What the operands of one program are held against.
typedef struct Subject {
    const Class *c;
    const int32_t *data;
    const Channel *channels;
    const Segment *segments;
    uint32_t n_segments;
    uint32_t node;
    CheckRule range; // OPERAND_RANGE or PORT_RANGE
} Subject;

typedef struct Interval {
    int64_t lo, hi;
} Interval;

bool check_fail(Diag *d, CheckRule rule, const char *format, ...)
{
    Text t = {0};
    va_list ap;
    va_start(ap, format);
    text_vprintf(&t, format, ap);
    va_end(ap);
    diag_error(d, (Span){0, 0, 0}, "%s: %s", check_info[rule].tag, t.data ? t.data : "");
    text_free(&t);
    return false;
}

static bool enough(const Checker *k)
{
    return k->d->n_errors - k->errors_before >= ENOUGH;
}

static const char *node_name(Checker *k, uint32_t node)
{
    return fabric_node_name(&k->scratch, k->f, node);
}

// 49153 as "49,153".
static const char *grouped(Checker *k, uint64_t n)
{
    if (n < 1000)
        return arena_printf(&k->scratch, "%" PRIu64, n);
    return arena_printf(&k->scratch, "%s,%03" PRIu64, grouped(k, n / 1000), n % 1000);
}

// ---- program texts ----

// depth and match, which everything that walks a program relies on, are as class_finish()
// would set them.
static bool loops_good(const Class *c)
{
    uint32_t open[PROGRAM_DEPTH], depth = 0;
    for (uint32_t i = 0; i < c->n_ops; i++) {
        const Op *op = &c->ops[i];
        if (op->code == OPCODE_END) {
            if (depth == 0 || op->match != open[--depth] || c->ops[open[depth]].match != i)
                return false;
        }
        if (op->depth != depth)
            return false;
        if (op->code == OPCODE_LOOP) {
            if (depth == PROGRAM_DEPTH)
                return false;
            open[depth++] = i;
        }
    }
    return depth == 0;
}

static void check_texts(Checker *k)
{
    for (uint32_t i = 0; i < k->image->n_classes && !enough(k); i++) {
        const Class *c = &k->image->classes[i];
        const char *why = "its loops do not balance";
        if (!loops_good(c) || !program_verify(&k->scratch, c, &why))
            check_fail(k->d, CHECK_PROGRAM, "class %" PRIu32 " '%s': %s", i, c->name, why);
    }
}

// ---- memory maps ----

static int by_address(const void *a, const void *b)
{
    const Segment *p = a, *q = b;
    if (p->address != q->address)
        return p->address < q->address ? -1 : 1;
    return (p->bytes > q->bytes) - (p->bytes < q->bytes);
}

static int by_init_address(const void *a, const void *b)
{
    const Init *p = a, *q = b;
    return (p->address > q->address) - (p->address < q->address);
}

static const char *segment_name(Checker *k, const Segment *s)
{
    static const char *const kinds[SEGMENT_COUNT] = {"weights", "buffer", "ring", "data", "code"};
    const char *origin = s->origin < k->image->n_origins ? k->image->origins[s->origin].name : NULL;
    return arena_printf(&k->scratch, "%s%s%s%s at %" PRIu32 " of %s bytes", kinds[s->kind],
                        origin && *origin ? " of '" : "", origin ? origin : "",
                        origin && *origin ? "'" : "", s->address, grouped(k, s->bytes));
}

static bool segments_good(Checker *k, const CoreRect *r, const Segment *s, const char *core)
{
    uint32_t sram = k->m->sram_bytes;
    uint64_t end = k->m->reserve_bytes;
    for (uint32_t i = 0; i < r->n_segments; i++) {
        uint64_t e = (uint64_t)s[i].address + s[i].bytes;
        end = e > end ? e : end;
    }
    if (end > sram) {
        const Segment *most = &s[0];
        for (uint32_t i = 1; i < r->n_segments; i++)
            most = s[i].bytes > most->bytes ? &s[i] : most;
        return check_fail(k->d, CHECK_MEMORY_SIZE,
                          "%s needs %s bytes, a core has %s; the most go to the %s", core,
                          grouped(k, end), grouped(k, sram), segment_name(k, most));
    }
    for (uint32_t i = 0; i < r->n_segments; i++) {
        if (s[i].address < k->m->reserve_bytes)
            return check_fail(k->d, CHECK_MEMORY_RESERVE,
                              "the %s in %s lies within the first %s bytes, which are reserved",
                              segment_name(k, &s[i]), core, grouped(k, k->m->reserve_bytes));
        if (i > 0 && s[i].address < s[i - 1].address + s[i - 1].bytes)
            return check_fail(k->d, CHECK_MEMORY_OVERLAP, "in %s, the %s overlaps the %s", core,
                              segment_name(k, &s[i]), segment_name(k, &s[i - 1]));
    }
    return true;
}

// Exactly one segment of a kind, of `bytes` bytes (none is as good as one of 0 bytes).
static const Segment *only_segment(const CoreRect *r, const Segment *s, SegmentKind kind,
                                   uint32_t *count)
{
    const Segment *found = NULL;
    *count = 0;
    for (uint32_t i = 0; i < r->n_segments; i++) {
        if (s[i].kind == (uint32_t)kind && s[i].bytes > 0) {
            found = &s[i];
            ++*count;
        }
    }
    return found;
}

static bool code_and_data_good(Checker *k, const CoreRect *r, const Segment *s, const char *core)
{
    const Class *c = &k->image->classes[r->class_id];
    uint32_t n_code, n_data, code_bytes = c->n_ops * k->m->op_bytes, data_bytes = 4 * c->n_data;
    const Segment *code = only_segment(r, s, SEGMENT_CODE, &n_code);
    const Segment *data = only_segment(r, s, SEGMENT_DATA, &n_data);
    if (n_code != (code_bytes > 0) ||
        (code && (code->bytes != code_bytes || code->address != k->m->reserve_bytes)))
        return check_fail(k->d, CHECK_MEMORY_CODE,
                          "%s has %" PRIu32 " code segments%s%s; its class '%s' needs one of %s "
                          "bytes at %" PRIu32,
                          core, n_code, code ? ", a " : "", code ? segment_name(k, code) : "",
                          c->name, grouped(k, code_bytes), k->m->reserve_bytes);
    if (n_data != (data_bytes > 0) || (data && (data->bytes != data_bytes || data->address % 4)))
        return check_fail(k->d, CHECK_MEMORY_DATA,
                          "%s has %" PRIu32 " data segments%s%s; its class '%s' needs one of %s "
                          "bytes, aligned to words",
                          core, n_data, data ? ", a " : "", data ? segment_name(k, data) : "",
                          c->name, grouped(k, data_bytes));
    return true;
}

static bool rings_good(Checker *k, const CoreRect *r, const Segment *s, const char *core)
{
    const Class *c = &k->image->classes[r->class_id];
    for (uint32_t i = 0; i < c->n_channels; i++) {
        const Channel *ch = &r->channels[i];
        if (c->channel_is_out[i] || ch->color < 0)
            continue;
        uint64_t bytes = 4ull * ch->slots;
        if (__builtin_mul_overflow(bytes, ch->slot_words, &bytes) || bytes > k->m->sram_bytes)
            bytes = UINT32_MAX;
        uint32_t at = 0;
        while (at < r->n_segments &&
               !(s[at].kind == SEGMENT_RING && s[at].address == ch->ring && s[at].bytes == bytes))
            at++;
        if (at == r->n_segments || bytes == 0 || ch->ring % 4 != 0)
            return check_fail(k->d, CHECK_RING_SEGMENT,
                              "%s receives color %" PRId32 " into %" PRIu32 " slots of %" PRIu32
                              " words at %" PRIu32 "; there is no such ring in its memory",
                              core, ch->color, ch->slots, ch->slot_words, ch->ring);
        for (uint32_t j = 0; j < i; j++) {
            const Channel *other = &r->channels[j];
            if (!c->channel_is_out[j] && other->color >= 0 && other->ring == ch->ring)
                return check_fail(k->d, CHECK_RING_SHARED,
                                  "%s receives colors %" PRId32 " and %" PRId32
                                  " into the same ring at %" PRIu32,
                                  core, other->color, ch->color, ch->ring);
        }
    }
    return true;
}

static const Segment *segment_around(const Segment *s, uint32_t n, int64_t lo, int64_t hi)
{
    for (uint32_t i = 0; i < n; i++) {
        if (lo >= s[i].address && hi <= (int64_t)s[i].address + s[i].bytes)
            return &s[i];
    }
    return NULL;
}

static bool inits_good(Checker *k, const CoreRect *r, const Segment *s, const char *core)
{
    Init *inits = arena_array(&k->scratch, Init, (size_t)r->n_inits + 1);
    for (uint32_t i = 0; i < r->n_inits; i++)
        inits[i] = r->inits[i];
    qsort(inits, r->n_inits, sizeof *inits, by_init_address);
    for (uint32_t i = 0; i < r->n_inits; i++) {
        const Init *v = &inits[i];
        int64_t end = (int64_t)v->address + v->bytes;
        const Segment *in = segment_around(s, r->n_segments, v->address, end);
        if (!in || in->kind != SEGMENT_WEIGHTS ||
            (i > 0 && v->address < (uint64_t)inits[i - 1].address + inits[i - 1].bytes))
            return check_fail(k->d, CHECK_INIT_RANGE,
                              "in %s, initial contents of %s bytes at %" PRIu32
                              " are not within a weights segment, or overlap others",
                              core, grouped(k, v->bytes), v->address);
        if (!k->image->has_weights)
            continue;
        // affine: the extremes are at the corners
        for (int corner = 0; corner < 4; corner++) {
            int64_t i_last = corner & 1 ? r->grid.nx - 1 : 0, di, at;
            int64_t j_last = corner & 2 ? r->grid.ny - 1 : 0, dj;
            bool good = v->offset <= INT64_MAX && k->image->data_bytes <= INT64_MAX &&
                        !__builtin_mul_overflow(v->pitch_i, i_last, &di) &&
                        !__builtin_mul_overflow(v->pitch_j, j_last, &dj) &&
                        !__builtin_add_overflow((int64_t)v->offset, di, &at) &&
                        !__builtin_add_overflow(at, dj, &at);
            if (!good || at < 0 || v->bytes > k->image->data_bytes ||
                (uint64_t)at > k->image->data_bytes - v->bytes)
                return check_fail(k->d, CHECK_INIT_DATA,
                                  "core (%" PRIu32 ", %" PRIu32 ") of '%s' takes %s bytes from "
                                  "outside the %s bytes of weights in the image",
                                  r->grid.x + (uint32_t)i_last * r->grid.sx,
                                  r->grid.y + (uint32_t)j_last * r->grid.sy,
                                  k->image->kernels[r->kernel].name, grouped(k, v->bytes),
                                  grouped(k, k->image->data_bytes));
        }
    }
    return true;
}

// ---- intervals ----

typedef struct Bounds { // while a program's text is passed over once
    Checker *k;
    const Subject *s;
    int64_t turns[PROGRAM_DEPTH]; // of the enclosing loops, at most; each at least 1
    uint32_t depth;
    bool exact; // false: something was not decided, the iteration has to be walked
} Bounds;

static Interval value_of(const Bounds *b, Scalar v)
{
    Interval r = {v.value, v.value};
    if (v.kind == SCALAR_DATA)
        r.lo = r.hi = b->s->data[v.value];
    if (v.kind == SCALAR_TABLE) {
        b->k->steps += (uint64_t)b->turns[v.loop];
        r.lo = r.hi = b->s->data[v.value];
        for (int64_t i = 1; i < b->turns[v.loop]; i++) {
            int64_t x = b->s->data[v.value + i];
            r.lo = x < r.lo ? x : r.lo;
            r.hi = x > r.hi ? x : r.hi;
        }
    }
    return r;
}

static int64_t product(int64_t x, int64_t y)
{
    int64_t r;
    if (__builtin_mul_overflow(x, y, &r) || r > far || r < -far)
        return (x < 0) == (y < 0) ? far : -far;
    return r;
}

// a += v * [0, last]
static void add_span(Interval *a, Interval v, int64_t last)
{
    a->lo += v.lo < 0 ? product(v.lo, last) : 0;
    a->hi += v.hi > 0 ? product(v.hi, last) : 0;
}

// Whether every number that a scalar can be is a multiple of n.
static bool multiple_of(const Bounds *b, Scalar v, int64_t n)
{
    if (v.kind == SCALAR_IMM)
        return v.value % n == 0;
    if (v.kind == SCALAR_DATA)
        return b->s->data[v.value] % n == 0;
    for (int64_t i = 0; i < b->turns[v.loop]; i++) {
        if (b->s->data[v.value + i] % n != 0)
            return false;
    }
    return true;
}

static bool op_fail(const Bounds *b, const Op *op, CheckRule rule, const char *what, int64_t n)
{
    Checker *k = b->k;
    uint32_t index = (uint32_t)(op - b->s->c->ops);
    const Origin *o = op->origin < k->image->n_origins ? &k->image->origins[op->origin] : NULL;
    const char *at = o && o->line ? arena_printf(&k->scratch, " (line %" PRIu32 ")", o->line) : "";
    return check_fail(k->d, rule, "operation %" PRIu32 "%s of %s: %s %" PRId64, index, at,
                      node_name(k, b->s->node), what, n);
}

// The bytes an operand touches, over all turns. False after a report.
static bool operand_bounds(Bounds *b, const Op *op, const Interval *extent, const Operand *o,
                           Interval *bytes)
{
    int64_t size = dtype_bytes((DType)o->dtype);
    Interval a = value_of(b, o->base);
    bool aligned = multiple_of(b, o->base, size);
    for (uint32_t d = 0; d < op->depth; d++) {
        add_span(&a, value_of(b, o->step[d]), b->turns[d] - 1);
        aligned = aligned && (b->turns[d] == 1 || multiple_of(b, o->step[d], size));
    }
    Interval pitch = value_of(b, o->ring_pitch);
    if (pitch.lo != 0 || pitch.hi != 0) {
        Interval at = value_of(b, o->ring_offset), modulus = value_of(b, o->ring_modulus);
        if (at.lo < 0)
            return op_fail(b, op, CHECK_RING_TERM, "the offset in a ring is", at.lo);
        if (modulus.lo < 1)
            return op_fail(b, op, CHECK_RING_TERM, "the modulus of a ring is", modulus.lo);
        for (uint32_t d = 0; d < op->depth; d++)
            at.hi += o->ring_coef[d] * (b->turns[d] - 1);
        if (at.hi >= modulus.lo) // it may wrap
            at = (Interval){0, modulus.hi - 1};
        // pitch * at, both of which may vary
        int64_t ends[4] = {product(pitch.lo, at.lo), product(pitch.lo, at.hi),
                           product(pitch.hi, at.lo), product(pitch.hi, at.hi)};
        Interval p = {ends[0], ends[0]};
        for (int i = 1; i < 4; i++) {
            p.lo = ends[i] < p.lo ? ends[i] : p.lo;
            p.hi = ends[i] > p.hi ? ends[i] : p.hi;
        }
        a.lo += p.lo;
        a.hi += p.hi;
        aligned = aligned && multiple_of(b, o->ring_pitch, size);
    }
    for (int i = 0; i < PROGRAM_DIMS; i++) {
        Interval stride = value_of(b, o->stride[i]);
        add_span(&a, (Interval){stride.lo * size, stride.hi * size}, extent[i].hi - 1);
    }
    *bytes = (Interval){a.lo, a.hi + size};
    b->exact = b->exact && aligned;
    return true;
}

static bool touches_right(const Subject *s, bool is_dst, Interval bytes)
{
    const Segment *in = segment_around(s->segments, s->n_segments, bytes.lo, bytes.hi);
    return in && (in->kind == SEGMENT_BUFFER || (in->kind == SEGMENT_WEIGHTS && !is_dst));
}

// One operation, over all turns. False after a report; b->exact is cleared where the
// intervals leave something open.
static bool op_bounds(Bounds *b, const Op *op)
{
    Interval extent[PROGRAM_DIMS], at[1 + PROGRAM_SOURCES];
    int64_t elements = 1;
    bool surely = true;
    for (int i = 0; i < PROGRAM_DIMS; i++) {
        extent[i] = value_of(b, op->extent[i]);
        if (extent[i].lo < 0)
            return op_fail(b, op, CHECK_EXTENT, "an extent is", extent[i].lo);
        surely = surely && extent[i].lo > 0;
        if (__builtin_mul_overflow(elements, extent[i].hi, &elements) || elements > INT32_MAX)
            return op_fail(b, op, CHECK_EXTENT, "too many elements; an extent is", extent[i].hi);
    }
    for (int x = -1; x < PROGRAM_SOURCES; x++) {
        const Operand *o = x < 0 ? &op->dst : &op->src[x];
        if (o->kind == OPERAND_COLOR && (!surely || b->s->channels[o->channel].color < 0))
            b->exact = false;
        if (o->kind != OPERAND_MEM || elements == 0)
            continue;
        Interval *mine = &at[x + 1];
        if (!operand_bounds(b, op, extent, o, mine))
            return false;
        if (!touches_right(b->s, x < 0, *mine))
            b->exact = false;
        if (x >= 0 && op->dst.kind == OPERAND_MEM && mine->lo < at[0].hi && at[0].lo < mine->hi &&
            !operand_equal(o, &op->dst))
            b->exact = false;
    }
    return true;
}

// ---- the exact walk ----

static bool walked_operand_good(Bounds *b, const Walk *w, const Op *op, const Operand *o,
                                bool is_dst)
{
    Interval bytes;
    if (!operand_range(op, o, w->data, w->counter, &bytes.lo, &bytes.hi))
        return op_fail(b, op, b->s->range, "an address beyond 64 bits, from",
                       operand_address(o, op->depth, w->data, w->counter));
    if (bytes.lo % dtype_bytes((DType)o->dtype) != 0)
        return op_fail(b, op, CHECK_OPERAND_ALIGN, "an element that is not aligned, at", bytes.lo);
    if (touches_right(b->s, is_dst, bytes))
        return true;
    const Segment *in = segment_around(b->s->segments, b->s->n_segments, bytes.lo, bytes.hi);
    if (in && in->kind == SEGMENT_WEIGHTS)
        return op_fail(b, op, CHECK_OPERAND_CONSTANT, "writes to weights at", bytes.lo);
    const char *what =
        arena_printf(&b->k->scratch, "%s %" PRId64 " bytes%s, not within one %s, at",
                     is_dst ? "writes" : "reads", bytes.hi - bytes.lo,
                     in ? arena_printf(&b->k->scratch, " of the %s", segment_name(b->k, in)) : "",
                     b->s->range == CHECK_PORT_RANGE ? "tensor" : "weights or buffer segment");
    return op_fail(b, op, b->s->range, what, bytes.lo);
}

static bool walked_op_good(Bounds *b, const Walk *w, const Op *op)
{
    uint64_t elements = op_elements(op, w->data, w->counter);
    for (int x = -1; x < PROGRAM_SOURCES; x++) {
        const Operand *o = x < 0 ? &op->dst : &op->src[x];
        if (o->kind == OPERAND_COLOR) {
            if (elements == 0)
                return op_fail(b, op, CHECK_MESSAGE_EMPTY, "a message without elements on channel",
                               o->channel);
            if (b->s->channels[o->channel].color < 0)
                return op_fail(b, op, CHECK_CHANNEL_UNUSED, "no color on channel", o->channel);
        }
        if (o->kind != OPERAND_MEM || elements == 0)
            continue;
        if (!walked_operand_good(b, w, op, o, x < 0))
            return false;
        if (x >= 0 && op->dst.kind == OPERAND_MEM && !operand_equal(o, &op->dst) &&
            !operands_disjoint(op, o, &op->dst, w->data, w->counter))
            return op_fail(b, op, CHECK_ALIAS, "the destination overlaps source", x + 1);
    }
    return true;
}

static bool spend(Checker *k, uint64_t steps)
{
    k->steps += steps;
    if (k->steps > max_steps)
        return check_fail(k->d, CHECK_SIZE, "the programs take more steps than can be followed");
    return true;
}

static bool walk_good(Bounds *b)
{
    Walk w = {.c = b->s->c, .data = b->s->data, .budget = WALK_LIMIT};
    for (const Op *op; (op = walk_next(&w));) {
        if (!walked_op_good(b, &w, op))
            return false;
    }
    if (w.budget == 0)
        return op_fail(b, &b->s->c->ops[0], CHECK_LENGTH, "an iteration has more steps than",
                       WALK_LIMIT);
    return spend(b->k, WALK_LIMIT - w.budget);
}

static bool program_good(Checker *k, const Subject *s)
{
    const Class *c = s->c;
    Bounds b = {.k = k, .s = s, .exact = true};
    const char *why;
    if (!program_data_fits(c, s->data, &why))
        return check_fail(k->d, CHECK_TABLE, "class '%s' on %s: %s", c->name, node_name(k, s->node),
                          why);
    int64_t steps = 0, around = 1; // operations and turns, and turns of the loops around
    int64_t outer[PROGRAM_DEPTH];
    for (uint32_t i = 0; i < c->n_ops; i++) {
        const Op *op = &c->ops[i];
        steps += around;
        if (op->code == OPCODE_END) {
            around = outer[--b.depth];
        } else if (op->code == OPCODE_LOOP) {
            Interval turns = value_of(&b, op->count);
            if (turns.lo < 0)
                return op_fail(&b, op, CHECK_LOOP_COUNT, "a loop count of", turns.lo);
            if (turns.hi == 0) {
                i = op->match;
                continue;
            }
            outer[b.depth] = around;
            b.turns[b.depth++] = turns.hi;
            if (around * turns.hi > WALK_LIMIT)
                return op_fail(&b, op, CHECK_LENGTH, "too many turns: a loop count of", turns.hi);
            around *= turns.hi;
        } else if (!op_bounds(&b, op)) {
            return false;
        }
    }
    if (steps > WALK_LIMIT)
        return op_fail(&b, &c->ops[0], CHECK_LENGTH, "steps of an iteration:", steps);
    return spend(k, c->n_ops) && (b.exact || walk_good(&b));
}

// ---- cores ----

static void check_cores(Checker *k)
{
    uint32_t node = 0;
    for (uint32_t i = 0; i < k->image->n_cores && !enough(k); i++) {
        const CoreRect *r = &k->image->cores[i];
        const Class *c = &k->image->classes[r->class_id];
        ArenaMark mark = arena_mark(&k->scratch);
        uint32_t n_cores = r->grid.nx * r->grid.ny;
        const char *core = node_name(k, node);
        Segment *s = arena_array(&k->scratch, Segment, (size_t)r->n_segments + 1);
        for (uint32_t j = 0; j < r->n_segments; j++)
            s[j] = r->segments[j];
        qsort(s, r->n_segments, sizeof *s, by_address);
        bool good = segments_good(k, r, s, core) && code_and_data_good(k, r, s, core) &&
                    rings_good(k, r, s, core) && inits_good(k, r, s, core);
        // Sets of data words lie in the order in which the rectangle's cores first use them.
        const int32_t *last = NULL;
        for (uint32_t j = 0; j < n_cores && good; j++) {
            const FabricNode *n = &k->f->nodes[node + j];
            if (j > 0 && n->data <= last)
                continue;
            last = n->data;
            Subject subject = {
                c, n->data, r->channels, s, r->n_segments, node + j, CHECK_OPERAND_RANGE};
            good = program_good(k, &subject);
        }
        node += n_cores;
        arena_rewind(&k->scratch, mark);
    }
}

// ---- host ports ----

static bool port_text_good(Checker *k, uint32_t port)
{
    const Port *p = &k->image->ports[port];
    const Class *c = &k->image->classes[p->class_id];
    uint32_t dtype = k->image->tensors[p->tensor].dtype;
    for (uint32_t i = 0; i < c->n_ops; i++) {
        const Op *op = &c->ops[i];
        if (op->code == OPCODE_LOOP || op->code == OPCODE_END)
            continue;
        uint8_t to = p->is_sink ? OPERAND_MEM : OPERAND_COLOR;
        uint8_t from = p->is_sink ? OPERAND_COLOR : OPERAND_MEM;
        if (op->code != OPCODE_COPY || op->dst.kind != to || op->src[0].kind != from)
            return check_fail(k->d, CHECK_PORT_CLASS,
                              "operation %" PRIu32 " of %s does not copy between tensor and color",
                              i, fabric_port_name(&k->scratch, k->image, port));
        if (op->dst.dtype != dtype || op->src[0].dtype != dtype)
            return check_fail(k->d, CHECK_PORT_DTYPE,
                              "operation %" PRIu32 " of %s copies %s to %s; the tensor is %s", i,
                              fabric_port_name(&k->scratch, k->image, port),
                              dtype_name((DType)op->src[0].dtype), dtype_name((DType)op->dst.dtype),
                              dtype_name((DType)dtype));
    }
    return true;
}

static uint64_t tensor_elements(const HostTensor *t)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        n *= t->extent[i];
    return n;
}

// "[0, 3, 7]"
static const char *element_name(Checker *k, const HostTensor *t, uint64_t at)
{
    const char *name = "";
    for (uint32_t i = t->rank; i-- > 0;) {
        name = arena_printf(&k->scratch, "%s%" PRIu64 "%s%s", i ? ", " : "[", at % t->extent[i],
                            name, i + 1 == t->rank ? "]" : "");
        at /= t->extent[i];
    }
    return name;
}

// Marks the elements that one operation of a sink writes.
static bool mark_written(Checker *k, const HostTensor *t, const Walk *w, const Op *op,
                         uint8_t *written, uint32_t port)
{
    int64_t size = dtype_bytes((DType)t->dtype), extent[PROGRAM_DIMS], stride[PROGRAM_DIMS];
    int64_t at = operand_address(&op->dst, op->depth, w->data, w->counter) / size;
    if (op_elements(op, w->data, w->counter) == 0)
        return true;
    for (int d = 0; d < PROGRAM_DIMS; d++) {
        extent[d] = scalar_value(op->extent[d], w->data, w->counter);
        stride[d] = scalar_value(op->dst.stride[d], w->data, w->counter);
    }
    for (int64_t i = 0; i < extent[0]; i++) {
        for (int64_t j = 0; j < extent[1]; j++) {
            for (int64_t l = 0; l < extent[2]; l++) {
                int64_t e = at + i * stride[0] + j * stride[1] + l * stride[2];
                for (int64_t m = 0; m < extent[3]; m++, e += stride[3]) {
                    if (written[e])
                        return check_fail(k->d, CHECK_PORT_OUTPUT,
                                          "%s writes element %s, which is written already",
                                          fabric_port_name(&k->scratch, k->image, port),
                                          element_name(k, t, (uint64_t)e));
                    written[e] = 1;
                }
            }
        }
    }
    return true;
}

static void check_output(Checker *k, uint32_t tensor)
{
    const HostTensor *t = &k->image->tensors[tensor];
    uint64_t n = tensor_elements(t);
    ArenaMark mark = arena_mark(&k->scratch);
    uint8_t *written = arena_array(&k->scratch, uint8_t, n);
    bool good = true;
    for (uint32_t i = 0; i < k->image->n_ports && good; i++) {
        const Port *p = &k->image->ports[i];
        if (p->tensor != tensor)
            continue;
        Walk w = {.c = &k->image->classes[p->class_id], .data = p->data, .budget = WALK_LIMIT};
        for (const Op *op; good && (op = walk_next(&w));)
            good = mark_written(k, t, &w, op, written, i);
        good = spend(k, WALK_LIMIT - w.budget) && good;
    }
    uint64_t at = 0;
    while (good && at < n && written[at])
        at++;
    if (good && at < n)
        check_fail(k->d, CHECK_PORT_OUTPUT, "no host port writes element %s of '%s'",
                   element_name(k, t, at), t->name);
    arena_rewind(&k->scratch, mark);
}

static void check_ports(Checker *k)
{
    for (uint32_t i = 0; i < k->image->n_ports && !enough(k); i++) {
        const Port *p = &k->image->ports[i];
        const HostTensor *t = &k->image->tensors[p->tensor];
        const FabricNode *n = &k->f->nodes[k->f->n_cores + i];
        Segment memory = {0, (uint32_t)(tensor_elements(t) * dtype_bytes((DType)t->dtype)),
                          p->is_sink ? SEGMENT_BUFFER : SEGMENT_WEIGHTS, 0};
        Subject subject = {&k->image->classes[p->class_id],
                           p->data,
                           n->channels,
                           &memory,
                           1,
                           k->f->n_cores + i,
                           CHECK_PORT_RANGE};
        if (port_text_good(k, i))
            program_good(k, &subject);
    }
    if (k->d->n_errors != k->errors_before)
        return;
    for (uint32_t i = 0; i < k->image->n_tensors && !enough(k); i++) {
        if (k->image->tensors[i].is_output)
            check_output(k, i);
    }
}

bool check_image(Arena *a, Diag *d, const Image *image, Fabric *fabric)
{
    Checker k = {
        .d = d, .errors_before = d->n_errors, .image = image, .m = &image->machine, .f = fabric};
    bool good = fabric_build(a, d, image, fabric);
    static void (*const phases[])(Checker *) = {check_texts, check_cores, check_ports};
    for (size_t i = 0; good && i < sizeof phases / sizeof *phases; i++) {
        phases[i](&k);
        good = d->n_errors == k.errors_before;
    }
    arena_free(&k.scratch);
    return good && liveness_check(d, fabric);
}
