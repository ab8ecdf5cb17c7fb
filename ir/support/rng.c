// SPDX-License-Identifier: Apache-2.0
// Normal deviates without a mathematics library: the same bits on every host.
#include "ir/support/rng.h"

double rng_normal(Rng *r)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += rng_unit(r);
    return sum;
}
