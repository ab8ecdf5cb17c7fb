/* SPDX-License-Identifier: Apache-2.0 */
/* ir/support/npy.h - arrays in NumPy's .npy format (versions 1.0 to 3.0, C order,
 * little-endian; f2, f4, f8, i4, i8, u1 are read, f2, f4 and i4 written). */
#ifndef WSEC_SUPPORT_NPY_H
#define WSEC_SUPPORT_NPY_H

#include "ir/support/dtype.h"
#include "ir/support/io.h"

enum { NPY_MAX_RANK = 8 };

typedef enum NpyType { NPY_F16, NPY_F32, NPY_F64, NPY_I32, NPY_I64, NPY_U8 } NpyType;

typedef struct Npy {
    NpyType type;
    int rank;
    uint64_t extent[NPY_MAX_RANK];
    uint64_t n;          /* elements */
    const uint8_t *data; /* points into file; alignment is not guaranteed */
    Bytes file;
} Npy;

bool npy_read(Diag *d, const char *path, Npy *result); /* every header field bounded */
void npy_finish(Npy *a);
double npy_get(const Npy *a, uint64_t i);
bool npy_write(Diag *d, const char *path, DType type, int rank, const uint64_t *extent,
               const void *data);

#endif
