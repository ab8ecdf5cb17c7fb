/* SPDX-License-Identifier: Apache-2.0 */
/* ir/graph.h - the network as a graph of tensors.
 *
 * A node is one operation and its one result. Nodes stand in a topological order in
 * graph->nodes (inputs before users, by construction); ids are dense positions in it after
 * graph_renumber(). The graph describes one sample. Everything lives on the graph's arena. */
#ifndef WSEC_IR_GRAPH_H
#define WSEC_IR_GRAPH_H

#include <stddef.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"
#include "ir/support/dtype.h"
#include "ir/support/text.h"
#include "ir/support/vec.h"

enum { TYPE_MAX_RANK = 4, TYPE_MAX_EXTENT = 1 << 24, TYPE_MAX_ELEMENTS = 1 << 30 };

typedef enum Opkind {
#define OP(id, text, signature, flags, infer, doc) OP_##id,
#include "ir/ops.def"
    OP_COUNT
} Opkind;

enum {
    OPF_LEAF = 1 << 0,
    OPF_LAYER = 1 << 1,  /* declares weights */
    OPF_KERNEL = 1 << 2, /* anchors a kernel that holds a matrix */
    OPF_EW = 1 << 3,     /* elementwise */
    OPF_BINARY = 1 << 4,
    OPF_COMMUTES = 1 << 5,
    OPF_POOL = 1 << 6,
    OPF_REDUCE = 1 << 7, /* over the features */
    OPF_VIEW = 1 << 8,   /* moves no element on the fabric; must be folded away */
};

typedef struct Type {
    DType dtype;
    int rank;
    int64_t extent[TYPE_MAX_RANK];
} Type;

typedef struct Node Node;

struct Node {
    uint32_t id;
    Opkind op;
    Type type;
    Span span;        /* in the model's source; every pass keeps it */
    const char *name; /* the value's name in the source, or NULL; layers: their name */
    Node **in;
    uint32_t n_in;
    /* attributes, described once in node_attributes[]; zero where unused */
    struct {
        int64_t kernel[2], stride[2], padding[2]; /* rows, columns */
        double eps;
        const char *order;            /* flatten */
        int64_t shape[TYPE_MAX_RANK]; /* reshape, transpose's axes */
        int shape_rank;
        bool has_bias;
    } attr;
    /* OP_CONST: the values. float data of type.n elements in the declared dtype's precision
     * (f16 values are rounded to f16 when loaded); NULL with --weights none. */
    const float *value;
    bool is_weight; /* OP_CONST: loaded by name, not a literal */
    /* Set by passes/fuse: kernel group this node belongs to; UINT32_MAX where none. */
    uint32_t kernel;
};

typedef VEC(Node *) NodeVec;

typedef struct Graph {
    Arena *arena;
    const char *name;
    NodeVec nodes;
    NodeVec inputs;  /* in the order of declaration */
    NodeVec outputs; /* the values returned */
    const char **output_names;
} Graph;

typedef struct OpInfo {
    const char *text, *signature, *doc;
    uint32_t flags;
    bool (*infer)(Diag *d, Node *n); /* sets n->type or reports */
} OpInfo;

extern const OpInfo op_info[OP_COUNT];

/* The attributes of each operator: for text, comparison and the verifier. ATTR_SHAPE is
 * attr.shape with attr.shape_rank. */
typedef enum AttrKind { ATTR_PAIR, ATTR_FLOAT, ATTR_STRING, ATTR_SHAPE, ATTR_BOOL } AttrKind;

typedef struct AttrInfo {
    Opkind op;
    const char *name;
    AttrKind kind;
    size_t offset; /* in Node */
} AttrInfo;

extern const AttrInfo node_attributes[];
extern const size_t n_node_attributes;

int64_t type_elements(const Type *t);
bool type_equal(const Type *a, const Type *b);
const char *type_text(Arena *a, const Type *t); /* "f32[28, 28, 1]" */
static inline int64_t type_features(const Type *t)
{
    return t->rank ? t->extent[t->rank - 1] : 1;
}
static inline int64_t type_positions(const Type *t)
{
    int64_t n = 1;
    for (int i = 0; i + 1 < t->rank; i++)
        n *= t->extent[i];
    return n;
}

Graph *graph_create(Arena *a, const char *name);
/* Appends a node of op with these inputs; type is inferred by the caller through
 * op_info[op].infer once attributes are set. */
Node *graph_add(Graph *g, Opkind op, Span span, const char *name, Node *const *in, uint32_t n_in);
Node *graph_const(Graph *g, Span span, const char *name, Type type, const float *value);
void graph_replace_uses(Graph *g, Node *old, Node *with); /* also among the outputs */
void graph_sweep(Graph *g); /* drops nodes no output depends on (inputs stay), renumbers,
                               restores topological order */
uint32_t *graph_use_counts(const Graph *g, Arena *a); /* by id; outputs count as uses */

/* Text form; print of parse of print is the same byte for byte. Weights by name
 * (const @fc1.weight), literals of at most 16 elements inline in hexadecimal floats. */
void graph_print(Text *t, const Graph *g, bool spans);
Graph *graph_parse(Arena *a, Diag *d, uint32_t file); /* of a source of d */

/* Invariants of a graph after any pass; reports internal errors naming `after`. */
bool graph_verify(Diag *d, const Graph *g, const char *after);

#endif
