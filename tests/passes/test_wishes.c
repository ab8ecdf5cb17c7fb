/* SPDX-License-Identifier: Apache-2.0 */
/* tests/passes/test_wishes.c - constraints and earlier placements from XML: what good files mean,
 * what is said of broken ones and where. */
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "passes/planner.h"
#include "tests/common/capture.h"
#include "tests/common/suite.h"

typedef struct Reading {
    Capture capture;
    Machine machine; /* 64 x 64 */
    Constraints constraints;
    EarlierPlacement placement;
    Plan *plan;
    bool good;
} Reading;

/* Reads a text as a file of one kind or the other. */
static void read_bytes(Reading *r, bool placement, const char *text, size_t len)
{
    char path[] = "/tmp/wsec-wishes-XXXXXX";
    int fd = mkstemp(path);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_FATAL(write(fd, text, len) == (ssize_t)len);
    close(fd);
    capture_begin(&r->capture);
    Diag *d = &r->capture.diag;
    Arena *a = &r->capture.arena;
    CU_ASSERT_FATAL(machine_load(d, "wse2-64x64", &r->machine));
    r->good = placement ? placement_xml_read(d, a, path, &r->machine, &r->placement)
                        : constraints_read(d, a, path, &r->machine, &r->constraints);
    unlink(path);
}

/* The text must be refused with these words behind the path of the file, and this exit code. */
static void refuse(bool placement, const char *text, const char *expected, int code)
{
    Reading r;
    read_bytes(&r, placement, text, strlen(text));
    CU_ASSERT_FALSE(r.good);
    CU_ASSERT_EQUAL(diag_exit_code(&r.capture.diag), code);
    if (!strstr(said(&r.capture), expected))
        printf("\nexpected: %s\nsaid: %s", expected, said(&r.capture));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&r.capture), expected));
    capture_end(&r.capture);
}

static void test_constraints(void)
{
    static const char text[] =
        "\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- <pin kernel=\"no\"/> -->\n<constraints>\n"
        "  <pin kernel=\"fc1\" x=\"1\" y=\"2\"/>\n"
        "  <pin kernel='a &gt; \"b\"' x=\"0\" y=\"0\" w=\"64\" h=\"63\" turn=\"3\" mirror=\"1\"/>\n"
        "  <area kernel=\"fc1\" max-cores=\"700\"/>\n"
        "  <keep-out name=\"camera\" x=\"60\" y=\"63\" w=\"4\" h=\"1\"/>\n"
        "  <keep-out x=\"1\" y=\"1\" w=\"1\" h=\"1\"></keep-out>\n</constraints>\n";
    Reading r;
    read_bytes(&r, false, text, sizeof text - 1);
    CU_ASSERT_TRUE_FATAL(r.good);
    CU_ASSERT_STRING_EQUAL(said(&r.capture), "");
    const Constraints *c = &r.constraints;
    CU_ASSERT_EQUAL_FATAL(c->pins.n, 2);
    const Pin *p = c->pins.data;
    CU_ASSERT_STRING_EQUAL(p[0].kernel, "fc1");
    CU_ASSERT(p[0].x == 1 && p[0].y == 2 && !p[0].has_size && !p[0].has_turn && !p[0].has_mirror);
    CU_ASSERT_STRING_EQUAL(p[1].kernel, "a > \"b\"");
    CU_ASSERT(p[1].has_size && p[1].w == 64 && p[1].h == 63 && p[1].has_turn && p[1].turn == 3);
    CU_ASSERT(p[1].has_mirror && p[1].mirror);
    CU_ASSERT_EQUAL_FATAL(c->areas.n, 1);
    CU_ASSERT_STRING_EQUAL(c->areas.data[0].kernel, "fc1");
    CU_ASSERT_EQUAL(c->areas.data[0].max_cores, 700);
    CU_ASSERT_EQUAL_FATAL(c->keepouts.n, 2);
    const KeepOutWish *k = c->keepouts.data;
    CU_ASSERT(k[0].x == 60 && k[0].y == 63 && k[0].w == 4 && k[0].h == 1);
    CU_ASSERT_STRING_EQUAL(k[0].name, "camera");
    CU_ASSERT_STRING_EQUAL(k[1].name, "");
    /* The planner's messages stand under the whole tag. */
    diag_error(&r.capture.diag, p[0].span, "here");
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&r.capture),
                                  ":4:3: error: here\n"
                                  "    4 |   <pin kernel=\"fc1\" x=\"1\" y=\"2\"/>\n"
                                  "      |   ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n"));
    capture_end(&r.capture);
    read_bytes(&r, false, "<constraints/>", 14);
    CU_ASSERT_TRUE(r.good && r.constraints.pins.n == 0);
    capture_end(&r.capture);
}

#define PIN(attributes)  "<constraints>\n <pin " attributes "/></constraints>"
#define BOX(attributes)  "<constraints>\n <keep-out name=\"k\" " attributes "/></constraints>"
#define AREA(attributes) "<constraints>\n <area " attributes "/></constraints>"

static void test_broken_constraints(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", ":1:1: error: XML: Document is empty"},
        {"hello", "XML: Start tag expected, '<' not found"},
        {"<constraints>", "XML: Premature end of data in tag constraints line 1"},
        {"<constraints><pin</constraints>", ":1:1: error: XML: "},
        {"<machine/>", ":1:1: error: unknown element 'machine'"},
        {"<constraint/>", "unknown element 'constraint', did you mean 'constraints'?"},
        {"<constraints size=\"1\"/>", ":1:14: error: unknown attribute 'size'"},
        {"<constraints><pim/></constraints>", "unknown element 'pim', did you mean 'pin'?"},
        {"<constraints>text</constraints>", "XML: Element 'constraints': Character content"},
        {PIN("kernel=\"a\" x=\"1\" y=\"1\"><pin/></pin"), "XML: "},
        {PIN("kernel=\"a\" x=\"1\" y=\"1\"><b/></pin><pin kernel=\"b\" x=\"1\" y=\"1\""),
         ":2:2: error: XML: Element 'pin': Element content is not allowed"},
        {PIN("kernel=\"a\" x=\"1\""), ":2:2: error: pin lacks the attribute 'y'"},
        {PIN("x=\"1\" y=\"1\""), "pin lacks the attribute 'kernel'"},
        {PIN("kernel=\"\" x=\"1\" y=\"1\""), "the kernel of pin has 0 bytes, not 1 .. 4096"},
        {PIN("kernel=\"a\" x=\"1\" y=\"1\" z=\"1\""), ":2:30: error: unknown attribute 'z'"},
        {PIN("kernel=\"a\" x=\"1\" y=\"1\" tern=\"1\""), "did you mean 'turn'?"},
        {PIN("kernel=\"a\" x=\"-1\" y=\"1\""), "x of pin must be a whole number, not '-1'"},
        {PIN("kernel=\"a\" x=\"+1\" y=\"1\""), "x of pin must be a whole number, not '+1'"},
        {PIN("kernel=\"a\" x=\" 1\" y=\"1\""), "x of pin must be a whole number, not ' 1'"},
        {PIN("kernel=\"a\" x=\"1\" y=\"1e1\""), "y of pin must be a whole number, not '1e1'"},
        {PIN("kernel=\"a\" x=\"\" y=\"1\""), "x of pin must be a whole number, not ''"},
        {PIN("kernel=\"a\" x=\"4096\" y=\"1\""), "x of pin is 4096, outside of 0 .. 4095"},
        {PIN("kernel=\"a\" x=\"1\" y=\"18446744073709551617\""), "must be a whole number"},
        {PIN("kernel=\"a\" x=\"1\" y=\"4294967297\""), "outside of 0 .. 4095"},
        {PIN("kernel=\"a\" x=\"1\" y=\"1\" w=\"2\""),
         ":2:30: error: a pin gives both w and h, or none of them"},
        {PIN("kernel=\"a\" x=\"1\" y=\"1\" h=\"2\""), "a pin gives both w and h, or none of them"},
        {PIN("kernel=\"a\" x=\"1\" y=\"1\" w=\"0\" h=\"1\""),
         "w of pin is 0, outside of 1 .. 4096"},
        {PIN("kernel=\"a\" x=\"1\" y=\"1\" turn=\"4\""), "turn of pin is 4, outside of 0 .. 3"},
        {PIN("kernel=\"a\" x=\"1\" y=\"1\" mirror=\"yes\""),
         "mirror of pin must be true or false, not 'yes'"},
        {PIN("kernel=\"a\" x=\"1\" x=\"1\" y=\"1\""), "XML: Attribute x redefined"},
        {PIN("kernel=\"a\" x=\"1\" y=\"1\"/>\n <pin kernel=\"a\" x=\"9\" y=\"9\""),
         ":3:2: error: the pin of kernel 'a' is given twice"},
        {AREA("kernel=\"a\""), "area lacks the attribute 'max-cores'"},
        {AREA("kernel=\"a\" max-cores=\"0\""), "max-cores of area is 0, outside of 1 .. 16777216"},
        {AREA("kernel=\"a\" max-cores=\"9\"/>\n <area kernel=\"a\" max-cores=\"9\""),
         ":3:2: error: the area of kernel 'a' is given twice"},
        {BOX("x=\"1\" y=\"1\" w=\"1\""), "keep-out lacks the attribute 'h'"},
        {BOX("x=\"1\" y=\"1\" w=\"1\" h=\"0\""), "h of keep-out is 0, outside of 1 .. 4096"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuse(false, cases[i].text, cases[i].message, EXIT_INPUT);
}

static void test_off_the_machine(void)
{
    refuse(false, PIN("kernel=\"a\" x=\"64\" y=\"1\""),
           ":2:2: error: the pin of kernel 'a' reaches core (64, 1); wse2-64x64 has 64 x 64 cores",
           EXIT_INFEASIBLE);
    refuse(false, PIN("kernel=\"a\" x=\"0\" y=\"4095\" w=\"4096\" h=\"4096\""), "core (4095, 8190)",
           EXIT_INFEASIBLE);
    refuse(false, BOX("x=\"1\" y=\"60\" w=\"1\" h=\"5\""), "keep-out 'k' reaches core (1, 64)",
           EXIT_INFEASIBLE);
}

/* All that is wrong is said in one run, in the order of the file. */
static void test_several(void)
{
    static const char text[] = "<constraints>\n<pin kernel=\"a\" x=\"a\" y=\"b\"/>\n"
                               "<keepout x=\"1\"/>\n<area max-cores=\"x\"/>\n</constraints>\n";
    static const char *const messages[] = {":2:17: error", ":2:23: error", ":3:1: error",
                                           ":4:7: error", ":4:1: error"};
    Reading r;
    read_bytes(&r, false, text, sizeof text - 1);
    const char *at = said(&r.capture);
    for (size_t i = 0; i < sizeof messages / sizeof messages[0] && at; i++) {
        at = strstr(at, messages[i]);
        CU_ASSERT_PTR_NOT_NULL(at);
    }
    CU_ASSERT_EQUAL(r.capture.diag.n_errors, 5);
    capture_end(&r.capture);
}

#define NO_DOCTYPE "a document type and entities are not allowed here"

static void test_hostile(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]><constraints>&c;</constraints>",
         ":1:1: error: " NO_DOCTYPE},
        {"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><constraints/>", NO_DOCTYPE},
        {"<constraints>&undefined;</constraints>", "XML: Entity 'undefined' not defined"},
        /* "<!DOCTYPE" in an encoding in which it does not look like it. */
        {"<?xml version=\"1.0\" encoding=\"UTF-7\"?>\n+ADwAIQ-DOCTYPE a [+ADwAIQ-ENTITY b "
         "\"1\">]><constraints/>",
         "XML: Start tag expected"},
        {"<constraints xmlns=\"http://example.org/\"/>", "namespaces are not used here"},
        {"<c:constraints xmlns:c=\"http://example.org/\"/>", "namespaces are not used here"},
        {"<constraints xml:base=\"http://example.org/\"/>", "namespaces are not used here"},
        {"<constraints xmlns:x=\"http://www.w3.org/2001/XMLSchema-instance\" "
         "x:noNamespaceSchemaLocation=\"/etc/passwd\"/>",
         "namespaces are not used here"},
        {"<constraints><pin kernel=\"\x01\" x=\"1\" y=\"1\"/></constraints>", "XML: "},
        {"<constraints><pin kernel=\"\xff\" x=\"1\" y=\"1\"/></constraints>", "not proper UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuse(false, cases[i].text, cases[i].message, EXIT_INPUT);
    Reading r;
    read_bytes(&r, false, "<constraints/>\0", 15);
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&r.capture), "not XML: it holds NUL bytes"));
    capture_end(&r.capture);
    size_t big = (1 << 20) + 1;
    char *text = malloc(big + 1);
    memset(text, ' ', big);
    memcpy(text, "<constraints/>", 14);
    read_bytes(&r, false, text, big);
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&r.capture), "1048576"));
    capture_end(&r.capture);
    for (size_t i = 0; i + 3 <= big; i += 3)
        memcpy(text + i, "<a>", 3);
    read_bytes(&r, false, text, big - 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&r.capture), "XML: Excessive depth"));
    capture_end(&r.capture);
    /* Attributes are compared with each other, messages have places: neither a file of one
     * tag nor one of many messages takes long. */
    memcpy(text, "<a", 2);
    for (size_t i = 2; i + 8 <= big; i += 8)
        memcpy(text + i, " b='=='\n", 8);
    memcpy(text + big - 7, "     />", 7);
    read_bytes(&r, false, text, big - 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&r.capture), ":1:1: error: more than 64 attributes"));
    capture_end(&r.capture);
    memset(text, '\n', big);
    memcpy(text, "<constraints>", 13);
    for (size_t i = 13; i + 20 < big; i += 8)
        memcpy(text + i, "<a>\n</a>", 8);
    memcpy(text + big - 15, "</constraints>", 14);
    read_bytes(&r, false, text, big - 1);
    CU_ASSERT_FALSE(r.good);
    CU_ASSERT_TRUE(r.capture.diag.n_errors > 100000);
    capture_end(&r.capture);
    free(text);
}

#define HEAD                                                                                       \
    "<placement model=\"m\" machine=\"wse2-64x64\" width=\"64\" height=\"64\" cycles=\"35\">\n"
#define KERNEL(...) NUMBERED("0", __VA_ARGS__)
#define NUMBERED(id, name, kind, x, y, w, h, more)                                                 \
    "<kernel id=\"" id "\" name=\"" name "\" kind=\"" kind "\" x=\"" x "\" y=\"" y "\" w=\"" w     \
    "\" h=\"" h "\" turn=\"1\" mirror=\"true\" lanes-in=\"2\" lanes-out=\"3\" split=\"4\" "        \
    "cycles=\"5\" bytes=\"6\"" more "/>\n"
#define TAIL                                                                                       \
    "<stream id=\"0\" name=\"s\" to=\"0\" lanes=\"1\" color=\"0\" messages=\"1\" words=\"1\" "     \
    "slots=\"1\"><start x=\"0\" y=\"0\"/></stream>\n</placement>\n"
#define ONE(more)                                                                                  \
    HEAD KERNEL("a", "conv", "1", "2", "3", "4", more)                                             \
    TAIL

static void test_placement(void)
{
    static const char text[] = HEAD NUMBERED("5", "a", "conv", "0", "0", "4", "64", "")
        KERNEL("b", "adapter", "4", "0", "1", "1", "")
            NUMBERED("3", "c", "line", "4", "1", "60", "63", "") TAIL;
    Reading r;
    read_bytes(&r, true, text, sizeof text - 1);
    CU_ASSERT_TRUE_FATAL(r.good);
    CU_ASSERT_STRING_EQUAL(said(&r.capture), "");
    CU_ASSERT_STRING_EQUAL(r.placement.machine, "wse2-64x64");
    CU_ASSERT_EQUAL_FATAL(r.placement.kernels.n, 3);
    const EarlierKernel *k = &r.placement.kernels.data[2];
    CU_ASSERT_STRING_EQUAL(k->name, "c");
    CU_ASSERT_STRING_EQUAL(k->kind, "line");
    CU_ASSERT(k->x == 4 && k->y == 1 && k->w == 60 && k->h == 63 && k->turn == 1 && k->mirror);
    CU_ASSERT(k->lanes_in == 2 && k->lanes_out == 3 && k->split == 4);
    CU_ASSERT_STRING_EQUAL(k->stream, "");
    CU_ASSERT_STRING_EQUAL(r.placement.kernels.data[1].stream, "s"); /* which goes to number 0 */
    capture_end(&r.capture);
}

static void test_broken_placements(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"<constraints/>", "unknown element 'constraints'"},
        {"<placement/>", "placement lacks the attribute 'machine'"},
        {HEAD "</placement>", "XML: Element 'placement': Missing child element(s)"},
        {HEAD KERNEL("a", "conv", "1", "2", "3", "4", "") "</placement>",
         "XML: Element 'placement': Missing child element(s). Expected is one of ( kernel, stream"},
        {HEAD KERNEL("a", "conf", "1", "2", "3", "4", "") TAIL,
         ":2:25: error: unknown kind 'conf', did you mean 'conv'?"},
        {ONE(" tern=\"1\""), "unknown attribute 'tern', did you mean 'turn'?"},
        {HEAD KERNEL("a", "conv", "62", "2", "3", "4", "") TAIL,
         ":2:1: error: kernel 'a' reaches core (64, 5) of 64 x 64"},
        {HEAD KERNEL("a", "conv", "1", "2", "0", "4", "") TAIL, "w of kernel is 0, outside of 1"},
        {HEAD KERNEL("a", "conv", "1", "2", "4294967297", "4", "") TAIL, "outside of 1 .. 4096"},
        {HEAD KERNEL("a", "conv", "1", "2", "3", "4", "")
             KERNEL("a", "conv", "9", "2", "3", "4", "") TAIL,
         ":3:1: error: kernel 'a' is given twice"},
        {HEAD KERNEL("a", "conv", "3", "2", "3", "4", "")
             KERNEL("b", "conv", "1", "5", "3", "4", "") TAIL,
         ":2:1: error: kernels 'a' and 'b' overlap at core (3, 5)"},
        {HEAD KERNEL("a", "conv", "1", "2", "3", "4", "") "<stream id=\"x\"/></placement>",
         ":3:1: error: XML: Element 'stream'"},
        {HEAD KERNEL("a", "conv", "1", "2", "3", "4", "") "<street/></placement>",
         "unknown element 'street', did you mean 'stream'?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuse(true, cases[i].text, cases[i].message, EXIT_INPUT);
}

/* A placement of a larger machine serves as far as it reaches. */
static void test_other_machine(void)
{
    static const char text[] =
        "<placement model=\"m\" machine=\"big\" width=\"100\" height=\"64\" cycles=\"1\">\n" KERNEL(
            "a", "conv", "62", "0", "3", "1", "") KERNEL("b", "conv", "61", "1", "3", "1", "") TAIL;
    Reading r;
    read_bytes(&r, true, text, sizeof text - 1);
    CU_ASSERT_TRUE(r.good);
    CU_ASSERT_EQUAL_FATAL(r.placement.kernels.n, 1);
    CU_ASSERT_STRING_EQUAL(r.placement.kernels.data[0].name, "b");
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&r.capture),
                                  ":1:1: warning: a placement on big, 100 x 64 cores; 1 of its 2 "
                                  "kernels fit on wse2-64x64, 64 x 64\n"));
    capture_end(&r.capture);
}

/* Whatever is cut off is refused, and nothing crashes. */
static void test_cut(void)
{
    static const char text[] = ONE("");
    for (size_t n = 0; n + 2 < sizeof text; n++) {
        Reading r;
        read_bytes(&r, true, text, n);
        CU_ASSERT_FALSE(r.good);
        CU_ASSERT_EQUAL(diag_exit_code(&r.capture.diag), EXIT_INPUT);
        capture_end(&r.capture);
    }
}

/* What --dump-placement writes is read as the same kernels; names that XML cannot hold come
 * back as they were written. */
static void test_round_trip(void)
{
    static const char text[] =
        "graph \"m\" {\n  %0 = input \"im<age\" : f32[40]\n  %1 = const @a.weight : f32[30, 40]\n"
        "  %2 = linear(%0, %1) \"a\\\"&<b>'\" {bias = false} : f32[30]\n"
        "  %3 = const @b.weight : f32[20, 30]\n"
        "  %4 = linear(%2, %3) \"fc2\" {bias = false} : f32[20]\n  output \"o\" = %4\n}\n";
    Reading r;
    char path[] = "/tmp/wsec-wishes-XXXXXX";
    int fd = mkstemp(path);
    CU_ASSERT_FATAL(fd >= 0);
    close(fd);
    capture_begin(&r.capture);
    Diag *d = &r.capture.diag;
    Arena *a = &r.capture.arena;
    CU_ASSERT_FATAL(machine_load(d, "wse2-64x64", &r.machine));
    Graph *g = graph_parse(a, d, diag_add_source(d, "m.wir", text, sizeof text - 1));
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    PassContext cx = {.diag = d, .graph = g, .machine = &r.machine, .arena = a};
    PipelineOptions options = {.out = stdout};
    PipelineTimes times = {0};
    CU_ASSERT_TRUE_FATAL(pipeline_run(&cx, &options, &times));
    CU_ASSERT_TRUE_FATAL(placement_xml_write(d, cx.plan, path));
    CU_ASSERT_TRUE_FATAL(placement_xml_read(d, a, path, &r.machine, &r.placement));
    CU_ASSERT_STRING_EQUAL(said(&r.capture), "");
    CU_ASSERT_EQUAL_FATAL(r.placement.kernels.n, cx.plan->kernels.n);
    for (size_t i = 0; i < cx.plan->kernels.n; i++) {
        const Kernel *k = cx.plan->kernels.data[i];
        const EarlierKernel *e = &r.placement.kernels.data[i];
        uint32_t w, h;
        plan_extent(k, &w, &h);
        CU_ASSERT_STRING_EQUAL(e->name, k->name);
        CU_ASSERT_STRING_EQUAL(e->kind, kernel_kind_text(k->kind));
        CU_ASSERT(e->x == k->x && e->y == k->y && e->w == w && e->h == h && e->turn == k->turn);
        CU_ASSERT(e->mirror == k->mirror && e->lanes_in == k->shape.lanes_in);
        CU_ASSERT(e->lanes_out == k->shape.lanes_out && e->split == k->shape.split);
    }
    unlink(path);
    capture_end(&r.capture);
}

/* A plan of the network above, up to its kernels, under these constraints. */
static void apply(Reading *r, const char *constraints)
{
    static const char text[] =
        "graph \"m\" {\n  %0 = input \"x\" : f32[40]\n  %1 = const @fc1.weight : f32[30, 40]\n"
        "  %2 = linear(%0, %1) {bias = false} : f32[30]\n"
        "  %3 = const @fc2.weight : f32[20, 30]\n"
        "  %4 = linear(%2, %3) {bias = false} : f32[20]\n  output \"o\" = %4\n}\n";
    read_bytes(r, false, constraints, strlen(constraints));
    CU_ASSERT_TRUE_FATAL(r->good);
    Diag *d = &r->capture.diag;
    Arena *a = &r->capture.arena;
    PassContext cx = {.diag = d, .machine = &r->machine, .arena = a};
    cx.graph = graph_parse(a, d, diag_add_source(d, "m.wir", text, sizeof text - 1));
    CU_ASSERT_PTR_NOT_NULL_FATAL(cx.graph);
    cx.options.constraints = &r->constraints;
    PipelineOptions options = {.out = stdout, .stop_after = "partition"};
    PipelineTimes times = {0};
    r->good = pipeline_run(&cx, &options, &times);
    r->plan = cx.plan;
}

static void test_apply(void)
{
    Reading r;
    apply(&r, "<constraints><pin kernel=\"fc2\" x=\"3\" y=\"9\"/><area kernel=\"fc1\" "
              "max-cores=\"9\"/><keep-out name=\"camera\" x=\"1\" y=\"2\" w=\"3\" h=\"4\"/>"
              "</constraints>");
    CU_ASSERT_TRUE_FATAL(r.good);
    CU_ASSERT_EQUAL_FATAL(r.plan->kernels.n, 2);
    const Kernel *fc1 = r.plan->kernels.data[0], *fc2 = r.plan->kernels.data[1];
    CU_ASSERT(!fc1->pin && fc1->area && fc1->area->max_cores == 9);
    CU_ASSERT(!fc2->area && fc2->pin && fc2->pin->x == 3 && fc2->pin->y == 9);
    CU_ASSERT_EQUAL_FATAL(r.plan->keepouts.n, 1);
    const KeepOut *k = &r.plan->keepouts.data[0];
    CU_ASSERT(k->x == 1 && k->y == 2 && k->w == 3 && k->h == 4 && !k->dead);
    CU_ASSERT_STRING_EQUAL(k->why, "keep-out 'camera'");
    capture_end(&r.capture);
}

/* What contradicts itself is said before anything is planned. */
static void test_conflicts(void)
{
    static const struct {
        const char *text, *message;
        int code;
    } cases[] = {
        {PIN("kernel=\"fc3\" x=\"1\" y=\"1\""), "unknown kernel 'fc3', did you mean 'fc1'?",
         EXIT_INPUT},
        {AREA("kernel=\"conv\" max-cores=\"1\""), "note: kernels are: fc1, fc2\n", EXIT_INPUT},
        {PIN("kernel=\"fc1\" x=\"1\" y=\"1\" w=\"3\" h=\"3\"/>\n <pin kernel=\"fc2\" x=\"3\" "
             "y=\"3\""),
         ":3:2: error: the pins of kernels 'fc1' and 'fc2' overlap", EXIT_INFEASIBLE},
        {PIN("kernel=\"fc1\" x=\"1\" y=\"1\" w=\"3\" h=\"3\"/>\n <keep-out name=\"k\" x=\"3\" "
             "y=\"3\" "
             "w=\"9\" h=\"1\""),
         ":2:2: error: the pin of kernel 'fc1' takes cores of (3, 3) .. (11, 3), keep-out 'k'",
         EXIT_INFEASIBLE},
        {PIN("kernel=\"fc1\" x=\"1\" y=\"1\" w=\"3\" h=\"3\"/>\n <area kernel=\"fc1\" "
             "max-cores=\"8\""),
         ":2:2: error: kernel 'fc1' is pinned to 9 cores, its area is 8", EXIT_INFEASIBLE},
        {BOX("x=\"0\" y=\"0\" w=\"64\" h=\"63\"/>\n <keep-out x=\"1\" y=\"9\" w=\"63\" h=\"55\""),
         "error: keep-outs leave 1 of 64 x 64 cores; 2 kernels need a core each at least\n",
         EXIT_INFEASIBLE},
        {BOX("x=\"0\" y=\"0\" w=\"64\" h=\"63\"/>\n <keep-out x=\"1\" y=\"9\" w=\"63\" h=\"55\""),
         ":3:2: note: keep-out takes 63 x 55 cores\n", EXIT_INFEASIBLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Reading r;
        apply(&r, cases[i].text);
        CU_ASSERT_FALSE(r.good);
        CU_ASSERT_EQUAL(diag_exit_code(&r.capture.diag), cases[i].code);
        if (!strstr(said(&r.capture), cases[i].message))
            printf("\nexpected: %s\nsaid: %s", cases[i].message, said(&r.capture));
        CU_ASSERT_PTR_NOT_NULL(strstr(said(&r.capture), cases[i].message));
        capture_end(&r.capture);
    }
}

static void test_missing_file(void)
{
    Capture c;
    Machine m;
    Constraints constraints;
    EarlierPlacement placement;
    capture_begin(&c);
    CU_ASSERT_TRUE(machine_load(&c.diag, "wse2", &m));
    CU_ASSERT_FALSE(constraints_read(&c.diag, &c.arena, "/nowhere/c.xml", &m, &constraints));
    CU_ASSERT_FALSE(placement_xml_read(&c.diag, &c.arena, "/tmp", &m, &placement));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), "/nowhere/c.xml"));
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&c), "directory"));
    capture_end(&c);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"constraints", test_constraints},
        {"broken constraints", test_broken_constraints},
        {"off the machine", test_off_the_machine},
        {"several errors", test_several},
        {"hostile", test_hostile},
        {"placement", test_placement},
        {"broken placements", test_broken_placements},
        {"other machine", test_other_machine},
        {"cut off", test_cut},
        {"round trip", test_round_trip},
        {"apply", test_apply},
        {"conflicts", test_conflicts},
        {"missing file", test_missing_file},
        CU_TEST_INFO_NULL,
    };
    int bad = suite_run("wishes", tests);
    xmlCleanupParser();
    return bad;
}
