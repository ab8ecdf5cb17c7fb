// SPDX-License-Identifier: Apache-2.0
// Arrays of samples in and out.
#include "ir/support/samples.h"

#include <stdlib.h>
#include <string.h>

#include "ir/support/npy.h"
#include "ir/support/text.h"

static const Span nowhere = {0};

uint64_t tensor_spec_elements(const TensorSpec *t)
{
    uint64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->extent[i];
    return n;
}

bool samples_match(Diag *d, const char *what, const TensorSpec *specs, size_t n,
                   const char *argument, size_t *index, const char **path)
{
    const char *equals = strchr(argument, '=');
    if (!equals) {
        if (n != 1)
            return diag_error(d, nowhere, "--%s=%s: the network has %zu of them; write NAME=FILE",
                              what, argument, n);
        *index = 0;
        *path = argument;
        return true;
    }
    size_t len = (size_t)(equals - argument);
    for (size_t i = 0; i < n; i++) {
        if (strlen(specs[i].name) == len && memcmp(specs[i].name, argument, len) == 0) {
            *index = i;
            *path = equals + 1;
            return true;
        }
    }
    diag_error(d, nowhere, "--%s=%s: the network has no %s '%.*s'", what, argument, what, (int)len,
               argument);
    for (size_t i = 0; i < n; i++)
        diag_note(d, nowhere, "it has '%s'", specs[i].name);
    return false;
}

static void extents_text(Text *t, int rank, const uint64_t *extent)
{
    text_add(t, "[");
    for (int i = 0; i < rank; i++)
        text_printf(t, "%s%llu", i ? ", " : "", (unsigned long long)extent[i]);
    text_add(t, "]");
}

static void store(DType dtype, uint8_t *data, uint64_t i, double value)
{
    switch (dtype) {
    case DT_F32: {
        float f = (float)value;
        memcpy(data + 4 * i, &f, sizeof f);
        break;
    }
    case DT_F16: {
        uint16_t h = f16_from_f64(value);
        memcpy(data + 2 * i, &h, sizeof h);
        break;
    }
    case DT_I32: {
        int32_t v = value >= 2147483647.0    ? INT32_MAX
                    : value <= -2147483648.0 ? INT32_MIN
                    : value != value         ? 0
                                             : (int32_t)value;
        memcpy(data + 4 * i, &v, sizeof v);
        break;
    }
    case DT_COUNT:
        break;
    }
}

double samples_get(DType dtype, const uint8_t *data, uint64_t i)
{
    switch (dtype) {
    case DT_F32: {
        float f;
        memcpy(&f, data + 4 * i, sizeof f);
        return (double)f;
    }
    case DT_F16: {
        uint16_t h;
        memcpy(&h, data + 2 * i, sizeof h);
        return (double)f32_from_f16(h);
    }
    case DT_I32: {
        int32_t v;
        memcpy(&v, data + 4 * i, sizeof v);
        return (double)v;
    }
    case DT_COUNT:
        break;
    }
    return 0;
}

bool samples_read(Diag *d, const TensorSpec *t, const char *path, uint64_t *n_samples,
                  uint8_t **data)
{
    Npy a;
    if (!npy_read(d, path, &a))
        return false;
    int lead = a.rank - t->rank;
    bool ok = (lead == 0 || lead == 1);
    for (int i = 0; ok && i < t->rank; i++)
        ok = a.extent[lead + i] == t->extent[i];
    if (!ok) {
        Text have = {0}, want = {0};
        extents_text(&have, a.rank, a.extent);
        extents_text(&want, t->rank, t->extent);
        diag_error(d, nowhere,
                   "'%s' has shape %s; a sample of '%s' has %s, and an array of samples one more "
                   "axis in front",
                   path, have.data, t->name, want.data);
        text_free(&have);
        text_free(&want);
        npy_finish(&a);
        return false;
    }
    *n_samples = lead ? a.extent[0] : 1;
    *data = malloc((size_t)(a.n * dtype_bytes(t->dtype)) + 1);
    if (!*data) {
        npy_finish(&a);
        return diag_error(d, nowhere, "'%s': out of memory", path);
    }
    bool same =
        (a.type == NPY_F32 && t->dtype == DT_F32) || (a.type == NPY_I32 && t->dtype == DT_I32);
    if (same)
        memcpy(*data, a.data, (size_t)a.n * 4);
    else
        for (uint64_t i = 0; i < a.n; i++)
            store(t->dtype, *data, i, npy_get(&a, i));
    npy_finish(&a);
    return true;
}

bool samples_read_inputs(Diag *d, const TensorSpec *specs, size_t n, const char *const *arguments,
                         size_t n_arguments, uint64_t *n_samples, uint8_t **data)
{
    Arena scratch = {0};
    uint64_t *counts = arena_array(&scratch, uint64_t, n + 1);
    bool ok = true;
    for (size_t i = 0; i < n_arguments; i++) {
        size_t k;
        const char *path;
        if (!samples_match(d, "input", specs, n, arguments[i], &k, &path))
            ok = false;
        else if (data[k])
            ok = diag_error(d, nowhere, "input '%s' is given twice", specs[k].name);
        else
            ok = samples_read(d, &specs[k], path, &counts[k], &data[k]) && ok;
    }
    for (size_t k = 0; ok && k < n; k++) {
        if (!data[k])
            ok = diag_error(d, nowhere, "no array for input '%s': --input %s=FILE.npy",
                            specs[k].name, specs[k].name);
        else if (counts[k] != counts[0])
            ok = diag_error(d, nowhere, "'%s' has %llu samples, '%s' has %llu", specs[0].name,
                            (unsigned long long)counts[0], specs[k].name,
                            (unsigned long long)counts[k]);
    }
    *n_samples = counts[0];
    arena_free(&scratch);
    return ok;
}

bool samples_write(Diag *d, const TensorSpec *t, const char *path, uint64_t n_samples,
                   const void *data)
{
    uint64_t extent[TENSOR_SPEC_RANK + 1] = {n_samples};
    memcpy(extent + 1, t->extent, (size_t)t->rank * sizeof *extent);
    return npy_write(d, path, t->dtype, t->rank + 1, extent, data);
}
