#include "net/upstream.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "net/file.h"
#include "net/tls.h"

#define CONF           "upstream.conf"
#define CRT            "upstream.crt"
#define CONF_BYTES_MAX 4096u

void upstream_clear(struct upstream *u)
{
    free(u->certificate_pem);
    memset(u, 0, sizeof(*u));
}

/* ---- reading -------------------------------------------------------------- */

static bool take(const char *line, const char *key, char *out, size_t out_n, bool *fits)
{
    size_t n = strlen(key);

    if (strncmp(line, key, n) != 0 || strncmp(line + n, " = ", 3) != 0)
        return false;
    *fits = (size_t)snprintf(out, out_n, "%s", line + n + 3) < out_n;
    return true;
}

static bool take_key(const char *line, uint8_t out[32], bool *fits)
{
    char text[80];
    size_t n = 0;

    if (!take(line, "hub_key", text, sizeof(text), fits))
        return false;
    *fits = *fits && sodium_hex2bin(out, 32, text, strlen(text), NULL, &n, NULL) == 0 && n == 32;
    return true;
}

static enum perche_rc parse(char *text, const char *path, struct upstream *u,
                            struct perche_err *err)
{
    unsigned number = 0;
    char *line;

    while ((line = strsep(&text, "\n")) != NULL) {
        bool fits = true;

        number++;
        if (line[0] == '\0' || line[0] == ';' || strcmp(line, "[upstream]") == 0)
            continue;
        if (!(take(line, "url", u->url, sizeof(u->url), &fits) ||
              take(line, "hub", u->hub, sizeof(u->hub), &fits) ||
              take_key(line, u->hub_key, &fits) ||
              take(line, "site", u->site, sizeof(u->site), &fits) ||
              take(line, "code", u->code, sizeof(u->code), &fits) ||
              take(line, "name", u->name, sizeof(u->name), &fits)) ||
            !fits)
            return perche_err_set(
                err, PERCHE_CONFIG,
                "%s:%u: not what perche join wrote: remove the file and join again", path, number);
    }
    if (!*u->url || !*u->hub || !*u->site)
        return perche_err_set(err, PERCHE_CONFIG,
                              "%s: url, hub or site is missing: remove the file "
                              "and join again",
                              path);
    return PERCHE_OK;
}

static bool may_pass(enum perche_rc rc)
{
    return rc == PERCHE_DISK || rc == PERCHE_FULL || rc == PERCHE_NOMEM;
}

enum perche_rc upstream_read(const char *data, struct upstream *out, struct perche_err *err)
{
    struct upstream u = {0};
    struct tls_facts facts;
    char path[PATH_MAX];
    uint8_t *text = NULL;
    size_t n;
    enum perche_rc rc = file_path(path, sizeof(path), data, CONF, err);

    if (rc == PERCHE_OK)
        rc = file_read(path, CONF_BYTES_MAX, &text, &n, err);
    if (rc == PERCHE_OK)
        rc = parse((char *)text, path, &u, err);
    free(text);
    if (rc == PERCHE_OK)
        rc = file_path(path, sizeof(path), data, CRT, err);
    if (rc == PERCHE_OK) {
        rc = file_read(path, TLS_FILE_BYTES_MAX, &u.certificate_pem, &u.certificate_pem_n, err);
        if (rc == PERCHE_OK)
            rc = tls_certificate_facts(u.certificate_pem, &facts, err);
        if (rc == PERCHE_OK && strcmp(facts.name, u.hub) != 0)
            rc = perche_err_set(err, PERCHE_CONFIG, "it is not the certificate of the hub %s",
                                u.hub);
        if (rc != PERCHE_OK && !may_pass(rc)) {
            perche_err_wrap(err, "%s: put it back, or leave and join again", path);
            rc = PERCHE_CONFIG;
            if (err)
                err->rc = rc;
        }
    }
    if (rc != PERCHE_OK) {
        upstream_clear(&u);
        return rc;
    }
    *out = u;
    return PERCHE_OK;
}

/* ---- writing --------------------------------------------------------------- */

/* A value is one line: names come from elsewhere. */
static bool is_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            return false;
    return true;
}

enum perche_rc upstream_write(const char *data, const struct upstream *u, struct perche_err *err)
{
    char conf[PATH_MAX], crt[PATH_MAX], text[CONF_BYTES_MAX], key[65];
    enum perche_rc rc;
    int n;

    if (!is_line(u->url) || !is_line(u->hub) || !is_line(u->site) || !is_line(u->code) ||
        !is_line(u->name))
        return perche_err_set(err, PERCHE_CORRUPT, "the hub sent a name that is no name");
    sodium_bin2hex(key, sizeof(key), u->hub_key, sizeof(u->hub_key));
    n = snprintf(text, sizeof(text),
                 "; written by perche join; read after perched.conf, whose [upstream] url wins\n"
                 "[upstream]\nurl = %s\nhub = %s\nhub_key = %s\nsite = %s\ncode = %s\nname = %s\n",
                 u->url, u->hub, key, u->site, u->code, u->name);
    if (n < 0 || (size_t)n >= sizeof(text))
        return perche_err_set(err, PERCHE_TOO_LARGE, "the hub's names are too long");
    rc = file_path(conf, sizeof(conf), data, CONF, err);
    if (rc == PERCHE_OK)
        rc = file_path(crt, sizeof(crt), data, CRT, err);
    if (rc == PERCHE_OK) /* upstream.conf is what says that the site has joined: last */
        rc = file_write(crt, 0644, u->certificate_pem, u->certificate_pem_n, err);
    if (rc == PERCHE_OK)
        rc = file_write(conf, 0640, text, (size_t)n, err);
    return rc;
}

enum perche_rc upstream_remove(const char *data, struct perche_err *err)
{
    static const char *const names[] = {CONF, CRT};
    char path[PATH_MAX];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        enum perche_rc rc = file_path(path, sizeof(path), data, names[i], err);

        if (rc != PERCHE_OK)
            return rc;
        if (unlink(path) != 0 && errno != ENOENT)
            return perche_err_set(err, perche_rc_of_errno(errno), "%s: %s", path, strerror(errno));
    }
    return PERCHE_OK;
}
