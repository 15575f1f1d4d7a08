/* Whether a row can hold: what no table checks, and nobody means. */
#include "school/entry.h"

#include <string.h>

/* The text or the number that a column will have; NULL: it has none, or there is no such column. *given: it is among the values. */
static const char *coming(const struct entry_table *e, const struct entry_value *values, sqlite3_stmt *there, const char *name, int64_t *number, bool *given)
{
    for (uint32_t i = 0; i < e->count; i++) {
        const struct entry_value *v = &values[i];

        if (strcmp(e->columns[i].name, name) != 0)
            continue;
        *given |= v->given;
        if (v->given && (v->kind == 'n' || v->kind == 'r'))
            return NULL;
        if (v->given) {
            *number = v->i;
            return v->kind == 't' ? v->text : "";
        }
        if (there == NULL || sqlite3_column_type(there, (int)i) == SQLITE_NULL)
            return NULL;
        *number = sqlite3_column_int64(there, (int)i);
        return (const char *)sqlite3_column_text(there, (int)i);
    }
    return NULL;
}

static const char *const periods[][2] = {{"starts_on", "ends_on"}, {"planned_start", "planned_end"}, {"actual_start", "actual_end"}, {"valid_from", "valid_to"}};
static const char *const never_to_come[][2] = {{"learner", "birth_date"}, {"outcome_observation", "as_of"}, {"cert_attempt", "jury_on"}};
static const char *const counted[] = {"capacity", "minutes", "beds", "gross_month_cents"};

static bool plausible_mark(const struct entry_table *e, const struct entry_value *values, sqlite3_stmt *there, struct entry_fault *fault)
{
    int64_t minutes = 0, ignored = 0;
    bool given = false;
    const char *mark = coming(e, values, there, "mark", &ignored, &given), *of = coming(e, values, there, "minutes", &minutes, &given);

    if (mark == NULL || of == NULL || !given)
        return true;
    if (mark_is_absent(mark) && minutes != 0)
        return entry_fault_is(fault, "minutes", "%s has no minutes, not %lld: LATE with the minutes is for who came late", mark, (long long)minutes);
    return mark_is_absent(mark) || minutes > 0 || entry_fault_is(fault, "minutes", "%s has minutes: who was there for none of them is ABSENT", mark);
}

bool mark_is_absent(const char *mark)
{
    return strcmp(mark, "ABSENT") == 0 || strcmp(mark, "ABSENT_EXCUSED") == 0 || strcmp(mark, "DISTANCE_NOT_DONE") == 0;
}

static bool is_same(const struct entry_value *v, sqlite3_stmt *there, int column)
{
    const char *text = (const char *)sqlite3_column_text(there, column);

    return v->kind == 'n' ? text == NULL : v->kind == 't' && text != NULL && strcmp(v->text, text) == 0;
}

/* The hub would refuse it and put the row back, when a person is no longer looking. */
static bool stays(const struct entry_table *e, const struct entry_value *values, sqlite3_stmt *there, struct entry_fault *fault)
{
    bool person = strcmp(e->t->name, "learner") == 0 || strcmp(e->t->name, "enrolment") == 0;

    for (uint32_t i = 0; !e->hub && there != NULL && i < e->count; i++)
        if (e->columns[i].places && values[i].given && !is_same(&values[i], there, (int)i))
            return entry_fault_is(fault, e->columns[i].name, "%s says whose row this is, and only the hub changes it%s", e->columns[i].name,
                                  person ? ": ask for a transfer: perche add transfer learner_id=... enrolment_id=... from_site=... to_site=... to_cohort_id=..."
                                           " asked_on=... effective_on=... state=ASKED" : "");
    return true;
}

/* A transfer leads to another school, on its day or later; whose the enrolment is is known where that is here. */
static bool plausible_transfer(const struct entry_table *e, const struct entry_value *values, sqlite3_stmt *there, struct entry_fault *fault)
{
    int64_t n = 0;
    bool given = false;
    const char *from = coming(e, values, there, "from_site", &n, &given), *to = coming(e, values, there, "to_site", &n, &given);
    const char *asked = coming(e, values, there, "asked_on", &n, &given), *effective = coming(e, values, there, "effective_on", &n, &given);

    if (!given)
        return true;
    if (from != NULL && to != NULL && strcmp(from, to) == 0)
        return entry_fault_is(fault, "to_site", "the learner is at that school already: a transfer leads to another one");
    return asked == NULL || effective == NULL || strcmp(effective, asked) >= 0 ||
           entry_fault_is(fault, "effective_on", "%s is before the day on which it is asked for, %s", effective, asked);
}

bool entry_plausible(const struct entry_table *e, const struct entry_value *values, sqlite3_stmt *there, struct entry_fault *fault)
{
    int64_t n = 0;

    if (!stays(e, values, there, fault))
        return false;
    for (size_t i = 0; i < sizeof periods / sizeof *periods; i++) {
        bool given = false;
        const char *from = coming(e, values, there, periods[i][0], &n, &given), *to = coming(e, values, there, periods[i][1], &n, &given);

        if (given && from != NULL && to != NULL && strcmp(to, from) < 0)
            return entry_fault_is(fault, periods[i][1], "%s %s is before %s %s", periods[i][1], to, periods[i][0], from);
    }
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        bool given = false;

        n = 0;
        if (coming(e, values, there, counted[i], &n, &given) != NULL && given && n < 0)
            return entry_fault_is(fault, counted[i], "%s is never below 0", counted[i]);
    }
    for (size_t i = 0; i < sizeof never_to_come / sizeof *never_to_come; i++) {
        bool given = false;
        const char *day = strcmp(e->t->name, never_to_come[i][0]) == 0 ? coming(e, values, there, never_to_come[i][1], &n, &given) : NULL;

        if (day == NULL || !given)
            continue;
        if (strncmp(day, e->now, 10) > 0)
            return entry_fault_is(fault, never_to_come[i][1], "%s is a day to come", day);
    }
    if (strcmp(e->t->name, "learner") == 0 && there == NULL) {
        static const char *const any[] = {"birth_family_name", "use_family_name", "given_names", "call_name"};
        bool given = false, named = false;

        for (size_t i = 0; i < sizeof any / sizeof *any; i++)
            named |= coming(e, values, there, any[i], &n, &given) != NULL;
        if (!named)
            return entry_fault_is(fault, "birth_family_name", "a learner has a name: birth_family_name and given_names");
    }
    if (strcmp(e->t->name, "transfer") == 0 && !plausible_transfer(e, values, there, fault))
        return false;
    return strcmp(e->t->name, "attendance") != 0 || plausible_mark(e, values, there, fault);
}
