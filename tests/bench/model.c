/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/model.c - see bench.h. The stages are those of the program wsec. */
#include <string.h>

#include "backend/kernels/kernel.h"
#include "backend/native/native.h"
#include "frontend/frontend.h"
#include "frontend/weights.h"
#include "tests/bench/bench.h"

static double cpu(void)
{
    return clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

/* The time since *t belongs to stage `name`. */
static bool stage(Model *m, const char *name, double *t, bool ok)
{
    double now = cpu();
    m->stages[m->n_stages++] = (Stage){name, now - *t};
    *t = now;
    return ok;
}

bool model_compile(Model *m, const char *name, const char *type, const char *machine)
{
    Arena *a = &m->arena;
    Diag *d = &m->diag;
    memset(m, 0, sizeof *m);
    diag_init(d, "bench");
    const char *text = arena_printf(a, "%s/%s.dsl", EXAMPLES, name);
    const char *weights = arena_printf(a, "%s/weights/%s.safetensors", EXAMPLES, name);
    Define define = {"T", type};
    double t = cpu();
    if (!stage(m, "machine", &t, machine_load(d, machine, &m->machine)) ||
        !stage(m, "front end", &t, frontend_compile(a, d, text, &define, 1, &m->cx.graph)) ||
        !stage(m, "weights", &t, weights_load(d, a, m->cx.graph, &weights, 1)))
        return false;
    m->cx.diag = d;
    m->cx.arena = a;
    m->cx.machine = &m->machine;
    m->cx.options.slack = 0.05;
    PipelineOptions options = {.out = stdout};
    Image *image = arena_new(a, Image);
    NativeOptions native = {.opt_level = 2};
    if (!stage(m, "passes", &t, pipeline_run(&m->cx, &options, &m->passes)) ||
        !stage(m, "emit", &t, kernels_emit(a, d, m->cx.plan, image)) ||
        !stage(m, "native code", &t, native_compile(a, d, image, &native, &image->native)))
        return false;
    image_write(image, &m->bytes);
    return stage(m, "write, read", &t, image_read(a, d, name, m->bytes, &m->image)) &&
           stage(m, "check, proof", &t, check_image(a, d, &m->image, &m->fabric));
}

void model_free(Model *m)
{
    bytes_free(&m->bytes);
    diag_finish(&m->diag);
    arena_free(&m->arena);
}
