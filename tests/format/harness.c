// SPDX-License-Identifier: Apache-2.0
// tests/format/harness.c - what the tests of runtime/format share.
#include "tests/format/harness.h"

#include <stdlib.h>

#include "tests/common/test_machine.h"

Class class_of(Arena *a, const char *text)
{
    Diag d;
    Class c;

    diag_init(&d, "test");
    if (!program_parse(a, &d, diag_add_source(&d, "class", text, strlen(text)), &c))
        abort();
    diag_finish(&d);
    return c;
}

bool parse_ops(Arena *a, const char *ops, Class *c, char **messages)
{
    Capture m;
    char *text = arena_printf(a,
                              "class 0 \"t\" data=16 {\nchannel 0 in\nchannel 1 in\n"
                              "channel 2 out\nchannel 3 out\n%s\n}\n",
                              ops);

    capture_begin(&m);
    bool good = program_parse(a, &m.diag, diag_add_source(&m.diag, "t", text, strlen(text)), c);
    *messages = capture_take(&m);
    return good;
}

Machine plain_machine(void)
{
    Machine m = test_machine();

    m.reserve_bytes = 1024;
    m.bank_bytes = 2;
    for (int c = 0; c < COST_COUNT; c++) {
        for (int t = 0; t < DT_COUNT; t++)
            m.cost[c][t] = (OpCost){{t == DT_F16 ? 2 : 1, 1}, {2, 1}};
    }
    m.cost[COST_MAC][DT_F32].width = (Fraction){48, 100};
    return m;
}
