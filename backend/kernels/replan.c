/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/replan.c - the inverse of emit.c, as far as moving kernels needs it.
 *
 * What a route belongs to follows from where it lies: routers of a kernel's own stream, and
 * those of its inputs within its region, move with the kernel; all others are a bundle's
 * and are made anew by emit_bundle(). A core's channel is known by kernel, direction and color, as
 * the streams of a kernel that meet in a core have different ones. Linear in rectangles times
 * the streams of a kernel. */
#include "backend/kernels/replan.h"

#include <string.h>

#include "backend/kernels/emit.h"

static bool mismatch(Diag *d, const Kernel *k, const char *what)
{
    return diag_error(d, k->span,
                      "kernel '%s': %s; the image was not written by this version of wsec", k->name,
                      what);
}

/* ---- image to plan ---- */

static Span origin_span(const Diag *d, uint32_t file, const Image *image, uint32_t origin)
{
    const Origin *o = &image->origins[origin];
    const Source *s = &d->sources[file - 1];
    if (o->line == 0 || o->line > s->n_lines)
        return (Span){0, 0, 0};
    uint64_t at = (uint64_t)s->line_begin[o->line - 1] + (o->column ? o->column - 1 : 0);
    return at < s->len ? (Span){file, (uint32_t)at, (uint32_t)at + 1} : (Span){0, 0, 0};
}

static Node *node_of(Arena *a, const StreamInfo *s)
{
    Node *n = arena_new(a, Node);
    n->type = (Type){(DType)s->dtype, 3, {s->rows, s->cols, s->features}};
    return n;
}

static bool restore_kernel(Arena *a, Diag *d, const KernelInfo *info, Kernel *k)
{
    uint32_t kind = 0;
    while (kind < KERNEL_KIND_COUNT && strcmp(kernel_kind_text((KernelKind)kind), info->kind) != 0)
        kind++;
    k->name = arena_strdup(a, info->name, strlen(info->name));
    k->kind = (KernelKind)kind;
    k->x = info->x;
    k->y = info->y;
    k->turn = info->turn;
    k->mirror = info->mirror;
    k->shape = (Shape){.lanes_in = info->lanes_in,
                       .lanes_out = info->lanes_out,
                       .split = info->split,
                       .w = info->turn % 2 ? info->h : info->w,
                       .h = info->turn % 2 ? info->w : info->h,
                       .cycles = info->cycles,
                       .bytes = info->bytes};
    const Shape *s = &k->shape;
    if (kind == KERNEL_KIND_COUNT)
        return mismatch(d, k, "its kind is unknown");
    uint32_t most = s->w > s->h ? s->w : s->h; /* lanes stand side by side */
    if (s->lanes_in < 1 || s->lanes_in > most || s->lanes_out < 1 || s->lanes_out > most ||
        s->split < 1 || s->split > most)
        return mismatch(d, k, "its lanes are out of range");
    return true;
}

static bool restore_stream(Diag *d, const Image *image, uint32_t id, Plan *plan, Stream *s)
{
    const StreamInfo *info = &image->streams[id];
    if (info->to != PLAN_HOST) {
        Kernel *k = plan->kernels.data[info->to];
        if (info->to_input >= KERNEL_MAX_INPUTS || k->in[info->to_input] != UINT32_MAX)
            return mismatch(d, k, "its inputs are not counted one by one");
        k->in[info->to_input] = id;
        k->n_in++;
    }
    if (info->from != PLAN_HOST) {
        Kernel *k = plan->kernels.data[info->from];
        if (k->n_out == KERNEL_MAX_OUTPUTS)
            return mismatch(d, k, "it has too many outputs");
        k->out[k->n_out++] = id;
        k->result = node_of(plan->arena, info);
    }
    s->name = info->name;
    s->from = info->from;
    s->to = info->to;
    s->to_input = info->to_input;
    s->color = info->color;
    s->slots = 1;
    s->protocol = (Protocol){.dtype = (DType)info->dtype,
                             .rows = info->rows,
                             .cols = info->cols,
                             .features = info->features,
                             .lanes = info->lanes,
                             .segs = info->segs};
    return true;
}

/* Streams that are branches of another one of their source. */
static bool restore_trunks(Diag *d, const Image *image, Plan *plan)
{
    for (size_t i = 0; i < plan->streams.n; i++) {
        Stream *s = plan->streams.data[i];
        uint32_t trunk = image->streams[i].trunk;
        if (trunk == 0)
            continue;
        Stream *t = trunk <= plan->streams.n ? plan->streams.data[trunk - 1] : NULL;
        uint32_t steps = 0; /* in no circle */
        for (uint32_t at = trunk; at && at <= plan->streams.n && steps <= plan->streams.n; steps++)
            at = image->streams[at - 1].trunk;
        if (!t || t->from != s->from || (t->to == PLAN_HOST && image->streams[i].forks == 0) ||
            t->color != s->color || t->protocol.lanes != s->protocol.lanes ||
            steps > plan->streams.n)
            return diag_error(d, s->span, "stream '%s' is a branch of none of its source", s->name);
        s->trunk = t;
        s->forks = image->streams[i].forks != 0;
        if (s->from != PLAN_HOST)
            plan->kernels.data[s->from]->n_branches++;
    }
    return true;
}

/* Lanes of the edge as the stream has them, and each within the region. */
static bool edge_fits(const Kernel *k, const Edge *e, const Stream *s)
{
    bool columns = e->travel == SIDE_N || e->travel == SIDE_S;
    for (uint32_t l = 0; l < e->lanes; l++)
        if (e->position[l] >= (columns ? k->shape.w : k->shape.h))
            return false;
    return e->lanes == s->protocol.lanes;
}

static bool kernel_fits(Diag *d, const Plan *plan, const Kernel *k)
{
    Arena scratch = {0};
    bool good = k->n_out > 0;
    for (uint32_t i = 0; good && i < k->n_in; i++)
        good = k->in[i] != UINT32_MAX;
    if (!good)
        return mismatch(d, k, "its inputs and outputs are not complete");
    Edge e;
    for (uint32_t i = 0; good && i < k->n_in; i++) {
        kernel_edge_in(&scratch, k, i, &e);
        good = edge_fits(k, &e, plan->streams.data[k->in[i]]);
    }
    kernel_edge_out(&scratch, k, &e);
    for (uint32_t i = 0; good && i < k->n_out; i++)
        good = edge_fits(k, &e, plan->streams.data[k->out[i]]);
    arena_free(&scratch);
    return good || mismatch(d, k, "its streams do not meet its region");
}

static bool is_own(const StreamInfo *s)
{
    return s->from != PLAN_HOST && s->from == s->to;
}

static bool protocol_good(const StreamInfo *s)
{
    return s->rows >= 1 && s->cols >= 1 && s->segs >= 1 && s->segs <= s->cols && s->features >= 1 &&
           s->lanes >= 1 && s->lanes <= s->features && s->rows <= TYPE_MAX_EXTENT &&
           s->cols <= TYPE_MAX_EXTENT && s->features <= TYPE_MAX_EXTENT &&
           (uint64_t)s->rows * s->cols <= TYPE_MAX_ELEMENTS / s->features;
}

bool kernels_replan(Arena *a, Diag *d, const Image *image, Plan *plan)
{
    uint32_t file = diag_add_source(d, image->source_name, image->source, image->source_len);
    uint32_t n_streams = 0;
    *plan = (Plan){.arena = a, .machine = &image->machine, .programs_given = true};
    for (uint32_t i = 0; i < image->n_kernels; i++) {
        Kernel *k = arena_new(a, Kernel);
        k->id = i;
        k->span = origin_span(d, file, image, image->kernels[i].origin);
        for (uint32_t n = 0; n < KERNEL_MAX_INPUTS; n++)
            k->in[n] = UINT32_MAX;
        vec_push(a, &plan->kernels, k);
        if (!restore_kernel(a, d, &image->kernels[i], k))
            return false;
    }
    while (n_streams < image->n_streams && !is_own(&image->streams[n_streams]))
        n_streams++;
    for (uint32_t i = 0; i < image->n_streams; i++) {
        const StreamInfo *info = &image->streams[i];
        Span at = origin_span(d, file, image, info->origin);
        if (!protocol_good(info) || is_own(info) != (i >= n_streams))
            return diag_error(d, at, "stream '%s' is not one that this version of wsec writes",
                              info->name);
        if (i >= n_streams) { /* partial sums: what they load links with follows from the type */
            plan->kernels.data[info->from]->anchor = node_of(a, info);
            continue;
        }
        Stream *s = arena_new(a, Stream);
        s->id = i;
        s->span = at;
        vec_push(a, &plan->streams, s);
        if (!restore_stream(d, image, i, plan, s))
            return false;
    }
    if (!restore_trunks(d, image, plan))
        return false;
    for (size_t i = 0; i < plan->kernels.n; i++)
        if (!kernel_fits(d, plan, plan->kernels.data[i]))
            return false;
    return true;
}

/* ---- plan to image ---- */

static bool within(const Grid *g, const KernelInfo *k)
{
    return g->x >= k->x && g->y >= k->y && g->x + (g->nx - 1) * g->sx < k->x + k->w &&
           g->y + (g->ny - 1) * g->sy < k->y + k->h;
}

/* A region on its way: turned by quarters, clockwise, then moved. */
typedef struct Move {
    const KernelInfo *from;
    const Kernel *to;
    uint32_t quarters;
} Move;

static Move move_of(const Image *image, const Plan *plan, uint32_t kernel)
{
    const KernelInfo *from = &image->kernels[kernel];
    const Kernel *to = plan->kernels.data[kernel];
    return (Move){from, to, (to->turn + 4 - from->turn) % 4};
}

/* By a quarter turn (x, y) of w x h cores goes to (h - 1 - y, x): rows become columns, from the
 * last to the first. */
static Grid move_grid(const Move *m, Grid g)
{
    uint32_t w = m->from->w, h = m->from->h;
    g.x -= m->from->x;
    g.y -= m->from->y;
    for (uint32_t i = 0; i < m->quarters; i++) {
        g = (Grid){h - 1 - (g.y + (g.ny - 1) * g.sy), g.x, g.ny, g.nx, g.sy, g.sx};
        uint32_t old = w;
        w = h;
        h = old;
    }
    g.x += m->to->x;
    g.y += m->to->y;
    return g;
}

static uint32_t move_side(const Move *m, uint32_t side)
{
    return side < SIDE_RAMP ? (side + m->quarters) % 4 : side;
}

/* The new i runs against the old j. What is affine over the grid begins at another corner. */
static void turn_rect(Arena *a, const Class *c, const Grid *before, CoreRect *r)
{
    int64_t last = (int64_t)before->ny - 1;
    Affine *data = arena_array(a, Affine, c->n_data);
    Init *inits = arena_array(a, Init, r->n_inits);
    for (uint32_t i = 0; i < c->n_data; i++) {
        const Affine *d = &r->data[i];
        int32_t against = (int32_t)(0 - (uint32_t)d->dj);
        data[i] = (Affine){(int32_t)(d->value + last * d->dj), against, d->di};
    }
    for (uint32_t i = 0; i < r->n_inits; i++) {
        const Init *n = &r->inits[i];
        int64_t against = (int64_t)(0 - (uint64_t)n->pitch_j);
        inits[i] = (Init){n->address, n->bytes, n->offset + (uint64_t)(last * n->pitch_j), against,
                          n->pitch_i};
    }
    r->data = data;
    r->inits = inits;
}

/* The new color of what was color `color` in this direction at the kernel's cores. */
static uint32_t new_color(const Image *image, const Plan *plan, const Kernel *k, bool out,
                          uint32_t color)
{
    for (uint32_t i = 0; i < (out ? k->n_out : k->n_in); i++) {
        uint32_t id = out ? k->out[i] : k->in[i];
        if (image->streams[id].color == color)
            return plan->streams.data[id]->color;
    }
    return color; /* the kernel's own */
}

static void move_cores(Emitter *e, const Image *image)
{
    for (uint32_t i = 0; i < image->n_cores; i++) {
        CoreRect r = image->cores[i];
        const Kernel *k = e->plan->kernels.data[r.kernel];
        const Class *c = &image->classes[r.class_id];
        Channel *channels = arena_array(e->arena, Channel, c->n_channels);
        for (uint32_t n = 0; n < c->n_channels; n++) {
            channels[n] = r.channels[n];
            if (channels[n].color >= 0)
                channels[n].color = (int32_t)new_color(image, e->plan, k, c->channel_is_out[n],
                                                       (uint32_t)channels[n].color);
        }
        r.channels = channels;
        Move m = move_of(image, e->plan, r.kernel);
        for (uint32_t q = 0; q < m.quarters; q++) {
            Grid g = r.grid;
            turn_rect(e->arena, c, &g, &r);
            r.grid = (Grid){g.x, g.y, g.ny, g.nx, g.sy, g.sx}; /* its place follows below */
        }
        r.grid = move_grid(&m, image->cores[i].grid);
        vec_push(e->arena, &e->cores, r);
    }
}

static void move_routes(Emitter *e, const Image *image)
{
    for (uint32_t i = 0; i < image->n_routes; i++) {
        RouteRect r = image->routes[i];
        const StreamInfo *s = &image->streams[r.stream];
        if (s->to == PLAN_HOST || !within(&r.grid, &image->kernels[s->to]))
            continue;
        Move m = move_of(image, e->plan, (uint32_t)s->to);
        uint32_t out = 0;
        for (uint32_t side = 0; side < SIDE_COUNT; side++)
            out |= (r.out >> side & 1) << move_side(&m, side);
        r.out = out;
        r.in = move_side(&m, r.in);
        r.grid = move_grid(&m, r.grid);
        if (!is_own(s))
            r.color = e->plan->streams.data[r.stream]->color;
        vec_push(e->arena, &e->routes, r);
    }
}

/* Ports of a stream stand in the order of its lanes. */
static bool move_ports(Emitter *e, const Image *image)
{
    uint32_t *lane = arena_array(e->arena, uint32_t, e->plan->streams.n);
    for (uint32_t i = 0; i < image->n_ports; i++) {
        Port p = image->ports[i];
        const Stream *s = p.stream < e->plan->streams.n ? e->plan->streams.data[p.stream] : NULL;
        if (!s || !s->port_y || lane[p.stream] == s->protocol.lanes)
            return diag_error(e->diag, (Span){0, 0, 0},
                              "a host port of the image belongs to no lane of a stream");
        p.side = s->port_side;
        p.y = s->port_y[lane[p.stream]++];
        p.color = s->color;
        vec_push(e->arena, &e->ports, p);
    }
    return true;
}

bool kernels_move(Arena *a, Diag *d, const Image *image, const Plan *plan, Image *result)
{
    Emitter *e = arena_new(a, Emitter);
    *e = (Emitter){.arena = a, .diag = d, .plan = plan};
    *result = *image;
    result->kernels = arena_array(a, KernelInfo, image->n_kernels);
    result->streams = arena_array(a, StreamInfo, image->n_streams);
    for (uint32_t i = 0; i < image->n_kernels; i++) {
        result->kernels[i] = image->kernels[i];
        result->kernels[i].x = plan->kernels.data[i]->x;
        result->kernels[i].y = plan->kernels.data[i]->y;
        result->kernels[i].turn = plan->kernels.data[i]->turn;
        plan_extent(plan->kernels.data[i], &result->kernels[i].w, &result->kernels[i].h);
    }
    for (uint32_t i = 0; i < image->n_streams; i++) {
        result->streams[i] = image->streams[i];
        if (i >= plan->streams.n)
            continue;
        const Stream *s = plan->streams.data[i];
        result->streams[i].color = s->color;
        result->streams[i].trunk = s->trunk ? s->trunk->id + 1 : 0; /* it may fork elsewhere now */
    }
    move_cores(e, image);
    move_routes(e, image);
    for (size_t i = 0; i < plan->streams.n; i++)
        if (!emit_bundle(e, plan->streams.data[i]))
            return false;
    if (!move_ports(e, image))
        return false;
    result->defects = plan->defects ? *plan->defects : (Defects){0};
    emit_rects(e, result);
    return true;
}
