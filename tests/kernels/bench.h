/* SPDX-License-Identifier: Apache-2.0 */
/* tests/kernels/bench.h - builds a small network, plans it (kernels' shapes and places by
 * hand, or by the planner), emits it, has it checked, runs it on the core engine and
 * compares with the reference evaluator. */
#ifndef WSEC_TESTS_KERNELS_BENCH_H
#define WSEC_TESTS_KERNELS_BENCH_H

#include <CUnit/CUnit.h>

#include "backend/kernels/kernel.h"
#include "ir/eval.h"
#include "ir/support/rng.h"
#include "passes/passes.h"
#include "runtime/check.h"
#include "runtime/engine.h"

typedef struct Bench {
    Arena arena;
    Diag diag;
    Machine machine;
    Graph *graph;
    PassContext cx;
    Image image;
    Fabric fabric;
    Rng rng;
    DType dtype;
    const char *label; /* of the case, for messages */
} Bench;

void bench_begin(Bench *b, const char *label, const char *machine, DType dtype);
void bench_end(Bench *b);

/* Graph building; shapes with 0 behind the last extent. Constants are random. */
Node *g_input(Bench *b, int64_t d0, int64_t d1, int64_t d2);
Node *g_const(Bench *b, int64_t d0, int64_t d1, int64_t d2);
Node *g_number(Bench *b, float value);
Node *g_conv(Bench *b, Node *x, int64_t channels, int64_t kernel, int64_t stride, int64_t padding);
Node *g_linear(Bench *b, Node *x, int64_t features);
Node *g_pool(Bench *b, Opkind op, Node *x, int64_t kernel, int64_t stride, int64_t padding);
Node *g_unary(Bench *b, Opkind op, Node *x);
Node *g_binary(Bench *b, Opkind op, Node *x, Node *y);
Node *g_flatten(Bench *b, Node *x, const char *order);
Node *g_view(Bench *b, Opkind op, Node *x, int64_t d0, int64_t d1, int64_t d2); /* extents, axes */
Node *g_norm(Bench *b, Node *x);
void g_output(Bench *b, Node *x);

/* Graph passes up to kernels and streams. */
bool bench_partition(Bench *b);
/* The only kernel (or the last of two, behind a line kernel) gets this shape; w and h are
 * worked out, its streams follow; placed and routed. */
typedef struct Place {
    uint32_t lanes_in, lanes_out, split, segs_in, segs_out, turn;
    bool mirror;
    uint32_t y; /* of the region; 0: the middle of the machine */
} Place;
bool bench_place(Bench *b, Place p);
/* Or the planner does all that. */
bool bench_plan(Bench *b, uint32_t max_cores);

/* Emit, check, run `samples` random samples on the core engine, compare. Returns the largest
 * error relative to the tolerance, below 1 if all is well; negative if something failed. */
double bench_run(Bench *b, uint64_t samples);
/* Cycles per sample in steady state by the times engine. */
double bench_period(Bench *b, uint64_t samples);

#endif
