-- What the hub does or asks about by itself (daemon/school/chores.c): the views say what is due, and of which rows a person
-- has to be asked. A row on which a question is open is left alone.

DROP VIEW IF EXISTS perche_clash;
DROP VIEW IF EXISTS decision_documented;
DROP VIEW IF EXISTS decision_past;
DROP VIEW IF EXISTS decision_due;
DROP VIEW IF EXISTS decision_answered;
DROP VIEW IF EXISTS decision_own;
DROP VIEW IF EXISTS outcome_said;
DROP VIEW IF EXISTS transfer_due;

-- Transfers that the other school has accepted, of an enrolment of that learner at that school which has not ended otherwise; on_day: when the new school begins. The old enrolment ends the day before.
CREATE VIEW transfer_due AS
  SELECT t.id AS transfer_id, t.learner_id, t.enrolment_id, t.from_site, t.to_site, t.to_cohort_id, t.effective_on AS on_day,
         date(t.effective_on, '-1 day') AS last_day
  FROM transfer t
  JOIN enrolment e ON e.id = t.enrolment_id AND e.learner_id = t.learner_id AND e.site_id = t.from_site AND (e.actual_end IS NULL OR e.exit_reason = 'TRANSFER')
  WHERE t.state = 'ACCEPTED' AND t.to_site <> t.from_site AND date(t.effective_on) IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM perche_contested c WHERE c.tab = 'transfer' AND c.key = json_array(t.id));

-- Decisions of the hub itself that nobody has changed since: they say what the observation says that they name.
CREATE VIEW decision_own AS
  SELECT d.enrolment_id, d.milestone, d.observation_id FROM outcome_decision d
  WHERE d.decided_by = (SELECT site_id FROM perche_self) AND d.rule <> 'MANUAL'
    AND EXISTS (SELECT 1 FROM outcome_observation o WHERE o.id = d.observation_id AND o.situation = d.situation)
    AND json_array(d.enrolment_id, d.milestone) NOT IN (SELECT key FROM perche_conflict WHERE tab = 'outcome_decision' AND state = 'resolved' AND kind <> 'lww');

-- What a person has answered who was asked which of two situations it is: the newest answer for each milestone. It is that person's decision, unless
-- somebody has decided since by hand. The observations stay as they were made.
CREATE VIEW decision_answered AS
  WITH answer AS (
    SELECT k.enrolment_id, k.milestone, t.situation, t.id AS observation_id, c.resolved_by AS decided_by,
           strftime('%Y-%m-%dT%H:%M:%SZ', c.resolved_at / 1000, 'unixepoch') AS decided_at,
           row_number() OVER (PARTITION BY k.enrolment_id, k.milestone ORDER BY c.resolved_at DESC, c.id DESC, t.id DESC) AS nth
    FROM perche_conflict c JOIN outcome_observation k ON k.id = json_extract(c.key, '$[0]')
    JOIN outcome_observation t ON t.enrolment_id = k.enrolment_id AND t.milestone = k.milestone AND t.situation || ' on ' || t.as_of = c.value
    WHERE c.tab = 'outcome_observation' AND c.kind = 'rule' AND c.col = 'two situations' AND c.state = 'resolved')
  SELECT a.enrolment_id, a.milestone, a.situation, a.observation_id, a.decided_by, a.decided_at
  FROM answer a LEFT JOIN outcome_decision d ON d.enrolment_id = a.enrolment_id AND d.milestone = a.milestone
  WHERE a.nth = 1 AND (d.enrolment_id IS NULL OR d.decided_at < a.decided_at
                       OR (a.enrolment_id, a.milestone) IN (SELECT enrolment_id, milestone FROM decision_own))
    AND NOT EXISTS (SELECT 1 FROM perche_contested c WHERE c.tab = 'outcome_decision' AND c.key = json_array(a.enrolment_id, a.milestone));

-- What the observations of each milestone say that are near enough to tell: those that are nearest to its day count. clear: they name one
-- situation alone. By the rule DOCUMENT_BEATS_DECLARED, once its code is open, the one situation among them of which there is a document.
CREATE VIEW outcome_said AS
  WITH
    live AS MATERIALIZED (SELECT * FROM outcome_seen WHERE far IS NOT NULL),
    said AS MATERIALIZED (
      SELECT enrolment_id, milestone, count(*) AS n, min(situation) = max(situation) AS agree, min(far) AS nearest FROM live GROUP BY 1, 2),
    last AS (
      SELECT s.enrolment_id, s.milestone, s.nearest, s.n, s.agree, min(l.situation) AS situation, max(l.id) AS observation_id,
             min(l.situation) = max(l.situation) AS one,
             min(iif(l.proof = 'DOCUMENT', l.situation, NULL)) = max(iif(l.proof = 'DOCUMENT', l.situation, NULL)) AS one_document,
             max(iif(l.proof = 'DOCUMENT', l.situation, NULL)) AS documented, max(iif(l.proof = 'DOCUMENT', l.id, NULL)) AS document_id
      FROM said s JOIN live l ON l.enrolment_id = s.enrolment_id AND l.milestone = s.milestone AND l.far = s.nearest
      GROUP BY s.enrolment_id, s.milestone),
    judged AS (
      SELECT *, NOT one AND coalesce(one_document, 0)
                AND EXISTS (SELECT 1 FROM code_list WHERE list = 'decision_rule' AND code = 'DOCUMENT_BEATS_DECLARED' AND valid_to IS NULL) AS by_document
      FROM last)
  SELECT enrolment_id, milestone, nearest, one OR by_document AS clear, iif(by_document, documented, situation) AS situation,
         iif(by_document, document_id, observation_id) AS observation_id,
         CASE WHEN by_document THEN 'DOCUMENT_BEATS_DECLARED' WHEN n = 1 THEN 'ONLY_ONE' WHEN agree THEN 'ALL_AGREE' ELSE 'SUCCESSIVE' END AS rule
  FROM judged;

-- What they say where they leave no doubt; two that differ of the same day are a person's to decide. What a person has decided is never changed
-- here: only decisions of the hub itself (decided_by) are made anew when an observation comes, or when the milestone's day is another.
CREATE VIEW decision_due AS
  SELECT u.enrolment_id, u.milestone, u.situation, u.observation_id, u.rule
  FROM outcome_said u
  LEFT JOIN outcome_decision d ON d.enrolment_id = u.enrolment_id AND d.milestone = u.milestone
  WHERE u.clear
    AND (d.enrolment_id IS NULL
         OR ((d.situation, d.observation_id, d.rule) IS NOT (u.situation, u.observation_id, u.rule)
             AND d.enrolment_id IN (SELECT enrolment_id FROM decision_own o WHERE o.enrolment_id = d.enrolment_id AND o.milestone = d.milestone)))
    AND NOT EXISTS (SELECT 1 FROM perche_contested c WHERE c.tab = 'outcome_decision' AND c.key = json_array(u.enrolment_id, u.milestone));

-- Decisions of the hub itself of a milestone that nothing tells of any more: what was seen was taken back, or the day is another. It is open again.
CREATE VIEW decision_past AS
  SELECT d.enrolment_id, d.milestone FROM decision_own d
  WHERE (d.enrolment_id, d.milestone) NOT IN (SELECT enrolment_id, milestone FROM outcome_seen WHERE far IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM perche_contested c WHERE c.tab = 'outcome_decision' AND c.key = json_array(d.enrolment_id, d.milestone));

-- Two offices have decided unlike, and there is a document for the one and none for the other: by the rule, once it is open, which side is taken.
CREATE VIEW decision_documented AS
  WITH document(enrolment_id, milestone, situation) AS MATERIALIZED (
    SELECT DISTINCT enrolment_id, milestone, situation FROM outcome_seen WHERE far IS NOT NULL AND proof = 'DOCUMENT'),
  open_question AS (
    SELECT c.id, (json_extract(c.key, '$[0]'), json_extract(c.key, '$[1]'), c.a_value) IN (SELECT * FROM document) AS a,
           (json_extract(c.key, '$[0]'), json_extract(c.key, '$[1]'), c.b_value) IN (SELECT * FROM document) AS b
    FROM perche_conflict c WHERE c.tab = 'outcome_decision' AND c.col = 'situation' AND c.kind = 'review' AND c.state = 'open')
  SELECT id AS conflict_id, iif(a, 'a', 'b') AS side FROM open_question
  WHERE a <> b AND EXISTS (SELECT 1 FROM code_list WHERE list = 'decision_rule' AND code = 'DOCUMENT_BEATS_DECLARED' AND valid_to IS NULL);

-- Pairs of rows that cannot both hold. Each row is asked about; says: what a person reads of it.
CREATE VIEW perche_clash AS
  WITH
    ended(id, enrolment_id, status, effective_on) AS MATERIALIZED (
      SELECT id, enrolment_id, status, effective_on FROM live_enrolment_status_event
      WHERE status IN ('COMPLETED', 'DROPPED_OUT', 'EXCLUDED', 'TRANSFERRED_OUT', 'NEVER_STARTED')),
    let(id, unit_id, starts_on, ends_on) AS MATERIALIZED (
      SELECT id, unit_id, starts_on, ends_on FROM housing_lease WHERE state <> 'CANCELLED'),
    full(id, unit_id, starts_on, ends_on) AS ( -- leases that begin on a day on which all beds are taken by others
      SELECT l.id, l.unit_id, l.starts_on, l.ends_on FROM let l JOIN housing_unit u ON u.id = l.unit_id
      WHERE (SELECT count(*) FROM let o WHERE o.unit_id = l.unit_id AND o.starts_on <= l.starts_on AND o.ends_on > l.starts_on) > u.beds),
    seated(id, cohort_id, nth) AS (
      SELECT e.id, e.cohort_id, row_number() OVER (PARTITION BY e.cohort_id ORDER BY e.id)
      FROM enrolment e LEFT JOIN enrolment_status_now s ON s.enrolment_id = e.id
      WHERE e.actual_end IS NULL AND e.exit_reason IS NULL AND s.status IS NOT 'NEVER_STARTED'),
    admitted(id, cohort_id, nth) AS (
      SELECT a.id, a.cohort_id, row_number() OVER (PARTITION BY a.cohort_id ORDER BY a.id) FROM application a WHERE a.stage IN ('ADMITTED', 'ENROLLED')),
    unclear(enrolment_id, milestone, nearest) AS MATERIALIZED ( -- milestones that no person has decided
      SELECT o.enrolment_id, o.milestone, o.nearest FROM outcome_said o
      WHERE NOT o.clear AND NOT EXISTS (SELECT 1 FROM outcome_decision d WHERE d.enrolment_id = o.enrolment_id AND d.milestone = o.milestone
                          AND NOT EXISTS (SELECT 1 FROM decision_own w WHERE w.enrolment_id = d.enrolment_id AND w.milestone = d.milestone))),
    seen(id, enrolment_id, milestone, as_of, situation, far) AS MATERIALIZED (SELECT id, enrolment_id, milestone, as_of, situation, far FROM outcome_seen),
    linked(id, a, b, decision) AS ( -- not undone since
      SELECT l.id, min(l.learner_a, l.learner_b), max(l.learner_a, l.learner_b), l.decision FROM learner_link l
      WHERE l.decision <> 'UNDO' AND NOT EXISTS (
        SELECT 1 FROM learner_link u WHERE u.decision = 'UNDO' AND u.decided_at >= l.decided_at
          AND min(u.learner_a, u.learner_b) = min(l.learner_a, l.learner_b) AND max(u.learner_a, u.learner_b) = max(l.learner_a, l.learner_b)))
  SELECT 'two final statuses' AS rule, 'enrolment_status_event' AS tab, 'status,effective_on' AS cols, json_array(a.id) AS key, json_array(b.id) AS other,
         a.status || ' on ' || a.effective_on AS says, b.status || ' on ' || b.effective_on AS other_says
  FROM ended a JOIN ended b ON b.enrolment_id = a.enrolment_id AND b.effective_on = a.effective_on AND b.id > a.id AND b.status <> a.status
  UNION ALL
  SELECT 'bed let twice', 'housing_lease', 'unit_id,starts_on,ends_on,state', json_array(f.id), json_array(o.id),
         f.starts_on || ' to ' || f.ends_on, o.starts_on || ' to ' || o.ends_on
  FROM full f JOIN let o ON o.unit_id = f.unit_id AND o.starts_on <= f.starts_on AND o.ends_on > f.starts_on
    AND (o.starts_on < f.starts_on OR o.id < f.id)
  UNION ALL
  SELECT 'seat given twice', 'enrolment', 'cohort_id,actual_end,exit_reason', json_array(s.id), json_array(t.id),
         'seat ' || s.nth || ' of ' || c.capacity, 'seat ' || t.nth || ' of ' || c.capacity
  FROM seated s JOIN cohort c ON c.id = s.cohort_id JOIN seated t ON t.cohort_id = s.cohort_id AND t.nth = c.capacity
  WHERE s.nth > c.capacity AND c.status NOT IN ('ENDED', 'CANCELLED')
  UNION ALL
  SELECT 'seat given twice', 'application', 'cohort_id,stage', json_array(s.id), json_array(t.id),
         'admission ' || s.nth || ' of ' || c.capacity, 'admission ' || t.nth || ' of ' || c.capacity
  FROM admitted s JOIN cohort c ON c.id = s.cohort_id JOIN admitted t ON t.cohort_id = s.cohort_id AND t.nth = c.capacity
  WHERE s.nth > c.capacity AND c.status NOT IN ('ENDED', 'CANCELLED')
  UNION ALL
  SELECT 'two situations', 'outcome_observation', 'situation,as_of,milestone', json_array(a.id), json_array(b.id),
         a.situation || ' on ' || a.as_of, b.situation || ' on ' || b.as_of
  FROM unclear u JOIN seen a ON a.enrolment_id = u.enrolment_id AND a.milestone = u.milestone AND a.far = u.nearest
  JOIN seen b ON b.enrolment_id = a.enrolment_id AND b.milestone = a.milestone AND b.far = a.far AND b.id > a.id AND b.situation <> a.situation
  UNION ALL
  SELECT 'one person or two', 'learner_link', 'decision', json_array(s.id), json_array(d.id), 'SAME', 'DIFFERENT'
  FROM linked s JOIN linked d ON d.a = s.a AND d.b = s.b WHERE s.decision = 'SAME' AND d.decision = 'DIFFERENT';
