/* SPDX-License-Identifier: Apache-2.0 */
/* passes/svg_heat.c - the routing as a picture: how full links are.
 *
 * What the router has taken, box by box, each with the words that leave its routers by its
 * fullest side, against what a link carries in the time of a sample. Cooler ones first, so that
 * the hottest stay visible; the hottest is marked and named. Cost: boxes, log of it to sort. */
#include <inttypes.h>
#include <stdlib.h>

#include "passes/picture.h"

enum { HOTTEST_LISTED = 12 };

/* Up to so many percent of a link. Light to dark, readable without color. */
static const struct {
    unsigned percent;
    const char *fill;
} heat[] = {{1, "#fdf6d8"},  {2, "#fdeaa0"},   {4, "#fed871"},
            {8, "#feb24c"},  {16, "#fd8d3c"},  {32, "#f4502a"},
            {64, "#d4161d"}, {100, "#94002a"}, {UINT32_MAX, "#3d0020"}};
enum { N_HEATS = sizeof heat / sizeof heat[0] };

static const char *const going[] = {"north", "east", "south", "west"};

typedef struct HotBox {
    Box box;
    Side side;
    uint64_t words;
    size_t order;
    const char *what;
} HotBox;

static unsigned heat_of(const Picture *v, uint64_t words)
{
    unsigned h = 0;
    while (h + 1 < N_HEATS && words * 100 > (uint64_t)heat[h].percent * v->target)
        h++;
    return h;
}

static int cooler(const void *a, const void *b)
{
    const HotBox *p = a, *q = b;
    if (p->words != q->words)
        return p->words < q->words ? -1 : 1;
    return p->order < q->order ? -1 : p->order > q->order;
}

static size_t collect(Picture *v, HotBox **result)
{
    Router *r = v->router;
    size_t n = 0;
    for (size_t i = 0; i < v->p->kernels.n; i++) {
        router_add_kernel(r, v->p->kernels.data[i]);
    }
    size_t kernels = r->taken.n;
    for (size_t i = 0; i < v->p->streams.n; i++)
        router_add_routed(r, v->p->streams.data[i]);
    HotBox *hot = arena_array(&v->arena, HotBox, r->taken.n);
    for (size_t i = 0; i < r->taken.n; i++) {
        const Taken *t = &r->taken.data[i];
        if (t->side == SIDE_RAMP || !t->words)
            continue;
        const char *what = t->stream >= 0 ? v->p->streams.data[t->stream]->name : "";
        for (size_t k = 0; i < kernels && k < v->p->kernels.n; k++)
            if (box_meet(plan_box(v->p->kernels.data[k]), t->box))
                what = v->p->kernels.data[k]->name;
        hot[n] = (HotBox){t->box, t->side, router_load(r, t->box, t->side), n, what};
        n++;
    }
    if (n)
        qsort(hot, n, sizeof *hot, cooler);
    *result = hot;
    return n;
}

/* They come sorted, so those of a color are a group. */
static void draw_boxes(Picture *v, const HotBox *hot, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const HotBox *h = &hot[i];
        unsigned level = heat_of(v, h->words);
        Box b = h->box;
        double w = (b.x1 - b.x0 + 1) * v->scale, t = (b.y1 - b.y0 + 1) * v->scale;
        if (i == 0 || heat_of(v, hot[i - 1].words) != level)
            text_printf(v->t, "%s<g fill=\"%s\" fill-opacity=\"0.85\">\n", i ? "</g>\n" : "",
                        heat[level].fill);
        text_printf(v->t, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>",
                    picture_x(v, b.x0), picture_y(v, b.y0), w < 1.4 ? 1.4 : w, t < 1.4 ? 1.4 : t);
        picture_escaped(v, h->what);
        text_printf(v->t, ", %s: %" PRIu64 " words</title></rect>\n", going[h->side], h->words);
    }
    if (n)
        text_add(v->t, "</g>\n");
}

static const char *share(Picture *v, uint64_t words)
{
    return arena_printf(&v->arena, "%" PRIu64 " words, %.1f %%", words,
                        v->target ? 100.0 * (double)words / (double)v->target : 0.0);
}

static void mark_hottest(Picture *v, const HotBox *h)
{
    Box b = h->box;
    double x = picture_x(v, b.x0) - 3, y = picture_y(v, b.y0) - 3;
    double w = (b.x1 - b.x0 + 1) * v->scale + 6, t = (b.y1 - b.y0 + 1) * v->scale + 6;
    text_printf(v->t,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" "
                "stroke=\"#0038b8\" stroke-width=\"2.5\"/>\n",
                x, y, w, t);
    const char *s = arena_printf(&v->arena, "hottest: %s", share(v, h->words));
    double tw = picture_width_of(s, 13) + 6;
    double left = picture_x(v, v->used.x0), right = v->panel_x - 10 - tw;
    /* Around it, farther and farther, until there is room. */
    static const int ways[][2] = {{0, -1}, {0, 1},   {1, 0}, {-1, 0},
                                  {1, -1}, {-1, -1}, {1, 1}, {-1, 1}};
    for (unsigned i = 0; i < 8 * 12; i++) {
        double far = 4 + 18.0 * (i / 8), mx = x + w / 2, my = y + t / 2;
        double cx = mx + ways[i % 8][0] * (w / 2 + tw / 2 + far);
        double cy = my + ways[i % 8][1] * (t / 2 + 9 + far);
        cx = cx < left + tw / 2 ? left + tw / 2 : cx > right + tw / 2 ? right + tw / 2 : cx;
        Rect r = {cx - tw / 2, cy - 9, cx + tw / 2, cy + 9};
        bool covers = r.x0 < x + w && r.x1 > x && r.y0 < y + t && r.y1 > y;
        if (covers || r.y0 < HEAD || r.y1 > v->height || !picture_room(v, r))
            continue;
        text_printf(v->t,
                    "<path stroke=\"#0038b8\" stroke-width=\"1.5\" d=\"M%.1f %.1fL%.1f %.1f\"/>"
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"18\" fill=\"#fff\" "
                    "stroke=\"#0038b8\"/>\n",
                    cx, cy, mx + ways[i % 8][0] * w / 2, my + ways[i % 8][1] * t / 2, r.x0, r.y0,
                    tw);
        picture_text(v, r.x0 + 3, r.y0 + 13, 13, "fill=\"#0038b8\" font-weight=\"bold\"", s);
        return;
    }
}

static void draw_legend(Picture *v)
{
    picture_heading(v, "words a sample on the fullest links");
    for (unsigned i = 0; i < N_HEATS; i++) {
        double x, y;
        bool over = i + 1 == N_HEATS;
        unsigned percent = over ? heat[i - 1].percent : heat[i].percent;
        if (v->target * percent / 100 == 0)
            continue; /* less than a word */
        picture_item(v,
                     arena_printf(&v->arena, "%s %" PRIu64 " words, %u %% of a link",
                                  over ? "more than" : "up to", v->target * percent / 100, percent),
                     &x, &y);
        text_printf(v->t,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"26\" height=\"%d\" fill=\"%s\" "
                    "stroke=\"#999\" stroke-width=\"0.5\"/>\n",
                    x, y - 9, LINE_HEIGHT, heat[i].fill);
    }
    v->panel_y += 6;
    picture_legend(v, KERNELS_PALE);
}

void routed_svg(Text *t, const Plan *p)
{
    Picture v;
    HotBox *hot;
    picture_begin(&v, t, p, "loads of links");
    size_t n = collect(&v, &hot);
    picture_clip(&v, true);
    draw_boxes(&v, hot, n);
    picture_clip(&v, false);
    picture_keepouts(&v, 0.4);
    picture_kernels(&v, KERNELS_PALE);
    picture_kernel_labels(&v);
    if (n && box_meet(v.used, hot[n - 1].box))
        mark_hottest(&v, &hot[n - 1]);
    picture_overview(&v);
    draw_legend(&v);
    picture_heading(&v, "the hottest");
    for (size_t i = n, listed = 0; i-- > 0 && listed < HOTTEST_LISTED;) {
        const HotBox *h = &hot[i];
        bool seen = false; /* another box of the same bundle */
        for (size_t j = i + 1; j < n && hot[j].words == h->words; j++)
            seen = seen || (hot[j].what == h->what && hot[j].side == h->side);
        if (seen)
            continue;
        listed++;
        double x, y;
        picture_item(&v,
                     arena_printf(&v.arena, "%s: %s, going %s", share(&v, h->words), h->what,
                                  going[h->side]),
                     &x, &y);
        text_printf(v.t,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"26\" height=\"12\" fill=\"%s\" "
                    "stroke=\"#999\" stroke-width=\"0.5\"/>\n",
                    x, y - 6, heat[heat_of(&v, h->words)].fill);
    }
    picture_end(&v);
}
