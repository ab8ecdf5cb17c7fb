/* SPDX-License-Identifier: Apache-2.0 */
/* tests/passes/test_planner.c - sizing, placement and routing on made-up kernels.
 *
 * What the planner made is judged router by router (judge.h). */
#include <stdlib.h>
#include <string.h>

#include "ir/support/rng.h"
#include "passes/sizing.h"
#include "tests/common/capture.h"
#include "tests/common/suite.h"
#include "tests/passes/judge.h"

typedef struct Net {
    Capture c;
    Machine machine;
    Graph graph;
    Plan plan;
    PassContext cx;
} Net;

static void net_init(Net *n, const char *machine)
{
    memset(n, 0, sizeof *n);
    capture_begin(&n->c);
    CU_ASSERT_TRUE_FATAL(machine_load(&n->c.diag, machine, &n->machine));
    n->graph.name = "net";
    n->graph.arena = &n->c.arena;
    n->plan = (Plan){.arena = &n->c.arena, .graph = &n->graph, .machine = &n->machine};
    n->cx = (PassContext){.diag = &n->c.diag,
                          .graph = &n->graph,
                          .plan = &n->plan,
                          .machine = &n->machine,
                          .arena = &n->c.arena};
    n->cx.options.slack = 0.05;
}

static void net_finish(Net *n)
{
    capture_end(&n->c);
}

static bool says(Net *n, const char *text)
{
    if (strstr(said(&n->c), text))
        return true;
    printf("not said: %s\nbut: %s\n", text, said(&n->c));
    return false;
}

static Node *node(Net *n, Opkind op, int64_t rows, int64_t cols, int64_t features)
{
    Node *v = arena_new(&n->c.arena, Node);
    v->op = op;
    v->type.dtype = DT_F32;
    v->type.rank = cols ? 3 : rows ? 2 : 1;
    int64_t e[3] = {rows, cols, features};
    memcpy(v->type.extent, e + 3 - v->type.rank, (size_t)v->type.rank * sizeof *e);
    return v;
}

static Kernel *kernel(Net *n, KernelKind kind, Node *value)
{
    Kernel *k = arena_new(&n->c.arena, Kernel);
    k->id = (uint32_t)n->plan.kernels.n;
    k->kind = kind;
    k->name = arena_printf(&n->c.arena, "k%u", k->id);
    k->anchor = k->result = value;
    vec_push(&n->c.arena, &n->plan.kernels, k);
    return k;
}

static Stream *stream(Net *n, Kernel *from, Kernel *to, Node *value)
{
    Stream *s = arena_new(&n->c.arena, Stream);
    s->id = (uint32_t)n->plan.streams.n;
    s->from = from ? (int32_t)from->id : PLAN_HOST;
    s->to = to ? (int32_t)to->id : PLAN_HOST;
    s->name =
        arena_printf(&n->c.arena, "%s -> %s", from ? from->name : "host", to ? to->name : "host");
    s->node = value;
    s->slots = 2;
    protocol_of(&value->type, 0, 1, &s->protocol);
    if (from)
        from->out[from->n_out++] = s->id;
    if (to) {
        s->to_input = to->n_in;
        to->in[to->n_in++] = s->id;
    }
    vec_push(&n->c.arena, &n->plan.streams, s);
    return s;
}

static void net_mlp(Net *n, const char *machine, unsigned layers, int64_t width)
{
    net_init(n, machine);
    Node *x = node(n, OP_INPUT, 0, 0, 2 * width);
    Kernel *last = NULL;
    for (unsigned i = 0; i < layers; i++) {
        Node *y = node(n, OP_LINEAR, 0, 0, i + 1 == layers ? 10 : width);
        Kernel *k = kernel(n, KERNEL_MATVEC, y);
        stream(n, last, k, x);
        last = k;
        x = y;
    }
    stream(n, last, NULL, x);
}

/* conv -> [conv -> conv + residual] x blocks -> line -> matvec */
static void net_residual(Net *n, const char *machine, unsigned blocks)
{
    net_init(n, machine);
    Node *x = node(n, OP_INPUT, 12, 12, 3), *y = node(n, OP_CONV2D, 12, 12, 16);
    Kernel *last = kernel(n, KERNEL_CONV, y);
    stream(n, NULL, last, x);
    for (unsigned i = 0; i < blocks; i++) {
        Kernel *a = kernel(n, KERNEL_CONV, y), *b = kernel(n, KERNEL_CONV, y);
        stream(n, last, a, y);
        stream(n, a, b, y);
        stream(n, last, b, y);
        last = b;
    }
    Node *pool = node(n, OP_GLOBAL_AVG_POOL, 0, 0, 16), *out = node(n, OP_LINEAR, 0, 0, 10);
    Kernel *line = kernel(n, KERNEL_LINE, pool), *fc = kernel(n, KERNEL_MATVEC, out);
    stream(n, last, line, y);
    stream(n, line, fc, pool);
    stream(n, fc, NULL, out);
}

static bool plan_all(Net *n)
{
    if (!pass_size(&n->cx) || !pass_place(&n->cx))
        return false;
    Text t = {0}; /* what --print-after=place does */
    plan_print(&t, &n->plan);
    text_free(&t);
    return pass_route(&n->cx) && pass_buffers(&n->cx);
}

/* ---- tests ---- */

static void expect_plan(Net *n)
{
    bool good = plan_all(n);
    CU_ASSERT_TRUE(good);
    if (good) {
        CU_ASSERT_TRUE(judged_good(&n->plan, plan_target(&n->plan)));
    } else {
        says(n, "?");
    }
}

static void test_chain_tiny(void)
{
    for (unsigned layers = 1; layers <= 4; layers++) {
        Net n;
        net_mlp(&n, "tiny-8x8", layers, 16);
        expect_plan(&n);
        net_finish(&n);
    }
}

static void test_chain(void)
{
    static const char *const machines[] = {"wse2-64x64", "wse2"};
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned layers = 1; layers <= 12; layers += 3) {
            Net n;
            net_mlp(&n, machines[i], layers, 96);
            expect_plan(&n);
            net_finish(&n);
        }
    }
}

static void test_residual(void)
{
    for (unsigned blocks = 1; blocks <= 4; blocks++) {
        Net n;
        net_residual(&n, blocks == 1 ? "wse2-64x64" : "wse2", blocks);
        expect_plan(&n);
        /* Two convolutions hold back two rows each: the way around must hold them. */
        const Kernel *join = n.plan.kernels.data[2];
        CU_ASSERT_TRUE(n.plan.streams.data[join->in[1]]->slots >= 2 + 4);
        /* The long way has room for bursts only. */
        CU_ASSERT_EQUAL(n.plan.streams.data[join->in[0]]->slots, 2 + 4);
        net_finish(&n);
    }
}

static void test_max_cores(void)
{
    Net a, b;
    net_mlp(&a, "wse2", 3, 96);
    net_mlp(&b, "wse2", 3, 96);
    b.cx.options.max_cores = 60;
    expect_plan(&a);
    expect_plan(&b);
    CU_ASSERT_TRUE(plan_cores(&b.plan) <= 60);
    CU_ASSERT_TRUE(plan_cores(&a.plan) > 60);
    CU_ASSERT_TRUE(plan_target(&a.plan) < plan_target(&b.plan));
    net_finish(&a);
    net_finish(&b);
}

/* A pin, an area and a keep-out hold; what cannot hold is said and is infeasible. */
static void test_constraints(void)
{
    Pin pin = {.kernel = "k1", .x = 20, .y = 30}, off = {.kernel = "k1", .x = 63, .y = 63};
    AreaLimit area = {.kernel = "k0", .max_cores = 40}, none = {.kernel = "k0", .max_cores = 0};
    Net n;
    net_mlp(&n, "wse2-64x64", 3, 96);
    KeepOut out = {.x = 0, .y = 0, .w = 16, .h = 64, .why = "a keep-out"};
    vec_push(&n.c.arena, &n.plan.keepouts, out);
    n.plan.kernels.data[1]->pin = &pin;
    n.plan.kernels.data[0]->area = &area;
    expect_plan(&n);
    const Shape *s = &n.plan.kernels.data[0]->shape;
    CU_ASSERT_TRUE(s->w * s->h <= 40);
    net_finish(&n);
    net_mlp(&n, "wse2-64x64", 3, 96);
    n.plan.kernels.data[0]->area = &none;
    CU_ASSERT_FALSE(plan_all(&n));
    CU_ASSERT_TRUE(says(&n, "kernel 'k0' may take 0 cores at most"));
    CU_ASSERT_EQUAL(diag_exit_code(&n.c.diag), EXIT_INFEASIBLE);
    net_finish(&n);
    net_mlp(&n, "wse2-64x64", 3, 96);
    n.plan.kernels.data[1]->pin = &off;
    bool good = plan_all(&n); /* one core, if a shape is as small as that */
    CU_ASSERT_TRUE(good ? judged_good(&n.plan, plan_target(&n.plan)) : says(&n, "kernel 'k1'"));
    net_finish(&n);
}

/* What was planned before stays where it was if nothing has changed; if one kernel is pinned
 * elsewhere the rest stays as far as it can. */
static void test_earlier(void)
{
    Net n;
    EarlierPlacement earlier = {0};
    net_mlp(&n, "wse2", 5, 96);
    expect_plan(&n);
    Arena a = {0};
    for (size_t i = 0; i < n.plan.kernels.n; i++) {
        const Kernel *k = n.plan.kernels.data[i];
        EarlierKernel e = plan_as_earlier(&n.plan, k);
        e.name = arena_printf(&a, "%s", e.name); /* the plan goes first */
        e.stream = arena_printf(&a, "%s", e.stream);
        e.y = n.plan.kernels.data[0]->y < 400 ? k->y + 200 : k->y - 200;
        vec_push(&a, &earlier.kernels, e);
    }
    net_finish(&n);
    net_mlp(&n, "wse2", 5, 96);
    n.cx.options.earlier = &earlier;
    expect_plan(&n);
    unsigned stayed = 0;
    for (size_t i = 0; i < n.plan.kernels.n && i < earlier.kernels.n; i++)
        stayed += n.plan.kernels.data[i]->x == earlier.kernels.data[i].x &&
                  n.plan.kernels.data[i]->y == earlier.kernels.data[i].y;
    CU_ASSERT_TRUE(stayed + 1 >= earlier.kernels.n);
    net_finish(&n);
    arena_free(&a);
}

static void test_same_twice(void)
{
    Text t[2] = {{0}, {0}};
    for (unsigned i = 0; i < 2; i++) {
        Net n;
        net_residual(&n, "wse2-64x64", 2);
        expect_plan(&n);
        plan_print(&t[i], &n.plan);
        net_finish(&n);
    }
    CU_ASSERT_STRING_EQUAL(t[0].data, t[1].data);
    text_free(&t[0]);
    text_free(&t[1]);
}

/* Random shapes, orientations and places: whatever the router accepts must be right. */
static void test_router_random(void)
{
    Rng rng = {7};
    unsigned routed = 0;
    for (unsigned round = 0; round < 300; round++) {
        Net n;
        net_mlp(&n, round % 3 ? "wse2-64x64" : "tiny-8x8", 2 + round % 3, 16);
        uint32_t side = n.machine.width;
        bool placed = true;
        uint32_t lanes = 1 + rng_below(&rng, round % 3 ? 6 : 2);
        for (size_t i = 0; i < n.plan.kernels.n && placed; i++) {
            Kernel *k = n.plan.kernels.data[i];
            uint32_t out = 1 + rng_below(&rng, round % 3 ? 6 : 2);
            k->shape = (Shape){.lanes_in = lanes,
                               .lanes_out = out,
                               .split = 1 + rng_below(&rng, 2),
                               .segs_out = 1};
            kernel_shape(&n.c.arena, k, &n.plan.streams.data[k->in[0]]->protocol, &n.machine,
                         &k->shape);
            n.plan.streams.data[k->in[0]]->protocol.lanes = lanes;
            n.plan.streams.data[k->out[0]]->protocol.lanes = lanes = out;
            placed = false;
            for (unsigned t = 0; t < 30 && !placed; t++) {
                uint32_t w, h;
                k->turn = rng_below(&rng, 4);
                k->mirror = rng_below(&rng, 2);
                plan_extent(k, &w, &h);
                if (w > side || h > side)
                    break;
                k->x = rng_below(&rng, side - w + 1);
                k->y = rng_below(&rng, side - h + 1);
                placed = true;
                for (size_t o = 0; o < i; o++)
                    placed = placed && !box_meet(plan_box(k), plan_box(n.plan.kernels.data[o]));
            }
        }
        Router *r;
        if (placed && plan_route(&n.plan, &n.c.arena, UINT64_MAX / 4, &r)) {
            routed++;
            CU_ASSERT_TRUE(judged_good(&n.plan, plan_target(&n.plan)));
        }
        net_finish(&n);
    }
    CU_ASSERT_TRUE(routed > 150);
}

static void test_infeasible(void)
{
    Net n;
    net_mlp(&n, "tiny-8x8", 2, 20000); /* memory of every core */
    CU_ASSERT_FALSE(plan_all(&n));
    CU_ASSERT_EQUAL(diag_exit_code(&n.c.diag), EXIT_INFEASIBLE);
    CU_ASSERT_TRUE(says(&n, "kernel 'k0' needs "));
    CU_ASSERT_TRUE(says(&n, "kernel 'k1' needs ")); /* all of them, not the first alone */
    CU_ASSERT_TRUE(says(&n, "bytes too many"));
    net_finish(&n);

    net_mlp(&n, "tiny-8x8", 70, 16); /* a core each is more than there are */
    CU_ASSERT_FALSE(plan_all(&n));
    CU_ASSERT_TRUE(says(&n, "cores at least, 64 may be used"));
    net_finish(&n);

    net_mlp(&n, "wse2-64x64", 2, 96);
    n.machine.colors = n.machine.reserved_colors + 2; /* chains take both */
    CU_ASSERT_FALSE(plan_all(&n));
    CU_ASSERT_EQUAL(diag_exit_code(&n.c.diag), EXIT_INFEASIBLE);
    CU_ASSERT_TRUE(says(&n, "where none of the 2 colors is free"));
    net_finish(&n);

    net_residual(&n, "wse2", 1);
    n.machine.queues_in = 2; /* two streams and a chain */
    CU_ASSERT_FALSE(plan_all(&n));
    CU_ASSERT_TRUE(says(&n, "needs 3 incoming"));
    net_finish(&n);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"chains on a tiny fabric", test_chain_tiny},
        {"chains", test_chain},
        {"residuals", test_residual},
        {"max_cores", test_max_cores},
        {"constraints", test_constraints},
        {"an earlier placement", test_earlier},
        {"same twice", test_same_twice},
        {"router, random places", test_router_random},
        {"infeasible", test_infeasible},
        CU_TEST_INFO_NULL,
    };
    return suite_run("planner", tests);
}
