#include "log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 1024

static atomic_int level_now = LOG_LEVEL_NOTICE;
static atomic_bool journal;

/* Guards the sink; stderr gets each line in one write(), which needs no lock. */
static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*sink_cb)(void *ctx, enum log_level level, const char *line);
static void *sink_ctx;

static const struct {
    enum log_level level;
    const char *name;
} levels[] = {
    {LOG_LEVEL_ERROR, "error"}, {LOG_LEVEL_WARN, "warn"},   {LOG_LEVEL_NOTICE, "notice"},
    {LOG_LEVEL_INFO, "info"},   {LOG_LEVEL_DEBUG, "debug"},
};

static const char *name_of(enum log_level level)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (levels[i].level == level)
            return levels[i].name;
    return "?";
}

bool log_level_parse(const char *text, enum log_level *out)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcasecmp(levels[i].name, text) == 0) {
            *out = levels[i].level;
            return true;
        }
    return false;
}

/* $JOURNAL_STREAM names device and inode of the stream that the journal reads;
 * a program that was started with its stderr elsewhere inherits it all the same. */
static bool stderr_is_the_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    unsigned long long dev, ino;

    return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_init(void)
{
    const char *text = getenv("PERCHE_LOG");
    enum log_level level;

    atomic_store(&journal, stderr_is_the_journal());
    if (text && log_level_parse(text, &level))
        log_set_level(level);
}

void log_set_level(enum log_level level)
{
    atomic_store(&level_now, (int)level);
}

enum log_level log_level(void)
{
    return (enum log_level)atomic_load(&level_now);
}

bool log_to_journal(void)
{
    return atomic_load(&journal);
}

void log_set_journal(bool on)
{
    atomic_store(&journal, on);
}

void log_set_sink(void *ctx, void (*sink)(void *ctx, enum log_level level, const char *line))
{
    pthread_mutex_lock(&sink_lock);
    sink_cb = sink;
    sink_ctx = ctx;
    pthread_mutex_unlock(&sink_lock);
}

static size_t prefix(char *out, size_t n, enum log_level level)
{
    struct timespec now;
    struct tm tm;
    size_t used;

    if (atomic_load(&journal))
        return (size_t)snprintf(out, n, "<%d>", (int)level);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    used = strftime(out, n, "%Y-%m-%dT%H:%M:%S", &tm);
    used += (size_t)snprintf(out + used, n - used, ".%03ldZ %-6s ", now.tv_nsec / 1000000,
                             name_of(level));
    return used;
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
    char line[LINE_BYTES_MAX + 2];
    size_t start, n;
    va_list args;
    int printed;

    if ((int)level > atomic_load(&level_now))
        return;
    start = prefix(line, sizeof(line), level);
    n = start + (size_t)snprintf(line + start, LINE_BYTES_MAX - start, "%s ", event);
    if (n < LINE_BYTES_MAX) {
        va_start(args, fmt);
        printed = vsnprintf(line + n, LINE_BYTES_MAX - n, fmt, args);
        va_end(args);
        if (printed > 0)
            n += (size_t)printed;
    }
    if (n > LINE_BYTES_MAX - 1)
        n = LINE_BYTES_MAX - 1; /* cut, never two lines */
    while (n > start && line[n - 1] == ' ')
        n--;
    for (size_t i = start; i < n; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = ' ';
    line[n] = '\0';

    pthread_mutex_lock(&sink_lock);
    if (sink_cb) {
        sink_cb(sink_ctx, level, line);
        pthread_mutex_unlock(&sink_lock);
        return;
    }
    pthread_mutex_unlock(&sink_lock);
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0) {
        /* nowhere left to say so */
    }
}
