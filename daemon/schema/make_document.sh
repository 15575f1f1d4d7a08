#!/bin/sh
# Prints docs/schema.md from the files of this folder. To be run after a table was added or changed:
#   daemon/schema/make_document.sh > schema.new && mv schema.new docs/schema.md
# tests/lib/lint.sh compares the two. Needs the sqlite3 shell and awk; the build does not run it.
set -eu
cd "$(dirname "$0")"
cat <<'TXT'
# The school's tables

Made by `daemon/schema/make_document.sh` from the tables and their registry: not edited by hand. Every row of these tables
is written with plain SQL by whoever may, at the school or at the hub; Perche is told the rest here.

- **Who has a row** (rule): `*` every site; `own C` the sites that its own columns name; `parent T(C)` the sites of the row that it
  names; `members` its own site and those of the child rows that are listed. With an *area*, the offices that `site_reader`
  gives for it see it too. *Moves*: who may change what the rule looks at.
- **Policy** of a column: `lww` the later value wins, and the other is kept; `review` two edits that did not know of each
  other are put to a person; `append` rows are only added, a correction names what it voids; `hub` only the hub writes.
- **Level**: P0 nothing personal, P1 identifying, P2 social and economic situation, P3 special category. *Erased*: what an
  erasure leaves of the column, nothing where it says `null`.
- A key is UUIDv7 text that the table mints by itself unless it says otherwise; days are `YYYY-MM-DD`, instants UTC with `Z`, money cents.

TXT
for file in 0[0-8]?_*.sql; do
    title=$(sed -n '1s/^-- *//p' "$file")
    case $file in 000_*|007_*) continue ;; esac
    printf '## %s\n\n`daemon/schema/%s`\n\n' "${title%%.*}. $(printf '%s' "${title#*. }" | sed 's/ *(.*$//; s/\.$//')" "$file"
    # what the CREATE statements say of tables and columns
    awk '
        /^CREATE TABLE / { table = $3; says[table] = ""; if (match($0, /-- .*/)) print table "\t\t" substr($0, RSTART + 3); next }
        table != "" && match($0, /-- .*/) {
            comment = substr($0, RSTART + 3); before = substr($0, 1, RSTART - 1)
            n = split(before, words, /[ ,]+/); column = ""
            for (i = 1; i <= n; i++) if (words[i] ~ /^[a-z_]+$/ && words[i + 1] ~ /^(TEXT|INTEGER|BLOB|REAL|ANY)$/) column = words[i]
            if (column != "") print table "\t" column "\t" comment
        }
        /WITHOUT ROWID;/ { table = "" }' "$file" >"${TMPDIR:-/tmp}/perche-says.$$"
    cat 0[0-8]?_*.sql - <<SQL | sqlite3 :memory:
CREATE TEMP TABLE says (tab TEXT, col TEXT, text TEXT);
.mode tabs
.import --schema temp '${TMPDIR:-/tmp}/perche-says.$$' says
.mode list
CREATE TEMP TABLE here AS SELECT name, rowid AS place FROM sqlite_schema WHERE type = 'table' AND name IN
  (SELECT substr(value, 14, instr(substr(value, 14), ' ') - 1) FROM json_each('["' || replace('$(grep -o '^CREATE TABLE [a-z_]* ' "$file" | tr '\n' '|')', '|', '","') || '"]'));
SELECT '### ' || h.name || char(10) || char(10)
       || coalesce((SELECT upper(substr(text, 1, 1)) || substr(text, 2) || '. ' FROM says WHERE tab = h.name AND col = ''), '')
       || CASE WHEN t.name IS NULL THEN 'Not replicated.' ELSE 'Rule: \`' || t.rule || '\`'
          || coalesce('; area: ' || t.area, '') || CASE WHEN t.rule = '*' OR t.rule LIKE 'parent%' THEN '' ELSE '; moves: ' || t.mover END
          || iif(t.chained, '; signed (\`perche verify --chain\`)', '') || '.'
          || coalesce((SELECT ' Unique besides the key: ' || group_concat(replace(cols, ',', ', '), '; ') || '.' FROM perche_unique WHERE tab = h.name), '') END
       || char(10) || char(10)
       || '| column | type | policy | level | erased | code list | names | |' || char(10) || '| --- | --- | --- | --- | --- | --- | --- | --- |' || char(10)
       || (SELECT group_concat(line, char(10)) FROM (
            SELECT '| ' || iif(c.pk > 0, '**' || c.name || '**', c.name) || ' | ' || c.type || iif(c."notnull", '', ', may be NULL') || ' | '
                   || coalesce(p.policy, '') || ' | ' || coalesce(p.level, '') || ' | ' || iif(p.on_erase = 'keep', '', coalesce(p.on_erase, '')) || ' | '
                   || coalesce(p.code_list, '') || ' | ' || coalesce(p.refers, '') || coalesce(' (taken with ' || p.taken_with || ')', '') || ' | '
                   || coalesce((SELECT replace(text, '|', '/') FROM says WHERE tab = h.name AND col = c.name), '') || ' |' AS line
            FROM pragma_table_info(h.name) c LEFT JOIN perche_column p ON p.tab = h.name AND p.col = c.name ORDER BY c.cid))
       || char(10)
FROM here h LEFT JOIN perche_table t ON t.name = h.name ORDER BY h.place;
SQL
    rm -f "${TMPDIR:-/tmp}/perche-says.$$"
done
