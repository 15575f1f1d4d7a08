/* Where an export goes: the standard output, or a file that is there whole or not at all. */
#ifndef CLIENT_OUTPUT_H
#define CLIENT_OUTPUT_H

#include "client.h"

struct output {
    struct client *c;
    FILE *f;          /* write here */
    const char *path; /* borrowed; NULL = the standard output */
    char *temp;       /* beside it, until all is written; NULL = written in place: a device, a pipe */
};

/* False: what is in the way was said. @path NULL or "-": the standard output. End with output_close(). */
bool output_open(struct client *c, const char *path, struct output *out);
/* @good: all was written, and the file takes its place; else what there is of it goes, and an older file stays. Returns the exit
 * status that follows from @status: CLIENT_NO when the file could not be written. */
int output_close(struct output *out, int status);

#endif
