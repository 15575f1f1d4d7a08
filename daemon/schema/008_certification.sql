-- F. Certification results. (The titles themselves are reference data: 001_reference.)

CREATE TABLE cert_attempt (         -- one jury, one result; a corrected result voids the first
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  enrolment_id TEXT NOT NULL, rncp_code TEXT NOT NULL, jury_on TEXT NOT NULL,
  result TEXT NOT NULL,
  valid_from TEXT,                  -- start of validity of the title (compulsory in the Caisse des Dépôts XML)
  voids TEXT, void_reason TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'cert_attempt', 'parent enrolment(enrolment_id)', 'placement', 'hub', 'append',
  'SELECT ''jury '' || coalesce((SELECT ''of '' || coalesce(n.short_name, x.enrolment_id) || '' on '' || x.jury_on
     FROM cert_attempt x LEFT JOIN enrolment_name n ON n.enrolment_id = x.enrolment_id
     WHERE x.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('cert_attempt', 'id',           0, 'append', 'P2', 'keep', NULL,          NULL,                       NULL),
  ('cert_attempt', 'enrolment_id', 1, 'append', 'P2', 'keep', NULL,          'enrolment(id)',            NULL),
  ('cert_attempt', 'rncp_code',    2, 'append', 'P2', 'keep', NULL,          'certification(rncp_code)', NULL),
  ('cert_attempt', 'jury_on',      3, 'append', 'P2', 'keep', NULL,          NULL,                       NULL),
  ('cert_attempt', 'result',       4, 'append', 'P2', 'keep', 'cert_result', NULL,                       NULL),
  ('cert_attempt', 'valid_from',   5, 'append', 'P2', 'keep', NULL,          NULL,                       NULL),
  ('cert_attempt', 'voids',        6, 'append', 'P2', 'keep', NULL,          'cert_attempt(id)',         NULL),
  ('cert_attempt', 'void_reason',  7, 'append', 'P1', 'null', NULL,          NULL,                       NULL);

CREATE TABLE cert_block_result (    -- result per block (CCP)
  attempt_id TEXT NOT NULL, block_code TEXT NOT NULL, passed INTEGER NOT NULL CHECK (passed IN (0,1)),
  PRIMARY KEY (attempt_id, block_code)) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'cert_block_result', 'parent cert_attempt(attempt_id)', NULL, 'hub', 'append',
  'SELECT ''block '' || ?2 || coalesce((SELECT '' of '' || n.short_name
     FROM cert_attempt a JOIN enrolment_name n ON n.enrolment_id = a.enrolment_id WHERE a.id = ?1), '' of '' || ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('cert_block_result', 'attempt_id', 0, 'append', 'P2', 'keep', NULL, 'cert_attempt(id)',          NULL),
  ('cert_block_result', 'block_code', 0, 'append', 'P2', 'keep', NULL, 'certification_block(code)', NULL),
  ('cert_block_result', 'passed',     1, 'append', 'P2', 'keep', NULL, NULL,                        NULL);
