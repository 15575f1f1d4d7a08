#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <jansson.h>

#include "args.h"
#include "ask.h"
#include "csv.h"
#include "output.h"
#include "pages.h"
#include "roster.h"
#include "sheet.h"
#include "text.h"

enum format { FORMAT_CSV, FORMAT_JSONL, FORMAT_XLSX, FORMAT_ONEROSTER, FORMATS };
static const char *const format_names[FORMATS] = {"csv", "jsonl", "xlsx", "oneroster"};

struct export {
    struct client *c;
    const char *table, *where;
    enum format format;
    struct csv csv;
    struct sheet *sheet;
    FILE *f;
    uint64_t zeros;  /* values with a zero byte, which a text file cannot hold */
};

/* ---- csv and jsonl ------------------------------------------------------------- */

/* CSV has no word for a zero byte: U+FFFD takes its place, and that is said. */
static void csv_string(struct export *e, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t n = json_string_length(value);
    char *copy, *to;

    if (strlen(text) == n) {
        csv_exact(&e->csv, text);
        return;
    }
    e->zeros++;
    copy = to = must_have(malloc(3 * n + 1));
    for (size_t i = 0; i < n; i++)
        if (text[i] != '\0') {
            *to++ = text[i];
        } else {
            memcpy(to, "\xEF\xBF\xBD", 3);
            to += 3;
        }
    *to = '\0';
    csv_exact(&e->csv, copy);
    free(copy);
}

static void csv_row(struct export *e, const json_t *row)
{
    const json_t *value;
    size_t i;

    json_array_foreach(row, i, value)
    {
        char *text;

        if (json_is_string(value)) {
            csv_string(e, value);
        } else if (json_is_null(value)) {
            csv_text(&e->csv, NULL);
        } else {
            text = get_exact(value);
            csv_number(&e->csv, text);
            free(text);
        }
    }
    csv_end_row(&e->csv);
}

static void json_row(struct export *e, const json_t *columns, const json_t *row)
{
    json_t *doc = json_object();
    char *text;

    for (size_t i = 0; i < json_array_size(columns); i++)
        json_object_set(doc, json_string_value(json_array_get(columns, i)), json_array_get(row, i));
    text = must_have(json_dumps(doc, JSON_COMPACT | JSON_PRESERVE_ORDER));
    fprintf(e->f, "%s\n", text);
    free(text);
    json_decref(doc);
}

static void csv_heads(struct export *e, const json_t *columns)
{
    const json_t *name;
    size_t i;

    json_array_foreach(columns, i, name) csv_text(&e->csv, json_string_value(name));
    csv_end_row(&e->csv);
}

/* ---- xlsx ----------------------------------------------------------------------- */

/* Which of the table's columns are days is the daemon's to say. */
static int sheet_kinds(struct export *e, const json_t *columns, enum sheet_kind *kinds)
{
    json_t *args = json_object(), *result = NULL, *it;
    size_t i;
    int status;

    ask_set_text(args, "table", e->table);
    status = ask(e->c, "columns", args, ASK_MS, &result);
    for (size_t k = 0; k < json_array_size(columns); k++) {
        kinds[k] = SHEET_TEXT;
        json_array_foreach(get_array(result, "columns"), i, it)
        {
            if (strcmp(get_text(it, "name"), json_string_value(json_array_get(columns, k))) == 0 && strcmp(get_text(it, "kind"), "day") == 0)
                kinds[k] = SHEET_DAY;
        }
    }
    json_decref(result);
    return status;
}

static int sheet_begin(struct export *e, const char *path, const json_t *columns)
{
    size_t count = json_array_size(columns);
    const char **names = must_have(calloc(count + 1, sizeof *names));
    enum sheet_kind *kinds = must_have(calloc(count + 1, sizeof *kinds));
    int status = sheet_kinds(e, columns, kinds);

    for (size_t i = 0; i < count; i++)
        names[i] = json_string_value(json_array_get(columns, i));
    if (status == CLIENT_DONE)
        e->sheet = sheet_new(path, e->table, names, kinds, (int)count);
    if (status == CLIENT_DONE && !e->sheet) {
        fputs("perche: no sheet can be begun: is there room for temporary files?\n", e->c->err);
        status = CLIENT_NO;
    }
    free(names);
    free(kinds);
    return status;
}

/* ---- all rows ---------------------------------------------------------------------- */

static int print_page(struct export *e, const char *path, const json_t *page, bool first)
{
    const json_t *columns = get_array(page, "columns"), *row;
    char *why = NULL;
    size_t i;

    if (first && e->format == FORMAT_CSV)
        csv_heads(e, columns);
    if (first && e->format == FORMAT_XLSX) {
        int status = sheet_begin(e, path, columns);

        if (status != CLIENT_DONE)
            return status;
    }
    json_array_foreach(get_array(page, "rows"), i, row)
    {
        if (e->format == FORMAT_CSV)
            csv_row(e, row);
        else if (e->format == FORMAT_JSONL)
            json_row(e, columns, row);
        else if (!sheet_row(e->sheet, row, &why))
            break;
    }
    if (!why)
        return CLIENT_DONE;
    text_say(e->c->err, "perche: %s", why);
    free(why);
    return CLIENT_NO;
}

/* @path: of the sheet, where it is one. */
static int print_all(struct export *e, const char *path)
{
    struct pages pages = {.c = e->c, .table = e->table, .where = e->where};
    json_t *page = NULL;
    bool first = true;
    int status;

    while ((status = pages_next(&pages, &page)) == CLIENT_DONE && page) {
        status = print_page(e, path, page, first);
        first = false;
        json_decref(page);
        if (status != CLIENT_DONE)
            break;
        if (e->format != FORMAT_XLSX && ferror(e->f)) {
            status = CLIENT_NO; /* it is said when the file is closed */
            break;
        }
    }
    pages_end(&pages);
    if (e->zeros > 0)
        text_say(e->c->err, "%llu values have a zero byte, which no CSV file holds: U+FFFD stands for it.", (unsigned long long)e->zeros);
    return status;
}

static bool copy_file(const char *path, FILE *to)
{
    FILE *from = fopen(path, "rb");
    char bytes[65536];
    size_t n;
    bool good = from != NULL;

    while (good && (n = fread(bytes, 1, sizeof bytes, from)) > 0)
        good = fwrite(bytes, 1, n, to) == n;
    good = good && !ferror(from);
    if (from)
        (void)fclose(from); /* read only: nothing can be lost */
    return good;
}

/* The library writes a file of its own, which is what goes out once it is whole. */
static int print_sheet(struct export *e)
{
    const char *folder = getenv("TMPDIR");
    char *path = text_print("%s/perche-export.XXXXXX", folder && *folder ? folder : "/tmp"), *why = NULL;
    int fd = mkstemp(path), status;

    if (fd < 0) {
        text_say(e->c->err, "perche: %s: %s", path, strerror(errno));
        free(path);
        return CLIENT_NO;
    }
    (void)close(fd); /* it holds the name */
    status = print_all(e, path);
    if (e->sheet && !sheet_close(e->sheet, &why) && status == CLIENT_DONE) {
        text_say(e->c->err, "perche: the spreadsheet could not be written: %s", why);
        status = CLIENT_NO;
    }
    free(why);
    if (status == CLIENT_DONE && !copy_file(path, e->f)) {
        text_say(e->c->err, "perche: the spreadsheet could not be copied: %s", strerror(errno));
        status = CLIENT_NO;
    }
    (void)unlink(path);
    free(path);
    return status;
}

/* ---- the command --------------------------------------------------------------------- */

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
        return !file ? FORMAT_CSV : ends(file, ".jsonl") ? FORMAT_JSONL : ends(file, ".xlsx") ? FORMAT_XLSX : FORMAT_CSV;
    while (f < FORMATS && strcmp(format_names[f], said) != 0)
        f++;
    return f;
}

/* What does not go together: ARGS_GO_ON, or said. */
static int fits_together(struct export *e, const char *format, const char *path, bool excel)
{
    bool file = path && strcmp(path, "-") != 0;

    if (e->format == FORMATS)
        return args_wrong(e->c, &command_export, "--format is csv, jsonl, xlsx or oneroster, not \"%s\".", format);
    if (e->format == FORMAT_ONEROSTER && (e->table || e->where))
        return args_wrong(e->c, &command_export, "a OneRoster archive has all of its tables: it goes without a table and --where.");
    if (e->format != FORMAT_ONEROSTER && !e->table)
        return args_wrong(e->c, &command_export, "one word is missing.");
    if (excel && e->format != FORMAT_CSV)
        return args_wrong(e->c, &command_export, "--excel is a kind of CSV: it does not go with --format %s.", format_names[e->format]);
    if (e->table && strcasecmp(e->table, "entry_sensitive") == 0)
        return args_wrong(e->c, &command_export, "entry_sensitive goes into no ordinary export.");
    if (e->format >= FORMAT_XLSX && !file && e->c->tty)
        return args_wrong(e->c, &command_export, "that is nothing for a terminal: --output FILE.");
    return ARGS_GO_ON;
}

static int run(struct client *c, int argc, char **argv)
{
    const char *format = NULL, *where = NULL, *path = NULL;
    bool excel = false;
    const struct args_option options[] = {
        {"format", ARGS_TEXT, &format}, {"where", ARGS_TEXT, &where}, {"output", ARGS_TEXT, &path}, {"excel", ARGS_FLAG, &excel}, {0},
    };
    struct export e = {.c = c};
    struct output output;
    struct args args;
    int status = args_take(c, &command_export, argc, argv, options, 0, 1, &args);

    if (status != ARGS_GO_ON)
        return status;
    e.table = args.count > 0 ? args.words[0] : NULL;
    e.where = where;
    e.format = format_of(format, path);
    status = fits_together(&e, format, path, excel);
    if (status != ARGS_GO_ON)
        return status;
    if (!output_open(c, path, &output))
        return CLIENT_NO;
    e.f = e.csv.out = output.f;
    if (excel) {
        e.csv.between = ';';
        fputs("\xEF\xBB\xBF", e.f);
    }
    switch (e.format) {
    case FORMAT_ONEROSTER: status = roster_export(c, output.f); break;
    case FORMAT_XLSX: status = print_sheet(&e); break;
    default: status = print_all(&e, NULL); break;
    }
    return output_close(&output, status);
}

const struct command command_export = {
    .name = "export",
    .summary = "records of a table into a file",
    .usage = "export TABLE [--format csv|jsonl|xlsx] [--where SQL] [--excel]\n"
             "           [--output FILE]\n"
             "       perche export --format oneroster --output FILE.zip",
    .help =
        "Prints all records of a table, as CSV (RFC 4180, UTF-8), one JSON object a line, or a\n"
        "spreadsheet. Text that a spreadsheet would take for a formula gets an apostrophe in front\n"
        "in CSV, and text that is empty or has blanks at an end two of them, which \"perche import\"\n"
        "takes off again. In .xlsx text is text, days are dates, and the first row stays in sight.\n"
        "\n"
        "OneRoster 1.1 is a zip of CSV files for learning platforms: schools, trainings, cohorts,\n"
        "learners with sex and day of birth, enrolments; ids stay the same from one to the next.\n"
        "Who is not to be used (restricted) or was erased is left out, and so is a cancelled\n"
        "cohort; what was left out is counted. There are no results, marks or funding in it.\n"
        "\n"
        "  --where SQL     only those of which this expression is true\n"
        "  --excel         CSV with semicolons and a mark in front, for a French spreadsheet\n"
        "  --output FILE   there when it is whole; its ending (.csv .jsonl .xlsx) says the format\n"
        "\n"
        "  perche export cohort > cohorts.csv\n"
        "  perche export enrolment --excel --where \"exit_reason IS NULL\" > presents.csv\n"
        "  perche export learner --output learners.xlsx\n"
        "  perche export --format oneroster --output roster.zip\n",
    .run = run,
};
