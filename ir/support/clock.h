/* SPDX-License-Identifier: Apache-2.0 */
/* ir/support/clock.h - seconds that pass, from some moment on; for reports and limits of time. */
#ifndef WSEC_SUPPORT_CLOCK_H
#define WSEC_SUPPORT_CLOCK_H

#include <time.h>

static inline double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#endif
