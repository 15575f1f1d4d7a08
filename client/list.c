#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "table.h"
#include "text.h"

#define LIMIT 100 /* rows, unless --limit says otherwise: a page, not the file */

/* `list` alone: the tables. */
static void print_tables(struct client *c, const json_t *tables)
{
    static const char *const heads[] = {"table", "rows", "rule", "policy"};
    struct table *t = table_new(heads, 4);
    const json_t *entry;
    size_t i;

    table_keep(t, 0);
    table_right(t, 1);
    json_array_foreach(tables, i, entry)
    {
        char rows[TEXT_TIME_MAX];

        text_digits(get_number(entry, "rows"), rows);
        table_row(t);
        table_cell(t, get_text(entry, "table"));
        table_cell(t, rows);
        table_cell(t, get_text(entry, "rule"));
        table_cell(t, get_text(entry, "policy"));
    }
    (void)table_print(t, c->out, c->width, c->tty); /* four columns fit */
    table_free(t);
}

static bool is_key(const json_t *keys, const char *column, size_t at)
{
    const json_t *key;
    size_t i;

    if (!keys)
        return at == 0;
    json_array_foreach(keys, i, key) if (json_is_string(key) &&
                                         strcmp(json_string_value(key), column) == 0) return true;
    return false;
}

/* Numbers stand right where a column has nothing else. */
static bool is_numeric(const json_t *rows, size_t column)
{
    bool any = false;
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        const json_t *value = json_array_get(row, column);

        if (json_is_null(value))
            continue;
        if (!json_is_number(value))
            return false;
        any = true;
    }
    return any;
}

static void say_left_out(struct client *c, const struct table *t, int columns, int left_out)
{
    if (left_out == 0)
        return;
    fprintf(c->err, "%d of %d columns do not fit here:", left_out, columns);
    for (int i = columns - left_out; i < columns; i++)
        fprintf(c->err, " %s", table_head(t, i));
    fputs(". \"perche show TABLE ID\" and --json have them.\n", c->err);
}

static void print_rows(struct client *c, const json_t *result)
{
    json_t *columns = get_array(result, "columns");
    json_t *rows = get_array(result, "rows");
    json_t *keys = get_array(result, "key");
    size_t n = json_array_size(columns);
    const char **heads = must_have(calloc(n + 1, sizeof(*heads)));
    struct table *t;
    const json_t *row, *value;
    size_t i, k;

    for (i = 0; i < n; i++) {
        heads[i] = json_string_value(json_array_get(columns, i));
        if (!heads[i])
            heads[i] = "";
    }
    t = table_new(heads, (int)n);
    for (i = 0; i < n; i++) {
        if (is_key(keys, heads[i], i))
            table_whole(t, (int)i);
        if (is_numeric(rows, i))
            table_right(t, (int)i);
    }
    json_array_foreach(rows, i, row)
    {
        table_row(t);
        json_array_foreach(row, k, value) table_cell_take(t, get_shown(value));
    }
    if (n > 0)
        say_left_out(c, t, (int)n, table_print(t, c->out, c->width, c->tty));
    if (json_array_size(rows) == 0)
        fputs("No record.\n", c->err);
    else if (json_is_true(json_object_get(result, "more")))
        fprintf(c->err, "These are the first %zu; --limit N shows more.\n", json_array_size(rows));
    table_free(t);
    free(heads);
}

static int run(struct client *c, int argc, char **argv)
{
    const char *where = NULL;
    uint64_t limit = LIMIT;
    const struct args_option options[] = {
        {"where", ARGS_TEXT, &where},
        {"limit", ARGS_NUMBER, &limit},
        {0},
    };
    struct args args;
    json_t *ask_args = NULL, *result = NULL;
    int status = args_take(c, &command_list, argc, argv, options, 0, 1, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (args.count == 0 && where)
        return args_wrong(c, &command_list, "--where needs a TABLE.");
    if (args.count == 1) {
        ask_args = json_object();
        ask_set_text(ask_args, "table", args.words[0]);
        ask_set_text(ask_args, "where", where);
        ask_set_number(ask_args, "limit", limit);
    }
    status = ask(c, args.count == 1 ? "list" : "tables", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else if (args.count == 1)
        print_rows(c, result);
    else
        print_tables(c, get_array(result, "tables"));
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_list = {
    .name = "list",
    .summary = "records of a table, or the tables",
    .usage = "list [TABLE] [--where SQL] [--limit N]",
    .help =
        "Prints the records of a table, one a line; without TABLE, the tables.\n"
        "\n"
        "  --where SQL     only those of which this expression is true; it reads, it cannot write\n"
        "  --limit N       at most N records (100)\n"
        "\n"
        "  perche list\n"
        "  perche list cohort\n"
        "  perche list enrolment --where \"exit_reason = 'TRANSFER'\" --limit 20\n"
        "  perche --json list site\n",
    .run = run,
};
