/* Scopes: which sites hold a row. A scope is an interned text: "*" (all), "" (the
 * hub alone), or site ids in ascending order joined by ','. The hub derives them
 * from each table's rule (DESIGN 4.6); a site does so for what it has just written,
 * as a proposal that the hub agrees with or replaces. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/apply.h"
#include "replica/ask.h"
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

bool scope_part_value(const struct meta *m, const struct perche_value *values, const struct rule_part *part,
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

bool scope_named_value(const struct meta *m, const struct perche_value *values, const char *name, struct perche_value *out, struct perche_value *keys,
                       char *scratch)
{
    const struct column *c = table_column(m->table, name);
    uint32_t n = 0;

    if (c != NULL) {
        *out = values[c->num];
        return out->type != PERCHE_NULL;
    }
    if (perche_key_decode((struct perche_bytes){m->key, m->key_n}, keys, &n, scratch) != PERCHE_OK)
        return false;
    for (uint32_t i = 0; i < n && i < m->table->keys_count; i++)
        if (m->table->keys[i].name != NULL && strcmp(m->table->keys[i].name, name) == 0) {
            *out = keys[i];
            return true;
        }
    return false;
}

bool scope_parent_key(struct replica *r, const struct meta *m, const struct perche_value *values, uint32_t i,
                      struct table **parent, uint8_t *key, uint32_t *key_n)
{
    const struct rule_part *part = &m->table->parts[i];
    struct perche_value v, keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];

    *parent = registry_table(r, part->table);
    return *parent != NULL && (*parent)->keys_count == 1 && scope_part_value(m, values, part, &v, keys, scratch) &&
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
static void add_held_children(struct replica *r, const struct meta *of, const struct perche_value *parent, struct table *child,
                              const struct rule_part *part, struct set *s)
{
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t key_n = 0;

    while (held_child_next(r, of->table, (struct perche_bytes){of->key, of->key_n}, child, key, &key_n)) {
        struct perche_value values[PERCHE_COLUMNS_MAX + 1], via, site, keys[PERCHE_KEY_COLUMNS_MAX], keys_again[PERCHE_KEY_COLUMNS_MAX];
        char scratch[37 * PERCHE_KEY_COLUMNS_MAX], scratch_again[37 * PERCHE_KEY_COLUMNS_MAX];
        struct meta *m = malloc(sizeof *m);

        if (m == NULL) {
            (void)fail(r, PERCHE_NOMEM, "no memory for a row's relative");
            return;
        }
        if (meta_load(r, child, (struct perche_bytes){key, key_n}, m) == PERCHE_OK && m->flags & META_HELD &&
            row_values(r, m, values) == PERCHE_OK && scope_named_value(m, values, part->child_via, &via, keys, scratch) &&
            perche_value_compare(&via, parent) == 0 && scope_named_value(m, values, part->child_site, &site, keys_again, scratch_again) &&
            site.type == PERCHE_TEXT && meets(child, part, values))
            add_text(r, s, site.p, site.n);
        meta_clear(m);
        free(m);
    }
}

static bool part_there(struct table *child, const struct rule_part *part)
{
    const char *const names[] = {part->child_site, part->child_via, part->cond_column};
    bool there = true;

    for (int i = 0; i < 3 && there; i++) {
        const struct column *c = names[i] == NULL ? NULL : table_column(child, names[i]);
        bool is_key = false;

        for (uint32_t k = 0; names[i] != NULL && k < child->keys_count; k++)
            is_key |= child->keys[k].name != NULL && strcmp(child->keys[k].name, names[i]) == 0;
        there = names[i] == NULL || is_key || (c != NULL && !c->absent);
    }
    return there;
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

    if (child != NULL && (audit_away(r, child) || !part_there(child, part))) { /* which sites it brings is not known for certain: none of them loses the row by that */
        const uint32_t *sites;
        uint32_t members = m->members != 0 ? m->members : m->scope;

        for (uint32_t i = 0; i < scope_sites(r, members, &sites); i++)
            add(r, s, sites[i]);
    }
    if (child == NULL || !child->present || !part_there(child, part) ||
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
    add_held_children(r, m, &keys[0], child, part, s);
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
            else if (scope_part_value(m, values, part, &v, keys, scratch) && v.type == PERCHE_TEXT)
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

int64_t scopes_full(struct replica *r)
{
    return ask_number(r, "SELECT count(*) FROM perche_name WHERE length(text) - length(replace(text, ',', '')) = ?1 - 1", SET_MAX, NULL);
}

/* Readers of an area: each site of the set brings those that site_reader gives it. Beyond what a scope holds they are left out, always
 * the same ones, and perche verify says so: rows of everybody would wait behind the one that has too many. */
static void add_readers(struct replica *r, const struct table *t, struct set *s)
{
    struct table *reader = registry_table(r, "site_reader");
    uint32_t members = s->count, sites[SET_MAX];
    sqlite3_stmt *q;

    if (t->area == NULL || s->all || members == 0 || reader == NULL || !reader->present)
        return;
    q = prepare(r, "SELECT reader_id FROM site_reader WHERE site_id = ?1 AND area = ?2 ORDER BY reader_id");
    if (q == NULL)
        return;
    memcpy(sites, s->sites, members * sizeof sites[0]);
    for (uint32_t i = 0; i < members; i++) {
        sqlite3_bind_text(q, 1, name_text(r, sites[i]), -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 2, t->area, -1, SQLITE_STATIC);
        while (s->count < SET_MAX && sql_row(r, q))
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
        if (m->table->parts[i].child_site == NULL && scope_part_value(m, values, &m->table->parts[i], &v, keys, scratch) && v.type == PERCHE_TEXT)
            add_text(r, &s, v.p, v.n);
    add_readers(r, m->table, &s);
    return r->fail == PERCHE_OK ? intern(r, &s) : 0;
}

bool scope_may_write(struct replica *r, struct table *t, const struct meta *m, const struct perche_value *values,
                     uint32_t site)
{
    struct set s = {.count = 0};
    bool may = false;

    derive_set(r, m, values, 0, &s, 0);
    if (s.all || (s.unknown && s.count == 0))
        return true;
    for (uint32_t i = 0; i < s.count; i++)
        if (s.sites[i] == site)
            return true;
    for (uint32_t i = 0; t->area != NULL && !may && i < s.count; i++) {
        sqlite3_stmt *q = sql(r, SQL_READER_MAY); /* site_reader may be without that column, or not there at all */

        sqlite3_bind_text(q, 1, name_text(r, s.sites[i]), -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 2, name_text(r, site), -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 3, t->area, -1, SQLITE_STATIC);
        may = sql_row(r, q) && sqlite3_column_int(q, 0) == 1;
        sql_done(q);
    }
    return may;
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
