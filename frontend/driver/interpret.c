// SPDX-License-Identifier: Apache-2.0
// --interpret: the reference evaluator over arrays of samples, and the dump of every named
// tensor that wse-run --check compares with. Samples are dealt over threads; each is evaluated
// by itself, so the result does not depend on their number.
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/driver/driver.h"
#include "ir/eval.h"
#include "ir/support/io.h"
#include "ir/support/npy.h"
#include "ir/support/samples.h"

static const Span nowhere = {0};

enum { MAX_THREADS = 64 };

typedef struct Capture { /* a node whose values are kept for all samples */
    const Node *node;
    uint8_t *data; /* f32, or i32 where the node is */
} Capture;

typedef struct Job {
    const Graph *graph;
    uint8_t *const *inputs;
    const TensorSpec *specs;
    uint64_t n_samples;
    const Capture *captures;
    size_t n_captures;
    unsigned first, step; /* this worker's samples */
    bool ok;
} Job;

static TensorSpec spec_of(const Node *n, const char *name, DType dtype)
{
    TensorSpec t = {.name = name, .dtype = dtype, .rank = n->type.rank};
    for (int i = 0; i < n->type.rank; i++)
        t.extent[i] = (uint64_t)n->type.extent[i];
    return t;
}

static DType captured_dtype(const Node *n)
{
    return n->type.dtype == DT_I32 ? DT_I32 : DT_F32;
}

static void keep(const Capture *c, uint64_t sample, const double *values)
{
    uint64_t n = (uint64_t)type_elements(&c->node->type);
    for (uint64_t i = 0; i < n; i++) {
        if (captured_dtype(c->node) == DT_I32) {
            int32_t v = (int32_t)values[i];
            memcpy(c->data + 4 * (sample * n + i), &v, sizeof v);
        } else {
            float v = (float)values[i];
            memcpy(c->data + 4 * (sample * n + i), &v, sizeof v);
        }
    }
}

static void *work(void *argument)
{
    Job *job = argument;
    const Graph *g = job->graph;
    Arena a = {0};
    Diag d; // shapes are checked, so a sample cannot fail; the caller reports if one does
    diag_init(&d, "wsec");
    double **inputs = arena_array(&a, double *, g->inputs.n + 1);
    for (size_t k = 0; k < g->inputs.n; k++)
        inputs[k] = arena_array(&a, double, (size_t)type_elements(&g->inputs.data[k]->type));
    double **result = arena_array(&a, double *, g->nodes.n + 1);
    job->ok = eval_prepare(&a, &d, g, result);
    for (uint64_t s = job->first; s < job->n_samples && job->ok; s += job->step) {
        for (size_t k = 0; k < g->inputs.n; k++) {
            uint64_t n = tensor_spec_elements(&job->specs[k]);
            for (uint64_t i = 0; i < n; i++)
                inputs[k][i] = samples_get(job->specs[k].dtype, job->inputs[k], s * n + i);
        }
        eval_run(g, (const double *const *)inputs, result);
        for (size_t c = 0; c < job->n_captures; c++)
            keep(&job->captures[c], s, result[job->captures[c].node->id]);
    }
    diag_finish(&d);
    arena_free(&a);
    return NULL;
}

static bool evaluate(Diag *d, Job *whole, unsigned threads)
{
    Job jobs[MAX_THREADS];
    pthread_t ids[MAX_THREADS];
    bool started[MAX_THREADS] = {false};
    threads = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
    for (unsigned t = 0; t < threads; t++) {
        jobs[t] = *whole;
        jobs[t].first = t;
        jobs[t].step = threads;
        started[t] = t > 0 && pthread_create(&ids[t], NULL, work, &jobs[t]) == 0;
        if (t > 0 && !started[t])
            work(&jobs[t]);
    }
    work(&jobs[0]);
    bool ok = jobs[0].ok;
    for (unsigned t = 1; t < threads; t++) {
        if (started[t])
            pthread_join(ids[t], NULL);
        ok = ok && jobs[t].ok;
    }
    return ok || diag_internal(d, nowhere, "the reference evaluator failed");
}

static bool write_all(Arena *a, Diag *d, const DriverOptions *o, const Graph *g,
                      const Capture *captures, size_t n_captures, uint64_t n_samples)
{
    bool ok = true;
    size_t n_out = g->outputs.n;
    TensorSpec *outs = arena_array(a, TensorSpec, n_out + 1);
    for (size_t k = 0; k < n_out; k++)
        outs[k] =
            spec_of(g->outputs.data[k], g->output_names[k], captured_dtype(g->outputs.data[k]));
    for (size_t i = 0; i < o->results.n; i++) {
        size_t k;
        const char *path;
        ok = samples_match(d, "result", outs, n_out, o->results.data[i], &k, &path) &&
             samples_write(d, &outs[k], path, n_samples, captures[k].data) && ok;
    }
    if (!o->dump_all)
        return ok;
    if (mkdir(o->dump_all, 0777) != 0 && errno != EEXIST)
        return diag_error(d, nowhere, "cannot make '%s': %s", o->dump_all, strerror(errno));
    for (size_t c = n_out; c < n_captures && ok; c++) {
        const Node *n = captures[c].node;
        TensorSpec t = spec_of(n, n->name, captured_dtype(n));
        ok = samples_write(d, &t, arena_printf(a, "%s/%s.npy", o->dump_all, n->name), n_samples,
                           captures[c].data);
    }
    return ok;
}

bool driver_interpret(Arena *a, Diag *d, const DriverOptions *o, Graph *g)
{
    TensorSpec *specs = arena_array(a, TensorSpec, g->inputs.n + 1);
    uint8_t **data = arena_array(a, uint8_t *, g->inputs.n + 1);
    for (size_t k = 0; k < g->inputs.n; k++)
        specs[k] =
            spec_of(g->inputs.data[k], g->inputs.data[k]->name, g->inputs.data[k]->type.dtype);
    bool ok = true;
    for (size_t i = 0; i < g->nodes.n; i++)
        if (g->nodes.data[i]->op == OP_CONST && !g->nodes.data[i]->value)
            return diag_error(d, g->nodes.data[i]->span,
                              "--interpret needs values of '%s': give --weights",
                              g->nodes.data[i]->name ? g->nodes.data[i]->name : "a constant");
    // The outputs first, then every named value for --dump-all.
    Capture *captures = arena_array(a, Capture, g->outputs.n + g->nodes.n + 1);
    size_t n_captures = 0;
    for (size_t k = 0; k < g->outputs.n; k++)
        captures[n_captures++].node = g->outputs.data[k];
    for (size_t i = 0; o->dump_all && i < g->nodes.n; i++)
        if (g->nodes.data[i]->name && g->nodes.data[i]->op != OP_CONST)
            captures[n_captures++].node = g->nodes.data[i];
    uint64_t n_samples = 0;
    ok = samples_read_inputs(d, specs, g->inputs.n, o->inputs.data, o->inputs.n, &n_samples, data);
    for (size_t c = 0; c < n_captures && ok; c++) {
        uint64_t n = (uint64_t)type_elements(&captures[c].node->type);
        captures[c].data = malloc((size_t)(n_samples * n * 4) + 1);
        if (!captures[c].data)
            ok = diag_error(d, nowhere, "out of memory for %llu samples of '%s'",
                            (unsigned long long)n_samples, captures[c].node->name);
    }
    Job job = {.graph = g,
               .inputs = data,
               .specs = specs,
               .n_samples = n_samples,
               .captures = captures,
               .n_captures = n_captures};
    ok = ok && evaluate(d, &job, (unsigned)o->threads) &&
         write_all(a, d, o, g, captures, n_captures, n_samples);
    for (size_t c = 0; c < n_captures; c++)
        free(captures[c].data);
    for (size_t k = 0; k < g->inputs.n; k++)
        free(data[k]);
    return ok;
}
