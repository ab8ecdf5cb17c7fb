// SPDX-License-Identifier: Apache-2.0
// wsec: a network in, a placed and routed wafer program out. Command line to exit code.
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/driver/driver.h"
#include "ir/support/io.h"
#include "passes/passes.h"

static const OptionSpec specs[] = {
#define OPTION(field, kind, letter, name, argument, help)                                          \
    {name, letter, OPTION_##kind, argument, help, offsetof(DriverOptions, field)},
#include "frontend/driver/options.def"
};

enum { N_SPECS = sizeof specs / sizeof *specs };

#define NO_SWEEP UINT64_MAX // wafers of --yield-sweep if it is not given

static void print_help(void)
{
    puts("usage: wsec [options] MODEL.dsl [-o MODEL.wse]\n\n"
         "Compiles a network to a placed and routed program for a wafer.\n");
    options_help(stdout, specs, N_SPECS);
    puts("\nexit codes: 0 good, 1 errors in what was given, 2 wrong use, 3 cannot be implemented\n"
         "on this machine, 4 internal error, 5 fault in a run, 130 interrupted");
}

static void print_ops(void)
{
    for (int op = 0; op < OP_COUNT; op++) {
        const OpInfo *info = &op_info[op];
        if (!(info->flags & OPF_LEAF))
            printf("%s(%s)\n    %s\n", info->text, info->signature, info->doc);
    }
}

// What is needed to see an internal error again: the command and the model.
static void write_reproducer(const DriverOptions *o, const char *model, int argc, char **argv)
{
    const char *dir = o->crash_dir ? o->crash_dir : "wsec-crash";
    Arena a = {0};
    Diag d;
    diag_init(&d, "wsec");
    Text command = {0};
    text_add(&command, "wsec " WSEC_VERSION "\n");
    for (int i = 0; i < argc; i++)
        text_printf(&command, "%s\n", argv[i]);
    mkdir(dir, 0777);
    Bytes source;
    if (strcmp(model, "-") != 0 && io_read(&d, model, 0, &source)) {
        io_write(&d, arena_printf(&a, "%s/model.dsl", dir), source.data, source.len);
        bytes_free(&source);
    }
    if (io_write(&d, arena_printf(&a, "%s/command.txt", dir), command.data, command.len))
        fprintf(stderr, "wsec: this is a defect of wsec; '%s' holds what is needed to report it\n",
                dir);
    text_free(&command);
    diag_finish(&d);
    arena_free(&a);
}

// What only a compile can heed; "" if none of it was given.
static const char *of_a_compile(const DriverOptions *o)
{
    const struct {
        bool given;
        const char *name;
    } all[] = {{o->defines.n > 0, "define"},
               {o->weights.n > 0, "weights"},
               {o->machine, "machine"},
               {o->max_cores > 0, "max-cores"},
               {o->objective, "objective"},
               {o->constraints, "constraints"},
               {o->from_placement, "from-placement"},
               {o->estimate, "estimate"},
               {o->report.n > 0, "report"},
               {o->explain.n > 0, "explain"},
               {o->emit, "emit"},
               {o->interpret, "interpret"},
               {o->print_after, "print-after"},
               {o->stop_after, "stop-after"},
               {o->save_temps, "save-temps"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].given)
            return all[i].name;
    return "";
}

// What only another option can heed, and was given without it; then which.
static const char *of_no_use(const DriverOptions *o, const char **without)
{
    const struct {
        bool given, heeded;
        const char *name, *by;
    } all[] = {
        {o->defect_rate >= 0, o->yield_sweep != NO_SWEEP, "defect-rate", "yield-sweep"},
        {o->inputs.n > 0, o->interpret, "input", "interpret"},
        {o->results.n > 0, o->interpret, "result", "interpret"},
        {o->dump_all, o->interpret, "dump-all", "interpret"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        *without = all[i].by;
        if (all[i].given && !all[i].heeded)
            return all[i].name;
    }
    return NULL;
}

// Pipes and devices take more than one.
static bool is_file(const char *path)
{
    struct stat st;
    return strcmp(path, "-") != 0 && (stat(path, &st) != 0 || S_ISREG(st.st_mode));
}

// Each file is written once, and never the model. Says which options name the same.
static bool outputs_apart(const DriverOptions *o, const char *model)
{
    enum { OTHERS = 5 };
    const struct {
        const char *name, *path;
    } others[OTHERS] = {{"output", o->output},
                        {"placed-svg", o->placed_svg},
                        {"routed-svg", o->routed_svg},
                        {"dump-placement", o->dump_placement},
                        {"dump-routing", o->dump_routing}};
    for (size_t i = 0; i < OTHERS + o->report.n; i++) {
        const char *path = i < OTHERS ? others[i].path : o->report.data[i - OTHERS];
        const char *name = i < OTHERS ? others[i].name : "report";
        if (path && model && is_file(path) && strcmp(path, model) == 0) {
            fprintf(stderr, "wsec: error: --%s would write over the model '%s'\n", name, model);
            return false;
        }
        for (size_t k = 0; path && is_file(path) && k < i; k++) {
            const char *other = k < OTHERS ? others[k].path : o->report.data[k - OTHERS];
            if (!other || strcmp(path, other) != 0)
                continue;
            fprintf(stderr, "wsec: error: --%s and --%s both write '%s'\n",
                    k < OTHERS ? others[k].name : "report", name, path);
            return false;
        }
    }
    return true;
}

static bool usage_good(const DriverOptions *o, const char *const *models, size_t n_models)
{
    bool sweep = o->yield_sweep != NO_SWEEP;
    const char *image = o->check_native ? "check-native"
                        : o->relink     ? "relink"
                        : sweep         ? "yield-sweep"
                                        : NULL;
    const char *without, *useless = of_no_use(o, &without);
    size_t wanted = o->check_native || o->relink ? 0 : 1;
    if (image && *of_a_compile(o))
        fprintf(stderr, "wsec: error: --%s is of no use with --%s: the image is compiled already\n",
                of_a_compile(o), image);
    else if (sweep && (o->relink || o->check_native || o->defects || o->output))
        fprintf(stderr, "wsec: error: --yield-sweep makes its own maps and no image; --relink, "
                        "--check-native, --defects and --output are of no use with it\n");
    else if (useless)
        fprintf(stderr, "wsec: error: --%s is of no use without --%s\n", useless, without);
    else if (n_models != wanted && wanted == 0)
        fprintf(stderr, "wsec: error: --check-native and --relink take no model\n");
    else if (n_models == 0 && wanted == 1)
        fprintf(stderr, "wsec: error: no %s given (--help lists the options)\n",
                sweep ? "image" : "model");
    else if (n_models != wanted)
        fprintf(stderr, "wsec: error: one model at a time, not %zu\n", n_models);
    else
        return outputs_apart(o, n_models ? models[0] : NULL);
    return false;
}

static int run(Arena *a, int argc, char **argv)
{
    DriverOptions o = {.slack = 0.05, .threads = 1, .defect_rate = -1, .yield_sweep = NO_SWEEP};
    StringList arguments = {0};
    Diag d;
    bool color;
    if (!options_parse(a, "wsec", specs, N_SPECS, &o, &arguments, argc, argv) ||
        !options_color("wsec", o.color, stderr, &color))
        return EXIT_USAGE;
    if (o.help)
        print_help();
    else if (o.version)
        puts("wsec " WSEC_VERSION);
    else if (o.help_ops)
        print_ops();
    else if (o.help_passes)
        pipeline_list(stdout);
    else if (o.list_machines)
        machine_list(stdout);
    else if (!usage_good(&o, arguments.data, arguments.n))
        return EXIT_USAGE;
    else {
        diag_init(&d, "wsec");
        d.color = color;
        if (o.check_native)
            driver_check_native(&d, o.check_native);
        else if (o.relink)
            driver_relink(&d, &o);
        else if (o.yield_sweep != NO_SWEEP)
            driver_yield(&d, &o, arguments.data[0]);
        else
            driver_compile(&d, &o, arguments.data[0]);
        int code = diag_exit_code(&d);
        diag_finish(&d);
        if (code == EXIT_INTERNAL)
            write_reproducer(&o,
                             o.check_native ? o.check_native
                             : o.relink     ? o.relink
                                            : arguments.data[0],
                             argc, argv);
        return code;
    }
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    Arena a = {0};
    int code = io_finish("wsec", run(&a, argc, argv));
    arena_free(&a);
    return code;
}
