/* SPDX-License-Identifier: Apache-2.0 */
/* backend/native/native.c - drives LLVM: module, optimisation, object or text.
 *
 * A CPU is a level (the instructions the code may use, which the runtime tests before it
 * enters the code) and a name it is tuned for. The two never come from the host. */
#include "backend/native/native.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>

#include "backend/native/codegen.h"

/* CPU(name, level): names of LLVM whose instruction sets include all of the level. */
#define CPU_LIST(CPU)                                                                              \
    CPU("x86-64-v3", 3)                                                                            \
    CPU("x86-64-v4", 4)                                                                            \
    CPU("haswell", 3)                                                                              \
    CPU("broadwell", 3)                                                                            \
    CPU("skylake", 3)                                                                              \
    CPU("alderlake", 3)                                                                            \
    CPU("raptorlake", 3)                                                                           \
    CPU("skylake-avx512", 4)                                                                       \
    CPU("cascadelake", 4)                                                                          \
    CPU("icelake-client", 4)                                                                       \
    CPU("icelake-server", 4)                                                                       \
    CPU("tigerlake", 4)                                                                            \
    CPU("sapphirerapids", 4)                                                                       \
    CPU("emeraldrapids", 4)                                                                        \
    CPU("graniterapids", 4)                                                                        \
    CPU("znver1", 3)                                                                               \
    CPU("znver2", 3)                                                                               \
    CPU("znver3", 3)                                                                               \
    CPU("znver4", 4)                                                                               \
    CPU("znver5", 4)

static const struct {
    const char *name;
    unsigned level;
} cpus[] = {
#define CPU(name, level) {name, level},
    CPU_LIST(CPU)
#undef CPU
};

/* A CPU's name, or what find_cpu() gave for one before: "level" or "level:name". */
static bool find_cpu(const char *name, CodegenTarget *result)
{
    const char *colon = strchr(name, ':');
    if (colon)
        return find_cpu(colon + 1, result) && strlen(result->level) == (size_t)(colon - name) &&
               strncmp(result->level, name, (size_t)(colon - name)) == 0;
    for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++) {
        if (strcmp(cpus[i].name, name) == 0) {
            *result = (CodegenTarget){.level = cpus[i].level == 4 ? "x86-64-v4" : "x86-64-v3",
                                      .tune = cpus[i].name,
                                      .lanes = cpus[i].level == 4 ? 16 : 8};
            return true;
        }
    }
    return false;
}

bool native_cpu_ok(const char *cpu)
{
    CodegenTarget t;
    return find_cpu(cpu, &t);
}

const char *native_cpu_list(void)
{
#define CPU(name, level) " " name
    static const char list[] = CPU_LIST(CPU);
#undef CPU
    return list + 1;
}

static bool llvm_failed(Diag *d, const char *what, char *message)
{
    diag_internal(d, (Span){0}, "native code: %s: %s", what, message ? message : "unknown");
    LLVMDisposeMessage(message);
    return false;
}

static LLVMTargetMachineRef create_machine(Diag *d, const CodegenTarget *t, unsigned opt_level)
{
    static const LLVMCodeGenOptLevel levels[] = {LLVMCodeGenLevelNone, LLVMCodeGenLevelLess,
                                                 LLVMCodeGenLevelDefault,
                                                 LLVMCodeGenLevelAggressive};
    const char *triple = "x86_64-pc-linux-gnu";
    char *message = NULL;
    LLVMTargetRef target;
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    if (LLVMGetTargetFromTriple(triple, &target, &message)) {
        llvm_failed(d, triple, message);
        return NULL;
    }
    return LLVMCreateTargetMachine(target, triple, t->level, "", levels[opt_level], LLVMRelocPIC,
                                   LLVMCodeModelSmall);
}

/* The middle end. The code arrives in vectors and tiles, so LLVM's own vectorisers and
 * unrolling would only add time and bytes. */
static bool optimise(Diag *d, LLVMModuleRef module, LLVMTargetMachineRef machine,
                     unsigned opt_level)
{
    char passes[16];
    snprintf(passes, sizeof passes, "default<O%u>", opt_level);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMPassBuilderOptionsSetLoopVectorization(options, false);
    LLVMPassBuilderOptionsSetSLPVectorization(options, false);
    LLVMPassBuilderOptionsSetLoopUnrolling(options, false);
    LLVMPassBuilderOptionsSetLoopInterleaving(options, false);
    LLVMErrorRef error = LLVMRunPasses(module, passes, machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (!error)
        return true;
    char *message = LLVMGetErrorMessage(error);
    diag_internal(d, (Span){0}, "native code: optimising: %s", message);
    LLVMDisposeErrorMessage(message);
    return false;
}

static bool write_text(Diag *d, LLVMModuleRef module, LLVMTargetMachineRef machine,
                       const NativeOptions *options)
{
    bool ok = true;
    char *message = NULL;
    LLVMMemoryBufferRef text;
    switch (options->emit) {
    case NATIVE_EMIT_NONE:
        break;
    case NATIVE_EMIT_LLVM:
        message = LLVMPrintModuleToString(module);
        ok = io_write(d, options->emit_path, message, strlen(message));
        LLVMDisposeMessage(message);
        break;
    case NATIVE_EMIT_ASM: {
        /* Emission changes a module, so it gets a copy. */
        LLVMModuleRef copy = LLVMCloneModule(module);
        if (LLVMTargetMachineEmitToMemoryBuffer(machine, copy, LLVMAssemblyFile, &message, &text)) {
            ok = llvm_failed(d, "assembly", message);
        } else {
            ok = io_write(d, options->emit_path, LLVMGetBufferStart(text), LLVMGetBufferSize(text));
            LLVMDisposeMemoryBuffer(text);
        }
        LLVMDisposeModule(copy);
        break;
    }
    }
    return ok;
}

static bool compile_module(Arena *a, Diag *d, const Image *image, LLVMModuleRef module,
                           LLVMTargetMachineRef machine, const NativeOptions *options,
                           NativeCode *result)
{
    char *message = NULL;
    LLVMSetTarget(module, "x86_64-pc-linux-gnu");
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(module, layout);
    LLVMDisposeTargetData(layout);
    if (LLVMVerifyModule(module, LLVMReturnStatusAction, &message))
        return llvm_failed(d, "verifier", message);
    LLVMDisposeMessage(message);
    message = NULL;
    if (!optimise(d, module, machine, options->opt_level) ||
        !write_text(d, module, machine, options))
        return false;
    LLVMMemoryBufferRef object;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMObjectFile, &message, &object))
        return llvm_failed(d, "object", message);
    bool ok = native_link(a, d, (const uint8_t *)LLVMGetBufferStart(object),
                          LLVMGetBufferSize(object), image->n_classes, result);
    LLVMDisposeMemoryBuffer(object);
    return ok;
}

bool native_compile(Arena *a, Diag *d, const Image *image, const NativeOptions *options,
                    NativeCode *result)
{
    CodegenTarget target;
    const char *cpu = options->cpu ? options->cpu : "x86-64-v3";
    if (!find_cpu(cpu, &target))
        return diag_error(d, (Span){0}, "no native code for cpu '%s'; known are %s", cpu,
                          native_cpu_list());
    bool *wanted = arena_array(a, bool, image->n_classes);
    for (uint32_t i = 0; i < image->n_cores; i++)
        wanted[image->cores[i].class_id] = true;

    LLVMTargetMachineRef machine = create_machine(d, &target, options->opt_level);
    if (!machine)
        return false;
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = codegen_module(a, context, image, wanted, &target);
    *result = (NativeCode){.cpu = target.level};
    if (strcmp(target.level, target.tune) != 0)
        result->cpu = arena_printf(a, "%s:%s", target.level, target.tune);
    image_programs_digest(image, result->programs);
    bool ok = compile_module(a, d, image, module, machine, options, result);
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
    LLVMDisposeTargetMachine(machine);
    return ok;
}
