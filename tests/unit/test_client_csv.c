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
    row_is("one;two", "\"one;two\"\r\n");
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
    row_is("\tcmd", "\"'\tcmd\"\r\n");
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
        for (const struct csv_row *row; (row = csv_next(&file)) != NULL;) {
            at += (size_t)snprintf(found + at, sizeof found - at, "%s%d:", at > 0 ? ";" : "", row->line);
            for (int k = 0; k < row->count; k++)
                at += (size_t)snprintf(found + at, sizeof found - at, "%s%s", k > 0 ? "|" : "", row->cells[k].text);
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

static void exact(const char *cell, const char *wanted)
{
    char *text = NULL;
    size_t n = 0;
    struct csv csv = {open_memstream(&text, &n), 0, 0};

    assert_non_null(csv.out);
    csv_exact(&csv, cell);
    csv_end_row(&csv);
    assert_int_equal(fclose(csv.out), 0);
    assert_string_equal(text, wanted);
    free(text);
}

static void what_would_not_come_back_is_marked(void **state)
{
    (void)state;
    exact(NULL, "\r\n");
    exact("", "''\r\n");
    exact("La Loupe", "La Loupe\r\n");
    exact(" kept ", "\"'' kept \"\r\n");
    exact("=1+1", "'=1+1\r\n");
    exact("=1 ", "\"''=1 \"\r\n");
    exact("'=1", "'''=1\r\n");
    exact("'s-Gravenhage", "'s-Gravenhage\r\n");
    exact("''", "''''\r\n");
}

static void an_exact_cell_is_told_from_one_of_another_program(void **state)
{
    static const char text[] = "a,b,c,d\n'',\"\",',\"  \"\n\"'' x\",\" x\",'' x,''x\n";
    struct csv_file file;
    const struct csv_row *row;
    int line;

    (void)state;
    assert_true(csv_open(&file, text, sizeof text - 1, &line));
    assert_non_null(csv_next(&file));
    row = csv_next(&file);
    assert_non_null(row);
    assert_true(row->cells[0].exact && !*row->cells[0].text);  /* ours */
    assert_true(!row->cells[1].exact && !*row->cells[1].text); /* quoted, as many programs write an empty cell */
    assert_true(!row->cells[2].exact && strcmp(row->cells[2].text, "'") == 0);
    assert_false(row->cells[3].exact);
    row = csv_next(&file);
    assert_non_null(row);
    assert_true(row->cells[0].exact && strcmp(row->cells[0].text, " x") == 0);
    assert_false(row->cells[1].exact);
    assert_true(row->cells[2].exact && strcmp(row->cells[2].text, " x") == 0);
    assert_true(!row->cells[3].exact && strcmp(row->cells[3].text, "''x") == 0);
    assert_null(csv_next(&file));
    csv_close(&file);
}

/* As import takes a cell. */
static char *taken(const struct csv_cell *cell)
{
    return cell->exact ? strdup(cell->text) : csv_trimmed(cell->text);
}

static void comes_back(const char *cell, char between)
{
    char *out = NULL;
    size_t out_n = 0;
    struct csv csv = {open_memstream(&out, &out_n), between, 0};
    struct csv_file file;
    const struct csv_row *row;
    int line;

    assert_non_null(csv.out);
    csv_text(&csv, "h");
    csv_text(&csv, "h");
    csv_end_row(&csv);
    csv_exact(&csv, cell);
    csv_exact(&csv, cell);
    csv_end_row(&csv);
    assert_int_equal(fclose(csv.out), 0);
    assert_true(csv_open(&file, out, out_n, &line));
    assert_non_null(csv_next(&file));
    row = csv_next(&file);
    assert_non_null(row);
    assert_int_equal(row->count, 2);
    for (int k = 0; k < 2; k++) {
        char *back = taken(&row->cells[k]);

        assert_string_equal(back, cell);
        assert_true(*cell || row->cells[k].exact);
        free(back);
    }
    assert_null(csv_next(&file));
    csv_close(&file);
    free(out);
}

static void every_text_comes_back_as_it_was(void **state)
{
    static const char alphabet[] = " '=\",x\n\t"; /* all of what counts for the form, and a letter */
    const unsigned n = sizeof alphabet - 1;

    (void)state;
    for (unsigned length = 0, all = 1; length <= 5; length++, all *= n)
        for (unsigned i = 0; i < all; i++) {
            char cell[8] = "";

            for (unsigned k = 0, rest = i; k < length; k++, rest /= n)
                cell[k] = alphabet[rest % n];
            comes_back(cell, i % 2 ? ';' : 0);
        }
}

static void a_row_of_more_cells_than_any_table_has_is_counted_and_no_more(void **state)
{
    char *text = malloc(2 * CSV_CELLS_MAX);
    struct csv_file file;
    const struct csv_row *row;
    int line;

    (void)state;
    assert_non_null(text);
    memset(text, ',', 2 * CSV_CELLS_MAX);
    assert_true(csv_open(&file, text, 2 * CSV_CELLS_MAX, &line));
    row = csv_next(&file);
    assert_non_null(row);
    assert_int_equal(row->count, 2 * CSV_CELLS_MAX + 1);
    assert_string_equal(row->cells[CSV_CELLS_MAX - 1].text, "");
    csv_close(&file);
    free(text);
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
    READS("a,b\n\"\"\"\"\"\",1\n", "1:a|b;2:\"\"|1");
    READS("a\n\"x\"\"\n", "line 2");
    READS("\"", "line 1");
    READS("a\r\r\"x\ry\"\rb", "1:a;3:x\ry;4:b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_quoted_where_they_have_to_be),
        cmocka_unit_test(no_cell_is_a_formula),
        cmocka_unit_test(a_number_stays_one),
        cmocka_unit_test(rows_are_read_as_spreadsheets_write_them),
        cmocka_unit_test(what_would_not_come_back_is_marked),
        cmocka_unit_test(an_exact_cell_is_told_from_one_of_another_program),
        cmocka_unit_test(every_text_comes_back_as_it_was),
        cmocka_unit_test(a_row_of_more_cells_than_any_table_has_is_counted_and_no_more),
        cmocka_unit_test(windows_1252_is_taken_for_what_it_is),
        cmocka_unit_test(what_is_no_csv_is_said_with_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
