#include "disk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#define FILES_MAX 8
#define NAME_BYTES 48
#define SECTOR 512
#define LOCKS 8 /* SQLITE_SHM_NLOCK */
#define REGIONS_MAX 64
#define UNIX_EPOCH_MS INT64_C(210866760000000) /* in SQLite's julian milliseconds */

struct handle;

/* A write that is not synced, with what is needed to take it back or do it again. */
struct change {
    int64_t at, size_before;
    uint32_t n, old_n; /* old_n: how much of it was there before */
    bool truncate;     /* to `at`; old: what it cut off */
    uint8_t *bytes;    /* n new, then old_n old */
};

struct file {
    char name[NAME_BYTES];
    bool exists;
    uint8_t *data;
    int64_t size, cap;
    struct change *changes;
    uint32_t changes_count, changes_cap, frozen_at;
    bool frozen_existed;
    /* locks of the main file */
    uint32_t shared;
    struct handle *reserved, *exclusive;
    /* shared memory */
    uint8_t *regions[REGIONS_MAX];
    uint8_t *frozen_regions[REGIONS_MAX];
    int regions_count, region_bytes, frozen_count;
    struct handle *mapped; /* list */
};

struct handle {
    sqlite3_file base;
    struct disk *disk;
    struct file *file;
    enum disk_process process;
    int lock;
    bool temporary; /* a file of its own, gone with the handle */
    struct handle *next, *next_mapped; /* of all that are open; of those that map its file's shared memory */
    bool is_mapped;
    uint16_t shm_shared, shm_exclusive;
};

struct disk {
    sqlite3_vfs vfs;
    char name[NAME_BYTES];
    uint64_t (*clock)(void *ctx);
    void *ctx;
    struct chance chance;
    enum disk_process process;
    struct handle *open; /* list, without what is temporary */
    struct file files[FILES_MAX];
    uint64_t writes;
    uint32_t freeze_in;
    bool frozen;
    int64_t room; /* -1 = no end */
};

static void *must(void *p)
{
    if (p == NULL) {
        fputs("perche-sim: out of memory\n", stderr);
        abort();
    }
    return p;
}

/* ---- content ------------------------------------------------------------ */

static void file_room(struct file *f, int64_t size)
{
    if (size <= f->cap)
        return;
    f->cap = size + size / 2 + (4 << 20); /* untouched, it costs nothing; a WAL seldom outgrows it */
    f->data = must(realloc(f->data, (size_t)f->cap));
}

static void raw_write(struct file *f, int64_t at, const uint8_t *p, uint32_t n)
{
    file_room(f, at + n);
    if (at > f->size)
        memset(f->data + f->size, 0, (size_t)(at - f->size));
    memcpy(f->data + at, p, n);
    if (at + n > f->size)
        f->size = at + n;
}

static struct change *change_add(struct file *f, uint32_t n, uint32_t old_n)
{
    struct change *c;

    if (f->changes_count == f->changes_cap) {
        f->changes_cap = f->changes_cap ? 2 * f->changes_cap : 64;
        f->changes = must(realloc(f->changes, f->changes_cap * sizeof *f->changes));
    }
    c = &f->changes[f->changes_count++];
    *c = (struct change){.n = n, .old_n = old_n, .size_before = f->size};
    c->bytes = must(malloc((size_t)n + old_n + 1));
    return c;
}

static void changes_drop(struct file *f, uint32_t from)
{
    for (uint32_t i = from; i < f->changes_count; i++)
        free(f->changes[i].bytes);
    if (from < f->changes_count)
        f->changes_count = from;
}

static void change_undo(struct file *f, const struct change *c)
{
    if (c->old_n > 0)
        raw_write(f, c->at, c->bytes + c->n, c->old_n);
    f->size = c->size_before;
}

static void change_redo(struct file *f, const struct change *c, uint32_t n)
{
    if (!c->truncate)
        raw_write(f, c->at, c->bytes, n);
    else if (c->at < f->size)
        f->size = c->at;
}

static struct file *file_find(struct disk *d, const char *name)
{
    for (int i = 0; i < FILES_MAX; i++)
        if (d->files[i].name[0] != '\0' && strcmp(d->files[i].name, name) == 0)
            return &d->files[i];
    return NULL;
}

static struct file *file_make(struct disk *d, const char *name)
{
    struct file *f = file_find(d, name);

    for (int i = 0; f == NULL && i < FILES_MAX; i++)
        if (d->files[i].name[0] == '\0') {
            f = &d->files[i];
            (void)snprintf(f->name, sizeof f->name, "%s", name);
        }
    return f;
}

static void file_empty(struct file *f)
{
    changes_drop(f, 0);
    f->size = 0;
    f->exists = false;
}

static void regions_free(struct file *f)
{
    for (int i = 0; i < REGIONS_MAX; i++) {
        free(f->regions[i]);
        free(f->frozen_regions[i]);
        f->regions[i] = f->frozen_regions[i] = NULL;
    }
    f->regions_count = f->frozen_count = 0;
}

/* ---- crashes ------------------------------------------------------------ */

void disk_freeze(struct disk *d)
{
    if (d->frozen)
        return;
    d->frozen = true;
    d->freeze_in = 0;
    for (int i = 0; i < FILES_MAX; i++) {
        struct file *f = &d->files[i];

        f->frozen_at = f->changes_count;
        f->frozen_existed = f->exists;
        f->frozen_count = f->regions_count;
        for (int k = 0; k < f->regions_count; k++) {
            f->frozen_regions[k] = must(realloc(f->frozen_regions[k], (size_t)f->region_bytes));
            memcpy(f->frozen_regions[k], f->regions[k], (size_t)f->region_bytes);
        }
    }
}

void disk_freeze_at(struct disk *d, uint32_t nth)
{
    d->freeze_in = nth;
}

bool disk_frozen(const struct disk *d)
{
    return d->frozen;
}

/* Before each write of the daemon. */
static void written(struct disk *d, enum disk_process process)
{
    d->writes++;
    if (process == DISK_DAEMON && d->freeze_in > 0 && --d->freeze_in == 0)
        disk_freeze(d);
}

void disk_settle(struct disk *d)
{
    if (!d->frozen)
        return;
    d->frozen = false;
    for (int i = 0; i < FILES_MAX; i++) {
        struct file *f = &d->files[i];

        while (f->changes_count > f->frozen_at) {
            struct change *c = &f->changes[--f->changes_count];

            change_undo(f, c);
            free(c->bytes);
        }
        f->exists = f->frozen_existed;
        for (int k = 0; f->mapped != NULL && k < f->regions_count; k++) {
            if (k < f->frozen_count)
                memcpy(f->regions[k], f->frozen_regions[k], (size_t)f->region_bytes);
            else
                memset(f->regions[k], 0, (size_t)f->region_bytes);
        }
    }
}

void disk_power_cut(struct disk *d)
{
    assert(!d->frozen);
    for (int i = 0; i < FILES_MAX; i++) {
        struct file *f = &d->files[i];
        uint32_t keep = chance_below(&d->chance, 3); /* none, some, all */

        assert(f->mapped == NULL);
        for (uint32_t k = f->changes_count; k > 0; k--)
            change_undo(f, &f->changes[k - 1]);
        for (uint32_t k = 0; keep > 0 && k < f->changes_count; k++) {
            struct change *c = &f->changes[k];

            if (keep == 1 && chance_below(&d->chance, 2) == 0)
                continue;
            if (keep == 1 && !c->truncate && c->n > SECTOR && chance_below(&d->chance, 4) == 0)
                change_redo(f, c, SECTOR * (1 + chance_below(&d->chance, c->n / SECTOR)));
            else
                change_redo(f, c, c->n);
        }
        changes_drop(f, 0);
    }
}

struct disk_copy {
    struct {
        char name[NAME_BYTES];
        uint8_t *data;
        int64_t size;
    } files[FILES_MAX];
};

struct disk_copy *disk_copy(const struct disk *d)
{
    struct disk_copy *c = must(calloc(1, sizeof *c));

    for (int i = 0; i < FILES_MAX; i++) {
        const struct file *f = &d->files[i];

        if (f->name[0] == '\0' || !f->exists)
            continue;
        memcpy(c->files[i].name, f->name, NAME_BYTES);
        c->files[i].size = f->size;
        c->files[i].data = must(malloc((size_t)f->size + 1));
        if (f->size > 0)
            memcpy(c->files[i].data, f->data, (size_t)f->size);
    }
    return c;
}

void disk_put_back(struct disk *d, const struct disk_copy *c)
{
    assert(!d->frozen);
    for (int i = 0; i < FILES_MAX; i++) {
        assert(d->files[i].mapped == NULL);
        file_empty(&d->files[i]);
        regions_free(&d->files[i]);
    }
    for (int i = 0; i < FILES_MAX; i++) {
        struct file *f;

        if (c->files[i].name[0] == '\0')
            continue;
        f = file_make(d, c->files[i].name);
        f->exists = true;
        if (c->files[i].size > 0)
            raw_write(f, 0, c->files[i].data, (uint32_t)c->files[i].size);
    }
}

void disk_copy_free(struct disk_copy *c)
{
    for (int i = 0; c != NULL && i < FILES_MAX; i++)
        free(c->files[i].data);
    free(c);
}

void disk_room(struct disk *d, int64_t bytes)
{
    d->room = bytes;
}

bool disk_bounded(const struct disk *d)
{
    return d->room >= 0;
}

uint32_t disk_unsynced(const struct disk *d)
{
    uint32_t n = 0;

    for (int i = 0; i < FILES_MAX; i++)
        n += d->files[i].changes_count;
    return n;
}

uint64_t disk_writes(const struct disk *d)
{
    return d->writes;
}

/* ---- files -------------------------------------------------------------- */

static int file_read(sqlite3_file *base, void *out, int n, sqlite3_int64 at)
{
    struct handle *h = (struct handle *)base;
    int64_t there = h->file->size - at;

    if (there >= n) {
        memcpy(out, h->file->data + at, (size_t)n);
        return SQLITE_OK;
    }
    if (there < 0)
        there = 0;
    if (there > 0)
        memcpy(out, h->file->data + at, (size_t)there);
    memset((uint8_t *)out + there, 0, (size_t)(n - there));
    return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *p, int n, sqlite3_int64 at)
{
    struct handle *h = (struct handle *)base;
    struct file *f = h->file;
    int64_t room = h->disk->room, grows = at + n - f->size;
    bool full = false;

    if (!h->temporary && room >= 0 && grows > 0) {
        full = grows > room;
        h->disk->room = full ? 0 : room - grows;
        if (full && grows - room >= n)
            return SQLITE_FULL;
        n -= full ? (int)(grows - room) : 0;
    }
    if (!h->temporary) {
        int64_t old = f->size - at;
        uint32_t old_n = old <= 0 ? 0 : old < n ? (uint32_t)old : (uint32_t)n;
        struct change *c;

        written(h->disk, h->process);
        c = change_add(f, (uint32_t)n, old_n);
        c->at = at;
        memcpy(c->bytes, p, (size_t)n);
        if (old_n > 0)
            memcpy(c->bytes + n, f->data + at, old_n);
    }
    raw_write(f, at, p, (uint32_t)n);
    return full ? SQLITE_FULL : SQLITE_OK;
}

static void room_made(struct disk *d, int64_t bytes)
{
    if (d->room >= 0)
        d->room += bytes;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct handle *h = (struct handle *)base;
    struct file *f = h->file;

    if (size >= f->size)
        return SQLITE_OK;
    if (!h->temporary) {
        uint32_t old_n = (uint32_t)(f->size - size);
        struct change *c;

        written(h->disk, h->process);
        c = change_add(f, 0, old_n);
        c->at = size;
        c->truncate = true;
        memcpy(c->bytes, f->data + size, old_n);
        room_made(h->disk, old_n);
    }
    f->size = size;
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags)
{
    struct handle *h = (struct handle *)base;

    (void)flags;
    if (h->temporary)
        return SQLITE_OK;
    written(h->disk, h->process);
    if (!h->disk->frozen)
        changes_drop(h->file, 0);
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *out)
{
    *out = ((struct handle *)base)->file->size;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *base, int level)
{
    struct handle *h = (struct handle *)base;
    struct file *f = h->file;

    if (level <= h->lock)
        return SQLITE_OK;
    if (h->lock == SQLITE_LOCK_NONE) {
        if (f->exclusive != NULL)
            return SQLITE_BUSY;
        f->shared++;
        h->lock = SQLITE_LOCK_SHARED;
    }
    if (level >= SQLITE_LOCK_RESERVED && h->lock < SQLITE_LOCK_RESERVED) {
        if (f->reserved != NULL)
            return SQLITE_BUSY;
        f->reserved = h;
        h->lock = SQLITE_LOCK_RESERVED;
    }
    if (level == SQLITE_LOCK_EXCLUSIVE) {
        if (f->shared > 1)
            return SQLITE_BUSY;
        f->exclusive = h;
        h->lock = SQLITE_LOCK_EXCLUSIVE;
    }
    return SQLITE_OK;
}

static int file_unlock(sqlite3_file *base, int level)
{
    struct handle *h = (struct handle *)base;
    struct file *f = h->file;

    if (level >= h->lock)
        return SQLITE_OK;
    if (f->exclusive == h)
        f->exclusive = NULL;
    if (f->reserved == h)
        f->reserved = NULL;
    if (level == SQLITE_LOCK_NONE)
        f->shared--;
    h->lock = level;
    return SQLITE_OK;
}

static int file_reserved(sqlite3_file *base, int *out)
{
    *out = ((struct handle *)base)->file->reserved != NULL;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
    (void)base;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int sector_size(sqlite3_file *base)
{
    (void)base;
    return SECTOR;
}

static int characteristics(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* ---- shared memory ------------------------------------------------------- */

static int shm_map(sqlite3_file *base, int region, int bytes, int extend, void volatile **out)
{
    struct handle *h = (struct handle *)base;
    struct file *f = h->file;

    if (!h->is_mapped) {
        h->is_mapped = true;
        h->next_mapped = f->mapped;
        f->mapped = h;
    }
    *out = NULL;
    if (region >= REGIONS_MAX)
        return SQLITE_IOERR_SHMSIZE;
    f->region_bytes = bytes;
    while (region >= f->regions_count) {
        if (!extend)
            return SQLITE_OK;
        f->regions[f->regions_count++] = must(calloc(1, (size_t)bytes));
    }
    *out = f->regions[region];
    return SQLITE_OK;
}

static int shm_lock(sqlite3_file *base, int first, int n, int flags)
{
    struct handle *h = (struct handle *)base;
    uint16_t mask = (uint16_t)((1u << (first + n)) - (1u << first));

    if (flags & SQLITE_SHM_UNLOCK) {
        h->shm_exclusive &= (uint16_t)~mask;
        h->shm_shared &= (uint16_t)~mask;
        return SQLITE_OK;
    }
    for (struct handle *o = h->file->mapped; o != NULL; o = o->next_mapped) {
        if (o == h)
            continue;
        if (o->shm_exclusive & mask)
            return SQLITE_BUSY;
        if ((flags & SQLITE_SHM_EXCLUSIVE) && (o->shm_shared & mask))
            return SQLITE_BUSY;
    }
    if (flags & SQLITE_SHM_SHARED)
        h->shm_shared |= mask;
    else
        h->shm_exclusive |= mask;
    return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *base)
{
    (void)base; /* one thread */
}

static int shm_unmap(sqlite3_file *base, int delete)
{
    struct handle *h = (struct handle *)base;
    struct handle **at = &h->file->mapped;

    (void)delete; /* it goes with the last who maps it */
    if (!h->is_mapped)
        return SQLITE_OK;
    while (*at != h)
        at = &(*at)->next_mapped;
    *at = h->next_mapped;
    h->is_mapped = false;
    h->shm_shared = h->shm_exclusive = 0;
    if (h->file->mapped == NULL)
        regions_free(h->file);
    return SQLITE_OK;
}

/* Nobody is kept out by it any more. */
static void handle_end(struct handle *h)
{
    (void)shm_unmap(&h->base, 0);
    (void)file_unlock(&h->base, SQLITE_LOCK_NONE);
}

void disk_drop(struct disk *d, enum disk_process process)
{
    for (struct handle **at = &d->open; *at != NULL;) {
        struct handle *h = *at;

        if (h->process != process) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        handle_end(h);
    }
}

static int file_close(sqlite3_file *base)
{
    struct handle *h = (struct handle *)base;
    struct handle **at = &h->disk->open;

    if (h->temporary) {
        free(h->file->data);
        free(h->file);
        return SQLITE_OK;
    }
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    handle_end(h);
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

/* ---- the VFS -------------------------------------------------------------- */

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out_flags)
{
    struct disk *d = vfs->pAppData;
    struct handle *h = (struct handle *)base;

    memset(h, 0, sizeof *h);
    h->disk = d;
    h->process = d->process;
    if (name == NULL) {
        h->temporary = true;
        h->file = must(calloc(1, sizeof *h->file));
    } else {
        h->file = file_find(d, name);
        if (h->file == NULL || !h->file->exists) {
            if (!(flags & SQLITE_OPEN_CREATE))
                return SQLITE_CANTOPEN;
            h->file = file_make(d, name);
            if (h->file == NULL)
                return SQLITE_CANTOPEN;
            h->file->exists = true;
        }
        h->next = d->open;
        d->open = h;
    }
    h->base.pMethods = &methods;
    if (out_flags != NULL)
        *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    struct disk *d = vfs->pAppData;
    struct file *f = file_find(d, name);

    (void)sync;
    if (f == NULL || !f->exists)
        return SQLITE_IOERR_DELETE_NOENT;
    written(d, d->process);
    room_made(d, f->size);
    if (d->frozen) { /* a dead process deletes nothing: disk_settle() brings it back */
        struct change *c = change_add(f, 0, (uint32_t)f->size);

        c->truncate = true;
        if (f->size > 0)
            memcpy(c->bytes, f->data, (size_t)f->size);
        f->size = 0;
        f->exists = false;
    } else {
        file_empty(f);
    }
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    struct file *f = file_find(vfs->pAppData, name);

    *out = f != NULL && f->exists && (flags != SQLITE_ACCESS_EXISTS || f->size > 0);
    return SQLITE_OK;
}

static int vfs_path(sqlite3_vfs *vfs, const char *name, int n, char *out)
{
    (void)vfs;
    (void)snprintf(out, (size_t)n, "%s", name);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int n, char *out)
{
    struct disk *d = vfs->pAppData;

    chance_bytes(&d->chance, (uint8_t *)out, (size_t)n);
    return n;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return us; /* nobody else runs meanwhile: waiting is of no use */
}

static int vfs_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    struct disk *d = vfs->pAppData;

    *out = UNIX_EPOCH_MS + (sqlite3_int64)d->clock(d->ctx);
    return SQLITE_OK;
}

static int vfs_time(sqlite3_vfs *vfs, double *out)
{
    sqlite3_int64 ms;

    (void)vfs_time_ms(vfs, &ms);
    *out = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int n, char *out)
{
    (void)vfs;
    (void)n;
    (void)out;
    return 0;
}

struct disk *disk_new(const char *name, uint64_t (*clock)(void *ctx), void *ctx)
{
    struct disk *d = must(calloc(1, sizeof *d));

    (void)snprintf(d->name, sizeof d->name, "%s", name);
    d->clock = clock;
    d->ctx = ctx;
    d->room = -1;
    d->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = sizeof(struct handle),
        .mxPathname = NAME_BYTES - 1,
        .zName = d->name,
        .pAppData = d,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_time_ms,
    };
    if (sqlite3_vfs_register(&d->vfs, 0) != SQLITE_OK)
        abort();
    return d;
}

void disk_standard(struct disk *d)
{
    if (sqlite3_vfs_register(&d->vfs, 1) != SQLITE_OK)
        abort();
}

void disk_free(struct disk *d)
{
    if (d == NULL)
        return;
    disk_clear(d);
    for (int i = 0; i < FILES_MAX; i++) {
        free(d->files[i].data);
        free(d->files[i].changes);
    }
    (void)sqlite3_vfs_unregister(&d->vfs); /* it was registered */
    free(d);
}

void disk_burn(struct disk *d)
{
    for (int i = 0; i < FILES_MAX; i++) {
        d->files[i].mapped = NULL;
        regions_free(&d->files[i]);
    }
    disk_free(d);
}

const char *disk_vfs(const struct disk *d)
{
    return d->name;
}

void disk_run_as(struct disk *d, enum disk_process process)
{
    d->process = process;
}

void disk_seed(struct disk *d, uint64_t seed)
{
    chance_seed(&d->chance, seed, 77);
}

void disk_clear(struct disk *d)
{
    for (int i = 0; i < FILES_MAX; i++) {
        assert(d->files[i].mapped == NULL);
        file_empty(&d->files[i]);
    }
    d->frozen = false;
    d->freeze_in = 0;
    d->writes = 0;
    d->room = -1;
}
