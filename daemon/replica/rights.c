/* What a site may write, judged at the hub before anything of a row is merged (P7).
 * Unlawful cells are refused one by one; the whole row when it is new or outside. A
 * refusal is an entry with a position for that site, without values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/ask.h"
#include "replica/position.h"
#include "replica/statements.h"

#define FIXED_AHEAD_MS (UINT64_C(366) * 86400000) /* a clock a year ahead is implausible: it stamps by another */

static bool marked(struct replica *r, uint32_t site, uint32_t tab, const uint8_t *key, uint32_t key_n, bool writes)
{
    sqlite3_stmt *s = sql(r, SQL_LEFT_HAS);
    bool has;

    sqlite3_bind_int64(s, 1, site);
    sqlite3_bind_int64(s, 2, tab);
    sqlite3_bind_blob(s, 3, key, (int)key_n, SQLITE_STATIC);
    has = sql_row(r, s) && (!writes || sqlite3_column_int(s, 0) == 1);
    sql_done(s);
    return has;
}

bool rights_left(struct replica *r, uint32_t site, uint32_t tab, const uint8_t *key, uint32_t key_n)
{
    return marked(r, site, tab, key, key_n, false);
}

/* Could it be written there, and may be still? */
static bool rights_late(struct replica *r, uint32_t site, uint32_t tab, const uint8_t *key, uint32_t key_n)
{
    return marked(r, site, tab, key, key_n, true);
}

static bool refused_before(struct replica *r, uint32_t site, uint32_t tab, const uint8_t *key, uint32_t key_n)
{
    sqlite3_stmt *s = sql(r, SQL_REFUSAL_HAS);
    bool has;

    sqlite3_bind_int64(s, 1, site);
    sqlite3_bind_int64(s, 2, tab);
    sqlite3_bind_blob(s, 3, key, (int)key_n, SQLITE_STATIC);
    has = sql_row(r, s);
    sql_done(s);
    return has;
}

bool rights_holds(struct replica *r, uint32_t site, const struct meta *m)
{
    return scope_holds(r, m->scope, site) || rights_left(r, site, m->table->num, m->key, m->key_n);
}

/* A relative named by the row @by: held, or not here and not refused, and then judged when it arrives; else no door opens. */
static enum perche_rc relative_ok(struct replica *r, uint32_t site, const struct meta *by, struct table *t, const uint8_t *key,
                                  uint32_t key_n, bool *ok)
{
    struct meta m;
    enum perche_rc rc = meta_load(r, t, (struct perche_bytes){key, key_n}, &m);

    if (rc != PERCHE_OK)
        return rc;
    *ok = m.stored ? rights_holds(r, site, &m) : WITHOUT(B10_CHILDREN) || !refused_before(r, site, t->num, key, key_n);
    *ok = *ok || recovering(r); /* nothing is judged then, only noted */
    if (!m.stored && *ok)
        rc = named_note(r, by, t, key, key_n);
    meta_clear(&m);
    return rc;
}

/* The row would make its site a member of another one: only if the site holds that one already. */
static enum perche_rc member_ok(struct replica *r, uint32_t site, const struct meta *m, const struct perche_value *values, bool *ok)
{
    const struct table *t = m->table;

    *ok = true;
    for (uint32_t i = 0; t->member_child && *ok && registry_at(r, i) != NULL; i++) {
        struct table *parent = registry_at(r, i);

        for (uint32_t p = 0; parent->rule == RULE_MEMBERS && *ok && p < parent->parts_count; p++) {
            const struct rule_part *part = &parent->parts[p];
            struct perche_value via, keys[PERCHE_KEY_COLUMNS_MAX];
            char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
            uint8_t key[PERCHE_KEY_BYTES_MAX];
            uint32_t key_n;
            enum perche_rc rc;

            if (part->child_site == NULL || strcmp(part->table, t->name) != 0)
                continue;
            if (!scope_named_value(m, values, part->child_via, &via, keys, scratch) || perche_key_encode(&via, 1, key, &key_n) != PERCHE_OK)
                continue;
            rc = relative_ok(r, site, m, parent, key, key_n, ok);
            if (rc != PERCHE_OK)
                return rc;
        }
    }
    return PERCHE_OK;
}

bool rights_relative_left(struct replica *r, uint32_t site, struct meta *m, const struct perche_value *values)
{
    for (uint32_t i = 0; m->table->rule == RULE_PARENT && i < m->table->parts_count; i++) {
        struct table *parent;
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t key_n;

        if (scope_parent_key(r, m, values, i, &parent, key, &key_n) && rights_late(r, site, parent->num, key, key_n))
            return true;
    }
    return false;
}

bool rights_brings(const struct meta *m, const struct rule_part *part, const struct perche_value *values)
{
    const struct column *site = table_column(m->table, part->child_site);
    const struct column *cond = part->cond_column == NULL ? NULL : table_column(m->table, part->cond_column);
    struct perche_value via, keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    bool in = false;

    if (!scope_named_value(m, values, part->child_via, &via, keys, scratch) || (site != NULL && values[site->num].type == PERCHE_NULL))
        return false;
    for (uint32_t i = 0; cond != NULL && values[cond->num].type == PERCHE_TEXT && i < part->cond_values_count; i++)
        in |= values[cond->num].n == strlen(part->cond_values[i]) &&
              memcmp(values[cond->num].p, part->cond_values[i], values[cond->num].n) == 0;
    return cond == NULL || in != part->cond_not;
}

/* Does a site that has the row let this one write what it reads? The hub keeps what it has made of site_reader; a site asks the table. */
static bool may_as_reader(struct replica *r, const struct meta *m)
{
    struct table *readers = registry_table(r, "site_reader");
    const uint32_t *sites;
    bool may = false;

    if (m->table->area == NULL || readers == NULL || !readers->present || table_column(readers, "may_write") == NULL)
        return false;
    for (uint32_t i = 0, n = scope_sites(r, m->scope, &sites); i < n && !may; i++) {
        sqlite3_stmt *s = ask(r, "SELECT 1 FROM site_reader WHERE site_id = ?1 AND reader_id = ?2 AND area = ?3 AND may_write = 1");

        ask_bind_text(s, 1, name_text(r, sites[i]));
        ask_bind_text(s, 2, r->node.site);
        ask_bind_text(s, 3, m->table->area);
        may = ask_row(r, s, "look for a reader's rights");
        sqlite3_finalize(s);
    }
    return may;
}

bool rights_here(struct replica *r, struct meta *m, const struct perche_value *values)
{
    return r->hub || m->table->rule == RULE_ALL || rights_relative_left(r, r->node.site_num, m, values) ||
           scope_may_write(r, m->table, m, values, r->node.site_num) || may_as_reader(r, m);
}

/* The cells of @in, of a row that the hub has, that would make its site a member of a row that the pusher does not hold. */
static enum perche_rc member_cells(struct replica *r, uint32_t site, struct meta *m, const struct merge_in *in,
                                   const struct perche_value *stored, uint64_t *cols)
{
    struct table *t = m->table, *parent;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint64_t changed = 0;

    memcpy(values, stored, m->count * sizeof values[0]);
    for (uint32_t i = 0; i < in->cells_count; i++) {
        const struct merge_cell *c = &in->cells[i];

        if (perche_value_compare(&stored[c->num], c->value) != 0)
            changed |= UINT64_C(1) << (c->num - 1);
        values[c->num] = *c->value;
    }
    for (uint32_t i = 0; changed != 0 && (parent = registry_at(r, i)) != NULL; i++) {
        for (uint32_t p = 0; parent->rule == RULE_MEMBERS && p < parent->parts_count; p++) {
            const struct rule_part *part = &parent->parts[p];
            const char *const names[] = {part->child_site, part->child_via, part->cond_column};
            struct perche_value via, keys[PERCHE_KEY_COLUMNS_MAX];
            char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
            uint8_t key[PERCHE_KEY_BYTES_MAX];
            uint64_t touched = 0;
            uint32_t key_n;
            bool ok = true;
            enum perche_rc rc;

            if (part->child_site == NULL || strcmp(part->table, t->name) != 0 || !rights_brings(m, part, values))
                continue;
            for (int k = 0; k < 3; k++) {
                const struct column *c = names[k] == NULL ? NULL : table_column(t, names[k]);

                touched |= c == NULL ? 0 : changed & UINT64_C(1) << (c->num - 1);
            }
            if (touched == 0 || !scope_named_value(m, values, part->child_via, &via, keys, scratch) || perche_key_encode(&via, 1, key, &key_n) != PERCHE_OK)
                continue;
            rc = relative_ok(r, site, m, parent, key, key_n, &ok);
            if (rc != PERCHE_OK)
                return rc;
            for (uint32_t k = 0; !ok && k < in->cells_count; k++) {
                const struct merge_cell *c = &in->cells[k];

                if (touched >> (c->num - 1) & 1 && !history_knows(r, m, c->num, c->stamp, c->origin, c->value))
                    *cols |= UINT64_C(1) << (c->num - 1);
            }
        }
    }
    return r->fail;
}

/* The cell would give the row to another parent: only to one that is held as well. */
static enum perche_rc parent_ok(struct replica *r, uint32_t site, const struct meta *m, const struct merge_cell *c, bool *ok)
{
    const struct table *t = m->table;

    *ok = true;
    for (uint32_t p = 0; *ok && p < t->parts_count; p++) {
        struct table *parent = registry_table(r, t->parts[p].table);
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t key_n;
        enum perche_rc rc;

        if (parent == NULL || t->parts[p].key_index >= 0 || t->parts[p].num != c->num || c->value->type == PERCHE_NULL ||
            perche_key_encode(c->value, 1, key, &key_n) != PERCHE_OK)
            continue;
        rc = relative_ok(r, site, m, parent, key, key_n, ok);
        if (rc != PERCHE_OK)
            return rc;
    }
    return PERCHE_OK;
}

/* Does the cell give the row to a site that nobody knows, or, where it is the only one that names one, to none? It would leave
 * its author and come to nobody. */
static bool nobodys(struct replica *r, uint32_t site, const struct table *t, uint32_t num, const struct perche_value *v)
{
    const char *own = name_text(r, site);
    sqlite3_stmt *s;
    bool known;

    for (uint32_t p = 0; p < t->parts_count; p++) {
        if (t->parts[p].child_site != NULL || t->parts[p].num != num || t->parts[p].key_index >= 0 || t->rule == RULE_PARENT)
            continue;
        if (v->type != PERCHE_TEXT)
            return t->rule == RULE_OWN && t->parts_count == 1;
        if (own != NULL && strlen(own) == v->n && memcmp(own, v->p, v->n) == 0)
            return false;
        s = sql(r, SQL_SITE_KNOWN);
        bind_value(s, 1, v);
        known = sql_row(r, s);
        sql_done(s);
        return !known;
    }
    return false;
}

/* Rows named by its parts; *ok: all are held, or not here. */
static enum perche_rc parents_ok(struct replica *r, uint32_t site, const struct meta *m, const struct perche_value *values, bool *ok)
{
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; rc == PERCHE_OK && *ok && i < m->table->parts_count; i++) {
        struct table *parent;
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t key_n;

        if (scope_parent_key(r, m, values, i, &parent, key, &key_n))
            rc = relative_ok(r, site, m, parent, key, key_n, ok);
    }
    return rc;
}

/* Does it name the sites that the row that was here named? */
static bool same_place(const struct table *t, const struct perche_value *stored, const struct perche_value *values)
{
    for (uint32_t p = 0; p < t->parts_count; p++)
        if (t->parts[p].child_site == NULL && t->parts[p].key_index < 0 &&
            perche_value_compare(&stored[t->parts[p].num], &values[t->parts[p].num]) != 0)
            return false;
    return true;
}

/* @stored: of the row that has been here under this key, NULL = none. */
static enum perche_rc judge_new(struct replica *r, uint32_t site, struct meta *m, const struct merge_in *in,
                                const struct perche_value *stored, const char **reason)
{
    struct table *t = m->table;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    bool ok = true, late;
    enum perche_rc rc = PERCHE_OK;

    memset(values, 0, m->count * sizeof values[0]);
    for (uint32_t i = 0; i < in->cells_count; i++)
        values[in->cells[i].num] = *in->cells[i].value;
    late = stored != NULL && same_place(t, stored, values); /* before relatives are read over it */
    if (t->rule == RULE_PARENT) {
        rc = parents_ok(r, site, m, values, &ok);
        if (rc == PERCHE_OK && !ok)
            *reason = "parent";
        if (rc != PERCHE_OK || !ok)
            return rc;
    } else if (t->rule == RULE_HUB && !t->mover_holder) {
        *reason = "hub_table";
        return PERCHE_OK;
    } else if (in->gen % 2 == 1 && !t->mover_holder && !scope_may_write(r, t, m, values, site) &&
               !(late && rights_late(r, site, t->num, m->key, m->key_n))) {
        *reason = "scope";
        return r->fail;
    }
    for (uint32_t p = 0; p < t->parts_count && in->gen % 2 == 1; p++) { /* also where the cell did not come: its table there has lost the column */
        const struct rule_part *part = &t->parts[p];

        if (part->child_site == NULL && part->key_index < 0 && t->columns[part->num - 1].policy != POLICY_HUB &&
            nobodys(r, site, t, part->num, &values[part->num])) {
            *reason = "site";
            return r->fail;
        }
    }
    if (t->rule == RULE_PARENT && !rights_relative_left(r, site, m, values) && !scope_may_write(r, t, m, values, site)) {
        *reason = "readonly";
        return r->fail;
    }
    rc = member_ok(r, site, m, values, &ok);
    if (rc == PERCHE_OK && !ok)
        *reason = "member";
    return rc != PERCHE_OK ? rc : r->fail;
}

/* A site finds questions by itself, about rows that it holds, or that have left it: by what came in the same batch, perhaps. One
 * about a row that is not here yet goes to the hub alone. */
static bool may_ask(struct replica *r, uint32_t site, struct table *conflicts, const struct merge_in *in)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1] = {{0}};
    uint32_t scope;

    for (uint32_t i = 0; i < in->cells_count; i++)
        values[in->cells[i].num] = *in->cells[i].value;
    scope = conflict_scope(r, conflicts, values);
    return scope == 0 || scope_holds(r, scope, site) || conflict_left(r, conflicts, values, site);
}

/* Would it settle the question about a row that the site may only read? Its value would be refused, and the question gone. */
static enum perche_rc may_decide(struct replica *r, uint32_t site, struct meta *m, const struct merge_in *in, bool *ok)
{
    const struct column *state = table_column(m->table, "state");
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    struct meta *row;
    bool settles = false;
    enum perche_rc rc = row_values(r, m, values);

    *ok = true;
    for (uint32_t i = 0; rc == PERCHE_OK && state != NULL && i < in->cells_count; i++)
        settles |= in->cells[i].num == state->num && perche_value_compare(in->cells[i].value, &values[state->num]) != 0;
    if (rc != PERCHE_OK || !settles)
        return rc;
    row = malloc(sizeof *row);
    if (row == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a question's row");
    if (conflict_subject(r, m->table, values, row)) {
        if (row->table->area != NULL && !rights_late(r, site, row->table->num, row->key, row->key_n)) {
            rc = row_values(r, row, values);
            *ok = rc != PERCHE_OK || rights_relative_left(r, site, row, values) || scope_may_write(r, row->table, row, values, site);
        }
        meta_clear(row);
    }
    free(row);
    return rc != PERCHE_OK ? rc : r->fail;
}

/* What may not be shifted is taken whatever the clock (DESIGN 4.2), but not from a time that no clock can say that
 * was believed before: it would win for ever. */
static bool of_the_future(const struct replica *r, bool fixed, uint64_t stamp)
{
    uint64_t known = r->node.stamp >> 16 > r->now_ms ? r->node.stamp >> 16 : r->now_ms;

    return fixed && stamp > (known + FIXED_AHEAD_MS) << 16;
}

/* Is all of it what the hub has, or has had? A site that was put back, or gets a new epoch, sends once more what it had
 * shown to a hub that recovered. */
static bool all_known(struct replica *r, const struct meta *m, const struct merge_in *in)
{
    if (!m->stored || in->gen > m->gen || WITHOUT(C14_JUDGE_KNOWN))
        return false;
    for (uint32_t i = 0; i < in->cells_count; i++)
        if (!history_knows(r, m, in->cells[i].num, in->cells[i].stamp, in->cells[i].origin, in->cells[i].value))
            return false;
    return true;
}

enum perche_rc rights_judge(struct replica *r, uint32_t site, struct meta *m, const struct merge_in *in,
                            const char **reason, uint64_t *cols, const char **cols_reason)
{
    struct table *t = m->table;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    bool loaded = false;
    enum perche_rc rc;

    *reason = *cols_reason = NULL;
    *cols = 0;
    if (t->is_conflict) {
        bool may = true;

        if (m->stored ? !rights_holds(r, site, m) : !may_ask(r, site, t, in))
            *reason = "scope";
        else if (m->stored && may_decide(r, site, m, in, &may) == PERCHE_OK && !may)
            *reason = "readonly";
        return r->fail;
    }
    if (t->is_chain)
        return chain_judge(r, site, m, in, reason);
    if (t->rule == RULE_ALL && t->policy == POLICY_HUB) {
        if (!all_known(r, m, in))
            *reason = "hub_table";
        return r->fail;
    }
    if (in->gen > m->gen && of_the_future(r, in->gen_fixed, in->gen_stamp)) {
        *reason = "clock";
        return PERCHE_OK;
    }
    if (!m->stored) {
        rc = judge_new(r, site, m, in, NULL, reason);
        if (rc != PERCHE_OK || *reason != NULL)
            return rc;
    } else {
        if (!rights_holds(r, site, m)) {
            *reason = "scope";
            return PERCHE_OK;
        }
        rc = row_values(r, m, values);
        if (rc != PERCHE_OK)
            return rc;
        loaded = true;
        if ((t->area != NULL || !scope_holds(r, m->scope, site)) && !rights_late(r, site, t->num, m->key, m->key_n) &&
            !rights_relative_left(r, site, m, values) && (t->area == NULL || !scope_may_write(r, t, m, values, site))) {
            *reason = t->area != NULL ? "readonly" : "scope";
            return r->fail;
        }
    }
    if (loaded && in->gen > m->gen && in->has_gen && in->gen_origin != site) { /* others speak for themselves */
        *reason = "origin";
        return r->fail;
    }
    if (loaded && t->policy == POLICY_APPEND && meta_alive(m) && in->gen > m->gen) {
        *reason = "append"; /* what the hub has is only added to: corrections name what they void */
        return r->fail;
    }
    if (loaded && in->gen > m->gen && in->gen % 2 == 1) { /* the same key again is judged like a new one */
        rc = judge_new(r, site, m, in, values, reason);
        if (rc != PERCHE_OK || *reason != NULL)
            return rc;
    }
    if (loaded && t->member_child && meta_alive(m) && in->gen == m->gen) {
        rc = member_cells(r, site, m, in, values, cols);
        if (rc != PERCHE_OK)
            return rc;
        if (*cols != 0)
            *cols_reason = "member";
        rc = row_values(r, m, values); /* its relatives may have been read over it */
        if (rc != PERCHE_OK)
            return rc;
    }
    for (uint32_t i = 0; i < in->cells_count; i++) {
        const struct merge_cell *c = &in->cells[i];
        const struct column *col = &t->columns[c->num - 1];
        const char *why = NULL;

        if (col->policy == POLICY_HUB)
            why = "hub_column";
        else if (loaded && c->origin != site) /* what others wrote came from here, or is not theirs */
            why = "origin";
        else if (of_the_future(r, c->fixed, c->stamp))
            why = "clock";
        else if (loaded && col->policy == POLICY_APPEND && m->cells[c->num].written && meta_alive(m) && in->gen == m->gen &&
                 !in->has_gen) /* its insert is acknowledged, or it would be here again */
            why = "append";
        else if (loaded && col->scope_cell && !t->mover_holder && t->rule != RULE_PARENT && meta_alive(m) && in->gen == m->gen &&
                 perche_value_compare(&values[c->num], c->value) != 0)
            for (uint32_t p = 0; p < t->parts_count; p++)
                if (t->parts[p].child_site == NULL && t->parts[p].num == c->num && t->parts[p].key_index < 0)
                    why = "move";
        if (why == NULL && loaded && col->scope_cell && meta_alive(m) && in->gen == m->gen &&
            perche_value_compare(&values[c->num], c->value) != 0 && nobodys(r, site, t, c->num, c->value))
            why = "site";
        if (why == NULL && !WITHOUT(B22_BOTH_PLACES) && loaded && t->rule == RULE_PARENT && col->scope_cell && meta_alive(m) && in->gen == m->gen &&
            perche_value_compare(&values[c->num], c->value) != 0) {
            bool ok;

            rc = parent_ok(r, site, m, c, &ok);
            if (rc != PERCHE_OK)
                return rc;
            why = ok ? NULL : "parent";
        }
        if (WITHOUT(CT_NEW_ROW_CELL) && why != NULL && !loaded) {
            *reason = why;
            return r->fail;
        }
        if (why == NULL || (!WITHOUT(C14_JUDGE_KNOWN) && history_knows(r, m, c->num, c->stamp, c->origin, c->value)))
            continue; /* a value that the hub has had before is not judged again */
        *cols |= UINT64_C(1) << (c->num - 1);
        *cols_reason = why;
    }
    return r->fail;
}

/* What it names that is not here: its turn comes when the recovery is over, if it does. */
static enum perche_rc note_shown(struct replica *r, uint32_t site, struct meta *m, const struct merge_in *in)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    bool ok = true;
    enum perche_rc rc = PERCHE_OK;

    if (m->table->is_system || (m->table->rule != RULE_PARENT && !m->table->member_child))
        return PERCHE_OK;
    memset(values, 0, m->count * sizeof values[0]);
    for (uint32_t i = 0; i < in->cells_count; i++)
        values[in->cells[i].num] = *in->cells[i].value;
    if (m->table->rule == RULE_PARENT)
        rc = parents_ok(r, site, m, values, &ok);
    return rc == PERCHE_OK ? member_ok(r, site, m, values, &ok) : rc;
}

enum perche_rc rights_recover(struct replica *r, uint32_t site, struct meta *m, const struct merge_in *in,
                              const char **reason, uint64_t *cols, const char **cols_reason)
{
    struct table *t = m->table;
    bool hubs = !t->is_system && ((t->rule == RULE_ALL && t->policy == POLICY_HUB) || (t->rule == RULE_HUB && !t->mover_holder));
    bool foreign = in->has_gen && in->gen_origin != site;

    *cols = 0;
    *reason = *cols_reason = NULL; /* which chain_judge() leaves alone when it has nothing to say */
    if (t->is_chain)
        return chain_judge(r, 0, m, in, reason);
    *reason = hubs && in->gen > m->gen && in->gen_origin != r->node.site_num ? "hub_table" : NULL;
    for (uint32_t i = 0; i < in->cells_count && *reason == NULL; i++) {
        const struct merge_cell *c = &in->cells[i];

        if ((hubs || t->columns[c->num - 1].policy == POLICY_HUB) && c->origin != r->node.site_num &&
            !history_knows(r, m, c->num, c->stamp, c->origin, c->value)) {
            *cols |= UINT64_C(1) << (c->num - 1);
            *cols_reason = hubs ? "hub_table" : "hub_column";
        } else if (c->origin != site) {
            foreign = true;
        }
    }
    if (*reason == NULL && note_shown(r, site, m, in) != PERCHE_OK)
        return r->fail;
    return foreign && !t->is_system && *reason == NULL ? recovery_took(r, site, m) : PERCHE_OK;
}

#define REFUSED_COLUMNS_MAX (PERCHE_COLUMNS_MAX * (PERCHE_NAME_BYTES_MAX + 1u)) /* what an answer carries */

static bool names_column(const char *list, const char *name, size_t n)
{
    for (const char *at = list; (at = strstr(at, name)) != NULL; at++)
        if ((at == list || at[-1] == ',') && (at[n] == '\0' || at[n] == ','))
            return true;
    return false;
}

/* @columns, and those of a refusal of the same row that the site has not read yet: it hears of both with one. */
static enum perche_rc unheard_columns(struct replica *r, uint32_t site, const struct meta *m, const char *columns, char *out)
{
    sqlite3_stmt *s = sql(r, SQL_REFUSAL_HAS);
    struct peer peer;
    uint64_t lsn = 0;
    size_t used;
    enum perche_rc rc;

    out[0] = '\0';
    sqlite3_bind_int64(s, 1, site);
    sqlite3_bind_int64(s, 2, m->table->num);
    sqlite3_bind_blob(s, 3, m->key, (int)m->key_n, SQLITE_STATIC);
    if (sql_row(r, s)) {
        lsn = (uint64_t)sqlite3_column_int64(s, 0);
        (void)snprintf(out, REFUSED_COLUMNS_MAX + 1, "%s", (const char *)sqlite3_column_text(s, 1));
    }
    sql_done(s);
    rc = r->fail == PERCHE_OK && lsn != 0 ? peer_load(r, site, &peer) : r->fail;
    if (rc != PERCHE_OK || lsn == 0 || lsn <= peer.scan) {
        (void)snprintf(out, REFUSED_COLUMNS_MAX + 1, "%s", columns);
        return rc;
    }
    if (columns[0] == '\0' || out[0] == '\0') { /* the whole row */
        out[0] = '\0';
        return PERCHE_OK;
    }
    used = strlen(out);
    for (uint32_t i = 0; i < m->table->columns_count; i++) {
        const char *name = m->table->columns[i].name;
        size_t n = strlen(name);

        if (!names_column(columns, name, n) || names_column(out, name, n))
            continue;
        if (used + n + 1 > REFUSED_COLUMNS_MAX) { /* columns that are gone take the room */
            out[0] = '\0';
            return PERCHE_OK;
        }
        used += (size_t)snprintf(out + used, REFUSED_COLUMNS_MAX + 1 - used, ",%s", name);
    }
    return PERCHE_OK;
}

enum perche_rc refuse(struct replica *r, uint32_t site, struct meta *m, const char *columns, const char *reason)
{
    char all[REFUSED_COLUMNS_MAX + 1];
    sqlite3_stmt *s;
    enum perche_rc rc = unheard_columns(r, site, m, columns, all);

    if (rc != PERCHE_OK)
        return rc;
    s = sql(r, SQL_REFUSAL_PUT);
    sqlite3_bind_int64(s, 1, site);
    sqlite3_bind_int64(s, 2, m->table->num);
    sqlite3_bind_blob(s, 3, m->key, (int)m->key_n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 4, (sqlite3_int64)next_lsn(r));
    sqlite3_bind_text(s, 5, all, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 6, reason, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 7, (sqlite3_int64)r->now_ms);
    rc = sql_run(r, s, "refuse a row");
    if (rc == PERCHE_OK && columns[0] == '\0') { /* what of the row came before it goes with it */
        s = prepare(r, "DELETE FROM perche_parked WHERE tab = ?1 AND key = ?2 AND via = ?3");
        if (s == NULL)
            return r->fail;
        sqlite3_bind_text(s, 1, m->table->name, -1, SQLITE_STATIC);
        sqlite3_bind_blob(s, 2, m->key, (int)m->key_n, SQLITE_STATIC);
        sqlite3_bind_int64(s, 3, site);
        rc = sql_run(r, s, "end what waited for a refused row");
        sqlite3_finalize(s);
    }
    if (rc == PERCHE_OK)
        rc = note_add(r, NOTE_REFUSED, m->table->name, reason, name_text(r, site), 1);
    return rc == PERCHE_OK ? scope_woken(r, site, 0) : rc;
}
