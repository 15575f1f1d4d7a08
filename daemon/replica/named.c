/* Rows that name another one before that is here: a row that makes its site a member of it, or one below it.
 *
 * A site may write such a row, as its own insert of the other may be on its way, and nobody can say yet whose that will
 * be. It is noted (perche_named), and judged when the other arrives, as if that had been here first (DESIGN 4.6:
 * naming an id opens no door). Nothing that a hub is shown while it recovers is judged: nor is that when the other
 * arrives, as long as the recovery lasts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/position.h"
#include "replica/statements.h"
#include "replica/tx.h"

enum perche_rc named_note(struct replica *r, const struct meta *m, const struct table *t, const uint8_t *key, uint32_t key_n)
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

/* Has a row that a site wrote named this one? */
static bool was_named(struct replica *r, const struct table *t, struct perche_bytes key)
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
    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_blob(s, 2, key.p, (int)key.n, SQLITE_STATIC);
    yes = sql_row(r, s);
    sql_done(s);
    return yes;
}

/* Does a row stand here that may make its site a member of this one? It is one now by what the hub has written in it, perhaps. */
static bool stands_before(struct replica *r, const struct table *t, struct perche_bytes key)
{
    struct perche_value parent[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    uint32_t n = 0;
    bool any = false;

    if (perche_key_decode(key, parent, &n, scratch) != PERCHE_OK || n != 1)
        return false;
    for (uint32_t p = 0; !any && r->fail == PERCHE_OK && p < t->parts_count; p++) {
        const struct rule_part *part = &t->parts[p];
        struct table *child = part->child_site == NULL ? NULL : registry_table(r, part->table);
        sqlite3_stmt *q = child == NULL || !child->present ? NULL : scope_naming(r, child, part->child_via, &parent[0]);

        any = q != NULL && sql_row(r, q);
        sqlite3_finalize(q);
    }
    return any;
}

bool named_before(struct replica *r, const struct table *t, struct perche_bytes key)
{
    return was_named(r, t, key) || (t->rule == RULE_MEMBERS && registry_foreign_triggers(r) && stands_before(r, t, key));
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
    struct perche_value via, site, keys[PERCHE_KEY_COLUMNS_MAX], keys_again[PERCHE_KEY_COLUMNS_MAX];
    char id[PERCHE_ID_BYTES_MAX], scratch[37 * PERCHE_KEY_COLUMNS_MAX], scratch_again[37 * PERCHE_KEY_COLUMNS_MAX];
    struct waiting *w;
    struct meta m;
    enum perche_rc rc;

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
    if (rc == PERCHE_OK && m.stored && meta_alive(&m) && scope_named_value(&m, values, part->child_via, &via, keys, scratch) &&
        perche_value_compare(&via, parent) == 0 && scope_named_value(&m, values, part->child_site, &site, keys_again, scratch_again) &&
        site.type == PERCHE_TEXT && site.n < sizeof id && rights_brings(&m, part, values)) {
        w = &all->items[all->count++];
        *w = (struct waiting){.table = t, .part = part, .key_n = key.n};
        memcpy(w->key, key.p, key.n);
        memcpy(id, site.p, site.n);
        id[site.n] = '\0';
        w->brings = name_number(r, id);
        w->lawful = is_shown(r, of, t, key);
        for (int i = 0; i < 3; i++) { /* what is older than the name has made it no member */
            const struct clock_cell *c = written_cell(&m, deciding(w, i));

            w->by[i] = c->lsn < written_cell(&m, deciding(w, 0))->lsn ? w->by[0] : c->via;
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
        sqlite3_stmt *q;

        if (t == NULL || !t->present)
            continue;
        q = scope_naming(r, t, part->child_via, &parent[0]);
        if (q == NULL)
            return r->fail;
        while (rc == PERCHE_OK && sql_row(r, q))
            if (scope_naming_key(r, t, q, key, &key_n))
                rc = look_at(r, m, all, t, part, (struct perche_bytes){key, key_n}, &parent[0]);
        sqlite3_finalize(q);
        for (key_n = 0; rc == PERCHE_OK && held_child_next(r, m->table, (struct perche_bytes){m->key, m->key_n}, t, key, &key_n);)
            rc = look_at(r, m, all, t, part, (struct perche_bytes){key, key_n}, &parent[0]);
    }
    return rc != PERCHE_OK ? rc : r->fail;
}

/* Something of @t does not let what is to be taken back go. */
static void note_whose(struct replica *r, const struct table *t, const char *what)
{
    char whose[sizeof r->in_the_way];

    (void)snprintf(whose, sizeof whose, "%.150s of %s", r->obstacle != NULL ? r->obstacle : what != NULL ? what : "constraint", t->name);
    memcpy(r->in_the_way, whose, sizeof whose); /* which the obstacle may be */
    r->obstacle = r->in_the_way;
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
    if (rc == PERCHE_REFUSED)
        note_whose(r, m->table, m->table->triggers);
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
    struct clock_cell back;
    struct perche_bytes key = {m->key, m->key_n};
    uint64_t bit = UINT64_C(1) << (c->num - 1);
    enum perche_rc rc = history_walk(r, m, former_row, &f);

    rc = rc != PERCHE_OK ? rc : r->fail;
    *done = f.found;
    if (rc == PERCHE_OK && f.found) {
        memset(values, 0, m->count * sizeof values[0]);
        values[c->num] = f.value;
        rc = refuse(r, site, m, c->name, reason);
        if (rc == PERCHE_OK)
            rc = m->flags & META_HELD ? keep_values(r, m, values, bit, true) : data_update(r, m->table, key, bit, values);
        if (rc == PERCHE_NOT_FOUND && (rc = audit_missing(r, m->table, key)) == PERCHE_OK) { /* taken out past the triggers */
            rc = data_update(r, m->table, key, bit, values);
            rc = rc == PERCHE_NOT_FOUND ? PERCHE_OK : rc;
        }
        if (rc == PERCHE_REFUSED)
            note_whose(r, m->table, NULL);
        m->lsn = next_lsn(r);
        back = (struct clock_cell){.stamp = next_stamp(r, r->now_ms), .lsn = m->lsn, .origin = r->node.site_num, .via = f.via,
                                   .written = true}; /* judged again as what it was, should that be missing, too */
        stamp_above(&m->cells[c->num], &back);
        m->cells[c->num] = back;
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

/* Of a value that was written again as it was: who had written it before. */
struct authors {
    struct replica *r;
    const struct meta *m, *of; /* the row that names, and the one that it names */
    const struct column *column;
    const struct perche_value *value;
    uint32_t own, pusher;
    const struct waitings *all;
    bool may;
};

static bool author_row(void *ctx, const struct perche_batch *b, const struct perche_part *part, const struct perche_row *row,
                       uint64_t block, uint64_t at_ms, uint32_t via)
{
    struct authors *a = ctx;

    (void)b, (void)block, (void)at_ms;
    if (row->gen != a->m->gen)
        return false; /* of a life before this one: whoever inserted the key again named it anew */
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct perche_cell *c = &part->cells[row->cells_first + i];

        if (strcmp(part->columns[c->col], a->column->name) != 0)
            continue;
        if (perche_value_compare(&c->value, a->value) != 0)
            return false;
        a->may = may_name(a->r, a->of, a->own, a->pusher, a->all, via);
    }
    return !a->may;
}

/* Was what decides it lawful when it was written, be it by another one? */
static enum perche_rc may_have_named(struct replica *r, const struct meta *m, uint32_t own, uint32_t pusher, const struct waitings *all,
                                     const struct waiting *w, int k, bool *may)
{
    struct authors a = {.r = r, .of = m, .column = deciding(w, k), .own = own, .pusher = pusher, .all = all};
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    struct meta naming;
    enum perche_rc rc;

    *may = may_name(r, m, own, pusher, all, w->by[k]);
    if (*may || a.column == NULL)
        return r->fail;
    rc = meta_load(r, w->table, (struct perche_bytes){w->key, w->key_n}, &naming);
    if (rc == PERCHE_OK && naming.stored) {
        rc = row_values(r, &naming, values);
        a.m = &naming;
        a.value = &values[a.column->num];
        if (rc == PERCHE_OK)
            rc = history_walk(r, &naming, author_row, &a);
        *may = a.may;
    }
    meta_clear(&naming);
    return rc != PERCHE_OK ? rc : r->fail;
}

enum perche_rc named_arrived(struct replica *r, uint32_t pusher, struct meta *m, const struct perche_value *values)
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
            bool ok = rc == PERCHE_OK;

            if (w->lawful)
                continue;
            for (int k = 0; k < 3 && ok; k++)
                rc = may_have_named(r, m, own, pusher, &all, w, k, &ok);
            w->lawful = ok && rc == PERCHE_OK;
            more |= w->lawful;
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
        for (int k = 0; k < 3 && rc == PERCHE_OK; k++)
            rc = may_have_named(r, m, own, pusher, &all, &all.items[i], k, &may[k]);
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
        if (!rights_holds(r, by, m))
            reason = "parent";
        else if (!edit && !rights_relative_left(r, by, &child, values) && !scope_may_write(r, t, &child, values, by))
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

enum perche_rc named_parent_arrived(struct replica *r, const struct meta *m)
{
    struct { struct table *table; sqlite3_int64 tab; uint32_t key_n; bool shown; uint8_t key[PERCHE_KEY_BYTES_MAX]; } *page, last = {.tab = -1};
    bool recovers = r->named != NAMED_NONE && recovering(r);
    sqlite3_stmt *s;
    uint32_t n = NAMED_PAGE;
    enum perche_rc rc = PERCHE_OK;

    if (!was_named(r, m->table, (struct perche_bytes){m->key, m->key_n}))
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
