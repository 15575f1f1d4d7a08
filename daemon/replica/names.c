/* Interned texts: site ids and scopes (perche_name) and tables (perche_tab). A
 * number is this file's own and never travels. Numbers run from 1 without gaps,
 * so that a text is an array element away; a hash table finds a number. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "replica/tx.h"

struct name {
    char *text; /* NULL: a number that was never given */
    uint64_t hash;
};

struct interned {
    struct name *names; /* [num] */
    uint32_t count, cap; /* count: highest number + 1 */
    uint32_t *slots;     /* numbers, 0 = free; power of two, at most half full */
    uint32_t slots_count, used;
    struct name *passing; /* [num - NAME_PASSING] */
    uint32_t passing_count, passing_cap;
    sqlite3_stmt *insert, *by_text, *by_num;
};

struct names {
    struct interned texts, tabs;
};

static struct name *at(const struct interned *t, uint32_t num)
{
    if (num >= NAME_PASSING)
        return num - NAME_PASSING < t->passing_count ? &t->passing[num - NAME_PASSING] : NULL;
    return num < t->count && t->names[num].text != NULL ? &t->names[num] : NULL;
}

static void place(struct interned *t, uint32_t num, uint64_t hash)
{
    uint32_t mask = t->slots_count - 1, i = (uint32_t)hash & mask;

    while (t->slots[i] != 0)
        i = (i + 1) & mask;
    t->slots[i] = num;
    t->used++;
}

/* Makes the hash table anew, with @count slots (a power of two). */
static bool rehash(struct interned *t, uint32_t count)
{
    uint32_t *slots = calloc(count, sizeof *slots);

    if (slots == NULL)
        return false;
    free(t->slots);
    t->slots = slots;
    t->slots_count = count;
    t->used = 0;
    for (uint32_t num = 1; num < t->count; num++)
        if (t->names[num].text != NULL)
            place(t, num, t->names[num].hash);
    for (uint32_t i = 0; i < t->passing_count; i++)
        place(t, NAME_PASSING + i, t->passing[i].hash);
    return true;
}

static uint32_t look_up(const struct interned *t, const char *text, uint64_t hash)
{
    uint32_t mask = t->slots_count - 1;

    for (uint32_t i = (uint32_t)hash & mask; t->slots[i] != 0; i = (i + 1) & mask) {
        const struct name *n = at(t, t->slots[i]);

        if (n->hash == hash && strcmp(n->text, text) == 0)
            return t->slots[i];
    }
    return 0;
}

static bool grow(struct name **names, uint32_t *cap, uint32_t need)
{
    uint32_t n = *cap == 0 ? 64 : *cap;
    struct name *p;

    while (n < need)
        n *= 2;
    if (n == *cap)
        return true;
    p = realloc(*names, n * sizeof *p);
    if (p == NULL)
        return false;
    memset(p + *cap, 0, (n - *cap) * sizeof *p);
    *names = p;
    *cap = n;
    return true;
}

/* Keeps a copy of @text under @num, which is not in use. */
static enum perche_rc keep(struct replica *r, struct interned *t, uint32_t num, const char *text, uint64_t hash)
{
    bool passing = num >= NAME_PASSING;
    uint32_t i = passing ? num - NAME_PASSING : num;
    char *copy = strdup(text);

    if (copy == NULL || ((t->used + 1) * 2 > t->slots_count && !rehash(t, t->slots_count * 2)))
        goto fail;
    if (!(passing ? grow(&t->passing, &t->passing_cap, i + 1) : grow(&t->names, &t->cap, i + 1)))
        goto fail;
    if (passing) {
        t->passing[i] = (struct name){copy, hash};
        t->passing_count = i + 1;
    } else {
        t->names[i] = (struct name){copy, hash};
        if (t->count <= i)
            t->count = i + 1;
    }
    place(t, num, hash);
    return PERCHE_OK;

fail:
    free(copy);
    return fail(r, PERCHE_NOMEM, "no memory for a name");
}

static void cut(struct interned *t, uint32_t count)
{
    if (count >= t->count)
        return;
    for (uint32_t num = count; num < t->count; num++) {
        free(t->names[num].text);
        t->names[num].text = NULL;
    }
    t->count = count;
    memset(t->slots, 0, t->slots_count * sizeof *t->slots);
    t->used = 0;
    for (uint32_t num = 1; num < t->count; num++)
        if (t->names[num].text != NULL)
            place(t, num, t->names[num].hash);
    for (uint32_t i = 0; i < t->passing_count; i++)
        place(t, NAME_PASSING + i, t->passing[i].hash);
}

static void drop_passing(struct interned *t)
{
    uint32_t n = t->passing_count;

    if (n == 0)
        return;
    for (uint32_t i = 0; i < n; i++)
        free(t->passing[i].text);
    t->passing_count = 0;
    memset(t->slots, 0, t->slots_count * sizeof *t->slots);
    t->used = 0;
    for (uint32_t num = 1; num < t->count; num++)
        if (t->names[num].text != NULL)
            place(t, num, t->names[num].hash);
}

static void close_interned(struct interned *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        free(t->names[i].text);
    for (uint32_t i = 0; i < t->passing_count; i++)
        free(t->passing[i].text);
    free(t->names);
    free(t->passing);
    free(t->slots);
    (void)sqlite3_finalize(t->insert); /* its error was seen by the step */
    (void)sqlite3_finalize(t->by_text);
    (void)sqlite3_finalize(t->by_num);
}

static enum perche_rc load(struct replica *r, struct interned *t, const char *all)
{
    sqlite3_stmt *s = prepare(r, all);
    int rc;

    if (s == NULL)
        return r->fail;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW && r->fail == PERCHE_OK) {
        int64_t num = sqlite3_column_int64(s, 0);
        const char *text = (const char *)sqlite3_column_text(s, 1);

        if (num < 1 || num >= NAME_PASSING || text == NULL)
            (void)fail(r, PERCHE_CORRUPT, "interned names are damaged: put a backup back");
        else
            (void)keep(r, t, (uint32_t)num, text, XXH3_64bits(text, strlen(text)));
    }
    if (rc != SQLITE_DONE && r->fail == PERCHE_OK)
        (void)fail_sqlite(r, rc, "interned names");
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return r->fail;
}

enum perche_rc names_open(struct replica *r)
{
    r->names = calloc(1, sizeof *r->names);
    if (r->names == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for the names");
    r->names->texts.count = r->names->tabs.count = 1;
    if (!grow(&r->names->texts.names, &r->names->texts.cap, 1) || !grow(&r->names->tabs.names, &r->names->tabs.cap, 1) ||
        !rehash(&r->names->texts, 256) || !rehash(&r->names->tabs, 256))
        return fail(r, PERCHE_NOMEM, "no memory for the names");
    if (load(r, &r->names->texts, "SELECT num, text FROM perche_name") != PERCHE_OK)
        return r->fail;
    return load(r, &r->names->tabs, "SELECT num, name FROM perche_tab");
}

void names_free(struct replica *r)
{
    if (r->names == NULL)
        return;
    close_interned(&r->names->texts);
    close_interned(&r->names->tabs);
    free(r->names);
    r->names = NULL;
}

void names_begin(struct replica *r)
{
    if (!r->reader)
        return;
    drop_passing(&r->names->texts);
    drop_passing(&r->names->tabs);
}

uint64_t names_mark(const struct replica *r)
{
    return r->names->texts.count | (uint64_t)r->names->tabs.count << 32;
}

void names_cut(struct replica *r, uint64_t mark)
{
    cut(&r->names->texts, (uint32_t)mark);
    cut(&r->names->tabs, (uint32_t)(mark >> 32));
}

/* Steps a look-up and keeps what it finds: 1 = *num, 0 = none, -1 = failed. */
static int find(struct replica *r, struct interned *t, sqlite3_stmt *s, uint32_t *num)
{
    int rc = sqlite3_step(s), found = 0;

    if (rc == SQLITE_ROW) {
        int64_t n = sqlite3_column_int64(s, 0);
        const char *text = (const char *)sqlite3_column_text(s, 1);

        found = -1;
        if (n < 1 || n >= NAME_PASSING || text == NULL)
            (void)fail(r, PERCHE_CORRUPT, "interned names are damaged: put a backup back");
        else if (keep(r, t, (uint32_t)n, text, XXH3_64bits(text, strlen(text))) == PERCHE_OK)
            found = 1;
        *num = (uint32_t)n;
    } else if (rc != SQLITE_DONE) {
        (void)fail_sqlite(r, rc, "interned names");
        found = -1;
    }
    (void)sqlite3_reset(s); /* repeats the step's error */
    return found;
}

struct texts {
    const char *insert, *by_text, *by_num;
};

static const struct texts text_sql = {
    "INSERT INTO perche_name (num, text) VALUES (?1, ?2)",
    "SELECT num, text FROM perche_name WHERE text = ?1",
    "SELECT num, text FROM perche_name WHERE num = ?1",
};
static const struct texts tab_sql = {
    "INSERT INTO perche_tab (num, name) VALUES (?1, ?2)",
    "SELECT num, name FROM perche_tab WHERE name = ?1",
    "SELECT num, name FROM perche_tab WHERE num = ?1",
};

static sqlite3_stmt *made(struct replica *r, sqlite3_stmt **s, const char *text)
{
    if (*s == NULL)
        *s = prepare(r, text);
    return *s;
}

static uint32_t number(struct replica *r, struct interned *t, const struct texts *texts, const char *text)
{
    uint64_t hash = XXH3_64bits(text, strlen(text));
    uint32_t num = look_up(t, text, hash);
    sqlite3_stmt *s;
    int rc;

    if (num != 0)
        return num;
    if (r->reader) { /* the writer may have given it a number since */
        s = made(r, &t->by_text, texts->by_text);
        if (s == NULL)
            return 0;
        (void)sqlite3_bind_text(s, 1, text, -1, SQLITE_STATIC); /* a failed bind finds nothing */
        rc = find(r, t, s, &num);
        if (rc != 0)
            return rc == 1 ? num : 0;
        num = NAME_PASSING + t->passing_count;
        return keep(r, t, num, text, hash) == PERCHE_OK ? num : 0;
    }
    num = t->count;
    if (num >= NAME_PASSING) {
        (void)fail(r, PERCHE_TOO_LARGE, "too many names");
        return 0;
    }
    s = made(r, &t->insert, texts->insert);
    if (s == NULL)
        return 0;
    (void)sqlite3_bind_int64(s, 1, num); /* a failed bind shows in the step */
    (void)sqlite3_bind_text(s, 2, text, -1, SQLITE_STATIC);
    rc = tx_stands(r) == PERCHE_OK ? sqlite3_step(s) : SQLITE_ABORT;
    if (rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, "interned names");
    (void)sqlite3_reset(s); /* repeats the step's error */
    if (rc != SQLITE_DONE || keep(r, t, num, text, hash) != PERCHE_OK)
        return 0;
    return num;
}

static const struct name *named(struct replica *r, struct interned *t, const struct texts *texts, uint32_t num)
{
    const struct name *n = at(t, num);
    sqlite3_stmt *s;
    uint32_t found;

    if (n != NULL || !r->reader || num == 0 || num >= NAME_PASSING)
        return n;
    s = made(r, &t->by_num, texts->by_num);
    if (s == NULL)
        return NULL;
    (void)sqlite3_bind_int64(s, 1, num); /* a failed bind finds nothing */
    return find(r, t, s, &found) == 1 ? at(t, num) : NULL;
}

uint32_t name_number(struct replica *r, const char *text)
{
    return number(r, &r->names->texts, &text_sql, text);
}

const char *name_text(struct replica *r, uint32_t num)
{
    const struct name *n = named(r, &r->names->texts, &text_sql, num);

    return n != NULL ? n->text : NULL;
}

uint64_t name_hash(struct replica *r, uint32_t num)
{
    const struct name *n = named(r, &r->names->texts, &text_sql, num);

    return n != NULL ? n->hash : 0;
}

uint32_t tab_number(struct replica *r, const char *table)
{
    return number(r, &r->names->tabs, &tab_sql, table);
}

const char *tab_name(struct replica *r, uint32_t num)
{
    const struct name *n = named(r, &r->names->tabs, &tab_sql, num);

    return n != NULL ? n->text : NULL;
}
