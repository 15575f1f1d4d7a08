/* Who owns a message: moved, dropped, copied. Messages pass by value between
 * events, works, outcomes and actions; exactly one of these holds the arena. */
#ifndef SYNC_MESSAGE_H
#define SYNC_MESSAGE_H

#include "perche/wire.h"

/* Frees what @m owns and leaves it zeroed. Fine on a zeroed one. */
void sync_message_drop(struct perche_message *m);
/* Moves @from to @to, whatever @to held being dropped; @from is left zeroed. */
void sync_message_move(struct perche_message *to, struct perche_message *from);
/* Makes @to a second owner of the same contents, by encoding and decoding them. */
enum perche_rc sync_message_copy(struct perche_message *to, const struct perche_message *from);
/* A reply that says no. @text is static. */
void sync_message_no(struct perche_message *m, uint8_t op, enum perche_refusal why,
                     const char *text);

#endif
