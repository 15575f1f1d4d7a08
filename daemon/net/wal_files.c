/* Happy path: both files get a second name; every look finds the three as they were.
 * Failures: a file that is gone gets its name back by link(), which fails where another was made
 * meanwhile; then the node ends, and what the old -wal holds is saved.
 * Which of the two WALs a commit is in depends on who had what open:
 *   only -shm is another: both use one -wal, and the new index was built from it. Nothing to save.
 *   only -wal is another: one index, one order, but the frames are in two files. Frames that the new
 *     one lacks are holes in it; they are filled from the old one. SQLite checks the chain of sums.
 *   both are: the new one began without the old one's frames. These are set aside. */
#include "net/wal_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "net/wal_readers.h"

/* SQLite's file format of the WAL and of its index (wal.c). */
#define HEADER_BYTES 32u
#define FRAME_BYTES  24u
#define INDEX_FRAMES 16   /* mxFrame */
#define INDEX_DONE   96   /* nBackfill */
#define WRITE_LOCK   120

enum there { SAME, MISSING, OTHER };

static uint64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static enum there where(const struct wal_file *file)
{
    struct stat st;

    if (stat(file->path, &st) != 0)
        return errno == ENOENT || errno == ENOTDIR ? MISSING : SAME; /* a passing failure: asked again */
    return st.st_dev == file->id.dev && st.st_ino == file->id.ino ? SAME : OTHER;
}

static const char *name_of(const struct wal_file *file)
{
    return strrchr(file->path, '/') + 1; /* made with one */
}

/* ---- the second names ---------------------------------------------------------- */

static enum perche_rc keep(struct wal_files *f, struct wal_file *file, const char *end, struct perche_err *err)
{
    enum perche_rc rc;

    (void)snprintf(file->path, sizeof(file->path), "%s%s", f->db_path, end); /* these fit */
    (void)snprintf(file->kept, sizeof(file->kept), "%s%s", f->folder, strrchr(file->path, '/'));
    rc = file_id_of(file->path, &file->id, err);
    if (rc != PERCHE_OK)
        return perche_err_set(err, PERCHE_DISK, "%s: SQLite could not make it. Nothing is lost. Look for room and rights on the disk, and start again",
                              file->path);
    (void)unlink(file->kept); /* of a daemon that was killed */
    if (link(file->path, file->kept) != 0) {
        log_info("replica.no_second_name", "file=%s err=\"%s\": if it is removed it cannot be put back", file->path,
                 strerror(errno));
        file->kept[0] = '\0';
    }
    return PERCHE_OK;
}

enum perche_rc wal_files_open(struct wal_files *f, const char *data, const char *db, struct perche_err *err)
{
    enum perche_rc rc;

    (void)snprintf(f->data, sizeof(f->data), "%s", data); /* node.c has checked the length of @db, which is in it */
    (void)snprintf(f->folder, sizeof(f->folder), "%s/%s", data, WAL_FILES_FOLDER);
    (void)snprintf(f->db_path, sizeof(f->db_path), "%s", db);
    (void)mkdir(f->folder, 0700); /* a failure shows in link() */
    rc = file_id_of(db, &f->db, err);
    if (rc == PERCHE_OK)
        rc = keep(f, &f->wal, "-wal", err);
    if (rc == PERCHE_OK)
        rc = keep(f, &f->shm, "-shm", err);
    f->open = true;
    return rc;
}

void wal_files_close(struct wal_files *f)
{
    if (!f->open)
        return;
    if (f->wal.kept[0])
        (void)unlink(f->wal.kept);
    if (f->shm.kept[0])
        (void)unlink(f->shm.kept);
    (void)rmdir(f->folder); /* what else lies in it is not ours */
    f->open = false;
}

/* Two threads may do so at once: link() succeeds for one of them. */
static bool put_back(struct wal_file *file)
{
    if (!file->kept[0] || link(file->kept, file->path) != 0)
        return where(file) == SAME;
    atomic_store(&file->put_back_ms, wall_ms());
    log_warn("replica.put_back", "file=%s: somebody removed it under the running daemon. Nothing is lost; leave it to perched",
             file->path);
    return true;
}

/* -wal and -shm were removed for a replica.db that was put there next: beside that one they would spoil it. */
static void withdraw(struct wal_file *file)
{
    uint64_t at = atomic_load(&file->put_back_ms);

    if (at != 0 && wall_ms() - at <= WAL_FILES_RESTORE_MS && where(file) == SAME)
        (void)unlink(file->path); /* its second name goes when the node is closed */
}

static bool stands(struct wal_file *file)
{
    enum there at = where(file);

    return at == SAME || (at == MISSING && put_back(file));
}

enum wal_files_state wal_files_look(struct wal_files *f)
{
    int state = atomic_load(&f->state), same = WAL_FILES_SAME;

    if (state != WAL_FILES_SAME || !f->open)
        return (enum wal_files_state)state;
    if (!file_id_is(f->db_path, &f->db))
        state = WAL_FILES_DB_REPLACED;
    else if (!stands(&f->wal) || !stands(&f->shm)) /* in this order: an index without its WAL would have it made anew */
        state = WAL_FILES_REPLACED;
    if (state == WAL_FILES_SAME || !atomic_compare_exchange_strong(&f->state, &same, state))
        return (enum wal_files_state)atomic_load(&f->state);
    if (state == WAL_FILES_DB_REPLACED) {
        withdraw(&f->shm);
        withdraw(&f->wal);
    }
    return (enum wal_files_state)state;
}

const char *wal_files_put_back(const struct wal_files *f, uint64_t *at_ms)
{
    uint64_t wal = atomic_load(&f->wal.put_back_ms), shm = atomic_load(&f->shm.put_back_ms);

    if (wal == 0 && shm == 0)
        return NULL;
    *at_ms = wal > shm ? wal : shm;
    return name_of(wal > shm ? &f->wal : &f->shm);
}

const char *wal_files_why(const struct wal_files *f)
{
    if (atomic_load(&f->state) == WAL_FILES_DB_REPLACED)
        return "was replaced or removed under the running daemon: nothing more is acknowledged. "
               "Stop perched before a restore, then start it again";
    return "has another -wal or -shm than the daemon has open: they were removed under it, and a program has made "
           "new ones. Nothing more is acknowledged. End all programs that had it open before, then start perched again";
}

/* ---- what the old files hold ------------------------------------------------------- */

static bool read_at(int fd, void *p, size_t n, off_t at)
{
    return pread(fd, p, n, at) == (ssize_t)n;
}

static bool write_at(int fd, const void *p, size_t n, off_t at)
{
    return pwrite(fd, p, n, at) == (ssize_t)n;
}

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is_hole(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

/* What lies beyond the end is a hole, too. */
static void read_or_hole(int fd, uint8_t *p, size_t n, off_t at)
{
    if (!read_at(fd, p, n, at))
        memset(p, 0, n);
}

/* Frames of @from that @to has a hole for, up to frame @count. */
static bool fill(int from, int to, uint32_t count, uint32_t *filled)
{
    static uint8_t frame[FRAME_BYTES + 65536];
    uint8_t head[HEADER_BYTES], there[HEADER_BYTES];
    uint32_t page;
    size_t n;

    *filled = 0;
    if (!read_at(from, head, sizeof(head), 0))
        return count == 0;
    page = big_endian(head + 8);
    if (page < 512 || page > 65536)
        return false;
    n = FRAME_BYTES + page;
    read_or_hole(to, there, sizeof(there), 0);
    if (is_hole(there, sizeof(there))) {
        if (!write_at(to, head, sizeof(head), 0))
            return false;
    } else if (memcmp(head + 16, there + 16, 8) != 0) {
        return true; /* it began anew, which SQLite does when all of the old one is in replica.db */
    }
    for (uint32_t i = 0; i < count; i++) {
        off_t at = (off_t)HEADER_BYTES + (off_t)i * (off_t)n;
        uint8_t has[FRAME_BYTES];

        read_or_hole(to, has, sizeof(has), at);
        if (!is_hole(has, sizeof(has)))
            continue;
        if (!read_at(from, frame, n, at) || memcmp(frame + 8, head + 16, 8) != 0)
            return true; /* from here on it is the new one's */
        if (!write_at(to, frame, n, at))
            return false;
        ++*filled;
    }
    return true;
}

/* Keeps writers off the index that both use; the process ends with it. Not when one is at work: it appends, and holes
 * lie before that. */
static void lock_index(int shm)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = WRITE_LOCK, .l_len = 1};

    (void)fcntl(shm, F_SETLK, &lock);
}

static void sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        (void)fsync(fd); /* no worse than not asked for */
        (void)close(fd);
    }
}

/* All of @from as a new file @path. */
static bool copy(int from, const char *path, uint32_t count, uint32_t *filled)
{
    int to = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
    bool done = to >= 0 && fchmod(to, 0660) == 0 && fill(from, to, count, filled) && fsync(to) == 0;

    if (to >= 0)
        (void)close(to); /* synced */
    if (!done && to >= 0)
        (void)unlink(path);
    return done;
}

/* Nobody has made another: a copy takes its place at once, whole. */
static bool make_again(struct wal_files *f, int from, uint32_t count, uint32_t *filled)
{
    char path[PATH_MAX + 32];
    bool done;

    (void)snprintf(path, sizeof(path), "%s.copy", f->wal.path);
    (void)unlink(path);
    done = copy(from, path, count, filled) && renameat2(AT_FDCWD, path, AT_FDCWD, f->wal.path, RENAME_NOREPLACE) == 0;
    if (!done)
        (void)unlink(path);
    return done;
}

static bool fill_other(struct wal_files *f, int from, uint32_t count, uint32_t *filled)
{
    int to = open(f->wal.path, O_RDWR | O_CLOEXEC); /* SQLite has no lock on a WAL that its close could drop */
    bool done = to >= 0 && fill(from, to, count, filled) && fsync(to) == 0;

    if (to >= 0)
        (void)close(to);
    return done;
}

static void set_aside(struct wal_files *f, int from, uint32_t count)
{
    char path[PATH_MAX + 48], at[20];
    time_t now = time(NULL);
    struct tm tm;
    uint32_t n;

    (void)strftime(at, sizeof(at), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
    (void)snprintf(path, sizeof(path), "%s/%s%s", f->data, WAL_FILES_LOST, at);
    if (copy(from, path, count, &n))
        log_error("replica.set_aside", "file=%s pages=%u: commits that are not in %s, as a program began another -wal without them",
                  path, n, f->db_path);
    else
        log_error("replica.lost", "pages=%u err=\"%s\": commits that are not in %s, as a program began another -wal without them",
                  count, strerror(errno), f->db_path);
}

void wal_files_rescue(struct wal_files *f)
{
    int wal, shm;
    uint32_t frames = 0, done = 0, filled = 0;
    bool same_index;
    pid_t pid;
    char name[32];

    if (atomic_load(&f->state) != WAL_FILES_REPLACED)
        return;
    wal = wal_readers_descriptor(&f->wal.id);
    shm = wal_readers_descriptor(&f->shm.id);
    if (shm >= 0 && wal_readers_has_open(shm, &pid, name, sizeof(name)))
        log_error("replica.left_open", "pid=%ld name=\"%s\": has the files open that were removed: end it, what it writes is lost",
                  (long)pid, name);
    if (where(&f->wal) == SAME) {
        log_warn("replica.whole", "file=%s: it is as it was; what was committed before another -shm was made is in it", f->wal.path);
        return;
    }
    same_index = where(&f->shm) == SAME;
    if (same_index && shm >= 0)
        lock_index(shm);
    if (wal < 0 || shm < 0 || !read_at(shm, &frames, sizeof(frames), INDEX_FRAMES) || !read_at(shm, &done, sizeof(done), INDEX_DONE)) {
        log_error("replica.lost", "file=%s: what it held cannot be read any more", f->wal.path);
    } else if (where(&f->wal) == MISSING && make_again(f, wal, frames, &filled)) {
        log_warn("replica.made_again", "file=%s pages=%u: it is whole", f->wal.path, filled);
    } else if (same_index && fill_other(f, wal, frames, &filled)) {
        log_warn("replica.filled", "file=%s pages=%u: what the old one held is in the new one", f->wal.path, filled);
    } else if (frames > done) {
        set_aside(f, wal, frames);
    }
    sync_folder(f->data);
}

void wal_files_lost(const char *data, char *out, size_t out_n)
{
    DIR *folder = opendir(data);
    struct dirent *entry;

    out[0] = '\0';
    while (folder && !*out && (entry = readdir(folder)) != NULL)
        if (strncmp(entry->d_name, WAL_FILES_LOST, strlen(WAL_FILES_LOST)) == 0)
            (void)snprintf(out, out_n, "%s", entry->d_name);
    if (folder)
        (void)closedir(folder);
}
