#include "client.h"

#include <jansson.h>

#include "args.h"
#include "ask.h"

static int run(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    json_t *ask_args, *result = NULL;
    int status = args_take(c, &command_revoke, argc, argv, options, 1, 1, &args);

    if (status != ARGS_GO_ON)
        return status;
    ask_args = json_object();
    ask_set_text(ask_args, "site", args.words[0]);
    status = ask(c, "revoke", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else
        fprintf(c->err,
                "%s is out: its line is closed and it is let in no more. What it sent stays; to\n"
                "let a new machine take its place: perche invite %s --replace\n",
                args.words[0], args.words[0]);
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_revoke = {
    .name = "revoke",
    .summary = "at a hub: end a site's membership, at once",
    .usage = "revoke SITE",
    .help = "Closes the line of a site and lets it in no more: for a server that was stolen or\n"
            "sold. What it sent before stays. SITE is its code, name or id.\n"
            "\n"
            "  perche revoke LLP\n",
    .run = run,
};
