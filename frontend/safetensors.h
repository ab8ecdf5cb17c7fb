/* SPDX-License-Identifier: Apache-2.0 */
/* frontend/safetensors.h - reader of the safetensors format: 8 bytes of header length, a
 * JSON object name -> {dtype, shape, data_offsets}, then the data, little-endian. */
#ifndef WSEC_FRONTEND_SAFETENSORS_H
#define WSEC_FRONTEND_SAFETENSORS_H

#include "ir/support/io.h"
#include "ir/support/vec.h"

enum {
    SAFETENSORS_MAX_RANK = 8,
    SAFETENSORS_MAX_HEADER = 100000000,
    SAFETENSORS_MAX_TENSORS = 1 << 20
};

typedef enum StoredType {
    STORED_F16,
    STORED_BF16,
    STORED_F32,
    STORED_F64,
    STORED_OTHER
} StoredType;

typedef struct StoredTensor {
    const char *name;
    const char *type_name; /* as written, "F32" */
    StoredType type;
    int rank;
    uint64_t extent[SAFETENSORS_MAX_RANK];
    uint64_t n;          /* elements */
    const uint8_t *data; /* within the file's bytes; unaligned */
} StoredTensor;

typedef VEC(StoredTensor) StoredTensorVec;

/* Parses the bytes of a file; `path` is for messages. Everything is checked: lengths,
 * nesting, offsets against shape and type, names given twice. The tensors point into bytes. */
bool safetensors_parse(Diag *d, Arena *a, const char *path, Bytes bytes, StoredTensorVec *result);

double stored_get(const StoredTensor *t, uint64_t i);

#endif
