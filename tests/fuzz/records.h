/* The form of an input of a conversation: a byte of choices for all of it, then a record for each step, a byte of length
 * and so many bytes of choices. A step that wants more reads zeros, so whatever is done to one record leaves the other
 * steps what they were; records.c alters inputs accordingly. */
#ifndef TESTS_FUZZ_RECORDS_H
#define TESTS_FUZZ_RECORDS_H

#include <stdint.h>

/* The first byte. */
#define HOW_HOLDS 1u    /* works wait until they are told to go on, and may fail */
#define HOW_SHAKEN 2u   /* begins with a handshake that succeeds */
#define HOW_RESTARTS 4u /* may start anew; this and the next cost five times the rest */
#define HOW_MIGRATES 8u /* the hub has migrations */

struct input {
    const uint8_t *p, *end;
};

/* What *rest begins with; it goes on behind it. */
static inline struct input record_next(struct input *rest)
{
    struct input in = {rest->p, rest->p};

    if (rest->p < rest->end) {
        uint8_t n = *rest->p;

        in.p++;
        in.end = n < rest->end - in.p ? in.p + n : rest->end;
        rest->p = in.end;
    }
    return in;
}

#endif
