#include "net/identity.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "net/file.h"

/* The file is one line of text, so that a person who opens it sees what it is:
 * "perche-node-key-1 " and the 32 bytes of the seed in hex. */
#define FILE_WORD      "perche-node-key-1 "
#define FILE_WORD_LEN  (sizeof(FILE_WORD) - 1)
#define FILE_BYTES_MAX 256u

struct identity {
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    uint8_t *secret; /* crypto_sign_SECRETKEYBYTES, in locked memory where the system lets us */
};

static enum perche_rc seed_read(const char *path, const uint8_t *text, size_t n, uint8_t *seed,
                                struct perche_err *err)
{
    size_t got = 0;
    const char *end = NULL;

    if (n < FILE_WORD_LEN || memcmp(text, FILE_WORD, FILE_WORD_LEN) != 0 ||
        sodium_hex2bin(seed, crypto_sign_SEEDBYTES, (const char *)text + FILE_WORD_LEN,
                       n - FILE_WORD_LEN, "\n", &got, &end) != 0 ||
        got != crypto_sign_SEEDBYTES || end != (const char *)text + n)
        return perche_err_set(err, PERCHE_CORRUPT,
                              "%s is not a node key: restore it from a backup, or move it away and "
                              "let the hub invite this node anew",
                              path);
    return PERCHE_OK;
}

static enum perche_rc seed_make(const char *path, uint8_t *seed, struct perche_err *err)
{
    char text[FILE_WORD_LEN + 2 * crypto_sign_SEEDBYTES + 2] = FILE_WORD;
    enum perche_rc rc;
    size_t n;

    randombytes_buf(seed, crypto_sign_SEEDBYTES);
    sodium_bin2hex(text + FILE_WORD_LEN, sizeof(text) - FILE_WORD_LEN, seed, crypto_sign_SEEDBYTES);
    n = strlen(text);
    text[n++] = '\n';
    rc = file_write(path, 0600, text, n, err);
    sodium_memzero(text, sizeof(text));
    return rc;
}

enum perche_rc identity_load(const char *path, struct identity **out, struct perche_err *err)
{
    struct identity *i = NULL;
    uint8_t seed[crypto_sign_SEEDBYTES];
    uint8_t *text = NULL;
    size_t n = 0;
    struct stat st;
    enum perche_rc rc;

    if (sodium_init() < 0)
        return perche_err_set(err, PERCHE_INTERNAL, "libsodium does not start");
    if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
        return perche_err_set(err, PERCHE_AUTH,
                              "%s can be read by others (mode %03o): chmod 0600 it if nobody has "
                              "copied it, else remove it and let the hub invite this node anew",
                              path, (unsigned)(st.st_mode & 0777));
    rc = file_read(path, FILE_BYTES_MAX, &text, &n, err);
    if (rc == PERCHE_OK) {
        rc = seed_read(path, text, n, seed, err);
        sodium_memzero(text, n);
        free(text);
    } else if (rc == PERCHE_NOT_FOUND) {
        rc = seed_make(path, seed, err);
    } else if (rc == PERCHE_TOO_LARGE) {
        rc = seed_read(path, (const uint8_t *)"", 0, seed, err);
    }
    if (rc == PERCHE_OK) {
        i = calloc(1, sizeof(*i));
        if (i)
            i->secret = sodium_malloc(crypto_sign_SECRETKEYBYTES);
        if (!i || !i->secret || crypto_sign_seed_keypair(i->public_key, i->secret, seed) != 0)
            rc = perche_err_set(err, PERCHE_NOMEM, "no memory for the node key");
    }
    sodium_memzero(seed, sizeof(seed));
    if (rc != PERCHE_OK) {
        identity_free(i);
        return rc;
    }
    (void)sodium_mprotect_readonly(i->secret); /* a guard against our own mistakes only */
    *out = i;
    return PERCHE_OK;
}

void identity_free(struct identity *i)
{
    if (!i)
        return;
    sodium_free(i->secret); /* wipes; NULL is fine */
    free(i);
}

const uint8_t *identity_public_key(const struct identity *i)
{
    return i->public_key;
}

void identity_random(uint8_t *out, size_t n)
{
    randombytes_buf(out, n);
}

static void op_random(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx; /* the system's generator has no state of ours */
    randombytes_buf(out, n);
}

static void op_sign(void *ctx, const uint8_t *p, size_t n, uint8_t signature[64])
{
    const struct identity *i = ctx;

    (void)crypto_sign_detached(signature, NULL, p, n, i->secret); /* cannot fail: always 0 */
}

static bool op_verify(void *ctx, const uint8_t public_key[32], const uint8_t *p, size_t n,
                      const uint8_t signature[64])
{
    (void)ctx; /* the key is the argument's */
    return crypto_sign_verify_detached(signature, p, n, public_key) == 0;
}

struct sync_ops identity_ops(struct identity *i)
{
    return (struct sync_ops){.ctx = i, .random = op_random, .sign = op_sign, .verify = op_verify};
}
