# fish completion for background-tasks; made by `cargo xtask assets`.

function __background_tasks_ids
    background-tasks list '{"limit": 200}' 2>/dev/null | grep -o '{"id":"[^"]*"' | cut -d'"' -f4
end

complete -c background-tasks -n __fish_use_subcommand -a start -d 'Start a command in the background (an array starts several)'
complete -c background-tasks -n '__fish_seen_subcommand_from start' -l concurrency
complete -c background-tasks -n '__fish_seen_subcommand_from start' -l exit-code
complete -c background-tasks -n '__fish_seen_subcommand_from start' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from start' -l timeout
complete -c background-tasks -n '__fish_seen_subcommand_from start' -l wait
complete -c background-tasks -n __fish_use_subcommand -a status -d 'Show one task as it is now'
complete -c background-tasks -n '__fish_seen_subcommand_from status' -a '(__background_tasks_ids)'
complete -c background-tasks -n '__fish_seen_subcommand_from status' -l exit-code
complete -c background-tasks -n '__fish_seen_subcommand_from status' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from status' -l timeout
complete -c background-tasks -n '__fish_seen_subcommand_from status' -l wait
complete -c background-tasks -n __fish_use_subcommand -a list -d 'Show many tasks, newest first'
complete -c background-tasks -n '__fish_seen_subcommand_from list' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from list' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a wait -d 'Wait until tasks have ended, are ready, or have written a line'
complete -c background-tasks -n '__fish_seen_subcommand_from wait' -a '(__background_tasks_ids)'
complete -c background-tasks -n '__fish_seen_subcommand_from wait' -l exit-code
complete -c background-tasks -n '__fish_seen_subcommand_from wait' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from wait' -l timeout
complete -c background-tasks -n '__fish_seen_subcommand_from wait' -l wait
complete -c background-tasks -n __fish_use_subcommand -a stop -d 'End a task, every process of it, and answer when it is so'
complete -c background-tasks -n '__fish_seen_subcommand_from stop' -a '(__background_tasks_ids)'
complete -c background-tasks -n '__fish_seen_subcommand_from stop' -l concurrency
complete -c background-tasks -n '__fish_seen_subcommand_from stop' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from stop' -l timeout
complete -c background-tasks -n '__fish_seen_subcommand_from stop' -l wait
complete -c background-tasks -n __fish_use_subcommand -a restart -d 'Run a task\'s command again under the same id'
complete -c background-tasks -n '__fish_seen_subcommand_from restart' -a '(__background_tasks_ids)'
complete -c background-tasks -n '__fish_seen_subcommand_from restart' -l concurrency
complete -c background-tasks -n '__fish_seen_subcommand_from restart' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from restart' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a send -d 'Write to a task\'s standard input or terminal, or prompt its agent'
complete -c background-tasks -n '__fish_seen_subcommand_from send' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from send' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a signal -d 'Send a signal to a running task'
complete -c background-tasks -n '__fish_seen_subcommand_from signal' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from signal' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a pause -d 'Have every process of a task stand still'
complete -c background-tasks -n '__fish_seen_subcommand_from pause' -a '(__background_tasks_ids)'
complete -c background-tasks -n '__fish_seen_subcommand_from pause' -l concurrency
complete -c background-tasks -n '__fish_seen_subcommand_from pause' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from pause' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a resume -d 'Have a paused task go on'
complete -c background-tasks -n '__fish_seen_subcommand_from resume' -a '(__background_tasks_ids)'
complete -c background-tasks -n '__fish_seen_subcommand_from resume' -l concurrency
complete -c background-tasks -n '__fish_seen_subcommand_from resume' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from resume' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a recover -d 'Start again what a reboot or a lost supervisor interrupted'
complete -c background-tasks -n '__fish_seen_subcommand_from recover' -l concurrency
complete -c background-tasks -n '__fish_seen_subcommand_from recover' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from recover' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a remove -d 'Delete the record and the logs of a task that has ended'
complete -c background-tasks -n '__fish_seen_subcommand_from remove' -a '(__background_tasks_ids)'
complete -c background-tasks -n '__fish_seen_subcommand_from remove' -l concurrency
complete -c background-tasks -n '__fish_seen_subcommand_from remove' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from remove' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a prune -d 'Delete tasks that have ended by age, number or size'
complete -c background-tasks -n '__fish_seen_subcommand_from prune' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from prune' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a logs -d 'Show what a task wrote: its end, both ends, what is new, what matches'
complete -c background-tasks -n '__fish_seen_subcommand_from logs' -a '(__background_tasks_ids)'
complete -c background-tasks -n '__fish_seen_subcommand_from logs' -l follow
complete -c background-tasks -n '__fish_seen_subcommand_from logs' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from logs' -l stream
complete -c background-tasks -n '__fish_seen_subcommand_from logs' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a events -d 'Show what happened to tasks, their log lines among it'
complete -c background-tasks -n '__fish_seen_subcommand_from events' -a '(__background_tasks_ids)'
complete -c background-tasks -n '__fish_seen_subcommand_from events' -l follow
complete -c background-tasks -n '__fish_seen_subcommand_from events' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from events' -l stream
complete -c background-tasks -n '__fish_seen_subcommand_from events' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a agent -d 'Show which coding agents there are, and what each can do'
complete -c background-tasks -n '__fish_seen_subcommand_from agent' -a list
complete -c background-tasks -n '__fish_seen_subcommand_from agent' -a command
complete -c background-tasks -n '__fish_seen_subcommand_from agent' -a parse
complete -c background-tasks -n '__fish_seen_subcommand_from agent' -a install
complete -c background-tasks -n '__fish_seen_subcommand_from agent' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from agent' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a doctor -d 'Check what this host and the home folder can do'
complete -c background-tasks -n '__fish_seen_subcommand_from doctor' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from doctor' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a capabilities -d 'Tell what this build offers, for programs'
complete -c background-tasks -n '__fish_seen_subcommand_from capabilities' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from capabilities' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a schema -d 'Name the commands that have schemas'
complete -c background-tasks -n '__fish_seen_subcommand_from schema' -a list
complete -c background-tasks -n '__fish_seen_subcommand_from schema' -a show
complete -c background-tasks -n '__fish_seen_subcommand_from schema' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from schema' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a examples -d 'Name the examples'
complete -c background-tasks -n '__fish_seen_subcommand_from examples' -a list
complete -c background-tasks -n '__fish_seen_subcommand_from examples' -a show
complete -c background-tasks -n '__fish_seen_subcommand_from examples' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from examples' -l timeout
complete -c background-tasks -n __fish_use_subcommand -a skill -d 'Show the instructions for coding agents (SKILL.md)'
complete -c background-tasks -n '__fish_seen_subcommand_from skill' -l output
complete -c background-tasks -n '__fish_seen_subcommand_from skill' -l timeout
