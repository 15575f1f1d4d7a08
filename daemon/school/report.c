/* `perche report`: figures between two dates, of the network, a site or a cohort, as
 * they are known now or were at an instant; and what of one is another now.
 *
 * A figure is a query of the things that count (figures.c). Here they are summed, by
 * site or cohort where that is asked, rounded as their definition says, and withheld
 * where too few are behind them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/ask.h"
#include "replica/pack.h"
#include "school/facts.h"
#include "school/figures.h"
#include "school/known.h"
#include "school/report.h"
#include "school/sheets.h"

#define GROUPS_MAX  2000u /* of one part of a figure: sites or cohorts */
#define CHANGES_MAX 5000u

struct asked {
    char name[PERCHE_NAME_BYTES_MAX], from[16], to[16], as_of[16], by[16], known[32];
    char site[PERCHE_ID_BYTES_MAX], cohort[PERCHE_ID_BYTES_MAX]; /* ids; "" = all */
    char snapshot[PERCHE_ID_BYTES_MAX];                           /* the beginning of an id of report_snapshot, "" = none */
    uint64_t known_ms;                                            /* 0 = now */
};

/* Of an indicator_definition, or what stands for one. */
struct definition {
    char id[PERCHE_NAME_BYTES_MAX]; /* "" = none */
    char base_date[32], milestone[32], denominator[32];
    enum figure_rounding rounding;
    int decimals;
    int64_t least;
};

/* ---- what is asked --------------------------------------------------------------- */

/* What the query makes of @text; *out is empty when it makes nothing of it. */
static enum perche_rc made_of(struct replica *r, const char *query, const char *text, char *out, size_t out_n)
{
    sqlite3_stmt *s = ask(r, query);

    ask_bind_text(s, 1, text);
    (void)snprintf(out, out_n, "%s", ask_row(r, s, "read a date") ? ask_text(s, 0) : "");
    sqlite3_finalize(s);
    return r->fail;
}

static enum perche_rc day(struct replica *r, struct args *a, const char *name, const char *otherwise, char out[16])
{
    char text[16], same[16];

    if (args_text(r, a, name, text, sizeof text) != PERCHE_OK)
        return r->fail;
    if (*text == '\0')
        (void)snprintf(text, sizeof text, "%s", otherwise); /* a date fits */
    if (made_of(r, "SELECT date(?1, '+0 days')", text, same, sizeof same) == PERCHE_OK && strcmp(same, text) != 0)
        return fail(r, PERCHE_USAGE, "%s is a day such as 2018-05-31, not \"%s\"", name, text);
    memcpy(out, text, sizeof text);
    return r->fail;
}

static enum perche_rc instant(struct replica *r, const char *text, uint64_t *ms)
{
    char same[32], number[32];

    if (made_of(r, "SELECT strftime(iif(instr(?1, '.') > 0, '%Y-%m-%dT%H:%M:%fZ', '%Y-%m-%dT%H:%M:%SZ'), ?1, '+0 days')", text, same, sizeof same) != PERCHE_OK ||
        made_of(r, "SELECT unixepoch(?1) * 1000 + CAST(substr(strftime('%f', ?1), 4) AS INTEGER)", text, number, sizeof number) != PERCHE_OK)
        return r->fail;
    if (strcmp(same, text) != 0 || *number == '-')
        return fail(r, PERCHE_USAGE, "known_at is an instant such as 2018-05-31T12:00:00Z (Z: in UTC), not \"%s\"", text);
    *ms = strtoull(number, NULL, 10);
    return PERCHE_OK;
}

/* The id of the one row whose id, code or name @text is. */
static enum perche_rc one_id(struct replica *r, const char *table, const char *query, char text[PERCHE_ID_BYTES_MAX])
{
    sqlite3_stmt *s = *text != '\0' ? ask(r, query) : NULL;
    char found[PERCHE_ID_BYTES_MAX] = "";
    int n = 0;

    if (*text == '\0')
        return PERCHE_OK;
    ask_bind_text(s, 1, text);
    while (ask_row(r, s, "look for a name")) {
        n++;
        (void)snprintf(found, sizeof found, "%s", ask_text(s, 0));
    }
    sqlite3_finalize(s);
    if (r->fail == PERCHE_OK && n == 0)
        return fail(r, PERCHE_NOT_FOUND, "there is no %s \"%s\" here", table, text);
    if (r->fail == PERCHE_OK && n > 1)
        return fail(r, PERCHE_USAGE, "%d rows of %s are called \"%s\": name one by its id", n, table, text);
    memcpy(text, found, sizeof found);
    return r->fail;
}

static enum perche_rc ask_what(struct replica *r, struct args *a, struct asked *q)
{
    char today[16] = "", seconds[32];

    memset(q, 0, sizeof *q);
    (void)snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)(r->now_ms / 1000));
    if (made_of(r, "SELECT date(?1, 'unixepoch')", seconds, today, sizeof today) != PERCHE_OK || args_text(r, a, "name", q->name, sizeof q->name) != PERCHE_OK || day(r, a, "from", "0000-01-01", q->from) != PERCHE_OK ||
        day(r, a, "to", "9999-12-31", q->to) != PERCHE_OK || day(r, a, "as_of", today, q->as_of) != PERCHE_OK ||
        args_text(r, a, "by", q->by, sizeof q->by) != PERCHE_OK || args_text(r, a, "site", q->site, sizeof q->site) != PERCHE_OK ||
        args_text(r, a, "cohort", q->cohort, sizeof q->cohort) != PERCHE_OK || args_text(r, a, "known_at", q->known, sizeof q->known) != PERCHE_OK ||
        args_text(r, a, "snapshot", q->snapshot, sizeof q->snapshot) != PERCHE_OK)
        return r->fail;
    if (strcmp(q->from, q->to) > 0)
        return fail(r, PERCHE_USAGE, "the period ends on %s, before it begins on %s", q->to, q->from);
    if (*q->by != '\0' && strcmp(q->by, "site") != 0 && strcmp(q->by, "cohort") != 0)
        return fail(r, PERCHE_USAGE, "by is \"site\" or \"cohort\", not \"%s\"", q->by);
    if (*q->known != '\0' && instant(r, q->known, &q->known_ms) != PERCHE_OK)
        return r->fail;
    if (q->known_ms > r->now_ms)
        return fail(r, PERCHE_USAGE, "known_at %s is to come: what will be known then is not known", q->known);
    if (one_id(r, "site", "SELECT id FROM site WHERE id = ?1 OR code = ?1 COLLATE NOCASE OR name = ?1 COLLATE NOCASE", q->site) != PERCHE_OK)
        return r->fail;
    return one_id(r, "cohort", "SELECT id FROM cohort WHERE id = ?1 OR code = ?1 COLLATE NOCASE", q->cohort);
}

/* ---- a figure ------------------------------------------------------------------------ */

static void bind_name(sqlite3_stmt *s, const char *name, const char *text) /* "" binds NULL */
{
    int i = sqlite3_bind_parameter_index(s, name);

    if (i > 0)
        ask_bind_text(s, i, *text != '\0' ? text : NULL);
}

static sqlite3_stmt *ask_figure(struct replica *r, const struct asked *q, const struct definition *d, char *text) /* takes text */
{
    sqlite3_stmt *s = text != NULL ? ask(r, text) : NULL;

    if (text == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a figure");
    sqlite3_free(text);
    if (s == NULL)
        return NULL;
    bind_name(s, ":from", q->from);
    bind_name(s, ":to", q->to);
    bind_name(s, ":as_of", q->as_of);
    bind_name(s, ":by", q->by);
    bind_name(s, ":site", q->site);
    bind_name(s, ":cohort", q->cohort);
    bind_name(s, ":definition", d->id);
    return s;
}

#define WITHIN "(:site IS NULL OR site_id = :site) AND (:cohort IS NULL OR cohort_id = :cohort)"

/* group, part, n, d, contested, waiting; the sum of all groups has the group NULL. What counts in two groups counts in the sum once. */
static sqlite3_stmt *ask_sums(struct replica *r, const struct asked *q, const struct figure *f, const struct definition *d)
{
    return ask_figure(r, q, d, sqlite3_mprintf(
        "WITH f AS MATERIALIZED (%s),"
        " g AS MATERIALIZED (SELECT CASE :by WHEN 'site' THEN coalesce(site_id, '') WHEN 'cohort' THEN coalesce(cohort_id, '') END AS grp, part,"
        " sum(iif(contested OR waiting, 0, n)) AS n, sum(iif(contested OR waiting, 0, d)) AS d, sum(contested) AS contested, sum(iif(contested, 0, waiting)) AS waiting,"
        " %s AS n_again, %s AS d_again"
        " FROM f WHERE " WITHIN " GROUP BY 1, 2)"
        " SELECT * FROM (SELECT grp, part, n, d, contested, waiting FROM g WHERE :by IS NOT NULL"
        " UNION ALL SELECT NULL, part, sum(n - n_again), sum(d - d_again), sum(contested), sum(waiting) FROM g GROUP BY part)"
        " WHERE part IS NOT 'UNMAPPED' OR n <> 0" /* nobody asks how many there are not */
        " ORDER BY instr(' EMPLOYEE ENTREPRENEUR STUDIES OTHER_POSITIVE POSITIVE NOT_POSITIVE UNMAPPED NEUTRALISED ANSWERED GROSS NET INTERVIEWED ADMITTED FULL PARTIAL"
        " ENTRY COMPLETER HOUR ', ' ' || part || ' '), part, grp IS NOT NULL, grp",
        f->rows, f->sheets ? "sum(n_again)" : "0", f->sheets ? "sum(d_again)" : "0"));
}

struct sum {
    char group[PERCHE_ID_BYTES_MAX];
    bool all, has_d; /* all: the sum of the groups */
    char part[64];
    int64_t contested, waiting;
};

static void write_group(struct replica *r, struct json *j, const struct asked *q, const struct sum *s, struct ask_sites *sites)
{
    sqlite3_stmt *c;

    out_key(j, "group");
    if (s->all) {
        out_null(j);
        return;
    }
    out_open(j, '{');
    out_key(j, "id");
    out_text(j, *s->group != '\0' ? s->group : NULL);
    out_key(j, "name");
    if (*s->group == '\0') {
        out_null(j);
    } else if (strcmp(q->by, "site") == 0) {
        out_text(j, ask_site(r, sites, s->group));
    } else {
        c = ask(r, "SELECT code || coalesce(' of ' || (SELECT name FROM site WHERE id = site_id), '') FROM cohort WHERE id = ?1");
        ask_bind_text(c, 1, s->group);
        out_text(j, ask_row(r, c, "read a cohort's name") ? ask_text(c, 0) : s->group);
        sqlite3_finalize(c);
    }
    out_close(j, '}');
}

/* What becomes of the rows of one part, the sum of all groups first. */
typedef enum perche_rc (*part_cb)(void *ctx, const struct sum *sums, const struct figure_row *rows, size_t count);

/* The sum is withheld by itself, the groups with an eye to it. */
static enum perche_rc give_part(const struct definition *d, const struct sum *sums, struct figure_row *rows, size_t count, part_cb cb, void *ctx)
{
    size_t first = count > 0 && sums[0].all;

    if (first)
        figure_hide(rows, 1, d->least);
    figure_hide(rows + first, count - first, d->least);
    return cb(ctx, sums, rows, count);
}

/* The figure itself, or the one that is added up already. */
static const struct figure *ready(struct replica *r, const struct asked *q, const struct figure *f, struct figure *fast)
{
    if (f->summed == NULL || (f->sheets && (q->known_ms != 0 || !sheets_sum(r, q->from, strcmp(q->to, q->as_of) < 0 ? q->to : q->as_of, *q->by, q->site, q->cohort))))
        return f;
    *fast = *f;
    fast->rows = f->summed;
    return fast;
}

static enum perche_rc each_part(struct replica *r, const struct asked *q, const struct figure *f, const struct definition *d, part_cb cb, void *ctx)
{
    struct figure fast;
    sqlite3_stmt *s = ask_sums(r, q, ready(r, q, f, &fast), d);
    struct sum *sums = calloc(GROUPS_MAX, sizeof *sums);
    struct figure_row *rows = calloc(GROUPS_MAX, sizeof *rows);
    size_t n = 0;

    if (sums == NULL || rows == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a figure");
    while (r->fail == PERCHE_OK && ask_row(r, s, "count a figure")) {
        const char *part = ask_text(s, 1);

        if (n > 0 && strcmp(sums[0].part, part) != 0) {
            (void)give_part(d, sums, rows, n, cb, ctx);
            n = 0;
        }
        if (n == GROUPS_MAX) {
            (void)fail(r, PERCHE_TOO_LARGE, "%s has more than %u groups: ask for a site", f->name != NULL ? f->name : d->id, GROUPS_MAX);
            break;
        }
        sums[n] = (struct sum){.all = sqlite3_column_type(s, 0) == SQLITE_NULL, .has_d = sqlite3_column_type(s, 3) != SQLITE_NULL,
                               .contested = sqlite3_column_int64(s, 4), .waiting = sqlite3_column_int64(s, 5)};
        (void)snprintf(sums[n].group, sizeof sums[n].group, "%s", ask_text(s, 0));
        (void)snprintf(sums[n].part, sizeof sums[n].part, "%s", part);
        rows[n++] = (struct figure_row){sqlite3_column_int64(s, 2), sqlite3_column_int64(s, 3), HIDDEN_NOT};
    }
    if (r->fail == PERCHE_OK && n > 0)
        (void)give_part(d, sums, rows, n, cb, ctx);
    sqlite3_finalize(s);
    free(sums);
    free(rows);
    return r->fail;
}

static void value_of(const struct figure *f, const struct definition *d, const struct figure_row *row, char out[FIGURE_TEXT_MAX])
{
    figure_value(f->unit, f->defined ? d->decimals : f->decimals, d->rounding, row->n, row->d, out);
}

/* A figure on its way into a document. */
struct writing {
    struct replica *r;
    struct json *j;
    const struct asked *q;
    const struct figure *f;
    const struct definition *d;
    struct ask_sites sites;
};

static void write_row(struct writing *w, const struct sum *s, const struct figure_row *row)
{
    struct json *j = w->j;
    char value[FIGURE_TEXT_MAX];

    value_of(w->f, w->d, row, value);
    out_open(j, '{');
    write_group(w->r, j, w->q, s, &w->sites);
    out_key(j, "part");
    out_text(j, *s->part != '\0' ? s->part : NULL);
    out_key(j, "value");
    out_text(j, row->hidden == HIDDEN_NOT && *value != '\0' ? value : NULL);
    out_key(j, "numerator");
    row->hidden == HIDDEN_NOT ? out_int(j, row->n) : out_null(j);
    out_key(j, "denominator");
    row->hidden == HIDDEN_NOT && s->has_d ? out_int(j, row->d) : out_null(j);
    out_key(j, "suppressed");
    out_text(j, row->hidden == HIDDEN_SMALL ? "small" : row->hidden == HIDDEN_BESIDE ? "beside" : NULL);
    out_key(j, "contested");
    out_int(j, s->contested);
    out_key(j, "waiting");
    out_int(j, s->waiting);
    out_close(j, '}');
}

static enum perche_rc write_part(void *ctx, const struct sum *sums, const struct figure_row *rows, size_t count)
{
    struct writing *w = ctx;

    for (size_t i = 0; i < count; i++)
        write_row(w, &sums[i], &rows[i]);
    return w->r->fail;
}

static void write_definition(struct json *j, const struct definition *d)
{
    out_key(j, "definition");
    if (*d->id == '\0') {
        out_null(j);
        return;
    }
    out_open(j, '{');
    out_key(j, "id");
    out_text(j, d->id);
    out_key(j, "base_date");
    out_text(j, d->base_date);
    out_key(j, "milestone");
    out_text(j, d->milestone);
    out_key(j, "denominator");
    out_text(j, d->denominator);
    out_key(j, "min_denominator");
    out_int(j, d->least);
    out_key(j, "rounding");
    out_text(j, d->rounding == ROUND_TRUNCATE ? "TRUNCATE" : "HALF_UP");
    out_key(j, "decimals");
    out_int(j, d->decimals);
    out_close(j, '}');
}

static const char *unit_name(enum figure_unit unit)
{
    static const char *const names[] = {[FIGURE_COUNT] = "count", [FIGURE_PERCENT] = "percent", [FIGURE_CENTS] = "euros", [FIGURE_POINTS] = "basis points"};

    return names[unit];
}

static void write_head(struct json *j, const struct figure *f, const struct definition *d)
{
    out_key(j, "figure");
    out_text(j, f->name != NULL ? f->name : d->id);
    out_key(j, "says");
    out_text(j, f->says);
    out_key(j, "unit");
    out_text(j, unit_name(f->unit));
    write_definition(j, d);
}

static enum perche_rc write_figure(struct replica *r, struct json *j, const struct asked *q, const struct figure *f, const struct definition *d)
{
    struct writing w = {.r = r, .j = j, .q = q, .f = f, .d = d};

    out_open(j, '{');
    write_head(j, f, d);
    out_key(j, "rows");
    out_open(j, '[');
    (void)each_part(r, q, f, d, write_part, &w);
    out_close(j, ']');
    out_close(j, '}');
    return r->fail;
}

/* ---- which ------------------------------------------------------------------------------ */

static const char definitions_sql[] = "SELECT id, base_date, milestone, denominator, min_denominator, rounding, decimals FROM indicator_definition"
                                      " WHERE ?1 IS NULL OR id = ?1 COLLATE NOCASE ORDER BY id";

static void read_definition(sqlite3_stmt *s, struct definition *d)
{
    *d = (struct definition){.least = sqlite3_column_int64(s, 4), .decimals = sqlite3_column_int(s, 6)};
    (void)snprintf(d->id, sizeof d->id, "%s", ask_text(s, 0));
    (void)snprintf(d->base_date, sizeof d->base_date, "%s", ask_text(s, 1));
    (void)snprintf(d->milestone, sizeof d->milestone, "%s", ask_text(s, 2));
    (void)snprintf(d->denominator, sizeof d->denominator, "%s", ask_text(s, 3));
    d->rounding = strcmp(ask_text(s, 5), "TRUNCATE") == 0 ? ROUND_TRUNCATE : ROUND_HALF_UP;
    if (d->decimals < 0 || d->decimals > 4)
        d->decimals = d->decimals < 0 ? 0 : 4;
}

typedef enum perche_rc (*each_cb)(struct replica *r, struct json *j, const struct asked *q, const struct figure *f, const struct definition *d);

/* Every figure that is asked for. */
static enum perche_rc each(struct replica *r, struct json *j, const struct asked *q, each_cb cb)
{
    static const struct definition none;
    sqlite3_stmt *s;
    bool any = false;

    for (size_t i = 0; r->fail == PERCHE_OK && i < figures_count; i++) {
        if (*q->name != '\0' && strcmp(q->name, figures[i].name) != 0)
            continue;
        any = true;
        (void)cb(r, j, q, &figures[i], &none);
    }
    s = ask(r, definitions_sql);
    ask_bind_text(s, 1, *q->name != '\0' ? q->name : NULL);
    while (ask_row(r, s, "read the definitions")) {
        struct definition d;

        any = true;
        read_definition(s, &d);
        if (cb(r, j, q, &figure_outcome, &d) != PERCHE_OK)
            break;
    }
    sqlite3_finalize(s);
    if (r->fail == PERCHE_OK && !any)
        return fail(r, PERCHE_NOT_FOUND, "there is no figure %s: `perche report` lists them", q->name);
    return r->fail;
}

static void write_asked(struct replica *r, struct json *j, const struct asked *q)
{
    out_key(j, "from");
    out_text(j, strcmp(q->from, "0000-01-01") != 0 ? q->from : NULL);
    out_key(j, "to");
    out_text(j, strcmp(q->to, "9999-12-31") != 0 ? q->to : NULL);
    out_key(j, "as_of");
    out_text(j, q->as_of);
    out_key(j, "known_at");
    out_time(j, q->known_ms != 0 ? q->known_ms : r->now_ms);
    out_key(j, "site");
    out_text(j, *q->site != '\0' ? q->site : NULL);
    out_key(j, "cohort");
    out_text(j, *q->cohort != '\0' ? q->cohort : NULL);
    out_key(j, "by");
    out_text(j, *q->by != '\0' ? q->by : NULL);
    out_key(j, "role");
    out_text(j, r->hub ? "hub" : "site");
}

/* What the figure that is asked for is counted from; NULL: all are. */
static const char *rows_of(const struct asked *q)
{
    for (size_t i = 0; i < figures_count; i++)
        if (strcmp(q->name, figures[i].name) == 0)
            return figures[i].rows;
    return *q->name != '\0' ? figure_outcome.rows : NULL;
}

enum perche_rc query_report(struct replica *r, struct args *a, struct json *j)
{
    struct asked q;
    bool all;

    if (ask_what(r, a, &q) != PERCHE_OK)
        return r->fail;
    write_asked(r, j, &q);
    out_key(j, "figures");
    out_open(j, '[');
    all = *q.name == '\0';
    if (q.known_ms == 0 && !all) {
        (void)each(r, j, &q, write_figure);
    } else {
        if (facts_open(r) == PERCHE_OK && (q.known_ms == 0 || known_begin(r, q.known_ms, rows_of(&q)) == PERCHE_OK) && facts_make(r, all) == PERCHE_OK)
            (void)each(r, j, &q, write_figure);
        facts_close(r);
    }
    out_close(j, ']');
    return r->fail;
}

/* ---- what was published --------------------------------------------------------------------- */

struct publishing {
    struct writing w;
    sqlite3_stmt *put;
    char known_at[32];
};

/* What the figure was asked for with: with it, it is counted once more. */
static char *scope_json(struct replica *r, const struct asked *q, const struct sum *s)
{
    struct json j = {0};
    char *text;

    out_open(&j, '{');
    if (*s->part != '\0') {
        out_key(&j, "part");
        out_text(&j, s->part);
    }
    out_key(&j, "from");
    out_text(&j, q->from);
    out_key(&j, "to");
    out_text(&j, q->to);
    if (*q->site != '\0' || (!s->all && strcmp(q->by, "site") == 0)) {
        out_key(&j, "site");
        out_text(&j, !s->all && strcmp(q->by, "site") == 0 ? s->group : q->site);
    }
    if (*q->cohort != '\0' || (!s->all && strcmp(q->by, "cohort") == 0)) {
        out_key(&j, "cohort");
        out_text(&j, !s->all && strcmp(q->by, "cohort") == 0 ? s->group : q->cohort);
    }
    out_close(&j, '}');
    text = j.failed ? NULL : sqlite3_mprintf("%.*s", (int)j.n, j.p);
    out_free(&j);
    if (text == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a figure");
    return text;
}

static enum perche_rc publish_row(struct publishing *p, const struct sum *s, const struct figure_row *row)
{
    struct replica *r = p->w.r;
    char value[FIGURE_TEXT_MAX], *scope = scope_json(r, p->w.q, s);
    bool hidden = row->hidden != HIDDEN_NOT;

    value_of(p->w.f, p->w.d, row, value);
    if (scope == NULL)
        return r->fail;
    ask_bind_text(p->put, 1, p->w.f->name != NULL ? p->w.f->name : p->w.d->id);
    ask_bind_text(p->put, 2, scope);
    ask_bind_text(p->put, 3, p->w.q->as_of);
    ask_bind_text(p->put, 4, p->known_at);
    hidden ? (void)sqlite3_bind_null(p->put, 5) : (void)sqlite3_bind_int64(p->put, 5, row->n); /* a failed bind of these is a NULL, which says less */
    hidden || !s->has_d ? (void)sqlite3_bind_null(p->put, 6) : (void)sqlite3_bind_int64(p->put, 6, row->d);
    ask_bind_text(p->put, 7, hidden ? "" : value);
    (void)sqlite3_bind_int(p->put, 8, hidden);
    if (ask_row(r, p->put, "publish a figure")) {
        out_open(p->w.j, '{');
        out_key(p->w.j, "id");
        out_text(p->w.j, ask_text(p->put, 0));
        out_key(p->w.j, "figure");
        out_text(p->w.j, p->w.f->name != NULL ? p->w.f->name : p->w.d->id);
        write_group(r, p->w.j, p->w.q, s, &p->w.sites);
        out_key(p->w.j, "part");
        out_text(p->w.j, *s->part != '\0' ? s->part : NULL);
        out_key(p->w.j, "value");
        out_text(p->w.j, hidden ? NULL : value);
        out_key(p->w.j, "unit");
        out_text(p->w.j, unit_name(p->w.f->unit));
        out_close(p->w.j, '}');
    }
    (void)sqlite3_reset(p->put); /* its error was seen by the step */
    sqlite3_free(scope);
    return r->fail;
}

static enum perche_rc publish_part(void *ctx, const struct sum *sums, const struct figure_row *rows, size_t count)
{
    struct publishing *p = ctx;

    for (size_t i = 0; p->w.r->fail == PERCHE_OK && i < count; i++)
        (void)publish_row(p, &sums[i], &rows[i]);
    return p->w.r->fail;
}

static enum perche_rc publish_figure(struct replica *r, struct json *j, const struct asked *q, const struct figure *f, const struct definition *d)
{
    struct publishing p = {.w = {.r = r, .j = j, .q = q, .f = f, .d = d}};
    char ms[32];

    (void)snprintf(ms, sizeof ms, "%llu", (unsigned long long)r->now_ms);
    if (made_of(r, "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ?1 / 1000.0, 'unixepoch')", ms, p.known_at, sizeof p.known_at) != PERCHE_OK)
        return r->fail;
    p.put = ask(r, "INSERT INTO report_snapshot (definition_id, scope, as_of, knowledge_cut, numerator, denominator, value_text, suppressed)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id");
    if (p.put != NULL)
        (void)each_part(r, q, f, d, publish_part, &p);
    sqlite3_finalize(p.put);
    return r->fail;
}

/* What is counted is harvested first: the history is asked for it later. */
enum perche_rc command_publish(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct asked q;

    (void)w;
    if (ask_what(r, a, &q) != PERCHE_OK)
        return r->fail;
    if (*q.name == '\0' || q.known_ms != 0)
        return fail(r, PERCHE_USAGE, "name the figure that is published; it is published as it is known now");
    if (harvest_all(r) != PERCHE_OK)
        return r->fail;
    write_asked(r, j, &q);
    out_key(j, "published");
    out_open(j, '[');
    (void)each(r, j, &q, publish_figure);
    out_close(j, ']');
    return r->fail;
}

/* Asks for the figure as it was when @q->snapshot was published. */
static enum perche_rc ask_published(struct replica *r, struct asked *q, char value[FIGURE_TEXT_MAX])
{
    sqlite3_stmt *s = ask(r, "SELECT definition_id, coalesce(scope ->> 'from', '0000-01-01'), coalesce(scope ->> 'to', '9999-12-31'), coalesce(scope ->> 'site', ''),"
                             " coalesce(scope ->> 'cohort', ''), as_of, knowledge_cut, value_text FROM report_snapshot WHERE substr(id, 1, length(?1)) = lower(?1) LIMIT 2");
    int n = 0;

    ask_bind_text(s, 1, q->snapshot);
    while (ask_row(r, s, "look for what was published")) {
        n++;
        (void)snprintf(q->name, sizeof q->name, "%s", ask_text(s, 0));
        (void)snprintf(q->from, sizeof q->from, "%s", ask_text(s, 1));
        (void)snprintf(q->to, sizeof q->to, "%s", ask_text(s, 2));
        (void)snprintf(q->site, sizeof q->site, "%s", ask_text(s, 3));
        (void)snprintf(q->cohort, sizeof q->cohort, "%s", ask_text(s, 4));
        (void)snprintf(q->as_of, sizeof q->as_of, "%s", ask_text(s, 5));
        (void)snprintf(q->known, sizeof q->known, "%s", ask_text(s, 6));
        (void)snprintf(value, FIGURE_TEXT_MAX, "%s", ask_text(s, 7));
    }
    sqlite3_finalize(s);
    if (r->fail == PERCHE_OK && n == 0)
        return fail(r, PERCHE_NOT_FOUND, "nothing was published under the id %s: `perche list report_snapshot` lists it", q->snapshot);
    if (r->fail == PERCHE_OK && n > 1)
        return fail(r, PERCHE_USAGE, "more than one published figure has an id that begins with %s", q->snapshot);
    return r->fail == PERCHE_OK ? instant(r, q->known, &q->known_ms) : r->fail;
}

/* ---- what is another now ------------------------------------------------------------------ */

/* The rows of the figure into a TEMP table: as they are known where the names lead now. */
static enum perche_rc keep_rows(struct replica *r, const struct asked *q, const struct figure *f, const struct definition *d, const char *into)
{
    sqlite3_stmt *s = ask_figure(r, q, d, sqlite3_mprintf("INSERT INTO temp.%s SELECT tab, id, coalesce(part, ''), n, d, contested, waiting, says FROM (%s) WHERE " WITHIN,
                                                          into, f->rows));

    return s != NULL ? ask_run(r, s, "keep the rows of a figure") : r->fail;
}

static void write_side(struct json *j, const char *name, sqlite3_stmt *s, int first)
{
    out_key(j, name);
    if (sqlite3_column_type(s, first) == SQLITE_NULL) {
        out_null(j);
        return;
    }
    out_open(j, '{');
    out_key(j, "says");
    out_text(j, ask_text(s, first));
    out_key(j, "counts");
    out_int(j, sqlite3_column_int64(s, first + 1));
    out_key(j, "of");
    sqlite3_column_type(s, first + 2) != SQLITE_NULL ? out_int(j, sqlite3_column_int64(s, first + 2)) : out_null(j);
    out_key(j, "contested");
    out_bool(j, sqlite3_column_int(s, first + 3) != 0);
    out_key(j, "waiting");
    out_bool(j, sqlite3_column_int(s, first + 4) != 0);
    out_close(j, '}');
}

static enum perche_rc write_differences(struct replica *r, struct json *j)
{
    sqlite3_stmt *s = ask(r, "SELECT coalesce(a.tab, b.tab), coalesce(a.id, b.id), coalesce(a.part, b.part), a.says, a.n, a.d, a.contested, a.waiting,"
                             " b.says, b.n, b.d, b.contested, b.waiting FROM temp.known_then a FULL OUTER JOIN temp.known_now b"
                             " ON b.tab = a.tab AND b.id = a.id AND b.part = a.part"
                             " WHERE (a.says, a.n, a.d, a.contested, a.waiting) IS NOT (b.says, b.n, b.d, b.contested, b.waiting) ORDER BY 1, 2, 3");
    uint32_t n = 0;
    bool more = false;

    out_key(j, "rows");
    out_open(j, '[');
    while (ask_row(r, s, "compare a figure with what it was")) {
        struct table *t = registry_table(r, ask_text(s, 0));
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        struct perche_value id;
        uint32_t key_n;

        if (n++ == CHANGES_MAX || out_full(j)) {
            more = true;
            break;
        }
        out_open(j, '{');
        out_key(j, "table");
        out_text(j, ask_text(s, 0));
        out_key(j, "id");
        out_text(j, ask_text(s, 1));
        out_key(j, "label");
        column_read(r, s, 1, &id);
        if (t != NULL && perche_key_encode(&id, 1, key, &key_n) == PERCHE_OK)
            ask_label(r, j, t, (struct perche_bytes){key, key_n});
        else
            out_null(j);
        out_key(j, "part");
        out_text(j, *ask_text(s, 2) != '\0' ? ask_text(s, 2) : NULL);
        write_side(j, "then", s, 3);
        write_side(j, "now", s, 8);
        out_close(j, '}');
    }
    out_close(j, ']');
    out_key(j, "more");
    out_bool(j, more);
    sqlite3_finalize(s);
    return r->fail;
}

static enum perche_rc write_change(struct replica *r, struct json *j, const struct asked *q, const struct figure *f, const struct definition *d)
{
    static const char columns[] = "(tab TEXT, id TEXT, part TEXT, n INTEGER, d INTEGER, contested INTEGER, waiting INTEGER, says TEXT)";
    char *made = sqlite3_mprintf("CREATE TEMP TABLE known_now %s", columns), *again;

    if (made == NULL || facts_open(r) != PERCHE_OK || exec(r, made) != PERCHE_OK || keep_rows(r, q, f, d, "known_now") != PERCHE_OK) {
        sqlite3_free(made);
        return made == NULL ? fail(r, PERCHE_NOMEM, "no memory for a figure") : r->fail;
    }
    sqlite3_free(made);
    again = sqlite3_mprintf("CREATE TEMP TABLE known_then %s", columns);
    if (again == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a figure");
    else if (known_begin(r, q->known_ms, f->rows) == PERCHE_OK && facts_make(r, false) == PERCHE_OK && exec(r, again) == PERCHE_OK && keep_rows(r, q, f, d, "known_then") == PERCHE_OK) {
        write_head(j, f, d);
        (void)write_differences(r, j);
    }
    sqlite3_free(again);
    return r->fail;
}

enum perche_rc query_changes(struct replica *r, struct args *a, struct json *j)
{
    struct asked q;
    char value[FIGURE_TEXT_MAX] = "";

    if (ask_what(r, a, &q) != PERCHE_OK || (*q.snapshot != '\0' && ask_published(r, &q, value) != PERCHE_OK))
        return r->fail;
    if (*q.name == '\0' || q.known_ms == 0)
        return fail(r, PERCHE_USAGE, "name a figure, and the instant since when it may have changed");
    write_asked(r, j, &q);
    out_key(j, "published");
    out_text(j, *value != '\0' ? value : NULL);
    (void)each(r, j, &q, write_change);
    facts_close(r);
    return r->fail;
}
