// SPDX-License-Identifier: Apache-2.0
// --constraints=FILE: what the user asks of the placement (constraints.xsd, xml_read.h).
//
// What is wrong with the file itself are errors of the input; a rectangle that the schema
// allows and this machine has no room for is a constraint that cannot hold. Names of kernels
// and what the constraints ask of each other are the planner's.
#include "passes/constraints.h"

#include <string.h>

#include "passes/xml_read.h"

enum { MAX_NAME = 4096, MAX_CORES = MACHINE_MAX_EXTENT * MACHINE_MAX_EXTENT };
enum { PIN_KERNEL, PIN_X, PIN_Y, PIN_W, PIN_H, PIN_TURN, PIN_MIRROR, N_PIN };

static const XmlField pin_fields[N_PIN] = {
    [PIN_KERNEL] = {"pin", "kernel", XML_TEXT, offsetof(Pin, kernel), 1, MAX_NAME, false},
    [PIN_X] = {"pin", "x", XML_U32, offsetof(Pin, x), 0, MACHINE_MAX_EXTENT - 1, false},
    [PIN_Y] = {"pin", "y", XML_U32, offsetof(Pin, y), 0, MACHINE_MAX_EXTENT - 1, false},
    [PIN_W] = {"pin", "w", XML_U32, offsetof(Pin, w), 1, MACHINE_MAX_EXTENT, true},
    [PIN_H] = {"pin", "h", XML_U32, offsetof(Pin, h), 1, MACHINE_MAX_EXTENT, true},
    [PIN_TURN] = {"pin", "turn", XML_U32, offsetof(Pin, turn), 0, 3, true},
    [PIN_MIRROR] = {"pin", "mirror", XML_BOOL, offsetof(Pin, mirror), 0, 0, true},
};

static const XmlField area_fields[] = {
    {"area", "kernel", XML_TEXT, offsetof(AreaLimit, kernel), 1, MAX_NAME, false},
    {"area", "max-cores", XML_U32, offsetof(AreaLimit, max_cores), 1, MAX_CORES, false},
};

static const XmlField keepout_fields[] = {
    {"keep-out", "name", XML_TEXT, offsetof(KeepOutWish, name), 0, MAX_NAME, true},
    {"keep-out", "x", XML_U32, offsetof(KeepOutWish, x), 0, MACHINE_MAX_EXTENT - 1, false},
    {"keep-out", "y", XML_U32, offsetof(KeepOutWish, y), 0, MACHINE_MAX_EXTENT - 1, false},
    {"keep-out", "w", XML_U32, offsetof(KeepOutWish, w), 1, MACHINE_MAX_EXTENT, false},
    {"keep-out", "h", XML_U32, offsetof(KeepOutWish, h), 1, MACHINE_MAX_EXTENT, false},
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

typedef struct Target {
    const Machine *machine;
    Constraints *constraints;
} Target;

static bool given(uint64_t seen, unsigned field)
{
    return seen >> field & 1;
}

static void read_pin(XmlReader *r, const xmlNode *node, Constraints *c)
{
    Pin p = {.span = xml_whole(r, node)};
    uint64_t seen = xml_attributes(r, node, pin_fields, N_PIN, &p);
    p.has_size = given(seen, PIN_W) && given(seen, PIN_H);
    p.has_turn = given(seen, PIN_TURN);
    p.has_mirror = given(seen, PIN_MIRROR);
    if (given(seen, PIN_W) != given(seen, PIN_H))
        diag_error(r->d, xml_attribute(r, node, given(seen, PIN_W) ? "w" : "h"),
                   "a pin gives both w and h, or none of them");
    vec_push(r->arena, &c->pins, p);
}

static void inside(XmlReader *r, const Machine *m, Span at, const char *what, const char *name,
                   uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
    if (x + w > m->width || y + h > m->height)
        diag_infeasible(r->d, at, "%s '%.64s' reaches core (%u, %u); %s has %u x %u cores", what,
                        name, x + w - 1, y + h - 1, m->name, m->width, m->height);
}

static void check_names(XmlReader *r, const Constraints *c)
{
    size_t n = 0;
    XmlName *names = arena_array(r->arena, XmlName, c->pins.n + c->areas.n + 1);
    for (size_t i = 0; i < c->pins.n; i++)
        if (c->pins.data[i].kernel)
            names[n++] = (XmlName){c->pins.data[i].kernel, c->pins.data[i].span};
    xml_unique(r, "the pin of kernel", names, n);
    n = 0;
    for (size_t i = 0; i < c->areas.n; i++)
        if (c->areas.data[i].kernel)
            names[n++] = (XmlName){c->areas.data[i].kernel, c->areas.data[i].span};
    xml_unique(r, "the area of kernel", names, n);
}

static void check_machine(XmlReader *r, const Machine *m, const Constraints *c)
{
    for (size_t i = 0; i < c->pins.n; i++) {
        const Pin *p = &c->pins.data[i];
        inside(r, m, p->span, "the pin of kernel", p->kernel, p->x, p->y, p->has_size ? p->w : 1,
               p->has_size ? p->h : 1);
    }
    for (size_t i = 0; i < c->keepouts.n; i++) {
        const KeepOutWish *k = &c->keepouts.data[i];
        inside(r, m, k->span, "keep-out", k->name, k->x, k->y, k->w, k->h);
    }
}

static void read_constraints(XmlReader *r, xmlNode *root, void *result)
{
    enum { PIN, AREA, KEEP_OUT, N_ELEMENTS };
    static const char *const elements[N_ELEMENTS] = {"pin", "area", "keep-out"};
    const Target *target = result;
    Constraints *c = target->constraints;
    xml_attributes(r, root, NULL, 0, NULL);
    for (xmlNode *node = xmlFirstElementChild(root); node; node = xmlNextElementSibling(node)) {
        AreaLimit area = {.span = xml_whole(r, node)};
        KeepOutWish keepout = {.name = "", .span = area.span};
        switch (xml_element(r, node, elements, N_ELEMENTS)) {
        case PIN:
            read_pin(r, node, c);
            break;
        case AREA:
            xml_attributes(r, node, area_fields, COUNT(area_fields), &area);
            vec_push(r->arena, &c->areas, area);
            break;
        case KEEP_OUT:
            xml_attributes(r, node, keepout_fields, COUNT(keepout_fields), &keepout);
            vec_push(r->arena, &c->keepouts, keepout);
            break;
        }
    }
    check_names(r, c);
    if (r->d->n_errors == r->before)
        check_machine(r, target->machine, c);
}

bool constraints_read(Diag *d, Arena *a, const char *path, const Machine *m, Constraints *result)
{
    static const XmlDocument document = {"constraints", "constraints.xsd", 1 << 20,
                                         read_constraints};
    memset(result, 0, sizeof *result);
    return xml_read_file(d, a, &document, path, &(Target){m, result});
}
