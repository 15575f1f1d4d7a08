/* A change of a row moves it and its dependants from scope to scope (DESIGN 4.6): each
 * site that gets them gets them whole, each that loses them a mark. All of it is the
 * hub's, and in the transaction of the change. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/apply.h"
#include "replica/statements.h"

enum late { LATE_NOT, LATE_MAY, LATE_AS_IT_WAS }; /* what the mark says of a right to write the row */

/* @stays: nobody tells the site to drop the row: it reads along from now on. */
static enum perche_rc mark_left(struct replica *r, uint32_t site, const struct meta *m, uint64_t lsn, bool stays, enum late late)
{
    sqlite3_stmt *s = sql(r, SQL_LEFT_PUT);

    sqlite3_bind_int64(s, 1, site);
    sqlite3_bind_int64(s, 2, m->table->num);
    sqlite3_bind_blob(s, 3, m->key, (int)m->key_n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 4, (sqlite3_int64)lsn);
    sqlite3_bind_int(s, 5, stays);
    if (late != LATE_AS_IT_WAS)
        sqlite3_bind_int(s, 6, late == LATE_MAY);
    return sql_run(r, s, "mark a row as left");
}

/* It has the row: the mark is not told any more; the right that it gives ends at once only where it is a member's anyway. */
static enum perche_rc unmark_left(struct replica *r, uint32_t site, const struct meta *m)
{
    sqlite3_stmt *s = sql(r, m->members == 0 || scope_holds(r, m->members, site) ? SQL_LEFT_END : SQL_LEFT_STAYS);

    sqlite3_bind_int64(s, 1, site);
    sqlite3_bind_int64(s, 2, m->table->num);
    sqlite3_bind_blob(s, 3, m->key, (int)m->key_n, SQLITE_STATIC);
    return sql_run(r, s, "end a mark");
}

/* They are kept as ended from here on. What the site has sent and is still set aside here was written under their right: they end
 * with the next `done`. */
enum perche_rc left_done(struct replica *r, uint32_t site, uint64_t done)
{
    sqlite3_stmt *s = sql(r, SQL_LEFT_DONE);

    sqlite3_bind_int64(s, 1, site);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)done);
    sqlite3_bind_int64(s, 3, (sqlite3_int64)r->node.lsn);
    return sql_run(r, s, "end marks");
}

/* A site that was put back to where it had heard us up to @full has what left it since, and may write it until it has heard so
 * again: the marks that ended since are made anew, before it pushes (DESIGN 4.6). */
enum perche_rc left_again(struct replica *r, uint32_t site, uint64_t full)
{
    sqlite3_stmt *s;
    enum perche_rc rc;

    if (WITHOUT(B23_MARKS_AGAIN))
        return PERCHE_OK;
    s = sql(r, SQL_LEFT_AGAIN);
    sqlite3_bind_int64(s, 1, site);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)(full > 0 ? full : 1)); /* 0: not ended */
    sqlite3_bind_int64(s, 3, (sqlite3_int64)r->node.lsn);
    rc = sql_run(r, s, "mark rows as left again");
    for (int n = rc == PERCHE_OK ? sqlite3_changes(r->db) : 0; n > 0; n--)
        (void)next_lsn(r); /* theirs */
    return rc;
}

/* Could the site, which has held the row, write it when @members (0 = all) were its sites without its readers? One who only reads gets
 * no right by leaving. It may have read several of them; where nothing says what it could it is taken to have been able. */
static enum late could_write(struct replica *r, const struct meta *m, uint32_t members, uint32_t site)
{
    const uint32_t *sites;
    bool said = false, may = members == 0 || scope_holds(r, members, site);

    for (uint32_t i = 0; !may && i < scope_sites(r, members, &sites); i++) {
        sqlite3_stmt *s = sql(r, SQL_READER_MAY);

        sqlite3_bind_text(s, 1, name_text(r, sites[i]), -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, name_text(r, site), -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 3, m->table->area, -1, SQLITE_STATIC);
        if (sql_row(r, s)) {
            said = true;
            may = sqlite3_column_int(s, 0) == 1;
        }
        sql_done(s);
    }
    return may || !said ? LATE_MAY : LATE_NOT;
}

/* Every site that lost the row gets a mark, every one that has it now loses its. Who was a member (@before: then, 0 = all of
 * @old) and only reads it now gets one that is not told: its row stays, and what it wrote while it could not know is taken.
 * @lsn: of the marks; whoever has heard that far has heard of it. */
static enum perche_rc marks(struct replica *r, const struct meta *m, uint32_t old, uint32_t before, uint64_t lsn)
{
    const uint32_t *sites;
    enum perche_rc rc = PERCHE_OK;

    if (m->scope == scope_all(r) || old == scope_all(r) || old == 0)
        return r->fail;
    for (uint32_t i = 0; rc == PERCHE_OK && m->scope != old && i < scope_sites(r, m->scope, &sites); i++)
        rc = WITHOUT(B6_BACK_AT_HUB) ? PERCHE_OK : unmark_left(r, sites[i], m);
    for (uint32_t i = 0; rc == PERCHE_OK && i < scope_sites(r, old, &sites); i++) {
        uint32_t site = sites[i];

        if (site == r->node.site_num)
            continue;
        if (!scope_holds(r, m->scope, site)) {
            rc = mark_left(r, site, m, lsn, false, could_write(r, m, before, site));
            if (rc == PERCHE_OK)
                rc = scope_woken(r, site, 0);
        } else if (m->members != 0 && !scope_holds(r, m->members, site) && (before == 0 || scope_holds(r, before, site))) {
            rc = mark_left(r, site, m, lsn, true, LATE_MAY);
        }
    }
    return rc;
}

enum perche_rc scope_gone(struct replica *r, const struct meta *m, uint32_t but)
{
    const uint32_t *sites;
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; rc == PERCHE_OK && i < scope_sites(r, m->scope, &sites); i++) {
        uint32_t site = sites[i];

        if (site == but || site == r->node.site_num)
            continue;
        rc = mark_left(r, site, m, next_lsn(r), false, could_write(r, m, m->members, site));
        if (rc == PERCHE_OK)
            rc = woken_add(r, site);
    }
    return rc;
}

/* One row of @t; with @of only if its column @of names this parent. @dead: is it a tombstone? May be NULL. */
static enum perche_rc follow_row(struct replica *r, struct table *t, struct perche_bytes key, const struct rule_part *of,
                                 const struct perche_value *parent, uint32_t pusher, bool *dead)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1], v, keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    struct meta *m = malloc(sizeof *m);
    enum perche_rc rc = m == NULL ? fail(r, PERCHE_NOMEM, "no memory for a row's relative") : meta_load(r, t, key, m);

    if (rc == PERCHE_OK && m->stored) {
        if (dead != NULL)
            *dead = !meta_alive(m);
        rc = row_values(r, m, values);
        if (rc == PERCHE_OK &&
            (of == NULL || (scope_part_value(m, values, of, &v, keys, scratch) && perche_value_compare(&v, parent) == 0)))
            rc = scope_follow(r, m, values, pusher);
    }
    if (m != NULL)
        meta_clear(m);
    free(m);
    return rc;
}

sqlite3_stmt *scope_naming(struct replica *r, const struct table *t, const char *column, const struct perche_value *key)
{
    sqlite3_str *text = sqlite3_str_new(r->db);
    sqlite3_stmt *q;
    char *made;

    sqlite3_str_appendall(text, "SELECT ");
    for (uint32_t k = 0; k < t->keys_count; k++) {
        sqlite3_str_appendall(text, k ? ", " : "");
        append_name(text, t->keys[k].name);
    }
    sqlite3_str_appendall(text, " FROM ");
    append_name(text, t->name);
    sqlite3_str_appendall(text, " WHERE ");
    append_name(text, column);
    sqlite3_str_appendall(text, " = ?1");
    made = sqlite3_str_finish(text);
    q = made == NULL ? NULL : prepare(r, made);
    sqlite3_free(made);
    if (q == NULL && r->fail == PERCHE_OK)
        (void)fail(r, PERCHE_NOMEM, "no memory for the rows of a table");
    if (q != NULL)
        bind_value(q, 1, key);
    return q;
}

bool scope_naming_key(struct replica *r, const struct table *t, sqlite3_stmt *q, uint8_t *key, uint32_t *key_n)
{
    struct perche_value kv[PERCHE_KEY_COLUMNS_MAX];

    for (uint32_t k = 0; k < t->keys_count; k++)
        column_read(r, q, (int)k, &kv[k]);
    return perche_key_encode(kv, t->keys_count, key, key_n) == PERCHE_OK;
}

/* The row of @t whose key the statement's first columns are. */
static enum perche_rc follow_key(struct replica *r, struct table *t, sqlite3_stmt *q, uint32_t pusher)
{
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t key_n;

    if (!scope_naming_key(r, t, q, key, &key_n))
        return PERCHE_OK; /* no key of a replicated row */
    return follow_row(r, t, (struct perche_bytes){key, key_n}, NULL, NULL, pusher, NULL);
}

/* Held rows, which no statement finds: those whose column @of names @parent. */
static enum perche_rc follow_held(struct replica *r, struct table *t, const struct rule_part *of,
                                  const struct perche_value *parent, uint32_t pusher)
{
    struct table *above = registry_table(r, of->table);
    uint8_t above_key[PERCHE_KEY_BYTES_MAX], key[PERCHE_KEY_BYTES_MAX];
    uint32_t above_n, key_n = 0;
    enum perche_rc rc = PERCHE_OK;

    if (above == NULL || perche_key_encode(parent, 1, above_key, &above_n) != PERCHE_OK)
        return PERCHE_OK;
    while (rc == PERCHE_OK && held_child_next(r, above, (struct perche_bytes){above_key, above_n}, t, key, &key_n))
        rc = follow_row(r, t, (struct perche_bytes){key, key_n}, of, parent, pusher, NULL);
    return rc;
}

/* ---- tombstones, which no statement finds either ---------------------------- */

static enum perche_rc dead_run(struct replica *r, sqlite3_stmt *s, const struct table *parent, struct perche_bytes parent_key,
                               const struct table *t, struct perche_bytes key)
{
    sqlite3_bind_int64(s, 1, parent->num);
    sqlite3_bind_blob(s, 2, parent_key.p, (int)parent_key.n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, t->num);
    sqlite3_bind_blob(s, 4, key.p, (int)key.n, SQLITE_STATIC);
    return sql_run(r, s, "remember whose child is deleted");
}

static enum perche_rc dead_each(struct replica *r, struct meta *m, bool put)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    struct table *parent;
    uint32_t key_n;
    enum perche_rc rc = PERCHE_OK;

    if (m->table->rule != RULE_PARENT)
        return PERCHE_OK;
    rc = row_values(r, m, values); /* what it kept */
    for (uint32_t i = 0; rc == PERCHE_OK && i < m->table->parts_count; i++)
        if (scope_parent_key(r, m, values, i, &parent, key, &key_n))
            rc = dead_run(r, sql(r, put ? SQL_DEAD_CHILD_PUT : SQL_DEAD_CHILD_END), parent, (struct perche_bytes){key, key_n},
                          m->table, (struct perche_bytes){m->key, m->key_n});
    return rc;
}

enum perche_rc scope_dead_put(struct replica *r, struct meta *m)
{
    return dead_each(r, m, true);
}

enum perche_rc scope_dead_end(struct replica *r, struct meta *m)
{
    return dead_each(r, m, false);
}

/* The entry beyond @key (none yet: key_n 0), into @key. */
static bool dead_next(struct replica *r, const struct table *parent, struct perche_bytes parent_key, const struct table *t,
                      uint8_t *key, uint32_t *key_n)
{
    sqlite3_stmt *s = sql(r, SQL_DEAD_CHILD_NEXT);

    sqlite3_bind_int64(s, 1, parent->num);
    sqlite3_bind_blob(s, 2, parent_key.p, (int)parent_key.n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, t->num);
    sqlite3_bind_blob(s, 4, key, (int)*key_n, SQLITE_STATIC);
    return sql_key(r, s, key, key_n);
}

/* Those whose column @of names @parent. An entry of what lives again, or is gone, goes. */
static enum perche_rc follow_dead(struct replica *r, struct table *t, const struct rule_part *of,
                                  const struct perche_value *parent, uint32_t pusher)
{
    struct table *above = registry_table(r, of->table);
    uint8_t above_key[PERCHE_KEY_BYTES_MAX], key[PERCHE_KEY_BYTES_MAX];
    uint32_t above_n, key_n = 0;
    enum perche_rc rc = PERCHE_OK;

    if (above == NULL || perche_key_encode(parent, 1, above_key, &above_n) != PERCHE_OK)
        return PERCHE_OK;
    while (rc == PERCHE_OK && dead_next(r, above, (struct perche_bytes){above_key, above_n}, t, key, &key_n)) {
        bool dead = false;

        rc = follow_row(r, t, (struct perche_bytes){key, key_n}, of, parent, pusher, &dead);
        if (rc == PERCHE_OK && !dead)
            rc = dead_run(r, sql(r, SQL_DEAD_CHILD_END), above, (struct perche_bytes){above_key, above_n}, t, (struct perche_bytes){key, key_n});
    }
    return rc != PERCHE_OK ? rc : r->fail;
}

bool scope_dead_next(struct replica *r, const struct table *t, uint8_t *key, uint32_t *key_n)
{
    sqlite3_stmt *s = sql(r, SQL_DEAD_NEXT);

    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_blob(s, 2, key, (int)*key_n, SQLITE_STATIC);
    return sql_key(r, s, key, key_n);
}

/* ---- children --------------------------------------------------------------- */

/* Calls for each table and part that make a scope from a row like @m: @q finds the keys of its live rows. */
typedef enum perche_rc (*children_cb)(struct replica *r, struct table *t, const struct rule_part *part, sqlite3_stmt *q,
                                      const struct perche_value *key, void *ctx);

static enum perche_rc each_children(struct replica *r, const struct meta *m, children_cb cb, void *ctx)
{
    struct perche_value key_values[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    uint32_t n = 0;
    enum perche_rc rc = PERCHE_OK;

    if (perche_key_decode((struct perche_bytes){m->key, m->key_n}, key_values, &n, scratch) != PERCHE_OK || n != 1)
        return PERCHE_OK;
    for (uint32_t i = 0; rc == PERCHE_OK && registry_at(r, i) != NULL; i++) {
        struct table *t = registry_at(r, i);

        if (t->rule != RULE_PARENT || !t->present)
            continue;
        for (uint32_t p = 0; rc == PERCHE_OK && p < t->parts_count; p++) {
            const char *column;
            sqlite3_stmt *q;

            if (strcmp(t->parts[p].table, m->table->name) != 0)
                continue;
            column = t->parts[p].key_index >= 0 ? t->keys[t->parts[p].key_index].name : t->columns[t->parts[p].num - 1].name;
            q = scope_naming(r, t, column, &key_values[0]);
            if (q == NULL)
                return r->fail;
            rc = cb(r, t, &t->parts[p], q, &key_values[0], ctx);
            sqlite3_finalize(q);
        }
    }
    return rc;
}

static enum perche_rc follow_them(struct replica *r, struct table *t, const struct rule_part *part, sqlite3_stmt *q,
                                  const struct perche_value *key, void *ctx)
{
    const uint32_t *pusher = ctx;
    enum perche_rc rc = PERCHE_OK;

    while (rc == PERCHE_OK && sql_row(r, q))
        rc = follow_key(r, t, q, *pusher);
    if (rc == PERCHE_OK)
        rc = follow_held(r, t, part, key, *pusher);
    return rc == PERCHE_OK && !WITHOUT(B3_TOMBSTONES) ? follow_dead(r, t, part, key, *pusher) : rc;
}

/* Follows each row, alive or dead, whose column names the key of @m. */
static enum perche_rc follow_children(struct replica *r, const struct meta *m, uint32_t pusher)
{
    return each_children(r, m, follow_them, &pusher);
}

static enum perche_rc any_of_them(struct replica *r, struct table *t, const struct rule_part *part, sqlite3_stmt *q,
                                  const struct perche_value *key, void *ctx)
{
    uint8_t held[PERCHE_KEY_BYTES_MAX];
    uint32_t held_n = 0;
    bool *any = ctx;

    (void)part;
    (void)key;
    *any = *any || sql_row(r, q) || held_next(r, t, held, &held_n); /* whose a held one is needs no look: it is not for long */
    return r->fail;
}

bool scope_has_children(struct replica *r, const struct meta *m)
{
    bool any = false;

    return each_children(r, m, any_of_them, &any) != PERCHE_OK || any;
}

struct inserted {
    uint32_t site;
    struct table *table;
    uint8_t *key;
    uint32_t key_n;
};

static enum perche_rc inserted_by(struct replica *r, struct table *t, const struct rule_part *part, sqlite3_stmt *q,
                                  const struct perche_value *key, void *ctx)
{
    struct inserted *one = ctx;
    enum perche_rc rc = PERCHE_OK;

    (void)part;
    (void)key;
    while (rc == PERCHE_OK && one->table == NULL && sql_row(r, q)) {
        struct meta *m;

        if (!scope_naming_key(r, t, q, one->key, &one->key_n))
            continue;
        m = malloc(sizeof *m);
        if (m == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for a row's relative");
        rc = meta_load(r, t, (struct perche_bytes){one->key, one->key_n}, m);
        if (rc == PERCHE_OK && m->stored && m->cells[0].via == one->site)
            one->table = t;
        meta_clear(m);
        free(m);
    }
    return rc != PERCHE_OK ? rc : r->fail;
}

struct table *scope_child_of(struct replica *r, const struct meta *m, uint32_t site, uint8_t *key, uint32_t *key_n)
{
    struct inserted one = {.site = site, .key = key};

    if (each_children(r, m, inserted_by, &one) != PERCHE_OK)
        return NULL;
    *key_n = one.key_n;
    return one.table;
}

#define MEMBERS_OF_MAX 4 /* rows that one row makes its site a member of: each a column of a `members` rule */

struct member_of {
    struct table *table;
    uint32_t key_n;
    uint8_t key[PERCHE_KEY_BYTES_MAX];
};

/* The rows whose set this one has a part in. Taken before anything else is followed: @values are borrowed from a
 * statement that reading a relative uses again. */
static uint32_t members_of(struct replica *r, const struct meta *m, const struct perche_value *values, struct member_of *out)
{
    struct table *t;
    uint32_t n = 0;

    for (uint32_t i = 0; m->table->member_child && (t = registry_at(r, i)) != NULL; i++) {
        for (uint32_t p = 0; t->rule == RULE_MEMBERS && p < t->parts_count && n < MEMBERS_OF_MAX; p++) {
            const struct rule_part *part = &t->parts[p];
            struct perche_value via, keys[PERCHE_KEY_COLUMNS_MAX];
            char scratch[37 * PERCHE_KEY_COLUMNS_MAX];

            if (part->child_site == NULL || strcmp(part->table, m->table->name) != 0)
                continue;
            if (!scope_named_value(m, values, part->child_via, &via, keys, scratch) || perche_key_encode(&via, 1, out[n].key, &out[n].key_n) != PERCHE_OK)
                continue;
            out[n++].table = t;
        }
    }
    return n;
}

static enum perche_rc follow_members(struct replica *r, const struct member_of *of, uint32_t n, uint32_t pusher)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; rc == PERCHE_OK && i < n; i++) {
        struct meta *o = malloc(sizeof *o);

        if (o == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for a row's relative");
        rc = meta_load(r, of[i].table, (struct perche_bytes){of[i].key, of[i].key_n}, o);
        if (rc == PERCHE_OK && o->stored) {
            rc = row_values(r, o, values);
            if (rc == PERCHE_OK)
                rc = scope_follow(r, o, values, pusher);
        }
        meta_clear(o);
        free(o);
    }
    return rc;
}

/* ---- who reads along ---------------------------------------------------------- */

/* A row of site_reader was written: what it says waits for scope_readers(). */
static enum perche_rc reader_changed(struct replica *r, const struct meta *m, const struct perche_value *values)
{
    const struct column *may = table_column(m->table, "may_write");
    struct perche_value keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    sqlite3_stmt *s;
    uint32_t n = 0;

    if (perche_key_decode((struct perche_bytes){m->key, m->key_n}, keys, &n, scratch) != PERCHE_OK || n != 3)
        return PERCHE_OK;
    for (int i = 0; i < 3; i++)
        if (keys[i].type != PERCHE_TEXT)
            return PERCHE_OK; /* no site's, and no area's */
    s = sql(r, SQL_READER_PUT);
    for (int i = 0; i < 3; i++)
        bind_value(s, 1 + i, &keys[i]);
    sqlite3_bind_int(s, 4, !meta_alive(m) ? -1 : may != NULL && values[may->num].type == PERCHE_INTEGER && values[may->num].i == 1);
    r->readers = true;
    return sql_run(r, s, "note who reads along");
}

#define PAGE_ROWS PERCHE_BOUND(256u, 3u)

struct page {
    uint32_t count;
    struct { uint32_t tab, key_n; uint8_t key[PERCHE_KEY_BYTES_MAX]; } rows[PAGE_ROWS];
};

/* Rows of the @area in the scope, beyond *lsn and up to @last; false: there are no more. */
static bool page_next(struct replica *r, uint32_t scope, const char *area, uint64_t *lsn, uint64_t last, struct page *page)
{
    sqlite3_stmt *s = sql(r, SQL_SCOPE_KEYS);
    bool more = true;

    page->count = 0;
    sqlite3_bind_int64(s, 1, scope);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)*lsn);
    sqlite3_bind_int64(s, 3, (sqlite3_int64)last);
    while (page->count < PAGE_ROWS && (more = sql_row(r, s))) {
        const struct table *t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 1));

        *lsn = (uint64_t)sqlite3_column_int64(s, 0);
        if (t == NULL || !t->present || t->area == NULL || strcmp(t->area, area) != 0 || sqlite3_column_bytes(s, 2) > PERCHE_KEY_BYTES_MAX)
            continue;
        page->rows[page->count].tab = t->num;
        page->rows[page->count].key_n = (uint32_t)sqlite3_column_bytes(s, 2);
        memcpy(page->rows[page->count].key, sqlite3_column_blob(s, 2), (size_t)sqlite3_column_bytes(s, 2));
        page->count++;
    }
    sql_done(s);
    return more;
}

/* A row of which @site is a member. One that is missing in its table is not followed: what it says there is not known for certain. */
static enum perche_rc follow_member(struct replica *r, struct table *t, struct perche_bytes key, uint32_t site)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    struct meta *m = malloc(sizeof *m);
    enum perche_rc rc = m == NULL ? fail(r, PERCHE_NOMEM, "no memory for a row that is read") : meta_load(r, t, key, m);
    bool follows = rc == PERCHE_OK && m->stored && (m->members == 0 || scope_holds(r, m->members, site));

    if (follows && !meta_alive(m))
        follows = !WITHOUT(B3_TOMBSTONES);
    else if (follows && !(m->flags & META_HELD))
        follows = data_exists(r, t, key) == PERCHE_OK;
    if (follows)
        rc = row_values(r, m, values);
    if (follows && rc == PERCHE_OK)
        rc = scope_follow(r, m, values, 0);
    if (m != NULL)
        meta_clear(m);
    free(m);
    return rc != PERCHE_OK ? rc : r->fail;
}

/* Another scope of @site's, beyond @scope; 0: there is none. */
static uint32_t scope_next(struct replica *r, uint32_t site, uint32_t scope)
{
    sqlite3_stmt *s = sql(r, SQL_SCOPE_NEXT);

    sqlite3_bind_int64(s, 1, site);
    sqlite3_bind_int64(s, 2, scope);
    scope = sql_row(r, s) ? (uint32_t)sqlite3_column_int64(s, 0) : 0;
    sql_done(s);
    return scope;
}

/* The rows of the area that are @site's. Those that get another scope meanwhile stand beyond @last there. */
static enum perche_rc follow_area(struct replica *r, uint32_t site, const char *area, struct page *page)
{
    uint64_t last = r->node.lsn;
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t scope = 0; rc == PERCHE_OK && (scope = scope_next(r, site, scope)) != 0;) {
        uint64_t lsn = 0;
        bool more = true;

        while (rc == PERCHE_OK && more) {
            more = page_next(r, scope, area, &lsn, last, page);
            rc = r->fail;
            for (uint32_t i = 0; rc == PERCHE_OK && i < page->count; i++)
                rc = follow_member(r, registry_table_num(r, page->rows[i].tab), (struct perche_bytes){page->rows[i].key, page->rows[i].key_n}, site);
        }
    }
    return rc != PERCHE_OK ? rc : r->fail;
}

struct read {
    int64_t n;
    char site[PERCHE_ID_BYTES_MAX], area[PERCHE_NAME_BYTES_MAX];
};

/* A site and area whose readers are others now, the next one; false: there are no more. */
static bool read_next(struct replica *r, struct read *read)
{
    sqlite3_stmt *s = sql(r, SQL_READER_MOVED);
    bool found;

    sqlite3_bind_int64(s, 1, read->n);
    found = sql_row(r, s);
    if (found) {
        read->n = sqlite3_column_int64(s, 0);
        (void)snprintf(read->site, sizeof read->site, "%s", (const char *)sqlite3_column_text(s, 1));
        (void)snprintf(read->area, sizeof read->area, "%s", (const char *)sqlite3_column_text(s, 2));
    }
    sql_done(s);
    return found;
}

enum perche_rc scope_readers(struct replica *r)
{
    struct read read = {.n = 0};
    struct page *page;
    enum perche_rc rc = PERCHE_OK;

    if (!r->readers)
        return PERCHE_OK;
    r->readers = false;
    page = malloc(sizeof *page);
    if (page == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for the rows that are read");
    while (rc == PERCHE_OK && read_next(r, &read))
        rc = follow_area(r, name_number(r, read.site), read.area, page);
    free(page);
    if (rc == PERCHE_OK)
        rc = r->fail;
    if (rc == PERCHE_OK)
        rc = sql_run(r, sql(r, SQL_READER_END), "note who reads along");
    return rc == PERCHE_OK ? sql_run(r, sql(r, SQL_READER_MADE), "note who reads along") : rc;
}

#define ORPHANS_LOOKED 20000 /* beyond there may be some */

bool scope_orphans(struct replica *r)
{
    sqlite3_stmt *s = sql(r, SQL_HUBS_ALONE);
    uint32_t looked = 0;
    bool found = false;

    sqlite3_bind_int(s, 1, ORPHANS_LOOKED);
    while (!found && sql_row(r, s)) {
        const struct table *t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 0));

        found = t != NULL && t->rule == RULE_PARENT;
        looked++;
    }
    sql_done(s);
    return found || looked == ORPHANS_LOOKED;
}

/* A row whose relatives are being followed, further up this stack. */
struct followed {
    const struct meta *m;
    const struct followed *above;
};

static bool is_followed(const struct replica *r, const struct meta *m)
{
    for (const struct followed *f = r->followed; f != NULL; f = f->above)
        if (f->m->table == m->table && f->m->key_n == m->key_n && memcmp(f->m->key, m->key, m->key_n) == 0)
            return true;
    return false;
}

static enum perche_rc follow_relatives(struct replica *r, const struct meta *m, bool children, const struct member_of *of, uint32_t of_count, uint32_t pusher)
{
    const struct followed here = {m, r->followed};
    enum perche_rc rc = PERCHE_OK;

    r->followed = &here;
    if (children)
        rc = follow_children(r, m, pusher);
    if (rc == PERCHE_OK)
        rc = follow_members(r, of, of_count, pusher);
    r->followed = here.above;
    return rc;
}

enum perche_rc scope_follow(struct replica *r, struct meta *m, const struct perche_value *values, uint32_t pusher)
{
    struct member_of of[MEMBERS_OF_MAX];
    uint32_t old = m->scope, before = m->members, scope, members = 0, of_count;
    bool moved, is_new;
    enum perche_rc rc = PERCHE_OK;

    assert(r->hub);
    of_count = members_of(r, m, values, of);
    scope = scope_derive(r, m, values, pusher, &members);
    if (scope == 0)
        return r->fail != PERCHE_OK ? r->fail : PERCHE_OK;
    moved = scope != old || members != before;
    if (moved) {
        uint64_t told = next_lsn(r); /* who loses the row drops it before its questions and what vouches for it; who gets it gets them first */

        m->scope = scope;
        m->members = members;
        if (scope != old) {
            if (!m->table->is_system)
                rc = conflict_rescope(r, m);
            m->lsn = m->entered = next_lsn(r);
            m->flags &= ~(uint32_t)META_AGREED;
        }
        if (rc == PERCHE_OK)
            rc = meta_save(r, m);
        if (rc == PERCHE_OK)
            rc = marks(r, m, old, before, told);
        if (rc == PERCHE_OK && scope != old)
            rc = scope_woken(r, scope, 0);
    }
    if (rc == PERCHE_OK && !WITHOUT(B3_LATE_MARK) && pusher != 0 && !scope_holds(r, m->scope, pusher)) { /* an accepted write that ends outside: it drops it again */
        rc = mark_left(r, pusher, m, next_lsn(r), false, LATE_AS_IT_WAS);
        if (rc == PERCHE_OK)
            rc = scope_woken(r, pusher, 0);
    }
    /* The child may have been written here first: it was nobody's until now. One that makes its site a member of the row leads back to it,
     * which is to end there unless the row has moved by that. */
    is_new = (pusher == 0 || r->orphans) && m->entered == m->lsn && m->lsn > r->tx_lsn && !is_followed(r, m);
    if (rc == PERCHE_OK)
        rc = follow_relatives(r, m, moved || is_new, of, of_count, pusher);
    if (rc == PERCHE_OK && strcmp(m->table->name, "site_reader") == 0)
        rc = reader_changed(r, m, values);
    return rc;
}
