/* Files inside a zip, both ways, by libarchive. Nothing is ever written under a name that stands in an archive.
 *
 * In: what it unpacks to is bounded before it is unpacked, so that no archive takes more memory than
 * ZIP_MEMBER_BYTES_MAX for each file that is asked for and ZIP_BYTES_MAX in all. */
#ifndef CLIENT_ZIP_H
#define CLIENT_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ZIP_MEMBER_BYTES_MAX (32u << 20)
#define ZIP_BYTES_MAX (96u << 20)
#define ZIP_MEMBERS_MAX 1000 /* a OneRoster archive has at most fourteen */

struct zip_member {
    const char *name; /* that is asked for: it stands at the top of the archive */
    char *bytes;      /* malloc; NULL = it is not there */
    size_t n;
};

/* Unpacks what is there of @members, @count of them, from @bytes, which stay the caller's. @on_other hears of each other file,
 * with a name that may hold anything (NULL = one that cannot be read). False: *why (malloc) says what is wrong with the archive.
 * End with zip_clear() in any case. */
bool zip_read(const char *bytes, size_t n, struct zip_member *members, size_t count, void (*on_other)(void *ctx, const char *name), void *ctx,
              char **why);
void zip_clear(struct zip_member *members, size_t count);

/* How many bytes of @member of the archive at @path stand between the first @begin, which is in its first 64 KB, and the last @end,
 * in its last 4 KB. False: there is no such file, it has no such texts, or it is damaged. */
bool zip_between(const char *path, const char *member, const char *begin, const char *end, uint64_t *bytes);

struct zip_writer;

/* An archive that goes to @out as it is written; NULL: no memory. @at: the time that its files bear, in seconds. */
struct zip_writer *zip_new(FILE *out, long long at);
/* The next file, at the top of it: what is printed to the stream that is returned goes into it, until the next call. */
FILE *zip_begin(struct zip_writer *w, const char *name);
/* Ends it. False: something could not be written. */
bool zip_end(struct zip_writer *w);

#endif
