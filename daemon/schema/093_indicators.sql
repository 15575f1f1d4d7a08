-- The facts that the figures are made of: one row for each path, leaver, half-day, cohort or agreement, never a rate.
-- `perche report` counts them between two dates, and says with each figure how. A program may count them as well.
--
-- At the hub they are of the whole network. A site sees its own part: a path that began at another school is no entry here.
-- contested is 1 while a conflict is open on what the fact hangs on: it is then shown, and counted neither way.

DROP VIEW IF EXISTS indicator_place;
DROP VIEW IF EXISTS indicator_funding;
DROP VIEW IF EXISTS indicator_cost;
DROP VIEW IF EXISTS indicator_application;
DROP VIEW IF EXISTS indicator_half_day;
DROP VIEW IF EXISTS indicator_outcome;
DROP VIEW IF EXISTS outcome_undecided;
DROP VIEW IF EXISTS outcome_seen;
DROP VIEW IF EXISTS milestone_due;
DROP VIEW IF EXISTS milestone_step;
DROP VIEW IF EXISTS indicator_leaver;
DROP VIEW IF EXISTS indicator_certification;
DROP VIEW IF EXISTS indicator_path;
DROP VIEW IF EXISTS enrolment_status_now;
DROP VIEW IF EXISTS learner_person;
DROP VIEW IF EXISTS live_enrolment_status_event;
DROP VIEW IF EXISTS live_attendance;
DROP VIEW IF EXISTS live_cert_attempt;
DROP VIEW IF EXISTS live_outcome_observation;
DROP VIEW IF EXISTS live_cost_item;

-- Rows that are not voided, nor are what voids another: a correction names the row that it stands for, beside it in the same enrolment or site.
CREATE VIEW live_enrolment_status_event AS SELECT * FROM enrolment_status_event
  WHERE void_reason IS NULL AND (id, enrolment_id) NOT IN (SELECT voids, enrolment_id FROM enrolment_status_event WHERE voids IS NOT NULL);
CREATE VIEW live_attendance AS SELECT * FROM attendance
  WHERE void_reason IS NULL AND (id, enrolment_id) NOT IN (SELECT voids, enrolment_id FROM attendance WHERE voids IS NOT NULL);
CREATE VIEW live_cert_attempt AS SELECT * FROM cert_attempt
  WHERE void_reason IS NULL AND (id, enrolment_id) NOT IN (SELECT voids, enrolment_id FROM cert_attempt WHERE voids IS NOT NULL);
CREATE VIEW live_outcome_observation AS SELECT * FROM outcome_observation
  WHERE void_reason IS NULL AND (id, enrolment_id) NOT IN (SELECT voids, enrolment_id FROM outcome_observation WHERE voids IS NOT NULL);
CREATE VIEW live_cost_item AS SELECT * FROM cost_item
  WHERE void_reason IS NULL AND (id, site_id) NOT IN (SELECT voids, site_id FROM cost_item WHERE voids IS NOT NULL);

-- Two ids of one person: those that SAME joins, until it is undone, are called by the least of them. Of two decisions about a
-- pair the later one holds.
CREATE VIEW learner_person AS
  WITH RECURSIVE
    told(a, b, decision) AS (
      SELECT a, b, decision FROM (
        SELECT min(learner_a, learner_b) AS a, max(learner_a, learner_b) AS b, decision,
               row_number() OVER (PARTITION BY min(learner_a, learner_b), max(learner_a, learner_b) ORDER BY decided_at DESC, id DESC) AS n
        FROM learner_link) WHERE n = 1),
    same(a, b) AS MATERIALIZED (
      SELECT a, b FROM told WHERE decision = 'SAME' UNION SELECT b, a FROM told WHERE decision = 'SAME'),
    reach(learner_id, other) AS (
      SELECT a, b FROM same UNION SELECT r.learner_id, s.b FROM reach r JOIN same s ON s.a = r.other),
    least(learner_id, person_id) AS MATERIALIZED (SELECT learner_id, min(learner_id, min(other)) FROM reach GROUP BY learner_id)
  SELECT l.id AS learner_id, coalesce(t.person_id, l.id) AS person_id
  FROM learner l LEFT JOIN least t ON t.learner_id = l.id;

-- The newest status that is not voided: by the day from which it holds, then by when it was recorded.
CREATE VIEW enrolment_status_now AS
  SELECT enrolment_id, status, effective_on, id AS event_id FROM (
    SELECT *, row_number() OVER (PARTITION BY enrolment_id ORDER BY effective_on DESC, recorded_at DESC, id DESC) AS n
    FROM live_enrolment_status_event) WHERE n = 1;

-- A path: a person's first enrolment, and the last of those that continue it at other schools.
-- entered_on is NULL until the first one begins, and when it was closed as never started.
CREATE VIEW indicator_path AS
  WITH RECURSIVE
    up(id, at, depth) AS ( -- from each that continues another to the one at which the path began
      SELECT id, transferred_from, 1 FROM enrolment WHERE transferred_from IS NOT NULL
      UNION ALL
      SELECT u.id, e.transferred_from, u.depth + 1 FROM up u JOIN enrolment e ON e.id = u.at
      WHERE e.transferred_from IS NOT NULL AND u.depth < 40),
    continued(id, origin_id, depth) AS (SELECT id, at, max(depth) FROM up GROUP BY id),
    final(origin_id, id) AS MATERIALIZED (
      SELECT origin_id, id FROM (
        SELECT origin_id, id, row_number() OVER (PARTITION BY origin_id ORDER BY depth DESC, id DESC) AS n FROM continued) WHERE n = 1),
    open_question(id) AS MATERIALIZED (
      SELECT DISTINCT json_extract(key, '$[0]') FROM perche_contested
      WHERE tab = 'enrolment' AND col IN ('actual_start', 'actual_end', 'exit_reason', 'transferred_from'))
  SELECT o.id AS origin_id, o.learner_id, o.site_id AS entry_site_id, o.cohort_id AS entry_cohort_id,
         CASE WHEN s.status IS NOT 'NEVER_STARTED' THEN o.actual_start END AS entered_on,
         e.id AS last_id, e.site_id, e.cohort_id, e.actual_end AS exited_on, e.exit_reason,
         e.exit_reason IS 'COMPLETION' AS completed,
         coalesce(e.exit_reason IN ('DROPOUT_PERSONAL', 'DROPOUT_FINANCIAL', 'DROPOUT_HOUSING', 'DROPOUT_DISTANCE', 'EXCLUSION', 'NO_NEWS'), 0)
           AS dropped_out,
         o.id IN (SELECT id FROM open_question) OR e.id IN (SELECT id FROM open_question) AS contested
  FROM enrolment o
  LEFT JOIN final f ON f.origin_id = o.id
  JOIN enrolment e ON e.id = coalesce(f.id, o.id)
  LEFT JOIN enrolment_status_now s ON s.enrolment_id = o.id
  WHERE o.transferred_from IS NULL;

-- What the juries decided: each result that is not voided. Of a title that was tried twice in a period the newest result counts there.
CREATE VIEW indicator_certification AS
  SELECT c.id AS attempt_id, c.enrolment_id, e.site_id, e.cohort_id, c.rncp_code, c.jury_on, c.result,
         c.result <> 'ABSENT' AS present, c.result = 'FULL' AS full, c.result = 'PARTIAL' AS partial
  FROM live_cert_attempt c JOIN enrolment e ON e.id = c.enrolment_id;

-- Who has left: the end of a path, but for a transfer whose next school has not begun the rest of it.
-- certified_on: the jury's day, of a full result.
CREATE VIEW indicator_leaver AS
  WITH full(enrolment_id, on_day) AS MATERIALIZED (
    SELECT enrolment_id, min(jury_on) FROM indicator_certification WHERE full GROUP BY enrolment_id)
  SELECT p.last_id AS enrolment_id, p.origin_id, p.learner_id, p.site_id, p.cohort_id, p.entered_on, p.exited_on, p.exit_reason,
         p.completed, p.dropped_out, p.contested, f.on_day AS certified_on
  FROM indicator_path p LEFT JOIN full f ON f.enrolment_id = p.last_id
  WHERE p.entered_on IS NOT NULL AND p.exited_on IS NOT NULL AND p.exit_reason IS NOT 'TRANSFER';

-- When a milestone is, counted from the exit or from the jury, and which observations tell of it: from so many days before it to so many
-- after it. What M0 asks about is the leaving itself, whatever the day on which it was seen.
CREATE VIEW milestone_step(milestone, days, months, days_before, days_after) AS
  VALUES ('DURING', 0, NULL, NULL, NULL), ('M0', 0, NULL, NULL, NULL), ('W4', 28, NULL, 28, 0),
         ('M3', NULL, 3, 30, 30), ('M6', NULL, 6, 30, 30), ('M12', NULL, 12, 30, 30), ('M24', NULL, 24, 30, 30);

-- The day of each milestone for each day on which somebody left or got a whole title; a month that is too short ends on its last day.
CREATE VIEW milestone_due AS
  WITH base(base_on) AS (
    SELECT actual_end FROM enrolment WHERE actual_end IS NOT NULL UNION SELECT jury_on FROM indicator_certification WHERE full)
  SELECT s.milestone, b.base_on, s.days_before, s.days_after,
         CASE WHEN s.days IS NOT NULL THEN date(b.base_on, '+' || s.days || ' days')
              ELSE min(date(b.base_on, '+' || s.months || ' months'), date(b.base_on, 'start of month', '+' || (s.months + 1) || ' months', '-1 day')) END AS due_on
  FROM base b CROSS JOIN milestone_step s;

-- The observations of a milestone that are not voided. far: the smaller, the better one tells of it. Days from the milestone's day, the exit's or the
-- jury's, whichever is nearer; where that day is not known, or no day is asked for, the later the better. NULL: too far from it to tell.
CREATE VIEW outcome_seen AS
  WITH
    full(enrolment_id, on_day) AS MATERIALIZED (
      SELECT enrolment_id, min(jury_on) FROM live_cert_attempt WHERE result = 'FULL' GROUP BY enrolment_id),
    due AS MATERIALIZED (SELECT * FROM milestone_due),
    late AS MATERIALIZED (
      SELECT o.id, o.enrolment_id, o.milestone, o.as_of, o.situation, o.proof,
             coalesce(a.days_before, b.days_before) AS days_before, coalesce(a.days_after, b.days_after) AS days_after,
             julianday(o.as_of) AS seen, julianday(o.as_of) - julianday(a.due_on) AS from_exit, julianday(o.as_of) - julianday(b.due_on) AS from_jury
      FROM live_outcome_observation o JOIN enrolment e ON e.id = o.enrolment_id LEFT JOIN full f ON f.enrolment_id = o.enrolment_id
      LEFT JOIN due a ON a.milestone = o.milestone AND a.base_on = e.actual_end LEFT JOIN due b ON b.milestone = o.milestone AND b.base_on = f.on_day
      WHERE o.milestone <> 'DURING')
  SELECT id, enrolment_id, milestone, as_of, situation, proof,
         CASE WHEN days_before IS NULL THEN -seen
              ELSE nullif(min(iif(from_exit BETWEEN -days_before AND days_after, abs(from_exit), 9999),
                              iif(from_jury BETWEEN -days_before AND days_after, abs(from_jury), 9999)), 9999) END AS far
  FROM late;

-- Milestones of which something was seen and nothing is decided: all of it is too far from the day, or the hub has not come to it yet.
CREATE VIEW outcome_undecided AS
  SELECT enrolment_id, milestone, max(as_of) AS seen_on FROM live_outcome_observation o
  WHERE NOT EXISTS (SELECT 1 FROM outcome_decision d WHERE d.enrolment_id = o.enrolment_id AND d.milestone = o.milestone) GROUP BY 1, 2;

-- Each leaver under each definition: what was decided for its milestone, and the class that this has there.
-- due_on: the milestone's day, counted from the exit or from the jury; a month that is too short ends on its last day.
-- counted: 1 in the denominator, 0 not; positive: 1 in the numerator. seen_on: nothing is decided, but something was seen.
CREATE VIEW indicator_outcome AS
  WITH
    open_question(enrolment_id, milestone) AS MATERIALIZED (
      SELECT json_extract(key, '$[0]'), json_extract(key, '$[1]') FROM perche_contested
      WHERE tab = 'outcome_decision' AND col = 'situation'
      UNION -- or it is open which of the observations is to be decided for
      SELECT o.enrolment_id, o.milestone FROM perche_contested c JOIN outcome_observation o ON o.id = json_extract(c.key, '$[0]')
      WHERE c.tab = 'outcome_observation'),
    due AS MATERIALIZED (SELECT * FROM milestone_due),
    undecided AS MATERIALIZED (SELECT * FROM outcome_undecided),
    one AS (
      SELECT d.id AS definition_id, d.milestone, d.denominator, l.*,
             CASE d.base_date WHEN 'CERTIFICATION' THEN l.certified_on ELSE l.exited_on END AS base_on,
             o.situation, o.observation_id, o.rule, u.seen_on,
             CASE WHEN q.enrolment_id IS NOT NULL THEN 'CONTESTED'
                  WHEN o.situation IS NULL THEN 'NO_ANSWER'
                  ELSE coalesce(m.class, 'UNMAPPED') END AS class
      FROM indicator_definition d
      JOIN indicator_leaver l
      LEFT JOIN outcome_decision o ON o.enrolment_id = l.enrolment_id AND o.milestone = d.milestone
      LEFT JOIN outcome_mapping m ON m.definition_id = d.id AND m.situation = o.situation
      LEFT JOIN undecided u ON u.enrolment_id = l.enrolment_id AND u.milestone = d.milestone
      LEFT JOIN open_question q ON q.enrolment_id = l.enrolment_id AND q.milestone = d.milestone)
  SELECT o.definition_id, o.milestone, o.enrolment_id, o.origin_id, o.learner_id, o.site_id, o.cohort_id, o.entered_on, o.exited_on, o.exit_reason, o.certified_on,
         o.situation, o.observation_id, o.rule, o.class, o.seen_on, t.due_on,
         contested OR class = 'CONTESTED' AS contested,
         NOT contested AND class NOT IN ('CONTESTED', 'NEUTRALISED') AND
           CASE denominator WHEN 'COMPLETERS' THEN completed
                            WHEN 'RESPONDENTS' THEN class <> 'NO_ANSWER'
                            WHEN 'CERTIFIED_RESPONDENTS' THEN certified_on IS NOT NULL AND class <> 'NO_ANSWER'
                            ELSE 1 END AS counted,
         class IN ('EMPLOYEE', 'ENTREPRENEUR', 'STUDIES', 'OTHER_POSITIVE') AS positive
  FROM one o LEFT JOIN due t ON t.milestone = o.milestone AND t.base_on = o.base_on;

-- Each planned half-day of each enrolment that was not closed as never started, while the person was enrolled; the last day is the exit's. Two marks that say the same count once,
-- two that differ are contested and the lesser one counts. outside: the mark of a day before the entry or after the exit.
CREATE VIEW indicator_half_day AS
  WITH live(half_day_id, enrolment_id, minutes, mark, marks, contested) AS MATERIALIZED (
    SELECT half_day_id, enrolment_id, min(minutes), CASE WHEN count(DISTINCT mark) = 1 THEN min(mark) END, count(*),
           count(DISTINCT mark || ' ' || minutes) > 1
    FROM live_attendance GROUP BY half_day_id, enrolment_id)
  SELECT e.id AS enrolment_id, e.learner_id, e.cohort_id, e.site_id, h.id AS half_day_id, h.day, h.half,
         max(0, min(h.minutes, 65535)) AS planned, max(0, min(coalesce(a.minutes, 0), 65535)) AS attended, a.mark,
         a.half_day_id IS NULL AS unmarked, coalesce(a.contested, 0) AS contested, a.mark IS 'ABSENT_EXCUSED' AS excused,
         h.day < e.actual_start OR h.day > coalesce(e.actual_end, '9999-12-31') AS outside
  FROM enrolment e
  JOIN half_day h ON h.cohort_id = e.cohort_id AND h.cancelled = 0
  LEFT JOIN live a ON a.half_day_id = h.id AND a.enrolment_id = e.id
  LEFT JOIN enrolment_status_now s ON s.enrolment_id = e.id
  WHERE e.actual_start IS NOT NULL AND s.status IS NOT 'NEVER_STARTED'
    AND (a.half_day_id IS NOT NULL OR (h.day >= e.actual_start AND h.day <= coalesce(e.actual_end, '9999-12-31')));

-- Applications, and how far they came. Who was refused after an interview has the scores of those who held it.
CREATE VIEW indicator_application AS
  WITH scored(id) AS MATERIALIZED (SELECT DISTINCT application_id FROM application_score)
  SELECT a.id AS application_id, a.site_id, a.cohort_id, a.learner_id, a.received_on, a.stage,
         a.stage IN ('INTERVIEW', 'ADMITTED', 'ENROLLED', 'WAITLIST') OR a.id IN (SELECT id FROM scored) AS interviewed,
         a.stage IN ('ADMITTED', 'ENROLLED') AS admitted,
         EXISTS (SELECT 1 FROM perche_contested c WHERE c.tab = 'application' AND c.key = json_array(a.id)) AS contested
  FROM application a;

-- What a cohort cost, in cents, beside those who entered and completed it. Costs of a site that name no cohort are in none. A cost beyond
-- a hundred thousand million euros is somebody's error: it is in no sum, and the cohort is contested until it is voided.
CREATE VIEW indicator_cost AS
  WITH
    spent(cohort_id, cents, contested) AS MATERIALIZED (
      SELECT cohort_id, sum(iif(cents BETWEEN -10000000000000 AND 10000000000000, cents, 0)), max(cents NOT BETWEEN -10000000000000 AND 10000000000000) FROM live_cost_item
      WHERE cohort_id IS NOT NULL GROUP BY cohort_id),
    people(cohort_id, entries, completers) AS MATERIALIZED (
      SELECT e.cohort_id, count(*), sum(e.exit_reason IS 'COMPLETION') FROM enrolment e
      LEFT JOIN enrolment_status_now s ON s.enrolment_id = e.id
      WHERE e.actual_start IS NOT NULL AND s.status IS NOT 'NEVER_STARTED' GROUP BY e.cohort_id)
  SELECT c.id AS cohort_id, c.site_id, c.code, c.starts_on, c.ends_on, c.status IN ('ENDED', 'CANCELLED') AS ended, coalesce(s.cents, 0) AS cents,
         coalesce(p.entries, 0) AS entries, coalesce(p.completers, 0) AS completers,
         coalesce(c.hours_centre, 0) + coalesce(c.hours_distance, 0) AS hours, coalesce(s.contested, 0) AS contested
  FROM cohort c LEFT JOIN spent s ON s.cohort_id = c.id LEFT JOIN people p ON p.cohort_id = c.id;

-- Agreements that are granted: what is granted of which total, in cents. One of more than a hundred thousand million euros is contested.
CREATE VIEW indicator_funding AS
  WITH open_question(id) AS MATERIALIZED (
    SELECT DISTINCT json_extract(key, '$[0]') FROM perche_contested
    WHERE tab = 'funding_agreement' AND col IN ('granted_cents', 'eligible_total_cents', 'state', 'programme'))
  SELECT f.id AS agreement_id, f.site_id, f.programme, f.operation_ref, f.funder_org_id, f.starts_on, f.ends_on, f.granted_cents, f.eligible_total_cents,
         f.id IN (SELECT id FROM open_question) OR coalesce(max(f.granted_cents, f.eligible_total_cents) > 10000000000000 OR min(f.granted_cents, f.eligible_total_cents) < 0, 0) AS contested
  FROM funding_agreement f
  WHERE f.state IN ('GRANTED', 'CLOSED');

-- Seats of the cohorts that are still to begin or under way.
CREATE VIEW indicator_place AS
  WITH taken(cohort_id, n) AS MATERIALIZED (
    SELECT e.cohort_id, count(*) FROM enrolment e LEFT JOIN enrolment_status_now s ON s.enrolment_id = e.id
    WHERE e.actual_end IS NULL AND e.exit_reason IS NULL AND s.status IS NOT 'NEVER_STARTED' GROUP BY e.cohort_id)
  SELECT c.id AS cohort_id, c.site_id, c.code, c.starts_on, c.ends_on, c.capacity, coalesce(t.n, 0) AS taken, c.capacity - coalesce(t.n, 0) AS free,
         EXISTS (SELECT 1 FROM perche_contested q WHERE q.tab = 'cohort' AND q.key = json_array(c.id) AND q.col = 'capacity') AS contested
  FROM cohort c LEFT JOIN taken t ON t.cohort_id = c.id
  WHERE c.status NOT IN ('ENDED', 'CANCELLED');
