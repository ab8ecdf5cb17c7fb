// SPDX-License-Identifier: Apache-2.0
// Arrays in NumPy's .npy format (NEP 1). The header is a Python dictionary literal with three
// keys; only the forms NumPy itself writes are accepted.
#include "ir/support/npy.h"

#include <stdlib.h>
#include <string.h>

#include "ir/support/text.h"

static const Span nowhere = {0};
static const uint8_t magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

static const struct {
    const char *code;
    NpyType type;
    unsigned bytes;
} types[] = {
    {"<f2", NPY_F16, 2}, {"<f4", NPY_F32, 4}, {"<f8", NPY_F64, 8},
    {"<i4", NPY_I32, 4}, {"<i8", NPY_I64, 8}, {"|u1", NPY_U8, 1},
};

// Finds 'key': in the header and returns what follows, without blanks in front.
static const char *value_of(const char *header, const char *key)
{
    const char *p = strstr(header, key);
    if (!p)
        return NULL;
    p += strlen(key);
    p += strspn(p, " ");
    return p;
}

static bool parse_header(Diag *d, const char *path, const char *header, Npy *a, unsigned *bytes)
{
    const char *descr = value_of(header, "'descr':");
    const char *fortran = value_of(header, "'fortran_order':");
    const char *shape = value_of(header, "'shape':");
    if (!descr || !fortran || !shape || shape[0] != '(')
        return diag_error(d, nowhere, "'%s': the .npy header is malformed", path);
    if (strncmp(fortran, "False", 5) != 0)
        return diag_error(d, nowhere,
                          "'%s': Fortran order is not supported; save it with "
                          "numpy.ascontiguousarray",
                          path);
    *bytes = 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (descr[0] == '\'' && strncmp(descr + 1, types[i].code, 3) == 0 && descr[4] == '\'') {
            a->type = types[i].type;
            *bytes = types[i].bytes;
        }
    }
    if (*bytes == 0)
        return diag_error(d, nowhere,
                          "'%s': element type %.12s is not supported (f2, f4, f8, i4, "
                          "i8, u1, little-endian)",
                          path, descr);
    a->n = 1;
    const char *p = shape + 1;
    for (;;) {
        p += strspn(p, " ");
        if (*p == ')')
            return true;
        char *end;
        if (*p < '0' || *p > '9')
            return diag_error(d, nowhere, "'%s': the shape in the .npy header is malformed", path);
        unsigned long long extent = strtoull(p, &end, 10);
        if (a->rank == NPY_MAX_RANK)
            return diag_error(d, nowhere, "'%s': more than %d dimensions", path, NPY_MAX_RANK);
        if (extent > UINT64_C(1) << 40 || a->n > (UINT64_C(1) << 40) / (extent ? extent : 1))
            return diag_error(d, nowhere, "'%s': the array is too large", path);
        a->extent[a->rank++] = extent;
        a->n *= extent;
        p = end + strspn(end, " ");
        if (*p == ',')
            p++;
        else if (*p != ')')
            return diag_error(d, nowhere, "'%s': the shape in the .npy header is malformed", path);
    }
}

bool npy_read(Diag *d, const char *path, Npy *result)
{
    *result = (Npy){0};
    Bytes file;
    if (!io_read(d, path, 0, &file))
        return false;
    Npy a = {.file = file};
    size_t prefix = file.len > 6 && file.data[6] == 1 ? 10 : 12;
    if (file.len < prefix || memcmp(file.data, magic, sizeof magic) != 0 || file.data[6] < 1 ||
        file.data[6] > 3) {
        bytes_free(&file);
        return diag_error(d, nowhere, "'%s' is not a .npy file of version 1 to 3", path);
    }
    uint64_t header_len = file.data[8] | (uint64_t)file.data[9] << 8;
    if (prefix == 12)
        header_len |= (uint64_t)file.data[10] << 16 | (uint64_t)file.data[11] << 24;
    bool ok = header_len <= file.len - prefix && header_len <= 65536;
    if (!ok) {
        diag_error(d, nowhere, "'%s': the .npy header is cut off", path);
    } else {
        Arena scratch = {0};
        const char *header =
            arena_strdup(&scratch, (const char *)file.data + prefix, (size_t)header_len);
        unsigned bytes;
        ok = parse_header(d, path, header, &a, &bytes);
        size_t body = file.len - prefix - (size_t)header_len;
        if (ok && (a.n > body / bytes || a.n * bytes != body))
            ok = diag_error(d, nowhere,
                            "'%s': the header promises %llu bytes of data, the file "
                            "has %zu",
                            path, (unsigned long long)(a.n * bytes), body);
        a.data = file.data + prefix + header_len;
        arena_free(&scratch);
    }
    if (!ok) {
        bytes_free(&file);
        return false;
    }
    *result = a;
    return true;
}

void npy_finish(Npy *a)
{
    bytes_free(&a->file);
    *a = (Npy){0};
}

double npy_get(const Npy *a, uint64_t i)
{
    switch (a->type) {
    case NPY_F16: {
        uint16_t v;
        memcpy(&v, a->data + 2 * i, sizeof v);
        return (double)f32_from_f16(v);
    }
    case NPY_F32: {
        float v;
        memcpy(&v, a->data + 4 * i, sizeof v);
        return (double)v;
    }
    case NPY_F64: {
        double v;
        memcpy(&v, a->data + 8 * i, sizeof v);
        return v;
    }
    case NPY_I32: {
        int32_t v;
        memcpy(&v, a->data + 4 * i, sizeof v);
        return (double)v;
    }
    case NPY_I64: {
        int64_t v;
        memcpy(&v, a->data + 8 * i, sizeof v);
        return (double)v;
    }
    case NPY_U8:
        return (double)a->data[i];
    }
    return 0;
}

bool npy_write(Diag *d, const char *path, DType type, int rank, const uint64_t *extent,
               const void *data)
{
    static const char *const codes[DT_COUNT] = {
        [DT_F32] = "<f4", [DT_F16] = "<f2", [DT_I32] = "<i4"};
    Text header = {0}, out = {0};
    text_printf(&header, "{'descr': '%s', 'fortran_order': False, 'shape': (", codes[type]);
    uint64_t n = 1;
    for (int i = 0; i < rank; i++) {
        n *= extent[i];
        text_printf(&header,
                    rank == 1 ? "%llu,"
                    : i       ? ", %llu"
                              : "%llu",
                    (unsigned long long)extent[i]);
    }
    text_add(&header, "), }");
    while ((10 + header.len + 1) % 64 != 0)
        text_add(&header, " ");
    text_add(&header, "\n");
    text_add_bytes(&out, magic, sizeof magic);
    uint8_t version[4] = {1, 0, (uint8_t)header.len, (uint8_t)(header.len >> 8)};
    text_add_bytes(&out, version, sizeof version);
    text_add_bytes(&out, header.data, header.len);
    text_add_bytes(&out, data, (size_t)n * dtype_bytes(type));
    bool ok = io_write(d, path, out.data, out.len);
    text_free(&header);
    text_free(&out);
    return ok;
}
