// SPDX-License-Identifier: Apache-2.0
// runtime/engine_memory.c - values of the core engine: the SRAM of every core, allocated when
// first touched, and the tensors that host ports walk.
//
// A message leaves its sender into a buffer of the route, which keeps it until every receiver
// has a free slot for it (that many messages a route holds, see the timing rule), and is
// copied from there into the receiver's ring, in SRAM, where the receiving operation reads
// it. Ports read and write messages without a ring.
#include <stdlib.h>
#include <string.h>

#include "runtime/engine_internal.h"
#include "runtime/interpret.h"

typedef struct Core {
    uint8_t *sram;
    Cursor at;
} Core;

typedef struct Ring { // of a receiver
    uint32_t next;    // slot of the next message that lands
    uint32_t taken;   // slot of the next message that is consumed
    uint32_t landed;  // messages in the ring
    uint32_t waiting; // arrived, held by the route
    uint32_t buffer;  // of the route: that of the next message that lands
    uint32_t slots, slot_words;
    uint32_t address; // cores only
} Ring;

typedef struct Buffer { // of a route: the messages on the way
    uint32_t *words;
    uint32_t n, pitch; // messages, words of each
    uint32_t next;     // that is sent
} Buffer;

struct Memory {
    const uint8_t *const *inputs;
    uint8_t *const *outputs;
    Core *cores;     // by node
    Ring *rings;     // by receiver
    Buffer *buffers; // by route
};

static uint32_t longest_out(const Schedule *s, uint32_t channel)
{
    uint32_t n = 1;
    for (uint32_t i = 0; i < s->n_steps; i++) {
        const Step *step = &s->steps[i];
        if (step->has_out && step->out_channel == channel && step->out_words > n)
            n = step->out_words;
    }
    return n;
}

Memory *memory_create(Sim *sim, const uint8_t *const *inputs, uint8_t *const *outputs)
{
    const Fabric *f = sim->fabric;
    Memory *m = arena_new(sim->arena, Memory);

    m->inputs = inputs;
    m->outputs = outputs;
    m->cores = arena_array(sim->arena, Core, sim->n_nodes);
    m->rings = arena_array(sim->arena, Ring, sim->n_receivers);
    m->buffers = arena_array(sim->arena, Buffer, f->n_routes);
    for (uint32_t k = 0; k < f->n_routes; k++) {
        const SimRoute *route = &sim->routes[k];
        Buffer *b = &m->buffers[k];
        b->pitch = longest_out(sim->nodes[route->source].schedule, f->routes[k].channel);
        b->n = 1;
        for (uint32_t i = 0; i < route->n_receivers; i++) {
            uint32_t r = route->first_receiver + i;
            const FabricReceiver *from = &f->routes[k].receivers[i];
            Ring *ring = &m->rings[r];
            if (sim->receivers[r].window > b->n)
                b->n = sim->receivers[r].window;
            if (f->nodes[from->node].is_port) {
                ring->slots = sim->receivers[r].window;
            } else {
                const Channel *ch = &f->nodes[from->node].channels[from->channel];
                ring->slots = ch->slots;
                ring->slot_words = ch->slot_words;
                ring->address = ch->ring;
            }
        }
    }
    return m;
}

void memory_free(Memory *m, const Sim *sim)
{
    for (uint32_t i = 0; i < sim->n_nodes; i++)
        free(m->cores[i].sram);
    for (uint32_t k = 0; k < sim->fabric->n_routes; k++)
        free(m->buffers[k].words);
}

static void *take_memory(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (!p)
        abort(); // as arenas do
    return p;
}

static uint8_t *core_sram(Sim *sim, uint32_t id)
{
    const FabricNode *node = &sim->fabric->nodes[id];
    const Image *image = sim->fabric->image;
    Core *core = &sim->memory->cores[id];

    if (core->sram)
        return core->sram;
    core->sram = take_memory(sim->machine->sram_bytes, 1);
    const CoreRect *rect = &image->cores[node->rect];
    for (uint32_t k = 0; k < rect->n_inits; k++) {
        const Init *init = &rect->inits[k];
        int64_t offset = (int64_t)init->offset + node->i * init->pitch_i + node->j * init->pitch_j;
        if (offset < 0 || init->bytes > image->data_bytes ||
            (uint64_t)offset > image->data_bytes - init->bytes ||
            init->bytes > sim->machine->sram_bytes ||
            init->address > sim->machine->sram_bytes - init->bytes) {
            engine_fail(sim, ENGINE_FAULT, "%s: initial contents beyond the data or the memory",
                        fabric_node_name(sim->arena, sim->fabric, id));
            return core->sram;
        }
        memcpy(core->sram + init->address, image->data + offset, init->bytes);
    }
    return core->sram;
}

// Moves the oldest message the route holds for this receiver into its ring.
static void land(Sim *sim, uint32_t id)
{
    const SimReceiver *r = &sim->receivers[id];
    Ring *ring = &sim->memory->rings[id];
    const Buffer *b = &sim->memory->buffers[r->route];

    if (!sim->nodes[r->node].is_port) {
        uint8_t *slot =
            core_sram(sim, r->node) + ring->address + (size_t)ring->next * ring->slot_words * 4;
        uint32_t words = b->pitch < ring->slot_words ? b->pitch : ring->slot_words;
        memcpy(slot, b->words + (size_t)ring->buffer * b->pitch, (size_t)words * 4);
        ring->buffer = ring->buffer + 1 == b->n ? 0 : ring->buffer + 1;
    }
    ring->next = ring->next + 1 == ring->slots ? 0 : ring->next + 1;
    ring->waiting--;
    ring->landed++;
}

void memory_arrive(Sim *sim, uint32_t receiver)
{
    Ring *ring = &sim->memory->rings[receiver];
    ring->waiting++;
    if (ring->landed < ring->slots)
        land(sim, receiver);
}

void memory_release(Sim *sim, uint32_t receiver)
{
    const SimReceiver *r = &sim->receivers[receiver];
    Ring *ring = &sim->memory->rings[receiver];

    if (sim->nodes[r->node].is_port) {
        uint32_t n = sim->memory->buffers[r->route].n;
        ring->buffer = ring->buffer + 1 == n ? 0 : ring->buffer + 1;
    }
    ring->taken = ring->taken + 1 == ring->slots ? 0 : ring->taken + 1;
    ring->landed--;
    if (ring->waiting > 0)
        land(sim, receiver);
}

// Memory of a node: SRAM, or the bytes of the sample a port works on.
static uint8_t *node_memory(Sim *sim, uint32_t id, uint32_t *bytes)
{
    const Image *image = sim->fabric->image;
    const FabricNode *node = &sim->fabric->nodes[id];

    if (!node->is_port) {
        *bytes = sim->machine->sram_bytes;
        return core_sram(sim, id);
    }
    const Port *port = &image->ports[node->rect];
    const HostTensor *t = &image->tensors[port->tensor];
    uint64_t n = dtype_bytes((DType)t->dtype);
    for (uint32_t k = 0; k < t->rank; k++)
        n *= t->extent[k];
    *bytes = (uint32_t)n;
    uint64_t offset = sim->nodes[id].iteration * n;
    // A source's program only reads: memory_execute sees to it.
    return port->is_sink ? sim->memory->outputs[port->tensor] + offset
                         : (uint8_t *)sim->memory->inputs[port->tensor] + offset;
}

bool memory_execute(Sim *sim, uint32_t id, const Step *step)
{
    Memory *m = sim->memory;
    const FabricNode *node = &sim->fabric->nodes[id];
    const SimNode *n = &sim->nodes[id];
    const Class *c = &sim->fabric->image->classes[node->class_id];
    const Op *op = &c->ops[step->op];
    Cursor *at = &m->cores[id].at;
    const uint32_t *in[PROGRAM_SOURCES] = {NULL};
    uint32_t in_words[PROGRAM_SOURCES] = {0}, bytes;
    const char *why;
    uint8_t *memory = node_memory(sim, id, &bytes);

    if (sim->status != ENGINE_DONE)
        return false;
    if (n->is_port && !n->is_sink && !step->has_out)
        return engine_fail(sim, ENGINE_FAULT, "%s: operation %u does not send",
                           fabric_node_name(sim->arena, sim->fabric, id), step->op);
    if (n->position == 0)
        *at = (Cursor){0};
    // Operations without elements are no steps.
    while (cursor_settle(c, node->data, at) &&
           op_elements(&c->ops[at->pc], node->data, at->counter) == 0)
        at->pc++;
    for (uint32_t k = 0; k < PROGRAM_SOURCES; k++) {
        if (op->src[k].kind != OPERAND_COLOR)
            continue;
        uint32_t r = n->end[op->src[k].channel];
        const Ring *ring = &m->rings[r];
        const Buffer *b = &m->buffers[sim->receivers[r].route];
        in_words[k] = sim->receivers[r].places[sim->receivers[r].take].words;
        if (n->is_port) {
            in[k] = b->words + (size_t)ring->buffer * b->pitch;
        } else if (in_words[k] <= ring->slot_words) {
            // Ring addresses are multiples of 4 and calloc's memory is aligned for words.
            in[k] = (const uint32_t *)(const void *)(memory + ring->address +
                                                     (size_t)ring->taken * ring->slot_words * 4);
        } else {
            return engine_fail(sim, ENGINE_FAULT, "%s: a message of %u words in a ring for %u",
                               fabric_node_name(sim->arena, sim->fabric, id), in_words[k],
                               ring->slot_words);
        }
    }
    uint32_t *out = NULL;
    if (step->has_out) {
        Buffer *b = &m->buffers[n->end[step->out_channel]];
        if (!b->words)
            b->words = take_memory((size_t)b->n * b->pitch, 4);
        out = b->words + (size_t)b->next * b->pitch;
        b->next = b->next + 1 == b->n ? 0 : b->next + 1;
    }
    if (!interpret_op(op, node->data, at->counter, memory, bytes, in, in_words, out,
                      step->out_words, &why))
        return engine_fail(sim, ENGINE_FAULT, "%s: operation %u: %s",
                           fabric_node_name(sim->arena, sim->fabric, id), step->op, why);
    at->pc++;
    return true;
}
