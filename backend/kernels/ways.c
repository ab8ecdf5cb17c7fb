/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/ways.c - the ways of a finished image's streams, back from its routers.
 *
 * A router takes a color from one side only, so a lane is followed from where it ends to where
 * it begins, a straight run of equal routers at a time: up to the kernel that it leaves, its
 * port, or a router of its trunk. The turns of the lanes of a bundle are then put into one list
 * of straight segments in which every lane finds its own, in order; those that it has not are of
 * no length. Lanes x turns x rectangles of a stream. */
#include <string.h>

#include "backend/kernels/emit.h"
#include "backend/kernels/replan.h"

typedef struct Leg {
    Side side;   /* travel */
    uint32_t to; /* where it ends, along it */
} Leg;
typedef VEC(Leg) LegVec;
typedef VEC(const RouteRect *) RectVec;

typedef struct Tracer {
    Arena *arena, scratch;
    Diag *diag;
    const Image *image;
    Plan *plan;
    RectVec *of_stream;
} Tracer;

static bool covers(const Grid *g, int64_t x, int64_t y)
{
    int64_t dx = x - g->x, dy = y - g->y;
    return dx >= 0 && dy >= 0 && dx % g->sx == 0 && dy % g->sy == 0 && dx / g->sx < g->nx &&
           dy / g->sy < g->ny;
}

static const RouteRect *rect_at(const Tracer *t, const Stream *s, int64_t x, int64_t y)
{
    const RectVec *all = &t->of_stream[s->id];
    for (size_t i = 0; i < all->n; i++)
        if (covers(&all->data[i]->grid, x, y))
            return all->data[i];
    return NULL;
}

/* Routers from (x, y) to the border of the rectangle, itself included, if nothing lies between. */
static int64_t run(const Grid *g, Side side, int64_t x, int64_t y)
{
    if (side_dx(side) != 0)
        return g->sx > 1 && g->nx > 1 ? 1 : 1 + (side == SIDE_W ? x - g->x : g->x + g->nx - 1 - x);
    return g->sy > 1 && g->ny > 1 ? 1 : 1 + (side == SIDE_N ? y - g->y : g->y + g->ny - 1 - y);
}

static bool lost(const Tracer *t, const Stream *s)
{
    return diag_error(t->diag, s->span,
                      "the routers of stream '%s' do not lead from one of its ends to the other; "
                      "the image was not written by this version of wsec",
                      s->name);
}

/* A lane from its last router (x, y) back to where it begins; its legs, the last one first. */
static bool trace(Tracer *t, Stream *s, uint32_t lane, int64_t x, int64_t y, LegVec *legs)
{
    int32_t source = stream_source(s);
    const Kernel *from = source == PLAN_HOST || s->forks ? NULL : t->plan->kernels.data[source];
    const Machine *m = t->plan->machine;
    legs->n = 0;
    while (!(from && emit_in_region(from, x, y))) {
        const RouteRect *r = rect_at(t, s, x, y);
        if (!r && s->forks && rect_at(t, s->trunk, x, y))
            break;
        if (!r || r->in >= SIDE_RAMP)
            return lost(t, s);
        Side back = (Side)r->in, travel = side_opposite(back);
        int64_t n = run(&r->grid, back, x, y), from_x = x + side_dx(back) * n;
        int64_t from_y = y + side_dy(back) * n;
        bool enters = from_x < 0 || from_y < 0 || from_x >= m->width || from_y >= m->height;
        if (enters && (!stream_enters(s) || back != s->port_side))
            return lost(t, s);
        bool begins = enters && n == 1;
        uint32_t at = (uint32_t)(side_dx(travel) ? x : y);
        if (!begins && (legs->n == 0 || legs->data[legs->n - 1].side != travel))
            vec_push(&t->scratch, legs, ((Leg){travel, at}));
        x = from_x - (enters ? side_dx(back) : 0);
        y = from_y - (enters ? side_dy(back) : 0);
        if (enters)
            break;
    }
    s->start_x[lane] = (uint32_t)x;
    s->start_y[lane] = (uint32_t)y;
    return true;
}

/* Sides of which those of every lane are a part, in order. */
static void add_sides(Tracer *t, LegVec *sides, const LegVec *legs)
{
    size_t at = 0;
    for (size_t i = legs->n; i-- > 0; at++) {
        size_t k = at;
        while (k < sides->n && sides->data[k].side != legs->data[i].side)
            k++;
        if (k == sides->n) {
            vec_push(&t->scratch, sides, legs->data[i]);
            memmove(&sides->data[at + 1], &sides->data[at],
                    (sides->n - 1 - at) * sizeof *sides->data);
            sides->data[at] = legs->data[i];
        } else {
            at = k;
        }
    }
}

static void give_segments(Tracer *t, Stream *s, const LegVec *sides, const LegVec *legs)
{
    uint32_t lanes = s->protocol.lanes;
    s->n_segments = (uint32_t)sides->n;
    s->segments = arena_array(t->arena, BundleSegment, sides->n);
    for (size_t i = 0; i < sides->n; i++)
        s->segments[i] =
            (BundleSegment){sides->data[i].side, arena_array(t->arena, uint32_t, lanes)};
    for (uint32_t l = 0; l < lanes; l++) {
        uint32_t x = s->start_x[l], y = s->start_y[l];
        size_t left = legs[l].n;
        for (size_t i = 0; i < sides->n; i++) {
            uint32_t *at = side_dx(sides->data[i].side) ? &x : &y;
            if (left > 0 && legs[l].data[left - 1].side == sides->data[i].side)
                *at = legs[l].data[--left].to;
            s->segments[i].to[l] = *at;
        }
    }
}

static bool restore_ports(Tracer *t)
{
    uint32_t *lane = arena_array(&t->scratch, uint32_t, t->plan->streams.n);
    for (uint32_t i = 0; i < t->image->n_ports; i++) {
        const Port *p = &t->image->ports[i];
        Stream *s = p->stream < t->plan->streams.n ? t->plan->streams.data[p->stream] : NULL;
        if (!s || !stream_has_ports(s) || lane[s->id] == s->protocol.lanes)
            return diag_error(t->diag, (Span){0, 0, 0},
                              "a host port of the image belongs to no lane of a stream");
        if (!s->port_y)
            s->port_y = arena_array(t->arena, uint32_t, s->protocol.lanes);
        s->port_side = (Side)p->side;
        s->port_y[lane[s->id]++] = p->y;
        s->tensor = 0;
        for (uint32_t k = 0; k < p->tensor && k < t->image->n_tensors; k++)
            s->tensor += t->image->tensors[k].is_output == p->is_sink;
    }
    for (size_t i = 0; i < t->plan->streams.n; i++) {
        const Stream *s = t->plan->streams.data[i];
        if (stream_has_ports(s) && lane[i] < s->protocol.lanes)
            return lost(t, s);
    }
    return true;
}

static bool restore_stream(Tracer *t, Stream *s)
{
    const Kernel *to = s->to == PLAN_HOST ? NULL : t->plan->kernels.data[s->to];
    uint32_t lanes = s->protocol.lanes;
    LegVec *legs = arena_array(&t->scratch, LegVec, lanes), sides = {0};
    Edge in = {0};
    Side last = s->port_side;
    if (to) {
        kernel_edge_in(&t->scratch, to, s->to_input, &in);
        last = plan_side(to, in.travel);
    }
    s->start_x = arena_array(t->arena, uint32_t, lanes);
    s->start_y = arena_array(t->arena, uint32_t, lanes);
    for (uint32_t l = 0; l < lanes; l++) {
        uint32_t x = last == SIDE_W ? 0 : t->plan->machine->width - 1, y = to ? 0 : s->port_y[l];
        if (to)
            kernel_edge_place(to, &in, false, l, &x, &y);
        int64_t back_x = (int64_t)x - (to ? side_dx(last) : 0);
        int64_t back_y = (int64_t)y - (to ? side_dy(last) : 0);
        if (stream_enters(s) && (back_x < 0 || back_x >= t->plan->machine->width)) {
            s->start_x[l] = x; /* the port's router is the consumer's own */
            s->start_y[l] = y;
        } else if (!trace(t, s, l, back_x, back_y, &legs[l])) {
            return false;
        }
        add_sides(t, &sides, &legs[l]);
    }
    /* Without segments the port's router is the consumer's own; else there is one, of no length. */
    if (stream_enters(s) && sides.n == 0 && to && !emit_in_region(to, s->start_x[0], s->start_y[0]))
        vec_push(&t->scratch, &sides, ((Leg){last, 0}));
    give_segments(t, s, &sides, legs);
    return true;
}

/* Names for pictures: those of the host's tensors. */
static void restore_graph(Tracer *t)
{
    const Image *image = t->image;
    Graph *g = arena_new(t->arena, Graph);
    g->arena = t->arena;
    g->name = image->model;
    g->output_names = arena_array(t->arena, const char *, image->n_tensors);
    for (uint32_t i = 0; i < image->n_tensors; i++) {
        Node *n = arena_new(t->arena, Node);
        n->name = image->tensors[i].name;
        if (image->tensors[i].is_output)
            g->output_names[g->outputs.n] = n->name;
        vec_push(t->arena, image->tensors[i].is_output ? &g->outputs : &g->inputs, n);
    }
    t->plan->graph = g;
}

/* Rings are as long as the receiving cores have them. */
static void restore_rings(Tracer *t)
{
    for (uint32_t i = 0; i < t->image->n_cores; i++) {
        const CoreRect *r = &t->image->cores[i];
        const Class *c = &t->image->classes[r->class_id];
        const Kernel *k = t->plan->kernels.data[r->kernel];
        for (uint32_t n = 0; n < c->n_channels; n++)
            for (uint32_t j = 0; !c->channel_is_out[n] && j < k->n_in; j++) {
                Stream *s = t->plan->streams.data[k->in[j]];
                if (r->channels[n].color == (int32_t)s->color && r->channels[n].slots > s->slots)
                    s->slots = r->channels[n].slots;
            }
    }
}

bool kernels_restore_ways(Arena *a, Diag *d, const Image *image, Plan *plan)
{
    Tracer t = {.arena = a, .diag = d, .image = image, .plan = plan};
    t.of_stream = arena_array(&t.scratch, RectVec, plan->streams.n);
    for (uint32_t i = 0; i < image->n_routes; i++)
        if (image->routes[i].stream < plan->streams.n)
            vec_push(&t.scratch, &t.of_stream[image->routes[i].stream], &image->routes[i]);
    bool good = restore_ports(&t);
    for (size_t i = 0; good && i < plan->streams.n; i++)
        good = restore_stream(&t, plan->streams.data[i]);
    restore_graph(&t);
    restore_rings(&t);
    arena_free(&t.scratch);
    return good;
}
