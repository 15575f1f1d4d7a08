-- Values that are outside their code list: what a local program wrote, as SQLite is not told of the lists. Nothing is
-- refused or changed because of it; they are told here alone. A code that was closed is still in its list, and a
-- list of which this replica has no code at all (a site that has not joined, a list still to be loaded) is not judged.
-- key is a JSON array of the key's values in the table's order, as in perche_contested.
--
-- Made by make_invalid.sh. Like any view it names its table: a program that rebuilds one of these tables (create, copy,
-- drop, rename) says PRAGMA legacy_alter_table=ON first, or SQLite refuses the rename.

DROP VIEW IF EXISTS perche_invalid;

DROP VIEW IF EXISTS perche_invalid_admission_criterion;
CREATE VIEW perche_invalid_admission_criterion AS
  SELECT 'admission_criterion' AS tab, json_array(id) AS key, 'criterion' AS col, criterion AS value, 'criterion' AS list
  FROM admission_criterion WHERE criterion NOT IN (SELECT code FROM code_list WHERE list = 'criterion')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'criterion');

DROP VIEW IF EXISTS perche_invalid_application;
CREATE VIEW perche_invalid_application AS
  SELECT 'application' AS tab, json_array(id) AS key, 'channel' AS col, channel AS value, 'channel' AS list
  FROM application WHERE channel NOT IN (SELECT code FROM code_list WHERE list = 'channel')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'channel')
  UNION ALL
  SELECT 'application' AS tab, json_array(id) AS key, 'stage' AS col, stage AS value, 'stage' AS list
  FROM application WHERE stage NOT IN (SELECT code FROM code_list WHERE list = 'stage')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'stage');

DROP VIEW IF EXISTS perche_invalid_application_score;
CREATE VIEW perche_invalid_application_score AS
  SELECT 'application_score' AS tab, json_array(id) AS key, 'criterion' AS col, criterion AS value, 'criterion' AS list
  FROM application_score WHERE criterion NOT IN (SELECT code FROM code_list WHERE list = 'criterion')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'criterion');

DROP VIEW IF EXISTS perche_invalid_attendance;
CREATE VIEW perche_invalid_attendance AS
  SELECT 'attendance' AS tab, json_array(id) AS key, 'mark' AS col, mark AS value, 'mark' AS list
  FROM attendance WHERE mark NOT IN (SELECT code FROM code_list WHERE list = 'mark')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'mark')
  UNION ALL
  SELECT 'attendance' AS tab, json_array(id) AS key, 'proof' AS col, proof AS value, 'attendance_proof' AS list
  FROM attendance WHERE proof NOT IN (SELECT code FROM code_list WHERE list = 'attendance_proof')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'attendance_proof');

DROP VIEW IF EXISTS perche_invalid_cert_attempt;
CREATE VIEW perche_invalid_cert_attempt AS
  SELECT 'cert_attempt' AS tab, json_array(id) AS key, 'result' AS col, result AS value, 'cert_result' AS list
  FROM cert_attempt WHERE result NOT IN (SELECT code FROM code_list WHERE list = 'cert_result')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'cert_result');

DROP VIEW IF EXISTS perche_invalid_cohort;
CREATE VIEW perche_invalid_cohort AS
  SELECT 'cohort' AS tab, json_array(id) AS key, 'mode' AS col, mode AS value, 'training_mode' AS list
  FROM cohort WHERE mode NOT IN (SELECT code FROM code_list WHERE list = 'training_mode')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'training_mode')
  UNION ALL
  SELECT 'cohort' AS tab, json_array(id) AS key, 'status' AS col, status AS value, 'cohort_status' AS list
  FROM cohort WHERE status NOT IN (SELECT code FROM code_list WHERE list = 'cohort_status')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'cohort_status');

DROP VIEW IF EXISTS perche_invalid_cost_item;
CREATE VIEW perche_invalid_cost_item AS
  SELECT 'cost_item' AS tab, json_array(id) AS key, 'kind' AS col, kind AS value, 'cost_kind' AS list
  FROM cost_item WHERE kind NOT IN (SELECT code FROM code_list WHERE list = 'cost_kind')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'cost_kind');

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

DROP VIEW IF EXISTS perche_invalid_entry_profile;
CREATE VIEW perche_invalid_entry_profile AS
  SELECT 'entry_profile' AS tab, json_array(enrolment_id) AS key, 'labour_status' AS col, labour_status AS value, 'labour_status' AS list
  FROM entry_profile WHERE labour_status NOT IN (SELECT code FROM code_list WHERE list = 'labour_status')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'labour_status')
  UNION ALL
  SELECT 'entry_profile' AS tab, json_array(enrolment_id) AS key, 'isced' AS col, isced AS value, 'isced' AS list
  FROM entry_profile WHERE isced NOT IN (SELECT code FROM code_list WHERE list = 'isced')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'isced')
  UNION ALL
  SELECT 'entry_profile' AS tab, json_array(enrolment_id) AS key, 'french_level' AS col, french_level AS value, 'french_level' AS list
  FROM entry_profile WHERE french_level NOT IN (SELECT code FROM code_list WHERE list = 'french_level')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'french_level');

DROP VIEW IF EXISTS perche_invalid_entry_profile_tag;
CREATE VIEW perche_invalid_entry_profile_tag AS
  SELECT 'entry_profile_tag' AS tab, json_array(enrolment_id, tag) AS key, 'tag' AS col, tag AS value, 'profile_tag' AS list
  FROM entry_profile_tag WHERE tag NOT IN (SELECT code FROM code_list WHERE list = 'profile_tag')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'profile_tag');

DROP VIEW IF EXISTS perche_invalid_entry_sensitive;
CREATE VIEW perche_invalid_entry_sensitive AS
  SELECT 'entry_sensitive' AS tab, json_array(enrolment_id) AS key, 'disability' AS col, disability AS value, 'yes_no_na' AS list
  FROM entry_sensitive WHERE disability NOT IN (SELECT code FROM code_list WHERE list = 'yes_no_na')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'yes_no_na')
  UNION ALL
  SELECT 'entry_sensitive' AS tab, json_array(enrolment_id) AS key, 'foreign_background' AS col, foreign_background AS value, 'yes_no_na' AS list
  FROM entry_sensitive WHERE foreign_background NOT IN (SELECT code FROM code_list WHERE list = 'yes_no_na')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'yes_no_na')
  UNION ALL
  SELECT 'entry_sensitive' AS tab, json_array(enrolment_id) AS key, 'housing_exclusion' AS col, housing_exclusion AS value, 'yes_no_na' AS list
  FROM entry_sensitive WHERE housing_exclusion NOT IN (SELECT code FROM code_list WHERE list = 'yes_no_na')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'yes_no_na');

DROP VIEW IF EXISTS perche_invalid_event;
CREATE VIEW perche_invalid_event AS
  SELECT 'event' AS tab, json_array(id) AS key, 'kind' AS col, kind AS value, 'event_kind' AS list
  FROM event WHERE kind NOT IN (SELECT code FROM code_list WHERE list = 'event_kind')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'event_kind');

DROP VIEW IF EXISTS perche_invalid_funding_agreement;
CREATE VIEW perche_invalid_funding_agreement AS
  SELECT 'funding_agreement' AS tab, json_array(id) AS key, 'programme' AS col, programme AS value, 'programme' AS list
  FROM funding_agreement WHERE programme NOT IN (SELECT code FROM code_list WHERE list = 'programme')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'programme')
  UNION ALL
  SELECT 'funding_agreement' AS tab, json_array(id) AS key, 'level' AS col, level AS value, 'funding_level' AS list
  FROM funding_agreement WHERE level NOT IN (SELECT code FROM code_list WHERE list = 'funding_level')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'funding_level')
  UNION ALL
  SELECT 'funding_agreement' AS tab, json_array(id) AS key, 'state' AS col, state AS value, 'funding_state' AS list
  FROM funding_agreement WHERE state NOT IN (SELECT code FROM code_list WHERE list = 'funding_state')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'funding_state')
  UNION ALL
  SELECT 'funding_agreement' AS tab, json_array(id) AS key, 'bpf_product_line' AS col, bpf_product_line AS value, 'bpf_product_line' AS list
  FROM funding_agreement WHERE bpf_product_line NOT IN (SELECT code FROM code_list WHERE list = 'bpf_product_line')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'bpf_product_line');

DROP VIEW IF EXISTS perche_invalid_funding_movement;
CREATE VIEW perche_invalid_funding_movement AS
  SELECT 'funding_movement' AS tab, json_array(id) AS key, 'kind' AS col, kind AS value, 'movement_kind' AS list
  FROM funding_movement WHERE kind NOT IN (SELECT code FROM code_list WHERE list = 'movement_kind')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'movement_kind');

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

DROP VIEW IF EXISTS perche_invalid_label_award;
CREATE VIEW perche_invalid_label_award AS
  SELECT 'label_award' AS tab, json_array(id) AS key, 'label' AS col, label AS value, 'label' AS list
  FROM label_award WHERE label NOT IN (SELECT code FROM code_list WHERE list = 'label')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'label');

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

DROP VIEW IF EXISTS perche_invalid_learner_link;
CREATE VIEW perche_invalid_learner_link AS
  SELECT 'learner_link' AS tab, json_array(id) AS key, 'decision' AS col, decision AS value, 'link_decision' AS list
  FROM learner_link WHERE decision NOT IN (SELECT code FROM code_list WHERE list = 'link_decision')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'link_decision');

DROP VIEW IF EXISTS perche_invalid_network;
CREATE VIEW perche_invalid_network AS
  SELECT 'network' AS tab, json_array(id) AS key, 'kind' AS col, kind AS value, 'network_kind' AS list
  FROM network WHERE kind NOT IN (SELECT code FROM code_list WHERE list = 'network_kind')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'network_kind');

DROP VIEW IF EXISTS perche_invalid_organisation_role;
CREATE VIEW perche_invalid_organisation_role AS
  SELECT 'organisation_role' AS tab, json_array(organisation_id, role, valid_from) AS key, 'role' AS col, role AS value, 'org_role' AS list
  FROM organisation_role WHERE role NOT IN (SELECT code FROM code_list WHERE list = 'org_role')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'org_role');

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

DROP VIEW IF EXISTS perche_invalid_processing_purpose;
CREATE VIEW perche_invalid_processing_purpose AS
  SELECT 'processing_purpose' AS tab, json_array(code) AS key, 'legal_basis' AS col, legal_basis AS value, 'legal_basis' AS list
  FROM processing_purpose WHERE legal_basis NOT IN (SELECT code FROM code_list WHERE list = 'legal_basis')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'legal_basis');

DROP VIEW IF EXISTS perche_invalid_project;
CREATE VIEW perche_invalid_project AS
  SELECT 'project' AS tab, json_array(id) AS key, 'kind' AS col, kind AS value, 'project_kind' AS list
  FROM project WHERE kind NOT IN (SELECT code FROM code_list WHERE list = 'project_kind')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'project_kind');

DROP VIEW IF EXISTS perche_invalid_retention_rule;
CREATE VIEW perche_invalid_retention_rule AS
  SELECT 'retention_rule' AS tab, json_array(id) AS key, 'action' AS col, action AS value, 'retention_action' AS list
  FROM retention_rule WHERE action NOT IN (SELECT code FROM code_list WHERE list = 'retention_action')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'retention_action');

DROP VIEW IF EXISTS perche_invalid_rights_request;
CREATE VIEW perche_invalid_rights_request AS
  SELECT 'rights_request' AS tab, json_array(id) AS key, 'right_kind' AS col, right_kind AS value, 'right_kind' AS list
  FROM rights_request WHERE right_kind NOT IN (SELECT code FROM code_list WHERE list = 'right_kind')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'right_kind')
  UNION ALL
  SELECT 'rights_request' AS tab, json_array(id) AS key, 'state' AS col, state AS value, 'request_state' AS list
  FROM rights_request WHERE state NOT IN (SELECT code FROM code_list WHERE list = 'request_state')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'request_state');

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

DROP VIEW IF EXISTS perche_invalid_staff_account;
CREATE VIEW perche_invalid_staff_account AS
  SELECT 'staff_account' AS tab, json_array(id) AS key, 'role' AS col, role AS value, 'staff_role' AS list
  FROM staff_account WHERE role NOT IN (SELECT code FROM code_list WHERE list = 'staff_role')
    AND EXISTS (SELECT 1 FROM code_list WHERE list = 'staff_role');

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
  SELECT * FROM perche_invalid_admission_criterion
  UNION ALL
  SELECT * FROM perche_invalid_application
  UNION ALL
  SELECT * FROM perche_invalid_application_score
  UNION ALL
  SELECT * FROM perche_invalid_attendance
  UNION ALL
  SELECT * FROM perche_invalid_cert_attempt
  UNION ALL
  SELECT * FROM perche_invalid_cohort
  UNION ALL
  SELECT * FROM perche_invalid_cost_item
  UNION ALL
  SELECT * FROM perche_invalid_enrolment
  UNION ALL
  SELECT * FROM perche_invalid_enrolment_status_event
  UNION ALL
  SELECT * FROM perche_invalid_entry_profile
  UNION ALL
  SELECT * FROM perche_invalid_entry_profile_tag
  UNION ALL
  SELECT * FROM perche_invalid_entry_sensitive
  UNION ALL
  SELECT * FROM perche_invalid_event
  UNION ALL
  SELECT * FROM perche_invalid_funding_agreement
  UNION ALL
  SELECT * FROM perche_invalid_funding_movement
  UNION ALL
  SELECT * FROM perche_invalid_half_day
  UNION ALL
  SELECT * FROM perche_invalid_housing_lease
  UNION ALL
  SELECT * FROM perche_invalid_indicator_definition
  UNION ALL
  SELECT * FROM perche_invalid_label_award
  UNION ALL
  SELECT * FROM perche_invalid_learner
  UNION ALL
  SELECT * FROM perche_invalid_learner_contact
  UNION ALL
  SELECT * FROM perche_invalid_learner_link
  UNION ALL
  SELECT * FROM perche_invalid_network
  UNION ALL
  SELECT * FROM perche_invalid_organisation_role
  UNION ALL
  SELECT * FROM perche_invalid_outcome_decision
  UNION ALL
  SELECT * FROM perche_invalid_outcome_mapping
  UNION ALL
  SELECT * FROM perche_invalid_outcome_observation
  UNION ALL
  SELECT * FROM perche_invalid_processing_purpose
  UNION ALL
  SELECT * FROM perche_invalid_project
  UNION ALL
  SELECT * FROM perche_invalid_retention_rule
  UNION ALL
  SELECT * FROM perche_invalid_rights_request
  UNION ALL
  SELECT * FROM perche_invalid_site
  UNION ALL
  SELECT * FROM perche_invalid_site_reader
  UNION ALL
  SELECT * FROM perche_invalid_staff_account
  UNION ALL
  SELECT * FROM perche_invalid_training
  UNION ALL
  SELECT * FROM perche_invalid_transfer;
