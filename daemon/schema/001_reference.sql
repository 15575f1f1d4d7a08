-- A. Shared reference data: written at the hub only, held by all sites.
--
-- A surrogate id is minted by a DEFAULT in plain SQL: lower-case UUIDv7 text, so that ids follow the time and an
-- insert goes to the end of its table. The expression is written out in each table, since SQLite has no macro and
-- a program needs no extension to insert a row.
--
-- Columns that name a table of a later file (certification, staff_account) get their `refers` there.

CREATE TABLE code_list (            -- every closed list of this schema, one row per code
  list        TEXT NOT NULL,        -- list name, e.g. 'outcome_situation'
  code        TEXT NOT NULL,        -- stable code, never reused, never renamed
  label_fr    TEXT NOT NULL,        -- printed label (may change: 'Pôle emploi' -> 'France Travail')
  label_en    TEXT,
  valid_from  TEXT, valid_to TEXT,  -- ISO dates; a code is closed, not deleted
  replaced_by TEXT,                 -- successor code, if any
  PRIMARY KEY (list, code)) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'code_list', '*', NULL, 'hub', 'hub',
  'SELECT ''code '' || ?2 || '' of '' || ?1');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('code_list', 'list',        0, 'hub', 'P0', 'keep', NULL, NULL, NULL),
  ('code_list', 'code',        0, 'hub', 'P0', 'keep', NULL, NULL, NULL),
  ('code_list', 'label_fr',    1, 'hub', 'P0', 'keep', NULL, NULL, NULL),
  ('code_list', 'label_en',    2, 'hub', 'P0', 'keep', NULL, NULL, NULL),
  ('code_list', 'valid_from',  3, 'hub', 'P0', 'keep', NULL, NULL, NULL),
  ('code_list', 'valid_to',    4, 'hub', 'P0', 'keep', NULL, NULL, NULL),
  ('code_list', 'replaced_by', 5, 'hub', 'P0', 'keep', NULL, NULL, NULL);

CREATE TABLE organisation (         -- any legal body: school, operator, funder, prescriber, host, client, employer
  id          TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  name        TEXT NOT NULL,
  siret       TEXT,                 -- 14 digits, text (leading zeros)
  nda         TEXT,                 -- training-activity declaration number, training bodies only
  commune_insee TEXT,               -- 5 chars, text ('2A004' exists)
  valid_from TEXT, valid_to TEXT,   -- bodies merge and change name: never rewrite history
  successor_id TEXT) STRICT, WITHOUT ROWID; -- Portes du Perche -> Terres de Perche (2017-01-01)

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'organisation', '*', NULL, 'hub', 'hub',
  'SELECT ''organisation '' || coalesce((SELECT name FROM organisation WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('organisation', 'id',            0, 'hub', 'P0', 'keep', NULL, NULL,               NULL),
  ('organisation', 'name',          1, 'hub', 'P0', 'keep', NULL, NULL,               NULL),
  ('organisation', 'siret',         2, 'hub', 'P0', 'keep', NULL, NULL,               NULL),
  ('organisation', 'nda',           3, 'hub', 'P0', 'keep', NULL, NULL,               NULL),
  ('organisation', 'commune_insee', 4, 'hub', 'P0', 'keep', NULL, NULL,               NULL),
  ('organisation', 'valid_from',    5, 'hub', 'P0', 'keep', NULL, NULL,               NULL),
  ('organisation', 'valid_to',      6, 'hub', 'P0', 'keep', NULL, NULL,               NULL),
  ('organisation', 'successor_id',  7, 'hub', 'P0', 'keep', NULL, 'organisation(id)', NULL);
INSERT INTO perche_unique (tab, cols) VALUES ('organisation', 'siret');

CREATE TABLE network (              -- a school network = one hub; its row is made at the hub's first start
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  name TEXT NOT NULL,
  lead_org_id TEXT, kind TEXT) STRICT, WITHOUT ROWID; -- both unknown until told

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'network', '*', NULL, 'hub', 'hub',
  'SELECT ''network '' || coalesce((SELECT name FROM network WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('network', 'id',          0, 'hub', 'P0', 'keep', NULL,           NULL,               NULL),
  ('network', 'name',        1, 'hub', 'P0', 'keep', NULL,           NULL,               NULL),
  ('network', 'lead_org_id', 2, 'hub', 'P0', 'keep', NULL,           'organisation(id)', NULL),
  ('network', 'kind',        3, 'hub', 'P0', 'keep', 'network_kind', NULL,               NULL);

CREATE TABLE site (                 -- a place of training or an office that holds a replica; `perche invite` makes the row
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  network_id TEXT NOT NULL,
  code TEXT NOT NULL,               -- short: 'LLP','CHR','DRX','VRD','LNS','CRB'
  name TEXT NOT NULL, kind TEXT NOT NULL,
  commune_insee TEXT, postcode TEXT,
  host_org_id TEXT,                 -- who lends the premises
  premises TEXT,                    -- free text: 'wing of the former collège'
  rural INTEGER CHECK (rural IN (0,1)),
  opened_on TEXT, closed_on TEXT,
  status TEXT NOT NULL) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'site', '*', NULL, 'hub', 'hub',
  'SELECT ''site '' || coalesce((SELECT name FROM site WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('site', 'id',            0,  'hub', 'P0', 'keep', NULL,          NULL,               NULL),
  ('site', 'network_id',    1,  'hub', 'P0', 'keep', NULL,          'network(id)',      NULL),
  ('site', 'code',          2,  'hub', 'P0', 'keep', NULL,          NULL,               NULL),
  ('site', 'name',          3,  'hub', 'P0', 'keep', NULL,          NULL,               NULL),
  ('site', 'kind',          4,  'hub', 'P0', 'keep', 'site_kind',   NULL,               NULL),
  ('site', 'commune_insee', 5,  'hub', 'P0', 'keep', NULL,          NULL,               NULL),
  ('site', 'postcode',      6,  'hub', 'P0', 'keep', NULL,          NULL,               NULL),
  ('site', 'host_org_id',   7,  'hub', 'P0', 'keep', NULL,          'organisation(id)', NULL),
  ('site', 'premises',      8,  'hub', 'P0', 'keep', NULL,          NULL,               NULL),
  ('site', 'rural',         9,  'hub', 'P0', 'keep', NULL,          NULL,               NULL),
  ('site', 'opened_on',     10, 'hub', 'P0', 'keep', NULL,          NULL,               NULL),
  ('site', 'closed_on',     11, 'hub', 'P0', 'keep', NULL,          NULL,               NULL),
  ('site', 'status',        12, 'hub', 'P0', 'keep', 'site_status', NULL,               NULL);
INSERT INTO perche_unique (tab, cols) VALUES ('site', 'code');

CREATE TABLE site_reader (          -- reader_id sees site_id's rows in the tables of an area
  site_id TEXT NOT NULL, reader_id TEXT NOT NULL, area TEXT NOT NULL,
  may_write INTEGER NOT NULL DEFAULT 0 CHECK (may_write IN (0,1)),
  PRIMARY KEY (site_id, reader_id, area)) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'site_reader', '*', NULL, 'hub', 'hub',
  'SELECT coalesce((SELECT name FROM site WHERE id = ?2), ?2) || '' as reader of ''
     || coalesce((SELECT name FROM site WHERE id = ?1), ?1) || '' ('' || ?3 || '')''');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('site_reader', 'site_id',   0, 'hub', 'P0', 'keep', NULL,   'site(id)', NULL),
  ('site_reader', 'reader_id', 0, 'hub', 'P0', 'keep', NULL,   'site(id)', NULL),
  ('site_reader', 'area',      0, 'hub', 'P0', 'keep', 'area', NULL,       NULL),
  ('site_reader', 'may_write', 1, 'hub', 'P0', 'keep', NULL,   NULL,       NULL);

CREATE TABLE training (             -- the course as offered (formation)
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  network_id TEXT NOT NULL, title TEXT NOT NULL,
  rncp_code TEXT,
  bpf_objective TEXT,               -- BPF 'objectif général' class
  nsf_code TEXT,                    -- BPF 'spécialité' (3 digits + letter)
  pedagogy_org_id TEXT,
  diploma_required TEXT NOT NULL DEFAULT 'NONE') STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'training', '*', NULL, 'hub', 'hub',
  'SELECT ''training '' || coalesce((SELECT title FROM training WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('training', 'id',               0, 'hub', 'P0', 'keep', NULL,               NULL,               NULL),
  ('training', 'network_id',       1, 'hub', 'P0', 'keep', NULL,               'network(id)',      NULL),
  ('training', 'title',            2, 'hub', 'P0', 'keep', NULL,               NULL,               NULL),
  ('training', 'rncp_code',        3, 'hub', 'P0', 'keep', NULL,               NULL,               NULL),
  ('training', 'bpf_objective',    4, 'hub', 'P0', 'keep', 'bpf_objective',    NULL,               NULL),
  ('training', 'nsf_code',         5, 'hub', 'P0', 'keep', NULL,               NULL,               NULL),
  ('training', 'pedagogy_org_id',  6, 'hub', 'P0', 'keep', NULL,               'organisation(id)', NULL),
  ('training', 'diploma_required', 7, 'hub', 'P0', 'keep', 'diploma_required', NULL,               NULL);

CREATE TABLE indicator_definition ( -- how a rate is computed; several may coexist for the same facts
  id TEXT NOT NULL PRIMARY KEY,     -- 'REGION_POS','FC_GLOBAL_6M','FT_ACCESS_6M','ESF_EMP_4W','GEN_POS'
  base_date TEXT NOT NULL, milestone TEXT NOT NULL, denominator TEXT NOT NULL,
  min_denominator INTEGER NOT NULL DEFAULT 0,
  rounding TEXT NOT NULL, decimals INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'indicator_definition', '*', NULL, 'hub', 'hub',
  'SELECT ''indicator '' || ?1');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('indicator_definition', 'id',              0, 'hub', 'P0', 'keep', NULL,          NULL, NULL),
  ('indicator_definition', 'base_date',       1, 'hub', 'P0', 'keep', 'base_date',   NULL, NULL),
  ('indicator_definition', 'milestone',       2, 'hub', 'P0', 'keep', 'milestone',   NULL, NULL),
  ('indicator_definition', 'denominator',     3, 'hub', 'P0', 'keep', 'denominator', NULL, NULL),
  ('indicator_definition', 'min_denominator', 4, 'hub', 'P0', 'keep', NULL,          NULL, NULL),
  ('indicator_definition', 'rounding',        5, 'hub', 'P0', 'keep', 'rounding',    NULL, NULL),
  ('indicator_definition', 'decimals',        6, 'hub', 'P0', 'keep', NULL,          NULL, NULL);

CREATE TABLE outcome_mapping (      -- situation -> class, per definition
  definition_id TEXT NOT NULL, situation TEXT NOT NULL, class TEXT NOT NULL,
  PRIMARY KEY (definition_id, situation)) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'outcome_mapping', '*', NULL, 'hub', 'hub',
  'SELECT ''class of '' || ?2 || '' under '' || ?1');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('outcome_mapping', 'definition_id', 0, 'hub', 'P0', 'keep', NULL,                'indicator_definition(id)', NULL),
  ('outcome_mapping', 'situation',     0, 'hub', 'P0', 'keep', 'outcome_situation', NULL,                       NULL),
  ('outcome_mapping', 'class',         1, 'hub', 'P0', 'keep', 'outcome_class',     NULL,                       NULL);
