/* Archives as they come from outside: whole, cut at every byte, with every byte changed, larger than they say. */
#include "../../client/roster.h"
#include "../../client/zip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void on_other(void *ctx, const char *name)
{
    snprintf(ctx, 64, "%s", name ? name : "?");
}

static char *archive_of_two_users(size_t *n)
{
    char *bytes = NULL;
    FILE *out = open_memstream(&bytes, n);
    struct zip_writer *w;

    assert_non_null(out);
    w = zip_new(out, 1756735524);
    fputs("a", zip_begin(w, "users.csv"));
    fputs("b", zip_begin(w, "users.csv"));
    assert_true(zip_end(w));
    assert_int_equal(fclose(out), 0);
    return bytes;
}

/* Two files, and one that nobody asks for. */
static char *good_archive(size_t *n)
{
    char *bytes = NULL;
    FILE *out = open_memstream(&bytes, n), *f;
    struct zip_writer *w;

    assert_non_null(out);
    w = zip_new(out, 1756735524);
    fputs("propertyName,value\n", zip_begin(w, "manifest.csv"));
    f = zip_begin(w, "users.csv");
    for (int i = 0; i < 300; i++)
        fprintf(f, "%u,", (unsigned)i * (unsigned)i * 7919u);
    fputs("x", zip_begin(w, "folder/users.csv"));
    assert_true(zip_end(w));
    assert_int_equal(fclose(out), 0);
    return bytes;
}

static bool reads(const char *bytes, size_t n, struct zip_member members[3], char other[64], char **why)
{
    memset(members, 0, 3 * sizeof *members);
    members[0].name = "manifest.csv";
    members[1].name = "users.csv";
    members[2].name = "orgs.csv";
    *why = NULL;
    other[0] = '\0';
    return zip_read(bytes, n, members, 3, on_other, other, why);
}

static void what_was_written_is_read(void **state)
{
    struct zip_member members[3];
    char other[64], *why;
    size_t n;
    char *bytes = good_archive(&n);

    (void)state;
    assert_true(reads(bytes, n, members, other, &why));
    assert_int_equal(members[0].n, 19);
    assert_memory_equal(members[0].bytes, "propertyName,value\n", 19);
    assert_memory_equal(members[1].bytes, "0,7919,31676,", 13);
    assert_null(members[2].bytes);
    assert_string_equal(other, "folder/users.csv");
    zip_clear(members, 3);
    free(bytes);
}

static void an_archive_that_has_a_file_twice_is_refused(void **state)
{
    struct zip_member members[3];
    char other[64], *why;
    size_t n;
    char *bytes = archive_of_two_users(&n);

    (void)state;
    assert_false(reads(bytes, n, members, other, &why));
    assert_string_equal(why, "users.csv: it stands in the archive twice");
    zip_clear(members, 3);
    free(why);
    free(bytes);
}

static void an_archive_that_is_cut_anywhere_is_refused_with_a_reason(void **state)
{
    size_t n;
    char *bytes = good_archive(&n);

    (void)state;
    for (size_t cut = 0; cut < n; cut++) {
        struct zip_member members[3];
        char other[64], *why;
        char *copy = malloc(cut + 1); /* so that a byte behind is nobody's */

        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        assert_false(reads(copy, cut, members, other, &why));
        assert_non_null(why);
        zip_clear(members, 3);
        free(why);
        free(copy);
    }
    free(bytes);
}

/* What is not told by a checksum is in the list of files: names and times. */
static void a_byte_that_is_another_is_found_or_is_no_part_of_the_files(void **state)
{
    struct zip_member wanted[3];
    char other[64], *why;
    size_t n;
    char *bytes = good_archive(&n);

    (void)state;
    assert_true(reads(bytes, n, wanted, other, &why));
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            struct zip_member members[3];

            bytes[i] = (char)(bytes[i] ^ 1 << bit);
            if (reads(bytes, n, members, other, &why)) {
                for (int k = 0; k < 2; k++) /* a file that has another name now is not there */
                    if (members[k].bytes) {
                        assert_int_equal(members[k].n, wanted[k].n);
                        assert_memory_equal(members[k].bytes, wanted[k].bytes, wanted[k].n);
                    }
            } else {
                assert_non_null(why);
            }
            zip_clear(members, 3);
            free(why);
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
        }
    zip_clear(wanted, 3);
    free(bytes);
}

static void a_file_that_unpacks_to_more_than_it_may_is_not_unpacked(void **state)
{
    struct zip_member members[3];
    char *bytes = NULL, other[64], *why, *block = malloc(1 << 20);
    size_t n;
    FILE *out = open_memstream(&bytes, &n), *f;
    struct zip_writer *w = zip_new(out, 0);

    (void)state;
    assert_non_null(block);
    memset(block, 'x', 1 << 20);
    f = zip_begin(w, "users.csv");
    for (unsigned i = 0; i < 2 * (ZIP_MEMBER_BYTES_MAX >> 20); i++)
        assert_int_equal(fwrite(block, 1, 1 << 20, f), 1 << 20);
    assert_true(zip_end(w));
    assert_int_equal(fclose(out), 0);
    assert_true(n < 1 << 20);
    assert_false(reads(bytes, n, members, other, &why));
    assert_non_null(strstr(why, "users.csv: it unpacks to more"));
    zip_clear(members, 3);
    free(why);
    free(bytes);
    free(block);
}

static void an_archive_that_cannot_be_written_is_told(void **state)
{
    FILE *full = fopen("/dev/full", "w");
    struct zip_writer *w;

    (void)state;
    assert_non_null(full);
    setbuf(full, NULL);
    w = zip_new(full, 0);
    fputs("x", zip_begin(w, "users.csv"));
    assert_false(zip_end(w));
    (void)fclose(full); /* it has failed */
}

static void what_stands_between_two_texts_is_counted(void **state)
{
    char path[] = "/tmp/perche-zip.XXXXXX";
    int fd = mkstemp(path);
    FILE *out = fdopen(fd, "w"), *f;
    struct zip_writer *w;
    uint64_t bytes = 0;

    (void)state;
    assert_non_null(out);
    w = zip_new(out, 0);
    f = zip_begin(w, "large");
    fputs("head<a>", f);
    for (int i = 0; i < 30000; i++)
        fputs("0123456</a", f); /* more than one block, and the end is the last */
    fputs("</a>tail", f);
    f = zip_begin(w, "small");
    fputs("<a></a>", f);
    fputs("</a><a>", zip_begin(w, "wrong"));
    assert_true(zip_end(w));
    assert_int_equal(fclose(out), 0);
    assert_true(zip_between(path, "large", "<a>", "</a>", &bytes));
    assert_int_equal(bytes, 300000);
    assert_true(zip_between(path, "small", "<a>", "</a>", &bytes));
    assert_int_equal(bytes, 0);
    assert_false(zip_between(path, "small", "<b>", "</a>", &bytes));
    assert_false(zip_between(path, "none", "<a>", "</a>", &bytes));
    assert_false(zip_between("/nonexistent", "none", "<a>", "</a>", &bytes));
    assert_int_equal(unlink(path), 0);
}

static void days_are_counted(void **state)
{
    static const struct {
        const char *day;
        int days;
        const char *wanted; /* NULL: it is none */
    } cases[] = {{"2015-04-30", 1, "2015-05-01"}, {"2016-02-28", 1, "2016-02-29"},  {"2100-02-28", 1, "2100-03-01"}, {"2015-12-31", 1, "2016-01-01"}, {"2016-01-01", -1, "2015-12-31"},
                 {"2016-03-01", -1, "2016-02-29"}, {"2016-03-01", 0, "2016-03-01"}, {"9999-12-31", 1, NULL},        {"2015-02-29", 0, NULL},         {"2015-13-01", 0, NULL},
                 {"2015-1-01", 0, NULL},           {"", 0, NULL},                   {"2015-01-01x", 0, NULL},       {"-015-01-01", 0, NULL},         {"2015-00-10", 0, NULL},
                 {"0015-01-01", 0, NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char day[11];

        assert_int_equal(roster_day(cases[i].day, cases[i].days, day), cases[i].wanted != NULL);
        if (cases[i].wanted)
            assert_string_equal(day, cases[i].wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(an_archive_that_has_a_file_twice_is_refused),
        cmocka_unit_test(an_archive_that_is_cut_anywhere_is_refused_with_a_reason),
        cmocka_unit_test(a_byte_that_is_another_is_found_or_is_no_part_of_the_files),
        cmocka_unit_test(a_file_that_unpacks_to_more_than_it_may_is_not_unpacked),
        cmocka_unit_test(an_archive_that_cannot_be_written_is_told),
        cmocka_unit_test(what_stands_between_two_texts_is_counted),
        cmocka_unit_test(days_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
