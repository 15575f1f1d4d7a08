/* The figures, and how a count becomes one. */
#ifndef SCHOOL_FIGURES_H
#define SCHOOL_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum figure_unit { FIGURE_COUNT, FIGURE_PERCENT, FIGURE_CENTS, FIGURE_POINTS /* of 10,000, cut off */ };

/* @rows: a query of one row for each thing that counts: tab, id, site_id, cohort_id, part, n, d, contested, waiting, says.
 * n of d is what it adds to numerator and denominator (d NULL: to none); contested and waiting ones add nothing and are told.
 * Its parameters are :from, :to, :as_of, :by and, of a figure that is counted under a definition, :definition. */
struct figure {
    const char *name, *says;
    enum figure_unit unit;
    int decimals;
    bool defined;
    const char *rows;
    const char *summed; /* the same with equal things added up: contested and waiting say how many; NULL = there is none */
    bool sheets;        /* attendance: n_again and d_again are what of n and d counts in another group as well, and summed is from the TEMP table of sheets.h */
};

extern const struct figure figures[];
extern const size_t figures_count;

/* The one that stands for every indicator_definition. */
extern const struct figure figure_outcome;

enum figure_rounding { ROUND_HALF_UP, ROUND_TRUNCATE };

#define FIGURE_TEXT_MAX 40

/* What is printed of @n in @d: "64", "92.86", "6200.00" (cents as their unit), "6099"; "" when @d is 0. Both at least 0; a count is @n alone. */
void figure_value(enum figure_unit unit, int decimals, enum figure_rounding rounding, int64_t n, int64_t d, char out[FIGURE_TEXT_MAX]);

enum figure_hidden { HIDDEN_NOT, HIDDEN_SMALL, HIDDEN_BESIDE };

struct figure_row {
    int64_t n, d;
    enum figure_hidden hidden;
};

/* Hides each row whose denominator is under @least, and beside a single one the next smallest: the sum, which is
 * published, would give it back. */
void figure_hide(struct figure_row *rows, size_t count, int64_t least);

#endif
