/* What goes wrong with a disk, or with the process that writes to it, at the Nth write or sync: for LD_PRELOAD, in tests
 * alone. Whoever tests maps the same file as this, PERCHE_FAULT names it, and says there what is to happen; here it is
 * counted and done. tests/lib/fault.py is the other end.
 *
 * Counted are pwrite, write, ftruncate, fsync and fdatasync on files of a data folder, by the name of the file: SQLite in
 * WAL mode goes through no other. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum action { NOTHING = 0, KILL_BEFORE, KILL_HALF, KILL_AFTER, FAIL_ONCE, FAIL_ON };
enum kind { WRITES = 1, SYNCS = 2 };
enum which { WAL = 1, DB = 2, SHM = 4, JOURNAL = 8, OTHER = 16 };

/* All of 64 bits; the tests write `action` last. */
struct plan {
    uint64_t action;
    uint64_t error;  /* errno of FAIL_ */
    uint64_t at;     /* the Nth that counts, 1 = the next */
    uint64_t kinds;  /* enum kind */
    uint64_t files;  /* enum which */
    uint64_t seen;   /* counted so far */
    uint64_t struck; /* how often it happened */
};

static struct plan *plan;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("PERCHE_FAULT");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *p;

    if (fd < 0)
        return;
    p = mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p != MAP_FAILED)
        plan = p;
}

static bool ends(const char *text, size_t n, const char *end)
{
    size_t m = strlen(end);

    return n >= m && memcmp(text + n - m, end, m) == 0;
}

/* By its name, through /proc: a descriptor may be closed and be another file's the next time. */
static uint64_t which_file(int fd)
{
    char link[32] = "/proc/self/fd/", path[4096], digits[12];
    size_t at = strlen(link);
    ssize_t n;
    int i = 0;

    do
        digits[i++] = (char)('0' + fd % 10);
    while ((fd /= 10) > 0);
    while (i > 0)
        link[at++] = digits[--i];
    n = readlink(link, path, sizeof(path));
    if (n <= 0)
        return 0;
    if (ends(path, (size_t)n, "/replica.db"))
        return DB;
    if (ends(path, (size_t)n, "/replica.db-wal"))
        return WAL;
    if (ends(path, (size_t)n, "/replica.db-shm"))
        return SHM;
    if (ends(path, (size_t)n, "/replica.db-journal"))
        return JOURNAL;
    return memmem(path, (size_t)n, "/data/", 6) != NULL ? OTHER : 0;
}

/* What is to be done at this call. */
static enum action due(int fd, uint64_t kind)
{
    int kept = errno;
    uint64_t action, n;

    if (plan == NULL || (action = __atomic_load_n(&plan->action, __ATOMIC_ACQUIRE)) == NOTHING || !(plan->kinds & kind))
        return NOTHING;
    if (!(which_file(fd) & plan->files)) {
        errno = kept;
        return NOTHING;
    }
    errno = kept;
    n = __atomic_add_fetch(&plan->seen, 1, __ATOMIC_ACQ_REL);
    if (n < plan->at || (n > plan->at && action != FAIL_ON))
        return NOTHING;
    (void)__atomic_add_fetch(&plan->struck, 1, __ATOMIC_ACQ_REL);
    return (enum action)action;
}

static void die(void)
{
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause(); /* it is on its way */
}

static bool fails(enum action a)
{
    if (a != FAIL_ONCE && a != FAIL_ON)
        return false;
    errno = (int)plan->error;
    return true;
}

#define REAL(type, name) ((type)(uintptr_t)dlsym(RTLD_NEXT, name))

/* A write of @n bytes under the plan; @put does as much of it as it is told. */
typedef ssize_t (*put_cb)(int fd, const void *p, size_t n, off_t at);

static ssize_t planned_write(int fd, const void *p, size_t n, off_t at, put_cb put)
{
    enum action a = due(fd, WRITES);
    ssize_t done;

    if (fails(a))
        return -1;
    if (a == KILL_HALF)
        (void)put(fd, p, n / 2, at);
    if (a == KILL_BEFORE || a == KILL_HALF)
        die();
    done = put(fd, p, n, at);
    if (a == KILL_AFTER)
        die();
    return done;
}

static ssize_t put_at(int fd, const void *p, size_t n, off_t at)
{
    return REAL(ssize_t (*)(int, const void *, size_t, off_t), "pwrite64")(fd, p, n, at);
}

static ssize_t put_on(int fd, const void *p, size_t n, off_t at)
{
    (void)at;
    return REAL(ssize_t (*)(int, const void *, size_t), "write")(fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return planned_write(fd, p, n, at, put_at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at);
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return planned_write(fd, p, n, at, put_at);
}

ssize_t write(int fd, const void *p, size_t n)
{
    return planned_write(fd, p, n, 0, put_on);
}

static int planned(int fd, uint64_t kind, const char *name, off_t size)
{
    enum action a = due(fd, kind);
    int done;

    if (fails(a))
        return -1;
    if (a == KILL_BEFORE || a == KILL_HALF)
        die();
    if (kind == SYNCS)
        done = REAL(int (*)(int), name)(fd);
    else
        done = REAL(int (*)(int, off_t), name)(fd, size);
    if (a == KILL_AFTER)
        die();
    return done;
}

int ftruncate(int fd, off_t size)
{
    return planned(fd, WRITES, "ftruncate64", size);
}

int ftruncate64(int fd, off64_t size);
int ftruncate64(int fd, off64_t size)
{
    return planned(fd, WRITES, "ftruncate64", size);
}

int fsync(int fd)
{
    return planned(fd, SYNCS, "fsync", 0);
}

int fdatasync(int fd)
{
    return planned(fd, SYNCS, "fdatasync", 0);
}
