/* SPDX-License-Identifier: Apache-2.0 */
/* passes/partition.c - Graph to Plan: kernels from the groups of fuse, streams between them.
 *
 * Each kernel input gets a stream of its own, from the kernel that makes the value or from
 * the host; each output of the graph one to the host. Lanes are 0 and segments 1 until sizing
 * chooses them, slots the default. A value with more than KERNEL_MAX_OUTPUTS receivers is
 * reported. Expected linear time. */
#include "passes/defects.h"
#include "passes/passes.h"

#include <string.h>

#include "ir/support/hash.h"

enum { DEFAULT_SLOTS = 2 };

typedef struct UsedName {
    const char *name;
    unsigned next; /* the number that may make it unique */
} UsedName;

typedef struct Partition {
    Diag *d;
    const Graph *g;
    Plan *plan;
    UsedName *names; /* open addressing; a power of two, at most half full */
    size_t n_names;
    bool ok;
} Partition;

/* A layer is called as its weights are ("conv1.weight.norm" gives conv1), anything else as
 * its value, or else by operator and number. */
static const char *base_name(Arena *a, const Node *anchor, const Node *result)
{
    if ((op_info[anchor->op].flags & OPF_KERNEL) && anchor->in[1]->name != NULL) {
        const char *dot = strstr(anchor->in[1]->name, ".weight");
        if (dot != NULL && dot != anchor->in[1]->name)
            return arena_strdup(a, anchor->in[1]->name, (size_t)(dot - anchor->in[1]->name));
    }
    if (anchor->name != NULL)
        return anchor->name;
    if (result->name != NULL)
        return result->name;
    return arena_printf(a, "%s_%u", op_info[anchor->op].text, anchor->id);
}

/* Where a name stands in the table, or the free place for it. */
static UsedName *find_name(const Partition *t, const char *name)
{
    size_t mask = t->n_names - 1, at = (size_t)hash_bytes(0, name, strlen(name)) & mask;
    while (t->names[at].name && strcmp(t->names[at].name, name) != 0)
        at = (at + 1) & mask;
    return &t->names[at];
}

static const char *unique_name(Partition *t, const char *base)
{
    UsedName *first = find_name(t, base), *use = first;
    const char *name = base;
    while (use->name) {
        name = arena_printf(t->plan->arena, "%s_%u", base, first->next++);
        use = find_name(t, name);
    }
    *use = (UsedName){name, 2};
    return name;
}

static void add_kernel(Partition *t, const NodeVec *members)
{
    Arena *a = t->plan->arena;
    Kernel *k = arena_new(a, Kernel);
    k->id = (uint32_t)t->plan->kernels.n;
    k->anchor = members->data[0];
    k->steps = members->data + 1;
    k->n_steps = (uint32_t)members->n - 1;
    k->result = members->data[members->n - 1];
    k->kind = kernel_kind_of(k->anchor);
    k->span = k->anchor->span;
    k->name = unique_name(t, base_name(a, k->anchor, k->result));
    vec_push(a, &t->plan->kernels, k);
}

/* A stream of the value of n to input `to_input` of kernel `to`, or as output `tensor`. */
static Stream *add_stream(Partition *t, Node *n, int32_t to, uint32_t to_input, uint32_t tensor)
{
    Plan *p = t->plan;
    Stream *s = arena_new(p->arena, Stream);
    const Node *input = n->op == OP_INPUT ? n : n->in[0];
    const char *from_name, *to_name;

    s->id = (uint32_t)p->streams.n;
    s->node = n;
    s->span = n->span;
    s->to = to;
    s->to_input = to_input;
    s->tensor = tensor;
    s->slots = DEFAULT_SLOTS;
    if (n->kernel == UINT32_MAX) { /* an input, or a reshape of one */
        s->from = PLAN_HOST;
        while (t->g->inputs.data[s->tensor] != input)
            s->tensor++;
        from_name = input->name;
    } else {
        Kernel *k = p->kernels.data[n->kernel];
        s->from = (int32_t)n->kernel;
        from_name = k->name;
        if (k->n_out < KERNEL_MAX_OUTPUTS)
            k->out[k->n_out] = s->id;
        k->n_out++;
    }
    to_name = to == PLAN_HOST ? t->g->output_names[tensor] : p->kernels.data[to]->name;
    s->name = arena_printf(p->arena, "%s -> %s", from_name, to_name);
    if (!protocol_of(&n->type, 0, 1, &s->protocol))
        t->ok = diag_internal(t->d, n->span, "%s: %s has no stream form", s->name,
                              type_text(p->arena, &n->type));
    vec_push(p->arena, &p->streams, s);
    return s;
}

static void add_input(Partition *t, Kernel *k, Node *operand)
{
    Stream *s = add_stream(t, plan_source(operand), (int32_t)k->id, k->n_in, 0);
    k->in[k->n_in++] = s->id;
}

static void add_inputs(Partition *t, Kernel *k)
{
    const Node *anchor = k->anchor, *prev = anchor;
    uint32_t main_operand =
        op_info[anchor->op].flags & OPF_BINARY ? plan_chain_operand(anchor, NULL) : 0;
    add_input(t, k, anchor->in[main_operand]);
    if ((op_info[anchor->op].flags & OPF_BINARY) && anchor->in[1 - main_operand]->op != OP_CONST)
        add_input(t, k, anchor->in[1 - main_operand]);
    for (uint32_t i = 0; i < k->n_steps; prev = k->steps[i++]) {
        const Node *n = k->steps[i];
        if (!(op_info[n->op].flags & OPF_BINARY))
            continue;
        Node *other = n->in[1 - plan_chain_operand(n, prev)];
        if (other->op != OP_CONST)
            add_input(t, k, other);
    }
}

bool pass_partition(PassContext *cx)
{
    const Graph *g = cx->graph;
    Arena scratch = {0};
    Plan *plan = arena_new(cx->arena, Plan);
    Partition t = {.d = cx->diag, .g = g, .plan = plan, .n_names = 2, .ok = true};
    uint32_t n_kernels = 0;

    plan->arena = cx->arena;
    plan->graph = g;
    plan->machine = cx->machine;
    for (size_t i = 0; i < g->nodes.n; i++)
        if (g->nodes.data[i]->kernel != UINT32_MAX && g->nodes.data[i]->kernel >= n_kernels)
            n_kernels = g->nodes.data[i]->kernel + 1;
    while (t.n_names < 2 * (size_t)n_kernels)
        t.n_names *= 2;
    t.names = arena_array(&scratch, UsedName, t.n_names);
    NodeVec *members = arena_array(&scratch, NodeVec, n_kernels);
    for (size_t i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.data[i];
        if (n->kernel != UINT32_MAX)
            vec_push(cx->arena, &members[n->kernel], n);
    }
    for (uint32_t i = 0; i < n_kernels; i++)
        add_kernel(&t, &members[i]);
    for (size_t i = 0; i < plan->kernels.n; i++)
        add_inputs(&t, plan->kernels.data[i]);
    for (size_t i = 0; i < g->outputs.n; i++)
        add_stream(&t, plan_source(g->outputs.data[i]), PLAN_HOST, 0, (uint32_t)i);
    for (size_t i = 0; i < plan->kernels.n; i++) {
        const Kernel *k = plan->kernels.data[i];
        if (k->n_out > KERNEL_MAX_OUTPUTS)
            t.ok = diag_error(cx->diag, k->result->span,
                              "%s: the value goes to %u receivers, a core sends at most %d copies",
                              k->name, k->n_out, KERNEL_MAX_OUTPUTS);
    }
    cx->plan = plan;
    arena_free(&scratch);
    if (!plan_set_defects(cx->diag, plan, cx->options.defects) || !t.ok)
        return false;
    return !cx->options.constraints || constraints_apply(cx->diag, plan, cx->options.constraints);
}
