/* SPDX-License-Identifier: Apache-2.0 */
/* backend/native/native.h - programs of an image to machine code, through LLVM.
 *
 * The code is a cache: the vector programs stay authoritative, and native code is bit-equal
 * with the interpreter on every verified program. Calling convention: runtime/native_abi.h. */
#ifndef WSEC_BACKEND_NATIVE_H
#define WSEC_BACKEND_NATIVE_H

#include "runtime/format/image.h"

typedef enum NativeEmit { NATIVE_EMIT_NONE, NATIVE_EMIT_LLVM, NATIVE_EMIT_ASM } NativeEmit;

typedef struct NativeOptions {
    const char *cpu;       /* NULL: "x86-64-v3"; see native_cpu_ok() */
    unsigned opt_level;    /* 0 .. 3 */
    NativeEmit emit;       /* also write the optimised module as text */
    const char *emit_path; /* "-" is standard output */
} NativeOptions;

/* NativeCode.cpu is "level" or "level:name": the instructions that the code needs, and what it
 * is tuned for; native_compile() takes such a text again, for the same bytes.
 *
 * Whether code can be made for a CPU: x86-64-v3, x86-64-v4, or a CPU known by name to have
 * one of these levels (its code is tuned for it and uses that level). "native" is not
 * accepted: an image must not depend on the host that built it. */
bool native_cpu_ok(const char *cpu);
const char *native_cpu_list(void); /* all names, for messages */

/* Code for all classes that run on cores. Only classes and core rectangles of the image are
 * read. Deterministic. */
bool native_compile(Arena *a, Diag *d, const Image *image, const NativeOptions *options,
                    NativeCode *result);

/* An ELF relocatable object of LLVM to one position-independent blob; entry[i] is the offset
 * of the function "class_<i>", UINT64_MAX where there is none. Refuses undefined symbols. */
bool native_link(Arena *a, Diag *d, const uint8_t *object, size_t len, uint32_t n_classes,
                 NativeCode *result);

#endif
