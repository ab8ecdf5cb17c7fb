/* SPDX-License-Identifier: Apache-2.0 */
/* passes/kernel_model.c - our kernels as a cost model of the placement engine (passes/pack).
 *
 * A kernel's shapes come in families of one height and the same lanes in and out, which are
 * their signatures: all that are no slower than the plan is now, and as small if cores are to
 * be saved. What the rest of the plan does not let go below (the bound of the shapes, the
 * host) is the least time that counts. Kernels at the host keep their lanes there, pinned
 * ones their shape and place: they are keep-outs, and terminals of their streams. Around a
 * kernel there are tracks for its streams to turn while the fabric has room for that. Edges
 * weigh what arrange.c counts for a hop; the host is a terminal at the west side, at any
 * height. The plan as it stands, if all of it stands, is the engine's start. What comes back
 * are shapes and regions; adapters follow from the shapes, orientations are found on the
 * regions. Asked to begin anew, the engine chooses among all shapes that are no slower than some
 * time, at the host too, and looks for the least wire. O(shapes) a class beside what the engine
 * does. */
#include <stdlib.h>
#include <string.h>

#include "passes/arrange.h"

enum {
    LANE_WEIGHT = 4,
    STEPS = 1,          /* millions, if the user does not say */
    MOST_KERNELS = 1000 /* for which so few steps are of use */
};

#define WIRE                                                                                       \
    1e-3 /* what a hop of a lane is worth, in cycles; an adapter as much as all of them            \
          */

typedef struct Candidate {
    PackShape shape; /* with its tracks */
    uint32_t in, out;
    uint32_t of; /* the class's shape */
} Candidate;

/* One class of the engine's: kernels alike that have the same choice. */
typedef struct Group {
    Candidate *list; /* by family, then by width */
    uint32_t n, n_families;
    PackFamily *families;
    uint32_t *begin; /* of a family in the list; one more at the end */
    /* What the choice depends on. */
    const Kernel *kernel;
    const KernelClass *class_of; /* NULL: an adapter */
    const uint8_t *allowed;
    uint32_t in[2], out[2]; /* lanes, from and to */
    uint32_t current;
} Group;

typedef struct Model {
    Arena *arena;
    const Arrange *g;
    const PassContext *cx;
    const Sizing *z; /* NULL: shapes stay as they are */
    bool anew, full;
    EngineTracks tracks;
    uint64_t least, slowest; /* times that count, and that are offered */
    VEC(Group) groups;
    uint32_t *group_of; /* by kernel of the problem */
    uint32_t *kernel;   /* of the plan, by kernel of the problem */
    int32_t *moves;     /* the kernel of the problem, by kernel of the plan; -1: stands fixed */
    uint32_t n;
} Model;

static uint32_t families(const void *self, uint32_t class_index, const PackFamily **list)
{
    const Group *p = &((const Model *)self)->groups.data[class_index];
    *list = p->families;
    return p->n_families;
}

static bool shape(const void *self, uint32_t class_index, uint32_t family, double limit,
                  PackShape *result)
{
    const Group *p = &((const Model *)self)->groups.data[class_index];
    for (uint32_t i = p->begin[family]; i < p->begin[family + 1]; i++)
        if (p->list[i].shape.time <= limit) {
            *result = p->list[i].shape;
            return true;
        }
    return false;
}

/* ---- the shapes ---- */

static int by_family(const void *a, const void *b)
{
    const Candidate *x = a, *y = b;
    if (x->shape.h != y->shape.h)
        return x->shape.h < y->shape.h ? -1 : 1;
    if (x->in != y->in)
        return x->in < y->in ? -1 : 1;
    if (x->out != y->out)
        return x->out < y->out ? -1 : 1;
    if (x->shape.w != y->shape.w)
        return x->shape.w < y->shape.w ? -1 : 1;
    if (x->shape.time != y->shape.time)
        return x->shape.time < y->shape.time ? -1 : 1;
    return (x->of > y->of) - (x->of < y->of);
}

static bool at_host(const Plan *plan, const Kernel *k, bool in)
{
    for (uint32_t i = 0; i < (in ? k->n_in : k->n_out); i++) {
        const Stream *s = plan->streams.data[in ? k->in[i] : k->out[i]];
        if ((in ? s->from : s->to) == PLAN_HOST)
            return true;
    }
    return false;
}

/* With tracks for lanes that come and go to turn. */
static Candidate candidate(const Model *m, const Kernel *k, const Shape *s, uint32_t of)
{
    double least = (double)m->least, time = (double)s->cycles;
    Candidate c = {{(int32_t)s->w, (int32_t)s->h, time > least ? time : least, s->bytes},
                   s->lanes_in,
                   s->lanes_out,
                   of};
    bool matrix = kernel_is_matrix(k->kind), in = s->lanes_in < s->lanes_out;
    if (m->tracks == TRACKS_ALL && !matrix)
        c.shape.w += (int32_t)(s->lanes_in + s->lanes_out);
    if (!matrix || m->tracks == TRACKS_NONE ||
        (m->tracks == TRACKS_BETWEEN && at_host(m->g->plan, k, in)))
        return c;
    if (m->tracks == TRACKS_ALL || !in)
        c.shape.w += (int32_t)s->lanes_out;
    if (m->tracks == TRACKS_ALL || in)
        c.shape.h += (int32_t)s->lanes_in;
    return c;
}

static bool offered(const Model *m, const Group *p, uint32_t i)
{
    const Shape *s = &p->class_of->shapes.data[i];
    const Shape *now = &p->class_of->shapes.data[p->current];
    if (i == p->current && !m->anew)
        return true;
    return (!p->allowed || p->allowed[i]) && s->cycles <= m->slowest &&
           (m->full || (uint64_t)s->w * s->h <= (uint64_t)now->w * now->h) &&
           s->lanes_in >= p->in[0] && s->lanes_in <= p->in[1] && s->lanes_out >= p->out[0] &&
           s->lanes_out <= p->out[1];
}

/* Families with only the shapes that are faster the wider they are. */
static void make_families(Arena *a, Group *p)
{
    uint32_t n = 0;
    qsort(p->list, p->n, sizeof *p->list, by_family);
    p->families = arena_array(a, PackFamily, p->n);
    p->begin = arena_array(a, uint32_t, p->n + 1);
    for (uint32_t i = 0; i < p->n; i++) {
        Candidate c = p->list[i];
        bool same = n > 0 && p->list[n - 1].shape.h == c.shape.h && p->list[n - 1].in == c.in &&
                    p->list[n - 1].out == c.out;
        if (same && c.shape.time >= p->list[n - 1].shape.time)
            continue;
        if (!same) {
            p->begin[p->n_families] = n;
            p->families[p->n_families++] =
                (PackFamily){.h = c.shape.h, .in = {0, 0, c.in}, .out = {0, 0, c.out}};
        }
        p->list[n++] = c;
    }
    p->n = n;
    p->begin[p->n_families] = n;
}

static void fill_group(Model *m, Group *p)
{
    uint32_t most = p->class_of && !m->cx->options.latency ? (uint32_t)p->class_of->shapes.n : 1;
    p->list = arena_array(m->arena, Candidate, most);
    bool as_it_is = most == 1 && !m->anew;
    if (as_it_is)
        p->list[p->n++] = candidate(m, p->kernel, &p->kernel->shape, p->current);
    for (uint32_t i = 0; i < most && !as_it_is; i++)
        if (offered(m, p, i))
            p->list[p->n++] = candidate(m, p->kernel, &p->class_of->shapes.data[i], i);
    make_families(m->arena, p);
}

/* Lanes at the host: as they are, or as many as have ports. */
static void bind_lanes(const Model *m, uint32_t lanes[2], uint32_t now, uint32_t ports)
{
    if (!m->anew)
        lanes[0] = lanes[1] = now;
    else if (ports < lanes[1])
        lanes[1] = ports;
}

/* What the choice of a kernel's shapes depends on. */
static Group describe(const Model *m, const Kernel *k)
{
    const Plan *plan = m->g->plan;
    Group p = {.kernel = k, .in = {0, UINT32_MAX}, .out = {0, UINT32_MAX}};
    if (k->kind == KERNEL_ADAPTER || !m->z)
        return p;
    const Choice *c = &m->z->choice[k->id];
    p.class_of = c->class_of;
    p.allowed = c->allowed;
    p.current = m->anew ? 0 : c->chosen;
    for (uint32_t i = 0; i < k->n_in; i++) {
        bool joins = kernel_is_matrix(k->kind) && i > 0; /* the results */
        if (plan->streams.data[k->in[i]]->from == PLAN_HOST)
            bind_lanes(m, joins ? p.out : p.in, joins ? k->shape.lanes_out : k->shape.lanes_in,
                       m->z->in_lanes);
    }
    if (p.class_of->host_out)
        bind_lanes(m, p.out, k->shape.lanes_out, m->z->out_lanes);
    return p;
}

static void add_kernel(Model *m, uint32_t i)
{
    const Kernel *k = m->g->plan->kernels.data[m->kernel[i]];
    Group p = describe(m, k);
    for (uint32_t j = 0; p.class_of && j < m->groups.n; j++) {
        const Group *q = &m->groups.data[j];
        if (q->class_of == p.class_of && q->allowed == p.allowed && q->current == p.current &&
            memcmp(q->in, p.in, sizeof p.in) == 0 && memcmp(q->out, p.out, sizeof p.out) == 0) {
            m->group_of[i] = j;
            return;
        }
    }
    fill_group(m, &p);
    m->group_of[i] = (uint32_t)m->groups.n;
    vec_push(m->arena, &m->groups, p);
}

/* Tracks only where there is room for them. */
static void find_room(Model *m)
{
    const Machine *machine = m->g->plan->machine;
    uint64_t area = 0, all = (uint64_t)machine->width * machine->height;
    m->tracks = TRACKS_ALL;
    for (uint32_t i = 0; i < m->n; i++) {
        const Kernel *k = m->g->plan->kernels.data[m->kernel[i]];
        Candidate c = candidate(m, k, &k->shape, 0);
        area += (uint64_t)c.shape.w * (uint64_t)c.shape.h;
    }
    m->tracks = area * 2 < all ? TRACKS_ALL : TRACKS_NONE;
    m->full = (uint64_t)plan_cores(m->g->plan) * 2 > all;
}

/* ---- the problem ---- */

/* The problem's number of a kernel, a terminal's if it stands fixed. */
static uint32_t end_of(const Model *m, int32_t kernel)
{
    if (kernel == PLAN_HOST)
        return m->n;
    return m->moves[kernel] >= 0 ? (uint32_t)m->moves[kernel]
                                 : m->n + 1 + (uint32_t)(-1 - m->moves[kernel]);
}

static PackEdge *find_edges(const Model *m)
{
    const Plan *plan = m->g->plan;
    PackEdge *edges = arena_array(m->arena, PackEdge, plan->streams.n);
    for (size_t i = 0; i < plan->streams.n; i++) {
        const Stream *s = plan->streams.data[i];
        edges[i].from = end_of(m, s->from);
        edges[i].to = end_of(m, s->to);
        edges[i].weight = s->protocol.lanes + LANE_WEIGHT;
        edges[i].to_out = s->to != PLAN_HOST && s->to_input > 0 &&
                          kernel_is_matrix(plan->kernels.data[s->to]->kind);
    }
    return edges;
}

static PackRect rect_of(const Kernel *k)
{
    Box b = plan_box(k);
    return (PackRect){b.x0, b.y0, b.x1 - b.x0 + 1, b.y1 - b.y0 + 1};
}

/* The host, then what stands fixed. */
static void find_fixed(const Model *m, PackProblem *p)
{
    const Plan *plan = m->g->plan;
    PackTerminal *t = arena_array(m->arena, PackTerminal, 1 + m->g->n - m->n);
    PackRect *r = arena_array(m->arena, PackRect, plan->keepouts.n + m->g->n - m->n);
    t[p->n_terminals++] = (PackTerminal){.any_y = true};
    for (size_t i = 0; i < plan->keepouts.n; i++) {
        const KeepOut *o = &plan->keepouts.data[i];
        r[p->n_keepouts++] = (PackRect){(int32_t)o->x, (int32_t)o->y, (int32_t)o->w, (int32_t)o->h};
    }
    for (uint32_t i = 0; i < m->g->n; i++) {
        if (m->moves[i] >= 0)
            continue;
        PackRect at = rect_of(plan->kernels.data[i]);
        r[p->n_keepouts++] = at;
        t[p->n_terminals++] = (PackTerminal){.x = at.x + at.w / 2.0, .y = at.y + at.h / 2.0};
    }
    p->terminals = t;
    p->keepouts = r;
}

/* The plan as it stands; NULL if some of it does not. */
static const PackPlace *find_start(const Model *m)
{
    PackPlace *places = arena_array(m->arena, PackPlace, m->n);
    for (uint32_t i = 0; i < m->n; i++) {
        const Kernel *k = m->g->plan->kernels.data[m->kernel[i]];
        const Group *p = &m->groups.data[m->group_of[i]];
        if (!m->g->placed[k->id])
            return NULL;
        places[i] = (PackPlace){.x = (int32_t)k->x, .y = (int32_t)k->y, .turned = k->turn % 2};
        for (uint32_t f = 0; f < p->n_families; f++)
            for (uint32_t j = p->begin[f]; j < p->begin[f + 1]; j++)
                if (p->list[j].of == p->current) {
                    places[i].family = f;
                    places[i].shape = p->list[j].shape;
                }
        if (places[i].shape.w == 0) /* a family has a shape as narrow and faster */
            return NULL;
    }
    return places;
}

static void show_progress(void *self, const PackProgress *p)
{
    fprintf(self, "placement: %.1f s, score %.1f, no score is below %.1f\n", p->seconds, p->score,
            p->bound);
}

static void solve(Model *m, bool asked, PackResult *r)
{
    const Plan *plan = m->g->plan;
    const PassContext *cx = m->cx;
    PackModel model = {m, families, shape, NULL, NULL};
    PackProblem p = {.model = &model,
                     .w = (int32_t)plan->machine->width,
                     .h = (int32_t)plan->machine->height,
                     .n_classes = (uint32_t)m->groups.n,
                     .n_kernels = m->n,
                     .n_edges = (uint32_t)plan->streams.n,
                     .class_of = m->group_of,
                     .edges = find_edges(m),
                     .time = 1,
                     .wire = WIRE,
                     .adapter = (double)m->slowest};
    find_fixed(m, &p);
    PackOptions o = {.seed = cx->options.seed,
                     .seconds = asked ? cx->options.time_limit : 0,
                     .effort = asked ? cx->options.effort : STEPS,
                     .threads = cx->options.threads,
                     .start = find_start(m),
                     .progress = cx->options.progress ? show_progress : NULL,
                     .progress_self = cx->options.progress};
    pack_place(m->arena, &p, &o, r);
}

/* ---- the result ---- */

static void stand_at(const Model *m, Kernel *k, const PackPlace *p)
{
    k->x = (uint32_t)p->x;
    k->y = (uint32_t)p->y;
    k->turn = p->turned;
    k->mirror = k->mirror && m->g->plan->programs_given;
}

/* The problem's kernel that was the adapter of a stream, with a shape; -1: there was none. */
static int32_t adapter_before(const Model *m, const Kernel *const *was, const Kernel *k)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (was[i]->kind == KERNEL_ADAPTER && was[i]->in[0] == k->in[0] &&
            was[i]->shape.lanes_in == k->shape.lanes_in &&
            was[i]->shape.lanes_out == k->shape.lanes_out)
            return (int32_t)i;
    return -1;
}

/* Shapes, adapters, and all that has a place now. */
static Arrange *take(const Model *m, Arena *on, const PackPlace *places)
{
    Plan *plan = m->g->plan;
    const Kernel **was = arena_array(m->arena, const Kernel *, m->n);
    for (uint32_t i = 0; i < m->n; i++) {
        was[i] = plan->kernels.data[m->kernel[i]];
        const Group *p = &m->groups.data[m->group_of[i]];
        for (uint32_t j = p->begin[places[i].family]; p->class_of; j++)
            if (p->list[j].shape.w == places[i].shape.w) {
                m->z->choice[was[i]->id].chosen = p->list[j].of;
                break;
            }
    }
    if (plan->sizing)
        sizing_apply(plan->sizing);
    Arrange *g = arrange_create(on, plan);
    for (uint32_t i = 0; i < g->n; i++) {
        Kernel *k = plan->kernels.data[i];
        bool again = k->kind == KERNEL_ADAPTER && m->z;
        int32_t at = again ? adapter_before(m, was, k) : m->moves[i];
        if (at >= 0)
            stand_at(m, k, &places[at]);
        if (at >= 0 || k->pin)
            arrange_put(g, k);
    }
    return g;
}

static void begin(Model *m, Arena *a, const PassContext *cx, const Arrange *g)
{
    int32_t fixed = 0;
    *m = (Model){.arena = a, .g = g, .cx = cx, .z = g->plan->sizing};
    m->kernel = arena_array(a, uint32_t, g->n);
    m->group_of = arena_array(a, uint32_t, g->n);
    m->moves = arena_array(a, int32_t, g->n);
    for (uint32_t i = 0; i < g->n; i++) {
        m->moves[i] = g->plan->kernels.data[i]->pin ? --fixed : (int32_t)m->n;
        if (m->moves[i] >= 0)
            m->kernel[m->n++] = i;
    }
}

static Arrange *run(Model *m, Arena *on, bool asked)
{
    PackResult r;
    if (m->n < 2)
        return NULL;
    for (uint32_t i = 0; i < m->n; i++)
        add_kernel(m, i);
    for (size_t i = 0; i < m->groups.n; i++)
        if (m->groups.data[i].n == 0)
            return NULL;
    solve(m, asked, &r);
    return r.status == PACK_PLACED ? take(m, on, r.places) : NULL;
}

Arrange *place_by_engine(const PassContext *cx, Arena *on, const Arrange *g, bool asked)
{
    Arena a = {0};
    Model m;
    begin(&m, &a, cx, g);
    m.least = g->plan->shapes_bound;
    m.slowest = plan_target(g->plan);
    find_room(&m);
    Arrange *found = m.n <= MOST_KERNELS || asked ? run(&m, on, asked) : NULL;
    arena_free(&a);
    return found;
}

Arrange *place_anew(const PassContext *cx, Arena *on, const Arrange *g, uint64_t T,
                    EngineTracks tracks)
{
    Arena a = {0};
    Model m;
    begin(&m, &a, cx, g);
    m.anew = m.full = true;
    m.tracks = tracks;
    m.least = m.slowest = T;
    Arrange *found = run(&m, on, false);
    arena_free(&a);
    return found;
}
