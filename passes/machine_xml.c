/* SPDX-License-Identifier: Apache-2.0 */
/* passes/machine_xml.c - machines from XML, presets and files of the user's.
 *
 * One table of fields drives the reading. What it finds wrong (unknown or missing elements
 * and attributes, values out of range) is reported where it stands, with the nearest known
 * word; the shipped schema then judges the same document as a second opinion. A document
 * type is refused before libxml2 sees it, so there are no entities to expand and nothing to
 * fetch. As nothing is expanded, tags stand in the text in the order of the tree, and a
 * scanner over the text gives each its exact place. */
#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <string.h>

#include "ir/support/io.h"
#include "passes/machine_files.h"
#include "passes/passes.h"

enum { MACHINE_FILE_LIMIT = 1 << 20, MAX_PART = 1000000 };

typedef enum FieldKind { FIELD_U32, FIELD_U64, FIELD_FRACTION } FieldKind;

typedef struct Field {
    const char *element, *attribute;
    FieldKind kind;
    size_t offset;
    uint64_t min, max; /* of a fraction: of its value, rounded up */
} Field;

#define U32(e, a, f, lo, hi)                                                                       \
    {                                                                                              \
        e, a, FIELD_U32, offsetof(Machine, f), lo, hi                                              \
    }
#define U64(e, a, f, lo, hi)                                                                       \
    {                                                                                              \
        e, a, FIELD_U64, offsetof(Machine, f), lo, hi                                              \
    }
#define FRACTION(e, a, f, lo, hi)                                                                  \
    {                                                                                              \
        e, a, FIELD_FRACTION, offsetof(Machine, f), lo, hi                                         \
    }

static const Field fields[] = {
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
static const Field op_fields[] = {
    {"op", "width", FIELD_FRACTION, offsetof(OpCost, width), 1, 1024},
    {"op", "conflict", FIELD_FRACTION, offsetof(OpCost, conflict), 1, 1024},
};

static const char *const elements[] = {"fabric", "memory", "timing", "router", "host"};
static const char *const cost_names[COST_COUNT] = {"copy", "add", "mul", "mac", "minmax", "select"};
static const char *const dtype_names[DT_COUNT] = {"f32", "f16", "i32"};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

typedef struct Reader {
    Diag *d;
    uint32_t file;
    const char *text;
    uint32_t at, len; /* of the scanner */
    unsigned before;  /* errors when reading began */
} Reader;

static bool name_end(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '>' || c == '/' || c == '\0';
}

/* The scanner's next "<" that begins markup other than comments, instructions, end tags. */
static uint32_t next_tag(Reader *r)
{
    static const char *const skip[][2] = {
        {"<!--", "-->"}, {"<?", "?>"}, {"<![CDATA[", "]]>"}, {"</", ">"}};
    while (r->at < r->len) {
        const char *lt = memchr(r->text + r->at, '<', r->len - r->at);
        if (!lt)
            break;
        bool skipped = false;
        for (size_t i = 0; i < COUNT(skip) && !skipped; i++) {
            size_t n = strlen(skip[i][0]);
            if (strncmp(lt, skip[i][0], n) != 0)
                continue;
            const char *end = strstr(lt + n, skip[i][1]);
            r->at = end ? (uint32_t)(end - r->text) + (uint32_t)strlen(skip[i][1]) : r->len;
            skipped = true;
        }
        if (skipped)
            continue;
        /* A quoted ">" or "<" inside the tag cannot end it. */
        uint32_t begin = (uint32_t)(lt - r->text), end = begin + 1;
        for (char quote = 0; end < r->len && (quote || r->text[end] != '>'); end++) {
            char c = r->text[end];
            if (quote ? c == quote : (c == '"' || c == '\''))
                quote = quote ? 0 : c;
        }
        r->at = end;
        return begin;
    }
    return r->len;
}

static Span tag_span(const Reader *r, uint32_t begin)
{
    uint32_t end = begin + 1;
    while (end < r->len && !name_end(r->text[end]))
        end++;
    return (Span){r->file, begin, end};
}

/* Where attribute `name` of the tag at `begin` stands; the tag's name if it is not found. */
static Span attribute_span(const Reader *r, uint32_t begin, const char *name)
{
    Span tag = tag_span(r, begin);
    uint32_t at = tag.end;
    char quote = 0;
    for (; at < r->len && (quote || r->text[at] != '>'); at++) {
        char c = r->text[at];
        if (quote ? c == quote : (c == '"' || c == '\'')) {
            quote = quote ? 0 : c;
        } else if (!quote && name_end(r->text[at - 1]) && !name_end(c)) {
            uint32_t end = at;
            while (end < r->len && !name_end(r->text[end]) && r->text[end] != '=')
                end++;
            if (end - at == strlen(name) && memcmp(r->text + at, name, end - at) == 0)
                return (Span){r->file, at, end};
        }
    }
    return tag;
}

static void unknown(Reader *r, Span at, const char *what, const char *word,
                    const char *const *known, size_t n)
{
    const char *near = text_nearest(word, known, n);
    if (near)
        diag_error(r->d, at, "unknown %s '%s', did you mean '%s'?", what, word, near);
    else
        diag_error(r->d, at, "unknown %s '%s'", what, word);
    Text list = {0};
    for (size_t i = 0; i < n; i++)
        text_printf(&list, "%s%s", i ? ", " : "", known[i]);
    if (!near)
        diag_note(r->d, at, "known are: %s", list.data ? list.data : "none");
    text_free(&list);
}

/* Digits only, no sign, no blanks; false if none, junk behind, or above 2^53. */
static bool parse_number(const char **s, uint64_t *result)
{
    const char *p = *s;
    uint64_t v = 0;
    while (*p >= '0' && *p <= '9') {
        v = v * 10 + (uint64_t)(*p++ - '0');
        if (v > (uint64_t)1 << 53)
            return false;
    }
    bool any = p != *s;
    *s = p;
    *result = v;
    return any;
}

static void read_value(Reader *r, Span at, const Field *f, const char *text, void *base)
{
    void *target = (char *)base + f->offset;
    const char *p = text;
    uint64_t num = 0, den = 1;
    bool good = parse_number(&p, &num);
    if (good && f->kind == FIELD_FRACTION && *p == '/') {
        p++;
        good = parse_number(&p, &den);
    }
    if (!good || *p != '\0') {
        diag_error(r->d, at, "%s of %s must be %s, not '%.40s'", f->attribute, f->element,
                   f->kind == FIELD_FRACTION ? "a number n or a fraction n/d" : "a whole number",
                   text);
        return;
    }
    uint64_t value = num;
    if (f->kind == FIELD_FRACTION) {
        if (num == 0 || den == 0 || num > MAX_PART || den > MAX_PART) {
            diag_error(r->d, at, "%s of %s is '%.40s'; both parts of a fraction lie in 1 .. %d",
                       f->attribute, f->element, text, MAX_PART);
            return;
        }
        value = (num + den - 1) / den;
    }
    if (value < f->min || value > f->max) {
        diag_error(r->d, at, "%s of %s is %.40s, outside of %llu .. %llu", f->attribute, f->element,
                   text, (unsigned long long)f->min, (unsigned long long)f->max);
        return;
    }
    switch (f->kind) {
    case FIELD_U32:
        *(uint32_t *)target = (uint32_t)value;
        break;
    case FIELD_U64:
        *(uint64_t *)target = value;
        break;
    case FIELD_FRACTION:
        *(Fraction *)target = (Fraction){(uint32_t)num, (uint32_t)den};
        break;
    }
}

/* All attributes of one element: those of the table and up to two named `more`, which the
 * caller reads. */
static void read_attributes(Reader *r, xmlNode *node, uint32_t tag, const Field *table, size_t n,
                            const char *const *more, size_t n_more, void *base)
{
    const char *element = (const char *)node->name;
    const char *known[16];
    bool seen[16] = {false};
    const Field *field[16];
    size_t n_known = 0;
    for (size_t i = 0; i < n_more; i++) {
        field[n_known] = NULL;
        known[n_known++] = more[i];
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(table[i].element, element) == 0 && n_known < COUNT(known)) {
            field[n_known] = &table[i];
            known[n_known++] = table[i].attribute;
        }
    }
    for (xmlAttr *a = node->properties; a; a = a->next) {
        const char *name = (const char *)a->name;
        Span at = attribute_span(r, tag, name);
        size_t k = 0;
        while (k < n_known && strcmp(known[k], name) != 0)
            k++;
        if (k == n_known) {
            unknown(r, at, "attribute", name, known, n_known);
            continue;
        }
        seen[k] = true;
        if (field[k]) {
            xmlChar *value = xmlNodeGetContent((xmlNode *)a);
            read_value(r, at, field[k], value ? (const char *)value : "", base);
            xmlFree(value);
        }
    }
    for (size_t k = 0; k < n_known; k++)
        if (!seen[k])
            diag_error(r->d, tag_span(r, tag), "%s lacks the attribute '%s'", element, known[k]);
}

/* Index of the attribute's value among `known`, or n after a report. */
static size_t read_choice(Reader *r, xmlNode *node, uint32_t tag, const char *attribute,
                          const char *const *known, size_t n)
{
    xmlChar *value = xmlGetProp(node, (const xmlChar *)attribute);
    if (!value)
        return n;
    size_t k = 0;
    while (k < n && strcmp(known[k], (const char *)value) != 0)
        k++;
    if (k == n)
        unknown(r, attribute_span(r, tag, attribute), attribute, (const char *)value, known, n);
    xmlFree(value);
    return k;
}

static void read_ops(Reader *r, xmlNode *timing, uint32_t timing_tag, Machine *m)
{
    static const char *const keys[] = {"class", "type"};
    static const char *const child[] = {"op"};
    bool seen[COST_COUNT][DT_COUNT] = {{false}};
    for (xmlNode *node = timing->children; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        uint32_t tag = next_tag(r);
        if (strcmp((const char *)node->name, "op") != 0) {
            unknown(r, tag_span(r, tag), "element", (const char *)node->name, child, 1);
            continue;
        }
        OpCost cost = {{1, 1}, {1, 1}};
        read_attributes(r, node, tag, op_fields, COUNT(op_fields), keys, COUNT(keys), &cost);
        size_t c = read_choice(r, node, tag, "class", cost_names, COST_COUNT);
        size_t t = read_choice(r, node, tag, "type", dtype_names, DT_COUNT);
        if (c == COST_COUNT || t == DT_COUNT)
            continue;
        if (cost.conflict.num < cost.conflict.den)
            diag_error(r->d, attribute_span(r, tag, "conflict"),
                       "conflict of op is below 1: it is a factor on the duration");
        if (seen[c][t])
            diag_error(r->d, tag_span(r, tag), "%s %s is given twice", cost_names[c],
                       dtype_names[t]);
        seen[c][t] = true;
        m->cost[c][t] = cost;
    }
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
        diag_error(r->d, tag_span(r, timing_tag), "timing lacks an <op> each for: %s",
                   missing.data);
    text_free(&missing);
}

static void check_ranges(Reader *r, const uint32_t tag[COUNT(elements)], const Machine *m)
{
    if (m->reserve_bytes >= m->sram_bytes)
        diag_error(r->d, attribute_span(r, tag[1], "reserve"),
                   "the reserve of %u bytes leaves nothing of %u", m->reserve_bytes, m->sram_bytes);
    if (m->reserved_colors >= m->colors)
        diag_error(r->d, attribute_span(r, tag[3], "reserved-colors"),
                   "%u reserved colors leave none of %u", m->reserved_colors, m->colors);
    if (m->ports_west > m->height || m->ports_east > m->height)
        diag_error(
            r->d,
            attribute_span(r, tag[4], m->ports_west > m->height ? "ports-west" : "ports-east"),
            "%u ports on one side of %u rows: there is one port a row at most",
            m->ports_west > m->height ? m->ports_west : m->ports_east, m->height);
    if (m->ports_west + m->ports_east < 2)
        diag_error(r->d, tag_span(r, tag[4]),
                   "a network needs 2 ports at least, one for input and one for output");
}

static void read_machine(Reader *r, xmlNode *root, Machine *m)
{
    static const char *const root_name[] = {"machine"}, *const root_attribute[] = {"name"};
    uint32_t root_tag = next_tag(r);
    if (strcmp((const char *)root->name, "machine") != 0) {
        unknown(r, tag_span(r, root_tag), "element", (const char *)root->name, root_name, 1);
        return;
    }
    read_attributes(r, root, root_tag, fields, COUNT(fields), root_attribute, 1, m);
    xmlChar *name = xmlGetProp(root, (const xmlChar *)"name");
    size_t len = name ? strlen((const char *)name) : 0;
    if (name && (len == 0 || len >= MACHINE_NAME))
        diag_error(r->d, attribute_span(r, root_tag, "name"), "the name has %zu bytes, not 1 .. %d",
                   len, MACHINE_NAME - 1);
    else if (name)
        memcpy(m->name, name, len + 1);
    xmlFree(name);

    uint32_t tags[COUNT(elements)];
    bool seen[COUNT(elements)] = {false};
    for (xmlNode *node = root->children; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        uint32_t tag = next_tag(r);
        size_t k = 0;
        while (k < COUNT(elements) && strcmp(elements[k], (const char *)node->name) != 0)
            k++;
        if (k == COUNT(elements)) {
            unknown(r, tag_span(r, tag), "element", (const char *)node->name, elements,
                    COUNT(elements));
            for (xmlNode *c = node->children; c; c = c->next)
                if (c->type == XML_ELEMENT_NODE)
                    next_tag(r);
            continue;
        }
        if (seen[k])
            diag_error(r->d, tag_span(r, tag), "%s is given twice", elements[k]);
        seen[k] = true;
        tags[k] = tag;
        read_attributes(r, node, tag, fields, COUNT(fields), NULL, 0, m);
        if (strcmp(elements[k], "timing") == 0)
            read_ops(r, node, tag, m);
    }
    for (size_t k = 0; k < COUNT(elements); k++)
        if (!seen[k])
            diag_error(r->d, tag_span(r, root_tag), "machine lacks the element '%s'", elements[k]);
    if (r->d->n_errors == r->before)
        check_ranges(r, tags, m);
}

static Span line_span(const Reader *r, int line)
{
    const char *p = r->text, *end = r->text + r->len;
    for (int i = 1; i < line && p < end; i++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        if (!nl)
            break;
        p = nl + 1;
    }
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    const char *stop = memchr(p, '\n', (size_t)(end - p));
    return (Span){r->file, (uint32_t)(p - r->text), (uint32_t)((stop ? stop : end) - r->text)};
}

static void xml_message(Reader *r, const xmlError *e)
{
    char line[200];
    size_t n = 0;
    for (const char *p = e->message ? e->message : "unreadable"; *p && n + 1 < sizeof line; p++)
        line[n++] = *p == '\n' ? ' ' : *p;
    while (n && (line[n - 1] == ' ' || line[n - 1] == '.'))
        n--;
    line[n] = '\0';
    diag_error(r->d, line_span(r, e->line), "XML: %s", line);
}

/* libxml2's structured error callback; newer releases pass a pointer to const. */
#if LIBXML_VERSION >= 21200
static void on_schema_error(void *data, const xmlError *e)
#else
static void on_schema_error(void *data, xmlError *e)
#endif
{
    xml_message(data, e);
}

static const MachineFile *find_file(const char *name, const char *suffix)
{
    size_t n = strlen(name);
    for (const MachineFile *f = machine_files; f->name; f++)
        if (strncmp(f->name, name, n) == 0 && strcmp(f->name + n, suffix) == 0)
            return f;
    return NULL;
}

static void validate(Reader *r, xmlDoc *doc)
{
    const MachineFile *xsd = find_file("machine", ".xsd");
    xmlSchemaParserCtxt *pc = xmlSchemaNewMemParserCtxt(xsd->text, (int)xsd->len);
    xmlSchema *schema = pc ? xmlSchemaParse(pc) : NULL;
    xmlSchemaValidCtxt *vc = schema ? xmlSchemaNewValidCtxt(schema) : NULL;
    if (vc) {
        xmlSchemaSetValidStructuredErrors(vc, on_schema_error, r);
        if (xmlSchemaValidateDoc(vc, doc) != 0 && r->d->n_errors == r->before)
            diag_error(r->d, line_span(r, 1), "does not follow machine.xsd");
    } else {
        diag_internal(r->d, (Span){0, 0, 0}, "machine.xsd does not parse");
    }
    xmlSchemaFreeValidCtxt(vc);
    xmlSchemaFree(schema);
    xmlSchemaFreeParserCtxt(pc);
}

/* A document type, outside of comments and the like, is where entities come from. */
static bool has_doctype(Reader *r)
{
    bool found = false;
    for (uint32_t at; !found && (at = next_tag(r)) < r->len;) {
        if (strncmp(r->text + at, "<!", 2) == 0) {
            diag_error(r->d, (Span){r->file, at, at + 2},
                       "a document type and entities are not allowed here");
            found = true;
        }
    }
    r->at = 0;
    return found;
}

static bool parse_machine(Diag *d, const char *name, const char *text, size_t len, Machine *result)
{
    Reader r = {.d = d, .text = text, .len = (uint32_t)len, .before = d->n_errors};
    r.file = diag_add_source(d, name, text, len);
    if (memchr(text, '\0', len))
        return diag_error(d, (Span){r.file, 0, 0}, "not a machine description: it holds NUL bytes");
    if (has_doctype(&r))
        return false;
    xmlParserCtxt *ctxt = xmlNewParserCtxt();
    if (!ctxt)
        return diag_internal(d, (Span){0, 0, 0}, "libxml2 has no parser");
    xmlDoc *doc = xmlCtxtReadMemory(ctxt, text, (int)len, NULL, NULL,
                                    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                        XML_PARSE_NOCDATA);
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    if (!root) {
        const xmlError *e = xmlCtxtGetLastError(ctxt);
        if (e)
            xml_message(&r, e);
        else
            diag_error(d, (Span){r.file, 0, 0}, "holds no element");
    } else {
        memset(result, 0, sizeof *result);
        read_machine(&r, root, result);
        if (d->n_errors == r.before)
            validate(&r, doc);
    }
    xmlFreeDoc(doc);
    xmlFreeParserCtxt(ctxt);
    return d->n_errors == r.before;
}

bool machine_load(Diag *d, const char *name_or_file, Machine *result)
{
    const MachineFile *preset = find_file(name_or_file, ".xml");
    if (preset)
        return parse_machine(d, preset->name, preset->text, preset->len, result);
    size_t len = strlen(name_or_file);
    bool path = strchr(name_or_file, '/') || strcmp(name_or_file, "-") == 0 ||
                (len > 4 && strcmp(name_or_file + len - 4, ".xml") == 0);
    if (!path) {
        const char *known[16] = {NULL};
        size_t n = 0;
        Arena a = {0};
        for (const MachineFile *f = machine_files; f->name && n < COUNT(known); f++) {
            size_t end = strlen(f->name);
            if (end > 4 && strcmp(f->name + end - 4, ".xml") == 0)
                known[n++] = arena_strdup(&a, f->name, end - 4);
        }
        const char *near = text_nearest(name_or_file, known, n);
        Text list = {0};
        for (size_t i = 0; i < n; i++)
            text_printf(&list, "%s%s", i ? ", " : "", known[i]);
        if (near)
            diag_error(d, (Span){0, 0, 0}, "unknown machine '%s', did you mean '%s'?", name_or_file,
                       near);
        else
            diag_error(d, (Span){0, 0, 0}, "unknown machine '%s'", name_or_file);
        diag_note(d, (Span){0, 0, 0}, "known are %s, or a file ending in .xml", list.data);
        text_free(&list);
        arena_free(&a);
        return false;
    }
    Bytes file;
    if (!io_read(d, name_or_file, MACHINE_FILE_LIMIT, &file))
        return false;
    /* The scanner wants a NUL behind the text. */
    Arena a = {0};
    char *text = arena_strdup(&a, (const char *)file.data, file.len);
    bool good = parse_machine(d, name_or_file, text, file.len, result);
    bytes_free(&file);
    arena_free(&a);
    return good;
}

void machine_list(FILE *out)
{
    for (const MachineFile *f = machine_files; f->name; f++) {
        Diag d;
        Machine m;
        size_t end = strlen(f->name);
        if (end < 4 || strcmp(f->name + end - 4, ".xml") != 0)
            continue;
        diag_init(&d, "wsec");
        if (parse_machine(&d, f->name, f->text, f->len, &m))
            fprintf(out, "%-12s %u x %u cores of %u KB at %llu MHz, %u + %u host ports\n", m.name,
                    m.width, m.height, m.sram_bytes / 1024,
                    (unsigned long long)(m.clock_hz / 1000000), m.ports_west, m.ports_east);
        diag_finish(&d);
    }
}
