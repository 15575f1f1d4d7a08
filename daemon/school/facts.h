/* The views of the figures (daemon/schema/093_indicators.sql) once more, as TEMP ones
 * that stand before the replica's: over TEMP tables where there are any (known.h), and
 * the costly ones counted once for all that asks for them. On a reader, within its
 * transaction; what TEMP tables it has of its own go with them. */
#ifndef SCHOOL_FACTS_H
#define SCHOOL_FACTS_H

#include "replica/internal.h"

/* TEMP tables may be written from here on; the file may not. */
enum perche_rc facts_open(struct replica *r);
/* @kept: tables of the costly views, for who asks them often; they are as of now. r->fail says why not. */
enum perche_rc facts_make(struct replica *r, bool kept);
/* Also after a failure, which stays the one that is told. */
void facts_close(struct replica *r);

#endif
