#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "text.h"

static int run(struct client *c, int argc, char **argv)
{
    uint64_t expires_ms = UINT64_C(7) * 86400000;
    const char *code = NULL;
    const char *kind = NULL;
    const char *site = NULL;
    bool replace = false;
    const struct args_option options[] = {
        {"expires", ARGS_DURATION, &expires_ms},
        {"code", ARGS_TEXT, &code},
        {"kind", ARGS_TEXT, &kind},
        {"site", ARGS_TEXT, &site},
        {"replace", ARGS_FLAG, &replace},
        {0},
    };
    char when[TEXT_TIME_MAX];
    struct args args;
    json_t *ask_args, *result = NULL;
    int status = args_take(c, &command_invite, argc, argv, options, 1, 1, &args);
    uint64_t ms;

    if (status != ARGS_GO_ON)
        return status;
    ask_args = json_object();
    ask_set_text(ask_args, "name", args.words[0]);
    ask_set_text(ask_args, "code", code);
    ask_set_text(ask_args, "kind", kind);
    ask_set_text(ask_args, "site", site);
    ask_set_number(ask_args, "expires_in_ms", expires_ms);
    if (replace)
        ask_set_flag(ask_args, "replace");
    status = ask(c, "invite", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json) {
        ask_print(c, result);
    } else {
        char *code_shown = get_member_shown(result, "code");

        text_say(c->out, "%s", get_text(result, "line"));
        fprintf(c->err, "For %s%s%s%s, once", args.words[0], *code_shown ? " (code " : "", code_shown,
                *code_shown ? ")" : "");
        free(code_shown);
        if (get_time(result, "expires", &ms)) {
            text_exact(ms, when);
            fprintf(c->err, ", until %s", when);
        }
        fputs(". On its server: perche join LINE\n"
              "Whoever has the line can join in its place: hand it over like a key.\n",
              c->err);
        if (json_is_true(json_object_get(result, "withdrawn")))
            fputs("The line that was made for this site before has not been used: it serves no more.\n", c->err);
    }
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_invite = {
    .name = "invite",
    .summary = "at a hub: a line with which a site joins",
    .usage = "invite NAME [--expires 7d] [--code C] [--kind K] [--site ID] [--replace]",
    .help =
        "Prints one line: the hub's address, its certificate and a secret that serves once. NAME\n"
        "is a site's code or name; where there is none a site is made. A name that a\n"
        "site has already makes no second one: invite that site by its code.\n"
        "\n"
        "  --expires TIME  the line serves that long (7d); 1h, 2d, 2w\n"
        "  --code C        the new site's code; else NAME in capitals, cut to 8\n"
        "  --kind K        SCHOOL, PLACEMENT_OFFICE, FINANCE_OFFICE or PARTNER_DESK (SCHOOL)\n"
        "  --site ID       the site that has this id already: the hub was put back to a copy\n"
        "                  from before it was invited, and \"perche status\" there says the id\n"
        "  --replace       the site has a machine already, and this one takes its place\n"
        "\n"
        "  perche invite \"La Loupe\" --code LLP\n"
        "  perche invite LLP --replace --expires 1d > line.txt\n",
    .run = run,
};
