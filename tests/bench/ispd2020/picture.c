/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/ispd2020/picture.c - kernels by name and type, their edges, a scale, a legend.
 *
 * The deeper the color, the nearer a kernel is to the slowest one, which has a red border.
 * Edges run from middle to middle with an arrow head, red where protocols do not match; names
 * stand at the ends of the boxes, aside of them. North is up, as in the contest. */
#include <math.h>
#include <string.h>

#include "tests/bench/ispd2020/picture.h"

enum { SCALE = 2, MARGIN = 40, FOOT = 90, LEAST_LETTERS = 8, LARGEST_LETTERS = 20 };

typedef struct Canvas {
    Text *t;
    const Kgraph *g;
    const EvalResult *e;
    double w, h; /* of the grid, in pixels */
} Canvas;

static const char *const fills[] = {"#fff", "#fff", "#7fb2e5", "#86cf97", "#f4b860"};
static const char *const types[] = {"", "", "conv", "dblock", "cblock"};

static void escaped(Text *t, const char *s)
{
    for (; *s; s++) {
        if (*s == '<' || *s == '&' || *s == '>')
            text_printf(t, "&#%d;", *s);
        else
            text_add_bytes(t, s, 1);
    }
}

static void draw_kernel(Canvas *c, const EvalPlaced *p)
{
    const KgraphNode *v = &c->g->nodes[p->node];
    bool slowest = p->time >= c->e->time;
    text_printf(c->t,
                "<rect x='%g' y='%g' width='%g' height='%g' fill='%s' fill-opacity='%.2f' "
                "stroke='%s' stroke-width='%s'><title>",
                (double)p->x * SCALE, c->h - (double)(p->y + p->h) * SCALE, (double)p->w * SCALE,
                (double)p->h * SCALE, fills[v->type],
                c->e->time > 0 ? 0.2 + 0.8 * p->time / c->e->time : 1, slowest ? "#c00000" : "#333",
                slowest ? "3" : "1");
    escaped(c->t, v->name);
    text_printf(c->t, ": %s, %lld x %lld at %lld,%lld%s, time %.10g</title></rect>\n",
                types[v->type], (long long)p->w, (long long)p->h, (long long)p->x, (long long)p->y,
                p->turned ? ", turned" : "", p->time);
}

/* At the west or the north end of the box, as large as it has room for. */
static void label_kernel(Canvas *c, const EvalPlaced *p)
{
    const char *name = c->g->nodes[p->node].name;
    double w = (double)p->w * SCALE, h = (double)p->h * SCALE;
    bool upright = h > w;
    double along = upright ? h : w, across = upright ? w : h;
    double letters = (double)strlen(name) + 1, size = across * 0.8;
    size = size > LARGEST_LETTERS ? LARGEST_LETTERS : size;
    size = size > along * 0.4 / (0.6 * letters) ? along * 0.4 / (0.6 * letters) : size;
    if (size < LEAST_LETTERS)
        return; /* the tooltip has it */
    double x = (double)p->x * SCALE + (upright ? w / 2 : size * 0.5);
    double y = c->h - (double)(p->y + p->h) * SCALE + (upright ? size * 0.5 : h / 2);
    text_printf(c->t,
                "<text font-size='%.1f' text-anchor='%s' transform='translate(%g,%g)%s' "
                "dy='.35em'>",
                size, upright ? "end" : "start", x, y, upright ? " rotate(-90)" : "");
    escaped(c->t, name);
    text_add(c->t, "</text>\n");
}

static void draw_edge(Canvas *c, const EvalPlaced *from, const EvalPlaced *to, unsigned adapters)
{
    double x0 = ((double)from->x + (double)from->w / 2) * SCALE;
    double y0 = c->h - ((double)from->y + (double)from->h / 2) * SCALE;
    double x1 = ((double)to->x + (double)to->w / 2) * SCALE;
    double y1 = c->h - ((double)to->y + (double)to->h / 2) * SCALE;
    double length = sqrt((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0));
    double head = length < 14 ? length / 2 : 7;
    double dx = length > 0 ? (x1 - x0) / length * head : 0;
    double dy = length > 0 ? (y1 - y0) / length * head : 0;
    const char *ink = adapters ? "#c81e1e" : "#173f73";
    text_printf(c->t,
                "<g stroke='%s' fill='%s'><title>%u adapters</title><path d='M%.1f %.1fL%.1f "
                "%.1f'/><path stroke='none' d='M%.1f %.1fL%.1f %.1fL%.1f %.1fZ'/></g>\n",
                ink, ink, adapters, x0, y0, x1, y1, x1, y1, x1 - dx - dy * 0.45,
                y1 - dy + dx * 0.45, x1 - dx + dy * 0.45, y1 - dy - dx * 0.45);
}

static void draw_edges(Canvas *c, Arena *a)
{
    const EvalPlaced **of = arena_array(a, const EvalPlaced *, c->g->n_nodes);
    for (uint32_t i = 0; i < c->e->n_placed; i++)
        of[c->e->placed[i].node] = &c->e->placed[i];
    text_add(c->t, "<g stroke-width='2' stroke-opacity='.75'>\n");
    for (uint32_t i = 0; i < c->g->n_edges; i++) {
        const EvalPlaced *from = of[c->g->edges[i].from], *to = of[c->g->edges[i].to];
        if (from && to)
            draw_edge(c, from, to, c->e->mismatches[i]);
    }
    text_add(c->t, "</g>\n");
}

static void draw_legend(Canvas *c)
{
    uint32_t n[sizeof fills / sizeof fills[0]] = {0};
    double x = 0, y = c->h + 44;
    text_printf(c->t,
                "<path d='M0.5 %gv8m0 -4h%dm0 -4v8' stroke='#000' stroke-width='2' fill='none'/>"
                "<text x='%d' y='%g'>100 tiles</text>\n",
                c->h + 14, 100 * SCALE, 100 * SCALE + 10, c->h + 23);
    for (uint32_t i = 0; i < c->e->n_placed; i++)
        n[c->g->nodes[c->e->placed[i].node].type]++;
    for (unsigned k = KGRAPH_CONV; k <= KGRAPH_CBLOCK; k++) {
        if (!n[k])
            continue;
        text_printf(c->t,
                    "<rect x='%g' y='%g' width='18' height='14' fill='%s' stroke='#333'/><text "
                    "x='%g' y='%g'>%u %s</text>\n",
                    x, y, fills[k], x + 25, y + 12, n[k], types[k]);
        x += 130;
    }
    text_printf(c->t,
                "<rect x='%g' y='%g' width='18' height='14' fill='#fff' stroke='#c00000' "
                "stroke-width='3'/><text x='%g' y='%g'>slowest; paler is faster</text>\n",
                x, y, x + 25, y + 12);
    text_printf(c->t,
                "<path d='M0 %gh26' stroke='#173f73' stroke-width='2'/><text x='34' y='%g'>edge, "
                "protocols match</text><path d='M250 %gh26' stroke='#c81e1e' stroke-width='2'/>"
                "<text x='284' y='%g'>edge with adapters</text>\n",
                y + 28, y + 33, y + 28, y + 33);
}

void contest_picture(Text *t, const Kgraph *g, const EvalResult *e, double bound)
{
    Arena a = {0};
    Canvas c = {t, g, e, (double)g->width * SCALE, (double)g->height * SCALE};
    double w = c.w + 2 * MARGIN, h = c.h + 2 * MARGIN + FOOT;
    w = w < 700 ? 700 : w; /* of the texts */
    text_printf(t,
                "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %g %g' width='%g' "
                "height='%g' font-family='Helvetica, Arial, sans-serif' font-size='15'>\n<rect "
                "width='100%%' height='100%%' fill='#fff'/>\n",
                w, h, w, h);
    text_printf(t, "<text x='%d' y='26' font-size='18'>", MARGIN);
    escaped(t, g->test ? g->test : "");
    text_printf(t,
                "%sslowest %.10g, wire %.10g, adapters %llu: score %.10g, bound %.10g</text>\n<g "
                "transform='translate(%d,%d)'>\n<rect width='%g' height='%g' fill='#f7f7f7' "
                "stroke='#333' stroke-width='2'/>\n",
                g->test ? ": " : "", e->time, e->wire, (unsigned long long)e->adapters, e->score,
                bound, MARGIN, MARGIN, c.w, c.h);
    for (unsigned slow = 0; slow < 2; slow++) /* its border above those of its neighbors */
        for (uint32_t i = 0; i < e->n_placed; i++)
            if ((e->placed[i].time >= e->time) == (slow == 1))
                draw_kernel(&c, &e->placed[i]);
    draw_edges(&c, &a);
    text_add(t, "<g fill='#111' stroke='#fff' stroke-width='3' stroke-opacity='.8' "
                "paint-order='stroke'>\n");
    for (uint32_t i = 0; i < e->n_placed; i++)
        label_kernel(&c, &e->placed[i]);
    text_add(t, "</g>\n");
    draw_legend(&c);
    text_add(t, "</g>\n</svg>\n");
    arena_free(&a);
}
