// SPDX-License-Identifier: Apache-2.0
// Weights from files or from a seed. All sources are read first, then each declared weight
// is looked up; what does not fit together is collected and listed as one error.
#include "frontend/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/safetensors.h"
#include "ir/support/hash.h"
#include "ir/support/npy.h"
#include "ir/support/rng.h"

static const Span nowhere = {0};
static const int64_t max_total_elements = (int64_t)1 << 32;

enum { MAX_LISTED = 100, MAX_CANDIDATES = 1000 };

// One array of a file.
typedef struct Supply {
    const char *name, *path;
    StoredTensor stored; /* type_name, rank and extents also for arrays of .npy files */
    const Npy *npy;      /* or NULL */
    bool used;
} Supply;

// What does not fit, reported together at the end.
typedef struct Problem {
    Span at;
    const char *text;
} Problem;

typedef struct Loader {
    Diag *diag;
    Arena *arena; /* of the graph */
    Arena scratch;
    Graph *graph;
    VEC(Supply) supplies;
    uint32_t *slots; /* supplies by name: position + 1, open addressing */
    size_t cap;
    VEC(Bytes) files;
    VEC(Npy *) arrays;
    bool random, none;
    uint64_t seed;
    VEC(Problem) problems;
    size_t n_missing, n_mismatched, n_unexpected, n_rounded;
} Loader;

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), m = strlen(tail);
    return n >= m && strcmp(s + n - m, tail) == 0;
}

static bool read_safetensors(Loader *l, const char *path)
{
    Bytes bytes;
    StoredTensorVec tensors = {0};
    if (!io_read(l->diag, path, 0, &bytes))
        return false;
    vec_push(&l->scratch, &l->files, bytes);
    if (!safetensors_parse(l->diag, &l->scratch, path, bytes, &tensors))
        return false;
    for (size_t i = 0; i < tensors.n; i++)
        vec_push(&l->scratch, &l->supplies,
                 ((Supply){.name = tensors.data[i].name, .path = path, .stored = tensors.data[i]}));
    return true;
}

static bool read_array(Loader *l, const char *name, const char *path)
{
    static const char *const type_names[] = {
        [NPY_F16] = "float16", [NPY_F32] = "float32", [NPY_F64] = "float64",
        [NPY_I32] = "int32",   [NPY_I64] = "int64",   [NPY_U8] = "uint8"};
    Npy *npy = arena_new(&l->scratch, Npy);
    if (!npy_read(l->diag, path, npy))
        return false;
    vec_push(&l->scratch, &l->arrays, npy);
    bool is_float = npy->type == NPY_F16 || npy->type == NPY_F32 || npy->type == NPY_F64;
    Supply s = {.name = name, .path = path, .npy = npy};
    s.stored.type_name = type_names[npy->type];
    s.stored.type = !is_float              ? STORED_OTHER
                    : npy->type == NPY_F16 ? STORED_F16
                    : npy->type == NPY_F32 ? STORED_F32
                                           : STORED_F64;
    s.stored.rank = npy->rank;
    s.stored.n = npy->n;
    memcpy(s.stored.extent, npy->extent, sizeof npy->extent);
    vec_push(&l->scratch, &l->supplies, s);
    return true;
}

static bool read_seed(Loader *l, const char *text)
{
    if (l->random)
        return diag_error(l->diag, nowhere, "weights 'random:%s': a second seed", text);
    size_t digits = strspn(text, "0123456789");
    for (size_t i = 0; i < digits; i++)
        if (__builtin_mul_overflow(l->seed, 10, &l->seed) ||
            __builtin_add_overflow(l->seed, (uint64_t)(text[i] - '0'), &l->seed))
            digits = 0;
    l->random = true;
    return (digits > 0 && text[digits] == '\0') ||
           diag_error(l->diag, nowhere, "weights 'random:%s': the seed is an integer below 2^64",
                      text);
}

static bool read_spec(Loader *l, const char *spec)
{
    const char *equals = strchr(spec, '=');
    if (strcmp(spec, "none") == 0) {
        l->none = true;
        return true;
    }
    if (strncmp(spec, "random:", 7) == 0)
        return read_seed(l, spec + 7);
    if (equals && equals > spec && ends_with(spec, ".npy"))
        return read_array(l, arena_strdup(&l->scratch, spec, (size_t)(equals - spec)), equals + 1);
    if (ends_with(spec, ".safetensors"))
        return read_safetensors(l, spec);
    return diag_error(l->diag, nowhere,
                      "weights '%s': give FILE.safetensors, NAME=FILE.npy, random:SEED or none",
                      spec);
}

static uint32_t *find_slot(const Loader *l, const char *name)
{
    size_t i = (size_t)hash_bytes(0, name, strlen(name)) & (l->cap - 1);
    while (l->slots[i] && strcmp(l->supplies.data[l->slots[i] - 1].name, name) != 0)
        i = (i + 1) & (l->cap - 1);
    return &l->slots[i];
}

static bool index_supplies(Loader *l)
{
    bool ok = true;
    l->cap = 16;
    while (l->cap < 2 * l->supplies.n + 2)
        l->cap *= 2;
    l->slots = arena_array(&l->scratch, uint32_t, l->cap);
    for (size_t i = 0; i < l->supplies.n; i++) {
        const Supply *s = &l->supplies.data[i];
        uint32_t *slot = find_slot(l, s->name);
        if (*slot)
            ok = diag_error(l->diag, nowhere, "weight '%.200s' is in '%s' and in '%s'", s->name,
                            l->supplies.data[*slot - 1].path, s->path);
        *slot = (uint32_t)i + 1;
    }
    return ok;
}

static void add_problem(Loader *l, size_t *count, Span at, const char *text)
{
    ++*count;
    if (l->problems.n < MAX_LISTED)
        vec_push(&l->scratch, &l->problems, ((Problem){at, text}));
}

static const char *stored_text(Loader *l, const StoredTensor *t)
{
    const char *text = arena_printf(&l->scratch, "%.20s [", t->type_name);
    for (int i = 0; i < t->rank; i++)
        text = arena_printf(&l->scratch, "%s%s%llu", text, i ? ", " : "",
                            (unsigned long long)t->extent[i]);
    return arena_printf(&l->scratch, "%s]", text);
}

static bool same_shape(const Type *type, const StoredTensor *t)
{
    if (type->rank != t->rank)
        return false;
    for (int i = 0; i < t->rank; i++)
        if ((uint64_t)type->extent[i] != t->extent[i])
            return false;
    return true;
}

static float *new_values(Loader *l, const Node *n)
{
    return arena_array(l->arena, float, (size_t)type_elements(&n->type));
}

static float to_declared(double v, DType dtype)
{
    return dtype == DT_F16 ? f32_from_f16(f16_from_f64(v)) : f32_canonical((float)v);
}

static void convert(Loader *l, Node *n, const Supply *s)
{
    float *values = new_values(l, n);
    uint64_t infinite = 0, changed = 0;
    for (uint64_t i = 0; i < s->stored.n; i++) {
        double v = s->npy ? npy_get(s->npy, i) : stored_get(&s->stored, i);
        values[i] = to_declared(v, n->type.dtype);
        infinite += !isfinite(values[i]);
        changed += isfinite(values[i]) && (double)values[i] != v;
    }
    n->value = values;
    l->n_rounded += changed > 0;
    if (infinite)
        diag_warning(l->diag, n->span,
                     "weight '%s' has %llu values of '%s' that are not finite in %s", n->name,
                     (unsigned long long)infinite, s->path, dtype_name(n->type.dtype));
}

// Where a weight is used, for its random values.
typedef struct Role {
    Opkind op;
    uint32_t operand;
} Role;

static double fan_in(const Type *t, Role role)
{
    if (role.op == OP_MATMUL)
        return (double)t->extent[0]; // [K, N]
    return (double)(type_elements(t) / t->extent[0]);
}

static void randomize(Loader *l, Node *n, Role role)
{
    enum { NORM_WEIGHT = 1, NORM_VARIANCE = 4 };
    float *values = new_values(l, n);
    int64_t elements = type_elements(&n->type);
    bool scale = role.op == OP_MUL || (role.op == OP_BATCH_NORM && (role.operand == NORM_WEIGHT ||
                                                                    role.operand == NORM_VARIANCE));
    if (n->type.rank < 2) {
        for (int64_t i = 0; i < elements; i++)
            values[i] = scale ? 1.0f : 0.0f;
    } else {
        Rng rng = {hash_bytes(l->seed, n->name, strlen(n->name))};
        double deviation = sqrt(2.0 / fan_in(&n->type, role));
        for (int64_t i = 0; i < elements; i++)
            values[i] = to_declared(rng_normal(&rng) * deviation, n->type.dtype);
    }
    n->value = values;
}

static const char *suggest(Loader *l, const char *name)
{
    const char *names[MAX_CANDIDATES];
    size_t n = 0;
    for (size_t i = 0; i < l->supplies.n && n < MAX_CANDIDATES; i++)
        if (!l->supplies.data[i].used)
            names[n++] = l->supplies.data[i].name;
    const char *nearest = text_nearest(name, names, n);
    return nearest ? arena_printf(&l->scratch, "; there is '%s'", nearest) : "";
}

static void give(Loader *l, Node *n, Role role)
{
    uint32_t slot = *find_slot(l, n->name);
    if (!slot) {
        if (l->random)
            randomize(l, n, role);
        else
            add_problem(l, &l->n_missing, n->span,
                        arena_printf(&l->scratch, "missing: '%s' %s%s", n->name,
                                     type_text(&l->scratch, &n->type),
                                     l->n_missing < MAX_LISTED ? suggest(l, n->name) : ""));
        return;
    }
    Supply *s = &l->supplies.data[slot - 1];
    bool same = same_shape(&n->type, &s->stored);
    s->used = true;
    if (same && s->stored.type != STORED_OTHER)
        convert(l, n, s);
    else
        add_problem(l, &l->n_mismatched, n->span,
                    arena_printf(&l->scratch, "mismatched: '%s' is declared %s, '%s' has %s%s",
                                 n->name, type_text(&l->scratch, &n->type), s->path,
                                 stored_text(l, &s->stored),
                                 same ? ", which is no floating type that is read" : ""));
}

static void find_unexpected(Loader *l)
{
    for (size_t i = 0; i < l->supplies.n; i++) {
        const Supply *s = &l->supplies.data[i];
        if (!s->used && !ends_with(s->name, ".num_batches_tracked"))
            add_problem(l, &l->n_unexpected, nowhere,
                        arena_printf(&l->scratch, "unexpected: '%.200s' %s in '%s'", s->name,
                                     stored_text(l, &s->stored), s->path));
    }
}

static bool report(Loader *l)
{
    size_t n = l->n_missing + l->n_mismatched + l->n_unexpected;
    if (n == 0) {
        if (l->n_rounded)
            diag_note(l->diag, nowhere, "values of %zu weights were rounded to their declared type",
                      l->n_rounded);
        return true;
    }
    diag_error(l->diag, nowhere,
               "the weights do not fit the model: %zu missing, %zu mismatched, %zu unexpected",
               l->n_missing, l->n_mismatched, l->n_unexpected);
    for (size_t i = 0; i < l->problems.n; i++)
        diag_note(l->diag, l->problems.data[i].at, "%s", l->problems.data[i].text);
    if (n > l->problems.n)
        diag_note(l->diag, nowhere, "and %zu more", n - l->problems.n);
    return false;
}

static bool check_total(Loader *l, size_t *n_weights)
{
    int64_t total = 0; // each at most 2^30, so that 2^33 of them fit
    for (size_t i = 0; i < l->graph->nodes.n; i++)
        if (l->graph->nodes.data[i]->is_weight) {
            ++*n_weights;
            total += type_elements(&l->graph->nodes.data[i]->type);
        }
    return total <= max_total_elements ||
           diag_error(l->diag, nowhere,
                      "the model's weights have %lld elements, at most %lld can be loaded; "
                      "'none' plans without values",
                      (long long)total, (long long)max_total_elements);
}

static bool load(Loader *l, const char *const *specs, size_t n)
{
    Graph *g = l->graph;
    size_t n_weights = 0;
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        ok = read_spec(l, specs[i]) && ok;
    if (!ok)
        return false;
    if (l->none)
        return n == 1 || diag_error(l->diag, nowhere, "weights 'none' stands alone");
    if (!index_supplies(l) || !check_total(l, &n_weights))
        return false;
    if (n == 0)
        return n_weights == 0 ||
               diag_error(l->diag, nowhere,
                          "the model declares %zu weights; give FILE.safetensors, random:SEED or "
                          "none",
                          n_weights);
    Role *roles = arena_array(&l->scratch, Role, g->nodes.n);
    for (size_t i = 0; i < g->nodes.n; i++)
        for (uint32_t k = 0; k < g->nodes.data[i]->n_in; k++)
            roles[g->nodes.data[i]->in[k]->id] = (Role){g->nodes.data[i]->op, k};
    for (size_t i = 0; i < g->nodes.n; i++)
        if (g->nodes.data[i]->is_weight)
            give(l, g->nodes.data[i], roles[g->nodes.data[i]->id]);
    find_unexpected(l);
    return report(l);
}

bool weights_load(Diag *d, Arena *a, Graph *g, const char *const *specs, size_t n)
{
    Loader l = {.diag = d, .arena = a, .graph = g};
    bool ok = load(&l, specs, n);
    for (size_t i = 0; i < l.files.n; i++)
        bytes_free(&l.files.data[i]);
    for (size_t i = 0; i < l.arrays.n; i++)
        npy_finish(l.arrays.data[i]);
    arena_free(&l.scratch);
    return ok;
}
