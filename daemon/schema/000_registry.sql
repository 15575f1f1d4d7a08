-- The registry: what SQLite is not told about the tables of the files that follow. Each of them declares its tables
-- here, right below the CREATE TABLE. The daemon reads the registry when it opens the replica and at each migration.
--
-- How these files are used: each numbered file is a migration. It runs once, in the order of its number, inside a
-- transaction of the caller, and once published it is never edited: a change is a new file. Numbers from 090 on hold
-- views only; they are made anew after every lower number that was run, and do not count as the schema's number.
-- The seed_*.sql files are rows, not schema: a hub loads them at its first start, and from there they are replicated.
--
-- Rule: which sites hold a row. Words in capitals stand for names; [x] may be left out, `...` means more of the same.
--
--   *                            every site: reference data
--   hub                          the hub alone
--   own C[, C2]                  the sites that the row's own columns name; an empty column names none
--   parent T(C)[, T2(C2)]        the sites of the row of table T whose key is in column C, without T's readers
--   members C; T.C via K [where COL [NOT] IN (A, B)]; ...
--                                the site in the row's own column C, and for each child table T the sites in column C
--                                of its living rows whose column K names this row and whose column COL has one
--                                [none] of the constants; an empty COL is in no list, so NOT IN holds for it
--
-- area: readers that `site_reader` gives for the area hold the rows of the table too.
-- mover: who may change the columns that the scope comes from: the hub, or any site that holds the row.
-- policy: lww (the later value wins), review (two edits that did not know of each other are put to a person),
-- append (rows are only added; a correction names what it voids, and one with a void_reason only takes that back), hub (only the hub writes).
-- level: P0 nothing personal, P1 identifying, P2 social and economic situation, P3 special category or criminal.
-- label: what it returns may hold a person's name. It is for people who may see the row, never for a log or a metric.
-- It returns one row whether or not the row, or another that it names, is there; the key then serves as the name.

CREATE TABLE perche_table (
  name   TEXT NOT NULL PRIMARY KEY,
  rule   TEXT NOT NULL,                 -- scope rule, grammar above
  area   TEXT,                          -- site_reader.area whose readers see the rows too
  mover  TEXT NOT NULL DEFAULT 'hub' CHECK (mover IN ('hub','holder')),
  policy TEXT NOT NULL CHECK (policy IN ('lww','review','append','hub')),
  label  TEXT                           -- SQL, one row one text column, key values as ?1, ?2..: how a person calls the row
) STRICT, WITHOUT ROWID;

CREATE TABLE perche_column (
  tab TEXT NOT NULL, col TEXT NOT NULL,
  num INTEGER NOT NULL,                 -- number in the row's clock, from 1 in table order; 0 for a key column; never reused
  policy TEXT NOT NULL CHECK (policy IN ('lww','review','append','hub')),
  level  TEXT NOT NULL CHECK (level IN ('P0','P1','P2','P3')),
  on_erase TEXT NOT NULL,               -- 'keep', 'null' or a literal in SQL quotes such as '''(effacé)'''
  code_list TEXT, refers TEXT,          -- code list name; 'table(column)' it names
  taken_with TEXT,                      -- goes along when that column's conflict is settled
  PRIMARY KEY (tab, col)) STRICT, WITHOUT ROWID;

CREATE TABLE perche_unique (            -- values that two rows should not share, besides the key; a clash is a conflict
  tab TEXT NOT NULL, cols TEXT NOT NULL, -- cols: comma-separated names
  PRIMARY KEY (tab, cols)) STRICT, WITHOUT ROWID;
