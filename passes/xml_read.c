// SPDX-License-Identifier: Apache-2.0
// XML of the user's, read with every message at its place.
//
// libxml2 keeps lines, not columns. As document types are refused before it sees the text (no
// entities) and the text is taken as UTF-8 whatever it declares (no second reading of the
// bytes), tags stand in the text in the order of the tree: a scanner over the text gives each
// element its place, which is kept in the node. Namespaces are refused too; the schema language
// would follow an attribute of theirs to other files. Linear in the text, but for the attributes
// of one tag.
#include "passes/xml_read.h"

#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/io.h"
#include "ir/support/text.h"
#include "runtime/format/machine.h"

enum { MAX_PART = 1000000 }; // of a fraction

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static bool name_end(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '>' || c == '/' || c == '\0';
}

// Behind the ">" of the tag at `begin`. A quoted ">" or "<" inside the tag cannot end it.
static uint32_t tag_end(const XmlReader *r, uint32_t begin)
{
    uint32_t end = begin + 1;
    for (char quote = 0; end < r->len && (quote || r->text[end] != '>'); end++) {
        char c = r->text[end];
        if (quote ? c == quote : (c == '"' || c == '\''))
            quote = quote ? 0 : c;
    }
    return end < r->len ? end + 1 : end;
}

// The first "<" at or behind `at` that begins markup other than comments, instructions and end
// tags; r->len if there is none.
static uint32_t next_tag(const XmlReader *r, uint32_t at)
{
    static const char *const skip[][2] = {
        {"<!--", "-->"}, {"<?", "?>"}, {"<![CDATA[", "]]>"}, {"</", ">"}};
    while (at < r->len) {
        const char *lt = memchr(r->text + at, '<', r->len - at);
        if (!lt)
            break;
        size_t i = 0;
        while (i < COUNT(skip) && strncmp(lt, skip[i][0], strlen(skip[i][0])) != 0)
            i++;
        if (i == COUNT(skip))
            return (uint32_t)(lt - r->text);
        const char *end = strstr(lt + strlen(skip[i][0]), skip[i][1]);
        at = end ? (uint32_t)(end - r->text) + (uint32_t)strlen(skip[i][1]) : r->len;
    }
    return r->len;
}

static Span name_span(const XmlReader *r, uint32_t begin)
{
    uint32_t end = begin + 1;
    while (end < r->len && !name_end(r->text[end]))
        end++;
    return (Span){r->file, begin, end};
}

static uint32_t place(const xmlNode *node)
{
    return (uint32_t)(uintptr_t)node->_private;
}

Span xml_tag(const XmlReader *r, const xmlNode *node)
{
    return name_span(r, place(node));
}

Span xml_whole(const XmlReader *r, const xmlNode *node)
{
    return (Span){r->file, place(node), tag_end(r, place(node))};
}

// The tag's name where the attribute is not found.
Span xml_attribute(const XmlReader *r, const xmlNode *node, const char *name)
{
    Span tag = xml_tag(r, node);
    uint32_t stop = tag_end(r, tag.begin);
    char quote = 0;
    for (uint32_t at = tag.end; at < stop; at++) {
        char c = r->text[at];
        if (quote ? c == quote : (c == '"' || c == '\'')) {
            quote = quote ? 0 : c;
        } else if (!quote && name_end(r->text[at - 1]) && !name_end(c)) {
            uint32_t end = at;
            while (end < stop && !name_end(r->text[end]) && r->text[end] != '=')
                end++;
            if (end - at == strlen(name) && memcmp(r->text + at, name, end - at) == 0)
                return (Span){r->file, at, end};
        }
    }
    return tag;
}

static void unknown(XmlReader *r, Span at, const char *what, const char *word,
                    const char *const *known, size_t n)
{
    const char *near = text_nearest(word, known, n);
    if (near)
        diag_error(r->d, at, "unknown %s '%.64s', did you mean '%s'?", what, word, near);
    else
        diag_error(r->d, at, "unknown %s '%.64s'", what, word);
    Text list = {0};
    for (size_t i = 0; i < n; i++)
        text_printf(&list, "%s%s", i ? ", " : "", known[i]);
    if (!near)
        diag_note(r->d, at, "known are: %s", list.data ? list.data : "none");
    text_free(&list);
}

// Digits only, no sign, no blanks; false if none, or above 2^53.
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

static void read_number(XmlReader *r, Span at, const XmlField *f, const char *text, void *target)
{
    const char *p = text;
    uint64_t num = 0, den = 1;
    bool good = parse_number(&p, &num);
    if (good && f->kind == XML_FRACTION && *p == '/') {
        p++;
        good = parse_number(&p, &den);
    }
    if (!good || *p != '\0') {
        diag_error(r->d, at, "%s of %s must be %s, not '%.40s'", f->attribute, f->element,
                   f->kind == XML_FRACTION ? "a number n or a fraction n/d" : "a whole number",
                   text);
        return;
    }
    uint64_t value = num;
    if (f->kind == XML_FRACTION) {
        if (num == 0 || den == 0 || num > MAX_PART || den > MAX_PART) {
            diag_error(r->d, at, "%s of %s is '%.40s'; both parts of a fraction lie in 1 .. %d",
                       f->attribute, f->element, text, MAX_PART);
            return;
        }
        value = (num + den - 1) / den;
    }
    if (value < f->min || value > f->max)
        diag_error(r->d, at, "%s of %s is %.40s, outside of %llu .. %llu", f->attribute, f->element,
                   text, (unsigned long long)f->min, (unsigned long long)f->max);
    else if (f->kind == XML_U32)
        *(uint32_t *)target = (uint32_t)value;
    else if (f->kind == XML_U64)
        *(uint64_t *)target = value;
    else
        *(Fraction *)target = (Fraction){(uint32_t)num, (uint32_t)den};
}

static void read_value(XmlReader *r, Span at, const XmlField *f, const char *text, void *base)
{
    void *target = (char *)base + f->offset;
    size_t len = strlen(text);
    switch (f->kind) {
    case XML_U32:
    case XML_U64:
    case XML_FRACTION:
        read_number(r, at, f, text, target);
        break;
    case XML_BOOL:
        if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
            *(bool *)target = true;
        else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
            *(bool *)target = false;
        else
            diag_error(r->d, at, "%s of %s must be true or false, not '%.40s'", f->attribute,
                       f->element, text);
        break;
    case XML_TEXT:
        if (len < f->min || len > f->max)
            diag_error(r->d, at, "the %s of %s has %zu bytes, not %llu .. %llu", f->attribute,
                       f->element, len, (unsigned long long)f->min, (unsigned long long)f->max);
        else
            *(const char **)target = arena_strdup(r->arena, text, len);
        break;
    case XML_OTHER:
        break;
    }
}

uint64_t xml_attributes(XmlReader *r, const xmlNode *node, const XmlField *fields, size_t n,
                        void *base)
{
    const char *known[XML_MAX_FIELDS];
    size_t field[XML_MAX_FIELDS], n_known = 0;
    uint64_t seen = 0;
    for (size_t i = 0; i < n && i < XML_MAX_FIELDS; i++) {
        if (strcmp(fields[i].element, (const char *)node->name) == 0) {
            field[n_known] = i;
            known[n_known++] = fields[i].attribute;
        }
    }
    for (xmlAttr *a = node->properties; a; a = a->next) {
        const char *name = (const char *)a->name;
        Span at = xml_attribute(r, node, name);
        size_t k = 0;
        while (k < n_known && strcmp(known[k], name) != 0)
            k++;
        if (k == n_known) {
            unknown(r, at, "attribute", name, known, n_known);
            continue;
        }
        seen |= (uint64_t)1 << field[k];
        xmlChar *value = xmlNodeGetContent((xmlNode *)a);
        read_value(r, at, &fields[field[k]], value ? (const char *)value : "", base);
        xmlFree(value);
    }
    for (size_t k = 0; k < n_known; k++)
        if (!fields[field[k]].optional && !(seen >> field[k] & 1))
            diag_error(r->d, xml_tag(r, node), "%s lacks the attribute '%s'", node->name, known[k]);
    return seen;
}

static size_t find(const char *word, const char *const *known, size_t n)
{
    size_t k = 0;
    while (k < n && strcmp(known[k], word) != 0)
        k++;
    return k;
}

size_t xml_choice(XmlReader *r, const xmlNode *node, const char *attribute,
                  const char *const *known, size_t n)
{
    xmlChar *value = xmlGetProp((xmlNode *)node, (const xmlChar *)attribute);
    if (!value)
        return n;
    size_t k = find((const char *)value, known, n);
    if (k == n)
        unknown(r, xml_attribute(r, node, attribute), attribute, (const char *)value, known, n);
    xmlFree(value);
    return k;
}

size_t xml_element(XmlReader *r, const xmlNode *node, const char *const *known, size_t n)
{
    size_t k = find((const char *)node->name, known, n);
    if (k == n)
        unknown(r, xml_tag(r, node), "element", (const char *)node->name, known, n);
    return k;
}

static int compare_names(const void *p, const void *q)
{
    const XmlName *a = p, *b = q;
    int order = strcmp(a->name, b->name);
    return order ? order : (a->at.begin > b->at.begin) - (a->at.begin < b->at.begin);
}

static int compare_places(const void *p, const void *q)
{
    const XmlName *a = p, *b = q;
    return (a->at.begin > b->at.begin) - (a->at.begin < b->at.begin);
}

void xml_unique(XmlReader *r, const char *what, XmlName *names, size_t n)
{
    size_t n_twice = 0;
    if (n == 0)
        return;
    qsort(names, n, sizeof *names, compare_names);
    XmlName *twice = arena_array(r->arena, XmlName, n);
    for (size_t i = 1; i < n; i++)
        if (strcmp(names[i].name, names[i - 1].name) == 0)
            twice[n_twice++] = names[i];
    qsort(twice, n_twice, sizeof *twice, compare_places);
    for (size_t i = 0; i < n_twice; i++)
        diag_error(r->d, twice[i].at, "%s '%.64s' is given twice", what, twice[i].name);
}

static Span line_span(const XmlReader *r, int line)
{
    const Source *source = &r->d->sources[r->file - 1];
    uint32_t k = line < 1 ? 0 : (uint32_t)line - 1;
    uint32_t at = source->line_begin[k < source->n_lines ? k : source->n_lines - 1];
    while (at < r->len && (r->text[at] == ' ' || r->text[at] == '\t'))
        at++;
    uint32_t end = at;
    while (end < r->len && r->text[end] != '\n')
        end++;
    return (Span){r->file, at, end};
}

static void xml_message(XmlReader *r, const xmlError *e)
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

// libxml2's structured error callbacks; newer releases pass a pointer to const.
#if LIBXML_VERSION >= 21200
#define XML_ERROR const xmlError
#else
#define XML_ERROR xmlError
#endif
static void on_schema_error(void *data, XML_ERROR *e)
{
    xml_message(data, e);
}

// What follows the parser's first error is its consequence.
static void on_parser_error(void *data, XML_ERROR *e)
{
    XmlReader *r = ((xmlParserCtxt *)data)->_private;
    if (r->d->n_errors == r->before && e->level >= XML_ERR_ERROR)
        xml_message(r, e);
}

static void validate(XmlReader *r, xmlDoc *doc, const char *schema_name)
{
    const EmbeddedFile *xsd = embedded_find(schema_name, "");
    xmlSchemaParserCtxt *pc = xsd ? xmlSchemaNewMemParserCtxt(xsd->text, (int)xsd->len) : NULL;
    xmlSchema *schema = pc ? xmlSchemaParse(pc) : NULL;
    xmlSchemaValidCtxt *vc = schema ? xmlSchemaNewValidCtxt(schema) : NULL;
    if (vc) {
        xmlSchemaSetValidStructuredErrors(vc, on_schema_error, r);
        if (xmlSchemaValidateDoc(vc, doc) != 0 && r->d->n_errors == r->before)
            diag_error(r->d, line_span(r, 1), "does not follow %s", schema_name);
    } else {
        diag_internal(r->d, (Span){0, 0, 0}, "%s does not parse", schema_name);
    }
    xmlSchemaFreeValidCtxt(vc);
    xmlSchemaFree(schema);
    xmlSchemaFreeParserCtxt(pc);
}

// What libxml2 is not to see: a document type, outside of comments and the like, is where
// entities come from; it compares all attributes of a tag with each other.
static bool harmless(XmlReader *r)
{
    for (uint32_t at = 0, end; (at = next_tag(r, at)) < r->len; at = end) {
        end = tag_end(r, at);
        if (strncmp(r->text + at, "<!", 2) == 0)
            return diag_error(r->d, (Span){r->file, at, at + 2},
                              "a document type and entities are not allowed here");
        uint32_t n = 0;
        char quote = 0;
        for (uint32_t i = at; i < end; i++) {
            char c = r->text[i];
            if (quote ? c == quote : (c == '"' || c == '\''))
                quote = quote ? 0 : c;
            n += !quote && c == '=';
        }
        if (n > XML_MAX_FIELDS)
            return diag_error(r->d, name_span(r, at), "more than %d attributes", XML_MAX_FIELDS);
    }
    return true;
}

static xmlNode *next_element(xmlNode *node)
{
    if (node->type == XML_ELEMENT_NODE && node->children)
        return node->children;
    while (node && !node->next)
        node = node->parent && node->parent->type == XML_ELEMENT_NODE ? node->parent : NULL;
    return node ? node->next : NULL;
}

// Gives every element its place in the text.
static bool locate(XmlReader *r, xmlNode *root)
{
    uint32_t at = 0;
    for (xmlNode *node = root; node; node = next_element(node)) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        at = next_tag(r, at);
        size_t len = strlen((const char *)node->name);
        const xmlAttr *a = node->properties;
        while (a && !a->ns)
            a = a->next;
        Span name = name_span(r, at);
        if (node->ns || node->nsDef || a)
            return diag_error(r->d, name, "namespaces are not used here");
        if (name.end - name.begin != len + 1 || memcmp(r->text + at + 1, node->name, len) != 0)
            return diag_error(r->d, name, "this is not read as '%.64s', as XML has it", node->name);
        node->_private = (void *)(uintptr_t)at;
        at = tag_end(r, at);
    }
    return true;
}

static void read_tree(XmlReader *r, const XmlDocument *kind, xmlDoc *doc, void *result)
{
    xmlNode *root = xmlDocGetRootElement(doc);
    if (!locate(r, root) || xml_element(r, root, &kind->root, 1) != 0)
        return;
    kind->read(r, root, result);
    if (r->d->n_errors == r->before)
        validate(r, doc, kind->schema);
}

bool xml_read_text(Diag *d, Arena *a, const XmlDocument *kind, const char *name, const char *text,
                   size_t len, void *result)
{
    XmlReader r = {.d = d, .arena = a, .before = d->n_errors};
    if (len > kind->limit)
        return diag_error(d, (Span){0, 0, 0}, "'%s' has %zu bytes; at most %zu are read", name, len,
                          kind->limit);
    r.file = diag_add_source(d, name, text, len);
    r.text = d->sources[r.file - 1].text;
    r.len = (uint32_t)len;
    if (memchr(text, '\0', len))
        return diag_error(d, (Span){r.file, 0, 0}, "not XML: it holds NUL bytes");
    if (!harmless(&r))
        return false;
    xmlParserCtxt *ctxt = xmlNewParserCtxt();
    if (!ctxt)
        return diag_internal(d, (Span){0, 0, 0}, "libxml2 has no parser");
    ctxt->_private = &r;
    ctxt->sax->serror = on_parser_error;
    xmlDoc *doc = xmlCtxtReadMemory(ctxt, r.text, (int)len, NULL, "UTF-8",
                                    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                        XML_PARSE_NOCDATA | XML_PARSE_IGNORE_ENC);
    if (d->n_errors == r.before && doc && xmlDocGetRootElement(doc))
        read_tree(&r, kind, doc, result);
    else if (d->n_errors == r.before)
        diag_error(d, (Span){r.file, 0, 0}, "holds no element");
    xmlFreeDoc(doc);
    xmlFreeParserCtxt(ctxt);
    return d->n_errors == r.before;
}

bool xml_read_file(Diag *d, Arena *a, const XmlDocument *kind, const char *path, void *result)
{
    Bytes file;
    if (!io_read(d, path, kind->limit, &file))
        return false;
    bool good = xml_read_text(d, a, kind, path, (const char *)file.data, file.len, result);
    bytes_free(&file);
    return good;
}

const EmbeddedFile *embedded_find(const char *name, const char *suffix)
{
    size_t n = strlen(name);
    for (const EmbeddedFile *f = embedded_files; f->name; f++)
        if (strncmp(f->name, name, n) == 0 && strcmp(f->name + n, suffix) == 0)
            return f;
    return NULL;
}
