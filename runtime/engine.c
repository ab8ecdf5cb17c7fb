// SPDX-License-Identifier: Apache-2.0
// runtime/engine.c - the timing rule, and the event loop over it.
//
// Times are integer cycles. A core executes its operations in program order. For message i
// on every color of the operation, with set-up a, duration d, latency l, landing width w,
// ring capacity c and longest message n of the color, Q = 2 * hops words held by the route:
//
//   start   B = core free + a
//           L = sum over inputs of min(words, max(0, B - head))    landed while it was busy
//           S = max(B + floor(L / w), head of every input,
//                   for every receiver of the output: release of message i - c - floor(Q / n))
//   end     E = max(S + d + floor(L' / w), tail of every input + l)
//           L' = words of inputs still to come at S, of inputs that come at least twice as
//                fast as the operation takes them: d >= 2 * (tail - head + 1)
//           the core is free and the inputs' places are released at E
//   output  leaves with head S + l, tail E
//   link    h' = max(h + hop, tail of the same color's message before + 1)
//           free = max(free, h') + words, t' = max(t + hop, free - 1)
//           in order of (h + hop, color, sequence). Colors take turns, word by word: a head
//           passes at once, its tail once all words that came before have passed. Ramps are
//           links with their own delay
//   host    a port is a core without set-up and landings; d = ceil(words * p / q)
//
// Whatever an operation or a link waits for is known in full once it has been computed, so an
// operation is computed at once, ahead of time, when its inputs have arrived and its outputs
// have room. Only links that several routes use need order: they are events in a queue by
// h + hop. This is sound because everything computed after an event of cycle `now` starts at
// or after `now`: an input's head is not before its event, a release is the end of an
// operation that started not before, and so on; and as a hop takes a cycle at least, new
// events of links between routers come after it. Ramps down may take none: in a cycle they are
// handled after hops. A core's own ramp up is passed in program order.
//
// One operation costs O(operands + receivers) and its events.
#include "runtime/engine.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/engine_internal.h"
#include "runtime/liveness.h"

enum { LOOK_UP = 1 << 12 }; // cycles with events between two looks at the interrupt flag

static uint64_t max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

bool engine_fail(Sim *sim, EngineStatus status, const char *format, ...)
{
    if (sim->status != ENGINE_DONE)
        return false;
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    char *text = arena_array(sim->arena, char, (size_t)(n < 0 ? 0 : n) + 1);
    va_start(ap, format);
    vsnprintf(text, (size_t)(n < 0 ? 0 : n) + 1, format, ap);
    va_end(ap);
    sim->fault = text;
    sim->status = status;
    return false;
}

static uint64_t landing_cycles(const Sim *sim, uint64_t words)
{
    return words * sim->machine->landing.den / sim->machine->landing.num;
}

// Words of a message that have arrived before a cycle.
static uint64_t arrived(uint64_t words, uint64_t head, uint64_t cycle)
{
    return cycle > head ? min64(words, cycle - head) : 0;
}

static void make_ready(Sim *sim, uint32_t node)
{
    sim->nodes[node].waits = NONE;
    sim->ready[sim->n_ready++] = node;
}

static uint32_t next_place(const SimReceiver *r, uint32_t place)
{
    return place + 1 == r->window ? 0 : place + 1;
}

static void pass_on(Sim *sim, uint64_t head, uint64_t tail, uint32_t words, uint32_t first,
                    uint32_t n)
{
    for (uint32_t k = first; k < first + n; k++) {
        uint32_t stop = sim->children[k];
        uint32_t delay = sim->stops[stop].delay;
        queue_push(&sim->queue, head + delay, tail + delay, stop, words);
    }
}

// A message passes a link that it reaches at `head`; both are moved to when it has passed.
// `passed` is when the color's message before had.
static void pass_link(Sim *sim, uint32_t link, uint64_t *passed, uint64_t *head, uint64_t *tail,
                      uint32_t words)
{
    *head = max64(*head, *passed);
    sim->link_free[link] = max64(sim->link_free[link], *head) + words;
    *tail = max64(*tail, sim->link_free[link] - 1);
    *passed = *tail + 1;
}

static void send(Sim *sim, uint32_t id, uint64_t head, uint64_t tail, uint32_t words)
{
    SimRoute *route = &sim->routes[id];

    route->words += words;
    for (uint32_t k = route->first_receiver; k < route->first_receiver + route->n_receivers; k++) {
        SimReceiver *r = &sim->receivers[k];
        r->outstanding++;
        r->send = next_place(r, r->send);
    }
    head += route->first_delay;
    tail += route->first_delay;
    pass_link(sim, route->first_link, &route->passed, &head, &tail, words);
    pass_on(sim, head, tail, words, route->first_child, route->n_children);
}

static void release(Sim *sim, uint32_t id, uint64_t end)
{
    SimReceiver *r = &sim->receivers[id];
    uint32_t source = sim->routes[r->route].source;

    r->places[r->take].head = end;
    r->take = next_place(r, r->take);
    r->queued--;
    r->outstanding--;
    if (sim->memory)
        memory_release(sim, id);
    if (sim->nodes[source].waits == 2 * id + 1)
        make_ready(sim, source);
}

static void arrive(Sim *sim, uint32_t id, uint64_t head, uint64_t tail, uint32_t words)
{
    SimReceiver *r = &sim->receivers[id];

    r->places[r->arrive] = (Place){head, tail, words};
    r->arrive = next_place(r, r->arrive);
    if (sim->memory)
        memory_arrive(sim, id);
    r->queued++;
    if (sim->nodes[r->node].waits == 2 * id)
        make_ready(sim, r->node);
}

// The reference is a node whose iterations count as samples, for progress and for finding
// periods: the sinks in turn while unfinished, then the others.
static void next_reference(Sim *sim)
{
    const Component *c = sim->component;
    uint32_t n = c->nodes.end - c->nodes.begin;

    for (sim->reference = NONE; sim->n_references < 2 * n; sim->n_references++) {
        uint32_t id = sim->node_order[c->nodes.begin + sim->n_references % n];
        const SimNode *node = &sim->nodes[id];
        if (!node->done && node->schedule->n > 0 && (node->is_sink || sim->n_references >= n)) {
            sim->reference = id;
            return;
        }
    }
}

// An iteration of a node is over. False if it was its last one.
static bool next_iteration(Sim *sim, uint32_t id)
{
    SimNode *node = &sim->nodes[id];
    uint64_t samples = sim->options->samples;

    node->position = 0;
    node->iteration++;
    if (node->is_sink || sim->n_sinks == 0) {
        if (node->iteration == 1)
            sim->first_result = max64(sim->first_result, node->free);
        if (node->iteration == samples / 2)
            sim->middle_result = max64(sim->middle_result, node->free);
        if (node->iteration == samples)
            sim->last_result = max64(sim->last_result, node->free);
    }
    if (id == sim->reference) {
        sim->at_boundary = true;
        if (sim->options->progress)
            sim->options->progress(sim->options->progress_arg, node->iteration, node->free);
    }
    if (node->iteration < samples)
        return true;
    node->done = true;
    sim->unfinished--;
    if (id == sim->reference)
        next_reference(sim);
    return false;
}

// Nothing is missing for the operation: its inputs are known and its outputs have room.
// Else notes what the node waits for.
static bool is_ready(Sim *sim, SimNode *node, const Step *step)
{
    for (uint32_t k = 0; k < step->n_in; k++) {
        uint32_t in = node->end[step->in_channel[k]];
        if (sim->receivers[in].queued == 0) {
            node->waits = 2 * in;
            return false;
        }
    }
    if (step->has_out) {
        const SimRoute *route = &sim->routes[node->end[step->out_channel]];
        for (; node->scan < route->n_receivers; node->scan++) {
            uint32_t r = route->first_receiver + node->scan;
            if (sim->receivers[r].outstanding == sim->receivers[r].window) {
                node->waits = 2 * r + 1;
                return false;
            }
        }
        node->scan = 0;
    }
    return true;
}

static bool execute(Sim *sim, uint32_t id, const Step *step)
{
    SimNode *node = &sim->nodes[id];
    uint64_t begin = node->free + step->setup, landed = 0, to_come = 0, tails = 0;
    const Place *in[PROGRAM_SOURCES] = {NULL};

    for (uint32_t k = 0; k < step->n_in; k++) {
        const SimReceiver *r = &sim->receivers[node->end[step->in_channel[k]]];
        in[k] = &r->places[r->take];
        if (in[k]->words != step->in_words[k])
            return engine_fail(sim, ENGINE_FAULT,
                               "%s expects a message of %u words on %s and gets one of %u words",
                               fabric_node_name(sim->arena, sim->fabric, id), step->in_words[k],
                               fabric_stream_name(sim->arena, sim->fabric->image,
                                                  sim->fabric->routes[r->route].stream),
                               in[k]->words);
        landed += arrived(in[k]->words, in[k]->head, begin);
        tails = max64(tails, in[k]->tail + sim->machine->latency);
    }
    uint64_t landing = node->is_port ? 0 : landing_cycles(sim, landed);
    uint64_t start = begin + landing;
    for (uint32_t k = 0; k < step->n_in; k++)
        start = max64(start, in[k]->head);
    const SimRoute *out = step->has_out ? &sim->routes[node->end[step->out_channel]] : NULL;
    for (uint32_t k = 0; out && k < out->n_receivers; k++) {
        const SimReceiver *r = &sim->receivers[out->first_receiver + k];
        start = max64(start, r->places[r->send].head);
    }
    for (uint32_t k = 0; k < step->n_in; k++) {
        if (step->duration >= 2 * (in[k]->tail - in[k]->head + 1))
            to_come += in[k]->words - arrived(in[k]->words, in[k]->head, start);
    }
    uint64_t work = step->duration + (node->is_port ? 0 : landing_cycles(sim, to_come));
    uint64_t end = max64(start + work, tails);

    if (sim->options->cycles_limit != 0 && end > sim->options->cycles_limit)
        return engine_fail(sim, ENGINE_LIMIT, "the limit of %llu cycles was reached",
                           (unsigned long long)sim->options->cycles_limit);
    if (sim->memory && !memory_execute(sim, id, step))
        return false;
    node->busy += step->setup + landing + work;
    node->operations++;
    node->free = end;
    sim->last_end = max64(sim->last_end, end);
    for (uint32_t k = 0; k < step->n_in; k++)
        release(sim, node->end[step->in_channel[k]], end);
    if (out)
        send(sim, node->end[step->out_channel], start + sim->machine->latency, end,
             step->out_words);
    return true;
}

// Runs a node as far as it gets.
static bool run_node(Sim *sim, uint32_t id)
{
    SimNode *node = &sim->nodes[id];
    const Schedule *s = node->schedule;

    for (;;) {
        if (node->position == s->n && !next_iteration(sim, id))
            return true;
        const Step *step = &s->steps[s->order[node->position]];
        if (!is_ready(sim, node, step))
            return true;
        if (!execute(sim, id, step))
            return false;
        node->position++;
    }
}

static bool run_ready(Sim *sim)
{
    while (sim->n_ready > 0) {
        if (!run_node(sim, sim->ready[--sim->n_ready]))
            return false;
    }
    return true;
}

static bool handle(Sim *sim, const LinkEvent *e)
{
    Stop *stop = &sim->stops[e->stop];
    uint64_t head = e->time, tail = e->tail;

    if (stop->link != NONE)
        pass_link(sim, stop->link, &stop->passed, &head, &tail, e->words);
    if (stop->receiver == NONE) {
        pass_on(sim, head, tail, e->words, stop->first_child, stop->n_children);
        return true;
    }
    arrive(sim, stop->receiver, head, tail, e->words);
    return run_ready(sim);
}

// All events of one cycle: hops, then ramps.
static bool run_cycle(Sim *sim)
{
    LinkQueue *q = &sim->queue;
    uint32_t k = 0;

    for (; k < q->n_batch && !sim->stops[q->batch[k].stop].is_ramp; k++) {
        LinkEvent e = q->batch[k];
        if (!handle(sim, &e))
            return false;
    }
    if (k > 0)
        queue_more(q, k);
    for (; k < q->n_batch; k++) {
        LinkEvent e = q->batch[k];
        if (!handle(sim, &e))
            return false;
    }
    return true;
}

static bool fail_deadlock(Sim *sim)
{
    const Fabric *f = sim->fabric;
    LivenessWait *waits = arena_array(sim->arena, LivenessWait, sim->n_nodes);
    Text t = {0};

    for (uint32_t i = 0; i < sim->n_nodes; i++) {
        const SimNode *node = &sim->nodes[i];
        if (node->waits == NONE)
            continue;
        const Step *step = &node->schedule->steps[node->schedule->order[node->position]];
        if (node->waits % 2 == 1) {
            uint32_t first = sim->routes[node->end[step->out_channel]].first_receiver;
            waits[i] = (LivenessWait){WAIT_ROOM, step->out_channel, node->waits / 2 - first};
            continue;
        }
        for (uint32_t k = 0; k < step->n_in; k++) {
            if (node->end[step->in_channel[k]] == node->waits / 2)
                waits[i] = (LivenessWait){WAIT_MESSAGE, step->in_channel[k], 0};
        }
    }
    liveness_describe_wait(&t, f, waits);
    engine_fail(sim, ENGINE_DEADLOCK, "deadlock, %u programs unfinished: %s", sim->unfinished,
                t.data ? t.data : "");
    text_free(&t);
    return false;
}

// The slowest part's period is the run's.
static void note_period(EngineResult *result, uint64_t cycles, uint64_t samples, bool exact)
{
    if (result->period_den == 0 || cycles * result->period_den > result->period_num * samples) {
        result->period_num = cycles;
        result->period_den = samples;
        result->period_exact = exact;
    }
}

static bool run_component(Sim *sim, EngineResult *result)
{
    const Component *c = sim->component;
    Period *period = sim->options->skip_periods && !sim->memory ? period_create(sim) : NULL;
    uint64_t cycles, samples;
    bool going, found = false;

    sim->queue.now = 0;
    sim->n_references = 0;
    next_reference(sim);
    sim->middle_result = sim->last_result = 0;
    sim->unfinished = 0;
    for (uint32_t i = c->nodes.begin; i < c->nodes.end; i++) {
        uint32_t id = sim->node_order[i];
        if (sim->nodes[id].schedule->n > 0) {
            sim->unfinished++;
            make_ready(sim, id);
        }
    }
    going = run_ready(sim);
    for (uint64_t turn = 0; going && queue_next(&sim->queue); turn++) {
        sim->at_boundary = false;
        going = run_cycle(sim);
        if (turn % LOOK_UP == 0 && sim->options->interrupt && *sim->options->interrupt)
            going = engine_fail(sim, ENGINE_INTERRUPTED, "interrupted");
        if (going && period && sim->at_boundary && period_skip(period, sim, &cycles, &samples)) {
            note_period(result, cycles, samples, true);
            found = true;
        }
    }
    period_free(period);
    if (going && sim->unfinished > 0)
        fail_deadlock(sim);
    sim->cycles = max64(sim->cycles, sim->last_result);
    if (!found)
        note_period(result, sim->last_result - sim->middle_result,
                    sim->options->samples - sim->options->samples / 2, false);
    return sim->status == ENGINE_DONE;
}

static bool is_hop(const Fabric *f, const FabricLink *link)
{
    const Machine *m = &f->image->machine;
    return link->side != SIDE_RAMP && !link->from_core && !(link->side == SIDE_W && link->x == 0) &&
           !(link->side == SIDE_E && link->x == m->width - 1);
}

static void report(Arena *a, const Sim *sim, EngineResult *result)
{
    const Fabric *f = sim->fabric;

    result->node_busy = arena_array(a, uint64_t, sim->n_nodes);
    result->node_waiting = arena_array(a, uint64_t, sim->n_nodes);
    result->node_operations = arena_array(a, uint64_t, sim->n_nodes);
    result->link_words = arena_array(a, uint64_t, f->n_links);
    for (uint32_t i = 0; sim->nodes && i < sim->n_nodes; i++) {
        result->node_busy[i] = sim->nodes[i].busy;
        result->node_waiting[i] = sim->nodes[i].free - sim->nodes[i].busy;
        result->node_operations[i] = sim->nodes[i].operations;
        result->operations += sim->nodes[i].operations;
    }
    result->simulated_operations = result->operations - sim->skipped_operations;
    for (uint32_t k = 0; sim->routes && k < f->n_routes; k++) {
        for (uint32_t b = 0; b < f->routes[k].n_branches; b++)
            result->link_words[f->routes[k].branches[b].link] += sim->routes[k].words;
    }
    for (uint32_t k = 0; k < f->n_links; k++)
        result->words_hopped += is_hop(f, &f->links[k]) ? result->link_words[k] : 0;
    result->status = sim->status;
    result->fault = sim->fault ? arena_strdup(a, sim->fault, strlen(sim->fault)) : NULL;
    result->first_result = sim->first_result;
    result->cycles = sim->status == ENGINE_DONE ? sim->cycles : sim->last_end;
    uint64_t x = result->period_num, y = result->period_den;
    while (y != 0) {
        uint64_t r = x % y;
        x = y;
        y = r;
    }
    if (x > 0) {
        result->period_num /= x;
        result->period_den /= x;
    }
}

bool engine_run(Arena *a, const Fabric *f, const EngineOptions *options,
                const uint8_t *const *inputs, uint8_t *const *outputs, EngineResult *result)
{
    Arena arena = {0};
    Sim sim = {.arena = &arena, .fabric = f, .options = options, .machine = &f->image->machine};

    memset(result, 0, sizeof *result);
    queue_init(&sim.queue);
    if (options->values && !f->image->has_weights)
        engine_fail(&sim, ENGINE_FAULT,
                    "the image was planned without weights: it has times, "
                    "but no values");
    else if (engine_build(&sim) && options->samples > 0) {
        if (options->values)
            sim.memory = memory_create(&sim, inputs, outputs);
        for (uint32_t c = 0; c < sim.n_components; c++) {
            sim.component = &sim.components[c];
            if (!run_component(&sim, result))
                break;
        }
        if (sim.memory)
            memory_free(sim.memory, &sim);
    }
    report(a, &sim, result);
    queue_free(&sim.queue);
    arena_free(&arena);
    return result->status == ENGINE_DONE;
}
