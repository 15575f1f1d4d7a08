-- A. Shared reference data: written at the hub only, held by all sites.
--
-- A surrogate id is minted by a DEFAULT in plain SQL: lower-case UUIDv7 text, so that ids follow the time and an
-- insert goes to the end of its table. The expression is written out in each table, since SQLite has no macro and
-- a program needs no extension to insert a row.

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

CREATE TABLE organisation_role (    -- one body has many roles
  organisation_id TEXT NOT NULL, role TEXT NOT NULL, valid_from TEXT NOT NULL, valid_to TEXT,
  PRIMARY KEY (organisation_id, role, valid_from)) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'organisation_role', '*', NULL, 'hub', 'hub',
  'SELECT coalesce((SELECT name FROM organisation WHERE id = ?1), ?1) || '' as '' || ?2 || '' from '' || ?3');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('organisation_role', 'organisation_id', 0, 'hub', 'P0', 'keep', NULL,       'organisation(id)', NULL),
  ('organisation_role', 'role',            0, 'hub', 'P0', 'keep', 'org_role', NULL,               NULL),
  ('organisation_role', 'valid_from',      0, 'hub', 'P0', 'keep', NULL,       NULL,               NULL),
  ('organisation_role', 'valid_to',        1, 'hub', 'P0', 'keep', NULL,       NULL,               NULL);

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

CREATE TABLE certification (        -- RNCP/RS title
  rncp_code TEXT NOT NULL PRIMARY KEY, -- 'RNCP37674'
  title TEXT NOT NULL, eqf_level INTEGER, nsf_code TEXT, rome_code TEXT,
  certifier_org_id TEXT, valid_from TEXT, valid_to TEXT, replaces TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'certification', '*', NULL, 'hub', 'hub',
  'SELECT ''title '' || ?1 || coalesce((SELECT '', '' || title FROM certification WHERE rncp_code = ?1), '''')');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('certification', 'rncp_code',        0, 'hub', 'P0', 'keep', NULL, NULL,                       NULL),
  ('certification', 'title',            1, 'hub', 'P0', 'keep', NULL, NULL,                       NULL),
  ('certification', 'eqf_level',        2, 'hub', 'P0', 'keep', NULL, NULL,                       NULL),
  ('certification', 'nsf_code',         3, 'hub', 'P0', 'keep', NULL, NULL,                       NULL),
  ('certification', 'rome_code',        4, 'hub', 'P0', 'keep', NULL, NULL,                       NULL),
  ('certification', 'certifier_org_id', 5, 'hub', 'P0', 'keep', NULL, 'organisation(id)',         NULL),
  ('certification', 'valid_from',       6, 'hub', 'P0', 'keep', NULL, NULL,                       NULL),
  ('certification', 'valid_to',         7, 'hub', 'P0', 'keep', NULL, NULL,                       NULL),
  ('certification', 'replaces',         8, 'hub', 'P0', 'keep', NULL, 'certification(rncp_code)', NULL);

CREATE TABLE certification_block (  -- CCP / bloc de compétences
  code TEXT NOT NULL PRIMARY KEY,   -- 'RNCP37674BC01'
  rncp_code TEXT NOT NULL, title TEXT NOT NULL) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'certification_block', '*', NULL, 'hub', 'hub',
  'SELECT ''block '' || ?1 || coalesce((SELECT '', '' || title FROM certification_block WHERE code = ?1), '''')');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('certification_block', 'code',      0, 'hub', 'P0', 'keep', NULL, NULL,                       NULL),
  ('certification_block', 'rncp_code', 1, 'hub', 'P0', 'keep', NULL, 'certification(rncp_code)', NULL),
  ('certification_block', 'title',     2, 'hub', 'P0', 'keep', NULL, NULL,                       NULL);

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
  ('training', 'rncp_code',        3, 'hub', 'P0', 'keep', NULL,               'certification(rncp_code)',               NULL),
  ('training', 'bpf_objective',    4, 'hub', 'P0', 'keep', 'bpf_objective',    NULL,               NULL),
  ('training', 'nsf_code',         5, 'hub', 'P0', 'keep', NULL,               NULL,               NULL),
  ('training', 'pedagogy_org_id',  6, 'hub', 'P0', 'keep', NULL,               'organisation(id)', NULL),
  ('training', 'diploma_required', 7, 'hub', 'P0', 'keep', 'diploma_required', NULL,               NULL);

CREATE TABLE label_award (          -- a label is given to a TRAINING, not to a school, for three years (GEN)
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  training_id TEXT NOT NULL,
  label TEXT NOT NULL, awarded_on TEXT NOT NULL, expires_on TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'label_award', '*', NULL, 'hub', 'hub',
  'SELECT ''label '' || coalesce((SELECT a.label || '' of '' || coalesce(t.title, a.training_id) || '' on '' || a.awarded_on
     FROM label_award a LEFT JOIN training t ON t.id = a.training_id WHERE a.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('label_award', 'id',          0, 'hub', 'P0', 'keep', NULL,    NULL,           NULL),
  ('label_award', 'training_id', 1, 'hub', 'P0', 'keep', NULL,    'training(id)', NULL),
  ('label_award', 'label',       2, 'hub', 'P0', 'keep', 'label', NULL,           NULL),
  ('label_award', 'awarded_on',  3, 'hub', 'P0', 'keep', NULL,    NULL,           NULL),
  ('label_award', 'expires_on',  4, 'hub', 'P0', 'keep', NULL,    NULL,           NULL);

CREATE TABLE admission_criterion (  -- what each training selects on
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  training_id TEXT NOT NULL, criterion TEXT NOT NULL,
  detail TEXT, eliminatory INTEGER NOT NULL DEFAULT 0 CHECK (eliminatory IN (0,1))) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'admission_criterion', '*', NULL, 'hub', 'hub',
  'SELECT ''criterion '' || coalesce((SELECT a.criterion || '' of '' || coalesce(t.title, a.training_id)
     FROM admission_criterion a LEFT JOIN training t ON t.id = a.training_id WHERE a.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('admission_criterion', 'id',          0, 'hub', 'P0', 'keep', NULL,        NULL,           NULL),
  ('admission_criterion', 'training_id', 1, 'hub', 'P0', 'keep', NULL,        'training(id)', NULL),
  ('admission_criterion', 'criterion',   2, 'hub', 'P0', 'keep', 'criterion', NULL,           NULL),
  ('admission_criterion', 'detail',      3, 'hub', 'P0', 'keep', NULL,        NULL,           NULL),
  ('admission_criterion', 'eliminatory', 4, 'hub', 'P0', 'keep', NULL,        NULL,           NULL);

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

CREATE TABLE retention_rule (       -- how long each table/column group is kept, and from which date
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  subject TEXT NOT NULL, base_event TEXT NOT NULL, months INTEGER NOT NULL,
  action TEXT NOT NULL, legal_source TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'retention_rule', '*', NULL, 'hub', 'hub',
  'SELECT ''retention of '' || coalesce((SELECT subject FROM retention_rule WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('retention_rule', 'id',           0, 'hub', 'P0', 'keep', NULL,               NULL, NULL),
  ('retention_rule', 'subject',      1, 'hub', 'P0', 'keep', NULL,               NULL, NULL),
  ('retention_rule', 'base_event',   2, 'hub', 'P0', 'keep', NULL,               NULL, NULL),
  ('retention_rule', 'months',       3, 'hub', 'P0', 'keep', NULL,               NULL, NULL),
  ('retention_rule', 'action',       4, 'hub', 'P0', 'keep', 'retention_action', NULL, NULL),
  ('retention_rule', 'legal_source', 5, 'hub', 'P0', 'keep', NULL,               NULL, NULL);
