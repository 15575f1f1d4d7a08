#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "table.h"
#include "text.h"

static void print(struct client *c, const json_t *result)
{
    static const char *const heads[] = {"learner", "mark", "minutes", "was"};
    struct table *t = table_new(heads, 4);
    const json_t *row;
    size_t i;

    table_keep(t, 0);
    table_right(t, 2);
    json_array_foreach(get_array(result, "rows"), i, row)
    {
        char minutes[TEXT_TIME_MAX];

        text_digits(get_number(row, "minutes"), minutes);
        table_row(t);
        table_cell(t, get_text(row, "learner"));
        table_cell(t, get_text(row, "mark"));
        table_cell(t, minutes);
        table_cell(t, strcmp(get_text(row, "was"), get_text(row, "mark")) != 0 ? get_text(row, "was") : "");
    }
    (void)table_print(t, c->out, c->width, c->tty);
    table_free(t);
    fputc('\n', c->out);
    text_say(c->out, "%s %s: %llu marked, %llu corrected, %llu as they were.", get_text(result, "day"), get_text(result, "half"),
             (unsigned long long)get_number(result, "marked"), (unsigned long long)get_number(result, "corrected"),
             (unsigned long long)get_number(result, "same"));
}

static int run(struct client *c, int argc, char **argv)
{
    const char *all = NULL, *proof = NULL;
    const struct args_option options[] = {{"all", ARGS_TEXT, &all}, {"proof", ARGS_TEXT, &proof}, {0}};
    struct args args;
    json_t *ask_args, *marks, *result = NULL;
    int status = args_take(c, &command_mark, argc, argv, options, 3, ARGS_WORDS_MAX, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (!all && args.count == 3)
        return args_wrong(c, &command_mark, "say whom: --all present, or LEARNER=MARK.");
    ask_args = json_object();
    ask_set_text(ask_args, "cohort", args.words[0]);
    ask_set_text(ask_args, "day", args.words[1]);
    ask_set_text(ask_args, "half", args.words[2]);
    ask_set_text(ask_args, "all", all);
    ask_set_text(ask_args, "proof", proof);
    marks = json_object();
    for (int i = 3; i < args.count; i++) {
        const char *is = strrchr(args.words[i], '=');
        char *name;

        if (!is || is == args.words[i] || !is[1]) {
            json_decref(marks);
            json_decref(ask_args);
            return args_wrong(c, &command_mark, "\"%s\" is not LEARNER=MARK.", args.words[i]);
        }
        name = text_copy(args.words[i], (size_t)(is - args.words[i]));
        if (json_object_get(marks, name)) {
            status = args_wrong(c, &command_mark, "%s is named twice.", name);
            free(name);
            json_decref(marks);
            json_decref(ask_args);
            return status;
        }
        json_object_set_new(marks, name, must_have(json_string(is + 1)));
        free(name);
    }
    json_object_set_new(ask_args, "marks", marks);
    status = ask(c, "mark", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else
        print(c, result);
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_mark = {
    .name = "mark",
    .summary = "who was there, of one half-day",
    .usage = "mark COHORT DAY AM|PM [--all MARK] [LEARNER=MARK ...] [--proof PROOF]",
    .help =
        "Marks the people of a cohort for a half-day that is planned (\"perche plan\"): everybody\n"
        "with --all, those who are named as it says. Marks that are there and say something else\n"
        "are corrected: the new one voids them, and all stay. Marks are PRESENT, LATE, ABSENT,\n"
        "ABSENT_EXCUSED, DISTANCE_DONE and DISTANCE_NOT_DONE, with minutes as LATE:180. Who was\n"
        "there has all of the minutes unless it says otherwise, who was not has none.\n"
        "\n"
        "  --proof PROOF   PAPER_SCAN, E_SIGNATURE, LMS_TRACE, DELIVERABLE;\n"
        "                  TRAINER_ONLY if not given\n"
        "\n"
        "  perche mark P1 2016-04-12 AM --all present \"Camille Rousseau\"=absent_excused\n"
        "  perche mark P1 12/04/2016 AM \"Julien Moreau\"=late:180\n",
    .run = run,
};
