/* Which other program has been reading the replica, and since when: until it ends its
 * transaction the WAL cannot begin anew, and grows with every commit.
 *
 * SQLite's readers hold a shared lock on one of five bytes of -shm. The kernel is asked who
 * does, by the descriptor that SQLite has open in this process: one of our own, once closed,
 * would drop every lock that this process holds. On the loop's thread. */
#ifndef NET_WAL_READERS_H
#define NET_WAL_READERS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/wal_watch.h"

#define WAL_READERS_MARKS   5u
#define WAL_READERS_LOOK_MS 1000u
/* From here on a person should know: twice what a site lets the WAL grow to, and longer
 * than any question of ours or a page of a program takes. */
#define WAL_READERS_BYTES   (16u << 20)
#define WAL_READERS_LONG_MS 5000u

struct wal_readers {
    char wal[PATH_MAX + 8], shm[PATH_MAX + 8];
    int fd; /* SQLite's, of shm; -1 = not found yet */
    uint64_t looked_ms;
    struct {
        pid_t pid; /* 0 = none but us */
        uint64_t since_ms;
    } marks[WAL_READERS_MARKS];
};

struct wal_held {
    uint64_t bytes; /* of the WAL */
    pid_t pid;      /* 0 = in another container */
    char name[32];  /* of the program, "" where it is hidden from us */
    uint64_t ms;    /* so long, at least */
};

void wal_readers_init(struct wal_readers *w, const char *path); /* of replica.db */
/* At most once every WAL_READERS_LOOK_MS. @now_ms is monotonic. */
void wal_readers_look(struct wal_readers *w, uint64_t now_ms);
/* Is the WAL larger than WAL_READERS_BYTES, with a program that has been reading for
 * WAL_READERS_LONG_MS? Tells of the one that has for longest. */
bool wal_readers_held(const struct wal_readers *w, uint64_t now_ms, struct wal_held *out);
/* The descriptor that this process, SQLite that is, has of a file; -1 = none, or no /proc. */
int wal_readers_descriptor(const struct file_id *id);
/* Has another process the wal-index open of which @shm is our descriptor? One of them. */
bool wal_readers_has_open(int shm, pid_t *pid, char *name, size_t name_n);

#endif
