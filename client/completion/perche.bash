# Completion of perche(1) for bash: commands, options, tables, ids of conflicts.
# Installed as /usr/share/bash-completion/completions/perche; to try it:
# source client/completion/perche.bash
#
# Needs nothing but bash. What only the daemon knows (tables, conflicts) is asked
# with `perche --json`; when it does not answer there is nothing to offer.

# The values of a member of the listed things, one a line: the daemon's documents
# are indented by two, so that these stand at the sixth column.
_perche_values() { # MEMBER COMMAND...
    local member=$1
    shift
    perche "${_perche_socket[@]}" --json "$@" 2>/dev/null |
        sed -n "s/^ \{6\}\"$member\": \\(\"\\([^\"\\\\]*\\)\"\\|\\([0-9]*\\)\\),\\{0,1\\}\$/\\2\\3/p"
}

_perche_offer() { # WORDS
    local IFS=$' \t\n'
    # shellcheck disable=SC2207
    COMPREPLY=($(compgen -W "$1" -- "$cur"))
}

_perche() {
    local cur=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command='' sub='' words=0 i word
    local _perche_socket=()
    local globals='--json --socket --help'
    COMPREPLY=()

    # bash splits --option=value at the =; completing the value is enough
    [[ $cur == '=' ]] && cur=''
    [[ $previous == '=' ]] && previous=${COMP_WORDS[COMP_CWORD - 2]}

    # which command it is, and how many of its words are there before this one
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        --socket)
            [[ ${COMP_WORDS[i + 1]} == '=' ]] && ((i++))
            ((i++))
            ((i < COMP_CWORD)) && _perche_socket=(--socket "${COMP_WORDS[i]}")
            ;;
        --timeout | --where | --limit | --table | --row | --take | --value | --reason | \
            --expires | --code | --kind | --url | --scope | --level | --format | --output | --map | --source)
            [[ ${COMP_WORDS[i + 1]} == '=' ]] && ((i++))
            ((i++))
            ;;
        -*) ;;
        *)
            if [[ -z $command ]]; then
                command=$word
            else
                ((words++))
                [[ $command == @(conflicts|held) && -z $sub ]] && sub=$word
            fi
            ;;
        esac
    done

    case $previous in
    --socket)
        # shellcheck disable=SC2207
        COMPREPLY=($(compgen -f -- "$cur"))
        return
        ;;
    --table)
        _perche_offer "$(_perche_values table list)"
        return
        ;;
    --take)
        _perche_offer 'a b'
        return
        ;;
    --kind)
        _perche_offer 'SCHOOL PLACEMENT_OFFICE FINANCE_OFFICE PARTNER_DESK'
        return
        ;;
    --scope)
        _perche_offer 'hub all'
        return
        ;;
    --level)
        _perche_offer 'P0 P1 P2 P3'
        return
        ;;
    --half)
        _perche_offer 'AM PM'
        return
        ;;
    --mode)
        _perche_offer 'ON_SITE DISTANCE COMPANY'
        return
        ;;
    --by)
        _perche_offer 'site cohort'
        return
        ;;
    --format)
        case $command in
        import) _perche_offer 'csv jsonl oneroster' ;;
        export) _perche_offer 'csv jsonl xlsx oneroster' ;;
        *) _perche_offer 'table csv json' ;;
        esac
        return
        ;;
    --output)
        # shellcheck disable=SC2207
        COMPREPLY=($(compgen -f -- "$cur"))
        return
        ;;
    --timeout)
        _perche_offer '60s 5m 1h'
        return
        ;;
    --expires)
        _perche_offer '1d 7d 2w'
        return
        ;;
    --where | --limit | --row | --value | --reason | --code | --url) return ;;
    --from | --to | --as-of | --known-at | --since | --site | --cohort | --weekdays | --minutes) return ;;
    esac

    case $command in
    '')
        if [[ $cur == -* ]]; then
            _perche_offer "$globals --version"
        else
            _perche_offer 'status sync sites watch list show history conflicts refused held duplicates report add
                set void delete plan mark import export invite join revoke retire recover leave verify replicate help version'
        fi
        return
        ;;
    sync) [[ $cur == -* ]] && _perche_offer "--wait --timeout $globals" ;;
    list)
        if [[ $cur == -* ]]; then
            _perche_offer "--where --limit $globals"
        elif ((words == 0)); then
            _perche_offer "$(_perche_values table list)"
        fi
        ;;
    show | history)
        if [[ $cur == -* ]]; then
            _perche_offer "$globals"
        elif ((words == 0)); then
            _perche_offer "$(_perche_values table list)"
        fi
        ;;
    conflicts)
        case $sub in
        '')
            if [[ $cur == -* ]]; then
                _perche_offer "--all --table --row $globals"
            else
                _perche_offer 'show resolve'
            fi
            ;;
        show | resolve)
            if [[ $cur == -* && $sub == resolve ]]; then
                _perche_offer "--take --value --reason $globals"
            elif [[ $cur == -* ]]; then
                _perche_offer "$globals"
            elif ((words == 1)); then
                _perche_offer "$(_perche_values id conflicts)"
            fi
            ;;
        esac
        ;;
    held)
        if [[ $cur == -* && $sub == show ]]; then
            _perche_offer "--limit $globals"
        elif [[ $cur == -* ]]; then
            _perche_offer "$globals"
        elif [[ -z $sub ]]; then
            _perche_offer 'show release undo'
        elif ((words == 1)); then
            _perche_offer "$(_perche_values id held)"
        fi
        ;;
    refused) [[ $cur == -* ]] && _perche_offer "--limit $globals" ;;
    report)
        if [[ $cur == -* ]]; then
            _perche_offer "--from --to --as-of --site --cohort --by --known-at --since --publish --format $globals"
        elif ((words == 0)); then
            _perche_offer "$(_perche_values figure report)"
        fi
        ;;
    duplicates)
        if [[ $cur == -* ]]; then
            _perche_offer "--all $globals"
        elif ((words == 0)); then
            _perche_offer 'same different undo'
        elif ((words == 1)); then
            _perche_offer "$(_perche_values id duplicates)"
        fi
        ;;
    add | set | void | delete)
        if [[ $cur == -* ]]; then
            _perche_offer "$([[ $command != void ]] || printf -- --reason) $([[ $command != add ]] || printf -- --anyway) $globals"
        elif ((words == 0)); then
            _perche_offer "$(_perche_values table list)"
        fi
        ;;
    plan) [[ $cur == -* ]] && _perche_offer "--from --to --half --weekdays --mode --minutes --cancel --restore $globals" ;;
    mark) [[ $cur == -* ]] && _perche_offer "--all --proof $globals" ;;
    import) [[ $cur == -* ]] && _perche_offer "--table --dry-run --map --source --format --again $globals" ;;
    export)
        if [[ $cur == -* ]]; then
            _perche_offer "--format --where --excel --output $globals"
        elif ((words == 0)); then
            _perche_offer "$(_perche_values table list)"
        fi
        ;;
    invite) [[ $cur == -* ]] && _perche_offer "--expires --code --kind --site --replace $globals" ;;
    join) [[ $cur == -* ]] && _perche_offer "--url $globals" ;;
    verify) [[ $cur == -* ]] && _perche_offer "--chain $globals" ;;
    replicate)
        if [[ $cur == -* ]]; then
            _perche_offer "--scope --level $globals"
        fi
        ;;
    recover)
        if [[ $cur == -* ]]; then
            _perche_offer "--begin --now $globals"
        elif ((words == 0)); then
            _perche_offer "$(_perche_values code sites)"
        fi
        ;;
    revoke | retire)
        if [[ $cur == -* ]]; then
            _perche_offer "$globals"
        elif ((words == 0)); then
            _perche_offer "$(_perche_values code sites)"
        fi
        ;;
    help)
        if [[ $cur == -* ]]; then
            _perche_offer "$globals"
        elif ((words == 0)); then
            _perche_offer 'status sync sites watch list show history conflicts refused held duplicates report add
                set void delete plan mark import export invite join revoke retire recover leave verify replicate help version'
        fi
        ;;
    *) [[ $cur == -* ]] && _perche_offer "$globals" ;;
    esac
    return 0
}

complete -F _perche perche
