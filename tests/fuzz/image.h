/* What an open replica has in memory, kept once and put back before each input.
 *
 * Opening a replica is reading its schema four times and preparing its statements, some 25 ms; an input is a few.
 * So it is opened once, and everything that came of it is remembered byte by byte: SQLite's memory and its variables,
 * and the blocks that the replica and its disk took meanwhile. image_put_back() makes all of it what it was, wherever an
 * input has left it: an input finds the same state whatever ran before it, and does the same when it runs alone.
 *
 * malloc() and the like are taken over at link time (--wrap). Between image_begin() and image_keep() their blocks lie in
 * the image, with a gap behind each and, once freed, closed to AddressSanitizer as well; all others are its own. Calls
 * of SQLite are taken over as well, so that a statement need not be parsed anew for each question. */
#ifndef TESTS_FUZZ_IMAGE_H
#define TESTS_FUZZ_IMAGE_H

/* Before SQLite is first used: its memory comes from here. It is not looked at by the sanitizer, which would look at
 * SQLite instead of us; sqlite3_memory_used() says what we forget to finalize. */
void image_of_sqlite(void);
void image_begin(void);
void image_keep(void);
/* Until image_put_back() a connection that has no statement left is not closed: most of that is freeing the schema. */
void image_light(void);
/* Whoever has blocks outside of the image frees them before. */
void image_put_back(void);

#endif
