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
 * message is under way. need[k] is the number of results of kernel k that exist when the join
 * gets its first message by one of its inputs; it is found going upstream, in messages of
 * each stream. Cost: joins x kernels. */
#include <inttypes.h>
#include <string.h>

#include "passes/planner.h"

typedef struct Way {
    bool reaches;
    uint64_t messages; /* results of the kernel needed for the first message at the join */
    uint64_t cycles;   /* from the kernel's first result on */
} Way;

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

static bool needed_at_input(const Plan *plan, const Kernel *k, uint32_t input, uint64_t results,
                            uint64_t *messages, uint64_t *cycles)
{
    Protocol in[KERNEL_MAX_INPUTS];
    for (uint32_t i = 0; i < k->n_in; i++)
        in[i] = plan->streams.data[k->in[i]]->protocol;
    uint32_t lead = 1;
    kernel_delay(k, in, plan->machine, input, &lead, cycles);
    if (k->n_out == 0)
        return false;
    uint64_t arrive = protocol_messages(&in[input]);
    uint64_t leave = protocol_messages(&plan->streams.data[k->out[0]]->protocol);
    *messages = (lead ? lead : 1) + divide_up((results - 1) * arrive, leave);
    if (*messages > arrive)
        *messages = arrive;
    return true;
}

/* Fills way[] for all kernels upstream of input `input` of kernel `join`. order is
 * topological. */
static void upstream(const Plan *plan, const uint32_t *order, const Kernel *join, uint32_t input,
                     Way *way)
{
    size_t n = plan->kernels.n;
    memset(way, 0, n * sizeof *way);
    const Stream *s = plan->streams.data[join->in[input]];
    if (s->from == PLAN_HOST)
        return;
    way[s->from] = (Way){true, 1, 0};
    for (size_t o = n; o-- > 0;) {
        const Kernel *k = plan->kernels.data[order[o]];
        if (!way[k->id].reaches)
            continue;
        for (uint32_t i = 0; i < k->n_in; i++) {
            const Stream *in = plan->streams.data[k->in[i]];
            uint64_t messages, cycles;
            if (in->from == PLAN_HOST ||
                !needed_at_input(plan, k, i, way[k->id].messages, &messages, &cycles))
                continue;
            Way *from = &way[in->from];
            cycles += way[k->id].cycles;
            from->reaches = true;
            from->messages = messages > from->messages ? messages : from->messages;
            from->cycles = cycles > from->cycles ? cycles : from->cycles;
        }
    }
}

static void order_kernels(const Plan *plan, uint32_t *order, bool *done)
{
    uint32_t n = 0, before = UINT32_MAX;
    while (n != before) {
        before = n;
        for (uint32_t i = 0; i < plan->kernels.n; i++) {
            const Kernel *k = plan->kernels.data[i];
            bool ready = !done[i];
            for (uint32_t j = 0; j < k->n_in; j++) {
                int32_t from = plan->streams.data[k->in[j]]->from;
                ready = ready && (from == PLAN_HOST || done[from]);
            }
            if (ready) {
                done[i] = true;
                order[n++] = i;
            }
        }
    }
}

/* Room for `lag` results of a fork by the short way: in the last stream before the join. */
static bool widen(PassContext *cx, const Kernel *join, uint32_t input, const Kernel *fork,
                  uint64_t lag, uint64_t cycles, uint64_t target)
{
    Plan *plan = cx->plan;
    Stream *s = plan->streams.data[join->in[input]];
    Kernel *k = plan->kernels.data[join->id];
    uint64_t made = protocol_messages(&plan->streams.data[fork->out[0]]->protocol);
    uint64_t here = protocol_messages(&s->protocol), bytes = 4ull * protocol_words(&s->protocol);
    uint64_t live = 2 + divide_up(lag * here, made);
    uint64_t fast = 2 + divide_up(cycles * here, target);
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

/* Room for the skew of a kernel's chain in the stream that feeds it. */
static void widen_chain(const Plan *plan, Kernel *k, uint64_t target)
{
    Protocol in[KERNEL_MAX_INPUTS];
    for (uint32_t i = 0; i < k->n_in; i++)
        in[i] = plan->streams.data[k->in[i]]->protocol;
    uint64_t skew = kernel_skew(k, in, plan->machine, 0);
    uint64_t bytes = 4ull * protocol_words(&in[0]);
    uint64_t more = divide_up(skew * protocol_messages(&in[0]), target);
    uint32_t sram = plan->machine->sram_bytes;
    uint64_t room = k->shape.bytes < sram ? (sram - k->shape.bytes) / bytes : 0;
    more = more < room ? more : room;
    plan->streams.data[k->in[0]]->slots += (uint32_t)more;
    k->shape.bytes += (uint32_t)(more * bytes);
}

bool pass_buffers(PassContext *cx)
{
    Plan *plan = cx->plan;
    size_t n = plan->kernels.n;
    Arena a = {0};
    uint32_t *order = arena_array(&a, uint32_t, n);
    order_kernels(plan, order, arena_array(&a, bool, n));
    Way *way[KERNEL_MAX_INPUTS];
    for (uint32_t i = 0; i < KERNEL_MAX_INPUTS; i++)
        way[i] = arena_array(&a, Way, n);
    uint64_t target = plan_target(plan);
    bool good = true;
    for (size_t j = 0; j < n && target > 0; j++)
        if (plan->kernels.data[j]->n_in > 0)
            widen_chain(plan, plan->kernels.data[j], target);
    for (size_t j = 0; j < n && target > 0; j++) {
        const Kernel *join = plan->kernels.data[j];
        if (join->n_in < 2)
            continue;
        for (uint32_t i = 0; i < join->n_in; i++)
            upstream(plan, order, join, i, way[i]);
        for (uint32_t i = 0; i < join->n_in; i++) {
            for (size_t f = 0; f < n; f++) {
                const Kernel *fork = plan->kernels.data[f];
                if (fork->n_out < 2 || !way[i][f].reaches)
                    continue;
                for (uint32_t other = 0; other < join->n_in; other++) {
                    const Way *longer = &way[other][f], *shorter = &way[i][f];
                    if (other == i || !longer->reaches)
                        continue;
                    /* What the join itself holds back by its long input comes on top. */
                    Protocol in[KERNEL_MAX_INPUTS];
                    for (uint32_t t = 0; t < join->n_in; t++)
                        in[t] = plan->streams.data[join->in[t]]->protocol;
                    uint32_t lead = 1;
                    uint64_t lead_cycles = 0;
                    kernel_delay(join, in, plan->machine, other, &lead, &lead_cycles);
                    uint64_t lag = longer->messages + (lead ? lead - 1 : 0);
                    uint64_t cycles = longer->cycles + lead_cycles;
                    lag = lag > shorter->messages ? lag - shorter->messages : 0;
                    cycles = cycles > shorter->cycles ? cycles - shorter->cycles : 0;
                    if (!widen(cx, join, i, fork, lag, cycles, target))
                        good = false;
                }
            }
        }
    }
    arena_free(&a);
    return good;
}
