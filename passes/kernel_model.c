/* SPDX-License-Identifier: Apache-2.0 */
/* passes/kernel_model.c - our kernels as a cost model of the placement engine (passes/pack).
 *
 * Shapes are chosen (choose.c), so every kernel is a class with one family of one shape: its
 * region and, while the fabric has room for that, tracks for its streams to turn at the edges
 * where they enter and leave. Edges weigh what arrange.c counts for a hop; the host is a
 * terminal at the west side, at any height. What comes back are regions; orientations are
 * found on them. */
#include "passes/arrange.h"

enum { LANE_WEIGHT = 4, MOST_KERNELS = 400, STEPS = 1 /* millions */ };

typedef struct Model {
    PackFamily *family; /* by kernel */
    PackShape *shape;
} Model;

static uint32_t families(const void *self, uint32_t class_index, const PackFamily **list)
{
    const Model *m = self;
    *list = &m->family[class_index];
    return 1;
}

static bool shape(const void *self, uint32_t class_index, uint32_t family, double limit,
                  PackShape *result)
{
    const Model *m = self;
    (void)family;
    *result = m->shape[class_index];
    return result->time <= limit;
}

/* Tracks that a kernel's inputs and results may need to turn. */
static void margins(const Arrange *g, const Kernel *k, int32_t *w, int32_t *h)
{
    int32_t in = 0, out = 0;
    for (uint32_t i = 0; i < k->n_in; i++)
        in = (int32_t)g->room[k->in[i]] > in ? (int32_t)g->room[k->in[i]] : in;
    for (uint32_t i = 0; i < k->n_out; i++)
        out = (int32_t)g->room[k->out[i]] > out ? (int32_t)g->room[k->out[i]] : out;
    bool matrix = k->kind == KERNEL_MATVEC || k->kind == KERNEL_CONV;
    *w += matrix ? out : in + out;
    *h += matrix ? in : 0;
}

static void find_shapes(const Arrange *g, Model *m)
{
    const Machine *machine = g->plan->machine;
    uint64_t area = 0;
    for (unsigned bare = 0; bare < 2; bare++) {
        for (uint32_t i = 0; i < g->n; i++) {
            const Kernel *k = g->plan->kernels.data[i];
            int32_t w = (int32_t)k->shape.w, h = (int32_t)k->shape.h;
            if (!bare)
                margins(g, k, &w, &h);
            m->shape[i] = (PackShape){w, h, 1, k->shape.bytes};
            m->family[i] = (PackFamily){.h = h};
            area += (uint64_t)w * (uint64_t)h;
        }
        if (area * 2 < (uint64_t)machine->width * machine->height)
            break;
    }
}

static PackEdge *find_edges(const Arrange *g, Arena *a)
{
    PackEdge *edges = arena_array(a, PackEdge, g->plan->streams.n);
    for (size_t i = 0; i < g->plan->streams.n; i++) {
        const Stream *s = g->plan->streams.data[i];
        edges[i].from = s->from == PLAN_HOST ? g->n : (uint32_t)s->from;
        edges[i].to = s->to == PLAN_HOST ? g->n : (uint32_t)s->to;
        edges[i].weight = s->protocol.lanes + LANE_WEIGHT;
    }
    return edges;
}

static void show_progress(void *self, const PackProgress *p)
{
    fprintf(self, "placement: %.1f s, score %.1f, no score is below %.1f\n", p->seconds, p->score,
            p->bound);
}

bool place_by_engine(const PassContext *cx, Arrange *g)
{
    Plan *plan = g->plan;
    if (g->n < 2 || g->n > MOST_KERNELS)
        return false;
    Arena a = {0};
    Model m = {arena_array(&a, PackFamily, g->n), arena_array(&a, PackShape, g->n)};
    find_shapes(g, &m);
    PackModel model = {&m, families, shape};
    PackTerminal host = {.x = 0, .any_y = true};
    uint32_t *class_of = arena_array(&a, uint32_t, g->n);
    PackRect *keepouts = arena_array(&a, PackRect, plan->keepouts.n);
    for (uint32_t i = 0; i < g->n; i++)
        class_of[i] = i;
    for (size_t i = 0; i < plan->keepouts.n; i++) {
        const KeepOut *o = &plan->keepouts.data[i];
        keepouts[i] = (PackRect){(int32_t)o->x, (int32_t)o->y, (int32_t)o->w, (int32_t)o->h};
    }
    PackProblem p = {.model = &model,
                     .w = (int32_t)plan->machine->width,
                     .h = (int32_t)plan->machine->height,
                     .n_classes = g->n,
                     .n_kernels = g->n,
                     .n_edges = (uint32_t)plan->streams.n,
                     .n_terminals = 1,
                     .n_keepouts = (uint32_t)plan->keepouts.n,
                     .class_of = class_of,
                     .edges = find_edges(g, &a),
                     .terminals = &host,
                     .keepouts = keepouts,
                     .time = 1,
                     .wire = 1e-3};
    PackOptions o = {.seed = cx->options.seed,
                     .seconds = cx->options.time_limit,
                     .effort = cx->options.effort           ? cx->options.effort
                               : cx->options.time_limit > 0 ? 0
                                                            : STEPS,
                     .threads = cx->options.threads,
                     .progress = cx->options.progress ? show_progress : NULL,
                     .progress_self = cx->options.progress};
    PackResult r;
    pack_place(&a, &p, &o, &r);
    for (uint32_t i = 0; r.status == PACK_PLACED && i < g->n; i++) {
        Kernel *k = plan->kernels.data[i];
        k->x = (uint32_t)r.places[i].x;
        k->y = (uint32_t)r.places[i].y;
        k->turn = r.places[i].turned;
        k->mirror = k->mirror && plan->programs_given;
        arrange_put(g, k);
    }
    arena_free(&a);
    return r.status == PACK_PLACED;
}
