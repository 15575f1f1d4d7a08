/* Tables and fields that fit a terminal's width.
 *
 * A table whose cells are too wide cuts the widest with "…", columns marked to be
 * kept last, whole ones not at all on a page of 72 columns or more; where even narrow
 * columns do not fit, the last ones are left out. A
 * cell that goes out is cleaned (text.h). Copies what it is given. */
#ifndef CLIENT_TABLE_H
#define CLIENT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_WHOLE_FROM 72 /* a narrower page has no room for an id and something beside it */

struct table;

struct table *table_new(const char *const *heads, int columns);
void table_free(struct table *t);
void table_keep(struct table *t, int column);  /* cut last: names */
void table_whole(struct table *t, int column); /* not cut where the page has 72 columns, but for its head: what is typed in again, such as an id */
void table_least(struct table *t, int columns); /* on a page of 72 columns others are not cut below that: the last ones are left out instead */
void table_right(struct table *t, int column); /* numbers */
/* Adds a row; missing cells are empty. A row's cells are added from the left. */
void table_row(struct table *t);
void table_cell(struct table *t, const char *text);
void table_cell_n(struct table *t, const char *p, size_t n);
/* A cell that was made for it: takes @text (malloc). */
void table_cell_take(struct table *t, char *text);
/* Would all of it be printed without a cut? */
bool table_fits(const struct table *t, int width);
/* Returns how many columns were left out. @bold: the heads, for a terminal. */
int table_print(struct table *t, FILE *out, int width, bool bold);
int table_columns(const struct table *t);
const char *table_head(const struct table *t, int column);

/* A label before each value; long values go on below themselves. */
struct fields;

struct fields *fields_new(void);
void fields_free(struct fields *f);
void fields_add(struct fields *f, const char *label, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A word on what to do about the value, to its right where there is room. */
void fields_hint(struct fields *f, const char *hint);
void fields_print(const struct fields *f, FILE *out, int width);

#endif
