/* SPDX-License-Identifier: Apache-2.0 */
/* passes/buffers.c - ring capacities: along chains, and where a fork rejoins.
 *
 * A partial sum needs its time from one end of a chain of cores to the other. The rings of the
 * kernel's input have room for what the first core takes in meanwhile (kernel_skew), as far as
 * there is memory: without, the chain is slower, not stuck.
 *
 * A kernel that sends its result to two others which meet again sends to both in step. Before
 * the joining kernel takes its first message by the short way, the long way must have
 * filled: every kernel on it holds back some messages (kernel_delay). So much room is needed on
 * the short way or nothing moves; for full speed also what the source makes while the first
 * message is under way. Found going upstream from the join by all its inputs at once, in
 * messages of each stream, and no farther than to the first kernel that all ways come from:
 * what lies before it is behind both. Cost: kernels between forks and joins. */
#include <inttypes.h>
#include <string.h>

#include "passes/planner.h"

enum { BURST = 4 };

typedef struct Way {
    bool reaches;
    uint64_t messages; /* results of the kernel needed for the first message at the join */
    uint64_t cycles;   /* from the kernel's first result on */
} Way;

typedef struct Delay { /* of a kernel by one input */
    uint64_t lead;     /* messages before the first result, at least 1 */
    uint64_t cycles;
} Delay;

typedef struct Walk {
    PassContext *cx;
    Plan *plan;
    uint32_t *order, *place; /* topological; where a kernel stands in it */
    Delay (*delay)[KERNEL_MAX_INPUTS];
    Way (*way)[KERNEL_MAX_INPUTS]; /* by kernel and input of the join */
    uint32_t *seen;                /* kernels with a way */
    uint32_t n_seen, open;         /* open: of them not yet passed */
    uint64_t target;
} Walk;

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

static void input_protocols(const Plan *plan, const Kernel *k, Protocol *in)
{
    for (uint32_t i = 0; i < k->n_in; i++)
        in[i] = plan->streams.data[k->in[i]]->protocol;
}

/* A way by input `input` of the join leads through `stream`: so many messages of it are
 * needed. */
static void reach(Walk *w, const Stream *stream, uint32_t input, uint64_t messages, uint64_t cycles)
{
    if (stream->from == PLAN_HOST)
        return;
    Way *all = w->way[stream->from], *way = &all[input];
    bool known = false;
    for (uint32_t i = 0; i < KERNEL_MAX_INPUTS; i++)
        known = known || all[i].reaches;
    if (!known) {
        w->seen[w->n_seen++] = (uint32_t)stream->from;
        w->open++;
    }
    way->reaches = true;
    way->messages = messages > way->messages ? messages : way->messages;
    way->cycles = cycles > way->cycles ? cycles : way->cycles;
}

/* From a kernel on the way to what feeds it. */
static void go_up(Walk *w, const Kernel *k)
{
    uint64_t leave = protocol_messages(&w->plan->streams.data[k->out[0]]->protocol);
    for (uint32_t input = 0; input < KERNEL_MAX_INPUTS; input++) {
        Way way = w->way[k->id][input];
        for (uint32_t i = 0; i < k->n_in && way.reaches; i++) {
            const Stream *in = w->plan->streams.data[k->in[i]];
            uint64_t arrive = protocol_messages(&in->protocol);
            Delay d = w->delay[k->id][i];
            uint64_t messages = d.lead + divide_up((way.messages - 1) * arrive, leave);
            reach(w, in, input, messages < arrive ? messages : arrive, way.cycles + d.cycles);
        }
    }
}

/* Room for `lag` results of a fork by the short way: in the last stream before the join. */
static bool widen(const Walk *w, const Kernel *join, uint32_t input, const Kernel *fork,
                  uint64_t lag, uint64_t cycles)
{
    PassContext *cx = w->cx;
    Plan *plan = w->plan;
    Stream *s = plan->streams.data[join->in[input]];
    Kernel *k = plan->kernels.data[join->id];
    uint64_t made = protocol_messages(&plan->streams.data[fork->out[0]]->protocol);
    uint64_t here = protocol_messages(&s->protocol), bytes = 4ull * protocol_words(&s->protocol);
    uint64_t live = 2 + divide_up(lag * here, made);
    uint64_t fast = 2 + divide_up(cycles * here, w->target);
    uint64_t slots = live > fast ? live : fast;
    if (slots <= s->slots)
        return true;
    uint32_t sram = plan->machine->sram_bytes;
    uint64_t room = k->shape.bytes < sram ? (sram - k->shape.bytes) / bytes : 0;
    if (slots > s->slots + room)
        slots = s->slots + room > live ? s->slots + room : live;
    uint64_t need = k->shape.bytes + (slots - s->slots) * bytes;
    if (need > sram) {
        diag_infeasible(
            cx->diag, s->span,
            "stream '%s' goes around '%s' .. '%s' and has to hold %" PRIu64 " messages of %" PRIu64
            " bytes at each core of '%s': %" PRIu64 " bytes, %u there are: %" PRIu64 " too many",
            s->name, fork->name, join->name, slots, bytes, join->name, need, sram, need - sram);
        diag_note(cx->diag, join->span, "more lanes (--max-cores) or f16 would help");
        return false;
    }
    k->shape.bytes = (uint32_t)need;
    s->slots = (uint32_t)slots;
    return true;
}

/* As many more messages in the stream that feeds a kernel as there is memory for. */
static void widen_input(const Plan *plan, Kernel *k, const Protocol *in, uint64_t more)
{
    uint64_t bytes = 4ull * protocol_words(in);
    uint32_t sram = plan->machine->sram_bytes;
    uint64_t room = k->shape.bytes < sram ? (sram - k->shape.bytes) / bytes : 0;
    more = more < room ? more : room;
    plan->streams.data[k->in[0]]->slots += (uint32_t)more;
    k->shape.bytes += (uint32_t)(more * bytes);
}

/* Room for the skew of a kernel's chain. */
static void widen_chain(const Plan *plan, Kernel *k, uint64_t target)
{
    Protocol in[KERNEL_MAX_INPUTS];
    input_protocols(plan, k, in);
    uint64_t skew = kernel_skew(k, in, plan->machine, 0);
    widen_input(plan, k, in, divide_up(skew * protocol_messages(&in[0]), target));
}

/* The messages of a sample come at no steady pace: a pool sends one for two or more that it
 * takes. With some more in hand nobody waits for that (LeNet: 1.5 % fewer cycles). */
static void widen_bursts(const Plan *plan, Kernel *k)
{
    const Stream *s = plan->streams.data[k->in[0]];
    if (s->from != PLAN_HOST && protocol_messages(&s->protocol) > 1)
        widen_input(plan, k, &s->protocol, BURST);
}

/* A fork that the join has two ways from: the shorter one must hold what the longer one
 * needs more. */
static bool join_fork(const Walk *w, const Kernel *join, const Kernel *fork)
{
    bool good = true;
    for (uint32_t i = 0; i < join->n_in; i++) {
        const Way *shorter = &w->way[fork->id][i];
        for (uint32_t other = 0; other < join->n_in && shorter->reaches; other++) {
            const Way *longer = &w->way[fork->id][other];
            if (other == i || !longer->reaches)
                continue;
            /* What the join itself holds back by its long input comes on top. */
            Delay d = w->delay[join->id][other];
            uint64_t lag = longer->messages + d.lead - 1, cycles = longer->cycles + d.cycles;
            lag = lag > shorter->messages ? lag - shorter->messages : 0;
            cycles = cycles > shorter->cycles ? cycles - shorter->cycles : 0;
            good = widen(w, join, i, fork, lag, cycles) && good;
        }
    }
    return good;
}

static bool join_forks(Walk *w, const Kernel *join)
{
    bool good = true;
    w->n_seen = w->open = 0;
    for (uint32_t i = 0; i < join->n_in; i++)
        reach(w, w->plan->streams.data[join->in[i]], i, 1, 0);
    for (uint32_t o = w->place[join->id]; o-- > 0 && w->open > 0;) {
        const Kernel *k = w->plan->kernels.data[w->order[o]];
        bool passed = false;
        for (uint32_t i = 0; i < join->n_in; i++)
            passed = passed || w->way[k->id][i].reaches;
        if (!passed)
            continue;
        if (k->n_out > 1)
            good = join_fork(w, join, k) && good;
        if (--w->open > 0) /* else all ways come from this one */
            go_up(w, k);
    }
    for (uint32_t i = 0; i < w->n_seen; i++)
        memset(w->way[w->seen[i]], 0, sizeof w->way[0]);
    return good;
}

bool pass_buffers(PassContext *cx)
{
    Plan *plan = cx->plan;
    size_t n = plan->kernels.n;
    Arena a = {0};
    Walk w = {.cx = cx, .plan = plan, .target = plan_target(plan)};
    w.order = arena_array(&a, uint32_t, n);
    w.place = arena_array(&a, uint32_t, n);
    w.seen = arena_array(&a, uint32_t, n);
    w.delay = arena_alloc(&a, n, sizeof *w.delay, alignof(Delay));
    w.way = arena_alloc(&a, n, sizeof *w.way, alignof(Way));
    plan_order(plan, false, w.order);
    for (uint32_t o = 0; o < n; o++)
        w.place[w.order[o]] = o;
    bool good = true;
    for (size_t j = 0; j < n && w.target > 0; j++) {
        Kernel *k = plan->kernels.data[j];
        Protocol in[KERNEL_MAX_INPUTS];
        input_protocols(plan, k, in);
        for (uint32_t i = 0; i < k->n_in; i++) {
            uint32_t lead = 1;
            kernel_delay(k, in, plan->machine, i, &lead, &w.delay[j][i].cycles);
            w.delay[j][i].lead = lead ? lead : 1;
        }
        if (k->n_in > 0)
            widen_chain(plan, k, w.target);
    }
    for (size_t j = 0; j < n && w.target > 0; j++)
        if (plan->kernels.data[j]->n_in > 1)
            good = join_forks(&w, plan->kernels.data[j]) && good;
    for (size_t j = 0; j < n && good; j++) /* last: what has to be comes first */
        if (plan->kernels.data[j]->n_in > 0)
            widen_bursts(plan, plan->kernels.data[j]);
    arena_free(&a);
    return good;
}
