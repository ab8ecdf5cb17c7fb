/* SPDX-License-Identifier: Apache-2.0 */
/* passes/machine_xml.c - machines from XML, presets and files of the user's.
 *
 * One table of fields drives the reading (xml_read.h); behind it, what fields have to do with
 * each other. */
#include <string.h>

#include "ir/support/text.h"
#include "passes/passes.h"
#include "passes/xml_read.h"

#define U32(e, a, f, lo, hi)                                                                       \
    {                                                                                              \
        e, a, XML_U32, offsetof(Machine, f), lo, hi, false                                         \
    }
#define U64(e, a, f, lo, hi)                                                                       \
    {                                                                                              \
        e, a, XML_U64, offsetof(Machine, f), lo, hi, false                                         \
    }
#define FRACTION(e, a, f, lo, hi)                                                                  \
    {                                                                                              \
        e, a, XML_FRACTION, offsetof(Machine, f), lo, hi, false                                    \
    }

static const XmlField fields[] = {
    {"machine", "name", XML_OTHER, 0, 0, 0, false},
    U32("fabric", "width", width, 1, MACHINE_MAX_EXTENT),
    U32("fabric", "height", height, 1, MACHINE_MAX_EXTENT),
    U32("fabric", "spare-columns", spare_columns, 0, MACHINE_MAX_EXTENT),
    U64("fabric", "clock-hz", clock_hz, 1000000, 100000000000),
    U32("memory", "bytes", sram_bytes, 1024, 1 << 22),
    U32("memory", "reserve", reserve_bytes, 0, 1 << 22),
    U32("memory", "op-bytes", op_bytes, 1, 1024),
    U32("memory", "banks", banks, 1, 64),
    U32("memory", "bank-bytes", bank_bytes, 1, 64),
    U32("timing", "setup", setup, 0, 10000),
    U32("timing", "setup-loop", setup_loop, 0, 10000),
    U32("timing", "latency", latency, 0, 10000),
    FRACTION("timing", "landing", landing, 1, 1024),
    U32("router", "colors", colors, 1, MACHINE_MAX_COLORS),
    U32("router", "reserved-colors", reserved_colors, 0, MACHINE_MAX_COLORS - 1),
    U32("router", "queues-in", queues_in, 1, 64),
    U32("router", "queues-out", queues_out, 1, 64),
    U32("router", "hop", hop, 1, 1000),
    U32("router", "ramp", ramp, 0, 1000),
    U32("host", "ports-west", ports_west, 0, MACHINE_MAX_EXTENT),
    U32("host", "ports-east", ports_east, 0, MACHINE_MAX_EXTENT),
    FRACTION("host", "words", host_words, 1, 1000000),
};

/* The attributes of <op class type>; offsets are within OpCost. */
static const XmlField op_fields[] = {
    {"op", "class", XML_OTHER, 0, 0, 0, false},
    {"op", "type", XML_OTHER, 0, 0, 0, false},
    {"op", "width", XML_FRACTION, offsetof(OpCost, width), 1, 1024, false},
    {"op", "conflict", XML_FRACTION, offsetof(OpCost, conflict), 1, 1024, false},
};

enum { FABRIC, MEMORY, TIMING, ROUTER, HOST, N_ELEMENTS };
static const char *const elements[N_ELEMENTS] = {"fabric", "memory", "timing", "router", "host"};
static const char *const cost_names[COST_COUNT] = {"copy", "add", "mul", "mac", "minmax", "select"};
static const char *const dtype_names[DT_COUNT] = {"f32", "f16", "i32"};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void read_op(XmlReader *r, xmlNode *node, bool seen[COST_COUNT][DT_COUNT], Machine *m)
{
    OpCost cost = {{1, 1}, {1, 1}};
    xml_attributes(r, node, op_fields, COUNT(op_fields), &cost);
    size_t c = xml_choice(r, node, "class", cost_names, COST_COUNT);
    size_t t = xml_choice(r, node, "type", dtype_names, DT_COUNT);
    if (c == COST_COUNT || t == DT_COUNT)
        return;
    if (cost.conflict.num < cost.conflict.den)
        diag_error(r->d, xml_attribute(r, node, "conflict"),
                   "conflict of op is below 1: it is a factor on the duration");
    if (seen[c][t])
        diag_error(r->d, xml_tag(r, node), "%s %s is given twice", cost_names[c], dtype_names[t]);
    seen[c][t] = true;
    m->cost[c][t] = cost;
}

static void read_ops(XmlReader *r, xmlNode *timing, Machine *m)
{
    static const char *const child[] = {"op"};
    bool seen[COST_COUNT][DT_COUNT] = {{false}};
    for (xmlNode *node = xmlFirstElementChild(timing); node; node = xmlNextElementSibling(node))
        if (xml_element(r, node, child, 1) == 0)
            read_op(r, node, seen, m);
    Text missing = {0};
    for (size_t c = 0; c < COST_COUNT; c++) {
        for (size_t t = 0; t < DT_COUNT; t++) {
            if (seen[c][t])
                continue;
            m->cost[c][t] = (OpCost){{1, 1}, {1, 1}};
            /* i32 elements are only ever copied. */
            if (t != DT_I32 || c == COST_COPY)
                text_printf(&missing, "%s%s %s", missing.len ? ", " : "", cost_names[c],
                            dtype_names[t]);
        }
    }
    if (missing.len)
        diag_error(r->d, xml_tag(r, timing), "timing lacks an <op> each for: %s", missing.data);
    text_free(&missing);
}

static void check_ranges(XmlReader *r, xmlNode *const node[N_ELEMENTS], const Machine *m)
{
    bool west = m->ports_west > m->height;
    if (m->reserve_bytes >= m->sram_bytes)
        diag_error(r->d, xml_attribute(r, node[MEMORY], "reserve"),
                   "the reserve of %u bytes leaves nothing of %u", m->reserve_bytes, m->sram_bytes);
    if (m->reserved_colors >= m->colors)
        diag_error(r->d, xml_attribute(r, node[ROUTER], "reserved-colors"),
                   "%u reserved colors leave none of %u", m->reserved_colors, m->colors);
    if (west || m->ports_east > m->height)
        diag_error(r->d, xml_attribute(r, node[HOST], west ? "ports-west" : "ports-east"),
                   "%u ports on one side of %u rows: there is one port a row at most",
                   west ? m->ports_west : m->ports_east, m->height);
    if (m->ports_west + m->ports_east < 2)
        diag_error(r->d, xml_tag(r, node[HOST]),
                   "a network needs 2 ports at least, one for input and one for output");
}

static void read_name(XmlReader *r, xmlNode *root, Machine *m)
{
    xmlChar *name = xmlGetProp(root, (const xmlChar *)"name");
    size_t len = name ? strlen((const char *)name) : 0;
    if (name && (len == 0 || len >= MACHINE_NAME))
        diag_error(r->d, xml_attribute(r, root, "name"), "the name has %zu bytes, not 1 .. %d", len,
                   MACHINE_NAME - 1);
    else if (name)
        memcpy(m->name, name, len + 1);
    xmlFree(name);
}

static void read_machine(XmlReader *r, xmlNode *root, void *result)
{
    Machine *m = result;
    memset(m, 0, sizeof *m);
    xml_attributes(r, root, fields, COUNT(fields), m);
    read_name(r, root, m);
    xmlNode *seen[N_ELEMENTS] = {NULL};
    for (xmlNode *node = xmlFirstElementChild(root); node; node = xmlNextElementSibling(node)) {
        size_t k = xml_element(r, node, elements, N_ELEMENTS);
        if (k == N_ELEMENTS)
            continue;
        if (seen[k])
            diag_error(r->d, xml_tag(r, node), "%s is given twice", elements[k]);
        seen[k] = node;
        xml_attributes(r, node, fields, COUNT(fields), m);
        if (k == TIMING)
            read_ops(r, node, m);
    }
    for (size_t k = 0; k < N_ELEMENTS; k++)
        if (!seen[k])
            diag_error(r->d, xml_tag(r, root), "machine lacks the element '%s'", elements[k]);
    if (r->d->n_errors == r->before)
        check_ranges(r, seen, m);
}

static const XmlDocument machine_document = {"machine", "machine.xsd", 1 << 20, read_machine};

static bool load_preset(Diag *d, const EmbeddedFile *f, Machine *result)
{
    Arena a = {0};
    bool good = xml_read_text(d, &a, &machine_document, f->name, f->text, f->len, result);
    arena_free(&a);
    return good;
}

/* The name of a preset without its suffix; NULL for other files. */
static const char *preset_name(Arena *a, const EmbeddedFile *f)
{
    size_t len = strlen(f->name);
    bool xml = len > 4 && strcmp(f->name + len - 4, ".xml") == 0;
    return xml ? arena_strdup(a, f->name, len - 4) : NULL;
}

static bool unknown_machine(Diag *d, const char *name)
{
    const char *known[16] = {NULL};
    size_t n = 0;
    Arena a = {0};
    for (const EmbeddedFile *f = embedded_files; f->name && n < COUNT(known); f++) {
        known[n] = preset_name(&a, f);
        n += known[n] != NULL;
    }
    const char *near = text_nearest(name, known, n);
    Text list = {0};
    for (size_t i = 0; i < n; i++)
        text_printf(&list, "%s%s", i ? ", " : "", known[i]);
    if (near)
        diag_error(d, (Span){0, 0, 0}, "unknown machine '%s', did you mean '%s'?", name, near);
    else
        diag_error(d, (Span){0, 0, 0}, "unknown machine '%s'", name);
    diag_note(d, (Span){0, 0, 0}, "known are %s, or a file ending in .xml", list.data);
    text_free(&list);
    arena_free(&a);
    return false;
}

bool machine_load(Diag *d, const char *name_or_file, Machine *result)
{
    const EmbeddedFile *preset = embedded_find(name_or_file, ".xml");
    if (preset)
        return load_preset(d, preset, result);
    size_t len = strlen(name_or_file);
    bool path = strchr(name_or_file, '/') || strcmp(name_or_file, "-") == 0 ||
                (len > 4 && strcmp(name_or_file + len - 4, ".xml") == 0);
    if (!path)
        return unknown_machine(d, name_or_file);
    Arena a = {0};
    bool good = xml_read_file(d, &a, &machine_document, name_or_file, result);
    arena_free(&a);
    return good;
}

void machine_list(FILE *out)
{
    Arena a = {0};
    for (const EmbeddedFile *f = embedded_files; f->name; f++) {
        Diag d;
        Machine m;
        diag_init(&d, "wsec");
        if (preset_name(&a, f) && load_preset(&d, f, &m))
            fprintf(out, "%-12s %u x %u cores of %u KB at %llu MHz, %u + %u host ports\n", m.name,
                    m.width, m.height, m.sram_bytes / 1024,
                    (unsigned long long)(m.clock_hz / 1000000), m.ports_west, m.ports_east);
        diag_finish(&d);
    }
    arena_free(&a);
}
