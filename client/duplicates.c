#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "table.h"
#include "text.h"

static char *person(const json_t *learner)
{
    return text_print("%s, %s (%s)", *get_text(learner, "name") ? get_text(learner, "name") : "no name",
                      *get_text(learner, "birth_date") ? get_text(learner, "birth_date") : "day of birth not known", get_text(learner, "site"));
}

static void print(struct client *c, const json_t *pairs)
{
    static const char *const heads[] = {"id", "one", "the other", "score", "state"};
    struct table *t = table_new(heads, 5);
    const json_t *pair;
    size_t i;

    table_whole(t, 0);
    table_right(t, 3);
    json_array_foreach(pairs, i, pair)
    {
        char score[TEXT_TIME_MAX];

        text_digits(get_number(pair, "score"), score);
        table_row(t);
        table_cell(t, get_text(pair, "id"));
        table_cell_take(t, person(json_object_get(pair, "a")));
        table_cell_take(t, person(json_object_get(pair, "b")));
        table_cell(t, score);
        table_cell(t, strcmp(get_text(pair, "state"), "OPEN") == 0   ? "to decide"
                      : strcmp(get_text(pair, "state"), "SAME") == 0 ? "one person"
                                                                     : "two people");
    }
    (void)table_print(t, c->out, c->width, c->tty);
    table_free(t);
}

static int list(struct client *c, bool all)
{
    json_t *ask_args = json_object(), *result = NULL, *pairs;
    int status;

    if (all)
        ask_set_flag(ask_args, "all");
    status = ask(c, "duplicates", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    pairs = get_array(result, "duplicates");
    if (c->json)
        ask_print(c, result);
    else if (json_array_size(pairs) == 0)
        fputs("Nobody who may be here twice waits for a decision.\n", c->err);
    else
        print(c, pairs);
    json_decref(result);
    return CLIENT_DONE;
}

static int run(struct client *c, int argc, char **argv)
{
    static const char *const words[][2] = {{"same", "SAME"}, {"different", "DIFFERENT"}, {"undo", "UNDO"}};
    bool all = false;
    const struct args_option options[] = {{"all", ARGS_FLAG, &all}, {0}};
    struct args args;
    json_t *ask_args, *result = NULL;
    const char *decision = NULL;
    int status = args_take(c, &command_duplicates, argc, argv, options, 0, 2, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (args.count == 0)
        return list(c, all);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(args.words[0], words[i][0]) == 0)
            decision = words[i][1];
    if (!decision || args.count != 2 || all)
        return args_wrong(c, &command_duplicates, "it is same, different or undo, and the ID of a pair.");
    ask_args = json_object();
    ask_set_text(ask_args, "id", args.words[1]);
    ask_set_text(ask_args, "decision", decision);
    status = ask(c, "link", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else
        fputs(strcmp(decision, "SAME") == 0        ? "They are one person now; both keep their ids, and it can be undone.\n"
              : strcmp(decision, "DIFFERENT") == 0 ? "They are two people.\n"
                                                   : "It is open again.\n",
              c->out);
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_duplicates = {
    .name = "duplicates",
    .summary = "at a hub: learners who may be one person",
    .usage = "duplicates [--all] | duplicates same|different|undo ID",
    .help =
        "Lists pairs of learners of whom much says that they are one person: names, day of birth,\n"
        "telephone, identifier. Nothing is merged by itself, and no id is ever rewritten: who is\n"
        "said to be the same is counted once, and that can be undone.\n"
        "\n"
        "  --all   those too that somebody has decided\n"
        "\n"
        "  perche duplicates\n"
        "  perche duplicates same 01990c5e\n"
        "  perche duplicates undo 01990c5e\n",
    .run = run,
};
