/* What `show` and `history` have in common: one record, named by table and id. */
#ifndef CLIENT_RECORD_H
#define CLIENT_RECORD_H

#include "args.h"
#include "perche/limits.h"

struct json_t;

#define RECORD_WORDS_MAX (1 + PERCHE_KEY_COLUMNS_MAX) /* the table, then the id */

/* Asks @command about the record args->words names. The exit status. */
int record_ask(struct client *c, const char *command, const struct args *args,
               const struct command *cmd, struct json_t **result);
/* How an id goes to the daemon: a key of one column as that value, since any beginning of it
 * that is no other's will do then. Takes @id. */
struct json_t *record_id(struct json_t *id);
/* All of it, as `show` prints it. */
void record_print(struct client *c, const struct json_t *record);
/* Table, key, label and holders of a record. */
void record_head(struct client *c, const struct json_t *record);
/* The values of an array as one text; malloc. */
char *record_joined(const struct json_t *array, const char *between);

#endif
