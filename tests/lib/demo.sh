#!/usr/bin/env bash
# The demo: a hub and three schools on this machine's loopback, in a temporary folder, as a story. Every step is
# asserted; the first thing that is off ends it with its reason and exit 1. Real daemons, real TLS, real SQLite files,
# and every record is written and read with the plain sqlite3 shell.
set -u -o pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
NETWORK=$HERE/../networks/wild-code-school
BUILD=${PERCHE_BUILD:-$HERE/../../build}
DIR=$(mktemp -d "${TMPDIR:-/tmp}/perche-demo.XXXXXX")
export TZ=UTC
declare -A PID=()
RELAY_PID=
START=$(date +%s%N)

cleanup() {
    local p

    for p in "${PID[@]}" $RELAY_PID; do kill "$p" 2>/dev/null; done
    for p in "${PID[@]}" $RELAY_PID; do timeout 10 tail --pid="$p" -f /dev/null; done # they are not our children
    [ -n "${PERCHE_KEEP:-}" ] || rm -rf "$DIR"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

elapsed() { awk -v a="$START" -v b="$(date +%s%N)" 'BEGIN { printf "%5.1f s", (b - a) / 1e9 }'; }
tell() { printf '\n%s  %s\n' "$(elapsed)" "$*"; }
note() { printf '         %s\n' "$*"; }
indent() { sed 's/^/         /'; }
fail() {
    printf '\nOFF: %s\n' "$*" >&2
    for n in hub la-loupe chartres dreux; do
        [ -f "$DIR/$n/log" ] && printf -- '--- last lines of %s\n' "$n" >&2 && tail -n 5 "$DIR/$n/log" >&2
    done
    exit 1
}
is() { [ "$2" = "$3" ] || fail "$1: expected '$3', found '$2'"; }

db() { printf '%s/%s/data/replica.db' "$DIR" "$1"; }
sql() { # NODE SQL...: the plain shell, as any program would
    local node=$1
    shift
    sqlite3 -batch -bail -cmd '.timeout 5000' "$(db "$node")" "$@" || fail "sqlite3 at $node: $*"
}
sql_file() { sqlite3 -batch -bail -cmd '.timeout 5000' "$(db "$1")" <"$2" || fail "sqlite3 at $1: $2"; }
perche() { "$BUILD/perche" --socket "$DIR/$1/sock" "${@:2}" 2>"$DIR/words" || { cat "$DIR/words" >&2; return 1; }; }

port_free() { # a port nobody listens on
    python3 - <<'PY'
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])
PY
}

configure() { # NODE ROLE NAME [LISTEN]
    mkdir -p "$DIR/$1/data"
    {
        printf '[node]\nrole = %s\nname = %s\ndata = %s\n' "$2" "$3" "$DIR/$1/data"
        [ -n "${4:-}" ] && printf '[hub]\nlisten = %s\nadvertise = %s\n' "$4" "$4"
        printf '[control]\nsocket = %s\n' "$DIR/$1/sock"
    } >"$DIR/$1/conf"
}

# Starts a daemon and waits until it says that it is ready: the word that systemd would get.
start() { # NODE
    python3 "$HERE/start.py" "$DIR/$1/ready" "$DIR/$1/log" "$BUILD/perched" --config "$DIR/$1/conf" >"$DIR/$1/pid" ||
        fail "perched of $1 did not start: $(tail -n 3 "$DIR/$1/log")"
    PID[$1]=$(cat "$DIR/$1/pid")
}

line() { python3 "$HERE/relay_ctl.py" "$DIR/relay.sock" "$@" >/dev/null; }
wait_synced() { for n in "$@"; do perche "$n" sync --wait --timeout 20s >/dev/null || fail "$n is not in step with the hub"; done; }

# Rows that differ between a school and the hub, over every replicated table: rows the hub lacks, or has otherwise.
unlike_hub() { # SITE
    local t n=0 k

    for t in $(sql "$1" "SELECT name FROM perche_table ORDER BY 1"); do
        k=$(sqlite3 -batch -cmd '.timeout 5000' "$(db "$1")" "ATTACH '$(db hub)' AS hub; SELECT count(*) FROM (SELECT * FROM main.\"$t\" EXCEPT SELECT * FROM hub.\"$t\")") || fail "compare $t"
        n=$((n + k))
    done
    printf '%s' "$n"
}

# ---------------------------------------------------------------- the story

printf 'Perche: a hub and three schools, their records in step\n'
HUB_PORT=$(port_free)
LINE_PORT=$(port_free)
configure hub hub "Réseau Perche" "tls+tcp://127.0.0.1:$HUB_PORT"
configure la-loupe site "La Loupe"
configure chartres site "Chartres"
configure dreux site "Dreux"
"$BUILD/perche-relay" --listen "$LINE_PORT" --to "127.0.0.1:$HUB_PORT" --control "$DIR/relay.sock" >"$DIR/relay.log" 2>&1 &
RELAY_PID=$!
line stats || fail "the relay did not start"

start hub
tell "The hub starts: it makes its key, its certificate and the code lists."
note "$(sql hub 'SELECT count(*) FROM code_list') codes, network \"$(sql hub 'SELECT name FROM network')\""

for n in la-loupe chartres dreux; do
    start "$n"
    case $n in la-loupe) name="La Loupe" code=LLP ;; chartres) name=Chartres code=CHR ;; dreux) name=Dreux code=DRX ;; esac
    perche hub invite "$name" --code $code >"$DIR/$n/invitation" || fail "invite $name"
    if [ $n = la-loupe ]; then # its line goes through a relay, so that it can be cut
        perche $n join --url "tls+tcp://127.0.0.1:$LINE_PORT" - <"$DIR/$n/invitation" >/dev/null || fail "join $name"
    else
        perche $n join - <"$DIR/$n/invitation" >/dev/null || fail "join $name"
    fi
done
wait_synced la-loupe chartres dreux
tell "Three schools were invited and have joined, each by one line of text."
perche hub sites | indent

sql_file hub "$NETWORK/network.sql"
wait_synced la-loupe chartres dreux
is "organisations at Dreux" "$(sql dreux 'SELECT count(*) FROM organisation')" "$(sql hub 'SELECT count(*) FROM organisation')"
BEFORE=$(date +%s%N)
sql_file la-loupe "$NETWORK/site-LLP-1.sql"
wait_synced la-loupe
is "learners at the hub" "$(sql hub 'SELECT count(*) FROM learner')" 28
tell "La Loupe writes its first cohort with the sqlite3 shell; the hub has it $(awk -v a="$BEFORE" -v b="$(date +%s%N)" 'BEGIN { printf "%.1f", (b - a) / 1e9 }') s later."
note "28 learners, $(sql hub 'SELECT count(*) FROM learner_contact') contacts, $(sql hub 'SELECT count(*) FROM half_day') half-days, $(sql hub 'SELECT count(*) FROM housing_unit') rooms at $(sql hub 'SELECT min(rent_cents)/100 FROM housing_unit') EUR a month"
wait_synced chartres dreux
is "learners of La Loupe at Chartres" "$(sql chartres 'SELECT count(*) FROM learner')" 0
note "Chartres and Dreux hold none of them: they are not theirs"

L05=01487832-4000-7000-8001-000000000005
E05=01487832-4000-7000-8002-000000000005
L17=01487832-4000-7000-8001-000000000017
E17=01487832-4000-7000-8002-000000000017
line cut || fail "cut the line"
tell "The line of La Loupe is cut. The school goes on working."
sql la-loupe "
INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site)
SELECT h.id, e.id, 'PRESENT', h.minutes, 'PAPER_SCAN', h.day || 'T12:00:00Z', s.site_id
FROM (SELECT * FROM half_day WHERE cancelled = 0 ORDER BY day, half LIMIT 10) h, enrolment e, perche_self s;
UPDATE learner_contact SET value = '0639980199' WHERE learner_id = '$L05' AND kind = 'PHONE';
INSERT INTO transfer (learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state)
SELECT '$L17', '$E17', site_id, (SELECT id FROM site WHERE code = 'CHR'), 'CHR-P1', '2015-03-02', '2015-03-09', 'ASKED' FROM perche_self;
INSERT INTO outcome_observation (id, enrolment_id, milestone, as_of, situation, source, proof, recorded_at, recorded_site, recorded_by)
SELECT '01487832-4000-7000-8009-000000000001', '$E05', 'W4', '2015-05-28', 'JOBSEEKING', 'LEARNER_CALL', 'DECLARED', '2015-05-28T09:00:00Z', site_id, 'staff-llp' FROM perche_self;
INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)
VALUES ('$E05', 'W4', 'JOBSEEKING', '01487832-4000-7000-8009-000000000001', 'ONLY_ONE', 'staff-llp', '2015-05-28T09:05:00Z');"
note "$(sql la-loupe 'SELECT count(*) FROM attendance') attendance marks of a week, a changed phone number, a transfer to be"
note "decided, and an outcome: Camille is looking for a job, 4 weeks after the end"
sql hub "
INSERT INTO outcome_observation (id, enrolment_id, milestone, as_of, situation, source, proof, recorded_at, recorded_site, recorded_by)
SELECT '01487832-4000-7000-8009-000000000002', '$E05', 'W4', '2015-05-28', 'EMP_PERMANENT', 'EMPLOYER_DOC', 'DOCUMENT', '2015-05-28T10:00:00Z', site_id, 'staff-plc' FROM perche_self;
INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)
VALUES ('$E05', 'W4', 'EMP_PERMANENT', '01487832-4000-7000-8009-000000000002', 'ONLY_ONE', 'staff-plc', '2015-05-28T10:05:00Z');"
note "Meanwhile the placement office writes at the hub: Camille has a permanent contract."
perche la-loupe sync --wait --timeout 1s >/dev/null 2>&1 && fail "sync over a cut line says that it is done"
perche la-loupe status | indent

line open || fail "open the line"
BEFORE=$(date +%s%N)
wait_synced la-loupe chartres dreux
tell "The line is back: everything is in step $(awk -v a="$BEFORE" -v b="$(date +%s%N)" 'BEGIN { printf "%.1f", (b - a) / 1e9 }') s later."
note "$(perche la-loupe --json status | jq -r '"sent \(.bytes_out) bytes, received \(.bytes_in) bytes in this session"')"
is "attendance at the hub" "$(sql hub 'SELECT count(*) FROM attendance')" 280
is "phone at the hub" "$(sql hub "SELECT value FROM learner_contact WHERE learner_id = '$L05' AND kind = 'PHONE'")" 0639980199
is "the learner asked for at Chartres" "$(sql chartres "SELECT count(*) FROM learner WHERE id = '$L17'")" 1
note "Chartres holds the one learner whose transfer to it is asked, and no other"
is "learners at Chartres" "$(sql chartres 'SELECT count(*) FROM learner')" 1

for n in la-loupe hub; do
    is "open conflicts at $n" "$(perche $n --json conflicts | jq '.conflicts | length')" 1
    is "its column at $n" "$(perche $n --json conflicts | jq -r '.conflicts[0] | .table + "." + .column')" outcome_decision.situation
    is "its values at $n" "$(perche $n --json conflicts | jq -r '.conflicts[0] | [.a.value, .b.value] | sort | join(" ")')" "EMP_PERMANENT JOBSEEKING"
done
tell "Two offices decided the same outcome without knowing of each other: nobody loses, a person is asked."
perche la-loupe conflicts | indent

ID=$(perche hub --json conflicts | jq -r '.conflicts[0].id')
SIDE=$(perche hub --json conflicts | jq -r '.conflicts[0] | if .a.value == "EMP_PERMANENT" then "a" else "b" end')
perche hub conflicts resolve "$ID" --take "$SIDE" --reason "work contract seen" >/dev/null || fail "resolve"
wait_synced la-loupe
for n in la-loupe hub; do
    is "open conflicts at $n" "$(perche $n --json conflicts | jq '[.conflicts[] | select(.state == "open")] | length')" 0
    is "the outcome at $n" "$(sql $n "SELECT situation || ' ' || observation_id FROM outcome_decision")" "EMP_PERMANENT 01487832-4000-7000-8009-000000000002"
done
tell "The hub decides: the contract was seen. The decision and its reason are at La Loupe as well."
perche la-loupe history outcome_decision "$E05,W4" | indent

wait_synced la-loupe chartres dreux
for n in la-loupe chartres dreux; do
    is "rows of $n that are not the hub's" "$(unlike_hub $n)" 0
    is "$n proven equal" "$(perche $n --json verify | jq -r .equal)" true
done
is "learners at La Loupe" "$(sql la-loupe 'SELECT count(*) FROM learner')" "$(sql hub 'SELECT count(*) FROM learner')"
is "marks at La Loupe" "$(sql la-loupe 'SELECT count(*) FROM attendance')" "$(sql hub 'SELECT count(*) FROM attendance')"
tell "All replicas are equal: dumped with the sqlite3 shell, compared row by row, and by their digests."
perche hub sites | indent
printf '\n%s  The demo ran to its end: every step was as it should be.\n' "$(elapsed)"
