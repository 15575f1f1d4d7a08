/* A hub that was put back without its keys/ has made a new one. What stands in its replica with a right signature of an earlier
 * key of its own is signed by the new one, or could not be believed by anybody who joins from now on: the public keys of its
 * sites, and the migrations that it hands out. Whoever can write the replica alone makes nothing good by this: it is done once,
 * for a key that the hub has on disk and the replica does not know, and each signature is checked first. */
#include "replica/chain.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "replica/ask.h"
#include "replica/command.h"

#define OLD_KEYS_MAX 16

struct old_keys {
    uint32_t count;
    uint8_t keys[OLD_KEYS_MAX][32];
};

static bool signed_by(struct replica *r, const struct old_keys *old, const struct perche_buf *buf, const uint8_t signature[64])
{
    const struct replica_signer *signer = &r->config.signer;

    for (uint32_t i = 0; i < old->count; i++)
        if (signer->verify(signer->ctx, old->keys[i], buf->p, buf->n, signature))
            return true;
    return false;
}

/* false: the key on disk is one that the replica knows, or the first. */
static bool is_new(struct replica *r, struct old_keys *old)
{
    sqlite3_stmt *s = ask(r, "SELECT public_key FROM site_key WHERE site_id = ?1");
    bool known = false;

    ask_bind_text(s, 1, r->node.site);
    while (ask_row(r, s, "look up the hub's keys")) {
        uint8_t key[32];

        if (!hex_parse(ask_text(s, 0), key, sizeof key))
            continue;
        known |= memcmp(key, r->config.signer.public_key, sizeof key) == 0;
        if (old->count < OLD_KEYS_MAX)
            memcpy(old->keys[old->count++], key, sizeof key);
    }
    sqlite3_finalize(s);
    return !known && old->count > 0;
}

/* One key of a site. */
static enum perche_rc sign_key(struct replica *r, const struct old_keys *old, const char *site, const char *key_hex, const char *signature_hex)
{
    struct perche_buf buf = {0};
    uint8_t key[32], signature[64];
    char hex[129], *text = NULL;

    if (!hex_parse(key_hex, key, sizeof key) || !hex_parse(signature_hex, signature, sizeof signature))
        return PERCHE_OK;
    if (perche_site_key_signed(site, key, &buf) != PERCHE_OK)
        return fail(r, PERCHE_NOMEM, "no memory to sign a key");
    if (signed_by(r, old, &buf, signature)) {
        r->config.signer.sign(r->config.signer.ctx, buf.p, buf.n, signature);
        (void)sodium_bin2hex(hex, sizeof hex, signature, sizeof signature);
        text = sqlite3_mprintf("UPDATE site_key SET signature = %Q WHERE site_id = %Q AND public_key = %Q", hex, site, key_hex);
        if (text == NULL)
            (void)fail(r, PERCHE_NOMEM, "no memory to sign a key");
        else
            (void)exec(r, text);
        sqlite3_free(text);
    }
    perche_buf_free(&buf);
    return r->fail;
}

static enum perche_rc sign_keys(struct replica *r, const struct old_keys *old)
{
    char site[PERCHE_ID_BYTES_MAX] = "", key[65] = "", signature[129];
    bool any = true;

    while (any && r->fail == PERCHE_OK) {
        sqlite3_stmt *s = ask(r, "SELECT site_id, public_key, signature FROM site_key WHERE (site_id, public_key) > (?1, ?2)"
                                 " ORDER BY site_id, public_key LIMIT 1");

        ask_bind_text(s, 1, site);
        ask_bind_text(s, 2, key);
        any = ask_row(r, s, "read the sites' keys");
        if (any) {
            (void)snprintf(site, sizeof site, "%s", ask_text(s, 0));
            (void)snprintf(key, sizeof key, "%s", ask_text(s, 1));
            (void)snprintf(signature, sizeof signature, "%s", ask_text(s, 2));
        }
        sqlite3_finalize(s);
        if (any)
            (void)sign_key(r, old, site, key, signature);
    }
    return r->fail;
}

/* Without a signature it waits for one, which the daemon gives it at the start (migration_unsigned). */
static enum perche_rc unsign_migrations(struct replica *r, const struct old_keys *old)
{
    int64_t number = MIGRATION_DISTRIBUTED_FROM - 1;
    bool any = true;

    while (any && r->fail == PERCHE_OK) {
        sqlite3_stmt *s = ask(r, "SELECT number, name, sql, signature FROM perche_migration WHERE number > ?1 ORDER BY number LIMIT 1"), *u;
        struct perche_buf buf = {0};
        bool ours = false;

        if (s != NULL)
            sqlite3_bind_int64(s, 1, number);
        any = ask_row(r, s, "read the migrations");
        if (any) {
            struct perche_migration m = {.number = (uint64_t)sqlite3_column_int64(s, 0), .name = ask_text(s, 1), .sql = ask_text(s, 2)};

            number = (int64_t)m.number;
            if (perche_migration_signed(&m, &buf) != PERCHE_OK)
                (void)fail(r, PERCHE_NOMEM, "no memory to sign a migration");
            else
                ours = sqlite3_column_bytes(s, 3) == 64 && signed_by(r, old, &buf, sqlite3_column_blob(s, 3));
            perche_buf_free(&buf);
        }
        sqlite3_finalize(s);
        u = ours ? ask(r, "UPDATE perche_migration SET signature = NULL WHERE number = ?1") : NULL;
        if (u != NULL)
            sqlite3_bind_int64(u, 1, number);
        if (ours)
            (void)ask_run(r, u, "sign a migration anew");
    }
    return r->fail;
}

enum perche_rc hub_key_renewed(struct replica *r)
{
    struct old_keys old = {0};

    if (r->config.signer.sign == NULL || r->config.signer.verify == NULL || !is_new(r, &old) || r->fail != PERCHE_OK)
        return r->fail;
    return sign_keys(r, &old) == PERCHE_OK ? unsign_migrations(r, &old) : r->fail;
}
