/* Who belongs to the network, at the hub: invitations, keys, and what each site
 * said at its last contact. An invitation's secret is known to the hub only as a
 * hash; it and the id come from the work's random bytes through BLAKE2b, so that
 * other numbers that were drawn from the same bytes tell nothing of it. */
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "replica/command.h"
#include "replica/floor.h"
#include "replica/position.h"
#include "replica/pack.h"
#include "replica/statements.h"

#define INVITATION_MS   (UINT64_C(7) * 24 * 3600 * 1000)
#define HEARD_MS        3600000u /* a site that was heard of since is not silent */
#define CODE_CHARACTERS 8

/* ---- what the conversation asks ------------------------------------------------------- */

enum perche_rc site_key(struct replica *r, const struct work *w, struct outcome *o)
{
    sqlite3_stmt *s = ask(
        r, "SELECT m.public_key, m.revoked_ms IS NOT NULL, m.name, p.session, m.left_ms IS NOT NULL FROM perche_member m"
           " LEFT JOIN perche_name n ON n.text = m.site LEFT JOIN perche_peer p ON p.site = n.num"
           " WHERE m.site = ?1");

    ask_bind_text(s, 1, w->site);
    if (ask_row(r, s, "look up a site's key")) {
        o->member.revoked = sqlite3_column_int(s, 1) != 0;
        o->member.known = sqlite3_column_bytes(s, 0) == sizeof o->member.public_key;
        if (o->member.known)
            memcpy(o->member.public_key, sqlite3_column_blob(s, 0), sizeof o->member.public_key);
        (void)snprintf(o->member.name, sizeof o->member.name, "%s",
                       ask_text(s, 2)); /* cut short is fine */
        o->member.session = (uint64_t)sqlite3_column_int64(s, 3);
        o->member.left = sqlite3_column_int(s, 4) != 0;
    }
    sqlite3_finalize(s);
    return r->fail;
}

static void no(struct outcome *o, uint8_t op, enum perche_refusal why, const char *text)
{
    o->message.op = op;
    o->message.reply = true;
    o->message.refused = true;
    o->message.u.no = (struct perche_no){.why = (uint8_t)why, .text = text};
}

/* A new node starts at (0, 0), and nothing of the one before it counts; one that comes back shows its own position.
 * Marks stay: it may still hold what they name. What was refused is judged again when it is pushed again. */
static enum perche_rc peer_anew(struct replica *r, const char *site)
{
    struct peer p = {.known = true, .eplsn = r->node.lsn}, was;
    uint32_t num = name_number(r, site);
    sqlite3_stmt *s;
    enum perche_rc rc = num == 0 ? r->fail : peer_load(r, num, &was);

    if (rc == PERCHE_OK) {
        p.stamp = was.known ? was.stamp : 0; /* what this site has ever said stays said: floor_deleted() */
        rc = peer_store(r, num, &p);
    }
    if (rc != PERCHE_OK)
        return rc;
    s = ask(
        r,
        "UPDATE perche_peer SET pending = 0, proven_ms = 0, offset_ms = 0, contact_ms = ?2, recovery = 0, retired_ms = 0, returns = 0, held_ms = 0, held_address = ''"
        " WHERE site = ?1");
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, num);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)r->now_ms);
    }
    rc = ask_run(r, s, "note a new node");
    if (rc != PERCHE_OK)
        return rc;
    for (int i = 0; rc == PERCHE_OK && i < 2; i++) {
        s = ask(r, i == 0 ? "DELETE FROM perche_refusal WHERE site = ?1"
                          : "DELETE FROM perche_peer_epoch WHERE site = ?1");
        if (s != NULL)
            sqlite3_bind_int64(s, 1, num);
        rc = ask_run(r, s, "end what was of the node before");
    }
    return rc;
}

/* One whose key the hub has had is the node that was here before: it goes on from where it was, and `prove` judges what
 * it shows as it does any day. */
static enum perche_rc peer_again(struct replica *r, const char *site)
{
    sqlite3_stmt *s = ask(
        r,
        "UPDATE perche_peer SET session = 0, contact_ms = ?2 WHERE site = (SELECT num FROM perche_name WHERE text = ?1)");

    ask_bind_text(s, 1, site);
    if (s != NULL)
        sqlite3_bind_int64(s, 2, (sqlite3_int64)r->now_ms);
    return ask_run(r, s, "note a node that is back");
}

static enum perche_rc admit(struct replica *r, const struct perche_enrol *e, const char *site, bool back)
{
    sqlite3_stmt *s =
        ask(r, "UPDATE perche_invitation SET used_ms = ?2, public_key = ?3 WHERE id = ?1");
    enum perche_rc rc;

    ask_bind_bytes(s, 1, (struct perche_bytes){e->invitation, 16});
    ask_bind_bytes(s, 3, (struct perche_bytes){e->public_key, 32});
    if (s != NULL)
        sqlite3_bind_int64(s, 2, (sqlite3_int64)r->now_ms);
    rc = ask_run(r, s, "use an invitation");
    if (rc != PERCHE_OK)
        return rc;
    s = ask(
        r,
        "UPDATE perche_member SET public_key = ?2, host = ?3, joined_ms = ?4, revoked_ms = NULL, left_ms = NULL WHERE site = ?1");
    ask_bind_text(s, 1, site);
    ask_bind_bytes(s, 2, (struct perche_bytes){e->public_key, 32});
    ask_bind_text(s, 3, e->name);
    if (s != NULL)
        sqlite3_bind_int64(s, 4, (sqlite3_int64)r->now_ms);
    rc = ask_run(r, s, "admit a node");
    if (rc == PERCHE_OK)
        rc = chain_key(r, site, e->public_key);
    if (rc != PERCHE_OK)
        return rc;
    return back ? peer_again(r, site) : peer_anew(r, site);
}

static enum perche_rc welcome(struct replica *r, const char *site, struct outcome *o)
{
    struct perche_enrol_reply *reply = &o->message.u.enrol_reply;
    sqlite3_stmt *s = ask(r, "SELECT code, name FROM perche_member WHERE site = ?1");

    ask_bind_text(s, 1, site);
    if (ask_row(r, s, "look up a member")) {
        o->message.op = PERCHE_OP_ENROL;
        o->message.reply = true;
        reply->site = message_text(&o->message, site);
        reply->code = message_text(&o->message, ask_text(s, 0));
        reply->name = message_text(&o->message, ask_text(s, 1));
        if (reply->site == NULL || reply->code == NULL || reply->name == NULL)
            (void)fail(r, PERCHE_NOMEM, "no memory for an answer");
    }
    sqlite3_finalize(s);
    return r->fail;
}

enum perche_rc enrol(struct replica *r, const struct work *w, struct outcome *o)
{
    const struct perche_enrol *e = &w->message.u.enrol;
    uint8_t hash[32], known[32] = {0};
    char site[PERCHE_ID_BYTES_MAX] = "";
    bool found, used, expired, same_key, revoked, left, back;
    sqlite3_stmt *s;
    enum perche_rc rc;

    (void)crypto_generichash(hash, sizeof hash, e->secret, sizeof e->secret, NULL,
                             0); /* fails for bad lengths only */
    s = ask(
        r,
        "SELECT i.secret_hash, i.site, i.used_ms IS NOT NULL, i.expires_ms <= ?2, i.public_key IS ?3 AND m.public_key IS ?3,"
        " m.revoked_ms IS NOT NULL, m.left_ms IS NOT NULL, m.public_key IS ?3 FROM perche_invitation i JOIN perche_member m ON m.site = i.site WHERE i.id = ?1");
    ask_bind_bytes(s, 1, (struct perche_bytes){e->invitation, 16});
    ask_bind_bytes(s, 3, (struct perche_bytes){e->public_key, 32});
    if (s != NULL)
        sqlite3_bind_int64(s, 2, (sqlite3_int64)w->now_ms);
    found = ask_row(r, s, "look up an invitation") && sqlite3_column_bytes(s, 0) == sizeof known;
    used = expired = same_key = revoked = left = back = false;
    if (found) {
        memcpy(known, sqlite3_column_blob(s, 0), sizeof known);
        (void)snprintf(site, sizeof site, "%s", ask_text(s, 1));
        used = sqlite3_column_int(s, 2) != 0;
        expired = sqlite3_column_int(s, 3) != 0;
        same_key = sqlite3_column_int(s, 4) != 0;
        revoked = sqlite3_column_int(s, 5) != 0;
        left = sqlite3_column_int(s, 6) != 0;
        back = sqlite3_column_int(s, 7) != 0;
    }
    sqlite3_finalize(s);
    if (r->fail != PERCHE_OK)
        return r->fail;
    /* An id without its secret is answered like one that is not known, after the same time. */
    found = sodium_memcmp(hash, known, sizeof hash) == 0 && found;
    if (!found) {
        no(o, PERCHE_OP_ENROL, PERCHE_NO_INVITATION_UNKNOWN, "the hub knows no such invitation");
        return PERCHE_OK;
    }
    if (used && same_key && !revoked && !left) /* the answer was lost: here it is again */
        return welcome(r, site, o);
    if (used && same_key) {
        no(o, PERCHE_OP_ENROL, revoked ? PERCHE_NO_REVOKED : PERCHE_NO_LEFT,
           revoked ? "this site was revoked" : "this site has left since: ask for a new invitation");
        return PERCHE_OK;
    }
    if (used) {
        no(o, PERCHE_OP_ENROL, PERCHE_NO_INVITATION_USED,
           "another node has used this invitation: ask for a new one");
        return PERCHE_OK;
    }
    if (expired) {
        no(o, PERCHE_OP_ENROL, PERCHE_NO_INVITATION_EXPIRED, "this invitation has expired: ask for a new one");
        return PERCHE_OK;
    }
    rc = admit(r, e, site, back);
    return rc == PERCHE_OK ? welcome(r, site, o) : rc;
}

/* The site has sent all that it wrote: it is a member no longer, and holds nothing back. What it had stays on record for
 * the day it comes back. Session and position are looked at again here: both may have moved since it asked. */
enum perche_rc leave(struct replica *r, const struct work *w, struct outcome *o)
{
    const struct perche_leave *l = &w->message.u.leave;
    uint32_t site = name_number(r, w->site);
    struct peer p;
    sqlite3_stmt *s;
    enum perche_rc rc = site == 0 ? r->fail : peer_load(r, site, &p);

    if (rc != PERCHE_OK)
        return rc;
    if (!p.known || p.session != w->session)
        return fail(r, PERCHE_AUTH, "the session has ended");
    if (p.have != l->acked) {
        no(o, PERCHE_OP_LEAVE, PERCHE_NO_POSITION, "the hub does not have all that this site has sent");
        o->message.u.no.have = p.have;
        return PERCHE_OK;
    }
    if (l->scan >= p.scan && l->full >= p.full) {
        p.full = l->full;
        p.scan = l->scan;
        rc = peer_done(r, site, &p, l->done);
    }
    p.session = 0;
    if (rc == PERCHE_OK)
        rc = peer_store(r, site, &p);
    if (rc != PERCHE_OK)
        return rc;
    s = ask(r, "UPDATE perche_peer SET pending = 0, recovery = 0, contact_ms = ?2 WHERE site = ?1");
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, site);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)w->now_ms);
    }
    rc = ask_run(r, s, "end a membership");
    if (rc != PERCHE_OK)
        return rc;
    s = ask(r, "UPDATE perche_member SET left_ms = ?2 WHERE site = ?1");
    ask_bind_text(s, 1, w->site);
    if (s != NULL)
        sqlite3_bind_int64(s, 2, (sqlite3_int64)w->now_ms);
    rc = ask_run(r, s, "end a membership");
    o->message.op = PERCHE_OP_LEAVE;
    o->message.reply = true;
    o->message.u.leave_reply.clock_ms = w->now_ms;
    return rc;
}

enum perche_rc peer_note(struct replica *r, const struct work *w, struct outcome *o)
{
    uint32_t site = name_number(r, w->site);
    struct peer p;
    sqlite3_stmt *s;
    enum perche_rc rc = site == 0 ? r->fail : peer_load(r, site, &p);

    (void)o;
    if (rc != PERCHE_OK || !p.known)
        return rc;
    if (w->session != 0 && w->session != p.session)
        return PERCHE_OK; /* of a session that has ended meanwhile */
    if (w->session != 0 && w->scan >= p.scan && w->full >= p.full) {
        p.full = w->full;
        p.scan = w->scan;
        rc = peer_done(r, site, &p, w->done);
        if (rc == PERCHE_OK)
            rc = peer_store(r, site, &p);
        if (rc != PERCHE_OK)
            return rc;
    }
    s = ask(
        r,
        "UPDATE perche_peer SET contact_ms = max(contact_ms, ?2), pending = ?3, proven_ms = max(proven_ms, ?4), offset_ms = ?5,"
        " returns = CASE WHEN ?7 AND ?4 > proven_ms THEN 0 WHEN retired_ms <> 0 AND scan < ?6 THEN max(returns, 1) ELSE returns END,"
        " returns_stamp = CASE WHEN returns = 0 THEN stamp ELSE returns_stamp END, retired_ms = 0"
        " WHERE site = ?1"); /* heard of: it is active; proven equal in this session, not in one before it came back: it has returned */
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, site);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)w->now_ms);
        sqlite3_bind_int64(s, 3, (sqlite3_int64)w->pending);
        sqlite3_bind_int64(s, 4, (sqlite3_int64)w->proven_ms);
        sqlite3_bind_int64(s, 5, w->offset_ms);
        sqlite3_bind_int64(s, 6, (sqlite3_int64)r->node.floor);
        sqlite3_bind_int(s, 7, w->proven_now);
    }
    return ask_run(r, s, "note what a site said");
}

/* ---- invite ------------------------------------------------------------------------------- */

struct site {
    char id[PERCHE_ID_BYTES_MAX], code[PERCHE_NAME_BYTES_MAX], name[PERCHE_NAME_BYTES_MAX],
        kind[PERCHE_NAME_BYTES_MAX];
};

/* NAME in capitals, cut to 8 characters (of UTF-8; only ASCII has its capitals here). */
static void code_of(const char *name, char code[PERCHE_NAME_BYTES_MAX])
{
    size_t n = 0;
    int characters = 0;

    for (; name[n] != '\0'; n++) {
        if (((unsigned char)name[n] & 0xc0) != 0x80 && characters++ == CODE_CHARACTERS)
            break;
        code[n] = (char)(name[n] >= 'a' && name[n] <= 'z' ? name[n] - 32 : name[n]);
    }
    while (n > 0 && code[n - 1] == ' ')
        n--;
    code[n] = '\0';
}

static enum perche_rc site_rows(struct replica *r)
{
    struct table *t = registry_table(r, "site");

    if (t == NULL || !t->present)
        return fail(r, PERCHE_STATE, "this file has no table of sites");
    return harvest_all(r); /* what programs wrote comes before */
}

static enum perche_rc called_alike(struct replica *r, const char *text, const char *one, const char *other)
{
    return fail(r, PERCHE_USAGE, "two sites are called %s: say which by its code, %s or %s", text, one, other);
}

/* A name stands in lists and messages: on one line, and steering no terminal. */
static enum perche_rc check_name(struct replica *r, const char *what, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
        if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) || (*p == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)))
            return fail(r, PERCHE_USAGE, "the %s has a line break or another control character: write it without", what);
    return PERCHE_OK;
}

/* The site whose code or name it is; found = false when there is none. */
static enum perche_rc site_find(struct replica *r, const char *text, bool by_code_only,
                                struct site *site, bool *found)
{
    sqlite3_stmt *s = ask(
        r,
        "SELECT id, code, name, kind FROM site WHERE code = ?1 OR (name = ?1 AND ?2) ORDER BY code = ?1 DESC, id LIMIT 2");

    ask_bind_text(s, 1, text);
    if (s != NULL)
        sqlite3_bind_int(s, 2, !by_code_only);
    *found = ask_row(r, s, "look up a site");
    if (*found) {
        bool code;

        (void)snprintf(site->id, sizeof site->id, "%s", ask_text(s, 0));
        (void)snprintf(site->code, sizeof site->code, "%s", ask_text(s, 1));
        (void)snprintf(site->name, sizeof site->name, "%s", ask_text(s, 2));
        (void)snprintf(site->kind, sizeof site->kind, "%s", ask_text(s, 3));
        code = strcmp(site->code, text) == 0;
        if (ask_row(r, s, "look up a site") && (!code || strcmp(ask_text(s, 1), text) == 0))
            (void)called_alike(r, text, site->code, ask_text(s, 1));
    }
    sqlite3_finalize(s);
    return r->fail;
}

static enum perche_rc site_make(struct replica *r, const struct site *site)
{
    sqlite3_stmt *s;
    enum perche_rc rc;

    if (strcmp(site->kind, "HUB") == 0)
        return fail(r, PERCHE_USAGE, "a hub is not invited");
    if (ask_number(r,
                   "SELECT EXISTS (SELECT 1 FROM code_list WHERE list = 'site_kind') AND NOT EXISTS"
                   " (SELECT 1 FROM code_list WHERE list = 'site_kind' AND code = ?2) AND ?1",
                   1, site->kind))
        return fail(r, PERCHE_USAGE,
                    "%s is no kind of site: see the codes of site_kind in code_list", site->kind);
    if (ask_number(r, "SELECT EXISTS (SELECT 1 FROM site WHERE code = ?2) AND ?1", 1, site->code))
        return fail(r, PERCHE_USAGE, "another site has the code %s: give one", site->code);
    if (r->fail != PERCHE_OK)
        return r->fail;
    s = ask(
        r,
        "INSERT INTO site (id, network_id, code, name, kind, status) VALUES (?1,"
        " coalesce((SELECT network_id FROM site WHERE id = (SELECT site FROM perche_node)), (SELECT min(id) FROM network)), ?2, ?3, ?4, 'OPEN')");
    ask_bind_text(s, 1, site->id);
    ask_bind_text(s, 2, site->code);
    ask_bind_text(s, 3, site->name);
    ask_bind_text(s, 4, site->kind);
    rc = ask_run(r, s, "make a site");
    return rc == PERCHE_OK ? harvest_all(r) : rc;
}

static bool had_node(struct replica *r, const char *site)
{
    return ask_number(r, "SELECT EXISTS (SELECT 1 FROM perche_member WHERE site = ?2 AND public_key IS NOT NULL) AND ?1", 1, site) != 0;
}

/* The site was invited by its name after this hub was put back to before it knew the site, and a row was made for it under
 * another id, as which nobody has joined. What names that row names the site itself now. */
static enum perche_rc site_becomes(struct replica *r, struct site *site, const char *id)
{
    static const char *const ends[] = {
        "DELETE FROM perche_invitation WHERE site = ?1",
        "DELETE FROM perche_member WHERE site = ?1",
        "DELETE FROM site WHERE id = ?1", /* captured: it goes everywhere */
    };
    char old[PERCHE_ID_BYTES_MAX];
    enum perche_rc rc;

    memcpy(old, site->id, sizeof old);
    (void)snprintf(site->id, sizeof site->id, "%s", id);
    if (strcmp(old, r->node.site) == 0 || had_node(r, old))
        return r->fail != PERCHE_OK ? r->fail
                                    : fail(r, PERCHE_USAGE, "%s is another site here, %s, with a machine of its own", site->name, old);
    rc = site_rename(r, old, id);
    for (size_t i = 0; rc == PERCHE_OK && i < sizeof ends / sizeof ends[0]; i++) {
        sqlite3_stmt *s = ask(r, ends[i]);

        ask_bind_text(s, 1, old);
        rc = ask_run(r, s, "end a site that was never there");
    }
    return rc == PERCHE_OK ? site_make(r, site) : rc;
}

/* The argument "site": the id that the site has had, and tells. */
static enum perche_rc invited_as(struct replica *r, const char *id, struct site *site, bool found, bool *made)
{
    bool there;

    if (strchr(id, ',') != NULL || strcmp(id, "*") == 0)
        return fail(r, PERCHE_USAGE, "%s is no id of a site: its perche status says it", id);
    *made = true;
    if (found && strcmp(site->id, id) == 0)
        return PERCHE_OK;
    there = ask_number(r, "SELECT EXISTS (SELECT 1 FROM site WHERE id = ?2) AND ?1", 1, id) != 0;
    if (r->fail == PERCHE_OK && there)
        return fail(r, PERCHE_USAGE, "the site %s has another name or code here", id);
    if (r->fail == PERCHE_OK && found)
        return site_becomes(r, site, id);
    *made = false;
    return r->fail;
}

/* A code that no site has makes a new one, whose name has to be new as well: most likely somebody means the site that has the name. */
static enum perche_rc name_is_free(struct replica *r, const char *name)
{
    sqlite3_stmt *s = ask(r, "SELECT code, name FROM site WHERE name = ?1 OR code = ?1 ORDER BY name = ?1 DESC, id LIMIT 1");

    ask_bind_text(s, 1, name);
    if (ask_row(r, s, "look up a site"))
        (void)fail(r, PERCHE_USAGE, "there is a site %s already, its code is %s, and no other was made: \"perche invite %s\" prints a new line for that one"
                                    " (add --site ID when it has an id that this hub does not know); another site needs another name",
                   ask_text(s, 1), ask_text(s, 0), ask_text(s, 0));
    sqlite3_finalize(s);
    return r->fail;
}

/* Finds or makes the site that the arguments speak of. */
static enum perche_rc invited_site(struct replica *r, struct args *a, struct site *site)
{
    char name[PERCHE_NAME_BYTES_MAX], code[PERCHE_NAME_BYTES_MAX], kind[PERCHE_NAME_BYTES_MAX], id[PERCHE_ID_BYTES_MAX];
    bool found = false, made = false;
    enum perche_rc rc = args_need(r, a, "name", name, sizeof name);

    if (rc == PERCHE_OK)
        rc = args_text(r, a, "code", code, sizeof code);
    if (rc == PERCHE_OK)
        rc = args_text(r, a, "kind", kind, sizeof kind);
    if (rc == PERCHE_OK)
        rc = args_text(r, a, "site", id, sizeof id);
    if (rc == PERCHE_OK)
        rc = check_name(r, "name", name);
    if (rc == PERCHE_OK)
        rc = check_name(r, "code", code);
    if (rc == PERCHE_OK)
        rc = site_rows(r);
    if (rc == PERCHE_OK)
        rc = *code != '\0' ? site_find(r, code, true, site, &found)
                           : site_find(r, name, false, site, &found);
    if (rc != PERCHE_OK)
        return rc;
    if (found && *code != '\0' && strcmp(site->name, name) != 0)
        return fail(r, PERCHE_USAGE, "the code %s is that of %s", code, site->name);
    if (*id != '\0')
        rc = invited_as(r, id, site, found, &made);
    if (rc != PERCHE_OK || made || (found && *id == '\0'))
        return rc;
    if (!found && *code != '\0' && name_is_free(r, name) != PERCHE_OK)
        return r->fail;
    random_uuid(r, r->now_ms, site->id);
    if (*id != '\0')
        (void)snprintf(site->id, sizeof site->id, "%s", id);
    (void)snprintf(site->name, sizeof site->name, "%s", name);
    (void)snprintf(site->kind, sizeof site->kind, "%s", *kind != '\0' ? kind : "SCHOOL");
    if (*code != '\0')
        (void)snprintf(site->code, sizeof site->code, "%s", code);
    else
        code_of(name, site->code);
    return site_make(r, site);
}

static enum perche_rc member_put(struct replica *r, const struct site *site)
{
    sqlite3_stmt *s = ask(
        r,
        "INSERT INTO perche_member (site, name, code, invited_ms) VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT DO UPDATE SET name = excluded.name, code = excluded.code, invited_ms = excluded.invited_ms");
    enum perche_rc rc;

    ask_bind_text(s, 1, site->id);
    ask_bind_text(s, 2, site->name);
    ask_bind_text(s, 3, site->code);
    if (s != NULL)
        sqlite3_bind_int64(s, 4, (sqlite3_int64)r->now_ms);
    rc = ask_run(r, s, "note a member");
    if (rc != PERCHE_OK)
        return rc;
    s = ask(
        r,
        "DELETE FROM perche_invitation WHERE site = ?1 AND used_ms IS NULL"); /* one open line for each site */
    ask_bind_text(s, 1, site->id);
    return ask_run(r, s, "end older invitations");
}

/* BLAKE2b of the work's random bytes, keyed with what it is for. */
static void derive(const struct work *w, const char *purpose, uint8_t *out, size_t n)
{
    (void)crypto_generichash(out, n, w->random, sizeof w->random, (const uint8_t *)purpose,
                             strlen(purpose)); /* fails for bad lengths only */
}

enum perche_rc command_invite(struct replica *r, const struct work *w, struct args *a,
                              struct json *j)
{
    struct site site = {0};
    uint8_t id[16], secret[32], hash[32];
    uint64_t expires_ms;
    sqlite3_stmt *s;
    enum perche_rc rc = invited_site(r, a, &site);
    bool withdrawn = false;

    if (rc == PERCHE_OK && strcmp(site.id, r->node.site) == 0)
        rc = fail(r, PERCHE_REFUSED, "%s is this hub itself", site.name);
    if (rc == PERCHE_OK && !args_true(r, a, "replace") &&
        ask_number(
            r,
            "SELECT EXISTS (SELECT 1 FROM perche_member WHERE site = ?2 AND public_key IS NOT NULL AND revoked_ms IS NULL AND left_ms IS NULL) AND ?1",
            1, site.id))
        rc = fail(r, PERCHE_REFUSED,
                  "%s has a living node: say --replace if the new one takes its place", site.name);
    expires_ms = (uint64_t)args_number(r, a, "expires_ms", (int64_t)(w->now_ms + INVITATION_MS));
    if (rc == PERCHE_OK && expires_ms <= w->now_ms)
        rc = fail(r, PERCHE_USAGE, "the invitation would have expired already");
    if (rc == PERCHE_OK)
        withdrawn = ask_number(r, "SELECT EXISTS (SELECT 1 FROM perche_invitation WHERE site = ?2 AND used_ms IS NULL AND expires_ms > ?1)",
                               (int64_t)w->now_ms, site.id) != 0;
    if (rc == PERCHE_OK)
        rc = member_put(r, &site);
    if (rc != PERCHE_OK)
        return rc;
    derive(w, "perche invitation id", id, sizeof id);
    derive(w, "perche invitation secret", secret, sizeof secret);
    (void)crypto_generichash(hash, sizeof hash, secret, sizeof secret, NULL, 0);
    s = ask(
        r,
        "INSERT INTO perche_invitation (id, secret_hash, site, expires_ms) VALUES (?1, ?2, ?3, ?4)");
    ask_bind_bytes(s, 1, (struct perche_bytes){id, sizeof id});
    ask_bind_bytes(s, 2, (struct perche_bytes){hash, sizeof hash});
    ask_bind_text(s, 3, site.id);
    if (s != NULL)
        sqlite3_bind_int64(s, 4, (sqlite3_int64)expires_ms);
    rc = ask_run(r, s, "write an invitation");
    out_key(j, "site");
    out_text(j, site.id);
    out_key(j, "name");
    out_text(j, site.name);
    out_key(j, "code");
    out_text(j, site.code);
    out_key(j, "kind");
    out_text(j, site.kind);
    out_key(j, "withdrawn");
    out_bool(j, withdrawn);
    out_key(j, "invitation");
    out_hex(j, id, sizeof id);
    out_key(j, "secret");
    out_hex(j, secret, sizeof secret);
    out_key(j, "expires_ms");
    out_int(j, (int64_t)expires_ms);
    out_key(j, "expires");
    out_time(j, expires_ms);
    sodium_memzero(secret, sizeof secret);
    return rc;
}

/* ---- revoke ---------------------------------------------------------------------------------- */

/* The member that the argument "site" names by its id, code or name. */
static enum perche_rc member_find(struct replica *r, struct args *a, struct site *site)
{
    char text[PERCHE_NAME_BYTES_MAX];
    sqlite3_stmt *s;
    enum perche_rc rc = args_need(r, a, "site", text, sizeof text);

    if (rc != PERCHE_OK)
        return rc;
    s = ask(r,
            "SELECT site, code, name FROM perche_member WHERE site = ?1 OR code = ?1 OR name = ?1"
            " ORDER BY site = ?1 DESC, code = ?1 DESC LIMIT 2");
    ask_bind_text(s, 1, text);
    if (ask_row(r, s, "look up a member")) {
        (void)snprintf(site->id, sizeof site->id, "%s", ask_text(s, 0));
        (void)snprintf(site->code, sizeof site->code, "%s", ask_text(s, 1));
        (void)snprintf(site->name, sizeof site->name, "%s", ask_text(s, 2));
        if (strcmp(site->id, text) != 0 && strcmp(site->code, text) != 0 &&
            ask_row(r, s, "look up a member"))
            (void)called_alike(r, text, site->code, ask_text(s, 1));
    } else if (r->fail == PERCHE_OK) {
        (void)fail(r, PERCHE_NOT_FOUND, "no site of this name, code or id was ever invited");
    }
    sqlite3_finalize(s);
    return r->fail;
}

/* "revoked": of one site, or NULL for all of them. */
static enum perche_rc write_revoked(struct replica *r, struct json *j, const char *site)
{
    sqlite3_stmt *s = ask(r, "SELECT json_group_array(json_array(site, lower(hex(public_key)), revoked_ms)) FROM"
                             " (SELECT * FROM perche_member WHERE revoked_ms > 0 AND length(public_key) = 32 AND (?1 IS NULL OR site = ?1) ORDER BY site)");

    ask_bind_text(s, 1, site);
    out_key(j, "revoked");
    out_raw(j, ask_row(r, s, "list the revoked sites") ? ask_text(s, 0) : "[]");
    sqlite3_finalize(s);
    return r->fail;
}

enum perche_rc command_revocations(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct arg known = args_find(r, a, "known");
    sqlite3_stmt *s;
    char *list;
    enum perche_rc rc;

    (void)w;
    list = strdup(known.kind == 'a' ? ask_text(a->stmt, 1) : "[]");
    if (list == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for the revoked sites");
    s = ask(r, "UPDATE perche_member SET revoked_ms = k.at FROM (SELECT value ->> 0 AS site, value ->> 1 AS key, max(value ->> 2) AS at"
               " FROM json_each(?1) WHERE type = 'array' GROUP BY 1, 2) k WHERE k.site = perche_member.site AND k.key = lower(hex(public_key))"
               " AND coalesce(revoked_ms, 0) = 0 AND joined_ms <= k.at");
    ask_bind_text(s, 1, list);
    rc = ask_run(r, s, "revoke again");
    free(list);
    out_key(j, "again");
    out_int(j, rc == PERCHE_OK ? sqlite3_changes(r->db) : 0);
    if (rc == PERCHE_OK) /* nor does a hub that was put back wait for what they had */
        rc = exec(r, "UPDATE perche_peer SET session = 0, recovery = 0 WHERE site IN (SELECT n.num FROM perche_name n JOIN perche_member m"
                     " ON m.site = n.text WHERE m.revoked_ms > 0)");
    return rc == PERCHE_OK ? write_revoked(r, j, NULL) : rc;
}

enum perche_rc command_revoke(struct replica *r, const struct work *w, struct args *a,
                              struct json *j)
{
    static const char *const ends[] = {
        "UPDATE perche_member SET revoked_ms = coalesce(revoked_ms, ?2) WHERE site = ?1",
        "DELETE FROM perche_invitation WHERE site = ?1 AND used_ms IS NULL AND ?2",
        /* nor does a hub that was put back wait for what it had */
        "UPDATE perche_peer SET session = 0, recovery = 0 WHERE site = (SELECT num FROM perche_name WHERE text = ?1) AND ?2",
    };
    struct site site = {0};
    sqlite3_stmt *s;
    enum perche_rc rc = member_find(r, a, &site);

    if (rc != PERCHE_OK)
        return rc;
    for (size_t i = 0; rc == PERCHE_OK && i < sizeof ends / sizeof ends[0]; i++) {
        s = ask(r, ends[i]);
        ask_bind_text(s, 1, site.id);
        if (s != NULL)
            sqlite3_bind_int64(s, 2, (sqlite3_int64)w->now_ms);
        rc = ask_run(r, s, "revoke a site");
    }
    out_key(j, "site");
    out_text(j, site.id);
    out_key(j, "name");
    out_text(j, site.name);
    out_key(j, "code");
    out_text(j, site.code);
    out_key(j, "revoked_at");
    out_time(j, w->now_ms);
    return rc == PERCHE_OK ? write_revoked(r, j, site.id) : rc;
}

/* ---- retire ----------------------------------------------------------------------------------- */

/* A site that stays silent is waited for no longer: what was deleted since may be forgotten (floor.h). It ends when the site comes. */
enum perche_rc command_retire(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct site site = {0};
    uint64_t contact_ms;
    enum perche_rc rc = member_find(r, a, &site);

    if (rc != PERCHE_OK)
        return rc;
    contact_ms = (uint64_t)ask_number(r, "SELECT contact_ms FROM perche_peer WHERE site = (SELECT num FROM perche_name WHERE text = ?2) AND ?1", 1, site.id);
    if (r->fail == PERCHE_OK && contact_ms + HEARD_MS > w->now_ms)
        return fail(r, PERCHE_STATE, "%s was heard of less than an hour ago: only a site that stays silent is retired", site.name);
    if (r->fail == PERCHE_OK && floor_retire(r, name_number(r, site.id)) == PERCHE_NOT_FOUND)
        return fail(r, PERCHE_STATE, "%s is retired already, was revoked, has left, or has never joined", site.name);
    out_key(j, "site");
    out_text(j, site.id);
    out_key(j, "name");
    out_text(j, site.name);
    out_key(j, "code");
    out_text(j, site.code);
    out_key(j, "retired_at");
    out_time(j, w->now_ms);
    return r->fail;
}

/* ---- recover ---------------------------------------------------------------------------------- */

/* What sites that stay away could still show is waited for no longer. One that has come is in the middle of it, perhaps since a
 * moment ago: its next batch would be refused as that of any other site, so it goes on. When only such are left it is they
 * who stay away: their sessions end, so that they have to say once more that this hub lost something before they send. */
static enum perche_rc recovery_end(struct replica *r, struct json *j)
{
    sqlite3_stmt *s = ask(r, "UPDATE perche_peer SET recovery = 0 WHERE recovery = 1 AND life <> (SELECT life FROM perche_node)");
    enum perche_rc rc = ask_run(r, s, "end a recovery");

    if (rc == PERCHE_OK && sqlite3_changes(r->db) == 0) {
        s = ask(r, "UPDATE perche_peer SET recovery = 0, session = 0 WHERE recovery = 1");
        rc = ask_run(r, s, "end a recovery");
        if (rc == PERCHE_OK && sqlite3_changes(r->db) == 0)
            rc = fail(r, PERCHE_STATE, "this hub is in no recovery that could be ended");
    }
    out_key(j, "recovery");
    out_text(j, rc == PERCHE_OK && recovering(r) ? "shows" : "ended");
    return rc != PERCHE_OK ? rc : r->fail;
}

/* {"begin": true}: sites that say that this hub lost something are believed. {"now": true}: what those that stay away could
 * still show is waited for no longer. {"site": ...}: one of its two
 * machines was switched off; whichever comes next goes on, as a copy that was put back. */
enum perche_rc command_recover(struct replica *r, const struct work *w, struct args *a,
                               struct json *j)
{
    struct site site = {0};
    bool now = args_true(r, a, "now"), begin = args_true(r, a, "begin");
    sqlite3_stmt *s;
    enum perche_rc rc = now || begin ? PERCHE_OK : member_find(r, a, &site);

    (void)w;
    if (rc != PERCHE_OK)
        return rc;
    if (begin) { /* what few sites say is so, says a person; said once more, or too late, it changes nothing */
        bool claimed = ask_number(r, "SELECT EXISTS (SELECT 1 FROM perche_peer WHERE recovery = 2) AND ?1 AND ?2 IS NULL", 1, NULL) != 0;

        if (r->fail == PERCHE_OK && !claimed && !recovering(r))
            return fail(r, PERCHE_STATE, "no site says that this hub has lost anything");
        out_key(j, "recovery");
        out_text(j, "begun");
        return r->fail != PERCHE_OK || !claimed ? r->fail : recovery_begin(r);
    }
    if (now)
        return recovery_end(r, j);
    s = ask(r, "UPDATE perche_peer SET held_ms = 0, held_address = '' WHERE held_ms <> 0 AND site ="
               " (SELECT num FROM perche_name WHERE text = ?1)");
    ask_bind_text(s, 1, site.id);
    rc = ask_run(r, s, "end what is held");
    if (rc == PERCHE_OK && sqlite3_changes(r->db) == 0)
        rc = fail(r, PERCHE_STATE, "%s is not held", site.name);
    if (rc == PERCHE_OK) { /* whoever comes is an older copy now, and no second machine */
        s = ask(r, "DELETE FROM perche_peer_epoch WHERE site = (SELECT num FROM perche_name WHERE text = ?1)");
        ask_bind_text(s, 1, site.id);
        rc = ask_run(r, s, "forget superseded epochs");
    }
    out_key(j, "site");
    out_text(j, site.id);
    out_key(j, "name");
    out_text(j, site.name);
    return rc;
}
