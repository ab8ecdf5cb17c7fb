// SPDX-License-Identifier: Apache-2.0
// tests/engines/wavelet.c - see wavelet.h. Every cycle visits every core and every link in
// use: O(cycles * (cores + links)). Within a cycle cores come first, then links, which decide
// by how full queues were when the cycle began; a word that becomes available in cycle t can
// be used in cycle t.
#include "tests/engines/wavelet.h"

#include <stdlib.h>
#include <string.h>

#include "ir/support/vec.h"
#include "runtime/interpret.h"

enum {
    ROUTER_WORDS = 2,
    QUEUE_WORDS = 4,
    PORT_RING = 2,
    PATIENCE = 100000,
    MOST = 64,
    MOST_WORDS = 48
};

typedef struct Message {
    uint32_t *payload;
    uint32_t words, references;
} Message;

typedef struct Word {
    Message *message;
    uint32_t index;
    uint64_t ready; // cycle from which it can be used
} Word;

typedef struct Fifo Fifo;
typedef struct Link Link;

typedef struct Branch {
    Link *link;
    Fifo *to;
    uint32_t delay;
} Branch;

struct Fifo {
    Word words[MOST_WORDS];
    uint32_t head, n, capacity;
    uint32_t n_before; // when the cycle began
    uint32_t taken;    // branches that have taken the head: a set
    Branch out[SIDE_COUNT];
    uint32_t n_out;
};

struct Link { // who wants to use it, in turn
    struct {
        Fifo *fifo;
        uint32_t branch;
    } user[2 * MACHINE_MAX_COLORS];
    uint32_t n_users, turn;
};

typedef struct Input { // of a core
    Fifo *queue;
    uint32_t slots;        // of the ring, in messages
    uint64_t consumed;     // messages
    uint64_t landing;      // message that words landed last belong to
    uint32_t landed[MOST]; // words in the ring, of message `consumed` and those after it
    Message *message[MOST];
    uint64_t credit; // of the copy width
} Input;

typedef struct Core {
    const Class *c;
    const int32_t *data;
    int port; // or -1
    uint32_t x, y;
    uint8_t *sram;
    Fifo *fifo[PROGRAM_MAX_CHANNELS];
    Input input[PROGRAM_MAX_CHANNELS];
    Cursor at;
    uint64_t iteration;
    // the operation under way
    bool loaded, started, finished;
    uint64_t setup, elements, done, rate_num, rate_den, budget, debt;
    uint32_t from_queue[PROGRAM_SOURCES]; // words taken from the queue directly
    Message *out;
    uint32_t sent;
} Core;

typedef struct Wavelets {
    Arena *a;
    const Image *image;
    const Machine *m;
    uint64_t samples, now;
    const uint8_t *const *inputs;
    uint8_t *const *outputs;
    Core *cores;
    size_t n_cores;
    VEC(Link *) links;
    VEC(Fifo *) fifos;
    Fifo **router;            // by (y * width + x) * colors + color
    const RouteRect **config; // of it
    uint32_t *core_at;        // core + 1
    const DefectMap *defects; // NULL: none
    WaveletResult *result;
    bool progress;
} Wavelets;

static bool fault(Wavelets *w, const Core *c, const char *what)
{
    if (!w->result->fault)
        w->result->fault =
            arena_printf(w->a, "cycle %llu, %s (%u, %u): %s", (unsigned long long)w->now,
                         c && c->port >= 0 ? "port" : "core", c ? c->x : 0, c ? c->y : 0, what);
    return false;
}

// ---- building ----

static Fifo *new_fifo(Wavelets *w, uint32_t capacity)
{
    Fifo *f = arena_new(w->a, Fifo);
    f->capacity = capacity;
    vec_push(w->a, &w->fifos, f);
    return f;
}

static Link *new_link(Wavelets *w)
{
    Link *l = arena_new(w->a, Link);
    vec_push(w->a, &w->links, l);
    return l;
}

// Words of `from` also go to `to`.
static void connect(Fifo *from, Link *link, Fifo *to, uint32_t delay, uint32_t routers)
{
    link->user[link->n_users].fifo = from;
    link->user[link->n_users++].branch = from->n_out;
    from->out[from->n_out++] = (Branch){link, to, delay};
    // What the wire itself holds, and the routers of dead cores that it passes.
    to->capacity += delay - 1 + routers;
}

static size_t router_index(const Wavelets *w, uint32_t x, uint32_t y, uint32_t color)
{
    return ((size_t)y * w->m->width + x) * MACHINE_MAX_COLORS + color;
}

static void add_core(Wavelets *w, Core *c, const Class *class_, uint32_t x, uint32_t y, int port)
{
    c->c = class_;
    c->x = x;
    c->y = y;
    c->port = port;
    if (port < 0)
        w->core_at[y * w->m->width + x] = (uint32_t)(c - w->cores) + 1;
}

static void build_cores(Wavelets *w)
{
    const Image *im = w->image;
    size_t n = im->n_ports, k = 0;

    for (uint32_t r = 0; r < im->n_cores; r++)
        n += (size_t)im->cores[r].grid.nx * im->cores[r].grid.ny;
    w->cores = arena_array(w->a, Core, n);
    w->n_cores = n;
    for (uint32_t r = 0; r < im->n_cores; r++) {
        const CoreRect *rect = &im->cores[r];
        const Class *c = &im->classes[rect->class_id];
        const Grid *g = &rect->grid;
        for (uint32_t ij = 0; ij < g->nx * g->ny; ij++, k++) {
            int32_t i = (int32_t)(ij % g->nx), j = (int32_t)(ij / g->nx);
            Core *core = &w->cores[k];
            int32_t *data = arena_array(w->a, int32_t, c->n_data + 1);
            add_core(w, core, c, g->x + (uint32_t)i * g->sx, g->y + (uint32_t)j * g->sy, -1);
            for (uint32_t d = 0; d < c->n_data; d++)
                data[d] = rect->data[d].value + i * rect->data[d].di + j * rect->data[d].dj;
            core->data = data;
            core->sram = arena_array(w->a, uint8_t, w->m->sram_bytes);
            for (uint32_t s = 0; s < rect->n_inits; s++) {
                const Init *init = &rect->inits[s];
                memcpy(core->sram + init->address,
                       im->data + ((int64_t)init->offset + i * init->pitch_i + j * init->pitch_j),
                       init->bytes);
            }
            for (uint32_t ch = 0; ch < c->n_channels; ch++) {
                if (rect->channels[ch].color < 0)
                    continue;
                core->fifo[ch] = new_fifo(w, QUEUE_WORDS);
                core->fifo[ch]->capacity += c->channel_is_out[ch] ? w->m->latency : 0;
                uint32_t slots = rect->channels[ch].slots;
                core->input[ch] =
                    (Input){.queue = core->fifo[ch], .slots = slots < MOST ? slots : MOST - 1};
            }
        }
    }
    for (uint32_t p = 0; p < im->n_ports; p++, k++) {
        const Port *port = &im->ports[p];
        Core *core = &w->cores[k];
        add_core(w, core, &im->classes[port->class_id], port->side == SIDE_W ? 0 : w->m->width - 1,
                 port->y, (int)p);
        core->data = port->data;
        core->fifo[0] = new_fifo(w, QUEUE_WORDS + w->m->latency);
        core->input[0] = (Input){.queue = core->fifo[0], .slots = PORT_RING};
    }
}

// The core's channel of a color and direction.
static Fifo *core_fifo(Wavelets *w, uint32_t x, uint32_t y, uint32_t color, bool out)
{
    uint32_t id = w->core_at[y * w->m->width + x];
    const Image *im = w->image;
    size_t k = 0;
    if (id == 0)
        return NULL;
    for (uint32_t r = 0; r < im->n_cores; r++) { // its rectangle
        size_t n = (size_t)im->cores[r].grid.nx * im->cores[r].grid.ny;
        if (id - 1 >= k + n) {
            k += n;
            continue;
        }
        const Class *c = w->cores[id - 1].c;
        for (uint32_t ch = 0; ch < c->n_channels; ch++) {
            if (im->cores[r].channels[ch].color == (int32_t)color && c->channel_is_out[ch] == out)
                return w->cores[id - 1].fifo[ch];
        }
        return NULL;
    }
    return NULL;
}

static Fifo *port_fifo(Wavelets *w, uint32_t side, uint32_t y, uint32_t color, bool sink)
{
    for (uint32_t p = 0; p < w->image->n_ports; p++) {
        const Port *port = &w->image->ports[p];
        if (port->side == side && port->y == y && port->color == color && port->is_sink == sink)
            return w->cores[w->n_cores - w->image->n_ports + p].fifo[0];
    }
    return NULL;
}

static bool build_router(Wavelets *w, Link **links, uint32_t x, uint32_t y, uint32_t color)
{
    const Machine *m = w->m;
    const RouteRect *r = w->config[router_index(w, x, y, color)];
    Fifo *here = w->router[router_index(w, x, y, color)];
    Link **mine = &links[((size_t)y * m->width + x) * (SIDE_COUNT + 1)];

    for (uint32_t side = 0; side <= SIDE_COUNT; side++) // the last one: up from the core
        mine[side] = mine[side] ? mine[side] : new_link(w);
    bool edge_w = r->in == SIDE_W && x == 0, edge_e = r->in == SIDE_E && x == m->width - 1;
    if (r->in == SIDE_RAMP || edge_w || edge_e) {
        Fifo *from = r->in == SIDE_RAMP ? core_fifo(w, x, y, color, true)
                                        : port_fifo(w, r->in, y, color, false);
        if (!from)
            return fault(w, NULL, "a route without a source");
        Link *up = r->in == SIDE_RAMP ? mine[SIDE_COUNT] : new_link(w);
        connect(from, up, here, r->in == SIDE_RAMP ? m->ramp : m->hop, 0);
    }
    for (uint32_t side = 0; side < SIDE_COUNT; side++) {
        if (!(r->out >> side & 1))
            continue;
        int nx = (int)x + side_dx((Side)side), ny = (int)y + side_dy((Side)side);
        uint32_t hops = 1;
        Fifo *to;
        if (side == SIDE_RAMP)
            to = core_fifo(w, x, y, color, false);
        else if (nx < 0 || nx >= (int)m->width)
            to = port_fifo(w, side, y, color, true);
        else {
            to = w->router[router_index(w, (uint32_t)nx, (uint32_t)ny, color)];
            hops = defect_hops(w->defects, x, y, (uint32_t)nx, (uint32_t)ny);
        }
        if (!to)
            return fault(w, NULL, "a route that ends nowhere");
        connect(here, mine[side], to, side == SIDE_RAMP ? m->ramp : m->hop * hops, hops - 1);
    }
    return true;
}

static bool build(Wavelets *w)
{
    const Machine *m = w->m;
    size_t routers = (size_t)m->width * m->height;
    Link **links = arena_array(w->a, Link *, routers * (SIDE_COUNT + 1));

    w->defects = defect_map(w->a, m, &w->image->defects);
    w->router = arena_array(w->a, Fifo *, routers * MACHINE_MAX_COLORS);
    w->config = arena_array(w->a, const RouteRect *, routers *MACHINE_MAX_COLORS);
    w->core_at = arena_array(w->a, uint32_t, routers);
    build_cores(w);
    for (uint32_t k = 0; k < w->image->n_routes; k++) {
        const RouteRect *r = &w->image->routes[k];
        for (uint32_t ij = 0; ij < r->grid.nx * r->grid.ny; ij++) {
            uint32_t x = r->grid.x + ij % r->grid.nx * r->grid.sx;
            uint32_t y = r->grid.y + ij / r->grid.nx * r->grid.sy;
            w->config[router_index(w, x, y, r->color)] = r;
            w->router[router_index(w, x, y, r->color)] = new_fifo(w, ROUTER_WORDS);
        }
    }
    for (uint32_t y = 0; y < m->height; y++) {
        for (uint32_t x = 0; x < m->width; x++) {
            for (uint32_t color = 0; color < MACHINE_MAX_COLORS; color++) {
                if (w->config[router_index(w, x, y, color)] && !build_router(w, links, x, y, color))
                    return false;
            }
        }
    }
    return true;
}

// ---- words ----

static Word *fifo_head(Fifo *f, uint64_t now)
{
    return f->n > 0 && f->words[f->head].ready <= now ? &f->words[f->head] : NULL;
}

static void fifo_pop(Fifo *f)
{
    f->head = (f->head + 1) % MOST_WORDS;
    f->n--;
    f->taken = 0;
}

static void fifo_push(Fifo *f, Word word)
{
    f->words[(f->head + f->n++) % MOST_WORDS] = word;
}

static bool fifo_full(const Fifo *f)
{
    return f->n >= f->capacity;
}

static void move_links(Wavelets *w)
{
    for (size_t k = 0; k < w->fifos.n; k++)
        w->fifos.data[k]->n_before = w->fifos.data[k]->n;
    for (size_t k = 0; k < w->links.n; k++) {
        Link *l = w->links.data[k];
        for (uint32_t i = 0; i < l->n_users; i++) {
            uint32_t u = (l->turn + i) % l->n_users, b = l->user[u].branch;
            Fifo *from = l->user[u].fifo;
            const Branch *branch = &from->out[b];
            Word *word = fifo_head(from, w->now);
            if (!word || from->taken >> b & 1 || branch->to->n_before >= branch->to->capacity)
                continue;
            fifo_push(branch->to, (Word){word->message, word->index, w->now + branch->delay});
            from->taken |= 1u << b;
            l->turn = (u + 1) % l->n_users;
            w->progress = true;
            break;
        }
    }
    for (size_t k = 0; k < w->fifos.n; k++) {
        Fifo *f = w->fifos.data[k];
        if (f->n_out > 0 && f->taken == (1u << f->n_out) - 1)
            fifo_pop(f);
    }
}

// ---- cores ----

static const Op *current(const Core *c)
{
    return &c->c->ops[c->at.pc];
}

// Takes the next word of a color off its queue. It must be the one that is due.
static bool receive(Wavelets *w, Core *c, Input *in, uint64_t slot)
{
    Word *word = fifo_head(in->queue, w->now);
    if (word->index != in->landed[slot])
        return fault(w, c, "a word out of order");
    if (word->index == 0)
        in->message[slot] = word->message;
    else if (in->message[slot] != word->message)
        return fault(w, c, "a word of another message");
    in->landed[slot]++;
    fifo_pop(in->queue);
    w->progress = true;
    return true;
}

// Message that the next word off the queue belongs to, counted from `consumed`.
static uint64_t next_slot(const Input *in)
{
    uint64_t slot = 0;
    while (slot < in->slots && in->message[slot] && in->landed[slot] == in->message[slot]->words)
        slot++;
    return slot;
}

// Source operand of the current operation that is this channel, or -1.
static int operand_of(const Core *c, uint32_t channel)
{
    for (int k = 0; c->loaded && k < PROGRAM_SOURCES; k++) {
        const Operand *o = &current(c)->src[k];
        if (o->kind == OPERAND_COLOR && o->channel == channel)
            return k;
    }
    return -1;
}

// Background landing of a channel. The core, if busy, loses 1 / w cycles a word.
static bool land(Wavelets *w, Core *c, uint32_t channel, bool busy)
{
    Input *in = &c->input[channel];
    Fraction width = w->m->landing;
    uint64_t most = (uint64_t)width.num > width.den ? width.num : width.den;

    in->credit = in->credit + width.num < most ? in->credit + width.num : most;
    while (in->credit >= width.den && fifo_head(in->queue, w->now)) {
        uint64_t slot = next_slot(in);
        bool own = slot == 0 && operand_of(c, channel) >= 0;
        // What an operation waits for is used as it comes; if that is too slow it is landed.
        if (own && c->setup == 0 && in->queue->n < in->queue->capacity)
            break;
        if (slot >= in->slots)
            break;
        if (!receive(w, c, in, slot))
            return false;
        in->credit -= width.den;
        if (busy && c->port < 0)
            c->debt += width.den;
    }
    return true;
}

static void load(Wavelets *w, Core *c)
{
    const Op *op;
    for (;;) {
        if (!cursor_settle(c->c, c->data, &c->at)) {
            c->iteration++;
            c->at = (Cursor){0};
            if (c->iteration == w->samples) {
                c->finished = true;
                return;
            }
            continue;
        }
        if (op_elements(current(c), c->data, c->at.counter) > 0)
            break;
        c->at.pc++;
    }
    op = current(c);
    OpTime t = op_time(w->m, op, c->data, c->at.counter);
    uint64_t longest = 0, duration = t.duration;
    c->loaded = true;
    c->started = false;
    c->setup = t.setup;
    c->elements = op_elements(op, c->data, c->at.counter);
    c->done = c->budget = 0;
    c->sent = 0;
    c->out = NULL;
    for (int k = -1; k < PROGRAM_SOURCES; k++) {
        const Operand *o = k < 0 ? &op->dst : &op->src[k];
        uint64_t words = op_message_words(op, o, c->data, c->at.counter);
        longest = words > longest ? words : longest;
        if (k < 0 && o->kind == OPERAND_COLOR) {
            c->out = arena_new(w->a, Message);
            c->out->words = (uint32_t)words;
            c->out->payload = arena_array(w->a, uint32_t, words);
        }
    }
    if (c->port >= 0) {
        const Port *p = &w->image->ports[c->port];
        c->setup = 0;
        duration = (longest * p->p + p->q - 1) / p->q;
        duration = duration ? duration : 1;
    }
    c->rate_num = c->elements;
    c->rate_den = duration;
}

static uint64_t held_elements(const Core *c, const Operand *o)
{
    uint64_t n = 1;
    for (int d = PROGRAM_DIMS - o->held; d < PROGRAM_DIMS; d++)
        n *= (uint64_t)scalar_value(current(c)->extent[d], c->data, c->at.counter);
    return n;
}

// Words of a source that element number `element` needs.
static uint32_t words_needed(const Core *c, const Operand *o, uint64_t element)
{
    uint64_t index = element / held_elements(c, o);
    return (uint32_t)(index * dtype_bytes((DType)o->dtype) / 4 + 1);
}

// All inputs of an element are there, after taking them off the queues.
static bool have_inputs(Wavelets *w, Core *c, uint64_t element)
{
    for (int k = 0; k < PROGRAM_SOURCES; k++) {
        const Operand *o = &current(c)->src[k];
        if (o->kind != OPERAND_COLOR)
            continue;
        Input *in = &c->input[o->channel];
        uint32_t need = words_needed(c, o, element);
        while (in->landed[0] < need && fifo_head(in->queue, w->now)) {
            if (!receive(w, c, in, 0))
                return false;
        }
        if (in->landed[0] < need)
            return false;
    }
    return true;
}

static uint8_t *memory_of(const Wavelets *w, const Core *c, uint32_t *bytes)
{
    if (c->port < 0) {
        *bytes = w->m->sram_bytes;
        return c->sram;
    }
    const Port *p = &w->image->ports[c->port];
    const HostTensor *t = &w->image->tensors[p->tensor];
    size_t n = dtype_bytes((DType)t->dtype);
    for (uint32_t k = 0; k < t->rank; k++)
        n *= t->extent[k];
    *bytes = (uint32_t)n;
    return (p->is_sink ? w->outputs[p->tensor] : (uint8_t *)w->inputs[p->tensor]) +
           c->iteration * n;
}

// The last element is computed: values, slots, the next operation.
static bool complete(Wavelets *w, Core *c)
{
    const Op *op = current(c);
    const uint32_t *in[PROGRAM_SOURCES] = {NULL};
    uint32_t in_words[PROGRAM_SOURCES] = {0}, bytes;
    const char *why;
    uint8_t *memory = memory_of(w, c, &bytes);

    for (int k = 0; k < PROGRAM_SOURCES; k++) {
        if (op->src[k].kind != OPERAND_COLOR)
            continue;
        const Input *i = &c->input[op->src[k].channel];
        if (i->landed[0] != i->message[0]->words)
            return fault(w, c, "a message of another length");
        in[k] = i->message[0]->payload;
        in_words[k] = i->message[0]->words;
    }
    if (!interpret_op(op, c->data, c->at.counter, memory, bytes, in, in_words,
                      c->out ? c->out->payload : NULL, c->out ? c->out->words : 0, &why))
        return fault(w, c, why);
    for (int k = 0; k < PROGRAM_SOURCES; k++) {
        if (op->src[k].kind != OPERAND_COLOR)
            continue;
        Input *i = &c->input[op->src[k].channel];
        memmove(i->landed, i->landed + 1, (MOST - 1) * sizeof *i->landed);
        memmove(i->message, i->message + 1, (MOST - 1) * sizeof(Message *));
        i->landed[MOST - 1] = 0;
        i->message[MOST - 1] = NULL;
        i->consumed++;
    }
    c->at.pc++;
    c->loaded = false;
    w->result->last_end = w->now + 1;
    return true;
}

// The core computes what it can in this cycle.
static bool compute(Wavelets *w, Core *c)
{
    const Op *op = current(c);
    uint64_t most = c->rate_num > c->rate_den ? c->rate_num + c->rate_den : 2 * c->rate_den;

    if (c->started && c->debt >= w->m->landing.num) {
        c->debt -= w->m->landing.num;
        return true;
    }
    if (!c->started) {
        if (!have_inputs(w, c, 0))
            return w->result->fault == NULL;
        c->started = true;
        if (c->port < 0 && w->result->first_start == UINT64_MAX)
            w->result->first_start = w->now;
    }
    w->progress = true;
    c->budget = c->budget + c->rate_num < most ? c->budget + c->rate_num : most;
    while (c->budget >= c->rate_den && c->done < c->elements) {
        uint64_t bytes = dtype_bytes((DType)op->dst.dtype);
        bool ends_word = c->out && (c->done + 1 == c->elements ||
                                    (c->done + 1) * bytes / 4 > c->done * bytes / 4);
        if (!have_inputs(w, c, c->done)) {
            c->budget %= c->rate_den; // a cycle that was waited is lost
            break;
        }
        if (ends_word) {
            Fifo *f = c->fifo[op->dst.channel];
            if (fifo_full(f)) {
                c->budget %= c->rate_den;
                break;
            }
            fifo_push(f, (Word){c->out, c->sent++, w->now + w->m->latency});
        }
        c->done++;
        c->budget -= c->rate_den;
    }
    if (w->result->fault)
        return false;
    return c->done < c->elements || complete(w, c);
}

static void note_sample(Wavelets *w, const Core *c)
{
    WaveletResult *r = w->result;
    bool is_sink = c->port >= 0 && w->image->ports[c->port].is_sink;
    if (!is_sink)
        return;
    if (c->iteration == 1)
        r->first_result = w->now;
    if (c->iteration == w->samples / 2)
        r->middle_result = w->now;
    if (c->iteration == w->samples)
        r->cycles = w->now;
}

static bool step_core(Wavelets *w, Core *c)
{
    if (!c->loaded) {
        uint64_t before = c->iteration;
        load(w, c);
        if (c->iteration != before)
            note_sample(w, c);
    }
    bool busy = c->loaded && (c->setup > 0 || c->started);
    for (uint32_t ch = 0; ch < c->c->n_channels; ch++) {
        if (c->fifo[ch] && !c->c->channel_is_out[ch] && !land(w, c, ch, busy))
            return false;
    }
    if (c->finished || !c->loaded)
        return true;
    if (c->setup > 0) {
        w->progress = true;
        if (c->debt >= w->m->landing.num)
            c->debt -= w->m->landing.num;
        else
            c->setup--;
        return true;
    }
    if (!c->started && c->debt >= w->m->landing.num) {
        c->debt -= w->m->landing.num; // landed while it was busy
        return true;
    }
    return compute(w, c);
}

bool wavelet_run(Arena *a, const Image *image, uint64_t samples, const uint8_t *const *inputs,
                 uint8_t *const *outputs, WaveletResult *result)
{
    Wavelets w = {.a = a,
                  .image = image,
                  .m = &image->machine,
                  .samples = samples,
                  .inputs = inputs,
                  .outputs = outputs,
                  .result = result};
    uint64_t last_progress = 0;

    *result = (WaveletResult){.first_start = UINT64_MAX};
    if (w.m->hop < 1 || w.m->ramp < 1 || w.m->hop + w.m->ramp + w.m->latency > 8)
        return fault(&w, NULL, "hop and ramp have to be at least 1, delays at most 8");
    if (!build(&w))
        return false;
    for (bool all = false; !all; w.now++) {
        w.progress = false;
        all = true;
        for (size_t k = 0; k < w.n_cores; k++) {
            if (!w.cores[k].finished && !step_core(&w, &w.cores[k]))
                return false;
            all = all && w.cores[k].finished;
        }
        move_links(&w);
        last_progress = w.progress ? w.now : last_progress;
        if (w.now - last_progress > PATIENCE)
            return fault(&w, NULL, "no progress");
    }
    return true;
}
