/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WSE_TESTS_TEST_SOUNDNESS_H
#define WSE_TESTS_TEST_SOUNDNESS_H

void test_soundness(void);

#endif
