/* Membership: invitations, joining, leaving, revoking; and tables that a hub adds for all. */
#include "replica_lives.h"
#include "replica_pair.h"

#define LEARNER "0198f3a0-0000-7000-8000-00000000000"

/* Enrols with an invitation that `invite` answered; the caller ends the outcome. */
static struct outcome enrol_with(struct pair *p, const char *invitation, const char *secret,
                                 uint8_t key)
{
    struct work w = pair_work(WORK_ENROL, NULL);

    w.message.op = PERCHE_OP_ENROL;
    w.message.u.enrol.name = "host";
    memset(w.message.u.enrol.public_key, key, 32);
    for (int i = 0; i < 16; i++)
        sscanf(invitation + 2 * i, "%2hhx", &w.message.u.enrol.invitation[i]);
    for (int i = 0; i < 32; i++)
        sscanf(secret + 2 * i, "%2hhx", &w.message.u.enrol.secret[i]);
    return pair_do(p, p->hub, w);
}

static void enrols(struct pair *p, const char *json, uint8_t key, int refusal)
{
    struct outcome o = enrol_with(p, json_at(json, "$.invitation"), json_at(json, "$.secret"), key);

    assert_int_equal(o.message.op, PERCHE_OP_ENROL);
    assert_true(o.message.reply);
    assert_int_equal(o.message.refused ? o.message.u.no.why : 0, refusal);
    if (refusal == 0)
        assert_string_equal(o.message.u.enrol_reply.site, json_at(json, "$.site"));
    outcome_free(&o);
}

static struct member key_of(struct pair *p, const char *site)
{
    struct work w = {.kind = WORK_SITE_KEY};
    struct outcome o;

    snprintf(w.site, sizeof w.site, "%s", site);
    o = pair_read(p, p->hub, w);
    outcome_free(&o);
    return o.member;
}

static void an_invitation_makes_a_site_of_its_name(void **state)
{
    struct pair *p = *state;
    char *json = pair_command(p, p->hub, "invite", "{\"name\": \"Dreux le Bel\"}");

    assert_string_equal(json_at(json, "$.name"), "Dreux le Bel");
    assert_string_equal(json_at(json, "$.code"), "DREUX LE");
    assert_string_equal(json_at(json, "$.kind"), "SCHOOL");
    assert_int_equal(strlen(json_at(json, "$.invitation")), 32);
    assert_int_equal(strlen(json_at(json, "$.secret")), 64);
    program_says(
        p->hub,
        "SELECT code || '|' || name || '|' || kind || '|' || status FROM site WHERE code = 'DREUX LE'",
        "DREUX LE|Dreux le Bel|SCHOOL|OPEN");
    program_says(p->hub,
                 "SELECT network_id = (SELECT id FROM network) FROM site WHERE code = 'DREUX LE'",
                 "1");
    program_says(p->hub, "SELECT count(*) FROM perche_capture", "0"); /* in the same transaction */
    pair_sync(p, p->sites[0]); /* reference data: it is stamped and goes to all */
    program_says(p->sites[0], "SELECT name FROM site WHERE code = 'DREUX LE'", "Dreux le Bel");
    free(json);
}

static void an_invitation_takes_the_site_that_is_there(void **state)
{
    struct pair *p = *state;
    char *json;

    pair_edit(
        p, p->hub, 1000,
        "INSERT INTO site (id, network_id, code, name, kind, status) VALUES ('site-drx', 'n', 'DRX', 'Dreux', 'SCHOOL', 'OPEN'),"
        " ('site-d2', 'n', 'D2', 'Double', 'SCHOOL', 'OPEN'), ('site-d3', 'n', 'D3', 'Double', 'SCHOOL', 'OPEN')");
    json = pair_command(p, p->hub, "invite", "{\"name\": \"DRX\"}");
    assert_string_equal(json_at(json, "$.site"), "site-drx");
    free(json);
    json = pair_command(p, p->hub, "invite", "{\"name\": \"Dreux\"}");
    assert_string_equal(json_at(json, "$.site"), "site-drx");
    free(json);
    json = pair_command(p, p->hub, "invite", "{\"name\": \"Double\", \"code\": \"D3\"}");
    assert_string_equal(json_at(json, "$.site"), "site-d3");
    free(json);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"Double\"}", PERCHE_USAGE); /* its words name D2 and D3 */
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"Two\\nlines\"}", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"Esc\\u001b[2J\"}", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"C1\\u009b2J\"}", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"Fine\", \"code\": \"A\\tB\"}", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"Other\", \"code\": \"DRX\"}",
                 PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"HUB\"}", PERCHE_REFUSED);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"A\", \"kind\": \"HUB\"}",
                 PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{}", PERCHE_USAGE);
    pair_refuses(p, p->sites[0], WORK_COMMAND, "invite", "{\"name\": \"A\"}", PERCHE_STATE);
    program_says(p->hub, "SELECT count(*) FROM site WHERE name LIKE 'D%'", "3");
}

static void a_site_with_a_living_node_is_invited_only_to_be_replaced(void **state)
{
    struct pair *p = *state;
    char *json;

    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"La Loupe\"}", PERCHE_REFUSED);
    json = pair_command(p, p->hub, "invite", "{\"name\": \"La Loupe\", \"replace\": true}");
    assert_string_equal(json_at(json, "$.site"), replica_site_id(p->sites[0]->r));
    assert_true(key_of(p, json_at(json, "$.site")).public_key[0] ==
                p->sites[0]->config.signer.public_key[0]); /* the old node until the new one comes */
    pair_sync(p, p->sites[0]);
    enrols(p, json, 99, 0);
    assert_int_equal(key_of(p, json_at(json, "$.site")).public_key[0], 99);
    assert_int_equal(key_of(p, json_at(json, "$.site")).session, 0);
    /* it starts anew: nothing of the old node's positions counts */
    program_says(
        p->hub,
        "SELECT epoch || ' ' || have || ' ' || scan || ' ' || done FROM perche_peer p JOIN perche_name n ON n.num = p.site"
        " WHERE n.text = (SELECT id FROM site WHERE name = 'La Loupe')",
        "0 0 0 0");
    free(json);
}

static void a_name_that_a_site_has_makes_no_second_one_under_another_code(void **state)
{
    struct pair *p = *state;
    char sites[32];

    free(pair_command(p, p->hub, "invite", "{\"name\": \"Dreux\", \"code\": \"DRX\"}"));
    strcpy(sites, asked(p->hub->program, "SELECT count(*) FROM site"));
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"Dreux\", \"code\": \"DR2\"}", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"Dreux\", \"code\": \"DR2\", \"site\": \"id-new\"}", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"DRX\", \"code\": \"DR2\"}", PERCHE_USAGE); /* "perche revoke DRX" would mean two */
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"La Loupe\", \"code\": \"DR2\"}", PERCHE_USAGE);
    program_says(p->hub, "SELECT count(*) FROM site", sites);
    program_says(p->hub, "SELECT count(*) FROM perche_member WHERE code = 'DR2'", "0");
    free(pair_command(p, p->hub, "invite", "{\"name\": \"Dreux\", \"code\": \"DRX\"}")); /* the same site: a new line */
    program_says(p->hub, "SELECT count(*) FROM site", sites);
    free(pair_command(p, p->hub, "invite", "{\"name\": \"Dreux Sud\", \"code\": \"DR2\"}"));
}

/* The hub was put back to before it knew the site: tests/fault/attack/hub_before_invite.py has the rest. */
static void a_site_is_invited_under_the_id_that_it_has_had(void **state)
{
    struct pair *p = *state;
    char *json = pair_command(p, p->hub, "invite", "{\"name\": \"Dreux\", \"kind\": \"PARTNER_DESK\"}"), args[200], text[200];

    (void)snprintf(text, sizeof text, "INSERT INTO project (site_id, title, kind) VALUES ('%s', 'a', 'CLIENT')", json_at(json, "$.site"));
    pair_edit(p, p->hub, 1000, text);
    free(json);
    json = pair_command(p, p->hub, "invite", "{\"name\": \"Dreux\", \"site\": \"id-before\"}");
    assert_string_equal(json_at(json, "$.site"), "id-before");
    free(json);
    program_says(p->hub, "SELECT group_concat(id || kind) FROM site WHERE code = 'DREUX'", "id-beforePARTNER_DESK");
    program_says(p->hub, "SELECT group_concat(site_id) FROM project WHERE title = 'a'", "id-before"); /* what named it */
    program_says(p->hub, "SELECT group_concat(site) FROM perche_member WHERE name = 'Dreux'", "id-before");
    program_says(p->hub, "SELECT count(*) FROM perche_invitation WHERE site NOT IN (SELECT site FROM perche_member)", "0"); /* the first line opens nothing */
    json = pair_command(p, p->hub, "invite", "{\"name\": \"Dreux\", \"site\": \"id-before\"}"); /* a second time: as it is */
    free(json);
    json = pair_command(p, p->hub, "invite", "{\"name\": \"New\", \"site\": \"id-new\"}");
    assert_string_equal(json_at(json, "$.site"), "id-new");
    free(json);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"La Loupe\", \"site\": \"id-other\"}", PERCHE_USAGE); /* it has a node */
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"HUB\", \"site\": \"id-other\"}", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"Other\", \"site\": \"id-new\"}", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"Other\", \"site\": \"a,b\"}", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", "{\"name\": \"Other\", \"site\": \"*\"}", PERCHE_USAGE);
    (void)snprintf(args, sizeof args, "{\"name\": \"La Loupe\", \"site\": \"%s\"}", replica_site_id(p->sites[0]->r));
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", args, PERCHE_REFUSED); /* its node lives */
}

static void an_invitation_is_good_once_and_its_answer_may_be_lost(void **state)
{
    struct pair *p = *state;
    char *json = pair_command(p, p->hub, "invite", "{\"name\": \"Dreux\"}");
    struct outcome o;

    assert_false(key_of(p, json_at(json, "$.site")).known);
    o = enrol_with(p, json_at(json, "$.invitation"),
                   "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", 7);
    assert_int_equal(o.message.u.no.why,
                     PERCHE_NO_INVITATION_UNKNOWN); /* the id alone opens nothing */
    outcome_free(&o);
    o = enrol_with(p, "00112233445566778899aabbccddeeff", json_at(json, "$.secret"), 7);
    assert_int_equal(o.message.u.no.why, PERCHE_NO_INVITATION_UNKNOWN);
    outcome_free(&o);
    enrols(p, json, 7, 0);
    assert_true(key_of(p, json_at(json, "$.site")).known);
    assert_string_equal(key_of(p, json_at(json, "$.site")).name, "Dreux");
    enrols(p, json, 7, 0); /* the same node again: the same answer */
    enrols(p, json, 8, PERCHE_NO_INVITATION_USED);
    assert_int_equal(key_of(p, json_at(json, "$.site")).public_key[0], 7);
    p->now += UINT64_C(30) * 24 * 3600 * 1000;
    enrols(p, json, 7, 0); /* even when it would have expired */
    program_says(p->hub, "SELECT host FROM perche_member WHERE name = 'Dreux'", "host");
    free(json);
}

static void the_hub_stores_no_secret(void **state)
{
    struct pair *p = *state;
    char *json = pair_command(p, p->hub, "invite", "{\"name\": \"Dreux\"}"), sql[400];

    snprintf(
        sql, sizeof sql,
        "SELECT count(*) FROM perche_invitation WHERE lower(hex(secret_hash)) = '%s' OR lower(hex(id)) = substr('%s', 1, 32)",
        json_at(json, "$.secret"), json_at(json, "$.secret"));
    program_says(p->hub, sql, "0");
    free(json);
}

static void an_invitation_expires_and_a_newer_one_ends_the_older(void **state)
{
    struct pair *p = *state;
    char args[100], *first, *second;

    snprintf(args, sizeof args, "{\"name\": \"Dreux\", \"expires_ms\": %llu}",
             (unsigned long long)p->now + 1000);
    first = pair_command(p, p->hub, "invite", args);
    p->now += 1000;
    enrols(p, first, 7, PERCHE_NO_INVITATION_EXPIRED);
    pair_refuses(p, p->hub, WORK_COMMAND, "invite", args,
                 PERCHE_USAGE); /* would have expired already */
    second = pair_command(p, p->hub, "invite", "{\"name\": \"Dreux\"}");
    assert_string_equal(json_at(second, "$.site"), json_at(first, "$.site"));
    assert_string_equal(json_at(second, "$.code"), "DREUX");
    assert_string_equal(json_at(second, "$.withdrawn"), "0"); /* the first had expired */
    enrols(p, first, 7, PERCHE_NO_INVITATION_UNKNOWN);
    free(second);
    second = pair_command(p, p->hub, "invite", "{\"name\": \"Dreux\"}");
    assert_string_equal(json_at(second, "$.withdrawn"), "1");
    enrols(p, second, 7, 0);
    free(first);
    free(second);
}

/* What keys/revoked brings to a hub that was put back. */
static void a_machine_that_was_revoked_is_revoked_again_and_one_that_joined_since_is_not(void **state)
{
    struct pair *p = *state;
    const char *site = replica_site_id(p->sites[0]->r);
    char args[300], *json, *key = strdup(asked(p->hub->program, "SELECT lower(hex(public_key)) FROM perche_member WHERE name = 'La Loupe'"));

    json = pair_command(p, p->hub, "revocations", "{\"known\": []}");
    assert_string_equal(json_at(json, "$.revoked"), "[]");
    free(json);
    for (int i = 0; i < 4; i++) { /* of another machine, from before it joined, of another site; then its own */
        snprintf(args, sizeof args, "{\"known\": [[\"%s\", \"%s\", %llu]]}", i == 2 ? "x" : site, i == 0 ? "00" : key,
                 i == 1 ? 1ULL : (unsigned long long)p->now + 5);
        json = pair_command(p, p->hub, "revocations", args);
        assert_string_equal(json_at(json, "$.again"), i == 3 ? "1" : "0");
        assert_int_equal(key_of(p, site).revoked, i == 3);
        if (i == 3)
            assert_string_equal(json_at(json, "$.revoked[0][1]"), key);
        free(json);
    }
    json = pair_command(p, p->hub, "revocations", args); /* and once */
    assert_string_equal(json_at(json, "$.again"), "0");
    free(json);
    free(key);
}

static void a_revoked_site_is_out_until_it_is_invited_again(void **state)
{
    struct pair *p = *state;
    const char *site = replica_site_id(p->sites[0]->r);
    char *json = pair_command(p, p->hub, "invite", "{\"name\": \"La Loupe\", \"replace\": true}");

    assert_true(key_of(p, site).session != 0);
    program(p->hub, "UPDATE perche_peer SET recovery = 1 WHERE site = (SELECT num FROM perche_name JOIN perche_member ON site = text WHERE name = 'La Loupe')");
    free(pair_command(p, p->hub, "revoke", "{\"site\": \"La Loupe\"}"));
    program_says(p->hub, "SELECT count(*) FROM perche_peer WHERE recovery <> 0", "0"); /* a hub that was put back waits for it no more */
    assert_true(key_of(p, site).revoked);
    assert_int_equal(key_of(p, site).session, 0);
    enrols(p, json, 9, PERCHE_NO_INVITATION_UNKNOWN); /* its open invitation went, too */
    free(json);
    json =
        pair_command(p, p->hub, "invite", "{\"name\": \"La Loupe\"}"); /* no node lives there now */
    assert_true(key_of(p, site).revoked);
    enrols(p, json, 9, 0);
    assert_false(key_of(p, site).revoked);
    free(pair_command(p, p->hub, "revoke", "{\"site\": \"LA LOUPE\"}")); /* by code */
    enrols(p, json, 9, PERCHE_NO_REVOKED);
    assert_true(key_of(p, site).revoked);
    free(json);
    pair_refuses(p, p->hub, WORK_COMMAND, "revoke", "{\"site\": \"nobody\"}", PERCHE_NOT_FOUND);
    assert_false(key_of(p, "nobody").known);
}

/* What a site says moves its record on, of the present session only, and never back. */
static void a_note_of_a_site_never_goes_back(void **state)
{
    struct pair *p = *state;
    const char *look =
        "SELECT full || ' ' || scan || ' ' || done || ' ' || pending || ' ' || proven_ms || ' ' || offset_ms FROM perche_peer p"
        " JOIN perche_name n ON n.num = p.site WHERE n.text = (SELECT id FROM site WHERE name = 'La Loupe')";
    uint64_t session = key_of(p, replica_site_id(p->sites[0]->r)).session;
    struct work w = pair_work(WORK_PEER_NOTE, p->sites[0]);
    struct outcome o;

    program(
        p->hub,
        "INSERT INTO perche_left SELECT site, 1, x'01', 500, 0, 0, 0 FROM perche_peer; INSERT INTO perche_left SELECT site, 1, x'02', 700, 1, 0, 0 FROM perche_peer");
    w.session = session;
    w.full = w.scan = 600;
    w.done = 550;
    w.pending = 3;
    w.proven_ms = 12345;
    w.offset_ms = -7;
    o = pair_do(p, p->hub, w);
    outcome_free(&o);
    program_says(p->hub, look, "600 600 550 3 12345 -7");
    program_says(
        p->hub,
        "SELECT group_concat(lsn) FROM perche_left WHERE ended = 0 AND site = (SELECT num FROM perche_name WHERE text = (SELECT id FROM site WHERE name = 'La Loupe'))",
        "700");
    program_says(p->hub, "SELECT count(*) FROM perche_left WHERE ended = 0", "3"); /* the other site's stay */
    w.full = w.scan = 400;
    w.done = 300;
    w.pending = 0;
    w.proven_ms = 0;
    o = pair_do(p, p->hub, w);
    outcome_free(&o);
    program_says(p->hub, look, "600 600 550 0 12345 -7");
    w.session = session + 1;
    w.full = w.scan = w.done = 900;
    w.pending = 99;
    o = pair_do(p, p->hub, w);
    outcome_free(&o);
    program_says(p->hub, look, "600 600 550 0 12345 -7");
}

/* ---- join and leave ----------------------------------------------------------------------- */

static struct fixture *newcomer(struct pair *p)
{
    struct fixture *f = pair_open(REPLICA_SITE, "dreux", 9);

    (void)p;
    return f;
}

static void a_site_that_joins_tells_what_it_wrote_before_under_its_new_id(void **state)
{
    struct pair *p = *state;
    struct fixture *f = newcomer(p);
    char old[64], sql[300];
    uint32_t level;
    uint64_t repaired;

    snprintf(old, sizeof old, "%s", replica_site_id(f->r));
    pair_edit(
        p, f, 1000,
        "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" LEARNER
        "1', (SELECT site_id FROM perche_self), 'Camille');"
        "INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end) VALUES ('" LEARNER
        "2', '" LEARNER "1', 'c',"
        " (SELECT site_id FROM perche_self), '2026-01-05', '2026-06-30');"
        "INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('" LEARNER
        "3', '" LEARNER "1', 'EMAIL', 'c@example.org')"); /* names no site */
    pair_edit(p, f, 1000, "UPDATE learner SET call_name = 'Cam'");
    program(f, "UPDATE learner SET use_family_name = 'Martin'"); /* captured, not harvested yet */
    pair_join(p, f, "Dreux");
    assert_string_not_equal(replica_site_id(f->r), old);
    snprintf(
        sql, sizeof sql,
        "SELECT group_concat(DISTINCT site_id) FROM (SELECT home_site_id AS site_id FROM learner UNION ALL SELECT site_id FROM enrolment)");
    program_says(f, sql, replica_site_id(f->r));
    program_says(
        f, "SELECT site_id || ' ' || hub_site_id FROM perche_self",
        strcat(strcat(strcpy(sql, replica_site_id(f->r)), " "), replica_site_id(p->hub->r)));
    program_says(f, "SELECT count(*) FROM perche_capture", "0");
    snprintf(
        sql, sizeof sql,
        "SELECT count(*) FROM perche_row WHERE scope <> (SELECT num FROM perche_name WHERE text = (SELECT site_id FROM perche_self))");
    program_says(f, sql, "0");
    pair_prove(p, f);
    pair_sync(p, f);
    assert_int_equal(pair_compare(p, f, &level, &repaired), PERCHE_EQUAL);
    program_says(p->hub, "SELECT call_name || ' ' || use_family_name FROM learner", "Cam Martin");
    snprintf(sql, sizeof sql, "SELECT count(*) FROM perche_name WHERE text LIKE '%%%s%%'",
             old); /* nobody else has heard of it */
    program_says(p->hub, sql, "0");
    {
        char *json =
            pair_query(p, f, "history", "{\"table\": \"learner\", \"id\": \"" LEARNER "1\"}");

        for (int e = 0; e < 20; e++) { /* the id is still there as what the site column once was */
            char path[64];

            snprintf(path, sizeof path, "$.entries[%d].site", e);
            assert_string_not_equal(json_at(json, path), old);
        }
        assert_string_equal(json_at(json, "$.entries[0].site"), "Dreux");
        free(json);
        json = pair_query(p, f, "verify", "{}");
        assert_string_equal(json_at(json, "$.equal"), "1");
        free(json);
    }
    fixture_end(f);
}

static void a_joined_site_does_not_become_another(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    char args[300], sql[100];

    snprintf(args, sizeof args, "{\"site\": \"%s\", \"hub\": \"%s\"}", replica_site_id(f->r),
             replica_site_id(p->hub->r));
    free(pair_command(p, f, "joined", args)); /* told twice: fine */
    pair_refuses(p, f, WORK_COMMAND, "joined", "{\"site\": \"another\", \"hub\": \"h\"}",
                 PERCHE_STATE);
    pair_refuses(p, f, WORK_COMMAND, "joined", "{\"site\": \"another\", \"hub\": \"h\"}",
                 PERCHE_STATE);
    free(pair_command(p, f, "leave", "{}"));
    program_says(f, "SELECT joined || ' ' || (SELECT hub_was FROM perche_node) FROM perche_self",
                 strcat(strcpy(sql, "0 "), replica_site_id(p->hub->r)));
    pair_refuses(p, f, WORK_COMMAND, "joined", "{\"site\": \"another\", \"hub\": \"h\"}",
                 PERCHE_STATE); /* others know it */
    snprintf(args, sizeof args, "{\"site\": \"%s\", \"hub\": \"h\"}", replica_site_id(f->r));
    pair_refuses(p, f, WORK_QUERY, "may_join", args, PERCHE_STATE); /* its positions are another hub's */
    assert_non_null(strstr(f->err.text, replica_site_id(p->hub->r)));
    pair_refuses(p, f, WORK_COMMAND, "joined", args, PERCHE_STATE);
    snprintf(args, sizeof args, "{\"site\": \"another\", \"hub\": \"%s\"}", replica_site_id(p->hub->r));
    pair_refuses(p, f, WORK_QUERY, "may_join", args, PERCHE_STATE);
    assert_non_null(strstr(f->err.text, "--site"));
    snprintf(args, sizeof args, "{\"site\": \"%s\", \"hub\": \"%s\"}", replica_site_id(f->r),
             replica_site_id(p->hub->r));
    free(pair_query(p, f, "may_join", args));
    pair_refuses(p, f, WORK_COMMAND, "joined", "{\"site\": \"*\", \"hub\": \"h\"}", PERCHE_USAGE);
    pair_refuses(p, f, WORK_COMMAND, "joined", "{\"site\": \"a,b\", \"hub\": \"h\"}", PERCHE_USAGE);
    pair_refuses(p, f, WORK_COMMAND, "joined", "{\"hub\": \"h\"}", PERCHE_USAGE);
    pair_refuses(p, f, WORK_COMMAND, "joined",
                 "{\"site\": \"x\", \"hub\": \"h\", \"hub_key\": \"12\"}", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "joined", args, PERCHE_STATE);
}

/* The work LEAVE of what the site builds; @session 0 = the stored one. */
static struct outcome leave_with(struct pair *p, struct fixture *f, uint64_t session)
{
    struct outcome o = pair_read(p, f, pair_work(WORK_LEAVE_BUILD, NULL));
    struct work w = pair_work(WORK_LEAVE, f);

    w.message = pair_line(&o);
    assert_int_equal(w.message.op, PERCHE_OP_LEAVE);
    w.session = session != 0 ? session : key_of(p, replica_site_id(f->r)).session;
    return pair_try(p, p->hub, &w);
}

static void leaves(struct pair *p, struct fixture *f)
{
    struct outcome o = leave_with(p, f, 0);

    assert_int_equal(o.rc, PERCHE_OK);
    assert_true(o.message.reply && !o.message.refused);
    assert_true(o.message.u.leave_reply.clock_ms == p->now);
    outcome_free(&o);
    free(pair_command(p, f, "left", "{}"));
}

static void comes_back(struct pair *p, struct fixture *f, uint8_t key, const char *invite)
{
    char *json = pair_command(p, p->hub, "invite", invite), args[300];

    enrols(p, json, key, 0);
    snprintf(args, sizeof args, "{\"site\": \"%s\", \"hub\": \"%s\"}", json_at(json, "$.site"), replica_site_id(p->hub->r));
    free(json);
    free(pair_command(p, f, "joined", args));
}

static char *of_sites(struct pair *p, struct fixture *f, const char *name)
{
    char *json = pair_query(p, p->hub, "sites", "{}"), path[64];
    static char found[100];

    for (int i = 0;; i++) {
        snprintf(path, sizeof path, "$.sites[%d].id", i);
        if (strcmp(json_at(json, path), replica_site_id(f->r)) == 0)
            break;
        assert_true(i < 10);
    }
    snprintf(strrchr(path, '.') + 1, 30, "%s", name);
    snprintf(found, sizeof found, "%s", json_at(json, path));
    free(json);
    return found;
}

static void waits(struct pair *p, struct fixture *f, const char *words)
{
    struct outcome o = pair_read_try(p, f, pair_work(WORK_LEAVE_BUILD, NULL));

    assert_int_equal(o.rc, PERCHE_STATE);
    if (strstr(o.err.text, words) == NULL)
        fixture_fail("leave_build", o.err.text, words);
    outcome_free(&o);
}

static void a_site_does_not_leave_while_anything_waits_here(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    const char *queued[][3] = {
        {"INSERT INTO perche_wanted VALUES (1, x'01', 3, 1)", "1 row is asked for", "DELETE FROM perche_wanted"},
        {"INSERT INTO perche_leaving VALUES (1, x'01', 1), (1, x'02', 1)", "2 rows are to be dropped here", "DELETE FROM perche_leaving"},
        {"INSERT INTO perche_held VALUES (1, x'01', 1)", "1 deletion waits for a person", "DELETE FROM perche_held"},
        {"INSERT INTO perche_rescan (tab) VALUES (1)", "1 table is being compared", "DELETE FROM perche_rescan"},
    };
    struct outcome o;

    program(f, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" LEARNER "1', (SELECT site_id FROM perche_self), 'C')");
    waits(p, f, "1 change was just written");
    harvest_here(p, f);
    waits(p, f, "1 row waits to be sent");
    pair_sync(p, f);
    for (size_t i = 0; i < sizeof queued / sizeof queued[0]; i++) {
        program(f, queued[i][0]);
        waits(p, f, queued[i][1]);
        program(f, queued[i][2]);
    }
    o = leave_with(p, f, 0);
    assert_int_equal(o.rc, PERCHE_OK);
    outcome_free(&o);
}

/* What it asked and what the hub has by then may be two things. */
static void a_leave_of_another_session_or_position_is_refused(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    uint64_t session = key_of(p, replica_site_id(f->r)).session;
    struct outcome o = leave_with(p, f, session + 1);

    assert_int_equal(o.rc, PERCHE_AUTH);
    outcome_free(&o);
    program(p->hub, "UPDATE perche_peer SET have = have + 1");
    o = leave_with(p, f, session);
    assert_true(o.message.refused);
    assert_int_equal(o.message.u.no.why, PERCHE_NO_POSITION);
    outcome_free(&o);
    assert_false(key_of(p, replica_site_id(f->r)).left);
    assert_true(key_of(p, replica_site_id(f->r)).session == session);
}

static void one_that_left_is_shown_so_and_holds_nothing(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    char *json = pair_command(p, p->hub, "invite", "{\"name\": \"La Loupe\", \"replace\": true}");

    assert_string_equal(of_sites(p, f, "left_at"), "null");
    enrols(p, json, 7, 0);
    pair_prove(p, f);
    pair_sync(p, f);
    leaves(p, f);
    assert_true(key_of(p, replica_site_id(f->r)).left);
    assert_true(key_of(p, replica_site_id(f->r)).known);
    assert_int_equal(key_of(p, replica_site_id(f->r)).session, 0);
    assert_string_not_equal(of_sites(p, f, "left_at"), "null");
    assert_string_equal(of_sites(p, f, "state"), "unjoined");
    pair_edit(p, p->hub, 1000, "INSERT INTO organisation (name) VALUES ('new')");
    assert_string_equal(of_sites(p, f, "behind"), "0");
    assert_string_not_equal(of_sites(p, p->sites[1], "behind"), "0");
    enrols(p, json, 7, PERCHE_NO_LEFT); /* what it once joined with lets it in no more */
    free(json);
    assert_true(key_of(p, replica_site_id(f->r)).left);
    program_says(p->hub, "SELECT count(*) FROM perche_node", "1");
}

/* The same node: it has its key, and the hub its positions. */
static void a_site_that_left_comes_back_to_where_it_was(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    uint32_t level;
    uint64_t repaired;
    struct outcome o;
    char was[200], now[200];
    const char *mine = "SELECT site || ' ' || epoch || ' ' || acked || ' ' || full || ' ' || scan || ' ' || had FROM perche_node";
    const char *theirs = "SELECT p.epoch || ' ' || have || ' ' || full || ' ' || scan || ' ' || eplsn FROM perche_peer p JOIN perche_name n"
                         " ON n.num = p.site WHERE n.text = (SELECT id FROM site WHERE name = 'La Loupe')";

    comes_back(p, f, 7, "{\"name\": \"La Loupe\", \"replace\": true}"); /* with a key that the test knows */
    pair_prove(p, f);
    pair_edit(p, f, 1000, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" LEARNER "1', (SELECT site_id FROM perche_self), 'Camille')");
    pair_sync(p, f);
    leaves(p, f);
    snprintf(was, sizeof was, "%s", asked(f->program, mine));
    snprintf(now, sizeof now, "%s", asked(p->hub->program, theirs));
    program_says(f, "SELECT joined FROM perche_self", "0");
    program_says(f, "SELECT count(*) FROM learner", "1");
    pair_edit(p, f, 1000, "UPDATE learner SET call_name = 'Cam'");
    pair_edit(p, p->hub, 1000, "UPDATE learner SET use_family_name = 'Martin'");
    comes_back(p, f, 7, "{\"name\": \"La Loupe\"}"); /* no replace: nobody lives there */
    assert_false(key_of(p, replica_site_id(f->r)).left);
    program_says(f, mine, was);
    program_says(p->hub, theirs, now);
    pair_prove(p, f);
    o = pair_do(p, f, pair_work(WORK_STATE, NULL));
    assert_int_equal(o.state.pending, 1); /* what it wrote meanwhile, and no more */
    outcome_free(&o);
    pair_sync(p, f);
    program_says(p->hub, "SELECT call_name || ' ' || use_family_name FROM learner", "Cam Martin");
    program_says(f, "SELECT call_name || ' ' || use_family_name FROM learner", "Cam Martin");
    assert_int_equal(pair_compare(p, f, &level, &repaired), PERCHE_EQUAL);
    program_says(p->hub, "SELECT count(*) FROM perche_conflict", "0");
    program_says(p->hub, "SELECT count(*) FROM perche_peer WHERE recovery <> 0", "0");
}

/* Its keys are lost: for the hub it is a new node, which has forgotten nothing. */
static void a_site_that_comes_back_with_another_key_sends_its_own_again_and_alarms_nobody(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    uint32_t level;
    uint64_t repaired;

    pair_edit(p, f, 1000, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" LEARNER "1', (SELECT site_id FROM perche_self), 'Camille')");
    pair_sync(p, f);
    leaves(p, f);
    pair_edit(p, f, 1000, "UPDATE learner SET call_name = 'Cam'");
    pair_edit(p, p->hub, 1000, "UPDATE learner SET use_family_name = 'Martin'");
    comes_back(p, f, 77, "{\"name\": \"La Loupe\"}");
    pair_prove(p, f);
    pair_sync(p, f);
    program_says(p->hub, "SELECT call_name || ' ' || use_family_name FROM learner", "Cam Martin");
    assert_int_equal(pair_compare(p, f, &level, &repaired), PERCHE_EQUAL);
    program_says(p->hub, "SELECT count(*) FROM perche_conflict", "0");
    program_says(p->hub, "SELECT count(*) FROM perche_peer WHERE recovery <> 0", "0");
}

/* The folder was emptied but for its keys. */
static void an_empty_replica_with_the_old_key_is_taken_for_one_that_was_put_back(void **state)
{
    struct pair *p = *state;
    struct fixture *f = newcomer(p), *old = p->sites[0];
    uint32_t level;
    uint64_t repaired;

    comes_back(p, old, 7, "{\"name\": \"La Loupe\", \"replace\": true}");
    pair_prove(p, old);
    pair_edit(p, old, 1000, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" LEARNER "1', (SELECT site_id FROM perche_self), 'Camille')");
    pair_sync(p, old);
    leaves(p, old);
    pair_edit(p, f, 1000, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" LEARNER "2', (SELECT site_id FROM perche_self), 'Dominique')");
    comes_back(p, f, 7, "{\"name\": \"La Loupe\"}");
    pair_prove(p, f); /* restored: a new epoch */
    pair_prove(p, f);
    pair_sync(p, f);
    program_says(f, "SELECT group_concat(call_name) FROM (SELECT call_name FROM learner ORDER BY id)", "Camille,Dominique");
    program_says(p->hub, "SELECT count(*) FROM learner", "2");
    assert_int_equal(pair_compare(p, f, &level, &repaired), PERCHE_EQUAL);
    fixture_end(f);
}

/* ---- replicate ------------------------------------------------------------------------------- */

#define TABLE \
    "CREATE TABLE visit (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, who TEXT, \"odd name\" INTEGER DEFAULT 3)"

static char *replicated(struct pair *p)
{
    return pair_replicate(
        p, "{\"table\": \"visit\", \"scope\": \"site_id\", \"levels\": {\"who\": \"P1\"}}");
}

/* Numbers of migrations are never given twice, so no test knows one beforehand. */
#define NEWEST "(SELECT max(number) FROM perche_migration)"

static void another_table_can_be_replicated_with_the_rows_it_has(void **state)
{
    struct pair *p = *state;
    char *json, sql[400];
    uint32_t level;
    uint64_t repaired;

    program(p->hub, TABLE);
    snprintf(sql, sizeof sql,
             "INSERT INTO visit (id, site_id, who) VALUES ('v1', '%s', 'Ann'), ('v2', '%s', 'Bob')",
             replica_site_id(p->sites[0]->r), replica_site_id(p->sites[1]->r));
    program(p->hub, sql);
    json = replicated(p);
    assert_string_equal(json_at(json, "$.rule"), "own site_id");
    assert_string_equal(json_at(json, "$.rows"), "2");
    free(json);
    program_says(
        p->hub,
        "SELECT group_concat(col || ' ' || num || ' ' || level || ' ' || on_erase) FROM perche_column WHERE tab = 'visit'",
        "id 0 P2 keep,odd name 3 P2 keep,site_id 1 P2 keep,who 2 P1 null");
    for (int i = 0; i < 2; i++) {
        pair_prove(p, p->sites[i]);
        pair_sync(p, p->sites[i]);
    }
    program_says(p->sites[0], "SELECT group_concat(id || who || \"odd name\") FROM visit",
                 "v1Ann3");
    program_says(p->sites[1], "SELECT group_concat(id || who) FROM visit", "v2Bob");
    /* and it is captured there from now on */
    pair_edit(
        p, p->sites[0], 1000,
        "INSERT INTO visit (id, site_id, who) VALUES ('v3', (SELECT site_id FROM perche_self), 'Cleo')");
    pair_sync(p, p->sites[0]);
    program_says(p->hub, "SELECT group_concat(who) FROM visit", "Ann,Bob,Cleo");
    assert_int_equal(pair_compare(p, p->sites[0], &level, &repaired), PERCHE_EQUAL);
    program_says(p->sites[0], "SELECT schema >= 1000 AND schema = " NEWEST " FROM perche_node", "1");
    program_says(p->hub, "SELECT schema >= 1000 AND schema = " NEWEST " FROM perche_node", "1");
}

static void a_table_that_a_site_has_already_brings_its_rows(void **state)
{
    struct pair *p = *state;

    program(p->hub, TABLE);
    program(p->sites[0], TABLE);
    program(
        p->sites[0],
        "INSERT INTO visit (id, site_id, who) VALUES ('v9', (SELECT site_id FROM perche_self), 'Zoe')");
    free(replicated(p));
    pair_prove(p, p->sites[0]);
    pair_sync(p, p->sites[0]);
    program_says(p->hub, "SELECT group_concat(id || who) FROM visit", "v9Zoe");
}

static void a_migration_goes_out_once_it_is_signed(void **state)
{
    struct pair *p = *state;
    char *json, args[300];

    program(p->hub, TABLE);
    json = pair_command(p, p->hub, "replicate", "{\"table\": \"visit\", \"scope\": \"all\"}");
    snprintf(args, sizeof args, "{\"number\": %s, \"signature\": \"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}", json_at(json, "$.number"));
    free(json);
    pair_prove(p, p->sites[0]);
    program_says(p->sites[0], "SELECT count(*) FROM sqlite_schema WHERE name = 'visit'", "0");
    pair_refuses(p, p->hub, WORK_COMMAND, "migration_signature",
                 "{\"number\": 1000, \"signature\": \"12\"}", PERCHE_USAGE);
    free(pair_command(p, p->hub, "migration_signature", args));
    pair_prove(p, p->sites[0]);
    program_says(p->sites[0], "SELECT rule FROM perche_table WHERE name = 'visit'", "*");
    program_says(
        p->sites[0],
        "SELECT lower(hex(signature)) LIKE '001122%' FROM perche_migration WHERE number = " NEWEST,
        "1");
    pair_prove(p, p->sites[0]); /* a second time: nothing to do */
}

static void a_migration_that_a_file_does_not_take_is_listed_and_nothing_stops(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    program(p->hub, TABLE);
    program(f, "CREATE INDEX visit ON learner (ine)"); /* the name is taken there */
    free(replicated(p));
    pair_prove(p, f);
    pair_prove(p, f);
    program_says(f, "SELECT group_concat(tab || ' ' || reason) FROM perche_refused",
                 "perche_migration schema");
    program_says(f, "SELECT schema FROM perche_node", "0");
    program_says(f, "SELECT count(*) FROM perche_table WHERE name = 'visit'", "0");
    pair_edit(p, f, 1000,
              "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" LEARNER
              "1', (SELECT site_id FROM perche_self), 'Camille')");
    pair_sync(p, f);
    program_says(p->hub, "SELECT call_name FROM learner", "Camille");
    program(f, "DROP INDEX visit");
    pair_prove(p, f); /* it is tried again each time */
    program_says(f, "SELECT schema >= 1000 AND schema = " NEWEST " FROM perche_node", "1");
    program_says(f, "SELECT count(*) FROM perche_refused", "0");
}

/* What was harvested for the same work is not put on disk without the digests that count it. */
static void a_migration_does_not_end_the_transaction_that_it_is_in(void **state)
{
    static const char *const ends[] = {"COMMIT", "ROLLBACK", "RELEASE migration", "SAVEPOINT own", "END; BEGIN"};
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    for (int i = 0; i < 5; i++) {
        char sql[300];
        char *json;

        snprintf(sql, sizeof sql, "DELETE FROM perche_migration WHERE number >= 1000; INSERT INTO perche_migration (number, name, sql, signature, applied_ms)"
                                  " VALUES (%d, 'end', '%s', zeroblob(64), 1)", 1000 + i, ends[i]);
        program(p->hub, sql);
        program(f, "INSERT INTO organisation (name) VALUES ('not harvested yet')");
        pair_prove(p, f);
        snprintf(sql, sizeof sql, "SELECT image LIKE '%%not authorized%%' FROM perche_refused WHERE key = '%d'", 1000 + i);
        program_says(f, sql, "1");
        json = pair_query(p, f, "verify", "{}");
        assert_string_equal(json_at(json, "$.equal"), "1");
        free(json);
    }
}

/* Whatever step of it fails: nothing of it stays, in the file or in memory. */
static void what_a_migration_writes_at_a_site_is_captured_also_after_a_batch(void **state)
{
    struct pair *p = *state;

    program(p->hub, "INSERT INTO organisation (name) VALUES ('a row to apply')");
    harvest_here(p, p->hub);
    pair_sync(p, p->sites[0]);
    assert_true(p->sites[0]->r->triggers_off);
    program(p->hub,
            "INSERT INTO perche_migration (number, name, sql, signature, applied_ms) VALUES (1000, 'rows',"
            " 'INSERT INTO project (id, site_id, title, kind) SELECT ''of the migration'', site_id, ''t'', ''INTERNAL'' FROM perche_self;',"
            " zeroblob(64), 1)");
    pair_prove(p, p->sites[0]);
    program_says(p->sites[0], "SELECT count(*) FROM project WHERE id = 'of the migration'", "1");
    pair_sync(p, p->sites[0]);
    program_says(p->hub, "SELECT count(*) FROM project WHERE id = 'of the migration'", "1");
}

/* One more than an answer to prove has. @first: what the first of them selects, in SQL. */
static void many_migrations(struct fixture *hub, const char *first)
{
    char sql[400];

    snprintf(sql, sizeof sql, "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %u)"
                              " INSERT INTO perche_migration (number, name, sql, signature, applied_ms)"
                              " SELECT 1000 + i, 'm' || i, 'SELECT ' || iif(i = 0, '%s', i), zeroblob(64), 1 FROM n", PERCHE_MIGRATIONS_MAX, first);
    program(hub, sql);
}

static void more_migrations_than_one_answer_has_come_with_the_next_handshake(void **state)
{
    struct pair *p = *state;

    many_migrations(p->hub, "0");
    assert_true(pair_prove(p, p->sites[0]));
    program_says(p->sites[0], "SELECT schema FROM perche_node", "1255");
    assert_false(pair_prove(p, p->sites[0]));
    program_says(p->sites[0], "SELECT schema FROM perche_node", "1256");
    assert_false(pair_prove(p, p->sites[0]));
}

/* It comes with each handshake: asking for the rest at once would have no end. */
static void so_they_do_not_where_the_first_of_them_is_not_taken(void **state)
{
    struct pair *p = *state;

    many_migrations(p->hub, "nothing");
    assert_false(pair_prove(p, p->sites[0]));
}

static void a_migration_that_fails_half_way_leaves_no_trace(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    program(
        p->hub,
        "INSERT INTO perche_migration (number, name, sql, signature, applied_ms) VALUES (1000, 'bad',"
        " 'CREATE TABLE half (id TEXT NOT NULL PRIMARY KEY); INSERT INTO nowhere VALUES (1)', zeroblob(64), 1)");
    pair_prove(p, f);
    program_says(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'", "0");
    program_says(f, "SELECT image LIKE '%nowhere%' FROM perche_refused", "1");
    program(p->hub, "DELETE FROM perche_migration WHERE number = 1000; " TABLE);
    free(replicated(p));
    program(
        f,
        "CREATE VIEW perche_gone_visit AS SELECT 1 AS id"); /* where the triggers want their table */
    pair_prove(p, f);
    program_says(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'visit'", "0");
    program_says(f, "SELECT count(*) FROM perche_tab WHERE name = 'visit'", "0");
    program(f, "DROP VIEW perche_gone_visit");
    pair_prove(p, f);
    program_says(f, "SELECT count(*) FROM perche_tab WHERE name = 'visit'", "1");
    pair_edit(
        p, f, 1000,
        "INSERT INTO visit (id, site_id, who) VALUES ('v3', (SELECT site_id FROM perche_self), 'Cleo')");
    pair_sync(p, f);
    program_says(p->hub, "SELECT group_concat(who) FROM visit", "Cleo");
}

/* A column that a program has added and the hub registers: registered at both ends, with what is in it. */
static void added_column(struct pair *p, const char *column, const char *at_site)
{
    struct fixture *f = p->sites[0];
    char sql[300];
    uint32_t level;
    uint64_t repaired;

    program(p->hub, TABLE);
    free(replicated(p));
    pair_prove(p, f);
    pair_sync(p, f);
    pair_edit(p, f, 1000, "INSERT INTO visit (id, site_id) VALUES ('v1', (SELECT site_id FROM perche_self))");
    pair_sync(p, f);
    if (at_site != NULL)
        program(f, at_site);
    snprintf(sql, sizeof sql, "ALTER TABLE visit ADD COLUMN %s; INSERT INTO visit (id, site_id, note) VALUES ('v2', '%s', 'before')", column, replica_site_id(f->r));
    program(p->hub, sql);
    free(replicated(p));
    harvest_here(p, p->hub);
    pair_prove(p, f);
    pair_sync(p, f);
    snprintf(sql, sizeof sql, "INSERT INTO visit (id, site_id, note) VALUES ('v3', '%s', 'of the hub')", replica_site_id(f->r));
    program(p->hub, sql);
    harvest_here(p, p->hub);
    pair_edit(p, f, 1000, "UPDATE visit SET note = 'of the site' WHERE id = 'v1'");
    pair_sync(p, f);
    for (int i = 0; i < 2; i++) {
        struct fixture *at = i == 0 ? p->hub : f;

        program_says(at, "SELECT group_concat(col || num || policy) FROM perche_column WHERE tab = 'visit' AND col = 'note'", "note4lww");
        program_says(at, "SELECT group_concat(id || ' ' || note) FROM (SELECT * FROM visit ORDER BY id)", "v1 of the site,v2 before,v3 of the hub");
        program_says(at, "SELECT count(*) FROM perche_parked", "0");
    }
    assert_int_equal(pair_compare(p, f, &level, &repaired), PERCHE_EQUAL);
}

static void a_column_that_is_added_is_registered_at_both_ends(void **state)
{
    added_column(*state, "note TEXT DEFAULT '-'", NULL);
}

static void a_column_without_a_default_is_registered_at_both_ends(void **state)
{
    added_column(*state, "note TEXT", NULL);
}

static void a_default_may_hold_what_ends_a_statement(void **state)
{
    added_column(*state, "note TEXT DEFAULT 'none; yet'", NULL);
}

static void a_column_that_the_site_has_already_is_registered_there(void **state)
{
    added_column(*state, "note TEXT", "ALTER TABLE visit ADD COLUMN note TEXT");
}

/* The hub's table may be empty, and takes more than one with rows. */
static void a_column_that_no_table_with_rows_takes_is_not_sent_to_the_sites(void **state)
{
    static const char *const columns[] = {"note TEXT DEFAULT (lower('NONE'))", "note TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP", "note TEXT DEFAULT (random())"};
    struct pair *p = *state;
    char sql[200];

    program(p->hub, TABLE);
    free(replicated(p));
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        snprintf(sql, sizeof sql, "ALTER TABLE visit ADD COLUMN %s", columns[i]);
        program(p->hub, sql);
        pair_refuses(p, p->hub, WORK_COMMAND, "replicate", "{\"table\": \"visit\", \"scope\": \"site_id\"}", PERCHE_REFUSED);
        program_says(p->hub, "SELECT count(*) FROM perche_column WHERE tab = 'visit' AND col = 'note'", "0");
        program(p->hub, "DROP TRIGGER perche_visit_insert; DROP TRIGGER perche_visit_update; DROP TRIGGER perche_visit_delete; ALTER TABLE visit DROP COLUMN note");
    }
    program(p->hub, "ALTER TABLE visit ADD COLUMN note TEXT NOT NULL DEFAULT (-5)"); /* SQLite tells it without the parentheses that it needs */
    free(replicated(p));
    pair_prove(p, p->sites[0]);
    program_says(p->sites[0], "SELECT group_concat(dflt_value) FROM pragma_table_info('visit') WHERE name = 'note'", "-5");
}

/* Of a table that is made with one name twice nothing is registered. */
static void only_a_column_that_is_there_is_passed_over(void **state)
{
    struct pair *p = *state;

    program(p->hub, "INSERT INTO perche_migration (number, name, sql, signature, applied_ms) VALUES (1000, 'twice',"
                    " 'CREATE TABLE twice (a TEXT, a TEXT); CREATE TABLE after (a TEXT)', zeroblob(64), 1)");
    pair_prove(p, p->sites[0]);
    program_says(p->sites[0], "SELECT count(*) FROM sqlite_schema WHERE name = 'after'", "0");
    program_says(p->sites[0], "SELECT image LIKE '%duplicate column name%' FROM perche_refused", "1");
}

/* The hub is put back to before it replicated `visit`: what it does next, and `visit` again, is at the sites. */
static void a_hub_that_was_put_back_gives_no_number_twice(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    for (int i = 0; i < 2; i++) { /* the new number is above or below the old one: it makes no difference */
        char sql[200], visit[60];

        back_up(p->hub);
        program(p->hub, TABLE);
        free(replicated(p));
        pair_prove(p, f);
        program_says(f, "SELECT count(*) FROM perche_table WHERE name = 'visit'", "1");
        program(f, i == 0 ? "UPDATE perche_migration SET number = 1000 WHERE name = 'replicate visit'; UPDATE perche_node SET schema = 1000"
                          : "UPDATE perche_migration SET number = 1 << 40 WHERE name = 'replicate visit' AND number > 1000; UPDATE perche_node SET schema = 1 << 40");
        shut(f);
        reopened(p, f);
        snprintf(visit, sizeof visit, "%s", asked(p->hub->r->db, "SELECT " NEWEST));
        put_back(p, p->hub);
        snprintf(sql, sizeof sql, "CREATE TABLE other%d (id TEXT NOT NULL PRIMARY KEY, x TEXT)", i);
        program(p->hub, sql);
        snprintf(sql, sizeof sql, "{\"table\": \"other%d\", \"scope\": \"all\"}", i);
        free(pair_replicate(p, sql));
        assert_string_not_equal(asked(p->hub->r->db, "SELECT " NEWEST), visit);
        pair_prove(p, f);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM perche_table WHERE name = 'other%d'", i);
        program_says(f, sql, "1");
        program_says(p->hub, "SELECT schema = " NEWEST " FROM perche_node", "1");
        snprintf(sql, sizeof sql, "SELECT schema = %s FROM perche_node", asked(p->hub->r->db, "SELECT " NEWEST));
        program_says(f, sql, "1"); /* a number that the hub knows: it need not send all again */
    }
    program(p->hub, TABLE);
    free(replicated(p));
    pair_prove(p, f);
    program_says(p->hub, "SELECT rule FROM perche_table WHERE name = 'visit'", "own site_id");
}

/* The hub is put back to before it had the table, or a column of it, and has it made and replicated otherwise since. */
static void a_table_that_is_replicated_again_gets_the_columns_that_a_sites_lacks(void **state)
{
    static const char after[] = "CREATE TABLE visit (note TEXT DEFAULT '-', id TEXT NOT NULL PRIMARY KEY, must TEXT NOT NULL, who TEXT, site_id TEXT NOT NULL, n INTEGER NOT NULL DEFAULT (-5))";
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    uint32_t level;
    uint64_t repaired;

    back_up(p->hub);
    program(p->hub, "CREATE TABLE visit (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, who TEXT, must TEXT NOT NULL)");
    free(replicated(p));
    pair_prove(p, f);
    pair_sync(p, f);
    pair_edit(p, f, 1000, "INSERT INTO visit (id, site_id, who, must) VALUES ('v1', (SELECT site_id FROM perche_self), 'Ann', 'm')");
    pair_sync(p, f);
    put_back(p, p->hub);
    program(p->hub, after);
    free(replicated(p));
    for (int i = 0; i < PAIR_SITES; i++) {
        (void)shake(p, p->sites[i]);
        settled(p, p->sites[i]);
    }
    program_says(f, "SELECT group_concat(name) FROM pragma_table_info('visit')", "id,site_id,who,must,note,n");
    program_says(f, "SELECT group_concat(col || num) FROM (SELECT * FROM perche_column WHERE tab = 'visit' ORDER BY num)", "id0,site_id1,who2,must3,note4,n5");
    program_says(p->hub, "SELECT group_concat(col || num) FROM (SELECT * FROM perche_column WHERE tab = 'visit' ORDER BY num)", "id0,note1,must2,who3,site_id4,n5");
    pair_edit(p, f, 1000, "UPDATE visit SET note = 'of the site'");
    pair_sync(p, f);
    pair_edit(p, p->hub, 1000, "UPDATE visit SET n = 7");
    pair_sync(p, f);
    for (int i = 0; i < 2; i++) {
        struct fixture *at = i == 0 ? p->hub : f;

        program_says(at, "SELECT group_concat(id || who || must || note || n) FROM visit", "v1Annmof the site7");
        program_says(at, "SELECT count(*) FROM perche_parked", "0");
        program_says(at, "SELECT count(*) FROM perche_refused", "0");
    }
    assert_int_equal(pair_compare(p, f, &level, &repaired), PERCHE_EQUAL);
}

/* It had added another column before it was put back, which the site has. */
static void a_column_that_is_added_gets_a_number_of_its_own_at_a_site_that_has_more(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    program(p->hub, TABLE);
    free(replicated(p));
    pair_prove(p, f);
    pair_sync(p, f);
    pair_edit(p, f, 1000, "INSERT INTO visit (id, site_id) VALUES ('v1', (SELECT site_id FROM perche_self))");
    pair_sync(p, f);
    back_up(p->hub);
    program(p->hub, "ALTER TABLE visit ADD COLUMN note TEXT");
    free(replicated(p));
    pair_prove(p, f);
    put_back(p, p->hub);
    program(p->hub, "ALTER TABLE visit ADD COLUMN extra TEXT");
    free(replicated(p));
    for (int i = 0; i < PAIR_SITES; i++) {
        (void)shake(p, p->sites[i]);
        settled(p, p->sites[i]);
    }
    pair_edit(p, p->hub, 1000, "UPDATE visit SET extra = 'more'");
    pair_sync(p, f);
    program_says(f, "SELECT extra FROM visit", "more");
    program_says(f, "SELECT group_concat(col || num) FROM (SELECT * FROM perche_column WHERE tab = 'visit' AND num > 3 ORDER BY num)", "note4,extra5");
    program_says(f, "SELECT count(*) FROM perche_parked", "0");
}

/* Of a hub that counted. */
static void a_number_that_came_with_another_text_is_another_migration(void **state)
{
    static const char put[] = "DELETE FROM perche_migration WHERE number >= 1000;"
                              "INSERT INTO perche_migration (number, name, sql, signature, applied_ms) VALUES (1000, 'n', 'CREATE TABLE %s (x TEXT)', zeroblob(64), 1)";
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    char sql[300];

    snprintf(sql, sizeof sql, put, "a");
    program(p->hub, sql);
    pair_prove(p, f);
    snprintf(sql, sizeof sql, put, "b");
    program(p->hub, sql);
    program(f, "UPDATE perche_node SET schema = 5000");
    shut(f);
    reopened(p, f);
    pair_prove(p, f);
    program_says(f, "SELECT count(*) FROM sqlite_schema WHERE name IN ('a', 'b')", "2");
    program_says(f, "SELECT sql FROM perche_migration WHERE number = 1000", "CREATE TABLE b (x TEXT)");
    program_says(f, "SELECT schema FROM perche_node", "1000");
}

/* Its rows, and the values of columns that the hub knows nothing of, stay; what the hub replicates besides comes. */
static void a_table_of_a_sites_own_with_other_columns_is_left_alone(void **state)
{
    static const char *const own[] = {
        "CREATE TABLE visit (id TEXT NOT NULL PRIMARY KEY, label TEXT)",
        "CREATE TABLE visit (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, who TEXT, \"odd name\" INTEGER, label TEXT)",
        "CREATE TABLE Visit (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, who TEXT, \"odd name\" INTEGER, label TEXT)",
        "CREATE TABLE visit (id TEXT PRIMARY KEY, site_id TEXT, who TEXT, \"odd name\" INTEGER, label TEXT GENERATED ALWAYS AS (id))",
    };
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    char sql[400];

    program(p->hub, TABLE);
    snprintf(sql, sizeof sql, "INSERT INTO visit (id, site_id, who) VALUES ('v1', '%s', 'Ann')", replica_site_id(f->r));
    program(p->hub, sql);
    free(replicated(p));
    program(p->hub, "CREATE TABLE other (id TEXT NOT NULL PRIMARY KEY, x TEXT)");
    free(pair_replicate(p, "{\"table\": \"other\", \"scope\": \"all\"}"));
    program(p->hub, "ALTER TABLE visit ADD COLUMN note TEXT");
    free(replicated(p)); /* not for a table that is not the hub's */
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        program(f, own[i]);
        program(f, i == 1 || i == 2 ? "INSERT INTO visit (id, site_id, label) VALUES ('own', 'x', 'mine')" : "INSERT INTO visit (id) VALUES ('own')");
        pair_prove(p, f);
        pair_sync(p, f);
        program_says(f, "SELECT group_concat(id || (SELECT count(*) FROM pragma_table_xinfo('visit'))) FROM visit", i == 0 ? "own2" : "own5");
        program_says(f, "SELECT count(*) FROM perche_table WHERE name = 'visit'", "0");
        program_says(f, "SELECT group_concat(columns || ' ' || reason) FROM perche_refused", "replicate visit schema");
        program_says(f, "SELECT image LIKE '%of its own%rename it%' FROM perche_refused", "1");
        program_says(f, "SELECT group_concat(tab || reason) FROM perche_parked", "visittable");
        program_says(f, "SELECT count(*) FROM perche_table WHERE name = 'other'", "1");
        program(f, "DROP TABLE visit");
    }
    program_says(p->hub, "SELECT group_concat(id) FROM visit", "v1");
    program(f, own[0]);
    program(f, "ALTER TABLE visit RENAME TO visit_own");
    pair_prove(p, f);
    pair_sync(p, f);
    program_says(f, "SELECT group_concat(id || who) FROM visit", "v1Ann");
    program_says(f, "SELECT count(*) FROM perche_column WHERE tab = 'visit' AND col = 'note'", "1");
    program_says(f, "SELECT (SELECT count(*) FROM perche_refused) || (SELECT count(*) FROM perche_parked)", "00");
}

/* Its columns have the hub's names, but what is in it would be refused there and taken out here. */
static void so_is_one_whose_columns_are_declared_otherwise(void **state)
{
    static const struct { const char *own, *row, *why; } cases[] = {
        {"CREATE TABLE visit (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, who INTEGER, \"odd name\" INTEGER)", "'own', 'x', 7, 3", "%column who is of another type"},
        {"CREATE TABLE visit (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, who TEXT, \"odd name\")", "'own', 'x', 'Zoe', 'three'", "%column odd name is of another type"},
        {"CREATE TABLE visit (id TEXT NOT NULL PRIMARY KEY, site_id TEXT, who TEXT, \"odd name\" INTEGER)", "'own', NULL, 'Zoe', 3", "%the hub''s column site_id is NOT NULL"},
        {"CREATE TABLE visit (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, who TEXT NOT NULL, \"odd name\" INTEGER)", "'own', 'x', 'Zoe', 3", "%its column who is NOT NULL"},
        {"CREATE TABLE visit (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, who TEXT, \"odd name\" INTEGER) STRICT", "'own', 'x', 'Zoe', 3", "%it is STRICT"},
        {"CREATE TABLE visit (id TEXT NOT NULL, site_id TEXT NOT NULL, who TEXT, \"odd name\" INTEGER, PRIMARY KEY (id, site_id))", "'own', 'x', 'Zoe', 3", "%columns of its key%"},
    };
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    char sql[400], row[200];

    program(p->hub, TABLE);
    snprintf(sql, sizeof sql, "INSERT INTO visit (id, site_id, who) VALUES ('v1', '%s', 'Ann')", replica_site_id(f->r));
    program(p->hub, sql);
    free(replicated(p));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        program(f, cases[i].own);
        snprintf(sql, sizeof sql, "INSERT INTO visit VALUES (%s)", cases[i].row);
        program(f, sql);
        snprintf(row, sizeof row, "%s", asked(f->program, "SELECT group_concat(quote(id) || quote(site_id) || quote(who) || quote(\"odd name\")) FROM visit"));
        for (int k = 0; k < 2; k++) {
            pair_prove(p, f);
            pair_sync(p, f);
        }
        program_says(f, "SELECT group_concat(quote(id) || quote(site_id) || quote(who) || quote(\"odd name\")) FROM visit", row);
        program_says(f, "SELECT count(*) FROM perche_table WHERE name = 'visit'", "0");
        snprintf(sql, sizeof sql, "SELECT group_concat(columns || ' ' || reason || ' ' || (image LIKE '%%of its own%%rename it%%') || (image LIKE '%s')) FROM perche_refused", cases[i].why);
        program_says(f, sql, "replicate visit schema 11");
        program_says(f, "SELECT group_concat(tab || reason) FROM perche_parked", "visittable");
        program(f, "DROP TABLE visit; DELETE FROM perche_refused");
    }
    program_says(p->hub, "SELECT group_concat(id) FROM visit", "v1");
    program(f, "CREATE TABLE visit (\"odd name\" BIGINT, who VARCHAR(20) DEFAULT '-', site_id TEXT NOT NULL, id CHAR(36) NOT NULL PRIMARY KEY)"); /* takes the same */
    program(f, "INSERT INTO visit (id, site_id, who) VALUES ('v9', (SELECT site_id FROM perche_self), 'Zoe')");
    pair_prove(p, f);
    pair_sync(p, f);
    program_says(f, "SELECT group_concat(id || who) FROM (SELECT * FROM visit ORDER BY id)", "v1Ann,v9Zoe");
    program_says(p->hub, "SELECT group_concat(id || who) FROM visit", "v1Ann,v9Zoe");
}

/* The hub has added a column since it replicated the table. */
static void a_table_that_a_site_has_as_the_hub_has_it_now_brings_its_rows(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    program(p->hub, TABLE);
    free(replicated(p));
    program(p->hub, "ALTER TABLE visit ADD COLUMN note TEXT");
    free(replicated(p));
    program(f, TABLE "; ALTER TABLE visit ADD COLUMN note TEXT;"
               "INSERT INTO visit (id, site_id, who, note) VALUES ('v9', (SELECT site_id FROM perche_self), 'Zoe', 'n')");
    pair_prove(p, f);
    pair_sync(p, f);
    program_says(p->hub, "SELECT group_concat(id || who || note) FROM visit", "v9Zoen");
    program_says(f, "SELECT schema = " NEWEST " FROM perche_node", "1");
    program_says(f, "SELECT count(*) FROM perche_refused", "0");
}

/* Key columns are all that the registry says of a key, and their order is part of it. */
static void a_table_of_a_sites_own_with_its_key_the_other_way_round_is_left_alone(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    program(p->hub, "CREATE TABLE visit (a TEXT NOT NULL, b TEXT NOT NULL, site_id TEXT, PRIMARY KEY (a, b))");
    free(pair_replicate(p, "{\"table\": \"visit\", \"scope\": \"site_id\"}"));
    program(f, "CREATE TABLE visit (a TEXT NOT NULL, b TEXT NOT NULL, site_id TEXT, PRIMARY KEY (b, a))");
    pair_prove(p, f);
    program_says(f, "SELECT image LIKE '%another order%' FROM perche_refused", "1");
    program(f, "DROP TABLE visit; CREATE TABLE IF NOT EXISTS visit (a TEXT NOT NULL, b TEXT NOT NULL, site_id TEXT, PRIMARY KEY (a, b))");
    pair_prove(p, f);
    program_says(f, "SELECT count(*) FROM perche_table WHERE name = 'visit'", "1");
}

static void a_name_that_would_not_go_on_the_line_is_refused(void **state)
{
    struct pair *p = *state;
    char sql[400];

    snprintf(sql, sizeof sql, "CREATE TABLE t%0117d (id TEXT NOT NULL PRIMARY KEY); CREATE TABLE t%0116d (id TEXT NOT NULL PRIMARY KEY)", 0, 0);
    program(p->hub, sql);
    snprintf(sql, sizeof sql, "{\"table\": \"t%0117d\", \"scope\": \"all\"}", 0);
    pair_refuses(p, p->hub, WORK_COMMAND, "replicate", sql, PERCHE_REFUSED);
    snprintf(sql, sizeof sql, "{\"table\": \"t%0116d\", \"scope\": \"all\"}", 0);
    free(pair_replicate(p, sql));
    pair_prove(p, p->sites[0]);
    program_says(p->sites[0], "SELECT count(*) FROM perche_table WHERE name LIKE 't000%'", "1");
}

static void what_cannot_be_replicated_is_refused_with_the_reason(void **state)
{
    struct pair *p = *state;

    program(
        p->hub, TABLE
        ";CREATE TABLE odd (id INTEGER PRIMARY KEY AUTOINCREMENT, x TEXT); CREATE TABLE nn (id TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL)");
    pair_refuses(p, p->hub, WORK_COMMAND, "replicate", "{\"table\": \"odd\", \"scope\": \"all\"}",
                 PERCHE_REFUSED);
    assert_non_null(strstr(p->hub->err.text, "AUTOINCREMENT"));
    pair_refuses(p, p->hub, WORK_COMMAND, "replicate",
                 "{\"table\": \"visit\", \"scope\": \"nowhere\"}", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "replicate", "{\"table\": \"visit\"}", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "replicate",
                 "{\"table\": \"learner\", \"scope\": \"all\"}", PERCHE_STATE);
    pair_refuses(p, p->hub, WORK_COMMAND, "replicate",
                 "{\"table\": \"visit\", \"scope\": \"all\", \"level\": \"P9\"}", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "replicate",
                 "{\"table\": \"visit\", \"scope\": \"all\", \"level\": \"P1\"}",
                 PERCHE_REFUSED); /* its key */
    pair_refuses(p, p->hub, WORK_COMMAND, "replicate",
                 "{\"table\": \"nn\", \"scope\": \"all\", \"levels\": {\"n\": \"P3\"}}",
                 PERCHE_REFUSED);
    assert_non_null(strstr(p->hub->err.text, "could not be erased"));
    pair_refuses(p, p->sites[0], WORK_COMMAND, "replicate",
                 "{\"table\": \"visit\", \"scope\": \"all\"}", PERCHE_STATE);
    pair_refuses(p, p->hub, WORK_COMMAND, "no such command", "{}", PERCHE_USAGE);
    program_says(p->hub, "SELECT count(*) FROM perche_migration WHERE number >= 1000", "0");
}

static void a_table_made_anew_with_another_key_is_not_replicated_and_verify_says_why(void **state)
{
    struct pair *p = *state;
    char *json;

    program(p->hub, TABLE);
    free(replicated(p));
    program(p->hub, "DROP TABLE visit; CREATE TABLE visit (who TEXT NOT NULL PRIMARY KEY, id TEXT, site_id TEXT, more TEXT)");
    pair_refuses(p, p->hub, WORK_COMMAND, "replicate", "{\"table\": \"visit\", \"scope\": \"site_id\"}", PERCHE_REFUSED);
    assert_string_equal(p->hub->err.text, "visit cannot be replicated: perche verify says why");
    json = pair_query(p, p->hub, "warnings", "{}");
    assert_string_equal(json_at(json, "$.warnings[0].table"), "visit");
    assert_non_null(strstr(json_at(json, "$.warnings[0].text"), "made anew with the key (who)"));
    free(json);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        T(an_invitation_makes_a_site_of_its_name),
        T(an_invitation_takes_the_site_that_is_there),
        T(a_site_with_a_living_node_is_invited_only_to_be_replaced),
        T(a_name_that_a_site_has_makes_no_second_one_under_another_code),
        T(a_site_is_invited_under_the_id_that_it_has_had),
        T(an_invitation_is_good_once_and_its_answer_may_be_lost),
        T(the_hub_stores_no_secret),
        T(an_invitation_expires_and_a_newer_one_ends_the_older),
        T(a_machine_that_was_revoked_is_revoked_again_and_one_that_joined_since_is_not),
        T(a_revoked_site_is_out_until_it_is_invited_again),
        T(a_note_of_a_site_never_goes_back),
        T(a_site_that_joins_tells_what_it_wrote_before_under_its_new_id),
        T(a_joined_site_does_not_become_another),
        T(a_site_does_not_leave_while_anything_waits_here),
        T(a_leave_of_another_session_or_position_is_refused),
        T(one_that_left_is_shown_so_and_holds_nothing),
        T(a_site_that_left_comes_back_to_where_it_was),
        T(a_site_that_comes_back_with_another_key_sends_its_own_again_and_alarms_nobody),
        T(an_empty_replica_with_the_old_key_is_taken_for_one_that_was_put_back),
        T(another_table_can_be_replicated_with_the_rows_it_has),
        T(a_table_that_a_site_has_already_brings_its_rows),
        T(a_migration_goes_out_once_it_is_signed),
        T(a_migration_that_a_file_does_not_take_is_listed_and_nothing_stops),
        T(what_a_migration_writes_at_a_site_is_captured_also_after_a_batch),
        T(more_migrations_than_one_answer_has_come_with_the_next_handshake),
        T(so_they_do_not_where_the_first_of_them_is_not_taken),
        T(a_migration_that_fails_half_way_leaves_no_trace),
        T(a_migration_does_not_end_the_transaction_that_it_is_in),
        T(a_column_that_is_added_is_registered_at_both_ends),
        T(a_column_without_a_default_is_registered_at_both_ends),
        T(a_default_may_hold_what_ends_a_statement),
        T(a_column_that_the_site_has_already_is_registered_there),
        T(a_column_that_no_table_with_rows_takes_is_not_sent_to_the_sites),
        T(only_a_column_that_is_there_is_passed_over),
        T(a_hub_that_was_put_back_gives_no_number_twice),
        T(a_table_that_is_replicated_again_gets_the_columns_that_a_sites_lacks),
        T(a_column_that_is_added_gets_a_number_of_its_own_at_a_site_that_has_more),
        T(a_number_that_came_with_another_text_is_another_migration),
        T(a_table_of_a_sites_own_with_other_columns_is_left_alone),
        T(so_is_one_whose_columns_are_declared_otherwise),
        T(a_table_that_a_site_has_as_the_hub_has_it_now_brings_its_rows),
        T(a_table_of_a_sites_own_with_its_key_the_other_way_round_is_left_alone),
        T(a_name_that_would_not_go_on_the_line_is_refused),
        T(what_cannot_be_replicated_is_refused_with_the_reason),
        T(a_table_made_anew_with_another_key_is_not_replicated_and_verify_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
