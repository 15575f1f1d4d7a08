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

static enum perche_rc transfers(struct replica *r, const struct when *w, bool *wrote)
{
    sqlite3_stmt *s = ask(r, "SELECT transfer_id FROM transfer_due WHERE on_day <= ?1 ORDER BY on_day, transfer_id LIMIT 1");
    char *last = NULL;

    ask_bind_text(s, 1, w->today);
    while (ask_row(r, s, "look for a transfer that is due")) {
        char *id = strdup(ask_text(s, 0));

        (void)sqlite3_reset(s); /* its error was seen by the step */
        if (id == NULL)
            (void)fail(r, PERCHE_NOMEM, "no memory for a transfer");
        else if (last != NULL && strcmp(id, last) == 0)
            (void)fail(r, PERCHE_REFUSED, "transfer %s cannot be carried out: a program's trigger keeps it", id);
        free(last);
        last = id;
        if (r->fail != PERCHE_OK || carry_transfer(r, w, id) != PERCHE_OK)
            break;
        *wrote = true;
    }
    sqlite3_finalize(s);
    free(last);
    return r->fail;
}

static enum perche_rc decisions(struct replica *r, const struct when *w, bool *wrote)
{
    sqlite3_stmt *s = ask(r, "INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)"
                             " SELECT enrolment_id, milestone, situation, observation_id, rule, ?1, ?2 FROM decision_due WHERE true"
                             " ON CONFLICT DO UPDATE SET situation = excluded.situation, observation_id = excluded.observation_id, rule = excluded.rule,"
                             " decided_by = excluded.decided_by, decided_at = excluded.decided_at");
    int before = sqlite3_total_changes(r->db);

    ask_bind_text(s, 1, r->node.site);
    ask_bind_text(s, 2, w->now);
    if (ask_run(r, s, "decide an outcome") == PERCHE_OK)
        (void)ask_run(r, ask(r, "DELETE FROM outcome_decision WHERE (enrolment_id, milestone) IN (SELECT enrolment_id, milestone FROM decision_past)"),
                      "take a decision back");
    *wrote |= r->fail == PERCHE_OK && sqlite3_total_changes(r->db) != before;
    return r->fail;
}

/* Is a table missing, or being put back? Nothing is concluded from what is left of it. */
static bool away(struct replica *r)
{
    struct table *t;

    for (uint32_t i = 0; (t = registry_at(r, i)) != NULL; i++)
        if (!t->is_system && audit_away(r, t))
            return true;
    return false;
}

/* What a part looks at: it rests while none of that is written. */
#define LOOKS_AT(...) (const char *const[]){__VA_ARGS__}, sizeof (const char *const[]){__VA_ARGS__} / sizeof(char *)

static enum perche_rc transfers_part(struct replica *r, uint32_t part, bool waits, bool *wrote)
{
    struct when w;

    (void)waits;
    if (away(r) || !chore_due(r, part, LOOKS_AT("transfer", "enrolment", "perche_conflict")) || when_is(r, &w) != PERCHE_OK)
        return r->fail;
    return transfers(r, &w, wrote);
}

static enum perche_rc decisions_part(struct replica *r, uint32_t part, bool waits, bool *wrote)
{
    struct when w;

    (void)waits;
    if (away(r) || r->holding || /* what waits for a person is not made anew */
        !chore_due(r, part, LOOKS_AT("outcome_observation", "outcome_decision", "enrolment", "perche_conflict")) || when_is(r, &w) != PERCHE_OK)
        return r->fail;
    return decisions(r, &w, wrote);
}

static enum perche_rc duplicates_part(struct replica *r, uint32_t part, bool waits, bool *wrote)
{
    (void)waits, (void)wrote;
    return away(r) || !chore_due(r, part, LOOKS_AT("learner", "learner_contact", "learner_link")) ? r->fail : duplicates_find(r);
}

static enum perche_rc clashes_part(struct replica *r, uint32_t part, bool waits, bool *wrote)
{
    (void)wrote;
    return away(r) || waits ||
                   !chore_due(r, part, LOOKS_AT("enrolment_status_event", "housing_lease", "housing_unit", "enrolment", "application", "cohort", "learner_link",
                                                "outcome_observation", "outcome_decision"))
               ? r->fail
               : clash_sweep(r);
}

static enum perche_rc sheets_part(struct replica *r, uint32_t part, bool waits, bool *wrote)
{
    bool more = false;

    if (away(r) || waits || (!r->chore_goes_on && !chore_due(r, part, LOOKS_AT("attendance", "half_day", "enrolment"))))
        return r->fail;
    r->chore_goes_on = false;
    if (sheets_keep(r, &more) == PERCHE_OK)
        r->chore_goes_on = *wrote = more;
    return r->fail;
}

const replica_chore school_chores[] = {transfers_part, decisions_part, duplicates_part, clashes_part, sheets_part};
const size_t school_chores_count = sizeof school_chores / sizeof *school_chores;
