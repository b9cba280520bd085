//! The compilation targets that a chore needs.

use std::path::Path;

use crate::workspace::Workspace;
use crate::{Result, command};

/// What became of the wish for a target.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// Its standard library is there.
    Ready,
    /// It is not, and there is no rustup to fetch it.
    NoRustup,
}

/// Makes sure that the standard library of a target is installed, by rustup if need be.
pub fn ensure(workspace: &Workspace, triple: &str) -> Result<Target> {
    if installed(workspace, triple)? {
        return Ok(Target::Ready);
    }
    if !command::exists("rustup") {
        return Ok(Target::NoRustup);
    }
    println!("adding the target {triple}");
    command::run(workspace.command("rustup").args(["target", "add", triple]))?;
    Ok(Target::Ready)
}

/// What to tell someone who has neither the target nor rustup.
pub fn advice(triple: &str) -> String {
    format!(
        "the Rust target {triple} is not installed, and neither is rustup: install rustup \
         (https://rustup.rs), or your distribution's package with the standard library of {triple}"
    )
}

fn installed(workspace: &Workspace, triple: &str) -> Result<bool> {
    let mut rustc = workspace.command("rustc");
    rustc.args(["--print", "target-libdir", "--target", triple]);
    let folder = String::from_utf8(command::output(&mut rustc)?)?;
    Ok(Path::new(folder.trim_end()).is_dir())
}
