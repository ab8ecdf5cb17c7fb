/* SPDX-License-Identifier: Apache-2.0 */
/* ir/support/options.h - command lines by table.
 *
 * A tool lists its options once, as rows OPTION(field, kind, letter, "name", "ARG", "help") in
 * a .def file, from which come the struct, the parser and --help. Forms accepted: --name,
 * --name=VALUE, --name VALUE, -x, -xVALUE, -x VALUE; "--" ends the options; "-" is an argument. */
#ifndef WSEC_SUPPORT_OPTIONS_H
#define WSEC_SUPPORT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ir/support/arena.h"

typedef struct StringList {
    const char **data;
    size_t n, cap;
} StringList;

typedef enum OptionKind {
    OPTION_FLAG,   /* bool */
    OPTION_STRING, /* const char *, NULL unless given */
    OPTION_LIST,   /* StringList: may be given often */
    OPTION_COUNT,  /* uint64_t */
    OPTION_NUMBER  /* double, finite and not negative */
} OptionKind;

/* C types by kind, for the structs made from a .def file. */
#define OPTION_TYPE_FLAG   bool
#define OPTION_TYPE_STRING const char *
#define OPTION_TYPE_LIST   StringList
#define OPTION_TYPE_COUNT  uint64_t
#define OPTION_TYPE_NUMBER double

typedef struct OptionSpec {
    const char *name;
    char letter; /* 0 if none */
    OptionKind kind;
    const char *argument, *help;
    size_t offset; /* of the field in the options struct */
} OptionSpec;

/* Fills *options. A wrong option, a missing or malformed value: one message on standard error
 * naming the tool and the nearest option, false (exit code 2). Strings point into argv. */
bool options_parse(Arena *a, const char *tool, const OptionSpec *specs, size_t n, void *options,
                   StringList *arguments, int argc, char **argv);

/* Answers --help and --version where they are asked for; then there is nothing else to do. */
bool options_answer(const char *tool, const char *usage, bool help, bool version,
                    const OptionSpec *specs, size_t n);

void options_help(FILE *out, const OptionSpec *specs, size_t n);

/* The position of `value` among n words; else a message with the nearest, and false. */
bool options_choice(const char *tool, const char *option, const char *value,
                    const char *const *words, size_t n, size_t *result);

/* Should diagnostics on this stream be colored? --color=auto|always|never, NO_COLOR. */
bool options_color(const char *tool, const char *when, FILE *stream, bool *result);

#endif
