#!/usr/bin/env bash
# Sources the completion of perche and completes lines with it, as bash would. The
# daemon's part is a stand-in that answers canned JSON; the list of commands is
# compared with what the built perche says of itself.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
passed=0
failed=0
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
real=${PERCHE_BUILD:-build}/perche
[[ $real == /* ]] || real=$PWD/$real

cat >"$tmp/perche" <<'END'
#!/usr/bin/env bash
printf '%s\n' "$*" >>"${0%/*}/asked"
while [[ ${1-} == --* ]]; do
    [[ $1 == --socket ]] && shift
    shift
done
case ${1-} in
list) printf '{\n  "tables": [\n    {\n      "table": "learner",\n      "rows": 28\n    },\n    {\n      "table": "cohort"\n    }\n  ]\n}\n' ;;
conflicts) printf '{\n  "self": {\n    "id": "7f00"\n  },\n  "conflicts": [\n    {\n      "id": "7f3a9c11",\n      "kind": "edit"\n    }\n  ]\n}\n' ;;
held) printf '{\n  "held": [\n    {\n      "id": 12,\n      "table": "learner"\n    }\n  ]\n}\n' ;;
sites) printf '{\n  "sites": [\n    {\n      "name": "La Loupe",\n      "code": "CHR"\n    }\n  ]\n}\n' ;;
esac
END
chmod +x "$tmp/perche"
PATH=$tmp:$PATH
# shellcheck source=/dev/null
source client/completion/perche.bash

# Completes LINE (its last word; a blank at the end begins a new one) as bash
# does, with its own splitting at =.
completed() { # LINE
    local line=${1//=/ = }
    read -r -a COMP_WORDS <<<"$line"
    [[ $line == *' ' && $line != *'= ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _perche
    printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd ' '
}

completes() { # NAME LINE EXPECTED
    local got
    got=$(completed "$2")
    if [ "$got" = "$3" ]; then
        printf 'ok %s\n' "$1"
        passed=$((passed + 1))
    else
        printf 'not ok %s\n#   %s\n#   expected: %s\n#   got:      %s\n' "$1" "$2" "$3" "$got"
        failed=$((failed + 1))
    fi
}

completes "a command is completed" 'perche sta' 'status'
completes "all that begin so are offered" 'perche s' 'set show sites status sync'
completes "a command behind global options" 'perche --json --socket /run/s ver' 'verify version'
completes "global options before the command" 'perche --j' '--json'
completes "options of a command" 'perche sync --' '--help --json --socket --timeout --wait'
completes "tables of list" 'perche list l' 'learner'
completes "tables of show" 'perche show ' 'cohort learner'
completes "no second table" 'perche show learner ' ''
completes "options behind the table" 'perche list learner --l' '--limit'
completes "no table in place of a condition" 'perche list learner --where ' ''
completes "words of conflicts" 'perche conflicts ' 'resolve show'
completes "ids of conflicts" 'perche conflicts show 7' '7f3a9c11'
completes "words of held" 'perche held ' 'release show undo'
completes "numbers of what is held" 'perche held undo ' '12'
completes "options of resolve" 'perche conflicts resolve 7f3a --' \
    '--help --json --reason --socket --take --value'
completes "the sides" 'perche conflicts resolve 7f3a --take ' 'a b'
completes "a value behind =" 'perche conflicts resolve 7f3a --take=' 'a b'
completes "the start of a value behind =" 'perche invite x --kind=PL' 'PLACEMENT_OFFICE'
completes "options of plan" 'perche plan P1 --from 28/05/2018 --m' '--minutes --mode'
completes "a mode of half-days" 'perche plan P1 --mode D' 'DISTANCE'
completes "tables to delete from" 'perche delete l' 'learner'
completes "one more learner" 'perche add learner --a' '--anyway'
completes "tables for --table" 'perche conflicts --table c' 'cohort'
completes "formats that are read" 'perche import f --format ' 'csv jsonl oneroster'
completes "formats that are written" 'perche export learner --format=' 'csv jsonl oneroster xlsx'
completes "formats of a report" 'perche report --format ' 'csv json table'
completes "options of export, behind one with a value" 'perche export --output f l' 'learner'
completes "sites to revoke" 'perche revoke C' 'CHR'
completes "how a recovery begins and ends" 'perche recover --' '--begin --help --json --now --socket'
completes "commands to be helped with" 'perche help ver' 'verify version'
completes "nothing where nothing is known" 'perche join ' ''

: >"$tmp/asked"
completed 'perche --socket /run/other list ' >/dev/null
if [ "$(cat "$tmp/asked")" = '--socket /run/other --json list' ]; then
    echo "ok the daemon that was named is asked"
    passed=$((passed + 1))
else
    printf 'not ok the daemon that was named is asked\n#   %s\n' "$(cat "$tmp/asked")"
    failed=$((failed + 1))
fi

if [ ! -x "$real" ]; then
    echo "not ok the built perche is there: $real"
    failed=$((failed + 1))
else
    completes "each command that perche has" 'perche ' \
        "$("$real" help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' | sort | paste -sd ' ')"
    for command in status sync sites watch list show history refused invite join revoke retire leave verify \
        replicate help version; do
        completes "each option of $command that its help has" "perche $command --" \
            "$({
                "$real" help $command | grep -o '^  --[a-z]*' | tr -d ' '
                printf '%s\n' --help --json --socket
            } | sort -u | paste -sd ' ')"
    done
fi

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
