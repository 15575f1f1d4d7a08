/* The school's tables as this node knew them at an instant, out of the history. */
#ifndef SCHOOL_KNOWN_H
#define SCHOOL_KNOWN_H

#include "replica/internal.h"

/* From here on the tables that figures are made of, and the views of 093_indicators, are those of @at_ms for every query of
 * this connection that names them without a schema. Within a read transaction of a reader; ended with known_end() in any
 * case, also when it fails. A row that came or was written here after @at_ms is as it was before, one that was deleted
 * since is there. Costs a copy of the tables, and the history since. */
enum perche_rc known_begin(struct replica *r, uint64_t at_ms);
void known_end(struct replica *r);

#endif
