/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/pack.c - rows as a start, then rounds of annealing.
 *
 * Where no rows fit (kernels between keep-outs, say) a greedy placement is all there is.
 *
 * A round is a list of independent tasks (a start, a way to anneal, temperatures, a seed) with
 * equal budgets; threads take tasks in any order, results are looked at in the order of the
 * list, so their number does not matter. The first round tries both ways at many temperatures;
 * every later one goes on with the temperatures that ended best for each way, fewer tasks and
 * longer runs (successive halving, Jamieson and Talwalkar, AISTATS 2016), so that temperatures
 * fit the problem without being told. Ways are judged by where they end, not by the best they
 * have seen: the start may be better than anything a promising way finds in so short a time.
 * One task a round begins at another start, warm. The last round cools what is best of all. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "passes/pack/search.h"

enum {
    MAX_TASKS = 12,
    MAX_STARTS = 24,
    MAX_BY_CURVES = 400,
    ROUNDS = 5,
    MOST_EFFORT = 4000,
    MOST_FOR_ROWS = 300
};

double pack_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

typedef struct Round {
    Search *s;
    Anneal tasks[MAX_TASKS];
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

/* The tasks of one way that ended best, without what they started from. */
static const Anneal *best_way(const Round *r, bool by_curves, const Anneal *but)
{
    const Anneal *best = NULL;
    for (uint32_t i = 0; i < r->n; i++) {
        const Anneal *t = &r->tasks[i];
        if (t->by_curves == by_curves && t != but && (!best || t->late < best->late))
            best = t;
    }
    return best;
}

#define COLD 1e-5

/* Parts of the budget. */
static const double shares[ROUNDS] = {0.25, 0.25, 0.2, 0.2, 0.1};

typedef struct Way {
    bool by_curves;
    double hot, cold;
} Way;

static bool may_use_curves(const Search *s)
{
    return s->n > 1 && s->n <= MAX_BY_CURVES;
}

static void add_task(Round *r, Arena *a, const State *start, Way way, Rng *rng)
{
    Anneal *t = &r->tasks[r->n++];
    *t = (Anneal){.by_curves = way.by_curves, .hot = way.hot, .cold = way.cold, .start = start};
    t->seed = rng_next(rng);
    t->best = state_create(a, r->s->n);
}

/* Temperatures are parts of the score over the number of kernels: so much a move changes. */
static void plan_first(Round *r, Arena *a, State *const *starts, uint32_t n_starts, Rng *rng)
{
    static const Way ways[] = {{false, 3, COLD},    {true, 0.6, COLD},   {false, 0.8, COLD},
                               {true, 0.15, COLD},  {false, 0.2, COLD},  {true, 0.04, COLD},
                               {false, 0.05, COLD}, {true, 0.012, COLD}, {false, 0.4, COLD},
                               {true, 0.3, COLD}};
    r->n = 0;
    for (uint32_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        Way way = ways[i];
        way.hot /= r->s->n;
        if (!way.by_curves || may_use_curves(r->s))
            add_task(r, a, starts[i < 8 || n_starts < 2 ? 0 : 1], way, rng);
    }
}

static void plan_next(Round *r, const Round *last, unsigned number, const State *best, Arena *a,
                      Rng *rng)
{
    const Anneal *t[2] = {best_way(last, false, NULL), best_way(last, true, NULL)};
    r->n = 0;
    if (number + 1 == ROUNDS) { /* cold, both ways */
        for (unsigned i = 0; i < 2; i++)
            if (t[i])
                add_task(r, a, best, (Way){i, 0.05 / r->s->n, COLD}, rng);
        return;
    }
    unsigned lead = t[1] && (!t[0] || t[1]->late < t[0]->late);
    for (unsigned i = 0; i < 2; i++) {
        const Anneal *next = t[i] ? best_way(last, i, t[i]) : NULL;
        if (!t[i] || (i != lead && number == ROUNDS - 2))
            continue;
        add_task(r, a, t[i]->best, (Way){i, t[i]->hot, COLD}, rng);
        if (i == lead && next)
            add_task(r, a, next->best, (Way){i, next->hot, COLD}, rng);
    }
}

/* Starts with trees if there are any, the best first. */
static uint32_t make_starts(Search *s, Arena *a, State **starts, double seconds)
{
    uint32_t n = 0;
    if (s->n <= MOST_FOR_ROWS && s->problem->n_keepouts == 0) {
        n = rows_start(s, a, starts, MAX_STARTS - STRIPS_STARTS, seconds);
        n += strips_start(s, a, starts + n, seconds);
        if (n)
            qsort(starts, n, sizeof *starts, compare_starts);
    } else if ((starts[0] = shelves_start(s, a)) != NULL) {
        n = 1;
    }
    if (n == 0 && (starts[0] = holes_start(s, a)) != NULL)
        n = 1;
    return n;
}

void pack_place(Arena *a, const PackProblem *p, const PackOptions *o, PackResult *result)
{
    *result = (PackResult){.score = HUGE_VAL};
    double begin = pack_now();
    uint32_t threads = o->threads ? o->threads : 1;
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
    Rng rng = {o->seed};
    State *starts[MAX_STARTS], *best = NULL;
    uint32_t n_starts = make_starts(&s, &scratch, starts, o->seconds / 6);
    Round *round = arena_new(&scratch, Round), *last = arena_new(&scratch, Round);
    round->s = last->s = &s;
    double effort = (double)o->effort * 1e6;
    if (o->effort == 0 && o->seconds <= 0) { /* so much that few kernels take milliseconds */
        double n2 = (double)s.n * s.n;
        effort = (n2 < MOST_EFFORT ? n2 : MOST_EFFORT) * 1e6;
    }
    if (n_starts) {
        best = state_create(&scratch, s.n);
        state_copy(best, starts[0], s.n);
    }
    for (unsigned number = 0; number < ROUNDS && best && best->root >= 0; number++) {
        if (number == 0) {
            plan_first(round, &scratch, starts, n_starts, &rng);
        } else {
            plan_next(round, last, number, best, &scratch, &rng);
            if (number + 1 < ROUNDS && number < n_starts && may_use_curves(&s))
                add_task(round, &scratch, starts[number], (Way){true, 0.3 / s.n, COLD}, &rng);
        }
        uint32_t at_once = threads < round->n ? threads : round->n;
        double left = o->seconds - (pack_now() - begin), rest = 0;
        if (o->seconds > 0 && left <= 0)
            break;
        for (unsigned i = number; i < ROUNDS; i++)
            rest += shares[i];
        for (uint32_t i = 0; i < round->n; i++) {
            Budget *b = &round->tasks[i].budget;
            b->steps = effort * shares[number] / round->n;
            if (o->seconds > 0)
                b->seconds = left * shares[number] / rest * at_once / round->n * 0.96;
        }
        run_round(round, threads);
        for (uint32_t i = 0; i < round->n; i++) {
            const Anneal *t = &round->tasks[i];
            if (p->adapter > 0 && t->best->root >= 0 && t->best->over == 0)
                repair(&s, t->best);
            if (better(t->best, best)) {
                state_copy(best, t->best, s.n);
                result->seconds = pack_now() - begin;
            }
        }
        if (o->progress && best->over == 0)
            o->progress(o->progress_self,
                        &(PackProgress){pack_now() - begin, best->score, result->bound});
        Round *other = last;
        last = round;
        round = other;
    }
    if (!best || best->over > 0) {
        result->status = PACK_TOO_FULL;
    } else {
        polish(&s, best, result->places, &result->wire);
        result->time = best->time;
        result->adapters = best->adapters;
        result->score =
            p->time * result->time + p->wire * result->wire + p->adapter * result->adapters;
    }
    arena_free(&scratch);
    search_finish(&s);
}
