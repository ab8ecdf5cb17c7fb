/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/ispd2020/main.c - wse-ispd2020: plans a graph of the ISPD 2020 contest with the
 * engine of passes/pack and scores the result with the evaluator of its own. */
#include <string.h>

#include "ir/support/clock.h"
#include "ir/support/io.h"
#include "ir/support/options.h"
#include "tests/bench/ispd2020/eval.h"
#include "tests/bench/ispd2020/model.h"
#include "tests/bench/ispd2020/picture.h"

typedef struct Options {
#define OPTION(field, kind, letter, name, argument, help) OPTION_TYPE_##kind field;
#include "tests/bench/ispd2020/ispd2020.def"
} Options;

static const OptionSpec specs[] = {
#define OPTION(field, kind, letter, name, argument, help)                                          \
    {name, letter, OPTION_##kind, argument, help, offsetof(Options, field)},
#include "tests/bench/ispd2020/ispd2020.def"
};

enum { N_SPECS = sizeof specs / sizeof *specs };

static void print_progress(void *self, const PackProgress *p)
{
    (void)self;
    fprintf(stderr, "%8.2f s  score %.1f  bound %.1f\n", p->seconds, p->score, p->bound);
}

static void print_scores(FILE *out, const EvalResult *e)
{
    fprintf(out, "MT %.10g  WL %.10g  AC %llu  score %.10g", e->time, e->wire,
            (unsigned long long)e->adapters, e->score);
}

static bool evaluate(Arena *a, Diag *d, const Options *o, const char *path)
{
    Kgraph g;
    Bytes b;
    EvalResult e;
    if (!kgraph_read(a, d, path, &g) || !io_read(d, o->evaluate, 64 << 20, &b))
        return false;
    bool ok = eval_solution(a, d, &g, o->evaluate, (const char *)b.data, b.len, &e);
    bytes_free(&b);
    if (ok) {
        print_scores(stdout, &e);
        putchar('\n');
    }
    return ok;
}

/* The limit is for everything: reading took some of it, judging and writing will. */
static double seconds_left(const Options *o, double begin)
{
    double left = o->time_limit - (clock_now() - begin) - 0.02;
    return o->time_limit <= 0 ? 0 : left > 0.001 ? left : 0.001;
}

static bool plan(Arena *a, Diag *d, const Options *o, const char *path)
{
    double begin = clock_now();
    Kgraph g;
    if (!kgraph_read(a, d, path, &g))
        return false;
    PackModel model;
    PackProblem problem;
    const uint32_t *node_of;
    const ContestModel *contest = contest_model(a, &g, &model, &problem, &node_of);
    PackOptions options = {.seed = o->seed,
                           .seconds = seconds_left(o, begin),
                           .effort = o->effort,
                           .threads = (uint32_t)(o->threads < 64 ? o->threads : 64),
                           .progress = o->verbose ? print_progress : NULL};
    PackResult r;
    pack_place(a, &problem, &options, &r);
    if (r.status == PACK_NO_SHAPE)
        return diag_infeasible(d, g.nodes[node_of[r.kernel]].span,
                               "no shape of %s fits the grid of %u x %u and %u of memory",
                               g.nodes[node_of[r.kernel]].name, g.width, g.height, g.memlimit);
    if (r.status == PACK_TOO_FULL)
        return diag_infeasible(d, (Span){0}, "%s: no placement found on the grid of %u x %u", path,
                               g.width, g.height);
    Text text = {0}, picture = {0};
    EvalResult e;
    contest_write(&text, &g, contest, &problem, node_of, r.places);
    bool ok = eval_solution(a, d, &g, o->output ? o->output : "solution",
                            text.data ? text.data : "", text.len, &e);
    if (ok && (e.score < r.score - 1e-6 * r.score || e.score > r.score + 1e-6 * r.score))
        ok = diag_internal(d, (Span){0}, "the evaluator says %.1f, the engine %.1f", e.score,
                           r.score);
    if (ok && o->output)
        ok = io_write(d, o->output, text.data ? text.data : "", text.len);
    if (ok && o->placed_svg) {
        contest_picture(&picture, &g, &e, r.bound);
        ok = io_write(d, o->placed_svg, picture.data, picture.len);
    }
    if (ok) {
        bool taken = (o->output && strcmp(o->output, "-") == 0) ||
                     (o->placed_svg && strcmp(o->placed_svg, "-") == 0);
        FILE *out = taken ? stderr : stdout; /* standard output holds a file */
        print_scores(out, &e);
        fprintf(out, "  bound %.10g  gap %.2f %%\n", r.bound,
                r.bound > 0 ? 100 * (e.score / r.bound - 1) : 0.0);
        if (o->verbose)
            fprintf(stderr, "%8.2f s  for this score\n", r.seconds);
    }
    text_free(&text);
    text_free(&picture);
    return ok;
}

int main(int argc, char **argv)
{
    Arena a = {0};
    Options o = {.seed = 1};
    StringList arguments = {0};
    if (!options_parse(&a, "wse-ispd2020", specs, N_SPECS, &o, &arguments, argc, argv))
        return EXIT_USAGE;
    if (options_answer("wse-ispd2020",
                       "usage: wse-ispd2020 [options] CASE.kgraph -o OUT\n\nSizes and places a "
                       "graph of the ISPD 2020 contest.\n",
                       o.help, o.version, specs, N_SPECS))
        return io_finish("wse-ispd2020", EXIT_OK);
    Diag d;
    diag_init(&d, "wse-ispd2020");
    if (arguments.n == 1) {
        if (o.evaluate)
            evaluate(&a, &d, &o, arguments.data[0]);
        else
            plan(&a, &d, &o, arguments.data[0]);
    } else {
        diag_error(&d, (Span){0}, "one graph is needed, %zu given", arguments.n);
        d.usage = true;
    }
    int code = diag_exit_code(&d);
    diag_finish(&d);
    arena_free(&a);
    return io_finish("wse-ispd2020", code);
}
