// SPDX-License-Identifier: Apache-2.0
// runtime/liveness.c - executes an image by message counts, without time.
//
// 1. Every program is walked once for each distinct set of data words, loops without messages
//    passed by. What remains is its trace: which messages it takes and sends, in which order
//    and how long. Equal traces are stored once, so a kernel of 10,000 cores costs a few.
// 2. Per route, the word counts that the source sends must equal, message by message, what
//    each receiver takes. Sequences are stored once too: comparing is comparing numbers.
// 3. A worklist runs every trace once through rings of the capacities in the memory maps. Per
//    route the number of full rings is kept, so a multicast to r receivers costs r a message.
//    An operation fires whole: its inputs are there and its output has room everywhere.
// Time is linear in the messages delivered in one iteration.

#include "runtime/liveness.h"

#include <inttypes.h>
#include <stdlib.h>

#include "ir/support/hash.h"
#include "ir/support/vec.h"
#include "runtime/check.h"
#include "runtime/walk.h"

enum { ENOUGH = 20 };

static const uint64_t max_steps = (uint64_t)1 << 33;  // of all walks
static const uint64_t max_tokens = (uint64_t)1 << 26; // of all distinct traces
static const uint64_t max_events = (uint64_t)1 << 34; // of all nodes' traces

typedef struct Token { // one message of an operation
    uint32_t words;
    uint8_t channel;
    uint8_t out;  // it is sent
    uint16_t end; // last one of its operation
} Token;

typedef struct Run { // of tokens, stored once
    size_t first, n;
    uint64_t hash;
    uint32_t longest;
} Run;

typedef struct Trace {
    uint32_t run;
    uint32_t sequence[PROGRAM_MAX_CHANNELS]; // runs, by channel: words alone
} Trace;

typedef VEC(Token) TokenVec;
typedef VEC(Run) RunVec;
typedef VEC(Trace) TraceVec;

typedef struct Proof {
    Arena arena;
    Diag *d;
    unsigned errors_before;
    const Fabric *f;
    TokenVec tokens;
    RunVec runs;
    uint32_t *table; // of runs + 1, by hash
    size_t table_size;
    TraceVec traces;
    uint32_t *trace_of_run; // grows with runs: index + 1 of the trace with that run
    size_t cap_trace_of_run;
    TokenVec scratch;
    uint64_t steps;
    uint32_t *trace; // by node
    // simulation
    size_t *position; // by node, in tokens
    size_t *ring;     // by route: index of its first receiver's fill level
    uint32_t *fill;   // messages in each receiver's ring
    uint32_t *full;   // by route: receivers without room
    uint32_t *queue;  // of nodes that may go on
    bool *queued;
    size_t head, n_queued;
} Proof;

static bool enough(const Proof *p)
{
    return p->d->n_errors - p->errors_before >= ENOUGH;
}

// ---- runs of tokens, each stored once ----

static void table_grow(Proof *p)
{
    size_t size = p->table_size ? 2 * p->table_size : 64;
    uint32_t *table = arena_array(&p->arena, uint32_t, size);
    for (uint32_t i = 0; i < p->runs.n; i++) {
        size_t at = p->runs.data[i].hash & (size - 1);
        while (table[at])
            at = (at + 1) & (size - 1);
        table[at] = i + 1;
    }
    p->table = table;
    p->table_size = size;
}

// The run equal to p->scratch.
static uint32_t intern(Proof *p)
{
    const Token *tokens = p->scratch.data;
    size_t n = p->scratch.n;
    if (2 * (p->runs.n + 1) > p->table_size)
        table_grow(p);
    Run run = {.first = p->tokens.n, .n = n};
    run.hash = n ? hash_bytes(0, tokens, n * sizeof *tokens) : 0;
    size_t at = run.hash & (p->table_size - 1);
    for (; p->table[at]; at = (at + 1) & (p->table_size - 1)) {
        const Run *r = &p->runs.data[p->table[at] - 1];
        if (r->hash == run.hash && r->n == n &&
            (n == 0 || memcmp(&p->tokens.data[r->first], tokens, n * sizeof *tokens) == 0))
            return p->table[at] - 1;
    }
    for (size_t i = 0; i < n; i++) {
        run.longest = tokens[i].words > run.longest ? tokens[i].words : run.longest;
        vec_push(&p->arena, &p->tokens, tokens[i]);
    }
    vec_push(&p->arena, &p->runs, run);
    p->table[at] = (uint32_t)p->runs.n;
    return (uint32_t)p->runs.n - 1;
}

// ---- traces ----

static bool op_has_color(const Op *op)
{
    return op->dst.kind == OPERAND_COLOR || op->src[0].kind == OPERAND_COLOR ||
           op->src[1].kind == OPERAND_COLOR || op->src[2].kind == OPERAND_COLOR;
}

// Marks the loops that no message is in.
static bool *quiet_loops(Arena *a, const Class *c)
{
    bool *quiet = arena_array(a, bool, (size_t)c->n_ops + 1);
    for (uint32_t i = 0; i < c->n_ops; i++) {
        if (c->ops[i].code != OPCODE_LOOP)
            continue;
        quiet[i] = true;
        for (uint32_t k = i + 1; k < c->ops[i].match; k++) {
            const Op *op = &c->ops[k];
            if (op->code != OPCODE_LOOP && op->code != OPCODE_END && op_has_color(op))
                quiet[i] = false;
        }
    }
    return quiet;
}

static void add_token(Proof *p, const Walk *w, const Op *op, const Operand *o, bool out)
{
    if (o->kind != OPERAND_COLOR)
        return;
    uint64_t words = op_message_words(op, o, w->data, w->counter);
    Token t = {words > UINT32_MAX ? UINT32_MAX : (uint32_t)words, o->channel, out, 0};
    vec_push(&p->arena, &p->scratch, t);
}

// Walks one program with one set of data.
static bool make_trace(Proof *p, const FabricNode *n, const bool *quiet, uint32_t *result)
{
    const Class *c = &p->f->image->classes[n->class_id];
    Walk w = {.c = c, .data = n->data, .pass_by = quiet, .budget = WALK_LIMIT};
    p->scratch.n = 0;
    for (const Op *op; (op = walk_next(&w));) {
        size_t before = p->scratch.n;
        for (int k = 0; k < PROGRAM_SOURCES; k++)
            add_token(p, &w, op, &op->src[k], false);
        add_token(p, &w, op, &op->dst, true);
        if (p->scratch.n > before)
            p->scratch.data[p->scratch.n - 1].end = 1;
        if (p->scratch.n > max_tokens)
            break;
    }
    p->steps += WALK_LIMIT - w.budget;
    if (p->steps > max_steps || p->tokens.n + p->scratch.n > max_tokens || w.budget == 0)
        return check_fail(p->d, CHECK_SIZE,
                          "the programs take more steps or messages than can be followed");
    uint32_t run = intern(p);
    if (run >= p->cap_trace_of_run) {
        size_t cap = 2 * (size_t)run + 64;
        uint32_t *grown = arena_array(&p->arena, uint32_t, cap);
        if (p->cap_trace_of_run)
            memcpy(grown, p->trace_of_run, p->cap_trace_of_run * sizeof *grown);
        p->trace_of_run = grown;
        p->cap_trace_of_run = cap;
    }
    if (p->trace_of_run[run] == 0) {
        Trace t = {.run = run};
        for (uint32_t k = 0; k < PROGRAM_MAX_CHANNELS; k++) {
            p->scratch.n = 0;
            for (size_t i = 0; i < p->runs.data[run].n; i++) {
                Token token = p->tokens.data[p->runs.data[run].first + i];
                if (token.channel == k) {
                    token = (Token){token.words, 0, 0, 0};
                    vec_push(&p->arena, &p->scratch, token);
                }
            }
            t.sequence[k] = intern(p);
        }
        vec_push(&p->arena, &p->traces, t);
        p->trace_of_run[run] = (uint32_t)p->traces.n;
    }
    *result = p->trace_of_run[run] - 1;
    return true;
}

static bool make_traces(Proof *p)
{
    const Fabric *f = p->f;
    const Image *image = f->image;
    uint32_t n_nodes = f->n_cores + f->n_ports;
    const bool **quiet = arena_array(&p->arena, const bool *, (size_t)image->n_classes + 1);
    uint64_t events = 0;
    p->trace = arena_array(&p->arena, uint32_t, (size_t)n_nodes + 1);
    // Within a rectangle, sets of data words lie in the order in which nodes first use them.
    uint32_t first = 0, sets = 0;
    uint32_t *of_set = arena_array(&p->arena, uint32_t, (size_t)n_nodes + 1);
    for (uint32_t i = 0; i < n_nodes; i++) {
        const FabricNode *n = &f->nodes[i], *start = &f->nodes[first];
        if (i > 0 && (n->is_port || n->rect != start->rect)) {
            first = i;
            start = n;
            sets = 0;
        }
        uint32_t n_data = image->classes[n->class_id].n_data;
        size_t set = n_data && !n->is_port ? (size_t)(n->data - start->data) / n_data : 0;
        if (set >= sets) {
            if (!quiet[n->class_id])
                quiet[n->class_id] = quiet_loops(&p->arena, &image->classes[n->class_id]);
            if (!make_trace(p, n, quiet[n->class_id], &of_set[sets++]))
                return false;
        }
        p->trace[i] = of_set[set];
        events += p->runs.data[p->traces.data[p->trace[i]].run].n;
    }
    if (events > max_events)
        return check_fail(p->d, CHECK_SIZE, "%" PRIu64 " messages a sample are too many to follow",
                          events);
    return true;
}

// ---- balance ----

static const Run *sequence(const Proof *p, uint32_t node, uint32_t channel)
{
    return &p->runs.data[p->traces.data[p->trace[node]].sequence[channel]];
}

static const char *node_name(Proof *p, uint32_t node)
{
    return fabric_node_name(&p->arena, p->f, node);
}

static void report_imbalance(Proof *p, const FabricRoute *r, const FabricReceiver *to)
{
    const Run *sent = sequence(p, r->source, r->channel);
    const Run *taken = sequence(p, to->node, to->channel);
    const char *stream = fabric_stream_name(&p->arena, p->f->image, r->stream);
    if (sent->n != taken->n) {
        check_fail(p->d, CHECK_BALANCE,
                   "%s: %s sends %zu messages a sample on color %" PRIu32 ", %s receives %zu",
                   stream, node_name(p, r->source), sent->n, r->color, node_name(p, to->node),
                   taken->n);
        return;
    }
    size_t i = 0;
    const Token *s = &p->tokens.data[sent->first], *t = &p->tokens.data[taken->first];
    while (s[i].words == t[i].words)
        i++;
    check_fail(p->d, CHECK_MESSAGE_WORDS,
               "%s: message %zu of a sample has %" PRIu32 " words at %s, %" PRIu32 " at %s", stream,
               i, s[i].words, node_name(p, r->source), t[i].words, node_name(p, to->node));
}

static bool check_balance(Proof *p)
{
    for (uint32_t i = 0; i < p->f->n_routes; i++) {
        const FabricRoute *r = &p->f->routes[i];
        const Run *sent = sequence(p, r->source, r->channel);
        for (uint32_t k = 0; k < r->n_receivers && !enough(p); k++) {
            const FabricReceiver *to = &r->receivers[k];
            const FabricNode *n = &p->f->nodes[to->node];
            if (sequence(p, to->node, to->channel) != sent)
                report_imbalance(p, r, to);
            else if (!n->is_port && sent->longest > n->channels[to->channel].slot_words)
                check_fail(p->d, CHECK_MESSAGE_SLOT,
                           "%s: a message has %" PRIu32 " words, a slot at %s %" PRIu32,
                           fabric_stream_name(&p->arena, p->f->image, r->stream), sent->longest,
                           node_name(p, to->node), n->channels[to->channel].slot_words);
        }
    }
    return p->d->n_errors == p->errors_before;
}

// ---- execution ----

static void enqueue(Proof *p, uint32_t node)
{
    size_t n_nodes = (size_t)p->f->n_cores + p->f->n_ports;
    if (p->queued[node])
        return;
    p->queued[node] = true;
    p->queue[(p->head + p->n_queued++) % n_nodes] = node;
}

static uint32_t capacity(const Proof *p, const FabricReceiver *to)
{
    const FabricNode *n = &p->f->nodes[to->node];
    return n->is_port ? UINT32_MAX : n->channels[to->channel].slots;
}

static uint32_t *fill_of(const Proof *p, const FabricNode *n, uint32_t channel)
{
    return &p->fill[p->ring[n->route[channel]] + n->receiver[channel]];
}

static void take(Proof *p, const FabricNode *n, uint32_t channel)
{
    uint32_t route = n->route[channel];
    const FabricRoute *r = &p->f->routes[route];
    uint32_t *fill = fill_of(p, n, channel);
    if (*fill == capacity(p, &r->receivers[n->receiver[channel]]) && --p->full[route] == 0)
        enqueue(p, r->source);
    --*fill;
}

static void send(Proof *p, const FabricNode *n, uint32_t channel)
{
    uint32_t route = n->route[channel];
    const FabricRoute *r = &p->f->routes[route];
    uint32_t *fill = &p->fill[p->ring[route]];
    for (uint32_t k = 0; k < r->n_receivers; k++) {
        if (++fill[k] == capacity(p, &r->receivers[k]))
            p->full[route]++;
        enqueue(p, r->receivers[k].node);
    }
}

// What keeps a node from its next operation; NONE also at its end.
static LivenessWait obstacle(const Proof *p, uint32_t node)
{
    const FabricNode *n = &p->f->nodes[node];
    const Run *run = &p->runs.data[p->traces.data[p->trace[node]].run];
    for (size_t i = p->position[node]; i < run->n; i++) {
        Token t = p->tokens.data[run->first + i];
        uint32_t route = n->route[t.channel];
        if (!t.out && *fill_of(p, n, t.channel) == 0)
            return (LivenessWait){WAIT_MESSAGE, t.channel, 0};
        if (t.out && p->full[route] > 0) {
            const FabricRoute *r = &p->f->routes[route];
            uint32_t k = 0;
            while (p->fill[p->ring[route] + k] < capacity(p, &r->receivers[k]))
                k++;
            return (LivenessWait){WAIT_ROOM, t.channel, k};
        }
        if (t.end)
            break;
    }
    return (LivenessWait){WAIT_NONE, 0, 0};
}

static bool finished(const Proof *p, uint32_t node)
{
    return p->position[node] == p->runs.data[p->traces.data[p->trace[node]].run].n;
}

static void run_node(Proof *p, uint32_t node)
{
    const FabricNode *n = &p->f->nodes[node];
    const Run *run = &p->runs.data[p->traces.data[p->trace[node]].run];
    while (!finished(p, node) && obstacle(p, node).kind == WAIT_NONE) {
        Token t;
        do {
            t = p->tokens.data[run->first + p->position[node]++];
            if (t.out)
                send(p, n, t.channel);
            else
                take(p, n, t.channel);
        } while (!t.end);
    }
}

static bool execute(Proof *p)
{
    const Fabric *f = p->f;
    uint32_t n_nodes = f->n_cores + f->n_ports;
    size_t rings = 0;
    p->ring = arena_array(&p->arena, size_t, (size_t)f->n_routes + 1);
    for (uint32_t i = 0; i < f->n_routes; i++) {
        p->ring[i] = rings;
        rings += f->routes[i].n_receivers;
    }
    p->fill = arena_array(&p->arena, uint32_t, rings + 1);
    p->full = arena_array(&p->arena, uint32_t, (size_t)f->n_routes + 1);
    p->position = arena_array(&p->arena, size_t, (size_t)n_nodes + 1);
    p->queue = arena_array(&p->arena, uint32_t, (size_t)n_nodes + 1);
    p->queued = arena_array(&p->arena, bool, (size_t)n_nodes + 1);
    for (uint32_t i = 0; i < n_nodes; i++)
        enqueue(p, i);
    while (p->n_queued > 0) {
        uint32_t node = p->queue[p->head];
        p->head = (p->head + 1) % n_nodes;
        p->n_queued--;
        p->queued[node] = false;
        run_node(p, node);
    }
    // Counts balance, so rings are empty once every program is at its end.
    uint32_t stuck = 0;
    LivenessWait *waits = arena_array(&p->arena, LivenessWait, (size_t)n_nodes + 1);
    for (uint32_t i = 0; i < n_nodes; i++) {
        stuck += !finished(p, i);
        waits[i] = obstacle(p, i);
    }
    if (stuck == 0)
        return true;
    Text t = {0};
    liveness_describe_wait(&t, f, waits);
    check_fail(p->d, CHECK_DEADLOCK, "%" PRIu32 " of %" PRIu32 " programs get stuck: %s", stuck,
               n_nodes, t.data);
    text_free(&t);
    return false;
}

bool liveness_check(Diag *d, const Fabric *f)
{
    Proof p = {.d = d, .errors_before = d->n_errors, .f = f};
    bool good = make_traces(&p) && check_balance(&p) && execute(&p);
    arena_free(&p.arena);
    return good;
}

// ---- words ----

static uint32_t waits_for(const Fabric *f, uint32_t node, LivenessWait w)
{
    const FabricRoute *r = &f->routes[f->nodes[node].route[w.channel]];
    return w.kind == WAIT_MESSAGE ? r->source : r->receivers[w.receiver].node;
}

static void describe(Text *t, Arena *a, const Fabric *f, uint32_t node, LivenessWait w)
{
    const char *name = fabric_node_name(a, f, node);
    if (w.kind == WAIT_NONE) {
        text_printf(t, "\n  %s does not wait", name);
        return;
    }
    const FabricRoute *r = &f->routes[f->nodes[node].route[w.channel]];
    const char *stream = fabric_stream_name(a, f->image, r->stream);
    const char *other = fabric_node_name(a, f, waits_for(f, node, w));
    if (w.kind == WAIT_MESSAGE)
        text_printf(t, "\n  %s waits for a message of %s from %s", name, stream, other);
    else
        text_printf(t, "\n  %s waits for room for a message of %s at %s", name, stream, other);
}

void liveness_describe_wait(Text *t, const Fabric *f, const LivenessWait *waits)
{
    Arena a = {0};
    uint32_t n_nodes = f->n_cores + f->n_ports, at = 0, steps = 0;
    bool *seen = arena_array(&a, bool, (size_t)n_nodes + 1);
    while (at < n_nodes && waits[at].kind == WAIT_NONE)
        at++;
    if (at == n_nodes) {
        text_add(t, "nothing waits");
        arena_free(&a);
        return;
    }
    uint32_t start = at;
    while (!seen[at] && waits[at].kind != WAIT_NONE) {
        seen[at] = true;
        at = waits_for(f, at, waits[at]);
    }
    bool cycle = seen[at];
    if (cycle)
        start = at;
    text_add(t,
             cycle ? "they wait for each other in a circle:" : "they wait for one that does not:");
    at = start;
    do {
        describe(t, &a, f, at, waits[at]);
        if (waits[at].kind == WAIT_NONE)
            break;
        at = waits_for(f, at, waits[at]);
        if (++steps == 40 && at != start) {
            text_add(t, "\n  and so on");
            break;
        }
    } while (at != start);
    arena_free(&a);
}
