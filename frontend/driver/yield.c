// SPDX-License-Identifier: Apache-2.0
// --yield-sweep=N IMAGE: on how many of N wafers an image works, and how fast.
//
// Wafers are made up by passes/defects.h from seeds that are drawn in order, so a sweep is the
// same for any number of threads. On each the image stays as it is, or is moved, or fails; if it
// works, the times engine gives its cycles a sample in steady state, against those of the perfect
// wafer, and its latency. Threads take every n-th wafer, each with memory of its own.
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "frontend/driver/driver.h"
#include "frontend/driver/relink.h"
#include "passes/defects.h"
#include "runtime/engine.h"

enum { MAX_WAFERS = 100000, MAX_THREADS = 64, BINS = 10, WIDEST = 50 };
#define DEFECT_RATE 0.01 // if it is not given
enum { LEAST_SAMPLES = 64, MOST_SAMPLES = 1024, STEADY = 1000 };

static const Span nowhere = {0, 0, 0};

typedef enum Outcome { FITS, MOVED, FAILED, OUTCOMES } Outcome;

typedef struct Times {
    double cycles;  // a sample; 0: the run failed
    double latency; // of the first sample
} Times;

typedef struct Wafer {
    uint64_t seed;
    Outcome outcome;
    Times times;
} Wafer;

typedef struct Sweep {
    const Image *image;
    double rate;
    Wafer *wafers;
    uint32_t n, n_threads;
} Sweep;

typedef struct Job {
    const Sweep *sweep;
    uint32_t first;
} Job;

// Twice the samples until the whole state repeats, or they take as long each as those before to one
// part in STEADY: queues may fill slowly, and a wafer's detours make a difference there.
static Times times_of(Arena *a, const Fabric *f)
{
    Times last = {0, 0};
    for (uint64_t samples = LEAST_SAMPLES; samples <= MOST_SAMPLES; samples *= 2) {
        EngineOptions o = {.samples = samples, .skip_periods = true};
        EngineResult r;
        if (!engine_run(a, f, &o, NULL, NULL, &r) || r.period_den == 0)
            return (Times){0, 0};
        double before = last.cycles;
        last = (Times){(double)r.period_num / (double)r.period_den, (double)r.first_result};
        if (r.period_exact || fabs(last.cycles - before) * STEADY <= before)
            break;
    }
    return last;
}

static void try_wafer(const Sweep *s, Wafer *w, FILE *sink)
{
    Arena a = {0};
    Defects defects;
    Image image;
    Fabric fabric;
    uint32_t n_moved;
    Diag quiet;

    diag_init(&quiet, "wsec");
    quiet.out = sink;
    defects_random(&a, &s->image->machine, w->seed, s->rate, &defects);
    w->outcome = FITS;
    if (!relink_fits(&a, s->image, &defects, &image, &fabric)) {
        w->outcome = MOVED;
        if (!relink_moves(&a, &quiet, s->image, &defects, &image, &n_moved) ||
            !fabric_build(&a, &quiet, &image, &fabric))
            w->outcome = FAILED;
    }
    if (w->outcome != FAILED)
        w->times = times_of(&a, &fabric);
    if (w->times.cycles == 0)
        w->outcome = FAILED;
    diag_finish(&quiet);
    arena_free(&a);
}

static void *work(void *arg)
{
    const Job *job = arg;
    FILE *sink = fopen("/dev/null", "w");
    for (uint32_t i = job->first; i < job->sweep->n; i += job->sweep->n_threads)
        try_wafer(job->sweep, &job->sweep->wafers[i], sink);
    if (sink)
        fclose(sink);
    return NULL;
}

static void run(const Sweep *s)
{
    pthread_t ids[MAX_THREADS];
    Job jobs[MAX_THREADS];
    bool started[MAX_THREADS] = {false};
    for (uint32_t t = s->n_threads; t-- > 0;) {
        jobs[t] = (Job){s, t};
        started[t] = t > 0 && pthread_create(&ids[t], NULL, work, &jobs[t]) == 0;
        if (!started[t])
            work(&jobs[t]);
    }
    for (uint32_t t = 1; t < s->n_threads; t++)
        if (started[t])
            pthread_join(ids[t], NULL);
}

static int by_size(const void *p, const void *q)
{
    double a = *(const double *)p, b = *(const double *)q;
    return (a > b) - (a < b);
}

// Sorts what it is given.
static void print_distribution(const char *what, double perfect, double *slowdown, uint32_t n)
{
    qsort(slowdown, n, sizeof *slowdown, by_size);
    double low = slowdown[0], width = (slowdown[n - 1] - low) / BINS;
    printf("%s, against %.1f cycles of a perfect wafer: least %.4f, median %.4f, 90 %% up to %.4f, "
           "most %.4f\n",
           what, perfect, low, slowdown[(n - 1) / 2], slowdown[(n - 1) * 9 / 10], slowdown[n - 1]);
    uint32_t bin[BINS] = {0}, most = 0;
    if (width == 0)
        return;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t b = (uint32_t)((slowdown[i] - low) / width);
        b = b < BINS ? b : BINS - 1;
        most = ++bin[b] > most ? bin[b] : most;
    }
    for (uint32_t b = 0; b < BINS; b++) {
        printf("  %.4f .. %.4f %6" PRIu32 " ", low + b * width, low + (b + 1) * width, bin[b]);
        for (uint32_t k = 0; k < (uint32_t)((uint64_t)bin[b] * WIDEST / most); k++)
            putchar('#');
        putchar('\n');
    }
}

static void print_sweep(Arena *a, const Sweep *s, uint64_t seed, Times perfect)
{
    static const char *const names[OUTCOMES] = {
        [FITS] = "fit the spares", [MOVED] = "fit with kernels or ways moved", [FAILED] = "fail"};
    uint32_t count[OUTCOMES] = {0}, n = 0;
    double *cycles = arena_array(a, double, s->n), *latency = arena_array(a, double, s->n);
    for (uint32_t i = 0; i < s->n; i++) {
        const Wafer *w = &s->wafers[i];
        count[w->outcome]++;
        if (w->outcome == FAILED)
            continue;
        cycles[n] = w->times.cycles / perfect.cycles;
        latency[n++] = w->times.latency / perfect.latency;
    }
    printf("%s on %s: %" PRIu32 " wafers, %g of the cores dead, seed %" PRIu64 "\n",
           s->image->model, s->image->machine.name, s->n, s->rate, seed);
    for (int k = 0; k < OUTCOMES; k++)
        printf("  %6" PRIu32 "  %s\n", count[k], names[k]);
    printf("success rate %.2f %%\n", 100.0 * n / s->n);
    if (n > 0) {
        print_distribution("a sample", perfect.cycles, cycles, n);
        print_distribution("the first result", perfect.latency, latency, n);
    }
}

static bool sweep(Arena *a, Diag *d, const DriverOptions *o, const char *path)
{
    Bytes bytes = {0};
    Image image, plain;
    Fabric fabric, perfect_fabric;
    Times perfect = {0, 0};
    bool ok = relink_open(a, d, path, &bytes, &image, &fabric);
    if (ok) { // what it is compared with is this image without any defects
        const Defects none = {0};
        if (relink_fits(a, &image, &none, &plain, &perfect_fabric))
            perfect = times_of(a, &perfect_fabric);
        ok = perfect.cycles > 0 ||
             diag_error(d, nowhere, "'%s' does not run on a perfect wafer", path);
    }
    if (ok) {
        Sweep s = {.image = &image,
                   .rate = o->defect_rate < 0 ? DEFECT_RATE : o->defect_rate,
                   .n = (uint32_t)o->yield_sweep};
        Rng rng = {o->seed};
        s.n_threads = (uint32_t)(o->threads < 1             ? 1
                                 : o->threads > MAX_THREADS ? MAX_THREADS
                                                            : o->threads);
        s.wafers = arena_array(a, Wafer, s.n);
        for (uint32_t i = 0; i < s.n; i++)
            s.wafers[i].seed = rng_next(&rng);
        run(&s);
        print_sweep(a, &s, o->seed, perfect);
    }
    bytes_free(&bytes);
    return ok;
}

bool driver_yield(Diag *d, const DriverOptions *o, const char *path)
{
    if (o->yield_sweep < 1 || o->yield_sweep > MAX_WAFERS || !(o->defect_rate <= 0.5)) {
        d->usage = true;
        return diag_error(d, nowhere, "--yield-sweep takes 1 to %d wafers, --defect-rate 0 to 0.5",
                          MAX_WAFERS);
    }
    Arena a = {0};
    bool ok = sweep(&a, d, o, path);
    arena_free(&a);
    return ok;
}
