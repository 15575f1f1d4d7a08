/* A day as people type it, read by one function in perche and in perched. */
#ifndef PERCHE_DAY_H
#define PERCHE_DAY_H

#include <stdbool.h>
#include <stddef.h>

#define PERCHE_DAY_BYTES 11 /* 2016-04-13 and the zero that ends it */
#define PERCHE_DAY_WANTED "write 2016-04-13 or 13/04/2016"

/* The number at *p, of @least to @most digits; moves on. -1: there is none. */
static inline int perche_day_number(const char **p, int least, int most)
{
    int n = 0, digits = 0;

    while (digits < most && **p >= '0' && **p <= '9') {
        n = n * 10 + (**p - '0');
        digits++;
        ++*p;
    }
    return digits >= least ? n : -1;
}

/* Is there such a day? From the year 1000 on: a year of two digits is a slip. */
static inline bool perche_day_is(int y, int m, int d)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

    return y >= 1000 && y <= 9999 && m >= 1 && m <= 12 && d >= 1 && d <= days[m - 1] + (m == 2 && leap);
}

/* The day that @text begins with, 2016-04-13, 13/04/2016 or 13.4.2016, into @out as 2016-04-13. Returns how many bytes
 * of @text it is; 0: there is no day, and @out is left alone. Any thread. */
static inline size_t perche_day_read(const char *text, char out[PERCHE_DAY_BYTES])
{
    const char *p = text;
    char mark = '-';
    int y = perche_day_number(&p, 4, 4), m = -1, d = -1;

    if (y >= 0 && *p == mark) {
        p++;
        m = perche_day_number(&p, 2, 2);
        if (m >= 0 && *p == mark && p++)
            d = perche_day_number(&p, 2, 2);
    } else {
        p = text;
        d = perche_day_number(&p, 1, 2);
        mark = *p;
        if (d < 0 || (mark != '/' && mark != '.'))
            return 0;
        p++;
        m = perche_day_number(&p, 1, 2);
        if (m < 0 || *p != mark)
            return 0;
        p++;
        y = perche_day_number(&p, 4, 4);
    }
    if (!perche_day_is(y, m, d) || (*p >= '0' && *p <= '9'))
        return 0;
    for (int i = 3, n = y; i >= 0; i--, n /= 10)
        out[i] = (char)('0' + n % 10);
    out[4] = out[7] = '-';
    out[5] = (char)('0' + m / 10), out[6] = (char)('0' + m % 10);
    out[8] = (char)('0' + d / 10), out[9] = (char)('0' + d % 10);
    out[10] = '\0';
    return (size_t)(p - text);
}

#endif
