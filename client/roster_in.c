/* The whole archive is read and looked at before anything is sent. Then come its courses, classes, students and enrollments, in
 * this order, each as rows of one table of ours. A reference is the other program's id, which the daemon has kept of the
 * row that it took in before (external_id).
 *
 * What is wrong is refused with its file, line and column. What is right and not taken, as it is none of this
 * node's or of ours, is listed apart: nothing is passed over in silence, and nothing is ever deleted. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <jansson.h>

#include "ask.h"
#include "csv.h"
#include "import.h"
#include "pages.h"
#include "roster.h"
#include "text.h"
#include "zip.h"

#define ROWS_MAX 300000   /* of one file: the rows are kept while they are sent */
#define CELL_BYTES_MAX 1000
#define DRY_ROWS 100      /* enrollments of a trial go with all that they stand on, in one request */
#define SOURCE "oneroster"

enum state {
    ROW_TAKE,
    ROW_LEFT,   /* right, and not taken */
    ROW_REFUSED /* wrong */
};

struct row {
    const char *cells[ROSTER_COLUMNS_MAX]; /* by the columns of the specification, trimmed; "" = none */
    int line;
    enum state state;
    uint32_t students; /* of a class */
};

struct file {
    const struct roster_spec *spec;
    char name[32];
    bool there;
    struct csv_file csv; /* open: the cells are in it */
    int at[ROSTER_COLUMNS_MAX], columns; /* where each stands in the file, -1 = nowhere; how many it has */
    struct row *rows;
    uint32_t count, cap;
    uint32_t *by_id; /* rows in the order of their sourcedId */
};

struct roster {
    struct import *m;
    struct client *c;
    struct file files[ROSTER_FILES];
    enum roster_file now; /* whose rows are sent */
    json_t *left;         /* {file, line, why} */
    json_t *sites, *trainings;
    char site[64], network[64], today[11];
    bool hub;
};

/* ---- cells ----------------------------------------------------------------------- */

static int column_of(const struct file *f, const char *name)
{
    int i = 0;

    while (f->spec->columns[i] && strcmp(f->spec->columns[i], name) != 0)
        i++;
    return i;
}

static const char *value(const struct file *f, uint32_t row, const char *name)
{
    return f->rows[row].cells[column_of(f, name)];
}

/* The row of that sourcedId, of several the first; -1: there is none. */
static long find(const struct file *f, const char *id)
{
    uint32_t low = 0, high = f->by_id ? f->count : 0;

    while (low < high) {
        uint32_t at = low + (high - low) / 2;

        if (strcmp(value(f, f->by_id[at], "sourcedId"), id) < 0)
            low = at + 1;
        else
            high = at;
    }
    return f->by_id && low < f->count && strcmp(value(f, f->by_id[low], "sourcedId"), id) == 0 ? (long)f->by_id[low] : -1;
}

/* malloc */
static char *printed(const char *fmt, va_list ap)
{
    char *text = NULL;

    return vasprintf(&text, fmt, ap) < 0 ? must_have(NULL) : text;
}

static void refuse(struct roster *r, enum roster_file which, uint32_t row, const char *column, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void refuse(struct roster *r, enum roster_file which, uint32_t row, const char *column, const char *fmt, ...)
{
    struct file *f = &r->files[which];
    const char *cell = column ? value(f, row, column) : "";
    char *why;
    va_list ap;

    va_start(ap, fmt);
    why = printed(fmt, ap);
    va_end(ap);
    f->rows[row].state = ROW_REFUSED;
    import_refuse(r->m, f->name, f->rows[row].line, column, *cell ? cell : NULL, "%s", why);
    free(why);
}

static void leave(struct roster *r, const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* @line 0: of a whole file. */
static void leave(struct roster *r, const char *file, int line, const char *fmt, ...)
{
    char *why, *clean;
    json_t *it;
    va_list ap;

    va_start(ap, fmt);
    why = printed(fmt, ap);
    va_end(ap);
    clean = text_clean(file, strlen(file));
    it = must_have(json_pack("{s:s, s:s}", "file", clean, "why", why));
    json_object_set_new(it, "line", line > 0 ? json_integer(line) : json_null());
    json_array_append_new(r->left, it);
    free(clean);
    free(why);
}

static bool fatal(struct roster *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool fatal(struct roster *r, const char *fmt, ...)
{
    char *why;
    va_list ap;

    va_start(ap, fmt);
    why = printed(fmt, ap);
    va_end(ap);
    text_say(r->c->err, "perche: %s", why);
    free(why);
    return false;
}

/* ---- the archive ------------------------------------------------------------------ */

static void on_other(void *ctx, const char *name)
{
    struct roster *r = ctx;
    const char *slash = name ? strrchr(name, '/') : NULL;

    if (name && strncmp(name, "__MACOSX/", 9) == 0) /* what a Mac adds to each */
        return;
    leave(r, name ? name : "(a name that cannot be read)", 0, "%s",
          slash ? "passed over: the files stand at the top of the archive, in no folder" : "passed over: no file of those that are taken in");
}

static bool has_all(const struct file *f, const char **missing)
{
    char name[64];

    for (int i = 0; f->spec->columns[i]; i++) {
        (void)snprintf(name, sizeof name, "%s ", f->spec->columns[i]);
        if (f->at[i] < 0 && strstr(f->spec->required, name)) {
            *missing = f->spec->columns[i];
            return false;
        }
    }
    return true;
}

static bool read_heads(struct roster *r, struct file *f)
{
    const struct csv_row *heads = csv_next(&f->csv);
    const char *missing = NULL;

    for (int i = 0; f->spec->columns[i]; i++)
        f->at[i] = -1;
    f->columns = heads ? heads->count : 0;
    if (f->columns > CSV_CELLS_MAX)
        return fatal(r, "%s, line 1: it has %d columns.", f->name, f->columns);
    for (int k = 0; heads && k < heads->count; k++) {
        char *name = csv_trimmed(heads->cells[k].text);
        int i = column_of(f, name);
        bool twice = f->spec->columns[i] && f->at[i] >= 0;

        if (f->spec->columns[i] && !twice)
            f->at[i] = k;
        free(name);
        if (twice)
            return fatal(r, "%s, line 1: two columns are called %s.", f->name, f->spec->columns[i]);
    }
    return has_all(f, &missing) || fatal(r, "%s, line 1: there is no column %s, which OneRoster 1.1 asks for; names count as they are written there.", f->name, missing);
}

/* In place: the cells stand in a text of our own. */
static char *trim(struct csv_cell *cell)
{
    char *text = cell->text;
    size_t n;

    text += strspn(text, " \t");
    n = strlen(text);
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        text[--n] = '\0';
    return text;
}

/* @row of the file as a row of ours; what is wrong with its form is refused. */
static void take_row(struct roster *r, enum roster_file which, const struct csv_row *row)
{
    struct file *f = &r->files[which];
    uint32_t at = f->count;

    if (f->count == f->cap)
        f->rows = must_have(realloc(f->rows, (f->cap = f->cap * 2 + 256) * sizeof *f->rows));
    f->rows[f->count++] = (struct row){.line = row->line};
    for (int i = 0; i < ROSTER_COLUMNS_MAX; i++)
        f->rows[at].cells[i] = "";
    if (row->count != f->columns) {
        refuse(r, which, at, NULL, "%d cells, the first line has %d columns", row->count, f->columns);
        return;
    }
    for (int i = 0; f->spec->columns[i]; i++)
        if (f->at[i] >= 0)
            f->rows[at].cells[i] = trim(&row->cells[f->at[i]]);
    for (int i = 0; f->spec->columns[i]; i++)
        if (strlen(f->rows[at].cells[i]) > CELL_BYTES_MAX) {
            f->rows[at].cells[i] = "";
            refuse(r, which, at, f->spec->columns[i], "the value has more than %d bytes", CELL_BYTES_MAX);
            return;
        }
}

static struct file *sorted; /* by by_id(): qsort() has no argument of its own */

static int by_id(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int c = strcmp(value(sorted, x, "sourcedId"), value(sorted, y, "sourcedId"));

    return c != 0 ? c : x < y ? -1 : x > y;
}

static void sort_rows(struct roster *r, enum roster_file which)
{
    struct file *f = &r->files[which];

    f->by_id = must_have(calloc((size_t)f->count + 1, sizeof *f->by_id));
    for (uint32_t i = 0; i < f->count; i++)
        f->by_id[i] = i;
    sorted = f;
    if (f->count > 0)
        qsort(f->by_id, f->count, sizeof *f->by_id, by_id);
    for (uint32_t i = 1; i < f->count; i++) {
        const char *id = value(f, f->by_id[i], "sourcedId");

        if (*id && strcmp(id, value(f, f->by_id[i - 1], "sourcedId")) == 0 && f->rows[f->by_id[i]].state == ROW_TAKE)
            refuse(r, which, f->by_id[i], "sourcedId", "an earlier line has this sourcedId as well");
    }
}

static bool read_file(struct roster *r, enum roster_file which, const struct zip_member *member)
{
    struct file *f = &r->files[which];
    const struct csv_row *row;
    int line;

    if (!csv_open(&f->csv, member->bytes, member->n, &line))
        return fatal(r, "%s, line %d: a quote is opened and never closed, or it is no text.", f->name, line);
    if (!read_heads(r, f))
        return false;
    while ((row = csv_next(&f->csv)) != NULL) {
        if (f->count == ROWS_MAX)
            return fatal(r, "%s: it has more than %d rows: cut it in parts.", f->name, ROWS_MAX);
        take_row(r, which, row);
    }
    sort_rows(r, which);
    return true;
}

/* ---- the manifest -------------------------------------------------------------------- */

/* What the manifest says of a property; malloc, NULL = nothing. */
static char *property(const struct zip_member *manifest, const char *name)
{
    struct csv_file csv;
    const struct csv_row *row;
    char *found = NULL;
    int line;

    if (csv_open(&csv, manifest->bytes, manifest->n, &line))
        while (!found && (row = csv_next(&csv)) != NULL)
            if (row->count >= 2 && strcmp(trim(&row->cells[0]), name) == 0)
                found = csv_trimmed(row->cells[1].text);
    csv_close(&csv);
    return found;
}

static bool version_is(struct roster *r, const struct zip_member *manifest, const char *name, const char *wanted)
{
    char *said = property(manifest, name);
    bool good = said && strcmp(said, wanted) == 0;

    if (!good)
        (void)fatal(r, "manifest.csv: %s is %s; OneRoster 1.1 says %s, and no other version is read here.", name, said && *said ? said : "missing", wanted);
    free(said);
    return good;
}

/* Is it bulk or delta, and there? */
static bool file_stands(struct roster *r, enum roster_file which, const struct zip_member *manifest, const struct zip_member *member)
{
    struct file *f = &r->files[which];
    char *name = text_print("file.%s", f->spec->name), *said = property(manifest, name);
    bool good = true;

    f->there = said && (strcmp(said, "bulk") == 0 || strcmp(said, "delta") == 0);
    if (said && *said && !f->there && strcmp(said, "absent") != 0)
        good = fatal(r, "manifest.csv: %s is %s: it is bulk, delta or absent.", name, said);
    else if (f->there && !member->bytes)
        good = fatal(r, "manifest.csv says that %s is there (%s), and the archive has no such file.", f->name, said);
    else if (!f->there && member->bytes)
        leave(r, f->name, 0, "passed over: the manifest does not say that it is there");
    free(said);
    free(name);
    return good;
}

static bool read_files(struct roster *r, const struct zip_member *members)
{
    const struct zip_member *manifest = &members[ROSTER_FILES];

    if (!manifest->bytes)
        return fatal(r, "the archive has no manifest.csv at its top: it is no OneRoster 1.1.");
    if (!version_is(r, manifest, "manifest.version", "1.0") || !version_is(r, manifest, "oneroster.version", "1.1"))
        return false;
    for (int i = 0; i < ROSTER_FILES; i++)
        if (!file_stands(r, (enum roster_file)i, manifest, &members[i]))
            return false;
    for (int i = 0; i < ROSTER_FILES; i++)
        if (r->files[i].there && !read_file(r, (enum roster_file)i, &members[i]))
            return false;
    return true;
}

static bool read_archive(struct roster *r, const char *bytes, size_t n)
{
    struct zip_member members[ROSTER_FILES + 1] = {{0}};
    char *why = NULL;
    bool good;

    for (int i = 0; i < ROSTER_FILES; i++) {
        r->files[i].spec = &roster_specs[i];
        (void)snprintf(r->files[i].name, sizeof r->files[i].name, "%s.csv", roster_specs[i].name);
        members[i].name = r->files[i].name;
    }
    members[ROSTER_FILES].name = "manifest.csv";
    good = zip_read(bytes, n, members, ROSTER_FILES + 1, on_other, r, &why) ? read_files(r, members) : fatal(r, "%s", why);
    zip_clear(members, ROSTER_FILES + 1);
    free(why);
    return good;
}

/* ---- this node ----------------------------------------------------------------------- */

static int ask_node(struct roster *r)
{
    json_t *status_doc = NULL, *networks = NULL;
    time_t seconds = (time_t)(client_now(r->c) / 1000);
    struct tm tm;
    int status = ask(r->c, "status", NULL, ASK_MS, &status_doc);

    if (status == CLIENT_DONE) {
        r->hub = strcmp(get_text(status_doc, "role"), "hub") == 0;
        (void)snprintf(r->site, sizeof r->site, "%s", get_text(status_doc, "id"));
        status = pages_load(r->c, "site", &r->sites);
    }
    if (status == CLIENT_DONE)
        status = pages_load(r->c, "training", &r->trainings);
    if (status == CLIENT_DONE)
        status = pages_load(r->c, "network", &networks);
    (void)snprintf(r->network, sizeof r->network, "%s", get_text(json_array_get(networks, 0), "id"));
    if (gmtime_r(&seconds, &tm))
        (void)strftime(r->today, sizeof r->today, "%Y-%m-%d", &tm);
    json_decref(networks);
    json_decref(status_doc);
    return status;
}

/* The site that an org of the archive is; NULL: none of ours. */
static const char *site_of(const struct roster *r, const char *org)
{
    const struct file *orgs = &r->files[ROSTER_ORGS];
    long at = find(orgs, org);
    const char *identifier = at < 0 ? "" : value(orgs, (uint32_t)at, "identifier"), *name = at < 0 ? "" : value(orgs, (uint32_t)at, "name");
    const json_t *site;
    size_t i;

    json_array_foreach(r->sites, i, site) if (strcmp(get_text(site, "id"), org) == 0) return get_text(site, "id");
    json_array_foreach(r->sites, i, site) if (*identifier && strcasecmp(get_text(site, "code"), identifier) == 0) return get_text(site, "id");
    json_array_foreach(r->sites, i, site)
        if (*name && (strcasecmp(get_text(site, "name"), name) == 0 || strcasecmp(get_text(site, "code"), name) == 0)) return get_text(site, "id");
    return NULL;
}

static const char *org_name(const struct roster *r, const char *org)
{
    long at = find(&r->files[ROSTER_ORGS], org);

    return at < 0 ? org : value(&r->files[ROSTER_ORGS], (uint32_t)at, "name");
}

/* The training of ours that a course is: by its id; at a site, where no course is taken in, also by its title. NULL: none. */
static const char *training_of(const struct roster *r, const char *course)
{
    const struct file *courses = &r->files[ROSTER_COURSES];
    long at = find(courses, course);
    const char *title = at < 0 || r->hub ? "" : value(courses, (uint32_t)at, "title");
    const json_t *training;
    size_t i;

    json_array_foreach(r->trainings, i, training) if (strcmp(get_text(training, "id"), course) == 0) return get_text(training, "id");
    json_array_foreach(r->trainings, i, training) if (*title && strcasecmp(get_text(training, "title"), title) == 0) return get_text(training, "id");
    return NULL;
}

/* ---- what is taken --------------------------------------------------------------------- */

static bool is_bare(struct roster *r, enum roster_file which, uint32_t row)
{
    const struct file *f = &r->files[which];
    const char *status = value(f, row, "status");
    char name[64];

    if (strcmp(status, "tobedeleted") == 0) {
        leave(r, f->name, f->rows[row].line, "%s is to be deleted, which no import does: it stays as it is", value(f, row, "sourcedId"));
        r->files[which].rows[row].state = ROW_LEFT;
        return false;
    }
    if (*status && strcmp(status, "active") != 0) {
        refuse(r, which, row, "status", "it is active or tobedeleted in OneRoster 1.1");
        return false;
    }
    for (int i = 0; f->spec->columns[i]; i++) {
        (void)snprintf(name, sizeof name, "%s ", f->spec->columns[i]);
        if (*f->rows[row].cells[i] == '\0' && strstr(f->spec->required, name)) {
            refuse(r, which, row, f->spec->columns[i], "it must have a value");
            return false;
        }
    }
    return true;
}

typedef void (*check_cb)(struct roster *r, uint32_t row);

static void check_file(struct roster *r, enum roster_file which, check_cb check)
{
    for (uint32_t i = 0; i < r->files[which].count; i++)
        if (r->files[which].rows[i].state == ROW_TAKE && is_bare(r, which, i) && check)
            check(r, i);
}

static void check_day(struct roster *r, enum roster_file which, uint32_t row, const char *column)
{
    char day[11];
    const char *text = value(&r->files[which], row, column);

    if (r->files[which].rows[row].state == ROW_TAKE && *text && !roster_day(text, 0, day))
        refuse(r, which, row, column, "it is no day: OneRoster writes 2016-04-13");
}

static void check_session(struct roster *r, uint32_t row)
{
    check_day(r, ROSTER_SESSIONS, row, "startDate");
    check_day(r, ROSTER_SESSIONS, row, "endDate");
}

static void check_demographics(struct roster *r, uint32_t row)
{
    const char *sex = value(&r->files[ROSTER_DEMOGRAPHICS], row, "sex");

    check_day(r, ROSTER_DEMOGRAPHICS, row, "birthDate");
    if (r->files[ROSTER_DEMOGRAPHICS].rows[row].state == ROW_TAKE && *sex && strcmp(sex, "male") != 0 && strcmp(sex, "female") != 0)
        refuse(r, ROSTER_DEMOGRAPHICS, row, "sex", "it is male, female or empty in OneRoster 1.1");
}

/* Is the school of a row one that this node writes? */
static bool school_is_ours(struct roster *r, enum roster_file which, uint32_t row)
{
    struct file *f = &r->files[which];
    const char *org = value(f, row, "schoolSourcedId"), *site = site_of(r, org);

    if (!site)
        refuse(r, which, row, "schoolSourcedId", "no site is called \"%s\" here, by id, code or name: the hub invites one first", org_name(r, org));
    else if (!r->hub && strcmp(site, r->site) != 0)
        f->rows[row].state = ROW_LEFT;
    return f->rows[row].state == ROW_TAKE;
}

static void check_class(struct roster *r, uint32_t row)
{
    struct file *f = &r->files[ROSTER_CLASSES], *courses = &r->files[ROSTER_COURSES];
    const char *course = value(f, row, "courseSourcedId");
    long at = find(courses, course);

    if (!school_is_ours(r, ROSTER_CLASSES, row))
        return;
    if (training_of(r, course))
        return;
    if (!r->hub)
        refuse(r, ROSTER_CLASSES, row, "courseSourcedId", "no training is called \"%s\" here: only the hub adds one", at < 0 ? course : value(courses, (uint32_t)at, "title"));
    else if (courses->there && (at < 0 || courses->rows[at].state != ROW_TAKE))
        refuse(r, ROSTER_CLASSES, row, "courseSourcedId", at < 0 ? "courses.csv has no such sourcedId" : "its course was not taken in");
}

/* Calls for each name of a list with commas; true when one call says so. */
static bool each_of(const char *list, bool (*call)(void *ctx, const char *name), void *ctx)
{
    char *copy = text_copy(list, strlen(list)), *save = NULL;
    bool found = false;

    for (char *p = strtok_r(copy, ",", &save); p && !found; p = strtok_r(NULL, ",", &save)) {
        struct csv_cell cell = {p, false};
        char *name = trim(&cell);

        found = *name && call(ctx, name);
    }
    free(copy);
    return found;
}

struct home {
    struct roster *r;
    const char *site; /* the first that is a site of ours; at a site: itself, if it is among them */
    bool other;       /* another site is */
};

static bool on_home(void *ctx, const char *org)
{
    struct home *h = ctx;
    const char *site = site_of(h->r, org);

    if (site && (h->r->hub || strcmp(site, h->r->site) == 0))
        h->site = site;
    else if (site)
        h->other = true;
    return h->site != NULL;
}

static struct home home_of(struct roster *r, uint32_t row)
{
    struct home h = {.r = r};

    (void)each_of(value(&r->files[ROSTER_USERS], row, "orgSourcedIds"), on_home, &h);
    return h;
}

static bool is_student(const struct file *f, uint32_t row)
{
    return strcmp(value(f, row, "role"), "student") == 0;
}

static void check_user(struct roster *r, uint32_t row)
{
    struct file *f = &r->files[ROSTER_USERS];
    struct home h;

    if (!is_student(f, row)) {
        f->rows[row].state = ROW_LEFT;
        return;
    }
    h = home_of(r, row);
    if (!h.site && h.other)
        f->rows[row].state = ROW_LEFT;
    else if (!h.site)
        refuse(r, ROSTER_USERS, row, "orgSourcedIds", "none of these is a site here, by id, code or name: the hub invites one first");
}

/* Is what a row refers to taken in? When its file is not there the daemon may know it from an earlier one. */
static void check_reference(struct roster *r, uint32_t row, const char *column, enum roster_file to)
{
    struct file *f = &r->files[ROSTER_ENROLLMENTS], *other = &r->files[to];
    long at = find(other, value(f, row, column));

    if (f->rows[row].state != ROW_TAKE || !other->there)
        return;
    if (at < 0)
        refuse(r, ROSTER_ENROLLMENTS, row, column, "%s has no such sourcedId", other->name);
    else if (other->rows[at].state != ROW_TAKE)
        refuse(r, ROSTER_ENROLLMENTS, row, column, "line %d of %s, which it refers to, is not taken in", other->rows[at].line, other->name);
}

static void check_enrollment(struct roster *r, uint32_t row)
{
    struct file *f = &r->files[ROSTER_ENROLLMENTS];

    if (!is_student(f, row)) {
        f->rows[row].state = ROW_LEFT;
        return;
    }
    if (!school_is_ours(r, ROSTER_ENROLLMENTS, row))
        return;
    check_reference(r, row, "classSourcedId", ROSTER_CLASSES);
    check_reference(r, row, "userSourcedId", ROSTER_USERS);
    check_day(r, ROSTER_ENROLLMENTS, row, "beginDate");
    check_day(r, ROSTER_ENROLLMENTS, row, "endDate");
    if (f->rows[row].state == ROW_TAKE && find(&r->files[ROSTER_CLASSES], value(f, row, "classSourcedId")) >= 0)
        r->files[ROSTER_CLASSES].rows[find(&r->files[ROSTER_CLASSES], value(f, row, "classSourcedId"))].students++;
}

/* How many rows are none of this node's: told by file, as they may be many. */
static void tell_left(struct roster *r)
{
    static const enum roster_file whose[] = {ROSTER_CLASSES, ROSTER_USERS, ROSTER_ENROLLMENTS};

    for (size_t k = 0; k < sizeof whose / sizeof *whose; k++) {
        struct file *f = &r->files[whose[k]];
        uint32_t others = 0, roles = 0;

        for (uint32_t i = 0; i < f->count; i++) {
            if (f->rows[i].state != ROW_LEFT || strcmp(value(f, i, "status"), "tobedeleted") == 0)
                continue;
            if (whose[k] != ROSTER_CLASSES && !is_student(f, i))
                roles++;
            else
                others++;
        }
        if (roles > 0)
            leave(r, f->name, 0, "%u rows of another role than student are passed over", roles);
        if (others > 0)
            leave(r, f->name, 0, "%u rows are of other schools: they take them in, or the hub does", others);
    }
}

/* Schools and trainings are found here, and not made: those that are not there. */
static void check_org(struct roster *r, uint32_t row)
{
    struct file *f = &r->files[ROSTER_ORGS];

    if (strcmp(value(f, row, "type"), "school") == 0 && !site_of(r, value(f, row, "sourcedId")))
        leave(r, f->name, f->rows[row].line, "no site is called \"%s\" here, by id, code or name: the hub invites one first", value(f, row, "name"));
}

static void check_course(struct roster *r, uint32_t row)
{
    struct file *f = &r->files[ROSTER_COURSES];

    if (!r->hub && !training_of(r, value(f, row, "sourcedId")))
        leave(r, f->name, f->rows[row].line, "no training is called \"%s\" here: only the hub adds one", value(f, row, "title"));
}

static void check_all(struct roster *r)
{
    check_file(r, ROSTER_ORGS, check_org);
    check_file(r, ROSTER_SESSIONS, check_session);
    check_file(r, ROSTER_COURSES, check_course);
    check_file(r, ROSTER_CLASSES, check_class);
    check_file(r, ROSTER_DEMOGRAPHICS, check_demographics);
    check_file(r, ROSTER_USERS, check_user);
    check_file(r, ROSTER_ENROLLMENTS, check_enrollment);
    tell_left(r);
}

/* ---- rows of ours ------------------------------------------------------------------------ */

static json_t *plain(const char *text)
{
    return must_have(*text ? json_string(text) : json_null());
}

static json_t *marked(const char *kind, const char *text) /* "new", "external": docs/control.md */
{
    return must_have(*text ? json_pack("{s:s}", kind, text) : json_null());
}

static json_t *names(const char *list)
{
    json_t *out = json_array();
    char *copy = text_copy(list, strlen(list)), *save = NULL;

    for (char *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save))
        json_array_append_new(out, must_have(json_string(p)));
    free(copy);
    return out;
}

static json_t *course_row(struct roster *r, uint32_t row)
{
    const struct file *f = &r->files[ROSTER_COURSES];

    return must_have(json_pack("[i, s, o, s]", f->rows[row].line, value(f, row, "sourcedId"), marked("new", r->network), value(f, row, "title")));
}

struct term {
    const struct file *sessions;
    char from[11], to[11]; /* both in it; "" = not known */
};

static bool on_term(void *ctx, const char *id)
{
    struct term *t = ctx;
    long at = find(t->sessions, id);
    const char *from = at < 0 ? "" : value(t->sessions, (uint32_t)at, "startDate");
    char to[11];

    if (at < 0 || t->sessions->rows[at].state != ROW_TAKE || !roster_day(value(t->sessions, (uint32_t)at, "endDate"), -1, to))
        return false;
    if (strcmp(to, from) < 0) /* one day, and its end written as the last one */
        memcpy(to, from, 11);
    if (!*t->from || strcmp(from, t->from) < 0)
        memcpy(t->from, from, 11);
    if (!*t->to || strcmp(to, t->to) > 0)
        memcpy(t->to, to, 11);
    return false;
}

static struct term term_of(struct roster *r, uint32_t row)
{
    struct term t = {&r->files[ROSTER_SESSIONS], "", ""};

    (void)each_of(value(&r->files[ROSTER_CLASSES], row, "termSourcedIds"), on_term, &t);
    return t;
}

static json_t *class_row(struct roster *r, uint32_t row)
{
    const struct file *f = &r->files[ROSTER_CLASSES];
    const char *course = value(f, row, "courseSourcedId"), *training = training_of(r, course), *code = value(f, row, "classCode");
    struct term t = term_of(r, row);
    const char *status = !*t.from || strcmp(r->today, t.from) < 0 ? "PLANNED" : strcmp(r->today, t.to) > 0 ? "ENDED" : "RUNNING";
    char places[16];

    (void)snprintf(places, sizeof places, "%u", f->rows[row].students);
    return must_have(json_pack("[i, s, o, o, s, o, o, o, o, o]", f->rows[row].line, value(f, row, "sourcedId"), marked("new", site_of(r, value(f, row, "schoolSourcedId"))),
                               training ? plain(training) : marked("external", course), *code ? code : value(f, row, "title"), plain(t.from), plain(t.to),
                               marked("new", places), marked("new", "ON_SITE"), marked("new", status)));
}

static json_t *user_row(struct roster *r, uint32_t row)
{
    const struct file *f = &r->files[ROSTER_USERS], *d = &r->files[ROSTER_DEMOGRAPHICS];
    const char *middle = value(f, row, "middleName"), *sex, *home = r->hub ? home_of(r, row).site : "";
    long at = find(d, value(f, row, "sourcedId"));
    bool told = at >= 0 && d->rows[at].state == ROW_TAKE;
    char *given = text_print("%s%s%s", value(f, row, "givenName"), *middle ? " " : "", middle);
    json_t *out;

    sex = told ? value(d, (uint32_t)at, "sex") : "";
    out = must_have(json_pack("[i, s, o, o, o, o, o, o]", f->rows[row].line, value(f, row, "sourcedId"), marked("new", home), plain(value(f, row, "familyName")), plain(given),
                              plain(told ? value(d, (uint32_t)at, "birthDate") : ""), plain(strcmp(sex, "female") == 0 ? "F" : strcmp(sex, "male") == 0 ? "M" : ""),
                              plain(told ? value(d, (uint32_t)at, "countryOfBirthCode") : "")));
    free(given);
    return out;
}

static json_t *enrollment_row(struct roster *r, uint32_t row)
{
    const struct file *f = &r->files[ROSTER_ENROLLMENTS];
    const char *from = value(f, row, "beginDate");
    long class = find(&r->files[ROSTER_CLASSES], value(f, row, "classSourcedId"));
    struct term t = class < 0 ? (struct term){0} : term_of(r, (uint32_t)class);
    char to[11];

    if (!roster_day(value(f, row, "endDate"), -1, to))
        to[0] = '\0';
    /* a day to come is planned, and no more */
    return must_have(json_pack("[i, s, o, o, s, o, o, o, o]", f->rows[row].line, value(f, row, "sourcedId"), marked("external", value(f, row, "userSourcedId")),
                               marked("external", value(f, row, "classSourcedId")), site_of(r, value(f, row, "schoolSourcedId")), marked("new", *from ? from : t.from),
                               marked("new", *to ? to : t.to), plain(strcmp(from, r->today) <= 0 ? from : ""), plain(strcmp(to, r->today) <= 0 ? to : "")));
}

/* What each file becomes. A column with a bar is the first of two that says something in the record, and the second of a new one. */
static const struct part {
    enum roster_file which;
    const char *table, *columns, *by;
    json_t *(*row)(struct roster *r, uint32_t row);
    const char *from; /* for each column, which one of the file it is; a dot: of demographics.csv */
} parts[] = {
    {ROSTER_COURSES, "training", "external_id network_id title", "title", course_row, "sourcedId orgSourcedId title"},
    {ROSTER_CLASSES, "cohort", "external_id site_id training_id code starts_on ends_on capacity mode status", "site_id code starts_on", class_row,
     "sourcedId schoolSourcedId courseSourcedId classCode termSourcedIds termSourcedIds title title title"},
    {ROSTER_USERS, "learner", "external_id home_site_id use_family_name|birth_family_name call_name|given_names birth_date sex birth_country", NULL, user_row,
     "sourcedId orgSourcedIds familyName givenName .birthDate .sex .countryOfBirthCode"},
    {ROSTER_ENROLLMENTS, "enrolment", "external_id learner_id cohort_id site_id planned_start planned_end actual_start actual_end", "learner_id cohort_id", enrollment_row,
     "sourcedId userSourcedId classSourcedId schoolSourcedId beginDate endDate beginDate endDate"},
};
#define PARTS (sizeof parts / sizeof *parts)

/* ---- what the daemon refuses ----------------------------------------------------------------- */

/* Is @name a column of @list, or one of the two of a column with a bar? */
static bool is_column(const char *column, const char *name)
{
    size_t n = strlen(name), k = strcspn(column, "|");

    return (k == n && strncmp(column, name, n) == 0) || (column[k] == '|' && strcmp(column + k + 1, name) == 0);
}

static void on_fault(void *ctx, json_t *fault)
{
    struct roster *r = ctx;
    const struct file *f = &r->files[r->now], *d = &r->files[ROSTER_DEMOGRAPHICS];
    json_t *columns = NULL, *from = NULL;
    const char *file = f->name, *name = get_text(fault, "column");
    long at = -1;

    for (size_t i = 0; i < PARTS; i++)
        if (parts[i].which == r->now) {
            columns = names(parts[i].columns);
            from = names(parts[i].from);
        }
    for (size_t i = 0; *name && i < json_array_size(columns); i++) {
        const char *of = json_string_value(json_array_get(from, i));

        if (!is_column(json_string_value(json_array_get(columns, i)), name))
            continue;
        for (uint32_t k = 0; *of == '.' && k < f->count && at < 0; k++)
            if (f->rows[k].line == (int)get_number(fault, "line"))
                at = find(d, value(f, k, "sourcedId"));
        if (at >= 0) {
            file = d->name;
            json_object_set_new(fault, "line", json_integer(d->rows[at].line));
        }
        json_object_set_new(fault, "column", must_have(json_string(of + (*of == '.'))));
        break;
    }
    json_object_set_new(fault, "file", must_have(json_string(file)));
    json_decref(columns);
    json_decref(from);
}

/* ---- sending -------------------------------------------------------------------------------------- */

static bool is_sent(struct roster *r, const struct part *part, uint32_t row)
{
    const struct file *f = &r->files[part->which];

    if (f->rows[row].state != ROW_TAKE)
        return false;
    return part->which != ROSTER_COURSES || r->hub;
}

static json_t *part_json(const struct part *part, json_t *rows)
{
    json_t *out = must_have(json_pack("{s:s, s:o, s:o}", "table", part->table, "columns", names(part->columns), "rows", rows));

    if (part->by)
        json_object_set_new(out, "by", names(part->by));
    return out;
}

/* Those rows of a file that the ids name, each once. */
static json_t *rows_named(struct roster *r, const struct part *part, const json_t *ids)
{
    json_t *rows = json_array(), *nothing;
    const char *id;

    json_object_foreach((json_t *)(uintptr_t)ids, id, nothing)
    {
        long at = find(&r->files[part->which], id);

        if (at >= 0 && is_sent(r, part, (uint32_t)at))
            json_array_append_new(rows, part->row(r, (uint32_t)at));
    }
    return rows;
}

static void add_id(json_t *ids, const char *id)
{
    json_object_set_new(ids, id, json_true());
}

/* A trial is undone after each batch: the courses, classes and students that its rows refer to come along. */
static json_t *before(void *ctx, const json_t *rows)
{
    struct roster *r = ctx;
    json_t *courses = json_object(), *classes = json_object(), *users = json_object(), *out = json_array(), *row, *id;
    const char *class;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        if (r->now == ROSTER_ENROLLMENTS) {
            add_id(users, get_text(json_array_get(row, 2), "external"));
            add_id(classes, get_text(json_array_get(row, 3), "external"));
        } else if (r->now == ROSTER_CLASSES) {
            add_id(courses, get_text(json_array_get(row, 3), "external"));
        }
    }
    json_object_foreach(classes, class, id)
    {
        long at = find(&r->files[ROSTER_CLASSES], class);

        if (at >= 0)
            add_id(courses, value(&r->files[ROSTER_CLASSES], (uint32_t)at, "courseSourcedId"));
    }
    json_array_append_new(out, part_json(&parts[0], rows_named(r, &parts[0], courses)));
    json_array_append_new(out, part_json(&parts[1], rows_named(r, &parts[1], classes)));
    json_array_append_new(out, part_json(&parts[2], rows_named(r, &parts[2], users)));
    json_decref(courses);
    json_decref(classes);
    json_decref(users);
    return out;
}

static int send_part(struct roster *r, const struct part *part)
{
    struct import *m = r->m;
    int status = CLIENT_DONE;

    r->now = part->which;
    m->table = part->table;
    json_decref(m->columns);
    m->columns = names(part->columns);
    json_decref(m->by);
    m->by = part->by ? names(part->by) : NULL;
    for (uint32_t i = 0; i < r->files[part->which].count && status == CLIENT_DONE; i++)
        if (is_sent(r, part, i))
            status = import_row(m, part->row(r, i));
    return status == CLIENT_DONE ? import_send(m) : status;
}

int roster_import(struct import *m, const char *bytes, size_t n, json_t *left)
{
    struct roster r = {.m = m, .c = m->c, .left = left};
    int status = read_archive(&r, bytes, n) ? ask_node(&r) : CLIENT_NO;

    if (status == CLIENT_DONE) {
        check_all(&r);
        if (!m->source)
            m->source = SOURCE;
        m->before = before;
        m->on_fault = on_fault;
        m->ctx = &r;
        m->rows_max = m->dry ? DRY_ROWS : 0;
    }
    for (size_t i = 0; i < PARTS && status == CLIENT_DONE; i++)
        status = send_part(&r, &parts[i]);
    m->before = NULL;
    m->on_fault = NULL;
    m->ctx = NULL;
    for (int i = 0; i < ROSTER_FILES; i++) {
        csv_close(&r.files[i].csv);
        free(r.files[i].rows);
        free(r.files[i].by_id);
    }
    json_decref(r.sites);
    json_decref(r.trainings);
    return status;
}
