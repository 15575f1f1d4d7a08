#!/usr/bin/env bash
# Rules about the source that no compiler checks. Each rule is one case: "ok" or
# "not ok", with the offending lines behind "# ". Comments of C files are taken
# out before anything is looked for, so they may name what the code may not.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
passed=0
failed=0
bare=$(mktemp -d) || exit 2
trap 'rm -rf "$bare"' EXIT

case_is() { # NAME OFFENDING_LINES
    if [ -z "$2" ]; then
        printf 'ok %s\n' "$1"
        passed=$((passed + 1))
    else
        printf 'not ok %s\n' "$1"
        sed 's/^/#     /' <<<"$2"
        failed=$((failed + 1))
    fi
}

# The C files without their comments.
files=0
while IFS= read -r file; do
    mkdir -p "$bare/$(dirname "$file")"
    gcc -fpreprocessed -dD -E -P -w -x c -o "$bare/$file" "$file" ||
        case_is "gcc takes the comments out of $file" "$file"
    files=$((files + 1))
done < <(find include proto daemon client tests -name '*.[ch]' 2>/dev/null | sort)
printf '# %d C files\n' "$files"
[ "$files" -gt 0 ] || case_is "there are C files to look at" "none found"

# Lines of the C files in FOLDERS that match PATTERN, as path: line.
code() { # PATTERN FOLDER...
    local pattern=$1
    shift
    (cd "$bare" && grep -rE --include='*.[ch]' "$pattern" "$@" 2>/dev/null)
}
includes() { # PATTERN_OF_THE_NAME FOLDER...
    local pattern=$1
    shift
    code "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($pattern)" "$@"
}
calls() { # NAMES_WITH_BARS FOLDER...
    local names=$1
    shift
    code "(^|[^A-Za-z0-9_.>])($names)[[:space:]]*\(" "$@"
}
but() { # PATTERN_OF_PATHS: lets these files be
    grep -Ev "^($1)"
}

# ------------------------------------------------------------------ layers

case_is "only daemon/replica includes SQLite" \
    "$(includes 'sqlite3' include proto daemon client | but 'daemon/replica/')"
case_is "only daemon/net and daemon/web include nng" \
    "$(includes 'nng/' include proto daemon client | but 'daemon/(net|web)/')"
case_is "only daemon/net, daemon/web and daemon/control include libuv" \
    "$(includes 'uv\.h|uv/' include proto daemon client | but 'daemon/(net|web|control)/')"
case_is "the wire library includes no layer of the daemon" \
    "$(includes '(replica|sync|net|control|web|schema)/' include proto)"
case_is "the client includes no layer of the daemon" \
    "$(includes '(replica|sync|net|control|web|schema)/' client)"
case_is "daemon/sync knows of the other layers only the wire library" \
    "$(includes '(replica|net|control|web|schema)/' daemon/sync)"
case_is "daemon/replica knows of the conversation only the port, sync/work.h" \
    "$(includes '(sync|net|control|web)/' daemon/replica | grep -v '"sync/work\.h"')"
case_is "daemon/school knows of the other layers only the replica and the schema" \
    "$(includes '(sync|net|control|web)/' daemon/school)"
case_is "only daemon/main.c knows of daemon/school" \
    "$(includes 'school/' include proto daemon client | but 'daemon/(school/|main\.c)')"
case_is "daemon/sync includes its own headers, the wire's and plain C, so no socket, clock, file or log" \
    "$(includes '' daemon/sync |
        grep -Ev '[<"](sync/|perche/|[a-z_]+\.h")' |
        grep -Ev '<(assert|errno|inttypes|limits|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|string)\.h>')"
case_is "daemon/sync opens nothing and prints nothing" \
    "$(calls 'f?open|fopen|creat|f?printf|vprintf|vfprintf|puts|fputs|perror|syslog|log_(event|error|warn|notice|info|debug)' daemon/sync)"

clock='time|gettimeofday|clock|clock_gettime|ftime|localtime(_r)?|uv_now|uv_hrtime|nng_clock'
chance='s?rand(om)?|[dlm]rand48|getrandom|getentropy|arc4random[a-z_]*|randombytes_[a-z]+|nng_random'
case_is "daemon/sync has no clock and no randomness of its own" \
    "$(calls "$clock|$chance" daemon/sync)"
case_is "daemon/replica has no clock and no randomness of its own" \
    "$(calls "$clock|$chance" daemon/replica)"
case_is "daemon/replica opens no socket" \
    "$(includes 'sys/socket|sys/un|netinet|arpa/|netdb|poll|sys/epoll' daemon/replica)"

# ----------------------------------------------------------------- manners

case_is "only daemon/main.c ends the process" \
    "$(calls 'exit|_exit|_Exit|quick_exit|abort|raise' include proto daemon | but 'daemon/main\.c:')"

# A test that sleeps is slow where it passes and false where it fails; the same
# goes for a daemon. These may, each for its reason:
sleepers='
tests/lib/                 helpers that poll for a condition with a limit: the one place to wait
daemon/replica/replica\.c  the writer, on its own thread, waits its turn: the lock of SQLite has no queue and no event
tests/bench/nodes\.c         how finely the end of a load is looked for, with the processors left to the daemons
tests/bench/school\.c        how finely the end of a load is looked for, as above
tests/sim/world\.c          takes the place of nanosleep, to let virtual time pass: nothing waits
tests/sim/lock\.c           takes the place of nanosleep, to let virtual time pass: nothing waits
tests/bench/preload_sync\.c is a slow disk: the delay is what it is for
tests/integration/test_busy\.py  the pace of a program that writes along, not a wait
tests/bench/load\.c         the pace of a program that writes along, not a wait
tests/bench/live\.c         how finely the bench looks, with both cores left to the daemons
tests/bench/preload_       makes a slow disk of a fast one: the delay is its purpose
'
pattern=$(awk 'NF { printf "%s%s", (n++ ? "|" : ""), $1 }' <<<"$sleepers")
case_is "nothing sleeps but what the list in tests/lib/lint.sh gives a reason for" \
    "$({
        calls 'sleep|usleep|nanosleep|clock_nanosleep|nng_msleep|uv_sleep|thrd_sleep' \
            include proto daemon client tests
        grep -rE '(^|[;&|({[:space:]])sleep[[:space:]]+[0-9$"]|time\.sleep\(' \
            --include='*.sh' --include='*.py' --include='*.bash' tests client 2>/dev/null
    } | but "$pattern")"

# ------------------------------------------------------------------- traps

traps() { # what tests/lib/traps.py finds; that it could not look is found, too
    python3 tests/lib/traps.py "$1" 2>&1 || printf 'tests/lib/traps.py %s has failed\n' "$1"
}
case_is "every trap of tests/traps.md names tests that exist and are run" "$(traps tests)"
case_is "every trap of tests/traps.md has an id of its own" "$(traps ids)"
case_is "no trap has gone from tests/traps.md, and as many are open as it says" "$(traps rows)"
traps open | sed 's/^/# /'

# ------------------------------------------------------------------ schema

case_is "docs/schema.md is what daemon/schema/make_document.sh prints" \
    "$({ daemon/schema/make_document.sh || printf 'daemon/schema/make_document.sh has failed\n'; } 2>&1 | diff docs/schema.md - | head -5)"
case_is "daemon/schema/090_invalid.sql is what make_invalid.sh prints" \
    "$({ daemon/schema/make_invalid.sh || printf 'daemon/schema/make_invalid.sh has failed\n'; } 2>&1 | diff daemon/schema/090_invalid.sql - | head -5)"

# ----------------------------------------------------------------- folders

case_is "the top level holds what DESIGN names, and dot files" \
    "$(find . -mindepth 1 -maxdepth 1 ! -name '.*' -printf '%f\n' | sort |
        grep -vxE 'CMakeLists\.txt|README\.md|LICENSE|run|include|proto|daemon|client|systemd|tests|docs|build')"
case_is "tests holds the folders DESIGN names, and the list of traps" \
    "$(find tests -mindepth 1 -maxdepth 1 -printf '%f\n' | sort |
        grep -vxE 'unit|sim|fault|integration|fuzz|browser|bench|networks|lib|traps\.md')"
case_is "every script of tests/integration and tests/fault can be run; helpers belong in tests/lib" \
    "$(find tests/integration tests/fault -maxdepth 1 -type f \( -name '*.sh' -o -name '*.py' \) ! -perm -100)"
case_is "every other file of tests/integration is no forgotten test" \
    "$(find tests/integration -maxdepth 1 -type f ! -name '*.sh' ! -name '*.py' 2>/dev/null)"
case_is "every file of tests/unit and tests/fault is named test_MODULE....c, a script of tests/fault test_*.py" \
    "$(find tests/unit tests/fault -type f ! -name 'test_*.c' ! -name '*.h' ! -path 'tests/fault/test_*.py' ! -path 'tests/fault/attack/*.py' 2>/dev/null)"
case_is "every fuzz target has a seed corpus" \
    "$(for file in tests/fuzz/fuzz_*.c; do
        [ -f "$file" ] || continue
        name=$(basename "$file" .c)
        [ -n "$(ls -A "tests/fuzz/corpus/$name" 2>/dev/null)" ] || printf '%s\n' "tests/fuzz/corpus/$name is empty"
    done)"
case_is "shell scripts can be read by bash" \
    "$(for file in run .ci/run $(find tests client -name '*.sh' -o -name '*.bash'); do
        bash -n "$file" 2>&1
    done)"

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
