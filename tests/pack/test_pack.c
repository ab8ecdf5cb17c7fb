/* SPDX-License-Identifier: Apache-2.0 */
/* tests/pack/test_pack.c - the placement engine on random problems whose kernels come with a
 * plain list of shapes. A judge that shares nothing with the engine checks every placement:
 * shapes of the list, grid, overlaps, keep-outs, and the score from its definition. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "ir/support/rng.h"
#include "passes/pack/insert.h"
#include "passes/pack/pack.h"
#include "tests/common/suite.h"

enum { MOST_SHAPES = 40 };

typedef struct List {
    PackFamily families[MOST_SHAPES];
    int32_t w[MOST_SHAPES];
    double time[MOST_SHAPES];
    uint32_t n;
} List;

/* A problem and all that it refers to. */
typedef struct Case {
    Arena a;
    Rng rng;
    PackModel model;
    PackProblem p;
    List *lists; /* by class */
} Case;

static uint32_t list_families(const void *self, uint32_t c, const PackFamily **list)
{
    const List *l = &((const List *)self)[c];
    *list = l->families;
    return l->n;
}

static bool list_shape(const void *self, uint32_t c, uint32_t family, double limit, PackShape *s)
{
    const List *l = &((const List *)self)[c];
    *s = (PackShape){.w = l->w[family], .h = l->families[family].h, .time = l->time[family]};
    return s->time <= limit;
}

static uint32_t below(Case *c, uint32_t n)
{
    return rng_below(&c->rng, n);
}

/* Shapes of about work / time cores; the signatures say how high and how wide. */
static void make_list(Case *c, List *l, uint32_t most_area)
{
    uint32_t work = 20 + below(c, 100);
    l->n = 6 + below(c, MOST_SHAPES - 6);
    for (uint32_t i = 0; i < l->n; i++) {
        uint32_t area = 1 + below(c, i ? most_area : most_area / 2 + 1);
        uint32_t h = 1 + below(c, (uint32_t)sqrt(area) * 2);
        uint32_t w = (area + h - 1) / h, part = h % 3;
        if (w * h > most_area)
            w = most_area / h > 0 ? most_area / h : 1;
        l->families[i] = (PackFamily){.h = (int32_t)h, .in = {h, w, part}, .out = {w, h, part}};
        l->w[i] = (int32_t)w;
        l->time[i] = (double)work / (w * h) + (double)(h % 5) / 8;
    }
}

static void open_case(Case *c, uint64_t seed, uint32_t n, uint32_t side, uint32_t n_keepouts,
                      double fill)
{
    *c = (Case){.rng = {seed}};
    PackProblem *p = &c->p;
    p->w = (int32_t)(side + below(c, side));
    p->h = (int32_t)(side + below(c, side));
    PackRect *keepouts = arena_array(&c->a, PackRect, n_keepouts);
    uint8_t *blocked = arena_array(&c->a, uint8_t, (size_t)p->w * (size_t)p->h);
    for (uint32_t i = 0; i < n_keepouts; i++) {
        keepouts[i] =
            (PackRect){(int32_t)below(c, (uint32_t)p->w), (int32_t)below(c, (uint32_t)p->h),
                       1 + (int32_t)below(c, side / 3), 1 + (int32_t)below(c, side / 3)};
        PackRect r = keepouts[i];
        for (int32_t y = r.y; y < r.y + r.h && y < p->h; y++)
            for (int32_t x = r.x; x < r.x + r.w && x < p->w; x++)
                blocked[y * p->w + x] = 1;
    }
    double space = 0;
    for (int32_t i = 0; i < p->w * p->h; i++)
        space += !blocked[i];
    p->n_kernels = n;
    p->n_classes = 1 + below(c, n < 10 ? n : 10);
    c->lists = arena_array(&c->a, List, p->n_classes);
    for (uint32_t i = 0; i < p->n_classes; i++)
        make_list(c, &c->lists[i], fill * space / n >= 1 ? (uint32_t)(fill * space / n) : 1);
    uint32_t *class_of = arena_array(&c->a, uint32_t, n);
    for (uint32_t i = 0; i < n; i++)
        class_of[i] = i < p->n_classes ? i : below(c, p->n_classes);
    p->n_terminals = below(c, 5);
    PackTerminal *terminals = arena_array(&c->a, PackTerminal, p->n_terminals);
    for (uint32_t i = 0; i < p->n_terminals; i++)
        terminals[i] =
            (PackTerminal){below(c, 2 * (uint32_t)p->w) * 0.5 - 1,
                           below(c, 2 * (uint32_t)p->h) * 0.5, below(c, 4) == 0, below(c, 4) == 0};
    PackEdge *edges = arena_array(&c->a, PackEdge, 2 * (size_t)n + 4);
    for (uint32_t i = 0; i < 2 * n + 4; i++) { /* a chain and others, some to terminals */
        uint32_t ends = n + p->n_terminals, from = i + 1 < n ? i : below(c, ends);
        edges[i] = (PackEdge){from, i + 1 < n ? i + 1 : below(c, ends), below(c, 5) == 0,
                              1 + below(c, 4) * 0.75};
    }
    p->edges = edges;
    p->n_edges = n + below(c, n + 4);
    p->class_of = class_of;
    p->terminals = terminals;
    p->keepouts = keepouts;
    p->n_keepouts = n_keepouts;
    p->time = 1;
    p->wire = below(c, 3) * 0.01;
    p->adapter = below(c, 2) * 0.1;
    c->model = (PackModel){c->lists, list_families, list_shape, NULL, NULL};
    p->model = &c->model;
}

static void close_case(Case *c)
{
    arena_free(&c->a);
}

static PackRect box(const PackPlace *at)
{
    return at->turned ? (PackRect){at->x, at->y, at->shape.h, at->shape.w}
                      : (PackRect){at->x, at->y, at->shape.w, at->shape.h};
}

static bool apart(PackRect a, PackRect b)
{
    return a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
}

static double length(const Case *c, const PackResult *r, const PackEdge *e)
{
    double x[2], y[2], dx, dy;
    bool any_x = false, any_y = false;
    for (unsigned i = 0; i < 2; i++) {
        uint32_t k = i ? e->to : e->from;
        if (k >= c->p.n_kernels) {
            const PackTerminal *t = &c->p.terminals[k - c->p.n_kernels];
            x[i] = t->x;
            y[i] = t->y;
            any_x |= t->any_x;
            any_y |= t->any_y;
        } else {
            PackRect b = box(&r->places[k]);
            x[i] = b.x + b.w / 2.0;
            y[i] = b.y + b.h / 2.0;
        }
    }
    dx = any_x ? 0 : fabs(x[0] - x[1]);
    dy = any_y ? 0 : fabs(y[0] - y[1]);
    return dx + dy;
}

/* What is wrong with a placement, NULL if nothing is. */
static const char *judge(const Case *c, const PackResult *r)
{
    const PackProblem *p = &c->p;
    double time = 0, wire = 0, adapters = 0;
    if (r->status != PACK_PLACED)
        return "not placed";
    for (uint32_t i = 0; i < p->n_kernels; i++) {
        const PackPlace *at = &r->places[i];
        const List *l = &c->lists[p->class_of[i]];
        PackRect b = box(at);
        if (at->family >= l->n || at->shape.w != l->w[at->family] ||
            at->shape.h != l->families[at->family].h || at->shape.time != l->time[at->family])
            return "not a shape of the list";
        if (b.x < 0 || b.y < 0 || b.x + b.w > p->w || b.y + b.h > p->h)
            return "off the grid";
        for (uint32_t j = 0; j < i; j++)
            if (!apart(b, box(&r->places[j])))
                return "overlap";
        for (uint32_t j = 0; j < p->n_keepouts; j++)
            if (!apart(b, p->keepouts[j]))
                return "on a keep-out";
        time = fmax(time, at->shape.time);
    }
    for (uint32_t i = 0; i < p->n_edges; i++) {
        const PackEdge *e = &p->edges[i];
        wire += e->weight * length(c, r, e);
        if (e->from >= p->n_kernels || e->to >= p->n_kernels)
            continue;
        const PackFamily *from =
            &c->lists[p->class_of[e->from]].families[r->places[e->from].family];
        const PackFamily *to = &c->lists[p->class_of[e->to]].families[r->places[e->to].family];
        for (unsigned j = 0; j < PACK_SIGNATURE; j++)
            adapters += from->out[j] != (e->to_out ? to->out : to->in)[j];
    }
    double score = p->time * time + p->wire * wire + p->adapter * adapters;
    if (fabs(time - r->time) > 1e-9 || fabs(wire - r->wire) > 1e-6 || adapters != r->adapters ||
        fabs(score - r->score) > 1e-6)
        return "another score";
    return r->bound <= score * (1 + 1e-12) ? NULL : "below the bound";
}

static void check(const Case *c, const PackResult *r, uint32_t number)
{
    const char *wrong = judge(c, r);
    if (wrong)
        printf("\nproblem %u, %u kernels, %d x %d, %u keep-outs: %s\n", number, c->p.n_kernels,
               c->p.w, c->p.h, c->p.n_keepouts, wrong);
    CU_ASSERT_PTR_NULL(wrong);
}

static void test_random(void)
{
    for (uint32_t i = 0; i < 60; i++) {
        Case c;
        PackResult r[3];
        open_case(&c, i, 1 + i % 20, 20 + i, i % 3 ? 0 : i % 13, 0.4);
        for (unsigned j = 0; j < 3; j++) {
            pack_place(&c.a, &c.p, &(PackOptions){.seed = i, .effort = 2, .threads = j + 1}, &r[j]);
            check(&c, &r[j], i);
            CU_ASSERT_EQUAL_FATAL(r[j].status, PACK_PLACED);
        }
        for (uint32_t k = 0; k < c.p.n_kernels; k++)
            for (unsigned j = 1; j < 3; j++)
                CU_ASSERT(r[0].places[k].x == r[j].places[k].x &&
                          r[0].places[k].y == r[j].places[k].y &&
                          r[0].places[k].family == r[j].places[k].family &&
                          r[0].places[k].shape.w == r[j].places[k].shape.w &&
                          r[0].places[k].in == r[j].places[k].in &&
                          r[0].places[k].out == r[j].places[k].out &&
                          r[0].places[k].turned == r[j].places[k].turned);
        close_case(&c);
    }
}

/* Kernels that take two fifths of what keep-outs leave find room. */
static void test_keepouts(void)
{
    for (uint32_t i = 0; i < 300; i++) {
        Case c;
        PackResult r;
        open_case(&c, 1000 + i, 3 + i % 30, 24 + i % 40, 1 + i % 12, 0.4);
        pack_place(&c.a, &c.p, &(PackOptions){.seed = i, .effort = 1}, &r);
        check(&c, &r, 1000 + i);
        close_case(&c);
    }
}

/* Nothing fits a grid of one core. */
static void test_too_small(void)
{
    Case c;
    PackResult r;
    open_case(&c, 7, 5, 16, 0, 0.4);
    c.p.w = c.p.h = 1;
    pack_place(&c.a, &c.p, &(PackOptions){.seed = 1, .effort = 1}, &r);
    CU_ASSERT(r.status != PACK_PLACED);
    close_case(&c);
}

/* Begun at what much work has found, a little work ends no worse. */
static void test_start(void)
{
    unsigned helped = 0;
    for (uint32_t i = 0; i < 20; i++) {
        Case c;
        PackResult found, with, without;
        open_case(&c, 2000 + i, 10 + i, 40, 0, 0.7);
        pack_place(&c.a, &c.p, &(PackOptions){.seed = i, .effort = 60}, &found);
        CU_ASSERT_EQUAL_FATAL(found.status, PACK_PLACED);
        PackOptions o = {.seed = 99, .effort = 1, .start = found.places};
        pack_place(&c.a, &c.p, &o, &with);
        o.start = NULL;
        pack_place(&c.a, &c.p, &o, &without);
        check(&c, &with, 2000 + i);
        CU_ASSERT(with.score <= found.score * 1.03);
        helped += with.score < without.score;
        close_case(&c);
    }
    CU_ASSERT(helped >= 15);
}

static double seconds_for(uint32_t n, uint32_t side, uint32_t n_keepouts, uint64_t effort)
{
    Case c;
    PackResult r;
    struct timespec t[2];
    open_case(&c, n, n, side, n_keepouts, 0.8);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t[0]);
    pack_place(&c.a, &c.p, &(PackOptions){.seed = 1, .effort = effort}, &r);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t[1]);
    check(&c, &r, n);
    close_case(&c);
    return (double)(t[1].tv_sec - t[0].tv_sec) + (double)(t[1].tv_nsec - t[0].tv_nsec) * 1e-9;
}

/* Quick enough for either end: far above what is needed, for slow machines and sanitizers. */
static void test_sizes(void)
{
    printf("\n3000 kernels: %.2f s", seconds_for(3000, 600, 0, 50));
    printf("  with keep-outs: %.2f s", seconds_for(3000, 600, 5, 50));
    printf("  3 kernels: %.4f s ", seconds_for(3, 100, 0, 0));
}

/* Kernels of one class between terminals, placed with the weights 1. */
static PackResult place_one_class(Arena *a, PackModel model, PackProblem p, uint64_t effort)
{
    PackResult r;
    p.model = &model;
    p.n_classes = 1;
    p.class_of = arena_array(a, uint32_t, p.n_kernels);
    p.time = p.wire = 1;
    pack_place(a, &p, &(PackOptions){.seed = 1, .effort = effort}, &r);
    CU_ASSERT_EQUAL_FATAL(r.status, PACK_PLACED);
    return r;
}

/* Nothing but terminals pulls: kernels go where they are. */
static void test_terminals(void)
{
    List l = {.families = {{.h = 2}}, .time = {1}, .w = {2}, .n = 1};
    PackModel model = {&l, list_families, list_shape, NULL, NULL};
    PackTerminal terminals[3] = {{9, 5, false, false}, {3, -1, false, true}, {0, 9, true, false}};
    PackEdge edges[3] = {{0, 2, false, 1}, {3, 1, false, 2}, {1, 4, true, 1}};
    PackProblem p = {.w = 10,
                     .h = 10,
                     .n_kernels = 2,
                     .n_edges = 3,
                     .n_terminals = 3,
                     .edges = edges,
                     .terminals = terminals};
    Arena a = {0};
    PackResult r = place_one_class(&a, model, p, 1);
    CU_ASSERT_EQUAL(r.score, 1);
    CU_ASSERT(r.places[0].x == 8 && r.places[0].y == 4);
    CU_ASSERT(r.places[1].x == 2 && r.places[1].y == 8);
    arena_free(&a);
}

static bool one_wider(const void *self, uint32_t c, uint32_t family, uint32_t in, uint32_t out,
                      const PackShape *than, PackShape *result)
{
    (void)in;
    (void)out;
    *result = *than;
    result->w++;
    return than->w == ((const List *)self)[c].w[family];
}

/* Three kernels of 5 x 2 between a terminal and another one, all half a core off: alone none
 * gains, together they do. On a grid where they cannot be 6 wide they stay. */
static void test_wider(void)
{
    List l = {.families = {{.h = 2}}, .time = {1}, .w = {5}, .n = 1};
    PackTerminal terminals[2] = {{3, 0, false, true}, {3, 6, false, true}};
    PackEdge edges[4] = {{3, 0, false, 1}, {0, 1, false, 1}, {1, 2, false, 1}, {2, 4, false, 1}};
    for (int32_t w = 5; w <= 6; w++)
        for (unsigned may = 0; may < 2; may++) {
            PackModel model = {&l, list_families, list_shape, NULL, may ? one_wider : NULL};
            PackProblem p = {.w = w,
                             .h = 6,
                             .n_kernels = 3,
                             .n_edges = 4,
                             .n_terminals = 2,
                             .edges = edges,
                             .terminals = terminals};
            Arena a = {0};
            PackResult r = place_one_class(&a, model, p, 5);
            bool wide = may && w == 6;
            CU_ASSERT_EQUAL(r.wire, wide ? 4 : 5);
            for (uint32_t k = 0; k < 3; k++)
                CU_ASSERT_EQUAL(r.places[k].shape.w, wide ? 6 : 5);
            arena_free(&a);
        }
}

/* All cells of a rectangle are on the grid and free. */
static bool is_empty(PackRect r, const bool *taken, int32_t side)
{
    if (r.x < 0 || r.y < 0 || r.x + r.w > side || r.y + r.h > side)
        return false;
    for (int32_t y = r.y; y < r.y + r.h; y++)
        for (int32_t x = r.x; x < r.x + r.w; x++)
            if (taken[y * side + x])
                return false;
    return true;
}

static bool is_maximal(PackRect r, const bool *taken, int32_t side)
{
    return is_empty(r, taken, side) &&
           !is_empty((PackRect){r.x - 1, r.y, r.w + 1, r.h}, taken, side) &&
           !is_empty((PackRect){r.x, r.y - 1, r.w, r.h + 1}, taken, side) &&
           !is_empty((PackRect){r.x, r.y, r.w + 1, r.h}, taken, side) &&
           !is_empty((PackRect){r.x, r.y, r.w, r.h + 1}, taken, side);
}

/* The holes among random rectangles are the maximal ones of all, each once. */
static void test_holes(void)
{
    enum { SIDE = 9, CASES = 300, FIXED = 8 };
    Rng rng = {7};
    for (unsigned c = 0; c < CASES; c++) {
        Arena a = {0};
        PackRect fixed[FIXED], *holes;
        bool taken[SIDE * SIDE] = {0};
        uint32_t n = rng_below(&rng, FIXED + 1), count = 0;
        for (uint32_t i = 0; i < n; i++) {
            PackRect *r = &fixed[i];
            r->x = (int32_t)rng_below(&rng, SIDE);
            r->y = (int32_t)rng_below(&rng, SIDE);
            r->w = 1 + (int32_t)rng_below(&rng, (uint32_t)(SIDE - r->x) < 4 ? SIDE - r->x : 4);
            r->h = 1 + (int32_t)rng_below(&rng, (uint32_t)(SIDE - r->y) < 4 ? SIDE - r->y : 4);
            for (int32_t y = r->y; y < r->y + r->h; y++)
                for (int32_t x = r->x; x < r->x + r->w; x++)
                    taken[y * SIDE + x] = true;
        }
        for (int32_t y = 0; y < SIDE; y++)
            for (int32_t x = 0; x < SIDE; x++)
                for (int32_t h = 1; h <= SIDE - y; h++)
                    for (int32_t w = 1; w <= SIDE - x; w++)
                        count += is_maximal((PackRect){x, y, w, h}, taken, SIDE);
        uint32_t found = pack_holes(&a, SIDE, SIDE, fixed, n, &holes);
        CU_ASSERT_EQUAL(found, count);
        for (uint32_t i = 0; i < found; i++) {
            CU_ASSERT_TRUE(is_maximal(holes[i], taken, SIDE));
            for (uint32_t j = 0; j < i; j++)
                CU_ASSERT_NOT_EQUAL(memcmp(&holes[i], &holes[j], sizeof *holes), 0);
        }
        arena_free(&a);
    }
}

static const CU_TestInfo tests[] = {{"random problems", test_random},
                                    {"keep-outs", test_keepouts},
                                    {"too small", test_too_small},
                                    {"a start", test_start},
                                    {"many and few kernels", test_sizes},
                                    {"terminals", test_terminals},
                                    {"wider kernels", test_wider},
                                    {"holes", test_holes},
                                    CU_TEST_INFO_NULL};

int main(void)
{
    return suite_run("pack", tests);
}
