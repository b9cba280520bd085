//! Completions for bash, zsh and fish. Ids of tasks come from the store, at the moment of asking.

use std::collections::{BTreeMap, BTreeSet};

use super::Told;
use crate::Result;
use crate::command;
use crate::workspace::Workspace;

/// Prints the ids of the newest tasks, one per line.
const IDS: &str = r#"background-tasks list '{"limit": 200}' 2>/dev/null | grep -o '{"id":"[^"]*"' | cut -d'"' -f4"#;

/// File names and texts.
pub(super) fn files(commands: &[Told]) -> BTreeMap<String, String> {
    BTreeMap::from([
        (
            "completions/background-tasks.bash".to_owned(),
            bash(commands),
        ),
        ("completions/_background-tasks".to_owned(), zsh(commands)),
        (
            "completions/background-tasks.fish".to_owned(),
            fish(commands),
        ),
    ])
}

/// The words that a command line can begin with, and those that follow one of them.
fn first_words(commands: &[Told]) -> Vec<(&str, Vec<&str>)> {
    let mut words: Vec<(&str, Vec<&str>)> = Vec::new();
    for told in commands {
        let (first, second) = told
            .name
            .split_once(' ')
            .map_or((told.name.as_str(), None), |(first, second)| {
                (first, Some(second))
            });
        match words.iter_mut().find(|(word, _)| *word == first) {
            Some((_, seconds)) => seconds.extend(second),
            None => words.push((first, second.into_iter().collect())),
        }
    }
    words
}

/// The words of each case: what follows a first word.
fn cases(commands: &[Told]) -> Vec<(String, String, bool)> {
    let words = first_words(commands);
    words
        .iter()
        .map(|(first, seconds)| {
            let of_it = commands
                .iter()
                .filter(|told| told.name.split(' ').next() == Some(*first));
            let mut flags = BTreeSet::new();
            let mut takes_id = false;
            for told in of_it {
                flags.extend(told.flags.iter().map(String::as_str));
                takes_id |= told.takes_id;
            }
            let all: Vec<&str> = seconds.iter().copied().chain(flags).collect();
            ((*first).to_owned(), all.join(" "), takes_id)
        })
        .collect()
}

fn bash(commands: &[Told]) -> String {
    let firsts: Vec<&str> = first_words(commands)
        .iter()
        .map(|(first, _)| *first)
        .collect();
    let mut text = format!(
        "# bash completion for background-tasks; made by `cargo xtask assets`.\n\n_background_tasks() {{\n    local word=${{COMP_WORDS[COMP_CWORD]}} words=\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words='{} help version'\n    else\n        case ${{COMP_WORDS[1]}} in\n",
        firsts.join(" ")
    );
    for (first, words, takes_id) in cases(commands) {
        let ids = if takes_id {
            format!("\" $({IDS})\"")
        } else {
            String::new()
        };
        text.push_str(&format!("            {first}) words='{words}'{ids} ;;\n"));
    }
    text.push_str(
        "        esac\n    fi\n    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\ncomplete -o default -F _background_tasks background-tasks\n",
    );
    text
}

fn zsh(commands: &[Told]) -> String {
    let mut text = "#compdef background-tasks\n# Made by `cargo xtask assets`.\n\n_background-tasks() {\n    if (( CURRENT == 2 )); then\n        local -a commands=(\n".to_owned();
    for (first, _) in first_words(commands) {
        let purpose = commands
            .iter()
            .find(|told| told.name.split(' ').next() == Some(first))
            .map_or("", |told| told.purpose.as_str());
        let purpose = purpose.replace('\'', "'\\''").replace(':', "\\:");
        text.push_str(&format!("            '{first}:{purpose}'\n"));
    }
    text.push_str("        )\n        _describe command commands\n        return\n    fi\n    local -a words_after\n    case ${words[2]} in\n");
    for (first, words, takes_id) in cases(commands) {
        let ids = if takes_id {
            format!(" ${{(f)\"$({IDS})\"}}")
        } else {
            String::new()
        };
        text.push_str(&format!("        {first}) words_after=({words}{ids}) ;;\n"));
    }
    text.push_str(
        "    esac\n    compadd -a words_after\n    _files\n}\n\n_background-tasks \"$@\"\n",
    );
    text
}

fn fish(commands: &[Told]) -> String {
    let mut text = format!(
        "# fish completion for background-tasks; made by `cargo xtask assets`.\n\nfunction __background_tasks_ids\n    {IDS}\nend\n\n"
    );
    for (first, seconds) in first_words(commands) {
        let of_it: Vec<&Told> = commands
            .iter()
            .filter(|told| told.name.split(' ').next() == Some(first))
            .collect();
        let purpose = of_it.first().map_or("", |told| told.purpose.as_str());
        let purpose = purpose.replace('\\', "\\\\").replace('\'', "\\'");
        text.push_str(&format!(
            "complete -c background-tasks -n __fish_use_subcommand -a {first} -d '{purpose}'\n"
        ));
        let seen = format!("'__fish_seen_subcommand_from {first}'");
        for second in seconds {
            text.push_str(&format!(
                "complete -c background-tasks -n {seen} -a {second}\n"
            ));
        }
        if of_it.iter().any(|told| told.takes_id) {
            text.push_str(&format!(
                "complete -c background-tasks -n {seen} -a '(__background_tasks_ids)'\n"
            ));
        }
        let flags: BTreeSet<&str> = of_it
            .iter()
            .flat_map(|told| told.flags.iter().map(|flag| flag.trim_start_matches('-')))
            .collect();
        for flag in flags {
            text.push_str(&format!(
                "complete -c background-tasks -n {seen} -l {flag}\n"
            ));
        }
    }
    text
}

/// Has bash complete a command, a flag and the id of a task.
pub(super) fn try_out(workspace: &Workspace) -> Result {
    if !command::exists("bash") {
        return Ok(());
    }
    let script = r#"
set -eu
PATH=$1:$PATH
export BACKGROUND_TASKS_HOME=$2/home
background-tasks start '{"id": "from-the-store", "shell": ":"}' --wait >/dev/null
. assets/completions/background-tasks.bash
complete_words() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _background_tasks
    echo " ${COMPREPLY[*]} "
}
case $(complete_words background-tasks sta) in *' status '*) ;; *) exit 3 ;; esac
case $(complete_words background-tasks logs --fo) in *' --follow '*) ;; *) exit 4 ;; esac
case $(complete_words background-tasks status from) in *' from-the-store '*) ;; *) exit 5 ;; esac
case $(complete_words background-tasks schema s) in *' show '*) ;; *) exit 6 ;; esac
rm -rf "$2"
"#;
    let folder = workspace.target.join("completions-try");
    let mut bash = workspace.command("bash");
    bash.args(["-c", script, "bash"])
        .arg(workspace.target.join("debug"))
        .arg(folder);
    command::run(&mut bash)
}
