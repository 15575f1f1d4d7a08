#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "table.h"
#include "text.h"

/* The hub's reason codes, for people. */
static const char *words(const char *reason)
{
    static const struct {
        const char *reason, *words;
    } all[] = {
        {"scope", "a row that is not this site's"},
        {"site", "names no site, or one that nobody knows"},
        {"hub_table", "a table that only the hub writes"},
        {"hub_column", "a column that only the hub writes"},
        {"parent", "belongs to a row that this site has not got"},
        {"member", "would make this site a member of a row that it has not got"},
        {"readonly", "this site may read it only"},
        {"move", "only the hub moves it to another site"},
        {"origin", "written in another site's name"},
        {"clock", "its stamp is of the future"},
        {"append", "is only added to: a correction is a row of its own"},
        {"too_large", "larger than a row may be on the line (8 MB a value, 12 MB a row)"},
        {"key", "its key is NULL, or longer than 1,024 bytes"},
        {"type", "a value that the hub's table does not take"},
        {"left", "a deletion that waited for a decision, and then the row left this site"},
        {"trigger", "stays here alone: a trigger keeps what has to go before it"},
        {"schema", "a change of the schema that this file did not take"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(all[i].reason, reason) == 0)
            return all[i].words;
    return reason;
}

static void print(struct client *c, const json_t *refused)
{
    static const char *const heads[] = {"when", "table", "row", "columns", "why", "what was written"};
    struct table *t = table_new(heads, 6);
    const json_t *entry;
    size_t i;

    table_keep(t, 1);
    table_keep(t, 4);
    json_array_foreach(refused, i, entry)
    {
        char when[TEXT_TIME_MAX] = "";
        uint64_t ms;

        if (get_time(entry, "at", &ms))
            text_when(ms, client_now(c), when);
        table_row(t);
        table_cell(t, when);
        table_cell(t, get_text(entry, "table"));
        table_cell(t, get_text(entry, "row"));
        table_cell(t, *get_text(entry, "columns") ? get_text(entry, "columns") : "all");
        table_cell(t, words(get_text(entry, "reason")));
        table_cell_take(t, get_member_shown(entry, "image"));
    }
    if (table_print(t, c->out, c->width, c->tty) > 0 && fflush(c->out) == 0)
        fputs("Not all columns fit here: --json has them.\n", c->err);
    table_free(t);
    /* Of a change of the schema it is one sentence that says what to do: whole, whatever the width. */
    json_array_foreach(refused, i, entry)
    {
        if (strcmp(get_text(entry, "reason"), "schema") == 0) {
            char *row = text_clean(get_text(entry, "columns"), strlen(get_text(entry, "columns")));
            char *why = text_clean(get_text(entry, "image"), strlen(get_text(entry, "image")));

            fprintf(c->out, "\n%s: %s\n", row, why);
            free(row);
            free(why);
        }
    }
}

static int run(struct client *c, int argc, char **argv)
{
    uint64_t limit = 0;
    const struct args_option options[] = {{"limit", ARGS_NUMBER, &limit}, {0}};
    struct args args;
    json_t *ask_args, *result = NULL, *refused;
    int status = args_take(c, &command_refused, argc, argv, options, 0, 0, &args);

    if (status != ARGS_GO_ON)
        return status;
    ask_args = json_object();
    if (limit > 0)
        ask_set_number(ask_args, "limit", limit);
    status = ask(c, "refused", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    refused = get_array(result, "refused");
    if (c->json)
        ask_print(c, result);
    else if (json_array_size(refused) == 0)
        fputs("Nothing that was written here was refused.\n", c->err);
    else
        print(c, refused);
    if (!c->json && json_is_true(json_object_get(result, "more")))
        fputs("There are older ones: --limit N shows more of them; the table perche_refused has them all.\n", c->err);
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_refused = {
    .name = "refused",
    .summary = "at a site: what the hub did not take, and why",
    .usage = "refused [--limit N]",
    .help = "A site writes its own records. What it wrote of others (another site's rows, tables\n"
            "and columns that are the hub's) is put back as it is at the hub; here it stands,\n"
            "newest first, with the values that were written. Nothing else waits for it.\n"
            "\n"
            "  --limit N  show so many, 1,000 if not given\n"
            "\n"
            "  perche refused\n"
            "  perche --json refused\n",
    .run = run,
};
