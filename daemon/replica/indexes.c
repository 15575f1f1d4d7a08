/* Indexes of the data tables that Perche's own questions need: whose relatives a row is, and which other row has a value that two
 * should not share. Without them each row that is written costs a walk through its table. A program may drop them: they come again. */
#include "replica/internal.h"

/* @but_null: most rows may have none. Of a column that is never NULL SQLite takes the condition for true, and the index for one of something else. */
static enum perche_rc make_index(struct replica *r, struct table *t, const char *name, bool but_null)
{
    const struct column *c = table_column(t, name);
    char *text;
    enum perche_rc rc;

    if (!t->present || (c != NULL && c->absent))
        return PERCHE_OK;
    text = sqlite3_mprintf(but_null && c != NULL && !c->notnull ? "CREATE INDEX IF NOT EXISTS \"perche_%w_%w\" ON \"%w\" (\"%w\") WHERE \"%w\" IS NOT NULL"
                                                                : "CREATE INDEX IF NOT EXISTS \"perche_%w_%w\" ON \"%w\" (\"%w\")", t->name, name, t->name, name, name);
    rc = text != NULL ? exec(r, text) : fail(r, PERCHE_NOMEM, "no memory for an index");
    sqlite3_free(text);
    return rc;
}

/* Children by the column that names their parent, members by the one that names whom they make a member. */
static enum perche_rc index_relatives(struct replica *r, struct table *t)
{
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t p = 0; rc == PERCHE_OK && t->present && p < t->parts_count; p++) {
        const struct rule_part *part = &t->parts[p];
        struct table *child = part->child_site != NULL ? registry_table(r, part->table) : NULL;

        if (t->rule == RULE_PARENT && part->key_index < 0)
            rc = make_index(r, t, t->columns[part->num - 1].name, false);
        else if (t->rule == RULE_MEMBERS && child != NULL)
            rc = make_index(r, child, part->child_via, false);
    }
    return rc;
}

/* The first column of each set says enough: of a set of several it names a parent. */
static enum perche_rc index_uniques(struct replica *r, struct table *t)
{
    enum perche_rc rc = unique_read(r, t);

    for (uint32_t i = 0; rc == PERCHE_OK && i < t->uniques_count; i++)
        rc = make_index(r, t, t->columns[t->uniques[i].nums[0] - 1].name, true);
    return rc;
}

enum perche_rc indexes_make(struct replica *r)
{
    enum perche_rc rc = PERCHE_OK;

    if (r->indexed_version == r->schema_version)
        return PERCHE_OK;
    r->indexed_version = r->schema_version;
    for (uint32_t i = 0; rc == PERCHE_OK && registry_at(r, i) != NULL; i++) {
        rc = index_relatives(r, registry_at(r, i));
        if (rc == PERCHE_OK) /* the hub looks for values used twice, a site for the record that a line of a file speaks of */
            rc = index_uniques(r, registry_at(r, i));
    }
    return rc;
}
