// SPDX-License-Identifier: Apache-2.0
// Gives every file of the folders on the command line to a fuzz target, without a fuzzer.
#include <dirent.h>
#include <stdio.h>

#include "ir/support/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool replay(Diag *d, const char *path, unsigned *n)
{
    Arena a = {0};
    DIR *folder = opendir(path);
    bool ok = folder || diag_error(d, (Span){0}, "cannot open '%s'", path);
    for (struct dirent *e; ok && (e = readdir(folder)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        Bytes file;
        ok = io_read(d, arena_printf(&a, "%s/%s", path, e->d_name), 0, &file);
        if (ok) {
            LLVMFuzzerTestOneInput(file.data, file.len);
            bytes_free(&file);
            ++*n;
        }
    }
    if (folder)
        closedir(folder);
    arena_free(&a);
    return ok;
}

int main(int argc, char **argv)
{
    Diag d;
    diag_init(&d, "replay");
    unsigned n = 0;
    for (int i = 1; i < argc && replay(&d, argv[i], &n); i++)
        ;
    if (n == 0)
        diag_error(&d, (Span){0}, "there was nothing to replay");
    printf("%u files\n", n);
    int code = diag_exit_code(&d);
    diag_finish(&d);
    return code;
}
