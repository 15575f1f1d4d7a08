/* What a site may write, judged at the hub before anything of a row is merged (P7).
 * Unlawful cells are refused one by one; the whole row when it is new or outside. A
 * refusal is an entry with a position for that site, without values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/position.h"
#include "replica/statements.h"

#define FIXED_AHEAD_MS (UINT64_C(366) * 86400000) /* a clock a year ahead is implausible: it stamps by another */

bool rights_left(struct replica *r, uint32_t site, uint32_t tab, const uint8_t *key, uint32_t key_n)
{
    sqlite3_stmt *s = sql(r, SQL_LEFT_HAS);
    bool has;

    sqlite3_bind_int64(s, 1, site);
    sqlite3_bind_int64(s, 2, tab);
    sqlite3_bind_blob(s, 3, key, (int)key_n, SQLITE_STATIC);
    has = sql_row(r, s);
    sql_done(s);
    return has;
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

static bool holds(struct replica *r, uint32_t site, const struct meta *m)
{
    return scope_holds(r, m->scope, site) || rights_left(r, site, m->table->num, m->key, m->key_n);
}

/* @m names a row that is not here. */
static enum perche_rc note_named(struct replica *r, const struct meta *m, const struct table *t, const uint8_t *key, uint32_t key_n)
{
    sqlite3_stmt *s = sql(r, SQL_NAMED_PUT);

    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_blob(s, 2, key, (int)key_n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, m->table->num);
    sqlite3_bind_blob(s, 4, m->key, (int)m->key_n, SQLITE_STATIC);
    sqlite3_bind_int(s, 5, recovering(r));
    r->named = NAMED_SOME;
    return sql_run(r, s, "note a row that names another");
}

/* A relative named by the row @by: held, or not here and not refused, and then judged when it arrives; else no door opens. */
static enum perche_rc relative_ok(struct replica *r, uint32_t site, const struct meta *by, struct table *t, const uint8_t *key,
                                  uint32_t key_n, bool *ok)
{
    struct meta m;
    enum perche_rc rc = meta_load(r, t, (struct perche_bytes){key, key_n}, &m);

    if (rc != PERCHE_OK)
        return rc;
    *ok = m.stored ? holds(r, site, &m) : WITHOUT(B10_CHILDREN) || !refused_before(r, site, t->num, key, key_n);
    *ok = *ok || recovering(r); /* nothing is judged then, only noted */
    if (!m.stored && *ok)
        rc = note_named(r, by, t, key, key_n);
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
            struct column *via;
            uint8_t key[PERCHE_KEY_BYTES_MAX];
            uint32_t key_n;
            enum perche_rc rc;

            if (part->child_site == NULL || strcmp(part->table, t->name) != 0)
                continue;
            via = table_column((struct table *)(uintptr_t)t, part->child_via);
            if (via == NULL || values[via->num].type == PERCHE_NULL ||
                perche_key_encode(&values[via->num], 1, key, &key_n) != PERCHE_OK)
                continue;
            rc = relative_ok(r, site, m, parent, key, key_n, ok);
            if (rc != PERCHE_OK)
                return rc;
        }
    }
    return PERCHE_OK;
}

/* A relative of the row has left the site, which cannot have known it when it wrote: until `done` passes the mark, its
 * edits and new children are taken (DESIGN 4.6). */
static bool relative_left(struct replica *r, uint32_t site, struct meta *m, const struct perche_value *values)
{
    for (uint32_t i = 0; m->table->rule == RULE_PARENT && i < m->table->parts_count; i++) {
        struct table *parent;
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t key_n;

        if (scope_parent_key(r, m, values, i, &parent, key, &key_n) && rights_left(r, site, parent->num, key, key_n))
            return true;
    }
    return false;
}

/* Does the child row bring its site into the set of the row that it names? */
static bool brings(struct table *t, const struct rule_part *part, const struct perche_value *values)
{
    const struct column *site = table_column(t, part->child_site), *via = table_column(t, part->child_via);
    const struct column *cond = part->cond_column == NULL ? NULL : table_column(t, part->cond_column);
    bool in = false;

    if (via == NULL || values[via->num].type == PERCHE_NULL || (site != NULL && values[site->num].type == PERCHE_NULL))
        return false;
    for (uint32_t i = 0; cond != NULL && values[cond->num].type == PERCHE_TEXT && i < part->cond_values_count; i++)
        in |= values[cond->num].n == strlen(part->cond_values[i]) &&
              memcmp(values[cond->num].p, part->cond_values[i], values[cond->num].n) == 0;
    return cond == NULL || in != part->cond_not;
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
            uint8_t key[PERCHE_KEY_BYTES_MAX];
            uint64_t touched = 0;
            uint32_t key_n;
            bool ok = true;
            enum perche_rc rc;

            if (part->child_site == NULL || strcmp(part->table, t->name) != 0 || !brings(t, part, values))
                continue;
            for (int k = 0; k < 3; k++) {
                const struct column *c = names[k] == NULL ? NULL : table_column(t, names[k]);

                touched |= c == NULL ? 0 : changed & UINT64_C(1) << (c->num - 1);
            }
            if (touched == 0 || perche_key_encode(&values[table_column(t, part->child_via)->num], 1, key, &key_n) != PERCHE_OK)
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

/* Does the cell give the row to a site that nobody knows? It would leave its author and come to nobody. */
static bool nobodys(struct replica *r, uint32_t site, const struct table *t, uint32_t num, const struct perche_value *v)
{
    const char *own = name_text(r, site);
    sqlite3_stmt *s;
    bool known;

    for (uint32_t p = 0; p < t->parts_count; p++) {
        if (t->parts[p].child_site != NULL || t->parts[p].num != num || t->parts[p].key_index >= 0 || t->rule == RULE_PARENT)
            continue;
        if (v->type != PERCHE_TEXT || (own != NULL && strlen(own) == v->n && memcmp(own, v->p, v->n) == 0))
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

static enum perche_rc judge_new(struct replica *r, uint32_t site, struct meta *m, const struct merge_in *in,
                                const char **reason)
{
    struct table *t = m->table;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    bool ok = true;
    enum perche_rc rc = PERCHE_OK;

    memset(values, 0, m->count * sizeof values[0]);
    for (uint32_t i = 0; i < in->cells_count; i++)
        values[in->cells[i].num] = *in->cells[i].value;
    if (t->rule == RULE_PARENT) {
        rc = parents_ok(r, site, m, values, &ok);
        if (rc == PERCHE_OK && !ok)
            *reason = "parent";
        if (rc != PERCHE_OK || !ok)
            return rc;
    } else if (t->rule == RULE_HUB && !t->mover_holder) {
        *reason = "hub_table";
        return PERCHE_OK;
    } else if (in->gen % 2 == 1 && !t->mover_holder && !scope_may_write(r, t, m, values, site)) {
        *reason = "scope";
        return r->fail;
    }
    for (uint32_t i = 0; i < in->cells_count && in->gen % 2 == 1; i++)
        if (nobodys(r, site, t, in->cells[i].num, in->cells[i].value)) {
            *reason = "site";
            return r->fail;
        }
    if (t->rule == RULE_PARENT && !relative_left(r, site, m, values) && !scope_may_write(r, t, m, values, site)) {
        *reason = "readonly";
        return r->fail;
    }
    rc = member_ok(r, site, m, values, &ok);
    if (rc == PERCHE_OK && !ok)
        *reason = "member";
    return rc != PERCHE_OK ? rc : r->fail;
}

/* A site finds questions by itself, about rows that it holds; one about a row that is not here yet goes to the hub alone. */
static bool may_ask(struct replica *r, uint32_t site, struct table *conflicts, const struct merge_in *in)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1] = {{0}};
    uint32_t scope;

    for (uint32_t i = 0; i < in->cells_count; i++)
        values[in->cells[i].num] = *in->cells[i].value;
    scope = conflict_scope(r, conflicts, values);
    return scope == 0 || scope_holds(r, scope, site);
}

/* A cell that may not be shifted is taken whatever the clock (DESIGN 4.2), but not from a time that no clock can say that
 * was believed before: it would win for ever. */
static bool of_the_future(const struct replica *r, const struct merge_cell *c)
{
    uint64_t known = r->node.stamp >> 16 > r->now_ms ? r->node.stamp >> 16 : r->now_ms;

    return c->fixed && c->stamp > (known + FIXED_AHEAD_MS) << 16;
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
        if (m->stored ? !holds(r, site, m) : !may_ask(r, site, t, in))
            *reason = "scope";
        return r->fail;
    }
    if (t->is_chain)
        return chain_judge(r, site, m, in, reason);
    if (t->rule == RULE_ALL && t->policy == POLICY_HUB) {
        *reason = "hub_table";
        return PERCHE_OK;
    }
    if (!m->stored) {
        rc = judge_new(r, site, m, in, reason);
        if (rc != PERCHE_OK || *reason != NULL)
            return rc;
    } else {
        if (!holds(r, site, m)) {
            *reason = "scope";
            return PERCHE_OK;
        }
        rc = row_values(r, m, values);
        if (rc != PERCHE_OK)
            return rc;
        loaded = true;
        if (t->area != NULL && !rights_left(r, site, t->num, m->key, m->key_n) && !relative_left(r, site, m, values) &&
            !scope_may_write(r, t, m, values, site)) {
            *reason = "readonly";
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
        rc = judge_new(r, site, m, in, reason);
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
        else if (of_the_future(r, c))
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
    return rc == PERCHE_OK ? scope_woken(r, site, 0) : rc;
}

/* ---- named before it was here ---- */

/* Has a row that a site wrote named this one? */
static bool was_named(struct replica *r, const struct meta *m)
{
    sqlite3_stmt *s;
    bool yes;

    if (r->named == NAMED_UNKNOWN) {
        s = sql(r, SQL_NAMED_ANY);
        yes = sql_row(r, s) && sqlite3_column_int(s, 0) != 0;
        sql_done(s);
        if (r->fail == PERCHE_OK)
            r->named = yes ? NAMED_SOME : NAMED_NONE;
    }
    if (r->named != NAMED_SOME)
        return false;
    s = sql(r, SQL_NAMED_FIRST);
    sqlite3_bind_int64(s, 1, m->table->num);
    sqlite3_bind_blob(s, 2, m->key, (int)m->key_n, SQLITE_STATIC);
    yes = sql_row(r, s);
    sql_done(s);
    return yes;
}

/* Is it shown to a hub that still recovers, where nothing is judged? What was taken before that is. */
static bool is_shown(struct replica *r, const struct meta *m, const struct table *t, struct perche_bytes key)
{
    sqlite3_stmt *s;
    bool taken;

    if (!recovering(r))
        return false;
    s = sql(r, SQL_NAMED_HAS);

    sqlite3_bind_int64(s, 1, m->table->num);
    sqlite3_bind_blob(s, 2, m->key, (int)m->key_n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, t->num);
    sqlite3_bind_blob(s, 4, key.p, (int)key.n, SQLITE_STATIC);
    taken = sql_row(r, s) && sqlite3_column_int(s, 0) == 0;
    sql_done(s);
    return !taken;
}

/* A row that makes its site a member of one that was not here when it came. */
struct waiting {
    struct table *table;
    const struct rule_part *part;
    uint32_t key_n, brings, by[3]; /* by: who wrote what makes it so: interned site, VIA_LOCAL = this hub */
    bool lawful;
    uint8_t key[PERCHE_KEY_BYTES_MAX];
};

struct waitings {
    struct waiting *items;
    uint32_t count, cap;
};

static const struct column *deciding(const struct waiting *w, int i)
{
    const char *const names[] = {w->part->child_via, w->part->child_site, w->part->cond_column};

    return names[i] == NULL ? NULL : table_column(w->table, names[i]);
}

static const struct clock_cell *written_cell(const struct meta *m, const struct column *c)
{
    return &m->cells[c != NULL && m->cells[c->num].written ? c->num : 0];
}

/* Is this row one, now? */
static enum perche_rc look_at(struct replica *r, const struct meta *of, struct waitings *all, struct table *t, const struct rule_part *part,
                              struct perche_bytes key, const struct perche_value *parent)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    const struct column *via = table_column(t, part->child_via), *site = table_column(t, part->child_site);
    char id[PERCHE_ID_BYTES_MAX];
    struct waiting *w;
    struct meta m;
    enum perche_rc rc;

    if (via == NULL || site == NULL)
        return PERCHE_OK;
    if (all->count == all->cap) {
        uint32_t cap = all->cap ? 2 * all->cap : 8;
        struct waiting *more = realloc(all->items, cap * sizeof *more);

        if (more == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for the rows that name a row");
        all->items = more;
        all->cap = cap;
    }
    rc = meta_load(r, t, key, &m);
    if (rc == PERCHE_OK && m.stored)
        rc = row_values(r, &m, values);
    if (rc == PERCHE_OK && m.stored && meta_alive(&m) && perche_value_compare(&values[via->num], parent) == 0 &&
        values[site->num].type == PERCHE_TEXT && values[site->num].n < sizeof id && brings(t, part, values)) {
        w = &all->items[all->count++];
        *w = (struct waiting){.table = t, .part = part, .key_n = key.n};
        memcpy(w->key, key.p, key.n);
        memcpy(id, values[site->num].p, values[site->num].n);
        id[values[site->num].n] = '\0';
        w->brings = name_number(r, id);
        w->lawful = is_shown(r, of, t, key);
        for (int i = 0; i < 3; i++) { /* what is older than the name has made it no member */
            const struct clock_cell *c = written_cell(&m, deciding(w, i));

            w->by[i] = c->lsn < written_cell(&m, via)->lsn ? w->by[0] : c->via;
        }
    }
    meta_clear(&m);
    return rc != PERCHE_OK ? rc : r->fail;
}

static enum perche_rc find_waiting(struct replica *r, const struct meta *m, struct waitings *all)
{
    struct perche_value parent[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t n = 0, key_n = 0;
    enum perche_rc rc = PERCHE_OK;

    if (perche_key_decode((struct perche_bytes){m->key, m->key_n}, parent, &n, scratch) != PERCHE_OK || n != 1)
        return PERCHE_OK;
    for (uint32_t p = 0; rc == PERCHE_OK && p < m->table->parts_count; p++) {
        const struct rule_part *part = &m->table->parts[p];
        struct table *t = part->child_site == NULL ? NULL : registry_table(r, part->table);
        sqlite3_str *text;
        sqlite3_stmt *q;
        char *made;

        if (t == NULL || !t->present)
            continue;
        text = sqlite3_str_new(r->db);
        sqlite3_str_appendall(text, "SELECT ");
        for (uint32_t k = 0; k < t->keys_count; k++) {
            sqlite3_str_appendall(text, k ? ", " : "");
            append_name(text, t->keys[k].name);
        }
        sqlite3_str_appendall(text, " FROM ");
        append_name(text, t->name);
        sqlite3_str_appendall(text, " WHERE ");
        append_name(text, part->child_via);
        sqlite3_str_appendall(text, " = ?1");
        made = sqlite3_str_finish(text);
        q = made == NULL ? NULL : prepare(r, made);
        sqlite3_free(made);
        if (q == NULL)
            return r->fail != PERCHE_OK ? r->fail : fail(r, PERCHE_NOMEM, "no memory for the rows that name a row");
        bind_value(q, 1, &parent[0]);
        while (rc == PERCHE_OK && sql_row(r, q)) {
            struct perche_value kv[PERCHE_KEY_COLUMNS_MAX];

            for (uint32_t k = 0; k < t->keys_count; k++)
                column_read(r, q, (int)k, &kv[k]);
            if (perche_key_encode(kv, t->keys_count, key, &key_n) == PERCHE_OK)
                rc = look_at(r, m, all, t, part, (struct perche_bytes){key, key_n}, &parent[0]);
        }
        sqlite3_finalize(q);
        for (key_n = 0; rc == PERCHE_OK && held_next(r, t, key, &key_n);)
            rc = look_at(r, m, all, t, part, (struct perche_bytes){key, key_n}, &parent[0]);
    }
    return rc != PERCHE_OK ? rc : r->fail;
}

#define BELOW_MAX 6 /* as deep as scope rules go */

/* What the site inserted is not here any more, as if it had been refused at once; what it inserted below it neither. */
static enum perche_rc withdraw(struct replica *r, uint32_t site, struct meta *m, const char *reason, int depth)
{
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t key_n;
    struct table *t;
    enum perche_rc rc = refuse(r, site, m, "", reason);

    if (rc == PERCHE_OK)
        rc = scope_gone(r, m, site);
    if (rc == PERCHE_OK)
        rc = row_drop(r, m);
    if (refused_here(r)) /* by a program's trigger */
        return fail(r, PERCHE_STATE, "a trigger of %s does not let go of a row that is refused", m->table->name);
    while (rc == PERCHE_OK && depth < BELOW_MAX && (t = scope_child_of(r, m, site, key, &key_n)) != NULL) {
        struct meta *child = malloc(sizeof *child);

        if (child == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for a row's relative");
        rc = meta_load(r, t, (struct perche_bytes){key, key_n}, child);
        if (rc == PERCHE_OK)
            rc = withdraw(r, site, child, "parent", depth + 1);
        meta_clear(child);
        free(child);
    }
    return rc != PERCHE_OK ? rc : r->fail;
}

/* The value that a cell had before the one it has. */
struct former {
    struct replica *r;
    const struct meta *m;
    const struct column *column;
    struct perche_value value;
    void *bytes;
    uint32_t via;
    bool found;
};

static bool former_row(void *ctx, const struct perche_batch *b, const struct perche_part *part, const struct perche_row *row,
                       uint64_t block, uint64_t at_ms, uint32_t via)
{
    struct former *f = ctx;
    const struct clock_cell *now = &f->m->cells[f->column->num];

    (void)block, (void)at_ms;
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct perche_cell *c = &part->cells[row->cells_first + i];
        bool text = c->value.type == PERCHE_TEXT || c->value.type == PERCHE_BLOB;

        if (strcmp(part->columns[c->col], f->column->name) != 0 ||
            (c->stamp == now->stamp && strcmp(b->names[c->origin], name_text(f->r, now->origin)) == 0))
            continue;
        f->value = c->value;
        if (text && c->value.n > 0) {
            f->bytes = malloc(c->value.n);
            if (f->bytes == NULL) {
                (void)fail(f->r, PERCHE_NOMEM, "no memory for a value");
                return false;
            }
            memcpy(f->bytes, c->value.p, c->value.n);
            f->value.p = f->bytes;
        }
        f->via = via;
        f->found = true;
        return false;
    }
    return row->gen == f->m->gen; /* not of a life before this one */
}

/* The row was there before: the cell is as it was, and its author hears of it. *done: there was a value to go back to. */
static enum perche_rc put_back(struct replica *r, uint32_t site, struct meta *m, const struct column *c, const char *reason, bool *done)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    struct former f = {.r = r, .m = m, .column = c};
    uint64_t bit = UINT64_C(1) << (c->num - 1);
    enum perche_rc rc = history_walk(r, m, former_row, &f);

    rc = rc != PERCHE_OK ? rc : r->fail;
    *done = f.found;
    if (rc == PERCHE_OK && f.found) {
        memset(values, 0, m->count * sizeof values[0]);
        values[c->num] = f.value;
        rc = refuse(r, site, m, c->name, reason);
        if (rc == PERCHE_OK)
            rc = m->flags & META_HELD ? keep_values(r, m, values, bit, true)
                                      : data_update(r, m->table, (struct perche_bytes){m->key, m->key_n}, bit, values);
        m->lsn = next_lsn(r);
        m->cells[c->num] = (struct clock_cell){.stamp = next_stamp(r, r->now_ms), .lsn = m->lsn, .origin = r->node.site_num,
                                               .via = f.via, .written = true}; /* judged again as what it was, should that be missing, too */
        if (rc == PERCHE_OK)
            rc = row_digest(r, m, values, 0);
        if (rc == PERCHE_OK)
            rc = meta_save(r, m);
        if (rc == PERCHE_OK)
            rc = scope_woken(r, m->scope, 0);
        if (rc == PERCHE_OK)
            rc = row_values(r, m, values);
        if (rc == PERCHE_OK)
            rc = scope_follow(r, m, values, 0);
    }
    free(f.bytes);
    return rc;
}

static enum perche_rc refuse_waiting(struct replica *r, const struct waiting *w, const bool *may)
{
    const struct column *c;
    struct meta m;
    bool done = false;
    int i = 0;
    enum perche_rc rc = meta_load(r, w->table, (struct perche_bytes){w->key, w->key_n}, &m);

    if (rc != PERCHE_OK)
        return rc;
    while (i < 2 && may[i])
        i++;
    c = deciding(w, i);
    if (m.stored && written_cell(&m, c)->lsn > m.cells[0].lsn)
        rc = put_back(r, w->by[i], &m, c, "member", &done);
    if (rc == PERCHE_OK && m.stored && !done) /* not stored: it stood below another one */
        rc = withdraw(r, w->by[i], &m, "member", 0);
    meta_clear(&m);
    return rc;
}

static bool may_name(struct replica *r, const struct meta *m, uint32_t own, uint32_t pusher, const struct waitings *all, uint32_t by)
{
    bool may = by == VIA_LOCAL || by == VIA_HUB || by == pusher || scope_holds(r, own, by) || rights_left(r, by, m->table->num, m->key, m->key_n);

    for (uint32_t i = 0; !may && i < all->count; i++)
        may = all->items[i].lawful && all->items[i].brings == by;
    return may;
}

enum perche_rc rights_arrived(struct replica *r, uint32_t pusher, struct meta *m, const struct perche_value *values)
{
    struct perche_value again[PERCHE_COLUMNS_MAX + 1];
    struct waitings all = {0};
    uint32_t own, scope, n;
    const uint32_t *sites;
    bool begun = false, more = true, brought = false;
    enum perche_rc rc;

    if (m->table->rule != RULE_MEMBERS || m->scope == scope_all(r))
        return r->fail;
    own = scope_own(r, m, values);
    n = own == 0 ? 0 : scope_sites(r, m->scope, &sites);
    for (uint32_t i = 0; i < n; i++) { /* the way of nearly every row: nobody else has named it */
        brought |= sites[i] != pusher && !scope_holds(r, own, sites[i]);
        n = scope_sites(r, m->scope, &sites); /* scope_holds may have moved the array */
    }
    if (!brought)
        return r->fail;
    rc = find_waiting(r, m, &all);
    while (rc == PERCHE_OK && more) { /* who was lawfully made a member may make others */
        more = false;
        for (uint32_t i = 0; i < all.count; i++) {
            struct waiting *w = &all.items[i];
            bool ok = true;

            if (w->lawful)
                continue;
            for (int k = 0; k < 3; k++)
                ok = ok && may_name(r, m, own, pusher, &all, w->by[k]);
            w->lawful = ok;
            more |= ok;
        }
    }
    brought = false;
    for (uint32_t i = 0; rc == PERCHE_OK && i < all.count; i++) {
        bool may[3];

        if (all.items[i].lawful)
            continue;
        if (!r->applying) { /* not captured: what a site wrote is not deleted */
            rc = applying_begin(r);
            begun = rc == PERCHE_OK;
        }
        for (int k = 0; k < 3; k++)
            may[k] = may_name(r, m, own, pusher, &all, all.items[i].by[k]);
        if (rc == PERCHE_OK)
            rc = refuse_waiting(r, &all.items[i], may);
        brought = true;
    }
    free(all.items);
    if (begun) {
        enum perche_rc ended = applying_end(r);

        rc = rc != PERCHE_OK ? rc : ended;
    }
    if (rc != PERCHE_OK || !brought)
        return rc != PERCHE_OK ? rc : r->fail;
    rc = row_values(r, m, again);
    if (rc != PERCHE_OK)
        return rc;
    scope = scope_derive(r, m, again, pusher, &m->members);
    if (scope != 0)
        m->scope = scope;
    return r->fail;
}

/* The part of the row's rule by which it names @m as its parent; NULL: it does not, now. */
static const struct rule_part *names_parent(struct replica *r, const struct meta *child, const struct perche_value *values, const struct meta *m)
{
    for (uint32_t i = 0; child->table->rule == RULE_PARENT && i < child->table->parts_count; i++) {
        struct table *parent;
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t key_n;

        if (scope_parent_key(r, child, values, i, &parent, key, &key_n) && parent == m->table && key_n == m->key_n &&
            memcmp(key, m->key, key_n) == 0)
            return &child->table->parts[i];
    }
    return NULL;
}

/* As it would have been if its parent had been here: a new row as one, an edit of the cell that names it as that. */
static enum perche_rc judge_child(struct replica *r, const struct meta *m, struct table *t, struct perche_bytes key, bool shown)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    const struct rule_part *part = NULL;
    const struct column *c;
    const char *reason = NULL;
    bool edit, done = false, begun = false;
    uint32_t by;
    struct meta child;
    enum perche_rc rc = meta_load(r, t, key, &child), ended;

    if (rc == PERCHE_OK && child.stored && meta_alive(&child))
        rc = row_values(r, &child, values);
    if (rc == PERCHE_OK && child.stored && meta_alive(&child))
        part = names_parent(r, &child, values, m);
    if (rc != PERCHE_OK || part == NULL) {
        meta_clear(&child);
        return rc != PERCHE_OK ? rc : r->fail;
    }
    c = part->key_index >= 0 ? NULL : &t->columns[part->num - 1];
    by = written_cell(&child, c)->via;
    edit = written_cell(&child, c)->lsn > child.cells[0].lsn;
    if (!shown && by != VIA_LOCAL && by != VIA_HUB && by != m->cells[0].via) { /* who inserts a row may have begun with its child */
        if (!holds(r, by, m))
            reason = "parent";
        else if (!edit && !relative_left(r, by, &child, values) && !scope_may_write(r, t, &child, values, by))
            reason = "readonly";
        rc = row_values(r, &child, values); /* its relatives were read over it */
    }
    if (rc == PERCHE_OK && reason == NULL)
        rc = scope_follow(r, &child, values, 0);
    if (rc == PERCHE_OK && reason != NULL) {
        if (!r->applying) { /* not captured: what a site wrote is not deleted */
            rc = applying_begin(r);
            begun = rc == PERCHE_OK;
        }
        if (rc == PERCHE_OK && edit)
            rc = put_back(r, by, &child, c, reason, &done);
        if (rc == PERCHE_OK && !done)
            rc = withdraw(r, by, &child, reason, 0);
        ended = begun ? applying_end(r) : PERCHE_OK;
        rc = rc != PERCHE_OK ? rc : ended;
    }
    meta_clear(&child);
    return rc != PERCHE_OK ? rc : r->fail;
}

#define NAMED_PAGE 64u

enum perche_rc rights_parent_arrived(struct replica *r, const struct meta *m)
{
    struct { struct table *table; sqlite3_int64 tab; uint32_t key_n; bool shown; uint8_t key[PERCHE_KEY_BYTES_MAX]; } *page, last = {.tab = -1};
    bool recovers = r->named != NAMED_NONE && recovering(r);
    sqlite3_stmt *s;
    uint32_t n = NAMED_PAGE;
    enum perche_rc rc = PERCHE_OK;

    if (!was_named(r, m))
        return r->fail;
    page = malloc(NAMED_PAGE * sizeof *page);
    if (page == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for the rows that name a row");
    while (rc == PERCHE_OK && n == NAMED_PAGE) {
        s = sql(r, SQL_NAMED_ROWS);
        sqlite3_bind_int64(s, 1, m->table->num);
        sqlite3_bind_blob(s, 2, m->key, (int)m->key_n, SQLITE_STATIC);
        sqlite3_bind_int64(s, 3, last.tab);
        sqlite3_bind_blob(s, 4, last.key, (int)last.key_n, SQLITE_STATIC);
        sqlite3_bind_int64(s, 5, NAMED_PAGE);
        for (n = 0; sql_row(r, s); n++) {
            last.tab = sqlite3_column_int64(s, 0);
            last.table = registry_table_num(r, (uint32_t)last.tab);
            last.key_n = (uint32_t)sqlite3_column_bytes(s, 1);
            memcpy(last.key, sqlite3_column_blob(s, 1), last.key_n);
            last.shown = recovers && sqlite3_column_int(s, 2) != 0;
            page[n] = last;
        }
        sql_done(s);
        rc = r->fail;
        for (uint32_t i = 0; rc == PERCHE_OK && i < n; i++)
            if (page[i].table != NULL && page[i].table->present)
                rc = judge_child(r, m, page[i].table, (struct perche_bytes){page[i].key, page[i].key_n}, page[i].shown);
    }
    free(page);
    if (rc != PERCHE_OK)
        return rc;
    s = sql(r, SQL_NAMED_END);
    sqlite3_bind_int64(s, 1, m->table->num);
    sqlite3_bind_blob(s, 2, m->key, (int)m->key_n, SQLITE_STATIC);
    r->named = NAMED_UNKNOWN;
    return sql_run(r, s, "forget what named a row");
}
