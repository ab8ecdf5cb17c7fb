/* SPDX-License-Identifier: Apache-2.0 */
/* passes/machine_files.h - the files of passes/machines, compiled in (embed.cmake). */
#ifndef WSEC_PASSES_MACHINE_FILES_H
#define WSEC_PASSES_MACHINE_FILES_H

#include <stddef.h>

typedef struct MachineFile {
    const char *name; /* "wse2.xml", "machine.xsd"; NULL ends the table */
    const char *text;
    size_t len;
} MachineFile;

extern const MachineFile machine_files[];

#endif
