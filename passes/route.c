/* SPDX-License-Identifier: Apache-2.0 */
/* passes/route.c - all streams of a placed plan, by negotiation.
 *
 * PathFinder (McMurchie, Ebeling: FPGA 1995). Every stream takes its cheapest way, in turn,
 * and may share what is full at a price. Where a router has more streams of a color than one,
 * or a link more words than the limit, the place gets a history that makes it dearer for
 * all, the price of sharing doubles, and the streams there are ripped up and routed anew, a
 * bounded number of rounds. Between the rounds colors are given anew to the ways as they are
 * (route_colors.c), so that no way has to move for a color's sake alone. Ways are bundles in
 * closed form; where those do not do, lanes go one by one (route_maze.c). What is
 * open after two rounds goes on with streams of one source in trees where there are ways for them
 * (route_trunks.c), which takes less of the links than a way for each. Small cases that stay open
 * are decided by trying everything (route_small.c); what a cut through the fabric shows to be
 * impossible is not tried at all (route_cut.c).
 *
 * Most plans are done after the first round, with nothing shared. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "passes/routing.h"

enum {
    ROUNDS = 32,
    STALE_ROUNDS = 8,
    PROGRESS = 8,
    FIRST_PRICE = 8,
    LAST_PRICE = 1 << 16,
    HISTORY = 4,
    STAYS = 8
};
enum { TREES = 2, MORE_TRACKS = 4, FEW = 64, FEW_OF = 16, WAYS = 20000, WAYS_A_STREAM = 60 };

typedef struct Negotiation {
    Router *r;
    uint32_t n;
    Stream **order;
    bool *troubled; /* by stream */
    uint64_t share;
    uint32_t round, n_troubled;
    bool hopeless;               /* some stream has no way at any price */
    const Stream *without_ports; /* of this round */
} Negotiation;

uint64_t stream_words(const Stream *s)
{
    return (uint64_t)protocol_words(&s->protocol) * protocol_messages(&s->protocol);
}

uint64_t plan_host_words(const Plan *plan)
{
    uint64_t words = 0;
    for (size_t i = 0; i < plan->streams.n; i++) {
        const Stream *s = plan->streams.data[i];
        const Protocol *p = &s->protocol;
        if (stream_has_ports(s))
            words += ((uint64_t)p->rows * p->cols * p->features * dtype_bytes(p->dtype) + 3) / 4;
    }
    return words;
}

uint64_t plan_target(const Plan *plan)
{
    Fraction f = plan->machine->host_words;
    uint64_t target = (plan_host_words(plan) * f.den + f.num - 1) / f.num;
    for (size_t i = 0; i < plan->kernels.n; i++)
        if (plan->kernels.data[i]->shape.cycles > target)
            target = plan->kernels.data[i]->shape.cycles;
    return target;
}

bool router_add_stream(Router *r, Stream *s, unsigned effort, uint32_t *cost)
{
    Price p;
    *cost = 0;
    if (router_lies(r, s)) /* with one that forks from it */
        return true;
    if (s->forks && !router_add_stream(r, s->trunk, effort, cost))
        return false;
    r->failure = (RouteFailure){.stream = s->id};
    if (!(s->forks ? route_maze(r, s, PRICE_NEVER, PRICE_NEVER, &p)
                   : route_ways(r, s, effort, PRICE_NEVER, PRICE_NEVER, &p)))
        return false;
    *cost = (uint32_t)p.hops;
    router_take_stream(r, s);
    return true;
}

static unsigned depth(const Stream *s)
{
    unsigned n = 0;
    for (; s->trunk; s = s->trunk)
        n++;
    return n;
}

/* Trunks before what goes on from them; wide bundles to and from the host first: ports are few. */
static int by_need(const void *a, const void *b)
{
    const Stream *p = *(Stream *const *)a, *q = *(Stream *const *)b;
    if (depth(p) != depth(q))
        return depth(p) < depth(q) ? -1 : 1;
    bool hp = stream_has_ports(p), hq = stream_has_ports(q);
    if (hp != hq)
        return hp ? -1 : 1;
    if (hp && p->protocol.lanes != q->protocol.lanes)
        return p->protocol.lanes > q->protocol.lanes ? -1 : 1;
    return p->id < q->id ? -1 : p->id > q->id;
}

/* The cheapest of lanes one by one: of a stream that forks, from all that lies of its tree. */
static bool choose_lanes(Negotiation *g, const Stream *s, uint64_t below, Stream *chosen)
{
    Router *r = g->r;
    Stream *t;
    Price p;
    Stream try = *s;
    if (!s->forks) {
        if (!route_maze(r, &try, g->share, below, &p))
            return false;
        *chosen = try;
        return true;
    }
    bool found = false;
    for (uint32_t i = 0; (t = route_tree(r->plan, stream_root(s), &i)) != NULL;) {
        if (!router_lies(r, t) || !stream_before(t, s))
            continue;
        try = *s;
        try.trunk = t;
        if (!route_maze(r, &try, g->share, below, &p))
            continue;
        below = p.hops + p.share;
        *chosen = try;
        found = true;
    }
    return found;
}

/* More turns and tracks, then lane by lane, only while something is shared, and at first only
 * if there is no way: most of what is shared sorts itself out in a few rounds. More turns for a
 * part of all, as without them a large case stays where it is; lane by lane only for a few, as
 * lanes of their own ways are in the way of bundles. */
static void choose(Negotiation *g, Stream *s)
{
    Router *r = g->r;
    Price best = {.share = PRICE_NEVER};
    r->failure.no_ports = false;
    bool found = false;
    Stream chosen = *s;
    bool few = g->round >= MORE_TRACKS && g->n_troubled <= FEW + g->n / FEW_OF;
    unsigned most = g->round == 0 ? 0 : few ? 2 : 1;
    for (unsigned effort = 0; effort <= (found ? most : 2) && best.share > 0; effort++) {
        Stream try = *s;
        Price p;
        if (route_ways(r, &try, effort, g->share, found ? best.hops + best.share : PRICE_NEVER,
                       &p)) {
            chosen = try;
            best = p;
            found = true;
        }
    }
    if (!g->hopeless && (!found || (best.share > 0 && few && g->n_troubled <= FEW)))
        found = choose_lanes(g, s, found ? best.hops + best.share : PRICE_NEVER, &chosen) || found;
    if (!found && s->trunk && !r->plan->programs_given) { /* its tree is in the way */
        s->trunk = NULL;
        s->forks = false;
        choose(g, s);
        return;
    }
    /* What the others do cannot be in the way of everything: only ports may come free, and the
     * rest of a tree may go elsewhere. */
    g->hopeless = g->hopeless || (!found && !r->failure.no_ports && !s->trunk);
    if (!found) {
        g->without_ports = r->failure.no_ports ? s : g->without_ports;
        return;
    }
    *s = chosen;
    router_take_stream(r, s);
}

static void rip_up(Negotiation *g, Stream *s)
{
    Stream *f;
    router_release(g->r, s);
    for (uint32_t i = 0; (f = route_forks(g->r->plan, s, &i)) != NULL;)
        rip_up(g, f);
}

/* A way that leaves the doors of those open that are to fork from its tree. */
static void choose_root(Negotiation *g, Stream *s)
{
    Router *r = g->r;
    const Stream *f;
    Arena scratch = {0};
    SlotVec doors = {0};
    Box own = route_door(r, s);
    for (uint32_t i = 0; (f = route_tree(r->plan, stream_root(s), &i)) != NULL;) {
        Box door = route_door(r, f);
        if (f == s || !f->forks || router_lies(r, f) || door.x1 < door.x0 || box_meet(door, own))
            continue;
        uint32_t slot = router_take(r, (Taken){door, UINT32_MAX, SIDE_RAMP, 0, -1, 0});
        vec_push(&scratch, &doors, slot);
    }
    choose(g, s);
    for (size_t i = 0; i < doors.n; i++)
        router_drop(r, doors.data[i]);
    arena_free(&scratch);
}

/* A stream and what forks from it: sinks join the tree one after the other. */
static void choose_tree(Negotiation *g, Stream *s)
{
    Stream *f;
    rip_up(g, s);
    choose_root(g, s);
    for (uint32_t i = 0; (f = route_tree(g->r->plan, stream_root(s), &i)) != NULL;)
        if (f->forks && f != s && !router_lies(g->r, f))
            choose_root(g, f);
}

/* A bound in work, not time: the same plan everywhere. */
static bool worked_enough(const Negotiation *g)
{
    return g->r->failure.ways > WAYS + (uint64_t)WAYS_A_STREAM * g->n;
}

static void reroute(Negotiation *g)
{
    g->without_ports = NULL;
    for (uint32_t i = 0; i < g->n; i++) {
        Stream *s = g->order[i];
        if (g->troubled[s->id] && !worked_enough(g) && !(g->round == 0 && router_lies(g->r, s)))
            choose_tree(g, s);
    }
}

/* ---- what is over-used ---- */

static void note_trouble(RouteFailure *f, RouteTrouble t)
{
    if (f->n_troubles < ROUTE_TROUBLES)
        f->trouble[f->n_troubles++] = t;
}

static void add_history(Router *r, Box box, uint32_t colors, Side side, uint32_t more)
{
    Meet m = meet_begin(r, (Box){box.x0, box.y0, box.x0, box.y0});
    for (const Taken *t; (t = meet_next(&m)) != NULL;) {
        if (t->history && t->colors == colors && t->side == side &&
            memcmp(&t->box, &box, sizeof box) == 0) {
            r->taken.data[t - r->taken.data].history += more;
            return;
        }
    }
    router_take(r, (Taken){box, colors, side, 0, -1, more});
}

static Box common(Box a, Box b)
{
    return (Box){a.x0 > b.x0 ? a.x0 : b.x0, a.y0 > b.y0 ? a.y0 : b.y0, a.x1 < b.x1 ? a.x1 : b.x1,
                 a.y1 < b.y1 ? a.y1 : b.y1};
}

typedef struct Wanted {
    Box box;
    uint32_t colors;
    Side side;
} Wanted;
typedef VEC(Wanted) WantedVec;

/* Places of a stream that it shares wrongly. A fixed part of it, in its kernels, is no less
 * wanted: the others have to go. */
static void stream_troubles(Negotiation *g, Arena *a, const Stream *s, WantedVec *wanted)
{
    Router *r = g->r;
    RouteFailure *f = &r->failure;
    const SlotVec *slots = &r->index->of_stream[s->id];
    uint64_t words = stream_words(s);
    words = words < r->limit ? words : r->limit;
    uint32_t crowd = 0;
    Box crowded = {0, 0, -1, -1};
    for (size_t i = 0; i < slots->n; i++) {
        Taken own = r->taken.data[slots->data[i]];
        bool fixed = i + (s->from != PLAN_HOST && !s->trunk) + (s->to != PLAN_HOST) >= slots->n;
        Meet m = meet_begin(r, own.box);
        for (const Taken *t; (t = meet_next(&m)) != NULL;) {
            if (t->history || t->stream == own.stream || !(t->colors & own.colors))
                continue;
            Wanted w = {common(t->box, own.box), own.colors, SIDE_RAMP};
            vec_push(a, wanted, w);
            crowded = w.box;
            crowd++;
        }
        Box at;
        uint64_t load =
            fixed ? 0 : router_most(r, own.box, own.side, own.stream, r->limit - words, &at);
        if (load > r->limit - words) {
            Wanted w = {at, 0, own.side};
            vec_push(a, wanted, w);
            g->troubled[s->id] = true;
            note_trouble(f, (RouteTrouble){s->id, at, own.side, load + stream_words(s), r->limit});
        }
    }
    if (crowd) {
        g->troubled[s->id] = true;
        note_trouble(f, (RouteTrouble){s->id, crowded, SIDE_RAMP, crowd + 1, 1});
    }
}

/* All that is over-used; how many streams are in trouble. */
static uint32_t find_troubles(Negotiation *g, Arena *a, WantedVec *wanted)
{
    Router *r = g->r;
    uint32_t n = 0;
    r->failure.n_troubles = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        Stream *s = g->order[i];
        g->troubled[s->id] = !router_lies(r, s);
        if (g->troubled[s->id])
            note_trouble(&r->failure, (RouteTrouble){s->id, {0, 0, -1, -1}, SIDE_RAMP, 0, 0});
        else
            stream_troubles(g, a, s, wanted);
        if (g->troubled[s->id] && n++ == 0)
            r->failure.stream = s->id;
    }
    r->failure.n_streams = n;
    return n;
}

/* Others that use a wanted link may be who can move, and a trunk lie in its branches' way. */
static void rouse_neighbors(Negotiation *g, const WantedVec *wanted)
{
    for (uint32_t i = 0; i < g->n; i++)
        for (const Stream *t = g->order[i]; g->troubled[t->id] && t->trunk; t = t->trunk)
            g->troubled[t->trunk->id] = true;
    for (size_t i = 0; i < wanted->n; i++) {
        const Wanted *w = &wanted->data[i];
        Meet m = meet_begin(g->r, w->box);
        for (const Taken *t; (t = meet_next(&m)) != NULL;)
            if (t->stream >= 0 && (w->colors ? (t->colors & w->colors) != 0 : t->side == w->side))
                g->troubled[t->stream] = true;
    }
}

static bool negotiate(Negotiation *g)
{
    Router *r = g->r;
    Arena a = {0};
    uint32_t least = UINT32_MAX, stale = 0;
    bool good = false;
    g->share = FIRST_PRICE;
    memset(g->troubled, true, g->n * sizeof *g->troubled);
    for (g->round = 0; g->round < ROUNDS && !good && stale < STALE_ROUNDS; g->round++) {
        if (g->round == TREES && !r->plan->programs_given) {
            router_forget(r);
            if (route_trunks(r))
                least = UINT32_MAX;
        }
        reroute(g);
        WantedVec wanted = {0};
        uint32_t n = find_troubles(g, &a, &wanted);
        if (n > 0) {
            route_colors(r);
            wanted.n = 0;
            n = find_troubles(g, &a, &wanted);
        }
        good = n == 0;
        if (g->hopeless || worked_enough(g))
            break;
        g->n_troubled = n;
        bool better = n < least - least / PROGRESS;
        stale = better ? 0 : stale + 1;
        least = better ? n : least;
        rouse_neighbors(g, &wanted);
        /* A few that always want the same: only a price that stays drives one of them away. */
        uint32_t more = stale > 1 && n <= FEW ? (uint32_t)g->share / STAYS : HISTORY;
        for (size_t i = 0; i < wanted.n; i++)
            add_history(r, wanted.data[i].box, wanted.data[i].colors, wanted.data[i].side, more);
        g->share = g->share < LAST_PRICE ? 2 * g->share : g->share;
    }
    r->failure.rounds = g->round;
    r->failure.no_ports = g->without_ports != NULL;
    if (g->without_ports)
        r->failure.stream = g->without_ports->id;
    router_forget(r);
    arena_free(&a);
    return good;
}

bool plan_route(Plan *plan, Arena *a, uint64_t limit, Router **router)
{
    Arena scratch = {0};
    Negotiation g = {.n = (uint32_t)plan->streams.n};
    Router *r = *router = g.r = router_create(a, plan, limit);
    if (!plan->programs_given)
        route_forget_trunks(plan);
    for (size_t i = 0; i < plan->kernels.n; i++)
        router_add_kernel(r, plan->kernels.data[i]);
    g.order = arena_array(&scratch, Stream *, g.n);
    g.troubled = arena_array(&scratch, bool, g.n);
    for (uint32_t i = 0; i < g.n; i++)
        g.order[i] = plan->streams.data[i];
    if (g.n)
        qsort(g.order, g.n, sizeof(Stream *), by_need);
    bool possible = !route_cut(r);
    bool good = possible && negotiate(&g);
    if (!good && !plan->programs_given)
        route_forget_trunks(plan);
    good = good || (possible && route_small(r, &r->failure.proved));
    if (good && !plan->programs_given)
        route_trunks(r);
    arena_free(&scratch);
    return good;
}

/* ---- the pass ---- */

static void explain_trouble(PassContext *cx, const RouteTrouble *t)
{
    static const char *const sides[] = {"north", "east", "south", "west"};
    const Stream *s = cx->plan->streams.data[t->stream];
    if (t->box.x1 < t->box.x0)
        diag_note(cx->diag, s->span, "stream '%s' of %u lanes: no way at all", s->name,
                  s->protocol.lanes);
    else if (t->side == SIDE_RAMP)
        diag_note(cx->diag, s->span,
                  "stream '%s' of %u lanes shares its color around (%d, %d) with %" PRIu64
                  " others: had none of the %u colors free",
                  s->name, s->protocol.lanes, t->box.x0, t->box.y0, t->demand - t->capacity,
                  cx->machine->colors - cx->machine->reserved_colors);
    else
        diag_note(cx->diag, s->span,
                  "stream '%s' of %u lanes: the link from (%d, %d) to the %s would carry %" PRIu64
                  " words a sample of the %" PRIu64 " it may",
                  s->name, s->protocol.lanes, t->box.x0, t->box.y0, sides[t->side], t->demand,
                  t->capacity);
}

static void explain_cut(PassContext *cx, const RouteCut *c)
{
    static const char *const lines[] = {"row", "column", "row", "column"};
    static const char *const sides[] = {"north", "east", "south", "west"};
    const Stream *s = cx->plan->streams.data[c->stream];
    if (c->words == 0) {
        diag_note(cx->diag, s->span,
                  "from %s %d to %d the %" PRIu64
                  " lanes of '%s' have to go %s, each over a link of "
                  "its own; links there: %" PRIu64 ": there is no solution",
                  lines[c->side], c->at, c->at + side_forward(c->side), c->lanes, s->name,
                  sides[c->side], c->links);
        return;
    }
    diag_note(cx->diag, s->span,
              "from %s %d to %d %" PRIu64 " lanes have to go %s, '%s' among them, with %" PRIu64
              " words a sample; links there: %" PRIu64 ", with room for %" PRIu64
              " words each and %" PRIu64 " lanes in all: there is no solution",
              lines[c->side], c->at, c->at + side_forward(c->side), c->lanes, sides[c->side],
              s->name, c->words, c->links, c->limit, c->room);
}

void route_explain(PassContext *cx, const RouteFailure *f)
{
    const Plan *plan = cx->plan;
    if (f->stream >= plan->streams.n)
        return;
    const Stream *s = plan->streams.data[f->stream];
    if (f->no_ports) {
        diag_note(cx->diag, s->span,
                  "stream '%s' needs %u host ports on one side; west has %u, east %u, and others "
                  "are in use",
                  s->name, s->protocol.lanes, plan->machine->ports_west, plan->machine->ports_east);
        return;
    }
    if (f->cut.lanes > 0) {
        explain_cut(cx, &f->cut);
        return;
    }
    for (uint32_t i = 0; i < f->n_troubles; i++)
        explain_trouble(cx, &f->trouble[i]);
    if (f->n_streams > f->n_troubles)
        diag_note(cx->diag, s->span, "%u streams in all have no way of their own", f->n_streams);
    diag_note(cx->diag, s->span,
              "tried: %u ways of bundles in %u rounds of rip-up, %u led over full links, %u over "
              "dead cores or where none of the %u colors is free; lane by lane %u times%s",
              f->ways, f->rounds, f->no_link, f->no_color,
              plan->machine->colors - plan->machine->reserved_colors, f->mazes,
              f->proved ? "; all that is possible: there is no solution" : "");
}

static bool check_queues(PassContext *cx)
{
    const Machine *m = cx->plan->machine;
    unsigned before = cx->diag->n_errors;
    for (size_t i = 0; i < cx->plan->kernels.n; i++) {
        const Kernel *k = cx->plan->kernels.data[i];
        /* A chain takes one queue in at a core and one out, the core that sends results has
         * no next link. */
        uint32_t chain = kernel_own_colors(k) ? 1 : 0;
        uint32_t sends = k->n_out - k->n_branches;
        uint32_t in = k->n_in + chain, out = sends > chain ? sends : chain;
        if (in > m->queues_in || out > m->queues_out)
            diag_infeasible(cx->diag, k->span,
                            "kernel '%s' needs %u incoming and %u outgoing queues on a core; the "
                            "machine has %u and %u",
                            k->name, in, out, m->queues_in, m->queues_out);
    }
    return cx->diag->n_errors == before;
}

/* What a kernel takes depends on how often it sends; trees are known only now. */
static Shape sender_shape(const Plan *plan, const Kernel *k)
{
    Arena scratch = {0};
    Protocol in[KERNEL_MAX_INPUTS];
    for (uint32_t j = 0; j < k->n_in; j++)
        in[j] = plan->streams.data[k->in[j]]->protocol;
    Shape shape = k->shape;
    if (k->n_out < 2 || !kernel_shape(&scratch, k, in, plan->machine, &shape))
        shape = k->shape;
    arena_free(&scratch);
    return shape;
}

uint64_t plan_routed_target(const Plan *plan)
{
    uint64_t worst = 0;
    for (size_t i = 0; i < plan->kernels.n; i++) {
        uint64_t cycles = sender_shape(plan, plan->kernels.data[i]).cycles;
        worst = cycles > worst ? cycles : worst;
    }
    return worst;
}

bool pass_route(PassContext *cx)
{
    Router *r = NULL;
    for (unsigned step = 0; step < 3; step++) {
        if (!plan_route(cx->plan, cx->arena, plan_link_limit(cx->plan, step), &r))
            continue;
        for (size_t i = 0; i < cx->plan->kernels.n && !cx->plan->programs_given; i++)
            cx->plan->kernels.data[i]->shape = sender_shape(cx->plan, cx->plan->kernels.data[i]);
        Box where = {0};
        Side side = SIDE_N;
        uint64_t peak = router_peak(r, &where, &side), target = plan_target(cx->plan);
        if (peak > target)
            cx->plan->why = arena_printf(cx->arena,
                                         "the fullest link, at (%d, %d), carries up to %" PRIu64
                                         " words a sample",
                                         where.x0, where.y0, peak);
        return check_queues(cx);
    }
    const Stream *s = cx->plan->streams.data[r->failure.stream];
    diag_infeasible(cx->diag, s->span, "stream '%s' cannot be routed", s->name);
    route_explain(cx, &r->failure);
    return false;
}
