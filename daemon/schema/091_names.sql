-- How people are called in lists, questions and labels.

DROP VIEW IF EXISTS enrolment_name;
DROP VIEW IF EXISTS learner_name;

-- name is 'Camille Rousseau', short_name 'Camille R.'; both are NULL for a learner who has no name (any more).
CREATE VIEW learner_name AS
  SELECT learner_id,
         nullif(trim(coalesce(first, '') || ' ' || coalesce(family, '')), '') AS name,
         nullif(trim(coalesce(first, '') || ' ' || coalesce(substr(family, 1, 1) || '.', '')), '') AS short_name
  FROM (SELECT id AS learner_id,
               coalesce(nullif(trim(call_name), ''),
                        nullif(rtrim(substr(given_names, 1, instr(given_names || ' ', ' ') - 1), ','), '')) AS first,
               coalesce(nullif(trim(use_family_name), ''), nullif(trim(birth_family_name), '')) AS family
        FROM learner);

-- Of a learner who has left this replica, the name on the attendance sheet.
CREATE VIEW enrolment_name AS
  SELECT e.id AS enrolment_id, coalesce(n.short_name, nullif(trim(e.name_at_entry), '')) AS short_name
  FROM enrolment e LEFT JOIN learner_name n ON n.learner_id = e.learner_id;

-- What the host of a cohort's school was called when the cohort began: bodies merge and change their names.
DROP VIEW IF EXISTS cohort_host;
CREATE VIEW cohort_host AS
  WITH RECURSIVE
    pair(a, b) AS MATERIALIZED (
      SELECT id, successor_id FROM organisation WHERE successor_id IS NOT NULL UNION SELECT successor_id, id FROM organisation WHERE successor_id IS NOT NULL),
    body(site_id, org_id) AS (
      SELECT id, host_org_id FROM site WHERE host_org_id IS NOT NULL UNION SELECT b.site_id, p.b FROM body b JOIN pair p ON p.a = b.org_id)
  SELECT c.id AS cohort_id, c.starts_on, o.id AS organisation_id, o.name AS host
  FROM cohort c JOIN body b ON b.site_id = c.site_id JOIN organisation o ON o.id = b.org_id
  WHERE coalesce(o.valid_from, '0000-01-01') <= c.starts_on AND coalesce(o.valid_to, '9999-12-31') >= c.starts_on;
