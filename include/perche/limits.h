/* Every bound of the system, each with its reason (promise P10). */
#ifndef PERCHE_LIMITS_H
#define PERCHE_LIMITS_H

/* A bound, and the one that perche-sim-small has (CMakeLists.txt): what its stories do lies beyond, where else only much
 * more than a test writes would be. */
#ifdef PERCHE_SMALL_BOUNDS
#define PERCHE_BOUND(usual, small) small
#else
#define PERCHE_BOUND(usual, small) usual
#endif

#define PERCHE_COLUMNS_MAX 63          /* replicated columns beside the key: one bit each in a 63-bit capture mask */
#define PERCHE_KEY_COLUMNS_MAX 4       /* perche_capture has k1..k4 */
#define PERCHE_KEY_BYTES_MAX 1024      /* an encoded key */
#define PERCHE_NAME_BYTES_MAX 128      /* table, column, site name */
#define PERCHE_ID_BYTES_MAX 64         /* site ids are 36; a margin for other forms */
#define PERCHE_VALUE_BYTES_MAX (8u << 20)   /* one value; the largest message bounds it as well */
#define PERCHE_ROW_BYTES_MAX (12u << 20)    /* values of one row together: a message carries it whole */
#define PERCHE_BATCH_ROWS_MAX 20000u   /* rows of one batch, all tables together */
#define PERCHE_BATCH_BYTES_MAX (1u << 20)   /* aim for one encoded batch */
#define PERCHE_BATCH_BYTES_MIN (4u << 10)
#define PERCHE_BATCH_RAW_MAX (64u << 20)    /* decompressed: what a decoder will allocate at most */
#define PERCHE_MESSAGE_BYTES_MAX (16u << 20)  /* one nng message; one huge row must still fit */
#define PERCHE_MESSAGE_BYTES_UNPROVEN 4096u   /* before `prove`: hello, prove, enrol */
#define PERCHE_BATCH_TABLES_MAX 256u
#define PERCHE_BATCH_NAMES_MAX 65536u  /* interned origins and scopes of a batch */
#define PERCHE_SCOPE_BYTES_MAX 4096u   /* canonical text of a scope */
#define PERCHE_MARKS_MAX PERCHE_BOUND(64u, 6u)           /* (lsn, mark) pairs in `prove` */
#define PERCHE_LIST_MAX PERCHE_BOUND(40u, 6u)            /* entries of the pull list in `prove` */
#define PERCHE_KEYS_MAX PERCHE_BOUND(1000u, 2u)          /* keys in one `rows`, wanted or image list */
#define PERCHE_MIGRATIONS_MAX PERCHE_BOUND(256u, 1u)
#define PERCHE_GROUP_ROWS_MAX PERCHE_BOUND(5000u, 5u)    /* group commit at the hub */
#define PERCHE_HARVEST_CHUNK_ROWS PERCHE_BOUND(1000u, 3u)
/* One harvest that deletes more rows than both of a table waits for a person: a slip takes most of a table, work a few rows. */
#define PERCHE_BRAKE_PERCENT 20u
#define PERCHE_BRAKE_ROWS 20u

#endif
