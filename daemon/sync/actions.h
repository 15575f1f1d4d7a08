/* The list of actions that a step fills. */
#ifndef SYNC_ACTIONS_H
#define SYNC_ACTIONS_H

#include "sync/sync.h"

/* A zeroed action at the end of the list, valid until the next one; NULL (and
 * a->nomem) when memory ran out. */
struct sync_action *actions_add(struct sync_actions *a, enum sync_action_kind kind);
/* One log line: event name and the text beside it. */
void actions_log(struct sync_actions *a, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
