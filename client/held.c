#include "client.h"

#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "record.h"
#include "table.h"
#include "text.h"

/* "40 of 50" */
static char *amount(const json_t *set)
{
    char rows[TEXT_TIME_MAX], of[TEXT_TIME_MAX];

    text_digits(get_number(set, "rows"), rows);
    text_digits(get_number(set, "of"), of);
    return get_number(set, "of") > 0 ? text_print("%s of %s", rows, of) : text_copy(rows, strlen(rows));
}

static void when_of(struct client *c, const json_t *set, char out[TEXT_TIME_MAX])
{
    uint64_t ms;

    out[0] = '\0';
    if (get_time(set, "at", &ms))
        text_when(ms, client_now(c), out);
}

static void print_list(struct client *c, const json_t *held)
{
    static const char *const heads[] = {"id", "since", "table", "rows deleted", "state"};
    struct table *t = table_new(heads, 5);
    const json_t *set;
    size_t i;

    table_keep(t, 0);
    json_array_foreach(held, i, set)
    {
        char id[24], when[TEXT_TIME_MAX];

        (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)get_number(set, "id"));
        when_of(c, set, when);
        table_row(t);
        table_cell(t, id);
        table_cell(t, when);
        table_cell(t, get_text(set, "table"));
        table_cell_take(t, amount(set));
        table_cell(t, get_text(set, "state"));
    }
    (void)table_print(t, c->out, c->width, c->tty); /* five short columns fit */
    table_free(t);
    fputs("See them with: perche held show ID. Then: perche held undo ID puts the rows back,\n"
          "perche held release ID deletes them everywhere.\n",
          c->err);
}

/* "birth_family_name Martin, call_name Camille" */
static char *columns_of(const json_t *entry)
{
    char *all = text_copy("", 0);
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get(entry, "columns"), name, value)
    {
        char *shown = get_shown(value);
        char *longer = text_print("%s%s%s %s", all, *all ? ", " : "", name, shown);

        free(all);
        free(shown);
        all = longer;
    }
    return all;
}

static void print_one(struct client *c, const json_t *set)
{
    static const char *const heads[] = {"row", "what it says"};
    struct fields *f = fields_new();
    struct table *t = table_new(heads, 2);
    char when[TEXT_TIME_MAX];
    char *rows = amount(set);
    const json_t *entry;
    size_t i;

    when_of(c, set, when);
    fields_add(f, "held", "%llu", (unsigned long long)get_number(set, "id"));
    fields_add(f, "table", "%s", get_text(set, "table"));
    fields_add(f, "since", "%s", when);
    fields_add(f, "rows deleted", "%s", rows);
    fields_add(f, "state", "%s", get_text(set, "state"));
    fields_print(f, c->out, c->width);
    fields_free(f);
    free(rows);
    fputc('\n', c->out);
    table_whole(t, 0);
    json_array_foreach(get_array(set, "entries"), i, entry)
    {
        table_row(t);
        table_cell_take(t, record_joined(json_object_get(entry, "key"), ","));
        table_cell_take(t, columns_of(entry));
    }
    (void)table_print(t, c->out, c->width, c->tty);
    table_free(t);
    if (json_is_true(json_object_get(set, "more")))
        fputs("There are more: --limit N shows N of them.\n", c->err);
}

/* The number in @word, or the exit status. */
static int take_id(struct client *c, const char *word, uint64_t *id)
{
    return text_number(word, id) ? ARGS_GO_ON
                                 : args_wrong(c, &command_held, "\"%s\" is no ID: perche held has them.", word);
}

static int run_show(struct client *c, int argc, char **argv)
{
    uint64_t limit = 0, id = 0;
    const struct args_option options[] = {{"limit", ARGS_NUMBER, &limit}, {0}};
    struct args args;
    json_t *ask_args, *result = NULL;
    int status = args_take(c, &command_held, argc, argv, options, 1, 1, &args);

    if (status == ARGS_GO_ON)
        status = take_id(c, args.words[0], &id);
    if (status != ARGS_GO_ON)
        return status;
    ask_args = json_object();
    ask_set_number(ask_args, "id", id);
    if (limit > 0)
        ask_set_number(ask_args, "limit", limit);
    status = ask(c, "held", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else
        print_one(c, result);
    json_decref(result);
    return CLIENT_DONE;
}

static void say(struct client *c, const json_t *result, bool release)
{
    uint64_t rows = get_number(result, "rows"), left = get_number(result, "left"),
             refused = get_number(result, "refused");
    char digits[TEXT_TIME_MAX];

    text_digits(rows, digits);
    text_say(c->err, release ? "%s %s of %s deleted%s. The deletions go to the other sites like any other."
                             : "%s %s of %s back as before%s.",
             digits, rows == 1 ? "row" : "rows", get_text(result, "table"), left > 0 ? ", the last ones in a moment" : "");
    if (refused > 0)
        fprintf(c->err,
                "%llu of them the table does not take back (a constraint of this file, such as a unique\n"
                "index): they wait on under a new ID, see perche held.\n",
                (unsigned long long)refused);
}

static int run_decide(struct client *c, int argc, char **argv, const char *command)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    json_t *ask_args, *result = NULL;
    uint64_t id = 0;
    int status = args_take(c, &command_held, argc, argv, options, 1, 1, &args);

    if (status == ARGS_GO_ON)
        status = take_id(c, args.words[0], &id);
    if (status != ARGS_GO_ON)
        return status;
    ask_args = json_object();
    ask_set_number(ask_args, "id", id);
    status = ask(c, command, ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else
        say(c, result, strcmp(command, "release") == 0);
    json_decref(result);
    return CLIENT_DONE;
}

static int run_list(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    json_t *result = NULL;
    int status = args_take(c, &command_held, argc, argv, options, 0, 0, &args);

    if (status != ARGS_GO_ON)
        return status;
    status = ask(c, "held", NULL, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else if (json_array_size(get_array(result, "held")) == 0)
        fputs("No deletion waits for a person.\n", c->err);
    else
        print_list(c, get_array(result, "held"));
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
        if (strcmp(argv[i], "release") == 0 || strcmp(argv[i], "undo") == 0)
            return run_decide(c, argc - i, argv + i, argv[i]);
        break;
    }
    return run_list(c, argc, argv);
}

const struct command command_held = {
    .name = "held",
    .summary = "mass deletions that wait for a person; release or undo them",
    .usage = "held\n"
             "       perche held show ID [--limit N]\n"
             "       perche held release ID\n"
             "       perche held undo ID",
    .help = "When a program deletes more than 20 rows and more than a fifth of a table at once, the\n"
            "deletion waits: the rows are gone from the table here, and nowhere else. Everything\n"
            "else goes on. A person says whether it was meant.\n"
            "\n"
            "  --limit N   show so many of the rows, 200 if not given\n"
            "\n"
            "  perche held\n"
            "  perche held show 1\n"
            "  perche held release 1    it was meant: the rows are deleted everywhere\n"
            "  perche held undo 1       it was not: the rows come back here as they are elsewhere\n",
    .run = run,
};
