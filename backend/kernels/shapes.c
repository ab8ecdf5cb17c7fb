/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/shapes.c - what the planner asks: shapes, memory, edges, colors.
 *
 * A shape costs what its slowest core's program costs (program_totals), found by building the
 * few cores that can be the slowest or the fullest: largest blocks, first, middle and last in
 * the chain. Lane counts are those that are least for some block size, thinned to steps of
 * about a sixth, so that their number grows with the logarithm of the features. */
#include <stdlib.h>
#include <string.h>

#include "backend/kernels/part.h"

static bool worst(Arena *a, Core *core, const Part *p, uint32_t cx, uint32_t cy, KernelTime *time,
                  uint32_t *bytes)
{
    ArenaMark mark = arena_mark(a);
    const char *why;
    ProgramTotals t;
    bool ok = part_core(a, p, cx, cy, core, &why) &&
              program_totals(p->machine, &core->class, core->data.data, &t);
    if (ok && t.cycles + t.landing > time->cycles) {
        const Fraction w = p->machine->cost[COST_MAC][p->in[0].dtype].width;
        *time = (KernelTime){.cycles = t.cycles + t.landing,
                             .compute = t.elements[COST_MAC] * w.den / w.num,
                             .setup = t.setup,
                             .landing = t.landing};
    }
    if (ok && core->bytes > *bytes)
        *bytes = core->bytes;
    arena_rewind(a, mark);
    return ok;
}

bool part_cost(Arena *a, Core *work, const Part *p, KernelTime *time, uint32_t *bytes)
{
    uint32_t w = p->shape.w, h = p->shape.h;
    *time = (KernelTime){0};
    *bytes = 0;
    bool ok = true;
    switch (p->form) {
    case FORM_DIRECT:
    case FORM_WINDOW:
    case FORM_ACCUMULATE: {
        /* Unmirrored, lane 0 stands in the easternmost columns: the largest blocks. */
        uint32_t at[4] = {w - 1, w - p->shape.split, w > p->shape.split ? w - 2 : 0, 0};
        for (int i = 0; i < 4 && ok; i++) {
            bool seen = false;
            for (int j = 0; j < i; j++)
                seen = seen || at[j] == at[i];
            if (!seen)
                ok = worst(a, work, p, at[i], 0, time, bytes);
        }
        return ok;
    }
    case FORM_LINE:
        return worst(a, work, p, 0, 0, time, bytes);
    case FORM_REDUCE:
        ok = worst(a, work, p, 0, 0, time, bytes) && worst(a, work, p, 0, h - 1, time, bytes);
        return ok && (h < 3 || worst(a, work, p, 0, 1, time, bytes));
    case FORM_ADAPTER:
        if (group_in(p) > 1 || group_out(p) == 1)
            ok = worst(a, work, p, 0, group_in(p) - 1, time, bytes);
        if (group_out(p) > 1)
            ok = ok && worst(a, work, p, w - 1, 0, time, bytes);
        return ok;
    }
    return false;
}

static bool shape_part(Arena *a, Core *work, const Kernel *k, const Protocol *protocol_in,
                       const Machine *m, Shape *shape, Part *p, KernelTime *time)
{
    Kernel *plain = arena_new(a, Kernel);
    *plain = *k;
    plain->mirror = false;
    if (!part_make(a, plain, protocol_in, m, shape, p))
        return false;
    *shape = p->shape;
    bool ok = part_cost(a, work, p, time, &shape->bytes);
    shape->cycles = time->cycles;
    return ok;
}

static bool shape_time(const Kernel *k, const Protocol *protocol_in, const Machine *m, Shape *shape,
                       KernelTime *time)
{
    Arena scratch = {0}, lasting = {0};
    Core work = {.arena = &lasting};
    Part p;
    bool ok = shape_part(&scratch, &work, k, protocol_in, m, shape, &p, time);
    arena_free(&scratch);
    arena_free(&lasting);
    return ok;
}

bool kernel_shape(Arena *a, const Kernel *k, const Protocol *protocol_in, const Machine *m,
                  Shape *shape)
{
    (void)a; /* nothing of the result needs memory */
    KernelTime time;
    return shape_time(k, protocol_in, m, shape, &time);
}

bool kernel_time(const Kernel *k, const Protocol *protocol_in, const Machine *m, const Shape *shape,
                 KernelTime *result)
{
    Shape s = *shape;
    return shape_time(k, protocol_in, m, &s, result);
}

enum { MAX_COUNTS = 128 };

typedef struct Counts {
    uint32_t n, of[MAX_COUNTS];
} Counts;

/* Ways to cut n into blocks. */
static Counts counts_for(uint32_t n, uint32_t most)
{
    Counts c = {0};
    uint32_t last = 0;
    for (uint32_t lanes = 1; lanes <= n && lanes <= most && c.n < MAX_COUNTS;) {
        uint32_t block = (n + lanes - 1) / lanes;
        lanes = (n + block - 1) / block; /* the fewest with this block */
        if (last < 8 || lanes * 6 >= last * 7 || block == 1) {
            c.of[c.n++] = lanes;
            last = lanes;
        }
        if (block == 1)
            break;
        lanes = (n + block - 2) / (block - 1); /* the fewest with the next smaller one */
    }
    return c;
}

/* How many columns of a lane can share its work. */
static Counts splits_for(const Part *p)
{
    Counts c = {1, {1}};
    if (p->form == FORM_ACCUMULATE)
        return counts_for(p->in[0].rows * p->in[0].segs, p->in[0].rows * p->in[0].segs);
    if (p->form != FORM_WINDOW)
        return c;
    uint32_t kh = p->kernel_size[0], kw = p->kernel_size[1];
    c = counts_for(kh, kh);
    Counts row = counts_for(kw, kw);
    for (uint32_t i = 1; i < row.n && c.n < MAX_COUNTS; i++)
        c.of[c.n++] = kh * row.of[i];
    return c;
}

static bool dominated(const Shape *s, const Shape *by)
{
    return by->lanes_in == s->lanes_in && by->lanes_out == s->lanes_out &&
           by->segs_out == s->segs_out && by->w * by->h <= s->w * s->h && by->cycles <= s->cycles;
}

typedef struct Search {
    Arena *arena, scratch, lasting;
    ArenaMark start; /* of scratch */
    Core work;
    const Kernel *kernel;
    const Protocol *in;
    const Machine *machine;
    uint32_t max_cores;
    ShapeVec *result;
    size_t first; /* of the shapes with the lanes at hand */
    Shape *nearest;
} Search;

/* Does `s` come nearer than what is there: within max_cores, then fewer bytes. */
static void note_nearest(Search *t, const Shape *s)
{
    Shape *n = t->nearest;
    bool fits = s->w * s->h <= t->max_cores, had = n->w && n->w * n->h <= t->max_cores;
    bool nearer = n->w == 0 || (fits && !had) || (fits == had && fits && s->bytes < n->bytes) ||
                  (!fits && !had && s->w * s->h < n->w * n->h);
    if (nearer)
        *n = *s;
}

/* All numbers of segments for these lanes and split; false if too many cores. */
static void try_segments(Search *t, Shape s, uint32_t cols, bool free_segs)
{
    for (uint32_t segs = 1; segs <= cols;) {
        Shape at = s;
        at.segs_out = segs;
        Part p;
        KernelTime time;
        bool ok = shape_part(&t->scratch, &t->work, t->kernel, t->in, t->machine, &at, &p, &time);
        arena_rewind(&t->scratch, t->start);
        if (ok && at.bytes <= t->machine->sram_bytes) {
            bool keep = true;
            for (size_t i = t->first; i < t->result->n && keep; i++)
                keep = !dominated(&at, &t->result->data[i]);
            if (keep) {
                size_t n = t->first;
                for (size_t i = t->first; i < t->result->n; i++)
                    if (!dominated(&t->result->data[i], &at))
                        t->result->data[n++] = t->result->data[i];
                t->result->n = n;
                vec_push(t->arena, t->result, at);
            }
        } else if (ok) {
            note_nearest(t, &at);
        }
        if (!free_segs || segs == cols)
            break;
        segs = segs * 2 < cols ? segs * 2 : cols;
    }
}

void kernel_shapes(Arena *a, const Kernel *k, const Protocol *protocol_in, const Machine *m,
                   uint32_t max_cores, ShapeVec *result, Shape *nearest)
{
    Search t = {.arena = a,
                .kernel = k,
                .in = protocol_in,
                .machine = m,
                .max_cores = max_cores,
                .result = result,
                .nearest = nearest};
    t.work.arena = &t.lasting;
    arena_alloc(&t.scratch, 1, 1, 1); /* so that rewinding keeps a block */
    t.start = arena_mark(&t.scratch);
    uint32_t extent = m->width > m->height ? m->width : m->height;
    bool matrix = kernel_is_matrix(k->kind);
    *nearest = (Shape){0};
    Counts in = counts_for(protocol_in[0].features, extent);
    Counts out = {1, {1}};
    if (matrix)
        out = counts_for((uint32_t)type_features(&k->anchor->type), extent);
    for (uint32_t i = 0; i < in.n; i++) {
        for (uint32_t j = 0; j < out.n; j++) {
            Shape s = {.lanes_in = in.of[i], .split = 1, .segs_out = 1};
            s.lanes_out = matrix ? out.of[j] : k->kind == KERNEL_REDUCE ? 1 : in.of[i];
            Part p;
            Shape probe = s;
            bool legal = part_make(&t.scratch, k, protocol_in, m, &probe, &p);
            uint32_t cols = p.result.cols;
            Counts split = {0};
            if (legal)
                split = splits_for(&p);
            bool free_segs = p.form == FORM_WINDOW || (p.pool.present && !p.pool.global);
            arena_rewind(&t.scratch, t.start);
            if (!legal)
                continue;
            t.first = result->n;
            for (uint32_t d = 0; d < split.n; d++) {
                s.split = split.of[d];
                s.w = matrix ? s.lanes_in * s.split : 1;
                s.h = matrix ? s.lanes_out : s.lanes_in;
                if ((uint64_t)s.w * s.h > max_cores || s.w > extent || s.h > extent) {
                    note_nearest(&t, &s);
                    break;
                }
                try_segments(&t, s, cols, free_segs);
            }
        }
    }
    arena_free(&t.scratch);
    arena_free(&t.lasting);
    if (nearest->w && !nearest->bytes)
        kernel_shape(a, k, protocol_in, m, nearest);
}

static int by_bytes(const void *a, const void *b)
{
    const MemoryItem *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return strcmp(x->name, y->name);
}

void kernel_memory(Arena *a, const Kernel *k, const Protocol *protocol_in, const Machine *m,
                   const Shape *shape, MemoryItemVec *result)
{
    Part p;
    Shape s = *shape;
    Core core = {0}, work = {.arena = a};
    Arena scratch = {0};
    KernelTime time;
    const char *why;
    bool ok = shape_part(&scratch, &work, k, protocol_in, m, &s, &p, &time) &&
              part_make(a, k, protocol_in, m, &s, &p);
    arena_free(&scratch);
    if (!ok)
        return;
    /* The fullest of the cores that part_cost() looks at: the last column holds what the
     * others do and the fused steps' buffers besides. */
    uint32_t cx = p.form == FORM_ADAPTER ? 0 : p.shape.w - 1, cy = 0;
    if (p.form == FORM_ADAPTER)
        cy = group_in(&p) - 1;
    if (!part_core(a, &p, cx, cy, &core, &why))
        return;
    MemoryItem item = {"reserve of the machine", SEGMENT_CODE, m->reserve_bytes};
    vec_push(a, result, item);
    item = (MemoryItem){"code", SEGMENT_CODE, core.code_bytes};
    vec_push(a, result, item);
    item = (MemoryItem){"data words", SEGMENT_DATA, 4 * (uint32_t)core.data.n};
    vec_push(a, result, item);
    for (size_t i = 0; i < core.buffers.n; i++) {
        const Buffer *b = &core.buffers.data[i];
        if (!b->bytes)
            continue;
        item = (MemoryItem){b->name, b->kind, b->bytes};
        vec_push(a, result, item);
    }
    for (size_t i = 0; i < core.wires.n; i++) {
        const Wire *w = &core.wires.data[i];
        if (!w->used || core.class.channel_is_out[i])
            continue;
        item = (MemoryItem){w->kind == WIRE_INPUT ? "messages that come in"
                                                  : "partial sums that come in",
                            SEGMENT_RING, 4 * w->words * w->slots};
        vec_push(a, result, item);
    }
    qsort(result->data, result->n, sizeof *result->data, by_bytes);
}

/* ---- edges ---- */

static uint32_t adapter_row(const Kernel *k, uint32_t lanes, uint32_t lane)
{
    uint32_t g = adapter_groups((uint32_t)type_features(&k->result->type), k->shape.lanes_in,
                                k->shape.lanes_out);
    uint32_t gi = k->shape.lanes_in / g, go = k->shape.lanes_out / g;
    uint32_t pitch = gi > go ? gi : go, size = lanes / g;
    uint32_t at = k->mirror ? lanes - 1 - lane : lane;
    return at / size * pitch + at % size;
}

void kernel_edge_in(Arena *a, const Kernel *k, uint32_t input, Edge *result)
{
    const Shape *s = &k->shape;
    bool matrix = kernel_is_matrix(k->kind);
    bool north = matrix && input == 0;
    uint32_t lanes = input == 0 ? s->lanes_in : s->lanes_out;
    *result = (Edge){north ? SIDE_S : SIDE_E, lanes, arena_array(a, uint32_t, lanes)};
    for (uint32_t l = 0; l < lanes; l++) {
        uint32_t at = k->mirror ? lanes - 1 - l : l;
        if (north) /* the first column of the lane */
            at = (k->mirror ? l : lanes - 1 - l) * s->split;
        if (k->kind == KERNEL_ADAPTER)
            at = adapter_row(k, lanes, l);
        result->position[l] = at;
    }
}

void kernel_edge_out(Arena *a, const Kernel *k, Edge *result)
{
    const Shape *s = &k->shape;
    *result = (Edge){SIDE_E, s->lanes_out, arena_array(a, uint32_t, s->lanes_out)};
    for (uint32_t l = 0; l < s->lanes_out; l++) {
        uint32_t at = k->mirror ? s->lanes_out - 1 - l : l;
        if (k->kind == KERNEL_REDUCE)
            at = s->h - 1;
        if (k->kind == KERNEL_ADAPTER) {
            at = adapter_row(k, s->lanes_out, l);
            uint32_t g = adapter_groups((uint32_t)type_features(&k->result->type), s->lanes_in,
                                        s->lanes_out);
            if (g == s->lanes_out) /* gathered only: the group's last core sends */
                at += s->lanes_in / g - 1;
        }
        result->position[l] = at;
    }
}

uint32_t kernel_own_colors(const Kernel *k)
{
    const Shape *s = &k->shape;
    uint32_t links = 0;
    switch (k->kind) {
    case KERNEL_MATVEC:
    case KERNEL_CONV:
        links = s->w - 1;
        break;
    case KERNEL_REDUCE:
        links = s->h - 1;
        break;
    case KERNEL_LINE:
        break;
    case KERNEL_ADAPTER: {
        uint32_t g =
            adapter_groups((uint32_t)type_features(&k->result->type), s->lanes_in, s->lanes_out);
        if (s->lanes_in > g) /* the chain, and the message to the scattering column */
            links = s->lanes_in / g - 1 + (s->lanes_out > g);
        break;
    }
    case KERNEL_KIND_COUNT:
        break;
    }
    return links == 0 ? 0 : links == 1 ? 1 : 3;
}

uint32_t part_lead(const Part *p, uint32_t input)
{
    const Protocol *in = &p->in[input];
    bool pooled = p->pool.present && !p->pool.global;
    if (p->form == FORM_ACCUMULATE || (p->pool.present && p->pool.global))
        return input == 0 ? in->rows * in->segs : 1;
    if (p->form != FORM_WINDOW && !pooled)
        return 1;
    Timeline t = part_timeline(p);
    uint32_t rows = 0;
    for (uint32_t step = 0; step < t.steps; step++) {
        rows += input == 0 ? timeline_receives(p, &t, step) : timeline_computes(p, &t, step);
        if (pooled ? timeline_emits(p, &t, step) : timeline_computes(p, &t, step))
            break;
    }
    return input == 0 || pooled ? rows * in->segs : 1;
}

/* The way of a partial sum from the first core of the chain to the last. */
static uint64_t chain_cycles(const Part *p, const Machine *m)
{
    uint64_t words =
        (uint64_t)positions_of(&p->mid) * lane_size(p->mid.features, p->shape.lanes_out, 0);
    uint64_t links = p->form == FORM_REDUCE || p->form == FORM_ADAPTER ? p->shape.h : p->shape.w;
    return (links - 1) * (words + m->setup + m->hop + 2 * m->ramp);
}

uint64_t kernel_skew(const Kernel *k, const Protocol *protocol_in, const Machine *m, uint32_t input)
{
    if (input != 0) // operands of the epilogue are met at the end of the chain only
        return 0;
    Arena scratch = {0};
    Part p;
    uint64_t cycles =
        part_make(&scratch, k, protocol_in, m, &k->shape, &p) ? chain_cycles(&p, m) : 0;
    arena_free(&scratch);
    return cycles;
}

void kernel_delay(const Kernel *k, const Protocol *protocol_in, const Machine *m, uint32_t input,
                  uint32_t *messages, uint64_t *cycles)
{
    Arena scratch = {0};
    Part p;
    *messages = 1;
    *cycles = 0;
    if (part_make(&scratch, k, protocol_in, m, &k->shape, &p)) {
        *messages = part_lead(&p, input);
        uint64_t all = (uint64_t)p.in[0].rows * p.in[0].segs;
        /* Its share of the work, then the way along the chain. */
        *cycles = k->shape.cycles * part_lead(&p, 0) / all + chain_cycles(&p, m);
    }
    arena_free(&scratch);
}
