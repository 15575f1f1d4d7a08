/* What a value means that a person has typed, or that stands in a file: a code for its label, an id for a name, a day. */
#include "school/entry.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "perche/day.h"
#include "replica/ask.h"
#include "school/called.h"
#include "school/duplicates.h"

static bool read_day(struct replica *r, const char *column, const char *text, struct entry_value *out, struct entry_fault *fault)
{
    char day[PERCHE_DAY_BYTES];
    size_t n = perche_day_read(text, day);

    if (n == 0 || text[n] != '\0')
        return entry_fault_is(fault, column, "\"%.60s\" is no day: " PERCHE_DAY_WANTED, text);
    return entry_set_text(r, out, day);
}

static bool read_instant(struct replica *r, const char *column, const char *text, struct entry_value *out, struct entry_fault *fault)
{
    char day[PERCHE_DAY_BYTES], instant[48], fraction[12] = "";
    int n = (int)perche_day_read(text, day), h = 0, m = 0, s = 0, used = 0;

    if (n > 0 && text[n] == '\0')
        used = n;
    else if (n > 0 && (text[n] == 'T' || text[n] == ' ') && sscanf(text + n + 1, "%2d:%2d:%2d%n", &h, &m, &s, &used) == 3)
        used += n + 1;
    else if (n > 0 && (text[n] == 'T' || text[n] == ' ') && (s = 0, sscanf(text + n + 1, "%2d:%2d%n", &h, &m, &used)) == 2)
        used += n + 1;
    if (used > n + 6 && text[used] == '.' && strspn(text + used + 1, "0123456789") >= 1 && strspn(text + used + 1, "0123456789") <= 9) /* of a second */
        used += snprintf(fraction, sizeof fraction, ".%.*s", (int)strspn(text + used + 1, "0123456789"), text + used + 1);
    if (used > 0 && text[used] == 'Z')
        used++;
    if (n == 0 || used == 0 || text[used] != '\0' || h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 59)
        return entry_fault_is(fault, column, "\"%.60s\" is no instant: write 2016-04-13T16:00:00Z, in UTC", text);
    (void)snprintf(instant, sizeof instant, "%sT%02d:%02d:%02d%sZ", day, h, m, s, fraction);
    return entry_set_text(r, out, instant);
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
    return entry_fault_is(fault, column, "\"%.60s\" is neither yes nor no: write 1 or 0", text);
}

/* "25000", "-3", "6 200" with spaces, also those that do not break. */
static bool read_integer(const char *column, const char *text, struct entry_value *out, struct entry_fault *fault)
{
    const char *unit = strrchr(column, '_');
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
        return entry_fault_is(fault, column, "\"%.60s\" is no whole number%s", text, unit != NULL && strcmp(unit, "_cents") == 0 ? ": write cents, 25000 for 250,00 euros" : "");
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
    return (end != number && *end == '\0') || entry_fault_is(fault, column, "\"%.60s\" is no number", text);
}

static bool is_label(const char *label, const char *folded)
{
    char other[ENTRY_TEXT_MAX + 1];

    return *folded != '\0' && duplicates_fold_figures(label, other, sizeof other) > 0 && strcmp(other, folded) == 0;
}

/* A code, or the label of one, accents or not. A list of which nothing is loaded is not judged. */
static bool read_code(struct replica *r, struct entry_table *e, const struct entry_column *c, const char *text, struct entry_value *out, struct entry_fault *fault)
{
    sqlite3_stmt *s = entry_statement(r, e, sqlite3_mprintf("SELECT code, code = ?2 FROM code_list WHERE list = ?1 AND (code = ?2 COLLATE NOCASE OR label_fr = ?2 COLLATE NOCASE"
                                                            " OR label_en = ?2 COLLATE NOCASE) ORDER BY 2 DESC LIMIT 1"));
    char code[PERCHE_NAME_BYTES_MAX] = "", all[ENTRY_WHY_MAX - 120] = "", folded[ENTRY_TEXT_MAX + 1];
    size_t n = 0;
    bool any = false;

    ask_bind_text(s, 1, c->code_list);
    ask_bind_text(s, 2, text);
    if (ask_row(r, s, "look a code up"))
        (void)snprintf(code, sizeof code, "%s", ask_text(s, 0));
    entry_done(s);
    if (*code != '\0' || r->fail != PERCHE_OK)
        return r->fail == PERCHE_OK && entry_set_text(r, out, code);
    (void)duplicates_fold_figures(text, folded, sizeof folded);
    s = ask(r, "SELECT code, label_fr, label_en FROM code_list WHERE list = ?1 ORDER BY code");
    ask_bind_text(s, 1, c->code_list);
    while (ask_row(r, s, "read a code list")) {
        any = true;
        if (*code == '\0' && (is_label(ask_text(s, 1), folded) || is_label(ask_text(s, 2), folded)))
            (void)snprintf(code, sizeof code, "%s", ask_text(s, 0));
        if (n < sizeof all)
            n += (size_t)snprintf(all + n, sizeof all - n, "%s%s", n > 0 ? ", " : "", ask_text(s, 0));
    }
    sqlite3_finalize(s);
    if (r->fail != PERCHE_OK)
        return false;
    if (!any || *code != '\0')
        return entry_set_text(r, out, any ? code : text);
    return entry_fault_is(fault, c->name, "\"%.60s\" is not in the list %s: %s", text, c->code_list, all);
}

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
    if (!entry_set_text(r, out, text))
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
                                  column, table, column, column, table, CALLED_PREFIX_MIN, column));
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

/* The id of the one row that is called so; 0: none is. More than one is a fault, and so -1. */
static int by_name(struct replica *r, const struct entry_column *c, const char *table, const char *text, char found[PERCHE_ID_BYTES_MAX], struct entry_fault *fault)
{
    struct called who;

    if (called_find(r, c->refers, text, NULL, &who) != PERCHE_OK || who.count == 0)
        return 0;
    if (who.count > 1) {
        (void)entry_fault_is(fault, c->name, "%s%u rows of %s are called \"%.60s\": give the id of one: %s", who.more ? "more than " : "", who.count, table, text, who.ids);
        return -1;
    }
    (void)snprintf(found, PERCHE_ID_BYTES_MAX, "%s", who.id);
    return 1;
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
    if (n == 0 && !entry_is_uuid(text) && r->fail == PERCHE_OK && (n = by_name(r, c, table, text, found, fault)) < 0)
        return false;
    if (r->fail != PERCHE_OK)
        return false;
    if (n == 1)
        return set_id(r, out, found);
    if (n < 0)
        return entry_fault_is(fault, c->name, "several rows of %s begin with \"%.60s\": give more of the id", table, text);
    if (entry_is_uuid(text) && is_empty(r, table)) /* nothing is loaded to judge it by; a name is none of its ids */
        return r->fail == PERCHE_OK && set_id(r, out, text);
    return entry_fault_is(fault, c->name, entry_is_uuid(text) ? "no row of %s has the id %.60s here: write that row first" : "no row of %s is called \"%.60s\" here: give its id, or write that row first",
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
        return entry_fault_is(fault, c->name, "the value has %zu bytes; %u are the most", strlen(text), ENTRY_TEXT_MAX);
    if (*text == '\0') { /* NULL, or as if it were left out */
        out->kind = 'n';
        if (c->notnull && !c->has_default && !c->now && !(c->own_site && !r->hub))
            return entry_fault_is(fault, c->name, "%s must have a value", c->name);
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
        return entry_set_text(r, out, c->meant);
    if (c->code_list != NULL)
        return read_code(r, e, c, text, out, fault) && remember(c, text, out);
    if (c->refers != NULL)
        return read_reference(r, e, c, text, out, fault) && remember(c, text, out);
    if (c->is_key && entry_is_uuid(text)) { /* the same in capitals would be another key */
        if (!entry_set_text(r, out, text))
            return false;
        for (char *p = out->text; *p != '\0'; p++)
            *p = (char)tolower((unsigned char)*p);
        return true;
    }
    return entry_set_text(r, out, text);
}
