// SPDX-License-Identifier: Apache-2.0
// libwse: images, checked when opened, and runs by the engines.
#include "runtime/wse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/io.h"
#include "runtime/check.h"
#include "runtime/engine.h"
#include "runtime/values.h"

struct WseImage {
    Arena arena;
    Diag diag;
    FILE *messages; /* into text */
    char *text;
    size_t len;
    Bytes bytes;
    Image image;
    Fabric fabric;
    bool usable;
    WseStatus status;
};

static const Span nowhere = {0};

static WseStatus settle(WseImage *w, bool ok)
{
    if (ok)
        w->status = WSE_OK;
    else if (w->diag.internal)
        w->status = WSE_INTERNAL;
    else
        w->status = w->diag.fault ? WSE_FAULT : WSE_BAD_INPUT;
    return w->status;
}

WseImage *wse_open(const char *path)
{
    WseImage *w = calloc(1, sizeof *w);
    if (!w) {
        fputs("out of memory\n", stderr);
        abort();
    }
    diag_init(&w->diag, "wse");
    w->messages = open_memstream(&w->text, &w->len);
    w->diag.out = w->messages; // standard error where there is no memory for a stream
    w->usable = io_read(&w->diag, path, 0, &w->bytes) &&
                image_read(&w->arena, &w->diag, path, w->bytes, &w->image) &&
                check_image(&w->arena, &w->diag, &w->image, &w->fabric);
    settle(w, w->usable);
    return w;
}

void wse_close(WseImage *w)
{
    if (!w)
        return;
    if (w->messages)
        fclose(w->messages);
    free(w->text);
    bytes_free(&w->bytes);
    diag_finish(&w->diag);
    arena_free(&w->arena);
    free(w);
}

WseStatus wse_status(const WseImage *w)
{
    return w->status;
}

const char *wse_messages(WseImage *w)
{
    if (!w->messages || fflush(w->messages) != 0 || !w->text)
        return "";
    return w->text;
}

unsigned wse_tensor_count(const WseImage *w)
{
    return w->image.n_tensors;
}

WseTensor wse_tensor(const WseImage *w, unsigned k)
{
    const HostTensor *h = &w->image.tensors[k];
    WseTensor t = {.name = h->name,
                   .is_output = h->is_output,
                   .dtype = (DType)h->dtype,
                   .rank = (int)h->rank,
                   .bytes = dtype_bytes((DType)h->dtype)};
    for (uint32_t i = 0; i < h->rank; i++) {
        t.extent[i] = h->extent[i];
        t.bytes *= h->extent[i];
    }
    for (uint32_t p = 0; p < w->image.n_ports; p++)
        t.ports += w->image.ports[p].tensor == k;
    return t;
}

unsigned wse_stream_count(const WseImage *w)
{
    return w->image.n_streams;
}

WseStream wse_stream(const WseImage *w, unsigned k)
{
    const StreamInfo *s = &w->image.streams[k];
    const Origin *o = &w->image.origins[s->origin];
    return (WseStream){.name = s->name,
                       .tensor = s->tensor,
                       .line = o->line,
                       .column = o->column,
                       .rows = s->rows,
                       .cols = s->cols,
                       .features = s->features,
                       .from_host = s->from < 0};
}

WseSummary wse_summary(const WseImage *w)
{
    const Image *im = &w->image;
    WseSummary s = {
        .model = im->model,
        .machine = im->machine.name,
        .source_name = im->source_name,
        .options = im->options,
        .clock_hz = im->machine.clock_hz,
        .cores = w->fabric.n_cores,
        .machine_cores = (uint64_t)im->machine.width * im->machine.height,
        .kernels = im->n_kernels,
        .streams = im->n_streams,
        .classes = im->n_classes,
        .has_weights = im->has_weights,
    };
    memcpy(s.digest, im->digest, sizeof s.digest);
    return s;
}

static void kernel_stats(WseImage *w, const EngineResult *r, uint64_t samples, WseStats *stats)
{
    const Image *im = &w->image;
    WseKernelStats *k = arena_array(&w->arena, WseKernelStats, im->n_kernels + 1);
    for (uint32_t i = 0; i < im->n_kernels; i++) {
        k[i].name = im->kernels[i].name;
        k[i].kind = im->kernels[i].kind;
        k[i].line = im->origins[im->kernels[i].origin].line;
        k[i].estimate = im->kernels[i].cycles;
    }
    for (uint32_t c = 0; c < w->fabric.n_cores; c++) {
        WseKernelStats *of = &k[im->cores[w->fabric.nodes[c].rect].kernel];
        double busy = (double)r->node_busy[c] / (double)samples;
        of->cores++;
        of->mean += busy;
        if (busy > of->busiest)
            of->busiest = busy;
    }
    for (uint32_t i = 0; i < im->n_kernels; i++)
        if (k[i].cores)
            k[i].mean /= (double)k[i].cores;
    stats->kernels = k;
}

static void link_stats(const WseImage *w, const EngineResult *r, uint64_t samples, WseStats *stats)
{
    static const char letter[SIDE_COUNT] = {'N', 'E', 'S', 'W', 'R'};
    for (uint32_t l = 0; l < w->fabric.n_links; l++) {
        const FabricLink *from = &w->fabric.links[l];
        WseLinkStats s = {from->x, from->y, from->from_core ? 'C' : letter[from->side],
                          (double)r->link_words[l] / (double)samples};
        unsigned at = stats->n_links;
        while (at > 0 && stats->links[at - 1].words < s.words)
            at--;
        if (at == WSE_HOTTEST_LINKS)
            continue;
        if (stats->n_links < WSE_HOTTEST_LINKS)
            stats->n_links++;
        memmove(&stats->links[at + 1], &stats->links[at],
                (stats->n_links - 1 - at) * sizeof *stats->links);
        stats->links[at] = s;
    }
}

typedef struct Progress {
    const WseRun *run;
    const char *what;
} Progress;

static void engine_progress(void *arg, uint64_t samples, uint64_t cycles)
{
    const Progress *p = arg;
    (void)cycles;
    p->run->progress(p->run->progress_arg, p->what, samples, p->run->samples);
}

static void values_progress(void *arg, uint64_t samples)
{
    engine_progress(arg, samples, 0);
}

static bool run_engine(WseImage *w, const WseRun *run, bool values, WseStats *stats)
{
    Progress progress = {run, values ? "simulating" : "timing"};
    EngineOptions options = {
        .values = values,
        .skip_periods = !values,
        .samples = run->samples,
        // Simulated time ends before 64 bits do.
        .cycles_limit = run->cycles_limit ? run->cycles_limit : UINT64_MAX / 4,
        .progress = run->progress ? engine_progress : NULL,
        .progress_arg = &progress,
        .interrupt = run->interrupt,
    };
    EngineResult r;
    if (!engine_run(&w->arena, &w->fabric, &options, values ? run->inputs : NULL,
                    values ? run->outputs : NULL, &r))
        return r.status == ENGINE_INTERRUPTED ||
               diag_fault(&w->diag, nowhere, "%s", r.fault ? r.fault : "the run failed");
    stats->cycles = r.cycles;
    stats->first_result = r.first_result;
    stats->cycles_per_sample = (double)r.period_num / (double)(r.period_den ? r.period_den : 1);
    stats->exact_period = r.period_exact;
    stats->operations = r.operations;
    stats->words_hopped = r.words_hopped;
    kernel_stats(w, &r, run->samples, stats);
    link_stats(w, &r, run->samples, stats);
    return true;
}

static bool run_values(WseImage *w, const WseRun *run)
{
    Progress progress = {run, "computing"};
    ValuesTap *taps = arena_array(&w->arena, ValuesTap, run->n_taps + 1);
    for (unsigned i = 0; i < run->n_taps; i++)
        taps[i].stream = run->taps[i].stream;
    ValuesOptions options = {
        .native = !run->interpret,
        .threads = run->threads,
        .samples = run->samples,
        .interrupt = run->interrupt,
        .progress = run->progress ? values_progress : NULL,
        .progress_arg = &progress,
        .taps = taps,
        .n_taps = run->n_taps,
    };
    if (!values_run(&w->arena, &w->diag, &w->fabric, &options, run->inputs, run->outputs))
        return false;
    bool ok = true;
    for (unsigned i = 0; i < run->n_taps; i++)
        ok = values_tap_tensor(&w->diag, &w->fabric, &taps[i], run->samples, run->taps[i].result) &&
             ok;
    return ok;
}

WseStatus wse_run(WseImage *w, const WseRun *run, WseStats *stats)
{
    *stats = (WseStats){0};
    if (!w->usable)
        return w->status;
    if (run->samples == 0)
        return settle(w, diag_error(&w->diag, nowhere, "there are no samples to run"));
    bool values = run->engine != WSE_ENGINE_TIMES;
    if (values && !w->image.has_weights)
        return settle(w, diag_error(&w->diag, nowhere,
                                    "the image was planned without weights: it has times "
                                    "(--engine=times), no values"));
    if (run->engine == WSE_ENGINE_CORE && run->n_taps)
        return settle(
            w, diag_error(&w->diag, nowhere, "tensors are recorded by the values engine only"));
    bool ok = true;
    if (values && run->engine != WSE_ENGINE_CORE)
        ok = run_values(w, run);
    if (ok && run->engine != WSE_ENGINE_VALUES)
        ok = run_engine(w, run, run->engine == WSE_ENGINE_CORE, stats);
    if (run->interrupt && *run->interrupt)
        return w->status = WSE_INTERRUPTED;
    return settle(w, ok);
}
