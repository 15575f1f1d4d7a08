#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "status.h"
#include "table.h"
#include "text.h"

#define DIGEST_SHOWN 12 /* of 32 digits: enough to compare by eye */

/* What a person should know of a table, "" when nothing: malloc. */
static char *remark(const json_t *table)
{
    static const struct {
        const char *name, *words;
    } counts[] = {
        {"changed", "changed"},   {"added", "added"}, {"removed", "removed"},
        {"restored", "put back"}, {"lost", "lost"},
    };
    const json_t *differs = json_object_get(table, "differs");
    char *out = text_print(
        "%s", json_is_true(json_object_get(table, "gone"))           ? "gone"
              : json_is_true(differs) || json_integer_value(differs) ? "differs"
                                                                     : "");

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        uint64_t n = get_number(table, counts[i].name);
        char digits[TEXT_TIME_MAX], *more;

        if (n == 0)
            continue;
        text_digits(n, digits);
        more = text_print("%s%s%s %s", out, *out ? ", " : "", digits, counts[i].words);
        free(out);
        out = more;
    }
    return out;
}

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
        char rows[TEXT_TIME_MAX], *words = remark(table);

        text_digits(get_number(table, "rows"), rows);
        table_row(t);
        table_cell(t, get_text(table, "table"));
        table_cell(t, rows);
        table_cell_n(t, digest, strnlen(digest, DIGEST_SHOWN));
        table_cell(t, words);
        free(words);
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

/* Rows of all tables under these names. */
static uint64_t sum(const json_t *result, const char *const *names)
{
    const json_t *table;
    uint64_t n = 0;
    size_t i;

    json_array_foreach(get_array(result, "tables"), i, table)
        for (const char *const *name = names; *name; name++)
            n += get_number(table, *name);
    return n;
}

static void say_found(struct client *c, const json_t *result)
{
    static const char *const taken[] = {"changed", "added", "removed", NULL},
                             *const restored[] = {"restored", NULL}, *const lost[] = {"lost", NULL};
    char digits[TEXT_TIME_MAX];
    uint64_t n = sum(result, taken);

    if (n > 0) {
        text_digits(n, digits);
        fprintf(c->err,
                "%s %s been written behind Perche's back (changed, added, removed), and %s an edit\n"
                "of this node now, like any other.\n",
                digits, n == 1 ? "row had" : "rows had", n == 1 ? "is" : "are");
    }
    n = sum(result, restored);
    if (n > 0) {
        text_digits(n, digits);
        fprintf(c->err, "%s %s gone, and nobody had deleted %s: put back from the history.\n",
                digits, n == 1 ? "row was" : "rows were", n == 1 ? "it" : "them");
    }
    n = sum(result, lost);
    if (n > 0) {
        text_digits(n, digits);
        fprintf(c->err, "%s %s gone, and the history here does not know all of %s: a site asks\n"
                        "the hub.\n",
                digits, n == 1 ? "row was" : "rows were", n == 1 ? "it" : "them");
    }
}

/* A record of outcomes or funding that is not as it was signed. */
static void say_record(struct client *c, const json_t *record)
{
    const char *label = get_text(record, "label"), *column = get_text(record, "column"),
               *site = get_text(record, "site"), *row = get_text(record, "row");
    bool labelled = *label && strcmp(label, row) != 0;

    text_say(c->err, "Not as signed: %s %s%s%s%s: %s%s%s%s%s%s.", get_text(record, "table"), row,
             labelled ? " (" : "", labelled ? label : "", labelled ? ")" : "", column, *column ? ": " : "",
             get_text(record, "why"), *site ? " (" : "", site, *site ? ")" : "");
}

static void say_chain(struct client *c, const json_t *result)
{
    const json_t *chain = json_object_get(result, "chain");
    char blocks[TEXT_TIME_MAX], entries[TEXT_TIME_MAX], altered[TEXT_TIME_MAX];
    const json_t *record;
    size_t i;

    if (!json_is_object(chain))
        return;
    text_digits(get_number(chain, "blocks"), blocks);
    if (json_is_integer(json_object_get(chain, "broken")))
        text_say(c->err, "The history is broken at block %llu: %s. The %s before it are as written.",
                 (unsigned long long)get_number(chain, "broken"), get_text(chain, "why"), blocks);
    else
        fprintf(c->err, "The history is unbroken: %s blocks.\n", blocks);
    text_digits(get_number(chain, "entries"), entries);
    text_digits(get_number(chain, "altered"), altered);
    json_array_foreach(get_array(chain, "records"), i, record)
        say_record(c, record);
    if (get_number(chain, "altered") > json_array_size(get_array(chain, "records")))
        fprintf(c->err, "and others: %s in all.\n", altered);
    else if (get_number(chain, "altered") == 0 && json_is_integer(json_object_get(chain, "entries")))
        fprintf(c->err, "Outcomes and funding are what was signed: %s %s.\n", entries,
                get_number(chain, "entries") == 1 ? "entry" : "entries");
    if (get_number(chain, "waiting") > 0)
        fprintf(c->err, "Some of it is on its way: verify again once all is in step.\n");
}

static bool any_table_differs(const json_t *result)
{
    const json_t *table;
    bool any = false;
    size_t i;

    json_array_foreach(get_array(result, "tables"), i, table)
    {
        const json_t *differs = json_object_get(table, "differs");

        any |= json_is_true(differs) || json_integer_value(differs) != 0 || json_is_true(json_object_get(table, "gone"));
    }
    return any;
}

static void say_equal(struct client *c, const json_t *result)
{
    const json_t *equal = json_object_get(result, "equal");
    const char *hub = get_text(result, "hub");
    char *why;

    if (json_is_true(equal)) {
        fprintf(c->err, "Equal: the records are those that the digests were made of%s.\n",
                strcmp(hub, "equal") == 0 ? ", and the hub has the same" : "");
    } else if (json_is_false(equal) && strcmp(hub, "not_equal") == 0) {
        fputs("Not equal: every record here is the one that its digest was made of, and the hub's are others.\n"
              "They are looked for and brought in step: verify again once \"perche status\" says proven equal.\n", c->err);
    } else if (json_is_false(equal) && json_is_object(json_object_get(result, "chain")) && !any_table_differs(result)) {
        fputs("Not as it was written: every record is the one that its digest was made of, but the history or\n"
              "a signature is not (see above). The hub was not asked. Keep this file, and a copy of the last backup.\n", c->err);
    } else if (json_is_false(equal)) {
        fputs("Not equal: where it says \"differs\", the records are not those that the digests were\n"
              "made of.\n", c->err);
    } else if (strcmp(hub, "parked") == 0 || strcmp(hub, "table") == 0) {
        fputs("What waits here is in no digest, so the hub was not asked and only this side was read.\n", c->err);
    } else if (strcmp(hub, "unjoined") == 0) {
        fputs("Only this side was read, and agrees with its digests: this site has not joined a hub.\n", c->err);
    } else if (strcmp(hub, "offline") == 0) {
        why = status_no_line(get_text(result, "state"), get_text(result, "reason"));
        fprintf(c->err, "Only this side was read, and agrees with its digests. The hub was not asked: %s.\n", why);
        free(why);
    } else {
        fputs("The hub could not be asked, so only this side was read.\n", c->err);
    }
}

static int run(struct client *c, int argc, char **argv)
{
    bool chain = false;
    const struct args_option options[] = {{"chain", ARGS_FLAG, &chain}, {0}};
    struct args args;
    json_t *ask_args = NULL, *result = NULL;
    int status = args_take(c, &command_verify, argc, argv, options, 0, 0, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (chain) {
        ask_args = json_object();
        json_object_set_new(ask_args, "chain", json_true());
    }
    status = ask(c, "verify", ask_args, ASK_LONG_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json) {
        ask_print(c, result);
    } else {
        print(c, result);
        print_warnings(c, result);
        say_found(c, result);
    }
    say_chain(c, result);
    if (!json_is_true(json_object_get(result, "equal")))
        status = CLIENT_NO;
    if (status != CLIENT_DONE || !c->json)
        say_equal(c, result);
    json_decref(result);
    return status;
}

const struct command command_verify = {
    .name = "verify",
    .summary = "read every record and compare it with its digest",
    .usage = "verify [--chain]",
    .help = "Recomputes the digests from the records themselves and compares them with those that\n"
            "are kept and with the hub's. What was changed behind Perche's back (triggers dropped,\n"
            "the file edited elsewhere) becomes an edit of this node like any other and goes to the\n"
            "hub; the table says how many rows that were. Rows that went with their table are put\n"
            "back. On a large file it takes minutes; programs can write meanwhile. Exit status 0:\n"
            "equal; 1: not equal, or the hub could not be asked.\n"
            "\n"
            "  --chain  read the history as well: is every block as it was written? And is every\n"
            "           outcome what its author signed? The records that are not are named, also\n"
            "           those that Perche itself has found and taken over; writing the value again\n"
            "           the ordinary way settles these.\n"
            "\n"
            "  perche verify\n"
            "  perche verify --chain\n"
            "  perche --json verify\n",
    .run = run,
};
