// SPDX-License-Identifier: Apache-2.0
// runtime/fabric.c - unfolds an image into cores, ports and routes, and proves its structure.
//
// Rectangles are unfolded into nodes and into one Config per (router, color) in use. Each
// route is then followed breadth first from its source (a core's sending channel or a host
// port). As a configured router accepts a color from one side only, it has one predecessor at
// most: a walk from a source meets no router twice, and what no walk reaches is a loop, or
// hangs on nothing. Position lookups are hash tables over what is in use, never an array of
// the whole wafer. Time and memory are linear in used cores, routers and links.

#include "runtime/fabric.h"

#include <inttypes.h>
#include <stdlib.h>

#include "ir/support/vec.h"
#include "runtime/check.h"

enum {
    MAX_CONFIGS = 1 << 24, // (router, color) pairs
    MAX_CORES = 1 << 22,
    MAX_TENSOR_BYTES = 1 << 30, // a sample's
    MAX_DATA_WORDS = 1 << 27,   // data words of all cores, shared ones once
    ENOUGH = 20,                // errors after which a phase gives up
    UP = SIDE_COUNT,            // in a link's key: from a core up into its router
};

typedef struct Config { // one router, one color
    uint32_t key;
    uint32_t rect;  // index into image->routes
    uint32_t route; // that reaches it
} Config;

typedef struct Hop { // of a walk: a router, how it was reached
    uint32_t config, branch, hops;
} Hop;

typedef VEC(FabricBranch) BranchVec;
typedef VEC(FabricReceiver) ReceiverVec;
typedef VEC(Hop) HopVec;

typedef struct Builder {
    Arena *arena;  // of the result
    Arena scratch; // of this build
    Diag *d;
    unsigned errors_before;
    const Image *image;
    const Machine *m;
    Fabric *f;
    Config *configs;
    uint32_t n_configs;
    FabricMap config_at, link_at;
    uint32_t *port_at[SIDE_COUNT]; // by side (W and E) and row
    BranchVec branches;
    ReceiverVec receivers;
    HopVec hops;
} Builder;

static unsigned errors(const Builder *b)
{
    return b->d->n_errors - b->errors_before;
}

static bool enough(const Builder *b)
{
    return errors(b) >= ENOUGH;
}

// ---- hash table ----

static FabricMap map_new(Arena *a, uint64_t n)
{
    FabricMap m = {0};
    uint32_t bits = 4;
    while (((uint64_t)1 << bits) < 2 * n)
        bits++;
    m.mask = (uint32_t)(((uint64_t)1 << bits) - 1);
    m.shift = 32 - bits;
    m.key = arena_array(a, uint32_t, (size_t)m.mask + 1);
    m.value = arena_array(a, uint32_t, (size_t)m.mask + 1);
    memset(m.key, 0xff, ((size_t)m.mask + 1) * sizeof *m.key);
    return m;
}

// The slot of a key, or the free one where it belongs.
static uint32_t map_slot(const FabricMap *m, uint32_t key)
{
    uint32_t at = (key * 2654435769u) >> m->shift;
    while (m->key[at] != key && m->key[at] != UINT32_MAX)
        at = (at + 1) & m->mask;
    return at;
}

static uint32_t map_get(const FabricMap *m, uint32_t key)
{
    uint32_t at = map_slot(m, key);
    return m->key[at] == key ? m->value[at] : UINT32_MAX;
}

// Inserts if the key is new. Returns the value that is there afterwards.
static uint32_t map_add(FabricMap *m, uint32_t key, uint32_t value)
{
    uint32_t at = map_slot(m, key);
    if (m->key[at] != key) {
        m->key[at] = key;
        m->value[at] = value;
    }
    return m->value[at];
}

// 12 bits each of x and y (MACHINE_MAX_EXTENT), 5 bits of color or 3 of a side.
static uint32_t position_key(uint32_t x, uint32_t y, uint32_t what)
{
    return x | y << 12 | what << 24;
}

static uint32_t key_x(uint32_t key)
{
    return key & 0xfff;
}
static uint32_t key_y(uint32_t key)
{
    return key >> 12 & 0xfff;
}
static uint32_t key_what(uint32_t key)
{
    return key >> 24;
}

// ---- names ----

static const char *place(Arena *a, const Image *image, uint32_t origin)
{
    if (origin >= image->n_origins || image->origins[origin].line == 0)
        return "";
    const char *file = image->source_name && image->source_name[0] ? image->source_name : "line";
    return arena_printf(a, " (%s:%" PRIu32 ")", file, image->origins[origin].line);
}

const char *fabric_core_name(Arena *a, const Image *image, uint32_t x, uint32_t y, uint32_t kernel)
{
    if (kernel >= image->n_kernels)
        return arena_printf(a, "core (%" PRIu32 ", %" PRIu32 ")", x, y);
    const KernelInfo *k = &image->kernels[kernel];
    return arena_printf(a, "core (%" PRIu32 ", %" PRIu32 ") of '%s'%s", x, y, k->name,
                        place(a, image, k->origin));
}

const char *fabric_port_name(Arena *a, const Image *image, uint32_t port)
{
    const Port *p = &image->ports[port];
    const char *side = p->side == SIDE_W ? "W" : p->side == SIDE_E ? "E" : "?";
    if (p->tensor >= image->n_tensors)
        return arena_printf(a, "host port %s row %" PRIu32, side, p->y);
    const HostTensor *t = &image->tensors[p->tensor];
    return arena_printf(a, "host port %s row %" PRIu32 " of '%s'%s", side, p->y, t->name,
                        place(a, image, t->origin));
}

const char *fabric_node_name(Arena *a, const Fabric *f, uint32_t node)
{
    const FabricNode *n = &f->nodes[node];
    if (n->is_port)
        return fabric_port_name(a, f->image, n->rect);
    return fabric_core_name(a, f->image, n->x, n->y, f->image->cores[n->rect].kernel);
}

const char *fabric_stream_name(Arena *a, const Image *image, uint32_t stream)
{
    if (stream >= image->n_streams)
        return "a stream";
    const StreamInfo *s = &image->streams[stream];
    return arena_printf(a, "'%s'%s", s->name, place(a, image, s->origin));
}

// "color 3 of 'conv1 -> pool1' (m.dsl:4)"
static const char *color_name(Builder *b, uint32_t color, uint32_t stream)
{
    return arena_printf(&b->scratch, "color %" PRIu32 " of %s", color,
                        fabric_stream_name(&b->scratch, b->image, stream));
}

static const char *config_name(Builder *b, const Config *c)
{
    return color_name(b, key_what(c->key), b->image->routes[c->rect].stream);
}

static const char *side_name(uint32_t side)
{
    static const char *const names[SIDE_COUNT] = {"north", "east", "south", "west", "ramp"};
    return names[side];
}

uint32_t fabric_core_at(const Fabric *f, uint32_t x, uint32_t y)
{
    if (x >= f->image->machine.width || y >= f->image->machine.height)
        return UINT32_MAX;
    return map_get(&f->core_at, position_key(x, y, 0));
}

// ---- what everything else relies on ----

static bool fraction_good(Fraction f, uint32_t limit)
{
    return f.num > 0 && f.den > 0 && f.num < limit && f.den < limit;
}

static void check_machine(Builder *b)
{
    const Machine *m = b->m;
    if (m->width == 0 || m->height == 0 || m->width > MACHINE_MAX_EXTENT ||
        m->height > MACHINE_MAX_EXTENT)
        check_fail(b->d, CHECK_MACHINE,
                   "a fabric of %" PRIu32 " x %" PRIu32 " cores; 1 to %d each are possible",
                   m->width, m->height, MACHINE_MAX_EXTENT);
    if (m->colors > MACHINE_MAX_COLORS || m->reserved_colors > m->colors)
        check_fail(b->d, CHECK_MACHINE, "%" PRIu32 " colors, %" PRIu32 " reserved; %d at most",
                   m->colors, m->reserved_colors, MACHINE_MAX_COLORS);
    if (m->sram_bytes > 1u << 24 || m->reserve_bytes > m->sram_bytes || m->op_bytes > 1024)
        check_fail(b->d, CHECK_MACHINE,
                   "%" PRIu32 " bytes a core, %" PRIu32 " reserved, %" PRIu32 " an operation",
                   m->sram_bytes, m->reserve_bytes, m->op_bytes);
    if (m->banks == 0 || m->bank_bytes == 0)
        check_fail(b->d, CHECK_MACHINE, "memory has no banks");
    if (m->clock_hz == 0)
        check_fail(b->d, CHECK_MACHINE, "the clock stands still");
    bool good = fraction_good(m->landing, 1u << 24) && fraction_good(m->host_words, 1u << 24);
    for (int c = 0; c < COST_COUNT; c++) {
        for (int t = 0; t < DT_COUNT; t++) {
            good = good && fraction_good(m->cost[c][t].width, 1u << 24) &&
                   fraction_good(m->cost[c][t].conflict, 1u << 24) &&
                   m->cost[c][t].conflict.num >= m->cost[c][t].conflict.den;
        }
    }
    if (!good)
        check_fail(b->d, CHECK_MACHINE, "a width, factor or bandwidth is out of range");
    if (m->hop < 1 || m->hop > 1u << 16 || m->ramp > 1u << 16 || m->setup > 1u << 16 ||
        m->setup_loop > 1u << 16 || m->latency > 1u << 16)
        check_fail(b->d, CHECK_MACHINE,
                   "hop %" PRIu32 " (at least 1), ramp %" PRIu32 ", set-up %" PRIu32 " + %" PRIu32
                   ", latency %" PRIu32,
                   m->hop, m->ramp, m->setup, m->setup_loop, m->latency);
}

static void check_defects(Builder *b)
{
    const Defects *d = &b->image->defects;
    uint32_t bad;
    if (b->m->spare_columns > MACHINE_MAX_EXTENT)
        check_fail(b->d, CHECK_MACHINE, "%" PRIu32 " spare columns; at most %d",
                   b->m->spare_columns, MACHINE_MAX_EXTENT);
    else if (!defects_sound(b->m, d, &bad))
        check_fail(b->d, CHECK_DEFECTS,
                   "run %" PRIu32 " of dead cores, %u from (%u, %u), is out of order, touches "
                   "another or leaves the wafer",
                   bad, d->runs[bad].n, d->runs[bad].x, d->runs[bad].y);
    else
        b->f->defects = defect_map(b->arena, b->m, d);
}

static void index_fail(Builder *b, const char *what, uint64_t i, const char *of, uint64_t value)
{
    check_fail(b->d, CHECK_INDEX, "%s %" PRIu64 ": %s is %" PRIu64, what, i, of, value);
}

static void check_indices(Builder *b)
{
    const Image *image = b->image;
    if (image->n_origins == 0)
        check_fail(b->d, CHECK_INDEX, "there are no origins");
    for (uint32_t i = 0; i < image->n_classes && !enough(b); i++) {
        const Class *c = &image->classes[i];
        if (c->n_channels > PROGRAM_MAX_CHANNELS)
            index_fail(b, "class", i, "the number of channels", c->n_channels);
        if (c->n_data > PROGRAM_MAX_DATA)
            index_fail(b, "class", i, "the number of data words", c->n_data);
        if (c->n_ops > PROGRAM_MAX_OPS)
            index_fail(b, "class", i, "the number of operations", c->n_ops);
    }
    for (uint32_t i = 0; i < image->n_cores && !enough(b); i++) {
        const CoreRect *r = &image->cores[i];
        if (r->class_id >= image->n_classes)
            index_fail(b, "core rectangle", i, "its class", r->class_id);
        if (r->kernel >= image->n_kernels)
            index_fail(b, "core rectangle", i, "its kernel", r->kernel);
        for (uint32_t k = 0; k < r->n_segments; k++) {
            if (r->segments[k].kind >= SEGMENT_COUNT)
                index_fail(b, "core rectangle", i, "a segment's kind", r->segments[k].kind);
        }
    }
    for (uint32_t i = 0; i < image->n_routes && !enough(b); i++) {
        const RouteRect *r = &image->routes[i];
        if (r->in >= SIDE_COUNT)
            index_fail(b, "route rectangle", i, "its in side", r->in);
        if (r->out >= 1u << SIDE_COUNT)
            index_fail(b, "route rectangle", i, "its set of out sides", r->out);
        if (r->stream >= image->n_streams)
            index_fail(b, "route rectangle", i, "its stream", r->stream);
    }
    for (uint32_t i = 0; i < image->n_ports && !enough(b); i++) {
        const Port *p = &image->ports[i];
        if (p->class_id >= image->n_classes)
            index_fail(b, "port", i, "its class", p->class_id);
        if (p->tensor >= image->n_tensors)
            index_fail(b, "port", i, "its tensor", p->tensor);
        if (p->stream >= image->n_streams)
            index_fail(b, "port", i, "its stream", p->stream);
    }
}

static void check_tensors(Builder *b)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < b->image->n_tensors && !enough(b); i++) {
        const HostTensor *t = &b->image->tensors[i];
        bool good = t->dtype < DT_COUNT && t->rank >= 1 && t->rank <= IMAGE_MAX_RANK;
        uint64_t bytes = good ? dtype_bytes((DType)t->dtype) : 1;
        for (uint32_t k = 0; good && k < t->rank; k++) {
            good = t->extent[k] > 0 && t->extent[k] <= (1u << 28) / bytes;
            bytes *= t->extent[k];
        }
        if (!good)
            check_fail(b->d, CHECK_TENSOR,
                       "'%s' has element type %" PRIu32 ", rank %" PRIu32
                       ", extents out of range, or more than 2^28 bytes",
                       t->name, t->dtype, t->rank);
        total += bytes;
    }
    if (errors(b) == 0 && total > MAX_TENSOR_BYTES)
        check_fail(b->d, CHECK_SIZE, "%" PRIu64 " bytes of tensors; at most %d", total,
                   MAX_TENSOR_BYTES);
}

// ---- places ----

// Grids inside the fabric; x + (nx - 1) * sx does not overflow in 64 bits.
static bool grid_inside(const Builder *b, const Grid *g)
{
    return g->nx > 0 && g->ny > 0 && g->sx > 0 && g->sy > 0 &&
           g->x + (uint64_t)(g->nx - 1) * g->sx < b->m->width &&
           g->y + (uint64_t)(g->ny - 1) * g->sy < b->m->height;
}

static const char *grid_name(Builder *b, const Grid *g)
{
    return arena_printf(&b->scratch,
                        "%" PRIu32 " x %" PRIu32 " from (%" PRIu32 ", %" PRIu32
                        ") in steps of (%" PRIu32 ", %" PRIu32 ")",
                        g->nx, g->ny, g->x, g->y, g->sx, g->sy);
}

static int by_column(const void *a, const void *b)
{
    const KernelInfo *p = *(const KernelInfo *const *)a, *q = *(const KernelInfo *const *)b;
    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    return p < q ? -1 : p > q;
}

static void check_kernels(Builder *b)
{
    const Image *image = b->image;
    const KernelInfo **sorted = arena_array(&b->scratch, const KernelInfo *, image->n_kernels + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < image->n_kernels && !enough(b); i++) {
        const KernelInfo *k = &image->kernels[i];
        if (k->w == 0 || k->h == 0 || (uint64_t)k->x + k->w > b->m->width ||
            (uint64_t)k->y + k->h > b->m->height)
            check_fail(b->d, CHECK_KERNEL_OUTSIDE,
                       "'%s' takes %" PRIu32 " x %" PRIu32 " cores from (%" PRIu32 ", %" PRIu32
                       ") of a fabric of %" PRIu32 " x %" PRIu32,
                       k->name, k->w, k->h, k->x, k->y, b->m->width, b->m->height);
        else
            sorted[n++] = k;
    }
    qsort(sorted, n, sizeof *sorted, by_column);
    for (uint32_t i = 0; i < n; i++) {
        const KernelInfo *p = sorted[i];
        for (uint32_t j = i + 1; j < n && sorted[j]->x < p->x + p->w && !enough(b); j++) {
            const KernelInfo *q = sorted[j];
            if (q->y < p->y + p->h && p->y < q->y + q->h)
                check_fail(b->d, CHECK_KERNEL_OVERLAP,
                           "'%s' and '%s' both take (%" PRIu32 ", %" PRIu32 ")", p->name, q->name,
                           q->x, p->y > q->y ? p->y : q->y);
        }
    }
}

// Colors of a rectangle's channels, against the machine's colors and queues.
static void check_channels(Builder *b, const CoreRect *r)
{
    const Class *c = &b->image->classes[r->class_id];
    const char *name = fabric_core_name(&b->scratch, b->image, r->grid.x, r->grid.y, r->kernel);
    uint32_t used[2] = {0}, seen[2] = {0};
    for (uint32_t k = 0; k < c->n_channels; k++) {
        int32_t color = r->channels[k].color;
        bool out = c->channel_is_out[k];
        if (color == -1)
            continue;
        if (color < 0 || (uint32_t)color >= b->m->colors - b->m->reserved_colors) {
            check_fail(b->d, CHECK_COLOR,
                       "channel %" PRIu32 " of %s has color %" PRId32
                       "; the machine has colors 0 to %" PRId32,
                       k, name, color, (int32_t)(b->m->colors - b->m->reserved_colors) - 1);
            continue;
        }
        if (seen[out] >> color & 1)
            check_fail(b->d, CHECK_QUEUE_TWICE, "%s %s color %" PRId32 " on two channels", name,
                       out ? "sends" : "receives", color);
        seen[out] |= 1u << color;
        used[out]++;
    }
    if (used[0] > b->m->queues_in)
        check_fail(b->d, CHECK_QUEUES_IN,
                   "%s receives on %" PRIu32 " colors; a core has %" PRIu32 " input queues", name,
                   used[0], b->m->queues_in);
    if (used[1] > b->m->queues_out)
        check_fail(b->d, CHECK_QUEUES_OUT,
                   "%s sends on %" PRIu32 " colors; a core has %" PRIu32 " output queues", name,
                   used[1], b->m->queues_out);
}

typedef struct Spread { // over which axes a rectangle's data vary
    bool i, j;
} Spread;

static Spread data_spread(const CoreRect *r, uint32_t n_data)
{
    Spread s = {false, false};
    for (uint32_t k = 0; k < n_data; k++) {
        s.i = s.i || (r->data[k].di != 0 && r->grid.nx > 1);
        s.j = s.j || (r->data[k].dj != 0 && r->grid.ny > 1);
    }
    return s;
}

static bool evaluate_data(Builder *b, const CoreRect *r, uint32_t n_data, Spread s, int32_t *out)
{
    uint32_t nx = s.i ? r->grid.nx : 1, ny = s.j ? r->grid.ny : 1;
    for (uint32_t k = 0; k < n_data; k++) {
        // affine: the extremes are at the corners
        for (int corner = 0; corner < 4; corner++) {
            int64_t i = corner & 1 ? r->grid.nx - 1 : 0, j = corner & 2 ? r->grid.ny - 1 : 0;
            int64_t v = r->data[k].value + i * r->data[k].di + j * r->data[k].dj;
            if (v < INT32_MIN || v > INT32_MAX)
                return check_fail(
                    b->d, CHECK_DATA_RANGE, "data word %" PRIu32 " of %s would be %" PRId64, k,
                    fabric_core_name(&b->scratch, b->image, r->grid.x + (uint32_t)i * r->grid.sx,
                                     r->grid.y + (uint32_t)j * r->grid.sy, r->kernel),
                    v);
        }
    }
    for (uint32_t j = 0; j < ny; j++) {
        for (uint32_t i = 0; i < nx; i++) {
            for (uint32_t k = 0; k < n_data; k++) {
                const Affine *v = &r->data[k];
                *out++ = (int32_t)(v->value + (int64_t)i * v->di + (int64_t)j * v->dj);
            }
        }
    }
    return true;
}

static void unfold_rect(Builder *b, uint32_t rect)
{
    const Image *image = b->image;
    const CoreRect *r = &image->cores[rect];
    const Grid *g = &r->grid;
    const KernelInfo *kernel = &image->kernels[r->kernel];
    uint32_t n_data = image->classes[r->class_id].n_data;
    uint32_t n_channels = image->classes[r->class_id].n_channels;
    uint32_t right = g->x + (g->nx - 1) * g->sx, bottom = g->y + (g->ny - 1) * g->sy;
    if (g->x < kernel->x || g->y < kernel->y || right >= kernel->x + kernel->w ||
        bottom >= kernel->y + kernel->h)
        check_fail(b->d, CHECK_CORE_KERNEL,
                   "cores %s lie outside of the region of '%s', %" PRIu32 " x %" PRIu32
                   " from (%" PRIu32 ", %" PRIu32 ")",
                   grid_name(b, g), kernel->name, kernel->w, kernel->h, kernel->x, kernel->y);
    check_channels(b, r);
    Spread s = data_spread(r, n_data);
    size_t sets = (size_t)(s.i ? g->nx : 1) * (s.j ? g->ny : 1);
    int32_t *data = arena_array(b->arena, int32_t, sets * n_data + 1);
    if (!evaluate_data(b, r, n_data, s, data))
        return;
    size_t cores = (size_t)g->nx * g->ny;
    uint32_t *routes = arena_array(b->arena, uint32_t, 2 * cores * n_channels + 1);
    memset(routes, 0xff, 2 * cores * n_channels * sizeof *routes);
    for (uint32_t j = 0; j < g->ny; j++) {
        for (uint32_t i = 0; i < g->nx; i++) {
            FabricNode n = {.x = g->x + i * g->sx,
                            .y = g->y + j * g->sy,
                            .rect = rect,
                            .class_id = r->class_id,
                            .i = i,
                            .j = j,
                            .channels = r->channels,
                            .route = routes,
                            .receiver = routes + n_channels};
            if (defect_missing(b->f->defects, n.x, n.y)) {
                check_fail(b->d, CHECK_CORE_DEAD, "%s is dead or beyond the last core of its row",
                           fabric_core_name(&b->scratch, image, n.x, n.y, r->kernel));
                return;
            }
            n.data = data + ((size_t)(s.j ? j : 0) * (s.i ? g->nx : 1) + (s.i ? i : 0)) * n_data;
            routes += 2 * n_channels;
            uint32_t id = b->f->n_cores;
            uint32_t there = map_add(&b->f->core_at, position_key(n.x, n.y, 0), id);
            if (there == id) {
                b->f->nodes[b->f->n_cores++] = n;
                continue;
            }
            const FabricNode *other = &b->f->nodes[there];
            check_fail(b->d, CHECK_CORE_OVERLAP,
                       "core (%" PRIu32 ", %" PRIu32 ") belongs to '%s' and to '%s'", n.x, n.y,
                       image->kernels[image->cores[other->rect].kernel].name, kernel->name);
            if (enough(b))
                return;
        }
    }
}

static void unfold_cores(Builder *b)
{
    const Image *image = b->image;
    uint64_t fabric = (uint64_t)b->m->width * b->m->height, cores = 0, words = 0;
    for (uint32_t i = 0; i < image->n_cores && !enough(b); i++) {
        const CoreRect *r = &image->cores[i];
        if (!grid_inside(b, &r->grid)) {
            check_fail(b->d, CHECK_CORE_OUTSIDE,
                       "cores %s of '%s' leave the fabric of %" PRIu32 " x %" PRIu32,
                       grid_name(b, &r->grid), image->kernels[r->kernel].name, b->m->width,
                       b->m->height);
            continue;
        }
        uint32_t n_data = image->classes[r->class_id].n_data;
        Spread s = data_spread(r, n_data);
        cores += (uint64_t)r->grid.nx * r->grid.ny;
        words += (uint64_t)(s.i ? r->grid.nx : 1) * (s.j ? r->grid.ny : 1) * n_data;
    }
    if (errors(b))
        return;
    if (cores > fabric) // more cores than places: look for the first place used twice
        cores = fabric;
    if (cores > MAX_CORES || words > MAX_DATA_WORDS) {
        check_fail(b->d, CHECK_SIZE,
                   "%" PRIu64 " cores with %" PRIu64 " data words; at most %d and %d", cores, words,
                   MAX_CORES, MAX_DATA_WORDS);
        return;
    }
    b->f->nodes = arena_array(b->arena, FabricNode, cores + image->n_ports + 1);
    b->f->core_at = map_new(b->arena, cores);
    for (uint32_t i = 0; i < image->n_cores && !enough(b); i++)
        unfold_rect(b, i);
}

// ---- host ports ----

static void check_port(Builder *b, uint32_t index)
{
    const Port *p = &b->image->ports[index];
    const Class *c = &b->image->classes[p->class_id];
    const HostTensor *t = &b->image->tensors[p->tensor];
    const char *name = fabric_port_name(&b->scratch, b->image, index);
    if ((p->side != SIDE_W && p->side != SIDE_E) || p->y >= b->m->height) {
        check_fail(b->d, CHECK_PORT_PLACE, "%s is not on the west or east edge of %" PRIu32 " rows",
                   name, b->m->height);
        return;
    }
    if (defect_missing(b->f->defects, p->side == SIDE_W ? 0 : b->m->width - 1, p->y))
        check_fail(b->d, CHECK_PORT_DEAD, "%s stands at a core that is dead or missing", name);
    uint32_t *there = &b->port_at[p->side][p->y];
    if (*there != UINT32_MAX)
        check_fail(b->d, CHECK_PORT_ROW, "%s and %s share a row", name,
                   fabric_port_name(&b->scratch, b->image, *there));
    *there = index;
    if (p->color >= b->m->colors - b->m->reserved_colors)
        check_fail(b->d, CHECK_COLOR, "%s has color %" PRIu32, name, p->color);
    if (p->q < 1 || p->p < p->q || p->p >= 1u << 24)
        check_fail(b->d, CHECK_PORT_RATE,
                   "%s passes %" PRIu32 " words in %" PRIu32 " cycles; at most one a cycle", name,
                   p->q, p->p);
    if (c->n_channels != 1 || c->channel_is_out[0] == p->is_sink || t->is_output != p->is_sink)
        check_fail(b->d, CHECK_PORT_CLASS,
                   "%s is a %s of an %s; its class '%s' has %" PRIu32 " channels, the first %s",
                   name, p->is_sink ? "sink" : "source", t->is_output ? "output" : "input", c->name,
                   c->n_channels,
                   c->n_channels == 0     ? "missing"
                   : c->channel_is_out[0] ? "sends"
                                          : "receives");
}

static void unfold_ports(Builder *b)
{
    const Image *image = b->image;
    uint32_t count[SIDE_COUNT] = {0};
    // Rates in units of 2^-40 words a cycle, rounded down: what a sum of thirds or sevenths
    // loses against the bandwidth is less than 2^-27 of a word.
    uint64_t rate = 0, limit = ((uint64_t)b->m->host_words.num << 40) / b->m->host_words.den;
    for (uint32_t i = 0; i < image->n_ports && !enough(b); i++) {
        check_port(b, i);
        const Port *p = &image->ports[i];
        if (errors(b))
            continue;
        count[p->side]++;
        rate += ((uint64_t)p->q << 40) / p->p;
        FabricNode *n = &b->f->nodes[b->f->n_cores + i];
        Channel *channel = arena_new(b->arena, Channel);
        channel->color = (int32_t)p->color;
        uint32_t *route = arena_array(b->arena, uint32_t, 2);
        route[0] = NO_ROUTE;
        *n = (FabricNode){.x = p->side == SIDE_W ? 0 : b->m->width - 1,
                          .y = p->y,
                          .class_id = p->class_id,
                          .rect = i,
                          .is_port = true,
                          .data = p->data,
                          .channels = channel,
                          .route = route,
                          .receiver = route + 1};
    }
    b->f->n_ports = image->n_ports;
    if (count[SIDE_W] > b->m->ports_west || count[SIDE_E] > b->m->ports_east)
        check_fail(b->d, CHECK_PORT_COUNT,
                   "%" PRIu32 " host ports west and %" PRIu32 " east; the machine has %" PRIu32
                   " and %" PRIu32,
                   count[SIDE_W], count[SIDE_E], b->m->ports_west, b->m->ports_east);
    if (rate > limit)
        check_fail(b->d, CHECK_PORT_BANDWIDTH,
                   "the host ports pass %.3f words a cycle; the machine has %.3f",
                   (double)rate * 0x1p-40, (double)limit * 0x1p-40);
}

// ---- routers ----

// The sides of (x, y) that lead to a neighbor.
static bool side_inside(const Builder *b, uint32_t x, uint32_t y, uint32_t side)
{
    switch ((Side)side) {
    case SIDE_N:
        return y > 0;
    case SIDE_S:
        return y + 1 < b->m->height;
    case SIDE_W:
        return x > 0;
    case SIDE_E:
        return x + 1 < b->m->width;
    case SIDE_RAMP:
    case SIDE_COUNT:
        break;
    }
    return true;
}

static uint32_t neighbor_key(uint32_t key, uint32_t side)
{
    return position_key((uint32_t)((int)key_x(key) + side_dx((Side)side)),
                        (uint32_t)((int)key_y(key) + side_dy((Side)side)), key_what(key));
}

// The port behind an edge router's side, if it has that color and direction.
static uint32_t port_behind(const Builder *b, uint32_t key, uint32_t side, bool sink)
{
    if (side != SIDE_W && side != SIDE_E)
        return UINT32_MAX;
    uint32_t port = b->port_at[side][key_y(key)];
    if (port == UINT32_MAX || b->image->ports[port].is_sink != sink ||
        b->image->ports[port].color != key_what(key))
        return UINT32_MAX;
    return port;
}

// Sides that leave the fabric have a port there.
static void check_edges(Builder *b, const Config *c, const RouteRect *r)
{
    uint32_t x = key_x(c->key), y = key_y(c->key);
    if (!side_inside(b, x, y, r->in) && port_behind(b, c->key, r->in, false) == UINT32_MAX)
        check_fail(b->d, CHECK_ROUTE_EDGE,
                   "%s enters the fabric at (%" PRIu32 ", %" PRIu32
                   ") from the %s, where no host port sends it",
                   config_name(b, c), x, y, side_name(r->in));
    for (uint32_t s = 0; s < SIDE_COUNT; s++) {
        if ((r->out >> s & 1) && !side_inside(b, x, y, s) &&
            port_behind(b, c->key, s, true) == UINT32_MAX)
            check_fail(b->d, CHECK_ROUTE_EDGE,
                       "%s leaves the fabric at (%" PRIu32 ", %" PRIu32
                       ") to the %s, where no host port takes it",
                       config_name(b, c), x, y, side_name(s));
    }
}

static void unfold_route_rect(Builder *b, uint32_t rect)
{
    const RouteRect *r = &b->image->routes[rect];
    const Grid *g = &r->grid;
    if (r->color >= b->m->colors - b->m->reserved_colors) {
        check_fail(b->d, CHECK_COLOR, "%s is routed at (%" PRIu32 ", %" PRIu32 ")",
                   color_name(b, r->color, r->stream), g->x, g->y);
        return;
    }
    if (r->out >> r->in & 1)
        check_fail(b->d, CHECK_ROUTE_RETURN,
                   "%s goes back to the %s, where it comes from, at (%" PRIu32 ", %" PRIu32 ")",
                   color_name(b, r->color, r->stream), side_name(r->in), g->x, g->y);
    if (r->out == 0)
        check_fail(b->d, CHECK_ROUTE_DANGLING, "%s ends at (%" PRIu32 ", %" PRIu32 ") in nothing",
                   color_name(b, r->color, r->stream), g->x, g->y);
    for (uint32_t j = 0; j < g->ny; j++) {
        for (uint32_t i = 0; i < g->nx && !enough(b); i++) {
            uint32_t x = g->x + i * g->sx, y = g->y + j * g->sy;
            if (defect_missing(b->f->defects, x, y)) {
                check_fail(b->d, CHECK_ROUTE_DEAD,
                           "%s passes (%" PRIu32 ", %" PRIu32
                           "), which is dead or beyond the last core of its row",
                           color_name(b, r->color, r->stream), x, y);
                return;
            }
            Config c = {position_key(x, y, r->color), rect, NO_ROUTE};
            uint32_t there = map_add(&b->config_at, c.key, b->n_configs);
            if (there != b->n_configs) {
                const RouteRect *other = &b->image->routes[b->configs[there].rect];
                check_fail(b->d, CHECK_ROUTE_CROSSING,
                           "color %" PRIu32 " is configured twice at (%" PRIu32 ", %" PRIu32
                           "): for %s and for %s",
                           r->color, x, y, fabric_stream_name(&b->scratch, b->image, other->stream),
                           fabric_stream_name(&b->scratch, b->image, r->stream));
                continue;
            }
            b->configs[b->n_configs++] = c;
            check_edges(b, &c, r);
        }
    }
}

static void unfold_routes(Builder *b)
{
    const Image *image = b->image;
    uint64_t configs = 0, links = image->n_ports;
    uint64_t possible = (uint64_t)b->m->width * b->m->height * b->m->colors;
    for (uint32_t i = 0; i < image->n_routes && !enough(b); i++) {
        const RouteRect *r = &image->routes[i];
        if (!grid_inside(b, &r->grid)) {
            check_fail(b->d, CHECK_ROUTE_OUTSIDE,
                       "routers %s with %s leave the fabric of %" PRIu32 " x %" PRIu32,
                       grid_name(b, &r->grid), color_name(b, r->color, r->stream), b->m->width,
                       b->m->height);
            continue;
        }
        uint64_t n = (uint64_t)r->grid.nx * r->grid.ny;
        configs += n;
        for (uint32_t s = 0; s < SIDE_COUNT; s++)
            links += n * ((r->out >> s & 1) + (s == r->in && s == SIDE_RAMP));
    }
    if (errors(b))
        return;
    if (configs > possible) // so that one of them is there twice, which is found below
        configs = possible;
    if (configs > MAX_CONFIGS) {
        check_fail(b->d, CHECK_SIZE, "%" PRIu64 " router configurations; at most %d", configs,
                   MAX_CONFIGS);
        return;
    }
    if (links > configs * SIDE_COUNT + image->n_ports)
        links = configs * SIDE_COUNT + image->n_ports;
    b->configs = arena_array(&b->scratch, Config, configs + 1);
    b->config_at = map_new(&b->scratch, configs);
    b->link_at = map_new(&b->scratch, links);
    b->f->links = arena_array(b->arena, FabricLink, links + 1);
    for (uint32_t i = 0; i < image->n_routes && !enough(b); i++)
        unfold_route_rect(b, i);
}

// ---- following routes ----

static uint32_t add_branch(Builder *b, uint32_t parent, uint32_t x, uint32_t y, uint32_t side,
                           uint32_t hops)
{
    uint32_t n = b->f->n_links;
    uint32_t link = map_add(&b->link_at, position_key(x, y, side), n);
    if (link == n) {
        Side s = side == UP ? SIDE_RAMP : (Side)side;
        b->f->links[b->f->n_links++] = (FabricLink){x, y, s, side == UP};
    }
    uint32_t delay = side == UP || side == SIDE_RAMP ? b->m->ramp : b->m->hop * hops;
    FabricBranch branch = {parent, link, delay};
    vec_push(&b->scratch, &b->branches, branch);
    return (uint32_t)b->branches.n - 1;
}

static void add_receiver(Builder *b, uint32_t node, uint32_t channel, uint32_t branch,
                         uint32_t hops)
{
    FabricNode *n = &b->f->nodes[node];
    n->route[channel] = b->f->n_routes;
    n->receiver[channel] = (uint32_t)b->receivers.n;
    FabricReceiver r = {node, channel, branch, hops};
    vec_push(&b->scratch, &b->receivers, r);
}

// The core's channel that receives or sends a color, or UINT32_MAX.
static uint32_t channel_of(const Builder *b, uint32_t node, uint32_t color, bool out)
{
    const FabricNode *n = &b->f->nodes[node];
    const Class *c = &b->image->classes[n->class_id];
    for (uint32_t k = 0; k < c->n_channels; k++) {
        if (c->channel_is_out[k] == out && n->channels[k].color == (int32_t)color)
            return k;
    }
    return UINT32_MAX;
}

static void leave_to_core(Builder *b, Hop at)
{
    const Config *c = &b->configs[at.config];
    uint32_t x = key_x(c->key), y = key_y(c->key);
    uint32_t node = fabric_core_at(b->f, x, y);
    uint32_t channel =
        node == UINT32_MAX ? UINT32_MAX : channel_of(b, node, key_what(c->key), false);
    if (channel == UINT32_MAX) {
        check_fail(b->d, CHECK_ROUTE_RAMP, "%s is delivered to %s, which does not receive it",
                   config_name(b, c),
                   node == UINT32_MAX ? fabric_core_name(&b->scratch, b->image, x, y, UINT32_MAX)
                                      : fabric_node_name(&b->scratch, b->f, node));
        return;
    }
    add_receiver(b, node, channel, add_branch(b, at.branch, x, y, SIDE_RAMP, 0), at.hops);
}

static void leave_to_neighbor(Builder *b, Hop at, uint32_t side)
{
    const Config *c = &b->configs[at.config];
    uint32_t x = key_x(c->key), y = key_y(c->key), key = neighbor_key(c->key, side);
    uint32_t next = map_get(&b->config_at, key);
    if (next == UINT32_MAX) {
        check_fail(b->d, CHECK_ROUTE_DANGLING,
                   "%s goes %s from (%" PRIu32 ", %" PRIu32 ") to (%" PRIu32 ", %" PRIu32
                   "), where it is not configured",
                   config_name(b, c), side_name(side), x, y, key_x(key), key_y(key));
        return;
    }
    uint32_t in = b->image->routes[b->configs[next].rect].in;
    if (in != (uint32_t)side_opposite((Side)side)) {
        check_fail(b->d, CHECK_ROUTE_SIDE,
                   "%s goes %s from (%" PRIu32 ", %" PRIu32 ") to (%" PRIu32 ", %" PRIu32
                   "), which accepts it from the %s",
                   config_name(b, c), side_name(side), x, y, key_x(key), key_y(key), side_name(in));
        return;
    }
    uint32_t n = defect_hops(b->f->defects, x, y, key_x(key), key_y(key));
    Hop hop = {next, add_branch(b, at.branch, x, y, side, n), at.hops + n};
    vec_push(&b->scratch, &b->hops, hop);
}

static void *copy_out(Arena *a, const void *data, size_t n, size_t size, size_t align)
{
    void *copy = arena_alloc(a, n, size, align);
    if (n > 0)
        memcpy(copy, data, n * size);
    return copy;
}

// The route that a channel feeds, from its first router on.
static void follow(Builder *b, uint32_t node, uint32_t channel, uint32_t first)
{
    Fabric *f = b->f;
    FabricNode *n = &f->nodes[node];
    const Config *start = &b->configs[first];
    b->branches.n = b->receivers.n = b->hops.n = 0;
    uint32_t side = n->is_port ? b->image->ports[n->rect].side : (uint32_t)UP;
    Hop hop = {first, add_branch(b, UINT32_MAX, n->x, n->y, side, 1), 0};
    vec_push(&b->scratch, &b->hops, hop);
    for (size_t k = 0; k < b->hops.n && !enough(b); k++) {
        Hop at = b->hops.data[k];
        Config *c = &b->configs[at.config];
        uint32_t x = key_x(c->key), y = key_y(c->key);
        c->route = f->n_routes;
        uint32_t out = b->image->routes[c->rect].out;
        for (uint32_t s = 0; s < SIDE_COUNT; s++) {
            if (!(out >> s & 1))
                continue;
            if (s == SIDE_RAMP)
                leave_to_core(b, at);
            else if (side_inside(b, x, y, s))
                leave_to_neighbor(b, at, s);
            else
                add_receiver(b, f->n_cores + port_behind(b, c->key, s, true), 0,
                             add_branch(b, at.branch, x, y, s, 1), at.hops);
        }
    }
    n->route[channel] = f->n_routes;
    FabricRoute *r = &f->routes[f->n_routes++];
    *r = (FabricRoute){.source = node,
                       .channel = channel,
                       .color = key_what(start->key),
                       .stream = b->image->routes[start->rect].stream,
                       .n_branches = (uint32_t)b->branches.n,
                       .n_receivers = (uint32_t)b->receivers.n};
    r->branches = copy_out(b->arena, b->branches.data, r->n_branches, sizeof *r->branches,
                           alignof(FabricBranch));
    r->receivers = copy_out(b->arena, b->receivers.data, r->n_receivers, sizeof *r->receivers,
                            alignof(FabricReceiver));
}

static void follow_all(Builder *b)
{
    Fabric *f = b->f;
    uint32_t n_nodes = f->n_cores + f->n_ports, n_out = 0;
    for (uint32_t i = 0; i < n_nodes; i++) {
        const Class *c = &b->image->classes[f->nodes[i].class_id];
        for (uint32_t k = 0; k < c->n_channels; k++)
            n_out += c->channel_is_out[k] && f->nodes[i].channels[k].color >= 0;
    }
    f->routes = arena_array(b->arena, FabricRoute, (size_t)n_out + 1);
    for (uint32_t i = 0; i < n_nodes && !enough(b); i++) {
        const FabricNode *n = &f->nodes[i];
        const Class *c = &b->image->classes[n->class_id];
        for (uint32_t k = 0; k < c->n_channels && !enough(b); k++) {
            int32_t color = n->channels[k].color;
            if (!c->channel_is_out[k] || color < 0)
                continue;
            uint32_t first = map_get(&b->config_at, position_key(n->x, n->y, (uint32_t)color));
            uint32_t side = n->is_port ? b->image->ports[n->rect].side : (uint32_t)SIDE_RAMP;
            if (first != UINT32_MAX && b->image->routes[b->configs[first].rect].in == side)
                follow(b, i, k, first);
            else
                check_fail(b->d, n->is_port ? CHECK_PORT_ROUTE : CHECK_CHANNEL_UNSENT,
                           "%s sends on color %" PRId32 ", which its router %s",
                           fabric_node_name(&b->scratch, f, i), color,
                           first == UINT32_MAX ? "has no route for" : "takes from elsewhere");
        }
    }
}

// ---- what no route reached ----

// The router that feeds this one, or UINT32_MAX. Only for unreached ones.
static uint32_t predecessor(const Builder *b, const Config *c)
{
    uint32_t in = b->image->routes[c->rect].in;
    if (in == SIDE_RAMP || !side_inside(b, key_x(c->key), key_y(c->key), in))
        return UINT32_MAX;
    uint32_t before = map_get(&b->config_at, neighbor_key(c->key, in));
    if (before == UINT32_MAX)
        return UINT32_MAX;
    uint32_t out = b->image->routes[b->configs[before].rect].out;
    return out >> side_opposite((Side)in) & 1 ? before : UINT32_MAX;
}

static void report_unreached(Builder *b, const Config *c)
{
    uint32_t in = b->image->routes[c->rect].in;
    bool ramp = in == SIDE_RAMP;
    check_fail(b->d, ramp ? CHECK_ROUTE_SOURCE : CHECK_ROUTE_UNREACHED,
               "%s is accepted from the %s at (%" PRIu32 ", %" PRIu32 "), but %s sends it there",
               config_name(b, c), side_name(in), key_x(c->key), key_y(c->key),
               ramp ? "no core" : "nothing");
}

// Walks back from every unreached router to what is wrong: its root, or a loop. Each is
// reported once: routers walked over are marked with the walk's number.
static void check_unreached(Builder *b)
{
    uint32_t *walk = arena_array(&b->scratch, uint32_t, (size_t)b->n_configs + 1);
    for (uint32_t i = 0; i < b->n_configs && !enough(b); i++) {
        uint32_t at = i;
        while (at != UINT32_MAX && b->configs[at].route == NO_ROUTE && walk[at] == 0) {
            walk[at] = i + 1;
            uint32_t before = predecessor(b, &b->configs[at]);
            if (before == UINT32_MAX)
                report_unreached(b, &b->configs[at]);
            else if (walk[before] == i + 1)
                check_fail(b->d, CHECK_ROUTE_LOOP,
                           "%s goes round in a loop through (%" PRIu32 ", %" PRIu32 ")",
                           config_name(b, &b->configs[before]), key_x(b->configs[before].key),
                           key_y(b->configs[before].key));
            at = before;
        }
    }
}

static void check_unfed(Builder *b)
{
    Fabric *f = b->f;
    for (uint32_t i = 0; i < f->n_cores + f->n_ports && !enough(b); i++) {
        const FabricNode *n = &f->nodes[i];
        const Class *c = &b->image->classes[n->class_id];
        for (uint32_t k = 0; k < c->n_channels; k++) {
            if (!c->channel_is_out[k] && n->channels[k].color >= 0 && n->route[k] == NO_ROUTE)
                check_fail(b->d, n->is_port ? CHECK_PORT_ROUTE : CHECK_CHANNEL_UNFED,
                           "%s receives on color %" PRId32 ", which no route delivers there",
                           fabric_node_name(&b->scratch, f, i), n->channels[k].color);
        }
    }
}

bool fabric_build(Arena *a, Diag *d, const Image *image, Fabric *result)
{
    *result = (Fabric){.image = image};
    Builder b = {.arena = a,
                 .d = d,
                 .errors_before = d->n_errors,
                 .image = image,
                 .m = &image->machine,
                 .f = result};
    // Each phase relies on what the ones before have established.
    static void (*const phases[])(Builder *) = {
        check_machine, check_defects, check_indices, check_tensors,   check_kernels, unfold_cores,
        unfold_ports,  unfold_routes, follow_all,    check_unreached, check_unfed,
    };
    uint32_t rows =
        image->machine.height < MACHINE_MAX_EXTENT ? image->machine.height : MACHINE_MAX_EXTENT;
    for (uint32_t s = 0; s < SIDE_COUNT; s++) {
        b.port_at[s] = arena_array(&b.scratch, uint32_t, (size_t)rows + 1);
        memset(b.port_at[s], 0xff, ((size_t)rows + 1) * sizeof(uint32_t));
    }
    for (size_t i = 0; i < sizeof phases / sizeof *phases && errors(&b) == 0; i++)
        phases[i](&b);
    arena_free(&b.scratch);
    return errors(&b) == 0;
}
