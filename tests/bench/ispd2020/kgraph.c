/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/ispd2020/kgraph.c - reads the graph format of the ISPD 2020 contest: comments
 * (* .. *), of which the lines key=value set limits and weights; nodes TYPE[ID] key=value ..;
 * edges TYPE[ID]:PORT -> TYPE[ID]:PORT, shape:.. (ports and shapes are not needed). Blanks may
 * stand anywhere; a byte order mark and CR LF are taken. What the header does not give has the
 * contest's usual value, and a note says so; what is likely not meant is warned of.
 * O(text + (nodes + edges) * log). */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/io.h"
#include "ir/support/text.h"
#include "ir/support/vec.h"
#include "tests/bench/ispd2020/kgraph.h"

enum { MAX_NODES = 100000, MAX_ARGUMENT = 1 << 20, MAX_SIDE = 4096, FILE_LIMIT = 64 << 20 };

typedef struct PendingEdge {
    uint32_t id[2];
    KgraphType type[2];
    Span span;
} PendingEdge;

typedef struct Reader {
    Arena *a;
    Diag *d;
    const char *text;
    uint32_t pos, len, file;
    unsigned header; /* a bit for every key that was given */
    Kgraph *g;
    VEC(KgraphNode) nodes;
    VEC(PendingEdge) pending;
    VEC(KgraphEdge) edges;
} Reader;

static const char *const type_names[] = {"input", "output", "conv", "dblock", "cblock"};

enum { N_KEYS = 6 };
static const char *const keys[N_KEYS + 1] = {"width",   "height",   "memlimit", "wdeltat",
                                             "wlength", "wadapter", "test"};

static Span span_at(const Reader *r, uint32_t begin)
{
    return (Span){r->file, begin, r->pos > begin ? r->pos : begin + 1};
}

static void skip_blanks(Reader *r)
{
    while (r->pos < r->len &&
           (r->text[r->pos] == ' ' || r->text[r->pos] == '\t' || r->text[r->pos] == '\r'))
        r->pos++;
}

static bool take(Reader *r, char c)
{
    skip_blanks(r);
    if (r->pos >= r->len || r->text[r->pos] != c)
        return false;
    r->pos++;
    return true;
}

static bool at_line_end(Reader *r)
{
    skip_blanks(r);
    return r->pos >= r->len || r->text[r->pos] == '\n' ||
           (r->text[r->pos] == '(' && r->pos + 1 < r->len && r->text[r->pos + 1] == '*');
}

static uint32_t word(Reader *r, const char **begin)
{
    skip_blanks(r);
    *begin = r->text + r->pos;
    uint32_t first = r->pos;
    while (r->pos < r->len && (isalnum((unsigned char)r->text[r->pos]) || r->text[r->pos] == '_'))
        r->pos++;
    return r->pos - first;
}

static bool number(Reader *r, uint32_t least, uint32_t most, uint32_t *value)
{
    const char *begin;
    uint32_t n = word(r, &begin), at = r->pos - n;
    uint64_t v = 0;
    bool ok = n > 0;
    for (uint32_t i = 0; i < n && ok; i++) {
        ok = isdigit((unsigned char)begin[i]) && v <= most;
        v = v * 10 + (uint64_t)(begin[i] - '0');
    }
    if (!ok || v < least || v > most)
        return diag_error(r->d, span_at(r, at), "expected a number from %u to %u", least, most);
    *value = (uint32_t)v;
    return true;
}

static bool header_line(Reader *r, const char *key, size_t key_len, const char *value)
{
    Kgraph *g = r->g;
    size_t i = 0;
    while (i < N_KEYS && (strlen(keys[i]) != key_len || memcmp(keys[i], key, key_len)))
        i++;
    if (i == N_KEYS) {
        uint32_t at = (uint32_t)(key - r->text);
        const char *name = arena_strdup(r->a, key, key_len);
        const char *near = text_nearest(name, keys, N_KEYS + 1);
        diag_warning(r->d, (Span){r->file, at, at + (key_len ? (uint32_t)key_len : 1)},
                     "unknown key '%.64s' is passed over%s%s%s", name,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        return true;
    }
    r->header |= 1u << i;
    char *end;
    double v = strtod(value, &end);
    bool whole = i < 3;
    double most = i < 2 ? MAX_SIDE : 1e9;
    if (end == value || !(v >= (whole ? 1 : 0)) || v > most ||
        (whole && v != (double)(uint32_t)v) || (i == 3 && v == 0))
        return diag_error(r->d, span_at(r, (uint32_t)(key - r->text)),
                          "%s: expected a number up to %g", keys[i], most);
    switch (i) {
    case 0:
        g->width = (uint32_t)v;
        break;
    case 1:
        g->height = (uint32_t)v;
        break;
    case 2:
        g->memlimit = (uint32_t)v;
        break;
    case 3:
        g->wdeltat = v;
        break;
    case 4:
        g->wlength = v;
        break;
    case 5:
        g->wadapter = v;
        break;
    }
    return true;
}

static bool comment(Reader *r)
{
    uint32_t begin = r->pos;
    const char *end = strstr(r->text + r->pos + 2, "*)");
    if (!end || end >= r->text + r->len)
        return diag_error(r->d, span_at(r, begin), "the comment does not end");
    const char *p = r->text + r->pos + 2;
    while (p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p)), *eq;
        if (!eol)
            eol = end;
        while (p < eol && isspace((unsigned char)*p))
            p++;
        eq = memchr(p, '=', (size_t)(eol - p));
        if (eq) {
            size_t n = (size_t)(eq - p);
            while (n && isspace((unsigned char)p[n - 1]))
                n--;
            size_t value = (size_t)(eol - eq - 1);
            while (value && isspace((unsigned char)eq[value]))
                value--;
            if (n == 4 && !memcmp(p, "test", 4))
                r->g->test = arena_strdup(r->a, eq + 1, value);
            else if (!header_line(r, p, n, arena_strdup(r->a, eq + 1, value)))
                return false;
        }
        p = eol < end ? eol + 1 : end;
    }
    r->pos = (uint32_t)(end + 2 - r->text);
    return true;
}

static bool reference(Reader *r, KgraphType *type, uint32_t *id)
{
    const char *begin;
    uint32_t n = word(r, &begin), at = r->pos - n, i = 0;
    while (i < 5 && (strlen(type_names[i]) != n || memcmp(type_names[i], begin, n)))
        i++;
    if (i == 5)
        return diag_error(r->d, span_at(r, at), "expected input, output, conv, dblock or cblock");
    *type = (KgraphType)i;
    if (!take(r, '['))
        return diag_error(r->d, span_at(r, r->pos), "expected '['");
    if (!number(r, 0, 1000000000, id))
        return false;
    if (!take(r, ']'))
        return diag_error(r->d, span_at(r, r->pos), "expected ']'");
    return true;
}

static bool node_pairs(Reader *r, KgraphNode *node)
{
    struct {
        char key;
        uint32_t *value;
    } fields[] = {{'H', &node->H}, {'W', &node->W}, {'R', &node->R}, {'S', &node->S},
                  {'C', &node->C}, {'K', &node->K}, {'T', &node->T}, {'U', &node->U},
                  {'h', &node->H}, {'w', &node->W}, {'f', &node->C}};
    bool seen[11] = {false}, conv = node->type == KGRAPH_CONV;
    bool block = node->type == KGRAPH_CBLOCK || node->type == KGRAPH_DBLOCK;
    while (!at_line_end(r)) {
        const char *key, *value;
        uint32_t at = r->pos, n = word(r, &key);
        if (n == 0 || !take(r, '='))
            return diag_error(r->d, span_at(r, at), "expected KEY=VALUE");
        if (n == 4 && !memcmp(key, "name", 4)) {
            char quote = take(r, '\'') ? '\'' : take(r, '"') ? '"' : 0;
            uint32_t m = word(r, &value);
            if (m == 0 || m > 60 || (quote && !take(r, quote)))
                return diag_error(r->d, span_at(r, at),
                                  "a name of letters, digits and '_' is needed");
            node->name = arena_strdup(r->a, value, m);
        } else if (take(r, '[')) {
            while (r->pos < r->len && r->text[r->pos] != ']' && r->text[r->pos] != '\n')
                r->pos++;
            if (!take(r, ']'))
                return diag_error(r->d, span_at(r, at), "the list does not end");
        } else {
            unsigned i = 0;
            while (i < 11 && (n != 1 || fields[i].key != key[0]))
                i++;
            if (i == 11 || (conv && i >= 8) || (block && i < 8))
                return diag_error(r->d, span_at(r, at), "%s has no argument '%.*s'",
                                  type_names[node->type], (int)n, key);
            if (!number(r, 1, MAX_ARGUMENT, fields[i].value))
                return false;
            seen[i] = true;
        }
    }
    for (unsigned i = conv ? 0 : 8; i < (conv ? 8u : block ? 11u : 8u); i++)
        if (!seen[i] && fields[i].key != 'U')
            return diag_error(r->d, node->span, "%s: argument '%c' is missing",
                              type_names[node->type], fields[i].key);
    if (block && node->C % 4)
        return diag_error(r->d, node->span, "f=%u is no multiple of 4", node->C);
    if (node->type == KGRAPH_CBLOCK && (node->H % 2 || node->W % 2))
        return diag_error(r->d, node->span, "cblock: h=%u and w=%u have to be even", node->H,
                          node->W);
    return true;
}

static bool statement(Reader *r)
{
    uint32_t begin = r->pos;
    KgraphNode node = {0};
    const char *port;
    if (!reference(r, &node.type, &node.id))
        return false;
    if (!take(r, ':')) {
        node.span = span_at(r, begin);
        if (!node_pairs(r, &node))
            return false;
        if (!node.name)
            node.name = arena_printf(r->a, "k%u", node.id);
        if (r->nodes.n == MAX_NODES)
            return diag_error(r->d, node.span, "more than %d nodes", MAX_NODES);
        vec_push(r->a, &r->nodes, node);
        return true;
    }
    PendingEdge e = {.id = {node.id, 0}, .type = {node.type, KGRAPH_INPUT}};
    word(r, &port);
    if (!take(r, '-') || !take(r, '>'))
        return diag_error(r->d, span_at(r, r->pos), "expected '->'");
    if (!reference(r, &e.type[1], &e.id[1]))
        return false;
    if (take(r, ':'))
        word(r, &port);
    e.span = span_at(r, begin);
    while (r->pos < r->len && r->text[r->pos] != '\n')
        r->pos++;
    if (r->pending.n == 8 * (size_t)MAX_NODES)
        return diag_error(r->d, e.span, "more than %d edges", 8 * MAX_NODES);
    vec_push(r->a, &r->pending, e);
    return true;
}

typedef struct ById {
    uint32_t id, index;
} ById;

static int compare_ids(const void *a, const void *b)
{
    const ById *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int compare_names(const void *a, const void *b)
{
    const KgraphNode *x = *(KgraphNode *const *)a, *y = *(KgraphNode *const *)b;
    return strcmp(x->name, y->name);
}

static bool connect(Reader *r)
{
    uint32_t n = (uint32_t)r->nodes.n;
    ById *ids = arena_array(r->a, ById, n);
    KgraphNode **names = arena_array(r->a, KgraphNode *, n);
    for (uint32_t i = 0; i < n; i++) {
        ids[i] = (ById){r->nodes.data[i].id, i};
        names[i] = &r->nodes.data[i];
    }
    if (n) {
        qsort(ids, n, sizeof *ids, compare_ids);
        qsort(names, n, sizeof *names, compare_names);
    }
    for (uint32_t i = 1; i < n; i++) {
        if (ids[i].id == ids[i - 1].id)
            return diag_error(r->d, r->nodes.data[ids[i].index].span,
                              "two nodes have the number %u", ids[i].id);
        if (!strcmp(names[i]->name, names[i - 1]->name))
            return diag_error(r->d, names[i]->span, "two nodes have the name '%s'", names[i]->name);
    }
    for (size_t e = 0; e < r->pending.n; e++) {
        const PendingEdge *p = &r->pending.data[e];
        uint32_t ends[2];
        for (unsigned side = 0; side < 2; side++) {
            ById key = {p->id[side], 0},
                 *found = n ? bsearch(&key, ids, n, sizeof key, compare_ids) : NULL;
            if (!found || r->nodes.data[found->index].type != p->type[side])
                return diag_error(r->d, p->span, "there is no node %s[%u]",
                                  type_names[p->type[side]], p->id[side]);
            ends[side] = found->index;
        }
        if (ends[0] == ends[1])
            return diag_error(r->d, p->span, "an edge from a node to itself");
        vec_push(r->a, &r->edges, ((KgraphEdge){ends[0], ends[1]}));
    }
    return true;
}

/* What the header leaves out. */
static void assumed(Reader *r)
{
    const Kgraph *g = r->g;
    const double value[N_KEYS] = {g->width,   g->height,  g->memlimit,
                                  g->wdeltat, g->wlength, g->wadapter};
    const char *list = "";
    for (unsigned i = 0; i < N_KEYS; i++)
        if (!(r->header >> i & 1))
            list = arena_printf(r->a, "%s%s%s=%g", list, *list ? ", " : "", keys[i], value[i]);
    if (*list)
        diag_note(r->d, (Span){r->file, 0, 1}, "not given in a header, assumed: %s", list);
}

typedef struct BySides {
    KgraphEdge edge;
    uint32_t index;
} BySides;

static int compare_sides(const void *a, const void *b)
{
    const BySides *x = a, *y = b;
    if (x->edge.from != y->edge.from)
        return x->edge.from < y->edge.from ? -1 : 1;
    if (x->edge.to != y->edge.to)
        return x->edge.to < y->edge.to ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* Takes away nodes that no other feeds, then those that only these fed, and so on: of what is
 * left, each has an edge from another that is left, and going back along them ends in a circle. */
static bool no_cycle(Reader *r, const BySides *sorted)
{
    uint32_t n = (uint32_t)r->nodes.n, n_edges = (uint32_t)r->edges.n, n_free = 0, e = 0;
    uint32_t *fed = arena_array(r->a, uint32_t, n), *first = arena_array(r->a, uint32_t, n + 1);
    uint32_t *freed = arena_array(r->a, uint32_t, n), *back = arena_array(r->a, uint32_t, n);
    for (uint32_t i = 0; i <= n; i++) {
        while (e < n_edges && sorted[e].edge.from < i)
            e++;
        first[i] = e;
    }
    for (e = 0; e < n_edges; e++)
        fed[sorted[e].edge.to]++;
    for (uint32_t i = 0; i < n; i++)
        if (!fed[i])
            freed[n_free++] = i;
    for (uint32_t i = 0; i < n_free; i++)
        for (e = first[freed[i]]; e < first[freed[i] + 1]; e++)
            if (--fed[sorted[e].edge.to] == 0)
                freed[n_free++] = sorted[e].edge.to;
    if (n_free == n)
        return true;
    uint32_t at = 0, steps = 0;
    for (e = n_edges; e-- > 0;)
        if (fed[sorted[e].edge.from] && fed[sorted[e].edge.to])
            back[sorted[e].edge.to] = sorted[e].index;
    while (!fed[at])
        at++;
    for (; steps < n; steps++) /* so many lead into the circle */
        at = r->edges.data[back[at]].from;
    uint32_t begin = at, length = 0, last = back[at];
    do {
        at = r->edges.data[back[at]].from;
        last = back[at] > last ? back[at] : last;
        length++;
    } while (at != begin);
    return diag_error(r->d, r->pending.data[last].span, "this edge closes a circle of %u nodes",
                      length);
}

/* What a graph of the contest does not have: an error if nothing can be made of it. */
static bool sensible(Reader *r)
{
    uint32_t n_edges = (uint32_t)r->edges.n, repeats = 0, repeat = UINT32_MAX;
    const KgraphNode *kernel = NULL;
    size_t n_kernels = 0;
    for (size_t i = 0; i < r->nodes.n; i++) {
        if (r->nodes.data[i].type == KGRAPH_INPUT || r->nodes.data[i].type == KGRAPH_OUTPUT)
            continue;
        kernel = &r->nodes.data[i];
        n_kernels++;
    }
    if (!kernel)
        return diag_error(r->d, (Span){r->file, 0, 1}, "the graph has no kernel");
    assumed(r);
    if (n_kernels > 1 && !n_edges)
        diag_warning(r->d, kernel->span, "%zu kernels and no edge: is the file whole?", n_kernels);
    BySides *sorted = arena_array(r->a, BySides, n_edges);
    for (uint32_t i = 0; i < n_edges; i++)
        sorted[i] = (BySides){r->edges.data[i], i};
    if (n_edges)
        qsort(sorted, n_edges, sizeof *sorted, compare_sides);
    for (uint32_t i = 1; i < n_edges; i++) {
        const KgraphEdge *e = &sorted[i].edge, *before = &sorted[i - 1].edge;
        if (e->from != before->from || e->to != before->to)
            continue;
        repeats++;
        repeat = sorted[i].index < repeat ? sorted[i].index : repeat;
    }
    if (repeats)
        diag_warning(r->d, r->pending.data[repeat].span,
                     "the edge from %s to %s is given before and counts again; edges that repeat "
                     "others: %u",
                     r->nodes.data[r->edges.data[repeat].from].name,
                     r->nodes.data[r->edges.data[repeat].to].name, repeats);
    return no_cycle(r, sorted);
}

bool kgraph_parse(Arena *a, Diag *d, const char *name, const char *text, size_t len, Kgraph *g)
{
    *g = (Kgraph){.width = 633, .height = 633, .memlimit = 24576, .wdeltat = 1, .wlength = 1};
    if (len > FILE_LIMIT)
        return diag_error(d, (Span){0}, "%s: too large", name);
    Reader r = {.a = a, .d = d, .g = g, .len = (uint32_t)len};
    r.text = arena_strdup(a, text, len);
    r.file = diag_add_source(d, name, text, len);
    if (memchr(text, 0, len))
        return diag_error(d, (Span){r.file, 0, 1}, "not a text: it contains a zero byte");
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        r.pos = 3;
    for (;;) {
        skip_blanks(&r);
        if (r.pos >= r.len)
            break;
        bool ok = true;
        if (r.text[r.pos] == '\n')
            r.pos++;
        else if (r.text[r.pos] == '(' && r.text[r.pos + 1] == '*')
            ok = comment(&r);
        else
            ok = statement(&r);
        if (!ok)
            return false;
    }
    if (!connect(&r) || !sensible(&r))
        return false;
    g->nodes = r.nodes.data;
    g->n_nodes = (uint32_t)r.nodes.n;
    g->edges = r.edges.data;
    g->n_edges = (uint32_t)r.edges.n;
    return true;
}

bool kgraph_read(Arena *a, Diag *d, const char *path, Kgraph *g)
{
    Bytes b;
    if (!io_read(d, path, FILE_LIMIT, &b))
        return false;
    bool ok = kgraph_parse(a, d, path, (const char *)b.data, b.len, g);
    bytes_free(&b);
    return ok;
}
