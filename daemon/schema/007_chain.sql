-- What is written in a chained table is signed by the node that wrote it, and `perche verify --chain` checks it: the
-- outcomes, and funding once it has tables. The public keys that it takes stand in a table of their own, at every site.

ALTER TABLE perche_table ADD COLUMN chained INTEGER NOT NULL DEFAULT 0 CHECK (chained IN (0,1));

UPDATE perche_table SET chained = 1 WHERE name IN ('outcome_observation', 'outcome_decision');

CREATE TABLE site_key (             -- a site that was given a new machine has several; all in hexadecimal digits
  site_id TEXT NOT NULL,
  public_key TEXT NOT NULL,         -- Ed25519
  signature TEXT NOT NULL,          -- the hub's, of the two: who can write this file cannot make a key good
  PRIMARY KEY (site_id, public_key)) STRICT, WITHOUT ROWID;

INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (
  'site_key', '*', NULL, 'hub', 'hub',
  'SELECT ''key '' || ?2 || '' of '' || coalesce((SELECT name FROM site WHERE id = ?1), ?1)');
INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with) VALUES
  ('site_key', 'site_id',    0, 'hub', 'P0', 'keep', NULL, 'site(id)', NULL),
  ('site_key', 'public_key', 0, 'hub', 'P0', 'keep', NULL, NULL,       NULL),
  ('site_key', 'signature',  1, 'hub', 'P0', 'keep', NULL, NULL,       NULL);
