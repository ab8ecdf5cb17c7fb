// SPDX-License-Identifier: Apache-2.0
// tests/native/test_sandbox.c - the sandbox alone. CMake runs this with an allocator that asks the
// system for each piece of memory and gives it back at once: nothing may be allocated or freed
// under the filter, or the child dies before it begins.
#include <string.h>
#include <unistd.h>

#include "runtime/sandbox.h"
#include "tests/common/suite.h"

enum { WORKERS = 4 };

static void mark(void *context, unsigned worker)
{
    ((unsigned char *)context)[worker] = (unsigned char)(worker + 1);
}

static void call_system(void *context, unsigned worker)
{
    (void)context;
    (void)worker;
    (void)getppid();
}

static void test_workers(void)
{
    unsigned char *marks = sandbox_memory(WORKERS, true);
    CU_ASSERT_PTR_NOT_NULL_FATAL(marks);
    for (unsigned n = 1; n <= WORKERS; n++) {
        const char *why;
        memset(marks, 0, WORKERS);
        SandboxJob job = {.work = mark, .context = marks, .workers = n};
        CU_ASSERT_EQUAL(sandbox_run(&job, &why), SANDBOX_DONE);
        CU_ASSERT_STRING_EQUAL(why, "");
        for (unsigned k = 0; k < WORKERS; k++)
            CU_ASSERT_EQUAL(marks[k], k < n ? k + 1 : 0);
    }
    sandbox_release(marks, WORKERS);
}

static void test_system_calls(void)
{
    for (unsigned n = 1; n <= WORKERS; n++) {
        const char *why;
        SandboxJob job = {.work = call_system, .workers = n};
        CU_ASSERT_EQUAL(sandbox_run(&job, &why), SANDBOX_FAULT);
        CU_ASSERT_STRING_EQUAL(why, "native code made a system call");
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {{"workers do their parts", test_workers},
                                        {"system calls end it", test_system_calls},
                                        CU_TEST_INFO_NULL};
    return suite_run("sandbox", tests);
}
