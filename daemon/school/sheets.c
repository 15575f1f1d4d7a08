#include "school/sheets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/apply.h"
#include "replica/ask.h"
#include "replica/statements.h"

#define SHEETS_AT_ONCE 20u /* of one transaction: some milliseconds */
#define SHEETS_ASKED   500u /* that a report makes up for itself: less than the marks would take it */
#define CHANGES_MAX    20000u /* that a report looks through */
#define POSITIONS_AT_ONCE 2000u /* whose changes are listed in one transaction */

/* A half-day of a sheet; a sheet is an array of them, in the order of days. The file is of this machine alone, and so is its byte order. */
struct half_day {
    int32_t day; /* since 1970-01-01 */
    uint8_t half, unmarked, contested, excused;
    uint16_t planned, attended;
};

/* As indicator_half_day has it (093_indicators.sql), of one enrolment and without what lies outside of it. */
static const char one_sheet[] =
    "WITH live(half_day_id, minutes, mark, contested) AS MATERIALIZED ("
    " SELECT half_day_id, min(minutes), CASE WHEN count(DISTINCT mark) = 1 THEN min(mark) END, count(DISTINCT mark || ' ' || minutes) > 1 FROM attendance"
    " WHERE enrolment_id = ?1 AND void_reason IS NULL AND id NOT IN (SELECT voids FROM attendance WHERE enrolment_id = ?1 AND voids IS NOT NULL) GROUP BY half_day_id)"
    " SELECT CAST(julianday(h.day) - 2440587.5 AS INTEGER), h.half <> 'AM', a.half_day_id IS NULL, coalesce(a.contested, 0), a.mark IS 'ABSENT_EXCUSED',"
    " h.minutes, coalesce(a.minutes, 0) FROM enrolment e JOIN half_day h ON h.cohort_id = e.cohort_id AND h.cancelled = 0"
    " LEFT JOIN live a ON a.half_day_id = h.id WHERE e.id = ?1 AND e.actual_start IS NOT NULL AND h.day >= e.actual_start"
    " AND h.day <= coalesce(e.actual_end, '9999-12-31') ORDER BY 1, 2, h.id";

struct sheet {
    struct half_day *days; /* owned */
    uint32_t count, cap;
};

static uint16_t minutes_of(sqlite3_stmt *s, int column)
{
    sqlite3_int64 n = sqlite3_column_int64(s, column);

    return n < 0 ? 0 : n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
}

/* An id as it is written, whatever it is made of: a program may have put any character into it. */
struct whole_id {
    uint32_t n;
    char p[PERCHE_KEY_BYTES_MAX];
};

static void id_take(struct whole_id *id, sqlite3_stmt *s, int column)
{
    const void *text = sqlite3_column_text(s, column);
    int n = sqlite3_column_bytes(s, column);

    id->n = text == NULL ? 0 : (uint32_t)n < sizeof id->p ? (uint32_t)n : (uint32_t)sizeof id->p; /* no key is longer */
    memcpy(id->p, text != NULL ? text : "", id->n);
}

static void id_bind(sqlite3_stmt *s, int i, const struct whole_id *id)
{
    if (s != NULL)
        (void)sqlite3_bind_text(s, i, id->p, (int)id->n, SQLITE_STATIC); /* a copy may fail, and would leave NULL there */
}

static bool id_same(const struct whole_id *a, const struct whole_id *b)
{
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

/* @s: one_sheet, ready. */
static enum perche_rc make_sheet(struct replica *r, sqlite3_stmt *s, const struct whole_id *enrolment, struct sheet *out)
{
    out->count = 0;
    id_bind(s, 1, enrolment);
    while (ask_row(r, s, "add up a sheet")) {
        if (out->count == out->cap) {
            uint32_t cap = out->cap * 2 + 256;
            struct half_day *more = realloc(out->days, cap * sizeof *more);

            if (more == NULL) {
                (void)fail(r, PERCHE_NOMEM, "no memory for a sheet");
                break;
            }
            out->days = more;
            out->cap = cap;
        }
        memset(&out->days[out->count], 0, sizeof out->days[0]);
        out->days[out->count++] = (struct half_day){.day = sqlite3_column_int(s, 0), .half = (uint8_t)sqlite3_column_int(s, 1), .unmarked = (uint8_t)sqlite3_column_int(s, 2),
                                                    .contested = (uint8_t)sqlite3_column_int(s, 3), .excused = (uint8_t)sqlite3_column_int(s, 4),
                                                    .planned = minutes_of(s, 5), .attended = minutes_of(s, 6)};
    }
    (void)sqlite3_reset(s); /* its error was seen by the step */
    return r->fail;
}

/* ---- which are behind ------------------------------------------------------------------ */

/* Rows that were written after ?1, up to ?3, the oldest first: a scope is a name, and its index goes by position. */
static const char changed_since[] =
    "SELECT t.name, r.key, r.lsn FROM perche_name n CROSS JOIN perche_row r ON r.scope = n.num AND r.lsn > ?1 AND r.lsn <= ?3"
    " JOIN perche_tab t ON t.num = r.tab WHERE t.name IN ('attendance', 'half_day', 'enrolment') ORDER BY r.lsn LIMIT ?2";

/* Whose sheets a changed row makes others: its enrolment's, or those of each cohort that it has been of. */
struct behind {
    struct replica *r;
    struct table *t;
    sqlite3_stmt *one, *cohort; /* list an enrolment's sheet; a cohort's */
    const char *column;         /* that says it; NULL: the row's own key does */
    uint16_t num;
    uint32_t listed;
    char last[PERCHE_ID_BYTES_MAX]; /* cohort that was listed */
    bool is_cohort;             /* that column's, and former values count: what was planned for one cohort was moved to another */
};

static void list_value(struct behind *b, const struct perche_value *v)
{
    sqlite3_stmt *s = b->is_cohort ? b->cohort : b->one;

    if (v->type != PERCHE_TEXT || (b->is_cohort && v->n == strlen(b->last) && memcmp(v->p, b->last, v->n) == 0))
        return; /* the half-days of a cohort come one after the other, and its enrolments are listed once */
    if (b->is_cohort)
        (void)snprintf(b->last, sizeof b->last, "%.*s", (int)v->n, (const char *)v->p);
    bind_value(s, 1, v);
    if (sql_run(b->r, s, "list what is behind") == PERCHE_OK)
        b->listed += (uint32_t)sqlite3_changes(b->r->db);
}

static bool list_former(void *ctx, const struct perche_batch *batch, const struct perche_part *part, const struct perche_row *row, uint64_t block, uint64_t at_ms, uint32_t via)
{
    struct behind *b = ctx;

    (void)batch, (void)block, (void)at_ms, (void)via;
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct perche_cell *cell = &part->cells[row->cells_first + i];

        if (strcmp(part->columns[cell->col], b->column) == 0)
            list_value(b, &cell->value);
    }
    return b->r->fail == PERCHE_OK;
}

static enum perche_rc list_row(struct behind *b, struct perche_bytes key)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1], keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    struct meta *m;
    uint32_t n = 0;

    if (b->column == NULL) {
        if (perche_key_decode(key, keys, &n, scratch) == PERCHE_OK && n == 1)
            list_value(b, &keys[0]);
        return b->r->fail;
    }
    m = malloc(sizeof *m);
    if (m == NULL)
        return fail(b->r, PERCHE_NOMEM, "no memory for a sheet");
    if (meta_load(b->r, b->t, key, m) == PERCHE_OK) {
        if (row_values(b->r, m, values) == PERCHE_OK) /* of one that is deleted, too: its scope is made of it, and that is kept */
            list_value(b, &values[b->num]);
        if (b->is_cohort && b->r->fail == PERCHE_OK)
            (void)history_walk(b->r, m, list_former, b);
        meta_clear(m);
    }
    free(m);
    return b->r->fail;
}

/* Of which table, and by which of its columns (NULL: its key). */
static bool aim(struct behind *b, const char *table)
{
    const struct column *c;

    b->is_cohort = strcmp(table, "half_day") == 0;
    b->column = b->is_cohort ? "cohort_id" : strcmp(table, "attendance") == 0 ? "enrolment_id" : NULL;
    b->t = registry_table(b->r, table);
    c = b->t != NULL && b->column != NULL ? table_column(b->t, b->column) : NULL;
    b->num = c != NULL ? c->num : 0;
    return b->t != NULL && (b->column == NULL || c != NULL);
}

/* Lists the enrolments of the changes in ]@after, @up_to] in @into, until @most of them are listed or @changes seen. False: there are more, or r->fail. */
static bool list_changes(struct replica *r, const char *into, uint64_t after, uint64_t up_to, uint32_t changes, uint32_t most)
{
    struct behind b = {.r = r};
    char *one = sqlite3_mprintf("INSERT OR IGNORE INTO %s VALUES (?1)", into), *cohort = sqlite3_mprintf("INSERT OR IGNORE INTO %s SELECT id FROM enrolment WHERE cohort_id = ?1", into);
    sqlite3_stmt *s = NULL;
    uint32_t n = 0;

    if (one == NULL || cohort == NULL) {
        (void)fail(r, PERCHE_NOMEM, "no memory for a statement");
    } else {
        s = ask(r, changed_since);
        b.one = ask(r, one);
        b.cohort = ask(r, cohort);
    }
    if (s != NULL) {
        (void)sqlite3_bind_int64(s, 1, (sqlite3_int64)after); /* a failed bind finds nothing, and all is asked again */
        (void)sqlite3_bind_int64(s, 2, changes);
        (void)sqlite3_bind_int64(s, 3, (sqlite3_int64)up_to);
    }
    while (b.cohort != NULL && b.one != NULL && b.listed < most && ask_row(r, s, "look for sheets that are behind")) {
        n++;
        if (aim(&b, ask_text(s, 0)) && list_row(&b, (struct perche_bytes){sqlite3_column_blob(s, 1), (uint32_t)sqlite3_column_bytes(s, 1)}) != PERCHE_OK)
            break;
    }
    sqlite3_finalize(s);
    sqlite3_finalize(b.one);
    sqlite3_finalize(b.cohort);
    sqlite3_free(one);
    sqlite3_free(cohort);
    return r->fail == PERCHE_OK && n < changes && b.listed < most;
}

/* ---- keeping them ------------------------------------------------------------------------- */

static enum perche_rc keep_one(struct replica *r, sqlite3_stmt *make, sqlite3_stmt *put, const struct whole_id *enrolment, struct sheet *sheet)
{
    if (make_sheet(r, make, enrolment, sheet) != PERCHE_OK)
        return r->fail;
    id_bind(put, 1, enrolment);
    (void)sqlite3_bind_blob(put, 2, sheet->count > 0 ? (const void *)sheet->days : "", (int)(sheet->count * sizeof sheet->days[0]), SQLITE_STATIC); /* a failed bind shows: NOT NULL */
    return sql_run(r, put, "keep a sheet");
}

/* @filled: up to that enrolment; NULL: all of them. */
static enum perche_rc set_at(struct replica *r, uint64_t lsn, const struct whole_id *filled)
{
    sqlite3_stmt *s = ask(r, "UPDATE perche_sheet_at SET lsn = ?1, filled = ?2");

    if (s != NULL)
        (void)sqlite3_bind_int64(s, 1, (sqlite3_int64)lsn); /* a failed bind shows: NOT NULL */
    if (filled != NULL)
        id_bind(s, 2, filled);
    return ask_run(r, s, "note how far the sheets are");
}

/* Where the sheets are; the first time they are begun. */
static enum perche_rc sheets_at(struct replica *r, uint64_t *lsn, bool *filling, struct whole_id *at)
{
    sqlite3_stmt *s;

    if (ask_number(r, "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'perche_sheet_at') AND ?1 IS NOT NULL", 0, NULL) == 0 &&
        exec(r, "CREATE TABLE IF NOT EXISTS perche_sheet (enrolment_id TEXT NOT NULL PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;"
                "CREATE TABLE IF NOT EXISTS perche_sheet_behind (enrolment_id TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;"
                "CREATE TABLE perche_sheet_at (lsn INTEGER NOT NULL, filled TEXT) STRICT; DELETE FROM perche_sheet; DELETE FROM perche_sheet_behind;"
                "INSERT INTO perche_sheet_at SELECT lsn, '' FROM perche_node") != PERCHE_OK)
        return r->fail;
    s = ask(r, "SELECT lsn, filled IS NOT NULL, coalesce(filled, '') FROM perche_sheet_at");
    if (ask_row(r, s, "read how far the sheets are")) {
        *lsn = (uint64_t)sqlite3_column_int64(s, 0);
        *filling = sqlite3_column_int(s, 1) != 0;
        id_take(at, s, 2);
    }
    sqlite3_finalize(s);
    return r->fail;
}

#define ANY_BEHIND "SELECT EXISTS (SELECT 1 FROM perche_sheet_behind) AND ?1 IS NOT NULL"

/* What has changed since is listed, a stretch of positions at a time, and the list then made, some sheets at a time. */
static enum perche_rc catch_up(struct replica *r, uint64_t lsn, bool *more)
{
    uint64_t up_to = lsn + POSITIONS_AT_ONCE < r->node.lsn ? lsn + POSITIONS_AT_ONCE : r->node.lsn;

    if (up_to <= lsn)
        return PERCHE_OK;
    if (ask_number(r, ANY_BEHIND, 0, NULL) != 0) {
        *more = true;
        return r->fail;
    }
    *more |= up_to < r->node.lsn;
    (void)list_changes(r, "perche_sheet_behind", lsn, up_to, UINT32_MAX, UINT32_MAX);
    return r->fail == PERCHE_OK ? set_at(r, up_to, NULL) : r->fail;
}

enum perche_rc sheets_keep(struct replica *r, bool *more)
{
    sqlite3_stmt *s, *make = NULL, *put = NULL, *done = NULL;
    struct sheet sheet = {0};
    struct whole_id at = {.n = 0};
    uint64_t lsn = 0;
    uint32_t n = 0;
    bool filling = false;

    if (sheets_at(r, &lsn, &filling, &at) != PERCHE_OK || (!filling && catch_up(r, lsn, more) != PERCHE_OK))
        return r->fail;
    make = ask(r, one_sheet);
    put = ask(r, "INSERT INTO perche_sheet (enrolment_id, body) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body");
    done = ask(r, "DELETE FROM perche_sheet_behind WHERE enrolment_id = ?1");
    s = ask(r, filling ? "SELECT id FROM enrolment WHERE id > ?1 ORDER BY id LIMIT 1" : "SELECT enrolment_id FROM perche_sheet_behind WHERE ?1 = ?1 ORDER BY 1 LIMIT 1");
    while (make != NULL && put != NULL && done != NULL && n < SHEETS_AT_ONCE) {
        bool found;

        id_bind(s, 1, &at);
        found = ask_row(r, s, "look for sheets");
        if (found)
            id_take(&at, s, 0);
        if (s != NULL)
            (void)sqlite3_reset(s); /* its error was seen by the step */
        if (!found)
            break;
        n++;
        id_bind(done, 1, &at);
        if (keep_one(r, make, put, &at, &sheet) != PERCHE_OK || (!filling && sql_run(r, done, "note a sheet") != PERCHE_OK))
            break;
    }
    sqlite3_finalize(s);
    sqlite3_finalize(make);
    sqlite3_finalize(put);
    sqlite3_finalize(done);
    free(sheet.days);
    if (r->fail == PERCHE_OK && filling)
        (void)set_at(r, lsn, n == SHEETS_AT_ONCE ? &at : NULL);
    *more |= n == SHEETS_AT_ONCE;
    return r->fail;
}

/* ---- reading them --------------------------------------------------------------------------- */

struct summing {
    struct replica *r;
    int32_t from, to;
    char by;
    sqlite3_stmt *put, *get, *make, *behind;
};

struct one {
    struct whole_id enrolment, site, cohort;
    struct sheet sheet;
    struct sums {
        int64_t gross_n, gross_d, net_n, net_d, unmarked, contested;
    } here, again; /* again: of that, what counts in another group as well */
};

static enum perche_rc read_sheet(struct summing *m, struct one *o)
{
    bool is_behind;

    id_bind(m->behind, 1, &o->enrolment);
    is_behind = ask_row(m->r, m->behind, "look for a sheet that is behind");
    (void)sqlite3_reset(m->behind); /* its error was seen by the step */
    if (m->r->fail != PERCHE_OK || is_behind)
        return m->r->fail != PERCHE_OK ? m->r->fail : make_sheet(m->r, m->make, &o->enrolment, &o->sheet);
    id_bind(m->get, 1, &o->enrolment);
    o->sheet.count = 0;
    if (ask_row(m->r, m->get, "read a sheet")) {
        uint32_t n = (uint32_t)sqlite3_column_bytes(m->get, 0) / (uint32_t)sizeof(struct half_day);

        if (n > o->sheet.cap) {
            struct half_day *more = realloc(o->sheet.days, n * sizeof *more);

            if (more == NULL) {
                (void)sqlite3_reset(m->get);
                return fail(m->r, PERCHE_NOMEM, "no memory for a sheet");
            }
            o->sheet.days = more;
            o->sheet.cap = n;
        }
        if (n > 0)
            memcpy(o->sheet.days, sqlite3_column_blob(m->get, 0), n * sizeof(struct half_day));
        o->sheet.count = n;
    }
    (void)sqlite3_reset(m->get); /* its error was seen by the step */
    return m->r->fail;
}

static void count_half_day(struct sums *o, const struct half_day *h)
{
    o->gross_n += h->attended;
    o->gross_d += h->planned;
    o->net_n += h->excused ? 0 : h->attended;
    o->net_d += h->excused ? 0 : h->planned;
    o->unmarked += h->unmarked;
    o->contested += h->contested;
}

/* The first half-day of a sheet that is not before @h. */
static uint32_t first_at(const struct sheet *sheet, const struct half_day *h)
{
    uint32_t from = 0, to = sheet->count;

    while (from < to) {
        uint32_t middle = (from + to) / 2;
        const struct half_day *m = &sheet->days[middle];

        if (m->day < h->day || (m->day == h->day && m->half < h->half))
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool one_group(const struct one *a, const struct one *b, char by)
{
    return by == '\0' || id_same(by == 's' ? &a->site : &a->cohort, by == 's' ? &b->site : &b->cohort);
}

/* Is the half-day @i of @all[own] the one that counts, of all that the person has at that time in that group? As the view has it: by planned, attended,
 * then the ids of enrolment and half-day, in whose order both arrays are. */
static bool counts(const struct one *all, uint32_t count, uint32_t own, uint32_t i, char by)
{
    const struct half_day *h = &all[own].sheet.days[i];

    for (uint32_t k = 0; k < count; k++)
        for (uint32_t j = one_group(&all[k], &all[own], by) ? first_at(&all[k].sheet, h) : UINT32_MAX; j < all[k].sheet.count; j++) {
            const struct half_day *other = &all[k].sheet.days[j];

            if (other->day != h->day || other->half != h->half)
                break;
            if (k == own && j == i)
                continue;
            if (other->planned != h->planned ? other->planned > h->planned
                : other->attended != h->attended ? other->attended > h->attended
                                                 : k < own || (k == own && j < i))
                return false;
        }
    return true;
}

static void bind_sum(sqlite3_stmt *s, int i, int64_t n)
{
    (void)sqlite3_bind_int64(s, i, n); /* a failed bind shows in the step: NOT NULL */
}

/* The enrolments of one person. */
static enum perche_rc add_person(struct summing *m, struct one *all, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        struct one *o = &all[k];

        memset(&o->here, 0, sizeof o->here);
        memset(&o->again, 0, sizeof o->again);
        for (uint32_t i = 0; i < o->sheet.count; i++) {
            const struct half_day *h = &o->sheet.days[i];

            if (h->day < m->from || h->day > m->to || !counts(all, count, k, i, m->by))
                continue;
            count_half_day(&o->here, h);
            if (m->by != '\0' && !counts(all, count, k, i, '\0'))
                count_half_day(&o->again, h);
        }
        if (o->here.gross_d == 0 && o->here.unmarked == 0)
            continue;
        id_bind(m->put, 1, &o->enrolment);
        id_bind(m->put, 2, &o->site);
        id_bind(m->put, 3, &o->cohort);
        bind_sum(m->put, 4, o->here.gross_n);
        bind_sum(m->put, 5, o->here.gross_d);
        bind_sum(m->put, 6, o->here.net_n);
        bind_sum(m->put, 7, o->here.net_d);
        bind_sum(m->put, 8, o->here.unmarked);
        bind_sum(m->put, 9, o->here.contested);
        bind_sum(m->put, 10, o->again.gross_n);
        bind_sum(m->put, 11, o->again.gross_d);
        bind_sum(m->put, 12, o->again.net_n);
        bind_sum(m->put, 13, o->again.net_d);
        if (sql_run(m->r, m->put, "add up attendance") != PERCHE_OK)
            break;
    }
    return m->r->fail;
}

#define ENROLMENTS_MAX 32u /* of one person */

static enum perche_rc sum_all(struct summing *m, const char *site, const char *cohort)
{
    struct one *all = calloc(ENROLMENTS_MAX, sizeof *all);
    sqlite3_stmt *s = ask(m->r, "SELECT e.id, e.site_id, e.cohort_id, coalesce(l.person_id, e.learner_id) FROM enrolment e LEFT JOIN learner_person l ON l.learner_id = e.learner_id"
                                " LEFT JOIN enrolment_status_now n ON n.enrolment_id = e.id WHERE e.actual_start IS NOT NULL AND n.status IS NOT 'NEVER_STARTED'"
                                " AND (?1 = '' OR e.site_id = ?1) AND (?2 = '' OR e.cohort_id = ?2) ORDER BY 4, 1");
    struct whole_id person = {.n = 0}, next;
    uint32_t n = 0;

    ask_bind_text(s, 1, site);
    ask_bind_text(s, 2, cohort);
    if (all == NULL)
        (void)fail(m->r, PERCHE_NOMEM, "no memory to add attendance up");
    while (m->r->fail == PERCHE_OK && ask_row(m->r, s, "read the enrolments")) {
        id_take(&next, s, 3);
        if (n > 0 && (!id_same(&person, &next) || n == ENROLMENTS_MAX)) {
            if (add_person(m, all, n) != PERCHE_OK)
                break;
            n = 0;
        }
        person = next;
        id_take(&all[n].enrolment, s, 0);
        id_take(&all[n].site, s, 1);
        id_take(&all[n].cohort, s, 2);
        if (read_sheet(m, &all[n++]) != PERCHE_OK)
            break;
    }
    if (m->r->fail == PERCHE_OK && n > 0)
        (void)add_person(m, all, n);
    sqlite3_finalize(s);
    for (uint32_t i = 0; all != NULL && i < ENROLMENTS_MAX; i++)
        free(all[i].sheet.days);
    free(all);
    return m->r->fail;
}

static int32_t day_number(struct replica *r, const char *day)
{
    return (int32_t)ask_number(r, "SELECT CAST(julianday(?2) - 2440587.5 AS INTEGER) WHERE ?1 = ?1", 0, day);
}

static bool sum(struct replica *r, const char *from, const char *to, char by, const char *site, const char *cohort)
{
    struct summing m = {.r = r, .by = by, .from = day_number(r, from), .to = day_number(r, to)};
    uint64_t lsn;

    if (!r->hub || ask_number(r, "SELECT count(*) FROM sqlite_schema WHERE name = 'perche_sheet_at' AND ?1 IS NOT NULL", 0, NULL) == 0 ||
        ask_number(r, "SELECT filled IS NOT NULL FROM perche_sheet_at WHERE ?1 IS NOT NULL", 0, NULL) != 0)
        return false;
    if (ask_number(r, "SELECT EXISTS (SELECT 1 FROM perche_capture c JOIN perche_tab t ON t.num = c.tab WHERE t.name IN ('attendance', 'half_day', 'enrolment')) AND ?1 IS NOT NULL",
                   0, NULL) != 0) /* written here and not harvested: the views see it */
        return false;
    lsn = (uint64_t)ask_number(r, "SELECT lsn FROM perche_sheet_at WHERE ?1 IS NOT NULL", 0, NULL);
    if (exec(r, "CREATE TEMP TABLE IF NOT EXISTS school_behind (id TEXT PRIMARY KEY) WITHOUT ROWID; DELETE FROM temp.school_behind;"
                "INSERT INTO temp.school_behind SELECT enrolment_id FROM perche_sheet_behind") != PERCHE_OK ||
        ask_number(r, "SELECT count(*) FROM temp.school_behind WHERE ?1 IS NOT NULL", 0, NULL) > SHEETS_ASKED ||
        !list_changes(r, "temp.school_behind", lsn, INT64_MAX, CHANGES_MAX, SHEETS_ASKED))
        return false;
    if (exec(r, "CREATE TEMP TABLE IF NOT EXISTS school_attendance (enrolment_id TEXT NOT NULL, site_id TEXT NOT NULL, cohort_id TEXT NOT NULL, gross_n INTEGER NOT NULL,"
                " gross_d INTEGER NOT NULL, net_n INTEGER NOT NULL, net_d INTEGER NOT NULL, unmarked INTEGER NOT NULL, contested INTEGER NOT NULL, gross_n_again INTEGER NOT NULL,"
                " gross_d_again INTEGER NOT NULL, net_n_again INTEGER NOT NULL, net_d_again INTEGER NOT NULL);"
                "DELETE FROM temp.school_attendance") != PERCHE_OK)
        return false;
    m.put = ask(r, "INSERT INTO temp.school_attendance VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)");
    m.get = ask(r, "SELECT body FROM perche_sheet WHERE enrolment_id = ?1");
    m.make = ask(r, one_sheet);
    m.behind = ask(r, "SELECT 1 FROM temp.school_behind WHERE id = ?1");
    if (r->fail == PERCHE_OK)
        (void)sum_all(&m, site, cohort);
    sqlite3_finalize(m.put);
    sqlite3_finalize(m.get);
    sqlite3_finalize(m.make);
    sqlite3_finalize(m.behind);
    return r->fail == PERCHE_OK;
}

bool sheets_sum(struct replica *r, const char *from, const char *to, char by, const char *site, const char *cohort)
{
    bool said;

    if (r->reader && exec(r, "PRAGMA query_only = OFF") != PERCHE_OK) /* of the file it is a reader all the same: TEMP tables alone are written */
        return false;
    said = sum(r, from, to, by, site, cohort);
    if (r->reader)
        (void)sqlite3_exec(r->db, "PRAGMA query_only = ON", NULL, NULL, NULL); /* its next transaction begins as a reader's in any case */
    return said;
}
