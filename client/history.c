#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "record.h"
#include "status.h"
#include "table.h"
#include "text.h"

/* A new row has each of its columns; those that nobody filled in say nothing. */
static bool says_nothing(const json_t *entry)
{
    return strcmp(get_text(entry, "kind"), "insert") == 0 && *get_text(entry, "column") && json_is_null(json_object_get(entry, "value")) &&
           !json_object_get(entry, "value_bytes");
}

static void print(struct client *c, const json_t *record)
{
    static const char *const heads[] = {"when", "where", "what", "column", "value", "came by"};
    struct table *t = table_new(heads, 6);
    const json_t *entry;
    size_t i;

    record_head(c, record);
    table_keep(t, 0);
    json_array_foreach(get_array(record, "entries"), i, entry)
    {
        char when[TEXT_TIME_MAX] = "";
        uint64_t ms;

        if (says_nothing(entry))
            continue;
        if (get_time(entry, "at", &ms))
            text_exact(ms, when);
        table_row(t);
        table_cell(t, when);
        table_cell(t, get_text(entry, "site"));
        table_cell_take(t, status_reason(get_text(entry, "kind")));
        table_cell(t, get_text(entry, "column"));
        table_cell_take(t, get_member_shown(entry, "value"));
        table_cell(t, get_text(entry, "via"));
    }
    (void)table_print(t, c->out, c->width, c->tty); /* "came by" weighs least */
    table_free(t);
    if (json_is_true(json_object_get(record, "more")))
        fputs("There is more than can be shown at once: these are the latest.\n", c->err);
}

static int run(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    json_t *result = NULL;
    int status = args_take(c, &command_history, argc, argv, options, 2, RECORD_WORDS_MAX, &args);

    if (status != ARGS_GO_ON)
        return status;
    status = record_ask(c, "history", &args, &command_history, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else
        print(c, result);
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_history = {
    .name = "history",
    .summary = "who changed what in a record, where and when",
    .usage = "history TABLE ID",
    .help = "Prints what became of a record: each value that was written, at which site and when,\n"
            "also those that lost a conflict. IDs are written as for \"perche show\".\n"
            "\n"
            "  perche history learner 01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d10\n"
            "  perche --json history outcome_decision 01990c5e-8a02-7f11-8c66-0d4b3a7e9f25,W4\n",
    .run = run,
};
