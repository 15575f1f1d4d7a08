# Counts the cases in the output of `ctest --verbose`, where every line of test
# program N begins with "N: ". Prints "PASSED FAILED" and, on stderr, the name
# of each failed case. A case is one test of cmocka. A program that fails
# without naming a case (a crash, a sanitizer, a time-out) is one failed case;
# one that passes without a case has tested nothing and is one as well. A
# skipped case failed: a missing tool is no reason to pass.

function fail(n, name) {
    if (!((n, name) in seen)) {
        seen[n, name] = 1
        failed[n]++
        print "    failed: " title[n] " " name >"/dev/stderr"
    }
}

/^ *Start +[0-9]+: / {
    sub(/^ *Start +/, "")
    n = $0 + 0
    sub(/^[0-9]+: /, "")
    title[n] = $0
    next
}
/^[0-9]+: / {
    n = $0 + 0
    if (match($0, /\[       OK \] /))
        passed[n]++
    else if (match($0, /\[  (FAILED|ERROR|SKIPPED) +\] /)) {
        name = substr($0, RSTART + RLENGTH)
        if (name !~ /^[0-9]+ test\(s\)/ && name !~ /^--- /)
            fail(n, name)
    }
    next
}
/^ *[0-9]+\/[0-9]+ +Test +#[0-9]+: / {
    n = $0
    sub(/^[^#]*#/, "", n)
    n += 0
    ended[n] = 1
    if ($0 !~ / Passed /) {
        why = match($0, /\*\*\*[A-Za-z: ]*/) ? substr($0, RSTART + 3, RLENGTH - 3) : "Failed"
        sub(/:? *$/, "", why)
        if (!failed[n])
            fail(n, "(the program itself: " why ")")
    } else if (!passed[n] && !failed[n])
        fail(n, "(the program passed and saw 0 cases)")
}
END {
    for (n in title) {
        if (!(n in ended))
            fail(n, "(it had not ended when time was up)")
    }
    p = f = 0
    for (n in passed)
        p += passed[n]
    for (n in failed)
        f += failed[n]
    print p + 0, f + 0
}
