/* The line that a hub's operator sends to a new site, by mail or on paper: "perche1:" and
 * base64url of a msgpack array and a checksum. The checksum tells a line that was altered
 * or cut on its way from one that was never valid; it is no signature. */
#include <sodium.h>
#include <string.h>

#include "buf.h"
#include "shape.h"

#define PREFIX     "perche1:"
#define PREFIX_ANY "perche"

enum {
    CHECKSUM_BYTES = 8,
    URL_BYTES_MAX = 512,
    CERTIFICATE_BYTES_MAX = 8192,
    LINE_BYTES_MAX = 16384, /* of base64; beyond it nobody's invitation */
};

static const struct shape invitation_shape =
    SHAPE(perche_invitation, TEXT(perche_invitation, url, 1, URL_BYTES_MAX),
          TEXT(perche_invitation, hub, 1, PERCHE_ID_BYTES_MAX),
          BYTES(perche_invitation, certificate, 0, CERTIFICATE_BYTES_MAX),
          FIXED(perche_invitation, hub_key), FIXED(perche_invitation, id),
          FIXED(perche_invitation, secret), POSITION(perche_invitation, expires_ms),
          TEXT(perche_invitation, site, 1, PERCHE_ID_BYTES_MAX),
          TEXT(perche_invitation, name, 0, PERCHE_NAME_BYTES_MAX));

/* The first bytes of BLAKE2b-128; its arguments are right, so it cannot fail. */
static void checksum(const uint8_t *p, size_t n, uint8_t out[CHECKSUM_BYTES])
{
    uint8_t sum[crypto_generichash_BYTES_MIN];

    (void)crypto_generichash(sum, sizeof(sum), p, n, NULL, 0);
    memcpy(out, sum, CHECKSUM_BYTES);
}

enum perche_rc perche_invitation_format(const struct perche_invitation *i, struct perche_buf *out,
                                        struct perche_err *err)
{
    const int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    struct perche_buf body = {0};
    uint8_t sum[CHECKSUM_BYTES], *to;
    struct packer k;
    size_t text_n;

    packer_init(&k, &body);
    pack_shape(&k, &invitation_shape, i);
    if (k.rc == PERCHE_OK) {
        checksum(body.p, body.n, sum);
        if (!buf_append(&body, sum, sizeof(sum)))
            k.rc = PERCHE_NOMEM;
    }
    if (k.rc == PERCHE_OK) {
        text_n = sodium_base64_encoded_len(body.n, variant); /* with its zero byte */
        to = buf_room(out, strlen(PREFIX) + text_n);
        if (to == NULL) {
            k.rc = PERCHE_NOMEM;
        } else {
            memcpy(to, PREFIX, strlen(PREFIX));
            (void)sodium_bin2base64((char *)to + strlen(PREFIX), text_n, body.p, body.n, variant);
            out->n += strlen(PREFIX) + text_n - 1; /* the zero byte stays behind the end */
        }
    }
    if (body.p != NULL)
        sodium_memzero(body.p, body.n);
    perche_buf_free(&body);
    if (k.rc == PERCHE_NOMEM)
        return perche_err_set(err, k.rc, "There is no memory to write the invitation.");
    if (k.rc != PERCHE_OK)
        return perche_err_set(err, k.rc, "The invitation has a field out of its range: %s.",
                              k.wrong);
    return PERCHE_OK;
}

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

enum perche_rc perche_invitation_parse(const char *line, struct perche_invitation *out,
                                       struct perche_arena **arena, struct perche_err *err)
{
    struct perche_invitation got;
    struct unpacker u = {.wrong = ""};
    uint8_t body[LINE_BYTES_MAX], sum[CHECKSUM_BYTES];
    const char *end;
    size_t n;
    int rc;

    line = skip_blanks(line);
    if (strncmp(line, PREFIX, strlen(PREFIX)) != 0) {
        size_t digits = strncmp(line, PREFIX_ANY, strlen(PREFIX_ANY)) == 0
                            ? strspn(line + strlen(PREFIX_ANY), "0123456789")
                            : 0;

        if (digits > 0 && line[strlen(PREFIX_ANY) + digits] == ':')
            return perche_err_set(
                err, PERCHE_NEWER,
                "The invitation is of a version that this program does not know: it begins with %.*s, not with " PREFIX,
                (int)(strlen(PREFIX_ANY) + (digits < 8 ? digits : 8)), line);
        return perche_err_set(err, PERCHE_CORRUPT,
                              "This is no invitation: it does not begin with " PREFIX);
    }
    line += strlen(PREFIX);
    if (strlen(line) > LINE_BYTES_MAX)
        return perche_err_set(err, PERCHE_CORRUPT, "The invitation is too long.");
    /* Mail programs break long lines: blanks within are no fault. */
    rc = sodium_base642bin(body, sizeof(body), line, strlen(line), " \t\r\n", &n, &end,
                           sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    if (rc != 0 || *skip_blanks(end) != '\0') {
        sodium_memzero(body, sizeof(body));
        return perche_err_set(
            err, PERCHE_CORRUPT,
            "The invitation was altered or cut: a character in it cannot be one.");
    }
    if (n <= CHECKSUM_BYTES) {
        sodium_memzero(body, sizeof(body));
        return perche_err_set(err, PERCHE_CORRUPT, "The invitation was cut: it ends early.");
    }
    n -= CHECKSUM_BYTES;
    checksum(body, n, sum);
    if (memcmp(sum, body + n, CHECKSUM_BYTES) != 0) {
        sodium_memzero(body, sizeof(body));
        return perche_err_set(err, PERCHE_CORRUPT,
                              "The invitation was altered or cut: its checksum is wrong.");
    }
    memset(&got, 0, sizeof(got));
    u.p = body;
    u.end = body + n;
    u.arena = arena_new();
    if (u.arena == NULL)
        unpack_fail(&u, PERCHE_NOMEM, "out of memory");
    else
        unpack_shape(&u, &invitation_shape, &got);
    if (u.rc == PERCHE_OK && u.p != u.end)
        unpack_fail(&u, PERCHE_CORRUPT, "bytes follow its end");
    sodium_memzero(body, sizeof(body));
    if (u.rc != PERCHE_OK) {
        perche_arena_free(u.arena);
        return perche_err_set(err, u.rc, "The invitation is whole, but malformed: %s.", u.wrong);
    }
    *out = got;
    *arena = u.arena;
    return PERCHE_OK;
}
