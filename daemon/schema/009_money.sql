-- H. Money: integers only, in cents; rates are computed, never stored.

CREATE TABLE funding_agreement (    -- one grant / convention
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  site_id TEXT, -- NULL: the hub only
  funder_org_id TEXT NOT NULL, programme TEXT NOT NULL,
  operation_ref TEXT,               -- number of the co-funded operation (key of esf_participation)
  level TEXT NOT NULL, level_id TEXT NOT NULL, -- what it pays for: the network, a site, a cohort, an enrolment
  state TEXT NOT NULL,
  granted_cents INTEGER,            -- NULL until granted
  eligible_total_cents INTEGER,     -- denominator of the co-funding rate
  starts_on TEXT, ends_on TEXT,
  bpf_product_line TEXT) STRICT, WITHOUT ROWID; -- BPF 'origine des produits' line

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'funding_agreement', 'own site_id', 'finance', 'hub', 'review',
  'SELECT ''agreement '' || coalesce((SELECT f.programme || coalesce('' '' || f.operation_ref, '''') || coalesce('' of '' || o.name, '''')
     FROM funding_agreement f LEFT JOIN organisation o ON o.id = f.funder_org_id WHERE f.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('funding_agreement', 'id',                   0,  'review', 'P0', 'keep', NULL,               NULL,               NULL),
  ('funding_agreement', 'site_id',              1,  'review', 'P0', 'keep', NULL,               'site(id)',         NULL),
  ('funding_agreement', 'funder_org_id',        2,  'review', 'P0', 'keep', NULL,               'organisation(id)', NULL),
  ('funding_agreement', 'programme',            3,  'review', 'P0', 'keep', 'programme',        NULL,               NULL),
  ('funding_agreement', 'operation_ref',        4,  'review', 'P0', 'keep', NULL,               NULL,               NULL),
  ('funding_agreement', 'level',                5,  'review', 'P0', 'keep', 'funding_level',    NULL,               NULL),
  ('funding_agreement', 'level_id',             6,  'review', 'P0', 'keep', NULL,               NULL,               NULL),
  ('funding_agreement', 'state',                7,  'review', 'P0', 'keep', 'funding_state',    NULL,               NULL),
  ('funding_agreement', 'granted_cents',        8,  'review', 'P0', 'keep', NULL,               NULL,               NULL),
  ('funding_agreement', 'eligible_total_cents', 9,  'review', 'P0', 'keep', NULL,               NULL,               NULL),
  ('funding_agreement', 'starts_on',            10, 'review', 'P0', 'keep', NULL,               NULL,               NULL),
  ('funding_agreement', 'ends_on',              11, 'review', 'P0', 'keep', NULL,               NULL,               NULL),
  ('funding_agreement', 'bpf_product_line',     12, 'review', 'P0', 'keep', 'bpf_product_line', NULL,               NULL);

CREATE TABLE funding_movement (     -- advance, payment, recovery
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  agreement_id TEXT NOT NULL, kind TEXT NOT NULL,
  on_date TEXT NOT NULL, cents INTEGER NOT NULL) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'funding_movement', 'parent funding_agreement(agreement_id)', 'finance', 'hub', 'append',
  'SELECT ''movement '' || coalesce((SELECT kind || '' of '' || printf(''%.2f'', cents / 100.0) || '' on '' || on_date FROM funding_movement WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('funding_movement', 'id',           0, 'append', 'P0', 'keep', NULL,            NULL,                    NULL),
  ('funding_movement', 'agreement_id', 1, 'append', 'P0', 'keep', NULL,            'funding_agreement(id)', NULL),
  ('funding_movement', 'kind',         2, 'append', 'P0', 'keep', 'movement_kind', NULL,                    NULL),
  ('funding_movement', 'on_date',      3, 'append', 'P0', 'keep', NULL,            NULL,                    NULL),
  ('funding_movement', 'cents',        4, 'append', 'P0', 'keep', NULL,            NULL,                    NULL);

CREATE TABLE cost_item (            -- what was spent, per cohort or per site
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  cohort_id TEXT, site_id TEXT NOT NULL, kind TEXT NOT NULL,
  on_date TEXT NOT NULL, cents INTEGER NOT NULL,
  agreement_id TEXT,                -- set when the expense is declared to a funder
  voids TEXT, void_reason TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'cost_item', 'own site_id', 'finance', 'holder', 'append',
  'SELECT ''cost '' || coalesce((SELECT kind || '' of '' || printf(''%.2f'', cents / 100.0) || '' on '' || on_date FROM cost_item WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('cost_item', 'id',           0, 'append', 'P0', 'keep', NULL,        NULL,                    NULL),
  ('cost_item', 'cohort_id',    1, 'append', 'P0', 'keep', NULL,        'cohort(id)',            NULL),
  ('cost_item', 'site_id',      2, 'append', 'P0', 'keep', NULL,        'site(id)',              NULL),
  ('cost_item', 'kind',         3, 'append', 'P0', 'keep', 'cost_kind', NULL,                    NULL),
  ('cost_item', 'on_date',      4, 'append', 'P0', 'keep', NULL,        NULL,                    NULL),
  ('cost_item', 'cents',        5, 'append', 'P0', 'keep', NULL,        NULL,                    NULL),
  ('cost_item', 'agreement_id', 6, 'append', 'P0', 'keep', NULL,        'funding_agreement(id)', NULL),
  ('cost_item', 'voids',        7, 'append', 'P0', 'keep', NULL,        'cost_item(id)',         NULL),
  ('cost_item', 'void_reason',  8, 'append', 'P1', 'null', NULL,        NULL,                    NULL);

CREATE TABLE esf_participation (    -- one person in ONE operation = one record; first entry kept, last exit kept
  operation_ref TEXT NOT NULL, learner_id TEXT NOT NULL, first_enrolment_id TEXT NOT NULL, entered_on TEXT NOT NULL, exited_on TEXT,
  gained_qualification INTEGER CHECK (gained_qualification IN (0,1)),
  PRIMARY KEY (operation_ref, learner_id)) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'esf_participation', 'parent enrolment(first_enrolment_id)', 'placement', 'hub', 'review',
  'SELECT ''participation of '' || coalesce((SELECT short_name FROM learner_name WHERE learner_id = ?2), ?2) || '' in '' || ?1');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('esf_participation', 'operation_ref',        0, 'review', 'P2', 'keep', NULL, NULL,            NULL),
  ('esf_participation', 'learner_id',           0, 'review', 'P2', 'keep', NULL, 'learner(id)',   NULL),
  ('esf_participation', 'first_enrolment_id',   1, 'review', 'P2', 'keep', NULL, 'enrolment(id)', NULL),
  ('esf_participation', 'entered_on',           2, 'review', 'P2', 'keep', NULL, NULL,            NULL),
  ('esf_participation', 'exited_on',            3, 'review', 'P2', 'keep', NULL, NULL,            NULL),
  ('esf_participation', 'gained_qualification', 4, 'review', 'P2', 'keep', NULL, NULL,            NULL);

-- Public money is signed like the outcomes (007_chain).
UPDATE perche_table SET chained = 1 WHERE name IN ('funding_agreement', 'funding_movement', 'cost_item');
