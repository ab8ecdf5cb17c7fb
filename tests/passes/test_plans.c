/* SPDX-License-Identifier: Apache-2.0 */
/* tests/passes/test_plans.c - whole plans of small networks: reports, pictures, dumps. */
#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "passes/planner.h"
#include "tests/common/suite.h"

static const char residual[] =
    "graph \"re<s&i>dual \\\"x\\\"\" {\n"
    "  %0 = input \"im<age\" : f32[8, 8, 4]\n"
    "  %1 = const @a.weight : f32[4, 4, 3, 3]\n"
    "  %2 = const @a.bias : f32[4]\n"
    "  %3 = conv2d(%0, %1, %2) \"a\" {kernel = [3, 3], stride = [1, 1], padding = [1, 1], bias = "
    "true} : f32[8, 8, 4]\n"
    "  %4 = const @b.weight : f32[4, 4, 3, 3]\n"
    "  %5 = const @b.bias : f32[4]\n"
    "  %6 = conv2d(%3, %4, %5) \"b\" {kernel = [3, 3], stride = [1, 1], padding = [1, 1], bias = "
    "true} : f32[8, 8, 4]\n"
    "  %7 = const @c.weight : f32[4, 4, 3, 3]\n"
    "  %8 = const @c.bias : f32[4]\n"
    "  %9 = conv2d(%6, %7, %8) \"c\" {kernel = [3, 3], stride = [1, 1], padding = [1, 1], bias = "
    "true} : f32[8, 8, 4]\n"
    "  %10 = add(%9, %3) : f32[8, 8, 4]\n"
    "  output \"o&ut\" = %10\n"
    "}\n";

typedef struct Planned {
    Arena arena;
    Diag diag;
    Machine machine;
    PassContext cx;
    PipelineTimes times;
} Planned;

static void planned(Planned *p, const char *text, const char *machine, uint32_t max_cores,
                    bool latency)
{
    memset(p, 0, sizeof *p);
    diag_init(&p->diag, "test");
    CU_ASSERT_TRUE_FATAL(machine_load(&p->diag, machine, &p->machine));
    uint32_t file = diag_add_source(&p->diag, "test.wir", text, strlen(text));
    Graph *g = graph_parse(&p->arena, &p->diag, file);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    p->cx = (PassContext){.diag = &p->diag, .graph = g, .machine = &p->machine, .arena = &p->arena};
    p->cx.options.slack = 0.05;
    p->cx.options.max_cores = max_cores;
    p->cx.options.latency = latency;
    p->cx.options.curve = true;
    PipelineOptions options = {.out = stdout};
    CU_ASSERT_TRUE_FATAL(pipeline_run(&p->cx, &options, &p->times));
}

static void planned_finish(Planned *p)
{
    diag_finish(&p->diag);
    arena_free(&p->arena);
}

static void test_fork(void)
{
    Planned p;
    planned(&p, residual, "wse2-64x64", 0, false);
    const Plan *plan = p.cx.plan;
    uint32_t most = 0;
    for (size_t i = 0; i < plan->streams.n; i++)
        most = plan->streams.data[i]->slots > most ? plan->streams.data[i]->slots : most;
    /* Each convolution needs two rows before its first result and a third in the work. */
    CU_ASSERT_TRUE(most >= 4);
    CU_ASSERT_TRUE(most <= 16);
    planned_finish(&p);
}

static void test_bounds(void)
{
    static const uint32_t cores[] = {0, 40, 16};
    uint64_t last = 0;
    for (unsigned i = 0; i < 3; i++) {
        Planned p;
        planned(&p, residual, "wse2-64x64", cores[i], false);
        Bounds b = plan_bounds(p.cx.plan, plan_cores(p.cx.plan));
        uint64_t cycles = plan_target(p.cx.plan);
        CU_ASSERT_TRUE(b.compute > 0 && b.compute <= cycles);
        CU_ASSERT_TRUE(b.memory > 0 && b.memory <= b.compute);
        CU_ASSERT_TRUE(b.host > 0 && b.host <= cycles);
        if (cores[i])
            CU_ASSERT_TRUE(plan_cores(p.cx.plan) <= cores[i]);
        CU_ASSERT_TRUE(cycles >= last);
        last = cycles;
        planned_finish(&p);
    }
    /* By hand: 3 convolutions of (8*3 - 2)^2 valid taps, 16 channel pairs, at 12/25 a cycle. */
    Planned p;
    planned(&p, residual, "wse2-64x64", 0, false);
    uint64_t macs = 3ull * 22 * 22 * 16;
    Bounds one = plan_bounds(p.cx.plan, 1);
    CU_ASSERT_TRUE(one.compute >= macs * 25 / 12 && one.compute <= macs * 25 / 12 + 3 + 256);
    CU_ASSERT_EQUAL(one.host, (2 * 256 + 43) / 44);
    planned_finish(&p);
}

static void test_latency(void)
{
    Planned fast, quick;
    planned(&fast, residual, "wse2-64x64", 200, false);
    planned(&quick, residual, "wse2-64x64", 200, true);
    uint64_t sum[2] = {0, 0};
    for (size_t i = 0; i < fast.cx.plan->kernels.n; i++)
        sum[0] += fast.cx.plan->kernels.data[i]->shape.cycles;
    for (size_t i = 0; i < quick.cx.plan->kernels.n; i++)
        sum[1] += quick.cx.plan->kernels.data[i]->shape.cycles;
    CU_ASSERT_TRUE(sum[1] <= sum[0]);
    planned_finish(&fast);
    planned_finish(&quick);
}

/* Fewer cores take longer; the fastest point is what the plan, with its slack, comes near to. */
static void test_curve(void)
{
    Planned p;
    planned(&p, residual, "wse2-64x64", 0, false);
    const Plan *plan = p.cx.plan;
    CU_ASSERT_TRUE_FATAL(plan->curve.n >= 3);
    for (size_t i = 1; i < plan->curve.n; i++) {
        CU_ASSERT_TRUE(plan->curve.data[i].cores < plan->curve.data[i - 1].cores);
        CU_ASSERT_TRUE(plan->curve.data[i].cycles > plan->curve.data[i - 1].cycles);
    }
    CU_ASSERT_TRUE(plan->curve.data[0].cycles <= plan_target(plan));
    CU_ASSERT_TRUE((double)plan_target(plan) <= 1.05 * (double)plan->curve.data[0].cycles);
    planned_finish(&p);
}

/* Braces and brackets balance outside of strings; no control characters in them. */
static bool json_balanced(const char *s)
{
    int depth = 0;
    bool in = false;
    for (; *s; s++) {
        if (in && *s == '\\')
            s++;
        else if (*s == '"')
            in = !in;
        else if (in && (unsigned char)*s < 0x20)
            return false;
        else if (!in)
            depth += (*s == '{' || *s == '[') - (*s == '}' || *s == ']');
        if (depth < 0)
            return false;
    }
    return depth == 0 && !in;
}

static void test_reports(void)
{
    Planned p;
    planned(&p, residual, "wse2", 0, false);
    Text t = {0};
    report_text(&t, &p.cx, &p.times);
    CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "lower bounds"));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "hottest links"));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "conv2d+add"));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "partition"));
    text_free(&t);
    report_json(&t, &p.cx, &p.times);
    CU_ASSERT_TRUE(json_balanced(t.data));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "\"cycles_per_sample\": "));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "\"curve\": [{\"cores\": "));
    text_free(&t);
    plan_svg(&t, p.cx.plan);
    xmlDoc *doc = xmlReadMemory(t.data, (int)t.len, NULL, NULL, XML_PARSE_NONET);
    CU_ASSERT_PTR_NOT_NULL(doc);
    xmlFreeDoc(doc);
    CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "re&lt;s&amp;i&gt;dual"));
    CU_ASSERT_PTR_NULL(strstr(t.data, "nan"));
    text_free(&t);
    planned_finish(&p);
}

static void test_xml_safe(void)
{
    Arena a = {0};
    CU_ASSERT_STRING_EQUAL(xml_safe(&a, "a\x01\xff\xc3\xa9\xc3z\xed\xa0\x80\xf0\x9f\x98\x80"),
                           "a??\xc3\xa9?z???\xf0\x9f\x98\x80");
    CU_ASSERT_STRING_EQUAL(xml_safe(&a, "\xe2\x82"), "??");
    arena_free(&a);
}

/* What a writer makes of a plan is as its schema says; a file that cannot be is an error. */
static void written(const char *xsd, bool (*write)(Diag *, const Plan *, const char *))
{
    char path[] = "/tmp/wsec-plan-XXXXXX";
    int fd = mkstemp(path);
    CU_ASSERT_FATAL(fd >= 0);
    close(fd);
    Planned p;
    planned(&p, residual, "tiny-8x8", 0, false);
    CU_ASSERT_TRUE(write(&p.diag, p.cx.plan, path));
    xmlDoc *doc = xmlReadFile(path, NULL, XML_PARSE_NONET);
    CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
    xmlSchemaParserCtxt *pc = xmlSchemaNewParserCtxt(xsd);
    xmlSchema *schema = xmlSchemaParse(pc);
    CU_ASSERT_PTR_NOT_NULL_FATAL(schema);
    xmlSchemaValidCtxt *vc = xmlSchemaNewValidCtxt(schema);
    CU_ASSERT_EQUAL(xmlSchemaValidateDoc(vc, doc), 0);
    xmlSchemaFreeValidCtxt(vc);
    xmlSchemaFree(schema);
    xmlSchemaFreeParserCtxt(pc);
    xmlFreeDoc(doc);
    unlink(path);
    p.diag.out = tmpfile();
    CU_ASSERT_FALSE(write(&p.diag, p.cx.plan, "/nowhere/plan.xml"));
    fclose(p.diag.out);
    p.diag.out = NULL;
    planned_finish(&p);
}

static void test_placement(void)
{
    written(PLACEMENT_XSD, placement_xml_write);
}

static void test_routing(void)
{
    written(ROUTING_XSD, routing_xml_write);
}

static void test_same_twice(void)
{
    Text t[2] = {{0}, {0}};
    for (unsigned i = 0; i < 2; i++) {
        Planned p;
        planned(&p, residual, "wse2-64x64", 0, false);
        plan_print(&t[i], p.cx.plan);
        plan_svg(&t[i], p.cx.plan);
        planned_finish(&p);
    }
    CU_ASSERT_STRING_EQUAL(t[0].data, t[1].data);
    text_free(&t[0]);
    text_free(&t[1]);
}

/* Sizes chosen for the fewest cores do not pack there; others that are as fast do. */
static void test_few(void)
{
    static const char text[] = "graph \"skip\" {\n"
                               "  %0 = input \"x\" : f32[784]\n"
                               "  %1 = const @a.weight : f32[128, 784]\n"
                               "  %2 = const @b.weight : f32[128, 128]\n"
                               "  %3 = const @c.weight : f32[128, 128]\n"
                               "  %4 = const @d.weight : f32[10, 128]\n"
                               "  %5 = linear(%0, %1) \"a\" {bias = false} : f32[128]\n"
                               "  %6 = linear(%5, %2) \"b\" {bias = false} : f32[128]\n"
                               "  %7 = linear(%6, %3) \"c\" {bias = false} : f32[128]\n"
                               "  %8 = add(%5, %7) : f32[128]\n"
                               "  %9 = linear(%8, %4) \"d\" {bias = false} : f32[10]\n"
                               "  output \"y\" = %9\n"
                               "}\n";
    static const char *machines[] = {"tiny-8x8", "wse2-64x64"};
    static const unsigned percent[] = {125, 160};
    for (unsigned i = 0; i < 2; i++) {
        Planned p;
        planned(&p, text, machines[i], 0, false);
        uint64_t cycles = plan_target(p.cx.plan), bound = p.cx.plan->shapes_bound;
        CU_ASSERT_TRUE(cycles >= bound && cycles * 100 <= bound * percent[i]);
        planned_finish(&p);
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"fork", test_fork},           {"bounds", test_bounds},   {"latency", test_latency},
        {"curve", test_curve},         {"reports", test_reports}, {"names in XML", test_xml_safe},
        {"placement", test_placement}, {"routing", test_routing}, {"same twice", test_same_twice},
        {"few kernels", test_few},     CU_TEST_INFO_NULL,
    };
    int bad = suite_run("plans", tests);
    xmlCleanupParser();
    return bad;
}
