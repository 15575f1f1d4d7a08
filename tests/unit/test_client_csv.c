/* CSV: out as RFC 4180 says, and no cell that a spreadsheet would run; in as spreadsheets write it. */
#include "../../client/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void row_is(const char *cell, const char *wanted)
{
    char *text = NULL;
    size_t n = 0;
    struct csv csv = {open_memstream(&text, &n), 0, 0};

    assert_non_null(csv.out);
    csv_text(&csv, cell);
    csv_end_row(&csv);
    assert_int_equal(fclose(csv.out), 0);
    assert_string_equal(text, wanted);
    free(text);
}

static void cells_are_quoted_where_they_have_to_be(void **state)
{
    (void)state;
    row_is("La Loupe", "La Loupe\r\n");
    row_is("", "\r\n");
    row_is(NULL, "\r\n");
    row_is("Le Goff, Aurélie", "\"Le Goff, Aurélie\"\r\n");
    row_is("said \"yes\"", "\"said \"\"yes\"\"\"\r\n");
    row_is("two\nlines", "\"two\nlines\"\r\n");
    row_is(" kept ", "\" kept \"\r\n");
    row_is("0612345678", "0612345678\r\n");
}

static void no_cell_is_a_formula(void **state)
{
    (void)state;
    row_is("=1+1", "'=1+1\r\n");
    row_is("+33612345678", "'+33612345678\r\n");
    row_is("-", "'-\r\n");
    row_is("@SUM(A1)", "'@SUM(A1)\r\n");
    row_is("\tcmd", "'\tcmd\r\n");
    row_is("=\"a,b\"", "\"'=\"\"a,b\"\"\"\r\n");
    row_is("a=b", "a=b\r\n");
}

static void a_number_stays_one(void **state)
{
    char *text = NULL;
    size_t n = 0;
    struct csv csv = {open_memstream(&text, &n), 0, 0};

    (void)state;
    assert_non_null(csv.out);
    csv_number(&csv, "-2");
    csv_number(&csv, "79.07");
    csv_text(&csv, "x");
    csv_end_row(&csv);
    csv_text(&csv, "next");
    csv_end_row(&csv);
    assert_int_equal(fclose(csv.out), 0);
    assert_string_equal(text, "-2,79.07,x\r\nnext\r\n");
    free(text);
}

/* The rows as "a|b;c|d", each with its line in front. */
static void reads(const char *bytes, size_t n, const char *wanted)
{
    struct csv_file file;
    char found[512] = "";
    size_t at = 0;
    int line;

    if (!csv_open(&file, bytes, n, &line)) {
        at += (size_t)snprintf(found, sizeof found, "line %d", line);
    } else {
        for (int i = 0; i < file.count; i++) {
            at += (size_t)snprintf(found + at, sizeof found - at, "%s%d:", i > 0 ? ";" : "", file.rows[i].line);
            for (int k = 0; k < file.rows[i].count; k++)
                at += (size_t)snprintf(found + at, sizeof found - at, "%s%s", k > 0 ? "|" : "", file.rows[i].cells[k]);
        }
    }
    csv_close(&file);
    assert_string_equal(found, wanted);
}

#define READS(text, wanted) reads(text, sizeof(text) - 1, wanted)

static void rows_are_read_as_spreadsheets_write_them(void **state)
{
    (void)state;
    READS("a,b\r\nc,d\r\n", "1:a|b;2:c|d");
    READS("a;b\nc;d", "1:a|b;2:c|d");
    READS("a\tb\rc\td\r", "1:a|b;2:c|d");
    READS("\xEF\xBB\xBF" "nom;ville\nLe Goff;La Loupe\n", "1:nom|ville;2:Le Goff|La Loupe");
    READS("a,b\n\n\nc,\n", "1:a|b;4:c|");
    READS("a,b\n\"x\ny\",\"say \"\"z\"\"\"\nlast,1\n", "1:a|b;2:x\ny|say \"z\";4:last|1");
    READS("a,b\n\"x, y\" ,z\n", "1:a|b;2:x, y |z");
    READS("tel,nom\n'+33612345678,'=x\n,'s\n", "1:tel|nom;2:+33612345678|=x;3:|'s");
    READS("cp\n01000\n", "1:cp;2:01000");
    READS("", "");
}

static void windows_1252_is_taken_for_what_it_is(void **state)
{
    (void)state;
    READS("pr\xE9nom;prix\nAur\xE9lie;25 \x80\n", "1:prénom|prix;2:Aurélie|25 €");
}

static void what_is_no_csv_is_said_with_its_line(void **state)
{
    (void)state;
    READS("a,b\n1,2\n\"never closed,3\n4,5\n", "line 3");
    READS("a\0b", "line 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_quoted_where_they_have_to_be),
        cmocka_unit_test(no_cell_is_a_formula),
        cmocka_unit_test(a_number_stays_one),
        cmocka_unit_test(rows_are_read_as_spreadsheets_write_them),
        cmocka_unit_test(windows_1252_is_taken_for_what_it_is),
        cmocka_unit_test(what_is_no_csv_is_said_with_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
