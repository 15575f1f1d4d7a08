#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "table.h"
#include "text.h"

static void cell_time(struct client *c, struct table *t, const json_t *site, const char *name)
{
    char when[TEXT_TIME_MAX] = "never";
    uint64_t ms;

    if (get_time(site, name, &ms))
        text_when(ms, client_now(c), when);
    table_cell(t, when);
}

/* @more: it was counted up to there. */
static void cell_number(struct table *t, const json_t *site, const char *name, bool more)
{
    char digits[TEXT_TIME_MAX] = "";

    if (json_is_integer(json_object_get(site, name))) /* null: not known */
        text_digits(get_number(site, name), digits);
    table_cell_take(t, text_print("%s%s", *digits ? digits : "?", more ? "+" : ""));
}

static bool has_left(const json_t *site)
{
    return json_is_string(json_object_get(site, "left_at"));
}

static void print(struct client *c, const json_t *sites)
{
    static const char *const heads[] = {"site",      "code",   "state",  "last contact",
                                        "to send",   "behind", "proven equal",
                                        "to decide", "clock",  "version"};
    const json_t *site;
    struct table *t;
    bool versions = false;
    size_t i;

    json_array_foreach(sites, i, site) versions |= *get_text(site, "version") != '\0';
    t = table_new(heads, versions ? 10 : 9);

    table_keep(t, 0);
    table_keep(t, 1);
    table_keep(t, 2);
    table_right(t, 4);
    table_right(t, 5);
    table_right(t, 7);
    table_right(t, 8);
    json_array_foreach(sites, i, site)
    {
        json_t *offset = json_object_get(site, "clock_offset_ms");
        char clock[TEXT_TIME_MAX] = "";

        table_row(t);
        table_cell(t, get_text(site, "name"));
        table_cell(t, get_text(site, "code"));
        table_cell(t, json_is_string(json_object_get(site, "revoked_at"))   ? "revoked"
                      : has_left(site)                                      ? "left"
                      : json_is_string(json_object_get(site, "retired_at")) ? "retired"
                                                                             : get_text(site, "state"));
        cell_time(c, t, site, "last_contact");
        cell_number(t, site, "pending", false);
        cell_number(t, site, "behind", json_is_true(json_object_get(site, "behind_more")));
        cell_time(c, t, site, "proven_equal_at");
        cell_number(t, site, "conflicts_open", false);
        if (json_is_integer(offset))
            text_offset(json_integer_value(offset), clock);
        table_cell(t, *clock ? clock : "?");
        if (versions)
            table_cell(t, get_text(site, "version"));
    }
    (void)table_print(t, c->out, c->width, c->tty); /* left out: the facts of least weight */
    table_free(t);
}

/* What a person has to do about a site, below the table. */
static void print_trouble(struct client *c, const json_t *sites)
{
    const json_t *site;
    size_t i, shows = 0, claims = 0;

    json_array_foreach(sites, i, site)
    {
        const char *one = get_text(site, "address"), *two = get_text(site, "second_address");
        char when[TEXT_TIME_MAX];
        uint64_t ms;

        shows += strcmp(get_text(site, "recovery"), "shows") == 0;
        claims += strcmp(get_text(site, "recovery"), "claims") == 0;
        if (json_is_string(json_object_get(site, "held_at"))) {
            fputc('\n', c->out);
            text_say(c->out, "%s is held: two machines speak as this site, from %s and from %s.",
                     get_text(site, "name"), *one ? one : "?", *two ? two : "?");
            text_say(c->out, "What they have not sent waits there. Switch one off, then: perche recover %s",
                     get_text(site, "code"));
        }
        if (get_time(site, "left_at", &ms)) {
            text_exact(ms, when);
            fputc('\n', c->out);
            text_say(c->out, "%s left on %s. It comes back with a new line: perche invite %s",
                     get_text(site, "name"), when, get_text(site, "code"));
        }
    }
    if (claims > 0)
        fprintf(c->out,
                "\n%zu site%s that this hub has lost records. If it was put back from an older copy:\n"
                "perche recover --begin. If it was not, somebody lies: look at who they are first.\n",
                claims, claims == 1 ? " says" : "s say");
    else if (shows > 0)
        fprintf(c->out,
                "\nThis hub was put back from an older copy; %zu site%s still to show what it lost.\n"
                "To go on without: perche recover --now\n",
                shows, shows == 1 ? " has" : "s have");
}

static int run(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    json_t *result = NULL, *sites;
    int status = args_take(c, &command_sites, argc, argv, options, 0, 0, &args);

    if (status != ARGS_GO_ON)
        return status;
    status = ask(c, "sites", NULL, ASK_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    sites = get_array(result, "sites");
    if (c->json)
        ask_print(c, result);
    else if (json_array_size(sites) == 0)
        fputs("No site has been invited yet: \"perche invite NAME\" is the first step.\n", c->err);
    else {
        print(c, sites);
        print_trouble(c, sites);
    }
    json_decref(result);
    return CLIENT_DONE;
}

const struct command command_sites = {
    .name = "sites",
    .summary = "at a hub: a row for each site",
    .usage = "sites",
    .help =
        "At a hub: each site with the state of its line, when it was last heard of, rows that\n"
        "wait there (to send) and rows here that it has not got yet (behind), when it was last\n"
        "proven equal, its open conflicts, its clock and its version. \"?\" is not known. One that\n"
        "has left (perche leave) is told of below the table, with the date.\n"
        "\n"
        "  perche sites\n"
        "  perche --json sites\n",
    .run = run,
};
