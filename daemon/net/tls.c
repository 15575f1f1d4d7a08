#include "net/tls.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mbedtls/bignum.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/x509_crt.h>

#include "net/file.h"

#define VALID_FROM "19700101000000"
#define VALID_TO   "99991231235959"

static enum perche_rc failed(struct perche_err *err, int number, const char *what)
{
    char text[120];

    mbedtls_strerror(number, text, sizeof(text));
    return perche_err_set(err, PERCHE_INTERNAL, "%s: %s", what, text);
}

void tls_identity_free(struct tls_identity *t)
{
    if (t->key_pem)
        mbedtls_platform_zeroize(t->key_pem, t->key_pem_n);
    free(t->key_pem);
    free(t->certificate_pem);
    free(t->certificate_der);
    memset(t, 0, sizeof(*t));
}

static bool copy_text(const char *text, uint8_t **out, size_t *out_n)
{
    *out_n = strlen(text);
    *out = (uint8_t *)strdup(text);
    return *out != NULL;
}

static bool copy_bytes(const uint8_t *p, size_t n, uint8_t **out, size_t *out_n)
{
    *out = malloc(n);
    if (!*out)
        return false;
    memcpy(*out, p, n);
    *out_n = n;
    return true;
}

static int write_certificate(const char *hub, mbedtls_pk_context *key,
                             mbedtls_ctr_drbg_context *drbg, char *pem, size_t pem_n)
{
    char subject[160];
    unsigned char random[16];
    mbedtls_x509write_cert crt;
    mbedtls_mpi serial;
    int rc;

    /* An id has letters, digits and '-' only, checked by the caller: none needs escaping. */
    (void)snprintf(subject, sizeof(subject), "CN=%s", hub);
    mbedtls_x509write_crt_init(&crt);
    mbedtls_mpi_init(&serial);
    rc = mbedtls_ctr_drbg_random(drbg, random, sizeof(random));
    random[0] = (unsigned char)((random[0] & 0x7f) | 0x40); /* positive and of full length */
    if (rc == 0)
        rc = mbedtls_mpi_read_binary(&serial, random, sizeof(random));
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_serial(&crt, &serial);
    mbedtls_x509write_crt_set_version(&crt, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&crt, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&crt, key);
    mbedtls_x509write_crt_set_issuer_key(&crt, key);
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_subject_name(&crt, subject);
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_issuer_name(&crt, subject);
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_validity(&crt, VALID_FROM, VALID_TO);
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_basic_constraints(&crt, 0, -1);
    if (rc == 0)
        rc = mbedtls_x509write_crt_pem(&crt, (unsigned char *)pem, pem_n, mbedtls_ctr_drbg_random,
                                       drbg);
    mbedtls_x509write_crt_free(&crt);
    mbedtls_mpi_free(&serial);
    return rc;
}

static bool is_plain_name(const char *text)
{
    size_t n = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-.");

    return n > 0 && n <= 64 && text[n] == '\0'; /* 64: ub-common-name */
}

static enum perche_rc der_of_pem(const uint8_t *pem, size_t pem_n, uint8_t **out, size_t *out_n,
                                 struct perche_err *err)
{
    mbedtls_x509_crt crt;
    enum perche_rc rc = PERCHE_OK;
    int number;

    mbedtls_x509_crt_init(&crt);
    number = mbedtls_x509_crt_parse(&crt, pem, pem_n + 1);
    if (number != 0)
        rc = perche_err_set(err, PERCHE_CORRUPT, "the certificate cannot be read");
    else if (!copy_bytes(crt.raw.p, crt.raw.len, out, out_n))
        rc = perche_err_set(err, PERCHE_NOMEM, "no memory for a certificate");
    mbedtls_x509_crt_free(&crt);
    return rc;
}

enum perche_rc tls_identity_make(const char *hub, struct tls_identity *out, struct perche_err *err)
{
    static const char personal[] = "perche hub certificate";
    struct tls_identity made = {0};
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context drbg;
    mbedtls_pk_context key;
    char pem[TLS_FILE_BYTES_MAX], key_pem[TLS_FILE_BYTES_MAX];
    enum perche_rc rc = PERCHE_OK;
    int number;

    if (!is_plain_name(hub))
        return perche_err_set(err, PERCHE_INTERNAL, "the hub's id is not fit for a certificate");
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&drbg);
    mbedtls_pk_init(&key);
    number = mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy,
                                   (const unsigned char *)personal, sizeof(personal) - 1);
    if (number == 0)
        number = mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (number == 0)
        number = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key),
                                     mbedtls_ctr_drbg_random, &drbg);
    if (number == 0)
        number = mbedtls_pk_write_key_pem(&key, (unsigned char *)key_pem, sizeof(key_pem));
    if (number == 0)
        number = write_certificate(hub, &key, &drbg, pem, sizeof(pem));
    if (number != 0)
        rc = failed(err, number, "cannot make the hub's certificate");
    else if (!copy_text(pem, &made.certificate_pem, &made.certificate_pem_n) ||
             !copy_text(key_pem, &made.key_pem, &made.key_pem_n))
        rc = perche_err_set(err, PERCHE_NOMEM, "no memory for the hub's certificate");
    else
        rc = der_of_pem(made.certificate_pem, made.certificate_pem_n, &made.certificate_der,
                        &made.certificate_der_n, err);
    mbedtls_platform_zeroize(key_pem, sizeof(key_pem));
    mbedtls_pk_free(&key);
    mbedtls_ctr_drbg_free(&drbg);
    mbedtls_entropy_free(&entropy);
    if (rc != PERCHE_OK) {
        tls_identity_free(&made);
        return rc;
    }
    *out = made;
    return PERCHE_OK;
}

/* Is the certificate @hub's, and the key its own? */
static enum perche_rc check(const struct tls_identity *t, const char *hub, const char *path,
                            struct perche_err *err)
{
    struct tls_facts facts;
    mbedtls_x509_crt crt;
    mbedtls_pk_context key;
    enum perche_rc rc = tls_certificate_facts(t->certificate_pem, &facts, err);

    if (rc != PERCHE_OK) {
        perche_err_wrap(err, "%s", path);
        return rc;
    }
    if (strcmp(facts.name, hub) != 0)
        return perche_err_set(
            err, PERCHE_AUTH,
            "%s is the certificate of the hub %s, and the replica is that of %s: "
            "restore the replica.db that belongs to it, or move hub.crt and keys/hub.key "
            "away and invite every site anew",
            path, facts.name, hub);
    mbedtls_x509_crt_init(&crt);
    mbedtls_pk_init(&key);
    if (mbedtls_x509_crt_parse(&crt, t->certificate_pem, t->certificate_pem_n + 1) != 0 ||
        mbedtls_pk_parse_key(&key, t->key_pem, t->key_pem_n + 1, NULL, 0) != 0)
        rc = perche_err_set(err, PERCHE_CORRUPT, "%s: the certificate or its key cannot be read",
                            path);
    else if (mbedtls_pk_check_pair(&crt.pk, &key) != 0)
        rc = perche_err_set(err, PERCHE_AUTH, "%s: keys/hub.key is not the key of this certificate",
                            path);
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&crt);
    return rc;
}

/* The key has this name until its certificate is on disk: a key under its own name without a certificate is not
 * one that a crash at the first start has left. */
static enum perche_rc first_name(const char *key_path, char *out, size_t n, struct perche_err *err)
{
    if (snprintf(out, n, "%s.first", key_path) >= (int)n)
        return perche_err_set(err, PERCHE_TOO_LARGE, "the path %.200s is too long", key_path);
    return PERCHE_OK;
}

static enum perche_rc name_key(const char *first, const char *key_path, struct perche_err *err)
{
    if (rename(first, key_path) != 0)
        return perche_err_set(err, PERCHE_DISK, "%s: %s", key_path, strerror(errno));
    return PERCHE_OK;
}

static enum perche_rc make_files(const char *certificate_path, const char *key_path, const char *hub,
                                 struct tls_identity *t, struct perche_err *err)
{
    char first[PATH_MAX];
    enum perche_rc rc = first_name(key_path, first, sizeof(first), err);

    if (rc == PERCHE_OK)
        rc = tls_identity_make(hub, t, err);
    if (rc == PERCHE_OK)
        rc = file_write(first, 0600, t->key_pem, t->key_pem_n, err);
    if (rc == PERCHE_OK)
        rc = file_write(certificate_path, 0644, t->certificate_pem, t->certificate_pem_n, err);
    if (rc == PERCHE_OK)
        rc = name_key(first, key_path, err);
    t->made = rc == PERCHE_OK;
    return rc;
}

static enum perche_rc read_files(const char *certificate_path, const char *key_path, const char *hub,
                                 struct tls_identity *t, struct perche_err *err)
{
    char first[PATH_MAX];
    enum perche_rc rc = first_name(key_path, first, sizeof(first), err);

    if (rc == PERCHE_OK)
        rc = file_read(certificate_path, TLS_FILE_BYTES_MAX, &t->certificate_pem, &t->certificate_pem_n, err);
    if (rc != PERCHE_OK)
        return rc;
    rc = file_read(key_path, TLS_FILE_BYTES_MAX, &t->key_pem, &t->key_pem_n, err);
    t->made = rc == PERCHE_NOT_FOUND;
    if (t->made)
        rc = file_read(first, TLS_FILE_BYTES_MAX, &t->key_pem, &t->key_pem_n, err);
    if (rc == PERCHE_OK)
        rc = check(t, hub, certificate_path, err);
    if (rc == PERCHE_OK && t->made)
        return name_key(first, key_path, err);
    if (t->made && (rc == PERCHE_NOT_FOUND || rc == PERCHE_AUTH))
        rc = perche_err_set(err, PERCHE_AUTH,
                            "%s is there but not its key %s: restore the key from a backup, or "
                            "move the certificate away and invite every site anew",
                            certificate_path, key_path);
    return rc;
}

enum perche_rc tls_identity_load(const char *certificate_path, const char *key_path,
                                 const char *hub, struct tls_identity *out, struct perche_err *err)
{
    struct tls_identity t = {0};
    bool has_key = access(key_path, F_OK) == 0;
    enum perche_rc rc;

    if (access(certificate_path, F_OK) == 0)
        rc = read_files(certificate_path, key_path, hub, &t, err);
    else if (!has_key)
        rc = make_files(certificate_path, key_path, hub, &t, err);
    else
        rc = perche_err_set(err, PERCHE_AUTH,
                            "%s is there but not its certificate %s: put that back from a backup, or from any site, "
                            "which has the same file as upstream.crt; without it every site has to be invited anew",
                            key_path, certificate_path);
    if (rc == PERCHE_OK && !t.certificate_der)
        rc = der_of_pem(t.certificate_pem, t.certificate_pem_n, &t.certificate_der, &t.certificate_der_n, err);
    if (rc != PERCHE_OK) {
        tls_identity_free(&t);
        return rc;
    }
    *out = t;
    return PERCHE_OK;
}

enum perche_rc tls_pem_of_der(const uint8_t *der, size_t der_n, uint8_t **out, size_t *out_n,
                              struct perche_err *err)
{
    mbedtls_x509_crt crt;
    size_t cap = der_n * 2 + 200, written = 0;
    uint8_t *pem;
    int number;

    mbedtls_x509_crt_init(&crt);
    number = mbedtls_x509_crt_parse_der(&crt, der, der_n);
    mbedtls_x509_crt_free(&crt);
    if (number != 0)
        return perche_err_set(err, PERCHE_CORRUPT, "the hub's certificate cannot be read");
    pem = calloc(1, cap);
    if (!pem)
        return perche_err_set(err, PERCHE_NOMEM, "no memory for a certificate");
    number =
        mbedtls_pem_write_buffer("-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n",
                                 der, der_n, pem, cap, &written);
    if (number != 0) {
        free(pem);
        return failed(err, number, "cannot write the hub's certificate");
    }
    *out = pem;
    *out_n = strlen((const char *)pem);
    return PERCHE_OK;
}

static void date(char out[24], const mbedtls_x509_time *t)
{
    (void)snprintf(out, 24, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)t->year % 10000u,
                   (unsigned)t->mon % 100u, (unsigned)t->day % 100u, (unsigned)t->hour % 100u,
                   (unsigned)t->min % 100u, (unsigned)t->sec % 100u);
}

enum perche_rc tls_certificate_facts(const uint8_t *pem, struct tls_facts *out,
                                     struct perche_err *err)
{
    mbedtls_x509_crt crt;
    const mbedtls_x509_name *name;
    enum perche_rc rc = PERCHE_OK;

    mbedtls_x509_crt_init(&crt);
    if (mbedtls_x509_crt_parse(&crt, pem, strlen((const char *)pem) + 1) != 0) {
        rc = perche_err_set(err, PERCHE_CORRUPT, "the certificate cannot be read");
    } else {
        memset(out, 0, sizeof(*out));
        for (name = &crt.subject; name; name = name->next)
            if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &name->oid) == 0)
                (void)snprintf(out->name, sizeof(out->name), "%.*s", (int)name->val.len,
                               (const char *)name->val.p);
        date(out->from, &crt.valid_from);
        date(out->to, &crt.valid_to);
    }
    mbedtls_x509_crt_free(&crt);
    return rc;
}
