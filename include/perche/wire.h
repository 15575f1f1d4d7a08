/* The wire: what travels between a site and its hub, as C structs, and the calls
 * that turn them into bytes and back. proto/PROTOCOL.md has the bytes.
 *
 * No I/O, no clock, no global state: every call may run on any thread, one call
 * at a time for each object. A decoder never trusts a length or a count before
 * it has compared it with the bytes left, and leaves its output untouched (or
 * freed) on failure. All integers are unsigned unless said; times are
 * milliseconds since 1970-01-01T00:00Z; a stamp is a hybrid logical clock,
 * milliseconds << 16 | counter (Kulkarni et al. 2014, "Logical Physical Clocks").
 * Positions, epochs and times are below 2^63, as SQLite keeps them: neither end of the
 * wire passes a larger one. Marks and sessions are any 64 bits. */
#ifndef PERCHE_WIRE_H
#define PERCHE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perche/limits.h"
#include "perche/rc.h"

#define PERCHE_PROTOCOL_LOWEST 1
#define PERCHE_PROTOCOL_HIGHEST 1

/* ---- values ------------------------------------------------------------ */

enum perche_type { PERCHE_NULL = 0, PERCHE_INTEGER = 1, PERCHE_REAL = 2, PERCHE_TEXT = 3, PERCHE_BLOB = 4 };

struct perche_bytes {
    const uint8_t *p; /* borrowed */
    uint32_t n;
};

/* One SQLite value. Text and blob bytes are borrowed from whoever made it. */
struct perche_value {
    uint8_t type; /* enum perche_type */
    uint32_t n;   /* bytes of text or blob */
    union {
        int64_t i;
        double r;
        const uint8_t *p;
    };
};

/* Total order used as the last tie-break: type number, then the value (memcmp
 * for text and blob, numbers by value, -0.0 below 0.0). Equal only if identical. */
int perche_value_compare(const struct perche_value *a, const struct perche_value *b);

/* ---- batch ------------------------------------------------------------- */

/* Flags of a row header. */
enum {
    PERCHE_ROW_WHOLE = 1,    /* every written cell is here: replaces what a clean receiver has */
    PERCHE_ROW_GEN = 2,      /* the generation's own event (insert, delete) is here: gen_stamp, gen_origin */
    PERCHE_ROW_ERASED = 4,
    PERCHE_ROW_SUSPECT = 8,  /* stamped under an implausible clock */
    PERCHE_ROW_PAIR = 16,    /* carries its own pull pair (full, scan), see DESIGN 4.3 */
    PERCHE_ROW_IMAGE = 32,   /* pull: image asked for after a refusal; taken instead of the site's own */
    PERCHE_ROW_FIXED = 64,   /* the stamp of the generation's event may not be shifted, as PERCHE_CELL_FIXED */
};
#define PERCHE_NO_SCOPE UINT32_MAX

/* Flags of a cell. */
enum {
    PERCHE_CELL_BASE = 1,  /* carries the identity of the value it replaced */
    PERCHE_CELL_FIXED = 2, /* its stamp may not be shifted (DESIGN 4.2) */
};

struct perche_cell {
    uint16_t col;    /* index into the part's columns */
    uint16_t flags;
    uint32_t origin; /* index into the batch's names */
    uint64_t stamp;
    struct perche_value value;
};

/* Identity of the value that a cell replaced; rare, hence beside the cells. */
struct perche_base {
    uint32_t cell;   /* index into the part's cells */
    uint32_t origin; /* index into the batch's names */
    uint64_t stamp;
};

struct perche_row {
    struct perche_bytes key; /* 16 bytes = canonical UUID text; any other length: encoded key, proto/PROTOCOL.md "Keys" */
    uint32_t gen;            /* odd alive, even deleted, from 1 */
    uint16_t flags;
    uint16_t cells_count;
    uint32_t cells_first;    /* the row's cells are part->cells[cells_first ..] in ascending col */
    uint32_t scope;          /* index into the batch's names, or PERCHE_NO_SCOPE */
    uint32_t gen_origin;     /* with PERCHE_ROW_GEN */
    uint64_t gen_stamp;
    uint64_t full, scan;     /* with PERCHE_ROW_PAIR */
};

/* The rows of one table, in the sender's order of positions. */
struct perche_part {
    const char *table;
    const char **columns; /* names; the key's columns are not among them */
    uint32_t columns_count;
    struct perche_row *rows;
    uint32_t rows_count;
    struct perche_cell *cells;
    uint32_t cells_count;
    struct perche_base *bases;
    uint32_t bases_count;
};

enum perche_notice_kind { PERCHE_LEFT = 1, PERCHE_REFUSAL = 2, PERCHE_ABSENT = 3 /* an image: the hub has no such row for you */ };

/* An entry of a pull that is no row: a "left" mark, a refusal, an absent image. */
struct perche_notice {
    uint8_t kind;
    uint64_t lsn;           /* its position at the hub; 0 for an image */
    const char *table;
    struct perche_bytes key;
    const char *reason;     /* refusal: a reason code such as "scope", "hub_column", "parent", "type" */
    const char *columns;    /* refusal: comma-separated names, "" = the whole row */
};

/* A batch owns everything it points to, in one arena. */
struct perche_batch {
    struct perche_part *parts;
    uint32_t parts_count;
    const char **names;     /* interned texts: origins (site ids) and scopes ("*", "" = hub only, or site ids in ascending order joined by ',') */
    uint32_t names_count;
    struct perche_notice *notices; /* in order of lsn */
    uint32_t notices_count;
    struct perche_arena *arena;
};

struct perche_batch *perche_batch_new(void); /* NULL: out of memory */
void perche_batch_free(struct perche_batch *b);
/* Empties @b but keeps its memory for the next use. */
void perche_batch_clear(struct perche_batch *b);
uint32_t perche_batch_rows(const struct perche_batch *b); /* rows of all parts */

/* Builders. Every name, key and value is copied into the arena. They return NULL
 * or UINT32_MAX when out of memory or beyond a bound of limits.h. */
uint32_t perche_batch_name(struct perche_batch *b, const char *text); /* interns (hash look-up) */
/* Index of the part of @table, made with these columns when it is not there yet. */
uint32_t perche_batch_part(struct perche_batch *b, const char *table, const char *const *columns, uint32_t columns_count);
/* Appends a row; returned pointer is valid until the next row of this part. */
struct perche_row *perche_batch_row(struct perche_batch *b, uint32_t part, struct perche_bytes key);
/* Appends a cell to the last row of @part; columns in ascending order, which is asserted. Valid until the next cell. */
struct perche_cell *perche_batch_cell(struct perche_batch *b, uint32_t part, uint16_t col, const struct perche_value *v);
bool perche_batch_base(struct perche_batch *b, uint32_t part, uint64_t stamp, uint32_t origin); /* of the last cell */
bool perche_batch_notice(struct perche_batch *b, const struct perche_notice *n);
/* Rough count of bytes that the batch would take uncompressed: to stop filling in time. */
size_t perche_batch_bytes(const struct perche_batch *b);

/* A buffer that grows; free with perche_buf_free. */
struct perche_buf {
    uint8_t *p;
    size_t n, cap;
};
void perche_buf_free(struct perche_buf *buf);

/* Appends the encoded batch (columnar, zstd at @level, 3 is the rule, 0 = plain) to @out.
 * INTERNAL when what the batch says of itself does not hold (indexes, flags, generation 0). */
enum perche_rc perche_batch_encode(const struct perche_batch *b, int level, struct perche_buf *out, struct perche_err *err);
/* Decodes exactly the bytes given into the empty batch @b. */
enum perche_rc perche_batch_decode(struct perche_bytes in, struct perche_batch *b, struct perche_err *err);
/* Encode and decode keep zstd's contexts for each thread and free them at its end; this does so
 * now (the next call makes them again). For a test that counts what is allocated. */
void perche_wire_thread_end(void);

/* ---- keys -------------------------------------------------------------- */

/* Encodes the values of a key (1 to 4, none NULL): one canonical lower-case UUID
 * text becomes its 16 bytes; everything else a record of tagged values that is
 * never 16 bytes long. @out has room for PERCHE_KEY_BYTES_MAX; TOO_LARGE beyond. */
enum perche_rc perche_key_encode(const struct perche_value *values, uint32_t n, uint8_t *out, uint32_t *out_n);
/* Decodes into @values (room for PERCHE_KEY_COLUMNS_MAX). Text of a UUID is written to
 * @scratch (room for 37 * PERCHE_KEY_COLUMNS_MAX); other texts point into @key. */
enum perche_rc perche_key_decode(struct perche_bytes key, struct perche_value *values, uint32_t *n, char *scratch);
/* 36 characters, canonical lower case? Fills @out[16]. */
bool perche_uuid_parse(const uint8_t *text, uint32_t n, uint8_t out[16]);
void perche_uuid_format(const uint8_t id[16], char out[37]);

/* ---- varints, for those who pack small records ------------------------- */

/* LEB128, at most 10 bytes. _put returns the bytes written; _get the bytes read, 0 = malformed or short. */
uint32_t perche_varint_put(uint8_t *out, uint64_t v);
uint32_t perche_varint_get(const uint8_t *p, const uint8_t *end, uint64_t *v);

/* ---- messages ---------------------------------------------------------- */

enum perche_op {
    PERCHE_OP_HELLO = 1, PERCHE_OP_PROVE, PERCHE_OP_PUSH, PERCHE_OP_PULL,
    PERCHE_OP_ROWS, PERCHE_OP_DIGEST, PERCHE_OP_WATCH, PERCHE_OP_ENROL, PERCHE_OP_LEAVE,
};

/* Why the other end says no, whole request. Names are the reason codes of `perche doctor`. */
#define PERCHE_REFUSAL_MAP(X)                                                           \
    X(NONE, 0, "none")                                                                  \
    X(UNKNOWN, 1, "unknown_site")        /* no such site, or its key is not known */    \
    X(REVOKED, 2, "revoked")                                                            \
    X(SIGNATURE, 3, "signature")         /* the challenge was not answered rightly */   \
    X(VERSION, 4, "version")             /* no common protocol version */               \
    X(SESSION, 5, "session")             /* not proven, or ended by a newer session */  \
    X(POSITION, 6, "position")           /* from is not the stored cursor: have says it */ \
    X(CLOCK, 7, "clock")                 /* a stamp too far ahead: shake hands again */ \
    X(BAD, 8, "bad_message")             /* did not decode */                           \
    X(TOO_LARGE, 9, "too_large")                                                        \
    X(LATER, 10, "later")                /* turn time: come back after retry_ms */      \
    X(DISK, 11, "disk")                  /* nothing was taken */                        \
    X(SCHEMA, 12, "schema")                                                             \
    X(INVITATION_USED, 13, "invitation_used")                                           \
    X(INVITATION_EXPIRED, 14, "invitation_expired")                                     \
    X(INVITATION_UNKNOWN, 15, "invitation_unknown")                                     \
    X(INTERNAL, 16, "internal")                                                         \
    X(RECOVERY, 17, "recovery")          /* the hub may have been put back: it waits for more sites, or its operator, to say so */ \
    X(LEFT, 18, "left")                 /* the site has left: a new invitation lets it come back */

enum perche_refusal {
#define X(name, value, text) PERCHE_NO_##name = value,
    PERCHE_REFUSAL_MAP(X)
#undef X
};
const char *perche_refusal_name(enum perche_refusal r);

/* A position of a node: its newest lsn and the random mark stored with it. */
struct perche_pos {
    uint64_t lsn, mark;
};

struct perche_hello {
    const char *site;           /* id */
    uint32_t lowest, highest;   /* protocol versions */
    uint64_t clock_ms;
};
struct perche_hello_reply {
    uint8_t challenge[32];
    uint64_t clock_ms;
    const char *hub;            /* id */
    uint64_t epoch;             /* of the hub */
    uint32_t version;           /* chosen */
};

/* One entry of the list of DESIGN 4.8: what the site had from the hub when. */
struct perche_pull_entry {
    uint64_t full, scan;
    struct perche_pos asof;     /* the hub's */
    uint64_t life;              /* the hub's */
    uint64_t own_lsn;
};
struct perche_prove {
    const char *site;
    uint64_t epoch, prev_epoch; /* 63 random bits each; prev 0 = none */
    uint64_t lsn;               /* newest of the site */
    uint64_t full, scan, done;
    struct perche_pos asof;     /* the hub's, of the pull position */
    uint64_t schema;            /* highest migration number the site has */
    uint64_t acked;             /* what the site knows as acknowledged */
    uint64_t epoch_acked;       /* the least of what it knew so whenever it made an epoch */
    bool relays;                /* cells of others wait here, for a hub that was put back */
    struct perche_pos marks[PERCHE_MARKS_MAX];
    uint32_t marks_count;
    struct perche_pull_entry list[PERCHE_LIST_MAX];
    uint32_t list_count;
    uint8_t signature[64];      /* Ed25519 over perche_prove_signed() */
};
enum perche_verdict { PERCHE_PROVEN = 1, PERCHE_RESTORED = 2, PERCHE_GO_BACK = 3, PERCHE_TWO_MACHINES = 4 };
struct perche_migration {
    uint64_t number;
    const char *name;
    const char *sql;            /* registry statements and DDL, additive */
    uint8_t signature[64];      /* of the hub, over number, name, sql */
};
struct perche_prove_reply {
    uint8_t verdict;            /* enum perche_verdict */
    uint64_t session;           /* random; ends the older one */
    uint64_t epoch;             /* the site's, that the hub names as current */
    uint64_t have;              /* the site's changes are durable here up to this lsn */
    struct perche_pos have_asof;/* the site's, as of the last batch taken */
    uint64_t stamp;             /* highest that the hub has of the site */
    uint64_t full, scan;        /* go back to, with GO_BACK; else as the hub recorded */
    struct perche_pos asof;     /* the hub's newest */
    uint64_t floor;
    uint64_t clock_ms;
    const char *name;           /* of the site */
    struct perche_migration *migrations;
    uint32_t migrations_count;
};

struct perche_push {
    uint64_t session;
    uint64_t from, to;
    struct perche_pos asof;     /* the site's newest when the batch was built */
    uint64_t full, scan, done;  /* how far it had pulled */
    uint64_t pending;           /* rows that wait at the site, this batch included */
    struct perche_bytes batch;  /* encoded; empty = none */
};
struct perche_want {
    const char *table;
    struct perche_bytes key;
};
struct perche_push_reply {
    uint64_t have;              /* durable up to here now */
    struct perche_want *wants;  /* rows that came without themselves: send them whole */
    uint32_t wants_count;
};

struct perche_pull {
    uint64_t session;
    uint64_t full, scan, done;
    uint32_t bytes_max;         /* aim for the answer's batch */
    bool compare;               /* the last answer is to carry the hub's root of its snapshot */
    uint64_t proven_ms;         /* when the site was last proven equal, by the hub's clock; 0 = never */
    struct perche_want *wants;  /* images wanted after a refusal */
    uint32_t wants_count;
};
struct perche_pull_reply {
    uint64_t from_full, from_scan; /* the question's, so that a late answer is known as one */
    uint64_t full, scan;
    bool more;
    struct perche_pos asof;     /* the hub's newest, same snapshot */
    uint64_t life;              /* 63 random bits, drawn whenever a hub opens its replica */
    uint64_t have;              /* what the hub has of the site, same snapshot */
    uint64_t floor;
    uint64_t root_ms;           /* the hub's clock when it took the root, same snapshot; 0 = none is given */
    uint8_t root[16];           /* as in digest: over all sums in order of (scope, table) */
    struct perche_bytes batch;
};

struct perche_rows {
    uint64_t session;
    struct perche_want *wants;
    uint32_t wants_count;
};
struct perche_rows_reply {
    uint64_t have;
    struct perche_bytes batch;  /* rows WHOLE; ABSENT notices for those that are not the asker's */
};

/* Digests, three levels: 0 root and each (scope, table); 1 buckets of some; 2 row digests of some buckets. */
struct perche_sum {
    const char *scope;          /* name */
    const char *table;
    uint32_t bucket;            /* the low 8 + finer bits of the key's hash */
    uint64_t rows;              /* live rows; below level 0 unused, but 0 in an answer of rows: not known */
    uint8_t sum[16];
    struct perche_bytes key;    /* rows */
};
enum perche_level { PERCHE_LEVEL_ROOT, PERCHE_LEVEL_BUCKETS, PERCHE_LEVEL_PARTS, PERCHE_LEVEL_ROWS };
#define PERCHE_FINER_MAX 8u /* further bits of the hash: a bucket has 256 parts at most */
struct perche_digest {
    uint64_t session;
    uint64_t scan;              /* = full */
    uint64_t acked;             /* what the site knows as acknowledged */
    uint64_t done;
    uint32_t level;             /* enum perche_level */
    uint32_t finer;             /* bits beyond 8 that a bucket of these sums has */
    uint8_t root[16];           /* level 0: over all sums in order of (scope, table) */
    struct perche_sum *sums;    /* level 0: none; below: the asker's */
    uint32_t sums_count;
};
enum perche_equal { PERCHE_EQUAL = 1, PERCHE_LATER = 2, PERCHE_DIFFERS = 3 };
struct perche_digest_reply {
    uint8_t answer;             /* enum perche_equal */
    uint64_t clock_ms;          /* the hub's, when it compared */
    uint64_t lsn;               /* the hub's newest */
    uint32_t finer;             /* as asked */
    struct perche_sum *sums;    /* what differs: the hub's sums of the next level down */
    uint32_t sums_count;
};

struct perche_watch {
    uint64_t session;
    uint64_t full, scan, done;
};
struct perche_watch_reply {
    bool news;
    uint64_t lsn;
    uint64_t have;
};

struct perche_enrol {
    uint8_t invitation[16];     /* id of the invitation */
    uint8_t secret[32];         /* once; the line is TLS to a pinned certificate */
    uint8_t public_key[32];     /* Ed25519, of the new node */
    const char *name;           /* host name, for the hub's operator */
};
struct perche_enrol_reply {
    const char *site;           /* id */
    const char *code;
    const char *name;
};

struct perche_leave {
    uint64_t session;
    uint64_t acked;             /* what the site knows as acknowledged: nothing of it lies above */
    uint64_t full, scan, done;  /* how far it had pulled */
};
struct perche_leave_reply {
    uint64_t clock_ms;          /* the hub's: since when it counts as left */
};

/* A reply that says no. */
struct perche_no {
    uint8_t why;                /* enum perche_refusal */
    const char *text;           /* a sentence; no row contents */
    uint64_t have;              /* POSITION: the stored cursor */
    uint64_t retry_ms;          /* LATER */
};

/* A decoded message: all pointers live in the arena it owns. */
struct perche_message {
    uint8_t op;                 /* enum perche_op */
    bool reply;
    bool refused;               /* with reply: u.no */
    union {
        struct perche_hello hello;
        struct perche_hello_reply hello_reply;
        struct perche_prove prove;
        struct perche_prove_reply prove_reply;
        struct perche_push push;
        struct perche_push_reply push_reply;
        struct perche_pull pull;
        struct perche_pull_reply pull_reply;
        struct perche_rows rows;
        struct perche_rows_reply rows_reply;
        struct perche_digest digest;
        struct perche_digest_reply digest_reply;
        struct perche_watch watch;
        struct perche_watch_reply watch_reply;
        struct perche_enrol enrol;
        struct perche_enrol_reply enrol_reply;
        struct perche_leave leave;
        struct perche_leave_reply leave_reply;
        struct perche_no no;
    } u;
    struct perche_arena *arena;
};

/* Appends the message's bytes to @out. @m is only read; its arena may be NULL. */
enum perche_rc perche_message_encode(const struct perche_message *m, struct perche_buf *out, struct perche_err *err);
/* Decodes; on success the caller ends it with perche_message_free(). Bytes are copied, @in may go. */
enum perche_rc perche_message_decode(struct perche_bytes in, struct perche_message *m, struct perche_err *err);
void perche_message_free(struct perche_message *m);
/* Memory that lives as long as the message: for whoever builds one. NULL: out of memory. */
void *perche_message_alloc(struct perche_message *m, size_t n);

/* The bytes that a node signs in `prove`: "perche-prove-1", the challenge, the hub's id and every field but the signature. */
enum perche_rc perche_prove_signed(const struct perche_prove *p, const uint8_t challenge[32], const char *hub, struct perche_buf *out);
/* The bytes that the hub signs for a migration. */
enum perche_rc perche_migration_signed(const struct perche_migration *m, struct perche_buf *out);

/* ---- the chain --------------------------------------------------------- */

/* One value that an entry of the chain vouches for. */
struct perche_chain_cell {
    const char *column;         /* "": the generation's own event */
    uint64_t stamp;
    uint8_t hash[16];           /* perche_chain_hash() of its salt and the value */
};
/* What a node signs of a row that it wrote. */
struct perche_chain_entry {
    const char *form;           /* set by encode, checked by decode */
    const char *table;
    struct perche_bytes key;
    const char *origin;         /* who wrote it and signs */
    uint64_t epoch;             /* POSITION: the origin's */
    uint32_t n;                 /* from 1: of the origin's entries for this row in this epoch */
    uint64_t prev_epoch;        /* POSITION: of the entry before it, 0 = none */
    uint32_t prev_n;
    uint8_t prev[16];           /* its id, zeros = none */
    bool unseen;                /* found by comparing: written behind Perche's back */
    uint32_t gen;               /* the row's generation */
    struct perche_chain_cell *cells;
    uint32_t cells_count;
};
/* The bytes that are signed, and back: every pointer of *e is in *arena, which ends with perche_arena_free(). */
enum perche_rc perche_chain_encode(const struct perche_chain_entry *e, struct perche_buf *out);
enum perche_rc perche_chain_decode(struct perche_bytes in, struct perche_chain_entry *e, struct perche_arena **arena);
/* BLAKE2b of the bytes of an entry: its id, and what the next one names. */
void perche_chain_id(struct perche_bytes entry, uint8_t id[16]);
void perche_chain_hash(const uint8_t salt[16], const struct perche_value *v, uint8_t hash[16]);
/* The bytes that the hub signs of a site's public key. */
enum perche_rc perche_site_key_signed(const char *site, const uint8_t public_key[32], struct perche_buf *out);

/* ---- the invitation line ----------------------------------------------- */

struct perche_invitation {
    const char *url;            /* where the site dials */
    const char *hub;            /* id of the hub, also the name in its certificate */
    struct perche_bytes certificate; /* DER */
    uint8_t hub_key[32];        /* Ed25519 public key of the hub */
    uint8_t id[16];
    uint8_t secret[32];
    uint64_t expires_ms;
    const char *site;           /* the id that the site will have */
    const char *name;           /* of the site */
};
/* One line of text, "perche1:" and base64url with a checksum: an altered line is told from a wrong one. */
enum perche_rc perche_invitation_format(const struct perche_invitation *i, struct perche_buf *out, struct perche_err *err);
/* All pointers of *out are in *arena; end with perche_arena_free(). CORRUPT with a text that says what is wrong. */
enum perche_rc perche_invitation_parse(const char *line, struct perche_invitation *out, struct perche_arena **arena, struct perche_err *err);
void perche_arena_free(struct perche_arena *a);

#endif
