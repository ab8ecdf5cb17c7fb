/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/bench.h - compiles an example through the libraries, stage by stage, each
 * stage with its time. */
#ifndef WSEC_TESTS_BENCH_H
#define WSEC_TESTS_BENCH_H

#include <time.h>

#include "passes/passes.h"
#include "runtime/check.h"

enum { MODEL_MAX_STAGES = 8 };

typedef struct Stage {
    const char *name;
    double seconds; /* of this process's CPUs */
} Stage;

typedef struct Model {
    Arena arena;
    Diag diag;
    Machine machine;
    PassContext cx; /* .graph, .plan */
    PipelineTimes passes;
    Stage stages[MODEL_MAX_STAGES];
    unsigned n_stages;
    Bytes bytes; /* of the image */
    Image image; /* read back from them */
    Fabric fabric;
} Model;

/* examples/NAME.dsl with its trained weights; type "f32" or "f16". False: reported. */
bool model_compile(Model *m, const char *name, const char *type, const char *machine);
void model_free(Model *m);

static inline double clock_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#endif
