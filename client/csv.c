#include "csv.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

/* -------------------------------------------------------------------- out */

static void put(struct csv *csv, const char *text, const char *front)
{
    const char special[] = {'"', '\r', '\n', csv->between ? csv->between : ',', '\0'};

    if (csv->cells++ > 0)
        fputc(csv->between ? csv->between : ',', csv->out);
    if (!strpbrk(text, special) && (!*text || (text[0] != ' ' && text[strlen(text) - 1] != ' '))) {
        fprintf(csv->out, "%s%s", front, text);
        return;
    }
    fprintf(csv->out, "\"%s", front);
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            fputc('"', csv->out);
        fputc(*p, csv->out);
    }
    fputc('"', csv->out);
}

static bool is_formula(const char *text)
{
    return *text && strchr("=+-@\t\r\n", *text);
}

void csv_text(struct csv *csv, const char *text)
{
    put(csv, text ? text : "", text && is_formula(text) ? "'" : "");
}

void csv_number(struct csv *csv, const char *digits)
{
    put(csv, digits, "");
}

void csv_end_row(struct csv *csv)
{
    fputs("\r\n", csv->out);
    csv->cells = 0;
}

/* --------------------------------------------------------------------- in */

/* U+0080 to U+009F of Windows-1252; 0 = not used there */
static const unsigned short windows[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D, 0,
    0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178};

static char *from_windows(const char *bytes, size_t n)
{
    char *out = must_have(malloc(3 * n + 1)), *to = out;

    for (size_t i = 0; i < n; i++) {
        unsigned c = (unsigned char)bytes[i];

        if (c >= 0x80 && c < 0xA0)
            c = windows[c - 0x80] ? windows[c - 0x80] : 0xFFFD;
        if (c < 0x80) {
            *to++ = (char)c;
        } else if (c < 0x800) {
            *to++ = (char)(0xC0 | c >> 6);
            *to++ = (char)(0x80 | (c & 0x3F));
        } else {
            *to++ = (char)(0xE0 | c >> 12);
            *to++ = (char)(0x80 | (c >> 6 & 0x3F));
            *to++ = (char)(0x80 | (c & 0x3F));
        }
    }
    *to = '\0';
    return out;
}

/* The one of , ; and tab that the first line has most of, outside quotes. */
static char between_of(const char *text)
{
    static const char marks[] = {';', ',', '\t'};
    int counts[3] = {0}, best = 1;
    bool quoted = false;

    for (const char *p = text; *p && (quoted || (*p != '\n' && *p != '\r')); p++) {
        quoted ^= *p == '"';
        for (int i = 0; i < 3; i++)
            counts[i] += !quoted && *p == marks[i];
    }
    for (int i = 0; i < 3; i++)
        if (counts[i] > counts[best])
            best = i;
    return marks[best];
}

static struct csv_row *add_row(struct csv_file *file, int *cap, int line)
{
    if (file->count == *cap) {
        *cap = *cap * 2 + 64;
        file->rows = must_have(realloc(file->rows, (size_t)*cap * sizeof(*file->rows)));
    }
    file->rows[file->count] = (struct csv_row){NULL, 0, line};
    return &file->rows[file->count++];
}

static void add_cell(struct csv_row *row, int *cap, char *cell)
{
    if (row->count == 0)
        *cap = 0;
    if (row->count == *cap) {
        *cap = *cap * 2 + 16;
        row->cells = must_have(realloc(row->cells, (size_t)*cap * sizeof(*row->cells)));
    }
    if (cell[0] == '\'' && is_formula(cell + 1)) /* as csv_text() writes it */
        cell++;
    row->cells[row->count++] = cell;
}

/* The cell at *at, ended with a zero where its mark was; *at moves behind it, to the mark itself in *ended ('\0' at the end). */
static char *take_cell(char **at, char between, int *line, char *ended, bool *closed)
{
    char *from = *at, *to, *cell;

    *closed = true;
    if (*from == '"') {
        cell = to = ++from;
        while (*from && !(*from == '"' && from[1] != '"')) {
            from += *from == '"'; /* of two quotes one stands */
            *line += *from == '\n';
            *to++ = *from++;
        }
        *closed = *from == '"';
        from += *closed;
        while (*from && *from != between && *from != '\n' && *from != '\r') /* behind the quote: part of the cell all the same */
            *to++ = *from++;
    } else {
        cell = to = from;
        while (*from && *from != between && *from != '\n' && *from != '\r')
            from++;
        to = from;
    }
    *ended = *from;
    if (*from == '\r' && from[1] == '\n')
        from++;
    *line += *from == '\n' || (*from == '\r' && *ended == '\r');
    *at = *ended ? from + 1 : from;
    if (*ended == '\r')
        *ended = '\n';
    *to = '\0';
    return cell;
}

bool csv_open(struct csv_file *file, const char *bytes, size_t n, int *line)
{
    char *at;
    int cap = 0;

    memset(file, 0, sizeof(*file));
    *line = 1;
    if (n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        bytes += 3;
        n -= 3;
    }
    if (memchr(bytes, '\0', n))
        return false;
    file->text = text_copy(bytes, n);
    if (!text_valid(file->text)) {
        free(file->text);
        file->text = from_windows(bytes, n);
        file->windows = true;
    }
    file->between = between_of(file->text);
    for (at = file->text; *at;) {
        struct csv_row *row = add_row(file, &cap, *line);
        int cells = 0;
        char ended;
        bool closed;

        do {
            char *cell = take_cell(&at, file->between, line, &ended, &closed);

            if (!closed) {
                *line = row->line;
                return false;
            }
            add_cell(row, &cells, cell);
        } while (ended == file->between);
        if (row->count == 1 && !*row->cells[0]) { /* an empty line */
            free(row->cells);
            file->count--;
        }
    }
    return true;
}

void csv_close(struct csv_file *file)
{
    for (int i = 0; i < file->count; i++)
        free(file->rows[i].cells);
    free(file->rows);
    free(file->text);
    memset(file, 0, sizeof(*file));
}
