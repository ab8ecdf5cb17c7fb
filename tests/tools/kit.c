// SPDX-License-Identifier: Apache-2.0
// What transcripts need beside the tools and sh:
//
//   kit npy FILE f32|f16 SEED EXTENT...   an array of normal random numbers
//   kit flip FILE OFFSET                  changes one byte (a negative offset: from the end)
//   kit rehash FILE                       makes the digests of a changed image right again
//   kit deadlock FILE                     an image that the checker would reject: its programs
//                                         end up waiting for each other
//   kit image matvec|residual|SEED FILE   a small image: by hand, or random
//   kit defects WIDTH HEIGHT SEED N LINKS X
//                                         a map of dead cores for --defects: N of 1,000 from
//                                         column X on, at most 4 in a row and 22 of it, and so
//                                         many dead links
//   kit json                              is standard input one JSON value (RFC 8259)?
#include <stdlib.h>
#include <string.h>

#include "ir/support/io.h"
#include "ir/support/npy.h"
#include "ir/support/rng.h"
#include "runtime/format/image.h"
#include "tests/check/hand_images.h"
#include "tests/common/random_image.h"

enum { DEEPEST = 100 };

static bool make_npy(Arena *a, Diag *d, int argc, char **argv)
{
    if (argc < 4 || argc > 3 + NPY_MAX_RANK)
        return diag_error(d, (Span){0}, "npy: FILE f32|f16 SEED EXTENT...");
    DType type = strcmp(argv[1], "f16") == 0 ? DT_F16 : DT_F32;
    Rng rng = {strtoull(argv[2], NULL, 10)};
    uint64_t extent[NPY_MAX_RANK], n = 1;
    for (int i = 3; i < argc; i++)
        n *= extent[i - 3] = strtoull(argv[i], NULL, 10);
    float *f32 = arena_array(a, float, n + 1);
    uint16_t *f16 = arena_array(a, uint16_t, n + 1);
    for (uint64_t i = 0; i < n; i++) {
        f32[i] = (float)rng_normal(&rng);
        f16[i] = f16_from_f64((double)f32[i]);
    }
    return npy_write(d, argv[0], type, argc - 3, extent,
                     type == DT_F16 ? (const void *)f16 : (const void *)f32);
}

static bool change(Diag *d, const char *path, const char *offset)
{
    Bytes file;
    if (!io_read(d, path, 0, &file))
        return false;
    long long at = offset ? strtoll(offset, NULL, 10) : 0;
    size_t k = at < 0 ? file.len - (size_t)-at : (size_t)at;
    bool ok = k < file.len || diag_error(d, (Span){0}, "'%s' has %zu bytes", path, file.len);
    if (ok && offset)
        file.data[k] ^= 0x55;
    else if (ok)
        ok = image_rehash(&file) || diag_error(d, (Span){0}, "'%s' is not an image", path);
    ok = ok && io_write(d, path, file.data, file.len);
    bytes_free(&file);
    return ok;
}

static bool write_image(Diag *d, const Image *image, const char *path)
{
    Bytes bytes;
    image_write(image, &bytes);
    bool ok = io_write(d, path, bytes.data, bytes.len);
    bytes_free(&bytes);
    return ok;
}

// The residual image, with a 'pairs' that takes all four messages before it sends one, while
// there is room for three on the short way to 'join'.
static bool make_deadlock(Arena *a, Diag *d, const char *path)
{
    Image image = residual_image(a);
    Op *op = image.classes[3].ops;
    op[0].count = image.classes[4].ops[0].count;
    op[4] = op[3];
    op[3] = op[0];
    op[2] = op[5];
    image.cores[2].channels[1].slots = 1;
    image.cores[2].segments[3].bytes = 16;
    return write_image(d, &image, path);
}

static bool make_image(Arena *a, Diag *d, const char *which, const char *path)
{
    Image image;
    Rng rng = {strtoull(which, NULL, 10)};
    if (strcmp(which, "matvec") == 0)
        image = matvec_image(a);
    else if (strcmp(which, "residual") == 0)
        image = residual_image(a);
    else if (!random_image(a, &rng, &image))
        return diag_error(d, (Span){0}, "no image of seed %s", which);
    return write_image(d, &image, path);
}

static void print_defects(char **argv)
{
    uint32_t n[6];
    for (int i = 0; i < 6; i++)
        n[i] = (uint32_t)strtoul(argv[i], NULL, 10);
    Rng rng = {n[2]};
    puts("<defects>");
    for (uint32_t y = 0; y < n[1]; y++) {
        for (uint32_t x = n[5], dead = 0, row = 0; x < n[0]; x++) {
            bool dies = row < 4 && dead < 22 && rng_below(&rng, 1000) < n[3];
            row = dies ? row + 1 : 0;
            dead += dies;
            if (dies)
                printf("  <core x=\"%u\" y=\"%u\"/>\n", x, y);
        }
    }
    for (uint32_t i = 0; i < n[4]; i++) {
        uint32_t x = rng_below(&rng, n[0] - 1), y = rng_below(&rng, n[1] - 1);
        printf("  <link x=\"%u\" y=\"%u\" side=\"%c\"/>\n", x, y, "ES"[rng_below(&rng, 2)]);
    }
    puts("</defects>");
}

static const char *skip_space(const char *s)
{
    return s + strspn(s, " \t\r\n");
}

static const char *json_string(const char *s)
{
    if (*s++ != '"')
        return NULL;
    for (; *s != '"'; s++) {
        if ((unsigned char)*s < 0x20)
            return NULL;
        if (*s != '\\')
            continue;
        s++;
        if (*s == 'u') {
            if (strspn(s + 1, "0123456789abcdefABCDEF") < 4)
                return NULL;
            s += 4;
        } else if (!*s || !strchr("\"\\/bfnrt", *s)) {
            return NULL;
        }
    }
    return s + 1;
}

static const char *json_digits(const char *s)
{
    size_t n = strspn(s, "0123456789");
    return n ? s + n : NULL;
}

static const char *json_number(const char *s)
{
    s += *s == '-';
    s = *s == '0' ? s + 1 : json_digits(s);
    if (s && *s == '.')
        s = json_digits(s + 1);
    if (s && (*s == 'e' || *s == 'E'))
        s = json_digits(s + 1 + (s[1] == '+' || s[1] == '-'));
    return s;
}

// The end of the value at s, or NULL.
static const char *json_value(const char *s, int depth)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < 3; i++)
        if (strncmp(s, words[i], strlen(words[i])) == 0)
            return s + strlen(words[i]);
    if (*s == '"')
        return json_string(s);
    if (*s != '{' && *s != '[')
        return json_number(s);
    char end = *s == '{' ? '}' : ']';
    if (depth == DEEPEST)
        return NULL;
    s = skip_space(s + 1);
    if (*s == end)
        return s + 1;
    for (;;) {
        if (end == '}') {
            s = json_string(s);
            if (!s || *(s = skip_space(s)) != ':')
                return NULL;
            s = skip_space(s + 1);
        }
        s = json_value(s, depth + 1);
        if (!s)
            return NULL;
        s = skip_space(s);
        if (*s == end)
            return s + 1;
        if (*s != ',')
            return NULL;
        s = skip_space(s + 1);
    }
}

static bool check_json(Arena *a, Diag *d)
{
    Bytes file;
    if (!io_read(d, "-", 0, &file))
        return false;
    const char *text = arena_strdup(a, (const char *)file.data, file.len);
    const char *end = json_value(skip_space(text), 0);
    bool ok = end && *skip_space(end) == '\0' && strlen(text) == file.len;
    bytes_free(&file);
    if (ok)
        puts("valid JSON");
    return ok || diag_error(d, (Span){0}, "not JSON");
}

int main(int argc, char **argv)
{
    Arena a = {0};
    Diag d;
    diag_init(&d, "kit");
    if (argc > 2 && strcmp(argv[1], "npy") == 0)
        make_npy(&a, &d, argc - 2, argv + 2);
    else if (argc == 4 && strcmp(argv[1], "flip") == 0)
        change(&d, argv[2], argv[3]);
    else if (argc == 3 && strcmp(argv[1], "rehash") == 0)
        change(&d, argv[2], NULL);
    else if (argc == 3 && strcmp(argv[1], "deadlock") == 0)
        make_deadlock(&a, &d, argv[2]);
    else if (argc == 4 && strcmp(argv[1], "image") == 0)
        make_image(&a, &d, argv[2], argv[3]);
    else if (argc == 8 && strcmp(argv[1], "defects") == 0)
        print_defects(argv + 2);
    else if (argc == 2 && strcmp(argv[1], "json") == 0)
        check_json(&a, &d);
    else
        diag_error(&d, (Span){0}, "wrong use; see tests/tools/kit.c");
    int code = diag_exit_code(&d);
    diag_finish(&d);
    arena_free(&a);
    return code;
}
