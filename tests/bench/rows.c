#include <stdio.h>
#include <string.h>

#include "bench.h"

/* 40 given names, 74,000 family names from syllables, 8 random digits of phone, a mail of name and number. */
static const char *const given[40] = {
    "Camille", "Lucas", "Emma", "Louis", "Chloé", "Hugo", "Léa", "Jules", "Manon", "Gabriel", "Inès", "Arthur", "Jade", "Raphaël",
    "Louise", "Adam", "Alice", "Paul", "Lina", "Nathan", "Rose", "Maël", "Anna", "Tom", "Mila", "Noah", "Julia", "Léo", "Sarah",
    "Ethan", "Zoé", "Théo", "Eva", "Sacha", "Nina", "Victor", "Clara", "Simon", "Lucie", "Antoine"};
static const char *const first[42] = {"Ma", "Le", "Du", "Ro", "Ber", "Gi", "Fon", "Cha", "Bou", "Mo", "La", "Per", "Gar", "Da", "Ri",
                                      "Vi", "Fa", "Gau", "Hen", "Jo", "Ke", "Lam", "Mer", "No", "Oli", "Pi", "Qui", "Re", "Sau", "Ta",
                                      "Ur", "Va", "We", "Xa", "Ya", "Ze", "Bre", "Cor", "Del", "Fle", "Gre", "Hu"};
static const char *const middle[42] = {"r", "na", "li", "che", "ti", "mo", "ra", "del", "ne", "bo", "ca", "du", "ge", "ha", "i", "jo", "ki",
                                       "lo", "ma", "ni", "o", "pa", "que", "ro", "sa", "ta", "u", "va", "wi", "xo", "ye", "za", "bi",
                                       "co", "de", "fe", "gu", "he", "il", "ju", "ka", "lu"};
static const char *const last[42] = {"tin", "roy", "pont", "bert", "nard", "rard", "taine", "valier", "cher", "reau", "fevre", "rin", "nier",
                                     "vid", "chard", "dal", "bre", "thier", "ry", "ly", "lec", "bert", "cier", "el", "vier", "card", "not",
                                     "naud", "vage", "lon", "bain", "let", "ber", "vier", "nes", "ller", "ton", "mier", "mas", "chet",
                                     "goire", "guet"};
static const char *const status[5] = {"ACTIVE", "ENROLLED", "COMPLETED", "DROPPED_OUT", "SUSPENDED"};
static const char *const domain[4] = {"example.org", "example.com", "example.net", "mail.example"};

static uint64_t draw(struct bench_rows *g) /* splitmix64 (Steele, Lea, Flood 2014) */
{
    uint64_t z = g->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void rows_start(struct bench_rows *g, uint64_t seed, const char *site)
{
    *g = (struct bench_rows){.state = seed, .site = site};
}

void rows_next(struct bench_rows *g, struct bench_row *out)
{
    uint64_t ms = UINT64_C(1790000000000) + g->n / 3, r = draw(g), q = draw(g), f = draw(g) % 74000;
    uint64_t s = UINT64_C(1790000000) + g->n * 7 + r % 7;
    char family[48];

    g->n++;
    (void)snprintf(family, sizeof family, "%s%s%s", first[f % 42], middle[f / 42 % 42], last[f / 1764 % 42]);
    (void)snprintf(out->text[0], 64, "%08x-%04x-7%03x-%04x-%012llx", (unsigned)(ms >> 16), (unsigned)(ms & 0xffff), (unsigned)(r & 0xfff),
                   (unsigned)(0x8000 | (r >> 12 & 0x3fff)), (unsigned long long)(q & 0xffffffffffff));
    (void)snprintf(out->text[1], 64, "%s", given[(r >> 26) % 40]);
    (void)snprintf(out->text[2], 64, "%s", family);
    (void)snprintf(out->text[3], 64, "%04u-%02u-%02u", 1962 + (unsigned)(q >> 48) % 46, 1 + (unsigned)(r >> 32) % 12, 1 + (unsigned)(r >> 40) % 28);
    (void)snprintf(out->text[4], 64, "%s%u@%s", family, (unsigned)(r >> 48) % 1000, domain[(r >> 58) % 4]);
    (void)snprintf(out->text[5], 64, "06%08u", (unsigned)(draw(g) % 100000000));
    (void)snprintf(out->text[6], 64, "%s", status[(q >> 56) % 5]);
    (void)snprintf(out->text[7], 64, "%s", g->site);
    (void)snprintf(out->text[8], 64, "2026-%02u-%02uT%02u:%02u:%02uZ", 1 + (unsigned)(s / 2419200 % 12), 1 + (unsigned)(s / 86400 % 28),
                   (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
}

sqlite3 *db_open(const char *path)
{
    sqlite3 *db;

    if (sqlite3_open(path, &db) != SQLITE_OK)
        die("%s: %s", path, sqlite3_errmsg(db));
    (void)sqlite3_busy_timeout(db, 5000);
    db_run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000");
    return db;
}

void db_run(sqlite3 *db, const char *sql)
{
    char *err = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &err) != SQLITE_OK)
        die("%s: %s", sql, err);
}

int64_t db_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s;
    int64_t n;

    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW)
        die("%s: %s", sql, sqlite3_errmsg(db));
    n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

double rows_insert(sqlite3 *db, struct bench_rows *g, uint64_t n, uint32_t batch)
{
    static struct bench_row made[1000];
    sqlite3_stmt *s;
    double spent = 0;

    if (batch > 1000 || sqlite3_prepare_v2(db, "INSERT INTO bench VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)", -1, &s, NULL) != SQLITE_OK)
        die("insert: %s", sqlite3_errmsg(db));
    for (uint64_t at = 0; at < n; at += batch) {
        uint32_t count = n - at < batch ? (uint32_t)(n - at) : batch;
        double start;

        for (uint32_t i = 0; i < count; i++)
            rows_next(g, &made[i]); /* not part of what is timed */
        start = now_s();
        db_run(db, "BEGIN IMMEDIATE");
        for (uint32_t i = 0; i < count; i++) {
            for (int c = 0; c < BENCH_COLUMNS; c++)
                sqlite3_bind_text(s, c + 1, made[i].text[c], -1, SQLITE_STATIC);
            if (sqlite3_step(s) != SQLITE_DONE)
                die("insert: %s", sqlite3_errmsg(db));
            sqlite3_reset(s);
        }
        db_run(db, "COMMIT");
        spent += now_s() - start;
    }
    sqlite3_finalize(s);
    return spent;
}
