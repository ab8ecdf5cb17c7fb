/* SPDX-License-Identifier: Apache-2.0 */
/* passes/route_maze.c - a bundle lane by lane, where no closed form does.
 *
 * All lanes of a stream have one color, so their ways have no router in common; the order
 * of lanes matters at the ends only. For one color after the other, those with the fewest
 * conflicts first: every lane takes its cheapest way through a window around the ends (of a lane
 * that forks, from all routers of its trunk at once; A*:
 * Hart, Nilsson, Raphael 1968, over router and direction, with a charge for turns), at first
 * over other lanes, which grows dearer with every round, until no two meet (PathFinder
 * again, over routers); where that does not end, all lanes as far left as they can go. Places that
 * other streams use cost what pricing_of() says of them. The window grows while there is no way. A
 * way becomes pieces that all lanes share, idle for those that go elsewhere. Cost: window x lanes x
 * rounds, bounded by a budget of steps, of a call and of all. */
#include <stdlib.h>
#include <string.h>

#include "passes/routing.h"

enum {
    MAX_WINDOW = 1 << 18,
    LANE_ROUNDS = 24,
    MAX_COLORS_TRIED = 4,
    LANE_PRICE = 2,
    STEPS = 1 << 20, /* of one call */
    STEPS_A_STREAM = 1 << 10,
};
static const uint32_t BLOCKED = UINT32_MAX / 4;

typedef struct Entry {
    uint64_t key; /* cost and what is left at least, then order of entry */
    uint32_t state, cost;
} Entry;

typedef struct Maze {
    Router *r;
    Arena *arena;
    LanePaths paths;
    uint32_t lanes;
    Box window;
    int32_t w, h;
    uint32_t *hard;  /* colors not to be had, by cell */
    uint32_t *cell;  /* price of the color tried, by cell */
    uint32_t *link;  /* price of a side, by cell and side */
    uint32_t *own;   /* lanes of this stream there */
    uint32_t *dear;  /* history of that */
    uint32_t *cost;  /* of the search, by cell and direction */
    uint32_t *stamp; /* search that cost is of */
    uint8_t *came;   /* direction before */
    uint32_t search; /* number */
    uint32_t lane_price;
    VEC(Entry) heap;
    int64_t *steps; /* left */
    uint32_t entered;
} Maze;

/* ---- the window ---- */

static Box clip(Box b, Box to)
{
    return (Box){b.x0 > to.x0 ? b.x0 : to.x0, b.y0 > to.y0 ? b.y0 : to.y0,
                 b.x1 < to.x1 ? b.x1 : to.x1, b.y1 < to.y1 ? b.y1 : to.y1};
}

static uint32_t cell_at(const Maze *m, int32_t x, int32_t y)
{
    return (uint32_t)((y - m->window.y0) * m->w + (x - m->window.x0));
}

static void block(Maze *m, Box box)
{
    Box at = clip(box, m->window);
    for (int32_t y = at.y0; y <= at.y1; y++)
        for (int32_t x = at.x0; x <= at.x1; x++)
            m->hard[cell_at(m, x, y)] = UINT32_MAX;
}

/* The window around the ends, so much wider; false if it is too large or has no new cell. */
static bool open_window(Maze *m, int32_t margin)
{
    const Ends *e = m->paths.ends;
    Box fabric = {0, 0, e->width - 1, e->height - 1}, all = {0, 0, -1, -1};
    for (uint32_t l = 0; l < m->lanes; l++) {
        int32_t x0, y0, x1, y1;
        route_first_cell(m->paths.ends, l, &x0, &y0);
        route_last_cell(m->paths.ends, l, &x1, &y1);
        if (e->seeds && e->seeds[l].n == 0)
            return false;
        for (size_t i = 0; e->seeds && i < e->seeds[l].n; i++) {
            Seed at = e->seeds[l].data[i];
            Box b = {at.x, at.y, at.x, at.y};
            all = l || i ? box_join(all, b) : b;
            x0 = at.x;
            y0 = at.y;
        }
        if (clip((Box){x0, y0, x0, y0}, fabric).x0 != x0 || x0 > fabric.x1 || y0 < 0 ||
            y0 > fabric.y1 || x1 < 0 || x1 > fabric.x1 || y1 < 0 || y1 > fabric.y1)
            return false;
        Box b = box_hull(x0, y0, x1, y1);
        all = l || e->seeds ? box_join(all, b) : b;
    }
    all = box_join(all, e->producer.x1 < e->producer.x0 ? all : e->producer);
    all = box_join(all, e->consumer.x1 < e->consumer.x0 ? all : e->consumer);
    Box wide =
        clip((Box){all.x0 - margin, all.y0 - margin, all.x1 + margin, all.y1 + margin}, fabric);
    if (m->w && memcmp(&wide, &m->window, sizeof wide) == 0)
        return false;
    m->window = wide;
    m->w = wide.x1 - wide.x0 + 1;
    m->h = wide.y1 - wide.y0 + 1;
    m->paths.x0 = wide.x0;
    m->paths.y0 = wide.y0;
    m->paths.w = m->w;
    size_t cells = (size_t)m->w * (size_t)m->h;
    if (cells > MAX_WINDOW)
        return false;
    m->hard = arena_array(m->arena, uint32_t, cells);
    m->cell = arena_array(m->arena, uint32_t, cells);
    m->own = arena_array(m->arena, uint32_t, cells);
    m->dear = arena_array(m->arena, uint32_t, cells);
    m->link = arena_array(m->arena, uint32_t, 4 * cells);
    m->cost = arena_array(m->arena, uint32_t, 4 * cells);
    m->stamp = arena_array(m->arena, uint32_t, 4 * cells);
    m->came = arena_array(m->arena, uint8_t, 4 * cells);
    m->search = 0;
    Meet near = meet_begin(m->r, m->window);
    for (const Taken *t; (t = meet_next(&near)) != NULL;) {
        if (t->stream >= 0 || t->history)
            continue;
        Box at = clip(t->box, m->window);
        for (int32_t y = at.y0; y <= at.y1; y++)
            for (int32_t x = at.x0; x <= at.x1; x++)
                m->hard[cell_at(m, x, y)] |= t->colors;
    }
    block(m, e->producer);
    block(m, e->consumer);
    return true;
}

static uint32_t price_sum(uint64_t a, uint64_t b)
{
    return a + b < BLOCKED ? (uint32_t)(a + b) : BLOCKED;
}

/* Links: what leaves a cell by each side, priced as pricing_of() does. */
static void price_links(Maze *m, int32_t self, uint64_t words, uint64_t share)
{
    Router *r = m->r;
    size_t n = 4 * (size_t)m->w * (size_t)m->h;
    Arena scratch = {0};
    uint64_t *load = arena_array(&scratch, uint64_t, n);
    Meet near = meet_begin(r, m->window);
    for (const Taken *t; (t = meet_next(&near)) != NULL;) {
        if (t->side == SIDE_RAMP || t->stream == self || (t->words == 0 && !t->history))
            continue;
        Box at = clip(t->box, m->window);
        for (int32_t y = at.y0; y <= at.y1; y++) {
            for (int32_t x = at.x0; x <= at.x1; x++) {
                size_t i = 4 * (size_t)cell_at(m, x, y) + t->side;
                if (t->history)
                    m->link[i] = price_sum(m->link[i], t->history);
                else
                    load[i] += t->words;
            }
        }
    }
    for (size_t i = 0; i < n; i++)
        if (load[i] > r->limit - words)
            m->link[i] = price_sum(m->link[i], share < BLOCKED ? share : BLOCKED);
    arena_free(&scratch);
}

static void price_color(Maze *m, uint32_t color, const Stream *s, uint64_t share)
{
    size_t n = (size_t)m->w * (size_t)m->h;
    for (size_t i = 0; i < n; i++)
        m->cell[i] = m->hard[i] >> color & 1 ? BLOCKED : 0;
    memset(m->own, 0, n * sizeof *m->own);
    memset(m->dear, 0, n * sizeof *m->dear);
    const Plan *plan = m->r->plan;
    const Stream *root = s->trunk ? stream_root(s) : NULL;
    Meet near = meet_begin(m->r, m->window);
    for (const Taken *t; (t = meet_next(&near)) != NULL;) {
        /* A tree does not meet itself, whatever its color; a kernel's own are `hard`. */
        bool own = t->stream >= 0 && root && stream_root(plan->streams.data[t->stream]) == root;
        if (t->stream == (int32_t)s->id || (t->stream < 0 && !t->history) || !t->colors ||
            (!own && !(t->colors >> color & 1)))
            continue;
        Box at = clip(t->box, m->window);
        uint64_t more = own ? BLOCKED : t->history ? t->history : share;
        for (int32_t y = at.y0; y <= at.y1; y++)
            for (int32_t x = at.x0; x <= at.x1; x++)
                m->cell[cell_at(m, x, y)] = price_sum(m->cell[cell_at(m, x, y)], more);
    }
}

/* ---- one lane ---- */

static void heap_push(Maze *m, Entry n)
{
    vec_push(m->arena, &m->heap, n);
    Entry *h = m->heap.data;
    size_t i = m->heap.n - 1;
    for (; i > 0 && h[(i - 1) / 2].key > n.key; i = (i - 1) / 2)
        h[i] = h[(i - 1) / 2];
    h[i] = n;
}

static Entry heap_pop(Maze *m)
{
    Entry *h = m->heap.data, top = h[0], last = h[--m->heap.n];
    size_t i = 0, n = m->heap.n;
    for (size_t c; (c = 2 * i + 1) < n; i = c) {
        if (c + 1 < n && h[c + 1].key < h[c].key)
            c++;
        if (h[c].key >= last.key)
            break;
        h[i] = h[c];
    }
    if (n)
        h[i] = last;
    return top;
}

static void enter(Maze *m, uint32_t cell, Side side, Side before, uint32_t cost, int32_t gx,
                  int32_t gy)
{
    uint32_t state = 4 * cell + side;
    uint64_t step = (uint64_t)m->cell[cell] + m->lane_price * m->own[cell] + m->dear[cell];
    if (m->cell[cell] >= BLOCKED || cost + step >= BLOCKED)
        return;
    cost += (uint32_t)step;
    if (m->stamp[state] == m->search && m->cost[state] <= cost)
        return;
    m->stamp[state] = m->search;
    m->cost[state] = cost;
    m->came[state] = (uint8_t)before;
    int32_t x = m->window.x0 + (int32_t)cell % m->w, y = m->window.y0 + (int32_t)cell / m->w;
    uint32_t left = (uint32_t)(abs(gx - x) + abs(gy - y));
    Entry n = {((uint64_t)(cost + left) << 32) + m->entered++, state, cost};
    heap_push(m, n);
}

static void keep_path(Maze *m, uint32_t lane, uint32_t state)
{
    uint32_t n = 0, s = state;
    for (unsigned write = 0; write < 2; write++, s = state) {
        uint32_t i = n;
        for (;;) {
            Side side = (Side)(s % 4);
            if (write)
                m->paths.path[lane][--i] = s / 4;
            else
                n++;
            if (m->came[s] == SIDE_RAMP)
                break;
            uint32_t cell = s / 4;
            cell -= (uint32_t)(side_dx(side) + side_dy(side) * m->w);
            s = 4 * cell + m->came[s];
        }
        if (!write)
            m->paths.path[lane] = arena_array(m->arena, uint32_t, n);
    }
    m->paths.length[lane] = n;
}

/* Where the lane may begin: behind its core or port, or at all routers of its trunk. */
static void begin_search(Maze *m, uint32_t lane, int32_t gx, int32_t gy)
{
    const Ends *e = m->paths.ends;
    int32_t x, y;
    m->heap.n = 0;
    m->search++;
    m->entered = 0;
    if (!e->seeds) {
        route_first_cell(e, lane, &x, &y);
        enter(m, cell_at(m, x, y), e->ds, SIDE_RAMP, 1, gx, gy);
        return;
    }
    for (size_t i = 0; i < e->seeds[lane].n; i++) {
        Seed at = e->seeds[lane].data[i];
        uint32_t state = 4 * cell_at(m, at.x, at.y) + at.in;
        uint32_t left = (uint32_t)(abs(gx - at.x) + abs(gy - at.y));
        m->stamp[state] = m->search;
        m->cost[state] = 1;
        m->came[state] = SIDE_RAMP;
        heap_push(m, (Entry){((uint64_t)(1 + left) << 32) + m->entered++, state, 1});
    }
}

/* The cheapest way of a lane, over other lanes at a price. States are a cell and the
 * direction in which it was entered. */
static bool find_path(Maze *m, uint32_t lane)
{
    const Ends *e = m->paths.ends;
    int32_t x, y, gx, gy;
    route_last_cell(m->paths.ends, lane, &gx, &gy);
    uint32_t goal = cell_at(m, gx, gy);
    begin_search(m, lane, gx, gy);
    uint32_t best = UINT32_MAX, best_state = 0;
    while (m->heap.n && --*m->steps > 0) {
        Entry n = heap_pop(m);
        uint32_t cell = n.state / 4;
        Side in = (Side)(n.state % 4);
        if (n.cost >= best)
            break;
        if (n.cost > m->cost[n.state])
            continue;
        if (cell == goal && in != side_opposite(e->de)) {
            uint32_t total = n.cost + m->link[4 * goal + e->de] + (in != e->de ? TURN_CHARGE : 0);
            if (total < best && total < BLOCKED) {
                best = total;
                best_state = n.state;
            }
        }
        x = m->window.x0 + (int32_t)cell % m->w;
        y = m->window.y0 + (int32_t)cell / m->w;
        for (Side d = SIDE_N; d <= SIDE_W; d++) {
            int32_t nx = x + side_dx(d), ny = y + side_dy(d);
            if (d == side_opposite(in) || nx < m->window.x0 || ny < m->window.y0 ||
                nx > m->window.x1 || ny > m->window.y1)
                continue;
            uint32_t cost =
                price_sum(n.cost + 1 + (d != in ? TURN_CHARGE : 0), m->link[4 * cell + d]);
            enter(m, cell_at(m, nx, ny), d, in, cost, gx, gy);
        }
    }
    if (best == UINT32_MAX)
        return false;
    keep_path(m, lane, best_state);
    return true;
}

static void mark_path(Maze *m, uint32_t lane, bool add)
{
    for (uint32_t i = 0; i < m->paths.length[lane]; i++)
        m->own[m->paths.path[lane][i]] += add ? 1 : UINT32_MAX;
}

/* Ways of all lanes that have no router in common. */
static bool find_paths(Maze *m)
{
    memset(m->paths.length, 0, m->lanes * sizeof *m->paths.length);
    m->lane_price = LANE_PRICE;
    for (unsigned round = 0; round < LANE_ROUNDS; round++) {
        bool apart = true;
        for (uint32_t l = 0; l < m->lanes; l++) {
            mark_path(m, l, false);
            m->paths.length[l] = 0;
            if (!find_path(m, l))
                return false;
            mark_path(m, l, true);
        }
        for (uint32_t l = 0; l < m->lanes; l++) {
            for (uint32_t i = 0; i < m->paths.length[l]; i++) {
                uint32_t cell = m->paths.path[l][i];
                if (m->own[cell] > 1) {
                    m->dear[cell] += 4;
                    apart = false;
                }
            }
        }
        if (apart)
            return true;
        m->lane_price += 2;
    }
    return false;
}

/* Not to be entered: a line from a kernel to the border of the window, behind what it sends
 * or beyond where it receives. No lane shall wind around its own kernel and shut others in. */
static void draw_line(Maze *m, Box kernel, Side side)
{
    if (kernel.x1 < kernel.x0)
        return;
    int32_t x = (kernel.x0 + kernel.x1) / 2, y = (kernel.y0 + kernel.y1) / 2;
    for (; x >= m->window.x0 && y >= m->window.y0 && x <= m->window.x1 && y <= m->window.y1;
         x += side_dx(side), y += side_dy(side))
        m->stamp[4 * cell_at(m, x, y)] = m->search;
}

/* A search begins: the lines, and the ends of the other lanes. */
static void draw_lines(Maze *m, uint32_t lane)
{
    const Ends *e = m->paths.ends;
    m->search++;
    draw_line(m, e->producer, side_opposite(e->ds));
    draw_line(m, e->consumer, e->de);
    for (uint32_t l = 0; l < m->lanes; l++) {
        int32_t x, y, gx, gy;
        route_first_cell(e, l, &x, &y);
        route_last_cell(e, l, &gx, &gy);
        m->stamp[4 * cell_at(m, x, y)] = l == lane ? 0 : m->search;
        m->stamp[4 * cell_at(m, gx, gy)] = l == lane ? 0 : m->search;
    }
}

/* The leftmost way of a lane over free cells: always the leftmost turn that leads on, none
 * back. Lanes taken in order, lane 0 first, so leave all room that can be left to those on
 * their right, as in the search for uppermost paths of planar flows (Ford, Fulkerson 1956). */
static bool leftmost_path(Maze *m, uint32_t lane, uint32_t *stack, uint8_t *in, uint8_t *turn)
{
    const Ends *e = m->paths.ends;
    int32_t x, y, gx, gy;
    route_first_cell(e, lane, &x, &y);
    route_last_cell(e, lane, &gx, &gy);
    uint32_t goal = cell_at(m, gx, gy), n = 1;
    draw_lines(m, lane);
    stack[0] = cell_at(m, x, y);
    in[0] = (uint8_t)e->ds;
    turn[0] = 0;
    if (m->cell[stack[0]] || m->own[stack[0]])
        return false;
    m->stamp[4 * stack[0]] = m->search;
    while (n > 0 && --*m->steps > 0) {
        uint32_t cell = stack[n - 1];
        if (cell == goal && in[n - 1] != side_opposite(e->de)) {
            m->paths.path[lane] = arena_array(m->arena, uint32_t, n);
            memcpy(m->paths.path[lane], stack, n * sizeof *stack);
            m->paths.length[lane] = n;
            return true;
        }
        if (turn[n - 1] == 3 || cell == goal) {
            n--;
            continue;
        }
        Side d = (Side)((in[n - 1] + 3 + turn[n - 1]++) % 4); /* left, on, right */
        x = m->window.x0 + (int32_t)cell % m->w + side_dx(d);
        y = m->window.y0 + (int32_t)cell / m->w + side_dy(d);
        if (x < m->window.x0 || y < m->window.y0 || x > m->window.x1 || y > m->window.y1)
            continue;
        uint32_t next = cell_at(m, x, y);
        if (m->cell[next] || m->own[next] || m->stamp[4 * next] == m->search)
            continue;
        m->stamp[4 * next] = m->search;
        stack[n] = next;
        in[n] = (uint8_t)d;
        turn[n++] = 0;
    }
    return false;
}

/* All lanes along the left, then each drawn tight between the others. */
static bool leftmost_paths(Maze *m)
{
    enum { SWEEPS = 3 };
    size_t cells = (size_t)m->w * (size_t)m->h;
    Arena scratch = {0};
    uint32_t *stack = arena_array(&scratch, uint32_t, cells);
    uint8_t *in = arena_array(&scratch, uint8_t, cells),
            *turn = arena_array(&scratch, uint8_t, cells);
    memset(m->own, 0, cells * sizeof *m->own);
    memset(m->dear, 0, cells * sizeof *m->dear);
    bool good = true;
    for (uint32_t l = 0; l < m->lanes && good; l++) {
        good = leftmost_path(m, l, stack, in, turn);
        if (good)
            mark_path(m, l, true);
    }
    m->lane_price = BLOCKED;
    for (unsigned k = 0; k < SWEEPS * m->lanes && good; k++) {
        uint32_t l = k / m->lanes % 2 ? k % m->lanes : m->lanes - 1 - k % m->lanes;
        mark_path(m, l, false);
        if (*m->steps > 0)
            find_path(m, l); /* the way it has, if that fails */
        mark_path(m, l, true);
    }
    arena_free(&scratch);
    return good;
}

/* ---- pieces ---- */

void route_first_cell(const Ends *e, uint32_t lane, int32_t *x, int32_t *y)
{
    int32_t along = e->s_along + side_forward(e->ds);
    *x = side_horizontal(e->ds) ? along : e->s_cross[lane];
    *y = side_horizontal(e->ds) ? e->s_cross[lane] : along;
}

void route_last_cell(const Ends *e, uint32_t lane, int32_t *x, int32_t *y)
{
    *x = side_horizontal(e->de) ? e->e_along : e->e_cross[lane];
    *y = side_horizontal(e->de) ? e->e_cross[lane] : e->e_along;
}

static Side move_of(const LanePaths *m, uint32_t lane, uint32_t i)
{
    if (i == 0)
        return m->ends->ds;
    uint32_t a = m->path[lane][i - 1], b = m->path[lane][i];
    return b == a + 1 ? SIDE_E : b + 1 == a ? SIDE_W : b > a ? SIDE_S : SIDE_N;
}

/* One more piece in the direction in which most lanes go on, the others idle. Move i of a
 * lane leads to the cell i of its path; at[] is the move that is next. False if none is left.
 * The last run into the goal is kept for the piece that all end with. */
static bool next_side(const LanePaths *m, const uint32_t *at, const uint32_t *stop, Side *side)
{
    uint32_t votes[4] = {0};
    for (uint32_t l = 0; l < m->lanes; l++)
        if (at[l] < stop[l])
            votes[move_of(m, l, at[l])]++;
    *side = SIDE_N;
    for (Side d = SIDE_E; d <= SIDE_W; d++)
        if (votes[d] > votes[*side])
            *side = d;
    return votes[*side] > 0;
}

static uint32_t coordinate(const LanePaths *m, Side side, uint32_t cell)
{
    return (uint32_t)(side_horizontal(side) ? m->x0 + (int32_t)cell % m->w
                                            : m->y0 + (int32_t)cell / m->w);
}

typedef VEC(BundleSegment) SegmentVec;

static uint32_t *add_piece(const LanePaths *m, Arena *a, SegmentVec *all, Side side,
                           const uint32_t *at, const Stream *s)
{
    BundleSegment b = {side, arena_array(a, uint32_t, m->lanes)};
    for (uint32_t l = 0; l < m->lanes; l++) {
        if (at[l] > 0)
            b.to[l] = coordinate(m, side, m->path[l][at[l] - 1]);
        else
            b.to[l] = side_horizontal(side) ? s->start_x[l] : s->start_y[l];
    }
    vec_push(a, all, b);
    return b.to;
}

static void set_ends(Stream *s, const Ends *e, Arena *a)
{
    bool in = stream_enters(s);
    int32_t along = e->s_along + (in ? side_forward(e->ds) : 0);
    s->start_x = arena_array(a, uint32_t, e->n);
    s->start_y = arena_array(a, uint32_t, e->n);
    for (uint32_t l = 0; l < e->n; l++) {
        s->start_x[l] = (uint32_t)(side_horizontal(e->ds) ? along : e->s_cross[l]);
        s->start_y[l] = (uint32_t)(side_horizontal(e->ds) ? e->s_cross[l] : along);
    }
    s->port_y = NULL;
    s->port_side = in ? side_opposite(e->ds) : e->de;
    if (!stream_has_ports(s))
        return;
    s->port_y = arena_array(a, uint32_t, e->n);
    for (uint32_t l = 0; l < e->n; l++)
        s->port_y[l] = (uint32_t)(in ? e->s_cross[l] : e->e_cross[l]);
}

void route_set_paths(const LanePaths *m, Arena *a, Stream *s)
{
    Arena scratch = {0};
    set_ends(s, m->ends, a);
    const Ends *e = m->ends;
    s->n_segments = 0;
    if (m->length[0] == 0) /* the ends touch */
        return;
    uint32_t *at = arena_array(&scratch, uint32_t, m->lanes);
    uint32_t *stop = arena_array(&scratch, uint32_t, m->lanes);
    SegmentVec all = {0};
    bool given = stream_enters(s) || s->forks; /* the first router is the start itself */
    for (uint32_t l = 0; l < m->lanes; l++) {
        uint32_t n = m->length[l];
        if (s->forks) {
            s->start_x[l] = coordinate(m, SIDE_E, m->path[l][0]);
            s->start_y[l] = coordinate(m, SIDE_S, m->path[l][0]);
        }
        stop[l] = n;
        while (stop[l] > 1 && move_of(m, l, stop[l] - 1) == e->de)
            stop[l]--;
        /* A way that never turns is all first piece. */
        if (stop[l] == 1 && e->ds == e->de)
            stop[l] = n;
        at[l] = given ? 1 : 0;
    }
    Side side = e->ds;
    for (bool first = true; first || next_side(m, at, stop, &side); first = false) {
        uint32_t *to = add_piece(m, a, &all, side, at, s);
        for (uint32_t l = 0; l < m->lanes; l++)
            while (at[l] < stop[l] && move_of(m, l, at[l]) == side)
                to[l] = coordinate(m, side, m->path[l][at[l]++]);
    }
    /* Lanes that wind are told from bundles by their pieces: router_pieces(). */
    while (all.n <= MAX_TURNS)
        add_piece(m, a, &all, e->de, at, s);
    uint32_t *to = add_piece(m, a, &all, e->de, at, s);
    for (uint32_t l = 0; l < m->lanes; l++)
        if (m->length[l] > 0) /* kernels that touch have no router in between */
            to[l] = coordinate(m, e->de, m->path[l][m->length[l] - 1]);
    s->segments = all.data;
    s->n_segments = (uint32_t)all.n;
    arena_free(&scratch);
}

/* ---- streams ---- */

/* The colors to try: usable, not taken for good at the ends, fewest others in the window. */
static unsigned order_colors(const Maze *m, const Stream *s, const Pricing *at_ends,
                             uint32_t *colors)
{
    uint64_t met[32];
    uint32_t allowed = at_ends->colors & ~at_ends->hard;
    unsigned n = 0;
    memcpy(met, at_ends->shared, sizeof met);
    Meet near = meet_begin(m->r, m->window);
    for (const Taken *t; (t = meet_next(&near)) != NULL;)
        for (uint32_t c = 0; c < 32; c++)
            if (t->colors >> c & 1 && t->stream != (int32_t)s->id)
                met[c]++;
    for (uint32_t c = 0; c < 32; c++) {
        if (!(allowed >> c & 1))
            continue;
        unsigned i = n < MAX_COLORS_TRIED ? n++ : MAX_COLORS_TRIED;
        if (i == MAX_COLORS_TRIED && met[colors[i - 1]] <= met[c])
            continue;
        i = i == MAX_COLORS_TRIED ? i - 1 : i;
        for (; i > 0 && met[colors[i - 1]] > met[c]; i--)
            colors[i] = colors[i - 1];
        colors[i] = c;
    }
    return n;
}

static uint64_t mean_hops(const Stream *s, const Maze *m)
{
    uint64_t sum = 0;
    for (uint32_t l = 0; l < m->lanes; l++)
        sum += m->paths.length[l];
    return sum / m->lanes + TURN_CHARGE * (s->n_segments - 1);
}

bool route_maze(Router *r, Stream *s, uint64_t share, uint64_t below, Price *price)
{
    static const int32_t margins[] = {4, 32, 128, 1 << 20};
    enum { MARGINS = sizeof margins / sizeof margins[0], MAX_ENDS = 4 };
    Arena arena = {0};
    EndsVec ends = {0};
    int64_t most = STEPS + (int64_t)r->plan->streams.n * STEPS_A_STREAM;
    int64_t steps = r->index->maze_steps < most ? r->index->maze_steps : most, given = steps;
    bool found = false;
    route_ends(r, &arena, s, &ends);
    Pricing at_ends;
    pricing_begin(r, s, share, &at_ends);
    r->failure.mazes++;
    for (size_t i = 0; i < ends.n && i < MAX_ENDS; i++) {
        Maze m = {.r = r, .arena = &arena, .lanes = s->protocol.lanes};
        bool any = false;
        m.steps = &steps;
        m.paths = (LanePaths){.ends = &ends.data[i],
                              .lanes = m.lanes,
                              .path = arena_array(&arena, uint32_t *, m.lanes),
                              .length = arena_array(&arena, uint32_t, m.lanes)};
        for (unsigned k = 0; k < MARGINS && !any && steps > 0; k++) {
            if (!open_window(&m, margins[k] + (k < 3 ? (int32_t)m.lanes : 0)))
                break;
            price_links(&m, (int32_t)s->id, at_ends.words, share);
            uint32_t colors[MAX_COLORS_TRIED];
            unsigned n = order_colors(&m, s, &at_ends, colors);
            for (unsigned c = 0; c < n && steps > 0; c++) {
                price_color(&m, colors[c], s, share);
                if (!find_paths(&m) && (s->forks || steps <= 0 || !leftmost_paths(&m)))
                    continue;
                Stream try = *s;
                Price p;
                any = true;
                route_set_paths(&m.paths, r->arena, &try);
                uint64_t hops = mean_hops(&try, &m);
                if (hops >= below || !pricing_of(r, &try, &at_ends, share, below - hops, &p))
                    continue;
                below = hops + p.share;
                p.hops = hops;
                *price = p;
                *s = try;
                s->color = p.color;
                found = true;
                if (p.share == 0)
                    break;
            }
        }
    }
    r->index->maze_steps -= given - (steps > 0 ? steps : 0);
    arena_free(&arena);
    return found;
}
