// SPDX-License-Identifier: Apache-2.0
// runtime/format/image_read.c - bytes to an image, trusting none of them.
//
// In order: ELF magic, version, the frame (image_sections), the digests, then the sections.
// A cursor over one section's bytes never leaves them: what is read past the end is zero and
// marks the section as too short. A count is compared with the bytes left before anything is
// allocated for it, and records in memory are at most a few times their bytes, so memory is
// O(bytes of the file) whatever they say. Numbers that index something, enumerations and
// divisors are checked here; what the image means is runtime/check's business.
#include "runtime/format/image_layout.h"

#include <inttypes.h>

#include "ir/support/hash.h"

typedef struct In {
    Arena *arena;
    Diag *diag;
    const char *path;
    const char *name; // of the section
    const uint8_t *at;
    uint64_t left;
    SectionBytes strings;
    bool short_of_bytes, bad_string, bad_flag;
} In;

#define FAIL(in, ...) fail((in), arena_printf((in)->arena, __VA_ARGS__))

static bool fail(const In *in, const char *what)
{
    return diag_error(in->diag, (Span){0}, "%s: section %s: %s", in->path, in->name, what);
}

// ---- fields ----

static const uint8_t *take(In *in, uint64_t n)
{
    static const uint8_t zeros[32];
    if (n > in->left) {
        in->short_of_bytes = true;
        in->left = 0;
        return n <= sizeof zeros ? zeros : NULL;
    }
    in->at += n;
    in->left -= n;
    return in->at - n;
}

static uint8_t get_u8(In *in)
{
    return *take(in, 1);
}

static uint16_t get_u16(In *in)
{
    const uint8_t *b = take(in, 2);
    return (uint16_t)(b[0] | b[1] << 8);
}

static uint32_t get_u32(In *in)
{
    const uint8_t *b = take(in, 4);
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t get_u64(In *in)
{
    uint64_t low = get_u32(in);
    return low | (uint64_t)get_u32(in) << 32;
}

static int8_t get_i8(In *in)
{
    return (int8_t)get_u8(in);
}

static int32_t get_i32(In *in)
{
    return (int32_t)get_u32(in);
}

static int64_t get_i64(In *in)
{
    return (int64_t)get_u64(in);
}

static bool get_flag(In *in)
{
    uint8_t v = get_u8(in);
    in->bad_flag = in->bad_flag || v > 1;
    return v == 1;
}

static float get_f32(In *in)
{
    return f32_from_bits(get_u32(in));
}

static Fraction get_fraction(In *in)
{
    uint32_t num = get_u32(in);
    return (Fraction){num, get_u32(in)};
}

static Grid get_grid(In *in)
{
    Grid g;
    g.x = get_u32(in);
    g.y = get_u32(in);
    g.nx = get_u32(in);
    g.ny = get_u32(in);
    g.sx = get_u32(in);
    g.sy = get_u32(in);
    return g;
}

static Scalar get_scalar(In *in)
{
    Scalar s;
    s.kind = get_u8(in);
    s.loop = get_u8(in);
    s.value = get_i32(in);
    return s;
}

static const char *get_str(In *in)
{
    uint32_t offset = get_u32(in);
    if (offset >= in->strings.len) {
        in->bad_string = true;
        return "";
    }
    return (const char *)in->strings.data + offset; // the table's last byte is a NUL
}

// A count of records of at least `size` bytes each.
static uint32_t get_count(In *in, uint64_t size)
{
    uint32_t n = get_u32(in);
    if (n > in->left / size) {
        in->short_of_bytes = true;
        in->left = 0;
        return 0;
    }
    return n;
}

static bool section_sound(const In *in)
{
    if (in->short_of_bytes)
        return fail(in, "it ends within its contents");
    if (in->bad_string)
        return fail(in, "a string outside of .wse.strings");
    if (in->bad_flag)
        return fail(in, "a flag that is neither 0 nor 1");
    return true;
}

static bool section_ends(const In *in)
{
    if (!section_sound(in))
        return false;
    return in->left == 0 || FAIL(in, "%" PRIu64 " bytes too many", in->left);
}

static bool index_ok(const In *in, const char *what, uint32_t i, uint32_t n)
{
    return i < n || FAIL(in, "%s %u of %u", what, i, n);
}

static bool range_ok(const In *in, const char *what, uint32_t v, uint32_t low, uint32_t high)
{
    return (v >= low && v <= high) || FAIL(in, "%s is %u, not %u to %u", what, v, low, high);
}

// ---- records ----

#define GET_FIELD(type, member) r->member = get_##type(in);

#define READER(Type, name, LAYOUT)                                                                 \
    static void get_##name(In *in, Type *r)                                                        \
    {                                                                                              \
        LAYOUT(GET_FIELD)                                                                          \
    }

static Operand get_operand(In *in)
{
    Operand o, *r = &o;
    LAYOUT_OPERAND(GET_FIELD)
    return o;
}

READER(Machine, machine, LAYOUT_MACHINE)
READER(DefectRun, defect, LAYOUT_DEFECT)
READER(Image, source, LAYOUT_SOURCE)
READER(Origin, origin, LAYOUT_ORIGIN)
READER(Op, op, LAYOUT_OP)
READER(KernelInfo, kernel, LAYOUT_KERNEL)
READER(StreamInfo, stream, LAYOUT_STREAM)
READER(Affine, affine, LAYOUT_AFFINE)
READER(Channel, channel, LAYOUT_CHANNEL)
READER(Segment, segment, LAYOUT_SEGMENT)
READER(Init, init, LAYOUT_INIT)
READER(CoreRect, rect, LAYOUT_RECT)
READER(RouteRect, route, LAYOUT_ROUTE)
READER(HostTensor, tensor, LAYOUT_TENSOR)
READER(Port, port, LAYOUT_PORT)

static bool grid_ok(const In *in, Grid g)
{
    return range_ok(in, "x of a grid", g.x, 0, MACHINE_MAX_EXTENT - 1) &&
           range_ok(in, "y of a grid", g.y, 0, MACHINE_MAX_EXTENT - 1) &&
           range_ok(in, "columns of a grid", g.nx, 1, MACHINE_MAX_EXTENT) &&
           range_ok(in, "rows of a grid", g.ny, 1, MACHINE_MAX_EXTENT) &&
           range_ok(in, "x step of a grid", g.sx, 1, MACHINE_MAX_EXTENT) &&
           range_ok(in, "y step of a grid", g.sy, 1, MACHINE_MAX_EXTENT);
}

static bool read_machine(In *in, Machine *m)
{
    const char *name = get_str(in);

    get_machine(in, m);
    bool fractions =
        m->landing.num > 0 && m->landing.den > 0 && m->host_words.den > 0 && m->host_words.num > 0;
    for (int c = 0; c < COST_COUNT; c++) {
        for (int t = 0; t < DT_COUNT; t++) {
            OpCost *cost = &m->cost[c][t];
            cost->width = get_fraction(in);
            cost->conflict = get_fraction(in);
            fractions = fractions && cost->width.num > 0 && cost->width.den > 0 &&
                        cost->conflict.den > 0 && cost->conflict.num >= cost->conflict.den;
        }
    }
    if (!section_ends(in))
        return false;
    if (strlen(name) >= sizeof m->name)
        return fail(in, "the machine's name is too long");
    memcpy(m->name, name, strlen(name) + 1);
    if (!fractions)
        return fail(in, "a width, factor or rate that is not positive");
    return range_ok(in, "width", m->width, 1, MACHINE_MAX_EXTENT) &&
           range_ok(in, "height", m->height, 1, MACHINE_MAX_EXTENT) &&
           range_ok(in, "spare_columns", m->spare_columns, 0, MACHINE_MAX_EXTENT) &&
           range_ok(in, "sram_bytes", m->sram_bytes, 1, 1 << 22) &&
           range_ok(in, "reserve_bytes", m->reserve_bytes, 0, m->sram_bytes) &&
           range_ok(in, "op_bytes", m->op_bytes, 0, 1 << 16) &&
           range_ok(in, "banks", m->banks, 1, 1 << 16) &&
           range_ok(in, "bank_bytes", m->bank_bytes, 1, 1 << 22) &&
           range_ok(in, "setup", m->setup, 0, 1 << 20) &&
           range_ok(in, "setup_loop", m->setup_loop, 0, 1 << 20) &&
           range_ok(in, "latency", m->latency, 0, 1 << 20) &&
           range_ok(in, "colors", m->colors, 1, MACHINE_MAX_COLORS) &&
           range_ok(in, "reserved_colors", m->reserved_colors, 0, m->colors) &&
           range_ok(in, "hop", m->hop, 0, 1 << 20) && range_ok(in, "ramp", m->ramp, 0, 1 << 20);
}

static bool read_defects(In *in, Image *image)
{
    Defects *d = &image->defects;
    uint64_t n = in->left / LAYOUT_SIZE(LAYOUT_DEFECT);
    uint32_t bad;

    if (n > UINT32_MAX)
        return fail(in, "too many runs of dead cores");
    d->n = (uint32_t)n;
    d->runs = arena_array(in->arena, DefectRun, d->n);
    for (uint32_t i = 0; i < d->n; i++)
        get_defect(in, &d->runs[i]);
    if (!section_ends(in))
        return false;
    return defects_sound(&image->machine, d, &bad) ||
           FAIL(in, "run %u of dead cores is out of order, touches another or leaves the wafer",
                bad);
}

static bool read_source(In *in, Image *image)
{
    get_source(in, image);
    if (!section_sound(in))
        return false;
    if (image->source_len != in->left)
        return FAIL(in, "a text of %" PRIu64 " bytes in %" PRIu64, image->source_len, in->left);
    image->source = arena_strdup(in->arena, (const char *)in->at, in->left);
    return true;
}

static bool read_origins(In *in, Image *image)
{
    image->n_origins = get_count(in, LAYOUT_SIZE(LAYOUT_ORIGIN));
    image->origins = arena_array(in->arena, Origin, image->n_origins);
    for (uint32_t i = 0; i < image->n_origins; i++)
        get_origin(in, &image->origins[i]);
    if (!section_ends(in))
        return false;
    return image->n_origins > 0 || fail(in, "origin 0 is missing");
}

static bool read_class(In *in, const Image *image, Class *c, uint32_t index)
{
    const char *why;

    c->name = "";
    c->n_data = get_u32(in);
    c->n_channels = get_count(in, 1);
    if (c->n_channels > PROGRAM_MAX_CHANNELS)
        return FAIL(in, "class %u: %u channels", index, c->n_channels);
    for (uint32_t k = 0; k < c->n_channels; k++)
        c->channel_is_out[k] = get_flag(in);
    c->n_ops = get_count(in, LAYOUT_SIZE(LAYOUT_OP));
    if (c->n_ops > PROGRAM_MAX_OPS)
        return FAIL(in, "class %u: %u operations", index, c->n_ops);
    c->ops = arena_array(in->arena, Op, c->n_ops);
    for (uint32_t k = 0; k < c->n_ops; k++) {
        get_op(in, &c->ops[k]);
        if (!index_ok(in, "origin", c->ops[k].origin, image->n_origins))
            return false;
    }
    if (!section_sound(in))
        return false;
    if (!class_finish(c, &why) || !program_verify(in->arena, c, &why))
        return FAIL(in, "class %u: %s", index, why);
    return true;
}

static bool read_programs(In *in, Image *image)
{
    image->n_classes = get_count(in, 12);
    image->classes = arena_array(in->arena, Class, image->n_classes);
    for (uint32_t i = 0; i < image->n_classes; i++) {
        if (!read_class(in, image, &image->classes[i], i))
            return false;
    }
    return section_ends(in);
}

static bool read_plan(In *in, Image *image)
{
    for (uint32_t i = 0; i < image->n_classes; i++)
        image->classes[i].name = get_str(in);
    image->n_kernels = get_count(in, LAYOUT_SIZE(LAYOUT_KERNEL));
    image->kernels = arena_array(in->arena, KernelInfo, image->n_kernels);
    for (uint32_t i = 0; i < image->n_kernels; i++)
        get_kernel(in, &image->kernels[i]);
    image->n_streams = get_count(in, LAYOUT_SIZE(LAYOUT_STREAM));
    image->streams = arena_array(in->arena, StreamInfo, image->n_streams);
    for (uint32_t i = 0; i < image->n_streams; i++)
        get_stream(in, &image->streams[i]);
    if (!section_ends(in))
        return false;
    for (uint32_t i = 0; i < image->n_kernels; i++) {
        const KernelInfo *k = &image->kernels[i];
        if (!index_ok(in, "origin", k->origin, image->n_origins) ||
            !range_ok(in, "x of a kernel", k->x, 0, MACHINE_MAX_EXTENT) ||
            !range_ok(in, "y of a kernel", k->y, 0, MACHINE_MAX_EXTENT) ||
            !range_ok(in, "width of a kernel", k->w, 0, MACHINE_MAX_EXTENT) ||
            !range_ok(in, "height of a kernel", k->h, 0, MACHINE_MAX_EXTENT) ||
            !index_ok(in, "turn of a kernel", k->turn, 4))
            return false;
    }
    for (uint32_t i = 0; i < image->n_streams; i++) {
        const StreamInfo *s = &image->streams[i];
        if ((s->from != -1 && !index_ok(in, "kernel", (uint32_t)s->from, image->n_kernels)) ||
            (s->to != -1 && !index_ok(in, "kernel", (uint32_t)s->to, image->n_kernels)) ||
            !index_ok(in, "origin", s->origin, image->n_origins) ||
            !index_ok(in, "element type", s->dtype, DT_COUNT) ||
            !range_ok(in, "lanes of a stream", s->lanes, 1, UINT32_MAX) ||
            !range_ok(in, "segments of a stream", s->segs, 1, UINT32_MAX))
            return false;
    }
    return true;
}

// The bytes of an Init lie within the data for every core of the grid.
static bool init_ok(const In *in, const Image *image, const CoreRect *r, const Init *init)
{
    int64_t steps_i, steps_j;

    if (init->offset <= INT64_MAX &&
        !__builtin_mul_overflow(init->pitch_i, (int64_t)r->grid.nx - 1, &steps_i) &&
        !__builtin_mul_overflow(init->pitch_j, (int64_t)r->grid.ny - 1, &steps_j)) {
        int64_t low = (int64_t)init->offset, high = low;
        if (!__builtin_add_overflow(steps_i < 0 ? low : high, steps_i,
                                    steps_i < 0 ? &low : &high) &&
            !__builtin_add_overflow(steps_j < 0 ? low : high, steps_j,
                                    steps_j < 0 ? &low : &high) &&
            low >= 0 && (uint64_t)high <= image->data_bytes &&
            init->bytes <= image->data_bytes - (uint64_t)high)
            return true;
    }
    return FAIL(in,
                "initial contents of %u bytes from offset %" PRIu64 " leave the %" PRIu64
                " bytes of .wse.data",
                init->bytes, init->offset, image->data_bytes);
}

static bool read_rect(In *in, const Image *image, CoreRect *r)
{
    get_rect(in, r);
    if (!section_sound(in) || !grid_ok(in, r->grid) ||
        !index_ok(in, "class", r->class_id, image->n_classes) ||
        !index_ok(in, "kernel", r->kernel, image->n_kernels))
        return false;
    const Class *c = &image->classes[r->class_id];
    if (in->left < (uint64_t)c->n_data * LAYOUT_SIZE(LAYOUT_AFFINE))
        return fail(in, "it ends within the data words of a rectangle");
    r->data = arena_array(in->arena, Affine, c->n_data);
    for (uint32_t k = 0; k < c->n_data; k++)
        get_affine(in, &r->data[k]);
    r->channels = arena_array(in->arena, Channel, c->n_channels);
    for (uint32_t k = 0; k < c->n_channels; k++)
        get_channel(in, &r->channels[k]);
    r->n_segments = get_count(in, LAYOUT_SIZE(LAYOUT_SEGMENT));
    r->segments = arena_array(in->arena, Segment, r->n_segments);
    for (uint32_t k = 0; k < r->n_segments; k++) {
        get_segment(in, &r->segments[k]);
        if (!index_ok(in, "kind of segment", r->segments[k].kind, SEGMENT_COUNT) ||
            !index_ok(in, "origin", r->segments[k].origin, image->n_origins))
            return false;
    }
    r->n_inits = get_count(in, LAYOUT_SIZE(LAYOUT_INIT));
    r->inits = arena_array(in->arena, Init, r->n_inits);
    for (uint32_t k = 0; k < r->n_inits; k++) {
        get_init(in, &r->inits[k]);
        if (!init_ok(in, image, r, &r->inits[k]))
            return false;
    }
    return section_sound(in);
}

static bool read_cores(In *in, Image *image)
{
    image->n_cores = get_count(in, LAYOUT_SIZE(LAYOUT_RECT) + 8);
    image->cores = arena_array(in->arena, CoreRect, image->n_cores);
    for (uint32_t i = 0; i < image->n_cores; i++) {
        if (!read_rect(in, image, &image->cores[i]))
            return false;
    }
    return section_ends(in);
}

static bool read_routes(In *in, Image *image)
{
    image->n_routes = get_count(in, LAYOUT_SIZE(LAYOUT_ROUTE));
    image->routes = arena_array(in->arena, RouteRect, image->n_routes);
    for (uint32_t i = 0; i < image->n_routes; i++) {
        RouteRect *r = &image->routes[i];
        get_route(in, r);
        if (!grid_ok(in, r->grid) || !index_ok(in, "color", r->color, MACHINE_MAX_COLORS) ||
            !index_ok(in, "side", r->in, SIDE_COUNT) ||
            !index_ok(in, "set of sides", r->out, 1u << SIDE_COUNT) ||
            !index_ok(in, "stream", r->stream, image->n_streams))
            return false;
    }
    return section_ends(in);
}

static bool tensor_ok(const In *in, const Image *image, const HostTensor *t)
{
    uint64_t elements = 1;

    if (!index_ok(in, "element type", t->dtype, DT_COUNT) ||
        !index_ok(in, "origin", t->origin, image->n_origins) ||
        !range_ok(in, "rank of a tensor", t->rank, 0, IMAGE_MAX_RANK))
        return false;
    for (uint32_t k = 0; k < t->rank; k++) {
        if (!range_ok(in, "extent of a tensor", t->extent[k], 1, 1 << 28))
            return false;
        elements *= t->extent[k];
        if (elements > 1 << 28)
            return fail(in, "a tensor of more than 2^28 elements");
    }
    return true;
}

static bool read_io(In *in, Image *image)
{
    image->n_tensors = get_count(in, LAYOUT_SIZE(LAYOUT_TENSOR));
    image->tensors = arena_array(in->arena, HostTensor, image->n_tensors);
    for (uint32_t i = 0; i < image->n_tensors; i++) {
        get_tensor(in, &image->tensors[i]);
        if (!tensor_ok(in, image, &image->tensors[i]))
            return false;
    }
    image->n_ports = get_count(in, LAYOUT_SIZE(LAYOUT_PORT));
    image->ports = arena_array(in->arena, Port, image->n_ports);
    for (uint32_t i = 0; i < image->n_ports; i++) {
        Port *p = &image->ports[i];
        get_port(in, p);
        if (!section_sound(in))
            return false;
        if (p->side != SIDE_W && p->side != SIDE_E)
            return FAIL(in, "side %u of a port is neither west nor east", p->side);
        if (!index_ok(in, "y of a port", p->y, MACHINE_MAX_EXTENT) ||
            !index_ok(in, "color", p->color, MACHINE_MAX_COLORS) ||
            !index_ok(in, "tensor", p->tensor, image->n_tensors) ||
            !index_ok(in, "class", p->class_id, image->n_classes) ||
            !index_ok(in, "stream", p->stream, image->n_streams) ||
            !range_ok(in, "rate of a port", p->p, 1, UINT32_MAX) ||
            !range_ok(in, "rate of a port", p->q, 1, UINT32_MAX))
            return false;
        uint32_t n = image->classes[p->class_id].n_data;
        if (in->left < (uint64_t)n * 4)
            return fail(in, "it ends within the data words of a port");
        p->data = arena_array(in->arena, int32_t, n);
        for (uint32_t k = 0; k < n; k++)
            p->data[k] = get_i32(in);
    }
    return section_ends(in);
}

static bool read_native(In *in, Image *image, SectionBytes programs)
{
    NativeCode *native = &image->native;
    uint8_t digest[DIGEST_BYTES];

    native->cpu = get_str(in);
    memcpy(native->programs, take(in, DIGEST_BYTES), DIGEST_BYTES);
    if (!section_sound(in))
        return false;
    if (in->left == 0)
        return true;
    if (in->left < (uint64_t)image->n_classes * 8 + 1)
        return fail(in, "it ends within its entries");
    native->entry = arena_array(in->arena, uint64_t, image->n_classes);
    for (uint32_t i = 0; i < image->n_classes; i++)
        native->entry[i] = get_u64(in);
    native->code = in->at;
    native->bytes = in->left;
    for (uint32_t i = 0; i < image->n_classes; i++) {
        if (native->entry[i] != UINT64_MAX && native->entry[i] >= native->bytes)
            return FAIL(in, "entry of class %u outside of the code", i);
    }
    sha256(programs.data, programs.len, digest);
    return memcmp(digest, native->programs, sizeof digest) == 0 ||
           fail(in, "the code was made from other programs than those in .wse.programs");
}

// ---- the file ----

static bool version_ok(In *in, Bytes file)
{
    uint8_t note[NOTE_BYTES];

    if (file.len < 4 || memcmp(file.data,
                               "\x7f"
                               "ELF",
                               4) != 0)
        return diag_error(in->diag, (Span){0}, "%s: not a .wse image: no ELF file", in->path);
    image_note(note);
    if (file.len < ELF_HEADER + NOTE_BYTES)
        return fail(in, "the file ends before its end");
    const uint8_t *at = file.data + ELF_HEADER;
    if (memcmp(at, note, 16) != 0)
        return diag_error(in->diag, (Span){0}, "%s: not a .wse image: no section .note.wse",
                          in->path);
    in->at = at + 16;
    in->left = 8;
    uint32_t major = get_u32(in), minor = get_u32(in);
    if (major != IMAGE_VERSION_MAJOR)
        return FAIL(in, "the image has version %u.%u, this program reads version %d.%d", major,
                    minor, IMAGE_VERSION_MAJOR, IMAGE_VERSION_MINOR);
    if (memcmp(at, note, sizeof note) != 0)
        return FAIL(in,
                    "the layout of the image's version %u.%u is not the one this program reads "
                    "(%d.%d)",
                    major, minor, IMAGE_VERSION_MAJOR, IMAGE_VERSION_MINOR);
    return true;
}

static bool digests_ok(In *in, Bytes file, const SectionBytes section[IMAGE_SECTIONS])
{
    uint8_t digest[IMAGE_DIGEST_BYTES];
    const uint8_t *stored = section[IMAGE_DIGEST].data;

    image_digests(file, section, digest);
    for (int i = 0; i < IMAGE_DIGEST; i++) {
        in->name = image_section_names[i];
        if (memcmp(stored + i * DIGEST_BYTES, digest + i * DIGEST_BYTES, DIGEST_BYTES) != 0)
            return fail(in, "its bytes do not match its digest: the file was changed or damaged");
    }
    in->name = image_section_names[IMAGE_DIGEST];
    return memcmp(stored, digest, sizeof digest) == 0 ||
           fail(in, "the file does not match its digest: it was changed or damaged");
}

static In section_of(In in, const SectionBytes section[IMAGE_SECTIONS], ImageSection id)
{
    in.name = image_section_names[id];
    in.at = section[id].data;
    in.left = section[id].len;
    in.strings = section[IMAGE_STRINGS];
    return in;
}

bool image_read(Arena *a, Diag *d, const char *path, Bytes file, Image *result)
{
    In base = {.arena = a, .diag = d, .path = path, .name = image_section_names[IMAGE_NOTE]};
    SectionBytes section[IMAGE_SECTIONS];
    const char *why;
    In in;

    *result = (Image){0};
    if (!version_ok(&base, file))
        return false;
    if (!image_sections(file, section, &why))
        return diag_error(d, (Span){0}, "%s: not a whole .wse image: %s", path, why);
    if (!digests_ok(&base, file, section))
        return false;
    in = section_of(base, section, IMAGE_STRINGS);
    if (in.at[0] != 0 || in.at[in.left - 1] != 0)
        return fail(&in, "it does not begin and end with a NUL");

    result->data = section[IMAGE_DATA].data;
    result->data_bytes = section[IMAGE_DATA].len;
    memcpy(result->digest, section[IMAGE_DIGEST].data + IMAGE_DIGEST_BYTES - DIGEST_BYTES,
           DIGEST_BYTES);
    static const struct {
        ImageSection id;
        bool (*read)(In *in, Image *image);
    } parts[] = {
        {IMAGE_DEFECTS, read_defects},   {IMAGE_SOURCE, read_source}, {IMAGE_ORIGINS, read_origins},
        {IMAGE_PROGRAMS, read_programs}, {IMAGE_PLAN, read_plan},     {IMAGE_CORES, read_cores},
        {IMAGE_ROUTES, read_routes},     {IMAGE_IO, read_io},
    };
    in = section_of(base, section, IMAGE_MACHINE);
    if (!read_machine(&in, &result->machine))
        return false;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        in = section_of(base, section, parts[i].id);
        if (!parts[i].read(&in, result))
            return false;
    }
    in = section_of(base, section, IMAGE_NATIVE);
    return read_native(&in, result, section[IMAGE_PROGRAMS]);
}
