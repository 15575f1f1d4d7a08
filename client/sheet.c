#include "sheet.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <xlsxwriter.h>

#include "ask.h"
#include "text.h"
#include "zip.h"

#define ROWS_MAX 1048576u         /* of one sheet, as the format has it */
#define WHOLE_MAX 999999999999999 /* 15 digits */
#define NAME_MAX_CHARS 31

/* The library puts rows into temporary files and does not look whether there is room for them: a disk that is full would cut the
 * spreadsheet short and say nothing. So what went in is counted, and what has come out. */
#define SHEETS_MAX 4000 /* more rows than any table here could have */

struct sheet {
    lxw_workbook *book;
    lxw_worksheet *at;
    char *path;
    uint64_t *bytes; /* of the rows of each sheet that is through */
    lxw_format *day, *head;
    char *name;
    char **columns;
    enum sheet_kind *kinds;
    int count, sheets;
    uint32_t rows; /* of the present sheet */
};

/* As a sheet may be called: 31 characters, and none of some. @n: which of them it is. */
static char *sheet_name(const char *table, int n)
{
    char behind[16] = "", *name;
    size_t bytes;
    int took;

    if (n > 1)
        (void)snprintf(behind, sizeof behind, " %d", n);
    bytes = text_fit(table, NAME_MAX_CHARS - (int)strlen(behind), &took);
    name = text_print("%.*s%s", (int)bytes, table, behind);
    for (char *p = name; *p; p++)
        if (strchr("[]:*?/\\'", *p))
            *p = '_';
    return name;
}

/* Ends the present sheet: its last row goes out, and all of them are counted. */
static bool end_sheet(struct sheet *s)
{
    FILE *rows = s->at ? s->at->optimize_tmpfile : NULL;
    off_t n;

    if (!s->at)
        return true;
    lxw_worksheet_write_single_row(s->at);
    if (!rows || fflush(rows) != 0 || ferror(rows) || (n = ftello(rows)) < 0)
        return false;
    s->bytes[s->sheets - 1] = (uint64_t)n;
    s->at = NULL;
    return true;
}

static bool next_sheet(struct sheet *s)
{
    char *name;

    if (!end_sheet(s) || s->sheets == SHEETS_MAX)
        return false;
    name = sheet_name(s->name, ++s->sheets);
    s->at = workbook_add_worksheet(s->book, name);
    free(name);
    if (!s->at)
        return false;
    s->rows = 1;
    for (int i = 0; i < s->count; i++) {
        double width = (double)strlen(s->columns[i]) + 3;

        (void)worksheet_set_column(s->at, (lxw_col_t)i, (lxw_col_t)i, width < 12 ? 12 : width, NULL); /* it is for looks alone */
    }
    for (int i = 0; i < s->count; i++)
        if (worksheet_write_string(s->at, 0, (lxw_col_t)i, s->columns[i], s->head) != LXW_NO_ERROR)
            return false;
    worksheet_freeze_panes(s->at, 1, 0);
    return true;
}

struct sheet *sheet_new(const char *path, const char *name, const char *const *columns, const enum sheet_kind *kinds, int count)
{
    lxw_workbook_options options = {.constant_memory = LXW_TRUE};
    struct sheet *s = must_have(calloc(1, sizeof *s));
    char *why = NULL;

    s->name = text_copy(name, strlen(name));
    s->path = text_copy(path, strlen(path));
    s->bytes = must_have(calloc(SHEETS_MAX, sizeof *s->bytes));
    s->columns = must_have(calloc((size_t)count + 1, sizeof *s->columns));
    s->kinds = must_have(calloc((size_t)count + 1, sizeof *s->kinds));
    s->count = count;
    for (int i = 0; i < count; i++) {
        s->columns[i] = text_copy(columns[i], strlen(columns[i]));
        s->kinds[i] = kinds[i];
    }
    s->book = must_have(workbook_new_opt(path, &options));
    s->day = must_have(workbook_add_format(s->book));
    format_set_num_format(s->day, "yyyy\\-mm\\-dd");
    s->head = must_have(workbook_add_format(s->book));
    format_set_bold(s->head);
    if (next_sheet(s))
        return s;
    (void)sheet_close(s, &why); /* it has failed already */
    free(why);
    return NULL;
}

/* ---- cells -------------------------------------------------------------------- */

/* "2016-04-13", from 1900 on: the calendar of a spreadsheet begins there. */
static bool read_day(const char *text, lxw_datetime *out)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y, m, d, n = 0;

    if (strlen(text) != 10 || strspn(text, "0123456789-") != 10 || sscanf(text, "%4d-%2d-%2d%n", &y, &m, &d, &n) != 3 || n != 10)
        return false;
    if (y < 1900 || m < 1 || m > 12 || d < 1 || d > days[m - 1] + (m == 2 && ((y % 4 == 0 && y % 100 != 0) || y % 400 == 0)))
        return false;
    *out = (lxw_datetime){.year = y, .month = m, .day = d};
    return true;
}

/* "_x0041_" would be read as "A". */
static bool is_escape(const char *p)
{
    return p[0] == '_' && p[1] == 'x' && isxdigit((unsigned char)p[2]) && isxdigit((unsigned char)p[3]) && isxdigit((unsigned char)p[4]) &&
           isxdigit((unsigned char)p[5]) && p[6] == '_';
}

/* U+FFFE and U+FFFF, which XML cannot hold; @p has a byte more than these three. */
static bool is_no_xml(const unsigned char *p)
{
    return p[0] == 0xEF && p[1] == 0xBF && (p[2] == 0xBE || p[2] == 0xBF);
}

/* The same text as the file has to say it; malloc. */
static char *escaped(const char *text, size_t n)
{
    char *out = must_have(malloc(7 * n + 1)), *to = out;

    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\0' || is_no_xml((const unsigned char *)text + i)) {
            memcpy(to, "\xEF\xBF\xBD", 3);
            to += 3;
            i += text[i] == '\0' ? 0 : 2;
            continue;
        }
        if (is_escape(text + i)) {
            memcpy(to, "_x005F", 6);
            to += 6;
        }
        *to++ = text[i];
    }
    *to = '\0';
    return out;
}

static lxw_error write_text(struct sheet *s, int column, const json_t *value)
{
    const char *text = json_string_value(value);
    lxw_datetime day;
    lxw_error error;
    char *safe;

    if (s->kinds[column] == SHEET_DAY && read_day(text, &day))
        return worksheet_write_datetime(s->at, s->rows, (lxw_col_t)column, &day, s->day);
    safe = escaped(text, json_string_length(value));
    error = worksheet_write_string(s->at, s->rows, (lxw_col_t)column, safe, NULL);
    free(safe);
    return error;
}

static lxw_error write_cell(struct sheet *s, int column, const json_t *value)
{
    lxw_error error;
    char *text;

    if (!value || json_is_null(value))
        return LXW_NO_ERROR;
    if (json_is_string(value))
        return write_text(s, column, value);
    if (json_is_real(value) || (json_is_integer(value) && json_integer_value(value) <= WHOLE_MAX && json_integer_value(value) >= -WHOLE_MAX))
        return worksheet_write_number(s->at, s->rows, (lxw_col_t)column, json_number_value(value), NULL);
    text = get_exact(value);
    error = worksheet_write_string(s->at, s->rows, (lxw_col_t)column, text, NULL);
    free(text);
    return error;
}

bool sheet_row(struct sheet *s, const json_t *row, char **why)
{
    if (s->rows == ROWS_MAX && !next_sheet(s)) {
        *why = text_print("no further sheet can be begun: is there room for temporary files?");
        return false;
    }
    for (int i = 0; i < s->count; i++) {
        lxw_error error = write_cell(s, i, json_array_get(row, (size_t)i));

        if (error == LXW_NO_ERROR)
            continue;
        *why = error == LXW_ERROR_MAX_STRING_LENGTH_EXCEEDED
                   ? text_print("row %u, column %s: a cell of a spreadsheet holds 32,767 characters, and this has more: take --format csv", s->rows + 1, s->columns[i])
                   : text_print("row %u, column %s: %s", s->rows + 1, s->columns[i], lxw_strerror(error));
        return false;
    }
    s->rows++;
    return true;
}

/* Has each sheet all of its rows? */
static bool is_whole(const struct sheet *s)
{
    for (int i = 0; i < s->sheets; i++) {
        char *member = text_print("xl/worksheets/sheet%d.xml", i + 1);
        uint64_t bytes = 0;
        bool found = zip_between(s->path, member, "<sheetData>", "</sheetData>", &bytes);

        free(member);
        if (!found || bytes != s->bytes[i])
            return false;
    }
    return true;
}

bool sheet_close(struct sheet *s, char **why)
{
    bool good = end_sheet(s);
    lxw_error error = workbook_close(s->book); /* frees it as well */

    if (error != LXW_NO_ERROR)
        *why = text_print("%s", lxw_strerror(error));
    else if (!good || !is_whole(s))
        *why = text_print("not all rows are in it: is there room for temporary files?");
    good = *why == NULL;
    for (int i = 0; i < s->count; i++)
        free(s->columns[i]);
    free(s->columns);
    free(s->kinds);
    free(s->bytes);
    free(s->path);
    free(s->name);
    free(s);
    return good;
}
