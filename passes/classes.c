/* SPDX-License-Identifier: Apache-2.0 */
/* passes/classes.c - the shapes of all kernels, found once for kernels that are alike.
 *
 * Messages are whole rows unless memory asks for shorter ones: then every stream at that
 * kernel is cut finer and all begin anew. A class is known by a text of all that its costs
 * depend on: operators, attributes, types, which operands are constants. O(kernels + shapes). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/hash.h"
#include "passes/sizing.h"

static void key_type(Text *t, const Type *type)
{
    text_printf(t, "%d", (int)type->dtype);
    for (int i = 0; i < type->rank; i++)
        text_printf(t, ",%" PRId64, type->extent[i]);
}

static void key_node(Text *t, const Node *n, const Node *prev)
{
    text_printf(t, "|%d:", (int)n->op);
    key_type(t, &n->type);
    for (int i = 0; i < 2; i++)
        text_printf(t, " %" PRId64 "/%" PRId64 "/%" PRId64, n->attr.kernel[i], n->attr.stride[i],
                    n->attr.padding[i]);
    text_printf(t, " %d %a", n->attr.has_bias, n->attr.eps);
    for (uint32_t i = 0; i < n->n_in; i++) {
        text_add(t, n->in[i] == prev ? " p" : n->in[i]->op == OP_CONST ? " c" : " s");
        key_type(t, &n->in[i]->type);
    }
}

static const char *class_key(Arena *a, const Kernel *k, const Protocol *in)
{
    Text t = {0};
    text_printf(&t, "%d %u %u", (int)k->kind, k->n_in, k->n_out);
    for (uint32_t i = 0; i < k->n_in; i++)
        text_printf(&t, " %d,%u,%u,%u,%u", (int)in[i].dtype, in[i].rows, in[i].cols, in[i].features,
                    in[i].segs);
    const Node *prev = NULL;
    key_node(&t, k->anchor, prev);
    prev = k->anchor;
    for (uint32_t i = 0; i < k->n_steps; prev = k->steps[i++])
        key_node(&t, k->steps[i], prev);
    const char *key = arena_strdup(a, t.data, t.len);
    text_free(&t);
    return key;
}

static bool fits_fabric(const Machine *m, const Shape *s)
{
    return (s->w <= m->width && s->h <= m->height) || (s->h <= m->width && s->w <= m->height);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

LaneSet sizing_lane_set(uint32_t *of, size_t n)
{
    LaneSet set = {0, of};
    qsort(of, n, sizeof *of, by_number);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || of[i] != of[set.n - 1])
            of[set.n++] = of[i];
    return set;
}

uint32_t sizing_lane_index(const LaneSet *set, uint32_t lanes)
{
    const uint32_t *at = bsearch(&lanes, set->of, set->n, sizeof lanes, by_number);
    return at ? (uint32_t)(at - set->of) : set->n;
}

/* The different lanes of the shapes, and the place of each shape's in them. */
static void find_lanes(Arena *a, const ShapeVec *shapes, bool out, LaneSet *set, uint32_t **index)
{
    uint32_t *of = arena_array(a, uint32_t, shapes->n);
    *index = arena_array(a, uint32_t, shapes->n);
    for (size_t i = 0; i < shapes->n; i++)
        of[i] = out ? shapes->data[i].lanes_out : shapes->data[i].lanes_in;
    *set = sizing_lane_set(of, shapes->n);
    for (size_t i = 0; i < shapes->n; i++)
        (*index)[i] =
            sizing_lane_index(set, out ? shapes->data[i].lanes_out : shapes->data[i].lanes_in);
}

/* Cycles of a kernel with several streams out, if one tree carries them all. */
static void find_once(Sizing *z, KernelClass *c, const Kernel *k)
{
    Arena a = {0};
    Kernel tree = *k;
    if (k->n_out < 2)
        return;
    tree.n_branches = k->n_out - 1;
    uint64_t *once = arena_array(z->arena, uint64_t, c->shapes.n);
    for (size_t i = 0; i < c->shapes.n; i++) {
        Shape s = c->shapes.data[i];
        bool good = kernel_shape(&a, &tree, c->protocol, z->cx->machine, &s);
        once[i] = good && s.cycles < c->shapes.data[i].cycles ? s.cycles : c->shapes.data[i].cycles;
        arena_free(&a);
        a = (Arena){0};
    }
    c->once = once;
}

/* What follows from the shapes of a class. */
static void class_shapes(Sizing *z, KernelClass *c, const Kernel *k)
{
    find_lanes(z->arena, &c->shapes, false, &c->lanes_in, &c->in);
    find_lanes(z->arena, &c->shapes, true, &c->lanes_out, &c->out);
    find_once(z, c, k);
}

/* Finds what the result's segments have to be for any shape, if those wanted give none. */
static KernelClass *make_class(Sizing *z, const Kernel *k, const Protocol *in, const char *key,
                               uint32_t want, uint32_t *least)
{
    KernelClass *c = arena_new(z->arena, KernelClass);
    c->key = key;
    c->id = (uint32_t)z->classes.n;
    memcpy(c->protocol, in, sizeof c->protocol);
    ShapeVec all = {0};
    kernel_shapes(z->arena, k, in, z->cx->machine, plan_core_limit(z->cx), &all, &c->nearest);
    *least = UINT32_MAX;
    for (size_t i = 0; i < all.n; i++) {
        const Shape *s = &all.data[i];
        if (!fits_fabric(z->cx->machine, s))
            continue;
        if (s->segs_out == want)
            vec_push(z->arena, &c->shapes, *s);
        else if (s->segs_out > want && s->segs_out < *least)
            *least = s->segs_out;
    }
    c->any = all.n > 0;
    if (c->any && !c->shapes.n && *least == UINT32_MAX)
        c->nearest = all.data[0];
    class_shapes(z, c, k);
    return c;
}

/* ---- a table of classes by their texts ---- */

typedef struct Index {
    uint32_t cap, *slot; /* class + 1 */
} Index;

static uint32_t *index_slot(const Sizing *z, const Index *x, const char *key)
{
    uint64_t h = hash_bytes(0, key, strlen(key));
    for (uint32_t i = (uint32_t)h & (x->cap - 1);; i = (i + 1) & (x->cap - 1))
        if (!x->slot[i] || strcmp(z->classes.data[x->slot[i] - 1]->key, key) == 0)
            return &x->slot[i];
}

static void report_kernel(Sizing *z, const Kernel *k, const KernelClass *c)
{
    const Machine *m = z->cx->machine;
    Diag *d = z->cx->diag;
    const Shape *nearest = &c->nearest;
    Span none = {0, 0, 0}; /* the place has been shown */
    if (nearest->w == 0) {
        diag_infeasible(d, k->span, "kernel '%s' has no form that can be built", k->name);
        return;
    }
    uint32_t cores = nearest->w * nearest->h;
    if (nearest->bytes > m->sram_bytes) {
        diag_infeasible(d, k->span,
                        "kernel '%s' needs %u bytes a core even on %u x %u cores; a core has %u: "
                        "%u bytes too many",
                        k->name, nearest->bytes, nearest->w, nearest->h, m->sram_bytes,
                        nearest->bytes - m->sram_bytes);
        MemoryItemVec items = {0};
        kernel_memory(z->arena, k, c->protocol, m, nearest, &items);
        for (size_t i = 0; i < items.n && i < 8; i++)
            diag_note(d, none, "%8u bytes: %s", items.data[i].bytes, items.data[i].name);
    } else {
        diag_infeasible(
            d, k->span, "kernel '%s' needs %u cores (%u x %u) at least; %u may be used on %u x %u",
            k->name, cores, nearest->w, nearest->h, plan_core_limit(z->cx), m->width, m->height);
    }
}

/* Shorter messages of the image rows that come in; false if they are as short as can be. */
static bool cut_finer(Sizing *z, const Kernel *k, const Protocol *in)
{
    bool again = false;
    for (uint32_t i = 0; i < k->n_in; i++) {
        const Stream *s = z->plan->streams.data[k->in[i]];
        if (in[i].segs >= in[i].cols)
            continue;
        uint32_t finer = in[i].segs * 2 < in[i].cols ? in[i].segs * 2 : in[i].cols;
        again = true;
        z->segs[s->id] = finer;
        if (s->from != PLAN_HOST) {
            const Kernel *from = z->plan->kernels.data[s->from];
            for (uint32_t j = 0; j < from->n_out; j++)
                z->segs[from->out[j]] = finer;
        }
    }
    return again;
}

typedef enum Found { FOUND, FOUND_AGAIN, FOUND_NONE } Found;

static Found find_class(Sizing *z, const Index *x, const Kernel *k)
{
    Protocol in[KERNEL_MAX_INPUTS] = {{0}};
    for (uint32_t i = 0; i < k->n_in; i++)
        protocol_of(&z->plan->streams.data[k->in[i]]->node->type, 1, z->segs[k->in[i]], &in[i]);
    uint32_t want = k->n_out ? z->segs[k->out[0]] : 1, least = UINT32_MAX;
    bool host_in = z->plan->streams.data[k->in[0]]->from == PLAN_HOST, host_out = false;
    for (uint32_t i = 0; i < k->n_out; i++)
        host_out = host_out || z->plan->streams.data[k->out[i]]->to == PLAN_HOST;
    const char *key =
        arena_printf(z->arena, "%u %d %d %s", want, host_in, host_out, class_key(z->arena, k, in));
    uint32_t *slot = index_slot(z, x, key);
    if (!*slot) {
        KernelClass *c = make_class(z, k, in, key, want, &least);
        c->host_in = host_in;
        c->host_out = host_out;
        if (c->shapes.n == 0 && least != UINT32_MAX) {
            for (uint32_t i = 0; i < k->n_out; i++)
                z->segs[k->out[i]] = least;
            return FOUND_AGAIN;
        }
        if (c->shapes.n == 0 && cut_finer(z, k, in))
            return FOUND_AGAIN;
        vec_push(z->arena, &z->classes, c);
        *slot = (uint32_t)z->classes.n;
    }
    z->choice[k->id].class_of = z->classes.data[*slot - 1];
    return z->choice[k->id].class_of->shapes.n ? FOUND : FOUND_NONE;
}

bool sizing_classes(Sizing *z, bool report)
{
    Plan *plan = z->plan;
    bool *hopeless = arena_array(z->arena, bool, z->n); /* said once, the others looked at */
    Index index = {.cap = 16};
    while (index.cap < 4 * z->n + 4)
        index.cap *= 2;
    index.slot = arena_array(z->arena, uint32_t, index.cap);
    for (size_t i = 0; i < plan->streams.n; i++)
        z->segs[i] = 1;
    bool again = true, good = true;
    while (again) {
        again = false;
        for (uint32_t o = 0; o < z->n && !again; o++) {
            const Kernel *k = z->choice[z->order[o]].kernel;
            if (hopeless[k->id])
                continue;
            Found f = find_class(z, &index, k);
            again = f == FOUND_AGAIN;
            if (f != FOUND_NONE)
                continue;
            hopeless[k->id] = true;
            good = false;
            if (report)
                report_kernel(z, k, z->choice[k->id].class_of);
        }
    }
    for (size_t i = 0; i < plan->streams.n && good; i++) {
        Stream *s = plan->streams.data[i];
        protocol_of(&s->node->type, 1, z->segs[i], &s->protocol);
    }
    return good;
}

/* ---- tables of adapters ---- */

static LaneSet end_lanes(const Sizing *z, const Stream *s, bool to)
{
    static const uint32_t zero[1] = {0};
    if ((to ? s->to : s->from) == PLAN_HOST)
        return (LaneSet){1, zero};
    const Choice *c = &z->choice[to ? s->to : s->from];
    bool matrix = kernel_is_matrix(c->kernel->kind);
    if (!to || (matrix && s->to_input > 0))
        return c->class_of->lanes_out;
    return c->class_of->lanes_in;
}

void sizing_tables(Sizing *z)
{
    Index x = {.cap = 16};
    while (x.cap < 4 * z->n_streams + 4)
        x.cap *= 2;
    x.slot = arena_array(z->arena, uint32_t, x.cap);
    z->tables.n = 0;
    for (size_t i = 0; i < z->n_streams; i++) {
        const Stream *s = z->plan->streams.data[i];
        int32_t from = s->from, to = s->to;
        const char *key = arena_printf(z->arena, "%d %d %d %d %u %u %u %u",
                                       from == PLAN_HOST ? -1 : (int)z->choice[from].class_of->id,
                                       to == PLAN_HOST ? -1 : (int)z->choice[to].class_of->id,
                                       s->to_input > 0, (int)s->protocol.dtype, s->protocol.rows,
                                       s->protocol.cols, s->protocol.features, s->protocol.segs);
        uint64_t h = hash_bytes(0, key, strlen(key));
        uint32_t at = (uint32_t)h & (x.cap - 1);
        while (x.slot[at] && strcmp(z->tables.data[x.slot[at] - 1]->key, key) != 0)
            at = (at + 1) & (x.cap - 1);
        if (!x.slot[at]) {
            AdapterTable *t = arena_new(z->arena, AdapterTable);
            t->key = key;
            t->from = end_lanes(z, s, false);
            t->to = end_lanes(z, s, true);
            t->cell = arena_array(z->arena, AdapterCell, (size_t)t->from.n * t->to.n);
            vec_push(z->arena, &z->tables, t);
            x.slot[at] = (uint32_t)z->tables.n;
        }
        z->table[i] = z->tables.data[x.slot[at] - 1];
    }
    for (uint32_t k = 0; k < z->n; k++) {
        Choice *c = &z->choice[k];
        c->chosen = c->kept = 0;
        c->down = arena_array(z->arena, uint64_t, c->class_of->lanes_out.n);
        c->best = arena_array(z->arena, uint64_t, c->class_of->lanes_in.n);
        c->able = arena_array(z->arena, uint32_t, c->class_of->shapes.n);
        c->own = arena_array(z->arena, uint64_t, c->class_of->shapes.n);
    }
}

void sizing_ports(Sizing *z, uint32_t in, uint32_t out)
{
    sizing_bare(z->plan);
    if (in == z->in_lanes && out == z->out_lanes)
        return;
    z->in_lanes = in;
    z->out_lanes = out;
    sizing_tables(z);
}

/* ---- all cuts ---- */

/* Groups that an adapter to the lanes of the host works on. */
static uint32_t port_groups(uint32_t features, uint32_t lanes, uint32_t ports)
{
    bool even = features % lanes == 0 || lane_groups(lanes) > 1;
    return even ? plan_port_lanes(features, lanes, ports) : 1;
}

/* Lanes that are the fewest for some size of blocks; with `ports`, also those for it that go
 * best with so many lanes of the host; with `groups`, also the next that cut features
 * in LEAST_GROUPS groups and more. */
static uint32_t all_cuts(uint32_t features, uint32_t most, uint32_t ports, bool groups,
                         uint32_t *list)
{
    uint32_t n = 0;
    for (uint32_t block = features; block >= 1;) {
        uint32_t lanes = (features + block - 1) / block;
        if (lanes > most)
            break;
        list[n++] = lanes;
        if (block == 1)
            break;
        uint32_t next = (features + lanes) / (lanes + 1); /* the largest with more lanes */
        next = next < block ? next : block - 1;
        uint32_t end = (features + next - 1) / next, best = lanes;
        for (uint32_t i = lanes + 1; ports && i < end && i <= most; i++)
            if (port_groups(features, i, ports) > port_groups(features, best, ports))
                best = i;
        if (best > lanes)
            list[n++] = best;
        for (uint32_t g = LEAST_GROUPS, last = lanes; groups && g <= LANE_GROUPS; g *= 2) {
            uint32_t even = (lanes + g - 1) / g * g;
            if (even > last && even < end && even <= most && even != best)
                list[n++] = last = even;
        }
        block = next;
    }
    return n;
}

static bool has_shape(const KernelClass *c, const Shape *shape)
{
    for (size_t i = 0; i < c->shapes.n; i++) {
        const Shape *s = &c->shapes.data[i];
        if (s->split == shape->split && s->lanes_in == shape->lanes_in &&
            s->lanes_out == shape->lanes_out)
            return true;
    }
    return false;
}

static void refine_class(Sizing *z, KernelClass *c, const Kernel *k, uint64_t cycles, bool groups)
{
    const Machine *m = z->cx->machine;
    uint32_t extent = m->width > m->height ? m->width : m->height;
    uint64_t least = UINT64_MAX, most = 0;
    for (size_t i = 0; i < c->shapes.n; i++) {
        const Shape *s = &c->shapes.data[i];
        uint64_t cores = (uint64_t)s->w * s->h;
        if (s->split != 1 || s->cycles < cycles * 7 / 8 || s->cycles > cycles * 3 / 2)
            continue;
        least = cores < least ? cores : least;
        most = cores > most ? cores : most;
    }
    if (most == 0)
        return;
    uint32_t *cuts[2], n[2];
    uint32_t features[2] = {c->protocol[0].features, (uint32_t)type_features(&k->anchor->type)};
    for (int i = 0; i < 2; i++) {
        cuts[i] = arena_array(z->arena, uint32_t, 4 * (size_t)extent + 4);
        bool host = i == 0 ? c->host_in : c->host_out;
        n[i] = all_cuts(features[i], extent, host ? z->in_lanes : 0, groups, cuts[i]);
    }
    ShapeVec all = {0};
    uint32_t segs = c->shapes.data[0].segs_out;
    for (size_t i = 0; i < c->shapes.n; i++)
        vec_push(z->arena, &all, c->shapes.data[i]);
    for (uint32_t i = 0; i < n[0]; i++) {
        for (uint32_t j = 0; j < n[1]; j++) {
            Shape s = {.lanes_in = cuts[0][i], .lanes_out = cuts[1][j], .split = 1};
            uint64_t cores = (uint64_t)s.lanes_in * s.lanes_out;
            s.w = s.lanes_in;
            s.h = s.lanes_out;
            s.segs_out = segs;
            if (cores >= least && cores <= most && !has_shape(c, &s) && fits_fabric(m, &s) &&
                kernel_shape(z->arena, k, c->protocol, m, &s) && s.segs_out == segs &&
                s.bytes <= m->sram_bytes)
                vec_push(z->arena, &all, s);
        }
    }
    c->shapes = all;
    class_shapes(z, c, k);
}

void sizing_refine(Sizing *z, uint64_t cycles)
{
    for (uint32_t k = 0; k < z->n; k++) {
        KernelClass *c = z->choice[k].class_of;
        if (c->fine || z->choice[k].kernel->kind != KERNEL_MATVEC)
            continue;
        c->fine = true;
        /* With skips all rows have to agree on lanes. */
        refine_class(z, c, z->choice[k].kernel, cycles, z->joins);
    }
    sizing_tables(z);
}
