/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/bench.c - measures the compiler and the engines: bench [quick] PART...
 *
 *   compile  seconds by stage and pass, for the examples on wse2
 *   times    simulated operations and PE-cycles a second of the times engine
 *   values   images a second of the MLP by the values engine, beside OpenBLAS
 *
 * Times are CPU seconds where one thread works, so that a busy machine disturbs them less;
 * "values" is by the wall clock, in alternation, as the median of the ratios. OpenBLAS is
 * measured without its tuning variables: the program starts itself again without them. With
 * `quick` everything is tiny: a smoke test. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif

#include "ir/support/rng.h"
#include "runtime/engine.h"
#include "runtime/values.h"
#include "tests/bench/bench.h"

static const char *const examples[] = {"mlp", "residual", "lenet"};
enum { N_EXAMPLES = sizeof examples / sizeof *examples };
static const char *const types[] = {"f32", "f16"};

/* Wide layers take 100,000 cores of the larger one. */
static const char *wafer(bool quick)
{
    return quick ? "wse2-64x64" : "wse2";
}

/* ---- compile ---- */

static bool bench_compile(bool quick)
{
    int repeats = quick ? 1 : 5;
    for (int e = 0; e < N_EXAMPLES; e++) {
        double best = INFINITY;
        Stage stages[MODEL_MAX_STAGES] = {{0}};
        PipelineTimes passes = {0};
        unsigned n = 0;
        uint64_t cores = 0, bytes = 0;
        for (int r = 0; r < repeats; r++) {
            Model m;
            double start = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
            bool ok = model_compile(&m, examples[e], "f32", wafer(quick));
            double total = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - start;
            if (ok && total < best) {
                best = total;
                n = m.n_stages;
                memcpy(stages, m.stages, sizeof stages);
                passes = m.passes;
                cores = m.fabric.n_cores;
                bytes = m.bytes.len;
            }
            model_free(&m);
            if (!ok)
                return false;
        }
        printf("compile %s for %s: %.0f ms, %llu cores, image of %llu bytes (best of %d)\n",
               examples[e], wafer(quick), best * 1e3, (unsigned long long)cores,
               (unsigned long long)bytes, repeats);
        for (unsigned k = 0; k < n; k++) {
            printf("  %-14s %8.2f ms\n", stages[k].name, stages[k].seconds * 1e3);
            for (unsigned p = 0; !strcmp(stages[k].name, "passes") && p < passes.n; p++)
                if (passes.pass[p].seconds >= 1e-4)
                    printf("    %-12s %8.2f ms\n", passes.pass[p].name,
                           passes.pass[p].seconds * 1e3);
        }
    }
    return true;
}

/* ---- times ---- */

static bool bench_times(bool quick)
{
    printf("times engine on %s, every event simulated, one thread\n"
           "  model     type  cores  samples    cycles  operations  s (CPU)  Mop/s  "
           "M PE-cycles/s\n",
           wafer(quick));
    for (int e = 0; e < N_EXAMPLES; e++)
        for (int t = 0; t < 2; t++) {
            Model m;
            EngineResult r;
            bool ok = model_compile(&m, examples[e], types[t], wafer(quick));
            EngineOptions one = {.samples = 1};
            ok = ok && engine_run(&m.arena, &m.fabric, &one, NULL, NULL, &r);
            uint64_t samples = !ok || quick ? 2 : 2 + 2000000 / r.operations;
            double start = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
            EngineOptions o = {.samples = samples};
            ok = ok && engine_run(&m.arena, &m.fabric, &o, NULL, NULL, &r);
            double s = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - start;
            if (ok)
                printf("  %-9s %-4s %6u %8llu %9llu %11llu %8.3f %6.2f %14.0f\n", examples[e],
                       types[t], m.fabric.n_cores, (unsigned long long)samples,
                       (unsigned long long)r.cycles, (unsigned long long)r.simulated_operations, s,
                       (double)r.simulated_operations / s * 1e-6,
                       (double)r.cycles * m.fabric.n_cores / s * 1e-6);
            model_free(&m);
            if (!ok)
                return false;
        }
    printf("on wse2-64x64, 10,000 samples with periods skipped\n"
           "  model     type  s (CPU)  simulated operations of all  equivalent M PE-cycles/s\n");
    for (int e = 0; e < N_EXAMPLES && !quick; e++)
        for (int t = 0; t < 2; t++) {
            Model m;
            EngineResult r;
            bool ok = model_compile(&m, examples[e], types[t], "wse2-64x64");
            double start = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
            EngineOptions o = {.samples = 10000, .skip_periods = true};
            ok = ok && engine_run(&m.arena, &m.fabric, &o, NULL, NULL, &r);
            double s = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - start;
            if (ok)
                printf("  %-9s %-4s %8.3f %15llu of %10llu %20.0f\n", examples[e], types[t], s,
                       (unsigned long long)r.simulated_operations, (unsigned long long)r.operations,
                       (double)r.cycles * m.fabric.n_cores / s * 1e-6);
            model_free(&m);
            if (!ok)
                return false;
        }
    return true;
}

/* ---- values ---- */

#ifdef HAVE_OPENBLAS

typedef struct Mlp { /* as BLAS computes it */
    const float *w1, *b1, *w2, *b2;
    int in, hidden, out;
} Mlp;

static const float *weight_of(const Graph *g, const char *name, int64_t *rows)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.data[i];
        if (n->op == OP_CONST && n->name && !strcmp(n->name, name)) {
            *rows = n->type.extent[0];
            return n->value;
        }
    }
    fprintf(stderr, "bench: no weight %s\n", name);
    exit(1);
}

static void layer(const float *x, const float *w, const float *b, float *y, int n, int k, int o,
                  bool relu)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, o, k, 1, x, k, w, k, 0, y, o);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < o; j++) {
            float v = y[(size_t)i * (size_t)o + (size_t)j] + b[j];
            y[(size_t)i * (size_t)o + (size_t)j] = relu && v < 0 ? 0 : v;
        }
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One number of threads: the median ratio and the best rates of an alternating run. */
static bool race(Model *m, const Mlp *mlp, unsigned threads, int images, int repeats)
{
    size_t n = (size_t)images, in = (size_t)mlp->in, out = (size_t)mlp->out;
    float *x = calloc(n * in, 4), *y = calloc(n * out, 4), *z = calloc(n * out, 4);
    float *h = calloc(n * (size_t)mlp->hidden, 4);
    double ratio[64], fabric = INFINITY, blas = INFINITY, difference = 0;
    Rng rng = {5};
    bool ok = x && y && z && h && repeats <= 64;
    for (size_t i = 0; ok && i < n * in; i++)
        x[i] = (float)rng_unit(&rng);
    openblas_set_num_threads((int)threads);
    const uint8_t *inputs[2] = {NULL, NULL};
    uint8_t *outputs[2] = {NULL, NULL};
    for (int k = 0; ok && k < 2; k++) {
        if (m->image.tensors[k].is_output)
            outputs[k] = (uint8_t *)y;
        else
            inputs[k] = (const uint8_t *)x;
    }
    for (int r = -1; ok && r < repeats; r++) { /* the first warms up */
        ValuesOptions o = {.native = true, .threads = threads, .samples = n};
        Arena a = {0};
        double t0 = clock_seconds(CLOCK_MONOTONIC);
        ok = values_run(&a, &m->diag, &m->fabric, &o, inputs, outputs);
        double t1 = clock_seconds(CLOCK_MONOTONIC);
        layer(x, mlp->w1, mlp->b1, h, images, mlp->in, mlp->hidden, true);
        layer(h, mlp->w2, mlp->b2, z, images, mlp->hidden, mlp->out, false);
        double t2 = clock_seconds(CLOCK_MONOTONIC);
        arena_free(&a);
        if (r >= 0) {
            ratio[r] = (t1 - t0) / (t2 - t1);
            fabric = fmin(fabric, t1 - t0);
            blas = fmin(blas, t2 - t1);
        }
    }
    for (size_t i = 0; ok && i < n * out; i++)
        difference = fmax(difference, fabs((double)y[i] - z[i]) / (1 + fabs((double)z[i])));
    if (ok && difference > 1e-4)
        ok = diag_error(&m->diag, (Span){0}, "fabric and BLAS differ by %g", difference);
    if (ok) {
        qsort(ratio, (size_t)repeats, sizeof *ratio, compare_double);
        printf("  %7u %8d %12.0f %12.0f %8.2f %6.2f .. %.2f\n", threads, images, images / fabric,
               images / blas, ratio[repeats / 2], ratio[0], ratio[repeats - 1]);
    }
    free(x);
    free(y);
    free(z);
    free(h);
    return ok;
}

static bool bench_values(bool quick)
{
    Model m;
    bool ok = model_compile(&m, "mlp", "f32", "wse2-64x64");
    if (ok) {
        int64_t hidden, out, same;
        Mlp mlp;
        mlp.w1 = weight_of(m.cx.graph, "fc1.weight", &hidden);
        mlp.w2 = weight_of(m.cx.graph, "fc2.weight", &out);
        mlp.b1 = weight_of(m.cx.graph, "fc1.bias", &same);
        mlp.b2 = weight_of(m.cx.graph, "fc2.bias", &same);
        mlp.in = (int)type_features(&m.cx.graph->inputs.data[0]->type);
        mlp.hidden = (int)hidden;
        mlp.out = (int)out;
        printf("values engine, MLP 784-128-10 f32 on wse2-64x64, %u cores; OpenBLAS: %s\n"
               "  threads   images  fabric img/s   BLAS img/s  times slower (median, range)\n",
               m.fabric.n_cores, openblas_get_config());
        for (unsigned threads = 1; ok && threads <= 2; threads++)
            ok = race(&m, &mlp, threads, quick ? 50 : 10000, quick ? 1 : 9);
    }
    model_free(&m);
    return ok;
}

#else

static bool bench_values(bool quick)
{
    (void)quick;
    printf("values: built without OpenBLAS (libopenblas-dev), nothing to compare with\n");
    return true;
}

#endif

int main(int argc, char **argv)
{
    if (getenv("OPENBLAS_CORETYPE") || getenv("OPENBLAS_L2_SIZE")) {
        unsetenv("OPENBLAS_CORETYPE");
        unsetenv("OPENBLAS_L2_SIZE");
        execv("/proc/self/exe", argv);
        perror("bench");
        return 1;
    }
    static const struct {
        const char *name;
        bool (*run)(bool quick);
    } parts[] = {{"compile", bench_compile}, {"times", bench_times}, {"values", bench_values}};
    setvbuf(stdout, NULL, _IOLBF, 0);
    bool quick = argc > 1 && !strcmp(argv[1], "quick");
    int first = quick ? 2 : 1;
    for (int i = first; i < argc; i++) {
        bool known = false;
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
            known = known || !strcmp(argv[i], parts[k].name);
        if (!known) {
            fprintf(stderr, "usage: bench [quick] [compile] [times] [values]\n");
            return 2;
        }
    }
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        bool wanted = argc == first;
        for (int i = first; i < argc; i++)
            wanted = wanted || !strcmp(argv[i], parts[k].name);
        if (wanted && !parts[k].run(quick))
            return 1;
    }
    return 0;
}
