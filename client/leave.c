#include "client.h"

#include <jansson.h>

#include "args.h"
#include "ask.h"

static int run(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    json_t *result = NULL;
    int status = args_take(c, &command_leave, argc, argv, options, 0, 0, &args);

    if (status != ARGS_GO_ON)
        return status;
    status = ask(c, "leave", NULL, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else
        fputs("This site has left the hub. The records stay on this machine, and nowhere else gets\n"
              "what is written here from now on. To come back it needs a new invitation; it then\n"
              "goes on from where it was, with all that was written meanwhile.\n",
              c->err);
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_leave = {
    .name = "leave",
    .summary = "at a site: be a member of the hub's network no longer",
    .usage = "leave",
    .help = "Tells the hub that this site is a member no longer. The hub's answer ends it: where the\n"
            "hub cannot be reached, does not let this site in, or something waits here that it has\n"
            "not got, nothing changes, and it says why. Should the answer be lost, say it again.\n"
            "\n"
            "The records, the site's id and its keys stay. With a new line of \"perche invite\" it\n"
            "joins again and goes on from where it was, with all that was written meanwhile. The\n"
            "records cannot join another hub: that takes an empty folder as [node] data.\n"
            "\n"
            "  perche sync --wait && perche leave\n",
    .run = run,
};
