// SPDX-License-Identifier: Apache-2.0
// tests/check/hand_images.c - see hand_images.h.

#include "tests/check/hand_images.h"

#include <string.h>

#include "tests/common/test_machine.h"

enum { E = 1 << SIDE_E, S = 1 << SIDE_S, R = 1 << SIDE_RAMP };

static Machine machine(void)
{
    Machine m = test_machine();
    strcpy(m.name, "hand-8x8");
    m.landing = (Fraction){1, 1};
    m.host_words = (Fraction){3, 1};
    return m;
}

static void *copy(Arena *a, const void *data, size_t bytes)
{
    return memcpy(arena_alloc(a, bytes, 1, 16), data, bytes);
}

#define COPY_OUT(a, array) copy((a), (array), sizeof(array))
#define COUNT_OF(array)    (uint32_t)(sizeof(array) / sizeof *(array))

static Operand mem(Scalar base, int32_t outer, int32_t inner)
{
    Operand o = {.kind = OPERAND_MEM, .dtype = DT_F32, .base = base};
    o.stride[2] = IMM(outer);
    o.stride[3] = IMM(inner);
    return o;
}

static Operand color(uint8_t channel)
{
    return (Operand){.kind = OPERAND_COLOR, .dtype = DT_F32, .channel = channel};
}

static Op op(Opcode code, Scalar outer, Scalar inner, Operand dst, Operand x, Operand y)
{
    return (Op){.code = (uint8_t)code,
                .origin = 1,
                .extent = {IMM(1), IMM(1), outer, inner},
                .dst = dst,
                .src = {x, y}};
}

static Op loop(Scalar count)
{
    return (Op){.code = OPCODE_LOOP, .count = count};
}

static const Op end = {.code = OPCODE_END};
static const Operand none = {.kind = OPERAND_NONE};

static Class class_of(Arena *a, const char *name, const Op *ops, uint32_t n_ops)
{
    Class c = {.name = name, .n_ops = n_ops, .ops = copy(a, ops, n_ops * sizeof *ops)};
    const char *why;
    class_finish(&c, &why);
    return c;
}

// A port that copies n elements in k messages, from data word 0 on.
static Class port_class(Arena *a, bool is_sink, int32_t k, int32_t n)
{
    Operand memory = mem(DATA(0), 0, 1);
    memory.step[0] = IMM(4 * n);
    Op ops[] = {loop(IMM(k)),
                op(OPCODE_COPY, IMM(1), IMM(n), is_sink ? memory : color(0),
                   is_sink ? color(0) : memory, none),
                end};
    Class c = class_of(a, is_sink ? "sink" : "source", ops, 3);
    c.n_data = 1;
    c.n_channels = 1;
    c.channel_is_out[0] = !is_sink;
    return c;
}

static Port port(Arena *a, bool is_sink, Side side, uint32_t y, uint32_t of_color, int32_t base)
{
    return (Port){.is_sink = is_sink,
                  .side = side,
                  .y = y,
                  .color = of_color,
                  .tensor = is_sink,
                  .class_id = is_sink ? 1 : 0,
                  .data = copy(a, &base, sizeof base),
                  .p = 1,
                  .q = 1,
                  .stream = 0};
}

static Affine *constants(Arena *a, const int32_t *v, uint32_t n)
{
    Affine *data = arena_array(a, Affine, n);
    for (uint32_t i = 0; i < n; i++)
        data[i].value = v[i];
    return data;
}

static Image start(Arena *a, const char *model)
{
    return (Image){.machine = machine(),
                   .producer = "by hand",
                   .options = "",
                   .model = model,
                   .source_name = "hand.dsl",
                   .source = "",
                   .has_weights = true,
                   .defects = {0, arena_array(a, DefectRun, 2)},
                   .native = {.cpu = ""},
                   .data = arena_array(a, uint8_t, 16)};
}

static RouteRect *with_room(Arena *a, const RouteRect *routes, uint32_t n)
{
    RouteRect *r = arena_array(a, RouteRect, (size_t)n + MORE_ROUTES);
    memcpy(r, routes, n * sizeof *r);
    return r;
}

enum {
    CODE_AT = 2048,
    DATA_AT = 3072,
    WEIGHTS_AT = 4096,
    X_AT = 4128,
    SUM_AT = 4160,
    RING_X_AT = 4176,
    RING_CHAIN_AT = 4224
};

static Class matvec_class(Arena *a)
{
    Operand sum = mem(IMM(SUM_AT), 0, 1);
    Op ops[] = {
        op(OPCODE_COPY, IMM(1), DATA(MATVEC_LENGTH), mem(IMM(X_AT), 0, 1), color(0), none),
        op(OPCODE_COPY, IMM(1), IMM(2), sum, (Operand){.kind = OPERAND_FLOAT}, none),
        op(OPCODE_MAC, IMM(2), IMM(2), sum, mem(IMM(WEIGHTS_AT), 2, 1),
           mem(DATA(MATVEC_PART), 1, 0)),
        loop(DATA(MATVEC_FIRST)),
        op(OPCODE_COPY, IMM(1), IMM(2), color(2), sum, none),
        end,
        loop(DATA(MATVEC_MIDDLE)),
        op(OPCODE_ADD, IMM(1), IMM(2), color(2), color(1), sum),
        end,
        loop(DATA(MATVEC_LAST)),
        op(OPCODE_ADD, IMM(1), IMM(2), color(3), color(1), sum),
        end,
    };
    Class c = class_of(a, "fc1", ops, COUNT_OF(ops));
    c.n_data = MATVEC_DATA;
    c.n_channels = 4;
    c.channel_is_out[2] = c.channel_is_out[3] = true;
    return c;
}

static CoreRect matvec_column(Arena *a, uint32_t column, const Class *c)
{
    int32_t data[MATVEC_DATA] = {
        column == 0, column == 1, column == 2, X_AT + 8 * (int32_t)column, 6, 0};
    Segment segments[] = {
        {CODE_AT, c->n_ops * 16, SEGMENT_CODE, 1},
        {DATA_AT, 4 * MATVEC_DATA, SEGMENT_DATA, 1},
        {WEIGHTS_AT, 16, SEGMENT_WEIGHTS, 1},
        {X_AT, 24, SEGMENT_BUFFER, 1},
        {SUM_AT, 8, SEGMENT_BUFFER, 1},
        {RING_X_AT, 48, SEGMENT_RING, 1},
        {RING_CHAIN_AT, 16, SEGMENT_RING, 1},
    };
    Channel channels[] = {{2, RING_X_AT, 2, 6},
                          {column == 0 ? -1 : (int32_t)column - 1, RING_CHAIN_AT, 2, 2},
                          {column == 2 ? -1 : (int32_t)column, 0, 0, 0},
                          {column == 2 ? 3 : -1, 0, 0, 0}};
    Init init = {WEIGHTS_AT, 16, 16 * column, 0, 48};
    return (CoreRect){.grid = {2 + column, 2, 1, 2, 1, 1},
                      .class_id = 2,
                      .kernel = 0,
                      .data = constants(a, data, MATVEC_DATA),
                      .channels = COPY_OUT(a, channels),
                      .segments = COPY_OUT(a, segments),
                      .n_segments = COUNT_OF(segments) - (column == 0),
                      .n_inits = 1,
                      .inits = copy(a, &init, sizeof init)};
}

// What the image says of its kernels and streams.
static void matvec_plan(Arena *a, Image *image)
{
    KernelInfo kernels[] = {
        {.name = "fc1",
         .kind = "matvec",
         .shape = "3 x 2",
         .x = 2,
         .y = 2,
         .w = 3,
         .h = 2,
         .origin = 1},
        {.name = "idle", .kind = "line", .shape = "", .x = 0, .y = 7, .w = 2, .h = 1, .origin = 0}};
    StreamInfo streams[] = {{.name = "x -> fc1",
                             .from = -1,
                             .to = 0,
                             .lanes = 1,
                             .color = 2,
                             .messages = 1,
                             .words = 6,
                             .origin = 2,
                             .tensor = "x",
                             .rows = 1,
                             .cols = 1,
                             .features = 6,
                             .segs = 1},
                            {.name = "sums of fc1",
                             .from = 0,
                             .to = 0,
                             .lanes = 2,
                             .messages = 1,
                             .words = 2,
                             .origin = 1,
                             .tensor = "",
                             .rows = 1,
                             .cols = 1,
                             .features = 4,
                             .segs = 1},
                            {.name = "fc1 -> y",
                             .from = 0,
                             .to = -1,
                             .lanes = 2,
                             .color = 3,
                             .messages = 1,
                             .words = 2,
                             .origin = 3,
                             .tensor = "y",
                             .rows = 1,
                             .cols = 1,
                             .features = 4,
                             .segs = 1}};
    image->kernels = COPY_OUT(a, kernels);
    image->n_kernels = COUNT_OF(kernels);
    image->streams = COPY_OUT(a, streams);
    image->n_streams = COUNT_OF(streams);
}

Image matvec_image(Arena *a)
{
    Image image = start(a, "matvec");
    Class classes[] = {port_class(a, false, 1, 6), port_class(a, true, 1, 2), matvec_class(a)};
    Origin origins[] = {{"", 0, 0}, {"fc1", 7, 9}, {"x", 4, 12}, {"y", 8, 1}};
    RouteRect routes[N_MATVEC_ROUTES] = {
        [ROUTE_X_IN] = {{0, 2, 2, 1, 1, 1}, 2, SIDE_W, E, 0},
        [ROUTE_X_TOP] = {{2, 2, 2, 1, 1, 1}, 2, SIDE_W, E | S | R, 0},
        [ROUTE_X_CORNER] = {{4, 2, 1, 1, 1, 1}, 2, SIDE_W, S | R, 0},
        [ROUTE_X_BOTTOM] = {{2, 3, 3, 1, 1, 1}, 2, SIDE_N, R, 0},
        [ROUTE_CHAIN_0] = {{2, 2, 1, 2, 1, 1}, 0, SIDE_RAMP, E, 1},
        [ROUTE_CHAIN_0_END] = {{3, 2, 1, 2, 1, 1}, 0, SIDE_W, R, 1},
        [ROUTE_CHAIN_1] = {{3, 2, 1, 2, 1, 1}, 1, SIDE_RAMP, E, 1},
        [ROUTE_CHAIN_1_END] = {{4, 2, 1, 2, 1, 1}, 1, SIDE_W, R, 1},
        [ROUTE_Y] = {{4, 2, 1, 2, 1, 1}, 3, SIDE_RAMP, E, 2},
        [ROUTE_Y_OUT] = {{5, 2, 3, 2, 1, 1}, 3, SIDE_W, E, 2},
    };
    HostTensor tensors[] = {{"x", false, DT_F32, 1, {6}, 2}, {"y", true, DT_F32, 1, {4}, 3}};
    Port ports[] = {port(a, false, SIDE_W, 2, 2, 0), port(a, true, SIDE_E, 2, 3, 0),
                    port(a, true, SIDE_E, 3, 3, 8)};
    ports[1].stream = ports[2].stream = 2;
    CoreRect *cores = arena_array(a, CoreRect, 3);
    for (uint32_t i = 0; i < 3; i++)
        cores[i] = matvec_column(a, i, &classes[2]);
    float *weights = arena_array(a, float, 24);
    for (int i = 0; i < 24; i++)
        weights[i] = (float)(i + 1) / 8;
    image.origins = COPY_OUT(a, origins);
    image.n_origins = COUNT_OF(origins);
    image.classes = COPY_OUT(a, classes);
    image.n_classes = COUNT_OF(classes);
    matvec_plan(a, &image);
    image.cores = cores;
    image.n_cores = 3;
    image.routes = with_room(a, routes, N_MATVEC_ROUTES);
    image.n_routes = N_MATVEC_ROUTES;
    image.tensors = COPY_OUT(a, tensors);
    image.n_tensors = COUNT_OF(tensors);
    image.ports = COPY_OUT(a, ports);
    image.n_ports = COUNT_OF(ports);
    image.data = (const uint8_t *)weights;
    image.data_bytes = 24 * sizeof *weights;
    return image;
}

// A core at (x, 1) whose channels have the given colors (-1: no such channel), each incoming
// one two slots of 4 words.
static CoreRect residual_core(Arena *a, uint32_t x, uint32_t kernel, const Class *c,
                              const int32_t *colors)
{
    Channel *channels = arena_array(a, Channel, c->n_channels);
    Segment *segments = arena_array(a, Segment, 2 + c->n_channels);
    uint32_t n = 0;
    segments[n++] = (Segment){CODE_AT, c->n_ops * 16, SEGMENT_CODE, kernel + 1};
    segments[n++] = (Segment){X_AT, 32, SEGMENT_BUFFER, kernel + 1};
    for (uint32_t i = 0; i < c->n_channels; i++) {
        channels[i].color = colors[i];
        if (c->channel_is_out[i])
            continue;
        channels[i] = (Channel){colors[i], 4176 + 32 * i, 2, 4};
        segments[n++] = (Segment){channels[i].ring, 32, SEGMENT_RING, kernel + 1};
    }
    return (CoreRect){.grid = {x, 1, 1, 1, 1, 1},
                      .class_id = kernel + 2,
                      .kernel = kernel,
                      .channels = channels,
                      .segments = segments,
                      .n_segments = n,
                      .data = arena_array(a, Affine, 1)};
}

Image residual_image(Arena *a)
{
    Image image = start(a, "residual");
    Operand m0 = mem(IMM(X_AT), 0, 1), m1 = mem(IMM(X_AT + 16), 0, 1);
    Op fork[] = {loop(IMM(4)), op(OPCODE_COPY, IMM(1), IMM(4), color(1), color(0), none), end};
    Op pairs[] = {loop(IMM(2)),
                  op(OPCODE_COPY, IMM(1), IMM(4), m0, color(0), none),
                  op(OPCODE_COPY, IMM(1), IMM(4), m1, color(0), none),
                  op(OPCODE_COPY, IMM(1), IMM(4), color(1), m1, none),
                  op(OPCODE_COPY, IMM(1), IMM(4), color(1), m0, none),
                  end};
    Op join[] = {loop(IMM(4)), op(OPCODE_ADD, IMM(1), IMM(4), color(2), color(0), color(1)), end};
    Class classes[] = {port_class(a, false, 4, 4), port_class(a, true, 4, 4),
                       class_of(a, "fork", fork, 3), class_of(a, "pairs", pairs, 6),
                       class_of(a, "join", join, 3)};
    classes[2].n_channels = classes[3].n_channels = 2;
    classes[4].n_channels = 3;
    classes[2].channel_is_out[1] = classes[3].channel_is_out[1] = true;
    classes[4].channel_is_out[2] = true;
    Origin origins[] = {{"", 0, 0}, {"fork", 2, 5}, {"pairs", 3, 5}, {"join", 4, 5}};
    KernelInfo kernels[3];
    for (uint32_t i = 0; i < 3; i++)
        kernels[i] = (KernelInfo){.name = origins[i + 1].name,
                                  .kind = "line",
                                  .shape = "",
                                  .x = 1 + 2 * i,
                                  .y = 1,
                                  .w = 1,
                                  .h = 1,
                                  .origin = i + 1};
    StreamInfo streams[] = {{.name = "x -> fork", .from = -1, .to = 0},
                            {.name = "fork -> pairs, join", .from = 0, .to = 1, .origin = 1},
                            {.name = "pairs -> join", .from = 1, .to = 2, .origin = 2},
                            {.name = "join -> y", .from = 2, .to = -1, .origin = 3}};
    for (uint32_t i = 0; i < 4; i++) {
        streams[i].tensor = "";
        streams[i].lanes = streams[i].cols = streams[i].segs = 1;
        streams[i].color = i;
        streams[i].messages = streams[i].words = streams[i].rows = streams[i].features = 4;
    }
    RouteRect routes[] = {
        {{0, 1, 1, 1, 1, 1}, 0, SIDE_W, E, 0},     {{1, 1, 1, 1, 1, 1}, 0, SIDE_W, R, 0},
        {{1, 1, 1, 1, 1, 1}, 1, SIDE_RAMP, E, 1},  {{2, 1, 2, 1, 2, 1}, 1, SIDE_W, E, 1},
        {{3, 1, 1, 1, 1, 1}, 1, SIDE_W, E | R, 1}, {{5, 1, 1, 1, 1, 1}, 1, SIDE_W, R, 1},
        {{3, 1, 1, 1, 1, 1}, 2, SIDE_RAMP, E, 2},  {{4, 1, 1, 1, 1, 1}, 2, SIDE_W, E, 2},
        {{5, 1, 1, 1, 1, 1}, 2, SIDE_W, R, 2},     {{5, 1, 1, 1, 1, 1}, 3, SIDE_RAMP, E, 3},
        {{6, 1, 2, 1, 1, 1}, 3, SIDE_W, E, 3},
    };
    HostTensor tensors[] = {{"x", false, DT_F32, 2, {4, 4}, 0}, {"y", true, DT_F32, 2, {4, 4}, 0}};
    Port ports[] = {port(a, false, SIDE_W, 1, 0, 0), port(a, true, SIDE_E, 1, 3, 0)};
    ports[1].stream = 3;
    CoreRect cores[] = {residual_core(a, 1, 0, &classes[2], (int32_t[]){0, 1}),
                        residual_core(a, 3, 1, &classes[3], (int32_t[]){1, 2}),
                        residual_core(a, 5, 2, &classes[4], (int32_t[]){2, 1, 3})};
    image.origins = COPY_OUT(a, origins);
    image.n_origins = COUNT_OF(origins);
    image.classes = COPY_OUT(a, classes);
    image.n_classes = COUNT_OF(classes);
    image.kernels = COPY_OUT(a, kernels);
    image.n_kernels = COUNT_OF(kernels);
    image.streams = COPY_OUT(a, streams);
    image.n_streams = COUNT_OF(streams);
    image.cores = COPY_OUT(a, cores);
    image.n_cores = COUNT_OF(cores);
    image.routes = with_room(a, routes, COUNT_OF(routes));
    image.n_routes = COUNT_OF(routes);
    image.tensors = COPY_OUT(a, tensors);
    image.n_tensors = COUNT_OF(tensors);
    image.ports = COPY_OUT(a, ports);
    image.n_ports = COUNT_OF(ports);
    return image;
}
