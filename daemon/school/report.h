/* The questions and the command of report.c; what they take is said in school.h. */
#ifndef SCHOOL_REPORT_H
#define SCHOOL_REPORT_H

#include "replica/ask.h"

enum perche_rc query_report(struct replica *r, struct args *a, struct json *j);
enum perche_rc query_changes(struct replica *r, struct args *a, struct json *j);
enum perche_rc command_publish(struct replica *r, const struct work *w, struct args *a, struct json *j);

#endif
