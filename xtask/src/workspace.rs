//! Where things are.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::{Result, command};

/// The checkout and the folder that cargo builds into.
pub struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub root: PathBuf,
    /// `target`, or what `CARGO_TARGET_DIR` and the configuration say.
    pub target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub fn find() -> Result<Self> {
        let mut metadata = Command::new(cargo());
        metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
        let answer: Value = serde_json::from_slice(&command::output(&mut metadata)?)?;
        let path = |name: &str| {
            let path = answer[name].as_str().map(PathBuf::from);
            path.ok_or_else(|| format!("cargo metadata names no {name}"))
        };
        Ok(Self {
            root: path("workspace_root")?,
            target: path("target_directory")?,
        })
    }

    /// What `cargo metadata` answers with these arguments.
    pub fn metadata(&self, arguments: &[&str]) -> Result<Value> {
        let mut metadata = self.cargo(&["metadata", "--format-version", "1"]);
        let answer = command::output(metadata.args(arguments))?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// A program that runs in the root folder.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// Cargo with these arguments.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&cargo());
        command.args(arguments);
        command
    }
}

/// The cargo that runs this program.
fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
