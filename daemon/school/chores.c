/* What the hub does by itself. It writes as any program would: captured by the
 * triggers, stamped by the next harvest, sent to whom it concerns. Each part finds
 * its work in a view (094_rules.sql) and is done when that is empty, so that it can be
 * run at any time, and again after a crash. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/ask.h"
#include "school/duplicates.h"
#include "school/school.h"
#include "school/sheets.h"

/* One transfer whose day has come (DOMAIN 3.3): the old enrolment ends, with its status; admissions that wait at the old school are
 * taken up; the learner's home is the new school. ?1 today, ?2 now, ?3 the hub, ?4 the transfer. */
static const char *const effect[] = {
    "INSERT INTO enrolment_status_event (enrolment_id, status, effective_on, recorded_at, recorded_site)"
    " SELECT enrolment_id, 'TRANSFERRED_OUT', on_day, ?2, ?3 FROM transfer_due WHERE transfer_id = ?4 AND on_day <= ?1",
    "UPDATE enrolment SET actual_end = t.last_day, exit_reason = 'TRANSFER' FROM transfer_due t"
    " WHERE t.transfer_id = ?4 AND t.on_day <= ?1 AND enrolment.id = t.enrolment_id AND ?2 = ?2 AND ?3 = ?3",
    "UPDATE application SET stage = 'ENROLLED' FROM transfer_due t"
    " WHERE t.transfer_id = ?4 AND t.on_day <= ?1 AND application.learner_id = t.learner_id AND application.site_id = t.from_site"
    " AND application.stage = 'ADMITTED' AND ?2 = ?2 AND ?3 = ?3",
    "UPDATE learner SET home_site_id = t.to_site FROM transfer_due t"
    " WHERE t.transfer_id = ?4 AND t.on_day <= ?1 AND learner.id = t.learner_id AND ?2 = ?2 AND ?3 = ?3",
    "UPDATE transfer SET state = 'DONE' WHERE id = ?4 AND id IN (SELECT transfer_id FROM transfer_due WHERE on_day <= ?1) AND ?2 = ?2 AND ?3 = ?3",
};

struct when {
    char today[16], now[32];
};

static enum perche_rc when_is(struct replica *r, struct when *w)
{
    sqlite3_stmt *s = ask(r, "SELECT date(?1 / 1000, 'unixepoch'), strftime('%Y-%m-%dT%H:%M:%SZ', ?1 / 1000, 'unixepoch')");

    if (s != NULL)
        (void)sqlite3_bind_int64(s, 1, (sqlite3_int64)r->now_ms); /* a failed bind gives no date, and then nothing is due */
    if (ask_row(r, s, "tell the day")) {
        (void)snprintf(w->today, sizeof w->today, "%s", ask_text(s, 0));
        (void)snprintf(w->now, sizeof w->now, "%s", ask_text(s, 1));
    }
    sqlite3_finalize(s);
    return r->fail;
}

static enum perche_rc carry_transfer(struct replica *r, const struct when *w, const char *id)
{
    for (size_t i = 0; r->fail == PERCHE_OK && i < sizeof effect / sizeof *effect; i++) {
        sqlite3_stmt *s = ask(r, effect[i]);

        ask_bind_text(s, 1, w->today);
        ask_bind_text(s, 2, w->now);
        ask_bind_text(s, 3, r->node.site);
        ask_bind_text(s, 4, id);
        (void)ask_run(r, s, "carry out a transfer");
    }
    return r->fail;
}

/* Did the school that the learner leaves accept in the other's stead? The word of the state's cell is whose it is, and a transfer has two sides. */
static bool is_one_sided(struct replica *r, const char *id, const char *from_site)
{
    struct table *t = registry_table(r, "transfer");
    const struct column *state = t != NULL ? table_column(t, "state") : NULL;
    struct perche_value key = {.type = PERCHE_TEXT, .n = (uint32_t)strlen(id), .p = (const uint8_t *)id};
    uint8_t encoded[PERCHE_KEY_BYTES_MAX];
    bool one_sided = false;
    struct meta *m;
    uint32_t n;

    if (state == NULL || perche_key_encode(&key, 1, encoded, &n) != PERCHE_OK)
        return false;
    m = malloc(sizeof *m);
    if (m == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a transfer") == PERCHE_OK;
    if (meta_load(r, t, (struct perche_bytes){encoded, n}, m) == PERCHE_OK) {
        one_sided = m->stored && m->cells[state->num].written && strcmp(name_text(r, m->cells[state->num].origin), from_site) == 0;
        meta_clear(m);
    }
    free(m);
    return one_sided;
}

static enum perche_rc ask_again(struct replica *r, const char *id)
{
    sqlite3_stmt *s = ask(r, "UPDATE transfer SET state = 'ASKED' WHERE id = ?1 AND state = 'ACCEPTED'");

    ask_bind_text(s, 1, id);
    return ask_run(r, s, "ask for a transfer again");
}

static enum perche_rc transfers(struct replica *r, const struct when *w, bool *wrote)
{
    sqlite3_stmt *s = ask(r, "SELECT transfer_id, from_site FROM transfer_due WHERE on_day <= ?1 ORDER BY on_day, transfer_id LIMIT 1");
    char *last = NULL;

    ask_bind_text(s, 1, w->today);
    while (ask_row(r, s, "look for a transfer that is due")) {
        char *id = strdup(ask_text(s, 0));
        bool one_sided = id != NULL && is_one_sided(r, id, ask_text(s, 1));

        (void)sqlite3_reset(s); /* its error was seen by the step */
        if (id == NULL)
            (void)fail(r, PERCHE_NOMEM, "no memory for a transfer");
        else if (last != NULL && strcmp(id, last) == 0)
            (void)fail(r, PERCHE_REFUSED, "transfer %s cannot be carried out: a program's trigger keeps it", id);
        free(last);
        last = id;
        if (r->fail != PERCHE_OK || (one_sided ? ask_again(r, id) : carry_transfer(r, w, id)) != PERCHE_OK)
            break;
        *wrote = true;
    }
    sqlite3_finalize(s);
    free(last);
    return r->fail;
}

/* One of the questions that a document answers; @id "" = there is none. */
static enum perche_rc documented(struct replica *r, char id[PERCHE_ID_BYTES_MAX], char side[2])
{
    sqlite3_stmt *s = NULL;

    id[0] = '\0';
    if (ask_number(r, "SELECT EXISTS (SELECT 1 FROM perche_conflict WHERE tab = 'outcome_decision' AND state = 'open') AND ?1 IS NOT NULL"
                      " AND EXISTS (SELECT 1 FROM code_list WHERE list = 'decision_rule' AND code = 'DOCUMENT_BEATS_DECLARED' AND valid_to IS NULL)", 0, NULL) == 0)
        return r->fail; /* what follows looks through all that was seen */
    s = ask(r, "SELECT conflict_id, side FROM decision_documented ORDER BY 1 LIMIT 1");
    if (ask_row(r, s, "look for a document")) {
        (void)snprintf(id, PERCHE_ID_BYTES_MAX, "%s", ask_text(s, 0));
        (void)snprintf(side, 2, "%s", ask_text(s, 1));
    }
    sqlite3_finalize(s);
    return r->fail;
}

/* As a person would who takes that side. */
static enum perche_rc take_side(struct replica *r, const char *id, const char *side)
{
    struct work w = {.kind = WORK_COMMAND, .now_ms = r->now_ms};
    struct outcome o = {0};
    char args[PERCHE_ID_BYTES_MAX + 100];

    (void)snprintf(args, sizeof args, "{\"id\":\"%s\",\"take\":\"%s\",\"reason\":\"DOCUMENT_BEATS_DECLARED\"}", id, side); /* an id is a UUID */
    w.args = args;
    (void)conflict_resolve(r, &w, &o);
    outcome_free(&o);
    return r->fail == PERCHE_OK ? capturing(r) : r->fail;
}

static enum perche_rc documents(struct replica *r, bool *wrote)
{
    char id[PERCHE_ID_BYTES_MAX], last[PERCHE_ID_BYTES_MAX] = "", side[2];

    while (documented(r, id, side) == PERCHE_OK && *id != '\0') {
        if (strcmp(id, last) == 0)
            return fail(r, PERCHE_REFUSED, "the question %s stays open although a document answers it", id);
        memcpy(last, id, sizeof last);
        if (take_side(r, id, side) != PERCHE_OK)
            break;
        *wrote = true;
    }
    return r->fail;
}

#define DECIDE_ANEW " ON CONFLICT DO UPDATE SET situation = excluded.situation, observation_id = excluded.observation_id, rule = excluded.rule," \
                    " decided_by = excluded.decided_by, decided_at = excluded.decided_at"

/* First what persons have answered: the hub's own are made anew only where nobody has. */
static enum perche_rc decisions(struct replica *r, const struct when *w, bool *wrote)
{
    int before = sqlite3_total_changes(r->db);
    sqlite3_stmt *s;

    if (ask_run(r, ask(r, "INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)"
                          " SELECT enrolment_id, milestone, situation, observation_id, 'MANUAL', decided_by, decided_at FROM decision_answered WHERE true" DECIDE_ANEW),
                "decide an outcome as it was answered") != PERCHE_OK)
        return r->fail;
    s = ask(r, "INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)"
               " SELECT enrolment_id, milestone, situation, observation_id, rule, ?1, ?2 FROM decision_due WHERE true" DECIDE_ANEW);
    ask_bind_text(s, 1, r->node.site);
    ask_bind_text(s, 2, w->now);
    if (ask_run(r, s, "decide an outcome") == PERCHE_OK)
        (void)ask_run(r, ask(r, "DELETE FROM outcome_decision WHERE (enrolment_id, milestone) IN (SELECT enrolment_id, milestone FROM decision_past)"),
                      "take a decision back");
    *wrote |= r->fail == PERCHE_OK && sqlite3_total_changes(r->db) != before;
    return r->fail;
}

/* What a part looks at: it rests while none of that is written, and while one of them is missing or being put back, as nothing is
 * concluded from what is left of it. */
struct looks_at {
    const char *const *tables;
    size_t count;
};
#define LOOKS_AT(...) (struct looks_at){(const char *const[]){__VA_ARGS__}, sizeof (const char *const[]){__VA_ARGS__} / sizeof(char *)}

static bool away(struct replica *r, struct looks_at l)
{
    for (size_t i = 0; i < l.count; i++) {
        struct table *t = registry_table(r, l.tables[i]);

        if (t == NULL || audit_away(r, t))
            return true;
    }
    return false;
}

static bool rests(struct replica *r, uint32_t part, struct looks_at l)
{
    return away(r, l) || !chore_due(r, part, l.tables, l.count);
}

static enum perche_rc transfers_part(struct replica *r, uint32_t part, bool waits, bool *wrote)
{
    struct when w;

    (void)waits;
    if (rests(r, part, LOOKS_AT("transfer", "enrolment", "enrolment_status_event", "application", "learner", "perche_conflict")) || when_is(r, &w) != PERCHE_OK)
        return r->fail;
    return transfers(r, &w, wrote);
}

static enum perche_rc decisions_part(struct replica *r, uint32_t part, bool waits, bool *wrote)
{
    struct when w;

    (void)waits;
    if (r->holding || /* what waits for a person is not made anew */
        rests(r, part, LOOKS_AT("outcome_observation", "outcome_decision", "enrolment", "cert_attempt", "code_list", "perche_conflict")) || when_is(r, &w) != PERCHE_OK)
        return r->fail;
    return documents(r, wrote) == PERCHE_OK ? decisions(r, &w, wrote) : r->fail;
}

static enum perche_rc duplicates_part(struct replica *r, uint32_t part, bool waits, bool *wrote)
{
    (void)waits, (void)wrote;
    return rests(r, part, LOOKS_AT("learner", "learner_contact", "learner_link")) ? r->fail : duplicates_find(r);
}

static enum perche_rc clashes_part(struct replica *r, uint32_t part, bool waits, bool *wrote)
{
    (void)wrote;
    return waits || rests(r, part, LOOKS_AT("enrolment_status_event", "housing_lease", "housing_unit", "enrolment", "application", "cohort", "learner_link",
                                            "outcome_observation", "outcome_decision", "cert_attempt", "code_list"))
               ? r->fail
               : clash_sweep(r);
}

static enum perche_rc sheets_part(struct replica *r, uint32_t part, bool waits, bool *wrote)
{
    const struct looks_at l = LOOKS_AT("attendance", "half_day", "enrolment");
    bool more = false;

    if (waits || (r->chore_goes_on ? away(r, l) : rests(r, part, l)))
        return r->fail;
    r->chore_goes_on = false;
    if (sheets_keep(r, &more) == PERCHE_OK)
        r->chore_goes_on = *wrote = more;
    return r->fail;
}

const replica_chore school_chores[] = {transfers_part, decisions_part, duplicates_part, clashes_part, sheets_part};
const size_t school_chores_count = sizeof school_chores / sizeof *school_chores;
