/* Those who watch. A wake, or once a second the net, makes one look at the node's
 * status for all of them, five times a second at most; who has been told the same
 * already gets no line, and who has not read the last one gets the next instead. */
#include "control/internal.h"

#include <stdlib.h>
#include <string.h>

#include "net/container_of.h"

/* A look under way: the node answers it also after the control has gone. */
struct look {
    struct control *control; /* NULL: gone */
};

static bool anybody(const struct control *c)
{
    for (unsigned i = 0; i < CONTROL_SLOTS; i++)
        if (c->clients[i].watched && !c->clients[i].closing)
            return true;
    return false;
}

/* What a change is: all of the status but what moves by looking at it and by itself. NULL = no
 * memory. */
static char *gist(const json_t *status)
{
    static const char *const moving[] = {"works",    "bytes_in", "bytes_out",      "rtt_ms",
                                         "next_try", "now",      "clock_offset_ms"};
    json_t *copy = json_copy((json_t *)status); /* shallow; the original stays */
    char *text;

    for (size_t i = 0; i < sizeof(moving) / sizeof(moving[0]); i++)
        (void)json_object_del(copy, moving[i]); /* not there: fine */
    text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(copy);
    return text;
}

static void tell(struct client *client, const char *json, const char *now)
{
    char *copy;

    if (client->unsent > 0 || strcmp(client->watched, now) == 0)
        return;
    copy = strdup(now);
    if (!copy)
        return; /* the next look tries again */
    free(client->watched);
    client->watched = copy;
    client_event(client, json);
}

static void on_status(void *ctx, const char *json, const struct perche_err *err)
{
    struct look *look = ctx;
    struct control *c = look->control;
    json_t *status;
    char *now;

    (void)err; /* the next look is the answer to it */
    free(look);
    if (!c)
        return;
    c->look = NULL;
    status = json ? json_loads(json, JSON_ALLOW_NUL, NULL) : NULL;
    now = status ? gist(status) : NULL;
    json_decref(status);
    for (unsigned i = 0; now && i < CONTROL_SLOTS; i++)
        if (c->clients[i].watched && !c->clients[i].closing)
            tell(&c->clients[i], json, now);
    free(now);
    watch_look(c); /* if it was woken meanwhile, and for the next second */
}

static void look(struct control *c)
{
    struct look *l = malloc(sizeof(*l));

    c->woken = false;
    c->looked = uv_now(c->loop);
    if (!l) {
        (void)uv_timer_start(&c->watch, on_watch_timer, CONTROL_LOOK_MS, 0);
        return;
    }
    l->control = c;
    c->look = l;
    node_status(c->node, l, on_status);
}

/* Sets the timer for the next look, or none when nobody watches. */
void watch_look(struct control *c)
{
    uint64_t since, wait;

    if (c->closing || c->look)
        return; /* the look under way ends here again */
    if (!anybody(c)) {
        (void)uv_timer_stop(&c->watch);
        return;
    }
    wait = c->woken ? CONTROL_WATCH_MS : CONTROL_LOOK_MS;
    since = uv_now(c->loop) - c->looked;
    (void)uv_timer_start(&c->watch, on_watch_timer, since < wait ? wait - since : 0, 0);
}

void on_watch_timer(uv_timer_t *timer)
{
    struct control *c = container_of(timer, struct control, watch);

    if (anybody(c))
        look(c);
}

void watch_begin(struct client *client)
{
    struct control *c = client->control;

    (void)uv_timer_stop(&client->timer); /* a watch has no end of its own */
    client->watched = strdup("");
    if (!client->watched) {
        client_refuse(client, PERCHE_NOMEM, perche_rc_text(PERCHE_NOMEM));
        return;
    }
    c->woken = true;
    watch_look(c);
}

void watch_forget(struct control *c)
{
    if (c->look)
        c->look->control = NULL;
    c->look = NULL;
}

void control_wake(struct control *c)
{
    if (!c || c->woken)
        return;
    c->woken = true;
    watch_look(c);
}
