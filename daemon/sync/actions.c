#include "sync/actions.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/message.h"

#define ACTIONS_KEPT 64 /* an action is some 6 KiB: a longer list is not kept between steps */

struct sync_action *actions_add(struct sync_actions *a, enum sync_action_kind kind)
{
    struct sync_action *action;

    if (a->count == a->cap) {
        uint32_t cap = a->cap == 0 ? 8 : a->cap * 2;
        struct sync_action *items = realloc(a->items, cap * sizeof *items);

        if (items == NULL) {
            a->nomem = true;
            return NULL;
        }
        a->items = items;
        a->cap = cap;
    }
    action = &a->items[a->count++];
    memset(action, 0, sizeof *action);
    action->kind = kind;
    return action;
}

void actions_log(struct sync_actions *a, const char *event, const char *fmt, ...)
{
    struct sync_action *action = actions_add(a, SYNC_LOG);
    va_list ap;

    if (action == NULL)
        return;
    action->reason = event;
    va_start(ap, fmt);
    (void)vsnprintf(action->text, sizeof action->text, fmt,
                    ap); /* a line cut short still says what */
    va_end(ap);
}

void sync_actions_clear(struct sync_actions *a)
{
    for (uint32_t i = 0; i < a->count; i++) {
        sync_message_drop(&a->items[i].message);
        work_free(&a->items[i].work);
    }
    a->count = 0;
    if (a->cap > ACTIONS_KEPT) {
        free(a->items);
        a->items = NULL;
        a->cap = 0;
    }
}

void sync_actions_free(struct sync_actions *a)
{
    if (a == NULL)
        return;
    sync_actions_clear(a);
    free(a->items);
    memset(a, 0, sizeof *a);
}
