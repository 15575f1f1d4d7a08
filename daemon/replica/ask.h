/* What questions and commands of people share: one-off statements, their
 * arguments, keys and names as people write them, and JSON to answer with. */
#ifndef REPLICA_ASK_H
#define REPLICA_ASK_H

#include "replica/internal.h"
#include "replica/json.h"

#define ASK_PREFIX_MIN 4 /* characters of an id that stand for all of it */

/* ---- one-off statements ------------------------------------------------------ */

/* Prepared for this use alone; NULL: r->fail says why. Ended with sqlite3_finalize() or ask_run(). */
sqlite3_stmt *ask(struct replica *r, const char *sql);
void ask_bind_text(sqlite3_stmt *s, int i, const char *text);       /* borrowed until the last step; NULL binds NULL */
void ask_bind_bytes(sqlite3_stmt *s, int i, struct perche_bytes b); /* borrowed */
/* Steps: true while there is a row. Any failure is in r->fail. NULL @s: false. */
bool ask_row(struct replica *r, sqlite3_stmt *s, const char *what);
/* Steps a statement that returns nothing and finalizes it. NULL @s: r->fail. */
enum perche_rc ask_run(struct replica *r, sqlite3_stmt *s, const char *what);
/* The one number that @sql gives for an optional number ?1 and text ?2; 0 when there is no row. */
int64_t ask_number(struct replica *r, const char *sql, int64_t number, const char *text);
/* A column's text, "" for NULL; borrowed until the next step. */
const char *ask_text(sqlite3_stmt *s, int column);

/* The outcome takes the document over; NOMEM or TOO_LARGE when it is not whole. */
enum perche_rc json_done(struct replica *r, struct json *j, struct outcome *o);

/* A copy of the text in the message's own memory; NULL: out of memory. */
char *message_text(struct perche_message *m, const char *text);

/* ---- arguments ---------------------------------------------------------------- */

struct args {
    sqlite3_stmt *stmt; /* json_each over the object */
    char *text;
};

/* USAGE when @text (NULL = {}) is no JSON object. End with args_free(). */
enum perche_rc args_parse(struct replica *r, const char *text, struct args *a);
void args_free(struct args *a);
/* Finds a member: its values are columns of a->stmt until the next args_ call. JSON arrays and objects are their text. */
struct arg {
    char kind; /* 0 absent, 'n' null, 'b' boolean, 'i', 'r', 't' text, 'a' array, 'o' object */
    struct perche_value value; /* borrowed; boolean: 0 or 1; array, object: text */
};
struct arg args_find(struct replica *r, struct args *a, const char *name);
/* Copies the text of a member; "" when it is absent or null. TOO_LARGE: USAGE. */
enum perche_rc args_text(struct replica *r, struct args *a, const char *name, char *out,
                         size_t out_n);
/* The same, and USAGE when it is absent or empty. */
enum perche_rc args_need(struct replica *r, struct args *a, const char *name, char *out,
                         size_t out_n);
int64_t args_number(struct replica *r, struct args *a, const char *name, int64_t otherwise);
bool args_true(struct replica *r, struct args *a, const char *name);

/* ---- tables, keys, names -------------------------------------------------------- */

/* The registered table that argument "table" names; NULL: r->fail says why. */
struct table *ask_table(struct replica *r, struct args *a);
/* @v as column @c would store it: text of a number becomes one. Only the type changes. */
struct perche_value ask_settled(const struct column *c, struct perche_value v);
/* The row that argument @name means: a JSON array of its key's values, the one value, or a unique beginning
 * of a text key; else what people call it (replica_naming). NOT_FOUND when there is no such row, dead or alive. */
enum perche_rc ask_key(struct replica *r, struct args *a, const char *name, struct table *t,
                       uint8_t key[PERCHE_KEY_BYTES_MAX], uint32_t *key_n);
/* The key from its JSON array text, as in perche_conflict.key. False: it is none of this table. */
bool ask_key_parse(struct replica *r, struct table *t, const char *json,
                   uint8_t key[PERCHE_KEY_BYTES_MAX], uint32_t *key_n);
/* JSON array of the key's values as json_array() writes it, but with all digits of a number; malloc, NULL: r->fail. A blob is its hex text. */
char *ask_key_json(struct replica *r, struct perche_bytes key);

/* How people call a site: the name of its row, of the member, or its id. Remembers what it was asked: start with {0}. */
struct ask_sites {
    uint32_t count;
    struct {
        char id[PERCHE_ID_BYTES_MAX], name[PERCHE_NAME_BYTES_MAX];
    } known[16];
};
/* NULL for NULL or "". Borrowed until the next call with the same @sites. */
const char *ask_site(struct replica *r, struct ask_sites *sites, const char *id);
/* Writes what people call the row (its table's label), else its key. */
void ask_label(struct replica *r, struct json *j, struct table *t, struct perche_bytes key);

#endif
