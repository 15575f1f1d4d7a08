#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "record.h"
#include "table.h"
#include "text.h"

char *record_joined(const json_t *array, const char *between)
{
    char *out = text_copy("", 0);
    const json_t *item;
    size_t i;

    json_array_foreach(array, i, item)
    {
        char *text = get_shown(item);
        char *longer = text_print("%s%s%s", out, i > 0 ? between : "", text);

        free(text);
        free(out);
        out = longer;
    }
    return out;
}

void record_head(struct client *c, const json_t *record)
{
    json_t *scope = get_array(record, "scope");
    char *key = record_joined(get_array(record, "key"), ",");
    struct fields *f = fields_new();

    fields_add(f, get_text(record, "table"), "%s", key);
    if (*get_text(record, "label"))
        fields_add(f, "what", "%s", get_text(record, "label"));
    if (scope) {
        char *sites = record_joined(scope, ", ");

        fields_add(f, "held by", "%s",
                   *sites == '\0'            ? "the hub alone"
                   : strcmp(sites, "*") == 0 ? "every site"
                                             : sites);
        free(sites);
    }
    if (json_is_true(json_object_get(record, "deleted")))
        fields_add(f, "state", "deleted");
    fields_print(f, c->out, c->width);
    fputc('\n', c->out);
    fields_free(f);
    free(key);
}

struct json_t *record_id(json_t *id)
{
    json_t *one;

    if (json_array_size(id) != 1)
        return id;
    one = json_incref(json_array_get(id, 0));
    json_decref(id);
    return one;
}

int record_ask(struct client *c, const char *command, const struct args *args,
               const struct command *cmd, json_t **result)
{
    json_t *id = text_row_id(args->words + 1, args->count - 1);
    json_t *ask_args;

    if (!id)
        return args_wrong(c, cmd, "a part of the ID is empty.");
    ask_args = json_object();
    ask_set_text(ask_args, "table", args->words[0]);
    json_object_set_new(ask_args, "id", record_id(id));
    return ask(c, command, ask_args, ASK_MS, result);
}

/* What a column says; of one that names a record, what that is called and its id. malloc. */
static char *value_of(const json_t *column)
{
    char *value = get_member_shown(column, "value"), *both;

    if (!*get_text(column, "called"))
        return value;
    both = text_print("%s (%s)", get_text(column, "called"), value);
    free(value);
    return both;
}

void record_print(struct client *c, const json_t *record)
{
    static const char *const heads[] = {"column", "value", "when", "where", ""};
    struct table *t = table_new(heads, 5);
    bool contested = false;
    const json_t *column;
    size_t i;

    record_head(c, record);
    table_keep(t, 0);
    json_array_foreach(get_array(record, "columns"), i, column)
    {
        bool open = json_is_true(json_object_get(column, "contested"));
        char when[TEXT_TIME_MAX] = "";
        uint64_t ms;

        if (get_time(column, "at", &ms))
            text_when(ms, client_now(c), when);
        table_row(t);
        table_cell(t, get_text(column, "name"));
        table_cell_take(t, value_of(column));
        table_cell(t, when);
        table_cell(t, get_text(column, "site"));
        table_cell(t, open ? "to decide" : "");
        contested |= open;
    }
    (void)table_print(t, c->out, c->width, c->tty); /* five columns; the last ones weigh least */
    table_free(t);
    if (contested)
        fputs("Another site wrote another value: \"perche conflicts\" shows both.\n", c->err);
}

static int run(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    json_t *result = NULL;
    int status = args_take(c, &command_show, argc, argv, options, 2, RECORD_WORDS_MAX, &args);

    if (status != ARGS_GO_ON)
        return status;
    status = record_ask(c, "show", &args, &command_show, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else
        record_print(c, result);
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_show = {
    .name = "show",
    .summary = "one record: values, when and where each was written",
    .usage = "show TABLE ID",
    .help =
        "Prints a record: each column with its value, when and at which site it was written,\n"
        "and which sites hold the record. The ID of a table with several key columns is its\n"
        "values with commas between them, or as several words; \"\\,\" is a comma in a value. Of an\n"
        "ID in one piece any beginning that is no other's will do, and so does what the record is\n"
        "called, capitals and accents or not; of a name that several have their ids are told.\n"
        "\n"
        "  perche show learner \"Aurélie Le Goff\"\n"
        "  perche show learner 01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d10\n"
        "  perche show learner 01990c5e-7d1a\n"
        "  perche show outcome_decision 01990c5e-8a02-7f11-8c66-0d4b3a7e9f25,W4\n"
        "  perche show outcome_decision \"Aurélie Le Goff\" W4\n",
    .run = run,
};
