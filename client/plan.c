#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "table.h"
#include "text.h"

/* What became of a half-day. */
static const char *fate(const json_t *row)
{
    const char *was = get_text(row, "was"), *state = get_text(row, "state");

    if (!*was)
        return "new";
    if (strcmp(was, state) == 0)
        return strcmp(state, "planned") == 0 ? "there already" : "cancelled before";
    return strcmp(state, "planned") == 0 ? "planned again" : "cancelled";
}

static void print_rows(struct client *c, const json_t *rows)
{
    static const char *const heads[] = {"day", "half", "mode", "minutes", "marked", ""};
    struct table *t = table_new(heads, 6);
    const json_t *row;
    size_t i;

    for (int k = 0; k < 6; k++)
        table_keep(t, k);
    table_right(t, 3);
    table_right(t, 4);
    json_array_foreach(rows, i, row)
    {
        char minutes[TEXT_TIME_MAX], marks[TEXT_TIME_MAX];

        text_digits(get_number(row, "minutes"), minutes);
        text_digits(get_number(row, "marks"), marks);
        table_row(t);
        table_cell(t, get_text(row, "day"));
        table_cell(t, get_text(row, "half"));
        table_cell(t, get_text(row, "mode"));
        table_cell(t, minutes);
        table_cell(t, get_number(row, "marks") > 0 ? marks : "");
        table_cell(t, fate(row));
    }
    (void)table_print(t, c->out, c->width, c->tty); /* six narrow columns fit */
    table_free(t);
}

static void print(struct client *c, const json_t *result, bool cancel, bool restore)
{
    unsigned long long made = get_number(result, "planned"), restored = get_number(result, "restored"), cancelled = get_number(result, "cancelled"),
                       same = get_number(result, "same"), unlike = get_number(result, "unlike"), marks = get_number(result, "marks"), off = 0;
    const json_t *rows = get_array(result, "rows"), *row;
    size_t i;

    json_array_foreach(rows, i, row)
        off += strcmp(fate(row), "cancelled before") == 0;
    if (json_array_size(rows) > 0) {
        print_rows(c, rows);
        fputc('\n', c->out);
    }
    if (cancel)
        text_say(c->out, "%s: %llu half-day%s cancelled, %llu so before.", get_text(result, "cohort"), cancelled, cancelled == 1 ? "" : "s", same);
    else if (restore)
        text_say(c->out, "%s: %llu half-day%s planned again.", get_text(result, "cohort"), restored, restored == 1 ? "" : "s");
    else
        text_say(c->out, "%s: %llu half-day%s planned, %llu there already.", get_text(result, "cohort"), made, made == 1 ? "" : "s", same);
    (void)fflush(c->out); /* both may go to one file: what to do comes behind the rows */
    if (marks > 0)
        text_say(c->err, "Marks that stand on them: %llu. They are kept, and count no more while the half-days are cancelled.", marks);
    if (unlike > 0)
        text_say(c->err, "Of those that were there %llu with other minutes or another mode, as before: \"perche set half_day\" changes one.", unlike);
    if (off > 0 && !cancel && !restore)
        text_say(c->err, "%llu of these stay cancelled: --restore plans them again.", off);
}

static int run(struct client *c, int argc, char **argv)
{
    const char *from = NULL, *to = NULL, *half = NULL, *mode = NULL, *weekdays = NULL;
    uint64_t minutes = 0;
    bool cancel = false, restore = false;
    const struct args_option options[] = {
        {"from", ARGS_TEXT, &from},         {"to", ARGS_TEXT, &to},
        {"half", ARGS_TEXT, &half},         {"mode", ARGS_TEXT, &mode},
        {"weekdays", ARGS_TEXT, &weekdays}, {"minutes", ARGS_NUMBER, &minutes},
        {"cancel", ARGS_FLAG, &cancel},     {"restore", ARGS_FLAG, &restore},
        {0},
    };
    struct args args;
    json_t *ask_args, *result = NULL;
    int status = args_take(c, &command_plan, argc, argv, options, 1, 1, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (!from)
        return args_wrong(c, &command_plan, "--from is missing: the first day.");
    if ((cancel || restore) && (mode || minutes > 0))
        return args_wrong(c, &command_plan, "--mode and --minutes go with neither --cancel nor --restore.");
    ask_args = json_object();
    ask_set_text(ask_args, "cohort", args.words[0]);
    ask_set_text(ask_args, "from", from);
    ask_set_text(ask_args, "to", to);
    ask_set_text(ask_args, "half", half);
    ask_set_text(ask_args, "mode", mode);
    ask_set_text(ask_args, "weekdays", weekdays);
    if (minutes > 0)
        ask_set_number(ask_args, "minutes", minutes);
    if (cancel)
        ask_set_flag(ask_args, "cancel");
    if (restore)
        ask_set_flag(ask_args, "restore");
    status = ask(c, "plan", ask_args, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json)
        ask_print(c, result);
    else
        print(c, result, cancel, restore);
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_plan = {
    .name = "plan",
    .summary = "the half-days of a cohort: makes or cancels them",
    .usage = "plan COHORT --from DAY [--to DAY] [--half AM|PM] [--weekdays mon,tue,...]\n"
             "       [--mode MODE] [--minutes N] [--cancel | --restore]",
    .help =
        "Makes the half-days of the period that are not there yet, so that they can be marked, and\n"
        "says which are there already; those stay as they are.\n"
        "\n"
        "  --from, --to DAY   the first and the last day; one day when --to is not given\n"
        "  --half AM|PM       mornings or afternoons alone (both)\n"
        "  --weekdays DAYS    mon,tue,wed,thu,fri,sat,sun, in French as well (mon to fri)\n"
        "  --mode MODE        ON_SITE, DISTANCE or COMPANY (ON_SITE)\n"
        "  --minutes N        of each half-day (210)\n"
        "  --cancel           cancels those that are there; what was marked is kept and counts no\n"
        "                     more; of all days of the week, unless --weekdays is given\n"
        "  --restore          plans again what was cancelled\n"
        "\n"
        "  perche plan P1 --from 28/05/2018 --to 01/06/2018\n"
        "  perche plan P1 --from 2018-05-28 --to 2018-06-29 --weekdays mon,tue --mode DISTANCE\n"
        "  perche plan P1 --from 31/05/2018 --half PM --cancel\n",
    .run = run,
};
