/* Each command against a daemon with canned answers: what it asks, prints and says.
 * The clock stands at 2025-09-01 16:05:24 in Paris. */
#include "client_fake.h"

#include <locale.h>
#include <time.h>

/* @answer and @asked have ' for "; @asked is without the client's version. */
static char *quoted(const char *text)
{
    char *out = strdup(text);

    assert_non_null(out);
    for (char *p = out; *p; p++)
        if (*p == '\'')
            *p = '"';
    return out;
}

static void expect(const char *line, int width, const char *input, const char *said,
                   const char *question, int status, const char *out, const char *err)
{
    static const char version[] = "\"client\":\"" PERCHE_VERSION "\",";
    char *answer = quoted(said), *asked = quoted(question);
    struct ran *r = run_answered(line, width, input, answer);
    char *at = strstr(r->asked, version);

    assert_non_null(at);
    memmove(at, at + sizeof(version) - 1, strlen(at + sizeof(version) - 1) + 1);
    r->asked[strcspn(r->asked, "\n")] = '\0';
    assert_string_equal(r->asked, asked);
    assert_string_equal(r->out, out);
    assert_string_equal(r->err, err);
    assert_int_equal(r->status, status);
    ran_free(r);
    free(answer);
    free(asked);
}

static void status_says_first_whether_the_records_are_safe(void **state)
{
    (void)state;
    expect("status", 80, NULL,
           "{'ok': true, 'result': {'role': 'site', 'name': 'La Loupe', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'live', 'pending': 0, 'last_contact': '2025-09-01T14:05:12Z', "
           "'proven_equal_at': '2025-09-01T14:05:12Z', 'conflicts_open': 1, 'parked': 0, "
           "'clock_offset_ms': 200, 'version': '0.1.0', 'reason': null, 'rtt_ms': 38, "
           "'next_try': null, 'hub': '01990c5e-0000-7000-8000-00000000000f', "
           "'hub_url': 'tls+tcp://hub.example.org:7447', 'held': 0}}\n",
           /* asked */
           "{'command':'status','args':{}}", CLIENT_DONE,
           /* out */
           "La Loupe (site)   live, proven equal with the hub at 16:05:12, 12 s ago\n"
           "records           safe: all that was written here is at the hub too\n"
           "to send           0 rows\n"
           "to decide         1 conflict                      perche conflicts\n"
           "hub               hub.example.org:7447, 38 ms, clock +0.2 s\n"
           "last contact      16:05:12\n"
           "position          1,204, epoch 4611686018427387905\n"
           "version           0.1.0\n"
           "times             CEST, by this machine's clock\n",
           /* err */
           "");
}

static void status_fits_a_narrow_terminal(void **state)
{
    (void)state;
    expect("status", 40, NULL,
           "{'ok': true, 'result': {'role': 'site', 'name': 'La Loupe', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'live', 'pending': 0, 'last_contact': '2025-09-01T14:05:12Z', "
           "'proven_equal_at': '2025-09-01T14:05:12Z', 'conflicts_open': 1, 'parked': 0, "
           "'clock_offset_ms': 200, 'version': '0.1.0', 'reason': null, 'rtt_ms': 38, "
           "'next_try': null, 'hub': '01990c5e-0000-7000-8000-00000000000f', "
           "'hub_url': 'tls+tcp://hub.example.org:7447', 'held': 0}}\n",
           /* asked */
           "{'command':'status','args':{}}", CLIENT_DONE,
           /* out */
           "La Loupe (site)   live, proven equal\n"
           "                  with the hub at\n"
           "                  16:05:12, 12 s ago\n"
           "records           safe: all that was\n"
           "                  written here is at the\n"
           "                  hub too\n"
           "to send           0 rows\n"
           "to decide         1 conflict\n"
           "                  perche conflicts\n"
           "hub               hub.example.org:7447,\n"
           "                  38 ms, clock +0.2 s\n"
           "last contact      16:05:12\n"
           "position          1,204, epoch\n"
           "                  4611686018427387905\n"
           "version           0.1.0\n"
           "times             CEST, by this\n"
           "                  machine's clock\n",
           /* err */
           "");
}

static void status_while_the_line_is_down_says_what_waits_here(void **state)
{
    (void)state;
    expect("status", 80, NULL,
           "{'ok': true, 'result': {'role': 'site', 'name': 'La Loupe', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'offline', 'pending': 1204, "
           "'last_contact': '2025-09-01T14:05:12Z', 'proven_equal_at': '2025-08-31T12:00:00Z', "
           "'conflicts_open': 0, 'parked': 0, 'clock_offset_ms': 200, 'version': '0.1.0', "
           "'reason': 'line_lost', 'rtt_ms': null, 'next_try': null, "
           "'hub': '01990c5e-0000-7000-8000-00000000000f', "
           "'hub_url': 'tls+tcp://hub.example.org:7447', 'held': 0}}\n",
           /* asked */
           "{'command':'status','args':{}}", CLIENT_DONE,
           /* out */
           "La Loupe (site)   offline, no line to the hub (line lost), proven equal with the\n"
           "                  hub at 31 Aug 14:00, 26 h ago\n"
           "records           1,204 rows on this machine only, to go when the line is back\n"
           "to send           1,204 rows\n"
           "to decide         0 conflicts\n"
           "hub               hub.example.org:7447, clock +0.2 s\n"
           "last contact      16:05:12\n"
           "position          1,204, epoch 4611686018427387905\n"
           "version           0.1.0\n"
           "times             CEST, by this machine's clock\n",
           /* err */
           "");
}

static void status_while_rows_go_says_how_many(void **state)
{
    (void)state;
    expect("status", 80, NULL,
           "{'ok': true, 'result': {'role': 'site', 'name': 'La Loupe', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'syncing', 'pending': 1, "
           "'last_contact': '2025-09-01T14:05:12Z', 'proven_equal_at': '2025-09-01T14:05:12Z', "
           "'conflicts_open': 2, 'parked': 1, 'clock_offset_ms': -3250, 'version': '0.1.0', "
           "'reason': null, 'rtt_ms': 38, 'next_try': null, "
           "'hub': '01990c5e-0000-7000-8000-00000000000f', "
           "'hub_url': 'tls+tcp://hub.example.org:7447', 'held': 812, 'held_since': '2025-09-01T08:30:00Z'}}\n",
           /* asked */
           "{'command':'status','args':{}}", CLIENT_DONE,
           /* out */
           "La Loupe (site)   syncing with the hub, proven equal with the hub at 16:05:15, 9\n"
           "                  s ago\n" /* the hub's clock is 3 s behind */
           "records           1 row on the way to the hub, kept here meanwhile\n"
           "to send           1 row\n"
           "to decide         2 conflicts                     perche conflicts\n"
           "held              812 deletions wait for a person, since 10:30:00\n"
           "                  perche held\n"
           "parked            1 value waits for a newer version of the schema, or for a\n"
           "                  trigger to go\n"
           "hub               hub.example.org:7447, 38 ms, clock -3.2 s\n"
           "last contact      16:05:12\n"
           "position          1,204, epoch 4611686018427387905\n"
           "version           0.1.0\n"
           "times             CEST, by this machine's clock\n",
           /* err */
           "");
}

static void status_with_nothing_waiting_but_no_line_is_still_safe(void **state)
{
    (void)state;
    expect("status", 80, NULL,
           "{'ok': true, 'result': {'role': 'site', 'name': 'La Loupe', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'offline', 'pending': 0, "
           "'last_contact': '2025-09-01T14:05:12Z', 'proven_equal_at': '2025-09-01T14:05:12Z', "
           "'conflicts_open': 0, 'parked': 0, 'clock_offset_ms': 200, 'version': '0.1.0', "
           "'reason': null, 'rtt_ms': null, 'next_try': null, "
           "'hub': '01990c5e-0000-7000-8000-00000000000f', "
           "'hub_url': 'tls+tcp://hub.example.org:7447', 'held': 0}}\n",
           /* asked */
           "{'command':'status','args':{}}", CLIENT_DONE,
           /* out */
           "La Loupe (site)   offline, no line to the hub, proven equal with the hub at\n"
           "                  16:05:12, 12 s ago\n"
           "records           safe: all that was written here had reached the hub\n"
           "to send           0 rows\n"
           "to decide         0 conflicts\n"
           "hub               hub.example.org:7447, clock +0.2 s\n"
           "last contact      16:05:12\n"
           "position          1,204, epoch 4611686018427387905\n"
           "version           0.1.0\n"
           "times             CEST, by this machine's clock\n",
           /* err */
           "");
}

static void status_of_a_site_that_is_refused_says_so(void **state)
{
    (void)state;
    expect("status", 80, NULL,
           "{'ok': true, 'result': {'role': 'site', 'name': 'La Loupe', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'refused', 'pending': 3, "
           "'last_contact': '2025-09-01T14:05:12Z', 'proven_equal_at': null, "
           "'conflicts_open': 0, 'parked': 0, 'clock_offset_ms': 200, 'version': '0.1.0', "
           "'reason': 'revoked', 'rtt_ms': 38, 'next_try': null, "
           "'hub': '01990c5e-0000-7000-8000-00000000000f', "
           "'hub_url': 'tls+tcp://hub.example.org:7447', 'held': 0}}\n",
           /* asked */
           "{'command':'status','args':{}}", CLIENT_DONE,
           /* out */
           "La Loupe (site)   refused by the hub (revoked)\n"
           "records           not safe: 3 rows on this machine only; the hub does not let\n"
           "                  this machine in any more: ask its operator for a new line\n"
           "                  (perche invite NAME --replace)\n"
           "to send           3 rows\n"
           "to decide         0 conflicts\n"
           "hub               hub.example.org:7447, 38 ms, clock +0.2 s\n"
           "last contact      16:05:12\n"
           "position          1,204, epoch 4611686018427387905\n"
           "version           0.1.0\n"
           "times             CEST, by this machine's clock\n",
           /* err */
           "");
}

/* Nothing waits to be sent, and something speaks against "safe": @state, @reason, proven or not, what is said. */
static void expect_records(const char *site_state, const char *reason, unsigned pending, bool proven, const char *words)
{
    char *answer = NULL, line[600];
    struct ran *r;

    assert_true(asprintf(&answer, "{\"ok\": true, \"result\": {\"role\": \"site\", \"name\": \"La Loupe\", \"id\": \"x\", \"state\": \"%s\","
                         " \"reason\": \"%s\", \"pending\": %u, \"proven_equal_at\": %s}}\n",
                         site_state, reason, pending, proven ? "\"2025-09-01T14:05:12Z\"" : "null") > 0);
    r = run_answered("status", 400, NULL, answer);
    snprintf(line, sizeof(line), "records           %s\n", words);
    if (!strstr(r->out, line))
        fail_msg("%s (%s): not \"%s\" in:\n%s", site_state, reason, words, r->out);
    ran_free(r);
    free(answer);
}

static void status_says_safe_only_where_nothing_speaks_against_it(void **state)
{
    (void)state;
    expect_records("offline", "refused", 0, true, "safe: all that was written here had reached the hub");
    expect_records("live", "", 0, true, "safe: all that was written here is at the hub too");
    expect_records("syncing", "", 0, false, "not known yet: nothing waits to go, and the first comparison with the hub has not ended");
    expect_records("offline", "timeout", 0, false, "not known: this site and the hub have not been compared since it joined");
    expect_records("refused", "unknown_site", 0, true,
                   "not known to be safe: the hub does not know this machine, so it may have lost what it had from here");
    expect_records("connecting", "recovery", 0, true,
                   "not known to be safe: the hub may have been put back to an older copy, and waits until its operator says so (there: perche recover --begin)");
    expect_records("offline", "bad_message", 0, true,
                   "not known to be safe: this machine and the hub do not understand each other: look at journalctl -u perched at both, update the older");
    expect_records("offline", "certificate", 0, true,
                   "not known to be safe: another machine answers at the hub's address: ask the hub's operator; a hub that was set up anew gives a new line");
    expect_records("held", "two_machines", 2, true,
                   "not safe: 2 rows on this machine only; a second machine speaks as this site: switch one of them off, then the hub's operator lets the other go on");
    expect_records("held", "new_reason", 0, true, "not known to be safe: a person has to decide first: journalctl -u perched says what");
    expect_records("refused", "new_reason", 0, true, "not known to be safe: the hub does not let this machine in: ask its operator");
}

static void status_of_a_site_that_has_not_joined_says_what_to_do(void **state)
{
    (void)state;
    expect("status", 80, NULL,
           "{'ok': true, 'result': {'role': 'site', 'name': 'La Loupe', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'unjoined', 'pending': 28, 'last_contact': null, "
           "'proven_equal_at': null, 'conflicts_open': 0, 'parked': 0, 'clock_offset_ms': null, "
           "'version': '0.1.0', 'reason': null, 'rtt_ms': null, 'next_try': null, 'hub': null, "
           "'hub_url': null, 'held': 0}}\n",
           /* asked */
           "{'command':'status','args':{}}", CLIENT_DONE,
           /* out */
           "La Loupe (site)   not joined to a hub\n"
           "records           on this machine only, until it joins a hub\n"
           "                  perche join LINE\n"
           "to send           28 rows\n"
           "to decide         0 conflicts\n"
           "last contact      never\n"
           "position          1,204, epoch 4611686018427387905\n"
           "version           0.1.0\n"
           "times             CEST, by this machine's clock\n",
           /* err */
           "");
}

static void status_of_a_hub_counts_its_sites(void **state)
{
    (void)state;
    expect("status", 80, NULL,
           "{'ok': true, 'result': {'role': 'hub', 'name': 'hub', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'live', 'pending': 0, 'last_contact': null, "
           "'proven_equal_at': null, 'conflicts_open': 0, 'parked': 0, 'clock_offset_ms': 200, "
           "'version': '0.1.0', 'reason': null, 'rtt_ms': null, 'next_try': null, "
           "'hub': '01990c5e-0000-7000-8000-00000000000f', 'hub_url': null, 'held': 0, "
           "'sites': 3, 'sites_connected': 2, 'listen': 'tls+tcp://0.0.0.0:7447'}}\n",
           /* asked */
           "{'command':'status','args':{}}", CLIENT_DONE,
           /* out */
           "hub (hub)    hub of 3 sites, 2 connected\n"
           "records      kept here for every site\n"
           "to decide    0 conflicts\n"
           "listens at   tls+tcp://0.0.0.0:7447\n"
           "position     1,204, epoch 4611686018427387905\n"
           "version      0.1.0\n"
           "times        CEST, by this machine's clock\n",
           /* err */
           "");
}

static void status_of_a_hub_that_does_not_listen_says_so(void **state)
{
    (void)state;
    expect("status", 80, NULL,
           "{'ok': true, 'result': {'role': 'hub', 'name': 'hub', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'tables_gone': 2, 'obstacles': 1, 'state': 'offline', 'pending': 0, 'last_contact': null, "
           "'proven_equal_at': null, 'conflicts_open': 0, 'parked': 0, 'clock_offset_ms': 200, "
           "'version': '0.1.0', 'reason': null, 'rtt_ms': null, 'next_try': null, "
           "'hub': '01990c5e-0000-7000-8000-00000000000f', 'hub_url': null, 'held': 0, "
           "'sites': 1, 'sites_connected': 0, 'listen': null}}\n",
           /* asked */
           "{'command':'status','args':{}}", CLIENT_DONE,
           /* out */
           "hub (hub)   hub of 1 site, but it does not listen\n"
           "records     kept here for every site\n"
           "to decide   0 conflicts\n"
           "dropped     2 tables that somebody has dropped: they are made again\n"
           "set aside   1 table takes nothing of other sites, for what a program has made of\n"
           "            it\n"
           "            perche verify\n"
           "position    1,204, epoch 4611686018427387905\n"
           "version     0.1.0\n"
           "times       CEST, by this machine's clock\n",
           /* err */
           "");
}

static void status_invents_no_facts(void **state)
{
    (void)state;
    expect("status", 80, NULL,
           "{'ok': true, 'result': {'role': 'site', 'name': 'La Loupe', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'live', 'pending': null, 'last_contact': null, "
           "'proven_equal_at': null, 'conflicts_open': 0, 'parked': 0, 'clock_offset_ms': null, "
           "'version': '0.1.0', 'reason': null, 'rtt_ms': null, 'next_try': null, "
           "'hub': '01990c5e-0000-7000-8000-00000000000f', 'hub_url': null, 'held': 0}}\n",
           /* asked */
           "{'command':'status','args':{}}", CLIENT_DONE,
           /* out */
           "La Loupe (site)   live\n"
           "records           not known\n"
           "to send           0 rows\n"
           "to decide         0 conflicts\n"
           "hub               address not known\n"
           "last contact      never\n"
           "position          1,204, epoch 4611686018427387905\n"
           "version           0.1.0\n"
           "times             CEST, by this machine's clock\n",
           /* err */
           "");
}

static void status_in_json_is_what_the_daemon_said(void **state)
{
    (void)state;
    expect("--json status", 80, NULL,
           "{'ok': true, 'result': {'role': 'site', 'pending': 0, 'last_contact': null}}\n",
           /* asked */
           "{'command':'status','args':{}}", CLIENT_DONE,
           /* out */
           "{\n"
           "  \"role\": \"site\",\n"
           "  \"pending\": 0,\n"
           "  \"last_contact\": null\n"
           "}\n",
           /* err */
           "");
}

static void watch_without_a_terminal_is_a_line_for_each_change(void **state)
{
    (void)state;
    expect("watch", 80, NULL,
           "{'event': {'role': 'site', 'name': 'La Loupe', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'live', 'pending': 0, 'last_contact': '2025-09-01T14:05:12Z', "
           "'proven_equal_at': '2025-09-01T14:05:12Z', 'conflicts_open': 1, 'parked': 0, "
           "'clock_offset_ms': 200, 'version': '0.1.0', 'reason': null, 'rtt_ms': 38, "
           "'next_try': null, 'hub': '01990c5e-0000-7000-8000-00000000000f', "
           "'hub_url': 'tls+tcp://hub.example.org:7447', 'held': 0}}\n"
           "{'event': {'role': 'site', 'name': 'La Loupe', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'offline', 'pending': 7, "
           "'last_contact': '2025-09-01T14:05:12Z', 'proven_equal_at': null, "
           "'conflicts_open': 1, 'parked': 0, 'clock_offset_ms': 200, 'version': '0.1.0', "
           "'reason': 'line_lost', 'rtt_ms': 38, 'next_try': null, "
           "'hub': '01990c5e-0000-7000-8000-00000000000f', "
           "'hub_url': 'tls+tcp://hub.example.org:7447', 'held': 0}}\n"
           "{'ok': true, 'result': {}}\n",
           /* asked */
           "{'command':'watch','args':{}}", CLIENT_DONE,
           /* out */
           "2025-09-01 16:05:24  live  to send 0, to decide 1, proven equal 2025-09-01 16:05:12\n"
           "2025-09-01 16:05:24  offline (line lost)  to send 7, to decide 1, "
           "proven equal never\n",
           /* err */
           "");
}

static void watch_at_a_hub_says_so(void **state)
{
    (void)state;
    expect("watch", 80, NULL,
           "{'event': {'role': 'hub', 'name': 'La Loupe', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'live', 'pending': 0, 'last_contact': '2025-09-01T14:05:12Z', "
           "'proven_equal_at': '2025-09-01T14:05:12Z', 'conflicts_open': 1, 'parked': 0, "
           "'clock_offset_ms': 200, 'version': '0.1.0', 'reason': null, 'rtt_ms': 38, "
           "'next_try': null, 'hub': '01990c5e-0000-7000-8000-00000000000f', "
           "'hub_url': 'tls+tcp://hub.example.org:7447', 'held': 0}}\n"
           "{'ok': true, 'result': {}}\n",
           /* asked */
           "{'command':'watch','args':{}}", CLIENT_DONE,
           /* out */
           "2025-09-01 16:05:24  hub  to send 0, to decide 1, proven equal 2025-09-01 16:05:12\n",
           /* err */
           "");
}

static void watch_in_json_is_a_document_on_each_line(void **state)
{
    (void)state;
    expect("watch --json", 80, NULL,
           "{'event':{'state':'live'}}\n"
           "{'event':{'state':'offline'}}\n"
           "{'ok':true,'result':{}}\n",
           /* asked */
           "{'command':'watch','args':{}}", CLIENT_DONE,
           /* out */
           "{\"state\":\"live\"}\n"
           "{\"state\":\"offline\"}\n",
           /* err */
           "");
}

static void watch_ends_with_3_when_the_daemon_ends(void **state)
{
    (void)state;
    expect("watch", 80, NULL, "{'event':{'role':'site','state':'live'}}\n",
           /* asked */
           "{'command':'watch','args':{}}", CLIENT_UNREACHABLE,
           /* out */
           "2025-09-01 16:05:24  live  to send 0, to decide 0, proven equal never\n",
           /* err */
           "perche: perched hung up without an answer; \"journalctl -u perched\" says why.\n");
}

static void watch_in_json_stays_a_document_on_each_line_when_the_daemon_ends_or_refuses(void **state)
{
    (void)state;
    expect("watch --json", 80, NULL, "{'event':{'state':'live'}}\n",
           /* asked */
           "{'command':'watch','args':{}}", CLIENT_UNREACHABLE,
           /* out */
           "{\"state\":\"live\"}\n"
           "{\"error\":{\"code\":\"unreachable\",\"text\":\"perched hung up without an answer; "
           "\\\"journalctl -u perched\\\" says why.\"}}\n",
           /* err */
           "perche: perched hung up without an answer; \"journalctl -u perched\" says why.\n");
    expect("watch --json", 80, NULL, "{'ok':false,'code':'busy','text':'too many'}\n",
           /* asked */
           "{'command':'watch','args':{}}", CLIENT_NO,
           /* out */
           "{\"error\":{\"code\":\"busy\",\"text\":\"too many\"}}\n",
           /* err */
           "perche: too many\n");
}

static void must_not_steer(const char *line, const char *text)
{
    bool steers = strstr(text, "\xe2\x80\xae") || strstr(text, "\nFORGED");

    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        steers |= (*p < 0x20 && *p != '\n') || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0);
    if (steers)
        fail_msg("perche %s prints as it came: %s", line, text);
}

/* Names and values come from other sites: no escape of theirs acts here, and none begins a line of its own. */
static void no_text_of_the_daemon_steers_the_terminal(void **state)
{
#define ODD "\\u001b]0;\\u009b2J\\u007f\\u202e\\nFORGED"
    static const struct {
        const char *line, *answer;
    } cases[] = {
        {"status", "{'ok':false,'code':'refused','text':'" ODD "'}\n"},
        {"status", "{'ok':true,'result':{'role':'site','name':'" ODD "','state':'" ODD "','reason':'" ODD "','version':'" ODD "'}}\n"},
        {"watch", "{'event':{'role':'site','state':'" ODD "','reason':'" ODD "'}}\n{'ok':true,'result':{}}\n"},
        {"sites", "{'ok':true,'result':{'sites':[{'name':'" ODD "','code':'" ODD "','state':'" ODD "','address':'" ODD
                  "','second_address':'" ODD "','held_at':'x','left_at':'2025-08-30T08:00:00Z'}]}}\n"},
        {"join x", "{'ok':true,'result':{'name':'" ODD "','warning':'" ODD "'}}\n"},
        {"invite x", "{'ok':true,'result':{'line':'" ODD "','code':'" ODD "'}}\n"},
        {"held release 1", "{'ok':true,'result':{'rows':1,'table':'" ODD "'}}\n"},
        {"held undo 1", "{'ok':true,'result':{'rows':1,'table':'" ODD "'}}\n"},
        {"sync --wait", "{'ok':true,'result':{'done':false,'missing':'" ODD "'}}\n"},
        {"refused", "{'ok':true,'result':{'refused':[{'table':'" ODD "','row':'" ODD "','columns':'" ODD "','reason':'schema','image':'" ODD "'}]}}\n"},
        {"verify --chain", "{'ok':true,'result':{'equal':false,'hub':'offline','state':'" ODD "','reason':'" ODD
                           "','tables':[{'table':'" ODD "','digest':'" ODD "'}],'warnings':[{'table':'" ODD "','reason':'" ODD "','text':'" ODD
                           "'}],'chain':{'broken':1,'why':'" ODD "','records':[{'table':'" ODD "','row':'" ODD "','label':'" ODD
                           "x','column':'" ODD "','site':'" ODD "','why':'" ODD "'}]}}}\n"},
        {"version", "{'ok':true,'result':{'version':'" ODD "'}}\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *answer = quoted(cases[i].answer);
        struct ran *r = run_answered(cases[i].line, 200, NULL, answer);

        if (!strstr(r->out, "\xef\xbf\xbd") && !strstr(r->err, "\xef\xbf\xbd"))
            fail_msg("perche %s does not print it: %s%s", cases[i].line, r->out, r->err);
        must_not_steer(cases[i].line, r->out);
        must_not_steer(cases[i].line, r->err);
        ran_free(r);
        free(answer);
    }
#undef ODD
}

static void sync_tells_the_daemon_and_comes_back(void **state)
{
    (void)state;
    expect("sync", 80, NULL, "{'ok': true, 'result': {'done': null, 'missing': null}}\n",
           /* asked */
           "{'command':'sync','args':{'timeout_ms':60000}}", CLIENT_DONE,
           /* out */
           "",
           /* err */
           "The daemon is syncing now; \"perche sync --wait\" waits for the end.\n");
}

static void sync_wait_that_is_done_exits_with_0(void **state)
{
    (void)state;
    expect("sync --wait --timeout 5m", 80, NULL,
           "{'ok': true, 'result': {'done': true, 'missing': null}}\n",
           /* asked */
           "{'command':'sync','args':{'timeout_ms':300000,'wait':true}}", CLIENT_DONE,
           /* out */
           "",
           /* err */
           "Done: everything has arrived at both ends, and they are proven equal.\n");
}

static void sync_wait_that_is_not_done_exits_with_1_and_says_what_is_missing(void **state)
{
    (void)state;
    expect("sync --wait", 80, NULL,
           "{'ok': true, 'result': {'done': false, 'missing': 'not_pushed'}}\n",
           /* asked */
           "{'command':'sync','args':{'timeout_ms':60000,'wait':true}}", CLIENT_NO,
           /* out */
           "",
           /* err */
           "Not done: not everything that was written here has reached the hub.\n");
}

static void sync_without_a_line_says_so_and_why(void **state)
{
    (void)state;
    expect("sync", 80, NULL, "{'ok': true, 'result': {'done': null, 'missing': null, 'state': 'offline', 'reason': 'refused'}}\n",
           /* asked */
           "{'command':'sync','args':{'timeout_ms':60000}}", CLIENT_DONE,
           /* out */
           "",
           /* err */
           "The daemon tries now, and syncs when the line is there. Until then: there is no line to the hub: nobody listens at its address.\n");
    expect("sync --wait", 80, NULL, "{'ok': true, 'result': {'done': false, 'missing': 'offline', 'state': 'refused', 'reason': 'left'}}\n",
           /* asked */
           "{'command':'sync','args':{'timeout_ms':60000,'wait':true}}", CLIENT_NO,
           /* out */
           "",
           /* err */
           "Not done: this site has left the hub: a new line (perche invite NAME at the hub) brings it back.\n");
}

static void sync_wait_says_a_reason_that_it_does_not_know_as_it_is(void **state)
{
    (void)state;
    expect("sync --wait", 80, NULL,
           "{'ok': true, 'result': {'done': false, 'missing': 'hub_asleep'}}\n",
           /* asked */
           "{'command':'sync','args':{'timeout_ms':60000,'wait':true}}", CLIENT_NO,
           /* out */
           "",
           /* err */
           "Not done: hub asleep.\n");
}

static void sync_wait_in_json_exits_with_1_too(void **state)
{
    (void)state;
    expect("--json sync --wait", 80, NULL,
           "{'ok': true, 'result': {'done': false, 'missing': 'not_equal'}}\n",
           /* asked */
           "{'command':'sync','args':{'timeout_ms':60000,'wait':true}}", CLIENT_NO,
           /* out */
           "{\n"
           "  \"done\": false,\n"
           "  \"missing\": \"not_equal\"\n"
           "}\n",
           /* err */
           "Not done: all has arrived, but no comparison has said equal yet.\n");
}

static void sites_are_a_row_each(void **state)
{
    (void)state;
    expect("sites", 120, NULL,
           "{'ok': true, 'result': {'sites': [{'name': 'La Loupe', 'code': 'LLP', 'id': 'x1', 'state': 'live', "
           "'last_contact': '2025-09-01T14:05:12Z', 'pending': 0, 'behind': 0, "
           "'proven_equal_at': '2025-09-01T14:05:12Z', 'conflicts_open': 1, "
           "'clock_offset_ms': 200, 'version': '0.1.0'}, {'name': 'Chartres', 'code': 'CHR', 'id': 'x2', "
           "'state': 'offline', 'last_contact': '2025-08-30T08:00:00Z', 'pending': 1204, "
           "'behind': 38, 'proven_equal_at': null, 'conflicts_open': 0, "
           "'clock_offset_ms': -61000, 'version': '0.1.0'}, {'name': 'Dreux', 'code': 'DRX', 'id': 'x3', "
           "'state': 'unjoined', 'last_contact': null, 'pending': null, 'behind': null, "
           "'proven_equal_at': null, 'conflicts_open': null, 'clock_offset_ms': null, "
           "'version': null}]}}\n",
           /* asked */
           "{'command':'sites','args':{}}", CLIENT_DONE,
           /* out */
           "site      code  state     last contact  to send  behind  proven equal  to decide    clock  "
           "version\n"
           "La Loupe  LLP   live      16:05:12            0       0  16:05:12              1   +0.2 s  "
           "0.1.0\n"
           "Chartres  CHR   offline   30 Aug 10:00    1,204      38  never                 0  -61.0 s  "
           "0.1.0\n"
           "Dreux     DRX   unjoined  never               ?       ?  never                 ?        ?\n",
           /* err */
           "");
}

static void a_site_that_left_is_shown_so_with_the_date(void **state)
{
    (void)state;
    expect("sites", 120, NULL,
           "{'ok': true, 'result': {'sites': [{'name': 'Dreux', 'code': 'DRX', 'id': 'x3', 'state': 'unjoined', "
           "'left_at': '2025-08-30T08:00:00Z', 'last_contact': '2025-08-30T08:00:00Z', 'pending': 0, 'behind': 0, "
           "'proven_equal_at': '2025-08-30T08:00:00Z', 'conflicts_open': 0, 'clock_offset_ms': 0, 'version': null}]}}\n",
           /* asked */
           "{'command':'sites','args':{}}", CLIENT_DONE,
           /* out */
           "site   code  state  last contact  to send  behind  proven equal  to decide  clock\n"
           "Dreux  DRX   left   30 Aug 10:00        0       0  30 Aug 10:00          0  0.0 s\n"
           "\n"
           "Dreux left on 2025-08-30 10:00:00. It comes back with a new line: perche invite DRX\n",
           /* err */
           "");
}

static void a_revoked_site_is_shown_so(void **state)
{
    (void)state;
    expect("sites", 120, NULL,
           "{'ok': true, 'result': {'sites': [{'name': 'Dreux', 'code': 'DRX', 'id': 'x3', 'state': 'refused', "
           "'revoked_at': '2025-08-30T08:00:00Z', 'last_contact': null, 'pending': 0, 'behind': 0, "
           "'proven_equal_at': null, 'conflicts_open': 0, 'clock_offset_ms': 0, 'version': null}]}}\n",
           /* asked */
           "{'command':'sites','args':{}}", CLIENT_DONE,
           /* out */
           "site   code  state    last contact  to send  behind  proven equal  to decide  clock\n"
           "Dreux  DRX   revoked  never               0       0  never                 0  0.0 s\n",
           /* err */
           "");
}

static void sites_on_a_narrow_terminal_keep_name_and_state(void **state)
{
    (void)state;
    expect("sites", 40, NULL,
           "{'ok': true, 'result': {'sites': [{'name': 'La Loupe', 'code': 'LLP', 'id': 'x1', 'state': 'live', "
           "'last_contact': '2025-09-01T14:05:12Z', 'pending': 0, 'behind': 0, "
           "'proven_equal_at': '2025-09-01T14:05:12Z', 'conflicts_open': 1, "
           "'clock_offset_ms': 200, 'version': '0.1.0'}, {'name': 'Chartres', 'code': 'CHR', 'id': 'x2', "
           "'state': 'offline', 'last_contact': '2025-08-30T08:00:00Z', 'pending': 1204, "
           "'behind': 38, 'proven_equal_at': null, 'conflicts_open': 0, "
           "'clock_offset_ms': -61000, 'version': '0.1.0'}, {'name': 'Dreux', 'code': 'DRX', 'id': 'x3', "
           "'state': 'unjoined', 'last_contact': null, 'pending': null, 'behind': null, "
           "'proven_equal_at': null, 'conflicts_open': null, 'clock_offset_ms': null, "
           "'version': null}]}}\n",
           /* asked */
           "{'command':'sites','args':{}}", CLIENT_DONE,
           /* out */
           "site      code  state     last …  to se…\n"
           "La Loupe  LLP   live      16:05…       0\n"
           "Chartres  CHR   offline   30 Au…   1,204\n"
           "Dreux     DRX   unjoined  never        ?\n",
           /* err */
           "");
}

static void no_site_yet_says_what_comes_first(void **state)
{
    (void)state;
    expect("sites", 80, NULL, "{'ok': true, 'result': {'sites': []}}\n",
           /* asked */
           "{'command':'sites','args':{}}", CLIENT_DONE,
           /* out */
           "",
           /* err */
           "No site has been invited yet: \"perche invite NAME\" is the first step.\n");
}

static void sites_in_json_are_what_the_daemon_said(void **state)
{
    (void)state;
    expect("sites --json", 80, NULL, "{'ok': true, 'result': {'sites': []}}\n",
           /* asked */
           "{'command':'sites','args':{}}", CLIENT_DONE,
           /* out */
           "{\n"
           "  \"sites\": []\n"
           "}\n",
           /* err */
           "");
}

static void list_alone_names_the_tables(void **state)
{
    (void)state;
    expect("list", 80, NULL,
           "{'ok': true, 'result': {'tables': [{'table': 'cohort', 'rows': 1, "
           "'rule': 'own site_id', 'policy': 'lww', 'columns': []}, {'table': 'learner', "
           "'rows': 1204, 'rule': 'members', 'policy': 'review'}]}}\n",
           /* asked */
           "{'command':'tables','args':{}}", CLIENT_DONE,
           /* out */
           "table     rows  rule         policy\n"
           "cohort       1  own site_id  lww\n"
           "learner  1,204  members      review\n",
           /* err */
           "");
}

static void list_prints_the_records_of_a_table(void **state)
{
    (void)state;
    expect("list learner", 80, NULL,
           "{'ok': true, 'result': {'table': 'learner', 'columns': ['id', 'family_name', "
           "'born_on', 'n', 'note'], 'rows': [['01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d10', "
           "'Lefèvre', '1999-05-06', 7, null], ['01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d11', '山田', "
           "'2001-01-31', 1204, 'x\\ny']]}}\n",
           /* asked */
           "{'command':'list','args':{'table':'learner','limit':100,'names':true}}", CLIENT_DONE,
           /* out */
           "id                                    family_name  born_on        n  note\n"
           "01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d10  Lefèvre      1999-05-06     7\n"
           "01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d11  山田         2001-01-31  1204  x y\n",
           /* err */
           "");
}

static void list_on_a_narrow_terminal_cuts_the_widest(void **state)
{
    (void)state;
    expect("list learner", 40, NULL,
           "{'ok': true, 'result': {'table': 'learner', 'columns': ['id', 'family_name', "
           "'born_on', 'n', 'note'], 'rows': [['01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d10', "
           "'Lefèvre', '1999-05-06', 7, null], ['01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d11', '山田', "
           "'2001-01-31', 1204, 'x\\ny']]}}\n",
           /* asked */
           "{'command':'list','args':{'table':'learner','limit':100,'names':true}}", CLIENT_DONE,
           /* out */
           "id            famil…  born_…     n  note\n"
           "01990c5e-7d…  Lefèv…  1999-…     7\n"
           "01990c5e-7d…  山田    2001-…  1204  x y\n",
           /* err */
           "");
}

static void list_cuts_no_id_where_there_is_room(void **state)
{
    (void)state;
    expect("list learner", 72, NULL,
           "{'ok': true, 'result': {'table': 'learner', 'columns': ['id', 'family_name', 'note'], "
           "'rows': [['01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d10', 'Lefèvre', "
           "'a long note that goes on and on and on and on and on']]}}\n",
           /* asked */
           "{'command':'list','args':{'table':'learner','limit':100,'names':true}}", CLIENT_DONE,
           /* out */
           "id                                    family_name  note\n"
           "01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d10  Lefèvre      a long note that goe…\n",
           /* err */
           "");
}

static void held_lists_what_waits_and_what_to_type(void **state)
{
    (void)state;
    expect("held", 80, NULL,
           "{'ok': true, 'result': {'held': [{'id': 1, 'table': 'learner', 'at': '2025-09-01T14:05:12Z', 'rows': 40, 'of': 50, "
           "'state': 'waiting'}, {'id': 12, 'table': 'attendance', 'at': '2025-08-31T14:05:12Z', 'rows': 1204, 'of': 0, "
           "'state': 'undoing'}], 'more': false}}\n",
           /* asked */
           "{'command':'held','args':{}}", CLIENT_DONE,
           /* out */
           "id  since         table       rows deleted  state\n"
           "1   16:05:12      learner     40 of 50      waiting\n"
           "12  31 Aug 16:05  attendance  1,204         undoing\n",
           /* err */
           "See them with: perche held show ID. Then: perche held undo ID puts the rows back,\n"
           "perche held release ID deletes them everywhere.\n");
    expect("held", 80, NULL, "{'ok': true, 'result': {'held': [], 'more': false}}\n", "{'command':'held','args':{}}", CLIENT_DONE, "",
           "No deletion waits for a person.\n");
}

static void held_show_has_the_rows_with_what_they_say(void **state)
{
    (void)state;
    expect("held show 1 --limit 2", 100, NULL,
           "{'ok': true, 'result': {'id': 1, 'table': 'learner', 'at': '2025-09-01T14:05:12Z', 'rows': 40, 'of': 50, "
           "'state': 'waiting', 'entries': [{'key': ['01990c5e-0000-7000-8000-000000000001'], 'columns': "
           "{'birth_family_name': 'Martin', 'call_name': 'Camille'}}, {'key': ['a', 2], 'columns': {}}], 'more': true}}\n",
           /* asked */
           "{'command':'held','args':{'id':1,'limit':2}}", CLIENT_DONE,
           /* out */
           "held           1\n"
           "table          learner\n"
           "since          16:05:12\n"
           "rows deleted   40 of 50\n"
           "state          waiting\n"
           "\n"
           "row                                   what it says\n"
           "01990c5e-0000-7000-8000-000000000001  birth_family_name Martin, call_name Camille\n"
           "a,2\n",
           /* err */
           "There are more: --limit N shows N of them.\n");
}

static void held_release_and_undo_say_what_was_done(void **state)
{
    (void)state;
    expect("held release 1", 80, NULL, "{'ok': true, 'result': {'id': 1, 'table': 'learner', 'rows': 1500, 'left': 500, 'refused': 0}}\n",
           "{'command':'release','args':{'id':1}}", CLIENT_DONE, "",
           "1,500 rows of learner deleted, the last ones in a moment. The deletions go to the other sites like any other.\n");
    expect("held undo 12", 80, NULL, "{'ok': true, 'result': {'id': 12, 'table': 'learner', 'rows': 40, 'left': 0, 'refused': 3}}\n",
           "{'command':'undo','args':{'id':12}}", CLIENT_DONE, "",
           "40 rows of learner back as before.\n"
           "3 of them the table does not take back (a constraint of this file, such as a unique\n"
           "index): they wait on under a new ID, see perche held.\n");
    expect("--json held undo 12", 80, NULL, "{'ok': true, 'result': {'id': 12}}\n", "{'command':'undo','args':{'id':12}}", CLIENT_DONE,
           "{\n  \"id\": 12\n}\n", "");
}

static void refused_says_all_of_what_to_do_about_a_change_of_the_schema(void **state)
{
    (void)state;
    expect("refused", 72, NULL,
           "{'ok': true, 'result': {'refused': [{'n': 1, 'at': '2025-09-01T13:05:24Z', 'table': 'perche_migration', "
           "'row': '12', 'columns': 'replicate note', 'reason': 'schema', 'image': 'there is a table note already, with other columns: rename it and start perched again'}], 'more': false}}\n",
           /* asked */
           "{'command':'refused','args':{}}", CLIENT_DONE,
           /* out */
           "when    table             row  colum…  why                        what …\n"
           "15:05…  perche_migration  12   repli…  a change of the schema t…  there…\n"
           "\n"
           "replicate note: there is a table note already, with other columns: rename it and start perched again\n",
           /* err */
           "");
}

static void conflicts_say_what_is_the_matter_and_a_decision_what_comes_of_it(void **state)
{
    (void)state;
    expect("conflicts", 160, NULL,
           "{'ok': true, 'result': {'conflicts': [{'id': '7f3a1111', 'kind': 'unique', 'table': 'learner', 'row': ['x'], 'column': 'ine', 'label': 'Lea', 'state': 'open', "
           "'a': {'value': '123', 'site': 'La Loupe', 'site_id': 'x1', 'at': '2025-09-01T13:05:24Z'}, "
           "'b': {'value': null, 'site': 'Chartres', 'site_id': 'x2', 'at': '2025-09-01T13:05:24Z'}}], 'more': false, 'self': {'id': 'x1', 'name': 'La Loupe'}}}\n",
           /* asked */
           "{'command':'conflicts','args':{}}", CLIENT_DONE,
           /* out */
           "id    what                                       here                     there\n"
           "7f3a  Lea: ine, two records bear the same value  a: 123  La Loupe  1 Sep  b: (another record)  Chartres  1 Sep\n",
           /* err */
           "Decide with: perche conflicts resolve ID --take a --reason TEXT\n");
    expect("conflicts resolve 7f3a --take b --reason x", 80, NULL, "{'ok': true, 'result': {'id': '7f3a', 'closed': 1, 'brought_back': true}}\n",
           /* asked */
           "{'command':'resolve','args':{'id':'7f3a','take':'b','reason':'x'}}", CLIENT_DONE,
           /* out */
           "",
           /* err */
           "Decided. The decision goes to the other sites like any other change.\n"
           "The record had been deleted: it is back everywhere. If it was to stay deleted, delete it again.\n");
}

static void refused_says_why_and_what_was_written(void **state)
{
    (void)state;
    expect("refused", 100, NULL,
           "{'ok': true, 'result': {'refused': [{'n': 1, 'at': '2025-09-01T13:05:24Z', 'table': 'learner', "
           "'row': 'abc', 'columns': '', 'reason': 'scope', 'image': '{}'}, {'n': 2, "
           "'at': '2025-09-01T13:05:24Z', 'table': 'learner', 'row': 'abd', 'columns': 'restricted', "
           "'reason': 'of_a_later_version', 'image': '{}'}], 'more': false}}\n",
           /* asked */
           "{'command':'refused','args':{}}", CLIENT_DONE,
           /* out */
           "when      table    row  columns     why                            what was written\n"
           "15:05:24  learner  abc  all         a row that is not this site's  {}\n"
           "15:05:24  learner  abd  restricted  of_a_later_version             {}\n",
           /* err */
           "");
}

static void list_says_which_columns_do_not_fit(void **state)
{
    (void)state;
    expect("list t", 40, NULL,
           "{'ok': true, 'result': {'table': 't', 'columns': ['id', 'family_name', 'given_name', "
           "'born_on', 'home_site_id', 'call_name', 'note'], 'rows': [['01990c5e-7d1a-7c3e', "
           "'Lefèvre', 'Zoé-Clémentine', '1999-05-06', '01990c5e-0000', 'Zoé', 'x']]}}\n",
           /* asked */
           "{'command':'list','args':{'table':'t','limit':100,'names':true}}", CLIENT_DONE,
           /* out */
           "id        famil…  given…  born_…  home_…\n"
           "01990c5…  Lefèv…  Zoé-C…  1999-…  01990…\n",
           /* err */
           "2 of 7 columns do not fit here: call_name note. \"perche show TABLE ID\" and --json "
           "have them.\n");
}

static void list_says_that_there_are_more(void **state)
{
    (void)state;
    expect("list learner --limit 2 --where 'n > 3'", 100, NULL,
           "{'ok': true, 'result': {'table': 'learner', 'columns': ['id', 'family_name', "
           "'born_on', 'n', 'note'], 'rows': [['01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d10', "
           "'Lefèvre', '1999-05-06', 7, null], ['01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d11', '山田', "
           "'2001-01-31', 1204, 'x\\ny']], 'more': true}}\n",
           /* asked */
           "{'command':'list','args':{'table':'learner','where':'n > 3','limit':2,'names':true}}", CLIENT_DONE,
           /* out */
           "id                                    family_name  born_on        n  note\n"
           "01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d10  Lefèvre      1999-05-06     7\n"
           "01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d11  山田         2001-01-31  1204  x y\n",
           /* err */
           "These are the first 2; --limit N shows more.\n");
}

/* Codes, days and numbers whole, names long enough to be names; what does not fit then, and what is empty in every row, is told. */
static void list_cuts_no_code_and_tells_what_is_empty(void **state)
{
    (void)state;
    expect("list enrolment", 100, NULL,
           "{'ok': true, 'result': {'table': 'enrolment', 'columns': ['id', 'learner_id', 'cohort_id', 'actual_end', 'exit_reason', "
           "'pay_scheme', 'transferred_from', 'name_at_entry'], 'rows': [['01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d10', 'Camille Rousseau-Desmoulins', 'P1', '2016-08-05', "
           "'DROPOUT_FINANCIAL', null, null, 'Camille Rousseau-Desmoulins']], 'codes': ['exit_reason', 'pay_scheme']}}\n",
           /* asked */
           "{'command':'list','args':{'table':'enrolment','limit':100,'names':true}}", CLIENT_DONE,
           /* out */
           "id                                    learner_id        cohort_id  actual_end  exit_reason\n"
           "01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d10  Camille Roussea…  P1         2016-08-05  DROPOUT_FINANCIAL\n",
           /* err */
           "1 of 6 columns do not fit here: name_at_entry. \"perche show TABLE ID\" and --json have them.\n"
           "Empty in all of these: pay_scheme transferred_from.\n");
}

static void list_of_nothing_says_so(void **state)
{
    (void)state;
    expect("list learner", 80, NULL,
           "{'ok': true, 'result': {'table': 'learner', 'columns': ['id', 'family_name', "
           "'born_on', 'n', 'note'], 'rows': []}}\n",
           /* asked */
           "{'command':'list','args':{'table':'learner','limit':100,'names':true}}", CLIENT_DONE,
           /* out */
           "id  family_name  born_on  n  note\n",
           /* err */
           "No record.\n");
}

static void list_in_json_is_what_the_daemon_said(void **state)
{
    (void)state;
    expect("--json list learner", 80, NULL,
           "{'ok': true, 'result': {'table': 't', 'columns': ['a'], 'rows': [[1.5]]}}\n",
           /* asked */
           "{'command':'list','args':{'table':'learner','limit':100}}", CLIENT_DONE,
           /* out */
           "{\n"
           "  \"table\": \"t\",\n"
           "  \"columns\": [\n"
           "    \"a\"\n"
           "  ],\n"
           "  \"rows\": [\n"
           "    [\n"
           "      1.5\n"
           "    ]\n"
           "  ]\n"
           "}\n",
           /* err */
           "");
}

static void show_prints_value_time_and_site_of_each_column(void **state)
{
    (void)state;
    expect("show outcome_decision 01990c5e-8a02,W4", 80, NULL,
           "{'ok': true, 'result': {'table': 'outcome_decision', 'key': ['01990c5e-8a02', 'W4'], "
           "'label': 'outcome of L05 at 4 weeks', 'scope': ['La Loupe', 'hub'], "
           "'columns': [{'name': 'situation', 'value': 'JOBSEEKING', "
           "'at': '2025-09-01T14:05:12Z', 'site': 'La Loupe', 'policy': 'review', "
           "'contested': true}, {'name': 'decided_on', 'value': null, 'at': null, 'site': null, "
           "'policy': 'lww', 'contested': false}]}}\n",
           /* asked */
           "{'command':'show','args':{'table':'outcome_decision','id':['01990c5e-8a02','W4']}}",
           CLIENT_DONE,
           /* out */
           "outcome_decision   01990c5e-8a02,W4\n"
           "what               outcome of L05 at 4 weeks\n"
           "held by            La Loupe, hub\n"
           "\n"
           "column      value       when      where\n"
           "situation   JOBSEEKING  16:05:12  La Loupe  to decide\n"
           "decided_on\n",
           /* err */
           "Another site wrote another value: \"perche conflicts\" shows both.\n");
}

static void show_says_what_a_named_record_is_called(void **state)
{
    (void)state;
    expect("show cohort P1", 80, NULL,
           "{'ok': true, 'result': {'table': 'cohort', 'key': ['01990c5e'], 'label': 'cohort P1', 'deleted': false, "
           "'columns': [{'name': 'site_id', 'value': '01990c5e-0000', 'called': 'La Loupe', 'at': null, 'site': null}]}}\n",
           /* asked */
           "{'command':'show','args':{'table':'cohort','id':'P1'}}", CLIENT_DONE,
           /* out */
           "cohort   01990c5e\n"
           "what     cohort P1\n"
           "\n"
           "column   value                     when  where\n"
           "site_id  La Loupe (01990c5e-0000)\n",
           /* err */
           "");
}

static void plan_makes_half_days_and_says_which_were_there(void **state)
{
    (void)state;
    expect("plan P1 --from 28/05/2018 --to 29/05/2018 --half AM --minutes 200", 80, NULL,
           "{'ok': true, 'result': {'cohort': 'P1', 'from': '2018-05-28', 'to': '2018-05-29', 'rows': ["
           "{'id': 'a', 'day': '2018-05-28', 'half': 'AM', 'mode': 'ON_SITE', 'minutes': 210, 'was': 'planned', 'state': 'planned', 'marks': 28}, "
           "{'id': 'b', 'day': '2018-05-29', 'half': 'AM', 'mode': 'ON_SITE', 'minutes': 200, 'was': null, 'state': 'planned', 'marks': 0}], "
           "'planned': 1, 'restored': 0, 'cancelled': 0, 'same': 1, 'unlike': 1, 'marks': 0}}\n",
           /* asked */
           "{'command':'plan','args':{'cohort':'P1','from':'28/05/2018','to':'29/05/2018','half':'AM','minutes':200}}", CLIENT_DONE,
           /* out */
           "day         half  mode     minutes  marked\n"
           "2018-05-28  AM    ON_SITE      210      28  there already\n"
           "2018-05-29  AM    ON_SITE      200          new\n"
           "\n"
           "P1: 1 half-day planned, 1 there already.\n",
           /* err */
           "Of those that were there 1 with other minutes or another mode, as before: \"perche set half_day\" changes one.\n");
}

static void plan_cancels_and_says_what_was_marked(void **state)
{
    (void)state;
    expect("plan P1 --from 28/05/2018 --cancel", 80, NULL,
           "{'ok': true, 'result': {'cohort': 'P1', 'from': '2018-05-28', 'to': '2018-05-28', 'rows': ["
           "{'id': 'a', 'day': '2018-05-28', 'half': 'AM', 'mode': 'ON_SITE', 'minutes': 210, 'was': 'planned', 'state': 'cancelled', 'marks': 28}, "
           "{'id': 'b', 'day': '2018-05-28', 'half': 'PM', 'mode': 'ON_SITE', 'minutes': 210, 'was': 'cancelled', 'state': 'cancelled', 'marks': 0}], "
           "'planned': 0, 'restored': 0, 'cancelled': 1, 'same': 1, 'unlike': 0, 'marks': 28}}\n",
           /* asked */
           "{'command':'plan','args':{'cohort':'P1','from':'28/05/2018','cancel':true}}", CLIENT_DONE,
           /* out */
           "day         half  mode     minutes  marked\n"
           "2018-05-28  AM    ON_SITE      210      28  cancelled\n"
           "2018-05-28  PM    ON_SITE      210          cancelled before\n"
           "\n"
           "P1: 1 half-day cancelled, 1 so before.\n",
           /* err */
           "Marks that stand on them: 28. They are kept, and count no more while the half-days are cancelled.\n");
}

static void delete_shows_what_it_was(void **state)
{
    (void)state;
    expect("delete event_participant Hackathon 'Zoé Durand'", 80, NULL,
           "{'ok': true, 'result': {'was': {'table': 'event_participant', 'key': ['e', 'l'], 'label': 'Zoé D. in event Hackathon', 'deleted': false, 'columns': []}, 'deleted': true}}\n",
           /* asked */
           "{'command':'delete','args':{'table':'event_participant','id':['Hackathon','Zoé Durand']}}", CLIENT_DONE,
           /* out */
           "event_participant   e,l\n"
           "what                Zoé D. in event Hackathon\n"
           "\n"
           "column  value  when  where\n",
           /* err */
           "Deleted: this is what it was. \"perche history\" keeps it.\n");
}

static void add_of_a_table_alone_says_what_its_records_have(void **state)
{
    (void)state;
    expect("add learner", 80, NULL,
           "{'ok': true, 'result': {'tables': [{'table': 'site', 'columns': []}, {'table': 'learner', 'policy': 'review', 'columns': [{'name': 'id', 'policy': 'review'}, "
           "{'name': 'home_site_id', 'policy': 'review', 'refers': 'site(id)', 'code_list': null}, {'name': 'sex', 'policy': 'review', 'code_list': 'sex'}, {'name': 'restricted', 'policy': 'hub'}]}]}}\n",
           /* asked */
           "{'command':'tables','args':{}}", CLIENT_USAGE,
           /* out */
           "column        holds\n"
           "id\n"
           "home_site_id  the name or id of a row of site\n"
           "sex           a code of the list sex, or its label\n"
           "restricted    what the hub alone writes\n",
           /* err */
           "No COLUMN=VALUE is given. What a list has: perche list code_list --where \"list = 'sex'\"\n");
    expect("add learners", 80, NULL, "{'ok': true, 'result': {'tables': [{'table': 'learner', 'columns': []}]}}\n", "{'command':'tables','args':{}}", CLIENT_NO, "",
           "perche: no table is called learners: \"perche list\" has their names.\n");
}

static void add_of_somebody_who_is_here_goes_on_when_told(void **state)
{
    (void)state;
    expect("add learner call_name=Zoé --anyway", 80, NULL, "{'ok': false, 'code': 'state', 'text': 'no'}\n",
           /* asked */
           "{'command':'add','args':{'table':'learner','values':{'call_name':'Zoé'},'anyway':true}}", CLIENT_NO,
           /* out */
           "",
           /* err */
           "perche: no\n");
}

static void report_takes_days_as_people_write_them(void **state)
{
    struct ran *r;

    (void)state;
    expect("report entries --from 01/09/2018 --to 31.12.2018 --as-of 2019-01-31", 80, NULL,
           "{'ok': true, 'result': {'from': '2018-09-01', 'to': '2018-12-31', 'as_of': '2019-01-31', 'known_at': '2019-01-31T00:00:00Z', 'figures': []}}\n",
           /* asked */
           "{'command':'report','args':{'name':'entries','from':'2018-09-01','to':'2018-12-31','as_of':'2019-01-31'}}", CLIENT_DONE,
           /* out */
           "From 2018-09-01 to 2018-12-31; due by 2019-01-31; as known here at 2019-01-31 01:00:00.\n\n",
           /* err */
           "");
    r = run_at("/nowhere", "report --to 31/02/2018", 80, NULL);
    assert_int_equal(r->status, CLIENT_USAGE);
    assert_non_null(strstr(r->err, "--to: \"31/02/2018\" is no day: write 2016-04-13 or 13/04/2016."));
    ran_free(r);
}

static void show_takes_an_id_as_several_words(void **state)
{
    (void)state;
    expect("show outcome_decision 01990c5e-8a02 W4", 80, NULL,
           "{'ok': true, 'result': {'table': 'outcome_decision', 'key': ['01990c5e-8a02', 'W4'], "
           "'label': null, 'scope': [], 'columns': [], 'deleted': true}}\n",
           /* asked */
           "{'command':'show','args':{'table':'outcome_decision','id':['01990c5e-8a02','W4']}}",
           CLIENT_DONE,
           /* out */
           "outcome_decision   01990c5e-8a02,W4\n"
           "held by            the hub alone\n"
           "state              deleted\n"
           "\n"
           "column  value  when  where\n",
           /* err */
           "");
}

static void show_says_when_every_site_has_it(void **state)
{
    (void)state;
    expect("show site 7", 80, NULL,
           "{'ok': true, 'result': {'table': 'site', 'key': ['7'], 'label': null, "
           "'scope': ['*'], 'columns': []}}\n",
           /* asked */
           "{'command':'show','args':{'table':'site','id':'7'}}", CLIENT_DONE,
           /* out */
           "site      7\n"
           "held by   every site\n"
           "\n"
           "column  value  when  where\n",
           /* err */
           "");
}

static void show_in_json_is_what_the_daemon_said(void **state)
{
    (void)state;
    expect("show --json t 7", 80, NULL, "{'ok': true, 'result': {'table': 't'}}\n",
           /* asked */
           "{'command':'show','args':{'table':'t','id':'7'}}", CLIENT_DONE,
           /* out */
           "{\n"
           "  \"table\": \"t\"\n"
           "}\n",
           /* err */
           "");
}

static void history_prints_who_wrote_what_when_and_where(void **state)
{
    (void)state;
    expect("history outcome_decision 01990c5e-8a02,W4", 100, NULL,
           "{'ok': true, 'result': {'table': 'outcome_decision', 'key': ['01990c5e-8a02', 'W4'], "
           "'label': 'outcome of L05 at 4 weeks', 'entries': [{'at': '2025-09-01T14:05:12Z', "
           "'site': 'La Loupe', 'column': 'situation', 'value': 'JOBSEEKING', 'kind': 'insert', "
           "'via': null}, {'at': '2025-09-01T14:05:12Z', 'site': 'La Loupe', 'column': 'rule', 'value': null, "
           "'kind': 'insert', 'via': null}, {'at': '2025-09-01T15:20:00Z', 'site': 'placement office', "
           "'column': 'situation', 'value': 'EMP_PERMANENT', 'kind': 'edit', 'via': 'hub'}, "
           "{'at': '2025-09-02T08:00:00Z', 'site': 'La Loupe', 'column': null, 'value': null, "
           "'kind': 'delete', 'via': null}]}}\n",
           /* asked */
           "{'command':'history','args':{'table':'outcome_decision','id':['01990c5e-8a02','W4']}}",
           CLIENT_DONE,
           /* out */
           "outcome_decision   01990c5e-8a02,W4\n"
           "what               outcome of L05 at 4 weeks\n"
           "\n"
           "when                 where             what    column     value          came by\n"
           "2025-09-01 16:05:12  La Loupe          insert  situation  JOBSEEKING\n"
           "2025-09-01 17:20:00  placement office  edit    situation  EMP_PERMANENT  hub\n"
           "2025-09-02 10:00:00  La Loupe          delete\n",
           /* err */
           "");
}

/* What was emptied is said; that a new row has not got it is not. */
static void history_says_what_was_emptied(void **state)
{
    (void)state;
    expect("history t 7", 80, NULL,
           "{'ok': true, 'result': {'table': 't', 'key': ['7'], 'entries': [{'at': '2025-09-01T14:05:12Z', "
           "'site': 'La Loupe', 'column': 'a', 'value': null, 'kind': 'edit', 'via': null}]}}\n",
           /* asked */
           "{'command':'history','args':{'table':'t','id':'7'}}", CLIENT_DONE,
           /* out */
           "t   7\n"
           "\n"
           "when                 where     what  column  value  came by\n"
           "2025-09-01 16:05:12  La Loupe  edit  a\n",
           /* err */
           "");
}

static void history_in_json_is_what_the_daemon_said(void **state)
{
    (void)state;
    expect("history --json t 7", 80, NULL, "{'ok': true, 'result': {'table': 't'}}\n",
           /* asked */
           "{'command':'history','args':{'table':'t','id':'7'}}", CLIENT_DONE,
           /* out */
           "{\n"
           "  \"table\": \"t\"\n"
           "}\n",
           /* err */
           "");
}

static void conflicts_show_what_here_and_there(void **state)
{
    (void)state;
    expect("conflicts", 100, NULL,
           "{'ok': true, 'result': {'self': {'id': '01990c5e-0000-7000-8000-000000000001', "
           "'name': 'La Loupe'}, 'conflicts': [{'id': '7f3a9c11d2e4f60718293a4b5c6d7e8f', "
           "'kind': 'concurrent_edit', 'table': 'outcome_decision', "
           "'row': ['01990c5e-8a02-7f11-8c66-0d4b3a7e9f25', 'W4'], 'column': 'situation', "
           "'state': 'open', 'label': 'outcome of L05 at 4 weeks', 'a': {'value': 'JOBSEEKING', "
           "'site': 'La Loupe', 'site_id': '01990c5e-0000-7000-8000-000000000001', "
           "'at': '2025-09-01T14:05:12Z'}, 'b': {'value': 'EMP_PERMANENT', "
           "'site': 'placement office', 'site_id': 'x9', 'at': '2025-09-01T15:20:00.5Z'}, "
           "'resolved': null}]}}\n",
           /* asked */
           "{'command':'conflicts','args':{}}", CLIENT_DONE,
           /* out */
           "id    what                            here                            there\n"
           "7f3a  outcome of L05 at 4 weeks: si…  a: JOBSEEKING  La Loupe  1 Sep  b: "
           "EMP_PERMANENT  placement o…\n",
           /* err */
           "Decide with: perche conflicts resolve ID --take a --reason TEXT\n");
}

static void ids_are_cut_to_what_tells_them_apart_and_the_own_side_stands_first(void **state)
{
    (void)state;
    expect("conflicts", 120, NULL,
           "{'ok': true, 'result': {'self': {'id': '01990c5e-0000-7000-8000-000000000001', "
           "'name': 'La Loupe'}, 'conflicts': [{'id': '7f3a9c11d2e4f60718293a4b5c6d7e8f', "
           "'kind': 'concurrent_edit', 'table': 'outcome_decision', "
           "'row': ['01990c5e-8a02-7f11-8c66-0d4b3a7e9f25', 'W4'], 'column': 'situation', "
           "'state': 'open', 'label': 'outcome of L05 at 4 weeks', 'a': {'value': 'JOBSEEKING', "
           "'site': 'La Loupe', 'site_id': '01990c5e-0000-7000-8000-000000000001', "
           "'at': '2025-09-01T14:05:12Z'}, 'b': {'value': 'EMP_PERMANENT', "
           "'site': 'placement office', 'site_id': 'x9', 'at': '2025-09-01T15:20:00.5Z'}, "
           "'resolved': null}, {'id': '7f3a9d00000000000000000000000000', "
           "'kind': 'concurrent_edit', 'table': 'learner', 'row': '01990c5e-7d1a', "
           "'column': 'call_name', 'state': 'open', 'label': null, 'a': {'value': null, "
           "'site': 'placement office', 'at': '2024-12-24T10:00:00Z'}, 'b': {'value': 'Zoé', "
           "'site': 'La Loupe', 'at': '2025-09-01T14:05:12Z'}, 'resolved': null}]}}\n",
           /* asked */
           "{'command':'conflicts','args':{}}", CLIENT_DONE,
           /* out */
           "id      what                                  here                            there\n"
           "7f3a9c  outcome of L05 at 4 weeks: situation  a: JOBSEEKING  La Loupe  1 Sep  b: "
           "EMP_PERMANENT  placement office  1 Sep\n"
           "7f3a9d  learner 01990c5e-7d1a: call_name      b: Zoé  La Loupe  1 Sep         a: "
           "(empty)  placement office  24 Dec 2024\n",
           /* err */
           "Decide with: perche conflicts resolve ID --take a --reason TEXT\n");
}

static void conflicts_between_other_sites_are_not_called_here_and_there(void **state)
{
    (void)state;
    expect("conflicts", 100, NULL,
           "{'ok': true, 'result': {'self': {'id': 'h', 'name': 'hub'}, "
           "'conflicts': [{'id': '7f3a9c11d2e4f60718293a4b5c6d7e8f', 'kind': 'concurrent_edit', "
           "'table': 'outcome_decision', 'row': ['01990c5e-8a02-7f11-8c66-0d4b3a7e9f25', 'W4'], "
           "'column': 'situation', 'state': 'open', 'label': 'outcome of L05 at 4 weeks', "
           "'a': {'value': 'JOBSEEKING', 'site': 'La Loupe', "
           "'site_id': '01990c5e-0000-7000-8000-000000000001', 'at': '2025-09-01T14:05:12Z'}, "
           "'b': {'value': 'EMP_PERMANENT', 'site': 'placement office', 'site_id': 'x9', "
           "'at': '2025-09-01T15:20:00.5Z'}, 'resolved': null}]}}\n",
           /* asked */
           "{'command':'conflicts','args':{}}", CLIENT_DONE,
           /* out */
           "id    what                            one                             the other\n"
           "7f3a  outcome of L05 at 4 weeks: si…  a: JOBSEEKING  La Loupe  1 Sep  b: "
           "EMP_PERMANENT  placement o…\n",
           /* err */
           "Decide with: perche conflicts resolve ID --take a --reason TEXT\n");
}

static void conflicts_with_decided_ones_have_a_state(void **state)
{
    (void)state;
    expect("conflicts --all", 120, NULL,
           "{'ok': true, 'result': {'self': {'id': '01990c5e-0000-7000-8000-000000000001', "
           "'name': 'La Loupe'}, 'conflicts': [{'id': '7f3a9c11d2e4f60718293a4b5c6d7e8f', "
           "'kind': 'concurrent_edit', 'table': 'outcome_decision', "
           "'row': ['01990c5e-8a02-7f11-8c66-0d4b3a7e9f25', 'W4'], 'column': 'situation', "
           "'state': 'open', 'label': 'outcome of L05 at 4 weeks', 'a': {'value': 'JOBSEEKING', "
           "'site': 'La Loupe', 'site_id': '01990c5e-0000-7000-8000-000000000001', "
           "'at': '2025-09-01T14:05:12Z'}, 'b': {'value': 'EMP_PERMANENT', "
           "'site': 'placement office', 'site_id': 'x9', 'at': '2025-09-01T15:20:00.5Z'}, "
           "'resolved': null}, {'id': 'aa00', 'kind': 'concurrent_edit', "
           "'table': 'outcome_decision', 'row': ['01990c5e-8a02-7f11-8c66-0d4b3a7e9f25', 'W4'], "
           "'column': 'situation', 'state': 'resolved', 'label': 'outcome of L05 at 4 weeks', "
           "'a': {'value': 'JOBSEEKING', 'site': 'La Loupe', "
           "'site_id': '01990c5e-0000-7000-8000-000000000001', 'at': '2025-09-01T14:05:12Z'}, "
           "'b': {'value': 'EMP_PERMANENT', 'site': 'placement office', 'site_id': 'x9', "
           "'at': '2025-09-01T15:20:00.5Z'}, 'resolved': null}], 'more': true}}\n",
           /* asked */
           "{'command':'conflicts','args':{'all':true}}", CLIENT_DONE,
           /* out */
           "id        what                               here                            there     "
           "                         state\n"
           "7f3a9c11  outcome of L05 at 4 weeks: situa…  a: JOBSEEKING  La Loupe  1 Sep  b: "
           "EMP_PERMANENT  placement offi…  open\n"
           "aa00      outcome of L05 at 4 weeks: situa…  a: JOBSEEKING  La Loupe  1 Sep  b: "
           "EMP_PERMANENT  placement offi…  resolved\n",
           /* err */
           "There are more than can be shown at once.\n");
}

static void conflicts_of_one_table_are_those_alone(void **state)
{
    (void)state;
    expect("conflicts --table learner", 120, NULL,
           "{'ok': true, 'result': {'self': {'id': '01990c5e-0000-7000-8000-000000000001', "
           "'name': 'La Loupe'}, 'conflicts': ["
           "{'id': '7f3a9d00000000000000000000000000', "
           "'kind': 'concurrent_edit', 'table': 'learner', 'row': '01990c5e-7d1a', "
           "'column': 'call_name', 'state': 'open', 'label': null, 'a': {'value': null, "
           "'site': 'placement office', 'at': '2024-12-24T10:00:00Z'}, 'b': {'value': 'Zoé', "
           "'site': 'La Loupe', 'at': '2025-09-01T14:05:12Z'}, 'resolved': null}]}}\n",
           /* asked */
           "{'command':'conflicts','args':{'table':'learner'}}", CLIENT_DONE,
           /* out */
           "id        what                              here                     there\n"
           "7f3a9d00  learner 01990c5e-7d1a: call_name  b: Zoé  La Loupe  1 Sep  a: (empty)  "
           "placement office  24 Dec 2024\n",
           /* err */
           "Decide with: perche conflicts resolve ID --take a --reason TEXT\n");
}

static void conflicts_of_one_record_are_those_alone(void **state)
{
    (void)state;
    expect("conflicts --table outcome_decision --row 01990c5e-8a02-7f11-8c66-0d4b3a7e9f25,W4", 120,
           NULL,
           "{'ok': true, 'result': {'self': {'id': '01990c5e-0000-7000-8000-000000000001', "
           "'name': 'La Loupe'}, 'conflicts': [{'id': '7f3a9c11d2e4f60718293a4b5c6d7e8f', "
           "'kind': 'concurrent_edit', 'table': 'outcome_decision', "
           "'row': ['01990c5e-8a02-7f11-8c66-0d4b3a7e9f25', 'W4'], 'column': 'situation', "
           "'state': 'open', 'label': 'outcome of L05 at 4 weeks', 'a': {'value': 'JOBSEEKING', "
           "'site': 'La Loupe', 'site_id': '01990c5e-0000-7000-8000-000000000001', "
           "'at': '2025-09-01T14:05:12Z'}, 'b': {'value': 'EMP_PERMANENT', "
           "'site': 'placement office', 'site_id': 'x9', 'at': '2025-09-01T15:20:00.5Z'}, "
           "'resolved': null}]}}\n",
           /* asked */
           "{'command':'conflicts','args':{'table':'outcome_decision',"
           "'row':['01990c5e-8a02-7f11-8c66-0d4b3a7e9f25','W4']}}",
           CLIENT_DONE,
           /* out */
           "id        what                                  here                            there\n"
           "7f3a9c11  outcome of L05 at 4 weeks: situation  a: JOBSEEKING  La Loupe  1 Sep  b: "
           "EMP_PERMANENT  placement office  1 S…\n",
           /* err */
           "Decide with: perche conflicts resolve ID --take a --reason TEXT\n");
}

static void conflicts_of_a_record_by_the_beginning_of_its_id(void **state)
{
    (void)state;
    expect("--json conflicts --table learner --row 01990c", 80, NULL,
           "{'ok': true, 'result': {'conflicts': [{'id': '1', 'table': 'learner', "
           "'row': ['01990c5e-7d1a']}]}}\n",
           /* asked */
           "{'command':'conflicts','args':{'table':'learner','row':'01990c'}}", CLIENT_DONE,
           /* out */
           "{\n"
           "  \"conflicts\": [\n"
           "    {\n"
           "      \"id\": \"1\",\n"
           "      \"table\": \"learner\",\n"
           "      \"row\": [\n"
           "        \"01990c5e-7d1a\"\n"
           "      ]\n"
           "    }\n"
           "  ]\n"
           "}\n",
           /* err */
           "");
}

static void no_conflict_is_good_news(void **state)
{
    (void)state;
    expect("conflicts", 80, NULL, "{'ok': true, 'result': {'conflicts': []}}\n",
           /* asked */
           "{'command':'conflicts','args':{}}", CLIENT_DONE,
           /* out */
           "",
           /* err */
           "Nothing waits for a decision.\n");
}

static void conflicts_in_json_are_what_the_daemon_said(void **state)
{
    (void)state;
    expect("conflicts --json", 80, NULL, "{'ok': true, 'result': {'conflicts': []}}\n",
           /* asked */
           "{'command':'conflicts','args':{}}", CLIENT_DONE,
           /* out */
           "{\n"
           "  \"conflicts\": []\n"
           "}\n",
           /* err */
           "");
}

static void one_conflict_is_shown_with_both_sides(void **state)
{
    (void)state;
    expect("conflicts show 7f3a", 80, NULL,
           "{'ok': true, 'result': {'conflict': {'id': '7f3a9c11d2e4f60718293a4b5c6d7e8f', "
           "'kind': 'concurrent_edit', 'table': 'outcome_decision', "
           "'row': ['01990c5e-8a02-7f11-8c66-0d4b3a7e9f25', 'W4'], 'column': 'situation', "
           "'state': 'open', 'label': 'outcome of L05 at 4 weeks', 'a': {'value': 'JOBSEEKING', "
           "'site': 'La Loupe', 'site_id': '01990c5e-0000-7000-8000-000000000001', "
           "'at': '2025-09-01T14:05:12Z'}, 'b': {'value': 'EMP_PERMANENT', "
           "'site': 'placement office', 'site_id': 'x9', 'at': '2025-09-01T15:20:00.5Z'}, "
           "'resolved': null}}}\n",
           /* asked */
           "{'command':'conflict','args':{'id':'7f3a'}}", CLIENT_DONE,
           /* out */
           "conflict   7f3a9c11d2e4f60718293a4b5c6d7e8f\n"
           "what       outcome of L05 at 4 weeks: situation\n"
           "kind       concurrent edit\n"
           "record     outcome_decision 01990c5e-8a02-7f11-8c66-0d4b3a7e9f25,W4\n"
           "column     situation\n"
           "state      open\n"
           "a          JOBSEEKING\n"
           "           La Loupe, 2025-09-01 16:05:12\n"
           "b          EMP_PERMANENT\n"
           "           placement office, 2025-09-01 17:20:00\n",
           /* err */
           "");
}

static void a_decided_conflict_says_who_and_why(void **state)
{
    (void)state;
    expect("conflicts show 7f3a", 80, NULL,
           "{'ok': true, 'result': {'conflict': {'id': '7f3a9c11d2e4f60718293a4b5c6d7e8f', "
           "'kind': 'concurrent_edit', 'table': 'outcome_decision', "
           "'row': ['01990c5e-8a02-7f11-8c66-0d4b3a7e9f25', 'W4'], 'column': 'situation', "
           "'state': 'resolved', 'label': 'outcome of L05 at 4 weeks', "
           "'a': {'value': 'JOBSEEKING', 'site': 'La Loupe', "
           "'site_id': '01990c5e-0000-7000-8000-000000000001', 'at': '2025-09-01T14:05:12Z'}, "
           "'b': {'value': 'EMP_PERMANENT', 'site': 'placement office', 'site_id': 'x9', "
           "'at': '2025-09-01T15:20:00.5Z'}, 'resolved': {'value': 'EMP_PERMANENT', "
           "'by': 'anna', 'at': '2025-09-02T08:00:00Z', 'reason': 'contract seen'}}}}\n",
           /* asked */
           "{'command':'conflict','args':{'id':'7f3a'}}", CLIENT_DONE,
           /* out */
           "conflict   7f3a9c11d2e4f60718293a4b5c6d7e8f\n"
           "what       outcome of L05 at 4 weeks: situation\n"
           "kind       concurrent edit\n"
           "record     outcome_decision 01990c5e-8a02-7f11-8c66-0d4b3a7e9f25,W4\n"
           "column     situation\n"
           "state      resolved\n"
           "a          JOBSEEKING\n"
           "           La Loupe, 2025-09-01 16:05:12\n"
           "b          EMP_PERMANENT\n"
           "           placement office, 2025-09-01 17:20:00\n"
           "decided    EMP_PERMANENT\n"
           "           by anna, 2025-09-02 10:00:00: contract seen\n",
           /* err */
           "");
}

static void a_question_that_has_become_needless_says_why(void **state)
{
    (void)state;
    expect("conflicts show 7f3a", 80, NULL,
           "{'ok': true, 'result': {'conflict': {'id': '7f3a9c11d2e4f60718293a4b5c6d7e8f', "
           "'kind': 'concurrent_edit', 'table': 'outcome_decision', "
           "'row': ['01990c5e-8a02-7f11-8c66-0d4b3a7e9f25', 'W4'], 'column': 'situation', "
           "'state': 'moot', 'label': 'outcome of L05 at 4 weeks', "
           "'a': {'value': 'JOBSEEKING', 'site': 'La Loupe', "
           "'site_id': '01990c5e-0000-7000-8000-000000000001', 'at': '2025-09-01T14:05:12Z'}, "
           "'b': {'value': 'EMP_PERMANENT', 'site': 'placement office', 'site_id': 'x9', "
           "'at': '2025-09-01T15:20:00.5Z'}, 'resolved': {'value': null, "
           "'by': null, 'at': '2025-09-02T08:00:00Z', 'reason': 'no longer used twice'}}}}\n",
           /* asked */
           "{'command':'conflict','args':{'id':'7f3a'}}", CLIENT_DONE,
           /* out */
           "conflict   7f3a9c11d2e4f60718293a4b5c6d7e8f\n"
           "what       outcome of L05 at 4 weeks: situation\n"
           "kind       concurrent edit\n"
           "record     outcome_decision 01990c5e-8a02-7f11-8c66-0d4b3a7e9f25,W4\n"
           "column     situation\n"
           "state      moot\n"
           "a          JOBSEEKING\n"
           "           La Loupe, 2025-09-01 16:05:12\n"
           "b          EMP_PERMANENT\n"
           "           placement office, 2025-09-01 17:20:00\n"
           "closed     2025-09-02 10:00:00: no longer used twice\n",
           /* err */
           "");
}

static void one_conflict_in_json_is_what_the_daemon_said(void **state)
{
    (void)state;
    expect("--json conflicts show 7f3a", 80, NULL, "{'ok': true, 'result': {'id': '7f3a'}}\n",
           /* asked */
           "{'command':'conflict','args':{'id':'7f3a'}}", CLIENT_DONE,
           /* out */
           "{\n"
           "  \"id\": \"7f3a\"\n"
           "}\n",
           /* err */
           "");
}

static void resolve_takes_a_side(void **state)
{
    (void)state;
    expect("conflicts resolve 7f3a --take b --reason 'contract seen'", 80, NULL,
           "{'ok': true, 'result': {}}\n",
           /* asked */
           "{'command':'resolve','args':{'id':'7f3a','take':'b','reason':'contract seen'}}",
           CLIENT_DONE,
           /* out */
           "",
           /* err */
           "Decided. The decision goes to the other sites like any other change.\n");
}

static void resolve_takes_another_value(void **state)
{
    (void)state;
    expect("--json conflicts resolve 7f3a --value TRAINING --reason called", 80, NULL,
           "{'ok': true, 'result': {'id': '7f3a'}}\n",
           /* asked */
           "{'command':'resolve','args':{'id':'7f3a','value':'TRAINING','reason':'called'}}",
           CLIENT_DONE,
           /* out */
           "{\n"
           "  \"id\": \"7f3a\"\n"
           "}\n",
           /* err */
           "");
}

/* Of two records that have one value: which one has it no more, and what is left to do. */
static void resolve_of_a_value_used_twice_says_what_was_done(void **state)
{
    static const struct {
        const char *column, *value, *cleared, *left, *said;
    } cases[] = {
        {"ine", "'N1'", "[{'row': ['01990c5e'], 'label': 'Zoé Durand'}]", "0", "ine is empty now in learner 01990c5e (Zoé Durand), which had the same value.\n"},
        {"ine", "'N1'", "[]", "0", "No other record here has it. One that is elsewhere is asked about there, and at the hub; until it is changed, so is this one again.\n"},
        {"ine", "'N1'", "[]", "0, 'foreign': 2", "2 others here with the same value are another site's, which this one may only read. Until that site or the hub changes it, both are asked about again.\n"},
        {"ine", "null", "[]", "0", "ine is empty in this record now.\n"},
        {"code", "'LLP'", "[]", "1", "1 other is here still with the same value, as code is never empty there or as one decision empties 16 records at most: perche set gives another.\n"},
        {"cohort_id,day,half", "'P1'", "[]", "0", "The records stay as they are: both have the same cohort_id,day,half. Change that of one of them (perche set), cancel it, or delete it where that may be.\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char answer[500], err[500];

        snprintf(answer, sizeof(answer), "{'ok': true, 'result': {'id': 'x', 'table': 'learner', 'column': '%s', 'value': %s, 'closed': 1, 'kind': 'unique', 'cleared': %s, 'left': %s}}\n",
                 cases[i].column, cases[i].value, cases[i].cleared, cases[i].left);
        snprintf(err, sizeof(err), "Decided. The decision goes to the other sites like any other change.\n%s", cases[i].said);
        expect("conflicts resolve 7f3a --take a --reason seen", 80, NULL, answer, "{'command':'resolve','args':{'id':'7f3a','take':'a','reason':'seen'}}", CLIENT_DONE, "", err);
    }
}

static void invite_prints_the_line_alone(void **state)
{
    (void)state;
    expect("invite 'La Loupe' --code LLP --kind SCHOOL --expires 1d --replace", 80, NULL,
           "{'ok': true, 'result': {'line': 'perche1:AbC_-', 'site': 'x1', 'name': 'La Loupe', "
           "'expires': '2025-09-02T14:05:24Z'}}\n",
           /* asked */
           "{'command':'invite','args':{'name':'La "
           "Loupe','code':'LLP','kind':'SCHOOL','expires_in_ms':86400000,'replace':true}}",
           CLIENT_DONE,
           /* out */
           "perche1:AbC_-\n",
           /* err */
           "For La Loupe, once, until 2025-09-02 16:05:24. On its server: perche join LINE\n"
           "Whoever has the line can join in its place: hand it over like a key.\n");
}

static void invite_in_json_is_what_the_daemon_said(void **state)
{
    (void)state;
    expect("invite --json LLP", 80, NULL, "{'ok': true, 'result': {'line': 'perche1:AbC_-'}}\n",
           /* asked */
           "{'command':'invite','args':{'name':'LLP','expires_in_ms':604800000}}", CLIENT_DONE,
           /* out */
           "{\n"
           "  \"line\": \"perche1:AbC_-\"\n"
           "}\n",
           /* err */
           "");
}

static void join_says_as_whom(void **state)
{
    (void)state;
    expect("join perche1:AbC --url tls+tcp://192.0.2.7:7447", 80, NULL,
           "{'ok': true, 'result': {'site': 'x1', 'code': 'LLP', 'name': 'La Loupe', 'hub': 'h', "
           "'url': 'u', 'warning': 'the clock is 61 s behind'}}\n",
           /* asked */
           "{'command':'join','args':{'line':'perche1:AbC','url':'tls+tcp://192.0.2.7:7447'}}",
           CLIENT_DONE,
           /* out */
           "",
           /* err */
           "Note: the clock is 61 s behind\n"
           "Joined as La Loupe. The first sync runs now; \"perche watch\" shows it.\n");
}

static void join_reads_the_line_from_the_input(void **state)
{
    (void)state;
    expect("join -", 80,
           "perche1:AbC\n"
           "and more\n",
           "{'ok': true, 'result': {'site': 'x1', 'name': 'La Loupe', 'warning': null}}\n",
           /* asked */
           "{'command':'join','args':{'line':'perche1:AbC'}}", CLIENT_DONE,
           /* out */
           "",
           /* err */
           "Joined as La Loupe. The first sync runs now; \"perche watch\" shows it.\n");
}

static void join_in_json_is_what_the_daemon_said(void **state)
{
    (void)state;
    expect("join --json l", 80, NULL, "{'ok': true, 'result': {'site': 'x1'}}\n",
           /* asked */
           "{'command':'join','args':{'line':'l'}}", CLIENT_DONE,
           /* out */
           "{\n"
           "  \"site\": \"x1\"\n"
           "}\n",
           /* err */
           "");
}

static void revoke_names_the_site(void **state)
{
    (void)state;
    expect("revoke LLP", 80, NULL, "{'ok': true, 'result': {'site': 'x1'}}\n",
           /* asked */
           "{'command':'revoke','args':{'site':'LLP'}}", CLIENT_DONE,
           /* out */
           "",
           /* err */
           "LLP is out: its line is closed and it is let in no more. What it sent stays; to\n"
           "let a new machine take its place: perche invite LLP --replace\n");
}

static void invite_says_the_code_and_that_an_older_line_serves_no_more(void **state)
{
    (void)state;
    expect("invite Dreux", 80, NULL,
           "{'ok': true, 'result': {'line': 'perche1:abc', 'site': 'x3', 'name': 'Dreux', 'code': 'DREUX', 'expires': null, 'withdrawn': true}}\n",
           /* asked */
           "{'command':'invite','args':{'name':'Dreux','expires_in_ms':604800000}}", CLIENT_DONE,
           /* out */
           "perche1:abc\n",
           /* err */
           "For Dreux (code DREUX), once. On its server: perche join LINE\n"
           "Whoever has the line can join in its place: hand it over like a key.\n"
           "The line that was made for this site before has not been used: it serves no more.\n");
}

static void revoke_in_json_is_what_the_daemon_said(void **state)
{
    (void)state;
    expect("revoke --json LLP", 80, NULL, "{'ok': true, 'result': {'site': 'x1'}}\n",
           /* asked */
           "{'command':'revoke','args':{'site':'LLP'}}", CLIENT_DONE,
           /* out */
           "{\n"
           "  \"site\": \"x1\"\n"
           "}\n",
           /* err */
           "");
}

static void leave_says_what_it_means(void **state)
{
    (void)state;
    expect("leave", 80, NULL, "{'ok': true, 'result': {'left': true}}\n",
           /* asked */
           "{'command':'leave','args':{}}", CLIENT_DONE,
           /* out */
           "",
           /* err */
           "This site has left the hub. The records stay on this machine, and nowhere else gets\n"
           "what is written here from now on. To come back it needs a new invitation; it then\n"
           "goes on from where it was, with all that was written meanwhile.\n");
}

static void leave_in_json_is_what_the_daemon_said(void **state)
{
    (void)state;
    expect("leave --json", 80, NULL, "{'ok': true, 'result': {'left': true}}\n",
           /* asked */
           "{'command':'leave','args':{}}", CLIENT_DONE,
           /* out */
           "{\n"
           "  \"left\": true\n"
           "}\n",
           /* err */
           "");
}

static void verify_that_is_equal_exits_with_0(void **state)
{
    (void)state;
    expect("verify", 80, NULL,
           "{'ok': true, 'result': {'equal': true, 'tables': [{'table': 'cohort', 'rows': 1, "
           "'digest': '0123456789abcdef0123456789abcdef', 'differs': false}, "
           "{'table': 'learner', 'rows': 1204, 'digest': 'fedcba9876543210fedcba9876543210', "
           "'differs': false}]}}\n",
           /* asked */
           "{'command':'verify','args':{}}", CLIENT_DONE,
           /* out */
           "table     rows  digest\n"
           "cohort       1  0123456789ab\n"
           "learner  1,204  fedcba987654\n",
           /* err */
           "Equal: the records are those that the digests were made of.\n");
}

static void verify_that_differs_exits_with_1_and_says_where(void **state)
{
    (void)state;
    expect("verify", 80, NULL,
           "{'ok': true, 'result': {'equal': false, 'tables': [{'table': 'cohort', 'rows': 1, "
           "'digest': '0123456789abcdef0123456789abcdef', 'differs': false}, "
           "{'table': 'learner', 'rows': 1204, 'digest': 'fedcba9876543210fedcba9876543210', "
           "'differs': true}]}}\n",
           /* asked */
           "{'command':'verify','args':{}}", CLIENT_NO,
           /* out */
           "table     rows  digest\n"
           "cohort       1  0123456789ab\n"
           "learner  1,204  fedcba987654  differs\n",
           /* err */
           "Not equal: where it says \"differs\", "
           "the records are not those that the digests were\n"
           "made of.\n");
}

static void verify_says_whose_word_it_is(void **state)
{
    static const struct {
        const char *result, *words;
        int status;
    } all[] = {
        {"'equal': true, 'hub': 'equal'", "Equal: the records are those that the digests were made of, and the hub has the same.\n", CLIENT_DONE},
        {"'equal': false, 'chain': {'blocks': 6, 'broken': 7, 'why': 'it is missing'}",
         "The history is broken at block 7: it is missing. The 6 before it are as written.\n"
         "Not as it was written: every record is the one that its digest was made of, but the history or\n"
         "a signature is not (see above). The hub was not asked. Keep this file, and a copy of the last backup.\n", CLIENT_NO},
        {"'equal': false, 'hub': 'not_equal'",
         "Not equal: every record here is the one that its digest was made of, and the hub's are others.\n"
         "They are looked for and brought in step: verify again once \"perche status\" says proven equal.\n", CLIENT_NO},
        {"'equal': null, 'hub': 'offline', 'state': 'offline', 'reason': 'refused'",
         "Only this side was read, and agrees with its digests. The hub was not asked: there is no line to the hub: nobody listens at its address.\n", CLIENT_NO},
        {"'equal': null, 'hub': 'unjoined'", "Only this side was read, and agrees with its digests: this site has not joined a hub.\n", CLIENT_NO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        char answer[600];

        snprintf(answer, sizeof(answer), "{'ok': true, 'result': {'tables': [{'table': 'cohort', 'rows': 1, 'digest': '0123456789ab', 'differs': false}], %s}}\n", all[i].result);
        expect("verify", 80, NULL, answer, "{'command':'verify','args':{}}", all[i].status,
               "table   rows  digest\n"
               "cohort     1  0123456789ab\n",
               all[i].words);
    }
}

static void verify_says_what_was_taken_over_and_put_back(void **state)
{
    (void)state;
    expect("verify --chain", 100, NULL,
           "{'ok': true, 'result': {'equal': false, 'tables': [{'table': 'cohort', 'rows': 1, "
           "'digest': '0123456789abcdef0123456789abcdef', 'differs': 0, 'changed': 0, 'added': 1, "
           "'removed': 0, 'restored': 0, 'lost': 0}, "
           "{'table': 'learner', 'rows': 1204, 'digest': 'fedcba9876543210fedcba9876543210', "
           "'differs': 2, 'changed': 1, 'added': 0, 'removed': 3, 'restored': 1204, 'lost': 1}, "
           "{'table': 'project', 'rows': 0, 'digest': null, 'differs': 7, 'gone': true}], "
           "'chain': {'blocks': 6, 'broken': 7, 'why': 'it is missing', "
           "'records': [{'table': 'outcome_decision', 'row': '[\\\"01990c5e\\\",\\\"W4\\\"]', "
           "'label': 'outcome of Ana at W4', 'column': 'situation', 'site': 'La Loupe', "
           "'why': 'it is not what was written'}, "
           "{'table': 'outcome_decision', 'row': '[\\\"01990c5f\\\",\\\"W4\\\"]', 'label': null, "
           "'column': null, 'site': null, 'why': 'it is gone from its table'}], "
           "'entries': 1204, 'altered': 23, 'waiting': 1}}}\n",
           /* asked */
           "{'command':'verify','args':{'chain':true}}", CLIENT_NO,
           /* out */
           "table     rows  digest\n"
           "cohort       1  0123456789ab  1 added\n"
           "learner  1,204  fedcba987654  differs, 1 changed, 3 removed, 1,204 put back, 1 lost\n"
           "project      0                gone\n",
           /* err */
           "5 rows had been written behind Perche's back (changed, added, removed), and are an edit\n"
           "of this node now, like any other.\n"
           "1,204 rows were gone, and nobody had deleted them: put back from the history.\n"
           "1 row was gone, and the history here does not know all of it: a site asks\n"
           "the hub.\n"
           "The history is broken at block 7: it is missing. The 6 before it are as written.\n"
           "Not as signed: outcome_decision [\"01990c5e\",\"W4\"] (outcome of Ana at W4): situation: it is "
           "not what was written (La Loupe).\n"
           "Not as signed: outcome_decision [\"01990c5f\",\"W4\"]: it is gone from its table.\n"
           "and others: 23 in all.\n"
           "Some of it is on its way: verify again once all is in step.\n"
           "Not equal: where it says \"differs\", "
           "the records are not those that the digests were\n"
           "made of.\n");
}

static void verify_without_the_hub_exits_with_1(void **state)
{
    (void)state;
    expect("verify", 80, NULL,
           "{'ok': true, 'result': {'equal': null, 'tables': [{'table': 'cohort', 'rows': 1, "
           "'digest': '0123456789abcdef0123456789abcdef', 'differs': false}, "
           "{'table': 'learner', 'rows': 1204, 'digest': 'fedcba9876543210fedcba9876543210', "
           "'differs': false}]}}\n",
           /* asked */
           "{'command':'verify','args':{}}", CLIENT_NO,
           /* out */
           "table     rows  digest\n"
           "cohort       1  0123456789ab\n"
           "learner  1,204  fedcba987654\n",
           /* err */
           "The hub could not be asked, so only this side was read.\n");
}

static void verify_in_json_exits_with_1_too(void **state)
{
    (void)state;
    expect("verify --json", 80, NULL, "{'ok': true, 'result': {'equal': false, 'tables': []}}\n",
           /* asked */
           "{'command':'verify','args':{}}", CLIENT_NO,
           /* out */
           "{\n"
           "  \"equal\": false,\n"
           "  \"tables\": []\n"
           "}\n",
           /* err */
           "Not equal: where it says \"differs\", "
           "the records are not those that the digests were\n"
           "made of.\n");
}

static void replicate_by_a_column(void **state)
{
    (void)state;
    expect("replicate equipment --scope site_id", 80, NULL, "{'ok': true, 'result': {}}\n",
           /* asked */
           "{'command':'replicate','args':{'table':'equipment','scope':'site_id'}}", CLIENT_DONE,
           /* out */
           "",
           /* err */
           "equipment is replicated from now on, with the records that it has.\n");
}

static void replicate_for_all_with_a_level(void **state)
{
    (void)state;
    expect("replicate --json equipment --scope all --level P0", 80, NULL,
           "{'ok': true, 'result': {'table': 'equipment'}}\n",
           /* asked */
           "{'command':'replicate','args':{'table':'equipment','scope':'all','level':'P0'}}",
           CLIENT_DONE,
           /* out */
           "{\n"
           "  \"table\": \"equipment\"\n"
           "}\n",
           /* err */
           "");
}

static void version_says_both(void **state)
{
    (void)state;
    expect("version", 80, NULL, "{'ok': true, 'result': {'version': '0.1.0'}}\n",
           /* asked */
           "{'command':'version','args':{}}", CLIENT_DONE,
           /* out */
           "perche   " PERCHE_VERSION "\n"
           "perched  " PERCHE_VERSION "\n",
           /* err */
           "");
}

static void version_in_json(void **state)
{
    (void)state;
    expect("version --json", 80, NULL, "{'ok': true, 'result': {'version': '0.1.0'}}\n",
           /* asked */
           "{'command':'version','args':{}}", CLIENT_DONE,
           /* out */
           "{\n"
           "  \"perche\": \"" PERCHE_VERSION "\",\n"
           "  \"perched\": \"" PERCHE_VERSION "\"\n"
           "}\n",
           /* err */
           "");
}

static void watch_on_a_terminal_draws_the_page_anew(void **state)
{
    struct ran *r;
    const char *first, *second;

    (void)state;
    run_tty = true;
    r = run_answered("watch", 80, NULL,
                     "{\"event\":{\"role\":\"site\",\"name\":\"A\",\"pending\":0}}\n"
                     "{\"event\":{\"role\":\"site\",\"name\":\"A\",\"pending\":7}}\n"
                     "{\"ok\":true,\"result\":{}}\n");
    run_tty = false;
    assert_int_equal(r->status, CLIENT_DONE);
    assert_true(strncmp(r->out, "\033[2J\033[H\033[J", 10) == 0);
    first = strstr(r->out, "0 rows");
    assert_non_null(first);
    second = strstr(first, "\033[H\033[J");
    assert_non_null(second);
    assert_non_null(strstr(second, "7 rows"));
    ran_free(r);
}

static void heads_are_bold_on_a_terminal(void **state)
{
    struct ran *r;

    (void)state;
    run_tty = true;
    r = run_answered("list", 80, NULL, "{\"ok\":true,\"result\":{\"tables\":[]}}\n");
    run_tty = false;
    assert_string_equal(r->out, "\033[1mtable  rows  rule  policy\033[0m\n");
    ran_free(r);
}

static void status_names_a_program_that_keeps_the_wal_from_beginning_anew(void **state)
{
    (void)state;
    expect("status", 80, NULL,
           "{'ok': true, 'result': {'role': 'site', 'name': 'La Loupe', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'live', 'pending': 0, 'last_contact': '2025-09-01T14:05:12Z', "
           "'proven_equal_at': '2025-09-01T14:05:12Z', 'conflicts_open': 0, 'parked': 0, "
           "'clock_offset_ms': 200, 'version': '0.1.0', 'reason': null, 'rtt_ms': 38, "
           "'next_try': null, 'hub': '01990c5e-0000-7000-8000-00000000000f', "
           "'hub_url': 'tls+tcp://hub.example.org:7447', 'held': 0, 'wal_held': {'bytes': "
           "117440512, 'pid': 4711, 'name': 'sqlite3', 'since': '2025-09-01T12:01:00Z'}}}\n",
           /* asked */
           "{'command':'status','args':{}}", CLIENT_DONE,
           /* out */
           "La Loupe (site)   live, proven equal with the hub at 16:05:12, 12 s ago\n"
           "records           safe: all that was written here is at the hub too\n"
           "to send           0 rows\n"
           "to decide         0 conflicts\n"
           "kept open         replica.db-wal has 112 MB and grows: sqlite3 (process 4711)\n"
           "                  has been reading since 14:01:00\n"
           "hub               hub.example.org:7447, 38 ms, clock +0.2 s\n"
           "last contact      16:05:12\n"
           "position          1,204, epoch 4611686018427387905\n"
           "version           0.1.0\n"
           "times             CEST, by this machine's clock\n",
           /* err */
           "");
}

static void status_says_what_cannot_travel(void **state)
{
    (void)state;
    expect("status", 80, NULL,
           "{'ok': true, 'result': {'role': 'site', 'name': 'La Loupe', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'live', 'pending': 0, 'last_contact': '2025-09-01T14:05:12Z', "
           "'proven_equal_at': '2025-09-01T14:05:12Z', 'conflicts_open': 0, 'parked': 0, "
           "'clock_offset_ms': 200, 'version': '0.1.0', 'reason': null, 'rtt_ms': 38, "
           "'next_try': null, 'hub': '01990c5e-0000-7000-8000-00000000000f', "
           "'hub_url': 'tls+tcp://hub.example.org:7447', 'held': 0, 'wal_held': null, "
           "'refused': 1, 'kept_here': 1}}\n",
           /* asked */
           "{'command':'status','args':{}}", CLIENT_DONE,
           /* out */
           "La Loupe (site)   live, proven equal with the hub at 16:05:12, 12 s ago, but for\n"
           "                  what is kept here\n"
           "records           1 row on this machine only, which cannot travel; all else is\n"
           "                  at the hub too\n"
           "to send           0 rows\n"
           "to decide         0 conflicts\n"
           "refused           1 change that was not taken     perche refused\n"
           "kept here         1 row cannot travel: too large, or for its key\n"
           "                  perche refused\n"
           "hub               hub.example.org:7447, 38 ms, clock +0.2 s\n"
           "last contact      16:05:12\n"
           "position          1,204, epoch 4611686018427387905\n"
           "version           0.1.0\n"
           "times             CEST, by this machine's clock\n",
           /* err */
           "");
}

static void status_says_what_became_of_files_that_somebody_removed(void **state)
{
    (void)state;
    expect("status", 80, NULL,
           "{'ok': true, 'result': {'role': 'site', 'name': 'La Loupe', "
           "'id': '01990c5e-0000-7000-8000-000000000001', 'epoch': '4611686018427387905', "
           "'lsn': 1204, 'state': 'live', 'pending': 0, 'last_contact': '2025-09-01T14:05:12Z', "
           "'proven_equal_at': '2025-09-01T14:05:12Z', 'conflicts_open': 0, 'parked': 0, "
           "'clock_offset_ms': 200, 'version': '0.1.0', 'reason': null, 'rtt_ms': 38, "
           "'next_try': null, 'hub': '01990c5e-0000-7000-8000-00000000000f', "
           "'hub_url': 'tls+tcp://hub.example.org:7447', 'held': 0, 'wal_held': null, "
           "'wal_lost': 'replica.db-wal.lost-20250901T120000Z', 'put_back': {'file': 'replica.db-shm', "
           "'at': '2025-09-01T12:01:00Z'}}}\n",
           /* asked */
           "{'command':'status','args':{}}", CLIENT_DONE,
           /* out */
           "La Loupe (site)   live, proven equal with the hub at 16:05:12, 12 s ago\n"
           "records           safe: all that was written here is at the hub too\n"
           "to send           0 rows\n"
           "to decide         0 conflicts\n"
           "lost              replica.db-wal.lost-20250901T120000Z has commits that are not\n"
           "                  in replica.db, whose -wal and -shm somebody replaced: see\n"
           "                  perched(8)\n"
           "put back          replica.db-shm, which somebody removed at 14:01:00 while\n"
           "                  perched ran: nothing is lost\n"
           "hub               hub.example.org:7447, 38 ms, clock +0.2 s\n"
           "last contact      16:05:12\n"
           "position          1,204, epoch 4611686018427387905\n"
           "version           0.1.0\n"
           "times             CEST, by this machine's clock\n",
           /* err */
           "");
}

static void verify_says_what_else_a_person_should_look_at(void **state)
{
    (void)state;
    expect("verify", 80, NULL,
           "{'ok': true, 'result': {'equal': true, 'tables': [{'table': 'learner', 'rows': 1204, "
           "'digest': 'fedcba9876543210fedcba9876543210', 'differs': false}], 'warnings': ["
           "{'reason': 'unique', 'table': 'learner', 'count': null, 'text': 'it has the UNIQUE "
           "index own'}, {'reason': 'orphan', 'table': 'enrolment', 'count': 3, 'text': "
           "'learner_id names rows of learner that are not here'}]}}\n",
           /* asked */
           "{'command':'verify','args':{}}", CLIENT_DONE,
           /* out */
           "table     rows  digest\n"
           "learner  1,204  fedcba987654\n"
           "\n"
           "to look at\n"
           "unique   learner: it has the UNIQUE index own\n"
           "orphan   enrolment: 3 learner_id names rows of learner that are not here\n",
           /* err */
           "Equal: the records are those that the digests were made of.\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_says_first_whether_the_records_are_safe),
        cmocka_unit_test(status_fits_a_narrow_terminal),
        cmocka_unit_test(status_while_the_line_is_down_says_what_waits_here),
        cmocka_unit_test(status_while_rows_go_says_how_many),
        cmocka_unit_test(status_with_nothing_waiting_but_no_line_is_still_safe),
        cmocka_unit_test(status_of_a_site_that_is_refused_says_so),
        cmocka_unit_test(status_says_safe_only_where_nothing_speaks_against_it),
        cmocka_unit_test(status_of_a_site_that_has_not_joined_says_what_to_do),
        cmocka_unit_test(status_of_a_hub_counts_its_sites),
        cmocka_unit_test(status_of_a_hub_that_does_not_listen_says_so),
        cmocka_unit_test(status_invents_no_facts),
        cmocka_unit_test(status_in_json_is_what_the_daemon_said),
        cmocka_unit_test(watch_without_a_terminal_is_a_line_for_each_change),
        cmocka_unit_test(watch_at_a_hub_says_so),
        cmocka_unit_test(watch_in_json_is_a_document_on_each_line),
        cmocka_unit_test(watch_ends_with_3_when_the_daemon_ends),
        cmocka_unit_test(watch_in_json_stays_a_document_on_each_line_when_the_daemon_ends_or_refuses),
        cmocka_unit_test(no_text_of_the_daemon_steers_the_terminal),
        cmocka_unit_test(sync_tells_the_daemon_and_comes_back),
        cmocka_unit_test(sync_wait_that_is_done_exits_with_0),
        cmocka_unit_test(sync_wait_that_is_not_done_exits_with_1_and_says_what_is_missing),
        cmocka_unit_test(sync_without_a_line_says_so_and_why),
        cmocka_unit_test(sync_wait_says_a_reason_that_it_does_not_know_as_it_is),
        cmocka_unit_test(sync_wait_in_json_exits_with_1_too),
        cmocka_unit_test(sites_are_a_row_each),
        cmocka_unit_test(a_site_that_left_is_shown_so_with_the_date),
        cmocka_unit_test(a_revoked_site_is_shown_so),
        cmocka_unit_test(sites_on_a_narrow_terminal_keep_name_and_state),
        cmocka_unit_test(no_site_yet_says_what_comes_first),
        cmocka_unit_test(sites_in_json_are_what_the_daemon_said),
        cmocka_unit_test(list_alone_names_the_tables),
        cmocka_unit_test(list_prints_the_records_of_a_table),
        cmocka_unit_test(list_on_a_narrow_terminal_cuts_the_widest),
        cmocka_unit_test(list_cuts_no_id_where_there_is_room),
        cmocka_unit_test(held_lists_what_waits_and_what_to_type),
        cmocka_unit_test(held_show_has_the_rows_with_what_they_say),
        cmocka_unit_test(held_release_and_undo_say_what_was_done),
        cmocka_unit_test(refused_says_why_and_what_was_written),
        cmocka_unit_test(refused_says_all_of_what_to_do_about_a_change_of_the_schema),
        cmocka_unit_test(conflicts_say_what_is_the_matter_and_a_decision_what_comes_of_it),
        cmocka_unit_test(list_says_which_columns_do_not_fit),
        cmocka_unit_test(list_says_that_there_are_more),
        cmocka_unit_test(list_cuts_no_code_and_tells_what_is_empty),
        cmocka_unit_test(list_of_nothing_says_so),
        cmocka_unit_test(list_in_json_is_what_the_daemon_said),
        cmocka_unit_test(show_prints_value_time_and_site_of_each_column),
        cmocka_unit_test(show_says_what_a_named_record_is_called),
        cmocka_unit_test(plan_makes_half_days_and_says_which_were_there),
        cmocka_unit_test(plan_cancels_and_says_what_was_marked),
        cmocka_unit_test(delete_shows_what_it_was),
        cmocka_unit_test(add_of_somebody_who_is_here_goes_on_when_told),
        cmocka_unit_test(add_of_a_table_alone_says_what_its_records_have),
        cmocka_unit_test(report_takes_days_as_people_write_them),
        cmocka_unit_test(show_takes_an_id_as_several_words),
        cmocka_unit_test(show_says_when_every_site_has_it),
        cmocka_unit_test(show_in_json_is_what_the_daemon_said),
        cmocka_unit_test(history_prints_who_wrote_what_when_and_where),
        cmocka_unit_test(history_says_what_was_emptied),
        cmocka_unit_test(history_in_json_is_what_the_daemon_said),
        cmocka_unit_test(conflicts_show_what_here_and_there),
        cmocka_unit_test(ids_are_cut_to_what_tells_them_apart_and_the_own_side_stands_first),
        cmocka_unit_test(conflicts_between_other_sites_are_not_called_here_and_there),
        cmocka_unit_test(conflicts_with_decided_ones_have_a_state),
        cmocka_unit_test(conflicts_of_one_table_are_those_alone),
        cmocka_unit_test(conflicts_of_one_record_are_those_alone),
        cmocka_unit_test(conflicts_of_a_record_by_the_beginning_of_its_id),
        cmocka_unit_test(no_conflict_is_good_news),
        cmocka_unit_test(conflicts_in_json_are_what_the_daemon_said),
        cmocka_unit_test(one_conflict_is_shown_with_both_sides),
        cmocka_unit_test(a_decided_conflict_says_who_and_why),
        cmocka_unit_test(a_question_that_has_become_needless_says_why),
        cmocka_unit_test(one_conflict_in_json_is_what_the_daemon_said),
        cmocka_unit_test(resolve_takes_a_side),
        cmocka_unit_test(resolve_takes_another_value),
        cmocka_unit_test(resolve_of_a_value_used_twice_says_what_was_done),
        cmocka_unit_test(invite_prints_the_line_alone),
        cmocka_unit_test(invite_in_json_is_what_the_daemon_said),
        cmocka_unit_test(join_says_as_whom),
        cmocka_unit_test(join_reads_the_line_from_the_input),
        cmocka_unit_test(join_in_json_is_what_the_daemon_said),
        cmocka_unit_test(revoke_names_the_site),
        cmocka_unit_test(invite_says_the_code_and_that_an_older_line_serves_no_more),
        cmocka_unit_test(revoke_in_json_is_what_the_daemon_said),
        cmocka_unit_test(leave_says_what_it_means),
        cmocka_unit_test(leave_in_json_is_what_the_daemon_said),
        cmocka_unit_test(verify_that_is_equal_exits_with_0),
        cmocka_unit_test(verify_that_differs_exits_with_1_and_says_where),
        cmocka_unit_test(verify_says_whose_word_it_is),
        cmocka_unit_test(verify_says_what_was_taken_over_and_put_back),
        cmocka_unit_test(verify_without_the_hub_exits_with_1),
        cmocka_unit_test(verify_in_json_exits_with_1_too),
        cmocka_unit_test(replicate_by_a_column),
        cmocka_unit_test(replicate_for_all_with_a_level),
        cmocka_unit_test(version_says_both),
        cmocka_unit_test(version_in_json),
        cmocka_unit_test(watch_on_a_terminal_draws_the_page_anew),
        cmocka_unit_test(heads_are_bold_on_a_terminal),
        cmocka_unit_test(status_names_a_program_that_keeps_the_wal_from_beginning_anew),
        cmocka_unit_test(status_says_what_cannot_travel),
        cmocka_unit_test(status_says_what_became_of_files_that_somebody_removed),
        cmocka_unit_test(verify_says_what_else_a_person_should_look_at),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1); /* Paris, also where no zone is installed */
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
