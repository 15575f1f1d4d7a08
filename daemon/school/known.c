/* As known at: TEMP tables of the same names stand before the replica's, with its
 * rows; those that a later block of the history names are put back to what the
 * blocks before say of them. What a node learnt late was not known before it came,
 * whatever its stamp says: a block's own time counts. */
#include "school/known.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/ask.h"
#include "replica/statements.h"

static const char *const tables[] = {
    "code_list", "organisation", "site", "training", "indicator_definition", "outcome_mapping", "learner", "learner_link", "cohort",
    "application", "application_score", "enrolment", "enrolment_status_event", "half_day", "attendance", "cert_attempt",
    "outcome_observation", "outcome_decision", "funding_agreement", "cost_item", "perche_conflict",
};
#define TABLES_COUNT (sizeof tables / sizeof *tables)
#define QUESTIONS    (TABLES_COUNT - 1) /* perche_conflict: these are put back in a way of their own */

static bool is_needed(const bool *needed, const char *table)
{
    for (size_t i = 0; i < QUESTIONS; i++)
        if (strcmp(tables[i], table) == 0)
            return needed[i];
    return false;
}

static enum perche_rc run(struct replica *r, char *text) /* takes it */
{
    enum perche_rc rc = text != NULL ? exec(r, text) : fail(r, PERCHE_NOMEM, "no memory for a statement");

    sqlite3_free(text);
    return rc;
}

static void append_keys(sqlite3_str *s, const struct table *t, const char *after)
{
    for (uint32_t i = 0; i < t->keys_count; i++)
        sqlite3_str_appendf(s, "%s\"%w\"%s", i > 0 ? after[0] == ' ' ? " AND " : ", " : "", t->keys[i].name, after);
}

static enum perche_rc copy_table(struct replica *r, const struct table *t)
{
    sqlite3_str *s = sqlite3_str_new(r->db);

    sqlite3_str_appendf(s, "CREATE TEMP TABLE \"%w\" AS SELECT * FROM main.\"%w\"; CREATE UNIQUE INDEX temp.\"known_%w\" ON \"%w\" (", t->name, t->name,
                        t->name, t->name);
    append_keys(s, t, "");
    sqlite3_str_appendall(s, ")");
    return run(r, sqlite3_str_finish(s));
}

/* ---- what was written since --------------------------------------------------- */

struct since {
    struct replica *r;
    const bool *needed;
    sqlite3_stmt *put;
};

static bool note_row(void *ctx, const struct perche_batch *b, const struct perche_part *part, const struct perche_row *row, uint64_t block,
                     uint64_t at_ms, uint32_t via)
{
    struct since *since = ctx;

    (void)b, (void)at_ms, (void)via;
    if (!is_needed(since->needed, part->table))
        return true;
    (void)sqlite3_bind_text(since->put, 1, part->table, -1, SQLITE_STATIC); /* a failed bind shows in the step: NOT NULL */
    (void)sqlite3_bind_blob(since->put, 2, row->key.p, (int)row->key.n, SQLITE_STATIC);
    (void)sqlite3_bind_int64(since->put, 3, (sqlite3_int64)block);
    return sql_run(since->r, since->put, "note what was written since") == PERCHE_OK;
}

static enum perche_rc list_since(struct replica *r, uint64_t at_ms, const bool *needed)
{
    struct since since = {.r = r, .needed = needed};

    if (exec(r, "CREATE TEMP TABLE known_since (tab TEXT NOT NULL, key BLOB NOT NULL, block INTEGER NOT NULL, PRIMARY KEY (tab, key)) WITHOUT ROWID") != PERCHE_OK)
        return r->fail;
    since.put = ask(r, "INSERT OR IGNORE INTO temp.known_since (tab, key, block) VALUES (?1, ?2, ?3)"); /* the newest block comes first */
    if (since.put != NULL)
        (void)history_since(r, at_ms, note_row, &since);
    (void)sqlite3_finalize(since.put); /* its error was seen by the step */
    return r->fail;
}

/* ---- one row as it was ----------------------------------------------------------- */

struct then {
    struct replica *r;
    const struct meta *m;
    uint64_t at_ms;
    bool any;
    uint32_t gen;
    struct {
        bool found;
        uint64_t stamp;
        char origin[PERCHE_ID_BYTES_MAX];
        struct perche_value value;
        uint8_t *bytes; /* owned: what the value points to */
    } cells[PERCHE_COLUMNS_MAX + 1];
};

static void then_clear(struct then *then)
{
    for (uint32_t num = 0; num <= PERCHE_COLUMNS_MAX; num++) {
        free(then->cells[num].bytes);
        memset(&then->cells[num], 0, sizeof then->cells[num]);
    }
    then->any = false;
}

/* As merge.c: the higher stamp, then the origin, then the value. */
static bool is_newer(const struct then *then, uint32_t num, const struct perche_cell *c, const char *origin)
{
    int order;

    if (!then->cells[num].found || c->stamp != then->cells[num].stamp)
        return !then->cells[num].found || c->stamp > then->cells[num].stamp;
    order = strcmp(origin, then->cells[num].origin);
    return order != 0 ? order > 0 : perche_value_compare(&c->value, &then->cells[num].value) > 0;
}

static bool take_cell(struct then *then, uint32_t num, const struct perche_cell *c, const char *origin)
{
    uint8_t *copy = NULL;

    if (c->value.type == PERCHE_TEXT || c->value.type == PERCHE_BLOB) {
        copy = malloc((size_t)c->value.n + 1);
        if (copy == NULL)
            return fail(then->r, PERCHE_NOMEM, "no memory for a former value") == PERCHE_OK;
        if (c->value.n > 0)
            memcpy(copy, c->value.p, c->value.n);
    }
    free(then->cells[num].bytes);
    then->cells[num].bytes = copy;
    then->cells[num].value = c->value;
    if (copy != NULL)
        then->cells[num].value.p = copy;
    then->cells[num].found = true;
    then->cells[num].stamp = c->stamp;
    (void)snprintf(then->cells[num].origin, sizeof then->cells[num].origin, "%s", origin);
    return true;
}

static bool take_block(void *ctx, const struct perche_batch *b, const struct perche_part *part, const struct perche_row *row, uint64_t block,
                       uint64_t at_ms, uint32_t via)
{
    struct then *then = ctx;

    (void)block, (void)via;
    if (at_ms > then->at_ms || (then->any && row->gen < then->gen))
        return true;
    if (!then->any || row->gen > then->gen) {
        then_clear(then);
        then->any = true;
        then->gen = row->gen;
    }
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct perche_cell *c = &part->cells[row->cells_first + i];
        const struct column *column = table_column(then->m->table, part->columns[c->col]);

        if (column != NULL && is_newer(then, column->num, c, b->names[c->origin]) && !take_cell(then, column->num, c, b->names[c->origin]))
            return false;
    }
    return true;
}

/* The statements of one table. */
struct putting {
    struct table *t;
    sqlite3_stmt *drop, *insert, *defaults; /* defaults: stands on its row, values of the columns by number */
};

static void putting_end(struct putting *p)
{
    (void)sqlite3_finalize(p->drop); /* their errors were seen by the steps */
    (void)sqlite3_finalize(p->insert);
    (void)sqlite3_finalize(p->defaults);
    *p = (struct putting){0};
}

static sqlite3_stmt *asked(struct replica *r, sqlite3_str *s)
{
    char *text = sqlite3_str_finish(s);
    sqlite3_stmt *stmt = text != NULL ? ask(r, text) : NULL;

    if (text == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a statement");
    sqlite3_free(text);
    return stmt;
}

static enum perche_rc putting_begin(struct replica *r, struct table *t, struct putting *p)
{
    sqlite3_str *drop = sqlite3_str_new(r->db), *insert = sqlite3_str_new(r->db), *defaults = sqlite3_str_new(r->db);
    uint32_t marks = t->keys_count;

    p->t = t;
    sqlite3_str_appendf(drop, "DELETE FROM temp.\"%w\" WHERE ", t->name);
    for (uint32_t i = 0; i < t->keys_count; i++)
        sqlite3_str_appendf(drop, "%s\"%w\" = ?%u", i > 0 ? " AND " : "", t->keys[i].name, i + 1);
    sqlite3_str_appendf(insert, "INSERT INTO temp.\"%w\" (", t->name);
    append_keys(insert, t, "");
    sqlite3_str_appendall(defaults, "SELECT NULL");
    for (uint32_t i = 0; i < t->columns_count; i++) {
        const struct column *c = &t->columns[i];

        sqlite3_str_appendf(defaults, ", (%s\n)", !c->absent && c->default_sql != NULL ? c->default_sql : "NULL");
        if (!c->absent)
            sqlite3_str_appendf(insert, ", \"%w\"", c->name);
        marks += !c->absent;
    }
    sqlite3_str_appendall(insert, ") VALUES (");
    for (uint32_t i = 0; i < marks; i++)
        sqlite3_str_appendall(insert, i > 0 ? ", ?" : "?");
    sqlite3_str_appendall(insert, ")");
    p->drop = asked(r, drop);
    p->insert = asked(r, insert);
    p->defaults = asked(r, defaults);
    if (r->fail == PERCHE_OK)
        (void)ask_row(r, p->defaults, "read a table's defaults");
    return r->fail;
}

static enum perche_rc put_row(struct replica *r, struct putting *p, const struct then *then, const struct perche_value *keys)
{
    int n = 0;

    for (uint32_t i = 0; i < p->t->keys_count; i++)
        bind_value(p->drop, (int)i + 1, &keys[i]);
    if (sql_run(r, p->drop, "put a former row back") != PERCHE_OK || !then->any || then->gen % 2 == 0)
        return r->fail;
    for (uint32_t i = 0; i < p->t->keys_count; i++)
        bind_value(p->insert, ++n, &keys[i]);
    for (uint32_t num = 1; num <= p->t->columns_count; num++) {
        struct perche_value v;

        if (p->t->columns[num - 1].absent)
            continue;
        if (then->cells[num].found)
            v = then->cells[num].value;
        else
            column_read(r, p->defaults, (int)num, &v);
        bind_value(p->insert, ++n, &v);
    }
    return sql_run(r, p->insert, "put a former row back");
}

/* Each row of the list, a table after the other. */
static enum perche_rc put_back(struct replica *r, uint64_t at_ms)
{
    sqlite3_stmt *s = ask(r, "SELECT tab, key, block FROM temp.known_since ORDER BY tab");
    struct then *then = calloc(1, sizeof *then);
    struct meta *m = calloc(1, sizeof *m);
    struct putting p = {0};

    if (then == NULL || m == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for former rows");
    while (r->fail == PERCHE_OK && ask_row(r, s, "read what was written since")) {
        struct perche_value keys[PERCHE_KEY_COLUMNS_MAX];
        char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
        struct table *t = registry_table(r, ask_text(s, 0));
        uint32_t n = 0;

        if (t == NULL || !t->present)
            continue;
        if (p.t != t) {
            putting_end(&p);
            if (putting_begin(r, t, &p) != PERCHE_OK)
                break;
        }
        m->table = t; /* all that a walk asks of it; the row itself may be forgotten here */
        m->key_n = (uint32_t)sqlite3_column_bytes(s, 1);
        m->block = (uint64_t)sqlite3_column_int64(s, 2);
        if (m->key_n > PERCHE_KEY_BYTES_MAX)
            continue;
        memcpy(m->key, sqlite3_column_blob(s, 1), m->key_n);
        if (perche_key_decode((struct perche_bytes){m->key, m->key_n}, keys, &n, scratch) != PERCHE_OK || n != t->keys_count)
            continue;
        *then = (struct then){.r = r, .m = m, .at_ms = at_ms};
        if (history_walk(r, m, take_block, then) == PERCHE_OK)
            (void)put_row(r, &p, then, keys);
        then_clear(then);
    }
    putting_end(&p);
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    free(m);
    free(then);
    return r->fail;
}

/* ---- questions ---------------------------------------------------------------------- */

/* When did this node learn a value of a row, and when what was last said in that column? */
struct learnt {
    const char *column;
    uint64_t a_ms, b_ms;    /* when they were written */
    uint64_t a_at, b_at;    /* when they came, 0 = that is not in the history */
    uint64_t last_at;       /* of the newest block that has the column, 0 = none */
};

static bool look_learnt(void *ctx, const struct perche_batch *b, const struct perche_part *part, const struct perche_row *row, uint64_t block, uint64_t at_ms,
                        uint32_t via)
{
    struct learnt *l = ctx;

    (void)b, (void)block, (void)via;
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct perche_cell *c = &part->cells[row->cells_first + i];

        if (strcmp(part->columns[c->col], l->column) != 0)
            continue;
        if (l->last_at == 0) /* newest first */
            l->last_at = at_ms;
        if (c->stamp >> 16 == l->a_ms)
            l->a_at = at_ms;
        if (c->stamp >> 16 == l->b_ms)
            l->b_at = at_ms;
    }
    return true;
}

static enum perche_rc ask_learnt(struct replica *r, const char *table, const char *key_json, struct learnt *l)
{
    struct table *t = registry_table(r, table);
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    struct meta *m;
    uint32_t n = 0;

    if (t == NULL || !ask_key_parse(r, t, key_json, key, &n))
        return r->fail;
    m = calloc(1, sizeof *m);
    if (m == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a question");
    if (meta_load(r, t, (struct perche_bytes){key, n}, m) == PERCHE_OK) {
        (void)history_walk(r, m, look_learnt, l);
        meta_clear(m);
    }
    free(m);
    return r->fail;
}

/* A question that the hub asks has no history of its own: it stood from when both its values were known here, until the answer was. */
static enum perche_rc question_then(struct replica *r, sqlite3_stmt *s, uint64_t at_ms, bool *there, bool *open)
{
    struct learnt asked = {.column = ask_text(s, 3), .a_ms = (uint64_t)sqlite3_column_int64(s, 4), .b_ms = (uint64_t)sqlite3_column_int64(s, 5)},
                  answered = {.column = "state"};
    uint64_t a, b, over;

    *open = true;
    if ((*asked.column != '\0' && ask_learnt(r, ask_text(s, 1), ask_text(s, 2), &asked) != PERCHE_OK) ||
        ask_learnt(r, "perche_conflict", ask_text(s, 8), &answered) != PERCHE_OK)
        return r->fail;
    a = asked.a_at != 0 ? asked.a_at : asked.a_ms;
    b = asked.b_at != 0 ? asked.b_at : asked.b_ms;
    over = answered.last_at != 0 ? answered.last_at : (uint64_t)sqlite3_column_int64(s, 7);
    *there = a <= at_ms && b <= at_ms;
    *open = strcmp(ask_text(s, 6), "open") == 0 || over > at_ms;
    return r->fail;
}

static enum perche_rc questions_then(struct replica *r, uint64_t at_ms)
{
    sqlite3_stmt *s = ask(r, "SELECT id, tab, key, col, coalesce(a_at, 0), coalesce(b_at, 0), state, coalesce(resolved_at, 0), json_array(id) FROM main.perche_conflict"),
                 *drop = ask(r, "DELETE FROM temp.perche_conflict WHERE id = ?1"), *reopen = ask(r, "UPDATE temp.perche_conflict SET state = 'open' WHERE id = ?1");

    while (drop != NULL && reopen != NULL && ask_row(r, s, "read the questions")) {
        bool there = true, open = true;

        if (question_then(r, s, at_ms, &there, &open) != PERCHE_OK || (there && !open))
            continue;
        ask_bind_text(there ? reopen : drop, 1, ask_text(s, 0));
        (void)sql_run(r, there ? reopen : drop, "put a question back to what it was");
    }
    (void)sqlite3_finalize(s); /* their errors were seen by the steps */
    (void)sqlite3_finalize(drop);
    (void)sqlite3_finalize(reopen);
    return r->fail;
}

/* ---- which tables ------------------------------------------------------------------- */

static int note_read(void *ctx, int action, const char *table, const char *column, const char *database, const char *view)
{
    bool *needed = ctx;

    (void)column, (void)database, (void)view;
    if (action == SQLITE_READ && table != NULL)
        for (size_t i = 0; i < TABLES_COUNT; i++)
            needed[i] |= strcmp(tables[i], table) == 0;
    return SQLITE_OK;
}

/* Those that @query reads, through whatever views. NULL: all. */
static enum perche_rc tables_of(struct replica *r, const char *query, bool needed[TABLES_COUNT])
{
    sqlite3_stmt *s = NULL;

    for (size_t i = 0; i < TABLES_COUNT; i++)
        needed[i] = query == NULL;
    if (query == NULL)
        return PERCHE_OK;
    (void)sqlite3_set_authorizer(r->db, note_read, needed); /* returns OK always */
    s = ask(r, query);
    (void)sqlite3_set_authorizer(r->db, NULL, NULL);
    (void)sqlite3_finalize(s); /* not stepped */
    return r->fail;
}

enum perche_rc known_begin(struct replica *r, uint64_t at_ms, const char *query)
{
    bool needed[TABLES_COUNT];

    if (tables_of(r, query, needed) != PERCHE_OK)
        return r->fail;
    for (size_t i = 0; r->fail == PERCHE_OK && i < TABLES_COUNT; i++) {
        const struct table *t = needed[i] ? registry_table(r, tables[i]) : NULL;

        if (!needed[i])
            continue;
        if (t == NULL || !t->present)
            (void)fail(r, PERCHE_STATE, "the table %s is not there: what was known of it cannot be told", tables[i]);
        else
            (void)copy_table(r, t);
    }
    if (r->fail == PERCHE_OK && list_since(r, at_ms, needed) == PERCHE_OK && put_back(r, at_ms) == PERCHE_OK && needed[QUESTIONS])
        (void)questions_then(r, at_ms);
    return r->fail;
}
