/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/estimate.c - the compiler's estimate of a kernel against its simulated cycles.
 *
 * Every kernel of every example, in the shape that the planner chose for wse2, is built again
 * as a network of its own that host ports feed (a kernel that takes a flattened image stands
 * behind one elementwise kernel, as a host would send a vector), and simulated until it is in
 * steady state. Estimates are of one core's own work; what is above them is waiting. The
 * shapes of tests/kernels/test_networks.c are chosen by hand and complete the picture. */

#include "tests/bench/bench.h"
#include "tests/common/suite.h"
#include "tests/kernels/bench.h"

#define PASS(id, doc) bool pass_##id(PassContext *cx);
#include "passes/passes.def"

enum { SAMPLES = 16 };

/* How far off the estimate may be: 5 %, or as much as one operation's set-up. */
static bool near(double period, double estimate)
{
    double difference = period > estimate ? period - estimate : estimate - period;
    return difference <= 0.05 * estimate || difference < 6;
}

static Node *input_like(Bench *b, const Type *t)
{
    return g_input(b, t->extent[0], t->rank > 1 ? t->extent[1] : 0, t->rank > 2 ? t->extent[2] : 0);
}

/* A copy of kernel k on b's graph; what other kernels send becomes inputs. */
static void copy_kernel(Bench *b, const Kernel *k)
{
    const Node *previous = NULL;
    Node *copy = NULL;
    for (uint32_t i = 0; i <= k->n_steps; i++) {
        const Node *n = i ? k->steps[i - 1] : k->anchor;
        Node *in[8];
        for (uint32_t j = 0; j < n->n_in && j < 8; j++) {
            const Node *from = n->in[j], *source = plan_source(from);
            if (from->op == OP_CONST) {
                in[j] = graph_const(b->graph, (Span){0}, from->name, from->type, from->value);
            } else if (from == previous) {
                in[j] = copy;
            } else if (source->op == OP_INPUT || protocol_same_form(&source->type, &from->type)) {
                in[j] = input_like(b, &from->type);
            } else {
                Node *x = g_unary(b, OP_RELU, input_like(b, &source->type));
                in[j] = g_view(b, OP_RESHAPE, x, from->type.extent[0], 0, 0);
            }
        }
        copy = graph_add(b->graph, n->op, (Span){0}, NULL, in, n->n_in);
        copy->attr = n->attr;
        copy->type = n->type;
        previous = n;
    }
    g_output(b, copy);
}

static void kernel_alone(const Model *m, const Kernel *k, const char *model)
{
    Bench b;
    const Stream *in = m->cx.plan->streams.data[k->in[0]];
    bench_begin(&b, k->name, "wse2", in->protocol.dtype);
    /* A host that is never short: the kernel alone is what is measured. */
    b.machine.ports_west = b.machine.ports_east = b.machine.height;
    b.machine.host_words = (Fraction){4 * b.machine.height, 1};
    copy_kernel(&b, k);
    Place at = {.lanes_in = k->shape.lanes_in,
                .lanes_out = k->shape.lanes_out,
                .split = k->shape.split,
                .segs_in = in->protocol.segs,
                .segs_out = k->shape.segs_out,
                .turn = k->shape.w > b.machine.width / 2};
    if (at.turn) /* results leave to the south; leave room for their bundle to turn */
        at.y = 16;
    double period = bench_place(&b, at) && pass_buffers(&b.cx) ? bench_period(&b, SAMPLES) : -1;
    CU_ASSERT_TRUE(period > 0);
    if (period > 0) {
        uint64_t estimate = b.cx.plan->kernels.data[b.cx.plan->kernels.n - 1]->shape.cycles;
        double ratio = period / (double)estimate;
        printf("  %-9s %-22s %-4s %4u x %-4u %3u -> %-3u %9llu %10.1f %7.3f\n", model, k->name,
               dtype_name(b.dtype), k->shape.w, k->shape.h, at.lanes_in, at.lanes_out,
               (unsigned long long)estimate, period, ratio);
        CU_ASSERT_TRUE(near(period, (double)estimate));
    }
    bench_end(&b);
}

static void kernels_of_examples(void)
{
    static const char *const models[] = {"mlp", "residual", "lenet"};
    static const char *const types[] = {"f32", "f16"};
    printf("\n  model     kernel                 type   w x h        lanes   estimate  simulated   "
           "ratio\n");
    for (int i = 0; i < 3; i++)
        for (int t = 0; t < 2; t++) {
            Model m;
            CU_ASSERT_TRUE_FATAL(model_compile(&m, models[i], types[t], "wse2"));
            for (size_t k = 0; k < m.cx.plan->kernels.n; k++)
                if (m.cx.plan->kernels.data[k]->anchor)
                    kernel_alone(&m, m.cx.plan->kernels.data[k], models[i]);
            model_free(&m);
        }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"kernels of the examples, each alone", kernels_of_examples}, CU_TEST_INFO_NULL};
    return suite_run("estimates", tests);
}
