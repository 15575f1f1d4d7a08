/* Rows of a file on their way to the daemon: in batches, each taken in one transaction, and what became of them. */
#ifndef CLIENT_IMPORT_H
#define CLIENT_IMPORT_H

#include "client.h"

struct json_t;

struct import {
    struct client *c;
    const char *table, *source; /* of the rows that come now */
    bool dry;                   /* each batch is tried and undone */
    struct json_t *columns;     /* names, owned */
    struct json_t *by;          /* columns of which a row is known that no id tells, owned; NULL = none */
    size_t rows_max;            /* of a batch; 0 = the usual number */
    /* Of a dry run: what the rows stand on that earlier batches have brought, and that was undone (`before` of the request); a
     * new array, or NULL. */
    struct json_t *(*before)(void *ctx, const struct json_t *rows);
    void (*on_fault)(void *ctx, struct json_t *fault); /* may add to what the daemon refuses, or say it otherwise */
    void *ctx;
    /* what became of them */
    uint64_t added, changed, same, asked, refused;
    struct json_t *faults; /* of the rows that were refused: {file, line, column, why, value} */
    /* its own */
    struct json_t *rows;
    size_t bytes;
};

void import_begin(struct import *m, struct client *c, bool dry);
void import_end(struct import *m);

/* Takes @row, an array of the line and a cell for each column (docs/control.md), and sends when a batch has come together. The
 * exit status, CLIENT_DONE to go on. */
int import_row(struct import *m, struct json_t *row);
/* Sends the rest. The columns may be others then. */
int import_send(struct import *m);
/* Refuses a row here. @file, @column and @value may be NULL. */
void import_refuse(struct import *m, const char *file, int line, const char *column, const char *value, const char *why, ...)
    __attribute__((format(printf, 6, 7)));
/* Reads @path, "-" for the standard input, of @bytes_max at most; NULL: it was said why not. */
char *import_read_file(struct client *c, const char *path, size_t bytes_max, size_t *n);

/* roster_in.c: the rows of a OneRoster archive. The exit status; what was refused is counted in *m. @left: an array that gets
 * what was not taken on purpose, as {file, line, why}. */
int roster_import(struct import *m, const char *bytes, size_t n, struct json_t *left);

#endif
