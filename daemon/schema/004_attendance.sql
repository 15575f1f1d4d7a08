-- D. Attendance in half-days.

CREATE TABLE half_day (             -- planned by the site
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  cohort_id TEXT NOT NULL, day TEXT NOT NULL, half TEXT NOT NULL,
  mode TEXT NOT NULL, minutes INTEGER NOT NULL DEFAULT 210, module TEXT, trainer TEXT, -- trainer: a staff_account.id, no name
  cancelled INTEGER NOT NULL DEFAULT 0 CHECK (cancelled IN (0,1))) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'half_day', 'parent cohort(cohort_id)', NULL, 'hub', 'lww',
  'SELECT ''half-day '' || coalesce((SELECT h.day || '' '' || h.half || coalesce('' of '' || c.code, '''')
     FROM half_day h LEFT JOIN cohort c ON c.id = h.cohort_id WHERE h.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('half_day', 'id',        0, 'lww', 'P0', 'keep', NULL,            NULL,         NULL),
  ('half_day', 'cohort_id', 1, 'lww', 'P0', 'keep', NULL,            'cohort(id)', NULL),
  ('half_day', 'day',       2, 'lww', 'P0', 'keep', NULL,            NULL,         NULL),
  ('half_day', 'half',      3, 'lww', 'P0', 'keep', 'half',          NULL,         NULL),
  ('half_day', 'mode',      4, 'lww', 'P0', 'keep', 'half_day_mode', NULL,         NULL),
  ('half_day', 'minutes',   5, 'lww', 'P0', 'keep', NULL,            NULL,         NULL),
  ('half_day', 'module',    6, 'lww', 'P0', 'keep', NULL,            NULL,         NULL),
  ('half_day', 'trainer',   7, 'lww', 'P0', 'keep', NULL,            'staff_account(id)', NULL),
  ('half_day', 'cancelled', 8, 'lww', 'P0', 'keep', NULL,            NULL,         NULL);
INSERT INTO perche_unique (tab, cols) VALUES ('half_day', 'cohort_id,day,half');

CREATE TABLE attendance (           -- one mark = one row; a correction is a new row that voids the old one
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  half_day_id TEXT NOT NULL, enrolment_id TEXT NOT NULL,
  mark TEXT NOT NULL, minutes INTEGER NOT NULL, proof TEXT NOT NULL,
  learner_signed_at TEXT, trainer_signed_at TEXT, proof_sha256 TEXT,
  recorded_at TEXT NOT NULL, recorded_site TEXT NOT NULL, voids TEXT, void_reason TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'attendance', 'parent enrolment(enrolment_id)', NULL, 'hub', 'append',
  'SELECT ''mark '' || coalesce((SELECT ''of '' || coalesce(n.short_name, a.enrolment_id)
       || coalesce('' on '' || h.day || '' '' || h.half, '''')
     FROM attendance a LEFT JOIN enrolment_name n ON n.enrolment_id = a.enrolment_id
     LEFT JOIN half_day h ON h.id = a.half_day_id WHERE a.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('attendance', 'id',                0,  'append', 'P2', 'keep', NULL,               NULL,             NULL),
  ('attendance', 'half_day_id',       1,  'append', 'P2', 'keep', NULL,               'half_day(id)',   NULL),
  ('attendance', 'enrolment_id',      2,  'append', 'P2', 'keep', NULL,               'enrolment(id)',  NULL),
  ('attendance', 'mark',              3,  'append', 'P2', 'keep', 'mark',             NULL,             NULL),
  ('attendance', 'minutes',           4,  'append', 'P2', 'keep', NULL,               NULL,             NULL),
  ('attendance', 'proof',             5,  'append', 'P2', 'keep', 'attendance_proof', NULL,             NULL),
  ('attendance', 'learner_signed_at', 6,  'append', 'P2', 'keep', NULL,               NULL,             NULL),
  ('attendance', 'trainer_signed_at', 7,  'append', 'P2', 'keep', NULL,               NULL,             NULL),
  ('attendance', 'proof_sha256',      8,  'append', 'P2', 'null', NULL,               NULL,             NULL),
  ('attendance', 'recorded_at',       9,  'append', 'P2', 'keep', NULL,               NULL,             NULL),
  ('attendance', 'recorded_site',     10, 'append', 'P2', 'keep', NULL,               'site(id)',       NULL),
  ('attendance', 'voids',             11, 'append', 'P2', 'keep', NULL,               'attendance(id)', NULL),
  ('attendance', 'void_reason',       12, 'append', 'P1', 'null', NULL,               NULL,             NULL);
