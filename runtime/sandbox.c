// SPDX-License-Identifier: Apache-2.0
// runtime/sandbox.c - a child process under a seccomp filter (Linux, libseccomp).
//
// Order is everything: memory is mapped, the child forked, its threads started and waiting at
// a barrier, all descriptors but one pipe given up, then the filter loaded for all threads at
// once (SECCOMP_FILTER_FLAG_TSYNC), and only then the barrier opened. Under the filter threads
// may wait and wake (futex, sched_yield), return memory (madvise), return from signal
// handlers, write to the pipe, and exit; every other call ends the process (SIGSYS).
#define _DEFAULT_SOURCE // MAP_ANONYMOUS
#include "runtime/sandbox.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum { WATCH_MS = 50 };

// What the child says in its one byte before it starts, or instead of starting.
enum { SAY_READY = 'r', SAY_NO_THREADS = 't', SAY_NO_FILTER = 'f' };

void *sandbox_memory(size_t bytes, bool shared)
{
    void *p = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
                   (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void *sandbox_code(const uint8_t *code, size_t bytes)
{
    void *p = sandbox_memory(bytes, false);
    if (!p)
        return NULL;
    memcpy(p, code, bytes);
    if (mprotect(p, bytes, PROT_READ | PROT_EXEC) != 0) {
        sandbox_release(p, bytes);
        return NULL;
    }
    return p;
}

void sandbox_release(void *memory, size_t bytes)
{
    if (memory)
        munmap(memory, bytes ? bytes : 1);
}

// The filter's program; 0 instructions if it cannot be had. libseccomp writes it to a descriptor.
static unsigned short make_filter(int pipe_fd, struct sock_filter *code, size_t max)
{
    static const int calls[] = {SCMP_SYS(futex),          SCMP_SYS(exit),    SCMP_SYS(exit_group),
                                SCMP_SYS(sched_yield),    SCMP_SYS(madvise), SCMP_SYS(rt_sigreturn),
                                SCMP_SYS(restart_syscall)};
    int fds[2];
    if (pipe(fds) != 0)
        return 0;
    scmp_filter_ctx c = seccomp_init(SCMP_ACT_KILL_PROCESS);
    bool ok = c != NULL;
    for (size_t i = 0; ok && i < sizeof calls / sizeof *calls; i++)
        ok = seccomp_rule_add(c, SCMP_ACT_ALLOW, calls[i], 0) == 0;
    ok = ok &&
         seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
                          SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)pipe_fd)) == 0 &&
         seccomp_export_bpf(c, fds[1]) == 0;
    close(fds[1]);
    if (c)
        seccomp_release(c);
    ssize_t bytes = ok ? read(fds[0], code, max * sizeof *code) : 0;
    close(fds[0]);
    return bytes > 0 && (size_t)bytes < max * sizeof *code
               ? (unsigned short)((size_t)bytes / sizeof *code)
               : 0;
}

// Loaded by hand: seccomp_load() frees memory once the filter stands, and an allocator that gives
// it back to the system then makes a call the filter kills for.
static bool load_filter(int pipe_fd)
{
    struct sock_filter code[256];
    struct sock_fprog program = {.filter = code};
    program.len = make_filter(pipe_fd, code, sizeof code / sizeof *code);
    return program.len > 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

typedef struct Child {
    const SandboxJob *job;
    pthread_barrier_t start, end;
} Child;

typedef struct Worker {
    Child *child;
    unsigned number;
} Worker;

static void *worker_main(void *argument)
{
    Worker *w = argument;
    pthread_barrier_wait(&w->child->start); // this thread has started
    pthread_barrier_wait(&w->child->start); // the filter is loaded
    w->child->job->work(w->child->job->context, w->number);
    pthread_barrier_wait(&w->child->end);
    for (;;) // the process ends with the main thread
        pthread_barrier_wait(&w->child->start);
    return NULL;
}

static void say(int fd, char what)
{
    if (write(fd, &what, 1) != 1)
        _exit(1);
}

_Noreturn static void child_main(const SandboxJob *job, int fd)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT};
    Worker workers[SANDBOX_MAX_WORKERS];
    Child child = {.job = job};
    unsigned n = job->workers;
    bool ok = n >= 1 && n <= SANDBOX_MAX_WORKERS;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        signal(faults[i], SIG_DFL);
    ok = ok && pthread_barrier_init(&child.start, NULL, n) == 0 &&
         pthread_barrier_init(&child.end, NULL, n) == 0;
    for (unsigned i = 1; ok && i < n; i++) {
        pthread_t thread;
        workers[i] = (Worker){&child, i};
        ok = pthread_create(&thread, NULL, worker_main, &workers[i]) == 0;
    }
    if (ok)
        pthread_barrier_wait(&child.start);
    if (!ok || !load_filter(fd)) {
        say(fd, ok ? SAY_NO_FILTER : SAY_NO_THREADS);
        _exit(0);
    }
    say(fd, SAY_READY);
    pthread_barrier_wait(&child.start);
    job->work(job->context, 0);
    pthread_barrier_wait(&child.end);
    for (;;) // not _exit(): before functions that do not return sanitizers make calls of theirs
        syscall(SYS_exit_group, 0);
}

static const char *signal_text(int number)
{
    switch (number) {
    case SIGSYS:
        return "native code made a system call";
    case SIGSEGV:
    case SIGBUS:
        return "native code touched memory that is not its own";
    case SIGILL:
        return "native code holds an instruction that this CPU does not know";
    case SIGFPE:
        return "native code divided by zero";
    case SIGTRAP:
        return "native code stopped itself";
    case SIGKILL:
        return "the process of native code was killed; out of memory?";
    default:
        return "the process of native code was ended by a signal";
    }
}

// Waits for the child's end; true if watch() asked for it.
static bool wait_for(const SandboxJob *job, pid_t pid, int fd, char *said)
{
    bool stopped = false;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n = poll(&p, 1, WATCH_MS);
        if (n > 0) {
            char byte;
            ssize_t got = read(fd, &byte, 1);
            if (got == 0)
                return stopped;
            if (got == 1)
                *said = byte;
        }
        if (!stopped && job->watch && !job->watch(job->context)) {
            stopped = true;
            kill(pid, SIGKILL);
        }
    }
}

SandboxStatus sandbox_run(const SandboxJob *job, const char **why)
{
    int fds[2];
    *why = "";
    if (pipe(fds) != 0) {
        *why = "no pipe";
        return SANDBOX_NONE;
    }
    pid_t pid = fork();
    if (pid < 0) {
        close(fds[0]);
        close(fds[1]);
        *why = "no process";
        return SANDBOX_NONE;
    }
    if (pid == 0) {
        close(fds[0]);
        child_main(job, fds[1]);
    }
    close(fds[1]);
    char said = 0;
    bool stopped = wait_for(job, pid, fds[0], &said);
    close(fds[0]);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (stopped) {
        *why = "stopped";
        return SANDBOX_STOPPED;
    }
    if (said != SAY_READY) {
        *why = said == SAY_NO_FILTER    ? "seccomp filters cannot be had"
               : said == SAY_NO_THREADS ? "its threads cannot be started"
                                        : "its process ended before it began";
        return SANDBOX_NONE;
    }
    if (WIFSIGNALED(status)) {
        *why = signal_text(WTERMSIG(status));
        return SANDBOX_FAULT;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        *why = "the process of native code ended early";
        return SANDBOX_FAULT;
    }
    return SANDBOX_DONE;
}

#if defined(__x86_64__)
static bool has(unsigned value, unsigned bits)
{
    return (value & bits) == bits;
}

bool sandbox_cpu_ok(const char *level)
{
    unsigned a, b, c, d, b7, low, high;
    size_t len = strcspn(level, ":");
    bool v4 = len == 9 && strncmp(level, "x86-64-v4", len) == 0;
    if (!v4 && !(len == 9 && strncmp(level, "x86-64-v3", len) == 0))
        return false;
    // FMA, MOVBE, OSXSAVE, AVX, F16C; then the registers that the system saves
    if (!__get_cpuid(1, &a, &b, &c, &d) ||
        !has(c, 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29))
        return false;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if (!has(low, v4 ? 0xe6 : 0x6))
        return false;
    // BMI1, AVX2, BMI2; LZCNT; AVX512 F, DQ, CD, BW, VL
    if (!__get_cpuid_count(7, 0, &a, &b7, &c, &d) || !has(b7, 1u << 3 | 1u << 5 | 1u << 8) ||
        !__get_cpuid(0x80000001, &a, &b, &c, &d) || !has(c, 1u << 5))
        return false;
    return !v4 || has(b7, 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31);
}
#else
bool sandbox_cpu_ok(const char *level)
{
    (void)level;
    return false;
}
#endif
