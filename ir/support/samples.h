/* SPDX-License-Identifier: Apache-2.0 */
/* ir/support/samples.h - arrays of samples for the named tensors of a network, as the tools'
 * --input and --output take them. */
#ifndef WSEC_SUPPORT_SAMPLES_H
#define WSEC_SUPPORT_SAMPLES_H

#include "ir/support/diag.h"
#include "ir/support/dtype.h"

enum { TENSOR_SPEC_RANK = 4 };

typedef struct TensorSpec { /* one sample of a tensor */
    const char *name;
    DType dtype;
    int rank;
    uint64_t extent[TENSOR_SPEC_RANK];
} TensorSpec;

uint64_t tensor_spec_elements(const TensorSpec *t);

/* Splits "NAME=FILE", or "FILE" where there is one tensor only. `what` ("input") is for the
 * messages. */
bool samples_match(Diag *d, const char *what, const TensorSpec *specs, size_t n,
                   const char *argument, size_t *index, const char **path);

/* Reads a .npy array of the tensor's extents, or with one more leading axis: the samples.
 * Elements are converted to the tensor's dtype (rounded to nearest even). The result is on the
 * heap. */
bool samples_read(Diag *d, const TensorSpec *t, const char *path, uint64_t *n_samples,
                  uint8_t **data);

/* Reads the arrays of all n inputs as the arguments of --input name them: each once, all with
 * the same number of samples. data[k], zeroed before, is set for what was read, also on failure;
 * the caller frees it. */
bool samples_read_inputs(Diag *d, const TensorSpec *specs, size_t n, const char *const *arguments,
                         size_t n_arguments, uint64_t *n_samples, uint8_t **data);

/* Writes [n_samples, ..]. */
bool samples_write(Diag *d, const TensorSpec *t, const char *path, uint64_t n_samples,
                   const void *data);

/* Element i of an array of dtype. */
double samples_get(DType dtype, const uint8_t *data, uint64_t i);

#endif
