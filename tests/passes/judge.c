/* SPDX-License-Identifier: Apache-2.0 */
/* tests/passes/judge.c - walks every lane of a plan router by router; see judge.h. */
#include "tests/passes/judge.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct Judge {
    Plan *plan;
    int32_t *user;   /* by router and color: stream + 1 */
    uint64_t *words; /* by router and side */
    uint8_t *users;  /* of the link */
    int16_t *kernel; /* by core: kernel + 1 */
    unsigned bad;
} Judge;

static bool judge_bad(Judge *j, const char *what, const char *name, int x, int y)
{
    if (j->bad++ < 5)
        printf("\n  %s: %s at (%d, %d)", what, name, x, y);
    return false;
}

static bool judge_router(Judge *j, const Stream *s, int x, int y)
{
    const Machine *m = j->plan->machine;
    if (x < 0 || y < 0 || x >= (int)m->width || y >= (int)m->height)
        return judge_bad(j, "off the fabric", s->name, x, y);
    for (size_t i = 0; i < j->plan->keepouts.n; i++)
        if (j->plan->keepouts.data[i].dead &&
            box_meet(keepout_box(&j->plan->keepouts.data[i]), (Box){x, y, x, y}))
            return judge_bad(j, "over a dead core", s->name, x, y);
    int32_t *at = &j->user[((size_t)y * m->width + (size_t)x) * m->colors + s->color];
    if (*at)
        return judge_bad(j, "router and color used twice", s->name, x, y);
    *at = (int32_t)s->id + 1;
    return true;
}

static void judge_link(Judge *j, const Stream *s, int x, int y, Side d)
{
    size_t at = ((size_t)y * j->plan->machine->width + (size_t)x) * 4 + d;
    j->words[at] += stream_words(s);
    j->users[at]++;
}

static void find_edge(Plan *p, const Kernel *k, int input, Edge *e)
{
    if (input < 0)
        kernel_edge_out(p->arena, k, e);
    else
        kernel_edge_in(p->arena, k, (uint32_t)input, e);
}

void edge_at(Plan *p, const Kernel *k, int input, uint32_t l, int *x, int *y, Side *travel)
{
    Edge e;
    find_edge(p, k, input, &e);
    uint32_t fx, fy;
    if (e.travel == SIDE_E)
        plan_to_fabric(k, input < 0 ? k->shape.w - 1 : 0, e.position[l], &fx, &fy);
    else
        plan_to_fabric(k, e.position[l], input < 0 ? k->shape.h - 1 : 0, &fx, &fy);
    *x = (int)fx;
    *y = (int)fy;
    *travel = plan_side(k, e.travel);
}

/* Is (x, y) on the lane's own way of a stream, outside of kernels at its ends? */
static bool on_way(const Stream *s, uint32_t l, int x, int y)
{
    int at[2] = {(int)s->start_x[l], (int)s->start_y[l]};
    bool found = stream_enters(s) && at[0] == x && at[1] == y;
    for (uint32_t i = 0; i < s->n_segments; i++) {
        Side d = s->segments[i].side;
        while (at[side_dx(d) == 0] != (int)s->segments[i].to[l]) {
            at[0] += side_dx(d);
            at[1] += side_dy(d);
            found = found || (at[0] == x && at[1] == y);
        }
    }
    return found;
}

static bool judge_lane(Judge *j, const Stream *s, uint32_t l)
{
    Plan *p = j->plan;
    int32_t source = stream_source(s);
    const Kernel *from = source == PLAN_HOST || s->forks ? NULL : p->kernels.data[source];
    const Kernel *to = s->to == PLAN_HOST ? NULL : p->kernels.data[s->to];
    int x = (int)s->start_x[l], y = (int)s->start_y[l], ex, ey, w = (int)p->machine->width;
    Side travel = s->port_side, enter = s->port_side;
    if (s->forks) {
        if (!on_way(s->trunk, l, x, y))
            return judge_bad(j, "forks from no router of its trunk", s->name, x, y);
    } else if (from) {
        edge_at(p, from, s->trunk ? (int)s->trunk->to_input : -1, l, &ex, &ey, &travel);
        Box b = plan_box(from);
        if (s->trunk) { /* straight on, out of the far side */
            ex = travel == SIDE_E ? b.x1 : travel == SIDE_W ? b.x0 : ex;
            ey = travel == SIDE_S ? b.y1 : travel == SIDE_N ? b.y0 : ey;
        }
        if (x != ex || y != ey)
            return judge_bad(j, "starts elsewhere", s->name, x, y);
    } else if (y != (int)s->port_y[l] || x != (s->port_side == SIDE_W ? 0 : w - 1)) {
        return judge_bad(j, "starts at another port", s->name, x, y);
    }
    if (to)
        edge_at(p, to, (int)s->to_input, l, &ex, &ey, &enter);
    bool own = from != NULL; /* still in the core that sends */
    if ((own || s->n_segments) && !s->trunk && !judge_router(j, s, x, y))
        return false;
    for (uint32_t i = 0; i < s->n_segments; i++) {
        Side d = s->segments[i].side;
        for (int goal = (int)s->segments[i].to[l]; (side_dx(d) ? x : y) != goal;) {
            if (own && d != travel)
                return judge_bad(j, "leaves by another side", s->name, x, y);
            own = false;
            judge_link(j, s, x, y, d);
            x += side_dx(d);
            y += side_dy(d);
            if (!judge_router(j, s, x, y))
                return false;
            int16_t on = j->kernel[(size_t)y * p->machine->width + (size_t)x];
            const Kernel *o = on ? p->kernels.data[on - 1] : NULL;
            if (o && (o == from || o == to || kernel_own_colors(o) >> s->color & 1))
                return judge_bad(j, "over a kernel that has its color", s->name, x, y);
        }
    }
    if (!to)
        return (x == (s->port_side == SIDE_W ? 0 : w - 1) && y == (int)s->port_y[l]) ||
               judge_bad(j, "ends at another port", s->name, x, y);
    if (stream_enters(s) && s->n_segments == 0)
        return (x == ex && y == ey) || judge_bad(j, "port is not at the kernel", s->name, x, y);
    judge_link(j, s, x, y, enter);
    return (x + side_dx(enter) == ex && y + side_dy(enter) == ey) ||
           judge_bad(j, "ends elsewhere", s->name, x, y);
}

/* Each port has one lane, a side no more than there are, lane 0 the leftmost. */
static void judge_ports(Judge *j)
{
    Plan *p = j->plan;
    for (unsigned side = 0; side < 2; side++) {
        Side at = side ? SIDE_E : SIDE_W;
        uint32_t used = 0, most = side ? p->machine->ports_east : p->machine->ports_west;
        bool *row = calloc(p->machine->height, sizeof *row);
        for (size_t i = 0; i < p->streams.n; i++) {
            const Stream *s = p->streams.data[i];
            for (uint32_t l = 0; s->port_y && s->port_side == at && l < s->protocol.lanes; l++) {
                uint32_t y = s->port_y[l];
                bool down = side == (s->to == PLAN_HOST); /* travelling east */
                if (row[y])
                    judge_bad(j, "port used twice", s->name, side ? (int)p->machine->width : -1,
                              (int)y);
                if (l > 0 && (y > s->port_y[l - 1]) != down)
                    judge_bad(j, "ports out of order", s->name, side ? (int)p->machine->width : -1,
                              (int)y);
                row[y] = true;
                used++;
            }
        }
        if (used > most)
            judge_bad(j, "too many ports", "-", (int)used, (int)most);
        free(row);
    }
}

/* Regions and the map of them. */
static void judge_regions(Judge *j)
{
    Plan *p = j->plan;
    const Machine *m = p->machine;
    for (size_t i = 0; i < p->kernels.n; i++) {
        const Kernel *k = p->kernels.data[i];
        Box b = plan_box(k);
        if (b.x0 < 0 || b.y0 < 0 || b.x1 >= (int)m->width || b.y1 >= (int)m->height) {
            judge_bad(j, "region off the fabric", k->name, b.x0, b.y0);
            continue;
        }
        for (size_t o = 0; o < p->keepouts.n; o++)
            if (box_meet(b, keepout_box(&p->keepouts.data[o])))
                judge_bad(j, "region on a keep-out", k->name, b.x0, b.y0);
        if (k->pin && (k->pin->x != k->x || k->pin->y != k->y))
            judge_bad(j, "not where it is pinned", k->name, b.x0, b.y0);
        for (int y = b.y0; y <= b.y1; y++) {
            for (int x = b.x0; x <= b.x1; x++) {
                int16_t *at = &j->kernel[(size_t)y * m->width + (size_t)x];
                if (*at)
                    judge_bad(j, "regions overlap", k->name, x, y);
                *at = (int16_t)(i + 1);
            }
        }
    }
}

/* Both edges have its lanes; the first piece leaves straight and the last one arrives so. */
static bool judge_ends(Judge *j, const Stream *s)
{
    Plan *p = j->plan;
    int32_t source = stream_source(s);
    uint32_t lanes = s->forks ? s->trunk->protocol.lanes : s->protocol.lanes;
    Side leave = side_opposite(s->port_side), enter = s->port_side;
    Edge e = {.lanes = s->protocol.lanes};
    if (source != PLAN_HOST && !s->forks) {
        const Kernel *from = p->kernels.data[source];
        find_edge(p, from, s->trunk ? (int)s->trunk->to_input : -1, &e);
        leave = plan_side(from, e.travel);
        lanes = e.lanes;
    }
    if (s->to != PLAN_HOST) {
        find_edge(p, p->kernels.data[s->to], (int)s->to_input, &e);
        enter = plan_side(p->kernels.data[s->to], e.travel);
    }
    if (lanes != s->protocol.lanes || (s->to != PLAN_HOST && e.lanes != s->protocol.lanes))
        return judge_bad(j, "lanes differ", s->name, (int)lanes, (int)s->protocol.lanes);
    if (s->n_segments && !s->forks && s->segments[0].side != leave)
        return judge_bad(j, "leaves by another side", s->name, 0, 0);
    if (s->n_segments && s->segments[s->n_segments - 1].side != enter)
        return judge_bad(j, "arrives by another side", s->name, 0, 0);
    return true;
}

static void judge_stream(Judge *j, const Stream *s)
{
    Plan *p = j->plan;
    if (s->trunk && (s->color != s->trunk->color || s->from != s->trunk->from))
        judge_bad(j, "goes on as another one", s->name, 0, 0);
    if (s->color >= p->machine->colors - p->machine->reserved_colors) {
        judge_bad(j, "no such color", s->name, 0, 0);
        return;
    }
    for (unsigned end = 0; end < 2; end++) {
        int32_t at = end ? s->to : s->from;
        if (at != PLAN_HOST && kernel_own_colors(p->kernels.data[at]) >> s->color & 1)
            judge_bad(j, "an own color of its kernel", s->name, 0, 0);
    }
    if (!judge_ends(j, s))
        return;
    for (uint32_t l = 0; l < s->protocol.lanes; l++)
        judge_lane(j, s, l);
    if (s->to == PLAN_HOST)
        return;
    Box b = plan_box(p->kernels.data[s->to]);
    for (int y = b.y0; y <= b.y1; y++)
        for (int x = b.x0; x <= b.x1; x++)
            judge_router(j, s, x, y);
}

bool judged_good(Plan *p, uint64_t limit)
{
    size_t cores = (size_t)p->machine->width * p->machine->height;
    Judge j = {.plan = p};
    j.user = calloc(cores * p->machine->colors, sizeof *j.user);
    j.words = calloc(cores * 4, sizeof *j.words);
    j.users = calloc(cores * 4, sizeof *j.users);
    j.kernel = calloc(cores, sizeof *j.kernel);
    judge_regions(&j);
    for (size_t i = 0; i < p->streams.n && j.bad == 0; i++)
        judge_stream(&j, p->streams.data[i]);
    judge_ports(&j);
    for (size_t i = 0; i < cores * 4; i++)
        if (j.words[i] > limit && j.users[i] > 1)
            judge_bad(&j, "link too full", "-", (int)(i / 4 % p->machine->width),
                      (int)(i / 4 / p->machine->width));
    free(j.user);
    free(j.words);
    free(j.users);
    free(j.kernel);
    return j.bad == 0;
}
