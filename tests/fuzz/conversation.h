/* What the fuzzers of the conversation share: an input read byte by byte, a replica on a disk in
 * memory that is put back before each input, and what must hold of any replica at the end. */
#ifndef TESTS_FUZZ_CONVERSATION_H
#define TESTS_FUZZ_CONVERSATION_H

#include <sanitizer/allocator_interface.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/replica.h"
#include "sync/message.h"
#include "sync/sync.h"

#include "fuzz/image.h"
#include "fuzz/records.h"
#include "sim/disk.h"
#include "sim/lock.h"
#include "sim/random.h"

#define START_MS UINT64_C(1800000000000)
#define FILE_NAME "replica.db"
#define LANE_MAX 64u
#define STEPS_MAX 200u /* of one input: what it costs is bounded */
#define RESTARTS_MAX 2u

/* A promise is broken: the fuzzer keeps the input. */
#define BROKEN(...) (fprintf(stderr, "BROKEN: " __VA_ARGS__), fputc('\n', stderr), abort())

/* ---- the input ------------------------------------------------------------- */

static inline uint8_t in_byte(struct input *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

static inline uint32_t in_below(struct input *in, uint32_t n)
{
    return in_byte(in) % n;
}

/* Where an input has ended, it does not happen. */
static inline bool in_rarely(struct input *in, uint32_t n)
{
    return in_below(in, n) == n - 1;
}

static inline bool in_bit(struct input *in)
{
    return in_byte(in) & 1;
}

static inline uint64_t in_u64(struct input *in)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | in_byte(in);
    return v;
}

/* A position, time or count: mostly near @near, which would be right. */
static inline uint64_t in_number(struct input *in, uint64_t near)
{
    uint8_t c = in_byte(in);

    if (c < 160)
        return near;
    if (c < 176)
        return near + (c - 160u);
    if (c < 192)
        return near > c - 176u ? near - (c - 176u) : 0;
    if (c < 200)
        return c - 192u;
    if (c < 208)
        return (UINT64_C(1) << 63) - 1 - (c - 200u);
    if (c < 216)
        return near + (UINT64_C(1) << in_below(in, 62));
    return c < 240 ? in_byte(in) : in_u64(in) >> 1;
}

static inline void in_bytes(struct input *in, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = in_byte(in);
}

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "malloc_context_size=6:quarantine_size_mb=16:detect_stack_use_after_return=0";
}

/* ---- the node ---------------------------------------------------------------- */

struct node {
    struct disk *disk;
    enum replica_role role;
    uint64_t now_ms, mono_ms;
    struct chance chance;
    struct replica *writer, *reader;
    sqlite3 *db; /* another program's connection */
    struct work lane[LANE_MAX];
    uint32_t lane_count;
    sqlite3_int64 sqlite_bytes; /* with everything closed */
};

static inline uint64_t node_clock(void *ctx)
{
    return ((struct node *)ctx)->now_ms;
}

static inline void node_random(void *ctx, uint8_t *out, size_t n)
{
    chance_bytes(&((struct node *)ctx)->chance, out, n);
}

/* Not a signature: enough to tell whether both ends speak of the same bytes and key. */
static inline void mix(const uint8_t key[32], const uint8_t *p, size_t n, uint8_t signature[64])
{
    uint64_t x = UINT64_C(0x243f6a8885a308d3);

    for (size_t i = 0; i < 32 + n; i++)
        x = (x ^ (i < 32 ? key[i] : p[i - 32])) * UINT64_C(0x100000001b3) ^ x >> 29;
    for (size_t i = 0; i < 64; i++)
        signature[i] = (uint8_t)(chance_splitmix(&x) >> 17);
}

static inline bool node_verify(void *ctx, const uint8_t public_key[32], const uint8_t *p, size_t n,
                               const uint8_t signature[64])
{
    uint8_t right[64];

    (void)ctx;
    mix(public_key, p, n, right);
    return memcmp(right, signature, sizeof right) == 0;
}

static inline void node_disk(struct node *n)
{
    n->disk = disk_new("fuzz", node_clock, n);
    disk_standard(n->disk);
    disk_seed(n->disk, 1);
    sqlite3_randomness(0, NULL);
    chance_seed(&n->chance, 1, 1);
}

static inline void node_open(struct node *n)
{
    struct replica_config config = {.path = FILE_NAME,
                                    .role = n->role,
                                    .name = "node",
                                    .now_ms = n->now_ms,
                                    .vfs = disk_vfs(n->disk)};
    struct perche_err err;

    disk_run_as(n->disk, DISK_DAEMON);
    chance_bytes(&n->chance, config.random, sizeof config.random);
    if (replica_open(&config, &n->writer, &err) != PERCHE_OK)
        BROKEN("the replica does not open: %s", err.text);
    lock_never_wait(n->writer);
}

/* Opened when it is first needed. */
static inline struct replica *node_reader(struct node *n)
{
    struct replica_config config = {.path = FILE_NAME,
                                    .role = n->role,
                                    .name = "node",
                                    .now_ms = n->now_ms,
                                    .vfs = disk_vfs(n->disk)};
    struct perche_err err;

    if (n->reader == NULL) {
        if (replica_open_reader(&config, &n->reader, &err) != PERCHE_OK)
            BROKEN("no reader: %s", err.text);
        lock_never_wait(n->reader);
    }
    return n->reader;
}

static inline sqlite3 *node_db(struct node *n)
{
    disk_run_as(n->disk, DISK_PROGRAM);
    if (n->db == NULL && (sqlite3_open_v2(FILE_NAME, &n->db, SQLITE_OPEN_READWRITE,
                                          disk_vfs(n->disk)) != SQLITE_OK ||
                          sqlite3_exec(n->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL)))
        BROKEN("a program cannot open the file: %s", sqlite3_errmsg(n->db));
    return n->db;
}

/* As another program does it; false: the file said no. */
static inline bool node_sql(struct node *n, const char *sql)
{
    return sqlite3_exec(node_db(n), sql, NULL, NULL, NULL) == SQLITE_OK;
}

static inline void node_must(struct node *n, const char *sql)
{
    if (!node_sql(n, sql))
        BROKEN("%s: %s", sqlite3_errmsg(n->db), sql);
}

/* The one number that @sql gives for a key and a text; -1: no row. */
static inline int64_t node_asks(struct node *n, const char *sql, struct perche_bytes key,
                                const char *text)
{
    sqlite3_stmt *s = NULL;
    int64_t found = -1;

    if (sqlite3_prepare_v2(node_db(n), sql, -1, &s, NULL) != SQLITE_OK)
        BROKEN("%s: %s", sqlite3_errmsg(n->db), sql);
    if (sqlite3_bind_parameter_count(s) > 0)
        sqlite3_bind_blob(s, 1, key.p, (int)key.n, SQLITE_STATIC);
    if (sqlite3_bind_parameter_count(s) > 1)
        sqlite3_bind_text(s, 2, text, -1, SQLITE_STATIC);
    if (sqlite3_step(s) == SQLITE_ROW)
        found = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return found;
}

static inline struct outcome node_work(struct node *n, struct work *w)
{
    struct outcome o;

    w->now_ms = n->now_ms;
    chance_bytes(&n->chance, w->random, sizeof w->random);
    disk_run_as(n->disk, DISK_DAEMON);
    replica_perform(work_writes(w->kind) ? n->writer : node_reader(n), w, &o, 1);
    return o;
}

static inline void node_must_work(struct node *n, struct work w)
{
    struct outcome o = node_work(n, &w);

    if (o.rc != PERCHE_OK || o.message.refused)
        BROKEN("%s: %s", work_name(w.kind), o.err.text);
    outcome_free(&o);
    work_free(&w);
}

static inline void node_harvest(struct node *n)
{
    bool more = true;

    while (more) {
        struct work w = {.kind = WORK_HARVEST};
        struct outcome o = node_work(n, &w);

        if (o.rc != PERCHE_OK)
            BROKEN("harvest: %s", o.err.text);
        more = o.more;
        outcome_free(&o);
    }
}

/* The process is gone; @power: what was not synced with it. */
static inline void node_end(struct node *n, bool power)
{
    disk_run_as(n->disk, DISK_PROGRAM);
    (void)sqlite3_close(n->db);
    n->db = NULL;
    disk_run_as(n->disk, DISK_DAEMON);
    if (power)
        disk_freeze(n->disk);
    replica_free(n->reader);
    replica_free(n->writer);
    n->reader = n->writer = NULL;
    for (uint32_t i = 0; i < n->lane_count; i++)
        work_free(&n->lane[i]);
    n->lane_count = 0;
    if (power) {
        disk_settle(n->disk);
        disk_power_cut(n->disk);
    }
}

/* Whatever was said to it: the file is whole, and its digests are those of its rows. */
static inline void node_check(struct node *n)
{
    struct work w = {.kind = WORK_QUERY, .name = "verify"};
    sqlite3_stmt *s = NULL;
    struct outcome o;

    if (sqlite3_prepare_v2(node_db(n), "PRAGMA integrity_check", -1, &s, NULL) != SQLITE_OK ||
        sqlite3_step(s) != SQLITE_ROW || strcmp((const char *)sqlite3_column_text(s, 0), "ok") != 0)
        BROKEN("integrity: %s", s != NULL ? (const char *)sqlite3_column_text(s, 0) : "");
    sqlite3_finalize(s);
    node_harvest(n);
    w.args = strdup("{\"chain\": true}");
    o = node_work(n, &w);
    if (o.rc != PERCHE_OK || strstr(o.json, "\"equal\":true") == NULL)
        BROKEN("verify: %s %s", o.err.text, o.json != NULL ? o.json : "");
    outcome_free(&o);
    work_free(&w);
}

static struct node kept;

/* As it was before the first input: open, and nothing done since. */
static inline void node_again(struct node *n)
{
    image_put_back();
    *n = kept;
}

/* After an input, with all that it needed. One in eight closes its connections to the end, to see what we forget. */
static inline void node_gone(struct node *n, const uint8_t *data, size_t size)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + data[i];
    if (sum % 8 == 0) {
        node_end(n, false);
        if (sqlite3_memory_used() > n->sqlite_bytes)
            BROKEN("SQLite has %lld bytes left", (long long)sqlite3_memory_used());
        disk_free(n->disk);
    } else {
        image_light();
        node_end(n, false);
        disk_burn(n->disk);
    }
}

/* What is on its disk now is what each input finds. */
static inline void node_keep(struct node *n)
{
    const struct perche_bytes empty = {(const uint8_t *)"\x80", 1};
    struct disk_copy *copy;
    struct perche_batch *b = perche_batch_new();

    (void)perche_batch_decode(empty, b, NULL); /* what the wire keeps for its thread is no part of the image */
    perche_batch_free(b);
    node_end(n, false);
    copy = disk_copy(n->disk);
    disk_free(n->disk);
    n->sqlite_bytes = sqlite3_memory_used();
    n->now_ms = START_MS + 3600000;
    n->mono_ms = 1000;
    image_begin();
    node_disk(n);
    disk_put_back(n->disk, copy);
    node_open(n);
    (void)node_reader(n);
    node_check(n); /* its questions are parsed then */
    image_keep();
    disk_copy_free(copy);
    kept = *n;
}

static inline struct node *node_new(enum replica_role role)
{
    struct node *n = calloc(1, sizeof *n);

    image_of_sqlite();
    n->role = role;
    n->now_ms = START_MS;
    node_disk(n);
    node_open(n);
    return n;
}

/* ---- rows and values that an input chooses among ------------------------------- */

static const char *const the_tables[] = {"learner",   "learner_contact", "enrolment", "transfer",
                                         "site",      "organisation",    "cohort",    "attendance",
                                         "nowhere",   "perche_conflict", "half_day",  "code_list",
                                         "training",  "learner",         "learner",   "learner_contact"};
static const char *const the_columns[] = {
    "home_site_id", "call_name", "birth_date",   "sex",         "nir_seen", "erased_at", "learner_id",
    "cohort_id",    "site_id",   "exit_reason",  "kind",        "value",    "name",      "state",
    "to_site",      "from_site", "enrolment_id", "planned_end", "nothing",  "tab",       "key",
    "col",          "a_value",   "ine",          "restricted",  "mark"};

#define IDS_MAX 16u

/* The ids of an input: sites, learners and the like, all canonical UUIDs. */
static inline void id_text(uint32_t which, char out[37])
{
    (void)snprintf(out, 37, "01890000-0000-7000-8000-0000000000%02x", which % IDS_MAX);
}

struct words { /* what an input's messages borrow */
    char text[128][40];
    uint8_t key[64][PERCHE_KEY_BYTES_MAX];
    uint32_t texts, keys;
};

static inline const char *word_text(struct input *in, struct words *w, const char *const *sites,
                                    uint32_t sites_count)
{
    char *out = w->text[w->texts++ % 128];
    uint32_t c = in_below(in, 16);

    if (c < 6)
        return sites[in_below(in, sites_count)];
    if (c < 10)
        id_text(in_byte(in), out);
    else if (c < 12)
        (void)snprintf(out, 40, "v%u", in_byte(in));
    else if (c == 12)
        return "2015-05-04";
    else if (c == 13)
        return "ASKED";
    else
        return (const char *[]){"", "*", "TRANSFER", "F", "1"}[in_below(in, 5)];
    return out;
}

static inline struct perche_value word_value(struct input *in, struct words *w,
                                             const char *const *sites, uint32_t sites_count)
{
    uint32_t c = in_below(in, 8);
    const char *text;

    if (c == 0)
        return (struct perche_value){.type = PERCHE_NULL};
    if (c == 1)
        return (struct perche_value){.type = PERCHE_INTEGER, .i = (int64_t)in_number(in, 1)};
    if (c == 2)
        return (struct perche_value){.type = PERCHE_REAL, .r = in_byte(in) / 4.0};
    text = word_text(in, w, sites, sites_count);
    return (struct perche_value){.type = c == 3 ? PERCHE_BLOB : PERCHE_TEXT,
                                 .n = (uint32_t)strlen(text),
                                 .p = (const uint8_t *)text};
}

static inline struct perche_bytes word_key(struct input *in, struct words *w)
{
    uint8_t *key = w->key[w->keys++ % 64];
    uint32_t n = 16, c = in_below(in, 16);
    char text[37];

    if (c < 13) {
        id_text(in_byte(in), text);
        (void)perche_uuid_parse((const uint8_t *)text, 36, key);
    } else if (c < 15) {
        n = in_below(in, 40);
        in_bytes(in, key, n);
    } else {
        struct perche_value v[2] = {{.type = PERCHE_TEXT, .n = 3, .p = (const uint8_t *)"sex"},
                                    {.type = PERCHE_INTEGER, .i = in_byte(in)}};

        if (perche_key_encode(v, 2, key, &n) != PERCHE_OK)
            n = 0;
    }
    return (struct perche_bytes){key, n};
}

/* Rows as the school has them: a column, and what it holds. Without them no batch of bytes that mean nothing would be
 * more than refused. */
#define PLAUSIBLE_COLUMNS 8u

enum plausible_value { P_END, P_SITE, P_ANY_SITE, P_ID, P_WORD, P_DATE, P_NUMBER };

static const struct plausible {
    const char *table;
    struct {
        const char *name;
        enum plausible_value value;
    } columns[PLAUSIBLE_COLUMNS + 1];
} plausible[] = {
    {"learner", {{"home_site_id", P_SITE}, {"call_name", P_WORD}, {"birth_date", P_DATE}, {"sex", P_WORD}}},
    {"learner_contact", {{"learner_id", P_ID}, {"kind", P_WORD}, {"value", P_WORD}}},
    {"cohort", {{"site_id", P_SITE}, {"training_id", P_ID}, {"code", P_WORD}, {"starts_on", P_DATE}, {"ends_on", P_DATE},
                {"capacity", P_NUMBER}, {"mode", P_WORD}, {"status", P_WORD}}},
    {"enrolment", {{"learner_id", P_ID}, {"cohort_id", P_ID}, {"site_id", P_SITE}, {"planned_start", P_DATE},
                   {"planned_end", P_DATE}, {"exit_reason", P_WORD}}},
    {"transfer", {{"learner_id", P_ID}, {"enrolment_id", P_ID}, {"from_site", P_SITE}, {"to_site", P_ANY_SITE},
                  {"to_cohort_id", P_ID}, {"asked_on", P_DATE}, {"effective_on", P_DATE}, {"state", P_WORD}}},
    {"half_day", {{"cohort_id", P_ID}, {"day", P_DATE}, {"half", P_WORD}, {"mode", P_WORD}, {"minutes", P_NUMBER}}},
    {"attendance", {{"half_day_id", P_ID}, {"enrolment_id", P_ID}, {"mark", P_WORD}, {"minutes", P_NUMBER}, {"proof", P_WORD},
                    {"recorded_at", P_DATE}, {"recorded_site", P_SITE}, {"voids", P_ID}}},
    {"organisation", {{"name", P_WORD}, {"siret", P_WORD}}},
};

static inline struct perche_value plausible_value(struct input *in, struct words *w, enum plausible_value kind,
                                                  const char *const *sites, uint32_t sites_count)
{
    char *out = w->text[w->texts++ % 128];
    uint32_t c = in_below(in, 16);

    if (c == 15)
        return word_value(in, w, sites, sites_count);
    switch (kind) {
    case P_SITE: (void)snprintf(out, 40, "%s", sites[0]); break;
    case P_ANY_SITE: (void)snprintf(out, 40, "%s", sites[c % sites_count]); break;
    case P_ID: id_text(c, out); break;
    case P_DATE: (void)snprintf(out, 40, "2026-09-%02u", c + 1); break;
    case P_NUMBER: return (struct perche_value){.type = PERCHE_INTEGER, .i = c};
    default: (void)snprintf(out, 40, "w%u", c);
    }
    return (struct perche_value){.type = PERCHE_TEXT, .n = (uint32_t)strlen(out), .p = (const uint8_t *)out};
}

/* @by: whose cells they are mostly. */
static inline void word_plausible(struct input *in, struct words *w, const char *const *sites, uint32_t sites_count,
                                  uint32_t by, uint64_t now_ms, struct perche_batch *b)
{
    const struct plausible *p = &plausible[in_below(in, sizeof plausible / sizeof *plausible)];
    uint32_t columns = 0, rows = 1 + in_below(in, 3), part;
    const char *names[PLAUSIBLE_COLUMNS];

    for (; p->columns[columns].value != P_END; columns++)
        names[columns] = p->columns[columns].name;
    part = perche_batch_part(b, p->table, names, columns);
    for (uint32_t r = 0; part != UINT32_MAX && r < rows; r++) {
        struct perche_row *row = perche_batch_row(b, part, word_key(in, w));
        uint8_t how = in_byte(in); /* an insert; an edit; a deletion; again, after it */
        uint64_t stamp;

        if (row == NULL)
            break;
        row->gen = (how & 3) < 2 ? 1 : how & 3;
        row->flags = (how & 3) == 1 ? 0 : PERCHE_ROW_GEN;
        row->flags |= how & 4 ? 0 : PERCHE_ROW_WHOLE;
        row->flags |= (how & 24) == 24 ? PERCHE_ROW_PAIR : 0;
        row->scope = how & 32 ? in_below(in, b->names_count) : PERCHE_NO_SCOPE;
        stamp = in_number(in, now_ms) << 16 | in_byte(in);
        row->gen_stamp = stamp;
        row->gen_origin = (how & 192) == 192 ? in_below(in, b->names_count) : by;
        row->full = row->flags & PERCHE_ROW_PAIR ? in_number(in, 1) : 0;
        row->scan = row->flags & PERCHE_ROW_PAIR ? row->full + in_byte(in) : 0;
        for (uint32_t c = 0; c < columns && row->gen % 2 == 1; c++) {
            struct perche_value v;
            struct perche_cell *cell;
            uint8_t what = in_byte(in);

            if ((what & 7) == 7 || ((how & 3) == 1 && what & 1))
                continue;
            v = plausible_value(in, w, p->columns[c].value, sites, sites_count);
            cell = perche_batch_cell(b, part, (uint16_t)c, &v);
            if (cell == NULL)
                break;
            cell->stamp = stamp + (what >> 6);
            cell->origin = (what & 56) == 56 ? in_below(in, b->names_count) : by;
            if ((what & 56) == 48)
                (void)perche_batch_base(b, part, in_number(in, now_ms) << 16, in_below(in, b->names_count));
        }
    }
}

/* A batch of a few rows, said as an input likes; its bytes are appended to @out. */
static inline void word_batch(struct input *in, struct words *w, const char *const *sites, uint32_t sites_count,
                              uint32_t by, uint64_t now_ms, struct perche_batch *b, struct perche_buf *out)
{
    uint8_t first = in_byte(in);
    uint32_t parts = 1 + first % 3;

    perche_batch_clear(b);
    for (uint32_t i = 0; i < sites_count; i++)
        (void)perche_batch_name(b, sites[i]);
    (void)perche_batch_name(b, "*");
    (void)perche_batch_name(b, "");
    for (uint32_t p = 0; p < parts; p++) {
        const char *names[4];
        uint32_t from, columns, rows, part;

        if (first >= 128) {
            word_plausible(in, w, sites, sites_count, by, now_ms, b);
            continue;
        }
        from = in_below(in, 26);
        columns = in_below(in, 4);
        rows = in_below(in, 4);
        for (uint32_t c = 0; c < columns; c++)
            names[c] = the_columns[(from + c) % 26];
        part = perche_batch_part(b, the_tables[in_below(in, 16)], names, columns);
        for (uint32_t r = 0; part != UINT32_MAX && r < rows; r++) {
            struct perche_row *row = perche_batch_row(b, part, word_key(in, w));

            if (row == NULL)
                break;
            row->gen = (uint32_t)in_number(in, 1);
            row->flags = in_bit(in) ? PERCHE_ROW_GEN | PERCHE_ROW_WHOLE : in_byte(in) & 63;
            row->scope = in_bit(in) ? PERCHE_NO_SCOPE : in_below(in, b->names_count);
            if (row->gen == 0)
                row->gen = 1;
            row->gen_stamp = in_number(in, now_ms) << 16;
            row->gen_origin = in_below(in, b->names_count);
            row->full = in_number(in, 1);
            row->scan = in_number(in, 1);
            for (uint32_t c = 0; c < b->parts[part].columns_count; c++) {
                struct perche_value v;
                struct perche_cell *cell;

                if (in_below(in, 4) == 0)
                    continue;
                v = word_value(in, w, sites, sites_count);
                cell = perche_batch_cell(b, part, (uint16_t)c, &v);
                if (cell == NULL)
                    break;
                cell->stamp = in_number(in, now_ms) << 16 | in_byte(in);
                cell->origin = in_below(in, b->names_count);
                cell->flags = in_below(in, 8) == 0 ? PERCHE_CELL_FIXED : 0;
                if (in_below(in, 8) == 0)
                    (void)perche_batch_base(b, part, in_number(in, now_ms) << 16,
                                            in_below(in, b->names_count));
            }
        }
    }
    for (uint32_t i = 0, n = in_below(in, 8) == 0 ? in_below(in, 4) : 0; i < n; i++) {
        struct perche_notice notice = {.kind = (uint8_t)(1 + in_below(in, 3)),
                                       .lsn = in_number(in, 1),
                                       .table = the_tables[in_below(in, 16)],
                                       .key = word_key(in, w),
                                       .reason = "scope",
                                       .columns = in_bit(in) ? "" : the_columns[in_below(in, 26)]};

        (void)perche_batch_notice(b, &notice);
    }
    if (perche_batch_encode(b, 0, out, NULL) != PERCHE_OK)
        out->n = 0; /* it cannot be said */
    else if (in_rarely(in, 16) && out->n > 0) /* damaged on the way */
        out->p[in_u64(in) % out->n] ^= in_byte(in);
}

/* Through its bytes, as on the line. False: it does not decode, which a sender of any bytes may send. */
static inline bool word_line(const struct perche_message *m, struct input *in, struct perche_message *out,
                             uint64_t *bytes)
{
    struct perche_buf buf = {0};
    bool good;

    memset(out, 0, sizeof *out);
    if (perche_message_encode(m, &buf, NULL) != PERCHE_OK)
        buf.n = 0;
    if (in_rarely(in, 32) && buf.n > 0)
        buf.p[in_u64(in) % buf.n] ^= in_byte(in);
    *bytes = buf.n;
    good = buf.n > 0 && perche_message_decode((struct perche_bytes){buf.p, (uint32_t)buf.n}, out,
                                              NULL) == PERCHE_OK;
    perche_buf_free(&buf);
    return good;
}

/* What leaves has to fit on the line. */
static inline void sent(const struct perche_message *m)
{
    struct perche_buf buf = {0};

    if (perche_message_encode(m, &buf, NULL) != PERCHE_OK || buf.n > PERCHE_MESSAGE_BYTES_MAX)
        BROKEN("a message of op %u that cannot be sent", m->op);
    perche_buf_free(&buf);
}

#endif
