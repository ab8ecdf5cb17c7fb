// SPDX-License-Identifier: Apache-2.0
// Command lines by table.
#include "ir/support/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ir/support/text.h"
#include "ir/support/vec.h"

enum { HELP_COLUMN = 30, MAX_OPTIONS = 128 };

static void list_add(Arena *a, StringList *list, const char *s)
{
    vec_push(a, list, s);
}

static const OptionSpec *find_name(const OptionSpec *specs, size_t n, const char *name, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(specs[i].name) == len && memcmp(specs[i].name, name, len) == 0)
            return &specs[i];
    return NULL;
}

static const OptionSpec *find_letter(const OptionSpec *specs, size_t n, char letter)
{
    for (size_t i = 0; i < n; i++)
        if (specs[i].letter == letter)
            return &specs[i];
    return NULL;
}

static bool unknown(const char *tool, const OptionSpec *specs, size_t n, const char *arg)
{
    Arena a = {0};
    const char *equals = strchr(arg, '=');
    const char *word = arena_strdup(&a, arg, equals ? (size_t)(equals - arg) : strlen(arg));
    const char *names[MAX_OPTIONS];
    for (size_t i = 0; i < n; i++)
        names[i] = specs[i].name;
    const char *near = word[1] == '-' ? text_nearest(word + 2, names, n) : NULL;
    fprintf(stderr, "%s: error: unknown option '%s'", tool, word);
    if (near)
        fprintf(stderr, "; did you mean '--%s'?", near);
    fprintf(stderr, " (--help lists them)\n");
    arena_free(&a);
    return false;
}

static bool set(Arena *a, const char *tool, const OptionSpec *o, void *options, const char *value)
{
    char *field = (char *)options + o->offset;
    char *end = NULL;
    errno = 0;
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)field = true;
        return true;
    case OPTION_STRING:
        *(const char **)field = value;
        return true;
    case OPTION_LIST:
        list_add(a, (StringList *)field, value);
        return true;
    case OPTION_COUNT: {
        unsigned long long v = strtoull(value, &end, 10);
        if (value[0] >= '0' && value[0] <= '9' && *end == '\0' && errno == 0) {
            *(uint64_t *)field = v;
            return true;
        }
        fprintf(stderr, "%s: error: --%s takes a whole number, not '%s'\n", tool, o->name, value);
        return false;
    }
    case OPTION_NUMBER: {
        double v = strtod(value, &end);
        if (*value && *end == '\0' && errno == 0 && v >= 0 && v <= 1e300) {
            *(double *)field = v;
            return true;
        }
        fprintf(stderr, "%s: error: --%s takes a number >= 0, not '%s'\n", tool, o->name, value);
        return false;
    }
    }
    return false;
}

bool options_parse(Arena *a, const char *tool, const OptionSpec *specs, size_t n, void *options,
                   StringList *arguments, int argc, char **argv)
{
    bool only_arguments = false;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (only_arguments || arg[0] != '-' || arg[1] == '\0') {
            list_add(a, arguments, arg);
            continue;
        }
        if (strcmp(arg, "--") == 0) {
            only_arguments = true;
            continue;
        }
        const OptionSpec *o;
        const char *value = NULL;
        if (arg[1] == '-') {
            const char *equals = strchr(arg, '=');
            size_t len = equals ? (size_t)(equals - arg) - 2 : strlen(arg) - 2;
            o = find_name(specs, n, arg + 2, len);
            value = equals ? equals + 1 : NULL;
        } else {
            o = find_letter(specs, n, arg[1]);
            value = arg[2] ? arg + 2 : NULL;
        }
        if (!o)
            return unknown(tool, specs, n, arg);
        if (o->kind == OPTION_FLAG && value) {
            fprintf(stderr, "%s: error: --%s takes no value\n", tool, o->name);
            return false;
        }
        if (o->kind != OPTION_FLAG && !value) {
            if (i + 1 == argc) {
                fprintf(stderr, "%s: error: --%s needs a value: %s\n", tool, o->name, o->argument);
                return false;
            }
            value = argv[++i];
        }
        if (!set(a, tool, o, options, value))
            return false;
    }
    return true;
}

void options_help(FILE *out, const OptionSpec *specs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const OptionSpec *o = &specs[i];
        int used = o->letter ? fprintf(out, "  -%c, --%s", o->letter, o->name)
                             : fprintf(out, "      --%s", o->name);
        if (o->argument[0])
            used += fprintf(out, "=%s", o->argument);
        if (used >= HELP_COLUMN)
            used = fprintf(out, "\n") - 1;
        fprintf(out, "%*s%s\n", HELP_COLUMN - used, "", o->help);
    }
}

bool options_answer(const char *tool, const char *usage, bool help, bool version,
                    const OptionSpec *specs, size_t n)
{
    if (help) {
        puts(usage);
        options_help(stdout, specs, n);
    } else if (version) {
        printf("%s " WSEC_VERSION "\n", tool);
    }
    return help || version;
}

bool options_choice(const char *tool, const char *option, const char *value,
                    const char *const *words, size_t n, size_t *result)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(words[i], value) == 0) {
            *result = i;
            return true;
        }
    }
    fprintf(stderr, "%s: error: --%s takes", tool, option);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "%s %s", i == 0 ? "" : i + 1 == n ? " or" : ",", words[i]);
    fprintf(stderr, ", not '%s'\n", value);
    return false;
}

bool options_color(const char *tool, const char *when, FILE *stream, bool *result)
{
    static const char *const words[] = {"auto", "always", "never"};
    size_t choice = 0;
    if (when && !options_choice(tool, "color", when, words, 3, &choice))
        return false;
    const char *no_color = getenv("NO_COLOR");
    *result = choice == 1 || (choice == 0 && isatty(fileno(stream)) && !(no_color && no_color[0]));
    return true;
}
