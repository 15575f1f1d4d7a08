/* The people who wait for `perche sync --wait`: each is done once the node has
 * harvested after the command and a comparison begun after that has said equal. */
#ifndef SYNC_WAITERS_H
#define SYNC_WAITERS_H

#include "sync/sync.h"

#define WAITERS_MAX 32 /* more people than this do not ask one site at once */

struct waiter {
    uint64_t tag;
    uint64_t asked_ms, deadline_ms; /* monotonic */
    uint64_t harvest; /* number of the harvest that has everything from before the command */
    bool harvested;
    uint64_t lsn;     /* own newest lsn after that harvest */
    uint64_t changes; /* a comparison begun at this count or later answers */
    bool pushed, pulled;
};

struct waiters {
    struct waiter list[WAITERS_MAX];
    uint32_t count;
};

/* false: no room. */
bool waiters_add(struct waiters *w, const struct waiter *waiter);
/* A harvest has reached its end; *changes goes up when somebody waited for it. */
void waiters_harvested(struct waiters *w, uint64_t harvest, uint64_t lsn, uint64_t *changes);
/* The replica's numbers have moved. */
void waiters_state(struct waiters *w, const struct state *st);
/* Everything that the hub had at @began_ms is here. */
void waiters_pulled(struct waiters *w, uint64_t began_ms);
/* The comparison begun at @changes said equal: takes one who is satisfied, or returns false. */
bool waiters_take_equal(struct waiters *w, uint64_t changes, uint64_t *tag);
/* Takes one whose time is up, or returns false. *missing is what is not there yet. */
bool waiters_take_late(struct waiters *w, uint64_t mono_ms, bool proven, uint64_t *tag,
                       const char **missing);
/* Takes any, or returns false. */
bool waiters_take_any(struct waiters *w, uint64_t *tag);
uint64_t waiters_next_ms(const struct waiters *w); /* earliest deadline, UINT64_MAX = none */

#endif
