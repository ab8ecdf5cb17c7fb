/* SPDX-License-Identifier: Apache-2.0 */
/* passes/explain.c - all shapes of a kernel, and why each of them lost.
 *
 * Nothing is remembered from sizing: the kernel is asked for its shapes again, with the
 * protocols of its streams, and each is judged beside its neighbors as the plan has them: too
 * much memory, wider than the fabric, against a constraint, too slow, lanes that need adapters
 * (which are asked for, too), more cores. Shapes that need too much memory come from the same
 * question about a machine with any amount of it. Works on plans that could not be sized as
 * well, without neighbors and target. Cost: as much as sizing one kernel takes, twice. */
#include "passes/explain.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/vec.h"

static const char *const fate_word[] = {
#define FATE(id, word) [FATE_##id] = word,
    SHAPE_FATE_LIST(FATE)
#undef FATE
};

/* What stands at the other side of an input or output, behind an adapter if there is one. */
typedef struct End {
    const Stream *stream;
    int input; /* -1: an output */
    bool host;
    uint32_t lanes;
    const char *name;
} End;

typedef struct AdapterCost {
    uint32_t end, lanes; /* of this kernel */
    bool needed, good;
    Shape shape;
} AdapterCost;

typedef struct Judge {
    Arena *arena;
    KernelStory *story;
    End ends[KERNEL_MAX_INPUTS + KERNEL_MAX_OUTPUTS];
    uint32_t n_ends;
    VEC(AdapterCost) adapters; /* asked for already */
    ShapeVerdict chosen;
} Judge;

const char *kernel_operators(Arena *a, const Kernel *k)
{
    if (k->kind == KERNEL_ADAPTER)
        return "adapter";
    if (!k->anchor || k->anchor->op == OP_INPUT)
        return "of an image";
    const char *s = op_info[k->anchor->op].text;
    for (uint32_t i = 0; i < k->n_steps; i++)
        s = arena_printf(a, "%s+%s", s, op_info[k->steps[i]->op].text);
    return s;
}

const char *kernel_stance(Arena *a, const Kernel *k)
{
    static const char *const turns[] = {"", "turned once", "turned twice", "turned thrice"};
    const char *turn = turns[k->turn % 4];
    return arena_printf(a, "%s%s%s", turn, *turn && k->mirror ? ", " : "",
                        k->mirror ? "mirrored" : "");
}

/* Where sizing gave up, shapes may be there, but streams do not have their lanes. */
static bool plan_sized(const Plan *p)
{
    for (size_t i = 0; i < p->streams.n; i++) {
        const Stream *s = p->streams.data[i];
        const Shape *from = s->from == PLAN_HOST ? NULL : &p->kernels.data[s->from]->shape;
        if (!s->protocol.lanes || (from && from->lanes_out != s->protocol.lanes))
            return false;
    }
    return p->kernels.n > 0;
}

static uint64_t cores_of(const Shape *s)
{
    return (uint64_t)s->w * s->h;
}

static void protocols(const Plan *p, const Kernel *k, Protocol *in)
{
    for (uint32_t i = 0; i < k->n_in; i++)
        in[i] = p->streams.data[k->in[i]]->protocol;
}

/* ---- what limits it ---- */

static void find_limit(Arena *a, KernelStory *s)
{
    const Kernel *k = s->kernel;
    const Machine *m = s->cx->machine;
    Protocol in[KERNEL_MAX_INPUTS];
    protocols(s->cx->plan, k, in);
    s->limit = "unknown";
    s->limit_text = "not known: no shape was chosen";
    if (!s->sized || !kernel_time(k, in, m, &k->shape, &s->time))
        return;
    KernelTime t = s->time;
    uint64_t known = t.compute + t.setup + t.landing;
    uint64_t words = t.cycles > known ? t.cycles - known : 0;
    const char *full = k->shape.bytes * 10ull >= m->sram_bytes * 9ull ? "; its memory is full" : "";
    const char *parts = arena_printf(a,
                                     "of %" PRIu64 " cycles %" PRIu64 " multiply, %" PRIu64
                                     " set up, %" PRIu64 " land words, %" PRIu64 " do the rest%s",
                                     t.cycles, t.compute, t.setup, t.landing, words, full);
    if (t.cycles * 10 < s->target * 9) {
        s->limit = "waits";
        s->limit_text =
            arena_printf(a, "waits for others, who take %" PRIu64 " cycles: %s", s->target, parts);
        return;
    }
    s->limit = *full ? "memory" : "compute";
    uint64_t most = t.compute;
    if (t.setup > most) {
        s->limit = "set-up";
        most = t.setup;
    }
    if (t.landing > most) {
        s->limit = "landing";
        most = t.landing;
    }
    if (words > most)
        s->limit = "its words";
    s->limit_text = arena_printf(a, "limited by %s: %s", s->limit, parts);
}

/* ---- neighbors ---- */

static void find_ends(Judge *j)
{
    const Plan *p = j->story->cx->plan;
    const Kernel *k = j->story->kernel;
    for (uint32_t i = 0; i < k->n_in; i++) {
        const Stream *s = p->streams.data[k->in[i]];
        const Kernel *from = s->from == PLAN_HOST ? NULL : p->kernels.data[s->from];
        if (from && from->kind == KERNEL_ADAPTER) {
            s = p->streams.data[from->in[0]];
            from = s->from == PLAN_HOST ? NULL : p->kernels.data[s->from];
        }
        j->ends[j->n_ends++] = (End){s, (int)i, !from, from ? from->shape.lanes_out : 0,
                                     from ? from->name : "the host"};
    }
    for (uint32_t i = 0; i < k->n_out; i++) {
        const Stream *s = p->streams.data[k->out[i]];
        const Kernel *to = s->to == PLAN_HOST ? NULL : p->kernels.data[s->to];
        if (to && to->kind == KERNEL_ADAPTER) {
            s = p->streams.data[to->out[0]];
            to = s->to == PLAN_HOST ? NULL : p->kernels.data[s->to];
        }
        uint32_t lanes = to ? plan_lanes_needed(to, s->to_input, &to->shape) : 0;
        j->ends[j->n_ends++] = (End){s, -1, !to, lanes, to ? to->name : "the host"};
    }
}

/* The adapter at this end for so many lanes of the kernel. */
static const AdapterCost *adapter_for(Judge *j, uint32_t end, uint32_t lanes)
{
    for (size_t i = 0; i < j->adapters.n; i++)
        if (j->adapters.data[i].end == end && j->adapters.data[i].lanes == lanes)
            return &j->adapters.data[i];
    const End *e = &j->ends[end];
    const PassContext *cx = j->story->cx;
    uint32_t far =
        e->host ? plan_port_lanes(e->stream->protocol.features, lanes, plan_host_lanes(cx->plan))
                : e->lanes;
    AdapterCost c = {.end = end, .lanes = lanes, .needed = far != lanes};
    if (c.needed) {
        c.shape = (Shape){.lanes_in = e->input >= 0 ? far : lanes,
                          .lanes_out = e->input >= 0 ? lanes : far,
                          .split = 1,
                          .segs_out = e->stream->protocol.segs};
        Kernel k = {.kind = KERNEL_ADAPTER, .result = e->stream->node, .n_in = 1, .n_out = 1};
        k.shape = c.shape;
        Protocol in = e->stream->protocol;
        in.lanes = c.shape.lanes_in;
        c.good = kernel_shape(j->arena, &k, &in, cx->machine, &c.shape) &&
                 c.shape.bytes <= cx->machine->sram_bytes;
    }
    vec_push(j->arena, &j->adapters, c);
    return &j->adapters.data[j->adapters.n - 1];
}

/* Sums up the adapters of a shape; false if one cannot be had or is slower than the target. */
static bool join_ends(Judge *j, ShapeVerdict *v)
{
    bool good = true;
    for (uint32_t i = 0; i < j->n_ends; i++) {
        uint32_t lanes = v->shape.lanes_out;
        if (j->ends[i].input >= 0)
            lanes = plan_lanes_needed(j->story->kernel, (uint32_t)j->ends[i].input, &v->shape);
        const AdapterCost *c = adapter_for(j, i, lanes);
        if (!c->needed)
            continue;
        bool joins = c->good && c->shape.cycles <= j->story->target;
        uint64_t cycles = c->good ? c->shape.cycles : UINT64_MAX;
        v->adapter_cores += cores_of(&c->shape);
        if (cycles >= v->adapter_cycles) {
            v->adapter_cycles = cycles;
            v->from = c->shape.lanes_in;
            v->to = c->shape.lanes_out;
            v->adapter_edge = j->ends[i].name;
            v->adapter_bytes = c->good ? 0 : c->shape.bytes;
        }
        good = good && joins;
    }
    return good;
}

/* ---- verdicts ---- */

static const char *against(const Judge *j, const Shape *s)
{
    const Pin *pin = j->story->kernel->pin;
    const AreaLimit *area = j->story->kernel->area;
    if (area && cores_of(s) > area->max_cores)
        return arena_printf(j->arena, "over the limit of %u cores of this kernel", area->max_cores);
    if (!pin || !pin->has_size)
        return NULL;
    bool upright = s->w == pin->w && s->h == pin->h, turned = s->h == pin->w && s->w == pin->h;
    bool fits = pin->has_turn ? (pin->turn % 2 ? turned : upright) : upright || turned;
    return fits ? NULL
                : arena_printf(j->arena, "not the %u x %u cores it is pinned to", pin->w, pin->h);
}

static bool same_shape(const Shape *a, const Shape *b)
{
    return a->lanes_in == b->lanes_in && a->lanes_out == b->lanes_out && a->split == b->split &&
           a->segs_out == b->segs_out;
}

static ShapeFate judge(Judge *j, ShapeVerdict *v)
{
    const KernelStory *st = j->story;
    const Machine *m = st->cx->machine;
    const Shape *s = &v->shape, *c = &st->kernel->shape;
    bool upright = s->w <= m->width && s->h <= m->height;
    bool fits = upright || (s->h <= m->width && s->w <= m->height);
    if (s->bytes > m->sram_bytes)
        return FATE_MEMORY;
    if (!fits)
        return FATE_FABRIC;
    v->constraint = against(j, s);
    if (v->constraint)
        return FATE_FORBIDDEN;
    if (cores_of(s) > plan_core_limit(st->cx))
        return FATE_BUDGET;
    if (!st->sized)
        return FATE_EQUAL;
    bool joins = join_ends(j, v);
    if (same_shape(s, c))
        return FATE_CHOSEN;
    if (s->segs_out != c->segs_out)
        return FATE_MESSAGES;
    if (s->cycles > st->target)
        return FATE_SLOW;
    if (!joins)
        return FATE_LANES;
    uint64_t now = cores_of(c) + j->chosen.adapter_cores;
    return cores_of(s) + v->adapter_cores > now ? FATE_LARGE : FATE_EQUAL;
}

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int by_rank(const void *p, const void *q)
{
    const ShapeVerdict *a = p, *b = q;
    const Shape *s = &a->shape, *t = &b->shape;
    int c = compare(a->fate, b->fate);
    if (!c && a->fate == FATE_SLOW)
        c = compare(s->cycles, t->cycles);
    if (!c && a->fate == FATE_MEMORY)
        c = compare(s->bytes, t->bytes);
    c = c ? c : compare(cores_of(s) + a->adapter_cores, cores_of(t) + b->adapter_cores);
    c = c ? c : compare(s->cycles, t->cycles);
    c = c ? c : compare(s->lanes_in, t->lanes_in);
    c = c ? c : compare(s->lanes_out, t->lanes_out);
    c = c ? c : compare(s->split, t->split);
    return c ? c : compare(s->segs_out, t->segs_out);
}

static void find_shapes(Judge *j)
{
    KernelStory *st = j->story;
    const Kernel *k = st->kernel;
    Machine roomy = *st->cx->machine;
    uint32_t all = roomy.width * roomy.height;
    Protocol in[KERNEL_MAX_INPUTS];
    protocols(st->cx->plan, k, in);
    ShapeVec shapes = {0};
    Shape nearest;
    kernel_shapes(j->arena, k, in, &roomy, all, &shapes, &nearest);
    roomy.sram_bytes = UINT32_MAX / 2;
    size_t fit = shapes.n;
    kernel_shapes(j->arena, k, in, &roomy, all, &shapes, &nearest);
    if (st->sized) {
        j->chosen.shape = k->shape;
        join_ends(j, &j->chosen);
    }
    for (size_t i = 0; i < shapes.n; i++) {
        ShapeVerdict v = {.shape = shapes.data[i]};
        if (i >= fit && v.shape.bytes <= st->cx->machine->sram_bytes)
            continue; /* once is enough */
        v.fate = judge(j, &v);
        st->counts[v.fate]++;
        vec_push(j->arena, &st->shapes, v);
    }
    if (st->shapes.n)
        qsort(st->shapes.data, st->shapes.n, sizeof *st->shapes.data, by_rank);
}

void kernel_story(Arena *a, const PassContext *cx, const Kernel *k, bool shapes,
                  KernelStory *result)
{
    const Plan *p = cx->plan;
    KernelStory *s = result;
    *s = (KernelStory){.cx = cx, .kernel = k, .sized = plan_sized(p), .target = UINT64_MAX};
    if (s->sized) {
        s->target = plan_target(p);
        for (size_t i = 0; i < p->kernels.n; i++) {
            uint64_t cycles = p->kernels.data[i]->shape.cycles;
            s->others = i != k->id && cycles > s->others ? cycles : s->others;
        }
    }
    find_limit(a, s);
    if (!shapes || k->kind == KERNEL_ADAPTER)
        return;
    Judge j = {.arena = a, .story = s};
    find_ends(&j);
    find_shapes(&j);
}

/* This kernel alone is the slowest, and the shape is a faster one. */
static const char *faster_text(Arena *a, const KernelStory *s, const ShapeVerdict *v)
{
    uint64_t then = v->shape.cycles > s->others ? v->shape.cycles : s->others;
    double slack = s->cx->options.slack;
    if ((double)s->target <= (double)then * (1 + slack))
        return arena_printf(a, "; %" PRIu64 " cycles faster is less than the slack of %.3g %%",
                            s->target - then, 100 * slack);
    return arena_printf(
        a, "; the network would take %" PRIu64 " cycles: the planner settled for fewer cores",
        then);
}

static const char *larger_text(Arena *a, const KernelStory *s, const ShapeVerdict *v)
{
    const Shape *c = &s->kernel->shape;
    const ShapeVerdict *chosen = &s->shapes.data[0]; /* the rank says so */
    uint64_t now = cores_of(c) + (chosen->fate == FATE_CHOSEN ? chosen->adapter_cores : 0);
    uint64_t more = cores_of(&v->shape) + v->adapter_cores - now;
    uint64_t limit = plan_core_limit(s->cx), all = plan_cores(s->cx->plan) + more;
    const char *join = "", *why = "";
    if (v->adapter_cores)
        join =
            arena_printf(a, ", with %" PRIu64 " in adapters (%u -> %u lanes, %" PRIu64 " cycles)",
                         v->adapter_cores, v->from, v->to, v->adapter_cycles);
    if (all > limit)
        why = arena_printf(a, "; %" PRIu64 " in all, %" PRIu64 " may be used", all, limit);
    else if (v->shape.cycles >= c->cycles)
        why = "";
    else if (c->cycles < s->target || s->others >= s->target)
        why = arena_printf(a, "; others take %" PRIu64 " cycles all the same", s->target);
    else
        why = faster_text(a, s, v);
    return arena_printf(a, "%" PRIu64 " core%s more%s%s", more, more == 1 ? "" : "s", join, why);
}

const char *verdict_text(Arena *a, const KernelStory *s, const ShapeVerdict *v)
{
    const Machine *m = s->cx->machine;
    switch (v->fate) {
    case FATE_CHOSEN:
        return "chosen";
    case FATE_EQUAL:
        return s->sized ? "would do as well: others fit the placement better" : "fits by itself";
    case FATE_LARGE:
        return larger_text(a, s, v);
    case FATE_SLOW:
        return arena_printf(a, "%" PRIu64 " cycles too slow: the network takes %" PRIu64,
                            v->shape.cycles - s->target, s->target);
    case FATE_BUDGET:
        return arena_printf(a, "%" PRIu64 " cores, %u may be used", cores_of(&v->shape),
                            plan_core_limit(s->cx));
    case FATE_LANES:
        if (v->adapter_cycles == UINT64_MAX && v->adapter_bytes > m->sram_bytes)
            return arena_printf(a, "an adapter of %u to %u lanes (%s) has %u bytes too many a core",
                                v->from, v->to, v->adapter_edge, v->adapter_bytes - m->sram_bytes);
        if (v->adapter_cycles == UINT64_MAX)
            return arena_printf(a, "no adapter of %u to %u lanes (%s) can be built", v->from, v->to,
                                v->adapter_edge);
        return arena_printf(a,
                            "an adapter of %u to %u lanes (%s) takes %" PRIu64 " cycles, the "
                            "network %" PRIu64,
                            v->from, v->to, v->adapter_edge, v->adapter_cycles, s->target);
    case FATE_MESSAGES:
        return arena_printf(a, "cuts its rows into %u messages, not %u", v->shape.segs_out,
                            s->kernel->shape.segs_out);
    case FATE_FORBIDDEN:
        return v->constraint;
    case FATE_FABRIC:
        return arena_printf(a, "%u x %u cores do not fit on %u x %u", v->shape.w, v->shape.h,
                            m->width, m->height);
    case FATE_MEMORY:
        return arena_printf(a, "%u bytes too many for a core", v->shape.bytes - m->sram_bytes);
    case FATE_COUNT:
        break;
    }
    return "";
}

/* ---- those next to the chosen one ---- */

/* The place of the better one: faster with as few cores as possible, or smaller and as fast as
 * possible. SIZE_MAX is none. */
static size_t nearer(const KernelStory *s, size_t best, size_t i, bool faster, bool same_lanes)
{
    const ShapeVerdict *v = &s->shapes.data[i];
    const Shape *c = &s->kernel->shape, *t = &v->shape;
    uint64_t mine = cores_of(t), now = cores_of(c);
    if (v->fate == FATE_MEMORY || v->fate == FATE_CHOSEN)
        return best;
    if (same_lanes && (t->lanes_in != c->lanes_in || t->lanes_out != c->lanes_out))
        return best;
    if (faster ? t->cycles >= c->cycles : mine >= now)
        return best;
    if (best == SIZE_MAX)
        return i;
    const Shape *b = &s->shapes.data[best].shape;
    uint64_t p = faster ? mine + v->adapter_cores : t->cycles;
    uint64_t q = faster ? cores_of(b) + s->shapes.data[best].adapter_cores : b->cycles;
    uint64_t p2 = faster ? t->cycles : mine, q2 = faster ? b->cycles : cores_of(b);
    return p < q || (p == q && p2 < q2) ? i : best;
}

unsigned story_near(const KernelStory *s, size_t near[MAX_NEAR])
{
    size_t found[MAX_NEAR] = {SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX};
    for (size_t i = 0; i < s->shapes.n; i++) {
        for (unsigned f = 0; f < 4; f++)
            found[f] = nearer(s, found[f], i, f < 2, f % 2 == 1);
        /* The first that memory alone forbids: they are ranked by what is too much. */
        const ShapeVerdict *v = &s->shapes.data[i];
        if (v->fate == FATE_MEMORY && found[4] == SIZE_MAX &&
            cores_of(&v->shape) < cores_of(&s->kernel->shape))
            found[4] = i;
    }
    unsigned n = 0;
    for (unsigned f = 0; f < MAX_NEAR; f++) {
        bool seen = found[f] == SIZE_MAX;
        for (unsigned k = 0; k < n; k++)
            seen = seen || near[k] == found[f];
        if (!seen)
            near[n++] = found[f];
    }
    return n;
}

/* ---- --explain ---- */

static void explain_head(Text *t, Arena *a, const KernelStory *s)
{
    const Kernel *k = s->kernel;
    text_printf(t, "kernel '%s' (%s: %s)\n", k->name, kernel_kind_text(k->kind),
                kernel_operators(a, k));
    if (s->sized) {
        /* Where planning failed, what is there of a place is from the last try. */
        bool failed = diag_exit_code(s->cx->diag) != EXIT_OK;
        uint32_t w = k->shape.w, h = k->shape.h;
        if (!failed)
            plan_extent(k, &w, &h);
        const char *stance = failed ? "not placed" : kernel_stance(a, k), *rings = "";
        /* Rings get their length last, shapes are compared without. */
        const ShapeVerdict *v = s->shapes.n ? &s->shapes.data[0] : NULL;
        if (v && v->fate == FATE_CHOSEN && v->shape.bytes < k->shape.bytes)
            rings = arena_printf(a, ", %u of them in longer rings, which shapes are judged without",
                                 k->shape.bytes - v->shape.bytes);
        text_printf(t,
                    "  chosen: %u x %u cores%s%s, %u -> %u lanes, %" PRIu64
                    " cycles a sample, %u bytes a core%s\n  %s\n",
                    w, h, *stance ? ", " : "", stance, k->shape.lanes_in, k->shape.lanes_out,
                    k->shape.cycles, k->shape.bytes, rings, s->limit_text);
    } else {
        text_add(t, "  no shape was chosen: the network could not be sized");
        if (k->shape.w)
            text_printf(t, "; the smallest network would take %u x %u cores here", k->shape.w,
                        k->shape.h);
        text_add(t, "\n");
    }
    if (k->kind == KERNEL_ADAPTER)
        return;
    text_printf(t, "  %zu shapes considered", s->shapes.n);
    for (unsigned f = 0, n = 0; f < FATE_COUNT; f++)
        if (s->counts[f])
            text_printf(t, "%s %u %s", n++ ? "," : ":", s->counts[f],
                        f == FATE_EQUAL && !s->sized ? "possible" : fate_word[f]);
    text_add(t, "\n\n");
}

void explain_text(Text *t, const PassContext *cx, const Kernel *k)
{
    Arena a = {0};
    KernelStory s;
    kernel_story(&a, cx, k, true, &s);
    explain_head(t, &a, &s);
    if (s.shapes.n)
        text_add(t, "rank     cores      shape          lanes      cycles   bytes  why\n");
    for (size_t i = 0; i < s.shapes.n; i++) {
        const ShapeVerdict *v = &s.shapes.data[i];
        ArenaMark mark = arena_mark(&a);
        text_printf(t, "%4zu %9" PRIu64 "  %5u x %-5u %5u -> %-5u %9" PRIu64 " %7u  %s\n", i + 1,
                    cores_of(&v->shape), v->shape.w, v->shape.h, v->shape.lanes_in,
                    v->shape.lanes_out, v->shape.cycles, v->shape.bytes, verdict_text(&a, &s, v));
        arena_rewind(&a, mark);
    }
    arena_free(&a);
}
