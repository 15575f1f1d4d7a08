/* Texts of people: widths of UTF-8, times, durations, counts, row ids. */
#ifndef CLIENT_TEXT_H
#define CLIENT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json_t;

/* ---- memory: a client that gets none says so and ends with CLIENT_NO ----- */

void *must_have(void *p); /* @p, unless it is NULL */
char *text_copy(const char *p, size_t n);
char *text_print(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* malloc */

/* ---- UTF-8 ---------------------------------------------------------------- */

bool text_valid(const char *text); /* is it UTF-8? */
/* A copy that may go to a terminal as one line: line breaks and tabs become spaces, other
 * control characters and what is not UTF-8 become U+FFFD, so that no record can steer the
 * terminal of whoever reads it. */
char *text_clean(const char *p, size_t n);
/* Prints one line for people: all of it is cleaned, and a line break put behind it. */
void text_say(FILE *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Columns that a cleaned text takes on a terminal. The locale has to be a UTF-8 one. */
int text_width(const char *text);
/* Bytes of the longest part of @text that takes at most @columns; *took = its columns. */
size_t text_fit(const char *text, int columns, int *took);

/* ---- numbers and times ---------------------------------------------------- */

bool text_number(const char *text, uint64_t *out); /* 1 to 2^53 */
bool text_duration(const char *text,
                   uint64_t *out_ms); /* 250ms 60s 60 5m 1h 7d 2w; from 1 ms to ten years */
/* "2025-09-01T12:05:12.250Z", also without the fraction; false = no such text. */
bool text_iso(const char *text, uint64_t *out_ms);

#define TEXT_TIME_MAX 32
/* Local time zone: "14:05:12" today, "1 Sep 14:05" this year, else "1 Sep 2024". */
void text_when(uint64_t ms, uint64_t now_ms, char out[TEXT_TIME_MAX]);
void text_day(uint64_t ms, uint64_t now_ms, char out[TEXT_TIME_MAX]); /* "1 Sep", "1 Sep 2024" */
void text_offset(int64_t ms, char out[TEXT_TIME_MAX]);                 /* "+0.2 s"; what rounds to nothing is "0.0 s" */
void text_exact(uint64_t ms, char out[TEXT_TIME_MAX]);                /* "2025-09-01 14:05:12" */
void text_zone(uint64_t ms, char out[TEXT_TIME_MAX]);                 /* "CEST": what these are in */
void text_ago(uint64_t ms, uint64_t now_ms, char out[TEXT_TIME_MAX]); /* "12 s ago" */
void text_span(uint64_t ms, char out[TEXT_TIME_MAX]);                 /* "38 ms", "12 s", "3 h" */
void text_digits(uint64_t n, char out[TEXT_TIME_MAX]);                /* "1,234,567" */

/* ---- row ids -------------------------------------------------------------- */

/* The values of a key from words of the command line, each of them one value or several with
 * commas between; "\," is a comma that belongs to the value, "\\" a backslash. A new array of
 * strings; NULL when a value is empty. */
struct json_t *text_row_id(const char *const *words, int count);

#endif
