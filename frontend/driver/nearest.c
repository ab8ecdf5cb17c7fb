// SPDX-License-Identifier: Apache-2.0
// The nearest change with which a network fits, found by planning it.
//
// After a plan that could not be made, one thing at a time is changed: a constraint dropped,
// --max-cores raised, f16 for f32, an integer parameter lowered, more memory a core, a larger
// fabric. Each is a scale between what there is (does not fit) and far away. Steps that grow
// fourfold lead away until something fits, then what lies between is bisected: first with sizing
// alone, which is cheap and says no for most, then, from the nearest that can be sized, with the
// whole of planning. What is said to fit has been planned, from the text on, with its messages
// caught. Whoever has done the least work so far is next, so that all kinds get their share;
// work is counted, in plannings of the network's own size, and nothing depends on time, so the
// answer is the same everywhere.
#include <inttypes.h>
#include <string.h>

#include "frontend/driver/driver.h"
#include "ir/support/vec.h"

static const Span nowhere = {0};

enum {
    MOST_PLANNINGS = 32,
    LEAST_PLANNINGS = 6,
    WORK = 8000,          // of all plannings, in units of about a millisecond
    SIZING = 32,          // sizing alone is this part of a planning,
    SEARCH = 4,           // one for which placement fails as much as so many
    PLACING = 10,         // units of a kernel, and of its shapes:
    FEATURES_A_UNIT = 17, // a unit is so many bits of its weights' number,
    MOST_UNITS = 128,     // and no more than these
    FASTER = 4,           // growth of steps
    MOST_PARAMS = 6,
    MOST_DROPS = 8, // constraints of a kind
    GRAIN = 64,     // a scale is fine enough at 1/64 of its value
};

typedef enum ChangeKind {
    CHANGE_PIN, // without it
    CHANGE_AREA,
    CHANGE_KEEPOUT,
    CHANGE_MAX_CORES,
    CHANGE_DTYPE,
    CHANGE_PARAM,
    CHANGE_MEMORY, // bytes a core
    CHANGE_FABRIC, // columns; rows in proportion
} ChangeKind;

enum { CHANGES = CHANGE_FABRIC + 1 };

typedef struct Change {
    ChangeKind kind;
    size_t at; // which constraint or parameter
    uint64_t now, far;
    uint64_t grain;     // steps of the scale
    bool whole;         // planned; else sized only
    bool done;          // as near as can be told, or out of reach
    uint64_t bad, good; // nearest known not to fit; nearest that does, 0: none
    uint64_t step;      // the next one away
    uint64_t work;      // done so far
    uint64_t cycles;    // of the plan of `good`
    uint32_t cores;
} Change;

typedef struct Nearest {
    Arena arena;
    const PassContext *failed;
    const Source *source;
    const Define *defines;
    size_t n_defines;
    ParamValueVec params;
    FILE *sink;
    uint64_t left, share; // work for all; for each kind in any case
    uint64_t work[CHANGES];
    unsigned tried; // plannings
    VEC(Change) changes;
} Nearest;

// ---- one planning ----

typedef struct Trial {
    Machine machine;
    Constraints constraints;
    Define *defines;
    size_t n_defines;
    PassContext cx;
} Trial;

static uint32_t fabric_rows(const Machine *m, uint64_t columns)
{
    return (uint32_t)((columns * m->height + m->width - 1) / m->width);
}

static void set_define(Trial *t, const char *name, const char *value)
{
    size_t i = 0;
    while (i < t->n_defines && strcmp(t->defines[i].name, name) != 0)
        i++;
    t->defines[i] = (Define){name, value};
    t->n_defines += i == t->n_defines;
}

// A copy of the constraints without one of them.
static void drop(Nearest *n, Trial *t, const Change *c)
{
    const Constraints *all = n->failed->options.constraints;
    t->constraints = (Constraints){0};
    for (size_t i = 0; i < all->pins.n; i++)
        if (c->kind != CHANGE_PIN || i != c->at)
            vec_push(t->cx.arena, &t->constraints.pins, all->pins.data[i]);
    for (size_t i = 0; i < all->areas.n; i++)
        if (c->kind != CHANGE_AREA || i != c->at)
            vec_push(t->cx.arena, &t->constraints.areas, all->areas.data[i]);
    for (size_t i = 0; i < all->keepouts.n; i++)
        if (c->kind != CHANGE_KEEPOUT || i != c->at)
            vec_push(t->cx.arena, &t->constraints.keepouts, all->keepouts.data[i]);
    t->cx.options.constraints = &t->constraints;
}

static void apply(Nearest *n, Trial *t, const Change *c, uint64_t value)
{
    Machine *m = &t->machine;
    Arena *a = t->cx.arena;
    switch (c->kind) {
    case CHANGE_PIN:
    case CHANGE_AREA:
    case CHANGE_KEEPOUT:
        drop(n, t, c);
        return;
    case CHANGE_MAX_CORES:
        t->cx.options.max_cores = (uint32_t)value;
        return;
    case CHANGE_DTYPE:
        set_define(t, n->params.data[c->at].name, "f16");
        return;
    case CHANGE_PARAM:
        set_define(t, n->params.data[c->at].name, arena_printf(a, "%" PRIu64, value));
        return;
    case CHANGE_MEMORY:
        m->sram_bytes = (uint32_t)value;
        return;
    case CHANGE_FABRIC: {
        uint32_t rows = m->height;
        m->height = fabric_rows(m, value);
        m->width = (uint32_t)value;
        // Where every row had a port, every row has one.
        m->ports_west = m->ports_west == rows ? m->height : m->ports_west;
        m->ports_east = m->ports_east == rows ? m->height : m->ports_east;
        return;
    }
    }
}

// Units of work that a planning of this network is.
static uint64_t work_of(const Plan *plan)
{
    uint64_t units = 1;
    for (size_t i = 0; plan && i < plan->kernels.n; i++) {
        const Kernel *k = plan->kernels.data[i];
        if (!k->anchor || !k->n_in)
            continue;
        uint64_t in = (uint64_t)type_features(&plan->streams.data[k->in[0]]->node->type);
        uint64_t size = in * (uint64_t)type_features(&k->result->type) >> FEATURES_A_UNIT;
        units += PLACING + (size < MOST_UNITS ? size : MOST_UNITS);
    }
    return units;
}

// Does it plan, or size, with the change? From the text on, since passes rewrite the graph.
static bool plan_with(Nearest *n, Change *c, uint64_t value)
{
    Arena a = {0};
    Diag quiet;
    Graph *graph;
    diag_init(&quiet, "wsec");
    quiet.out = n->sink;
    Trial t = {.machine = *n->failed->machine, .n_defines = n->n_defines};
    t.defines = arena_array(&a, Define, n->n_defines + 1);
    for (size_t i = 0; i < n->n_defines; i++)
        t.defines[i] = n->defines[i];
    t.cx = (PassContext){.diag = &quiet, .arena = &a, .options = n->failed->options};
    t.cx.options.curve = false;
    t.cx.machine = &t.machine;
    apply(n, &t, c, value);
    PipelineOptions pipeline = {.out = n->sink, .stop_after = c->whole ? NULL : "size"};
    PipelineTimes times = {0};
    bool ok = frontend_compile_text(&a, &quiet, n->source->name, n->source->text, n->source->len,
                                    t.defines, t.n_defines, &graph);
    if (ok) {
        t.cx.graph = graph;
        ok = pipeline_run(&t.cx, &pipeline, &times);
    }
    // A search for a place that ends without one costs as much as several that find it.
    uint64_t work = work_of(t.cx.plan);
    work = !c->whole ? 1 + work / SIZING : ok ? work : SEARCH * work;
    n->tried++;
    n->left -= work < n->left ? work : n->left;
    n->work[c->kind] += work;
    c->work += work;
    if (ok && c->whole) {
        c->cycles = plan_target(t.cx.plan);
        c->cores = plan_cores(t.cx.plan);
    }
    *(ok ? &c->good : &c->bad) = value;
    diag_finish(&quiet);
    arena_free(&a);
    return ok;
}

// ---- what can be changed ----

static void add_change(Nearest *n, ChangeKind kind, size_t at, uint64_t now, uint64_t far,
                       uint64_t grain)
{
    Change c = {
        .kind = kind, .at = at, .now = now, .far = far, .grain = grain, .bad = now, .step = grain};
    vec_push(&n->arena, &n->changes, c);
}

static size_t at_most(size_t n, size_t most)
{
    return n < most ? n : most;
}

static void find_changes(Nearest *n)
{
    const Machine *m = n->failed->machine;
    const Constraints *k = n->failed->options.constraints;
    uint64_t all = (uint64_t)m->width * m->height, max = n->failed->options.max_cores;
    for (size_t i = 0; k && i < at_most(k->keepouts.n, MOST_DROPS); i++)
        add_change(n, CHANGE_KEEPOUT, i, 0, 1, 1);
    for (size_t i = 0; k && i < at_most(k->pins.n, MOST_DROPS); i++)
        add_change(n, CHANGE_PIN, i, 0, 1, 1);
    for (size_t i = 0; k && i < at_most(k->areas.n, MOST_DROPS); i++)
        add_change(n, CHANGE_AREA, i, 0, 1, 1);
    if (max && max < all)
        add_change(n, CHANGE_MAX_CORES, 0, max, all, 1);
    for (size_t i = 0; i < n->params.n; i++)
        if (n->params.data[i].kind == PARAM_DTYPE && n->params.data[i].value == DT_F32)
            add_change(n, CHANGE_DTYPE, i, 0, 1, 1);
    unsigned params = 0;
    for (size_t i = 0; i < n->params.n && params < MOST_PARAMS; i++) {
        if (n->params.data[i].kind != PARAM_INT || n->params.data[i].value < 2)
            continue;
        add_change(n, CHANGE_PARAM, i, (uint64_t)n->params.data[i].value, 1, 1);
        params++;
    }
    add_change(n, CHANGE_MEMORY, 0, m->sram_bytes, 1 << 22, 1024);
    uint32_t side = m->width > m->height ? m->width : m->height;
    if (side < MACHINE_MAX_EXTENT && !(max && max < all)) // those allowed come first
        add_change(n, CHANGE_FABRIC, 0, m->width, (uint64_t)MACHINE_MAX_EXTENT * m->width / side,
                   1);
}

// ---- the search ----

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

// Away from what does not fit; small changes are what is asked for.
static void step_away(Nearest *n, Change *c)
{
    uint64_t left = distance(c->bad, c->far), step = c->step < left ? c->step : left;
    if (!left) {
        c->done = true;
        return;
    }
    c->step *= FASTER;
    plan_with(n, c, c->far > c->bad ? c->bad + step : c->bad - step);
}

// In the middle, in steps of the scale, strictly between.
static bool bisect(Nearest *n, Change *c)
{
    uint64_t apart = distance(c->bad, c->good);
    uint64_t half = apart / 2 / c->grain * c->grain;
    uint64_t fine = c->whole ? distance(c->good, c->now) / GRAIN : 0;
    if (!half || apart <= c->grain + fine)
        return false;
    plan_with(n, c, c->good > c->bad ? c->bad + half : c->bad - half);
    return true;
}

static void go_on(Nearest *n, Change *c)
{
    if (!c->good) {
        step_away(n, c);
    } else if (!bisect(n, c)) {
        // The nearest that can be sized is the first to be planned.
        c->done = c->whole;
        c->step = distance(c->good, c->bad);
        if (!c->whole)
            c->good = 0;
        c->whole = true;
    }
}

// The one that has had the least so far, of the kind that has.
static Change *next_change(Nearest *n)
{
    Change *next = NULL;
    for (size_t i = 0; i < n->changes.n; i++) {
        Change *c = &n->changes.data[i];
        uint64_t mine = n->work[c->kind], least = next ? n->work[next->kind] : UINT64_MAX;
        if (!c->done && (n->left || mine < n->share) &&
            (mine < least || (mine == least && c->work < next->work)))
            next = c;
    }
    return next;
}

// ---- what it says ----

static void say(Nearest *n, Diag *d, const Change *c)
{
    const Constraints *k = n->failed->options.constraints;
    const Machine *m = n->failed->machine;
    const char *fits =
        arena_printf(&n->arena, "it fits: planned, %" PRIu64 " cycles a sample on %u cores",
                     c->cycles, c->cores);
    switch (c->kind) {
    case CHANGE_PIN:
        diag_note(d, k->pins.data[c->at].span, "without this pin of kernel '%s' %s",
                  k->pins.data[c->at].kernel, fits);
        return;
    case CHANGE_AREA:
        diag_note(d, k->areas.data[c->at].span, "without this limit of kernel '%s' %s",
                  k->areas.data[c->at].kernel, fits);
        return;
    case CHANGE_KEEPOUT:
        diag_note(d, k->keepouts.data[c->at].span, "without this keep-out %s", fits);
        return;
    case CHANGE_MAX_CORES:
        diag_note(d, nowhere, "with --max-cores=%" PRIu64 " (now %" PRIu64 ") %s", c->good, c->now,
                  fits);
        return;
    case CHANGE_DTYPE:
        diag_note(d, nowhere, "with -D %s=f16 (now f32) %s", n->params.data[c->at].name, fits);
        return;
    case CHANGE_PARAM:
        diag_note(d, nowhere, "with -D %s=%" PRIu64 " (now %" PRIu64 ") %s",
                  n->params.data[c->at].name, c->good, c->now, fits);
        return;
    case CHANGE_MEMORY:
        diag_note(d, nowhere, "with %" PRIu64 " bytes a core (now %" PRIu64 ") %s", c->good, c->now,
                  fits);
        return;
    case CHANGE_FABRIC:
        diag_note(d, nowhere, "on a fabric of %" PRIu64 " x %u cores (now %u x %u) %s", c->good,
                  fabric_rows(m, c->good), m->width, m->height, fits);
        return;
    }
}

// Work that looking for changes may cost: some plannings, many of a small network.
static uint64_t work_for(const Plan *plan)
{
    uint64_t work = work_of(plan), n = WORK / work;
    n = n < LEAST_PLANNINGS ? LEAST_PLANNINGS : n < MOST_PLANNINGS ? n : MOST_PLANNINGS;
    return n * work;
}

void driver_nearest(Diag *d, const PassContext *failed, const Define *defines, size_t n_defines)
{
    Nearest n = {.failed = failed,
                 .source = &d->sources[0],
                 .defines = defines,
                 .n_defines = n_defines,
                 .left = work_for(failed->plan)};
    n.share = n.left / CHANGES;
    unsigned found = 0;
    Diag quiet;
    n.sink = fopen("/dev/null", "w");
    if (!n.sink)
        return;
    diag_init(&quiet, "wsec");
    quiet.out = n.sink;
    frontend_params(&n.arena, &quiet, n.source->name, n.source->text, n.source->len, defines,
                    n_defines, &n.params);
    diag_finish(&quiet);
    find_changes(&n);
    for (Change *c = next_change(&n); c; c = next_change(&n))
        go_on(&n, c);
    unsigned limit = d->max_errors;
    d->max_errors = UINT32_MAX; // these notes belong to all errors
    for (size_t i = 0; i < n.changes.n; i++) {
        if (!n.changes.data[i].good || !n.changes.data[i].whole)
            continue;
        say(&n, d, &n.changes.data[i]);
        found++;
    }
    if (!found)
        diag_note(d, nowhere, "no single change was found with which it fits (%u plannings tried)",
                  n.tried);
    d->max_errors = limit;
    fclose(n.sink);
    arena_free(&n.arena);
}
