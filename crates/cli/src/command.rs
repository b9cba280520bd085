//! The commands: their names, what each is for, and which flags steer it. Help, capabilities and
//! the parser all read this one table.

/// A command of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Start,
    Status,
    List,
    Wait,
    Stop,
    Restart,
    Send,
    Signal,
    Pause,
    Resume,
    Recover,
    Remove,
    Prune,
    Logs,
    Events,
    AgentList,
    AgentPreview,
    AgentParse,
    AgentInstall,
    Doctor,
    Capabilities,
    SchemaList,
    SchemaShow,
    ExamplesList,
    ExamplesShow,
    Skill,
}

/// A flag that steers execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    Output,
    Wait,
    Stream,
    Follow,
    Timeout,
    Concurrency,
    ExitCode,
}

impl Flag {
    /// Each of them.
    pub(crate) const ALL: [Flag; 7] = [
        Self::Output,
        Self::Wait,
        Self::Stream,
        Self::Follow,
        Self::Timeout,
        Self::Concurrency,
        Self::ExitCode,
    ];

    /// What stands behind it.
    pub(crate) fn value_name(self) -> Option<&'static str> {
        match self {
            Self::Output => Some("MODE"),
            Self::Timeout => Some("SECONDS"),
            Self::Concurrency => Some("N"),
            Self::Wait | Self::Stream | Self::Follow | Self::ExitCode => None,
        }
    }

    /// As it is typed, without the dashes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Wait => "wait",
            Self::Stream => "stream",
            Self::Follow => "follow",
            Self::Timeout => "timeout",
            Self::Concurrency => "concurrency",
            Self::ExitCode => "exit-code",
        }
    }

    /// One line of help.
    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::Output => {
                "auto: point to the whole log where more exists than is shown; inline: never; artifact: always [default: auto]"
            }
            Self::Wait => "Answer when the task has ended",
            Self::Stream => "NDJSON frames instead of one document",
            Self::Follow => {
                "Go on with what happens until the tasks have ended (a filter: until --timeout)"
            }
            Self::Timeout => {
                "Stop waiting after so many seconds, fractions allowed [default: 60; with --follow: none]"
            }
            Self::Concurrency => "Work on so many items of an array at once [default: 5]",
            Self::ExitCode => "Exit as the task did (128 + n for a signal)",
        }
    }
}

/// What a payload may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadKind {
    /// Nothing is asked: `{}`.
    Empty,
    /// An object.
    Object,
    /// An object, or the bare value of this field of it.
    Named(&'static str),
}

use Flag as F;

impl Command {
    /// In the order of a first acquaintance.
    pub(crate) const ALL: [Command; 26] = [
        Self::Start,
        Self::Status,
        Self::List,
        Self::Wait,
        Self::Stop,
        Self::Restart,
        Self::Send,
        Self::Signal,
        Self::Pause,
        Self::Resume,
        Self::Recover,
        Self::Remove,
        Self::Prune,
        Self::Logs,
        Self::Events,
        Self::AgentList,
        Self::AgentPreview,
        Self::AgentParse,
        Self::AgentInstall,
        Self::Doctor,
        Self::Capabilities,
        Self::SchemaList,
        Self::SchemaShow,
        Self::ExamplesList,
        Self::ExamplesShow,
        Self::Skill,
    ];

    /// As it is typed and as envelopes name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Status => "status",
            Self::List => "list",
            Self::Wait => "wait",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Send => "send",
            Self::Signal => "signal",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Recover => "recover",
            Self::Remove => "remove",
            Self::Prune => "prune",
            Self::Logs => "logs",
            Self::Events => "events",
            Self::AgentList => "agent list",
            Self::AgentPreview => "agent command",
            Self::AgentParse => "agent parse",
            Self::AgentInstall => "agent install",
            Self::Doctor => "doctor",
            Self::Capabilities => "capabilities",
            Self::SchemaList => "schema list",
            Self::SchemaShow => "schema show",
            Self::ExamplesList => "examples list",
            Self::ExamplesShow => "examples show",
            Self::Skill => "skill",
        }
    }

    /// One line.
    pub(crate) fn purpose(self) -> &'static str {
        match self {
            Self::Start => "Start a command in the background (an array starts several)",
            Self::Status => "Show one task as it is now",
            Self::List => "Show many tasks, newest first",
            Self::Wait => "Wait until tasks have ended, are ready, or have written a line",
            Self::Stop => "End a task, every process of it, and answer when it is so",
            Self::Restart => "Run a task's command again under the same id",
            Self::Send => "Write to a task's standard input or terminal, or prompt its agent",
            Self::Signal => "Send a signal to a running task",
            Self::Pause => "Have every process of a task stand still",
            Self::Resume => "Have a paused task go on",
            Self::Recover => "Start again what a reboot or a lost supervisor interrupted",
            Self::Remove => "Delete the record and the logs of a task that has ended",
            Self::Prune => "Delete tasks that have ended by age, number or size",
            Self::Logs => "Show what a task wrote: its end, both ends, what is new, what matches",
            Self::Events => "Show what happened to tasks, their log lines among it",
            Self::AgentList => "Show which coding agents there are, and what each can do",
            Self::AgentPreview => "Show what start would execute for a coding agent",
            Self::AgentParse => "Read a coding agent's own output on standard input as events",
            Self::AgentInstall => "Install the CLI of a coding agent, as its makers say",
            Self::Doctor => "Check what this host and the home folder can do",
            Self::Capabilities => "Tell what this build offers, for programs",
            Self::SchemaList => "Name the commands that have schemas",
            Self::SchemaShow => "Show the JSON Schema of a command's payload or answer",
            Self::ExamplesList => "Name the examples",
            Self::ExamplesShow => "Show a command's examples",
            Self::Skill => "Show the instructions for coding agents (SKILL.md)",
        }
    }

    /// The flags that mean something to it. `--output` and `--timeout` are taken everywhere.
    pub(crate) fn flags(self) -> &'static [Flag] {
        match self {
            Self::Start => &[F::Wait, F::Timeout, F::Concurrency, F::ExitCode, F::Output],
            Self::Status => &[F::Wait, F::Timeout, F::ExitCode, F::Output],
            Self::Wait => &[F::Wait, F::Timeout, F::ExitCode, F::Output],
            // It waits anyway; whoever says so is not wrong.
            Self::Stop => &[F::Wait, F::Timeout, F::Concurrency, F::Output],
            Self::Restart | Self::Remove | Self::Pause | Self::Resume | Self::Recover => {
                &[F::Timeout, F::Concurrency, F::Output]
            }
            Self::Logs | Self::Events => &[F::Output, F::Stream, F::Follow, F::Timeout],
            _ => &[F::Output, F::Timeout],
        }
    }

    /// What its payload may be.
    pub(crate) fn payload(self) -> PayloadKind {
        match self {
            Self::Start | Self::List | Self::Send | Self::Prune | Self::Signal => {
                PayloadKind::Object
            }
            Self::Status
            | Self::Wait
            | Self::Stop
            | Self::Restart
            | Self::Pause
            | Self::Resume
            | Self::Remove
            | Self::Logs
            | Self::Events => PayloadKind::Named("id"),
            Self::SchemaShow | Self::ExamplesShow => PayloadKind::Named("name"),
            Self::AgentPreview => PayloadKind::Object,
            Self::AgentParse | Self::AgentInstall => PayloadKind::Named("provider"),
            Self::Recover
            | Self::AgentList
            | Self::Doctor
            | Self::Capabilities
            | Self::SchemaList
            | Self::ExamplesList
            | Self::Skill => PayloadKind::Empty,
        }
    }

    /// Whether its payload may be an array.
    pub(crate) fn takes_batch(self) -> bool {
        matches!(
            self,
            Self::Start | Self::Stop | Self::Restart | Self::Remove
        )
    }

    /// Finds the command that the first words name; also how many words that took.
    pub(crate) fn find(words: &[&str]) -> Option<(Self, usize)> {
        let named = |command: &Self| match (command.name().split_once(' '), words) {
            (None, [first, ..]) if *first == command.name() => Some((*command, 1)),
            (Some(pair), [first, second, ..]) if pair == (*first, *second) => Some((*command, 2)),
            _ => None,
        };
        Self::ALL.iter().find_map(named)
    }
}
