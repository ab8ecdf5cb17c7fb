/* SPDX-License-Identifier: Apache-2.0 */
/* passes/xml_read.h - XML files of the user's: machines, constraints, placements, defects.
 *
 * A reader is a table of attributes per element and a function over the tree; what it finds
 * wrong is reported where it stands in the text, with the nearest known word, several errors a
 * run. The shipped schema then judges the same document as a second opinion. Document types and
 * namespaces are refused, so there is nothing to expand, nothing to fetch and no second schema. */
#ifndef WSEC_PASSES_XML_READ_H
#define WSEC_PASSES_XML_READ_H

#include <libxml/tree.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"
#include "passes/embedded.h"

typedef struct XmlReader {
    Diag *d;
    Arena *arena; /* of texts that are read */
    uint32_t file;
    const char *text; /* NUL behind it */
    uint32_t len;
    unsigned before; /* errors when reading began */
} XmlReader;

typedef enum XmlKind {
    XML_U32,
    XML_U64,
    XML_FRACTION, /* n or n/d */
    XML_BOOL,     /* true, false, 1, 0 */
    XML_TEXT,     /* const char *, of min .. max bytes */
    XML_OTHER,    /* the reader looks at it itself */
} XmlKind;

typedef struct XmlField {
    const char *element, *attribute;
    XmlKind kind;
    size_t offset;
    uint64_t min, max; /* of a fraction: of its value, rounded up */
    bool optional;
} XmlField;

enum { XML_MAX_FIELDS = 64 };

/* All attributes of one element by the lines of the table that name it. Returns the lines that
 * were given, a bit each. */
uint64_t xml_attributes(XmlReader *r, const xmlNode *node, const XmlField *fields, size_t n,
                        void *base);

/* Index of the attribute's value among `known`; n after a report, and if there is none. */
size_t xml_choice(XmlReader *r, const xmlNode *node, const char *attribute,
                  const char *const *known, size_t n);

/* Which of the known elements a node is; n after a report. */
size_t xml_element(XmlReader *r, const xmlNode *node, const char *const *known, size_t n);

Span xml_tag(const XmlReader *r, const xmlNode *node);   /* "<" and the name */
Span xml_whole(const XmlReader *r, const xmlNode *node); /* "<" to ">" */
Span xml_attribute(const XmlReader *r, const xmlNode *node, const char *name);

/* Reports every name that comes a second time: "pin of 'fc1' is given twice". */
typedef struct XmlName {
    const char *name;
    Span at;
} XmlName;
void xml_unique(XmlReader *r, const char *what, XmlName *names, size_t n);

/* A kind of document: the name of its root, its schema among the embedded files, and the
 * function that fills the result from the root and reports to the reader. */
typedef struct XmlDocument {
    const char *root, *schema;
    size_t limit; /* bytes of a file */
    void (*read)(XmlReader *r, xmlNode *root, void *result);
} XmlDocument;

/* False if anything was reported as an error. Texts in the result live in the arena. */
bool xml_read_text(Diag *d, Arena *a, const XmlDocument *kind, const char *name, const char *text,
                   size_t len, void *result);
bool xml_read_file(Diag *d, Arena *a, const XmlDocument *kind, const char *path, void *result);

#endif
