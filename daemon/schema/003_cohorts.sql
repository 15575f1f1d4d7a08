-- C. Site scope: recruitment, cohorts, enrolments.

CREATE TABLE cohort (               -- promotion / session at one site
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  site_id TEXT NOT NULL, training_id TEXT NOT NULL,
  code TEXT NOT NULL, seq INTEGER,  -- 'P1'
  starts_on TEXT NOT NULL, ends_on TEXT NOT NULL,
  capacity INTEGER NOT NULL,        -- two offices must not both fill the last seat
  hours_centre INTEGER, hours_distance INTEGER, hours_company INTEGER,
  mode TEXT NOT NULL,
  rhythm TEXT,                      -- 'one week on site, three at a distance'
  operator_org_id TEXT,             -- ADRAR, Simplon, own
  status TEXT NOT NULL) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'cohort', 'own site_id', NULL, 'holder', 'lww',
  'SELECT ''cohort '' || coalesce((SELECT c.code || coalesce('' of '' || s.name, '''')
     FROM cohort c LEFT JOIN site s ON s.id = c.site_id WHERE c.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('cohort', 'id',              0,  'lww',    'P0', 'keep', NULL,            NULL,               NULL),
  ('cohort', 'site_id',         1,  'lww',    'P0', 'keep', NULL,            'site(id)',         NULL),
  ('cohort', 'training_id',     2,  'lww',    'P0', 'keep', NULL,            'training(id)',     NULL),
  ('cohort', 'code',            3,  'lww',    'P0', 'keep', NULL,            NULL,               NULL),
  ('cohort', 'seq',             4,  'lww',    'P0', 'keep', NULL,            NULL,               NULL),
  ('cohort', 'starts_on',       5,  'lww',    'P0', 'keep', NULL,            NULL,               NULL),
  ('cohort', 'ends_on',         6,  'lww',    'P0', 'keep', NULL,            NULL,               NULL),
  ('cohort', 'capacity',        7,  'review', 'P0', 'keep', NULL,            NULL,               NULL),
  ('cohort', 'hours_centre',    8,  'lww',    'P0', 'keep', NULL,            NULL,               NULL),
  ('cohort', 'hours_distance',  9,  'lww',    'P0', 'keep', NULL,            NULL,               NULL),
  ('cohort', 'hours_company',   10, 'lww',    'P0', 'keep', NULL,            NULL,               NULL),
  ('cohort', 'mode',            11, 'lww',    'P0', 'keep', 'training_mode', NULL,               NULL),
  ('cohort', 'rhythm',          12, 'lww',    'P0', 'keep', NULL,            NULL,               NULL),
  ('cohort', 'operator_org_id', 13, 'lww',    'P0', 'keep', NULL,            'organisation(id)', NULL),
  ('cohort', 'status',          14, 'lww',    'P0', 'keep', 'cohort_status', NULL,               NULL);

CREATE TABLE application (          -- candidature
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  site_id TEXT NOT NULL, cohort_id TEXT NOT NULL, learner_id TEXT NOT NULL,
  received_on TEXT NOT NULL, channel TEXT, stage TEXT NOT NULL,
  decided_on TEXT, decided_by TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'application', 'own site_id', NULL, 'holder', 'lww',
  'SELECT ''application '' || coalesce((SELECT ''of '' || coalesce(n.short_name, a.learner_id) || coalesce('' to '' || c.code, '''')
     FROM application a LEFT JOIN learner_name n ON n.learner_id = a.learner_id
     LEFT JOIN cohort c ON c.id = a.cohort_id WHERE a.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('application', 'id',          0, 'lww',    'P2', 'keep', NULL,      NULL,                NULL),
  ('application', 'site_id',     1, 'lww',    'P2', 'keep', NULL,      'site(id)',          NULL),
  ('application', 'cohort_id',   2, 'lww',    'P2', 'keep', NULL,      'cohort(id)',        NULL),
  ('application', 'learner_id',  3, 'lww',    'P2', 'keep', NULL,      'learner(id)',       NULL),
  ('application', 'received_on', 4, 'lww',    'P2', 'keep', NULL,      NULL,                NULL),
  ('application', 'channel',     5, 'lww',    'P2', 'keep', 'channel', NULL,                NULL),
  ('application', 'stage',       6, 'review', 'P2', 'keep', 'stage',   NULL,                NULL),
  ('application', 'decided_on',  7, 'lww',    'P2', 'keep', NULL,      NULL,                NULL),
  ('application', 'decided_by',  8, 'lww',    'P2', 'keep', NULL,      'staff_account(id)', NULL);

CREATE TABLE application_score (    -- one row per assessor and criterion
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  application_id TEXT NOT NULL, criterion TEXT NOT NULL, score INTEGER, -- 0 to 5
  assessor TEXT NOT NULL, at TEXT NOT NULL) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'application_score', 'parent application(application_id)', NULL, 'hub', 'append',
  'SELECT ''score '' || coalesce((SELECT s.criterion || coalesce('' of '' || n.short_name, '''')
     FROM application_score s LEFT JOIN application a ON a.id = s.application_id
     LEFT JOIN learner_name n ON n.learner_id = a.learner_id WHERE s.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('application_score', 'id',             0, 'append', 'P2', 'keep', NULL,        NULL,                NULL),
  ('application_score', 'application_id', 1, 'append', 'P2', 'keep', NULL,        'application(id)',   NULL),
  ('application_score', 'criterion',      2, 'append', 'P2', 'keep', 'criterion', NULL,                NULL),
  ('application_score', 'score',          3, 'append', 'P2', 'null', NULL,        NULL,                NULL),
  ('application_score', 'assessor',       4, 'append', 'P2', 'keep', NULL,        'staff_account(id)', NULL),
  ('application_score', 'at',             5, 'append', 'P2', 'keep', NULL,        NULL,                NULL);

CREATE TABLE referral (             -- prescription by Mission locale, Pôle emploi, E2C...; several may be true
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  site_id TEXT NOT NULL, -- the school it is made to
  desk_site_id TEXT,                -- the partner desk that made it, if it has a replica
  learner_id TEXT NOT NULL, cohort_id TEXT, prescriber_org_id TEXT NOT NULL, referred_on TEXT NOT NULL) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'referral', 'own site_id, desk_site_id', NULL, 'holder', 'append',
  'SELECT ''referral '' || coalesce((SELECT ''of '' || coalesce(n.short_name, f.learner_id) || '' on '' || f.referred_on
     FROM referral f LEFT JOIN learner_name n ON n.learner_id = f.learner_id WHERE f.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('referral', 'id',                0, 'append', 'P2', 'keep', NULL, NULL,               NULL),
  ('referral', 'site_id',           1, 'append', 'P2', 'keep', NULL, 'site(id)',         NULL),
  ('referral', 'desk_site_id',      2, 'append', 'P2', 'keep', NULL, 'site(id)',         NULL),
  ('referral', 'learner_id',        3, 'append', 'P2', 'keep', NULL, 'learner(id)',      NULL),
  ('referral', 'cohort_id',         4, 'append', 'P2', 'keep', NULL, 'cohort(id)',       NULL),
  ('referral', 'prescriber_org_id', 5, 'append', 'P2', 'keep', NULL, 'organisation(id)', NULL),
  ('referral', 'referred_on',       6, 'append', 'P2', 'keep', NULL, NULL,               NULL);

CREATE TABLE enrolment (            -- parcours: one person in one cohort
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  learner_id TEXT NOT NULL, cohort_id TEXT NOT NULL, site_id TEXT NOT NULL,
  name_at_entry TEXT,               -- frozen at entry: the attendance sheet of the school that taught the person
  planned_start TEXT NOT NULL, planned_end TEXT NOT NULL,
  actual_start TEXT,                -- the 'entry' reported to the funder
  actual_end TEXT,                  -- the 'exit'; base date of +4 weeks, +3, +6 months
  exit_reason TEXT,
  bpf_trainee_type TEXT,            -- BPF class of trainee
  pay_scheme TEXT,                  -- AREF, RFPE, RSFP, NONE...
  transferred_from TEXT) STRICT, WITHOUT ROWID; -- enrolment continued from another site

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'enrolment', 'own site_id', 'placement', 'hub', 'review',
  'SELECT ''enrolment '' || coalesce((SELECT ''of '' || coalesce(n.short_name, e.id) || coalesce('' in '' || c.code, '''')
     FROM enrolment e JOIN enrolment_name n ON n.enrolment_id = e.id LEFT JOIN cohort c ON c.id = e.cohort_id
     WHERE e.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('enrolment', 'id',               0,  'review', 'P2', 'keep', NULL,               NULL,            NULL),
  ('enrolment', 'learner_id',       1,  'review', 'P2', 'keep', NULL,               'learner(id)',   NULL),
  ('enrolment', 'cohort_id',        2,  'review', 'P2', 'keep', NULL,               'cohort(id)',    NULL),
  ('enrolment', 'site_id',          3,  'review', 'P2', 'keep', NULL,               'site(id)',      NULL),
  ('enrolment', 'name_at_entry',    4,  'review', 'P1', 'null', NULL,               NULL,            NULL),
  ('enrolment', 'planned_start',    5,  'review', 'P2', 'keep', NULL,               NULL,            NULL),
  ('enrolment', 'planned_end',      6,  'review', 'P2', 'keep', NULL,               NULL,            NULL),
  ('enrolment', 'actual_start',     7,  'review', 'P2', 'keep', NULL,               NULL,            NULL),
  ('enrolment', 'actual_end',       8,  'review', 'P2', 'keep', NULL,               NULL,            NULL),
  ('enrolment', 'exit_reason',      9,  'review', 'P2', 'keep', 'exit_reason',      NULL,            NULL),
  ('enrolment', 'bpf_trainee_type', 10, 'lww',    'P2', 'keep', 'bpf_trainee_type', NULL,            NULL),
  ('enrolment', 'pay_scheme',       11, 'lww',    'P2', 'keep', 'pay_scheme',       NULL,            NULL),
  ('enrolment', 'transferred_from', 12, 'review', 'P2', 'keep', NULL,               'enrolment(id)', NULL);

CREATE TABLE enrolment_status_event ( -- status history, business date and reception date both kept
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  enrolment_id TEXT NOT NULL, status TEXT NOT NULL,
  effective_on TEXT NOT NULL, recorded_at TEXT NOT NULL, recorded_site TEXT NOT NULL, note TEXT, voids TEXT, void_reason TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'enrolment_status_event', 'parent enrolment(enrolment_id)', 'placement', 'hub', 'append',
  'SELECT ''status '' || coalesce((SELECT ''of '' || coalesce(n.short_name, v.enrolment_id) || '' on '' || v.effective_on
     FROM enrolment_status_event v LEFT JOIN enrolment_name n ON n.enrolment_id = v.enrolment_id
     WHERE v.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('enrolment_status_event', 'id',            0, 'append', 'P2', 'keep', NULL,               NULL,                         NULL),
  ('enrolment_status_event', 'enrolment_id',  1, 'append', 'P2', 'keep', NULL,               'enrolment(id)',              NULL),
  ('enrolment_status_event', 'status',        2, 'append', 'P2', 'keep', 'enrolment_status', NULL,                         NULL),
  ('enrolment_status_event', 'effective_on',  3, 'append', 'P2', 'keep', NULL,               NULL,                         NULL),
  ('enrolment_status_event', 'recorded_at',   4, 'append', 'P2', 'keep', NULL,               NULL,                         NULL),
  ('enrolment_status_event', 'recorded_site', 5, 'append', 'P2', 'keep', NULL,               'site(id)',                   NULL),
  ('enrolment_status_event', 'note',          6, 'append', 'P1', 'null', NULL,               NULL,                         NULL),
  ('enrolment_status_event', 'voids',         7, 'append', 'P2', 'keep', NULL,               'enrolment_status_event(id)', NULL),
  ('enrolment_status_event', 'void_reason',   8, 'append', 'P1', 'null', NULL,               NULL,                         NULL);

CREATE TABLE transfer (             -- two-sided: asked, accepted, effective
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  learner_id TEXT NOT NULL, enrolment_id TEXT NOT NULL,
  from_site TEXT NOT NULL, to_site TEXT NOT NULL, to_cohort_id TEXT NOT NULL,
  asked_on TEXT NOT NULL, effective_on TEXT NOT NULL, state TEXT NOT NULL) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'transfer', 'own from_site, to_site', NULL, 'hub', 'review',
  'SELECT ''transfer '' || coalesce((SELECT ''of '' || coalesce(n.short_name, t.learner_id) || '' on '' || t.effective_on
     FROM transfer t LEFT JOIN learner_name n ON n.learner_id = t.learner_id WHERE t.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('transfer', 'id',           0, 'review', 'P2', 'keep', NULL,             NULL,            NULL),
  ('transfer', 'learner_id',   1, 'review', 'P2', 'keep', NULL,             'learner(id)',   NULL),
  ('transfer', 'enrolment_id', 2, 'review', 'P2', 'keep', NULL,             'enrolment(id)', NULL),
  ('transfer', 'from_site',    3, 'review', 'P2', 'keep', NULL,             'site(id)',      NULL),
  ('transfer', 'to_site',      4, 'review', 'P2', 'keep', NULL,             'site(id)',      NULL),
  ('transfer', 'to_cohort_id', 5, 'review', 'P2', 'keep', NULL,             'cohort(id)',    NULL),
  ('transfer', 'asked_on',     6, 'review', 'P2', 'keep', NULL,             NULL,            NULL),
  ('transfer', 'effective_on', 7, 'review', 'P2', 'keep', NULL,             NULL,            NULL),
  ('transfer', 'state',        8, 'review', 'P2', 'keep', 'transfer_state', NULL,            NULL);

CREATE TABLE entry_profile (        -- situation AT ENTRY, frozen: never updated on re-entry (ESF rule)
  enrolment_id TEXT NOT NULL PRIMARY KEY,
  labour_status TEXT, in_education INTEGER CHECK (in_education IN (0,1)), age_at_entry INTEGER,
  isced TEXT, french_level TEXT,
  commune_insee TEXT,               -- from here on computed once from the address, then frozen
  rural INTEGER CHECK (rural IN (0,1)), qpv INTEGER CHECK (qpv IN (0,1)), zrr INTEGER CHECK (zrr IN (0,1)),
  recorded_at TEXT NOT NULL) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'entry_profile', 'parent enrolment(enrolment_id)', 'placement', 'hub', 'review',
  'SELECT ''entry profile of '' || coalesce((SELECT short_name FROM enrolment_name WHERE enrolment_id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('entry_profile', 'enrolment_id',  0,  'review', 'P2', 'keep', NULL,            'enrolment(id)', NULL),
  ('entry_profile', 'labour_status', 1,  'review', 'P2', 'keep', 'labour_status', NULL,            NULL),
  ('entry_profile', 'in_education',  2,  'review', 'P2', 'keep', NULL,            NULL,            NULL),
  ('entry_profile', 'age_at_entry',  3,  'review', 'P2', 'keep', NULL,            NULL,            NULL),
  ('entry_profile', 'isced',         4,  'review', 'P2', 'keep', 'isced',         NULL,            NULL),
  ('entry_profile', 'french_level',  5,  'review', 'P2', 'null', 'french_level',  NULL,            NULL),
  ('entry_profile', 'commune_insee', 6,  'review', 'P2', 'keep', NULL,            NULL,            NULL),
  ('entry_profile', 'rural',         7,  'review', 'P2', 'keep', NULL,            NULL,            NULL),
  ('entry_profile', 'qpv',           8,  'review', 'P2', 'keep', NULL,            NULL,            NULL),
  ('entry_profile', 'zrr',           9,  'review', 'P2', 'keep', NULL,            NULL,            NULL),
  ('entry_profile', 'recorded_at',   10, 'review', 'P2', 'keep', NULL,            NULL,            NULL);

CREATE TABLE entry_profile_tag (    -- several per person
  enrolment_id TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (enrolment_id, tag)) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'entry_profile_tag', 'parent enrolment(enrolment_id)', 'placement', 'hub', 'lww',
  'SELECT ''tag '' || ?2 || '' of '' || coalesce((SELECT short_name FROM enrolment_name WHERE enrolment_id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('entry_profile_tag', 'enrolment_id', 0, 'lww', 'P2', 'keep', NULL,          'enrolment(id)', NULL),
  ('entry_profile_tag', 'tag',          0, 'lww', 'P2', 'keep', 'profile_tag', NULL,            NULL);

CREATE TABLE entry_sensitive (      -- a table of its own: no area, no reader, no ordinary export
  enrolment_id TEXT NOT NULL PRIMARY KEY,
  disability TEXT, foreign_background TEXT, housing_exclusion TEXT,
  consent_id TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'entry_sensitive', 'parent enrolment(enrolment_id)', NULL, 'hub', 'review',
  'SELECT ''sensitive profile of '' || coalesce((SELECT short_name FROM enrolment_name WHERE enrolment_id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('entry_sensitive', 'enrolment_id',       0, 'review', 'P2', 'keep', NULL,        'enrolment(id)', NULL),
  ('entry_sensitive', 'disability',         1, 'review', 'P3', 'null', 'yes_no_na', NULL,            NULL),
  ('entry_sensitive', 'foreign_background', 2, 'review', 'P3', 'null', 'yes_no_na', NULL,            NULL),
  ('entry_sensitive', 'housing_exclusion',  3, 'review', 'P3', 'null', 'yes_no_na', NULL,            NULL),
  ('entry_sensitive', 'consent_id',         4, 'review', 'P0', 'keep', NULL,        'consent(id)',   NULL);
