/* What is counted (formulas: docs/figures.md), and how it is rounded and withheld. */
#include "school/figures.h"

#include <stdio.h>

#define PERIOD(day) day " BETWEEN :from AND :to"

const struct figure figures[] = {
    {"entries", "people whose first enrolment began in the period; who comes by a transfer is none; ESF: and who stayed longer than that day", FIGURE_COUNT, 0, false,
     "SELECT 'enrolment' AS tab, origin_id AS id, entry_site_id AS site_id, entry_cohort_id AS cohort_id, p.part, 1 AS n, NULL AS d,"
     " contested, 0 AS waiting, 'entered ' || entered_on || coalesce(', left ' || exited_on, '') AS says FROM indicator_path JOIN (SELECT NULL AS part UNION ALL SELECT 'ESF') p"
     " WHERE " PERIOD("entered_on") " AND (p.part IS NULL OR coalesce(exited_on, :as_of) > entered_on)", NULL, false},
    {"drop_outs", "entries of the period whose path ended with a drop-out reason, at whatever school; a transfer, a job or another training is none",
     FIGURE_PERCENT, 2, false,
     "SELECT 'enrolment' AS tab, last_id AS id, site_id, cohort_id, NULL AS part, dropped_out AS n, 1 AS d,"
     " contested, 0 AS waiting, coalesce(exit_reason, 'still there') AS says FROM indicator_path WHERE " PERIOD("entered_on"), NULL, false},
    {"completion", "entries of the period whose path ended with COMPLETION", FIGURE_PERCENT, 2, false,
     "SELECT 'enrolment' AS tab, last_id AS id, site_id, cohort_id, NULL AS part, completed AS n, 1 AS d,"
     " contested, 0 AS waiting, coalesce(exit_reason, 'still there') AS says FROM indicator_path WHERE " PERIOD("entered_on"), NULL, false},
    {"attendance", "minutes attended of the minutes planned while the person was enrolled; an unmarked half-day is one not attended, of two marks that"
                   " differ the lesser counts; NET leaves excused absences out; half-days to come are left out; nobody's half-day counts twice",
     FIGURE_PERCENT, 2, false,
     "SELECT 'enrolment' AS tab, enrolment_id AS id, site_id, cohort_id, p.part, sum(attended) AS n, sum(planned) AS d, 0 AS contested, 0 AS waiting,"
     " sum(attended) || ' of ' || sum(planned) || ' minutes' || iif(sum(unmarked) > 0, ', ' || sum(unmarked) || ' half-days unmarked', '')"
     " || iif(sum(contested) > 0, ', ' || sum(contested) || ' marked twice unlike', '') AS says,"
     " sum(iif(nth_of_all > 1, attended, 0)) AS n_again, sum(iif(nth_of_all > 1, planned, 0)) AS d_again"
     " FROM (SELECT h.*, row_number() OVER (PARTITION BY coalesce(l.person_id, h.learner_id), h.day, h.half, CASE :by WHEN 'site' THEN h.site_id WHEN 'cohort' THEN h.cohort_id END"
     "  ORDER BY h.planned DESC, h.attended DESC, h.enrolment_id, h.half_day_id) AS nth,"
     "  row_number() OVER (PARTITION BY coalesce(l.person_id, h.learner_id), h.day, h.half ORDER BY h.planned DESC, h.attended DESC, h.enrolment_id, h.half_day_id) AS nth_of_all"
     " FROM indicator_half_day h LEFT JOIN learner_person l ON l.learner_id = h.learner_id WHERE NOT h.outside AND " PERIOD("h.day") " AND h.day <= :as_of"
     "  AND (:site IS NULL OR h.site_id = :site) AND (:cohort IS NULL OR h.cohort_id = :cohort)) h"
     " JOIN (SELECT 'GROSS' AS part UNION ALL SELECT 'NET') p WHERE nth = 1 AND (p.part = 'GROSS' OR NOT excused)"
     " GROUP BY enrolment_id, site_id, cohort_id, p.part",
     "SELECT 'enrolment' AS tab, enrolment_id AS id, site_id, cohort_id, p.part, iif(p.part = 'GROSS', gross_n, net_n) AS n, iif(p.part = 'GROSS', gross_d, net_d) AS d,"
     " 0 AS contested, 0 AS waiting, '' AS says, iif(p.part = 'GROSS', gross_n_again, net_n_again) AS n_again, iif(p.part = 'GROSS', gross_d_again, net_d_again) AS d_again"
     " FROM temp.school_attendance JOIN (SELECT 'GROSS' AS part UNION ALL SELECT 'NET') p", true},
    {"selection", "applications received in the period that came to an interview, and to an admission", FIGURE_PERCENT, 2, false,
     "SELECT 'application' AS tab, application_id AS id, site_id, cohort_id, p.part, iif(p.part = 'ADMITTED', admitted, interviewed) AS n, 1 AS d,"
     " contested, 0 AS waiting, stage AS says FROM indicator_application JOIN (SELECT 'INTERVIEWED' AS part UNION ALL SELECT 'ADMITTED') p"
     " WHERE " PERIOD("received_on"), NULL, false},
    {"found", "people who had entered by the day, and of them those who had found something by then, whatever the milestone (classes of REGION_POS)",
     FIGURE_PERCENT, 2, false,
     "WITH found(enrolment_id, situations) AS MATERIALIZED (SELECT o.enrolment_id, group_concat(DISTINCT o.situation) FROM live_outcome_observation o"
     " JOIN outcome_mapping m ON m.definition_id = 'REGION_POS' AND m.situation = o.situation"
     " AND m.class IN ('EMPLOYEE', 'ENTREPRENEUR', 'STUDIES', 'OTHER_POSITIVE')"
     " WHERE o.as_of <= :as_of GROUP BY o.enrolment_id)"
     " SELECT 'enrolment' AS tab, p.last_id AS id, p.site_id, p.cohort_id, NULL AS part, f.enrolment_id IS NOT NULL AS n, 1 AS d, p.contested, 0 AS waiting,"
     " coalesce(f.situations, 'nothing yet') AS says FROM indicator_path p LEFT JOIN found f ON f.enrolment_id = p.last_id"
     " WHERE " PERIOD("p.entered_on") " AND p.entered_on <= :as_of", NULL, false},
    {"response", "leavers of the period of whom something is known at six months", FIGURE_PERCENT, 2, false,
     "SELECT 'enrolment' AS tab, enrolment_id AS id, site_id, cohort_id, NULL AS part, class <> 'NO_ANSWER' AS n, 1 AS d, 0 AS contested,"
     " due_on > :as_of AS waiting, coalesce(situation, 'no answer' || coalesce(', seen on ' || seen_on, '')) AS says FROM indicator_outcome"
     " WHERE definition_id = 'REGION_POS' AND " PERIOD("exited_on"), NULL, false},
    {"certification", "of those present at a jury of the period, who got the whole title and who some of its blocks", FIGURE_PERCENT, 2, false,
     "SELECT 'cert_attempt' AS tab, attempt_id AS id, site_id, cohort_id, p.part, iif(p.part = 'FULL', full, partial) AS n, present AS d, 0 AS contested,"
     " 0 AS waiting, result AS says FROM (SELECT *, row_number() OVER (PARTITION BY enrolment_id, rncp_code ORDER BY jury_on DESC, attempt_id DESC) AS nth"
     " FROM indicator_certification WHERE " PERIOD("jury_on") ") JOIN (SELECT 'FULL' AS part UNION ALL SELECT 'PARTIAL') p WHERE nth = 1", NULL, false},
    {"cost", "what the cohorts that began in the period cost, for each person who entered, for each who completed, for each hour", FIGURE_CENTS, 2, false,
     "SELECT 'cohort' AS tab, cohort_id AS id, site_id, cohort_id, p.part, cents AS n,"
     " CASE p.part WHEN 'ENTRY' THEN entries WHEN 'COMPLETER' THEN completers ELSE hours END AS d, contested, p.part = 'COMPLETER' AND NOT ended AS waiting, code AS says"
     " FROM indicator_cost JOIN (SELECT 'ENTRY' AS part UNION ALL SELECT 'COMPLETER' UNION ALL SELECT 'HOUR') p"
     " WHERE " PERIOD("starts_on") " AND (cents > 0 OR contested)", NULL, false},
    {"co_funding", "what each programme grants of the eligible total, in basis points, cut off", FIGURE_POINTS, 0, false,
     "SELECT 'funding_agreement' AS tab, agreement_id AS id, site_id, NULL AS cohort_id, programme AS part, granted_cents AS n, eligible_total_cents AS d,"
     " contested, 0 AS waiting, granted_cents || ' of ' || eligible_total_cents AS says FROM indicator_funding"
     " WHERE granted_cents IS NOT NULL AND eligible_total_cents IS NOT NULL AND coalesce(starts_on, :from) <= :to AND coalesce(ends_on, :to) >= :from", NULL, false},
    {"places", "free seats of the cohorts that are still to end; less than none: more people than seats", FIGURE_COUNT, 0, false,
     "SELECT 'cohort' AS tab, cohort_id AS id, site_id, cohort_id, NULL AS part, free AS n, capacity AS d, contested, 0 AS waiting,"
     " taken || ' of ' || capacity || ' taken' AS says FROM indicator_place", NULL, false},
};
const size_t figures_count = sizeof figures / sizeof *figures;

#define OUTCOME_N                                                                                                                                              \
    "CASE p.part WHEN 'ANSWERED' THEN class <> 'NO_ANSWER' WHEN 'NEUTRALISED' THEN class = 'NEUTRALISED' WHEN 'POSITIVE' THEN positive AND counted"             \
    " ELSE class = p.part AND counted END"
#define OUTCOME_D "iif(p.part IN ('ANSWERED', 'NEUTRALISED'), 1, counted)"
#define OUTCOME_PARTS                                                                                                                                          \
    "(SELECT 'EMPLOYEE' AS part UNION ALL SELECT 'ENTREPRENEUR' UNION ALL SELECT 'STUDIES' UNION ALL SELECT 'OTHER_POSITIVE' UNION ALL SELECT 'POSITIVE'"      \
    " UNION ALL SELECT 'NOT_POSITIVE' UNION ALL SELECT 'UNMAPPED' UNION ALL SELECT 'NEUTRALISED' UNION ALL SELECT 'ANSWERED') p"
#define OUTCOME_WHICH "definition_id = :definition AND " PERIOD("exited_on")

const struct figure figure_outcome = {
    NULL, "leavers of the period by what was decided for the milestone: POSITIVE is the sum of the four classes above it, NEUTRALISED counts neither way,"
          " and of all that are due so many ANSWERED", FIGURE_PERCENT, 0, true,
    "SELECT 'enrolment' AS tab, enrolment_id AS id, site_id, cohort_id, p.part, " OUTCOME_N " AS n, " OUTCOME_D " AS d,"
    " contested, coalesce(due_on > :as_of, 0) AS waiting, class || coalesce(': ' || situation, ': seen on ' || seen_on || ', not decided', '') AS says"
    " FROM indicator_outcome JOIN " OUTCOME_PARTS " WHERE " OUTCOME_WHICH,
    "SELECT site_id, cohort_id, p.part, people * (" OUTCOME_N ") AS n, people * " OUTCOME_D " AS d, people * contested AS contested, people * waiting AS waiting"
    " FROM (SELECT iif(:by = 'site' OR :site IS NOT NULL, site_id, NULL) AS site_id, iif(:by = 'cohort' OR :cohort IS NOT NULL, cohort_id, NULL) AS cohort_id, class, positive, counted, contested, coalesce(due_on > :as_of, 0) AS waiting, count(*) AS people"
    "  FROM indicator_outcome WHERE " OUTCOME_WHICH " GROUP BY 1, 2, 3, 4, 5, 6, 7) JOIN " OUTCOME_PARTS, false};

static int64_t scale_of(int decimals)
{
    int64_t scale = 1;

    while (decimals-- > 0)
        scale *= 10;
    return scale;
}

/* @n * @by / @d without overflow for what a school counts: n and d stay below 2^40, a budget of ten thousand million euros in cents. */
static int64_t share(int64_t n, int64_t by, int64_t d, enum figure_rounding rounding)
{
    __int128 product = (__int128)n * by;

    return (int64_t)(rounding == ROUND_TRUNCATE ? product / d : (2 * product + d) / (2 * (__int128)d));
}

void figure_value(enum figure_unit unit, int decimals, enum figure_rounding rounding, int64_t n, int64_t d, char out[FIGURE_TEXT_MAX])
{
    int64_t scale = scale_of(decimals), whole;

    out[0] = '\0';
    if (unit == FIGURE_COUNT) {
        (void)snprintf(out, FIGURE_TEXT_MAX, "%lld", (long long)n);
        return;
    }
    if (d <= 0)
        return;
    switch (unit) {
    case FIGURE_POINTS: whole = share(n, 10000, d, ROUND_TRUNCATE); break;
    case FIGURE_CENTS: whole = share(n, 1, d, rounding); break;
    default: whole = share(n, 100 * scale, d, rounding); break;
    }
    if (decimals == 0)
        (void)snprintf(out, FIGURE_TEXT_MAX, "%lld", (long long)whole);
    else
        (void)snprintf(out, FIGURE_TEXT_MAX, "%lld.%0*lld", (long long)(whole / scale), decimals, (long long)(whole % scale));
}

void figure_hide(struct figure_row *rows, size_t count, int64_t least)
{
    struct figure_row *smallest = NULL;
    size_t hidden = 0;

    for (size_t i = 0; i < count; i++) {
        rows[i].hidden = rows[i].d < least ? HIDDEN_SMALL : HIDDEN_NOT;
        hidden += rows[i].hidden != HIDDEN_NOT && rows[i].d > 0; /* of nobody there is nothing to give back */
        if (rows[i].hidden == HIDDEN_NOT && (smallest == NULL || rows[i].d < smallest->d))
            smallest = &rows[i];
    }
    if (hidden == 1 && smallest != NULL)
        smallest->hidden = HIDDEN_BESIDE;
}
