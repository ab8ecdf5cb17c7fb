// SPDX-License-Identifier: Apache-2.0
// tests/check/test_soundness.c - what the checker accepts is right: random images with random
// fields changed are checked; where one is accepted, every element of every operand is visited
// one by one, and the programs are run in random orders for several samples with the rings that
// the memory maps give. Neither may fail. Nothing here uses the checker's own bounds or proof.

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/check.h"
#include "runtime/walk.h"
#include "tests/check/test_soundness.h"
#include "tests/common/random_image.h"

enum { SAMPLES = 3, MAX_WALK = 100000 };

// ---- changes ----

static int32_t some_number(Rng *rng, int32_t old)
{
    switch (rng_below(rng, 8)) {
    case 0:
        return 0;
    case 1:
        return (int32_t)((uint32_t)old + 1);
    case 2:
        return (int32_t)((uint32_t)old - 1);
    case 3:
        return (int32_t)((uint32_t)old + 4 * rng_below(rng, 9) - 16);
    case 4:
        return (int32_t)rng_below(rng, 20000);
    case 5:
        return old / 2;
    case 6:
        return rng_below(rng, 2) ? INT32_MAX : INT32_MIN;
    default:
        return (int32_t)rng_below(rng, 4);
    }
}

static void change_scalar(Rng *rng, Scalar *s)
{
    if (s->kind == SCALAR_IMM || rng_below(rng, 3) == 0)
        s->value = some_number(rng, s->value);
    else if (rng_below(rng, 2))
        s->kind = (uint8_t)rng_below(rng, 3);
    else
        s->loop = (uint8_t)rng_below(rng, PROGRAM_DEPTH);
}

static void change_op(Rng *rng, Op *op)
{
    Operand *o = rng_below(rng, 2) ? &op->dst : &op->src[rng_below(rng, PROGRAM_SOURCES)];
    switch (rng_below(rng, 9)) {
    case 0:
        change_scalar(rng, &op->extent[rng_below(rng, PROGRAM_DIMS)]);
        break;
    case 1:
        change_scalar(rng, &op->count);
        break;
    case 2:
        change_scalar(rng, &o->base);
        break;
    case 3:
        change_scalar(rng, &o->stride[rng_below(rng, PROGRAM_DIMS)]);
        break;
    case 4:
        change_scalar(rng, &o->step[rng_below(rng, PROGRAM_DEPTH)]);
        break;
    case 5:
        change_scalar(rng, &o->ring_pitch);
        change_scalar(rng, &o->ring_modulus);
        break;
    case 6:
        change_scalar(rng, &o->ring_offset);
        break;
    case 7:
        o->dtype = (uint8_t)rng_below(rng, DT_COUNT);
        break;
    default:
        o->channel = (uint8_t)rng_below(rng, 4);
    }
}

static void change_core(Rng *rng, const Image *image, CoreRect *r)
{
    const Class *c = &image->classes[r->class_id];
    Affine *d = c->n_data ? &r->data[rng_below(rng, c->n_data)] : NULL;
    Channel *ch = c->n_channels ? &r->channels[rng_below(rng, c->n_channels)] : NULL;
    Segment *s = &r->segments[rng_below(rng, r->n_segments)];
    switch (rng_below(rng, 8)) {
    case 0:
    case 1:
    case 2:
        if (d)
            d->value = some_number(rng, d->value);
        break;
    case 3:
        if (d)
            d->di = some_number(rng, d->di);
        break;
    case 4:
        if (ch)
            ch->slots = (uint32_t)some_number(rng, (int32_t)ch->slots);
        break;
    case 5: // a ring with fewer slots, and its memory
        if (ch && ch->slots > 1) {
            for (uint32_t i = 0; i < r->n_segments; i++) {
                if (r->segments[i].kind == SEGMENT_RING && r->segments[i].address == ch->ring)
                    r->segments[i].bytes = 4 * ch->slot_words;
            }
            ch->slots = 1;
        }
        break;
    case 6:
        s->address = (uint32_t)some_number(rng, (int32_t)s->address);
        break;
    default:
        s->bytes = (uint32_t)some_number(rng, (int32_t)s->bytes);
    }
}

static void change(Rng *rng, Image *image)
{
    RouteRect *r = &image->routes[rng_below(rng, image->n_routes)];
    Port *p = &image->ports[rng_below(rng, image->n_ports)];
    Class *c = &image->classes[rng_below(rng, image->n_classes)];
    switch (rng_below(rng, 12)) {
    case 0:
        r->out ^= 1u << rng_below(rng, SIDE_COUNT);
        break;
    case 1:
        r->in = rng_below(rng, SIDE_COUNT);
        break;
    case 2:
        r->grid.nx = rng_below(rng, 4);
        break;
    case 3:
        if (image->classes[p->class_id].n_data)
            p->data[0] = some_number(rng, p->data[0]);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        if (c->n_ops)
            change_op(rng, &c->ops[rng_below(rng, c->n_ops)]);
        break;
    default:
        change_core(rng, image, &image->cores[rng_below(rng, image->n_cores)]);
    }
}

// ---- every element ----

static bool element_good(const Image *image, const FabricNode *n, DType t, bool is_dst, int64_t at)
{
    int64_t size = dtype_bytes(t);
    if (at % size != 0)
        return false;
    if (n->is_port) {
        const HostTensor *tensor = &image->tensors[image->ports[n->rect].tensor];
        int64_t bytes = size;
        for (uint32_t i = 0; i < tensor->rank; i++)
            bytes *= tensor->extent[i];
        return at >= 0 && at + size <= bytes;
    }
    const CoreRect *r = &image->cores[n->rect];
    for (uint32_t i = 0; i < r->n_segments; i++) {
        const Segment *s = &r->segments[i];
        if (at >= s->address && at + size <= (int64_t)s->address + s->bytes)
            return s->kind == SEGMENT_BUFFER || (s->kind == SEGMENT_WEIGHTS && !is_dst);
    }
    return false;
}

static bool operand_good(const Image *image, const FabricNode *n, const Walk *w, const Op *op,
                         const Operand *o, bool is_dst)
{
    int64_t e[PROGRAM_DIMS], s[PROGRAM_DIMS], size = dtype_bytes((DType)o->dtype);
    if (o->kind != OPERAND_MEM)
        return true;
    int64_t base = operand_address(o, op->depth, w->data, w->counter);
    for (int d = 0; d < PROGRAM_DIMS; d++) {
        e[d] = scalar_value(op->extent[d], w->data, w->counter);
        s[d] = scalar_value(o->stride[d], w->data, w->counter) * size;
        e[d] = e[d] > 64 && s[d] == 0 ? 1 : e[d];
    }
    for (int64_t i = 0; i < e[0]; i++)
        for (int64_t j = 0; j < e[1]; j++)
            for (int64_t k = 0; k < e[2]; k++)
                for (int64_t l = 0; l < e[3]; l++)
                    if (!element_good(image, n, (DType)o->dtype, is_dst,
                                      base + i * s[0] + j * s[1] + k * s[2] + l * s[3]))
                        return false;
    return true;
}

static bool memory_good(const Fabric *f)
{
    for (uint32_t i = 0; i < f->n_cores + f->n_ports; i++) {
        const FabricNode *n = &f->nodes[i];
        Walk w = {.c = &f->image->classes[n->class_id], .data = n->data, .budget = MAX_WALK};
        for (const Op *op; (op = walk_next(&w));) {
            if (!operand_good(f->image, n, &w, op, &op->dst, true))
                return false;
            for (int k = 0; k < PROGRAM_SOURCES; k++) {
                if (!operand_good(f->image, n, &w, op, &op->src[k], false))
                    return false;
            }
        }
    }
    return true;
}

// ---- random orders ----

typedef struct Runner { // a program that runs
    Walk walk;
    const Op *op; // waiting to fire, NULL: done
    uint32_t samples;
    uint32_t words[PROGRAM_MAX_CHANNELS][64]; // rings: words of the messages in them
    uint32_t head[PROGRAM_MAX_CHANNELS], fill[PROGRAM_MAX_CHANNELS];
} Runner;

static void next_op(Runner *r)
{
    while (!(r->op = walk_next(&r->walk)) && ++r->samples < SAMPLES) {
        r->walk.pc = 0;
        r->walk.budget = MAX_WALK;
    }
}

static uint32_t room(const Fabric *f, const FabricReceiver *to)
{
    const FabricNode *n = &f->nodes[to->node];
    uint32_t slots = n->is_port ? 64 : n->channels[to->channel].slots;
    return slots < 64 ? slots : 64;
}

// Fires an operation if it can. *good is cleared on a message of the wrong length.
static bool fire(const Fabric *f, Runner *runners, uint32_t node, bool *good)
{
    Runner *r = &runners[node];
    const FabricNode *n = &f->nodes[node];
    const Op *op = r->op;
    if (!op)
        return false;
    for (int k = 0; k < PROGRAM_SOURCES; k++) {
        if (op->src[k].kind == OPERAND_COLOR && r->fill[op->src[k].channel] == 0)
            return false;
    }
    if (op->dst.kind == OPERAND_COLOR) {
        const FabricRoute *route = &f->routes[n->route[op->dst.channel]];
        uint32_t words = (uint32_t)op_message_words(op, &op->dst, r->walk.data, r->walk.counter);
        for (uint32_t i = 0; i < route->n_receivers; i++) {
            const FabricReceiver *to = &route->receivers[i];
            if (runners[to->node].fill[to->channel] >= room(f, to))
                return false;
        }
        for (uint32_t i = 0; i < route->n_receivers; i++) {
            const FabricReceiver *to = &route->receivers[i];
            const FabricNode *m = &f->nodes[to->node];
            Runner *x = &runners[to->node];
            uint32_t at = (x->head[to->channel] + x->fill[to->channel]++) % 64;
            x->words[to->channel][at] = words;
            *good = *good && (m->is_port || words <= m->channels[to->channel].slot_words);
        }
    }
    for (int k = 0; k < PROGRAM_SOURCES; k++) {
        if (op->src[k].kind != OPERAND_COLOR)
            continue;
        uint32_t ch = op->src[k].channel;
        uint64_t words = op_message_words(op, &op->src[k], r->walk.data, r->walk.counter);
        *good = *good && words == r->words[ch][r->head[ch]];
        r->head[ch] = (r->head[ch] + 1) % 64;
        r->fill[ch]--;
    }
    next_op(r);
    return true;
}

static bool runs_to_end(const Fabric *f, Rng *rng)
{
    uint32_t n = f->n_cores + f->n_ports;
    Runner *runners = calloc(n, sizeof *runners);
    bool good = true, moved = true;
    for (uint32_t i = 0; i < n; i++) {
        const FabricNode *node = &f->nodes[i];
        runners[i].walk =
            (Walk){.c = &f->image->classes[node->class_id], .data = node->data, .budget = MAX_WALK};
        next_op(&runners[i]);
    }
    while (moved && good) {
        moved = false;
        uint32_t start = rng_below(rng, n), burst = 1 + rng_below(rng, 8);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t node = (start + i) % n;
            for (uint32_t k = 0; k < burst && fire(f, runners, node, &good); k++)
                moved = true;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        good = good && runners[i].op == NULL;
        for (uint32_t k = 0; k < PROGRAM_MAX_CHANNELS; k++)
            good = good && runners[i].fill[k] == 0;
    }
    free(runners);
    return good;
}

// Programs short enough to be visited element by element.
static bool is_short(const Fabric *f)
{
    for (uint32_t i = 0; i < f->n_cores + f->n_ports; i++) {
        const FabricNode *n = &f->nodes[i];
        Walk w = {.c = &f->image->classes[n->class_id], .data = n->data, .budget = MAX_WALK};
        while (walk_next(&w))
            ;
        if (w.budget == 0)
            return false;
    }
    return true;
}

void test_soundness(void)
{
    char *log = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&log, &len);
    unsigned accepted = 0, rejected = 0;
    for (uint64_t seed = 1000; seed < 2500; seed++) {
        Arena a = {0};
        Rng rng = {seed / 3}, changes = {seed};
        Image image;
        CU_ASSERT_TRUE_FATAL(random_image(&a, &rng, &image));
        for (uint32_t n = seed % 3; n > 0; n--)
            change(&changes, &image);
        Diag d;
        Fabric f;
        diag_init(&d, "check");
        d.out = out;
        if (check_image(&a, &d, &image, &f) && is_short(&f)) {
            accepted++;
            bool good = memory_good(&f) && runs_to_end(&f, &changes);
            CU_ASSERT_TRUE(good);
            if (!good)
                fprintf(stderr, "seed %d is accepted wrongly\n", (int)seed);
        } else {
            rejected++;
        }
        rewind(out);
        diag_finish(&d);
        arena_free(&a);
    }
    fclose(out);
    free(log);
    CU_ASSERT_TRUE(accepted > 500 && rejected > 300);
}
