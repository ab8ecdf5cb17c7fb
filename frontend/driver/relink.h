/* SPDX-License-Identifier: Apache-2.0 */
/* frontend/driver/relink.h - a finished image on a wafer with dead cores. */
#ifndef WSEC_RELINK_H
#define WSEC_RELINK_H

#include "ir/support/io.h"
#include "runtime/fabric.h"

/* Reads and checks; *bytes must outlive the image. */
bool relink_open(Arena *a, Diag *d, const char *path, Bytes *bytes, Image *image, Fabric *fabric);

/* Is everything that the image uses there? Then *result is the image with that map, and its
 * fabric is built. What is missing is not reported. */
bool relink_fits(Arena *a, const Image *image, const Defects *defects, Image *result,
                 Fabric *fabric);

/* The image with kernels moved around what is missing; unchecked. */
bool relink_moves(Arena *a, Diag *d, const Image *image, const Defects *defects, Image *result,
                  uint32_t *n_moved);

#endif
