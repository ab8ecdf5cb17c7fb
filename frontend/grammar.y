/* SPDX-License-Identifier: Apache-2.0
 *
 * Grammar of the modelling language (docs/language.md) and of the operators' signatures in
 * ops.def, which are lists of arguments in the same language. Line ends arrive as '\n' only
 * where they end something (see the layout in parse.c); a wrong line is skipped to its end,
 * so that one run shows the errors of many lines. */
%require "3.8"
%define api.pure full
%define api.prefix {dsl_}
%define api.token.prefix {DSL_}
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%locations
%expect 0
%param {Parser *parser}

%code requires {
#include "frontend/parse.h"
}
%code top {
#define YYMAXDEPTH 4000
}
%code {
#include <string.h>

#include "frontend/frontend.h"

#define YYLLOC_DEFAULT(result, rhs, n)                                                             \
    ((result) = (n) ? span_join((rhs)[1], (rhs)[n])                                                \
                    : (Span){(rhs)[0].file, (rhs)[0].end, (rhs)[0].end})

int dsl_lex(DSL_STYPE *value, Span *at, Parser *parser);
static void dsl_error(const Span *at, Parser *parser, const char *message);

/* Accounts for the depth of a part; a tree too deep ends the parse. */
static Expr *deepen(Parser *p, Expr *e, const Expr *part)
{
    if (part && e->depth <= part->depth) {
        e->depth = part->depth + 1;
        if (e->depth > EXPRESSION_MAX_DEPTH && !p->fatal) {
            diag_error(p->diag, e->span, "expression nested more than %d deep; use names for "
                       "its parts", EXPRESSION_MAX_DEPTH);
            p->fatal = true;
        }
    }
    return e;
}

static Expr *binary(Parser *p, Operator op, Span at, Expr *left, Expr *right)
{
    Expr *e = expr_binary(p->arena, op, at, left, right);
    return deepen(p, deepen(p, e, left), right);
}

static Expr *name_expr(Parser *p, Name name)
{
    Expr *e = expr_new(p->arena, EXPR_NAME, name.span);
    e->as.name = name.symbol;
    name.symbol->mentioned = true;
    return e;
}

static Stmt *stmt_new(Parser *p, StmtKind kind, Span span)
{
    Stmt *s = arena_new(p->arena, Stmt);
    s->kind = kind;
    s->span = span;
    return s;
}

/* x += e is x = x + e. */
static Stmt *update(Parser *p, Span span, Name name, Operator op, Span at, Expr *value)
{
    Stmt *s = stmt_new(p, STMT_ASSIGN, span);
    vec_push(p->arena, &s->as.assign.targets, name);
    s->as.assign.value = binary(p, op, at, name_expr(p, name), value);
    return s;
}

static void add_function(Parser *p, Name name, FormalVec formals, StmtVec body)
{
    Function *f = arena_new(p->arena, Function);
    *f = (Function){.name = name, .formals = formals, .body = body};
    Symbol *s = name.symbol;
    if (s->function) {
        diag_error(p->diag, name.span, "function '%s' is defined twice", s->text);
        diag_note(p->diag, s->function->name.span, "first defined here");
    } else if (s->op >= 0 || s->builtin >= 0) {
        diag_error(p->diag, name.span, "'%s' is an %s; choose another name", s->text,
                   s->op >= 0 ? "operator" : "operation of the language");
    } else {
        s->function = f;
    }
    vec_push(p->arena, &p->ast->functions, f);
}

static void add_param(Parser *p, Formal formal)
{
    Param *param = arena_new(p->arena, Param);
    param->formal = formal;
    Symbol *s = formal.name.symbol;
    if (s->param) {
        diag_error(p->diag, formal.name.span, "parameter '%s' is declared twice", s->text);
        diag_note(p->diag, s->param->formal.name.span, "first declared here");
    } else if (s->dtype >= 0) {
        diag_error(p->diag, formal.name.span, "'%s' is a dtype; choose another name", s->text);
    } else {
        s->param = param;
    }
    vec_push(p->arena, &p->ast->params, param);
}
}

%union {
    int64_t integer;
    double number;
    Symbol *symbol;
    struct { const char *data; size_t len; } text;
    Name name;
    Expr *expr;
    ExprVec exprs;
    Arg arg;
    ArgVec args;
    Formal formal;
    FormalVec formals;
    NameVec names;
    Stmt *stmt;
    StmtVec stmts;
}

%token START_FILE "start of file" START_SIGNATURE "start of signature"
%token PARAM "'param'" FN "'fn'" MODEL "'model'" RETURN "'return'" FOR "'for'" IN "'in'"
%token IF "'if'" ELSE "'else'" TRUE "'true'" FALSE "'false'" AND "'and'" OR "'or'" NOT "'not'"
%token ARROW "'->'" DOTS "'..'" EQ "'=='" NE "'!='" LE "'<='" GE "'>='"
%token ADD_TO "'+='" SUB_FROM "'-='" MUL_BY "'*='"
%token TEXT_OPEN "a string" TEXT_CLOSE "end of string"
%token '+' "'+'" '-' "'-'" '*' "'*'" '/' "'/'" '%' "'%'" '<' "'<'" '>' "'>'" '=' "'='"
%token '(' "'('" ')' "')'" '[' "'['" ']' "']'" '{' "'{'" '}' "'}'" ',' "','" ':' "':'" ';' "';'"
%token '\n' "end of line"
%token END 0 "end of file"
%token <integer> INT "an integer"
%token <number> FLOAT "a number"
%token <symbol> NAME "a name"
%token <text> TEXT "text"

%type <name> name
%type <expr> expr annotation string
%type <exprs> exprs expr_list pieces
%type <arg> arg
%type <args> args arg_list
%type <formal> formal output
%type <formals> formals formal_list outputs output_list
%type <names> names
%type <stmt> stmt if_stmt
%type <stmts> block lines line

%left OR
%left AND
%precedence NOT
%nonassoc EQ NE '<' LE '>' GE
%left '+' '-'
%left '*' '/' '%'
%precedence NEG
%precedence '['

%%
start:
    START_FILE items
  | START_SIGNATURE formals                 { parser->signature = $formals; }
  ;

items:
    item
  | items separator item
  ;

separator: '\n' | ';' ;

item:
    %empty
  | PARAM param_list
  | FN name '(' formals ')' block           { add_function(parser, $name, $formals, $block); }
  | FN name '(' formals ')' '=' expr
        {
            Stmt *s = stmt_new(parser, STMT_RETURN, $expr->span);
            vec_push(parser->arena, &s->as.values, $expr);
            StmtVec body = {0};
            vec_push(parser->arena, &body, s);
            add_function(parser, $name, $formals, body);
        }
  | MODEL name '(' formals ')' ARROW outputs block
        {
            Model *m = arena_new(parser->arena, Model);
            *m = (Model){$name, $formals, $outputs, $block};
            vec_push(parser->arena, &parser->ast->models, m);
        }
  | error
  | error block                             { (void)$block; }
  ;

param_list:
    formal                                  { add_param(parser, $formal); }
  | param_list ',' formal                   { add_param(parser, $formal); }
  ;

formals:
    %empty                                  { $$ = (FormalVec){0}; }
  | formal_list
  | formal_list ','
  ;

formal_list:
    formal                                  { $$ = (FormalVec){0}; vec_push(parser->arena, &$$, $1); }
  | formal_list ',' formal                  { $$ = $1; vec_push(parser->arena, &$$, $3); }
  ;

formal:
    name annotation                         { $$ = (Formal){.name = $1, .annotation = $2}; }
  | name annotation '=' expr
        { $$ = (Formal){.name = $1, .annotation = $2, .initial = $4}; }
  ;

annotation:
    %empty                                  { $$ = NULL; }
  | ':' expr                                { $$ = $2; }
  ;

outputs:
    output                                  { $$ = (FormalVec){0}; vec_push(parser->arena, &$$, $1); }
  | '(' output_list ')'                     { $$ = $2; }
  | '(' output_list ',' ')'                 { $$ = $2; }
  ;

output_list:
    output                                  { $$ = (FormalVec){0}; vec_push(parser->arena, &$$, $1); }
  | output_list ',' output                  { $$ = $1; vec_push(parser->arena, &$$, $3); }
  ;

output:
    name annotation                         { $$ = (Formal){.name = $1, .annotation = $2}; }
  ;

block: '{' lines '}'                        { $$ = $2; } ;

lines:
    line
  | lines separator line
        {
            $$ = $1;
            for (size_t i = 0; i < $3.n; i++)
                vec_push(parser->arena, &$$, $3.data[i]);
        }
  ;

line:
    %empty                                  { $$ = (StmtVec){0}; }
  | stmt                                    { $$ = (StmtVec){0}; vec_push(parser->arena, &$$, $1); }
  | error                                   { $$ = (StmtVec){0}; }
  | error block                             { $$ = (StmtVec){0}; }
  ;

stmt:
    name annotation '=' expr
        {
            $$ = stmt_new(parser, STMT_ASSIGN, @$);
            vec_push(parser->arena, &$$->as.assign.targets, $1);
            $$->as.assign.annotation = $2;
            $$->as.assign.value = $4;
        }
  | name ',' names '=' expr
        {
            $$ = stmt_new(parser, STMT_ASSIGN, @$);
            vec_push(parser->arena, &$$->as.assign.targets, $1);
            for (size_t i = 0; i < $3.n; i++)
                vec_push(parser->arena, &$$->as.assign.targets, $3.data[i]);
            $$->as.assign.value = $5;
        }
  | name ADD_TO expr                        { $$ = update(parser, @$, $1, OPERATOR_ADD, @2, $3); }
  | name SUB_FROM expr                      { $$ = update(parser, @$, $1, OPERATOR_SUB, @2, $3); }
  | name MUL_BY expr                        { $$ = update(parser, @$, $1, OPERATOR_MUL, @2, $3); }
  | RETURN expr_list
        {
            $$ = stmt_new(parser, STMT_RETURN, @$);
            $$->as.values = $2;
        }
  | FOR name IN expr block
        {
            $$ = stmt_new(parser, STMT_FOR, span_join(@1, @4));
            $$->as.loop.var = $2;
            $$->as.loop.from = $4;
            $$->as.loop.body = $5;
        }
  | FOR name IN expr DOTS expr block
        {
            $$ = stmt_new(parser, STMT_FOR, span_join(@1, @6));
            $$->as.loop.var = $2;
            $$->as.loop.from = $4;
            $$->as.loop.to = $6;
            $$->as.loop.body = $7;
        }
  | if_stmt
  ;

if_stmt:
    IF expr block
        {
            $$ = stmt_new(parser, STMT_IF, span_join(@1, @2));
            $$->as.branch.condition = $2;
            $$->as.branch.yes = $3;
        }
  | IF expr block ELSE block
        {
            $$ = stmt_new(parser, STMT_IF, span_join(@1, @2));
            $$->as.branch.condition = $2;
            $$->as.branch.yes = $3;
            $$->as.branch.no = $5;
        }
  | IF expr block ELSE if_stmt
        {
            $$ = stmt_new(parser, STMT_IF, span_join(@1, @2));
            $$->as.branch.condition = $2;
            $$->as.branch.yes = $3;
            vec_push(parser->arena, &$$->as.branch.no, $5);
        }
  ;

names:
    name                                    { $$ = (NameVec){0}; vec_push(parser->arena, &$$, $1); }
  | names ',' name                          { $$ = $1; vec_push(parser->arena, &$$, $3); }
  ;

name: NAME                                  { $$ = (Name){$1, @1}; } ;

exprs:
    %empty                                  { $$ = (ExprVec){0}; }
  | expr_list
  | expr_list ','
  ;

expr_list:
    expr                                    { $$ = (ExprVec){0}; vec_push(parser->arena, &$$, $1); }
  | expr_list ',' expr                      { $$ = $1; vec_push(parser->arena, &$$, $3); }
  ;

args:
    %empty                                  { $$ = (ArgVec){0}; }
  | arg_list
  | arg_list ','
  ;

arg_list:
    arg                                     { $$ = (ArgVec){0}; vec_push(parser->arena, &$$, $1); }
  | arg_list ',' arg                        { $$ = $1; vec_push(parser->arena, &$$, $3); }
  ;

arg:
    expr                                    { $$ = (Arg){.value = $1}; }
  | name '=' expr                           { $$ = (Arg){$1.symbol, $1.span, $3}; }
  ;

expr:
    INT                                     { $$ = expr_new(parser->arena, EXPR_INT, @$); $$->as.integer = $1; }
  | FLOAT                                   { $$ = expr_new(parser->arena, EXPR_FLOAT, @$); $$->as.number = $1; }
  | TRUE                                    { $$ = expr_new(parser->arena, EXPR_BOOL, @$); $$->as.boolean = true; }
  | FALSE                                   { $$ = expr_new(parser->arena, EXPR_BOOL, @$); }
  | string
  | name                                    { $$ = name_expr(parser, $1); }
  | '(' expr ')'                            { $$ = $2; }
  | '[' exprs ']'
        {
            $$ = expr_new(parser->arena, EXPR_LIST, @$);
            $$->as.parts = $2;
            for (size_t i = 0; i < $2.n; i++)
                deepen(parser, $$, $2.data[i]);
        }
  | expr '[' exprs ']'
        {
            $$ = expr_new(parser->arena, EXPR_INDEX, @$);
            $$->as.index.base = $1;
            $$->as.index.items = $3;
            deepen(parser, $$, $1);
            for (size_t i = 0; i < $3.n; i++)
                deepen(parser, $$, $3.data[i]);
        }
  | name '(' args ')'
        {
            $$ = expr_new(parser->arena, EXPR_CALL, @$);
            $$->as.call.callee = $1;
            $$->as.call.args = $3;
            for (size_t i = 0; i < $3.n; i++)
                deepen(parser, $$, $3.data[i].value);
        }
  | IF expr '{' expr '}' ELSE '{' expr '}'
        {
            $$ = expr_new(parser->arena, EXPR_IF, @$);
            $$->as.cond.condition = $2;
            $$->as.cond.yes = $4;
            $$->as.cond.no = $8;
            deepen(parser, deepen(parser, deepen(parser, $$, $2), $4), $8);
        }
  | expr OR expr                            { $$ = binary(parser, OPERATOR_OR, @2, $1, $3); }
  | expr AND expr                           { $$ = binary(parser, OPERATOR_AND, @2, $1, $3); }
  | NOT expr                                { $$ = binary(parser, OPERATOR_NOT, @1, $2, NULL); }
  | expr EQ expr                            { $$ = binary(parser, OPERATOR_EQ, @2, $1, $3); }
  | expr NE expr                            { $$ = binary(parser, OPERATOR_NE, @2, $1, $3); }
  | expr '<' expr                           { $$ = binary(parser, OPERATOR_LT, @2, $1, $3); }
  | expr LE expr                            { $$ = binary(parser, OPERATOR_LE, @2, $1, $3); }
  | expr '>' expr                           { $$ = binary(parser, OPERATOR_GT, @2, $1, $3); }
  | expr GE expr                            { $$ = binary(parser, OPERATOR_GE, @2, $1, $3); }
  | expr '+' expr                           { $$ = binary(parser, OPERATOR_ADD, @2, $1, $3); }
  | expr '-' expr                           { $$ = binary(parser, OPERATOR_SUB, @2, $1, $3); }
  | expr '*' expr                           { $$ = binary(parser, OPERATOR_MUL, @2, $1, $3); }
  | expr '/' expr                           { $$ = binary(parser, OPERATOR_DIV, @2, $1, $3); }
  | expr '%' expr                           { $$ = binary(parser, OPERATOR_MOD, @2, $1, $3); }
  | '-' expr %prec NEG                      { $$ = binary(parser, OPERATOR_NEG, @1, $2, NULL); }
  ;

string:
    TEXT_OPEN pieces TEXT_CLOSE
        {
            $$ = expr_new(parser->arena, EXPR_STRING, @$);
            $$->as.parts = $2;
            for (size_t i = 0; i < $2.n; i++)
                deepen(parser, $$, $2.data[i]);
        }
  ;

pieces:
    %empty                                  { $$ = (ExprVec){0}; }
  | pieces TEXT
        {
            Expr *e = expr_new(parser->arena, EXPR_TEXT, @2);
            e->as.text.data = $2.data;
            e->as.text.len = $2.len;
            $$ = $1;
            vec_push(parser->arena, &$$, e);
        }
  | pieces '{' expr '}'                     { $$ = $1; vec_push(parser->arena, &$$, $3); }
  ;
%%

/* Called for an exhausted stack; syntax errors go to yyreport_syntax_error(). */
static void dsl_error(const Span *at, Parser *parser, const char *message)
{
    if (!parser->fatal)
        diag_error(parser->diag, *at, strcmp(message, "memory exhausted") == 0
                   ? "nested too deeply" : "%s", message);
    parser->fatal = true;
}

/* What is expected, grouped: all that can begin an expression is one thing to a reader. */
static const int expression_starts[] = {DSL_INT, DSL_FLOAT, DSL_TRUE, DSL_FALSE, DSL_TEXT_OPEN,
                                        DSL_NOT, DSL_IF, DSL_NAME, '(', '[', '-'};
static const int operators[] = {'+', '-', '*', '/', '%', '<', '>', '[', '(', DSL_EQ, DSL_NE,
                                DSL_LE, DSL_GE, DSL_AND, DSL_OR};

enum { MAX_EXPECTED = YYNTOKENS, SHOWN_EXPECTED = 6, SHOWN_TOKEN = 40 };

static bool is_among(const int *tokens, size_t n, yysymbol_kind_t symbol)
{
    for (size_t i = 0; i < n; i++)
        if (YYTRANSLATE(tokens[i]) == symbol)
            return true;
    return false;
}

static bool expects(const yysymbol_kind_t *expected, int n, int token)
{
    for (int i = 0; i < n; i++)
        if (expected[i] == YYTRANSLATE(token))
            return true;
    return false;
}

static const char *describe_expected(Parser *p, const yysymbol_kind_t *expected, int n)
{
    const char *shown[MAX_EXPECTED + 2];
    int n_shown = 0;
    bool expression = expects(expected, n, DSL_INT), infix = expects(expected, n, '*');
    if (expression)
        shown[n_shown++] = "an expression";
    for (int i = 0; i < n; i++) {
        yysymbol_kind_t s = expected[i];
        bool grouped =
            (expression && is_among(expression_starts, sizeof expression_starts / sizeof(int), s)) ||
            (infix && is_among(operators, sizeof operators / sizeof(int), s)) ||
            s == YYTRANSLATE(';') ||
            (s == YYSYMBOL_YYEOF && expects(expected, n, DSL_FN));
        if (!grouped)
            shown[n_shown++] = yysymbol_name(s);
    }
    if (infix)
        shown[n_shown++] = "an operator";
    if (n_shown == 0 || n_shown > SHOWN_EXPECTED)
        return "";
    const char *text = "";
    for (int i = 0; i < n_shown; i++)
        text = arena_printf(p->arena, "%s%s%s", text,
                            i == 0 ? "; expected " : i + 1 == n_shown ? " or " : ", ", shown[i]);
    return text;
}

static int yyreport_syntax_error(const yypcontext_t *context, Parser *parser)
{
    yysymbol_kind_t found = yypcontext_token(context);
    if (parser->groups > 0 && (parser->line_start || found == YYTRANSLATE('{')))
        parser->groups = parser->group_braces = 0; /* it seems that a ) is missing */
    if (parser->fatal)
        return 0;
    yysymbol_kind_t expected[MAX_EXPECTED];
    int n = yypcontext_expected_tokens(context, expected, MAX_EXPECTED);
    Span at = *yypcontext_location(context);
    const char *hint = describe_expected(parser, expected, n > 0 ? n : 0);
    if (found == YYTRANSLATE('\n') || found == YYSYMBOL_YYEOF || at.end <= at.begin) {
        diag_error(parser->diag, at, "unexpected %s%s", yysymbol_name(found), hint);
        return 0;
    }
    uint32_t len = at.end - at.begin;
    if (len > SHOWN_TOKEN)
        diag_error(parser->diag, at, "unexpected %s%s", yysymbol_name(found), hint);
    else
        diag_error(parser->diag, at, "unexpected '%.*s'%s", (int)len, parser->text + at.begin, hint);
    return 0;
}
