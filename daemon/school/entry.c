#include "school/entry.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "replica/ask.h"
#include "replica/tx.h"
#include "school/duplicates.h"

#define ENTRY_PREFIX_MIN 8u /* characters of an id that stand for all of it */

static bool fault_is(struct entry_fault *fault, const char *column, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static bool fault_is(struct entry_fault *fault, const char *column, const char *fmt, ...)
{
    va_list ap;

    (void)snprintf(fault->column, sizeof fault->column, "%s", column);
    va_start(ap, fmt);
    (void)vsnprintf(fault->why, sizeof fault->why, fmt, ap); /* cut short it still says what */
    va_end(ap);
    return false;
}

/* ---- the table ------------------------------------------------------------------ */

static bool ends(const char *name, const char *with)
{
    size_t n = strlen(name), k = strlen(with);

    return n >= k && strcmp(name + n - k, with) == 0;
}

/* A column of text is a day or an instant by its name: SQLite has no type for them, nor has the registry. */
static enum entry_kind kind_of(const char *name, const char *type, const char *made)
{
    static const char *const days[] = {"day", "as_of", "until", "on_date", "planned_start", "planned_end", "actual_start", "actual_end", "valid_from", "valid_to",
                                       "expires_on"};
    char check[PERCHE_NAME_BYTES_MAX + 32];

    if (strcasecmp(type, "INTEGER") == 0) {
        (void)snprintf(check, sizeof check, "CHECK (%s IN (0,1))", name);
        return strstr(made, check) != NULL ? ENTRY_YES_NO : ENTRY_INTEGER;
    }
    if (strcasecmp(type, "REAL") == 0)
        return ENTRY_REAL;
    for (size_t i = 0; i < sizeof days / sizeof *days; i++)
        if (strcmp(days[i], name) == 0)
            return ENTRY_DAY;
    if (ends(name, "_on") || ends(name, "_date"))
        return ENTRY_DAY;
    return strcmp(name, "at") == 0 || ends(name, "_at") ? ENTRY_INSTANT : ENTRY_TEXT;
}

static char *copied(struct replica *r, sqlite3_stmt *s, int column)
{
    char *copy;

    if (sqlite3_column_type(s, column) == SQLITE_NULL)
        return NULL;
    copy = strdup(ask_text(s, column));
    if (copy == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a table's columns");
    return copy;
}

static enum perche_rc take_time(struct replica *r, struct entry_table *e)
{
    sqlite3_stmt *s = ask(r, "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', ?1 / 1000, 'unixepoch')");

    if (s != NULL)
        (void)sqlite3_bind_int64(s, 1, (sqlite3_int64)r->now_ms); /* a failed bind gives no time, and no column takes none */
    if (ask_row(r, s, "tell the time"))
        (void)snprintf(e->now, sizeof e->now, "%s", ask_text(s, 0));
    sqlite3_finalize(s);
    return r->fail;
}

enum perche_rc entry_open(struct replica *r, struct table *t, struct entry_table *e)
{
    sqlite3_stmt *s = ask(r, "SELECT x.name, x.type, x.\"notnull\", x.dflt_value IS NOT NULL, x.pk, p.code_list, p.refers, p.policy = 'hub', m.sql"
                             " FROM pragma_table_info(?1) x JOIN perche_column p ON p.tab = ?1 AND p.col = x.name JOIN sqlite_schema m ON m.type = 'table' AND m.name = ?1"
                             " ORDER BY x.pk = 0, x.pk, x.cid");

    memset(e, 0, sizeof *e);
    if (take_time(r, e) != PERCHE_OK) {
        sqlite3_finalize(s);
        return r->fail;
    }
    e->t = t;
    e->append = t->policy == POLICY_APPEND;
    e->columns = calloc(PERCHE_KEY_COLUMNS_MAX + PERCHE_COLUMNS_MAX, sizeof *e->columns);
    if (e->columns == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a table's columns");
    ask_bind_text(s, 1, t->name);
    while (r->fail == PERCHE_OK && e->count < PERCHE_KEY_COLUMNS_MAX + PERCHE_COLUMNS_MAX && ask_row(r, s, "read a table's columns")) {
        struct entry_column *c = &e->columns[e->count++];

        (void)snprintf(c->name, sizeof c->name, "%s", ask_text(s, 0));
        c->kind = sqlite3_column_type(s, 5) != SQLITE_NULL ? ENTRY_TEXT : kind_of(c->name, ask_text(s, 1), ask_text(s, 8)); /* a code is no day, whatever its name */
        c->notnull = sqlite3_column_int(s, 2) != 0;
        c->has_default = sqlite3_column_int(s, 3) != 0;
        c->is_key = sqlite3_column_int(s, 4) > 0;
        c->code_list = copied(r, s, 5);
        c->refers = copied(r, s, 6);
        c->hub_alone = sqlite3_column_int(s, 7) != 0;
        c->own_site = c->notnull && (strcmp(c->name, "site_id") == 0 || strcmp(c->name, "home_site_id") == 0 || strcmp(c->name, "recorded_site") == 0);
        c->now = c->notnull && !c->is_key && (strcmp(c->name, "recorded_at") == 0 || strcmp(c->name, "decided_at") == 0 || strcmp(c->name, "at") == 0);
        e->key_minted |= c->is_key && c->has_default;
        if (!c->is_key) {
            const struct column *known = table_column(t, c->name);

            c->num = known != NULL ? known->num : 0;
            c->review = known != NULL && known->policy == POLICY_REVIEW;
        }
    }
    sqlite3_finalize(s);
    return r->fail;
}

void entry_close(struct entry_table *e)
{
    for (uint32_t i = 0; i < ENTRY_KEPT; i++) {
        sqlite3_finalize(e->kept[i].s);
        sqlite3_free(e->kept[i].text);
    }
    for (uint32_t i = 0; e->columns != NULL && i < e->count; i++) {
        free(e->columns[i].code_list);
        free(e->columns[i].refers);
    }
    free(e->columns);
    memset(e, 0, sizeof *e);
}

int entry_column(const struct entry_table *e, const char *name, struct entry_fault *fault)
{
    char names[ENTRY_WHY_MAX - 100] = "";
    size_t n = 0;

    for (uint32_t i = 0; i < e->count; i++)
        if (strcasecmp(e->columns[i].name, name) == 0)
            return (int)i;
    for (uint32_t i = 0; i < e->count && n < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i > 0 ? ", " : "", e->columns[i].name);
    (void)fault_is(fault, name, "%s has no such column; it has %s", e->t->name, names);
    return -1;
}

void entry_values_free(struct entry_value *values, uint32_t count)
{
    for (uint32_t i = 0; values != NULL && i < count; i++)
        free(values[i].text);
    free(values);
}

/* ---- one value ---------------------------------------------------------------------- */

static bool set_text(struct replica *r, struct entry_value *out, const char *text)
{
    free(out->text);
    out->text = strdup(text);
    out->kind = 't';
    return out->text != NULL || fail(r, PERCHE_NOMEM, "no memory for a value") == PERCHE_OK;
}

static bool is_day(int y, int m, int d)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

    return y >= 1000 && y <= 9999 && m >= 1 && m <= 12 && d >= 1 && d <= days[m - 1] + (m == 2 && leap);
}

/* 2016-04-13, 13/04/2016, 13.4.2016. Returns the bytes that it took, 0 = no day. */
static int day_of(const char *text, char out[11])
{
    int a, b, c, n = 0, y, m, d;
    char whole[40];

    if (sscanf(text, "%4d-%2d-%2d%n", &a, &b, &c, &n) == 3 && n == 10)
        y = a, m = b, d = c;
    else if (n = 0, (sscanf(text, "%2d/%2d/%4d%n", &a, &b, &c, &n) == 3 || sscanf(text, "%2d.%2d.%4d%n", &a, &b, &c, &n) == 3) && n > 0)
        y = c, m = b, d = a;
    else
        return 0;
    if (!is_day(y, m, d) || !isdigit((unsigned char)text[0]))
        return 0;
    (void)snprintf(whole, sizeof whole, "%04d-%02d-%02d", y, m, d);
    memcpy(out, whole, 10);
    out[10] = '\0';
    return n;
}

static bool read_day(struct replica *r, const char *column, const char *text, struct entry_value *out, struct entry_fault *fault)
{
    char day[11];
    int n = day_of(text, day);

    if (n == 0 || text[n] != '\0')
        return fault_is(fault, column, "\"%.60s\" is no day: write 2016-04-13 or 13/04/2016", text);
    return set_text(r, out, day);
}

static bool read_instant(struct replica *r, const char *column, const char *text, struct entry_value *out, struct entry_fault *fault)
{
    char day[11], instant[32];
    int n = day_of(text, day), h = 0, m = 0, s = 0, used = 0;

    if (n > 0 && text[n] == '\0')
        used = n;
    else if (n > 0 && (text[n] == 'T' || text[n] == ' ') && sscanf(text + n + 1, "%2d:%2d:%2d%n", &h, &m, &s, &used) == 3)
        used += n + 1;
    else if (n > 0 && (text[n] == 'T' || text[n] == ' ') && (s = 0, sscanf(text + n + 1, "%2d:%2d%n", &h, &m, &used)) == 2)
        used += n + 1;
    if (used > 0 && text[used] == 'Z')
        used++;
    if (n == 0 || used == 0 || text[used] != '\0' || h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 59)
        return fault_is(fault, column, "\"%.60s\" is no instant: write 2016-04-13T16:00:00Z, in UTC", text);
    (void)snprintf(instant, sizeof instant, "%sT%02d:%02d:%02dZ", day, h, m, s);
    return set_text(r, out, instant);
}

static bool read_yes_no(const char *column, const char *text, struct entry_value *out, struct entry_fault *fault)
{
    static const char *const yes[] = {"1", "yes", "oui", "true", "vrai", "x"}, *const no[] = {"0", "no", "non", "false", "faux"};

    out->kind = 'i';
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        if (strcasecmp(text, yes[i]) == 0)
            return out->i = 1, true;
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        if (strcasecmp(text, no[i]) == 0)
            return out->i = 0, true;
    return fault_is(fault, column, "\"%.60s\" is neither yes nor no: write 1 or 0", text);
}

/* "25000", "-3", "6 200" with spaces, also those that do not break. */
static bool read_integer(const char *column, const char *text, struct entry_value *out, struct entry_fault *fault)
{
    char digits[32], *end;
    size_t n = 0;

    for (const char *p = text; *p != '\0' && n < sizeof digits - 1; p++) {
        if (*p == ' ' || ((unsigned char)p[0] == 0xC2 && (unsigned char)p[1] == 0xA0)) {
            p += *p != ' ';
        } else if ((unsigned char)p[0] == 0xE2 && (unsigned char)p[1] == 0x80 && (unsigned char)p[2] == 0xAF) {
            p += 2;
        } else {
            digits[n++] = *p;
        }
    }
    digits[n] = '\0';
    errno = 0;
    out->kind = 'i';
    out->i = strtoll(digits, &end, 10);
    if (n == 0 || *end != '\0' || errno != 0)
        return fault_is(fault, column, "\"%.60s\" is no whole number%s", text, ends(column, "_cents") ? ": write cents, 25000 for 250,00 euros" : "");
    return true;
}

static bool read_real(const char *column, const char *text, struct entry_value *out, struct entry_fault *fault)
{
    char number[64], *end;

    (void)snprintf(number, sizeof number, "%.63s", text);
    if (strchr(number, ',') != NULL && strchr(number, '.') == NULL)
        *strchr(number, ',') = '.';
    out->kind = 'r';
    out->r = strtod(number, &end);
    return (end != number && *end == '\0') || fault_is(fault, column, "\"%.60s\" is no number", text);
}

/* A code, or the label of one. A list of which nothing is loaded is not judged. */
static bool read_code(struct replica *r, struct entry_table *e, const struct entry_column *c, const char *text, struct entry_value *out, struct entry_fault *fault)
{
    sqlite3_stmt *s = entry_statement(r, e, sqlite3_mprintf("SELECT code, code = ?2 FROM code_list WHERE list = ?1 AND (code = ?2 COLLATE NOCASE OR label_fr = ?2 COLLATE NOCASE"
                                                            " OR label_en = ?2 COLLATE NOCASE) ORDER BY 2 DESC LIMIT 1"));
    char code[PERCHE_NAME_BYTES_MAX] = "", all[ENTRY_WHY_MAX - 120] = "";
    size_t n = 0;
    bool any = false;

    ask_bind_text(s, 1, c->code_list);
    ask_bind_text(s, 2, text);
    if (ask_row(r, s, "look a code up"))
        (void)snprintf(code, sizeof code, "%s", ask_text(s, 0));
    entry_done(s);
    if (*code != '\0' || r->fail != PERCHE_OK)
        return r->fail == PERCHE_OK && set_text(r, out, code);
    s = ask(r, "SELECT code FROM code_list WHERE list = ?1 ORDER BY code");
    ask_bind_text(s, 1, c->code_list);
    while (ask_row(r, s, "read a code list")) {
        any = true;
        if (n < sizeof all)
            n += (size_t)snprintf(all + n, sizeof all - n, "%s%s", n > 0 ? ", " : "", ask_text(s, 0));
    }
    sqlite3_finalize(s);
    if (r->fail != PERCHE_OK)
        return false;
    if (!any)
        return set_text(r, out, text);
    return fault_is(fault, c->name, "\"%.60s\" is not in the list %s: %s", text, c->code_list, all);
}

/* What people call a row instead of its id, by the table that a column refers to: queries of id and called. A learner is found by the civil
 * name, too, which another one's call name may hide. */
#define LEARNER_NAMES \
    "SELECT learner_id AS id, name AS called FROM learner_name UNION ALL SELECT learner_id, short_name FROM learner_name" \
    " UNION ALL SELECT id, given_names || ' ' || birth_family_name FROM learner UNION ALL SELECT id, call_name || ' ' || birth_family_name FROM learner" \
    " UNION ALL SELECT id, rtrim(substr(given_names, 1, instr(given_names || ' ', ' ') - 1), ',') || ' ' || birth_family_name FROM learner" \
    " UNION ALL SELECT id, rtrim(substr(given_names, 1, instr(given_names || ' ', ' ') - 1), ',') || ' ' || use_family_name FROM learner"
static const struct {
    const char *refers, *query;
} names[] = {
    {"network(id)", "SELECT id, name AS called FROM network"},
    {"site(id)", "SELECT id, code AS called FROM site UNION ALL SELECT id, name FROM site"},
    {"organisation(id)", "SELECT id, name AS called FROM organisation UNION ALL SELECT id, siret FROM organisation"},
    {"training(id)", "SELECT id, title AS called FROM training"},
    {"cohort(id)", "SELECT id, code AS called FROM cohort"},
    {"learner(id)", LEARNER_NAMES},
    {"enrolment(id)", "SELECT e.id AS id, n.called FROM enrolment e JOIN (" LEARNER_NAMES ") n ON n.id = e.learner_id WHERE e.actual_end IS NULL"},
    {"housing_unit(id)", "SELECT id, label AS called FROM housing_unit"},
    {"project(id)", "SELECT id, title AS called FROM project"},
    {"event(id)", "SELECT id, title AS called FROM event"},
    {"venture(id)", "SELECT id, name AS called FROM venture"},
    {"staff_account(id)", "SELECT id, display_name AS called FROM staff_account"},
};

bool entry_is_uuid(const char *text)
{
    uint8_t bytes[16];
    char small[40];
    size_t n = strlen(text);

    if (n != 36)
        return false;
    for (size_t i = 0; i <= n; i++)
        small[i] = (char)tolower((unsigned char)text[i]);
    return perche_uuid_parse((const uint8_t *)small, 36, bytes);
}

static bool set_id(struct replica *r, struct entry_value *out, const char *text)
{
    if (!set_text(r, out, text))
        return false;
    for (char *p = out->text; entry_is_uuid(text) && *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    return true;
}

/* Of a row that need not be here: who asks for a learner, or refers one, names rows of another school. */
static bool leads_out(const struct table *t)
{
    return strcmp(t->name, "transfer") == 0 || strcmp(t->name, "referral") == 0;
}

/* Is a row of @table there whose @column is @text, or its beginning, if it is an id's and no other's? Its value into *found. -1: several are. */
static int look_up(struct replica *r, struct entry_table *e, const char *table, const char *column, const char *text, char found[PERCHE_ID_BYTES_MAX])
{
    sqlite3_stmt *s = entry_statement(r, e, sqlite3_mprintf("SELECT \"%w\" FROM \"%w\" WHERE \"%w\" = ?1 UNION SELECT * FROM (SELECT \"%w\" FROM \"%w\" WHERE length(?1) BETWEEN %u AND 35"
                                  " AND ?1 NOT GLOB '*[^-0-9a-f]*' AND \"%w\" BETWEEN ?1 AND ?1 || 'g' LIMIT 2)",
                                  column, table, column, column, table, ENTRY_PREFIX_MIN, column));
    int n = 0;

    ask_bind_text(s, 1, text);
    while (ask_row(r, s, "look for a row")) {
        n++;
        (void)snprintf(found, PERCHE_ID_BYTES_MAX, "%s", ask_text(s, 0));
    }
    entry_done(s);
    return n > 1 ? -1 : n;
}

static bool is_empty(struct replica *r, const char *table)
{
    char *query = sqlite3_mprintf("SELECT NOT EXISTS (SELECT 1 FROM \"%w\") AND ?1 IS NOT NULL", table);
    bool empty = query != NULL && ask_number(r, query, 0, NULL) != 0;

    if (query == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a statement");
    sqlite3_free(query);
    return empty;
}

#define DIGITS "0123456789"
#define CANDIDATES 3 /* that an ambiguous name is told with */

/* The id of the one row that is called so; 0: none is. More than one is a fault, and so -1. */
static int by_name(struct replica *r, const char *column, const char *table, const char *query, const char *text, char found[PERCHE_ID_BYTES_MAX], struct entry_fault *fault)
{
    char folded[ENTRY_TEXT_MAX + 1], other[ENTRY_TEXT_MAX + 1], ids[CANDIDATES * (PERCHE_ID_BYTES_MAX + 2)] = "";
    sqlite3_stmt *s = ask(r, query);
    size_t length = 0;
    int n = 0;

    (void)duplicates_fold(strpbrk(text, DIGITS) == NULL ? text : "", folded, sizeof folded); /* P1 is not P2 */
    *found = '\0';
    while (ask_row(r, s, "look a name up")) {
        const char *id = ask_text(s, 0);

        if (strcasecmp(ask_text(s, 1), text) != 0) {
            (void)duplicates_fold(strpbrk(ask_text(s, 1), DIGITS) == NULL ? ask_text(s, 1) : "", other, sizeof other);
            if (*other == '\0' || strcmp(other, folded) != 0)
                continue;
        }
        if (strstr(ids, id) != NULL)
            continue;
        n++;
        (void)snprintf(found, PERCHE_ID_BYTES_MAX, "%s", id);
        if (n <= CANDIDATES)
            length += (size_t)snprintf(ids + length, sizeof ids - length, "%s%s", length > 0 ? ", " : "", id);
    }
    sqlite3_finalize(s);
    if (n > 1)
        (void)fault_is(fault, column, "%d rows of %s are called \"%.60s\": give the id of one: %s%s", n, table, text, ids, n > CANDIDATES ? ", ..." : "");
    return n > 1 ? -1 : n;
}

/* An id, the beginning of one, or a name. Its row has to be here, unless the table's rows lead out of what this site has. */
static bool read_reference(struct replica *r, struct entry_table *e, struct entry_column *c, const char *text, struct entry_value *out, struct entry_fault *fault)
{
    char table[PERCHE_NAME_BYTES_MAX], column[PERCHE_NAME_BYTES_MAX] = "", found[PERCHE_ID_BYTES_MAX] = "";
    const char *open = strchr(c->refers, '(');
    struct table *t;
    int n;

    (void)snprintf(table, sizeof table, "%.*s", (int)strcspn(c->refers, "("), c->refers);
    if (open != NULL)
        (void)snprintf(column, sizeof column, "%.*s", (int)strcspn(open + 1, ")"), open + 1);
    t = registry_table(r, table);
    if (t == NULL || !t->present || *column == '\0' || (entry_is_uuid(text) && leads_out(e->t)))
        return set_id(r, out, text);
    n = entry_is_uuid(text) ? set_id(r, out, text) && r->fail == PERCHE_OK ? look_up(r, e, table, column, out->text, found) : 0 : look_up(r, e, table, column, text, found);
    for (size_t i = 0; n == 0 && !entry_is_uuid(text) && r->fail == PERCHE_OK && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].refers, c->refers) == 0 && (n = by_name(r, c->name, table, names[i].query, text, found, fault)) < 0)
            return false;
    if (r->fail != PERCHE_OK)
        return false;
    if (n == 1)
        return set_id(r, out, found);
    if (n < 0)
        return fault_is(fault, c->name, "several rows of %s begin with \"%.60s\": give more of the id", table, text);
    if (is_empty(r, table)) /* nothing is loaded to judge it by */
        return r->fail == PERCHE_OK && set_id(r, out, text);
    return fault_is(fault, c->name, entry_is_uuid(text) ? "no row of %s has the id %.60s here: write that row first" : "no row of %s is called \"%.60s\" here: give its id, or write that row first",
                    table, text);
}

static bool remember(struct entry_column *c, const char *said, const struct entry_value *meant)
{
    bool fits = meant->kind == 't' && strlen(said) < sizeof c->said && strlen(meant->text) < sizeof c->meant;

    (void)snprintf(c->said, sizeof c->said, "%s", fits ? said : "");
    (void)snprintf(c->meant, sizeof c->meant, "%s", fits ? meant->text : "");
    return true;
}

bool entry_read(struct replica *r, struct entry_table *e, uint32_t column, const char *text, struct entry_value *out, struct entry_fault *fault)
{
    struct entry_column *c = &e->columns[column];

    out->given = true;
    if (strlen(text) > ENTRY_TEXT_MAX)
        return fault_is(fault, c->name, "the value has %zu bytes; %u are the most", strlen(text), ENTRY_TEXT_MAX);
    if (*text == '\0') { /* NULL, or as if it were left out */
        out->kind = 'n';
        if (c->notnull && !c->has_default && !c->now && !(c->own_site && !r->hub))
            return fault_is(fault, c->name, "%s must have a value", c->name);
        out->given = !c->notnull && !(c->hub_alone && !r->hub);
        return true;
    }
    switch (c->kind) {
    case ENTRY_DAY: return read_day(r, c->name, text, out, fault);
    case ENTRY_INSTANT: return read_instant(r, c->name, text, out, fault);
    case ENTRY_YES_NO: return read_yes_no(c->name, text, out, fault);
    case ENTRY_INTEGER: return read_integer(c->name, text, out, fault);
    case ENTRY_REAL: return read_real(c->name, text, out, fault);
    default: break;
    }
    if ((c->code_list != NULL || c->refers != NULL) && *c->said != '\0' && strcmp(c->said, text) == 0)
        return set_text(r, out, c->meant);
    if (c->code_list != NULL)
        return read_code(r, e, c, text, out, fault) && remember(c, text, out);
    if (c->refers != NULL)
        return read_reference(r, e, c, text, out, fault) && remember(c, text, out);
    if (c->is_key && entry_is_uuid(text)) { /* the same in capitals would be another key */
        if (!set_text(r, out, text))
            return false;
        for (char *p = out->text; *p != '\0'; p++)
            *p = (char)tolower((unsigned char)*p);
        return true;
    }
    return set_text(r, out, text);
}

/* ---- a row ------------------------------------------------------------------------------- */

bool entry_lawful(struct replica *r, struct entry_table *e, const struct entry_value *values, struct entry_fault *fault)
{
    for (uint32_t i = 0; !r->hub && i < e->count; i++)
        if (values[i].given && e->columns[i].hub_alone && (e->t->policy == POLICY_HUB || !e->columns[i].is_key))
            return fault_is(fault, e->columns[i].name, "only the hub writes %s.%s", e->t->name, e->columns[i].name);
    return true;
}

/* The text or the number that a column will have; NULL: it has none, or there is no such column. *given: it is among the values. */
static const char *coming(const struct entry_table *e, const struct entry_value *values, sqlite3_stmt *there, const char *name, int64_t *number, bool *given)
{
    for (uint32_t i = 0; i < e->count; i++) {
        const struct entry_value *v = &values[i];

        if (strcmp(e->columns[i].name, name) != 0)
            continue;
        *given |= v->given;
        if (v->given && (v->kind == 'n' || v->kind == 'r'))
            return NULL;
        if (v->given) {
            *number = v->i;
            return v->kind == 't' ? v->text : "";
        }
        if (there == NULL || sqlite3_column_type(there, (int)i) == SQLITE_NULL)
            return NULL;
        *number = sqlite3_column_int64(there, (int)i);
        return (const char *)sqlite3_column_text(there, (int)i);
    }
    return NULL;
}

static const char *const periods[][2] = {{"starts_on", "ends_on"}, {"planned_start", "planned_end"}, {"actual_start", "actual_end"}, {"valid_from", "valid_to"}};
static const char *const never_to_come[][2] = {{"learner", "birth_date"}, {"outcome_observation", "as_of"}, {"cert_attempt", "jury_on"}};
static const char *const counted[] = {"capacity", "minutes", "beds", "gross_month_cents"};

static bool plausible_mark(const struct entry_table *e, const struct entry_value *values, sqlite3_stmt *there, struct entry_fault *fault)
{
    int64_t minutes = 0, ignored = 0;
    bool given = false;
    const char *mark = coming(e, values, there, "mark", &ignored, &given), *of = coming(e, values, there, "minutes", &minutes, &given);

    if (mark == NULL || of == NULL || !given)
        return true;
    if (mark_is_absent(mark) && minutes != 0)
        return fault_is(fault, "minutes", "%s has no minutes, not %lld: LATE with the minutes is for who came late", mark, (long long)minutes);
    return mark_is_absent(mark) || minutes > 0 || fault_is(fault, "minutes", "%s has minutes: who was there for none of them is ABSENT", mark);
}

bool mark_is_absent(const char *mark)
{
    return strcmp(mark, "ABSENT") == 0 || strcmp(mark, "ABSENT_EXCUSED") == 0 || strcmp(mark, "DISTANCE_NOT_DONE") == 0;
}

bool entry_plausible(const struct entry_table *e, const struct entry_value *values, sqlite3_stmt *there, struct entry_fault *fault)
{
    int64_t n = 0;

    for (size_t i = 0; i < sizeof periods / sizeof *periods; i++) {
        bool given = false;
        const char *from = coming(e, values, there, periods[i][0], &n, &given), *to = coming(e, values, there, periods[i][1], &n, &given);

        if (given && from != NULL && to != NULL && strcmp(to, from) < 0)
            return fault_is(fault, periods[i][1], "%s %s is before %s %s", periods[i][1], to, periods[i][0], from);
    }
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        bool given = false;

        n = 0;
        if (coming(e, values, there, counted[i], &n, &given) != NULL && given && n < 0)
            return fault_is(fault, counted[i], "%s is never below 0", counted[i]);
    }
    for (size_t i = 0; i < sizeof never_to_come / sizeof *never_to_come; i++) {
        bool given = false;
        const char *day = strcmp(e->t->name, never_to_come[i][0]) == 0 ? coming(e, values, there, never_to_come[i][1], &n, &given) : NULL;

        if (day == NULL || !given)
            continue;
        if (strncmp(day, e->now, 10) > 0)
            return fault_is(fault, never_to_come[i][1], "%s is a day to come", day);
    }
    if (strcmp(e->t->name, "learner") == 0 && there == NULL) {
        static const char *const any[] = {"birth_family_name", "use_family_name", "given_names", "call_name"};
        bool given = false, named = false;

        for (size_t i = 0; i < sizeof any / sizeof *any; i++)
            named |= coming(e, values, there, any[i], &n, &given) != NULL;
        if (!named)
            return fault_is(fault, "birth_family_name", "a learner has a name: birth_family_name and given_names");
    }
    return strcmp(e->t->name, "attendance") != 0 || plausible_mark(e, values, there, fault);
}

/* One more that is missing, with the codes that it may have; the first is the fault's column. */
static void add_missing(struct replica *r, const struct entry_column *c, struct entry_fault *fault)
{
    sqlite3_stmt *s = c->code_list != NULL ? ask(r, "SELECT group_concat(code, ', ') FROM (SELECT code FROM code_list WHERE list = ?1 ORDER BY code LIMIT 8)") : NULL;
    bool first = *fault->column == '\0';
    size_t n = first ? 0 : strlen(fault->why);
    const char *codes;

    ask_bind_text(s, 1, c->code_list);
    codes = ask_row(r, s, "read a code list") ? ask_text(s, 0) : "";
    if (first)
        (void)snprintf(fault->column, sizeof fault->column, "%s", c->name);
    (void)snprintf(fault->why + n, sizeof fault->why - n, "%s%s%s%s%s", first ? "missing: " : ", ", c->name, *codes != '\0' ? " (" : "", codes, *codes != '\0' ? ")" : "");
    sqlite3_finalize(s);
}

bool entry_complete(struct replica *r, struct entry_table *e, struct entry_value *values, struct entry_fault *fault)
{
    bool missing = false;

    for (uint32_t i = 0; i < e->count; i++) {
        const struct entry_column *c = &e->columns[i];

        if (values[i].given)
            continue;
        if (c->own_site && !r->hub) {
            if (!set_text(r, &values[i], r->node.site))
                return false;
            values[i].given = true;
        } else if (c->now) {
            if (!set_text(r, &values[i], e->now))
                return false;
            values[i].given = true;
        } else if (c->notnull && !c->has_default) {
            add_missing(r, c, fault);
            missing = true;
        }
    }
    return !missing && r->fail == PERCHE_OK;
}

void entry_bind(sqlite3_stmt *s, int i, const struct entry_value *v)
{
    switch (v->kind) { /* a failed bind leaves NULL there: only for want of memory, which the step finds too */
    case 'i': (void)sqlite3_bind_int64(s, i, v->i); break;
    case 'r': (void)sqlite3_bind_double(s, i, v->r); break;
    case 't': (void)sqlite3_bind_text(s, i, v->text, -1, SQLITE_STATIC); break;
    default: (void)sqlite3_bind_null(s, i); break;
    }
}

sqlite3_stmt *entry_statement(struct replica *r, struct entry_table *e, char *text)
{
    struct entry_kept *k;

    if (text == NULL) {
        (void)fail(r, PERCHE_NOMEM, "no memory for a statement");
        return NULL;
    }
    for (uint32_t i = 0; i < ENTRY_KEPT; i++)
        if (e->kept[i].s != NULL && strcmp(e->kept[i].text, text) == 0) {
            sqlite3_free(text);
            return e->kept[i].s;
        }
    k = &e->kept[e->kept_next++ % ENTRY_KEPT];
    sqlite3_finalize(k->s);
    sqlite3_free(k->text);
    *k = (struct entry_kept){text, ask(r, text)};
    return k->s;
}

void entry_done(sqlite3_stmt *s)
{
    if (s == NULL)
        return;
    (void)sqlite3_reset(s); /* its error was seen by the step */
    (void)sqlite3_clear_bindings(s);
}

/* A constraint or a trigger of the file is the row's fault. */
static bool stepped(struct replica *r, sqlite3_stmt *s, char **key, struct entry_fault *fault)
{
    int rc = s != NULL ? sqlite3_step(s) : SQLITE_NOMEM;
    bool ok = rc == SQLITE_ROW || rc == SQLITE_DONE;

    if (rc == SQLITE_ROW && key != NULL && (*key = sqlite3_mprintf("%s", sqlite3_column_text(s, 0))) == NULL)
        ok = fail(r, PERCHE_NOMEM, "no memory for a key") == PERCHE_OK;
    if (s != NULL && !ok && r->fail == PERCHE_OK) {
        if ((rc & 0xff) == SQLITE_CONSTRAINT && !tx_lost(r)) /* RAISE(ROLLBACK) has ended all of it */
            (void)fault_is(fault, "", "%s", rc == SQLITE_CONSTRAINT_PRIMARYKEY ? "a row with this key is there already" : sqlite3_errmsg(r->db));
        else
            (void)fail_sqlite(r, rc, "write a record");
    }
    entry_done(s);
    return ok;
}

bool entry_insert(struct replica *r, struct entry_table *e, const struct entry_value *values, char **key, struct entry_fault *fault)
{
    sqlite3_str *text = sqlite3_str_new(r->db), *marks = sqlite3_str_new(r->db);
    sqlite3_stmt *s;
    char *all;
    int n = 0;

    *key = NULL;
    sqlite3_str_appendf(text, "INSERT INTO \"%w\" (", e->t->name);
    for (uint32_t i = 0; i < e->count; i++)
        if (values[i].given) {
            sqlite3_str_appendf(text, "%s\"%w\"", n > 0 ? ", " : "", e->columns[i].name);
            sqlite3_str_appendall(marks, n++ > 0 ? ", ?" : "?");
        }
    all = sqlite3_str_finish(marks);
    if (n > 0)
        sqlite3_str_appendf(text, ") VALUES (%s) RETURNING json_array(", all != NULL ? all : "");
    sqlite3_free(all);
    for (uint32_t i = 0, k = 0; i < e->count; i++)
        if (e->columns[i].is_key)
            sqlite3_str_appendf(text, "%s\"%w\"", k++ > 0 ? ", " : "", e->columns[i].name);
    sqlite3_str_appendall(text, ")");
    if (n == 0) {
        sqlite3_free(sqlite3_str_finish(text));
        return fault_is(fault, "", "nothing is given");
    }
    s = entry_statement(r, e, sqlite3_str_finish(text));
    n = 0;
    for (uint32_t i = 0; s != NULL && i < e->count; i++)
        if (values[i].given)
            entry_bind(s, ++n, &values[i]);
    return s != NULL && stepped(r, s, key, fault);
}

/* What the row that takes another one back has in a column: ?1 = the key of that one, ?2 = why, ?3 = this site. */
static const char *void_value(const struct entry_column *c)
{
    return strcmp(c->name, "voids") == 0            ? "?1"
           : strcmp(c->name, "void_reason") == 0    ? "?2"
           : strcmp(c->name, "recorded_site") == 0  ? "?3"
           : strcmp(c->name, "recorded_at") == 0    ? "strftime('%Y-%m-%dT%H:%M:%SZ', ?4 / 1000, 'unixepoch')"
                                                    : NULL;
}

bool entry_void(struct replica *r, struct entry_table *e, const struct entry_value *values, const char *reason, char **key, struct entry_fault *fault)
{
    sqlite3_str *text = sqlite3_str_new(r->db);
    sqlite3_stmt *s;

    *key = NULL;
    sqlite3_str_appendf(text, "INSERT INTO \"%w\" (", e->t->name);
    for (uint32_t i = 1; i < e->count; i++)
        sqlite3_str_appendf(text, "%s\"%w\"", i > 1 ? ", " : "", e->columns[i].name);
    sqlite3_str_appendall(text, ") SELECT ");
    for (uint32_t i = 1; i < e->count; i++) {
        const char *value = void_value(&e->columns[i]);

        if (value != NULL)
            sqlite3_str_appendf(text, "%s%s", i > 1 ? ", " : "", value);
        else
            sqlite3_str_appendf(text, "%s\"%w\"", i > 1 ? ", " : "", e->columns[i].name);
    }
    sqlite3_str_appendf(text, " FROM \"%w\" WHERE \"%w\" = ?1 RETURNING json_array(\"%w\")", e->t->name, e->columns[0].name, e->columns[0].name);
    s = entry_statement(r, e, sqlite3_str_finish(text));
    if (s == NULL)
        return false;
    entry_bind(s, 1, &values[0]);
    ask_bind_text(s, 2, reason);
    ask_bind_text(s, 3, r->node.site);
    (void)sqlite3_bind_int64(s, 4, (sqlite3_int64)r->now_ms); /* a failed bind shows in the step: NOT NULL */
    return stepped(r, s, key, fault);
}

bool entry_exists(struct replica *r, struct entry_table *e, const struct entry_value *values)
{
    sqlite3_str *text = sqlite3_str_new(r->db);
    sqlite3_stmt *s;
    int keys = 0;
    bool there;

    sqlite3_str_appendf(text, "SELECT 1 FROM \"%w\" WHERE ", e->t->name);
    for (uint32_t i = 0; i < e->count; i++)
        if (e->columns[i].is_key)
            sqlite3_str_appendf(text, "%s\"%w\" = ?", keys++ > 0 ? " AND " : "", e->columns[i].name);
    s = entry_statement(r, e, sqlite3_str_finish(text));
    keys = 0;
    for (uint32_t i = 0; s != NULL && i < e->count; i++)
        if (e->columns[i].is_key)
            entry_bind(s, ++keys, &values[i]);
    there = ask_row(r, s, "look for a record");
    entry_done(s);
    return there;
}

sqlite3_stmt *entry_present(struct replica *r, struct entry_table *e, const struct entry_value *values)
{
    sqlite3_str *text = sqlite3_str_new(r->db);
    sqlite3_stmt *s;
    int n = 0;

    for (uint32_t i = 0; i < e->count; i++)
        sqlite3_str_appendf(text, "%s\"%w\"", i > 0 ? ", " : "SELECT ", e->columns[i].name);
    sqlite3_str_appendf(text, " FROM \"%w\"", e->t->name);
    for (uint32_t i = 0; i < e->count; i++)
        if (e->columns[i].is_key)
            sqlite3_str_appendf(text, "%s\"%w\" IS ?", n++ > 0 ? " AND " : " WHERE ", e->columns[i].name);
    s = entry_statement(r, e, sqlite3_str_finish(text));
    n = 0;
    for (uint32_t i = 0; s != NULL && i < e->count; i++)
        if (e->columns[i].is_key)
            entry_bind(s, ++n, &values[i]);
    return s;
}

bool entry_update(struct replica *r, struct entry_table *e, const struct entry_value *values, struct entry_fault *fault)
{
    sqlite3_str *text = sqlite3_str_new(r->db);
    sqlite3_stmt *s;
    int n = 0, keys = 0;

    sqlite3_str_appendf(text, "UPDATE \"%w\" SET ", e->t->name);
    for (uint32_t i = 0; i < e->count; i++)
        if (values[i].given && !e->columns[i].is_key)
            sqlite3_str_appendf(text, "%s\"%w\" = ?", n++ > 0 ? ", " : "", e->columns[i].name);
    sqlite3_str_appendall(text, " WHERE ");
    for (uint32_t i = 0; i < e->count; i++)
        if (e->columns[i].is_key)
            sqlite3_str_appendf(text, "%s\"%w\" = ?", keys++ > 0 ? " AND " : "", e->columns[i].name);
    if (n == 0) {
        sqlite3_free(sqlite3_str_finish(text));
        return true;
    }
    s = entry_statement(r, e, sqlite3_str_finish(text));
    n = 0;
    for (uint32_t i = 0; s != NULL && i < e->count; i++)
        if (values[i].given && !e->columns[i].is_key)
            entry_bind(s, ++n, &values[i]);
    for (uint32_t i = 0; s != NULL && i < e->count; i++)
        if (e->columns[i].is_key)
            entry_bind(s, ++n, &values[i]);
    return s != NULL && stepped(r, s, NULL, fault);
}
