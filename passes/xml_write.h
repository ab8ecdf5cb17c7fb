/* SPDX-License-Identifier: Apache-2.0 */
/* passes/xml_write.h - XML files that wsec writes: placements, routings. */
#ifndef WSEC_PASSES_XML_WRITE_H
#define WSEC_PASSES_XML_WRITE_H

#include <libxml/xmlwriter.h>

#include "ir/plan.h"

typedef struct XmlFile {
    xmlTextWriter *w;
    xmlBuffer *buffer;
} XmlFile;

void xml_put(xmlTextWriter *w, const char *name, const char *value);
void xml_put_number(xmlTextWriter *w, const char *name, uint64_t value);
/* What every list of streams says of one: id, name, ends, what it is a branch of, color, lanes. */
void xml_put_stream(xmlTextWriter *w, Arena *a, const Stream *s);
/* Begins a document about a plan: its root element with model, machine, width and height. */
bool xml_file_begin(XmlFile *f, Diag *d, Arena *a, const char *root, const Plan *p);
/* Ends it and writes the file. */
bool xml_file_end(XmlFile *f, Diag *d, const char *root, const char *path);

#endif
