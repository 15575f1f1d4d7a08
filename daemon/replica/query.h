/* Questions of people (WORK_QUERY), a file for each subject. */
#ifndef REPLICA_QUERY_H
#define REPLICA_QUERY_H

#include "replica/ask.h"

/* Each writes the members of the answer's object, which is open, into @j. */
typedef enum perche_rc (*query_cb)(struct replica *r, struct args *a, struct json *j);

/* records.c */
enum perche_rc query_list(struct replica *r, struct args *a, struct json *j);
enum perche_rc query_show(struct replica *r, struct args *a, struct json *j);
enum perche_rc query_history(struct replica *r, struct args *a, struct json *j);
/* verify.c */
enum perche_rc query_verify(struct replica *r, struct args *a, struct json *j);
enum perche_rc query_warnings(struct replica *r, struct args *a, struct json *j);
/* join.c: would this replica join that hub as that site? Refused with what to do */
enum perche_rc query_may_join(struct replica *r, struct args *a, struct json *j);
/* brake.c */
enum perche_rc query_held(struct replica *r, struct args *a, struct json *j);

#endif
