#!/bin/sh
# Prints 090_invalid.sql from the registry. To be run after a table or a code list was added:
#   daemon/schema/make_invalid.sh > invalid.new && mv invalid.new daemon/schema/090_invalid.sql
# Needs the sqlite3 shell; the build does not run it.
set -eu
cd "$(dirname "$0")"
cat <<'TXT'
-- Values that are outside their code list: what a local program wrote, as SQLite is not told of the lists. Nothing is
-- refused or changed because of it; they are told here alone. A code that was closed is still in its list, and a
-- list of which this replica has no code at all (a site that has not joined, a list still to be loaded) is not judged.
-- key is a JSON array of the key's values in the table's order, as in perche_contested.
--
-- Made by make_invalid.sh. Like any view it names its table: a program that rebuilds one of these tables (create, copy,
-- drop, rename) says PRAGMA legacy_alter_table=ON first, or SQLite refuses the rename.

DROP VIEW IF EXISTS perche_invalid;
TXT
cat 0[0-8]?_*.sql - <<'SQL' | sqlite3 :memory:
.mode list
.separator "\n"
WITH
  listed AS (
    SELECT c.tab, c.col, c.code_list AS list,
           (SELECT json_group_array(name) FROM (SELECT name FROM pragma_table_info(c.tab) WHERE pk > 0 ORDER BY pk)) AS keys,
           (SELECT cid FROM pragma_table_info(c.tab) WHERE name = c.col) AS cid
    FROM perche_column c WHERE c.code_list IS NOT NULL),
  term AS (
    SELECT tab, cid, printf(
      '  SELECT ''%s'' AS tab, json_array(%s) AS key, ''%s'' AS col, %s AS value, ''%s'' AS list' || char(10) ||
      '  FROM %s WHERE %s NOT IN (SELECT code FROM code_list WHERE list = ''%s'')' || char(10) ||
      '    AND EXISTS (SELECT 1 FROM code_list WHERE list = ''%s'')',
      tab, (SELECT group_concat(value, ', ') FROM json_each(keys)), col, col, list, tab, col, list, list) AS sql
    FROM listed),
  one AS (
    SELECT tab, group_concat(sql, char(10) || '  UNION ALL' || char(10)) AS sql
    FROM (SELECT * FROM term ORDER BY tab, cid) GROUP BY tab)
SELECT char(10) || 'DROP VIEW IF EXISTS perche_invalid_' || tab || ';' || char(10) ||
       'CREATE VIEW perche_invalid_' || tab || ' AS' || char(10) || sql || ';' FROM one;
SELECT char(10) || 'CREATE VIEW perche_invalid AS' || char(10) ||
       group_concat('  SELECT * FROM perche_invalid_' || tab, char(10) || '  UNION ALL' || char(10)) || ';'
FROM (SELECT DISTINCT tab FROM perche_column WHERE code_list IS NOT NULL ORDER BY tab);
SQL
