/* What people call rows instead of their ids, said in one place. Names are compared without capitals, accents and marks;
 * figures count, P1 is not P2. On a writer's or a reader's thread. */
#ifndef SCHOOL_CALLED_H
#define SCHOOL_CALLED_H

#include "replica/ask.h"

#define CALLED_PREFIX_MIN 8u /* characters of an id that stand for all of it */
#define CALLED_TOLD 3u       /* ids that a name of several rows is told with */

/* The rows that are called so. */
struct called {
    uint32_t count;                                            /* CALLED_TOLD at most ... */
    bool more;                                                 /* ... and others */
    char id[PERCHE_ID_BYTES_MAX];                              /* of the first of them */
    char ids[CALLED_TOLD * (PERCHE_ID_BYTES_MAX + 2u) + 6u];   /* of all that are counted: "id, id, ..." */
};

/* Rows among which one is looked for: a query of ids with ?1 and ?2. */
struct called_among {
    const char *query, *first, *second;
};

/* Who is called @text, or has it as id or as the beginning of one, of the table that @refers names, "cohort(id)"; @among NULL: of all rows
 * that are here. An enrolment is called as its learner is; without @among one that goes on comes before those that have ended. A
 * table without names: nobody. */
enum perche_rc called_find(struct replica *r, const char *refers, const char *text, const struct called_among *among, struct called *out);
/* "SELECT x.name FROM site x WHERE x.id = ", to be gone on with an id: what lists show instead of it. NULL: such rows have no name. */
const char *called_query(const char *refers);

#endif
