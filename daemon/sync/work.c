#include "sync/work.h"

#include <stdlib.h>
#include <string.h>

#include "sync/message.h"

/* kind, name, needs the writer */
#define WORK_MAP(X)                          \
    X(NONE, "none", false)                   \
    X(HARVEST, "harvest", true)              \
    X(STATE, "state", false)                 \
    X(PROVE_BUILD, "prove_build", false)     \
    X(PROVED, "proved", true)                \
    X(PUSH_BUILD, "push_build", false)       \
    X(PUSH_ACKED, "push_acked", true)        \
    X(PULL_BUILD, "pull_build", false)       \
    X(PULL_APPLY, "pull_apply", true)        \
    X(ROWS_APPLY, "rows_apply", true)        \
    X(DIGEST_BUILD, "digest_build", false)   \
    X(DIGEST_TAKE, "digest_take", true)      \
    X(LEAVE_BUILD, "leave_build", false)     \
    X(SITE_KEY, "site_key", false)           \
    X(PROVE_JUDGE, "prove_judge", true)      \
    X(PUSH_APPLY, "push_apply", true)        \
    X(PULL_ANSWER, "pull_answer", false)     \
    X(ROWS_ANSWER, "rows_answer", false)     \
    X(DIGEST_ANSWER, "digest_answer", false) \
    X(REPAIR, "repair", true)                \
    X(PEER_NOTE, "peer_note", true)          \
    X(ENROL, "enrol", true)                  \
    X(LEAVE, "leave", true)                  \
    X(NEWS, "news", false)                   \
    X(QUERY, "query", false)                 \
    X(COMMAND, "command", true)

bool work_writes(enum work_kind kind)
{
    switch (kind) {
#define X(name, text, writes) \
    case WORK_##name: return writes;
        WORK_MAP(X)
#undef X
    }
    return false;
}

const char *work_name(enum work_kind kind)
{
    switch (kind) {
#define X(name, text, writes) \
    case WORK_##name: return text;
        WORK_MAP(X)
#undef X
    }
    return "unknown";
}

void work_free(struct work *w)
{
    if (w == NULL)
        return;
    sync_message_drop(&w->message);
    free(w->args);
    w->args = NULL;
}

void outcome_free(struct outcome *o)
{
    if (o == NULL)
        return;
    sync_message_drop(&o->message);
    free(o->woken);
    free(o->json);
    free(o->notes);
    o->notes = NULL;
    o->notes_count = 0;
    o->woken = NULL;
    o->woken_count = 0;
    o->json = NULL;
}
