/* SPDX-License-Identifier: Apache-2.0 */
/* passes/placement_xml.c - the placement as XML (placement.xsd), out and in again.
 *
 * Written for other tools and for --from-placement, which reads the kernels. Whatever was edited
 * or broken in between is reported where it stands; rectangles that are read lie on the machine
 * and apart from each other. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/io.h"
#include "passes/planner.h"
#include "passes/xml_read.h"
#include "passes/xml_write.h"

/* A list of numbers, one a lane. */
static void list(xmlTextWriter *w, const char *name, const uint32_t *v, uint32_t n)
{
    Text t = {0};
    for (uint32_t i = 0; i < n; i++)
        text_printf(&t, "%s%u", i ? " " : "", v[i]);
    xml_put(w, name, t.data ? t.data : "");
    text_free(&t);
}

static void write_kernel(xmlTextWriter *w, Arena *a, const Kernel *k)
{
    uint32_t width, height;
    plan_extent(k, &width, &height);
    xmlTextWriterStartElement(w, (const xmlChar *)"kernel");
    xml_put_number(w, "id", k->id);
    xml_put(w, "name", xml_safe(a, k->name));
    xml_put(w, "kind", kernel_kind_text(k->kind));
    xml_put_number(w, "x", k->x);
    xml_put_number(w, "y", k->y);
    xml_put_number(w, "w", width);
    xml_put_number(w, "h", height);
    xml_put_number(w, "turn", k->turn);
    xml_put(w, "mirror", k->mirror ? "true" : "false");
    xml_put_number(w, "lanes-in", k->shape.lanes_in);
    xml_put_number(w, "lanes-out", k->shape.lanes_out);
    xml_put_number(w, "split", k->shape.split);
    xml_put_number(w, "cycles", k->shape.cycles);
    xml_put_number(w, "bytes", k->shape.bytes);
    bool known = k->anchor && k->anchor->op != OP_INPUT; /* an image has no operators */
    for (uint32_t i = 0; known && i <= k->n_steps; i++) {
        const Node *n = i ? k->steps[i - 1] : k->anchor;
        xmlTextWriterStartElement(w, (const xmlChar *)"operator");
        xml_put(w, "op", op_info[n->op].text);
        if (n->name)
            xml_put(w, "name", xml_safe(a, n->name));
        xmlTextWriterEndElement(w);
    }
    xmlTextWriterEndElement(w);
}

static void write_stream(xmlTextWriter *w, Arena *a, const Stream *s)
{
    static const char *const sides[] = {"N", "E", "S", "W"};
    uint32_t lanes = s->protocol.lanes;
    xmlTextWriterStartElement(w, (const xmlChar *)"stream");
    xml_put_stream(w, a, s);
    xml_put_number(w, "messages", protocol_messages(&s->protocol));
    xml_put_number(w, "words", protocol_words(&s->protocol));
    xml_put_number(w, "slots", s->slots);
    if (s->port_y) {
        xmlTextWriterStartElement(w, (const xmlChar *)"ports");
        xml_put(w, "side", sides[s->port_side]);
        list(w, "y", s->port_y, lanes);
        xmlTextWriterEndElement(w);
    }
    xmlTextWriterStartElement(w, (const xmlChar *)"start");
    list(w, "x", s->start_x, lanes);
    list(w, "y", s->start_y, lanes);
    xmlTextWriterEndElement(w);
    for (uint32_t i = 0; i < s->n_segments; i++) {
        xmlTextWriterStartElement(w, (const xmlChar *)"segment");
        xml_put(w, "side", sides[s->segments[i].side]);
        list(w, "to", s->segments[i].to, lanes);
        xmlTextWriterEndElement(w);
    }
    xmlTextWriterEndElement(w);
}

bool placement_xml_write(Diag *d, const Plan *p, const char *path)
{
    Arena a = {0};
    XmlFile f;
    if (!xml_file_begin(&f, d, &a, "placement", p)) {
        arena_free(&a);
        return false;
    }
    xml_put_number(f.w, "cycles", plan_target(p));
    for (size_t i = 0; i < p->kernels.n; i++)
        write_kernel(f.w, &a, p->kernels.data[i]);
    for (size_t i = 0; i < p->streams.n; i++)
        write_stream(f.w, &a, p->streams.data[i]);
    bool good = xml_file_end(&f, d, "placement", path);
    arena_free(&a);
    return good;
}

/* Reading. Of kernels what a later placement starts from, of streams the names of those into
 * adapters; the schema alone looks at the rest. */
typedef struct Earlier {
    const Machine *target;
    const char *machine;
    uint32_t width, height;
    EarlierPlacement *result;
    VEC(Span) spans; /* of them, until some are left out */
} Earlier;

static const XmlField root_fields[] = {
    {"placement", "model", XML_OTHER, 0, 0, 0, false},
    {"placement", "machine", XML_TEXT, offsetof(Earlier, machine), 0, MACHINE_NAME - 1, false},
    {"placement", "width", XML_U32, offsetof(Earlier, width), 1, MACHINE_MAX_EXTENT, false},
    {"placement", "height", XML_U32, offsetof(Earlier, height), 1, MACHINE_MAX_EXTENT, false},
    {"placement", "cycles", XML_OTHER, 0, 0, 0, false},
};

#define U32(a, f, lo, hi)                                                                          \
    {                                                                                              \
        "kernel", a, XML_U32, offsetof(EarlierKernel, f), lo, hi, false                            \
    }
static const XmlField kernel_fields[] = {
    U32("id", id, 0, UINT32_MAX),
    {"kernel", "name", XML_TEXT, offsetof(EarlierKernel, name), 1, UINT32_MAX, false},
    {"kernel", "kind", XML_OTHER, 0, 0, 0, false},
    U32("x", x, 0, MACHINE_MAX_EXTENT - 1),
    U32("y", y, 0, MACHINE_MAX_EXTENT - 1),
    U32("w", w, 1, MACHINE_MAX_EXTENT),
    U32("h", h, 1, MACHINE_MAX_EXTENT),
    U32("turn", turn, 0, 3),
    {"kernel", "mirror", XML_BOOL, offsetof(EarlierKernel, mirror), 0, 0, false},
    U32("lanes-in", lanes_in, 1, MACHINE_MAX_EXTENT),
    U32("lanes-out", lanes_out, 1, MACHINE_MAX_EXTENT),
    U32("split", split, 1, MACHINE_MAX_EXTENT),
    {"kernel", "cycles", XML_OTHER, 0, 0, 0, false},
    {"kernel", "bytes", XML_OTHER, 0, 0, 0, false},
};
#undef U32

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void read_kernel(XmlReader *r, const xmlNode *node, Earlier *e)
{
    const char *kinds[KERNEL_KIND_COUNT];
    EarlierKernel k = {.name = "", .stream = ""};
    for (size_t i = 0; i < KERNEL_KIND_COUNT; i++)
        kinds[i] = kernel_kind_text((KernelKind)i);
    unsigned errors = r->d->n_errors;
    xml_attributes(r, node, kernel_fields, COUNT(kernel_fields), &k);
    size_t kind = xml_choice(r, node, "kind", kinds, KERNEL_KIND_COUNT);
    if (r->d->n_errors > errors)
        return;
    k.kind = kinds[kind];
    vec_push(r->arena, &e->result->kernels, k);
    vec_push(r->arena, &e->spans, xml_whole(r, node));
    if (k.x + k.w > e->width || k.y + k.h > e->height)
        diag_error(r->d, xml_whole(r, node), "kernel '%.64s' reaches core (%u, %u) of %u x %u",
                   k.name, k.x + k.w - 1, k.y + k.h - 1, e->width, e->height);
}

typedef struct ByNumber {
    uint32_t number, kernel;
} ByNumber;

static int compare_numbers(const void *p, const void *q)
{
    const ByNumber *a = p, *b = q;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return (a->kernel > b->kernel) - (a->kernel < b->kernel);
}

static int compare_ids(const void *key, const void *q)
{
    const uint32_t *id = key;
    const ByNumber *b = q;
    return (*id > b->number) - (*id < b->number);
}

/* Tells adapters what comes in. */
static void read_streams(XmlReader *r, xmlNode *root, Earlier *e)
{
    size_t n = e->result->kernels.n;
    ByNumber *order = arena_array(r->arena, ByNumber, n + 1);
    for (size_t i = 0; i < n; i++)
        order[i] = (ByNumber){e->result->kernels.data[i].id, (uint32_t)i};
    qsort(order, n, sizeof *order, compare_numbers);
    for (xmlNode *node = xmlFirstElementChild(root); node; node = xmlNextElementSibling(node)) {
        xmlChar *to = xmlGetProp(node, (const xmlChar *)"to");
        xmlChar *name = xmlGetProp(node, (const xmlChar *)"name");
        uint32_t id = to ? (uint32_t)strtoul((const char *)to, NULL, 10) : 0;
        const ByNumber *found = to ? bsearch(&id, order, n, sizeof *order, compare_ids) : NULL;
        if (found && name)
            e->result->kernels.data[found->kernel].stream =
                arena_printf(r->arena, "%s", (const char *)name);
        xmlFree(to);
        xmlFree(name);
    }
}

/* From west to east, every row keeps the kernel that came last: who begins before that one
 * ends stands on it. The heights of kernels apart from each other sum up to the machine at
 * most, and the search ends with the messages. */
static void find_overlaps(XmlReader *r, const Earlier *e)
{
    enum { MOST_MESSAGES = 20 };
    size_t n = e->result->kernels.n;
    const EarlierKernel **row = arena_array(r->arena, const EarlierKernel *, e->height);
    ByNumber *order = arena_array(r->arena, ByNumber, n + 1);
    for (size_t i = 0; i < n; i++)
        order[i] = (ByNumber){e->result->kernels.data[i].x, (uint32_t)i};
    qsort(order, n, sizeof *order, compare_numbers);
    for (size_t i = 0; i < n && r->d->n_errors < r->before + MOST_MESSAGES; i++) {
        const EarlierKernel *k = &e->result->kernels.data[order[i].kernel];
        const EarlierKernel *other = NULL;
        for (uint32_t y = k->y; y < k->y + k->h && !other; y++) {
            if (row[y] && row[y]->x + row[y]->w > k->x)
                other = row[y];
            row[y] = k;
        }
        if (other)
            diag_error(r->d, e->spans.data[order[i].kernel],
                       "kernels '%.64s' and '%.64s' overlap at core (%u, %u)", k->name, other->name,
                       k->x, k->y > other->y ? k->y : other->y);
    }
}

/* A placement of another machine serves as far as its kernels stand on this one. */
static void keep_inside(XmlReader *r, xmlNode *root, Earlier *e)
{
    const Machine *m = e->target;
    size_t n = 0, all = e->result->kernels.n;
    if (strcmp(e->machine, m->name) == 0 && e->width == m->width && e->height == m->height)
        return;
    for (size_t i = 0; i < all; i++) {
        const EarlierKernel *k = &e->result->kernels.data[i];
        if (k->x + k->w <= m->width && k->y + k->h <= m->height)
            e->result->kernels.data[n++] = *k;
    }
    e->result->kernels.n = n;
    diag_warning(r->d, xml_tag(r, root),
                 "a placement on %s, %u x %u cores; %zu of its %zu kernels fit on %s, %u x %u",
                 e->machine, e->width, e->height, n, all, m->name, m->width, m->height);
}

static void read_placement(XmlReader *r, xmlNode *root, void *result)
{
    enum { KERNEL, STREAM, N_ELEMENTS };
    static const char *const elements[N_ELEMENTS] = {"kernel", "stream"};
    Earlier *e = result;
    e->width = e->height = MACHINE_MAX_EXTENT; /* where none is given: one message is enough */
    xml_attributes(r, root, root_fields, COUNT(root_fields), e);
    for (xmlNode *node = xmlFirstElementChild(root); node; node = xmlNextElementSibling(node))
        if (xml_element(r, node, elements, N_ELEMENTS) == KERNEL)
            read_kernel(r, node, e);
    XmlName *names = arena_array(r->arena, XmlName, e->result->kernels.n + 1);
    for (size_t i = 0; i < e->result->kernels.n; i++)
        names[i] = (XmlName){e->result->kernels.data[i].name, e->spans.data[i]};
    xml_unique(r, "kernel", names, e->result->kernels.n);
    if (r->d->n_errors == r->before) {
        read_streams(r, root, e);
        find_overlaps(r, e);
    }
    if (r->d->n_errors == r->before)
        keep_inside(r, root, e);
}

bool placement_xml_read(Diag *d, Arena *a, const char *path, const Machine *m,
                        EarlierPlacement *result)
{
    static const XmlDocument document = {"placement", "placement.xsd", 1 << 25, read_placement};
    *result = (EarlierPlacement){.machine = ""};
    Earlier e = {.target = m, .machine = "", .result = result};
    bool good = xml_read_file(d, a, &document, path, &e);
    result->machine = e.machine;
    return good;
}
