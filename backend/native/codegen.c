/* SPDX-License-Identifier: Apache-2.0 */
/* backend/native/codegen.c - core programs to LLVM IR.
 *
 * An operation splits in a form (what is known from the text: opcode, types, rank, which
 * strides are 0 or 1) and numbers (pointers, extents, other strides). A form becomes one
 * internal function that takes the numbers; a class becomes a function that walks its text
 * once, evaluates the numbers and calls the forms in order. Messages are memory with row-major
 * strides (0 over held dimensions), so colors need no forms of their own. Bounds were proved
 * by the checker; nothing is tested here.
 *
 * Order of elements is what makes results: a form is a plain loop nest whose innermost
 * dimension runs in vectors where its elements are independent (destination stride 1; by the
 * language's rule sources are disjoint from the destination or have its descriptor). A
 * multiply-accumulate with reduction dimensions (destination stride 0) around or inside of a
 * dimension of stride 1 keeps a tile of outputs in vector registers over all reduction
 * dimensions, as matrix product kernels do (Goto, van de Geijn, ACM TOMS 34(3), 2008): each
 * sum still sees its terms in the order of the language. A remainder of a tile computes whole
 * vectors and blends when it stores, which reads (and writes back unchanged) at most
 * NATIVE_SLACK bytes behind an operand. */
#include "backend/native/codegen.h"

#include <stdio.h>
#include <string.h>

#include "ir/support/vec.h"

enum { MAX_OPERANDS = 1 + PROGRAM_SOURCES, MAX_ARGS = 32, MAX_TILE_P = 4, MAX_TILE_V = 8 };

typedef enum StrideKind { STRIDE_ZERO, STRIDE_ONE, STRIDE_ANY } StrideKind;

typedef enum SourceKind { SOURCE_NONE, SOURCE_MEMORY, SOURCE_FLOAT, SOURCE_DST } SourceKind;

/* Compared bytewise: no padding, zeroed before use. operand[0] is the destination. */
typedef struct Form {
    uint8_t code, rank;
    struct {
        uint8_t kind, dtype;
        uint8_t stride[PROGRAM_DIMS];
    } operand[MAX_OPERANDS];
} Form;

typedef struct FormFn {
    Form form;
    LLVMTypeRef type;
    LLVMValueRef fn;
} FormFn;

typedef struct Gen {
    Arena *arena;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef b;
    const CodegenTarget *target;
    LLVMTypeRef void_, i8, i16, i32, i64, f16, f32, ptr;
    LLVMValueRef fn;         /* under construction */
    LLVMBasicBlockRef entry; /* its allocas */
    VEC(FormFn) forms;
} Gen;

static LLVMValueRef k64(const Gen *g, int64_t v)
{
    return LLVMConstInt(g->i64, (uint64_t)v, true);
}

static LLVMBasicBlockRef new_block(const Gen *g)
{
    return LLVMAppendBasicBlockInContext(g->context, g->fn, "");
}

static LLVMValueRef binary(Gen *g, LLVMOpcode op, LLVMValueRef x, LLVMValueRef y)
{
    return LLVMBuildBinOp(g->b, op, x, y, "");
}

static LLVMValueRef icmp(Gen *g, LLVMIntPredicate p, LLVMValueRef x, LLVMValueRef y)
{
    return LLVMBuildICmp(g->b, p, x, y, "");
}

static LLVMTypeRef wide(LLVMTypeRef t, unsigned width)
{
    return width == 1 ? t : LLVMVectorType(t, width);
}

static LLVMTypeRef type_of(const Gen *g, uint8_t dtype)
{
    return dtype == DT_F16 ? g->f16 : dtype == DT_I32 ? g->i32 : g->f32;
}

static LLVMValueRef call_intrinsic(Gen *g, const char *name, LLVMTypeRef *overload,
                                   unsigned n_types, LLVMValueRef *args, unsigned n)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(g->module, id, overload, n_types);
    LLVMTypeRef type = LLVMIntrinsicGetType(g->context, id, overload, n_types);
    return LLVMBuildCall2(g->b, type, f, args, n, "");
}

static void add_attribute(const Gen *g, LLVMValueRef fn, const char *name, const char *value)
{
    LLVMAddAttributeAtIndex(fn, LLVMAttributeFunctionIndex,
                            LLVMCreateStringAttribute(g->context, name, (unsigned)strlen(name),
                                                      value, (unsigned)strlen(value)));
}

static void add_enum_attribute(const Gen *g, LLVMValueRef fn, const char *name)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(fn, LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(g->context, kind, 0));
}

/* Starts a function. Loops must never become calls of memset or memcpy: no-builtins. */
static LLVMValueRef begin_function(Gen *g, const char *name, LLVMTypeRef type, bool internal)
{
    g->fn = LLVMAddFunction(g->module, name, type);
    add_attribute(g, g->fn, "target-cpu", g->target->level);
    add_attribute(g, g->fn, "tune-cpu", g->target->tune);
    add_attribute(g, g->fn, "no-builtins", "");
    if (g->target->lanes == 16)
        add_attribute(g, g->fn, "prefer-vector-width", "512");
    add_enum_attribute(g, g->fn, "nounwind");
    if (internal) {
        LLVMSetLinkage(g->fn, LLVMInternalLinkage);
        add_enum_attribute(g, g->fn, "noinline");
    }
    g->entry = new_block(g);
    LLVMPositionBuilderAtEnd(g->b, new_block(g));
    return g->fn;
}

static void end_function(Gen *g)
{
    LLVMBuildRetVoid(g->b);
    LLVMBasicBlockRef first = LLVMGetNextBasicBlock(g->entry);
    LLVMPositionBuilderAtEnd(g->b, g->entry);
    LLVMBuildBr(g->b, first);
}

static LLVMValueRef new_variable(Gen *g, LLVMTypeRef type)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
    LLVMPositionBuilderAtEnd(g->b, g->entry);
    LLVMValueRef v = LLVMBuildAlloca(g->b, type, "");
    LLVMPositionBuilderAtEnd(g->b, here);
    return v;
}

/* for (i = 0; i < n; i += step) */
typedef struct Loop {
    LLVMBasicBlockRef head, exit;
    LLVMValueRef i, step;
} Loop;

static Loop loop_begin(Gen *g, LLVMValueRef n, LLVMValueRef step)
{
    Loop l = {.head = new_block(g), .step = step};
    LLVMBasicBlockRef body = new_block(g), before = LLVMGetInsertBlock(g->b);
    l.exit = new_block(g);
    LLVMBuildBr(g->b, l.head);
    LLVMPositionBuilderAtEnd(g->b, l.head);
    l.i = LLVMBuildPhi(g->b, g->i64, "");
    LLVMValueRef zero = k64(g, 0);
    LLVMAddIncoming(l.i, &zero, &before, 1);
    LLVMBuildCondBr(g->b, icmp(g, LLVMIntSLT, l.i, n), body, l.exit);
    LLVMPositionBuilderAtEnd(g->b, body);
    return l;
}

static void loop_end(Gen *g, const Loop *l)
{
    LLVMValueRef next = LLVMBuildNSWAdd(g->b, l->i, l->step, "");
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
    LLVMAddIncoming(l->i, &next, &here, 1);
    LLVMBuildBr(g->b, l->head);
    LLVMPositionBuilderAtEnd(g->b, l->exit);
}

/* if (c) { ... } else { ... } */
typedef struct Branch {
    LLVMBasicBlockRef otherwise, end;
} Branch;

static Branch branch_begin(Gen *g, LLVMValueRef c)
{
    LLVMBasicBlockRef then = new_block(g);
    Branch br = {new_block(g), new_block(g)};
    LLVMBuildCondBr(g->b, c, then, br.otherwise);
    LLVMPositionBuilderAtEnd(g->b, then);
    return br;
}

static void branch_else(Gen *g, const Branch *br)
{
    LLVMBuildBr(g->b, br->end);
    LLVMPositionBuilderAtEnd(g->b, br->otherwise);
}

static void branch_end(Gen *g, const Branch *br)
{
    LLVMBuildBr(g->b, br->end);
    LLVMPositionBuilderAtEnd(g->b, br->end);
}

/* ---- elements ---- */

/* The same scalar in every lane. */
static LLVMValueRef splat(Gen *g, LLVMValueRef scalar, unsigned width)
{
    if (width == 1)
        return scalar;
    LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), width);
    LLVMValueRef v =
        LLVMBuildInsertElement(g->b, LLVMGetPoison(type), scalar, LLVMConstInt(g->i32, 0, 0), "");
    return LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(type),
                                  LLVMConstNull(LLVMVectorType(g->i32, width)), "");
}

static LLVMValueRef load_raw(Gen *g, uint8_t dtype, LLVMValueRef at, unsigned width)
{
    LLVMValueRef v = LLVMBuildLoad2(g->b, wide(type_of(g, dtype), width), at, "");
    LLVMSetAlignment(v, dtype_bytes((DType)dtype));
    return v;
}

/* An operand's elements as the arithmetic sees them: f32, or i32 as it is. */
static LLVMValueRef load_value(Gen *g, uint8_t dtype, LLVMValueRef at, unsigned width)
{
    LLVMValueRef v = load_raw(g, dtype, at, width);
    return dtype == DT_F16 ? LLVMBuildFPExt(g->b, v, wide(g->f32, width), "") : v;
}

/* A value as it is stored: one rounding, NaN canonical. */
static LLVMValueRef stored_value(Gen *g, uint8_t dtype, LLVMValueRef v, unsigned width)
{
    LLVMTypeRef f = wide(g->f32, width), i = wide(g->i32, width);
    if (LLVMTypeOf(v) == i) {
        if (dtype == DT_I32)
            return v;
        v = LLVMBuildSIToFP(g->b, v, f, "");
    } else if (dtype == DT_I32) {
        LLVMValueRef even = call_intrinsic(g, "llvm.roundeven", &f, 1, &v, 1);
        LLVMTypeRef overload[2] = {i, f};
        return call_intrinsic(g, "llvm.fptosi.sat", overload, 2, &even, 1);
    } else {
        LLVMValueRef bits = splat(g, LLVMConstInt(g->i32, 0x7fc00000, 0), width);
        LLVMValueRef nan = LLVMBuildFCmp(g->b, LLVMRealUNO, v, v, "");
        v = LLVMBuildSelect(g->b, nan, LLVMBuildBitCast(g->b, bits, f, ""), v, "");
    }
    return dtype == DT_F16 ? LLVMBuildFPTrunc(g->b, v, wide(g->f16, width), "") : v;
}

/* Stores lanes with mask (all, if NULL). */
static void store_value(Gen *g, uint8_t dtype, LLVMValueRef at, LLVMValueRef v, LLVMValueRef mask,
                        unsigned width)
{
    v = stored_value(g, dtype, v, width);
    if (mask)
        v = LLVMBuildSelect(g->b, mask, v, load_raw(g, dtype, at, width), "");
    LLVMSetAlignment(LLVMBuildStore(g->b, v, at), dtype_bytes((DType)dtype));
}

/* Lane numbers below n. */
static LLVMValueRef lane_mask(Gen *g, LLVMValueRef n, unsigned width)
{
    LLVMValueRef lane[16];
    for (unsigned i = 0; i < width; i++)
        lane[i] = LLVMConstInt(g->i32, i, 0);
    LLVMValueRef limit = LLVMBuildTrunc(g->b, n, g->i32, "");
    return icmp(g, LLVMIntSLT, LLVMConstVector(lane, width), splat(g, limit, width));
}

/* min, max: NaN propagates, -0 is below +0. Of equal operands the bits are joined, which only
 * changes the sign of zeros. Not llvm.minimum and llvm.maximum: LLVM 19 narrows those of
 * widened f16 operands to f16, and its f16 versions drop NaN. */
static LLVMValueRef extreme(Gen *g, LLVMRealPredicate better, LLVMOpcode join, LLVMValueRef x,
                            LLVMValueRef y, unsigned width)
{
    LLVMTypeRef f = wide(g->f32, width), i = wide(g->i32, width);
    LLVMValueRef joined =
        binary(g, join, LLVMBuildBitCast(g->b, x, i, ""), LLVMBuildBitCast(g->b, y, i, ""));
    LLVMValueRef v = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, better, x, y, ""), x, y, "");
    v = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOEQ, x, y, ""),
                        LLVMBuildBitCast(g->b, joined, f, ""), v, "");
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealUNO, x, x, ""), x, v, "");
}

/* The new value of an element (old: the destination's, where the opcode needs it). */
static LLVMValueRef element_value(Gen *g, Opcode code, const LLVMValueRef *src, LLVMValueRef old,
                                  unsigned width)
{
    LLVMTypeRef f = wide(g->f32, width);
    switch (code) {
    case OPCODE_COPY:
        return src[0];
    case OPCODE_ADD:
        return LLVMBuildFAdd(g->b, src[0], src[1], "");
    case OPCODE_SUB:
        return LLVMBuildFSub(g->b, src[0], src[1], "");
    case OPCODE_MUL:
        return LLVMBuildFMul(g->b, src[0], src[1], "");
    case OPCODE_MIN:
        return extreme(g, LLVMRealOLT, LLVMOr, src[0], src[1], width);
    case OPCODE_MAX:
        return extreme(g, LLVMRealOGT, LLVMAnd, src[0], src[1], width);
    case OPCODE_MAC:
        return call_intrinsic(g, "llvm.fma", &f, 1, (LLVMValueRef[]){src[0], src[1], old}, 3);
    case OPCODE_SELGT:
    case OPCODE_SELGE:
        return LLVMBuildSelect(g->b,
                               LLVMBuildFCmp(g->b, code == OPCODE_SELGT ? LLVMRealOGT : LLVMRealOGE,
                                             src[0], src[1], ""),
                               src[2], old, "");
    case OPCODE_SKIP:
    case OPCODE_LOOP:
    case OPCODE_END:
    case OPCODE_COUNT:
        break;
    }
    return NULL;
}

static bool reads_destination(Opcode code)
{
    return code == OPCODE_MAC || code == OPCODE_SELGT || code == OPCODE_SELGE;
}

/* ---- forms ---- */

typedef struct FormArgs {
    LLVMValueRef at[MAX_OPERANDS]; /* pointer, or the float */
    LLVMValueRef extent[PROGRAM_DIMS];
    LLVMValueRef stride[MAX_OPERANDS][PROGRAM_DIMS]; /* elements */
} FormArgs;

static bool has_pointer(const Form *f, unsigned o)
{
    return f->operand[o].kind == SOURCE_MEMORY;
}

/* Lists parameter types in the one order that caller and callee share. */
static unsigned form_params(const Gen *g, const Form *f, LLVMTypeRef *type)
{
    unsigned n = 0;
    for (unsigned o = 0; o < MAX_OPERANDS; o++)
        if (has_pointer(f, o))
            type[n++] = g->ptr;
        else if (f->operand[o].kind == SOURCE_FLOAT)
            type[n++] = g->f32;
    for (unsigned d = 0; d < f->rank; d++)
        type[n++] = g->i64;
    for (unsigned o = 0; o < MAX_OPERANDS; o++)
        for (unsigned d = 0; d < f->rank && has_pointer(f, o); d++)
            if (f->operand[o].stride[d] == STRIDE_ANY)
                type[n++] = g->i64;
    return n;
}

static unsigned args_to_list(const Form *f, const FormArgs *a, LLVMValueRef *list)
{
    unsigned n = 0;
    for (unsigned o = 0; o < MAX_OPERANDS; o++)
        if (has_pointer(f, o) || f->operand[o].kind == SOURCE_FLOAT)
            list[n++] = a->at[o];
    for (unsigned d = 0; d < f->rank; d++)
        list[n++] = a->extent[d];
    for (unsigned o = 0; o < MAX_OPERANDS; o++)
        for (unsigned d = 0; d < f->rank && has_pointer(f, o); d++)
            if (f->operand[o].stride[d] == STRIDE_ANY)
                list[n++] = a->stride[o][d];
    return n;
}

static void args_from_params(const Gen *g, const Form *f, FormArgs *a)
{
    unsigned n = 0;
    for (unsigned o = 0; o < MAX_OPERANDS; o++)
        if (has_pointer(f, o) || f->operand[o].kind == SOURCE_FLOAT)
            a->at[o] = LLVMGetParam(g->fn, n++);
    for (unsigned d = 0; d < f->rank; d++)
        a->extent[d] = LLVMGetParam(g->fn, n++);
    for (unsigned o = 0; o < MAX_OPERANDS; o++)
        for (unsigned d = 0; d < f->rank && has_pointer(f, o); d++)
            if (f->operand[o].stride[d] == STRIDE_ANY)
                a->stride[o][d] = LLVMGetParam(g->fn, n++);
            else
                a->stride[o][d] = k64(g, f->operand[o].stride[d] == STRIDE_ONE);
}

/* Pointer of operand o, moved `index` along dimension d. */
static LLVMValueRef advance(Gen *g, const Form *f, const FormArgs *a, unsigned o, unsigned d,
                            LLVMValueRef at, LLVMValueRef index)
{
    if (f->operand[o].stride[d] == STRIDE_ZERO)
        return at;
    LLVMValueRef by = f->operand[o].stride[d] == STRIDE_ONE
                          ? index
                          : LLVMBuildNSWMul(g->b, index, a->stride[o][d], "");
    return LLVMBuildGEP2(g->b, type_of(g, f->operand[o].dtype), at, &by, 1, "");
}

static void advance_all(Gen *g, const Form *f, const FormArgs *a, unsigned d, LLVMValueRef *at,
                        LLVMValueRef index)
{
    for (unsigned o = 0; o < MAX_OPERANDS; o++)
        if (has_pointer(f, o))
            at[o] = advance(g, f, a, o, d, at[o], index);
}

/* Computes elements i .. of the innermost dimension; held[o], if any, is the value of an
 * operand that doesn't move along it. */
static void emit_elements(Gen *g, const Form *f, const FormArgs *a, const LLVMValueRef *row,
                          const LLVMValueRef *held, LLVMValueRef i, LLVMValueRef mask,
                          unsigned width)
{
    unsigned inner = f->rank - 1u;
    LLVMValueRef at[MAX_OPERANDS], src[PROGRAM_SOURCES] = {0}, old = NULL;
    memcpy(at, row, sizeof at);
    advance_all(g, f, a, inner, at, i);
    bool need_old = reads_destination((Opcode)f->code);
    for (unsigned s = 1; s < MAX_OPERANDS; s++)
        need_old = need_old || f->operand[s].kind == SOURCE_DST;
    if (need_old)
        old = load_value(g, f->operand[0].dtype, at[0], width);
    for (unsigned s = 1; s < MAX_OPERANDS; s++) {
        switch ((SourceKind)f->operand[s].kind) {
        case SOURCE_NONE:
            break;
        case SOURCE_MEMORY:
            src[s - 1] = held[s] ? splat(g, held[s], width)
                                 : load_value(g, f->operand[s].dtype, at[s], width);
            break;
        case SOURCE_FLOAT:
            src[s - 1] = splat(g, at[s], width);
            break;
        case SOURCE_DST:
            src[s - 1] = old;
            break;
        }
    }
    store_value(g, f->operand[0].dtype, at[0], element_value(g, (Opcode)f->code, src, old, width),
                mask, width);
}

/* Merges the two innermost dimensions where every operand walks them as one. */
static void merge_inner(Gen *g, const Form *f, FormArgs *a)
{
    if (f->rank < 2)
        return;
    unsigned in = f->rank - 1u, out = f->rank - 2u;
    LLVMValueRef same = NULL;
    for (unsigned o = 0; o < MAX_OPERANDS; o++) {
        if (!has_pointer(f, o))
            continue;
        uint8_t so = f->operand[o].stride[out], si = f->operand[o].stride[in];
        if (so == STRIDE_ZERO && si == STRIDE_ZERO)
            continue;
        if (so != STRIDE_ANY || si != STRIDE_ONE)
            return;
        LLVMValueRef c = icmp(g, LLVMIntEQ, a->stride[o][out], a->extent[in]);
        same = same ? binary(g, LLVMAnd, same, c) : c;
    }
    if (!same)
        return;
    LLVMValueRef all = LLVMBuildNSWMul(g->b, a->extent[in], a->extent[out], "");
    a->extent[in] = LLVMBuildSelect(g->b, same, all, a->extent[in], "");
    a->extent[out] = LLVMBuildSelect(g->b, same, k64(g, 1), a->extent[out], "");
}

/* The plain loop nest, in the language's order. */
static void emit_nest(Gen *g, const Form *f, FormArgs a)
{
    unsigned inner = f->rank - 1u;
    bool vectors = f->operand[0].stride[inner] == STRIDE_ONE;
    for (unsigned s = 1; s < MAX_OPERANDS; s++)
        if (has_pointer(f, s) && f->operand[s].stride[inner] == STRIDE_ANY)
            vectors = false;
    if (vectors)
        merge_inner(g, f, &a);

    Loop loop[PROGRAM_DIMS];
    LLVMValueRef at[MAX_OPERANDS], one = k64(g, 1), n = a.extent[inner];
    memcpy(at, a.at, sizeof at);
    for (unsigned d = 0; d < inner; d++) {
        loop[d] = loop_begin(g, a.extent[d], one);
        advance_all(g, f, &a, d, at, loop[d].i);
    }
    LLVMValueRef held[MAX_OPERANDS] = {0};
    if (!vectors) {
        Loop l = loop_begin(g, n, one);
        emit_elements(g, f, &a, at, held, l.i, NULL, 1);
        loop_end(g, &l);
    } else {
        unsigned width = g->target->lanes;
        Branch many = branch_begin(g, icmp(g, LLVMIntSGT, n, k64(g, 2)));
        for (unsigned s = 1; s < MAX_OPERANDS; s++)
            if (has_pointer(f, s) && f->operand[s].stride[inner] == STRIDE_ZERO)
                held[s] = load_value(g, f->operand[s].dtype, at[s], 1);
        LLVMValueRef whole = binary(g, LLVMAnd, n, k64(g, -(int64_t)width));
        Loop l = loop_begin(g, whole, k64(g, width));
        emit_elements(g, f, &a, at, held, l.i, NULL, width);
        loop_end(g, &l);
        LLVMValueRef rest = binary(g, LLVMSub, n, whole);
        Branch tail = branch_begin(g, icmp(g, LLVMIntSGT, rest, k64(g, 0)));
        emit_elements(g, f, &a, at, held, whole, lane_mask(g, rest, width), width);
        branch_else(g, &tail);
        branch_end(g, &tail);
        branch_else(g, &many);
        memset(held, 0, sizeof held);
        l = loop_begin(g, n, one);
        emit_elements(g, f, &a, at, held, l.i, NULL, 1);
        loop_end(g, &l);
        branch_end(g, &many);
    }
    for (unsigned d = inner; d-- > 0;)
        loop_end(g, &loop[d]);
}

/* ---- multiply-accumulate with a tile of outputs in registers ---- */

typedef struct TilePlan {
    unsigned vec;           /* dimension that runs in vectors */
    unsigned n_out, out[2]; /* other dimensions of outputs, in order */
    unsigned n_sum, sum[3]; /* reduction dimensions, in order */
} TilePlan;

static bool plan_tile(const Form *f, TilePlan *t)
{
    *t = (TilePlan){.vec = f->rank - 1u};
    while (t->vec > 0 && f->operand[0].stride[t->vec] == STRIDE_ZERO)
        t->vec--;
    if (f->code != OPCODE_MAC || f->operand[0].stride[t->vec] != STRIDE_ONE)
        return false;
    for (unsigned s = 1; s <= 2; s++)
        if (f->operand[s].kind == SOURCE_DST ||
            (has_pointer(f, s) && f->operand[s].stride[t->vec] == STRIDE_ANY))
            return false;
    for (unsigned d = 0; d < f->rank; d++) {
        if (d == t->vec)
            continue;
        if (f->operand[0].stride[d] == STRIDE_ZERO)
            t->sum[t->n_sum++] = d;
        else if (t->n_out == 2)
            return false;
        else
            t->out[t->n_out++] = d;
    }
    return t->n_sum > 0;
}

/* One tile: `rows` positions of the last of t->out, `vectors` registers along t->vec, of which the
 * first n_left elements exist. */
static void emit_tile(Gen *g, const Form *f, const FormArgs *a, const TilePlan *t,
                      LLVMValueRef at[MAX_TILE_P][MAX_OPERANDS], LLVMValueRef n_left, unsigned rows,
                      unsigned vectors)
{
    unsigned width = g->target->lanes, inner = t->vec;
    LLVMTypeRef type = wide(g->f32, width);
    LLVMValueRef acc[MAX_TILE_P][MAX_TILE_V], one = k64(g, 1), lane_at[MAX_TILE_V];
    for (unsigned v = 0; v < vectors; v++)
        lane_at[v] = k64(g, (int64_t)v * width);
    for (unsigned r = 0; r < rows; r++)
        for (unsigned v = 0; v < vectors; v++) {
            acc[r][v] = new_variable(g, type);
            LLVMBuildStore(
                g->b, load_raw(g, DT_F32, advance(g, f, a, 0, inner, at[r][0], lane_at[v]), width),
                acc[r][v]);
        }

    Loop loop[3];
    LLVMValueRef in[MAX_TILE_P][MAX_OPERANDS];
    memcpy(in, at, sizeof in);
    for (unsigned d = 0; d < t->n_sum; d++) {
        loop[d] = loop_begin(g, a->extent[t->sum[d]], one);
        for (unsigned r = 0; r < rows; r++)
            for (unsigned s = 1; s <= 2; s++)
                if (has_pointer(f, s))
                    in[r][s] = advance(g, f, a, s, t->sum[d], in[r][s], loop[d].i);
    }
    LLVMValueRef value[3][MAX_TILE_P][MAX_TILE_V] = {0};
    for (unsigned s = 1; s <= 2; s++) {
        bool moves_inner = has_pointer(f, s) && f->operand[s].stride[inner] == STRIDE_ONE;
        bool moves_rows = has_pointer(f, s) && t->n_out > 0 &&
                          f->operand[s].stride[t->out[t->n_out - 1]] != STRIDE_ZERO;
        for (unsigned r = 0; r < rows; r++)
            for (unsigned v = 0; v < vectors; v++) {
                if (r > 0 && !moves_rows)
                    value[s][r][v] = value[s][0][v];
                else if (v > 0 && !moves_inner)
                    value[s][r][v] = value[s][r][0];
                else if (moves_inner)
                    value[s][r][v] =
                        load_value(g, f->operand[s].dtype,
                                   advance(g, f, a, s, inner, in[r][s], lane_at[v]), width);
                else
                    value[s][r][v] =
                        splat(g,
                              has_pointer(f, s) ? load_value(g, f->operand[s].dtype, in[r][s], 1)
                                                : in[r][s],
                              width);
            }
    }
    for (unsigned r = 0; r < rows; r++)
        for (unsigned v = 0; v < vectors; v++) {
            LLVMValueRef old = LLVMBuildLoad2(g->b, type, acc[r][v], "");
            LLVMValueRef src[2] = {value[1][r][v], value[2][r][v]};
            LLVMBuildStore(g->b, element_value(g, OPCODE_MAC, src, old, width), acc[r][v]);
        }
    for (unsigned d = t->n_sum; d-- > 0;)
        loop_end(g, &loop[d]);

    /* What lies behind a row is read before any row is stored: a load that overlaps a store
     * just made would wait for it. Rows follow each other upwards, so what a row writes back
     * into the next one is overwritten by that. */
    LLVMValueRef behind[MAX_TILE_P][MAX_TILE_V], to[MAX_TILE_P][MAX_TILE_V];
    for (unsigned r = 0; r < rows; r++)
        for (unsigned v = 0; v < vectors; v++) {
            to[r][v] = advance(g, f, a, 0, inner, at[r][0], lane_at[v]);
            behind[r][v] = load_raw(g, DT_F32, to[r][v], width);
        }
    for (unsigned r = 0; r < rows; r++)
        for (unsigned v = 0; v < vectors; v++) {
            LLVMValueRef mask = lane_mask(g, binary(g, LLVMSub, n_left, lane_at[v]), width);
            LLVMValueRef sum =
                stored_value(g, DT_F32, LLVMBuildLoad2(g->b, type, acc[r][v], ""), width);
            sum = LLVMBuildSelect(g->b, mask, sum, behind[r][v], "");
            LLVMSetAlignment(LLVMBuildStore(g->b, sum, to[r][v]), 4);
        }
}

/* Walks t->vec of `rows` positions in tiles of the given numbers of vectors,
 * descending, ending with 1: the smallest that covers what is left, or the largest. */
static void emit_tile_row(Gen *g, const Form *f, const FormArgs *a, const TilePlan *t,
                          LLVMValueRef at[MAX_TILE_P][MAX_OPERANDS], unsigned rows,
                          const unsigned *vectors)
{
    unsigned width = g->target->lanes, inner = t->vec;
    LLVMValueRef n = a->extent[inner], i = new_variable(g, g->i64);
    LLVMBuildStore(g->b, k64(g, 0), i);
    LLVMBasicBlockRef head = new_block(g), body = new_block(g), exit = new_block(g);
    LLVMBuildBr(g->b, head);
    LLVMPositionBuilderAtEnd(g->b, head);
    LLVMValueRef at_i = LLVMBuildLoad2(g->b, g->i64, i, "");
    LLVMValueRef left = binary(g, LLVMSub, n, at_i);
    LLVMBuildCondBr(g->b, icmp(g, LLVMIntSGT, left, k64(g, 0)), body, exit);
    LLVMPositionBuilderAtEnd(g->b, body);
    LLVMValueRef moved[MAX_TILE_P][MAX_OPERANDS];
    memcpy(moved, at, sizeof moved);
    for (unsigned r = 0; r < rows; r++)
        advance_all(g, f, a, inner, moved[r], at_i);
    for (unsigned k = 0;; k++) {
        bool last = vectors[k] == 1;
        Branch br = {0};
        if (!last)
            br =
                branch_begin(g, icmp(g, LLVMIntSGT, left, k64(g, (int64_t)vectors[k + 1] * width)));
        emit_tile(g, f, a, t, moved, left, rows, vectors[k]);
        LLVMBuildStore(g->b, binary(g, LLVMAdd, at_i, k64(g, (int64_t)vectors[k] * width)), i);
        LLVMBuildBr(g->b, head);
        if (last)
            break;
        LLVMPositionBuilderAtEnd(g->b, br.otherwise);
        LLVMDeleteBasicBlock(br.end);
    }
    LLVMPositionBuilderAtEnd(g->b, exit);
}

static void emit_tiles(Gen *g, const Form *f, const FormArgs *a, const TilePlan *t)
{
    static const unsigned single[] = {8, 4, 1}, quad[] = {2, 1};
    LLVMValueRef at[MAX_TILE_P][MAX_OPERANDS], base[MAX_OPERANDS], one = k64(g, 1);
    memcpy(base, a->at, sizeof base);
    Loop outer = {0};
    if (t->n_out == 2) {
        outer = loop_begin(g, a->extent[t->out[0]], one);
        advance_all(g, f, a, t->out[0], base, outer.i);
    }
    if (t->n_out == 0) {
        memcpy(at[0], base, sizeof base);
        emit_tile_row(g, f, a, t, at, 1, single);
        return;
    }
    unsigned d = t->out[t->n_out - 1];
    LLVMValueRef n = a->extent[d], quads = binary(g, LLVMAnd, n, k64(g, -MAX_TILE_P));
    Loop four = loop_begin(g, quads, k64(g, MAX_TILE_P));
    for (unsigned r = 0; r < MAX_TILE_P; r++) {
        memcpy(at[r], base, sizeof base);
        advance_all(g, f, a, d, at[r], binary(g, LLVMAdd, four.i, k64(g, r)));
    }
    emit_tile_row(g, f, a, t, at, MAX_TILE_P, quad);
    loop_end(g, &four);
    Loop rest = loop_begin(g, binary(g, LLVMSub, n, quads), one);
    memcpy(at[0], base, sizeof base);
    advance_all(g, f, a, d, at[0], binary(g, LLVMAdd, rest.i, quads));
    emit_tile_row(g, f, a, t, at, 1, single);
    loop_end(g, &rest);
    if (t->n_out == 2)
        loop_end(g, &outer);
}

/* Whether tiles may be used: an operation without elements must not touch its destination,
 * and the order of outputs, which tiles change, is seen where two of them are one element.
 * Rows must follow each other upwards. */
static LLVMValueRef may_tile(Gen *g, const FormArgs *a, const TilePlan *t)
{
    LLVMValueRef span = a->extent[t->vec], one = k64(g, 1), all = NULL;
    for (unsigned k = 0; k < t->n_sum; k++) {
        LLVMValueRef some = icmp(g, LLVMIntSGE, a->extent[t->sum[k]], one);
        all = all ? binary(g, LLVMAnd, all, some) : some;
    }
    for (unsigned k = t->n_out; k-- > 0;) {
        unsigned d = t->out[k];
        LLVMValueRef step = a->stride[0][d];
        LLVMValueRef apart = binary(g, LLVMOr, icmp(g, LLVMIntSLE, a->extent[d], one),
                                    icmp(g, LLVMIntSGE, step, span));
        all = binary(g, LLVMAnd, all, apart);
        span = binary(g, LLVMAdd, span,
                      binary(g, LLVMMul, step, binary(g, LLVMSub, a->extent[d], one)));
    }
    return all;
}

static FormFn *form_function(Gen *g, const Form *f)
{
    for (size_t i = 0; i < g->forms.n; i++)
        if (memcmp(&g->forms.data[i].form, f, sizeof *f) == 0)
            return &g->forms.data[i];

    LLVMValueRef caller = g->fn;
    LLVMBasicBlockRef caller_entry = g->entry, here = LLVMGetInsertBlock(g->b);
    LLVMTypeRef params[MAX_ARGS];
    unsigned n = form_params(g, f, params);
    FormFn r = {.form = *f, .type = LLVMFunctionType(g->void_, params, n, false)};
    char name[32];
    snprintf(name, sizeof name, "form_%zu_%s", g->forms.n, opcode_info[f->code].text);
    r.fn = begin_function(g, name, r.type, true);
    FormArgs a = {0};
    args_from_params(g, f, &a);
    TilePlan t;
    if (!plan_tile(f, &t)) {
        emit_nest(g, f, a);
    } else {
        Branch br = branch_begin(g, may_tile(g, &a, &t));
        emit_tiles(g, f, &a, &t);
        branch_else(g, &br);
        emit_nest(g, f, a);
        branch_end(g, &br);
    }
    end_function(g);
    g->fn = caller;
    g->entry = caller_entry;
    LLVMPositionBuilderAtEnd(g->b, here);
    vec_push(g->arena, &g->forms, r);
    return &g->forms.data[g->forms.n - 1];
}

/* ---- classes ---- */

typedef struct ClassGen {
    const Class *class_;
    LLVMValueRef memory, data;
    LLVMValueRef counter[PROGRAM_DEPTH];
    LLVMValueRef channel[PROGRAM_MAX_CHANNELS]; /* variables */
} ClassGen;

static LLVMValueRef scalar(Gen *g, const ClassGen *c, Scalar s)
{
    if (s.kind == SCALAR_IMM)
        return k64(g, s.value);
    LLVMValueRef index = k64(g, s.value);
    if (s.kind == SCALAR_TABLE)
        index = binary(g, LLVMAdd, index, c->counter[s.loop]);
    LLVMValueRef at = LLVMBuildGEP2(g->b, g->i32, c->data, &index, 1, "");
    LLVMValueRef v = LLVMBuildLoad2(g->b, g->i32, at, "");
    LLVMSetAlignment(v, 4);
    return LLVMBuildSExt(g->b, v, g->i64, "");
}

static bool is_imm(Scalar s, int32_t value)
{
    return s.kind == SCALAR_IMM && s.value == value;
}

static LLVMValueRef memory_address(Gen *g, const ClassGen *c, const Op *op, const Operand *o)
{
    LLVMValueRef address = scalar(g, c, o->base);
    for (unsigned d = 0; d < op->depth; d++)
        if (!is_imm(o->step[d], 0))
            address = binary(g, LLVMAdd, address,
                             binary(g, LLVMMul, scalar(g, c, o->step[d]), c->counter[d]));
    if (!is_imm(o->ring_pitch, 0)) {
        LLVMValueRef at = scalar(g, c, o->ring_offset);
        for (unsigned d = 0; d < op->depth; d++)
            if (o->ring_coef[d] != 0)
                at = binary(g, LLVMAdd, at,
                            binary(g, LLVMMul, k64(g, o->ring_coef[d]), c->counter[d]));
        /* A pitch of 0 from the data leaves the modulus free to be 0 too. */
        LLVMValueRef modulus = scalar(g, c, o->ring_modulus), one = k64(g, 1);
        modulus = LLVMBuildSelect(g->b, icmp(g, LLVMIntSLT, modulus, one), one, modulus, "");
        at = binary(g, LLVMURem, at, modulus);
        address = binary(g, LLVMAdd, address, binary(g, LLVMMul, scalar(g, c, o->ring_pitch), at));
    }
    return LLVMBuildGEP2(g->b, g->i8, c->memory, &address, 1, "");
}

/* Moves a channel behind a message of n elements. */
static void advance_channel(Gen *g, const ClassGen *c, const Operand *o, LLVMValueRef n)
{
    LLVMValueRef words = n, var = c->channel[o->channel];
    if (o->dtype == DT_F16)
        words = binary(g, LLVMLShr, binary(g, LLVMAdd, n, k64(g, 1)), k64(g, 1));
    LLVMValueRef at = LLVMBuildLoad2(g->b, g->ptr, var, "");
    LLVMBuildStore(g->b, LLVMBuildGEP2(g->b, g->i32, at, &words, 1, ""), var);
}

static void call_form(Gen *g, const Form *f, const FormArgs *a)
{
    LLVMValueRef list[MAX_ARGS];
    FormFn *fn = form_function(g, f);
    LLVMBuildCall2(g->b, fn->type, fn->fn, list, args_to_list(f, a, list), "");
}

/* The form of a multiply-accumulate whose innermost extent is 1 and whose operands move by
 * 0 or 1 along the last output dimension before it: such outputs fill vectors. *when is the
 * condition. False if there is none. */
static bool narrow_form(Gen *g, const Form *f, const FormArgs *a, Form *result, LLVMValueRef *when)
{
    unsigned inner = f->rank - 1u, v = inner;
    TilePlan t;
    if (f->code != OPCODE_MAC || f->rank < 2)
        return false;
    do {
        if (v-- == 0)
            return false;
    } while (f->operand[0].stride[v] == STRIDE_ZERO);
    *result = *f;
    result->rank--;
    *when = icmp(g, LLVMIntEQ, a->extent[inner], k64(g, 1));
    for (unsigned o = 0; o < MAX_OPERANDS; o++) {
        result->operand[o].stride[inner] = 0;
        if (!has_pointer(f, o) || f->operand[o].stride[v] != STRIDE_ANY)
            continue;
        result->operand[o].stride[v] = STRIDE_ONE;
        *when = binary(g, LLVMAnd, *when, icmp(g, LLVMIntEQ, a->stride[o][v], k64(g, 1)));
    }
    return plan_tile(result, &t);
}

/* Calls the form, or a better one that the numbers turn out to allow. */
static void emit_form(Gen *g, const Form *f, const FormArgs *a)
{
    unsigned inner = f->rank - 1u;
    Branch cases[2];
    Form narrow;
    LLVMValueRef when;
    if (f->code == OPCODE_COPY && f->operand[0].stride[inner] == STRIDE_ONE && has_pointer(f, 1) &&
        f->operand[1].stride[inner] == STRIDE_ANY) {
        /* a fill or a copy, by the core's data */
        for (uint8_t kind = STRIDE_ZERO; kind <= STRIDE_ONE; kind++) {
            Form fixed = *f;
            fixed.operand[1].stride[inner] = kind;
            Branch br = branch_begin(g, icmp(g, LLVMIntEQ, a->stride[1][inner], k64(g, kind)));
            call_form(g, &fixed, a);
            branch_else(g, &br);
            cases[kind] = br;
        }
        call_form(g, f, a);
        branch_end(g, &cases[1]);
        branch_end(g, &cases[0]);
        return;
    }
    if (!narrow_form(g, f, a, &narrow, &when)) {
        call_form(g, f, a);
        return;
    }
    Branch br = branch_begin(g, when);
    call_form(g, &narrow, a);
    branch_else(g, &br);
    call_form(g, f, a);
    branch_end(g, &br);
}

static void emit_op(Gen *g, const ClassGen *c, const Op *op)
{
    LLVMValueRef extent[PROGRAM_DIMS];
    unsigned dim[PROGRAM_DIMS], rank = 0;
    for (unsigned d = 0; d < PROGRAM_DIMS; d++) {
        extent[d] = scalar(g, c, op->extent[d]);
        if (op->extent[d].kind != SCALAR_IMM) { /* below 1 is empty, also after a product */
            LLVMValueRef zero = k64(g, 0), some = icmp(g, LLVMIntSGT, extent[d], zero);
            extent[d] = LLVMBuildSelect(g->b, some, extent[d], zero, "");
        }
        if (!is_imm(op->extent[d], 1))
            dim[rank++] = d;
    }
    if (rank == 0)
        dim[rank++] = PROGRAM_DIMS - 1;

    const Operand *operand[MAX_OPERANDS] = {&op->dst, &op->src[0], &op->src[1], &op->src[2]};
    LLVMValueRef message[MAX_OPERANDS] = {0}; /* elements, of colors */
    Form f;
    memset(&f, 0, sizeof f);
    f.code = op->code;
    f.rank = (uint8_t)rank;
    FormArgs a = {0};
    for (unsigned k = 0; k < rank; k++)
        a.extent[k] = extent[dim[k]];
    for (unsigned o = 0; o <= opcode_info[op->code].sources; o++) {
        const Operand *p = operand[o];
        f.operand[o].dtype = p->dtype;
        switch ((OperandKind)p->kind) {
        case OPERAND_NONE:
            break;
        case OPERAND_FLOAT:
            f.operand[o].kind = SOURCE_FLOAT;
            f.operand[o].dtype = DT_F32;
            a.at[o] =
                LLVMBuildBitCast(g->b, LLVMConstInt(g->i32, f32_to_bits(p->value), 0), g->f32, "");
            break;
        case OPERAND_MEM:
            if (o > 0 && operand_equal(p, &op->dst)) {
                f.operand[o].kind = SOURCE_DST;
                break;
            }
            f.operand[o].kind = SOURCE_MEMORY;
            a.at[o] = memory_address(g, c, op, p);
            for (unsigned k = 0; k < rank; k++) {
                Scalar s = p->stride[dim[k]];
                if (is_imm(op->extent[dim[k]], 1))
                    s = IMM(1); /* rank 1 of one element: it never moves */
                f.operand[o].stride[k] = is_imm(s, 0)   ? STRIDE_ZERO
                                         : is_imm(s, 1) ? STRIDE_ONE
                                                        : STRIDE_ANY;
                a.stride[o][k] = scalar(g, c, s);
            }
            break;
        case OPERAND_COLOR:
            f.operand[o].kind = SOURCE_MEMORY;
            a.at[o] = LLVMBuildLoad2(g->b, g->ptr, c->channel[p->channel], "");
            message[o] = k64(g, 1);
            for (unsigned k = rank; k-- > 0;) {
                bool held = o > 0 && dim[k] + p->held >= PROGRAM_DIMS;
                bool first =
                    LLVMIsConstant(message[o]) && LLVMConstIntGetZExtValue(message[o]) == 1;
                f.operand[o].stride[k] = held ? STRIDE_ZERO : first ? STRIDE_ONE : STRIDE_ANY;
                a.stride[o][k] = held ? k64(g, 0) : message[o];
                if (!held)
                    message[o] = LLVMBuildNSWMul(g->b, message[o], a.extent[k], "");
            }
            break;
        }
    }
    if (op->code != OPCODE_SKIP)
        emit_form(g, &f, &a);
    for (unsigned o = 0; o < MAX_OPERANDS; o++) {
        if (!message[o])
            continue;
        if (o == 0 && op->dst.dtype == DT_F16) { /* zero the upper half of an odd last word */
            LLVMValueRef odd = binary(g, LLVMAnd, message[0], k64(g, 1));
            Branch br = branch_begin(g, icmp(g, LLVMIntNE, odd, k64(g, 0)));
            LLVMValueRef end = LLVMBuildGEP2(g->b, g->i16, a.at[0], &message[0], 1, "");
            LLVMSetAlignment(LLVMBuildStore(g->b, LLVMConstInt(g->i16, 0, 0), end), 2);
            branch_else(g, &br);
            branch_end(g, &br);
        }
        advance_channel(g, c, operand[o], message[o]);
    }
}

static void emit_class(Gen *g, const Class *class_, uint32_t id)
{
    char name[32];
    snprintf(name, sizeof name, "class_%u", id);
    LLVMTypeRef params[3] = {g->ptr, g->i64, g->i64};
    LLVMValueRef fn = begin_function(g, name, LLVMFunctionType(g->void_, params, 3, false), false);
    ClassGen c = {.class_ = class_};
    LLVMValueRef one = k64(g, 1);
    Loop cores = loop_begin(g, LLVMGetParam(fn, 1), one);
    /* struct NativeCore is 2 + PROGRAM_MAX_CHANNELS pointers. */
    LLVMValueRef first = binary(g, LLVMMul, cores.i, k64(g, 2 + PROGRAM_MAX_CHANNELS)),
                 field[2 + PROGRAM_MAX_CHANNELS];
    for (unsigned k = 0; k < 2 + class_->n_channels; k++) {
        LLVMValueRef at = binary(g, LLVMAdd, first, k64(g, k));
        field[k] = LLVMBuildGEP2(g->b, g->ptr, LLVMGetParam(fn, 0), &at, 1, "");
        LLVMValueRef v = LLVMBuildLoad2(g->b, g->ptr, field[k], "");
        if (k == 0)
            c.memory = v;
        else if (k == 1)
            c.data = v;
        else {
            c.channel[k - 2] = new_variable(g, g->ptr);
            LLVMBuildStore(g->b, v, c.channel[k - 2]);
        }
    }
    Loop iterations = loop_begin(g, LLVMGetParam(fn, 2), one);
    Loop stack[PROGRAM_DEPTH];
    unsigned depth = 0;
    for (uint32_t i = 0; i < class_->n_ops; i++) {
        const Op *op = &class_->ops[i];
        if (op->code == OPCODE_LOOP) {
            stack[depth] = loop_begin(g, scalar(g, &c, op->count), one);
            c.counter[depth] = stack[depth].i;
            depth++;
        } else if (op->code == OPCODE_END) {
            loop_end(g, &stack[--depth]);
        } else {
            emit_op(g, &c, op);
        }
    }
    loop_end(g, &iterations);
    for (unsigned k = 0; k < class_->n_channels; k++)
        LLVMBuildStore(g->b, LLVMBuildLoad2(g->b, g->ptr, c.channel[k], ""), field[2 + k]);
    loop_end(g, &cores);
    end_function(g);
}

LLVMModuleRef codegen_module(Arena *a, LLVMContextRef context, const Image *image,
                             const bool *wanted, const CodegenTarget *target)
{
    Gen g = {.arena = a, .context = context, .target = target};
    g.module = LLVMModuleCreateWithNameInContext("wsec", context);
    g.b = LLVMCreateBuilderInContext(context);
    g.void_ = LLVMVoidTypeInContext(context);
    g.i8 = LLVMInt8TypeInContext(context);
    g.i16 = LLVMInt16TypeInContext(context);
    g.i32 = LLVMInt32TypeInContext(context);
    g.i64 = LLVMInt64TypeInContext(context);
    g.f16 = LLVMHalfTypeInContext(context);
    g.f32 = LLVMFloatTypeInContext(context);
    g.ptr = LLVMPointerTypeInContext(context, 0);
    for (uint32_t i = 0; i < image->n_classes; i++)
        if (wanted[i])
            emit_class(&g, &image->classes[i], i);
    LLVMDisposeBuilder(g.b);
    return g.module;
}
