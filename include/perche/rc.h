/* Result codes and the error that goes with them.
 *
 * One enum serves every layer, from one table that also gives the text. The
 * code is for the program, struct perche_err for the person who reads the log;
 * perche_err_set() sets both together so that they cannot disagree. */
#ifndef PERCHE_RC_H
#define PERCHE_RC_H

#define PERCHE_RC_MAP(X)                                                      \
    X(OK, 0, "ok")                                                            \
    X(NOMEM, -1, "out of memory")                                             \
    X(CORRUPT, -2, "data failed its checks")                                  \
    X(TOO_LARGE, -3, "larger than its bound")                                 \
    X(DISK, -4, "the disk failed")                                            \
    X(FULL, -5, "the disk is full")                                           \
    X(BUSY, -6, "another program holds the lock")                             \
    X(NEWER, -7, "of a newer version than this program")                      \
    X(NOT_FOUND, -8, "not found")                                             \
    X(REFUSED, -9, "refused")                                                 \
    X(USAGE, -10, "not understood")                                           \
    X(STATE, -11, "not possible now")                                         \
    X(NET, -12, "the line failed")                                            \
    X(TIMEOUT, -13, "no answer in time")                                      \
    X(AUTH, -14, "identity not proven")                                       \
    X(STALE, -15, "meant for another position")                               \
    X(CONFIG, -16, "bad configuration")                                       \
    X(INTERNAL, -17, "a mistake of this program")

enum perche_rc {
#define X(name, value, text) PERCHE_##name = value,
    PERCHE_RC_MAP(X)
#undef X
};

/* Text of @rc in English, static storage; "unknown result" for any other number. */
const char *perche_rc_text(enum perche_rc rc);
/* Name of @rc in lower case ("too_large"), static storage: what logs and JSON carry. */
const char *perche_rc_name(enum perche_rc rc);
/* What a failed call on a file or socket comes to, by its errno: CONFIG when only a person can change it (the path, a right),
 * FULL, NOMEM, and DISK for all else, which may pass. */
enum perche_rc perche_rc_of_errno(int number);

struct perche_err {
    enum perche_rc rc;
    char text[400]; /* a whole sentence for a person; never row contents or keys of persons */
};

/* Sets both and returns @rc. A text without room is cut between two characters of UTF-8. @err may be NULL. */
enum perche_rc perche_err_set(struct perche_err *err, enum perche_rc rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "context: " in front of the text. @err may be NULL. */
void perche_err_wrap(struct perche_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
