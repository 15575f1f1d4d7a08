/* The text of a scope rule (daemon/schema/000_registry.sql has the grammar). */
#ifndef REPLICA_RULE_H
#define REPLICA_RULE_H

#include "replica/internal.h"

/* Fills @t->rule and parts from @text; t's own columns and keys are known already. REFUSED: not understood, or it names a
 * column that @t lacks; NOMEM. A half-made rule is ended by rule_free. Names with other characters than letters, digits and _
 * stand in double quotes, constants may stand in single ones. */
enum perche_rc rule_parse(struct table *t, const char *text);
void rule_free(struct table *t);

#endif
