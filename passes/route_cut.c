/* SPDX-License-Identifier: Apache-2.0 */
/* passes/route_cut.c - cuts through the fabric that too many lanes have to cross.
 *
 * A straight line over the whole fabric cuts every way between its sides (the easy half of the
 * max-flow min-cut theorem: Ford, Fulkerson 1956). Between two neighboring columns or rows there
 * are as many links in a direction as pairs of living routers; a link holds so many words and one
 * lane a color, so one of a stream. What has to cross is counted from below: a lane from the first
 * router behind its sender to the last one before its consumer; of the streams of one kernel, which
 * may become a tree, one lane in each direction; streams that enter or leave the fabric not at all,
 * as their ports are open. So what is found is infeasible, whatever would be tried; most of what is
 * infeasible is not found. Cost: lanes + hops + lines x dead boxes. */
#include <stdlib.h>
#include <string.h>

#include "passes/routing.h"

typedef struct Lines { /* between positions i and i + 1 along x or y, forward and backward */
    int32_t n;
    int64_t *lanes[2], *words[2]; /* differences, then sums */
    uint32_t *stream[2];          /* one that starts to cross there */
    int64_t *most[2], *own;       /* lanes of one sender; own: differences, scratch */
    uint32_t *sender[2];          /* a stream of that one */
} Lines;

/* A tree's lane at `from` with ends from `least` to `most`. */
static void add_lane(Lines *l, int32_t from, int32_t least, int32_t most, uint64_t words,
                     uint32_t stream)
{
    for (unsigned back = 0; back < 2; back++) {
        int32_t a = back ? least : from, b = back ? from : most;
        if (a >= b || a < 0 || b >= l->n)
            continue;
        l->lanes[back][a]++;
        l->lanes[back][b]--;
        l->words[back][a] += (int64_t)words;
        l->words[back][b] -= (int64_t)words;
        l->stream[back][a] = stream;
    }
}

/* Lanes of one sender have one color, so each takes a link of its own. */
static void add_most(Lines *l, const int32_t (*lane)[3], uint32_t lanes, uint32_t stream)
{
    for (unsigned back = 0; back < 2; back++) {
        int32_t first = l->n, last = 0;
        for (unsigned add = 0; add < 2; add++) { /* the second time takes it back */
            for (uint32_t i = 0; i < lanes; i++) {
                int32_t a = lane[i][1 - back], b = lane[i][2 - back];
                if (a >= b || a < 0 || b >= l->n)
                    continue;
                l->own[a] += add ? -1 : 1;
                l->own[b] -= add ? -1 : 1;
                first = a < first ? a : first;
                last = b > last ? b : last;
            }
            int64_t n = 0;
            for (int32_t at = first; add == 0 && at < last; at++) {
                n += l->own[at];
                if (n <= l->most[back][at])
                    continue;
                l->most[back][at] = n;
                l->sender[back][at] = stream;
            }
        }
    }
}

static bool touch(const Ends *e, uint32_t lane)
{
    return e->ds == e->de && e->s_along == e->e_along && e->s_cross[lane] == e->e_cross[lane];
}

/* Where a tree's lane starts, and the box of where it has to get to. */
typedef struct Reach {
    bool any;
    int32_t x, y;
    Box ends;
} Reach;

/* What one kernel sends. */
static void add_sender(Router *r, const Kernel *k, Lines *axis, uint64_t *least_words)
{
    Arena a = {0};
    uint32_t lanes = k->shape.lanes_out, stream = 0;
    Reach *reach = arena_array(&a, Reach, lanes);
    uint64_t words = r->limit;
    for (uint32_t o = 0; o < k->n_out; o++) {
        const Stream *s = r->plan->streams.data[k->out[o]];
        Ends e;
        if (s->trunk || s->to == PLAN_HOST || s->protocol.lanes != lanes ||
            !route_kernel_ends(r, &a, s, &e))
            continue;
        words = stream_words(s) < words ? stream_words(s) : words;
        stream = s->id;
        for (uint32_t l = 0; l < lanes; l++) {
            int32_t x, y;
            if (touch(&e, l))
                continue;
            route_last_cell(&e, l, &x, &y);
            Box end = {x, y, x, y};
            reach[l].ends = reach[l].any ? box_join(reach[l].ends, end) : end;
            reach[l].any = true;
            route_first_cell(&e, l, &reach[l].x, &reach[l].y);
        }
    }
    int32_t(*lane[2])[3]; /* the least, where it starts, the most */
    lane[0] = arena_alloc(&a, lanes, sizeof *lane[0], alignof(int32_t));
    lane[1] = arena_alloc(&a, lanes, sizeof *lane[1], alignof(int32_t));
    for (uint32_t l = 0; l < lanes; l++) {
        Reach at = reach[l];
        if (!at.any)
            continue;
        int32_t x[3] = {at.ends.x0, at.x, at.ends.x1}, y[3] = {at.ends.y0, at.y, at.ends.y1};
        memcpy(lane[0][l], x, sizeof x);
        memcpy(lane[1][l], y, sizeof y);
        add_lane(&axis[0], at.x, at.ends.x0, at.ends.x1, words, stream);
        add_lane(&axis[1], at.y, at.ends.y0, at.ends.y1, words, stream);
        *least_words = words < *least_words ? words : *least_words;
    }
    for (unsigned i = 0; i < 2 && r->plan->keepouts.n > 0; i++)
        add_most(&axis[i], (const int32_t(*)[3])lane[i], lanes, stream);
    arena_free(&a);
}

static int by_begin(const void *a, const void *b)
{
    const Box *p = a, *q = b;
    return p->x0 != q->x0 ? (p->x0 < q->x0 ? -1 : 1) : (p->x1 > q->x1) - (p->x1 < q->x1);
}

/* Links over the line behind column (or row) `at`: pairs of routers of which none is dead. */
static int64_t links_over(const Plan *plan, Arena *a, bool columns, int32_t at)
{
    int64_t n = columns ? plan->machine->height : plan->machine->width;
    int32_t end = -1;
    VEC(Box) dead = {0}; /* as x0 .. x1 along the line */
    for (size_t i = 0; i < plan->keepouts.n; i++) {
        const KeepOut *k = &plan->keepouts.data[i];
        int32_t x0 = (int32_t)(columns ? k->x : k->y), x1 = x0 + (int32_t)(columns ? k->w : k->h);
        int32_t y0 = (int32_t)(columns ? k->y : k->x), y1 = y0 + (int32_t)(columns ? k->h : k->w);
        Box b = {y0, 0, y1 - 1, 0};
        if (k->dead && x0 <= at + 1 && at < x1)
            vec_push(a, &dead, b);
    }
    if (dead.n)
        qsort(dead.data, dead.n, sizeof *dead.data, by_begin);
    for (size_t i = 0; i < dead.n; i++) {
        int32_t from = dead.data[i].x0 > end ? dead.data[i].x0 : end + 1;
        n -= dead.data[i].x1 >= from ? dead.data[i].x1 - from + 1 : 0;
        end = dead.data[i].x1 > end ? dead.data[i].x1 : end;
    }
    return n;
}

/* Looks along one axis for a line that is crossed by too many. */
static bool too_many(Router *r, const Lines *l, bool columns, uint64_t room, RouteCut *cut)
{
    Arena a = {0};
    for (unsigned back = 0; back < 2 && cut->lanes == 0; back++) {
        int64_t lanes = 0, words = 0;
        uint32_t stream = 0;
        for (int32_t at = 0; at + 1 < l->n && cut->lanes == 0; at++) {
            lanes += l->lanes[back][at];
            words += l->words[back][at];
            stream = l->stream[back][at] ? l->stream[back][at] : stream;
            if (lanes == 0 || (l->lanes[back][at] <= 0 && r->plan->keepouts.n == 0))
                continue;
            uint64_t links = (uint64_t)links_over(r->plan, &a, columns, at);
            Side side = columns ? (back ? SIDE_W : SIDE_E) : (back ? SIDE_N : SIDE_S);
            uint64_t most = (uint64_t)l->most[back][at];
            if (most > links)
                *cut = (RouteCut){.lanes = most,
                                  .links = links,
                                  .at = back ? at + 1 : at,
                                  .side = side,
                                  .stream = l->sender[back][at]};
            if (most > links ||
                ((uint64_t)lanes <= links * room && (uint64_t)words <= links * r->limit))
                continue;
            *cut = (RouteCut){(uint64_t)lanes, (uint64_t)words,    links, links * room,
                              r->limit,        back ? at + 1 : at, side,  stream};
        }
    }
    arena_free(&a);
    return cut->lanes > 0;
}

bool route_cut(Router *r)
{
    Arena a = {0};
    const Plan *plan = r->plan;
    const Machine *m = plan->machine;
    Lines axis[2] = {{.n = (int32_t)m->width}, {.n = (int32_t)m->height}};
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned back = 0; back < 2; back++) {
            axis[i].lanes[back] = arena_array(&a, int64_t, (size_t)axis[i].n);
            axis[i].words[back] = arena_array(&a, int64_t, (size_t)axis[i].n);
            axis[i].stream[back] = arena_array(&a, uint32_t, (size_t)axis[i].n);
            axis[i].most[back] = arena_array(&a, int64_t, (size_t)axis[i].n);
            axis[i].sender[back] = arena_array(&a, uint32_t, (size_t)axis[i].n);
        }
        axis[i].own = arena_array(&a, int64_t, (size_t)axis[i].n);
    }
    uint64_t least = UINT64_MAX, room = m->colors - m->reserved_colors;
    for (size_t i = 0; i < plan->kernels.n; i++)
        if (plan->kernels.data[i]->n_out > 0)
            add_sender(r, plan->kernels.data[i], axis, &least);
    if (least > 0 && r->limit / least < room)
        room = r->limit / least;
    RouteCut *cut = &r->failure.cut;
    bool found = too_many(r, &axis[0], true, room, cut) || too_many(r, &axis[1], false, room, cut);
    if (found) {
        r->failure.stream = cut->stream;
        r->failure.n_streams = 1;
        r->failure.proved = true;
        r->failure.no_link = cut->words > 0; /* a higher limit may help */
    }
    arena_free(&a);
    return found;
}
