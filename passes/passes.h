/* SPDX-License-Identifier: Apache-2.0 */
/* passes/passes.h - what the driver calls: graph passes by table, then planning. */
#ifndef WSEC_PASSES_H
#define WSEC_PASSES_H

#include "ir/plan.h"
#include "passes/constraints.h"

/* One table of passes: passes.def, PASS(id, doc): bool pass_<id>(PassContext *). */
typedef struct PassContext {
    Diag *diag;
    Graph *graph;
    Plan *plan; /* set by partition, filled by size, place, route */
    const Machine *machine;
    Arena *arena; /* lives until the image is written */
    struct PlanOptions {
        uint32_t max_cores; /* 0: all of the machine */
        double slack;       /* 0.05: so much slower than the fastest is allowed to save cores */
        bool latency;       /* --objective=latency */
        bool curve;         /* fill plan->curve, for the report */
        uint64_t seed;      /* of the placement engine */
        uint32_t threads;   /* 0 is 1; the plan does not depend on it */
        double time_limit;  /* seconds of the engine, 0: by effort */
        uint64_t effort;    /* millions of steps of the engine, 0: the default */
        FILE *progress;     /* of the engine; NULL: none */
        const Constraints *constraints;  /* NULL: none */
        const EarlierPlacement *earlier; /* --from-placement; NULL: none */
        const Defects *defects;          /* of the wafer; NULL: none */
    } options;
} PassContext;

#define PASS(id, doc) bool pass_##id(PassContext *cx);
#include "passes/passes.def"

typedef struct PipelineOptions {
    const char *print_after; /* pass name or "all" */
    bool verify_each;
    bool time_passes;
    const char *save_temps; /* directory or NULL: numbered files */
    const char *stop_after; /* pass name or NULL */
    FILE *out;              /* of print_after and time_passes */
} PipelineOptions;

typedef struct PassTime {
    const char *name;
    double seconds;
} PassTime;

enum { PIPELINE_MAX_PASSES = 32 };

typedef struct PipelineTimes {
    PassTime pass[PIPELINE_MAX_PASSES];
    unsigned n;
} PipelineTimes;

bool pipeline_run(PassContext *cx, const PipelineOptions *options, PipelineTimes *times);
void pipeline_list(FILE *out); /* names and docs, for --help-passes */

/* Machines: XML with a shipped schema; presets are built in. */
bool machine_load(Diag *d, const char *name_or_file, Machine *result);
void machine_list(FILE *out);

/* Proved lower bounds on cycles per sample for the plan's machine and max_cores, and what
 * each is due to. */
typedef struct Bounds {
    uint64_t compute, memory, host;
    uint64_t shapes; /* areas and ceilings of the kernels' shapes; 0 if not known */
} Bounds;
Bounds plan_bounds(const Plan *p, uint32_t max_cores);

uint64_t plan_target(const Plan *plan); /* cycles a sample of the slowest kernel or the ports */
uint32_t plan_cores(const Plan *plan);

/* Reports and pictures, from the plan. */
void report_text(Text *t, const PassContext *cx, const PipelineTimes *times);
void report_json(Text *t, const PassContext *cx, const PipelineTimes *times);
/* --explain: also for a plan that could not be sized or placed. */
void explain_text(Text *t, const PassContext *cx, const Kernel *k);
void plan_svg(Text *t, const Plan *p);
void routed_svg(Text *t, const Plan *p); /* how full links are */
bool placement_xml_write(Diag *d, const Plan *p, const char *path);
bool routing_xml_write(Diag *d, const Plan *p, const char *path); /* of a routed plan */

#endif
