#ifndef CLIENT_HELP_H
#define CLIENT_HELP_H

#include "client.h"

void help_all(FILE *out);                                       /* the list of commands */
void help_command(struct client *c, const struct command *cmd); /* to c->out */

#endif
