//! `help` and `version`.

use serde::Serialize;

use crate::args::clap_command;
use crate::command::Command;

/// What `help` answers to a program.
#[derive(Debug, Serialize)]
pub(crate) struct Help {
    usage: String,
    commands: Vec<CommandHelp>,
}

#[derive(Debug, Serialize)]
struct CommandHelp {
    name: &'static str,
    purpose: &'static str,
    flags: Vec<String>,
}

impl Help {
    /// About one command, or all.
    pub(crate) fn about(command: Option<Command>) -> Self {
        let of = |command: &Command| CommandHelp {
            name: command.name(),
            purpose: command.purpose(),
            flags: command
                .flags()
                .iter()
                .map(|flag| format!("--{}", flag.name()))
                .collect(),
        };
        match command {
            Some(command) => Self {
                usage: usage(command),
                commands: vec![of(&command)],
            },
            None => Self {
                usage: "background-tasks COMMAND [PAYLOAD] [FLAGS]".to_owned(),
                commands: Command::ALL.iter().map(of).collect(),
            },
        }
    }

    /// The same for people.
    pub(crate) fn text(&self) -> String {
        if let [_] = self.commands.as_slice() {
            return format!(
                "{}
",
                self.usage
            );
        }
        let mut text = format!(
            "Start a command in the background, walk away, and ask later what became of it.\n\nUsage: {}\n\nCommands:\n",
            self.usage
        );
        for command in &self.commands {
            text.push_str(&format!("  {:<15} {}\n", command.name, command.purpose));
        }
        text.push_str(concat!(
            "\nPAYLOAD is one JSON value: inline, @path (a file), or - (standard input).\n",
            "`background-tasks help COMMAND` tells more; `examples show COMMAND` shows payloads.\n\n",
            "  background-tasks start '{\"id\": \"dev\", \"shell\": \"npm run dev\"}'\n",
            "  background-tasks logs dev\n",
            "  background-tasks stop dev\n",
        ));
        text
    }
}

/// What clap says of a command, and an example.
fn usage(command: Command) -> String {
    let help = clap_command(command).render_help().to_string();
    let help = help.replacen("Usage: ", "Usage: background-tasks ", 1);
    match super::example_line(command.name()) {
        Some(line) => {
            let name = match command.name() {
                name if name.contains(' ') => format!("\"{name}\""),
                name => name.to_owned(),
            };
            format!(
                "{help}\nExample:\n  {line}\n\n\
                 `schema show {name}` has the fields of its payload, `examples show {name}` more examples.\n"
            )
        }
        None => help,
    }
}

/// What `version` answers to a program.
#[derive(Debug, Serialize)]
pub(crate) struct Version {
    name: &'static str,
    version: &'static str,
}

impl Version {
    pub(crate) fn of_this_build() -> Self {
        Self {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// The same for people.
    pub(crate) fn text(&self) -> String {
        format!("{} {}\n", self.name, self.version)
    }
}
