/* SPDX-License-Identifier: Apache-2.0 */
/* ir/graph_text.c - the text form of graphs, printed and read back byte for byte.
 *
 *     graph "mlp" {
 *       %0 = input "x" : f32[784]
 *       %1 = const @fc1.weight : f32[10, 784]           a weight, by name
 *       %2 = const ~fc1.weight.flat : f32[10, 784]      a folded constant, by name
 *       %3 = const [0x1p-1, -0x0p+0] : f32[2]           a literal, at most 16 elements
 *       %4 = linear(%0, %1) "fc1" {bias = false} : f32[10] kernel=0 loc(1:20-45)
 *       output "scores" = %4
 *     }
 *
 * Numbers of nodes are their ids, so they count up from 0. Attributes come from
 * node_attributes[], in its order, all of them. "name", kernel= and loc() are left out where
 * there is none; a node without loc() gets its place in this text. The reader infers every
 * type again and compares. Names with other characters than letters, digits and ._+- are
 * quoted. Values of named constants are not part of the text. */
#include "ir/graph.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { LITERAL_MAX = 16 };

/* ---- printing ---- */

static void print_float(Text *t, double v)
{
    if (v != v)
        text_add(t, "nan");
    else
        text_printf(t, "%a", v);
}

static bool plain_char(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("._+-", c) != NULL);
}

static void print_name(Text *t, const char *name)
{
    size_t n = 0;
    while (plain_char(name[n]))
        n++;
    if (n > 0 && name[n] == '\0')
        text_add(t, name);
    else
        text_json_string(t, name);
}

static void print_attribute(Text *t, const Node *n, const AttrInfo *a)
{
    const void *at = (const char *)n + a->offset;
    text_printf(t, "%s = ", a->name);
    switch (a->kind) {
    case ATTR_PAIR:
        text_printf(t, "[%lld, %lld]", (long long)((const int64_t *)at)[0],
                    (long long)((const int64_t *)at)[1]);
        break;
    case ATTR_FLOAT:
        print_float(t, *(const double *)at);
        break;
    case ATTR_STRING:
        text_json_string(t, *(const char *const *)at ? *(const char *const *)at : "");
        break;
    case ATTR_SHAPE:
        text_add(t, "[");
        for (int i = 0; i < n->attr.shape_rank; i++)
            text_printf(t, "%s%lld", i ? ", " : "", (long long)n->attr.shape[i]);
        text_add(t, "]");
        break;
    case ATTR_BOOL:
        text_add(t, *(const bool *)at ? "true" : "false");
        break;
    }
}

static void print_const(Text *t, const Node *n)
{
    int64_t elements = type_elements(&n->type);
    if (n->is_weight || n->value == NULL || elements > LITERAL_MAX) {
        text_add(t, n->is_weight ? " @" : " ~");
        print_name(t, n->name ? n->name : "folded");
        return;
    }
    text_add(t, " [");
    for (int64_t i = 0; i < elements; i++) {
        text_add(t, i ? ", " : "");
        print_float(t, (double)n->value[i]);
    }
    text_add(t, "]");
    if (n->name != NULL) {
        text_add(t, " ");
        text_json_string(t, n->name);
    }
}

static void print_node(Text *t, const Node *n, bool spans)
{
    Arena scratch = {0};
    text_printf(t, "  %%%u = %s", n->id, op_info[n->op].text);
    if (n->op == OP_CONST) {
        print_const(t, n);
    } else {
        if (n->op != OP_INPUT) {
            text_add(t, "(");
            for (uint32_t i = 0; i < n->n_in; i++)
                text_printf(t, "%s%%%u", i ? ", " : "", n->in[i]->id);
            text_add(t, ")");
        }
        if (n->name != NULL) {
            text_add(t, " ");
            text_json_string(t, n->name);
        }
    }
    bool any = false;
    for (size_t i = 0; i < n_node_attributes; i++) {
        if (node_attributes[i].op != n->op)
            continue;
        text_add(t, any ? ", " : " {");
        print_attribute(t, n, &node_attributes[i]);
        any = true;
    }
    text_printf(t, "%s : %s", any ? "}" : "", type_text(&scratch, &n->type));
    if (n->kernel != UINT32_MAX)
        text_printf(t, " kernel=%u", n->kernel);
    if (spans && n->span.file != 0)
        text_printf(t, " loc(%u:%u-%u)", n->span.file, n->span.begin, n->span.end);
    text_add(t, "\n");
    arena_free(&scratch);
}

void graph_print(Text *t, const Graph *g, bool spans)
{
    text_add(t, "graph ");
    text_json_string(t, g->name);
    text_add(t, " {\n");
    for (size_t i = 0; i < g->nodes.n; i++)
        print_node(t, g->nodes.data[i], spans);
    for (size_t i = 0; i < g->outputs.n; i++) {
        text_add(t, "  output ");
        text_json_string(t, g->output_names[i]);
        text_printf(t, " = %%%u\n", g->outputs.data[i]->id);
    }
    text_add(t, "}\n");
}

/* ---- reading ---- */

typedef struct Reader {
    Arena *arena;
    Diag *d;
    uint32_t file;
    const char *text, *at; /* NUL behind the last byte */
    Graph *graph;
    VEC(const char *) output_names;
} Reader;

static Span here(const Reader *r, const char *begin)
{
    uint32_t b = (uint32_t)(begin - r->text), e = (uint32_t)(r->at - r->text);
    return (Span){r->file, b, e > b ? e : b + 1};
}

static void skip_space(Reader *r)
{
    while (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r')
        r->at++;
}

/* Takes `word` if it comes next. */
static bool take(Reader *r, const char *word)
{
    size_t n = strlen(word);
    skip_space(r);
    if (strncmp(r->at, word, n) != 0)
        return false;
    if (isalnum((unsigned char)word[n - 1]) && isalnum((unsigned char)r->at[n]))
        return false;
    r->at += n;
    return true;
}

static bool need(Reader *r, const char *word)
{
    if (take(r, word))
        return true;
    return diag_error(r->d, here(r, r->at), "expected '%s'", word);
}

static bool read_int(Reader *r, int64_t least, int64_t most, int64_t *result)
{
    skip_space(r);
    const char *begin = r->at;
    char *end;
    long long v = strtoll(begin, &end, 10);
    r->at = end;
    if (end == begin || v < least || v > most)
        return diag_error(r->d, here(r, begin), "expected a number from %lld to %lld",
                          (long long)least, (long long)most);
    *result = v;
    return true;
}

static bool read_uint32(Reader *r, uint32_t *result)
{
    int64_t v;
    if (!read_int(r, 0, UINT32_MAX - 1, &v))
        return false;
    *result = (uint32_t)v;
    return true;
}

static bool read_float(Reader *r, double *result)
{
    skip_space(r);
    const char *begin = r->at;
    char *end;
    *result = strtod(begin, &end);
    r->at = end;
    return end != begin || diag_error(r->d, here(r, begin), "expected a number");
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* One character of a quoted string as text_json_string() writes it. */
static bool read_escape(Reader *r, char *result)
{
    static const char letters[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    const char *begin = r->at++;
    const char *letter = *r->at != '\0' ? strchr(letters, *r->at) : NULL;
    if (letter != NULL) {
        *result = meaning[letter - letters];
        r->at++;
        return true;
    }
    if (*r->at == 'u') {
        int code = 0;
        r->at++;
        for (int i = 0; i < 4; i++, r->at++) {
            int digit = hex_digit(*r->at);
            if (digit < 0)
                return diag_error(r->d, here(r, begin), "malformed escape");
            code = code * 16 + digit;
        }
        *result = (char)code;
        if (code > 0 && code < 0x80)
            return true;
    }
    return diag_error(r->d, here(r, begin), "malformed escape");
}

static bool read_string(Reader *r, const char **result)
{
    skip_space(r);
    const char *begin = r->at;
    VEC(char) s = {0};
    if (*r->at != '"')
        return diag_error(r->d, here(r, begin), "expected a quoted name");
    r->at++;
    while (*r->at != '"') {
        char c = *r->at;
        if (c == '\0' || c == '\n')
            return diag_error(r->d, here(r, begin), "the string is not closed");
        if (c != '\\')
            r->at++;
        else if (!read_escape(r, &c))
            return false;
        vec_push(r->arena, &s, c);
    }
    r->at++;
    *result = arena_strdup(r->arena, s.data ? s.data : "", s.n);
    return true;
}

static bool read_name(Reader *r, const char **result)
{
    if (*r->at == '"')
        return read_string(r, result);
    const char *begin = r->at;
    while (plain_char(*r->at))
        r->at++;
    if (r->at == begin)
        return diag_error(r->d, here(r, begin), "expected a name");
    *result = arena_strdup(r->arena, begin, (size_t)(r->at - begin));
    return true;
}

static bool read_extents(Reader *r, int64_t *extent, int *rank)
{
    *rank = 0;
    if (!need(r, "["))
        return false;
    while (!take(r, "]")) {
        if (*rank > 0 && !need(r, ","))
            return false;
        if (*rank == TYPE_MAX_RANK)
            return diag_error(r->d, here(r, r->at), "more than %d extents", TYPE_MAX_RANK);
        if (!read_int(r, 0, TYPE_MAX_ELEMENTS, &extent[(*rank)++]))
            return false;
    }
    return true;
}

static bool read_type(Reader *r, Type *t)
{
    skip_space(r);
    const char *begin = r->at;
    char name[8];
    size_t n = 0;
    while (isalnum((unsigned char)*r->at) && n + 1 < sizeof name)
        name[n++] = *r->at++;
    name[n] = '\0';
    if (!dtype_from_name(name, &t->dtype))
        return diag_error(r->d, here(r, begin), "expected a type");
    return read_extents(r, t->extent, &t->rank);
}

static bool read_ref(Reader *r, Node **result)
{
    int64_t id;
    if (!need(r, "%"))
        return false;
    const char *begin = r->at;
    if (!read_int(r, 0, UINT32_MAX, &id))
        return false;
    if ((uint64_t)id >= r->graph->nodes.n)
        return diag_error(r->d, here(r, begin), "%%%lld is not defined yet", (long long)id);
    *result = r->graph->nodes.data[id];
    return true;
}

static bool read_attribute(Reader *r, Node *n, const AttrInfo *a)
{
    void *at = (char *)n + a->offset;
    int64_t shape[TYPE_MAX_RANK];
    const char *begin = r->at;
    int rank;

    if (!need(r, a->name) || !need(r, "="))
        return false;
    switch (a->kind) {
    case ATTR_PAIR:
        if (!read_extents(r, shape, &rank))
            return false;
        memcpy(at, shape, 2 * sizeof *shape);
        return rank == 2 || diag_error(r->d, here(r, begin), "%s takes two numbers", a->name);
    case ATTR_FLOAT:
        return read_float(r, at);
    case ATTR_STRING:
        return read_string(r, at);
    case ATTR_SHAPE:
        return read_extents(r, at, &n->attr.shape_rank);
    case ATTR_BOOL:
        *(bool *)at = take(r, "true");
        return *(bool *)at || need(r, "false");
    }
    return false;
}

/* Literal values, kept until the type that follows tells how many there must be. */
static bool read_literal(Reader *r, float *value, int64_t *n)
{
    for (*n = 0; !take(r, "]"); (*n)++) {
        double v;
        if (*n > 0 && !need(r, ","))
            return false;
        if (*n == LITERAL_MAX)
            return diag_error(r->d, here(r, r->at), "more than %d elements", LITERAL_MAX);
        if (!read_float(r, &v))
            return false;
        value[*n] = f32_canonical((float)v);
    }
    return true;
}

static bool read_operands(Reader *r, Node *n)
{
    VEC(Node *) in = {0};
    if (!need(r, "("))
        return false;
    while (!take(r, ")")) {
        Node *operand = NULL;
        if (in.n > 0 && !need(r, ","))
            return false;
        if (!read_ref(r, &operand))
            return false;
        if (operand == n)
            return diag_error(r->d, here(r, r->at), "%%%u uses itself", n->id);
        vec_push(r->arena, &in, operand);
    }
    n->in = in.data;
    n->n_in = (uint32_t)in.n;
    return true;
}

static bool read_opkind(Reader *r, Opkind *result)
{
    skip_space(r);
    const char *begin = r->at;
    size_t n = 0;
    while (isalnum((unsigned char)begin[n]) || begin[n] == '_')
        n++;
    r->at += n;
    for (unsigned op = 0; op < OP_COUNT; op++)
        if (strlen(op_info[op].text) == n && memcmp(op_info[op].text, begin, n) == 0) {
            *result = (Opkind)op;
            return true;
        }
    return diag_error(r->d, here(r, begin), "unknown operator '%.*s'", (int)n, begin);
}

static bool read_tail(Reader *r, Node *n)
{
    if (take(r, "kernel") && !(need(r, "=") && read_uint32(r, &n->kernel)))
        return false;
    if (!take(r, "loc"))
        return true;
    Span s;
    const char *begin = r->at;
    if (!need(r, "(") || !read_uint32(r, &s.file) || !need(r, ":") || !read_uint32(r, &s.begin) ||
        !need(r, "-") || !read_uint32(r, &s.end) || !need(r, ")"))
        return false;
    if (s.file == 0 || s.file > r->d->n_sources || s.end < s.begin ||
        s.end > r->d->sources[s.file - 1].len)
        return diag_error(r->d, here(r, begin), "there is no such place in the sources");
    n->span = s;
    return true;
}

static bool read_const(Reader *r, Node *n, float *literal, int64_t *n_literal)
{
    n->is_weight = take(r, "@");
    if (n->is_weight || take(r, "~"))
        return read_name(r, &n->name);
    if (!need(r, "[") || !read_literal(r, literal, n_literal))
        return false;
    skip_space(r);
    return *r->at != '"' || read_string(r, &n->name);
}

static bool read_node(Reader *r)
{
    Opkind op = OP_COUNT;
    int64_t id, n_literal = -1;
    float literal[LITERAL_MAX];
    const char *begin = r->at;

    if (!read_int(r, 0, UINT32_MAX, &id) || !need(r, "=") || !read_opkind(r, &op))
        return false;
    Node *n = graph_add(r->graph, op, (Span){0}, NULL, NULL, 0);
    if (n->id != id)
        return diag_error(r->d, here(r, begin), "%%%lld where %%%u comes next", (long long)id,
                          n->id);
    if (op == OP_CONST) {
        if (!read_const(r, n, literal, &n_literal))
            return false;
    } else {
        if (op == OP_INPUT)
            vec_push(r->arena, &r->graph->inputs, n);
        else if (!read_operands(r, n))
            return false;
        skip_space(r);
        if ((*r->at == '"' || op == OP_INPUT) && !read_string(r, &n->name))
            return false;
    }
    bool any = false;
    for (size_t i = 0; i < n_node_attributes; i++) {
        if (node_attributes[i].op != op)
            continue;
        if (!need(r, any ? "," : "{") || !read_attribute(r, n, &node_attributes[i]))
            return false;
        any = true;
    }
    Type declared = {0};
    if ((any && !need(r, "}")) || !need(r, ":") || !read_type(r, &declared))
        return false;
    n->span = here(r, begin);
    if (op_info[op].flags & OPF_LEAF)
        n->type = declared;
    if (!op_info[op].infer(r->d, n))
        return false;
    if (!type_equal(&declared, &n->type))
        return diag_error(r->d, n->span, "%s: the type says %s, inferred is %s", op_info[op].text,
                          type_text(r->arena, &declared), type_text(r->arena, &n->type));
    if (n_literal >= 0) {
        if (n_literal != type_elements(&n->type))
            return diag_error(r->d, n->span, "const: %lld elements, the type has %lld",
                              (long long)n_literal, (long long)type_elements(&n->type));
        float *value = arena_array(r->arena, float, (size_t)n_literal);
        for (int64_t i = 0; i < n_literal; i++)
            value[i] =
                n->type.dtype == DT_F16 ? f32_from_f16(f16_from_f32(literal[i])) : literal[i];
        n->value = value;
    }
    return read_tail(r, n);
}

static bool read_graph(Reader *r)
{
    const char *name;
    if (!need(r, "graph") || !read_string(r, &name) || !need(r, "{"))
        return false;
    r->graph = graph_create(r->arena, name);
    while (!take(r, "}")) {
        if (take(r, "%")) {
            if (!read_node(r))
                return false;
        } else {
            Node *value = NULL;
            if (!need(r, "output") || !read_string(r, &name) || !need(r, "=") ||
                !read_ref(r, &value))
                return false;
            vec_push(r->arena, &r->graph->outputs, value);
            vec_push(r->arena, &r->output_names, name);
        }
    }
    r->graph->output_names = r->output_names.data;
    skip_space(r);
    return *r->at == '\0' || diag_error(r->d, here(r, r->at), "text behind the graph");
}

Graph *graph_parse(Arena *a, Diag *d, uint32_t file)
{
    const char *text = d->sources[file - 1].text;
    Reader r = {.arena = a, .d = d, .file = file, .text = text, .at = text};
    return read_graph(&r) ? r.graph : NULL;
}
