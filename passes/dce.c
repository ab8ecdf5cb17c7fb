/* SPDX-License-Identifier: Apache-2.0 */
/* passes/dce.c - drops every node that no output depends on; inputs stay, they belong to the
 * model's interface. Linear. */
#include "passes/passes.h"

bool pass_dce(PassContext *cx)
{
    graph_sweep(cx->graph);
    return true;
}
