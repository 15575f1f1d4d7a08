#include "replica/ask.h"
#include "replica/tx.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_MAX 400 /* bytes of what people call a row */

/* ---- one-off statements ------------------------------------------------------ */

sqlite3_stmt *ask(struct replica *r, const char *sql)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(r->db, sql, -1, &s, NULL);

    if (rc != SQLITE_OK)
        (void)fail_sqlite(r, rc, "prepare a question");
    return s;
}

void ask_bind_text(sqlite3_stmt *s, int i, const char *text)
{
    if (s != NULL && text != NULL)
        sqlite3_bind_text(s, i, text, -1, SQLITE_STATIC); /* a copy may fail, and would leave NULL there */
}

void ask_bind_bytes(sqlite3_stmt *s, int i, struct perche_bytes b)
{
    if (s != NULL)
        sqlite3_bind_blob(s, i, b.p != NULL ? (const void *)b.p : "", (int)b.n, SQLITE_STATIC);
}

bool ask_row(struct replica *r, sqlite3_stmt *s, const char *what)
{
    int rc;

    if (s == NULL)
        return false;
    rc = sqlite3_step(s);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, what);
    return rc == SQLITE_ROW;
}

enum perche_rc ask_run(struct replica *r, sqlite3_stmt *s, const char *what)
{
    int rc;

    if (s == NULL)
        return r->fail;
    rc = tx_stands(r) == PERCHE_OK ? sqlite3_step(s) : SQLITE_ABORT;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, what);
    sqlite3_finalize(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? PERCHE_OK : r->fail;
}

int64_t ask_number(struct replica *r, const char *sql, int64_t number, const char *text)
{
    sqlite3_stmt *s = ask(r, sql);
    int64_t n = 0;

    if (s == NULL)
        return 0;
    if (sqlite3_bind_parameter_count(s) >= 1)
        sqlite3_bind_int64(s, 1, number);
    if (sqlite3_bind_parameter_count(s) >= 2)
        ask_bind_text(s, 2, text);
    if (ask_row(r, s, "ask for a number"))
        n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

const char *ask_text(sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);

    return text != NULL ? text : "";
}

enum perche_rc json_done(struct replica *r, struct json *j, struct outcome *o)
{
    if (r->fail != PERCHE_OK)
        return r->fail;
    if (j->failed)
        return j->too_long
                   ? fail(r, PERCHE_TOO_LARGE, "the answer is too long: ask for less")
                   : fail(r, PERCHE_NOMEM, "no memory for the answer");
    o->json = j->p;
    *j = (struct json){0};
    return PERCHE_OK;
}

char *message_text(struct perche_message *m, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = perche_message_alloc(m, n);

    if (copy != NULL)
        memcpy(copy, text, n);
    return copy;
}

/* ---- arguments ---------------------------------------------------------------- */

enum perche_rc args_parse(struct replica *r, const char *text, struct args *a)
{
    sqlite3_stmt *s;
    bool object;
    int rc;

    memset(a, 0, sizeof *a);
    if (text == NULL || *text == '\0')
        text = "{}";
    s = ask(r, "SELECT json_type(?1) IS 'object'"); /* not json_valid(), which takes a want of memory for a mistake */
    if (s == NULL)
        return r->fail;
    ask_bind_text(s, 1, text);
    rc = sqlite3_step(s);
    object = rc == SQLITE_ROW && sqlite3_column_int(s, 0);
    if ((rc & 0xff) == SQLITE_NOMEM)
        (void)fail_sqlite(r, rc, "read the arguments");
    sqlite3_finalize(s);
    if (!object)
        return fail(r, PERCHE_USAGE, "the arguments are no JSON object");
    a->text = strdup(text);
    if (a->text == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for the arguments");
    a->stmt = ask(r, "SELECT type, value FROM json_each(?1) WHERE key = ?2");
    return a->stmt == NULL ? r->fail : PERCHE_OK;
}

void args_free(struct args *a)
{
    sqlite3_finalize(a->stmt);
    free(a->text);
    memset(a, 0, sizeof *a);
}

struct arg args_find(struct replica *r, struct args *a, const char *name)
{
    struct arg found = {0};

    sqlite3_reset(a->stmt);
    sqlite3_bind_text(a->stmt, 1, a->text, -1, SQLITE_STATIC);
    sqlite3_bind_text(a->stmt, 2, name, -1, SQLITE_STATIC);
    if (!ask_row(r, a->stmt, "read an argument"))
        return found;
    column_read(r, a->stmt, 1, &found.value);
    switch (ask_text(a->stmt, 0)[0]) {
    case 'f':
    case 'b': found.kind = 'b'; break;
    case 'i': found.kind = 'i'; break;
    case 'r': found.kind = 'r'; break;
    case 'a': found.kind = 'a'; break;
    case 'o': found.kind = 'o'; break;
    case 'n': found.kind = 'n'; break;
    default: found.kind = strcmp(ask_text(a->stmt, 0), "true") == 0 ? 'b' : 't'; break;
    }
    return found;
}

enum perche_rc args_text(struct replica *r, struct args *a, const char *name, char *out,
                         size_t out_n)
{
    struct arg arg = args_find(r, a, name);
    const char *text = "";

    if (r->fail != PERCHE_OK)
        return r->fail;
    if (arg.kind != 0 && arg.kind != 'n')
        text = ask_text(a->stmt, 1);
    if (strlen(text) >= out_n)
        return fail(r, PERCHE_USAGE, "%s is longer than %zu bytes", name, out_n - 1);
    memcpy(out, text, strlen(text) + 1);
    return PERCHE_OK;
}

enum perche_rc args_need(struct replica *r, struct args *a, const char *name, char *out,
                         size_t out_n)
{
    enum perche_rc rc = args_text(r, a, name, out, out_n);

    if (rc == PERCHE_OK && *out == '\0')
        rc = fail(r, PERCHE_USAGE, "%s is missing", name);
    return rc;
}

int64_t args_number(struct replica *r, struct args *a, const char *name, int64_t otherwise)
{
    struct arg arg = args_find(r, a, name);

    if (arg.kind == 0 || arg.kind == 'n')
        return otherwise;
    if (arg.kind != 'i' && arg.kind != 'b') {
        (void)fail(r, PERCHE_USAGE, "%s is a number, or true or false", name); /* a text would count as 0 */
        return otherwise;
    }
    return sqlite3_column_int64(a->stmt, 1);
}

bool args_true(struct replica *r, struct args *a, const char *name)
{
    return args_number(r, a, name, 0) != 0;
}

/* ---- tables and keys ------------------------------------------------------------ */

struct table *ask_table(struct replica *r, struct args *a)
{
    char name[PERCHE_NAME_BYTES_MAX];
    struct table *t;

    if (args_need(r, a, "table", name, sizeof name) != PERCHE_OK)
        return NULL;
    t = registry_table(r, name);
    if (t == NULL || !t->present) {
        (void)fail(r, PERCHE_NOT_FOUND, "no replicated table is called %s", name);
        return NULL;
    }
    return t;
}

/* All of @v as a number, if it is one. */
static bool number_of(const struct perche_value *v, struct perche_value *out)
{
    char text[64], *end;

    if (v->n == 0 || v->n >= sizeof text)
        return false;
    memcpy(text, v->p, v->n);
    text[v->n] = '\0';
    if (strspn(text, "0123456789+-.eE") != v->n)
        return false; /* no "inf", no "0x10" */
    *out = (struct perche_value){.type = PERCHE_INTEGER};
    out->i = strtoll(text, &end, 10);
    if (*end == '\0' && v->n < 19)
        return true;
    out->type = PERCHE_REAL;
    out->r = strtod(text, &end);
    return *end == '\0';
}

struct perche_value ask_settled(const struct column *c, struct perche_value v)
{
    struct perche_value number;
    bool numeric = c->affinity == 'I' || c->affinity == 'R' || c->affinity == 'N';

    if (v.type == PERCHE_TEXT && numeric && number_of(&v, &number))
        v = number;
    if (v.type == PERCHE_INTEGER && c->affinity == 'R') {
        double real = (double)v.i;

        v.type = PERCHE_REAL;
        v.r = real;
    } else if (v.type == PERCHE_REAL && (c->affinity == 'I' || c->affinity == 'N') &&
               v.r >= -9.0e15 && v.r <= 9.0e15 && (double)(int64_t)v.r == v.r) {
        int64_t whole = (int64_t)v.r;

        v.type = PERCHE_INTEGER;
        v.i = whole;
    }
    return v;
}

#define NUL_ESCAPED "\\u0000"
#define NUL_PARTED  "\",{},\"" /* as long */

/* SQLite ends a value of JSON at a NUL: the text is parted there. The caller's to free. */
static char *parted(struct replica *r, const char *json)
{
    char *copy = strdup(json);

    if (copy == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a key");
    for (char *p = copy; p != NULL && (p = strchr(p, '\\')) != NULL && p[1] != '\0'; p += 2)
        if (strncmp(p, NUL_ESCAPED, sizeof NUL_ESCAPED - 1) == 0)
            memcpy(p, NUL_PARTED, sizeof NUL_PARTED - 1);
    return copy;
}

/* The text goes on behind a NUL; @room has its bytes. */
static bool joined(struct perche_value *to, uint8_t room[PERCHE_KEY_BYTES_MAX], const struct perche_value *more)
{
    if (to->type != PERCHE_TEXT || more->type != PERCHE_TEXT || more->n >= PERCHE_KEY_BYTES_MAX - to->n)
        return false;
    room[to->n] = '\0';
    memcpy(room + to->n + 1, more->p, more->n);
    to->n += 1 + more->n;
    return true;
}

bool ask_key_parse(struct replica *r, struct table *t, const char *json,
                   uint8_t key[PERCHE_KEY_BYTES_MAX], uint32_t *key_n)
{
    struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
    uint8_t copies[PERCHE_KEY_COLUMNS_MAX][PERCHE_KEY_BYTES_MAX];
    sqlite3_stmt *s = ask(
        r,
        "SELECT value, type = 'object' FROM json_each(CASE WHEN json_valid(?1) THEN ?1 ELSE '[]' END)"
        " WHERE type IN ('text', 'integer', 'real', 'object')");
    char *copy = parted(r, json);
    bool nul = false;
    uint32_t n = 0;

    ask_bind_text(s, 1, copy);
    while (n <= t->keys_count && ask_row(r, s, "read a key")) {
        struct perche_value v;

        if (sqlite3_column_int(s, 1)) {
            nul = n > 0;
            continue;
        }
        if (nul) {
            nul = false;
            column_read(r, s, 0, &v);
            if (!joined(&values[n - 1], copies[n - 1], &v)) {
                n = 0;
                break;
            }
            continue;
        }
        if (n == t->keys_count) {
            n++;
            break;
        }
        column_read(r, s, 0, &v);
        v = ask_settled(&t->keys[n], v);
        if (v.type == PERCHE_TEXT) {
            if (v.n > PERCHE_KEY_BYTES_MAX)
                break;
            memcpy(copies[n], v.p, v.n);
            v.p = copies[n];
        }
        values[n++] = v;
    }
    sqlite3_finalize(s);
    free(copy);
    return r->fail == PERCHE_OK && n == t->keys_count &&
           perche_key_encode(values, n, key, key_n) == PERCHE_OK;
}

static bool row_known(struct replica *r, struct table *t, struct perche_bytes key)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    struct meta m;
    bool stored;

    if (meta_load(r, t, key, &m) != PERCHE_OK)
        return false;
    stored = m.stored;
    meta_clear(&m);
    return stored || data_load(r, t, key, values) == PERCHE_OK;
}

/* Takes the row whose key @s gives in its only column, if it is the only one. */
static enum perche_rc only_one(struct replica *r, sqlite3_stmt *s, uint8_t *key, uint32_t *key_n)
{
    enum perche_rc rc = PERCHE_NOT_FOUND;

    if (ask_row(r, s, "look for a row")) {
        rc = PERCHE_OK;
        if (sqlite3_column_type(s, 0) == SQLITE_BLOB && sqlite3_column_bytes(s, 0) == 16) {
            memcpy(key, sqlite3_column_blob(s, 0), 16);
            *key_n = 16;
        } else {
            struct perche_value v;

            column_read(r, s, 0, &v);
            if (perche_key_encode(&v, 1, key, key_n) != PERCHE_OK)
                rc = PERCHE_NOT_FOUND;
        }
        if (ask_row(r, s, "look for a row"))
            rc = fail(r, PERCHE_USAGE, "several rows begin like that: give more of the id");
    }
    sqlite3_finalize(s);
    return r->fail != PERCHE_OK ? r->fail : rc;
}

/* By what people call it; NOT_FOUND: nobody is called so. */
static enum perche_rc by_name(struct replica *r, struct args *a, const char *name, struct table *t, uint8_t key[PERCHE_KEY_BYTES_MAX], uint32_t *key_n)
{
    char path[PERCHE_NAME_BYTES_MAX + 2], *json = NULL;
    bool found;

    (void)snprintf(path, sizeof path, "$.%s", name);
    if (r->config.naming.find != NULL)
        json = r->config.naming.find(r, t, a->text, path);
    found = json != NULL && ask_key_parse(r, t, json, key, key_n);
    free(json);
    return r->fail != PERCHE_OK ? r->fail : found && row_known(r, t, (struct perche_bytes){key, *key_n}) ? PERCHE_OK : PERCHE_NOT_FOUND;
}

/* A beginning of a UUID stands for the range of those that begin so; dead rows count. */
static enum perche_rc by_uuid(struct replica *r, struct table *t, const char *text, uint8_t *key,
                              uint32_t *key_n)
{
    char low[37] = "00000000-0000-0000-0000-000000000000",
         high[37] = "ffffffff-ffff-ffff-ffff-ffffffffffff";
    uint8_t from[16], to[16];
    size_t n = strlen(text);
    sqlite3_stmt *s;

    if (n >= sizeof low)
        return PERCHE_NOT_FOUND;
    memcpy(low, text, n);
    memcpy(high, text, n);
    if (!perche_uuid_parse((const uint8_t *)low, 36, from) ||
        !perche_uuid_parse((const uint8_t *)high, 36, to))
        return PERCHE_NOT_FOUND;
    s = ask(
        r,
        "SELECT key FROM perche_row WHERE tab = ?1 AND key BETWEEN ?2 AND ?3 AND length(key) = 16 LIMIT 2");
    if (s == NULL)
        return r->fail;
    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_blob(s, 2, from, 16, SQLITE_STATIC);
    sqlite3_bind_blob(s, 3, to, 16, SQLITE_STATIC);
    return only_one(r, s, key, key_n);
}

static enum perche_rc by_beginning(struct replica *r, struct table *t, const char *text,
                                   uint8_t *key, uint32_t *key_n)
{
    sqlite3_str *sql = sqlite3_str_new(r->db);
    sqlite3_stmt *s;
    char *whole;

    sqlite3_str_appendall(sql, "SELECT ");
    append_name(sql, t->keys[0].name);
    sqlite3_str_appendall(sql, " FROM ");
    append_name(sql, t->name);
    sqlite3_str_appendall(sql, " WHERE ");
    append_name(sql, t->keys[0].name);
    sqlite3_str_appendall(sql, " >= ?1 AND ");
    append_name(sql, t->keys[0].name);
    sqlite3_str_appendall(sql, " < ?1 || char(1114111) LIMIT 2");
    whole = sqlite3_str_finish(sql);
    if (whole == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a question");
    s = ask(r, whole);
    sqlite3_free(whole);
    if (s == NULL)
        return r->fail;
    ask_bind_text(s, 1, text);
    return only_one(r, s, key, key_n);
}

enum perche_rc ask_key(struct replica *r, struct args *a, const char *name, struct table *t,
                       uint8_t key[PERCHE_KEY_BYTES_MAX], uint32_t *key_n)
{
    struct arg arg = args_find(r, a, name);
    char text[PERCHE_KEY_BYTES_MAX];
    struct perche_value v;
    enum perche_rc rc;

    if (r->fail != PERCHE_OK)
        return r->fail;
    if (arg.kind == 'a') {
        char *json = strdup(ask_text(a->stmt, 1));
        bool good = json != NULL && ask_key_parse(r, t, json, key, key_n);

        free(json);
        if (!good)
            return fail(r, PERCHE_USAGE, "a key of %s has %u value%s; a name of several words stands in quotes", t->name, t->keys_count, t->keys_count == 1 ? "" : "s");
    } else {
        if (arg.kind != 't' && arg.kind != 'i' && arg.kind != 'r')
            return fail(r, PERCHE_USAGE, "%s is missing", name);
        if (t->keys_count != 1)
            return fail(r, PERCHE_USAGE, "a key of %s has %u values: give them all, with commas between them",
                        t->name, t->keys_count);
        rc = args_need(r, a, name, text, sizeof text);
        if (rc != PERCHE_OK)
            return rc;
        v = (struct perche_value){
            .type = PERCHE_TEXT, .n = (uint32_t)strlen(text), .p = (const uint8_t *)text};
        v = ask_settled(&t->keys[0], v);
        if (perche_key_encode(&v, 1, key, key_n) != PERCHE_OK)
            return fail(r, PERCHE_USAGE, "%s is no key", name);
    }
    if (row_known(r, t, (struct perche_bytes){key, *key_n}))
        return PERCHE_OK;
    if (r->fail != PERCHE_OK)
        return r->fail;
    rc = PERCHE_NOT_FOUND;
    if (arg.kind == 't' && strlen(text) >= ASK_PREFIX_MIN) {
        rc = by_uuid(r, t, text, key, key_n);
        if (rc == PERCHE_NOT_FOUND && r->fail == PERCHE_OK)
            rc = by_beginning(r, t, text, key, key_n);
    }
    if (rc == PERCHE_NOT_FOUND && r->fail == PERCHE_OK)
        rc = by_name(r, a, name, t, key, key_n);
    if (rc == PERCHE_NOT_FOUND && r->fail == PERCHE_OK)
        return fail(r, PERCHE_NOT_FOUND, "%s has no such row here", t->name);
    return rc;
}

/* JSON holds no blob, and SQLite writes 15 digits of a number, which are those of another one where two are that close.
 * *out is malloc's; left alone where no text is needed. */
static bool key_text(struct replica *r, const struct perche_value *v, char **out)
{
    size_t n = v->type == PERCHE_BLOB ? (size_t)v->n * 2 + 1 : 40;
    char *text;

    if (v->type != PERCHE_BLOB && v->type != PERCHE_REAL)
        return true;
    *out = text = malloc(n);
    if (text == NULL)
        return (void)fail(r, PERCHE_NOMEM, "no memory for a key"), false;
    text[0] = '\0';
    for (uint32_t i = 0; v->type == PERCHE_BLOB && i < v->n; i++)
        snprintf(text + (size_t)i * 2, 3, "%02x", v->p[i]);
    if (v->type == PERCHE_BLOB)
        return true;
    sqlite3_snprintf((int)n, text, "%!.15g", v->r);
    if (isinf(v->r))
        (void)snprintf(text, n, "%s9e999", v->r < 0 ? "-" : "");
    else if (strtod(text, NULL) != v->r)
        (void)snprintf(text, n, "%.17g", v->r); /* SQLite's own is not exact for very large and very small ones */
    if (strpbrk(text, ".e") == NULL)
        strcat(text, ".0"); /* it fits */
    return true;
}

char *ask_key_json(struct replica *r, struct perche_bytes key)
{
    struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX], array[60] = "SELECT json_array(", *texts[PERCHE_KEY_COLUMNS_MAX] = {0}, *json = NULL;
    uint32_t n = 0;
    sqlite3_stmt *s;
    bool ok;

    if (perche_key_decode(key, values, &n, scratch) != PERCHE_OK) {
        (void)fail(r, PERCHE_CORRUPT, "a key does not decode");
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++)
        (void)snprintf(array + strlen(array), sizeof array - strlen(array), values[i].type == PERCHE_REAL ? "%sjson(?%u)" : "%s?%u", i > 0 ? ", " : "", i + 1);
    s = ask(r, strcat(array, ")")); /* it fits */
    ok = s != NULL;
    for (uint32_t i = 0; ok && i < n; i++) {
        ok = key_text(r, &values[i], &texts[i]);
        if (texts[i] != NULL)
            sqlite3_bind_text(s, (int)i + 1, texts[i], -1, SQLITE_STATIC);
        else
            bind_value(s, (int)i + 1, &values[i]);
    }
    if (ok && ask_row(r, s, "write a key"))
        json = strdup(ask_text(s, 0));
    sqlite3_finalize(s);
    for (uint32_t i = 0; i < n; i++)
        free(texts[i]);
    if (json == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a key");
    return json;
}

/* ---- names ------------------------------------------------------------------------ */

const char *ask_site(struct replica *r, struct ask_sites *sites, const char *id)
{
    uint32_t at = sites->count < 16 ? sites->count : 15;
    struct table *t;
    sqlite3_stmt *s;

    if (id == NULL || *id == '\0')
        return NULL;
    for (uint32_t i = 0; i < sites->count; i++)
        if (strcmp(sites->known[i].id, id) == 0)
            return sites->known[i].name;
    snprintf(sites->known[at].id, sizeof sites->known[at].id, "%s", id);
    snprintf(sites->known[at].name, sizeof sites->known[at].name, "%s", id);
    t = registry_table(r, "site");
    s = ask(
        r,
        t != NULL && t->present && table_column(t, "name") != NULL
            ? "SELECT coalesce((SELECT name FROM site WHERE id = ?1), (SELECT name FROM perche_member WHERE site = ?1),"
              " (SELECT name FROM perche_node WHERE site = ?1 AND name <> ''))"
            : "SELECT coalesce((SELECT name FROM perche_member WHERE site = ?1),"
              " (SELECT name FROM perche_node WHERE site = ?1 AND name <> ''))");
    ask_bind_text(s, 1, id);
    if (ask_row(r, s, "look up a site's name") && *ask_text(s, 0) != '\0')
        snprintf(sites->known[at].name, sizeof sites->known[at].name, "%s", ask_text(s, 0));
    sqlite3_finalize(s);
    sites->count = at + 1;
    return sites->known[at].name;
}

/* The beginning of one that nobody would read to the end. */
static void out_label(struct json *j, const char *label)
{
    char text[LABEL_MAX + 4];
    size_t n = strnlen(label, LABEL_MAX);

    memcpy(text, label, n);
    while (label[n] != '\0' && n > 0 && (label[n] & 0xc0) == 0x80) /* in the middle of a character */
        n--;
    (void)snprintf(text + n, sizeof text - n, "%s", label[n] != '\0' ? "\xe2\x80\xa6" : "");
    out_text(j, text);
}

void ask_label(struct replica *r, struct json *j, struct table *t, struct perche_bytes key)
{
    struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX], *json;
    sqlite3_stmt *s = NULL;
    int rc = SQLITE_OK;
    bool done = false;
    uint32_t n = 0;

    /* A label that does not work is no reason to answer nothing: then the key serves. */
    if (t->label != NULL && perche_key_decode(key, values, &n, scratch) == PERCHE_OK)
        rc = sqlite3_prepare_v2(r->db, t->label, -1, &s, NULL);
    if (s != NULL && sqlite3_stmt_readonly(s)) {
        for (int i = 0; i < (int)n && i < sqlite3_bind_parameter_count(s); i++)
            bind_value(s, i + 1, &values[i]);
        rc = sqlite3_step(s);
        if (rc == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL) {
            out_label(j, ask_text(s, 0));
            done = true;
        }
    }
    if ((rc & 0xff) == SQLITE_NOMEM)
        (void)fail_sqlite(r, rc, "a label");
    sqlite3_finalize(s);
    if (done)
        return;
    json = ask_key_json(r, key);
    out_text(j, json != NULL && json[0] == '[' ? json : "");
    free(json);
}
