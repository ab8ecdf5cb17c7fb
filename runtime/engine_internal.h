/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/engine_internal.h - state of a simulation, shared by the engine's files.
 *
 *   engine_build.c  schedules of programs, routes as trees of stops, components
 *   engine_queue.c  pending link events in order of time
 *   engine.c        the timing rule: operations, links, the loop
 *   engine_memory.c SRAM, rings and tensors of the core engine
 *   period.c        repetition of the whole state */
#ifndef WSE_RUNTIME_ENGINE_INTERNAL_H
#define WSE_RUNTIME_ENGINE_INTERNAL_H

#include "runtime/engine.h"

#define NONE UINT32_MAX

/* What an operation of an iteration is for time. Programs never look at data, so the list
 * of them is the same in every iteration. */
typedef struct Step {
    uint32_t op; /* index in the class */
    uint32_t setup, duration;
    uint32_t in_words[PROGRAM_SOURCES], out_words;
    uint8_t n_in, in_channel[PROGRAM_SOURCES];
    uint8_t has_out, out_channel;
} Step;

typedef struct Schedule {
    Step *steps; /* most of them distinct */
    uint32_t n_steps;
    uint32_t *order; /* the iteration, indices into steps */
    uint32_t n;
} Schedule;

/* A message's place at a receiver, from the moment it is sent until it is released; then
 * `head` is the cycle of that release. */
typedef struct Place {
    uint64_t head, tail;
    uint32_t words;
} Place;

typedef struct SimReceiver {
    uint32_t node, route;
    uint32_t window;             /* c + floor(Q / n): messages sent and not released, at most */
    uint32_t outstanding;        /* sent, not released */
    uint32_t queued;             /* of these, arrived */
    uint32_t send, arrive, take; /* places of the next message to be sent, to arrive, to be
                                    consumed; modulo window */
    Place *places;
} SimReceiver;

typedef struct SimRoute {
    uint32_t source;
    uint32_t first_receiver, n_receivers; /* receivers of a route are contiguous */
    uint32_t first_link, first_delay;     /* the source's ramp, or the port's link */
    uint32_t first_child, n_children;     /* stops after it, in Sim.children */
    uint64_t passed;                      /* when its last message had passed that link */
    uint64_t words;                       /* sent so far */
} SimRoute;

/* Where a message on a route must be looked at: a link that other routes use as well, or
 * its arrival. Links in between that the lane has for itself only add their delay: behind
 * the first link a message's tail is at least words - 1 after its head and before the next
 * one's head, so neither `free` nor `passed` of such a link ever exceeds h + hop. Numbered in
 * the order in which events of one cycle are handled: hops before ramps, then by link and
 * color. */
typedef struct Stop {
    uint32_t link; /* NONE: arrival over links of its own */
    uint32_t delay;
    uint32_t receiver; /* NONE: goes on */
    uint32_t first_child, n_children;
    uint64_t passed;       /* when the route's last message had passed */
    uint32_t color, route; /* for the numbering, and faults */
    bool is_ramp;          /* last link of the route */
} Stop;

typedef struct LinkEvent {
    uint64_t time; /* h + hop */
    uint64_t tail; /* t + hop */
    uint32_t stop, words;
    uint32_t next;
} LinkEvent;

enum { QUEUE_BUCKETS = 4096 };

/* Calendar queue: bucket = time modulo QUEUE_BUCKETS. Nothing is ever pushed before `now`. */
typedef struct LinkQueue {
    uint32_t bucket[QUEUE_BUCKETS];
    uint64_t used[QUEUE_BUCKETS / 64]; /* bit: bucket is not empty */
    LinkEvent *pool;
    uint32_t cap, free_list, n;
    uint64_t now;
    LinkEvent *batch; /* events of one cycle, taken out */
    uint32_t n_batch, cap_batch;
} LinkQueue;

typedef struct SimNode {
    const Schedule *schedule;
    uint32_t *end;     /* by channel: in: receiver, out: route; NONE if not connected */
    uint32_t position; /* in schedule->order */
    uint32_t waits;    /* NONE, or 2 * receiver + (1: for a release by it, 0: a message) */
    uint32_t scan;     /* receivers of the output already found to have room */
    bool is_port, is_sink, done;
    uint64_t free;
    uint64_t iteration;
    uint64_t busy, operations;
} SimNode;

typedef struct Range {
    uint32_t begin, end;
} Range;

/* Nodes, receivers and links that can influence each other's times. */
typedef struct Component {
    Range nodes, receivers, links, routes, stops; /* ranges of Sim.node_order ... */
} Component;

typedef struct Memory Memory; /* engine_memory.c */

typedef struct Sim {
    Arena *arena; /* of the simulation's state */
    const Fabric *fabric;
    const EngineOptions *options;
    const Machine *machine;

    uint32_t n_nodes, n_sinks;
    SimNode *nodes;
    uint32_t n_receivers;
    SimReceiver *receivers;
    SimRoute *routes;
    uint32_t n_stops;
    Stop *stops;
    uint32_t *children;
    uint64_t *link_free;
    bool *link_is_event;

    uint32_t n_components;
    Component *components;
    uint32_t *node_order, *receiver_order, *link_order, *route_order, *stop_order;

    LinkQueue queue;
    uint32_t *ready; /* stack of nodes to look at */
    uint32_t n_ready;
    Memory *memory; /* NULL without values */

    /* of the component that runs */
    const Component *component;
    uint32_t reference, n_references; /* see next_reference() in engine.c */
    bool at_boundary;                 /* the reference finished a sample in this cycle */
    uint32_t unfinished;
    uint64_t last_end;                   /* latest end of any operation */
    uint64_t middle_result, last_result; /* ends of samples / 2 and of samples at its sinks */

    uint64_t first_result, cycles; /* of all components so far */
    uint64_t skipped_operations;

    EngineStatus status; /* ENGINE_DONE while all is well */
    const char *fault;
} Sim;

/* False with sim->fault. */
bool engine_build(Sim *sim);

void queue_init(LinkQueue *q);
void queue_free(LinkQueue *q);
void queue_push(LinkQueue *q, uint64_t time, uint64_t tail, uint32_t stop, uint32_t words);
/* Moves to the next cycle with events and takes them out into batch. False if none. */
bool queue_next(LinkQueue *q);
/* Adds events of this cycle that were pushed meanwhile to the batch from `first` on and
 * sorts that part by stop. */
void queue_more(LinkQueue *q, uint32_t first);

Memory *memory_create(Sim *sim, const uint8_t *const *inputs, uint8_t *const *outputs);
void memory_free(Memory *m, const Sim *sim);
/* Executes an operation whose inputs have arrived. False with sim->fault. */
bool memory_execute(Sim *sim, uint32_t node, const Step *step);
void memory_arrive(Sim *sim, uint32_t receiver);  /* before receiver->queued grows */
void memory_release(Sim *sim, uint32_t receiver); /* after it was counted down */

typedef struct Period Period;
Period *period_create(Sim *sim);
void period_free(Period *p);
/* At the end of a cycle in which the reference finished a sample: if the state is that of an
 * earlier such cycle, moves the simulation ahead as far as possible and returns true, with the
 * period and how many samples the slowest sink finishes in it. */
bool period_skip(Period *p, Sim *sim, uint64_t *cycles, uint64_t *samples);

bool engine_fail(Sim *sim, EngineStatus status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
