/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/walk.h - steps through one iteration of a program, within a budget.
 *
 * For programs that are not trusted yet: every turn of a loop counts as a step, so that even
 * loops around nothing end. Negative counts are taken as 0. Requires class_finish() and
 * program_data_fits(). */
#ifndef WSE_RUNTIME_WALK_H
#define WSE_RUNTIME_WALK_H

#include "runtime/format/program.h"

typedef struct Walk {
    const Class *c;
    const int32_t *data;
    const bool *pass_by; /* by operation: LOOPs that are not entered; may be NULL */
    uint64_t budget;     /* steps left */
    uint32_t pc;
    uint32_t counter[PROGRAM_DEPTH], limit[PROGRAM_DEPTH];
} Walk;

/* The next operation that is neither LOOP nor END, or NULL at the end of the iteration or of
 * the budget (then it is 0). */
static inline const Op *walk_next(Walk *w)
{
    while (w->pc < w->c->n_ops && w->budget > 0) {
        const Op *op = &w->c->ops[w->pc];
        w->budget--;
        if (op->code == OPCODE_LOOP) {
            int32_t count = scalar_value(op->count, w->data, w->counter);
            if (count <= 0 || (w->pass_by && w->pass_by[w->pc])) {
                w->pc = op->match + 1u;
                continue;
            }
            w->counter[op->depth] = 0;
            w->limit[op->depth] = (uint32_t)count;
            w->pc++;
        } else if (op->code == OPCODE_END) {
            if (++w->counter[op->depth] < w->limit[op->depth])
                w->pc = op->match + 1u;
            else
                w->counter[op->depth] = 0, w->pc++;
        } else {
            w->pc++;
            return op;
        }
    }
    return NULL;
}

#endif
