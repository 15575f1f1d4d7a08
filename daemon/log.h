/* The log: one line is one event, named first, then facts as key=value. Row
 * contents and keys of persons stay out. Any thread may log.
 *
 *     log_warn("uplink.lost", "hub=%s waited_ms=%u err=\"%s\"", hub, waited_ms, err.text);
 *
 * Levels are the journal's priorities: when stderr goes to the journal each line
 * begins with "<4>" and the like, otherwise with the time and the level's name.
 * A control character in a line is written as a space: one event stays one line. */
#ifndef PERCHED_LOG_H
#define PERCHED_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARN = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7
};

/* Reads $JOURNAL_STREAM and $PERCHE_LOG (error, warn, notice, info, debug) once. Without
 * it the log goes to stderr from notice up. */
void log_init(void);
void log_set_level(enum log_level level); /* that and what is more urgent is written */
enum log_level log_level(void);
bool log_level_parse(const char *text, enum log_level *out);

/* Where lines go instead of stderr; for tests. NULL: stderr again. @line has no newline. */
void log_set_sink(void *ctx, void (*sink)(void *ctx, enum log_level level, const char *line));
bool log_to_journal(void);
void log_set_journal(bool journal); /* priorities in front or not, whatever log_init() found */

void log_event(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(event, ...)  log_event(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...)   log_event(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_notice(event, ...) log_event(LOG_LEVEL_NOTICE, event, __VA_ARGS__)
#define log_info(event, ...)   log_event(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...)  log_event(LOG_LEVEL_DEBUG, event, __VA_ARGS__)

#endif
