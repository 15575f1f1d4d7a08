-- E. Learning by doing, housing, incubation.

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

CREATE TABLE project_member (
  project_id TEXT NOT NULL, enrolment_id TEXT NOT NULL, role TEXT, PRIMARY KEY (project_id, enrolment_id)) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'project_member', 'parent project(project_id)', NULL, 'hub', 'lww',
  'SELECT coalesce((SELECT short_name FROM enrolment_name WHERE enrolment_id = ?2), ?2) || '' in project ''
     || coalesce((SELECT title FROM project WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('project_member', 'project_id',   0, 'lww', 'P2', 'keep', NULL, 'project(id)',   NULL),
  ('project_member', 'enrolment_id', 0, 'lww', 'P2', 'keep', NULL, 'enrolment(id)', NULL),
  ('project_member', 'role',         1, 'lww', 'P2', 'keep', NULL, NULL,            NULL);

CREATE TABLE event (                -- hackathon, information meeting, job dating, visit; belongs to one site
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  site_id TEXT NOT NULL, kind TEXT NOT NULL,
  title TEXT NOT NULL, theme TEXT, starts_on TEXT NOT NULL, days INTEGER, organiser_org_id TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'event', 'members site_id; event_site.site_id via event_id', NULL, 'holder', 'lww',
  'SELECT ''event '' || coalesce((SELECT title || '' on '' || starts_on FROM event WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('event', 'id',               0, 'lww', 'P0', 'keep', NULL,         NULL,               NULL),
  ('event', 'site_id',          1, 'lww', 'P0', 'keep', NULL,         'site(id)',         NULL),
  ('event', 'kind',             2, 'lww', 'P0', 'keep', 'event_kind', NULL,               NULL),
  ('event', 'title',            3, 'lww', 'P0', 'keep', NULL,         NULL,               NULL),
  ('event', 'theme',            4, 'lww', 'P0', 'keep', NULL,         NULL,               NULL),
  ('event', 'starts_on',        5, 'lww', 'P0', 'keep', NULL,         NULL,               NULL),
  ('event', 'days',             6, 'lww', 'P0', 'keep', NULL,         NULL,               NULL),
  ('event', 'organiser_org_id', 7, 'lww', 'P0', 'keep', NULL,         'organisation(id)', NULL);

CREATE TABLE event_site (           -- other sites that take part
  event_id TEXT NOT NULL, site_id TEXT NOT NULL, PRIMARY KEY (event_id, site_id)) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'event_site', 'parent event(event_id)', NULL, 'hub', 'lww',
  'SELECT coalesce((SELECT name FROM site WHERE id = ?2), ?2) || '' in event '' || coalesce((SELECT title FROM event WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('event_site', 'event_id', 0, 'lww', 'P0', 'keep', NULL, 'event(id)', NULL),
  ('event_site', 'site_id',  0, 'lww', 'P0', 'keep', NULL, 'site(id)',  NULL);

CREATE TABLE event_participant (
  event_id TEXT NOT NULL, learner_id TEXT NOT NULL, PRIMARY KEY (event_id, learner_id)) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'event_participant', 'parent event(event_id)', NULL, 'hub', 'lww',
  'SELECT coalesce((SELECT short_name FROM learner_name WHERE learner_id = ?2), ?2) || '' in event ''
     || coalesce((SELECT title FROM event WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('event_participant', 'event_id',   0, 'lww', 'P0', 'keep', NULL, 'event(id)',   NULL),
  ('event_participant', 'learner_id', 0, 'lww', 'P0', 'keep', NULL, 'learner(id)', NULL);

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

CREATE TABLE venture (              -- a business created by former learners
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  site_id TEXT NOT NULL, name TEXT NOT NULL, siren TEXT,
  created_on TEXT, sector TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'venture', 'own site_id', NULL, 'holder', 'lww',
  'SELECT ''venture '' || coalesce((SELECT name FROM venture WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('venture', 'id',         0, 'lww', 'P0', 'keep',         NULL, NULL,       NULL),
  ('venture', 'site_id',    1, 'lww', 'P0', 'keep',         NULL, 'site(id)', NULL),
  ('venture', 'name',       2, 'lww', 'P1', '''(effacé)''', NULL, NULL,       NULL),
  ('venture', 'siren',      3, 'lww', 'P1', 'null',         NULL, NULL,       NULL),
  ('venture', 'created_on', 4, 'lww', 'P0', 'keep',         NULL, NULL,       NULL),
  ('venture', 'sector',     5, 'lww', 'P0', 'keep',         NULL, NULL,       NULL);

CREATE TABLE venture_founder (
  venture_id TEXT NOT NULL, learner_id TEXT NOT NULL, PRIMARY KEY (venture_id, learner_id)) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'venture_founder', 'parent venture(venture_id)', NULL, 'hub', 'lww',
  'SELECT coalesce((SELECT short_name FROM learner_name WHERE learner_id = ?2), ?2) || '' as founder of ''
     || coalesce((SELECT name FROM venture WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('venture_founder', 'venture_id', 0, 'lww', 'P2', 'keep', NULL, 'venture(id)', NULL),
  ('venture_founder', 'learner_id', 0, 'lww', 'P2', 'keep', NULL, 'learner(id)', NULL);

CREATE TABLE incubation (           -- stay in a pépinière / incubator
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  venture_id TEXT NOT NULL, incubator_org_id TEXT NOT NULL, starts_on TEXT NOT NULL, ends_on TEXT,
  free_months INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID; -- rent-free months granted (6 at La Loupe)

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'incubation', 'parent venture(venture_id)', NULL, 'hub', 'lww',
  'SELECT ''incubation '' || coalesce((SELECT ''of '' || coalesce(v.name, i.venture_id) || '' from '' || i.starts_on
     FROM incubation i LEFT JOIN venture v ON v.id = i.venture_id WHERE i.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('incubation', 'id',               0, 'lww', 'P0', 'keep', NULL, NULL,               NULL),
  ('incubation', 'venture_id',       1, 'lww', 'P0', 'keep', NULL, 'venture(id)',      NULL),
  ('incubation', 'incubator_org_id', 2, 'lww', 'P0', 'keep', NULL, 'organisation(id)', NULL),
  ('incubation', 'starts_on',        3, 'lww', 'P0', 'keep', NULL, NULL,               NULL),
  ('incubation', 'ends_on',          4, 'lww', 'P0', 'keep', NULL, NULL,               NULL),
  ('incubation', 'free_months',      5, 'lww', 'P0', 'keep', NULL, NULL,               NULL);

CREATE TABLE immersion (            -- period in a company
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  enrolment_id TEXT NOT NULL, host_org_id TEXT NOT NULL,
  starts_on TEXT NOT NULL, ends_on TEXT NOT NULL, hours INTEGER) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'immersion', 'parent enrolment(enrolment_id)', 'placement', 'hub', 'lww',
  'SELECT ''immersion '' || coalesce((SELECT ''of '' || coalesce(n.short_name, x.enrolment_id) || '' from '' || x.starts_on
     FROM immersion x LEFT JOIN enrolment_name n ON n.enrolment_id = x.enrolment_id
     WHERE x.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('immersion', 'id',           0, 'lww', 'P2', 'keep', NULL, NULL,               NULL),
  ('immersion', 'enrolment_id', 1, 'lww', 'P2', 'keep', NULL, 'enrolment(id)',    NULL),
  ('immersion', 'host_org_id',  2, 'lww', 'P2', 'keep', NULL, 'organisation(id)', NULL),
  ('immersion', 'starts_on',    3, 'lww', 'P2', 'keep', NULL, NULL,               NULL),
  ('immersion', 'ends_on',      4, 'lww', 'P2', 'keep', NULL, NULL,               NULL),
  ('immersion', 'hours',        5, 'lww', 'P2', 'keep', NULL, NULL,               NULL);
