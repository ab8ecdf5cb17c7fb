// SPDX-License-Identifier: Apache-2.0
// --defects=FILE: the dead cores of one wafer (defects.xsd, xml_read.h).
//
// Coordinates are physical: columns 0 .. width + spares - 1. What the schema allows and the
// machine does not have is an error at its place.
#include "passes/defects.h"
#include "passes/xml_read.h"

enum { MAX_BYTES = 1 << 24, MAX_COLUMNS = 2 * MACHINE_MAX_EXTENT };

typedef struct Place { /* all that any of the elements says */
    uint32_t x, y, w, h;
} Place;

#define COORDINATES(element)                                                                       \
    {element, "x", XML_U32, offsetof(Place, x), 0, MAX_COLUMNS - 1, false},                        \
    {                                                                                              \
        element, "y", XML_U32, offsetof(Place, y), 0, MACHINE_MAX_EXTENT - 1, false                \
    }

static const XmlField place_fields[] = {
    COORDINATES("core"),
    COORDINATES("link"),
    {"link", "side", XML_OTHER, 0, 0, 0, false},
    COORDINATES("hole"),
    {"hole", "w", XML_U32, offsetof(Place, w), 1, MAX_COLUMNS, false},
    {"hole", "h", XML_U32, offsetof(Place, h), 1, MACHINE_MAX_EXTENT, false},
};

enum { N_PLACE_FIELDS = sizeof place_fields / sizeof *place_fields };

typedef struct Target {
    const Machine *machine;
    DefectList list;
} Target;

/* False with a message unless the machine has all of these cores. */
static bool on_wafer(XmlReader *r, const xmlNode *node, const Machine *m, const Place *p)
{
    uint32_t width = m->width + m->spare_columns;
    if (p->x + p->w <= width && p->y + p->h <= m->height)
        return true;
    return diag_error(r->d, xml_whole(r, node),
                      "core (%u, %u) is not on the wafer: %s has %u columns, %u of them spare, "
                      "and %u rows",
                      p->x + p->w - 1, p->y + p->h - 1, m->name, width, m->spare_columns,
                      m->height);
}

static void read_link(XmlReader *r, const xmlNode *node, Target *t, const Place *p)
{
    static const char *const sides[] = {"N", "E", "S", "W"};
    size_t side = xml_choice(r, node, "side", sides, 4);
    if (side == 4)
        return;
    int64_t x = (int64_t)p->x + side_dx((Side)side), y = (int64_t)p->y + side_dy((Side)side);
    const Machine *m = t->machine;
    if (x < 0 || y < 0 || x >= (int64_t)m->width + m->spare_columns || y >= (int64_t)m->height) {
        diag_error(r->d, xml_attribute(r, node, "side"),
                   "core (%u, %u) has no neighbor on side %s: links between cores only", p->x, p->y,
                   sides[side]);
        return;
    }
    DeadLink l = {p->x, p->y, (Side)side};
    vec_push(r->arena, &t->list.links, l);
}

static void read_defects(XmlReader *r, xmlNode *root, void *result)
{
    enum { CORE, LINK, HOLE, N_ELEMENTS };
    static const char *const elements[N_ELEMENTS] = {"core", "link", "hole"};
    Target *t = result;
    xml_attributes(r, root, NULL, 0, NULL);
    for (xmlNode *node = xmlFirstElementChild(root); node; node = xmlNextElementSibling(node)) {
        Place p = {.w = 1, .h = 1};
        unsigned before = r->d->n_errors;
        size_t kind = xml_element(r, node, elements, N_ELEMENTS);
        if (kind == N_ELEMENTS)
            continue;
        xml_attributes(r, node, place_fields, N_PLACE_FIELDS, &p);
        if (r->d->n_errors > before || !on_wafer(r, node, t->machine, &p))
            continue;
        if (kind == LINK) {
            read_link(r, node, t, &p);
            continue;
        }
        if (t->list.runs.n + p.h > DEFECTS_MAX_RUNS) {
            diag_error(r->d, xml_whole(r, node), "more than %d runs of dead cores",
                       DEFECTS_MAX_RUNS);
            return;
        }
        for (uint32_t i = 0; i < p.h; i++) {
            DefectRun run = {(uint16_t)(p.y + i), (uint16_t)p.x, (uint16_t)p.w};
            vec_push(r->arena, &t->list.runs, run);
        }
    }
}

bool defects_xml_read(Diag *d, Arena *a, const char *path, const Machine *m, Defects *result)
{
    static const XmlDocument kind = {"defects", "defects.xsd", MAX_BYTES, read_defects};
    Target t = {.machine = m};
    *result = (Defects){0};
    if (!xml_read_file(d, a, &kind, path, &t))
        return false;
    defects_from_list(a, m, &t.list, result);
    return true;
}
