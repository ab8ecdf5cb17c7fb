// SPDX-License-Identifier: Apache-2.0
// --relink=IMAGE: a finished image for another wafer, without the model it was made from.
//
// If every core, route and port of the image exists on that wafer, only the map changes: the
// spares make up for what is dead. Else kernels move (passes/relink.c). Programs stay as they
// are, so native code does. The checker has the last word, as after a compile.
#include <string.h>

#include "backend/kernels/replan.h"
#include "frontend/driver/driver.h"
#include "frontend/driver/relink.h"
#include "passes/defects.h"
#include "runtime/check.h"

enum { MOST_TOLD = 20 }; // moved kernels that are listed

static const Span nowhere = {0, 0, 0};

bool relink_open(Arena *a, Diag *d, const char *path, Bytes *bytes, Image *image, Fabric *fabric)
{
    return io_read(d, path, 0, bytes) && image_read(a, d, path, *bytes, image) &&
           check_image(a, d, image, fabric);
}

bool relink_fits(Arena *a, const Image *image, const Defects *defects, Image *result,
                 Fabric *fabric)
{
    Diag quiet;
    *result = *image;
    result->defects = *defects;
    diag_init(&quiet, "wsec");
    FILE *sink = fopen("/dev/null", "w");
    quiet.out = sink;
    bool fits = fabric_build(a, &quiet, result, fabric);
    diag_finish(&quiet);
    if (sink)
        fclose(sink);
    return fits;
}

bool relink_moves(Arena *a, Diag *d, const Image *image, const Defects *defects, Image *result,
                  uint32_t *n_moved)
{
    Plan plan;
    return kernels_replan(a, d, image, &plan) && plan_set_defects(d, &plan, defects) &&
           plan_relink(d, &plan, n_moved) && kernels_move(a, d, image, &plan, result);
}

// What the image says of how it was made; of several relinks, the last.
static const char *relink_options(Arena *a, const char *before, const char *map)
{
    const char *slash = strrchr(map, '/'), *again = strstr(before, " --relink");
    size_t n = again ? (size_t)(again - before) : strlen(before);
    return arena_printf(a, "%.*s --relink --defects=%s", (int)n, before, slash ? slash + 1 : map);
}

static void tell(const Image *image, const Image *result, bool fits, uint32_t n_moved)
{
    uint64_t dead = 0;
    for (uint32_t i = 0; i < result->defects.n; i++)
        dead += result->defects.runs[i].n;
    printf("%llu dead cores; ", (unsigned long long)dead);
    if (n_moved == 0)
        printf("all cores that the image uses are there%s\n",
               fits ? "" : ", but streams took other ways");
    else
        printf("%u of %u kernels moved:\n", n_moved, image->n_kernels);
    uint32_t told = 0;
    for (uint32_t i = 0; i < image->n_kernels && told < MOST_TOLD; i++) {
        const KernelInfo *p = &image->kernels[i], *q = &result->kernels[i];
        uint32_t quarters = (q->turn + 4 - p->turn) % 4;
        if (p->x == q->x && p->y == q->y && quarters == 0)
            continue;
        printf("  %s from (%u, %u) to (%u, %u)", p->name, p->x, p->y, q->x, q->y);
        if (quarters > 0)
            printf(", turned by %u degrees", 90 * quarters);
        putchar('\n');
        told++;
    }
    if (told < n_moved)
        printf("  and %u more\n", n_moved - told);
}

// The image as it was written, back as a plan.
static bool draw(Arena *a, Diag *d, const DriverOptions *o, const Image *image)
{
    Plan plan;
    if (!o->placed_svg && !o->routed_svg && !o->dump_placement && !o->dump_routing)
        return true;
    return kernels_replan(a, d, image, &plan) && kernels_restore_ways(a, d, image, &plan) &&
           plan_set_defects(d, &plan, &image->defects) && driver_draw(d, o, &plan);
}

static bool relink(Arena *a, Diag *d, const DriverOptions *o, const Image *image)
{
    Defects defects;
    Image result, again;
    Fabric fabric;
    Bytes bytes = {0};
    uint32_t n_moved = 0;
    if (!defects_xml_read(d, a, o->defects, &image->machine, &defects))
        return false;
    bool fits = relink_fits(a, image, &defects, &result, &fabric);
    if (!fits && !relink_moves(a, d, image, &defects, &result, &n_moved))
        return false;
    result.options = relink_options(a, image->options, o->defects);
    image_write(&result, &bytes);
    // A plan that does not describe its programs can only come with an image that lies.
    bool ok = (image_read(a, d, o->output, bytes, &again) && check_image(a, d, &again, &fabric)) ||
              diag_error(d, nowhere,
                         "the checker rejects what came of '%s': its plan does not describe its "
                         "programs; nothing was written",
                         o->relink);
    ok = ok && draw(a, d, o, &again) && io_write(d, o->output, bytes.data, bytes.len);
    if (ok && !o->quiet && strcmp(o->output, "-") != 0)
        tell(image, &result, fits, n_moved);
    bytes_free(&bytes);
    return ok;
}

bool driver_relink(Diag *d, const DriverOptions *o)
{
    Arena a = {0};
    Bytes bytes = {0};
    Image image;
    Fabric fabric;
    bool ok = o->defects && o->output;
    if (!ok) {
        d->usage = true;
        diag_error(d, nowhere, "--relink needs --defects=FILE.xml and -o FILE.wse");
    }
    ok = ok && relink_open(&a, d, o->relink, &bytes, &image, &fabric) && relink(&a, d, o, &image);
    bytes_free(&bytes);
    arena_free(&a);
    return ok;
}
