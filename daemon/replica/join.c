/* A site joins a hub and leaves it.
 *
 * Before it has joined, a site writes under an id of its own. Joining gives it
 * the id of its row at the hub: as one local edit its site columns are rewritten,
 * and what it had harvested is told again as the new id's, in metadata and
 * history. That is lawful only as long as nobody else has seen any of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/command.h"
#include "replica/pack.h"
#include "replica/query.h"
#include "replica/statements.h"

#define PAGE_ROWS 256

/* ---- every row's metadata ----------------------------------------------------------- */

typedef enum perche_rc (*row_cb)(struct replica *r, struct meta *m, void *ctx);

/* Calls for each row, dead or alive; the callback may save it. */
static enum perche_rc each_row(struct replica *r, row_cb on_row, void *ctx)
{
    struct at {
        uint32_t tab, key_n;
        uint8_t key[PERCHE_KEY_BYTES_MAX];
    } *page = malloc(PAGE_ROWS * sizeof *page);
    struct meta *m = malloc(sizeof *m);
    uint32_t n = PAGE_ROWS;
    enum perche_rc rc = PERCHE_OK;

    if (page == NULL || m == NULL)
        rc = fail(r, PERCHE_NOMEM, "no memory to go through the rows");
    else
        page[PAGE_ROWS - 1].tab = page[PAGE_ROWS - 1].key_n = 0;
    while (rc == PERCHE_OK && n == PAGE_ROWS) { /* the page is read before its rows are written */
        struct at last = page[PAGE_ROWS - 1];
        sqlite3_stmt *s = ask(
            r,
            "SELECT tab, key FROM perche_row WHERE (tab, key) > (?1, ?2) ORDER BY tab, key LIMIT ?3");

        if (s != NULL) {
            sqlite3_bind_int64(s, 1, last.tab);
            sqlite3_bind_int64(s, 3, PAGE_ROWS);
        }
        ask_bind_bytes(s, 2, (struct perche_bytes){last.key, last.key_n});
        for (n = 0; ask_row(r, s, "go through the rows") && n < PAGE_ROWS; n++) {
            page[n].tab = (uint32_t)sqlite3_column_int64(s, 0);
            page[n].key_n = (uint32_t)sqlite3_column_bytes(s, 1);
            if (page[n].key_n > PERCHE_KEY_BYTES_MAX) {
                (void)fail(r, PERCHE_CORRUPT, "a key in perche_row is too long");
                break;
            }
            memcpy(page[n].key, sqlite3_column_blob(s, 1), page[n].key_n);
        }
        sqlite3_finalize(s);
        rc = r->fail;
        for (uint32_t i = 0; rc == PERCHE_OK && i < n; i++) {
            struct table *t = registry_table_num(r, page[i].tab);

            if (t == NULL || !t->present)
                continue;
            rc = meta_load(r, t, (struct perche_bytes){page[i].key, page[i].key_n}, m);
            if (rc == PERCHE_OK) {
                rc = on_row(r, m, ctx);
                meta_clear(m);
            }
        }
    }
    free(m);
    free(page);
    return rc;
}

/* ---- the new id ------------------------------------------------------------------------ */

struct renaming {
    const char *old, *new;
    uint32_t old_num, new_num;
    uint32_t scope_from, scope_to; /* the last scope that was looked at */
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The scope with the new id in the old one's place; its ids stay in order. */
static uint32_t renamed_scope(struct replica *r, const struct renaming *n, uint32_t scope)
{
    const char *ids[PERCHE_SCOPE_BYTES_MAX / 2], *text = name_text(r, scope);
    char copy[PERCHE_SCOPE_BYTES_MAX + 1], out[PERCHE_SCOPE_BYTES_MAX + PERCHE_ID_BYTES_MAX + 1];
    size_t count = 0, used = 0;
    bool named = false;

    if (text == NULL || strlen(text) >= sizeof copy)
        return scope;
    memcpy(copy, text, strlen(text) + 1);
    for (char *rest = copy, *id; (id = strsep(&rest, ",")) != NULL;) {
        bool own = strcmp(id, n->old) == 0;

        named |= own;
        ids[count++] = own ? n->new : id;
    }
    if (!named)
        return scope;
    qsort(ids, count, sizeof ids[0], by_text);
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%s", i > 0 ? "," : "", ids[i]);
    return name_number(r, out);
}

static enum perche_rc rename_row(struct replica *r, struct meta *m, void *ctx)
{
    struct renaming *n = ctx;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    bool changed = false;
    enum perche_rc rc;

    if (m->scope != n->scope_from) {
        n->scope_from = m->scope;
        n->scope_to = renamed_scope(r, n, m->scope);
        if (n->scope_to == 0)
            return r->fail;
    }
    changed = m->scope != n->scope_to;
    m->scope = n->scope_to;
    for (uint32_t num = 0; num < m->count; num++) {
        struct clock_cell *c = &m->cells[num];

        if (c->written && c->origin == n->old_num) {
            c->origin = n->new_num;
            changed = true;
        }
        if (c->based && c->base_origin == n->old_num)
            c->base_origin = n->new_num;
    }
    if (!changed)
        return PERCHE_OK;
    rc = row_values(r, m, values);
    if (rc != PERCHE_OK)
        return rc;
    digest_row(r, m, values, m->digest);
    return r->fail != PERCHE_OK ? r->fail : meta_save(r, m);
}

/* The history's batches name origins by id. */
static enum perche_rc rename_block(struct replica *r, const struct renaming *n, int64_t block,
                                   struct perche_bytes body)
{
    struct perche_batch *b = perche_batch_new();
    struct perche_buf buf = {0};
    struct perche_err err = {0};
    bool named = false;
    enum perche_rc rc = PERCHE_OK;

    if (b == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a history block");
    if (perche_batch_decode(body, b, &err) != PERCHE_OK)
        rc = fail(r, err.rc, "history: %s", err.text);
    for (uint32_t i = 0; rc == PERCHE_OK && i < b->names_count; i++)
        if (strcmp(b->names[i], n->old) == 0) {
            b->names[i] = n->new;
            named = true;
        }
    if (rc == PERCHE_OK && named && perche_batch_encode(b, 1, &buf, &err) != PERCHE_OK)
        rc = fail(r, err.rc, "history: %s", err.text);
    if (rc == PERCHE_OK && named) {
        sqlite3_stmt *s = ask(r, "UPDATE perche_history SET body = ?2 WHERE block = ?1");

        if (s != NULL)
            sqlite3_bind_int64(s, 1, block);
        ask_bind_bytes(s, 2, (struct perche_bytes){buf.p, (uint32_t)buf.n});
        rc = ask_run(r, s, "write a history block");
    }
    perche_buf_free(&buf);
    perche_batch_free(b);
    return rc;
}

static enum perche_rc rename_history(struct replica *r, const struct renaming *n)
{
    int64_t block = 0;
    bool any = true;
    enum perche_rc rc = PERCHE_OK;

    while (rc == PERCHE_OK && any) {
        sqlite3_stmt *s = ask(
            r, "SELECT block, body FROM perche_history WHERE block > ?1 ORDER BY block LIMIT 1");
        struct perche_bytes body = {0};
        uint8_t *copy = NULL;

        if (s != NULL)
            sqlite3_bind_int64(s, 1, block);
        any = ask_row(r, s, "read the history");
        if (any) {
            block = sqlite3_column_int64(s, 0);
            body.n = (uint32_t)sqlite3_column_bytes(s, 1);
            copy = malloc((size_t)body.n + 1);
            if (copy == NULL)
                (void)fail(r, PERCHE_NOMEM, "no memory for a history block");
            else
                memcpy(copy, sqlite3_column_blob(s, 1), body.n);
            body.p = copy;
        }
        sqlite3_finalize(s);
        rc = r->fail;
        if (rc == PERCHE_OK && any)
            rc = rename_block(r, n, block, body);
        free(copy);
    }
    return rc == PERCHE_OK ? history_seal(r) : rc;
}

/* Runs a statement that sqlite3_mprintf made, and frees its text. */
static enum perche_rc run(struct replica *r, char *text)
{
    enum perche_rc rc =
        text == NULL ? fail(r, PERCHE_NOMEM, "no memory for a statement") : exec(r, text);

    sqlite3_free(text);
    return rc;
}

/* A key does not change: the row is inserted again under the new one, and the old one goes. */
static enum perche_rc rename_key(struct replica *r, const struct renaming *n, const struct table *t,
                                 const char *column)
{
    sqlite3_str *columns = sqlite3_str_new(r->db), *values = sqlite3_str_new(r->db);
    char *names, *from;
    enum perche_rc rc;

    for (uint32_t i = 0; i < t->keys_count + t->columns_count; i++) {
        const struct column *c = i < t->keys_count ? &t->keys[i] : &t->columns[i - t->keys_count];

        if (c->absent)
            continue;
        sqlite3_str_appendf(columns, "%s\"%w\"", i > 0 ? ", " : "", c->name);
        if (strcmp(c->name, column) == 0)
            sqlite3_str_appendf(values, "%s%Q", i > 0 ? ", " : "", n->new);
        else
            sqlite3_str_appendf(values, "%s\"%w\"", i > 0 ? ", " : "", c->name);
    }
    names = sqlite3_str_finish(columns);
    from = sqlite3_str_finish(values);
    rc =
        names == NULL || from == NULL
            ? fail(r, PERCHE_NOMEM, "no memory for a statement")
            : run(r,
                  sqlite3_mprintf(
                      "INSERT INTO \"%w\" (%s) SELECT %s FROM \"%w\" WHERE \"%w\" = %Q ON CONFLICT DO NOTHING",
                      t->name, names, from, t->name, column, n->old));
    sqlite3_free(names);
    sqlite3_free(from);
    if (rc == PERCHE_OK)
        rc = run(r,
                 sqlite3_mprintf("DELETE FROM \"%w\" WHERE \"%w\" = %Q", t->name, column, n->old));
    return rc;
}

/* Every column that names a site, in plain SQL: captured and stamped like a program's own edit. */
static enum perche_rc rename_columns(struct replica *r, const struct renaming *n)
{
    sqlite3_stmt *s = ask(
        r,
        "SELECT tab, col, num FROM perche_column WHERE replace(lower(refers), ' ', '') = 'site(id)' ORDER BY tab, num DESC");
    enum perche_rc rc = s == NULL ? r->fail : PERCHE_OK;

    while (rc == PERCHE_OK && ask_row(r, s, "look for site columns")) {
        struct table *t = registry_table(r, ask_text(s, 0));

        if (t == NULL || !t->present)
            continue;
        rc = sqlite3_column_int(s, 2) == 0
                 ? rename_key(r, n, t, ask_text(s, 1))
                 : run(r, sqlite3_mprintf("UPDATE \"%w\" SET \"%w\" = %Q WHERE \"%w\" = %Q",
                                          t->name, ask_text(s, 1), n->new, ask_text(s, 1), n->old));
    }
    sqlite3_finalize(s);
    return rc != PERCHE_OK ? rc : r->fail;
}

enum perche_rc site_rename(struct replica *r, const char *old, const char *new)
{
    struct renaming n = {.old = old, .new = new};

    return rename_columns(r, &n);
}

static enum perche_rc rename_site(struct replica *r, const char *site)
{
    char old[PERCHE_ID_BYTES_MAX];
    struct renaming n = {.old = old, .new = site, .old_num = r->node.site_num};
    enum perche_rc rc;

    memcpy(old, r->node.site, sizeof old);
    n.new_num = name_number(r, site);
    if (n.new_num == 0)
        return r->fail;
    (void)snprintf(r->node.site, sizeof r->node.site, "%s",
                   site); /* it was measured by args_need() */
    r->node.site_num = n.new_num;
    r->node_dirty = true;
    rc = each_row(r, rename_row, &n);
    if (rc == PERCHE_OK)
        rc = rename_history(r, &n);
    if (rc == PERCHE_OK)
        rc = chain_renew(r, 0);
    if (rc == PERCHE_OK)
        rc = rename_columns(r, &n);
    return rc == PERCHE_OK ? harvest_all(r) : rc;
}

/* ---- which hub --------------------------------------------------------------------------- */

/* A position is one hub's. Where anything was exchanged with a hub the replica belongs to it, also after it has left: there
 * it goes on from its position, and nowhere else. */
static enum perche_rc check_hub(struct replica *r, const char *site, const char *hub)
{
    bool exchanged = r->node.acked != 0 || r->node.scan != 0 || r->node.joined_ms != 0;
    char was[PERCHE_ID_BYTES_MAX] = "";
    sqlite3_stmt *s = ask(r, "SELECT coalesce(nullif(hub, ''), hub_was) FROM perche_node");

    if (ask_row(r, s, "look up the hub of before"))
        (void)snprintf(was, sizeof was, "%s", ask_text(s, 0));
    sqlite3_finalize(s);
    if (r->fail != PERCHE_OK)
        return r->fail;
    if (strchr(site, ',') != NULL || strcmp(site, "*") == 0)
        return fail(r, PERCHE_USAGE, "this is no id of a site");
    if (exchanged && *was != '\0' && strcmp(was, hub) != 0)
        return fail(r, PERCHE_STATE,
                    "the records here belong to another hub's network, %s: join that one again, or name an empty folder as"
                    " [node] data to join this one", was);
    if (exchanged && strcmp(r->node.site, site) != 0)
        return fail(
            r, PERCHE_STATE,
            "others know this node as another site already: invite that one at the hub (perche invite NAME --site %s), or name an"
            " empty folder as [node] data here", r->node.site);
    return PERCHE_OK;
}

enum perche_rc query_may_join(struct replica *r, struct args *a, struct json *j)
{
    char site[PERCHE_ID_BYTES_MAX], hub[PERCHE_ID_BYTES_MAX];
    enum perche_rc rc = args_need(r, a, "site", site, sizeof site);

    if (rc == PERCHE_OK)
        rc = args_need(r, a, "hub", hub, sizeof hub);
    if (rc == PERCHE_OK)
        rc = check_hub(r, site, hub);
    out_key(j, "site");
    out_text(j, r->node.site);
    return rc;
}

/* The node becomes a member of @hub. What it has of an earlier membership there it keeps: the hub says at `prove` what
 * of it counts. */
static enum perche_rc take_hub(struct replica *r, const char *hub, const uint8_t *key)
{
    sqlite3_stmt *s = ask(r, "UPDATE perche_node SET hub_key = ?1, hub_was = ''");

    (void)snprintf(r->node.hub, sizeof r->node.hub, "%s", hub);
    r->node_dirty = true;
    if (key != NULL)
        ask_bind_bytes(s, 1, (struct perche_bytes){key, 32});
    return ask_run(r, s, "note the hub");
}

enum perche_rc command_joined(struct replica *r, const struct work *w, struct args *a,
                              struct json *j)
{
    char site[PERCHE_ID_BYTES_MAX], hub[PERCHE_ID_BYTES_MAX], key_text[65];
    uint8_t key[32];
    enum perche_rc rc = args_need(r, a, "site", site, sizeof site);

    if (rc == PERCHE_OK)
        rc = args_need(r, a, "hub", hub, sizeof hub);
    if (rc == PERCHE_OK)
        rc = args_text(r, a, "hub_key", key_text, sizeof key_text);
    if (rc != PERCHE_OK)
        return rc;
    if (*key_text != '\0' && !hex_parse(key_text, key, sizeof key))
        return fail(r, PERCHE_USAGE, "hub_key is no key of 32 bytes in hexadecimal");
    rc = check_hub(r, site, hub);
    if (rc == PERCHE_OK && strcmp(r->node.site, site) != 0)
        rc = rename_site(r, site);
    if (rc != PERCHE_OK)
        return rc;
    r->node.joined_ms = w->now_ms;
    rc = take_hub(r, hub, *key_text != '\0' ? key : NULL);
    out_key(j, "site");
    out_text(j, r->node.site);
    out_key(j, "hub");
    out_text(j, r->node.hub);
    return rc;
}

/* ---- leave ----------------------------------------------------------------------------------- */

/* What waits here and is not the hub's as well, or is not done. A person is told all of it at once. */
enum perche_rc leave_build(struct replica *r, const struct work *w, struct outcome *o)
{
    static const struct {
        const char *query, *one, *many;
    } kinds[] = {
        {"SELECT count(*) FROM perche_row WHERE first > ?1", "row waits to be sent", "rows wait to be sent"},
        {"SELECT count(*) FROM perche_capture", "change was just written", "changes were just written"},
        {"SELECT count(*) FROM perche_rescan", "table is being compared", "tables are being compared"},
        {"SELECT count(*) FROM perche_held", "deletion waits for a person (perche held)",
         "deletions wait for a person (perche held)"},
        {"SELECT count(*) FROM perche_leaving", "row is to be dropped here", "rows are to be dropped here"},
        {"SELECT count(*) FROM perche_wanted", "row is asked for", "rows are asked for"},
    };
    char said[300] = "";
    size_t used = 0;

    (void)w;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        int64_t n = ask_number(r, kinds[i].query, (int64_t)r->node.acked, NULL);

        if (n > 0 && used < sizeof said)
            used += (size_t)snprintf(said + used, sizeof said - used, "%s%lld %s", used > 0 ? ", " : "", (long long)n,
                                     n == 1 ? kinds[i].one : kinds[i].many);
    }
    if (r->fail != PERCHE_OK)
        return r->fail;
    if (used > 0)
        return fail(r, PERCHE_STATE, "%s", said);
    if (r->node.must || r->node.returns)
        return fail(r, PERCHE_STATE, "what was put back, or was away for long, is being compared with the hub");
    o->message.op = PERCHE_OP_LEAVE;
    o->message.u.leave = (struct perche_leave){
        .acked = r->node.acked, .full = r->node.full, .scan = r->node.scan, .done = r->node.done};
    return PERCHE_OK;
}

/* The hub knows it, or there was nothing that it could know. Rows, id, epoch and position stay: see check_hub(). */
enum perche_rc command_leave(struct replica *r, const struct work *w, struct args *a,
                             struct json *j)
{
    enum perche_rc rc = PERCHE_OK;

    (void)w;
    (void)a;
    if (*r->node.hub != '\0') {
        sqlite3_stmt *s;

        if (r->node.acked == 0 && r->node.scan == 0)
            r->node.joined_ms = 0; /* nothing was exchanged: it may still become another site */
        s = ask(r, "UPDATE perche_node SET hub_was = hub");
        rc = ask_run(r, s, "note the hub that was");
        *r->node.hub = '\0';
        r->node.proven_ms = 0;
        r->node_dirty = true;
    } else if (ask_number(r, "SELECT hub_was = '' FROM perche_node", 0, NULL) != 0) {
        return fail(r, PERCHE_STATE, "this site is not a member of a hub's network, so there is nothing to leave: perche join LINE makes it one");
    }
    out_key(j, "left");
    out_bool(j, true);
    return rc;
}
