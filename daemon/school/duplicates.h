/* Learners who may be one person: candidates only, a person decides (learner_link). */
#ifndef SCHOOL_DUPLICATES_H
#define SCHOOL_DUPLICATES_H

#include "replica/ask.h"

/* What two names are compared by: small letters without accents, nothing else; "Le Goff-Martin" is "legoffmartin". Returns the bytes
 * written, without the zero that ends them; cut at @size. */
size_t duplicates_fold(const char *text, char *out, size_t size);
/* The same of what may have a number, which counts: "P-1" is "p1". */
size_t duplicates_fold_figures(const char *text, char *out, size_t size);

/* The first of several given names, folded: that of "Marie-Claude Anne" is "marie". */
size_t duplicates_first(const char *text, char *out, size_t size);

struct duplicates_person {
    const char *birth_name, *use_name, *given; /* folded; "" = not known */
    const char *first;                         /* the first given name, folded */
    const char *born;                          /* YYYY-MM-DD, "" */
    const char *sex, *commune, *identifier;    /* "", "U" = not known */
};

/* How much speaks for one person, from 0; @contact: an e-mail or telephone number in common. DUPLICATES_ASK and more: a person is asked. */
#define DUPLICATES_ASK 70
int duplicates_score(const struct duplicates_person *a, const struct duplicates_person *b, bool contact);

/* As they are written; "" = not known. */
struct duplicates_names {
    const char *birth_name, *use_name, *given, *call_name;
    const char *born; /* YYYY-MM-DD */
};

/* Is somebody of this name, born that day, here already? Names are folded; of several first names the fewer may be the beginning of the more,
 * and a call name serves where there is none. The id into @id, of several the oldest; "": nobody, or too little is known. Reads those of that
 * day of birth: each call looks through all learners. On a writer's or a reader's thread; what fails is r->fail. */
enum perche_rc duplicates_here(struct replica *r, const struct duplicates_names *who, char id[PERCHE_ID_BYTES_MAX]);

/* Brings the table duplicate_candidate up to date. At a hub, in a transaction that writes. */
enum perche_rc duplicates_find(struct replica *r);

/* duplicates {all}: {duplicates: [{id, score, rule, state, a: {id, name, birth_date, site}, b}], more}: those that nobody has linked, or all
 * link {id or a and b, decision, by}: writes a learner_link; decision: SAME, DIFFERENT or UNDO */
enum perche_rc query_duplicates(struct replica *r, struct args *a, struct json *j);
enum perche_rc command_link(struct replica *r, const struct work *w, struct args *a, struct json *j);

#endif
