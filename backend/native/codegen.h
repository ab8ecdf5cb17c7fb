/* SPDX-License-Identifier: Apache-2.0 */
/* backend/native/codegen.h - the programs of an image as an LLVM module. Private to
 * backend/native. */
#ifndef WSEC_BACKEND_NATIVE_CODEGEN_H
#define WSEC_BACKEND_NATIVE_CODEGEN_H

#include <llvm-c/Core.h>

#include "runtime/format/image.h"

typedef struct CodegenTarget {
    const char *level; /* "x86-64-v3", "x86-64-v4" */
    const char *tune;  /* CPU whose scheduling is assumed */
    unsigned lanes;    /* f32 elements of a vector register */
} CodegenTarget;

/* One function class_<i> for every class with wanted[i]. */
LLVMModuleRef codegen_module(Arena *a, LLVMContextRef context, const Image *image,
                             const bool *wanted, const CodegenTarget *target);

#endif
