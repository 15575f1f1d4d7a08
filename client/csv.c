#include "csv.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

#define EXACT "''" /* in front of text that is empty, has blanks at an end, or would be read otherwise */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_formula(const char *text)
{
    return *text && strchr("=+-@\t\r\n", *text);
}

/* Would @text come back as another one? */
static bool needs_mark(const char *text)
{
    size_t n = strlen(text);

    while (n >= 2 && text[0] == '\'' && text[1] == '\'') { /* a mark itself, if what it stands before needs one */
        text += 2;
        n -= 2;
    }
    return n == 0 || is_blank(text[0]) || is_blank(text[n - 1]) || (text[0] == '\'' && is_formula(text + 1));
}

char *csv_trimmed(const char *text)
{
    size_t n;

    while (is_blank(*text))
        text++;
    n = strlen(text);
    while (n > 0 && is_blank(text[n - 1]))
        n--;
    return text_copy(text, n);
}

/* -------------------------------------------------------------------- out */

static void put(struct csv *csv, const char *text, const char *front)
{
    if (csv->cells++ > 0)
        fputc(csv->between ? csv->between : ',', csv->out);
    /* whatever stands between the cells: who reads them finds it out by counting */
    if (!strpbrk(text, "\"\r\n,;\t") && !is_blank(*text) && !is_blank(*text ? text[strlen(text) - 1] : 'x')) {
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

void csv_text(struct csv *csv, const char *text)
{
    put(csv, text ? text : "", text && is_formula(text) ? "'" : "");
}

void csv_exact(struct csv *csv, const char *text)
{
    if (text && needs_mark(text))
        put(csv, text, EXACT);
    else
        csv_text(csv, text);
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

static void add_cell(struct csv_file *file, char *cell)
{
    struct csv_row *row = &file->row;
    bool exact = cell[0] == '\'' && cell[1] == '\'' && needs_mark(cell + 2);

    if (row->count++ >= CSV_CELLS_MAX)
        return;
    if (row->count > file->cap) {
        file->cap = file->cap * 2 + 16;
        row->cells = must_have(realloc(row->cells, (size_t)file->cap * sizeof(*row->cells)));
    }
    if (exact)
        cell += 2;
    else if (cell[0] == '\'' && is_formula(cell + 1)) /* as csv_text() writes it */
        cell++;
    row->cells[row->count - 1] = (struct csv_cell){cell, exact};
}

struct scan {
    char *at;
    int line;
    char between;
    bool look;   /* changes nothing */
    char ended;  /* behind the last cell: the mark, '\n', or '\0' at the end */
    bool closed; /* its quotes were */
};

/* The cell at s->at, ended with a zero where its mark was; s->at moves behind it. */
static char *take_cell(struct scan *s)
{
    char *from = s->at, *to, *cell;

    s->closed = true;
    cell = to = *from == '"' ? ++from : from;
    if (from > s->at) {
        while (*from && !(*from == '"' && from[1] != '"')) {
            from += *from == '"'; /* of two quotes one stands */
            s->line += *from == '\n';
            if (!s->look)
                *to++ = *from;
            from++;
        }
        s->closed = *from == '"';
        from += s->closed;
    }
    while (*from && *from != s->between && *from != '\n' && *from != '\r') { /* behind a quote: part of the cell all the same */
        if (!s->look)
            *to++ = *from;
        from++;
    }
    s->ended = *from;
    if (*from == '\r' && from[1] == '\n')
        from++;
    s->line += *from == '\n' || (*from == '\r' && s->ended == '\r');
    s->at = s->ended ? from + 1 : from;
    if (s->ended == '\r')
        s->ended = '\n';
    if (!s->look)
        *to = '\0';
    return cell;
}

/* Are all quotes closed? Else *line is where the row begins in which one is not. */
static bool is_closed(const struct csv_file *file, int *line)
{
    struct scan s = {.at = file->at, .line = 1, .between = file->between, .look = true};

    while (*s.at) {
        *line = s.line;
        do {
            (void)take_cell(&s);
            if (!s.closed)
                return false;
        } while (s.ended == file->between);
    }
    return true;
}

bool csv_open(struct csv_file *file, const char *bytes, size_t n, int *line)
{
    memset(file, 0, sizeof(*file));
    file->line = *line = 1;
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
    file->at = file->text;
    file->between = between_of(file->text);
    return is_closed(file, line);
}

const struct csv_row *csv_next(struct csv_file *file)
{
    struct csv_row *row = &file->row;
    struct scan s = {.at = file->at, .line = file->line, .between = file->between};

    while (*s.at) {
        row->line = s.line;
        row->count = 0;
        do {
            add_cell(file, take_cell(&s));
        } while (s.ended == file->between);
        file->at = s.at;
        file->line = s.line;
        if (row->count > 1 || *row->cells[0].text || row->cells[0].exact) /* else an empty line */
            return row;
    }
    return NULL;
}

void csv_close(struct csv_file *file)
{
    free(file->row.cells);
    free(file->text);
    memset(file, 0, sizeof(*file));
}
