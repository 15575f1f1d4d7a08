/* Machines that may not come back, kept beside the database too (DESIGN 4.8): a hub that is put back to a copy of before a
 * revocation learns of it from here, before it hears anybody. keys/revoked is a JSON array of [site, public key, milliseconds]. */
#include "net/node_own.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "net/file.h"

#define FILE_BYTES_MAX (16u << 20)

/* What the file has; an empty array where there is none. NULL: @err says why. */
static json_t *read_kept(const char *path, struct perche_err *err)
{
    uint8_t *text = NULL;
    json_t *kept;
    size_t n;
    enum perche_rc rc = file_read(path, FILE_BYTES_MAX, &text, &n, err);

    if (rc != PERCHE_OK && rc != PERCHE_NOT_FOUND)
        return NULL;
    kept = rc == PERCHE_OK ? json_loadb((char *)text, n, 0, NULL) : json_array();
    free(text);
    if (json_is_array(kept))
        return kept;
    json_decref(kept);
    (void)perche_err_set(err, PERCHE_CONFIG,
                         "%s: not the list of revoked machines that perched wrote: put a copy of it back, or remove it and say perche revoke"
                         " of each of them again", path);
    return NULL;
}

static bool has(const json_t *kept, const json_t *entry)
{
    const json_t *other;
    size_t i;

    json_array_foreach(kept, i, other)
    {
        if (json_equal(other, entry))
            return true;
    }
    return false;
}

/* Those of @revoked that the file has not got yet go into it. */
static enum perche_rc keep(const char *path, json_t *kept, const json_t *revoked, struct perche_err *err)
{
    size_t before = json_array_size(kept), i;
    json_t *entry;
    char *text;
    enum perche_rc rc;

    json_array_foreach(revoked, i, entry)
    {
        if (!has(kept, entry) && json_array_append(kept, entry) != 0)
            return perche_err_set(err, PERCHE_NOMEM, "no memory for the revoked machines");
    }
    if (json_array_size(kept) == before)
        return PERCHE_OK;
    text = json_dumps(kept, JSON_INDENT(1));
    rc = text ? file_write(path, 0600, text, strlen(text), err) : perche_err_set(err, PERCHE_NOMEM, "no memory for the revoked machines");
    free(text);
    return rc;
}

void node_revoked_keep(struct node *n, const json_t *revoked)
{
    struct perche_err err = {0};
    char path[PATH_MAX];
    json_t *kept = file_path(path, sizeof(path), n->data, "keys/revoked", &err) == PERCHE_OK ? read_kept(path, &err) : NULL;

    if (!kept || keep(path, kept, revoked, &err) != PERCHE_OK)
        log_error("hub.revoked_lost", "err=\"%s\": revoked in the database alone; a hub that is put back would let the machine in", err.text);
    json_decref(kept);
}

/* Before the threads have the replica. */
static enum perche_rc tell_replica(struct node *n, const json_t *kept, json_t **answer, struct perche_err *err)
{
    struct work work = {.kind = WORK_COMMAND, .name = "revocations", .now_ms = node_wall_ms()};
    struct outcome outcome = {0};
    json_t *args = json_pack("{s:O}", "known", kept);
    enum perche_rc rc;

    work.args = args ? json_dumps(args, JSON_COMPACT) : NULL;
    json_decref(args);
    if (!work.args)
        return perche_err_set(err, PERCHE_NOMEM, "no memory for the revoked machines");
    identity_random(work.random, sizeof(work.random));
    replica_perform(n->replica, &work, &outcome, 1);
    free(work.args);
    rc = outcome.rc;
    if (rc == PERCHE_OK)
        *answer = json_loads(outcome.json ? outcome.json : "{}", 0, NULL);
    else if (err)
        *err = outcome.err;
    outcome_free(&outcome);
    return rc;
}

enum perche_rc node_revoked_start(struct node *n, struct perche_err *err)
{
    char path[PATH_MAX];
    json_t *kept = NULL, *answer = NULL;
    enum perche_rc rc = file_path(path, sizeof(path), n->data, "keys/revoked", err);

    if (rc != PERCHE_OK)
        return rc;
    kept = read_kept(path, err);
    if (!kept)
        return err->rc;
    rc = tell_replica(n, kept, &answer, err);
    if (rc == PERCHE_OK && json_integer_value(json_object_get(answer, "again")) > 0)
        log_notice("hub.revoked_again", "machines=%lld: as the copy that was put back did not know it",
                   (long long)json_integer_value(json_object_get(answer, "again")));
    if (rc == PERCHE_OK)
        rc = keep(path, kept, json_object_get(answer, "revoked"), err);
    json_decref(answer);
    json_decref(kept);
    return rc;
}
