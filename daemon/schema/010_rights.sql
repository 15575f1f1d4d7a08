-- I. Rights, logs, reconciliation.

CREATE TABLE staff_account (        -- who may write where (staff names are personal data too)
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  site_id TEXT NOT NULL, display_name TEXT, role TEXT NOT NULL,
  valid_from TEXT NOT NULL, valid_to TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'staff_account', '*', NULL, 'hub', 'hub',
  'SELECT ''account '' || coalesce((SELECT coalesce(nullif(trim(display_name), ''''), role || '' '' || id)
     FROM staff_account WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('staff_account', 'id',           0, 'hub', 'P0', 'keep', NULL,         NULL,       NULL),
  ('staff_account', 'site_id',      1, 'hub', 'P0', 'keep', NULL,         'site(id)', NULL),
  ('staff_account', 'display_name', 2, 'hub', 'P1', 'null', NULL,         NULL,       NULL),
  ('staff_account', 'role',         3, 'hub', 'P0', 'keep', 'staff_role', NULL,       NULL),
  ('staff_account', 'valid_from',   4, 'hub', 'P0', 'keep', NULL,         NULL,       NULL),
  ('staff_account', 'valid_to',     5, 'hub', 'P0', 'keep', NULL,         NULL,       NULL);

CREATE TABLE processing_purpose (   -- register of purposes, one legal basis each
  code TEXT NOT NULL PRIMARY KEY, label TEXT NOT NULL, legal_basis TEXT NOT NULL) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'processing_purpose', '*', NULL, 'hub', 'hub',
  'SELECT ''purpose '' || ?1');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('processing_purpose', 'code',        0, 'hub', 'P0', 'keep', NULL,          NULL, NULL),
  ('processing_purpose', 'label',       1, 'hub', 'P0', 'keep', NULL,          NULL, NULL),
  ('processing_purpose', 'legal_basis', 2, 'hub', 'P0', 'keep', 'legal_basis', NULL, NULL);

CREATE TABLE consent (              -- given or withdrawn; what holds is the view consent_now
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  learner_id TEXT NOT NULL, purpose TEXT NOT NULL,
  given INTEGER NOT NULL CHECK (given IN (0,1)), at TEXT NOT NULL, text_version TEXT NOT NULL) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'consent', 'parent learner(learner_id)', NULL, 'hub', 'append',
  'SELECT ''consent '' || coalesce((SELECT ''of '' || coalesce(n.short_name, c.learner_id) || '' to '' || c.purpose || '' on '' || c.at
     FROM consent c LEFT JOIN learner_name n ON n.learner_id = c.learner_id WHERE c.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('consent', 'id',           0, 'append', 'P2', 'keep', NULL, NULL,                       NULL),
  ('consent', 'learner_id',   1, 'append', 'P2', 'keep', NULL, 'learner(id)',              NULL),
  ('consent', 'purpose',      2, 'append', 'P2', 'keep', NULL, 'processing_purpose(code)', NULL),
  ('consent', 'given',        3, 'append', 'P2', 'keep', NULL, NULL,                       NULL),
  ('consent', 'at',           4, 'append', 'P2', 'keep', NULL, NULL,                       NULL),
  ('consent', 'text_version', 5, 'append', 'P2', 'keep', NULL, NULL,                       NULL);

CREATE TABLE rights_request (       -- a data-subject request and its one-month clock
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  learner_id TEXT NOT NULL, right_kind TEXT NOT NULL,
  received_on TEXT NOT NULL, due_on TEXT NOT NULL, state TEXT NOT NULL, refusal_ground TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'rights_request', 'parent learner(learner_id)', NULL, 'hub', 'review',
  'SELECT ''request '' || coalesce((SELECT q.right_kind || '' of '' || coalesce(n.short_name, q.learner_id) || '' on '' || q.received_on
     FROM rights_request q LEFT JOIN learner_name n ON n.learner_id = q.learner_id WHERE q.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('rights_request', 'id',             0, 'review', 'P2', 'keep', NULL,            NULL,          NULL),
  ('rights_request', 'learner_id',     1, 'review', 'P2', 'keep', NULL,            'learner(id)', NULL),
  ('rights_request', 'right_kind',     2, 'review', 'P2', 'keep', 'right_kind',    NULL,          NULL),
  ('rights_request', 'received_on',    3, 'review', 'P2', 'keep', NULL,            NULL,          NULL),
  ('rights_request', 'due_on',         4, 'review', 'P2', 'keep', NULL,            NULL,          NULL),
  ('rights_request', 'state',          5, 'review', 'P2', 'keep', 'request_state', NULL,          NULL),
  ('rights_request', 'refusal_ground', 6, 'review', 'P1', 'null', NULL,            NULL,          NULL);

CREATE TABLE rights_ack (           -- each replica says when it has applied the request
  request_id TEXT NOT NULL, site_id TEXT NOT NULL, done_at TEXT NOT NULL, rows_changed INTEGER NOT NULL,
  PRIMARY KEY (request_id, site_id)) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'rights_ack', 'own site_id', NULL, 'hub', 'append',
  'SELECT ''receipt of '' || coalesce((SELECT name FROM site WHERE id = ?2), ?2) || '' for request '' || ?1');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('rights_ack', 'request_id',   0, 'append', 'P0', 'keep', NULL, 'rights_request(id)', NULL),
  ('rights_ack', 'site_id',      0, 'append', 'P0', 'keep', NULL, 'site(id)',           NULL),
  ('rights_ack', 'done_at',      1, 'append', 'P0', 'keep', NULL, NULL,                 NULL),
  ('rights_ack', 'rows_changed', 2, 'append', 'P0', 'keep', NULL, NULL,                 NULL);

CREATE TABLE legal_hold (           -- stops erasure of evidence (co-funded operation under audit)
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  learner_id TEXT, -- NULL: not about one person, the hub only
  subject TEXT NOT NULL, subject_id TEXT NOT NULL, until TEXT NOT NULL, ground TEXT NOT NULL) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'legal_hold', 'parent learner(learner_id)', NULL, 'hub', 'review',
  'SELECT ''hold '' || coalesce((SELECT ''on '' || subject || '' until '' || until FROM legal_hold WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('legal_hold', 'id',         0, 'review', 'P0', 'keep', NULL, NULL,          NULL),
  ('legal_hold', 'learner_id', 1, 'review', 'P0', 'keep', NULL, 'learner(id)', NULL),
  ('legal_hold', 'subject',    2, 'review', 'P0', 'keep', NULL, NULL,          NULL),
  ('legal_hold', 'subject_id', 3, 'review', 'P0', 'keep', NULL, NULL,          NULL),
  ('legal_hold', 'until',      4, 'review', 'P0', 'keep', NULL, NULL,          NULL),
  ('legal_hold', 'ground',     5, 'review', 'P0', 'keep', NULL, NULL,          NULL);

CREATE TABLE audit_log (            -- one chain per (site, epoch); names fields, never their values
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  site_id TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
  at TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
  object_table TEXT NOT NULL, object_id TEXT NOT NULL, fields TEXT, prev_hash BLOB, hash BLOB) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'audit_log', 'own site_id', NULL, 'hub', 'append',
  'SELECT ''log entry '' || coalesce((SELECT seq || '' of '' || at FROM audit_log WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('audit_log', 'id',           0,  'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('audit_log', 'site_id',      1,  'append', 'P0', 'keep', NULL, 'site(id)',          NULL),
  ('audit_log', 'epoch',        2,  'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('audit_log', 'seq',          3,  'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('audit_log', 'at',           4,  'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('audit_log', 'actor',        5,  'append', 'P0', 'keep', NULL, 'staff_account(id)', NULL),
  ('audit_log', 'action',       6,  'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('audit_log', 'object_table', 7,  'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('audit_log', 'object_id',    8,  'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('audit_log', 'fields',       9,  'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('audit_log', 'prev_hash',    10, 'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('audit_log', 'hash',         11, 'append', 'P0', 'keep', NULL, NULL,                NULL);
INSERT INTO perche_unique (tab, cols) VALUES ('audit_log', 'site_id,epoch,seq');

CREATE TABLE export_log (           -- every nominal list that left the system
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  at TEXT NOT NULL, actor TEXT NOT NULL, site_id TEXT NOT NULL,
  format TEXT NOT NULL, list_kind TEXT NOT NULL, row_count INTEGER NOT NULL,
  filter TEXT) STRICT, WITHOUT ROWID; -- columns and codes, never a name

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'export_log', 'own site_id', NULL, 'hub', 'append',
  'SELECT ''export '' || coalesce((SELECT ''of '' || list_kind || '' on '' || at FROM export_log WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('export_log', 'id',        0, 'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('export_log', 'at',        1, 'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('export_log', 'actor',     2, 'append', 'P0', 'keep', NULL, 'staff_account(id)', NULL),
  ('export_log', 'site_id',   3, 'append', 'P0', 'keep', NULL, 'site(id)',          NULL),
  ('export_log', 'format',    4, 'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('export_log', 'list_kind', 5, 'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('export_log', 'row_count', 6, 'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('export_log', 'filter',    7, 'append', 'P0', 'keep', NULL, NULL,                NULL);

CREATE TABLE import_batch (         -- a file taken in: same sha256 twice = no effect
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  at TEXT NOT NULL, actor TEXT NOT NULL, site_id TEXT NOT NULL, format TEXT NOT NULL, sha256 TEXT NOT NULL,
  rows_ok INTEGER NOT NULL, rows_error INTEGER NOT NULL, rows_missing INTEGER NOT NULL) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'import_batch', 'own site_id', NULL, 'hub', 'append',
  'SELECT ''import '' || coalesce((SELECT ''of '' || format || '' on '' || at FROM import_batch WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('import_batch', 'id',           0, 'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('import_batch', 'at',           1, 'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('import_batch', 'actor',        2, 'append', 'P0', 'keep', NULL, 'staff_account(id)', NULL),
  ('import_batch', 'site_id',      3, 'append', 'P0', 'keep', NULL, 'site(id)',          NULL),
  ('import_batch', 'format',       4, 'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('import_batch', 'sha256',       5, 'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('import_batch', 'rows_ok',      6, 'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('import_batch', 'rows_error',   7, 'append', 'P0', 'keep', NULL, NULL,                NULL),
  ('import_batch', 'rows_missing', 8, 'append', 'P0', 'keep', NULL, NULL,                NULL);

CREATE TABLE external_id (          -- what another program calls a row: never our key, which stays what it was
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  site_id TEXT NOT NULL,            -- where it was imported
  source TEXT NOT NULL, tab TEXT NOT NULL, row_id TEXT NOT NULL,
  external TEXT) STRICT, WITHOUT ROWID; -- in the program's own words
CREATE INDEX external_id_external ON external_id (source, tab, external);

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'external_id', 'own site_id', NULL, 'holder', 'lww',
  'SELECT ''id '' || coalesce((SELECT ''of a row of '' || tab || '' in '' || source FROM external_id WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('external_id', 'id',       0, 'lww', 'P0', 'keep', NULL, NULL,       NULL),
  ('external_id', 'site_id',  1, 'lww', 'P0', 'keep', NULL, 'site(id)', NULL),
  ('external_id', 'source',   2, 'lww', 'P0', 'keep', NULL, NULL,       NULL),
  ('external_id', 'tab',      3, 'lww', 'P0', 'keep', NULL, NULL,       NULL),
  ('external_id', 'row_id',   4, 'lww', 'P0', 'keep', NULL, NULL,       NULL),
  ('external_id', 'external', 5, 'lww', 'P1', 'null', NULL, NULL,       NULL);

CREATE TABLE duplicate_candidate (  -- pairs to look at: computed at the hub, not replicated
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  learner_a TEXT NOT NULL, learner_b TEXT NOT NULL, rule TEXT NOT NULL, score INTEGER NOT NULL,
  state TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE report_snapshot (      -- a published figure, and what was known when it was computed
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  definition_id TEXT NOT NULL, scope TEXT NOT NULL, as_of TEXT NOT NULL, knowledge_cut TEXT NOT NULL,
  numerator INTEGER, denominator INTEGER, value_text TEXT NOT NULL,
  suppressed INTEGER NOT NULL DEFAULT 0 CHECK (suppressed IN (0,1))) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'report_snapshot', '*', NULL, 'hub', 'hub',
  'SELECT ''figure '' || coalesce((SELECT definition_id || '' of '' || scope || '' as of '' || as_of FROM report_snapshot WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('report_snapshot', 'id',            0, 'hub', 'P0', 'keep', NULL, NULL, NULL),
  ('report_snapshot', 'definition_id', 1, 'hub', 'P0', 'keep', NULL, NULL, NULL),
  ('report_snapshot', 'scope',         2, 'hub', 'P0', 'keep', NULL, NULL, NULL),
  ('report_snapshot', 'as_of',         3, 'hub', 'P0', 'keep', NULL, NULL, NULL),
  ('report_snapshot', 'knowledge_cut', 4, 'hub', 'P0', 'keep', NULL, NULL, NULL),
  ('report_snapshot', 'numerator',     5, 'hub', 'P0', 'keep', NULL, NULL, NULL),
  ('report_snapshot', 'denominator',   6, 'hub', 'P0', 'keep', NULL, NULL, NULL),
  ('report_snapshot', 'value_text',    7, 'hub', 'P0', 'keep', NULL, NULL, NULL),
  ('report_snapshot', 'suppressed',    8, 'hub', 'P0', 'keep', NULL, NULL, NULL);
