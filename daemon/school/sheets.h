/* Attendance, added up at the hub: a sheet for each enrolment with what each of its half-days counts, so that a report over millions
 * of marks reads thousands of rows. Made from the marks, in a table of its own that is no record and goes nowhere (perche_sheet): it may
 * be dropped at any time and comes again. */
#ifndef SCHOOL_SHEETS_H
#define SCHOOL_SHEETS_H

#include "replica/internal.h"

/* Brings some sheets up to date, *more: there are others left. In the hub's own transaction that writes. */
enum perche_rc sheets_keep(struct replica *r, bool *more);

/* What was attended between two days (YYYY-MM-DD), for each enrolment, into TEMP table school_attendance (enrolment_id, site_id, cohort_id,
 * gross_n, gross_d, net_n, net_d, unmarked, contested, and of the first four what counts in another group as well: gross_n_again, ...).
 * Within a group nobody's half-day counts twice, whatever the number of enrolments. @by: 's' = a group is a site, 'c' = a cohort, 0 = all are
 * one. @site, @cohort: of these alone, "" = of all. Sheets that are behind are made here for this once.
 * False: there are no sheets, or far too many are behind: ask the views. */
bool sheets_sum(struct replica *r, const char *from, const char *to, char by, const char *site, const char *cohort);

#endif
