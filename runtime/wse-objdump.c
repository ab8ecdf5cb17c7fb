// SPDX-License-Identifier: Apache-2.0
// wse-objdump: where everything went, and why. Prints an image for people or as JSON, and
// verifies it. Coordinates are (x, y), x to the east, y to the south, of the fabric.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/io.h"
#include "ir/support/options.h"
#include "ir/support/table.h"
#include "runtime/check.h"

typedef struct DumpOptions {
#define OPTION(field, kind, letter, name, argument, help) OPTION_TYPE_##kind field;
#include "runtime/objdump.def"
} DumpOptions;

static const OptionSpec specs[] = {
#define OPTION(field, kind, letter, name, argument, help)                                          \
    {name, letter, OPTION_##kind, argument, help, offsetof(DumpOptions, field)},
#include "runtime/objdump.def"
};

enum { N_SPECS = sizeof specs / sizeof *specs };

typedef struct Dump {
    Arena *arena;
    const Image *image;
    bool json, first;
    Text out;
} Dump;

static const Span nowhere = {0};
static const char side_letter[SIDE_COUNT] = {'N', 'E', 'S', 'W', 'R'};
static const char *const segment_name[SEGMENT_COUNT] = {
    [SEGMENT_WEIGHTS] = "weights", [SEGMENT_BUFFER] = "buffer", [SEGMENT_RING] = "ring",
    [SEGMENT_DATA] = "data",       [SEGMENT_CODE] = "code",
};

static void show(Dump *d, const Table *t)
{
    if (d->json) {
        text_add(&d->out, d->first ? "{\n  " : ",\n  ");
        table_json(&d->out, t);
    } else {
        text_printf(&d->out, "%s%s\n", d->first ? "" : "\n", t->name);
        table_print(&d->out, t);
    }
    d->first = false;
}

static void fact(Table *t, const char *key, const char *value)
{
    table_string(t, key);
    table_string(t, value);
}

static void fact_count(Table *t, const char *key, uint64_t n)
{
    table_string(t, key);
    table_count(t, n);
}

static const char *origin_text(Dump *d, uint32_t origin)
{
    const Origin *o = &d->image->origins[origin];
    if (o->line == 0)
        return o->name ? o->name : "";
    return arena_printf(d->arena, "%s (%s:%u)", o->name ? o->name : "", d->image->source_name,
                        o->line);
}

static uint64_t grid_count(const Grid *g)
{
    return (uint64_t)g->nx * g->ny;
}

static void dump_header(Dump *d)
{
    const Image *im = d->image;
    Table t = table_begin(d->arena, "header", "what|value");
    uint64_t cores = 0;
    for (uint32_t i = 0; i < im->n_cores; i++)
        cores += grid_count(&im->cores[i].grid);
    fact(&t, "format", arena_printf(d->arena, "%d.%d", IMAGE_VERSION_MAJOR, IMAGE_VERSION_MINOR));
    fact(&t, "producer", im->producer);
    fact(&t, "model", im->model);
    fact(&t, "source", im->source_name);
    fact(&t, "options", im->options);
    fact(&t, "machine", im->machine.name);
    fact(&t, "weights", im->has_weights ? "yes" : "no: times only");
    fact(&t, "native code", im->native.bytes ? im->native.cpu : "none");
    fact_count(&t, "native bytes", im->native.bytes);
    fact_count(&t, "weight bytes", im->data_bytes);
    fact_count(&t, "kernels", im->n_kernels);
    fact_count(&t, "streams", im->n_streams);
    fact_count(&t, "classes", im->n_classes);
    fact_count(&t, "cores", cores);
    fact_count(&t, "core rectangles", im->n_cores);
    fact_count(&t, "router rectangles", im->n_routes);
    char hex[65];
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", im->digest[i]);
    fact(&t, "digest", hex);
    show(d, &t);
}

static const char *fraction(Dump *d, Fraction f)
{
    return f.den == 1 ? arena_printf(d->arena, "%u", f.num)
                      : arena_printf(d->arena, "%.4g", (double)f.num / (double)f.den);
}

static void dump_defects(Dump *d, Table *t)
{
    const Image *im = d->image;
    const DefectMap *map = defect_map(d->arena, &im->machine, &im->defects);
    uint32_t dead = 0, holes = 0, shift = 0;
    for (uint32_t i = 0; i < im->defects.n; i++) {
        dead += im->defects.runs[i].n;
        holes += im->defects.runs[i].n > DEFECT_SKIP;
    }
    for (uint32_t y = 0; map && y < im->machine.height; y++) {
        uint32_t last = defect_shift(map, im->machine.width - 1, y);
        shift = last > shift ? last : shift;
    }
    // Dead cores that a kernel's rows step over.
    uint32_t inside = 0;
    for (uint32_t i = 0; map && i < im->n_kernels; i++) {
        const KernelInfo *k = &im->kernels[i];
        for (uint32_t y = k->y; y < k->y + k->h; y++)
            inside += defect_shift(map, k->x + k->w - 1, y) - defect_shift(map, k->x, y);
    }
    fact_count(t, "dead cores", dead);
    fact_count(t, "of them inside kernels", inside);
    fact_count(t, "runs of them that are holes", holes);
    fact_count(t, "a row's longest shift", shift);
}

static void dump_machine(Dump *d)
{
    static const char *const cost_name[COST_COUNT] = {
        [COST_COPY] = "copy", [COST_ADD] = "add",       [COST_MUL] = "mul",
        [COST_MAC] = "mac",   [COST_MINMAX] = "minmax", [COST_SELECT] = "select",
    };
    const Machine *m = &d->image->machine;
    Table t = table_begin(d->arena, "machine", "what|value");
    fact(&t, "name", m->name);
    fact(&t, "cores", arena_printf(d->arena, "%u x %u", m->width, m->height));
    fact_count(&t, "spare columns", m->spare_columns);
    if (d->image->defects.n > 0)
        dump_defects(d, &t);
    fact_count(&t, "clock Hz", m->clock_hz);
    fact_count(&t, "SRAM bytes of a core", m->sram_bytes);
    fact_count(&t, "of that, reserve", m->reserve_bytes);
    fact_count(&t, "bytes of an operation", m->op_bytes);
    fact(&t, "colors",
         arena_printf(d->arena, "%u, %u of them reserved", m->colors, m->reserved_colors));
    fact(&t, "queues", arena_printf(d->arena, "%u in, %u out", m->queues_in, m->queues_out));
    fact(&t, "set-up cycles",
         arena_printf(d->arena, "%u, %u more in a loop", m->setup, m->setup_loop));
    fact_count(&t, "hop cycles", m->hop);
    fact_count(&t, "ramp cycles", m->ramp);
    fact(&t, "landing words a cycle", fraction(d, m->landing));
    fact(&t, "host ports",
         arena_printf(d->arena, "%u west, %u east", m->ports_west, m->ports_east));
    fact(&t, "host words a cycle", fraction(d, m->host_words));
    show(d, &t);
    t = table_begin(d->arena, "operations", "operation|type|elements a cycle|bank conflict");
    for (int c = 0; c < COST_COUNT; c++) {
        for (int y = 0; y < DT_COUNT; y++) {
            table_string(&t, cost_name[c]);
            table_string(&t, dtype_name((DType)y));
            table_string(&t, fraction(d, m->cost[c][y].width));
            table_string(&t, fraction(d, m->cost[c][y].conflict));
        }
    }
    show(d, &t);
}

static void dump_tensors(Dump *d)
{
    const Image *im = d->image;
    Table t = table_begin(d->arena, "tensors", "name|direction|type|ports");
    for (uint32_t i = 0; i < im->n_tensors; i++) {
        const HostTensor *h = &im->tensors[i];
        Text type = {0};
        text_printf(&type, "%s[", dtype_name((DType)h->dtype));
        for (uint32_t k = 0; k < h->rank; k++)
            text_printf(&type, "%s%u", k ? ", " : "", h->extent[k]);
        text_add(&type, "]");
        uint64_t ports = 0;
        for (uint32_t p = 0; p < im->n_ports; p++)
            ports += im->ports[p].tensor == i;
        table_string(&t, h->name);
        table_string(&t, h->is_output ? "output" : "input");
        table_string(&t, type.data);
        table_count(&t, ports);
        text_free(&type);
    }
    show(d, &t);
    t = table_begin(d->arena, "ports", "tensor|direction|side|y|color|cycles a word");
    for (uint32_t i = 0; i < im->n_ports; i++) {
        const Port *p = &im->ports[i];
        table_string(&t, im->tensors[p->tensor].name);
        table_string(&t, p->is_sink ? "out" : "in");
        table_printf(&t, "%c", side_letter[p->side]);
        table_count(&t, p->y);
        table_count(&t, p->color);
        table_string(&t, fraction(d, (Fraction){p->p, p->q}));
    }
    show(d, &t);
}

static const char *end_name(const Image *im, int32_t kernel)
{
    return kernel < 0 ? "host" : im->kernels[kernel].name;
}

static void dump_placement(Dump *d)
{
    const Image *im = d->image;
    Table t = table_begin(d->arena, "kernels",
                          "kernel|kind|x|y|w|h|turn|lanes|cores|cycles|mac %|bytes|shape|source");
    for (uint32_t i = 0; i < im->n_kernels; i++) {
        const KernelInfo *k = &im->kernels[i];
        table_string(&t, k->name);
        table_string(&t, k->kind);
        table_count(&t, k->x);
        table_count(&t, k->y);
        table_count(&t, k->w);
        table_count(&t, k->h);
        table_printf(&t, "%u%s", k->turn, k->mirror ? "m" : "");
        table_printf(&t, "%u>%u", k->lanes_in, k->lanes_out);
        table_count(&t, (uint64_t)k->w * k->h);
        table_count(&t, k->cycles);
        table_number(&t, k->cycles ? 100.0 * (double)k->compute / (double)k->cycles : 0, 0);
        table_count(&t, k->bytes);
        table_string(&t, k->shape);
        table_string(&t, origin_text(d, k->origin));
    }
    show(d, &t);
    t = table_begin(d->arena, "streams",
                    "stream|from|to|lanes|color|messages a sample|words|tensor|source");
    for (uint32_t i = 0; i < im->n_streams; i++) {
        const StreamInfo *s = &im->streams[i];
        table_string(&t, s->name);
        table_string(&t, end_name(im, s->from));
        table_string(&t, end_name(im, s->to));
        table_count(&t, s->lanes);
        table_count(&t, s->color);
        table_count(&t, s->messages);
        table_count(&t, s->words);
        table_string(&t, s->tensor);
        table_string(&t, origin_text(d, s->origin));
    }
    show(d, &t);
}

static const char *grid_text(Dump *d, const Grid *g)
{
    Text t = {0};
    text_printf(&t, "(%u, %u)", g->x, g->y);
    if (grid_count(g) > 1) {
        text_printf(&t, " %ux%u", g->nx, g->ny);
        if ((g->nx > 1 && g->sx > 1) || (g->ny > 1 && g->sy > 1))
            text_printf(&t, " step %u,%u", g->sx, g->sy);
    }
    const char *s = arena_strdup(d->arena, t.data, t.len);
    text_free(&t);
    return s;
}

static const char *sides_text(Dump *d, uint32_t mask)
{
    char text[SIDE_COUNT + 1];
    size_t n = 0;
    for (int s = 0; s < SIDE_COUNT; s++)
        if (mask & 1u << s)
            text[n++] = side_letter[s];
    return arena_strdup(d->arena, text, n);
}

static void dump_routes(Dump *d)
{
    const Image *im = d->image;
    Table t = table_begin(d->arena, "routes", "routers|color|from|to|stream");
    for (uint32_t i = 0; i < im->n_routes; i++) {
        const RouteRect *r = &im->routes[i];
        table_string(&t, grid_text(d, &r->grid));
        table_count(&t, r->color);
        table_printf(&t, "%c", side_letter[r->in]);
        table_string(&t, sides_text(d, r->out));
        table_string(&t, im->streams[r->stream].name);
    }
    show(d, &t);
}

static uint32_t used_bytes(const CoreRect *r)
{
    uint32_t end = 0;
    for (uint32_t s = 0; s < r->n_segments; s++) {
        uint32_t e = r->segments[s].address + r->segments[s].bytes;
        end = e > end ? e : end;
    }
    return end;
}

static void show_segments(Dump *d, const char *name, const CoreRect *r)
{
    Table t = table_begin(d->arena, name, "address|bytes|kind|what");
    table_count(&t, 0);
    table_count(&t, d->image->machine.reserve_bytes);
    table_string(&t, "reserve");
    table_string(&t, "");
    for (uint32_t s = 0; s < r->n_segments; s++) {
        table_count(&t, r->segments[s].address);
        table_count(&t, r->segments[s].bytes);
        table_string(&t, segment_name[r->segments[s].kind]);
        table_string(&t, origin_text(d, r->segments[s].origin));
    }
    show(d, &t);
}

static void dump_memory(Dump *d)
{
    const Image *im = d->image;
    for (uint32_t k = 0; k < im->n_kernels; k++) {
        const CoreRect *fullest = NULL;
        for (uint32_t i = 0; i < im->n_cores; i++)
            if (im->cores[i].kernel == k &&
                (!fullest || used_bytes(&im->cores[i]) > used_bytes(fullest)))
                fullest = &im->cores[i];
        if (fullest)
            show_segments(d,
                          arena_printf(d->arena, "memory of %s, core (%u, %u): %u of %u bytes",
                                       im->kernels[k].name, fullest->grid.x, fullest->grid.y,
                                       used_bytes(fullest), im->machine.sram_bytes),
                          fullest);
    }
}

static void show_program(Dump *d, uint32_t index)
{
    Text program = {0};
    program_print(&program, &d->image->classes[index], index, true);
    if (d->json) {
        Table t = table_begin(d->arena, arena_printf(d->arena, "class %u", index), "text");
        table_string(&t, program.data);
        show(d, &t);
    } else {
        text_printf(&d->out, "%s%s", d->first ? "" : "\n", program.data);
        d->first = false;
    }
    text_free(&program);
}

static const CoreRect *find_core(const Image *im, uint32_t x, uint32_t y, uint32_t *i, uint32_t *j)
{
    for (uint32_t r = 0; r < im->n_cores; r++) {
        const Grid *g = &im->cores[r].grid;
        if (x < g->x || y < g->y || (x - g->x) % g->sx != 0 || (y - g->y) % g->sy != 0)
            continue;
        *i = (x - g->x) / g->sx;
        *j = (y - g->y) / g->sy;
        if (*i < g->nx && *j < g->ny)
            return &im->cores[r];
    }
    return NULL;
}

static void dump_core(Dump *d, const CoreRect *r, uint32_t x, uint32_t y, uint32_t i, uint32_t j)
{
    const Image *im = d->image;
    const Class *c = &im->classes[r->class_id];
    Table t = table_begin(d->arena, "core", "what|value");
    fact(&t, "position", arena_printf(d->arena, "(%u, %u)", x, y));
    fact(&t, "kernel", im->kernels[r->kernel].name);
    fact(&t, "in the kernel",
         arena_printf(d->arena, "(%u, %u)", x - im->kernels[r->kernel].x,
                      y - im->kernels[r->kernel].y));
    fact(&t, "class", arena_printf(d->arena, "%u %s", r->class_id, c->name ? c->name : ""));
    fact(&t, "memory",
         arena_printf(d->arena, "%u of %u bytes", used_bytes(r), im->machine.sram_bytes));
    show(d, &t);
    show_segments(d, "memory map", r);
    t = table_begin(d->arena, "channels", "channel|direction|color|ring|slots|slot words");
    for (uint32_t k = 0; k < c->n_channels; k++) {
        if (r->channels[k].color < 0)
            continue;
        table_count(&t, k);
        table_string(&t, c->channel_is_out[k] ? "out" : "in");
        table_count(&t, (uint64_t)r->channels[k].color);
        table_count(&t, r->channels[k].ring);
        table_count(&t, r->channels[k].slots);
        table_count(&t, r->channels[k].slot_words);
    }
    show(d, &t);
    t = table_begin(d->arena, "data", "word|value");
    for (uint32_t k = 0; k < c->n_data; k++) {
        table_count(&t, k);
        table_number(&t, r->data[k].value + (double)i * r->data[k].di + (double)j * r->data[k].dj,
                     0);
    }
    show(d, &t);
    show_program(d, r->class_id);
}

static bool parse_position(Diag *diag, const DumpOptions *o, const Machine *m, uint32_t *x,
                           uint32_t *y)
{
    char *end;
    unsigned long px = strtoul(o->core, &end, 10), py = 0;
    bool ok = end != o->core && *end == ',';
    if (ok) {
        const char *second = end + 1;
        py = strtoul(second, &end, 10);
        ok = end != second && *end == '\0';
    }
    if (!ok) {
        diag->usage = true;
        return diag_error(diag, nowhere, "--core takes X,Y, not '%s'", o->core);
    }
    if (px >= m->width || py >= m->height)
        return diag_error(diag, nowhere, "core (%lu, %lu) is outside of the %u x %u cores of '%s'",
                          px, py, m->width, m->height, m->name);
    *x = (uint32_t)px;
    *y = (uint32_t)py;
    return true;
}

static bool dump(Dump *d, Diag *diag, const DumpOptions *o)
{
    const Image *im = d->image;
    bool nothing = !(o->header || o->machine || o->tensors || o->placement || o->routes ||
                     o->memory || o->programs || o->core || o->source || o->verify);
    if (o->header || o->all || nothing)
        dump_header(d);
    if (o->machine || o->all)
        dump_machine(d);
    if (o->tensors || o->all)
        dump_tensors(d);
    if (o->placement || o->all || nothing)
        dump_placement(d);
    if (o->memory || o->all)
        dump_memory(d);
    if (o->routes || o->all)
        dump_routes(d);
    for (uint32_t c = 0; (o->programs || o->all) && c < im->n_classes; c++)
        show_program(d, c);
    if (o->source) {
        if (d->json) {
            Table t = table_begin(d->arena, "source", "text");
            table_string(&t, im->source);
            show(d, &t);
        } else {
            text_add_bytes(&d->out, im->source, (size_t)im->source_len);
        }
    }
    if (o->core) {
        uint32_t x = 0, y = 0, i, j;
        if (!parse_position(diag, o, &im->machine, &x, &y))
            return false;
        const CoreRect *r = find_core(im, x, y, &i, &j);
        if (!r)
            return diag_error(diag, nowhere, "no kernel uses core (%u, %u)", x, y);
        dump_core(d, r, x, y, i, j);
    }
    if (o->verify && d->json) {
        Table t = table_begin(d->arena, "verified", "text");
        table_string(&t, "structure, memory, liveness");
        show(d, &t);
    }
    if (d->json)
        text_add(&d->out, d->first ? "{}\n" : "\n}\n");
    return true;
}

static void inspect(Arena *a, Diag *diag, const DumpOptions *o, const char *path)
{
    Bytes bytes = {0};
    Image image;
    Fabric fabric;
    Dump d = {.arena = a, .image = &image, .json = o->json, .first = true};
    if (io_read(diag, path, 0, &bytes) && image_read(a, diag, path, bytes, &image) &&
        (!o->verify || check_image(a, diag, &image, &fabric)) && dump(&d, diag, o)) {
        if (d.out.len)
            io_write(diag, "-", d.out.data, d.out.len);
        if (o->verify && !o->json)
            printf("%s: verified: %u cores, %u routes, structure, memory, liveness\n", path,
                   fabric.n_cores, fabric.n_routes);
    }
    text_free(&d.out);
    bytes_free(&bytes);
}

static int run(Arena *a, int argc, char **argv)
{
    DumpOptions o = {0};
    StringList arguments = {0};
    Diag d;
    bool color;
    if (!options_parse(a, "wse-objdump", specs, N_SPECS, &o, &arguments, argc, argv) ||
        !options_color("wse-objdump", o.color, stderr, &color))
        return EXIT_USAGE;
    if (options_answer("wse-objdump",
                       "usage: wse-objdump [options] IMAGE.wse\n\nPrints what is in an image; by "
                       "default its header and placement.\n",
                       o.help, o.version, specs, N_SPECS))
        return EXIT_OK;
    if (arguments.n != 1) {
        fputs("wse-objdump: error: one image is needed (--help lists the options)\n", stderr);
        return EXIT_USAGE;
    }
    diag_init(&d, "wse-objdump");
    d.color = color;
    inspect(a, &d, &o, arguments.data[0]);
    int code = diag_exit_code(&d);
    diag_finish(&d);
    return code;
}

int main(int argc, char **argv)
{
    Arena a = {0};
    int code = io_finish("wse-objdump", run(&a, argc, argv));
    arena_free(&a);
    return code;
}
