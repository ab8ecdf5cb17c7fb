/* SPDX-License-Identifier: Apache-2.0 */
/* passes/embedded.h - machines and schemas, compiled in (embed.cmake). */
#ifndef WSEC_PASSES_EMBEDDED_H
#define WSEC_PASSES_EMBEDDED_H

#include <stddef.h>

typedef struct EmbeddedFile {
    const char *name; /* "wse2.xml", "machine.xsd"; NULL ends the table */
    const char *text;
    size_t len;
} EmbeddedFile;

extern const EmbeddedFile embedded_files[];

/* The file of that name and suffix, or NULL. */
const EmbeddedFile *embedded_find(const char *name, const char *suffix);

#endif
