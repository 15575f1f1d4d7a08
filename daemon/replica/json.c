#include "replica/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool room(struct json *j, size_t n)
{
    size_t cap = j->cap < 256 ? 256 : j->cap;
    char *p;

    j->too_long |= !j->failed && n > JSON_BYTES_MAX - j->n;
    j->failed |= j->too_long;
    if (j->failed)
        return false;
    if (j->n + n + 1 <= j->cap)
        return true;
    while (cap < j->n + n + 1)
        cap *= 2;
    p = realloc(j->p, cap);
    if (p == NULL) {
        j->failed = true;
        return false;
    }
    j->p = p;
    j->cap = cap;
    return true;
}

static void put(struct json *j, const char *p, size_t n)
{
    if (!room(j, n))
        return;
    memcpy(j->p + j->n, p, n);
    j->n += n;
    j->p[j->n] = '\0';
}

static void begin(struct json *j)
{
    if (j->comma)
        put(j, ",", 1);
    j->comma = true;
}

void out_open(struct json *j, char bracket)
{
    begin(j);
    put(j, &bracket, 1);
    j->comma = false;
}

void out_close(struct json *j, char bracket)
{
    put(j, &bracket, 1);
    j->comma = true;
}

/* Bytes of the UTF-8 character that @p begins with, 0 = none. */
static size_t character(const uint8_t *p, size_t n)
{
    uint32_t c, least;
    size_t len;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len > n)
        return 0;
    c = p[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    least = len == 2 ? 0x80 : len == 3 ? 0x800 : 0x10000;
    return c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : len;
}

/* SQLite takes any bytes for the text of a JSON string. */
void out_raw(struct json *j, const char *json)
{
    const uint8_t *p = (const uint8_t *)json, *end = p + strlen(json), *plain = p;

    begin(j);
    while (p < end) {
        size_t len = character(p, (size_t)(end - p));

        p += len > 0 ? len : 1;
        if (len > 0)
            continue;
        put(j, (const char *)plain, (size_t)(p - 1 - plain));
        put(j, "\xef\xbf\xbd", 3);
        plain = p;
    }
    put(j, (const char *)plain, (size_t)(p - plain));
}

void out_null(struct json *j)
{
    out_raw(j, "null");
}

void out_bool(struct json *j, bool v)
{
    out_raw(j, v ? "true" : "false");
}

void out_int(struct json *j, int64_t v)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, v);
    out_raw(j, text);
}

void out_text_n(struct json *j, const void *text, size_t n)
{
    const uint8_t *p = text, *end = p + n, *plain = p;

    begin(j);
    put(j, "\"", 1);
    while (p < end && !j->failed) {
        size_t len = character(p, (size_t)(end - p));
        char escape[8];

        if (len == 1 && (*p < 0x20 || *p == '"' || *p == '\\' || *p == 0x7f))
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*p);
        else if (len == 0)
            snprintf(escape, sizeof escape, "\xef\xbf\xbd");
        if (len == 1 && (*p == '"' || *p == '\\'))
            snprintf(escape, sizeof escape, "\\%c", *p);
        else if (len == 1 && *p == '\n')
            snprintf(escape, sizeof escape, "\\n");
        if (len > 1 || (len == 1 && *p >= 0x20 && *p != '"' && *p != '\\' && *p != 0x7f)) {
            p += len;
            continue;
        }
        put(j, (const char *)plain, (size_t)(p - plain));
        put(j, escape, strlen(escape));
        plain = ++p;
    }
    put(j, (const char *)plain, (size_t)(p - plain));
    put(j, "\"", 1);
}

void out_text(struct json *j, const char *text)
{
    if (text == NULL)
        out_null(j);
    else
        out_text_n(j, text, strlen(text));
}

void out_key(struct json *j, const char *name)
{
    out_text(j, name);
    put(j, ":", 1);
    j->comma = false;
}

void out_hex(struct json *j, const void *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *b = p;

    begin(j);
    put(j, "\"", 1);
    for (size_t i = 0; i < n && !j->failed; i++) {
        char two[2] = {digits[b[i] >> 4], digits[b[i] & 15]};

        put(j, two, 2);
    }
    put(j, "\"", 1);
}

static void real(struct json *j, double r)
{
    char text[40];

    if (!isfinite(r)) {
        out_null(j); /* JSON has no word for it */
        return;
    }
    snprintf(text, sizeof text, "%.15g", r);
    if (strtod(text, NULL) != r)
        snprintf(text, sizeof text, "%.17g", r);
    if (strpbrk(text, ".e") == NULL)
        strcat(text, ".0");
    out_raw(j, text);
}

void out_value(struct json *j, const struct perche_value *v)
{
    switch (v->type) {
    case PERCHE_INTEGER: out_int(j, v->i); break;
    case PERCHE_REAL: real(j, v->r); break;
    case PERCHE_TEXT: out_text_n(j, v->p, v->n); break;
    case PERCHE_BLOB: out_hex(j, v->p, v->n); break;
    default: out_null(j); break;
    }
}

size_t out_size(const struct perche_value *v)
{
    size_t n = 2;

    if (v->type == PERCHE_BLOB)
        return n + 2 * (size_t)v->n;
    if (v->type != PERCHE_TEXT)
        return 32;
    for (const uint8_t *p = v->p, *end = p + v->n; p < end;) {
        size_t len = character(p, (size_t)(end - p));

        n += len == 0 ? 3 : len > 1 ? len : *p == '"' || *p == '\\' || *p == '\n' ? 2 : *p < 0x20 || *p == 0x7f ? 6 : 1;
        p += len > 0 ? len : 1;
    }
    return n;
}

void out_bounded(struct json *j, const char *name, const struct perche_value *v, size_t most)
{
    char bytes[64];

    out_key(j, name);
    if (out_size(v) <= most) {
        out_value(j, v);
        return;
    }
    out_null(j);
    (void)snprintf(bytes, sizeof bytes, "%s_bytes", name);
    out_key(j, bytes);
    out_int(j, v->n);
}

void out_time(struct json *j, uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[40], whole[48];

    if (ms == 0 || gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        out_null(j);
        return;
    }
    snprintf(whole, sizeof whole, "%s.%03uZ", text, (unsigned)(ms % 1000));
    out_text(j, whole);
}

bool out_full(const struct json *j)
{
    return j->failed || j->n > JSON_BYTES_MAX / 2;
}

void out_free(struct json *j)
{
    free(j->p);
    *j = (struct json){0};
}
