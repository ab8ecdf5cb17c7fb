/* SPDX-License-Identifier: Apache-2.0 */
/* tests/passes/test_pictures.c - pictures and reports of large plans that are made by hand: a
 * meander of kernels over the whole wafer, with keep-outs and dead cores. */
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <stdlib.h>
#include <string.h>

#include "passes/explain.h"
#include "passes/sizing.h"
#include "tests/common/suite.h"

static const char one_layer[] = "graph \"meander\" {\n"
                                "  %0 = input \"x\" : f32[64]\n"
                                "  %1 = const @a.weight : f32[64, 64]\n"
                                "  %2 = const @a.bias : f32[64]\n"
                                "  %3 = linear(%0, %1, %2) \"a\" {bias = true} : f32[64]\n"
                                "  output \"y\" = %3\n"
                                "}\n";

typedef struct Made {
    Arena arena;
    Diag diag;
    Machine machine;
    Plan plan;
    PassContext cx;
} Made;

/* Streams from the east edge of a kernel straight to the next one, or over the row's end. */
static void add_stream(Made *m, int32_t from, int32_t to)
{
    Stream *s = arena_new(&m->arena, Stream);
    const Kernel *k = m->plan.kernels.data[from];
    uint32_t lanes = k->shape.lanes_out;
    s->id = (uint32_t)m->plan.streams.n;
    s->name = arena_printf(&m->arena, "%s -> next", k->name);
    s->from = from;
    s->to = to;
    s->node = k->result;
    s->slots = 3;
    protocol_of(&k->result->type, lanes, 1, &s->protocol);
    s->start_x = arena_array(&m->arena, uint32_t, lanes);
    s->start_y = arena_array(&m->arena, uint32_t, lanes);
    s->segments = arena_array(&m->arena, BundleSegment, 1);
    s->n_segments = 1;
    s->segments[0] = (BundleSegment){SIDE_E, arena_array(&m->arena, uint32_t, lanes)};
    for (uint32_t l = 0; l < lanes; l++) {
        s->start_x[l] = k->x + k->shape.w - 1;
        s->start_y[l] = k->y + l;
        s->segments[0].to[l] = s->start_x[l] + 3;
    }
    vec_push(&m->arena, &m->plan.streams, s);
}

static void make(Made *m, uint32_t columns, uint32_t rows)
{
    memset(m, 0, sizeof *m);
    diag_init(&m->diag, "test");
    CU_ASSERT_TRUE_FATAL(machine_load(&m->diag, "wse2", &m->machine));
    uint32_t file = diag_add_source(&m->diag, "test.wir", one_layer, strlen(one_layer));
    Graph *g = graph_parse(&m->arena, &m->diag, file);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    m->plan = (Plan){.arena = &m->arena, .graph = g, .machine = &m->machine};
    Node *node = NULL;
    for (size_t i = 0; i < g->nodes.n; i++)
        node = g->nodes.data[i]->op == OP_LINEAR ? g->nodes.data[i] : node;
    uint32_t w = m->machine.width / columns - 6, h = m->machine.height / rows - 6;
    for (uint32_t i = 0; i < columns * rows; i++) {
        Kernel *k = arena_new(&m->arena, Kernel);
        k->id = i;
        k->kind = KERNEL_MATVEC;
        k->name = arena_printf(&m->arena, "blocks.%u.fc%u", i / 4, i);
        k->anchor = k->result = node;
        k->x = i % columns * (w + 6);
        k->y = i / columns * (h + 6);
        k->shape = (Shape){.lanes_in = w, .lanes_out = 1 + i % h, .split = 1, .w = w, .h = h};
        k->shape.segs_out = 1;
        k->shape.cycles = 900 + i % 7;
        k->shape.bytes = 9000;
        vec_push(&m->arena, &m->plan.kernels, k);
    }
    for (uint32_t i = 0; i + 1 < columns * rows; i++)
        if ((i + 1) % columns)
            add_stream(m, (int32_t)i, (int32_t)i + 1);
    for (size_t i = 0; i < m->plan.streams.n; i++) {
        Stream *s = m->plan.streams.data[i];
        Kernel *from = m->plan.kernels.data[s->from], *to = m->plan.kernels.data[s->to];
        from->out[from->n_out++] = to->in[to->n_in++] = s->id;
    }
    m->cx = (PassContext){.diag = &m->diag, .graph = g, .plan = &m->plan, .machine = &m->machine};
    m->cx.arena = &m->arena;
    m->cx.options.slack = 0.05;
}

static void made_finish(Made *m)
{
    diag_finish(&m->diag);
    arena_free(&m->arena);
}

static int count(xmlDoc *doc, const char *path)
{
    xmlXPathContext *cx = xmlXPathNewContext(doc);
    xmlXPathRegisterNs(cx, (const xmlChar *)"s", (const xmlChar *)"http://www.w3.org/2000/svg");
    xmlXPathObject *found = xmlXPathEvalExpression((const xmlChar *)path, cx);
    int n = found && found->nodesetval ? found->nodesetval->nodeNr : 0;
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(cx);
    return n;
}

typedef struct Letters {
    double x0, y0, x1, y1;
} Letters;

static double number(xmlNode *n, const char *name)
{
    xmlChar *v = xmlGetProp(n, (const xmlChar *)name);
    double d = v ? strtod((const char *)v, NULL) : 0;
    xmlFree(v);
    return d;
}

/* The value of an attribute here or of the nearest element around. */
static bool has(xmlNode *n, const char *name, const char *value)
{
    for (; n && n->type == XML_ELEMENT_NODE; n = n->parent) {
        xmlChar *v = xmlGetProp(n, (const xmlChar *)name);
        bool same = v && strcmp((const char *)v, value) == 0;
        xmlFree(v);
        if (v)
            return same;
    }
    return false;
}

/* Where a text stands, letters being 0.55 of their size wide. */
static Letters letters_of(xmlNode *n)
{
    xmlChar *text = xmlNodeGetContent(n);
    double size = number(n, "font-size"), x = number(n, "x"), y = number(n, "y"), tx = 0, ty = 0;
    size = size > 0 ? size : 10;
    double w = 0.55 * size * (double)strlen((const char *)text);
    xmlFree(text);
    double left = has(n, "text-anchor", "middle") ? w / 2 : has(n, "text-anchor", "end") ? w : 0;
    Letters l = {x - left, y - 0.7 * size, x - left + w, y + 0.1 * size};
    xmlChar *move = xmlGetProp(n->parent, (const xmlChar *)"transform");
    if (move && sscanf((const char *)move, "translate(%lf %lf)", &tx, &ty) == 2) {
        if (strstr((const char *)move, "rotate(-90)"))
            l = (Letters){l.y0, -l.x1, l.y1, -l.x0};
        l = (Letters){l.x0 + tx, l.y0 + ty, l.x1 + tx, l.y1 + ty};
    }
    xmlFree(move);
    return l;
}

/* How many texts of the drawing, left of the panel, stand on another one. */
static unsigned texts_that_meet(xmlDoc *doc)
{
    xmlXPathContext *cx = xmlXPathNewContext(doc);
    xmlXPathRegisterNs(cx, (const xmlChar *)"s", (const xmlChar *)"http://www.w3.org/2000/svg");
    xmlXPathObject *found = xmlXPathEvalExpression((const xmlChar *)"//s:text", cx);
    double panel = number(xmlDocGetRootElement(doc), "width") - 464;
    int n = found->nodesetval->nodeNr;
    unsigned meet = 0;
    Letters *all = calloc((size_t)n, sizeof *all);
    for (int i = 0; i < n; i++) {
        all[i] = letters_of(found->nodesetval->nodeTab[i]);
        for (int k = 0; k < i && all[i].x1 < panel; k++)
            meet += all[k].x1 < panel && all[i].x0 < all[k].x1 && all[k].x0 < all[i].x1 &&
                    all[i].y0 < all[k].y1 && all[k].y0 < all[i].y1;
    }
    free(all);
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(cx);
    return meet;
}

static void dead_cores(Made *m, uint32_t every)
{
    Defects *d = arena_new(&m->arena, Defects);
    d->runs = arena_array(&m->arena, DefectRun, m->machine.height * 8);
    for (uint32_t y = 0; y < m->machine.height; y++)
        for (uint32_t i = 0; i < 8 && y % every == 0; i++)
            d->runs[d->n++] = (DefectRun){(uint16_t)y, (uint16_t)(i * 90 + y % 50), 2};
    m->plan.defects = d;
}

static void keep_out(Made *m, const char *why, bool dead)
{
    KeepOut k = {.x = 100, .y = 600, .w = 300, .h = dead ? 3 : 120, .dead = dead, .why = why};
    vec_push(&m->arena, &m->plan.keepouts, k);
}

/* 500 kernels of 8 x 4 cores each: their names have room all the same. */
static void test_many_small(void)
{
    Made m;
    make(&m, 20, 25);
    for (size_t i = 0; i < m.plan.kernels.n; i++) {
        Shape *s = &m.plan.kernels.data[i]->shape;
        s->w = s->lanes_in = 8;
        s->h = s->lanes_out = 4;
    }
    for (size_t i = 0; i < m.plan.streams.n; i++)
        m.plan.streams.data[i]->protocol.lanes = 1;
    Text t = {0};
    plan_svg(&t, &m.plan);
    xmlDoc *doc = xmlReadMemory(t.data, (int)t.len, NULL, NULL, XML_PARSE_NONET);
    CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
    CU_ASSERT_TRUE(count(doc, "//s:g/s:g/s:text[contains(., 'fc')]") >= 490);
    CU_ASSERT_EQUAL(texts_that_meet(doc), 0);
    xmlFreeDoc(doc);
    text_free(&t);
    made_finish(&m);
}

/* 500 kernels: all named, by label or by tooltip, in a file of moderate size. */
static void test_large(void)
{
    Made m;
    make(&m, 20, 25);
    keep_out(&m, "keep-out 'cam<era'", false);
    keep_out(&m, "row 600: 31 dead cores", true);
    dead_cores(&m, 5);
    for (unsigned heat = 0; heat < 2; heat++) {
        Text t = {0};
        (heat ? routed_svg : plan_svg)(&t, &m.plan);
        CU_ASSERT_TRUE(t.len < 2 << 20);
        xmlDoc *doc = xmlReadMemory(t.data, (int)t.len, NULL, NULL, XML_PARSE_NONET);
        CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
        CU_ASSERT_TRUE(count(doc, "//s:rect[contains(s:title, '.fc')]") >= 500);
        CU_ASSERT_TRUE(count(doc, "//s:g/s:g/s:text[contains(., 'fc')]") >= 490);
        CU_ASSERT_EQUAL(count(doc, "//s:rect[starts-with(s:title, 'keep-out')]"), 1);
        CU_ASSERT_EQUAL(count(doc, "//s:text[contains(., 'dead cores that rows skip')]"), 1);
        CU_ASSERT_EQUAL(count(doc, "//s:script"), 0);
        CU_ASSERT_EQUAL(texts_that_meet(doc), 0);
        CU_ASSERT_PTR_NULL(strstr(t.data, "nan"));
        xmlFreeDoc(doc);
        const char *file = getenv(heat ? "HEAT_SVG" : "PLACED_SVG"); /* to look at it */
        FILE *out = file ? fopen(file, "w") : NULL;
        if (out) {
            fwrite(t.data, 1, t.len, out);
            fclose(out);
        }
        text_free(&t);
    }
    made_finish(&m);
}

/* Few kernels: lanes stand on the streams, and on nothing else. */
static void test_small(void)
{
    Made m;
    make(&m, 4, 3);
    Text t = {0};
    plan_svg(&t, &m.plan);
    xmlDoc *doc = xmlReadMemory(t.data, (int)t.len, NULL, NULL, XML_PARSE_NONET);
    CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
    CU_ASSERT_TRUE(count(doc, "//s:text[contains(., ' cycles') and contains(., ' x ')]") >= 12);
    CU_ASSERT_TRUE(count(doc, "//s:rect[@rx]") > 0);
    CU_ASSERT_EQUAL(texts_that_meet(doc), 0);
    xmlFreeDoc(doc);
    text_free(&t);
    made_finish(&m);
}

/* Very many dead cores are drawn as tiles: no more than there are of these. */
static void test_many_dead(void)
{
    Made m;
    make(&m, 4, 4);
    dead_cores(&m, 1);
    Text t = {0};
    plan_svg(&t, &m.plan);
    CU_ASSERT_TRUE(t.len < 1 << 20);
    CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "dead cores that rows skip: 15904"));
    text_free(&t);
    made_finish(&m);
}

/* Kernels that are alike share a section; the report does not grow with their number. */
static void test_sections(void)
{
    Made m;
    make(&m, 20, 25);
    Text t = {0};
    report_text(&t, &m.cx, NULL);
    const char *sections = strstr(t.data, "kernels, the slowest first");
    CU_ASSERT_PTR_NOT_NULL_FATAL(sections);
    CU_ASSERT_PTR_NOT_NULL(strstr(sections, "kernels): matvec, linear"));
    unsigned n = 0;
    for (const char *s = sections; (s = strstr(s, ": matvec, linear")) != NULL; s++)
        n++;
    CU_ASSERT_TRUE(n > 7 && n <= 24);
    CU_ASSERT_PTR_NOT_NULL(strstr(sections, "more kinds of kernels"));
    text_free(&t);
    made_finish(&m);
}

/* What the report says has moved since an earlier placement. */
static void check_moves(Made *m, const EarlierPlacement *e, const char *says)
{
    Text t = {0};
    m->cx.options.earlier = e;
    report_text(&t, &m->cx, NULL);
    CU_ASSERT_PTR_NOT_NULL(strstr(t.data, says));
    text_free(&t);
    made_finish(m);
}

/* By name. */
static void test_moves(void)
{
    Made m;
    make(&m, 3, 1);
    EarlierPlacement e = {.machine = "wse2"};
    for (uint32_t i = 0; i < 4; i++) {
        const Kernel *k = m.plan.kernels.data[i < 3 ? i : 0];
        EarlierKernel was = plan_as_earlier(&m.plan, k);
        was.name = i < 2 ? was.name : "gone";
        was.x += i == 1 ? 5 : 0;
        vec_push(&m.arena, &e.kernels, was);
    }
    check_moves(&m, &e, "1 stayed, 1 moved, 1 new, 2 gone");
}

/* Bytes of longer rings are said to be that; where planning failed no place is told. */
static void test_explained(void)
{
    Made m;
    make(&m, 3, 1);
    Kernel *k = m.plan.kernels.data[1];
    ShapeVec shapes = {0};
    Shape nearest;
    kernel_shapes(&m.arena, k, &m.plan.streams.data[0]->protocol, &m.machine, 4096, &shapes,
                  &nearest);
    k->shape = shapes.data[shapes.n / 2];
    k->shape.bytes += 96;
    k->turn = 3;
    m.plan.streams.data[k->out[0]]->protocol.lanes = k->shape.lanes_out;
    for (unsigned failed = 0; failed < 2; failed++) {
        Text t = {0};
        m.diag.n_errors = failed;
        explain_text(&t, &m.cx, k);
        CU_ASSERT_PTR_NOT_NULL(strstr(t.data, ", 96 of them in longer rings"));
        CU_ASSERT_EQUAL(strstr(t.data, "turned thrice") == NULL, failed);
        CU_ASSERT_EQUAL(strstr(t.data, "not placed") != NULL, failed);
        text_free(&t);
    }
    made_finish(&m);
}

/* Adapters by what they stand between, in their order, whatever their numbers were. */
static void test_moved_adapters(void)
{
    Made m;
    make(&m, 3, 1);
    EarlierPlacement e = {.machine = "wse2"};
    for (uint32_t i = 1; i < 3; i++) {
        Kernel *k = m.plan.kernels.data[i];
        k->kind = KERNEL_ADAPTER;
        k->name = i == 1 ? "adapter1" : "adapter2";
        m.plan.streams.data[k->in[0]]->name = "a -> b";
        EarlierKernel was = plan_as_earlier(&m.plan, k);
        was.name = i == 1 ? "adapter2" : "adapter3";
        vec_push(&m.arena, &e.kernels, was);
    }
    EarlierKernel gone = e.kernels.data[0];
    gone.name = "adapter1";
    gone.stream = "a -> c";
    vec_push(&m.arena, &e.kernels, gone);
    check_moves(&m, &e, "2 stayed, 0 moved, 1 new, 1 gone");
}

/* Every verdict says what is so. */
static void test_verdicts(void)
{
    Made m;
    make(&m, 3, 1);
    Kernel *k = m.plan.kernels.data[1];
    ShapeVec shapes = {0};
    Shape nearest;
    Protocol in = m.plan.streams.data[0]->protocol;
    kernel_shapes(&m.arena, k, &in, &m.machine, 4096, &shapes, &nearest);
    CU_ASSERT_TRUE_FATAL(shapes.n > 10);
    k->shape = shapes.data[shapes.n / 2];
    m.plan.streams.data[k->out[0]]->protocol.lanes = k->shape.lanes_out;
    Pin pin = {.kernel = k->name, .has_size = true, .w = k->shape.w, .h = k->shape.h};
    for (unsigned pinned = 0; pinned < 2; pinned++) {
        k->pin = pinned ? &pin : NULL;
        KernelStory s;
        kernel_story(&m.arena, &m.cx, k, true, &s);
        CU_ASSERT_TRUE(s.sized && s.time.cycles >= s.time.compute);
        size_t all = 0;
        for (unsigned f = 0; f < FATE_COUNT; f++)
            all += s.counts[f];
        CU_ASSERT_EQUAL(all, s.shapes.n);
        CU_ASSERT_TRUE(s.shapes.n >= shapes.n);
        for (size_t i = 0; i < s.shapes.n; i++) {
            const ShapeVerdict *v = &s.shapes.data[i];
            bool same = v->shape.w == k->shape.w && v->shape.h == k->shape.h;
            CU_ASSERT_EQUAL(v->fate == FATE_MEMORY, v->shape.bytes > m.machine.sram_bytes);
            if (v->fate == FATE_SLOW)
                CU_ASSERT_TRUE(v->shape.cycles > plan_target(&m.plan));
            if (v->fate == FATE_LARGE || v->fate == FATE_EQUAL || v->fate == FATE_LANES)
                CU_ASSERT_TRUE(v->shape.cycles <= plan_target(&m.plan));
            bool turned = v->shape.h == k->shape.w && v->shape.w == k->shape.h;
            if (v->fate != FATE_MEMORY)
                CU_ASSERT_EQUAL(v->fate == FATE_FORBIDDEN, pinned && !same && !turned);
            CU_ASSERT_TRUE(*verdict_text(&m.arena, &s, v) != '\0');
            if (i)
                CU_ASSERT_TRUE(s.shapes.data[i - 1].fate <= v->fate);
        }
    }
    made_finish(&m);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"large", test_large},
        {"small", test_small},
        {"many dead", test_many_dead},
        {"sections", test_sections},
        {"moves", test_moves},
        {"verdicts", test_verdicts},
        {"moved adapters", test_moved_adapters},
        {"many small", test_many_small},
        {"explained", test_explained},
        CU_TEST_INFO_NULL,
    };
    return suite_run("pictures", tests);
}
