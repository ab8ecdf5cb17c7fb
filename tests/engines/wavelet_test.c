// SPDX-License-Identifier: Apache-2.0
// tests/engines/wavelet_test.c - the timing rule judged by the per-wavelet simulation and by
// the closed forms of Luczynski et al., "Near-Optimal Wafer-Scale Reduce", HPDC 2024.
// With a number as argument it looks at so many random images and prints the tables of README.md.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/check.h"
#include "runtime/engine.h"
#include "tests/common/random_image.h"
#include "tests/common/suite.h"
#include "tests/engines/models.h"
#include "tests/engines/wavelet.h"

static bool printing;
static unsigned images = 60; // random ones

typedef struct Pair { // one fabric, both ways
    EngineResult engine;
    WaveletResult wavelet;
    bool same_values;
    double steady, first; // ratios engine / wavelet
    double per_sample;    // cycles of the wavelet simulation in steady state
    double landing;       // cycles to land a sample's messages at the busiest core
    bool within;
} Pair;

static void make_tensors(Arena *a, const Image *im, uint64_t samples, uint8_t **in, uint8_t **out,
                         uint8_t **out2, size_t *bytes)
{
    Rng rng = {7};
    for (uint32_t k = 0; k < im->n_tensors; k++) {
        const HostTensor *t = &im->tensors[k];
        size_t n = samples;
        for (uint32_t r = 0; r < t->rank; r++)
            n *= t->extent[r];
        bytes[k] = n * dtype_bytes((DType)t->dtype);
        in[k] = arena_array(a, uint8_t, bytes[k]);
        out[k] = arena_array(a, uint8_t, bytes[k]);
        out2[k] = arena_array(a, uint8_t, bytes[k]);
        for (size_t i = 0; i < n; i++) {
            float v = (float)(2 * rng_unit(&rng) - 1);
            uint16_t half = f16_from_f32(v);
            if (t->dtype == DT_F16)
                memcpy(in[k] + 2 * i, &half, 2);
            else
                memcpy(in[k] + 4 * i, &v, 4);
        }
    }
}

static double ratio(uint64_t x, uint64_t y)
{
    return y == 0 ? (x == 0 ? 1.0 : 1e9) : (double)x / (double)y;
}

// Cycles in which the busiest core lands the longest message of each of its colors once.
static double landing_of(const Fabric *f)
{
    double most = 0;
    const Machine *m = &f->image->machine;
    for (uint32_t i = 0; i < f->n_cores; i++) {
        const FabricNode *n = &f->nodes[i];
        double words = 0;
        for (uint32_t c = 0; c < f->image->classes[n->class_id].n_channels; c++) {
            bool in = !f->image->classes[n->class_id].channel_is_out[c];
            words = in && n->channels[c].slot_words > words ? n->channels[c].slot_words : words;
        }
        words = words * m->landing.den / m->landing.num;
        most = words > most ? words : most;
    }
    return most;
}

static bool run_both(Arena *a, const Image *im, const Fabric *f, uint64_t samples, Pair *p)
{
    uint8_t **in = arena_array(a, uint8_t *, im->n_tensors + 1);
    uint8_t **out = arena_array(a, uint8_t *, im->n_tensors + 1);
    uint8_t **out2 = arena_array(a, uint8_t *, im->n_tensors + 1);
    size_t *bytes = arena_array(a, size_t, im->n_tensors + 1);
    make_tensors(a, im, samples, in, out, out2, bytes);

    EngineOptions o = {.values = true, .samples = samples};
    bool good = engine_run(a, f, &o, (const uint8_t *const *)in, out, &p->engine);
    if (!good)
        printf("%s\n", p->engine.fault);
    if (!wavelet_run(a, im, samples, (const uint8_t *const *)in, out2, &p->wavelet)) {
        printf("%s\n", p->wavelet.fault);
        good = false;
    }
    p->same_values = true;
    for (uint32_t k = 0; k < im->n_tensors; k++)
        p->same_values = p->same_values && memcmp(out[k], out2[k], bytes[k]) == 0;
    uint64_t rest = samples - samples / 2;
    double engine = (double)p->engine.period_num / (double)p->engine.period_den;
    p->per_sample = (double)(p->wavelet.cycles - p->wavelet.middle_result) / (double)rest;
    p->steady = engine / p->per_sample;
    p->first = ratio(p->engine.first_result, p->wavelet.first_result);
    p->landing = landing_of(f);
    double off = engine > p->per_sample ? engine - p->per_sample : p->per_sample - engine;
    p->within = off <= 0.05 * p->per_sample + p->landing;
    return good;
}

static bool build(Arena *a, const Image *im, Fabric *f)
{
    Diag d;
    diag_init(&d, "wavelet_test");
    bool good = fabric_build(a, &d, im, f);
    diag_finish(&d);
    return good;
}

static void compare(const char *name, Arena *a, Image im, uint64_t samples)
{
    Fabric f;
    Pair p;
    CU_ASSERT_FATAL(build(a, &im, &f));
    CU_ASSERT_FATAL(run_both(a, &im, &f, samples, &p));
    CU_ASSERT(p.same_values);
    CU_ASSERT(p.within);
    CU_ASSERT(p.first > 0.8 && p.first < 1.2);
    if (printing || !p.within || !p.same_values || p.first <= 0.8 || p.first >= 1.2)
        printf("| %s | %.2f | %.3f | %.3f |\n", name, p.per_sample, p.steady, p.first);
}

static void test_matvec(void)
{
    static const struct {
        uint32_t w, h, k, o, slots;
    } cases[] = {{16, 12, 4, 4, 2}, {16, 12, 8, 16, 2}, {16, 12, 20, 4, 2}, {16, 12, 4, 20, 1},
                 {5, 7, 1, 1, 2},   {8, 3, 12, 12, 1},  {39, 12, 20, 40, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena a = {0};
        char name[64];
        snprintf(name, sizeof name, "matvec %u x %u, blocks %u x %u, c = %u", cases[i].w,
                 cases[i].h, cases[i].k, cases[i].o, cases[i].slots);
        uint64_t samples = cases[i].w > 30 ? 8 : 24;
        compare(name, &a,
                model_matvec(&a, cases[i].w, cases[i].h, cases[i].k, cases[i].o, cases[i].slots),
                samples);
        arena_free(&a);
    }
}

static void test_chain(void)
{
    static const uint32_t words[] = {1, 4, 16, 64, 300};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        Arena a = {0};
        char name[64];
        snprintf(name, sizeof name, "chain of 16, %u words, c = 2", words[i]);
        compare(name, &a, model_chain(&a, 16, words[i], 2, true), 32);
        arena_free(&a);
    }
}

// One sender, many receivers, message after message. Nothing leaves the fabric, so all of it is
// timed: samples * period + fill.
static void test_broadcast(void)
{
    static const uint32_t words[] = {1, 8, 64, 500};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        for (uint32_t slots = 1; slots <= 2; slots++) {
            Arena a = {0};
            enum { SAMPLES = 64 };
            Image im = model_broadcast(&a, 24, words[i], slots);
            Fabric f;
            EngineOptions o = {.samples = SAMPLES};
            EngineResult r;
            WaveletResult w;
            CU_ASSERT_FATAL(build(&a, &im, &f));
            CU_ASSERT(engine_run(&a, &f, &o, NULL, NULL, &r));
            CU_ASSERT(wavelet_run(&a, &im, SAMPLES, NULL, NULL, &w));
            double got = ratio(r.cycles, w.last_end);
            // One slot is not given back before the farthest receiver is done.
            CU_ASSERT(slots == 1 ? got > 0.95 && got < 1.6 : got > 0.95 && got < 1.05);
            if (printing)
                printf("| broadcast to 23, %u words, c = %u | %.2f | %.3f | |\n", words[i], slots,
                       (double)w.last_end / SAMPLES, got);
            arena_free(&a);
        }
    }
}

// One message: from the first operation's start to the last end.
static void test_closed_forms(void)
{
    static const uint32_t cores[] = {16, 64, 256, 512}, words[] = {1, 16, 256, 4096};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++) {
            uint64_t p = cores[i], b = words[k], t = 2;
            uint64_t form[2] = {b + p + 2 * t, b + (2 * t + 2) * (p - 1)};
            for (int chain = 0; chain < 2; chain++) {
                Arena a = {0};
                Image im = chain ? model_chain(&a, (uint32_t)p, (uint32_t)b, 1, false)
                                 : model_broadcast(&a, (uint32_t)p, (uint32_t)b, 1);
                Fabric f;
                EngineResult r;
                EngineOptions o = {.samples = 1};
                CU_ASSERT_FATAL(build(&a, &im, &f));
                CU_ASSERT(engine_run(&a, &f, &o, NULL, NULL, &r));
                // The first operation starts when its set-up is over.
                double ours = ratio(r.cycles - im.machine.setup, form[chain]);
                CU_ASSERT(ours > 0.95 && ours < 1.05);
                if (printing || ours <= 0.95 || ours >= 1.05)
                    printf("| %s | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64
                           " | %.4f |\n",
                           chain ? "chain" : "broadcast", p, b, form[chain],
                           r.cycles - im.machine.setup, ours);
                arena_free(&a);
            }
        }
    }
}

// Random images of every kind. What lies outside, and why, is in README.md.
static void test_random(void)
{
    unsigned close = 0, first_close = 0;
    double least = 9, most = 0, first_least = 9, first_most = 0, error = 0;

    for (uint64_t seed = 1; seed <= images; seed++) {
        Arena a = {0};
        Rng rng = {seed};
        Image im;
        Fabric f;
        Pair p;
        CU_ASSERT_FATAL(random_image(&a, &rng, &im));
        if (seed % 4 == 0)
            random_defects(&a, &rng, &im);
        im.machine.hop = 1; // the routers' FIFOs and Q are made for that
        im.machine.ramp = im.machine.ramp ? im.machine.ramp : 1;
        im.machine.latency = 1;
        im.machine.landing.den = 1; // a core lands what its ramp delivers
        CU_ASSERT_FATAL(build(&a, &im, &f));
        CU_ASSERT_FATAL(run_both(&a, &im, &f, 24, &p));
        CU_ASSERT(p.same_values);
        close += p.within;
        first_close += p.first > 0.8 && p.first < 1.2;
        error += p.steady > 1 ? p.steady - 1 : 1 - p.steady;
        least = p.steady < least ? p.steady : least;
        most = p.steady > most ? p.steady : most;
        first_least = p.first < first_least ? p.first : first_least;
        first_most = p.first > first_most ? p.first : first_most;
        if (printing && !p.within)
            printf("| random %" PRIu64 " | %.2f | %.3f | %.3f |\n", seed, p.per_sample, p.steady,
                   p.first);
        arena_free(&a);
    }
    CU_ASSERT(close * 100 >= images * 95);
    CU_ASSERT(first_close * 100 >= images * 99);
    CU_ASSERT(error / images < 0.02);
    CU_ASSERT(least > 0.85 && most < 1.4);
    if (printing)
        printf(
            "| %u of %u random images within | mean error %.3f | %.3f .. %.3f | %.3f .. %.3f |\n",
            close, images, error / images, least, most, first_least, first_most);
}

int main(int argc, char **argv)
{
    printing = argc > 1;
    if (argc > 1)
        images = (unsigned)strtoul(argv[1], NULL, 10);
    static const CU_TestInfo tests[] = {
        {"closed forms", test_closed_forms}, {"matvec", test_matvec},        {"chain", test_chain},
        {"broadcast", test_broadcast},       {"random images", test_random}, CU_TEST_INFO_NULL,
    };
    return suite_run("wavelet", tests);
}
