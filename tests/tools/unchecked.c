// SPDX-License-Identifier: Apache-2.0
// Stands in for the checker in wse-run-unchecked: images are unfolded and not proven, so that a
// deadlock can be seen to happen. The linker puts it in place of check_image (--wrap).
#include "runtime/check.h"

bool __wrap_check_image(Arena *a, Diag *d, const Image *image, Fabric *fabric);

bool __wrap_check_image(Arena *a, Diag *d, const Image *image, Fabric *fabric)
{
    return fabric_build(a, d, image, fabric);
}
