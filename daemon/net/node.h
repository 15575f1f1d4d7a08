/* The node: one replica, its conversation with the other nodes, and the loop
 * that both run on.
 *
 * Every call and every callback is made on the loop's thread, and none of them
 * waits for disk or network: work goes to the writer or to the readers, and what
 * came of it arrives later, in a callback. A callback runs exactly once, never
 * inside the call that named it, and at the latest before on_closed of
 * node_close(); so its ctx has to live until it ran, even when the program that
 * asked has gone away meanwhile. */
#ifndef NET_NODE_H
#define NET_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "perche/rc.h"
#include "replica/replica.h"

struct node;

/* ---- life -------------------------------------------------------------- */

struct node_config { /* copied by node_new() */
    enum replica_role role;
    const char *name;      /* [node] name */
    const char *data;      /* [node] data: an existing folder, see node_prepare() */
    const char *listen;    /* hub: [hub] listen */
    const char *advertise; /* hub: [hub] advertise, the address in an invitation */
    const char
        *upstream_url;    /* site: [upstream] url of the main configuration file, NULL = none there:
                               * then upstream.conf in the data folder, which join wrote, has it */
    uint64_t interval_ms; /* [sync] interval */
    uint64_t max_rate;    /* [sync] max_rate, bytes/s, 0 = no limit */
    uint64_t retire_after_ms, keep_deleted_ms; /* hub: [hub] retire_after, keep_deleted; 0 = never, for ever */
    bool seeds;           /* hub, first start: load the code lists */
    const struct replica_question *questions; /* of people, that other rooms answer (replica_config); static */
    size_t questions_count;
    const struct replica_command *commands;
    size_t commands_count;
    const replica_chore *chores;
    size_t chores_count;
    replica_reader reader;
    struct replica_naming naming;
};

/* What only daemon/main.c may do about it. */
enum node_event {
    NODE_ENDED = 1, /* the node cannot go on (replica.db was replaced, the disk failed): it
                     * acknowledges nothing more; text says why. Close it, exit 1 */
    NODE_STATUS,    /* text is one line for systemd's STATUS= */
};
/* @text is borrowed for the call. */
typedef void (*node_event_cb)(void *ctx, enum node_event event, const char *text);
typedef void (*node_closed_cb)(void *ctx);

/* What is in the data folder, as replica_look() says it. */
enum perche_rc node_look(const struct node_config *config, struct replica_seen *out, struct perche_err *err);
/* Would a start go well? What can be refused is refused here, before anything is made: a folder that a start for nothing has
 * made would say to the next one, with another role, what it is. Changes nothing. */
enum perche_rc node_try(const struct node_config *config, struct perche_err *err);

/* Makes the data folder (0770, setgid where that is allowed), keys/ in it (0700) and
 * the node's own key when they are absent, and a hub's certificate. No thread, no
 * loop. Called by node_new() too; perched calls it first to say what it did.
 * @note gets a sentence when something could not be had but is not needed (setgid),
 * else "". */
enum perche_rc node_prepare(const struct node_config *config, char *note, size_t note_n,
                            struct perche_err *err);

/* Opens the replica, starts writer, readers, watch and conversation. On success the
 * caller owns *out and ends it with node_close(); on failure nothing is left. */
enum perche_rc node_new(uv_loop_t *loop, const struct node_config *config, void *ctx,
                        node_event_cb on_event, struct node **out, struct perche_err *err);
/* What a reload may change: interval and max_rate now, advertise from the next
 * invitation on, upstream_url from the next dial on; at a site none of these during
 * a join or a leave. Says in @note which keys differ and were not taken over, and
 * what that needs, else "". */
enum perche_rc node_reload(struct node *n, const struct node_config *config, char *note,
                           size_t note_n, struct perche_err *err);
/* Ends everything in order and frees @n; what was asked and not answered is answered
 * with PERCHE_STATE first. */
void node_close(struct node *n, void *ctx, node_closed_cb on_closed);

/* ---- the calls of the control socket and of the page -------------------- */

/* @json is one JSON document, or NULL when @err says what went wrong; both are
 * borrowed for the call. */
typedef void (*node_answer_cb)(void *ctx, const char *json, const struct perche_err *err);

/* WORK_QUERY @name on a reader: list, show, history, conflicts, verify ... @args_json
 * is the text of a JSON object, NULL = {}. Both are copied. */
void node_query(struct node *n, const char *name, const char *args_json, void *ctx,
                node_answer_cb on_answer);
/* WORK_COMMAND @name on the writer: resolve, add, set, replicate ... What it changed
 * is told to the sites at once. */
void node_command(struct node *n, const char *name, const char *args_json, void *ctx,
                  node_answer_cb on_answer);

/* perche status: {role, name, id, epoch, lsn, state, pending, last_contact,
 * proven_equal_at, conflicts_open, parked, clock_offset_ms, version}, and beside the
 * contract: {reason, rtt_ms, next_try, hub, hub_url, held, held_since, wal_held, wal_lost, put_back, bytes_out, bytes_in,
 * rows_out, rows_in, bad_messages, works}; at a hub also {sites, listen}. What it does
 * not know is null. */
void node_status(struct node *n, void *ctx, node_answer_cb on_answer);
/* perche sites, at a hub: {sites: [...]}, WORK_QUERY "sites" with the live part (state,
 * last_contact, pending, proven_equal_at, clock_offset_ms) put in. At a site: PERCHE_STATE. */
void node_sites(struct node *n, void *ctx, node_answer_cb on_answer);

/* perche sync: {"done": true, "missing": null} or {"done": false, "missing": "REASON"}.
 * Without @wait the answer comes when the conversation was told to begin, and "done"
 * is null. @timeout_ms 0 = the conversation's own. At a hub: PERCHE_STATE. */
void node_sync(struct node *n, bool wait, uint64_t timeout_ms, void *ctx, node_answer_cb on_answer);

/* perche invite, at a hub: WORK_COMMAND "invite" with @args_json {name, code, kind,
 * expires_ms, replace}, and the line made of its answer:
 * {"line": "perche1:...", "site", "name", "expires": ISO time}. */
void node_invite(struct node *n, const char *args_json, void *ctx, node_answer_cb on_answer);
/* perche revoke, at a hub: WORK_COMMAND "revoke" {site: id, code or name}, then the
 * session and the open line of that site end. Its answer has to name the id: {"site": ...}. */
void node_revoke(struct node *n, const char *args_json, void *ctx, node_answer_cb on_answer);

/* perche join, at a site: parses @line, dials @url (NULL: the line's own) with the
 * pinned certificate, enrols, writes upstream.conf and upstream.crt into the data
 * folder, tells the replica (WORK_COMMAND "joined") and starts the conversation.
 * {"site", "code", "name", "hub", "url", "warning": text or null}. CORRUPT: the line was
 * altered; AUTH: another hub answers there; REFUSED with the hub's reason: expired,
 * used, unknown; NET, TIMEOUT: not reached. BUSY: a join or leave is under way, also one of an
 * earlier start whose replica cannot be written yet. STATE: has joined already, and
 * the hub lets it in; or its records belong to another hub. */
void node_join(struct node *n, const char *line, const char *url, void *ctx,
               node_answer_cb on_answer);
/* perche leave, at a site: the hub is told in the proven session; once it has answered, upstream.conf
 * and upstream.crt go, WORK_COMMAND "left". Rows, id, epoch and position stay. {"left": true}, also when
 * it has left already. STATE: something waits here; NET, TIMEOUT: the hub was not reached; REFUSED:
 * it does not let this site in. */
void node_leave(struct node *n, void *ctx, node_answer_cb on_answer);

/* ---- small facts, at once ----------------------------------------------- */

enum replica_role node_role(const struct node *n);
const char *node_site_id(const struct node *n); /* the node's; changes once, by join */
const char *node_name(const struct node *n);
bool node_joined(const struct node *n);
uint16_t node_port(const struct node *n); /* hub: the port that it listens on; 0 at a site */
const char *node_data(const struct node *n);

#endif
