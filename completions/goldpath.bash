# Completion of goldpath(1) for bash. tests/docs/test_docs.py compares it with `goldpath --help`.

_goldpath_sites() {
    local file
    for file in /etc/goldpath/sites/*.yaml; do
        [ -e "$file" ] || continue
        file=${file##*/}
        printf '%s\n' "${file%.yaml}"
    done
}

# Branches and tags of a site, as the last deploy fetched them.
_goldpath_refs() {
    [ -n "$1" ] || return 0
    git -c safe.directory='*' --git-dir "/srv/sum/$1/repo.git" for-each-ref --format='%(refname:short)' refs/heads refs/tags 2>/dev/null
}

# The releases of a site, where they may be read.
_goldpath_releases() {
    ls "/srv/sum/$1/releases" 2>/dev/null
}

# The backups of a site, where they may be read.
_goldpath_backups() {
    (cd "/srv/sum/$1/backups" 2>/dev/null && ls -- *_db_*.sql.gz 2>/dev/null)
}

_goldpath() {
    local commands="init adopt plan provision deploy rollback releases backup backups restore rehearse clone remove lock version help"
    local common="--json --quiet --verbose --no-color --help"
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command first=2 options='' operand='' verb='' site='' words='' i

    # The old scripts' names are commands themselves.
    case ${COMP_WORDS[0]##*/} in
    provision_vps.sh) command=provision first=1 ;;
    deploy.sh) command=deploy first=1 ;;
    backup_db.sh) command=backup first=1 ;;
    restore_db.sh) command=restore first=1 ;;
    *) command=${COMP_WORDS[1]-} ;;
    esac

    COMPREPLY=()
    if [ "$first" = 2 ] && [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
        return
    fi

    case $command in
    init) operand=new options="--domain --repo --project --ref --tls --celery --site-slug" ;;
    adopt)
        operand=new
        options="--domain --repo --project --ref --tls --celery --i-know-changes-stay-behind --yes --dry-run --site-slug"
        ;;
    plan) operand=site options="--ref --site-slug" ;;
    provision) operand=site options="--yes --dry-run --deploy-user --install-packages --site-slug" ;;
    deploy) operand=site options="--ref --domain --no-restart --resume --site-slug" ;;
    rollback) operand=site options="--to --plan --code-only --migrate-back --restore-db --site-slug" ;;
    releases) operand=site options="--site-slug" ;;
    backup) operand=site options="--media --site-slug" ;;
    backups) operand=site options="--site-slug" ;;
    restore) operand=site options="--file --i-know-this-will-overwrite --no-restart --no-backup --undo --site-slug" ;;
    rehearse) operand=site options="--file --latest --offsite --site-slug" ;;
    clone) operand=site options="--to --domain --offsite --password-file --site-slug" ;;
    remove) operand=site options="--i-know-this-will-delete --site-slug" ;;
    lock) operand=site verb=status options="--site-slug" ;;
    version) ;;
    help)
        if [ "$COMP_CWORD" = 2 ]; then
            mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
        fi
        return
        ;;
    *) return ;;
    esac

    # Which site the line names already: the operand, or the value of --site-slug.
    for ((i = first; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --site-slug) site=${COMP_WORDS[++i]-} ;;
        --domain | --repo | --project | --ref | --to | --tls | --deploy-user | --file | --password-file) ((++i)) ;;
        --offsite) [ "$command" != clone ] || ((++i)) ;;
        -*) ;;
        "$verb") verb='' ;;
        *) site=${site:-${COMP_WORDS[i]}} ;;
        esac
    done

    # "--ref=x" arrives as three words: --ref, =, x.
    if [ "$current" = = ]; then
        current=''
    elif [ "$previous" = = ]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi

    case $command:$previous in
    clone:--to) return ;;
    clone:--offsite | clone:--password-file)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    esac
    case $previous in
    --site-slug) [ "$operand" = new ] || words=$(_goldpath_sites) ;;
    --ref) words=$(_goldpath_refs "$site") ;;
    --to) words=$(_goldpath_releases "$site") ;;
    --tls) words="auto internal off" ;;
    --deploy-user)
        mapfile -t COMPREPLY < <(compgen -u -- "$current")
        return
        ;;
    --repo)
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        return
        ;;
    --file)
        mapfile -t COMPREPLY < <(compgen -f -- "$current"; [ -z "$site" ] || compgen -W "$(_goldpath_backups "$site")" -- "$current")
        return
        ;;
    --domain | --project) return ;;
    *)
        case $current in
        -*) words="$options $common" ;;
        *) [ -z "$verb" ] || words=$verb
            [ -n "$verb" ] || [ "$operand" != site ] || [ -n "$site" ] || words=$(_goldpath_sites) ;;
        esac
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _goldpath goldpath provision_vps.sh deploy.sh backup_db.sh restore_db.sh
