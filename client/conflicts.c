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

#define PREFIX_MIN  4 /* of an id: short enough to type, long enough to look like one */
#define PREFIX_SOME 8 /* ... where not all are there to be told apart from */

/* ----------------------------------------------------------------- the list */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The shortest length at which no two of the ids look alike. @some: there are others, which are not here. */
static size_t prefix_length(const json_t *conflicts, bool some)
{
    size_t n = some ? PREFIX_SOME : PREFIX_MIN, count = json_array_size(conflicts);
    const char **ids = must_have(calloc(count + 1, sizeof *ids));

    for (size_t i = 0; i < count; i++)
        ids[i] = get_text(json_array_get(conflicts, i), "id");
    qsort(ids, count, sizeof *ids, by_text);
    for (size_t i = 1; i < count; i++) {
        size_t same = 0;

        while (ids[i][same] && ids[i][same] == ids[i - 1][same])
            same++;
        if (ids[i][same] != ids[i - 1][same] && same >= n) /* an entry twice is no reason */
            n = same + 1;
    }
    free(ids);
    return n;
}

static bool is_kind(const json_t *conflict, const char *kind)
{
    return strcmp(get_text(conflict, "kind"), kind) == 0;
}

/* A side's value in words. Of two records that bear one value, the other one's side has none; that of a deletion neither. malloc. */
static char *side_value(const json_t *conflict, const json_t *side)
{
    char *value = get_member_shown(side, "value");
    const char *words = is_kind(conflict, "unique") || is_kind(conflict, "rule") ? "(another record)" : "(empty)";

    if (*value)
        return value;
    free(value);
    return text_copy(words, strlen(words));
}

/* "EMP_PERMANENT  La Loupe  1 Sep" */
static char *side_text(struct client *c, const json_t *conflict, const json_t *side)
{
    char *value = side_value(conflict, side);
    char when[TEXT_TIME_MAX] = "";
    const char *site = get_text(side, "site");
    char *out;
    uint64_t ms;

    if (get_time(side, "at", &ms))
        text_day(ms, client_now(c), when);
    out = text_print("%s  %s  %s", value, site, when);
    free(value);
    return out;
}

/* Which side was written at this node: 'a', 'b', or 0. */
static char own_side(const json_t *conflict, const json_t *self)
{
    const char *id = get_text(self, "id");
    const char *name = get_text(self, "name");

    for (char side = 'a'; side <= 'b'; side++) {
        const char key[] = {side, '\0'};
        const json_t *written = json_object_get(conflict, key);
        const char *site_id = get_text(written, "site_id");
        const char *site = get_text(written, "site");

        if (*site_id ? strcmp(site_id, id) == 0 : *site && strcmp(site, name) == 0)
            return side;
    }
    return 0;
}

/* What it is about: the label of the record, the column unless the label is all, and what is the matter with it where two
 * values alone do not say it. */
static char *what(const json_t *conflict)
{
    const char *label = get_text(conflict, "label");
    const char *column = get_text(conflict, "column_label");
    const char *matter = is_kind(conflict, "unique") ? ", two records bear the same value"
                         : is_kind(conflict, "deleted") ? ", deleted at the one, edited at the other" : "";
    char *row, *out;

    if (!*column)
        column = get_text(conflict, "column");
    if (*label)
        return text_print("%s%s%s%s", label, *column ? ": " : "", column, matter);
    row = json_is_array(json_object_get(conflict, "row"))
              ? record_joined(json_object_get(conflict, "row"), ",")
              : get_shown(json_object_get(conflict, "row"));
    out = text_print("%s %s%s%s%s", get_text(conflict, "table"), row, *column ? ": " : "", column, matter);
    free(row);
    return out;
}

static char *with_letter(struct client *c, const json_t *conflict, char side)
{
    const char key[] = {side, '\0'};
    char *text = side_text(c, conflict, json_object_get(conflict, key));
    char *out = text_print("%c: %s", side, text);

    free(text);
    return out;
}

static void print_list(struct client *c, const json_t *result, size_t prefix)
{
    static const char *const own[] = {"id", "what", "here", "there", "state"};
    static const char *const others[] = {"id", "what", "one", "the other", "state"};
    const json_t *conflicts = get_array(result, "conflicts");
    const json_t *self = json_object_get(result, "self");
    bool all_own = true;
    bool all_open = true;
    const json_t *conflict;
    struct table *t;
    size_t i;

    json_array_foreach(conflicts, i, conflict)
    {
        all_own &= own_side(conflict, self) != 0;
        all_open &= strcmp(get_text(conflict, "state"), "open") == 0;
    }
    t = table_new(all_own ? own : others, all_open ? 4 : 5);
    table_keep(t, 0);
    json_array_foreach(conflicts, i, conflict)
    {
        const char *id = get_text(conflict, "id");
        char first = own_side(conflict, self) == 'b' ? 'b' : 'a';

        table_row(t);
        table_cell_n(t, id, strnlen(id, prefix));
        table_cell_take(t, what(conflict));
        table_cell_take(t, with_letter(c, conflict, first));
        table_cell_take(t, with_letter(c, conflict, first == 'a' ? 'b' : 'a'));
        if (!all_open)
            table_cell(t, get_text(conflict, "state"));
    }
    (void)table_print(t, c->out, c->width, c->tty); /* four columns fit */
    table_free(t);
    (void)fflush(c->out); /* both may go to one file: the hint comes behind the rows */
    if (all_open)
        fputs("Decide with: perche conflicts resolve ID --take a --reason TEXT\n", c->err);
}

static int run_list(struct client *c, int argc, char **argv)
{
    bool all = false;
    const char *table = NULL;
    const char *row = NULL;
    const struct args_option options[] = {
        {"all", ARGS_FLAG, &all},
        {"table", ARGS_TEXT, &table},
        {"row", ARGS_TEXT, &row},
        {0},
    };
    struct args args;
    json_t *ask_args, *id = NULL, *result = NULL;
    int status = args_take(c, &command_conflicts, argc, argv, options, 0, 0, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (row && !table)
        return args_wrong(c, &command_conflicts, "--row needs --table.");
    if (row) {
        id = text_row_id(&row, 1);
        if (!id)
            return args_wrong(c, &command_conflicts, "a part of --row is empty.");
        id = record_id(id);
    }
    ask_args = json_object();
    if (all)
        ask_set_flag(ask_args, "all");
    ask_set_text(ask_args, "table", table);
    if (id)
        json_object_set(ask_args, "row", id);
    status = ask(c, "conflicts", ask_args, ASK_MS, &result);
    if (status == CLIENT_DONE) {
        if (c->json)
            ask_print(c, result);
        else if (json_array_size(get_array(result, "conflicts")) == 0)
            fputs(all ? "There was no conflict.\n" : "Nothing waits for a decision.\n", c->err);
        else
            print_list(c, result, prefix_length(get_array(result, "conflicts"), table || json_is_true(json_object_get(result, "more"))));
        if (json_is_true(json_object_get(result, "more")))
            fputs("There are more than can be shown at once.\n", c->err);
    }
    json_decref(result);
    json_decref(id);
    return status;
}

/* --------------------------------------------------------------------- show */

static void add_side(struct fields *f, const json_t *conflict, const char *key)
{
    const json_t *side = json_object_get(conflict, key);
    const char *site = get_text(side, "site");
    char *value = side_value(conflict, side);
    char when[TEXT_TIME_MAX] = "at an unknown time";
    uint64_t ms;

    if (get_time(side, "at", &ms))
        text_exact(ms, when);
    fields_add(f, key, "%s", value);
    fields_add(f, "", "%s, %s", site, when);
    free(value);
}

static void print_one(struct client *c, const json_t *conflict)
{
    const json_t *resolved = json_object_get(conflict, "resolved");
    struct fields *f = fields_new();
    char *about = what(conflict);
    char *kind = status_reason(get_text(conflict, "kind"));
    char *row = json_is_array(json_object_get(conflict, "row"))
                    ? record_joined(json_object_get(conflict, "row"), ",")
                    : get_shown(json_object_get(conflict, "row"));

    fields_add(f, "conflict", "%s", get_text(conflict, "id"));
    fields_add(f, "what", "%s", about);
    fields_add(f, "kind", "%s", kind);
    fields_add(f, "record", "%s %s", get_text(conflict, "table"), row);
    if (*get_text(conflict, "column"))
        fields_add(f, "column", "%s", get_text(conflict, "column"));
    fields_add(f, "state", "%s", get_text(conflict, "state"));
    add_side(f, conflict, "a");
    add_side(f, conflict, "b");
    if (json_is_object(resolved)) {
        char *value = get_member_shown(resolved, "value");
        char when[TEXT_TIME_MAX] = "";
        uint64_t ms;

        if (get_time(resolved, "at", &ms))
            text_exact(ms, when);
        if (strcmp(get_text(conflict, "state"), "moot") == 0) { /* by nobody: it has become needless */
            fields_add(f, "closed", "%s: %s", when, get_text(resolved, "reason"));
        } else {
            fields_add(f, "decided", "%s", *value ? value : "(empty)");
            fields_add(f, "", "by %s, %s: %s", get_text(resolved, "by"), when,
                       get_text(resolved, "reason"));
        }
        free(value);
    }
    fields_print(f, c->out, c->width);
    fields_free(f);
    free(about);
    free(kind);
    free(row);
}

static int run_show(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    json_t *ask_args, *result = NULL;
    int status = args_take(c, &command_conflicts, argc, argv, options, 1, 1, &args);

    if (status != ARGS_GO_ON)
        return status;
    ask_args = json_object();
    ask_set_text(ask_args, "id", args.words[0]);
    status = ask(c, "conflict", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else
        print_one(c, json_object_get(result, "conflict"));
    json_decref(result);
    return CLIENT_DONE;
}

/* ------------------------------------------------------------------ resolve */

/* What a decision about two records that bear one value has done, and what is left to do. */
static void say_unique(struct client *c, const json_t *result, bool other)
{
    const json_t *cleared = get_array(result, "cleared"), *other_row;
    const char *column = get_text(result, "column"), *table = get_text(result, "table");
    unsigned long long left = get_number(result, "left"), foreign = get_number(result, "foreign");
    size_t i;

    if (strchr(column, ',')) {
        text_say(c->err, "The records stay as they are: both have the same %s. Change that of one of them (perche set), cancel it, or delete it where that may be.", column);
        return;
    }
    if (other) {
        text_say(c->err, "%s is empty in this record now.", column);
        return;
    }
    json_array_foreach(cleared, i, other_row)
    {
        char *id = record_joined(get_array(other_row, "row"), ",");

        text_say(c->err, "%s is empty now in %s %s (%s), which had the same value.", column, table, id, get_text(other_row, "label"));
        free(id);
    }
    if (left > 0)
        text_say(c->err, "%llu other%s here still with the same value, as %s is never empty there or as one decision empties 16 records at most: perche set gives another.", left,
                 left == 1 ? " is" : "s are", column);
    if (foreign > 0)
        text_say(c->err, "%llu other%s here with the same value %s another site's, which this one may only read. Until that site or the hub changes it, both are asked about again.", foreign,
                 foreign == 1 ? "" : "s", foreign == 1 ? "is" : "are");
    else if (left == 0 && json_array_size(cleared) == 0)
        text_say(c->err, "No other record here has it. One that is elsewhere is asked about there, and at the hub; until it is changed, so is this one again.");
}

static void say_decided(struct client *c, const json_t *result, const char *take)
{
    const char *kind = get_text(result, "kind");

    fputs("Decided. The decision goes to the other sites like any other change.\n", c->err);
    if (json_is_true(json_object_get(result, "brought_back")))
        fputs("The record had been deleted: it is back everywhere. If it was to stay deleted, delete it again.\n", c->err);
    if (strcmp(kind, "unique") == 0 && take)
        say_unique(c, result, json_is_null(json_object_get(result, "value")));
    else if (strcmp(kind, "rule") == 0 && strcmp(get_text(result, "column"), "two situations") == 0)
        fputs("The hub takes it for the outcome. What was seen stays as it was recorded.\n", c->err);
    else if (strcmp(kind, "rule") == 0)
        fputs("The records stay as they are: put the one that is wrong right (perche set, perche void).\n", c->err);
}

static int run_resolve(struct client *c, int argc, char **argv)
{
    const char *take = NULL;
    const char *value = NULL;
    const char *reason = NULL;
    const struct args_option options[] = {
        {"take", ARGS_TEXT, &take},
        {"value", ARGS_TEXT, &value},
        {"reason", ARGS_TEXT, &reason},
        {0},
    };
    struct args args;
    json_t *ask_args, *result = NULL;
    int status = args_take(c, &command_conflicts, argc, argv, options, 1, 1, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (!take == !value)
        return args_wrong(c, &command_conflicts, take ? "--take or --value, not both." : "--take or --value is needed.");
    if (take && strcmp(take, "a") != 0 && strcmp(take, "b") != 0)
        return args_wrong(c, &command_conflicts, "--take is a or b, not \"%s\".", take);
    if (!reason || !*reason)
        return args_wrong(c, &command_conflicts,
                          "--reason is needed: whoever reads the history wants to know why.");
    ask_args = json_object();
    ask_set_text(ask_args, "id", args.words[0]);
    ask_set_text(ask_args, "take", take);
    ask_set_text(ask_args, "value", value);
    ask_set_text(ask_args, "reason", reason);
    status = ask(c, "resolve", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else
        say_decided(c, result, take);
    json_decref(result);
    return CLIENT_DONE;
}

static int run(struct client *c, int argc, char **argv)
{
    /* global options may stand before the word */
    for (int i = 1; i < argc;) {
        int before = i;
        int status = args_global(c, argc, argv, &i);

        if (status != ARGS_GO_ON)
            return status;
        if (i != before)
            continue;
        if (strcmp(argv[i], "show") == 0)
            return run_show(c, argc - i, argv + i);
        if (strcmp(argv[i], "resolve") == 0)
            return run_resolve(c, argc - i, argv + i);
        break;
    }
    return run_list(c, argc, argv);
}

const struct command command_conflicts = {
    .name = "conflicts",
    .summary = "values that wait for a decision; show and resolve them",
    .usage = "conflicts [--all] [--table TABLE [--row ID]]\n"
             "       perche conflicts show ID\n"
             "       perche conflicts resolve ID --take a|b --reason TEXT\n"
             "       perche conflicts resolve ID --value TEXT --reason TEXT",
    .help =
        "When two sites wrote different values without knowing of each other, both are kept and\n"
        "a person decides. Four letters of an ID will do where no other begins so.\n"
        "\n"
        "  --all           also those that are decided\n"
        "  --table TABLE   only those of this table, and with\n"
        "  --row ID        of this record\n"
        "  --take a|b      the value of that side holds; of two records that have one value it is\n"
        "                  emptied in the one that is not taken\n"
        "  --value TEXT    neither: this value holds\n"
        "  --reason TEXT   why; it stands in the history for good\n"
        "\n"
        "  perche conflicts\n"
        "  perche conflicts show 7f3a\n"
        "  perche conflicts resolve 7f3a --take b --reason \"contract seen\"\n"
        "  perche conflicts resolve 7f3a --value TRAINING --reason \"the learner called\"\n",
    .run = run,
};
