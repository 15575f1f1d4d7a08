#include "client.h"

#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"

static int run(struct client *c, int argc, char **argv)
{
    bool begin = false, now = false;
    const struct args_option options[] = {{"begin", ARGS_FLAG, &begin}, {"now", ARGS_FLAG, &now}, {0}};
    struct args args;
    json_t *ask_args, *result = NULL;
    int status = args_take(c, &command_recover, argc, argv, options, 0, 1, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (begin + now + (args.count == 1) != 1)
        return args_wrong(c, &command_recover,
                          begin && now       ? "--begin or --now, not both"
                          : begin || now     ? "--begin and --now are for all sites: name none"
                                             : "a site is wanted, --begin or --now");
    ask_args = json_object();
    if (begin || now)
        json_object_set_new(ask_args, begin ? "begin" : "now", json_true());
    else
        ask_set_text(ask_args, "site", args.words[0]);
    status = ask(c, "recover", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else if (begin)
        fputs("The recovery has begun: the sites show now what this hub has lost. \"perche sites\" says\n"
              "who is still missing.\n",
              c->err);
    else if (now && strcmp(get_text(result, "recovery"), "shows") == 0)
        fputs("Sites that stay away are not waited for any more. Others are in the middle of showing what\n"
              "they have: \"perche sites\" says which. To go on without them too, say it once more.\n",
              c->err);
    else if (now)
        fputs("The recovery has ended. What a site that stayed away could have shown is not waited\n"
              "for any more; it is still taken, as far as that site may write it.\n",
              c->err);
    else
        fprintf(c->err,
                "%s may go on: the next machine that comes is taken for it. If both come again,\n"
                "both are held again.\n",
                args.words[0]);
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_recover = {
    .name = "recover",
    .summary = "at a hub: let a held site go on; begin or end the recovery of a hub",
    .usage = "recover SITE | recover --begin | recover --now",
    .help = "When two machines speak as one site (a copied disk or virtual machine) the hub holds\n"
            "both; \"perche sites\" names their addresses. Switch one of them off, then:\n"
            "\n"
            "  perche recover LLP\n"
            "\n"
            "When the hub itself was put back from an older copy, its sites show it what they have,\n"
            "as soon as half of them have said so. This begins it with fewer:\n"
            "\n"
            "  perche recover --begin\n"
            "\n"
            "and this ends it without those that stay away (a site that has come and is in the middle\n"
            "of it goes on, unless it is said once more):\n"
            "\n"
            "  perche recover --now\n",
    .run = run,
};
