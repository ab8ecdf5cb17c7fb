// SPDX-License-Identifier: Apache-2.0
// Whole files in and out. Output goes to a temporary name beside the target and is renamed
// when it is complete, so that no reader ever sees a partial file.
#include "ir/support/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const size_t default_limit = (size_t)16 << 30;
static const size_t first_read = (size_t)1 << 16;
static const size_t largest_write = (size_t)1 << 30;

static const Span nowhere = {0};

static bool read_all(Diag *d, const char *name, int fd, size_t hint, size_t limit, Bytes *result)
{
    size_t cap = hint + 1, len = 0;
    uint8_t *data = malloc(cap);
    while (data) {
        ssize_t n = read(fd, data + len, cap - len < largest_write ? cap - len : largest_write);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            diag_error(d, nowhere, "cannot read '%s': %s", name, strerror(errno));
            break;
        }
        if (n == 0) {
            *result = (Bytes){data, len};
            return true;
        }
        len += (size_t)n;
        if (len > limit) {
            diag_error(d, nowhere, "cannot read '%s': it is larger than %zu bytes", name, limit);
            break;
        }
        if (len == cap) {
            uint8_t *grown = realloc(data, cap * 2);
            if (!grown) {
                diag_error(d, nowhere, "cannot read '%s': out of memory", name);
                break;
            }
            data = grown;
            cap *= 2;
        }
    }
    if (!data)
        diag_error(d, nowhere, "cannot read '%s': out of memory", name);
    free(data);
    return false;
}

bool io_read(Diag *d, const char *path, size_t limit, Bytes *result)
{
    *result = (Bytes){0};
    if (limit == 0)
        limit = default_limit;
    if (strcmp(path, "-") == 0)
        return read_all(d, "standard input", STDIN_FILENO, first_read, limit, result);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return diag_error(d, nowhere, "cannot open '%s': %s", path, strerror(errno));
    struct stat st;
    bool ok = false;
    if (fstat(fd, &st) != 0)
        diag_error(d, nowhere, "cannot read '%s': %s", path, strerror(errno));
    else if (S_ISDIR(st.st_mode))
        diag_error(d, nowhere, "cannot read '%s': it is a directory", path);
    else if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > limit)
        diag_error(d, nowhere, "cannot read '%s': it is larger than %zu bytes", path, limit);
    else
        ok = read_all(d, path, fd, S_ISREG(st.st_mode) ? (size_t)st.st_size : first_read, limit,
                      result);
    close(fd);
    return ok;
}

void bytes_free(Bytes *b)
{
    free(b->data);
    *b = (Bytes){0};
}

static bool write_all(int fd, const void *data, size_t len)
{
    const uint8_t *p = data;
    while (len > 0) {
        ssize_t n = write(fd, p, len < largest_write ? len : largest_write);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

// Devices and pipes (/dev/stdout, /dev/null) are written in place: renaming onto them would
// replace them.
static bool is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

bool io_write(Diag *d, const char *path, const void *data, size_t len)
{
    if (strcmp(path, "-") == 0 || is_special(path)) {
        bool standard = path[0] == '-';
        if (standard)
            fflush(stdout); // what was printed before comes before; io_finish() sees errors
        int fd = standard ? STDOUT_FILENO : open(path, O_WRONLY | O_CLOEXEC);
        bool ok = fd >= 0 && write_all(fd, data, len);
        int error = errno;
        if (!standard && fd >= 0)
            close(fd);
        return ok || diag_error(d, nowhere, "cannot write '%s': %s",
                                standard ? "standard output" : path, strerror(error));
    }
    // A signal that ends the process waits, so that it leaves no temporary file.
    sigset_t fatal, before;
    sigemptyset(&fatal);
    sigaddset(&fatal, SIGINT);
    sigaddset(&fatal, SIGTERM);
    sigaddset(&fatal, SIGHUP);
    sigprocmask(SIG_BLOCK, &fatal, &before);
    Arena scratch = {0};
    char *name = arena_printf(&scratch, "%s.XXXXXX", path);
    int fd = mkstemp(name);
    bool ok = fd >= 0;
    if (ok) {
        mode_t mask = umask(0);
        umask(mask);
        ok = write_all(fd, data, len) && fchmod(fd, 0666 & ~mask) == 0 && fsync(fd) == 0;
        int error = errno;
        if (close(fd) != 0 && ok) {
            ok = false;
            error = errno;
        }
        if (ok && rename(name, path) != 0) {
            ok = false;
            error = errno;
        }
        if (!ok)
            unlink(name);
        errno = error;
    }
    if (!ok)
        diag_error(d, nowhere, "cannot write '%s': %s", path, strerror(errno));
    arena_free(&scratch);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ok;
}

int io_finish(const char *tool, int code)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "%s: error: cannot write 'standard output': %s\n", tool,
            strerror(errno ? errno : EIO));
    return code == EXIT_OK ? EXIT_INPUT : code;
}
