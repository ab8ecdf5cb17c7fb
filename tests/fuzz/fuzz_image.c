// SPDX-License-Identifier: Apache-2.0
// libFuzzer: any bytes as an image, with digests made right so that they do not stop it: reader,
// checker, and, where both accept it, two samples on the core engine and by the interpreter of
// the values engine. What the checker accepts must run without a fault (but for the limit on
// time), and both must compute the same bits.
#include <stdlib.h>
#include <string.h>

#include "backend/kernels/replan.h"
#include "ir/support/hash.h"
#include "ir/support/rng.h"
#include "runtime/check.h"
#include "runtime/engine.h"
#include "runtime/format/image_layout.h"
#include "runtime/values.h"

enum { SAMPLES = 2, MOST_BYTES = 1 << 20, MOST_CORES = 512 };

static const uint64_t most_cycles = 1 << 18;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static uint64_t tensor_bytes(const HostTensor *t)
{
    uint64_t n = SAMPLES * dtype_bytes((DType)t->dtype);
    for (uint32_t i = 0; i < t->rank; i++)
        n *= t->extent[i];
    return n;
}

static void run(Arena *a, Diag *d, const Fabric *f)
{
    const Image *im = f->image;
    uint8_t **in = arena_array(a, uint8_t *, im->n_tensors + 1);
    uint8_t **out[2] = {arena_array(a, uint8_t *, im->n_tensors + 1),
                        arena_array(a, uint8_t *, im->n_tensors + 1)};
    uint64_t all = 0;
    for (uint32_t t = 0; t < im->n_tensors; t++)
        all += tensor_bytes(&im->tensors[t]);
    if (all > MOST_BYTES || f->n_cores > MOST_CORES)
        return;
    for (uint32_t t = 0; t < im->n_tensors; t++) {
        uint64_t n = tensor_bytes(&im->tensors[t]);
        for (int k = 0; k < 2 && im->tensors[t].is_output; k++)
            out[k][t] = arena_array(a, uint8_t, n);
        if (im->tensors[t].is_output)
            continue;
        in[t] = arena_array(a, uint8_t, n);
        for (uint64_t i = 0; i < n; i++) // small numbers of any type
            in[t][i] = i % 2 ? 0x3c : (uint8_t)(17 * i);
    }
    EngineOptions core = {
        .values = im->has_weights, .samples = SAMPLES, .cycles_limit = most_cycles};
    EngineResult result;
    if (!engine_run(a, f, &core, (const uint8_t *const *)in, out[0], &result)) {
        must(result.status == ENGINE_LIMIT);
        return;
    }
    if (!im->has_weights)
        return;
    ValuesOptions values = {.threads = 1, .samples = SAMPLES};
    must(values_run(a, d, f, &values, (const uint8_t *const *)in, out[1]));
    for (uint32_t t = 0; t < im->n_tensors; t++)
        if (im->tensors[t].is_output)
            must(memcmp(out[0][t], out[1][t], (size_t)tensor_bytes(&im->tensors[t])) == 0);
}

// Digests, and the digest of the programs that native code is bound to.
static void sign(Bytes *file)
{
    SectionBytes section[IMAGE_SECTIONS];
    const char *why;
    if (image_sections(*file, section, &why) && section[IMAGE_NATIVE].len >= 4 + DIGEST_BYTES)
        sha256(section[IMAGE_PROGRAMS].data, section[IMAGE_PROGRAMS].len,
               file->data + (section[IMAGE_NATIVE].data - file->data) + 4);
    image_rehash(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena a = {0};
    Diag d;
    diag_init(&d, "fuzz");
    d.out = fopen("/dev/null", "w");
    Bytes file = {malloc(size + 1), size};
    must(d.out && file.data);
    if (size)
        memcpy(file.data, data, size);
    sign(&file);
    Image image;
    Fabric fabric;
    if (!image_read(&a, &d, "fuzz.wse", file, &image) || !check_image(&a, &d, &image, &fabric))
        must(d.n_errors > 0 && !d.internal);
    else
        run(&a, &d, &fabric);
    Plan plan; // what --relink makes of an image that is good but for what it says of its kernels
    if (d.n_errors == 0 &&
        !(kernels_replan(&a, &d, &image, &plan) && kernels_restore_ways(&a, &d, &image, &plan)))
        must(d.n_errors > 0 && !d.internal);
    fclose(d.out);
    bytes_free(&file);
    diag_finish(&d);
    arena_free(&a);
    return 0;
}

// Most changes keep the frame and change numbers within sections, by a little, to one that
// stands elsewhere in the section, or to anything.
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    Rng rng = {seed};
    SectionBytes section[IMAGE_SECTIONS];
    const char *why;
    bool framed = image_sections((Bytes){data, size}, section, &why);
    if (size == 0 || rng_below(&rng, 16) == 0)
        return rng_below(&rng, (uint32_t)(size < most ? size : most) + 1);
    for (uint32_t k = rng_below(&rng, 3) + 1; k > 0; k--) {
        const SectionBytes *s = &section[rng_below(&rng, IMAGE_SECTIONS)];
        if (!framed || s->len < 4 || rng_below(&rng, 16) == 0) {
            data[rng_below(&rng, (uint32_t)size)] ^= (uint8_t)(1u << rng_below(&rng, 8));
            continue;
        }
        uint8_t *begin = data + (s->data - data), *at;
        at = begin + rng_below(&rng, (uint32_t)s->len - 3);
        at -= rng_below(&rng, 4) ? (at - begin) % 2 : 0;
        uint32_t v;
        memcpy(&v, at, 4);
        switch (rng_below(&rng, 4)) {
        case 0:
            v += rng_below(&rng, 9) - 4;
            break;
        case 1:
            memcpy(&v, begin + rng_below(&rng, (uint32_t)s->len - 3), 4);
            break;
        case 2:
            v = rng_below(&rng, 64);
            break;
        case 3:
            v = (uint32_t)rng_next(&rng) >> rng_below(&rng, 32);
            break;
        }
        memcpy(at, &v, 4);
    }
    return size;
}
