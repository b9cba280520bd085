//! Where on its way a command failed to start.

use schemars::JsonSchema;
use serde::Serialize;

/// The step of starting a command at which it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpawnStep {
    /// The supervisor itself.
    Supervisor,
    /// Entering the working directory.
    Workdir,
    /// Reading the dotenv file.
    EnvFile,
    /// Opening standard input.
    Stdin,
    /// Opening the log.
    Log,
    /// Setting up what keeps its limits.
    Limits,
    /// Executing the command.
    Exec,
    /// Putting on record that it runs.
    Record,
}

impl SpawnStep {
    /// The word that answers use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::Workdir => "workdir",
            Self::EnvFile => "env_file",
            Self::Stdin => "stdin",
            Self::Log => "log",
            Self::Limits => "limits",
            Self::Exec => "exec",
            Self::Record => "record",
        }
    }
}
