/* SPDX-License-Identifier: Apache-2.0 */
/* passes/route_index.c - what of the fabric is taken, in buckets.
 *
 * A box lies in every bucket it meets; a walk over a box reports it once, from the bucket
 * with the upper left corner of what they have in common. The fullest router of a box is found
 * by sweeping over what meets it: a maximum lies at some left and some upper border.
 * Costs: what is near; nothing here has a cell per core. */
#include <stdlib.h>
#include <string.h>

#include "passes/routing.h"

enum { MAX_STEPS = 4, MAZE_STEPS = 1 << 22, MAZE_STEPS_A_STREAM = 1 << 13 };

struct KernelEdges {
    FabricEdge edge[8][KERNEL_MAX_INPUTS + 1]; /* by orientation; out last */
};

Box plan_box(const Kernel *k)
{
    uint32_t w, h;
    plan_extent(k, &w, &h);
    return (Box){(int32_t)k->x, (int32_t)k->y, (int32_t)(k->x + w) - 1, (int32_t)(k->y + h) - 1};
}

Box box_hull(int32_t x0, int32_t y0, int32_t x1, int32_t y1)
{
    return (Box){x0 < x1 ? x0 : x1, y0 < y1 ? y0 : y1, x0 < x1 ? x1 : x0, y0 < y1 ? y1 : y0};
}

Box box_join(Box a, Box b)
{
    return (Box){a.x0 < b.x0 ? a.x0 : b.x0, a.y0 < b.y0 ? a.y0 : b.y0, a.x1 > b.x1 ? a.x1 : b.x1,
                 a.y1 > b.y1 ? a.y1 : b.y1};
}

static int64_t area(Box b)
{
    return (int64_t)(b.x1 - b.x0 + 1) * (b.y1 - b.y0 + 1);
}

Router *router_create(Arena *a, Plan *plan, uint64_t limit)
{
    const Machine *m = plan->machine;
    Router *r = arena_new(a, Router);
    RouteIndex *index = arena_new(a, RouteIndex);
    r->arena = a;
    r->plan = plan;
    r->limit = limit;
    r->edges = arena_array(a, KernelEdges, plan->kernels.n);
    r->index = index;
    index->maze_steps = MAZE_STEPS + (int64_t)plan->streams.n * MAZE_STEPS_A_STREAM;
    index->nx = ((int32_t)m->width + BUCKET - 1) / BUCKET;
    index->ny = ((int32_t)m->height + BUCKET - 1) / BUCKET;
    index->bucket = arena_array(a, SlotVec, (size_t)index->nx * (size_t)index->ny);
    index->of_stream = arena_array(a, SlotVec, plan->streams.n);
    for (unsigned side = 0; side < 2; side++) {
        index->port[side] = arena_array(a, int32_t, m->height);
        for (uint32_t y = 0; y < m->height; y++)
            index->port[side][y] = -1;
    }
    for (size_t i = 0; i < plan->streams.n; i++)
        if (plan->streams.data[i]->protocol.lanes > index->lanes)
            index->lanes = plan->streams.data[i]->protocol.lanes;
    index->x = arena_array(a, int32_t, index->lanes);
    index->y = arena_array(a, int32_t, index->lanes);
    for (size_t i = 0; i < plan->keepouts.n; i++) {
        const KeepOut *k = &plan->keepouts.data[i];
        if (k->dead)
            router_take(r, (Taken){keepout_box(k), UINT32_MAX, SIDE_RAMP, 0, -1, 0});
    }
    return r;
}

/* ---- buckets ---- */

static Box buckets_of(const RouteIndex *index, Box b)
{
    Box at = {b.x0 / BUCKET, b.y0 / BUCKET, b.x1 / BUCKET, b.y1 / BUCKET};
    at.x0 = at.x0 < 0 ? 0 : at.x0;
    at.y0 = at.y0 < 0 ? 0 : at.y0;
    at.x1 = at.x1 < index->nx ? at.x1 : index->nx - 1;
    at.y1 = at.y1 < index->ny ? at.y1 : index->ny - 1;
    return at;
}

Meet meet_begin(const Router *r, Box box)
{
    Meet m = {.r = r, .box = box};
    Box at = buckets_of(r->index, box);
    m.x0 = m.x = at.x0;
    m.x1 = at.x1;
    m.y = at.y0;
    m.y1 = box.x1 < box.x0 || box.y1 < box.y0 || at.x1 < at.x0 ? at.y0 - 1 : at.y1;
    return m;
}

const Taken *meet_next(Meet *m)
{
    const RouteIndex *index = m->r->index;
    while (m->y <= m->y1) {
        const SlotVec *b = &index->bucket[m->y * index->nx + m->x];
        while (m->i < b->n) {
            const Taken *t = &m->r->taken.data[b->data[m->i++]];
            if (!box_meet(t->box, m->box))
                continue;
            int32_t x = t->box.x0 > m->box.x0 ? t->box.x0 : m->box.x0;
            int32_t y = t->box.y0 > m->box.y0 ? t->box.y0 : m->box.y0;
            if ((x < 0 ? 0 : x / BUCKET) == m->x && (y < 0 ? 0 : y / BUCKET) == m->y)
                return t;
        }
        m->i = 0;
        if (++m->x > m->x1) {
            m->x = m->x0;
            m->y++;
        }
    }
    return NULL;
}

uint32_t router_take(Router *r, Taken t)
{
    RouteIndex *index = r->index;
    uint32_t slot;
    if (t.box.x1 < t.box.x0 || t.box.y1 < t.box.y0)
        return UINT32_MAX;
    if (index->free.n) {
        slot = index->free.data[--index->free.n];
        r->taken.data[slot] = t;
    } else {
        slot = (uint32_t)r->taken.n;
        vec_push(r->arena, &r->taken, t);
    }
    Box at = buckets_of(index, t.box);
    for (int32_t y = at.y0; y <= at.y1; y++)
        for (int32_t x = at.x0; x <= at.x1; x++)
            vec_push(r->arena, &index->bucket[y * index->nx + x], slot);
    if (t.stream >= 0)
        vec_push(r->arena, &index->of_stream[t.stream], slot);
    return slot;
}

static void unlink_slot(Router *r, uint32_t slot)
{
    RouteIndex *index = r->index;
    Box at = buckets_of(index, r->taken.data[slot].box);
    for (int32_t y = at.y0; y <= at.y1; y++) {
        for (int32_t x = at.x0; x <= at.x1; x++) {
            SlotVec *b = &index->bucket[y * index->nx + x];
            size_t i = b->n;
            while (b->data[--i] != slot)
                continue;
            memmove(b->data + i, b->data + i + 1, (b->n - i - 1) * sizeof *b->data);
            b->n--;
        }
    }
}

/* What is left of it meets nothing. */
void router_drop(Router *r, uint32_t slot)
{
    unlink_slot(r, slot);
    r->taken.data[slot] = (Taken){{0, 0, -1, -1}, 0, SIDE_RAMP, 0, -1, 0};
    vec_push(r->arena, &r->index->free, slot);
}

void router_forget(Router *r)
{
    for (uint32_t i = 0; i < r->taken.n; i++)
        if (r->taken.data[i].history)
            router_drop(r, i);
}

/* ---- loads ---- */

static int by_place(const void *a, const void *b)
{
    int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
    return p < q ? -1 : p > q;
}

/* Events along y are a coordinate (the end of a box before the begin of another one) and
 * the index of what begins or ends. */
static uint64_t sweep_column(Router *r, int32_t x, Box box, int32_t *row)
{
    RouteIndex *index = r->index;
    enum { BEGINS = 1 << 24 };
    index->events.n = 0;
    for (size_t i = 0; i < index->near.n; i++) {
        Box b = index->near.data[i]->box;
        if (x < b.x0 || x > b.x1)
            continue;
        int64_t y0 = b.y0 > box.y0 ? b.y0 : box.y0, y1 = b.y1;
        vec_push(r->arena, &index->events, (y0 << 32) + BEGINS + (int64_t)i);
        vec_push(r->arena, &index->events, ((y1 + 1) << 32) + (int64_t)i);
    }
    if (index->events.n > 0)
        qsort(index->events.data, index->events.n, sizeof(int64_t), by_place);
    uint64_t sum = 0, most = 0;
    for (size_t i = 0; i < index->events.n; i++) {
        int64_t e = index->events.data[i];
        const Taken *t = index->near.data[e & (BEGINS - 1)];
        if (e & BEGINS)
            sum += t->words;
        else
            sum -= t->words;
        if (sum > most) {
            most = sum;
            *row = (int32_t)(e >> 32);
        }
    }
    return most;
}

uint64_t router_most(Router *r, Box box, Side side, int32_t but, uint64_t stop, Box *where)
{
    RouteIndex *index = r->index;
    uint64_t sum = 0, most = 0;
    index->near.n = 0;
    Meet m = meet_begin(r, box);
    for (const Taken *t; (t = meet_next(&m)) != NULL;) {
        if (t->side != side || t->history || t->words == 0 || (but >= 0 && t->stream == but))
            continue;
        sum += t->words;
        vec_push(r->arena, &index->near, t);
    }
    if (where)
        *where = (Box){box.x0, box.y0, box.x0, box.y0};
    if (sum <= stop)
        return sum;
    for (size_t i = 0; i < index->near.n; i++) {
        int32_t x = index->near.data[i]->box.x0, row = box.y0;
        x = x < box.x0 ? box.x0 : x;
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++) {
            int32_t o = index->near.data[j]->box.x0;
            seen = (o < box.x0 ? box.x0 : o) == x;
        }
        uint64_t here = seen ? 0 : sweep_column(r, x, box, &row);
        if (here > most) {
            most = here;
            if (where)
                *where = (Box){x, row, x, row};
        }
    }
    return most;
}

uint64_t router_load(Router *r, Box box, Side side)
{
    return router_most(r, box, side, -1, 0, NULL);
}

uint64_t router_peak(Router *r, Box *where, Side *side)
{
    uint64_t peak = 0;
    for (size_t i = 0; i < r->taken.n; i++) {
        const Taken *t = &r->taken.data[i];
        if (t->words == 0)
            continue;
        Box at;
        uint64_t here = router_most(r, t->box, t->side, -1, peak, &at);
        if (here > peak) {
            peak = here;
            *where = at;
            *side = t->side;
        }
    }
    return peak;
}

uint32_t router_usable_colors(const Router *r)
{
    uint32_t n = r->plan->machine->colors - r->plan->machine->reserved_colors;
    return n < 32 ? (1u << n) - 1 : UINT32_MAX;
}

/* ---- ports ---- */

bool router_port_free(const Router *r, Side side, int32_t y)
{
    return r->index->port[side == SIDE_E][y] < 0;
}

uint32_t router_ports_left(const Router *r, Side side)
{
    const Machine *m = r->plan->machine;
    uint32_t used = 0, all = side == SIDE_W ? m->ports_west : m->ports_east;
    for (size_t i = 0; i < r->ports.n; i++)
        used += r->ports.data[i].side == side;
    return all > used ? all - used : 0;
}

/* ---- kernels ---- */

void router_add_kernel(Router *r, const Kernel *k)
{
    /* Partial sums are f32, one word each, for every position of the anchor's result. */
    uint64_t words = 0;
    Side side = SIDE_RAMP;
    if (k->anchor && kernel_is_matrix(k->kind) && k->shape.w > 1) {
        words = (uint64_t)type_positions(&k->anchor->type) *
                lane_size((uint32_t)type_features(&k->anchor->type), k->shape.lanes_out, 0);
        side = plan_side(k, SIDE_E);
    } else if (k->anchor && k->kind == KERNEL_REDUCE && k->shape.h > 1) {
        words = 2 * (uint64_t)type_positions(&k->anchor->type);
        side = plan_side(k, SIDE_S);
    }
    router_take(r, (Taken){plan_box(k), kernel_own_colors(k), side, words, -1, 0});
}

const FabricEdge *router_edge(Router *r, const Kernel *k, int input)
{
    unsigned orientation = k->turn * 2 + (k->mirror ? 1 : 0);
    unsigned which = input < 0 ? KERNEL_MAX_INPUTS : (unsigned)input;
    FabricEdge *e = &r->edges[k->id].edge[orientation][which];
    if (!e->known) {
        Edge c = {0};
        Kernel at = *k;
        at.x = at.y = 0;
        if (input < 0)
            kernel_edge_out(r->arena, k, &c);
        else
            kernel_edge_in(r->arena, k, (uint32_t)input, &c);
        e->known = true;
        e->lanes = c.lanes;
        e->travel = plan_side(k, c.travel);
        e->x = arena_array(r->arena, int32_t, c.lanes);
        e->y = arena_array(r->arena, int32_t, c.lanes);
        for (uint32_t l = 0; l < c.lanes; l++) {
            uint32_t fx, fy;
            kernel_edge_place(&at, &c, input < 0, l, &fx, &fy);
            e->x[l] = (int32_t)fx;
            e->y[l] = (int32_t)fy;
        }
    }
    return e;
}

/* ---- streams ---- */

Box router_out_edge(Router *r, const Stream *s)
{
    if (s->from == PLAN_HOST || s->trunk)
        return (Box){0, 0, -1, -1};
    const Kernel *k = r->plan->kernels.data[s->from];
    const FabricEdge *e = router_edge(r, k, -1);
    int32_t x = (int32_t)k->x, y = (int32_t)k->y;
    return box_hull(x + e->x[0], y + e->y[0], x + e->x[e->lanes - 1], y + e->y[e->lanes - 1]);
}

Box router_in_region(const Router *r, const Stream *s)
{
    if (s->to == PLAN_HOST)
        return (Box){0, 0, -1, -1};
    return plan_box(r->plan->kernels.data[s->to]);
}

static void lane_at(const Stream *s, uint32_t lane, uint32_t segment, int32_t *x, int32_t *y)
{
    *x = (int32_t)s->start_x[lane];
    *y = (int32_t)s->start_y[lane];
    for (uint32_t i = 0; i < segment; i++)
        *(side_horizontal(s->segments[i].side) ? x : y) = (int32_t)s->segments[i].to[lane];
}

Box stream_box(const Stream *s, uint32_t segment)
{
    Box all = {0, 0, -1, -1};
    for (uint32_t l = 0; l < s->protocol.lanes; l++) {
        int32_t x0, y0, x1, y1;
        lane_at(s, l, segment, &x0, &y0);
        lane_at(s, l, segment + 1, &x1, &y1);
        Box b = box_hull(x0, y0, x1, y1);
        all = l ? box_join(all, b) : b;
    }
    return all;
}

uint32_t stream_hops(const Stream *s)
{
    uint32_t most = 0;
    for (uint32_t l = 0; l < s->protocol.lanes; l++) {
        int32_t at[2] = {(int32_t)s->start_x[l], (int32_t)s->start_y[l]};
        uint32_t hops = 1;
        for (uint32_t i = 0; i < s->n_segments; i++) {
            int32_t *v = &at[!side_horizontal(s->segments[i].side)];
            int32_t to = (int32_t)s->segments[i].to[l];
            hops += (uint32_t)(to > *v ? to - *v : *v - to);
            *v = to;
        }
        most = hops > most ? hops : most;
    }
    return most;
}

void route_lane_routers(const Stream *s, uint32_t lane, Arena *a, SeedVec *all)
{
    Seed at = {(int32_t)s->start_x[lane], (int32_t)s->start_y[lane], side_opposite(s->port_side)};
    if (stream_enters(s) && s->n_segments > 0)
        vec_push(a, all, at);
    for (uint32_t i = 0; i < s->n_segments; i++) {
        at.in = s->segments[i].side;
        int32_t *v = side_horizontal(at.in) ? &at.x : &at.y, to = (int32_t)s->segments[i].to[lane];
        while (*v != to) {
            *v += side_forward(at.in);
            vec_push(a, all, at);
        }
    }
}

static bool at_start(const Stream *s, uint32_t lane, int32_t x, int32_t y)
{
    return x == (int32_t)s->start_x[lane] && y == (int32_t)s->start_y[lane];
}

/* The router where a lane forks, if it leaves it by segment i. */
static bool fork_run(const Stream *s, uint32_t i, uint32_t lane, int32_t x, int32_t y)
{
    Side d = s->segments[i].side;
    return s->forks && at_start(s, lane, x, y) &&
           (i + 1 == s->n_segments ||
            (int32_t)s->segments[i].to[lane] != (side_horizontal(d) ? x : y));
}

/* Routers that a lane at (x, y) leaves by the side of segment i, until its end. */
static Box lane_run(const Stream *s, uint32_t i, uint32_t lane, int32_t x, int32_t y)
{
    Side d = s->segments[i].side;
    int32_t to = (int32_t)s->segments[i].to[lane];
    int32_t from = side_horizontal(d) ? x : y, f = side_forward(d);
    if (s->forks ? at_start(s, lane, x, y) : i == 0 && !stream_enters(s))
        from += f; /* the core that sends belongs to the edge, where it forks to the trunk */
    if (i + 1 < s->n_segments)
        to -= f; /* the corner is left by the next side */
    if (f * (to - from) < 0)
        return (Box){0, 0, -1, -1};
    return side_horizontal(d) ? box_hull(from, y, to, y) : box_hull(x, from, x, to);
}

/* Boxes of segment i: lanes that fill a rectangle share one; if there would be more than
 * `most`, that many groups of neighbors do. */
static void segment_pieces(Router *r, const Stream *s, uint32_t i, uint32_t most)
{
    RouteIndex *index = r->index;
    uint32_t lanes = s->protocol.lanes, group = lanes < most ? 1 : (lanes + most - 1) / most;
    size_t first = index->pieces.n;
    for (unsigned coarse = 0; coarse < 2; coarse++) {
        int64_t cells = 0;
        uint32_t in_group = 0;
        for (uint32_t l = 0; l < lanes; l++) {
            Box b = lane_run(s, i, l, index->x[l], index->y[l]);
            in_group = l % group ? in_group : 0;
            if (!coarse && fork_run(s, i, l, index->x[l], index->y[l])) {
                Box at = {index->x[l], index->y[l], index->x[l], index->y[l]};
                vec_push(r->arena, &index->forks, ((Piece){at, s->segments[i].side, true}));
            }
            if (b.x1 < b.x0)
                continue;
            Piece *last = index->pieces.n > first ? &index->pieces.data[index->pieces.n - 1] : NULL;
            Box all = last ? box_join(last->box, b) : b;
            if (last && (coarse ? in_group > 0 : area(all) == cells + area(b))) {
                last->box = all;
            } else {
                cells = 0;
                vec_push(r->arena, &index->pieces, ((Piece){b, s->segments[i].side, false}));
            }
            cells += area(b);
            in_group++;
        }
        if (index->pieces.n - first <= most)
            break;
        index->pieces.n = first;
    }
}

const PieceVec *router_pieces(Router *r, const Stream *s)
{
    RouteIndex *index = r->index;
    uint32_t lanes = s->protocol.lanes;
    /* Lanes that were routed one by one wind as they like: no box holds several. */
    uint32_t most = s->n_segments > MAX_TURNS + 1 ? UINT32_MAX : MAX_STEPS;
    index->pieces.n = index->forks.n = 0;
    for (uint32_t l = 0; l < lanes; l++) {
        index->x[l] = (int32_t)s->start_x[l];
        index->y[l] = (int32_t)s->start_y[l];
    }
    for (uint32_t i = 0; i < s->n_segments; i++) {
        segment_pieces(r, s, i, most);
        int32_t *v = side_horizontal(s->segments[i].side) ? index->x : index->y;
        for (uint32_t l = 0; l < lanes; l++)
            v[l] = (int32_t)s->segments[i].to[l];
    }
    for (size_t i = 0; i < index->forks.n; i++)
        vec_push(r->arena, &index->pieces, index->forks.data[i]);
    return &index->pieces;
}

void router_take_stream(Router *r, const Stream *s)
{
    Taken t = {.colors = 1u << s->color, .words = stream_words(s), .stream = (int32_t)s->id};
    const PieceVec *pieces = router_pieces(r, s);
    for (size_t i = 0; i < pieces->n; i++) {
        t.box = pieces->data[i].box;
        t.side = pieces->data[i].side;
        t.colors = pieces->data[i].fork ? 0 : 1u << s->color;
        router_take(r, t);
    }
    t.colors = 1u << s->color;
    if (s->from != PLAN_HOST && !s->trunk) {
        t.box = router_out_edge(r, s);
        t.side = router_edge(r, r->plan->kernels.data[s->from], -1)->travel;
        router_take(r, t);
    }
    if (s->to != PLAN_HOST) {
        t.box = router_in_region(r, s);
        t.side = router_edge(r, r->plan->kernels.data[s->to], (int)s->to_input)->travel;
        router_take(r, t);
    }
    for (uint32_t l = 0; s->port_y && l < s->protocol.lanes; l++) {
        PortUse use = {s->port_side, (int32_t)s->port_y[l], (int32_t)s->id};
        r->index->port[use.side == SIDE_E][use.y] = use.stream;
        vec_push(r->arena, &r->ports, use);
    }
}

void router_add_routed(Router *r, const Stream *s)
{
    router_take_stream(r, s);
}

void router_release(Router *r, const Stream *s)
{
    SlotVec *slots = &r->index->of_stream[s->id];
    size_t kept = 0;
    for (size_t i = 0; i < slots->n; i++)
        router_drop(r, slots->data[i]);
    slots->n = 0;
    for (size_t i = 0; i < r->ports.n && s->port_y; i++) {
        PortUse use = r->ports.data[i];
        if (use.stream == (int32_t)s->id)
            r->index->port[use.side == SIDE_E][use.y] = -1;
        else
            r->ports.data[kept++] = use;
    }
    if (s->port_y)
        r->ports.n = kept;
}

void router_recolor(Router *r, Stream *s, uint32_t color)
{
    const SlotVec *slots = &r->index->of_stream[s->id];
    s->color = color;
    for (size_t i = 0; i < slots->n; i++)
        if (r->taken.data[slots->data[i]].colors) /* not where it forks */
            r->taken.data[slots->data[i]].colors = 1u << color;
}
