/* Commands of people (WORK_COMMAND), a file for each subject. */
#ifndef REPLICA_COMMAND_H
#define REPLICA_COMMAND_H

#include "replica/ask.h"

/* Each writes members of the answer's object, which is open, into @j. */
typedef enum perche_rc (*command_cb)(struct replica *r, const struct work *w, struct args *a,
                                     struct json *j);

/* member.c, at a hub */
enum perche_rc command_invite(struct replica *r, const struct work *w, struct args *a,
                              struct json *j);
/* "known": [[site, public key in hexadecimal, ms]] of machines that were revoked. One that joined before that, and is not revoked
 * in this file, is now. "again": how many; "revoked": the same list of all that this file has. */
enum perche_rc command_revocations(struct replica *r, const struct work *w, struct args *a, struct json *j);
enum perche_rc command_revoke(struct replica *r, const struct work *w, struct args *a,
                              struct json *j);
enum perche_rc command_recover(struct replica *r, const struct work *w, struct args *a,
                               struct json *j);
enum perche_rc command_retire(struct replica *r, const struct work *w, struct args *a,
                              struct json *j);
/* join.c. At the hub: each row that names site @old names @new from now on, as an edit of a program would. */
enum perche_rc site_rename(struct replica *r, const char *old, const char *new);
/* at a site */
enum perche_rc command_joined(struct replica *r, const struct work *w, struct args *a,
                              struct json *j);
enum perche_rc command_leave(struct replica *r, const struct work *w, struct args *a,
                             struct json *j);
/* audit.c */
enum perche_rc command_audit(struct replica *r, const struct work *w, struct args *a,
                             struct json *j);
/* replicate.c, at a hub */
enum perche_rc command_replicate(struct replica *r, const struct work *w, struct args *a,
                                 struct json *j);
enum perche_rc command_migration_unsigned(struct replica *r, const struct work *w, struct args *a,
                                          struct json *j);
enum perche_rc command_migration_signature(struct replica *r, const struct work *w, struct args *a,
                                           struct json *j);
/* brake.c */
enum perche_rc command_release(struct replica *r, const struct work *w, struct args *a,
                               struct json *j);
enum perche_rc command_undo(struct replica *r, const struct work *w, struct args *a,
                            struct json *j);

/* Bytes from twice as many hexadecimal digits. */
bool hex_parse(const char *text, uint8_t *out, size_t n);

#endif
