/* What a site knows of its hub: upstream.conf and upstream.crt in the data folder, written
 * by join, removed by leave. The folder and not the main configuration file, since that is
 * the administrator's and read-only for the service; an [upstream] url there wins. */
#ifndef NET_UPSTREAM_H
#define NET_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perche/limits.h"
#include "perche/rc.h"

#define UPSTREAM_URL_BYTES_MAX 512u

struct upstream {
    char url[UPSTREAM_URL_BYTES_MAX];
    char hub[PERCHE_ID_BYTES_MAX];  /* its id, the name in its certificate */
    uint8_t hub_key[32];            /* Ed25519 */
    char site[PERCHE_ID_BYTES_MAX]; /* what the hub calls this node: id, code, name */
    char code[PERCHE_NAME_BYTES_MAX];
    char name[PERCHE_NAME_BYTES_MAX];
    uint8_t *certificate_pem; /* owned, zero-terminated */
    size_t certificate_pem_n;
};
void upstream_clear(struct upstream *u);

/* NOT_FOUND: has not joined. CONFIG: damaged, err says file, line and what to do. DISK, FULL, NOMEM: may pass. */
enum perche_rc upstream_read(const char *data, struct upstream *out, struct perche_err *err);
enum perche_rc upstream_write(const char *data, const struct upstream *u, struct perche_err *err);
enum perche_rc upstream_remove(const char *data, struct perche_err *err);

#endif
