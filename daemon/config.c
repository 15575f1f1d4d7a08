#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <ini.h>
#include <jansson.h>

#include "net/uplink.h"

#define INTERVAL_MS_MIN 1000u
#define INTERVAL_MS_MAX (24u * 3600u * 1000u)
#define AGE_MS_MAX      (UINT64_C(36600) * 24u * 3600u * 1000u)
#define RATE_MIN        200u /* a smaller one could not even carry a handshake within a minute */

/* Every key: section, name, default, how it is read. */
#define CONFIG_MAP(X)                                                               \
    X(NODE_ROLE, "node", "role", "site", read_role)                                 \
    X(NODE_NAME, "node", "name", "", read_name)                                     \
    X(NODE_DATA, "node", "data", "/var/lib/perche", read_data)                      \
    X(HUB_LISTEN, "hub", "listen", "tls+tcp://0.0.0.0:7447", read_listen)           \
    X(HUB_ADVERTISE, "hub", "advertise", "", read_advertise)                        \
    X(HUB_RETIRE_AFTER, "hub", "retire_after", "180d", read_retire_after)           \
    X(HUB_KEEP_DELETED, "hub", "keep_deleted", "30d", read_keep_deleted)            \
    X(UPSTREAM_URL, "upstream", "url", "", read_upstream)                           \
    X(CONTROL_SOCKET, "control", "socket", "/run/perche/perched.sock", read_socket) \
    X(WEB_LISTEN, "web", "listen", "http://127.0.0.1:7480", read_web)               \
    X(SYNC_INTERVAL, "sync", "interval", "30s", read_interval)                      \
    X(SYNC_MAX_RATE, "sync", "max_rate", "0", read_rate)

enum {
#define X(id, section, key, value, read) KEY_##id,
    CONFIG_MAP(X)
#undef X
        KEY_COUNT
};

struct parser {
    struct config *config;
    struct perche_err *err;
    const char *path;
    FILE *file;
    unsigned line;          /* the one that was read last */
    unsigned upstream_line; /* of the first key of [upstream] */
};

/* ---- values ------------------------------------------------------------------ */

/* A value's failure: what is wrong and what to do, without file, line and key. */
typedef bool (*read_cb)(struct config *c, const char *value, char *why, size_t why_n);

static bool no(char *why, size_t why_n, const char *text)
{
    (void)snprintf(why, why_n, "%s", text);
    return false;
}

static bool keep(char **to, const char *value, char *why, size_t why_n)
{
    char *made = strdup(value);

    if (!made)
        return no(why, why_n, "out of memory");
    free(*to);
    *to = made;
    return true;
}

static bool read_role(struct config *c, const char *value, char *why, size_t why_n)
{
    if (strcmp(value, "site") == 0)
        c->role = REPLICA_SITE;
    else if (strcmp(value, "hub") == 0)
        c->role = REPLICA_HUB;
    else
        return no(why, why_n, "write site or hub");
    return true;
}

/* @text is UTF-8. */
static bool has_control_character(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0) || /* U+0080 to U+009F */
            (*p == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9))) /* line and paragraph */
            return true;
    return false;
}

/* Goes out in JSON and to terminals. */
static bool keep_name(struct config *c, const char *name, char *why, size_t why_n)
{
    json_t *text = json_string(name); /* NULL: not UTF-8 */

    json_decref(text);
    if (!text)
        return no(why, why_n, "the name is not UTF-8: save the file as UTF-8");
    if (has_control_character(name))
        return no(why, why_n, "the name holds a control character: take it out");
    return keep(&c->name, name, why, why_n);
}

static bool read_name(struct config *c, const char *value, char *why, size_t why_n)
{
    char host[HOST_NAME_MAX + 1] = "";

    if (strlen(value) >= PERCHE_NAME_BYTES_MAX)
        return no(why, why_n, "the name is too long: 127 bytes at most");
    if (*value)
        return keep_name(c, value, why, why_n);
    if (gethostname(host, sizeof(host) - 1) != 0 || !*host)
        (void)snprintf(host, sizeof(host), "%s", "perche");
    return keep_name(c, host, why, why_n);
}

static bool read_data(struct config *c, const char *value, char *why, size_t why_n)
{
    size_t n = strlen(value);

    if (value[0] != '/')
        return no(why, why_n, "write a whole path, from / on");
    if (n > PATH_MAX - 64)
        return no(why, why_n, "the path is too long");
    if (!keep(&c->data, value, why, why_n))
        return false;
    while (n > 1 && c->data[n - 1] == '/')
        c->data[--n] = '\0';
    return true;
}

static bool read_url(char **to, const char *value, bool listen, char *why, size_t why_n)
{
    struct perche_err err = {0};

    if (uplink_check_url(value, listen, &err) != PERCHE_OK)
        return no(why, why_n, err.text);
    return keep(to, value, why, why_n);
}

static bool read_listen(struct config *c, const char *value, char *why, size_t why_n)
{
    return read_url(&c->listen, value, true, why, why_n);
}

static bool read_advertise(struct config *c, const char *value, char *why, size_t why_n)
{
    if (!*value) /* the default: made of name and port when all is read */
        return keep(&c->advertise, value, why, why_n);
    return read_url(&c->advertise, value, false, why, why_n);
}

static bool read_upstream(struct config *c, const char *value, char *why, size_t why_n)
{
    if (!*value)
        return true;
    return read_url(&c->upstream_url, value, false, why, why_n);
}

static bool read_socket(struct config *c, const char *value, char *why, size_t why_n)
{
    if (value[0] != '/')
        return no(why, why_n, "write a whole path, from / on");
    if (strlen(value) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return no(why, why_n, "the path is too long for a socket: 107 bytes at most");
    return keep(&c->socket, value, why, why_n);
}

static bool read_web(struct config *c, const char *value, char *why, size_t why_n)
{
    const char *colon, *end;
    unsigned long port = 0;

    if (strcmp(value, "off") == 0 || !*value)
        return keep(&c->web, "", why, why_n);
    if (strncmp(value, "http://", 7) != 0)
        return no(why, why_n, "write http://ADDRESS:PORT, or off");
    colon = strrchr(value + 7, ':');
    if (!colon || colon == value + 7)
        return no(why, why_n, "write an address and a port, http://127.0.0.1:7480");
    for (end = colon + 1; *end >= '0' && *end <= '9' && port <= 65535; end++)
        port = port * 10 + (unsigned long)(*end - '0');
    if (end == colon + 1 || *end || port > 65535)
        return no(why, why_n, "the port has to be a number from 0 to 65535");
    return keep(&c->web, value, why, why_n);
}

bool config_duration(const char *text, uint64_t *ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1},      {"s", 1000},    {"m", 60000},
                 {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    uint64_t n = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++) {
        n = n * 10 + (uint64_t)(*p - '0');
        if (n > UINT64_C(1000000000000))
            return false;
    }
    if (p == text)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(p, units[i].unit) == 0) {
            if (n > UINT64_MAX / units[i].ms)
                return false;
            *ms = n * units[i].ms;
            return true;
        }
    return false;
}

static bool read_interval(struct config *c, const char *value, char *why, size_t why_n)
{
    if (!config_duration(value, &c->interval_ms))
        return no(why, why_n, "write a number and a unit (s, m, h), 30s");
    if (c->interval_ms < INTERVAL_MS_MIN || c->interval_ms > INTERVAL_MS_MAX)
        return no(why, why_n, "write something from 1s to 24h");
    return true;
}

static bool read_retire_after(struct config *c, const char *value, char *why, size_t why_n)
{
    if (!config_duration(value, &c->retire_after_ms) || c->retire_after_ms > AGE_MS_MAX)
        return no(why, why_n, "write a number and a unit (d, h), 180d, at most 36600d; 0d is never");
    return true;
}

static bool read_keep_deleted(struct config *c, const char *value, char *why, size_t why_n)
{
    if (!config_duration(value, &c->keep_deleted_ms) || c->keep_deleted_ms > AGE_MS_MAX)
        return no(why, why_n, "write a number and a unit (d, h), 30d, at most 36600d; 0d is for ever");
    return true;
}

static bool read_rate(struct config *c, const char *value, char *why, size_t why_n)
{
    char *end;

    errno = 0;
    c->max_rate = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno != 0 || c->max_rate > UINT64_C(1) << 40)
        return no(why, why_n, "write a number of bytes in a second, 0 for no limit");
    if (c->max_rate != 0 && c->max_rate < RATE_MIN)
        return no(why, why_n, "less than 200 bytes in a second carries nothing; 0 is no limit");
    return true;
}

static const struct {
    const char *section, *key, *value;
    read_cb read;
} keys[KEY_COUNT] = {
#define X(id, section, key, value, read) [KEY_##id] = {section, key, value, read},
    CONFIG_MAP(X)
#undef X
};

/* ---- the file ------------------------------------------------------------------- */

static enum perche_rc refuse(struct parser *p, int key, const char *why)
{
    unsigned line = p->config->lines[key];

    if (line == 0)
        return perche_err_set(p->err, PERCHE_CONFIG, "%s: [%s] %s (not given, so %s): %s", p->path,
                              keys[key].section, keys[key].key, keys[key].value, why);
    return perche_err_set(p->err, PERCHE_CONFIG, "%s:%u: [%s] %s: %s", p->path, line,
                          keys[key].section, keys[key].key, why);
}

static bool has_failed(const struct parser *p)
{
    return p->err->rc != PERCHE_OK;
}

static void unknown(struct parser *p, const char *section, const char *name)
{
    char known[200] = "";
    bool has_section = false;
    size_t n = 0;

    for (size_t i = 0; i < KEY_COUNT; i++) {
        bool same = strcmp(keys[i].section, section) == 0;

        has_section |= same;
        if (same)
            n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s", n > 0 ? ", " : "",
                                  keys[i].key);
    }
    if (has_section)
        (void)perche_err_set(p->err, PERCHE_CONFIG,
                             "%s:%u: [%s] %s: no such key; this section has %s", p->path, p->line,
                             section, name, known);
    else if (*section == '\0')
        (void)perche_err_set(p->err, PERCHE_CONFIG, "%s:%u: %s stands before the first section: write [node], or the one that it belongs to, above it",
                             p->path, p->line, name);
    else
        (void)perche_err_set(p->err, PERCHE_CONFIG,
                             "%s:%u: [%s] %s: no such section; there are node, hub, upstream, "
                             "control, web and sync",
                             p->path, p->line, section, name);
}

/* Called by inih for each key = value; never stops it, as the first error is kept. */
static int on_value(void *user, const char *section, const char *name, const char *value)
{
    struct parser *p = user;
    char why[300];
    int key = 0;

    if (has_failed(p))
        return 1;
    while (key < KEY_COUNT &&
           (strcmp(keys[key].section, section) != 0 || strcmp(keys[key].key, name) != 0))
        key++;
    if (key == KEY_COUNT) {
        unknown(p, section, name);
        return 1;
    }
    if (p->config->lines[key] != 0) {
        (void)perche_err_set(p->err, PERCHE_CONFIG,
                             "%s:%u: [%s] %s: given a second time, first on line %u; remove one",
                             p->path, p->line, section, name, p->config->lines[key]);
        return 1;
    }
    p->config->lines[key] = p->line;
    if (!keys[key].read(p->config, value, why, sizeof(why)))
        (void)refuse(p, key, why);
    return 1;
}

/* As fgets(), which does not tell how many bytes it has read. */
static size_t read_line(FILE *file, char *out, size_t room)
{
    size_t n = 0;
    int c = '\0';

    while (n + 1 < room && c != '\n' && (c = getc(file)) != EOF)
        out[n++] = (char)c;
    out[n] = '\0';
    return n;
}

/* inih passes over a section without keys: say that it does not exist all the same. */
static void check_section(struct parser *p, const char *text)
{
    size_t name_n = strcspn(text + 1, "]");
    bool known = false;

    for (size_t i = 0; i < KEY_COUNT; i++)
        known |= strlen(keys[i].section) == name_n &&
                 strncmp(keys[i].section, text + 1, name_n) == 0;
    if (text[1 + name_n] != ']')
        (void)perche_err_set(p->err, PERCHE_CONFIG, "%s:%u: a section ends with ]: write [%.*s]", p->path, p->line,
                             (int)strcspn(text + 1, " \t\r\n"), text + 1);
    else if (!known)
        (void)perche_err_set(p->err, PERCHE_CONFIG,
                             "%s:%u: [%.*s]: no such section; there are node, hub, upstream, "
                             "control, web and sync",
                             p->path, p->line, (int)name_n, text + 1);
    if (name_n == strlen("upstream") && strncmp(text + 1, "upstream", name_n) == 0 &&
        p->upstream_line == 0)
        p->upstream_line = p->line;
}

/* inih asks for lines and does not say which it is at; so they are counted here. It takes an indented one for more of
 * the value before, which no key has: each is given from its first character. */
static char *on_line(char *out, int n, void *stream)
{
    static const char mark[] = "\xef\xbb\xbf"; /* some editors begin UTF-8 with it */
    struct parser *p = stream;
    size_t length = read_line(p->file, out, (size_t)n), skipped = 0;

    if (ferror(p->file) && !has_failed(p))
        (void)perche_err_set(p->err, perche_rc_of_errno(errno), "%s: cannot be read: %s", p->path,
                             strerror(errno));
    if (length == 0 || ferror(p->file))
        return NULL;
    p->line++;
    if (memchr(out, '\0', length) && !has_failed(p))
        (void)perche_err_set(p->err, PERCHE_CONFIG,
                             "%s:%u: a zero byte: the file is damaged, as after a power cut, or not "
                             "saved as UTF-8; write it anew",
                             p->path, p->line);
    if (length + 1 == (size_t)n && out[length - 1] != '\n' && !has_failed(p))
        (void)perche_err_set(p->err, PERCHE_CONFIG,
                             "%s:%u: the line is longer than %d bytes; shorten it", p->path,
                             p->line, n - 1);
    if (p->line == 1 && strncmp(out, mark, strlen(mark)) == 0)
        skipped = strlen(mark);
    skipped += strspn(out + skipped, " \t\v\f\r");
    memmove(out, out + skipped, length + 1 - skipped);
    if (*out == '[' && !has_failed(p))
        check_section(p, out);
    return out;
}

static void parse(struct parser *p)
{
    int bad = ini_parse_stream(on_line, p, on_value, p);

    if (bad > 0 && !has_failed(p))
        (void)perche_err_set(p->err, PERCHE_CONFIG,
                             "%s:%d: neither [section] nor key = value; a comment begins with ;",
                             p->path, bad);
    if (bad < 0 && !has_failed(p))
        (void)perche_err_set(p->err, PERCHE_NOMEM, "%s: out of memory", p->path);
}

/* ---- all of it together ------------------------------------------------------------ */

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void folder_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');

    (void)snprintf(out, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static void check_folders(struct parser *p)
{
    const struct config *c = p->config;
    char folder[PATH_MAX], why[PATH_MAX + 100];
    struct stat st;

    if (stat(c->data, &st) == 0) {
        if (!S_ISDIR(st.st_mode)) {
            (void)refuse(p, KEY_NODE_DATA, "this is not a folder");
            return;
        }
    } else {
        folder_of(c->data, folder);
        if (!is_folder(folder)) {
            (void)snprintf(
                why, sizeof(why),
                "the folder %s does not exist, so %s cannot be made in it; make it, or name another",
                folder, c->data);
            (void)refuse(p, KEY_NODE_DATA, why);
            return;
        }
    }
    folder_of(c->socket, folder);
    if (!is_folder(folder)) {
        (void)snprintf(why, sizeof(why),
                       "the folder %s does not exist; make it, or name another socket", folder);
        (void)refuse(p, KEY_CONTROL_SOCKET, why);
    }
}

static void finish(struct parser *p)
{
    struct config *c = p->config;
    char why[400];

    for (int key = 0; key < KEY_COUNT && !has_failed(p); key++)
        if (c->lines[key] == 0 && !keys[key].read(c, keys[key].value, why, sizeof(why)))
            (void)refuse(p, key, why);
    if (has_failed(p))
        return;
    if (c->role == REPLICA_HUB && p->upstream_line != 0) {
        (void)perche_err_set(
            p->err, PERCHE_CONFIG,
            "%s:%u: [upstream]%s: a hub may have an upstream hub of its own once the tree (site, "
            "department, Region, State) is built of the same link; until then role = hub "
            "with [upstream] is refused: remove [upstream], or say role = site",
            p->path, c->lines[KEY_UPSTREAM_URL] ? c->lines[KEY_UPSTREAM_URL] : p->upstream_line,
            c->lines[KEY_UPSTREAM_URL] ? " url" : "");
        return;
    }
    if (!*c->advertise) { /* its own name, at the port where it listens */
        char host[HOST_NAME_MAX + 1] = "localhost";
        const char *scheme_end = strstr(c->listen, "://"), *port = strrchr(c->listen, ':');

        (void)gethostname(host, sizeof(host) - 1); /* else localhost, which people will see */
        (void)snprintf(why, sizeof(why), "%.*s://%s%s", (int)(scheme_end - c->listen), c->listen,
                       host, port);
        if (!keep(&c->advertise, why, why, sizeof(why)))
            (void)perche_err_set(p->err, PERCHE_NOMEM, "%s: out of memory", p->path);
    }
    if (!has_failed(p))
        check_folders(p);
}

enum perche_rc config_load(const char *path, bool may_be_missing, struct config *out,
                           struct perche_err *err)
{
    struct config c = {.role = REPLICA_SITE};
    struct perche_err first = {0};
    struct parser p = {.config = &c, .err = &first, .path = path};
    int failed;

    c.lines = calloc(KEY_COUNT, sizeof(*c.lines));
    if (!c.lines)
        return perche_err_set(err, PERCHE_NOMEM, "%s: out of memory", path);
    p.file = fopen(path, "re");
    failed = p.file ? 0 : errno;
    if (is_folder(path))
        (void)perche_err_set(&first, PERCHE_CONFIG, "%s is a folder: name the file in it, for example %s/perched.conf", path, path);
    else if (p.file)
        parse(&p);
    else if (failed != ENOENT || !may_be_missing)
        (void)perche_err_set(&first, perche_rc_of_errno(failed), "%s: cannot be read: %s", path,
                             strerror(failed));
    if (p.file)
        fclose(p.file);
    if (!has_failed(&p))
        finish(&p);
    if (has_failed(&p)) {
        config_free(&c);
        if (err)
            *err = first;
        return first.rc;
    }
    *out = c;
    return PERCHE_OK;
}

void config_free(struct config *c)
{
    free(c->name);
    free(c->data);
    free(c->listen);
    free(c->advertise);
    free(c->socket);
    free(c->web);
    free(c->upstream_url);
    free(c->lines);
    memset(c, 0, sizeof(*c));
}

struct node_config config_node(const struct config *c)
{
    return (struct node_config){.role = c->role,
                                .name = c->name,
                                .data = c->data,
                                .listen = c->role == REPLICA_HUB ? c->listen : NULL,
                                .advertise = c->role == REPLICA_HUB ? c->advertise : NULL,
                                .upstream_url = c->role == REPLICA_SITE ? c->upstream_url : NULL,
                                .interval_ms = c->interval_ms,
                                .max_rate = c->max_rate,
                                .retire_after_ms = c->retire_after_ms,
                                .keep_deleted_ms = c->keep_deleted_ms,
                                .seeds = c->role == REPLICA_HUB};
}

enum perche_rc config_check_data(const struct config *c, struct perche_err *err)
{
    char replica[PATH_MAX + 16], folder[PATH_MAX];
    bool there = access(c->data, F_OK) == 0;
    struct stat st;

    (void)snprintf(replica, sizeof(replica), "%s/replica.db", c->data);
    folder_of(c->data, folder);
    if (access(there ? c->data : folder, R_OK | W_OK | X_OK) != 0)
        return perche_err_set(err, perche_rc_of_errno(errno), "%s: %s: check as the user that perched runs as (sudo -u perche perched --check), and who owns it",
                              there ? c->data : folder, strerror(errno));
    if (stat(replica, &st) != 0)
        return errno == ENOENT ? PERCHE_OK : perche_err_set(err, perche_rc_of_errno(errno), "%s: %s", replica, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return perche_err_set(err, PERCHE_CONFIG, "%s is not a file: move it away, or name another [node] data", replica);
    if (access(replica, R_OK | W_OK) != 0)
        return perche_err_set(err, perche_rc_of_errno(errno), "%s: %s: check as the user that perched runs as, and who owns it", replica, strerror(errno));
    return PERCHE_OK;
}

static void describe_ages(const struct config *c, FILE *to)
{
    if (c->retire_after_ms > 0)
        fprintf(to, "retires    sites that are silent for %" PRIu64 " days\n", c->retire_after_ms / 86400000u);
    else
        fprintf(to, "retires    no site by itself\n");
    if (c->keep_deleted_ms > 0)
        fprintf(to, "forgets    what was deleted %" PRIu64 " days after every site has heard of it\n", c->keep_deleted_ms / 86400000u);
    else
        fprintf(to, "forgets    nothing of what was deleted\n");
}

static void describe_replica(const struct config *c, const struct replica_seen *seen, FILE *to)
{
    char replica[PATH_MAX + 16];

    (void)snprintf(replica, sizeof(replica), "%s/replica.db", c->data);
    fprintf(to, "replica    %s", replica);
    if (access(replica, F_OK) != 0)
        fputs(", would be made", to);
    else if (seen && seen->unknown)
        fputs(": a program died in the middle of a commit, which the start will undo", to);
    else if (seen && seen->role == REPLICA_HUB)
        fputs(", of a hub", to);
    else if (seen && seen->role == REPLICA_SITE)
        fprintf(to, ", of a site that %s%s", *seen->hub ? "belongs to the hub " : "has not joined a hub", seen->hub);
    else if (seen)
        fputs(", empty: would be made", to);
    fputc('\n', to);
}

void config_describe(const struct config *c, const char *path, const struct replica_seen *seen, FILE *to)
{
    char upstream[PATH_MAX + 20];

    (void)snprintf(upstream, sizeof(upstream), "%s/upstream.conf", c->data);
    fprintf(to, "%s%s\n", path,
            access(path, F_OK) == 0 ? "" : " is not there: every key has its default");
    fprintf(to, "role       %s, named %s\n", c->role == REPLICA_HUB ? "hub" : "site", c->name);
    describe_replica(c, seen, to);
    if (c->role == REPLICA_HUB) {
        fprintf(to, "listens    %s\n", c->listen);
        fprintf(to, "invites    to %s%s\n", c->advertise,
                c->lines[KEY_HUB_ADVERTISE] != 0 ? "" : ", made of this machine's name: set [hub] advertise if sites reach it by another");
        describe_ages(c, to);
    } else if (access(upstream, F_OK) == 0) {
        fprintf(to, "dials      %s%s\n", c->upstream_url ? c->upstream_url : "the hub of ",
                c->upstream_url ? "" : upstream);
    } else {
        fprintf(to, "dials      nobody: has not joined a hub (perche join LINE)\n");
    }
    fprintf(to, "socket     %s\n", c->socket);
    if (c->lines[KEY_WEB_LISTEN] != 0)
        fprintf(to, "page       none in this version: [web] listen is kept for one that has it\n");
    fprintf(to, "sync       every %" PRIu64 " s at the latest, ", c->interval_ms / 1000u);
    if (c->max_rate > 0)
        fprintf(to, "%" PRIu64 " bytes/s at most\n", c->max_rate);
    else
        fprintf(to, "as fast as the line is\n");
}
