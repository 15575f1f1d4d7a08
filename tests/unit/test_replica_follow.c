/* Rows that make their site a member of a row, and are in the scope of the same one: the way from one to the other ends. */
#define FIXTURE_ALL_TABLES
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "replica_pair.h"

#define BOTH "SELECT (SELECT count(*) FROM event) || ' ' || (SELECT count(*) FROM event_site)"

static void everywhere(struct pair *p, const char *counts)
{
    uint32_t level;
    uint64_t repaired;

    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    for (int i = 0; i < 2; i++) {
        program_says(p->sites[i], BOTH, counts);
        assert_int_equal(pair_compare(p, p->sites[i], &level, &repaired), PERCHE_EQUAL);
    }
}

/* @writer: of both rows, the child first. */
static void child_first(struct pair *p, struct fixture *writer, const char *event, const char *member)
{
    char text[512];

    snprintf(text, sizeof text, "INSERT INTO event_site (event_id, site_id) VALUES ('%s', '%s')", event, member);
    pair_edit(p, writer, 1000, text);
    pair_sync(p, p->sites[0]);
    snprintf(text, sizeof text, "INSERT INTO event (id, site_id, kind, title, starts_on) VALUES ('%s', '%s', 'VISIT', 'x', '2018-01-01')", event, replica_site_id(p->sites[0]->r));
    pair_edit(p, writer, 1000, text);
}

static void the_hub_may_write_the_child_before_its_parent(void **state)
{
    struct pair *p = *state;

    child_first(p, p->hub, "E1", replica_site_id(p->sites[1]->r));
    everywhere(p, "1 1");
}

static void a_school_may_write_the_child_before_its_parent(void **state)
{
    struct pair *p = *state;

    child_first(p, p->sites[0], "E1", replica_site_id(p->sites[0]->r));
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    program_says(p->hub, BOTH, "1 1");
    program_says(p->sites[0], BOTH, "1 1");
    pair_edit(p, p->hub, 1000, "INSERT INTO event_site (event_id, site_id) SELECT 'E1', id FROM site WHERE id NOT IN (SELECT site_id FROM event_site) AND id <> (SELECT site_id FROM perche_self)");
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    program_says(p->sites[1], "SELECT count(*) FROM event", "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_hub_may_write_the_child_before_its_parent, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(a_school_may_write_the_child_before_its_parent, pair_setup, pair_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
