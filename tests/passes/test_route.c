/* SPDX-License-Identifier: Apache-2.0 */
/* tests/passes/test_route.c - the router alone, on kernels put down by hand.
 *
 * What it makes is judged router by router (judge.h); on small cases it is held against trying
 * everything. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ir/support/rng.h"
#include "passes/planner.h"
#include "tests/common/capture.h"
#include "tests/common/suite.h"
#include "tests/passes/judge.h"

typedef struct Net {
    Capture c;
    Machine machine;
    Graph graph;
    Plan plan;
} Net;

static void net_init(Net *n, uint32_t width, uint32_t height, uint32_t colors)
{
    memset(n, 0, sizeof *n);
    capture_begin(&n->c);
    CU_ASSERT_TRUE_FATAL(machine_load(&n->c.diag, "wse2", &n->machine));
    n->machine.width = width;
    n->machine.height = height;
    n->machine.reserved_colors = n->machine.colors - colors;
    n->machine.ports_west = n->machine.ports_east = height;
    n->graph.name = "net";
    n->graph.arena = &n->c.arena;
    n->plan = (Plan){.arena = &n->c.arena, .graph = &n->graph, .machine = &n->machine};
}

static void net_finish(Net *n)
{
    capture_end(&n->c);
}

/* A strip of `lanes` cores, one wide, or a matrix kernel w wide. */
static Kernel *strip(Net *n, uint32_t x, uint32_t y, uint32_t lanes, uint32_t turn)
{
    Kernel *k = arena_new(&n->c.arena, Kernel);
    k->id = (uint32_t)n->plan.kernels.n;
    k->kind = KERNEL_LINE;
    k->name = arena_printf(&n->c.arena, "k%u", k->id);
    k->shape = (Shape){.lanes_in = lanes, .lanes_out = lanes, .split = 1, .w = 1, .h = lanes};
    k->x = x;
    k->y = y;
    k->turn = turn;
    vec_push(&n->c.arena, &n->plan.kernels, k);
    return k;
}

static Kernel *matrix(Net *n, uint32_t x, uint32_t y, uint32_t in, uint32_t out, uint32_t turn)
{
    Kernel *k = strip(n, x, y, out, turn);
    k->kind = KERNEL_MATVEC;
    k->shape.lanes_in = k->shape.w = in;
    return k;
}

/* `words` a sample on every lane. */
static Stream *stream(Net *n, Kernel *from, Kernel *to, uint32_t lanes, uint32_t words)
{
    Stream *s = arena_new(&n->c.arena, Stream);
    s->id = (uint32_t)n->plan.streams.n;
    s->from = from ? (int32_t)from->id : PLAN_HOST;
    s->to = to ? (int32_t)to->id : PLAN_HOST;
    s->name = arena_printf(&n->c.arena, "s%u", s->id);
    s->slots = 2;
    s->protocol = (Protocol){DT_F32, 1, 1, lanes * words, lanes, 1};
    if (from)
        from->out[from->n_out++] = s->id;
    if (to) {
        s->to_input = to->n_in;
        to->in[to->n_in++] = s->id;
    }
    vec_push(&n->c.arena, &n->plan.streams, s);
    return s;
}

/* ---- speed ---- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Times depend on the machine: they are shown only. */
static void routed_in(Net *n, uint64_t limit)
{
    Router *r;
    double t = seconds();
    bool good = plan_route(&n->plan, &n->c.arena, limit, &r);
    t = seconds() - t;
    printf("%zu kernels, %zu streams: %.2f s, %u rounds ", n->plan.kernels.n, n->plan.streams.n, t,
           r->failure.rounds);
    CU_ASSERT_TRUE(good);
    for (uint32_t i = 0; i < r->failure.n_troubles && !good; i++) {
        const RouteTrouble *w = &r->failure.trouble[i];
        const Stream *s = n->plan.streams.data[w->stream];
        printf("\n  stream %u (%d to %d, input %u): (%d, %d) .. (%d, %d) side %d: %u of %u",
               w->stream, s->from, s->to, s->to_input, w->box.x0, w->box.y0, w->box.x1, w->box.y1,
               (int)w->side, (unsigned)w->demand, (unsigned)w->capacity);
    }
    if (good)
        CU_ASSERT_TRUE(judged_good(&n->plan, limit));
}

/* A chain of matrix kernels up and down the wafer, with skips and forks. */
static void long_chain(Net *n, uint32_t kernels)
{
    enum { ROWS = 54, FAR = 60 };
    Rng rng = {5};
    net_init(n, 750, 994, 24);
    for (uint32_t i = 0; i < kernels; i++) {
        uint32_t c = i / ROWS, r = c % 2 ? ROWS - 1 - i % ROWS : i % ROWS;
        matrix(n, 12 + c * 13, 12 + r * 18, 6, 6, 0);
    }
    stream(n, NULL, n->plan.kernels.data[0], 6, 10);
    for (uint32_t i = 1; i < kernels; i++)
        stream(n, n->plan.kernels.data[i - 1], n->plan.kernels.data[i], 6, 10);
    for (uint32_t i = 0; i < kernels / 3; i++) {
        uint32_t from = rng_below(&rng, kernels - FAR);
        Kernel *a = n->plan.kernels.data[from],
               *b = n->plan.kernels.data[from + 1 + rng_below(&rng, FAR - 1)];
        if (a->n_out < 4 && b->n_in < 3)
            stream(n, a, b, 6, 10);
    }
    stream(n, n->plan.kernels.data[kernels - 1], NULL, 6, 10);
}

#ifdef __SANITIZE_ADDRESS__ // minutes
enum { TIGHT_MOST = 300 };
#else
enum { TIGHT_MOST = 1500 };
#endif

/* Four streams a link, and all links between the kernels wanted. Of the larger one hundreds stay
 * in each other's way at first. */
static void test_tight(void)
{
    for (uint32_t kernels = 300; kernels <= TIGHT_MOST; kernels += 1200) {
        Net n;
        long_chain(&n, kernels);
        routed_in(&n, 40);
        net_finish(&n);
    }
}

/* The judge sees an edge of fewer lanes than its stream has, and lanes that do not go straight. */
static void test_judge(void)
{
    Net n;
    Router *r;
    net_init(&n, 30, 20, 8);
    Kernel *a = strip(&n, 2, 4, 3, 0), *b = strip(&n, 20, 8, 3, 0);
    Stream *s = stream(&n, a, b, 3, 10);
    CU_ASSERT_TRUE_FATAL(plan_route(&n.plan, &n.c.arena, 100, &r));
    CU_ASSERT_TRUE(judged_good(&n.plan, 100));
    Kernel *ends[2] = {a, b};
    for (unsigned i = 0; i < 2; i++) {
        Shape shape = ends[i]->shape;
        ends[i]->shape.lanes_in = ends[i]->shape.lanes_out = ends[i]->shape.h = 2;
        CU_ASSERT_FALSE(judged_good(&n.plan, 100));
        ends[i]->shape = shape;
    }
    CU_ASSERT_TRUE_FATAL(s->n_segments > 1);
    for (unsigned i = 0; i < 2; i++) {
        BundleSegment *g = &s->segments[i ? s->n_segments - 1 : 0];
        CU_ASSERT_EQUAL(g->side, SIDE_E);
        g->side = SIDE_S;
        CU_ASSERT_FALSE(judged_good(&n.plan, 100));
        g->side = SIDE_E;
    }
    net_finish(&n);
}

static void test_many(void)
{
    Net n;
    long_chain(&n, 3000);
    routed_in(&n, 100);
    for (size_t i = 0; i < n.plan.kernels.n; i++)
        n.plan.kernels.data[i]->shape.cycles = 1000;
    PassContext cx = {
        .diag = &n.c.diag, .plan = &n.plan, .machine = &n.machine, .arena = &n.c.arena};
    double t = seconds();
    CU_ASSERT_TRUE(pass_buffers(&cx));
    t = seconds() - t;
    printf("buffers %.3f s ", t);
    net_finish(&n);
}

static void test_wide(void)
{
    Net n;
    net_init(&n, 750, 994, 24);
    for (uint32_t i = 0; i < 60; i++) {
        uint32_t row = i / 20, c = row % 2 ? 19 - i % 20 : i % 20;
        strip(&n, 280 + c * 9, 20 + row * 300, 250, row % 2 ? 2 : 0);
    }
    for (uint32_t i = 1; i < 60; i++)
        stream(&n, n.plan.kernels.data[i - 1], n.plan.kernels.data[i], 250, 100);
    for (uint32_t i = 0; i + 7 < 60; i += 7)
        stream(&n, n.plan.kernels.data[i], n.plan.kernels.data[i + 7], 250, 100);
    routed_in(&n, 1000);
    net_finish(&n);
}

/* ---- negotiation ---- */

static bool routes(Net *n, uint64_t limit, Router **r)
{
    bool good = plan_route(&n->plan, &n->c.arena, limit, r);
    CU_ASSERT_TRUE(!good || judged_good(&n->plan, limit));
    return good;
}

/* Many bundles through a gap between dead cores, where links hold few of them. */
static void test_congestion(void)
{
    Net n;
    Router *r;
    net_init(&n, 60, 60, 8);
    for (uint32_t y = 0; y < 60; y += 40) {
        KeepOut wall = {30, y, 1, 20, true, "hole"};
        vec_push(&n.c.arena, &n.plan.keepouts, wall);
    }
    for (uint32_t i = 0; i < 12; i++) {
        Kernel *a = strip(&n, 2 + i % 2, 4 * i + 4, 2, 0), *b = strip(&n, 55, 4 * i + 4, 2, 0);
        stream(&n, a, b, 2, 10);
    }
    CU_ASSERT_TRUE(routes(&n, 20, &r));  /* 20 rows, two streams a link: 40 lanes for 24 */
    CU_ASSERT_FALSE(routes(&n, 12, &r)); /* one: 20 for 24 */
    CU_ASSERT_TRUE(r->failure.proved && r->failure.ways == 0);
    CU_ASSERT_EQUAL(r->failure.cut.lanes, 24);
    CU_ASSERT_EQUAL(r->failure.cut.room, 20);
    PassContext cx = {
        .diag = &n.c.diag, .plan = &n.plan, .machine = &n.machine, .arena = &n.c.arena};
    route_explain(&cx, &r->failure);
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&n.c), "from column 29 to 30 24 lanes have to go east"));
    net_finish(&n);
}

/* A given color stays, the others make room; two of the same color go apart. */
static void test_given_colors(void)
{
    Net n;
    Router *r;
    net_init(&n, 20, 20, 2);
    Kernel *a = strip(&n, 2, 8, 2, 0), *b = strip(&n, 16, 8, 2, 0), *c = strip(&n, 8, 2, 2, 1),
           *d = strip(&n, 8, 16, 2, 1);
    Stream *across = stream(&n, a, b, 2, 10), *down = stream(&n, c, d, 2, 10);
    across->color_fixed = true;
    across->color = 1;
    CU_ASSERT_TRUE(routes(&n, 100, &r));
    CU_ASSERT_EQUAL(across->color, 1);
    CU_ASSERT_EQUAL(down->color, 0);
    down->color_fixed = true;
    down->color = 1;
    bool good = routes(&n, 100, &r);
    CU_ASSERT_TRUE(!good || down->color == 1);
    net_finish(&n);
}

/* A maze of dead cores: no bundle passes, lanes do, and each as its piece of the stream. */
static void test_lanes(void)
{
    Net n;
    Router *r;
    net_init(&n, 32, 24, 4);
    Kernel *a = strip(&n, 2, 10, 2, 0), *b = strip(&n, 28, 10, 2, 0);
    Stream *s = stream(&n, a, b, 2, 10);
    for (uint32_t k = 0; k < 5; k++) {
        KeepOut wall = {5 + 4 * k, k % 2 ? 0 : 3, 1, 21, true, "hole"};
        vec_push(&n.c.arena, &n.plan.keepouts, wall);
    }
    bool good = routes(&n, 100, &r);
    CU_ASSERT_TRUE(good);
    CU_ASSERT_TRUE(!good || s->n_segments > 5);
    CU_ASSERT_TRUE(r->failure.mazes > 0);
    KeepOut wall = {24, 0, 1, 24, true, "hole"};
    vec_push(&n.c.arena, &n.plan.keepouts, wall);
    CU_ASSERT_FALSE(routes(&n, 100, &r));
    CU_ASSERT_EQUAL(r->failure.stream, s->id);
    net_finish(&n);
}

/* What the router says of streams that it finds no ways for with such a limit. */
static const char *reasons(Net *n, uint64_t limit)
{
    PassContext cx = {
        .diag = &n->c.diag, .plan = &n->plan, .machine = &n->machine, .arena = &n->c.arena};
    Router *r;
    CU_ASSERT_FALSE(routes(n, limit, &r));
    route_explain(&cx, &r->failure);
    return said(&n->c);
}

static void expect_said(const char *said, const char *what)
{
    CU_ASSERT_PTR_NOT_NULL(strstr(said, what));
    if (!strstr(said, what))
        printf("\nexpected '%s' in\n%s", what, said);
}

/* Three streams through one row of routers. With `around` other rows lead nowhere, which no
 * straight cut shows. */
static void bottleneck(Net *n, bool around)
{
    KeepOut walls[] = {
        {10, 0, 5, 1, true, "hole"}, {10, 2, 5, 1, true, "hole"}, {10, 3, 20, 1, true, "hole"}};
    net_init(n, 30, around ? 8 : 3, 8);
    for (unsigned i = 0; i < (around ? 3 : 2); i++)
        vec_push(&n->c.arena, &n->plan.keepouts, walls[i]);
    for (uint32_t i = 0; i < 3; i++)
        stream(n, strip(n, 2, i, 1, 0), strip(n, 28, i, 1, 0), 1, 10);
}

/* Which streams, which links with what demand and capacity, what was tried. */
static void test_explained(void)
{
    Net n;
    Router *r;
    bottleneck(&n, true);
    CU_ASSERT_TRUE(routes(&n, 30, &r));
    expect_said(reasons(&n, 25), "to the east would carry 30 words a sample of the 25");
    expect_said(said(&n.c), "rounds of rip-up");
    n.machine.reserved_colors = n.machine.colors - 2;
    expect_said(reasons(&n, 30), "had none of the 2 colors free");
    net_finish(&n);
}

/* A cut is a proof, and quick. */
static void test_cut(void)
{
    Net n;
    Router *r;
    bottleneck(&n, false);
    CU_ASSERT_TRUE(routes(&n, 30, &r));
    expect_said(reasons(&n, 25),
                "from column 9 to 10 3 lanes have to go east, 's2' among them, with 30 words a "
                "sample; links there: 1, with room for 25 words each and 2 lanes in all");
    n.machine.reserved_colors = n.machine.colors - 2;
    expect_said(reasons(&n, 30), "room for 30 words each and 2 lanes in all");
    net_finish(&n);
    net_init(&n, 30, 20, 8); /* three lanes of one color through two rows */
    KeepOut wall = {10, 2, 5, 18, true, "hole"};
    vec_push(&n.c.arena, &n.plan.keepouts, wall);
    stream(&n, strip(&n, 25, 6, 3, 2), strip(&n, 2, 6, 3, 2), 3, 10);
    expect_said(reasons(&n, 100), "from column 10 to 9 the 3 lanes of 's0' have to go west, each "
                                  "over a link of its own; links there: 2");
    net_finish(&n);
}

/* ---- trees ---- */

static uint64_t wire(const Net *n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n->plan.streams.n; i++)
        sum += stream_hops(n->plan.streams.data[i]);
    return sum;
}

/* A sender and consumers above one another, far east of it. */
static void three_consumers(Net *n, uint32_t lanes, uint32_t apart)
{
    net_init(n, 90, 60, 8);
    Kernel *a = strip(n, 2, 4, lanes, 0);
    for (uint32_t i = 0; i < 3; i++)
        stream(n, a, strip(n, 80, 4 + i * apart, lanes, 0), lanes, 10);
}

/* One and two lanes fork where they are nearest: the long way east is there once. */
static void test_forks(void)
{
    for (uint32_t lanes = 1; lanes <= 2; lanes++) {
        Net n;
        Router *r;
        three_consumers(&n, lanes, 16);
        CU_ASSERT_TRUE_FATAL(routes(&n, 100, &r));
        unsigned forks = 0, branches = 0;
        for (size_t i = 0; i < n.plan.streams.n; i++) {
            forks += n.plan.streams.data[i]->forks;
            branches += n.plan.streams.data[i]->trunk != NULL;
        }
        CU_ASSERT_EQUAL(branches, 2);
        CU_ASSERT_EQUAL(n.plan.kernels.data[0]->n_branches, 2);
        CU_ASSERT_TRUE(forks > 0);
        CU_ASSERT_TRUE(wire(&n) <= 77 + 2 * (16 + 10));
        printf("%u lanes: %u hops ", lanes, (unsigned)wire(&n));
        net_finish(&n);
    }
}

/* Three lanes go on through one consumer to the next. */
static void test_bundles_go_on(void)
{
    Net n;
    Router *r;
    net_init(&n, 90, 60, 8);
    Kernel *a = strip(&n, 2, 4, 3, 0);
    for (uint32_t i = 0; i < 3; i++)
        stream(&n, a, strip(&n, 30 + 20 * i, 4 + i, 3, 0), 3, 10);
    CU_ASSERT_TRUE_FATAL(routes(&n, 100, &r));
    for (size_t i = 0; i < n.plan.streams.n; i++)
        CU_ASSERT_FALSE(n.plan.streams.data[i]->forks);
    CU_ASSERT_EQUAL(n.plan.kernels.data[0]->n_branches, 2);
    net_finish(&n);
}

/* Trees that are given stay trees where they have to go another way. */
static void test_given_trees(void)
{
    for (uint32_t lanes = 1; lanes <= 2; lanes++) {
        Net n;
        Router *r;
        three_consumers(&n, lanes, 16);
        CU_ASSERT_TRUE_FATAL(routes(&n, 100, &r));
        n.plan.programs_given = true;
        KeepOut wall = {40, 0, 2, 30, true, "hole"};
        vec_push(&n.c.arena, &n.plan.keepouts, wall);
        CU_ASSERT_TRUE(routes(&n, 100, &r));
        CU_ASSERT_EQUAL(n.plan.kernels.data[0]->n_branches, 2);
        net_finish(&n);
    }
}

/* ---- small cases, against an exhaustive search ---- */

/* What the router takes to be in use, cell by cell: the region of a consumer is its stream's,
 * with words leaving every core of it by the side it travels. */
enum { MOST = 4 }; /* streams */

typedef struct All {
    Net *n;
    int w, h;
    uint64_t limit;
    int owner[24][36]; /* stream + 1 by color and cell; -1: nobody may have it */
    uint64_t words[36][4];
    int users[36][4], own[36][4]; /* of them, ways */
    bool port[2][6];              /* W, E: by row, used */
    unsigned side[MOST];          /* of host streams' ports: 0 W, 1 E */
    int row[MOST][2];             /* by lane */
    long steps;
} All;

static bool all_stream(All *a, size_t i);
static bool all_lane(All *a, size_t i, uint32_t l);

static bool all_room(const All *a, int cell, Side d, uint64_t words)
{
    return a->users[cell][d] == 0 || a->words[cell][d] + words <= a->limit;
}

static void all_use(All *a, int cell, Side d, uint64_t words, int sign)
{
    a->words[cell][d] += sign > 0 ? words : -words;
    a->users[cell][d] += sign;
    a->own[cell][d] += sign;
}

static bool all_step(All *a, size_t i, uint32_t l, int x, int y, Side in, int gx, int gy, Side out)
{
    const Stream *s = a->n->plan.streams.data[i];
    uint64_t words = stream_words(s) < a->limit ? stream_words(s) : a->limit;
    if (x < 0 || y < 0 || x >= a->w || y >= a->h || --a->steps < 0)
        return false;
    int cell = y * a->w + x, *owner = &a->owner[s->color][cell];
    for (unsigned end = 0; end < 2; end++) {
        int32_t k = end ? s->to : s->from;
        if (k == PLAN_HOST)
            continue;
        Box b = plan_box(a->n->plan.kernels.data[k]);
        if (x >= b.x0 && x <= b.x1 && y >= b.y0 && y <= b.y1)
            return false;
    }
    if (*owner)
        return false;
    *owner = (int)i + 1;
    bool good = false;
    if (x == gx && y == gy) {
        if (all_room(a, cell, out, words)) {
            all_use(a, cell, out, words, 1);
            good = all_lane(a, i, l + 1);
            all_use(a, cell, out, words, -1);
        }
    } else {
        for (Side d = SIDE_N; d <= SIDE_W && !good; d++) {
            if (d == side_opposite(in) || !all_room(a, cell, d, words))
                continue;
            all_use(a, cell, d, words, 1);
            good = all_step(a, i, l, x + side_dx(d), y + side_dy(d), d, gx, gy, out);
            all_use(a, cell, d, words, -1);
        }
    }
    *owner = 0;
    return good;
}

/* A lane between ends that are known. */
static bool all_path(All *a, size_t i, uint32_t l)
{
    const Stream *s = a->n->plan.streams.data[i];
    int x, y, gx, gy;
    Side ds = a->side[i] ? SIDE_W : SIDE_E, de = side_opposite(ds); /* at ports */
    x = gx = a->side[i] ? a->w : -1;
    y = gy = a->row[i][l];
    if (s->from != PLAN_HOST)
        edge_at(&a->n->plan, a->n->plan.kernels.data[s->from], -1, l, &x, &y, &ds);
    if (s->to != PLAN_HOST)
        edge_at(&a->n->plan, a->n->plan.kernels.data[s->to], (int)s->to_input, l, &gx, &gy, &de);
    if (x + side_dx(ds) == gx && y + side_dy(ds) == gy && ds == de)
        return all_lane(a, i, l + 1);
    return all_step(a, i, l, x + side_dx(ds), y + side_dy(ds), ds, gx - side_dx(de),
                    gy - side_dy(de), de);
}

/* A lane; at the host by every port beyond that of the lane before. */
static bool all_lane(All *a, size_t i, uint32_t l)
{
    const Stream *s = a->n->plan.streams.data[i];
    if (l == s->protocol.lanes)
        return all_stream(a, i + 1);
    if (s->from != PLAN_HOST && s->to != PLAN_HOST)
        return all_path(a, i, l);
    bool good = false, down = (a->side[i] == 0) == (s->from == PLAN_HOST);
    bool *port = a->port[a->side[i]];
    for (int y = 0; y < a->h && !good; y++) {
        if (port[y] || (l > 0 && (y > a->row[i][l - 1]) != down))
            continue;
        port[y] = true;
        a->row[i][l] = y;
        good = all_path(a, i, l);
        port[y] = false;
    }
    return good;
}

static bool all_sides(All *a, size_t i)
{
    const Stream *s = a->n->plan.streams.data[i];
    const Machine *m = &a->n->machine;
    if (s->from != PLAN_HOST && s->to != PLAN_HOST)
        return all_lane(a, i, 0);
    for (a->side[i] = 0; a->side[i] < 2; a->side[i]++) {
        uint32_t used = s->protocol.lanes;
        for (int y = 0; y < a->h; y++)
            used += a->port[a->side[i]][y];
        if (used <= (a->side[i] ? m->ports_east : m->ports_west) && all_lane(a, i, 0))
            return true;
    }
    return false;
}

/* Takes or gives back a cell of an end; false if somebody has it. */
static bool all_end(All *a, const Stream *s, int cell, Side d, int sign)
{
    int *owner = &a->owner[s->color][cell];
    uint64_t words = stream_words(s) < a->limit ? stream_words(s) : a->limit;
    bool good = *owner == (sign > 0 ? 0 : (int)s->id + 1);
    *owner = sign > 0 ? (int)s->id + 1 : 0;
    a->words[cell][d] += sign > 0 ? words : -words;
    a->users[cell][d] += sign;
    return good && (a->own[cell][d] == 0 || a->words[cell][d] <= a->limit);
}

static bool all_stream(All *a, size_t i)
{
    if (i == a->n->plan.streams.n)
        return true;
    Stream *s = a->n->plan.streams.data[i];
    const Machine *m = &a->n->machine;
    bool fresh = false;
    for (uint32_t c = 0; c < m->colors - m->reserved_colors && a->steps >= 0; c++) {
        bool empty = true;
        for (int cell = 0; cell < a->w * a->h; cell++)
            empty = empty && a->owner[c][cell] == 0;
        if (empty && fresh)
            continue; /* as good as another one */
        fresh = fresh || empty;
        int saved_owner[36];
        uint64_t saved_words[36][4];
        int saved_users[36][4];
        memcpy(saved_owner, a->owner[c], sizeof saved_owner);
        memcpy(saved_words, a->words, sizeof saved_words);
        memcpy(saved_users, a->users, sizeof saved_users);
        s->color = c;
        bool good = true;
        int x, y;
        Side d;
        for (uint32_t l = 0; s->from != PLAN_HOST && l < s->protocol.lanes; l++) {
            edge_at(&a->n->plan, a->n->plan.kernels.data[s->from], -1, l, &x, &y, &d);
            good = all_end(a, s, y * a->w + x, d, 1) && good;
        }
        if (s->to != PLAN_HOST) {
            edge_at(&a->n->plan, a->n->plan.kernels.data[s->to], (int)s->to_input, 0, &x, &y, &d);
            Box b = plan_box(a->n->plan.kernels.data[s->to]);
            for (y = b.y0; y <= b.y1; y++)
                for (x = b.x0; x <= b.x1; x++)
                    good = all_end(a, s, y * a->w + x, d, 1) && good;
        }
        good = good && all_sides(a, i);
        memcpy(a->owner[c], saved_owner, sizeof saved_owner);
        memcpy(a->words, saved_words, sizeof saved_words);
        memcpy(a->users, saved_users, sizeof saved_users);
        if (good)
            return true;
    }
    return false;
}

/* `margin` cores of the fabric's border stay free. */
static bool put_down(Net *n, Rng *rng, unsigned kernels, uint32_t lanes, uint32_t margin)
{
    for (unsigned i = 0; i < kernels; i++) {
        Kernel *k = rng_below(rng, 5) ? strip(n, 0, 0, lanes, rng_below(rng, 4))
                                      : matrix(n, 0, 0, lanes, lanes, rng_below(rng, 4));
        k->mirror = rng_below(rng, 2) != 0;
        uint32_t w, h;
        plan_extent(k, &w, &h);
        bool good = false;
        for (unsigned t = 0; t < 20 && !good; t++) {
            k->x = margin + rng_below(rng, n->machine.width - w + 1 - 2 * margin);
            k->y = margin + rng_below(rng, n->machine.height - h + 1 - 2 * margin);
            good = true;
            for (unsigned o = 0; o < i; o++)
                good = good && !box_meet(plan_box(k), plan_box(n->plan.kernels.data[o]));
        }
        if (!good)
            return false;
    }
    return true;
}

typedef struct Tally {
    unsigned decided, feasible, trees; /* trees: only possible by one */
} Tally;

/* Does the router succeed exactly where trying everything does? */
static void compare(Net *n, uint64_t limit, unsigned round, Tally *sum)
{
    int side = (int)n->machine.width;
    All *all = calloc(1, sizeof *all);
    *all = (All){.n = n, .w = side, .h = side, .limit = limit, .steps = 200000};
    for (size_t k = 0; k < n->plan.kernels.n; k++) {
        const Kernel *o = n->plan.kernels.data[k];
        Box b = plan_box(o);
        for (int c = 0; c < 24; c++)
            for (int y = b.y0; y <= b.y1; y++)
                for (int x = b.x0; x <= b.x1; x++)
                    if (kernel_own_colors(o) >> c & 1)
                        all->owner[c][y * side + x] = -1;
    }
    bool possible = all_stream(all, 0), known = possible || all->steps >= 0, tree = false;
    Router *r;
    bool good = plan_route(&n->plan, &n->c.arena, limit, &r);
    for (size_t i = 0; i < n->plan.streams.n; i++) /* takes less than a way for each */
        tree = tree || n->plan.streams.data[i]->trunk;
    if (known) {
        bool agrees = good == possible || (good && tree);
        CU_ASSERT_TRUE(agrees);
        if (!agrees)
            printf("\n  round %u: %zu streams, %u colors: %s", round, n->plan.streams.n,
                   n->machine.colors - n->machine.reserved_colors,
                   possible ? "possible" : "impossible");
        sum->decided++;
        sum->feasible += possible;
        sum->trees += good && !possible;
    }
    if (good)
        CU_ASSERT_TRUE(judged_good(&n->plan, UINT64_MAX));
    free(all);
}

/* What random cases are made of: each number is one of `least` .. `least + below - 1`. */
typedef struct Small {
    uint64_t seed;
    struct {
        uint32_t least, below;
    } side, colors, kernels;
    uint32_t margin; /* cores at the border without a kernel */
    bool host;       /* streams from and to the host as well, ports are few */
} Small;

static void random_stream(Net *n, Rng *rng, bool host, uint32_t lanes)
{
    uint32_t kernels = (uint32_t)n->plan.kernels.n, from = rng_below(rng, kernels);
    uint32_t to =
        host ? rng_below(rng, kernels) : (from + 1 + rng_below(rng, kernels - 1)) % kernels;
    unsigned kind = host ? rng_below(rng, 3) : 2;
    Kernel *a = kind == 0 ? NULL : n->plan.kernels.data[from];
    Kernel *b = kind == 1 || (a && from == to) ? NULL : n->plan.kernels.data[to];
    if ((!a || a->n_out < 3) && (!b || b->n_in < 3))
        stream(n, a, b, lanes, 4 + 4 * rng_below(rng, 3));
}

static void small_cases(const Small *small)
{
    Rng rng = {small->seed};
    Tally sum = {0};
    for (unsigned round = 0; round < 1000; round++) {
        Net n;
        uint32_t lanes = 1 + rng_below(&rng, 2);
        uint32_t side = small->side.least + rng_below(&rng, small->side.below);
        uint32_t colors = small->colors.least + rng_below(&rng, small->colors.below);
        uint32_t kernels = small->kernels.least + rng_below(&rng, small->kernels.below);
        net_init(&n, side, side, colors);
        if (small->host) {
            n.machine.ports_west = rng_below(&rng, 2 * lanes + 2);
            n.machine.ports_east = rng_below(&rng, 2 * lanes + 2);
        }
        if (put_down(&n, &rng, kernels, lanes, small->margin)) {
            uint64_t limit = 10 + 5 * rng_below(&rng, 4);
            for (unsigned i = 0; i < 1 + rng_below(&rng, MOST); i++)
                random_stream(&n, &rng, small->host, lanes);
            compare(&n, limit, round, &sum);
        }
        net_finish(&n);
    }
    printf("%u decided, %u of them possible, %u more by trees ", sum.decided, sum.feasible,
           sum.trees);
    CU_ASSERT_TRUE(sum.decided > 550 && sum.feasible > 200);
    CU_ASSERT_TRUE(sum.decided - sum.feasible > 200);
}

static void test_small(void)
{
    small_cases(
        &(Small){.seed = 11, .side = {4, 3}, .colors = {1, 5}, .kernels = {2, 3}, .margin = 1});
}

/* Few ports, kernels at the border. */
static void test_small_ports(void)
{
    small_cases(
        &(Small){.seed = 13, .side = {4, 2}, .colors = {1, 3}, .kernels = {1, 3}, .host = true});
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"congestion", test_congestion},
        {"given colors", test_given_colors},
        {"lanes", test_lanes},
        {"explained", test_explained},
        {"cut", test_cut},
        {"tight links", test_tight},
        {"the judge", test_judge},
        {"forks", test_forks},
        {"bundles go on", test_bundles_go_on},
        {"given trees", test_given_trees},
        {"small cases", test_small},
        {"small cases, ports", test_small_ports},
        {"3,000 kernels", test_many},
        {"wide bundles", test_wide},
        CU_TEST_INFO_NULL,
    };
    return suite_run("router", tests);
}
