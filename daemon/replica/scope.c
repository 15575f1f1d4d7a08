/* Scopes: which sites hold a row. A scope is an interned text: "*" (all), "" (the
 * hub alone), or site ids in ascending order joined by ','. The hub derives them
 * from each table's rule (DESIGN 4.6); a site does so for what it has just written,
 * as a proposal that the hub agrees with or replaces. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/apply.h"
#include "replica/statements.h"

#define SET_MAX 96          /* sites of one scope: PERCHE_SCOPE_BYTES_MAX / 37 and a margin */
#define DEPTH_MAX 6         /* the declarations form no circle */

struct set {
    uint32_t sites[SET_MAX];
    uint32_t count;
    bool all, unknown;      /* unknown: a relative is not here */
};

struct known_scope {
    uint32_t num, count;
    bool stored;            /* perche_scope_site has its rows */
    uint32_t *sites;
};

struct scopes {
    struct known_scope *items; /* sorted by num */
    uint32_t count, cap;
    uint32_t all, hub_only;
};

static struct scopes *scopes(struct replica *r)
{
    if (r->scopes == NULL)
        r->scopes = calloc(1, sizeof *r->scopes);
    if (r->scopes == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for scopes");
    return r->scopes;
}

void scopes_forget(struct replica *r)
{
    if (r->scopes == NULL)
        return;
    for (uint32_t i = 0; i < r->scopes->count; i++)
        free(r->scopes->items[i].sites);
    r->scopes->count = 0;
    r->scopes->all = r->scopes->hub_only = 0;
}

void scopes_free(struct replica *r)
{
    scopes_forget(r);
    if (r->scopes != NULL)
        free(r->scopes->items);
    free(r->scopes);
    r->scopes = NULL;
}

static int by_num(const void *a, const void *b)
{
    const struct known_scope *x = a, *y = b;

    return x->num < y->num ? -1 : x->num > y->num;
}

/* The sites of an interned scope, read from its text once. */
static const struct known_scope *known(struct replica *r, uint32_t num)
{
    struct scopes *c = scopes(r);
    struct known_scope key = {.num = num}, *found;
    const char *text;

    if (c == NULL)
        return NULL;
    found = c->count == 0 ? NULL : bsearch(&key, c->items, c->count, sizeof key, by_num);
    if (found != NULL)
        return found;
    text = name_text(r, num);
    if (text == NULL)
        return NULL;
    if (c->count == c->cap) {
        uint32_t cap = c->cap ? 2 * c->cap : 64;
        struct known_scope *more = realloc(c->items, cap * sizeof *more);

        if (more == NULL)
            return (void)fail(r, PERCHE_NOMEM, "no memory for scopes"), NULL;
        c->items = more;
        c->cap = cap;
    }
    key.sites = calloc(SET_MAX, sizeof *key.sites);
    if (key.sites == NULL)
        return (void)fail(r, PERCHE_NOMEM, "no memory for scopes"), NULL;
    if (strcmp(text, "*") != 0) {
        for (const char *p = text; *p != '\0' && key.count < SET_MAX;) {
            const char *comma = strchr(p, ',');
            size_t n = comma != NULL ? (size_t)(comma - p) : strlen(p);
            char id[PERCHE_ID_BYTES_MAX];

            if (n >= sizeof id)
                break;
            memcpy(id, p, n);
            id[n] = '\0';
            key.sites[key.count++] = name_number(r, id);
            p += n + (comma != NULL);
        }
    }
    c->items[c->count++] = key;
    qsort(c->items, c->count, sizeof key, by_num);
    return known(r, num);
}

uint32_t scope_all(struct replica *r)
{
    struct scopes *c = scopes(r);

    if (c == NULL)
        return 0;
    if (c->all == 0)
        c->all = name_number(r, "*");
    return c->all;
}

uint32_t scope_sites(struct replica *r, uint32_t scope, const uint32_t **sites)
{
    const struct known_scope *k = known(r, scope);

    *sites = k != NULL ? k->sites : NULL;
    return k != NULL ? k->count : 0;
}

bool scope_holds(struct replica *r, uint32_t scope, uint32_t site)
{
    const uint32_t *sites;
    uint32_t n;

    if (scope == scope_all(r))
        return true;
    n = scope_sites(r, scope, &sites);
    for (uint32_t i = 0; i < n; i++)
        if (sites[i] == site)
            return true;
    return false;
}

static void add(struct replica *r, struct set *s, uint32_t site)
{
    uint32_t at = 0;

    if (site == 0 || s->all)
        return;
    while (at < s->count && strcmp(name_text(r, s->sites[at]), name_text(r, site)) < 0)
        at++;
    if (at < s->count && s->sites[at] == site)
        return;
    if (s->count == SET_MAX) {
        (void)fail(r, PERCHE_TOO_LARGE, "a row belongs to more than %d sites", SET_MAX);
        return;
    }
    memmove(s->sites + at + 1, s->sites + at, (s->count - at) * sizeof s->sites[0]);
    s->sites[at] = site;
    s->count++;
}

static void add_text(struct replica *r, struct set *s, const uint8_t *p, uint32_t n)
{
    char id[PERCHE_ID_BYTES_MAX];

    if (n == 0 || n >= sizeof id || memchr(p, ',', n) != NULL || memchr(p, 0, n) != NULL)
        return; /* no site has such an id */
    memcpy(id, p, n);
    id[n] = '\0';
    if (strcmp(id, "*") != 0)
        add(r, s, name_number(r, id));
}

/* Which scopes a site holds is asked at each pull: kept in a table of its own. */
static void remember(struct replica *r, uint32_t num)
{
    struct known_scope *k = (struct known_scope *)(uintptr_t)known(r, num);

    if (k == NULL || k->stored || r->reader || !r->hub)
        return;
    for (uint32_t i = 0; i < k->count; i++) {
        sqlite3_stmt *s = sql(r, SQL_SCOPE_SITE_ADD);

        sqlite3_bind_int64(s, 1, k->sites[i]);
        sqlite3_bind_int64(s, 2, num);
        if (sql_run(r, s, "remember a scope") != PERCHE_OK)
            return;
    }
    k->stored = true;
}

/* Interns the set; a site's own id is also the name of the scope that holds it alone. */
static uint32_t intern(struct replica *r, const struct set *s)
{
    char text[SET_MAX * PERCHE_ID_BYTES_MAX];
    size_t n = 0;
    uint32_t num;

    if (s->all)
        return scope_all(r);
    text[0] = '\0';
    for (uint32_t i = 0; i < s->count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? "," : "", name_text(r, s->sites[i]));
    if (n >= PERCHE_SCOPE_BYTES_MAX) {
        (void)fail(r, PERCHE_TOO_LARGE, "the sites of a row do not fit into one scope");
        return 0;
    }
    num = s->count == 1 ? s->sites[0] : name_number(r, text);
    remember(r, num);
    return num;
}

uint32_t table_rank(struct replica *r, const struct table *t)
{
    uint32_t rank = 1;

    if (t->rule == RULE_CONFLICT)
        return 100;
    if (t->rule != RULE_PARENT)
        return t->rule == RULE_ALL ? 0 : 1;
    for (uint32_t i = 0; i < t->parts_count; i++) {
        const struct table *parent = registry_table(r, t->parts[i].table);
        uint32_t above = parent == NULL || parent == t ? 1 : 1 + table_rank(r, parent);

        if (above > rank)
            rank = above;
    }
    return rank;
}

/* ---- relatives ------------------------------------------------------------ */

/* Value of a rule's column: of the row, or of its key. */
static bool part_value(const struct meta *m, const struct perche_value *values, const struct rule_part *part,
                       struct perche_value *out, struct perche_value *keys, char *scratch)
{
    if (part->key_index >= 0) {
        uint32_t n = 0;

        if (perche_key_decode((struct perche_bytes){m->key, m->key_n}, keys, &n, scratch) != PERCHE_OK ||
            (uint32_t)part->key_index >= n)
            return false;
        *out = keys[part->key_index];
    } else {
        *out = values[part->num];
    }
    return out->type != PERCHE_NULL;
}

bool scope_parent_key(struct replica *r, const struct meta *m, const struct perche_value *values, uint32_t i,
                      struct table **parent, uint8_t *key, uint32_t *key_n)
{
    const struct rule_part *part = &m->table->parts[i];
    struct perche_value v, keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];

    *parent = registry_table(r, part->table);
    return *parent != NULL && (*parent)->keys_count == 1 && part_value(m, values, part, &v, keys, scratch) &&
           perche_key_encode(&v, 1, key, key_n) == PERCHE_OK;
}

static void derive_set(struct replica *r, const struct meta *m, const struct perche_value *values, uint32_t pusher,
                       struct set *s, int depth);

/* The set of a relative, without its readers. */
static void derive_relative(struct replica *r, struct table *t, const uint8_t *key, uint32_t key_n, uint32_t pusher,
                            struct set *s, int depth)
{
    struct meta *m = malloc(sizeof *m);
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];

    if (m == NULL) {
        (void)fail(r, PERCHE_NOMEM, "no memory for a row's relative");
        return;
    }
    if (meta_load(r, t, (struct perche_bytes){key, key_n}, m) == PERCHE_OK) {
        if (!m->stored)
            s->unknown = true;
        else if (row_values(r, m, values) == PERCHE_OK)
            derive_set(r, m, values, pusher, s, depth + 1);
        meta_clear(m);
    }
    free(m);
}

/* Is this row's site a member by the rule's condition? */
static bool meets(const struct table *child, const struct rule_part *part, const struct perche_value *values)
{
    const struct column *c = part->cond_column == NULL ? NULL : table_column((struct table *)child, part->cond_column);
    bool in = false;

    if (c == NULL)
        return part->cond_column == NULL;
    for (uint32_t i = 0; values[c->num].type == PERCHE_TEXT && i < part->cond_values_count; i++)
        in |= strlen(part->cond_values[i]) == values[c->num].n && memcmp(part->cond_values[i], values[c->num].p, values[c->num].n) == 0;
    return in != part->cond_not;
}

/* Held children are in no table and are members all the same. */
static void add_held_children(struct replica *r, const struct perche_value *parent, struct table *child,
                              const struct rule_part *part, struct set *s)
{
    const struct column *via = table_column(child, part->child_via), *site = table_column(child, part->child_site);
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t key_n = 0;

    while (via != NULL && site != NULL && held_next(r, child, key, &key_n)) {
        struct perche_value values[PERCHE_COLUMNS_MAX + 1];
        struct meta *m = malloc(sizeof *m);

        if (m == NULL) {
            (void)fail(r, PERCHE_NOMEM, "no memory for a row's relative");
            return;
        }
        if (meta_load(r, child, (struct perche_bytes){key, key_n}, m) == PERCHE_OK && m->flags & META_HELD &&
            row_values(r, m, values) == PERCHE_OK && perche_value_compare(&values[via->num], parent) == 0 &&
            values[site->num].type == PERCHE_TEXT && meets(child, part, values))
            add_text(r, s, values[site->num].p, values[site->num].n);
        meta_clear(m);
        free(m);
    }
}

/* Sites that child rows bring: SELECT site FROM child WHERE via = key AND condition, alive ones. */
static void add_children(struct replica *r, const struct meta *m, const struct rule_part *part, struct set *s)
{
    struct perche_value keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX], text[2048];
    struct table *child = registry_table(r, part->table);
    uint32_t n = 0;
    size_t used;
    sqlite3_stmt *q;

    if (child == NULL || !child->present ||
        perche_key_decode((struct perche_bytes){m->key, m->key_n}, keys, &n, scratch) != PERCHE_OK || n != 1)
        return;
    used = (size_t)snprintf(text, sizeof text, "SELECT DISTINCT \"%s\" FROM \"%s\" WHERE \"%s\" = ?1", part->child_site,
                            part->table, part->child_via);
    if (part->cond_column != NULL) {
        used += (size_t)snprintf(text + used, sizeof text - used, " AND (\"%s\" IS %s NULL %s \"%s\" %s IN (",
                                 part->cond_column, part->cond_not ? "" : "NOT", part->cond_not ? "OR" : "AND",
                                 part->cond_column, part->cond_not ? "NOT" : "");
        for (uint32_t i = 0; i < part->cond_values_count; i++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s'%s'", i ? "," : "", part->cond_values[i]);
        used += (size_t)snprintf(text + used, sizeof text - used, "))");
    }
    if (used >= sizeof text) {
        (void)fail(r, PERCHE_TOO_LARGE, "the members rule of %s is too long", m->table->name);
        return;
    }
    q = prepare(r, text);
    if (q == NULL)
        return;
    bind_value(q, 1, &keys[0]);
    while (sql_row(r, q))
        if (sqlite3_column_type(q, 0) == SQLITE_TEXT)
            add_text(r, s, sqlite3_column_text(q, 0), (uint32_t)sqlite3_column_bytes(q, 0));
    sqlite3_finalize(q);
    add_held_children(r, &keys[0], child, part, s);
}

static void add_scope(struct replica *r, struct set *s, uint32_t scope)
{
    const uint32_t *sites;
    uint32_t n;

    if (scope == scope_all(r)) {
        s->all = true;
        return;
    }
    n = scope_sites(r, scope, &sites);
    for (uint32_t i = 0; i < n; i++)
        add(r, s, sites[i]);
}

/* A conflict has the scope of the row that it speaks of. */
static void derive_conflict(struct replica *r, const struct meta *m, const struct perche_value *values, struct set *s)
{
    uint32_t scope = conflict_scope(r, m->table, values);

    if (scope == 0)
        s->unknown = true;
    else
        add_scope(r, s, scope);
}

static void derive_set(struct replica *r, const struct meta *m, const struct perche_value *values, uint32_t pusher,
                       struct set *s, int depth)
{
    const struct table *t = m->table;
    struct perche_value v, keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t key_n;
    struct table *parent;

    if (depth > DEPTH_MAX) {
        (void)fail(r, PERCHE_INTERNAL, "the scope rules of %s form a circle", t->name);
        return;
    }
    switch (t->rule) {
    case RULE_ALL:
        s->all = true;
        return;
    case RULE_HUB:
        return;
    case RULE_CONFLICT:
        derive_conflict(r, m, values, s);
        return;
    case RULE_OWN:
    case RULE_MEMBERS:
        for (uint32_t i = 0; i < t->parts_count; i++) {
            const struct rule_part *part = &t->parts[i];

            if (part->child_site != NULL)
                add_children(r, m, part, s);
            else if (part_value(m, values, part, &v, keys, scratch) && v.type == PERCHE_TEXT)
                add_text(r, s, v.p, v.n);
        }
        return;
    case RULE_PARENT:
        for (uint32_t i = 0; i < t->parts_count; i++) {
            if (scope_parent_key(r, m, values, i, &parent, key, &key_n))
                derive_relative(r, parent, key, key_n, pusher, s, depth);
            else if (t->parts_count == 1)
                s->unknown = true;
        }
        return;
    }
}

/* Readers of an area: each site of the set brings those that site_reader gives it. */
static void add_readers(struct replica *r, const struct table *t, struct set *s)
{
    struct table *reader = registry_table(r, "site_reader");
    uint32_t members = s->count, sites[SET_MAX];
    sqlite3_stmt *q;

    if (t->area == NULL || s->all || members == 0 || reader == NULL || !reader->present)
        return;
    q = prepare(r, "SELECT reader_id FROM site_reader WHERE site_id = ?1 AND area = ?2");
    if (q == NULL)
        return;
    memcpy(sites, s->sites, members * sizeof sites[0]);
    for (uint32_t i = 0; i < members; i++) {
        sqlite3_bind_text(q, 1, name_text(r, sites[i]), -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 2, t->area, -1, SQLITE_STATIC);
        while (sql_row(r, q))
            add_text(r, s, sqlite3_column_text(q, 0), (uint32_t)sqlite3_column_bytes(q, 0));
        sqlite3_reset(q);
    }
    sqlite3_finalize(q);
}

uint32_t scope_derive(struct replica *r, const struct meta *m, const struct perche_value *values, uint32_t pusher, uint32_t *members)
{
    struct set s = {.count = 0}, without;
    uint32_t own = 0;

    /* The way of nearly every row of a bulk load: one site column, nobody reads along. */
    derive_set(r, m, values, pusher, &s, 0);
    if (!s.all && s.count == 0 && s.unknown) { /* its relative is not here yet */
        if (m->scope != 0) {
            *members = m->members;
            return m->scope;
        }
        add(r, &s, pusher != 0 ? pusher : r->hub ? 0 : r->node.site_num);
    }
    without = s;
    add_readers(r, m->table, &s);
    if (r->hub && s.count != without.count && r->fail == PERCHE_OK)
        own = intern(r, &without);
    if (r->fail != PERCHE_OK)
        return 0;
    *members = own;
    return intern(r, &s);
}

uint32_t scope_own(struct replica *r, const struct meta *m, const struct perche_value *values)
{
    struct perche_value v, keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    struct set s = {.count = 0};

    for (uint32_t i = 0; i < m->table->parts_count; i++)
        if (m->table->parts[i].child_site == NULL && part_value(m, values, &m->table->parts[i], &v, keys, scratch) && v.type == PERCHE_TEXT)
            add_text(r, &s, v.p, v.n);
    add_readers(r, m->table, &s);
    return r->fail == PERCHE_OK ? intern(r, &s) : 0;
}

bool scope_may_write(struct replica *r, struct table *t, const struct meta *m, const struct perche_value *values,
                     uint32_t site)
{
    struct set s = {.count = 0};
    bool may = false;
    sqlite3_stmt *q;

    derive_set(r, m, values, 0, &s, 0);
    if (s.all || (s.unknown && s.count == 0))
        return true;
    for (uint32_t i = 0; i < s.count; i++)
        if (s.sites[i] == site)
            return true;
    if (t->area == NULL || registry_table(r, "site_reader") == NULL)
        return false;
    q = prepare(r, "SELECT may_write FROM site_reader WHERE site_id = ?1 AND reader_id = ?2 AND area = ?3");
    if (q == NULL)
        return false;
    for (uint32_t i = 0; !may && i < s.count; i++) {
        sqlite3_bind_text(q, 1, name_text(r, s.sites[i]), -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 2, name_text(r, site), -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 3, t->area, -1, SQLITE_STATIC);
        may = sql_row(r, q) && sqlite3_column_int(q, 0) == 1;
        sqlite3_reset(q);
    }
    sqlite3_finalize(q);
    return may;
}

/* ---- following a change --------------------------------------------------- */

/* @stays: nobody tells the site to drop the row: it reads along from now on. */
static enum perche_rc mark_left(struct replica *r, uint32_t site, const struct meta *m, uint64_t lsn, bool stays)
{
    sqlite3_stmt *s = sql(r, SQL_LEFT_PUT);

    sqlite3_bind_int64(s, 1, site);
    sqlite3_bind_int64(s, 2, m->table->num);
    sqlite3_bind_blob(s, 3, m->key, (int)m->key_n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 4, (sqlite3_int64)lsn);
    sqlite3_bind_int(s, 5, stays);
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

/* Every site that lost the row gets a mark, every one that has it now loses its. Who was a member (@before: then, 0 = all of
 * @old) and only reads it now gets one that is not told: its row stays, and what it wrote while it could not know is taken. */
static enum perche_rc marks(struct replica *r, const struct meta *m, uint32_t old, uint32_t before)
{
    const uint32_t *sites;
    uint64_t untold = m->scope == old ? next_lsn(r) : m->lsn; /* whoever has heard that far has heard of it */
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
            rc = mark_left(r, site, m, m->lsn, false);
            if (rc == PERCHE_OK)
                rc = scope_woken(r, site, 0);
        } else if (m->members != 0 && !scope_holds(r, m->members, site) && (before == 0 || scope_holds(r, before, site))) {
            rc = mark_left(r, site, m, untold, true);
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
        rc = mark_left(r, site, m, next_lsn(r), false);
        if (rc == PERCHE_OK)
            rc = woken_add(r, site);
    }
    return rc;
}

/* One row of @t; with @of only if its column @of names this parent. */
static enum perche_rc follow_row(struct replica *r, struct table *t, struct perche_bytes key, const struct rule_part *of,
                                 const struct perche_value *parent, uint32_t pusher)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1], v, keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    struct meta *m = malloc(sizeof *m);
    enum perche_rc rc = m == NULL ? fail(r, PERCHE_NOMEM, "no memory for a row's relative") : meta_load(r, t, key, m);

    if (rc == PERCHE_OK && m->stored) {
        rc = row_values(r, m, values);
        if (rc == PERCHE_OK &&
            (of == NULL || (part_value(m, values, of, &v, keys, scratch) && perche_value_compare(&v, parent) == 0)))
            rc = scope_follow(r, m, values, pusher);
    }
    if (m != NULL)
        meta_clear(m);
    free(m);
    return rc;
}

/* Keys of the rows of @t, of those alone whose @column is ?1 where one is given. */
static sqlite3_stmt *keys_of(struct replica *r, const struct table *t, const char *column)
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
    if (column != NULL) {
        sqlite3_str_appendall(text, " WHERE ");
        append_name(text, column);
        sqlite3_str_appendall(text, " = ?1");
    }
    made = sqlite3_str_finish(text);
    q = made == NULL ? NULL : prepare(r, made);
    sqlite3_free(made);
    if (q == NULL && r->fail == PERCHE_OK)
        (void)fail(r, PERCHE_NOMEM, "no memory for the rows of a table");
    return q;
}

sqlite3_stmt *scope_naming(struct replica *r, const struct table *t, const char *column, const struct perche_value *key)
{
    sqlite3_stmt *q = keys_of(r, t, column);

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
    return follow_row(r, t, (struct perche_bytes){key, key_n}, NULL, NULL, pusher);
}

/* Held rows, which no statement finds: all of @t, or those whose column @of names @parent. */
static enum perche_rc follow_held(struct replica *r, struct table *t, const struct rule_part *of,
                                  const struct perche_value *parent, uint32_t pusher)
{
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t key_n = 0;
    enum perche_rc rc = PERCHE_OK;

    while (rc == PERCHE_OK && held_next(r, t, key, &key_n))
        rc = follow_row(r, t, (struct perche_bytes){key, key_n}, of, parent, pusher);
    return rc;
}

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
    return rc == PERCHE_OK ? follow_held(r, t, part, key, *pusher) : rc;
}

/* Follows each live row whose column names the key of @m. */
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
            const struct column *via;

            if (part->child_site == NULL || strcmp(part->table, m->table->name) != 0)
                continue;
            via = table_column(m->table, part->child_via);
            if (via == NULL || values[via->num].type == PERCHE_NULL ||
                perche_key_encode(&values[via->num], 1, out[n].key, &out[n].key_n) != PERCHE_OK)
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

/* Every live row of @t: its scope may be another now. */
static enum perche_rc follow_table(struct replica *r, struct table *t)
{
    enum perche_rc rc = PERCHE_OK;
    sqlite3_stmt *q = keys_of(r, t, NULL);

    if (q == NULL)
        return r->fail;
    while (rc == PERCHE_OK && sql_row(r, q))
        rc = follow_key(r, t, q, 0);
    sqlite3_finalize(q);
    return rc == PERCHE_OK ? follow_held(r, t, NULL, NULL, 0) : rc;
}

/* A reader came or went: the rows of his area, in every table that has it. */
static enum perche_rc follow_readers(struct replica *r)
{
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; rc == PERCHE_OK && registry_at(r, i) != NULL; i++)
        if (registry_at(r, i)->area != NULL && registry_at(r, i)->present)
            rc = follow_table(r, registry_at(r, i));
    return rc;
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

enum perche_rc scope_follow(struct replica *r, struct meta *m, const struct perche_value *values, uint32_t pusher)
{
    struct member_of of[MEMBERS_OF_MAX];
    uint32_t old = m->scope, before = m->members, scope, members = 0, of_count;
    bool moved;
    enum perche_rc rc = PERCHE_OK;

    assert(r->hub);
    of_count = members_of(r, m, values, of);
    scope = scope_derive(r, m, values, pusher, &members);
    if (scope == 0)
        return r->fail != PERCHE_OK ? r->fail : PERCHE_OK;
    moved = scope != old || members != before;
    if (moved) {
        m->scope = scope;
        m->members = members;
        if (scope != old) {
            m->lsn = m->entered = next_lsn(r);
            m->flags &= ~(uint32_t)META_AGREED;
        }
        rc = meta_save(r, m);
        if (rc == PERCHE_OK)
            rc = marks(r, m, old, before);
    }
    if (rc == PERCHE_OK && scope != old) {
        if (!m->table->is_system)
            rc = conflict_rescope(r, m);
        if (rc == PERCHE_OK)
            rc = scope_woken(r, scope, 0);
    }
    if (rc == PERCHE_OK && !WITHOUT(B3_LATE_MARK) && pusher != 0 && !scope_holds(r, m->scope, pusher)) { /* an accepted write that ends outside: it drops it again */
        rc = mark_left(r, pusher, m, next_lsn(r), false);
        if (rc == PERCHE_OK)
            rc = scope_woken(r, pusher, 0);
    }
    /* The child may have been written here first: it was nobody's until now. */
    if (rc == PERCHE_OK && (moved || ((pusher == 0 || r->orphans) && m->entered == m->lsn && m->lsn > r->tx_lsn)))
        rc = follow_children(r, m, pusher);
    if (rc == PERCHE_OK)
        rc = follow_members(r, of, of_count, pusher);
    if (rc == PERCHE_OK && strcmp(m->table->name, "site_reader") == 0)
        rc = follow_readers(r);
    return rc;
}

/* ---- indexes --------------------------------------------------------------- */

enum perche_rc scope_indexes(struct replica *r)
{
    char text[1024];
    enum perche_rc rc = PERCHE_OK;

    if (r->indexed_version == r->schema_version)
        return PERCHE_OK;
    r->indexed_version = r->schema_version;

    for (uint32_t i = 0; rc == PERCHE_OK && registry_at(r, i) != NULL; i++) {
        struct table *t = registry_at(r, i);

        for (uint32_t p = 0; rc == PERCHE_OK && t->present && p < t->parts_count; p++) {
            const struct rule_part *part = &t->parts[p];
            const char *table = t->name, *column = NULL;
            struct table *child;

            if (t->rule == RULE_PARENT && part->key_index < 0)
                column = t->columns[part->num - 1].name;
            if (t->rule == RULE_MEMBERS && part->child_site != NULL) {
                table = part->table;
                column = part->child_via;
                child = registry_table(r, table);
                if (child == NULL || !child->present)
                    continue;
            }
            if (column == NULL)
                continue;
            (void)snprintf(text, sizeof text, "CREATE INDEX IF NOT EXISTS \"perche_%s_%s\" ON \"%s\" (\"%s\")", table,
                           column, table, column);
            rc = exec(r, text);
        }
    }
    return rc;
}

enum perche_rc scope_woken(struct replica *r, uint32_t scope, uint32_t but)
{
    const uint32_t *sites;
    uint32_t n;
    enum perche_rc rc = PERCHE_OK;

    if (!r->hub || scope == 0)
        return PERCHE_OK;
    if (scope == scope_all(r)) {
        r->woken->all = true;
        return r->fail;
    }
    n = scope_sites(r, scope, &sites);
    for (uint32_t i = 0; rc == PERCHE_OK && i < n; i++)
        if (sites[i] != but && sites[i] != r->node.site_num)
            rc = woken_add(r, sites[i]);
    return rc;
}
