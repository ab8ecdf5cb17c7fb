/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pipeline.c - runs the passes of passes.def in order.
 *
 * Between passes: the verifier (--verify-each), the dump (--print-after, --save-temps), the
 * clock (--time-passes). Dumps show the graph until there is a plan, then the plan. Times
 * are of the passes alone. A pass that fails has reported why; the run ends there. */
#include "passes/passes.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "ir/support/clock.h"
#include "ir/support/io.h"

typedef struct PassInfo {
    const char *name, *doc;
    bool (*run)(PassContext *cx);
} PassInfo;

static const PassInfo passes[] = {
#define PASS(id, doc) {#id, doc, pass_##id},
#include "passes/passes.def"
};

enum { N_PASSES = sizeof passes / sizeof passes[0] };
_Static_assert((int)N_PASSES <= (int)PIPELINE_MAX_PASSES, "PipelineTimes holds every pass");

void pipeline_list(FILE *out)
{
    for (size_t i = 0; i < N_PASSES; i++)
        fprintf(out, "  %-12s %s\n", passes[i].name, passes[i].doc);
}

static bool known_pass(Diag *d, const char *option, const char *name, bool all)
{
    const char *names[N_PASSES + 1];
    for (size_t i = 0; i < N_PASSES; i++)
        names[i] = passes[i].name;
    names[N_PASSES] = "all";
    size_t n = N_PASSES + (all ? 1 : 0);
    for (size_t i = 0; name != NULL && i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    if (name == NULL)
        return true;
    const char *nearest = text_nearest(name, names, n);
    d->usage = true;
    return diag_error(d, (Span){0}, "%s: unknown pass '%s'%s%s%s", option, name,
                      nearest ? "; did you mean '" : "", nearest ? nearest : "",
                      nearest ? "'?" : "");
}

static bool dump(PassContext *cx, const PipelineOptions *o, size_t i)
{
    bool print = o->print_after &&
                 (!strcmp(o->print_after, "all") || !strcmp(o->print_after, passes[i].name));
    bool ok = true;
    Text text = {0};

    if (!print && o->save_temps == NULL)
        return true;
    if (cx->plan != NULL)
        plan_print(&text, cx->plan);
    else
        graph_print(&text, cx->graph, true);
    if (print)
        fprintf(o->out, "# after %s\n%s", passes[i].name, text.data);
    if (o->save_temps != NULL) {
        char *path = arena_printf(cx->arena, "%s/%02zu-%s.%s", o->save_temps, i + 1, passes[i].name,
                                  cx->plan != NULL ? "plan" : "wir");
        ok = io_write(cx->diag, path, text.data, text.len);
    }
    text_free(&text);
    return ok;
}

bool pipeline_run(PassContext *cx, const PipelineOptions *options, PipelineTimes *times)
{
    PipelineTimes unused;
    if (times == NULL)
        times = &unused;
    times->n = 0;
    if (!known_pass(cx->diag, "--print-after", options->print_after, true) ||
        !known_pass(cx->diag, "--stop-after", options->stop_after, false))
        return false;
    if (options->save_temps && mkdir(options->save_temps, 0777) != 0 && errno != EEXIST)
        return diag_error(cx->diag, (Span){0}, "cannot make '%s': %s", options->save_temps,
                          strerror(errno));
    if (options->verify_each && !graph_verify(cx->diag, cx->graph, "the front end"))
        return false;
    for (size_t i = 0; i < N_PASSES; i++) {
        double begin = clock_now();
        bool ok = passes[i].run(cx);
        times->pass[times->n++] = (PassTime){passes[i].name, clock_now() - begin};
        if (options->time_passes)
            fprintf(options->out, "%-12s %9.3f ms\n", passes[i].name,
                    1e3 * times->pass[times->n - 1].seconds);
        if (!ok || !dump(cx, options, i))
            return false;
        if (options->verify_each && !graph_verify(cx->diag, cx->graph, passes[i].name))
            return false;
        if (options->stop_after && strcmp(options->stop_after, passes[i].name) == 0)
            break;
    }
    return true;
}
