/* SPDX-License-Identifier: Apache-2.0 */
/* passes/pack/tree.c - slicing trees: boxes, positions and costs, and curves of boxes.
 *
 * The curve of a node gives for every height the least width of its box over all shapes of the
 * kernels below it (Stockmeyer, Information and Control 57, 1983): side by side the widths at
 * one height add up, stacked the heights at one width do. Changing a leaf or a cut touches the
 * nodes on the way to the root only. */
#include <stdlib.h>
#include <string.h>

#include "passes/pack/search.h"

State *state_create(Arena *a, uint32_t n)
{
    State *t = arena_new(a, State);
    t->charge = 1.5;
    t->leaves = arena_array(a, Leaf, n);
    t->nodes = arena_array(a, Node, 2 * (size_t)n - 1);
    return t;
}

void state_copy(State *to, const State *from, uint32_t n)
{
    Leaf *leaves = to->leaves;
    Node *nodes = to->nodes;
    memcpy(leaves, from->leaves, n * sizeof *leaves);
    memcpy(nodes, from->nodes, (2 * (size_t)n - 1) * sizeof *nodes);
    *to = *from;
    to->leaves = leaves;
    to->nodes = nodes;
}

bool leaf_set(const Search *s, State *t, uint32_t kernel, uint32_t family, bool turned)
{
    const PackProblem *p = s->problem;
    PackShape shape;
    if (!class_shape(s, p->class_of[kernel], family, t->limit, &shape) || shape.w > s->side ||
        shape.h > s->side)
        return false;
    t->leaves[kernel] = leaf_of(&s->classes[p->class_of[kernel]], family, turned, &shape);
    t->nodes[kernel].w = turned ? shape.h : shape.w;
    t->nodes[kernel].h = turned ? shape.w : shape.h;
    return true;
}

int32_t tree_join(State *t, int32_t *unused, int32_t a, int32_t b, bool stacked)
{
    int32_t v = (*unused)++;
    t->nodes[v] = (Node){.parent = -1, .child = {a, b}, .stacked = stacked, .align = 1};
    t->nodes[a].parent = t->nodes[b].parent = v;
    return v;
}

int32_t tree_join_kernels(State *t, int32_t *unused, const uint32_t *kernels, uint32_t count,
                          bool stacked, bool backwards)
{
    if (count == 1)
        return (int32_t)kernels[0];
    uint32_t low = count / 2;
    int32_t a = tree_join_kernels(t, unused, kernels, low, stacked, backwards);
    int32_t b = tree_join_kernels(t, unused, kernels + low, count - low, stacked, backwards);
    return tree_join(t, unused, backwards ? b : a, backwards ? a : b, stacked);
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static void size_node(State *t, Node *v)
{
    const Node *a = &t->nodes[v->child[0]], *b = &t->nodes[v->child[1]];
    v->w = v->stacked ? larger(a->w, b->w) : a->w + b->w;
    v->h = v->stacked ? a->h + b->h : larger(a->h, b->h);
}

static void size_below(State *t, int32_t node)
{
    Node *v = &t->nodes[node];
    if (v->child[0] < 0)
        return;
    size_below(t, v->child[0]);
    size_below(t, v->child[1]);
    size_node(t, v);
}

void tree_size_all(State *t)
{
    size_below(t, t->root);
}

void tree_mark(Marks *m, const State *t, int32_t node)
{
    for (; node >= 0 && m->of[node] != m->stamp; node = t->nodes[node].parent)
        m->of[node] = m->stamp;
}

static void size_marked(const Marks *m, State *t, int32_t node)
{
    Node *v = &t->nodes[node];
    if (m->of[node] != m->stamp || v->child[0] < 0)
        return;
    size_marked(m, t, v->child[0]);
    size_marked(m, t, v->child[1]);
    size_node(t, v);
}

void tree_size_marked(const Marks *m, State *t)
{
    size_marked(m, t, t->root);
}

static void place_below(State *t, int32_t node)
{
    const Node *v = &t->nodes[node];
    if (v->child[0] < 0)
        return;
    Node *a = &t->nodes[v->child[0]], *b = &t->nodes[v->child[1]];
    int32_t align = v->align;
    if (v->stacked) {
        a->x = v->x + (v->w - a->w) * align / 2;
        b->x = v->x + (v->w - b->w) * align / 2;
        a->y = v->y;
        b->y = v->y + a->h;
    } else {
        a->x = v->x;
        b->x = v->x + a->w;
        a->y = v->y + (v->h - a->h) * align / 2;
        b->y = v->y + (v->h - b->h) * align / 2;
    }
    place_below(t, v->child[0]);
    place_below(t, v->child[1]);
}

/* A kernel goes past keep-outs; beyond the grid it need not look for room any more. */
static void past_keepouts(const PackProblem *p, Node *v)
{
    for (bool moved = true; moved && v->x <= p->w && v->y <= p->h;) {
        moved = false;
        for (uint32_t i = 0; i < p->n_keepouts; i++) {
            PackRect r = p->keepouts[i];
            if (r.x >= v->x + v->w || v->x >= r.x + r.w || r.y >= v->y + v->h || v->y >= r.y + r.h)
                continue;
            if (v->stacked)
                v->y = r.y + r.h;
            else
                v->x = r.x + r.w;
            moved = true;
        }
    }
}

/* As place_below, but a kernel that would cover a keep-out goes past it, to the right or
 * upwards; what comes after it in its row or stack starts where its box really ends. The
 * corner of the box is returned. No kernels overlap, whatever the keep-outs. */
static void place_around(const PackProblem *p, State *t, int32_t node, int32_t *x1, int32_t *y1)
{
    Node *v = &t->nodes[node];
    if (v->child[0] < 0) {
        past_keepouts(p, v);
        *x1 = v->x + v->w;
        *y1 = v->y + v->h;
        return;
    }
    Node *a = &t->nodes[v->child[0]], *b = &t->nodes[v->child[1]];
    int32_t align = v->align, ax, ay, bx, by;
    a->x = v->stacked ? v->x + (v->w - a->w) * align / 2 : v->x;
    a->y = v->stacked ? v->y : v->y + (v->h - a->h) * align / 2;
    place_around(p, t, v->child[0], &ax, &ay);
    b->x = v->stacked ? v->x + (v->w - b->w) * align / 2 : ax;
    b->y = v->stacked ? ay : v->y + (v->h - b->h) * align / 2;
    place_around(p, t, v->child[1], &bx, &by);
    *x1 = larger(ax, bx);
    *y1 = larger(ay, by);
}

static double distance_to(const Tie *tie, const Node *v)
{
    double dx = tie->any_x ? 0 : tie->x2 - 2 * v->x - v->w;
    double dy = tie->any_y ? 0 : tie->y2 - 2 * v->y - v->h;
    return (dx < 0 ? -dx : dx) + (dy < 0 ? -dy : dy);
}

static double over_by(const PackProblem *p, int32_t x1, int32_t y1)
{
    double over = 0;
    if (x1 > p->w)
        over += (double)(x1 - p->w) / p->w;
    if (y1 > p->h)
        over += (double)(y1 - p->h) / p->h;
    return over;
}

static double slowest(const Search *s, const State *t)
{
    double time = 0;
    for (uint32_t k = 0; k < s->n; k++)
        if (t->leaves[k].time > time)
            time = t->leaves[k].time;
    return time;
}

static double adapters_of(const Search *s, const State *t)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < s->n_edges; i++) {
        const PackEdge *e = &s->edges[i];
        const Leaf *to = &t->leaves[e->to];
        sum += key_difference(t->leaves[e->from].out, e->to_out ? to->out : to->in);
    }
    return sum;
}

static double wire_of(const Search *s, const State *t)
{
    double wire = 0;
    for (uint32_t i = 0; i < s->n_edges; i++) {
        const PackEdge *e = &s->edges[i];
        const Node *a = &t->nodes[e->from], *b = &t->nodes[e->to];
        int32_t dx = 2 * (a->x - b->x) + a->w - b->w, dy = 2 * (a->y - b->y) + a->h - b->h;
        wire += e->weight * (abs(dx) + abs(dy));
    }
    for (uint32_t i = 0; i < s->n_ties; i++)
        wire += s->ties[i].weight * distance_to(&s->ties[i], &t->nodes[s->ties[i].kernel]);
    return wire / 2 + s->fixed_wire;
}

static void finish_measure(const Search *s, State *t)
{
    const PackProblem *p = s->problem;
    t->score = p->time * t->time + p->wire * t->wire + p->adapter * t->adapters;
    t->cost = t->score * (1 + t->charge * t->over);
}

void positions_measure(const Search *s, State *t)
{
    t->time = slowest(s, t);
    t->adapters = adapters_of(s, t);
    t->wire = wire_of(s, t);
    t->over = 0;
    finish_measure(s, t);
}

void tree_measure(const Search *s, State *t)
{
    tree_measure_below(s, t, 1e300);
}

bool tree_measure_below(const Search *s, State *t, double most)
{
    const PackProblem *p = s->problem;
    Node *root = &t->nodes[t->root];
    int32_t x1 = root->w, y1 = root->h;
    t->time = slowest(s, t);
    t->over = over_by(p, x1, y1);
    double most_score = most / (1 + t->charge * t->over);
    if (p->time * t->time >= most_score)
        return false;
    /* Boxes side by side are at least as far from each other as in the bound of the score. */
    double wire = s->fixed_wire;
    for (uint32_t k = 0; k < s->n; k++) {
        const Node *v = &t->nodes[k];
        wire += s->pull[k] * (v->w < v->h ? v->w : v->h);
    }
    if (p->time * t->time + p->wire * wire >= most_score)
        return false;
    t->adapters = adapters_of(s, t);
    if (p->time * t->time + p->wire * wire + p->adapter * t->adapters >= most_score)
        return false;
    root->x = root->y = 0;
    if (p->n_keepouts) {
        place_around(p, t, t->root, &x1, &y1);
        t->over = over_by(p, x1, y1);
    } else {
        place_below(t, t->root);
    }
    t->wire = wire_of(s, t);
    finish_measure(s, t);
    return t->cost < most;
}

/* Only the way round that the parent adds up is made at first, the other when asked for. */
enum { FILL = 8 };

typedef struct NodeCurve {
    int16_t *way[2]; /* least width for a height, least height for a width */
    bool has[2];
} NodeCurve;

struct Curves {
    int32_t side;
    uint32_t n_nodes, n_slots;
    uint32_t *slot; /* by node */
    NodeCurve *curves;
    uint32_t *free, n_free;
    struct {
        uint32_t node, slot;
    } * journal;
    uint32_t n_journal;
};

Curves *curves_create(Arena *a, const Search *s)
{
    Curves *c = arena_new(a, Curves);
    c->side = s->side;
    c->n_nodes = 2 * s->n - 1;
    c->n_slots = 2 * c->n_nodes;
    c->slot = arena_array(a, uint32_t, c->n_nodes);
    c->curves = arena_array(a, NodeCurve, c->n_slots);
    c->free = arena_array(a, uint32_t, c->n_slots);
    c->journal = arena_alloc(a, c->n_nodes, sizeof *c->journal, alignof(uint64_t));
    size_t extents = (size_t)s->side + 1;
    for (uint32_t i = 0; i < c->n_slots; i++) {
        for (unsigned way = 0; way < 2; way++)
            c->curves[i].way[way] = arena_array(a, int16_t, extents + FILL) + FILL;
    }
    for (uint32_t i = 0; i < c->n_nodes; i++)
        c->slot[i] = i;
    for (uint32_t i = c->n_nodes; i < c->n_slots; i++)
        c->free[c->n_free++] = i;
    return c;
}

/* The other way round of a falling curve: for every value the first index that is at or below
 * it. Runs are filled from their upper end in steps of FILL; what that spoils below the run is
 * set afterwards, and there is room in front of the array. */
static void invert(const int16_t *curve, int16_t *result, int32_t side)
{
    int32_t end = side;
    for (int32_t i = 0; i <= side && end >= 0; i++) {
        while (i + FILL <= side && curve[i + FILL - 1] > end)
            i += FILL; /* it falls: none before is low enough either */
        if (curve[i] > end)
            continue;
        int16_t run[FILL];
        for (unsigned k = 0; k < FILL; k++)
            run[k] = (int16_t)i;
        for (; end >= curve[i]; end -= FILL)
            memcpy(&result[end - FILL + 1], run, sizeof run);
        end = curve[i] - 1;
    }
    for (; end >= 0; end--)
        result[end] = EXTENT_NONE;
}

static const int16_t *curve_way(Curves *c, int32_t node, unsigned way)
{
    NodeCurve *v = &c->curves[c->slot[node]];
    if (!v->has[way]) {
        invert(v->way[!way], v->way[way], c->side);
        v->has[way] = true;
    }
    return v->way[way];
}

static void add(const int16_t *restrict a, const int16_t *restrict b, int16_t *restrict sum,
                int32_t side)
{
    for (int32_t i = 0; i <= side; i++) {
        int16_t v = (int16_t)(a[i] + b[i]);
        sum[i] = v < EXTENT_NONE ? v : EXTENT_NONE;
    }
}

static void curve_node(Search *s, Curves *c, const Curve *of_class, const State *t, int32_t node)
{
    uint32_t slot = c->free[--c->n_free];
    c->journal[c->n_journal].node = (uint32_t)node;
    c->journal[c->n_journal++].slot = c->slot[node];
    c->slot[node] = slot;
    NodeCurve *r = &c->curves[slot];
    const Node *v = &t->nodes[node];
    if (v->child[0] < 0) {
        const int16_t *across = of_class[s->problem->class_of[node]].across;
        for (unsigned way = 0; way < 2; way++) {
            memcpy(r->way[way], across, ((size_t)c->side + 1) * sizeof *across);
            r->has[way] = true;
        }
        return;
    }
    unsigned way = v->stacked;
    add(curve_way(c, v->child[0], way), curve_way(c, v->child[1], way), r->way[way], c->side);
    r->has[way] = true;
    r->has[!way] = false;
}

static double curve_below(Search *s, Curves *c, const Curve *of_class, const Marks *m,
                          const State *t, int32_t node)
{
    const Node *v = &t->nodes[node];
    if (m && m->of[node] != m->stamp)
        return 0;
    if (!m && v->child[0] < 0) {
        curve_node(s, c, of_class, t, node);
        return 1;
    }
    if (v->child[0] < 0) /* a leaf's curve depends on the level only */
        return 0;
    double work = curve_below(s, c, of_class, m, t, v->child[0]) +
                  curve_below(s, c, of_class, m, t, v->child[1]);
    curve_node(s, c, of_class, t, node);
    return work + 1;
}

void curves_keep(Curves *c)
{
    while (c->n_journal)
        c->free[c->n_free++] = c->journal[--c->n_journal].slot;
}

void curves_undo(Curves *c)
{
    while (c->n_journal) {
        uint32_t node = c->journal[--c->n_journal].node;
        c->free[c->n_free++] = c->slot[node];
        c->slot[node] = c->journal[c->n_journal].slot;
    }
}

/* Hands boxes down from the root; a leaf takes its narrowest shape for the height. */
static void shape_below(const Search *s, Curves *c, const Curve *of_class, State *t, int32_t node,
                        int32_t w, int32_t h)
{
    const Node *v = &t->nodes[node];
    if (v->child[0] < 0) {
        const Curve *curve = &of_class[s->problem->class_of[node]];
        const Leaf *leaf = &curve->points[curve->point[h]];
        t->leaves[node] = *leaf;
        t->nodes[node].w = leaf->turned ? leaf->h : leaf->w;
        t->nodes[node].h = leaf->turned ? leaf->w : leaf->h;
        return;
    }
    const int16_t *a = curve_way(c, v->child[0], v->stacked);
    const int16_t *b = curve_way(c, v->child[1], v->stacked);
    shape_below(s, c, of_class, t, v->child[0], v->stacked ? w : a[h], v->stacked ? a[w] : h);
    shape_below(s, c, of_class, t, v->child[1], v->stacked ? w : b[h], v->stacked ? b[w] : h);
}

static void shape_tree(Search *s, Curves *c, const Curve *of_class, State *t, uint32_t level)
{
    const PackProblem *p = s->problem;
    const int16_t *width = curve_way(c, t->root, 0);
    int32_t best_h = -1, h = p->h;
    int64_t best = 0;
    if (width[h] <= p->w) {
        best_h = h;
    } else {
        for (h = 1; h <= c->side; h++) {
            if (width[h] > c->side)
                continue;
            int64_t over = (int64_t)(h > p->h ? h - p->h : 0) * p->w +
                           (int64_t)(width[h] > p->w ? width[h] - p->w : 0) * p->h;
            if (best_h < 0 || over < best) {
                best = over;
                best_h = h;
            }
        }
    }
    t->limit = s->limits[level];
    if (best_h < 0) {
        t->over = 1e9;
        t->cost = t->score = 1e300;
        return;
    }
    shape_below(s, c, of_class, t, t->root, width[best_h], best_h);
    tree_size_all(t);
    tree_measure(s, t);
}

double curves_update(Search *s, Curves *c, const Marks *m, State *t, uint32_t level)
{
    const Curve *of_class = search_curves(s, level);
    double work = curve_below(s, c, of_class, m, t, t->root);
    shape_tree(s, c, of_class, t, level);
    return work;
}
