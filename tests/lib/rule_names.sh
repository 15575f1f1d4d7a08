#!/usr/bin/env bash
# No program or library that is delivered, nor the ordinary simulator, names a rule
# of daemon/rule_switch.h, as a symbol or as a text. In cmocka's words, as ctest's
# output is counted by these. Usage: rule_names.sh BUILD
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
build=${1:?the folder of a build}
names=$(sed -nE 's/^ *X\(([A-Z][A-Z0-9_]+), .*/\1/p' daemon/rule_switch.h)
pattern="$(tr '\n' '|' <<<"$names")rule_off|rule_take_away|rule_list|PERCHE_WITHOUT"
failed=0

named_in() { # FILES: lines that name a rule
    for file in "$@"; do
        { nm -a "$file" 2>/dev/null; strings -a "$file"; } | grep -nE "$pattern" | sed "s|^|$(basename "$file"): |" | head -n 5
    done
}
case_is() { # NAME OFFENDING_LINES
    if [ -z "$2" ]; then
        printf '[       OK ] %s\n' "$1"
    else
        printf '[  FAILED  ] %s\n' "$1"
        sed 's/^/    /' <<<"$2"
        failed=1
    fi
}

files=("$build/perched" "$build/perche" "$build/perche-sim")
for file in "$build"/lib*.a; do
    case $(basename "$file") in librule_switch.a | lib*_rules.a) ;; *) files+=("$file") ;; esac
done
case_is "there are rules, and programs and libraries to look into" \
    "$({ [ "$(wc -w <<<"$names")" -ge 50 ] || echo "only $(wc -w <<<"$names") names in daemon/rule_switch.h"; ls "${files[@]}" >/dev/null; } 2>&1)"
case_is "no release object names a switch" "$(named_in "${files[@]}")"

# and would it be seen? the same table, compiled with the switches
control=$(mktemp -d) || exit 2
trap 'rm -rf "$control"' EXIT
cc -std=gnu11 -DPERCHE_SWITCHES -Idaemon -c tests/lib/rule_switch.c -o "$control/rule_switch.o"
case_is "each switch is found in an object that has them" \
    "$(for name in $names; do strings -a "$control/rule_switch.o" | grep -qx "$name" || echo "$name is not seen"; done)"
case_is "each switch stands somewhere in the code" \
    "$(for name in $names; do grep -rqE "WITHOUT\($name\)" daemon/replica daemon/sync || echo "$name takes nothing away"; done)"
exit $failed
