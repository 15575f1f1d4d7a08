#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include <jansson.h>

#include "client.h"

/* ------------------------------------------------------------------ memory */

void *must_have(void *p)
{
    if (!p) {
        fputs("perche: out of memory.\n", stderr);
        exit(CLIENT_NO);
    }
    return p;
}

char *text_copy(const char *p, size_t n)
{
    char *copy = must_have(malloc(n + 1));

    memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

char *text_print(const char *fmt, ...)
{
    char *out = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&out, fmt, ap);
    va_end(ap);
    return must_have(n < 0 ? NULL : out);
}

/* ------------------------------------------------------------------- UTF-8 */

/* One character at @p of @n > 0 bytes; returns its bytes, 0 = this is no UTF-8. */
static size_t decode(const char *text, size_t n, uint32_t *out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)text;
    size_t len = p[0] < 0x80   ? 1
                 : p[0] < 0xc2 ? 0
                 : p[0] < 0xe0 ? 2
                 : p[0] < 0xf0 ? 3
                 : p[0] < 0xf5 ? 4
                               : 0;
    uint32_t c;

    if (len == 0 || len > n)
        return 0;
    c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *out = c;
    return len;
}

bool text_valid(const char *text)
{
    size_t left = strlen(text);
    uint32_t c;

    while (left > 0) {
        size_t len = decode(text, left, &c);

        if (len == 0)
            return false;
        text += len;
        left -= len;
    }
    return true;
}

/* Characters that act instead of being seen: C0, DEL, C1, and those that turn the direction
 * of the writing, with which a value can look like another. */
static bool steers(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0x2028 || c == 0x2029;
}

char *text_clean(const char *p, size_t n)
{
    static const char odd[] = "\xef\xbf\xbd"; /* U+FFFD */
    char *out = must_have(malloc(3 * n + 1));
    size_t to = 0;

    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        size_t len = decode(p + i, n - i, &c);

        if (len == 1 && (c == '\n' || c == '\t' || c == '\r')) {
            out[to++] = ' ';
        } else if (len == 0 || steers(c)) {
            memcpy(out + to, odd, 3);
            to += 3;
        } else {
            memcpy(out + to, p + i, len);
            to += len;
        }
        i += len ? len : 1;
    }
    out[to] = '\0';
    return out;
}

void text_say(FILE *out, const char *fmt, ...)
{
    char *raw = NULL, *line;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&raw, fmt, ap);
    va_end(ap);
    if (n < 0)
        raw = must_have(NULL);
    line = text_clean(raw, (size_t)n);
    fprintf(out, "%s\n", line);
    free(line);
    free(raw);
}

static int char_width(uint32_t c)
{
    int w = wcwidth((wchar_t)c);

    return w < 0 ? 1 : w; /* newer than the C library's tables: most likely one */
}

size_t text_fit(const char *text, int columns, int *took)
{
    size_t n = strlen(text);
    size_t at = 0;
    int width = 0;

    while (at < n) {
        uint32_t c = 0;
        size_t len = decode(text + at, n - at, &c);
        int w = len ? char_width(c) : 1;

        if (width + w > columns)
            break;
        width += w;
        at += len ? len : 1;
    }
    *took = width;
    return at;
}

int text_width(const char *text)
{
    int took;

    (void)text_fit(text, 1 << 30, &took); /* all of it fits */
    return took;
}

/* ------------------------------------------------------- numbers and times */

/* The digits at the beginning of @text; what follows is *end. At most 2^53: what JSON
 * programs take without rounding. */
static bool digits(const char *text, uint64_t *out, const char **end)
{
    uint64_t n = 0;
    const char *p = text;

    for (; isdigit((unsigned char)*p); p++) {
        n = n * 10 + (uint64_t)(*p - '0');
        if (n > UINT64_C(1) << 53)
            return false;
    }
    *out = n;
    *end = p;
    return p != text;
}

bool text_number(const char *text, uint64_t *out)
{
    const char *end;
    uint64_t n;

    if (!digits(text, &n, &end) || *end || n == 0)
        return false;
    *out = n;
    return true;
}

#define TEN_YEARS_MS (UINT64_C(3653) * 86400 * 1000)

bool text_duration(const char *text, uint64_t *out_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {
        {"ms", 1},      {"s", 1000},    {"", 1000},      {"m", 60000},
        {"min", 60000}, {"h", 3600000}, {"d", 86400000}, {"w", UINT64_C(604800000)},
    };
    const char *end;
    uint64_t n;

    if (!digits(text, &n, &end) || n == 0)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].unit) != 0)
            continue;
        if (n > TEN_YEARS_MS / units[i].ms)
            return false;
        *out_ms = n * units[i].ms;
        return true;
    }
    return false;
}

bool text_iso(const char *text, uint64_t *out_ms)
{
    struct tm tm = {0};
    const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    uint64_t ms = 0;
    time_t s;

    if (!p)
        return false;
    if (*p == '.') {
        uint64_t unit = 100;

        if (!isdigit((unsigned char)*++p))
            return false;
        for (; isdigit((unsigned char)*p); p++, unit /= 10)
            ms += (uint64_t)(*p - '0') * unit;
    }
    if (strcmp(p, "Z") != 0)
        return false;
    s = timegm(&tm);
    if (s < 0)
        return false;
    *out_ms = (uint64_t)s * 1000 + ms;
    return true;
}

static void local(uint64_t ms, struct tm *out)
{
    time_t s = (time_t)(ms / 1000);

    if (!localtime_r(&s, out))
        memset(out, 0, sizeof(*out)); /* a year beyond int: no real time */
}

/* "1 Sep": the day without the zero or the space that strftime() puts before it. */
static void day(const struct tm *tm, const char *rest, char out[TEXT_TIME_MAX])
{
    size_t n = (size_t)snprintf(out, TEXT_TIME_MAX, "%d ", tm->tm_mday);

    if (strftime(out + n, TEXT_TIME_MAX - n, rest, tm) == 0)
        out[0] = '\0';
}

void text_when(uint64_t ms, uint64_t now_ms, char out[TEXT_TIME_MAX])
{
    struct tm then, now;

    local(ms, &then);
    local(now_ms, &now);
    if (then.tm_year != now.tm_year)
        day(&then, "%b %Y", out);
    else if (then.tm_yday != now.tm_yday)
        day(&then, "%b %H:%M", out);
    else
        (void)strftime(out, TEXT_TIME_MAX, "%H:%M:%S", &then); /* always fits */
}

void text_day(uint64_t ms, uint64_t now_ms, char out[TEXT_TIME_MAX])
{
    struct tm then, now;

    local(ms, &then);
    local(now_ms, &now);
    day(&then, then.tm_year == now.tm_year ? "%b" : "%b %Y", out);
}

void text_exact(uint64_t ms, char out[TEXT_TIME_MAX])
{
    struct tm then;

    local(ms, &then);
    if (strftime(out, TEXT_TIME_MAX, "%Y-%m-%d %H:%M:%S", &then) == 0)
        out[0] = '\0';
}

void text_zone(uint64_t ms, char out[TEXT_TIME_MAX])
{
    struct tm then;

    local(ms, &then);
    if (strftime(out, TEXT_TIME_MAX, "%Z", &then) == 0)
        strcpy(out, "UTC");
}

void text_span(uint64_t ms, char out[TEXT_TIME_MAX])
{
    static const struct {
        uint64_t from_ms, unit_ms;
        const char *one, *many;
    } steps[] = {
        {UINT64_C(172800000), 86400000, "day", "days"},
        {7200000, 3600000, "h", "h"},
        {120000, 60000, "min", "min"},
        {1000, 1000, "s", "s"},
        {0, 1, "ms", "ms"},
    };
    size_t i = 0;

    while (ms < steps[i].from_ms)
        i++;
    (void)snprintf(out, TEXT_TIME_MAX, "%llu %s", (unsigned long long)(ms / steps[i].unit_ms),
                   ms / steps[i].unit_ms == 1 ? steps[i].one : steps[i].many);
}

void text_ago(uint64_t ms, uint64_t now_ms, char out[TEXT_TIME_MAX])
{
    char span[TEXT_TIME_MAX];

    if (now_ms < ms + 1000) { /* now, or a clock that was set back meanwhile */
        strcpy(out, "just now");
        return;
    }
    text_span(now_ms - ms, span);
    (void)snprintf(out, TEXT_TIME_MAX, "%.26s ago", span); /* a span is far shorter */
}

void text_offset(int64_t ms, char out[TEXT_TIME_MAX])
{
    bool none = ms > -50 && ms < 50;

    (void)snprintf(out, TEXT_TIME_MAX, none ? "%.1f s" : "%+.1f s", none ? 0.0 : (double)ms / 1000);
}

void text_digits(uint64_t n, char out[TEXT_TIME_MAX])
{
    char plain[24];
    int len = snprintf(plain, sizeof(plain), "%llu", (unsigned long long)n);
    int to = 0;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[to++] = ',';
        out[to++] = plain[i];
    }
    out[to] = '\0';
}

/* ----------------------------------------------------------------- row ids */

struct json_t *text_row_id(const char *const *words, int count)
{
    json_t *id = must_have(json_array());

    for (int i = 0; i < count; i++) {
        const char *p = words[i];

        for (;;) { /* one value a turn */
            char *value = must_have(malloc(strlen(p) + 1));
            size_t n = 0;

            for (; *p && *p != ','; p++) {
                if (*p == '\\' && (p[1] == ',' || p[1] == '\\'))
                    p++;
                value[n++] = *p;
            }
            if (n == 0 || json_array_append_new(id, json_stringn(value, n)) != 0) {
                free(value);
                json_decref(id);
                return NULL;
            }
            free(value);
            if (!*p)
                break;
            p++;
        }
    }
    return id;
}
