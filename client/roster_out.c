/* Cohorts and trainings are kept while the archive is written, learners and enrolments stream through: of them only ids are kept,
 * so that nothing refers to what is not in it, whatever is written at the site meanwhile. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ask.h"
#include "csv.h"
#include "pages.h"
#include "roster.h"
#include "text.h"
#include "zip.h"

struct ids { /* in the order of strcmp() */
    char **p;
    size_t n, cap;
};

struct pair {
    char *learner, *site;
};

struct out {
    struct client *c;
    struct zip_writer *zip;
    struct csv csv; /* of the file at hand */
    json_t *sites, *networks, *organisations, *trainings; /* arrays of objects */
    struct ids classes, users;
    struct pair *pairs; /* who is or was enrolled where */
    size_t pairs_count, pairs_cap;
    uint64_t cancelled, unused, nameless, loose; /* left out: cohorts, learners; in without a name; enrolments of those left out */
};

/* ---- rows ------------------------------------------------------------------------ */

static const char *cell(const json_t *columns, const json_t *row, const char *name)
{
    const char *text;

    for (size_t i = 0; i < json_array_size(columns); i++)
        if (strcmp(json_string_value(json_array_get(columns, i)), name) == 0) {
            text = json_string_value(json_array_get(row, i));
            return text ? text : "";
        }
    return "";
}

static bool is_true(const json_t *columns, const json_t *row, const char *name)
{
    for (size_t i = 0; i < json_array_size(columns); i++)
        if (strcmp(json_string_value(json_array_get(columns, i)), name) == 0)
            return json_integer_value(json_array_get(row, i)) != 0;
    return false;
}

typedef void (*row_cb)(struct out *o, const json_t *columns, const json_t *row);

static int each_row(struct out *o, const char *table, row_cb on_row)
{
    struct pages pages = {.c = o->c, .table = table};
    json_t *page, *row;
    int status;
    size_t i;

    while ((status = pages_next(&pages, &page)) == CLIENT_DONE && page) {
        json_array_foreach(get_array(page, "rows"), i, row) on_row(o, get_array(page, "columns"), row);
        json_decref(page);
    }
    pages_end(&pages);
    return status;
}

/* ---- ids ------------------------------------------------------------------------- */

static void ids_add(struct ids *ids, const char *id)
{
    if (ids->n == ids->cap)
        ids->p = must_have(realloc(ids->p, (ids->cap = ids->cap * 2 + 256) * sizeof *ids->p));
    ids->p[ids->n++] = text_copy(id, strlen(id));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool ids_have(const struct ids *ids, const char *id)
{
    return ids->n > 0 && bsearch(&id, ids->p, ids->n, sizeof *ids->p, by_text) != NULL;
}

static void ids_free(struct ids *ids)
{
    for (size_t i = 0; i < ids->n; i++)
        free(ids->p[i]);
    free(ids->p);
}

static int by_pair(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int c = strcmp(x->learner, y->learner);

    return c != 0 ? c : strcmp(x->site, y->site);
}

static void on_pair(struct out *o, const json_t *columns, const json_t *row)
{
    const char *learner = cell(columns, row, "learner_id"), *site = cell(columns, row, "site_id");

    if (o->pairs_count == o->pairs_cap)
        o->pairs = must_have(realloc(o->pairs, (o->pairs_cap = o->pairs_cap * 2 + 256) * sizeof *o->pairs));
    o->pairs[o->pairs_count++] = (struct pair){text_copy(learner, strlen(learner)), text_copy(site, strlen(site))};
}

/* ---- files ------------------------------------------------------------------------ */

static void begin(struct out *o, enum roster_file which)
{
    char *name = text_print("%s.csv", roster_specs[which].name);

    o->csv = (struct csv){.out = zip_begin(o->zip, name)};
    free(name);
    for (int i = 0; roster_specs[which].columns[i]; i++)
        csv_text(&o->csv, roster_specs[which].columns[i]);
    csv_end_row(&o->csv);
}

/* The cells of a row: column, value, ... NULL; all others stay empty, as status and dateLastModified have to in a bulk file. */
static void put(struct out *o, enum roster_file which, ...)
{
    const char *const *columns = roster_specs[which].columns, *values[ROSTER_COLUMNS_MAX] = {NULL}, *name;
    va_list ap;

    va_start(ap, which);
    while ((name = va_arg(ap, const char *)) != NULL) {
        const char *value = va_arg(ap, const char *);

        for (int i = 0; columns[i]; i++)
            if (strcmp(columns[i], name) == 0)
                values[i] = value;
    }
    va_end(ap);
    for (int i = 0; columns[i]; i++)
        csv_text(&o->csv, values[i] ? values[i] : "");
    csv_end_row(&o->csv);
}

static void put_manifest(struct out *o)
{
    struct csv csv = {.out = zip_begin(o->zip, "manifest.csv")};
    char name[64];
    const char *rows[][2] = {{"propertyName", "value"}, {"manifest.version", "1.0"}, {"oneroster.version", "1.1"}, {"source.systemName", "Perche"},
                             {"source.systemCode", "perche"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        csv_text(&csv, rows[i][0]);
        csv_text(&csv, rows[i][1]);
        csv_end_row(&csv);
    }
    for (int i = 0; i < ROSTER_FILES; i++) {
        (void)snprintf(name, sizeof name, "file.%s", roster_specs[i].name);
        csv_text(&csv, name);
        csv_text(&csv, "bulk");
        csv_end_row(&csv);
    }
    for (int i = 0; roster_absent[i]; i++) {
        (void)snprintf(name, sizeof name, "file.%s", roster_absent[i]);
        csv_text(&csv, name);
        csv_text(&csv, "absent");
        csv_end_row(&csv);
    }
}

/* ---- reference data ------------------------------------------------------------------ */

static const json_t *find(const json_t *rows, const char *id)
{
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row) if (strcmp(get_text(row, "id"), id) == 0) return row;
    return NULL;
}

static void put_orgs(struct out *o)
{
    const json_t *row;
    size_t i;

    begin(o, ROSTER_ORGS);
    json_array_foreach(o->networks, i, row) put(o, ROSTER_ORGS, "sourcedId", get_text(row, "id"), "name", get_text(row, "name"), "type", "district", NULL);
    json_array_foreach(o->organisations, i, row)
    {
        bool teaches = false;

        for (size_t k = 0; k < json_array_size(o->trainings) && !teaches; k++)
            teaches = strcmp(get_text(json_array_get(o->trainings, k), "pedagogy_org_id"), get_text(row, "id")) == 0;
        if (teaches)
            put(o, ROSTER_ORGS, "sourcedId", get_text(row, "id"), "name", get_text(row, "name"), "type", "local", "identifier", get_text(row, "siret"), NULL);
    }
    json_array_foreach(o->sites, i, row)
        put(o, ROSTER_ORGS, "sourcedId", get_text(row, "id"), "name", get_text(row, "name"), "type",
            strcmp(get_text(row, "kind"), "SCHOOL") == 0 ? "school" : "department", "identifier", get_text(row, "code"), "parentSourcedId",
            find(o->networks, get_text(row, "network_id")) ? get_text(row, "network_id") : "", NULL);
}

static void put_courses(struct out *o)
{
    const json_t *row;
    size_t i;

    begin(o, ROSTER_COURSES);
    json_array_foreach(o->trainings, i, row)
    {
        const char *org = get_text(row, "pedagogy_org_id");

        put(o, ROSTER_COURSES, "sourcedId", get_text(row, "id"), "title", get_text(row, "title"), "courseCode", get_text(row, "rncp_code"), "orgSourcedId",
            find(o->organisations, org) ? org : get_text(row, "network_id"), NULL);
    }
}

/* ---- cohorts --------------------------------------------------------------------------- */

static bool is_class(struct out *o, const json_t *columns, const json_t *row)
{
    char day[11];

    (void)o;
    return strcmp(cell(columns, row, "status"), "CANCELLED") != 0 && roster_day(cell(columns, row, "starts_on"), 0, day) &&
           roster_day(cell(columns, row, "ends_on"), 1, day);
}

static void on_session(struct out *o, const json_t *columns, const json_t *row)
{
    const char *starts = cell(columns, row, "starts_on");
    char term[1100], year[16], ends[11];

    if (!is_class(o, columns, row)) {
        o->cancelled++;
        return;
    }
    ids_add(&o->classes, cell(columns, row, "id"));
    (void)snprintf(term, sizeof term, "term-%s", cell(columns, row, "id"));
    (void)roster_day(cell(columns, row, "ends_on"), 1, ends);
    /* a school year is called by the year in which it ends, and begins in September */
    (void)snprintf(year, sizeof year, "%d", atoi(starts) + (atoi(starts + 5) >= 9));
    put(o, ROSTER_SESSIONS, "sourcedId", term, "title", cell(columns, row, "code"), "type", "term", "startDate", starts, "endDate", ends, "schoolYear", year, NULL);
}

static void on_class(struct out *o, const json_t *columns, const json_t *row)
{
    const char *id = cell(columns, row, "id"), *code = cell(columns, row, "code");
    const json_t *training = find(o->trainings, cell(columns, row, "training_id"));
    char term[1100], *title;

    if (!ids_have(&o->classes, id)) /* it was left out, or has come since */
        return;
    (void)snprintf(term, sizeof term, "term-%s", id);
    title = training ? text_print("%s %s", code, get_text(training, "title")) : text_copy(code, strlen(code));
    put(o, ROSTER_CLASSES, "sourcedId", id, "title", title, "courseSourcedId", cell(columns, row, "training_id"), "classCode", code, "classType", "scheduled",
        "schoolSourcedId", cell(columns, row, "site_id"), "termSourcedIds", term, NULL);
    free(title);
}

/* ---- people ----------------------------------------------------------------------------- */

/* The schools of a learner: the present one, then those of the enrolments. malloc. */
static char *schools_of(const struct out *o, const char *learner, const char *home)
{
    char *text = text_copy(home, strlen(home));
    size_t low = 0, high = o->pairs_count;

    while (low < high) {
        size_t at = (low + high) / 2;

        if (strcmp(o->pairs[at].learner, learner) < 0)
            low = at + 1;
        else
            high = at;
    }
    for (size_t i = low; i < o->pairs_count && strcmp(o->pairs[i].learner, learner) == 0; i++) {
        char *more;

        if (strcmp(o->pairs[i].site, home) == 0 || (i > low && strcmp(o->pairs[i].site, o->pairs[i - 1].site) == 0))
            continue;
        more = text_print("%s,%s", text, o->pairs[i].site);
        free(text);
        text = more;
    }
    return text;
}

/* The first of two columns that says something. */
static char *either(const json_t *columns, const json_t *row, const char *first, const char *second)
{
    char *text = csv_trimmed(cell(columns, row, first));

    if (*text)
        return text;
    free(text);
    return csv_trimmed(cell(columns, row, second));
}

static void on_user(struct out *o, const json_t *columns, const json_t *row)
{
    const char *id = cell(columns, row, "id");
    char *given, *family, *schools;

    if (is_true(columns, row, "restricted") || *cell(columns, row, "erased_at")) {
        o->unused++;
        return;
    }
    given = either(columns, row, "call_name", "given_names");
    family = either(columns, row, "use_family_name", "birth_family_name");
    schools = schools_of(o, id, cell(columns, row, "home_site_id"));
    o->nameless += !*given || !*family;
    ids_add(&o->users, id);
    put(o, ROSTER_USERS, "sourcedId", id, "enabledUser", "true", "orgSourcedIds", schools, "role", "student", "username", id, "givenName", given, "familyName", family,
        NULL);
    free(given);
    free(family);
    free(schools);
}

static void on_demographics(struct out *o, const json_t *columns, const json_t *row)
{
    const char *id = cell(columns, row, "id"), *sex = cell(columns, row, "sex"), *born = cell(columns, row, "birth_date"), *country = cell(columns, row, "birth_country");
    char day[11];

    if (!ids_have(&o->users, id))
        return;
    put(o, ROSTER_DEMOGRAPHICS, "sourcedId", id, "birthDate", roster_day(born, 0, day) ? born : "", "sex",
        strcmp(sex, "F") == 0 ? "female" : strcmp(sex, "M") == 0 ? "male" : "", "countryOfBirthCode", strlen(country) == 2 ? country : "", NULL);
}

static void on_enrollment(struct out *o, const json_t *columns, const json_t *row)
{
    const char *learner = cell(columns, row, "learner_id"), *cohort = cell(columns, row, "cohort_id"), *from = cell(columns, row, "actual_start");
    char ends[11] = "", day[11];

    if (!ids_have(&o->users, learner) || !ids_have(&o->classes, cohort)) {
        o->loose++;
        return;
    }
    if (!roster_day(cell(columns, row, "actual_end"), 1, ends))
        ends[0] = '\0';
    put(o, ROSTER_ENROLLMENTS, "sourcedId", cell(columns, row, "id"), "classSourcedId", cohort, "schoolSourcedId", cell(columns, row, "site_id"), "userSourcedId", learner,
        "role", "student", "primary", "false", "beginDate", roster_day(from, 0, day) ? from : "", "endDate", ends, NULL);
}

/* ---- the archive -------------------------------------------------------------------------- */

static int file_of(struct out *o, enum roster_file which, const char *table, row_cb on_row)
{
    begin(o, which);
    return each_row(o, table, on_row);
}

static int put_all(struct out *o)
{
    int status;

    if ((status = pages_load(o->c, "site", &o->sites)) != CLIENT_DONE || (status = pages_load(o->c, "network", &o->networks)) != CLIENT_DONE ||
        (status = pages_load(o->c, "organisation", &o->organisations)) != CLIENT_DONE || (status = pages_load(o->c, "training", &o->trainings)) != CLIENT_DONE ||
        (status = each_row(o, "enrolment", on_pair)) != CLIENT_DONE)
        return status;
    if (o->pairs_count > 0)
        qsort(o->pairs, o->pairs_count, sizeof *o->pairs, by_pair);
    put_manifest(o);
    put_orgs(o);
    put_courses(o);
    if ((status = file_of(o, ROSTER_SESSIONS, "cohort", on_session)) != CLIENT_DONE || (status = file_of(o, ROSTER_CLASSES, "cohort", on_class)) != CLIENT_DONE ||
        (status = file_of(o, ROSTER_USERS, "learner", on_user)) != CLIENT_DONE ||
        (status = file_of(o, ROSTER_DEMOGRAPHICS, "learner", on_demographics)) != CLIENT_DONE)
        return status;
    return file_of(o, ROSTER_ENROLLMENTS, "enrolment", on_enrollment);
}

static void say_left(const struct out *o)
{
    static const char say[] = "left out: %llu %s\n";

    if (o->unused > 0)
        fprintf(o->c->err, say, (unsigned long long)o->unused, "learners who are restricted or were erased");
    if (o->cancelled > 0)
        fprintf(o->c->err, say, (unsigned long long)o->cancelled, "cohorts that were cancelled or have no right days");
    if (o->loose > 0)
        fprintf(o->c->err, say, (unsigned long long)o->loose, "enrolments whose learner or cohort is not in the archive");
    if (o->nameless > 0)
        fprintf(o->c->err, "%llu learners have no given name or no family name, which OneRoster asks for\n", (unsigned long long)o->nameless);
}

int roster_export(struct client *c, FILE *out)
{
    struct out o = {.c = c, .zip = zip_new(out, (long long)(client_now(c) / 1000))};
    int status = put_all(&o);

    if (!zip_end(o.zip) && status == CLIENT_DONE) {
        fputs("perche: the archive could not be written.\n", c->err);
        status = CLIENT_NO;
    }
    if (status == CLIENT_DONE)
        say_left(&o);
    for (size_t i = 0; i < o.pairs_count; i++) {
        free(o.pairs[i].learner);
        free(o.pairs[i].site);
    }
    free(o.pairs);
    ids_free(&o.classes);
    ids_free(&o.users);
    json_decref(o.sites);
    json_decref(o.networks);
    json_decref(o.organisations);
    json_decref(o.trainings);
    return status;
}
