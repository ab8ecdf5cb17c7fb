// SPDX-License-Identifier: Apache-2.0
// tests/native/test_values.c - the values engine on random images: native, interpreted, 1, 2
// and 4 threads, any batch, and the core engine, all bit for bit; and the sandbox, which
// survives whatever code does.
#include <stdlib.h>
#include <string.h>

#include "backend/native/native.h"
#include "runtime/check.h"
#include "runtime/engine.h"
#include "runtime/sandbox.h"
#include "runtime/values.h"
#include "tests/check/hand_images.h"
#include "tests/common/random_image.h"
#include "tests/common/suite.h"

enum { IMAGES = 24, SAMPLES = 7 };

static size_t tensor_bytes(const HostTensor *t)
{
    size_t n = dtype_bytes((DType)t->dtype);
    for (uint32_t k = 0; k < t->rank; k++)
        n *= t->extent[k];
    return n * SAMPLES;
}

typedef struct Case {
    Arena arena;
    Diag d;
    FILE *said;
    Image image;
    Fabric fabric;
    uint8_t **inputs; // by tensor
} Case;

static uint8_t **new_outputs(Case *c)
{
    uint8_t **t = arena_array(&c->arena, uint8_t *, c->image.n_tensors);
    for (uint32_t k = 0; k < c->image.n_tensors; k++)
        if (c->image.tensors[k].is_output)
            t[k] = arena_array(&c->arena, uint8_t, tensor_bytes(&c->image.tensors[k]));
    return t;
}

static bool begin_case(Case *c, uint64_t seed)
{
    Rng rng = {seed};
    *c = (Case){.said = tmpfile()};
    diag_init(&c->d, "test");
    c->d.out = c->said;
    if (!random_image(&c->arena, &rng, &c->image) ||
        !check_image(&c->arena, &c->d, &c->image, &c->fabric) ||
        !native_compile(&c->arena, &c->d, &c->image, &(NativeOptions){.opt_level = 1},
                        &c->image.native))
        return false;
    c->inputs = arena_array(&c->arena, uint8_t *, c->image.n_tensors);
    for (uint32_t k = 0; k < c->image.n_tensors; k++) {
        const HostTensor *t = &c->image.tensors[k];
        if (t->is_output)
            continue;
        size_t bytes = tensor_bytes(t), size = dtype_bytes((DType)t->dtype);
        c->inputs[k] = arena_array(&c->arena, uint8_t, bytes);
        for (size_t i = 0; i < bytes; i += size) {
            uint32_t bits = f32_to_bits((float)rng_normal(&rng));
            if (size == 2)
                bits = f16_from_f32(f32_from_bits(bits));
            memcpy(c->inputs[k] + i, &bits, size);
        }
    }
    return true;
}

static void end_case(Case *c)
{
    diag_finish(&c->d);
    fclose(c->said);
    arena_free(&c->arena);
}

// What diagnostics said so far.
static const char *said(Case *c)
{
    char *text = arena_alloc(&c->arena, 4096, 1, 1);
    rewind(c->said);
    size_t n = fread(text, 1, 4095, c->said);
    text[n] = 0;
    return text;
}

static bool equal(const Case *c, uint8_t *const *a, uint8_t *const *b)
{
    for (uint32_t k = 0; k < c->image.n_tensors; k++)
        if (c->image.tensors[k].is_output &&
            memcmp(a[k], b[k], tensor_bytes(&c->image.tensors[k])) != 0)
            return false;
    return true;
}

static bool run_values(Case *c, const ValuesOptions *options, uint8_t **outputs)
{
    return values_run(&c->arena, &c->d, &c->fabric, options, (const uint8_t *const *)c->inputs,
                      outputs);
}

static void test_engines(void)
{
    static const struct {
        bool native;
        unsigned threads;
        uint64_t batch;
    } variants[] = {{false, 1, 0}, {false, 2, 3}, {true, 1, 0}, {true, 2, 1}, {true, 4, 3}};
    bool native = sandbox_cpu_ok("x86-64-v3");
    for (uint64_t seed = 1; seed <= IMAGES; seed++) {
        Case c;
        if (!begin_case(&c, seed)) {
            CU_FAIL("no image");
            puts(said(&c));
            end_case(&c);
            return;
        }
        uint8_t **judge = new_outputs(&c);
        EngineOptions core = {.values = true, .samples = SAMPLES};
        EngineResult result;
        CU_ASSERT_TRUE(engine_run(&c.arena, &c.fabric, &core, (const uint8_t *const *)c.inputs,
                                  judge, &result));
        for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
            uint8_t **outputs = new_outputs(&c);
            ValuesOptions options = {.native = variants[v].native,
                                     .threads = variants[v].threads,
                                     .batch = variants[v].batch,
                                     .samples = SAMPLES};
            bool ran = run_values(&c, &options, outputs);
            CU_ASSERT_TRUE(ran);
            CU_ASSERT_TRUE(ran && equal(&c, judge, outputs));
            if (!ran || !equal(&c, judge, outputs))
                printf("\nseed %llu, variant %zu: %s\n", (unsigned long long)seed, v, said(&c));
        }
        if (native && said(&c)[0] != 0) {
            CU_FAIL("a warning");
            puts(said(&c));
        }
        end_case(&c);
    }
}

static void test_taps(void)
{
    Case c;
    CU_ASSERT_TRUE_FATAL(begin_case(&c, 3));
    uint32_t n = c.image.n_streams;
    ValuesTap *taps[2];
    for (int native = 0; native < 2; native++) {
        taps[native] = arena_array(&c.arena, ValuesTap, n);
        for (uint32_t k = 0; k < n; k++)
            taps[native][k].stream = k;
        ValuesOptions options = {.native = native,
                                 .threads = 2,
                                 .batch = native ? 2 : 0,
                                 .samples = SAMPLES,
                                 .taps = taps[native],
                                 .n_taps = n};
        CU_ASSERT_TRUE_FATAL(run_values(&c, &options, new_outputs(&c)));
    }
    for (uint32_t k = 0; k < n; k++) {
        CU_ASSERT_TRUE(taps[0][k].n_lanes > 0 && taps[0][k].n_lanes == taps[1][k].n_lanes);
        for (uint32_t l = 0; l < taps[0][k].n_lanes; l++) {
            CU_ASSERT_TRUE(taps[0][k].lane_words[l] > 0);
            CU_ASSERT_EQUAL(memcmp(taps[0][k].words[l], taps[1][k].words[l],
                                   4 * SAMPLES * taps[0][k].lane_words[l]),
                            0);
        }
    }
    end_case(&c);
}

static void count_progress(void *arg, uint64_t samples_done)
{
    *(uint64_t *)arg = samples_done;
}

static void test_progress_and_interrupt(void)
{
    Case c;
    uint64_t done = 0;
    volatile int interrupt = 1;
    CU_ASSERT_TRUE_FATAL(begin_case(&c, 2));
    ValuesOptions options = {
        .samples = SAMPLES, .batch = 2, .progress = count_progress, .progress_arg = &done};
    CU_ASSERT_TRUE(run_values(&c, &options, new_outputs(&c)));
    CU_ASSERT_EQUAL(done, SAMPLES);
    options.interrupt = &interrupt;
    for (int native = 0; native < 2; native++) {
        options.native = native;
        CU_ASSERT_FALSE(run_values(&c, &options, new_outputs(&c)));
    }
    CU_ASSERT_STRING_EQUAL(said(&c), "");
    end_case(&c);
}

// ---- code that should not be trusted ----

// Runs an image whose classes all consist of the given bytes; what it says is in *text.
static bool run_bytes(Case *c, const uint8_t *bytes, size_t n)
{
    ValuesOptions options = {.native = true, .threads = 2, .samples = SAMPLES};
    c->image.native.code = bytes;
    c->image.native.bytes = n;
    for (uint32_t k = 0; k < c->image.n_classes; k++)
        c->image.native.entry[k] = 0;
    return run_values(c, &options, new_outputs(c));
}

static void expect_fault(const uint8_t *bytes, size_t n, const char *text)
{
    Case c;
    if (!sandbox_cpu_ok("x86-64-v3"))
        return;
    CU_ASSERT_TRUE_FATAL(begin_case(&c, 1));
    CU_ASSERT_FALSE(run_bytes(&c, bytes, n));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), text));
    if (!strstr(said(&c), text))
        puts(said(&c));
    end_case(&c);
}

static void test_hostile_code(void)
{
    static const uint8_t get_pid[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
    static const uint8_t open_at[] = {0xb8, 1, 1, 0, 0, 0x0f, 0x05, 0xc3};
    static const uint8_t write_out[] = {0xb8, 1, 0, 0, 0,    0xbf, 1,    0,    0,    0,   0xba,
                                        4,    0, 0, 0, 0x48, 0x89, 0xe6, 0x0f, 0x05, 0xc3};
    static const uint8_t segfault[] = {0x31, 0xc0, 0xc6, 0x00, 0x00, 0xc3};
    static const uint8_t illegal[] = {0x0f, 0x0b};
    static const uint8_t divide[] = {0x31, 0xc9, 0xf7, 0xf1, 0xc3};
    static const uint8_t idle[] = {0xc3};
    expect_fault(get_pid, sizeof get_pid, "made a system call");
    expect_fault(open_at, sizeof open_at, "made a system call");
    expect_fault(write_out, sizeof write_out, "made a system call");
    expect_fault(segfault, sizeof segfault, "memory that is not its own");
    expect_fault(illegal, sizeof illegal, "instruction that this CPU does not know");
    expect_fault(divide, sizeof divide, "divided by zero");
    expect_fault(idle, sizeof idle, "moved other messages than its program");
}

static void test_unusable_code(void)
{
    Case c;
    ValuesOptions options = {.native = true, .samples = SAMPLES};
    CU_ASSERT_TRUE_FATAL(begin_case(&c, 4));
    uint8_t **judge = new_outputs(&c), **outputs = new_outputs(&c);
    CU_ASSERT_TRUE(run_values(&c, &options, judge));
    c.image.native.cpu = "x86-64-v9";
    CU_ASSERT_TRUE(run_values(&c, &options, outputs));
    CU_ASSERT_TRUE(equal(&c, judge, outputs));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), "cannot run native code for x86-64-v9"));
    c.image.native.programs[5] ^= 1;
    CU_ASSERT_FALSE(run_values(&c, &options, outputs));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), "made from other programs"));
    c.image.native.bytes = 0;
    CU_ASSERT_TRUE(run_values(&c, &options, outputs));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), "no native code"));
    end_case(&c);
}

/* ---- what is in the wrong place shows ---- */

typedef enum Spoiled { GOOD, BLOCKS_SWAPPED, LANES_CROSSED, N_SPOILED } Spoiled;

// The results of both rows change places on their way out: that of the upper one turns down
// behind the kernel, that of the lower one, on a color of its own, turns up.
static void cross_lanes(Arena *a, Image *m)
{
    enum { OTHER = 4 };
    CoreRect *cores = arena_array(a, CoreRect, 4);
    memcpy(cores, m->cores, 3 * sizeof *cores);
    cores[2].grid.ny = 1;
    cores[3] = cores[2];
    cores[3].grid.y++;
    Init *init = arena_array(a, Init, 1);
    *init = cores[2].inits[0];
    init->offset += 48;
    cores[3].inits = init;
    Channel *channels = arena_array(a, Channel, 4);
    memcpy(channels, cores[2].channels, 4 * sizeof *channels);
    channels[3].color = OTHER;
    cores[3].channels = channels;
    m->cores = cores;
    m->n_cores = 4;
    const RouteRect way[] = {
        {{4, 2, 1, 1, 1, 1}, 3, SIDE_RAMP, 1u << SIDE_E, 2},
        {{5, 2, 1, 1, 1, 1}, 3, SIDE_W, 1u << SIDE_S, 2},
        {{5, 3, 1, 1, 1, 1}, 3, SIDE_N, 1u << SIDE_E, 2},
        {{6, 3, 2, 1, 1, 1}, 3, SIDE_W, 1u << SIDE_E, 2},
        {{4, 3, 1, 1, 1, 1}, OTHER, SIDE_RAMP, 1u << SIDE_E, 2},
        {{5, 3, 1, 1, 1, 1}, OTHER, SIDE_W, 1u << SIDE_N, 2},
        {{5, 2, 1, 1, 1, 1}, OTHER, SIDE_S, 1u << SIDE_E, 2},
        {{6, 2, 2, 1, 1, 1}, OTHER, SIDE_W, 1u << SIDE_E, 2},
    };
    enum { N_WAY = sizeof way / sizeof *way };
    RouteRect *routes = arena_array(a, RouteRect, ROUTE_Y + N_WAY);
    memcpy(routes, m->routes, ROUTE_Y * sizeof *routes);
    memcpy(routes + ROUTE_Y, way, sizeof way);
    m->routes = routes;
    m->n_routes = ROUTE_Y + N_WAY;
    m->ports[1].color = OTHER;
}

// Two blocks of weights change places in the finished file, whose digests are then made anew.
static bool swap_blocks(Bytes *file, const Image *m)
{
    enum { BLOCK = 16 };
    uint8_t *at = file->data;
    while (at + m->data_bytes <= file->data + file->len && memcmp(at, m->data, m->data_bytes) != 0)
        at++;
    if (at + m->data_bytes > file->data + file->len)
        return false;
    memcpy(at, m->data + BLOCK, BLOCK);
    memcpy(at + BLOCK, m->data, BLOCK);
    return image_rehash(file);
}

// The engines run the placed program, through its blocks and routes: they are no evaluators of
// the network, and all see the same wrong result.
static void test_wrong_places(void)
{
    float result[N_SPOILED][3][SAMPLES * 4], x[SAMPLES * 6];
    for (int i = 0; i < SAMPLES * 6; i++)
        x[i] = (float)((i * 7) % 11) - 4;
    for (Spoiled s = GOOD; s < N_SPOILED; s++) {
        Case c = {.said = tmpfile()};
        diag_init(&c.d, "test");
        c.d.out = c.said;
        Image m = matvec_image(&c.arena);
        if (s == LANES_CROSSED)
            cross_lanes(&c.arena, &m);
        CU_ASSERT_TRUE_FATAL(
            native_compile(&c.arena, &c.d, &m, &(NativeOptions){.opt_level = 1}, &m.native));
        Bytes file;
        image_write(&m, &file);
        CU_ASSERT_TRUE(s != BLOCKS_SWAPPED || swap_blocks(&file, &m));
        bool accepted = image_read(&c.arena, &c.d, "hand.wse", file, &c.image) &&
                        check_image(&c.arena, &c.d, &c.image, &c.fabric);
        CU_ASSERT_TRUE(accepted);
        if (!accepted)
            printf("\n%d: %s\n", (int)s, said(&c));
        c.inputs = (uint8_t *[]){(uint8_t *)x, NULL};
        for (int e = 0; accepted && e < 3; e++) {
            uint8_t *outputs[] = {NULL, (uint8_t *)result[s][e]};
            EngineOptions core = {.values = true, .samples = SAMPLES};
            EngineResult r;
            ValuesOptions values = {.native = e == 2, .threads = 2, .samples = SAMPLES};
            CU_ASSERT_TRUE(e == 0 ? engine_run(&c.arena, &c.fabric, &core,
                                               (const uint8_t *const *)c.inputs, outputs, &r)
                                  : run_values(&c, &values, outputs));
            CU_ASSERT_EQUAL(memcmp(result[s][e], result[s][0], sizeof result[s][0]), 0);
            CU_ASSERT_EQUAL(memcmp(result[s][e], result[GOOD][0], sizeof result[s][0]) != 0,
                            s != GOOD);
        }
        bytes_free(&file);
        end_case(&c);
    }
    // Crossed lanes: the halves of the result have changed places.
    for (int i = 0; i < SAMPLES * 4; i++)
        CU_ASSERT_EQUAL(result[LANES_CROSSED][0][i], result[GOOD][0][i ^ 2]);
}

int main(void)
{
    static const CU_TestInfo tests[] = {{"values are the core engine's", test_engines},
                                        {"streams tapped", test_taps},
                                        {"progress and interrupts", test_progress_and_interrupt},
                                        {"hostile code is stopped", test_hostile_code},
                                        {"code that cannot be used", test_unusable_code},
                                        {"what is in the wrong place shows", test_wrong_places},
                                        CU_TEST_INFO_NULL};
    return suite_run("values", tests);
}
