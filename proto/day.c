#include "day.h"

#include <string.h>

#include "column.h"

static bool digits(const uint8_t *p, int n, uint32_t *out)
{
    uint32_t v = 0;

    for (int i = 0; i < n; i++) {
        uint32_t d = (uint32_t)p[i] - '0';

        if (d > 9)
            return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

static void put_digits(uint8_t *p, int n, uint32_t v)
{
    while (n-- > 0) {
        p[n] = (uint8_t)('0' + v % 10);
        v /= 10;
    }
}

/* Years begin in March here, so that the leap day is the last (Gregorian rule of 400 years;
 * after H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
bool day_parse(const uint8_t *text, int64_t *day)
{
    static const uint8_t lengths[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint32_t y, m, d, of_era, of_year;
    bool leap;
    int64_t year, era;

    if (!digits(text, 4, &y) || text[4] != '-' || !digits(text + 5, 2, &m) || text[7] != '-' ||
        !digits(text + 8, 2, &d))
        return false;
    leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    if (m < 1 || m > 12 || d < 1 || d > lengths[m - 1] || (m == 2 && d == 29 && !leap))
        return false;
    year = (int64_t)y - (m <= 2);
    era = (year >= 0 ? year : year - 399) / 400;
    of_era = (uint32_t)(year - era * 400);
    of_year = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    *day = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    return true;
}

void day_format(int64_t day, uint8_t *out)
{
    uint32_t of_era, year, of_year, m;
    int64_t era;

    day += 719468;
    era = (day >= 0 ? day : day - 146096) / 146097;
    of_era = (uint32_t)(day - era * 146097);
    year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    of_year = of_era - (365 * year + year / 4 - year / 100);
    m = (5 * of_year + 2) / 153;
    put_digits(out + 8, 2, of_year - (153 * m + 2) / 5 + 1);
    m = m < 10 ? m + 3 : m - 9;
    put_digits(out, 4, (uint32_t)(year + era * 400 + (m <= 2)));
    out[4] = out[7] = '-';
    put_digits(out + 5, 2, m);
}

uint32_t instant_length(int form)
{
    return 19 + (form & INSTANT_MILLIS ? 4 : 0) + (form & INSTANT_Z ? 1 : 0);
}

int instant_form(const uint8_t *text, uint32_t n)
{
    int form;

    if (n < 19 || n > 24)
        return -1;
    form = (text[10] == 'T' ? INSTANT_T : 0) | (n >= 23 ? INSTANT_MILLIS : 0) |
           (text[n - 1] == 'Z' ? INSTANT_Z : 0);
    return n == instant_length(form) ? form : -1;
}

bool instant_parse(const uint8_t *text, uint32_t n, int form, int64_t *ms)
{
    uint32_t h, m, s, milli = 0;
    int64_t day;

    if (n != instant_length(form) || !day_parse(text, &day) ||
        text[10] != (form & INSTANT_T ? 'T' : ' ') || !digits(text + 11, 2, &h) ||
        text[13] != ':' || !digits(text + 14, 2, &m) || text[16] != ':' ||
        !digits(text + 17, 2, &s) || h > 23 || m > 59 || s > 59)
        return false;
    if ((form & INSTANT_MILLIS) && (text[19] != '.' || !digits(text + 20, 3, &milli)))
        return false;
    if ((form & INSTANT_Z) && text[n - 1] != 'Z')
        return false;
    *ms = day * DAY_MS + ((h * 60 + m) * 60 + s) * INT64_C(1000) + milli;
    return true;
}

void instant_format(int64_t ms, int form, uint8_t *out)
{
    int64_t day = (ms >= 0 ? ms : ms - (DAY_MS - 1)) / DAY_MS;
    uint32_t rest = (uint32_t)(ms - day * DAY_MS), s = rest / 1000;

    day_format(day, out);
    out[10] = form & INSTANT_T ? 'T' : ' ';
    put_digits(out + 11, 2, s / 3600);
    out[13] = ':';
    put_digits(out + 14, 2, s / 60 % 60);
    out[16] = ':';
    put_digits(out + 17, 2, s % 60);
    if (form & INSTANT_MILLIS) {
        out[19] = '.';
        put_digits(out + 20, 3, rest % 1000);
    }
    if (form & INSTANT_Z)
        out[instant_length(form) - 1] = 'Z';
}
