/* Data rows by key: what apply writes and harvest reads. */
#include <math.h>

#include "replica_fixture.h"

/* ---- helpers ------------------------------------------------------------- */

static struct perche_value null_value(void)
{
    return (struct perche_value){.type = PERCHE_NULL};
}
static struct perche_value integer(int64_t i)
{
    return (struct perche_value){.type = PERCHE_INTEGER, .i = i};
}
static struct perche_value real(double r)
{
    return (struct perche_value){.type = PERCHE_REAL, .r = r};
}
static struct perche_value text(const char *s)
{
    return (struct perche_value){.type = PERCHE_TEXT, .n = (uint32_t)strlen(s), .p = (const uint8_t *)s};
}
static struct perche_value blob(const char *s, uint32_t n)
{
    return (struct perche_value){.type = PERCHE_BLOB, .n = n, .p = (const uint8_t *)s};
}

/* Key bytes of the values; two calls may be in use at once. */
static struct perche_bytes key(const struct perche_value *values, uint32_t n)
{
    static uint8_t bytes[2][PERCHE_KEY_BYTES_MAX];
    static int turn;
    uint32_t size;

    turn = !turn;
    assert_int_equal(perche_key_encode(values, n, bytes[turn], &size), PERCHE_OK);
    return (struct perche_bytes){bytes[turn], size};
}
static struct perche_bytes text_key(const char *s)
{
    struct perche_value v = text(s);

    return key(&v, 1);
}

#define UUID "01893f5a-7c3e-7abc-8def-0123456789ab"

static struct fixture *with(const char *create, struct table **t)
{
    struct fixture *f = fixture_folder();

    fixture_open(f);
    fixture_program(f);
    program(f, create);
    fixture_register(f, "t");
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(applying_begin(f->r), PERCHE_OK);
    *t = registry_table(f->r, "t");
    return f;
}

static void end(struct fixture *f)
{
    if (f->r->in_tx)
        assert_int_equal(tx_commit(f->r), PERCHE_OK);
    fixture_end(f);
}

#define PLAIN "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT, b INTEGER, c REAL, d ANY) STRICT"

/* ---- tests --------------------------------------------------------------- */

static void a_row_comes_back_as_it_was_written(void **state)
{
    struct table *t;
    struct fixture *f = with(PLAIN, &t);
    struct perche_value in[5], out[5];

    (void)state;
    in[1] = text("é and more");
    in[2] = integer(INT64_MIN);
    in[3] = real(0.1);
    in[4] = blob("\0\1\2", 3);
    assert_int_equal(data_upsert(f->r, t, text_key(UUID), 15, in), PERCHE_OK);
    assert_int_equal(data_load(f->r, t, text_key(UUID), out), PERCHE_OK);
    for (int i = 1; i <= 4; i++)
        assert_int_equal(perche_value_compare(&in[i], &out[i]), 0);
    assert_string_equal(asked(f->r->db, "SELECT id FROM t"), UUID);
    end(f);
}

static void empty_texts_and_blobs_are_not_null(void **state)
{
    struct table *t;
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT NOT NULL, b BLOB NOT NULL, c TEXT) STRICT", &t);
    struct perche_value in[4], out[4];

    (void)state;
    in[1] = (struct perche_value){.type = PERCHE_TEXT}; /* no pointer at all */
    in[2] = (struct perche_value){.type = PERCHE_BLOB};
    in[3] = null_value();
    assert_int_equal(data_upsert(f->r, t, text_key(UUID), 7, in), PERCHE_OK);
    assert_int_equal(data_load(f->r, t, text_key(UUID), out), PERCHE_OK);
    assert_int_equal(out[1].type, PERCHE_TEXT);
    assert_int_equal(out[1].n, 0);
    assert_int_equal(out[2].type, PERCHE_BLOB);
    assert_non_null(out[2].p);
    assert_int_equal(out[3].type, PERCHE_NULL);
    end(f);
}

static void texts_with_zero_bytes_are_kept_whole(void **state)
{
    struct table *t;
    struct fixture *f = with(PLAIN, &t);
    struct perche_value in[5] = {0}, out[5];

    (void)state;
    in[1] = (struct perche_value){.type = PERCHE_TEXT, .n = 3, .p = (const uint8_t *)"a\0b"};
    assert_int_equal(data_upsert(f->r, t, text_key(UUID), 1, in), PERCHE_OK);
    assert_int_equal(data_load(f->r, t, text_key(UUID), out), PERCHE_OK);
    assert_int_equal(perche_value_compare(&in[1], &out[1]), 0);
    end(f);
}

static void an_absent_row_is_not_found_and_no_failure(void **state)
{
    struct table *t;
    struct fixture *f = with(PLAIN, &t);
    struct perche_value values[5] = {0};

    (void)state;
    assert_int_equal(data_load(f->r, t, text_key(UUID), values), PERCHE_NOT_FOUND);
    assert_int_equal(data_delete(f->r, t, text_key(UUID)), PERCHE_NOT_FOUND);
    assert_int_equal(data_update(f->r, t, text_key(UUID), 1, values), PERCHE_NOT_FOUND);
    assert_int_equal(data_update(f->r, t, text_key(UUID), 0, values), PERCHE_NOT_FOUND);
    assert_int_equal(f->r->fail, PERCHE_OK);
    end(f);
}

static void an_upsert_changes_the_named_columns_only(void **state)
{
    struct table *t;
    struct fixture *f = with(PLAIN, &t);
    struct perche_value v[5] = {0};

    (void)state;
    v[1] = text("one");
    v[2] = integer(2);
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 3, v), PERCHE_OK);
    v[2] = integer(3);
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 2, v), PERCHE_OK);
    v[1] = text("not written");
    v[4] = text("new");
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 8, v), PERCHE_OK);
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 0, v), PERCHE_OK);
    assert_int_equal(data_upsert(f->r, t, text_key("l"), 0, v), PERCHE_OK); /* a row that has nothing but its key */
    assert_string_equal(asked(f->r->db, "SELECT group_concat(id || coalesce(a, '-') || coalesce(b, '-') || coalesce(c, '-') || coalesce(d, '-'), ' ') FROM t"),
                        "kone3-new l----");
    end(f);
}

static void an_upsert_without_a_not_null_column_updates_the_row_that_is_there(void **state)
{
    struct table *t;
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT NOT NULL, b INTEGER, c TEXT NOT NULL DEFAULT 'd') STRICT", &t);
    struct perche_value v[4] = {0};

    (void)state;
    v[1] = text("a");
    v[2] = integer(1);
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 3, v), PERCHE_OK);
    v[2] = integer(2);
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 2, v), PERCHE_OK);
    assert_string_equal(asked(f->r->db, "SELECT a || b || c FROM t"), "a2d");
    end(f);
}

static void what_the_table_does_not_take_is_refused_and_the_rest_goes_on(void **state)
{
    struct table *t;
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT NOT NULL, b INTEGER) STRICT", &t);
    struct perche_value v[3];

    (void)state;
    v[1] = text("a");
    v[2] = text("not a number");
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 3, v), PERCHE_REFUSED);
    assert_non_null(strstr(f->r->fail_err.text, "t.b"));
    assert_null(strstr(f->r->fail_err.text, "not a number")); /* no value in a message */
    fail_clear(f->r);
    v[2] = integer(1);
    assert_int_equal(data_upsert(f->r, t, text_key("husk"), 2, v), PERCHE_REFUSED); /* a new row without its NOT NULL column */
    fail_clear(f->r);
    v[1] = null_value();
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 3, v), PERCHE_REFUSED);
    fail_clear(f->r);
    v[1] = text("a");
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 3, v), PERCHE_OK);
    v[1] = null_value();
    assert_int_equal(data_update(f->r, t, text_key("k"), 1, v), PERCHE_REFUSED);
    fail_clear(f->r);
    assert_string_equal(asked(f->r->db, "SELECT group_concat(id || a || b) FROM t"), "ka1");
    end(f);
}

static void code_list_checks_of_sqlite_stop_no_applied_row(void **state)
{
    struct table *t;
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT CHECK (a IN ('X', 'Y')))", &t);
    struct perche_value v[2];

    (void)state;
    v[1] = text("of a newer list");
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 1, v), PERCHE_OK);
    end(f);
}

static void a_missing_parent_stops_no_applied_row_and_a_deleted_one_takes_no_child_along(void **state)
{
    struct table *t;
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, p TEXT REFERENCES t ON DELETE CASCADE)", &t);
    struct perche_value v[2];

    (void)state;
    v[1] = text("nobody");
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 1, v), PERCHE_OK);
    v[1] = text("k");
    assert_int_equal(data_upsert(f->r, t, text_key("l"), 1, v), PERCHE_OK);
    assert_int_equal(data_delete(f->r, t, text_key("k")), PERCHE_OK);
    assert_string_equal(asked(f->r->db, "SELECT group_concat(id) FROM t"), "l");
    end(f);
}

static void keys_of_every_form_find_their_row(void **state)
{
    struct table *t;
    struct fixture *f = with("CREATE TABLE t (k1 TEXT, k2 INTEGER, k3 BLOB, a TEXT, k4 REAL, PRIMARY KEY (k2, k1, k4, k3)) STRICT, WITHOUT ROWID", &t);
    struct perche_value k[4], v[2], out[2];

    (void)state;
    k[0] = integer(-7);
    k[1] = text(UUID);
    k[2] = real(2.5);
    k[3] = blob("\0x", 2);
    v[1] = text("found");
    assert_int_equal(data_upsert(f->r, t, key(k, 4), 1, v), PERCHE_OK);
    assert_int_equal(data_load(f->r, t, key(k, 4), out), PERCHE_OK);
    assert_int_equal(perche_value_compare(&v[1], &out[1]), 0);
    assert_string_equal(asked(f->r->db, "SELECT k1 || k2 || k4 || hex(k3) FROM t"), UUID "-72.50078");
    v[1] = text("changed");
    assert_int_equal(data_update(f->r, t, key(k, 4), 1, v), PERCHE_OK);
    k[3] = blob("\0y", 2);
    assert_int_equal(data_delete(f->r, t, key(k, 4)), PERCHE_NOT_FOUND);
    k[3] = blob("\0x", 2);
    assert_int_equal(data_delete(f->r, t, key(k, 4)), PERCHE_OK);
    end(f);
}

static void a_uuid_in_capitals_is_a_key_of_its_own(void **state)
{
    struct table *t;
    struct fixture *f = with(PLAIN, &t);
    struct perche_value v[5] = {0};

    (void)state;
    assert_int_equal(data_upsert(f->r, t, text_key(UUID), 0, v), PERCHE_OK);
    assert_int_equal(data_upsert(f->r, t, text_key("01893F5A-7C3E-7ABC-8DEF-0123456789AB"), 0, v), PERCHE_OK);
    assert_string_equal(asked(f->r->db, "SELECT count(*) FROM t"), "2");
    end(f);
}

static void a_key_of_another_form_is_corrupt(void **state)
{
    struct table *t;
    struct fixture *f = with(PLAIN, &t);
    struct perche_value two[2] = {text("a"), text("b")}, v[5] = {0};

    (void)state;
    assert_int_equal(data_upsert(f->r, t, key(two, 2), 0, v), PERCHE_CORRUPT);
    fail_clear(f->r);
    assert_int_equal(data_load(f->r, t, (struct perche_bytes){(const uint8_t *)"\xff\xff", 2}, v), PERCHE_CORRUPT);
    fail_clear(f->r);
    end(f);
}

static void loaded_values_outlive_writes_to_other_rows_and_to_the_row_itself(void **state)
{
    struct table *t;
    struct fixture *f = with(PLAIN, &t);
    struct perche_value v[5] = {0}, out[5];
    char long_text[9000];

    (void)state;
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    v[1] = text(long_text);
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 1, v), PERCHE_OK);
    assert_int_equal(data_load(f->r, t, text_key("k"), out), PERCHE_OK);
    assert_int_equal(exec(f->r, "DELETE FROM t; INSERT INTO t (id, a) VALUES ('k', 'other')"), PERCHE_OK);
    assert_int_equal(perche_value_compare(&v[1], &out[1]), 0);
    /* the values of a load may be what the next write is given */
    out[2] = integer(5);
    assert_int_equal(data_update(f->r, t, text_key("k"), 3, out), PERCHE_OK);
    assert_string_equal(asked(f->r->db, "SELECT length(a) || '/' || b FROM t"), "8999/5");
    end(f);
}

static void a_load_left_open_holds_no_snapshot_after_the_commit(void **state)
{
    struct table *t;
    struct fixture *f = with(PLAIN, &t);
    struct perche_value v[5] = {0};

    (void)state;
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 0, v), PERCHE_OK);
    assert_int_equal(data_load(f->r, t, text_key("k"), v), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    program(f, "INSERT INTO t (id) VALUES ('m'); PRAGMA wal_checkpoint(TRUNCATE)");
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK); /* would say BUSY from an old snapshot */
    end(f);
}

static void more_masks_than_are_kept_work_all_the_same(void **state)
{
    struct table *t;
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a, b, c, d, e)", &t);
    struct perche_value v[6];

    (void)state;
    for (int64_t round = 0; round < 3; round++)
        for (uint64_t mask = 0; mask < 32; mask++) {
            char sql[80];

            for (int i = 1; i <= 5; i++)
                v[i] = integer(round * 1000 + (int64_t)mask * 10 + i);
            assert_int_equal(data_upsert(f->r, t, text_key("k"), mask, v), PERCHE_OK);
            assert_int_equal(data_update(f->r, t, text_key("k"), mask ^ 31, v), PERCHE_OK);
            snprintf(sql, sizeof(sql), "SELECT a+b+c+d+e = %lld FROM t", (long long)(5 * (round * 1000 + (int64_t)mask * 10) + 15));
            assert_string_equal(asked(f->r->db, sql), "1");
        }
    end(f);
}

static void a_swap_of_two_values_passes_row_by_row(void **state)
{
    struct table *t;
    struct fixture *f = with(PLAIN, &t);
    struct perche_value v[5] = {0};

    (void)state; /* unique values are declared to Perche, never to SQLite */
    v[1] = text("A1");
    assert_int_equal(data_upsert(f->r, t, text_key("x"), 1, v), PERCHE_OK);
    v[1] = text("A2");
    assert_int_equal(data_upsert(f->r, t, text_key("y"), 1, v), PERCHE_OK);
    assert_int_equal(data_update(f->r, t, text_key("x"), 1, v), PERCHE_OK);
    v[1] = text("A1");
    assert_int_equal(data_update(f->r, t, text_key("y"), 1, v), PERCHE_OK);
    assert_string_equal(asked(f->r->db, "SELECT group_concat(id || a) FROM t"), "xA2,yA1");
    end(f);
}

static void a_column_that_the_file_lacks_is_skipped_and_reads_null(void **state)
{
    struct table *t;
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT, b TEXT) STRICT", &t);
    struct perche_value v[3], out[3];

    (void)state;
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    program(f, "DROP TABLE t; CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, b TEXT) STRICT");
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    t = registry_table(f->r, "t");
    v[1] = text("a");
    v[2] = text("b");
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 3, v), PERCHE_OK);
    assert_int_equal(data_update(f->r, t, text_key("k"), 1, v), PERCHE_OK);
    assert_int_equal(data_load(f->r, t, text_key("k"), out), PERCHE_OK);
    assert_int_equal(out[1].type, PERCHE_NULL);
    assert_int_equal(perche_value_compare(&out[2], &v[2]), 0);
    assert_false(data_accepts(&t->columns[0], &v[1]));
    end(f);
}

/* What data_accepts says is what SQLite does: stored and read back, the value is the same, or it was refused. */
static void a_value_is_accepted_if_and_only_if_it_is_stored_as_it_is(void **state)
{
    static const char *const strict[] = {"INTEGER", "REAL", "TEXT", "BLOB", "ANY", "TEXT NOT NULL"};
    static const char *const loose[] = {"INTEGER", "REAL", "TEXT", "BLOB", "NUMERIC", "", "INTEGER NOT NULL", "DATE"};
    struct perche_value samples[64];
    static const char *const texts[] = {"", " ", "12", " 12 ", "12x", "1.5", "1e5", "1e", "+3", "-", ".", ".5", "5.", "0x10", "nan", "inf", "e5", "12 3",
                                        "99999999999999999999", "1.0", "é"};
    int n = 0, accepted = 0;

    (void)state;
    samples[n++] = null_value();
    for (int i = 0; i < 4; i++)
        samples[n++] = integer((const int64_t[]){0, -1, INT64_MAX, INT64_MIN}[i]);
    for (int i = 0; i < 9; i++)
        samples[n++] = real((const double[]){0.5, 1.0, -3.0, 1e15, 1e17, 9.2e18, 1e19, 1e300, -0.25}[i]);
    samples[n++] = real(NAN);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        samples[n++] = text(texts[i]);
    samples[n++] = blob("12", 2);
    samples[n++] = blob("", 0);

    for (int is_strict = 0; is_strict < 2; is_strict++)
        for (size_t c = 0; c < (is_strict ? sizeof(strict) / sizeof(*strict) : sizeof(loose) / sizeof(*loose)); c++) {
            char create[200];
            struct table *t;
            struct fixture *f;

            snprintf(create, sizeof(create), "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a %s)%s", is_strict ? strict[c] : loose[c], is_strict ? " STRICT" : "");
            f = with(create, &t);
            for (int i = 0; i < n; i++) {
                struct perche_value v[2], out[2];
                bool same;

                v[1] = samples[i];
                same = data_upsert(f->r, t, text_key("k"), 1, v) == PERCHE_OK && data_load(f->r, t, text_key("k"), out) == PERCHE_OK &&
                       perche_value_compare(&v[1], &out[1]) == 0;
                if (data_accepts(&t->columns[0], &v[1]) != same) {
                    print_error("sample %d (type %d)\n", i, v[1].type);
                    fixture_fail("data_accepts", same ? "refuses what is stored as it is" : "accepts what is not", create);
                }
                fail_clear(f->r);
                accepted += same;
            }
            end(f);
        }
    assert_in_range(accepted, 100, 500); /* neither all nor none */
}

static void applied_rows_are_not_captured(void **state)
{
    struct table *t;
    struct fixture *f = with(PLAIN, &t);
    struct perche_value v[5] = {0};

    (void)state;
    v[1] = text("a");
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 1, v), PERCHE_OK);
    assert_int_equal(data_update(f->r, t, text_key("k"), 2, v), PERCHE_OK);
    assert_int_equal(data_delete(f->r, t, text_key("k")), PERCHE_OK);
    assert_string_equal(asked(f->r->db, "SELECT count(*) FROM perche_capture"), "0");
    end(f);
}

static void a_constraint_that_ignores_a_row_or_ends_the_transaction_refuses_it(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct table *t;
        struct fixture *f = with(i == 0 ? "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT UNIQUE ON CONFLICT IGNORE)"
                                        : "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT UNIQUE ON CONFLICT ROLLBACK)", &t);
        struct perche_value v[2] = {0}, other[2] = {0};

        (void)state;
        v[1] = text("a");
        other[1] = text("b");
        assert_int_equal(data_upsert(f->r, t, text_key("k"), 1, v), PERCHE_OK);
        assert_int_equal(data_upsert(f->r, t, text_key("l"), 1, other), PERCHE_OK);
        assert_int_equal(tx_commit(f->r), PERCHE_OK);
        for (int again = 0; again < 3; again++) { /* the second time it is not tried: all else goes on */
            enum perche_rc (*const writes[])(struct replica *, struct table *, struct perche_bytes, uint64_t, const struct perche_value *) = {data_upsert, data_update, data_replace};

            for (int w = 0; w < 3; w++) {
                assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
                t = registry_table(f->r, "t");
                assert_int_equal(writes[w](f->r, t, text_key(w == 0 ? "new" : "l"), 1, v), PERCHE_REFUSED);
                assert_int_equal(refused_here(f->r), i == 0 || again > 0 || w == 2);
                tx_rollback(f->r);
            }
        }
        program_says(f, "SELECT group_concat(id || a, ' ') FROM (SELECT * FROM t ORDER BY id)", "ka lb");
        fixture_end(f);
    }
}

/* SQLite would take the other row away, and no trigger of ours would see it. */
static void a_constraint_that_replaces_takes_no_other_row_away(void **state)
{
    static const char *const creates[] = {
        "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT UNIQUE ON CONFLICT REPLACE)",
        "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY ON CONFLICT REPLACE, a TEXT, UNIQUE (a) on /* once */ conflict\n replace) STRICT, WITHOUT ROWID",
    };
    enum perche_rc (*const writes[])(struct replica *, struct table *, struct perche_bytes, uint64_t, const struct perche_value *) = {data_upsert, data_update, data_replace};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct table *t;
        struct fixture *f = with(creates[i], &t);
        struct perche_value v[2] = {0}, other[2] = {0};

        v[1] = text("a");
        other[1] = text("b");
        assert_int_equal(data_upsert(f->r, t, text_key("k"), 1, v), PERCHE_OK);
        assert_int_equal(data_upsert(f->r, t, text_key("l"), 1, other), PERCHE_OK);
        for (int w = 0; w < 4; w++) {
            assert_int_equal(w < 3 ? writes[w](f->r, t, text_key("l"), 1, v) : data_upsert(f->r, t, text_key("new"), 1, v), PERCHE_REFUSED);
            assert_true(refused_here(f->r));
            fail_clear(f->r);
        }
        assert_string_equal(asked(f->r->db, "SELECT group_concat(id || a, ' ') FROM (SELECT * FROM t ORDER BY id)"), "ka lb");
        other[1] = text("c");
        assert_int_equal(data_upsert(f->r, t, text_key("l"), 1, other), PERCHE_OK); /* its own key is no conflict */
        assert_int_equal(data_replace(f->r, t, text_key("m"), 1, (struct perche_value[]){{0}, text("d")}), PERCHE_OK);
        assert_string_equal(asked(f->r->db, "SELECT group_concat(id || a, ' ') FROM (SELECT * FROM t ORDER BY id)"), "ka lc md");
        end(f);
    }
}

/* Its own triggers' OR IGNORE would be overridden with it. */
static void a_table_whose_constraints_replace_nothing_is_written_as_ever(void **state)
{
    struct table *t;
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT CHECK (replace(a, ' ', '') <> '')); CREATE TABLE seen (a TEXT UNIQUE);"
                             "CREATE TRIGGER own AFTER INSERT ON t BEGIN INSERT OR IGNORE INTO seen VALUES (NEW.a); END", &t);
    struct perche_value v[2] = {0};

    (void)state;
    v[1] = text("a");
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 1, v), PERCHE_OK);
    assert_int_equal(data_upsert(f->r, t, text_key("l"), 1, v), PERCHE_OK);
    assert_string_equal(asked(f->r->db, "SELECT count(*) FROM t"), "2");
    end(f);
}

static void statements_survive_a_change_of_the_schema_by_others(void **state)
{
    struct table *t;
    struct fixture *f = with(PLAIN, &t);
    struct perche_value v[5] = {0};

    (void)state;
    v[1] = text("a");
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 1, v), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    program(f, "CREATE TABLE of_mine (x); CREATE INDEX i ON t (a)");
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    t = registry_table(f->r, "t"); /* asked for anew in each transaction */
    v[1] = text("b");
    assert_int_equal(data_upsert(f->r, t, text_key("k"), 1, v), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    program_says(f, "SELECT a FROM t", "b");
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_comes_back_as_it_was_written),
        cmocka_unit_test(empty_texts_and_blobs_are_not_null),
        cmocka_unit_test(texts_with_zero_bytes_are_kept_whole),
        cmocka_unit_test(an_absent_row_is_not_found_and_no_failure),
        cmocka_unit_test(an_upsert_changes_the_named_columns_only),
        cmocka_unit_test(an_upsert_without_a_not_null_column_updates_the_row_that_is_there),
        cmocka_unit_test(what_the_table_does_not_take_is_refused_and_the_rest_goes_on),
        cmocka_unit_test(code_list_checks_of_sqlite_stop_no_applied_row),
        cmocka_unit_test(a_missing_parent_stops_no_applied_row_and_a_deleted_one_takes_no_child_along),
        cmocka_unit_test(keys_of_every_form_find_their_row),
        cmocka_unit_test(a_uuid_in_capitals_is_a_key_of_its_own),
        cmocka_unit_test(a_key_of_another_form_is_corrupt),
        cmocka_unit_test(loaded_values_outlive_writes_to_other_rows_and_to_the_row_itself),
        cmocka_unit_test(a_load_left_open_holds_no_snapshot_after_the_commit),
        cmocka_unit_test(more_masks_than_are_kept_work_all_the_same),
        cmocka_unit_test(a_swap_of_two_values_passes_row_by_row),
        cmocka_unit_test(a_column_that_the_file_lacks_is_skipped_and_reads_null),
        cmocka_unit_test(a_value_is_accepted_if_and_only_if_it_is_stored_as_it_is),
        cmocka_unit_test(applied_rows_are_not_captured),
        cmocka_unit_test(a_constraint_that_ignores_a_row_or_ends_the_transaction_refuses_it),
        cmocka_unit_test(a_constraint_that_replaces_takes_no_other_row_away),
        cmocka_unit_test(a_table_whose_constraints_replace_nothing_is_written_as_ever),
        cmocka_unit_test(statements_survive_a_change_of_the_schema_by_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
