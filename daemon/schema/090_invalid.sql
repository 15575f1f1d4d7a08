-- Values that are outside their code list: what a local program wrote, as SQLite is not told of the lists. Nothing is
-- refused or changed because of it; they are told here alone. A code that was closed is still in its list, and a
-- list of which this replica has no code at all (a site that has not joined, a list still to be loaded) is not judged.
-- key is a JSON array of the key's values in the table's order, as in perche_contested.
--
-- Made by make_invalid.sh. Like any view it names its table: a program that rebuilds one of these tables (create, copy,
-- drop, rename) says PRAGMA legacy_alter_table=ON first, or SQLite refuses the rename.

DROP VIEW IF EXISTS perche_invalid;

DROP VIEW IF EXISTS perche_invalid_attendance;
CREATE VIEW perche_invalid_attendance AS
  SELECT 'attendance' AS tab, json_array(id) AS key, 'mark' AS col, mark AS value, 'mark' AS list
  FROM attendance WHERE mark NOT IN (SELECT code FROM code_list WHERE list = 'mark')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'mark')
  UNION ALL
  SELECT 'attendance' AS tab, json_array(id) AS key, 'proof' AS col, proof AS value, 'attendance_proof' AS list
  FROM attendance WHERE proof NOT IN (SELECT code FROM code_list WHERE list = 'attendance_proof')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'attendance_proof');

DROP VIEW IF EXISTS perche_invalid_cohort;
CREATE VIEW perche_invalid_cohort AS
  SELECT 'cohort' AS tab, json_array(id) AS key, 'mode' AS col, mode AS value, 'training_mode' AS list
  FROM cohort WHERE mode NOT IN (SELECT code FROM code_list WHERE list = 'training_mode')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'training_mode')
  UNION ALL
  SELECT 'cohort' AS tab, json_array(id) AS key, 'status' AS col, status AS value, 'cohort_status' AS list
  FROM cohort WHERE status NOT IN (SELECT code FROM code_list WHERE list = 'cohort_status')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'cohort_status');

DROP VIEW IF EXISTS perche_invalid_enrolment;
CREATE VIEW perche_invalid_enrolment AS
  SELECT 'enrolment' AS tab, json_array(id) AS key, 'exit_reason' AS col, exit_reason AS value, 'exit_reason' AS list
  FROM enrolment WHERE exit_reason NOT IN (SELECT code FROM code_list WHERE list = 'exit_reason')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'exit_reason')
  UNION ALL
  SELECT 'enrolment' AS tab, json_array(id) AS key, 'bpf_trainee_type' AS col, bpf_trainee_type AS value, 'bpf_trainee_type' AS list
  FROM enrolment WHERE bpf_trainee_type NOT IN (SELECT code FROM code_list WHERE list = 'bpf_trainee_type')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'bpf_trainee_type')
  UNION ALL
  SELECT 'enrolment' AS tab, json_array(id) AS key, 'pay_scheme' AS col, pay_scheme AS value, 'pay_scheme' AS list
  FROM enrolment WHERE pay_scheme NOT IN (SELECT code FROM code_list WHERE list = 'pay_scheme')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'pay_scheme');

DROP VIEW IF EXISTS perche_invalid_enrolment_status_event;
CREATE VIEW perche_invalid_enrolment_status_event AS
  SELECT 'enrolment_status_event' AS tab, json_array(id) AS key, 'status' AS col, status AS value, 'enrolment_status' AS list
  FROM enrolment_status_event WHERE status NOT IN (SELECT code FROM code_list WHERE list = 'enrolment_status')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'enrolment_status');

DROP VIEW IF EXISTS perche_invalid_half_day;
CREATE VIEW perche_invalid_half_day AS
  SELECT 'half_day' AS tab, json_array(id) AS key, 'half' AS col, half AS value, 'half' AS list
  FROM half_day WHERE half NOT IN (SELECT code FROM code_list WHERE list = 'half')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'half')
  UNION ALL
  SELECT 'half_day' AS tab, json_array(id) AS key, 'mode' AS col, mode AS value, 'half_day_mode' AS list
  FROM half_day WHERE mode NOT IN (SELECT code FROM code_list WHERE list = 'half_day_mode')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'half_day_mode');

DROP VIEW IF EXISTS perche_invalid_housing_lease;
CREATE VIEW perche_invalid_housing_lease AS
  SELECT 'housing_lease' AS tab, json_array(id) AS key, 'state' AS col, state AS value, 'lease_state' AS list
  FROM housing_lease WHERE state NOT IN (SELECT code FROM code_list WHERE list = 'lease_state')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'lease_state');

DROP VIEW IF EXISTS perche_invalid_indicator_definition;
CREATE VIEW perche_invalid_indicator_definition AS
  SELECT 'indicator_definition' AS tab, json_array(id) AS key, 'base_date' AS col, base_date AS value, 'base_date' AS list
  FROM indicator_definition WHERE base_date NOT IN (SELECT code FROM code_list WHERE list = 'base_date')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'base_date')
  UNION ALL
  SELECT 'indicator_definition' AS tab, json_array(id) AS key, 'milestone' AS col, milestone AS value, 'milestone' AS list
  FROM indicator_definition WHERE milestone NOT IN (SELECT code FROM code_list WHERE list = 'milestone')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'milestone')
  UNION ALL
  SELECT 'indicator_definition' AS tab, json_array(id) AS key, 'denominator' AS col, denominator AS value, 'denominator' AS list
  FROM indicator_definition WHERE denominator NOT IN (SELECT code FROM code_list WHERE list = 'denominator')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'denominator')
  UNION ALL
  SELECT 'indicator_definition' AS tab, json_array(id) AS key, 'rounding' AS col, rounding AS value, 'rounding' AS list
  FROM indicator_definition WHERE rounding NOT IN (SELECT code FROM code_list WHERE list = 'rounding')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'rounding');

DROP VIEW IF EXISTS perche_invalid_learner;
CREATE VIEW perche_invalid_learner AS
  SELECT 'learner' AS tab, json_array(id) AS key, 'sex' AS col, sex AS value, 'sex' AS list
  FROM learner WHERE sex NOT IN (SELECT code FROM code_list WHERE list = 'sex')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'sex');

DROP VIEW IF EXISTS perche_invalid_learner_contact;
CREATE VIEW perche_invalid_learner_contact AS
  SELECT 'learner_contact' AS tab, json_array(id) AS key, 'kind' AS col, kind AS value, 'contact_kind' AS list
  FROM learner_contact WHERE kind NOT IN (SELECT code FROM code_list WHERE list = 'contact_kind')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'contact_kind');

DROP VIEW IF EXISTS perche_invalid_network;
CREATE VIEW perche_invalid_network AS
  SELECT 'network' AS tab, json_array(id) AS key, 'kind' AS col, kind AS value, 'network_kind' AS list
  FROM network WHERE kind NOT IN (SELECT code FROM code_list WHERE list = 'network_kind')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'network_kind');

DROP VIEW IF EXISTS perche_invalid_outcome_decision;
CREATE VIEW perche_invalid_outcome_decision AS
  SELECT 'outcome_decision' AS tab, json_array(enrolment_id, milestone) AS key, 'milestone' AS col, milestone AS value, 'milestone' AS list
  FROM outcome_decision WHERE milestone NOT IN (SELECT code FROM code_list WHERE list = 'milestone')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'milestone')
  UNION ALL
  SELECT 'outcome_decision' AS tab, json_array(enrolment_id, milestone) AS key, 'situation' AS col, situation AS value, 'outcome_situation' AS list
  FROM outcome_decision WHERE situation NOT IN (SELECT code FROM code_list WHERE list = 'outcome_situation')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'outcome_situation')
  UNION ALL
  SELECT 'outcome_decision' AS tab, json_array(enrolment_id, milestone) AS key, 'rule' AS col, rule AS value, 'decision_rule' AS list
  FROM outcome_decision WHERE rule NOT IN (SELECT code FROM code_list WHERE list = 'decision_rule')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'decision_rule');

DROP VIEW IF EXISTS perche_invalid_outcome_mapping;
CREATE VIEW perche_invalid_outcome_mapping AS
  SELECT 'outcome_mapping' AS tab, json_array(definition_id, situation) AS key, 'situation' AS col, situation AS value, 'outcome_situation' AS list
  FROM outcome_mapping WHERE situation NOT IN (SELECT code FROM code_list WHERE list = 'outcome_situation')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'outcome_situation')
  UNION ALL
  SELECT 'outcome_mapping' AS tab, json_array(definition_id, situation) AS key, 'class' AS col, class AS value, 'outcome_class' AS list
  FROM outcome_mapping WHERE class NOT IN (SELECT code FROM code_list WHERE list = 'outcome_class')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'outcome_class');

DROP VIEW IF EXISTS perche_invalid_outcome_observation;
CREATE VIEW perche_invalid_outcome_observation AS
  SELECT 'outcome_observation' AS tab, json_array(id) AS key, 'milestone' AS col, milestone AS value, 'milestone' AS list
  FROM outcome_observation WHERE milestone NOT IN (SELECT code FROM code_list WHERE list = 'milestone')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'milestone')
  UNION ALL
  SELECT 'outcome_observation' AS tab, json_array(id) AS key, 'situation' AS col, situation AS value, 'outcome_situation' AS list
  FROM outcome_observation WHERE situation NOT IN (SELECT code FROM code_list WHERE list = 'outcome_situation')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'outcome_situation')
  UNION ALL
  SELECT 'outcome_observation' AS tab, json_array(id) AS key, 'source' AS col, source AS value, 'outcome_source' AS list
  FROM outcome_observation WHERE source NOT IN (SELECT code FROM code_list WHERE list = 'outcome_source')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'outcome_source')
  UNION ALL
  SELECT 'outcome_observation' AS tab, json_array(id) AS key, 'proof' AS col, proof AS value, 'outcome_proof' AS list
  FROM outcome_observation WHERE proof NOT IN (SELECT code FROM code_list WHERE list = 'outcome_proof')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'outcome_proof');

DROP VIEW IF EXISTS perche_invalid_project;
CREATE VIEW perche_invalid_project AS
  SELECT 'project' AS tab, json_array(id) AS key, 'kind' AS col, kind AS value, 'project_kind' AS list
  FROM project WHERE kind NOT IN (SELECT code FROM code_list WHERE list = 'project_kind')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'project_kind');

DROP VIEW IF EXISTS perche_invalid_site;
CREATE VIEW perche_invalid_site AS
  SELECT 'site' AS tab, json_array(id) AS key, 'kind' AS col, kind AS value, 'site_kind' AS list
  FROM site WHERE kind NOT IN (SELECT code FROM code_list WHERE list = 'site_kind')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'site_kind')
  UNION ALL
  SELECT 'site' AS tab, json_array(id) AS key, 'status' AS col, status AS value, 'site_status' AS list
  FROM site WHERE status NOT IN (SELECT code FROM code_list WHERE list = 'site_status')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'site_status');

DROP VIEW IF EXISTS perche_invalid_site_reader;
CREATE VIEW perche_invalid_site_reader AS
  SELECT 'site_reader' AS tab, json_array(site_id, reader_id, area) AS key, 'area' AS col, area AS value, 'area' AS list
  FROM site_reader WHERE area NOT IN (SELECT code FROM code_list WHERE list = 'area')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'area');

DROP VIEW IF EXISTS perche_invalid_training;
CREATE VIEW perche_invalid_training AS
  SELECT 'training' AS tab, json_array(id) AS key, 'bpf_objective' AS col, bpf_objective AS value, 'bpf_objective' AS list
  FROM training WHERE bpf_objective NOT IN (SELECT code FROM code_list WHERE list = 'bpf_objective')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'bpf_objective')
  UNION ALL
  SELECT 'training' AS tab, json_array(id) AS key, 'diploma_required' AS col, diploma_required AS value, 'diploma_required' AS list
  FROM training WHERE diploma_required NOT IN (SELECT code FROM code_list WHERE list = 'diploma_required')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'diploma_required');

DROP VIEW IF EXISTS perche_invalid_transfer;
CREATE VIEW perche_invalid_transfer AS
  SELECT 'transfer' AS tab, json_array(id) AS key, 'state' AS col, state AS value, 'transfer_state' AS list
  FROM transfer WHERE state NOT IN (SELECT code FROM code_list WHERE list = 'transfer_state')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'transfer_state');

CREATE VIEW perche_invalid AS
  SELECT * FROM perche_invalid_attendance
  UNION ALL
  SELECT * FROM perche_invalid_cohort
  UNION ALL
  SELECT * FROM perche_invalid_enrolment
  UNION ALL
  SELECT * FROM perche_invalid_enrolment_status_event
  UNION ALL
  SELECT * FROM perche_invalid_half_day
  UNION ALL
  SELECT * FROM perche_invalid_housing_lease
  UNION ALL
  SELECT * FROM perche_invalid_indicator_definition
  UNION ALL
  SELECT * FROM perche_invalid_learner
  UNION ALL
  SELECT * FROM perche_invalid_learner_contact
  UNION ALL
  SELECT * FROM perche_invalid_network
  UNION ALL
  SELECT * FROM perche_invalid_outcome_decision
  UNION ALL
  SELECT * FROM perche_invalid_outcome_mapping
  UNION ALL
  SELECT * FROM perche_invalid_outcome_observation
  UNION ALL
  SELECT * FROM perche_invalid_project
  UNION ALL
  SELECT * FROM perche_invalid_site
  UNION ALL
  SELECT * FROM perche_invalid_site_reader
  UNION ALL
  SELECT * FROM perche_invalid_training
  UNION ALL
  SELECT * FROM perche_invalid_transfer;
