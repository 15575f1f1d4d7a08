/* The switches of daemon/rule_switch.h. In the simulator --without sets one; in a
 * unit test, which has no arguments, PERCHE_WITHOUT does, and PERCHE_TEST is the
 * pattern of the tests that are run. */
#include "rule_switch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool rule_off[RULES];

static const struct {
    const char *name, *reference, *options, *text;
} rules[RULES] = {
#define X(name, reference, options, text) {#name, reference, options, text},
    RULE_MAP(X)
#undef X
};

bool rule_take_away(const char *name)
{
    for (int i = 0; i < RULES; i++)
        if (strcmp(rules[i].name, name) == 0)
            return rule_off[i] = true;
    return false;
}

void rule_list(void)
{
    for (int i = 0; i < RULES; i++)
        (void)printf("%s\t%s\t%s\t%s\n", rules[i].name, rules[i].reference, rules[i].options, rules[i].text);
}

__attribute__((weak)) void cmocka_set_test_filter(const char *pattern); /* the simulator has none */

__attribute__((constructor)) static void take_away_by_environment(void)
{
    const char *name = getenv("PERCHE_WITHOUT"), *test = getenv("PERCHE_TEST");

    if (test != NULL && cmocka_set_test_filter != NULL)
        cmocka_set_test_filter(test);
    if (name == NULL || rule_take_away(name))
        return;
    (void)fprintf(stderr, "PERCHE_WITHOUT: there is no rule '%s'\n", name);
    exit(2);
}
