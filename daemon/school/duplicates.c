/* Two registrations of one person. The rule is that of the State's own matching: birth
 * name, first name, sex and year of birth; then the day; then the commune; beside it a
 * use name for a birth name, names that were swapped, double names, the same telephone
 * or e-mail, the same identifier. Twins and people of one name score high as well: nothing is
 * merged by itself, and no id is ever rewritten.
 *
 * Not everybody is compared with everybody: pairs come from people who share a day of
 * birth, a name, a contact or an identifier. */
#include "school/duplicates.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/ask.h"
#include "replica/statements.h"

#define PAIRS_MAX 5000u /* that are kept for a person: who has decided these is shown others */
#define ALIKE_MAX 100u /* people who share one thing; with more of them it tells nothing */
#define NAME_MAX_BYTES 128u

/* ---- names ----------------------------------------------------------------------- */

/* What U+00C0 to U+017F are without accents, two bytes each; ".." is no letter. */
static const char plain[] =
    "a.a.a.a.a.a.aec.e.e.e.e.i.i.i.i.d.n.o.o.o.o.o...o.u.u.u.u.y.thss" /* À to ß */
    "a.a.a.a.a.a.aec.e.e.e.e.i.i.i.i.d.n.o.o.o.o.o...o.u.u.u.u.y.thy." /* à to ÿ */
    "a.a.a.a.a.a.c.c.c.c.c.c.c.c.d.d.d.d.e.e.e.e.e.e.e.e.e.e.g.g.g.g." /* Ā to ğ */
    "g.g.g.g.h.h.h.h.i.i.i.i.i.i.i.i.i.i.ijijj.j.k.k.k.l.l.l.l.l.l.l." /* Ġ to Ŀ */
    "l.l.l.n.n.n.n.n.n.n.n.n.o.o.o.o.o.o.oeoer.r.r.r.r.r.s.s.s.s.s.s." /* ŀ to ş */
    "s.s.t.t.t.t.t.t.u.u.u.u.u.u.u.u.u.u.u.u.w.w.y.y.y.z.z.z.z.z.z.s."; /* Š to ſ */

/* The letters at *text, "" for anything else; moves on. */
static void letters_of(const char **text, char out[3])
{
    const unsigned char *p = (const unsigned char *)*text;

    out[0] = out[1] = out[2] = '\0';
    if (*p < 0x80) {
        if (isalpha(*p))
            out[0] = (char)tolower(*p);
        *text += 1;
    } else if (*p >= 0xC3 && *p <= 0xC5 && (p[1] & 0xC0) == 0x80) {
        const char *two = &plain[2 * ((((unsigned)*p & 0x1F) << 6 | (p[1] & 0x3F)) - 0xC0)];

        for (int i = 0, n = 0; i < 2; i++)
            if (two[i] != '.')
                out[n++] = two[i];
        *text += 2;
    } else { /* another alphabet: as it is, byte for byte */
        out[0] = (char)*p;
        *text += 1;
    }
}

static size_t fold_until(const char *text, const char *ends, bool figures, char *out, size_t size)
{
    size_t n = 0;

    while (*text != '\0' && !(n > 0 && strchr(ends, *text) != NULL)) {
        char letters[3] = {*text, '\0'};

        if (figures && isdigit((unsigned char)*text))
            text++;
        else
            letters_of(&text, letters);
        for (char *p = letters; *p != '\0' && n + 1 < size; p++)
            out[n++] = *p;
    }
    if (size > 0)
        out[n] = '\0';
    return n;
}

size_t duplicates_fold(const char *text, char *out, size_t size)
{
    return fold_until(text, "", false, out, size);
}

size_t duplicates_fold_figures(const char *text, char *out, size_t size)
{
    return fold_until(text, "", true, out, size);
}

size_t duplicates_first(const char *text, char *out, size_t size)
{
    return fold_until(text, " -,", false, out, size);
}

/* ---- the score ---------------------------------------------------------------------- */

static bool known(const char *text)
{
    return text[0] != '\0' && strcmp(text, "U") != 0;
}

static bool same(const char *a, const char *b)
{
    return known(a) && strcmp(a, b) == 0;
}

/* "legoffmartin" has "martin" in it: a name of two, of which one is given here and both there. */
static bool part_of(const char *a, const char *b)
{
    return (strlen(a) >= 4 && strstr(b, a) != NULL) || (strlen(b) >= 4 && strstr(a, b) != NULL);
}

static int family_score(const struct duplicates_person *a, const struct duplicates_person *b)
{
    if (same(a->birth_name, b->birth_name) || same(a->birth_name, b->use_name) || same(a->use_name, b->birth_name) || same(a->use_name, b->use_name))
        return 40;
    return part_of(a->birth_name, b->birth_name) || part_of(a->birth_name, b->use_name) || part_of(a->use_name, b->birth_name) || part_of(a->use_name, b->use_name)
               ? 25
               : 0;
}

static int given_score(const struct duplicates_person *a, const struct duplicates_person *b)
{
    if (same(a->given, b->given) || same(a->first, b->first))
        return 30;
    return part_of(a->given, b->given) ? 20 : 0;
}

int duplicates_score(const struct duplicates_person *a, const struct duplicates_person *b, bool contact)
{
    int family = family_score(a, b), given = given_score(a, b), score;
    bool swapped = (same(a->birth_name, b->first) || same(a->birth_name, b->given)) && (same(b->birth_name, a->first) || same(b->birth_name, a->given));

    if (same(a->identifier, b->identifier))
        return 100;
    if (known(a->born) && known(b->born) && strncmp(a->born, b->born, 4) != 0)
        return 0;
    if (!swapped && (family == 0 || given == 0)) /* twins, and two people of one house */
        return 0;
    score = swapped ? 60 : family + given;
    score += same(a->sex, b->sex) ? 10 : known(a->sex) && known(b->sex) ? -10 : 0;
    score += known(a->born) && known(b->born) ? 10 : 0; /* the year */
    score += same(a->born, b->born) ? 10 : known(a->born) && known(b->born) ? -15 : 0; /* the day: mistyped, or another's */
    score += same(a->commune, b->commune) ? 5 : 0;
    return score + (contact ? 30 : 0);
}

/* ---- somebody who is here already ------------------------------------------------------ */

struct folded {
    char birth_name[NAME_MAX_BYTES], use_name[NAME_MAX_BYTES], given[NAME_MAX_BYTES];
};

static struct folded folded_of(const struct duplicates_names *n)
{
    struct folded f;

    (void)duplicates_fold(n->birth_name, f.birth_name, sizeof f.birth_name);
    (void)duplicates_fold(n->use_name, f.use_name, sizeof f.use_name);
    (void)duplicates_fold(*n->given != '\0' ? n->given : n->call_name, f.given, sizeof f.given);
    return f;
}

/* "aurelie" and "aureliejeanne" are; "jeanpaul" and "jeanmarie", who may be twins, are not. */
static bool one_begins_the_other(const char *a, const char *b)
{
    size_t n = strlen(a), k = strlen(b);

    return n > 0 && k > 0 && strncmp(a, b, n < k ? n : k) == 0;
}

static bool same_names(const struct folded *a, const struct folded *b)
{
    return (same(a->birth_name, b->birth_name) || same(a->birth_name, b->use_name) || same(a->use_name, b->birth_name) || same(a->use_name, b->use_name)) &&
           one_begins_the_other(a->given, b->given);
}

enum perche_rc duplicates_here(struct replica *r, const struct duplicates_names *who, char id[PERCHE_ID_BYTES_MAX])
{
    struct folded wanted = folded_of(who);
    sqlite3_stmt *s;

    *id = '\0';
    if (*who->born == '\0')
        return PERCHE_OK;
    s = ask(r, "SELECT id, coalesce(birth_family_name, ''), coalesce(use_family_name, ''), coalesce(given_names, ''), coalesce(call_name, '') FROM learner"
               " WHERE birth_date = ?1 AND erased_at IS NULL AND restricted = 0 ORDER BY id");
    ask_bind_text(s, 1, who->born);
    while (*id == '\0' && ask_row(r, s, "look for a learner who is here")) {
        const struct duplicates_names names = {ask_text(s, 1), ask_text(s, 2), ask_text(s, 3), ask_text(s, 4), ""};
        struct folded one = folded_of(&names);

        if (same_names(&wanted, &one))
            (void)snprintf(id, PERCHE_ID_BYTES_MAX, "%s", ask_text(s, 0));
    }
    sqlite3_finalize(s);
    return r->fail;
}

/* ---- who shares something ------------------------------------------------------------- */

struct person {
    char *id, *text[8]; /* owned; the fields of duplicates_person in their order */
};

/* Something that a person has: a hash of it, and whose it is. */
struct trait {
    uint64_t hash;
    uint32_t person;
    bool contact;
};

struct people {
    struct replica *r;
    struct person *all;
    uint32_t count, cap;
    struct trait *traits;
    size_t traits_count, traits_cap;
    uint32_t pairs;
};

static void people_free(struct people *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        free(p->all[i].id);
        for (int k = 0; k < 8; k++)
            free(p->all[i].text[k]);
    }
    free(p->all);
    free(p->traits);
}

static struct duplicates_person view(const struct person *p)
{
    return (struct duplicates_person){p->text[0], p->text[1], p->text[2], p->text[3], p->text[4], p->text[5], p->text[6], p->text[7]};
}

static uint64_t hashed(const char *kind, const char *a, const char *b)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */
    const char *const parts[] = {kind, a, b};

    for (int i = 0; i < 3; i++)
        for (const char *p = parts[i];; p++) {
            h = (h ^ (unsigned char)*p) * UINT64_C(1099511628211);
            if (*p == '\0')
                break;
        }
    return h;
}

static enum perche_rc has(struct people *p, uint32_t person, const char *kind, const char *a, const char *b)
{
    if (p->traits_count == p->traits_cap) {
        size_t cap = p->traits_cap * 2 + 1024;
        struct trait *more = realloc(p->traits, cap * sizeof *more);

        if (more == NULL)
            return fail(p->r, PERCHE_NOMEM, "no memory to compare learners");
        p->traits = more;
        p->traits_cap = cap;
    }
    p->traits[p->traits_count++] = (struct trait){hashed(kind, a, b), person, strcmp(kind, "contact") == 0};
    return PERCHE_OK;
}

static enum perche_rc add_person(struct people *p, sqlite3_stmt *s)
{
    char birth[NAME_MAX_BYTES], use[NAME_MAX_BYTES], given[NAME_MAX_BYTES], first[NAME_MAX_BYTES];
    uint32_t n = p->count;
    struct person *one;

    if (p->count == p->cap) {
        uint32_t cap = p->cap * 2 + 256;
        struct person *more = realloc(p->all, cap * sizeof *more);

        if (more == NULL)
            return fail(p->r, PERCHE_NOMEM, "no memory to compare learners");
        p->all = more;
        p->cap = cap;
    }
    one = &p->all[p->count++];
    memset(one, 0, sizeof *one);
    (void)duplicates_fold(ask_text(s, 1), birth, sizeof birth);
    (void)duplicates_fold(ask_text(s, 2), use, sizeof use);
    (void)duplicates_fold(ask_text(s, 3), given, sizeof given);
    (void)duplicates_first(ask_text(s, 3), first, sizeof first);
    one->id = strdup(ask_text(s, 0));
    {
        const char *const texts[8] = {birth, use, given, first, ask_text(s, 4), ask_text(s, 5), ask_text(s, 6), ask_text(s, 7)};
        bool all = one->id != NULL;

        for (int k = 0; k < 8; k++)
            all &= (one->text[k] = strdup(texts[k])) != NULL;
        if (!all)
            return fail(p->r, PERCHE_NOMEM, "no memory to compare learners");
    }
    if (known(one->text[7]) && has(p, n, "identifier", one->text[7], "") != PERCHE_OK)
        return p->r->fail;
    if (known(one->text[4]) && has(p, n, "born", one->text[4], "") != PERCHE_OK)
        return p->r->fail;
    if (*birth != '\0' && *first != '\0' && (has(p, n, "name", birth, first) != PERCHE_OK || has(p, n, "name", first, birth) != PERCHE_OK))
        return p->r->fail;
    if (*use != '\0' && *first != '\0')
        (void)has(p, n, "name", use, first);
    return p->r->fail;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct person *)a)->id, ((const struct person *)b)->id);
}

/* A telephone number by its digits, the country's 33 or a first 0 off; an e-mail in small letters. */
static void contact_text(const char *kind, const char *value, char *out, size_t size)
{
    size_t n = 0;
    bool phone = strcmp(kind, "PHONE") == 0;

    for (const char *p = value; *p != '\0' && n + 1 < size; p++)
        if (phone ? isdigit((unsigned char)*p) : !isspace((unsigned char)*p))
            out[n++] = (char)tolower((unsigned char)*p);
    out[n] = '\0';
    if (phone && strncmp(out, "0033", 4) == 0)
        memmove(out, out + 4, n - 3);
    else if (phone && strncmp(out, "33", 2) == 0 && n == 11)
        memmove(out, out + 2, n - 1);
    else if (phone && out[0] == '0')
        memmove(out, out + 1, n);
}

static enum perche_rc read_people(struct people *p)
{
    sqlite3_stmt *s = ask(p->r, "SELECT id, coalesce(birth_family_name, ''), coalesce(use_family_name, ''), coalesce(nullif(given_names, ''), call_name, ''),"
                                " coalesce(birth_date, ''), coalesce(sex, ''), coalesce(birth_commune_insee, ''), coalesce(ft_identifier, '') FROM learner"
                                " WHERE erased_at IS NULL AND restricted = 0 ORDER BY id");

    while (ask_row(p->r, s, "read the learners") && add_person(p, s) == PERCHE_OK)
        ;
    sqlite3_finalize(s);
    s = p->r->fail == PERCHE_OK ? ask(p->r, "SELECT learner_id, kind, value FROM learner_contact WHERE kind IN ('PHONE', 'EMAIL') AND value <> ''") : NULL;
    while (ask_row(p->r, s, "read the contacts")) {
        const struct person key = {.id = (char *)(uintptr_t)ask_text(s, 0)};
        const struct person *found = p->count > 0 ? bsearch(&key, p->all, p->count, sizeof *p->all, by_id) : NULL;
        char value[NAME_MAX_BYTES];

        if (found == NULL)
            continue;
        contact_text(ask_text(s, 1), ask_text(s, 2), value, sizeof value);
        if (strlen(value) >= 5 && has(p, (uint32_t)(found - p->all), "contact", value, "") != PERCHE_OK)
            break;
    }
    sqlite3_finalize(s);
    return p->r->fail;
}

static int by_hash(const void *a, const void *b)
{
    const struct trait *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->person < y->person ? -1 : x->person > y->person;
}

/* ---- the table --------------------------------------------------------------------------- */

static enum perche_rc keep_pair(struct people *p, sqlite3_stmt *put, uint32_t a, uint32_t b, bool contact)
{
    struct duplicates_person x = view(&p->all[a]), y = view(&p->all[b]);
    int score = duplicates_score(&x, &y, contact);

    if (score < DUPLICATES_ASK || p->pairs == PAIRS_MAX)
        return PERCHE_OK;
    p->pairs++;
    ask_bind_text(put, 1, p->all[a].id); /* a < b, and the people are in order of their ids */
    ask_bind_text(put, 2, p->all[b].id);
    ask_bind_text(put, 3, same(x.identifier, y.identifier) ? "IDENTIFIER" : contact ? "NAME_CONTACT" : "NAME_BIRTH");
    (void)sqlite3_bind_int(put, 4, score); /* a failed bind shows in the step: NOT NULL */
    return sql_run(p->r, put, "note two learners who may be one");
}

static enum perche_rc pairs(struct people *p, sqlite3_stmt *put)
{
    if (p->traits_count > 0)
        qsort(p->traits, p->traits_count, sizeof *p->traits, by_hash);
    for (size_t from = 0, to; from < p->traits_count && p->r->fail == PERCHE_OK; from = to) {
        for (to = from + 1; to < p->traits_count && p->traits[to].hash == p->traits[from].hash;)
            to++;
        if (to - from > ALIKE_MAX)
            continue;
        for (size_t i = from; i < to; i++)
            for (size_t k = i + 1; k < to && p->r->fail == PERCHE_OK; k++)
                if (p->traits[i].person != p->traits[k].person)
                    (void)keep_pair(p, put, p->traits[i].person, p->traits[k].person, p->traits[i].contact);
    }
    return p->r->fail;
}

/* A pair is found anew each time; what stands in the table and is found no longer goes, unless somebody has linked it. */
static const char settle[] =
    "DELETE FROM duplicate_candidate WHERE (learner_a, learner_b) NOT IN (SELECT learner_a, learner_b FROM temp.school_pair)"
    " AND (learner_a, learner_b) NOT IN (SELECT min(learner_a, learner_b), max(learner_a, learner_b) FROM learner_link);"
    "UPDATE duplicate_candidate SET rule = f.rule, score = f.score FROM temp.school_pair f"
    " WHERE f.learner_a = duplicate_candidate.learner_a AND f.learner_b = duplicate_candidate.learner_b AND (f.rule, f.score) IS NOT (duplicate_candidate.rule, duplicate_candidate.score);"
    "INSERT INTO duplicate_candidate (learner_a, learner_b, rule, score, state) SELECT f.learner_a, f.learner_b, f.rule, f.score, 'OPEN' FROM temp.school_pair f"
    " WHERE (f.learner_a, f.learner_b) NOT IN (SELECT learner_a, learner_b FROM duplicate_candidate);"
    /* what a person has said last of the pair */
    "WITH said(a, b, decision, nth) AS MATERIALIZED (SELECT min(learner_a, learner_b), max(learner_a, learner_b), decision,"
    "  row_number() OVER (PARTITION BY min(learner_a, learner_b), max(learner_a, learner_b) ORDER BY decided_at DESC, id DESC) FROM learner_link)"
    " UPDATE duplicate_candidate SET state = s.state FROM (SELECT c.id, coalesce(nullif(l.decision, 'UNDO'), 'OPEN') AS state FROM duplicate_candidate c"
    "  LEFT JOIN said l ON l.a = c.learner_a AND l.b = c.learner_b AND l.nth = 1) s WHERE s.id = duplicate_candidate.id AND s.state <> duplicate_candidate.state;"
    "DELETE FROM temp.school_pair"; /* no DROP: that would wait for every statement that is open */

enum perche_rc duplicates_find(struct replica *r)
{
    struct people p = {.r = r};
    sqlite3_stmt *put = NULL;

    if (exec(r, "CREATE TEMP TABLE IF NOT EXISTS school_pair (learner_a TEXT NOT NULL, learner_b TEXT NOT NULL, rule TEXT NOT NULL, score INTEGER NOT NULL,"
                " PRIMARY KEY (learner_a, learner_b)) WITHOUT ROWID; DELETE FROM temp.school_pair") != PERCHE_OK)
        return r->fail;
    put = ask(r, "INSERT INTO temp.school_pair VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET score = excluded.score, rule = excluded.rule"
                 " WHERE excluded.score > school_pair.score");
    if (put != NULL && read_people(&p) == PERCHE_OK)
        (void)pairs(&p, put);
    sqlite3_finalize(put);
    if (r->fail == PERCHE_OK)
        (void)exec(r, settle);
    people_free(&p);
    return r->fail;
}

/* ---- for people -------------------------------------------------------------------------- */

#define LISTED_MAX 1000u

static void write_learner(struct replica *r, struct json *j, const char *name, sqlite3_stmt *s, int first, struct ask_sites *sites)
{
    out_key(j, name);
    out_open(j, '{');
    out_key(j, "id");
    out_text(j, ask_text(s, first));
    out_key(j, "name");
    out_text(j, *ask_text(s, first + 1) != '\0' ? ask_text(s, first + 1) : NULL);
    out_key(j, "birth_date");
    out_text(j, *ask_text(s, first + 2) != '\0' ? ask_text(s, first + 2) : NULL);
    out_key(j, "site");
    out_text(j, ask_site(r, sites, ask_text(s, first + 3)));
    out_close(j, '}');
}

enum perche_rc query_duplicates(struct replica *r, struct args *a, struct json *j)
{
    sqlite3_stmt *s = ask(r, "SELECT c.id, c.score, c.rule, c.state, x.id, m.name, x.birth_date, x.home_site_id, y.id, n.name, y.birth_date, y.home_site_id FROM duplicate_candidate c"
                             " JOIN learner x ON x.id = c.learner_a LEFT JOIN learner_name m ON m.learner_id = x.id"
                             " JOIN learner y ON y.id = c.learner_b LEFT JOIN learner_name n ON n.learner_id = y.id"
                             " WHERE ?1 OR c.state = 'OPEN' ORDER BY c.state = 'OPEN' DESC, c.score DESC, c.id");
    struct ask_sites sites = {0};
    uint32_t n = 0;

    if (!r->hub) {
        sqlite3_finalize(s);
        return fail(r, PERCHE_STATE, "who may be one person is found at the hub, which has everybody; this is a site");
    }
    if (s != NULL)
        (void)sqlite3_bind_int(s, 1, args_true(r, a, "all")); /* a failed bind shows the open ones */
    out_key(j, "duplicates");
    out_open(j, '[');
    while (n < LISTED_MAX && !out_full(j) && ask_row(r, s, "read who may be one person")) {
        n++;
        out_open(j, '{');
        out_key(j, "id");
        out_text(j, ask_text(s, 0));
        out_key(j, "score");
        out_int(j, sqlite3_column_int64(s, 1));
        out_key(j, "rule");
        out_text(j, ask_text(s, 2));
        out_key(j, "state");
        out_text(j, ask_text(s, 3));
        write_learner(r, j, "a", s, 4, &sites);
        write_learner(r, j, "b", s, 8, &sites);
        out_close(j, '}');
    }
    out_close(j, ']');
    out_key(j, "more");
    out_bool(j, n == LISTED_MAX);
    sqlite3_finalize(s);
    return r->fail;
}

enum perche_rc command_link(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    char id[PERCHE_ID_BYTES_MAX], decision[16], by[PERCHE_NAME_BYTES_MAX];
    sqlite3_stmt *s;
    uint32_t found = 0;

    (void)w;
    if (args_need(r, a, "id", id, sizeof id) != PERCHE_OK || args_need(r, a, "decision", decision, sizeof decision) != PERCHE_OK ||
        args_text(r, a, "by", by, sizeof by) != PERCHE_OK)
        return r->fail;
    if (strcmp(decision, "SAME") != 0 && strcmp(decision, "DIFFERENT") != 0 && strcmp(decision, "UNDO") != 0)
        return fail(r, PERCHE_USAGE, "decision is SAME, DIFFERENT or UNDO");
    s = ask(r, "SELECT learner_a, learner_b, rule FROM duplicate_candidate WHERE substr(id, 1, length(?1)) = lower(?1) LIMIT 2");
    ask_bind_text(s, 1, id);
    while (ask_row(r, s, "look for two learners")) {
        sqlite3_stmt *put = ask(r, "INSERT INTO learner_link (learner_a, learner_b, decision, survivor, rule, decided_by, decided_at)"
                                   " VALUES (?1, ?2, ?3, iif(?3 = 'SAME', ?1, NULL), ?4, ?5, strftime('%Y-%m-%dT%H:%M:%fZ', ?6 / 1000.0, 'unixepoch')) RETURNING id");

        if (++found > 1) {
            sqlite3_finalize(put);
            break;
        }
        ask_bind_text(put, 1, ask_text(s, 0));
        ask_bind_text(put, 2, ask_text(s, 1));
        ask_bind_text(put, 3, decision);
        ask_bind_text(put, 4, ask_text(s, 2));
        ask_bind_text(put, 5, *by != '\0' ? by : r->node.site);
        if (put != NULL)
            (void)sqlite3_bind_int64(put, 6, (sqlite3_int64)r->now_ms); /* a failed bind shows in the step: NOT NULL */
        if (ask_row(r, put, "link two learners")) {
            out_key(j, "id");
            out_text(j, ask_text(put, 0));
            out_key(j, "decision");
            out_text(j, decision);
        }
        sqlite3_finalize(put);
    }
    sqlite3_finalize(s);
    if (r->fail == PERCHE_OK && found == 0)
        return fail(r, PERCHE_NOT_FOUND, "there is no such pair: `perche duplicates` lists them");
    if (r->fail == PERCHE_OK && found > 1)
        return fail(r, PERCHE_USAGE, "more than one pair has an id that begins with %s: give more of it", id);
    return r->fail;
}
