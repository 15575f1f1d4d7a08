/* Entries of the chain (PROTOCOL.md, "The chain"): what is signed, and what it says of values. */
#include <string.h>

#include <sodium.h>

#include "shape.h"

#define FORM "perche-chain-1"

static const struct shape cell_shape =
    SHAPE(perche_chain_cell, TEXT(perche_chain_cell, column, 0, PERCHE_NAME_BYTES_MAX),
          U64(perche_chain_cell, stamp), FIXED(perche_chain_cell, hash));

static const struct shape entry_shape =
    SHAPE(perche_chain_entry, TEXT(perche_chain_entry, form, 1, sizeof(FORM) - 1),
          TEXT(perche_chain_entry, table, 1, PERCHE_NAME_BYTES_MAX), KEY(perche_chain_entry, key, 1),
          TEXT(perche_chain_entry, origin, 1, PERCHE_ID_BYTES_MAX),
          POSITION(perche_chain_entry, epoch), U32(perche_chain_entry, n, 1, UINT32_MAX),
          POSITION(perche_chain_entry, prev_epoch), U32(perche_chain_entry, prev_n, 0, UINT32_MAX),
          FIXED(perche_chain_entry, prev), BOOL(perche_chain_entry, unseen),
          U32(perche_chain_entry, gen, 1, UINT32_MAX),
          LIST(perche_chain_entry, cells, &cell_shape, PERCHE_COLUMNS_MAX + 1));

enum perche_rc perche_chain_encode(const struct perche_chain_entry *e, struct perche_buf *out)
{
    struct perche_chain_entry copy = *e;
    const size_t start = out->n;
    struct packer k;

    copy.form = FORM;
    packer_init(&k, out);
    pack_shape(&k, &entry_shape, &copy);
    if (k.rc != PERCHE_OK)
        out->n = start;
    return k.rc;
}

enum perche_rc perche_chain_decode(struct perche_bytes in, struct perche_chain_entry *e,
                                   struct perche_arena **arena)
{
    struct unpacker u = {.p = in.p, .end = in.p + in.n, .wrong = ""};
    struct perche_chain_entry got;

    memset(&got, 0, sizeof(got));
    u.arena = arena_new();
    if (u.arena == NULL)
        return PERCHE_NOMEM;
    unpack_shape(&u, &entry_shape, &got);
    if (u.rc == PERCHE_OK && (u.p != u.end || strcmp(got.form, FORM) != 0))
        unpack_fail(&u, PERCHE_CORRUPT, "no entry of this form");
    if (u.rc != PERCHE_OK) {
        perche_arena_free(u.arena);
        return u.rc;
    }
    *e = got;
    *arena = u.arena;
    return PERCHE_OK;
}

void perche_chain_id(struct perche_bytes entry, uint8_t id[16])
{
    (void)crypto_generichash(id, 16, entry.p, entry.n, NULL, 0); /* fails for a wrong size alone */
}

/* The salt, one byte for the type, then what the value is: eight bytes of a number, low end first, or the bytes. */
void perche_chain_hash(const uint8_t salt[16], const struct perche_value *v, uint8_t hash[16])
{
    crypto_generichash_state state;
    uint64_t number = 0;
    uint8_t head[16 + 1 + 8];
    size_t n = 17;

    memcpy(head, salt, 16);
    head[16] = (uint8_t)v->type;
    if (v->type == PERCHE_INTEGER)
        number = (uint64_t)v->i;
    else if (v->type == PERCHE_REAL)
        memcpy(&number, &v->r, sizeof(number));
    for (int i = 0; v->type == PERCHE_INTEGER || v->type == PERCHE_REAL; i++) {
        if (i == 8)
            break;
        head[n++] = (uint8_t)(number >> (8 * i));
    }
    (void)crypto_generichash_init(&state, NULL, 0, 16); /* these fail for a wrong size alone */
    (void)crypto_generichash_update(&state, head, n);
    if ((v->type == PERCHE_TEXT || v->type == PERCHE_BLOB) && v->n > 0)
        (void)crypto_generichash_update(&state, v->p, v->n);
    (void)crypto_generichash_final(&state, hash, 16);
}

enum perche_rc perche_site_key_signed(const char *site, const uint8_t public_key[32],
                                      struct perche_buf *out)
{
    const size_t start = out->n;
    struct packer k;

    packer_init(&k, out);
    pack_array(&k, 3);
    pack_text(&k, "perche-site-key-1");
    pack_text(&k, site);
    pack_bytes(&k, public_key, 32);
    if (k.rc != PERCHE_OK)
        out->n = start;
    return k.rc;
}
