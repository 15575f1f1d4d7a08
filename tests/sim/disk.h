/* A node's disk and clock, as an SQLite VFS in memory: nothing is ever synced for
 * real, and what a crash takes is exact.
 *
 * A process can be killed at any write: what it wrote after that instant is taken
 * back once it has been closed, in files and in shared memory, and other processes
 * (local programs) go on. A power cut ends all processes, and of the writes that no
 * sync followed an arbitrary part is on the disk, also half of one.
 *
 * One VFS a node, because of xCurrentTime: julianday('now') in a local program and in
 * the capture triggers says the node's clock. */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "random.h"

struct disk;

enum disk_process { DISK_DAEMON = 0, DISK_PROGRAM = 1 };

/* @name is the VFS's, copied. @clock gives the wall clock in milliseconds since 1970. */
struct disk *disk_new(const char *name, uint64_t (*clock)(void *ctx), void *ctx);
void disk_standard(struct disk *d); /* it is SQLite's default VFS now, and so the source of its randomness */
void disk_free(struct disk *d); /* every connection is closed */
void disk_burn(struct disk *d); /* frees it with whatever is open: nobody uses that any more */
const char *disk_vfs(const struct disk *d);
/* Whose calls follow: files that are opened now are this process's. */
void disk_run_as(struct disk *d, enum disk_process process);
void disk_seed(struct disk *d, uint64_t seed); /* what it draws */
void disk_clear(struct disk *d); /* every connection is closed */

/* ---- crashes ------------------------------------------------------------ */

/* The daemon is killed at this instant: close its connections, then disk_settle(). */
void disk_freeze(struct disk *d);
/* ... or at its nth write from now, 1 = the next one; 0 = not any more. */
void disk_freeze_at(struct disk *d, uint32_t nth);
bool disk_frozen(const struct disk *d);
/* Its files are no longer open and its locks gone, though nobody closes its connections: they are not used again. */
void disk_drop(struct disk *d, enum disk_process process);
/* After the daemon's connections were closed or dropped: what it did since the freeze is undone. */
void disk_settle(struct disk *d);
/* After every connection was closed and disk_settle(): unsynced writes go, or some of them, or half. */
void disk_power_cut(struct disk *d);
/* ---- room --------------------------------------------------------------- */

/* Its files may grow by so many bytes from now on, -1 = without end. What does not fit is written as far as it does,
 * and the writer hears SQLITE_FULL. */
void disk_room(struct disk *d, int64_t bytes);
bool disk_bounded(const struct disk *d);
/* ---- copies ------------------------------------------------------------- */

/* What all files hold at this instant, as a snapshot of the volume has it. disk_copy_free() ends it. */
struct disk_copy;
struct disk_copy *disk_copy(const struct disk *d);
void disk_put_back(struct disk *d, const struct disk_copy *c); /* every connection is closed */
void disk_copy_free(struct disk_copy *c);                     /* NULL is fine */

/* Writes that no sync has followed yet. */
uint32_t disk_unsynced(const struct disk *d);
uint64_t disk_writes(const struct disk *d);

#endif
