#include "client.h"

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "perche/control.h"
#include "text.h"

/* The daemon's version, or NULL: this command says its own also when nobody answers. */
static json_t *daemon_version(struct client *c)
{
    struct perche_control_answer answer;
    struct perche_control *control;
    json_t *version = NULL;

    if (perche_control_connect(c->socket, &control, NULL) != PERCHE_OK)
        return NULL;
    if (perche_control_ask(control, "version", NULL, NULL) == PERCHE_OK &&
        perche_control_next(control, 5000, &answer, NULL) == PERCHE_OK) {
        version = json_incref(json_object_get(answer.value, "version"));
        perche_control_answer_clear(&answer);
    }
    perche_control_free(control);
    return version;
}

static int run(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    int status = args_take(c, &command_version, argc, argv, options, 0, 0, &args);
    json_t *version;

    if (status != ARGS_GO_ON)
        return status;
    version = daemon_version(c);
    if (c->json) {
        json_t *doc = must_have(
            json_pack("{s:s, s:o?}", "perche", PERCHE_VERSION, "perched", json_incref(version)));

        ask_print(c, doc);
        json_decref(doc);
    } else {
        char *text = get_shown(version);

        fprintf(c->out, "perche   %s\n", PERCHE_VERSION);
        fprintf(c->out, "perched  %s\n", version ? text : "not running");
        free(text);
    }
    json_decref(version);
    return CLIENT_DONE;
}

const struct command command_version = {
    .name = "version",
    .summary = "versions of the client and of the daemon",
    .usage = "version",
    .help = "Says which version this client is and, when it runs, which version perched is.\n"
            "Exit status 0 also when perched is not running.\n",
    .run = run,
};
