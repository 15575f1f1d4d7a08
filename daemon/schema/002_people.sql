-- B. Identity of a person: shared by every site that trains the person.

CREATE TABLE learner (
  id TEXT NOT NULL PRIMARY KEY DEFAULT ( -- minted where first registered; NEVER derived from name or birth date
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  home_site_id TEXT NOT NULL,       -- site in charge today: changes only through a transfer
  birth_family_name TEXT,           -- civil-status name, what the state systems match on
  use_family_name TEXT,
  given_names TEXT,                 -- civil-status first names
  call_name TEXT,
  birth_date TEXT,                  -- YYYY-MM-DD
  sex TEXT,                         -- ESF breakdown F/M/non-binary; U unknown
  birth_commune_insee TEXT, birth_country TEXT,
  ft_identifier TEXT,               -- France Travail id, only if that body prescribes or funds
  ine TEXT,                         -- national student id if known
  nir_seen INTEGER CHECK (nir_seen IN (0,1)), -- 'a NIR was shown'; the number itself has NO column
  erased_at TEXT,                   -- when set, what `on_erase` clears is empty and stays empty
  restricted INTEGER NOT NULL DEFAULT 0 CHECK (restricted IN (0,1))) STRICT, WITHOUT ROWID; -- art. 18: stored but not used

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'learner', 'members home_site_id; enrolment.site_id via learner_id where exit_reason NOT IN (TRANSFER); application.site_id via learner_id where stage NOT IN (ENROLLED, REFUSED, WITHDRAWN, NO_SHOW); transfer.to_site via learner_id where state IN (ASKED, ACCEPTED); referral.site_id via learner_id; referral.desk_site_id via learner_id', 'placement', 'hub', 'review',
  'SELECT coalesce((SELECT name FROM learner_name WHERE learner_id = ?1), ''learner '' || ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('learner', 'id',                  0,  'review', 'P0', 'keep', NULL,  NULL,       NULL),
  ('learner', 'home_site_id',        1,  'review', 'P0', 'keep', NULL,  'site(id)', NULL),
  ('learner', 'birth_family_name',   2,  'review', 'P1', 'null', NULL,  NULL,       NULL),
  ('learner', 'use_family_name',     3,  'lww',    'P1', 'null', NULL,  NULL,       NULL),
  ('learner', 'given_names',         4,  'review', 'P1', 'null', NULL,  NULL,       NULL),
  ('learner', 'call_name',           5,  'lww',    'P1', 'null', NULL,  NULL,       NULL),
  ('learner', 'birth_date',          6,  'review', 'P1', 'null', NULL,  NULL,       NULL),
  ('learner', 'sex',                 7,  'review', 'P1', 'null', 'sex', NULL,       NULL),
  ('learner', 'birth_commune_insee', 8,  'review', 'P1', 'null', NULL,  NULL,       NULL),
  ('learner', 'birth_country',       9,  'review', 'P1', 'null', NULL,  NULL,       NULL),
  ('learner', 'ft_identifier',       10, 'review', 'P1', 'null', NULL,  NULL,       NULL),
  ('learner', 'ine',                 11, 'review', 'P1', 'null', NULL,  NULL,       NULL),
  ('learner', 'nir_seen',            12, 'hub',    'P0', 'keep', NULL,  NULL,       NULL),
  ('learner', 'erased_at',           13, 'hub',    'P0', 'keep', NULL,  NULL,       NULL),
  ('learner', 'restricted',          14, 'hub',    'P0', 'keep', NULL,  NULL,       NULL);
INSERT INTO perche_unique (tab, cols) VALUES ('learner', 'ft_identifier'), ('learner', 'ine');

CREATE TABLE learner_contact (      -- one row per channel, so two edits of two channels never collide
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  learner_id TEXT NOT NULL, kind TEXT NOT NULL,
  value TEXT, postcode TEXT, commune_insee TEXT, valid_from TEXT, valid_to TEXT,
  verified_at TEXT) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'learner_contact', 'parent learner(learner_id)', 'placement', 'hub', 'lww',
  'SELECT coalesce((SELECT lower(c.kind) || '' of '' || coalesce(n.short_name, c.learner_id)
     FROM learner_contact c LEFT JOIN learner_name n ON n.learner_id = c.learner_id
     WHERE c.id = ?1), ''contact '' || ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('learner_contact', 'id',            0, 'lww', 'P0', 'keep', NULL,           NULL,          NULL),
  ('learner_contact', 'learner_id',    1, 'lww', 'P0', 'keep', NULL,           'learner(id)', NULL),
  ('learner_contact', 'kind',          2, 'lww', 'P0', 'keep', 'contact_kind', NULL,          NULL),
  ('learner_contact', 'value',         3, 'lww', 'P1', 'null', NULL,           NULL,          NULL),
  ('learner_contact', 'postcode',      4, 'lww', 'P1', 'null', NULL,           NULL,          NULL),
  ('learner_contact', 'commune_insee', 5, 'lww', 'P1', 'null', NULL,           NULL,          NULL),
  ('learner_contact', 'valid_from',    6, 'lww', 'P0', 'keep', NULL,           NULL,          NULL),
  ('learner_contact', 'valid_to',      7, 'lww', 'P0', 'keep', NULL,           NULL,          NULL),
  ('learner_contact', 'verified_at',   8, 'lww', 'P0', 'keep', NULL,           NULL,          NULL);

CREATE TABLE learner_link (         -- 'these two ids are one person' / 'are not', never an overwrite
  id TEXT NOT NULL PRIMARY KEY DEFAULT (
    lower(printf('%08x-%04x-7%s-%s%s-%s',
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) >> 16,
      CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) & 65535,
      substr(hex(randomblob(2)), 2), substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  learner_a TEXT NOT NULL, learner_b TEXT NOT NULL,
  decision TEXT NOT NULL,
  survivor TEXT,                    -- id shown in lists when SAME
  rule TEXT,                        -- matching rule that raised it
  decided_by TEXT NOT NULL, decided_at TEXT NOT NULL) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'learner_link', 'parent learner(learner_a), learner(learner_b)', 'placement', 'hub', 'append',
  'SELECT ''link '' || coalesce((SELECT l.decision || '' of '' || coalesce(a.short_name, l.learner_a) || '' and '' || coalesce(b.short_name, l.learner_b)
     FROM learner_link l LEFT JOIN learner_name a ON a.learner_id = l.learner_a
     LEFT JOIN learner_name b ON b.learner_id = l.learner_b WHERE l.id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('learner_link', 'id',         0, 'append', 'P2', 'keep', NULL,            NULL,                NULL),
  ('learner_link', 'learner_a',  1, 'append', 'P2', 'keep', NULL,            'learner(id)',       NULL),
  ('learner_link', 'learner_b',  2, 'append', 'P2', 'keep', NULL,            'learner(id)',       NULL),
  ('learner_link', 'decision',   3, 'append', 'P2', 'keep', 'link_decision', NULL,                NULL),
  ('learner_link', 'survivor',   4, 'append', 'P2', 'keep', NULL,            'learner(id)',       NULL),
  ('learner_link', 'rule',       5, 'append', 'P2', 'keep', NULL,            NULL,                NULL),
  ('learner_link', 'decided_by', 6, 'append', 'P2', 'keep', NULL,            'staff_account(id)', NULL),
  ('learner_link', 'decided_at', 7, 'append', 'P2', 'keep', NULL,            NULL,                NULL);
