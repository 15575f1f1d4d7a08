#include "args.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "help.h"
#include "text.h"

int args_wrong(struct client *c, const struct command *cmd, const char *fmt, ...)
{
    va_list ap;

    fprintf(c->err, "perche%s%s: ", cmd ? " " : "", cmd ? cmd->name : "");
    va_start(ap, fmt);
    vfprintf(c->err, fmt, ap);
    va_end(ap);
    if (cmd)
        fprintf(c->err, "\nusage: perche %s\n\"perche help %s\" says more.\n", cmd->usage,
                cmd->name);
    else
        fputs("\n\"perche help\" lists the commands.\n", c->err);
    return CLIENT_USAGE;
}

/* Is @arg "--name" or "--name=value"? *value is what stands behind the =, or NULL. */
static bool is_option(const char *arg, const char *name, const char **value)
{
    size_t n = strlen(name);

    if (strncmp(arg, "--", 2) != 0 || strncmp(arg + 2, name, n) != 0)
        return false;
    *value = arg[2 + n] == '=' ? arg + 2 + n + 1 : NULL;
    return arg[2 + n] == '\0' || arg[2 + n] == '=';
}

/* The value of the option at argv[*i], which may be the next argument; NULL = none. */
static const char *value_of(const char *behind, int argc, char **argv, int *i)
{
    if (behind)
        return behind;
    return *i + 1 < argc ? argv[++*i] : NULL;
}

static int global(struct client *c, const struct command *cmd, int argc, char **argv, int *i)
{
    const char *value = NULL;
    const char *arg = argv[*i];

    if (is_option(arg, "json", &value) && !value) {
        c->json = true;
        ++*i;
    } else if (is_option(arg, "socket", &value)) {
        value = value_of(value, argc, argv, i);
        if (!value || !*value)
            return args_wrong(c, cmd, "--socket needs a path.");
        c->socket = value;
        ++*i;
    }
    return ARGS_GO_ON;
}

int args_global(struct client *c, int argc, char **argv, int *i)
{
    return global(c, NULL, argc, argv, i);
}

static int take_option(struct client *c, const struct command *cmd, int argc, char **argv, int *i,
                       const struct args_option *options)
{
    for (const struct args_option *o = options; o->name; o++) {
        const char *value = NULL;

        if (!is_option(argv[*i], o->name, &value))
            continue;
        if (o->kind == ARGS_FLAG) {
            if (value)
                return args_wrong(c, cmd, "--%s takes no value.", o->name);
            *(bool *)o->to = true;
            ++*i;
            return ARGS_GO_ON;
        }
        value = value_of(value, argc, argv, i);
        if (!value)
            return args_wrong(c, cmd, "--%s needs a value.", o->name);
        if (!text_valid(value))
            return args_wrong(c, cmd, "the value of --%s is not UTF-8.", o->name);
        if (o->kind == ARGS_TEXT)
            *(const char **)o->to = value;
        else if (o->kind == ARGS_NUMBER && !text_number(value, o->to))
            return args_wrong(c, cmd, "--%s wants a whole number from 1, not \"%s\".", o->name,
                              value);
        else if (o->kind == ARGS_DURATION && !text_duration(value, o->to))
            return args_wrong(c, cmd, "--%s wants a time such as 60s, 5m, 1h or 7d, not \"%s\".",
                              o->name, value);
        ++*i;
        return ARGS_GO_ON;
    }
    return args_wrong(c, cmd, "there is no option %s here.", argv[*i]);
}

int args_take(struct client *c, const struct command *cmd, int argc, char **argv,
              const struct args_option *options, int words_min, int words_max, struct args *out)
{
    bool only_words = false;
    int rc;

    out->count = 0;
    for (int i = 1; i < argc;) {
        const char *arg = argv[i];
        int before = i;

        if (only_words || arg[0] != '-' || arg[1] == '\0') {
            if (out->count >= words_max || out->count >= ARGS_WORDS_MAX)
                return args_wrong(c, cmd, "\"%s\" is one word too many.", arg);
            if (!text_valid(arg))
                return args_wrong(c, cmd, "word %d is not UTF-8.", out->count + 1);
            out->words[out->count++] = arg;
            i++;
            continue;
        }
        if (strcmp(arg, "--") == 0) {
            only_words = true;
            i++;
            continue;
        }
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            help_command(c, cmd);
            return CLIENT_DONE;
        }
        rc = global(c, cmd, argc, argv, &i);
        if (rc != ARGS_GO_ON)
            return rc;
        if (i != before)
            continue;
        rc = take_option(c, cmd, argc, argv, &i, options);
        if (rc != ARGS_GO_ON)
            return rc;
    }
    if (out->count < words_min)
        return args_wrong(c, cmd, words_min == 1 ? "one word is missing." : "words are missing.");
    return ARGS_GO_ON;
}
