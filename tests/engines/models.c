// SPDX-License-Identifier: Apache-2.0
// tests/engines/models.c - see models.h. Programs are given in the text form of the vector
// language.
#include "tests/engines/models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/rng.h"
#include "ir/support/vec.h"
#include "tests/common/test_machine.h"

enum { E = 1 << SIDE_E, S = 1 << SIDE_S, RAMP = 1 << SIDE_RAMP, RESERVE = 2048 };

typedef struct Model {
    Arena *a;
    Image image;
    VEC(Class) classes;
    VEC(CoreRect) cores;
    VEC(RouteRect) routes;
    VEC(HostTensor) tensors;
    VEC(Port) ports;
    VEC(uint8_t) data;
} Model;

static Machine wse2(uint32_t width, uint32_t height)
{
    Machine m = test_machine();
    m.width = width;
    m.height = height;
    m.reserve_bytes = RESERVE;
    m.bank_bytes = 2;
    m.ports_west = m.ports_east = 60;
    m.host_words = (Fraction){60, 1};
    static const Fraction width_of[COST_COUNT][DT_COUNT] = {
        [COST_COPY] = {{2, 1}, {4, 1}, {2, 1}},   [COST_ADD] = {{2, 1}, {4, 1}, {2, 1}},
        [COST_MUL] = {{1, 1}, {4, 1}, {1, 1}},    [COST_MAC] = {{12, 25}, {2, 1}, {1, 1}},
        [COST_MINMAX] = {{1, 1}, {1, 1}, {1, 1}}, [COST_SELECT] = {{1, 1}, {1, 1}, {1, 1}},
    };
    for (int c = 0; c < COST_COUNT; c++) {
        for (int t = 0; t < DT_COUNT; t++)
            m.cost[c][t] = (OpCost){width_of[c][t], {2, 1}};
    }
    return m;
}

static Model *model(Arena *a, uint32_t width, uint32_t height)
{
    Model *m = arena_new(a, Model);
    m->a = a;
    m->image.machine = wse2(width, height);
    return m;
}

static uint32_t add_class(Model *m, const char *text)
{
    Diag d;
    Class c;
    const char *why;
    diag_init(&d, "models");
    uint32_t file = diag_add_source(&d, "model", text, strlen(text));
    if (!program_parse(m->a, &d, file, &c) || !class_finish(&c, &why) ||
        !program_verify(m->a, &c, &why)) {
        fprintf(stderr, "%s\n", text);
        abort();
    }
    diag_finish(&d);
    vec_push(m->a, &m->classes, c);
    return (uint32_t)m->classes.n - 1;
}

static CoreRect *add_cores(Model *m, Grid grid, uint32_t class_id)
{
    const Class *c = &m->classes.data[class_id];
    CoreRect r = {.grid = grid,
                  .class_id = class_id,
                  .data = arena_array(m->a, Affine, c->n_data + 1),
                  .channels = arena_array(m->a, Channel, c->n_channels + 1)};
    for (uint32_t k = 0; k < c->n_channels; k++)
        r.channels[k].color = -1;
    vec_push(m->a, &m->cores, r);
    return &m->cores.data[m->cores.n - 1];
}

static void add_route(Model *m, Grid grid, uint32_t color, Side in, uint32_t out)
{
    RouteRect r = {.grid = grid, .color = color, .in = in, .out = out};
    vec_push(m->a, &m->routes, r);
}

// Random f32 in [-1, 1) for every core of the rectangle.
static void add_weights(Model *m, CoreRect *r, uint32_t address, uint32_t elements)
{
    Rng rng = {m->data.n + 1};
    uint32_t cores = r->grid.nx * r->grid.ny;
    r->inits = arena_new(m->a, Init);
    r->n_inits = 1;
    *r->inits = (Init){.address = address,
                       .bytes = 4 * elements,
                       .offset = m->data.n,
                       .pitch_i = 4 * (int64_t)elements,
                       .pitch_j = 4 * (int64_t)elements * r->grid.nx};
    for (uint32_t i = 0; i < cores * elements; i++) {
        uint32_t bits = f32_to_bits((float)(2 * rng_unit(&rng) - 1));
        for (int k = 0; k < 4; k++)
            vec_push(m->a, &m->data, (uint8_t)(bits >> 8 * k));
    }
}

static void add_sink(Model *m, uint32_t y, uint32_t color, uint32_t words)
{
    char text[256];
    snprintf(text, sizeof text,
             "class 0 \"port\" data=0 {\n channel 0 in\n"
             " copy [1, 1, 1, %u] f32 m[0 : 0 0 0 1] <- f32 c0\n}\n",
             words);
    HostTensor t = {.name = "y", .is_output = true, .dtype = DT_F32, .rank = 1, .extent = {words}};
    Port p = {.is_sink = true,
              .side = SIDE_E,
              .y = y,
              .color = color,
              .p = 1,
              .q = 1,
              .tensor = (uint32_t)m->tensors.n};
    p.class_id = add_class(m, text);
    vec_push(m->a, &m->tensors, t);
    vec_push(m->a, &m->ports, p);
}

static Image finish(Model *m)
{
    const Machine *machine = &m->image.machine;
    static Origin origin = {"", 0, 0};
    KernelInfo *kernel = arena_new(m->a, KernelInfo);
    StreamInfo *stream = arena_new(m->a, StreamInfo);

    *kernel = (KernelInfo){
        .name = "model", .kind = "model", .shape = "", .w = machine->width, .h = machine->height};
    *stream = (StreamInfo){.name = "stream", .tensor = ""};
    m->image = (Image){.machine = *machine,
                       .producer = "models",
                       .options = "",
                       .model = "model",
                       .source_name = "model.dsl",
                       .source = "",
                       .has_weights = true,
                       .origins = &origin,
                       .n_origins = 1,
                       .classes = m->classes.data,
                       .n_classes = (uint32_t)m->classes.n,
                       .kernels = kernel,
                       .n_kernels = 1,
                       .streams = stream,
                       .n_streams = 1,
                       .cores = m->cores.data,
                       .n_cores = (uint32_t)m->cores.n,
                       .routes = m->routes.data,
                       .n_routes = (uint32_t)m->routes.n,
                       .tensors = m->tensors.data,
                       .n_tensors = (uint32_t)m->tensors.n,
                       .ports = m->ports.data,
                       .n_ports = (uint32_t)m->ports.n,
                       .data = m->data.data,
                       .data_bytes = m->data.n,
                       .native = {.cpu = ""}};
    return m->image;
}

static Grid at(uint32_t x, uint32_t y)
{
    return (Grid){x, y, 1, 1, 1, 1};
}

// Vector of b words at RESERVE; rings behind it.
static Channel ring(uint32_t color, uint32_t b, uint32_t slots, uint32_t number)
{
    return (Channel){(int32_t)color, RESERVE + 4 * b * (1 + slots * number), slots, b};
}

static uint32_t add_sender(Model *m, uint32_t b)
{
    return add_class(m, arena_printf(m->a,
                                     "class 0 \"send\" data=0 {\n channel 0 out\n"
                                     " copy [1, 1, 1, %u] f32 c0 <- f32 m[%d : 0 0 0 1]\n}\n",
                                     b, RESERVE));
}

Image model_broadcast(Arena *a, uint32_t p, uint32_t b, uint32_t slots)
{
    Model *m = model(a, p, 1);
    CoreRect *first = add_cores(m, at(0, 0), add_sender(m, b));
    first->channels[0] = (Channel){.color = 0};
    add_weights(m, first, RESERVE, b);
    uint32_t receive =
        add_class(m, arena_printf(a,
                                  "class 1 \"receive\" data=0 {\n channel 0 in\n"
                                  " copy [1, 1, 1, %u] f32 m[%d : 0 0 0 1] <- f32 c0\n}\n",
                                  b, RESERVE));
    add_cores(m, (Grid){1, 0, p - 1, 1, 1, 1}, receive)->channels[0] = ring(0, b, slots, 0);
    add_route(m, at(0, 0), 0, SIDE_RAMP, E);
    if (p > 2)
        add_route(m, (Grid){1, 0, p - 2, 1, 1, 1}, 0, SIDE_W, E | RAMP);
    add_route(m, at(p - 1, 0), 0, SIDE_W, RAMP);
    return finish(m);
}

Image model_chain(Arena *a, uint32_t p, uint32_t b, uint32_t slots, bool port)
{
    Model *m = model(a, p, 1);
    CoreRect *first = add_cores(m, at(0, 0), add_sender(m, b));
    first->channels[0] = (Channel){.color = 0};
    add_weights(m, first, RESERVE, b);
    uint32_t middle =
        add_class(m, arena_printf(a,
                                  "class 1 \"add\" data=0 {\n channel 0 in\n channel 1 out\n"
                                  " add [1, 1, 1, %u] f32 c1 <- f32 c0, f32 m[%d : 0 0 0 1]\n}\n",
                                  b, RESERVE));
    uint32_t last = add_class(
        m,
        arena_printf(a,
                     "class 2 \"sum\" data=0 {\n channel 0 in\n"
                     " add [1, 1, 1, %u] f32 m[%d : 0 0 0 1] <- f32 m[%d : 0 0 0 1], f32 c0\n}\n",
                     b, RESERVE, RESERVE));
    for (uint32_t x = 1; x < p; x++) {
        bool ends = x + 1 == p && !port;
        CoreRect *r = add_cores(m, at(x, 0), ends ? last : middle);
        r->channels[0] = ring((x - 1) % 2, b, slots, 0);
        if (!ends)
            r->channels[1] = (Channel){.color = (int32_t)(x % 2)};
        add_weights(m, r, RESERVE, b);
        add_route(m, at(x - 1, 0), (x - 1) % 2, SIDE_RAMP, E);
        add_route(m, at(x, 0), (x - 1) % 2, SIDE_W, RAMP);
    }
    if (port) {
        add_route(m, at(p - 1, 0), (p - 1) % 2, SIDE_RAMP, E);
        add_sink(m, 0, (p - 1) % 2, b);
    }
    return finish(m);
}

// Column x: its sender at (x, 0), its part of the matrix at (x, 1 .. h). x travels on color
// 2, sums on 0 and 1 by the column's parity.
Image model_matvec(Arena *a, uint32_t w, uint32_t h, uint32_t k, uint32_t o, uint32_t slots)
{
    Model *m = model(a, w, h + 1);
    uint32_t acc = RESERVE, weights = acc + 4 * o, rings = weights + 4 * k * o;
    CoreRect *senders = add_cores(m, (Grid){0, 0, w, 1, 1, 1}, add_sender(m, k));
    senders->channels[0] = (Channel){.color = 2};
    add_weights(m, senders, RESERVE, k);
    for (uint32_t x = 0; x < w; x++) {
        const char *text = arena_printf(
            a,
            "class 1 \"matvec\" data=0 {\n channel 0 in\n channel 1 out\n%s"
            " copy [1, 1, 1, %u] f32 m[%u : 0 0 0 1] <- 0x0p+0\n"
            " mac [1, 1, %u, %u] f32 m[%u : 0 0 0 1] <- f32 m[%u : 0 0 %u 1], f32 c0 held=1\n"
            " %s [1, 1, 1, %u] f32 c1 <- %sf32 m[%u : 0 0 0 1]\n}\n",
            x > 0 ? " channel 2 in\n" : "", o, acc, k, o, acc, weights, o, x > 0 ? "add" : "copy",
            o, x > 0 ? "f32 c2, " : "", acc);
        CoreRect *r = add_cores(m, (Grid){x, 1, 1, h, 1, 1}, add_class(m, text));
        r->channels[0] = (Channel){2, rings, slots, k};
        r->channels[1] = (Channel){.color = (int32_t)(x % 2)};
        if (x > 0)
            r->channels[2] = (Channel){(int32_t)((x - 1) % 2), rings + 4 * slots * k, slots, o};
        add_weights(m, r, weights, k * o);
        if (x > 0)
            add_route(m, (Grid){x, 1, 1, h, 1, 1}, (x - 1) % 2, SIDE_W, RAMP);
        add_route(m, (Grid){x, 1, 1, h, 1, 1}, x % 2, SIDE_RAMP, E);
    }
    add_route(m, (Grid){0, 0, w, 1, 1, 1}, 2, SIDE_RAMP, S);
    if (h > 1)
        add_route(m, (Grid){0, 1, w, h - 1, 1, 1}, 2, SIDE_N, S | RAMP);
    add_route(m, (Grid){0, h, w, 1, 1, 1}, 2, SIDE_N, RAMP);
    for (uint32_t y = 1; y <= h; y++)
        add_sink(m, y, (w - 1) % 2, o);
    return finish(m);
}

Image model_deadlock(Arena *a)
{
    Model *m = model(a, 2, 1);
    uint32_t c = add_class(m, "class 0 \"both\" data=0 {\n channel 0 in\n channel 1 out\n"
                              " copy [1, 1, 1, 4] f32 m[2048 : 0 0 0 1] <- f32 c0\n"
                              " copy [1, 1, 1, 4] f32 c1 <- f32 m[2048 : 0 0 0 1]\n}\n");
    for (uint32_t x = 0; x < 2; x++) {
        CoreRect *r = add_cores(m, at(x, 0), c);
        r->channels[0] = (Channel){(int32_t)(1 - x), 4096, 1, 4};
        r->channels[1] = (Channel){.color = (int32_t)x};
        add_route(m, at(x, 0), x, SIDE_RAMP, x == 0 ? E : 1u << SIDE_W);
        add_route(m, at(x, 0), 1 - x, x == 0 ? SIDE_E : SIDE_W, RAMP);
    }
    return finish(m);
}

Image model_fault(Arena *a)
{
    Model *m = model(a, 1, 1);
    uint32_t c = add_class(m, "class 0 \"beyond\" data=0 {\n"
                              " copy [1, 1, 1, 4] f32 m[49148 : 0 0 0 1] <- 0x1p+0\n}\n");
    add_cores(m, at(0, 0), c);
    return finish(m);
}
