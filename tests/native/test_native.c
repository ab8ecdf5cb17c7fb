// SPDX-License-Identifier: Apache-2.0
// tests/native/test_native.c - native code against the interpreter, bit for bit: random
// programs, and multiply-accumulates of all register tiles. Many classes share a module, since
// LLVM's start-up is most of the time. Also what the linker refuses and what --emit writes.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/native/native.h"
#include "ir/support/vec.h"
#include "runtime/interpret.h"
#include "runtime/native_abi.h"
#include "runtime/sandbox.h"
#include "tests/common/random_program.h"
#include "tests/common/suite.h"

enum { ITERATIONS = 2, MEMORY = 65536 };

// An image that is only classes, each with one core.
static Image image_of(Arena *a, const Class *classes, uint32_t n)
{
    Image image = {.n_classes = n, .n_cores = n};
    image.classes = arena_array(a, Class, n);
    image.cores = arena_array(a, CoreRect, n);
    for (uint32_t i = 0; i < n; i++) {
        image.classes[i] = classes[i];
        image.cores[i].class_id = i;
    }
    return image;
}

typedef struct Side2 { // what an executor works on
    uint8_t *memory;
    uint32_t *channel[PROGRAM_MAX_CHANNELS], *begin[PROGRAM_MAX_CHANNELS];
} Side2;

static bool interpret(const Class *c, const int32_t *data, uint32_t memory_bytes, Side2 *s)
{
    Cursor at = {0};
    const char *fault = "";
    for (; cursor_settle(c, data, &at); at.pc++) {
        const Op *op = &c->ops[at.pc];
        const uint32_t *in[PROGRAM_SOURCES] = {0};
        uint32_t in_words[PROGRAM_SOURCES] = {0}, *out = NULL, out_words = 0;
        for (int k = 0; k < PROGRAM_SOURCES; k++)
            if (op->src[k].kind == OPERAND_COLOR) {
                in_words[k] = (uint32_t)op_message_words(op, &op->src[k], data, at.counter);
                in[k] = s->channel[op->src[k].channel];
                s->channel[op->src[k].channel] += in_words[k];
            }
        if (op->dst.kind == OPERAND_COLOR) {
            out_words = (uint32_t)op_message_words(op, &op->dst, data, at.counter);
            out = s->channel[op->dst.channel];
            s->channel[op->dst.channel] += out_words;
        }
        if (!interpret_op(op, data, at.counter, s->memory, memory_bytes, in, in_words, out,
                          out_words, &fault)) {
            printf("%s\n", fault);
            return false;
        }
    }
    return true;
}

// Runs both from equal starts; true if all bits agree.
static bool agree(Arena *a, const uint8_t *code, uint64_t entry, const RandomProgram *p,
                  uint32_t memory_bytes, Rng *rng)
{
    const Class *c = &p->program;
    Side2 side[2];
    for (int s = 0; s < 2; s++) {
        side[s].memory = arena_array(a, uint8_t, memory_bytes + NATIVE_SLACK);
        memcpy(side[s].memory, p->memory, memory_bytes);
    }
    for (uint32_t k = 0; k < c->n_channels; k++) {
        size_t words = (size_t)p->total_words[k] * ITERATIONS + NATIVE_SLACK / 4;
        for (int s = 0; s < 2; s++)
            side[s].channel[k] = side[s].begin[k] = arena_array(a, uint32_t, words);
        if (!c->channel_is_out[k]) {
            random_words(rng, side[0].begin[k], words);
            memcpy(side[1].begin[k], side[0].begin[k], 4 * words);
        }
    }
    for (int i = 0; i < ITERATIONS; i++)
        if (!interpret(c, p->data, memory_bytes, &side[0]))
            return false;
    NativeCore core = {.memory = side[1].memory, .data = p->data};
    NativeClassFn fn;
    const uint8_t *at = code + entry;
    memcpy(core.channel, side[1].channel, sizeof core.channel);
    memcpy(&fn, &at, sizeof fn);
    fn(&core, 1, ITERATIONS);
    bool same = memcmp(side[0].memory, side[1].memory, memory_bytes + NATIVE_SLACK) == 0;
    for (uint32_t k = 0; k < c->n_channels; k++)
        same = same &&
               core.channel[k] - side[1].begin[k] == side[0].channel[k] - side[0].begin[k] &&
               memcmp(side[0].begin[k], side[1].begin[k],
                      4 * (size_t)p->total_words[k] * ITERATIONS) == 0;
    return same;
}

// Compiles the programs in one module and compares each. Returns how many differ.
static uint32_t compare(Arena *a, RandomProgram *programs, uint32_t n, uint32_t memory_bytes,
                        const NativeOptions *options, Rng *rng)
{
    Class *classes = arena_array(a, Class, n);
    for (uint32_t i = 0; i < n; i++)
        classes[i] = programs[i].program;
    Image image = image_of(a, classes, n);
    NativeCode native;
    Diag d;
    diag_init(&d, "test");
    if (!native_compile(a, &d, &image, options, &native))
        return n;
    diag_finish(&d);
    if (!sandbox_cpu_ok(native.cpu))
        return 0;
    uint8_t *code = sandbox_code(native.code, native.bytes);
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < n; i++) {
        ArenaMark mark = arena_mark(a);
        if (native.entry[i] == UINT64_MAX ||
            !agree(a, code, native.entry[i], &programs[i], memory_bytes, rng)) {
            if (wrong++ == 0) {
                Text t = {0};
                program_print(&t, &programs[i].program, i, false);
                printf("\n%s", t.data);
                text_free(&t);
            }
        }
        arena_rewind(a, mark);
    }
    sandbox_release(code, native.bytes);
    return wrong;
}

static void random_modules(const char *cpu, unsigned opt_level, uint32_t n, uint64_t seed)
{
    Arena a = {0};
    Rng rng = {seed};
    RandomProgram *programs = arena_array(&a, RandomProgram, n);
    for (uint32_t i = 0; i < n; i++)
        random_class(&a, &rng, &programs[i]);
    CU_ASSERT_EQUAL(compare(&a, programs, n, RANDOM_MEMORY,
                            &(NativeOptions){.cpu = cpu, .opt_level = opt_level}, &rng),
                    0);
    arena_free(&a);
}

static void test_random(void)
{
    random_modules("x86-64-v3", 0, 120, 1);
    random_modules("x86-64-v3", 2, 30, 2);
    random_modules("x86-64-v4", 1, 20, 3);
}

static int32_t between(Rng *rng, int32_t low, int32_t high)
{
    return low + (int32_t)rng_below(rng, (uint32_t)(high - low + 1));
}

// dst[.., o] += w[.., o or -] * x[.., -] with reduction dimensions in all places, outputs
// apart or not, sizes around those of the tiles.
static void random_mac(Arena *a, Rng *rng, RandomProgram *p)
{
    enum { DST = 0, W = 16384, X = 40960, CHANNEL_WORDS = 40960 };
    static const int32_t edges[] = {1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 70};
    Op *op = arena_new(a, Op);
    DType type = rng_below(rng, 2) ? DT_F32 : DT_F16;
    int32_t n[PROGRAM_DIMS], size = (int32_t)dtype_bytes(type);
    uint32_t sums = 1 + rng_below(rng, 7); // which of the outer dimensions are reductions

    *p = (RandomProgram){.program = {.name = "mac", .n_data = 16, .n_channels = 1}};
    p->data = arena_array(a, int32_t, 16);
    p->program.ops = op;
    p->program.n_ops = 1;
    op->code = OPCODE_MAC;
    bool narrow = rng_below(rng, 3) == 0; // the last but one may fill vectors then
    n[3] = narrow ? 1 : rng_below(rng, 3) ? between(rng, 1, 70) : edges[rng_below(rng, 13)];
    for (int k = 0; k < 3; k++)
        n[k] = rng_below(rng, 4) == 0 ? 1 : between(rng, 0, sums >> k & 1 ? 5 : narrow ? 30 : 9);
    op->dst = (Operand){.kind = OPERAND_MEM, .dtype = DT_F32, .base = IMM(DST)};
    op->src[0] = (Operand){.kind = OPERAND_MEM, .dtype = (uint8_t)type, .base = IMM(W)};
    op->src[1] = (Operand){.kind = OPERAND_MEM, .dtype = (uint8_t)type, .base = IMM(X)};
    int32_t apart = n[3];
    for (int k = 3; k >= 0; k--) {
        bool sum = k < 3 && (sums >> k & 1);
        bool data = narrow || rng_below(rng, 2);
        p->data[k] = n[k];
        op->extent[k] = n[k] == 1 && !data ? IMM(1) : DATA(k);
        // destination: outputs apart, or sometimes one on the other
        p->data[4 + k] = rng_below(rng, 6) ? apart : between(rng, 1, 3);
        op->dst.stride[k] = k == 3 ? IMM(1) : sum ? IMM(0) : DATA(4 + k);
        if (!sum && k < 3)
            apart *= n[k] > 0 ? n[k] : 1;
        p->data[8 + k] = narrow && rng_below(rng, 2) ? 1 : between(rng, 0, k == 3 ? 1 : 60);
        op->src[0].stride[k] = k == 3 ? IMM(1) : rng_below(rng, 3) ? DATA(8 + k) : IMM(0);
        p->data[12 + k] = narrow && rng_below(rng, 3) ? 1 : between(rng, 0, 20);
        op->src[1].stride[k] = k == 3 ? IMM(rng_below(rng, 4) == 0) : DATA(12 + k);
    }
    if (apart > W / 4) { // too large: all outputs on few elements
        for (int k = 0; k < 3; k++)
            p->data[4 + k] = 1;
    }
    bool empty = n[0] == 0 || n[1] == 0 || n[2] == 0;
    if (!empty && rng_below(rng, 2)) {
        op->src[1] = (Operand){
            .kind = OPERAND_COLOR, .dtype = (uint8_t)type, .held = (uint8_t)between(rng, 0, 4)};
    }
    if (rng_below(rng, 8) == 0)
        op->src[0] = (Operand){.kind = OPERAND_FLOAT, .dtype = DT_F32, .value = 0.3f};
    p->memory = arena_array(a, uint8_t, MEMORY);
    for (int i = 0; i < MEMORY / 4; i++) {
        float v = (float)(rng_unit(rng) * 2 - 1);
        uint32_t word = size == 2 && i >= W / 4 ? f16_from_f32(v) * 0x10001u : f32_to_bits(v);
        if (rng_below(rng, 400) == 0)
            random_words(rng, &word, 1);
        memcpy(p->memory + 4 * i, &word, 4);
    }
    const char *why = "";
    if (!class_finish(&p->program, &why) || !program_verify(a, &p->program, &why)) {
        printf("%s\n", why);
        abort();
    }
    p->total_words[0] =
        (uint32_t)op_message_words(op, &op->src[1], p->data, (uint32_t[PROGRAM_DEPTH]){0});
}

static void test_tiles(void)
{
    static const char *const cpus[] = {"x86-64-v3", "x86-64-v4"};
    for (int k = 0; k < 2; k++) {
        Arena a = {0};
        Rng rng = {7};
        enum { N = 30 };
        RandomProgram *programs = arena_array(&a, RandomProgram, N);
        for (int i = 0; i < N; i++)
            random_mac(&a, &rng, &programs[i]);
        CU_ASSERT_EQUAL(compare(&a, programs, N, MEMORY,
                                &(NativeOptions){.cpu = cpus[k], .opt_level = 1}, &rng),
                        0);
        arena_free(&a);
    }
}

// ---- interface ----

static void test_cpus(void)
{
    CU_ASSERT_TRUE(native_cpu_ok("x86-64-v3"));
    CU_ASSERT_TRUE(native_cpu_ok("znver3"));
    CU_ASSERT_FALSE(native_cpu_ok("x86-64"));
    CU_ASSERT_FALSE(native_cpu_ok("x86-64-v2"));
    CU_ASSERT_FALSE(native_cpu_ok("native"));
    CU_ASSERT_FALSE(native_cpu_ok("sandybridge"));
    CU_ASSERT_FALSE(native_cpu_ok(""));
    CU_ASSERT_FALSE(sandbox_cpu_ok("z80"));
    CU_ASSERT_EQUAL(sandbox_cpu_ok("x86-64-v3:znver2"), sandbox_cpu_ok("x86-64-v3"));
}

static Image small_image(Arena *a, uint64_t seed)
{
    Rng rng = {seed};
    Class classes[3];
    for (int i = 0; i < 3; i++) {
        RandomProgram p;
        random_class(a, &rng, &p);
        classes[i] = p.program;
    }
    return image_of(a, classes, 3);
}

static void test_entries(void)
{
    Arena a = {0};
    Diag d;
    diag_init(&d, "test");
    Image image = small_image(&a, 5);
    NativeCode one, two;
    image.n_cores = 2; // the last class is a host port's, say
    CU_ASSERT_TRUE(native_compile(&a, &d, &image, &(NativeOptions){.opt_level = 2}, &one));
    CU_ASSERT_TRUE(native_compile(&a, &d, &image, &(NativeOptions){.opt_level = 2}, &two));
    CU_ASSERT_STRING_EQUAL(one.cpu, "x86-64-v3");
    CU_ASSERT_TRUE(one.entry[0] < one.bytes);
    CU_ASSERT_TRUE(one.entry[1] < one.bytes);
    CU_ASSERT_NOT_EQUAL(one.entry[0], one.entry[1]);
    CU_ASSERT_EQUAL(one.entry[2], UINT64_MAX);
    CU_ASSERT_EQUAL(one.bytes, two.bytes);
    CU_ASSERT_EQUAL(memcmp(one.code, two.code, one.bytes), 0);
    CU_ASSERT_EQUAL(memcmp(one.programs, two.programs, 32), 0);
    // Tuned code can be rebuilt from what the image says.
    NativeOptions tuned = {.cpu = "znver3", .opt_level = 2};
    CU_ASSERT_TRUE(native_compile(&a, &d, &image, &tuned, &one));
    CU_ASSERT_STRING_EQUAL(one.cpu, "x86-64-v3:znver3");
    tuned.cpu = one.cpu;
    CU_ASSERT_TRUE(native_compile(&a, &d, &image, &tuned, &two));
    CU_ASSERT_TRUE(one.bytes == two.bytes && memcmp(one.code, two.code, one.bytes) == 0);
    diag_finish(&d);
    arena_free(&a);
}

static void test_emit(void)
{
    static const struct {
        NativeEmit emit;
        const char *holds;
    } kinds[] = {{NATIVE_EMIT_LLVM, "define void @class_0"}, {NATIVE_EMIT_ASM, "class_0:"}};
    for (int k = 0; k < 2; k++) {
        Arena a = {0};
        Diag d;
        Bytes text = {0};
        NativeCode plain, emitted;
        diag_init(&d, "test");
        Image image = small_image(&a, 5);
        char path[64];
        snprintf(path, sizeof path, "native-emit-%ld", (long)getpid());
        NativeOptions options = {.opt_level = 1, .emit = kinds[k].emit, .emit_path = path};
        CU_ASSERT_TRUE(native_compile(&a, &d, &image, &options, &emitted));
        options.emit = NATIVE_EMIT_NONE;
        CU_ASSERT_TRUE(native_compile(&a, &d, &image, &options, &plain));
        CU_ASSERT_TRUE(plain.bytes == emitted.bytes &&
                       memcmp(plain.code, emitted.code, plain.bytes) == 0);
        if (io_read(&d, path, 0, &text)) {
            char *copy = arena_strdup(&a, (char *)text.data, text.len);
            CU_ASSERT_PTR_NOT_NULL(strstr(copy, kinds[k].holds));
        } else {
            CU_FAIL("nothing was written");
        }
        bytes_free(&text);
        unlink(path);
        diag_finish(&d);
        arena_free(&a);
    }
}

// An object of the C compiler that calls a library.
static void test_undefined_symbol(void)
{
    Arena a = {0};
    Diag d;
    Bytes object = {0};
    NativeCode native;
    char text[256] = {0};
    FILE *said = tmpfile();
    diag_init(&d, "test");
    d.out = said;
    CU_ASSERT_TRUE_FATAL(io_read(&d, UNDEFINED_OBJECT, 0, &object));
    CU_ASSERT_FALSE(native_link(&a, &d, object.data, object.len, 1, &native));
    CU_ASSERT_EQUAL(diag_exit_code(&d), EXIT_INTERNAL);
    CU_ASSERT_FALSE(native_link(&a, &d, object.data, object.len / 2, 1, &native));
    CU_ASSERT_FALSE(native_link(&a, &d, object.data, 10, 1, &native));
    rewind(said);
    CU_ASSERT_TRUE(fread(text, 1, sizeof text - 1, said) > 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "undefined symbol sinf"));
    fclose(said);
    bytes_free(&object);
    diag_finish(&d);
    arena_free(&a);
}

int main(void)
{
    static const CU_TestInfo tests[] = {{"random programs: native is the interpreter", test_random},
                                        {"register tiles", test_tiles},
                                        {"known CPUs", test_cpus},
                                        {"entries, and the same bytes twice", test_entries},
                                        {"text of the module", test_emit},
                                        {"undefined symbols are refused", test_undefined_symbol},
                                        CU_TEST_INFO_NULL};
    return suite_run("native", tests);
}
