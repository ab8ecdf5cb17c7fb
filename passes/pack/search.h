/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/search.h - what the parts of the engine share; nobody else includes it.
 *
 * A placement is a slicing tree (Otten, DAC 1982; Wong and Liu, DAC 1986): leaves are kernels,
 * an inner node puts its two children beside or on top of each other and aligns the shorter
 * one. Boxes follow from the leaves' shapes bottom-up, positions top-down. */
#ifndef WSEC_PASSES_PACK_SEARCH_H
#define WSEC_PASSES_PACK_SEARCH_H

#include <pthread.h>

#include "ir/support/clock.h"
#include "ir/support/rng.h"
#include "passes/pack/pack.h"

typedef struct Class {
    PackFamily *families; /* the model's, then variants of some of them */
    uint32_t n;           /* of the model's */
    uint32_t n_variants;
    uint32_t *base; /* of a variant: the family */
    uint32_t *lean; /* families that are not spare */
    uint32_t n_lean;
    uint64_t *in, *out; /* signatures of the families */
    uint64_t *keys;     /* of families of use by signature `in`, ascending */
    uint32_t *by_key;   /* the families in that order */
    uint32_t n_keys;
} Class;

typedef struct Leaf {
    uint32_t family;
    bool turned;
    double time;
    int32_t w, h;     /* before turning */
    uint64_t in, out; /* signatures of the family */
} Leaf;

/* Least extent across for extents 0 .. side along, for every class at one time limit. Kernels
 * may be turned, so one array serves for both directions. */
typedef struct Curve {
    int16_t *across;
    uint16_t *point; /* of the shape whose height is at most the index */
    Leaf *points;    /* one for every least extent, by falling extent */
    uint32_t n_points;
} Curve;

typedef struct Level {
    Curve *curves; /* by class; NULL, or with no `across`, until asked for */
} Level;

enum { LEVEL_COUNT = 2600, EXTENT_NONE = 16000, MAX_VARIANTS = 1000 };

/* An edge between a kernel and a terminal. */
typedef struct Tie {
    uint32_t kernel;
    double x2, y2; /* doubled */
    bool any_x, any_y;
    double weight;
} Tie;

typedef struct Search {
    Arena arena; /* guarded by `lock` once tasks run */
    const PackProblem *problem;
    uint32_t n;   /* kernels */
    int32_t side; /* curves go that far: somewhat beyond the grid */
    Class *classes;
    PackEdge *edges; /* between kernels */
    uint32_t n_edges;
    uint32_t *edge_begin, *edge_of; /* edges between kernels, by kernel */
    Tie *ties;                      /* by kernel, ascending */
    uint32_t n_ties, *tie_begin;
    double fixed_wire;          /* of edges between terminals */
    double *pull;               /* by kernel: half the weights of its edges to other kernels */
    uint32_t *order;            /* kernels, producers before consumers */
    double limits[LEVEL_COUNT]; /* time limits of the levels, ascending */
    Level levels[LEVEL_COUNT];
    pthread_mutex_t lock;
} Search;

typedef struct Node {
    int32_t parent, child[2]; /* -1: none */
    int32_t w, h, x, y;
    bool stacked;  /* children on top of each other, else side by side */
    uint8_t align; /* of the shorter child: 0 low, 1 middle, 2 high */
    /* Of a leaf: `stacked` if it gives way to a keep-out upwards, else to the right. */
} Node;

typedef struct State {
    double limit;
    double time, wire, adapters;
    double score;
    double over;   /* by how much of the grid it is too large; 0 if it fits */
    double charge; /* what part of the score is paid for being over by the whole grid */
    double cost;   /* score * (1 + charge * over) */
    int32_t root;  /* -1: positions without a tree */
    Leaf *leaves;  /* by kernel */
    Node *nodes;   /* leaves first */
} State;

State *state_create(Arena *a, uint32_t n);
void state_copy(State *to, const State *from, uint32_t n);

/* How long a run may go on. */
typedef struct Budget {
    double steps;   /* 0: no limit */
    double seconds; /* 0: no limit */
} Budget;

/* What a part of the search has used of its budget; `steps` are counted where work is done. */
typedef struct Meter {
    Budget budget;
    double begin, steps;
} Meter;

Meter meter_start(const Budget *b);
bool meter_spent(const Meter *m);

/* bound.c: a time just below which the areas do not fit; -1 if they never do. */
double bound_least_time(const PackProblem *p);
bool bound_has_shape(const PackProblem *p, uint32_t kernel);

/* levels.c */
uint64_t signature_key(const uint32_t *signature); /* 20 bits a component, the first on top */
bool search_init(Search *s, const PackProblem *p, double least_time);
void search_finish(Search *s);
const Curve *search_curves(Search *s, uint32_t level); /* of all classes */
const Curve *search_curve(Search *s, uint32_t level, uint32_t class_index);
uint32_t search_level(const Search *s, double limit); /* the last level at or below it */
/* The same for any limit. */
Curve *curves_make(const Search *s, Arena *a, double limit);
/* Of a family or a variant. */
bool class_shape(const Search *s, uint32_t class_index, uint32_t family, double limit,
                 PackShape *result);
/* The number of a variant, which is kept if it is new; false if there is no room for it. Not while
 * tasks run. */
bool class_variant(Search *s, uint32_t class_index, uint32_t family, uint32_t in, uint32_t out,
                   uint32_t *is);
Leaf leaf_of(const Class *c, uint32_t family, bool turned, const PackShape *shape);

/* Components in which two signatures differ. */
static inline uint32_t key_difference(uint64_t a, uint64_t b)
{
    uint64_t d = a ^ b;
    return ((d & 0xfffff) != 0) + ((d >> 20 & 0xfffff) != 0) + (d >> 40 != 0);
}
/* A family with the signature `in`, or the nearest in its last component that agrees in the
 * others; false if there is none. */
bool class_find(const Class *c, const uint32_t *in, uint32_t *family);

/* tree.c */
typedef struct Curves Curves; /* curves of a tree's nodes at a level */
Curves *curves_create(Arena *a, const Search *s);
/* Two nodes beside each other or stacked; inner nodes are taken from *unused on. */
int32_t tree_join(State *t, int32_t *unused, int32_t a, int32_t b, bool stacked);
/* Kernels as a balanced tree. */
int32_t tree_join_kernels(State *t, int32_t *unused, const uint32_t *kernels, uint32_t count,
                          bool stacked, bool backwards);
void tree_size_all(State *t);
void tree_measure(const Search *s, State *t); /* positions, wire, adapters, score, cost */
/* The same, or false as soon as it is clear that the cost is not below `most`. */
bool tree_measure_below(const Search *s, State *t, double most);
void positions_measure(const Search *s, State *t); /* the same but for the positions */
bool leaf_set(const Search *s, State *t, uint32_t kernel, uint32_t family, bool turned);

/* Marks, by node: what has changed below it. */
typedef struct Marks {
    uint32_t stamp, *of;
} Marks;
void tree_mark(Marks *m, const State *t, int32_t node);
void tree_size_marked(const Marks *m, State *t);
double curves_update(Search *s, Curves *c, const Marks *m, State *t, uint32_t level);
void curves_keep(Curves *c);
void curves_undo(Curves *c);

/* rows.c: rows of kernels in order, the best for every number of rows, best first. */
uint32_t rows_start(Search *s, Arena *a, State **starts, uint32_t max, const Budget *b);
/* Kernels begin .. end of the order beside each other, narrowest for a height; `up`: the first
 * one gives way to keep-outs upwards. */
typedef struct Row {
    uint32_t begin, end;
    int32_t h;
    bool up;
} Row;
/* A tree of rows; every other one backwards if `to_and_fro`. */
void rows_build(const Search *s, State *t, const Curve *curves, const Row *rows, uint32_t n_rows,
                bool to_and_fro);

/* strips.c: up to three long strips of kernels in order; the best of every kind. */
enum { MAX_STRIPS = 3, STRIPS_STARTS = 12 };
uint32_t strips_start(Search *s, Arena *a, State **starts, const Budget *b);

/* shelves.c: the same for many kernels, or with keep-outs; NULL if there is none. */
State *shelves_start(Search *s, Arena *a);

/* holes.c: kernels into free rectangles, no tree; NULL if that finds no room either. */
State *holes_start(Search *s, Arena *a);

/* given.c: a tree near to a placement. */
State *given_start(Search *s, Arena *a, const PackPlace *places);

/* anneal.c */
typedef struct Anneal {
    bool by_curves;
    double hot, cold; /* temperatures, parts of the score at the start */
    uint64_t seed;
    Budget budget;
    const State *start;
    State *best; /* of the right size; result */
    double late; /* result: the least cost of the last quarter that fits */
} Anneal;
void anneal_run(Search *s, Anneal *a);

/* choose.c */
typedef struct Option {
    Leaf leaf;
    double price;
    double cost;     /* up to here in the order, if this one is taken */
    uint32_t before; /* the best option of the kernel before */
} Option;
typedef struct Options {
    Option *list;
    uint32_t n;
    double least; /* price */
} Options;
typedef struct Slit { /* what options fit into, and what they cost there */
    double limit;     /* time */
    int32_t w, h;
    double price_w, price_h; /* per width and height */
} Slit;
/* The options of a class that cost at most `most` more than the cheapest: of every signature
 * the cheapest. */
void options_make(const Search *s, Arena *a, uint32_t class_index, const Slit *slit, double most,
                  Options *result);
/* Options by kernel; `chosen` is what they are now, and then what they should be. */
void choose_families(const Search *s, const Options *options, uint32_t *chosen);
/* Other families in the same slots, for fewer adapters. True if it got better. */
bool repair(const Search *s, State *t);

/* What an edge sees of the kernel at one of its ends. */
static inline uint64_t signature_at(const PackEdge *e, uint32_t kernel, const Leaf *leaf)
{
    return e->from == kernel || e->to_out ? leaf->out : leaf->in;
}

/* Adapters at an edge are the components that differ. So the least cost of an option behind
 * those before is the least over subsets of the components: the least cost of those that agree
 * in the subset, and an adapter for every component that is not in it. */
enum { AGREE_SUBSETS = 1 << PACK_SIGNATURE };
typedef struct AgreeSlot { /* those before with some components of a signature */
    uint64_t key;
    uint32_t stamp, option; /* the cheapest of them */
    double cost;
} AgreeSlot;
typedef struct Agreements {
    AgreeSlot *slots;
    uint32_t mask, stamp; /* one more: it is empty */
    double adapter;
} Agreements;
void agreements_create(Agreements *t, Arena *a, double adapter, uint32_t most); /* options */
AgreeSlot *agreements_slot(Agreements *t, uint64_t signature, unsigned subset);
double agreements_price(const Agreements *t, unsigned subset); /* of the rest */
void agreements_offer(Agreements *t, uint64_t signature, double cost, uint32_t option);
double agreements_least(Agreements *t, uint64_t signature, uint32_t *option);

/* Extent of a leaf along the sum of a strip's kernels, which are stacked or side by side. */
static inline int32_t leaf_thickness(const Leaf *l, bool stacked)
{
    return l->turned != stacked ? l->h : l->w;
}

/* exact.c */
typedef struct ExactStrip {
    uint32_t end;   /* of its kernels in the order */
    int32_t room;   /* for the sum of their thicknesses */
    int32_t length; /* none is longer across that */
    bool stacked;   /* thickness is height, else width */
} ExactStrip;
typedef struct Exact {
    const uint32_t *order;
    const ExactStrip *strips;
    uint32_t n_strips;
    const double *price_of; /* of one more in thickness, by kernel */
    double limit;           /* time */
    const Options *options; /* by kernel; prices are not looked at */
    Leaf *leaves;           /* by place in the order: now, and the result */
    Meter *meter;           /* counts the work */
} Exact;
/* Families along strips at the least cost of thickness and adapters. False if nothing was found
 * that fits. */
bool exact_choose(Search *s, const Exact *e);

/* polish.c: shifts kernels and subtrees where they are free to, and makes kernels wider, for
 * shorter wire. */
void polish(const Search *s, const State *t, PackPlace *places, double *wire);

#endif
