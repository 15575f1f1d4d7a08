#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "text.h"

#define LINE_MAX_BYTES 65536 /* far more than any invitation */

/* The first line of the input, without blanks around it; malloc, NULL = none. */
static char *read_line(FILE *in)
{
    char *line = must_have(malloc(LINE_MAX_BYTES));
    size_t n;

    if (!fgets(line, LINE_MAX_BYTES, in)) {
        free(line);
        return NULL;
    }
    n = strcspn(line, "\r\n");
    line[n] = '\0';
    return line;
}

static int run(struct client *c, int argc, char **argv)
{
    const char *url = NULL;
    const struct args_option options[] = {{"url", ARGS_TEXT, &url}, {0}};
    char *line = NULL;
    struct args args;
    json_t *ask_args, *result = NULL;
    int status = args_take(c, &command_join, argc, argv, options, 1, 1, &args);
    const char *given;

    if (status != ARGS_GO_ON)
        return status;
    given = args.words[0];
    if (strcmp(given, "-") == 0)
        given = line = read_line(c->in);
    if (!given || !*given || !text_valid(given)) {
        free(line);
        return args_wrong(c, &command_join, "there is no line of an invitation.");
    }
    ask_args = json_object();
    ask_set_text(ask_args, "line", given);
    ask_set_text(ask_args, "url", url);
    free(line);
    status = ask(c, "join", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json) {
        ask_print(c, result);
    } else {
        const char *name = get_text(result, "name");

        if (*get_text(result, "warning"))
            text_say(c->err, "Note: %s", get_text(result, "warning"));
        text_say(c->err, "Joined%s%s. The first sync runs now; \"perche watch\" shows it.",
                 *name ? " as " : "", name);
    }
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_join = {
    .name = "join",
    .summary = "at a site: join the hub that sent the line",
    .usage = "join LINE [--url URL]",
    .help = "Joins with the line that \"perche invite\" printed at the hub. What was written here\n"
            "before goes to the hub. \"-\" reads the line from the input, so that it stays out of\n"
            "the shell's history.\n"
            "\n"
            "  --url URL       where this site reaches the hub, if not at the line's own address\n"
            "\n"
            "  perche join - < line.txt\n"
            "  perche join perche1:... --url tls+tcp://192.0.2.7:7447\n",
    .run = run,
};
