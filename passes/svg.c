/* SPDX-License-Identifier: Apache-2.0 */
/* passes/svg.c - the placement as a picture: kernels by name and kind, streams, ports, rings.
 *
 * A stream is one stroke along its middle lane, as wide as it has lanes beside the widest, with
 * an arrow head where it enters; where there are few streams, what its lanes cover is shaded
 * and the number of lanes stands on it. Everything else is in tooltips and in picture.c. */
#include <inttypes.h>
#include <string.h>

#include "passes/picture.h"

enum { SHADED = 24, MANY_PORTS = 48 }; /* streams whose lanes are shaded; ports drawn each */

static const double WIDEST_STROKE = 9, WIDEST_OF_MANY = 3.5, THINNEST_STROKE = 0.9;

/* Streams by their number: neighbors differ clearly. */
static const char *const stream_ink[] = {"#c0392b", "#1f618d", "#b9770e", "#6c3483",
                                         "#117864", "#a04000", "#2e4053", "#ad1457"};
enum { N_INKS = sizeof stream_ink / sizeof stream_ink[0] };

static const char *ink(const Stream *s)
{
    return stream_ink[s->id % N_INKS];
}

static uint32_t most_lanes(const Plan *p)
{
    uint32_t most = 1;
    for (size_t i = 0; i < p->streams.n; i++)
        most =
            p->streams.data[i]->protocol.lanes > most ? p->streams.data[i]->protocol.lanes : most;
    return most;
}

/* In proportion to the lanes, no wider than these are, and never too thin to be seen. */
static double stroke_of(const Picture *v, const Stream *s)
{
    double most = most_lanes(v->p) * v->scale;
    double limit = v->p->streams.n > FEW ? WIDEST_OF_MANY : WIDEST_STROKE;
    most = most > limit ? limit : most;
    double w = most * s->protocol.lanes / most_lanes(v->p);
    return w < THINNEST_STROKE ? THINNEST_STROKE : w;
}

/* Travel where the stream enters its consumer or the port. */
static Side last_travel(Picture *v, const Stream *s)
{
    if (s->to == PLAN_HOST)
        return s->port_side;
    return router_edge(v->router, v->p->kernels.data[s->to], (int)s->to_input)->travel;
}

/* Middles of the cores that a lane turns in, first and last included; n_segments + 3 of them
 * at most. */
static unsigned lane_points(Picture *v, const Stream *s, uint32_t lane, double (*at)[2])
{
    unsigned n = 0;
    double x = s->start_x[lane] + 0.5, y = s->start_y[lane] + 0.5;
    Side end = last_travel(v, s);
    if (stream_enters(s)) { /* from outside of the edge */
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
    bool at_port = stream_enters(s) && s->n_segments == 0;
    double beyond = s->to == PLAN_HOST || at_port ? 0.5 : 0.9;
    at[n][0] = x + beyond * side_dx(end);
    at[n++][1] = y + beyond * side_dy(end);
    return n;
}

static void draw_points(Picture *v, double (*at)[2], unsigned n, bool backward, bool more)
{
    for (unsigned i = 0; i < n; i++) {
        double *p = at[backward ? n - 1 - i : i];
        text_printf(v->t, "%c%.1f %.1f", i || more ? 'L' : 'M', picture_x(v, p[0]),
                    picture_y(v, p[1]));
    }
}

static void stream_title(Picture *v, const Stream *s)
{
    const Protocol *p = &s->protocol;
    text_add(v->t, "<title>");
    picture_escaped(v, s->name);
    text_printf(v->t,
                ": %u lanes, color %u; %" PRIu64
                " words a sample and lane, ring of %u x %u words</title>",
                p->lanes, s->color, stream_words(s), s->slots, protocol_words(p));
}

static void keep_text_off(Picture *v, double (*at)[2], unsigned n, double half)
{
    for (unsigned i = 1; i < n; i++) {
        double x0 = picture_x(v, at[i - 1][0]), x1 = picture_x(v, at[i][0]);
        double y0 = picture_y(v, at[i - 1][1]), y1 = picture_y(v, at[i][1]);
        Rect r = {(x0 < x1 ? x0 : x1) - half, (y0 < y1 ? y0 : y1) - half,
                  (x0 < x1 ? x1 : x0) + half, (y0 < y1 ? y1 : y0) + half};
        vec_push(&v->arena, &v->lines, r);
    }
}

static void draw_stream(Picture *v, const Stream *s)
{
    double(*at)[2] = arena_alloc(&v->arena, s->n_segments + 3, sizeof *at, alignof(double));
    uint32_t lanes = s->protocol.lanes;
    bool few = v->p->streams.n <= FEW;
    text_add(v->t, "<g>");
    stream_title(v, s);
    if (lanes > 1 && v->p->streams.n <= SHADED) {
        text_printf(v->t, "<path fill=\"%s\" fill-opacity=\"0.10\" d=\"", ink(s));
        unsigned n = lane_points(v, s, 0, at);
        draw_points(v, at, n, false, false);
        n = lane_points(v, s, lanes - 1, at);
        draw_points(v, at, n, true, true);
        text_add(v->t, "Z\"/>\n");
    }
    unsigned n = lane_points(v, s, (lanes - 1) / 2, at);
    double width = stroke_of(v, s), head = few ? width * 1.5 : width * 1.3;
    head = head < 3 ? 3 : head;
    text_printf(v->t,
                "<path fill=\"none\" stroke=\"%s\" stroke-opacity=\"0.8\" stroke-width=\"%.1f\" "
                "stroke-linejoin=\"round\" d=\"",
                ink(s), width);
    draw_points(v, at, n, false, false);
    keep_text_off(v, at, n, width / 2 + 1);
    Side d = last_travel(v, s);
    double x = picture_x(v, at[n - 1][0]), y = picture_y(v, at[n - 1][1]);
    double dx = side_dx(d) * head, dy = side_dy(d) * head;
    text_printf(v->t, "\"/><path fill=\"%s\" d=\"M%.1f %.1fL%.1f %.1fL%.1f %.1fZ\"/>", ink(s),
                x + dx, y + dy, x - dy * 0.8, y + dx * 0.8, x + dy * 0.8, y - dx * 0.8);
    if (s->slots > 2 && few) /* a ring that was widened */
        text_printf(v->t,
                    "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\" fill=\"#fff\" stroke=\"%s\" "
                    "stroke-width=\"1.4\"/>",
                    x - dx * 0.9, y - dy * 0.9, ink(s));
    text_add(v->t, "</g>\n");
}

/* The number of lanes on the longest straight part that has room for it. */
static void label_stream(Picture *v, const Stream *s)
{
    double(*at)[2] = arena_alloc(&v->arena, s->n_segments + 3, sizeof *at, alignof(double));
    unsigned n = lane_points(v, s, (s->protocol.lanes - 1) / 2, at), best = 1;
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
    static const double places[] = {0.5, 0.3, 0.7, 0.15, 0.85};
    double w = picture_width_of(tag, 11) + 8;
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        double *p = at[best - 1], *q = at[best];
        double x = picture_x(v, p[0] + (q[0] - p[0]) * places[i]);
        double y = picture_y(v, p[1] + (q[1] - p[1]) * places[i]);
        if (!picture_shows(v, x, y) || !picture_room(v, (Rect){x - w / 2, y - 7, x + w / 2, y + 7}))
            continue;
        text_printf(v->t,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"14\" rx=\"7\" "
                    "fill=\"#fff\" stroke=\"%s\" stroke-width=\"1.2\"/>\n",
                    x - w / 2, y - 7, w, ink(s));
        picture_text(v, x, y + 4, 11,
                     arena_printf(&v->arena, "text-anchor=\"middle\" fill=\"%s\"", ink(s)), tag);
        return;
    }
}

/* ---- ports ---- */

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

/* The name beside its ports, a column farther out where another one stands. */
static void label_port(Picture *v, const Stream *s, double edge, bool west, double lo, double hi)
{
    int32_t away = west ? v->used.x0 : (int32_t)v->p->machine->width - 1 - v->used.x1;
    const char *text =
        arena_printf(&v->arena, "%s %s", s->from == PLAN_HOST ? "in:" : "out:", host_name(v, s));
    if (away)
        text = arena_printf(&v->arena, "%s, %d cores away", text, away);
    double half = picture_width_of(text, 13) / 2, y = (lo + hi) / 2;
    double least = picture_y(v, v->used.y0) + half, most = picture_y(v, v->used.y1 + 1) - half;
    y = y > most ? most : y;
    y = y < least ? least : y;
    for (unsigned column = 0; column < 2; column++) {
        double x = west ? edge - 56 - 15 * column : edge + 26 + 17 * column;
        if (!picture_room(v, (Rect){x - 7, y - half, x + 7, y + half}))
            continue;
        text_printf(v->t, "<g transform=\"translate(%.1f %.1f) rotate(-90)\">", x, y);
        picture_text(v, 0, 4.5, 13,
                     arena_printf(&v->arena,
                                  "text-anchor=\"middle\" font-weight=\"bold\" fill=\"%s\"",
                                  ink(s)),
                     text);
        text_add(v->t, "</g>\n");
        return;
    }
}

static void draw_ports(Picture *v, const Stream *s)
{
    if (!s->port_y)
        return;
    uint32_t lanes = s->protocol.lanes;
    bool west = s->port_side == SIDE_W, in = s->from == PLAN_HOST;
    double edge = picture_x(v, west ? v->used.x0 : v->used.x1 + 1);
    double lo = 1e9, hi = -1e9, size = v->scale < 4 ? 2 : v->scale > 14 ? 7 : v->scale / 2;
    /* Triangles outside of the edge, pointing the way the words go; one for very many. */
    int way = (west ? 1 : -1) * (in ? 1 : -1);
    for (uint32_t l = 0; l < lanes; l++) {
        double y = picture_y(v, s->port_y[l] + 0.5);
        lo = y < lo ? y : lo;
        hi = y > hi ? y : hi;
    }
    if (hi < picture_y(v, v->used.y0) || lo > picture_y(v, v->used.y1 + 1))
        return; /* the overview shows the way there */
    bool one = lanes > MANY_PORTS;
    if (one)
        size = 6;
    double base = west ? edge - 2 * size - 2 : edge + 2 * size + 2;
    double from = way > 0 ? (west ? base : edge + 2) : (west ? edge - 2 : base);
    text_add(v->t, "<g>");
    stream_title(v, s);
    text_printf(v->t, "<path fill=\"%s\" d=\"", ink(s));
    for (uint32_t l = 0; l < (one ? 1 : lanes); l++)
        text_printf(v->t, "M%.1f %.1fv%.1fL%.1f %.1fZ", from,
                    (one ? (lo + hi) / 2 : picture_y(v, s->port_y[l] + 0.5)) - size * 0.7,
                    size * 1.4, from + way * 2 * size,
                    one ? (lo + hi) / 2 : picture_y(v, s->port_y[l] + 0.5));
    if (one)
        text_printf(v->t, "M%.1f %.1fh4V%.1fh-4Z", west ? edge - 5 : edge + 1, lo, hi);
    text_add(v->t, "\"/></g>\n");
    label_port(v, s, edge, west, lo, hi);
}

/* ---- legend and lists ---- */

static void draw_legend(Picture *v)
{
    const Plan *p = v->p;
    double x, y;
    bool widened = false, host = false;
    picture_heading(v, "legend");
    picture_legend(v, KERNELS_COLORED);
    const Stream *widest = NULL;
    for (size_t i = 0; i < p->streams.n; i++) {
        const Stream *s = p->streams.data[i];
        widened = widened || s->slots > 2;
        host = host || s->port_y;
        widest = !widest || s->protocol.lanes > widest->protocol.lanes ? s : widest;
    }
    if (widest) {
        const char *words =
            arena_printf(&v->arena, "a stream; this wide it has %u lanes%s", widest->protocol.lanes,
                         p->streams.n <= SHADED ? ", shaded where they run" : "");
        picture_item(v, words, &x, &y);
        text_printf(v->t,
                    "<path stroke=\"#1f618d\" stroke-width=\"%.1f\" d=\"M%.1f %.1fh18\"/><path "
                    "fill=\"#1f618d\" d=\"M%.1f %.1fv12l9 -6z\"/>\n",
                    stroke_of(v, widest), x, y, x + 17, y - 6);
    }
    if (widened && p->streams.n <= FEW) {
        picture_item(v, "its receivers' rings hold more than two messages", &x, &y);
        text_printf(v->t,
                    "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\" fill=\"#fff\" stroke=\"#1f618d\" "
                    "stroke-width=\"1.4\"/>\n",
                    x + 13, y);
    }
    if (host) {
        picture_item(v, "ports of the host, by the way words go", &x, &y);
        text_printf(v->t, "<path fill=\"#117864\" d=\"M%.1f %.1fv10l14 -5z\"/>\n", x + 6, y - 5);
    }
}

static const char *fit(Picture *v, const char *s, double size, double width)
{
    char *copy = arena_strdup(&v->arena, s, strlen(s));
    size_t n = strlen(copy);
    if (picture_width_of(copy, size) <= width)
        return copy;
    while (n > 0 && (picture_width_of(copy, size) > width - size || (copy[n] & 0xc0) == 0x80))
        copy[--n] = '\0';
    return arena_printf(&v->arena, "%s..", copy);
}

static void draw_kernel_list(Picture *v, uint32_t rows)
{
    const Plan *p = v->p;
    const char *gray = "text-anchor=\"end\" fill=\"#666\"",
               *end = "text-anchor=\"end\" fill=\"#222\"";
    double x = v->panel_x;
    picture_heading(v, "kernels");
    picture_text(v, x + 340, v->panel_y - LINE_HEIGHT, 11, gray, "cores");
    picture_text(v, x + 425, v->panel_y - LINE_HEIGHT, 11, gray, "cycles");
    for (size_t i = 0; i < p->kernels.n && i < rows; i++, v->panel_y += LINE_HEIGHT) {
        const Kernel *k = p->kernels.data[i];
        picture_text(v, x, v->panel_y, 12,
                     k == v->slowest ? "fill=\"#c00000\" font-weight=\"bold\"" : "fill=\"#111\"",
                     fit(v, k->name, 12, 150));
        picture_text(v, x + 160, v->panel_y, 11, "fill=\"#555\"",
                     fit(v, kernel_kind_text(k->kind), 11, 120));
        picture_text(v, x + 340, v->panel_y, 12, end,
                     arena_printf(&v->arena, "%u", k->shape.w * k->shape.h));
        picture_text(v, x + 425, v->panel_y, 12, end,
                     arena_printf(&v->arena, "%" PRIu64, k->shape.cycles));
    }
    if (p->kernels.n > rows) {
        picture_text(v, x, v->panel_y, 12, "fill=\"#555\"",
                     arena_printf(&v->arena, "and %zu more: point at them, or see --report",
                                  p->kernels.n - rows));
        v->panel_y += LINE_HEIGHT;
    }
}

static void draw_stream_list(Picture *v)
{
    const Plan *p = v->p;
    const char *gray = "text-anchor=\"end\" fill=\"#666\"",
               *end = "text-anchor=\"end\" fill=\"#222\"";
    double x = v->panel_x;
    picture_heading(v, "streams");
    picture_text(v, x + 290, v->panel_y - LINE_HEIGHT, 11, gray, "lanes");
    picture_text(v, x + 335, v->panel_y - LINE_HEIGHT, 11, gray, "color");
    picture_text(v, x + 425, v->panel_y - LINE_HEIGHT, 11, gray, "words a lane");
    for (size_t i = 0; i < p->streams.n; i++, v->panel_y += LINE_HEIGHT) {
        const Stream *s = p->streams.data[i];
        text_printf(v->t,
                    "<path stroke=\"%s\" stroke-width=\"4\" stroke-opacity=\"0.8\" d=\"M%.1f "
                    "%.1fh18\"/>\n",
                    ink(s), x, v->panel_y - 4);
        picture_text(v, x + 26, v->panel_y, 12, "fill=\"#111\"", fit(v, s->name, 12, 225));
        picture_text(v, x + 290, v->panel_y, 12, end,
                     arena_printf(&v->arena, "%u", s->protocol.lanes));
        picture_text(v, x + 335, v->panel_y, 12, end, arena_printf(&v->arena, "%u", s->color));
        picture_text(v, x + 425, v->panel_y, 12, end,
                     arena_printf(&v->arena, "%" PRIu64, stream_words(s)));
    }
}

void plan_svg(Text *t, const Plan *p)
{
    Picture v;
    picture_begin(&v, t, p, "placement");
    picture_keepouts(&v, 1);
    picture_kernels(&v, KERNELS_COLORED);
    picture_clip(&v, true);
    for (size_t i = 0; i < p->streams.n; i++)
        draw_stream(&v, p->streams.data[i]);
    picture_clip(&v, false);
    for (size_t i = 0; i < p->streams.n; i++)
        draw_ports(&v, p->streams.data[i]);
    picture_kernel_labels(&v);
    for (size_t i = 0; i < p->streams.n && p->streams.n <= FEW; i++)
        label_stream(&v, p->streams.data[i]);
    picture_overview(&v);
    draw_legend(&v);
    double left = (v.height - v.panel_y) / LINE_HEIGHT - 4;
    if (p->kernels.n + p->streams.n <= FEW) { /* all of them, however long the panel gets */
        draw_kernel_list(&v, (uint32_t)p->kernels.n);
        draw_stream_list(&v);
    } else {
        draw_kernel_list(&v, left < 10 ? 10 : (uint32_t)left);
    }
    picture_end(&v);
}
