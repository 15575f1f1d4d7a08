#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "csv.h"
#include "text.h"

#define PAGE 5000

static void csv_value(struct csv *csv, const json_t *value)
{
    char *text;

    if (json_is_string(value) || json_is_null(value)) {
        csv_text(csv, json_string_value(value));
        return;
    }
    text = get_shown(value);
    csv_number(csv, text);
    free(text);
}

static void print_page(struct client *c, struct csv *csv, const json_t *result, bool lines, bool first)
{
    const json_t *row, *value;
    size_t i, k;

    if (!lines && first) {
        json_array_foreach(get_array(result, "columns"), k, value) csv_text(csv, json_string_value(value));
        csv_end_row(csv);
    }
    json_array_foreach(get_array(result, "rows"), i, row)
    {
        json_t *doc = lines ? json_object() : NULL;
        char *text;

        json_array_foreach(row, k, value)
        {
            if (doc)
                json_object_set(doc, json_string_value(json_array_get(get_array(result, "columns"), k)), (json_t *)(uintptr_t)value);
            else
                csv_value(csv, value);
        }
        if (!doc) {
            csv_end_row(csv);
            continue;
        }
        text = must_have(json_dumps(doc, JSON_COMPACT | JSON_PRESERVE_ORDER));
        fprintf(c->out, "%s\n", text);
        free(text);
        json_decref(doc);
    }
}

static int run(struct client *c, int argc, char **argv)
{
    const char *format = "csv", *where = NULL;
    bool excel = false;
    const struct args_option options[] = {{"format", ARGS_TEXT, &format}, {"where", ARGS_TEXT, &where}, {"excel", ARGS_FLAG, &excel}, {0}};
    struct csv csv = {.out = c->out};
    struct args args;
    uint64_t done = 0;
    bool more = true;
    int status = args_take(c, &command_export, argc, argv, options, 1, 1, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (strcmp(format, "csv") != 0 && strcmp(format, "jsonl") != 0)
        return args_wrong(c, &command_export, "--format is csv or jsonl, not \"%s\".", format);
    if (strcmp(args.words[0], "entry_sensitive") == 0)
        return args_wrong(c, &command_export, "entry_sensitive goes into no ordinary export.");
    if (excel) {
        csv.between = ';';
        fputs("\xEF\xBB\xBF", c->out);
    }
    while (more) {
        json_t *ask_args = json_object(), *result = NULL;

        ask_set_text(ask_args, "table", args.words[0]);
        ask_set_text(ask_args, "where", where);
        ask_set_number(ask_args, "limit", PAGE);
        ask_set_number(ask_args, "offset", done);
        status = ask(c, "list", ask_args, ASK_LONG_MS, &result);
        if (status != CLIENT_DONE)
            return status;
        print_page(c, &csv, result, strcmp(format, "jsonl") == 0, done == 0);
        more = json_is_true(json_object_get(result, "more"));
        done += json_array_size(get_array(result, "rows"));
        json_decref(result);
    }
    return CLIENT_DONE;
}

const struct command command_export = {
    .name = "export",
    .summary = "records of a table into a file",
    .usage = "export TABLE [--format csv|jsonl] [--where SQL] [--excel]",
    .help =
        "Prints all records of a table, as CSV (RFC 4180, UTF-8) or one JSON object a line. Text\n"
        "that a spreadsheet would take for a formula gets an apostrophe in front, which\n"
        "\"perche import\" takes off again.\n"
        "\n"
        "  --where SQL   only those of which this expression is true\n"
        "  --excel       semicolons and a mark in front, as a French spreadsheet opens it by itself\n"
        "\n"
        "  perche export cohort > cohorts.csv\n"
        "  perche export enrolment --excel --where \"exit_reason IS NULL\" > presents.csv\n",
    .run = run,
};
