// SPDX-License-Identifier: Apache-2.0
// wse-run: executes an image on the simulated fabric. Arrays in, arrays out, times beside.
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ir/support/io.h"
#include "ir/support/npy.h"
#include "ir/support/options.h"
#include "ir/support/samples.h"
#include "ir/support/table.h"
#include "runtime/wse.h"

typedef struct RunOptions {
#define OPTION(field, kind, letter, name, argument, help) OPTION_TYPE_##kind field;
#include "runtime/run.def"
} RunOptions;

static const OptionSpec specs[] = {
#define OPTION(field, kind, letter, name, argument, help)                                          \
    {name, letter, OPTION_##kind, argument, help, offsetof(RunOptions, field)},
#include "runtime/run.def"
};

_Static_assert((int)WSE_BAD_INPUT == EXIT_INPUT && (int)WSE_INTERNAL == EXIT_INTERNAL &&
                   (int)WSE_FAULT == EXIT_FAULT && (int)WSE_INTERRUPTED == EXIT_INTERRUPTED,
               "a status of libwse is the exit code of the tool");

enum { N_SPECS = sizeof specs / sizeof *specs, DEFAULT_TIMED_SAMPLES = 16 };

static const Span nowhere = {0};

// The one thing a signal handler can reach.
static volatile int interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

typedef struct Session {
    Arena *arena;
    Diag *diag;
    const RunOptions *options;
    WseImage *image;
    unsigned n_tensors, n_in, n_out;
    WseTensor *tensors;
    TensorSpec *in, *out; /* the inputs and the outputs among the tensors */
    unsigned *in_tensor, *out_tensor;
    uint8_t **data; /* by tensor: all samples, on the heap */
    uint64_t samples;
    WseTap *taps;
    unsigned n_taps;
} Session;

static void collect(Session *s)
{
    Arena *a = s->arena;
    s->n_tensors = wse_tensor_count(s->image);
    s->tensors = arena_array(a, WseTensor, s->n_tensors + 1);
    s->in = arena_array(a, TensorSpec, s->n_tensors + 1);
    s->out = arena_array(a, TensorSpec, s->n_tensors + 1);
    s->in_tensor = arena_array(a, unsigned, s->n_tensors + 1);
    s->out_tensor = arena_array(a, unsigned, s->n_tensors + 1);
    s->data = arena_array(a, uint8_t *, s->n_tensors + 1);
    for (unsigned k = 0; k < s->n_tensors; k++) {
        WseTensor t = s->tensors[k] = wse_tensor(s->image, k);
        TensorSpec spec = {.name = t.name, .dtype = t.dtype, .rank = t.rank};
        memcpy(spec.extent, t.extent, sizeof spec.extent);
        if (t.is_output) {
            s->out_tensor[s->n_out] = k;
            s->out[s->n_out++] = spec;
        } else {
            s->in_tensor[s->n_in] = k;
            s->in[s->n_in++] = spec;
        }
    }
}

static void describe(Session *s)
{
    WseSummary sum = wse_summary(s->image);
    Text out = {0};
    text_printf(&out,
                "model %s (%s) for %s, %s\n%" PRIu64 " of %" PRIu64 " cores, %u kernels, %u "
                "classes of cores%s\n\n",
                sum.model, sum.source_name, sum.machine, sum.options, sum.cores, sum.machine_cores,
                sum.kernels, sum.classes, sum.has_weights ? "" : "; without weights: times only");
    Table t =
        table_begin(s->arena, "tensors", "tensor|direction|type|extents|bytes a sample|ports");
    for (unsigned k = 0; k < s->n_tensors; k++) {
        const WseTensor *w = &s->tensors[k];
        Text extents = {0};
        for (int i = 0; i < w->rank; i++)
            text_printf(&extents, "%s%" PRIu64, i ? "x" : "", w->extent[i]);
        table_string(&t, w->name);
        table_string(&t, w->is_output ? "output" : "input");
        table_string(&t, dtype_name(w->dtype));
        table_string(&t, extents.data);
        table_count(&t, w->bytes);
        table_count(&t, w->ports);
        text_free(&extents);
    }
    table_print(&out, &t);
    text_add(&out, "\n");
    t = table_begin(s->arena, "streams", "stream|tensor|rows|columns|features|line");
    for (unsigned k = 0; k < wse_stream_count(s->image); k++) {
        WseStream w = wse_stream(s->image, k);
        table_string(&t, w.name);
        table_string(&t, w.tensor);
        table_count(&t, w.rows);
        table_count(&t, w.cols);
        table_count(&t, w.features);
        table_count(&t, w.line);
    }
    table_print(&out, &t);
    io_write(s->diag, "-", out.data, out.len);
    text_free(&out);
}

static bool read_inputs(Session *s)
{
    const RunOptions *o = s->options;
    uint8_t **data = arena_array(s->arena, uint8_t *, s->n_in + 1);
    bool ok = samples_read_inputs(s->diag, s->in, s->n_in, o->inputs.data, o->inputs.n, &s->samples,
                                  data);
    for (unsigned k = 0; k < s->n_in; k++)
        s->data[s->in_tensor[k]] = data[k];
    if (ok && o->samples > s->samples)
        ok = diag_error(s->diag, nowhere, "--samples=%" PRIu64 ", but the inputs have %" PRIu64,
                        o->samples, s->samples);
    if (ok && o->samples)
        s->samples = o->samples;
    for (unsigned k = 0; ok && k < s->n_out; k++) {
        uint64_t each = s->tensors[s->out_tensor[k]].bytes;
        if (each == 0 || s->samples > SIZE_MAX / each ||
            !(s->data[s->out_tensor[k]] = malloc((size_t)(s->samples * each) + 1)))
            ok = diag_error(s->diag, nowhere, "no memory for %" PRIu64 " samples of '%s'",
                            s->samples, s->out[k].name);
    }
    return ok;
}

static uint64_t stream_elements(const WseStream *w)
{
    return (uint64_t)w->rows * w->cols * w->features;
}

static bool add_tap(Session *s, unsigned stream)
{
    WseStream w = wse_stream(s->image, stream);
    uint64_t n = stream_elements(&w);
    float *result = n && s->samples < SIZE_MAX / 4 / n
                        ? malloc((size_t)(s->samples * n) * sizeof(float))
                        : NULL;
    if (!result)
        return diag_error(s->diag, nowhere, "no memory for %" PRIu64 " samples of '%s'", s->samples,
                          w.tensor);
    s->taps[s->n_taps++] = (WseTap){stream, result};
    return true;
}

static bool find_tensor(Session *s, const char *name, size_t len, unsigned *stream)
{
    unsigned n = wse_stream_count(s->image);
    for (unsigned k = 0; k < n; k++) {
        WseStream w = wse_stream(s->image, k);
        if (strlen(w.tensor) == len && memcmp(w.tensor, name, len) == 0) {
            *stream = k;
            return true;
        }
    }
    Text have = {0};
    for (unsigned k = 0; k < n; k++) {
        WseStream w = wse_stream(s->image, k);
        bool again = false; // a tensor may travel on several streams
        for (unsigned i = 0; i < k && !again; i++)
            again = strcmp(wse_stream(s->image, i).tensor, w.tensor) == 0;
        if (w.tensor[0] && !again)
            text_printf(&have, "%s'%s'", have.len ? ", " : "", w.tensor);
    }
    diag_error(s->diag, nowhere, "--dump: no stream carries a tensor '%.*s'; there are %s",
               (int)len, name, have.len ? have.data : "none");
    text_free(&have);
    return false;
}

// The reference of a stream's tensor in --check=DIR, if there is one.
static const char *reference_path(Session *s, const WseStream *w)
{
    if (!w->tensor[0] || w->from_host || strchr(w->tensor, '/'))
        return NULL;
    const char *path = arena_printf(s->arena, "%s/%s.npy", s->options->check, w->tensor);
    return access(path, F_OK) == 0 ? path : NULL;
}

static bool choose_taps(Session *s)
{
    const RunOptions *o = s->options;
    unsigned n = wse_stream_count(s->image), wanted = 0;
    s->taps = arena_array(s->arena, WseTap, o->dumps.n + n + 1);
    for (size_t i = 0; i < o->dumps.n; i++) {
        const char *text = o->dumps.data[i], *equals = strchr(text, '=');
        unsigned stream;
        if (!find_tensor(s, text, equals ? (size_t)(equals - text) : strlen(text), &stream) ||
            !add_tap(s, stream))
            return false;
    }
    for (unsigned k = 0; o->check && k < n; k++) {
        WseStream w = wse_stream(s->image, k);
        if (reference_path(s, &w)) {
            wanted++;
            if (!add_tap(s, k))
                return false;
        }
    }
    return !o->check || wanted ||
           diag_error(s->diag, nowhere,
                      "--check=%s: it holds no tensor of this network (make it with wsec "
                      "--interpret --dump-all=%s)",
                      o->check, o->check);
}

static void show_progress(void *arg, const char *what, uint64_t done, uint64_t all)
{
    (void)arg;
    fprintf(stderr, "\r%s: %" PRIu64 " of %" PRIu64 " samples ", what, done, all);
    if (done >= all)
        fputs("\r\033[K", stderr);
}

typedef struct Tolerance {
    double rtol, atol;
} Tolerance;

static Tolerance tolerance(const RunOptions *o, DType dtype)
{
    double usual_r = dtype == DT_F16 ? 1e-2 : 1e-4, usual_a = dtype == DT_F16 ? 1e-2 : 1e-5;
    return (Tolerance){o->rtol >= 0 ? o->rtol : usual_r, o->atol >= 0 ? o->atol : usual_a};
}

// Element i of what was computed.
typedef struct Computed {
    const float *floats; /* or, if NULL: */
    DType dtype;
    const uint8_t *data;
} Computed;

static double computed_get(const Computed *c, uint64_t i)
{
    return c->floats ? (double)c->floats[i] : samples_get(c->dtype, c->data, i);
}

// Compares with an array of the same number of samples or more. The first element outside of
// the tolerance is reported, with how many there are.
static bool compare(Session *s, const char *what, uint32_t line, const Computed *c,
                    uint64_t elements, const char *path, Tolerance tol)
{
    Npy want;
    if (!npy_read(s->diag, path, &want))
        return false;
    uint64_t n = s->samples * elements;
    if (want.n < n || want.n % elements != 0) {
        uint64_t have = want.n;
        npy_finish(&want);
        return diag_error(s->diag, nowhere,
                          "'%s' has %" PRIu64 " elements, '%s' needs %" PRIu64 " (%" PRIu64
                          " samples of %" PRIu64 ")",
                          path, have, what, n, s->samples, elements);
    }
    uint64_t wrong = 0, first = 0;
    double largest = 0;
    for (uint64_t i = 0; i < n; i++) {
        double got = computed_get(c, i), reference = npy_get(&want, i);
        double difference = fabs(got - reference);
        bool both_nan = got != got && reference != reference;
        if (!both_nan && got != reference &&
            !(difference <= tol.atol + tol.rtol * fabs(reference))) {
            if (wrong++ == 0)
                first = i;
        }
        if (difference > largest)
            largest = difference;
    }
    if (wrong) {
        diag_fault(
            s->diag, nowhere,
            "'%s'%s differs from '%s': %" PRIu64 " of %" PRIu64 " elements are outside of "
            "rtol %g + atol %g, the first at sample %" PRIu64 ", element %" PRIu64
            ": %.9g instead of %.9g",
            what,
            line ? arena_printf(s->arena, " (%s:%u)", wse_summary(s->image).source_name, line) : "",
            path, wrong, n, tol.rtol, tol.atol, first / elements, first % elements,
            computed_get(c, first), npy_get(&want, first));
    } else if (!s->options->quiet) {
        printf("%s: within tolerance, largest difference %.3g\n", what, largest);
    }
    npy_finish(&want);
    return wrong == 0;
}

static bool write_dumps(Session *s)
{
    bool ok = true;
    for (size_t i = 0; i < s->options->dumps.n; i++) {
        const char *equals = strchr(s->options->dumps.data[i], '=');
        WseStream w = wse_stream(s->image, s->taps[i].stream);
        uint64_t extent[4] = {s->samples, w.rows, w.cols, w.features};
        const char *path = equals ? equals + 1 : arena_printf(s->arena, "%s.npy", w.tensor);
        ok = npy_write(s->diag, path, DT_F32, 4, extent, s->taps[i].result) && ok;
    }
    return ok;
}

static bool check_all(Session *s)
{
    const RunOptions *o = s->options;
    // Streams are in the order of the network: the first difference is the one to look at.
    for (unsigned i = (unsigned)o->dumps.n; i < s->n_taps; i++) {
        WseStream w = wse_stream(s->image, s->taps[i].stream);
        Computed c = {.floats = s->taps[i].result};
        if (!compare(s, w.tensor, w.line, &c, stream_elements(&w), reference_path(s, &w),
                     tolerance(o, s->tensors[s->in_tensor[0]].dtype)))
            return false;
    }
    bool ok = true;
    for (size_t i = 0; i < o->expected.n; i++) {
        size_t k;
        const char *path;
        if (!samples_match(s->diag, "expected", s->out, s->n_out, o->expected.data[i], &k, &path)) {
            ok = false;
            continue;
        }
        Computed c = {.dtype = s->out[k].dtype, .data = s->data[s->out_tensor[k]]};
        ok = compare(s, s->out[k].name, 0, &c, tensor_spec_elements(&s->out[k]), path,
                     tolerance(o, s->out[k].dtype)) &&
             ok;
    }
    return ok;
}

static bool write_outputs(Session *s)
{
    const RunOptions *o = s->options;
    bool ok = true;
    for (size_t i = 0; i < o->outputs.n; i++) {
        size_t k;
        const char *path;
        ok = samples_match(s->diag, "output", s->out, s->n_out, o->outputs.data[i], &k, &path) &&
             samples_write(s->diag, &s->out[k], path, s->samples, s->data[s->out_tensor[k]]) && ok;
    }
    return ok;
}

static Table stats_table(Session *s, const WseStats *st)
{
    Table t = table_begin(s->arena, "kernels",
                          "kernel|kind|cores|busiest cycles|mean cycles|estimate|line");
    for (unsigned k = 0; k < wse_summary(s->image).kernels; k++) {
        const WseKernelStats *w = &st->kernels[k];
        table_string(&t, w->name);
        table_string(&t, w->kind);
        table_count(&t, w->cores);
        table_number(&t, w->busiest, 1);
        table_number(&t, w->mean, 1);
        table_count(&t, w->estimate);
        table_count(&t, w->line);
    }
    return t;
}

static bool write_stats(Session *s, const WseStats *st)
{
    WseSummary sum = wse_summary(s->image);
    Text out = {0};
    text_add(&out, "{\n  \"model\": ");
    text_json_string(&out, sum.model);
    text_add(&out, ",\n  \"machine\": ");
    text_json_string(&out, sum.machine);
    text_printf(&out,
                ",\n  \"samples\": %" PRIu64 ",\n  \"cycles\": %" PRIu64
                ",\n  \"first_result_cycles\": %" PRIu64
                ",\n  \"cycles_per_sample\": %.6g,\n  \"exact_period\": %s,\n"
                "  \"clock_hz\": %" PRIu64 ",\n  \"samples_per_second\": %.6g,\n"
                "  \"operations\": %" PRIu64 ",\n  \"words_hopped\": %" PRIu64
                ",\n  \"cores\": %" PRIu64 ",\n  ",
                s->samples, st->cycles, st->first_result, st->cycles_per_sample,
                st->exact_period ? "true" : "false", sum.clock_hz,
                st->cycles_per_sample > 0 ? (double)sum.clock_hz / st->cycles_per_sample : 0,
                st->operations, st->words_hopped, sum.cores);
    Table t = stats_table(s, st);
    table_json(&out, &t);
    t = table_begin(s->arena, "hottest_links", "x|y|side|words");
    for (unsigned i = 0; i < st->n_links; i++) {
        table_count(&t, st->links[i].x);
        table_count(&t, st->links[i].y);
        table_printf(&t, "%c", st->links[i].side);
        table_number(&t, st->links[i].words, 2);
    }
    text_add(&out, ",\n  ");
    table_json(&out, &t);
    text_add(&out, "\n}\n");
    bool ok = io_write(s->diag, s->options->stats, out.data, out.len);
    text_free(&out);
    return ok;
}

static void print_summary(Session *s, const WseStats *st)
{
    WseSummary sum = wse_summary(s->image);
    double us = 1e6 / (double)sum.clock_hz;
    printf("%s on %s: %" PRIu64 " samples, %" PRIu64 " cycles on %" PRIu64 " cores\n", sum.model,
           sum.machine, s->samples, st->cycles, sum.cores);
    printf("%.1f cycles a sample%s (%.0f samples/s at %.0f MHz), latency %" PRIu64
           " cycles (%.1f us)\n",
           st->cycles_per_sample, st->exact_period ? "" : " (measured)",
           st->cycles_per_sample > 0 ? (double)sum.clock_hz / st->cycles_per_sample : 0,
           (double)sum.clock_hz / 1e6, st->first_result, (double)st->first_result * us);
}

static bool execute(Session *s, WseEngine engine)
{
    const RunOptions *o = s->options;
    if (engine == WSE_ENGINE_TIMES) {
        s->samples = o->samples ? o->samples : DEFAULT_TIMED_SAMPLES;
        if (o->outputs.n || o->expected.n || o->check || o->dumps.n)
            return diag_error(s->diag, nowhere,
                              "--engine=times computes no values; leave out "
                              "--output, --expected, --check and --dump");
    } else if (!read_inputs(s) || !choose_taps(s)) {
        return false;
    }
    WseRun run = {
        .engine = engine,
        .interpret = o->interpret,
        .threads = (unsigned)(o->threads > 64 ? 64 : o->threads),
        .samples = s->samples,
        .cycles_limit = o->cycles_limit,
        .inputs = (const uint8_t *const *)s->data,
        .outputs = s->data,
        .taps = s->taps,
        .n_taps = s->n_taps,
        .progress = isatty(STDERR_FILENO) && !o->quiet ? show_progress : NULL,
        .interrupt = &interrupted,
    };
    WseStats stats;
    if (wse_run(s->image, &run, &stats) != WSE_OK)
        return false;
    // Results are written before they are compared: who looks for a difference needs them.
    bool ok = engine == WSE_ENGINE_TIMES || (write_outputs(s) && write_dumps(s));
    if (ok && o->stats)
        ok = write_stats(s, &stats);
    if (ok && !o->quiet && engine != WSE_ENGINE_VALUES)
        print_summary(s, &stats);
    return ok && (engine == WSE_ENGINE_TIMES || check_all(s));
}

static int session(Arena *a, Diag *d, const RunOptions *o, const char *path, WseEngine engine)
{
    Session s = {.arena = a, .diag = d, .options = o, .image = wse_open(path)};
    WseStatus status = wse_status(s.image);
    if (status == WSE_OK) {
        collect(&s);
        if (o->describe)
            describe(&s);
        else
            execute(&s, engine);
        status = wse_status(s.image);
    }
    fputs(wse_messages(s.image), stderr);
    for (unsigned k = 0; k < s.n_tensors; k++)
        free(s.data[k]);
    for (unsigned k = 0; k < s.n_taps; k++)
        free(s.taps[k].result);
    wse_close(s.image);
    return status != WSE_OK ? (int)status : diag_exit_code(d);
}

static int run(Arena *a, int argc, char **argv)
{
    static const char *const engines[] = {"default", "values", "times", "core"};
    RunOptions o = {.rtol = -1, .atol = -1, .threads = 1};
    StringList arguments = {0};
    Diag d;
    bool color;
    size_t engine = 0;
    if (!options_parse(a, "wse-run", specs, N_SPECS, &o, &arguments, argc, argv) ||
        !options_color("wse-run", o.color, stderr, &color) ||
        (o.engine && !options_choice("wse-run", "engine", o.engine, engines, 4, &engine)))
        return EXIT_USAGE;
    if (options_answer("wse-run",
                       "usage: wse-run [options] IMAGE.wse --input x.npy\n\nExecutes a wafer "
                       "program on the simulated fabric.\n",
                       o.help, o.version, specs, N_SPECS))
        return EXIT_OK;
    if (arguments.n != 1) {
        fputs("wse-run: error: one image is needed (--help lists the options)\n", stderr);
        return EXIT_USAGE;
    }
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    diag_init(&d, "wse-run");
    d.color = color;
    int code = session(a, &d, &o, arguments.data[0], (WseEngine)engine);
    diag_finish(&d);
    return code;
}

int main(int argc, char **argv)
{
    Arena a = {0};
    int code = io_finish("wse-run", run(&a, argc, argv));
    arena_free(&a);
    return code;
}
