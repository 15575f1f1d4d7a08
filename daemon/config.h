/* perched.conf: read whole, checked whole, or refused with one line that names file,
 * line and key and says what to do. */
#ifndef PERCHED_CONFIG_H
#define PERCHED_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "net/node.h"

#define CONFIG_PATH "/etc/perche/perched.conf"

struct config {
    enum replica_role role;
    /* owned; never NULL, but upstream_url */
    char *name, *data, *listen, *advertise, *socket, *web;
    char *upstream_url; /* NULL: none here */
    uint64_t interval_ms, max_rate, retire_after_ms, keep_deleted_ms;
    unsigned *lines; /* owned: where each key was given, 0 = its default */
};

/* Can the data folder be used so? What can be told from outside: rights, and what is a file. What is in the file: node_look(). Reads only. */
enum perche_rc config_check_data(const struct config *c, struct perche_err *err);

/* Reads @path; a file that is not there is all defaults when @may_be_missing. On failure
 * nothing is left and err->text is the line to print; CONFIG: a person has to change something, else it may pass. */
enum perche_rc config_load(const char *path, bool may_be_missing, struct config *out,
                           struct perche_err *err);
void config_free(struct config *c); /* what is in it */
/* What the node is told of it; borrows the texts. */
struct node_config config_node(const struct config *c);
/* "30s" and the like in milliseconds; units ms, s, m, min, h, d. */
bool config_duration(const char *text, uint64_t *ms);
/* What perched would do with it, for people: `perched --check`. @seen: what its replica is, NULL = that cannot be told. */
void config_describe(const struct config *c, const char *path, const struct replica_seen *seen, FILE *to);

#endif
