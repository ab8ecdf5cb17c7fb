// SPDX-License-Identifier: Apache-2.0
// runtime/period.c - finds out that a component repeats, and jumps ahead.
//
// At the end of every cycle in which the reference finished a sample, the state of the
// component is listed relative to that cycle: where every program stands, when its core is
// free, what every receiver holds and has released, when links are free, and all events
// pending. The loop is a function of just that list, so if two lists are equal everything
// between them repeats, as long as no node reaches its last sample. Parts that share nothing
// but links may have finished different numbers of samples in between. The earlier list that
// is compared against is replaced at powers of two (Brent, BIT 1980), so a period is found
// after at most about three times its length and the fill.
//
// Three values are clamped: a release, and when a link is free or passed, count as now if they
// are in the past. They only enter maxima with times that are not before now (see engine.c).
//
// A comparison stops at the first difference; a full list costs about as much as the
// operations of a sample.
#include <stdlib.h>

#include "runtime/engine_internal.h"

struct Period {
    uint64_t *state; // the earlier list
    size_t n, cap;
    uint64_t cycle; // of it
    uint64_t boundaries, next_save;
    // counters at that time, by node and by route of the whole simulation
    uint64_t *iteration, *busy, *operations, *words;
};

typedef struct Lister {
    Period *p;
    bool saving; // else comparing
    size_t at;
} Lister;

Period *period_create(Sim *sim)
{
    Period *p = arena_new(sim->arena, Period);
    p->next_save = 1;
    p->iteration = arena_array(sim->arena, uint64_t, sim->n_nodes);
    p->busy = arena_array(sim->arena, uint64_t, sim->n_nodes);
    p->operations = arena_array(sim->arena, uint64_t, sim->n_nodes);
    p->words = arena_array(sim->arena, uint64_t, sim->fabric->n_routes);
    return p;
}

void period_free(Period *p)
{
    if (p) {
        free(p->state);
        p->state = NULL;
    }
}

// Adds an item to the list, or compares it. False at a difference.
static bool item(Lister *l, uint64_t value)
{
    Period *p = l->p;

    if (!l->saving)
        return l->at < p->n && p->state[l->at++] == value;
    if (p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 4096;
        uint64_t *grown = realloc(p->state, cap * sizeof *grown);
        if (!grown)
            abort(); // as arenas do
        p->state = grown;
        p->cap = cap;
    }
    p->state[p->n++] = value;
    return true;
}

static uint64_t not_before(uint64_t time, uint64_t now)
{
    return time > now ? time - now : 0;
}

static bool list_receiver(Lister *l, const SimReceiver *r, uint64_t now)
{
    uint32_t at = r->take;

    if (!item(l, r->outstanding) || !item(l, r->queued))
        return false;
    for (uint32_t k = 0; k < r->window; k++, at = at + 1 == r->window ? 0 : at + 1) {
        const Place *m = &r->places[at];
        if (k < r->queued) { // arrived; heads may be in the past
            if (!item(l, m->head - now) || !item(l, m->tail - now) || !item(l, m->words))
                return false;
        } else if (k >= r->outstanding) {
            if (!item(l, not_before(m->head, now)))
                return false;
        }
    }
    return true;
}

static int compare_events(const void *x, const void *y)
{
    const LinkEvent *a = x, *b = y;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return a->stop < b->stop ? -1 : a->stop > b->stop;
}

// A stop is met once a cycle at most, so this order is total.
static bool list_events(Lister *l, const LinkQueue *q)
{
    LinkEvent *events = malloc((q->n + 1) * sizeof *events);
    uint32_t n = 0;
    bool same = true;

    if (!events)
        abort();
    for (uint32_t b = 0; b < QUEUE_BUCKETS; b++) {
        for (uint32_t id = q->bucket[b]; id != NONE; id = q->pool[id].next)
            events[n++] = q->pool[id];
    }
    qsort(events, n, sizeof *events, compare_events);
    for (uint32_t k = 0; same && k < n; k++)
        same = item(l, events[k].time - q->now) && item(l, events[k].tail - q->now) &&
               item(l, (uint64_t)events[k].stop << 32 | events[k].words);
    free(events);
    return same;
}

static bool list(Lister *l, const Sim *sim)
{
    const Component *c = sim->component;
    uint64_t now = sim->queue.now;

    if (!item(l, sim->queue.n))
        return false;
    for (uint32_t i = c->nodes.begin; i < c->nodes.end; i++) {
        const SimNode *node = &sim->nodes[sim->node_order[i]];
        if (node->schedule->n == 0)
            continue;
        uint64_t pending = node->done ? 0 : node->free - now;
        if (!item(l, (uint64_t)node->position << 32 | node->waits) || !item(l, node->done) ||
            !item(l, pending))
            return false;
    }
    for (uint32_t i = c->receivers.begin; i < c->receivers.end; i++) {
        if (!list_receiver(l, &sim->receivers[sim->receiver_order[i]], now))
            return false;
    }
    for (uint32_t i = c->links.begin; i < c->links.end; i++) {
        if (!item(l, not_before(sim->link_free[sim->link_order[i]], now)))
            return false;
    }
    for (uint32_t i = c->stops.begin; i < c->stops.end; i++) {
        if (!item(l, not_before(sim->stops[sim->stop_order[i]].passed, now)))
            return false;
    }
    for (uint32_t i = c->routes.begin; i < c->routes.end; i++) {
        if (!item(l, not_before(sim->routes[sim->route_order[i]].passed, now)))
            return false;
    }
    return list_events(l, &sim->queue) && (l->saving || l->at == l->p->n);
}

static void save(Period *p, const Sim *sim)
{
    const Component *c = sim->component;
    Lister l = {.p = p, .saving = true};

    p->n = 0;
    list(&l, sim);
    p->cycle = sim->queue.now;
    for (uint32_t i = c->nodes.begin; i < c->nodes.end; i++) {
        uint32_t id = sim->node_order[i];
        p->iteration[id] = sim->nodes[id].iteration;
        p->busy[id] = sim->nodes[id].busy;
        p->operations[id] = sim->nodes[id].operations;
    }
    for (uint32_t i = c->routes.begin; i < c->routes.end; i++)
        p->words[sim->route_order[i]] = sim->routes[sim->route_order[i]].words;
}

// How many whole periods fit before any node reaches its last sample or an operation the
// limit of cycles.
static uint64_t repetitions(const Period *p, const Sim *sim, uint64_t cycles)
{
    const Component *c = sim->component;
    const EngineOptions *o = sim->options;
    uint64_t latest = sim->queue.now, n = UINT64_MAX;

    for (uint32_t i = c->nodes.begin; i < c->nodes.end; i++) {
        uint32_t id = sim->node_order[i];
        const SimNode *node = &sim->nodes[id];
        uint64_t samples = node->iteration - p->iteration[id];
        latest = node->free > latest ? node->free : latest;
        if (samples > 0 && (o->samples - node->iteration - 1) / samples < n)
            n = (o->samples - node->iteration - 1) / samples;
    }
    uint64_t limit = o->cycles_limit ? o->cycles_limit : UINT64_MAX / 4;
    uint64_t fits = latest < limit ? (limit - latest) / cycles : 0;
    return n < fits ? n : fits;
}

// Moves the state by n periods: times and sample numbers; messages keep their places.
static void move(Period *p, Sim *sim, uint64_t n, uint64_t cycles)
{
    const Component *c = sim->component;
    LinkQueue *q = &sim->queue;
    uint64_t by = n * cycles;

    for (uint32_t i = c->nodes.begin; i < c->nodes.end; i++) {
        uint32_t id = sim->node_order[i];
        SimNode *node = &sim->nodes[id];
        uint64_t more = n * (node->operations - p->operations[id]);
        if (node->schedule->n == 0 || node->done)
            continue;
        node->free += by;
        sim->last_end = node->free > sim->last_end ? node->free : sim->last_end;
        node->iteration += n * (node->iteration - p->iteration[id]);
        node->busy += n * (node->busy - p->busy[id]);
        node->operations += more;
        sim->skipped_operations += more;
    }
    for (uint32_t i = c->receivers.begin; i < c->receivers.end; i++) {
        SimReceiver *r = &sim->receivers[sim->receiver_order[i]];
        for (uint32_t k = 0; k < r->window; k++) {
            r->places[k].head += by;
            r->places[k].tail += by;
        }
    }
    for (uint32_t i = c->links.begin; i < c->links.end; i++)
        sim->link_free[sim->link_order[i]] += by;
    for (uint32_t i = c->stops.begin; i < c->stops.end; i++)
        sim->stops[sim->stop_order[i]].passed += by;
    for (uint32_t i = c->routes.begin; i < c->routes.end; i++) {
        uint32_t id = sim->route_order[i];
        sim->routes[id].passed += by;
        sim->routes[id].words += n * (sim->routes[id].words - p->words[id]);
    }
    LinkQueue moved;
    queue_init(&moved);
    for (uint32_t b = 0; b < QUEUE_BUCKETS; b++) {
        for (uint32_t id = q->bucket[b]; id != NONE; id = q->pool[id].next) {
            const LinkEvent *e = &q->pool[id];
            queue_push(&moved, e->time + by, e->tail + by, e->stop, e->words);
        }
    }
    moved.now = q->now + by;
    queue_free(q);
    *q = moved;
}

// Samples that the slowest sink (any node, if there is none) finished since the list was saved.
static uint64_t least_samples(const Period *p, const Sim *sim)
{
    const Component *c = sim->component;
    uint64_t least = UINT64_MAX;

    for (uint32_t i = c->nodes.begin; i < c->nodes.end; i++) {
        uint32_t id = sim->node_order[i];
        const SimNode *node = &sim->nodes[id];
        uint64_t samples = node->iteration - p->iteration[id];
        if (!node->done && samples < least && (node->is_sink || sim->n_sinks == 0))
            least = samples;
    }
    return least == UINT64_MAX ? 0 : least;
}

bool period_skip(Period *p, Sim *sim, uint64_t *cycles, uint64_t *samples)
{
    Lister l = {.p = p};

    p->boundaries++;
    if (p->n > 0 && list(&l, sim)) {
        *cycles = sim->queue.now - p->cycle;
        *samples = least_samples(p, sim);
        uint64_t n = repetitions(p, sim, *cycles);
        if (n > 0)
            move(p, sim, n, *cycles);
        p->n = p->boundaries = 0;
        p->next_save = 1;
        return *samples > 0;
    }
    if (p->boundaries == p->next_save) {
        save(p, sim);
        p->next_save *= 2;
    }
    return false;
}
