/* CSV, both ways.
 *
 * Out: RFC 4180 with CRLF behind each row, a comma between cells or what a French
 * spreadsheet takes. A spreadsheet takes a cell that begins with = + - @ (or a tab, or a
 * line break) for a formula, which may run what a record says: such text gets an
 * apostrophe in front. A number is written with csv_number() and stays one.
 *
 * In: comma, semicolon or tab, as the first line has them; UTF-8 with or without a mark,
 * or Windows-1252; quoted cells with line breaks in them; the apostrophe taken off.
 *
 * An empty cell is no value, and blanks around a cell say nothing, quoted or not: programs
 * and spreadsheets add them as they like. Text that is empty or has blanks at an end all the
 * same gets two apostrophes in front (csv_exact), and csv_next() says that such a cell is
 * exact: whatever csv_exact() writes is read as it was. */
#ifndef CLIENT_CSV_H
#define CLIENT_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct csv {
    FILE *out;
    char between; /* 0 = a comma */
    int cells;    /* of the present row */
};

void csv_text(struct csv *csv, const char *text);  /* NULL: an empty cell */
void csv_exact(struct csv *csv, const char *text); /* the same, and nothing of it is lost on the way back */
void csv_number(struct csv *csv, const char *digits);
void csv_end_row(struct csv *csv);

#define CSV_CELLS_MAX 4096 /* of a row; those behind are counted alone */

struct csv_cell {
    char *text; /* owned by the file */
    bool exact; /* an empty one is an empty text, and blanks belong to it; else it is trimmed */
};

struct csv_row {
    struct csv_cell *cells; /* of the file: until the next row */
    int count;
    int line; /* where it begins, from 1 */
};

struct csv_file {
    char *text; /* UTF-8; the cells point into it, as long as the file is open */
    char *at;
    char between;
    bool windows; /* it was Windows-1252 */
    int line, cap;
    struct csv_row row;
};

/* Takes @n bytes, which stay the caller's, to be taken apart. False: *line says where a quote is never closed, or that there is a
 * zero byte. End with csv_close() in any case. */
bool csv_open(struct csv_file *file, const char *bytes, size_t n, int *line);
/* The next row, NULL after the last; empty lines are passed over. */
const struct csv_row *csv_next(struct csv_file *file);
void csv_close(struct csv_file *file);

/* A copy without blanks and tabs at its ends. malloc. */
char *csv_trimmed(const char *text);

#endif
