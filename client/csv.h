/* CSV, both ways.
 *
 * Out: RFC 4180 with CRLF behind each row, a comma between cells or what a French
 * spreadsheet takes. A spreadsheet takes a cell that begins with = + - @ (or a tab, or a
 * line break) for a formula, which may run what a record says: such text gets an
 * apostrophe in front. A number is written with csv_number() and stays one.
 *
 * In: comma, semicolon or tab, as the first line has them; UTF-8 with or without a mark,
 * or Windows-1252; quoted cells with line breaks in them; the apostrophe taken off. */
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

void csv_text(struct csv *csv, const char *text); /* NULL: an empty cell */
void csv_number(struct csv *csv, const char *digits);
void csv_end_row(struct csv *csv);

struct csv_row {
    char **cells; /* owned by the file */
    int count;
    int line; /* where it begins, from 1 */
};

struct csv_file {
    char *text; /* UTF-8; the cells point into it */
    char between;
    bool windows; /* it was Windows-1252 */
    struct csv_row *rows;
    int count;
};

/* Takes apart @n bytes, which stay the caller's. Empty lines are passed over. False: *line says where a quote is never closed, or that
 * there is a zero byte. End with csv_close() in any case. */
bool csv_open(struct csv_file *file, const char *bytes, size_t n, int *line);
void csv_close(struct csv_file *file);

#endif
