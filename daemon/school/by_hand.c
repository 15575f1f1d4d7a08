/* `perche add`, `set`, `void` and `mark`: one record by hand, or the marks of one half-day. */
#include "school/by_hand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/pack.h"
#include "replica/query.h"
#include "school/entry.h"
#include "school/school.h"

#define VOID_REASON_MAX 500u

static enum perche_rc faulty(struct replica *r, const struct entry_fault *fault)
{
    if (r->fail != PERCHE_OK)
        return r->fail;
    return *fault->column != '\0' && strstr(fault->why, fault->column) == NULL ? fail(r, PERCHE_USAGE, "%s: %s", fault->column, fault->why) : fail(r, PERCHE_USAGE, "%s", fault->why);
}

char *school_reader(struct replica *r, struct table *t, const char *column, const char *text)
{
    struct entry_fault fault = {"", ""};
    struct entry_value value = {0};
    struct entry_table e = {0};
    char *read = NULL, number[32];
    int c;

    if (entry_open(r, t, &e) == PERCHE_OK && (c = entry_column(&e, column, &fault)) >= 0) {
        if (!entry_read(r, &e, (uint32_t)c, text, &value, &fault))
            (void)faulty(r, &fault);
        if (value.kind == 'r')
            (void)snprintf(number, sizeof number, "%.17g", value.r);
        else
            (void)snprintf(number, sizeof number, "%lld", (long long)value.i);
        if (r->fail == PERCHE_OK && value.kind != 'n' && (read = strdup(value.kind == 't' ? value.text : number)) == NULL)
            (void)fail(r, PERCHE_NOMEM, "no memory for a value");
    }
    free(value.text);
    entry_close(&e);
    return read;
}

/* The members of the argument "values", as text. */
static bool take_values(struct replica *r, struct args *a, struct entry_table *e, struct entry_value *values, struct entry_fault *fault)
{
    sqlite3_stmt *s = ask(r, "SELECT key, iif(type = 'true', '1', iif(type = 'false', '0', value)) FROM json_each(?1, '$.values')");
    bool ok = true;

    ask_bind_text(s, 1, a->text);
    while (ok && ask_row(r, s, "read the values")) {
        int column = entry_column(e, ask_text(s, 0), fault);

        ok = column >= 0 && entry_read(r, e, (uint32_t)column, ask_text(s, 1), &values[column], fault);
    }
    sqlite3_finalize(s);
    return ok && r->fail == PERCHE_OK && entry_lawful(r, e, values, fault);
}

/* The row as `perche show` has it, harvested, so that it says when and where. @key: a JSON array. */
static enum perche_rc write_back(struct replica *r, const struct table *t, const char *key, struct json *j)
{
    char *text = sqlite3_mprintf("{\"table\":\"%w\",\"id\":%s}", t->name, key); /* a table's name has no control characters */
    struct args show = {0};

    if (text == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a record");
    if (harvest_all(r) == PERCHE_OK && args_parse(r, text, &show) == PERCHE_OK)
        (void)query_show(r, &show, j);
    args_free(&show);
    sqlite3_free(text);
    return r->fail;
}

enum perche_rc command_add(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct table *t = ask_table(r, a);
    struct entry_fault fault = {"", ""};
    struct entry_table e = {0};
    struct entry_value *values = NULL;
    char *key = NULL;

    (void)w;
    if (t == NULL || entry_open(r, t, &e) != PERCHE_OK)
        return r->fail;
    values = calloc(e.count, sizeof *values);
    if (values == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a record");
    else if (!take_values(r, a, &e, values, &fault) || !entry_complete(r, &e, values, &fault) || !entry_plausible(&e, values, NULL, &fault) ||
             !entry_insert(r, &e, values, &key, &fault))
        (void)faulty(r, &fault);
    else
        (void)write_back(r, t, key, j);
    sqlite3_free(key);
    entry_values_free(values, e.count);
    entry_close(&e);
    return r->fail;
}

/* The key that "id" names, into the values of the key's columns. */
static bool take_key(struct replica *r, struct args *a, const struct entry_table *e, struct entry_value *values, char **json)
{
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    struct perche_value keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    uint32_t key_n, n = 0;

    if (harvest_all(r) != PERCHE_OK || ask_key(r, a, "id", e->t, key, &key_n) != PERCHE_OK || (*json = ask_key_json(r, (struct perche_bytes){key, key_n})) == NULL)
        return false;
    if (perche_key_decode((struct perche_bytes){key, key_n}, keys, &n, scratch) != PERCHE_OK)
        return false;
    for (uint32_t i = 0; i < e->count && i < n; i++) { /* the key's columns come first */
        values[i].given = true;
        values[i].kind = keys[i].type == PERCHE_INTEGER ? 'i' : 't';
        values[i].i = keys[i].i;
        free(values[i].text);
        values[i].text = keys[i].type == PERCHE_TEXT ? strndup((const char *)keys[i].p, keys[i].n) : NULL;
        if (keys[i].type == PERCHE_TEXT && values[i].text == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for a key") == PERCHE_OK;
    }
    return true;
}

static bool put_text(struct replica *r, const struct entry_table *e, struct entry_value *values, const char *column, const char *text)
{
    struct entry_fault fault = {"", ""};
    int i = entry_column(e, column, &fault);

    if (i < 0 || values[i].given)
        return true;
    values[i] = (struct entry_value){.given = true, .kind = 't', .text = strdup(text)};
    return values[i].text != NULL || fail(r, PERCHE_NOMEM, "no memory for a value") == PERCHE_OK;
}

/* A decision that a person changes is that person's: the hub makes only its own anew (decision_own). */
static bool sign_decision(struct replica *r, const struct entry_table *e, struct entry_value *values)
{
    struct entry_fault fault = {"", ""};
    int i;

    if (strcmp(e->t->name, "outcome_decision") != 0 || (i = entry_column(e, "situation", &fault)) < 0 || !values[i].given)
        return true;
    return put_text(r, e, values, "rule", "MANUAL") && put_text(r, e, values, "decided_by", r->node.site) && put_text(r, e, values, "decided_at", e->now);
}

static bool still_plausible(struct replica *r, struct entry_table *e, const struct entry_value *values, struct entry_fault *fault)
{
    sqlite3_stmt *s = entry_present(r, e, values);
    bool yes = ask_row(r, s, "read a record") && entry_plausible(e, values, s, fault);

    entry_done(s);
    return yes;
}

enum perche_rc command_set(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct table *t = ask_table(r, a);
    struct entry_fault fault = {"", ""};
    struct entry_table e = {0};
    struct entry_value *values = NULL;
    char *key = NULL;
    bool ok = true;

    (void)w;
    if (t == NULL || entry_open(r, t, &e) != PERCHE_OK)
        return r->fail;
    if (e.append) {
        entry_close(&e);
        return fail(r, PERCHE_USAGE, "a row of %s is never changed: add the right one, with the id of this one as voids; or take it back with perche void", t->name);
    }
    values = calloc(e.count, sizeof *values);
    if (values == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a record");
    ok = values != NULL && take_values(r, a, &e, values, &fault);
    for (uint32_t i = 0; ok && i < e.count; i++)
        if (e.columns[i].is_key && values[i].given) {
            (void)snprintf(fault.column, sizeof fault.column, "%s", e.columns[i].name);
            (void)snprintf(fault.why, sizeof fault.why, "a key is never changed: delete the row and add another");
            ok = false;
        }
    ok = ok && sign_decision(r, &e, values);
    if (!ok)
        (void)faulty(r, &fault);
    else if (take_key(r, a, &e, values, &key) && !entry_exists(r, &e, values) && r->fail == PERCHE_OK)
        (void)fail(r, PERCHE_NOT_FOUND, "there is no such row in %s (any more)", t->name);
    else if (r->fail == PERCHE_OK && (!still_plausible(r, &e, values, &fault) || !entry_update(r, &e, values, &fault)))
        (void)faulty(r, &fault);
    else if (r->fail == PERCHE_OK)
        (void)write_back(r, t, key, j);
    free(key);
    entry_values_free(values, e.count);
    entry_close(&e);
    return r->fail;
}

/* ---- void --------------------------------------------------------------------------- */

static bool has_column(const struct entry_table *e, const char *name)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (strcmp(e->columns[i].name, name) == 0)
            return true;
    return false;
}

/* Does the row with the key of @values still say something? Else r->fail says since when it does not. */
static bool still_counts(struct replica *r, const struct entry_table *e, const struct entry_value *values)
{
    char *text = sqlite3_mprintf("SELECT t.void_reason, v.\"%w\", v.void_reason FROM \"%w\" t LEFT JOIN \"%w\" v ON v.voids = t.\"%w\" WHERE t.\"%w\" = ?1 ORDER BY 2 LIMIT 1",
                                 e->columns[0].name, e->t->name, e->t->name, e->columns[0].name, e->columns[0].name);
    sqlite3_stmt *s = text != NULL ? ask(r, text) : NULL;

    if (text == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a statement");
    ask_bind_text(s, 1, values[0].text);
    if (!ask_row(r, s, "look for what takes a row back") && r->fail == PERCHE_OK)
        (void)fail(r, PERCHE_NOT_FOUND, "there is no such row in %s (any more)", e->t->name);
    else if (r->fail == PERCHE_OK && sqlite3_column_type(s, 0) != SQLITE_NULL)
        (void)fail(r, PERCHE_STATE, "that row itself takes another one back (\"%s\"): add the right row instead", ask_text(s, 0));
    else if (r->fail == PERCHE_OK && sqlite3_column_type(s, 1) != SQLITE_NULL)
        (void)fail(r, PERCHE_STATE, sqlite3_column_type(s, 2) != SQLITE_NULL ? "that row is taken back already, by %s (\"%s\")" : "that row is corrected already, by %s%s",
                   ask_text(s, 1), ask_text(s, 2));
    sqlite3_finalize(s);
    sqlite3_free(text);
    return r->fail == PERCHE_OK;
}

enum perche_rc command_void(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct table *t = ask_table(r, a);
    struct entry_fault fault = {"", ""};
    struct entry_table e = {0};
    struct entry_value *values = NULL;
    char *key = NULL, *made = NULL, reason[VOID_REASON_MAX];

    (void)w;
    if (t == NULL || args_need(r, a, "reason", reason, sizeof reason) != PERCHE_OK || entry_open(r, t, &e) != PERCHE_OK)
        return r->fail;
    if (!has_column(&e, "voids") || !has_column(&e, "void_reason") || !e.key_minted || e.columns[1].is_key)
        (void)fail(r, PERCHE_USAGE, "a row of %s is never taken back: %s", t->name, e.append ? "it stays" : "put it right with perche set");
    else if ((values = calloc(e.count, sizeof *values)) == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a record");
    else if (take_key(r, a, &e, values, &key) && still_counts(r, &e, values)) {
        if (!entry_void(r, &e, values, reason, &made, &fault))
            (void)faulty(r, &fault);
        else
            (void)write_back(r, t, made, j);
    }
    free(key);
    sqlite3_free(made);
    entry_values_free(values, e.count);
    entry_close(&e);
    return r->fail;
}

/* ---- mark --------------------------------------------------------------------------- */

struct marking {
    struct replica *r;
    struct json *j;
    struct entry_table marks; /* attendance */
    char half_day[PERCHE_ID_BYTES_MAX], cohort[PERCHE_ID_BYTES_MAX], day[16], all[PERCHE_NAME_BYTES_MAX], proof[PERCHE_NAME_BYTES_MAX];
    bool proof_given;
    int64_t planned, marked, corrected, same;
    sqlite3_stmt *find, *put;
};

/* What @text is in a column of @e, by its code list; "" and r->fail when it is nothing. */
static void read_word(struct replica *r, struct entry_table *e, const char *column, const char *text, char out[PERCHE_NAME_BYTES_MAX])
{
    struct entry_fault fault = {"", ""};
    struct entry_value value = {0};
    int i = entry_column(e, column, &fault);

    *out = '\0';
    if (i < 0 || !entry_read(r, e, (uint32_t)i, text, &value, &fault))
        (void)(r->fail == PERCHE_OK ? fail(r, PERCHE_USAGE, "%s: %s", column, fault.why) : r->fail);
    else if (value.kind == 't')
        (void)snprintf(out, PERCHE_NAME_BYTES_MAX, "%s", value.text);
    free(value.text);
}

/* @text: "PRESENT", or "LATE:180" with its minutes. */
static enum perche_rc mark_one(struct marking *m, const char *enrolment, const char *name, const char *text)
{
    char word[PERCHE_NAME_BYTES_MAX], mark[PERCHE_NAME_BYTES_MAX], was[PERCHE_NAME_BYTES_MAX] = "", voids[PERCHE_ID_BYTES_MAX] = "";
    const char *colon = strchr(text, ':');
    int64_t minutes, before = -1;
    bool proven = true;

    (void)snprintf(word, sizeof word, "%.*s", (int)(colon != NULL ? colon - text : (long)strlen(text)), text);
    read_word(m->r, &m->marks, "mark", word, mark);
    if (m->r->fail != PERCHE_OK)
        return m->r->fail;
    minutes = mark_is_absent(mark) ? 0 : m->planned;
    if (colon != NULL && (colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 6 || (minutes = atoll(colon + 1)) > m->planned))
        return fail(m->r, PERCHE_USAGE, "%s: after the colon stand minutes, of which this half-day has %lld", text, (long long)m->planned);
    if (mark_is_absent(mark) != (minutes == 0))
        return fail(m->r, PERCHE_USAGE, "%s: %s", text, minutes == 0 ? "who was there for none of the minutes is ABSENT" : "who was absent has no minutes; who came late is LATE:MINUTES");
    ask_bind_text(m->find, 1, m->half_day);
    ask_bind_text(m->find, 2, enrolment);
    if (ask_row(m->r, m->find, "look for a mark")) {
        (void)snprintf(voids, sizeof voids, "%s", ask_text(m->find, 0));
        (void)snprintf(was, sizeof was, "%s", ask_text(m->find, 1));
        before = sqlite3_column_int64(m->find, 2);
        proven = !m->proof_given || strcmp(ask_text(m->find, 3), m->proof) == 0;
    }
    (void)sqlite3_reset(m->find); /* its error was seen by the step */
    if (m->r->fail != PERCHE_OK)
        return m->r->fail;
    if (strcmp(was, mark) == 0 && before == minutes && proven) {
        m->same++;
    } else {
        ask_bind_text(m->put, 1, m->half_day);
        ask_bind_text(m->put, 2, enrolment);
        ask_bind_text(m->put, 3, mark);
        (void)sqlite3_bind_int64(m->put, 4, minutes); /* a failed bind shows in the step: NOT NULL */
        ask_bind_text(m->put, 5, m->proof);
        (void)sqlite3_bind_int64(m->put, 6, (sqlite3_int64)m->r->now_ms);
        ask_bind_text(m->put, 7, m->r->node.site);
        if (*voids != '\0')
            ask_bind_text(m->put, 8, voids);
        else
            (void)sqlite3_bind_null(m->put, 8);
        (void)ask_row(m->r, m->put, "write a mark");
        (void)sqlite3_reset(m->put); /* its error was seen by the step */
        *voids != '\0' ? m->corrected++ : m->marked++;
    }
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
    return m->r->fail;
}

/* Who is enrolled in the cohort, on the day ("here") or not, with what "marks" says of them; a name that people share is nobody's. */
static const char people_of_cohort[] =
    "WITH people AS MATERIALIZED (SELECT e.id, e.learner_id, coalesce(n.name, e.name_at_entry, e.id) AS name, n.short_name, e.name_at_entry,"
    "  rtrim(substr(l.given_names, 1, instr(l.given_names || ' ', ' ') - 1), ',') || ' ' || l.birth_family_name AS civil_name,"
    "  coalesce(e.actual_start <= ?3 AND coalesce(e.actual_end, ?3) >= ?3, 0) AS here"
    "  FROM enrolment e LEFT JOIN learner_name n ON n.learner_id = e.learner_id LEFT JOIN learner l ON l.id = e.learner_id WHERE e.cohort_id = ?2),"
    " given AS MATERIALIZED (SELECT g.key AS called, g.value AS mark, p.id, p.here FROM json_each(?1, '$.marks') g LEFT JOIN people p"
    "  ON g.key IN (p.id, p.learner_id) OR (length(g.key) >= 8 AND substr(p.id, 1, length(g.key)) = g.key) OR g.key = p.civil_name COLLATE NOCASE OR g.key = p.name COLLATE NOCASE OR g.key = p.short_name COLLATE NOCASE OR g.key = p.name_at_entry COLLATE NOCASE)";

/* A name in "marks" that is nobody's, or more than one's, or of somebody who is not here that day. */
static enum perche_rc names_stand(struct marking *m, struct args *a)
{
    char *text = sqlite3_mprintf("%s SELECT called, count(id), coalesce(sum(here), 0) AS now FROM given g GROUP BY called"
                                 " HAVING now <> 1 OR 1 < (SELECT count(*) FROM given o WHERE o.id IN (SELECT id FROM given i WHERE i.called = g.called AND i.here)) LIMIT 1",
                                 people_of_cohort);
    sqlite3_stmt *s = text != NULL ? ask(m->r, text) : NULL;

    if (text == NULL)
        (void)fail(m->r, PERCHE_NOMEM, "no memory for a statement");
    ask_bind_text(s, 1, a->text);
    ask_bind_text(s, 2, m->cohort);
    ask_bind_text(s, 3, m->day);
    if (ask_row(m->r, s, "look for names that nobody has")) {
        const char *called = ask_text(s, 0);

        if (sqlite3_column_int(s, 1) == 0)
            (void)fail(m->r, PERCHE_NOT_FOUND, "nobody in this cohort is called \"%s\"; nothing was written", called);
        else if (sqlite3_column_int(s, 2) == 0)
            (void)fail(m->r, PERCHE_STATE, "%s was not here on %s: an enrolment counts from its actual_start to its actual_end; nothing was written", called, m->day);
        else if (sqlite3_column_int(s, 2) > 1)
            (void)fail(m->r, PERCHE_USAGE, "%d people in this cohort are called \"%s\": give the id of the enrolment, from perche show enrolment; nothing was written",
                       sqlite3_column_int(s, 2), called);
        else
            (void)fail(m->r, PERCHE_USAGE, "%s is named twice; nothing was written", called);
    }
    sqlite3_finalize(s);
    sqlite3_free(text);
    return m->r->fail;
}

/* Everybody of the cohort who is enrolled that day: by the name that is given in "marks", else by "all". */
static enum perche_rc mark_all(struct marking *m, struct args *a)
{
    char *text = sqlite3_mprintf("%s SELECT p.id, p.name, g.mark FROM people p LEFT JOIN given g ON g.id = p.id WHERE p.here ORDER BY 2, 1", people_of_cohort);
    sqlite3_stmt *s = NULL;
    uint32_t people = 0;

    if (text == NULL)
        (void)fail(m->r, PERCHE_NOMEM, "no memory for a statement");
    else if (names_stand(m, a) == PERCHE_OK)
        s = ask(m->r, text);
    ask_bind_text(s, 1, a->text);
    ask_bind_text(s, 2, m->cohort);
    ask_bind_text(s, 3, m->day);
    while (ask_row(m->r, s, "read who is enrolled")) {
        const char *mark = sqlite3_column_type(s, 2) != SQLITE_NULL ? ask_text(s, 2) : m->all;

        people++;
        if (*mark != '\0' && mark_one(m, ask_text(s, 0), ask_text(s, 1), mark) != PERCHE_OK)
            break;
    }
    sqlite3_finalize(s);
    sqlite3_free(text);
    if (m->r->fail == PERCHE_OK && people == 0)
        return fail(m->r, PERCHE_NOT_FOUND, "nobody is enrolled in this cohort on %s: an enrolment counts from its actual_start", m->day);
    return m->r->fail;
}

enum perche_rc command_mark(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct marking m = {.r = r, .j = j};
    struct table *half_days = registry_table(r, "half_day"), *marks = registry_table(r, "attendance");
    struct entry_fault fault = {"", ""};
    struct entry_table e = {0};
    struct entry_value cohort = {0}, day = {0};
    char text[PERCHE_NAME_BYTES_MAX], half[PERCHE_NAME_BYTES_MAX];
    sqlite3_stmt *s = NULL;
    int column;

    (void)w;
    if (half_days == NULL || marks == NULL)
        return fail(r, PERCHE_STATE, "there is no table %s here", marks == NULL ? "attendance" : "half_day");
    if (entry_open(r, half_days, &e) == PERCHE_OK)
        (void)entry_open(r, marks, &m.marks);
    if (r->fail == PERCHE_OK && args_need(r, a, "cohort", text, sizeof text) == PERCHE_OK && (column = entry_column(&e, "cohort_id", &fault)) >= 0 &&
        !entry_read(r, &e, (uint32_t)column, text, &cohort, &fault))
        (void)faulty(r, &fault);
    if (r->fail == PERCHE_OK && args_need(r, a, "day", text, sizeof text) == PERCHE_OK && (column = entry_column(&e, "day", &fault)) >= 0 &&
        !entry_read(r, &e, (uint32_t)column, text, &day, &fault))
        (void)faulty(r, &fault);
    if (r->fail == PERCHE_OK && args_need(r, a, "half", text, sizeof text) == PERCHE_OK)
        read_word(r, &e, "half", text, half);
    if (r->fail == PERCHE_OK && args_text(r, a, "all", m.all, sizeof m.all) == PERCHE_OK && args_text(r, a, "proof", text, sizeof text) == PERCHE_OK && *text != '\0') {
        m.proof_given = true;
        read_word(r, &m.marks, "proof", text, m.proof);
    }
    if (r->fail == PERCHE_OK) {
        (void)snprintf(m.cohort, sizeof m.cohort, "%s", cohort.text != NULL ? cohort.text : "");
        (void)snprintf(m.day, sizeof m.day, "%s", day.text != NULL ? day.text : "");
        if (*m.proof == '\0')
            (void)snprintf(m.proof, sizeof m.proof, "TRAINER_ONLY");
        s = ask(r, "SELECT id, minutes, cancelled FROM half_day WHERE cohort_id = ?1 AND day = ?2 AND half = ?3 ORDER BY cancelled, id LIMIT 1");
        ask_bind_text(s, 1, m.cohort);
        ask_bind_text(s, 2, m.day);
        ask_bind_text(s, 3, half);
        if (!ask_row(r, s, "look for a half-day")) {
            if (r->fail == PERCHE_OK)
                (void)fail(r, PERCHE_NOT_FOUND, "no half-day is planned for this cohort on %s %s: perche add half_day cohort_id=... day=%s half=%s mode=ON_SITE", m.day, half, m.day, half);
        } else if (sqlite3_column_int(s, 2) != 0) {
            (void)fail(r, PERCHE_STATE, "the half-day of %s %s was cancelled", m.day, half);
        } else {
            (void)snprintf(m.half_day, sizeof m.half_day, "%s", ask_text(s, 0));
            m.planned = sqlite3_column_int64(s, 1);
        }
        sqlite3_finalize(s);
    }
    if (r->fail == PERCHE_OK) {
        m.find = ask(r, "SELECT id, mark, minutes, proof FROM attendance WHERE half_day_id = ?1 AND enrolment_id = ?2 AND void_reason IS NULL AND id NOT IN"
                        " (SELECT voids FROM attendance WHERE enrolment_id = ?2 AND voids IS NOT NULL) ORDER BY recorded_at DESC, id DESC LIMIT 1");
        m.put = ask(r, "INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site, voids)"
                       " VALUES (?1, ?2, ?3, ?4, ?5, strftime('%Y-%m-%dT%H:%M:%SZ', ?6 / 1000, 'unixepoch'), ?7, ?8)");
        out_key(j, "day");
        out_text(j, m.day);
        out_key(j, "half");
        out_text(j, half);
        out_key(j, "rows");
        out_open(j, '[');
        if (r->fail == PERCHE_OK)
            (void)mark_all(&m, a);
        out_close(j, ']');
        out_key(j, "marked");
        out_int(j, m.marked);
        out_key(j, "corrected");
        out_int(j, m.corrected);
        out_key(j, "same");
        out_int(j, m.same);
    }
    sqlite3_finalize(m.find);
    sqlite3_finalize(m.put);
    free(cohort.text);
    free(day.text);
    entry_close(&e);
    entry_close(&m.marks);
    return r->fail;
}
