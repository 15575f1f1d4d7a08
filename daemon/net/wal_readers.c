/* Each look asks for each of the five bytes; the same process on the same byte at two looks
 * counts as one that has gone on reading. Several short ones in a row look alike, but then
 * the WAL does not grow, and nothing is told.
 * Without /proc, or while SQLite has no -shm, nobody is found. */
#include "net/wal_readers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* SQLite's file format: the locks lie behind two copies of the header, the first three are
 * those of writer, checkpointer and recovery. */
#define FIRST_MARK 123

void wal_readers_init(struct wal_readers *w, const char *path)
{
    memset(w, 0, sizeof(*w));
    w->fd = -1;
    (void)snprintf(w->wal, sizeof(w->wal), "%s-wal", path); /* node.c has checked its length */
    (void)snprintf(w->shm, sizeof(w->shm), "%s-shm", path);
}

static bool is_file(int fd, dev_t dev, ino_t ino)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

static int find_descriptor(dev_t dev, ino_t ino)
{
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    int found = -1;

    while (folder && found < 0 && (entry = readdir(folder)) != NULL) {
        char *end;
        long fd = strtol(entry->d_name, &end, 10);

        if (*end == '\0' && end != entry->d_name && is_file((int)fd, dev, ino))
            found = (int)fd;
    }
    if (folder)
        (void)closedir(folder);
    return found;
}

void wal_readers_look(struct wal_readers *w, uint64_t now_ms)
{
    struct stat file;

    if (w->looked_ms != 0 && now_ms - w->looked_ms < WAL_READERS_LOOK_MS)
        return;
    w->looked_ms = now_ms;
    if (stat(w->shm, &file) != 0)
        w->fd = -1;
    else if (w->fd < 0 || !is_file(w->fd, file.st_dev, file.st_ino))
        w->fd = find_descriptor(file.st_dev, file.st_ino);
    for (unsigned i = 0; i < WAL_READERS_MARKS; i++) {
        struct flock lock = {
            .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = FIRST_MARK + (off_t)i, .l_len = 1};
        bool held = w->fd >= 0 && fcntl(w->fd, F_GETLK, &lock) == 0 && lock.l_type == F_RDLCK;

        if (!held) {
            w->marks[i].since_ms = 0;
        } else if (w->marks[i].since_ms == 0 || w->marks[i].pid != lock.l_pid) {
            w->marks[i].pid = lock.l_pid;
            w->marks[i].since_ms = now_ms;
        }
    }
}

static void name_of(pid_t pid, char *out, size_t n)
{
    char path[64];
    FILE *f;

    out[0] = '\0';
    (void)snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
    f = fopen(path, "re");
    if (!f)
        return; /* ended, or ProtectProc= hides it */
    if (fgets(out, (int)n, f))
        out[strcspn(out, "\n")] = '\0';
    (void)fclose(f);
}

bool wal_readers_held(const struct wal_readers *w, uint64_t now_ms, struct wal_held *out)
{
    uint64_t oldest = 0;
    struct stat wal;

    for (unsigned i = 0; i < WAL_READERS_MARKS; i++) {
        if (w->marks[i].since_ms == 0 || (oldest != 0 && w->marks[i].since_ms >= oldest))
            continue;
        oldest = w->marks[i].since_ms;
        out->pid = w->marks[i].pid;
    }
    if (oldest == 0 || now_ms - oldest < WAL_READERS_LONG_MS || stat(w->wal, &wal) != 0 ||
        wal.st_size < (off_t)WAL_READERS_BYTES)
        return false;
    out->ms = now_ms - oldest;
    out->bytes = (uint64_t)wal.st_size;
    name_of(out->pid, out->name, sizeof(out->name));
    return true;
}

int wal_readers_descriptor(const struct file_id *id)
{
    return find_descriptor(id->dev, id->ino);
}

bool wal_readers_has_open(int shm, pid_t *pid, char *name, size_t name_n)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = FIRST_MARK + WAL_READERS_MARKS, .l_len = 1};

    if (fcntl(shm, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
        return false;
    *pid = lock.l_pid;
    name_of(lock.l_pid, name, name_n);
    return true;
}
