/* SPDX-License-Identifier: Apache-2.0 */
/* passes/svg.c - the placement as a picture.
 *
 * On the left the part of the fabric that is in use: kernels with their names and operators,
 * streams as ribbons from lane 0 to the last lane with an arrow head where they enter, host
 * ports, coordinates and a scale. On the right where that part stands on the wafer, and lists
 * of kernels and streams in the same numbers and colors. No scripts, no fonts but the
 * viewer's sans-serif; every name is escaped. */
#include <inttypes.h>
#include <string.h>

#include "passes/planner.h"

enum {
    PICTURE_WIDTH = 1080,
    PICTURE_HEIGHT = 860,
    PANEL_WIDTH = 460,
    MARGIN = 56,
    HEAD = 64,
    LINE_HEIGHT = 17,
    INSET = 150,
};

static const char *const kind_fill[KERNEL_KIND_COUNT] = {
    [KERNEL_MATVEC] = "#bcd7f5", [KERNEL_CONV] = "#bfe5c0",    [KERNEL_LINE] = "#fbe0a8",
    [KERNEL_REDUCE] = "#e3c9f2", [KERNEL_ADAPTER] = "#dedede",
};

/* Streams by their number: neighbors differ clearly. */
static const char *const stream_ink[] = {"#c0392b", "#1f618d", "#b9770e", "#6c3483",
                                         "#117864", "#a04000", "#2e4053", "#ad1457"};
enum { N_INKS = sizeof stream_ink / sizeof stream_ink[0] };

typedef struct Picture {
    Text *t;
    const Plan *p;
    Arena arena;
    Router *router; /* for edges */
    Box used;
    double scale; /* pixels a core */
} Picture;

const char *xml_safe(Arena *a, const char *s)
{
    char *copy = arena_strdup(a, s, strlen(s));
    for (unsigned char *c = (unsigned char *)copy; *c;) {
        unsigned more = *c < 0x80                 ? 0
                        : *c >= 0xc2 && *c < 0xe0 ? 1
                        : *c >= 0xe0 && *c < 0xf0 ? 2
                        : *c >= 0xf0 && *c < 0xf5 ? 3
                                                  : 4;
        unsigned k = 1;
        while (more < 4 && k <= more && (c[k] & 0xc0) == 0x80)
            k++;
        /* Three bytes may hold surrogates and non-characters: not worth telling apart. */
        bool good = more < 4 && k == more + 1 && (more || *c >= 0x20) && *c != 0x7f &&
                    !(*c == 0xe0 && c[1] < 0xa0) && !(*c == 0xed && c[1] > 0x9f) &&
                    !(*c == 0xef && c[1] == 0xbf && c[2] > 0xbd) && !(*c == 0xf0 && c[1] < 0x90) &&
                    !(*c == 0xf4 && c[1] > 0x8f);
        if (good) {
            c += k;
        } else {
            *c++ = '?';
        }
    }
    return copy;
}

static void escaped(Picture *v, const char *s)
{
    for (const char *c = xml_safe(&v->arena, s); *c; c++) {
        if (*c == '<')
            text_add(v->t, "&lt;");
        else if (*c == '>')
            text_add(v->t, "&gt;");
        else if (*c == '&')
            text_add(v->t, "&amp;");
        else if (*c == '"')
            text_add(v->t, "&quot;");
        else
            text_add_bytes(v->t, c, 1);
    }
}

static double px(const Picture *v, double x) /* left border of core x */
{
    return MARGIN + (x - v->used.x0) * v->scale;
}
static double py(const Picture *v, double y)
{
    return HEAD + MARGIN + (y - v->used.y0) * v->scale;
}

static void label(Picture *v, double x, double y, double size, const char *style, const char *s)
{
    text_printf(v->t, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.1f\" %s>", x, y, size, style);
    escaped(v, s);
    text_add(v->t, "</text>\n");
}

static Box hull_of(const Plan *p)
{
    Box all = {INT32_MAX, INT32_MAX, 0, 0};
    for (size_t i = 0; i < p->kernels.n + p->streams.n; i++) {
        bool kernel = i < p->kernels.n;
        const Stream *s = kernel ? NULL : p->streams.data[i - p->kernels.n];
        uint32_t n = kernel ? 1 : s->n_segments;
        for (uint32_t k = 0; k < n; k++) {
            Box b = kernel ? plan_box(p->kernels.data[i]) : stream_box(s, k);
            all.x0 = b.x0 < all.x0 ? b.x0 : all.x0;
            all.y0 = b.y0 < all.y0 ? b.y0 : all.y0;
            all.x1 = b.x1 > all.x1 ? b.x1 : all.x1;
            all.y1 = b.y1 > all.y1 ? b.y1 : all.y1;
        }
    }
    /* A little of what is around, so that an edge of the fabric can be told. */
    int32_t w = (int32_t)p->machine->width - 1, h = (int32_t)p->machine->height - 1;
    if (all.x1 < all.x0 || all.x0 == INT32_MAX)
        return (Box){0, 0, w, h};
    all.x0 = all.x0 > 2 ? all.x0 - 2 : 0;
    all.y0 = all.y0 > 2 ? all.y0 - 2 : 0;
    all.x1 = all.x1 + 2 < w ? all.x1 + 2 : w;
    all.y1 = all.y1 + 2 < h ? all.y1 + 2 : h;
    return all;
}

/* ---- the fabric ---- */

static int32_t nice_step(double scale, double pixels)
{
    static const int32_t steps[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (steps[i] * scale >= pixels)
            return steps[i];
    return 2000;
}

static void draw_fabric(Picture *v)
{
    const Machine *m = v->p->machine;
    Box u = v->used;
    double x0 = px(v, u.x0), y0 = py(v, u.y0), x1 = px(v, u.x1 + 1), y1 = py(v, u.y1 + 1);
    text_printf(v->t,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#fafafa\"/>\n",
                x0, y0, x1 - x0, y1 - y0);
    if (v->scale >= 5) {
        text_add(v->t, "<path stroke=\"#e6e6e6\" stroke-width=\"0.6\" d=\"");
        for (int32_t x = u.x0; x <= u.x1 + 1; x++)
            text_printf(v->t, "M%.1f %.1fV%.1f", px(v, x), y0, y1);
        for (int32_t y = u.y0; y <= u.y1 + 1; y++)
            text_printf(v->t, "M%.1f %.1fH%.1f", x0, py(v, y), x1);
        text_add(v->t, "\"/>\n");
    }
    /* Edges of the fabric are solid, other borders of the picture are not drawn. */
    text_add(v->t, "<path stroke=\"#444\" stroke-width=\"2\" d=\"");
    if (u.x0 == 0)
        text_printf(v->t, "M%.1f %.1fV%.1f", x0, y0, y1);
    if (u.x1 + 1 == (int32_t)m->width)
        text_printf(v->t, "M%.1f %.1fV%.1f", x1, y0, y1);
    if (u.y0 == 0)
        text_printf(v->t, "M%.1f %.1fH%.1f", x0, y0, x1);
    if (u.y1 + 1 == (int32_t)m->height)
        text_printf(v->t, "M%.1f %.1fH%.1f", x0, y1, x1);
    text_add(v->t, "\"/>\n");
    int32_t step = nice_step(v->scale, 36);
    char number[16];
    for (int32_t x = (u.x0 + step - 1) / step * step; x <= u.x1; x += step) {
        snprintf(number, sizeof number, "%d", x);
        label(v, px(v, x + 0.5), y0 - 6, 10, "text-anchor=\"middle\" fill=\"#777\"", number);
    }
    for (int32_t y = (u.y0 + step - 1) / step * step; y <= u.y1; y += step) {
        snprintf(number, sizeof number, "%d", y);
        label(v, x0 - 18, py(v, y + 0.5) + 3.5, 10, "text-anchor=\"end\" fill=\"#777\"", number);
    }
}

static void draw_scale(Picture *v)
{
    int32_t step = nice_step(v->scale, 70);
    double x = px(v, v->used.x0), y = py(v, v->used.y1 + 1) + 26;
    char words[64];
    snprintf(words, sizeof words, "%d core%s", step, step == 1 ? "" : "s");
    text_printf(
        v->t, "<path stroke=\"#222\" stroke-width=\"1.5\" d=\"M%.1f %.1fv8m0 -4h%.1fm0 -4v8\"/>\n",
        x, y - 4, step * v->scale);
    label(v, x + step * v->scale + 8, y + 4, 12, "fill=\"#222\"", words);
}

/* ---- kernels ---- */

static const char *kernel_operators(Picture *v, const Kernel *k)
{
    if (!k->anchor)
        return arena_printf(&v->arena, "%u to %u lanes", k->shape.lanes_in, k->shape.lanes_out);
    const char *s = op_info[k->anchor->op].text;
    for (uint32_t i = 0; i < k->n_steps; i++)
        s = arena_printf(&v->arena, "%s, %s", s, op_info[k->steps[i]->op].text);
    return s;
}

static void draw_kernel(Picture *v, const Kernel *k)
{
    Box b = plan_box(k);
    double x = px(v, b.x0), y = py(v, b.y0);
    double w = (b.x1 - b.x0 + 1) * v->scale, h = (b.y1 - b.y0 + 1) * v->scale;
    text_printf(v->t,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" "
                "fill-opacity=\"0.85\" stroke=\"#333\" stroke-width=\"1.2\"/>\n",
                x + 0.6, y + 0.6, w - 1.2, h - 1.2, kind_fill[k->kind]);
}

/* Texts come last, above ribbons, on a pale outline. A strip gets them turned; what does not
 * fit has its number, which the list explains. */
static void label_kernel(Picture *v, const Kernel *k)
{
    Box b = plan_box(k);
    double w = (b.x1 - b.x0 + 1) * v->scale, h = (b.y1 - b.y0 + 1) * v->scale;
    double cx = px(v, b.x0) + w / 2, cy = py(v, b.y0) + h / 2;
    bool turned = h > 1.6 * w;
    double along = turned ? h : w, across = turned ? w : h;
    const char *lines[3] = {arena_printf(&v->arena, "%u  %s", k->id + 1, k->name),
                            kernel_operators(v, k),
                            arena_printf(&v->arena, "%d x %d, %" PRIu64 " cycles", b.x1 - b.x0 + 1,
                                         b.y1 - b.y0 + 1, k->shape.cycles)};
    unsigned n = 3;
    double size = 0;
    for (; n > 0; n--) {
        size_t longest = 1;
        for (unsigned i = 0; i < n; i++)
            longest = strlen(lines[i]) > longest ? strlen(lines[i]) : longest;
        size = along / (0.62 * (double)longest);
        double limit = across / (1.25 * n + 0.2);
        size = size < limit ? size : limit;
        size = size > 17 ? 17 : size;
        if (size >= (n == 1 ? 7 : 8.5))
            break;
    }
    const char *style = "text-anchor=\"middle\" fill=\"#111\" stroke=\"#fff\" stroke-width=\"2.5\" "
                        "stroke-opacity=\"0.75\" paint-order=\"stroke\"";
    if (n == 0) {
        n = 1;
        lines[0] = arena_printf(&v->arena, "%u", k->id + 1);
        size = across * 0.9 < 12 ? across * 0.9 : 12;
        size = size < 5 ? 5 : size;
        turned = false;
    }
    text_printf(v->t, "<g transform=\"translate(%.1f %.1f)%s\">\n", cx, cy,
                turned ? " rotate(-90)" : "");
    for (unsigned i = 0; i < n; i++)
        label(v, 0, ((double)i - (n - 1) / 2.0) * size * 1.25 + size * 0.35, i ? size * 0.86 : size,
              style, lines[i]);
    text_add(v->t, "</g>\n");
}

/* ---- streams ---- */

static const char *ink(const Stream *s)
{
    return stream_ink[s->id % N_INKS];
}

/* Travel where the stream enters its consumer or the port. */
static Side last_travel(Picture *v, const Stream *s)
{
    if (s->to == PLAN_HOST)
        return s->port_side;
    return router_edge(v->router, v->p->kernels.data[s->to], (int)s->to_input)->travel;
}

/* Middles of the cores that a lane turns in, first and last included. */
static unsigned lane_points(Picture *v, const Stream *s, uint32_t lane, double (*at)[2])
{
    unsigned n = 0;
    double x = s->start_x[lane] + 0.5, y = s->start_y[lane] + 0.5;
    Side end = last_travel(v, s);
    if (s->from == PLAN_HOST) { /* from outside of the edge */
        Side in = side_opposite(s->port_side);
        at[n][0] = x - 0.5 * side_dx(in);
        at[n++][1] = y;
    }
    at[n][0] = x;
    at[n++][1] = y;
    for (uint32_t i = 0; i < s->n_segments; i++) {
        Side d = s->segments[i].side;
        *(d == SIDE_E || d == SIDE_W ? &x : &y) = s->segments[i].to[lane] + 0.5;
        at[n][0] = x;
        at[n++][1] = y;
    }
    double beyond = s->to == PLAN_HOST || (s->from == PLAN_HOST && s->n_segments == 0) ? 0.5 : 0.9;
    at[n][0] = x + beyond * side_dx(end);
    at[n++][1] = y + beyond * side_dy(end);
    return n;
}

static void draw_points(Picture *v, double (*at)[2], unsigned n, bool backward, bool more)
{
    for (unsigned i = 0; i < n; i++) {
        double *p = at[backward ? n - 1 - i : i];
        text_printf(v->t, "%c%.1f %.1f", i || more ? 'L' : 'M', px(v, p[0]), py(v, p[1]));
    }
}

static void draw_stream(Picture *v, const Stream *s)
{
    enum { MOST = 10, MANY_LANES = 96 };
    double at[MOST][2];
    uint32_t lanes = s->protocol.lanes;
    text_add(v->t, "<g><title>");
    escaped(v, s->name);
    text_printf(v->t, ": %u lanes, color %u</title>\n", lanes, s->color);
    if (lanes > 1) {
        text_printf(v->t, "<path fill=\"%s\" fill-opacity=\"0.13\" stroke=\"none\" d=\"", ink(s));
        unsigned n = lane_points(v, s, 0, at);
        draw_points(v, at, n, false, false);
        n = lane_points(v, s, lanes - 1, at);
        draw_points(v, at, n, true, true);
        text_add(v->t, "Z\"/>\n");
    }
    /* The lanes themselves, a part of them where there are very many. */
    double width = v->scale * 0.22 < 0.7 ? 0.7 : v->scale * 0.22 > 4 ? 4 : v->scale * 0.22;
    uint32_t step = lanes > MANY_LANES ? (lanes + MANY_LANES - 1) / MANY_LANES : 1;
    text_printf(v->t,
                "<path fill=\"none\" stroke=\"%s\" stroke-opacity=\"0.75\" stroke-width=\"%.2f\" "
                "stroke-linejoin=\"round\" d=\"",
                ink(s), width);
    for (uint32_t l = 0; l < lanes; l += step)
        draw_points(v, at, lane_points(v, s, l, at), false, false);
    text_add(v->t, "\"/>\n");
    Side d = last_travel(v, s);
    double head = v->scale * 0.45 > 7 ? 7 : v->scale * 0.45 < 1.5 ? 1.5 : v->scale * 0.45;
    text_printf(v->t, "<path fill=\"%s\" d=\"", ink(s));
    for (uint32_t l = 0; l < lanes; l += step) {
        unsigned n = lane_points(v, s, l, at);
        double x = px(v, at[n - 1][0]), y = py(v, at[n - 1][1]);
        double dx = side_dx(d) * head, dy = side_dy(d) * head;
        text_printf(v->t, "M%.1f %.1fL%.1f %.1fL%.1f %.1fZ", x + dx, y + dy, x - dy * 0.7,
                    y + dx * 0.7, x + dy * 0.7, y - dx * 0.7);
    }
    text_add(v->t, "\"/>\n</g>\n");
}

/* A tag on the longest segment, aside of the middle, where kernels have their names. */
static void label_stream(Picture *v, const Stream *s)
{
    double at[10][2];
    unsigned n = lane_points(v, s, s->protocol.lanes / 4, at), best = 1;
    double longest = -1;
    for (unsigned i = 1; i < n; i++) {
        double dx = at[i][0] - at[i - 1][0], dy = at[i][1] - at[i - 1][1];
        double length = (dx < 0 ? -dx : dx) + (dy < 0 ? -dy : dy);
        if (length > longest) {
            longest = length;
            best = i;
        }
    }
    const char *tag = arena_printf(&v->arena, "%u", s->protocol.lanes);
    double x = px(v, (at[best][0] + at[best - 1][0]) / 2);
    double y = py(v, (at[best][1] + at[best - 1][1]) / 2);
    double w = 7.0 * (double)strlen(tag) + 7;
    text_printf(v->t,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"14\" rx=\"7\" fill=\"#fff\" "
                "stroke=\"%s\" stroke-width=\"1.2\"/>\n",
                x - w / 2, y - 7, w, ink(s));
    label(v, x, y + 4, 11, arena_printf(&v->arena, "text-anchor=\"middle\" fill=\"%s\"", ink(s)),
          tag);
}

static const char *host_name(const Picture *v, const Stream *s)
{
    const Graph *g = v->p->graph;
    const char *name = NULL;
    if (s->from == PLAN_HOST && s->tensor < g->inputs.n)
        name = g->inputs.data[s->tensor]->name;
    if (s->to == PLAN_HOST && g->output_names && s->tensor < g->outputs.n)
        name = g->output_names[s->tensor];
    return name ? name : s->name;
}

static void draw_ports(Picture *v, const Stream *s)
{
    if (!s->port_y)
        return;
    uint32_t lanes = s->protocol.lanes;
    bool west = s->port_side == SIDE_W, in = s->from == PLAN_HOST;
    double edge = px(v, west ? v->used.x0 : v->used.x1 + 1);
    double lo = 1e9, hi = -1e9, size = v->scale < 4 ? 2 : v->scale > 14 ? 7 : v->scale / 2;
    /* Triangles outside of the edge, pointing the way the words go. */
    int way = (west ? 1 : -1) * (in ? 1 : -1);
    double base = west ? edge - 2 * size - 2 : edge + 2 * size + 2;
    double from = way > 0 ? (west ? base : edge + 2) : (west ? edge - 2 : base);
    text_printf(v->t, "<path fill=\"%s\" d=\"", ink(s));
    for (uint32_t l = 0; l < lanes; l++) {
        double y = py(v, s->port_y[l] + 0.5);
        lo = y < lo ? y : lo;
        hi = y > hi ? y : hi;
        text_printf(v->t, "M%.1f %.1fv%.1fL%.1f %.1fZ", from, y - size * 0.7, size * 1.4,
                    from + way * 2 * size, y);
    }
    text_add(v->t, "\"/>\n");
    const char *text = arena_printf(&v->arena, "%s %s", in ? "in:" : "out:", host_name(v, s));
    double x = west ? edge - 46 : edge + 2 * size + 16, y = (lo + hi) / 2;
    text_printf(v->t, "<g transform=\"translate(%.1f %.1f) rotate(-90)\">", x, y);
    label(
        v, 0, 4, 13,
        arena_printf(&v->arena, "text-anchor=\"middle\" font-weight=\"bold\" fill=\"%s\"", ink(s)),
        text);
    text_add(v->t, "</g>\n");
}

/* ---- the panel ---- */

static void fit(char *out, size_t size, const char *s, size_t n)
{
    snprintf(out, size, "%.*s%s", (int)(strlen(s) > n ? n - 2 : n), s, strlen(s) > n ? ".." : "");
}

static double draw_inset(Picture *v, double x, double y)
{
    const Machine *m = v->p->machine;
    uint32_t largest = m->width > m->height ? m->width : m->height;
    double s = (double)INSET / largest, w = m->width * s, h = m->height * s;
    Box u = v->used;
    double uw = (u.x1 - u.x0 + 1) * s, uh = (u.y1 - u.y0 + 1) * s;
    text_printf(v->t,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#eee\" "
                "stroke=\"#444\"/>\n<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
                "fill=\"#d33\" fill-opacity=\"0.55\" stroke=\"#a00\" stroke-width=\"0.8\"/>\n",
                x, y, w, h, x + u.x0 * s, y + u.y0 * s, uw < 2 ? 2 : uw, uh < 2 ? 2 : uh);
    double tx = x + w + 16;
    label(v, tx, y + 14, 13, "font-weight=\"bold\" fill=\"#111\"", m->name);
    label(v, tx, y + 32, 12, "fill=\"#444\"",
          arena_printf(&v->arena, "%u x %u cores", m->width, m->height));
    label(v, tx, y + 50, 12, "fill=\"#a00\"",
          arena_printf(&v->arena, "shown: (%d, %d) to (%d, %d)", u.x0, u.y0, u.x1, u.y1));
    double ky = y + 74;
    for (KernelKind k = 0; k < KERNEL_KIND_COUNT; k++) {
        bool there = false;
        for (size_t i = 0; i < v->p->kernels.n; i++)
            there = there || v->p->kernels.data[i]->kind == k;
        if (!there)
            continue;
        text_printf(v->t,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"18\" height=\"12\" fill=\"%s\" "
                    "stroke=\"#333\"/>\n",
                    tx, ky - 10, kind_fill[k]);
        label(v, tx + 26, ky, 12, "fill=\"#222\"", kernel_kind_text(k));
        ky += LINE_HEIGHT;
    }
    ky = ky > y + h + 20 ? ky : y + h + 20;
    return ky + 8;
}

static double draw_lists(Picture *v, double x, double y)
{
    const Plan *p = v->p;
    char name[80], ops[80];
    const char *head = "font-weight=\"bold\" fill=\"#111\"",
               *end = "text-anchor=\"end\" fill=\"#222\"";
    label(v, x, y, 13, head, "kernels");
    label(v, x + 375, y, 11, "text-anchor=\"end\" fill=\"#777\"", "cores");
    label(v, x + 445, y, 11, "text-anchor=\"end\" fill=\"#777\"", "cycles");
    y += LINE_HEIGHT;
    for (size_t i = 0; i < p->kernels.n; i++, y += LINE_HEIGHT) {
        const Kernel *k = p->kernels.data[i];
        text_printf(v->t,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"18\" height=\"12\" fill=\"%s\" "
                    "stroke=\"#333\" stroke-width=\"0.7\"/>\n",
                    x, y - 10, kind_fill[k->kind]);
        fit(name, sizeof name, k->name, 16);
        fit(ops, sizeof ops, kernel_operators(v, k), 26);
        label(v, x + 40, y, 12, "text-anchor=\"end\" fill=\"#555\"",
              arena_printf(&v->arena, "%u", k->id + 1));
        label(v, x + 48, y, 12, "fill=\"#111\"", name);
        label(v, x + 168, y, 11, "fill=\"#555\"", ops);
        label(v, x + 375, y, 12, end, arena_printf(&v->arena, "%u", k->shape.w * k->shape.h));
        label(v, x + 445, y, 12, end, arena_printf(&v->arena, "%" PRIu64, k->shape.cycles));
    }
    y += LINE_HEIGHT;
    label(v, x, y, 13, head, "streams");
    label(v, x + 300, y, 11, "text-anchor=\"end\" fill=\"#777\"", "lanes");
    label(v, x + 345, y, 11, "text-anchor=\"end\" fill=\"#777\"", "color");
    label(v, x + 445, y, 11, "text-anchor=\"end\" fill=\"#777\"", "words a sample");
    y += LINE_HEIGHT;
    for (size_t i = 0; i < p->streams.n; i++, y += LINE_HEIGHT) {
        const Stream *s = p->streams.data[i];
        text_printf(v->t,
                    "<path stroke=\"%s\" stroke-width=\"4\" stroke-opacity=\"0.75\" d=\"M%.1f "
                    "%.1fh18\"/>\n",
                    ink(s), x, y - 4);
        fit(name, sizeof name, s->name, 36);
        label(v, x + 28, y, 12, "fill=\"#111\"", name);
        label(v, x + 300, y, 12, end, arena_printf(&v->arena, "%u", s->protocol.lanes));
        label(v, x + 345, y, 12, end, arena_printf(&v->arena, "%u", s->color));
        label(v, x + 445, y, 12, end,
              arena_printf(&v->arena, "%u x %" PRIu64, s->protocol.lanes, stream_words(s)));
    }
    return y;
}

void plan_svg(Text *t, const Plan *p)
{
    Picture v = {.t = t, .p = p, .used = hull_of(p)};
    v.router = router_create(&v.arena, (Plan *)p, UINT64_MAX / 4);
    int32_t w = v.used.x1 - v.used.x0 + 1, h = v.used.y1 - v.used.y0 + 1;
    double sx = (double)PICTURE_WIDTH / w, sy = (double)PICTURE_HEIGHT / h;
    v.scale = sx < sy ? sx : sy;
    v.scale = v.scale > 64 ? 64 : v.scale;
    double panel = MARGIN + w * v.scale + MARGIN + 24;
    double lines = (double)(p->kernels.n + p->streams.n + 5) * LINE_HEIGHT + INSET + 60;
    double height = h * v.scale + 2 * MARGIN;
    height = HEAD + (height > lines ? height : lines);
    double width = panel + PANEL_WIDTH + 24;
    const Machine *m = p->machine;
    uint64_t target = plan_target(p);
    text_printf(t,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                "viewBox=\"0 0 %.0f %.0f\" font-family=\"Helvetica, Arial, sans-serif\">\n"
                "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
                width, height, width, height);
    label(&v, MARGIN, 30, 21, "font-weight=\"bold\" fill=\"#111\"",
          arena_printf(&v.arena, "%s on %s", p->graph->name, m->name));
    label(&v, MARGIN, 52, 13, "fill=\"#444\"",
          arena_printf(&v.arena,
                       "%u cores, %zu kernels, %" PRIu64 " cycles a sample: %.0f samples/s "
                       "at %" PRIu64 " MHz",
                       plan_cores(p), p->kernels.n, target,
                       target ? (double)m->clock_hz / (double)target : 0.0, m->clock_hz / 1000000));
    draw_fabric(&v);
    for (size_t i = 0; i < p->kernels.n; i++)
        draw_kernel(&v, p->kernels.data[i]);
    for (size_t i = 0; i < p->streams.n; i++)
        draw_stream(&v, p->streams.data[i]);
    for (size_t i = 0; i < p->streams.n; i++)
        draw_ports(&v, p->streams.data[i]);
    for (size_t i = 0; i < p->kernels.n; i++)
        label_kernel(&v, p->kernels.data[i]);
    for (size_t i = 0; i < p->streams.n; i++)
        label_stream(&v, p->streams.data[i]);
    draw_scale(&v);
    draw_lists(&v, panel, draw_inset(&v, panel, HEAD + 4));
    text_add(t, "</svg>\n");
    arena_free(&v.arena);
}
