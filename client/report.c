#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "csv.h"
#include "perche/day.h"
#include "table.h"
#include "text.h"

/* ------------------------------------------------------------------ words */

/* "64 %", "6200.00 €", "6099 bp"; what is withheld says why. malloc */
static char *value_shown(const json_t *figure, const json_t *row)
{
    const char *unit = get_text(figure, "unit"), *value = get_text(row, "value");
    const char *suppressed = get_text(row, "suppressed");

    if (strcmp(suppressed, "small") == 0)
        return text_print("withheld: too few");
    if (strcmp(suppressed, "beside") == 0)
        return text_print("withheld: gives another back");
    if (!*value)
        return text_print("none");
    return text_print("%s%s", value,
                      strcmp(unit, "percent") == 0        ? " %"
                      : strcmp(unit, "euros") == 0        ? " €"
                      : strcmp(unit, "basis points") == 0 ? " bp"
                                                          : "");
}

/* Cents as euros where the figure is of money. malloc */
static char *amount(const json_t *figure, const json_t *row, const char *name)
{
    const json_t *value = json_object_get(row, name);
    const char *unit = get_text(figure, "unit");
    bool money = (strcmp(unit, "euros") == 0 && strcmp(name, "numerator") == 0) ||
                 strcmp(unit, "basis points") == 0;
    long long n = (long long)json_integer_value(value);

    if (!json_is_integer(value))
        return text_copy("", 0);
    if (money)
        return text_print("%lld.%02lld", n / 100, n % 100);
    return text_print("%lld", n);
}

static const char *part_words(const char *part)
{
    static const char *const words[][2] = {
        {"EMPLOYEE", "employees"},          {"ENTREPRENEUR", "entrepreneurs"},
        {"STUDIES", "in studies"},          {"OTHER_POSITIVE", "other positive"},
        {"POSITIVE", "positive, together"}, {"NOT_POSITIVE", "not positive"},
        {"NEUTRALISED", "neutralised"},     {"ANSWERED", "answered"},
        {"GROSS", "gross"},
        {"NET", "net of excused"},          {"INTERVIEWED", "interviewed"},
        {"ADMITTED", "admitted"},           {"FULL", "whole title"},
        {"PARTIAL", "some blocks"},         {"ENTRY", "for each entry"},
        {"COMPLETER", "for each completed"}, {"HOUR", "for each hour"},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i][0], part) == 0)
            return words[i][1];
    return part;
}

static void say_definition(struct client *c, const json_t *d)
{
    const char *denominator = get_text(d, "denominator");

    if (!json_is_object(d))
        return;
    text_say(c->out, "  milestone %s from the %s, of %s, %s to %llu decimals%s", get_text(d, "milestone"),
             strcmp(get_text(d, "base_date"), "CERTIFICATION") == 0 ? "jury" : "exit",
             strcmp(denominator, "COMPLETERS") == 0             ? "those who completed"
             : strcmp(denominator, "RESPONDENTS") == 0          ? "those who answered"
             : strcmp(denominator, "CERTIFIED_RESPONDENTS") == 0 ? "those certified who answered"
                                                                 : "all leavers",
             strcmp(get_text(d, "rounding"), "TRUNCATE") == 0 ? "cut off" : "rounded half up",
             (unsigned long long)get_number(d, "decimals"),
             get_number(d, "min_denominator") > 0 ? "; withheld below the least denominator" : "");
}

/* ------------------------------------------------------------------- table */

static void print_figure(struct client *c, const json_t *figure, const char *by)
{
    static const char *const heads[] = {"", "", "figure", "count", "of", "contested", "not due"};
    json_t *rows = get_array(figure, "rows");
    struct table *t = table_new(heads, 7);
    const json_t *row;
    size_t i;

    text_say(c->out, "%s: %s", get_text(figure, "figure"), get_text(figure, "says"));
    say_definition(c, json_object_get(figure, "definition"));
    for (int k = 2; k < 7; k++)
        table_right(t, k);
    table_keep(t, 2);
    json_array_foreach(rows, i, row)
    {
        const json_t *group = json_object_get(row, "group");
        char contested[TEXT_TIME_MAX], waiting[TEXT_TIME_MAX];

        text_digits(get_number(row, "contested"), contested);
        text_digits(get_number(row, "waiting"), waiting);
        table_row(t);
        table_cell(t, !*by                      ? ""
                      : !json_is_object(group)  ? "all"
                      : *get_text(group, "name") ? get_text(group, "name")
                                                 : "none");
        table_cell(t, part_words(get_text(row, "part")));
        table_cell_take(t, value_shown(figure, row));
        table_cell_take(t, amount(figure, row, "numerator"));
        table_cell_take(t, amount(figure, row, "denominator"));
        table_cell(t, get_number(row, "contested") > 0 ? contested : "");
        table_cell(t, get_number(row, "waiting") > 0 ? waiting : "");
    }
    if (json_array_size(rows) == 0)
        fputs("  nothing to count\n", c->out);
    else
        (void)table_print(t, c->out, c->width, c->tty);
    fputc('\n', c->out);
    table_free(t);
}

static void print_head(struct client *c, const json_t *result)
{
    const char *from = get_text(result, "from"), *to = get_text(result, "to");
    uint64_t known = 0;
    char at[TEXT_TIME_MAX];

    (void)get_time(result, "known_at", &known);
    text_exact(known, at);
    text_say(c->out, "From %s to %s; due by %s; as known here at %s.%s", *from ? from : "the beginning",
             *to ? to : "the end", get_text(result, "as_of"), at,
             strcmp(get_text(result, "role"), "site") == 0 ? " A site knows its own part." : "");
    fputc('\n', c->out);
}

/* --------------------------------------------------------------------- csv */

static void csv_member(struct csv *csv, const json_t *doc, const char *name)
{
    const json_t *value = json_object_get(doc, name);
    char *shown;

    if (json_is_string(value) || !value || json_is_null(value)) {
        csv_text(csv, json_string_value(value));
        return;
    }
    shown = get_shown(value);
    csv_number(csv, shown);
    free(shown);
}

static void print_csv(struct client *c, const json_t *result)
{
    static const char *const heads[] = {"figure", "definition", "milestone", "denominator_rule", "rounding", "group_id", "group", "part", "value", "unit",
                                        "numerator", "denominator", "suppressed", "contested", "waiting", "from", "to", "as_of", "known_at"};
    struct csv csv = {.out = c->out};
    const json_t *figure, *row;
    size_t i, k;

    for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        csv_text(&csv, heads[i]);
    csv_end_row(&csv);
    json_array_foreach(get_array(result, "figures"), i, figure)
    {
        const json_t *d = json_object_get(figure, "definition");

        json_array_foreach(get_array(figure, "rows"), k, row)
        {
            const json_t *group = json_object_get(row, "group");

            csv_member(&csv, figure, "figure");
            csv_member(&csv, figure, "says");
            csv_member(&csv, d, "milestone");
            csv_member(&csv, d, "denominator");
            csv_member(&csv, d, "rounding");
            csv_member(&csv, group, "id");
            csv_member(&csv, group, "name");
            csv_member(&csv, row, "part");
            csv_number(&csv, get_text(row, "value"));
            csv_member(&csv, figure, "unit");
            csv_member(&csv, row, "numerator");
            csv_member(&csv, row, "denominator");
            csv_member(&csv, row, "suppressed");
            csv_member(&csv, row, "contested");
            csv_member(&csv, row, "waiting");
            csv_member(&csv, result, "from");
            csv_member(&csv, result, "to");
            csv_member(&csv, result, "as_of");
            csv_member(&csv, result, "known_at");
            csv_end_row(&csv);
        }
    }
}

/* ----------------------------------------------------------------- changes */

static char *side_shown(const json_t *side)
{
    if (!json_is_object(side))
        return text_print("not there");
    return text_print("%s%s%s", get_text(side, "says"),
                      json_is_true(json_object_get(side, "contested")) ? ", contested" : "",
                      json_is_true(json_object_get(side, "waiting")) ? ", not due" : "");
}

static void print_changes(struct client *c, const json_t *result)
{
    static const char *const heads[] = {"what", "then", "now"};
    json_t *rows = get_array(result, "rows");
    struct table *t = table_new(heads, 3);
    const json_t *row;
    const char *last = "";
    size_t i;

    json_array_foreach(rows, i, row)
    {
        if (strcmp(last, get_text(row, "id")) == 0)
            continue; /* the same thing in another part says the same */
        last = get_text(row, "id");
        table_row(t);
        table_cell(t, *get_text(row, "label") ? get_text(row, "label") : last);
        table_cell_take(t, side_shown(json_object_get(row, "then")));
        table_cell_take(t, side_shown(json_object_get(row, "now")));
    }
    if (*get_text(result, "published"))
        text_say(c->out, "%s of what was due by %s was published as %s.\n", get_text(result, "figure"),
                 get_text(result, "as_of"), get_text(result, "published"));
    if (json_array_size(rows) == 0)
        fputs("Nothing that this figure counts has changed since.\n", c->out);
    else
        (void)table_print(t, c->out, c->width, c->tty);
    if (json_is_true(json_object_get(result, "more")))
        fputs("There are more; ask for one site or cohort.\n", c->err);
    table_free(t);
}

/* --------------------------------------------------------------- published */

static void print_published(struct client *c, const json_t *result)
{
    static const char *const heads[] = {"id", "figure", "of", "", "value"};
    struct table *t = table_new(heads, 5);
    const json_t *row;
    size_t i;

    table_whole(t, 0);
    table_right(t, 4);
    json_array_foreach(get_array(result, "published"), i, row)
    {
        const json_t *group = json_object_get(row, "group");

        table_row(t);
        table_cell(t, get_text(row, "id"));
        table_cell(t, get_text(row, "figure"));
        table_cell(t, json_is_object(group) ? get_text(group, "name") : "all");
        table_cell(t, part_words(get_text(row, "part")));
        table_cell(t, *get_text(row, "value") ? get_text(row, "value") : "withheld");
    }
    (void)table_print(t, c->out, c->width, c->tty);
    table_free(t);
    if (json_array_size(get_array(result, "published")) == 0)
        fputs("There is nothing to count.\n", c->err);
    else
        fputs("\"perche report --since ID\" says what has become of one.\n", c->err);
}

/* --------------------------------------------------------------------- run */

/* A day of an option as the daemon wants it, into @out. False: told that it is none. NULL stays NULL. */
static bool day_of(struct client *c, const char *option, const char **day, char out[PERCHE_DAY_BYTES])
{
    size_t n = *day ? perche_day_read(*day, out) : 0;

    if (!*day)
        return true;
    if (n == 0 || (*day)[n]) {
        (void)args_wrong(c, &command_report, "--%s: \"%s\" is no day: " PERCHE_DAY_WANTED ".", option, *day);
        return false;
    }
    *day = out;
    return true;
}

static int run(struct client *c, int argc, char **argv)
{
    const char *from = NULL, *to = NULL, *as_of = NULL, *site = NULL, *cohort = NULL, *by = NULL,
               *known = NULL, *since = NULL, *format = "table";
    char first[PERCHE_DAY_BYTES], last[PERCHE_DAY_BYTES], due[PERCHE_DAY_BYTES];
    bool publish = false, at;
    const struct args_option options[] = {
        {"from", ARGS_TEXT, &from},     {"to", ARGS_TEXT, &to},
        {"as-of", ARGS_TEXT, &as_of},   {"site", ARGS_TEXT, &site},
        {"cohort", ARGS_TEXT, &cohort}, {"by", ARGS_TEXT, &by},
        {"known-at", ARGS_TEXT, &known}, {"since", ARGS_TEXT, &since},
        {"format", ARGS_TEXT, &format}, {"publish", ARGS_FLAG, &publish},
        {0},
    };
    struct args args;
    json_t *ask_args, *result = NULL;
    const json_t *figure;
    size_t i;
    int status = args_take(c, &command_report, argc, argv, options, 0, 1, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (strcmp(format, "table") != 0 && strcmp(format, "csv") != 0 && strcmp(format, "json") != 0)
        return args_wrong(c, &command_report, "--format is table, csv or json, not \"%s\".", format);
    at = since && strchr(since, ':'); /* else the id of what was published */
    if ((at || publish) && args.count == 0)
        return args_wrong(c, &command_report, "--%s needs the NAME of a figure.", publish ? "publish" : "since");
    if (publish && (known || since || strcmp(format, "csv") == 0))
        return args_wrong(c, &command_report, "--publish goes with none of --known-at, --since and --format csv.");
    if (since && (known || strcmp(format, "csv") == 0))
        return args_wrong(c, &command_report, "--since goes with neither --known-at nor --format csv.");
    if (!day_of(c, "from", &from, first) || !day_of(c, "to", &to, last) || !day_of(c, "as-of", &as_of, due))
        return CLIENT_USAGE;
    c->json |= strcmp(format, "json") == 0;
    ask_args = json_object();
    ask_set_text(ask_args, "name", args.count == 1 ? args.words[0] : NULL);
    ask_set_text(ask_args, "from", from);
    ask_set_text(ask_args, "to", to);
    ask_set_text(ask_args, "as_of", as_of);
    ask_set_text(ask_args, "site", site);
    ask_set_text(ask_args, "cohort", cohort);
    ask_set_text(ask_args, "by", by);
    ask_set_text(ask_args, "known_at", at ? since : known);
    ask_set_text(ask_args, "snapshot", since && !at ? since : NULL);
    status = ask(c, publish ? "publish" : since ? "changes" : "report", ask_args, ASK_LONG_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    if (c->json) {
        ask_print(c, result);
    } else if (publish) {
        print_published(c, result);
    } else if (since) {
        print_changes(c, result);
    } else if (strcmp(format, "csv") == 0) {
        print_csv(c, result);
    } else {
        print_head(c, result);
        json_array_foreach(get_array(result, "figures"), i, figure)
            print_figure(c, figure, by ? by : "");
    }
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_report = {
    .name = "report",
    .summary = "figures, each with its definition, dates and denominator",
    .usage = "report [NAME] [--from DAY] [--to DAY] [--as-of DAY] [--site SITE] [--cohort COHORT] [--by site|cohort]\n"
             "       [--known-at INSTANT | --since INSTANT|ID | --publish] [--format table|csv|json]",
    .help =
        "Counts what is recorded: entries, drop_outs, completion, attendance, selection, found,\n"
        "response, certification, cost, co_funding, places, and the rates of outcomes, one for each\n"
        "definition (REGION_POS, FC_GLOBAL_6M ...). Without NAME all of them. What a question is\n"
        "still open on is contested: shown, and counted neither way.\n"
        "\n"
        "  --from, --to DAY     the period: of entries, exits, juries, by what the figure counts\n"
        "  --as-of DAY          a milestone that comes later is not due (today)\n"
        "                       a DAY is 2018-12-31 or 31/12/2018\n"
        "  --site, --cohort     of one, by its id, code or name\n"
        "  --by site|cohort     each by itself, and all\n"
        "  --known-at INSTANT   as it was known here then, such as 2018-12-31T23:00:00Z\n"
        "  --since INSTANT      what of NAME is another now than it was known then, row by row\n"
        "  --publish            at the hub: keeps the figure as it is, in the table report_snapshot\n"
        "  --since ID           what has become of one that was published, row by row\n"
        "\n"
        "  perche report\n"
        "  perche report REGION_POS --from 2018-01-01 --to 2018-12-31 --by site\n"
        "  perche report attendance --cohort P1 --format csv\n"
        "  perche report REGION_POS --since 2019-01-31T12:00:00Z\n",
    .run = run,
};
