/* perche-opener FILE: what a replica's file says to who opens everything in it, a line of JSON for each place:
 *
 *   {"where": "perche_history.body 17", "kind": "text" | "packed" | "key" | "plain" | "unzipped", "found": "..."}
 *
 * text: a value of a table as it stands there. packed: a value that a block, a parked row or another body of a batch
 * gives back when it is decoded. key: likewise of an encoded key, or of 16 bytes that are a UUID. plain, unzipped: the bytes of
 * such a body, not decoded, in hexadecimal. A test looks in them for what must not be there. */
#include "perche/wire.h"

#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { BODY_ZSTD = 2, WHERE_BYTES = 300 }; /* proto/PROTOCOL.md "Batches" */

static char where[WHERE_BYTES];

static void die(const char *what)
{
    (void)fprintf(stderr, "perche-opener: %s\n", what);
    exit(1);
}

static void say(const char *kind, const char *text, size_t n)
{
    json_t *line = json_pack("{s:s, s:s, s:s%}", "where", where, "kind", kind, "found", text, n);

    if (line == NULL) { /* not UTF-8: found in its raw bytes */
        return;
    }
    (void)json_dumpf(line, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(line);
}

static void say_value(const char *kind, const struct perche_value *v)
{
    char number[32];

    if (v->type == PERCHE_TEXT || v->type == PERCHE_BLOB)
        say(kind, (const char *)v->p, v->n);
    else if (v->type == PERCHE_INTEGER)
        say(kind, number, (size_t)snprintf(number, sizeof number, "%lld", (long long)v->i));
}

static void say_bytes(const char *kind, const uint8_t *p, size_t n)
{
    char *hex = malloc(2 * n + 1);

    if (hex == NULL)
        die("no memory");
    for (size_t i = 0; i < n; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", p[i]);
    say(kind, hex, 2 * n);
    free(hex);
}

static void open_key(struct perche_bytes key)
{
    struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    uint32_t n = 0;

    if (perche_key_decode(key, values, &n, scratch) == PERCHE_OK)
        for (uint32_t i = 0; i < n; i++)
            say_value("key", &values[i]);
}

static void open_part(const struct perche_part *part)
{
    for (uint32_t i = 0; i < part->rows_count; i++)
        open_key(part->rows[i].key);
    for (uint32_t i = 0; i < part->cells_count; i++)
        say_value("packed", &part->cells[i].value);
}

static void unzip(const uint8_t *p, size_t n)
{
    unsigned long long raw = ZSTD_getFrameContentSize(p, n);
    uint8_t *to;

    if (raw == ZSTD_CONTENTSIZE_UNKNOWN || raw == ZSTD_CONTENTSIZE_ERROR || raw > 64u << 20)
        die("a zipped body does not say its size");
    to = malloc(raw + 1);
    if (to == NULL)
        die("no memory");
    if (ZSTD_isError(ZSTD_decompress(to, raw, p, n)))
        die("a zipped body cannot be unzipped");
    say_bytes("unzipped", to, raw);
    free(to);
}

static void open_blob(const uint8_t *p, uint32_t n)
{
    struct perche_batch *b = perche_batch_new();
    struct perche_err err;

    if (b == NULL)
        die("no memory");
    if (n > 1 && perche_batch_decode((struct perche_bytes){p, n}, b, &err) == PERCHE_OK) {
        for (uint32_t i = 0; i < b->parts_count; i++)
            open_part(&b->parts[i]);
        for (uint32_t i = 0; i < b->notices_count; i++)
            open_key(b->notices[i].key);
        if (p[0] == BODY_ZSTD)
            unzip(p + 1, n - 1);
        else
            say_bytes("plain", p + 1, n - 1);
    } else {
        open_key((struct perche_bytes){p, n});
    }
    perche_batch_free(b);
}

static void open_row(sqlite3_stmt *s, const char *table, long long row)
{
    for (int i = 0; i < sqlite3_column_count(s); i++) {
        int n = sqlite3_column_bytes(s, i);

        (void)snprintf(where, sizeof where, "%s.%s %lld", table, sqlite3_column_name(s, i), row);
        if (sqlite3_column_type(s, i) == SQLITE_BLOB && n > 0)
            open_blob(sqlite3_column_blob(s, i), (uint32_t)n);
        else if (sqlite3_column_type(s, i) != SQLITE_NULL)
            say("text", (const char *)sqlite3_column_text(s, i), (size_t)sqlite3_column_bytes(s, i));
    }
}

static void open_table(sqlite3 *db, const char *table)
{
    char *sql = sqlite3_mprintf("SELECT * FROM \"%w\"", table);
    sqlite3_stmt *s = NULL;

    if (sql == NULL || sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
        die(sqlite3_errmsg(db));
    for (long long row = 1; sqlite3_step(s) == SQLITE_ROW; row++)
        open_row(s, table, row);
    if (sqlite3_finalize(s) != SQLITE_OK)
        die(sqlite3_errmsg(db));
    sqlite3_free(sql);
}

int main(int argc, char **argv)
{
    sqlite3_stmt *s = NULL;
    sqlite3 *db = NULL;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: perche-opener FILE\n");
        return 2;
    }
    if (sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name", -1, &s, NULL) != SQLITE_OK)
        die(sqlite3_errmsg(db));
    while (sqlite3_step(s) == SQLITE_ROW)
        open_table(db, (const char *)sqlite3_column_text(s, 0));
    if (sqlite3_finalize(s) != SQLITE_OK || sqlite3_close(db) != SQLITE_OK)
        die("the file could not be read to its end");
    return fflush(stdout) == 0 ? 0 : 1;
}
