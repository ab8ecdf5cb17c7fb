/* SPDX-License-Identifier: Apache-2.0 */
/* frontend/driver/driver.h - the options of wsec and the flows behind them. */
#ifndef WSEC_DRIVER_H
#define WSEC_DRIVER_H

#include "ir/graph.h"
#include "ir/support/options.h"

typedef struct DriverOptions {
#define OPTION(field, kind, letter, name, argument, help) OPTION_TYPE_##kind field;
#include "frontend/driver/options.def"
} DriverOptions;

/* Text to image, by the options; reports to d. */
bool driver_compile(Diag *d, const DriverOptions *o, const char *model);

/* --interpret: the reference evaluator over arrays of samples. */
bool driver_interpret(Arena *a, Diag *d, const DriverOptions *o, Graph *graph);

/* --check-native: rebuilds the native code of an image and compares. */
bool driver_check_native(Diag *d, const char *path);

#endif
