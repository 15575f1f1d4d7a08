/* Small helpers around sqlite3.h. */
#include <string.h>

#include "replica/tx.h"

sqlite3_stmt *prepare(struct replica *r, const char *text)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v3(r->db, text, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL);

    if (rc == SQLITE_OK)
        return s;
    (void)fail_sqlite(r, rc, "prepare");
    return NULL;
}

enum perche_rc exec(struct replica *r, const char *text)
{
    int rc;

    if (tx_stands(r) != PERCHE_OK)
        return r->fail;
    rc = sqlite3_exec(r->db, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? PERCHE_OK : fail_sqlite(r, rc, "SQL");
}

/* A failed bind (out of memory) leaves NULL there; too large is bounded before. */
void bind_value(sqlite3_stmt *s, int i, const struct perche_value *v)
{
    switch (v->type) {
    case PERCHE_INTEGER: (void)sqlite3_bind_int64(s, i, v->i); break;
    case PERCHE_REAL: (void)sqlite3_bind_double(s, i, v->r); break;
    case PERCHE_TEXT: /* a null pointer would bind NULL */
        (void)sqlite3_bind_text(s, i, v->n > 0 ? (const char *)v->p : "", (int)v->n, SQLITE_STATIC);
        break;
    case PERCHE_BLOB: (void)sqlite3_bind_blob(s, i, v->n > 0 ? (const void *)v->p : "", (int)v->n, SQLITE_STATIC); break;
    default: (void)sqlite3_bind_null(s, i); break;
    }
}

/* SQLite takes -0.0 and 0.0 for one value: no trigger can tell a change from one to the other, so it is none. */
void column_value(sqlite3_stmt *s, int i, struct perche_value *out)
{
    memset(out, 0, sizeof *out);
    switch (sqlite3_column_type(s, i)) {
    case SQLITE_INTEGER:
        out->type = PERCHE_INTEGER;
        out->i = sqlite3_column_int64(s, i);
        break;
    case SQLITE_FLOAT:
        out->type = PERCHE_REAL;
        out->r = sqlite3_column_double(s, i);
        if (out->r == 0)
            out->r = 0;
        break;
    case SQLITE_TEXT:
        out->type = PERCHE_TEXT;
        out->p = sqlite3_column_text(s, i);
        out->n = (uint32_t)sqlite3_column_bytes(s, i);
        break;
    case SQLITE_BLOB:
        out->type = PERCHE_BLOB;
        out->p = sqlite3_column_blob(s, i);
        out->n = (uint32_t)sqlite3_column_bytes(s, i);
        if (out->p == NULL)
            out->p = (const uint8_t *)"";
        break;
    default: out->type = PERCHE_NULL; break;
    }
}

void column_read(struct replica *r, sqlite3_stmt *s, int i, struct perche_value *out)
{
    column_value(s, i, out);
    if (out->type != PERCHE_TEXT || out->p != NULL)
        return;
    (void)fail(r, PERCHE_NOMEM, "no memory for a text");
    out->p = (const uint8_t *)"";
    out->n = 0;
}

void append_name(sqlite3_str *s, const char *name)
{
    sqlite3_str_appendf(s, "\"%w\"", name);
}
