/* What the hub did not take of a site's writes, with its values.
 *
 * A refusal names a row and columns of it, and no value: the hub keeps none. The values stand in the site's history, in
 * the blocks that it harvested, whatever has become of the row since (written over, deleted, put back by its image). So
 * each own block of the row that no complete answer of the hub has spoken of before (node.heard) becomes an entry with
 * those of its cells that were refused. An entry keeps its block and cells: each value is listed once, however often it
 * is told. Of several values of one column the hub may have taken some: the one that its row has, when that comes, was no refused one. */
#include "replica/refused.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "replica/ask.h"
#include "replica/json.h"
#include "replica/pack.h"
#include "replica/statements.h"

struct listing {
    struct replica *r;
    struct meta *m;
    const char *key, *reason;
    uint64_t mask, have, seen; /* seen: columns that the blocks had a value of */
    bool whole;  /* the row was refused, not cells of it */
    bool listed; /* something of it stands in the list */
    uint64_t *blocks; /* newest first */
    uint32_t count, cap;
};

static uint64_t bit(uint32_t num)
{
    return UINT64_C(1) << (num - 1);
}

static bool holds_bad_character(const void *p, size_t n)
{
    return n > 0 && memmem(p, n, "\xef\xbf\xbd", 3) != NULL;
}

/* Text that is no UTF-8 (another program's Latin-1) is written as a blob is: JSON would lose what it is. */
static void put_value(struct json *j, const struct perche_value *v)
{
    size_t at = j->n;
    bool comma = j->comma;

    out_value(j, v);
    if (j->failed || v->type != PERCHE_TEXT || !holds_bad_character(j->p + at, j->n - at) || holds_bad_character(v->p, v->n))
        return;
    j->n = at;
    j->comma = comma;
    out_hex(j, v->p, v->n);
}

/* As people write it: values one behind the other with commas, a blob in hexadecimal. NULL: r->fail. sqlite3_free() ends it. */
static char *key_text(struct replica *r, struct perche_bytes key)
{
    struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    sqlite3_str *s = sqlite3_str_new(r->db);
    uint32_t n = 0;
    bool failed = false;
    char *text;

    if (perche_key_decode(key, values, &n, scratch) != PERCHE_OK)
        n = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct perche_value *v = &values[i];
        struct json one = {0};

        if (i > 0)
            sqlite3_str_appendchar(s, 1, ',');
        if (v->type == PERCHE_TEXT) {
            sqlite3_str_append(s, (const char *)v->p, (int)v->n);
            continue;
        }
        out_value(&one, v);
        failed |= one.failed;
        if (!one.failed && v->type == PERCHE_BLOB)
            sqlite3_str_append(s, one.p + 1, (int)one.n - 2); /* without its quotes */
        else if (!one.failed)
            sqlite3_str_append(s, one.p, (int)one.n);
        out_free(&one);
    }
    failed |= sqlite3_str_errcode(s) != SQLITE_OK;
    text = sqlite3_str_finish(s);
    if (text == NULL && !failed)
        text = sqlite3_mprintf("");
    if (!failed && text != NULL)
        return text;
    sqlite3_free(text);
    (void)fail(r, PERCHE_NOMEM, "no memory for a key");
    return NULL;
}

/* Which cells of this block are in the list; *any: it has an entry. */
static uint64_t listed_cells(const struct listing *l, uint64_t block, bool *any)
{
    sqlite3_stmt *s = sql(l->r, SQL_REFUSED_OF);
    uint64_t cells = 0;

    *any = false;
    sqlite3_bind_text(s, 1, l->m->table->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, l->key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, (sqlite3_int64)block);
    while (sql_row(l->r, s)) {
        *any = true;
        cells |= (uint64_t)sqlite3_column_int64(s, 0);
    }
    sql_done(s);
    return cells;
}

/* Bytes that this may take in JSON. */
static size_t json_most(const struct table *t, const struct perche_value *values, uint64_t cells)
{
    size_t n = 64;

    for (uint32_t num = 1; num <= t->columns_count; num++)
        if (cells & bit(num))
            n += 6 * strlen(t->columns[num - 1].name) + 64 +
                 (values[num].type == PERCHE_TEXT ? (size_t)values[num].n * 6 : values[num].type == PERCHE_BLOB ? (size_t)values[num].n * 2 : 0);
    return n;
}

static enum perche_rc put_entry(struct listing *l, uint64_t block, const struct perche_value *values, uint64_t cells)
{
    struct replica *r = l->r;
    const struct table *t = l->m->table;
    struct json image = {0};
    sqlite3_str *columns;
    bool large = json_most(t, values, cells) > JSON_BYTES_MAX;
    char *names;
    sqlite3_stmt *s;
    enum perche_rc rc = PERCHE_OK;

    if (large && (cells & (cells - 1)) != 0) { /* too much for one document: each for itself */
        for (; cells != 0 && rc == PERCHE_OK; cells &= cells - 1)
            rc = put_entry(l, block, values, cells & ~(cells - 1));
        return rc;
    }
    columns = sqlite3_str_new(r->db);
    out_open(&image, '{');
    for (uint32_t num = 1; num <= t->columns_count; num++) {
        if (!(cells & bit(num)))
            continue;
        if (!l->whole)
            sqlite3_str_appendf(columns, "%s%s", sqlite3_str_length(columns) > 0 ? "," : "", t->columns[num - 1].name);
        if (large)
            continue;
        out_key(&image, t->columns[num - 1].name);
        put_value(&image, &values[num]);
    }
    out_close(&image, '}');
    rc = image.failed || sqlite3_str_errcode(columns) != SQLITE_OK ? fail(r, PERCHE_NOMEM, "no memory for a refused write") : PERCHE_OK;
    names = sqlite3_str_finish(columns);
    if (rc == PERCHE_OK) {
        s = sql(r, SQL_REFUSED_PUT);
        sqlite3_bind_int64(s, 1, (sqlite3_int64)r->now_ms);
        sqlite3_bind_text(s, 2, t->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 3, l->key, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 4, names != NULL ? names : "", -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 5, l->reason, -1, SQLITE_STATIC);
        if (large)
            bind_value(s, 6, &values[__builtin_ctzll(cells) + 1]); /* a text: a blob of a row's size fits */
        else
            sqlite3_bind_text(s, 6, image.p, (int)image.n, SQLITE_STATIC);
        sqlite3_bind_int64(s, 7, (sqlite3_int64)block);
        sqlite3_bind_int64(s, 8, (sqlite3_int64)cells);
        rc = sql_run(r, s, "list a refused write");
        if (rc == PERCHE_OK)
            rc = note_add(r, NOTE_REFUSED, t->name, l->reason, "", 1);
    }
    sqlite3_free(names);
    out_free(&image);
    l->listed = true;
    return rc;
}

/* Is this what the row has now, and not sent to the hub when it spoke? */
static bool unheard(const struct listing *l, uint32_t num, uint64_t stamp)
{
    const struct clock_cell *c = &l->m->cells[num];

    return c->written && c->via == VIA_LOCAL && c->lsn > l->have && c->stamp == stamp;
}

static bool own_block(void *ctx, const struct perche_batch *b, const struct perche_part *part, const struct perche_row *row,
                      uint64_t block, uint64_t at_ms, uint32_t via)
{
    struct listing *l = ctx;

    (void)b, (void)part, (void)row, (void)at_ms;
    if (block <= l->r->node.heard)
        return false;
    if (via != VIA_LOCAL)
        return true;
    if (l->count == l->cap) {
        uint32_t cap = l->cap ? 2 * l->cap : 16;
        uint64_t *more = realloc(l->blocks, cap * sizeof *more);

        if (more == NULL) {
            (void)fail(l->r, PERCHE_NOMEM, "no memory for refused writes");
            return false;
        }
        l->blocks = more;
        l->cap = cap;
    }
    l->blocks[l->count++] = block;
    return true;
}

static bool list_block(void *ctx, const struct perche_batch *b, const struct perche_part *part, const struct perche_row *row,
                       uint64_t block, uint64_t at_ms, uint32_t via)
{
    struct listing *l = ctx;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    bool any;
    uint64_t before = listed_cells(l, block, &any), cells = 0;

    (void)b, (void)at_ms, (void)via;
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct perche_cell *c = &part->cells[row->cells_first + i];
        const struct column *column = table_column(l->m->table, part->columns[c->col]);

        if (column == NULL || !(l->mask & ~before & bit(column->num)) || unheard(l, column->num, c->stamp))
            continue;
        cells |= bit(column->num);
        values[column->num] = c->value;
    }
    l->listed |= any;
    l->seen |= before | cells;
    if (cells != 0 || (l->whole && !any && row->flags & PERCHE_ROW_GEN && !unheard(l, 0, row->gen_stamp)))
        (void)put_entry(l, block, values, cells); /* a failure stays in r->fail */
    return false;
}

/* Oldest first, as they were written. */
static enum perche_rc list_blocks(struct listing *l)
{
    uint64_t newest = l->m->block;
    enum perche_rc rc = history_walk(l->r, l->m, own_block, l);

    while (rc == PERCHE_OK && l->count > 0) {
        l->m->block = l->blocks[--l->count];
        rc = history_walk(l->r, l->m, list_block, l);
    }
    l->m->block = newest;
    free(l->blocks);
    l->blocks = NULL;
    return rc;
}

/* Is anything of the row in the list? A refusal without a value that is told again says nothing more. */
static bool listed_ever(const struct listing *l)
{
    sqlite3_stmt *s = sql(l->r, SQL_REFUSED_ANY);
    bool any;

    sqlite3_bind_text(s, 1, l->m->table->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, l->key, -1, SQLITE_STATIC);
    any = sql_row(l->r, s);
    sql_done(s);
    return any;
}

/* Of those of a row that named another one before that was there (named.c)? */
static bool late_reason(const char *reason)
{
    return strcmp(reason, "member") == 0 || strcmp(reason, "parent") == 0 || strcmp(reason, "readonly") == 0;
}

/* What the hub judged late (it had waited there, or a hub that was put back judges anew): the row's own values, as they are. What it had
 * let stand till then may have come back with an image. */
static enum perche_rc list_present(struct listing *l)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    bool any;
    uint64_t before = listed_cells(l, l->m->block, &any), cells = 0;
    bool late = late_reason(l->reason);
    enum perche_rc rc = l->m->stored ? row_values(l->r, l->m, values) : l->r->fail;

    for (uint32_t num = 1; l->m->stored && num < l->m->count; num++) {
        const struct clock_cell *c = &l->m->cells[num];

        bool own = c->written && ((c->via == VIA_LOCAL && c->lsn <= l->have) || (late && c->via == VIA_HUB && c->origin == l->r->node.site_num));

        if (own && l->mask & ~before & ~l->seen & bit(num))
            cells |= bit(num);
    }
    if (rc != PERCHE_OK || (cells == 0 && (l->listed || listed_ever(l))))
        return rc;
    return put_entry(l, l->m->block, values, cells);
}

/* The columns that a refusal names; all when it names none, or one that is not known here. */
static uint64_t named(const struct table *t, const char *columns)
{
    uint64_t mask = 0;

    for (uint32_t i = 0; i < t->columns_count; i++) {
        size_t n = strlen(t->columns[i].name);

        for (const char *at = columns; n > 0 && (at = strstr(at, t->columns[i].name)) != NULL; at++)
            if ((at == columns || at[-1] == ',') && (at[n] == '\0' || at[n] == ','))
                mask |= bit(i + 1);
    }
    return mask != 0 ? mask : UINT64_MAX;
}

static bool names_what_was_not_here(const struct perche_notice *n)
{
    return n->columns[0] == '\0' && (strcmp(n->reason, "member") == 0 || strcmp(n->reason, "parent") == 0);
}

enum perche_rc refused_note(struct replica *r, struct table *t, const struct perche_notice *n, uint64_t have)
{
    struct meta m;
    char *key;
    struct listing l = {.r = r, .m = &m, .reason = n->reason, .have = have, .mask = named(t, n->columns), .whole = n->columns[0] == '\0'};
    enum perche_rc rc = meta_load(r, t, n->key, &m);

    if (rc != PERCHE_OK)
        return rc;
    l.key = key = key_text(r, n->key);
    rc = key != NULL ? list_blocks(&l) : r->fail;
    if (rc == PERCHE_OK && (!l.listed || names_what_was_not_here(n))) /* that judges what was told to be taken, too */
        rc = list_present(&l);
    sqlite3_free(key);
    meta_clear(&m);
    return rc != PERCHE_OK ? rc : r->fail;
}

enum perche_rc refused_lost(struct replica *r, struct meta *m, uint64_t mask)
{
    const struct table *t = m->table;
    char *key = key_text(r, (struct perche_bytes){m->key, m->key_n});
    struct listing l = {.r = r, .m = m, .key = key, .have = UINT64_MAX, .mask = mask,
                        .reason = t->rule == RULE_ALL && t->policy == POLICY_HUB ? "hub_table" : "hub_column"};
    enum perche_rc rc = key != NULL ? list_blocks(&l) : r->fail;

    sqlite3_free(key);
    return rc != PERCHE_OK ? rc : r->fail;
}

/* ---- what the image has of ours ------------------------------------------------------ */

struct taken {
    const struct perche_batch *b; /* the image */
    const struct perche_part *part;
    const struct perche_row *row;
    const struct table *table;
    uint64_t cells;               /* of an entry's block, that the image has likewise */
};

static bool taken_block(void *ctx, const struct perche_batch *b, const struct perche_part *part, const struct perche_row *row,
                        uint64_t block, uint64_t at_ms, uint32_t via)
{
    struct taken *k = ctx;

    (void)block, (void)at_ms, (void)via;
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct perche_cell *c = &part->cells[row->cells_first + i];
        const struct column *column = table_column((struct table *)k->table, part->columns[c->col]);

        for (uint32_t j = 0; column != NULL && j < k->row->cells_count; j++) {
            const struct perche_cell *has = &k->part->cells[k->row->cells_first + j];

            if (has->stamp == c->stamp && strcmp(k->part->columns[has->col], column->name) == 0 &&
                strcmp(k->b->names[has->origin], b->names[c->origin]) == 0 && perche_value_compare(&has->value, &c->value) == 0)
                k->cells |= bit(column->num);
        }
    }
    return false;
}

/* Takes a cell out of an entry that has others, which are @left. */
static enum perche_rc entry_less(struct replica *r, int64_t n, const struct table *t, uint32_t num, uint64_t left, bool named_columns)
{
    sqlite3_str *columns = sqlite3_str_new(r->db);
    char *path = sqlite3_mprintf("$.\"%s\"", t->columns[num - 1].name), *names;
    enum perche_rc rc;
    sqlite3_stmt *s;

    for (uint32_t i = 1; named_columns && i <= t->columns_count; i++)
        if (left & bit(i))
            sqlite3_str_appendf(columns, "%s%s", sqlite3_str_length(columns) > 0 ? "," : "", t->columns[i - 1].name);
    rc = path == NULL || sqlite3_str_errcode(columns) != SQLITE_OK ? fail(r, PERCHE_NOMEM, "no memory for a refused write") : PERCHE_OK;
    names = sqlite3_str_finish(columns);
    if (rc == PERCHE_OK) {
        s = sql(r, SQL_REFUSED_LESS);
        sqlite3_bind_int64(s, 1, n);
        sqlite3_bind_text(s, 2, path, -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 3, (sqlite3_int64)left);
        sqlite3_bind_text(s, 4, names != NULL ? names : "", -1, SQLITE_STATIC);
        rc = sql_run(r, s, "take a value off the list");
    }
    sqlite3_free(names);
    sqlite3_free(path);
    return rc;
}

/* One whose name JSON's paths cannot say stays listed, with what was refused beside it. */
static enum perche_rc take_off(struct replica *r, int64_t n, const struct table *t, uint64_t cells, uint64_t taken, bool named_columns)
{
    enum perche_rc rc = PERCHE_OK;

    if (taken != 0 && (cells & ~taken) == 0) {
        sqlite3_stmt *s = sql(r, SQL_REFUSED_END);

        sqlite3_bind_int64(s, 1, n);
        return sql_run(r, s, "take an entry off the list");
    }
    for (; rc == PERCHE_OK && taken != 0; taken &= taken - 1) {
        uint32_t num = (uint32_t)__builtin_ctzll(taken) + 1;

        if (strpbrk(t->columns[num - 1].name, "\"\\") != NULL)
            continue;
        cells &= ~bit(num);
        rc = entry_less(r, n, t, num, cells, named_columns);
    }
    return rc;
}

enum perche_rc refused_taken(struct replica *r, struct table *t, const struct perche_batch *b, const struct perche_part *part,
                             const struct perche_row *row)
{
    struct taken k = {.b = b, .part = part, .row = row, .table = t};
    char *key = key_text(r, row->key);
    int64_t n = 0;
    bool any = key != NULL;
    struct meta m;
    enum perche_rc rc = any ? meta_load(r, t, row->key, &m) : r->fail;

    if (rc != PERCHE_OK) {
        sqlite3_free(key);
        return rc;
    }
    while (rc == PERCHE_OK && any) {
        sqlite3_stmt *s = sql(r, SQL_REFUSED_NEXT);
        uint64_t cells = 0;
        bool named_columns = false;

        sqlite3_bind_text(s, 1, t->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, key, -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 3, n);
        any = sql_row(r, s);
        if (any) {
            n = sqlite3_column_int64(s, 0);
            m.block = (uint64_t)sqlite3_column_int64(s, 1);
            cells = (uint64_t)sqlite3_column_int64(s, 2);
            named_columns = sqlite3_column_int(s, 3) != 0;
        }
        sql_done(s);
        k.cells = 0;
        if (any && cells != 0 && r->fail == PERCHE_OK)
            rc = history_walk(r, &m, taken_block, &k);
        if (rc == PERCHE_OK && any)
            rc = take_off(r, n, t, cells, k.cells & cells, named_columns);
    }
    meta_clear(&m);
    sqlite3_free(key);
    return rc != PERCHE_OK ? rc : r->fail;
}

enum perche_rc refused_held(struct replica *r, struct meta *m)
{
    static const struct perche_value none[PERCHE_COLUMNS_MAX + 1];
    char *key = key_text(r, (struct perche_bytes){m->key, m->key_n});
    struct listing l = {.r = r, .m = m, .key = key, .reason = "left", .whole = true};
    enum perche_rc rc = key != NULL ? put_entry(&l, m->block, none, 0) : r->fail; /* no values: they are another site's now */

    sqlite3_free(key);
    return rc;
}

/* ---- keys too long, and none ------------------------------------------------------- */

/* Is a row of such a key there? Several may have the same one, where it is none. */
static bool keyless_left(struct replica *r, const struct table *t, const struct perche_value *keys)
{
    sqlite3_str *text = sqlite3_str_new(r->db);
    sqlite3_stmt *s = NULL;
    char *sql_text;
    bool left;

    sqlite3_str_appendf(text, "SELECT 1 FROM \"%w\"", t->name);
    for (uint32_t i = 0; i < t->keys_count; i++)
        sqlite3_str_appendf(text, "%s\"%w\" IS ?%u", i == 0 ? " WHERE " : " AND ", t->keys[i].name, i + 1);
    sql_text = sqlite3_str_finish(text);
    if (sql_text == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a statement");
    else
        s = ask(r, sql_text);
    sqlite3_free(sql_text);
    for (uint32_t i = 0; s != NULL && i < t->keys_count; i++)
        bind_value(s, (int)i + 1, &keys[i]);
    left = ask_row(r, s, "look for a row without a key");
    sqlite3_finalize(s);
    return left;
}

enum perche_rc key_list(struct replica *r, const struct table *t, const struct perche_value *keys, bool here)
{
    char size[64];
    uint64_t bytes = 0, sum = 0;
    int longest = 0;
    bool keyless = false;
    sqlite3_stmt *s;

    for (uint32_t i = 0; i < t->keys_count; i++) {
        if (keys[i].type == PERCHE_NULL) { /* a program has made the table anew without NOT NULL */
            keyless = true;
            sum *= 31;
            continue;
        }
        if (keys[i].type != PERCHE_TEXT && keys[i].type != PERCHE_BLOB) {
            sum = sum * 31 + (uint64_t)keys[i].i;
            continue;
        }
        bytes += keys[i].n;
        sum = sum * 31 + XXH3_64bits(keys[i].p, keys[i].n);
        if (keys[i].n > keys[longest].n || keys[longest].type < PERCHE_TEXT)
            longest = (int)i;
    }
    if (keyless && !here && keyless_left(r, t, keys))
        return PERCHE_OK;
    if (r->fail != PERCHE_OK)
        return r->fail;
    if (keyless && t->keys_count == 1)
        (void)snprintf(size, sizeof size, "a key that is NULL");
    else if (keyless)
        (void)snprintf(size, sizeof size, "a key with NULL (%08llx)", (unsigned long long)(sum & 0xffffffff));
    else
        (void)snprintf(size, sizeof size, "a key of %llu bytes (%08llx)", (unsigned long long)bytes, (unsigned long long)(sum & 0xffffffff));
    s = sql(r, here ? SQL_KEPT_PUT : SQL_KEPT_END);
    if (here)
        sqlite3_bind_int64(s, 1, (sqlite3_int64)r->now_ms);
    sqlite3_bind_text(s, here ? 2 : 1, t->name, -1, SQLITE_STATIC);
    if (keys[longest].type == PERCHE_TEXT)
        bind_value(s, here ? 3 : 2, &keys[longest]);
    else
        sqlite3_bind_text(s, here ? 3 : 2, "", 0, SQLITE_STATIC);
    if (here)
        sqlite3_bind_text(s, 4, "", 0, SQLITE_STATIC);
    sqlite3_bind_text(s, here ? 5 : 3, size, -1, SQLITE_STATIC);
    r->kept_here |= here;
    return sql_run(r, s, "list a key that is too long");
}

enum perche_rc key_list_anew(struct replica *r, const struct table *t)
{
    sqlite3_stmt *s = r->kept_here ? ask(r, "DELETE FROM perche_refused WHERE tab = ?1 AND reason = 'key' AND image GLOB 'a key * NULL*'") : NULL;

    if (s == NULL)
        return r->fail;
    sqlite3_bind_text(s, 1, t->name, -1, SQLITE_STATIC);
    return ask_run(r, s, "list rows without a key anew");
}
