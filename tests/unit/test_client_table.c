#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../client/table.h"
#include "../../client/text.h"

static struct table *pupils(void)
{
    static const char *const heads[] = {"id", "name", "note", "n"};
    struct table *t = table_new(heads, 4);

    table_keep(t, 0);
    table_right(t, 3);
    table_row(t);
    table_cell(t, "01990c5e");
    table_cell(t, "Zoé Lefèvre");
    table_cell(t, "a contré-cœur, après une très longue conversation téléphonique avec le lycée");
    table_cell(t, "7");
    table_row(t);
    table_cell(t, "01990c60");
    table_cell(t, "山田太郎");
    table_cell(t, "東京の学校から転校してきました。とても元気です。日本語とフランス語を話します。");
    table_cell(t, "1,204");
    table_row(t);
    table_cell(t, "01990c61");
    table_cell(t, "");
    table_cell(t, "line\nbreak");
    return t;
}

/* Prints, checks that no line is wider than @width, and compares. */
static void expect_table(struct table *t, int width, int left_out, const char *expected)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    assert_int_equal(table_print(t, out, width, false), left_out);
    fclose(out);
    assert_string_equal(text, expected);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(text_width(line) <= width);
        assert_true(line[strlen(line) - 1] != ' ');
    }
    free(text);
    table_free(t);
}

static void a_table_fits_40_columns(void **state)
{
    (void)state;
    expect_table(pupils(), 40, 0,
                 "id        name        note             n\n"
                 "01990c5e  Zoé Lefèv…  a contré-c…      7\n"
                 "01990c60  山田太郎    東京の学校…  1,204\n"
                 "01990c61              line break\n");
}

static void a_table_fits_80_columns(void **state)
{
    (void)state;
    expect_table(
        pupils(), 80, 0,
        "id        name         note                                                    n\n"
        "01990c5e  Zoé Lefèvre  a contré-cœur, après une très longue conversation…      7\n"
        "01990c60  山田太郎     東京の学校から転校してきました。とても元気です。…   1,204\n"
        "01990c61               line break\n");
}

static void a_table_that_fits_120_columns_is_not_cut(void **state)
{
    (void)state;
    expect_table(
        pupils(), 120, 0,
        "id        name         note                                                              "
        "                  n\n"
        "01990c5e  Zoé Lefèvre  a contré-cœur, après une très longue conversation téléphonique ave"
        "c le lycée        7\n"
        "01990c60  山田太郎     東京の学校から転校してきました。とても元気です。日本語とフランス語を話しま"
        "す。  1,204\n"
        "01990c61               line break\n");
}

static void the_last_columns_are_left_out_where_even_narrow_ones_do_not_fit(void **state)
{
    (void)state;
    expect_table(pupils(), 20, 2,
                 "id        name\n"
                 "01990c5e  Zoé L…\n"
                 "01990c60  山田…\n"
                 "01990c61\n");
}

static void columns_to_be_kept_are_cut_last(void **state)
{
    static const char *const heads[] = {"id", "text"};
    struct table *t = table_new(heads, 2);

    (void)state;
    table_keep(t, 0);
    table_row(t);
    table_cell(t, "01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d10");
    table_cell(t, "a text of forty characters, or nearly so");
    expect_table(t, 46, 0,
                 "id                                    text\n"
                 "01990c5e-7d1a-7c3e-9b53-2f4e8f0a6d10  a text …\n");
}

static void a_table_of_one_column_is_cut_to_any_width(void **state)
{
    static const char *const heads[] = {"id"};
    struct table *t = table_new(heads, 1);

    (void)state;
    table_keep(t, 0);
    table_row(t);
    table_cell(t, "01990c5e-7d1a");
    expect_table(t, 5, 0, "id\n0199…\n");
}

static void a_row_with_more_values_than_columns_does_no_harm(void **state)
{
    static const char *const heads[] = {"a", "b"};
    struct table *t = table_new(heads, 2);

    (void)state;
    table_row(t);
    table_cell(t, "1");
    table_cell(t, "2");
    table_cell(t, "3");
    table_row(t);
    expect_table(t, 40, 0, "a  b\n1  2\n\n");
}

static void heads_are_bold_on_a_terminal_alone(void **state)
{
    static const char *const heads[] = {"a"};
    struct table *t = table_new(heads, 1);
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    (void)state;
    table_row(t);
    table_cell(t, "1");
    (void)table_print(t, out, 40, true);
    fclose(out);
    assert_string_equal(text, "\033[1ma\033[0m\n1\n");
    free(text);
    table_free(t);
}

/* ------------------------------------------------------------------- fields */

static void expect_fields(int width, const char *expected)
{
    struct fields *f = fields_new();
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    fields_add(f, "La Loupe (site)", "live, proven equal with the hub at 14:05:12, 12 s ago");
    fields_add(f, "à décider", "%d conflict", 1);
    fields_hint(f, "perche conflicts");
    fields_add(f, "note", "%s", "");
    fields_print(f, out, width);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
    fields_free(f);
}

static void a_long_value_goes_on_below_itself(void **state)
{
    (void)state;
    expect_fields(40, "La Loupe (site)   live, proven equal\n"
                      "                  with the hub at\n"
                      "                  14:05:12, 12 s ago\n"
                      "à décider         1 conflict\n"
                      "                  perche conflicts\n"
                      "note\n");
}

static void what_to_do_stands_to_the_right_where_there_is_room(void **state)
{
    (void)state;
    expect_fields(80, "La Loupe (site)   live, proven equal with the hub at 14:05:12, 12 s ago\n"
                      "à décider         1 conflict                      perche conflicts\n"
                      "note\n");
}

static void a_label_wider_than_half_the_page_has_a_line_of_its_own(void **state)
{
    (void)state;
    expect_fields(24, "La Loupe (site)\n"
                      "            live, proven\n"
                      "            equal with\n"
                      "            the hub at\n"
                      "            14:05:12, 12\n"
                      "            s ago\n"
                      "à décider   1 conflict\n"
                      "            perche conflicts\n"
                      "note\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_fits_40_columns),
        cmocka_unit_test(a_table_fits_80_columns),
        cmocka_unit_test(a_table_that_fits_120_columns_is_not_cut),
        cmocka_unit_test(the_last_columns_are_left_out_where_even_narrow_ones_do_not_fit),
        cmocka_unit_test(columns_to_be_kept_are_cut_last),
        cmocka_unit_test(a_table_of_one_column_is_cut_to_any_width),
        cmocka_unit_test(a_row_with_more_values_than_columns_does_no_harm),
        cmocka_unit_test(heads_are_bold_on_a_terminal_alone),
        cmocka_unit_test(a_long_value_goes_on_below_itself),
        cmocka_unit_test(what_to_do_stands_to_the_right_where_there_is_room),
        cmocka_unit_test(a_label_wider_than_half_the_page_has_a_line_of_its_own),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
