/* SPDX-License-Identifier: Apache-2.0 */
/* passes/report.c - the plan in numbers: --report as text and as JSON, from one walk.
 *
 * On top what one asks first: the slowest kernel and the bound, cores, adapters, wire, the
 * hottest link, how much moved. Then lists (what moved, and why, first), then a section a kernel
 * with the shapes next to the chosen one (explain.h); kernels that are alike share one, so a report
 * stays readable where a network has hundreds. Link loads are those of the router: boxes around
 * bundles, so "up to". */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "passes/explain.h"
#include "passes/sizing.h"

enum { HOT_LINKS = 8, FULL_CORES = 8, DEEP_SECTIONS = 24, NAMED = 6 };

typedef struct HotLink {
    Box box;
    Side side;
    uint64_t words;
    const char *what;
} HotLink;

static const char *const side_names[] = {"north", "east", "south", "west"};

/* Kernels alike in all but name and place. */
typedef struct Section {
    const Kernel **kernels;
    uint32_t n;
    KernelStory story; /* of the first */
    bool deep;         /* its shapes were asked for */
    size_t near[MAX_NEAR];
    unsigned n_near;
} Section;

typedef struct Move {
    const Kernel *kernel;
    const EarlierKernel *was;
    const char *why;
} Move;

typedef struct Moves {
    uint32_t kept, fresh, gone;
    VEC(Move) moved;
} Moves;

/* All that text and JSON show, computed once. */
typedef struct Report {
    Arena arena;
    const PassContext *cx;
    const Plan *plan;
    uint64_t target, cores;
    const Kernel *slowest;
    Bounds bounds, own; /* with all cores, with those in use */
    uint32_t adapters;
    uint64_t adapter_cores, wire, lane_wire;
    HotLink hot[HOT_LINKS];
    size_t n_hot;
    uint32_t keepouts, holes;
    uint64_t keepout_cores, hole_cores, skipped;
    Moves moves;
    Section *sections; /* the slowest first */
    uint32_t n_sections;
} Report;

/* ---- collecting ---- */

/* Loads by box: streams' segments as they are, chains inside regions, every one with what
 * others add to it where they meet. */
static void hot_links(Report *r)
{
    const Plan *p = r->plan;
    Router *router = router_create(&r->arena, (Plan *)p, UINT64_MAX / 4);
    for (size_t i = 0; i < p->kernels.n; i++)
        router_add_kernel(router, p->kernels.data[i]);
    for (size_t i = 0; i < p->streams.n; i++)
        router_add_routed(router, p->streams.data[i]);
    for (size_t i = 0; i < router->taken.n; i++) {
        const Taken *t = &router->taken.data[i];
        if (t->words == 0)
            continue;
        const char *what = t->stream >= 0 ? p->streams.data[t->stream]->name : NULL;
        HotLink h = {t->box, t->side, router_load(router, t->box, t->side), what};
        for (size_t k = 0; !what && k < p->kernels.n; k++)
            if (box_meet(plan_box(p->kernels.data[k]), t->box))
                h.what = p->kernels.data[k]->name;
        size_t at = r->n_hot < HOT_LINKS ? r->n_hot++ : HOT_LINKS;
        if (at == HOT_LINKS && h.words <= r->hot[HOT_LINKS - 1].words)
            continue;
        at = at == HOT_LINKS ? HOT_LINKS - 1 : at;
        for (; at > 0 && r->hot[at - 1].words < h.words; at--)
            r->hot[at] = r->hot[at - 1];
        r->hot[at] = h;
    }
}

static const Kernel **by_fullness(const Plan *p, Arena *a)
{
    const Kernel **k = arena_array(a, const Kernel *, p->kernels.n);
    for (size_t i = 0; i < p->kernels.n; i++) {
        size_t at = i;
        for (; at > 0 && k[at - 1]->shape.bytes < p->kernels.data[i]->shape.bytes; at--)
            k[at] = k[at - 1];
        k[at] = p->kernels.data[i];
    }
    return k;
}

static uint64_t largest(Bounds b)
{
    uint64_t v = b.compute > b.memory ? b.compute : b.memory;
    v = b.shapes > v ? b.shapes : v;
    return b.host > v ? b.host : v;
}

static double gap(const Report *r, Bounds b)
{
    return largest(b) ? (double)r->target / (double)largest(b) : 0.0;
}

static uint64_t lane_hops(const Stream *s)
{
    uint64_t n = 0;
    for (uint32_t l = 0; l < s->protocol.lanes; l++) {
        int64_t at[2] = {s->start_x ? s->start_x[l] : 0, s->start_y ? s->start_y[l] : 0};
        for (uint32_t i = 0; i < s->n_segments; i++) {
            const BundleSegment *g = &s->segments[i];
            int64_t *c = &at[g->side == SIDE_N || g->side == SIDE_S];
            n += (uint64_t)llabs((int64_t)g->to[l] - *c);
            *c = g->to[l];
        }
    }
    return n;
}

static bool stays(const Kernel *k, const EarlierKernel *was)
{
    uint32_t w, h;
    plan_extent(k, &w, &h);
    return was->x == k->x && was->y == k->y && was->w == w && was->h == h && was->turn == k->turn &&
           was->mirror == k->mirror;
}

/* The plainest of the reasons that can be seen in the plan: what it is itself, what stands where
 * it was, what it is beside. */
static const char *why_moved(Report *r, const Kernel *k, const EarlierKernel *was)
{
    const Plan *p = r->plan;
    Arena *a = &r->arena;
    Box old = {(int32_t)was->x, (int32_t)was->y, (int32_t)(was->x + was->w) - 1,
               (int32_t)(was->y + was->h) - 1};
    if (!plan_same_shape(was, &k->shape))
        return arena_printf(a, "new shape, %u -> %u lanes, was %u -> %u", k->shape.lanes_in,
                            k->shape.lanes_out, was->lanes_in, was->lanes_out);
    if (k->pin)
        return "pinned";
    for (size_t i = 0; i < p->keepouts.n; i++)
        if (box_meet(keepout_box(&p->keepouts.data[i]), old))
            return arena_printf(a, "its place is on %s", p->keepouts.data[i].why);
    for (size_t i = 0; i < p->kernels.n; i++)
        if (i != k->id && box_meet(plan_box(p->kernels.data[i]), old))
            return arena_printf(a, "'%s' stands in its place", p->kernels.data[i]->name);
    const char *what = NULL; /* of a neighbor, and how much that is */
    unsigned most = 0;
    for (uint32_t i = 0; i < k->n_in + k->n_out; i++) {
        const Stream *s = p->streams.data[i < k->n_in ? k->in[i] : k->out[i - k->n_in]];
        int32_t other = i < k->n_in ? s->from : s->to;
        if (other == PLAN_HOST)
            continue;
        static const char *const words[] = {"", "moved", "has a new shape", "is new"};
        const Kernel *o = p->kernels.data[other];
        const EarlierKernel *before = plan_earlier(r->cx, o);
        unsigned much = !before                               ? 3
                        : !plan_same_shape(before, &o->shape) ? 2
                        : !stays(o, before)                   ? 1
                                                              : 0;
        if (much > most)
            what = arena_printf(a, "it is beside '%s', which %s", o->name, words[much]);
        most = much > most ? much : most;
    }
    return what ? what : "placed anew with the rest";
}

static void find_moves(Report *r)
{
    for (size_t i = 0; i < r->plan->kernels.n; i++) {
        const Kernel *k = r->plan->kernels.data[i];
        const EarlierKernel *was = plan_earlier(r->cx, k);
        if (!was)
            r->moves.fresh++;
        else if (stays(k, was))
            r->moves.kept++;
        else
            vec_push(&r->arena, &r->moves.moved, ((Move){k, was, why_moved(r, k, was)}));
    }
    size_t known = r->moves.kept + r->moves.moved.n;
    r->moves.gone = (uint32_t)(r->cx->options.earlier->kernels.n - known);
}

static bool same_stream_form(const Stream *a, const Stream *b)
{
    const Protocol *p = &a->protocol, *q = &b->protocol;
    return p->dtype == q->dtype && p->rows == q->rows && p->cols == q->cols &&
           p->features == q->features && p->lanes == q->lanes && p->segs == q->segs;
}

static bool alike(Report *r, const Kernel *a, const Kernel *b)
{
    const Shape *s = &a->shape, *t = &b->shape;
    bool same = a->kind == b->kind && a->n_in == b->n_in && a->n_out == b->n_out && s->w == t->w &&
                s->h == t->h && s->split == t->split && s->segs_out == t->segs_out &&
                s->lanes_in == t->lanes_in && s->lanes_out == t->lanes_out &&
                s->cycles == t->cycles && s->bytes == t->bytes && a->n_steps == b->n_steps &&
                !a->anchor == !b->anchor && (!a->anchor || a->anchor->op == b->anchor->op);
    for (uint32_t i = 0; i < a->n_steps && same; i++)
        same = a->steps[i]->op == b->steps[i]->op;
    for (uint32_t i = 0; i < a->n_in && same; i++)
        same = same_stream_form(r->plan->streams.data[a->in[i]], r->plan->streams.data[b->in[i]]);
    for (uint32_t i = 0; i < a->n_out && same; i++)
        same = same_stream_form(r->plan->streams.data[a->out[i]], r->plan->streams.data[b->out[i]]);
    return same && !a->pin && !b->pin && !a->area && !b->area;
}

/* The slowest first; where equal, in the order of the plan. */
static void find_sections(Report *r)
{
    const Plan *p = r->plan;
    r->sections = arena_array(&r->arena, Section, p->kernels.n);
    const Kernel **first = arena_array(&r->arena, const Kernel *, p->kernels.n);
    uint32_t *of = arena_array(&r->arena, uint32_t, p->kernels.n), n = 0;
    for (size_t i = 0; i < p->kernels.n; i++) {
        uint32_t k = 0;
        while (k < n && !alike(r, first[k], p->kernels.data[i]))
            k++;
        if (k == n)
            first[n++] = p->kernels.data[i];
        of[i] = k;
    }
    r->n_sections = n;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t at = 0;
        for (uint32_t j = 0; j < n; j++)
            at += first[j]->shape.cycles > first[k]->shape.cycles ||
                  (first[j]->shape.cycles == first[k]->shape.cycles && j < k);
        Section *s = &r->sections[at];
        s->kernels = arena_array(&r->arena, const Kernel *, p->kernels.n);
        for (size_t i = 0; i < p->kernels.n; i++)
            if (of[i] == k)
                s->kernels[s->n++] = p->kernels.data[i];
        s->deep = at < DEEP_SECTIONS;
        kernel_story(&r->arena, r->cx, first[k], s->deep, &s->story);
        s->n_near = story_near(&s->story, s->near);
    }
}

static void collect(Report *r, const PassContext *cx)
{
    const Plan *p = cx->plan;
    *r = (Report){.cx = cx, .plan = p, .target = plan_target(p), .cores = plan_cores(p)};
    r->bounds = plan_bounds(p, 0);
    r->own = plan_bounds(p, (uint32_t)r->cores);
    for (size_t i = 0; i < p->kernels.n; i++) {
        const Kernel *k = p->kernels.data[i];
        if (!r->slowest || k->shape.cycles > r->slowest->shape.cycles)
            r->slowest = k;
        if (k->kind == KERNEL_ADAPTER) {
            r->adapters++;
            r->adapter_cores += (uint64_t)k->shape.w * k->shape.h;
        }
    }
    for (size_t i = 0; i < p->streams.n; i++) {
        r->wire += stream_hops(p->streams.data[i]);
        r->lane_wire += lane_hops(p->streams.data[i]);
    }
    for (size_t i = 0; i < p->keepouts.n; i++) {
        const KeepOut *o = &p->keepouts.data[i];
        *(o->dead ? &r->holes : &r->keepouts) += 1;
        *(o->dead ? &r->hole_cores : &r->keepout_cores) += (uint64_t)o->w * o->h;
    }
    for (uint32_t i = 0; p->defects && i < p->defects->n; i++)
        if (p->defects->runs[i].n <= DEFECT_SKIP)
            r->skipped += p->defects->runs[i].n;
    hot_links(r);
    if (cx->options.earlier)
        find_moves(r);
    find_sections(r);
}

/* ---- text ---- */

static void text_top(Text *t, const Report *r)
{
    const Plan *p = r->plan;
    const Machine *m = p->machine;
    double all = (double)m->width * m->height;
    text_printf(t, "%s on %s (%u x %u cores at %" PRIu64 " MHz)\n", p->graph->name, m->name,
                m->width, m->height, m->clock_hz / 1000000);
    text_printf(t, "  estimated %" PRIu64 " cycles a sample, %.0f samples/s\n", r->target,
                r->target ? (double)m->clock_hz / (double)r->target : 0.0);
    if (r->slowest)
        text_printf(t, "  slowest kernel '%s': %" PRIu64 " cycles, %s\n", r->slowest->name,
                    r->slowest->shape.cycles, r->sections[0].story.limit);
    text_printf(t, "  limited by %s\n", p->why ? p->why : "its slowest kernel");
    text_printf(
        t,
        "  lower bounds on all cores: compute %" PRIu64 ", memory %" PRIu64 ", host I/O %" PRIu64
        ", shapes %" PRIu64 " cycles; the estimate is %.2f times the largest\n",
        r->bounds.compute, r->bounds.memory, r->bounds.host, r->bounds.shapes, gap(r, r->bounds));
    text_printf(t, "  on the %" PRIu64 " cores in use: compute %" PRIu64 ", %.2f times\n", r->cores,
                r->own.compute, gap(r, r->own));
    text_printf(t, "  %" PRIu64 " cores (%.3f %%), %zu kernels, %zu streams\n", r->cores,
                100.0 * (double)r->cores / all, p->kernels.n, p->streams.n);
    text_printf(t, "  adapters: %u on %" PRIu64 " cores\n", r->adapters, r->adapter_cores);
    text_printf(
        t, "  wire: %" PRIu64 " hops over the streams' longest lanes, %" PRIu64 " over all lanes\n",
        r->wire, r->lane_wire);
    if (r->n_hot)
        text_printf(t, "  hottest link: %" PRIu64 " of %" PRIu64 " words a sample (%.1f %%), %s\n",
                    r->hot[0].words, r->target,
                    r->target ? 100.0 * (double)r->hot[0].words / (double)r->target : 0.0,
                    r->hot[0].what ? r->hot[0].what : "");
    if (r->keepouts)
        text_printf(t, "  keep-outs: %u on %" PRIu64 " cores\n", r->keepouts, r->keepout_cores);
    if (p->defects)
        text_printf(t,
                    "  defects: %" PRIu64 " dead cores that rows skip, %u areas of %" PRIu64
                    " cores out of order\n",
                    r->skipped, r->holes, r->hole_cores);
    if (r->cx->options.earlier)
        text_printf(t, "  since the earlier placement: %u stayed, %zu moved, %u new, %u gone\n",
                    r->moves.kept, r->moves.moved.n, r->moves.fresh, r->moves.gone);
}

static void text_moves(Text *t, const Moves *m)
{
    if (m->moved.n)
        text_add(t, "\nmoved since the earlier placement, and why\n");
    for (size_t i = 0; i < m->moved.n; i++) {
        const Move *v = &m->moved.data[i];
        uint32_t w, h;
        plan_extent(v->kernel, &w, &h);
        bool there = v->was->x == v->kernel->x && v->was->y == v->kernel->y;
        text_printf(t, "  %-16s %3u x %-3u at %3u,%-3u to %3u x %-3u at %3u,%-3u%s  %s\n",
                    v->kernel->name, v->was->w, v->was->h, v->was->x, v->was->y, w, h, v->kernel->x,
                    v->kernel->y, there && v->was->w == w && v->was->h == h ? ", turned" : "",
                    v->why);
    }
}

static void text_lists(Text *t, Report *r)
{
    const Plan *p = r->plan;
    text_moves(t, &r->moves);
    text_add(t, "\nkernel            cores      region          lanes      cycles   bytes  limit "
                "     operators\n");
    for (size_t i = 0; i < p->kernels.n; i++) {
        const Kernel *k = p->kernels.data[i];
        KernelStory s;
        uint32_t w, h;
        plan_extent(k, &w, &h);
        kernel_story(&r->arena, r->cx, k, false, &s);
        text_printf(t,
                    "%-16s %6u  %3u x %-3u at %3u,%-3u %3u -> %-3u %9" PRIu64 "  %6u  %-9s  %s\n",
                    k->name, w * h, w, h, k->x, k->y, k->shape.lanes_in, k->shape.lanes_out,
                    k->shape.cycles, k->shape.bytes, s.limit, kernel_operators(&r->arena, k));
    }
    text_add(t,
             "\nstream                            lanes color  messages x words   slots   hops\n");
    for (size_t i = 0; i < p->streams.n; i++) {
        const Stream *s = p->streams.data[i];
        text_printf(t, "%-32s %6u %5u %9u x %-6u %6u %6u\n", s->name, s->protocol.lanes, s->color,
                    protocol_messages(&s->protocol), protocol_words(&s->protocol), s->slots,
                    stream_hops(s));
    }
    if (p->curve.n)
        text_add(t, "\ncores against cycles a sample, before placement\n");
    for (size_t i = 0; i < p->curve.n; i++)
        text_printf(t, "  %9" PRIu64 " %9" PRIu64 "\n", p->curve.data[i].cores,
                    p->curve.data[i].cycles);
}

static void text_section(Text *t, Arena *a, const Section *s)
{
    const Kernel *k = s->kernels[0];
    const Shape *c = &k->shape;
    text_printf(t, "\n%s", k->name);
    if (s->n > 1)
        text_printf(t, " .. %s (%u kernels)", s->kernels[s->n - 1]->name, s->n);
    text_printf(t, ": %s", kernel_kind_text(k->kind));
    if (k->anchor)
        text_printf(t, ", %s", kernel_operators(a, k));
    text_printf(t, "\n  %u -> %u lanes, %u x %u cores, %" PRIu64 " cycles, %u bytes; at",
                c->lanes_in, c->lanes_out, c->w, c->h, c->cycles, c->bytes);
    for (uint32_t i = 0; i < s->n && i < NAMED; i++) {
        const char *stance = kernel_stance(a, s->kernels[i]);
        text_printf(t, "%s %u,%u%s%s%s", i ? ";" : "", s->kernels[i]->x, s->kernels[i]->y,
                    *stance ? " (" : "", stance, *stance ? ")" : "");
    }
    text_printf(t, "%s\n  %s\n", s->n > NAMED ? " ..." : "", s->story.limit_text);
    for (unsigned i = 0; i < s->n_near; i++) {
        const ShapeVerdict *v = &s->story.shapes.data[s->near[i]];
        text_printf(t, "  not %u x %u, %u -> %u lanes, %" PRIu64 " cycles: %s\n", v->shape.w,
                    v->shape.h, v->shape.lanes_in, v->shape.lanes_out, v->shape.cycles,
                    verdict_text(a, &s->story, v));
    }
}

static void text_tail(Text *t, Report *r, const PipelineTimes *times)
{
    const Plan *p = r->plan;
    const Machine *m = p->machine;
    text_add(t, "\nhottest links: words a sample, up to\n");
    for (size_t i = 0; i < r->n_hot; i++) {
        const HotLink *h = &r->hot[i];
        text_printf(t, "  %9" PRIu64 "  %5.1f %%  going %-5s in (%d, %d) .. (%d, %d)  %s\n",
                    h->words, r->target ? 100.0 * (double)h->words / (double)r->target : 0.0,
                    side_names[h->side], h->box.x0, h->box.y0, h->box.x1, h->box.y1,
                    h->what ? h->what : "");
    }
    const Kernel **full = by_fullness(p, &r->arena);
    text_add(t, "\nfullest cores: bytes, code and reserve included\n");
    for (size_t i = 0; i < p->kernels.n && i < FULL_CORES; i++)
        text_printf(t, "  %6u of %u  %5.1f %%  %s\n", full[i]->shape.bytes, m->sram_bytes,
                    100.0 * full[i]->shape.bytes / m->sram_bytes, full[i]->name);
    if (times && times->n) {
        text_add(t, "\npass           milliseconds\n");
        for (unsigned i = 0; i < times->n; i++)
            text_printf(t, "  %-12s %12.3f\n", times->pass[i].name, 1e3 * times->pass[i].seconds);
    }
}

void report_text(Text *t, const PassContext *cx, const PipelineTimes *times)
{
    Report r;
    collect(&r, cx);
    text_top(t, &r);
    text_lists(t, &r);
    text_add(t, "\nkernels, the slowest first, and the shapes next to theirs that lost\n");
    for (uint32_t i = 0; i < r.n_sections && i < DEEP_SECTIONS; i++)
        text_section(t, &r.arena, &r.sections[i]);
    if (r.n_sections > DEEP_SECTIONS)
        text_printf(t, "\n%u more kinds of kernels: --explain=KERNEL tells of each\n",
                    r.n_sections - DEEP_SECTIONS);
    text_tail(t, &r, times);
    arena_free(&r.arena);
}

/* ---- JSON ---- */

static void json_text(Text *t, const char *key, const char *value)
{
    text_json_string(t, key);
    text_add(t, ": ");
    text_json_string(t, value ? value : "");
}

static void json_move(Text *t, const Move *m, bool first)
{
    uint32_t w, h;
    plan_extent(m->kernel, &w, &h);
    text_add(t, first ? "\n  {" : ",\n  {");
    json_text(t, "name", m->kernel->name);
    text_printf(t,
                ", \"from\": {\"x\": %u, \"y\": %u, \"w\": %u, \"h\": %u}, \"to\": {\"x\": %u, "
                "\"y\": %u, \"w\": %u, \"h\": %u}, ",
                m->was->x, m->was->y, m->was->w, m->was->h, m->kernel->x, m->kernel->y, w, h);
    json_text(t, "why", m->why);
    text_add(t, "}");
}

static void json_top(Text *t, const Report *r)
{
    const Plan *p = r->plan;
    const Machine *m = p->machine;
    text_add(t, "{\n");
    json_text(t, "model", p->graph->name);
    text_add(t, ",\n");
    json_text(t, "machine", m->name);
    text_printf(t,
                ",\n\"width\": %u, \"height\": %u, \"clock_hz\": %" PRIu64 ",\n\"cores\": %" PRIu64
                ", \"cycles_per_sample\": %" PRIu64 ",\n",
                m->width, m->height, m->clock_hz, r->cores, r->target);
    json_text(t, "slowest_kernel", r->slowest ? r->slowest->name : "");
    text_add(t, ", ");
    json_text(t, "limited_by", p->why);
    text_printf(t,
                ",\n\"bounds\": {\"compute\": %" PRIu64 ", \"memory\": %" PRIu64
                ", \"host\": %" PRIu64 ", \"shapes\": %" PRIu64 ", \"gap\": %.4f},\n",
                r->bounds.compute, r->bounds.memory, r->bounds.host, r->bounds.shapes,
                gap(r, r->bounds));
    text_printf(
        t,
        "\"adapters\": {\"count\": %u, \"cores\": %" PRIu64 "}, \"wire\": {\"hops\": %" PRIu64
        ", \"all_lanes\": %" PRIu64 "},\n\"keepouts\": {\"count\": %u, \"cores\": %" PRIu64
        "}, \"out_of_order\": {\"count\": %u, \"cores\": %" PRIu64 ", \"skipped\": %" PRIu64 "},\n",
        r->adapters, r->adapter_cores, r->wire, r->lane_wire, r->keepouts, r->keepout_cores,
        r->holes, r->hole_cores, r->skipped);
    if (r->cx->options.earlier) {
        text_printf(t,
                    "\"since_earlier\": {\"stayed\": %u, \"moved\": %zu, \"new\": %u, \"gone\": "
                    "%u, \"which\": [",
                    r->moves.kept, r->moves.moved.n, r->moves.fresh, r->moves.gone);
        for (size_t i = 0; i < r->moves.moved.n; i++)
            json_move(t, &r->moves.moved.data[i], i == 0);
        text_add(t, "]},\n");
    }
}

static void json_kernel(Text *t, Report *r, const Kernel *k)
{
    uint32_t w, h, section = 0;
    plan_extent(k, &w, &h);
    for (uint32_t i = 0; i < r->n_sections; i++)
        for (uint32_t j = 0; j < r->sections[i].n; j++)
            section = r->sections[i].kernels[j] == k ? i : section;
    json_text(t, "name", k->name);
    text_add(t, ", ");
    json_text(t, "kind", kernel_kind_text(k->kind));
    text_add(t, ", ");
    json_text(t, "operators", kernel_operators(&r->arena, k));
    text_printf(t,
                ", \"x\": %u, \"y\": %u, \"w\": %u, \"h\": %u, \"turn\": %u, \"mirror\": %s, "
                "\"lanes_in\": %u, \"lanes_out\": %u, \"split\": %u, \"segs\": %u, \"cycles\": "
                "%" PRIu64 ", \"bytes\": %u, ",
                k->x, k->y, w, h, k->turn, k->mirror ? "true" : "false", k->shape.lanes_in,
                k->shape.lanes_out, k->shape.split, k->shape.segs_out, k->shape.cycles,
                k->shape.bytes);
    json_text(t, "bound_by", r->sections[section].story.limit);
    text_printf(t, ", \"section\": %u}", section);
}

static void json_section(Text *t, Arena *a, const Section *s)
{
    const KernelTime *time = &s->story.time;
    json_text(t, "first", s->kernels[0]->name);
    text_printf(t, ", \"kernels\": %u, ", s->n);
    json_text(t, "limit", s->story.limit);
    text_printf(t,
                ", \"cycles\": {\"all\": %" PRIu64 ", \"multiply\": %" PRIu64
                ", \"set_up\": %" PRIu64 ", \"landing\": %" PRIu64
                "}, \"shapes\": %zu, \"alternatives\": [",
                time->cycles, time->compute, time->setup, time->landing, s->story.shapes.n);
    for (unsigned i = 0; i < s->n_near; i++) {
        const ShapeVerdict *v = &s->story.shapes.data[s->near[i]];
        text_printf(t,
                    "%s{\"w\": %u, \"h\": %u, \"lanes_in\": %u, \"lanes_out\": %u, \"cycles\": "
                    "%" PRIu64 ", \"bytes\": %u, ",
                    i ? ",\n    " : "\n    ", v->shape.w, v->shape.h, v->shape.lanes_in,
                    v->shape.lanes_out, v->shape.cycles, v->shape.bytes);
        json_text(t, "lost", verdict_text(a, &s->story, v));
        text_add(t, "}");
    }
    text_add(t, "]}");
}

static void json_lists(Text *t, Report *r)
{
    const Plan *p = r->plan;
    text_add(t, "\"kernels\": [");
    for (size_t i = 0; i < p->kernels.n; i++) {
        text_add(t, i ? ",\n  {" : "\n  {");
        json_kernel(t, r, p->kernels.data[i]);
    }
    text_add(t, "\n],\n\"sections\": [");
    for (uint32_t i = 0; i < r->n_sections; i++) {
        text_add(t, i ? ",\n  {" : "\n  {");
        json_section(t, &r->arena, &r->sections[i]);
    }
    text_add(t, "\n],\n\"streams\": [");
    for (size_t i = 0; i < p->streams.n; i++) {
        const Stream *s = p->streams.data[i];
        text_add(t, i ? ",\n  {" : "\n  {");
        json_text(t, "name", s->name);
        text_printf(t,
                    ", \"from\": %d, \"to\": %d, \"lanes\": %u, \"color\": %u, \"messages\": %u, "
                    "\"words\": %u, \"slots\": %u, \"hops\": %u}",
                    s->from, s->to, s->protocol.lanes, s->color, protocol_messages(&s->protocol),
                    protocol_words(&s->protocol), s->slots, stream_hops(s));
    }
    text_add(t, "\n],\n\"curve\": [");
    for (size_t i = 0; i < p->curve.n; i++)
        text_printf(t, "%s{\"cores\": %" PRIu64 ", \"cycles\": %" PRIu64 "}", i ? ", " : "",
                    p->curve.data[i].cores, p->curve.data[i].cycles);
}

static void json_tail(Text *t, Report *r, const PipelineTimes *times)
{
    const Plan *p = r->plan;
    text_add(t, "],\n\"hottest_links\": [");
    for (size_t i = 0; i < r->n_hot; i++) {
        const HotLink *h = &r->hot[i];
        text_printf(t,
                    "%s{\"words\": %" PRIu64 ", \"side\": \"%s\", \"x0\": %d, \"y0\": %d, \"x1\": "
                    "%d, \"y1\": %d, ",
                    i ? ",\n  " : "\n  ", h->words, side_names[h->side], h->box.x0, h->box.y0,
                    h->box.x1, h->box.y1);
        json_text(t, "of", h->what);
        text_add(t, "}");
    }
    text_add(t, "\n],\n\"fullest_cores\": [");
    const Kernel **full = by_fullness(p, &r->arena);
    for (size_t i = 0; i < p->kernels.n && i < FULL_CORES; i++) {
        text_add(t, i ? ", {" : "{");
        json_text(t, "kernel", full[i]->name);
        text_printf(t, ", \"bytes\": %u, \"of\": %u}", full[i]->shape.bytes,
                    p->machine->sram_bytes);
    }
    text_add(t, "],\n\"passes\": [");
    for (unsigned i = 0; times && i < times->n; i++) {
        text_add(t, i ? ", {" : "{");
        json_text(t, "name", times->pass[i].name);
        text_printf(t, ", \"seconds\": %.6f}", times->pass[i].seconds);
    }
    text_add(t, "]\n}\n");
}

void report_json(Text *t, const PassContext *cx, const PipelineTimes *times)
{
    Report r;
    collect(&r, cx);
    json_top(t, &r);
    json_lists(t, &r);
    json_tail(t, &r, times);
    arena_free(&r.arena);
}
