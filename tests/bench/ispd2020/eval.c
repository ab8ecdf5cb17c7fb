/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/ispd2020/eval.c - an evaluator of the contest's solutions, written from the
 * contest's description and sharing nothing with what makes solutions.
 *
 *     NAME = TYPE( formal .. execution .. )
 *     NAME : place(X Y R0|R90)
 * The lines include "..", NAME : name('NAME) and ANY = union( NAME .. ) of the contest say
 * nothing that counts; their form and the kernels' names in them are checked. A byte order mark
 * is taken. Times are exact rationals (in sixteenths would do for T = 4; the T^2 of the graph is
 * kept), memory is compared exactly. O(kernels^2 + edges). */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/ispd2020/eval.h"

enum { MAX_VALUES = 16, VALUE_LIMIT = 1 << 20 };

typedef struct Given {
    bool instantiated, placed, turned;
    uint64_t h, w, first_c, last_c;
    uint64_t height, width;
    double time;
    int64_t x, y;
    Span span, place_span;
} Given;

typedef struct Scan {
    Diag *d;
    const Kgraph *g;
    const char *line; /* of the text, which goes on to `end` */
    const char *at, *end, *text;
    uint32_t file;
    Given *given;
} Scan;

static Span where(const Scan *s)
{
    uint32_t at = (uint32_t)(s->at - s->text);
    return (Span){s->file, at, at + 1};
}

static Span whole_line(const Scan *s)
{
    return (Span){s->file, (uint32_t)(s->line - s->text), (uint32_t)(s->end - s->text)};
}

static void blanks(Scan *s)
{
    while (s->at < s->end && isspace((unsigned char)*s->at))
        s->at++;
}

static bool accept(Scan *s, const char *what)
{
    size_t n = strlen(what);
    blanks(s);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, what, n) != 0)
        return false;
    s->at += n;
    return true;
}

static bool need(Scan *s, const char *what)
{
    return accept(s, what) || diag_error(s->d, where(s), "expected '%s'", what);
}

static size_t name_length(Scan *s)
{
    size_t n = 0;
    blanks(s);
    while (s->at + n < s->end && (isalnum((unsigned char)s->at[n]) || s->at[n] == '_'))
        n++;
    return n;
}

static bool whole_number(Scan *s, int64_t *value)
{
    blanks(s);
    bool negative = s->at < s->end && *s->at == '-';
    const char *p = s->at + negative;
    if (p >= s->end || !isdigit((unsigned char)*p))
        return diag_error(s->d, where(s), "expected a whole number");
    int64_t v = 0;
    while (p < s->end && isdigit((unsigned char)*p) && v <= VALUE_LIMIT)
        v = v * 10 + (*p++ - '0');
    if (v > VALUE_LIMIT)
        return diag_error(s->d, where(s), "the number is too large");
    s->at = p;
    *value = negative ? -v : v;
    return true;
}

static bool line_over(Scan *s)
{
    blanks(s);
    return s->at == s->end || diag_error(s->d, where(s), "unexpected text behind the statement");
}

/* k7, or zero padded k07. */
static bool same_name(const char *name, const char *given, size_t n)
{
    if (strlen(name) == n && memcmp(name, given, n) == 0)
        return true;
    if (n < 3 || name[0] != 'k' || given[0] != 'k')
        return false;
    size_t i = 1;
    while (i + 1 < n && given[i] == '0')
        i++;
    return i > 1 && strlen(name + 1) == n - i && memcmp(name + 1, given + i, n - i) == 0;
}

static uint32_t find_node(const Kgraph *g, const char *given, size_t n)
{
    uint32_t i = 0;
    while (i < g->n_nodes && !same_name(g->nodes[i].name, given, n))
        i++;
    return i;
}

/* Adds one convolution of a kernel to what is known of it. */
static bool convperf(Scan *s, Given *k, const char *which, uint64_t H, uint64_t W, uint64_t R,
                     uint64_t S, uint64_t C, uint64_t K, uint64_t T, uint64_t c, uint64_t kk)
{
    uint64_t h = k->h, w = k->w;
    if (h * w > VALUE_LIMIT || h * w * (c + 1) > 1ull << 40)
        return diag_error(s->d, whole_line(s), "the kernel is too high");
    uint64_t height = h * w * (c + 1);
    if (height > k->height)
        k->height = height;
    k->width += 3 * kk;
    double steps = (double)((H + h - 1) / h) * (double)((W + w - 1) / w) *
                   (double)((C + c - 1) / c) * (double)((K + kk - 1) / kk);
    double time = steps * (double)(R * S) / (double)(T * T);
    if (time > k->time)
        k->time = time;
    /* C/c K/k R S + (W+S-1)/w (H+R-1)/h K/k <= limit, times c k w h */
    long double used =
        (long double)C * K * R * S * w * h + (long double)(W + S - 1) * (H + R - 1) * K * c;
    long double limit = (long double)s->g->memlimit * c * kk * w * h;
    if (used > limit)
        return diag_error(s->d, whole_line(s), "%s takes %.2Lf of memory, the limit is %u", which,
                          used / (limit / s->g->memlimit), s->g->memlimit);
    return true;
}

static bool formal(Scan *s, const int64_t *values, const uint32_t *wanted, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (values[i] != (int64_t)wanted[i])
            return diag_error(s->d, whole_line(s), "formal argument %u is %lld, the graph says %u",
                              i + 1, (long long)values[i], wanted[i]);
    return true;
}

static bool instantiate(Scan *s, const KgraphNode *v, Given *k)
{
    static const char *const names[] = {"input", "output", "conv", "dblock", "cblock"};
    int64_t p[MAX_VALUES];
    unsigned n = 0, wanted = v->type == KGRAPH_CONV ? 12 : v->type == KGRAPH_DBLOCK ? 11 : 13;
    if (k->instantiated)
        return diag_error(s->d, whole_line(s), "%s is instantiated twice", v->name);
    k->instantiated = true;
    k->span = whole_line(s);
    size_t length = name_length(s);
    if (strlen(names[v->type]) != length || memcmp(names[v->type], s->at, length) != 0)
        return diag_error(s->d, where(s), "%s is a %s in the graph", v->name, names[v->type]);
    s->at += length;
    if (!need(s, "("))
        return false;
    while (!accept(s, ")")) {
        if (n == MAX_VALUES)
            return diag_error(s->d, where(s), "too many arguments");
        if (!whole_number(s, &p[n]))
            return false;
        if (p[n] < 1)
            return diag_error(s->d, whole_line(s), "argument %u is %lld; 1 is the least", n + 1,
                              (long long)p[n]);
        n++;
    }
    if (n != wanted)
        return diag_error(s->d, whole_line(s), "%u arguments, %s takes %u", n, names[v->type],
                          wanted);
    if (!line_over(s))
        return false;
    const uint32_t conv_formal[] = {v->H, v->W, v->C, v->K, v->R, v->S, v->T, v->U};
    const uint32_t block_formal[] = {v->H, v->W, v->C};
    uint64_t H = v->H, W = v->W, F = v->C;
    unsigned formals = v->type == KGRAPH_CONV ? 8 : 3;
    if (!formal(s, p, v->type == KGRAPH_CONV ? conv_formal : block_formal,
                v->type == KGRAPH_CONV && v->U == 0 ? 7 : formals))
        return false;
    uint64_t e[MAX_VALUES];
    for (unsigned i = formals; i < n; i++)
        e[i - formals] = (uint64_t)p[i];
    k->h = e[0];
    k->w = e[1];
    k->first_c = e[2];
    if (v->type == KGRAPH_CONV) {
        k->last_c = e[2];
        return convperf(s, k, "conv", H, W, v->R, v->S, v->C, v->K, v->T, e[2], e[3]);
    }
    if (v->type == KGRAPH_DBLOCK) {
        k->last_c = e[4];
        return convperf(s, k, "conv1", H, W, 1, 1, F, F / 4, 1, e[2], e[5]) &&
               convperf(s, k, "conv2", H, W, 3, 3, F / 4, F / 4, 1, e[3], e[6]) &&
               convperf(s, k, "conv3", H, W, 1, 1, F / 4, F, 1, e[4], e[7]);
    }
    k->last_c = e[5];
    return convperf(s, k, "conv1", H, W, 1, 1, F / 2, F / 4, 1, e[2], e[6]) &&
           convperf(s, k, "conv2", H, W, 3, 3, F / 4, F / 4, 2, e[3], e[7]) &&
           convperf(s, k, "conv3", H / 2, W / 2, 1, 1, F / 4, F, 1, e[4], e[8]) &&
           convperf(s, k, "conv4", H, W, 1, 1, F / 2, F, 2, e[5], e[9]);
}

static bool place(Scan *s, const KgraphNode *v, Given *k)
{
    if (k->placed)
        return diag_error(s->d, whole_line(s), "%s is placed twice", v->name);
    k->placed = true;
    k->place_span = whole_line(s);
    if (!need(s, "(") || !whole_number(s, &k->x) || !whole_number(s, &k->y))
        return false;
    if (accept(s, "R90"))
        k->turned = true;
    else if (!accept(s, "R0"))
        return diag_error(s->d, where(s), "expected R0 or R90");
    return need(s, ")") && line_over(s);
}

static bool is_kernel(const Scan *s, uint32_t node)
{
    return node < s->g->n_nodes && s->g->nodes[node].type != KGRAPH_INPUT &&
           s->g->nodes[node].type != KGRAPH_OUTPUT;
}

/* The kernel whose name comes next. */
static bool kernel_name(Scan *s, uint32_t *node)
{
    size_t n = name_length(s);
    Span at = where(s);
    if (n == 0)
        return diag_error(s->d, at, "expected the name of a kernel");
    *node = find_node(s->g, s->at, n);
    at.end = at.begin + (uint32_t)n;
    if (!is_kernel(s, *node))
        return diag_error(s->d, at, "the graph has no kernel '%.*s'", (int)n, s->at);
    s->at += n;
    return true;
}

static bool unite(Scan *s)
{
    uint32_t node;
    if (!need(s, "("))
        return false;
    while (!accept(s, ")"))
        if (!kernel_name(s, &node))
            return false;
    return line_over(s);
}

static bool call(Scan *s, uint32_t node)
{
    uint32_t called;
    if (!need(s, "(") || !need(s, "'") || !kernel_name(s, &called))
        return false;
    accept(s, "'");
    if (called != node)
        return diag_error(s->d, whole_line(s), "%s is called %s", s->g->nodes[node].name,
                          s->g->nodes[called].name);
    return need(s, ")") && line_over(s);
}

static bool include(Scan *s)
{
    if (!need(s, "\""))
        return false;
    while (s->at < s->end && *s->at != '"')
        s->at++;
    return need(s, "\"") && line_over(s);
}

static bool evaluate_line(Scan *s)
{
    blanks(s);
    if (s->at == s->end)
        return true;
    size_t n = name_length(s);
    const char *name = s->at;
    if (n == 0)
        return diag_error(s->d, where(s), "expected the name of a kernel");
    s->at += n;
    if (n == 7 && memcmp(name, "include", 7) == 0)
        return include(s);
    bool assign = accept(s, "=");
    if (!assign && !need(s, ":"))
        return false;
    size_t verb = name_length(s);
    if (assign && verb == 5 && memcmp(s->at, "union", 5) == 0) {
        s->at += verb;
        return unite(s);
    }
    uint32_t node = find_node(s->g, name, n);
    if (!is_kernel(s, node))
        return diag_error(s->d, whole_line(s), "the graph has no kernel '%.*s'", (int)n, name);
    const KgraphNode *v = &s->g->nodes[node];
    if (assign)
        return instantiate(s, v, &s->given[node]);
    if (verb == 4 && memcmp(s->at, "name", 4) == 0) {
        s->at += verb;
        return call(s, node);
    }
    if (verb != 5 || memcmp(s->at, "place", 5) != 0)
        return diag_error(s->d, where(s), "expected place or name");
    s->at += verb;
    return place(s, v, &s->given[node]);
}

static bool check_place(Scan *s, EvalResult *r, uint32_t node)
{
    const Kgraph *g = s->g;
    const Given *k = &s->given[node];
    const char *name = g->nodes[node].name;
    if (!k->instantiated || !k->placed)
        return diag_error(s->d, k->instantiated ? k->span : k->place_span, "%s is not %s", name,
                          k->instantiated ? "placed" : "instantiated");
    EvalPlaced p = {.node = node, .x = k->x, .y = k->y, .time = k->time, .turned = k->turned};
    p.w = (int64_t)(k->turned ? k->height : k->width);
    p.h = (int64_t)(k->turned ? k->width : k->height);
    if (p.x < 0 || p.y < 0 || p.x + p.w > g->width || p.y + p.h > g->height)
        return diag_error(s->d, k->place_span, "%s, %lld x %lld, leaves the grid of %u x %u", name,
                          (long long)p.w, (long long)p.h, g->width, g->height);
    for (uint32_t i = 0; i < r->n_placed; i++) {
        const EvalPlaced *o = &r->placed[i];
        if (p.x < o->x + o->w && o->x < p.x + p.w && p.y < o->y + o->h && o->y < p.y + p.h)
            return diag_error(s->d, k->place_span, "%s and %s overlap", name,
                              g->nodes[o->node].name);
    }
    r->placed[r->n_placed++] = p;
    if (p.time > r->time)
        r->time = p.time;
    return true;
}

bool eval_solution(Arena *a, Diag *d, const Kgraph *g, const char *name, const char *text,
                   size_t len, EvalResult *r)
{
    *r = (EvalResult){.placed = arena_array(a, EvalPlaced, g->n_nodes),
                      .mismatches = arena_array(a, uint8_t, g->n_edges)};
    uint32_t *placed_of = arena_array(a, uint32_t, g->n_nodes);
    if (len > 64u << 20)
        return diag_error(d, (Span){0}, "%s: too large", name);
    Scan s = {.d = d, .g = g, .text = text, .file = diag_add_source(d, name, text, len)};
    s.given = arena_array(a, Given, g->n_nodes);
    size_t mark = len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
    for (size_t begin = mark; begin < len;) {
        const char *newline = memchr(text + begin, '\n', len - begin);
        s.line = s.at = text + begin;
        s.end = newline ? newline : text + len;
        begin = (size_t)(s.end - text) + 1;
        if (!evaluate_line(&s))
            return false;
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].type == KGRAPH_INPUT || g->nodes[i].type == KGRAPH_OUTPUT)
            continue;
        placed_of[i] = r->n_placed;
        if (!check_place(&s, r, i))
            return false;
    }
    int64_t half_units = 0;
    for (uint32_t e = 0; e < g->n_edges; e++) {
        uint32_t from = g->edges[e].from, to = g->edges[e].to;
        if (g->nodes[from].type == KGRAPH_INPUT || g->nodes[to].type == KGRAPH_OUTPUT ||
            g->nodes[from].type == KGRAPH_OUTPUT || g->nodes[to].type == KGRAPH_INPUT)
            continue;
        const EvalPlaced *p = &r->placed[placed_of[from]], *q = &r->placed[placed_of[to]];
        half_units +=
            llabs(2 * p->x + p->w - 2 * q->x - q->w) + llabs(2 * p->y + p->h - 2 * q->y - q->h);
        const Given *x = &s.given[from], *y = &s.given[to];
        r->mismatches[e] = (uint8_t)((x->h != y->h) + (x->w != y->w) + (x->last_c != y->first_c));
        r->adapters += r->mismatches[e];
    }
    r->wire = (double)half_units / 2;
    r->score = g->wdeltat * r->time + g->wlength * r->wire + g->wadapter * (double)r->adapters;
    return true;
}
