/* SPDX-License-Identifier: Apache-2.0 */
/* passes/choose.c - the cheapest shapes for all kernels with none slower than T.
 *
 * A dynamic program over the tree that first inputs form (a kernel's parent feeds its input
 * 0), by lanes: exact for chains and trees. Other edges, residuals, are joined in by descent,
 * kernel by kernel, and then priced into the program at what the far end has chosen, until
 * nothing gets better; where that finds nothing, with one number of lanes for all of them. Adapters
 * cost the cores of their strip and are not to be had if they take longer than T; each is asked for
 * once, by stream class and lanes. O(shapes + lanes^2) a kernel. */
#include "passes/sizing.h"

enum { SWEEPS = 4, ROUNDS = 4, MOST_COMMON = 300 };

static uint64_t add_cost(uint64_t a, uint64_t b)
{
    return a + b < SIZE_NEVER ? a + b : SIZE_NEVER;
}

const Shape *sizing_chosen(const Sizing *z, int32_t kernel)
{
    const Choice *c = &z->choice[kernel];
    return &c->class_of->shapes.data[c->chosen];
}

uint64_t sizing_cycles(const Sizing *z, const KernelClass *k, uint32_t shape)
{
    return z->once && k->once ? k->once[shape] : k->shapes.data[shape].cycles;
}

static uint64_t own_cost(const Sizing *z, const Choice *c, uint32_t shape, uint64_t T)
{
    const Shape *s = &c->class_of->shapes.data[shape];
    if (sizing_cycles(z, c->class_of, shape) > T || (c->allowed && !c->allowed[shape]) ||
        (z->common && c->joins && s->lanes_out != z->common) ||
        (z->rows && c->joins && z->rows[c->kernel->id].along &&
         s->lanes_out != z->rows[c->kernel->id].along))
        return SIZE_NEVER;
    bool matrix = kernel_is_matrix(c->kernel->kind);
    if (z->rows && matrix && z->rows[c->kernel->id].price) {
        const RowOf *row = &z->rows[c->kernel->id];
        uint32_t w = row->turned ? s->h : s->w, h = row->turned ? s->w : s->h;
        return h <= row->height && w <= row->width ? (uint64_t)w * row->price : SIZE_NEVER;
    }
    uint64_t price = z->rows ? 1 : z->core_price;
    return (uint64_t)s->w * s->h * price + s->cycles * z->cycles_price;
}

/* ---- adapters ---- */

Kernel *adapter_kernel(Arena *a, const Stream *s, const Shape *shape)
{
    Kernel *k = arena_new(a, Kernel);
    k->kind = KERNEL_ADAPTER;
    k->span = s->span;
    k->result = s->node;
    k->n_in = k->n_out = 1;
    k->shape = *shape;
    return k;
}

static uint32_t common(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

/* What the slowest core of an adapter at least takes: the words of a group, one a cycle. */
static uint32_t least_cycles(const Protocol *p, uint32_t from, uint32_t to)
{
    uint64_t groups = common(from, to), features = (p->features + groups - 1) / groups;
    uint64_t cycles = (uint64_t)p->rows * p->cols * ((features * dtype_bytes(p->dtype) + 3) / 4);
    return cycles < UINT32_MAX ? (uint32_t)cycles : UINT32_MAX;
}

static void ask_adapter(Sizing *z, const Stream *s, uint32_t from, uint32_t to, AdapterCell *cell)
{
    ArenaMark mark = arena_mark(z->arena);
    Shape shape = {.lanes_in = from, .lanes_out = to, .split = 1, .segs_out = s->protocol.segs};
    Protocol in = s->protocol;
    in.lanes = from;
    const Machine *m = z->cx->machine;
    const Kernel *k = adapter_kernel(z->arena, s, &shape);
    bool good = kernel_shape(z->arena, k, &in, m, &shape) && shape.bytes <= m->sram_bytes &&
                shape.cycles < UINT32_MAX;
    cell->cycles = good ? (uint32_t)(shape.cycles ? shape.cycles : 1) : UINT32_MAX;
    cell->cores = shape.w * shape.h;
    arena_rewind(z->arena, mark);
}

/* Lanes at both ends of a stream, by their places in its table. */
static void end_lanes(const Sizing *z, const Stream *s, uint32_t i, uint32_t j, uint32_t *from,
                      uint32_t *to)
{
    const AdapterTable *t = z->table[s->id];
    *from = t->from.of[i];
    *to = t->to.of[j];
    if (s->from == PLAN_HOST)
        *from = plan_port_lanes(s->protocol.features, *to, z->in_lanes);
    if (s->to == PLAN_HOST)
        *to = plan_port_lanes(s->protocol.features, *from, z->out_lanes);
}

static const AdapterCell *adapter_cell(Sizing *z, const Stream *s, uint32_t i, uint32_t j)
{
    uint32_t from, to;
    AdapterTable *t = z->table[s->id];
    AdapterCell *cell = &t->cell[(size_t)i * t->to.n + j];
    if (cell->cycles == 0) {
        end_lanes(z, s, i, j, &from, &to);
        ask_adapter(z, s, from, to, cell);
    }
    return cell;
}

/* In rows, a turned kernel and the unturned one that it feeds stand in one column, which is as
 * wide as the wider of them. */
static uint64_t column_cost(const Sizing *z, const Stream *s, uint32_t i, uint32_t j)
{
    if (!z->rows || s->from == PLAN_HOST || s->to == PLAN_HOST || z->rows[s->from].alone ||
        !z->rows[s->from].turned || z->rows[s->to].turned)
        return 0;
    uint32_t from = z->table[s->id]->from.of[i], to = z->table[s->id]->to.of[j];
    return (uint64_t)(from > to ? from - to : to - from) * z->rows[s->to].price;
}

static uint64_t edge_cost(Sizing *z, const Stream *s, uint32_t i, uint32_t j, uint64_t T)
{
    uint32_t from, to;
    const AdapterTable *t = z->table[s->id];
    AdapterCell *cell = &t->cell[(size_t)i * t->to.n + j];
    if (cell->least == 0) {
        end_lanes(z, s, i, j, &from, &to);
        if (from == to)
            return 0;
        cell->least = least_cycles(&s->protocol, from, to);
    }
    if (cell->least > T)
        return SIZE_NEVER;
    if (cell->cycles == 0)
        adapter_cell(z, s, i, j);
    if (cell->cycles > T)
        return SIZE_NEVER;
    /* One more kernel on the way costs about what receiving and sending its words does. */
    uint64_t extra = 0;
    if (z->cycles_price) {
        end_lanes(z, s, i, j, &from, &to);
        Protocol p = s->protocol;
        p.lanes = from;
        extra = 2ull * protocol_words(&p) * protocol_messages(&p) * z->cycles_price;
    }
    return cell->cores * (z->rows ? 1 : z->core_price) + extra + column_cost(z, s, i, j);
}

/* Place of a kernel's lanes in the tables of its streams. */
static uint32_t lanes_at(const Choice *c, const Stream *s, bool to, uint32_t shape)
{
    bool matrix = kernel_is_matrix(c->kernel->kind);
    if (!to || (matrix && s->to_input > 0))
        return c->class_of->out[shape];
    return c->class_of->in[shape];
}

/* Cost of a stream with both ends as chosen but for one of them. */
static uint64_t stream_cost(Sizing *z, const Stream *s, int32_t but, uint32_t shape, uint64_t T)
{
    uint32_t i = 0, j = 0;
    if (s->from != PLAN_HOST) {
        const Choice *c = &z->choice[s->from];
        i = lanes_at(c, s, false, s->from == but ? shape : c->chosen);
    }
    if (s->to != PLAN_HOST) {
        const Choice *c = &z->choice[s->to];
        j = lanes_at(c, s, true, s->to == but ? shape : c->chosen);
    }
    return edge_cost(z, s, i, j, T);
}

/* ---- the program ---- */

/* The shapes that can be had at all; down is 0 for the lanes out of some of them. */
static void find_able(const Sizing *z, Choice *c, uint64_t T)
{
    const KernelClass *k = c->class_of;
    c->n_able = 0;
    for (uint32_t i = 0; i < k->lanes_out.n; i++)
        c->down[i] = SIZE_NEVER;
    for (uint32_t i = 0; i < k->lanes_in.n; i++)
        c->best[i] = SIZE_NEVER;
    for (uint32_t i = 0; i < k->shapes.n; i++) {
        uint64_t cost = own_cost(z, c, i, T);
        if (cost >= SIZE_NEVER)
            continue;
        c->own[c->n_able] = cost;
        c->able[c->n_able++] = i;
        c->down[k->out[i]] = 0;
    }
}

/* Cost of what the results feed, for every number of lanes out. */
static void find_down(Sizing *z, Choice *c, bool joins, uint64_t T)
{
    const KernelClass *k = c->class_of;
    for (uint32_t i = 0; i < k->lanes_out.n; i++) {
        if (c->down[i] >= SIZE_NEVER)
            continue;
        for (uint32_t o = 0; o < c->kernel->n_out && c->down[i] < SIZE_NEVER; o++) {
            const Stream *s = z->plan->streams.data[c->kernel->out[o]];
            uint64_t least = SIZE_NEVER;
            if (s->to == PLAN_HOST) {
                least = edge_cost(z, s, i, 0, T);
            } else if (s->to_input == 0) {
                const Choice *to = &z->choice[s->to];
                const LaneSet *in = &to->class_of->lanes_in;
                uint32_t same = sizing_lane_index(in, k->lanes_out.of[i]);
                if (same < in->n) /* without an adapter: few others can be less */
                    least = to->best[same];
                for (uint32_t j = 0; j < in->n; j++) {
                    if (to->best[j] >= least)
                        continue;
                    uint64_t cost = add_cost(to->best[j], edge_cost(z, s, i, j, T));
                    least = cost < least ? cost : least;
                }
            } else {
                const Choice *to = &z->choice[s->to];
                least = joins ? edge_cost(z, s, i, lanes_at(to, s, true, to->chosen), T) : 0;
            }
            c->down[i] = add_cost(c->down[i], least);
        }
    }
}

/* A shape's cost with all below it, and with second operands as they are now. */
static uint64_t shape_cost(Sizing *z, const Choice *c, uint32_t able, bool joins, uint64_t T)
{
    uint32_t shape = c->able[able];
    uint64_t cost = add_cost(c->own[able], c->down[c->class_of->out[shape]]);
    for (uint32_t i = 1; joins && i < c->kernel->n_in; i++)
        cost = add_cost(cost, stream_cost(z, z->plan->streams.data[c->kernel->in[i]],
                                          (int32_t)c->kernel->id, shape, T));
    return cost;
}

/* From the results up: the least cost of everything below a kernel, by its lanes in. */
static void find_best(Sizing *z, bool joins, uint64_t T)
{
    for (uint32_t o = z->n; o-- > 0;) {
        Choice *c = &z->choice[z->order[o]];
        const KernelClass *k = c->class_of;
        find_able(z, c, T);
        find_down(z, c, joins, T);
        for (uint32_t a = 0; a < c->n_able; a++) {
            uint64_t cost = shape_cost(z, c, a, joins, T);
            uint32_t in = k->in[c->able[a]];
            if (cost < c->best[in])
                c->best[in] = cost;
        }
    }
}

uint64_t sizing_relaxed(Sizing *z, uint64_t T)
{
    uint64_t cost = 0;
    sizing_bare(z->plan);
    find_best(z, false, T);
    for (uint32_t k = 0; k < z->n; k++) {
        const Choice *c = &z->choice[k];
        const Stream *in = z->plan->streams.data[c->kernel->in[0]];
        if (in->from != PLAN_HOST)
            continue;
        uint64_t least = SIZE_NEVER;
        for (uint32_t i = 0; i < c->class_of->lanes_in.n; i++) {
            uint64_t here = c->best[i];
            if (here < least)
                here = add_cost(here, edge_cost(z, in, 0, i, T));
            least = here < least ? here : least;
        }
        cost = add_cost(cost, least);
    }
    return cost;
}

static void choose_tree(Sizing *z, bool joins, uint64_t T)
{
    find_best(z, joins, T);
    for (uint32_t o = 0; o < z->n; o++) {
        Choice *c = &z->choice[z->order[o]];
        const Stream *in = z->plan->streams.data[c->kernel->in[0]];
        uint32_t from = in->from == PLAN_HOST
                            ? 0
                            : z->choice[in->from].class_of->out[z->choice[in->from].chosen];
        uint64_t best = UINT64_MAX;
        uint32_t last = UINT32_MAX;
        uint64_t edge = 0;
        for (uint32_t a = 0; a < c->n_able; a++) {
            uint32_t i = c->able[a];
            uint64_t cost = shape_cost(z, c, a, joins, T);
            if (cost > best || cost >= SIZE_NEVER)
                continue;
            if (c->class_of->in[i] != last) {
                last = c->class_of->in[i];
                edge = edge_cost(z, in, from, last, T);
            }
            cost = add_cost(cost, edge);
            if (cost < best || (cost == best && sizing_cycles(z, c->class_of, i) <
                                                    sizing_cycles(z, c->class_of, c->chosen))) {
                best = cost;
                c->chosen = i;
            }
        }
    }
}

/* Cost of a kernel with a shape, and of all its edges as its neighbors are now. */
static uint64_t local_cost(Sizing *z, const Choice *c, uint32_t shape, uint64_t T)
{
    const Kernel *k = c->kernel;
    uint64_t cost = own_cost(z, c, shape, T);
    for (uint32_t i = 0; i < k->n_in + k->n_out && cost < SIZE_NEVER; i++) {
        uint32_t id = i < k->n_in ? k->in[i] : k->out[i - k->n_in];
        cost = add_cost(cost, stream_cost(z, z->plan->streams.data[id], (int32_t)k->id, shape, T));
    }
    return cost;
}

static void descend(Sizing *z, uint64_t T)
{
    for (unsigned sweep = 0, moved = 1; sweep < SWEEPS && moved; sweep++) {
        moved = 0;
        for (uint32_t k = 0; k < z->n; k++) {
            Choice *c = &z->choice[k];
            if (!c->joins)
                continue;
            uint64_t best = local_cost(z, c, c->chosen, T);
            for (uint32_t i = 0; i < c->class_of->shapes.n; i++) {
                uint64_t cost = local_cost(z, c, i, T);
                if (cost < best) {
                    best = cost;
                    c->chosen = i;
                    moved = 1;
                }
            }
        }
    }
}

/* The whole choice: its cost, and the sums of cores and cycles. */
static uint64_t total(Sizing *z, uint64_t T, uint64_t *cores)
{
    uint64_t cost = 0;
    *cores = z->sum = 0;
    for (uint32_t k = 0; k < z->n; k++) {
        const Shape *s = sizing_chosen(z, (int32_t)k);
        cost = add_cost(cost, own_cost(z, &z->choice[k], z->choice[k].chosen, T));
        *cores += (uint64_t)s->w * s->h;
        z->sum += s->cycles;
    }
    for (size_t i = 0; i < z->n_streams; i++) {
        const Stream *s = z->plan->streams.data[i];
        Shape strip;
        cost = add_cost(cost, stream_cost(z, s, INT32_MIN, 0, T));
        if (!sizing_adapter(z, s, &strip))
            continue;
        uint32_t at = 0, to = 0;
        if (s->from != PLAN_HOST)
            at = lanes_at(&z->choice[s->from], s, false, z->choice[s->from].chosen);
        if (s->to != PLAN_HOST)
            to = lanes_at(&z->choice[s->to], s, true, z->choice[s->to].chosen);
        const AdapterCell *cell = adapter_cell(z, s, at, to);
        *cores += cell->cores;
        z->sum += cell->cycles;
    }
    return cost;
}

static void keep(Sizing *z)
{
    for (uint32_t k = 0; k < z->n; k++)
        z->choice[k].kept = z->choice[k].chosen;
}

/* Along a chain of residuals all forks and joins are one in lanes, which descent kernel by
 * kernel does not get out of: every number of lanes in turn for all of them. */
static uint64_t solve_common(Sizing *z, uint64_t T)
{
    uint64_t best = SIZE_NEVER, cores;
    const Choice *first = NULL;
    for (uint32_t k = z->n; k-- > 0;)
        first = z->choice[k].joins ? &z->choice[k] : first;
    const LaneSet *set = &first->class_of->lanes_out;
    for (uint32_t i = 0; i < set->n; i++) {
        z->common = set->of[i];
        choose_tree(z, false, T);
        z->common = 0;
        uint64_t cost = total(z, T, &cores);
        if (cost >= best)
            continue;
        best = cost;
        keep(z);
    }
    return best;
}

uint64_t sizing_solve(Sizing *z, uint64_t T, uint64_t *cores)
{
    uint64_t best = SIZE_NEVER, unused;
    sizing_bare(z->plan);
    if (!cores)
        cores = &unused;
    for (unsigned round = 0; round < (z->joins ? ROUNDS : 1); round++) {
        choose_tree(z, round > 0, T);
        if (z->joins)
            descend(z, T);
        uint64_t cost = total(z, T, cores);
        if (round > 0 && cost >= best)
            break;
        best = cost;
        keep(z);
    }
    if (z->joins && best >= SIZE_NEVER && z->n <= MOST_COMMON && !z->rows)
        best = solve_common(z, T);
    for (uint32_t k = 0; k < z->n; k++)
        z->choice[k].chosen = z->choice[k].kept;
    if (z->joins)
        total(z, T, cores);
    return best;
}

bool sizing_adapter(const Sizing *z, const Stream *s, Shape *shape)
{
    uint32_t from = 0, to = 0;
    if (s->from != PLAN_HOST)
        from = sizing_chosen(z, s->from)->lanes_out;
    if (s->to != PLAN_HOST)
        to = plan_lanes_needed(z->choice[s->to].kernel, s->to_input, sizing_chosen(z, s->to));
    if (s->from == PLAN_HOST)
        from = plan_port_lanes(s->protocol.features, to, z->in_lanes);
    if (s->to == PLAN_HOST)
        to = plan_port_lanes(s->protocol.features, from, z->out_lanes);
    *shape = (Shape){.lanes_in = from, .lanes_out = to, .split = 1, .segs_out = s->protocol.segs};
    return from != to;
}

void sizing_strip(Sizing *z, const Stream *s, Shape *shape)
{
    uint32_t i = 0, j = 0;
    if (s->from != PLAN_HOST)
        i = lanes_at(&z->choice[s->from], s, false, z->choice[s->from].chosen);
    if (s->to != PLAN_HOST)
        j = lanes_at(&z->choice[s->to], s, true, z->choice[s->to].chosen);
    const AdapterCell *cell = adapter_cell(z, s, i, j);
    shape->h = shape->lanes_in > shape->lanes_out ? shape->lanes_in : shape->lanes_out;
    shape->w = cell->cores / shape->h;
}

static bool fold_strip(Sizing *z, const Stream *s, uint32_t from, uint32_t to, uint64_t T,
                       Shape *strip)
{
    AdapterCell cell = {0};
    if (least_cycles(&s->protocol, from, to) > T)
        return false;
    ask_adapter(z, s, from, to, &cell);
    *strip = (Shape){.lanes_in = from, .lanes_out = to, .split = 1, .segs_out = s->protocol.segs};
    strip->h = from > to ? from : to;
    strip->w = cell.cores / strip->h;
    return cell.cycles <= T && cell.cycles < UINT32_MAX;
}

bool sizing_fold(Sizing *z, const Stream *s, uint32_t lanes, uint64_t T, Shape strip[2])
{
    Shape ends;
    sizing_adapter(z, s, &ends);
    return lanes < ends.lanes_in && lanes < ends.lanes_out &&
           fold_strip(z, s, ends.lanes_in, lanes, T, &strip[0]) &&
           fold_strip(z, s, lanes, ends.lanes_out, T, &strip[1]);
}

uint64_t sizing_slowest(const Sizing *z, const Kernel **which)
{
    uint64_t worst = 0;
    for (uint32_t k = 0; k < z->n; k++) {
        uint64_t cycles = sizing_cycles(z, z->choice[k].class_of, z->choice[k].chosen);
        if (cycles > worst) {
            worst = cycles;
            *which = z->choice[k].kernel;
        }
    }
    return worst;
}
