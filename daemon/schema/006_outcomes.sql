-- G. Outcomes: observations are appended, a decision is taken. (F, the results of certification, has a later number.)

CREATE TABLE outcome_observation (
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  enrolment_id TEXT NOT NULL, milestone TEXT NOT NULL,
  as_of TEXT NOT NULL,              -- the day the situation was true
  situation TEXT NOT NULL,
  contract_months INTEGER, full_time INTEGER CHECK (full_time IN (0,1)), in_target_job INTEGER CHECK (in_target_job IN (0,1)),
  employer_org_id TEXT,
  employer_name TEXT,               -- as the site wrote it, when the hub has no such organisation yet
  gross_month_cents INTEGER,
  source TEXT NOT NULL, proof TEXT, proof_sha256 TEXT,
  recorded_at TEXT NOT NULL, recorded_site TEXT NOT NULL, recorded_by TEXT NOT NULL, voids TEXT, void_reason TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'outcome_observation', 'parent enrolment(enrolment_id)', 'placement', 'hub', 'append',
  'SELECT ''observation '' || coalesce((SELECT ''of '' || coalesce(n.short_name, o.enrolment_id) || '' as of '' || o.as_of
     FROM outcome_observation o LEFT JOIN enrolment_name n ON n.enrolment_id = o.enrolment_id
     WHERE o.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('outcome_observation', 'id',                0,  'append', 'P2', 'keep', NULL,                NULL,                      NULL),
  ('outcome_observation', 'enrolment_id',      1,  'append', 'P2', 'keep', NULL,                'enrolment(id)',           NULL),
  ('outcome_observation', 'milestone',         2,  'append', 'P2', 'keep', 'milestone',         NULL,                      NULL),
  ('outcome_observation', 'as_of',             3,  'append', 'P2', 'keep', NULL,                NULL,                      NULL),
  ('outcome_observation', 'situation',         4,  'append', 'P2', 'keep', 'outcome_situation', NULL,                      NULL),
  ('outcome_observation', 'contract_months',   5,  'append', 'P2', 'keep', NULL,                NULL,                      NULL),
  ('outcome_observation', 'full_time',         6,  'append', 'P2', 'keep', NULL,                NULL,                      NULL),
  ('outcome_observation', 'in_target_job',     7,  'append', 'P2', 'keep', NULL,                NULL,                      NULL),
  ('outcome_observation', 'employer_org_id',   8,  'append', 'P2', 'null', NULL,                'organisation(id)',        NULL),
  ('outcome_observation', 'employer_name',     9,  'append', 'P1', 'null', NULL,                NULL,                      NULL),
  ('outcome_observation', 'gross_month_cents', 10, 'append', 'P2', 'null', NULL,                NULL,                      NULL),
  ('outcome_observation', 'source',            11, 'append', 'P2', 'keep', 'outcome_source',    NULL,                      NULL),
  ('outcome_observation', 'proof',             12, 'append', 'P2', 'keep', 'outcome_proof',     NULL,                      NULL),
  ('outcome_observation', 'proof_sha256',      13, 'append', 'P2', 'null', NULL,                NULL,                      NULL),
  ('outcome_observation', 'recorded_at',       14, 'append', 'P2', 'keep', NULL,                NULL,                      NULL),
  ('outcome_observation', 'recorded_site',     15, 'append', 'P2', 'keep', NULL,                'site(id)',                NULL),
  ('outcome_observation', 'recorded_by',       16, 'append', 'P2', 'keep', NULL,                NULL,                      NULL),
  ('outcome_observation', 'voids',             17, 'append', 'P2', 'keep', NULL,                'outcome_observation(id)', NULL),
  ('outcome_observation', 'void_reason',       18, 'append', 'P1', 'null', NULL,                NULL,                      NULL);

CREATE TABLE outcome_decision (     -- what counts for a milestone; two offices that decide write the same row
  enrolment_id TEXT NOT NULL, milestone TEXT NOT NULL,
  situation TEXT NOT NULL,          -- the reviewed value, as observed
  observation_id TEXT NOT NULL,
  rule TEXT NOT NULL, decided_by TEXT NOT NULL, decided_at TEXT NOT NULL,
  PRIMARY KEY (enrolment_id, milestone)) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'outcome_decision', 'parent enrolment(enrolment_id)', 'placement', 'hub', 'lww',
  'SELECT ''outcome of '' || coalesce((SELECT short_name FROM enrolment_name WHERE enrolment_id = ?1), ?1) || '' ''
     || CASE ?2 WHEN ''DURING'' THEN ''during the training'' WHEN ''M0'' THEN ''on leaving'' WHEN ''W4'' THEN ''at 4 weeks''
       WHEN ''M3'' THEN ''at 3 months'' WHEN ''M6'' THEN ''at 6 months'' WHEN ''M12'' THEN ''at 12 months''
       WHEN ''M24'' THEN ''at 24 months''
       ELSE ''at '' || ?2 END');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('outcome_decision', 'enrolment_id',   0, 'lww',    'P2', 'keep', NULL,                'enrolment(id)',           NULL),
  ('outcome_decision', 'milestone',      0, 'lww',    'P2', 'keep', 'milestone',         NULL,                      NULL),
  ('outcome_decision', 'situation',      1, 'review', 'P2', 'keep', 'outcome_situation', NULL,                      NULL),
  ('outcome_decision', 'observation_id', 2, 'lww',    'P2', 'keep', NULL,                'outcome_observation(id)', 'situation'),
  ('outcome_decision', 'rule',           3, 'lww',    'P2', 'keep', 'decision_rule',     NULL,                      NULL),
  ('outcome_decision', 'decided_by',     4, 'lww',    'P2', 'keep', NULL,                NULL,                      NULL),
  ('outcome_decision', 'decided_at',     5, 'lww',    'P2', 'keep', NULL,                NULL,                      NULL);
