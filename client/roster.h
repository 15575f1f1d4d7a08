/* OneRoster 1.1 CSV: what its files are called and hold, and both ways.
 *
 * The daemon knows nothing of it: rows go out of `list` and in by `import`, mapped here.
 *
 *   orgs              site; network; organisation, where it teaches
 *   courses           training
 *   classes           cohort
 *   academicSessions  the days of each cohort
 *   users             learner, role student
 *   demographics      learner: day of birth, sex, country of birth. No ethnic column is ever filled or read
 *   enrollments       enrolment
 *
 * Days on which something ends are the last ones here, and the ones after in OneRoster, which ends where it says. */
#ifndef CLIENT_ROSTER_H
#define CLIENT_ROSTER_H

#include "client.h"

enum roster_file {
    ROSTER_SESSIONS,
    ROSTER_CLASSES,
    ROSTER_COURSES,
    ROSTER_DEMOGRAPHICS,
    ROSTER_ENROLLMENTS,
    ROSTER_ORGS,
    ROSTER_USERS,
    ROSTER_FILES
};

#define ROSTER_COLUMNS_MAX 18

struct roster_spec {
    const char *name; /* as the manifest calls it, without ".csv" */
    const char *columns[ROSTER_COLUMNS_MAX + 1]; /* as the specification lists them; ends with NULL */
    const char *required; /* of these: those that each row has a value in, with a blank behind each */
};
extern const struct roster_spec roster_specs[ROSTER_FILES];

/* Those that the manifest of 1.1 names and that hold nothing of ours; ends with NULL. */
extern const char *const roster_absent[];

/* The day @days later, of "2015-04-30"; false: it is no day. */
bool roster_day(const char *day, int days, char out[11]);

/* Writes the archive to @out. The exit status. */
int roster_export(struct client *c, FILE *out);

#endif
