// SPDX-License-Identifier: Apache-2.0
// The flow of a compile, one stage after the other:
//
//     text -> frontend -> Graph -> passes -> Plan -> kernels -> Image -> native code
//          -> bytes -> independent checker -> file
//
// The checker sees the bytes that will be written, read back; nothing is written before it
// agrees.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/kernels/kernel.h"
#include "backend/native/native.h"
#include "frontend/driver/driver.h"
#include "frontend/frontend.h"
#include "frontend/weights.h"
#include "ir/support/clock.h"
#include "ir/support/io.h"
#include "passes/defects.h"
#include "passes/passes.h"
#include "runtime/check.h"

static const Span nowhere = {0};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool parse_defines(Arena *a, const DriverOptions *o, Define **result, Diag *d)
{
    *result = arena_array(a, Define, o->defines.n + 1);
    for (size_t i = 0; i < o->defines.n; i++) {
        const char *text = o->defines.data[i], *equals = strchr(text, '=');
        if (!equals || equals == text) {
            d->usage = true;
            return diag_error(d, nowhere, "-D %s: write -D NAME=VALUE", text);
        }
        (*result)[i].name = arena_strdup(a, text, (size_t)(equals - text));
        (*result)[i].value = equals + 1;
    }
    return true;
}

// What the image says of how it was made: no paths, so that the bytes do not depend on them.
static const char *options_text(Arena *a, const DriverOptions *o)
{
    Text t = {0};
    text_printf(&t, "--machine=%s", o->machine ? base_name(o->machine) : "wse2");
    for (size_t i = 0; i < o->defines.n; i++)
        text_printf(&t, " -D %s", o->defines.data[i]);
    for (size_t i = 0; i < o->weights.n; i++)
        text_printf(&t, " --weights=%s", base_name(o->weights.data[i]));
    if (o->defects)
        text_printf(&t, " --defects=%s", base_name(o->defects));
    if (o->max_cores)
        text_printf(&t, " --max-cores=%llu", (unsigned long long)o->max_cores);
    if (o->objective)
        text_printf(&t, " --objective=%s", o->objective);
    text_printf(&t, " --slack=%g", o->slack);
    if (o->seed)
        text_printf(&t, " --seed=%llu", (unsigned long long)o->seed);
    if (o->effort)
        text_printf(&t, " --effort=%llu", (unsigned long long)o->effort);
    if (o->time_limit > 0)
        text_printf(&t, " --time-limit=%g", o->time_limit);
    if (o->constraints)
        text_printf(&t, " --constraints=%s", base_name(o->constraints));
    if (o->from_placement)
        text_printf(&t, " --from-placement=%s", base_name(o->from_placement));
    const char *s = arena_strdup(a, t.data, t.len);
    text_free(&t);
    return s;
}

static bool write_text(Diag *d, const char *path, Text *t)
{
    bool ok = io_write(d, path, t->data ? t->data : "", t->len);
    text_free(t);
    return ok;
}

// --explain, also of a network that found no place.
static bool explain(Diag *d, const DriverOptions *o, const PassContext *cx)
{
    const Plan *plan = cx->plan;
    bool ok = true;
    for (size_t i = 0; i < o->explain.n; i++) {
        const Kernel *found = NULL;
        const char *name = o->explain.data[i];
        const char **names = arena_array(cx->arena, const char *, plan->kernels.n);
        for (size_t k = 0; k < plan->kernels.n; k++) {
            names[k] = plan->kernels.data[k]->name;
            if (strcmp(names[k], name) == 0)
                found = plan->kernels.data[k];
        }
        if (!found) {
            const char *nearest = text_nearest(name, names, plan->kernels.n);
            d->usage = true;
            ok = diag_error(d, nowhere, "--explain: no kernel is called '%s'%s%s%s", name,
                            nearest ? "; did you mean '" : "", nearest ? nearest : "",
                            nearest ? "'?" : "");
            continue;
        }
        Text t = {0};
        explain_text(&t, cx, found);
        ok = write_text(d, "-", &t) && ok;
    }
    return ok;
}

bool driver_draw(Diag *d, const DriverOptions *o, const Plan *plan)
{
    bool ok = true;
    if (o->placed_svg) {
        Text t = {0};
        plan_svg(&t, plan);
        ok = write_text(d, o->placed_svg, &t) && ok;
    }
    if (o->routed_svg) {
        Text t = {0};
        routed_svg(&t, plan);
        ok = write_text(d, o->routed_svg, &t) && ok;
    }
    if (o->dump_placement)
        ok = placement_xml_write(d, plan, o->dump_placement) && ok;
    if (o->dump_routing)
        ok = routing_xml_write(d, plan, o->dump_routing) && ok;
    return ok;
}

static bool write_reports(Diag *d, const DriverOptions *o, const PassContext *cx,
                          const PipelineTimes *times)
{
    bool ok = true;
    for (size_t i = 0; i < o->report.n; i++) {
        const char *path = o->report.data[i];
        size_t len = strlen(path);
        Text t = {0};
        if (len >= 5 && strcmp(path + len - 5, ".json") == 0)
            report_json(&t, cx, times);
        else
            report_text(&t, cx, times);
        ok = write_text(d, path, &t) && ok;
    }
    ok = driver_draw(d, o, cx->plan) && ok;
    if (o->estimate && o->report.n == 0 && !o->quiet) {
        Text t = {0};
        report_text(&t, cx, times);
        ok = write_text(d, "-", &t) && ok;
    }
    return ok;
}

static const char *default_output(Arena *a, const char *model)
{
    const char *base = strcmp(model, "-") == 0 ? "a" : base_name(model);
    const char *dot = strrchr(base, '.');
    size_t stem = dot && dot != base ? (size_t)(dot - base) : strlen(base);
    return arena_printf(a, "%.*s.wse", (int)stem, base);
}

// The stages behind the passes, beside these in reports and under --time-passes.
static double stage(PipelineTimes *times, const DriverOptions *o, const char *name, double begin)
{
    double end = clock_now();
    if (times->n < PIPELINE_MAX_PASSES)
        times->pass[times->n++] = (PassTime){name, end - begin};
    if (o->time_passes)
        printf("%-12s %9.3f ms\n", name, 1e3 * (end - begin));
    return end;
}

// Image to the bytes of a file, by way of the checker.
static bool finish(Arena *a, Diag *d, const Image *image, const char *path, Bytes *bytes)
{
    image_write(image, bytes);
    // What the checker rejects here is a defect of the compiler, whatever it says.
    Image again;
    Fabric fabric;
    if (image_read(a, d, path, *bytes, &again) && check_image(a, d, &again, &fabric))
        return true;
    return diag_internal(d, nowhere, "the checker rejects the finished image; nothing was written");
}

// The bytes of the image; or LLVM's text, which is written.
static bool emit(Arena *a, Diag *d, const DriverOptions *o, const Plan *plan, NativeEmit kind,
                 const char *model, PipelineTimes *times, Bytes *bytes)
{
    Image image = {0};
    double begin = clock_now();
    if (!kernels_emit(a, d, plan, &image))
        return false;
    begin = stage(times, o, "programs", begin);
    image.producer = "wsec " WSEC_VERSION;
    image.options = options_text(a, o);
    image.source_name = base_name(model);
    image.source = d->sources[0].text;
    image.source_len = d->sources[0].len;
    NativeOptions native = {
        .cpu = o->target_cpu,
        .opt_level = 2,
        .emit = kind,
        .emit_path = o->output ? o->output : "-",
    };
    if (!native_compile(a, d, &image, &native, &image.native))
        return false;
    begin = stage(times, o, "native code", begin);
    bool ok = kind != NATIVE_EMIT_NONE || finish(a, d, &image, model, bytes);
    stage(times, o, "image, check", begin);
    return ok;
}

// What the user asks of the placement; both files are read before either ends the compile.
static bool read_wishes(Arena *a, Diag *d, const DriverOptions *o, PassContext *cx)
{
    bool ok = true;
    if (o->constraints) {
        Constraints *c = arena_new(a, Constraints);
        ok = constraints_read(d, a, o->constraints, cx->machine, c);
        cx->options.constraints = c;
    }
    if (o->from_placement) {
        EarlierPlacement *e = arena_new(a, EarlierPlacement);
        ok = placement_xml_read(d, a, o->from_placement, cx->machine, e) && ok;
        cx->options.earlier = e;
    }
    if (o->defects) {
        Defects *map = arena_new(a, Defects);
        ok = defects_xml_read(d, a, o->defects, cx->machine, map) && ok;
        cx->options.defects = map;
    }
    return ok;
}

static bool compile(Arena *a, Diag *d, const DriverOptions *o, const char *model, NativeEmit kind,
                    bool latency)
{
    Define *defines;
    Graph *graph;
    Machine *machine = arena_new(a, Machine);
    if (!parse_defines(a, o, &defines, d) ||
        !frontend_compile(a, d, model, defines, o->defines.n, &graph) ||
        !weights_load(d, a, graph, o->weights.data, o->weights.n))
        return false;
    if (o->interpret)
        return driver_interpret(a, d, o, graph);
    if (!machine_load(d, o->machine ? o->machine : "wse2", machine))
        return false;
    PassContext cx = {
        .diag = d,
        .graph = graph,
        .machine = machine,
        .arena = a,
        .options = {.max_cores = o->max_cores > UINT32_MAX ? UINT32_MAX : (uint32_t)o->max_cores,
                    .slack = o->slack,
                    .latency = latency,
                    .seed = o->seed,
                    .threads = o->threads > UINT32_MAX ? UINT32_MAX : (uint32_t)o->threads,
                    .time_limit = o->time_limit,
                    .effort = o->effort,
                    .progress = !o->quiet && isatty(STDERR_FILENO) ? stderr : NULL,
                    .curve = o->report.n > 0 || o->estimate},
    };
    if (!read_wishes(a, d, o, &cx))
        return false;
    PipelineOptions pipeline = {
        .print_after = o->print_after,
        .verify_each = o->verify_each,
        .time_passes = o->time_passes,
        .save_temps = o->save_temps,
        .stop_after = o->stop_after,
        .out = stdout,
    };
    PipelineTimes times = {0};
    bool planned = pipeline_run(&cx, &pipeline, &times);
    if (cx.plan && !explain(d, o, &cx))
        return false;
    if (!planned && cx.plan && diag_exit_code(d) == EXIT_INFEASIBLE)
        driver_nearest(d, &cx, defines, o->defines.n);
    if (!planned || o->stop_after)
        return planned;
    // The image comes last: with it, everything has worked.
    Bytes bytes = {0};
    bool ok = o->estimate || emit(a, d, o, cx.plan, kind, model, &times, &bytes);
    ok = ok && write_reports(d, o, &cx, &times);
    if (ok && bytes.len > 0)
        ok = io_write(d, o->output ? o->output : default_output(a, model), bytes.data, bytes.len);
    bytes_free(&bytes);
    return ok;
}

bool driver_compile(Diag *d, const DriverOptions *o, const char *model)
{
    Arena a = {0};
    static const char *const kinds[] = {"wse", "llvm", "asm"};
    static const char *const objectives[] = {"throughput", "latency"};
    size_t kind = 0, objective = 0;
    if ((o->emit && !options_choice("wsec", "emit", o->emit, kinds, 3, &kind)) ||
        (o->objective &&
         !options_choice("wsec", "objective", o->objective, objectives, 2, &objective))) {
        d->usage = true;
        return false;
    }
    if (o->target_cpu && !native_cpu_ok(o->target_cpu)) {
        fprintf(stderr,
                "wsec: error: --target-cpu=%s: native code needs x86-64-v3 or better; choose one "
                "of %s\n",
                o->target_cpu, native_cpu_list());
        d->usage = true;
        return false;
    }
    bool ok = compile(&a, d, o, model, (NativeEmit)kind, objective == 1);
    arena_free(&a);
    return ok;
}

bool driver_check_native(Diag *d, const char *path)
{
    Arena a = {0};
    Bytes bytes = {0};
    Image image;
    Fabric fabric;
    NativeCode again = {0};
    bool ok = io_read(d, path, 0, &bytes) && image_read(&a, d, path, bytes, &image) &&
              check_image(&a, d, &image, &fabric);
    if (ok && image.native.bytes == 0)
        ok = diag_error(d, nowhere, "'%s' has no native code", path);
    NativeOptions options = {.cpu = ok ? image.native.cpu : NULL, .opt_level = 2};
    ok = ok && native_compile(&a, d, &image, &options, &again);
    if (ok && (again.bytes != image.native.bytes ||
               memcmp(again.code, image.native.code, (size_t)again.bytes) != 0 ||
               memcmp(again.entry, image.native.entry, image.n_classes * sizeof *again.entry) != 0))
        ok = diag_error(d, nowhere,
                        "the native code of '%s' is not what wsec " WSEC_VERSION
                        " makes of its programs",
                        path);
    if (ok)
        printf("%s: native code for %s matches its programs\n", path, image.native.cpu);
    bytes_free(&bytes);
    arena_free(&a);
    return ok;
}
