/* Dates and instants as numbers, exact both ways: text that is not exactly what the
 * number gives back is no date here. */
#ifndef PERCHE_PROTO_DAY_H
#define PERCHE_PROTO_DAY_H

#include <stdbool.h>
#include <stdint.h>

#define DAY_FIRST (-719528) /* 0000-01-01 */
#define DAY_LAST  2932896   /* 9999-12-31 */
#define DAY_MS    INT64_C(86400000)

/* `YYYY-MM-DD`, 10 bytes: days since 1970-01-01. */
bool day_parse(const uint8_t *text, int64_t *day);
void day_format(int64_t day, uint8_t *out);

/* `YYYY-MM-DD?HH:MM:SS` with the parts of @form (column.h): milliseconds since 1970. */
bool instant_parse(const uint8_t *text, uint32_t n, int form, int64_t *ms);
uint32_t instant_length(int form);
/* @ms within the years 0 to 9999. */
void instant_format(int64_t ms, int form, uint8_t *out);
/* The form that text of @n bytes would have; negative: none. */
int instant_form(const uint8_t *text, uint32_t n);

#endif
