/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/pack.c - rows as a start, then rounds of annealing.
 *
 * Where no rows fit (kernels between keep-outs, say) a greedy placement is all there is.
 *
 * A round is a list of independent tasks (a start, a way to anneal, temperatures, a seed) with
 * equal budgets; threads take tasks in any order, results are looked at in the order of the
 * list, so their number does not matter. The first round tries both ways at many temperatures,
 * only curves where signatures cost nothing; every later one goes on with the temperatures that
 * ended best for each way, fewer tasks and longer runs (successive halving, Jamieson and
 * Talwalkar, AISTATS 2016), so that temperatures fit the problem without being told. Ways are
 * judged by where they end, not by the best they have seen: the start may be better than
 * anything a promising way finds in so short a time. One task a round begins at another start,
 * warm. The last round cools what is best of all. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "passes/pack/search.h"

enum {
    MAX_TASKS = 12,
    MAX_STARTS = 30,
    MAX_BY_CURVES = 400,
    ROUNDS = 5,
    MORE_ROUNDS = 40,
    MOST_EFFORT = 4000,
    MOST_FOR_ROWS = 300
};

Meter meter_start(const Budget *b)
{
    return (Meter){.budget = *b, .begin = clock_now()};
}

bool meter_spent(const Meter *m)
{
    return (m->budget.steps > 0 && m->steps > m->budget.steps) ||
           (m->budget.seconds > 0 && clock_now() - m->begin > m->budget.seconds);
}

typedef struct Round {
    Search *s;
    Anneal tasks[MAX_TASKS];
    struct Way *ways[MAX_TASKS]; /* or NULL */
    uint32_t n;
    atomic_uint next;
} Round;

static void *work(void *argument)
{
    Round *r = argument;
    for (;;) {
        unsigned i = atomic_fetch_add(&r->next, 1);
        if (i >= r->n)
            return NULL;
        anneal_run(r->s, &r->tasks[i]);
    }
}

static void run_round(Round *r, uint32_t threads)
{
    pthread_t ids[MAX_TASKS];
    uint32_t started = 0;
    atomic_store(&r->next, 0);
    while (started + 1 < threads && started + 1 < r->n &&
           pthread_create(&ids[started], NULL, work, r) == 0)
        started++;
    work(r);
    while (started)
        pthread_join(ids[--started], NULL);
}

static bool better(const State *a, const State *b)
{
    if ((a->over > 0) != (b->over > 0))
        return b->over > 0;
    return a->cost < b->cost;
}

static int compare_starts(const void *a, const void *b)
{
    const State *x = *(State *const *)a, *y = *(State *const *)b;
    return better(x, y) ? -1 : better(y, x) ? 1 : 0;
}

#define COLD 1e-5

/* A way to anneal, what it came to so far, and where that was. */
typedef struct Way {
    bool by_curves;
    double hot; /* times the number of kernels: so much of the score a move changes */
    double late;
    const State *best;
} Way;

enum { WAYS = 10 };

static const Way first_ways[WAYS] = {
    {.hot = 3},   {true, 0.6, 0, NULL},  {.hot = 0.8},  {true, 0.15, 0, NULL},
    {.hot = 0.2}, {true, 0.04, 0, NULL}, {.hot = 0.05}, {true, 0.012, 0, NULL},
    {.hot = 0.4}, {true, 0.3, 0, NULL}};

static bool may_use_curves(const Search *s)
{
    return s->n > 1 && s->n <= MAX_BY_CURVES;
}

/* Without a price on adapters curves say all there is to say about shapes. */
static bool may_be_explicit(const Search *s)
{
    return !may_use_curves(s) || s->problem->adapter > 0;
}

static void add_task(Round *r, Arena *a, const State *start, bool by_curves, double hot, Way *way,
                     Rng *rng)
{
    Anneal *t = &r->tasks[r->n];
    r->ways[r->n++] = way;
    *t = (Anneal){.by_curves = by_curves, .hot = hot / r->s->n, .cold = COLD, .start = start};
    t->seed = rng_next(rng);
    t->best = state_create(a, r->s->n);
}

/* The best way but for one, by curves or not; NULL if there is none. */
static Way *best_way(Way *ways, bool by_curves, const Way *but)
{
    Way *best = NULL;
    for (uint32_t i = 0; i < WAYS; i++)
        if (ways[i].best && ways[i].by_curves == by_curves && &ways[i] != but &&
            (!best || ways[i].late < best->late))
            best = &ways[i];
    return best;
}

static void plan_first(Round *r, Arena *a, Way *ways, State *const *starts, uint32_t n_starts,
                       Rng *rng)
{
    r->n = 0;
    for (uint32_t i = 0; i < WAYS; i++)
        if (ways[i].by_curves ? may_use_curves(r->s) : may_be_explicit(r->s))
            add_task(r, a, starts[n_starts > 1 && i >= 6], ways[i].by_curves, ways[i].hot, &ways[i],
                     rng);
}

/* Goes on where the ways that came lowest were; the one in the lead at another start, too. */
static void plan_next(Round *r, Arena *a, Way *ways, const State *best, const State *start,
                      bool odd, Rng *rng)
{
    Way *t[2] = {best_way(ways, false, NULL), best_way(ways, true, NULL)};
    unsigned lead = t[1] && (!t[0] || t[1]->late < t[0]->late);
    Way *next = best_way(ways, lead, t[lead]);
    r->n = 0;
    add_task(r, a, odd ? t[lead]->best : best, lead, t[lead]->hot, t[lead], rng);
    if (next)
        add_task(r, a, next->best, lead, next->hot, next, rng);
    if (t[!lead])
        add_task(r, a, t[!lead]->best, !lead, t[!lead]->hot, t[!lead], rng);
    if (start)
        add_task(r, a, start, lead, t[lead]->hot, t[lead], rng);
}

/* Cools what is best of all, both ways. */
static void plan_last(Round *r, Arena *a, const State *best, Rng *rng)
{
    r->n = 0;
    for (unsigned i = 0; i < (may_use_curves(r->s) ? 2 : 1); i++)
        add_task(r, a, best, i, 0.05, NULL, rng);
}

/* Starts with trees if there are any, the best first. */
static uint32_t make_starts(Search *s, Arena *a, const PackPlace *given, State **starts,
                            const Budget *b)
{
    uint32_t n = 0;
    if (s->n <= MOST_FOR_ROWS && s->problem->n_keepouts == 0) {
        n = rows_start(s, a, starts, MAX_STARTS - STRIPS_STARTS - 1, b);
        n += strips_start(s, a, starts + n, b);
    } else if ((starts[0] = shelves_start(s, a)) != NULL) {
        n = 1;
    }
    if (given)
        starts[n++] = given_start(s, a, given);
    if (n)
        qsort(starts, n, sizeof *starts, compare_starts);
    if (n == 0 && (starts[0] = holes_start(s, a)) != NULL)
        n = 1;
    return n;
}

typedef struct Job {
    Search *s;
    const PackOptions *o;
    double begin, effort;
    State *best;
    PackResult *result;
} Job;

/* To all tasks of a round: a part of the effort, a part of the time that is left. */
static void give_budgets(const Job *j, Round *r, double part, double part_left)
{
    uint32_t threads = j->o->threads ? j->o->threads : 1;
    uint32_t at_once = threads < r->n ? threads : r->n;
    double left = j->o->seconds - (clock_now() - j->begin);
    for (uint32_t i = 0; i < r->n; i++) {
        Budget *b = &r->tasks[i].budget;
        b->steps = j->effort * part / r->n;
        if (j->o->seconds > 0)
            b->seconds = left * part_left * at_once / r->n;
    }
}

static void look_at_results(const Job *j, Round *r)
{
    const PackProblem *p = j->s->problem;
    for (uint32_t i = 0; i < r->n; i++) {
        const Anneal *t = &r->tasks[i];
        Way *way = r->ways[i];
        if (p->adapter > 0 && t->best->over == 0)
            repair(j->s, t->best);
        if (way && (!way->best || t->late < way->late)) {
            way->late = t->late;
            way->best = t->best;
        }
        if (better(t->best, j->best)) {
            state_copy(j->best, t->best, j->s->n);
            j->result->seconds = clock_now() - j->begin;
        }
    }
    if (j->o->progress && j->best->over == 0)
        j->o->progress(j->o->progress_self,
                       &(PackProgress){clock_now() - j->begin, j->best->score, j->result->bound});
}

/* More rounds, not longer tasks, where there is time: runs differ by luck, those by curves most. */
static void anneal_rounds(const Job *j, Arena *a, State *const *starts, uint32_t n_starts)
{
    Way ways[WAYS];
    Rng rng = {j->o->seed};
    double seconds = j->o->seconds > 0 ? j->o->seconds : j->effort * 1e-9;
    double more = seconds / ((may_be_explicit(j->s) ? 0.3 : 0.1) * j->s->n);
    unsigned rounds = ROUNDS + (unsigned)(more < MORE_ROUNDS ? more : MORE_ROUNDS);
    Round *r = arena_new(a, Round);
    r->s = j->s;
    memcpy(ways, first_ways, sizeof ways);
    double all = rounds - 0.25, rest = all, share = 1.25;
    for (unsigned number = 0; number < rounds; number++, rest -= share, share = 1) {
        if (j->o->seconds > 0 && clock_now() - j->begin >= j->o->seconds * 0.999)
            return;
        if (number == 0) {
            plan_first(r, a, ways, starts, n_starts, &rng);
        } else if (number + 1 < rounds) {
            const State *start = number < n_starts ? starts[number] : NULL;
            plan_next(r, a, ways, j->best, start, number % 2, &rng);
        } else {
            share = 0.5;
            plan_last(r, a, j->best, &rng);
        }
        give_budgets(j, r, share / all, share / rest);
        run_round(r, j->o->threads);
        look_at_results(j, r);
    }
}

void pack_place(Arena *a, const PackProblem *p, const PackOptions *o, PackResult *result)
{
    *result = (PackResult){.score = HUGE_VAL};
    double begin = clock_now();
    if (p->n_kernels == 0) {
        result->score = 0;
        return;
    }
    for (uint32_t k = 0; k < p->n_kernels; k++)
        if ((k == 0 || p->class_of[k] != p->class_of[k - 1]) && !bound_has_shape(p, k)) {
            result->status = PACK_NO_SHAPE;
            result->kernel = k;
            return;
        }
    double least = bound_least_time(p);
    Search s = {0};
    Arena scratch = {0};
    if (least < 0 || !search_init(&s, p, least > 0 ? least : 1e-9)) {
        result->status = PACK_TOO_FULL;
        arena_free(&s.arena);
        return;
    }
    result->bound = pack_bound(p);
    result->places = arena_array(a, PackPlace, p->n_kernels);
    State *starts[MAX_STARTS], *best = NULL;
    double effort = (double)o->effort * 1e6;
    if (o->effort == 0 && o->seconds <= 0) { /* so much that few kernels take milliseconds */
        double n2 = (double)s.n * s.n;
        effort = (n2 < MOST_EFFORT ? n2 : MOST_EFFORT) * 1e6;
    }
    uint32_t n_starts =
        make_starts(&s, &scratch, o->start, starts, &(Budget){effort * 0.1, o->seconds * 0.1});
    if (n_starts) {
        result->seconds = clock_now() - begin;
        best = state_create(&scratch, s.n);
        state_copy(best, starts[0], s.n);
    }
    Job job = {.s = &s, .o = o, .begin = begin, .effort = effort, .best = best, .result = result};
    if (best && best->root >= 0)
        anneal_rounds(&job, &scratch, starts, n_starts);
    if (!best || best->over > 0) {
        result->status = PACK_TOO_FULL;
    } else {
        polish(&s, best, result->places, &result->wire);
        for (uint32_t k = 0; k < s.n; k++)
            if (result->places[k].shape.time > result->time)
                result->time = result->places[k].shape.time;
        result->adapters = best->adapters;
        result->score =
            p->time * result->time + p->wire * result->wire + p->adapter * result->adapters;
    }
    arena_free(&scratch);
    search_finish(&s);
}
