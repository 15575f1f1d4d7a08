#include "client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <sodium.h>

#include "args.h"
#include "ask.h"
#include "csv.h"
#include "table.h"
#include "text.h"

#define FILE_BYTES_MAX (256u << 20)
#define CELL_BYTES_MAX 4096 /* ENTRY_TEXT_MAX of the daemon */
#define BATCH_ROWS 500     /* go in one transaction */
#define BATCH_BYTES 400000 /* of a request, of which the daemon takes a megabyte */
#define SHOWN_MAX 200      /* refused rows that are printed */

struct import {
    struct client *c;
    const char *table, *source;
    bool dry;
    json_t *columns;
    json_t *rows;
    size_t bytes;
    uint64_t added, changed, same, asked, refused;
    json_t *faults;
};

static char *read_file(struct client *c, const char *path, size_t *n)
{
    FILE *f = strcmp(path, "-") == 0 ? c->in : fopen(path, "rb");
    char *bytes = NULL;
    size_t cap = 0;

    *n = 0;
    if (!f) {
        fprintf(c->err, "perche: %s: %s\n", path, strerror(errno));
        return NULL;
    }
    do {
        if (cap - *n < 65536)
            bytes = must_have(realloc(bytes, cap = cap * 2 + 131072));
        *n += fread(bytes + *n, 1, cap - *n - 1, f);
    } while (!feof(f) && !ferror(f) && *n <= FILE_BYTES_MAX);
    if (ferror(f) || *n > FILE_BYTES_MAX) {
        fprintf(c->err, "perche: %s: %s\n", path, ferror(f) ? "it cannot be read" : "it has more than 256 MB: cut it in parts");
        free(bytes);
        bytes = NULL;
    }
    if (f != c->in)
        (void)fclose(f); /* read only: nothing can be lost */
    return bytes;
}

/* Sends what has come together. The exit status, CLIENT_DONE to go on. */
static int send_rows(struct import *m)
{
    json_t *args, *result = NULL, *fault;
    size_t i;
    int status;

    if (json_array_size(m->rows) == 0)
        return CLIENT_DONE;
    args = json_object();
    ask_set_text(args, "table", m->table);
    ask_set_text(args, "source", m->source);
    if (m->dry)
        ask_set_flag(args, "dry");
    json_object_set(args, "columns", m->columns);
    json_object_set_new(args, "rows", m->rows);
    m->rows = json_array();
    m->bytes = 0;
    status = ask(m->c, "import", args, ASK_LONG_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    m->added += get_number(result, "new");
    m->changed += get_number(result, "changed");
    m->same += get_number(result, "same");
    m->asked += get_number(result, "asked");
    json_array_foreach(get_array(result, "refused"), i, fault)
    {
        m->refused++;
        json_array_append(m->faults, fault);
    }
    json_decref(result);
    return CLIENT_DONE;
}

/* Takes @row: an array of the line and the cells. */
static int add_row(struct import *m, json_t *row, size_t bytes)
{
    if (json_array_size(m->rows) == BATCH_ROWS || (m->bytes + bytes > BATCH_BYTES && json_array_size(m->rows) > 0)) {
        int status = send_rows(m);

        if (status != CLIENT_DONE) {
            json_decref(row);
            return status;
        }
    }
    m->bytes += bytes;
    json_array_append_new(m->rows, row);
    return CLIENT_DONE;
}

static void turn_down(struct import *m, int line, const char *why, ...) __attribute__((format(printf, 3, 4)));

static void turn_down(struct import *m, int line, const char *why, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, why);
    (void)vsnprintf(text, sizeof text, why, ap);
    va_end(ap);
    m->refused++;
    json_array_append_new(m->faults, must_have(json_pack("{s:i, s:n, s:s, s:n}", "line", line, "column", "why", text, "value")));
}

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

static char *trimmed(const char *text)
{
    size_t n;

    text += strspn(text, " \t");
    n = strlen(text);
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    return text_copy(text, n);
}

static int take_csv(struct import *m, const char *bytes, size_t n, const json_t *map)
{
    struct csv_file file;
    int line, status = CLIENT_DONE;

    if (!csv_open(&file, bytes, n, &line)) {
        fprintf(m->c->err, "perche: line %d: a quote is opened and never closed, or it is no text.\n", line);
        csv_close(&file);
        return CLIENT_NO;
    }
    if (file.windows)
        fputs("The file is read as Windows-1252: it is no UTF-8.\n", m->c->err);
    if (file.count == 0) {
        fputs("perche: the file is empty; its first line names the columns.\n", m->c->err);
        status = CLIENT_NO;
    }
    for (int k = 0; file.count > 0 && k < file.rows[0].count; k++) {
        char *name = trimmed(file.rows[0].cells[k]);

        json_array_append_new(m->columns, must_have(json_string(mapped(map, name))));
        free(name);
    }
    for (int i = 1; i < file.count && status == CLIENT_DONE; i++) {
        const struct csv_row *row = &file.rows[i];
        json_t *cells;
        size_t size = 16;
        bool empty = true, too_long = false;

        if (row->count != file.rows[0].count) {
            turn_down(m, row->line, "%d cells, the first line has %d columns", row->count, file.rows[0].count);
            continue;
        }
        cells = json_pack("[i]", row->line);
        for (int k = 0; k < row->count; k++) {
            char *cell = trimmed(row->cells[k]);

            size += strlen(cell) + 8;
            empty = empty && *cell == '\0';
            if (!too_long && strlen(cell) > CELL_BYTES_MAX) {
                too_long = true;
                turn_down(m, row->line, "the %d. cell has %zu bytes; %d are the most", k + 1, strlen(cell), CELL_BYTES_MAX);
            }
            json_array_append_new(cells, must_have(json_string(cell)));
            free(cell);
        }
        if (empty || too_long) /* what a spreadsheet leaves below its rows is none */
            json_decref(cells);
        else
            status = add_row(m, cells, size);
    }
    csv_close(&file);
    return status;
}

/* One object a line, the columns those of all of them: a member that a line lacks says nothing of it. */
static int take_lines(struct import *m, const char *bytes, size_t n, const json_t *map)
{
    int status = CLIENT_DONE;

    for (int pass = 0; pass < 2 && status == CLIENT_DONE; pass++) {
        int line = 0;

        for (const char *p = bytes, *end = bytes + n, *next; p < end && status == CLIENT_DONE; p = next) {
            const char *stop = memchr(p, '\n', (size_t)(end - p)), *key;
            size_t length = (size_t)((stop ? stop : end) - p);
            json_error_t error;
            json_t *doc, *cells, *value;
            size_t i;

            next = stop ? stop + 1 : end;
            line++;
            if (length == 0 || strspn(p, " \t\r") >= length)
                continue;
            doc = json_loadb(p, length, JSON_REJECT_DUPLICATES, &error);
            if (!json_is_object(doc)) {
                if (pass == 1)
                    turn_down(m, line, "no JSON object: %.120s", doc ? "it is another value" : error.text);
                json_decref(doc);
                continue;
            }
            if (pass == 0) {
                json_object_foreach(doc, key, value)
                {
                    bool there = false;

                    for (i = 0; i < json_array_size(m->columns) && !there; i++)
                        there = strcmp(json_string_value(json_array_get(m->columns, i)), mapped(map, key)) == 0;
                    if (!there)
                        json_array_append_new(m->columns, must_have(json_string(mapped(map, key))));
                }
            } else {
                cells = json_pack("[i]", line);
                json_array_foreach(m->columns, i, value)
                {
                    const json_t *found = NULL, *member;

                    json_object_foreach(doc, key, member) if (strcmp(mapped(map, key), json_string_value(value)) == 0) found = member;
                    if (!found)
                        json_array_append_new(cells, json_null());
                    else if (json_is_string(found))
                        json_array_append(cells, (json_t *)(uintptr_t)found);
                    else if (json_is_null(found))
                        json_array_append_new(cells, json_string(""));
                    else {
                        char *text = get_shown(found);

                        json_array_append_new(cells, must_have(json_string(text)));
                        free(text);
                    }
                }
                status = add_row(m, cells, length + 16);
            }
            json_decref(doc);
        }
    }
    return status;
}

/* ------------------------------------------------------------------ report */

static void print(struct import *m)
{
    static const char *const heads[] = {"line", "column", "value", "why"};
    struct table *t = table_new(heads, 4);
    const json_t *fault;
    size_t i;

    table_right(t, 0);
    table_keep(t, 3);
    json_array_foreach(m->faults, i, fault)
    {
        if (i == SHOWN_MAX)
            break;
        table_row(t);
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
    text_say(m->c->out, "%s%llu new, %llu changed, %llu as they were, %llu values to decide, %llu rows refused.", m->dry ? "It would be: " : "",
             (unsigned long long)m->added, (unsigned long long)m->changed, (unsigned long long)m->same, (unsigned long long)m->asked,
             (unsigned long long)m->refused);
    if (m->asked > 0 && !m->dry)
        text_say(m->c->out, "What the file says otherwise than the records is in \"perche conflicts\"; the records stay as they are until somebody decides.");
}

static int note(struct import *m, const char *sum, const char *format)
{
    json_t *args = json_object(), *result = NULL;
    int status;

    ask_set_text(args, "sha256", sum);
    ask_set_text(args, "format", format);
    ask_set_text(args, "table", m->table);
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

static int run(struct client *c, int argc, char **argv)
{
    const char *table = NULL, *source = NULL, *format = NULL, *names = NULL;
    bool dry = false, again = false;
    const struct args_option options[] = {
        {"table", ARGS_TEXT, &table}, {"source", ARGS_TEXT, &source}, {"format", ARGS_TEXT, &format}, {"map", ARGS_TEXT, &names},
        {"dry-run", ARGS_FLAG, &dry}, {"again", ARGS_FLAG, &again},   {0},
    };
    struct import m = {.c = c};
    struct args args;
    unsigned char hash[crypto_hash_sha256_BYTES];
    char sum[2 * sizeof hash + 1], at[TEXT_TIME_MAX + 16];
    json_t *map;
    char *bytes;
    size_t n;
    int status = args_take(c, &command_import, argc, argv, options, 1, 1, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (!table)
        return args_wrong(c, &command_import, "--table is missing: which table are these rows of?");
    if (!format)
        format = strlen(args.words[0]) > 6 && strcmp(args.words[0] + strlen(args.words[0]) - 6, ".jsonl") == 0 ? "jsonl" : "csv";
    if (strcmp(format, "csv") != 0 && strcmp(format, "jsonl") != 0)
        return args_wrong(c, &command_import, "--format is csv or jsonl, not \"%s\".", format);
    map = map_of(names);
    if (!map)
        return args_wrong(c, &command_import, "--map is COLUMN OF THE FILE=COLUMN,...");
    bytes = read_file(c, args.words[0], &n);
    if (!bytes) {
        json_decref(map);
        return CLIENT_NO;
    }
    (void)crypto_hash_sha256(hash, (const unsigned char *)bytes, n); /* it cannot fail */
    (void)sodium_bin2hex(sum, sizeof sum, hash, sizeof hash);
    m.table = table;
    m.source = source;
    m.dry = dry;
    m.columns = json_array();
    m.rows = json_array();
    m.faults = json_array();
    status = before(c, table, sum, at);
    if (status == CLIENT_DONE && *at && !again && !dry) {
        if (!c->json)
            text_say(c->out, "This very file was taken in here on %s: there is nothing to do. (--again goes through it once more.)", at);
    } else if (status == CLIENT_DONE) {
        status = strcmp(format, "csv") == 0 ? take_csv(&m, bytes, n, map) : take_lines(&m, bytes, n, map);
        if (status == CLIENT_DONE)
            status = send_rows(&m);
        if (status == CLIENT_DONE && !dry)
            status = note(&m, sum, format);
        if (status == CLIENT_DONE && !c->json)
            print(&m);
    }
    if (status == CLIENT_DONE && c->json) {
        json_t *doc = must_have(json_pack("{s:I, s:I, s:I, s:I, s:O, s:b, s:s?}", "new", (json_int_t)m.added, "changed", (json_int_t)m.changed, "same",
                                          (json_int_t)m.same, "asked", (json_int_t)m.asked, "refused", m.faults, "dry_run", dry, "before", *at ? at : NULL));

        ask_print(c, doc);
        json_decref(doc);
    }
    json_decref(m.columns);
    json_decref(m.rows);
    json_decref(m.faults);
    json_decref(map);
    free(bytes);
    return status == CLIENT_DONE && m.refused > 0 ? CLIENT_NO : status;
}

const struct command command_import = {
    .name = "import",
    .summary = "records from a file of another program",
    .usage = "import FILE --table TABLE [--dry-run] [--map NAME=COLUMN,...] [--source NAME] [--format csv|jsonl] [--again]",
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
        "  --dry-run       says what would happen, and does nothing\n"
        "  --map           what a column of the file is called here\n"
        "  --source NAME   whose ids these are, if several programs have their own\n"
        "\n"
        "  perche import eleves.csv --table learner --dry-run \\\n"
        "      --map Nom=birth_family_name,Prénom=given_names\n"
        "  perche import marks.jsonl --table attendance\n",
    .run = run,
};
