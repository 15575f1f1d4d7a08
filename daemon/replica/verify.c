/* The deep check: row digests and sums recomputed from the tables themselves.
 * What differs was changed past the triggers, or the file is damaged. It reads
 * alone: audit.c has taken over what it found before. And what else a person should
 * know of the replica's state. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/apply.h"
#include "replica/chain.h"
#include "replica/digest.h"
#include "replica/query.h"
#include "replica/statements.h"

/* ---- verify ------------------------------------------------------------------------------ */

/* Sums of one table as they should be, for each scope. */
struct sums {
    uint32_t scope;
    uint64_t rows;
    uint8_t bucket[DIGEST_BUCKETS][16];
};

struct check {
    struct replica *r;
    struct table *table;
    struct sums *sums;
    uint32_t count, cap;
    uint64_t rows, differs, alive;
    uint8_t digest[16];
};

static enum perche_rc add_row(struct check *c, const struct meta *m, const uint8_t digest[16])
{
    struct sums *s = NULL;

    for (uint32_t i = c->count; s == NULL && i-- > 0;)
        if (c->sums[i].scope == m->scope)
            s = &c->sums[i];
    if (s == NULL) {
        if (c->count == c->cap) {
            struct sums *more = realloc(c->sums, (c->cap * 2 + 8) * sizeof *more);

            if (more == NULL)
                return fail(c->r, PERCHE_NOMEM, "no memory to verify %s", c->table->name);
            c->sums = more;
            c->cap = c->cap * 2 + 8;
        }
        s = &c->sums[c->count++];
        memset(s, 0, sizeof *s);
        s->scope = m->scope;
    }
    digest_add(s->bucket[digest_bucket(m->key, m->key_n)], digest);
    digest_add(c->digest, digest);
    s->rows++;
    return PERCHE_OK;
}

/* One row of the table against its metadata. */
static enum perche_rc check_row(struct check *c, sqlite3_stmt *s)
{
    struct table *t = c->table;
    struct perche_value keys[PERCHE_KEY_COLUMNS_MAX], values[PERCHE_COLUMNS_MAX + 1];
    uint8_t key[PERCHE_KEY_BYTES_MAX], digest[16];
    uint32_t key_n;
    struct meta m;
    enum perche_rc rc;

    c->rows++;
    for (uint32_t i = 0; i < t->keys_count; i++)
        column_value(s, (int)i, &keys[i]);
    for (uint32_t num = 1; num <= t->columns_count; num++)
        column_value(s, (int)(t->keys_count + num - 1), &values[num]);
    if (perche_key_encode(keys, t->keys_count, key, &key_n) != PERCHE_OK) {
        c->differs++; /* a key that never came through a replicated table */
        return PERCHE_OK;
    }
    rc = meta_load(c->r, t, (struct perche_bytes){key, key_n}, &m);
    if (rc != PERCHE_OK)
        return rc;
    if (!m.stored || !meta_alive(&m)) {
        c->differs++;
    } else if ((rc = row_absent(c->r, &m, values)) == PERCHE_OK) {
        c->alive++;
        digest_row(c->r, &m, values, digest);
        c->differs += memcmp(digest, m.digest, 16) != 0;
        rc = add_row(
            c, &m, m.digest); /* the sums are those of the stored digests: a row is counted once */
    }
    meta_clear(&m);
    return rc;
}

static sqlite3_stmt *whole_table(struct replica *r, const struct table *t)
{
    sqlite3_str *s = sqlite3_str_new(r->db);
    sqlite3_stmt *stmt = NULL;
    char *text;

    sqlite3_str_appendall(s, "SELECT ");
    for (uint32_t i = 0; i < t->keys_count + t->columns_count; i++) {
        const struct column *c = i < t->keys_count ? &t->keys[i] : &t->columns[i - t->keys_count];

        if (i > 0)
            sqlite3_str_appendall(s, ", ");
        if (c->absent)
            sqlite3_str_appendall(s, "NULL");
        else
            append_name(s, c->name);
    }
    sqlite3_str_appendall(s, " FROM ");
    append_name(s, t->name);
    text = sqlite3_str_finish(s);
    if (text == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory to verify %s", t->name);
    else
        stmt = ask(r, text);
    sqlite3_free(text);
    return stmt;
}

/* Rows whose metadata says that they live and that are not in the table: deleted past the triggers. Held ones wait. */
static enum perche_rc check_missing(struct check *c)
{
    struct replica *r = c->r;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint8_t digest[16];
    sqlite3_stmt *s =
        ask(r, "SELECT key, " META_COLUMNS " FROM perche_row WHERE tab = ?1 AND gen % 2 = 1");

    if (s != NULL)
        sqlite3_bind_int64(s, 1, c->table->num);
    while (ask_row(r, s, "verify the metadata")) {
        struct meta m;
        bool held;

        if (sqlite3_column_bytes(s, 0) > PERCHE_KEY_BYTES_MAX ||
            meta_unpack(r, c->table, s, 1, &m) != PERCHE_OK)
            break;
        m.key_n = (uint32_t)sqlite3_column_bytes(s, 0);
        memcpy(m.key, sqlite3_column_blob(s, 0), m.key_n);
        held = (m.flags & META_HELD) != 0;
        if (data_exists(r, c->table, (struct perche_bytes){m.key, m.key_n}) == PERCHE_NOT_FOUND) {
            if (held && row_values(r, &m, values) == PERCHE_OK)
                digest_row(r, &m, values, digest);
            c->differs += !held || memcmp(digest, m.digest, sizeof digest) != 0;
            (void)add_row(c, &m, m.digest);
        }
        meta_clear(&m);
    }
    sqlite3_finalize(s);
    return r->fail;
}

/* The stored sums against those of the stored row digests. */
static enum perche_rc check_sums(struct check *c, bool *wrong)
{
    struct replica *r = c->r;
    sqlite3_stmt *s = ask(r, "SELECT scope, rows, sums FROM perche_digest WHERE tab = ?1");
    uint32_t seen = 0;

    *wrong = false;
    if (s != NULL)
        sqlite3_bind_int64(s, 1, c->table->num);
    while (ask_row(r, s, "verify the digests")) {
        const struct sums *own = NULL;

        for (uint32_t i = 0; own == NULL && i < c->count; i++)
            if (c->sums[i].scope == (uint32_t)sqlite3_column_int64(s, 0))
                own = &c->sums[i];
        *wrong |= own == NULL || own->rows != (uint64_t)sqlite3_column_int64(s, 1) ||
                  sqlite3_column_bytes(s, 2) != DIGEST_BYTES ||
                  memcmp(own->bucket, sqlite3_column_blob(s, 2), DIGEST_BYTES) != 0;
        seen++;
    }
    sqlite3_finalize(s);
    *wrong |= seen != c->count;
    return r->fail;
}

/* What the comparisons of this table have found since the last verify (audit.c). */
static void out_found(struct replica *r, struct json *j, const struct table *t)
{
    static const char *const names[] = {"changed", "added", "removed", "restored", "lost"};
    sqlite3_stmt *s = ask(r, "SELECT changed, added, removed, restored, lost FROM perche_bypassed WHERE tab = ?1 AND NOT told");
    bool any;

    if (s != NULL)
        sqlite3_bind_int64(s, 1, t->num);
    any = ask_row(r, s, "read what was found");
    for (int i = 0; i < 5; i++) {
        out_key(j, names[i]);
        out_int(j, any ? sqlite3_column_int64(s, i) : 0);
    }
    sqlite3_finalize(s);
}

/* A table that somebody has dropped is equal to nothing, unless it never had a row. */
static enum perche_rc verify_gone(struct replica *r, struct table *t, struct json *j, bool *equal)
{
    int64_t rows = ask_number(
        r, "SELECT count(*) FROM perche_row WHERE tab = ?1 AND gen % 2 = 1", t->num, NULL);

    if (rows == 0)
        return r->fail;
    *equal = false;
    out_open(j, '{');
    out_key(j, "table");
    out_text(j, t->name);
    out_key(j, "rows");
    out_int(j, 0);
    out_key(j, "digest");
    out_null(j);
    out_key(j, "differs");
    out_int(j, rows);
    out_key(j, "gone");
    out_bool(j, true);
    out_found(r, j, t);
    out_close(j, '}');
    return r->fail;
}

static enum perche_rc verify_table(struct replica *r, struct table *t, struct json *j, bool *equal)
{
    struct check c = {.r = r, .table = t};
    sqlite3_stmt *s = whole_table(r, t);
    bool wrong = false;
    enum perche_rc rc = s == NULL ? r->fail : PERCHE_OK;

    while (rc == PERCHE_OK && ask_row(r, s, "verify a table"))
        rc = check_row(&c, s);
    sqlite3_finalize(s);
    if (rc == PERCHE_OK)
        rc = r->fail;
    if (rc == PERCHE_OK &&
        c.alive !=
            (uint64_t)ask_number(
                r, "SELECT count(*) FROM perche_row WHERE tab = ?1 AND gen % 2 = 1", t->num, NULL))
        rc = check_missing(&c);
    if (rc == PERCHE_OK)
        rc = check_sums(&c, &wrong);
    if (rc == PERCHE_OK) {
        out_open(j, '{');
        out_key(j, "table");
        out_text(j, t->name);
        out_key(j, "rows");
        out_int(j, (int64_t)c.rows);
        out_key(j, "digest");
        out_hex(j, c.digest, sizeof c.digest);
        out_key(j, "differs");
        out_int(j, (int64_t)c.differs);
        out_key(j, "sums_differ");
        out_bool(j, wrong);
        out_found(r, j, t);
        out_close(j, '}');
        *equal = *equal && c.differs == 0 && !wrong;
    }
    free(c.sums);
    return rc;
}

struct broken {
    uint64_t block;
    const char *why;
};

static void on_broken(void *ctx, uint64_t block, const char *why)
{
    *(struct broken *)ctx = (struct broken){block, why};
}

/* The chain of the history: the first block that is not as it was written. Then what the authors signed. */
static enum perche_rc verify_chain(struct replica *r, struct json *j, bool *equal)
{
    struct broken broken = {0};
    uint64_t blocks = 0;
    bool good = true;
    enum perche_rc rc = history_check(r, &blocks, on_broken, &broken);

    *equal = *equal && broken.why == NULL;
    out_key(j, "chain");
    out_open(j, '{');
    out_key(j, "blocks");
    out_int(j, (int64_t)blocks);
    out_key(j, "broken");
    if (broken.why != NULL)
        out_int(j, (int64_t)broken.block);
    else
        out_null(j);
    out_key(j, "why");
    out_text(j, broken.why);
    if (rc == PERCHE_OK)
        rc = chain_check(r, j, &good);
    *equal = *equal && good;
    out_close(j, '}');
    return rc;
}

enum perche_rc query_verify(struct replica *r, struct args *a, struct json *j)
{
    struct arg only = args_find(r, a, "table");
    struct table *wanted = only.kind == 't' ? ask_table(r, a) : NULL, *t;
    bool equal = true;
    enum perche_rc rc = r->fail;

    out_key(j, "tables");
    out_open(j, '[');
    for (uint32_t i = 0; rc == PERCHE_OK && (t = registry_at(r, i)) != NULL; i++)
        if (wanted == NULL || wanted == t)
            rc = t->present ? verify_table(r, t, j, &equal) : verify_gone(r, t, j, &equal);
    out_close(j, ']');
    if (rc == PERCHE_OK && args_true(r, a, "chain"))
        rc = verify_chain(r, j, &equal);
    out_key(j, "equal");
    out_bool(j, equal);
    /* Changes that are captured and not harvested yet look like differences: harvest first. */
    out_key(j, "captured");
    out_int(j, ask_number(r, "SELECT count(*) FROM perche_capture", 0, NULL));
    return rc != PERCHE_OK || wanted != NULL ? rc : query_warnings(r, a, j); /* they are of all tables */
}

/* ---- warnings ------------------------------------------------------------------------------- */

static void warning(struct json *j, const char *reason, const char *table, int64_t count,
                    const char *text)
{
    out_open(j, '{');
    out_key(j, "reason");
    out_text(j, reason);
    out_key(j, "table");
    out_text(j, table != NULL && *table != '\0' ? table : NULL);
    out_key(j, "count");
    if (count >= 0)
        out_int(j, count);
    else
        out_null(j);
    out_key(j, "text");
    out_text(j, text);
    out_close(j, '}');
}

static void on_registry(void *ctx, const char *code, const char *table, const char *text)
{
    warning(ctx, code, table, -1, text);
}

/* @sql gives table, a further word, count. @fmt has one %s for the word. */
static void counted(struct replica *r, struct json *j, const char *reason, const char *sql_text,
                    const char *before, const char *after)
{
    sqlite3_stmt *s = ask(r, sql_text);
    char text[300];

    while (ask_row(r, s, "look for warnings")) {
        (void)snprintf(text, sizeof text, "%s%s%s", before, ask_text(s, 1),
                       after); /* cut short is fine */
        warning(j, reason, ask_text(s, 0), sqlite3_column_int64(s, 2), text);
    }
    sqlite3_finalize(s);
}

static bool has_view(struct replica *r, const char *name)
{
    return ask_number(r, "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?2) AND ?1", 1,
                      name) != 0;
}

/* A value that names a row that should be here and is not. At a site only reference data is sure to be here. */
static enum perche_rc orphans(struct replica *r, struct json *j)
{
    sqlite3_stmt *s = ask(
        r,
        "SELECT c.tab, c.col, substr(c.refers, 1, instr(c.refers, '(') - 1), rtrim(substr(c.refers, instr(c.refers, '(') + 1), ') '), t.rule"
        " FROM perche_column c JOIN perche_table t ON t.name = substr(c.refers, 1, instr(c.refers, '(') - 1) WHERE c.refers IS NOT NULL ORDER BY c.tab, c.num");

    while (ask_row(r, s, "look for references")) {
        struct table *child = registry_table(r, ask_text(s, 0)),
                     *parent = registry_table(r, ask_text(s, 2));
        char *text;
        int64_t n;

        if (child == NULL || parent == NULL || !child->present || !parent->present ||
            (!r->hub && strcmp(ask_text(s, 4), "*") != 0))
            continue;
        if (!r->hub && ask_number(r, "SELECT EXISTS (SELECT 1 FROM perche_row WHERE tab = ?1)",
                                  parent->num, NULL) == 0)
            continue; /* nothing has come yet */
        text = sqlite3_mprintf(
            "SELECT count(*) FROM \"%w\" c WHERE \"%w\" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM \"%w\" p WHERE p.\"%w\" = c.\"%w\")",
            child->name, ask_text(s, 1), parent->name, ask_text(s, 3), ask_text(s, 1));
        n = text != NULL ? ask_number(r, text, 0, NULL) : 0;
        sqlite3_free(text);
        if (n > 0) {
            char say[300];

            (void)snprintf(say, sizeof say, "values of %s name rows of %s that are not here", ask_text(s, 1),
                           parent->name);
            warning(j, "orphan", child->name, n, say);
        }
    }
    sqlite3_finalize(s);
    return r->fail;
}

/* Values that two rows should not share (perche_unique). */
static enum perche_rc shared_values(struct replica *r, struct json *j)
{
    sqlite3_stmt *s = ask(r, "SELECT tab, cols FROM perche_unique ORDER BY tab, cols");

    while (ask_row(r, s, "look for unique values")) {
        struct table *t = registry_table(r, ask_text(s, 0));
        sqlite3_str *names = sqlite3_str_new(r->db), *there = sqlite3_str_new(r->db);
        char *list = strdup(ask_text(s, 1)), *a, *b, *text;
        bool known = t != NULL && t->present && list != NULL, first = true;

        for (char *rest = list, *col; known && (col = strsep(&rest, ",")) != NULL; first = false) {
            col += strspn(col, " ");
            sqlite3_str_appendf(names, "%s\"%w\"", first ? "" : ", ", col);
            sqlite3_str_appendf(there, "%s\"%w\" <> ''", first ? "" : " AND ", col);
        }
        a = sqlite3_str_finish(names);
        b = sqlite3_str_finish(there);
        text =
            known && a != NULL && b != NULL
                ? sqlite3_mprintf(
                      "SELECT count(*) FROM (SELECT 1 FROM \"%w\" WHERE %s GROUP BY %s HAVING count(*) > 1)",
                      t->name, b, a)
                : NULL;
        if (text != NULL) {
            int64_t n = ask_number(r, text, 0, NULL);

            if (n > 0) {
                char say[300];

                (void)snprintf(say, sizeof say, "values of %s that several rows share",
                               ask_text(s, 1));
                warning(j, "shared", t->name, n, say);
            }
        }
        sqlite3_free(text);
        sqlite3_free(a);
        sqlite3_free(b);
        free(list);
    }
    sqlite3_finalize(s);
    return r->fail;
}

enum perche_rc query_warnings(struct replica *r, struct args *a, struct json *j)
{
    int64_t unscanned = ask_number(r, "SELECT count(*) FROM perche_rescan WHERE gone_ms = 0", 0, NULL), full = scopes_full(r);

    (void)a;
    out_key(j, "warnings");
    out_open(j, '[');
    registry_warnings(r, on_registry, j);
    if (unscanned > 0)
        warning(j, "unscanned", NULL, unscanned,
                "tables whose triggers were missing are being compared: what was changed meanwhile is taken over");
    if (r->hub && full > 0)
        warning(j, "readers", NULL, full, "groups of records have as many sites as there may be: further readers of theirs (site_reader) get none of them");
    counted(r, j, "table",
            "SELECT p.name, p.name, (SELECT count(*) FROM perche_row w WHERE w.tab = p.num AND gen % 2 = 1) FROM perche_rescan s"
            " JOIN perche_tab p ON p.num = s.tab WHERE gone_ms > 0"
            " AND NOT EXISTS (SELECT 1 FROM sqlite_schema t WHERE t.type = 'table' AND t.name = p.name COLLATE NOCASE" /* made anew with another key: said above */
            " AND NOT EXISTS (SELECT 1 FROM sqlite_schema o WHERE o.name = 'perche_' || p.name || '_insert' AND o.tbl_name = t.name COLLATE NOCASE)) ORDER BY p.name",
            "somebody has dropped the table ", ": it is made again, and its rows put back");
    counted(r, j, "bypassed",
            "SELECT p.name, p.name, changed + added + removed FROM perche_bypassed b JOIN perche_tab p ON p.num = b.tab"
            " WHERE NOT told AND changed + added + removed > 0 ORDER BY p.name",
            "rows of ", " had been changed past the triggers: they were taken over as edits of this node");
    counted(r, j, "restored",
            "SELECT p.name, p.name, restored FROM perche_bypassed b JOIN perche_tab p ON p.num = b.tab"
            " WHERE NOT told AND restored > 0 ORDER BY p.name",
            "rows of ", " were gone and nobody had deleted them: they were put back");
    counted(r, j, "lost",
            "SELECT p.name, p.name, lost FROM perche_bypassed b JOIN perche_tab p ON p.num = b.tab"
            " WHERE NOT told AND lost > 0 ORDER BY p.name",
            "rows of ", " were gone, and the history does not know all of them: a site asks the hub for them");
    counted(
        r, j, "parked",
        "SELECT tab, reason, count(*) FROM perche_parked WHERE NOT (reason GLOB 'index *' OR reason GLOB 'trigger *' OR reason GLOB 'an index*')"
        " GROUP BY tab, reason ORDER BY tab, reason",
        "cells wait (", "): they apply by themselves once it is there");
    counted(
        r, j, "parked",
        "SELECT tab, reason, count(*) FROM perche_parked WHERE reason GLOB 'index *' OR reason GLOB 'trigger *' OR reason GLOB 'an index*'"
        " GROUP BY tab, reason ORDER BY tab, reason",
        "cells wait (", "): they apply by themselves once it is dropped, or made without what stands in the way");
    counted(
        r, j, "refused",
        "SELECT tab, reason, count(*) FROM perche_refused GROUP BY tab, reason ORDER BY tab, reason",
        "writes that the hub or this file did not take (", "): perche refused lists them");
    if (has_view(r, "perche_invalid") && ask_number(r, "SELECT count(*) FROM perche_rescan WHERE gone_ms > ?1 AND ?2 IS NULL", 0, NULL) == 0) /* it reads them all */
        counted(
            r, j, "invalid",
            "SELECT tab, col || ' outside ' || list, count(*) FROM perche_invalid GROUP BY tab, col, list ORDER BY tab, col",
            "values of ", ": see perche_invalid");
    if (r->fail == PERCHE_OK)
        (void)shared_values(r, j);
    if (r->fail == PERCHE_OK)
        (void)orphans(r, j);
    out_close(j, ']');
    return r->fail;
}
