/* Small files of the node: read whole, written so that a reader sees the old one or
 * the new one. Never used on replica.db, -wal or -shm: a close() of those drops
 * SQLite's locks. */
#ifndef NET_FILE_H
#define NET_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "perche/rc.h"

/* Reads @path whole, at most @max bytes; *out is zero-terminated and ends with free().
 * NOT_FOUND when it is not there, TOO_LARGE beyond @max. */
enum perche_rc file_read(const char *path, size_t max, uint8_t **out, size_t *out_n,
                         struct perche_err *err);
/* Writes @path with @mode: a new file beside it, synced, then renamed over it. */
enum perche_rc file_write(const char *path, mode_t mode, const void *bytes, size_t n,
                          struct perche_err *err);
/* "DIR/NAME" into @out; TOO_LARGE when it does not fit. */
enum perche_rc file_path(char *out, size_t out_n, const char *dir, const char *name,
                         struct perche_err *err);

#endif
