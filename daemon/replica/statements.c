#include "replica/statements.h"
#include "replica/tx.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    bool reader;
} texts[SQL_COUNT] = {
#define W(id, sql_text) [SQL_##id] = {sql_text, false},
#define R(id, sql_text) [SQL_##id] = {sql_text, true},
    REPLICA_SQL(W, R)
#undef W
#undef R
};

enum perche_rc statements_prepare(struct replica *r)
{
    r->sql = calloc(1, sizeof *r->sql);
    if (r->sql == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for the statements");
    for (int i = 0; i < SQL_COUNT; i++) {
        if (r->reader && !texts[i].reader)
            continue;
        r->sql->all[i] = prepare(r, texts[i].text);
        if (r->sql->all[i] == NULL)
            return r->fail;
    }
    return PERCHE_OK;
}

void statements_free(struct replica *r)
{
    if (r->sql == NULL)
        return;
    for (int i = 0; i < SQL_COUNT; i++)
        (void)sqlite3_finalize(r->sql->all[i]);
    free(r->sql);
    r->sql = NULL;
}

bool sql_row(struct replica *r, sqlite3_stmt *s)
{
    int rc = sqlite3_step(s);

    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, "read");
    return rc == SQLITE_ROW;
}

bool sql_key(struct replica *r, sqlite3_stmt *s, uint8_t *key, uint32_t *key_n)
{
    bool found = sql_row(r, s) && sqlite3_column_bytes(s, 0) <= PERCHE_KEY_BYTES_MAX;

    if (found) {
        *key_n = (uint32_t)sqlite3_column_bytes(s, 0);
        memcpy(key, sqlite3_column_blob(s, 0), *key_n);
    }
    sql_done(s);
    return found;
}

enum perche_rc sql_run(struct replica *r, sqlite3_stmt *s, const char *what)
{
    int rc;

    if (tx_stands(r) != PERCHE_OK) {
        sql_done(s);
        return r->fail;
    }
    rc = sqlite3_step(s);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW) {
        enum perche_rc failed = fail_sqlite(r, rc, what);

        sql_done(s);
        return failed;
    }
    sql_done(s);
    return PERCHE_OK;
}
