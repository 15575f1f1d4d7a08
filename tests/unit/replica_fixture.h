/* A replica in a folder of its own, and beside it a connection as any program has one. */
#ifndef TESTS_REPLICA_FIXTURE_H
#define TESTS_REPLICA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>
#include <sqlite3.h>

#undef fail /* cmocka's: the replica's own function is called so; tests say fail_msg() */
#include "replica/internal.h"
#include "tables.h"

#define FIXTURE_NOW UINT64_C(1767607200000) /* 2026-01-05T10:00Z */

struct fixture {
    char folder[64], path[96];
    struct replica_config config;
    struct replica *r;
    struct replica *reader; /* opened by the first question; ends with r */
    sqlite3 *program; /* another program's connection */
    struct perche_err err;
    uint8_t secret[64];
};

static inline void fixture_sign(void *ctx, const uint8_t *p, size_t n, uint8_t signature[64])
{
    (void)crypto_sign_detached(signature, NULL, p, n, ((struct fixture *)ctx)->secret);
}

static inline bool fixture_verify(void *ctx, const uint8_t public_key[32], const uint8_t *p, size_t n, const uint8_t signature[64])
{
    (void)ctx;
    return crypto_sign_verify_detached(signature, p, n, public_key) == 0;
}

/* Each fixture of a test program has a key of its own, the same in every run. */
static inline void fixture_key(struct fixture *f)
{
    static uint32_t drawn;
    uint8_t seed[32];

    drawn++;
    for (int i = 0; i < 32; i++)
        seed[i] = (uint8_t)(drawn + (uint32_t)i * 3);
    f->config.signer = (struct replica_signer){.ctx = f, .sign = fixture_sign, .verify = fixture_verify};
    assert_int_equal(crypto_sign_seed_keypair(f->config.signer.public_key, f->secret, seed), 0);
}

static inline void fixture_fail(const char *what, const char *why, const char *sql)
{
    print_error("%s: %s\n  in: %.300s\n", what, why, sql);
    _fail(__FILE__, __LINE__);
}

/* Runs SQL as the other program. */
static inline void program(struct fixture *f, const char *sql)
{
    if (sqlite3_exec(f->program, sql, NULL, NULL, NULL) != SQLITE_OK)
        fixture_fail("program", sqlite3_errmsg(f->program), sql);
}

/* As the other program, to fail; returns SQLite's words. */
static inline const char *program_fails(struct fixture *f, const char *sql)
{
    if (sqlite3_exec(f->program, sql, NULL, NULL, NULL) == SQLITE_OK)
        fixture_fail("program", "was expected to fail", sql);
    return sqlite3_errmsg(f->program);
}

/* The first column of the first row as text, "" when there is none; each call ends what the last one gave. */
static inline const char *asked(sqlite3 *db, const char *sql)
{
    static char text[65536];
    sqlite3_stmt *s = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
        fixture_fail("query", sqlite3_errmsg(db), sql);
    text[0] = '\0';
    if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_text(s, 0) != NULL)
        snprintf(text, sizeof(text), "%s", (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    return text;
}

static inline void program_says(struct fixture *f, const char *sql, const char *expected)
{
    assert_string_equal(asked(f->program, sql), expected);
}

static inline void fixture_program(struct fixture *f)
{
    assert_int_equal(sqlite3_open(f->path, &f->program), SQLITE_OK);
    sqlite3_busy_timeout(f->program, 5000);
}

static inline struct fixture *fixture_folder(void)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    strcpy(f->folder, "/tmp/perche-replica.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/replica.db", f->folder);
    f->config.path = f->path;
    f->config.role = REPLICA_SITE;
    f->config.name = "la-loupe";
    f->config.now_ms = FIXTURE_NOW;
#ifndef FIXTURE_ALL_TABLES /* a test that is about them */
    f->config.schema = tables_of_tests(&f->config.schema_count);
#endif
    for (int i = 0; i < 32; i++)
        f->config.random[i] = (uint8_t)(i * 7 + 1);
    fixture_key(f);
    return f;
}

static inline void fixture_open(struct fixture *f)
{
    if (replica_open(&f->config, &f->r, &f->err) != PERCHE_OK)
        fixture_fail("replica_open", f->err.text, f->path);
}

static inline void fixture_close(struct fixture *f)
{
    replica_free(f->reader);
    replica_free(f->r);
    f->reader = f->r = NULL;
}

static inline void fixture_end(struct fixture *f)
{
    char path[128];

    sqlite3_close(f->program);
    fixture_close(f);
    for (const char *const *p = (const char *const[]){"", "-wal", "-shm", "-journal", NULL}; *p != NULL; p++) {
        snprintf(path, sizeof(path), "%s%s", f->path, *p);
        unlink(path);
    }
    rmdir(f->folder);
    free(f);
}

/* One write transaction that does nothing but look at the schema, as the daemon's next work would. */
static inline void fixture_look(struct fixture *f)
{
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
}

/* Registers a table as `perche replicate TABLE --scope all` does: every column that is no key gets the next number. */
static inline void fixture_register(struct fixture *f, const char *table)
{
    char *sql = sqlite3_mprintf(
        "INSERT INTO perche_table (name, rule, policy) VALUES (%Q, '*', 'lww');"
        "INSERT INTO perche_column (tab, col, num, policy, level, on_erase)"
        " SELECT %Q, name, CASE WHEN pk > 0 THEN 0 ELSE row_number() OVER (PARTITION BY pk > 0 ORDER BY cid) END, 'lww', 'P1', 'null'"
        " FROM pragma_table_xinfo(%Q)", table, table, table);

    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    if (migration_run(f->r, MIGRATION_DISTRIBUTED_FROM + (int64_t)atoi(asked(f->r->db, "SELECT count(*) FROM perche_migration")), table, sql, NULL) != PERCHE_OK)
        fixture_fail("migration_run", f->r->fail_err.text, sql);
    sqlite3_free(sql);
    if (tx_commit(f->r) != PERCHE_OK)
        fixture_fail("tx_commit", f->r->fail_err.text, table);
}

#endif
