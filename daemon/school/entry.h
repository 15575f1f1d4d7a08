/* Records as people write them: a value as text, with a name for an id, a label for a
 * code, a French date; checked against what the registry says of its column before
 * anything is written. What is written goes the way of every program's: plain SQL,
 * captured by the triggers. */
#ifndef SCHOOL_ENTRY_H
#define SCHOOL_ENTRY_H

#include "replica/internal.h"

#define ENTRY_TEXT_MAX 4096u /* of one value as it is typed */
#define ENTRY_WHY_MAX 400u

/* What is wrong with a row: the column ("" = the row itself) and a sentence with what to do. */
struct entry_fault {
    char column[PERCHE_NAME_BYTES_MAX];
    char why[ENTRY_WHY_MAX];
};

/* Sets it, cut where it is too long. Returns false, for whoever has found it. */
bool entry_fault_is(struct entry_fault *fault, const char *column, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The command fails with it as USAGE, unless r->fail says something already. */
enum perche_rc entry_failed(struct replica *r, const struct entry_fault *fault);

enum entry_kind { ENTRY_TEXT, ENTRY_INTEGER, ENTRY_REAL, ENTRY_DAY, ENTRY_INSTANT, ENTRY_YES_NO };

struct entry_column {
    char name[PERCHE_NAME_BYTES_MAX];
    enum entry_kind kind;
    char *code_list, *refers; /* of perche_column, NULL = none; owned */
    bool is_key, notnull, has_default, hub_alone, own_site, now; /* own_site, now: filled when it is left out */
    bool places;     /* says which site's row it is, and only the hub changes that */
    uint16_t num;    /* in the clock, 0 = a key column */
    bool review;     /* a person is asked when it is written twice */
    char said[64], meant[PERCHE_ID_BYTES_MAX]; /* the last name or code that was read, and what it stands for */
};

#define ENTRY_KEPT 12u

/* A table as rows are entered into it. */
struct entry_table {
    struct table *t;
    struct entry_column *columns; /* keys first, as registered */
    uint32_t count;
    bool key_minted; /* its key has a DEFAULT */
    bool append;
    bool hub;        /* this node is one: it writes everybody's rows */
    char now[32];    /* the time of the command */
    struct entry_kept {
        char *text;  /* owned */
        sqlite3_stmt *s;
    } kept[ENTRY_KEPT]; /* statements of more than one row */
    uint32_t kept_next;
};

/* Ended with entry_close(), unless it fails. */
enum perche_rc entry_open(struct replica *r, struct table *t, struct entry_table *e);
void entry_close(struct entry_table *e);
/* The column of that name, in whatever case; -1: none, and *fault names those that there are. */
int entry_column(const struct entry_table *e, const char *name, struct entry_fault *fault);

/* The statement of @text (sqlite3_malloc, taken over), prepared once for the rows of a file; ends with entry_done(). NULL: r->fail. */
sqlite3_stmt *entry_statement(struct replica *r, struct entry_table *e, char *text);
void entry_done(sqlite3_stmt *s);

/* A value that was typed; its text is the struct's own. */
struct entry_value {
    bool given;
    char kind; /* 'n' NULL, 'i', 'r', 't' */
    int64_t i;
    double r;
    char *text; /* malloc */
};

/* Values of a row by column; start with calloc(), end with entry_values_free(). */
void entry_values_free(struct entry_value *values, uint32_t count);

/* Binds it as ?@i; its text is borrowed until the last step. */
void entry_bind(sqlite3_stmt *s, int i, const struct entry_value *v);
/* It becomes a copy of the text. False: r->fail. */
bool entry_set_text(struct replica *r, struct entry_value *out, const char *text);

/* ---- typed.c: what a value means ------------------------------------------------------------- */

/* 36 characters of a UUID, in small letters or capitals. */
bool entry_is_uuid(const char *text);

/* What @text means in the column; "" is NULL. False: *fault says why, or r->fail. */
bool entry_read(struct replica *r, struct entry_table *e, uint32_t column, const char *text, struct entry_value *out, struct entry_fault *fault);

/* ---- plausible.c: whether a row can hold ------------------------------------------------------ */

/* Of the marks, those of who was not there. */
bool mark_is_absent(const char *mark);
/* Can what is given hold, with what stands in the row already (@there: a query of all columns that is at it, NULL = a new row)? Days in their
 * order and not to come, no minutes of somebody who was absent, a learner with a name; and whose row it is stays as it was. */
bool entry_plausible(const struct entry_table *e, const struct entry_value *values, sqlite3_stmt *there, struct entry_fault *fault);

/* ---- entry.c: a row ----------------------------------------------------------------------------- */

/* May this node write what is given? */
bool entry_lawful(struct replica *r, struct entry_table *e, const struct entry_value *values, struct entry_fault *fault);
/* Fills in what may be left out, and says what is missing of a new row. */
bool entry_complete(struct replica *r, struct entry_table *e, struct entry_value *values, struct entry_fault *fault);
/* Writes. *key: the new row's key as a JSON array (sqlite3_free). A constraint is a fault. */
bool entry_insert(struct replica *r, struct entry_table *e, const struct entry_value *values, char **key, struct entry_fault *fault);
/* Writes what takes the row with the key values of @values back: the same row once more, which says that it @voids that one and why. */
bool entry_void(struct replica *r, struct entry_table *e, const struct entry_value *values, const char *reason, char **key, struct entry_fault *fault);
/* Is there a row with the key values of @values? */
bool entry_exists(struct replica *r, struct entry_table *e, const struct entry_value *values);
/* All columns of the row with the key values of @values, to be stepped and ended with entry_done(); NULL: r->fail. */
sqlite3_stmt *entry_present(struct replica *r, struct entry_table *e, const struct entry_value *values);
/* Of the row with the key values of @values, the others that are given. */
bool entry_update(struct replica *r, struct entry_table *e, const struct entry_value *values, struct entry_fault *fault);
/* The row with the key values of @values goes. */
bool entry_delete(struct replica *r, struct entry_table *e, const struct entry_value *values, struct entry_fault *fault);

#endif
