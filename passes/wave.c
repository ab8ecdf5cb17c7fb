/* SPDX-License-Identifier: Apache-2.0 */
/* passes/wave.c - fills the fabric with rows of kernels, two and two.
 *
 * A matrix kernel turns a stream by a quarter. In two rows one above the other a chain runs
 * like a wave without a single router in between: along into a turned kernel, across into an
 * unturned one in the other row, along into the next column. Lanes are in turn the height of a
 * row and the width of a column, so neighbors agree on them; a column is as wide as its
 * two kernels, and the sum of widths is what there is to be had. For every number of rows the
 * program of choose.c finds the choice that takes the fewest columns for a time T (the lanes
 * of all kernels agree or have an adapter that is fast enough); T is halved down to the least
 * for which the columns fit. Strips (line kernels, adapters) stand in between. Rows are filled
 * to and fro. Keep-outs and kernels on their pins are in the way: columns begin beyond them, or
 * rows are lower beside them, and all is chosen anew. Published placers fill single rows (ISPD 2020
 * contest); pairs of rows are what saves the way back. Cost: numbers of rows x log of the times x a
 * choice. Chains of few kernels and networks with skips are tried in single rows as well
 * (single.c). */
#include <stdlib.h>
#include <string.h>

#include "passes/wave.h"

enum {
    MOST_BANDS = 24,
    MOST_PLANS = 8,
    MOST_SPLITS = 5,
    MOST_BELOW = 12,
    MOST_ROUNDS = 12,
    MOST_SINGLE = 8,     /* rows of a chain */
    MOST_CHAIN = 100,    /* its kernels */
    MOST_HEIGHTS = 1024, /* of rows, times the classes of kernels */
    SMALL = 8000,        /* shapes of a class, times kernels */
    MANY = 1000
};

/* A plan found: what to do again to get it. */
typedef struct Wave {
    uint64_t T;
    uint32_t bands, upper;         /* height of the upper row of a band */
    bool transposed, phase, equal; /* equal: all columns of at most the same width */
    bool duck;
    bool single;    /* a band is one row */
    uint32_t along; /* then lanes of all that forks and joins in that many rows; 0: a chain */
    bool last;      /* of a chain: the last row is the odd one, not the first */
} Wave;

typedef VEC(Wave) WaveVec;

/* What is pinned stands where it is to stand; lines are strips. */
static bool in_rows(const Kernel *k)
{
    return kernel_is_matrix(k->kind) && !k->pin;
}

static bool meet(Slot a, Slot b)
{
    return a.u < b.u + b.w && b.u < a.u + a.w && a.v < b.v + b.h && b.v < a.v + a.h;
}

bool wave_put(Layout *l, uint32_t item, int32_t u, int32_t v, int32_t w, int32_t h)
{
    l->hit = NULL;
    if (u + w > l->length || v < l->top[l->band] || v + h > l->top[l->band + 1])
        return false;
    Slot s = {l->band % 2 ? l->length - u - w : u, v, w, h};
    for (uint32_t i = 0; i < l->n_blocked && !l->hit; i++)
        l->hit = meet(s, l->blocked[i]) ? &l->blocked[i] : NULL;
    l->slot[item] = s;
    return !l->hit;
}

/* The row of a kernel that met something ends there, if that is worth it. */
static bool duck(Layout *l, uint32_t item, int32_t v)
{
    int32_t middle = l->top[l->band] + l->upper;
    if (!l->duck || item >= l->plan->kernels.n || l->rows[item].price == 0)
        return false;
    RowOf *row = &l->rows[item];
    int32_t free = v < middle ? middle - l->hit->v - l->hit->h : l->hit->v - middle;
    if (free * 2 < (int32_t)row->price || (uint32_t)free >= row->height)
        return false;
    row->height = (uint32_t)free;
    l->again = true;
    return true;
}

/* An item that takes its lanes along the row; w and h are its extents. Rows are flush with
 * the middle of the band. */
static bool enter(Layout *l, uint32_t item, int32_t w, int32_t h)
{
    for (;;) {
        if (l->past[item].band == l->band && l->past[item].u > l->u)
            l->u = l->past[item].u;
        if (l->u + w > l->length) {
            if (++l->band == l->bands)
                return false;
            l->u = 0;
            l->first = true;
            continue;
        }
        int32_t middle = l->top[l->band] + l->upper, v = middle - h;
        if (!l->first && l->begin + l->end > 2 * middle)
            v = l->begin;
        else if (!l->first)
            v = l->end - h;
        if (wave_put(l, item, l->u, v, w, h)) {
            l->first = false;
            l->entered = item;
            l->down = 2 * v + h <= 2 * middle;
            l->begin = v;
            l->end = v + h;
            l->width = w;
            return true;
        }
        if (!l->hit || duck(l, item, v))
            return false;
        l->u = wave_beyond(l);
    }
}

/* Another item of the column, beyond the last one. */
static bool stack(Layout *l, uint32_t item, int32_t w, int32_t h)
{
    int32_t v = l->down ? l->end : l->begin - h;
    if (!wave_put(l, item, l->u, v, w, h)) {
        if (l->hit && !duck(l, item, v)) {
            l->past[l->entered] = (Past){l->band, wave_beyond(l)};
            l->again = true;
        }
        return false;
    }
    l->begin = v;
    l->end = v + h;
    l->width = w > l->width ? w : l->width;
    return true;
}

static void leave(Layout *l)
{
    l->u += l->width;
    l->open = false;
}

static bool add_matrix(Layout *l, uint32_t item, const Shape *s, bool turned)
{
    int32_t w = (int32_t)(turned ? s->h : s->w), h = (int32_t)(turned ? s->w : s->h);
    if (turned) { /* takes lanes along, gives them across */
        if (l->open)
            leave(l);
        l->open = true;
        return enter(l, item, w, h);
    }
    bool good = l->open ? stack(l, item, w, h) : enter(l, item, w, h);
    leave(l);
    return good;
}

/* A strip of `length` cores, across the way of its stream. */
static bool add_strip(Layout *l, uint32_t item, const Shape *s)
{
    int32_t thick = (int32_t)s->w, length = (int32_t)s->h;
    if (l->open)
        return stack(l, item, length, thick);
    bool good = enter(l, item, thick, length);
    leave(l);
    return good;
}

/* A strip that feeds a kernel across, the first in its column: beyond it, in the other row. */
static bool feed(Layout *l, uint32_t item, const Shape *s)
{
    int32_t thick = (int32_t)s->w, v = l->down ? l->end : l->begin - thick, u = l->u - l->width;
    if (u + (int32_t)s->h > l->u)
        l->u = u + (int32_t)s->h;
    return wave_put(l, item, u, v, (int32_t)s->h, thick);
}

/* All items in order; false if they do not fit. Where rows run along the sides with the ports, the
 * host's lanes have room to turn in front of strips. */
static bool lay_out(Sizing *z, Layout *l, const uint32_t *order)
{
    l->band = 0;
    l->u = 0;
    l->first = true;
    l->open = false;
    for (uint32_t i = 0; i < z->n; i++) {
        const Kernel *k = z->choice[order[i]].kernel;
        bool matrix = kernel_is_matrix(k->kind), turned = z->rows[k->id].turned;
        const Stream *across = NULL;
        Shape strip, fed = {0};
        for (uint32_t j = 0; j < k->n_in; j++) {
            const Stream *s = z->plan->streams.data[k->in[j]];
            if (!sizing_adapter(z, s, &strip))
                continue;
            sizing_strip(z, s, &strip);
            int32_t room = l->transposed && s->from == PLAN_HOST ? (int32_t)strip.lanes_in : 0;
            if (matrix && !k->pin && !turned && !l->open && j == 0) {
                across = s;
                fed = strip;
                continue;
            }
            if (l->band == 0 && !l->open && l->u < room)
                l->u = room;
            if (!add_strip(l, z->n + s->id, &strip))
                return false;
        }
        const Shape *s = sizing_chosen(z, (int32_t)k->id);
        if (!k->pin && !(matrix ? add_matrix(l, k->id, s, turned) : add_strip(l, k->id, s)))
            return false;
        if (across && !feed(l, z->n + across->id, &fed))
            return false;
        for (uint32_t j = 0; j < k->n_out; j++) {
            const Stream *out = z->plan->streams.data[k->out[j]];
            if (out->to != PLAN_HOST || !sizing_adapter(z, out, &strip))
                continue;
            sizing_strip(z, out, &strip);
            int32_t room = l->transposed && !l->open ? (int32_t)strip.lanes_out : 0;
            if (!add_strip(l, z->n + out->id, &strip) || l->u + room > l->length)
                return false;
        }
    }
    return true;
}

/* With an even number of bands both ends of a chain are at one side, and share its ports. */
static bool shares_ports(uint32_t bands, bool transposed)
{
    return bands % 2 == 0 && !transposed;
}

static void set_ports(Sizing *z, const Layout *l)
{
    uint32_t all = plan_host_lanes(z->plan), in = all, out = all;
    if (shares_ports(l->bands, l->transposed) && all > 2) {
        for (out = 1; 16 * out <= 5 * all; out *= 2)
            ;
        in = all - out;
    }
    sizing_ports(z, in, out);
}

static Slot slot_of(const Layout *l, Box b)
{
    int32_t w = b.x1 - b.x0 + 1, h = b.y1 - b.y0 + 1;
    return l->transposed ? (Slot){b.y0, b.x0, h, w} : (Slot){b.x0, b.y0, w, h};
}

/* A chain goes down, along, up, along; which row and turn every kernel has follows. */
static bool set_form(Sizing *z, Layout *l, Wave w, const uint32_t *order)
{
    const Machine *m = z->cx->machine;
    l->bands = w.bands;
    l->transposed = w.transposed;
    l->length = (int32_t)(w.transposed ? m->height : m->width);
    l->height = (int32_t)(w.transposed ? m->width : m->height);
    for (uint32_t i = 0; i <= w.bands && !w.single; i++)
        l->top[i] = (int32_t)i * (l->height / (int32_t)w.bands);
    if (w.single && !(w.along ? single_rows(l, w.along, w.bands)
                              : single_chain_rows(l, w.upper, w.bands, w.last)))
        return false;
    set_ports(z, l);
    l->upper = (int32_t)w.upper;
    l->duck = w.duck;
    l->single = w.single;
    l->margin = w.single && w.transposed ? (int32_t)plan_host_lanes(z->plan) : 0;
    z->once = w.single;
    for (size_t i = 0; i < z->plan->keepouts.n; i++)
        l->blocked[i] = slot_of(l, keepout_box(&z->plan->keepouts.data[i]));
    RowOf *rows = l->rows;
    uint32_t columns = 0, width = (uint32_t)l->length;
    for (uint32_t i = 0; i < z->n; i++)
        columns += in_rows(z->choice[i].kernel);
    if (columns == 0)
        return false;
    columns = (columns + 2 - w.phase) / 2;
    if (w.equal) /* with a few cores for strips */
        width = (width - 2) / ((columns + w.bands - 1) / w.bands);
    uint32_t at = w.phase ? 0 : 3, lower = w.single ? w.upper : (uint32_t)l->top[1] - w.upper;
    for (uint32_t i = 0; i < z->n; i++) {
        const Kernel *k = z->choice[order[i]].kernel;
        uint32_t height = at % 4 == 0 || at % 4 == 3 ? w.upper : lower;
        rows[k->id] = (RowOf){0};
        if (!in_rows(k))
            continue;
        rows[k->id] = (RowOf){height, width, height, at % 2 == 0, w.single, 0};
        at++;
    }
    z->rows = rows;
    return true;
}

/* Kernels on their pins; false if they meet. */
static bool block_pins(Sizing *z, Layout *l)
{
    l->n_blocked = (uint32_t)z->plan->keepouts.n;
    for (uint32_t i = 0; i < z->n; i++) {
        const Kernel *k = z->choice[i].kernel;
        Box b;
        if (!k->pin)
            continue;
        if (!sizing_pin_takes(z->plan, k->pin, sizing_chosen(z, (int32_t)i), &b))
            return false;
        Slot s = slot_of(l, b);
        for (uint32_t j = 0; j < l->n_blocked; j++)
            if (meet(s, l->blocked[j]))
                return false;
        l->slot[i] = l->blocked[l->n_blocked++] = s;
    }
    return true;
}

/* Chooses and lays out; what is in the way may limit rows, then all is chosen anew. */
static bool feasible(Sizing *z, Layout *l, uint64_t T, const uint32_t *order)
{
    uint64_t area = (uint64_t)l->length * (uint64_t)l->height, cores;
    for (uint32_t i = 0; i < z->n; i++)
        l->rows[i].height = l->rows[i].price;
    for (uint32_t i = 0; i < z->n; i++)
        l->rows[i].along = 0;
    memset(l->inset, 0, sizeof l->inset);
    if (l->single)
        single_assign(z, l, order, 0, 0);
    for (uint32_t i = 0; i < z->n + z->n_streams; i++)
        l->past[i] = (Past){0};
    l->again = true;
    for (unsigned round = 0; round < MOST_ROUNDS && l->again; round++) {
        l->again = false;
        if (sizing_solve(z, T, &cores) > area || cores > plan_core_limit(z->cx))
            return false;
        if (block_pins(z, l) && (l->single ? single_lay_out(z, l, order, T) : lay_out(z, l, order)))
            return true;
    }
    return false;
}

/* Writes the choice and the regions into the plan. */
static void apply(Sizing *z, const Layout *l)
{
    if (l->single) {
        uint32_t *narrow = arena_array(z->arena, uint32_t, z->n_streams);
        memcpy(narrow, l->narrow, z->n_streams * sizeof *narrow);
        z->narrow = narrow;
    }
    sizing_apply(z);
    for (size_t i = 0; i < z->plan->kernels.n; i++) {
        Kernel *k = z->plan->kernels.data[i];
        uint32_t item = (uint32_t)i;
        if (i >= z->n) /* the second of two strips follows the first */
            item = k->in[0] < z->n_streams
                       ? z->n + k->in[0]
                       : z->n + (uint32_t)z->n_streams + z->plan->kernels.data[i - 1]->in[0];
        Slot s = l->slot[item];
        uint32_t w = (uint32_t)(l->transposed ? s.h : s.w);
        k->x = (uint32_t)(l->transposed ? s.v : s.u);
        k->y = (uint32_t)(l->transposed ? s.u : s.v);
        k->turn = w == k->shape.w ? 0 : 1;
        k->mirror = false;
    }
}

/* The least width of a kernel of a class in a row of a height, turned or not. */
static uint32_t least_width(const Sizing *z, const KernelClass *c, bool turned, uint64_t T,
                            uint32_t height)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < c->shapes.n; i++) {
        const Shape *s = &c->shapes.data[i];
        uint32_t w = turned ? s->h : s->w, h = turned ? s->w : s->h;
        if (h <= height && w < least && sizing_cycles(z, c, i) <= T)
            least = w;
    }
    return least;
}

/* Do kernels not fit into the rows even if none minds the others: there are too many for the
 * narrowest, or they are too large where each stands best. */
static bool hopeless(const Sizing *z, const Layout *l, uint64_t T)
{
    Arena a = {0};
    uint64_t *least = arena_array(&a, uint64_t, 2 * z->classes.n), sum = 0;
    uint32_t height[WAVE_ROWS], times[WAVE_ROWS] = {0}, narrowest[WAVE_ROWS], n = 0;
    for (uint32_t r = 0, rows = l->bands * (l->single ? 1 : 2); r < rows; r++) {
        int32_t h = l->single ? l->top[r + 1] - l->top[r] : r % 2 ? l->top[1] - l->upper : l->upper;
        uint32_t i = 0;
        while (i < n && height[i] != (uint32_t)h)
            i++;
        height[i] = (uint32_t)h;
        narrowest[i] = UINT32_MAX;
        times[i]++;
        n += i == n;
    }
    uint32_t count = 0, room = 0;
    for (uint32_t k = 0; k < z->n && sum < SIZE_NEVER; k++) {
        const RowOf *row = &l->rows[k];
        const KernelClass *c = z->choice[k].class_of;
        uint64_t *at = &least[2 * c->id + row->turned];
        if (row->price == 0)
            continue;
        bool known = *at > 0;
        *at = known ? *at : SIZE_NEVER;
        for (uint32_t i = 0; i < n && !known; i++) {
            uint32_t w = least_width(z, c, row->turned, T, height[i]);
            narrowest[i] = w < narrowest[i] ? w : narrowest[i];
            if (w < UINT32_MAX && (uint64_t)w * height[i] < *at)
                *at = (uint64_t)w * height[i];
        }
        sum += *at;
        count++;
    }
    for (uint32_t i = 0; i < n; i++)
        room += times[i] * ((uint32_t)l->length / narrowest[i]);
    arena_free(&a);
    return count > room || sum > (uint64_t)l->length * (uint64_t)l->height;
}

/* Is a choice so cheap that more of them may be tried: what is feasible may not be with more time.
 */
static bool is_small(const Sizing *z)
{
    size_t shapes = 0;
    for (size_t c = 0; c < z->classes.n; c++)
        if (z->classes.data[c]->shapes.n > shapes)
            shapes = z->classes.data[c]->shapes.n;
    return shapes * z->n <= SMALL;
}

/* The index of the first time that is no less than T; n if there is none. */
static size_t first_from(const uint64_t *times, size_t n, uint64_t T)
{
    size_t i = 0;
    while (i < n && times[i] < T)
        i++;
    return i;
}

/* The least time of a form that is below `best`; that if there is none. Small networks are looked
 * at in steps, others by halves only. */
static uint64_t least_time(Sizing *z, Layout *l, const uint32_t *order, const uint64_t *times,
                           size_t n, uint64_t best)
{
    size_t least = 0, hi = first_from(times, n, best);
    for (size_t end = hi; least < end;) {
        size_t mid = least + (end - least) / 2;
        if (hopeless(z, l, times[mid]))
            least = mid + 1;
        else
            end = mid;
    }
    bool small = is_small(z);
    while (least < hi && !feasible(z, l, times[hi - 1], order))
        hi = small ? first_from(times, hi, times[hi - 1] - times[hi - 1] / 16) : least;
    if (hi <= least)
        return best;
    size_t lo = least;
    hi--;
    for (size_t i = least; small && i < hi;
         i = first_from(times, hi, times[i] + times[i] / 32 + 1)) {
        if (feasible(z, l, times[i], order))
            hi = i;
        else
            lo = i + 1;
    }
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (feasible(z, l, times[mid], order))
            hi = mid;
        else
            lo = mid + 1;
    }
    /* Columns are whole: less may fit where more does not. */
    for (size_t i = 1; i <= MOST_BELOW && i <= hi - least; i++)
        if (feasible(z, l, times[hi - i], order)) {
            hi -= i;
            i = 0;
        }
    return times[hi];
}

static int by_time(const void *a, const void *b)
{
    const Wave *x = a, *y = b;
    if (x->T != y->T)
        return x->T < y->T ? -1 : 1;
    if (x->single != y->single) /* pairs have the shorter streams */
        return x->single < y->single ? -1 : 1;
    if (x->bands != y->bands)
        return x->bands < y->bands ? -1 : 1;
    if (x->upper != y->upper)
        return x->upper < y->upper ? -1 : 1;
    if (x->along != y->along)
        return x->along < y->along ? -1 : 1;
    return (x->last * 16 + x->duck * 8 + x->transposed * 4 + x->phase * 2 + x->equal) -
           (y->last * 16 + y->duck * 8 + y->transposed * 4 + y->phase * 2 + y->equal);
}

/* Heights of the upper row worth a look: half of the band, and somewhat more or less so that
 * lanes divide the features of a kernel at the host, as adapters like it. */
static uint32_t splits(const Sizing *z, uint32_t band, uint32_t *list)
{
    uint32_t n = 0, half = band / 2;
    list[n++] = half;
    for (size_t c = 0; c < z->classes.n; c++) {
        const KernelClass *class_of = z->classes.data[c];
        const LaneSet *set = class_of->host_in ? &class_of->lanes_in : &class_of->lanes_out;
        for (uint32_t i = 0; i < set->n && n < MOST_SPLITS; i++) {
            uint32_t up = set->of[i];
            if (up <= half || up > half + half / 12 ||
                !wave_suits(class_of->protocol[0].features, up) ||
                !(class_of->host_in || class_of->host_out))
                continue;
            bool known = false;
            for (uint32_t k = 0; k < n; k++)
                known = known || list[k] == up;
            if (known)
                continue;
            list[n++] = up;
            list[n++] = band - up;
        }
    }
    return n;
}

static bool any_blocked(const Sizing *z)
{
    bool any = z->plan->keepouts.n > 0;
    for (uint32_t i = 0; i < z->n; i++)
        any = any || z->choice[i].kernel->pin;
    return any;
}

/* Forms of rows and how good they are. */
typedef struct Forms {
    const uint32_t *order;
    const uint64_t *times; /* that a plan may take, ascending */
    size_t n_times;
    uint64_t below, best;
    WaveVec *list; /* whose time came near to the best of their turn */
} Forms;

static Forms begin_forms(Sizing *z, const uint32_t *order, uint64_t below, uint64_t best,
                         WaveVec *list)
{
    Forms f = {.order = order, .below = below, .best = best, .list = list};
    f.times = sizing_times(z, z->arena, &f.n_times);
    for (; f.n_times > 0 && *f.times < z->plan->shapes_bound; f.times++)
        f.n_times--;
    return f;
}

static void try_form(Sizing *z, Layout *l, Forms *f, Wave w)
{
    if (!set_form(z, l, w, f->order))
        return;
    uint64_t near = f->best < f->below ? f->best + f->best / 32 : f->below;
    w.T = least_time(z, l, f->order, f->times, f->n_times, near);
    if (w.T >= near)
        return;
    f->best = w.T < f->best ? w.T : f->best;
    vec_push(z->arena, f->list, w);
}

/* Every form whose time comes near to the best; that. */
static uint64_t find_waves(Sizing *z, Layout *l, const uint32_t *order, uint64_t below,
                           WaveVec *list)
{
    const Machine *m = z->cx->machine;
    Forms f = begin_forms(z, order, below, below, list);
    uint32_t ways = any_blocked(z) ? 16 : 8;
    for (uint32_t form = 0; form < ways * MOST_BANDS; form++) { /* odd numbers of bands first */
        uint32_t at = form / ways;
        Wave w = {.bands = at < MOST_BANDS / 2 ? 2 * at + 1 : 2 * (at - MOST_BANDS / 2) + 2,
                  .equal = !(form & 4),
                  .transposed = form & 1,
                  .phase = !(form & 2),
                  .duck = ways > 8 && !(form & 8)};
        uint32_t upper[MOST_SPLITS + 1], height = w.transposed ? m->width : m->height;
        if (2 * w.bands > z->n + 2 || w.bands > height / 4)
            continue;
        if (z->n > MANY && (w.equal || !w.phase)) /* of many columns, it hardly matters */
            continue;
        uint32_t n = splits(z, height / w.bands, upper);
        for (uint32_t i = 0; i < n; i++) {
            w.upper = upper[i];
            try_form(z, l, &f, w);
        }
    }
    return f.best;
}

/* Lanes of what forks and joins: those of the first matrix kernel that does. */
static void find_common(const Sizing *z, Layout *l)
{
    l->common = NULL;
    for (uint32_t k = 0; k < z->n; k++) {
        const Choice *c = &z->choice[k];
        if (!c->joins || !kernel_is_matrix(c->kernel->kind))
            continue;
        l->features = (uint32_t)type_features(&c->kernel->result->type);
        l->common = &c->class_of->lanes_out;
        break;
    }
}

/* Single rows, for chains: as high as lanes that some kernel has. New ports cost new adapters, so
 * what shares them comes last. */
static void find_chains(Sizing *z, Layout *l, Forms *f)
{
    const Machine *m = z->cx->machine;
    VEC(uint32_t) lanes = {0};
    for (size_t c = 0; c < z->classes.n; c++)
        for (unsigned out = 0; out < 2; out++) {
            const KernelClass *k = z->classes.data[c];
            const LaneSet *set = out ? &k->lanes_out : &k->lanes_in;
            for (uint32_t i = 0; i < set->n; i++)
                vec_push(z->arena, &lanes, set->of[i]);
        }
    LaneSet heights = sizing_lane_set(lanes.data, lanes.n);
    size_t step = 1 + heights.n * z->classes.n / MOST_HEIGHTS; /* all of them for kernels alike */
    for (uint32_t form = 0; form < 16 * MOST_SINGLE; form++) {
        Wave w = {.bands = form / 8 % MOST_SINGLE + 1,
                  .transposed = form & 1,
                  .phase = !(form & 2),
                  .last = form & 4,
                  .single = true};
        bool shares = form / 8 >= MOST_SINGLE;
        uint32_t extent = w.transposed ? m->width : m->height;
        if (w.bands < 2 || w.bands * 2 > z->n || shares != shares_ports(w.bands, w.transposed))
            continue;
        for (size_t i = 0; i < heights.n; i += step) {
            w.upper = heights.of[i];
            bool even = w.upper * w.bands == extent; /* no row is the odd one */
            if (w.upper * (w.bands - 1) < extent && !(w.last && even))
                try_form(z, l, f, w);
        }
    }
}

/* Single rows, for networks with skips. */
static void find_singles(Sizing *z, Layout *l, const uint32_t *order, uint64_t below, uint64_t best,
                         WaveVec *list)
{
    const Machine *m = z->cx->machine;
    uint32_t extent = m->width > m->height ? m->width : m->height;
    find_common(z, l);
    if (z->n > MANY) /* blocks that small leave room for their skips */
        return;
    z->once = true;
    if (l->common && is_small(z)) /* pairs of rows may have no ways for skips */
        best = below;
    Forms f = begin_forms(z, order, below, best, list);
    if (!l->common) {
        if (z->n <= MOST_CHAIN)
            find_chains(z, l, &f);
        return;
    }
    for (uint32_t i = 0; i < l->common->n; i++) {
        uint32_t along = l->common->of[i], most = extent / along; /* with at least a block each */
        if (!wave_suits(l->features, along) || along * z->n < extent)
            continue;
        most = most < z->n / 2 ? most : z->n / 2;
        for (uint32_t form = 0; form < 4 * most; form++) {
            Wave w = {.bands = form / 4 + 1,
                      .transposed = form & 1,
                      .phase = !(form & 2),
                      .single = true,
                      .along = along,
                      .upper = along};
            try_form(z, l, &f, w);
        }
    }
}

bool place_wave(PassContext *cx, const uint32_t *order, uint64_t below)
{
    Arena a = {0};
    Plan *plan = cx->plan;
    Sizing *z = plan->sizing;
    Layout l = {.plan = plan};
    sizing_bare(plan);
    sizing_refine(z, plan->shapes_bound);
    if (!sizing_constrain(z))
        return false;
    plan->shapes_bound = sizing_bound(z, plan_core_limit(cx));
    l.slot = arena_array(&a, Slot, z->n + 2 * z->n_streams);
    l.position = arena_array(&a, uint32_t, z->n);
    l.before = arena_array(&a, int32_t, z->n);
    l.narrow = arena_array(&a, uint32_t, z->n_streams);
    l.rows = arena_array(&a, RowOf, z->n);
    l.past = arena_array(&a, Past, z->n + z->n_streams);
    l.blocked = arena_array(&a, Slot, plan->keepouts.n + z->n);
    bool good = false;
    WaveVec waves = {0};
    uint64_t best = find_waves(z, &l, order, below, &waves);
    find_singles(z, &l, order, below, best, &waves);
    uint32_t n = (uint32_t)waves.n;
    if (n > 0)
        qsort(waves.data, n, sizeof *waves.data, by_time);
    const Wave *list = waves.data;
    for (uint32_t i = 0; i < n && i < MOST_PLANS && !good; i++) {
        sizing_bare(plan);
        z->narrow = NULL;
        if (!set_form(z, &l, list[i], order) || !feasible(z, &l, list[i].T, order))
            continue;
        z->rows = NULL;
        sizing_explain(z);
        apply(z, &l);
        if (plan_cores(plan) > plan_core_limit(cx)) /* with the strips of narrow streams */
            continue;
        Arrange *g = arrange_as_is(&a, plan);
        uint32_t *all = arena_array(&a, uint32_t, g->n);
        uint32_t count = plan_order(plan, true, all);
        arrange_orient(g, all, count);
        RouteFailure failure;
        uint64_t cost = arrange_total(g), limit = plan_link_limit(plan, 0);
        good = cost < ARRANGE_BAD && plan_routed(plan, limit, &failure);
        good = place_refine(cx, g, good ? cost : UINT64_MAX, limit, false) || good;
    }
    z->rows = NULL;
    if (!good) {
        sizing_bare(plan);
        z->narrow = NULL;
        z->once = false;
    }
    arena_free(&a);
    return good;
}
