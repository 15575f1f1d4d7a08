#include "school/called.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "school/duplicates.h"

#define TEXT_MAX 4096u /* bytes of a name that are compared */

/* A learner is found by the civil name, too, which another one's call name may hide. */
#define FIRST_OF(names) "rtrim(substr(" names ", 1, instr(" names " || ' ', ' ') - 1), ',')"
#define LEARNER_NAMES \
    "SELECT learner_id AS id, name AS called FROM learner_name UNION ALL SELECT learner_id, short_name FROM learner_name" \
    " UNION ALL SELECT id, given_names || ' ' || birth_family_name FROM learner UNION ALL SELECT id, call_name || ' ' || birth_family_name FROM learner" \
    " UNION ALL SELECT id, " FIRST_OF("given_names") " || ' ' || birth_family_name FROM learner" \
    " UNION ALL SELECT id, " FIRST_OF("given_names") " || ' ' || use_family_name FROM learner"

/* names: id, called, and what comes first of rows of one name. shown: under other names, as it stands in a list of that very table. */
static const struct {
    const char *refers, *names, *shown;
} tables[] = {
    {"network(id)", "SELECT id, name AS called, 0 FROM network", "SELECT x.name FROM network x WHERE x.id = "},
    {"site(id)", "SELECT id, code AS called, 0 FROM site UNION ALL SELECT id, name, 0 FROM site", "SELECT x.name FROM site x WHERE x.id = "},
    {"organisation(id)", "SELECT id, name AS called, 0 FROM organisation UNION ALL SELECT id, siret, 0 FROM organisation",
     "SELECT x.name FROM organisation x WHERE x.id = "},
    {"training(id)", "SELECT id, title AS called, 0 FROM training", "SELECT x.title FROM training x WHERE x.id = "},
    {"cohort(id)",
     "SELECT id, code AS called, 0 FROM cohort UNION ALL SELECT c.id, c.code || ' ' || s.code, 0 FROM cohort c JOIN site s ON s.id = c.site_id"
     " UNION ALL SELECT c.id, c.code || ' ' || s.name, 0 FROM cohort c JOIN site s ON s.id = c.site_id",
     "SELECT x.code FROM cohort x WHERE x.id = "},
    {"learner(id)", "SELECT id, called, 0 FROM (" LEARNER_NAMES ")", "SELECT x.name FROM learner_name x WHERE x.learner_id = "},
    {"enrolment(id)",
     "SELECT e.id AS id, n.called AS called, e.actual_end IS NOT NULL FROM enrolment e JOIN (" LEARNER_NAMES ") n ON n.id = e.learner_id"
     " UNION ALL SELECT id, name_at_entry, actual_end IS NOT NULL FROM enrolment UNION ALL SELECT id, learner_id, actual_end IS NOT NULL FROM enrolment",
     "SELECT coalesce(n.name, x.name_at_entry) FROM enrolment x LEFT JOIN learner_name n ON n.learner_id = x.learner_id WHERE x.id = "},
    {"half_day(id)", "SELECT h.id AS id, c.code || ' ' || h.day || ' ' || h.half AS called, 0 FROM half_day h JOIN cohort c ON c.id = h.cohort_id",
     "SELECT c.code || ' ' || h.day || ' ' || h.half FROM half_day h JOIN cohort c ON c.id = h.cohort_id WHERE h.id = "},
    {"housing_unit(id)", "SELECT id, label AS called, 0 FROM housing_unit", "SELECT x.label FROM housing_unit x WHERE x.id = "},
    {"project(id)", "SELECT id, title AS called, 0 FROM project", "SELECT x.title FROM project x WHERE x.id = "},
    {"event(id)", "SELECT id, title AS called, 0 FROM event", "SELECT x.title FROM event x WHERE x.id = "},
    {"venture(id)", "SELECT id, name AS called, 0 FROM venture", "SELECT x.name FROM venture x WHERE x.id = "},
    {"staff_account(id)", "SELECT id, display_name AS called, 0 FROM staff_account", "SELECT x.display_name FROM staff_account x WHERE x.id = "},
};

static bool begins_id(const char *id, const char *text)
{
    size_t n = strlen(text);

    return n >= CALLED_PREFIX_MIN && strspn(text, "0123456789abcdef-") == n && strncmp(id, text, n) == 0;
}

/* Is the row meant? @folded: the text as names are compared. */
static bool is_meant(const char *id, const char *called, const char *text, const char *folded)
{
    char other[TEXT_MAX];

    if (strcasecmp(id, text) == 0 || begins_id(id, text) || strcasecmp(called, text) == 0)
        return true;
    (void)duplicates_fold_figures(called, other, sizeof other);
    return *other != '\0' && strcmp(other, folded) == 0;
}

/* A row has several names: it counts once. */
static void add(struct called *out, const char *id)
{
    size_t n = strlen(out->ids);

    if (strstr(out->ids, id) != NULL || out->more)
        return;
    if (out->count == CALLED_TOLD) {
        out->more = true;
        (void)snprintf(out->ids + n, sizeof out->ids - n, ", ...");
        return;
    }
    if (out->count++ == 0)
        (void)snprintf(out->id, sizeof out->id, "%s", id);
    (void)snprintf(out->ids + n, sizeof out->ids - n, "%s%s", n > 0 ? ", " : "", id);
}

enum perche_rc called_find(struct replica *r, const char *refers, const char *text, const struct called_among *among, struct called *out)
{
    char folded[TEXT_MAX], *query = NULL;
    int64_t rank = INT64_MAX;
    sqlite3_stmt *s;

    memset(out, 0, sizeof *out);
    for (size_t i = 0; *text != '\0' && i < sizeof tables / sizeof *tables && query == NULL; i++)
        if (strcmp(tables[i].refers, refers) == 0 &&
            (query = among != NULL ? sqlite3_mprintf("SELECT * FROM (%s) WHERE id IN (%s)", tables[i].names, among->query) : sqlite3_mprintf("%s", tables[i].names)) == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for a name");
    if (query == NULL)
        return PERCHE_OK;
    (void)duplicates_fold_figures(text, folded, sizeof folded);
    s = ask(r, query);
    if (among != NULL) {
        ask_bind_text(s, 1, among->first);
        ask_bind_text(s, 2, among->second);
    }
    while (ask_row(r, s, "look a name up")) {
        int64_t comes = among == NULL ? sqlite3_column_int64(s, 2) : 0;

        if (comes > rank || !is_meant(ask_text(s, 0), ask_text(s, 1), text, folded))
            continue;
        if (comes < rank)
            memset(out, 0, sizeof *out);
        rank = comes;
        add(out, ask_text(s, 0));
    }
    sqlite3_finalize(s);
    sqlite3_free(query);
    return r->fail;
}

const char *called_query(const char *refers)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (strcmp(tables[i].refers, refers) == 0)
            return tables[i].shown;
    return NULL;
}
