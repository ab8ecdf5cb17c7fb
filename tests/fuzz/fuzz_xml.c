// SPDX-License-Identifier: Apache-2.0
// libFuzzer: any bytes as a file of each kind that is read as XML. What is refused must have said
// so, and nothing may be an internal error; what is accepted must hold what the planner relies
// on: rectangles on the machine, those of a placement apart from each other, names once.
#define _GNU_SOURCE // memfd_create
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "passes/defects.h"
#include "passes/passes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void on_machine(const Machine *m, uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
    must(w > 0 && h > 0 && (uint64_t)x + w <= m->width && (uint64_t)y + h <= m->height);
}

static void check_constraints(const Machine *m, const Constraints *c)
{
    for (size_t i = 0; i < c->pins.n; i++) {
        const Pin *p = &c->pins.data[i];
        on_machine(m, p->x, p->y, p->has_size ? p->w : 1, p->has_size ? p->h : 1);
        must(p->kernel[0] && p->turn < 4);
        for (size_t k = 0; k < i; k++)
            must(strcmp(p->kernel, c->pins.data[k].kernel) != 0);
    }
    for (size_t i = 0; i < c->areas.n; i++)
        must(c->areas.data[i].kernel[0] && c->areas.data[i].max_cores > 0);
    for (size_t i = 0; i < c->keepouts.n; i++) {
        const KeepOutWish *k = &c->keepouts.data[i];
        must(k->name != NULL);
        on_machine(m, k->x, k->y, k->w, k->h);
    }
}

static void check_placement(const Machine *m, const EarlierPlacement *p)
{
    must(p->machine != NULL);
    for (size_t i = 0; i < p->kernels.n; i++) {
        const EarlierKernel *k = &p->kernels.data[i];
        on_machine(m, k->x, k->y, k->w, k->h);
        must(k->kind && k->turn < 4 && k->lanes_in > 0 && k->lanes_out > 0 && k->split > 0);
        for (size_t j = 0; j < i; j++) {
            const EarlierKernel *o = &p->kernels.data[j];
            must(strcmp(k->name, o->name) != 0);
            must(k->x >= o->x + o->w || o->x >= k->x + k->w || k->y >= o->y + o->h ||
                 o->y >= k->y + k->h);
        }
    }
}

static void check_defects(const Machine *m, const Defects *d)
{
    for (uint32_t i = 0; i < d->n; i++)
        must(d->runs[i].n > 0 && d->runs[i].y < m->height &&
             (uint32_t)d->runs[i].x + d->runs[i].n <= m->width + m->spare_columns);
}

typedef enum FileKind { MACHINE, CONSTRAINTS, PLACEMENT, DEFECTS, N_FILES } FileKind;

static void read_as(FileKind kind, const char *path, const Machine *on)
{
    Arena a = {0};
    Diag d;
    Machine machine;
    Constraints constraints;
    EarlierPlacement placement;
    Defects defects;
    bool good = false;
    diag_init(&d, "fuzz");
    d.out = fopen("/dev/null", "w");
    must(d.out != NULL);
    switch (kind) {
    case MACHINE:
        good = machine_load(&d, path, &machine);
        must(!good || (machine.width > 0 && machine.colors > machine.reserved_colors));
        break;
    case CONSTRAINTS:
        good = constraints_read(&d, &a, path, on, &constraints);
        if (good)
            check_constraints(on, &constraints);
        break;
    case PLACEMENT:
        good = placement_xml_read(&d, &a, path, on, &placement);
        if (good)
            check_placement(on, &placement);
        break;
    case DEFECTS:
        good = defects_xml_read(&d, &a, path, on, &defects);
        if (good)
            check_defects(on, &defects);
        break;
    case N_FILES:
        break;
    }
    must(good == (d.n_errors == 0) && !d.internal && !d.usage && !d.fault);
    fclose(d.out);
    diag_finish(&d);
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Machine m = {.name = "fuzz", .width = 64, .height = 60, .spare_columns = 2};
    int fd = memfd_create("fuzz", 0);
    char path[64];
    must(fd >= 0 && (size == 0 || write(fd, data, size) == (ssize_t)size));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    for (int kind = 0; kind < N_FILES; kind++)
        read_as((FileKind)kind, path, &m);
    close(fd);
    return 0;
}
