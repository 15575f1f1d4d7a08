#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "record.h"
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

static int run_add(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    json_t *ask_args, *values;
    int status = args_take(c, &command_add, argc, argv, options, 2, ARGS_WORDS_MAX, &args);

    if (status != ARGS_GO_ON)
        return status;
    values = values_of(c, &command_add, &args, 1, &status);
    if (!values)
        return status;
    ask_args = json_object();
    ask_set_text(ask_args, "table", args.words[0]);
    json_object_set_new(ask_args, "values", values);
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

static int run_void(struct client *c, int argc, char **argv)
{
    const char *reason = NULL;
    const struct args_option options[] = {{"reason", ARGS_TEXT, &reason}, {0}};
    struct args args;
    json_t *ask_args, *id;
    int status = args_take(c, &command_void, argc, argv, options, 2, ARGS_WORDS_MAX, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (!reason || !*reason)
        return args_wrong(c, &command_void, "--reason is missing: why does the row say nothing any more?");
    id = text_row_id(args.words + 1, args.count - 1);
    if (!id)
        return args_wrong(c, &command_void, "a part of the ID is empty.");
    ask_args = json_object();
    ask_set_text(ask_args, "table", args.words[0]);
    json_object_set_new(ask_args, "id", record_id(id));
    ask_set_text(ask_args, "reason", reason);
    return tell(c, "void", ask_args);
}

const struct command command_add = {
    .name = "add",
    .summary = "one record by hand",
    .usage = "add TABLE COLUMN=VALUE ...",
    .help =
        "Writes a record and prints it back. What may be left out is filled in: the id, this\n"
        "site, the time. A name stands for the id of what is called so, a label for its code, a\n"
        "French date for a day; yes and no, oui and non for 1 and 0. An empty value is none.\n"
        "\n"
        "  perche add learner birth_family_name=\"Le Goff\" given_names=Aurélie sex=F \\\n"
        "      birth_date=03/02/1991\n"
        "  perche add enrolment learner_id=\"Aurélie Le Goff\" cohort_id=P1 \\\n"
        "      planned_start=2016-03-07 planned_end=2016-08-05 actual_start=2016-03-07\n",
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
