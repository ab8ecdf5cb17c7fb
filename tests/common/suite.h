/* SPDX-License-Identifier: Apache-2.0 */
/* tests/common/suite.h - runs one CUnit suite as a program for CTest.
 *
 *     static const CU_TestInfo tests[] = {{"name", test_name}, ..., CU_TEST_INFO_NULL};
 *     int main(void) { return suite_run("area", tests); }
 */
#ifndef WSEC_TESTS_SUITE_H
#define WSEC_TESTS_SUITE_H

#include <CUnit/Basic.h>
#include <stdio.h>

/* Non-zero if a test failed or the suite could not run. */
static inline int suite_run(const char *name, const CU_TestInfo *tests)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    CU_pSuite suite = CU_add_suite(name, NULL, NULL);
    for (const CU_TestInfo *t = tests; suite && t->pName; t++)
        if (!CU_add_test(suite, t->pName, t->pTestFunc))
            suite = NULL;
    if (suite) {
        CU_basic_set_mode(CU_BRM_VERBOSE);
        CU_basic_run_tests();
    }
    unsigned failures = suite ? CU_get_number_of_failures() : 1;
    CU_cleanup_registry();
    return failures ? 1 : 0;
}

#endif
