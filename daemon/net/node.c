/* Happy path: each event (a message, an outcome, a change of the WAL, time) is one step of
 * the conversation, whose actions are carried out in order: messages encoded and sent,
 * works handed to writer and readers, whose outcomes are the next events.
 * Failures: a message that does not decode is an event of its own; what cannot be handed
 * over comes back as a failed outcome; a replaced replica.db ends it all, as nothing that
 * it says could be kept.
 * On close: first the lines, then the workers, which end their transactions and answer
 * what waits, then the replica; on_closed runs exactly once. */
#include "net/node.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "net/container_of.h"
#include "net/file.h"
#include "net/node_own.h"

uint64_t node_wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

uint64_t node_mono_ms(void)
{
    return uv_hrtime() / 1000000u;
}

/* ---- the end --------------------------------------------------------------- */

static void on_part_closed(void *ctx);

static void closing_part(struct node *n)
{
    n->closing_parts++;
}

static void drop_lines(struct node *n)
{
    if (n->uplink)
        uplink_drop(n->uplink);
    if (n->downlink) {
        struct downlink *d = n->downlink;

        n->downlink = NULL;
        closing_part(n); /* when this ends before node_close() is called, it is not waited for */
        downlink_close(d, n, on_part_closed);
    }
}

void node_end(struct node *n, const char *fmt, ...)
{
    char text[PATH_MAX + 300];
    va_list args;

    if (n->ended || n->closing)
        return;
    n->ended = true;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    log_error("node.ended", "why=\"%s\"", text);
    drop_lines(n);
    n->on_event(n->ctx, NODE_ENDED, text);
}

/* ---- works ------------------------------------------------------------------ */

static void deliver(struct inbox_item *item)
{
    struct job *job = container_of(item, struct job, item);

    job->on_done(job);
}

void node_run(struct node *n, struct job *job)
{
    struct perche_err err = {0};
    enum perche_rc rc;

    if (job->work.now_ms == 0)
        job->work.now_ms = node_wall_ms();
    n->works++;
    if (!n->writer || !n->readers)
        rc = perche_err_set(&err, PERCHE_STATE, "the daemon is stopping");
    else
        rc = work_writes(job->work.kind) ? writer_put(n->writer, job, &err)
                                         : readers_put(n->readers, job, &err);
    if (rc == PERCHE_OK)
        return;
    job_fail(job, rc, err.text);
    job->item.on_taken = deliver;
    inbox_put(&n->inbox, &job->item);
}

/* Small works may still find room on a full disk; a harvest may find nothing to write, and
 * a batch that is refused writes nothing. */
static void note_trouble(struct node *n, const struct job *job)
{
    const struct outcome *o = &job->outcome;

    if (!work_writes(job->work.kind))
        return;
    if (o->rc == PERCHE_FULL || o->rc == PERCHE_DISK || o->rc == PERCHE_BUSY) {
        n->trouble.rc = o->rc;
        n->trouble.kinds |= UINT64_C(1) << job->work.kind;
        n->trouble.at_ms = node_mono_ms();
    } else if (o->rc == PERCHE_OK && !o->message.refused &&
               (job->work.kind != WORK_HARVEST || o->rows > 0)) {
        n->trouble.kinds &= ~(UINT64_C(1) << job->work.kind);
    }
}

static void on_outcome(struct job *job)
{
    struct node *n = job->ctx;

    note_trouble(n, job);
    if (!n->ended && !n->closing && (uintptr_t)job->work.owner == n->conversation) {
        struct sync_event ev = {
            .kind = SYNC_EV_OUTCOME, .tag = job->work.tag, .outcome = &job->outcome};

        job->outcome.tag = job->work.tag;
        node_step(n, &ev);
    }
    job_free(job);
}

static void start_work(struct node *n, struct sync_action *a)
{
    struct job *job = job_new(a->work.kind, n, on_outcome);

    if (!job) {
        node_end(n, "out of memory");
        return;
    }
    job->work = a->work;
    memset(&a->work, 0, sizeof(a->work)); /* the job's now */
    job->work.tag = a->tag;
    job->work.owner = (void *)n->conversation; /* a number, never followed */
    node_run(n, job);
}

/* ---- messages ----------------------------------------------------------------- */

static void reply_internal(struct node *n, uint64_t request, uint8_t op)
{
    struct perche_message m = {.op = op, .reply = true, .refused = true};
    struct perche_buf buf = {0};

    m.u.no.why = PERCHE_NO_INTERNAL;
    m.u.no.text = "the hub could not write its answer";
    if (perche_message_encode(&m, &buf, NULL) == PERCHE_OK)
        (void)downlink_reply(n->downlink, request, (struct perche_bytes){buf.p, (uint32_t)buf.n},
                             NULL); /* the line went: nobody waits for it */
    perche_buf_free(&buf);
}

static void send_message(struct node *n, const struct sync_action *a)
{
    struct perche_buf buf = {0};
    struct perche_err err = {0};
    enum perche_rc rc = perche_message_encode(&a->message, &buf, &err);
    struct perche_bytes body = {buf.p, (uint32_t)buf.n};

    if (rc == PERCHE_OK && buf.n > PERCHE_MESSAGE_BYTES_MAX)
        rc = perche_err_set(&err, PERCHE_TOO_LARGE, "%zu bytes are too many for a message", buf.n);
    if (rc != PERCHE_OK) {
        log_error("message.not_sent", "op=%u rc=%s err=\"%s\"", a->message.op, perche_rc_name(rc),
                  err.text);
        if (n->role == REPLICA_HUB && n->downlink)
            reply_internal(n, a->request, a->message.op);
        /* a site's request runs into its time-out, and the conversation begins anew */
    } else if (n->role == REPLICA_HUB) {
        if (n->downlink && downlink_reply(n->downlink, a->request, body, &err) != PERCHE_OK)
            log_debug("message.late", "op=%u err=\"%s\"", a->message.op, err.text);
    } else if (n->uplink) {
        n->tags[a->channel] = a->tag;
        if (uplink_send(n->uplink, a->channel, body, &err) != PERCHE_OK)
            log_debug("message.no_line", "op=%u err=\"%s\"", a->message.op, err.text);
    }
    perche_buf_free(&buf);
}

/* The session is bound to the pipe from here on: it may send batches. */
static bool proves_a_pipe(const struct sync_action *a)
{
    return a->message.op == PERCHE_OP_PROVE && a->message.reply && !a->message.refused;
}

/* ---- actions -------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct node *n = container_of(timer, struct node, timer);
    struct sync_event ev = {.kind = SYNC_EV_TIME};

    node_step(n, &ev);
}

static void set_timer(struct node *n, uint64_t at_ms)
{
    uint64_t now = node_mono_ms();

    uv_update_time(n->loop); /* its clock stands still while callbacks run */
    (void)uv_timer_start(&n->timer, on_timer, at_ms > now ? at_ms - now : 0,
                         0); /* not closing: 0 */
}

static void connect_line(struct node *n)
{
    struct perche_err err = {0};

    if (n->uplink && uplink_dial(n->uplink, &err) == PERCHE_OK)
        return;
    log_warn("uplink.no_dial", "err=\"%s\"", n->uplink ? err.text : "no line is configured");
    inbox_put(&n->inbox, &n->dial_failed);
}

static void on_dial_failed(struct inbox_item *item)
{
    struct node *n = container_of(item, struct node, dial_failed);
    struct sync_event ev = {.kind = SYNC_EV_LINE_DOWN, .reason = "lost"};

    node_step(n, &ev);
}

void node_site_view(struct node *n, struct sync_site_view *out)
{
    *out = (struct sync_site_view){.state = SYNC_UNJOINED, .reason = ""};
    if (n->sync_site)
        sync_site_view(n->sync_site, out);
    if (*out->reason || out->state != SYNC_CONNECTING)
        n->no_line = out->reason;
    else if (n->no_line)
        out->reason = n->no_line;
}

static void tell_status(struct node *n)
{
    struct sync_site_view view;
    char text[200];

    if (!n->sync_site)
        return;
    node_site_view(n, &view);
    (void)snprintf(text, sizeof(text), "%s%s%s, %llu rows to send", sync_state_name(view.state),
                   *view.reason ? ": " : "", view.reason, (unsigned long long)view.pending);
    n->on_event(n->ctx, NODE_STATUS, text);
}

/* The conversation says once of each message that was none, whether it did not decode, came
 * out of turn or held a damaged batch: counted there. */
static bool is_bad_message(const char *event)
{
    return strcmp(event, "hub.bad_message") == 0 || strcmp(event, "sync.bad_reply") == 0;
}

static void carry_out(struct node *n, struct sync_action *a)
{
    switch (a->kind) {
    case SYNC_SEND: send_message(n, a); break;
    case SYNC_WORK: start_work(n, a); break;
    case SYNC_TIMER: set_timer(n, a->at_ms); break;
    case SYNC_CONNECT: connect_line(n); break;
    case SYNC_DISCONNECT:
        if (n->uplink)
            uplink_drop(n->uplink);
        else if (n->downlink)
            downlink_drop_pipe(n->downlink, a->pipe);
        break;
    case SYNC_LOG:
        n->bad_messages += is_bad_message(a->reason);
        log_notice(a->reason, "%s", a->text);
        break;
    case SYNC_STATE: tell_status(n); break;
    case SYNC_SYNCED: node_waiter_done(n, a->tag, a->reason); break;
    case SYNC_LEFT: node_leave_told(n, a->reason, a->text); break;
    }
}

void node_step(struct node *n, struct sync_event *ev)
{
    struct sync_actions actions;

    if (n->ended || n->closing || !(n->sync_site || n->sync_hub))
        return;
    assert(!n->stepping); /* every event comes from the loop, never from inside an action */
    n->stepping = true;
    ev->now_ms = node_wall_ms();
    ev->mono_ms = node_mono_ms();
    if (n->sync_site)
        sync_site_step(n->sync_site, ev, &n->actions);
    else
        sync_hub_step(n->sync_hub, ev, &n->actions);
    actions = n->actions;
    memset(&n->actions, 0, sizeof(n->actions));
    for (uint32_t i = 0; i < actions.count && !n->ended && !n->closing; i++) {
        if (actions.items[i].kind == SYNC_SEND && n->downlink && proves_a_pipe(&actions.items[i]))
            downlink_prove(n->downlink, actions.items[i].pipe);
        carry_out(n, &actions.items[i]); /* may end the node */
    }
    if (actions.nomem && !n->ended && !n->closing)
        node_end(n, "out of memory");
    sync_actions_clear(&actions);
    n->actions = actions;
    n->stepping = false;
}

/* ---- events of the lines ---------------------------------------------------------- */

static void on_up(void *ctx)
{
    struct node *n = ctx;
    struct sync_event ev = {.kind = SYNC_EV_LINE_UP};

    node_step(n, &ev);
}

static void on_down(void *ctx, const char *reason, const char *detail)
{
    struct node *n = ctx;
    struct sync_event ev = {.kind = SYNC_EV_LINE_DOWN, .reason = reason};

    log_info("uplink.down", "url=%s why=%s err=\"%s\"", uplink_url(n->uplink), reason, detail);
    node_step(n, &ev);
}

/* Each migration carries the signature of the hub that the site joined: who else might
 * stand between them, the schema is the hub's. */
static bool migrations_are_the_hubs(struct node *n, const struct perche_message *m)
{
    struct sync_ops ops = identity_ops(n->identity);
    bool ok = true;

    if (m->op != PERCHE_OP_PROVE || !m->reply || m->refused)
        return true;
    for (uint32_t i = 0; ok && i < m->u.prove_reply.migrations_count; i++) {
        const struct perche_migration *migration = &m->u.prove_reply.migrations[i];
        struct perche_buf buf = {0};

        ok = perche_migration_signed(migration, &buf) == PERCHE_OK &&
             ops.verify(ops.ctx, n->upstream.hub_key, buf.p, buf.n, migration->signature);
        perche_buf_free(&buf);
        if (!ok)
            log_warn("uplink.bad_migration", "hub=%s number=%llu: not signed by this hub",
                     n->upstream.hub, (unsigned long long)migration->number);
    }
    return ok;
}

static void on_reply(void *ctx, uint32_t channel, struct perche_bytes body, uint64_t line_ms)
{
    struct node *n = ctx;
    struct perche_message m = {0};
    struct perche_err err = {0};
    struct sync_event ev = {.kind = SYNC_EV_REPLY,
                            .channel = channel,
                            .tag = n->tags[channel],
                            .bytes = body.n,
                            .line_ms = line_ms,
                            .message = &m};

    if (perche_message_decode(body, &m, &err) != PERCHE_OK) {
        memset(&m, 0, sizeof(m));
        log_info("uplink.undecoded", "hub=%s bytes=%u err=\"%s\"", n->upstream.hub, body.n,
                 err.text);
    }
    if (m.op == 0 || !migrations_are_the_hubs(n, &m)) {
        ev.kind = SYNC_EV_BAD;
        ev.message = NULL;
    }
    node_step(n, &ev);
    if (m.op != 0) /* nobody has taken it */
        perche_message_free(&m);
}

static void bad_request(struct node *n, uint64_t request, uint64_t pipe, uint64_t bytes,
                        const char *why)
{
    struct sync_event ev = {.kind = SYNC_EV_BAD, .request = request, .pipe = pipe, .bytes = bytes};
    char peer[64];

    downlink_peer(n->downlink, pipe, peer, sizeof(peer));
    log_info("downlink.undecoded", "pipe=%llu peer=%s bytes=%llu err=\"%s\"",
             (unsigned long long)pipe, peer, (unsigned long long)bytes, why);
    node_step(n, &ev);
}

static void on_request(void *ctx, uint64_t request, uint64_t pipe, struct perche_bytes body)
{
    struct node *n = ctx;
    struct perche_message m = {0};
    struct perche_err err = {0};
    char address[64];
    struct sync_event ev = {
        .kind = SYNC_EV_REQUEST, .request = request, .pipe = pipe, .bytes = body.n, .message = &m};

    if (perche_message_decode(body, &m, &err) != PERCHE_OK) {
        bad_request(n, request, pipe, body.n, err.text);
        return;
    }
    if (m.op == PERCHE_OP_HELLO) {
        downlink_peer(n->downlink, pipe, address, sizeof(address));
        ev.address = address;
    }
    node_step(n, &ev);
    if (m.op != 0) /* nobody has taken it */
        perche_message_free(&m);
}

static void on_too_large(void *ctx, uint64_t request, uint64_t pipe, uint64_t bytes)
{
    bad_request(ctx, request, pipe, bytes,
                "larger than a line may send that has not proven itself");
}

static void on_flood(void *ctx, uint64_t pipe)
{
    struct node *n = ctx;

    n->bad_messages++;
    log_notice("downlink.bad_message", "pipe=%llu: announced a message that is larger than it may send",
               (unsigned long long)pipe);
}

static void on_stranger(void *ctx, uint64_t pipe)
{
    struct node *n = ctx;
    char address[64];

    downlink_peer(n->downlink, pipe, address, sizeof(address));
    log_notice("downlink.stranger", "address=%s: its line has proven nothing and is ended", address);
}

static void on_unread(void *ctx, uint64_t pipe, uint32_t replies, uint64_t bytes)
{
    struct node *n = ctx;
    char address[64];

    downlink_peer(n->downlink, pipe, address, sizeof(address));
    log_notice("downlink.unread", "address=%s replies=%u bytes=%llu: its line does not take what it has asked for and is ended",
               address, replies, (unsigned long long)bytes);
}

static void on_silent(void *ctx, uint32_t n)
{
    (void)ctx;
    log_notice("downlink.silent", "connections=%u: have not become lines in their time, or were too many, and are ended", n);
}

static void on_pipe_gone(void *ctx, uint64_t pipe)
{
    struct node *n = ctx;
    struct sync_event ev = {.kind = SYNC_EV_PIPE_GONE, .pipe = pipe};

    node_step(n, &ev);
}

/* ---- events of the disk -------------------------------------------------------------- */

static void on_changed(void *ctx)
{
    struct node *n = ctx;
    struct sync_event ev = {.kind = SYNC_EV_CHANGED};

    wal_readers_look(&n->wal_readers, node_mono_ms());
    node_step(n, &ev);
}

static void on_replaced(void *ctx)
{
    struct node *n = ctx;

    node_end(n, "%s %s", n->db, wal_files_look(&n->files) == WAL_FILES_SAME ?
                 "is an older one now, which was written into it (.restore, backup()): nothing more is acknowledged. perched takes it"
                 " for one that was put back when it starts again" : wal_files_why(&n->files));
}

static void writer_perform(void *ctx, const struct work *works, struct outcome *outcomes,
                           uint32_t count)
{
    struct node *n = ctx;

    replica_perform(n->replica, works, outcomes, count);
}

static bool writer_others_wrote(void *ctx)
{
    struct node *n = ctx;

    return replica_others_wrote(n->replica);
}

/* Any thread. */
static bool files_stand(void *ctx)
{
    struct node *n = ctx;

    return wal_files_look(&n->files) == WAL_FILES_SAME;
}

static uint32_t writer_backlog(void *ctx)
{
    struct node *n = ctx;

    return replica_backlog(n->replica);
}

/* A chunk that went before another work. */
static void on_harvested(struct job *job)
{
    struct node *n = job->ctx;

    if (job->outcome.rc == PERCHE_OK && !n->ended && !n->closing) {
        if (job->outcome.found + job->outcome.restored > 0)
            log_notice("replica.bypassed", "found=%llu restored=%llu", (unsigned long long)job->outcome.found, (unsigned long long)job->outcome.restored);
        node_woken(n, &job->outcome);
    }
    job_free(job);
}

/* The writer's thread. */
static bool writer_same_file(void *ctx)
{
    struct node *n = ctx;

    return files_stand(n) && !replica_put_back(n->replica);
}

static enum perche_rc reader_open(void *ctx, void **out, struct perche_err *err)
{
    struct node *n = ctx;
    struct replica *r = NULL;
    enum perche_rc rc = replica_open_reader(&n->replica_config, &r, err);

    if (rc == PERCHE_OK)
        *out = r;
    return rc;
}

static void reader_close(void *ctx, void *reader)
{
    (void)ctx; /* a reader needs nothing of the node */
    replica_free(reader);
}

static void reader_perform(void *ctx, void *reader, const struct work *work,
                           struct outcome *outcome)
{
    (void)ctx;
    replica_perform(reader, work, outcome, 1);
}

/* ---- making ------------------------------------------------------------------------------ */

const char *node_upstream_url(const struct node *n)
{
    return n->upstream_url ? n->upstream_url : n->upstream.url;
}

/* A folder with @mode; whether it is new in *made. */
static enum perche_rc make_folder(const char *path, mode_t mode, bool *made, struct perche_err *err)
{
    struct stat st;

    *made = mkdir(path, mode) == 0;
    if (!*made && errno != EEXIST)
        return perche_err_set(err, perche_rc_of_errno(errno),
                              "the folder %s cannot be made: %s", path, strerror(errno));
    if (stat(path, &st) != 0)
        return perche_err_set(err, perche_rc_of_errno(errno), "the folder %s: %s", path,
                              strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return perche_err_set(err, PERCHE_CONFIG, "%s is not a folder", path);
    return PERCHE_OK;
}

enum perche_rc node_prepare(const struct node_config *config, char *note, size_t note_n,
                            struct perche_err *err)
{
    char keys[PATH_MAX];
    struct stat st;
    bool made;
    enum perche_rc rc = make_folder(config->data, 0770, &made, err);

    if (note_n > 0)
        note[0] = '\0';
    if (rc != PERCHE_OK)
        return rc;
    /* Setgid, so that a -wal that another program makes while we are down is the group's. A
     * sandbox that forbids it (RestrictSUIDSGID=) has the folder made by tmpfiles. */
    if (made && chmod(config->data, 02770) != 0 && chmod(config->data, 0770) != 0)
        return perche_err_set(err, perche_rc_of_errno(errno), "%s: %s", config->data,
                              strerror(errno));
    if (stat(config->data, &st) == 0 && !(st.st_mode & S_ISGID))
        (void)snprintf(note, note_n,
                       "the folder %s is not setgid: a file that another program makes there while "
                       "perched is down may not be the group's; chmod 2770 it",
                       config->data);
    rc = file_path(keys, sizeof(keys), config->data, "keys", err);
    if (rc == PERCHE_OK)
        rc = make_folder(keys, 0700, &made, err);
    if (rc == PERCHE_OK && chmod(keys, 0700) != 0) /* whatever the umask and the setgid above */
        rc = perche_err_set(err, perche_rc_of_errno(errno), "%s: %s", keys, strerror(errno));
    return rc;
}

/* Two daemons on one replica would send under one name, from one counter (P6). The lock is
 * the kernel's: a daemon that was killed leaves none behind. */
static enum perche_rc lock_taken(int fd, const char *path, const char *data, struct perche_err *err)
{
    char by[32] = "";
    ssize_t got;

    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return PERCHE_OK;
    if (errno != EWOULDBLOCK)
        return perche_err_set(err, perche_rc_of_errno(errno), "%s: %s", path, strerror(errno));
    got = read(fd, by, sizeof(by) - 1);
    by[got > 0 ? got : 0] = '\0';
    by[strcspn(by, "\n")] = '\0';
    return perche_err_set(err, PERCHE_STATE,
                          "%s is in use by another perched%s%s: stop that one first, or choose"
                          " another data folder", data, *by ? ", process " : "", by);
}

static enum perche_rc lock_folder(struct node *n, struct perche_err *err)
{
    char path[PATH_MAX];
    enum perche_rc rc = file_path(path, sizeof(path), n->data, "perched.lock", err);

    if (rc != PERCHE_OK)
        return rc;
    n->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (n->lock < 0)
        return perche_err_set(err, perche_rc_of_errno(errno), "%s: %s", path, strerror(errno));
    rc = lock_taken(n->lock, path, n->data, err);
    if (rc != PERCHE_OK)
        return rc;
    if (ftruncate(n->lock, 0) != 0 || dprintf(n->lock, "%ld\n", (long)getpid()) < 0)
        log_info("node.lock", "path=%s err=\"%s\": it does not say who", path, strerror(errno));
    return PERCHE_OK;
}

/* As lock_folder(), and the lock is given back. One that cannot be had for another reason is lock_folder()'s to tell. */
static enum perche_rc try_lock(const char *data, struct perche_err *err)
{
    char path[PATH_MAX];
    enum perche_rc rc = file_path(path, sizeof(path), data, "perched.lock", err);
    int fd = rc == PERCHE_OK ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return rc;
    rc = lock_taken(fd, path, data, err);
    (void)close(fd); /* and so the lock goes */
    return rc;
}

static enum perche_rc not_a_file(const char *db, struct perche_err *err)
{
    struct stat st;

    if (stat(db, &st) == 0 && !S_ISREG(st.st_mode))
        return perche_err_set(err, PERCHE_CONFIG, "%s is not a file: move it away, or name another [node] data", db);
    return PERCHE_OK;
}

/* SQLite names the database alone; what keeps it from being opened may be a file beside it. */
static void name_the_file(const char *db, struct perche_err *err)
{
    static const char *const beside[] = {"", "-wal", "-shm"};
    char path[PATH_MAX + 8];

    for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", db, beside[i]);
        if (access(path, R_OK | W_OK) != 0 && errno != ENOENT) {
            perche_err_wrap(err, "%s: %s (it belongs to user and group perche, mode 0660)", path, strerror(errno));
            return;
        }
    }
    if (!strstr(err->text, db))
        perche_err_wrap(err, "%s", db);
}

enum perche_rc node_look(const struct node_config *config, struct replica_seen *out, struct perche_err *err)
{
    char db[PATH_MAX];
    struct perche_err why = {0};
    struct replica_config replica = {.path = db, .role = config->role};
    enum perche_rc rc = file_path(db, sizeof(db), config->data, "replica.db", err);

    if (rc == PERCHE_OK)
        rc = not_a_file(db, err);
    if (rc != PERCHE_OK)
        return rc;
    rc = replica_look(&replica, out, &why);
    if (rc != PERCHE_OK) {
        name_the_file(db, &why);
        if (err)
            *err = why;
    }
    return rc;
}

enum perche_rc node_try(const struct node_config *config, struct perche_err *err)
{
    struct replica_seen seen;
    enum perche_rc rc = try_lock(config->data, err);

    if (rc == PERCHE_OK)
        rc = node_look(config, &seen, err);
    if (rc == PERCHE_OK && config->role == REPLICA_HUB)
        rc = downlink_try(config->listen, err);
    return rc;
}

static char *copy(const char *text)
{
    return text && *text ? strdup(text) : NULL;
}

static enum perche_rc take_config(struct node *n, const struct node_config *config,
                                  struct perche_err *err)
{
    n->role = config->role;
    n->interval_ms = config->interval_ms;
    n->max_rate = config->max_rate;
    n->name = strdup(config->name);
    n->data = strdup(config->data);
    n->listen = copy(config->listen);
    n->advertise = copy(config->advertise);
    n->upstream_url = copy(config->upstream_url);
    if (!n->name || !n->data)
        return perche_err_set(err, PERCHE_NOMEM, "no memory for the node");
    return file_path(n->db, sizeof(n->db), n->data, "replica.db", err);
}

/* By path: an open() and close() of these would drop SQLite's locks. */
static void open_to_group(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && (st.st_mode & 0777) != 0660 && chmod(path, 0660) != 0)
        log_warn("replica.mode", "path=%s err=\"%s\": the group cannot write it", path,
                 strerror(errno));
}

static enum perche_rc open_replica(struct node *n, const struct node_config *config,
                                   struct perche_err *err)
{
    const struct sync_ops ops = identity_ops(n->identity);
    char path[PATH_MAX + 8];
    enum perche_rc rc;

    n->replica_config = (struct replica_config){.path = n->db,
                                                .role = n->role,
                                                .name = n->name,
                                                .now_ms = node_wall_ms(),
                                                .keep_deleted_ms = config->keep_deleted_ms,
                                                .silent_ms_max = config->retire_after_ms,
                                                .seeds = config->seeds,
                                                .questions = config->questions,
                                                .questions_count = config->questions_count,
                                                .commands = config->commands,
                                                .commands_count = config->commands_count,
                                                .chores = config->chores,
                                                .chores_count = config->chores_count,
                                                .reader = config->reader,
                                                .naming = config->naming,
                                                .files = {.ctx = n, .stand = files_stand}};
    n->replica_config.signer = (struct replica_signer){.ctx = ops.ctx, .sign = ops.sign, .verify = ops.verify};
    memcpy(n->replica_config.signer.public_key, identity_public_key(n->identity), 32);
    identity_random(n->replica_config.random, sizeof(n->replica_config.random));
    rc = not_a_file(n->db, err);
    if (rc != PERCHE_OK)
        return rc;
    rc = replica_open(&n->replica_config, &n->replica, err);
    if (rc != PERCHE_OK) {
        name_the_file(n->db, err);
        return rc;
    }
    (void)snprintf(n->site, sizeof(n->site), "%s", replica_site_id(n->replica));
    (void)snprintf(n->hub, sizeof(n->hub), "%s", replica_hub_id(n->replica));
    open_to_group(n->db);
    (void)snprintf(path, sizeof(path), "%s-wal", n->db);
    open_to_group(path);
    (void)snprintf(path, sizeof(path), "%s-shm", n->db);
    open_to_group(path);
    wal_readers_init(&n->wal_readers, n->db);
    return PERCHE_OK;
}

static enum perche_rc load_keys(struct node *n, struct perche_err *err)
{
    char path[PATH_MAX];
    enum perche_rc rc = file_path(path, sizeof(path), n->data, "keys/node.key", err);

    if (rc == PERCHE_OK)
        rc = identity_load(path, &n->identity, err);
    return rc;
}

static enum perche_rc load_certificate(struct node *n, struct perche_err *err)
{
    char certificate[PATH_MAX], key[PATH_MAX];
    enum perche_rc rc = file_path(certificate, sizeof(certificate), n->data, "hub.crt", err);

    if (rc == PERCHE_OK)
        rc = file_path(key, sizeof(key), n->data, "keys/hub.key", err);
    if (rc == PERCHE_OK)
        rc = tls_identity_load(certificate, key, n->site, &n->tls, err);
    if (rc == PERCHE_OK && n->tls.made)
        log_notice("hub.certificate", "path=%s: made now; a site that knows this hub by another one has to be invited again (--replace)",
                   certificate);
    return rc;
}

/* The node's numbers, before the threads have the replica. */
static enum perche_rc read_state(struct node *n, struct state *out, struct perche_err *err)
{
    struct work work = {.kind = WORK_STATE, .now_ms = node_wall_ms()};
    struct outcome outcome = {0};
    struct replica *r = NULL;
    enum perche_rc rc = replica_open_reader(&n->replica_config, &r, err);

    if (rc != PERCHE_OK)
        return rc;
    replica_perform(r, &work, &outcome, 1);
    rc = outcome.rc;
    if (rc == PERCHE_OK)
        *out = outcome.state;
    else if (err)
        *err = outcome.err;
    outcome_free(&outcome);
    replica_free(r);
    return rc;
}

static void on_uplink_gone(void *ctx)
{
    (void)ctx; /* replaced by another; frees itself */
}

enum perche_rc node_uplink(struct node *n, struct perche_err *err)
{
    struct uplink_config config = {.url = node_upstream_url(n),
                                   .ca_pem = (const char *)n->upstream.certificate_pem,
                                   .server_name = n->upstream.hub};
    struct uplink_events events = {
        .ctx = n, .on_up = on_up, .on_down = on_down, .on_reply = on_reply};
    struct uplink *fresh = NULL;
    enum perche_rc rc = uplink_new(n->loop, &config, &events, &fresh, err);

    if (rc != PERCHE_OK)
        return rc;
    if (strncmp(config.url, "tls", 3) != 0)
        log_warn("uplink.plain", "url=%s: this line is not encrypted, which is for tests alone",
                 config.url);
    if (n->uplink)
        uplink_close(n->uplink, NULL, on_uplink_gone);
    n->uplink = fresh;
    return PERCHE_OK;
}

enum perche_rc node_converse(struct node *n, struct perche_err *err)
{
    struct sync_site_config config = {.site = n->site,
                                      .hub = n->joined ? n->upstream.hub : NULL,
                                      .interval_ms = n->interval_ms,
                                      .max_rate = n->max_rate,
                                      .ops = identity_ops(n->identity)};
    struct sync_site *fresh = sync_site_new(&config);
    struct sync_event ev = {.kind = SYNC_EV_START};

    if (!fresh)
        return perche_err_set(err, PERCHE_NOMEM, "no memory for the conversation");
    sync_site_free(n->sync_site);
    n->sync_site = fresh;
    n->conversation++;
    (void)uv_timer_stop(&n->timer);
    if (n->uplink)
        uplink_drop(n->uplink); /* a new conversation begins with a new line */
    node_step(n, &ev);
    node_waiters_again(n);
    return PERCHE_OK;
}

static enum perche_rc start_hub(struct node *n, const struct state *state, struct perche_err *err)
{
    struct sync_hub_config config = {.hub = n->site,
                                     .epoch = state->epoch,
                                     .watch_ms = NODE_WATCH_MS,
                                     .sessions_max = NODE_SESSIONS_MAX,
                                     .ops = identity_ops(n->identity)};
    struct downlink_config line = {.url = n->listen,
                                   .certificate_pem = (const char *)n->tls.certificate_pem,
                                   .key_pem = (const char *)n->tls.key_pem};
    struct downlink_events events = {.ctx = n,
                                     .on_request = on_request,
                                     .on_too_large = on_too_large,
                                     .on_flood = on_flood,
                                     .on_pipe_gone = on_pipe_gone,
                                     .on_stranger = on_stranger,
                                     .on_unread = on_unread,
                                     .on_silent = on_silent};
    struct sync_event ev = {.kind = SYNC_EV_START};
    enum perche_rc rc = downlink_new(n->loop, &line, &events, &n->downlink, err);

    if (rc != PERCHE_OK)
        return rc;
    if (strncmp(n->listen, "tls", 3) != 0)
        log_warn("downlink.plain", "url=%s: lines are not encrypted, which is for tests alone",
                 n->listen);
    n->sync_hub = sync_hub_new(&config);
    if (!n->sync_hub)
        return perche_err_set(err, PERCHE_NOMEM, "no memory for the conversation");
    n->conversation++;
    n->joined = true;
    node_step(n, &ev);
    return PERCHE_OK;
}

static enum perche_rc start_site(struct node *n, struct perche_err *err)
{
    enum perche_rc rc;

    if (*n->upstream.hub && (strcmp(n->upstream.site, n->site) != 0 || strcmp(n->upstream.hub, n->hub) != 0)) {
        node_join_resume(n); /* begins the conversation when it is done */
        return PERCHE_OK;
    }
    if (*n->upstream.hub) {
        rc = node_uplink(n, err);
        if (rc != PERCHE_OK)
            return rc;
        n->joined = true;
    } else if (n->upstream_url) {
        log_notice("uplink.unjoined", "url=%s: this site has not joined its hub: perche join LINE",
                   n->upstream_url);
    }
    if (!*n->upstream.hub && *n->hub)
        node_leave_resume(n);
    return node_converse(n, err);
}

static void node_free(struct node *n)
{
    sync_site_free(n->sync_site);
    sync_hub_free(n->sync_hub);
    sync_actions_free(&n->actions);
    wal_files_rescue(&n->files); /* by the descriptors that SQLite still has */
    replica_free(n->replica);
    wal_files_close(&n->files);
    identity_free(n->identity);
    tls_identity_free(&n->tls);
    upstream_clear(&n->upstream);
    if (n->lock >= 0)
        (void)close(n->lock); /* and so the lock goes */
    free(n->name);
    free(n->data);
    free(n->listen);
    free(n->advertise);
    free(n->upstream_url);
    free(n);
}

static void on_failed_closed(void *ctx)
{
    (void)ctx; /* nobody waits for it */
}

enum perche_rc node_new(uv_loop_t *loop, const struct node_config *config, void *ctx,
                        node_event_cb on_event, struct node **out, struct perche_err *err)
{
    struct writer_ops writer_ops = {.perform = writer_perform,
                                    .others_wrote = writer_others_wrote,
                                    .same_file = writer_same_file,
                                    .backlog = writer_backlog};
    struct writer_events writer_events = {.on_file_replaced = on_replaced, .on_harvested = on_harvested};
    struct reader_ops reader_ops = {
        .open = reader_open, .close = reader_close, .perform = reader_perform};
    struct wal_watch_events watch_events = {.on_changed = on_changed, .on_replaced = on_replaced, .stand = files_stand};
    struct state state = {0};
    struct node *n = calloc(1, sizeof(*n));
    char note[300];
    enum perche_rc rc;

    if (!n)
        return perche_err_set(err, PERCHE_NOMEM, "no memory for the node");
    n->lock = -1;
    n->loop = loop;
    n->ctx = ctx;
    n->on_event = on_event;
    n->dial_failed.on_taken = on_dial_failed;
    node_leave_init(n);
    rc = take_config(n, config, err);
    if (rc == PERCHE_OK)
        rc = node_prepare(config, note, sizeof(note), err);
    if (rc == PERCHE_OK)
        rc = lock_folder(n, err);
    if (rc == PERCHE_OK)
        rc = load_keys(n, err);
    if (rc == PERCHE_OK)
        rc = open_replica(n, config, err);
    if (rc == PERCHE_OK && n->role == REPLICA_HUB)
        rc = load_certificate(n, err);
    if (rc == PERCHE_OK && n->role == REPLICA_SITE) {
        rc = upstream_read(n->data, &n->upstream, err);
        if (rc == PERCHE_NOT_FOUND)
            rc = PERCHE_OK; /* has not joined */
    }
    if (rc == PERCHE_OK)
        rc = wal_files_open(&n->files, n->data, n->db, err);
    if (rc == PERCHE_OK && n->role == REPLICA_HUB)
        rc = node_revoked_start(n, err);
    if (rc == PERCHE_OK)
        rc = read_state(n, &state, err);
    if (rc == PERCHE_OK)
        rc = inbox_init(&n->inbox, loop, err);
    if (rc != PERCHE_OK) {
        node_free(n);
        return rc;
    }
    (void)uv_timer_init(loop, &n->timer); /* always 0, as the next */
    (void)uv_timer_init(loop, &n->resume.timer);
    writer_ops.ctx = reader_ops.ctx = writer_events.ctx = watch_events.ctx = n;
    rc = readers_new(loop, &reader_ops, &n->readers, err);
    if (rc == PERCHE_OK)
        rc = writer_new(loop, &writer_ops, &writer_events, &n->writer, err);
    if (rc == PERCHE_OK)
        rc = wal_watch_new(loop, n->db, &watch_events, &n->watch, err);
    if (rc == PERCHE_OK)
        rc = n->role == REPLICA_HUB ? start_hub(n, &state, err) : start_site(n, err);
    if (rc != PERCHE_OK) {
        node_close(n, NULL, on_failed_closed);
        return rc;
    }
    log_notice("node.started", "role=%s site=%s epoch=%llu lsn=%llu",
               n->role == REPLICA_HUB ? "hub" : "site", n->site, (unsigned long long)state.epoch,
               (unsigned long long)state.lsn);
    if (n->role == REPLICA_HUB)
        node_sign_rest(n);
    *out = n;
    return PERCHE_OK;
}

/* ---- a reload ------------------------------------------------------------------------------ */

static bool differs(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") != 0;
}

static void replace(char **text, const char *fresh)
{
    char *made = copy(fresh);

    if (fresh && *fresh && !made)
        return; /* no memory: the old one stays */
    free(*text);
    *text = made;
}

/* In @note what differs and is not taken over: @dials and @paces when they have to wait. */
static void note_rest(const struct node *n, const struct node_config *config, bool dials, bool paces, char *note,
                      size_t note_n)
{
    const bool hub = n->role == REPLICA_HUB;
    const struct {
        bool differs;
        const char *key;
    } rest[] = {
        {n->role != config->role, "[node] role "},
        {differs(n->data, config->data), "[node] data "},
        {differs(n->name, config->name), "[node] name "},
        {differs(n->listen, config->listen), "[hub] listen "},
        {hub && n->replica_config.silent_ms_max != config->retire_after_ms, "[hub] retire_after "},
        {hub && n->replica_config.keep_deleted_ms != config->keep_deleted_ms, "[hub] keep_deleted "},
    };
    char keys[160] = "";
    size_t at = 0;

    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
        if (rest[i].differs)
            at += (size_t)snprintf(keys + at, sizeof(keys) - at, "%s", rest[i].key);
    (void)snprintf(note, note_n, "%s%s%s%s%s%s", keys, at > 0 ? "changed: that needs a restart" : "",
                   at > 0 && (dials || paces) ? "; " : "", dials ? "[upstream] url " : "", paces ? "[sync] " : "",
                   dials || paces ? "changed during a join or leave: reload again after it" : "");
}

enum perche_rc node_reload(struct node *n, const struct node_config *config, char *note,
                           size_t note_n, struct perche_err *err)
{
    bool dials = differs(n->upstream_url, config->upstream_url);
    bool paces = n->interval_ms != config->interval_ms || n->max_rate != config->max_rate;
    bool waits = n->join || n->leaving;
    enum perche_rc rc = PERCHE_OK;

    note_rest(n, config, waits && dials, waits && paces, note, note_n);
    replace(&n->advertise, config->advertise);
    if (n->role == REPLICA_HUB || n->closing || n->ended || waits)
        return PERCHE_OK;
    n->interval_ms = config->interval_ms;
    n->max_rate = config->max_rate;
    replace(&n->upstream_url, config->upstream_url);
    if (dials && n->joined)
        rc = node_uplink(n, err);
    if (rc == PERCHE_OK && (paces || (dials && n->joined)))
        rc = node_converse(n, err);
    return rc;
}

/* ---- closing ---------------------------------------------------------------------------------- */

static void on_inbox_closed(struct inbox *inbox)
{
    struct node *n = container_of(inbox, struct node, inbox);

    on_part_closed(n);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_part_closed(container_of((uv_timer_t *)handle, struct node, timer));
}

static void on_resume_timer_closed(uv_handle_t *handle)
{
    on_part_closed(container_of((uv_timer_t *)handle, struct node, resume.timer));
}

/* The lines are closed; then the workers; then what they told the loop through. */
static void close_next(struct node *n)
{
    if (n->writer || n->readers || n->watch) {
        struct writer *writer = n->writer;
        struct readers *readers = n->readers;
        struct wal_watch *watch = n->watch;

        n->closing_parts = !!writer + !!readers + !!watch;
        n->writer = NULL;
        n->readers = NULL;
        n->watch = NULL;
        if (writer)
            writer_close(writer, n, on_part_closed);
        if (readers)
            readers_close(readers, n, on_part_closed);
        if (watch)
            wal_watch_close(watch, n, on_part_closed);
    } else if (n->inbox.on_closed == NULL) {
        n->closing_parts = 3;
        inbox_close(&n->inbox, on_inbox_closed);
        uv_close((uv_handle_t *)&n->timer, on_timer_closed);
        uv_close((uv_handle_t *)&n->resume.timer, on_resume_timer_closed);
    } else {
        void *ctx = n->closed_ctx;
        node_closed_cb on_closed = n->on_closed;

        node_free(n);
        on_closed(ctx);
    }
}

static void on_part_closed(void *ctx)
{
    struct node *n = ctx;

    if (--n->closing_parts == 0 && n->closing)
        close_next(n);
}

void node_close(struct node *n, void *ctx, node_closed_cb on_closed)
{
    assert(!n->closing);
    n->closing = true;
    n->closed_ctx = ctx;
    n->on_closed = on_closed;
    (void)uv_timer_stop(&n->timer);
    (void)uv_timer_stop(&n->resume.timer);
    closing_part(n); /* this call */
    node_waiters_fail(n);
    node_join_fail(n);
    node_leave_fail(n);
    drop_lines(n);
    if (n->uplink) {
        closing_part(n);
        uplink_close(n->uplink, n, on_part_closed);
        n->uplink = NULL;
    }
    on_part_closed(n);
}

/* ---- small facts --------------------------------------------------------------------------------- */

enum replica_role node_role(const struct node *n)
{
    return n->role;
}

const char *node_site_id(const struct node *n)
{
    return n->site;
}

const char *node_name(const struct node *n)
{
    return *n->upstream.name ? n->upstream.name : n->name;
}

bool node_joined(const struct node *n)
{
    return n->joined;
}

uint16_t node_port(const struct node *n)
{
    return n->downlink ? downlink_port(n->downlink) : 0;
}

const char *node_data(const struct node *n)
{
    return n->data;
}
