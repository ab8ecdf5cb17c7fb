// SPDX-License-Identifier: Apache-2.0
// The nearest change with which a network fits, found by planning it.
//
// After a plan that could not be made, one thing at a time is changed: a constraint dropped,
// --max-cores raised, f16 for f32, an integer parameter lowered, more memory a core, a larger
// fabric. Each is a scale between what there is (does not fit) and far away; a first round steps
// away in powers of four until something fits, a second bisects between the two, one step of each
// scale in turn. What is said to fit has been planned, from the text on, with its messages
// caught. The number of plannings falls with the size of the network and nothing depends on
// time, so the answer is the same everywhere.
#include <inttypes.h>
#include <string.h>

#include "frontend/driver/driver.h"
#include "ir/support/vec.h"

static const Span nowhere = {0};

enum {
    MOST_PLANNINGS = 32,
    LEAST_PLANNINGS = 3,
    SEARCH = 10,          // plannings that one counts for if placement fails
    WORK = 8000,          // of all plannings, in units of about a millisecond
    PLACING = 10,         // units of a kernel, and of its shapes:
    FEATURES_A_UNIT = 17, // a unit is so many bits of its weights' number,
    MOST_UNITS = 128,     // and no more than these
    FAR = 3,              // steps of the first round, each fourfold
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

typedef struct Change {
    ChangeKind kind;
    size_t at; // which constraint or parameter
    uint64_t now, far;
    uint64_t grain;     // steps of the scale
    uint64_t bad, good; // nearest known not to fit; nearest planned, 0: none
    uint64_t cycles;    // of that plan
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
    unsigned left, tried; // plannings
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

// Does it plan with the change? From the text on, since passes rewrite the graph.
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
    PipelineOptions pipeline = {.out = n->sink};
    PipelineTimes times = {0};
    bool ok = frontend_compile_text(&a, &quiet, n->source->name, n->source->text, n->source->len,
                                    t.defines, t.n_defines, &graph);
    if (ok) {
        t.cx.graph = graph;
        ok = pipeline_run(&t.cx, &pipeline, &times);
    }
    // A search for a place that ends without one costs as much as several that find it.
    n->tried++;
    bool searched = !ok && times.n && strcmp(times.pass[times.n - 1].name, "place") == 0;
    unsigned cost = searched ? SEARCH : 1;
    n->left -= cost < n->left ? cost : n->left;
    if (ok) {
        c->good = value;
        c->cycles = plan_target(t.cx.plan);
        c->cores = plan_cores(t.cx.plan);
    } else {
        c->bad = value;
    }
    diag_finish(&quiet);
    arena_free(&a);
    return ok;
}

// ---- what can be changed ----

static void add_change(Nearest *n, ChangeKind kind, size_t at, uint64_t now, uint64_t far,
                       uint64_t grain)
{
    Change c = {.kind = kind, .at = at, .now = now, .far = far, .grain = grain, .bad = now};
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

// ---- the two rounds ----

static uint64_t distance(const Change *c)
{
    return c->good > c->bad ? c->good - c->bad : c->bad - c->good;
}

// Away from what there is, in powers of four: small changes are what is asked for.
static void step_away(Nearest *n, Change *c)
{
    bool up = c->far > c->now;
    uint64_t value = up ? c->bad * 4 : c->bad / 4;
    value = up ? (value < c->far ? value : c->far) : value > c->far ? value : c->far;
    if (c->kind == CHANGE_MAX_CORES || c->now == 0) // all of it, or it is something else
        value = c->far;
    if (!c->good && c->bad != c->far)
        plan_with(n, c, value);
}

static bool refinable(const Change *c)
{
    uint64_t fine = c->grain + c->good / GRAIN;
    return c->good && distance(c) > fine;
}

static uint64_t square_root(uint64_t v)
{
    uint64_t r = 0;
    for (uint64_t bit = 1ull << 31; bit; bit >>= 1)
        if ((r + bit) * (r + bit) <= v)
            r += bit;
    return r;
}

// The geometric mean, in steps of the scale, strictly between.
static void refine(Nearest *n, Change *c)
{
    uint64_t lo = c->bad < c->good ? c->bad : c->good, hi = lo + distance(c);
    uint64_t mid = hi >> 31 ? lo + (hi - lo) / 2 : square_root(lo * hi);
    if (c->kind == CHANGE_MAX_CORES && c->cores < mid)
        mid = c->cores; // it did not need more
    mid = mid / c->grain * c->grain;
    mid = mid <= lo ? lo + c->grain : mid;
    if (mid < hi)
        plan_with(n, c, mid);
    else
        c->bad = c->good; // as fine as the scale is
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

// Plannings that a network of this size may cost.
static unsigned plannings(const Plan *plan)
{
    uint64_t units = 1;
    for (size_t i = 0; i < plan->kernels.n; i++) {
        const Kernel *k = plan->kernels.data[i];
        if (!k->anchor || !k->n_in)
            continue;
        uint64_t in = (uint64_t)type_features(&plan->streams.data[k->in[0]]->node->type);
        uint64_t size = in * (uint64_t)type_features(&k->result->type) >> FEATURES_A_UNIT;
        units += PLACING + (size < MOST_UNITS ? size : MOST_UNITS);
    }
    uint64_t n = WORK / units;
    return n < LEAST_PLANNINGS  ? LEAST_PLANNINGS
           : n < MOST_PLANNINGS ? (unsigned)n
                                : MOST_PLANNINGS;
}

void driver_nearest(Diag *d, const PassContext *failed, const Define *defines, size_t n_defines)
{
    Nearest n = {.failed = failed,
                 .source = &d->sources[0],
                 .defines = defines,
                 .n_defines = n_defines,
                 .left = plannings(failed->plan)};
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
    for (unsigned step = 0; step < FAR; step++)
        for (size_t i = 0; i < n.changes.n && n.left; i++)
            step_away(&n, &n.changes.data[i]);
    for (bool more = true; more && n.left;) {
        more = false;
        for (size_t i = 0; i < n.changes.n && n.left; i++) {
            if (!refinable(&n.changes.data[i]))
                continue;
            refine(&n, &n.changes.data[i]);
            more = true;
        }
    }
    unsigned limit = d->max_errors;
    d->max_errors = UINT32_MAX; // these notes belong to all errors
    for (size_t i = 0; i < n.changes.n; i++) {
        if (!n.changes.data[i].good)
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
