/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/check.h - the independent checker and the proof of liveness.
 *
 * Includes no compiler code and believes nothing: everything is derived from the image.
 * wsec runs it on every finished image before a file appears, wse-run at load,
 * wse-objdump --verify on demand.
 *
 * Rules (each has its own diagnostic, whose text starts with the tag, and a mutation in
 * tests/check that is rejected by it); the one list of them is checks.def. */
#ifndef WSE_RUNTIME_CHECK_H
#define WSE_RUNTIME_CHECK_H

#include "runtime/fabric.h"

typedef enum CheckRule {
#define CHECK(id, tag, doc) CHECK_##id,
#include "runtime/checks.def"
    CHECK_COUNT
} CheckRule;

typedef struct CheckInfo {
    const char *tag, *doc;
} CheckInfo;

extern const CheckInfo check_info[CHECK_COUNT];

/* Reports "tag: message" to d; false. */
bool check_fail(Diag *d, CheckRule rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Structure (fabric_build), memory maps, operands, ports, liveness. On success *fabric is
 * ready for the engines. */
bool check_image(Arena *a, Diag *d, const Image *image, Fabric *fabric);

#endif
