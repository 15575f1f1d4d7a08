/* What the school asks of its replica beyond keeping it: the figures that funders
 * and the Region are shown, each from the views of daemon/schema/093_indicators.sql.
 *
 * Questions of people as daemon/replica answers its own (WORK_QUERY): each writes the
 * members of the answer's object, on whatever reader's thread asks, in its read
 * transaction. The replica is given them when it is opened (replica_config). */
#ifndef SCHOOL_SCHOOL_H
#define SCHOOL_SCHOOL_H

#include "replica/replica.h"

/*   report {name, from, to, as_of, site, cohort, by, known_at}, all of them optional
 *          name: a figure of figures[] or an indicator_definition.id; none: all of them
 *          from, to, as_of: YYYY-MM-DD; as_of: what was due by then, today when it is absent
 *          site, cohort: an id or a code; by: "site" or "cohort"
 *          known_at: an instant, YYYY-MM-DDThh:mm:ssZ: as this node knew it then
 *   changes {name, ..., known_at} or {snapshot}: what of a figure is another now than it was known at that instant, or when it
 *          was published, row by row */
extern const struct replica_question school_questions[];
extern const size_t school_questions_count;

/* What the hub does by itself, whenever something was written or another day has begun: transfers whose day has come, decisions that
 * the observations leave no doubt about, pairs of learners that may be one person, rows that are at odds, and attendance added up (replica_chore). */
extern const replica_chore school_chores[];
extern const size_t school_chores_count;

/* What a value that decides a question means (replica_reader): checked and written as `perche set` would. */
char *school_reader(struct replica *r, struct table *t, const char *column, const char *text);

/* What people call rows (called.h). */
extern const struct replica_naming school_naming;

/* Commands of people (WORK_COMMAND), on the writer's thread.
 *   publish {name, from, to, as_of, site, cohort, by}, at a hub: keeps the figure as it is known now in report_snapshot, a row for each
 *          part and group; changes {snapshot: the beginning of its id} then tells what has become of it
 *   add, set, void, delete, plan, mark, import, imported: by_hand.h */
extern const struct replica_command school_commands[];
extern const size_t school_commands_count;

#endif
