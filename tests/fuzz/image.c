#include "image.h"

#include <link.h>
#include <sanitizer/asan_interface.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#define UNSEEN __attribute__((no_sanitize("coverage", "address", "undefined")))
#define FOR_SQLITE ((size_t)768 << 20) /* of addresses; what is not used costs nothing */
#define FOR_US ((size_t)64 << 20)
#define GAP 32u
#define BLOCKS_MAX 65536u

struct part { /* of the memory that is put back, all of it up to `used` */
    char *room;
    size_t size, used;
    char *kept;
    size_t kept_used;
};

static struct part for_sqlite, for_us, variables;
static bool taking; /* our blocks */
static struct {
    char *freed[BLOCKS_MAX]; /* since image_keep() */
    uint32_t count;
} gone;

static void give_up(const char *why)
{
    (void)fprintf(stderr, "image: %s\n", why);
    abort();
}

static void part_make(struct part *p, size_t size)
{
    p->room = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->room == MAP_FAILED)
        give_up("no addresses");
    p->size = size;
    p->used = 0;
}

/* Not memcpy(): that is the sanitizer's, which would see the gaps. */
__attribute__((no_builtin("memcpy"))) UNSEEN static void copy(char *out, const char *in, size_t n)
{
    uint64_t *to = (void *)out;
    const uint64_t *from = (const void *)in;

    for (size_t i = 0; i < (n + 7) / 8; i++)
        to[i] = from[i];
}

static void part_keep(struct part *p)
{
    p->kept_used = p->used;
    p->kept = mmap(NULL, p->used + 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p->kept == MAP_FAILED)
        give_up("no memory");
    copy(p->kept, p->room, p->used);
}

static void part_put_back(struct part *p)
{
    copy(p->room, p->kept, p->kept_used);
    p->used = p->kept_used;
}

/* ---- SQLite's memory: lists of free blocks by size ------------------------------ */

static struct {
    uint64_t *blocks[64];
} sqlite_free, sqlite_free_kept;

UNSEEN static inline int block_class(int n)
{
    uint64_t size = (uint64_t)n + 16; /* of which 16 say how large it is */

    return size <= 32 ? 5 : 64 - __builtin_clzll(size - 1);
}

UNSEEN static void *block_new(int n)
{
    int c = block_class(n);
    uint64_t *p = sqlite_free.blocks[c];

    if (p != NULL) {
        sqlite_free.blocks[c] = (uint64_t *)(uintptr_t)p[2];
    } else {
        size_t size = (size_t)1 << c;

        if (size > for_sqlite.size - for_sqlite.used)
            give_up("SQLite wants more than there is");
        p = (void *)(for_sqlite.room + for_sqlite.used);
        for_sqlite.used += size;
        p[0] = (uint64_t)c;
    }
    return p + 2;
}

UNSEEN static void block_free(void *block)
{
    uint64_t *p = (uint64_t *)block - 2;

    p[2] = (uint64_t)(uintptr_t)sqlite_free.blocks[p[0]];
    sqlite_free.blocks[p[0]] = p;
}

UNSEEN static int block_size(void *block)
{
    return block == NULL ? 0 : (int)((1u << ((uint64_t *)block)[-2]) - 16);
}

UNSEEN static void *block_resize(void *block, int n)
{
    void *more;

    if (n <= block_size(block))
        return block;
    more = block_new(n);
    copy(more, block, (size_t)block_size(block));
    block_free(block);
    return more;
}

UNSEEN static int block_round(int n)
{
    return (int)((1u << block_class(n)) - 16);
}

static int block_init(void *ctx)
{
    (void)ctx;
    return SQLITE_OK;
}

static void block_end(void *ctx)
{
    (void)ctx;
}

/* SQLite's variables: what of its library is written to once it is loaded. */
static int find_variables(struct dl_phdr_info *info, size_t size, void *ctx)
{
    uintptr_t from = 0, to = 0;

    (void)size;
    (void)ctx;
    if (strstr(info->dlpi_name, "libsqlite3") == NULL)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];

        if (h->p_type == PT_LOAD && (h->p_flags & PF_W)) {
            from = from == 0 ? info->dlpi_addr + h->p_vaddr : from;
            to = info->dlpi_addr + h->p_vaddr + h->p_memsz;
        }
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        uintptr_t end = info->dlpi_addr + h->p_vaddr + h->p_memsz;

        if (h->p_type == PT_GNU_RELRO && end > from)
            from = end;
    }
    variables.room = (char *)((from + 7) & ~(uintptr_t)7);
    variables.size = variables.used = (to - (uintptr_t)variables.room) & ~(size_t)7;
    return 1;
}

void image_of_sqlite(void)
{
    static const struct sqlite3_mem_methods methods = {block_new,   block_free, block_resize, block_size,
                                                       block_round, block_init, block_end,    NULL};

    part_make(&for_sqlite, FOR_SQLITE);
    part_make(&for_us, FOR_US);
    ASAN_POISON_MEMORY_REGION(for_us.room, for_us.size);
    if (dl_iterate_phdr(find_variables, NULL) == 0 || variables.used == 0)
        give_up("where are SQLite's variables?");
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK || sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) != SQLITE_OK)
        give_up("SQLite was used before");
}

/* ---- our blocks ------------------------------------------------------------------- */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

UNSEEN static bool is_ours(const void *p)
{
    return for_us.room != NULL && (const char *)p >= for_us.room && (const char *)p < for_us.room + for_us.size;
}

/* How large it is stands in the gap before it, which is closed to all others. */
UNSEEN static size_t *size_of(void *p)
{
    return (size_t *)p - 1;
}

UNSEEN static void *take(size_t n)
{
    size_t size = (n + 2 * GAP - 1) / GAP * GAP;
    char *p = for_us.room + for_us.used + GAP;

    if (n > for_us.size || size + GAP > for_us.size - for_us.used)
        give_up("we want more than there is");
    for_us.used += size;
    *size_of(p) = n;
    ASAN_UNPOISON_MEMORY_REGION(p, n);
    memset(p, 0, n);
    return p;
}

UNSEEN void *__wrap_malloc(size_t n)
{
    return taking ? take(n) : __real_malloc(n);
}

UNSEEN void *__wrap_calloc(size_t n, size_t size)
{
    return taking ? take(n * size) : __real_calloc(n, size);
}

UNSEEN void __wrap_free(void *p)
{
    if (!is_ours(p)) {
        __real_free(p);
        return;
    }
    if (__asan_region_is_poisoned(p, 1) != NULL && *size_of(p) > 0)
        give_up("a block is freed twice");
    if (gone.count == BLOCKS_MAX)
        give_up("more is freed than there is");
    if (for_us.kept != NULL)
        gone.freed[gone.count++] = p;
    ASAN_POISON_MEMORY_REGION(p, *size_of(p));
}

UNSEEN void *__wrap_realloc(void *p, size_t n)
{
    void *more;

    if (!is_ours(p) && !(taking && p == NULL))
        return __real_realloc(p, n);
    more = __wrap_malloc(n);
    if (p != NULL && more != NULL) {
        memcpy(more, p, *size_of(p) < n ? *size_of(p) : n);
        __wrap_free(p);
    }
    return more;
}

UNSEEN char *__wrap_strndup(const char *text, size_t n)
{
    size_t length = strnlen(text, n);
    char *p;

    if (!taking)
        return __real_strndup(text, n);
    p = take(length + 1);
    memcpy(p, text, length);
    return p;
}

UNSEEN char *__wrap_strdup(const char *text)
{
    return taking ? __wrap_strndup(text, SIZE_MAX) : __real_strdup(text);
}

/* ---- SQLite's statements ---------------------------------------------------------- */

/* A question that is asked often is not parsed each time: its statement is kept where it would be finalized. Until
 * somebody says a word that may change the schema, as then a question can be a mistake that was none before. */
#define STATEMENTS_MAX 512u

static struct statements {
    struct {
        sqlite3 *db;
        sqlite3_stmt *s;
        uint64_t hash;
        bool idle;
    } all[STATEMENTS_MAX];
    uint32_t count;
    bool off;
} statements, statements_kept;
static bool light; /* connections are left as they are */

int __real_sqlite3_prepare_v2(sqlite3 *db, const char *text, int n, sqlite3_stmt **out, const char **tail);
int __real_sqlite3_finalize(sqlite3_stmt *s);
int __real_sqlite3_exec(sqlite3 *db, const char *text, int (*row)(void *, int, char **, char **), void *ctx, char **err);
int __real_sqlite3_close(sqlite3 *db);
int __wrap_sqlite3_prepare_v2(sqlite3 *db, const char *text, int n, sqlite3_stmt **out, const char **tail);
int __wrap_sqlite3_finalize(sqlite3_stmt *s);
int __wrap_sqlite3_exec(sqlite3 *db, const char *text, int (*row)(void *, int, char **, char **), void *ctx, char **err);
int __wrap_sqlite3_close(sqlite3 *db);

UNSEEN static bool of_schema(const char *text)
{
    static const char index[] = "CREATE INDEX ";

    if (strncasecmp(text, index, sizeof index - 1) == 0)
        return false; /* with or without it the same can be asked */
    return strcasestr(text, "create ") != NULL || strcasestr(text, "alter ") != NULL || strcasestr(text, "drop ") != NULL;
}

UNSEEN int __wrap_sqlite3_prepare_v2(sqlite3 *db, const char *text, int n, sqlite3_stmt **out, const char **tail)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int rc;

    if (statements.off || n >= 0 || tail != NULL || of_schema(text)) {
        statements.off = statements.off || of_schema(text);
        return __real_sqlite3_prepare_v2(db, text, n, out, tail);
    }
    for (const char *p = text; *p != '\0'; p++)
        hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    for (uint32_t i = 0; i < statements.count; i++)
        if (statements.all[i].hash == hash && statements.all[i].db == db && statements.all[i].idle &&
            strcmp(sqlite3_sql(statements.all[i].s), text) == 0) {
            statements.all[i].idle = false;
            *out = statements.all[i].s;
            return SQLITE_OK;
        }
    rc = __real_sqlite3_prepare_v2(db, text, n, out, tail);
    if (rc == SQLITE_OK && *out != NULL && statements.count < STATEMENTS_MAX) {
        statements.all[statements.count].db = db;
        statements.all[statements.count].s = *out;
        statements.all[statements.count].hash = hash;
        statements.all[statements.count++].idle = false;
    }
    return rc;
}

UNSEEN int __wrap_sqlite3_finalize(sqlite3_stmt *s)
{
    for (uint32_t i = 0; s != NULL && i < statements.count; i++)
        if (statements.all[i].s == s && !statements.off) {
            int rc = sqlite3_reset(s);

            (void)sqlite3_clear_bindings(s); /* always SQLITE_OK */
            statements.all[i].idle = true;
            return rc;
        } else if (statements.all[i].s == s) {
            statements.all[i] = statements.all[--statements.count];
        }
    return __real_sqlite3_finalize(s);
}

UNSEEN int __wrap_sqlite3_exec(sqlite3 *db, const char *text, int (*row)(void *, int, char **, char **), void *ctx, char **err)
{
    statements.off = statements.off || of_schema(text);
    return __real_sqlite3_exec(db, text, row, ctx, err);
}

UNSEEN int __wrap_sqlite3_close(sqlite3 *db)
{
    for (uint32_t i = 0; i < statements.count;)
        if (statements.all[i].db == db && statements.all[i].idle) {
            (void)__real_sqlite3_finalize(statements.all[i].s); /* it was reset */
            statements.all[i] = statements.all[--statements.count];
        } else {
            i++;
        }
    return light && db != NULL && sqlite3_next_stmt(db, NULL) == NULL ? SQLITE_OK : __real_sqlite3_close(db);
}

void image_light(void)
{
    light = true;
}

/* ---- the image ---------------------------------------------------------------------- */

void image_begin(void)
{
    taking = true;
    statements.off = false;
}

void image_keep(void)
{
    taking = false;
    part_keep(&for_sqlite);
    part_keep(&for_us);
    part_keep(&variables);
    sqlite_free_kept = sqlite_free;
    statements_kept = statements;
}

UNSEEN void image_put_back(void)
{
    part_put_back(&for_sqlite);
    part_put_back(&for_us);
    part_put_back(&variables);
    sqlite_free = sqlite_free_kept;
    statements = statements_kept;
    light = false;
    while (gone.count > 0) {
        char *p = gone.freed[--gone.count];

        ASAN_UNPOISON_MEMORY_REGION(p, *size_of(p));
    }
}
