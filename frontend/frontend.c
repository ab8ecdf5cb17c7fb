// SPDX-License-Identifier: Apache-2.0
// Reads, parses and expands a model.
#include "frontend/frontend.h"

#include <string.h>

#include "frontend/expand.h"
#include "frontend/parse.h"
#include "ir/support/io.h"

static bool check_models(Diag *d, uint32_t file, const Ast *ast)
{
    const ModelVec *models = &ast->models;
    const Source *s = &d->sources[file - 1];
    if (models->n == 1)
        return true;
    if (models->n > 1) {
        diag_error(d, models->data[1]->name.span, "a file holds one model; this is another one");
        diag_note(d, models->data[0]->name.span, "the first one is here");
        return false;
    }
    if (s->len == 0)
        return diag_error(d, (Span){0}, "'%s' is empty", s->name);
    return diag_error(d, (Span){0},
                      "'%s' declares no model; write model NAME(INPUT: f32[..]) "
                      "-> OUTPUT { .. }",
                      s->name);
}

// Names may be bound again and again (x = relu(x)); from here on a name means one value: the
// second x is x_2. Dumps, streams and the graph's text refer to values by name.
static void tell_names_apart(Arena *a, SymbolTable *symbols, Graph *g)
{
    for (size_t i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.data[i];
        if (n->op == OP_CONST || !n->name)
            continue;
        Symbol *base = symbol_intern(symbols, n->name, strlen(n->name)), *s = base;
        while (s->n_values > 0) {
            n->name = arena_printf(a, "%s_%u", base->text, ++base->n_values);
            s = symbol_intern(symbols, n->name, strlen(n->name));
        }
        s->n_values = 1;
    }
}

bool frontend_compile_text(Arena *a, Diag *d, const char *name, const char *text, size_t len,
                           const Define *defines, size_t n_defines, Graph **result)
{
    if (len > SOURCE_MAX_BYTES)
        return diag_error(d, (Span){0}, "'%s' has more than %d bytes", name, SOURCE_MAX_BYTES);
    Arena scratch = {0};
    uint32_t file = diag_add_source(d, name, text, len);
    Ast ast = {0};
    symbols_init(&ast.symbols, &scratch);
    bool ok = parse_model(&scratch, d, file, &ast) && check_models(d, file, &ast);
    if (ok) {
        Expander x = {.arena = &scratch, .diag = d, .ast = &ast};
        x.model = ast.models.data[0];
        x.graph = graph_create(a, x.model->name.symbol->text);
        ok = expand(&x, defines, n_defines);
        if (ok)
            tell_names_apart(a, &ast.symbols, x.graph);
        *result = x.graph;
    }
    arena_free(&scratch);
    return ok;
}

bool frontend_compile(Arena *a, Diag *d, const char *path, const Define *defines, size_t n_defines,
                      Graph **result)
{
    Bytes bytes;
    if (!io_read(d, path, SOURCE_MAX_BYTES, &bytes))
        return false;
    const char *name = strcmp(path, "-") == 0 ? "<stdin>" : path;
    bool ok = frontend_compile_text(a, d, name, (const char *)bytes.data, bytes.len, defines,
                                    n_defines, result);
    bytes_free(&bytes);
    return ok;
}

bool frontend_params(Arena *a, Diag *d, const char *name, const char *text, size_t len,
                     const Define *defines, size_t n_defines, ParamValueVec *result)
{
    Arena scratch = {0};
    unsigned errors = d->n_errors;
    uint32_t file = diag_add_source(d, name, text, len);
    Ast ast = {0};
    symbols_init(&ast.symbols, &scratch);
    bool ok = parse_model(&scratch, d, file, &ast);
    if (ok) {
        Expander x = {.arena = &scratch, .diag = d, .ast = &ast};
        expand_params(&x, defines, n_defines);
        ok = d->n_errors == errors;
    }
    for (size_t i = 0; ok && i < ast.params.n; i++) {
        const Symbol *s = ast.params.data[i]->formal.name.symbol;
        const Value *v = ast.params.data[i]->value;
        ParamValue p = {.name = arena_strdup(a, s->text, s->len), .kind = PARAM_OTHER};
        if (v->kind == VALUE_INT) {
            p.kind = PARAM_INT;
            p.value = v->as.integer;
        } else if (v->kind == VALUE_DTYPE) {
            p.kind = PARAM_DTYPE;
            p.value = v->as.dtype;
        }
        vec_push(a, result, p);
    }
    arena_free(&scratch);
    return ok;
}
