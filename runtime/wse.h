/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/wse.h - libwse: load a wafer program and run it on the simulated fabric.
 *
 *     WseImage *image = wse_open("model.wse");
 *     if (wse_status(image) == WSE_OK) {
 *         WseRun run = {.samples = 1, .inputs = in, .outputs = out};
 *         wse_run(image, &run, &stats);
 *     }
 *     fputs(wse_messages(image), stderr);
 *     wse_close(image);
 *
 * An image is verified completely when it is opened: digests, structure, memory maps, and the
 * proof that no timing can make it deadlock. Native code runs in a sandboxed child process.
 * An image is used by one thread at a time. Arrays are row-major, little-endian. */
#ifndef WSE_H
#define WSE_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/support/dtype.h"

typedef struct WseImage WseImage;

/* The exit codes of the tools. */
typedef enum WseStatus {
    WSE_OK = 0,
    WSE_BAD_INPUT = 1, /* the image, or an argument, is not what it should be */
    WSE_INTERNAL = 4,
    WSE_FAULT = 5, /* deadlock, limit, fault of a program */
    WSE_INTERRUPTED = 130
} WseStatus;

/* Never NULL; a file that cannot be used gives a status other than WSE_OK. "-" is standard
 * input. */
WseImage *wse_open(const char *path);
void wse_close(WseImage *image);
WseStatus wse_status(const WseImage *image); /* of the last call */
const char *wse_messages(WseImage *image);   /* what was reported so far: errors, warnings */

enum { WSE_MAX_RANK = 4 };

typedef struct WseTensor { /* one sample */
    const char *name;
    bool is_output;
    DType dtype;
    int rank;
    uint64_t extent[WSE_MAX_RANK];
    uint64_t bytes;
    unsigned ports;
} WseTensor;

unsigned wse_tensor_count(const WseImage *image);
WseTensor wse_tensor(const WseImage *image, unsigned k);

typedef struct WseStream { /* a tensor on its way from one kernel to another */
    const char *name, *tensor;
    uint32_t line, column;         /* in the model */
    uint32_t rows, cols, features; /* of the tensor, as it travels */
    bool from_host;
} WseStream;

unsigned wse_stream_count(const WseImage *image);
WseStream wse_stream(const WseImage *image, unsigned k);

typedef struct WseSummary {
    const char *model, *machine, *source_name, *options;
    uint64_t clock_hz, cores, machine_cores;
    unsigned kernels, streams, classes;
    bool has_weights;
    uint8_t digest[32];
} WseSummary;

WseSummary wse_summary(const WseImage *image);

typedef enum WseEngine {
    WSE_ENGINE_DEFAULT, /* values by native code, times by the times engine */
    WSE_ENGINE_VALUES,
    WSE_ENGINE_TIMES, /* no arithmetic: inputs and outputs are not looked at */
    WSE_ENGINE_CORE   /* the judge: values and times together, interpreted */
} WseEngine;

typedef struct WseTap { /* records the tensor of a stream; not with WSE_ENGINE_CORE, _TIMES */
    unsigned stream;
    float *result; /* samples x rows x cols x features */
} WseTap;

typedef struct WseRun {
    WseEngine engine;
    bool interpret;   /* values by the interpreter instead of native code */
    unsigned threads; /* 0: 1. The result does not depend on it */
    uint64_t samples;
    uint64_t cycles_limit;        /* of the simulated time; 0: none */
    const uint8_t *const *inputs; /* by tensor; samples x bytes; NULL for outputs */
    uint8_t *const *outputs;      /* by tensor; NULL for inputs */
    const WseTap *taps;
    unsigned n_taps;
    void (*progress)(void *arg, const char *what, uint64_t done, uint64_t all);
    void *progress_arg;
    volatile int *interrupt; /* non-zero ends the run */
} WseRun;

typedef struct WseKernelStats { /* cycles per sample, mean over the run */
    const char *name, *kind;
    uint32_t line;
    uint64_t cores;
    double busiest;    /* of its busiest core */
    double mean;       /* of all its cores */
    uint64_t estimate; /* the compiler's, of its slowest core */
} WseKernelStats;

typedef struct WseLinkStats {
    uint32_t x, y;
    char side;    /* by which words leave router (x, y): N E S W, R down to the core, C up
                     from the core */
    double words; /* a sample */
} WseLinkStats;

enum { WSE_HOTTEST_LINKS = 10 };

typedef struct WseStats {  /* of the simulated time; zero with WSE_ENGINE_VALUES */
    uint64_t cycles;       /* until the last result has arrived */
    uint64_t first_result; /* latency of the first sample */
    double cycles_per_sample;
    bool exact_period; /* the steady state was seen to repeat exactly */
    uint64_t operations, words_hopped;
    const WseKernelStats *kernels; /* wse_summary().kernels of them; live until wse_close() */
    WseLinkStats links[WSE_HOTTEST_LINKS];
    unsigned n_links;
} WseStats;

WseStatus wse_run(WseImage *image, const WseRun *run, WseStats *stats);

#endif
