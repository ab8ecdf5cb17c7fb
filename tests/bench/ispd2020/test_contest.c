/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/ispd2020/test_contest.c - the reader, the evaluator against a published score and
 * on broken solutions, and the engine on small graphs. */
#include <stdlib.h>
#include <string.h>

#include "tests/bench/ispd2020/eval.h"
#include "tests/bench/ispd2020/model.h"
#include "tests/common/suite.h"

/* The example that the contest published with times, sizes and wire of its solution. */
static const char example[] = "(* Node Definitions *)\n"
                              "output[0] n=[28 28 512] name='y'\n"
                              " input[1] n=[56 56 256] name='x'\n"
                              "cblock[2] f=512 h=56 w=56\n"
                              "dblock[3] f=512 h=28 w=28\n"
                              "dblock[4] f=256 h=56 w=56 name='k4'\n"
                              "(* Connectivity *)\n"
                              " input[1]:_ -> dblock[4]:x, shape:[56][56][256]\n"
                              "cblock[2]:y -> dblock[3]:x, shape:[28][28][512]\n"
                              "dblock[3]:y\t->\toutput[0]:_, shape:[28][28][512]\n"
                              "dblock[4]:y -> cblock[2]:x, shape:[56][56][256]";

static const char k4[] = "k4 = dblock( 56 56 256 4 4 8 8 8 8 64 16 )\n";
static const char k2[] = "k2 = cblock( 56 56 512 4 4 8 8 8 8 32 32 8 19 )\n";
static const char k3[] = "k3 = dblock( 28 28 512 4 4 8 8 8 8 32 8 )\n";
static const char at4[] = "k4 : place(0 148 R0)\n";
static const char at2[] = "k2 : place(150 0 R0)\n";
static const char at3[] = "k3 : place(0 0 R90)\n";

typedef struct Fixture {
    Arena a;
    Diag d;
    FILE *out;
    Kgraph g;
} Fixture;

static void open_fixture(Fixture *f, const char *graph)
{
    *f = (Fixture){0};
    diag_init(&f->d, "test");
    f->out = f->d.out = tmpfile();
    CU_ASSERT_PTR_NOT_NULL_FATAL(f->out);
    CU_ASSERT_FATAL(kgraph_parse(&f->a, &f->d, "graph", graph, strlen(graph), &f->g));
}

static void close_fixture(Fixture *f)
{
    fclose(f->out);
    diag_finish(&f->d);
    arena_free(&f->a);
}

static bool evaluate(Fixture *f, const char *solution, EvalResult *r)
{
    return eval_solution(&f->a, &f->d, &f->g, "solution", solution, strlen(solution), r);
}

static const char *solution(Fixture *f, const char *const *lines, size_t n)
{
    const char *text = "";
    for (size_t i = 0; i < n; i++)
        text = arena_printf(&f->a, "%s%s", text, lines[i]);
    return text;
}

static void test_published(void)
{
    Fixture f;
    EvalResult r;
    open_fixture(&f, example);
    const char *lines[] = {"\xef\xbb\xbfinclude \"common.paint\"\n",
                           k4,
                           "k4 : name('k4)\n",
                           at4,
                           "k2 = cblock(56 56 512 4 4 8 8 8 8 32 32 8 19)\r\n",
                           at2,
                           "\n",
                           k3,
                           "k03 : place( 0 0 R90 )\n",
                           "kmap = union( k2 k3 k4 )\n"};
    CU_ASSERT_FATAL(evaluate(&f, solution(&f, lines, 10), &r));
    CU_ASSERT_EQUAL(r.time, 50176);
    CU_ASSERT_EQUAL(r.wire, 517);
    CU_ASSERT_EQUAL(r.adapters, 0);
    CU_ASSERT_EQUAL(r.n_placed, 3);
    CU_ASSERT_EQUAL(r.placed[0].w, 273);
    CU_ASSERT_EQUAL(r.placed[0].h, 144);
    CU_ASSERT_EQUAL(r.placed[1].w, 144);
    CU_ASSERT_EQUAL(r.placed[2].w, 264);
    close_fixture(&f);
}

/* Every line breaks one thing; the message says which. */
static void test_broken(void)
{
    static const struct {
        const char *lines[8];
        const char *says;
    } cases[] = {
        {{k4, at4, k2, "k2 : place(150 5 R0)\n", k3, at3}, "overlap"},
        {{k4, "k4 : place(370 148 R0)\n", k2, at2, k3, at3}, "leaves the grid"},
        {{k4, "k4 : place(-1 148 R0)\n", k2, at2, k3, at3}, "leaves the grid"},
        {{"k4 = dblock( 56 56 256 1 1 1 1 1 1 1 1 )\n", at4, k2, at2, k3, at3}, "of memory"},
        {{"k4 = dblock( 56 55 256 4 4 8 8 8 8 64 16 )\n", at4, k2, at2, k3, at3},
         "formal argument 2"},
        {{"k4 = dblock( 56 56 256 4 4 8 8 8 8 64 )\n", at4, k2, at2, k3, at3}, "takes 11"},
        {{"k4 = dblock( 56 56 256 4 4 8 8 8 8 0 16 )\n", at4, k2, at2, k3, at3}, "1 is the least"},
        {{"k4 = cblock( 56 56 256 4 4 8 8 8 8 64 16 )\n", at4, k2, at2, k3, at3}, "is a dblock"},
        {{k4, at4, k2, at2, at3}, "is not instantiated"},
        {{k4, at4, k2, at2, k3}, "is not placed"},
        {{k4, at4, k2, at2}, "is not instantiated"},
        {{k4, at4, k2, at2, k3, at3, at3}, "placed twice"},
        {{k4, at4, k2, at2, k3, at3, k3}, "instantiated twice"},
        {{k4, at4, k2, at2, k3, at3, "k9 : place(0 0 R0)\n"}, "no kernel 'k9'"},
        {{k4, at4, k2, at2, k3, at3, "x : place(0 0 R0)\n"}, "no kernel 'x'"},
        {{k4, "k4 : place(0 148 R0) R90\n", k2, at2, k3, at3}, "unexpected text"},
        {{"k4 = dblock( 56 56 256 4 4 8 8 8 8 64 16 ) ;\n", at4, k2, at2, k3, at3},
         "unexpected text"},
        {{k4, "k4 : place(0 148 R45)\n", k2, at2, k3, at3}, "expected R0 or R90"},
        {{k4, "k4 : place(0.5 148 R0)\n", k2, at2, k3, at3}, "expected a whole number"},
        {{k4, "k4 : put(0 148 R0)\n", k2, at2, k3, at3}, "expected place or name"},
        {{k4, "k4 : place(99999999999999999999 0 R0)\n", k2, at2, k3, at3}, "too large"},
        {{k4, at4, k2, at2, k3, at3, "kmap = union( k2 k99 )\n"}, "no kernel 'k99'"},
        {{k4, at4, k2, at2, k3, at3, "kmap = union( y )\n"}, "no kernel 'y'"},
        {{k4, at4, k2, at2, k3, at3, "kmap = union( k2\n"}, "expected the name of a kernel"},
        {{k4, at4, k2, at2, k3, at3, "kmap = union( k2 ) k3\n"}, "unexpected text"},
        {{k4, at4, k2, at2, k3, at3, "k3 : name('k77)\n"}, "no kernel 'k77'"},
        {{k4, at4, k2, at2, k3, at3, "k3 : name('k4)\n"}, "k3 is called k4"},
        {{k4, at4, k2, at2, k3, at3, "k3 : name('k3) junk\n"}, "unexpected text"},
        {{k4, at4, k2, at2, k3, at3, "k3 : name()\n"}, "expected '''"},
        {{k4, at4, k2, at2, k3, at3, "include \"a.paint\" b\n"}, "unexpected text"},
        {{k4, at4, k2, at2, k3, at3, "include a.paint\n"}, "expected '\"'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Fixture f;
        EvalResult r;
        char said[4096] = "";
        open_fixture(&f, example);
        size_t n = 0;
        while (n < 8 && cases[i].lines[n])
            n++;
        CU_ASSERT(!evaluate(&f, solution(&f, cases[i].lines, n), &r));
        rewind(f.out);
        said[fread(said, 1, sizeof said - 1, f.out)] = 0;
        if (!strstr(said, cases[i].says))
            printf("\ncase %zu: wanted '%s', got %s", i, cases[i].says, said);
        CU_ASSERT_PTR_NOT_NULL(strstr(said, cases[i].says));
        close_fixture(&f);
    }
}

static const char chain[] =
    "\xef\xbb\xbf(* Solver Parameters\r\ntest=chain\r\nwidth=200\r\nheight=150\r\n"
    "wdeltat=1\r\nwlength=20\r\nwadapter=30\r\nmemlimit=24576\r\n*)\r\n"
    "input[0] n=[ 28 28 64 ] name='a' name='k0'\r\n"
    "dblock[ 1] f=128 h=28 w=28\r\ncblock[2] f=256 h=28 w=28\r\n"
    "dblock[3] f=256 h=14 w=14\r\n"
    "conv[4] W=14 H=14 R=3 S=3 C=256 K=128 T=1 U=1 name='c4'\r\n"
    "output[5] n=[14 14 128]\r\n(* Connectivity *)\r\n"
    "input[0]:_ -> dblock[1]:x, shape:[1][2][3]\r\n"
    "dblock[ 1]:y->cblock[ 2]:x, shape:[1][2][3]\r\n"
    "cblock[2]:y -> dblock[3]:x\r\ndblock[3]:y -> conv[4]:x\r\n"
    "cblock[2]:y -> conv[4]:x\r\nconv[4]:y -> output[5]:_";

static void solve(Fixture *f, const PackOptions *o, PackResult *r, PackProblem *p, EvalResult *e,
                  Text *text)
{
    PackModel *model = arena_new(&f->a, PackModel);
    const uint32_t *node_of;
    const ContestModel *m = contest_model(&f->a, &f->g, model, p, &node_of);
    pack_place(&f->a, p, o, r);
    CU_ASSERT_EQUAL_FATAL(r->status, PACK_PLACED);
    contest_write(text, &f->g, m, p, node_of, r->places);
    bool ok = evaluate(f, text->data, e);
    if (!ok) {
        char said[4096];
        rewind(f->out);
        said[fread(said, 1, sizeof said - 1, f->out)] = 0;
        printf("\n%s", said);
    }
    CU_ASSERT_FATAL(ok);
    CU_ASSERT_DOUBLE_EQUAL(e->score, r->score, 1e-6 * r->score);
    CU_ASSERT(r->bound <= r->score);
    CU_ASSERT(r->bound > 0);
}

static void test_engine(void)
{
    Fixture f;
    PackResult r[3];
    PackProblem p;
    EvalResult e;
    Text text[3] = {{0}};
    open_fixture(&f, chain);
    CU_ASSERT_EQUAL(f.g.n_edges, 6);
    for (unsigned i = 0; i < 3; i++) /* alike with any number of threads */
        solve(&f, &(PackOptions){.seed = 7, .effort = 20, .threads = i + 1}, &r[i], &p, &e,
              &text[i]);
    CU_ASSERT_STRING_EQUAL(text[0].data, text[1].data);
    CU_ASSERT_STRING_EQUAL(text[0].data, text[2].data);
    Text timed = {0};
    solve(&f, &(PackOptions){.seed = 7, .seconds = 0.3}, &r[0], &p, &e, &timed);
    text_free(&timed);
    for (unsigned i = 0; i < 3; i++)
        text_free(&text[i]);
    close_fixture(&f);
}

/* A kernel of height 1 takes h = 4 to agree with its neighbor, which is four times slower
 * without. */
static void test_larger_arguments(void)
{
    Fixture f;
    PackResult r;
    PackProblem p;
    EvalResult e;
    Text text = {0};
    open_fixture(&f, "(*\nwidth=30\nheight=30\nwdeltat=1000\nwlength=0\nwadapter=100\n"
                     "memlimit=24576\n*)\n"
                     "conv[0] W=1 H=4 R=1 S=1 C=1 K=1 T=1 U=1\n"
                     "conv[1] W=1 H=1 R=1 S=1 C=1 K=1 T=1 U=1\n"
                     "conv[0]:y -> conv[1]:x\n");
    solve(&f, &(PackOptions){.seed = 1, .effort = 1}, &r, &p, &e, &text);
    CU_ASSERT_EQUAL(e.score, 1000);
    text_free(&text);
    close_fixture(&f);
}

static void test_unreadable(void)
{
    static const char *const graphs[] = {
        "conv[1] W=14 H=14 R=1 S=1 C=16 K=16", /* T is missing */
        "conv[1] W=14 H=14 R=1 S=1 C=16 K=16 T=x",
        "conv[1 W=14",
        "dblock[1] f=2 h=4 w=4",
        "cblock[1] f=8 h=7 w=8",
        "dblock[1] f=8 h=4 w=4\ndblock[1] f=8 h=4 w=4",
        "dblock[1] f=8 h=4 w=4\ndblock[1]:y -> conv[1]:x",
        "(* width=633",
        "(* width=0 *)",
        "(* memlimit=-1 *)",
        "dblock[99999999999] f=8 h=4 w=4",
        "pool[1] f=3",
        "dblock[1] f=8 h=4 w=4 name=''",
        "",
        "(* width=633 *)",
        "input[0] n=[1 1 1]\noutput[1] n=[1 1 1]\ninput[0]:_ -> output[1]:_",
        "dblock[1] f=8 h=4 w=4\ndblock[2] f=8 h=4 w=4\ndblock[3] f=8 h=4 w=4\n"
        "dblock[1]:y -> dblock[2]:x\ndblock[2]:y -> dblock[3]:x\ndblock[3]:y -> dblock[2]:x",
    };
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
        Fixture f;
        Kgraph g;
        open_fixture(&f, example);
        bool read = kgraph_parse(&f.a, &f.d, "graph", graphs[i], strlen(graphs[i]), &g);
        if (read)
            printf("\nread: %s\n", graphs[i]);
        CU_ASSERT(!read);
        CU_ASSERT_EQUAL(f.d.n_errors, 1);
        close_fixture(&f);
    }
}

/* What is read all the same, and what is said of it. */
static void test_doubtful(void)
{
#define HEADER "(*\nwidth=633\nheight=633\nmemlimit=24576\nwdeltat=1\nwadapter=0\n"
#define TWO    "dblock[1] f=8 h=4 w=4\ndblock[2] f=8 h=4 w=4\n"
#define EDGE   "dblock[1]:y -> dblock[2]:x\n"
    static const struct {
        const char *graph, *says; /* "": nothing */
    } cases[] = {
        {HEADER "wlength=1\n*)\n" TWO EDGE, ""},
        {HEADER "wlenght=4\n*)\n" TWO EDGE,
         "graph:7:1: warning: unknown key 'wlenght' is passed over; did you mean 'wlength'?\n"
         "    7 | wlenght=4\n"
         "      | ^~~~~~~\n"
         "graph:1:1: note: not given in a header, assumed: wlength=1\n"},
        {TWO EDGE, "graph:1:1: note: not given in a header, assumed: width=633, height=633, "
                   "memlimit=24576, wdeltat=1, wlength=1, wadapter=0\n"},
        {HEADER "wlength=1\n*)\n" TWO,
         "graph:10:1: warning: 2 kernels and no edge: is the file whole?\n"},
        {HEADER "wlength=1\n*)\n" TWO EDGE EDGE EDGE,
         "graph:12:1: warning: the edge from k1 to k2 is given before and counts again; edges that "
         "repeat others: 2\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Fixture f;
        char said[4096] = "";
        open_fixture(&f, cases[i].graph);
        rewind(f.out);
        said[fread(said, 1, sizeof said - 1, f.out)] = 0;
        bool good = *cases[i].says ? strstr(said, cases[i].says) != NULL : !*said;
        if (!good)
            printf("\ncase %zu: wanted '%s', got %s", i, cases[i].says, said);
        CU_ASSERT(good);
        CU_ASSERT_EQUAL(f.d.n_errors, 0);
        close_fixture(&f);
    }
}

static const CU_TestInfo tests[] = {{"published score", test_published},
                                    {"broken solutions", test_broken},
                                    {"unreadable graphs", test_unreadable},
                                    {"doubtful graphs", test_doubtful},
                                    {"engine", test_engine},
                                    {"larger arguments", test_larger_arguments},
                                    CU_TEST_INFO_NULL};

int main(void)
{
    return suite_run("contest", tests);
}
