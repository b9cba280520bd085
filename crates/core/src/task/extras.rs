//! What `start` can ask for beside the command itself; a task that asks for none of it pays for
//! none.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ProcessIdentity, TaskId, WITHOUT_NUL};

/// What the command reads from its standard input.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stdin {
    /// Nothing: `/dev/null`.
    #[default]
    Null,
    /// What `send` writes, until it says that this is the end.
    Open,
    /// This text, then the end. It is not told: on record and in answers `***` stands for it.
    Text(
        #[serde(serialize_with = "mask")]
        #[schemars(extend("examples" = ["first line\n"]))]
        String,
    ),
    /// The content of this file; a relative path is relative to the caller.
    File(#[schemars(length(min = 1), extend("examples" = ["input.txt"]))] PathBuf),
}

/// Whatever is written down of a text, it is not the text: it may be a secret, and long.
fn mask<S: Serializer>(_: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("***")
}

/// What is typed may be a secret.
impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Open => f.write_str("Open"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pty {
    /// Characters in a line.
    #[serde(default = "Pty::default_cols")]
    #[schemars(range(min = Pty::LEAST))]
    pub cols: u16,
    /// Lines.
    #[serde(default = "Pty::default_rows")]
    #[schemars(range(min = Pty::LEAST))]
    pub rows: u16,
}

impl Pty {
    /// The fewest columns and rows.
    pub(crate) const LEAST: u16 = 1;

    fn default_cols() -> u16 {
        80
    }
    fn default_rows() -> u16 {
        24
    }
}

impl Default for Pty {
    fn default() -> Self {
        Self {
            cols: Self::default_cols(),
            rows: Self::default_rows(),
        }
    }
}

/// How to find out whether a task does what it is for, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthProbe {
    /// What is asked.
    #[serde(flatten)]
    pub probe: Probe,
    /// Milliseconds from the end of one probe to the next.
    pub interval_ms: u64,
    /// Milliseconds that one may take.
    pub timeout_ms: u64,
    /// Milliseconds in which the first must succeed.
    pub startup_timeout_ms: u64,
    /// How many in a row must fail before a healthy task counts as unhealthy.
    pub failure_threshold: u32,
}

/// What a health probe asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Probe {
    /// A GET of this URL answers with this status; from 200 to 399 unless told.
    Http {
        /// `http://HOST[:PORT][/PATH]`.
        url: String,
        /// The only status that counts.
        expected_status: Option<u16>,
    },
    /// A connection is accepted.
    Tcp {
        /// A name or an address.
        host: String,
        /// 1 to 65535.
        port: u16,
    },
    /// A command exits with 0.
    Command {
        /// As the `command` of the task.
        command: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// A line of the present run's log matches.
    Log {
        /// A regular expression (syntax of the Rust `regex` crate).
        pattern: String,
    },
}

/// A command that is run once when the task has ended for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The program: a path, or a name that is looked up on the task's PATH.
    #[schemars(length(min = 1), regex(pattern = WITHOUT_NUL), extend("examples" = ["notify-send"]))]
    pub command: String,
    /// Its arguments.
    #[serde(default)]
    #[schemars(inner(regex(pattern = WITHOUT_NUL)), extend("examples" = [["the build is over"]]))]
    pub args: Vec<String>,
}

/// A line of tasks of which only some run at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Its name.
    pub group: GroupName,
    /// How many of the group may run when this task begins; 0 for any number.
    #[schemars(extend("examples" = [2]))]
    pub limit: u32,
}

/// The name of a queue: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct GroupName(String);

impl GroupName {
    /// The name as text; safe as the name of a folder.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for GroupName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let fits = |(at, c): (usize, char)| {
            c.is_ascii_alphanumeric() || (at > 0 && matches!(c, '.' | '_' | '-'))
        };
        if text.is_empty() || text.len() > TaskId::MAX_LEN || !text.char_indices().all(fits) {
            return Err(serde::de::Error::custom(format!(
                "`{text}` is not the name of a group: it must match [A-Za-z0-9][A-Za-z0-9._-]{{0,63}}"
            )));
        }
        Ok(Self(text.into_owned()))
    }
}

impl JsonSchema for GroupName {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "GroupName".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": TaskId::PATTERN,
            "minLength": 1,
            "maxLength": TaskId::MAX_LEN,
            "examples": ["gpu"],
        })
    }
}

/// Tasks that must have got somewhere before this one begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct After {
    /// Which.
    #[schemars(length(min = 1))]
    pub ids: Vec<TaskId>,
    /// Where they must have got.
    #[serde(default)]
    pub on: Milestone,
}

/// Where a task must have got before another begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    /// It exited with code 0.
    #[default]
    Success,
    /// Its health probe has succeeded, or, without one, it runs.
    Ready,
    /// It has ended, however.
    End,
}

/// Lines to be told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogWatch {
    /// What the event calls it; no two watches of a task have the same.
    #[schemars(length(min = 1), extend("examples" = ["errors"]))]
    pub name: String,
    /// A regular expression (syntax of the Rust `regex` crate).
    #[schemars(extend("examples" = ["(?i)error"]))]
    pub pattern: String,
    /// Milliseconds after an event in which further lines are only counted.
    #[serde(default = "LogWatch::default_throttle_ms", alias = "throttleMs")]
    pub throttle_ms: u64,
}

impl LogWatch {
    /// Milliseconds after an event in which further lines are only counted, unless told.
    pub const THROTTLE_MS: u64 = 30_000;

    fn default_throttle_ms() -> u64 {
        Self::THROTTLE_MS
    }
}

/// A process without which the task is not to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner(pub ProcessIdentity);

impl HealthProbe {
    /// Milliseconds between probes unless told.
    pub const INTERVAL_MS: u64 = 10_000;
    /// Milliseconds that one may take unless told.
    pub const TIMEOUT_MS: u64 = 5000;
    /// Milliseconds in which the first must succeed unless told.
    pub const STARTUP_TIMEOUT_MS: u64 = 30_000;
    /// Failures in a row unless told.
    pub const FAILURE_THRESHOLD: u32 = 3;
}
