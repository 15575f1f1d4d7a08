/* The school's tables as this node knew them at an instant, out of the history. */
#ifndef SCHOOL_KNOWN_H
#define SCHOOL_KNOWN_H

#include "replica/internal.h"

/* TEMP tables of those that @query reads (NULL: of all that figures are made of) with what this node knew at @at_ms; they stand
 * before the replica's for every query of this connection that names them without a schema, once facts_make() has made the
 * views anew for them. Between facts_open() and facts_close(), within a read transaction of a reader. A row that came or was
 * written here after @at_ms is as it was before, one that was deleted since is there; a question stood from when both its values were
 * known until the answer was. Costs a copy of the tables, and the history since. */
enum perche_rc known_begin(struct replica *r, uint64_t at_ms, const char *query);

#endif
