#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "table.h"
#include "text.h"

#define LIMIT 100 /* rows, unless --limit says otherwise: a page, not the file */
#define SHORT 12  /* columns of the page: a day, most codes */
#define NAME  16  /* what is left of a name, so that it is still one */

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

static bool is_among(const json_t *names, const char *name)
{
    const json_t *one;
    size_t i;

    json_array_foreach(names, i, one) if (json_is_string(one) && strcmp(json_string_value(one), name) == 0) return true;
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

static void say_left_out(struct client *c, const struct table *t, int left_out)
{
    int columns = table_columns(t);

    if (left_out == 0)
        return;
    fprintf(c->err, "%d of %d columns do not fit here:", left_out, columns);
    for (int i = columns - left_out; i < columns; i++)
        fprintf(c->err, " %s", table_head(t, i));
    fputs(". \"perche show TABLE ID\" and --json have them.\n", c->err);
}

/* Is it short in every row? What would be won by cutting it is less than what a reader loses. */
static bool is_short(const json_t *rows, size_t column)
{
    const json_t *row;
    bool is = true;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        char *text = get_shown(json_array_get(row, column));

        is &= text_width(text) <= SHORT;
        free(text);
    }
    return is;
}

static bool is_empty(const json_t *rows, size_t column)
{
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        char *text = get_shown(json_array_get(row, column));
        bool empty = !*text;

        free(text);
        if (!empty)
            return false;
    }
    return true;
}

static const char *column_name(const json_t *columns, size_t i)
{
    const char *name = json_string_value(json_array_get(columns, i));

    return name ? name : "";
}

/* @full: also columns that have nothing in any row. */
static struct table *table_of(const json_t *result, bool full, int width)
{
    const json_t *columns = get_array(result, "columns"), *rows = get_array(result, "rows"), *row;
    size_t n = json_array_size(columns), *from = must_have(calloc(n + 1, sizeof(*from)));
    const char **heads = must_have(calloc(n + 1, sizeof(*heads)));
    struct table *t;
    int shown = 0;
    size_t k;

    for (size_t i = 0; i < n; i++)
        if (full || i == 0 || !is_empty(rows, i)) {
            heads[shown] = column_name(columns, i);
            from[shown++] = i;
        }
    t = table_new(heads, shown);
    table_least(t, NAME);
    for (int i = 0; i < shown; i++) {
        if (i == 0 || (width >= TABLE_WHOLE_FROM && (is_among(get_array(result, "codes"), heads[i]) || is_short(rows, from[i]))))
            table_whole(t, i);
        if (is_numeric(rows, from[i]))
            table_right(t, i);
    }
    json_array_foreach(rows, k, row)
    {
        table_row(t);
        for (int i = 0; i < shown; i++)
            table_cell_take(t, get_shown(json_array_get(row, from[i])));
    }
    free(heads);
    free(from);
    return t;
}

static void say_empty(struct client *c, const json_t *result)
{
    const json_t *columns = get_array(result, "columns");
    bool any = false;

    for (size_t i = 1; i < json_array_size(columns); i++)
        if (is_empty(get_array(result, "rows"), i)) {
            fprintf(c->err, "%s%s", any ? " " : "Empty in all of these: ", column_name(columns, i));
            any = true;
        }
    if (any)
        fputs(".\n", c->err);
}

static void print_rows(struct client *c, const json_t *result)
{
    const json_t *rows = get_array(result, "rows");
    struct table *t = table_of(result, true, c->width);
    bool fits = table_fits(t, c->width) || json_array_size(rows) == 0;

    if (!fits) {
        table_free(t);
        t = table_of(result, false, c->width);
    }
    if (json_array_size(get_array(result, "columns")) > 0)
        say_left_out(c, t, table_print(t, c->out, c->width, c->tty));
    (void)fflush(c->out); /* both may go to one file: words come behind the rows */
    if (!fits)
        say_empty(c, result);
    if (json_array_size(rows) == 0)
        fputs("No record.\n", c->err);
    else if (json_is_true(json_object_get(result, "more")))
        fprintf(c->err, "These are the first %zu; --limit N shows more.\n", json_array_size(rows));
    table_free(t);
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
        if (!c->json)
            ask_set_flag(ask_args, "names");
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
        "Prints the records of a table, one a line; without TABLE, the tables. What names another\n"
        "record shows what that is called; --where compares with ids, which --json has.\n"
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
