// SPDX-License-Identifier: Apache-2.0
// tests/format/test_image.c - images to bytes and back, and everything that is no image.
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/format/image_layout.h"
#include "tests/common/random_program.h"
#include "tests/common/suite.h"
#include "tests/format/harness.h"

// ---- a small image that has everything ----

typedef struct Sample {
    Arena arena;
    Image image;
    Bytes bytes;
} Sample;

#define COPY_ARRAY(arena, T, ...)                                                                  \
    memcpy(arena_array(arena, T, sizeof((T[]){__VA_ARGS__}) / sizeof(T)), (T[]){__VA_ARGS__},      \
           sizeof((T[]){__VA_ARGS__}))

static void make_sample(Sample *s)
{
    *s = (Sample){0};
    Arena *a = &s->arena;
    Image *im = &s->image;

    im->machine = plain_machine();
    im->machine.spare_columns = 2;
    im->defects.n = 2;
    im->defects.runs = COPY_ARRAY(a, DefectRun, {0, 5, 1}, {1, 3, 7});
    im->producer = "wsec 0.1.0";
    im->options = "--machine plain";
    im->model = "tiny";
    im->source_name = "tiny.dsl";
    im->source = "model tiny {\n}\n";
    im->source_len = strlen(im->source);
    im->has_weights = true;
    im->n_origins = 2;
    im->origins = COPY_ARRAY(a, Origin, {"", 0, 0}, {"fc1", 1, 7});
    im->n_classes = 2;
    im->classes = arena_array(a, Class, 2);
    im->classes[0] = class_of(
        a, "class 0 \"fc1 core\" data=2 {\n channel 0 in\n channel 1 out\n loop d1 {\n"
           "mac [1, 1, 4, d0] f32 m[1024 + 4*i0 : 0 0 0 1] <- f32 m[1088 : 0 0 d0 1], f32 c0 held=1"
           " @1 }\n copy [1, 1, 1, d0] f32 c1 <- f32 m[1024 : 0 0 0 1] }");
    im->classes[1] = class_of(a, "class 1 \"input\" data=1 {\n channel 0 out\n"
                                 "copy [1, 1, 1, 4] f32 c0 <- f32 m[d0 : 0 0 0 1] }");
    im->n_kernels = 1;
    im->kernels = COPY_ARRAY(
        a, KernelInfo,
        {"fc1", "matvec", "2x3: 4 -> 4", 1, 2, 2, 3, 1, 1000, 800, 2048, 3, true, 2, 3, 1});
    im->n_streams = 2;
    im->streams = COPY_ARRAY(a, StreamInfo,
                             {"x -> fc1", -1, 0, 1, 5, 1, 4, 1, "x", 1, 1, 4, 1, DT_F32, 0, 0, 0},
                             {"fc1 -> y", 0, -1, 1, 6, 1, 4, 1, "y", 1, 1, 4, 1, DT_F16, 5, 1, 1});
    im->n_cores = 1;
    im->cores = COPY_ARRAY(
        a, CoreRect, {.grid = {1, 2, 2, 3, 1, 1}, .class_id = 0, .n_segments = 2, .n_inits = 2});
    im->cores[0].data = COPY_ARRAY(a, Affine, {4, 0, 0}, {1, 2, -3});
    im->cores[0].channels = COPY_ARRAY(a, Channel, {5, 2048, 2, 4}, {-1, 0, 1, 4});
    im->cores[0].segments =
        COPY_ARRAY(a, Segment, {1024, 64, SEGMENT_BUFFER, 1}, {2048, 32, SEGMENT_RING, 0});
    im->cores[0].inits = COPY_ARRAY(a, Init, {1088, 64, 16, 32, 48}, {1024, 16, 176, -160, 0});
    im->n_routes = 1;
    im->routes = COPY_ARRAY(a, RouteRect,
                            {{0, 2, 1, 3, 1, 2}, 5, SIDE_W, 1u << SIDE_E | 1u << SIDE_RAMP, 1});
    im->n_tensors = 2;
    im->tensors = COPY_ARRAY(a, HostTensor, {"x", false, DT_F32, 1, {4, 1, 1, 1}, 1},
                             {"y", true, DT_F32, 2, {2, 2, 0, 0}, 0});
    im->n_ports = 1;
    im->ports = COPY_ARRAY(
        a, Port, {.side = SIDE_W, .y = 2, .color = 5, .tensor = 0, .class_id = 1, .p = 4, .q = 1});
    im->ports[0].data = COPY_ARRAY(a, int32_t, -12345);
    uint8_t *data = arena_array(a, uint8_t, 256);
    for (int i = 0; i < 256; i++)
        data[i] = (uint8_t)(i * 7);
    im->data = data;
    im->data_bytes = 256;
    im->native.cpu = "x86-64-v3";
    im->native.code = (const uint8_t *)"\xc3\xc3\xc3";
    im->native.bytes = 3;
    im->native.entry = COPY_ARRAY(a, uint64_t, 1, UINT64_MAX);
    image_programs_digest(im, im->native.programs);
    image_write(im, &s->bytes);
}

static void free_sample(Sample *s)
{
    bytes_free(&s->bytes);
    arena_free(&s->arena);
}

// Reads; false with the messages in *text (heap) if it is refused.
static bool try_read(Bytes file, char **text)
{
    Capture m;
    Image image;

    capture_begin(&m);
    bool good = image_read(&m.arena, &m.diag, "x.wse", file, &image);
    *text = capture_take(&m);
    return good;
}

static void expect_refused(Bytes file, const char *what)
{
    char *text;
    bool good = try_read(file, &text);

    if (good || strstr(text, what) == NULL)
        printf("\nwanted: %s\ngot: %s\n", what, good ? "(accepted)" : text);
    CU_ASSERT_FALSE(good);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, what));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "x.wse: "));
    free(text);
}

// ---- tests ----

static void test_round_trip(void)
{
    Sample s;
    Arena a = {0};
    Capture m;
    Image back;
    Bytes again;

    make_sample(&s);
    capture_begin(&m);
    CU_ASSERT_TRUE_FATAL(image_read(&a, &m.diag, "x.wse", s.bytes, &back));
    capture_end(&m);
    CU_ASSERT_STRING_EQUAL(back.machine.name, "plain");
    CU_ASSERT_EQUAL(back.machine.cost[COST_MAC][DT_F32].width.num, 48);
    CU_ASSERT_STRING_EQUAL(back.producer, "wsec 0.1.0");
    CU_ASSERT_STRING_EQUAL(back.source, s.image.source);
    CU_ASSERT_TRUE(back.has_weights);
    CU_ASSERT_STRING_EQUAL(back.origins[1].name, "fc1");
    CU_ASSERT_STRING_EQUAL(back.classes[0].name, "fc1 core");
    CU_ASSERT_TRUE(class_equal(&back.classes[0], &s.image.classes[0]));
    CU_ASSERT_TRUE(class_equal(&back.classes[1], &s.image.classes[1]));
    CU_ASSERT_EQUAL(back.classes[0].ops[1].origin, 1);
    CU_ASSERT_EQUAL(back.classes[0].ops[1].depth, 1);
    CU_ASSERT_STRING_EQUAL(back.kernels[0].shape, "2x3: 4 -> 4");
    CU_ASSERT_EQUAL(back.streams[0].from, -1);
    CU_ASSERT_EQUAL(back.cores[0].data[1].dj, -3);
    CU_ASSERT_EQUAL(back.cores[0].channels[1].color, -1);
    CU_ASSERT_EQUAL(back.cores[0].inits[1].pitch_i, -160);
    CU_ASSERT_EQUAL(back.routes[0].grid.sy, 2);
    CU_ASSERT_EQUAL(back.tensors[1].extent[1], 2);
    CU_ASSERT_EQUAL(back.ports[0].data[0], -12345);
    CU_ASSERT_EQUAL(back.data[255], (uint8_t)(255 * 7));
    CU_ASSERT_EQUAL(back.native.entry[1], UINT64_MAX);
    CU_ASSERT_EQUAL(memcmp(back.native.code, "\xc3\xc3\xc3", 3), 0);
    image_write(&back, &again);
    CU_ASSERT_EQUAL(again.len, s.bytes.len);
    CU_ASSERT_EQUAL(memcmp(again.data, s.bytes.data, s.bytes.len), 0);
    bytes_free(&again);
    arena_free(&a);
    free_sample(&s);
}

// An image without anything optional, and one of random programs.
static void test_other_images(void)
{
    Rng rng = {9};
    Arena a = {0};
    char *text;
    Image image = {.machine = plain_machine(), .n_origins = 1};
    Bytes bytes;
    RandomProgram p;

    image.origins = arena_array(&a, Origin, 1);
    image_write(&image, &bytes);
    CU_ASSERT_TRUE(try_read(bytes, &text));
    free(text);
    bytes_free(&bytes);
    image.n_classes = 20;
    image.classes = arena_array(&a, Class, 20);
    for (uint32_t i = 0; i < image.n_classes; i++) {
        random_class(&a, &rng, &p);
        image.classes[i] = p.program;
    }
    image_write(&image, &bytes);
    Capture m;
    Image back;
    capture_begin(&m);
    CU_ASSERT_TRUE_FATAL(image_read(&a, &m.diag, "x.wse", bytes, &back));
    capture_end(&m);
    for (uint32_t i = 0; i < image.n_classes; i++)
        CU_ASSERT_TRUE(class_equal(&back.classes[i], &image.classes[i]));
    bytes_free(&bytes);
    arena_free(&a);
}

static void test_every_flip(void)
{
    Sample s;
    char *text;

    make_sample(&s);
    for (size_t i = 0; i < s.bytes.len; i++) {
        s.bytes.data[i] ^= (uint8_t)(1u << i % 8);
        bool good = try_read(s.bytes, &text);
        if (good)
            printf("\nbyte %zu of %zu may change\n", i, s.bytes.len);
        CU_ASSERT_FALSE_FATAL(good);
        s.bytes.data[i] ^= (uint8_t)(1u << i % 8);
        free(text);
    }
    free_sample(&s);
}

static void test_every_truncation(void)
{
    Sample s;
    char *text;

    make_sample(&s);
    for (size_t n = 0; n < s.bytes.len; n++) {
        uint8_t *copy = malloc(n + 1); // its own block: a read beyond it is seen
        memcpy(copy, s.bytes.data, n);
        CU_ASSERT_FALSE(try_read((Bytes){copy, n}, &text));
        free(text);
        free(copy);
    }
    uint8_t *longer = calloc(1, s.bytes.len + 64);
    memcpy(longer, s.bytes.data, s.bytes.len);
    expect_refused((Bytes){longer, s.bytes.len + 1}, "do not add up to the file");
    expect_refused((Bytes){longer, s.bytes.len + 64}, "do not add up to the file");
    free(longer);
    free_sample(&s);
}

static void test_messages(void)
{
    Sample s;
    SectionBytes section[IMAGE_SECTIONS];
    const char *why;

    make_sample(&s);
    expect_refused((Bytes){(uint8_t *)"", 0}, "not a .wse image");
    expect_refused((Bytes){(uint8_t *)"#!/bin/sh", 9}, "not a .wse image");
    CU_ASSERT_TRUE_FATAL(image_sections(s.bytes, section, &why));
    uint8_t *note = (uint8_t *)section[IMAGE_NOTE].data,
            *data = (uint8_t *)section[IMAGE_DATA].data;
    note[16] = 7; // before any digest
    note[20] = 9;
    expect_refused(s.bytes, "section .note.wse: the image has version 7.9, this program reads "
                            "version 1.2");
    note[16] = IMAGE_VERSION_MAJOR;
    expect_refused(s.bytes, "the layout of the image's version 1.9");
    note[20] = IMAGE_VERSION_MINOR;
    note[13] ^= 1;
    expect_refused(s.bytes, "no section .note.wse");
    note[13] ^= 1;
    data[17] ^= 1;
    expect_refused(s.bytes, "section .wse.data: its bytes do not match its digest");
    CU_ASSERT_TRUE(image_rehash(&s.bytes)); // a swapped weight, made good
    char *text;
    CU_ASSERT_TRUE(try_read(s.bytes, &text));
    free(text);
    free_sample(&s);
}

// Numbers that only a deliberate writer makes: written from a changed image, digests right.
static void test_bad_values(void)
{
#define EXPECT(statement, what)                                                                    \
    do {                                                                                           \
        Sample s;                                                                                  \
        make_sample(&s);                                                                           \
        Image *im = &s.image;                                                                      \
        bytes_free(&s.bytes);                                                                      \
        statement;                                                                                 \
        image_write(im, &s.bytes);                                                                 \
        expect_refused(s.bytes, what);                                                             \
        free_sample(&s);                                                                           \
    } while (0)
    EXPECT(im->machine.width = 0, "section .wse.machine: width is 0");
    EXPECT(im->machine.height = MACHINE_MAX_EXTENT + 1, "section .wse.machine: height");
    EXPECT(im->machine.banks = 0, "banks is 0");
    EXPECT(im->machine.bank_bytes = 0, "bank_bytes is 0");
    EXPECT(im->machine.colors = 33, "colors is 33");
    EXPECT(im->machine.landing.den = 0, "not positive");
    EXPECT(im->machine.landing.num = 0, "not positive");
    EXPECT(im->machine.cost[COST_MAC][DT_I32].width.num = 0, "not positive");
    EXPECT(im->machine.cost[0][0].conflict = ((Fraction){1, 2}), "not positive");
    EXPECT(im->machine.spare_columns = MACHINE_MAX_EXTENT + 1, "spare_columns");
    EXPECT(im->defects.runs[0].y = 2, "section .wse.defects: run 1 of dead cores");
    EXPECT(im->defects.runs[0].n = 0, "section .wse.defects: run 0 of dead cores");
    EXPECT(im->defects.runs[1].y = (uint16_t)im->machine.height, "run 1 of dead cores");
    EXPECT(im->defects.runs[1].x = UINT16_MAX, "run 1 of dead cores");
    EXPECT(im->kernels[0].turn = 4, "turn of a kernel");
    EXPECT(im->n_origins = 0, "origin 0 is missing");
    EXPECT(im->classes[0].ops[1].origin = 2, "section .wse.programs: origin 2 of 2");
    EXPECT(im->classes[0].ops[1].code = 99, "section .wse.programs: class 0: operation 1");
    EXPECT(im->classes[1].ops[0].src[0].dtype = 3, "class 1: operation 0 (copy)");
    EXPECT(im->classes[0].ops[0].code = OPCODE_END, "class 0: end of a loop");
    EXPECT(im->kernels[0].origin = 2, "section .wse.plan: origin 2 of 2");
    EXPECT(im->kernels[0].w = 5000, "width of a kernel");
    EXPECT(im->streams[1].to = 1, "kernel 1 of 1");
    EXPECT(im->streams[1].from = -2, "kernel 4294967294 of 1");
    EXPECT(im->streams[1].dtype = 3, "element type 3 of 3");
    EXPECT(im->streams[1].lanes = 0, "lanes of a stream");
    EXPECT(im->streams[1].segs = 0, "segments of a stream");
    EXPECT(im->cores[0].grid.nx = 0, "section .wse.cores: columns of a grid");
    EXPECT(im->cores[0].grid.ny = UINT32_MAX, "rows of a grid");
    EXPECT(im->cores[0].grid.sx = 0, "x step of a grid");
    EXPECT(im->cores[0].kernel = 1, "kernel 1 of 1");
    EXPECT(im->cores[0].segments[1].kind = SEGMENT_COUNT, "kind of segment");
    EXPECT(im->cores[0].segments[1].origin = 9, "origin 9 of 2");
    EXPECT(im->cores[0].inits[0].offset = 65, "leave the 256 bytes of .wse.data");
    EXPECT(im->cores[0].inits[0].offset = UINT64_MAX, "leave the 256 bytes");
    EXPECT(im->cores[0].inits[0].bytes = UINT32_MAX, "leave the 256 bytes");
    EXPECT(im->cores[0].inits[1].pitch_i = -177, "leave the 256 bytes");
    EXPECT(im->cores[0].inits[1].pitch_j = INT64_MAX, "leave the 256 bytes");
    EXPECT(im->cores[0].inits[1].pitch_j = INT64_MIN, "leave the 256 bytes");
    EXPECT(im->data_bytes = 207, "leave the 207 bytes");
    EXPECT(im->routes[0].color = 32, "section .wse.routes: color 32");
    EXPECT(im->routes[0].in = SIDE_COUNT, "side 5 of 5");
    EXPECT(im->routes[0].out = 32, "set of sides 32");
    EXPECT(im->routes[0].stream = 2, "stream 2 of 2");
    EXPECT(im->tensors[0].dtype = 3, "section .wse.io: element type");
    EXPECT(im->tensors[0].rank = 5, "rank of a tensor");
    EXPECT(im->tensors[0].extent[0] = 0, "extent of a tensor");
    EXPECT(im->tensors[1].extent[0] = im->tensors[1].extent[1] = 1 << 20, "2^28 elements");
    EXPECT(im->ports[0].side = SIDE_N, "neither west nor east");
    EXPECT(im->ports[0].tensor = 2, "tensor 2 of 2");
    EXPECT(im->ports[0].stream = 2, "stream 2 of 2");
    EXPECT(im->ports[0].q = 0, "rate of a port");
    EXPECT(im->ports[0].y = 4096, "y of a port");
    EXPECT(im->native.entry[0] = 3, "section .wse.native: entry of class 0");
    EXPECT(im->native.programs[3] ^= 1, "other programs");
    EXPECT(im->classes[0].ops[3].extent[3] = IMM(4), "other programs");
}

// Every 32-bit number of every section set to hostile values, digests right: refused or
// harmless, without memory beyond the file's means.
static void test_hostile_numbers(void)
{
    static const uint32_t values[] = {UINT32_MAX, INT32_MAX, 0x10000000, 0};
    static const ImageSection counted[] = {IMAGE_ORIGINS, IMAGE_PROGRAMS, IMAGE_CORES, IMAGE_ROUTES,
                                           IMAGE_IO};
    Sample s;
    SectionBytes section[IMAGE_SECTIONS];
    const char *why;
    char *text;

#ifndef __SANITIZE_ADDRESS__ // which reserves more address space than any limit
    const struct rlimit limit = {(rlim_t)1 << 29, (rlim_t)1 << 29};
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_AS, &limit), 0);
#endif
    make_sample(&s);
    CU_ASSERT_TRUE_FATAL(image_sections(s.bytes, section, &why));
    for (size_t k = 0; k < sizeof counted / sizeof counted[0]; k++) {
        uint8_t *at = (uint8_t *)section[counted[k]].data;
        uint8_t saved[4];
        memcpy(saved, at, 4);
        memset(at, 0xff, 4);
        CU_ASSERT_TRUE(image_rehash(&s.bytes));
        expect_refused(s.bytes,
                       arena_printf(&s.arena, "section %s: ", image_section_names[counted[k]]));
        memcpy(at, saved, 4);
    }
    for (int i = IMAGE_MACHINE; i < IMAGE_SHSTRTAB; i++) {
        for (uint64_t at = 0; at + 4 <= section[i].len; at += 1 + at % 3) {
            uint8_t *p = (uint8_t *)section[i].data + at;
            uint8_t saved[4];
            memcpy(saved, p, 4);
            memcpy(p, &values[at % 4], 4);
            CU_ASSERT_TRUE(image_rehash(&s.bytes));
            try_read(s.bytes, &text);
            free(text);
            memcpy(p, saved, 4);
        }
    }
    CU_ASSERT_TRUE(image_rehash(&s.bytes));
    CU_ASSERT_TRUE(try_read(s.bytes, &text));
    free(text);
    // a string table without its last NUL
    ((uint8_t *)section[IMAGE_STRINGS].data)[section[IMAGE_STRINGS].len - 1] = 'x';
    CU_ASSERT_TRUE(image_rehash(&s.bytes));
    expect_refused(s.bytes, "section .wse.strings: it does not begin and end with a NUL");
    free_sample(&s);
}

static void test_readelf(void)
{
    Sample s;
    char path[] = "/tmp/wse-test-XXXXXX", out[8192];
    char *command;
    int file = mkstemp(path);

    make_sample(&s);
    CU_ASSERT_TRUE_FATAL(file >= 0);
    CU_ASSERT_EQUAL(write(file, s.bytes.data, s.bytes.len), (ssize_t)s.bytes.len);
    close(file);
    command = arena_printf(&s.arena, "LC_ALL=C readelf -hSWn %s 2>&1", path);
    FILE *pipe = popen(command, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(pipe);
    out[fread(out, 1, sizeof out - 1, pipe)] = '\0';
    CU_ASSERT_EQUAL(pclose(pipe), 0);
    unlink(path);
    for (int i = 0; i < IMAGE_SECTIONS; i++)
        CU_ASSERT_PTR_NOT_NULL(strstr(out, image_section_names[i]));
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "EXEC (Executable file)"));
    CU_ASSERT_PTR_NULL(strstr(out, "arning"));
    CU_ASSERT_PTR_NULL(strstr(out, "rror"));
    free_sample(&s);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"round trip", test_round_trip},
        {"other images", test_other_images},
        {"every byte flipped", test_every_flip},
        {"every truncation", test_every_truncation},
        {"messages", test_messages},
        {"bad values", test_bad_values},
        {"readelf", test_readelf},
        {"hostile numbers", test_hostile_numbers},
        CU_TEST_INFO_NULL,
    };
    return suite_run("image", tests);
}
