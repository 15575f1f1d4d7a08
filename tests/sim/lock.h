/* See lock.c. */
#ifndef SIM_LOCK_H
#define SIM_LOCK_H

struct replica;

void lock_never_wait(struct replica *r);

#endif
