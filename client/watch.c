#include "client.h"

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "perche/control.h"
#include "status.h"

#define REFRESH_MS 1000 /* a terminal: "12 s ago" goes on while nothing happens */

static void show(struct client *c, const json_t *status)
{
    if (c->json) {
        ask_print(c, status);
    } else if (c->tty) {
        fputs("\033[H\033[J", c->out); /* home; clear what is below */
        status_print(c, status, c->out);
    } else {
        status_line(c, status, c->out);
    }
    fflush(c->out);
}

static int run(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct perche_control_answer answer;
    struct perche_control *control;
    struct perche_err err;
    struct args args;
    json_t *last = NULL;
    int status = args_take(c, &command_watch, argc, argv, options, 0, 0, &args);
    bool refresh;

    if (status != ARGS_GO_ON)
        return status;
    c->stream = true;
    status = ask_open(c, "watch", NULL, &control);
    if (status != CLIENT_DONE)
        return status;
    refresh = c->tty && !c->json;
    if (refresh)
        fputs("\033[2J", c->out);

    for (;;) {
        enum perche_rc rc = perche_control_next(control, refresh ? REFRESH_MS : -1, &answer, &err);

        if (ferror(c->out)) /* whoever read the lines has gone */
            break;
        if (rc == PERCHE_TIMEOUT) {
            if (last)
                show(c, last);
            continue;
        }
        if (rc != PERCHE_OK) {
            status = ask_failed(c, false, &err);
            break;
        }
        if (answer.kind == PERCHE_CONTROL_EVENT) {
            json_decref(last);
            last = json_incref(answer.value);
            show(c, last);
            perche_control_answer_clear(&answer);
            continue;
        }
        if (answer.kind == PERCHE_CONTROL_REFUSED)
            status = ask_failed(c, true, &answer.no);
        perche_control_answer_clear(&answer);
        break;
    }
    json_decref(last);
    perche_control_free(control);
    return status;
}

const struct command command_watch = {
    .name = "watch",
    .summary = "live status, until Ctrl-C",
    .usage = "watch",
    .help = "Shows the status and shows it again whenever it changes. On a terminal one page,\n"
            "else a line for each change; with --json a document on each line.\n"
            "\n"
            "  perche watch\n"
            "  perche watch >> changes.log\n",
    .run = run,
};
