/* Texts and names of the result codes, and the error that goes with them. */
#include "perche/rc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

const char *perche_rc_text(enum perche_rc rc)
{
    switch (rc) {
#define X(name, value, text) \
    case PERCHE_##name: return text;
        PERCHE_RC_MAP(X)
#undef X
    }
    return "unknown result";
}

/* The table has the names in capitals; logs and JSON carry them in lower case. They are
 * lowered by hand here so that the answer is static storage without a lock. */
const char *perche_rc_name(enum perche_rc rc)
{
    switch (rc) {
    case PERCHE_OK: return "ok";
    case PERCHE_NOMEM: return "nomem";
    case PERCHE_CORRUPT: return "corrupt";
    case PERCHE_TOO_LARGE: return "too_large";
    case PERCHE_DISK: return "disk";
    case PERCHE_FULL: return "full";
    case PERCHE_BUSY: return "busy";
    case PERCHE_NEWER: return "newer";
    case PERCHE_NOT_FOUND: return "not_found";
    case PERCHE_REFUSED: return "refused";
    case PERCHE_USAGE: return "usage";
    case PERCHE_STATE: return "state";
    case PERCHE_NET: return "net";
    case PERCHE_TIMEOUT: return "timeout";
    case PERCHE_AUTH: return "auth";
    case PERCHE_STALE: return "stale";
    case PERCHE_CONFIG: return "config";
    case PERCHE_INTERNAL: return "internal";
    }
    return "unknown";
}

enum perche_rc perche_rc_of_errno(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EACCES:
    case EPERM: return PERCHE_CONFIG;
    case ENOSPC:
    case EDQUOT: return PERCHE_FULL;
    case ENOMEM: return PERCHE_NOMEM;
    default: return PERCHE_DISK;
    }
}

/* A text of @n bytes that was cut may end in the middle of a character: without it. */
static void end_at_character(char *text, size_t n)
{
    size_t first = n;
    uint8_t byte;

    while (first > 0 && n - first < 3 && ((uint8_t)text[first - 1] & 0xc0) == 0x80)
        first--;
    if (first == 0)
        return;
    byte = (uint8_t)text[--first];
    if (n - first < (byte >= 0xf0 ? 4u : byte >= 0xe0 ? 3u : byte >= 0xc0 ? 2u : 1u))
        text[first] = '\0';
}

enum perche_rc perche_err_set(struct perche_err *err, enum perche_rc rc, const char *fmt, ...)
{
    va_list args;

    if (err == NULL)
        return rc;
    err->rc = rc;
    va_start(args, fmt);
    if (vsnprintf(err->text, sizeof(err->text), fmt, args) < 0)
        err->text[0] = '\0';
    va_end(args);
    end_at_character(err->text, strlen(err->text));
    return rc;
}

void perche_err_wrap(struct perche_err *err, const char *fmt, ...)
{
    char whole[sizeof(err->text)];
    const size_t room = sizeof(whole) - 1;
    va_list args;
    size_t n, tail;
    int put;

    if (err == NULL)
        return;
    va_start(args, fmt);
    put = vsnprintf(whole, sizeof(whole), fmt, args);
    va_end(args);
    if (put < 0)
        return;
    n = (size_t)put < room ? (size_t)put : room;
    /* A text that does not fit is cut at its end: the context tells more than the tail. */
    for (const char *p = ": "; *p != '\0' && n < room; p++)
        whole[n++] = *p;
    tail = strlen(err->text);
    if (tail > room - n)
        tail = room - n;
    memcpy(whole + n, err->text, tail);
    whole[n + tail] = '\0';
    memcpy(err->text, whole, n + tail + 1);
    end_at_character(err->text, n + tail);
}
