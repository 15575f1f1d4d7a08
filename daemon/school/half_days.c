/* `perche plan` and `mark`: the half-days of a cohort, and who was there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perche/day.h"
#include "school/by_hand.h"
#include "school/called.h"
#include "school/duplicates.h"
#include "school/entry.h"

#define PLAN_DAYS_MAX 366    /* that are planned at once */
#define PLAN_ROWS_MAX 4000u  /* half-days of these days: twice as many, and those that two sites have planned */
#define PLAN_MINUTES_MAX 720 /* of a half-day */
#define MINUTES 210          /* as the column's default */

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
            (void)fail(m->r, PERCHE_NOT_FOUND, "no half-day is planned for this cohort on %s %s: perche plan COHORT --from %s --to %s makes those of a day or a week", m->day, m->half, m->day,
                       m->day);
    } else if (sqlite3_column_int(s, 2) != 0) {
        (void)fail(m->r, PERCHE_STATE, "the half-day of %s %s was cancelled: perche plan COHORT --from %s --half %s --restore plans it again", m->day, m->half, m->day, m->half);
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

/* ---- plan --------------------------------------------------------------------------------- */

enum was { WAS_NONE, WAS_PLANNED, WAS_CANCELLED };

struct slot {
    char day[PERCHE_DAY_BYTES], half[8], id[PERCHE_ID_BYTES_MAX], mode[PERCHE_NAME_BYTES_MAX];
    int64_t minutes, marks; /* marks: that count */
    enum was was;
    bool planned; /* now */
};

struct plan {
    struct replica *r;
    char cohort[PERCHE_ID_BYTES_MAX], code[PERCHE_NAME_BYTES_MAX], from[PERCHE_DAY_BYTES], to[PERCHE_DAY_BYTES], half[PERCHE_NAME_BYTES_MAX], mode[PERCHE_NAME_BYTES_MAX];
    char weekdays[8]; /* digits, 0 = Sunday */
    int64_t minutes;
    bool mode_given, minutes_given, cancel, restore;
    struct slot *slots;
    uint32_t count, cap;
    int64_t made, restored, cancelled, same, unlike, marks;
};

/* "mon,tue", "lundi,mardi": as strftime('%w') has them, none twice. */
static enum perche_rc read_weekdays(struct plan *p, char *text)
{
    static const char *const names[][2] = {{"sunday", "dimanche"}, {"monday", "lundi"}, {"tuesday", "mardi"}, {"wednesday", "mercredi"},
                                           {"thursday", "jeudi"}, {"friday", "vendredi"}, {"saturday", "samedi"}};
    char *save = NULL, folded[16];
    size_t n = 0;

    for (char *word = strtok_r(text, ",", &save); word != NULL; word = strtok_r(NULL, ",", &save)) {
        size_t length = duplicates_fold(word, folded, sizeof folded);
        char digit = '\0';

        for (int i = 0; i < 7 && length >= 3; i++)
            if (strncmp(names[i][0], folded, length) == 0 || strncmp(names[i][1], folded, length) == 0)
                digit = (char)('0' + i);
        if (digit == '\0')
            return fail(p->r, PERCHE_USAGE, "\"%.40s\" is no day of the week: mon,tue,wed,thu,fri,sat,sun or lun,mar,mer,jeu,ven,sam,dim", word);
        if (strchr(p->weekdays, digit) == NULL)
            p->weekdays[n++] = digit;
    }
    return PERCHE_OK;
}

/* Is the period one that can be planned? */
static enum perche_rc check_period(struct plan *p)
{
    sqlite3_stmt *s = ask(p->r, "SELECT code, starts_on, ends_on, starts_on <= ?2 AND ends_on >= ?3, julianday(?3) - julianday(?2) + 1 FROM cohort WHERE id = ?1");

    ask_bind_text(s, 1, p->cohort);
    ask_bind_text(s, 2, p->from);
    ask_bind_text(s, 3, p->to);
    if (!ask_row(p->r, s, "read a cohort")) {
        if (p->r->fail == PERCHE_OK)
            (void)fail(p->r, PERCHE_NOT_FOUND, "that cohort is not here");
    } else {
        (void)snprintf(p->code, sizeof p->code, "%s", ask_text(s, 0));
        if (strcmp(p->from, p->to) > 0)
            (void)fail(p->r, PERCHE_USAGE, "%s is after %s", p->from, p->to);
        else if (sqlite3_column_int(s, 4) > PLAN_DAYS_MAX)
            (void)fail(p->r, PERCHE_USAGE, "from %s to %s are %d days: %d are the most at once", p->from, p->to, sqlite3_column_int(s, 4), PLAN_DAYS_MAX);
        else if (!p->cancel && !sqlite3_column_int(s, 3))
            (void)fail(p->r, PERCHE_USAGE, "%s goes from %s to %s: where that is wrong, put it right first: perche set cohort %s starts_on=DAY ends_on=DAY", p->code, ask_text(s, 1),
                       ask_text(s, 2), p->code);
    }
    sqlite3_finalize(s);
    return p->r->fail;
}

static bool add_slot(struct plan *p, sqlite3_stmt *s)
{
    struct slot *slot;

    if (p->count == p->cap) {
        uint32_t cap = p->cap * 2 + 64;
        struct slot *more = realloc(p->slots, cap * sizeof *more);

        if (more == NULL)
            return fail(p->r, PERCHE_NOMEM, "no memory for half-days") == PERCHE_OK;
        p->slots = more;
        p->cap = cap;
    }
    slot = &p->slots[p->count++];
    memset(slot, 0, sizeof *slot);
    (void)snprintf(slot->day, sizeof slot->day, "%s", ask_text(s, 0));
    (void)snprintf(slot->half, sizeof slot->half, "%s", ask_text(s, 1));
    (void)snprintf(slot->id, sizeof slot->id, "%s", ask_text(s, 2));
    (void)snprintf(slot->mode, sizeof slot->mode, "%s", *slot->id != '\0' ? ask_text(s, 3) : p->mode);
    slot->minutes = *slot->id != '\0' ? sqlite3_column_int64(s, 4) : p->minutes;
    slot->was = *slot->id == '\0' ? WAS_NONE : sqlite3_column_int(s, 5) != 0 ? WAS_CANCELLED : WAS_PLANNED;
    slot->planned = slot->was == WAS_PLANNED;
    slot->marks = sqlite3_column_int64(s, 6);
    return true;
}

/* The half-days of the period, with what stands there. All of it before anything is written. */
static enum perche_rc read_slots(struct plan *p)
{
    sqlite3_stmt *s = ask(p->r, "WITH RECURSIVE d(day) AS (SELECT ?2 UNION ALL SELECT date(day, '+1 day') FROM d WHERE day < ?3),"
                                " h(half) AS (VALUES ('AM'), ('PM')),"
                                " marked(id, n) AS MATERIALIZED (SELECT half_day_id, count(*) FROM attendance WHERE half_day_id IN (SELECT id FROM half_day WHERE cohort_id = ?1 AND day BETWEEN ?2 AND ?3)"
                                "  AND void_reason IS NULL AND (id, enrolment_id) NOT IN (SELECT voids, enrolment_id FROM attendance WHERE voids IS NOT NULL) GROUP BY half_day_id)"
                                " SELECT d.day, h.half, x.id, x.mode, x.minutes, x.cancelled, coalesce(m.n, 0) FROM d CROSS JOIN h"
                                " LEFT JOIN half_day x ON x.cohort_id = ?1 AND x.day = d.day AND x.half = h.half LEFT JOIN marked m ON m.id = x.id"
                                " WHERE instr(?4, strftime('%w', d.day)) > 0 AND ?5 IN ('', h.half) ORDER BY 1, 2, 3 LIMIT ?6");

    ask_bind_text(s, 1, p->cohort);
    ask_bind_text(s, 2, p->from);
    ask_bind_text(s, 3, p->to);
    ask_bind_text(s, 4, p->weekdays);
    ask_bind_text(s, 5, p->half);
    if (s != NULL)
        (void)sqlite3_bind_int64(s, 6, PLAN_ROWS_MAX); /* a failed bind: none are left out */
    while (ask_row(p->r, s, "read half-days") && add_slot(p, s))
        ;
    sqlite3_finalize(s);
    return p->r->fail;
}

static void make_slot(struct plan *p, sqlite3_stmt *s, struct slot *slot)
{
    ask_bind_text(s, 1, p->cohort);
    ask_bind_text(s, 2, slot->day);
    ask_bind_text(s, 3, slot->half);
    ask_bind_text(s, 4, slot->mode);
    (void)sqlite3_bind_int64(s, 5, slot->minutes); /* a failed bind shows in the step: NOT NULL */
    if (ask_row(p->r, s, "plan a half-day"))
        (void)snprintf(slot->id, sizeof slot->id, "%s", ask_text(s, 0));
    entry_done(s);
    slot->planned = true;
    p->made++;
}

static void switch_slot(struct plan *p, sqlite3_stmt *s, struct slot *slot, bool planned)
{
    ask_bind_text(s, 1, slot->id);
    (void)sqlite3_bind_int(s, 2, !planned); /* a failed bind shows in the step: NOT NULL */
    (void)ask_row(p->r, s, planned ? "plan a half-day again" : "cancel a half-day"); /* it returns none */
    entry_done(s);
    slot->planned = planned;
    *(planned ? &p->restored : &p->cancelled) += 1;
}

static enum perche_rc write_slots(struct plan *p)
{
    sqlite3_stmt *make = ask(p->r, "INSERT INTO half_day (cohort_id, day, half, mode, minutes) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id"),
                 *set = ask(p->r, "UPDATE half_day SET cancelled = ?2 WHERE id = ?1");

    for (uint32_t i = 0; p->r->fail == PERCHE_OK && i < p->count; i++) {
        struct slot *slot = &p->slots[i];

        if (p->cancel && slot->was == WAS_PLANNED) {
            switch_slot(p, set, slot, false);
            p->marks += slot->marks;
        } else if (!p->cancel && !p->restore && slot->was == WAS_NONE) {
            make_slot(p, make, slot);
        } else if (p->restore && slot->was == WAS_CANCELLED && !(i > 0 && strcmp(slot[-1].day, slot->day) == 0 && strcmp(slot[-1].half, slot->half) == 0 && slot[-1].planned)) {
            switch_slot(p, set, slot, true);
        } else if (slot->was != WAS_NONE) {
            p->same++;
            p->unlike += !p->cancel && ((p->mode_given && strcmp(slot->mode, p->mode) != 0) || (p->minutes_given && slot->minutes != p->minutes));
        }
    }
    sqlite3_finalize(make);
    sqlite3_finalize(set);
    return p->r->fail;
}

static void write_plan(const struct plan *p, struct json *j)
{
    static const char *const were[] = {[WAS_NONE] = NULL, [WAS_PLANNED] = "planned", [WAS_CANCELLED] = "cancelled"};
    const struct {
        const char *name;
        int64_t n;
    } counts[] = {{"planned", p->made}, {"restored", p->restored}, {"cancelled", p->cancelled}, {"same", p->same}, {"unlike", p->unlike}, {"marks", p->marks}};

    out_key(j, "cohort");
    out_text(j, p->code);
    out_key(j, "from");
    out_text(j, p->from);
    out_key(j, "to");
    out_text(j, p->to);
    out_key(j, "rows");
    out_open(j, '[');
    for (uint32_t i = 0; i < p->count; i++) {
        const struct slot *slot = &p->slots[i];

        if (*slot->id == '\0') /* nothing there to be cancelled */
            continue;
        out_open(j, '{');
        out_key(j, "id");
        out_text(j, slot->id);
        out_key(j, "day");
        out_text(j, slot->day);
        out_key(j, "half");
        out_text(j, slot->half);
        out_key(j, "mode");
        out_text(j, slot->mode);
        out_key(j, "minutes");
        out_int(j, slot->minutes);
        out_key(j, "was");
        out_text(j, were[slot->was]);
        out_key(j, "state");
        out_text(j, slot->planned ? "planned" : "cancelled");
        out_key(j, "marks");
        out_int(j, slot->marks);
        out_close(j, '}');
    }
    out_close(j, ']');
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        out_key(j, counts[i].name);
        out_int(j, counts[i].n);
    }
}

static enum perche_rc read_plan(struct plan *p, struct args *a, struct entry_table *e)
{
    struct replica *r = p->r;
    char weekdays[128];

    p->cancel = args_true(r, a, "cancel");
    p->restore = args_true(r, a, "restore");
    p->minutes = args_number(r, a, "minutes", 0);
    if (r->fail != PERCHE_OK || !need_arg(r, a, e, "cohort", "cohort_id", p->cohort, sizeof p->cohort) || !need_arg(r, a, e, "from", "day", p->from, sizeof p->from) ||
        !read_arg(r, a, e, "to", "day", p->to, sizeof p->to) || !read_arg(r, a, e, "half", "half", p->half, sizeof p->half) ||
        !read_arg(r, a, e, "mode", "mode", p->mode, sizeof p->mode) || args_text(r, a, "weekdays", weekdays, sizeof weekdays) != PERCHE_OK || read_weekdays(p, weekdays) != PERCHE_OK)
        return r->fail;
    if (p->minutes < 0 || p->minutes > PLAN_MINUTES_MAX)
        return fail(r, PERCHE_USAGE, "a half-day has 1 to %d minutes, not %lld", PLAN_MINUTES_MAX, (long long)p->minutes);
    if (p->cancel && p->restore)
        return fail(r, PERCHE_USAGE, "cancel or restore, not both");
    p->minutes_given = p->minutes > 0;
    p->mode_given = *p->mode != '\0';
    if (!p->minutes_given)
        p->minutes = MINUTES;
    if (!p->mode_given)
        (void)snprintf(p->mode, sizeof p->mode, "ON_SITE");
    if (*p->to == '\0')
        (void)snprintf(p->to, sizeof p->to, "%s", p->from);
    if (*p->weekdays == '\0') /* nobody plans a Sunday without saying so; what is cancelled is all there is */
        (void)snprintf(p->weekdays, sizeof p->weekdays, "%s", p->cancel || p->restore ? "0123456" : "12345");
    return PERCHE_OK;
}

enum perche_rc command_plan(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct table *half_days = registry_table(r, "half_day");
    struct plan p = {.r = r};
    struct entry_table e = {0};

    (void)w;
    if (half_days == NULL || !half_days->present)
        return fail(r, PERCHE_STATE, "there is no table half_day here");
    if (entry_open(r, half_days, &e) == PERCHE_OK && read_plan(&p, a, &e) == PERCHE_OK && check_period(&p) == PERCHE_OK && read_slots(&p) == PERCHE_OK && write_slots(&p) == PERCHE_OK)
        write_plan(&p, j);
    free(p.slots);
    entry_close(&e);
    return r->fail;
}
