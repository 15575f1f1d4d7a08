-- E. Learning by doing and housing.

CREATE TABLE project (              -- real-client project, internal project, or hackathon entry
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  site_id TEXT NOT NULL, title TEXT NOT NULL,
  client_org_id TEXT,               -- music school, town hall, hospital
  client_name TEXT,                 -- as the site wrote it, when the hub has no such organisation yet
  kind TEXT NOT NULL, starts_on TEXT, ends_on TEXT,
  price_cents INTEGER,              -- what the client pays ('coût réduit'); NULL = not known, 0 = free
  delivered_url TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'project', 'own site_id', NULL, 'holder', 'lww',
  'SELECT ''project '' || coalesce((SELECT title FROM project WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('project', 'id',            0, 'lww', 'P0', 'keep', NULL,           NULL,               NULL),
  ('project', 'site_id',       1, 'lww', 'P0', 'keep', NULL,           'site(id)',         NULL),
  ('project', 'title',         2, 'lww', 'P0', 'keep', NULL,           NULL,               NULL),
  ('project', 'client_org_id', 3, 'lww', 'P0', 'keep', NULL,           'organisation(id)', NULL),
  ('project', 'client_name',   4, 'lww', 'P0', 'keep', NULL,           NULL,               NULL),
  ('project', 'kind',          5, 'lww', 'P0', 'keep', 'project_kind', NULL,               NULL),
  ('project', 'starts_on',     6, 'lww', 'P0', 'keep', NULL,           NULL,               NULL),
  ('project', 'ends_on',       7, 'lww', 'P0', 'keep', NULL,           NULL,               NULL),
  ('project', 'price_cents',   8, 'lww', 'P0', 'keep', NULL,           NULL,               NULL),
  ('project', 'delivered_url', 9, 'lww', 'P0', 'keep', NULL,           NULL,               NULL);

CREATE TABLE housing_unit (         -- a flat or room reserved in advance by the authority
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  site_id TEXT NOT NULL,
  landlord_org_id TEXT,             -- the departmental landlord
  lessee_org_id TEXT,               -- the intercommunal body that rents it
  label TEXT NOT NULL, beds INTEGER NOT NULL DEFAULT 1,
  rent_cents INTEGER NOT NULL) STRICT, WITHOUT ROWID; -- per month: 25000 = 250 EUR

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'housing_unit', 'own site_id', NULL, 'holder', 'lww',
  'SELECT ''housing '' || coalesce((SELECT label FROM housing_unit WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('housing_unit', 'id',              0, 'lww', 'P0', 'keep', NULL, NULL,               NULL),
  ('housing_unit', 'site_id',         1, 'lww', 'P0', 'keep', NULL, 'site(id)',         NULL),
  ('housing_unit', 'landlord_org_id', 2, 'lww', 'P0', 'keep', NULL, 'organisation(id)', NULL),
  ('housing_unit', 'lessee_org_id',   3, 'lww', 'P0', 'keep', NULL, 'organisation(id)', NULL),
  ('housing_unit', 'label',           4, 'lww', 'P0', 'keep', NULL, NULL,               NULL),
  ('housing_unit', 'beds',            5, 'lww', 'P0', 'keep', NULL, NULL,               NULL),
  ('housing_unit', 'rent_cents',      6, 'lww', 'P0', 'keep', NULL, NULL,               NULL);

CREATE TABLE housing_lease (        -- a bed cannot be let twice for the same days
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  unit_id TEXT NOT NULL, enrolment_id TEXT NOT NULL, starts_on TEXT NOT NULL, ends_on TEXT NOT NULL,
  rent_cents INTEGER NOT NULL, deposit_cents INTEGER, state TEXT NOT NULL) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'housing_lease', 'parent housing_unit(unit_id)', NULL, 'hub', 'review',
  'SELECT ''lease '' || coalesce((SELECT ''of '' || coalesce(u.label, l.unit_id) || '' to '' || coalesce(n.short_name, l.enrolment_id)
     FROM housing_lease l LEFT JOIN housing_unit u ON u.id = l.unit_id
     LEFT JOIN enrolment_name n ON n.enrolment_id = l.enrolment_id WHERE l.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('housing_lease', 'id',            0, 'review', 'P2', 'keep', NULL,          NULL,               NULL),
  ('housing_lease', 'unit_id',       1, 'review', 'P2', 'keep', NULL,          'housing_unit(id)', NULL),
  ('housing_lease', 'enrolment_id',  2, 'review', 'P2', 'keep', NULL,          'enrolment(id)',    NULL),
  ('housing_lease', 'starts_on',     3, 'review', 'P2', 'keep', NULL,          NULL,               NULL),
  ('housing_lease', 'ends_on',       4, 'review', 'P2', 'keep', NULL,          NULL,               NULL),
  ('housing_lease', 'rent_cents',    5, 'review', 'P2', 'keep', NULL,          NULL,               NULL),
  ('housing_lease', 'deposit_cents', 6, 'review', 'P2', 'keep', NULL,          NULL,               NULL),
  ('housing_lease', 'state',         7, 'review', 'P2', 'keep', 'lease_state', NULL,               NULL);
