/* The WAL's size. A passive checkpoint after each commit of many pages, as SQLite's own, is all it takes while there
 * are moments without a reader: then the next writer begins the WAL anew. Where readers follow one another without such
 * a moment it would grow for ever, each new one holding on to the newest pages; so beyond WAL_RESTART_TIMES that many
 * pages the writer waits for those who read, for a moment only, as programs that write wait meanwhile. A reader that
 * never ends is not ours to end: net/wal_readers.c names it. */
#include "replica/tx.h"

#define CHECKPOINT_HUB_PAGES 8000   /* 32 MB of WAL: half to two thirds of scattered writes is checkpointing */
#define CHECKPOINT_SITE_PAGES 2000
#define WAL_RESTART_TIMES 4
#define WAL_RESTART_STEPS 250       /* of 200 us: 50 ms */

static int checkpoint_pages(const struct replica *r)
{
    return r->hub ? CHECKPOINT_HUB_PAGES : CHECKPOINT_SITE_PAGES;
}

static int on_wal(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct replica *r = ctx;

    r->wal_pages = pages;
    if (pages >= checkpoint_pages(r) && files_stand(r))
        (void)sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL); /* does what readers let it do */
    return SQLITE_OK;
}

void wal_open(struct replica *r)
{
    r->wal_restart_pages = WAL_RESTART_TIMES * checkpoint_pages(r);
    (void)sqlite3_wal_hook(r->db, on_wal, r); /* in the place of SQLite's own */
}

void wal_committed(struct replica *r)
{
    if (r->wal_pages < r->wal_restart_pages || !files_stand(r))
        return;
    r->busy_steps_max = WAL_RESTART_STEPS;
    if (sqlite3_wal_checkpoint_v2(r->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL) == SQLITE_OK)
        r->wal_restart_pages = WAL_RESTART_TIMES * checkpoint_pages(r);
    else
        r->wal_restart_pages = r->wal_pages + checkpoint_pages(r); /* not again at the next commit */
    r->wal_pages = 0; /* until the next commit says */
    r->busy_steps_max = BUSY_STEPS_MAX;
}
