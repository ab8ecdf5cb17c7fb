/* SPDX-License-Identifier: Apache-2.0 */
/* tests/check/hand_images.h - good images written by hand, for mutations to spoil.
 *
 * matvec  y[4] = W x[6] on 3 x 2 cores of an 8 x 8 fabric: x is multicast to all, partial
 *         sums run east on colors 0 and 1, each row's result leaves to a port of its own.
 * residual  x (4 messages) goes from 'fork' to 'pairs', which swaps messages two by two, and
 *         to 'join', which adds what comes on both ways.
 *
 * Everything lies on the arena and may be written to; there is room for MORE_ROUTES more
 * routes and for 2 runs of dead cores. */
#ifndef WSE_TESTS_HAND_IMAGES_H
#define WSE_TESTS_HAND_IMAGES_H

#include "runtime/format/image.h"

enum { MORE_ROUTES = 4 };

// Data words of a core of matvec, whose rectangles are the columns.
enum {
    MATVEC_FIRST,
    MATVEC_MIDDLE,
    MATVEC_LAST,   // flags: place in the chain
    MATVEC_PART,   // address of the core's part of x
    MATVEC_LENGTH, // elements of x
    MATVEC_SPARE,
    MATVEC_DATA,
};

// Segments of its cores, in this order.
enum {
    MATVEC_CODE_SEGMENT,
    MATVEC_DATA_SEGMENT,
    MATVEC_WEIGHTS,
    MATVEC_X,
    MATVEC_SUM,
    MATVEC_RING_X,
    MATVEC_RING_CHAIN, // not in the first column
};

// Its operations.
enum {
    MATVEC_OP_RECEIVE,
    MATVEC_OP_CLEAR,
    MATVEC_OP_MAC,
    MATVEC_OP_SEND = 4,
};

// Its routes.
enum {
    ROUTE_X_IN,
    ROUTE_X_TOP,
    ROUTE_X_CORNER,
    ROUTE_X_BOTTOM,
    ROUTE_CHAIN_0,
    ROUTE_CHAIN_0_END,
    ROUTE_CHAIN_1,
    ROUTE_CHAIN_1_END,
    ROUTE_Y,
    ROUTE_Y_OUT,
    N_MATVEC_ROUTES
};

Image matvec_image(Arena *a);
Image residual_image(Arena *a);

#endif
