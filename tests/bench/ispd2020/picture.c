/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/ispd2020/picture.c - kernels by name and type, their edges, a scale, a legend.
 * The deeper the color, the nearer a kernel is to the slowest one. */
#include <string.h>

#include "tests/bench/ispd2020/picture.h"

enum { SCALE = 2, MARGIN = 40, FOOT = 70 };

static void legend(Text *t, double y, const char *fill, const char *text, double x)
{
    text_printf(t,
                "<rect x='%g' y='%g' width='14' height='14' fill='%s' stroke='#333'/>"
                "<text x='%g' y='%g'>%s</text>\n",
                x, y, fill, x + 20, y + 12, text);
}

void contest_picture(Text *t, const Kgraph *g, const EvalResult *e, double bound)
{
    static const char *const fill[] = {"#fff", "#fff", "#8ec6f0", "#9ad7a0", "#f6c36b"};
    double w = (double)g->width * SCALE, h = (double)g->height * SCALE;
    text_printf(
        t,
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %g %g' width='%g' height='%g' "
        "font-family='sans-serif' font-size='15'>\n<rect width='100%%' height='100%%' "
        "fill='#fff'/>\n",
        w + 2 * MARGIN, h + 2 * MARGIN + FOOT, w + 2 * MARGIN, h + 2 * MARGIN + FOOT);
    text_printf(
        t,
        "<text x='%d' y='26' font-size='18'>slowest %.10g, wire %.10g, adapters %llu, score "
        "%.10g, bound %.10g</text>\n<g transform='translate(%d,%d)'>\n<rect width='%g' "
        "height='%g' fill='#f4f4f4' stroke='#333'/>\n",
        MARGIN, e->time, e->wire, (unsigned long long)e->adapters, e->score, bound, MARGIN, MARGIN,
        w, h);
    for (uint32_t i = 0; i < e->n_placed; i++) {
        const EvalPlaced *p = &e->placed[i];
        const KgraphNode *v = &g->nodes[p->node];
        double x = (double)p->x * SCALE, y = h - (double)(p->y + p->h) * SCALE;
        double pw = (double)p->w * SCALE, ph = (double)p->h * SCALE;
        size_t letters = strlen(v->name);
        double size = (pw > ph ? pw : ph) / (double)(letters ? letters : 1) * 1.4;
        if (size > (pw > ph ? ph : pw) * 0.8)
            size = (pw > ph ? ph : pw) * 0.8;
        if (size > 22)
            size = 22;
        text_printf(
            t,
            "<g><title>%s %s %lld x %lld%s, time %.10g</title><rect x='%g' y='%g' width='%g' "
            "height='%g' fill='%s' fill-opacity='%.2f' stroke='#333'/>",
            v->name,
            v->type == KGRAPH_CONV     ? "conv"
            : v->type == KGRAPH_DBLOCK ? "dblock"
                                       : "cblock",
            (long long)p->w, (long long)p->h, p->turned ? ", turned" : "", p->time, x, y, pw, ph,
            fill[v->type], e->time > 0 ? 0.25 + 0.75 * p->time / e->time : 1);
        text_printf(t,
                    "<text font-size='%.1f' text-anchor='middle' transform='translate(%g,%g)%s' "
                    "dy='.35em'>%s</text></g>\n",
                    size, x + pw / 2, y + ph / 2, ph > pw ? " rotate(-90)" : "", v->name);
    }
    text_printf(t, "<g stroke='#b03020' stroke-width='2' stroke-opacity='.6' fill='#b03020'>\n");
    for (uint32_t i = 0; i < g->n_edges; i++) {
        const EvalPlaced *ends[2] = {NULL, NULL};
        for (uint32_t j = 0; j < e->n_placed; j++)
            for (unsigned k = 0; k < 2; k++)
                if (e->placed[j].node == (k ? g->edges[i].to : g->edges[i].from))
                    ends[k] = &e->placed[j];
        if (!ends[0] || !ends[1])
            continue;
        double c[4];
        for (unsigned k = 0; k < 2; k++) {
            c[2 * k] = ((double)ends[k]->x + (double)ends[k]->w / 2) * SCALE;
            c[2 * k + 1] = h - ((double)ends[k]->y + (double)ends[k]->h / 2) * SCALE;
        }
        text_printf(t, "<path d='M%g %gL%g %g' fill='none'/><circle cx='%g' cy='%g' r='4'/>\n",
                    c[0], c[1], c[2], c[3], c[2], c[3]);
    }
    text_printf(t,
                "</g>\n<path d='M0 %gh%d' stroke='#000' stroke-width='3'/><text x='%d' y='%g'>100 "
                "tiles</text>\n",
                h + 20, 100 * SCALE, 100 * SCALE + 10, h + 25);
    legend(t, h + 40, fill[KGRAPH_CONV], "conv", 0);
    legend(t, h + 40, fill[KGRAPH_DBLOCK], "dblock", 100);
    legend(t, h + 40, fill[KGRAPH_CBLOCK], "cblock", 200);
    text_printf(t,
                "<text x='310' y='%g'>deeper: nearer to the slowest kernel; a dot is the end of an "
                "edge</text>\n</g>\n</svg>\n",
                h + 52);
}
