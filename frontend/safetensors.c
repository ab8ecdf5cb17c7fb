// SPDX-License-Identifier: Apache-2.0
// Bounded reader of safetensors. The header's JSON is read by recursive descent over just the
// forms that occur; unknown members are skipped up to a fixed nesting. Names are compared
// through a hash table, so that work is linear in the header.
#include "frontend/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "ir/support/dtype.h"
#include "ir/support/hash.h"

enum { MAX_NESTING = 16, MAX_NAME = 1024, HEADER_BYTES = 8 };

typedef struct Reader {
    Diag *diag;
    Arena *arena;
    const char *path;
    const char *begin, *at, *end;
} Reader;

static const Span nowhere = {0};

static bool bad(Reader *r, const char *what)
{
    return diag_error(r->diag, nowhere, "'%s': header, byte %zu: %s", r->path,
                      (size_t)(r->at - r->begin), what);
}

static void skip_space(Reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool peek(Reader *r, char c)
{
    skip_space(r);
    return r->at < r->end && *r->at == c;
}

static bool take(Reader *r, char c)
{
    if (!peek(r, c))
        return false;
    r->at++;
    return true;
}

static bool expect(Reader *r, char c)
{
    char what[] = "expected ' '";
    what[sizeof what - 3] = c;
    return take(r, c) || bad(r, what);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// \uXXXX as UTF-8; surrogates and NUL do not occur in names.
static bool read_escape(Reader *r, char *out, size_t *n)
{
    unsigned code = 0;
    if (r->end - r->at < 4)
        return bad(r, "truncated escape");
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*r->at++);
        if (digit < 0)
            return bad(r, "wrong escape");
        code = code * 16 + (unsigned)digit;
    }
    if (code == 0 || (code >= 0xd800 && code < 0xe000))
        return bad(r, "a character that no name has");
    if (code >= 0x800) {
        out[(*n)++] = (char)(0xe0 | code >> 12);
        out[(*n)++] = (char)(0x80 | (code >> 6 & 0x3f));
        out[(*n)++] = (char)(0x80 | (code & 0x3f));
    } else if (code >= 0x80) {
        out[(*n)++] = (char)(0xc0 | code >> 6);
        out[(*n)++] = (char)(0x80 | (code & 0x3f));
    } else {
        out[(*n)++] = (char)code;
    }
    return true;
}

// A string of at most MAX_NAME bytes.
static bool read_string(Reader *r, const char **result)
{
    static const char escapes[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    char text[MAX_NAME + 4];
    size_t n = 0;
    if (!expect(r, '"'))
        return false;
    for (;;) {
        if (r->at == r->end)
            return bad(r, "a string is not closed");
        char c = *r->at++;
        if (c == '"')
            break;
        if ((unsigned char)c < 0x20)
            return bad(r, "control character in a string");
        if (n > MAX_NAME - 3)
            return bad(r, "a string is too long");
        if (c != '\\') {
            text[n++] = c;
            continue;
        }
        if (r->at == r->end)
            return bad(r, "a string is not closed");
        c = *r->at++;
        const char *known = c ? strchr(escapes, c) : NULL;
        if (known)
            text[n++] = meaning[known - escapes];
        else if (c != 'u')
            return bad(r, "wrong escape");
        else if (!read_escape(r, text, &n))
            return false;
    }
    *result = arena_strdup(r->arena, text, n);
    return true;
}

// A string of any length whose contents do not matter.
static bool skip_string(Reader *r)
{
    if (!expect(r, '"'))
        return false;
    while (r->at < r->end && *r->at != '"')
        r->at += *r->at == '\\' && r->end - r->at > 1 ? 2 : 1;
    return r->at < r->end ? (r->at++, true) : bad(r, "a string is not closed");
}

static bool read_integer(Reader *r, uint64_t *result)
{
    skip_space(r);
    const char *start = r->at;
    *result = 0;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++)
        if (__builtin_mul_overflow(*result, 10, result) ||
            __builtin_add_overflow(*result, (uint64_t)(*r->at - '0'), result))
            return bad(r, "a number needs more than 64 bits");
    return r->at > start || bad(r, "expected an integer that is not negative");
}

static bool skip_value(Reader *r, int nesting)
{
    if (nesting == MAX_NESTING)
        return bad(r, "nested too deeply");
    if (peek(r, '"'))
        return skip_string(r);
    char close = peek(r, '{') ? '}' : ']';
    if (take(r, '{') || take(r, '[')) {
        if (take(r, close))
            return true;
        do {
            if (close == '}' && (!skip_string(r) || !expect(r, ':')))
                return false;
            if (!skip_value(r, nesting + 1))
                return false;
        } while (take(r, ','));
        return expect(r, close);
    }
    const char *start = r->at;
    while (r->at < r->end && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", *r->at) && *r->at)
        r->at++;
    return r->at > start || bad(r, "expected a value");
}

static const struct {
    const char *name;
    StoredType type;
    unsigned bytes;
} types[] = {
    {"F16", STORED_F16, 2},    {"BF16", STORED_BF16, 2},     {"F32", STORED_F32, 4},
    {"F64", STORED_F64, 8},    {"I64", STORED_OTHER, 8},     {"I32", STORED_OTHER, 4},
    {"I16", STORED_OTHER, 2},  {"I8", STORED_OTHER, 1},      {"U64", STORED_OTHER, 8},
    {"U32", STORED_OTHER, 4},  {"U16", STORED_OTHER, 2},     {"U8", STORED_OTHER, 1},
    {"BOOL", STORED_OTHER, 1}, {"F8_E4M3", STORED_OTHER, 1}, {"F8_E5M2", STORED_OTHER, 1},
};

static bool read_shape(Reader *r, StoredTensor *t)
{
    if (!expect(r, '['))
        return false;
    if (take(r, ']'))
        return true;
    do {
        if (t->rank == SAFETENSORS_MAX_RANK)
            return bad(r, "a tensor has too many axes");
        if (!read_integer(r, &t->extent[t->rank]))
            return false;
        if (__builtin_mul_overflow(t->n, t->extent[t->rank++], &t->n))
            return bad(r, "a tensor has more than 2^64 elements");
    } while (take(r, ','));
    return expect(r, ']');
}

static bool check_extent(Reader *r, StoredTensor *t, const uint64_t offsets[2])
{
    uint64_t data_bytes = (uint64_t)(r->end - r->begin), bytes = 0;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, t->type_name) == 0) {
            t->type = types[i].type;
            bytes = types[i].bytes;
        }
    if (bytes == 0)
        return diag_error(r->diag, nowhere, "'%s': tensor '%.100s' has the unknown type '%.20s'",
                          r->path, t->name, t->type_name);
    if (offsets[0] > offsets[1] || offsets[1] > data_bytes)
        return diag_error(r->diag, nowhere,
                          "'%s': tensor '%.100s' is said to stand at bytes %llu to %llu, there "
                          "are %llu bytes of data",
                          r->path, t->name, (unsigned long long)offsets[0],
                          (unsigned long long)offsets[1], (unsigned long long)data_bytes);
    if (__builtin_mul_overflow(bytes, t->n, &bytes) || bytes != offsets[1] - offsets[0])
        return diag_error(r->diag, nowhere,
                          "'%s': tensor '%.100s' has %llu bytes, its shape and type need %llu",
                          r->path, t->name, (unsigned long long)(offsets[1] - offsets[0]),
                          (unsigned long long)bytes);
    t->data = (const uint8_t *)r->begin + offsets[0];
    return true;
}

// {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, members in any order.
static bool read_tensor(Reader *r, StoredTensor *t, uint64_t offsets[2])
{
    bool has_shape = false, has_offsets = false;
    t->n = 1;
    if (!expect(r, '{'))
        return false;
    do {
        const char *key;
        if (!read_string(r, &key) || !expect(r, ':'))
            return false;
        bool ok = true;
        if (strcmp(key, "dtype") == 0) {
            ok = t->type_name ? bad(r, "member given twice") : read_string(r, &t->type_name);
        } else if (strcmp(key, "shape") == 0) {
            ok = has_shape ? bad(r, "member given twice") : read_shape(r, t);
            has_shape = true;
        } else if (strcmp(key, "data_offsets") == 0) {
            ok = has_offsets ? bad(r, "member given twice")
                             : expect(r, '[') && read_integer(r, &offsets[0]) && expect(r, ',') &&
                                   read_integer(r, &offsets[1]) && expect(r, ']');
            has_offsets = true;
        } else {
            ok = skip_value(r, 0);
        }
        if (!ok)
            return false;
    } while (take(r, ','));
    if (!expect(r, '}'))
        return false;
    return (t->type_name && has_shape && has_offsets) ||
           bad(r, "a tensor needs dtype, shape and data_offsets");
}

// Whether a name is new; open addressing over positions + 1.
static bool insert_name(const StoredTensorVec *tensors, uint32_t *slots, size_t cap)
{
    const char *name = tensors->data[tensors->n - 1].name;
    size_t i = (size_t)hash_bytes(0, name, strlen(name)) & (cap - 1);
    for (; slots[i]; i = (i + 1) & (cap - 1))
        if (strcmp(tensors->data[slots[i] - 1].name, name) == 0)
            return false;
    slots[i] = (uint32_t)tensors->n;
    return true;
}

static bool read_header(Reader *r, Reader *data, StoredTensorVec *result)
{
    size_t cap = 64;
    while (cap < (size_t)(r->end - r->begin) / 8 && cap < 2 * SAFETENSORS_MAX_TENSORS)
        cap *= 2; // a tensor's entry has far more than 16 bytes
    uint32_t *slots = arena_array(r->arena, uint32_t, cap);
    if (!expect(r, '{'))
        return false;
    if (take(r, '}'))
        return true;
    do {
        StoredTensor t = {0};
        uint64_t offsets[2];
        if (!read_string(r, &t.name) || !expect(r, ':'))
            return false;
        if (strcmp(t.name, "__metadata__") == 0) {
            if (!skip_value(r, 0))
                return false;
            continue;
        }
        if (!read_tensor(r, &t, offsets) || !check_extent(data, &t, offsets))
            return false;
        if (result->n == SAFETENSORS_MAX_TENSORS)
            return bad(r, "too many tensors");
        vec_push(r->arena, result, t);
        if (!insert_name(result, slots, cap))
            return diag_error(r->diag, nowhere, "'%s': tensor '%.100s' is there twice", r->path,
                              t.name);
    } while (take(r, ','));
    if (!expect(r, '}'))
        return false;
    skip_space(r);
    return r->at == r->end || bad(r, "something follows the header's object");
}

bool safetensors_parse(Diag *d, Arena *a, const char *path, Bytes bytes, StoredTensorVec *result)
{
    uint64_t length = 0;
    if (bytes.len < HEADER_BYTES)
        return diag_error(d, nowhere, "'%s' has %zu bytes; a safetensors file has at least %d",
                          path, bytes.len, HEADER_BYTES);
    for (int i = HEADER_BYTES - 1; i >= 0; i--)
        length = length << 8 | bytes.data[i];
    if (length > bytes.len - HEADER_BYTES || length > SAFETENSORS_MAX_HEADER)
        return diag_error(d, nowhere,
                          "'%s': the header is said to have %llu bytes, the file has %zu: "
                          "truncated, or not a safetensors file",
                          path, (unsigned long long)length, bytes.len);
    const char *text = (const char *)bytes.data;
    const char *data = text + HEADER_BYTES + length, *end = text + bytes.len;
    Reader header = {d, a, path, text + HEADER_BYTES, text + HEADER_BYTES, data};
    Reader body = {d, a, path, data, data, end};
    return read_header(&header, &body, result);
}

double stored_get(const StoredTensor *t, uint64_t i)
{
    uint16_t half;
    uint32_t single;
    double number = 0;
    switch (t->type) {
    case STORED_F16:
        memcpy(&half, t->data + 2 * i, sizeof half);
        return f32_from_f16(half);
    case STORED_BF16:
        memcpy(&half, t->data + 2 * i, sizeof half);
        return f32_from_bits((uint32_t)half << 16);
    case STORED_F32:
        memcpy(&single, t->data + 4 * i, sizeof single);
        return f32_from_bits(single);
    case STORED_F64:
        memcpy(&number, t->data + 8 * i, sizeof number);
        return number;
    case STORED_OTHER:
        break;
    }
    return number;
}
