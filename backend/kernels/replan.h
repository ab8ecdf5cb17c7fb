/* SPDX-License-Identifier: Apache-2.0 */
/* backend/kernels/replan.h - a finished image back to a plan, and on to an image again.
 *
 * A kernel keeps its programs, data, weights and the routes inside its region and may move and
 * turn as a rectangle; streams keep their protocols and rings and get new ways, ports and
 * colors. So the programs' digest stays, and native code with it. */
#ifndef WSEC_KERNELS_REPLAN_H
#define WSEC_KERNELS_REPLAN_H

#include "ir/plan.h"

/* The plan of an image that the checker accepts: kernels where they stand, without graph and
 * nodes but for the types that edges and loads depend on; streams without ways. False with a
 * message if what the image says of its kernels does not fit together. */
bool kernels_replan(Arena *a, Diag *d, const Image *image, Plan *plan);

/* Gives that plan what pictures and dumps of it show besides: streams their ways, ports and rings
 * as the image has them, the host's tensors their names. False with a message if routers lead
 * elsewhere than the image says. */
bool kernels_restore_ways(Arena *a, Diag *d, const Image *image, Plan *plan);

/* The image with its kernels where the plan has them, turned as there but mirrored as before, and
 * streams on the plan's ways. */
bool kernels_move(Arena *a, Diag *d, const Image *image, const Plan *plan, Image *result);

#endif
