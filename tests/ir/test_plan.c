/* SPDX-License-Identifier: Apache-2.0 */
/* tests/ir/test_plan.c - geometry of kernels and protocols of tensors. */
#include "tests/ir/graph_testing.h"

#include "ir/plan.h"
#include "tests/common/suite.h"

/* All eight orientations: every core lands in the region, none twice, neighbors stay
 * neighbors on the side that plan_side() says. */
static void orientations(void)
{
    for (uint32_t turn = 0; turn < 4; turn++)
        for (int mirror = 0; mirror < 2; mirror++) {
            Kernel k = {
                .x = 10, .y = 20, .turn = turn, .mirror = mirror, .shape = {.w = 5, .h = 3}};
            bool hit[5][5] = {{false}};
            uint32_t w, h;
            plan_extent(&k, &w, &h);
            CU_ASSERT_EQUAL(w, turn % 2 ? 3 : 5);
            CU_ASSERT_EQUAL(h, turn % 2 ? 5 : 3);
            for (uint32_t cy = 0; cy < 3; cy++)
                for (uint32_t cx = 0; cx < 5; cx++) {
                    uint32_t x, y, nx, ny;
                    plan_to_fabric(&k, cx, cy, &x, &y);
                    CU_ASSERT_TRUE_FATAL(x >= 10 && x < 10 + w && y >= 20 && y < 20 + h);
                    CU_ASSERT_FALSE(hit[y - 20][x - 10]);
                    hit[y - 20][x - 10] = true;
                    for (int s = 0; s < 4; s++) {
                        int64_t ox = (int64_t)cx + side_dx((Side)s);
                        int64_t oy = (int64_t)cy + side_dy((Side)s);
                        if (ox < 0 || ox >= 5 || oy < 0 || oy >= 3)
                            continue;
                        Side t = plan_side(&k, (Side)s);
                        plan_to_fabric(&k, (uint32_t)ox, (uint32_t)oy, &nx, &ny);
                        CU_ASSERT_EQUAL((int64_t)nx, (int64_t)x + side_dx(t));
                        CU_ASSERT_EQUAL((int64_t)ny, (int64_t)y + side_dy(t));
                    }
                }
            CU_ASSERT_EQUAL(plan_side(&k, SIDE_RAMP), SIDE_RAMP);
        }
    Kernel k = {.turn = 1, .shape = {.w = 5, .h = 3}}; /* clockwise: north becomes east */
    uint32_t x, y;
    CU_ASSERT_EQUAL(plan_side(&k, SIDE_N), SIDE_E);
    plan_to_fabric(&k, 0, 0, &x, &y);
    CU_ASSERT_TRUE(x == 2 && y == 0);
}

static void protocols(void)
{
    Protocol p;
    CU_ASSERT_TRUE(protocol_of(&(Type){DT_F16, 3, {28, 27, 7}}, 3, 2, &p));
    CU_ASSERT_TRUE(p.rows == 28 && p.cols == 27 && p.features == 7 && p.lanes == 3);
    CU_ASSERT_EQUAL(protocol_messages(&p), 56);
    CU_ASSERT_EQUAL(protocol_words(&p), (14 * 3 + 1) / 2);
    CU_ASSERT_TRUE(protocol_of(&(Type){DT_F32, 2, {9, 5}}, 1, 1, &p));
    CU_ASSERT_TRUE(p.rows == 9 && p.cols == 1 && p.features == 5);
    CU_ASSERT_EQUAL(protocol_words(&p), 5);
    CU_ASSERT_TRUE(protocol_of(&(Type){DT_F32, 1, {5}}, 5, 1, &p));
    CU_ASSERT_TRUE(p.rows == 1 && p.cols == 1 && protocol_words(&p) == 1);
    CU_ASSERT_FALSE(protocol_of(&(Type){DT_F32, 0, {0}}, 1, 1, &p));
    CU_ASSERT_FALSE(protocol_of(&(Type){DT_F32, 4, {1, 1, 1, 1}}, 1, 1, &p));
    CU_ASSERT_TRUE(protocol_same_form(&(Type){DT_F32, 1, {5}}, &(Type){DT_F32, 3, {1, 1, 5}}));
    CU_ASSERT_TRUE(protocol_same_form(&(Type){DT_F32, 2, {4, 5}}, &(Type){DT_F32, 3, {4, 1, 5}}));
    CU_ASSERT_FALSE(protocol_same_form(&(Type){DT_F32, 2, {4, 5}}, &(Type){DT_F32, 3, {1, 4, 5}}));
    CU_ASSERT_FALSE(protocol_same_form(&(Type){DT_F32, 1, {5}}, &(Type){DT_F16, 1, {5}}));
}

static void blocks(void)
{
    for (uint32_t n = 1; n < 20; n++)
        for (uint32_t parts = 1; parts <= n; parts++) {
            uint32_t at = 0;
            for (uint32_t k = 0; k < parts; k++) {
                CU_ASSERT_EQUAL(block_begin(n, parts, k), at);
                CU_ASSERT_TRUE(block_size(n, parts, k) > 0);
                at += block_size(n, parts, k);
            }
            CU_ASSERT_EQUAL(at, n);
        }
}

/* Lanes cut features without gaps, the first block is a largest one and no larger than it has to
 * be, and lanes that share a divisor with LANE_GROUPS share as many borders. */
static void lanes(void)
{
    for (uint32_t n = 1; n < 300; n += 1 + n / 16)
        for (uint32_t parts = 1; parts <= n; parts++) {
            uint32_t at = 0, groups = lane_groups(parts);
            for (uint32_t k = 0; k < parts; k++) {
                uint32_t size = lane_size(n, parts, k);
                CU_ASSERT_EQUAL(lane_begin(n, parts, k), at);
                CU_ASSERT_TRUE(size > 0 && size <= lane_size(n, parts, 0));
                at += size;
            }
            CU_ASSERT_EQUAL(at, n);
            CU_ASSERT_EQUAL(lane_size(n, parts, 0), (n + parts - 1) / parts);
            CU_ASSERT_EQUAL(parts % groups, 0);
            for (uint32_t g = 0; g < groups; g++)
                CU_ASSERT_EQUAL(lane_begin(n, parts, g * (parts / groups)),
                                lane_begin(n, groups, g));
        }
    CU_ASSERT_EQUAL(lane_groups(3 * 64), 32);
    CU_ASSERT_EQUAL(lane_groups(24), 8);
    CU_ASSERT_EQUAL(lane_groups(5), 1);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"orientations", orientations},
        {"protocols", protocols},
        {"blocks", blocks},
        {"lanes", lanes},
        CU_TEST_INFO_NULL,
    };
    return suite_run("plan", tests);
}
