//! What is executed for one turn of a conversation.

use std::path::Path;

use serde::Serialize;

use crate::spec::AgentSpec;

/// One prompt, and all that its invocation depends on.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// What was asked of the agent.
    pub spec: &'a AgentSpec,
    /// What it is told now.
    pub prompt: &'a str,
    /// The session to go on with; none begins one.
    pub session: Option<&'a str>,
    /// A name for the conversation that is nobody else's, such as `bt-` and the task's id.
    pub conversation: &'a str,
    /// Where the configuration of MCP servers is, if there is any.
    pub mcp_file: Option<&'a Path>,
    /// Where the agent works.
    pub workdir: &'a Path,
    /// Whether the agent will run as root.
    pub is_root: bool,
}

/// What is to be executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Invocation {
    /// The program.
    pub program: Program,
    /// Its arguments, without its own name.
    pub args: Vec<String>,
    /// Set above what is inherited.
    pub env: Vec<(&'static str, String)>,
    /// What it reads; nothing else, and never a terminal.
    pub stdin: Stdin,
}

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// One that is looked up on the PATH.
    Named(&'static str),
    /// This very program: the mock is a part of it.
    Itself,
}

/// What the program reads on its standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stdin {
    /// Nothing: `/dev/null`.
    Null,
    /// This, then the end.
    Text(String),
}

impl Invocation {
    /// One that is told its prompt on standard input, on whose output no colour and no cursor
    /// movement is to be.
    pub(crate) fn new(program: Program, args: Argv, turn: &Turn<'_>) -> Self {
        let plain = [("NO_COLOR", "1"), ("TERM", "dumb")];
        Self {
            program,
            args: args.0,
            env: plain.map(|(name, value)| (name, value.to_owned())).to_vec(),
            stdin: Stdin::Text(turn.prompt.to_owned()),
        }
    }

    /// With one more variable.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }
}

/// Arguments in the making.
pub(crate) struct Argv(Vec<String>);

impl Argv {
    pub(crate) fn new(words: &[&str]) -> Self {
        Self(words.iter().map(|word| (*word).to_owned()).collect())
    }

    pub(crate) fn words(mut self, words: &[&str]) -> Self {
        self.0.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// An option with a value, if there is one. A value that looks like an option is tied to its
    /// name: most parsers of arguments would take it for one.
    pub(crate) fn option(mut self, name: &str, value: Option<&str>) -> Self {
        match value {
            None => {}
            Some(value) if value.starts_with('-') => self.0.push(format!("{name}={value}")),
            Some(value) => self.0.extend([name.to_owned(), value.to_owned()]),
        }
        self
    }

    /// An option whose value is always the next word, whatever it looks like.
    pub(crate) fn pair(mut self, name: &str, value: Option<&str>) -> Self {
        self.0.extend(
            value
                .into_iter()
                .flat_map(|value| [name.to_owned(), value.to_owned()]),
        );
        self
    }

    /// What the caller wants passed through.
    pub(crate) fn extra(mut self, turn: &Turn<'_>) -> Self {
        self.0.extend(turn.spec.args.iter().cloned());
        self
    }
}

/// A line by which a run is known to be over, though its process may still be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DonePattern {
    /// Where the line is printed.
    pub stream: Stream,
    /// A regular expression (syntax of the `regex` crate) for the line.
    pub pattern: &'static str,
    /// The same for lines that are none of them.
    pub unless: Option<&'static str>,
    /// So many of them say it, if none says the contrary in between.
    pub count: u32,
    /// What the line says.
    pub says: Says,
}

/// Where a line is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a line says of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// It is over.
    Done,
    /// It goes on after all: an earlier [`Says::Done`] no longer counts.
    GoesOn,
}

impl DonePattern {
    /// A line of standard output after which the process has nothing more to do.
    pub(crate) const fn done(pattern: &'static str) -> Self {
        Self {
            stream: Stream::Stdout,
            pattern,
            unless: None,
            count: 1,
            says: Says::Done,
        }
    }

    /// A line of standard output that shows that it goes on.
    pub(crate) const fn goes_on(pattern: &'static str) -> Self {
        Self {
            says: Says::GoesOn,
            ..Self::done(pattern)
        }
    }

    /// But for lines like this.
    pub(crate) const fn unless(self, pattern: &'static str) -> Self {
        Self {
            unless: Some(pattern),
            ..self
        }
    }

    /// Only so many of them.
    pub(crate) const fn times(self, count: u32) -> Self {
        Self { count, ..self }
    }

    /// The same on standard error.
    pub(crate) const fn on_stderr(self) -> Self {
        Self {
            stream: Stream::Stderr,
            ..self
        }
    }
}

/// The start of a JSON line whose first field is a `type` that is one of these. A line in another
/// order is missed: taking what an agent quotes for its end would stop it in the middle of its work.
macro_rules! line_of_type {
    ($types:literal) => {
        concat!(
            r#"^\x{feff}?\s*(?:data:\s*)?\{\s*"type"\s*:\s*"(?:"#,
            $types,
            r#")"\s*[,}]"#
        )
    };
}
pub(crate) use line_of_type;
