// SPDX-License-Identifier: Apache-2.0
// tests/engines/engines_test.c - the engines against each other on random images, half of them
// on wafers with dead cores: values and times, times alone, with every link an event, and with
// periods skipped. Cycle for cycle.
#include <stdlib.h>
#include <string.h>

#include "runtime/check.h"
#include "runtime/engine.h"
#include "tests/common/random_image.h"
#include "tests/common/suite.h"
#include "tests/engines/models.h"

enum { IMAGES = 40, SAMPLES = 12 };

typedef struct Tensors {
    uint8_t **bytes; // by tensor
    size_t *size;
} Tensors;

static Tensors make_tensors(Arena *a, const Image *image, uint64_t samples, Rng *rng)
{
    Tensors t = {arena_array(a, uint8_t *, image->n_tensors),
                 arena_array(a, size_t, image->n_tensors)};
    for (uint32_t k = 0; k < image->n_tensors; k++) {
        const HostTensor *h = &image->tensors[k];
        size_t n = samples;
        for (uint32_t r = 0; r < h->rank; r++)
            n *= h->extent[r];
        t.size[k] = n * dtype_bytes((DType)h->dtype);
        t.bytes[k] = arena_array(a, uint8_t, t.size[k]);
        for (size_t i = 0; !h->is_output && i < n; i++) {
            float v = (float)rng_normal(rng);
            uint32_t bits = f32_to_bits(v);
            uint16_t half = f16_from_f32(v);
            if (h->dtype == DT_F16)
                memcpy(t.bytes[k] + 2 * i, &half, 2);
            else
                memcpy(t.bytes[k] + 4 * i, &bits, 4);
        }
    }
    return t;
}

static bool load(Arena *a, uint64_t seed, Image *image, Fabric *f)
{
    Rng rng = {seed};
    Diag d;
    diag_init(&d, "engines_test");
    bool good = random_image(a, &rng, image);
    if (good && seed % 2 == 0)
        random_defects(a, &rng, image);
    good = good && check_image(a, &d, image, f);
    diag_finish(&d);
    return good;
}

static bool same_result(const Fabric *f, const EngineResult *x, const EngineResult *y)
{
    bool same = x->status == y->status && x->cycles == y->cycles &&
                x->first_result == y->first_result && x->operations == y->operations &&
                x->words_hopped == y->words_hopped;
    for (uint32_t i = 0; i < f->n_cores + f->n_ports; i++)
        same = same && x->node_busy[i] == y->node_busy[i] &&
               x->node_waiting[i] == y->node_waiting[i] &&
               x->node_operations[i] == y->node_operations[i];
    for (uint32_t k = 0; k < f->n_links; k++)
        same = same && x->link_words[k] == y->link_words[k];
    return same;
}

static void test_core_equals_times(void)
{
    for (uint64_t seed = 1; seed <= IMAGES; seed++) {
        Arena a = {0};
        Image image;
        Fabric f;
        CU_ASSERT_FATAL(load(&a, seed, &image, &f));
        Rng rng = {seed};
        Tensors t = make_tensors(&a, &image, SAMPLES, &rng);
        EngineOptions o = {.values = true, .samples = SAMPLES};
        EngineResult core, times, links;

        CU_ASSERT(engine_run(&a, &f, &o, (const uint8_t *const *)t.bytes, t.bytes, &core));
        if (core.fault)
            printf("seed %llu: %s\n", (unsigned long long)seed, core.fault);
        o.values = false;
        CU_ASSERT(engine_run(&a, &f, &o, NULL, NULL, &times));
        CU_ASSERT(same_result(&f, &core, &times));
        o.all_links = true;
        CU_ASSERT(engine_run(&a, &f, &o, NULL, NULL, &links));
        CU_ASSERT(same_result(&f, &core, &links));
        CU_ASSERT(core.cycles > core.first_result && core.period_num > 0);
        arena_free(&a);
    }
}

// With skipping and without, for few and for many samples.
static void test_periods(void)
{
    static const uint64_t samples[] = {1, 2, 3, 7, 40, 301};
    uint64_t all = 0, simulated = 0, found = 0;

    for (uint64_t seed = 1; seed <= IMAGES; seed++) {
        Arena a = {0};
        Image image;
        Fabric f;
        CU_ASSERT_FATAL(load(&a, seed, &image, &f));
        for (size_t k = 0; k < sizeof samples / sizeof *samples; k++) {
            EngineOptions o = {.samples = samples[k]};
            EngineResult plain, skipped;
            CU_ASSERT(engine_run(&a, &f, &o, NULL, NULL, &plain));
            o.skip_periods = true;
            CU_ASSERT(engine_run(&a, &f, &o, NULL, NULL, &skipped));
            bool same = same_result(&f, &plain, &skipped);
            CU_ASSERT(same);
            if (!same)
                printf("seed %llu, %llu samples: %llu and %llu cycles\n", (unsigned long long)seed,
                       (unsigned long long)samples[k], (unsigned long long)plain.cycles,
                       (unsigned long long)skipped.cycles);
        }
        // Parts that share nothing but links have periods of their own, whose common
        // multiple may be too long to be met.
        EngineOptions o = {.samples = 20000, .skip_periods = true};
        EngineResult many;
        CU_ASSERT(engine_run(&a, &f, &o, NULL, NULL, &many));
        found += many.period_exact;
        all += many.operations;
        simulated += many.simulated_operations;
        arena_free(&a);
    }
    CU_ASSERT(found >= IMAGES - 2);
    CU_ASSERT(simulated < all / 20);
}

static EngineStatus run(const Image *image, EngineOptions o, const char **text, Arena *a)
{
    Diag d;
    Fabric f;
    EngineResult r;
    diag_init(&d, "engines_test");
    CU_ASSERT_FATAL(fabric_build(a, &d, image, &f));
    diag_finish(&d);
    bool good = engine_run(a, &f, &o, NULL, NULL, &r);
    CU_ASSERT(good == (r.status == ENGINE_DONE) && good == (r.fault == NULL));
    *text = r.fault ? r.fault : "";
    return r.status;
}

// Images that no checker has seen: a deadlock ends with who waits for whom, a program that
// leaves its memory with where.
static void test_faults(void)
{
    Arena a = {0};
    const char *text;
    Image image = model_deadlock(&a);
    CU_ASSERT(run(&image, (EngineOptions){.samples = 2}, &text, &a) == ENGINE_DEADLOCK);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "core (0, 0)"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "core (1, 0)"));
    CU_ASSERT(run(&image, (EngineOptions){.samples = 2, .values = true}, &text, &a) ==
              ENGINE_DEADLOCK);
    image = model_fault(&a);
    CU_ASSERT(run(&image, (EngineOptions){.samples = 2}, &text, &a) == ENGINE_DONE);
    CU_ASSERT(run(&image, (EngineOptions){.samples = 2, .values = true}, &text, &a) ==
              ENGINE_FAULT);
    image.has_weights = false;
    CU_ASSERT(run(&image, (EngineOptions){.samples = 2}, &text, &a) == ENGINE_DONE);
    CU_ASSERT(run(&image, (EngineOptions){.samples = 2, .values = true}, &text, &a) ==
              ENGINE_FAULT);
    arena_free(&a);
}

// The limit is met by the cycle, whether or not periods are skipped.
static void test_limit(void)
{
    Arena a = {0};
    const char *text;
    Image image = model_matvec(&a, 4, 3, 5, 6, 2);
    Diag d;
    Fabric f;
    EngineResult r;
    EngineOptions o = {.samples = 5000, .skip_periods = true};
    diag_init(&d, "engines_test");
    CU_ASSERT_FATAL(fabric_build(&a, &d, &image, &f));
    diag_finish(&d);
    CU_ASSERT(engine_run(&a, &f, &o, NULL, NULL, &r));
    CU_ASSERT(r.period_exact && r.simulated_operations < r.operations / 100);
    for (int skip = 0; skip < 2; skip++) {
        o = (EngineOptions){.samples = 5000, .skip_periods = skip, .cycles_limit = r.cycles};
        CU_ASSERT(run(&image, o, &text, &a) == ENGINE_DONE);
        o.cycles_limit--;
        CU_ASSERT(run(&image, o, &text, &a) == ENGINE_LIMIT);
    }
    arena_free(&a);
}

static void count_samples(void *arg, uint64_t samples, uint64_t cycles)
{
    uint64_t *seen = arg;
    CU_ASSERT(samples > seen[0] && cycles > seen[1]);
    seen[0] = samples;
    seen[1] = cycles;
}

static void test_interrupt_and_progress(void)
{
    Arena a = {0};
    const char *text;
    volatile int stop = 1;
    uint64_t seen[2] = {0, 0};
    Image image = model_chain(&a, 6, 3, 2, true);
    EngineOptions o = {.samples = 50000, .interrupt = &stop};
    CU_ASSERT(run(&image, o, &text, &a) == ENGINE_INTERRUPTED);
    stop = 0;
    o = (EngineOptions){
        .samples = 40, .interrupt = &stop, .progress = count_samples, .progress_arg = seen};
    CU_ASSERT(run(&image, o, &text, &a) == ENGINE_DONE);
    CU_ASSERT(seen[0] == 40);
    arena_free(&a);
}

// Words, operations and hops of a chain can be counted by hand.
static void test_counts(void)
{
    Arena a = {0};
    Image image = model_chain(&a, 5, 7, 2, true);
    Diag d;
    Fabric f;
    EngineResult r;
    EngineOptions o = {.samples = 1000, .skip_periods = true};
    diag_init(&d, "engines_test");
    CU_ASSERT_FATAL(fabric_build(&a, &d, &image, &f));
    diag_finish(&d);
    CU_ASSERT(engine_run(&a, &f, &o, NULL, NULL, &r));
    CU_ASSERT(r.operations == 6 * 1000);                   // five cores and the port
    CU_ASSERT(r.words_hopped == 4 * 7 * 1000);             // four links between routers
    CU_ASSERT(r.period_num == 6 + 7 && r.period_den == 1); // set-up and 7 words
    CU_ASSERT(r.cycles == r.first_result + 999 * 13);
    for (uint32_t k = 0; k < f.n_links; k++)
        CU_ASSERT(r.link_words[k] == 7 * 1000);
    arena_free(&a);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"core equals times", test_core_equals_times},
        {"periods", test_periods},
        {"faults", test_faults},
        {"limit", test_limit},
        {"interrupt and progress", test_interrupt_and_progress},
        {"counts", test_counts},
        CU_TEST_INFO_NULL,
    };
    return suite_run("engines", tests);
}
