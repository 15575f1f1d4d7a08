#include "client.h"

#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "table.h"
#include "text.h"

#define DIGEST_SHOWN 12 /* of 32 digits: enough to compare by eye */

static void print(struct client *c, const json_t *result)
{
    static const char *const heads[] = {"table", "rows", "digest", ""};
    struct table *t = table_new(heads, 4);
    const json_t *table;
    size_t i;

    table_keep(t, 0);
    table_right(t, 1);
    json_array_foreach(get_array(result, "tables"), i, table)
    {
        const char *digest = get_text(table, "digest");
        char rows[TEXT_TIME_MAX];

        text_digits(get_number(table, "rows"), rows);
        table_row(t);
        table_cell(t, get_text(table, "table"));
        table_cell(t, rows);
        table_cell_n(t, digest, strnlen(digest, DIGEST_SHOWN));
        table_cell(t, json_is_true(json_object_get(table, "differs")) ? "differs" : "");
    }
    (void)table_print(t, c->out, c->width, c->tty); /* four columns fit */
    table_free(t);
}

/* What a person should look at, though the digests may agree: an index or a trigger of a program's that takes rows
 * away unseen, a column that stays here, values that wait. */
static void print_warnings(struct client *c, const json_t *result)
{
    struct fields *f = fields_new();
    const json_t *warning;
    size_t i;

    json_array_foreach(get_array(result, "warnings"), i, warning)
    {
        const char *table = get_text(warning, "table");
        uint64_t n = get_number(warning, "count");
        char count[TEXT_TIME_MAX] = "";

        if (n > 0)
            text_digits(n, count);
        fields_add(f, get_text(warning, "reason"), "%s%s%s%s%s", table, *table ? ": " : "", count,
                   n > 0 ? " " : "", get_text(warning, "text"));
    }
    if (i > 0)
        fputs("\nto look at\n", c->out);
    fields_print(f, c->out, c->width);
    fields_free(f);
}

static int run(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    json_t *result = NULL, *equal;
    int status = args_take(c, &command_verify, argc, argv, options, 0, 0, &args);

    if (status != ARGS_GO_ON)
        return status;
    status = ask(c, "verify", NULL, ASK_LONG_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    equal = json_object_get(result, "equal");
    if (c->json) {
        ask_print(c, result);
    } else {
        print(c, result);
        print_warnings(c, result);
    }
    if (json_is_true(equal)) {
        if (!c->json)
            fputs("Equal: the records are those that the digests were made of.\n", c->err);
    } else if (json_is_false(equal)) {
        fputs(
            "Not equal: where it says \"differs\", the records are not those that the digests were\n"
            "made of, or not the hub's.\n",
            c->err);
        status = CLIENT_NO;
    } else {
        fputs("The hub could not be asked, so only this side was read.\n", c->err);
        status = CLIENT_NO;
    }
    json_decref(result);
    return status;
}

const struct command command_verify = {
    .name = "verify",
    .summary = "read every record and compare it with its digest",
    .usage = "verify",
    .help = "Recomputes the digests from the records themselves and compares them with those that\n"
            "are kept and with the hub's. It finds what was changed while the daemon's triggers\n"
            "were off. On a large file it takes minutes. Exit status 0: equal; 1: not equal, or\n"
            "the hub could not be asked.\n"
            "\n"
            "  perche verify\n"
            "  perche --json verify\n",
    .run = run,
};
