/* SPDX-License-Identifier: Apache-2.0 */
/* passes/route_small.c - small cases by trying everything.
 *
 * A depth-first search over streams, colors, ports, lanes and their steps, on sets of routers
 * as words of 64 bits. Ways may be longer than the distance by a slack that grows from 0: easy
 * solutions are found soon, and with the largest slack the search is complete. Cut off where
 * the goal cannot be reached any more through free routers; of colors that nobody has yet
 * and no kernel keeps, one stands for all. Bounded by steps; within the bound the answer is
 * exact for what routing.h calls taken: links of kernels' ends count as boxes. */
#include <stdlib.h>
#include <string.h>

#include "passes/routing.h"

enum { CELLS = 64, MAX_STREAMS = 8, MAX_LANES = 16, STEPS = 1 << 17 };

typedef struct SmallStream {
    Stream *s;
    Ends ends;
    uint64_t fixed, region, edge; /* cells of its ends; both; where it may not pass */
    uint64_t blocked;
    Side de_side, ds_side;
    uint64_t words;
    uint32_t color;
    uint32_t **path, *length;
    Side port_side;
    int32_t *rows;
    bool touching;
} SmallStream;

typedef struct Small {
    Router *r;
    int32_t w, h;
    uint32_t n;
    SmallStream stream[MAX_STREAMS];
    uint64_t all, not_east, not_west; /* cells; without the last, the first column */
    uint64_t hard[32], used[32];
    uint64_t load[CELLS][4];  /* of all */
    uint32_t users[CELLS][4]; /* streams and kernels */
    uint32_t paths[CELLS][4]; /* those that could go elsewhere */
    uint64_t ports[2];
    uint32_t slack;
    int64_t steps;
    bool cut;   /* the slack kept something out */
    bool given; /* some colors are */
} Small;

static uint64_t cells_of(const Small *z, Box b)
{
    uint64_t set = 0;
    for (int32_t y = b.y0 < 0 ? 0 : b.y0; y <= b.y1 && y < z->h; y++)
        for (int32_t x = b.x0 < 0 ? 0 : b.x0; x <= b.x1 && x < z->w; x++)
            set |= (uint64_t)1 << (y * z->w + x);
    return set;
}

static bool on_fabric(const Small *z, int32_t x, int32_t y)
{
    return x >= 0 && y >= 0 && x < z->w && y < z->h;
}

/* Everything that can be reached from `from` through free cells. */
static bool reaches(const Small *z, uint64_t free, uint64_t from, uint64_t to)
{
    free |= from;
    for (uint64_t before = 0; before != from;) {
        before = from;
        from |=
            ((from & z->not_east) << 1 | (from & z->not_west) >> 1 | from << z->w | from >> z->w) &
            free;
        if (from & to)
            return true;
    }
    return (from & to) != 0;
}

static bool link_fits(const Small *z, const SmallStream *t, uint32_t cell, Side d)
{
    return z->users[cell][d] == 0 || z->load[cell][d] + t->words <= z->r->limit;
}

static void use_link(Small *z, const SmallStream *t, uint32_t cell, Side d, bool add)
{
    z->load[cell][d] += add ? t->words : -t->words;
    z->users[cell][d] += add ? 1 : UINT32_MAX;
    z->paths[cell][d] += add ? 1 : UINT32_MAX;
}

static bool solve_stream(Small *z, uint32_t i);
static bool solve_lane(Small *z, uint32_t i, uint32_t lane);

static bool solve_step(Small *z, uint32_t i, uint32_t lane, uint32_t cell, Side in, uint32_t goal)
{
    SmallStream *t = &z->stream[i];
    uint64_t bit = (uint64_t)1 << cell, free = z->all & ~(z->hard[t->color] | t->blocked);
    if (--z->steps < 0 || ((z->used[t->color] | ~free) & bit))
        return false;
    int32_t x = (int32_t)cell % z->w, y = (int32_t)cell / z->w;
    int32_t gx = (int32_t)goal % z->w, gy = (int32_t)goal / z->w, sx, sy;
    route_first_cell(&t->ends, lane, &sx, &sy);
    uint32_t least = (uint32_t)(abs(gx - sx) + abs(gy - sy));
    if (t->length[lane] + (uint32_t)(abs(gx - x) + abs(gy - y)) > least + z->slack) {
        z->cut = true;
        return false;
    }
    if (!reaches(z, free & ~z->used[t->color], bit, (uint64_t)1 << goal))
        return false;
    z->used[t->color] |= bit;
    t->path[lane][t->length[lane]++] = cell;
    bool good = false;
    if (cell == goal) {
        if (in != side_opposite(t->ends.de) && link_fits(z, t, cell, t->ends.de)) {
            use_link(z, t, cell, t->ends.de, true);
            good = solve_lane(z, i, lane + 1);
            if (!good)
                use_link(z, t, cell, t->ends.de, false);
        }
    } else {
        /* Towards the goal first. */
        for (unsigned away = 0; away < 2 && !good; away++) {
            for (Side d = SIDE_N; d <= SIDE_W && !good; d++) {
                int32_t nx = x + side_dx(d), ny = y + side_dy(d);
                bool nearer = abs(gx - nx) + abs(gy - ny) < abs(gx - x) + abs(gy - y);
                if (nearer == (away != 0) || d == side_opposite(in) || !on_fabric(z, nx, ny) ||
                    !link_fits(z, t, cell, d))
                    continue;
                use_link(z, t, cell, d, true);
                good = solve_step(z, i, lane, (uint32_t)(ny * z->w + nx), d, goal);
                if (!good)
                    use_link(z, t, cell, d, false);
            }
        }
    }
    if (!good) {
        t->length[lane]--;
        z->used[t->color] &= ~bit;
    }
    return good;
}

/* A lane between known ends. */
static bool solve_path(Small *z, uint32_t i, uint32_t lane)
{
    SmallStream *t = &z->stream[i];
    const Ends *e = &t->ends;
    int32_t x, y, gx, gy;
    t->length[lane] = 0;
    bool straight =
        e->ds == e->de && e->s_along == e->e_along && e->s_cross[lane] == e->e_cross[lane];
    if (straight || (lane > 0 && t->touching)) {
        /* All lanes touch, or none does. */
        if (!straight || (lane > 0 && !t->touching))
            return false;
        t->touching = true;
        if (solve_lane(z, i, lane + 1))
            return true;
        t->touching = lane > 0;
        return false;
    }
    route_first_cell(e, lane, &x, &y);
    route_last_cell(e, lane, &gx, &gy);
    if (!on_fabric(z, x, y) || !on_fabric(z, gx, gy))
        return false;
    return solve_step(z, i, lane, (uint32_t)(y * z->w + x), e->ds, (uint32_t)(gy * z->w + gx));
}

/* A lane: at the host, every row beyond that of the lane before. */
static bool solve_lane(Small *z, uint32_t i, uint32_t lane)
{
    SmallStream *t = &z->stream[i];
    if (lane == t->ends.n)
        return solve_stream(z, i + 1);
    if (!t->rows)
        return solve_path(z, i, lane);
    Side travel = t->s->from == PLAN_HOST ? side_opposite(t->port_side) : t->port_side;
    int32_t step = side_rightward(travel);
    uint64_t *ports = &z->ports[t->port_side == SIDE_E];
    for (int32_t y = lane       ? t->rows[lane - 1] + step
                     : step > 0 ? 0
                                : z->h - 1;
         y >= 0 && y < z->h; y += step) {
        if (*ports >> y & 1)
            continue;
        *ports |= (uint64_t)1 << y;
        t->rows[lane] = y;
        route_set_port(&t->ends, t->s->from == PLAN_HOST, t->port_side, t->rows);
        if (solve_path(z, i, lane))
            return true;
        *ports &= ~((uint64_t)1 << y);
    }
    return false;
}

/* The cells of a stream's ends, with the words that leave them: fixed, so they may only be in
 * the way of what others chose. */
static bool use_ends(Small *z, const SmallStream *t, bool add)
{
    bool good = true;
    for (uint32_t c = 0; c < CELLS; c++) {
        for (unsigned end = 0; end < 2; end++) {
            if (!((end ? t->region : t->edge) >> c & 1))
                continue;
            Side d = end ? t->de_side : t->ds_side;
            z->load[c][d] += add ? t->words : -t->words;
            z->users[c][d] += add ? 1 : UINT32_MAX;
            good = good && (z->paths[c][d] == 0 || z->load[c][d] <= z->r->limit);
        }
    }
    return good;
}

static bool solve_side(Small *z, uint32_t i)
{
    SmallStream *t = &z->stream[i];
    t->touching = false;
    if (!t->rows)
        return solve_lane(z, i, 0);
    for (unsigned k = 0; k < 2; k++) {
        uint32_t used = 0;
        t->port_side = k ? SIDE_E : SIDE_W;
        for (int32_t y = 0; y < z->h; y++)
            used += z->ports[k] >> y & 1;
        const Machine *m = z->r->plan->machine;
        if (used + t->ends.n <= (k ? m->ports_east : m->ports_west) && solve_lane(z, i, 0))
            return true;
    }
    return false;
}

static bool solve_stream(Small *z, uint32_t i)
{
    if (i == z->n)
        return true;
    SmallStream *t = &z->stream[i];
    uint32_t usable = router_usable_colors(z->r);
    bool fresh = false; /* one that nobody has was tried */
    for (uint32_t c = 0; c < 32 && z->steps >= 0; c++) {
        if (!(usable >> c & 1) || (t->s->color_fixed && c != t->s->color) ||
            ((z->hard[c] | z->used[c]) & t->fixed))
            continue;
        if (z->hard[c] == z->hard[31] && z->used[c] == 0 && !z->given) {
            if (fresh)
                continue;
            fresh = true;
        }
        t->color = c;
        z->used[c] |= t->fixed;
        bool good = use_ends(z, t, true) && solve_side(z, i);
        if (good)
            return true;
        use_ends(z, t, false);
        z->used[c] &= ~t->fixed;
    }
    return false;
}

static bool small_stream(Small *z, Arena *a, Stream *s, SmallStream *t)
{
    Router *r = z->r;
    uint32_t n = s->protocol.lanes;
    *t = (SmallStream){.s = s, .words = stream_words(s)};
    if (n > MAX_LANES || s->trunk || !route_kernel_ends(r, a, s, &t->ends))
        return false;
    t->words = t->words < r->limit ? t->words : r->limit;
    t->edge = cells_of(z, router_out_edge(r, s));
    t->region = cells_of(z, router_in_region(r, s));
    t->fixed = t->edge | t->region;
    t->blocked = cells_of(z, t->ends.producer) | cells_of(z, t->ends.consumer);
    t->ds_side = t->ends.ds;
    t->de_side = t->ends.de;
    t->path = arena_array(a, uint32_t *, n);
    t->length = arena_array(a, uint32_t, n);
    for (uint32_t l = 0; l < n; l++)
        t->path[l] = arena_array(a, uint32_t, CELLS);
    if (s->from == PLAN_HOST || s->to == PLAN_HOST)
        t->rows = arena_array(a, int32_t, n);
    return true;
}

static void write_stream(Small *z, SmallStream *t)
{
    LanePaths p = {&t->ends, t->ends.n, 0, 0, z->w, t->path, t->length};
    Stream *s = t->s;
    s->color = t->color;
    if (t->rows)
        route_set_port(&t->ends, s->from == PLAN_HOST, t->port_side, t->rows);
    route_set_paths(&p, z->r->arena, s);
    router_release(z->r, s);
    router_take_stream(z->r, s);
}

bool route_small(Router *r, bool *proved)
{
    const Machine *m = r->plan->machine;
    *proved = false;
    if ((uint64_t)m->width * m->height > CELLS || r->plan->streams.n > MAX_STREAMS)
        return false;
    Arena a = {0};
    Small *z = arena_new(&a, Small);
    z->r = r;
    z->w = (int32_t)m->width;
    z->h = (int32_t)m->height;
    z->n = (uint32_t)r->plan->streams.n;
    z->steps = STEPS;
    z->all = cells_of(z, (Box){0, 0, z->w - 1, z->h - 1});
    z->not_east = z->all & ~cells_of(z, (Box){z->w - 1, 0, z->w - 1, z->h - 1});
    z->not_west = z->all & ~cells_of(z, (Box){0, 0, 0, z->h - 1});
    bool good = true;
    for (uint32_t i = 0; i < z->n && good; i++) {
        good = small_stream(z, &a, r->plan->streams.data[i], &z->stream[i]);
        z->given = z->given || r->plan->streams.data[i]->color_fixed;
    }
    for (size_t i = 0; i < r->taken.n && good; i++) {
        const Taken *t = &r->taken.data[i];
        uint64_t set = t->stream < 0 ? cells_of(z, t->box) : 0;
        for (uint32_t c = 0; c < 32; c++)
            z->hard[c] |= t->colors >> c & 1 ? set : 0;
        for (uint32_t c = 0; c < CELLS && t->side != SIDE_RAMP && t->words; c++) {
            z->load[c][t->side] += set >> c & 1 ? t->words : 0;
            z->users[c][t->side] += set >> c & 1;
        }
    }
    bool solved = false;
    for (z->slack = 0; good && !solved && z->slack <= CELLS && z->steps >= 0; z->slack += 2) {
        z->cut = false;
        solved = solve_stream(z, 0);
        if (!solved && !z->cut && z->steps >= 0) {
            *proved = true;
            break;
        }
    }
    for (uint32_t i = 0; i < z->n && solved; i++)
        write_stream(z, &z->stream[i]);
    arena_free(&a);
    return solved;
}
