#include "school/facts.h"

#include <string.h>

#include "schema/schema.h"

static const char views_name[] = "093_indicators", create[] = "CREATE VIEW ";

/* Asked by several figures, or once for each definition, and costly: tables. The others stay views over these. */
static const char *const costly[] = {"learner_person", "enrolment_status_now", "indicator_path", "indicator_certification",
                                     "milestone_due", "outcome_undecided", "indicator_leaver"};

static bool is_costly(const char *text) /* what follows CREATE VIEW */
{
    for (size_t i = 0; i < sizeof costly / sizeof *costly; i++)
        if (strncmp(text, costly[i], strlen(costly[i])) == 0 && text[strlen(costly[i])] == ' ')
            return true;
    return false;
}

enum perche_rc facts_open(struct replica *r)
{
    return exec(r, "PRAGMA query_only = OFF");
}

static enum perche_rc make_one(struct replica *r, const char *text, bool kept)
{
    char *made = sqlite3_mprintf("CREATE TEMP %s %s", kept && is_costly(text) ? "TABLE" : "VIEW", text);
    sqlite3_stmt *s = NULL;
    int rc = made != NULL ? sqlite3_prepare_v2(r->db, made, -1, &s, NULL) : SQLITE_NOMEM; /* the first statement of the text */

    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, views_name);
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    sqlite3_free(made);
    return r->fail;
}

enum perche_rc facts_make(struct replica *r, bool kept)
{
    const char *text = NULL;

    /* over the copy of known.h, where there is one */
    if (exec(r, "CREATE TEMP VIEW perche_contested AS SELECT DISTINCT tab, key, col FROM perche_conflict WHERE state = 'open'") != PERCHE_OK)
        return r->fail;
    for (size_t i = 0; i < schema_files_count; i++)
        if (strcmp(schema_files[i].name, views_name) == 0)
            text = schema_files[i].sql;
    for (text = text != NULL ? strstr(text, create) : NULL; r->fail == PERCHE_OK && text != NULL; text = strstr(text, create)) {
        text += sizeof create - 1;
        (void)make_one(r, text, kept);
    }
    return r->fail;
}

void facts_close(struct replica *r)
{
    sqlite3_stmt *s = NULL;
    char *drop = NULL;

    /* also after a failure, which stays the one that is told */
    (void)sqlite3_exec(r->db, "PRAGMA query_only = OFF", NULL, NULL, NULL);
    if (sqlite3_prepare_v2(r->db, "SELECT group_concat(printf('DROP %s temp.\"%w\";', type, name), ' ') FROM"
                                  " (SELECT type, name FROM temp.sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%' ORDER BY type DESC)",
                           -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL)
        drop = sqlite3_mprintf("%s", sqlite3_column_text(s, 0));
    (void)sqlite3_finalize(s);
    if (drop != NULL)
        (void)sqlite3_exec(r->db, drop, NULL, NULL, NULL);
    sqlite3_free(drop);
    (void)sqlite3_exec(r->db, "PRAGMA query_only = ON", NULL, NULL, NULL); /* its next transaction begins as a reader's in any case */
}
