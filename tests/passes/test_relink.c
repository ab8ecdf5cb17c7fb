// SPDX-License-Identifier: Apache-2.0
// tests/passes/test_relink.c - random networks moved around random holes: what comes out is
// what came out before, and the checker accepts it. Images whose plan lies are refused.
#include <stdlib.h>
#include <string.h>

#include "backend/kernels/replan.h"
#include "passes/defects.h"
#include "passes/routing.h"
#include "tests/common/suite.h"
#include "tests/ir/graph_testing.h"
#include "tests/kernels/bench.h"

enum { NETWORKS = 16, SAMPLES = 2 };

// The outputs of the core engine for inputs of a seed, one after the other; NULL if it fails.
static uint8_t *run(Arena *a, const Fabric *f, uint64_t seed, size_t *bytes, uint64_t *cycles)
{
    const Image *image = f->image;
    const uint8_t **in = arena_array(a, const uint8_t *, image->n_tensors);
    uint8_t **out = arena_array(a, uint8_t *, image->n_tensors);
    Rng rng = {seed};
    uint8_t *all = arena_alloc(a, 1 << 20, 1, 8);
    *bytes = 0;
    for (uint32_t t = 0; t < image->n_tensors; t++) {
        const HostTensor *h = &image->tensors[t];
        size_t n = SAMPLES;
        for (uint32_t i = 0; i < h->rank; i++)
            n *= h->extent[i];
        if (h->is_output) {
            out[t] = all + *bytes;
            *bytes += n * dtype_bytes((DType)h->dtype);
            CU_ASSERT_FATAL(*bytes <= 1 << 20);
            continue;
        }
        float *values = arena_array(a, float, n);
        for (size_t i = 0; i < n; i++)
            values[i] = (float)rng_normal(&rng);
        in[t] = (const uint8_t *)values;
    }
    EngineOptions o = {.values = true, .samples = SAMPLES, .cycles_limit = 1ull << 32};
    EngineResult r;
    bool good = engine_run(a, f, &o, in, out, &r);
    *cycles = r.cycles;
    return good ? all : NULL;
}

// A hole on some kernel, dead cores everywhere.
static void random_map(Bench *b, Rng *r, Defects *defects)
{
    const Machine *m = &b->image.machine;
    const KernelInfo *k = &b->image.kernels[rng_below(r, b->image.n_kernels)];
    DefectList list = {0};
    uint32_t w = DEFECT_SKIP + 1 + rng_below(r, 8), h = 1 + rng_below(r, 8);
    uint32_t x = k->x + rng_below(r, k->w), y = k->y + rng_below(r, k->h);
    for (uint32_t i = 0; i < h && y + i < m->height; i++) {
        DefectRun run = {(uint16_t)(y + i), (uint16_t)x, (uint16_t)w};
        vec_push(&b->arena, &list.runs, run);
    }
    for (uint32_t i = 0; i < 100; i++) {
        DefectRun run = {(uint16_t)rng_below(r, m->height),
                         (uint16_t)rng_below(r, m->width + m->spare_columns), 1};
        vec_push(&b->arena, &list.runs, run);
    }
    defects_from_list(&b->arena, m, &list, defects);
}

typedef struct Count {
    unsigned ran, moved, stayed, refused;
} Count;

static void check_moved(Bench *b, Capture *c, const Image *moved, Rng *r, const char *label)
{
    Bytes bytes;
    Image again;
    Fabric f;
    size_t n, m;
    uint64_t before, after, seed = rng_next(r);
    image_write(moved, &bytes);
    bool good = image_read(&b->arena, &b->diag, label, bytes, &again) &&
                check_image(&b->arena, &b->diag, &again, &f);
    CU_ASSERT_TRUE(good);
    if (good) {
        const uint8_t *x = run(&b->arena, &b->fabric, seed, &n, &before);
        const uint8_t *y = run(&b->arena, &f, seed, &m, &after);
        good = x && y && n == m && memcmp(x, y, n) == 0;
        CU_ASSERT_TRUE(good);
    }
    if (!good)
        fprintf(stderr, "%s differs: %s\n", label, said(c));
    bytes_free(&bytes);
}

// The ways that the image has are those of the plan it was made from, router by router.
static void check_ways(Bench *b, const char *label)
{
    const Plan *was = b->cx.plan;
    Plan plan;
    bool same = kernels_replan(&b->arena, &b->diag, &b->image, &plan) &&
                kernels_restore_ways(&b->arena, &b->diag, &b->image, &plan);
    CU_ASSERT_TRUE_FATAL(same && plan.streams.n == was->streams.n);
    for (size_t i = 0; i < plan.streams.n; i++) {
        Arena a = {0};
        const Stream *p = was->streams.data[i], *q = plan.streams.data[i];
        size_t ports = p->port_y ? p->protocol.lanes * sizeof *p->port_y : 0;
        same = same && p->color == q->color && p->tensor == q->tensor &&
               (ports == 0 || (p->port_side == q->port_side && q->port_y &&
                               memcmp(p->port_y, q->port_y, ports) == 0));
        for (uint32_t l = 0; l < p->protocol.lanes; l++) {
            SeedVec x = {0}, y = {0};
            route_lane_routers(p, l, &a, &x);
            route_lane_routers(q, l, &a, &y);
            same = same && p->start_x[l] == q->start_x[l] && p->start_y[l] == q->start_y[l] &&
                   x.n == y.n;
            for (size_t k = 0; same && k < x.n; k++)
                same = x.data[k].x == y.data[k].x && x.data[k].y == y.data[k].y;
        }
        arena_free(&a);
    }
    CU_ASSERT_TRUE(same);
    if (!same)
        fprintf(stderr, "%s: ways differ\n", label);
}

static void one(uint64_t seed, Count *count)
{
    Capture c;
    Bench b;
    Rng r = {seed * 104729 + 3};
    char label[32];
    snprintf(label, sizeof label, "random %u", (unsigned)seed);
    capture_begin(&c);
    bench_begin(&b, label, "wse2-64x64", DT_F32);
    b.diag.out = c.diag.out;
    b.graph = random_graph(&b.arena, &r, DT_F32, 2 + rng_below(&r, 12), false);
    b.cx.graph = b.graph;
    if (bench_plan(&b, 0) && bench_run(&b, 1) >= 0) {
        Defects defects;
        Plan plan;
        Image moved;
        uint32_t n_moved;
        count->ran++;
        check_ways(&b, label);
        random_map(&b, &r, &defects);
        bool good = kernels_replan(&b.arena, &b.diag, &b.image, &plan);
        CU_ASSERT_TRUE(good);
        if (!good) {
            fprintf(stderr, "%s\n", said(&c));
        } else if (plan_set_defects(&b.diag, &plan, &defects) &&
                   plan_relink(&b.diag, &plan, &n_moved)) {
            good = kernels_move(&b.arena, &b.diag, &b.image, &plan, &moved);
            CU_ASSERT_TRUE(good);
            if (good)
                check_moved(&b, &c, &moved, &r, label);
            *(n_moved ? &count->moved : &count->stayed) += 1;
        } else {
            CU_ASSERT_EQUAL(diag_exit_code(&b.diag), EXIT_INFEASIBLE);
            count->refused++;
        }
        if (diag_exit_code(&b.diag) != EXIT_OK && diag_exit_code(&b.diag) != EXIT_INFEASIBLE)
            fprintf(stderr, "%s\n", said(&c));
    }
    bench_end(&b);
    capture_end(&c);
}

static void test_random(void)
{
    Count count = {0};
    for (uint64_t seed = 0; seed < NETWORKS; seed++)
        one(seed, &count);
    // Where a branch was routed before its trunk, or a kernel's edge faced a hole.
    static const uint8_t hard[] = {17, 24, 67, 69, 86, 112, 140};
    for (unsigned i = 0; i < sizeof hard; i++)
        one(hard[i], &count);
    printf("%u networks, %u moved, %u on other ways, %u refused ... ", count.ran, count.moved,
           count.stayed, count.refused);
    CU_ASSERT_TRUE(count.ran >= NETWORKS / 2);
    CU_ASSERT_EQUAL(count.refused, 0);
    CU_ASSERT_TRUE(count.moved >= count.ran / 2);
}

// The whole square fabric turned by q quarters: kernels with it, streams anew.
static bool turn_all(Bench *b, Plan *plan, uint32_t q)
{
    Router *router;
    uint32_t side = b->image.machine.width;
    CU_ASSERT_EQUAL_FATAL(side, b->image.machine.height);
    for (size_t i = 0; i < plan->kernels.n; i++) {
        Kernel *k = plan->kernels.data[i];
        uint32_t x = k->x, y = k->y, w, h;
        plan_extent(k, &w, &h);
        for (uint32_t n = 0; n < q; n++) {
            uint32_t old_x = x, old_w = w;
            x = side - y - h;
            y = old_x;
            w = h;
            h = old_w;
        }
        k->x = x;
        k->y = y;
        k->turn = (k->turn + q) % 4;
    }
    return plan_route(plan, &b->arena, plan_link_limit(plan, 2), &router);
}

static void test_turned(void)
{
    unsigned turned = 0;
    for (uint64_t seed = 100; seed < 116; seed++) {
        Capture c;
        Bench b;
        Rng r = {seed};
        capture_begin(&c);
        bench_begin(&b, "turned", "wse2-64x64", DT_F32);
        b.diag.out = c.diag.out;
        b.graph = random_graph(&b.arena, &r, DT_F32, 3 + rng_below(&r, 6), false);
        b.cx.graph = b.graph;
        bool ran = bench_plan(&b, 0) && bench_run(&b, 1) >= 0;
        for (uint32_t q = 1; ran && q < 4; q++) {
            Plan plan;
            Image moved;
            CU_ASSERT_TRUE_FATAL(kernels_replan(&b.arena, &b.diag, &b.image, &plan));
            if (!turn_all(&b, &plan, q))
                continue;
            CU_ASSERT_TRUE_FATAL(kernels_move(&b.arena, &b.diag, &b.image, &plan, &moved));
            check_moved(&b, &c, &moved, &r, "turned");
            turned++;
        }
        bench_end(&b);
        capture_end(&c);
    }
    printf("%u ... ", turned);
    CU_ASSERT_TRUE(turned >= 9);
}

// What an image says of its kernels is not the checker's business, so it may say anything.
static void test_lies(void)
{
    static const uint32_t values[] = {0, 1, 2, 3, 7, 4096, 4097, UINT32_MAX};
    Capture c;
    Bench b;
    capture_begin(&c);
    bench_begin(&b, "lies", "wse2-64x64", DT_F32);
    b.diag.out = c.diag.out;
    Node *x = g_linear(&b, g_input(&b, 16, 0, 0), 12);
    Node *y = g_linear(&b, g_unary(&b, OP_RELU, x), 12);
    g_output(&b, g_binary(&b, OP_ADD, x, y));
    CU_ASSERT_TRUE_FATAL(bench_plan(&b, 0) && bench_run(&b, 1) >= 0);
    unsigned refused = 0;
    for (uint32_t i = 0; i < 12 * 8; i++) {
        uint32_t v = values[i % 8];
        for (uint32_t k = 0; k < b.image.n_kernels; k++) {
            KernelInfo kernels[16];
            StreamInfo streams[64];
            CU_ASSERT_FATAL(b.image.n_kernels <= 16 && b.image.n_streams <= 64);
            memcpy(kernels, b.image.kernels, b.image.n_kernels * sizeof *kernels);
            memcpy(streams, b.image.streams, b.image.n_streams * sizeof *streams);
            Image image = b.image;
            image.kernels = kernels;
            image.streams = streams;
            uint32_t *fields[12] = {&kernels[k].lanes_in, &kernels[k].lanes_out, &kernels[k].split,
                                    &kernels[k].turn,     &kernels[k].w,         &kernels[k].h,
                                    &streams[k].to_input, &streams[k].lanes,     &streams[k].segs,
                                    &streams[k].features, &streams[k].rows,      &streams[k].cols};
            *fields[i / 8] = fields[i / 8] == &kernels[k].turn ? v % 4 : v;
            if (i / 8 == 7 || i / 8 == 8)
                *fields[i / 8] |= v == 0; // the reader refuses these
            Plan plan;
            Arena scratch = {0};
            refused += !kernels_replan(&scratch, &b.diag, &image, &plan);
            arena_free(&scratch);
        }
    }
    CU_ASSERT_TRUE(refused > 100);
    CU_ASSERT_FALSE(b.diag.internal);
    bench_end(&b);
    capture_end(&c);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"random networks", test_random},
        {"turned", test_turned},
        {"lies", test_lies},
        CU_TEST_INFO_NULL,
    };
    return suite_run("relink", tests);
}
