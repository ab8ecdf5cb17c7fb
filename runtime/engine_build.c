// SPDX-License-Identifier: Apache-2.0
// runtime/engine_build.c - prepares a simulation.
//
// A program never looks at data, so one iteration of a core is a fixed list of operations
// with fixed durations: it is walked once for every distinct (class, data) and shared. Routes
// become trees of stops (see Stop). Components are found by union-find over nodes: routes
// join their ends, links that several routes use join those. Linear in the sum of list
// lengths, branches and nodes, but for sorting the stops.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/hash.h"
#include "ir/support/vec.h"
#include "runtime/engine_internal.h"

enum {
    PORT_SLOTS = 2,         // messages that wait at a sink's port, at most
    MAX_SCHEDULE = 1 << 26, // operations of an iteration
    MAX_PLACES = 1 << 28,   // messages in rings and on routes
    STEP_TABLE = 1 << 9,    // slots for finding equal steps
};

typedef VEC(Step) StepVec;
typedef VEC(uint32_t) IndexVec;

// ---- schedules ----

static bool step_of(Sim *sim, const FabricNode *node, uint32_t node_id, const Cursor *at,
                    Step *step)
{
    const Class *c = &sim->fabric->image->classes[node->class_id];
    const Op *op = &c->ops[at->pc];
    OpTime time = op_time(sim->machine, op, node->data, at->counter);
    uint64_t words[1 + PROGRAM_SOURCES];
    const Operand *operand[1 + PROGRAM_SOURCES] = {&op->dst, &op->src[0], &op->src[1], &op->src[2]};

    memset(step, 0, sizeof *step); // padding too: steps are compared as bytes
    step->op = at->pc;
    step->setup = time.setup;
    step->duration = time.duration;
    for (int k = 0; k < 1 + PROGRAM_SOURCES; k++) {
        if (operand[k]->kind != OPERAND_COLOR)
            continue;
        uint8_t channel = operand[k]->channel;
        words[k] = op_message_words(op, operand[k], node->data, at->counter);
        if (words[k] == 0 || words[k] > INT32_MAX || node->route[channel] == NO_ROUTE)
            return engine_fail(sim, ENGINE_FAULT,
                               "%s: operation %" PRIu32 " uses channel %u, which is not connected, "
                               "or a message of no or too many words",
                               fabric_node_name(sim->arena, sim->fabric, node_id), at->pc, channel);
        if (k == 0) {
            step->has_out = 1;
            step->out_channel = channel;
            step->out_words = (uint32_t)words[k];
        } else {
            step->in_channel[step->n_in] = channel;
            step->in_words[step->n_in++] = (uint32_t)words[k];
        }
    }
    if (node->is_port) { // no set-up; the port's share of the host's bandwidth
        const Port *port = &sim->fabric->image->ports[node->rect];
        uint64_t n = step->has_out ? step->out_words : step->in_words[0];
        uint64_t d = (n * port->p + port->q - 1) / port->q;
        step->setup = 0;
        step->duration = d > UINT32_MAX ? UINT32_MAX : d < 1 ? 1 : (uint32_t)d;
    }
    return true;
}

static bool schedule_build(Sim *sim, uint32_t node_id, Schedule *s)
{
    const FabricNode *node = &sim->fabric->nodes[node_id];
    const Class *c = &sim->fabric->image->classes[node->class_id];
    Cursor at = {0};
    StepVec steps = {0};
    IndexVec order = {0};
    uint32_t table[STEP_TABLE]; // step + 1, by hash; the newest wins
    const char *why;

    memset(table, 0, sizeof table);
    if (!program_data_fits(c, node->data, &why))
        return engine_fail(sim, ENGINE_FAULT, "%s: %s",
                           fabric_node_name(sim->arena, sim->fabric, node_id), why);
    for (; cursor_settle(c, node->data, &at); at.pc++) {
        Step step;
        if (op_elements(&c->ops[at.pc], node->data, at.counter) == 0)
            continue;
        if (!step_of(sim, node, node_id, &at, &step))
            return false;
        if (order.n == MAX_SCHEDULE)
            return engine_fail(sim, ENGINE_FAULT, "%s: more than %d operations in a sample",
                               fabric_node_name(sim->arena, sim->fabric, node_id), MAX_SCHEDULE);
        uint32_t *slot = &table[hash_bytes(0, &step, sizeof step) % STEP_TABLE];
        if (*slot == 0 || memcmp(&steps.data[*slot - 1], &step, sizeof step) != 0) {
            vec_push(sim->arena, &steps, step);
            *slot = (uint32_t)steps.n;
        }
        vec_push(sim->arena, &order, *slot - 1);
    }
    *s = (Schedule){steps.data, (uint32_t)steps.n, order.data, (uint32_t)order.n};
    return true;
}

// The slot of a node with the same program and data, or the free one where it belongs. Ports
// have durations of their own.
static size_t schedule_slot(const Sim *sim, const uint32_t *table, size_t mask, uint32_t id)
{
    const FabricNode *node = &sim->fabric->nodes[id];
    size_t bytes = 4 * (size_t)sim->fabric->image->classes[node->class_id].n_data;
    uint64_t seed = node->is_port ? UINT64_MAX - id : node->class_id;
    size_t slot = hash_bytes(seed, node->data, bytes) & mask;

    for (; table[slot] != 0; slot = (slot + 1) & mask) {
        const FabricNode *other = &sim->fabric->nodes[table[slot] - 1];
        if (!other->is_port && !node->is_port && other->class_id == node->class_id &&
            (other->data == node->data || bytes == 0 ||
             memcmp(other->data, node->data, bytes) == 0))
            break;
    }
    return slot;
}

static bool nodes_build(Sim *sim)
{
    const Fabric *f = sim->fabric;
    size_t size = 16;

    while (size < 2 * (size_t)sim->n_nodes)
        size *= 2;
    uint32_t *table = arena_array(sim->arena, uint32_t, size); // node + 1, by program and data
    for (uint32_t i = 0; i < sim->n_nodes; i++) {
        const FabricNode *from = &f->nodes[i];
        const Class *c = &f->image->classes[from->class_id];
        SimNode *node = &sim->nodes[i];
        size_t slot = schedule_slot(sim, table, size - 1, i);

        if (table[slot] == 0) {
            Schedule *s = arena_new(sim->arena, Schedule);
            if (!schedule_build(sim, i, s))
                return false;
            table[slot] = i + 1;
            node->schedule = s;
        }
        node->schedule = sim->nodes[table[slot] - 1].schedule;
        node->waits = NONE;
        node->is_port = from->is_port;
        node->is_sink = from->is_port && f->image->ports[from->rect].is_sink;
        node->end = arena_array(sim->arena, uint32_t, c->n_channels);
        for (uint32_t k = 0; k < c->n_channels; k++)
            node->end[k] = NONE;
    }
    return true;
}

// ---- receivers ----

static uint32_t longest_message(const Schedule *s)
{
    uint32_t n = 1;
    for (uint32_t i = 0; i < s->n_steps; i++) {
        for (uint32_t k = 0; k < s->steps[i].n_in; k++)
            n = s->steps[i].in_words[k] > n ? s->steps[i].in_words[k] : n;
    }
    return n;
}

static bool receiver_build(Sim *sim, uint32_t route, const FabricReceiver *from, SimReceiver *r,
                           uint64_t *places)
{
    const FabricNode *node = &sim->fabric->nodes[from->node];
    uint64_t slots = PORT_SLOTS, n;

    if (node->is_port) {
        n = longest_message(sim->nodes[from->node].schedule);
    } else {
        const Channel *ch = &node->channels[from->channel];
        slots = ch->slots;
        n = ch->slot_words;
        if (n == 0 || slots == 0 || ch->ring % 4 != 0 ||
            ch->ring + slots * n * 4 > sim->machine->sram_bytes || n > UINT32_MAX / 4)
            return engine_fail(
                sim, ENGINE_FAULT, "%s: the ring of channel %" PRIu32 " is not within the memory",
                fabric_node_name(sim->arena, sim->fabric, from->node), from->channel);
    }
    r->node = from->node;
    r->route = route;
    *places += slots + 2 * (uint64_t)from->hops / n;
    if (*places > MAX_PLACES)
        return engine_fail(sim, ENGINE_FAULT,
                           "rings and routes together hold more than %d messages", MAX_PLACES);
    r->window = (uint32_t)(slots + 2 * (uint64_t)from->hops / n);
    r->places = arena_array(sim->arena, Place, r->window);
    return true;
}

static bool receivers_build(Sim *sim)
{
    const Fabric *f = sim->fabric;
    uint64_t places = 0;
    uint32_t n = 0;

    for (uint32_t k = 0; k < f->n_routes; k++)
        n += f->routes[k].n_receivers;
    sim->n_receivers = n;
    sim->receivers = arena_array(sim->arena, SimReceiver, n);
    sim->routes = arena_array(sim->arena, SimRoute, f->n_routes);
    n = 0;
    for (uint32_t k = 0; k < f->n_routes; k++) {
        const FabricRoute *from = &f->routes[k];
        SimRoute *route = &sim->routes[k];

        route->source = from->source;
        route->first_receiver = n;
        route->n_receivers = from->n_receivers;
        sim->nodes[from->source].end[from->channel] = k;
        for (uint32_t r = 0; r < from->n_receivers; r++, n++) {
            if (!receiver_build(sim, k, &from->receivers[r], &sim->receivers[n], &places))
                return false;
            sim->nodes[from->receivers[r].node].end[from->receivers[r].channel] = n;
        }
    }
    return true;
}

// ---- stops ----

typedef struct NewStop {
    Stop stop;
    uint32_t owner; // route, or n_routes + NewStop before it
    uint32_t self;
} NewStop;

typedef VEC(NewStop) NewStopVec;

static int compare_stops(const void *x, const void *y)
{
    const Stop *a = &((const NewStop *)x)->stop, *b = &((const NewStop *)y)->stop;
    if (a->is_ramp != b->is_ramp)
        return a->is_ramp ? 1 : -1;
    if (a->link != b->link)
        return a->link < b->link ? -1 : 1;
    if (a->color != b->color)
        return a->color < b->color ? -1 : 1;
    if (a->route != b->route)
        return a->route < b->route ? -1 : 1;
    return ((const NewStop *)x)->self < ((const NewStop *)y)->self ? -1 : 1;
}

static bool route_stops(Sim *sim, uint32_t id, const uint32_t *users, NewStopVec *stops)
{
    const FabricRoute *from = &sim->fabric->routes[id];
    SimRoute *route = &sim->routes[id];
    ArenaMark mark = arena_mark(sim->arena);
    uint32_t *owner = arena_array(sim->arena, uint32_t, from->n_branches);
    uint32_t *delay = arena_array(sim->arena, uint32_t, from->n_branches);
    uint32_t *receiver = arena_array(sim->arena, uint32_t, from->n_branches);
    size_t first = stops->n;
    NewStop *found = malloc((from->n_branches + 1) * sizeof *found);
    uint32_t n = 0;

    for (uint32_t r = 0; r < from->n_receivers; r++)
        receiver[from->receivers[r].branch] = route->first_receiver + r + 1;
    bool good = found && from->n_branches > 0;
    for (uint32_t b = 0; good && b < from->n_branches; b++) {
        const FabricBranch *branch = &from->branches[b];
        if (branch->parent == UINT32_MAX) {
            route->first_link = branch->link;
            route->first_delay = branch->delay;
            owner[b] = id;
            delay[b] = 0;
            good = receiver[b] == 0;
            continue;
        }
        owner[b] = owner[branch->parent];
        delay[b] = delay[branch->parent] + branch->delay;
        bool is_event = users[branch->link] > 1 || sim->options->all_links;
        if (!is_event && receiver[b] == 0)
            continue;
        Stop stop = {.link = is_event ? branch->link : NONE,
                     .delay = delay[b],
                     .receiver = receiver[b] ? receiver[b] - 1 : NONE,
                     .color = from->color,
                     .route = id,
                     .is_ramp = receiver[b] != 0};
        if (is_event)
            sim->link_is_event[branch->link] = true;
        found[n] = (NewStop){stop, owner[b], (uint32_t)first + n};
        n++;
        owner[b] = sim->fabric->n_routes + (uint32_t)first + n - 1;
        delay[b] = 0;
    }
    arena_rewind(sim->arena, mark);
    for (uint32_t k = 0; good && k < n; k++)
        vec_push(sim->arena, stops, found[k]);
    free(found);
    if (!good)
        return engine_fail(sim, ENGINE_FAULT, "a route of %s has no links",
                           fabric_stream_name(sim->arena, sim->fabric->image, from->stream));
    return true;
}

static bool stops_build(Sim *sim, const uint32_t *users)
{
    uint32_t n_routes = sim->fabric->n_routes;
    NewStopVec list = {0};

    for (uint32_t k = 0; k < n_routes; k++) {
        if (!route_stops(sim, k, users, &list))
            return false;
    }
    uint32_t n = (uint32_t)list.n;
    if (n > 0)
        qsort(list.data, n, sizeof *list.data, compare_stops);
    sim->n_stops = n;
    sim->stops = arena_array(sim->arena, Stop, n);
    sim->children = arena_array(sim->arena, uint32_t, n);
    uint32_t *number = arena_array(sim->arena, uint32_t, n); // by NewStop.self
    uint32_t *count = arena_array(sim->arena, uint32_t, (size_t)n_routes + n + 1);
    for (uint32_t k = 0; k < n; k++) {
        sim->stops[k] = list.data[k].stop;
        number[list.data[k].self] = k;
        count[list.data[k].owner + 1]++;
    }
    for (uint32_t k = 0; k < n_routes + n; k++)
        count[k + 1] += count[k];
    for (uint32_t k = 0; k < n_routes; k++) {
        sim->routes[k].first_child = count[k];
        sim->routes[k].n_children = count[k + 1] - count[k];
    }
    for (uint32_t k = 0; k < n; k++) {
        Stop *s = &sim->stops[number[k]];
        s->first_child = count[n_routes + k];
        s->n_children = count[n_routes + k + 1] - count[n_routes + k];
    }
    for (uint32_t k = 0; k < n; k++) // count[owner] becomes the end of its range
        sim->children[count[list.data[k].owner]++] = k;
    return true;
}

// ---- components ----

static uint32_t find(uint32_t *parent, uint32_t x)
{
    while (parent[x] != x)
        x = parent[x] = parent[parent[x]];
    return x;
}

static void join(uint32_t *parent, uint32_t x, uint32_t y)
{
    x = find(parent, x);
    y = find(parent, y);
    if (x < y)
        parent[y] = x;
    else
        parent[x] = y;
}

// Sorts 0 .. n-1 by component (NONE: left out), stably; ranges[c] gets each one's part.
static uint32_t *group(Sim *sim, const uint32_t *component, uint32_t n, size_t range_offset)
{
    uint32_t *order = arena_array(sim->arena, uint32_t, n);
    uint32_t *count = arena_array(sim->arena, uint32_t, (size_t)sim->n_components + 1);

    for (uint32_t i = 0; i < n; i++) {
        if (component[i] != NONE)
            count[component[i] + 1]++;
    }
    for (uint32_t c = 0; c < sim->n_components; c++) {
        count[c + 1] += count[c];
        Range range = {count[c], count[c + 1]};
        memcpy((char *)&sim->components[c] + range_offset, &range, sizeof range);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (component[i] != NONE)
            order[count[component[i]]++] = i;
    }
    return order;
}

static void components_build(Sim *sim)
{
    const Fabric *f = sim->fabric;
    uint32_t *parent = arena_array(sim->arena, uint32_t, sim->n_nodes);
    uint32_t *user = arena_array(sim->arena, uint32_t, f->n_links); // a source + 1
    uint32_t *of_node = arena_array(sim->arena, uint32_t, sim->n_nodes);
    uint32_t *of_receiver = arena_array(sim->arena, uint32_t, sim->n_receivers);
    uint32_t *of_route = arena_array(sim->arena, uint32_t, f->n_routes);
    uint32_t *of_stop = arena_array(sim->arena, uint32_t, sim->n_stops);
    uint32_t *of_link = arena_array(sim->arena, uint32_t, f->n_links);

    for (uint32_t i = 0; i < sim->n_nodes; i++)
        parent[i] = i;
    for (uint32_t k = 0; k < f->n_routes; k++) {
        const FabricRoute *r = &f->routes[k];
        for (uint32_t i = 0; i < r->n_receivers; i++)
            join(parent, r->source, r->receivers[i].node);
        for (uint32_t b = 0; b < r->n_branches; b++) {
            uint32_t link = r->branches[b].link;
            if (user[link] != 0)
                join(parent, r->source, user[link] - 1);
            user[link] = r->source + 1;
        }
    }
    for (uint32_t i = 0; i < sim->n_nodes; i++) { // a root comes before its members
        uint32_t root = find(parent, i);
        of_node[i] = root == i ? sim->n_components++ : of_node[root];
    }
    for (uint32_t k = 0; k < f->n_routes; k++)
        of_route[k] = of_node[f->routes[k].source];
    for (uint32_t k = 0; k < sim->n_receivers; k++)
        of_receiver[k] = of_node[sim->receivers[k].node];
    for (uint32_t k = 0; k < sim->n_stops; k++)
        of_stop[k] = sim->stops[k].link == NONE ? NONE : of_route[sim->stops[k].route];
    for (uint32_t k = 0; k < f->n_links; k++) {
        bool counts = user[k] != 0 && sim->link_is_event[k];
        of_link[k] = counts ? of_node[user[k] - 1] : NONE;
    }
    for (uint32_t k = 0; k < f->n_routes; k++) // the first link of each route counts as well
        of_link[sim->routes[k].first_link] = of_route[k];

    sim->components = arena_array(sim->arena, Component, sim->n_components);
    sim->node_order = group(sim, of_node, sim->n_nodes, offsetof(Component, nodes));
    sim->receiver_order = group(sim, of_receiver, sim->n_receivers, offsetof(Component, receivers));
    sim->route_order = group(sim, of_route, f->n_routes, offsetof(Component, routes));
    sim->stop_order = group(sim, of_stop, sim->n_stops, offsetof(Component, stops));
    sim->link_order = group(sim, of_link, f->n_links, offsetof(Component, links));
    for (uint32_t i = 0; i < sim->n_nodes; i++)
        sim->n_sinks += sim->nodes[i].is_sink && sim->nodes[i].schedule->n > 0;
}

bool engine_build(Sim *sim)
{
    const Fabric *f = sim->fabric;
    uint32_t *users = arena_array(sim->arena, uint32_t, f->n_links);

    sim->n_nodes = f->n_cores + f->n_ports;
    sim->nodes = arena_array(sim->arena, SimNode, sim->n_nodes);
    sim->ready = arena_array(sim->arena, uint32_t, sim->n_nodes);
    sim->link_free = arena_array(sim->arena, uint64_t, f->n_links);
    sim->link_is_event = arena_array(sim->arena, bool, f->n_links);
    for (uint32_t k = 0; k < f->n_routes; k++) {
        for (uint32_t b = 0; b < f->routes[k].n_branches; b++)
            users[f->routes[k].branches[b].link]++;
    }
    if (!nodes_build(sim) || !receivers_build(sim) || !stops_build(sim, users))
        return false;
    components_build(sim);
    return true;
}
