/* SPDX-License-Identifier: Apache-2.0 */
/* passes/cse.c - common subexpressions.
 *
 * Walks the nodes in order with a hash table of those kept; a node that equals a kept one
 * (operator, operands up to order where that does not matter, attributes, type; constants:
 * the same weight or the same bits) is replaced by it. The kept node inherits a name if it
 * has none. Expected linear time. */
#include "passes/passes.h"

#include <string.h>

#include "ir/support/hash.h"

static uint64_t add_hash(uint64_t h, const void *data, size_t len)
{
    return hash_bytes(h, data, len);
}

static void operand_ids(const Node *n, uint32_t ids[2])
{
    ids[0] = n->in[0]->id;
    ids[1] = n->in[1]->id;
    if (ids[0] > ids[1]) {
        ids[0] = n->in[1]->id;
        ids[1] = n->in[0]->id;
    }
}

static uint64_t node_hash(const Node *n)
{
    uint64_t h = add_hash(0, &n->op, sizeof n->op);
    h = add_hash(h, &n->type.dtype, sizeof n->type.dtype);
    h = add_hash(h, n->type.extent, (size_t)n->type.rank * sizeof n->type.extent[0]);
    if (op_info[n->op].flags & OPF_COMMUTES) {
        uint32_t ids[2];
        operand_ids(n, ids);
        return add_hash(h, ids, sizeof ids);
    }
    for (uint32_t i = 0; i < n->n_in; i++)
        h = add_hash(h, &n->in[i]->id, sizeof n->in[i]->id);
    if (n->op != OP_CONST)
        return h;
    if (n->is_weight)
        return add_hash(h, n->name, strlen(n->name));
    if (n->value != NULL)
        return add_hash(h, n->value, (size_t)type_elements(&n->type) * sizeof(float));
    return h;
}

static bool same_attributes(const Node *a, const Node *b)
{
    for (size_t i = 0; i < n_node_attributes; i++) {
        const AttrInfo *t = &node_attributes[i];
        const char *pa = (const char *)a + t->offset, *pb = (const char *)b + t->offset;
        bool same = true;
        if (t->op != a->op)
            continue;
        switch (t->kind) {
        case ATTR_PAIR:
            same = memcmp(pa, pb, 2 * sizeof(int64_t)) == 0;
            break;
        case ATTR_FLOAT:
            same = memcmp(pa, pb, sizeof(double)) == 0;
            break;
        case ATTR_STRING:
            same = strcmp(*(const char *const *)pa, *(const char *const *)pb) == 0;
            break;
        case ATTR_SHAPE:
            same = a->attr.shape_rank == b->attr.shape_rank &&
                   memcmp(pa, pb, (size_t)a->attr.shape_rank * sizeof(int64_t)) == 0;
            break;
        case ATTR_BOOL:
            same = *(const bool *)pa == *(const bool *)pb;
            break;
        }
        if (!same)
            return false;
    }
    return true;
}

static bool same_const(const Node *a, const Node *b)
{
    if (a->is_weight != b->is_weight)
        return false;
    if (a->is_weight)
        return strcmp(a->name, b->name) == 0;
    return a->value != NULL && b->value != NULL &&
           memcmp(a->value, b->value, (size_t)type_elements(&a->type) * sizeof(float)) == 0;
}

static bool same_node(const Node *a, const Node *b)
{
    if (a->op != b->op || a->n_in != b->n_in || a->op == OP_INPUT ||
        !type_equal(&a->type, &b->type))
        return false;
    if (a->op == OP_CONST)
        return same_const(a, b);
    if (op_info[a->op].flags & OPF_COMMUTES) {
        uint32_t ia[2], ib[2];
        operand_ids(a, ia);
        operand_ids(b, ib);
        return ia[0] == ib[0] && ia[1] == ib[1];
    }
    for (uint32_t i = 0; i < a->n_in; i++)
        if (a->in[i] != b->in[i])
            return false;
    return same_attributes(a, b);
}

bool pass_cse(PassContext *cx)
{
    Graph *g = cx->graph;
    Arena scratch = {0};
    size_t size = 16;
    while (size < 2 * g->nodes.n)
        size *= 2;
    Node **table = arena_array(&scratch, Node *, size);
    Node **kept = arena_array(&scratch, Node *, g->nodes.n); /* by id: what stands for it */

    for (size_t i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.data[i];
        for (uint32_t k = 0; k < n->n_in; k++)
            n->in[k] = kept[n->in[k]->id];
        size_t at = (size_t)node_hash(n) & (size - 1);
        while (table[at] != NULL && !same_node(table[at], n))
            at = (at + 1) & (size - 1);
        if (table[at] == NULL)
            table[at] = n;
        else if (table[at]->name == NULL)
            table[at]->name = n->name;
        kept[n->id] = table[at];
    }
    for (size_t i = 0; i < g->outputs.n; i++)
        g->outputs.data[i] = kept[g->outputs.data[i]->id];
    arena_free(&scratch);
    graph_sweep(g);
    return true;
}
