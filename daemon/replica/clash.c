/* Rows that are at odds with each other: two leases of one bed, two final statuses of
 * one day. No merge sees that, as each row is right by itself. The view perche_clash
 * of the schema finds such pairs and a question of kind "rule" is asked: one about both
 * where the same sites have them, else one for each (as in unique.c). Nothing is changed by itself.
 *
 * At the hub, which has all rows; the questions reach the sites as any other do. One
 * that the view finds no longer is closed by itself. A pair is known by the newest of
 * the cells that the rule looks at: decided once, it is asked about again only when
 * one of these is written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/ask.h"
#include "replica/statements.h"

#define CLASHES_MAX 2000u /* pairs that are looked at; with more, nothing is closed */
#define COLUMNS_MAX 8u

/* Ids of the questions that stand. */
struct standing {
    uint8_t (*ids)[16];
    uint32_t count, cap;
};

static enum perche_rc stands(struct replica *r, struct standing *s, const uint8_t id[16])
{
    if (s->count == s->cap) {
        uint32_t cap = s->cap * 2 + 16;
        void *more = realloc(s->ids, cap * sizeof *s->ids);

        if (more == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for rows at odds");
        s->ids = more;
        s->cap = cap;
    }
    memcpy(s->ids[s->count++], id, 16);
    return PERCHE_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

/* The newest cell of the columns named in @cols, "unit_id,starts_on"; none of them: that of the row's beginning. */
static const struct clock_cell *newest(const struct meta *m, const char *cols)
{
    const struct clock_cell *found = &m->cells[0];
    char names[COLUMNS_MAX * PERCHE_NAME_BYTES_MAX], *save = NULL;

    (void)snprintf(names, sizeof names, "%s", cols);
    for (char *name = strtok_r(names, ", ", &save); name != NULL; name = strtok_r(NULL, ", ", &save)) {
        const struct column *c = table_column(m->table, name);

        if (c != NULL && m->cells[c->num].written && m->cells[c->num].stamp > found->stamp)
            found = &m->cells[c->num];
    }
    return found;
}

static struct conflict_side side_of(const struct meta *m, const char *cols, const char *says)
{
    const struct clock_cell *cell = newest(m, cols);

    return (struct conflict_side){.stamp = cell->stamp, .origin = cell->origin,
                                  .value = {.type = PERCHE_TEXT, .n = (uint32_t)strlen(says), .p = (const uint8_t *)says}};
}

/* The question to @m about @other: of that one no more than where and when, unless those who have the one have the other (@other_says). */
static enum perche_rc ask_one(struct replica *r, struct standing *standing, const char *rule, const char *cols, const struct meta *m, const char *says,
                              const struct meta *other, const char *other_says)
{
    struct conflict_side own = side_of(m, cols, says), theirs = side_of(other, cols, other_says != NULL ? other_says : "");
    uint8_t id[16];

    if (other_says == NULL)
        theirs.value = (struct perche_value){.type = PERCHE_NULL};
    if (conflict_raise_pair(r, m, "rule", rule, &own, (struct perche_bytes){other->key, other->key_n}, &theirs, id) != PERCHE_OK)
        return r->fail;
    if (conflict_open_again(r, id, next_stamp(r, r->now_ms)) != PERCHE_OK)
        return r->fail;
    return stands(r, standing, id);
}

/* @s: rule, tab, cols, key, other, says, other_says */
static enum perche_rc take_pair(struct replica *r, struct standing *standing, sqlite3_stmt *s)
{
    struct table *t = registry_table(r, ask_text(s, 1));
    struct meta *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    uint8_t key_a[PERCHE_KEY_BYTES_MAX], key_b[PERCHE_KEY_BYTES_MAX];
    uint32_t a_n, b_n;

    if (a == NULL || b == NULL) {
        (void)fail(r, PERCHE_NOMEM, "no memory for rows at odds");
    } else if (t != NULL && t->present && ask_key_parse(r, t, ask_text(s, 3), key_a, &a_n) && ask_key_parse(r, t, ask_text(s, 4), key_b, &b_n)) {
        bool first = meta_load(r, t, (struct perche_bytes){key_a, a_n}, a) == PERCHE_OK;

        if (first && meta_load(r, t, (struct perche_bytes){key_b, b_n}, b) == PERCHE_OK) {
            if (!a->stored || !b->stored || !meta_alive(a) || !meta_alive(b))
                ; /* not harvested yet: the next time */
            else if (a->scope == b->scope) /* one question is enough */
                (void)ask_one(r, standing, ask_text(s, 0), ask_text(s, 2), a, ask_text(s, 5), b, ask_text(s, 6));
            else if (ask_one(r, standing, ask_text(s, 0), ask_text(s, 2), a, ask_text(s, 5), b, NULL) == PERCHE_OK)
                (void)ask_one(r, standing, ask_text(s, 0), ask_text(s, 2), b, ask_text(s, 6), a, NULL);
            meta_clear(b);
        }
        if (first)
            meta_clear(a);
    }
    free(a);
    free(b);
    return r->fail;
}

/* Open questions that are none any more, but for those of rows whose deletion waits for a person. */
static enum perche_rc close_others(struct replica *r, struct standing *standing)
{
    sqlite3_stmt *s = ask(r, "SELECT id, tab, key FROM perche_conflict WHERE kind = 'rule' AND state = 'open'");
    struct standing over = {0};

    if (standing->count > 0)
        qsort(standing->ids, standing->count, 16, by_bytes);
    while (ask_row(r, s, "look for rows at odds")) {
        struct table *t = registry_table(r, ask_text(s, 1));
        uint8_t id[16], key[PERCHE_KEY_BYTES_MAX];
        uint32_t n;

        if (!perche_uuid_parse(sqlite3_column_text(s, 0), (uint32_t)sqlite3_column_bytes(s, 0), id) ||
            (standing->count > 0 && bsearch(id, standing->ids, standing->count, 16, by_bytes) != NULL))
            continue;
        if (t == NULL || (r->holding && ask_key_parse(r, t, ask_text(s, 2), key, &n) && held_in(r, t, (struct perche_bytes){key, n}) != 0))
            continue;
        if (stands(r, &over, id) != PERCHE_OK)
            break;
    }
    sqlite3_finalize(s);
    for (uint32_t i = 0; r->fail == PERCHE_OK && i < over.count; i++)
        (void)conflict_moot(r, over.ids[i], "no longer at odds", next_stamp(r, r->now_ms));
    free(over.ids);
    return r->fail;
}

enum perche_rc clash_sweep(struct replica *r)
{
    struct standing standing = {0};
    sqlite3_stmt *s;
    uint32_t pairs = 0;
    struct table *t;

    for (uint32_t i = 0; (t = registry_at(r, i)) != NULL; i++)
        if (!t->is_system && audit_away(r, t)) /* what it has is not all there: nothing is judged by it */
            return PERCHE_OK;
    s = ask(r, "SELECT rule, tab, cols, key, other, says, other_says FROM perche_clash");
    while (pairs < CLASHES_MAX && ask_row(r, s, "look for rows at odds")) {
        pairs++;
        if (take_pair(r, &standing, s) != PERCHE_OK)
            break;
    }
    sqlite3_finalize(s);
    if (r->fail == PERCHE_OK && pairs < CLASHES_MAX)
        (void)close_others(r, &standing);
    free(standing.ids);
    return r->fail;
}
