#include "client.h"

#include <jansson.h>

#include "args.h"
#include "ask.h"

static int run(struct client *c, int argc, char **argv)
{
    const char *scope = NULL;
    const char *level = NULL;
    const struct args_option options[] = {
        {"scope", ARGS_TEXT, &scope},
        {"level", ARGS_TEXT, &level},
        {0},
    };
    struct args args;
    json_t *ask_args, *result = NULL;
    int status = args_take(c, &command_replicate, argc, argv, options, 1, 1, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (!scope || !*scope)
        return args_wrong(c, &command_replicate,
                          "--scope is needed: a column that names the site, or hub, or all.");
    ask_args = json_object();
    ask_set_text(ask_args, "table", args.words[0]);
    ask_set_text(ask_args, "scope", scope);
    ask_set_text(ask_args, "level", level);
    status = ask(c, "replicate", ask_args, ASK_LONG_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else
        fprintf(c->err, "%s is replicated from now on, with the records that it has.\n",
                args.words[0]);
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_replicate = {
    .name = "replicate",
    .summary = "at a hub: keep another table in step",
    .usage = "replicate TABLE --scope COLUMN|hub|all [--level P2]",
    .help =
        "Registers a table of the replica, which needs a primary key that is never NULL and no\n"
        "other unique column. It goes to the sites with the records that it has.\n"
        "\n"
        "  --scope COLUMN  a record belongs to the site whose id stands in this column\n"
        "  --scope hub     the hub alone has it\n"
        "  --scope all     every site has it, the hub writes it\n"
        "  --level LEVEL   how personal its columns are: P0 not at all, P1 they tell who somebody\n"
        "                  is, P2 somebody's situation, P3 what the law protects most (P2)\n"
        "\n"
        "  perche replicate equipment --scope site_id\n"
        "  perche replicate opening_hours --scope all --level P0\n",
    .run = run,
};
