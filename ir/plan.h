/* SPDX-License-Identifier: Apache-2.0 */
/* ir/plan.h - the network as kernels on rectangles of cores and streams between them.
 *
 * Made by passes (sizing, placement, routing), turned into an image by backend/kernels.
 *
 * Frames. A kernel is described in its own canonical frame, w x h cores, and stands on the
 * fabric turned (quarter turns clockwise) and perhaps mirrored (before the turn, left to
 * right). plan_to_fabric() maps positions, plan_side() sides.
 *
 *   matrix kernels (matvec, conv): inputs enter the north edge travelling south and are
 *     multicast down the columns; partial sums run along the rows from column 0, where they
 *     start with the bias, to column w-1; results leave the east edge of column w-1, one lane
 *     per row.
 *   line kernels (line, reduce): a strip, w = 1; inputs enter from the west, one lane per
 *     row (row k is lane k), results leave to the east.
 *   adapters: w = 1 or 2; lanes enter from the west and leave to the east.
 *
 * Handedness. In every stream lane 0 is the leftmost seen in the direction of travel.
 * Bundles never cross, so this holds along the whole way and it is all that producer and
 * consumer need to agree on. Unmirrored canonical: travelling south left is east, so lane 0
 * enters at the easternmost column; travelling east left is north, so lane 0 leaves at row
 * 0. Mirrored: the lane numbers along each edge run the other way in the canonical frame.
 */
#ifndef WSEC_IR_PLAN_H
#define WSEC_IR_PLAN_H

#include "ir/graph.h"
#include "runtime/format/image.h"

enum { KERNEL_MAX_INPUTS = 6, KERNEL_MAX_OUTPUTS = 4, PLAN_HOST = -1 };

typedef enum KernelKind {
    KERNEL_MATVEC,  /* linear, matmul; also over a flattened image, message by message */
    KERNEL_CONV,    /* conv2d with a line buffer */
    KERNEL_LINE,    /* elementwise chains, pooling, global pooling: no cross-lane traffic */
    KERNEL_REDUCE,  /* over the features: chain along the strip; one lane out */
    KERNEL_ADAPTER, /* changes the number of lanes */
    KERNEL_KIND_COUNT
} KernelKind;

/* Weights on columns of cores: input 0 enters from the north, the others at the results. */
static inline bool kernel_is_matrix(KernelKind kind)
{
    return kind == KERNEL_MATVEC || kind == KERNEL_CONV;
}

/* How a tensor travels (see StreamInfo of image.h): as rows x cols positions of features,
 * features in blocks over lanes. A vector is 1 x 1 positions, [T, D] is T x 1. */
typedef struct Protocol {
    DType dtype;
    uint32_t rows, cols, features;
    uint32_t lanes;
    uint32_t segs; /* messages per row, 1 .. cols */
} Protocol;

static inline uint32_t block_begin(uint32_t n, uint32_t parts, uint32_t k)
{
    uint32_t b = n / parts, r = n % parts;
    return k < r ? k * (b + 1) : r * (b + 1) + (k - r) * b;
}
static inline uint32_t block_size(uint32_t n, uint32_t parts, uint32_t k)
{
    return n / parts + (k < n % parts);
}

/* How features are cut over lanes: into groups first, as many as the largest divisor that the
 * lanes have in common with LANE_GROUPS, then every group over its lanes. Half as many groups have
 * every other border, so lanes that share a divisor with LANE_GROUPS share borders, and an adapter
 * between them works on a group at a time. Block 0 is a largest one, and no larger than that of
 * block_size(features, lanes, .). */
enum { LANE_GROUPS = 32 };

static inline uint32_t lane_groups(uint32_t lanes)
{
    uint32_t g = LANE_GROUPS;
    while (lanes % g)
        g /= 2;
    return g;
}
static inline uint32_t group_begin(uint32_t features, uint32_t groups, uint32_t k)
{
    return (uint32_t)(((uint64_t)features * k + groups - 1) / groups);
}
static inline uint32_t lane_begin(uint32_t features, uint32_t lanes, uint32_t k)
{
    uint32_t g = lane_groups(lanes), each = lanes / g, q = k / each;
    uint32_t begin = group_begin(features, g, q), end = group_begin(features, g, q + 1);
    return begin + block_begin(end - begin, each, k % each);
}
static inline uint32_t lane_size(uint32_t features, uint32_t lanes, uint32_t k)
{
    return lane_begin(features, lanes, k + 1) - lane_begin(features, lanes, k);
}

/* A candidate shape of a kernel and what it costs; the sizing pass picks one. */
typedef struct Shape {
    uint32_t lanes_in, lanes_out;
    uint32_t split;    /* matrix kernels: columns per input lane (taps or messages are
                          dealt over them); w = lanes_in * split. 1 elsewhere */
    uint32_t w, h;     /* canonical */
    uint32_t segs_out; /* messages per row of the result */
    uint64_t cycles;   /* per sample, of the slowest core, by program_totals */
    uint32_t bytes;    /* of the fullest core, code and reserve included */
} Shape;

typedef struct Kernel {
    uint32_t id;
    KernelKind kind;
    const char *name; /* "conv1", "fc2", "add_7"; unique */
    Span span;
    Node *anchor; /* conv2d, linear, matmul, pool, reduction or first elementwise
                     node; NULL for adapters */
    Node **steps; /* fused nodes after the anchor, in order: bias is part of the
                     anchor; relu, add const, residual add, batch norm, max_pool ... */
    uint32_t n_steps;
    Node *result;                            /* the node whose value the kernel sends */
    uint32_t n_in, in[KERNEL_MAX_INPUTS];    /* streams; in[0] feeds the anchor, the others
                                                feed second operands, in order of steps */
    uint32_t n_out, out[KERNEL_MAX_OUTPUTS]; /* streams of the result, those with a trunk last */
    uint32_t n_branches;                     /* of them with a trunk: not sent once more */
    Shape shape;
    /* placement: region in fabric coordinates */
    uint32_t x, y;
    uint32_t turn; /* quarter turns clockwise, 0 .. 3 */
    bool mirror;
    /* what the user asks for (passes/constraints.h); NULL: nothing */
    const struct Pin *pin;
    const struct AreaLimit *area;
} Kernel;

/* One straight piece of a bundle: every lane runs from where it is in direction `side` until
 * its own coordinate `to[lane]` (x for E and W, y for N and S), inclusive. */
typedef struct BundleSegment {
    Side side;
    uint32_t *to; /* by lane */
} BundleSegment;

typedef struct Stream {
    uint32_t id;
    const char *name;
    Span span;
    int32_t from, to;  /* kernels, PLAN_HOST for the host */
    uint32_t to_input; /* which input of `to` */
    Node *node;        /* the tensor: a node's value */
    uint32_t tensor;   /* host streams: index among graph inputs or outputs */
    Protocol protocol;
    uint32_t slots; /* ring capacity c at every receiver, in messages; >= 1 */
    /* routing */
    struct Stream *trunk; /* not NULL: of the same source, and what this one is a branch of: one
                             color, one send, one queue. It goes on from the far side of that
                             one's consumer, which passes the lanes on straight (at most one
                             stream a trunk), */
    bool forks;           /* or leaves that one's own way, each lane at a router of that lane */
    uint32_t color;
    bool color_fixed;            /* color was given and stays: programs and data name it */
    Side port_side;              /* host streams: W or E */
    uint32_t *port_y;            /* host streams: by lane, row of the port */
    uint32_t *start_x, *start_y; /* by lane: the core (or edge router at a port, or router of
                                    the trunk where it forks) it leaves */
    BundleSegment *segments;     /* from the start up to the last router before the
                                    consumer's region (from there the kernel distributes the
                                    lane itself), or up to the edge router of the port. Empty
                                    where regions touch, and for a host input whose edge
                                    router lies in the consumer's region. A lane may have
                                    length 0 on a segment. */
    uint32_t n_segments;
} Stream;

/* The kernel whose region a stream's own way begins at; of one that forks: the sender. */
static inline int32_t stream_source(const Stream *s)
{
    return s->trunk && !s->forks ? s->trunk->to : s->from;
}

/* Does its own way begin at a host port? */
static inline bool stream_enters(const Stream *s)
{
    return s->from == PLAN_HOST && !s->trunk;
}

/* Does it enter or leave the fabric by ports of its own? */
static inline bool stream_has_ports(const Stream *s)
{
    return stream_enters(s) || s->to == PLAN_HOST;
}

typedef struct SizePoint {
    uint64_t cores, cycles; /* of kernels and adapters; of the slowest of them, a sample */
} SizePoint;

/* Cores that no kernel may take; lanes may pass over them unless they are dead. */
typedef struct KeepOut {
    uint32_t x, y, w, h;
    bool dead;       /* no router works there either: nothing passes */
    const char *why; /* "keep-out 'camera'", "row 17: 31 dead cores, 24 spares" */
} KeepOut;

typedef struct Plan {
    Arena *arena;
    const Graph *graph;
    const Machine *machine;
    VEC(Kernel *) kernels;
    VEC(Stream *) streams;
    VEC(KeepOut) keepouts;
    bool programs_given;    /* shapes, mirrors and trunks stay as they are */
    const Defects *defects; /* of the wafer; NULL: a perfect one */
    const char *why;        /* one line: what limits the plan */
    VEC(SizePoint) curve;   /* what other numbers of cores would give, if asked for */
    struct Sizing *sizing;  /* what sizing knows, for placement */
    uint64_t shapes_bound;  /* no choice of shapes that fits the cores allowed is faster */
} Plan;

/* Fabric position of canonical (cx, cy) of a kernel, and fabric side of a canonical one. */
void plan_to_fabric(const Kernel *k, uint32_t cx, uint32_t cy, uint32_t *x, uint32_t *y);
Side plan_side(const Kernel *k, Side canonical);
/* Extent of the region on the fabric. */
void plan_extent(const Kernel *k, uint32_t *w, uint32_t *h);

/* What the graph passes leave for the kernels (passes/legal.c and fuse.c hold to it):
 *   - matmul has become linear; the weights of conv2d and linear are constants; batch_norm is
 *     gone; the only views left are RESHAPEs that keep the row-major order of elements.
 *   - kernel MATVEC: anchor linear. With protocol P of stream in[0] and weight [N, K]:
 *     P.features == K is one result per position (form a); otherwise
 *     P.rows * P.cols * P.features == K, and the weight's columns are in the stream's
 *     order [row][column][feature] (form b, one result per sample).
 *   - kernel CONV: anchor conv2d.  REDUCE: one reduction, no steps.
 *   - kernel LINE: anchor elementwise, pool or global pool.
 *   - steps: relu; add sub mul min max with a constant (any shape that broadcasts) or with a
 *     second stream; behind a conv2d's own chain at most one max_pool or avg_pool, no global
 *     pool. Behind a pool (anchor or step) only relu and constants follow. Second streams
 *     have the form of the result; in LINE kernels also 1 x 1 positions of all features,
 *     against more (received once a sample, held).
 *   - each of the operands of a binary step may be the chain: plan_chain_operand().
 * Host tensors: graph inputs and outputs in row-major order. A host stream's protocol comes
 * from stream->node, which may be a reshape of the input (its elements in the same order), or
 * what the output is a reshape of. */

/* The same rows, columns, features and dtype as streams. */
bool protocol_same_form(const Type *a, const Type *b);

/* The node whose stream carries the value of n: n without the views above it; a view of a
 * graph input is streamed by the host as it is. */
Node *plan_source(const Node *n);

/* Which input of an elementwise step is the running value `prev` of the kernel; for an
 * anchor (prev NULL) which one comes in by in[0]: the first that is no constant and has the
 * result's form. */
uint32_t plan_chain_operand(const Node *n, const Node *prev);

KernelKind kernel_kind_of(const Node *anchor);
const char *kernel_kind_text(KernelKind kind); /* "matvec", "conv" ... */

/* The protocol of a node's tensor with so many lanes and segments. False where the tensor
 * has no stream form (rank 0, or more than 3). */
bool protocol_of(const Type *t, uint32_t lanes, uint32_t segs, Protocol *result);
/* Longest message of any lane in words. */
uint32_t protocol_words(const Protocol *p);
uint32_t protocol_messages(const Protocol *p); /* per lane and sample */

/* Every kernel behind those that feed it, by number (Kahn); `deep`: the successor of the last one
 * first, so chains stay together. Returns how many; those of a circle are left out. */
uint32_t plan_order(const Plan *p, bool deep, uint32_t *order);

void plan_print(Text *t, const Plan *p); /* kernels and streams, for dumps and golden files */

#endif
