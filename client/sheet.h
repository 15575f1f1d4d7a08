/* A table as an .xlsx file, written row by row in constant memory.
 *
 * Text is text whatever it looks like: "0612" keeps its zero, "=1+1" is no formula. A number of
 * up to 15 digits, which is what a spreadsheet keeps, is a number, a day of a day's column a
 * date. Rows beyond what one sheet holds go on to the next. */
#ifndef CLIENT_SHEET_H
#define CLIENT_SHEET_H

#include <stdbool.h>
#include <stddef.h>

struct json_t;
struct sheet;

enum sheet_kind { SHEET_TEXT, SHEET_DAY };

/* A file at @path, which is written by sheet_close(); @name: of its first sheet. NULL: it cannot be. The names and kinds of
 * the columns are copied. */
struct sheet *sheet_new(const char *path, const char *name, const char *const *columns, const enum sheet_kind *kinds, int count);
/* The next row: an array of a value for each column. False: *why is a sentence, and the file is of no use. */
bool sheet_row(struct sheet *s, const struct json_t *row, char **why);
/* Writes the file, looks whether all of it is there, and ends *s. *why is NULL before; false: *why (malloc) says what went wrong. */
bool sheet_close(struct sheet *s, char **why);

#endif
