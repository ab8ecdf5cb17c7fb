/* SPDX-License-Identifier: Apache-2.0 */
/* passes/single.c - kernels in single rows, for chains, with skips or without.
 *
 * A turned matrix kernel takes its lanes along the row and gives its results across; they leave
 * the row and come back, in a U over the rows beside it, to the unturned one behind it, which gives
 * its results along the row. Rows are filled to and fro, and all is chosen anew when a kernel comes
 * to stand in a row that is not the one it was chosen for. The strips of a stream stand behind what
 * sends it and before what takes it, across the row where its lanes go across.
 *
 * A chain goes on from row to row with all its lanes: straight across into an unturned kernel
 * beside, or from the end of a row back into a turned one that begins the next, in a U over
 * the kernels in front of both. So any number of kernels fills as many rows as suits it; one row
 * may be higher or lower than the others.
 *
 * A skip runs on straight through the turned kernel, and into the second input of the unturned one.
 * Rows differ in lanes, so that they fill the fabric. From one to the next a stream turns with few
 * lanes, between two adapters; a row ends where that can be: before a turned kernel, the last such
 * one that leaves room for the strips and the turn. A stream over several rows stays narrow on all
 * its way. O(kernels + streams x rows) a layout. */
#include "passes/wave.h"

enum { MOST_NARROW = 64, MOST_FOLDED = 4 };

bool single_rows(Layout *l, uint32_t along, uint32_t count)
{
    int32_t rest = l->height - (int32_t)(along * count), spare, v = 0;
    l->bands = 0;
    if (rest < 0 || count > WAVE_ROWS)
        return false;
    while (l->bands < count)
        l->along[l->bands++] = along;
    for (uint32_t i = l->common->n; i-- > 0;) {
        uint32_t n = l->common->of[i];
        if (n >= along || !wave_suits(l->features, n))
            continue;
        for (; rest >= (int32_t)n && l->bands < WAVE_ROWS; rest -= (int32_t)n)
            l->along[l->bands++] = n;
    }
    spare = rest / (int32_t)l->bands; /* for kernels of more lanes */
    for (uint32_t i = 0; i < l->bands; i++, v += (int32_t)l->along[i - 1] + spare)
        l->top[i] = v;
    l->top[l->bands] = v;
    return true;
}

bool single_chain_rows(Layout *l, uint32_t height, uint32_t count, bool last)
{
    int32_t base = (int32_t)height, odd = l->height - base * (int32_t)(count - 1);
    if (count > WAVE_ROWS || odd * 3 < base || odd > 2 * base)
        return false;
    l->bands = count;
    for (uint32_t i = 0; i < count; i++) {
        l->along[i] = 0;
        l->top[i] = (int32_t)i * base + (i > 0 && !last ? odd - base : 0);
    }
    l->top[count] = l->height;
    return true;
}

static uint32_t row_height(const Layout *l, uint32_t row)
{
    return (uint32_t)(l->top[row + 1] - l->top[row] - l->inset[row]);
}

void single_assign(const Sizing *z, Layout *l, const uint32_t *order, uint32_t from, uint32_t row)
{
    for (uint32_t i = from; i < z->n; i++) {
        RowOf *r = &l->rows[order[i]];
        if (r->price == 0)
            continue;
        r->height = r->price = row_height(l, row);
        r->along = l->along[row];
    }
}

/* Were the kernels from place `from` to `to` of the order chosen for the row; if not, they are to
 * be, and all behind them. */
static bool assigned(const Sizing *z, Layout *l, const uint32_t *order, uint32_t from, uint32_t to,
                     uint32_t row)
{
    for (uint32_t i = from; i < to; i++) {
        const RowOf *r = &l->rows[order[i]];
        if (r->price == 0 || (r->price == row_height(l, row) && r->along == l->along[row]))
            continue;
        single_assign(z, l, order, i, row);
        l->again = true;
        return false;
    }
    return true;
}

/* Stands an item at the end of the row, beyond what is in the way. */
static bool add(Layout *l, uint32_t item, int32_t w, int32_t h)
{
    int32_t v = l->top[l->band] + l->inset[l->band];
    while (!wave_put(l, item, l->u, v, w, h)) {
        if (!l->hit)
            return false;
        l->u = wave_beyond(l);
    }
    l->u += w;
    return true;
}

static bool add_strip(Layout *l, uint32_t item, const Shape *s)
{
    return add(l, item, (int32_t)s->w, (int32_t)s->h);
}

/* A strip of a kernel's lanes across the row, before or behind the kernel, which begins at u, with
 * `room` for the other lanes to turn on its far side. */
static bool add_across(Layout *l, uint32_t item, const Shape *s, const Kernel *k, int32_t u,
                       bool before, uint32_t room)
{
    int32_t length = (int32_t)s->h, thick = (int32_t)s->w, all = thick + (int32_t)room;
    int32_t *inset = &l->inset[l->band], end = l->top[l->band + 1];
    int32_t v = before ? l->top[l->band] + *inset - thick : l->slot[k->id].v + l->slot[k->id].h;
    int32_t lack = before ? all - *inset : v + all - end;
    uint32_t *height = &l->rows[k->id].height;
    l->again = lack > 0 && (uint32_t)lack < *height && (uint32_t)lack < row_height(l, l->band);
    if (l->again && before)
        *inset += lack;
    else if (l->again)
        *height -= (uint32_t)lack;
    if (lack > 0)
        return false;
    if (u + length > l->u)
        l->u = u + length;
    return wave_put(l, item, u, v, length, thick);
}

/* Is there room beside the row for the lanes from the kernel before to turn back into this one. */
static bool has_way_back(const Layout *l, const Kernel *k, int32_t w, int32_t h)
{
    const Stream *in = l->plan->streams.data[k->in[0]];
    if (in->from == PLAN_HOST || !l->rows[in->from].turned || l->slot[in->from].v < l->top[l->band])
        return true;
    int32_t before = l->slot[in->from].h;
    return l->height - (before > h ? before : h) >= w;
}

/* A kernel with the strips before it, and behind it those to the host. */
static bool add_kernel(Sizing *z, Layout *l, const Kernel *k)
{
    Shape strip[2], fed = {0};
    bool matrix = kernel_is_matrix(k->kind) && !k->pin, turned = l->rows[k->id].turned;
    const Stream *above = NULL;
    for (uint32_t j = 0; j < k->n_in; j++) {
        const Stream *s = z->plan->streams.data[k->in[j]];
        if (l->narrow[s->id]) {
            if (!sizing_fold(z, s, l->narrow[s->id], SIZE_NEVER - 1, strip) ||
                !add_strip(l, z->n + (uint32_t)z->n_streams + s->id, &strip[1]))
                return false;
        } else if (sizing_adapter(z, s, strip)) {
            sizing_strip(z, s, strip);
            if (matrix && !turned && j == 0) {
                above = s;
                fed = *strip;
            } else if (!add_strip(l, z->n + s->id, strip)) {
                return false;
            }
        }
    }
    const Shape *s = sizing_chosen(z, (int32_t)k->id);
    int32_t w = (int32_t)(turned ? s->h : s->w), h = (int32_t)(turned ? s->w : s->h);
    if (!k->pin && !add(l, k->id, w, h))
        return false;
    if (matrix && !turned && !has_way_back(l, k, w, h))
        return false;
    int32_t u = l->u - w;
    if (above && !add_across(l, z->n + above->id, &fed, k, u, true, fed.lanes_in))
        return false;
    for (uint32_t j = 0; j < k->n_out; j++) {
        const Stream *out = z->plan->streams.data[k->out[j]];
        if (out->to != PLAN_HOST)
            continue;
        if (sizing_adapter(z, out, strip)) {
            sizing_strip(z, out, strip);
            if (!(matrix && turned
                      ? add_across(l, z->n + out->id, strip, k, u, false, strip[0].lanes_out)
                      : add_strip(l, z->n + out->id, strip)))
                return false;
        }
        if (l->u + l->margin > l->length)
            return false;
    }
    return true;
}

/* The fewest lanes with which a stream may go from row to row; 0: none. */
static uint32_t narrowest(Sizing *z, const Stream *s, uint64_t T, Shape strip[2])
{
    for (uint32_t lanes = 1; lanes <= MOST_NARROW; lanes++)
        if (s->protocol.features % lanes == 0 && sizing_fold(z, s, lanes, T, strip))
            return lanes;
    return 0;
}

/* The row ends before item b of the order: strips for all streams that go on. They turn over the
 * same cores, each with a color of its own, as long as the links hold their words. */
static bool fold_at(Sizing *z, Layout *l, uint32_t b, uint64_t T)
{
    uint32_t count = 0, fresh[MOST_FOLDED], lanes[MOST_FOLDED], tracks = 0;
    uint64_t words = 0;
    l->u = l->before[b];
    for (size_t i = 0; i < z->n_streams; i++) {
        const Stream *s = z->plan->streams.data[i];
        Shape strip[2];
        if (s->from == PLAN_HOST || s->to == PLAN_HOST || l->position[s->from] >= b ||
            l->position[s->to] < b)
            continue;
        uint32_t with = l->narrow[i];
        if (!with) {
            with = count < MOST_FOLDED ? narrowest(z, s, T, strip) : 0;
            if (!with || !add_strip(l, z->n + (uint32_t)i, strip))
                return false;
            lanes[count] = with;
            fresh[count++] = (uint32_t)i;
        }
        Protocol p = s->protocol;
        p.lanes = with;
        words += (uint64_t)protocol_words(&p) * protocol_messages(&p);
        tracks = with > tracks ? with : tracks;
    }
    if (words > T || l->u + (int32_t)tracks > l->length || l->band + 1 == l->bands)
        return false;
    for (uint32_t i = 0; i < count; i++)
        l->narrow[fresh[i]] = lanes[i];
    l->band++;
    l->u = (int32_t)tracks;
    return true;
}

/* A chain's row ends before item b. What takes its input across comes to stand in the next row
 * right beside what sends that; what takes it along, where that row begins: lanes turn back over
 * the kernels in front of both. */
static bool descend_at(Sizing *z, Layout *l, const uint32_t *order, uint32_t b)
{
    const Stream *in = z->plan->streams.data[z->choice[order[b]].kernel->in[0]];
    Shape strip;
    if (l->band + 1 == l->bands || in->from != (int32_t)order[b - 1] ||
        l->rows[order[b - 1]].price == 0 || sizing_adapter(z, in, &strip))
        return false;
    for (size_t i = 0; i < z->n_streams; i++) {
        const Stream *s = z->plan->streams.data[i];
        if (s != in && s->from != PLAN_HOST && s->to != PLAN_HOST && l->position[s->from] < b &&
            l->position[s->to] >= b)
            return false;
    }
    l->u = l->rows[order[b]].turned ? l->margin : l->length - l->before[b];
    l->band++;
    return true;
}

static bool ends_row(Sizing *z, Layout *l, const uint32_t *order, uint32_t b, uint64_t T)
{
    if (l->rows[order[b]].price == 0)
        return false;
    return l->common ? l->rows[order[b]].turned && fold_at(z, l, b, T) : descend_at(z, l, order, b);
}

bool single_lay_out(Sizing *z, Layout *l, const uint32_t *order, uint64_t T)
{
    uint32_t begin = 0;
    l->band = 0;
    l->u = l->margin;
    for (size_t i = 0; i < z->n_streams; i++)
        l->narrow[i] = 0;
    for (uint32_t i = 0; i < z->n; i++)
        l->position[order[i]] = i;
    for (uint32_t i = 0; i < z->n;) {
        l->before[i] = l->u;
        if (add_kernel(z, l, z->choice[order[i]].kernel)) {
            i++;
            continue;
        }
        uint32_t b = i, row = l->band;
        if (l->again) { /* the row may have become lower than it was chosen for */
            assigned(z, l, order, begin, i + 1, row);
            return false;
        }
        while (b > begin && !ends_row(z, l, order, b, T))
            b--;
        if (b == begin || !assigned(z, l, order, begin, b, row) ||
            !assigned(z, l, order, b, b + 1, row + 1))
            return false;
        begin = i = b;
    }
    return assigned(z, l, order, begin, z->n, l->band);
}
