/* SPDX-License-Identifier: Apache-2.0 */
/* passes/placement_xml.c - the placement as XML for other tools (placement.xsd). */
#include <inttypes.h>
#include <libxml/xmlwriter.h>

#include "ir/support/io.h"
#include "passes/planner.h"

static void attribute(xmlTextWriter *w, const char *name, const char *value)
{
    xmlTextWriterWriteAttribute(w, (const xmlChar *)name, (const xmlChar *)value);
}

static void number(xmlTextWriter *w, const char *name, uint64_t value)
{
    xmlTextWriterWriteFormatAttribute(w, (const xmlChar *)name, "%" PRIu64, value);
}

/* A list of numbers, one a lane. */
static void list(xmlTextWriter *w, const char *name, const uint32_t *v, uint32_t n)
{
    Text t = {0};
    for (uint32_t i = 0; i < n; i++)
        text_printf(&t, "%s%u", i ? " " : "", v[i]);
    attribute(w, name, t.data ? t.data : "");
    text_free(&t);
}

static void write_kernel(xmlTextWriter *w, Arena *a, const Kernel *k)
{
    uint32_t width, height;
    plan_extent(k, &width, &height);
    xmlTextWriterStartElement(w, (const xmlChar *)"kernel");
    number(w, "id", k->id);
    attribute(w, "name", xml_safe(a, k->name));
    attribute(w, "kind", kernel_kind_text(k->kind));
    number(w, "x", k->x);
    number(w, "y", k->y);
    number(w, "w", width);
    number(w, "h", height);
    number(w, "turn", k->turn);
    attribute(w, "mirror", k->mirror ? "true" : "false");
    number(w, "lanes-in", k->shape.lanes_in);
    number(w, "lanes-out", k->shape.lanes_out);
    number(w, "split", k->shape.split);
    number(w, "cycles", k->shape.cycles);
    number(w, "bytes", k->shape.bytes);
    for (uint32_t i = 0; k->anchor && i <= k->n_steps; i++) {
        const Node *n = i ? k->steps[i - 1] : k->anchor;
        xmlTextWriterStartElement(w, (const xmlChar *)"operator");
        attribute(w, "op", op_info[n->op].text);
        if (n->name)
            attribute(w, "name", xml_safe(a, n->name));
        xmlTextWriterEndElement(w);
    }
    xmlTextWriterEndElement(w);
}

static void write_stream(xmlTextWriter *w, Arena *a, const Stream *s)
{
    static const char *const sides[] = {"N", "E", "S", "W"};
    uint32_t lanes = s->protocol.lanes;
    xmlTextWriterStartElement(w, (const xmlChar *)"stream");
    number(w, "id", s->id);
    attribute(w, "name", xml_safe(a, s->name));
    if (s->from != PLAN_HOST)
        number(w, "from", (uint64_t)s->from);
    if (s->to != PLAN_HOST)
        number(w, "to", (uint64_t)s->to);
    number(w, "lanes", lanes);
    number(w, "color", s->color);
    number(w, "messages", protocol_messages(&s->protocol));
    number(w, "words", protocol_words(&s->protocol));
    number(w, "slots", s->slots);
    if (s->port_y) {
        xmlTextWriterStartElement(w, (const xmlChar *)"ports");
        attribute(w, "side", sides[s->port_side]);
        list(w, "y", s->port_y, lanes);
        xmlTextWriterEndElement(w);
    }
    xmlTextWriterStartElement(w, (const xmlChar *)"start");
    list(w, "x", s->start_x, lanes);
    list(w, "y", s->start_y, lanes);
    xmlTextWriterEndElement(w);
    for (uint32_t i = 0; i < s->n_segments; i++) {
        xmlTextWriterStartElement(w, (const xmlChar *)"segment");
        attribute(w, "side", sides[s->segments[i].side]);
        list(w, "to", s->segments[i].to, lanes);
        xmlTextWriterEndElement(w);
    }
    xmlTextWriterEndElement(w);
}

bool placement_xml_write(Diag *d, const Plan *p, const char *path)
{
    Arena a = {0};
    xmlBuffer *buffer = xmlBufferCreate();
    xmlTextWriter *w = buffer ? xmlNewTextWriterMemory(buffer, 0) : NULL;
    if (!w) {
        xmlBufferFree(buffer);
        return diag_internal(d, (Span){0, 0, 0}, "libxml2 has no writer");
    }
    xmlTextWriterSetIndent(w, 1);
    xmlTextWriterSetIndentString(w, (const xmlChar *)"  ");
    xmlTextWriterStartDocument(w, NULL, "UTF-8", NULL);
    xmlTextWriterStartElement(w, (const xmlChar *)"placement");
    attribute(w, "model", xml_safe(&a, p->graph->name));
    attribute(w, "machine", p->machine->name);
    number(w, "width", p->machine->width);
    number(w, "height", p->machine->height);
    number(w, "cycles", plan_target(p));
    for (size_t i = 0; i < p->kernels.n; i++)
        write_kernel(w, &a, p->kernels.data[i]);
    for (size_t i = 0; i < p->streams.n; i++)
        write_stream(w, &a, p->streams.data[i]);
    bool good = xmlTextWriterEndDocument(w) >= 0;
    xmlFreeTextWriter(w); /* flushes into the buffer */
    if (good)
        good = io_write(d, path, xmlBufferContent(buffer), (size_t)xmlBufferLength(buffer));
    else
        diag_internal(d, (Span){0, 0, 0}, "the placement could not be written as XML");
    xmlBufferFree(buffer);
    arena_free(&a);
    return good;
}
