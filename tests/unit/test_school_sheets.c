/* Attendance that is added up beforehand says what the marks say, whatever was written, and in whatever order. */
#define FIXTURE_ALL_TABLES
#include "replica_pair.h"

#include "school/figures.h"
#include "school/sheets.h"

#define COHORTS    3
#define ENROLMENTS 8
#define DAYS       6
#define STEPS      60
#define STORIES    4

static uint32_t drawn;

static uint32_t draw(uint32_t below)
{
    drawn = drawn * 1664525u + 1013904223u;
    return (drawn >> 8) % below;
}

static const char *of(const char *kind, uint32_t n)
{
    static char text[8][40];
    static int next;
    char *out = text[next++ % 8];

    (void)snprintf(out, 40, "01980000-%s-7000-8000-%012u", kind, n);
    return out;
}

#define MARK(n)      of("0001", n)
#define HALF_DAY(n)  of("0002", n)
#define ENROLMENT(n) of("0003", n)
#define COHORT(n)    of("0004", n)
#define LEARNER(n)   of("0005", n)

static void write_at_hub(struct pair *p, char *sql)
{
    assert_non_null(sql);
    pair_edit(p, p->hub, 1000, sql);
    sqlite3_free(sql);
}

/* A day of 2026-02, or none. */
static const char *day(bool must)
{
    static char text[4][16];
    static int next;
    char *out = text[next++ % 4];

    if (!must && draw(3) == 0)
        return NULL;
    (void)snprintf(out, 16, "2026-02-%02u", 1 + draw(DAYS));
    return out;
}

static void begin(struct pair *p)
{
    for (uint32_t i = 0; i < ENROLMENTS; i++)
        write_at_hub(p, sqlite3_mprintf("INSERT INTO learner (id, home_site_id, birth_family_name) SELECT %Q, site_id, 'Martin' FROM perche_self;"
                                        "INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end, actual_start)"
                                        " SELECT %Q, %Q, %Q, site_id, '2026-02-01', '2026-02-28', %Q FROM perche_self",
                                        LEARNER(i), ENROLMENT(i), LEARNER(i < ENROLMENTS / 2 ? i : i - 2), COHORT(draw(COHORTS)), day(false)));
}

static uint32_t half_days, marks;

static void step(struct pair *p)
{
    static const char *const said[] = {"PRESENT", "ABSENT_EXCUSED", "ABSENT_UNEXCUSED", "LATE"};

    switch (draw(10)) {
    case 0:
    case 1:
        write_at_hub(p, sqlite3_mprintf("INSERT OR IGNORE INTO half_day (id, cohort_id, day, half, mode, minutes) VALUES (%Q, %Q, %Q, '%s', 'ON_SITE', %u)",
                                        HALF_DAY(half_days), COHORT(draw(COHORTS)), day(true), draw(2) ? "AM" : "PM", 60 * draw(5)));
        half_days++;
        break;
    case 2:
        write_at_hub(p, sqlite3_mprintf("UPDATE half_day SET cohort_id = %Q WHERE id = %Q", COHORT(draw(COHORTS)), HALF_DAY(draw(half_days + 1))));
        break;
    case 3:
        write_at_hub(p, draw(3) == 0 ? sqlite3_mprintf("DELETE FROM half_day WHERE id = %Q", HALF_DAY(draw(half_days + 1)))
                                     : sqlite3_mprintf("UPDATE half_day SET cancelled = 1 - cancelled, day = %Q WHERE id = %Q", day(true), HALF_DAY(draw(half_days + 1))));
        break;
    case 4:
        write_at_hub(p, sqlite3_mprintf("UPDATE enrolment SET actual_start = %Q, actual_end = %Q, cohort_id = %Q WHERE id = %Q", day(false), day(false),
                                        COHORT(draw(COHORTS)), ENROLMENT(draw(ENROLMENTS))));
        break;
    case 5:
        write_at_hub(p, sqlite3_mprintf("INSERT INTO learner_link (learner_a, learner_b, decision, decided_by, decided_at) SELECT %Q, %Q, %Q, 'x', '2026-02-%02uT10:00:00Z'",
                                        LEARNER(draw(3)), LEARNER(3 + draw(2)), draw(2) ? "SAME" : "UNDO", 1 + draw(28)));
        break;
    case 6:
        write_at_hub(p, sqlite3_mprintf("INSERT INTO enrolment_status_event (enrolment_id, status, effective_on, recorded_at, recorded_site)"
                                        " SELECT %Q, %Q, %Q, '2026-02-03T10:00:00Z', site_id FROM perche_self",
                                        ENROLMENT(draw(ENROLMENTS)), draw(2) ? "NEVER_STARTED" : "ACTIVE", day(true)));
        break;
    default:
        write_at_hub(p, sqlite3_mprintf("INSERT INTO attendance (id, half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site, voids)"
                                        " SELECT %Q, %Q, %Q, %Q, %d, 'SHEET', '2026-02-03T10:00:00Z', site_id, %Q FROM perche_self",
                                        MARK(marks), HALF_DAY(draw(half_days + 1)), ENROLMENT(draw(ENROLMENTS)), said[draw(4)], draw(40) ? (int)(30 * draw(9)) : draw(2) ? -30 : 1 << 20,
                                        marks > 0 && draw(3) == 0 ? MARK(draw(marks)) : NULL));
        marks++;
    }
}

static bool keep(struct pair *p)
{
    bool more = false;

    assert_int_equal(tx_begin(p->hub->r, true), PERCHE_OK);
    if (sheets_keep(p->hub->r, &more) != PERCHE_OK || tx_commit(p->hub->r) != PERCHE_OK)
        fixture_fail("sheets_keep", p->hub->r->fail_err.text, "");
    return more;
}

static void sums(struct pair *p, struct replica *r, const char *rows, const char *from, const char *to, char by, char *out, size_t room)
{
    char *sql = sqlite3_mprintf("SELECT coalesce(group_concat(line, char(10)), '') FROM (SELECT id || ' ' || site_id || ' ' || cohort_id || ' ' || part || ' ' || n || '/' || d || ' ' || n_again || '/' || d_again AS line"
                                " FROM (%s) WHERE d > 0 ORDER BY 1)", rows);
    sqlite3_stmt *s = NULL;
    int n;

    (void)p;
    if (sqlite3_prepare_v2(r->db, sql, -1, &s, NULL) != SQLITE_OK)
        fixture_fail("sums", sqlite3_errmsg(r->db), sql);
    n = sqlite3_bind_parameter_index(s, ":from");
    if (n > 0) {
        sqlite3_bind_text(s, n, from, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, sqlite3_bind_parameter_index(s, ":to"), to, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, sqlite3_bind_parameter_index(s, ":as_of"), "2026-12-31", -1, SQLITE_STATIC);
        if (by != '\0')
            sqlite3_bind_text(s, sqlite3_bind_parameter_index(s, ":by"), by == 's' ? "site" : "cohort", -1, SQLITE_STATIC);
    }
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    (void)snprintf(out, room, "%s", (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    sqlite3_free(sql);
}

static const struct figure *attendance(void)
{
    for (size_t i = 0; i < figures_count; i++)
        if (strcmp(figures[i].name, "attendance") == 0)
            return &figures[i];
    fixture_fail("attendance", "no such figure", "");
    return NULL;
}

/* What both say of a period; false: the sheets say nothing. */
static bool are_equal(struct pair *p, const char *from, const char *to, char by)
{
    static char from_sheets[65536], from_marks[65536];
    struct replica *reader;
    bool said;

    free(pair_query(p, p->hub, "warnings", "{}")); /* opens the reader */
    reader = p->hub->reader;
    assert_int_equal(tx_begin(reader, false), PERCHE_OK);
    said = sheets_sum(reader, from, to, by, "", "");
    if (reader->fail != PERCHE_OK)
        fixture_fail("sheets_sum", reader->fail_err.text, "");
    if (said) {
        sums(p, reader, attendance()->summed, from, to, by, from_sheets, sizeof from_sheets);
        sums(p, reader, attendance()->rows, from, to, by, from_marks, sizeof from_marks);
    }
    assert_int_equal(tx_commit(reader), PERCHE_OK);
    if (said && strcmp(from_sheets, from_marks) != 0) {
        print_error("sheets:\n%s\nmarks:\n%s\n", from_sheets, from_marks);
        fixture_fail(from, by == '\0' ? "unlike" : by == 's' ? "unlike, by site" : "unlike, by cohort", to);
    }
    return said && *from_marks != '\0';
}

static void compare(struct pair *p, uint32_t *told)
{
    *told += are_equal(p, "2026-02-01", "2026-02-28", '\0');
    *told += are_equal(p, "2026-02-01", "2026-02-28", 's');
    *told += are_equal(p, "2026-02-01", "2026-02-28", 'c');
    *told += are_equal(p, "2026-02-02", "2026-02-04", '\0');
}

static void sheets_say_what_the_marks_say(void **state)
{
    struct pair *p = *state;
    uint32_t told = 0;

    begin(p);
    half_days = marks = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        step(p);
        if (draw(3) == 0)
            (void)keep(p);
        if (draw(2) == 0)
            compare(p, &told);
    }
    while (keep(p))
        continue;
    compare(p, &told);
    if (told == 0)
        fixture_fail("a story", "nothing was compared", "");
}

static void many_stories(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < STORIES; n++) {
        void *p = NULL;

        drawn = n * 77u + 5u;
        pair_setup(&p);
        sheets_say_what_the_marks_say(&p);
        pair_teardown(&p);
    }
}

static void what_a_program_has_just_written_is_asked_of_the_marks(void **state)
{
    struct pair *p = *state;
    uint32_t told = 0;

    drawn = 3;
    begin(p);
    half_days = marks = 0;
    while (marks < 10)
        step(p);
    while (keep(p))
        continue;
    compare(p, &told);
    assert_true(told > 0);
    program(p->hub, "UPDATE learner SET birth_family_name = 'Petit'"); /* counts nowhere */
    assert_true(sheets_sum(p->hub->reader, "2026-02-01", "2026-02-28", '\0', "", ""));
    program(p->hub, "UPDATE enrolment SET actual_end = '2026-02-02'");
    assert_false(sheets_sum(p->hub->reader, "2026-02-01", "2026-02-28", '\0', "", ""));
}

static const char *at_hub(struct pair *p, const char *sql)
{
    static char text[64];
    sqlite3_stmt *s = NULL;

    if (sqlite3_prepare_v2(p->hub->r->db, sql, -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW)
        fixture_fail("at_hub", sqlite3_errmsg(p->hub->r->db), sql);
    (void)snprintf(text, sizeof text, "%s", (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    return text;
}

/* More sheets than one transaction makes, then more positions than one looks through: it goes on by itself until all are in. */
static void it_catches_up_with_whatever_was_written(void **state)
{
    struct pair *p = *state;

    begin(p);
    while (keep(p))
        continue;
    for (uint32_t i = 0; i < 3; i++)
        write_at_hub(p, sqlite3_mprintf("WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 25)"
                                        " INSERT INTO enrolment (learner_id, cohort_id, site_id, planned_start, planned_end, actual_start)"
                                        " SELECT %Q, %Q, site_id, '2026-02-01', '2026-02-28', '2026-02-01' FROM n, perche_self; "
                                        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500)"
                                        " INSERT INTO organisation (name) SELECT 'O' || n FROM n", LEARNER(0), COHORT(0)));
    while (keep(p))
        continue;
    assert_string_equal(at_hub(p, "SELECT lsn = (SELECT lsn FROM perche_node) AND filled IS NULL FROM perche_sheet_at"), "1");
    assert_string_equal(at_hub(p, "SELECT count(*) FROM perche_sheet_behind"), "0");
    assert_string_equal(at_hub(p, "SELECT (SELECT count(*) FROM perche_sheet) - (SELECT count(*) FROM enrolment)"), "0");
}

/* A program may put any character into an id, and as many as a key has room for: each has its sheet, and the work ends. */
static void an_id_of_any_kind_has_its_sheet(void **state)
{
    struct pair *p = *state;
    uint32_t turns = 0;

    begin(p);
    for (int round = 0; round < 2; round++) { /* while the sheets are begun, and afterwards */
        write_at_hub(p, sqlite3_mprintf("INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end, actual_start)"
                                        " SELECT value || '%d', %Q, %Q, site_id, '2026-02-01', '2026-02-28', '2026-02-01' FROM perche_self,"
                                        " (SELECT 'a' || char(0) || 'b' AS value UNION ALL SELECT 'a' || char(0) UNION ALL SELECT hex(zeroblob(200)) UNION ALL SELECT hex(zeroblob(201)))",
                                        round, LEARNER(0), COHORT(0)));
        while (turns < 100 && keep(p))
            turns++;
    }
    assert_true(turns < 100);
    assert_string_equal(at_hub(p, "SELECT count(*) FROM perche_sheet_behind"), "0");
    assert_string_equal(at_hub(p, "SELECT count(*) FROM enrolment WHERE id NOT IN (SELECT enrolment_id FROM perche_sheet)"), "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_stories),
        cmocka_unit_test_setup_teardown(an_id_of_any_kind_has_its_sheet, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(it_catches_up_with_whatever_was_written, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(what_a_program_has_just_written_is_asked_of_the_marks, pair_setup, pair_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
