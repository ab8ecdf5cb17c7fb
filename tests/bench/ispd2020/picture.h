/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/ispd2020/picture.h - a solution of the contest as SVG. */
#ifndef WSEC_BENCH_CONTEST_PICTURE_H
#define WSEC_BENCH_CONTEST_PICTURE_H

#include "ir/support/text.h"
#include "tests/bench/ispd2020/eval.h"

void contest_picture(Text *t, const Kgraph *g, const EvalResult *e, double bound);

#endif
