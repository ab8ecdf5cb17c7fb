/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/ispd2020/model.c - conv, dblock and cblock of the contest.
 *
 * A convolution with execution arguments (h, w, c, k) takes h * w * (c + 1) rows and 3 k
 * columns, and ceil(H/h) ceil(W/w) ceil(C/c) ceil(K/k) R S / T^2 of time. A block is up to four
 * of them side by side with one (h, w). A family is one (h, w, c), c shared by a block's
 * convolutions (a smaller c in one of them saves nothing: the height is that of the largest);
 * for a time limit every k then is the least that meets it and the memory. All (h, w, c) that
 * fit the grid are listed, h, w and c larger than the convolution's own H, W and C among them:
 * they agree with a neighbor's; those of which a smaller number would do the same are spare. */
#include <inttypes.h>
#include <string.h>

#include "tests/bench/ispd2020/model.h"

enum { MAX_CONVS = 4 };

typedef struct Conv {
    uint32_t H, W, R, S, C, K, T;
} Conv;

typedef struct Part { /* a convolution with (h, w, c) chosen */
    double unit;      /* time per ceil(K/k) */
    double memory;    /* for k = 1 */
    uint32_t least_k; /* for the memory to fit */
} Part;

typedef struct ContestClass {
    KgraphNode formal;
    Conv convs[MAX_CONVS];
    uint32_t n_convs;
    PackFamily *families;
    Part *parts; /* n_convs for every family */
    uint32_t n_families;
} ContestClass;

struct ContestModel {
    ContestClass *classes;
    uint32_t memlimit;
};

static uint64_t ceil_div(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

static uint32_t convs_of(const KgraphNode *v, Conv *convs)
{
    uint32_t H = v->H, W = v->W, F = v->C;
    switch (v->type) {
    case KGRAPH_INPUT:
    case KGRAPH_OUTPUT:
        return 0;
    case KGRAPH_CONV:
        convs[0] = (Conv){H, W, v->R, v->S, v->C, v->K, v->T};
        return 1;
    case KGRAPH_DBLOCK:
        convs[0] = (Conv){H, W, 1, 1, F, F / 4, 1};
        convs[1] = (Conv){H, W, 3, 3, F / 4, F / 4, 1};
        convs[2] = (Conv){H, W, 1, 1, F / 4, F, 1};
        return 3;
    case KGRAPH_CBLOCK:
        convs[0] = (Conv){H, W, 1, 1, F / 2, F / 4, 1};
        convs[1] = (Conv){H, W, 3, 3, F / 4, F / 4, 2};
        convs[2] = (Conv){H / 2, W / 2, 1, 1, F / 4, F, 1};
        convs[3] = (Conv){H, W, 1, 1, F / 2, F, 2};
        return 4;
    }
    return 0;
}

/* The least k whose memory (C/c)(K/k) R S + ((W+S-1)/w)((H+R-1)/h)(K/k) fits; 0 if none. The
 * memory is compared without rounding: over the common denominator c w h. */
static uint32_t memory_k(const Conv *v, uint32_t h, uint32_t w, uint32_t c, uint32_t memlimit)
{
    double per =
        (double)v->C * v->R * v->S * w * h + (double)(v->W + v->S - 1) * (v->H + v->R - 1) * c;
    double room = (double)memlimit * c * w * h;
    double k = per * v->K / room;
    if (k > v->K)
        return 0;
    uint32_t least = k < 1 ? 1 : (uint32_t)k;
    while (per * v->K > room * least)
        least++;
    return least;
}

static double memory_of(const Conv *v, uint32_t h, uint32_t w, uint32_t c)
{
    return ((double)v->C / c * v->R * v->S +
            (double)(v->W + v->S - 1) / w * (v->H + v->R - 1) / h) *
           v->K;
}

static bool is_spare(const ContestClass *t, uint32_t h, uint32_t w, uint32_t c)
{
    bool same_h = h > 1, same_w = w > 1, same_c = c > 1;
    for (uint32_t i = 0; i < t->n_convs; i++) {
        const Conv *v = &t->convs[i];
        same_h = same_h && ceil_div(v->H, h) == ceil_div(v->H, h - 1);
        same_w = same_w && ceil_div(v->W, w) == ceil_div(v->W, w - 1);
        same_c = same_c && ceil_div(v->C, c) == ceil_div(v->C, c - 1);
    }
    return same_h || same_w || same_c;
}

/* The largest arguments of use to any convolution of the graph. */
typedef struct Most {
    uint32_t h, w, c;
} Most;

static Most find_most(const ContestModel *m, uint32_t n_classes)
{
    Most most = {0};
    for (uint32_t i = 0; i < n_classes; i++)
        for (uint32_t j = 0; j < m->classes[i].n_convs; j++) {
            const Conv *v = &m->classes[i].convs[j];
            most.h = v->H > most.h ? v->H : most.h;
            most.w = v->W > most.w ? v->W : most.w;
            most.c = v->C > most.c ? v->C : most.c;
        }
    return most;
}

/* False if the memory is too small for any k. */
static bool size_parts(const ContestClass *t, uint32_t h, uint32_t w, uint32_t c, uint32_t memlimit,
                       Part *parts)
{
    for (uint32_t i = 0; i < t->n_convs; i++) {
        const Conv *v = &t->convs[i];
        parts[i].unit = (double)(ceil_div(v->H, h) * ceil_div(v->W, w)) *
                        (double)ceil_div(v->C, c) * v->R * v->S / ((double)v->T * v->T);
        parts[i].memory = memory_of(v, h, w, c);
        parts[i].least_k = memory_k(v, h, w, c, memlimit);
        if (parts[i].least_k == 0)
            return false;
    }
    return true;
}

static void list_families(Arena *a, ContestClass *t, const Most *most, uint32_t side,
                          uint32_t memlimit)
{
    size_t n = 0;
    for (uint32_t h = 1; h <= most->h && h * 2 <= side; h++)
        for (uint32_t w = 1; w <= most->w && h * w * 2 <= side; w++)
            n += side / (h * w) - 1 < most->c ? side / (h * w) - 1 : most->c;
    t->families = arena_array(a, PackFamily, n);
    t->parts = arena_array(a, Part, n * t->n_convs);
    for (uint32_t h = 1; h <= most->h && h * 2 <= side; h++)
        for (uint32_t w = 1; w <= most->w && h * w * 2 <= side; w++)
            for (uint32_t c = 1; c <= most->c && h * w * (c + 1) <= side; c++)
                if (size_parts(t, h, w, c, memlimit, &t->parts[t->n_families * t->n_convs]))
                    t->families[t->n_families++] = (PackFamily){.h = (int32_t)(h * w * (c + 1)),
                                                                .in = {h, w, c},
                                                                .out = {h, w, c},
                                                                .spare = is_spare(t, h, w, c)};
}

/* The least k for a time limit, 0 if none. */
static uint32_t least_k(const Part *part, uint32_t K, double limit)
{
    double rounds = limit / part->unit * (1 + 1e-12);
    if (rounds < 1)
        return 0;
    uint32_t k = rounds >= K ? 1 : (K - 1) / (uint32_t)rounds + 1;
    return k > part->least_k ? k : part->least_k;
}

static uint32_t families(const void *self, uint32_t class_index, const PackFamily **list)
{
    const ContestClass *t = &((const ContestModel *)self)->classes[class_index];
    *list = t->families;
    return t->n_families;
}

/* The k of parts side by side, and what columns they take. */
typedef struct Ks {
    uint32_t k[MAX_CONVS], columns;
} Ks;

static bool least_ks(const ContestClass *t, const Part *const *parts, double limit, Ks *ks)
{
    ks->columns = 0;
    for (uint32_t i = 0; i < t->n_convs; i++) {
        ks->k[i] = least_k(parts[i], t->convs[i].K, limit);
        ks->columns += 3 * ks->k[i];
        if (ks->k[i] == 0)
            return false;
    }
    return ks->columns < 1u << 24;
}

/* The first that may be larger is, until all are as wide as the shape. */
static bool ks_of(const ContestClass *t, const Part *const *parts, const PackShape *s, Ks *ks)
{
    if (!least_ks(t, parts, s->time, ks))
        return false;
    for (uint32_t i = 0; i < t->n_convs && ks->columns < (uint32_t)s->w; i++) {
        uint32_t more = ((uint32_t)s->w - ks->columns) / 3, most = t->convs[i].K - ks->k[i];
        more = more < most ? more : most;
        ks->k[i] += more;
        ks->columns += 3 * more;
    }
    return ks->columns == (uint32_t)s->w;
}

static PackShape shape_of(const ContestClass *t, const Part *const *parts, int32_t h, const Ks *ks)
{
    double time = 0, memory = 0;
    for (uint32_t i = 0; i < t->n_convs; i++) {
        double v = parts[i]->unit * (double)ceil_div(t->convs[i].K, ks->k[i]);
        if (v > time)
            time = v;
        if (parts[i]->memory / ks->k[i] > memory)
            memory = parts[i]->memory / ks->k[i];
    }
    return (PackShape){.w = (int32_t)ks->columns, .h = h, .time = time, .memory = (uint64_t)memory};
}

static void own_parts(const ContestClass *t, uint32_t family, const Part **parts)
{
    for (uint32_t i = 0; i < t->n_convs; i++)
        parts[i] = &t->parts[(size_t)family * t->n_convs + i];
}

static bool shape(const void *self, uint32_t class_index, uint32_t family, double limit,
                  PackShape *result)
{
    const ContestClass *t = &((const ContestModel *)self)->classes[class_index];
    const Part *parts[MAX_CONVS];
    Ks ks;
    own_parts(t, family, parts);
    if (!least_ks(t, parts, limit, &ks))
        return false;
    *result = shape_of(t, parts, t->families[family].h, &ks);
    return true;
}

/* Of the convolutions of a block the first reads with the c of `in`, those that write the
 * result do it with that of `out`; one of the two is the family's, which the height is of. The
 * families with the smaller c's stand before it. */
static bool variant_parts(const ContestClass *t, uint32_t family, uint32_t in, uint32_t out,
                          const Part **parts)
{
    uint32_t c = t->families[family].in[2];
    if (t->n_convs == 1 || in < 1 || out < 1 || in > c || out > c || (in < c && out < c))
        return false;
    for (uint32_t i = 0; i < t->n_convs; i++) {
        uint32_t back = c - (i == 0 ? in : i == 1 ? c : out);
        if (back > family || t->families[family - back].in[2] != c - back ||
            t->families[family - back].in[1] != t->families[family].in[1] ||
            t->families[family - back].in[0] != t->families[family].in[0])
            return false; /* the memory is too small for that */
        parts[i] = &t->parts[(size_t)(family - back) * t->n_convs + i];
    }
    return true;
}

static bool variant(const void *self, uint32_t class_index, uint32_t family, uint32_t in,
                    uint32_t out, double limit, PackShape *result)
{
    const ContestClass *t = &((const ContestModel *)self)->classes[class_index];
    const Part *parts[MAX_CONVS];
    Ks ks;
    if (!variant_parts(t, family, in, out, parts) || !least_ks(t, parts, limit, &ks))
        return false;
    *result = shape_of(t, parts, t->families[family].h, &ks);
    return true;
}

static void parts_of(const ContestClass *t, uint32_t family, uint32_t in, uint32_t out,
                     const Part **parts)
{
    own_parts(t, family, parts);
    variant_parts(t, family, in, out, parts);
}

/* One k larger than it has to be, which costs nothing but columns. */
static bool wider(const void *self, uint32_t class_index, uint32_t family, uint32_t in,
                  uint32_t out, const PackShape *than, PackShape *result)
{
    const ContestClass *t = &((const ContestModel *)self)->classes[class_index];
    const Part *parts[MAX_CONVS];
    PackShape next = *than;
    Ks ks;
    next.w += 3;
    parts_of(t, family, in, out, parts);
    if (!ks_of(t, parts, &next, &ks))
        return false;
    *result = shape_of(t, parts, than->h, &ks);
    return true;
}

static bool same_formal(const KgraphNode *a, const KgraphNode *b)
{
    return a->type == b->type && a->H == b->H && a->W == b->W && a->R == b->R && a->S == b->S &&
           a->C == b->C && a->K == b->K && a->T == b->T && a->U == b->U;
}

ContestModel *contest_model(Arena *a, const Kgraph *g, PackModel *model, PackProblem *problem,
                            const uint32_t **node_of)
{
    ContestModel *m = arena_new(a, ContestModel);
    uint32_t *kernel_of = arena_array(a, uint32_t, g->n_nodes);
    uint32_t *nodes = arena_array(a, uint32_t, g->n_nodes),
             *class_of = arena_array(a, uint32_t, g->n_nodes);
    PackEdge *edges = arena_array(a, PackEdge, g->n_edges);
    uint32_t n_kernels = 0, n_classes = 0, n_edges = 0;
    m->classes = arena_array(a, ContestClass, g->n_nodes);
    m->memlimit = g->memlimit;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const KgraphNode *v = &g->nodes[i];
        kernel_of[i] = UINT32_MAX;
        if (v->type == KGRAPH_INPUT || v->type == KGRAPH_OUTPUT)
            continue;
        uint32_t c = 0;
        while (c < n_classes && !same_formal(&m->classes[c].formal, v))
            c++;
        if (c == n_classes) {
            m->classes[c].formal = *v;
            m->classes[c].n_convs = convs_of(v, m->classes[c].convs);
            n_classes++;
        }
        kernel_of[i] = n_kernels;
        nodes[n_kernels] = i;
        class_of[n_kernels++] = c;
    }
    Most most = find_most(m, n_classes);
    for (uint32_t c = 0; c < n_classes; c++)
        list_families(a, &m->classes[c], &most, g->width > g->height ? g->width : g->height,
                      g->memlimit);
    for (uint32_t e = 0; e < g->n_edges; e++) {
        uint32_t from = kernel_of[g->edges[e].from], to = kernel_of[g->edges[e].to];
        if (from != UINT32_MAX && to != UINT32_MAX)
            edges[n_edges++] = (PackEdge){.from = from, .to = to, .weight = 1};
    }
    *model = (PackModel){m, families, shape, variant, wider};
    *problem = (PackProblem){.model = model,
                             .w = (int32_t)g->width,
                             .h = (int32_t)g->height,
                             .n_classes = n_classes,
                             .n_kernels = n_kernels,
                             .n_edges = n_edges,
                             .class_of = class_of,
                             .edges = edges,
                             .time = g->wdeltat,
                             .wire = g->wlength,
                             .adapter = g->wadapter};
    *node_of = nodes;
    return m;
}

void contest_write(Text *t, const Kgraph *g, const ContestModel *m, const PackProblem *p,
                   const uint32_t *node_of, const PackPlace *places)
{
    for (uint32_t i = 0; i < p->n_kernels; i++) {
        const KgraphNode *v = &g->nodes[node_of[i]];
        const ContestClass *c = &m->classes[p->class_of[i]];
        const PackPlace *at = &places[i];
        const PackFamily *f = &c->families[at->family];
        text_printf(t, "%s = ", v->name);
        if (v->type == KGRAPH_CONV)
            text_printf(t, "conv( %u %u %u %u %u %u %u %u", v->H, v->W, v->C, v->K, v->R, v->S,
                        v->T, v->U);
        else
            text_printf(t, "%s( %u %u %u", v->type == KGRAPH_DBLOCK ? "dblock" : "cblock", v->H,
                        v->W, v->C);
        const Part *parts[MAX_CONVS];
        Ks ks;
        parts_of(c, at->family, at->in, at->out, parts);
        ks_of(c, parts, &at->shape, &ks);
        text_printf(t, " %u %u", f->in[0], f->in[1]);
        for (uint32_t j = 0; j < c->n_convs; j++)
            text_printf(t, " %u", j == 0 ? at->in : j == 1 ? f->in[2] : at->out);
        for (uint32_t j = 0; j < c->n_convs; j++)
            text_printf(t, " %u", ks.k[j]);
        text_printf(t, " )\n%s : place(%d %d %s)\n", v->name, at->x, at->y,
                    at->turned ? "R90" : "R0");
    }
}
