/* SPDX-License-Identifier: Apache-2.0 */
/* passes/arrange.c - moves of kernels that make streams shorter.
 *
 * A kernel's candidates are the places where it meets a neighbor's lanes well (straight on
 * lane by lane, around one corner, beside it in a U) in all eight orientations, the corners of
 * its neighbors and of the fabric; on small fabrics every place. Insertion takes the best of
 * them in topological order, or a hole; improvement takes kernels up one by one and puts them
 * where their streams cost least, as long as something gets better. What stands where is found
 * by squares of the fabric. Moves with exact local cost are those of detailed placers (Pan,
 * Viswanathan, Chu, "FastDP", ICCAD 2005). O(kernels x candidates) a round. */
#include <stdlib.h>
#include <string.h>

#include "passes/arrange.h"
#include "passes/pack/insert.h"

enum { SQUARE = 32, SMALL_FABRIC = 1024, FUTURE = 1 << 12, MANY = 200, HOLES = 8 };

/* Streams by source; those that the host sends to one kernel may go on to the next. */
static void find_sources(Arrange *g)
{
    const Plan *plan = g->plan;
    for (size_t i = 0; i < plan->kernels.n; i++)
        for (uint32_t j = 0; j < plan->kernels.data[i]->n_out; j++) {
            uint32_t id = plan->kernels.data[i]->out[j];
            vec_push(g->arena, &g->out[arrange_source(g, plan->streams.data[id])], id);
        }
    for (size_t i = 0; i < plan->streams.n; i++) {
        const Stream *s = plan->streams.data[i];
        if (s->from == PLAN_HOST && arrange_source(g, s) != PLAN_HOST)
            vec_push(g->arena, &g->out[arrange_source(g, s)], s->id);
    }
}

Arrange *arrange_create(Arena *a, Plan *plan)
{
    Arrange *g = arena_new(a, Arrange);
    const Machine *m = plan->machine;
    *g = (Arrange){.arena = a, .plan = plan, .n = (uint32_t)plan->kernels.n};
    g->placed = arena_array(a, bool, g->n);
    g->fixed = arena_array(a, bool, g->n);
    g->lines = arena_array(a, KernelLines, g->n);
    g->room = arena_array(a, uint32_t, plan->streams.n);
    g->tests = arena_array(a, uint32_t, plan->streams.n);
    for (size_t i = 0; i < plan->streams.n; i++) {
        const Stream *s = plan->streams.data[i];
        g->room[i] = s->protocol.lanes * (arrange_forks(plan, s) ? 2 : 1);
    }
    g->out = arena_array(a, IdVec, g->n);
    find_sources(g);
    if (plan->programs_given)
        g->mirror = arena_array(a, bool, g->n);
    for (uint32_t i = 0; g->mirror && i < g->n; i++)
        g->mirror[i] = plan->kernels.data[i]->mirror;
    g->bins_x = (m->width + SQUARE - 1) / SQUARE;
    g->bins_y = (m->height + SQUARE - 1) / SQUARE;
    g->bins = arena_alloc(a, (size_t)g->bins_x * g->bins_y, sizeof *g->bins, alignof(IdVec));
    return g;
}

/* ---- what stands where ---- */

static bool inside(const Machine *m, Box b)
{
    return b.x0 >= 0 && b.y0 >= 0 && b.x1 < (int32_t)m->width && b.y1 < (int32_t)m->height;
}

bool arrange_free(const Arrange *g, const Kernel *k)
{
    Box b = plan_box(k);
    if (!inside(g->plan->machine, b))
        return false;
    for (size_t i = 0; i < g->plan->keepouts.n; i++)
        if (box_meet(b, keepout_box(&g->plan->keepouts.data[i])))
            return false;
    for (int32_t y = b.y0 / SQUARE; y <= b.y1 / SQUARE; y++)
        for (int32_t x = b.x0 / SQUARE; x <= b.x1 / SQUARE; x++) {
            const IdVec *bin = &g->bins[(uint32_t)y * g->bins_x + (uint32_t)x];
            for (size_t i = 0; i < bin->n; i++)
                if (bin->data[i] != k->id &&
                    box_meet(b, plan_box(g->plan->kernels.data[bin->data[i]])))
                    return false;
        }
    return true;
}

void arrange_put(Arrange *g, Kernel *k)
{
    Box b = plan_box(k);
    g->placed[k->id] = true;
    for (int32_t y = b.y0 / SQUARE; y <= b.y1 / SQUARE; y++)
        for (int32_t x = b.x0 / SQUARE; x <= b.x1 / SQUARE; x++)
            vec_push(g->arena, &g->bins[(uint32_t)y * g->bins_x + (uint32_t)x], k->id);
}

Arrange *arrange_as_is(Arena *a, Plan *plan)
{
    Arrange *g = arrange_create(a, plan);
    for (uint32_t k = 0; k < g->n; k++)
        arrange_put(g, plan->kernels.data[k]);
    return g;
}

void arrange_take(Arrange *g, Kernel *k)
{
    Box b = plan_box(k);
    g->placed[k->id] = false;
    for (int32_t y = b.y0 / SQUARE; y <= b.y1 / SQUARE; y++)
        for (int32_t x = b.x0 / SQUARE; x <= b.x1 / SQUARE; x++) {
            IdVec *bin = &g->bins[(uint32_t)y * g->bins_x + (uint32_t)x];
            size_t i = 0;
            while (bin->data[i] != k->id)
                i++;
            bin->data[i] = bin->data[--bin->n];
        }
}

/* ---- costs ---- */

static Stream *stream_at(const Arrange *g, const Kernel *k, uint32_t i)
{
    return g->plan->streams.data[i < k->n_in ? k->in[i] : g->out[k->id].data[i - k->n_in]];
}

static uint32_t n_streams(const Arrange *g, const Kernel *k)
{
    return k->n_in + (uint32_t)g->out[k->id].n;
}

/* The other end of the kernel's i-th stream. */
static int32_t partner(const Arrange *g, const Kernel *k, uint32_t i)
{
    const Stream *s = stream_at(g, k, i);
    return i < k->n_in ? arrange_source(g, s) : s->to;
}

/* Results for a kernel that has no place yet must be able to turn on the fabric. */
static uint64_t future_cost(Arrange *g, const Kernel *k, const Stream *s)
{
    const EdgeLine *e = arrange_line(g, k, arrange_source_end(g, s));
    const Machine *m = g->plan->machine;
    Box b = plan_box(k);
    int32_t free = e->travel == SIDE_E   ? (int32_t)m->width - 1 - b.x1
                   : e->travel == SIDE_W ? b.x0
                   : e->travel == SIDE_S ? (int32_t)m->height - 1 - b.y1
                                         : b.y0;
    int32_t want = (int32_t)g->room[s->id], wall = arrange_front(g->plan, k, e, e->travel);
    free = wall < free ? wall : free;
    return free < want ? (uint64_t)(want - free) * FUTURE : 0;
}

static bool end_placed(const Arrange *g, int32_t kernel)
{
    return kernel == PLAN_HOST || g->placed[kernel];
}

/* Hops, turns and the impossible, all streams of a kernel with ends that are placed, k counts as
 * such. What comes to `most` is not summed up further. */
static uint64_t cost_below(Arrange *g, const Kernel *k, uint64_t most)
{
    uint64_t cost = 0;
    for (uint32_t i = 0; i < n_streams(g, k) && cost < most; i++) {
        const Stream *s = stream_at(g, k, i);
        int32_t other = partner(g, k, i);
        if (end_placed(g, other))
            cost += stream_estimate(g, s);
        else if (i >= k->n_in)
            cost += future_cost(g, k, s);
    }
    return cost;
}

/* Is there a way between the ends of a stream as they stand, if nothing else is on the fabric but
 * what is dead. Once there was none too often it is not looked for: others must move. */
static bool has_way(Arrange *g, const Stream *s)
{
    if (s->trunk || g->tests[s->id] == 0)
        return true;
    if (g->tests[s->id] == 1)
        return false;
    Arena a = {0};
    Stream trial = *s;
    Router *r = router_create(&a, g->plan, UINT64_MAX / 4);
    uint32_t hops;
    bool found = false;
    if (s->from != PLAN_HOST)
        router_add_kernel(r, g->plan->kernels.data[s->from]);
    if (s->to != PLAN_HOST)
        router_add_kernel(r, g->plan->kernels.data[s->to]);
    for (unsigned effort = 0; effort <= 1 && !found; effort++)
        found = router_add_stream(r, &trial, effort, &hops);
    g->tests[s->id] -= !found;
    arena_free(&a);
    return found;
}

/* What the estimate does not see of streams that once had no way. */
static uint64_t tested_cost(Arrange *g, const Kernel *k)
{
    uint64_t cost = 0;
    for (uint32_t i = 0; i < n_streams(g, k); i++) {
        const Stream *s = stream_at(g, k, i);
        if (end_placed(g, partner(g, k, i)) && !has_way(g, s))
            cost += ARRANGE_BAD * 64;
    }
    return cost;
}

bool arrange_tested(Arrange *g)
{
    for (size_t i = 0; i < g->plan->streams.n; i++)
        if (!has_way(g, g->plan->streams.data[i]))
            return false;
    return true;
}

uint64_t arrange_total(Arrange *g)
{
    uint64_t cost = 0;
    for (size_t i = 0; i < g->plan->streams.n; i++)
        cost += stream_estimate(g, g->plan->streams.data[i]);
    return cost;
}

/* ---- candidates ---- */

typedef struct Best {
    bool found;
    uint64_t cost;
    uint32_t x, y, turn;
    bool mirror;
} Best;

/* Orientations that a pin leaves. */
static bool pin_allows(const Pin *p, const Kernel *k)
{
    uint32_t w, h;
    plan_extent(k, &w, &h);
    return (!p->has_turn || p->turn == k->turn) && (!p->has_mirror || p->mirror == k->mirror) &&
           (!p->has_size || (p->w == w && p->h == h));
}

/* What programs there are know which way a kernel is mirrored, but not how it is turned. */
static bool so_allowed(const Arrange *g, const Kernel *k)
{
    return (!g->mirror || g->mirror[k->id] == k->mirror) && (!k->pin || pin_allows(k->pin, k));
}

static void try_at(Arrange *g, Kernel *k, int32_t x, int32_t y, Best *best)
{
    if (x < 0 || y < 0 || !so_allowed(g, k))
        return;
    k->x = (uint32_t)x;
    k->y = (uint32_t)y;
    if (!inside(g->plan->machine, plan_box(k)))
        return;
    uint64_t cost = cost_below(g, k, best->found ? best->cost : UINT64_MAX);
    if ((best->found && cost >= best->cost) || !arrange_free(g, k))
        return;
    cost += tested_cost(g, k);
    if (best->found && cost >= best->cost)
        return;
    *best = (Best){true, cost, k->x, k->y, k->turn, k->mirror};
}

typedef struct Point {
    int32_t x, y;
} Point;

static Point to_east(Side travel, int32_t x, int32_t y)
{
    return travel == SIDE_S   ? (Point){y, -x}
           : travel == SIDE_W ? (Point){-x, -y}
           : travel == SIDE_N ? (Point){-y, x}
                              : (Point){x, y};
}

static Point from_east(Side travel, Point p)
{
    return travel == SIDE_S   ? (Point){-p.y, p.x}
           : travel == SIDE_W ? (Point){-p.x, -p.y}
           : travel == SIDE_N ? (Point){p.y, -p.x}
                              : p;
}

static Box east_box(Side travel, int32_t x0, int32_t y0, int32_t x1, int32_t y1)
{
    Point a = to_east(travel, x0, y0), b = to_east(travel, x1, y1);
    return (Box){a.x < b.x ? a.x : b.x, a.y < b.y ? a.y : b.y, a.x > b.x ? a.x : b.x,
                 a.y > b.y ? a.y : b.y};
}

static Box line_box(Side travel, const EdgeLine *e, Box at)
{
    return east_box(travel, at.x0 + e->x0, at.y0 + e->y0, at.x0 + e->x1, at.y0 + e->y1);
}

/* Places of k, as it is turned, where the lanes of a stream to or from a placed kernel meet
 * its own well. */
static void meet(Arrange *g, Kernel *k, const Stream *s, Best *best)
{
    bool in = s->to == (int32_t)k->id;
    const Kernel *other = g->plan->kernels.data[in ? arrange_source(g, s) : s->to];
    unsigned leaves = arrange_source_end(g, s);
    const EdgeLine *mine = arrange_line(g, k, in ? s->to_input : leaves);
    const EdgeLine *theirs = arrange_line(g, other, in ? leaves : s->to_input);
    Side d = in ? theirs->travel : mine->travel;
    unsigned turn = ((in ? mine->travel : theirs->travel) + 4u - d) % 4;
    uint32_t w, h;
    plan_extent(k, &w, &h);
    Box zero = {0, 0, (int32_t)w - 1, (int32_t)h - 1}, at = plan_box(other);
    Box m = line_box(d, mine, zero), t = line_box(d, theirs, at);
    Box body = east_box(d, zero.x0, zero.y0, zero.x1, zero.y1);
    Box wall = east_box(d, at.x0, at.y0, at.x1, at.y1);
    bool even = mine->pitch == theirs->pitch && mine->pitch > 0;
    int32_t n = (int32_t)g->room[s->id], gap = even ? 0 : n, f = in ? 1 : -1;
    Point p[4];
    unsigned count = 2;
    switch (turn) {
    case 0:
        p[0].x = p[1].x = t.x0 + f * (1 + gap) - m.x0;
        p[2].x = p[3].x = t.x0 + f * (1 + n) - m.x0;
        p[0].y = p[2].y = t.y0 - m.y0;
        p[1].y = p[3].y = t.y1 - m.y1;
        count = 4;
        break;
    case 1:
        p[0].x = in ? t.x0 + 1 - m.x0 : t.x0 - 1 - m.x0;
        p[0].y = in ? t.y1 + 1 - m.y0 : t.y0 - 1 - m.y1;
        p[1] = (Point){p[0].x + f, p[0].y + f};
        break;
    case 3:
        p[0].x = in ? t.x0 + 1 - m.x0 : t.x0 - 1 - m.x0;
        p[0].y = in ? t.y0 - 1 - m.y0 : t.y0 + 1 - m.y0;
        p[1] = (Point){p[0].x + f, p[0].y - f};
        break;
    default:
        p[0].x = p[1].x = t.x0 - m.x0;
        p[0].y = wall.y1 + 1 - body.y0;
        p[1].y = wall.y0 - 1 - body.y1;
        break;
    }
    for (unsigned i = 0; i < count; i++) {
        Point to = from_east(d, p[i]);
        try_at(g, k, to.x, to.y, best);
    }
    (void)wall;
}

/* Beside a placed kernel, flush with it or so many cores away. */
static void beside(Arrange *g, Kernel *k, Box b, int32_t gap, Best *best)
{
    uint32_t uw, uh;
    plan_extent(k, &uw, &uh);
    int32_t w = (int32_t)uw, h = (int32_t)uh;
    const int32_t x[2] = {b.x0 - gap - w, b.x1 + 1 + gap}, y[2] = {b.y0 - gap - h, b.y1 + 1 + gap};
    for (unsigned i = 0; i < 2; i++) {
        try_at(g, k, x[i], b.y0, best);
        try_at(g, k, x[i], b.y1 - h + 1, best);
        try_at(g, k, b.x0, y[i], best);
        try_at(g, k, b.x1 - w + 1, y[i], best);
    }
}

/* At the sides of the fabric, for a stream of the host: as far up as k is, or its neighbors. */
static void at_sides(Arrange *g, Kernel *k, int32_t y, int32_t n, Best *best)
{
    const Machine *m = g->plan->machine;
    uint32_t w, h;
    plan_extent(k, &w, &h);
    int32_t right = (int32_t)(m->width - w), bottom = (int32_t)(m->height - h);
    const int32_t ys[] = {y, 0, bottom / 2, n, bottom, bottom - n};
    for (unsigned i = 0; i < sizeof ys / sizeof ys[0]; i++) {
        try_at(g, k, 0, ys[i], best);
        try_at(g, k, right, ys[i], best);
        try_at(g, k, n, ys[i], best);
        try_at(g, k, right - n, ys[i], best);
    }
}

static void candidates(Arrange *g, Kernel *k, int32_t x, int32_t y, Best *best)
{
    const Machine *m = g->plan->machine;
    for (unsigned o = 0; o < 8; o++) {
        k->turn = o / 2;
        k->mirror = o % 2;
        if (m->width * m->height <= SMALL_FABRIC) {
            for (int32_t j = 0; j < (int32_t)m->height; j++)
                for (int32_t i = 0; i < (int32_t)m->width; i++)
                    try_at(g, k, i, j, best);
            continue;
        }
        if (x >= 0)
            try_at(g, k, x, y, best);
        for (uint32_t i = 0; i < n_streams(g, k); i++) {
            const Stream *s = stream_at(g, k, i);
            int32_t other = partner(g, k, i), n = (int32_t)g->room[s->id];
            if (other == PLAN_HOST) {
                at_sides(g, k, y, n, best);
            } else if (g->placed[other]) {
                Box b = plan_box(g->plan->kernels.data[other]);
                meet(g, k, s, best);
                beside(g, k, b, 0, best);
                beside(g, k, b, n, best);
            }
        }
    }
}

/* ---- holes ---- */

/* What is taken, for the search of holes. */
static PackRect *obstacles(const Arrange *g, Arena *a, uint32_t *n)
{
    PackRect *list = arena_array(a, PackRect, g->n + g->plan->keepouts.n);
    *n = 0;
    for (size_t i = 0; i < g->plan->keepouts.n; i++) {
        const KeepOut *o = &g->plan->keepouts.data[i];
        list[(*n)++] = (PackRect){(int32_t)o->x, (int32_t)o->y, (int32_t)o->w, (int32_t)o->h};
    }
    for (uint32_t k = 0; k < g->n; k++) {
        if (!g->placed[k])
            continue;
        Box b = plan_box(g->plan->kernels.data[k]);
        list[(*n)++] = (PackRect){b.x0, b.y0, b.x1 - b.x0 + 1, b.y1 - b.y0 + 1};
    }
    return list;
}

/* In the empty rectangles, as near as can be to what it is connected to, or in a corner. */
static void in_holes(Arrange *g, Kernel *k, Best *best)
{
    Arena scratch = {0};
    const Machine *m = g->plan->machine;
    uint32_t n, n_holes;
    const PackRect *fixed = obstacles(g, &scratch, &n);
    PackRect *holes;
    n_holes = pack_holes(&scratch, (int32_t)m->width, (int32_t)m->height, fixed, n, &holes);
    PackTerminal *near = arena_array(&scratch, PackTerminal, n_streams(g, k));
    uint32_t n_near = 0;
    for (uint32_t i = 0; i < n_streams(g, k); i++) {
        int32_t other = partner(g, k, i);
        if (other == PLAN_HOST || !g->placed[other])
            continue;
        Box b = plan_box(g->plan->kernels.data[other]);
        near[n_near++] = (PackTerminal){(b.x0 + b.x1) / 2.0, (b.y0 + b.y1) / 2.0, false, false};
    }
    for (unsigned o = 0; o < 8; o++) {
        k->turn = o / 2;
        k->mirror = o % 2;
        uint32_t w, h;
        plan_extent(k, &w, &h);
        for (uint32_t i = 0; i < n_holes; i++) {
            PackRect r = holes[i];
            if (r.w < (int32_t)w || r.h < (int32_t)h)
                continue;
            int32_t x, y;
            pack_nearest(r, (int32_t)w, (int32_t)h, near, n_near, &x, &y);
            try_at(g, k, x, y, best);
            for (unsigned c = 0; c < 4; c++)
                try_at(g, k, c & 1 ? r.x : r.x + r.w - (int32_t)w,
                       c & 2 ? r.y : r.y + r.h - (int32_t)h, best);
        }
    }
    arena_free(&scratch);
}

/* On growing squares around a neighbor, up to the first with a place. */
static void outward(Arrange *g, Kernel *k, Best *best)
{
    enum { STEP = 12, SIDES = 8 };
    const Machine *m = g->plan->machine;
    int32_t extent = (int32_t)(m->width > m->height ? m->width : m->height);
    Box b = {0, (int32_t)m->height / 2, 0, (int32_t)m->height / 2};
    for (uint32_t i = n_streams(g, k); i-- > 0;) {
        int32_t other = partner(g, k, i);
        if (other != PLAN_HOST && g->placed[other])
            b = plan_box(g->plan->kernels.data[other]);
    }
    Best before = *best;
    for (int32_t d = STEP; d < extent && best->cost == before.cost; d += STEP) {
        for (unsigned o = 0; o < 8; o++) {
            k->turn = o / 2;
            k->mirror = o % 2;
            uint32_t w, h;
            plan_extent(k, &w, &h);
            int32_t x0 = b.x0 - d - (int32_t)w, x1 = b.x1 + d, y0 = b.y0 - d - (int32_t)h;
            int32_t y1 = b.y1 + d;
            for (int32_t i = 0; i <= SIDES; i++) {
                int32_t x = x0 + (x1 - x0) * i / SIDES, y = y0 + (y1 - y0) * i / SIDES;
                try_at(g, k, x, y0, best);
                try_at(g, k, x, y1, best);
                try_at(g, k, x0, y, best);
                try_at(g, k, x1, y, best);
            }
        }
    }
}

/* ---- moves ---- */

static void stand(Kernel *k, const Best *b)
{
    k->x = b->x;
    k->y = b->y;
    k->turn = b->turn;
    k->mirror = b->mirror;
}

static void at_pin(Arrange *g, Kernel *k, Best *best)
{
    for (unsigned o = 0; o < 8; o++) {
        k->turn = o / 2;
        k->mirror = o % 2;
        if (pin_allows(k->pin, k))
            try_at(g, k, (int32_t)k->pin->x, (int32_t)k->pin->y, best);
    }
}

bool arrange_pins(Arrange *g, const Kernel **one)
{
    for (uint32_t i = 0; i < g->n; i++) {
        Kernel *k = g->plan->kernels.data[i];
        if (!k->pin)
            continue;
        Best best = {0};
        at_pin(g, k, &best);
        *one = k;
        if (!best.found)
            return false;
        stand(k, &best);
        arrange_put(g, k);
    }
    return true;
}

uint32_t arrange_keep(Arrange *g, const PassContext *cx, unsigned ring)
{
    Plan *plan = g->plan;
    bool *loose = arena_array(g->arena, bool, g->n), *next = arena_array(g->arena, bool, g->n);
    const EarlierKernel **was = arena_array(g->arena, const EarlierKernel *, g->n);
    uint32_t count = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        Kernel *k = plan->kernels.data[i];
        was[i] = plan_earlier(cx, k);
        loose[i] = !was[i] || !plan_same_shape(was[i], &k->shape);
        if (loose[i] || g->placed[i])
            continue;
        k->x = was[i]->x;
        k->y = was[i]->y;
        k->turn = was[i]->turn;
        k->mirror = was[i]->mirror;
        loose[i] = !arrange_free(g, k);
    }
    for (unsigned r = 0; r < ring; r++) {
        memcpy(next, loose, g->n * sizeof *next);
        for (size_t i = 0; i < plan->streams.n; i++) {
            const Stream *s = plan->streams.data[i];
            int32_t from = arrange_source(g, s);
            if (from == PLAN_HOST || s->to == PLAN_HOST)
                continue;
            next[from] = next[from] || loose[s->to];
            next[s->to] = next[s->to] || loose[from];
        }
        memcpy(loose, next, g->n * sizeof *next);
    }
    for (uint32_t i = 0; i < g->n; i++) {
        Kernel *k = plan->kernels.data[i];
        if (loose[i] || g->placed[i] || !arrange_free(g, k))
            continue;
        arrange_put(g, k);
        g->fixed[i] = true;
        count++;
    }
    return count;
}

bool arrange_insert(Arrange *g, const uint32_t *order, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        Kernel *k = g->plan->kernels.data[order[i]];
        if (g->placed[k->id])
            continue;
        Best best = {0};
        candidates(g, k, -1, 0, &best);
        if (!best.found || best.cost >= ARRANGE_BAD)
            outward(g, k, &best);
        if (!best.found || (best.cost >= ARRANGE_BAD && i < MANY))
            in_holes(g, k, &best);
        if (!best.found)
            return false;
        stand(k, &best);
        arrange_put(g, k);
    }
    return true;
}

void arrange_improve(Arrange *g, const uint32_t *order, uint32_t n, unsigned rounds)
{
    bool moved = true;
    unsigned holes = 0; /* asked for; there may be very many in all */
    for (unsigned round = 0; round < rounds && moved; round++) {
        moved = false;
        for (uint32_t i = 0; i < n; i++) {
            Kernel *k = g->plan->kernels.data[order[round % 2 ? n - 1 - i : i]];
            if (g->fixed[k->id])
                continue;
            Best now = {true,    cost_below(g, k, UINT64_MAX) + tested_cost(g, k),
                        k->x,    k->y,
                        k->turn, k->mirror};
            Best best = now;
            arrange_take(g, k);
            if (k->pin)
                at_pin(g, k, &best);
            else
                candidates(g, k, (int32_t)now.x, (int32_t)now.y, &best);
            if (!k->pin && best.cost >= ARRANGE_BAD)
                outward(g, k, &best);
            if (!k->pin && best.cost >= ARRANGE_BAD && holes++ < HOLES)
                in_holes(g, k, &best);
            stand(k, &best);
            arrange_put(g, k);
            moved = moved || best.cost < now.cost;
        }
    }
}

/* One round of a kernel's turns and mirrors that keep its region. */
static bool orient_one(Arrange *g, Kernel *k)
{
    Best best = {true,     cost_below(g, k, UINT64_MAX) + tested_cost(g, k), k->x, k->y, k->turn,
                 k->mirror};
    uint64_t before = best.cost;
    uint32_t first = k->turn % 2;
    for (unsigned o = 0; o < 4; o++) {
        k->turn = first + 2 * (o / 2);
        k->mirror = o % 2;
        uint64_t cost = cost_below(g, k, UINT64_MAX);
        if (cost < best.cost && so_allowed(g, k))
            cost += tested_cost(g, k);
        if (cost < best.cost && so_allowed(g, k))
            best = (Best){true, cost, k->x, k->y, k->turn, k->mirror};
    }
    stand(k, &best);
    return best.cost < before;
}

/* Along the tree of first inputs an exact program over the four orientations of every kernel,
 * then single kernels, for all other streams. */
void arrange_orient(Arrange *g, const uint32_t *order, uint32_t n)
{
    uint64_t(*cost)[4] = arena_alloc(g->arena, g->n, sizeof *cost, alignof(uint64_t));
    uint8_t(*pick)[4] = arena_alloc(g->arena, g->n, sizeof *pick, 1);
    for (uint32_t i = n; i-- > 0;) {
        Kernel *k = g->plan->kernels.data[order[i]];
        const Stream *in = g->plan->streams.data[k->in[0]];
        int32_t source = arrange_source(g, in);
        Kernel *from = source == PLAN_HOST ? NULL : g->plan->kernels.data[source];
        for (unsigned p = 0; p < (from ? 4 : 1); p++) {
            uint64_t best = UINT64_MAX;
            if (from) {
                from->turn = from->turn % 2 + 2 * (p / 2);
                from->mirror = p % 2;
            }
            for (unsigned o = 0; o < 4; o++) {
                k->turn = k->turn % 2 + 2 * (o / 2);
                k->mirror = o % 2;
                uint64_t c = cost[k->id][o] + stream_estimate(g, in);
                for (uint32_t j = k->n_in; j < n_streams(g, k) && p == 0; j++) {
                    const Stream *out = stream_at(g, k, j);
                    if (out->to == PLAN_HOST)
                        cost[k->id][o] += stream_estimate(g, out);
                    c += out->to == PLAN_HOST ? stream_estimate(g, out) : 0;
                }
                if (c < best && so_allowed(g, k)) {
                    best = c;
                    pick[k->id][p] = (uint8_t)o;
                }
            }
            if (from)
                cost[from->id][p] += best;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        Kernel *k = g->plan->kernels.data[order[i]];
        int32_t from = arrange_source(g, g->plan->streams.data[k->in[0]]);
        const Kernel *f = from == PLAN_HOST ? NULL : g->plan->kernels.data[from];
        unsigned o = pick[k->id][f ? f->turn / 2 * 2 + (f->mirror ? 1 : 0) : 0];
        k->turn = k->turn % 2 + 2 * (o / 2);
        k->mirror = o % 2;
    }
    bool moved = true;
    for (unsigned round = 0; round < 4 && moved; round++) {
        moved = false;
        for (uint32_t i = 0; i < n; i++)
            if (!g->fixed[order[i]])
                moved = orient_one(g, g->plan->kernels.data[order[i]]) || moved;
    }
}
