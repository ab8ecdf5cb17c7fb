/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/fabric.h - an image unfolded: every core that runs, every route as a tree.
 *
 * Made from the image alone by fabric_build(), which at the same time proves the
 * structure (one configuration per router and color, routes are trees with one source,
 * queues, ports ...; the full list is in check.h). Checker and engines stand on this. Costs
 * grow with used cores and routers, not with the wafer.
 *
 * Node numbering: nodes 0 .. n_cores-1 are cores, n_cores .. n_cores+n_ports-1 host ports
 * (which run programs like cores do, over tensor memory instead of SRAM). */
#ifndef WSE_RUNTIME_FABRIC_H
#define WSE_RUNTIME_FABRIC_H

#include "runtime/format/image.h"

enum { NO_ROUTE = UINT32_MAX };

typedef struct FabricNode {
    uint32_t x, y; /* of a port: the edge router it is attached to */
    uint32_t class_id;
    uint32_t rect; /* index into image->cores, or of the port in image->ports */
    uint32_t i, j; /* position in the rectangle's grid */
    bool is_port;
    const int32_t *data;     /* n_data words, evaluated */
    const Channel *channels; /* n_channels of the class (a port: one, with its color; ring,
                                slots and slot_words 0, as sinks are always ready) */
    uint32_t *route;         /* by channel: out: the route it feeds; in: the route it is fed
                                by; NO_ROUTE where color is -1 */
    uint32_t *receiver;      /* by channel: in: its index among that route's receivers */
} FabricNode;

/* A directed link or ramp that a route's words cross. Ids are dense over used links; the
 * same physical link used by several routes has one id. */
typedef struct FabricBranch {
    uint32_t parent; /* index of the branch before it in the same route; UINT32_MAX at the
                        source's own ramp (or port link) */
    uint32_t link;   /* id of the physical link */
    uint32_t delay;  /* cycles: machine.ramp for ramps, machine.hop for each hop (a link between
                        two cores has more than one where dead ones lie between them) */
} FabricBranch;

typedef struct FabricReceiver {
    uint32_t node, channel;
    uint32_t branch; /* the last branch: the ramp down to the core, or the link to the port */
    uint32_t hops;   /* hops from router to router from the source on: Q = 2 * hops */
} FabricReceiver;

typedef struct FabricRoute {
    uint32_t source, channel; /* node and its channel */
    uint32_t color, stream;
    uint32_t n_branches;
    FabricBranch *branches; /* parents first */
    uint32_t n_receivers;
    FabricReceiver *receivers;
} FabricRoute;

typedef struct FabricLink { /* for reports */
    uint32_t x, y;
    Side side; /* the side of router (x, y) by which words leave; RAMP: down to the core.
                  from_core: up from the core of (x, y) into its router. A host port's link,
                  in either direction, is the W or E side of its edge router */
    bool from_core;
} FabricLink;

/* Open addressing, power-of-two sized; keys below UINT32_MAX. */
typedef struct FabricMap {
    uint32_t *key, *value;
    uint32_t mask, shift;
} FabricMap;

/* Cores are numbered rectangle by rectangle, row by row; cores of a rectangle with equal
 * data words share one `data`. */
typedef struct Fabric {
    const Image *image;
    uint32_t n_cores, n_ports;
    FabricNode *nodes; /* n_cores + n_ports */
    uint32_t n_routes;
    FabricRoute *routes;
    uint32_t n_links;
    FabricLink *links;
    FabricMap core_at;        /* for fabric_core_at() */
    const DefectMap *defects; /* NULL: none */
} Fabric;

/* Structure checks as it goes; all violations found (up to a bound) are reported to d. */
bool fabric_build(Arena *a, Diag *d, const Image *image, Fabric *result);

/* The node at a core, or UINT32_MAX. */
uint32_t fabric_core_at(const Fabric *f, uint32_t x, uint32_t y);

/* What diagnostics call things, with places of the model's text where they are known:
 * "core (3, 4) of 'fc1' (mlp.dsl:7)", "host port W row 3 of 'image' (mlp.dsl:2)",
 * "'image -> conv1' (mlp.dsl:4)". On the arena. */
const char *fabric_core_name(Arena *a, const Image *image, uint32_t x, uint32_t y, uint32_t kernel);
const char *fabric_port_name(Arena *a, const Image *image, uint32_t port);
const char *fabric_node_name(Arena *a, const Fabric *f, uint32_t node);
const char *fabric_stream_name(Arena *a, const Image *image, uint32_t stream);

#endif
