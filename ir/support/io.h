/* SPDX-License-Identifier: Apache-2.0 */
/* ir/support/io.h - whole files in and out. */
#ifndef WSEC_SUPPORT_IO_H
#define WSEC_SUPPORT_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"

typedef struct Bytes {
    uint8_t *data;
    size_t len;
} Bytes;

/* Reads a file, or standard input for "-". `limit` bytes at most (0: 16 GiB). A directory,
 * a missing file, a file above the limit: reported to d, false. Free with bytes_free(). */
bool io_read(Diag *d, const char *path, size_t limit, Bytes *result);
void bytes_free(Bytes *b);

/* Writes to a temporary name beside `path`, flushes, renames; "-" is standard output.
 * On any failure the temporary file is removed, `path` is as it was, and d says why. */
bool io_write(Diag *d, const char *path, const void *data, size_t len);

/* For the end of a tool: what was printed to standard output has to have arrived there. Else a
 * message, and EXIT_INPUT in place of `code` if that is EXIT_OK. */
int io_finish(const char *tool, int code);

#endif
