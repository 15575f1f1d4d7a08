/* `perche mark`: who was there, of a half-day of a cohort. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perche/day.h"
#include "school/by_hand.h"
#include "school/called.h"
#include "school/entry.h"

/* ---- what is said -------------------------------------------------------------------- */

static enum perche_rc wrong(struct replica *r, const char *what, const struct entry_fault *fault)
{
    return r->fail != PERCHE_OK ? r->fail : fail(r, PERCHE_USAGE, "%s: %s", what, fault->why);
}

/* What the argument @name means in a column of @e, "" when it is not given; false and r->fail when it is nothing. */
static bool read_arg(struct replica *r, struct args *a, struct entry_table *e, const char *name, const char *column, char *out, size_t size)
{
    struct entry_fault fault = {"", ""};
    struct entry_value value = {0};
    char text[PERCHE_NAME_BYTES_MAX];
    int i;

    *out = '\0';
    if (args_text(r, a, name, text, sizeof text) != PERCHE_OK || *text == '\0')
        return r->fail == PERCHE_OK;
    if ((i = entry_column(e, column, &fault)) < 0 || !entry_read(r, e, (uint32_t)i, text, &value, &fault))
        (void)wrong(r, name, &fault);
    else if (value.kind == 't')
        (void)snprintf(out, size, "%s", value.text);
    free(value.text);
    return r->fail == PERCHE_OK;
}

/* The same of one that has to be there. */
static bool need_arg(struct replica *r, struct args *a, struct entry_table *e, const char *name, const char *column, char *out, size_t size)
{
    if (read_arg(r, a, e, name, column, out, size) && *out == '\0')
        (void)fail(r, PERCHE_USAGE, "%s is missing", name);
    return r->fail == PERCHE_OK;
}

/* ---- mark ------------------------------------------------------------------------------- */

struct marking {
    struct replica *r;
    struct json *j;
    struct entry_table marks; /* attendance */
    char half_day[PERCHE_ID_BYTES_MAX], cohort[PERCHE_ID_BYTES_MAX], day[PERCHE_DAY_BYTES], half[PERCHE_NAME_BYTES_MAX];
    char all[PERCHE_NAME_BYTES_MAX], proof[PERCHE_NAME_BYTES_MAX];
    bool proof_given;
    int64_t planned, marked, corrected, same;
    sqlite3_stmt *look, *put, *others;
};

/* Marks of ?2 for the half-day ?1 that count. */
#define LIVE "half_day_id = ?1 AND enrolment_id = ?2 AND void_reason IS NULL AND id NOT IN (SELECT voids FROM attendance WHERE enrolment_id = ?2 AND voids IS NOT NULL)"
#define NOW(at) "strftime('%Y-%m-%dT%H:%M:%SZ', " at " / 1000, 'unixepoch')"

/* First one that says what is wanted, else the newest; what another one says; how many there are. */
static const char look[] =
    "WITH live AS MATERIALIZED (SELECT id, mark, mark = ?3 AND minutes = ?4 AND (?5 IS NULL OR proof = ?5) AS wanted, recorded_at FROM attendance WHERE " LIVE ")"
    " SELECT id, wanted, (SELECT mark FROM live ORDER BY mark = ?3, recorded_at DESC, id DESC LIMIT 1), count(*) OVER () FROM live ORDER BY 2 DESC, recorded_at DESC, id DESC LIMIT 1";
static const char put[] =
    "INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site, voids) VALUES (?1, ?2, ?3, ?4, ?5, " NOW("?6") ", ?7, ?8) RETURNING id";
/* A mark voids one: what else counts is taken back by a row of its own. */
static const char others[] =
    "INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site, voids, void_reason)"
    " SELECT half_day_id, enrolment_id, mark, minutes, proof, " NOW("?3") ", ?4, id, 'another mark of this half-day holds' FROM attendance WHERE " LIVE " AND id <> ?5";

/* @text: "PRESENT", or "LATE:180" with its minutes. */
static enum perche_rc read_mark(struct marking *m, const char *text, char mark[PERCHE_NAME_BYTES_MAX], int64_t *minutes)
{
    const char *colon = strchr(text, ':');
    struct entry_fault fault = {"", ""};
    struct entry_value value = {0};
    char word[PERCHE_NAME_BYTES_MAX];
    int column = entry_column(&m->marks, "mark", &fault);

    (void)snprintf(word, sizeof word, "%.*s", (int)(colon != NULL ? colon - text : (long)strlen(text)), text);
    if (column < 0 || !entry_read(m->r, &m->marks, (uint32_t)column, word, &value, &fault))
        (void)wrong(m->r, "mark", &fault);
    else
        (void)snprintf(mark, PERCHE_NAME_BYTES_MAX, "%s", value.text);
    free(value.text);
    if (m->r->fail != PERCHE_OK)
        return m->r->fail;
    *minutes = mark_is_absent(mark) ? 0 : m->planned;
    if (colon != NULL && (colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 6 || (*minutes = atoll(colon + 1)) > m->planned))
        return fail(m->r, PERCHE_USAGE, "%s: after the colon stand minutes, of which this half-day has %lld", text, (long long)m->planned);
    if (mark_is_absent(mark) != (*minutes == 0))
        return fail(m->r, PERCHE_USAGE, "%s: %s", text, *minutes == 0 ? "who was there for none of the minutes is ABSENT" : "who was absent has no minutes; who came late is LATE:MINUTES");
    return PERCHE_OK;
}

/* Writes the mark, which voids the one with the id @voids, "" = none. Its own id into *id. */
static void put_mark(struct marking *m, const char *enrolment, const char *mark, int64_t minutes, const char *voids, char id[PERCHE_ID_BYTES_MAX])
{
    sqlite3_stmt *s = m->put;

    ask_bind_text(s, 1, m->half_day);
    ask_bind_text(s, 2, enrolment);
    ask_bind_text(s, 3, mark);
    (void)sqlite3_bind_int64(s, 4, minutes); /* a failed bind shows in the step: NOT NULL */
    ask_bind_text(s, 5, m->proof);
    (void)sqlite3_bind_int64(s, 6, (sqlite3_int64)m->r->now_ms);
    ask_bind_text(s, 7, m->r->node.site);
    ask_bind_text(s, 8, *voids != '\0' ? voids : NULL);
    if (ask_row(m->r, s, "write a mark"))
        (void)snprintf(id, PERCHE_ID_BYTES_MAX, "%s", ask_text(s, 0));
    entry_done(s);
}

static void void_others(struct marking *m, const char *enrolment, const char *but)
{
    sqlite3_stmt *s = m->others;

    ask_bind_text(s, 1, m->half_day);
    ask_bind_text(s, 2, enrolment);
    (void)sqlite3_bind_int64(s, 3, (sqlite3_int64)m->r->now_ms); /* a failed bind shows in the step: NOT NULL */
    ask_bind_text(s, 4, m->r->node.site);
    ask_bind_text(s, 5, but);
    (void)ask_row(m->r, s, "take the other marks back"); /* it returns none */
    entry_done(s);
}

static void write_mark(struct marking *m, const char *enrolment, const char *name, const char *mark, int64_t minutes, const char *was)
{
    out_open(m->j, '{');
    out_key(m->j, "enrolment");
    out_text(m->j, enrolment);
    out_key(m->j, "learner");
    out_text(m->j, name);
    out_key(m->j, "mark");
    out_text(m->j, mark);
    out_key(m->j, "minutes");
    out_int(m->j, minutes);
    out_key(m->j, "was");
    out_text(m->j, *was != '\0' ? was : NULL);
    out_close(m->j, '}');
}

static enum perche_rc mark_one(struct marking *m, const char *enrolment, const char *name, const char *text)
{
    char mark[PERCHE_NAME_BYTES_MAX] = "", was[PERCHE_NAME_BYTES_MAX] = "", id[PERCHE_ID_BYTES_MAX] = "";
    int64_t minutes = 0, live = 0;
    bool wanted = false;

    if (read_mark(m, text, mark, &minutes) != PERCHE_OK)
        return m->r->fail;
    ask_bind_text(m->look, 1, m->half_day);
    ask_bind_text(m->look, 2, enrolment);
    ask_bind_text(m->look, 3, mark);
    (void)sqlite3_bind_int64(m->look, 4, minutes); /* a failed bind finds none that says the same: it is written once more */
    ask_bind_text(m->look, 5, m->proof_given ? m->proof : NULL);
    if (ask_row(m->r, m->look, "look for a mark")) {
        (void)snprintf(id, sizeof id, "%s", ask_text(m->look, 0));
        wanted = sqlite3_column_int(m->look, 1) != 0;
        (void)snprintf(was, sizeof was, "%s", ask_text(m->look, 2));
        live = sqlite3_column_int64(m->look, 3);
    }
    entry_done(m->look);
    if (m->r->fail == PERCHE_OK && !wanted)
        put_mark(m, enrolment, mark, minutes, id, id);
    if (m->r->fail == PERCHE_OK && live > 1)
        void_others(m, enrolment, id);
    if (wanted && live == 1)
        m->same++;
    else if (live > 0)
        m->corrected++;
    else
        m->marked++;
    write_mark(m, enrolment, name, mark, minutes, was);
    return m->r->fail;
}

#define IN_COHORT "SELECT id FROM enrolment WHERE cohort_id = ?1 AND "
#define HERE "actual_start <= ?2 AND coalesce(actual_end, ?2) >= ?2"

/* The enrolment of the one who is called so and was here that day; else r->fail says why there is none. */
static enum perche_rc find_person(struct marking *m, const char *name, struct called *who)
{
    const struct called_among here = {IN_COHORT HERE, m->cohort, m->day}, ever = {IN_COHORT "?2 IS NOT NULL", m->cohort, m->day};

    if (called_find(m->r, "enrolment(id)", name, &here, who) != PERCHE_OK || (who->count == 1 && !who->more))
        return m->r->fail;
    if (who->count > 1)
        return fail(m->r, PERCHE_USAGE, "%s%u people in this cohort are called \"%s\": give the id of the enrolment: %s; nothing was written", who->more ? "more than " : "", who->count,
                    name, who->ids);
    if (called_find(m->r, "enrolment(id)", name, &ever, who) != PERCHE_OK)
        return m->r->fail;
    return who->count == 0 ? fail(m->r, PERCHE_NOT_FOUND, "nobody in this cohort is called \"%s\"; nothing was written", name)
                           : fail(m->r, PERCHE_STATE, "%s was not here on %s: an enrolment counts from its actual_start to its actual_end; nothing was written", name, m->day);
}

/* The argument "marks" with enrolments for the names: [[enrolment, mark, name], ...]. */
static enum perche_rc read_names(struct marking *m, const char *args, struct json *given)
{
    sqlite3_stmt *s = ask(m->r, "SELECT key, value FROM json_each(?1, '$.marks')");

    ask_bind_text(s, 1, args);
    out_open(given, '[');
    while (ask_row(m->r, s, "read the names")) {
        struct called who;

        if (find_person(m, ask_text(s, 0), &who) != PERCHE_OK)
            break;
        out_open(given, '[');
        out_text(given, who.id);
        out_text(given, ask_text(s, 1));
        out_text(given, ask_text(s, 0));
        out_close(given, ']');
    }
    sqlite3_finalize(s);
    out_close(given, ']');
    if (m->r->fail == PERCHE_OK && given->failed)
        return fail(m->r, PERCHE_NOMEM, "no memory for the names");
    s = m->r->fail == PERCHE_OK ? ask(m->r, "SELECT json_extract(value, '$[2]') FROM json_each(?1) GROUP BY json_extract(value, '$[0]') HAVING count(*) > 1") : NULL;
    ask_bind_text(s, 1, given->p);
    if (ask_row(m->r, s, "look for who is named twice"))
        (void)fail(m->r, PERCHE_USAGE, "%s is named twice; nothing was written", ask_text(s, 0));
    sqlite3_finalize(s);
    return m->r->fail;
}

/* Everybody of the cohort who is enrolled that day: as is said of them, else by "all". */
static enum perche_rc mark_people(struct marking *m, const char *given)
{
    sqlite3_stmt *s = ask(m->r, "WITH given AS MATERIALIZED (SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS mark FROM json_each(?3))"
                                " SELECT e.id, coalesce(n.name, e.name_at_entry, e.id), g.mark FROM enrolment e LEFT JOIN learner_name n ON n.learner_id = e.learner_id"
                                " LEFT JOIN given g ON g.id = e.id WHERE e.cohort_id = ?1 AND e." HERE " ORDER BY 2, 1");
    uint32_t people = 0;

    ask_bind_text(s, 1, m->cohort);
    ask_bind_text(s, 2, m->day);
    ask_bind_text(s, 3, given);
    while (ask_row(m->r, s, "read who is enrolled")) {
        const char *mark = sqlite3_column_type(s, 2) != SQLITE_NULL ? ask_text(s, 2) : m->all;

        people++;
        if (*mark != '\0' && mark_one(m, ask_text(s, 0), ask_text(s, 1), mark) != PERCHE_OK)
            break;
    }
    sqlite3_finalize(s);
    if (m->r->fail == PERCHE_OK && people == 0)
        return fail(m->r, PERCHE_NOT_FOUND, "nobody is enrolled in this cohort on %s: an enrolment counts from its actual_start", m->day);
    return m->r->fail;
}

/* The half-day that is marked. */
static enum perche_rc find_half_day(struct marking *m)
{
    sqlite3_stmt *s = ask(m->r, "SELECT h.id, h.minutes, h.cancelled FROM half_day h WHERE h.cohort_id = ?1 AND h.day = ?2 AND h.half = ?3 ORDER BY h.cancelled, h.id LIMIT 1");

    ask_bind_text(s, 1, m->cohort);
    ask_bind_text(s, 2, m->day);
    ask_bind_text(s, 3, m->half);
    if (!ask_row(m->r, s, "look for a half-day")) {
        if (m->r->fail == PERCHE_OK)
            (void)fail(m->r, PERCHE_NOT_FOUND, "no half-day is planned for this cohort on %s %s: perche add half_day cohort_id=... day=%s half=%s mode=ON_SITE", m->day, m->half, m->day, m->half);
    } else if (sqlite3_column_int(s, 2) != 0) {
        (void)fail(m->r, PERCHE_STATE, "the half-day of %s %s was cancelled", m->day, m->half);
    } else {
        (void)snprintf(m->half_day, sizeof m->half_day, "%s", ask_text(s, 0));
        m->planned = sqlite3_column_int64(s, 1);
    }
    sqlite3_finalize(s);
    return m->r->fail;
}

static enum perche_rc mark_all(struct marking *m, const char *args)
{
    struct json given = {0};

    m->look = ask(m->r, look);
    m->put = ask(m->r, put);
    m->others = ask(m->r, others);
    out_key(m->j, "day");
    out_text(m->j, m->day);
    out_key(m->j, "half");
    out_text(m->j, m->half);
    out_key(m->j, "rows");
    out_open(m->j, '[');
    if (m->r->fail == PERCHE_OK && read_names(m, args, &given) == PERCHE_OK)
        (void)mark_people(m, given.p);
    out_close(m->j, ']');
    out_key(m->j, "marked");
    out_int(m->j, m->marked);
    out_key(m->j, "corrected");
    out_int(m->j, m->corrected);
    out_key(m->j, "same");
    out_int(m->j, m->same);
    sqlite3_finalize(m->look);
    sqlite3_finalize(m->put);
    sqlite3_finalize(m->others);
    out_free(&given);
    return m->r->fail;
}

enum perche_rc command_mark(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct marking m = {.r = r, .j = j};
    struct table *half_days = registry_table(r, "half_day"), *marks = registry_table(r, "attendance");
    struct entry_table e = {0};

    (void)w;
    if (half_days == NULL || marks == NULL)
        return fail(r, PERCHE_STATE, "there is no table %s here", marks == NULL ? "attendance" : "half_day");
    if (entry_open(r, half_days, &e) == PERCHE_OK && entry_open(r, marks, &m.marks) == PERCHE_OK &&
        need_arg(r, a, &e, "cohort", "cohort_id", m.cohort, sizeof m.cohort) && need_arg(r, a, &e, "day", "day", m.day, sizeof m.day) &&
        need_arg(r, a, &e, "half", "half", m.half, sizeof m.half) && args_text(r, a, "all", m.all, sizeof m.all) == PERCHE_OK &&
        read_arg(r, a, &m.marks, "proof", "proof", m.proof, sizeof m.proof) && find_half_day(&m) == PERCHE_OK) {
        m.proof_given = *m.proof != '\0';
        if (!m.proof_given)
            (void)snprintf(m.proof, sizeof m.proof, "TRAINER_ONLY");
        (void)mark_all(&m, a->text);
    }
    entry_close(&e);
    entry_close(&m.marks);
    return r->fail;
}
