// SPDX-License-Identifier: Apache-2.0
// runtime/values_lanes.c - lanes of a stream by geometry, and the tensor they carry.
//
// The image does not number lanes. They leave their kernel side by side, so the direction of
// their first hop and the places of their sources order them: lane 0 is the leftmost seen in
// the direction of travel (y grows to the south).
#include "runtime/values_lanes.h"

#include <stdlib.h>

#include "runtime/values.h"

// The side by which a route leaves its first router; a port's words travel away from its edge.
static Side travel_of(const Fabric *f, const FabricRoute *route)
{
    const FabricNode *source = &f->nodes[route->source];
    if (source->is_port)
        return side_opposite((Side)f->image->ports[source->rect].side);
    for (uint32_t k = 0; k < route->n_branches; k++)
        if (!f->links[route->branches[k].link].from_core)
            return f->links[route->branches[k].link].side;
    return SIDE_RAMP;
}

typedef struct Lane {
    int64_t order;
    uint32_t route;
} Lane;

static int compare_lanes(const void *x, const void *y)
{
    const Lane *a = x, *b = y;
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return a->route < b->route ? -1 : a->route > b->route;
}

bool stream_lanes(Arena *a, Diag *d, const Fabric *f, uint32_t stream, Lanes *result)
{
    *result = (Lanes){0};
    if (stream >= f->image->n_streams)
        return diag_error(d, (Span){0}, "stream %u of %u", stream, f->image->n_streams);
    // What is a branch of another stream travels by that one's routes.
    for (uint32_t steps = 0; steps < f->image->n_streams; steps++) {
        uint32_t trunk = f->image->streams[stream].trunk;
        if (trunk == 0 || trunk > f->image->n_streams)
            break;
        stream = trunk - 1;
    }
    for (uint32_t k = 0; k < f->n_routes; k++)
        result->n += f->routes[k].stream == stream;
    if (result->n == 0)
        return diag_error(d, (Span){0}, "stream '%s' has no routes",
                          f->image->streams[stream].name);
    Lane *lanes = arena_array(a, Lane, result->n);
    uint32_t n = 0;
    for (uint32_t k = 0; k < f->n_routes; k++) {
        const FabricNode *source = &f->nodes[f->routes[k].source];
        if (f->routes[k].stream != stream)
            continue;
        Lane *lane = &lanes[n++];
        lane->route = k;
        switch (travel_of(f, &f->routes[k])) {
        case SIDE_E:
            lane->order = source->y;
            break;
        case SIDE_W:
            lane->order = -(int64_t)source->y;
            break;
        case SIDE_S:
            lane->order = -(int64_t)source->x;
            break;
        case SIDE_N:
            lane->order = source->x;
            break;
        case SIDE_RAMP:
        case SIDE_COUNT:
            break;
        }
    }
    qsort(lanes, n, sizeof *lanes, compare_lanes);
    result->route = arena_array(a, uint32_t, n);
    for (uint32_t k = 0; k < n; k++)
        result->route[k] = lanes[k].route;
    return true;
}

static float element(const uint32_t *words, uint64_t index, DType type)
{
    uint16_t half;
    switch (type) {
    case DT_F16:
        memcpy(&half, (const uint8_t *)words + 2 * index, sizeof half);
        return f32_from_f16(half);
    case DT_I32:
        return (float)(int32_t)words[index];
    case DT_F32:
    case DT_COUNT:
        break;
    }
    return f32_from_bits(words[index]);
}

// Words of a lane with `count` features in a sample of the stream.
static uint64_t expected_words(const StreamInfo *s, uint64_t count)
{
    uint64_t words = 0, per_word = s->dtype == DT_F16 ? 2 : 1;
    for (uint32_t k = 0; k < s->segs; k++) {
        uint64_t cols = s->cols / s->segs + (k < s->cols % s->segs);
        words += (cols * count + per_word - 1) / per_word;
    }
    return words * s->rows;
}

bool values_tap_tensor(Diag *d, const Fabric *f, const ValuesTap *tap, uint64_t samples,
                       float *result)
{
    const StreamInfo *s = &f->image->streams[tap->stream];
    uint64_t per_sample = (uint64_t)s->rows * s->cols * s->features;
    uint32_t begin = 0;

    if (s->lanes != tap->n_lanes || s->segs == 0 || s->lanes == 0)
        return diag_error(d, (Span){0}, "stream '%s' has %u routes for %u lanes", s->name,
                          tap->n_lanes, s->lanes);
    for (uint32_t l = 0; l < s->lanes; l++) {
        uint32_t count = s->features / s->lanes + (l < s->features % s->lanes);
        if (tap->lane_words[l] != expected_words(s, count))
            return diag_error(d, (Span){0},
                              "stream '%s': lane %u brings %llu words a sample, not %llu", s->name,
                              l, (unsigned long long)tap->lane_words[l],
                              (unsigned long long)expected_words(s, count));
        const uint32_t *words = tap->words[l];
        for (uint64_t sample = 0; sample < samples; sample++) {
            float *to = result + sample * per_sample + begin;
            for (uint32_t row = 0; row < s->rows; row++) {
                for (uint32_t seg = 0; seg < s->segs; seg++) {
                    uint32_t cols = s->cols / s->segs + (seg < s->cols % s->segs);
                    for (uint32_t p = 0; p < cols; p++, to += s->features)
                        for (uint32_t c = 0; c < count; c++)
                            to[c] = element(words, (uint64_t)p * count + c, (DType)s->dtype);
                    words += s->dtype == DT_F16 ? ((uint64_t)cols * count + 1) / 2
                                                : (uint64_t)cols * count;
                }
            }
        }
        begin += count;
    }
    return true;
}
