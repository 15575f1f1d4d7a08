/* The one thread that writes the replica: one job at a time, in the order in which they
 * came, but for pushed batches: all that wait become one group and so one durable
 * transaction, before their replies go out.
 *
 * SQLite's lock has no queue, so the writer steps back for other programs: while another
 * writer was seen in the last second it leaves the lock alone for as long as it held it. A
 * commit that took a millisecond must not put off the next change of a live line: short
 * works rest together, once they have come to WRITER_OWED_MS / 4. */
#ifndef NET_WRITER_H
#define NET_WRITER_H

#include "net/job.h"

/* Works that wait: three a site, for more sites than a hub admits; the next one gets BUSY. */
#define WRITER_JOBS_MAX 8192u
/* Batches of one group: 5,000 rows are 250 batches of 20 changes. */
#define WRITER_GROUP_MAX    256u
#define WRITER_STEP_BACK_MS 10u   /* none of 661 writers failed; 2 ms: 3 of 42 */
#define WRITER_OWED_MS      20u   /* four times what short works may hold the lock in a row without a rest */
#define WRITER_OTHERS_MS    1000u /* how long a writer that was seen counts */
/* A program that waits for the lock has not written yet and cannot be seen. Its busy handler
 * looks every 100 ms at most, so a rest of more than that lets it in for certain, well within
 * the 5 s that every example waits; from then on it counts as seen. Costs a load 5 %. */
#define WRITER_BREATH_MS      2000u
#define WRITER_BREATH_REST_MS 110u

struct writer_ops { /* called on the writer's thread, but close */
    void *ctx;
    void (*perform)(void *ctx, const struct work *works, struct outcome *outcomes, uint32_t count);
    bool (*others_wrote)(void *ctx);
    /* Is the file that was written still the one at its path? When not, nothing that was
     * done is reported any more; NULL = always. */
    bool (*same_file)(void *ctx);
    /* Chunks of changes that programs have written, beside the last one, which any work takes along. Each gets a transaction of
     * its own and the rest after it, or the lock were held for all of an import. NULL = none. */
    uint32_t (*backlog)(void *ctx);
};

struct writer;

struct writer_events {
    void *ctx;
    void (*on_file_replaced)(void *ctx); /* on the loop, once; every later job fails with STATE */
    void (*on_harvested)(struct job *job); /* of such a chunk: its on_done, with @ctx as job->ctx. Not NULL where there is a backlog */
};

enum perche_rc writer_new(uv_loop_t *loop, const struct writer_ops *ops,
                          const struct writer_events *events, struct writer **out,
                          struct perche_err *err);
/* Takes @job on success. BUSY: too many wait; STATE: closing. */
enum perche_rc writer_put(struct writer *w, struct job *job, struct perche_err *err);
uint32_t writer_waiting(const struct writer *w);
/* Lets the transaction under way end; the jobs that wait come back with STATE. Frees @w. */
void writer_close(struct writer *w, void *ctx, void (*on_closed)(void *ctx));

#endif
