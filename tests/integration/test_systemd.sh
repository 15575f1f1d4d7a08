#!/usr/bin/env bash
# The files in systemd/: what systemd itself says of them, and whether they agree
# with each other. No running systemd is needed.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
: "${PERCHE_BUILD:=$PWD/build}"
passed=0
failed=0
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT

# A case holds when its command succeeds; what the command said is shown otherwise.
case_holds() { # NAME COMMAND...
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then
        printf 'ok %s\n' "$name"
        passed=$((passed + 1))
    else
        printf 'not ok %s\n' "$name"
        sed 's/^/#     /' <<<"$said"
        failed=$((failed + 1))
    fi
}

# verify looks for the program and the man pages on this machine, where perched is
# not installed: so a copy whose ExecStart names this build, without the man pages.
verify_is_silent() {
    local said
    sed "s#^ExecStart=/usr/bin/perched#ExecStart=$PERCHE_BUILD/perched#" \
        systemd/perched.service >"$tmp/perched.service"
    said=$(systemd-analyze verify --man=no "$tmp/perched.service" 2>&1) && [ -z "$said" ] && return
    printf '%s\n' "$said"
    return 1
}

scores_1_5_or_better() { # --threshold counts in tenths
    systemd-analyze security --no-pager --offline=true --threshold=15 ./systemd/perched.service
}

makes_the_user() {
    mkdir -p "$tmp/root/etc" &&
        systemd-sysusers --root="$tmp/root" - <systemd/perche.sysusers &&
        grep '^perche:' "$tmp/root/etc/passwd" | grep ':/var/lib/perche:' &&
        grep '^perche:' "$tmp/root/etc/group"
}

# The owner is taken out, so that this also works for somebody who is not root.
makes_the_data_folder() {
    sed 's/perche  perche/-       -/' systemd/perche.tmpfiles >"$tmp/perche.conf" &&
        systemd-tmpfiles --create --root="$tmp/root" "$tmp/perche.conf" &&
        ls -ld "$tmp/root/var/lib/perche" &&
        [ "$(stat -c %a "$tmp/root/var/lib/perche")" = 2770 ] &&
        grep -Eq '^d +/var/lib/perche +2770 +perche +perche ' systemd/perche.tmpfiles
}

setting() { # NAME -> its value in the unit
    sed -n "s/^$1=//p" systemd/perched.service
}

names_agree() {
    [ "$(setting User)" = perche ] && [ "$(setting Group)" = perche ] &&
        [ "$(setting ReadWritePaths)" = /var/lib/perche ] &&
        [ "$(setting RuntimeDirectory)" = perche ] &&
        grep -qx ';data = /var/lib/perche' systemd/perched.conf &&
        grep -qx ';socket = /run/perche/perched.sock' systemd/perched.conf
}

relaxations_have_a_reason() {
    local name
    for name in ReadWritePaths RestrictAddressFamilies; do
        grep -B 12 "^$name=" systemd/perched.service | grep -q '^# Relaxed' || {
            printf '%s has no comment that begins with "Relaxed"\n' "$name"
            return 1
        }
    done
}

# --check also looks at the folders of data and socket, which this machine does not have.
accepts_the_example() {
    mkdir -p "$tmp/data" &&
        sed "s#^;data = .*#data = $tmp/data#; s#^;socket = .*#socket = $tmp/s#" systemd/perched.conf >"$tmp/example.conf" &&
        "$PERCHE_BUILD/perched" --config "$tmp/example.conf" --check
}

knows_every_key_of_the_example() {
    sed -E "s/^;([a-z_]+ = )/\1/; s#^data = .*#data = $tmp/data#; s#^socket = .*#socket = $tmp/s#" \
        systemd/perched.conf >"$tmp/full.conf" &&
        "$PERCHE_BUILD/perched" --config "$tmp/full.conf" --check
}

case_holds "systemd-analyze verify has nothing to say about the unit" verify_is_silent
case_holds "systemd-analyze security gives the unit 1.5 or better" scores_1_5_or_better
case_holds "systemd-sysusers makes user and group perche" makes_the_user
case_holds "systemd-tmpfiles makes the data folder, mode 2770" makes_the_data_folder
case_holds "unit, tmpfiles and configuration name the same folders" names_agree
case_holds "each relaxed setting of the unit has its reason beside it" relaxations_have_a_reason
case_holds "perched accepts the example configuration" accepts_the_example
case_holds "perched knows every key of the example configuration" knows_every_key_of_the_example

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
