/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/sandbox.h - a place where code of a stranger can run: a forked child whose threads
 * may compute, wait for each other and end, and make no other system call.
 *
 * What the child shall hand back lies in shared memory mapped before. All it may need is
 * allocated before, too. Whatever happens to the child, the parent only reads a status. */
#ifndef WSE_RUNTIME_SANDBOX_H
#define WSE_RUNTIME_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SANDBOX_MAX_WORKERS = 64 };

/* Zeroed pages, taken when touched; shared with children forked later, or copied on write.
 * NULL if the address space is exhausted. */
void *sandbox_memory(size_t bytes, bool shared);
/* A copy of code, readable and executable and not writable. NULL if that is not allowed. */
void *sandbox_code(const uint8_t *code, size_t bytes);
void sandbox_release(void *memory, size_t bytes); /* either; memory may be NULL */

typedef enum SandboxStatus {
    SANDBOX_DONE,
    SANDBOX_NONE,   /* this system has no sandbox; nothing was run */
    SANDBOX_FAULT,  /* the child was stopped by a signal */
    SANDBOX_STOPPED /* watch() ended it */
} SandboxStatus;

typedef struct SandboxJob {
    unsigned workers;                             /* threads, 1 .. SANDBOX_MAX_WORKERS */
    void (*work)(void *context, unsigned worker); /* in each thread of the child */
    bool (*watch)(void *context); /* in the parent, some times a second; false ends the
                                     child; may be NULL */
    void *context;
} SandboxJob;

/* Runs the job to its end. *why gets a static text unless the status is SANDBOX_DONE. */
SandboxStatus sandbox_run(const SandboxJob *job, const char **why);

/* Whether this host has the instructions of a level: "x86-64-v3", "x86-64-v4", either
 * perhaps followed by a colon and the CPU that code is tuned for. */
bool sandbox_cpu_ok(const char *level);

#endif
