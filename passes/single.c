/* SPDX-License-Identifier: Apache-2.0 */
/* passes/single.c - kernels in single rows, for chains with skips.
 *
 * A skip runs along a chain of matrix kernels without a router in between if all stand in one
 * row: a turned kernel takes the lanes along the row and passes them on straight, and into the
 * second input of the unturned one behind it, which gives its results along the row as well.
 * What the first sends the second leaves the row and comes back, in a U over the rows beside it.
 * Rows are filled to and fro; they
 * differ in lanes, so that they fill the fabric, and all is chosen anew when a kernel
 * comes to stand in a row that is not the one it was chosen for. From one to the next a stream
 * turns with few lanes, between two adapters; a row ends where that can be: before a turned kernel,
 * the last such one that leaves room for the strips and the turn. A stream over several rows stays
 * narrow on all its way. The strips of a stream stand behind what sends it and before what takes
 * it. O(kernels + streams x rows) a layout. */
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

bool single_assign(const Sizing *z, Layout *l, const uint32_t *order, uint32_t from, uint32_t row)
{
    if (l->rows[order[from]].along == l->along[row])
        return false;
    for (uint32_t i = from; i < z->n; i++) {
        RowOf *r = &l->rows[order[i]];
        if (r->price == 0)
            continue;
        r->height = r->price = (uint32_t)(l->top[row + 1] - l->top[row]);
        r->along = l->along[row];
    }
    return true;
}

/* Stands an item at the end of the row, beyond what is in the way. */
static bool add(Layout *l, uint32_t item, int32_t w, int32_t h)
{
    int32_t v = l->top[l->band];
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

/* A kernel with the strips before it, and behind it those to the host. */
static bool add_kernel(Sizing *z, Layout *l, const Kernel *k)
{
    Shape strip[2];
    for (uint32_t j = 0; j < k->n_in; j++) {
        const Stream *s = z->plan->streams.data[k->in[j]];
        if (l->narrow[s->id]) {
            if (!sizing_fold(z, s, l->narrow[s->id], SIZE_NEVER - 1, strip) ||
                !add_strip(l, z->n + (uint32_t)z->n_streams + s->id, &strip[1]))
                return false;
        } else if (sizing_adapter(z, s, strip)) {
            sizing_strip(z, s, strip);
            if (!add_strip(l, z->n + s->id, strip))
                return false;
        }
    }
    const Shape *s = sizing_chosen(z, (int32_t)k->id);
    bool turned = l->rows[k->id].turned;
    if (!k->pin && !add(l, k->id, (int32_t)(turned ? s->h : s->w), (int32_t)(turned ? s->w : s->h)))
        return false;
    for (uint32_t j = 0; j < k->n_out; j++) {
        const Stream *out = z->plan->streams.data[k->out[j]];
        if (out->to != PLAN_HOST)
            continue;
        if (sizing_adapter(z, out, strip)) {
            sizing_strip(z, out, strip);
            if (!add_strip(l, z->n + out->id, strip))
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
        uint32_t b = i;
        while (b > begin && !(kernel_is_matrix(z->choice[order[b]].kernel->kind) &&
                              l->rows[order[b]].turned && fold_at(z, l, b, T)))
            b--;
        if (b == begin)
            return false;
        if (single_assign(z, l, order, b, l->band)) {
            l->again = true;
            return false;
        }
        begin = i = b;
    }
    return true;
}
