#include "client.h"

#include <jansson.h>

#include "args.h"
#include "ask.h"

static int run(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    json_t *ask_args, *result = NULL;
    int status = args_take(c, &command_retire, argc, argv, options, 1, 1, &args);

    if (status != ARGS_GO_ON)
        return status;
    ask_args = json_object();
    ask_set_text(ask_args, "site", args.words[0]);
    status = ask(c, "retire", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else
        fprintf(c->err,
                "%s is not waited for any more: what was deleted may be forgotten without it. When it\n"
                "comes again it is active again, and what was deleted meanwhile is not brought back.\n",
                args.words[0]);
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_retire = {
    .name = "retire",
    .summary = "at a hub: wait no longer for a site that stays silent",
    .usage = "retire SITE",
    .help = "The hub remembers what was deleted until every active site has heard of it. A site that\n"
            "stays away for long is retired: by itself after [hub] retire_after, or by this. Nothing\n"
            "of it is lost: when it comes, it is active again, its edits arrive, and those of rows that\n"
            "were deleted meanwhile are asked about. SITE is its code, name or id.\n"
            "\n"
            "  perche retire LLP\n",
    .run = run,
};
