/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/emit.h - growing parts of an image, shared by emit.c and routes.c. */
#ifndef WSEC_KERNELS_EMIT_H
#define WSEC_KERNELS_EMIT_H

#include "backend/kernels/part.h"

typedef struct Emitter {
    Arena *arena;
    Diag *diag;
    const Plan *plan;
    VEC(Origin) origins;
    VEC(Class) classes;
    VEC(uint64_t) hashes; /* of the classes */
    VEC(StreamInfo) streams;
    VEC(CoreRect) cores;
    VEC(RouteRect) routes;
    VEC(Port) ports;
    uint8_t *data;
    size_t data_bytes, data_cap;
    bool has_weights;
} Emitter;

/* A canonical grid of a kernel on the fabric; *swapped: canonical i runs along y; flipped:
 * against the fabric's direction, by canonical axis. */
typedef struct Turned {
    Grid grid;
    bool swapped, flip_i, flip_j;
} Turned;
Turned turn_grid(const Kernel *k, Grid canonical);

/* Routers inside the regions: distribution, chains. `chain` is the index of the StreamInfo
 * of the kernel's partial results. */
void emit_kernel_routes(Emitter *e, const Part *p, uint32_t chain);
/* Gives the image its rectangles of cores and routers and its ports. */
void emit_rects(const Emitter *e, Image *image);
bool emit_in_region(const Kernel *k, int64_t x, int64_t y);
/* Source routers and everything between regions. */
bool emit_bundle(Emitter *e, const Stream *s);

#endif
