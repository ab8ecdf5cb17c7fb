/* SPDX-License-Identifier: Apache-2.0 */
/* passes/report.c - the plan in numbers: --report as text and as JSON, from one walk.
 *
 * Link loads are those of the router: boxes around bundles, so "up to". */
#include <inttypes.h>
#include <stdlib.h>

#include "passes/planner.h"

enum { HOT_LINKS = 8, FULL_CORES = 8 };

typedef struct HotLink {
    Box box;
    Side side;
    uint64_t words;
    const char *what;
} HotLink;

static const char *const side_names[] = {"north", "east", "south", "west"};

/* Loads by box: streams' segments as they are, chains inside regions, every one with what
 * others add to it where they meet. */
static size_t hot_links(const Plan *p, Arena *a, HotLink *hot)
{
    Router *r = router_create(a, (Plan *)p, UINT64_MAX / 4);
    size_t n = 0;
    for (size_t i = 0; i < p->kernels.n; i++)
        router_add_kernel(r, p->kernels.data[i]);
    for (size_t i = 0; i < p->streams.n; i++)
        router_add_routed(r, p->streams.data[i]);
    for (size_t i = 0; i < r->taken.n; i++) {
        for (Side d = SIDE_N; d <= SIDE_W; d++) {
            const Taken *t = &r->taken.data[i];
            if (!t->load[d])
                continue;
            const char *what = t->stream >= 0 ? p->streams.data[t->stream]->name : NULL;
            HotLink h = {t->box, d, router_load(r, t->box, d), what};
            for (size_t k = 0; !what && k < p->kernels.n; k++)
                if (box_meet(plan_box(p->kernels.data[k]), t->box))
                    h.what = p->kernels.data[k]->name;
            size_t at = n < HOT_LINKS ? n++ : HOT_LINKS;
            if (at == HOT_LINKS && h.words <= hot[HOT_LINKS - 1].words)
                continue;
            at = at == HOT_LINKS ? HOT_LINKS - 1 : at;
            for (; at > 0 && hot[at - 1].words < h.words; at--)
                hot[at] = hot[at - 1];
            hot[at] = h;
        }
    }
    return n;
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

/* What a kernel's own time is made of, in a word. */
static const char *bound_by(const Plan *p, const Kernel *k)
{
    uint64_t target = plan_target(p), in = 0, out = 0;
    for (uint32_t i = 0; i < k->n_in; i++)
        in += stream_words(p->streams.data[k->in[i]]);
    for (uint32_t i = 0; i < k->n_out; i++)
        out += stream_words(p->streams.data[k->out[i]]);
    if (k->shape.cycles * 10 < target * 9)
        return "waits for others";
    if ((in + out) * 2 > k->shape.cycles)
        return "its words";
    return k->shape.bytes * 10 > p->machine->sram_bytes * 9ull ? "memory" : "compute";
}

static uint64_t largest(Bounds b)
{
    uint64_t v = b.compute > b.memory ? b.compute : b.memory;
    return b.host > v ? b.host : v;
}

static const char *operators(const Kernel *k, Arena *a)
{
    if (!k->anchor)
        return "adapter";
    const char *s = op_info[k->anchor->op].text;
    for (uint32_t i = 0; i < k->n_steps; i++)
        s = arena_printf(a, "%s+%s", s, op_info[k->steps[i]->op].text);
    return s;
}

void report_text(Text *t, const Plan *p, const PipelineTimes *times)
{
    Arena a = {0};
    const Machine *m = p->machine;
    uint64_t target = plan_target(p), cores = plan_cores(p);
    Bounds b = plan_bounds(p, 0);
    text_printf(t, "%s on %s (%u x %u cores at %" PRIu64 " MHz)\n", p->graph->name, m->name,
                m->width, m->height, m->clock_hz / 1000000);
    text_printf(t, "  %" PRIu64 " cores (%.3f %%), %zu kernels, %zu streams\n", cores,
                100.0 * (double)cores / ((double)m->width * m->height), p->kernels.n, p->streams.n);
    text_printf(t, "  estimated %" PRIu64 " cycles a sample, %.0f samples/s\n", target,
                target ? (double)m->clock_hz / (double)target : 0.0);
    text_printf(t, "  limited by %s\n", p->why ? p->why : "its slowest kernel");
    text_printf(t,
                "  lower bounds on all cores: compute %" PRIu64 ", memory %" PRIu64
                ", host I/O %" PRIu64 " cycles; the estimate is %.2f times the largest\n",
                b.compute, b.memory, b.host,
                largest(b) ? (double)target / (double)largest(b) : 0.0);
    Bounds own = plan_bounds(p, (uint32_t)cores);
    text_printf(t, "  on the %" PRIu64 " cores in use: compute %" PRIu64 ", %.2f times\n\n", cores,
                own.compute, largest(own) ? (double)target / (double)largest(own) : 0.0);

    text_add(t, "kernel            cores      region          lanes      cycles   bytes  bound by  "
                "        operators\n");
    for (size_t i = 0; i < p->kernels.n; i++) {
        const Kernel *k = p->kernels.data[i];
        uint32_t w, h;
        plan_extent(k, &w, &h);
        text_printf(t,
                    "%-16s %6u  %3u x %-3u at %3u,%-3u %3u -> %-3u %9" PRIu64 "  %6u  %-16s  %s\n",
                    k->name, w * h, w, h, k->x, k->y, k->shape.lanes_in, k->shape.lanes_out,
                    k->shape.cycles, k->shape.bytes, bound_by(p, k), operators(k, &a));
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

    HotLink hot[HOT_LINKS];
    size_t n = hot_links(p, &a, hot);
    text_add(t, "\nhottest links: words a sample, up to\n");
    for (size_t i = 0; i < n; i++)
        text_printf(t, "  %9" PRIu64 "  %5.1f %%  going %-5s in (%d, %d) .. (%d, %d)  %s\n",
                    hot[i].words, target ? 100.0 * (double)hot[i].words / (double)target : 0.0,
                    side_names[hot[i].side], hot[i].box.x0, hot[i].box.y0, hot[i].box.x1,
                    hot[i].box.y1, hot[i].what ? hot[i].what : "");
    const Kernel **full = by_fullness(p, &a);
    text_add(t, "\nfullest cores: bytes, code and reserve included\n");
    for (size_t i = 0; i < p->kernels.n && i < FULL_CORES; i++)
        text_printf(t, "  %6u of %u  %5.1f %%  %s\n", full[i]->shape.bytes, m->sram_bytes,
                    100.0 * full[i]->shape.bytes / m->sram_bytes, full[i]->name);
    if (times && times->n) {
        text_add(t, "\npass           milliseconds\n");
        for (unsigned i = 0; i < times->n; i++)
            text_printf(t, "  %-12s %12.3f\n", times->pass[i].name, 1e3 * times->pass[i].seconds);
    }
    arena_free(&a);
}

static void json_key(Text *t, const char *key)
{
    text_json_string(t, key);
    text_add(t, ": ");
}

static void json_text(Text *t, const char *key, const char *value)
{
    json_key(t, key);
    text_json_string(t, value ? value : "");
}

void report_json(Text *t, const Plan *p, const PipelineTimes *times)
{
    Arena a = {0};
    const Machine *m = p->machine;
    uint64_t target = plan_target(p), cores = plan_cores(p);
    Bounds b = plan_bounds(p, 0);
    text_add(t, "{\n");
    json_text(t, "model", p->graph->name);
    text_add(t, ",\n");
    json_text(t, "machine", m->name);
    text_printf(t,
                ",\n\"width\": %u, \"height\": %u, \"clock_hz\": %" PRIu64 ",\n\"cores\": %" PRIu64
                ", \"cycles_per_sample\": %" PRIu64 ",\n",
                m->width, m->height, m->clock_hz, cores, target);
    json_text(t, "limited_by", p->why);
    text_printf(t,
                ",\n\"bounds\": {\"compute\": %" PRIu64 ", \"memory\": %" PRIu64
                ", \"host\": %" PRIu64 ", \"gap\": %.4f},\n\"kernels\": [",
                b.compute, b.memory, b.host,
                largest(b) ? (double)target / (double)largest(b) : 0.0);
    for (size_t i = 0; i < p->kernels.n; i++) {
        const Kernel *k = p->kernels.data[i];
        uint32_t w, h;
        plan_extent(k, &w, &h);
        text_add(t, i ? ",\n  {" : "\n  {");
        json_text(t, "name", k->name);
        text_add(t, ", ");
        json_text(t, "kind", kernel_kind_text(k->kind));
        text_add(t, ", ");
        json_text(t, "operators", operators(k, &a));
        text_printf(t,
                    ", \"x\": %u, \"y\": %u, \"w\": %u, \"h\": %u, \"turn\": %u, \"mirror\": %s, "
                    "\"lanes_in\": %u, \"lanes_out\": %u, \"split\": %u, \"segs\": %u, \"cycles\": "
                    "%" PRIu64 ", \"bytes\": %u, ",
                    k->x, k->y, w, h, k->turn, k->mirror ? "true" : "false", k->shape.lanes_in,
                    k->shape.lanes_out, k->shape.split, k->shape.segs_out, k->shape.cycles,
                    k->shape.bytes);
        json_text(t, "bound_by", bound_by(p, k));
        text_add(t, "}");
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
    HotLink hot[HOT_LINKS];
    size_t n = hot_links(p, &a, hot);
    text_add(t, "],\n\"hottest_links\": [");
    for (size_t i = 0; i < n; i++) {
        text_printf(t,
                    "%s{\"words\": %" PRIu64 ", \"side\": \"%s\", \"x0\": %d, \"y0\": %d, \"x1\": "
                    "%d, \"y1\": %d, ",
                    i ? ",\n  " : "\n  ", hot[i].words, side_names[hot[i].side], hot[i].box.x0,
                    hot[i].box.y0, hot[i].box.x1, hot[i].box.y1);
        json_text(t, "of", hot[i].what);
        text_add(t, "}");
    }
    text_add(t, "\n],\n\"fullest_cores\": [");
    const Kernel **full = by_fullness(p, &a);
    for (size_t i = 0; i < p->kernels.n && i < FULL_CORES; i++) {
        text_add(t, i ? ", {" : "{");
        json_text(t, "kernel", full[i]->name);
        text_printf(t, ", \"bytes\": %u, \"of\": %u}", full[i]->shape.bytes, m->sram_bytes);
    }
    text_add(t, "],\n\"passes\": [");
    for (unsigned i = 0; times && i < times->n; i++) {
        text_add(t, i ? ", {" : "{");
        json_text(t, "name", times->pass[i].name);
        text_printf(t, ", \"seconds\": %.6f}", times->pass[i].seconds);
    }
    text_add(t, "]\n}\n");
    arena_free(&a);
}
