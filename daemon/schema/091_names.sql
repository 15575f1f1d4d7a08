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
