# bash completion for background-tasks; made by `cargo xtask assets`.

_background_tasks() {
    local word=${COMP_WORDS[COMP_CWORD]} words=
    if [ "$COMP_CWORD" -eq 1 ]; then
        words='start status list wait stop restart send signal pause resume recover remove prune logs events agent doctor capabilities schema examples skill help version'
    else
        case ${COMP_WORDS[1]} in
            start) words='--concurrency --exit-code --output --timeout --wait' ;;
            status) words='--exit-code --output --timeout --wait'" $(background-tasks list '{"limit": 200}' 2>/dev/null | grep -o '{"id":"[^"]*"' | cut -d'"' -f4)" ;;
            list) words='--output --timeout' ;;
            wait) words='--exit-code --output --timeout --wait'" $(background-tasks list '{"limit": 200}' 2>/dev/null | grep -o '{"id":"[^"]*"' | cut -d'"' -f4)" ;;
            stop) words='--concurrency --output --timeout --wait'" $(background-tasks list '{"limit": 200}' 2>/dev/null | grep -o '{"id":"[^"]*"' | cut -d'"' -f4)" ;;
            restart) words='--concurrency --output --timeout'" $(background-tasks list '{"limit": 200}' 2>/dev/null | grep -o '{"id":"[^"]*"' | cut -d'"' -f4)" ;;
            send) words='--output --timeout' ;;
            signal) words='--output --timeout' ;;
            pause) words='--concurrency --output --timeout'" $(background-tasks list '{"limit": 200}' 2>/dev/null | grep -o '{"id":"[^"]*"' | cut -d'"' -f4)" ;;
            resume) words='--concurrency --output --timeout'" $(background-tasks list '{"limit": 200}' 2>/dev/null | grep -o '{"id":"[^"]*"' | cut -d'"' -f4)" ;;
            recover) words='--concurrency --output --timeout' ;;
            remove) words='--concurrency --output --timeout'" $(background-tasks list '{"limit": 200}' 2>/dev/null | grep -o '{"id":"[^"]*"' | cut -d'"' -f4)" ;;
            prune) words='--output --timeout' ;;
            logs) words='--follow --output --stream --timeout'" $(background-tasks list '{"limit": 200}' 2>/dev/null | grep -o '{"id":"[^"]*"' | cut -d'"' -f4)" ;;
            events) words='--follow --output --stream --timeout'" $(background-tasks list '{"limit": 200}' 2>/dev/null | grep -o '{"id":"[^"]*"' | cut -d'"' -f4)" ;;
            agent) words='list command parse install --output --timeout' ;;
            doctor) words='--output --timeout' ;;
            capabilities) words='--output --timeout' ;;
            schema) words='list show --output --timeout' ;;
            examples) words='list show --output --timeout' ;;
            skill) words='--output --timeout' ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _background_tasks background-tasks
