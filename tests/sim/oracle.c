/* What must be true at the end, told from what the programs wrote and from nothing
 * else: base tables, the queue of conflicts and the history, read through SQL.
 *
 * Which rows a site holds is said here by conditions of its own (actors.c, `scope`),
 * not by the scopes that the hub derived. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

/* ---- dumps --------------------------------------------------------------- */

#define T_CONFLICT TABLES
#define T_CHAIN (TABLES + 1)
#define DUMPS (TABLES + 2)

struct entry {
    uint8_t table;
    int8_t scope;       /* 1 in, 0 out, -1 nobody can tell */
    uint32_t key, row;  /* offsets into text: JSON of the key; the row's bytes */
    uint32_t row_n;
};

struct dump {
    struct entry *entries;
    uint32_t count, cap;
    char *text;
    uint32_t text_n, text_cap;
    bool ready;         /* nothing captured waits to be harvested */
    struct { uint8_t table; char key[48]; } *held; /* deleted here, and a person is asked: alive for everybody else */
    uint32_t held_count;
};

void dump_free(struct dump *d)
{
    if (d == NULL)
        return;
    free(d->entries);
    free(d->text);
    free(d->held);
    free(d);
}

static void put(struct dump *d, const void *p, uint32_t n)
{
    if (d->text_n + n > d->text_cap) {
        d->text_cap = 2 * (d->text_n + n) + 4096;
        d->text = realloc(d->text, d->text_cap);
        if (d->text == NULL)
            abort();
    }
    memcpy(d->text + d->text_n, p, n);
    d->text_n += n;
}

static const char *table_name(int table)
{
    return table == T_CONFLICT ? "perche_conflict" : table == T_CHAIN ? "perche_chain" : specs[table].name;
}

/* @scoped: ?1 is a site, and the second column says whether the row is in its scope; else that is always 1. */
static sqlite3_stmt *dump_statement(struct world *w, struct node *n, int table, bool scoped)
{
    sqlite3_stmt **kept = &n->dumps[scoped][table], *s;
    char sql[3000], columns[1500] = "";
    size_t at;

    if (*kept != NULL)
        return *kept;
    s = program_ask(w, n, "SELECT group_concat('t.' || name) FROM (SELECT name FROM pragma_table_info(?1) ORDER BY name)");
    if (s != NULL && sqlite3_bind_text(s, 1, table_name(table), -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        (void)snprintf(columns, sizeof columns, "%s", (const char *)sqlite3_column_text(s, 0)); /* one that was added again stands elsewhere in the file */
    program_done(w, n, s);
    if (table >= TABLES) {
        (void)snprintf(sql, sizeof sql, "SELECT json_array(t.id), NULL, %s FROM %s t ORDER BY t.id", columns, table_name(table));
    } else {
        const struct table_spec *t = &specs[table];

        at = (size_t)snprintf(sql, sizeof sql, "SELECT json_array(");
        for (int i = 0; i < 3 && t->keys[i] != NULL; i++)
            at += (size_t)snprintf(sql + at, sizeof sql - at, "%st.%s", i ? ", " : "", t->keys[i]);
        at += (size_t)snprintf(sql + at, sizeof sql - at, "), (%s), %s FROM %s t ORDER BY ", scoped ? t->scope : "1", columns, t->name);
        for (int i = 0; i < 3 && t->keys[i] != NULL; i++) /* what find() and dump_same() take for granted; seen to in dump_take() */
            at += (size_t)snprintf(sql + at, sizeof sql - at, "%st.%s", i ? ", " : "", t->keys[i]);
    }
    if (sqlite3_prepare_v2(node_db(w, n), sql, -1, kept, NULL) != SQLITE_OK)
        world_fail(w, "oracle", "%s: %s: %s", n->name, sql, sqlite3_errmsg(n->db));
    return *kept;
}

static const struct entry *find(const struct dump *d, int table, const char *key)
{
    uint32_t low = 0, high = d->count;

    while (low < high) {
        uint32_t mid = (low + high) / 2;
        const struct entry *e = &d->entries[mid];
        int order = e->table != table ? (int)e->table - table : strcmp(d->text + e->key, key);

        if (order == 0)
            return e;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static void dump_held(struct world *w, struct node *n, struct dump *d)
{
    sqlite3_stmt *s = program_ask(w, n, "SELECT t.name, h.key FROM perche_held h JOIN perche_tab t ON t.num = h.tab");

    if (s == NULL) {
        world_fail(w, "oracle", "%s: %s", n->name, sqlite3_errmsg(n->db));
        return;
    }
    while (sqlite3_step(s) == SQLITE_ROW) {
        d->held = realloc(d->held, (d->held_count + 1) * sizeof *d->held);
        if (d->held == NULL)
            abort();
        d->held[d->held_count].table = TABLES;
        for (uint8_t i = 0; i < TABLES; i++)
            if (strcmp(specs[i].name, (const char *)sqlite3_column_text(s, 0)) == 0)
                d->held[d->held_count].table = i;
        if (held_json(sqlite3_column_blob(s, 1), sqlite3_column_bytes(s, 1), d->held[d->held_count].key))
            d->held_count++;
        else
            world_fail(w, "simulator", "%s holds a row of another kind of key", n->name);
    }
    program_done(w, n, s);
}

struct dump *dump_take(struct world *w, struct node *n, const char *site)
{
    struct dump *d = calloc(1, sizeof *d);
    sqlite3_stmt *s = NULL;
    bool once;

    if (d == NULL)
        abort();
    once = sqlite3_get_autocommit(node_db(w, n)) != 0 && sqlite3_exec(n->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK; /* one snapshot for all */
    for (int table = 0; table < DUMPS; table++) {
        int rc;

        if (table < TABLES && table_gone(w, n, table))
            continue;
        s = dump_statement(w, n, table, site != NULL && table < TABLES);
        if (s == NULL)
            break;
        if (site != NULL && table < TABLES)
            sqlite3_bind_text(s, 1, site, -1, SQLITE_STATIC);
        while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
            struct entry *e;
            int columns = sqlite3_column_count(s);

            if (d->count == d->cap) {
                d->cap = d->cap ? 2 * d->cap : 128;
                d->entries = realloc(d->entries, d->cap * sizeof *d->entries);
                if (d->entries == NULL)
                    abort();
            }
            e = &d->entries[d->count++];
            e->table = (uint8_t)table;
            e->scope = sqlite3_column_type(s, 1) == SQLITE_NULL ? -1 : (int8_t)(sqlite3_column_int(s, 1) != 0);
            e->key = d->text_n;
            put(d, sqlite3_column_text(s, 0), (uint32_t)sqlite3_column_bytes(s, 0) + 1);
            if (d->count > 1 && e[-1].table == table && strcmp(d->text + e[-1].key, d->text + e->key) >= 0)
                world_fail(w, "simulator", "%s: keys of %s do not come in order: %s", n->name, table_name(table), d->text + e->key);
            e->row = d->text_n;
            if (table >= TABLES) { /* in the scope of the row that it is about */
                const struct entry *about = NULL;

                for (int i = 0; i < TABLES; i++)
                    if (strcmp(specs[i].name, (const char *)sqlite3_column_text(s, 3)) == 0)
                        about = find(d, i, (const char *)sqlite3_column_text(s, 4));
                d->entries[d->count - 1].scope = site == NULL ? 1 : about != NULL ? about->scope : -1;
                e = &d->entries[d->count - 1];
            }
            for (int i = 2; i < columns; i++) {
                const char *types = "?IFTBN";
                int type = sqlite3_column_type(s, i);
                const void *p = type == SQLITE_NULL ? "" : (const void *)sqlite3_column_text(s, i);

                put(d, &types[type], 1);
                put(d, p, type == SQLITE_NULL ? 0 : (uint32_t)sqlite3_column_bytes(s, i));
                put(d, "\x1f", 1);
            }
            e->row_n = d->text_n - e->row;
            put(d, "", 1);
        }
        sqlite3_reset(s);
        if (rc != SQLITE_DONE && rc != SQLITE_BUSY)
            world_fail(w, "oracle", "%s: %s", n->name, sqlite3_errmsg(n->db));
    }
    s = program_ask(w, n, "SELECT NOT EXISTS (SELECT 1 FROM perche_capture)");
    d->ready = s != NULL && sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0) == 1;
    program_done(w, n, s);
    dump_held(w, n, d);
    if (once)
        (void)sqlite3_exec(n->db, "COMMIT", NULL, NULL, NULL); /* nothing was written */
    return d;
}

static bool holds(const struct dump *d, int table, const char *key)
{
    for (uint32_t i = 0; i < d->held_count; i++)
        if (d->held[i].table == table && strcmp(d->held[i].key, key) == 0)
            return true;
    return false;
}

uint64_t dump_hash(const struct dump *d)
{
    uint64_t x = UINT64_C(0xcbf29ce484222325);

    for (uint32_t i = 0; i < d->text_n; i++)
        x = (x ^ (uint8_t)d->text[i]) * UINT64_C(0x100000001b3);
    return x;
}

static void printable(char *out, size_t n, const struct dump *d, const struct entry *e)
{
    size_t at = 0;

    for (uint32_t i = 0; i < e->row_n && at + 2 < n; i++)
        out[at++] = d->text[e->row + i] == '\x1f' ? ' ' : d->text[e->row + i];
    out[at] = '\0';
}

bool dump_same(const struct dump *hub, const struct dump *site, char *why, size_t n)
{
    uint32_t i = 0, k = 0;
    char a[160], b[160];

    while (i < hub->count || k < site->count) {
        const struct entry *h = i < hub->count ? &hub->entries[i] : NULL, *s = k < site->count ? &site->entries[k] : NULL;
        int order = h == NULL ? 1 : s == NULL ? -1 : h->table != s->table ? (int)h->table - s->table : strcmp(hub->text + h->key, site->text + s->key);

        if (order < 0) {
            if (h->scope == 1 && !holds(site, h->table, hub->text + h->key)) {
                printable(a, sizeof a, hub, h);
                (void)snprintf(why, n, "the site lacks %s %s: %s", table_name(h->table), hub->text + h->key, a);
                return false;
            }
            i++;
        } else if (order > 0 && holds(hub, s->table, site->text + s->key)) {
            k++;
        } else if (order > 0) {
            printable(b, sizeof b, site, s);
            (void)snprintf(why, n, "the hub lacks %s %s: %s", table_name(s->table), site->text + s->key, b);
            return false;
        } else {
            if (h->scope == 0) {
                (void)snprintf(why, n, "P7: outside the site's scopes: %s %s", table_name(h->table), hub->text + h->key);
                return false;
            }
            if (h->row_n != s->row_n || memcmp(hub->text + h->row, site->text + s->row, h->row_n) != 0) {
                uint32_t same = 0;

                while (same < h->row_n && same < s->row_n && hub->text[h->row + same] == site->text[s->row + same])
                    same++;
                while (same > 0 && hub->text[h->row + same - 1] != '\x1f')
                    same--;
                (void)snprintf(why, n, "%s %s differs: hub ...%.40s, site ...%.40s", table_name(h->table), hub->text + h->key,
                               hub->text + h->row + same, site->text + s->row + same);
                return false;
            }
            i++;
            k++;
        }
    }
    return true;
}

/* ---- proofs, while the story goes on ------------------------------------------ */

static uint64_t question(const struct perche_message *m)
{
    uint64_t x = m->u.digest.scan * 31 + m->u.digest.acked;

    for (int i = 0; i < 16; i++)
        x = (x ^ m->u.digest.root[i]) * UINT64_C(0x100000001b3);
    return x;
}

/* The site asks whether its rows are the hub's: what has it? */
void oracle_built(struct world *w, struct node *n, const struct perche_message *digest)
{
    uint32_t slot;
    struct dump *d;

    if (digest->op != PERCHE_OP_DIGEST || n->slow || n->unseen || n->twin_of != 0) /* a digest knows nothing of what went past the triggers */
        return;
    d = dump_take(w, n, NULL);
    if (!d->ready) /* written since the site looked */
        world_fail(w, "P5 proof", "%s asks for a comparison although a captured change waits", n->name);
    slot = w->built_n[n->index]++ % 4;
    dump_free(w->built[n->index][slot].dump);
    w->built[n->index][slot].key = question(digest);
    w->built[n->index][slot].dump = d;
}

/* The hub says equal: is that so? */
void oracle_equal(struct world *w, struct node *hub, const struct perche_message *digest)
{
    struct dump *d;
    char why[300];

    if (hub->slow || hub->unseen)
        return;
    for (uint32_t i = 1; i < w->nodes_count; i++)
        for (int k = 0; k < 4; k++) {
            if (w->built[i][k].dump == NULL || w->built[i][k].key != question(digest))
                continue;
            d = dump_take(w, hub, w->nodes[i].id);
            if (d->ready) {
                w->counts[COUNT_PROOF]++;
                if (!dump_same(d, w->built[i][k].dump, why, sizeof why))
                    world_fail(w, "P5 false proof", "%s was told that it is equal with the hub, but %s", w->nodes[i].name, why);
            }
            dump_free(d);
            return;
        }
}

static uint64_t answer(const struct perche_pull_reply *reply)
{
    uint64_t x = reply->scan * 31 + reply->have;

    for (int i = 0; i < 16; i++)
        x = (x ^ reply->root[i]) * UINT64_C(0x100000001b3);
    return x;
}

/* The hub gives its root with a pull: what has it for the site? */
void oracle_given(struct world *w, struct node *hub, const char *site, const struct perche_pull_reply *reply)
{
    for (uint32_t i = 1; !hub->slow && !hub->unseen && i < w->nodes_count; i++) {
        uint32_t slot = w->given_n[i] % 4;
        struct dump *d;

        if (strcmp(w->nodes[i].id, site) != 0)
            continue;
        d = dump_take(w, hub, site);
        if (!d->ready) {
            dump_free(d);
            return;
        }
        w->given_n[i]++;
        dump_free(w->given[i][slot].dump);
        w->given[i][slot].key = answer(reply);
        w->given[i][slot].dump = d;
        return;
    }
}

/* The site finds it equal with what it has, now that it has applied the answer: is that so? */
void oracle_taken(struct world *w, struct node *n, const struct perche_pull_reply *reply)
{
    char why[300];

    for (int k = 0; !n->slow && !n->unseen && n->twin_of == 0 && n->index < NODES_MAX && k < 4; k++) {
        struct dump *d;

        if (w->given[n->index][k].dump == NULL || w->given[n->index][k].key != answer(reply))
            continue;
        d = dump_take(w, n, NULL);
        if (d->ready) {
            w->counts[COUNT_PROOF_PULL]++;
            if (!dump_same(w->given[n->index][k].dump, d, why, sizeof why))
                world_fail(w, "P5 false proof", "%s took itself for equal with what a pull brought, but %s", n->name, why);
        }
        dump_free(d);
        return;
    }
}

/* ---- the end --------------------------------------------------------------------- */

static bool bit(const uint64_t *set, uint32_t n)
{
    return set[n / 64] >> n % 64 & 1;
}

static uint32_t token(const char *p, uint32_t n)
{
    if (n > 1 && p[0] == 'T' && p[1] == 'w')
        return (uint32_t)strtoul(p + 2, NULL, 10);
    if (n > 1 && p[0] == 'I') {
        unsigned long x = strtoul(p + 1, NULL, 10);

        return x > TOKEN_NUMBER && x < TOKEN_NUMBER + WRITES_MAX ? (uint32_t)(x - TOKEN_NUMBER) : 0;
    }
    return 0;
}

static const char *say_write(const struct world *w, uint32_t i, char *out, size_t n)
{
    const struct write *x = &w->writes[i];
    const struct row_note *r = &w->rows[x->row];

    (void)snprintf(out, n, "w%u (%s, %s %s.%s at %.3f)", i, w->nodes[x->node].name, specs[r->table].name, r->json,
                   x->col == COL_INSERT ? "insert" : x->col == COL_DELETE ? "delete" : specs[r->table].columns[(int)x->col].name,
                   (double)x->at_ms / 1000.0);
    return out;
}

struct notes {
    bool final[WRITES_MAX];    /* the hub's cell has it */
    bool asked[WRITES_MAX];    /* a conflict names it */
    bool kept[WRITES_MAX];     /* the hub's history has it */
    bool seen[WRITES_MAX];     /* a later author had seen it */
    bool listed[WRITES_MAX];   /* its site's list of what was refused has it, where that may be */
    bool alive[ROWS_MAX];
};

/* Has somebody else written the same value there? */
static bool taken_over(const struct world *w, uint32_t x)
{
    for (uint32_t i = 1; i <= w->writes_count; i++)
        if (w->writes[i].again && !w->writes[i].dead && w->writes[i].value_of == x)
            return true;
    return false;
}

/* Values of the hub's rows, column by column; every name must be where its author put it. */
static void read_rows(struct world *w, struct node *n, struct notes *notes)
{
    for (int table = 0; table < TABLES; table++) {
        sqlite3_stmt *s;

        if (table_gone(w, n, table))
            continue;
        s = dump_statement(w, n, table, false);
        if (s == NULL)
            return;
        while (sqlite3_step(s) == SQLITE_ROW) {
            int row = row_find(w, table, (const char *)sqlite3_column_text(s, 0));

            if (row >= 0 && n->index == HUB)
                notes->alive[row] = true;
            for (int i = 2; i < sqlite3_column_count(s); i++) {
                char text[64];
                uint32_t x;
                const char *name = sqlite3_column_name(s, i);
                int col = -1;

                (void)snprintf(text, sizeof text, "%c%s", sqlite3_column_type(s, i) == SQLITE_INTEGER ? 'I' : 'T',
                               sqlite3_column_type(s, i) == SQLITE_NULL ? "" : (const char *)sqlite3_column_text(s, i));
                x = token(text, (uint32_t)strlen(text));
                for (int k = 0; k < 10 && specs[table].columns[k].name != NULL; k++)
                    if (strcmp(specs[table].columns[k].name, name) == 0)
                        col = k;
                if (x == 0) {
                    if (sqlite3_column_type(s, i) == SQLITE_NULL && row >= 0 && col >= 0 && n->index == HUB && w->plan->mix.scratch == false) {
                        /* a husk: NULL, though its writers put a value and nobody took it away */
                        bool put = false, taken = false;

                        for (uint32_t k = 1; k <= w->writes_count; k++)
                            if (w->writes[k].row == row && !w->writes[k].dead) {
                                put |= w->writes[k].col == col && !w->writes[k].null;
                                taken |= (w->writes[k].col == col && w->writes[k].null) || w->writes[k].col == COL_INSERT;
                            }
                        if (put && !taken)
                            world_fail(w, "husk", "%s %s.%s is NULL at the hub, and nobody wrote that", specs[table].name, w->rows[row].json, name);
                    }
                    continue;
                }
                if (x > w->writes_count || row < 0 || w->writes[x].row != row || w->writes[x].col != col) {
                    world_fail(w, "wrong place", "%s: %s %s.%s has w%u, which was written elsewhere or never", n->name, specs[table].name,
                               (const char *)sqlite3_column_text(s, 0), name, x);
                    continue;
                }
                if (w->writes[x].dead && !taken_over(w, x))
                    world_fail(w, "never written", "%s: %s %s.%s has w%u, which was rolled back", n->name, specs[table].name, w->rows[row].json, name, x);
                if (w->writes[x].unlawful && (specs[table].reference || w->counts[COUNT_BACK_HUB] == 0)) /* else taken while it was made whole: a stated limit */
                    world_fail(w, "P7 unlawful", "%s: %s %s.%s still has the unlawful w%u", n->name, specs[table].name, w->rows[row].json, name, x);
                if (n->index == HUB)
                    notes->final[x] = true;
            }
        }
        sqlite3_reset(s);
    }
}

static void read_conflicts(struct world *w, struct node *hub, struct notes *notes)
{
    sqlite3_stmt *s = program_ask(w, hub, "SELECT tab, key, col, kind, state, typeof(a_value), a_value, typeof(b_value), b_value FROM perche_conflict ORDER BY id");

    if (s == NULL) {
        world_fail(w, "oracle", "perche_conflict: %s", sqlite3_errmsg(hub->db));
        return;
    }
    while (sqlite3_step(s) == SQLITE_ROW) {
        const char *tab = (const char *)sqlite3_column_text(s, 0), *key = (const char *)sqlite3_column_text(s, 1);
        const char *col = (const char *)sqlite3_column_text(s, 2), *kind = (const char *)sqlite3_column_text(s, 3);
        const char *state = (const char *)sqlite3_column_text(s, 4);
        char a[64], b[64];
        uint32_t x, y;
        int table = -1, row;

        (void)snprintf(a, sizeof a, "%c%s", sqlite3_column_text(s, 5)[0] == 'i' ? 'I' : 'T', sqlite3_column_text(s, 6) ? (const char *)sqlite3_column_text(s, 6) : "");
        (void)snprintf(b, sizeof b, "%c%s", sqlite3_column_text(s, 7)[0] == 'i' ? 'I' : 'T', sqlite3_column_text(s, 8) ? (const char *)sqlite3_column_text(s, 8) : "");
        x = token(a, (uint32_t)strlen(a));
        y = token(b, (uint32_t)strlen(b));
        if (x > w->writes_count || y > w->writes_count) {
            world_fail(w, "wrong place", "a conflict of %s %s.%s has a value that nobody wrote", tab, key, col);
            continue;
        }
        notes->asked[x] = notes->asked[y] = true;
        w->counts[strcmp(kind, "review") == 0    ? COUNT_CONFLICT_REVIEW
                  : strcmp(kind, "lww") == 0     ? COUNT_CONFLICT_LWW
                  : strcmp(kind, "deleted") == 0 ? COUNT_CONFLICT_DELETED
                                                 : COUNT_CONFLICT_MOOT]++;
        if (strcmp(state, "moot") == 0)
            w->counts[COUNT_CONFLICT_MOOT]++;
        for (int i = 0; i < TABLES; i++)
            if (strcmp(specs[i].name, tab) == 0)
                table = i;
        row = table >= 0 ? row_find(w, table, key) : -1;
        if (row < 0)
            continue;
        for (int k = 0; k < 10 && specs[table].columns[k].name != NULL; k++)
            if (strcmp(specs[table].columns[k].name, col) == 0) {
                bool review = specs[table].columns[k].review;

                if (strcmp(kind, "review") == 0 && !review)
                    world_fail(w, "conflict kind", "a question about %s.%s, which is lww", tab, col);
                if (strcmp(kind, "lww") == 0 && review)
                    world_fail(w, "conflict kind", "nobody was asked about %s.%s, which is review: closed at once", tab, col);
                if (strcmp(kind, "lww") == 0 && strcmp(state, "open") == 0)
                    world_fail(w, "conflict kind", "a conflict about %s.%s is open, though the column is lww", tab, col);
            }
        if (strcmp(kind, "deleted") != 0 && strcmp(a, b) == 0 && sqlite3_column_text(s, 5)[0] == sqlite3_column_text(s, 7)[0])
            world_fail(w, "equal values", "a conflict of %s %s.%s between equal values %s", tab, key, col, a + 1);
        if (w->rows[row].resolved || w->rows[row].tainted || w->rows[row].equal || w->put_back)
            continue; /* after a restore a needless question is possible */
        if (x != 0 && y != 0 && (w->writes[x].row != row || w->writes[y].row != row || w->writes[x].col != w->writes[y].col)) {
            world_fail(w, "wrong place", "a conflict of %s %s.%s names values of other cells", tab, key, col);
            continue;
        }
        if (x != 0 && y != 0 && (bit(w->writes[x].knew, y) || bit(w->writes[y].knew, x))) {
            char p[160], q[160];
            bool again = false;

            for (uint32_t i = 1; i <= w->writes_count; i++) /* the same value was written again by another, who had not */
                again |= w->writes[i].again && !w->writes[i].dead && (w->writes[i].value_of == x || w->writes[i].value_of == y);
            if (again)
                continue;
            w->counts[COUNT_NEEDLESS]++;
            (void)say_write(w, x, p, sizeof p);
            (void)say_write(w, y, q, sizeof q);
            STORY(w, hub, "needless question: %s, %s", p, q);
            if (w->options->strict)
                world_fail(w, "needless question", "%s, %s", p, q);
        }
        if (strcmp(kind, "deleted") == 0 && (x != 0) != (y != 0) && sqlite3_column_text(s, x != 0 ? 7 : 5)[0] == 'n') {
            uint32_t v = x != 0 ? x : y, deletes = 0, knowing = 0;
            char p[160];

            for (uint32_t i = 1; i <= w->writes_count; i++)
                deletes += !w->writes[i].dead && ((w->writes[i].again && w->writes[i].value_of == v) ||
                                                  (w->writes[i].null && w->writes[i].row == row && w->writes[i].col == w->writes[v].col));
            if (deletes > 0)
                continue; /* by then it was another's; or NULL is a value that somebody wrote */
            for (uint32_t i = 1; i <= w->writes_count; i++)
                if (w->writes[i].row == row && w->writes[i].col == COL_DELETE && !w->writes[i].dead) {
                    deletes++;
                    knowing += bit(w->writes[i].knew, v) || bit(w->writes[v].knew, i);
                }
            if (deletes > 0 && knowing == deletes) {
                w->counts[COUNT_NEEDLESS]++;
                (void)say_write(w, v, p, sizeof p);
                STORY(w, hub, "needless question: every deletion of the row had seen %s, or it had seen them", p);
                if (w->options->strict)
                    world_fail(w, "needless question", "every deletion of the row had seen %s", p);
            }
        }
    }
    program_done(w, hub, s);
}

/* Blocks of the hub's history are encoded batches. */
static void read_history(struct world *w, struct node *hub, struct notes *notes)
{
    sqlite3_stmt *s = program_ask(w, hub, "SELECT body FROM perche_history");

    if (s == NULL)
        return;
    while (sqlite3_step(s) == SQLITE_ROW) {
        struct perche_batch *b = perche_batch_new();
        struct perche_err err;

        if (b != NULL && perche_batch_decode((struct perche_bytes){sqlite3_column_blob(s, 0), (uint32_t)sqlite3_column_bytes(s, 0)}, b, &err) == PERCHE_OK)
            for (uint32_t p = 0; p < b->parts_count; p++)
                for (uint32_t i = 0; i < b->parts[p].cells_count; i++) {
                    const struct perche_value *v = &b->parts[p].cells[i].value;
                    char text[64];
                    uint32_t x;

                    if (v->type == PERCHE_INTEGER)
                        (void)snprintf(text, sizeof text, "I%lld", (long long)v->i);
                    else
                        (void)snprintf(text, sizeof text, "T%.*s", v->type == PERCHE_TEXT ? (int)v->n : 0, v->type == PERCHE_TEXT ? (const char *)v->p : "");
                    x = token(text, (uint32_t)strlen(text));
                    if (x != 0 && x <= w->writes_count)
                        notes->kept[x] = true;
                }
        perche_batch_free(b);
    }
    program_done(w, hub, s);
}

/* What is listed at the site whose write the hub did not take, with its value, has not vanished. A hub that is put back knows nothing
 * of the marks that it had given since, nor of whom; a new child that went past the triggers may be found when its parent has left.
 * Everywhere else a lawful write is taken. */
static bool hub_forgot_marks(const struct world *w)
{
    return w->plan->mix.moves && w->counts[COUNT_BACK_HUB] > 0;
}

static bool may_be_refused(const struct world *w)
{
    return w->plan->mix.moves && (w->counts[COUNT_BACK_HUB] > 0 || w->plan->mix.extra[EXTRA_BYPASS]);
}

static void read_refused(struct world *w, struct node *n, bool *listed)
{
    sqlite3_stmt *s = program_ask(w, n, "SELECT v.value, r.reason FROM perche_refused r, json_each(r.image) v WHERE r.columns = '' AND r.reason IN ('scope', 'parent')"
                                        " AND v.type IN ('text', 'integer')");

    if (s == NULL)
        world_fail(w, "oracle", "%s: %s", n->name, sqlite3_errmsg(n->db));
    while (s != NULL && sqlite3_step(s) == SQLITE_ROW) {
        char text[64];
        uint32_t x;

        (void)snprintf(text, sizeof text, "%c%.60s", sqlite3_column_type(s, 0) == SQLITE_INTEGER ? 'I' : 'T', (const char *)sqlite3_column_text(s, 0));
        x = token(text, (uint32_t)strlen(text));
        if (x != 0 && x <= w->writes_count)
            listed[x] |= w->writes[x].bypass || (hub_forgot_marks(w) && strcmp((const char *)sqlite3_column_text(s, 1), "scope") == 0);
    }
    program_done(w, n, s);
}

/* Likewise a deletion: its entry names the row and no value. One that the brake held ends with the row's leaving, too. */
static bool deletion_listed(struct world *w, const struct write *x)
{
    const struct row_note *r = &w->rows[x->row];
    struct node *n = &w->nodes[x->node];
    sqlite3_stmt *s;
    bool listed = false;

    if (x->node == HUB || x->node >= w->nodes_count || !w->plan->mix.moves)
        return false;
    s = program_ask(w, n, "SELECT 1 FROM perche_refused WHERE tab = ?1 AND ?2 IN (key, '[\"' || replace(key, ',', '\",\"') || '\"]')"
                          " AND columns = '' AND (reason = 'left' OR (reason = 'scope' AND ?3)) AND cells = 0");
    if (s == NULL) {
        world_fail(w, "oracle", "%s: %s", n->name, sqlite3_errmsg(n->db));
        return false;
    }
    sqlite3_bind_text(s, 1, specs[r->table].name, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, r->json, -1, SQLITE_STATIC);
    sqlite3_bind_int(s, 3, hub_forgot_marks(w));
    listed = sqlite3_step(s) == SQLITE_ROW;
    program_done(w, n, s);
    return listed;
}

/* ---- what a copy that was put back did not have ------------------------------------ */

struct held {
    bool value[WRITES_MAX];  /* some file has it: in a row, a question, the history or the list of what was refused */
    uint32_t gen[ROWS_MAX];  /* newest generation that some file knows */
    bool others_value[WRITES_MAX]; /* the same, without the file of the node that is put back */
    uint32_t others_gen[ROWS_MAX];
    bool there[ROWS_MAX][MACHINES_MAX];
    bool leaves[ROWS_MAX][MACHINES_MAX]; /* the file of a hub that is put back says so: the answer may be on its way, and counts */
};

static void hold_value(struct world *w, struct held *h, int type, const void *p, uint32_t n)
{
    char text[64];
    uint32_t x;

    (void)snprintf(text, sizeof text, "%c%.*s", type == SQLITE_INTEGER ? 'I' : 'T', n < 60 ? (int)n : 0, (const char *)p);
    x = token(text, (uint32_t)strlen(text));
    if (x != 0 && x <= w->writes_count)
        h->value[x] = true;
}

static int row_of_key(const struct world *w, const char *table, struct perche_bytes key)
{
    struct perche_value v[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX], json[200];
    uint32_t n = 0, at = 0;

    if (perche_key_decode(key, v, &n, scratch) != PERCHE_OK)
        return -1;
    for (uint32_t i = 0; i < n && at < sizeof json - 90; i++)
        at += (uint32_t)snprintf(json + at, sizeof json - at, "%s\"%.*s\"", i ? "," : "[", v[i].type == PERCHE_TEXT ? (int)v[i].n : 0,
                                 (const char *)v[i].p);
    (void)snprintf(json + at, sizeof json - at, "]");
    for (int i = 0; i < TABLES; i++)
        if (strcmp(specs[i].name, table) == 0)
            return row_find(w, i, json);
    return -1;
}

/* What the hub has told sites to drop, or will. */
static void read_leaving(struct world *w, struct node *hub, struct held *h)
{
    sqlite3_stmt *s = program_ask(w, hub, "SELECT n.text, t.name, l.key FROM perche_left l JOIN perche_name n ON n.num = l.site JOIN perche_tab t ON t.num = l.tab"
                                          " WHERE l.ended = 0 AND NOT l.stays");

    if (s == NULL)
        world_fail(w, "oracle", "%s: %s", hub->name, sqlite3_errmsg(hub->db));
    while (s != NULL && sqlite3_step(s) == SQLITE_ROW) {
        struct perche_bytes key = {sqlite3_column_blob(s, 2), (uint32_t)sqlite3_column_bytes(s, 2)};
        int row = row_of_key(w, (const char *)sqlite3_column_text(s, 1), key);

        for (uint32_t k = 1; row >= 0 && k < MACHINES_MAX; k++)
            if (strcmp(w->nodes[k].id, (const char *)sqlite3_column_text(s, 0)) == 0)
                h->leaves[row][k] = true;
    }
    program_done(w, hub, s);
}

static void hold_row(struct world *w, struct held *h, uint32_t k, const struct perche_part *part, const struct perche_row *r)
{
    int row = row_of_key(w, part->table, r->key);

    if (row >= 0 && h->leaves[row][k])
        return;
    for (uint32_t i = 0; i < r->cells_count; i++) {
        const struct perche_value *v = &part->cells[r->cells_first + i].value;
        char number[24];

        if (v->type == PERCHE_INTEGER) {
            (void)snprintf(number, sizeof number, "%lld", (long long)v->i);
            hold_value(w, h, SQLITE_INTEGER, number, (uint32_t)strlen(number));
        } else if (v->type == PERCHE_TEXT) {
            hold_value(w, h, SQLITE_TEXT, v->p, v->n);
        }
    }
    /* nothing but a key and a generation is what a hub has refused: it was not taken */
    if (row >= 0 && r->gen > h->gen[row] && (r->cells_count > 0 || r->flags & PERCHE_ROW_GEN))
        h->gen[row] = r->gen;
}

/* A row that has left a site is still in the blocks of its history, and nobody will ever be shown it from there. */
static void hold_history(struct world *w, struct node *n, struct held *h, uint32_t k)
{
    sqlite3_stmt *s = program_ask(w, n, "SELECT body, 0 FROM perche_history UNION ALL SELECT body, 1 FROM perche_parked");
    sqlite3_stmt *here = program_ask(w, n, "SELECT 1 FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = ?1) AND key = ?2");

    if (s == NULL || here == NULL)
        world_fail(w, "oracle", "%s: %s", n->name, sqlite3_errmsg(n->db));
    while (s != NULL && here != NULL && sqlite3_step(s) == SQLITE_ROW) {
        struct perche_batch *b = perche_batch_new();
        struct perche_err err;

        if (b != NULL && perche_batch_decode((struct perche_bytes){sqlite3_column_blob(s, 0), (uint32_t)sqlite3_column_bytes(s, 0)}, b, &err) == PERCHE_OK)
            for (uint32_t p = 0; p < b->parts_count; p++)
                for (uint32_t i = 0; i < b->parts[p].rows_count; i++) {
                    const struct perche_row *row = &b->parts[p].rows[i];

                    sqlite3_bind_text(here, 1, b->parts[p].table, -1, SQLITE_STATIC);
                    sqlite3_bind_blob(here, 2, row->key.p, (int)row->key.n, SQLITE_STATIC);
                    if (sqlite3_column_int(s, 1) == 1 || sqlite3_step(here) == SQLITE_ROW)
                        hold_row(w, h, k, &b->parts[p], row);
                    sqlite3_reset(here);
                }
        perche_batch_free(b);
    }
    program_done(w, n, s);
    program_done(w, n, here);
}

/* What one file holds. false: it could not be read. */
static bool hold_file(struct world *w, struct node *from, struct held *h)
{
    uint32_t k = from->index;

    for (int table = 0; table < DUMPS; table++) {
        sqlite3_stmt *s = table < TABLES && table_gone(w, from, table) ? NULL : dump_statement(w, from, table, false);

        if (s == NULL && w->failure[0] != '\0')
            return false;
        if (s == NULL)
            continue;
        while (sqlite3_step(s) == SQLITE_ROW) {
            int row = table >= TABLES ? -1 : row_find(w, table, (const char *)sqlite3_column_text(s, 0));

            if (row >= 0 && h->leaves[row][k])
                continue;
            if (row >= 0)
                h->there[row][k] = true;
            for (int i = 2; i < sqlite3_column_count(s); i++)
                if (sqlite3_column_type(s, i) == SQLITE_INTEGER || sqlite3_column_type(s, i) == SQLITE_TEXT)
                    hold_value(w, h, sqlite3_column_type(s, i), sqlite3_column_text(s, i), (uint32_t)sqlite3_column_bytes(s, i));
        }
        sqlite3_reset(s);
    }
    hold_history(w, from, h, k);
    if (from->index != HUB && may_be_refused(w)) /* the list goes with the file of the site that it is told to */
        read_refused(w, from, h->value);
    if (!from->up)
        disk_run_as(from->disk, DISK_PROGRAM);
    return true;
}

/* ... and all files but @n's. */
static bool hold_others(struct world *w, const struct node *n, struct held *h)
{
    for (uint32_t k = 0; k < MACHINES_MAX; k++)
        if (&w->nodes[k] != n && (k < w->nodes_count || w->nodes[k].twin_of != 0) && !hold_file(w, &w->nodes[k], h))
            return false;
    return true;
}

struct held *held_take(struct world *w, struct node *n, const struct held *before)
{
    struct held *h = calloc(1, sizeof *h);

    if (h == NULL)
        abort();
    if (before != NULL && n->index != HUB) { /* the others hold what they held: they are not read again */
        memcpy(h->value, before->others_value, sizeof h->value);
        memcpy(h->gen, before->others_gen, sizeof h->gen);
        memcpy(h->there, before->there, sizeof h->there);
        for (uint32_t row = 0; row < ROWS_MAX; row++)
            h->there[row][n->index] = false;
    } else {
        if (before != NULL)
            memcpy(h->leaves, before->leaves, sizeof h->leaves);
        if (!hold_others(w, n, h))
            return h;
        memcpy(h->others_value, h->value, sizeof h->value);
        memcpy(h->others_gen, h->gen, sizeof h->gen);
    }
    if ((n->index < w->nodes_count || n->twin_of != 0) && !hold_file(w, n, h))
        return h;
    if (before == NULL && n->index == HUB) /* it has all of it itself */
        read_leaving(w, n, h);
    if (!n->up)
        disk_run_as(n->disk, DISK_PROGRAM);
    return h;
}

/* Does its copy have the row, inserted anew, and nobody has numbered that yet? */
static bool insert_waits(struct world *w, struct node *n, const struct held *after, uint32_t row)
{
    return after->there[row][n->index] && after->gen[row] > 0 && row_gen(w, n, &w->rows[row]) == (int)after->gen[row];
}

void held_lost(struct world *w, struct node *n, struct held *before, struct held *after)
{
    uint32_t lost = 0;

    for (uint32_t i = 1; i <= w->writes_count; i++) {
        const struct write *x = &w->writes[i];
        uint32_t gen = after->gen[x->row];

        if (before->value[i] && !after->value[i]) {
            w->writes[i].lost = true;
            lost++;
        }
        /* a row that it made or deleted, and nobody else has heard of that: what becomes of it is not judged */
        if (x->node == n->index && !x->dead &&
            ((x->col == COL_INSERT && before->there[x->row][n->index] && gen % 2 == 0) ||
             (x->col == COL_DELETE && !before->there[x->row][n->index] && (gen == 0 || gen % 2 == 1 || insert_waits(w, n, after, x->row)))))
            w->rows[x->row].tainted = true;
    }
    for (uint32_t row = 0; row < w->rows_count; row++) { /* nor of one whose newest event only it had */
        if (after->gen[row] >= before->gen[row])
            continue;
        w->rows[row].tainted = true;
        lost++;
    }
    if (!n->up)
        disk_run_as(n->disk, DISK_PROGRAM);
    w->counts[COUNT_BACK_LOST] += lost;
    STORY(w, NULL, "%u writes were nowhere else", lost);
    free(before);
    free(after);
}

/* A false word in the notes: the checks below must find it. */
static void lie(struct world *w, struct notes *notes, struct dump *site)
{
    struct chance c;
    uint32_t kind, from;

    chance_seed(&c, w->plan->seed, 99);
    kind = chance_below(&c, 3);
    if (kind == 0 && site->count > 0) { /* the site's copy was another */
        struct entry *e = &site->entries[chance_below(&c, site->count)];

        site->text[e->row + 1] ^= 1;
        STORY(w, NULL, "a lie: the site's copy of %s %s is another", table_name(e->table), site->text + e->key);
        return;
    }
    from = w->writes_count > 0 ? chance_below(&c, w->writes_count) : 0;
    for (uint32_t i = 0; kind == 1 && i < w->writes_count; i++) { /* what is there now was rolled back */
        uint32_t x = 1 + (from + i) % w->writes_count;

        if (notes->final[x] && !w->writes[x].dead && !taken_over(w, x)) {
            w->writes[x].dead = true;
            STORY(w, NULL, "a lie: w%u was rolled back", x);
            return;
        }
    }
    { /* a write that never was */
        uint32_t row = chance_below(&c, w->rows_count), x;

        for (uint32_t i = 0; i < w->rows_count && (specs[w->rows[row].table].columns[1].name == NULL || w->rows[row].tainted); i++)
            row = (row + 1) % w->rows_count;
        x = writes_add(w, 1, row, specs[w->rows[row].table].columns[1].name != NULL ? 1 : 0);
        STORY(w, NULL, "a lie: w%u was written to %s %s", x, specs[w->rows[row].table].name, w->rows[row].json);
    }
}

/* What went past the triggers is known by nothing but the difference between a row and its metadata. A row that was
 * written there in the ordinary way before anybody compared has a new digest, which covers it: what becomes of it then
 * is not judged (docs/architecture.md, "What goes past the triggers"). Nor is a deletion that nobody had found when the
 * row came again, whole, since its scope had changed. */
static void excuse_bypass(struct world *w)
{
    for (uint32_t i = 1; i <= w->writes_count; i++) {
        const struct write *x = &w->writes[i];

        if (x->bypass && x->col == COL_DELETE)
            w->rows[x->row].tainted |= w->counts[COUNT_MOVE] + w->counts[COUNT_SHARE] > 0 || x->found_ms == 0;
        for (uint32_t k = 1; x->bypass && k <= w->writes_count; k++) {
            const struct write *y = &w->writes[k];

            if (y->row == x->row && !y->dead && !(y->bypass && y->node == x->node) && !bit(x->knew, k) &&
                (x->found_ms == 0 || y->at_ms <= x->found_ms))
                w->rows[x->row].tainted = true;
        }
    }
}

/* What every node holds of outcomes is what its authors signed, and nothing of it is on its way any more. What went past the
 * triggers is taken over, and goes on being named. */
static void check_chain(struct world *w, struct node *n)
{
    struct work work = {.kind = WORK_QUERY, .now_ms = w->now_ms + EPOCH_MS, .name = "verify", .args = sqlite3_mprintf("{\"chain\":true,\"table\":\"outcome_decision\"}")};
    struct outcome o;
    const char *entries, *chain;

    if (work.args == NULL)
        abort();
    disk_run_as(n->disk, DISK_DAEMON);
    replica_perform(n->writer, &work, &o, 1);
    chain = o.json != NULL ? strstr(o.json, "\"chain\":") : NULL;
    entries = chain != NULL ? strstr(chain, "\"entries\":") : NULL;
    if (o.rc != PERCHE_OK || entries == NULL)
        world_fail(w, "chain", "%s cannot verify its chain: %s", n->name, o.err.text);
    else if ((strstr(chain, "\"altered\":0,") == NULL && !w->plan->mix.extra[EXTRA_BYPASS]) || strstr(chain, "\"waiting\":0") == NULL || strstr(chain, "\"broken\":null") == NULL)
        world_fail(w, "chain", "%s: %.600s", n->name, chain);
    else
        w->counts[COUNT_CHAINED] += (uint64_t)strtoull(entries + 10, NULL, 10);
    outcome_free(&o);
    sqlite3_free(work.args);
}

void oracle_end(struct world *w)
{
    struct node *hub = &w->nodes[HUB];
    struct notes *notes = calloc(1, sizeof *notes);
    bool history_read = false;
    char why[300], text[160];

    if (notes == NULL)
        abort();
    excuse_bypass(w);
    if (w->options->lie)
        read_rows(w, hub, notes);
    for (uint32_t i = 1; i < w->nodes_count; i++) { /* P3, P5, P7 */
        struct node *n = &w->nodes[i];
        struct dump *h = dump_take(w, hub, n->id), *s = dump_take(w, n, NULL);

        if (i == 1 && w->options->lie)
            lie(w, notes, s);
        if (!h->ready || !s->ready)
            world_fail(w, "P1 captured", "%s: a captured change was never harvested", h->ready ? n->name : "hub");
        if (!dump_same(h, s, why, sizeof why))
            world_fail(w, "P5 replicas", "%s and the hub say that they are equal, but %s", n->name, why);
        dump_free(h);
        dump_free(s);
    }
    for (uint32_t i = 0; i < w->nodes_count && w->failure[0] == '\0'; i++)
        check_chain(w, &w->nodes[i]);
    for (uint32_t i = 0; i < w->nodes_count; i++)
        read_rows(w, &w->nodes[i], notes);
    read_conflicts(w, hub, notes);
    for (uint32_t i = 1; i < w->nodes_count && may_be_refused(w); i++)
        read_refused(w, &w->nodes[i], notes->listed);
    for (uint32_t i = 1; i <= w->writes_count; i++)
        for (uint32_t k = 1; k <= w->writes_count && !notes->seen[i]; k++)
            notes->seen[i] = k != i && !w->writes[k].dead && bit(w->writes[k].seen, i);
    for (uint32_t i = 1; i <= w->writes_count && w->failure[0] == '\0'; i++) { /* P1, P4 */
        const struct write *x = &w->writes[i];

        if (x->col < 0 || x->dead || x->lost || x->null || x->again || x->unlawful || w->rows[x->row].tainted)
            continue;
        if (notes->final[i] || notes->asked[i] || notes->seen[i] || notes->listed[i])
            continue;
        if (!history_read)
            read_history(w, hub, notes);
        history_read = true;
        if (notes->kept[i]) {
            bool gone = false;

            for (uint32_t k = 1; k <= w->writes_count; k++)
                gone |= w->writes[k].row == x->row && w->writes[k].col == COL_DELETE;
            w->counts[COUNT_HISTORY_ONLY]++;
            STORY(w, hub, "in the history alone: %s", say_write(w, i, text, sizeof text));
            if (gone)
                continue; /* beaten by an unpushed value of a row that was then deleted: a stated limit */
            world_fail(w, "P4 nobody told", "%s is no more, its successors' authors had not seen it, and no conflict names it", say_write(w, i, text, sizeof text));
        } else {
            world_fail(w, "P4 write lost", "%s is nowhere, and nobody had seen it", say_write(w, i, text, sizeof text));
        }
    }
    for (uint32_t row = 0; row < w->rows_count && w->failure[0] == '\0'; row++) {
        uint32_t last_delete = 0, last_insert = 0;
        bool listed = false;

        for (uint32_t i = 1; i <= w->writes_count; i++) {
            if (w->writes[i].row != row || w->writes[i].dead || w->writes[i].unlawful)
                continue;
            if (w->writes[i].col == COL_DELETE)
                last_delete = i;
            if (w->writes[i].col == COL_INSERT)
                last_insert = i;
            listed |= notes->listed[i];
        }
        if (w->rows[row].tainted)
            continue;
        for (uint32_t d = 1; notes->alive[row] && d <= w->writes_count && !w->rows[row].resolved && !w->rows[row].equal; d++) { /* else a person decided that it lives */
            const struct write *x = &w->writes[d];
            bool excused = false;

            if (x->row != row || x->col != COL_DELETE || x->dead || x->unlawful)
                continue;
            for (uint32_t i = 1; i <= w->writes_count && !excused; i++) /* an insert that its author had not known of */
                excused = w->writes[i].row == row && w->writes[i].col == COL_INSERT && !w->writes[i].dead && !bit(x->knew, i);
            if (!excused && !deletion_listed(w, x))
                world_fail(w, "resurrected", "%s %s lives, but was deleted (w%u) by somebody who knew of all that inserted it",
                           specs[w->rows[row].table].name, w->rows[row].json, d);
        }
        if (!notes->alive[row] && last_delete == 0 && last_insert != 0 && !listed)
            world_fail(w, "row lost", "%s %s is gone, and nobody deleted it", specs[w->rows[row].table].name, w->rows[row].json);
    }
    free(notes);
}

void oracle_ask_ahead(struct world *w)
{
    struct node *hub = &w->nodes[HUB];

    dump_free(dump_take(w, hub, w->nodes[1].id)); /* with scopes */
    free(held_take(w, hub, NULL));                /* and without, at every node */
}
