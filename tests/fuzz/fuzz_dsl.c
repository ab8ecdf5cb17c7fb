// SPDX-License-Identifier: Apache-2.0
// libFuzzer: any bytes as a model. What compiles must be a valid graph whose text form reads
// back to the same text; what does not must have said so; nothing may be an internal error.
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena a = {0};
    Diag d;
    diag_init(&d, "fuzz");
    d.out = fopen("/dev/null", "w");
    must(d.out != NULL);
    Graph *g;
    if (frontend_compile_text(&a, &d, "fuzz.dsl", (const char *)data, size, NULL, 0, &g)) {
        Text first = {0}, second = {0};
        must(graph_verify(&d, g, "frontend"));
        graph_print(&first, g, false);
        Graph *again = graph_parse(&a, &d, diag_add_source(&d, "again", first.data, first.len));
        must(again != NULL);
        graph_print(&second, again, false);
        must(strcmp(first.data, second.data) == 0);
        text_free(&first);
        text_free(&second);
    } else {
        must(d.n_errors > 0);
    }
    must(!d.internal);
    fclose(d.out);
    diag_finish(&d);
    arena_free(&a);
    return 0;
}
