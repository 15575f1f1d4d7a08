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
        fputs("This site has left the hub. Its records stay on this machine, and nowhere else\n"
              "gets what is written here from now on. The hub does not know it yet: there,\n"
              "\"perche revoke SITE\" closes the door.\n",
              c->err);
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_leave = {
    .name = "leave",
    .summary = "at a site: sync no more with the hub",
    .usage = "leave",
    .help = "Ends the site's membership from its own side. The records stay here; rows that wait\n"
            "to go are not sent any more, so look at \"perche status\" first.\n"
            "\n"
            "  perche sync --wait && perche leave\n",
    .run = run,
};
