/* SPDX-License-Identifier: Apache-2.0 */
/* frontend/driver/driver.h - the options of wsec and the flows behind them. */
#ifndef WSEC_DRIVER_H
#define WSEC_DRIVER_H

#include "frontend/frontend.h"
#include "ir/support/options.h"
#include "passes/passes.h"

typedef struct DriverOptions {
#define OPTION(field, kind, letter, name, argument, help) OPTION_TYPE_##kind field;
#include "frontend/driver/options.def"
} DriverOptions;

/* Text to image, by the options; reports to d. */
bool driver_compile(Diag *d, const DriverOptions *o, const char *model);

/* Pictures and dumps of a routed plan that the options ask for. */
bool driver_draw(Diag *d, const DriverOptions *o, const Plan *plan);

/* After a plan that could not be made: notes on what change would make it fit. */
void driver_nearest(Diag *d, const PassContext *failed, const Define *defines, size_t n_defines);

/* --interpret: the reference evaluator over arrays of samples. */
bool driver_interpret(Arena *a, Diag *d, const DriverOptions *o, Graph *graph);

/* --check-native: rebuilds the native code of an image and compares. */
bool driver_check_native(Diag *d, const char *path);

/* --relink: an image for another wafer. */
bool driver_relink(Diag *d, const DriverOptions *o);

/* --yield-sweep: how an image fares on many made-up wafers. */
bool driver_yield(Diag *d, const DriverOptions *o, const char *image);

#endif
