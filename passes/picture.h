/* SPDX-License-Identifier: Apache-2.0 */
/* passes/picture.h - what the pictures of a plan have in common: a frame around the part of the
 * fabric in use, kernels, what is out of use, and a panel with legend and overview. */
#ifndef WSEC_PASSES_PICTURE_H
#define WSEC_PASSES_PICTURE_H

#include "passes/planner.h"

enum {
    PANEL_WIDTH = 440,
    MARGIN = 76, /* around the fabric: coordinates, names of ports */
    HEAD = 64,
    LINE_HEIGHT = 18,
    FEW = 80, /* kernels or streams: more get no extra marks */
};

typedef struct Rect {
    double x0, y0, x1, y1;
} Rect;

typedef struct Picture {
    Text *t, *out;
    Text body; /* t, until the height is known */
    const Plan *p;
    Arena arena;
    Router *router; /* for edges and loads */
    Box used;       /* what is shown */
    double scale;   /* pixels a core */
    uint64_t target;
    const Kernel *slowest;
    VEC(Rect) full;          /* where there is text already */
    VEC(Rect) lines;         /* what texts had better not stand on */
    double panel_x, panel_y; /* where the panel goes on */
    double width, height;
} Picture;

/* Begins the drawing: title, fabric, coordinates, scale. */
void picture_begin(Picture *v, Text *t, const Plan *p, const char *what);
void picture_end(Picture *v); /* dead cores on top; writes it all to the text given */

double picture_x(const Picture *v, double x); /* left border of core x */
double picture_y(const Picture *v, double y);

void picture_keepouts(Picture *v, double opacity);

typedef enum KernelStyle { KERNELS_COLORED, KERNELS_PALE } KernelStyle;
void picture_kernels(Picture *v, KernelStyle style);
void picture_kernel_labels(Picture *v);

void picture_text(Picture *v, double x, double y, double size, const char *style, const char *s);
void picture_escaped(Picture *v, const char *s);
double picture_width_of(const char *s, double size); /* of a text, about */
/* Is the point inside of the frame? What may not be is drawn between these two. */
bool picture_shows(const Picture *v, double x, double y);
void picture_clip(Picture *v, bool begin);
/* True, and the place is taken, if there is no text yet. */
bool picture_room(Picture *v, Rect r);

/* The panel: lines of a legend, then of lists. picture_item() leaves room for a sample of
 * 26 x 12 pixels, of which it returns the left and the middle. */
void picture_heading(Picture *v, const char *s);
void picture_item(Picture *v, const char *words, double *x, double *y);
void picture_overview(Picture *v); /* the wafer, where only a part of it is shown */
void picture_legend(Picture *v, KernelStyle style);

const char *picture_kernel_title(Picture *v, const Kernel *k);

#endif
