#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <sodium.h>

#include "args.h"
#include "ask.h"
#include "csv.h"
#include "import.h"
#include "table.h"
#include "text.h"

#define FILE_BYTES_MAX (256u << 20)
#define ZIP_BYTES_MAX (32u << 20) /* an archive's list of files is read whole, at 46 bytes a file at least */
#define SHOWN_MAX 200             /* refused rows that are printed */

/* ------------------------------------------------------------------- files */

/* "--map Nom=use_family_name,Prénom=given_names": what a column of the file is called here. */
static const char *mapped(const json_t *map, const char *name)
{
    const char *to = json_string_value(json_object_get(map, name));

    return to ? to : name;
}

static json_t *map_of(const char *text)
{
    json_t *map = json_object();
    char *copy = text_copy(text ? text : "", text ? strlen(text) : 0), *save = NULL;

    for (char *pair = strtok_r(copy, ",", &save); pair && map; pair = strtok_r(NULL, ",", &save)) {
        char *is = strrchr(pair, '=');

        if (!is || is == pair || !is[1]) {
            json_decref(map);
            map = NULL;
            break;
        }
        *is = '\0';
        json_object_set_new(map, pair, must_have(json_string(is + 1)));
    }
    free(copy);
    return map;
}

/* As the daemon takes it: "" is an empty cell, an empty text stands in an object. */
static json_t *cell_of(const char *text, bool exact)
{
    return must_have(*text || !exact ? json_string(text) : json_pack("{s:s}", "text", text));
}

/* An array of the line and the cells; NULL: all of them are empty. */
static json_t *csv_cells(const struct csv_row *row)
{
    json_t *cells = json_pack("[i]", row->line);
    bool empty = true;

    for (int k = 0; k < row->count; k++) {
        const struct csv_cell *cell = &row->cells[k];
        char *text = cell->exact ? text_copy(cell->text, strlen(cell->text)) : csv_trimmed(cell->text);

        empty = empty && *text == '\0' && !cell->exact;
        json_array_append_new(cells, cell_of(text, cell->exact));
        free(text);
    }
    if (!empty)
        return cells;
    json_decref(cells); /* what a spreadsheet leaves below its rows is none */
    return NULL;
}

static int take_rows(struct import *m, struct csv_file *file, const json_t *map)
{
    const struct csv_row *row = csv_next(file);
    int columns = row ? row->count : 0, status = CLIENT_DONE;
    json_t *cells;

    if (columns == 0 || columns > CSV_CELLS_MAX) {
        fputs(columns == 0 ? "perche: the file is empty; its first line names the columns.\n" : "perche: the first line names more columns than any table has.\n", m->c->err);
        return CLIENT_NO;
    }
    for (int k = 0; k < columns; k++) {
        char *name = csv_trimmed(row->cells[k].text);

        json_array_append_new(m->columns, must_have(json_string(mapped(map, name))));
        free(name);
    }
    while (status == CLIENT_DONE && (row = csv_next(file)) != NULL) {
        if (row->count != columns)
            import_refuse(m, NULL, row->line, NULL, NULL, "%d cells, the first line has %d columns", row->count, columns);
        else if ((cells = csv_cells(row)) != NULL)
            status = import_row(m, cells);
    }
    return status;
}

static int take_csv(struct import *m, const char *bytes, size_t n, const json_t *map)
{
    struct csv_file file;
    int line, status = CLIENT_NO;

    if (csv_open(&file, bytes, n, &line)) {
        if (file.windows)
            fputs("The file is read as Windows-1252: it is no UTF-8.\n", m->c->err);
        status = take_rows(m, &file, map);
    } else {
        fprintf(m->c->err, "perche: line %d: a quote is opened and never closed, or it is no text.\n", line);
    }
    csv_close(&file);
    return status;
}

/* Adds the members of @doc that are no columns yet. */
static void add_columns(struct import *m, json_t *doc, const json_t *map)
{
    const char *key;
    json_t *value;

    json_object_foreach(doc, key, value)
    {
        bool there = false;

        for (size_t i = 0; i < json_array_size(m->columns) && !there; i++)
            there = strcmp(json_string_value(json_array_get(m->columns, i)), mapped(map, key)) == 0;
        if (!there)
            json_array_append_new(m->columns, must_have(json_string(mapped(map, key))));
    }
}

static json_t *json_cell(const json_t *found)
{
    json_t *cell;
    char *text;

    if (!found)
        return json_null();
    if (json_is_null(found))
        return json_string("");
    if (json_is_string(found))
        return cell_of(json_string_value(found), true);
    text = get_exact(found);
    cell = must_have(json_string(text));
    free(text);
    return cell;
}

static int take_line(struct import *m, json_t *doc, int line, const json_t *map)
{
    json_t *cells = json_pack("[i]", line), *column;
    size_t i;

    json_array_foreach(m->columns, i, column)
    {
        const json_t *found = NULL;
        json_t *member;
        const char *key;

        json_object_foreach(doc, key, member) if (strcmp(mapped(map, key), json_string_value(column)) == 0) found = member;
        json_array_append_new(cells, json_cell(found));
    }
    return import_row(m, cells);
}

/* One object a line, the columns those of all of them: a member that a line lacks says nothing of it. */
static int take_lines(struct import *m, const char *bytes, size_t n, const json_t *map)
{
    int status = CLIENT_DONE;

    for (int pass = 0; pass < 2 && status == CLIENT_DONE; pass++) {
        int line = 0;

        for (const char *p = bytes, *end = bytes + n, *next; p < end && status == CLIENT_DONE; p = next) {
            const char *stop = memchr(p, '\n', (size_t)(end - p));
            size_t length = (size_t)((stop ? stop : end) - p);
            json_error_t error;
            json_t *doc;

            next = stop ? stop + 1 : end;
            line++;
            if (length == 0 || strspn(p, " \t\r") >= length)
                continue;
            doc = json_loadb(p, length, JSON_REJECT_DUPLICATES, &error);
            if (pass == 0 && json_is_object(doc))
                add_columns(m, doc, map);
            else if (pass == 1 && json_is_object(doc))
                status = take_line(m, doc, line, map);
            else if (pass == 1)
                import_refuse(m, NULL, line, NULL, NULL, "no JSON object: %.120s", doc ? "it is another value" : error.text);
            json_decref(doc);
        }
    }
    return status;
}

/* ------------------------------------------------------------------ report */

static void print_faults(struct import *m, bool archive)
{
    static const char *const heads[] = {"file", "line", "column", "value", "why"};
    struct table *t = table_new(heads + !archive, 5 - !archive);
    const json_t *fault;
    size_t i;

    table_right(t, archive);
    table_keep(t, 3 + archive);
    json_array_foreach(m->faults, i, fault)
    {
        if (i == SHOWN_MAX)
            break;
        table_row(t);
        if (archive)
            table_cell(t, get_text(fault, "file"));
        table_cell_take(t, get_shown(json_object_get(fault, "line")));
        table_cell(t, get_text(fault, "column"));
        table_cell(t, get_text(fault, "value"));
        table_cell(t, get_text(fault, "why"));
    }
    if (m->refused > 0) {
        (void)table_print(t, m->c->out, m->c->width > 160 ? m->c->width : 10000, m->c->tty); /* a reason is not cut */
        fputc('\n', m->c->out);
    }
    table_free(t);
    if (m->refused > SHOWN_MAX)
        text_say(m->c->out, "These are the first %d; --json has them all.", SHOWN_MAX);
}

static void print_left(struct import *m, const json_t *left)
{
    const json_t *it;
    size_t i;

    json_array_foreach(left, i, it)
    {
        if (i == SHOWN_MAX) {
            text_say(m->c->out, "And %zu more; --json has them all.", json_array_size(left) - i);
            break;
        }
        if (get_number(it, "line") > 0)
            text_say(m->c->out, "%s, line %llu: %s", get_text(it, "file"), (unsigned long long)get_number(it, "line"), get_text(it, "why"));
        else
            text_say(m->c->out, "%s: %s", get_text(it, "file"), get_text(it, "why"));
    }
    if (json_array_size(left) > 0)
        fputc('\n', m->c->out);
}

static void print(struct import *m, bool archive, const json_t *left)
{
    print_faults(m, archive);
    print_left(m, left);
    text_say(m->c->out, "%s%llu new, %llu changed, %llu as they were, %llu values to decide, %llu rows refused.", m->dry ? "It would be: " : "",
             (unsigned long long)m->added, (unsigned long long)m->changed, (unsigned long long)m->same, (unsigned long long)m->asked,
             (unsigned long long)m->refused);
    if (m->asked > 0 && !m->dry)
        text_say(m->c->out, "What the file says otherwise than the records is in \"perche conflicts\"; the records stay as they are until somebody decides.");
}

/* ------------------------------------------------------------ the same file */

static int note(struct import *m, const char *table, const char *sum, const char *format)
{
    json_t *args = json_object(), *result = NULL;
    int status;

    ask_set_text(args, "sha256", sum);
    ask_set_text(args, "format", format);
    ask_set_text(args, "table", table);
    ask_set_number(args, "ok", m->added + m->changed + m->same + m->asked);
    ask_set_number(args, "refused", m->refused);
    status = ask(m->c, "imported", args, ASK_MS, &result);
    json_decref(result);
    return status;
}

static int before(struct client *c, const char *table, const char *sum, char at[TEXT_TIME_MAX + 16])
{
    json_t *args = json_object(), *result = NULL;
    int status;

    ask_set_text(args, "sha256", sum);
    ask_set_text(args, "table", table);
    status = ask(c, "import_before", args, ASK_MS, &result);
    at[0] = '\0';
    if (status == CLIENT_DONE)
        (void)snprintf(at, TEXT_TIME_MAX + 16, "%s", get_text(result, "at"));
    json_decref(result);
    return status;
}

/* ----------------------------------------------------------------- the command */

enum format { FORMAT_CSV, FORMAT_JSONL, FORMAT_ONEROSTER, FORMATS };
static const char *const format_names[FORMATS] = {"csv", "jsonl", "oneroster"};

static bool ends(const char *name, const char *with)
{
    size_t n = strlen(name), k = strlen(with);

    return n > k && strcmp(name + n - k, with) == 0;
}

/* As it was said, or as the name of the file ends. FORMATS: it is none. */
static enum format format_of(const char *said, const char *file)
{
    enum format f = FORMAT_CSV;

    if (!said)
        return ends(file, ".jsonl") ? FORMAT_JSONL : ends(file, ".zip") ? FORMAT_ONEROSTER : FORMAT_CSV;
    while (f < FORMATS && strcmp(format_names[f], said) != 0)
        f++;
    return f;
}

/* What was asked for: the whole of one file. */
struct request {
    struct import *m;
    const char *table; /* under which the file is noted */
    enum format format;
    json_t *map, *left;
    const char *bytes;
    size_t n;
    bool again;
    char sum[2 * crypto_hash_sha256_BYTES + 1], at[TEXT_TIME_MAX + 16];
};

static int take(struct request *r)
{
    struct import *m = r->m;
    int status;

    switch (r->format) {
    case FORMAT_JSONL: status = take_lines(m, r->bytes, r->n, r->map); break;
    case FORMAT_ONEROSTER: status = roster_import(m, r->bytes, r->n, r->left); break;
    default: status = take_csv(m, r->bytes, r->n, r->map); break;
    }
    if (status == CLIENT_DONE)
        status = import_send(m);
    if (status == CLIENT_DONE && !m->dry)
        status = note(m, r->table, r->sum, format_names[r->format]);
    if (status == CLIENT_DONE && !m->c->json)
        print(m, r->format == FORMAT_ONEROSTER, r->left);
    return status;
}

static int take_once(struct request *r)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    struct import *m = r->m;
    int status;

    (void)crypto_hash_sha256(hash, (const unsigned char *)r->bytes, r->n); /* it cannot fail */
    (void)sodium_bin2hex(r->sum, sizeof r->sum, hash, sizeof hash);
    status = before(m->c, r->table, r->sum, r->at);
    if (status == CLIENT_DONE && *r->at && !r->again && !m->dry) {
        if (!m->c->json)
            text_say(m->c->out, "This very file was taken in here on %s: there is nothing to do. (--again goes through it once more.)", r->at);
    } else if (status == CLIENT_DONE) {
        status = take(r);
    }
    if (status == CLIENT_DONE && m->c->json) {
        json_t *doc = must_have(json_pack("{s:I, s:I, s:I, s:I, s:O, s:O, s:b, s:s?}", "new", (json_int_t)m->added, "changed", (json_int_t)m->changed, "same",
                                          (json_int_t)m->same, "asked", (json_int_t)m->asked, "refused", m->faults, "left", r->left, "dry_run", m->dry, "before",
                                          *r->at ? r->at : NULL));

        ask_print(m->c, doc);
        json_decref(doc);
    }
    return status == CLIENT_DONE && m->refused > 0 ? CLIENT_NO : status;
}

static int run(struct client *c, int argc, char **argv)
{
    const char *table = NULL, *source = NULL, *format = NULL, *names = NULL;
    bool dry = false, again = false;
    const struct args_option options[] = {
        {"table", ARGS_TEXT, &table}, {"source", ARGS_TEXT, &source}, {"format", ARGS_TEXT, &format}, {"map", ARGS_TEXT, &names},
        {"dry-run", ARGS_FLAG, &dry}, {"again", ARGS_FLAG, &again},   {0},
    };
    struct import m;
    struct request r = {.m = &m};
    struct args args;
    char *bytes = NULL;
    int status = args_take(c, &command_import, argc, argv, options, 1, 1, &args);

    if (status != ARGS_GO_ON)
        return status;
    r.format = format_of(format, args.words[0]);
    if (r.format == FORMATS)
        return args_wrong(c, &command_import, "--format is csv, jsonl or oneroster, not \"%s\".", format);
    if (r.format == FORMAT_ONEROSTER && (table || names))
        return args_wrong(c, &command_import, "a OneRoster archive says itself what its rows are: it goes without --table and --map.");
    if (r.format != FORMAT_ONEROSTER && !table)
        return args_wrong(c, &command_import, "--table is missing: which table are these rows of?");
    r.map = map_of(names);
    if (!r.map)
        return args_wrong(c, &command_import, "--map is COLUMN OF THE FILE=COLUMN,...");
    import_begin(&m, c, dry);
    m.table = table;
    m.source = source;
    r.table = table ? table : "learner";
    r.again = again;
    r.left = json_array();
    bytes = import_read_file(c, args.words[0], r.format == FORMAT_ONEROSTER ? ZIP_BYTES_MAX : FILE_BYTES_MAX, &r.n);
    r.bytes = bytes;
    status = bytes ? take_once(&r) : CLIENT_NO;
    import_end(&m);
    json_decref(r.map);
    json_decref(r.left);
    free(bytes);
    return status;
}

const struct command command_import = {
    .name = "import",
    .summary = "records from a file of another program",
    .usage = "import FILE --table TABLE [--dry-run] [--map NAME=COLUMN,...]\n"
             "           [--source NAME] [--format csv|jsonl] [--again]\n"
             "       perche import FILE.zip [--format oneroster] [--dry-run] [--source NAME] [--again]",
    .help =
        "Takes in a CSV file (comma, semicolon or tab; UTF-8 or Windows-1252; quoted cells), whose\n"
        "first line names the columns, or JSON Lines. Values as in \"perche add\". FILE may be -.\n"
        "\n"
        "A row that is there already is found by its id, by the other program's id (a column\n"
        "external_id, or an id that is none of ours), by values that are unique, or because it says\n"
        "all the same. Where the file says otherwise, an ordinary value is written; where a person\n"
        "has to decide, the record stays and a conflict is opened. A row that is not in the file is\n"
        "never deleted, an empty cell takes no value away. What is refused is listed with line,\n"
        "column and reason, and the rest is taken in: correct these lines and import the file\n"
        "again.\n"
        "\n"
        "A OneRoster 1.1 archive of CSV files brings its students, classes and enrollments as\n"
        "learners, cohorts and enrolments, under the same rules; its sourcedIds are the other\n"
        "program's ids. Only a hub adds courses, as trainings, and takes in several schools: a\n"
        "site takes in its own, and needs its trainings to be there by the same title. Schools\n"
        "are found by id, code or name, and never added. Who teaches, results and ethnic columns\n"
        "are passed over; what is \"tobedeleted\" is listed, and stays. A cohort that is new gets\n"
        "as many places as it has students, ON_SITE: put that right with \"perche set\".\n"
        "\n"
        "  --dry-run       says what would happen, and does nothing\n"
        "  --map           what a column of the file is called here\n"
        "  --source NAME   whose ids these are, if several programs have their own\n"
        "\n"
        "  perche import eleves.csv --table learner --dry-run \\\n"
        "      --map Nom=birth_family_name,Prénom=given_names\n"
        "  perche import marks.jsonl --table attendance\n"
        "  perche import roster.zip --format oneroster --dry-run\n",
    .run = run,
};
