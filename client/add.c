#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "record.h"
#include "table.h"
#include "text.h"

/* COLUMN=VALUE words from @first on into an object. NULL: told what is wrong, *status is the exit status. */
static json_t *values_of(struct client *c, const struct command *cmd, const struct args *args, int first, int *status)
{
    json_t *values = json_object();

    for (int i = first; i < args->count; i++) {
        const char *word = args->words[i], *is = strchr(word, '=');
        char *name;

        if (!is || is == word) {
            json_decref(values);
            *status = args_wrong(c, cmd, "\"%s\" is not COLUMN=VALUE.", word);
            return NULL;
        }
        name = text_copy(word, (size_t)(is - word));
        if (json_object_get(values, name)) {
            *status = args_wrong(c, cmd, "%s is given twice.", name);
            free(name);
            json_decref(values);
            return NULL;
        }
        json_object_set_new(values, name, must_have(json_string(is + 1)));
        free(name);
    }
    return values;
}

static int tell(struct client *c, const char *command, json_t *ask_args)
{
    json_t *result = NULL;
    int status = ask(c, command, ask_args, ASK_MS, &result);

    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else
        record_print(c, result);
    json_decref(result);
    return CLIENT_DONE;
}

/* What stands in a column, from the registry. malloc. */
static char *holds(const json_t *table, const json_t *column)
{
    bool hubs = strcmp(get_text(column, "policy"), "hub") == 0 && strcmp(get_text(table, "policy"), "hub") != 0;
    const char *list = get_text(column, "code_list"), *refers = get_text(column, "refers");

    if (*list)
        return text_print("a code of the list %s, or its label", list);
    if (*refers)
        return text_print("the name or id of a row of %.*s", (int)strcspn(refers, "("), refers);
    return text_print("%s", hubs ? "what the hub alone writes" : "");
}

/* `add TABLE` alone: what a record of it may have. */
static int tell_columns(struct client *c, const char *name)
{
    static const char *const heads[] = {"column", "holds"};
    struct table *t = table_new(heads, 2);
    json_t *result = NULL, *table;
    const json_t *column;
    bool found = false;
    size_t i, k;
    int status = ask(c, "tables", NULL, ASK_MS, &result);

    json_array_foreach(get_array(result, "tables"), i, table)
    {
        if (strcmp(get_text(table, "table"), name) != 0)
            continue;
        found = true;
        json_array_foreach(get_array(table, "columns"), k, column)
        {
            table_row(t);
            table_cell(t, get_text(column, "name"));
            table_cell_take(t, holds(table, column));
        }
    }
    if (status == CLIENT_DONE && !found) {
        text_say(c->err, "perche: no table is called %s: \"perche list\" has their names.", name);
        status = CLIENT_NO;
    } else if (status == CLIENT_DONE) {
        table_keep(t, 0);
        (void)table_print(t, c->out, c->width, c->tty); /* two columns fit */
        (void)fflush(c->out);                            /* both may go to one file */
        text_say(c->err, "No COLUMN=VALUE is given. What a list has: perche list code_list --where \"list = 'sex'\"");
        status = CLIENT_USAGE;
    }
    json_decref(result);
    table_free(t);
    return status;
}

static int run_add(struct client *c, int argc, char **argv)
{
    bool anyway = false;
    const struct args_option options[] = {{"anyway", ARGS_FLAG, &anyway}, {0}};
    struct args args;
    json_t *ask_args, *values;
    int status = args_take(c, &command_add, argc, argv, options, 1, ARGS_WORDS_MAX, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (args.count == 1 && !c->json)
        return tell_columns(c, args.words[0]);
    values = values_of(c, &command_add, &args, 1, &status);
    if (!values)
        return status;
    ask_args = json_object();
    ask_set_text(ask_args, "table", args.words[0]);
    json_object_set_new(ask_args, "values", values);
    if (anyway)
        ask_set_flag(ask_args, "anyway");
    return tell(c, "add", ask_args);
}

static int run_set(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    json_t *ask_args, *values, *id;
    int status = args_take(c, &command_set, argc, argv, options, 3, ARGS_WORDS_MAX, &args), words = 1;

    if (status != ARGS_GO_ON)
        return status;
    while (words < args.count && !strchr(args.words[words], '='))
        words++;
    if (words == 1 || words == args.count)
        return args_wrong(c, &command_set, words == 1 ? "the ID is missing." : "no COLUMN=VALUE is given.");
    id = text_row_id(args.words + 1, words - 1);
    if (!id)
        return args_wrong(c, &command_set, "a part of the ID is empty.");
    values = values_of(c, &command_set, &args, words, &status);
    if (!values) {
        json_decref(id);
        return status;
    }
    ask_args = json_object();
    ask_set_text(ask_args, "table", args.words[0]);
    json_object_set_new(ask_args, "id", record_id(id));
    json_object_set_new(ask_args, "values", values);
    return tell(c, "set", ask_args);
}

/* The record that the words from the second on name, into the arguments; false: told what is wrong. */
static bool take_record(struct client *c, const struct command *cmd, const struct args *args, json_t *ask_args)
{
    json_t *id = text_row_id(args->words + 1, args->count - 1);

    if (!id) {
        (void)args_wrong(c, cmd, "a part of the ID is empty.");
        return false;
    }
    ask_set_text(ask_args, "table", args->words[0]);
    json_object_set_new(ask_args, "id", record_id(id));
    return true;
}

static int run_void(struct client *c, int argc, char **argv)
{
    const char *reason = NULL;
    const struct args_option options[] = {{"reason", ARGS_TEXT, &reason}, {0}};
    struct args args;
    json_t *ask_args;
    int status = args_take(c, &command_void, argc, argv, options, 2, ARGS_WORDS_MAX, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (!reason || !*reason)
        return args_wrong(c, &command_void, "--reason is missing: why does the row say nothing any more?");
    ask_args = json_object();
    if (!take_record(c, &command_void, &args, ask_args)) {
        json_decref(ask_args);
        return CLIENT_USAGE;
    }
    ask_set_text(ask_args, "reason", reason);
    return tell(c, "void", ask_args);
}

static int run_delete(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    json_t *ask_args, *result = NULL;
    int status = args_take(c, &command_delete, argc, argv, options, 2, ARGS_WORDS_MAX, &args);

    if (status != ARGS_GO_ON)
        return status;
    ask_args = json_object();
    if (!take_record(c, &command_delete, &args, ask_args)) {
        json_decref(ask_args);
        return CLIENT_USAGE;
    }
    status = ask(c, "delete", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json) {
        ask_print(c, result);
    } else {
        record_print(c, json_object_get(result, "was"));
        (void)fflush(c->out); /* both may go to one file */
        fputs("Deleted: this is what it was. \"perche history\" keeps it.\n", c->err);
    }
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_add = {
    .name = "add",
    .summary = "one record by hand",
    .usage = "add TABLE COLUMN=VALUE ... [--anyway]",
    .help =
        "Writes a record and prints it back. What may be left out is filled in: the id, this\n"
        "site, the time; what is missing is told, with the codes that it may have. A name stands\n"
        "for the id of what is called so, a label for its code, a French date for a day; yes and\n"
        "no, oui and non for 1 and 0. Capitals and accents do not matter. An empty value is none.\n"
        "TABLE alone: the columns that its records have.\n"
        "\n"
        "  --anyway   a learner, though somebody of this name and day of birth is here already\n"
        "\n"
        "  perche add learner birth_family_name=\"Le Goff\" given_names=Aurélie sex=F \\\n"
        "      birth_date=03/02/1991\n"
        "  perche add enrolment learner_id=\"Aurélie Le Goff\" cohort_id=P1 \\\n"
        "      planned_start=07/03/2016 planned_end=05/08/2016 actual_start=07/03/2016\n"
        "  perche add outcome_observation enrolment_id=\"Aurélie Le Goff\" milestone=W4 \\\n"
        "      as_of=02/09/2016 situation=CDI source=LEARNER_CALL recorded_by=ET\n",
    .run = run_add,
};

const struct command command_set = {
    .name = "set",
    .summary = "values of one record, by hand",
    .usage = "set TABLE ID COLUMN=VALUE ...",
    .help =
        "Changes a record and prints it back; values as in \"perche add\". The ID is that of\n"
        "\"perche show\", or what the record is called. Rows of some tables are never changed\n"
        "(marks, results, observations): add the right one, with the id of the wrong one as\n"
        "voids; or \"perche void\".\n"
        "\n"
        "  perche set learner \"Aurélie Le Goff\" call_name=Lili\n"
        "  perche set enrolment \"Aurélie Le Goff\" actual_end=05/08/2016 exit_reason=COMPLETION\n"
        "  perche set outcome_decision \"Aurélie Le Goff\" W4 situation=CDI\n",
    .run = run_set,
};

const struct command command_void = {
    .name = "void",
    .summary = "takes a mark, result or observation back",
    .usage = "void TABLE ID --reason TEXT",
    .help =
        "For a row that was never right and has no other in its place: a mark of the wrong\n"
        "person, a result of another jury. Nothing is removed: a row is added that says which\n"
        "one it takes back, and why; it is printed. Figures count neither. The ID is that of\n"
        "\"perche show\".\n"
        "\n"
        "  perche void attendance 01990c5e-7d1a --reason \"marked for the other Camille\"\n",
    .run = run_void,
};

const struct command command_delete = {
    .name = "delete",
    .summary = "takes a record out, of a table where that may be",
    .usage = "delete TABLE ID",
    .help =
        "For a record that is one no more, and that no other names: who takes part in an event or\n"
        "a project, a contact, a half-day without marks. It goes everywhere; what it was is\n"
        "printed, and \"perche history\" keeps it. Marks, results, observations and money stay\n"
        "(\"perche void\"), an enrolment is ended (\"perche set\"), a person is never deleted so.\n"
        "The ID is that of \"perche show\", or what the record is called.\n"
        "\n"
        "  perche delete event_participant \"Hackathon\" \"Aurélie Le Goff\"\n"
        "  perche delete half_day \"P1 2016-05-05 AM\"\n",
    .run = run_delete,
};
