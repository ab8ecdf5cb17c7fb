/* SPDX-License-Identifier: Apache-2.0 */
/* passes/picture.c - frame, kernels and panel of the pictures of a plan.
 *
 * Shown is the part of the fabric that is in use, with a little around it; an overview says
 * where that is. Names stand where they fit: inside of a kernel in the largest letters that its
 * box has room for, turned in tall ones, without the parts before the last dot where it is
 * narrow; in tooltips always. Texts never lie on each other: each takes its rectangle. No
 * scripts, no fonts but the viewer's sans-serif, every name escaped; size grows with kernels
 * and streams, and with dead cores up to a limit, from which they are drawn as tiles. */
#include "passes/picture.h"

#include <inttypes.h>
#include <string.h>

#include "passes/explain.h"
#include "runtime/format/defects.h"

enum {
    SMALL_PICTURE = 1100, /* pixels of the longer side; with many kernels, from: */
    LARGE_PICTURE = 1700,
    LARGEST_PICTURE = 3400,
    SHARE = 150, /* of a kernel among many, each way */
    OVERVIEW = 230,
    MANY_DEAD = 8000, /* dead cores that are drawn one by one */
    TILE = 16,
};

static const double LEAST_LETTERS = 6.5, COMFORTABLE_LETTERS = 9, LARGEST_LETTERS = 17;

static const char *const kind_fill[KERNEL_KIND_COUNT] = {
    [KERNEL_MATVEC] = "#7fb2e5", [KERNEL_CONV] = "#86cf97",    [KERNEL_LINE] = "#f4c76a",
    [KERNEL_REDUCE] = "#c79be2", [KERNEL_ADAPTER] = "#a9a9a9",
};

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

void picture_escaped(Picture *v, const char *s)
{
    ArenaMark mark = arena_mark(&v->arena);
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
    arena_rewind(&v->arena, mark);
}

double picture_x(const Picture *v, double x)
{
    return MARGIN + (x - v->used.x0) * v->scale;
}

double picture_y(const Picture *v, double y)
{
    return HEAD + MARGIN + (y - v->used.y0) * v->scale;
}

void picture_text(Picture *v, double x, double y, double size, const char *style, const char *s)
{
    text_printf(v->t, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.1f\" %s>", x, y, size, style);
    picture_escaped(v, s);
    text_add(v->t, "</text>\n");
}

double picture_width_of(const char *s, double size)
{
    size_t n = 0; /* letters, not bytes */
    for (; *s; s++)
        n += (*s & 0xc0) != 0x80;
    return 0.6 * size * (double)n;
}

bool picture_room(Picture *v, Rect r)
{
    for (size_t i = 0; i < v->full.n; i++) {
        Rect o = v->full.data[i];
        if (r.x0 < o.x1 && o.x0 < r.x1 && r.y0 < o.y1 && o.y0 < r.y1)
            return false;
    }
    vec_push(&v->arena, &v->full, r);
    return true;
}

/* ---- the fabric ---- */

static void widen(Box *all, Box b)
{
    all->x0 = b.x0 < all->x0 ? b.x0 : all->x0;
    all->y0 = b.y0 < all->y0 ? b.y0 : all->y0;
    all->x1 = b.x1 > all->x1 ? b.x1 : all->x1;
    all->y1 = b.y1 > all->y1 ? b.y1 : all->y1;
}

static double extent_of(Box b)
{
    return (double)(b.x1 - b.x0 + 1) * (b.y1 - b.y0 + 1);
}

/* What is in use, and a little around it, so that an edge of the fabric can be told. Streams
 * that run far away from all kernels, to a port, are left to the overview. */
static Box used_part(const Plan *p)
{
    Box all = {INT32_MAX, INT32_MAX, 0, 0};
    int32_t w = (int32_t)p->machine->width - 1, h = (int32_t)p->machine->height - 1;
    for (size_t i = 0; i < p->kernels.n; i++)
        widen(&all, plan_box(p->kernels.data[i]));
    Box kernels = all;
    for (size_t i = 0; i < p->streams.n; i++)
        for (uint32_t k = 0; k < p->streams.data[i]->n_segments; k++)
            widen(&all, stream_box(p->streams.data[i], k));
    if (all.x0 == INT32_MAX)
        return (Box){0, 0, w, h};
    int32_t more = 2 + (all.x1 - all.x0 + all.y1 - all.y0) / 60;
    if (p->kernels.n && extent_of(all) > 2.5 * extent_of(kernels)) {
        all = kernels;
        more = 4 + (all.x1 - all.x0 + all.y1 - all.y0) / 16;
    }
    all.x0 = all.x0 > more ? all.x0 - more : 0;
    all.y0 = all.y0 > more ? all.y0 - more : 0;
    all.x1 = all.x1 + more < w ? all.x1 + more : w;
    all.y1 = all.y1 + more < h ? all.y1 + more : h;
    return all;
}

bool picture_shows(const Picture *v, double x, double y)
{
    return x >= picture_x(v, v->used.x0) && x <= picture_x(v, v->used.x1 + 1) &&
           y >= picture_y(v, v->used.y0) && y <= picture_y(v, v->used.y1 + 1);
}

void picture_clip(Picture *v, bool begin)
{
    text_add(v->t, begin ? "<g clip-path=\"url(#frame)\">\n" : "</g>\n");
}

static int32_t nice_step(double scale, double pixels)
{
    static const int32_t steps[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (steps[i] * scale >= pixels)
            return steps[i];
    return 2000;
}

static void draw_ticks(Picture *v)
{
    Box u = v->used;
    double x0 = picture_x(v, u.x0), y0 = picture_y(v, u.y0);
    int32_t step = nice_step(v->scale, 40);
    text_add(v->t, "<g fill=\"#666\" font-size=\"10\">\n");
    for (int32_t x = (u.x0 + step - 1) / step * step; x <= u.x1; x += step)
        text_printf(v->t, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%d</text>\n",
                    picture_x(v, x + 0.5), y0 - 7, x);
    for (int32_t y = (u.y0 + step - 1) / step * step; y <= u.y1; y += step)
        text_printf(v->t, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%d</text>\n", x0 - 22,
                    picture_y(v, y + 0.5) + 3.5, y);
    text_add(v->t, "</g>\n");
    double x1 = picture_x(v, u.x1 + 1), y1 = picture_y(v, u.y1 + 1);
    vec_push(&v->arena, &v->full, ((Rect){x0, y0 - 18, x1, y0 - 6}));
    vec_push(&v->arena, &v->full, ((Rect){x0 - 46, y0, x0 - 20, y1}));
}

static void draw_fabric(Picture *v)
{
    const Machine *m = v->p->machine;
    Box u = v->used;
    double x0 = picture_x(v, u.x0), y0 = picture_y(v, u.y0);
    double x1 = picture_x(v, u.x1 + 1), y1 = picture_y(v, u.y1 + 1);
    text_printf(v->t,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#f7f7f7\"/>\n",
                x0, y0, x1 - x0, y1 - y0);
    if (v->scale >= 5) {
        text_add(v->t, "<path stroke=\"#e2e2e2\" stroke-width=\"0.6\" d=\"");
        for (int32_t x = u.x0; x <= u.x1 + 1; x++)
            text_printf(v->t, "M%.1f %.1fV%.1f", picture_x(v, x), y0, y1);
        for (int32_t y = u.y0; y <= u.y1 + 1; y++)
            text_printf(v->t, "M%.1f %.1fH%.1f", x0, picture_y(v, y), x1);
        text_add(v->t, "\"/>\n");
    }
    /* Edges of the fabric are solid, where the picture ends before them dashed. */
    bool edge[4] = {u.x0 == 0, u.x1 + 1 == (int32_t)m->width, u.y0 == 0,
                    u.y1 + 1 == (int32_t)m->height};
    for (unsigned i = 0; i < 4; i++) {
        text_printf(v->t, "<path stroke=\"%s\" stroke-width=\"%s\"%s ", edge[i] ? "#333" : "#bbb",
                    edge[i] ? "2" : "1", edge[i] ? "" : " stroke-dasharray=\"3 4\"");
        if (i < 2)
            text_printf(v->t, "d=\"M%.1f %.1fV%.1f\"/>\n", i ? x1 : x0, y0, y1);
        else
            text_printf(v->t, "d=\"M%.1f %.1fH%.1f\"/>\n", x0, i == 3 ? y1 : y0, x1);
    }
    draw_ticks(v);
}

static void draw_scale(Picture *v)
{
    int32_t step = nice_step(v->scale, 80);
    double x = picture_x(v, v->used.x0), y = picture_y(v, v->used.y1 + 1) + 34;
    text_printf(
        v->t, "<path stroke=\"#222\" stroke-width=\"1.5\" d=\"M%.1f %.1fv8m0 -4h%.1fm0 -4v8\"/>\n",
        x, y - 4, step * v->scale);
    picture_text(v, x + step * v->scale + 8, y + 4, 12, "fill=\"#222\"",
                 arena_printf(&v->arena, "%d core%s", step, step == 1 ? "" : "s"));
}

static bool clip(const Picture *v, Box *b)
{
    Box u = v->used;
    b->x0 = b->x0 < u.x0 ? u.x0 : b->x0;
    b->y0 = b->y0 < u.y0 ? u.y0 : b->y0;
    b->x1 = b->x1 > u.x1 ? u.x1 : b->x1;
    b->y1 = b->y1 > u.y1 ? u.y1 : b->y1;
    return b->x0 <= b->x1 && b->y0 <= b->y1;
}

void picture_keepouts(Picture *v, double opacity)
{
    for (size_t i = 0; i < v->p->keepouts.n; i++) {
        const KeepOut *k = &v->p->keepouts.data[i];
        Box b = keepout_box(k);
        if (!clip(v, &b))
            continue;
        double x = picture_x(v, b.x0), y = picture_y(v, b.y0);
        double w = (b.x1 - b.x0 + 1) * v->scale, h = (b.y1 - b.y0 + 1) * v->scale;
        text_printf(v->t,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" "
                    "fill-opacity=\"%.2g\" stroke=\"%s\"><title>",
                    x, y, w < 1.2 ? 1.2 : w, h < 1.2 ? 1.2 : h, k->dead ? "#444" : "url(#hatch)",
                    opacity, k->dead ? "#222" : "#a33");
        picture_escaped(v, k->why ? k->why : "");
        text_printf(v->t, ": %u x %u at %u,%u</title></rect>\n", k->w, k->h, k->x, k->y);
        const char *name = k->why && !k->dead ? k->why : "";
        double size = w / (0.62 * (double)(strlen(name) + 1));
        size = size > 14 ? 14 : size;
        if (*name && size >= LEAST_LETTERS && size * 1.4 < h) {
            double tw = picture_width_of(name, size) / 2, tx = x + w / 2, ty = y + h / 2;
            if (picture_room(v, (Rect){tx - tw, ty - size, tx + tw, ty + size}))
                picture_text(v, tx, ty + size * 0.35, size,
                             "text-anchor=\"middle\" font-weight=\"bold\" fill=\"#822\" "
                             "stroke=\"#fff\" stroke-width=\"4\" paint-order=\"stroke\"",
                             name);
        }
    }
}

/* Dead cores that a row skips, at the logical column they are left out before: dots, or, where
 * there are very many, tiles as dark as they have of them. */
static void draw_dead(Picture *v)
{
    const Defects *d = v->p->defects;
    uint64_t n = 0;
    uint32_t shift = 0;
    for (uint32_t i = 0; d && i < d->n; i++)
        n += d->runs[i].n;
    if (!n)
        return;
    uint32_t columns = v->p->machine->width / TILE + 1, rows = v->p->machine->height / TILE + 1;
    uint32_t *tile = n > MANY_DEAD ? arena_array(&v->arena, uint32_t, columns * rows) : NULL;
    double size = v->scale * 0.5 < 1.6 ? 1.6 : v->scale * 0.5 > 6 ? 6 : v->scale * 0.5;
    text_printf(v->t, "<path fill=\"#b00020\" d=\"");
    for (uint32_t i = 0; i < d->n; i++) {
        const DefectRun *r = &d->runs[i];
        shift = i && d->runs[i - 1].y == r->y ? shift : 0;
        uint32_t x = r->x - shift, y = r->y;
        if (r->n > DEFECT_SKIP)
            continue; /* a hole: it is a keep-out */
        shift += r->n;
        Box at = {(int32_t)x, (int32_t)y, (int32_t)x, (int32_t)y};
        if (x >= v->p->machine->width || !clip(v, &at))
            continue;
        if (tile)
            tile[y / TILE * columns + x / TILE] += r->n;
        else
            text_printf(v->t, "M%.1f %.1fh%.1fv%.1fh-%.1fz", picture_x(v, x) - size / 2,
                        picture_y(v, y + 0.5) - size / 2, size, size, size);
    }
    text_add(v->t, "\"/>\n");
    for (uint32_t i = 0; tile && i < columns * rows; i++) {
        Box b = {(int32_t)(i % columns * TILE), (int32_t)(i / columns * TILE), 0, 0};
        b.x1 = b.x0 + TILE - 1;
        b.y1 = b.y0 + TILE - 1;
        if (!tile[i] || !clip(v, &b))
            continue;
        text_printf(v->t,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#b00020\" "
                    "fill-opacity=\"%.2f\"/>\n",
                    picture_x(v, b.x0), picture_y(v, b.y0), (b.x1 - b.x0 + 1) * v->scale,
                    (b.y1 - b.y0 + 1) * v->scale,
                    tile[i] >= TILE * TILE / 8 ? 0.6 : 0.6 * tile[i] / (TILE * TILE / 8.0));
    }
}

/* Pixels of the longer side: with many kernels each has its share, so that names stay readable. */
static double side_for(size_t kernels)
{
    if (kernels <= FEW)
        return SMALL_PICTURE;
    uint64_t side = LARGE_PICTURE;
    while (side < LARGEST_PICTURE && side * side < kernels * SHARE * SHARE)
        side += SHARE / 3;
    return (double)side;
}

void picture_begin(Picture *v, Text *t, const Plan *p, const char *what)
{
    *v = (Picture){.out = t, .p = p, .used = used_part(p), .target = plan_target(p)};
    v->t = &v->body;
    v->router = router_create(&v->arena, (Plan *)p, UINT64_MAX / 4);
    for (size_t i = 0; i < p->kernels.n; i++)
        if (!v->slowest || p->kernels.data[i]->shape.cycles > v->slowest->shape.cycles)
            v->slowest = p->kernels.data[i];
    int32_t w = v->used.x1 - v->used.x0 + 1, h = v->used.y1 - v->used.y0 + 1;
    v->scale = side_for(p->kernels.n) / (w > h ? w : h);
    v->scale = v->scale > 64 ? 64 : v->scale;
    v->panel_x = MARGIN + w * v->scale + MARGIN + 16;
    v->panel_y = HEAD + 14;
    v->height = HEAD + h * v->scale + 2 * MARGIN;
    v->width = v->panel_x + PANEL_WIDTH + 24;
    const Machine *m = p->machine;
    picture_text(v, MARGIN, 30, 21, "font-weight=\"bold\" fill=\"#111\"",
                 arena_printf(&v->arena, "%s on %s: %s", p->graph->name, m->name, what));
    uint32_t cores = plan_cores(p);
    picture_text(v, MARGIN, 52, 13, "fill=\"#333\"",
                 arena_printf(&v->arena,
                              "%u cores (%.3g %%), %zu kernels, %zu streams, %" PRIu64
                              " cycles a sample: %.0f samples/s at %" PRIu64 " MHz",
                              cores, 100.0 * cores / ((double)m->width * m->height), p->kernels.n,
                              p->streams.n, v->target,
                              v->target ? (double)m->clock_hz / (double)v->target : 0.0,
                              m->clock_hz / 1000000));
    draw_fabric(v);
    draw_scale(v);
}

void picture_end(Picture *v)
{
    draw_dead(v);
    double height = v->height > v->panel_y + 20 ? v->height : v->panel_y + 20;
    text_printf(
        v->out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
        "viewBox=\"0 0 %.0f %.0f\" font-family=\"Helvetica, Arial, sans-serif\">\n"
        "<defs><pattern id=\"hatch\" width=\"8\" height=\"8\" "
        "patternUnits=\"userSpaceOnUse\"><rect width=\"8\" height=\"8\" fill=\"#fbeaea\"/>"
        "<path d=\"M-2 2L2 -2M0 8L8 0M6 10L10 6\" stroke=\"#d08a8a\" "
        "stroke-width=\"1.2\"/></pattern><clipPath id=\"frame\"><rect x=\"%.1f\" y=\"%.1f\" "
        "width=\"%.1f\" height=\"%.1f\"/></clipPath></defs>\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
        v->width, height, v->width, height, picture_x(v, v->used.x0) - 2,
        picture_y(v, v->used.y0) - 2, (v->used.x1 - v->used.x0 + 1) * v->scale + 4,
        (v->used.y1 - v->used.y0 + 1) * v->scale + 4);
    text_add_bytes(v->out, v->body.data, v->body.len);
    text_add(v->out, "</svg>\n");
    text_free(&v->body);
    arena_free(&v->arena);
}

/* ---- kernels ---- */

const char *picture_kernel_title(Picture *v, const Kernel *k)
{
    Box b = plan_box(k);
    return arena_printf(&v->arena,
                        "%s: %s, %s; %d x %d cores at %d,%d; %u to %u lanes; %" PRIu64
                        " cycles, %u bytes a core",
                        k->name, kernel_kind_text(k->kind), kernel_operators(&v->arena, k),
                        b.x1 - b.x0 + 1, b.y1 - b.y0 + 1, b.x0, b.y0, k->shape.lanes_in,
                        k->shape.lanes_out, k->shape.cycles, k->shape.bytes);
}

/* A ring around the slowest kernel where its border alone would not be seen. */
static void ring_slowest(Picture *v)
{
    const double least = 34;
    if (!v->slowest)
        return;
    Box b = plan_box(v->slowest);
    double w = (b.x1 - b.x0 + 1) * v->scale, h = (b.y1 - b.y0 + 1) * v->scale;
    if (w < least || h < least)
        text_printf(v->t,
                    "<ellipse cx=\"%.1f\" cy=\"%.1f\" rx=\"%.1f\" ry=\"%.1f\" fill=\"none\" "
                    "stroke=\"#c00000\" stroke-width=\"2\"/>\n",
                    picture_x(v, b.x0) + w / 2, picture_y(v, b.y0) + h / 2, w * 0.5 + 12,
                    h * 0.5 + 12);
}

void picture_kernels(Picture *v, KernelStyle style)
{
    for (size_t i = 0; i < v->p->kernels.n; i++) {
        const Kernel *k = v->p->kernels.data[i];
        Box b = plan_box(k);
        bool pale = style == KERNELS_PALE, slow = k == v->slowest && !pale;
        double w = (b.x1 - b.x0 + 1) * v->scale, h = (b.y1 - b.y0 + 1) * v->scale;
        double edge = slow ? 3 : v->scale < 1 ? 0.6 : 1.2;
        edge = edge > w / 3 ? w / 3 : edge > h / 3 ? h / 3 : edge;
        double busy = v->target ? (double)k->shape.cycles / (double)v->target : 1;
        ArenaMark mark = arena_mark(&v->arena);
        text_printf(v->t,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" "
                    "fill-opacity=\"%.2f\" stroke=\"%s\" stroke-width=\"%.1f\"><title>",
                    picture_x(v, b.x0) + edge / 2, picture_y(v, b.y0) + edge / 2, w - edge,
                    h - edge, kind_fill[k->kind], pale ? 0 : 0.3 + 0.7 * busy,
                    pale   ? "#999"
                    : slow ? "#c00000"
                           : "#333",
                    edge);
        picture_escaped(v, picture_kernel_title(v, k));
        text_add(v->t, "</title></rect>\n");
        arena_rewind(&v->arena, mark);
    }
    if (style == KERNELS_COLORED && v->p->kernels.n > FEW)
        ring_slowest(v);
}

typedef struct Lettering {
    const char *lines[2];
    unsigned n;
    double size;
    bool turned;
} Lettering;

/* Without the part before the first dot; NULL if there is none. */
static const char *shorter(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot && dot[1] ? dot + 1 : NULL;
}

static double letters_for(const char *s, unsigned lines, double along, double across)
{
    double size = (along - 3) / picture_width_of(*s ? s : "x", 1), limit = across / (1.3 * lines);
    size = size < limit ? size : limit;
    return size > LARGEST_LETTERS ? LARGEST_LETTERS : size;
}

static Lettering letter(Picture *v, const Kernel *k, double w, double h)
{
    Lettering l = {.turned = h > 1.6 * w};
    double along = l.turned ? h : w, across = l.turned ? w : h;
    uint32_t columns, rows;
    plan_extent(k, &columns, &rows);
    const char *facts =
        arena_printf(&v->arena, "%u x %u, %" PRIu64 " cycles", columns, rows, k->shape.cycles);
    for (const char *name = k->name; name; name = shorter(name)) {
        double least = shorter(name) ? COMFORTABLE_LETTERS : LEAST_LETTERS;
        double one = letters_for(name, 1, along, across);
        double two = letters_for(name, 2, along, across);
        double second = letters_for(facts, 2, along, across) / 0.86;
        second = second < two ? second : two;
        if (second >= COMFORTABLE_LETTERS)
            return (Lettering){{name, facts}, 2, second, l.turned};
        if (one >= least)
            return (Lettering){{name, NULL}, 1, one, l.turned};
    }
    return l;
}

/* Half of what the text takes, across and down. */
static void half_extent(const Lettering *l, double *hw, double *hh)
{
    double tall = l->size * 1.3 * l->n / 2, longest = 0;
    for (unsigned j = 0; j < l->n; j++) {
        double one = picture_width_of(l->lines[j], j ? l->size * 0.86 : l->size) / 2;
        longest = one > longest ? one : longest;
    }
    *hw = l->turned ? tall : longest;
    *hh = l->turned ? longest : tall;
}

static double overlap(Rect a, Rect b)
{
    double w = (a.x1 < b.x1 ? a.x1 : b.x1) - (a.x0 > b.x0 ? a.x0 : b.x0);
    double h = (a.y1 < b.y1 ? a.y1 : b.y1) - (a.y0 > b.y0 ? a.y0 : b.y0);
    return w > 0 && h > 0 ? w * h : 0;
}

/* Where in the kernel's box the text covers the least of n lines; the middle if it does not
 * matter. How much that is. */
static double free_place(Rect box, const Rect *lines, size_t n, const Lettering *l, Rect *place)
{
    static const double tries[] = {0.5, 0.3, 0.7, 0.0, 1.0};
    enum { N = sizeof tries / sizeof tries[0] };
    double best = -1, hw, hh;
    half_extent(l, &hw, &hh);
    for (unsigned i = 0; i < N * N && best != 0; i++) {
        double w = box.x1 - box.x0 - 2 * hw - 4, h = box.y1 - box.y0 - 2 * hh - 4, covers = 0;
        double cx = box.x0 + 2 + hw + (w > 0 ? w * tries[i / N] : w / 2);
        double cy = box.y0 + 2 + hh + (h > 0 ? h * tries[i % N] : h / 2);
        Rect r = {cx - hw, cy - hh, cx + hw, cy + hh};
        for (size_t k = 0; k < n; k++)
            covers += overlap(r, lines[k]);
        if (best < 0 || covers < best - 0.5) {
            best = covers;
            *place = r;
        }
    }
    return best;
}

/* Without the second line if only so there is nothing below it. */
static void place_label(Picture *v, Rect box, Lettering *l, Rect *place)
{
    ArenaMark mark = arena_mark(&v->arena);
    Rect *lines = arena_array(&v->arena, Rect, v->lines.n);
    size_t n = 0;
    for (size_t i = 0; i < v->lines.n; i++)
        if (overlap(box, v->lines.data[i]) > 0)
            lines[n++] = v->lines.data[i];
    double covers = free_place(box, lines, n, l, place);
    Lettering one = *l;
    Rect other;
    one.n = 1;
    if (covers > 0 && l->n > 1 && free_place(box, lines, n, &one, &other) < covers / 3) {
        *l = one;
        *place = other;
    }
    arena_rewind(&v->arena, mark);
    vec_push(&v->arena, &v->full, *place);
}

/* Beside a kernel that is too small for its name, where no other text or kernel is. */
static void label_beside(Picture *v, const Kernel *k, Rect r)
{
    const double size = 9;
    double w = picture_width_of(k->name, size) + 4, h = size + 3;
    const Rect tries[] = {{r.x1 + 1, (r.y0 + r.y1 - h) / 2, r.x1 + 1 + w, (r.y0 + r.y1 + h) / 2},
                          {r.x0 - 1 - w, (r.y0 + r.y1 - h) / 2, r.x0 - 1, (r.y0 + r.y1 + h) / 2},
                          {(r.x0 + r.x1 - w) / 2, r.y1 + 1, (r.x0 + r.x1 + w) / 2, r.y1 + 1 + h},
                          {(r.x0 + r.x1 - w) / 2, r.y0 - 1 - h, (r.x0 + r.x1 + w) / 2, r.y0 - 1}};
    for (unsigned i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        Rect t = tries[i];
        bool good = t.x0 >= picture_x(v, v->used.x0) && t.x1 <= picture_x(v, v->used.x1 + 1) &&
                    t.y0 >= picture_y(v, v->used.y0) && t.y1 <= picture_y(v, v->used.y1 + 1);
        for (size_t j = 0; j < v->p->kernels.n && good; j++) {
            Box b = plan_box(v->p->kernels.data[j]);
            good = t.x1 <= picture_x(v, b.x0) || t.x0 >= picture_x(v, b.x1 + 1) ||
                   t.y1 <= picture_y(v, b.y0) || t.y0 >= picture_y(v, b.y1 + 1);
        }
        if (!good || !picture_room(v, t))
            continue;
        picture_text(v, t.x0 + 2, t.y1 - 3, size,
                     "fill=\"#111\" stroke=\"#fff\" stroke-width=\"2.5\" paint-order=\"stroke\"",
                     k->name);
        return;
    }
}

void picture_kernel_labels(Picture *v)
{
    text_add(v->t, "<g text-anchor=\"middle\" fill=\"#111\" stroke=\"#fff\" stroke-width=\"2.5\" "
                   "stroke-opacity=\"0.8\" paint-order=\"stroke\">\n");
    const Kernel **small = arena_array(&v->arena, const Kernel *, v->p->kernels.n);
    size_t n_small = 0;
    for (size_t i = 0; i < v->p->kernels.n; i++) {
        const Kernel *k = v->p->kernels.data[i];
        Box b = plan_box(k);
        double w = (b.x1 - b.x0 + 1) * v->scale, h = (b.y1 - b.y0 + 1) * v->scale;
        Rect box = {picture_x(v, b.x0), picture_y(v, b.y0), picture_x(v, b.x1 + 1),
                    picture_y(v, b.y1 + 1)};
        Rect place;
        Lettering l = letter(v, k, w, h);
        if (!l.n) {
            small[n_small++] = k;
            continue;
        }
        place_label(v, box, &l, &place);
        text_printf(v->t, "<g transform=\"translate(%.1f %.1f)%s\">", (place.x0 + place.x1) / 2,
                    (place.y0 + place.y1) / 2, l.turned ? " rotate(-90)" : "");
        for (unsigned j = 0; j < l.n; j++)
            picture_text(v, 0, ((double)j - (l.n - 1) / 2.0) * l.size * 1.25 + l.size * 0.35,
                         j ? l.size * 0.86 : l.size, "", l.lines[j]);
        text_add(v->t, "</g>\n");
    }
    text_add(v->t, "</g>\n");
    for (size_t i = 0; i < n_small && n_small <= FEW; i++) {
        Box b = plan_box(small[i]);
        label_beside(v, small[i],
                     (Rect){picture_x(v, b.x0), picture_y(v, b.y0), picture_x(v, b.x1 + 1),
                            picture_y(v, b.y1 + 1)});
    }
}

/* ---- the panel ---- */

void picture_heading(Picture *v, const char *s)
{
    v->panel_y += LINE_HEIGHT * 0.6;
    picture_text(v, v->panel_x, v->panel_y, 13, "font-weight=\"bold\" fill=\"#111\"", s);
    v->panel_y += LINE_HEIGHT;
}

void picture_item(Picture *v, const char *words, double *x, double *y)
{
    *x = v->panel_x;
    *y = v->panel_y - 4;
    picture_text(v, v->panel_x + 36, v->panel_y, 12, "fill=\"#222\"", words);
    v->panel_y += LINE_HEIGHT;
}

void picture_overview(Picture *v)
{
    const Machine *m = v->p->machine;
    Box u = v->used;
    double uw = u.x1 - u.x0 + 1, uh = u.y1 - u.y0 + 1;
    if (uw >= 0.7 * m->width && uh >= 0.7 * m->height)
        return;
    uint32_t largest = m->width > m->height ? m->width : m->height;
    double s = (double)OVERVIEW / largest, x = v->panel_x, y = v->panel_y;
    text_printf(v->t,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#eee\" "
                "stroke=\"#333\"/>\n<path fill=\"#777\" d=\"",
                x, y, m->width * s, m->height * s);
    for (size_t i = 0; i < v->p->kernels.n; i++) {
        Box b = plan_box(v->p->kernels.data[i]);
        double w = (b.x1 - b.x0 + 1) * s, h = (b.y1 - b.y0 + 1) * s;
        w = w < 0.4 ? 0.4 : w;
        text_printf(v->t, "M%.1f %.1fh%.1fv%.1fh-%.1fz", x + b.x0 * s, y + b.y0 * s, w,
                    h < 0.4 ? 0.4 : h, w);
    }
    text_add(v->t, "\"/>\n<path fill=\"none\" stroke=\"#b9770e\" stroke-width=\"0.8\" d=\"");
    for (size_t i = 0; i < v->p->streams.n; i++) {
        const Stream *g = v->p->streams.data[i];
        uint32_t mid = (g->protocol.lanes - 1) / 2;
        if (!g->n_segments)
            continue;
        text_printf(v->t, "M%.1f %.1f", x + (g->start_x[mid] + 0.5) * s,
                    y + (g->start_y[mid] + 0.5) * s);
        for (uint32_t k = 0; k < g->n_segments; k++) {
            bool across = g->segments[k].side == SIDE_E || g->segments[k].side == SIDE_W;
            text_printf(v->t, across ? "H%.1f" : "V%.1f",
                        (across ? x : y) + (g->segments[k].to[mid] + 0.5) * s);
        }
    }
    text_add(v->t, "\"/>\n");
    for (size_t i = 0; i < v->p->keepouts.n; i++) {
        Box b = keepout_box(&v->p->keepouts.data[i]);
        text_printf(v->t,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n",
                    x + b.x0 * s, y + b.y0 * s, (b.x1 - b.x0 + 1) * s, (b.y1 - b.y0 + 1) * s,
                    v->p->keepouts.data[i].dead ? "#444" : "url(#hatch)");
    }
    text_printf(v->t,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" "
                "stroke=\"#c00000\" stroke-width=\"1.5\"/>\n",
                x + u.x0 * s, y + u.y0 * s, uw * s < 3 ? 3 : uw * s, uh * s < 3 ? 3 : uh * s);
    double tx = x + m->width * s + 14;
    picture_text(v, tx, y + 14, 13, "font-weight=\"bold\" fill=\"#111\"", m->name);
    picture_text(v, tx, y + 32, 12, "fill=\"#333\"",
                 arena_printf(&v->arena, "%u x %u cores", m->width, m->height));
    picture_text(v, tx, y + 50, 12, "fill=\"#c00000\"",
                 arena_printf(&v->arena, "shown: %d,%d to %d,%d", u.x0, u.y0, u.x1, u.y1));
    v->panel_y = y + m->height * s + LINE_HEIGHT;
}

static void legend_rect(Picture *v, const char *fill, const char *stroke, double width,
                        const char *words)
{
    double x, y;
    picture_item(v, words, &x, &y);
    text_printf(v->t,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"26\" height=\"12\" fill=\"%s\" stroke=\"%s\" "
                "stroke-width=\"%.1f\"/>\n",
                x, y - 6, fill, stroke, width);
}

void picture_legend(Picture *v, KernelStyle style)
{
    const Plan *p = v->p;
    uint32_t count[KERNEL_KIND_COUNT] = {0}, outs[2] = {0}, dead = 0;
    uint64_t cores[KERNEL_KIND_COUNT] = {0};
    for (size_t i = 0; i < p->kernels.n; i++) {
        const Kernel *k = p->kernels.data[i];
        count[k->kind]++;
        cores[k->kind] += (uint64_t)k->shape.w * k->shape.h;
    }
    for (size_t i = 0; i < p->keepouts.n; i++)
        outs[p->keepouts.data[i].dead]++;
    for (uint32_t i = 0; p->defects && i < p->defects->n; i++)
        dead += p->defects->runs[i].n <= DEFECT_SKIP ? p->defects->runs[i].n : 0;
    for (KernelKind k = 0; k < KERNEL_KIND_COUNT && style == KERNELS_COLORED; k++)
        if (count[k])
            legend_rect(v, kind_fill[k], "#333", 1,
                        arena_printf(&v->arena, "%s: %u on %" PRIu64 " cores", kernel_kind_text(k),
                                     count[k], cores[k]));
    if (v->slowest && style == KERNELS_COLORED) {
        legend_rect(v, "#fff", "#c00000", 3,
                    arena_printf(&v->arena, "the slowest: %s, %" PRIu64 " cycles", v->slowest->name,
                                 v->slowest->shape.cycles));
        picture_text(v, v->panel_x + 36, v->panel_y, 12, "fill=\"#555\"",
                     "paler: idle for more of the time");
        v->panel_y += LINE_HEIGHT;
    }
    if (outs[0])
        legend_rect(v, "url(#hatch)", "#a33", 1,
                    arena_printf(&v->arena, "keep-out, no kernels: %u", outs[0]));
    if (outs[1])
        legend_rect(v, "#444", "#222", 1, arena_printf(&v->arena, "out of order: %u", outs[1]));
    if (dead) {
        double x, y;
        picture_item(v, arena_printf(&v->arena, "dead cores that rows skip: %u", dead), &x, &y);
        text_printf(v->t,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"5\" height=\"5\" fill=\"#b00020\"/>\n",
                    x + 10, y - 3);
    }
}
