// SPDX-License-Identifier: Apache-2.0
// runtime/values.c - values of a placed program, without time.
//
// A route is one buffer that holds all its messages of a batch of samples, densely packed, and
// is read by each receiver at its own pace. Every program runs one iteration a sample, so
// words of a batch are known before it starts. The strongly connected components of the graph
// of cores (Tarjan, SIAM J. Comput. 1(2), 1972) are the tasks of a batch: one core alone runs
// all its iterations in one call, native or interpreted; cores of a larger component take
// turns, operation by operation. Workers take tasks whose inputs are complete, the latest
// one first, since its input is still in the cache. A core belongs to one task and meets
// its samples in order, so threads and batches do not change a bit.
//
// Everything that a run needs is mapped before it starts, because in the sandbox nothing can
// be allocated. Cost: O(nodes + branches) a batch beside the arithmetic.
#include "runtime/values.h"

#include <pthread.h>
#include <string.h>

#include "runtime/interpret.h"
#include "runtime/native_abi.h"
#include "runtime/sandbox.h"
#include "runtime/values_lanes.h"

enum { MIN_BATCH = 8, MAX_BATCH = 64 };

// Batches are kept small enough for the channels to stay in a cache, where they can.
static const uint64_t cached_channel_bytes = UINT64_C(4) << 20;
static const uint64_t max_channel_bytes = UINT64_C(256) << 20;

typedef struct Route {
    uint32_t *words; // of the batch
    uint64_t per_sample;
    uint64_t written; // of the batch
} Route;

typedef struct Node {
    const Class *class_;
    uint8_t *memory;       // SRAM; of ports: the tensor's samples
    uint32_t memory_bytes; // SRAM that is used; of ports: one sample
    uint32_t task;
    NativeClassFn native; // NULL: interpreted
    uint64_t *position;   // by incoming channel: words of the batch read so far
    Cursor cursor;
    uint64_t iteration; // of the batch
} Node;

typedef struct Task {
    uint32_t first, n; // in Run.order
    bool cyclic;
    uint32_t n_inputs; // branches that come from other tasks
    uint32_t missing;  // of these, not complete in this batch
} Task;

// What the parent sees of a run in the sandbox. Texts are static: good in both processes.
typedef struct Shared {
    volatile uint64_t samples_done;
    volatile bool interrupted;
    const char *volatile fault;
    volatile uint32_t fault_node;
} Shared;

typedef struct Run {
    const Fabric *fabric;
    const ValuesOptions *options;
    Arena *arena;
    uint32_t n_nodes;
    Node *nodes;
    Route *routes;
    Task *tasks;
    uint32_t n_tasks;
    uint32_t *order; // nodes by task
    uint64_t batch;
    bool in_child; // the parent reports progress and interrupts
    uint8_t *sram, *code;
    uint32_t *channels;
    uint64_t sram_bytes, channel_bytes;
    Shared *shared;
    Lanes *lanes;         // by tap
    uint32_t **tap_words; // by tap: lane after lane, samples x words of the lane
    uint64_t *tap_bytes;

    // Guarded by lock:
    pthread_mutex_t lock;
    pthread_cond_t wake;
    uint32_t *ready; // stack of tasks
    uint32_t n_ready;
    uint32_t n_done;    // tasks of this batch
    uint64_t sample;    // first one of this batch
    uint64_t n_samples; // of this batch
    bool finished;
} Run;

static uint64_t tensor_bytes(const HostTensor *t)
{
    uint64_t n = dtype_bytes((DType)t->dtype);
    for (uint32_t k = 0; k < t->rank; k++)
        n *= t->extent[k];
    return n;
}

// ---- one node ----

// The first fault is kept. Called by workers without the lock.
static void set_fault(Run *r, uint32_t node, const char *what)
{
    pthread_mutex_lock(&r->lock);
    if (!r->shared->fault) {
        r->shared->fault_node = node;
        r->shared->fault = what;
    }
    r->finished = true;
    pthread_cond_broadcast(&r->wake);
    pthread_mutex_unlock(&r->lock);
}

static void fill_sram(const Run *r, uint32_t id)
{
    const FabricNode *at = &r->fabric->nodes[id];
    const CoreRect *rect = &r->fabric->image->cores[at->rect];
    for (uint32_t k = 0; k < rect->n_inits; k++) {
        const Init *init = &rect->inits[k];
        const uint8_t *from = r->fabric->image->data + (int64_t)init->offset +
                              (int64_t)at->i * init->pitch_i + (int64_t)at->j * init->pitch_j;
        memcpy(r->nodes[id].memory + init->address, from, init->bytes);
    }
}

// Executes operations of this batch's iterations as long as their messages are complete;
// *progress is set if there was one. False on a fault.
static bool interpret_node(Run *r, uint32_t id, bool *progress)
{
    Node *n = &r->nodes[id];
    const FabricNode *at = &r->fabric->nodes[id];
    const char *fault;

    while (n->iteration < r->n_samples) {
        if (!cursor_settle(n->class_, at->data, &n->cursor)) {
            n->iteration++;
            n->cursor = (Cursor){0};
            *progress = true;
            continue;
        }
        const Op *op = &n->class_->ops[n->cursor.pc];
        const uint32_t *in[PROGRAM_SOURCES] = {0};
        uint32_t in_words[PROGRAM_SOURCES] = {0}, *out = NULL, out_words = 0;
        for (int s = 0; s < PROGRAM_SOURCES; s++) {
            const Operand *o = &op->src[s];
            if (o->kind != OPERAND_COLOR)
                continue;
            if (at->route[o->channel] == NO_ROUTE)
                goto no_route;
            const Route *route = &r->routes[at->route[o->channel]];
            uint64_t need = op_message_words(op, o, at->data, n->cursor.counter);
            if (route->written - n->position[o->channel] < need)
                return true;
            in[s] = route->words + n->position[o->channel];
            in_words[s] = (uint32_t)need;
        }
        if (op->dst.kind == OPERAND_COLOR) {
            if (at->route[op->dst.channel] == NO_ROUTE)
                goto no_route;
            const Route *route = &r->routes[at->route[op->dst.channel]];
            uint64_t need = op_message_words(op, &op->dst, at->data, n->cursor.counter);
            out = route->words + route->written;
            out_words =
                need <= route->per_sample * r->n_samples - route->written ? (uint32_t)need : 0;
        }
        uint8_t *memory = n->memory;
        if (at->is_port)
            memory += (r->sample + n->iteration) * n->memory_bytes;
        if (!interpret_op(op, at->data, n->cursor.counter, memory, n->memory_bytes, in, in_words,
                          out, out_words, &fault)) {
            set_fault(r, id, fault);
            return false;
        }
        for (int s = 0; s < PROGRAM_SOURCES; s++)
            if (in[s])
                n->position[op->src[s].channel] += in_words[s];
        if (out)
            r->routes[at->route[op->dst.channel]].written += out_words;
        n->cursor.pc++;
        *progress = true;
    }
    return true;
no_route:
    set_fault(r, id, "an operation uses a channel that has no color on this core");
    return false;
}

static bool run_native(Run *r, uint32_t id)
{
    Node *n = &r->nodes[id];
    const FabricNode *at = &r->fabric->nodes[id];
    NativeCore core = {.memory = n->memory, .data = at->data};
    uint32_t n_channels = n->class_->n_channels;

    for (uint32_t k = 0; k < n_channels; k++)
        if (at->route[k] != NO_ROUTE)
            core.channel[k] = r->routes[at->route[k]].words;
    n->native(&core, 1, r->n_samples);
    for (uint32_t k = 0; k < n_channels; k++) {
        if (at->route[k] == NO_ROUTE)
            continue;
        Route *route = &r->routes[at->route[k]];
        if (core.channel[k] != route->words + route->per_sample * r->n_samples) {
            set_fault(r, id, "native code moved other messages than its program");
            return false;
        }
        if (n->class_->channel_is_out[k])
            route->written = route->per_sample * r->n_samples;
    }
    return true;
}

// ---- tasks ----

static bool run_task(Run *r, const Task *t)
{
    bool progress = true, ended = false;

    for (uint32_t i = t->first; i < t->first + t->n; i++) {
        uint32_t id = r->order[i];
        Node *n = &r->nodes[id];
        n->iteration = 0;
        n->cursor = (Cursor){0};
        for (uint32_t k = 0; k < n->class_->n_channels; k++) {
            n->position[k] = 0;
            if (n->class_->channel_is_out[k] && r->fabric->nodes[id].route[k] != NO_ROUTE)
                r->routes[r->fabric->nodes[id].route[k]].written = 0;
        }
        if (r->sample == 0 && !r->fabric->nodes[id].is_port)
            fill_sram(r, id);
    }
    if (!t->cyclic && r->nodes[r->order[t->first]].native)
        return run_native(r, r->order[t->first]);
    while (progress && !ended) {
        progress = false;
        ended = true;
        for (uint32_t i = t->first; i < t->first + t->n; i++) {
            if (!interpret_node(r, r->order[i], &progress))
                return false;
            ended = ended && r->nodes[r->order[i]].iteration == r->n_samples;
        }
    }
    if (!ended)
        set_fault(r, r->order[t->first], "cores wait for each other");
    return ended;
}

static void begin_batch(Run *r)
{
    uint64_t left = r->options->samples - r->sample;
    r->n_samples = left < r->batch ? left : r->batch;
    r->n_done = 0;
    for (uint32_t t = r->n_tasks; t-- > 0;) {
        r->tasks[t].missing = r->tasks[t].n_inputs;
        if (r->tasks[t].missing == 0)
            r->ready[r->n_ready++] = t;
    }
}

static void end_batch(Run *r)
{
    for (uint32_t t = 0; t < r->options->n_taps; t++) {
        uint32_t *lane_words = r->tap_words[t];
        for (uint32_t l = 0; l < r->lanes[t].n; l++) {
            const Route *route = &r->routes[r->lanes[t].route[l]];
            memcpy(lane_words + r->sample * route->per_sample, route->words,
                   route->per_sample * r->n_samples * sizeof *route->words);
            lane_words += r->options->samples * route->per_sample;
        }
    }
    r->sample += r->n_samples;
    r->shared->samples_done = r->sample;
    if (r->options->progress && !r->in_child)
        r->options->progress(r->options->progress_arg, r->sample);
    if (r->sample == r->options->samples)
        r->finished = true;
    else
        begin_batch(r);
}

static void end_task(Run *r, uint32_t t)
{
    for (uint32_t i = r->tasks[t].first; i < r->tasks[t].first + r->tasks[t].n; i++) {
        const FabricNode *at = &r->fabric->nodes[r->order[i]];
        const Class *c = r->nodes[r->order[i]].class_;
        for (uint32_t k = 0; k < c->n_channels; k++) {
            if (!c->channel_is_out[k] || at->route[k] == NO_ROUTE)
                continue;
            const FabricRoute *route = &r->fabric->routes[at->route[k]];
            for (uint32_t j = 0; j < route->n_receivers; j++) {
                uint32_t to = r->nodes[route->receivers[j].node].task;
                if (to != t && --r->tasks[to].missing == 0)
                    r->ready[r->n_ready++] = to;
            }
        }
    }
    if (++r->n_done == r->n_tasks)
        end_batch(r);
}

static void work(void *context, unsigned worker)
{
    Run *r = context;
    (void)worker;

    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (!r->finished && r->n_ready == 0)
            pthread_cond_wait(&r->wake, &r->lock);
        if (r->options->interrupt && *r->options->interrupt) {
            r->shared->interrupted = true;
            r->finished = true;
        }
        if (r->finished)
            break;
        uint32_t t = r->ready[--r->n_ready];
        pthread_mutex_unlock(&r->lock);
        bool ok = run_task(r, &r->tasks[t]);
        pthread_mutex_lock(&r->lock);
        if (ok && !r->finished)
            end_task(r, t);
        if (r->n_ready > 1 || r->finished)
            pthread_cond_broadcast(&r->wake);
    }
    pthread_cond_broadcast(&r->wake);
    pthread_mutex_unlock(&r->lock);
}

// ---- components ----

typedef struct Edges {
    uint32_t *first; // by node, n + 1
    uint32_t *to;
} Edges;

static Edges collect_edges(const Run *r)
{
    const Fabric *f = r->fabric;
    Edges e = {.first = arena_array(r->arena, uint32_t, (size_t)r->n_nodes + 1)};
    for (uint32_t k = 0; k < f->n_routes; k++)
        e.first[f->routes[k].source + 1] += f->routes[k].n_receivers;
    for (uint32_t v = 0; v < r->n_nodes; v++)
        e.first[v + 1] += e.first[v];
    e.to = arena_array(r->arena, uint32_t, e.first[r->n_nodes]);
    uint32_t *next = arena_array(r->arena, uint32_t, r->n_nodes);
    for (uint32_t k = 0; k < f->n_routes; k++)
        for (uint32_t j = 0; j < f->routes[k].n_receivers; j++) {
            uint32_t v = f->routes[k].source;
            e.to[e.first[v] + next[v]++] = f->routes[k].receivers[j].node;
        }
    return e;
}

// Tarjan's algorithm with a stack of its own. Components come in reverse topological order;
// the tasks are numbered in that order.
static void find_tasks(Run *r)
{
    Edges e = collect_edges(r);
    uint32_t n = r->n_nodes, time = 0, n_path = 0, n_open = 0, n_order = 0;
    uint32_t *index = arena_array(r->arena, uint32_t, n); // 0: not met
    uint32_t *low = arena_array(r->arena, uint32_t, n);
    uint32_t *next = arena_array(r->arena, uint32_t, n);
    uint32_t *path = arena_array(r->arena, uint32_t, n);
    uint32_t *open = arena_array(r->arena, uint32_t, n);

    r->tasks = arena_array(r->arena, Task, n);
    r->order = arena_array(r->arena, uint32_t, n);
    for (uint32_t v = 0; v < n; v++)
        r->nodes[v].task = UINT32_MAX;
    for (uint32_t root = 0; root < n; root++) {
        if (index[root] != 0)
            continue;
        path[n_path++] = root;
        while (n_path > 0) {
            uint32_t v = path[n_path - 1];
            if (index[v] == 0) {
                index[v] = low[v] = ++time;
                open[n_open++] = v;
            }
            if (next[v] < e.first[v + 1] - e.first[v]) {
                uint32_t w = e.to[e.first[v] + next[v]++];
                if (index[w] == 0)
                    path[n_path++] = w;
                else if (r->nodes[w].task == UINT32_MAX && index[w] < low[v])
                    low[v] = index[w];
                continue;
            }
            n_path--;
            if (n_path > 0 && low[v] < low[path[n_path - 1]])
                low[path[n_path - 1]] = low[v];
            if (low[v] != index[v])
                continue;
            Task *t = &r->tasks[r->n_tasks];
            t->first = n_order;
            do {
                r->nodes[open[--n_open]].task = r->n_tasks;
                r->order[n_order++] = open[n_open];
            } while (open[n_open] != v);
            t->n = n_order - t->first;
            r->n_tasks++;
        }
    }
    for (uint32_t v = 0; v < n; v++)
        for (uint32_t k = e.first[v]; k < e.first[v + 1]; k++) {
            uint32_t from = r->nodes[v].task, to = r->nodes[e.to[k]].task;
            if (from == to)
                r->tasks[to].cyclic = true;
            else
                r->tasks[to].n_inputs++;
        }
    r->ready = arena_array(r->arena, uint32_t, r->n_tasks);
}

// ---- set-up ----

static bool node_error(Run *r, Diag *d, uint32_t id, const char *what)
{
    return diag_error(d, (Span){0}, "%s: %s", fabric_node_name(r->arena, r->fabric, id), what);
}

// Words a sample of every route, equal at its source and all its receivers.
static bool count_words(Run *r, Diag *d)
{
    const Fabric *f = r->fabric;
    ProgramTotals totals;
    uint32_t counted_rect = UINT32_MAX;
    const int32_t *counted = NULL;

    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t id = 0; id < r->n_nodes; id++) {
            const FabricNode *at = &f->nodes[id];
            const Class *c = r->nodes[id].class_;
            uint32_t rect = at->is_port ? f->image->n_cores + at->rect : at->rect;
            if (rect != counted_rect || at->data != counted) {
                if (!program_totals(&f->image->machine, c, at->data, &totals))
                    return node_error(r, d, id, "its program is too long to be counted");
                counted_rect = rect;
                counted = at->data;
            }
            for (uint32_t k = 0; k < c->n_channels; k++) {
                if (at->route[k] == NO_ROUTE)
                    continue;
                Route *route = &r->routes[at->route[k]];
                if (c->channel_is_out[k] && pass == 0)
                    route->per_sample = totals.words_in[k];
                else if (!c->channel_is_out[k] && pass == 1 &&
                         route->per_sample != totals.words_in[k])
                    return node_error(
                        r, d, id,
                        arena_printf(r->arena,
                                     "it takes %llu words a sample of a channel that brings %llu",
                                     (unsigned long long)totals.words_in[k],
                                     (unsigned long long)route->per_sample));
            }
        }
    }
    return true;
}

static uint64_t padded(uint64_t bytes)
{
    return (bytes + NATIVE_SLACK + 63) / 64 * 64;
}

static void choose_batch(Run *r)
{
    uint64_t sample_bytes = 1, batch = r->options->batch;
    for (uint32_t k = 0; k < r->fabric->n_routes; k++)
        sample_bytes += r->routes[k].per_sample * 4;
    if (batch == 0) {
        batch = cached_channel_bytes / sample_bytes;
        batch = batch < MIN_BATCH ? MIN_BATCH : batch > MAX_BATCH ? MAX_BATCH : batch;
        if (batch > max_channel_bytes / sample_bytes)
            batch = max_channel_bytes / sample_bytes;
    }
    r->batch = batch < 1 ? 1 : batch > r->options->samples ? r->options->samples : batch;
}

static bool map_memory(Run *r, Diag *d)
{
    const Fabric *f = r->fabric;
    choose_batch(r);
    for (uint32_t k = 0; k < f->n_routes; k++)
        r->channel_bytes += padded(r->routes[k].per_sample * r->batch * 4);
    for (uint32_t id = 0; id < f->n_cores; id++)
        r->sram_bytes += padded(r->nodes[id].memory_bytes);
    r->channels = sandbox_memory(r->channel_bytes, false);
    r->sram = sandbox_memory(r->sram_bytes, false);
    r->shared = sandbox_memory(sizeof *r->shared, true);
    if (!r->channels || !r->sram || !r->shared)
        return diag_error(d, (Span){0}, "cannot map %llu MB for the cores' memories and channels",
                          (unsigned long long)((r->channel_bytes + r->sram_bytes) >> 20));
    uint64_t at = 0;
    for (uint32_t k = 0; k < f->n_routes; k++) {
        r->routes[k].words = r->channels + at / 4;
        at += padded(r->routes[k].per_sample * r->batch * 4);
    }
    at = 0;
    for (uint32_t id = 0; id < f->n_cores; id++) {
        r->nodes[id].memory = r->sram + at;
        at += padded(r->nodes[id].memory_bytes);
    }
    return true;
}

static void unmap_memory(Run *r)
{
    sandbox_release(r->channels, r->channel_bytes);
    sandbox_release(r->sram, r->sram_bytes);
    sandbox_release(r->shared, sizeof *r->shared);
    sandbox_release(r->code, r->fabric->image->native.bytes);
    for (uint32_t t = 0; t < r->options->n_taps; t++)
        sandbox_release(r->tap_words[t], r->tap_bytes[t]);
}

static void set_up_nodes(Run *r)
{
    const Fabric *f = r->fabric;
    r->nodes = arena_array(r->arena, Node, r->n_nodes);
    r->routes = arena_array(r->arena, Route, f->n_routes);
    for (uint32_t id = 0; id < r->n_nodes; id++) {
        const FabricNode *at = &f->nodes[id];
        Node *n = &r->nodes[id];
        n->class_ = &f->image->classes[at->class_id];
        n->position = arena_array(r->arena, uint64_t, n->class_->n_channels);
        if (at->is_port) {
            n->memory_bytes =
                (uint32_t)tensor_bytes(&f->image->tensors[f->image->ports[at->rect].tensor]);
        } else {
            const CoreRect *rect = &f->image->cores[at->rect];
            for (uint32_t k = 0; k < rect->n_segments; k++)
                if (rect->segments[k].address + rect->segments[k].bytes > n->memory_bytes)
                    n->memory_bytes = rect->segments[k].address + rect->segments[k].bytes;
        }
    }
}

static bool map_taps(Run *r, Diag *d)
{
    uint32_t n = r->options->n_taps;
    r->lanes = arena_array(r->arena, Lanes, n);
    r->tap_words = arena_array(r->arena, uint32_t *, n);
    r->tap_bytes = arena_array(r->arena, uint64_t, n);
    for (uint32_t t = 0; t < n; t++) {
        if (!stream_lanes(r->arena, d, r->fabric, r->options->taps[t].stream, &r->lanes[t]))
            return false;
        for (uint32_t l = 0; l < r->lanes[t].n; l++)
            r->tap_bytes[t] += r->routes[r->lanes[t].route[l]].per_sample * 4 * r->options->samples;
        r->tap_words[t] = sandbox_memory(r->tap_bytes[t], true);
        if (!r->tap_words[t])
            return diag_error(d, (Span){0}, "cannot map %llu MB for the values of a stream",
                              (unsigned long long)(r->tap_bytes[t] >> 20));
    }
    return true;
}

static void fill_taps(const Run *r)
{
    for (uint32_t t = 0; t < r->options->n_taps; t++) {
        ValuesTap *tap = &r->options->taps[t];
        const uint32_t *from = r->tap_words[t];
        tap->n_lanes = r->lanes[t].n;
        tap->lane_words = arena_array(r->arena, uint64_t, tap->n_lanes);
        tap->words = arena_array(r->arena, uint32_t *, tap->n_lanes);
        for (uint32_t l = 0; l < tap->n_lanes; l++) {
            uint64_t n = r->routes[r->lanes[t].route[l]].per_sample;
            tap->lane_words[l] = n;
            tap->words[l] = arena_array(r->arena, uint32_t, n * r->options->samples);
            memcpy(tap->words[l], from, n * r->options->samples * 4);
            from += n * r->options->samples;
        }
    }
}

// ---- running ----

static void bind_ports(Run *r, const uint8_t *const *inputs, uint8_t *const *outputs)
{
    for (uint32_t id = r->fabric->n_cores; id < r->n_nodes; id++) {
        const Port *p = &r->fabric->image->ports[r->fabric->nodes[id].rect];
        // A port's program only reads an input: it has one channel, and that is an output.
        r->nodes[id].memory = p->is_sink ? outputs[p->tensor] : (uint8_t *)inputs[p->tensor];
    }
}

static void *run_worker(void *context)
{
    work(context, 1);
    return NULL;
}

static void run_here(Run *r, unsigned threads)
{
    pthread_t thread[SANDBOX_MAX_WORKERS];
    unsigned n = 0;
    while (n + 1 < threads && pthread_create(&thread[n], NULL, run_worker, r) == 0)
        n++; // fewer workers are slower, not wrong
    work(r, 0);
    while (n > 0)
        pthread_join(thread[--n], NULL);
}

static bool watch(void *context)
{
    Run *r = context;
    if (r->options->progress)
        r->options->progress(r->options->progress_arg, r->shared->samples_done);
    return !(r->options->interrupt && *r->options->interrupt);
}

// In the sandbox, with outputs in shared memory. Nothing of the parent's state changes if there
// is no sandbox.
static SandboxStatus run_sandboxed(Run *r, unsigned threads, const uint8_t *const *inputs,
                                   uint8_t *const *outputs, const char **why)
{
    const Image *image = r->fabric->image;
    uint8_t **shared = arena_array(r->arena, uint8_t *, image->n_tensors);
    SandboxStatus status = SANDBOX_NONE;
    bool mapped = true;

    for (uint32_t t = 0; t < image->n_tensors; t++) {
        if (!image->tensors[t].is_output)
            continue;
        shared[t] = sandbox_memory(tensor_bytes(&image->tensors[t]) * r->options->samples, true);
        mapped = mapped && shared[t];
    }
    *why = "out of memory";
    if (mapped) {
        bind_ports(r, inputs, shared);
        r->in_child = true;
        status = sandbox_run(&(SandboxJob){threads, work, watch, r}, why);
        r->in_child = false;
    }
    for (uint32_t t = 0; t < image->n_tensors; t++) {
        if (!image->tensors[t].is_output)
            continue;
        uint64_t bytes = tensor_bytes(&image->tensors[t]) * r->options->samples;
        if (status == SANDBOX_DONE)
            memcpy(outputs[t], shared[t], bytes);
        sandbox_release(shared[t], bytes);
    }
    return status;
}

// Maps the code and gives it to the cores. *usable is false, with a warning, where this host
// cannot run it; the result is false where the image is wrong.
static bool load_native(Run *r, Diag *d, bool *usable)
{
    const Image *image = r->fabric->image;
    const NativeCode *code = &image->native;
    uint8_t digest[32];

    *usable = false;
    if (code->bytes == 0) {
        diag_warning(d, (Span){0}, "the image has no native code; interpreting");
        return true;
    }
    image_programs_digest(image, digest);
    if (memcmp(digest, code->programs, sizeof digest) != 0)
        return diag_error(d, (Span){0},
                          "the native code was made from other programs than those "
                          "of the image; compile again");
    if (!sandbox_cpu_ok(code->cpu)) {
        diag_warning(d, (Span){0}, "this CPU cannot run native code for %s; interpreting",
                     code->cpu);
        return true;
    }
    r->code = sandbox_code(code->code, code->bytes);
    if (!r->code) {
        diag_warning(d, (Span){0}, "this system does not let native code be mapped; interpreting");
        return true;
    }
    for (uint32_t id = 0; id < r->fabric->n_cores; id++) {
        uint64_t entry = code->entry[r->fabric->nodes[id].class_id];
        if (entry >= code->bytes)
            continue;
        uint8_t *at = r->code + entry;
        memcpy(&r->nodes[id].native, &at, sizeof at);
    }
    *usable = true;
    return true;
}

static bool run(Run *r, Diag *d, const uint8_t *const *inputs, uint8_t *const *outputs)
{
    unsigned threads = r->options->threads;
    bool native = false;
    const char *why;

    threads = threads < 1 ? 1 : threads > SANDBOX_MAX_WORKERS ? SANDBOX_MAX_WORKERS : threads;
    if (r->options->native && !load_native(r, d, &native))
        return false;
    begin_batch(r);
    if (native) {
        SandboxStatus status = run_sandboxed(r, threads, inputs, outputs, &why);
        if (status == SANDBOX_FAULT)
            return diag_fault(d, (Span){0}, "%s", why);
        if (status == SANDBOX_NONE) {
            diag_warning(d, (Span){0}, "no sandbox for native code: %s; interpreting", why);
            for (uint32_t id = 0; id < r->fabric->n_cores; id++)
                r->nodes[id].native = NULL;
            native = false;
        }
        r->shared->interrupted = r->shared->interrupted || status == SANDBOX_STOPPED;
    }
    if (!native) {
        bind_ports(r, inputs, outputs);
        run_here(r, threads);
    }
    if (r->shared->fault)
        return diag_fault(d, (Span){0}, "%s: %s",
                          fabric_node_name(r->arena, r->fabric, r->shared->fault_node),
                          r->shared->fault);
    if (r->shared->interrupted)
        return false;
    fill_taps(r);
    return true;
}

bool values_run(Arena *a, Diag *d, const Fabric *f, const ValuesOptions *options,
                const uint8_t *const *inputs, uint8_t *const *outputs)
{
    Run r = {.fabric = f, .options = options, .arena = a, .n_nodes = f->n_cores + f->n_ports};
    bool ok = true;

    if (options->samples == 0)
        return true;
    if (!f->image->has_weights)
        return diag_error(d, (Span){0}, "the image was planned without weights and has no values");
    pthread_mutex_init(&r.lock, NULL);
    pthread_cond_init(&r.wake, NULL);
    set_up_nodes(&r);
    find_tasks(&r);
    ok = count_words(&r, d) && map_memory(&r, d) && map_taps(&r, d) && run(&r, d, inputs, outputs);
    unmap_memory(&r);
    pthread_cond_destroy(&r.wake);
    pthread_mutex_destroy(&r.lock);
    return ok;
}
