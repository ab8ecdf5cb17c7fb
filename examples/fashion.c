// SPDX-License-Identifier: Apache-2.0
// The data set's side of the examples, without any dependency but libc:
//
//     gzip -dc t10k-images-idx3-ubyte.gz | fashion images OUT.npy [COUNT]
//     gzip -dc t10k-images-idx3-ubyte.gz | fashion vectors OUT.npy [COUNT]
//     gzip -dc t10k-labels-idx1-ubyte.gz | fashion labels OUT.npy [COUNT]
//     fashion accuracy SCORES.npy LABELS.npy
//     fashion agree SCORES.npy REFERENCE.npy      predictions that agree, largest difference
//
// Images are written as f32 [N, 28, 28, 1], vectors as [N, 784], in 0 .. 1 (grey value / 255),
// labels as i32 [N].
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/npy.h"

static const Span nowhere = {0};

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

typedef enum Kind { IMAGES, VECTORS, LABELS } Kind;

// The idx format: 0, 0, type (8: bytes), rank, extents, data.
static bool convert(Diag *d, const char *out, uint64_t count, Kind kind)
{
    bool images = kind != LABELS;
    Bytes idx;
    if (!io_read(d, "-", 0, &idx))
        return false;
    unsigned rank = images ? 3 : 1;
    size_t header = 4 + 4 * (size_t)rank;
    bool ok = idx.len >= header && idx.data[2] == 8 && idx.data[3] == rank;
    uint64_t n = ok ? big_endian(idx.data + 4) : 0;
    uint64_t each =
        images && ok ? (uint64_t)big_endian(idx.data + 8) * big_endian(idx.data + 12) : 1;
    ok = ok && each > 0 && each <= 1 << 20 && n * each == idx.len - header;
    if (!ok) {
        bytes_free(&idx);
        return diag_error(d, nowhere, "standard input is not an idx file of %s",
                          images ? "images" : "labels");
    }
    if (count && count < n)
        n = count;
    const uint8_t *p = idx.data + header;
    float *pixels = malloc((size_t)(n * each) * sizeof *pixels + 1);
    int32_t *labels = malloc((size_t)n * sizeof *labels + 1);
    if (pixels && labels) {
        for (uint64_t i = 0; images && i < n * each; i++)
            pixels[i] = (float)p[i] / 255.0f;
        for (uint64_t i = 0; !images && i < n; i++)
            labels[i] = p[i];
        uint64_t extent[4] = {n, images ? big_endian(idx.data + 8) : 0,
                              images ? big_endian(idx.data + 12) : 0, 1};
        if (kind == VECTORS)
            extent[1] = each;
        ok = npy_write(d, out, images ? DT_F32 : DT_I32,
                       kind == IMAGES ? 4
                       : images       ? 2
                                      : 1,
                       extent, images ? (void *)pixels : (void *)labels);
    }
    free(pixels);
    free(labels);
    bytes_free(&idx);
    return ok;
}

static uint64_t best_of(const Npy *scores, uint64_t row, uint64_t n)
{
    uint64_t best = 0;
    for (uint64_t k = 1; k < n; k++)
        if (npy_get(scores, row * n + k) > npy_get(scores, row * n + best))
            best = k;
    return best;
}

static bool compare(Diag *d, const char *scores_path, const char *other_path, bool with_labels)
{
    Npy scores, other;
    if (!npy_read(d, scores_path, &scores))
        return false;
    if (!npy_read(d, other_path, &other)) {
        npy_finish(&scores);
        return false;
    }
    uint64_t rows = other.rank ? other.extent[0] : 0;
    bool ok = rows > 0 && scores.rank > 0 && scores.extent[0] == rows && scores.n >= rows &&
              (with_labels ? other.n == rows : other.n == scores.n);
    if (!ok) {
        diag_error(d, nowhere, "'%s' and '%s' do not have the same number of samples", scores_path,
                   other_path);
    } else {
        uint64_t classes = scores.n / rows, right = 0;
        double largest = 0;
        for (uint64_t i = 0; i < rows; i++) {
            uint64_t best = best_of(&scores, i, classes);
            right +=
                best == (with_labels ? (uint64_t)npy_get(&other, i) : best_of(&other, i, classes));
        }
        if (with_labels) {
            printf("%llu of %llu right: %.2f %%\n", (unsigned long long)right,
                   (unsigned long long)rows, 100.0 * (double)right / (double)rows);
        } else {
            for (uint64_t i = 0; i < scores.n; i++)
                largest = fmax(largest, fabs(npy_get(&scores, i) - npy_get(&other, i)));
            printf("%llu of %llu predictions agree; largest difference %.3g\n",
                   (unsigned long long)right, (unsigned long long)rows, largest);
        }
    }
    npy_finish(&scores);
    npy_finish(&other);
    return ok;
}

int main(int argc, char **argv)
{
    Diag d;
    diag_init(&d, "fashion");
    const char *what = argc > 1 ? argv[1] : "";
    static const char *const kinds[] = {
        [IMAGES] = "images", [VECTORS] = "vectors", [LABELS] = "labels"};
    int kind = -1;
    for (int k = IMAGES; k <= LABELS; k++)
        kind = strcmp(what, kinds[k]) == 0 ? k : kind;
    bool accuracy = strcmp(what, "accuracy") == 0, agree = strcmp(what, "agree") == 0;
    if (kind >= 0 && (argc == 3 || argc == 4)) {
        convert(&d, argv[2], argc == 4 ? strtoull(argv[3], NULL, 10) : 0, (Kind)kind);
    } else if ((accuracy || agree) && argc == 4) {
        compare(&d, argv[2], argv[3], accuracy);
    } else {
        fputs("usage: fashion images|vectors|labels OUT.npy [COUNT] < idx file\n"
              "       fashion accuracy SCORES.npy LABELS.npy\n"
              "       fashion agree SCORES.npy REFERENCE.npy\n",
              stderr);
        return EXIT_USAGE;
    }
    int code = diag_exit_code(&d);
    diag_finish(&d);
    return code;
}
