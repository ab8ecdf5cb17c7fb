/* SPDX-License-Identifier: Apache-2.0 */
/* passes/xml_write.c - documents are made in memory and written whole. */
#include "passes/xml_write.h"

#include <inttypes.h>

#include "ir/support/io.h"
#include "passes/planner.h"

void xml_put(xmlTextWriter *w, const char *name, const char *value)
{
    xmlTextWriterWriteAttribute(w, (const xmlChar *)name, (const xmlChar *)value);
}

void xml_put_number(xmlTextWriter *w, const char *name, uint64_t value)
{
    xmlTextWriterWriteFormatAttribute(w, (const xmlChar *)name, "%" PRIu64, value);
}

void xml_put_stream(xmlTextWriter *w, Arena *a, const Stream *s)
{
    xml_put_number(w, "id", s->id);
    xml_put(w, "name", xml_safe(a, s->name));
    if (s->from != PLAN_HOST)
        xml_put_number(w, "from", (uint64_t)s->from);
    if (s->to != PLAN_HOST)
        xml_put_number(w, "to", (uint64_t)s->to);
    if (s->trunk)
        xml_put_number(w, s->forks ? "forks" : "trunk", s->trunk->id);
    xml_put_number(w, "color", s->color);
    xml_put_number(w, "lanes", s->protocol.lanes);
}

bool xml_file_begin(XmlFile *f, Diag *d, Arena *a, const char *root, const Plan *p)
{
    f->buffer = xmlBufferCreate();
    f->w = f->buffer ? xmlNewTextWriterMemory(f->buffer, 0) : NULL;
    if (!f->w) {
        xmlBufferFree(f->buffer);
        return diag_internal(d, (Span){0, 0, 0}, "libxml2 has no writer");
    }
    xmlTextWriterSetIndent(f->w, 1);
    xmlTextWriterSetIndentString(f->w, (const xmlChar *)"  ");
    xmlTextWriterStartDocument(f->w, NULL, "UTF-8", NULL);
    xmlTextWriterStartElement(f->w, (const xmlChar *)root);
    xml_put(f->w, "model", xml_safe(a, p->graph->name));
    xml_put(f->w, "machine", p->machine->name);
    xml_put_number(f->w, "width", p->machine->width);
    xml_put_number(f->w, "height", p->machine->height);
    return true;
}

bool xml_file_end(XmlFile *f, Diag *d, const char *root, const char *path)
{
    bool good = xmlTextWriterEndDocument(f->w) >= 0;
    xmlFreeTextWriter(f->w); /* flushes into the buffer */
    if (good)
        good = io_write(d, path, xmlBufferContent(f->buffer), (size_t)xmlBufferLength(f->buffer));
    else
        diag_internal(d, (Span){0, 0, 0}, "the %s could not be written as XML", root);
    xmlBufferFree(f->buffer);
    return good;
}
