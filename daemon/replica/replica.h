/* The replica: one SQLite file that any local program writes with plain SQL, and
 * beside its tables what keeps them in step: captured changes, positions, clocks,
 * conflicts, history, digests, cursors of the peers.
 *
 * A replica has one writer connection and any number of reader connections, each
 * used by one thread at a time (not always the same). No socket and no clock of
 * its own: time comes in with each work, randomness with it too. After a call
 * that writes has returned PERCHE_OK everything it says is on disk; otherwise
 * nothing of it is (P2). */
#ifndef REPLICA_REPLICA_H
#define REPLICA_REPLICA_H

#include "sync/work.h"

struct replica;
struct schema_file;

enum replica_role { REPLICA_SITE = 1, REPLICA_HUB = 2 };

/* The node's own key: the replica signs with it and never sees it. Called on the writer's thread and on readers'. */
struct replica_signer {
    void *ctx;
    void (*sign)(void *ctx, const uint8_t *p, size_t n, uint8_t signature[64]); /* NULL: nothing is signed */
    bool (*verify)(void *ctx, const uint8_t public_key[32], const uint8_t *p, size_t n, const uint8_t signature[64]);
    uint8_t public_key[32];
};

/* The files as SQLite has them open here, for whom @stand is NULL: they are. Asked, on any thread, within each
 * transaction: when it says no nothing is written any more, also by the close. */
struct replica_files {
    void *ctx;
    bool (*stand)(void *ctx);
};

/* A question of people (WORK_QUERY) that another room answers: writes members of the answer's object, which is open (replica/ask.h). */
struct args;
struct json;
struct replica_question {
    const char *name;
    enum perche_rc (*run)(struct replica *r, struct args *a, struct json *j);
};

/* A command of people (WORK_COMMAND), likewise. */
struct replica_command {
    const char *name;
    bool hub_alone;
    enum perche_rc (*run)(struct replica *r, const struct work *w, struct args *a, struct json *j);
};

/* Something that the hub does by itself, as a program would: plain SQL in the transaction of a harvest that left nothing over, captured and
 * harvested next. @part: which of the chores it is. @waits: something was written before it that is not harvested yet. *@wrote: there is something
 * now. One that fails for what stands in the file is undone and said, the others go on. */
typedef enum perche_rc (*replica_chore)(struct replica *r, uint32_t part, bool waits, bool *wrote);

/* What people's text means as a value of that column: a code for its label, a day as it is stored. malloc(); NULL: as it stands, or r->fail
 * says what is wrong with it. */
struct table;
typedef char *(*replica_reader)(struct replica *r, struct table *t, const char *column, const char *text);

/* What people call rows instead of their keys. Any thread, each with its own replica. */
struct replica_naming {
    /* The key of the row of @t that they mean by what stands at @path of the JSON object @args, a text or an array of
     * texts: a JSON array, malloc(). NULL: r->fail says why not, or nobody is called so. */
    char *(*find)(struct replica *r, struct table *t, const char *args, const char *path);
    /* For a column of @t that names rows of another table: a query without its last word, "SELECT name FROM site WHERE id = ".
     * Static; NULL: it names none, or those have no names. */
    const char *(*query)(struct replica *r, struct table *t, const char *column);
};

struct replica_config {
    const char *path;        /* replica.db; -wal and -shm appear beside it */
    enum replica_role role;
    const char *name;        /* of the node: host or site name */
    uint64_t now_ms;
    uint8_t random[32];      /* fresh: ids and epochs of a first start are drawn from it */
    const char *vfs;         /* NULL = the default; tests pass a faulty one */
    uint64_t keep_deleted_ms; /* a hub: tombstones are kept for so long after every site has them, 0 = for ever (floor.h) */
    uint64_t silent_ms_max;   /* a hub: a site that says nothing for longer is retired, 0 = none is */
    bool seeds;              /* hub, first start: load the code lists (seed_*.sql) */
    const struct schema_file *schema; /* the migrations, as in schema.h, for as long as the replica is open; NULL = the school's */
    size_t schema_count;
    const struct replica_question *questions; /* beside the replica's own, for as long as it is open */
    size_t questions_count;
    const struct replica_command *commands;
    size_t commands_count;
    const replica_chore *chores; /* at most CHORES_MAX (internal.h) */
    size_t chores_count;
    replica_reader reader;   /* of what a person decides a question with; NULL: text is text */
    struct replica_naming naming; /* NULL: a row is called by its key alone */
    struct replica_signer signer;
    struct replica_files files;
};

/* Opens the writer, creating the file, the school's tables, the registry and the
 * node's identity when absent, applying the migrations of this program that the
 * file lacks. NEWER: made by a newer program, untouched. CORRUPT: not SQLite or
 * damaged, untouched; err says what to do. The caller ends it with replica_free().
 * @config is copied. */
enum perche_rc replica_open(const struct replica_config *config, struct replica **out, struct perche_err *err);
/* What a file is. Nothing there, or no table in it: role = 0. */
struct replica_seen {
    enum replica_role role;
    char hub[PERCHE_ID_BYTES_MAX]; /* "": a site that has not joined, or has left */
    bool unknown;                  /* a program died in the middle of a commit: who opens it will see */
};

/* Looks at the file of @config as replica_open() does before it goes on (but for a check of the pages), with the same
 * refusals. Writes nothing, and leaves nothing beside the file. */
enum perche_rc replica_look(const struct replica_config *config, struct replica_seen *out, struct perche_err *err);
/* A reader on the same file; the writer must have been opened once before. */
enum perche_rc replica_open_reader(const struct replica_config *config, struct replica **out, struct perche_err *err);
void replica_free(struct replica *r); /* NULL is fine */

/* Carries out @count works in one durable transaction when they write, in one read
 * transaction when they read. One that fails leaves the others alone: then all are
 * done once more, each in a savepoint of its own. Outcomes are filled for each, whatever happens; the
 * caller ends them with outcome_free(). Never mixes: all write or all read. */
void replica_perform(struct replica *r, const struct work *works, struct outcome *outcomes, uint32_t count);

/* Identity, stable from the first start on (a site's id changes once, by `join`). */
const char *replica_site_id(const struct replica *r);
const char *replica_hub_id(const struct replica *r); /* "" = a site that has not joined, or has left */
const char *replica_name(const struct replica *r);
/* Did another program write since the last call? (frames in the WAL that are not ours) */
bool replica_others_wrote(struct replica *r);
/* Whole chunks of changes (PERCHE_HARVEST_CHUNK_ROWS) that programs have written and nobody has harvested. The writer's thread. */
uint32_t replica_backlog(struct replica *r);
/* Was an older file written into this one? Its works all fail with STATE then; a new start takes it as a replica that was put back. */
bool replica_put_back(const struct replica *r);

/* Turns the SQLite text of an error into a code: FULL, BUSY, CORRUPT, DISK ... */

#endif
