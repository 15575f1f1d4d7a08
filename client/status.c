#include "status.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "table.h"
#include "text.h"

char *status_reason(const char *code)
{
    char *words = text_clean(code, strlen(code));

    for (char *p = words; *p; p++)
        if (*p == '_')
            *p = ' ';
    return words;
}

/* Why the hub may lack what it had, or nobody can know, and what to do; NULL = the reason says no such thing. These all
 * come from a hub that does not let this site go on, or from a machine that may not be it. */
static const char *doubt(const char *state, const char *reason)
{
    static const struct {
        const char *reason, *words;
    } all[] = {
        {"unknown_site", "the hub does not know this machine, so it may have lost what it had from here"},
        {"revoked", "the hub does not let this machine in any more: ask its operator for a new line (perche invite NAME --replace)"},
        {"left", "this site has left the hub: a new line (perche invite NAME at the hub) brings it back"},
        {"signature", "the hub does not know the key of this machine: ask its operator for a new line (perche invite NAME --replace)"},
        {"version", "this machine and the hub have no version in common: update the older of the two"},
        {"recovery", "the hub may have been put back to an older copy, and waits until its operator says so (there: perche recover --begin)"},
        {"bad_message", "this machine and the hub do not understand each other: look at journalctl -u perched at both, update the older"},
        {"certificate", "another machine answers at the hub's address: ask the hub's operator; a hub that was set up anew gives a new line"},
        {"two_machines", "a second machine speaks as this site: switch one of them off, then the hub's operator lets the other go on"},
        {"hub_restored", "the hub was put back to an older copy: look at journalctl -u perched here"},
        {"restored", "this machine was put back to an older copy: look at journalctl -u perched here"},
        {"differs", "a comparison has found rows that are not the same at the hub: they are looked for now"},
        {"disk", "this machine or the hub has no room on its disk: make room, and it goes on by itself"},
        {"internal", "an exchange with the hub fails on this machine: journalctl -u perched says why"},
        {"corrupt", "the data on this machine failed a check: journalctl -u perched says which; keep the file"},
        {"schema", "the hub cannot take what this machine writes before one of the two is updated"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(all[i].reason, reason) == 0)
            return all[i].words;
    if (strcmp(state, "refused") == 0)
        return "the hub does not let this machine in: ask its operator";
    if (strcmp(state, "held") == 0)
        return "a person has to decide first: journalctl -u perched says what";
    return NULL;
}

char *status_no_line(const char *state, const char *reason)
{
    static const struct {
        const char *reason, *words;
    } all[] = {
        {"refused", "nobody listens at its address"},
        {"timeout", "it does not answer"},
        {"name", "its name is not known to this network"},
        {"route", "this machine has no way to its network"},
        {"port", "something else listens at its address"},
        {"lost", "the line was lost"},
        {"clock", "the clocks differ too much: set this machine's"},
    };
    const char *why = doubt(state, reason);
    char *words, *out;

    if (why)
        return text_copy(why, strlen(why));
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(all[i].reason, reason) == 0)
            return text_print("there is no line to the hub: %s", all[i].words);
    words = status_reason(reason);
    out = text_print("there is no line to the hub%s%s%s", *words ? " (" : "", words, *words ? ")" : "");
    free(words);
    return out;
}

char *status_node(const json_t *status)
{
    return text_print("%s (%s)", get_text(status, "name"), get_text(status, "role"));
}

static bool is_hub(const json_t *status)
{
    return strcmp(get_text(status, "role"), "hub") == 0;
}

static bool is_state(const json_t *status, const char *state)
{
    return strcmp(get_text(status, "state"), state) == 0;
}

/* "1 row", "1,204 rows" */
static char *count(uint64_t n, const char *one, const char *many)
{
    char digits[TEXT_TIME_MAX];

    text_digits(n, digits);
    return text_print("%s %s", digits, n == 1 ? one : many);
}

/* When both were proven equal, by this machine's clock, as all that people read here is: the daemon says it by the hub's. */
static bool proven_at(const json_t *status, uint64_t *ms)
{
    int64_t offset_ms = json_integer_value(json_object_get(status, "clock_offset_ms")); /* null: 0 */

    offset_ms = (offset_ms + (offset_ms < 0 ? -500 : 500)) / 1000 * 1000; /* whole seconds: a fraction would show as one */
    if (!get_time(status, "proven_equal_at", ms))
        return false;
    if (offset_ms <= 0 || (uint64_t)offset_ms <= *ms)
        *ms -= (uint64_t)offset_ms;
    return true;
}

/* ", proven equal with the hub at 14:05:12, 12 s ago", or "" */
static char *proven(struct client *c, const json_t *status)
{
    char when[TEXT_TIME_MAX], ago[TEXT_TIME_MAX];
    uint64_t now = client_now(c);
    uint64_t ms;

    if (!proven_at(status, &ms))
        return text_copy("", 0);
    text_when(ms, now, when);
    text_ago(ms, now, ago);
    return text_print(", proven equal with the hub at %s, %s%s", when, ago,
                      get_number(status, "kept_here") > 0 ? ", but for what is kept here" : "");
}

static char *headline(struct client *c, const json_t *status)
{
    static const struct {
        const char *state, *words;
    } states[] = {
        {"live", "live"},
        {"syncing", "syncing with the hub"},
        {"connecting", "connecting to the hub"},
        {"offline", "offline, no line to the hub"},
        {"refused", "refused by the hub"},
        {"held", "held, a person has to decide"},
        {"unjoined", "not joined to a hub"},
    };
    const char *words = get_text(status, "state");
    char *reason = status_reason(get_text(status, "reason"));
    char *equal = proven(c, status);
    char *out;

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (is_state(status, states[i].state))
            words = states[i].words;
    if (is_hub(status)) {
        uint64_t connected = get_number(status, "sites_connected");
        char *many = count(get_number(status, "sites"), "site", "sites");

        out = is_state(status, "offline")
                  ? text_print("hub of %s, but it does not listen", many)
                  : text_print("hub of %s, %llu connected", many, (unsigned long long)connected);
        free(many);
    } else {
        out =
            text_print("%s%s%s%s%s", words, *reason ? " (" : "", reason, *reason ? ")" : "", equal);
    }
    free(reason);
    free(equal);
    return out;
}

/* Nothing waits here. Is it at the hub? Only a comparison in this membership has said that it has anything of this site. */
static char *nothing_waits(const json_t *status, bool line)
{
    uint64_t ms;

    if (!get_time(status, "proven_equal_at", &ms))
        return text_print(line ? "not known yet: nothing waits to go, and the first comparison with the hub has not ended"
                               : "not known: this site and the hub have not been compared since it joined");
    return text_print(line ? "safe: all that was written here is at the hub too"
                           : "safe: all that was written here had reached the hub");
}

/* Are the records safe? In words for whoever answers for them, from acknowledged positions
 * alone (DESIGN 5, "Status tells the truth"). "Safe" is said where nothing speaks against it. */
static char *safety(const json_t *status)
{
    const char *why = doubt(get_text(status, "state"), get_text(status, "reason"));
    uint64_t pending = get_number(status, "pending");
    uint64_t kept = get_number(status, "kept_here");
    bool line = is_state(status, "live") || is_state(status, "syncing");
    char *rows, *out;

    if (is_hub(status))
        return text_print("kept here for every site");
    if (is_state(status, "unjoined"))
        return text_print("on this machine only, until it joins a hub");
    if (!json_is_integer(json_object_get(status, "pending")))
        return text_print("not known");
    if (pending == 0 && kept > 0 && !why) {
        rows = count(kept, "row", "rows");
        out = text_print("%s on this machine only, which cannot travel; all else %s at the hub too", rows, line ? "is" : "was");
        free(rows);
        return out;
    }
    if (pending == 0)
        return why ? text_print("not known to be safe: %s", why) : nothing_waits(status, line);
    rows = count(pending, "row", "rows");
    if (why)
        out = text_print("not safe: %s on this machine only; %s", rows, why);
    else if (line)
        out = text_print("%s on the way to the hub, kept here meanwhile", rows);
    else
        out = text_print("%s on this machine only, to go when the line is back", rows);
    free(rows);
    return out;
}

static void add_count(struct fields *f, const char *label, uint64_t n, const char *one,
                      const char *many)
{
    char *text = count(n, one, many);

    fields_add(f, label, "%s", text);
    free(text);
}

static void add_time(struct client *c, struct fields *f, const char *label, const json_t *status,
                     const char *name)
{
    char when[TEXT_TIME_MAX];
    uint64_t ms;

    if (get_time(status, name, &ms)) {
        text_when(ms, client_now(c), when);
        fields_add(f, label, "%s", when);
    } else {
        fields_add(f, label, "never");
    }
}

/* "hub.example.org:7447, 38 ms, clock +0.2 s" */
static void add_hub(struct fields *f, const json_t *status)
{
    const char *url = get_text(status, "hub_url");
    const char *address = strstr(url, "://");
    json_t *offset = json_object_get(status, "clock_offset_ms");
    json_t *rtt = json_object_get(status, "rtt_ms");
    char ms[TEXT_TIME_MAX + 4] = "";
    char clock[TEXT_TIME_MAX] = "";

    if (is_state(status, "unjoined"))
        return;
    if (json_is_integer(rtt) && json_integer_value(rtt) > 0)
        (void)snprintf(ms, sizeof(ms), ", %lld ms", (long long)json_integer_value(rtt));
    if (json_is_integer(offset))
        text_offset(json_integer_value(offset), clock);
    address = address ? address + 3 : url;
    fields_add(f, "hub", "%s%s%s%s", *address ? address : "address not known", ms, *clock ? ", clock " : "", clock);
}

/* "812 deletions wait for a person, since 3 Sep" */
static void add_held(struct client *c, struct fields *f, const json_t *status, uint64_t held)
{
    char *text = count(held, "deletion waits for a person", "deletions wait for a person");
    char when[TEXT_TIME_MAX];
    uint64_t ms;

    if (get_time(status, "held_since", &ms)) {
        text_when(ms, client_now(c), when);
        fields_add(f, "held", "%s, since %s", text, when);
    } else {
        fields_add(f, "held", "%s", text);
    }
    fields_hint(f, "perche held");
    free(text);
}

/* A program that keeps the WAL from beginning anew: the disk fills, and only a person can end it. */
static void add_wal(struct client *c, struct fields *f, const json_t *status)
{
    const json_t *held = json_object_get(status, "wal_held");
    const char *name = get_text(held, "name");
    char when[TEXT_TIME_MAX] = "a while ago", process[48] = "a program of another container";
    uint64_t ms;

    if (!json_is_object(held))
        return;
    if (get_time(held, "since", &ms))
        text_when(ms, client_now(c), when);
    if (get_number(held, "pid") > 0)
        (void)snprintf(process, sizeof(process), "process %llu", (unsigned long long)get_number(held, "pid"));
    fields_add(f, "kept open", "replica.db-wal has %llu MB and grows: %s%s%s%s has been reading since %s",
               (unsigned long long)(get_number(held, "bytes") >> 20), name, *name ? " (" : "", process, *name ? ")" : "", when);
}

/* Somebody removed -wal or -shm: what came of it. */
static void add_files(struct client *c, struct fields *f, const json_t *status)
{
    const json_t *put_back = json_object_get(status, "put_back");
    const char *lost = get_text(status, "wal_lost");
    char when[TEXT_TIME_MAX] = "a while ago";
    uint64_t ms;

    if (*lost)
        fields_add(f, "lost", "%s has commits that are not in replica.db, whose -wal and -shm somebody replaced: see perched(8)", lost);
    if (!json_is_object(put_back))
        return;
    if (get_time(put_back, "at", &ms))
        text_when(ms, client_now(c), when);
    fields_add(f, "put back", "%s, which somebody removed at %s while perched ran: nothing is lost", get_text(put_back, "file"), when);
}

void status_print(struct client *c, const struct json_t *status, FILE *out)
{
    uint64_t conflicts = get_number(status, "conflicts_open");
    uint64_t parked = get_number(status, "parked");
    uint64_t held = get_number(status, "held");
    uint64_t gone = get_number(status, "tables_gone");
    uint64_t refused = get_number(status, "refused");
    uint64_t obstacles = get_number(status, "obstacles");
    uint64_t kept = get_number(status, "kept_here");
    struct fields *f = fields_new();
    char *node = status_node(status);
    char *head = headline(c, status);
    char *safe = safety(status);
    char lsn[TEXT_TIME_MAX], zone[TEXT_TIME_MAX];

    fields_add(f, node, "%s", head);
    fields_add(f, "records", "%s", safe);
    if (is_state(status, "unjoined") && !is_hub(status))
        fields_hint(f, "perche join LINE");
    if (strcmp(get_text(status, "reason"), "unknown_site") == 0)
        fields_add(f, "to come back", "at the hub: perche invite NAME --site %s; here: perche join LINE", get_text(status, "id"));
    if (!is_hub(status))
        add_count(f, "to send", get_number(status, "pending"), "row", "rows");
    add_count(f, "to decide", conflicts, "conflict", "conflicts");
    if (conflicts > 0)
        fields_hint(f, "perche conflicts");
    if (refused > 0) {
        add_count(f, "refused", refused, "change that was not taken", "changes that were not taken");
        fields_hint(f, "perche refused");
    }
    if (kept > 0) {
        add_count(f, "kept here", kept, "row cannot travel: too large, or for its key", "rows cannot travel: too large, or for their keys");
        fields_hint(f, "perche refused");
    }
    if (held > 0)
        add_held(c, f, status, held);
    if (gone > 0)
        add_count(f, "dropped", gone, "table that somebody has dropped: it is made again",
                  "tables that somebody has dropped: they are made again");
    if (obstacles > 0) {
        add_count(f, "set aside", obstacles, "table takes nothing of other sites, for what a program has made of it",
                  "tables take nothing of other sites, for what a program has made of them");
        fields_hint(f, "perche verify");
    }
    if (parked > 0)
        add_count(f, "parked", parked, "value waits for a newer version of the schema, or for a trigger to go",
                  "values wait for a newer version of the schema, or for a trigger to go");
    add_wal(c, f, status);
    add_files(c, f, status);
    if (!is_hub(status)) {
        add_hub(f, status);
        add_time(c, f, "last contact", status, "last_contact");
    } else if (*get_text(status, "listen")) {
        fields_add(f, "listens at", "%s", get_text(status, "listen"));
    }
    text_digits(get_number(status, "lsn"), lsn);
    fields_add(f, "position", "%s, epoch %s", lsn, get_text(status, "epoch"));
    fields_add(f, "version", "%s", get_text(status, "version"));
    text_zone(client_now(c), zone);
    fields_add(f, "times", "%s, by this machine's clock", zone);
    fields_print(f, out, c->width);
    fields_free(f);
    free(node);
    free(head);
    free(safe);
}

void status_line(struct client *c, const struct json_t *status, FILE *out)
{
    char now[TEXT_TIME_MAX], when[TEXT_TIME_MAX] = "never";
    char *reason = status_reason(get_text(status, "reason"));
    uint64_t ms;

    text_exact(client_now(c), now);
    if (proven_at(status, &ms))
        text_exact(ms, when);
    text_say(out, "%s  %s%s%s%s  to send %llu, to decide %llu, proven equal %s", now,
             is_hub(status) ? "hub" : get_text(status, "state"), *reason ? " (" : "", reason, *reason ? ")" : "",
             (unsigned long long)get_number(status, "pending"),
             (unsigned long long)get_number(status, "conflicts_open"), when);
    free(reason);
}

static int run(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    struct args args;
    json_t *status = NULL;
    int exit_status = args_take(c, &command_status, argc, argv, options, 0, 0, &args);

    if (exit_status != ARGS_GO_ON)
        return exit_status;
    exit_status = ask(c, "status", NULL, ASK_MS, &status);
    if (exit_status != CLIENT_DONE)
        return exit_status;
    if (c->json)
        ask_print(c, status);
    else
        status_print(c, status, c->out);
    json_decref(status);
    return CLIENT_DONE;
}

const struct command command_status = {
    .name = "status",
    .summary = "are the records safe, and what waits",
    .usage = "status",
    .help = "Says whether what was written here is at the hub, when both were last proven equal,\n"
            "how many rows wait to go and how many conflicts wait for a decision.\n"
            "\n"
            "  perche status\n"
            "  perche --json status\n",
    .run = run,
};
