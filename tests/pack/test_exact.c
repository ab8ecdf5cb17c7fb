/* SPDX-License-Identifier: Apache-2.0 */
/* tests/pack/test_exact.c - families along strips against trying all of them. */
#include <math.h>

#include "passes/pack/search.h"
#include "tests/common/suite.h"

enum {
    MOST_KERNELS = 5,
    MOST_FAMILIES = 7,
    HIGH = 12,
    LONG = 13, /* across strips */
    WIDE = 60,
    LAST = PACK_SIGNATURE - 1
};

typedef struct Case {
    Rng rng;
    PackFamily families[MOST_KERNELS][MOST_FAMILIES]; /* a class for every kernel */
    int32_t w[MOST_KERNELS][MOST_FAMILIES];
    uint32_t n_families[MOST_KERNELS];
    PackModel model;
    PackEdge edges[MOST_KERNELS];                         /* a chain, and perhaps a skip */
    uint64_t now_in[MOST_KERNELS], now_out[MOST_KERNELS]; /* what edges of a skip see */
    PackProblem p;
    double price_of[MOST_KERNELS];
    ExactStrip strips[2];
    uint32_t n_strips;
    bool with_variants; /* looked at by brute force, too */
} Case;

static uint32_t list_families(const void *self, uint32_t c, const PackFamily **list)
{
    const Case *q = self;
    *list = q->families[c];
    return q->n_families[c];
}

static bool list_shape(const void *self, uint32_t c, uint32_t f, double limit, PackShape *s)
{
    const Case *q = self;
    *s = (PackShape){.w = q->w[c][f], .h = HIGH, .time = 1};
    return limit >= 1;
}

/* One of the two numbers may be another one, for one more column, and too many rows if it is 4. */
static bool list_variant(const void *self, uint32_t c, uint32_t f, uint32_t in, uint32_t out,
                         double limit, PackShape *s)
{
    const PackFamily *of = &((const Case *)self)->families[c][f];
    if (!list_shape(self, c, f, limit, s) || (in != of->in[LAST] && out != of->out[LAST]))
        return false;
    s->w += in != of->in[LAST] || out != of->out[LAST];
    s->h += in == 4 || out == 4 ? 2 : 0;
    return true;
}

static void make_case(Case *q, uint64_t seed, bool variants)
{
    static const uint32_t class_of[MOST_KERNELS] = {0, 1, 2, 3, 4};
    *q = (Case){.rng = {seed}};
    uint32_t n = 2 + rng_below(&q->rng, MOST_KERNELS - 1);
    double mean = 0;
    for (uint32_t k = 0; k < n; k++) {
        q->n_families[k] = 1 + rng_below(&q->rng, MOST_FAMILIES);
        q->price_of[k] = 0.5 + rng_below(&q->rng, 3) * 0.5;
        for (uint32_t f = 0; f < q->n_families[k]; f++) {
            PackFamily *of = &q->families[k][f];
            of->h = HIGH;
            for (unsigned i = 0; i < PACK_SIGNATURE; i++) {
                of->in[i] = 1 + rng_below(&q->rng, i == LAST ? 4 : 2);
                of->out[i] = rng_below(&q->rng, 2) ? of->in[i] : 1 + rng_below(&q->rng, 3);
            }
            q->w[k][f] = 1 + (int32_t)rng_below(&q->rng, 10);
            mean += (double)q->w[k][f] / q->n_families[k];
        }
        if (k > 0) {
            bool back = rng_below(&q->rng, 3) == 0;
            q->edges[k - 1] =
                (PackEdge){back ? k : k - 1, back ? k - 1 : k, rng_below(&q->rng, 5) == 0, 1};
        }
    }
    bool skip = n > 2 && rng_below(&q->rng, 2);
    if (skip)
        q->edges[n - 1] = (PackEdge){0, 2, false, 1};
    q->model = (PackModel){q, list_families, list_shape, variants ? list_variant : NULL, NULL};
    q->p = (PackProblem){.model = &q->model,
                         .w = WIDE,
                         .h = HIGH + 4,
                         .n_classes = n,
                         .n_kernels = n,
                         .n_edges = n - 1 + (skip ? 1 : 0),
                         .class_of = class_of,
                         .edges = q->edges,
                         .time = 1,
                         .wire = 1,
                         .adapter = 4};
    q->n_strips = 1 + (n > 2 && rng_below(&q->rng, 2));
    uint32_t cut = q->n_strips == 1 ? n : 1 + rng_below(&q->rng, n - 1);
    for (uint32_t i = 0; i < q->n_strips; i++)
        q->strips[i] = (ExactStrip){
            i ? n : cut, 1 + (int32_t)rng_below(&q->rng, (uint32_t)(1.2 * mean)), LONG, false};
}

typedef struct Pick {
    uint64_t in[MOST_KERNELS], out[MOST_KERNELS];
    int32_t w[MOST_KERNELS];
} Pick;

/* HUGE_VAL if a strip is too thick. */
static double cost_of(const Case *q, const Pick *p)
{
    double cost = 0;
    int32_t sums[2] = {0};
    for (uint32_t k = 0; k < q->p.n_kernels; k++) {
        cost += q->price_of[k] * p->w[k];
        sums[k >= q->strips[0].end] += p->w[k];
    }
    for (uint32_t i = 0; i < q->n_strips; i++)
        if (sums[i] > q->strips[i].room)
            return HUGE_VAL;
    for (uint32_t i = q->p.n_kernels - 1; i < q->p.n_edges; i++) {
        const PackEdge *e = &q->edges[i];
        cost += 4 * key_difference(p->out[e->from], q->now_in[e->to]);
        cost += 4 * key_difference(q->now_out[e->from], p->in[e->to]);
    }
    for (uint32_t i = 0; i + 1 < q->p.n_kernels; i++) {
        const PackEdge *e = &q->edges[i];
        cost += 4 * key_difference(p->out[e->from], e->to_out ? p->out[e->to] : p->in[e->to]);
    }
    return cost;
}

static double brute(const Case *q, Pick *p, uint32_t k)
{
    if (k == q->p.n_kernels)
        return cost_of(q, p);
    double best = HUGE_VAL;
    for (uint32_t f = 0; f < q->n_families[k]; f++) {
        PackFamily of = q->families[k][f];
        for (uint32_t in = 1; in <= 4; in++)
            for (uint32_t out = 1; out <= 4; out++) {
                bool is = in == of.in[LAST] && out == of.out[LAST];
                PackShape s;
                if (is ? !list_shape(q, k, f, 1, &s)
                       : !q->with_variants || !list_variant(q, k, f, in, out, 1, &s) || s.h > LONG)
                    continue;
                PackFamily v = of;
                v.in[LAST] = in;
                v.out[LAST] = out;
                p->in[k] = signature_key(v.in);
                p->out[k] = signature_key(v.out);
                p->w[k] = s.w;
                best = fmin(best, brute(q, p, k + 1));
            }
    }
    return best;
}

/* The cost of what exact_choose() finds, from its leaves; HUGE_VAL if nothing. */
static double exact(Case *q)
{
    Search s = {0};
    Arena a = {0};
    uint32_t order[MOST_KERNELS] = {0, 1, 2, 3, 4};
    Options options[MOST_KERNELS];
    Leaf leaves[MOST_KERNELS];
    double cost = HUGE_VAL;
    CU_ASSERT_TRUE_FATAL(search_init(&s, &q->p, 1));
    for (uint32_t k = 0; k < q->p.n_kernels; k++) {
        Slit slit = {.limit = 1, .w = WIDE, .h = LONG, .price_w = 1};
        options_make(&s, &a, k, &slit, 1e9, &options[k]);
        leaves[k] = options[k].list[0].leaf;
        q->now_in[k] = leaves[k].in;
        q->now_out[k] = leaves[k].out;
    }
    Meter meter = {0};
    Exact e = {order, q->strips, q->n_strips, q->price_of, 1, options, leaves, &meter};
    if (exact_choose(&s, &e)) {
        Pick p;
        for (uint32_t k = 0; k < q->p.n_kernels; k++) {
            PackShape shape;
            const Leaf *l = &leaves[k];
            CU_ASSERT_TRUE(class_shape(&s, k, l->family, 1, &shape));
            CU_ASSERT_EQUAL(shape.w, l->w);
            CU_ASSERT_TRUE(shape.h <= LONG);
            CU_ASSERT_EQUAL(signature_key(s.classes[k].families[l->family].in), l->in);
            CU_ASSERT_EQUAL(signature_key(s.classes[k].families[l->family].out), l->out);
            p.in[k] = l->in;
            p.out[k] = l->out;
            p.w[k] = l->w;
        }
        cost = cost_of(q, &p);
        CU_ASSERT_TRUE(cost < HUGE_VAL);
    }
    arena_free(&a);
    search_finish(&s);
    return cost;
}

static void test_families(void)
{
    uint32_t fit = 0;
    for (uint64_t seed = 0; seed < 1500; seed++) {
        Case q;
        Pick p;
        make_case(&q, seed, false);
        double found = exact(&q), best = brute(&q, &p, 0);
        fit += best < HUGE_VAL;
        CU_ASSERT_EQUAL(found, best);
        if (found != best)
            printf("\nseed %u: %g, not %g\n", (unsigned)seed, found, best);
    }
    CU_ASSERT_TRUE(fit > 500 && fit < 1400);
}

/* Variants are tried where they agree with what is near to the best; no worse than without. */
static void test_variants(void)
{
    uint32_t better = 0, best_of_all = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        Case q;
        Pick p;
        make_case(&q, seed, true);
        double found = exact(&q), without = brute(&q, &p, 0);
        q.with_variants = true;
        double with = q.p.n_kernels > 4 ? found : brute(&q, &p, 0);
        CU_ASSERT_TRUE(found >= with && found <= without);
        better += found < without;
        best_of_all += found == with;
    }
    CU_ASSERT_TRUE(better > 100);
    CU_ASSERT_TRUE(best_of_all > 360);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"families", test_families}, {"variants", test_variants}, CU_TEST_INFO_NULL};
    return suite_run("exact", tests);
}
