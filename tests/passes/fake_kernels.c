/* SPDX-License-Identifier: Apache-2.0 */
/* tests/passes/fake_kernels.c - the kernels' interface with made-up but plausible costs, so
 * that the planner's tests do not depend on how kernels are written. */
#include <string.h>

#include "backend/kernels/kernel.h"

bool kernel_shape(Arena *a, const Kernel *k, const Protocol *in, const Machine *m, Shape *s)
{
    (void)a;
    (void)m;
    uint64_t positions = (uint64_t)in[0].rows * in[0].cols;
    uint32_t features = (uint32_t)type_features(&k->result->type);
    s->segs_out = in[0].segs;
    if (kernel_is_matrix(k->kind)) {
        uint64_t block = (in[0].features + s->lanes_in - 1) / s->lanes_in;
        uint64_t rows = (features + s->lanes_out - 1) / s->lanes_out;
        s->w = s->lanes_in * s->split;
        s->h = s->lanes_out;
        s->cycles = positions * (30 + 2 * block * rows / s->split + rows) + 40;
        s->bytes = (uint32_t)(7000 + 4 * block * rows / s->split + 16 * (block + rows));
    } else {
        uint32_t lanes = s->lanes_in > s->lanes_out ? s->lanes_in : s->lanes_out;
        bool both = k->kind == KERNEL_ADAPTER && s->lanes_in % s->lanes_out != 0 &&
                    s->lanes_out % s->lanes_in != 0;
        s->w = both ? 2 : 1;
        s->h = lanes;
        s->cycles = positions * (20 + in[0].features / s->lanes_in) + 20;
        s->bytes = 7000 + 32 * (in[0].features / s->lanes_in + 1);
    }
    return true;
}

bool kernel_time(const Kernel *k, const Protocol *in, const Machine *m, const Shape *shape,
                 KernelTime *result)
{
    Shape s = *shape;
    if (!kernel_shape(NULL, k, in, m, &s))
        return false;
    *result = (KernelTime){.cycles = s.cycles, .compute = s.cycles / 2, .setup = s.cycles / 4};
    return true;
}

static const uint32_t lane_counts[] = {1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32};
enum { N_LANES = sizeof lane_counts / sizeof lane_counts[0] };

void kernel_shapes(Arena *a, const Kernel *k, const Protocol *in, const Machine *m,
                   uint32_t max_cores, ShapeVec *result, Shape *nearest)
{
    uint32_t features = (uint32_t)type_features(&k->result->type);
    memset(nearest, 0, sizeof *nearest);
    for (unsigned i = 0; i < N_LANES; i++) {
        for (unsigned o = 0; o < N_LANES; o++) {
            for (uint32_t split = 1; split <= 4; split *= 2) {
                Shape s = {.lanes_in = lane_counts[i], .lanes_out = lane_counts[o], .split = split};
                if (s.lanes_in > in[0].features || s.lanes_out > features)
                    continue;
                if (!kernel_is_matrix(k->kind) && (split > 1 || s.lanes_in != s.lanes_out))
                    continue;
                kernel_shape(a, k, in, m, &s);
                if (!nearest->w || s.bytes < nearest->bytes)
                    *nearest = s;
                if (s.bytes <= m->sram_bytes && (uint64_t)s.w * s.h <= max_cores)
                    vec_push(a, result, s);
            }
        }
    }
}

void kernel_memory(Arena *a, const Kernel *k, const Protocol *in, const Machine *m, const Shape *s,
                   MemoryItemVec *result)
{
    (void)in;
    (void)m;
    MemoryItem item = {k->name, SEGMENT_WEIGHTS, s->bytes};
    vec_push(a, result, item);
}

static void spread(Arena *a, Edge *e, Side travel, uint32_t lanes, uint32_t pitch, bool backward)
{
    *e = (Edge){travel, lanes, arena_array(a, uint32_t, lanes)};
    for (uint32_t l = 0; l < lanes; l++)
        e->position[l] = pitch * (backward ? lanes - 1 - l : l);
}

void kernel_edge_in(Arena *a, const Kernel *k, uint32_t input, Edge *e)
{
    if (kernel_is_matrix(k->kind) && input == 0)
        spread(a, e, SIDE_S, k->shape.lanes_in, k->shape.split, !k->mirror);
    else if (kernel_is_matrix(k->kind))
        spread(a, e, SIDE_E, k->shape.lanes_out, 1, k->mirror);
    else
        spread(a, e, SIDE_E, k->shape.lanes_in, k->shape.h / k->shape.lanes_in, k->mirror);
}

void kernel_edge_out(Arena *a, const Kernel *k, Edge *e)
{
    spread(a, e, SIDE_E, k->shape.lanes_out,
           kernel_is_matrix(k->kind) ? 1 : k->shape.h / k->shape.lanes_out, k->mirror);
}

uint32_t kernel_own_colors(const Kernel *k)
{
    return kernel_is_matrix(k->kind) ? 3 : 0;
}

void kernel_delay(const Kernel *k, const Protocol *in, const Machine *m, uint32_t input,
                  uint32_t *messages, uint64_t *cycles)
{
    (void)m;
    *messages = k->kind == KERNEL_CONV && input == 0 && in[0].rows > 2 ? 2 * in[0].segs + 1 : 1;
    *cycles = *messages * 100;
}

uint64_t kernel_skew(const Kernel *k, const Protocol *in, const Machine *m, uint32_t input)
{
    (void)k;
    (void)in;
    (void)m;
    (void)input;
    return 0;
}
