/* Who may be one person: names without their accents, and how much speaks for it. */
#include "school/duplicates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void folds(const char *text, const char *wanted)
{
    char out[64];

    (void)duplicates_fold(text, out, sizeof out);
    assert_string_equal(out, wanted);
}

static void names_are_compared_without_accents_case_and_marks(void **state)
{
    char out[64], small[4];

    (void)state;
    folds("Aurélie", "aurelie");
    folds("LE GOFF-MARTIN", "legoffmartin");
    folds("d'Œuvre", "doeuvre");
    folds("Straße", "strasse");
    folds("ÀÂÄÇÉÈÊËÎÏÔÖÙÛÜŸ", "aaaceeeeiioouuuy");
    folds("Nuñez", "nunez");
    folds("Øystein Ærø", "oysteinaero");
    folds("Łódź", "lodz");
    folds("Müller × 2", "muller");
    folds("", "");
    (void)duplicates_first("Marie-Claude Anne", out, sizeof out);
    assert_string_equal(out, "marie");
    (void)duplicates_first("  Hélène, Rose", out, sizeof out);
    assert_string_equal(out, "helene");
    assert_int_equal(duplicates_fold("Aurélie", small, sizeof small), 3);
    assert_string_equal(small, "aur");
}

/* family, given, born, sex; "" = not known */
static int score(const char *family_a, const char *given_a, const char *born_a, const char *family_b, const char *given_b, const char *born_b, bool contact)
{
    char text[6][64];
    struct duplicates_person a = {.use_name = "", .sex = "F", .commune = "", .identifier = ""}, b = a;

    (void)duplicates_fold(family_a, text[0], 64), (void)duplicates_fold(given_a, text[1], 64), (void)duplicates_first(given_a, text[2], 64);
    (void)duplicates_fold(family_b, text[3], 64), (void)duplicates_fold(given_b, text[4], 64), (void)duplicates_first(given_b, text[5], 64);
    a.birth_name = text[0], a.given = text[1], a.first = text[2], a.born = born_a;
    b.birth_name = text[3], b.given = text[4], b.first = text[5], b.born = born_b;
    return duplicates_score(&a, &b, contact);
}

static void is_asked(bool asked, int score)
{
    if ((score >= DUPLICATES_ASK) != asked)
        fail_msg("score %d, a person is %s", score, asked ? "to be asked" : "not to be asked");
}

static void one_person_of_two_registrations_is_asked_about(void **state)
{
    (void)state;
    is_asked(true, score("LE GOFF-MARTIN", "Aurélie", "1991-02-03", "Martin", "Aurelie", "1991-02-03", true));
    is_asked(true, score("LE GOFF-MARTIN", "Aurélie", "1991-02-03", "Le Goff", "Aurélie", "1991-02-03", false));
    is_asked(false, score("Martin", "Aurelie", "1991-02-03", "Le Goff", "Aurélie", "1991-02-03", false));
    is_asked(true, score("Martin", "Aurelie", "1991-02-03", "Martin", "Aurélie Jeanne", "1991-02-03", false));
    is_asked(true, score("Jeanne", "Martin", "1991-02-03", "Martin", "Jeanne", "1991-02-03", false)); /* swapped */
    is_asked(true, score("Martin", "Jeanne", "1991-02-03", "Martin", "Jeanne", "", false));           /* not known here */
}

static void twins_houses_and_namesakes_are_not(void **state)
{
    (void)state;
    is_asked(false, score("Martin", "Alice", "1991-02-03", "Martin", "Jeanne", "1991-02-03", true));
    is_asked(false, score("Martin", "Jeanne", "1991-02-03", "Martin", "Jeanne", "1978-02-03", true));
    is_asked(false, score("Durand", "Alice", "1991-02-03", "Petit", "Alice", "1991-02-03", true));
    is_asked(false, score("", "", "1991-02-03", "", "", "1991-02-03", true));
    is_asked(true, score("Martin", "Jeanne", "1991-02-03", "Martin", "Jeanne", "1991-02-08", false)); /* of one sex: mistyped, perhaps */
    is_asked(false, score("Le Goff-Martin", "Jeanne", "1991-02-03", "Martin", "Jeanne", "1991-05-08", false));
}

static void an_identifier_says_it_alone(void **state)
{
    struct duplicates_person a = {"durand", "", "alice", "alice", "1991-02-03", "F", "", "4127803K"}, b = {"petit", "", "zoe", "zoe", "", "U", "", "4127803K"};

    (void)state;
    is_asked(true, duplicates_score(&a, &b, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_compared_without_accents_case_and_marks),
        cmocka_unit_test(one_person_of_two_registrations_is_asked_about),
        cmocka_unit_test(twins_houses_and_namesakes_are_not),
        cmocka_unit_test(an_identifier_says_it_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
