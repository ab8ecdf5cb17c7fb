// SPDX-License-Identifier: Apache-2.0
// runtime/format/image_write.c - an image to bytes.
//
// Each section is written into a buffer of its own, field by field in the order of
// image_layout.h; weights and native code are not copied before the file is put together.
// The bytes depend on the image's values alone: no addresses, no times, no hash order
// (strings are numbered in the order of their first use). O(bytes of the file).
#include "runtime/format/image_layout.h"

#include <stdio.h>
#include <stdlib.h>

#include "ir/support/hash.h"

// ---- buffers ----

typedef struct Out {
    uint8_t *data;
    size_t len, cap;
    struct Strings *strings;
} Out;

typedef struct Strings { // the string table, and an open-addressing table of its offsets
    Out text;
    uint32_t *slot;
    size_t n, n_slots; // a power of 2
} Strings;

static void *checked(void *memory)
{
    if (memory == NULL) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return memory;
}

static uint8_t *put(Out *out, size_t n)
{
    if (n > out->cap - out->len) {
        out->cap = out->cap + n < 64 ? 64 : 2 * out->cap + n;
        out->data = checked(realloc(out->data, out->cap));
    }
    out->len += n;
    return out->data + out->len - n;
}

static void put_bytes(Out *out, const void *data, size_t n)
{
    if (n > 0)
        memcpy(put(out, n), data, n);
}

static void put_u64(Out *out, uint64_t v)
{
    uint8_t *at = put(out, 8);
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(v >> 8 * i);
}

static void put_u32(Out *out, uint32_t v)
{
    uint8_t *at = put(out, 4);
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> 8 * i);
}

static void put_u16(Out *out, uint16_t v)
{
    uint8_t *at = put(out, 2);
    at[0] = (uint8_t)v;
    at[1] = (uint8_t)(v >> 8);
}

static void put_u8(Out *out, uint8_t v)
{
    *put(out, 1) = v;
}

static void put_i8(Out *out, int8_t v)
{
    put_u8(out, (uint8_t)v);
}

static void put_flag(Out *out, bool v)
{
    put_u8(out, v);
}

static void put_i32(Out *out, int32_t v)
{
    put_u32(out, (uint32_t)v);
}

static void put_i64(Out *out, int64_t v)
{
    put_u64(out, (uint64_t)v);
}

static void put_f32(Out *out, float v)
{
    put_u32(out, f32_to_bits(v));
}

static void put_fraction(Out *out, Fraction v)
{
    put_u32(out, v.num);
    put_u32(out, v.den);
}

static void put_grid(Out *out, Grid g)
{
    put_u32(out, g.x);
    put_u32(out, g.y);
    put_u32(out, g.nx);
    put_u32(out, g.ny);
    put_u32(out, g.sx);
    put_u32(out, g.sy);
}

static void put_scalar(Out *out, Scalar s)
{
    put_u8(out, s.kind);
    put_u8(out, s.loop);
    put_i32(out, s.value);
}

static uint32_t *string_slot(const Strings *s, const char *string)
{
    size_t i = hash_bytes(0, string, strlen(string)) & (s->n_slots - 1);
    while (s->slot[i] != 0 && strcmp((const char *)s->text.data + s->slot[i], string) != 0)
        i = (i + 1) & (s->n_slots - 1);
    return &s->slot[i];
}

static void strings_grow(Strings *s)
{
    uint32_t *old = s->slot;
    size_t n = s->n_slots;

    s->n_slots = n == 0 ? 64 : 2 * n;
    s->slot = checked(calloc(s->n_slots, sizeof *s->slot));
    for (size_t i = 0; i < n; i++) {
        if (old[i] != 0)
            *string_slot(s, (const char *)s->text.data + old[i]) = old[i];
    }
    free(old);
}

static void put_str(Out *out, const char *string)
{
    Strings *s = out->strings;

    if (string == NULL || *string == '\0') { // the table's first byte
        put_u32(out, 0);
        return;
    }
    if (2 * (s->n + 1) > s->n_slots)
        strings_grow(s);
    uint32_t *slot = string_slot(s, string);
    if (*slot == 0) {
        *slot = (uint32_t)s->text.len;
        put_bytes(&s->text, string, strlen(string) + 1);
        s->n++;
    }
    put_u32(out, *slot);
}

// ---- records ----

#define PUT_FIELD(type, member) put_##type(out, r->member);

#define WRITER(Type, name, LAYOUT)                                                                 \
    static void put_##name(Out *out, const Type *r)                                                \
    {                                                                                              \
        LAYOUT(PUT_FIELD)                                                                          \
    }

WRITER(Machine, machine, LAYOUT_MACHINE)
WRITER(DefectRun, defect, LAYOUT_DEFECT)
WRITER(Image, source, LAYOUT_SOURCE)
WRITER(Origin, origin, LAYOUT_ORIGIN)
WRITER(KernelInfo, kernel, LAYOUT_KERNEL)
WRITER(StreamInfo, stream, LAYOUT_STREAM)
WRITER(Affine, affine, LAYOUT_AFFINE)
WRITER(Channel, channel, LAYOUT_CHANNEL)
WRITER(Segment, segment, LAYOUT_SEGMENT)
WRITER(Init, init, LAYOUT_INIT)
WRITER(CoreRect, rect, LAYOUT_RECT)
WRITER(RouteRect, route, LAYOUT_ROUTE)
WRITER(HostTensor, tensor, LAYOUT_TENSOR)
WRITER(Port, port, LAYOUT_PORT)

static void put_operand(Out *out, Operand o)
{
    const Operand *r = &o;
    LAYOUT_OPERAND(PUT_FIELD)
}

WRITER(Op, op, LAYOUT_OP)

static void put_programs(Out *out, const Image *image)
{
    put_u32(out, image->n_classes);
    for (uint32_t i = 0; i < image->n_classes; i++) {
        const Class *c = &image->classes[i];
        put_u32(out, c->n_data);
        put_u32(out, c->n_channels);
        for (uint32_t k = 0; k < c->n_channels; k++)
            put_flag(out, c->channel_is_out[k]);
        put_u32(out, c->n_ops);
        for (uint32_t k = 0; k < c->n_ops; k++)
            put_op(out, &c->ops[k]);
    }
}

static void put_plan(Out *out, const Image *image)
{
    for (uint32_t i = 0; i < image->n_classes; i++)
        put_str(out, image->classes[i].name);
    put_u32(out, image->n_kernels);
    for (uint32_t i = 0; i < image->n_kernels; i++)
        put_kernel(out, &image->kernels[i]);
    put_u32(out, image->n_streams);
    for (uint32_t i = 0; i < image->n_streams; i++)
        put_stream(out, &image->streams[i]);
}

static void put_cores(Out *out, const Image *image)
{
    put_u32(out, image->n_cores);
    for (uint32_t i = 0; i < image->n_cores; i++) {
        const CoreRect *r = &image->cores[i];
        const Class *c = &image->classes[r->class_id];
        put_rect(out, r);
        for (uint32_t k = 0; k < c->n_data; k++)
            put_affine(out, &r->data[k]);
        for (uint32_t k = 0; k < c->n_channels; k++)
            put_channel(out, &r->channels[k]);
        put_u32(out, r->n_segments);
        for (uint32_t k = 0; k < r->n_segments; k++)
            put_segment(out, &r->segments[k]);
        put_u32(out, r->n_inits);
        for (uint32_t k = 0; k < r->n_inits; k++)
            put_init(out, &r->inits[k]);
    }
}

static void put_io(Out *out, const Image *image)
{
    put_u32(out, image->n_tensors);
    for (uint32_t i = 0; i < image->n_tensors; i++)
        put_tensor(out, &image->tensors[i]);
    put_u32(out, image->n_ports);
    for (uint32_t i = 0; i < image->n_ports; i++) {
        const Port *p = &image->ports[i];
        put_port(out, p);
        for (uint32_t k = 0; k < image->classes[p->class_id].n_data; k++)
            put_i32(out, p->data[k]);
    }
}

static void put_sections(Out section[IMAGE_SECTIONS], const Image *image)
{
    const Machine *m = &image->machine;
    Out *out = &section[IMAGE_MACHINE];

    put_str(out, m->name);
    put_machine(out, m);
    for (int c = 0; c < COST_COUNT; c++) {
        for (int t = 0; t < DT_COUNT; t++) {
            put_fraction(out, m->cost[c][t].width);
            put_fraction(out, m->cost[c][t].conflict);
        }
    }
    for (uint32_t i = 0; i < image->defects.n; i++)
        put_defect(&section[IMAGE_DEFECTS], &image->defects.runs[i]);
    out = &section[IMAGE_SOURCE];
    put_source(out, image);
    put_bytes(out, image->source, image->source_len);
    out = &section[IMAGE_ORIGINS];
    put_u32(out, image->n_origins);
    for (uint32_t i = 0; i < image->n_origins; i++)
        put_origin(out, &image->origins[i]);
    put_programs(&section[IMAGE_PROGRAMS], image);
    put_plan(&section[IMAGE_PLAN], image);
    put_cores(&section[IMAGE_CORES], image);
    out = &section[IMAGE_ROUTES];
    put_u32(out, image->n_routes);
    for (uint32_t i = 0; i < image->n_routes; i++)
        put_route(out, &image->routes[i]);
    put_io(&section[IMAGE_IO], image);
    out = &section[IMAGE_NATIVE];
    put_str(out, image->native.cpu);
    put_bytes(out, image->native.programs, DIGEST_BYTES);
    for (uint32_t i = 0; image->native.bytes > 0 && i < image->n_classes; i++)
        put_u64(out, image->native.entry[i]);
}

// ---- the file ----

void image_programs_digest(const Image *image, uint8_t digest[32])
{
    Out out = {0};
    put_programs(&out, image);
    sha256(out.data, out.len, digest);
    free(out.data);
}

void image_write(const Image *image, Bytes *result)
{
    Strings strings = {0};
    Out section[IMAGE_SECTIONS] = {{0}};
    SectionBytes view[IMAGE_SECTIONS];
    uint64_t len[IMAGE_SECTIONS];
    SectionPlace place;

    put_u8(&strings.text, 0);
    for (int i = 0; i < IMAGE_SECTIONS; i++)
        section[i].strings = &strings;
    image_note(put(&section[IMAGE_NOTE], NOTE_BYTES));
    put_sections(section, image);
    put_bytes(&section[IMAGE_SHSTRTAB], image_shstrtab, image_shstrtab_len);
    memset(put(&section[IMAGE_DIGEST], IMAGE_DIGEST_BYTES), 0, IMAGE_DIGEST_BYTES);
    free(strings.slot);
    section[IMAGE_STRINGS] = strings.text;

    for (int i = 0; i < IMAGE_SECTIONS; i++)
        len[i] = section[i].len;
    len[IMAGE_DATA] = image->data_bytes;
    len[IMAGE_NATIVE] += image->native.bytes;
    if (!image_place(len, &place)) {
        fputs("an image of more than 2^63 bytes\n", stderr);
        abort();
    }
    result->len = place.end;
    result->data = checked(calloc(1, place.end));
    image_headers(len, &place, result->data, result->data + place.headers);
    for (int i = 0; i < IMAGE_SECTIONS; i++) {
        uint8_t *at = result->data + place.offset[i];
        view[i] = (SectionBytes){at, len[i]};
        if (section[i].len > 0)
            memcpy(at, section[i].data, section[i].len);
        if (i == IMAGE_DATA && len[i] > 0)
            memcpy(at, image->data, len[i]);
        if (i == IMAGE_NATIVE && image->native.bytes > 0)
            memcpy(at + section[i].len, image->native.code, image->native.bytes);
        free(section[i].data);
    }
    uint8_t *digest = result->data + place.offset[IMAGE_DIGEST];
    uint8_t fresh[IMAGE_DIGEST_BYTES];
    image_digests(*result, view, fresh);
    memcpy(digest, fresh, sizeof fresh);
}
