#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "status.h"
#include "text.h"

/* What is missing, in words; the conversation's codes. malloc. */
static char *missing(const json_t *result)
{
    const char *code = get_text(result, "missing");

    static const struct {
        const char *code, *words;
    } all[] = {
        {"not_pushed", "not everything that was written here has reached the hub"},
        {"not_pulled", "not everything that the hub has for this site has arrived"},
        {"not_equal", "all has arrived, but no comparison has said equal yet"},
        {"kept_here", "all else has arrived, but here are rows that cannot travel (perche refused)"},
        {"unjoined", "this site has not joined a hub"},
    };

    if (strcmp(code, "offline") == 0)
        return status_no_line(get_text(result, "state"), get_text(result, "reason"));
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(all[i].code, code) == 0)
            return text_copy(all[i].words, strlen(all[i].words));
    return status_reason(*code ? code : "the daemon does not say what is missing");
}

static int run(struct client *c, int argc, char **argv)
{
    bool wait = false;
    uint64_t timeout_ms = 60000;
    const struct args_option options[] = {
        {"wait", ARGS_FLAG, &wait},
        {"timeout", ARGS_DURATION, &timeout_ms},
        {0},
    };
    struct args args;
    json_t *ask_args, *result = NULL;
    int status = args_take(c, &command_sync, argc, argv, options, 0, 0, &args);
    int patience_ms;

    if (status != ARGS_GO_ON)
        return status;
    if (timeout_ms > 86400000)
        return args_wrong(c, &command_sync, "--timeout is at most 24h.");
    ask_args = json_object();
    ask_set_number(ask_args, "timeout_ms", timeout_ms);
    if (wait)
        ask_set_flag(ask_args, "wait");
    patience_ms = wait ? (int)timeout_ms + 15000 : ASK_MS;
    status = ask(c, "sync", ask_args, patience_ms, &result);
    if (status != CLIENT_DONE)
        return status;

    if (c->json)
        ask_print(c, result);
    if (!wait) {
        const char *state = get_text(result, "state");
        bool line = !*state || strcmp(state, "live") == 0 || strcmp(state, "syncing") == 0;
        char *why = status_no_line(state, get_text(result, "reason"));

        if (!c->json && !line)
            fprintf(c->err, "The daemon tries now, and syncs when the line is there. Until then: %s.\n", why);
        else if (!c->json)
            fputs("The daemon is syncing now; \"perche sync --wait\" waits for the end.\n", c->err);
        free(why);
    } else if (json_is_true(json_object_get(result, "done"))) {
        if (!c->json)
            fputs("Done: everything has arrived at both ends, and they are proven equal.\n",
                  c->err);
    } else {
        char *words = missing(result);

        fprintf(c->err, "Not done: %s.\n", words);
        free(words);
        status = CLIENT_NO;
    }
    json_decref(result);
    return status;
}

const struct command command_sync = {
    .name = "sync",
    .summary = "sync with the hub now",
    .usage = "sync [--wait] [--timeout 60s]",
    .help = "Tells the daemon to sync now, without waiting for its interval.\n"
            "\n"
            "  --wait          come back when what both ends had has arrived and a comparison\n"
            "                  has said that they are equal; exit status 1 says what is missing\n"
            "  --timeout TIME  wait that long at most (60s); 250ms, 60s, 5m, 1h\n"
            "\n"
            "  perche sync\n"
            "  perche sync --wait --timeout 5m && echo safe\n",
    .run = run,
};
